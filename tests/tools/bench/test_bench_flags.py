"""Numbers and names that the flags of the benchmarks refuse."""

from __future__ import annotations

import pytest

from tools.bench.command import main


@pytest.mark.parametrize(
    "words",
    [
        "engine --lanes x",
        "engine --lanes 8,",
        "engine --tokens 0",
        "engine --repeats 0",
        "gpu --lanes 0",
        "kv-cache RUN --samples -1",
        "lane --lanes x",
        "lane --lanes 1,,2",
        "lane --models foo",
        "lane --tokens -5",
        "lane --repeats 0",
        "lane --step -1",
        "lane --step nan",
        "sandbox --sizes 0",
    ],
)
def test_a_number_or_name_that_cannot_be_measured_is_refused_in_one_line_that_names_the_flag(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(words.split())
    told = capsys.readouterr().err.strip()
    assert exit_info.value.code == 2 and "\n" not in told
    assert f"argument {words.split()[-2]}: " in told
