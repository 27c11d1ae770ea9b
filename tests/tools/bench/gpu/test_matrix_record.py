"""The file of a matrix: what is written is read again, torn or strange lines included."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InputError
from tests.support.runs.serving_matrices import USUAL, matrix_results, plan_of, speed_of
from tests.support.tiers.cases import examples
from tools.bench.gpu.matrix import ServingMatrix
from tools.bench.gpu.record import MEASUREMENTS, append_record, read_matrix
from tools.bench.gpu.results import MatrixResults

PLAN = plan_of(ServingMatrix(("stored",), ("auto",), ("none",), (8, 16)))


def written(directory: Path, results: MatrixResults) -> Path:
    for record in (results.plan, *results.records):
        append_record(directory, record)
    return directory / MEASUREMENTS


@examples(15)
@given(matrix_results(), st.data())
def test_what_was_recorded_is_read_again_also_where_the_last_line_is_torn(
    results: MatrixResults, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), results)
        assert read_matrix(path.parent) == results
        content = path.read_bytes()
        lines = content.splitlines(keepends=True)
        if len(lines) > 1:
            path.write_bytes(content[: -data.draw(st.integers(2, len(lines[-1]) - 1))])
            shorter = MatrixResults(results.plan, results.records[:-1])
            assert read_matrix(path.parent) == shorter
            append_record(path.parent, results.records[-1])
            assert read_matrix(path.parent) == results


def test_lines_of_later_versions_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, MatrixResults(PLAN, (speed_of(USUAL, 8, 100.0),)))
    with path.open("a") as file:
        file.write('{"kind": "energy", "joules": 3}\n')
    assert read_matrix(tmp_path).records == (speed_of(USUAL, 8, 100.0),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "does not begin with the plan of a matrix"),
        ('{"kind": "energy"}\n', "does not begin with the plan"),
        ("not JSON\n{}\n", "line 1 of .* cannot be read"),
        ('{"kind": "plan"}\n', "line 1 of .* cannot be read .it is no measurement.: remove that line"),
        ('{"kind": ["plan"]}\n', "line 1 of .* cannot be read"),
    ],
)
def test_a_file_that_is_no_matrix_is_refused_in_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / MEASUREMENTS).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_matrix(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_told_twice_counts_as_told_last() -> None:
    results = MatrixResults(PLAN, (speed_of(USUAL, 8, 100.0), speed_of(USUAL, 8, 90.0)))
    assert results.speeds[USUAL, 8].agent.per_second == 90.0
