"""Exported tables say the same in CSV, Markdown and LaTeX, whatever stands in their cells."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.errors import InputError
from tests.support.tiers.cases import examples
from tools.shared.chart_files import draw_curves, draw_intervals
from tools.shared.exports import Column, ExportedTable, check_export, write_export, write_tables
from tools.shared.intervals import Interval

TABLE = ExportedTable(
    "t",
    "What 50% of it holds.",
    (Column("name"), Column("share", 3), Column("count"), Column("seconds", 1)),
    (("a_b & c|d", Interval(0.5, 0.25, 0.75), 1200, 1234.56), ("plain", Interval(1.0, 1.0, 1.0), None, None)),
)


def read(directory: Path, suffix: str, table: ExportedTable = TABLE) -> str:
    write_tables(directory, [table])
    return (directory / f"{table.name}{suffix}").read_text(encoding="utf-8")


def test_csv_has_all_digits_and_the_ends_of_intervals(tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(read(tmp_path, ".csv"))))
    assert rows == [
        ["name", "share", "share low", "share high", "count", "seconds"],
        ["a_b & c|d", "0.5", "0.25", "0.75", "1200", "1234.56"],
        ["plain", "1.0", "1.0", "1.0", "", ""],
    ]


def test_markdown_and_latex_escape_what_is_theirs(tmp_path: Path) -> None:
    lines = read(tmp_path, ".md").splitlines()
    assert lines[0] == "What 50% of it holds."
    assert lines[4] == r"| a_b & c\|d | 0.500 (0.250 to 0.750) | 1200 | 1,234.6 |"
    assert lines[5] == "| plain | 1.000 (1.000 to 1.000) | - | - |"
    latex = read(tmp_path, ".tex")
    assert r"a\_b \& c|d & 0.500 (0.250 to 0.750) & 1200 & 1,234.6 \\" in latex
    assert latex.startswith("% What 50%") and r"\toprule" in latex and "{lrrr}" in latex


@examples(40)
@example(rows=[("\r", None, 0.0)])
@given(
    rows=st.lists(
        st.tuples(st.text(max_size=12), st.integers() | st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=4,
    )
)
def test_any_cells_keep_their_places(
    rows: list[tuple[str, int | None, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = ExportedTable("any", "Any.", (Column("text"), Column("count"), Column("value", 2)), tuple(rows))
    directory = tmp_path_factory.mktemp("any")
    read(directory, ".csv", table)
    with (directory / "any.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.reader(file))[1:]
    assert [float(row[2]) for row in found] == [row[2] for row in rows]
    assert [int(row[1]) if row[1] else None for row in found] == [row[1] for row in rows]
    lines = (directory / "any.md").read_text(encoding="utf-8").split("\n")[4:-1]
    assert len(lines) == len(rows)
    assert all(line.replace(r"\|", "").count("|") == 4 for line in lines)


def test_charts_are_written_alike_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    values = {"one": Interval(1.0, 0.5, 1.5), "other": Interval(2.0, 2.0, 2.0)}
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        draw_intervals([tmp_path / folder / name for name in ("i.svg", "i.png")], values, "value", zero=True)
        curve = [(1.0, Interval(0.5, 0.4, 0.6)), (2.0, Interval(0.6, 0.5, 0.7))]
        draw_curves([tmp_path / folder / "c.svg"], {"run": curve}, ("samples", "right"), logarithmic=True)
    for name in ("i.svg", "i.png", "c.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "i.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for act in (check_export, lambda folder: write_tables(folder, [TABLE])):
        with pytest.raises(InputError, match="name another --export"):
            act(tmp_path / "file")
    with pytest.raises(InputError, match="name another --failures"):
        write_export(tmp_path / "file" / "t.html", "", "--failures")


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_what_an_export_needs_is_said_before_it_is_made(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=r"pip install 'aimo-agent\[lab\]'"):
        check_export(tmp_path / "out")


@pytest.mark.parametrize("count", [1, 2, 9])
def test_no_interval_lies_on_the_frame_of_its_chart(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn: list[tuple[float, float]] = []
    monkeypatch.setattr(figure, "savefig", lambda self, *_, **__: drawn.append(self.axes[0].get_ylim()))
    draw_intervals([tmp_path / "i.svg"], {f"policy {n}": Interval(1.0, 0.5, 2.0) for n in range(count)}, "value")
    ((bottom, top),) = drawn
    assert top <= -0.25 and bottom >= count - 0.75
