"""Rules of the user's own, in a file that a policy names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import InputError
from agent.policy.planning.plan import ProblemPlan, RunSoFar
from agent.policy.planning.planners import PLANNERS
from agent.policy.planning.price import plan_by_price
from agent.policy.registries import RULES
from agent.policy.settings import BudgetConfig
from agent.policy.stopping import STOPPING_RULES
from tests.support.runs.recordings import write_traces
from tests.tools.replay.test_replay import complaint, replayed
from tools.replay import own_rules
from tools.replay.command import main
from tools.replay.own_rules import register_own_rule
from tools.replay.policies import POLICIES, policy_keys

README = Path(own_rules.__file__).with_name("README.md")
FLAGS = ("--budget-tokens", "3000", "--repeats", "2", "--problems", "6", "--samples", "6", "--no-bounds")
HEAD = """
from agent.policy.grants import GrantRule
from agent.policy.planning.plan import Planner, ProblemPlan
from agent.policy.state import GO_ON
from agent.policy.stopping import StoppingRule
from agent.policy.voting import VotingRule
"""


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """The registries as they were."""
    before: list[tuple[Any, dict[str, Any]]] = [(rules, dict(rules)) for rules in RULES.values()]
    yield
    for rules, entries in before:
        rules.clear()
        rules.update(entries)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    return write_traces(tmp_path / "model.jsonl")


def rules_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.py"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example of the README."""
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "rules.py"
    path.write_text(code[0], encoding="utf-8")
    return path


def test_the_example_of_the_readme_plays_as_the_rules_that_it_writes_down(
    capsys: pytest.CaptureFixture[str], traces: Path, example: Path
) -> None:
    own = f"{example}:two_thirds+{example}:generous,stopping.votes=2"
    known = f"{example}:two_thirds+spread-2,stopping.votes=2"
    flags = (*FLAGS, "--problems", "3", "--repeats", "1", "--policy", "all")
    result = replayed(capsys, traces, *flags, "--policy", own, "--compare", own, known)
    assert result["comparisons"][0]["difference"] == 0
    assert {own, known, *POLICIES} == set(result["policies"])
    stops = replayed(capsys, traces, "--stop-only", "--samples", "6", "--repeats", "1", "--policy", own)
    assert stops["policies"][own]["wall"] < 1


@pytest.mark.process
def test_workers_read_the_file_themselves(
    capsys: pytest.CaptureFixture[str], traces: Path, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example.parent)
    flags = (traces, *FLAGS, "--problems", "3", "--repeats", "11", "--policy", "rules.py:two_thirds")
    alone = replayed(capsys, *flags)
    assert main([*map(str, flags), "--json", "--processes", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == alone


def test_a_rule_of_each_kind_sets_the_key_of_its_kind(tmp_path: Path) -> None:
    path = rules_file(
        tmp_path,
        "stop = StoppingRule(lambda progress, config: GO_ON)\n"
        "grant = GrantRule(lambda bank, budget: bank.mean)\n"
        "plan = Planner(lambda run, budget: ProblemPlan(run.share, 3))\n"
        "vote = VotingRule(lambda own, sample, voting, edition: own, lambda own, voting: own)\n",
    )
    keys = {"vote": "voting.rule", "stop": "stopping.rule", "plan": "budget.planner", "grant": "budget.planner"}
    assert {*keys.values()} == {*RULES}
    for name, key in keys.items():
        assert policy_keys(f"{path}:{name}")[key] == f"{path}:{name}"


def test_a_grant_rule_is_a_planner_that_starts_all_lanes(tmp_path: Path) -> None:
    register_own_rule(name := f"{rules_file(tmp_path, 'half = GrantRule(lambda bank, budget: bank.left / 2)')}:half")
    run, budget = RunSoFar(left=900.0, problems_left=3, mean=300.0, max_lanes=7), BudgetConfig()
    assert PLANNERS[name].plan(run, budget) == ProblemPlan(450.0, 7, plan_by_price(run, budget).price)


@pytest.mark.parametrize("policy", ["{}", "{}+equal", "price+{}"])
def test_a_stopping_rule_sees_the_price_and_the_share_whatever_plans(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, traces: Path, policy: str
) -> None:
    path = rules_file(
        tmp_path,
        "seen = []\n"
        "def stop(progress, config):\n"
        "    seen.append((progress.price, progress.share))\n"
        "    return GO_ON\n"
        "rule = StoppingRule(stop)\n",
    )
    replayed(capsys, traces, *FLAGS, "--problems", "3", "--policy", policy.format(f"{path}:rule"))
    seen = own_rules._module(str(path), str(path)).seen
    assert min(share for _, share in seen) > 0
    assert {price > 0 for price, _ in seen} == {True, False}, "only the last problem's time is worth nothing"


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("", "rule", "rules.py has no rule 'rule': give one of StoppingRule, GrantRule, VotingRule, Planner"),
        ("margins = StoppingRule(None)\n", "margin", "did you mean margins?"),
        ("rule = print\n", "rule", "rules.py:rule is a builtin_function_or_method, and no rule"),
        ("import nowhere\n", "rule", "rules.py cannot be run: ModuleNotFoundError in line 7"),
        ("raise SystemExit(3)\n", "rule", "rules.py cannot be run: SystemExit in line 7"),
        ("def\n", "rule", "rules.py cannot be run: SyntaxError"),
        ("rule = StoppingRule(lambda p, c: p.counts[7])\n", "rule", "IndexError in line 7: tuple index out of range"),
        ("rule = StoppingRule(lambda p, c: 1 / 0)\n", "rule", "it was given Progress(tally=Tally(votes="),
        ("rule = StoppingRule(lambda p: GO_ON)\n", "rule", "TypeError"),
        ("rule = StoppingRule(lambda p, c: True)\n", "rule", "rules.py:rule gave True: make it return a Verdict"),
        ("rule = GrantRule(lambda b, c: float('nan'))\n", "rule", "a number of seconds; it was given Bank(left="),
        ("rule = Planner(lambda r, b: 60)\n", "rule", "a ProblemPlan with seconds and a price from 0 up"),
        ("rule = VotingRule(lambda o, s, v, e: -1, lambda o, v: o)\n", "rule", "given Sample(problem_id="),
        ("rule = VotingRule(lambda o, s, v, e: 9 * o, lambda o, v: o)\n", "rule", "more than its bound of 1"),
    ],
)
def test_whatever_is_wrong_with_a_rule_is_told_by_its_file_and_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, traces: Path, text: str, name: str, told: str
) -> None:
    path = rules_file(tmp_path, text)
    assert main([str(traces), *FLAGS, "--processes", "1", "--policy", f"{path}:{name}"]) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    (message,) = (line for line in err.splitlines() if not line.startswith("read "))
    assert message.startswith("error: ")
    assert told in message and "rules.py" in message


@pytest.mark.parametrize(
    "rule",
    [
        *(f"StoppingRule(lambda p, c: Verdict({given}))" for given in ("'done'", "True", "None, None", "None, nan")),
        *(f"Planner(lambda r, b: ProblemPlan({given}))" for given in ("None, 8", "nan, 8", "-1.0, 8")),
        *(f"Planner(lambda r, b: ProblemPlan({given}))" for given in ("9.0, 4.5", "9.0, 0", "9.0, -1", "9.0, True")),
        *(f"Planner(lambda r, b: ProblemPlan({given}))" for given in ("9.0, 8, nan", "9.0, 8, inf", "9.0, 8, -1e-9")),
    ],
)
def test_a_value_of_the_right_type_that_cannot_be_used_is_told(tmp_path: Path, rule: str) -> None:
    path = rules_file(tmp_path, f"from math import inf, nan\nfrom agent.policy.state import Verdict\nrule = {rule}\n")
    register_own_rule(f"{path}:rule")
    own: Any = PLANNERS if rule.startswith("Planner") else STOPPING_RULES
    function: Any = own[f"{path}:rule"].plan if own is PLANNERS else own[f"{path}:rule"].verdict
    with pytest.raises(InputError, match=r"rules\.py:rule gave (Verdict|ProblemPlan)\(.*: make it return a \1 with"):
        function("a state", "a table")


@pytest.mark.parametrize(
    "rule",
    [
        *(
            f"StoppingRule(lambda p, c: {given})"
            for given in ("GO_ON", "Verdict(None, 3)", "Verdict(StopReason.AGREED)")
        ),
        *(f"Planner(lambda r, b: ProblemPlan({given}))" for given in ("inf, 8", "0, 1", "9.5, int64(8), 1e-3")),
    ],
)
def test_values_that_can_be_used_are_handed_on(tmp_path: Path, rule: str) -> None:
    imports = "from math import inf\nfrom numpy import int64\nfrom agent.policy.state import Verdict\n"
    path = rules_file(tmp_path, f"{imports}from agent.types import StopReason\nrule = {rule}\n")
    register_own_rule(f"{path}:rule")
    own: Any = PLANNERS if rule.startswith("Planner") else STOPPING_RULES
    function: Any = own[f"{path}:rule"].plan if own is PLANNERS else own[f"{path}:rule"].verdict
    assert function("a state", "a table") is not None


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path, traces: Path) -> None:
    assert "there is no file" in complaint(capsys, traces, "--policy", f"{tmp_path / 'no.py'}:rule")
    assert "there is no file" in complaint(capsys, traces, "--policy", f"{tmp_path / 'no.py'}:")
