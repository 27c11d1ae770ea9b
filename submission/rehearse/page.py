"""Render a notebook as an HTML page, with the embedded source files folded."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter

_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block any_cell -%}
{%- set tags = cell.metadata.get('tags', []) -%}
{%- if 'module' in tags or 'packed' in tags or 'manifest' in tags -%}
<details class="folded-cell"><summary>{{ cell.source.split('\\n')[0] | replace('%%writefile aimo_agent/', '') | e }}
</summary>{{ super() }}</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{%- endblock any_cell -%}
{%- block html_head_css -%}
{{ super() }}
<style>
body { max-width: 62rem; margin: 0 auto; padding: 1rem; }
details.folded-cell { margin: 0.15rem 0 0.15rem 4.5rem; }
details.folded-cell > summary { cursor: pointer; font-family: monospace; font-size: 0.85rem; padding: 0.2rem 0; }
details.folded-cell .jp-OutputArea { display: none; }
</style>
{%- endblock html_head_css -%}
"""


def write_page(notebook: Path, page: Path) -> None:
    """Write the notebook as one HTML file."""
    exporter = HTMLExporter(extra_loaders=[DictLoader({"page.html.j2": _TEMPLATE})], template_file="page.html.j2")
    cells = nbformat.read(notebook, as_version=4)
    html, _ = exporter.from_notebook_node(cells)
    page.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    write_page(Path(sys.argv[1]), Path(sys.argv[2]))
