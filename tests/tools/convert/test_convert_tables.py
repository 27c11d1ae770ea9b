"""A table of samples, as a DataFrame writes it, becomes a recording; what is wrong is named by row and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.convert.test_convert import complaint, converted, written


def test_a_table_of_samples_is_the_same_recording(tmp_path: Path) -> None:
    lines = written(
        tmp_path / "mine.jsonl",
        {"id": "a", "gold": 204, "answer": "204", "tokens": 900},
        {"id": "a", "gold": 204, "answer": None, "tokens": 30},
        {"id": "b, c", "gold": "1/2", "answer": 7, "tokens": 1200, "truncated": True},
    )
    table = written(
        tmp_path / "frame.csv",
        ",id,gold,answer,tokens,truncated",
        "0,a,204,204.0,900.0,False",
        "1,a,204.0,,30,",
        '2,"b, c",1/2,7,1200,True',
    )
    assert converted(tmp_path / "1", table, "--model", "mine") == {
        key: {**row, "source": "frame, converted by tools.convert"}
        for key, row in converted(tmp_path / "2", lines, "--model", "mine").items()
    }


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (("id,gold,answr,tokens", "a,1,1,9"), "frame.csv has no column 'answer' (did you mean answr?)"),
        (("id;gold;answer;tokens", "a;1;1;9"), "frame.csv has no column 'id' (found: 'id;gold;answer;tokens')"),
        (("id,gold,answer,tokens", "a,1,1,9", "a,1,1,9,9"), "frame.csv, row 3 has more cells than row 1"),
        (("id,gold,answer,tokens", "a,1,1,many"), "frame.csv, row 2, field 'tokens' is 'many'"),
        (("id,gold,answer,tokens", "a,1,1"), "frame.csv, row 2, field 'tokens' is missing"),
        (("id,gold,answer,tokens", ",1,1,9"), "frame.csv, row 2, field 'id' is missing"),
        (("id,gold,answer,tokens,truncated", "a,1,1,9,perhaps"), "frame.csv, row 2, field 'truncated' is 'perhaps'"),
        (("id,gold,answer,tokens",), "frame.csv holds no samples"),
        ((), "frame.csv has no column 'id'"),
    ],
)
def test_what_is_wrong_in_a_table_is_named_by_row_and_column(
    table: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "frame.csv", *table)
    assert told in complaint(capsys, path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
