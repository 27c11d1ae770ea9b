"""Prices and the limit as they are given, and the cost as it is shown."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.cli.arguments import parse_arguments, prices
from agent.cli.run_spec import make_run_spec
from agent.config import load_config, save_config
from agent.cost.account import Account
from agent.cost.ledger import CostLedger, LaneLimits
from agent.errors import InputError
from agent.events import ProblemSolved, ProblemStarted, RequestCharged
from agent.journal.journal import Journal, create_run, read_run
from agent.policy.token_prices import PriceConfig
from agent.solve import main
from agent.types import Problem, StopReason, Usage
from agent.views.live import LiveView
from agent.views.plain import PlainView
from agent.views.table import as_json, render
from tests.support.samples import sample, solution
from tests.support.view_events import Clock, frame, written

PROBLEM = Problem("p1", "What is 6 times 7?", 42)
CHARGED = RequestCharged("p1", 0, 0.01, 0.0321, "USD")
USED = Usage(3, 1, 1_000, 0, 200, 0.0123, "USD")
amounts = st.floats(0, 1e3)
counts = st.integers(0, 10**6)


@given(amounts, amounts, amounts, counts, counts, counts)
def test_no_request_costs_more_than_the_most_that_is_kept_for_it(
    input_price: float, cached_price: float, output_price: float, prompt: int, cached: int, generated: int
) -> None:
    price = PriceConfig(
        input_per_million=input_price, cached_input_per_million=cached_price, output_per_million=output_price
    )
    most = price.most(prompt, generated)
    assert 0 <= price.cost(prompt, cached, generated) <= most * (1 + 1e-9) + 1e-12


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(1, 5_000), st.floats(0, 1), st.integers(0, 64))
def test_the_room_of_an_account_is_what_it_can_pay_for_and_not_a_token_less(
    input_price: float, output_price: float, length: int, limit: float, answer: int
) -> None:
    price = PriceConfig(input_per_million=input_price, output_per_million=output_price)
    account = Account(CostLedger(price, LaneLimits(1_000, answer), limit), 0.0, lambda cost: None)
    room = int(account.room(length))
    if room >= 1:
        assert account.reserve(length, room)
    more = Account(CostLedger(price, LaneLimits(1_000, answer), limit), 0.0, lambda cost: None)
    if answer:
        assert not more.reserve(length, max(1, room + 2))


def test_prices_are_given_as_two_or_three_numbers() -> None:
    assert prices(None) == {}
    assert list(prices("0.1,0.05,0.4").values()) == [0.1, 0.05, 0.4]
    for wrong in ("", "1", "1,2,3,4", "a,b", "-1,2", "nan,1", "1,inf", "1;2"):
        with pytest.raises(InputError, match=r"--price .* is not valid: give the prices of a million tokens"):
            prices(wrong)


def test_a_limit_without_prices_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["What is 1+1?", "--max-cost", "2"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("error: configuration (cpu): budget.max_cost (--max-cost) needs prices: give --price")
    assert main(["What is 1+1?", "--max-cost", "-2", "--price", "1,2"]) == 2


def test_a_profile_has_prices_and_the_flags_override_them(tmp_path: Path) -> None:
    path = tmp_path / "hosted.toml"
    save_config(load_config("qwq", {"price.input_per_million": 0.1, "price.currency": "EUR"}), path)
    words = ("What?", "--profile", str(path), "--price", "0.2,0.4", "--max-cost", "3")
    spec = make_run_spec(parse_arguments(words))
    assert (spec.config.price.input_per_million, spec.config.price.currency) == (0.2, "EUR")
    assert ", for at most 3.00 EUR, " in spec.announcement


def test_a_resumed_run_takes_another_limit_and_no_other_prices(tmp_path: Path) -> None:
    config = load_config("qwq", {"price.input_per_million": 0.1, "budget.max_cost": 1.0})
    create_run(tmp_path, config, [PROBLEM])
    words = ["--run-dir", str(tmp_path), "--resume", "--max-cost", "2"]
    assert make_run_spec(parse_arguments(words)).config.budget.max_cost == 2
    assert main([*words, "--price", "1,2"]) == 2


def test_a_journal_of_before_has_no_cost(tmp_path: Path) -> None:
    create_run(tmp_path, load_config("qwq"), [PROBLEM])
    journal = Journal(tmp_path)
    journal.close()
    line = {"kind": "sample", "problem_id": "p1", "index": 0, "seed": 1, "turns": [], "answer": 42, "end": "answered"}
    line |= {"forced": False, "started": 0.0, "seconds": 1.0}
    (tmp_path / "journal.jsonl").write_text(json.dumps(line) + "\n")
    record = read_run(tmp_path)
    assert record.samples[0].usage is None
    assert not record.charges


def test_the_views_show_what_the_run_has_cost() -> None:
    clock = Clock()
    live = LiveView(2, clock, {})
    console = Console(file=io.StringIO(), width=200)
    plain = PlainView(console, 2, clock, {})
    for view in (live, plain):
        view(ProblemStarted(PROBLEM, "", 60.0, 8))
        view(CHARGED)
    assert "cost 0.0321 USD" in frame(live)[0]
    plain(ProblemSolved(solution()))
    assert written(console).splitlines()[-1].endswith(" · cost 0.0321 USD")


def test_the_table_shows_what_the_samples_have_cost() -> None:
    samples = [sample(42, usage=USED), sample(None, index=1, usage=replace(USED, cost=1.0))]
    config = load_config("qwq")
    console = Console(file=io.StringIO(), width=120, color_system=None)
    unpaid = solution("p2", {}, stop=StopReason.COST_LIMIT, samples_started=0)
    console.print(render([PROBLEM], [solution(), unpaid], samples, config))
    lines = written(console).splitlines()
    assert "cost" in lines[0].split()
    assert "1.01 USD" in lines[1]
    assert any("1.01 USD for the samples · 1.01 USD a problem" in line for line in lines)
    assert any("cost limit, the run had no money left" in line for line in lines)
    told = as_json([PROBLEM], [solution()], samples, config.rules)["totals"]
    assert (told["cost"], told["currency"]) == (pytest.approx(1.0123), "USD")  # type: ignore[index]


def test_without_prices_no_cost_is_shown() -> None:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(render([PROBLEM], [solution()], [sample(42)], load_config("qwq")))
    assert "cost" not in written(console)
    assert "USD" not in written(console)
