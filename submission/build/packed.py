"""The cell of the notebook that unpacks some of its files, because Kaggle takes no notebook of a megabyte."""

from __future__ import annotations

import base64
import bz2
import json
import textwrap
from collections.abc import Mapping

PACKED_FOLDERS = (
    *("agent/sandbox/inside/", "agent/hardware/", "agent/health/"),
    *("agent/cost/", "agent/engine/llamacpp/", "agent/engine/vllm/"),
)
"""What runs in the sandbox's own processes, behind its walls, the arithmetic of GPUs, the check of the model before the
run, the counting of money and the servers that we start: a reader can follow a problem without them. The manifest
checks them like the rest."""

_COLUMNS = 1_000
_CELL = """\
import base64
import bz2
import json
from pathlib import Path

PACKED = \"\"\"
{packed}
\"\"\"
for name, text in json.loads(bz2.decompress(base64.b64decode(PACKED))).items():
    Path("{folder}", name).write_text(text, encoding="utf-8")"""


def packed_cell(files: Mapping[str, str], folder: str) -> str:
    """Return the source of a cell that writes these files below a folder.

    They are compressed by bzip2, which, unlike zlib, has a single implementation: the bytes are the same everywhere.
    """
    data = bz2.compress(json.dumps(dict(files), sort_keys=True).encode())
    packed = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), _COLUMNS))
    return _CELL.format(packed=packed, folder=folder)
