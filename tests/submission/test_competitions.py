"""The records of competitions and editions are complete: what one of them lacks would fail on Kaggle alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load_config
from agent.editions import EDITIONS
from agent.errors import InputError
from agent.types import Edition, Problem
from submission.competitions import COMPETITIONS, Competition, competition_of
from submission.metadata import MACHINE_SHAPES
from submission.rehearse.scored_gateway import run_genuine
from submission.serving.evaluation import serve_predict
from submission.serving.mounts import RERUN_VARIABLE, ROOT_VARIABLE

SERVED = [competition for competition in COMPETITIONS.values() if competition.server is not None]
ITERATED = [competition for competition in COMPETITIONS.values() if competition.server is None]
_SERVER = """
class {name}:
    def __init__(self, predict):
        self.predict = predict

    def serve(self):
        self.predict("served", "by {name}")
"""
_GATEWAY = """
from pathlib import Path

class Client:
    def __init__(self, address):
        self.endpoint_deadline_seconds = 0

class {name}:
    def __init__(self, paths):
        self.client = Client("elsewhere")
        Path("called").write_text("{name} " + paths[0])

    def run(self):
        pass
"""
_ENVIRONMENT = """
def make_env():
    return Environment()

class Environment:
    def iter_test(self):
        import polars
        row = polars.DataFrame({"id": ["served"], "problem": ["by an iterator"]})
        yield row, {}

    def predict(self, sample):
        pass
"""


def named(competition: Competition) -> str:
    return competition.edition.name


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Competition], Path]]:
    """Mounts a stand-in of a competition's package, with just the classes that its record names."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setenv(RERUN_VARIABLE, "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def mount(competition: Competition) -> Path:
        folder = tmp_path / "input" / "competitions" / competition.slug
        (folder / competition.package).mkdir(parents=True)
        (folder / competition.package / "__init__.py").write_text(_ENVIRONMENT if competition.server is None else "")
        for path, source in ((competition.server, _SERVER), (competition.gateway, _GATEWAY)):
            if path is not None:
                *modules, name = path.split(".")
                (folder / Path(*modules)).with_suffix(".py").write_text(source.replace("{name}", name))
        importlib.invalidate_caches()
        return folder

    yield mount
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {competition.package for competition in COMPETITIONS.values()}:
            del sys.modules[name]


def load() -> list[Problem]:
    return [Problem("p1", "1 + 1?", 2)]


def test_every_edition_has_its_competition_and_every_record_its_own_name() -> None:
    assert list(COMPETITIONS) == list(EDITIONS)
    assert [name for name, edition in EDITIONS.items() if edition.name != name] == []
    assert [name for name, competition in COMPETITIONS.items() if competition.edition is not EDITIONS[name]] == []
    assert len({competition.slug for competition in COMPETITIONS.values()}) == len(COMPETITIONS)


@pytest.mark.parametrize("competition", COMPETITIONS.values(), ids=named)
def test_the_profile_of_a_competition_is_for_its_rules_and_its_machine(competition: Competition) -> None:
    config = load_config(competition.profile)
    assert config.edition == competition.edition.name
    assert competition.machine_shape in MACHINE_SHAPES
    gpu = config.vllm.gpu.replace(" ", "").lower()  # RTX PRO 6000, of NvidiaRtxPro6000
    assert gpu and competition.machine_shape.lower().endswith(gpu)
    assert config.budget.floor_seconds * competition.edition.problem_count <= config.time_limit_seconds
    if competition.response_seconds is not None:
        assert config.budget.ceiling_seconds < competition.response_seconds  # a later response ends the run


@pytest.mark.parametrize("competition", COMPETITIONS.values(), ids=named)
def test_a_competition_names_both_sides_of_its_package_or_neither(competition: Competition) -> None:
    assert (competition.server is None) == (competition.gateway is None)
    for path in (competition.server, competition.gateway):
        assert path is None or path.startswith(f"{competition.package}.")
    assert competition.scored_runs >= 1
    assert 0 < competition.margin_seconds < competition.edition.time_limit_seconds


@pytest.mark.parametrize("competition", COMPETITIONS.values(), ids=named)
def test_every_competition_serves_predict_through_its_mounted_package(
    competition: Competition, mounted: Callable[[Competition], Path]
) -> None:
    mounted(competition)
    seen = []

    def predict(id_: object, problem: object) -> pl.DataFrame:
        seen.append(id_ if isinstance(id_, str) else id_.item())  # type: ignore[attr-defined]
        return pl.DataFrame({"answer": [0]})

    serve_predict(predict, competition, load)
    assert seen == ["served"]


@pytest.mark.parametrize("competition", SERVED, ids=named)
def test_a_rehearsal_runs_the_genuine_gateway_of_every_competition_that_has_one(
    competition: Competition, mounted: Callable[[Competition], Path]
) -> None:
    folder = mounted(competition)
    assert run_genuine(Path("test.csv"), competition, folder) == 0
    assert Path("called").read_text() == f"{str(competition.gateway).rpartition('.')[2]} test.csv"


@pytest.mark.parametrize("competition", ITERATED, ids=named)
def test_one_whose_notebook_asks_itself_has_no_gateway_to_run(competition: Competition, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no gateway process"):
        run_genuine(Path("test.csv"), competition, tmp_path)


def test_an_unknown_edition_is_refused_with_the_known_names() -> None:
    with pytest.raises(InputError, match=f"^unknown edition 'aimo0': give one of {', '.join(COMPETITIONS)}$"):
        competition_of("aimo0")


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=lambda edition: edition.name)
@given(st.integers(-(10**9), 10**9))
def test_an_integer_is_reduced_to_an_answer_of_the_edition_or_to_none(edition: Edition, value: int) -> None:
    answer = edition.reduce(value)
    if answer is None:
        assert edition.modulus is None and not 0 <= value <= edition.max_answer
    else:
        assert 0 <= answer <= edition.max_answer
        assert edition.reduce(answer) == answer
        assert (answer - value) % (edition.modulus or 1) == 0
        assert edition.modulus is not None or answer == value


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=lambda edition: edition.name)
def test_every_edition_can_be_answered(edition: Edition) -> None:
    assert edition.reduce(0) == 0
    assert edition.reduce(edition.max_answer) == edition.max_answer
    assert edition.problem_count >= 1
    assert edition.time_limit_seconds > 0
