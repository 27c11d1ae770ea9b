"""Which model a rehearsal attaches, and where: what the notebook's own settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from submission.build.command import NOTEBOOK_FILE, build_notebook, write_notebook
from submission.built_notebook import BuiltNotebook
from submission.competitions import COMPETITIONS
from submission.rehearse.attached import attach_model, likeness_for, place_of
from submission.rehearse.command import main

SOURCE = "me/my-model/transformers/default/1"
DEFAULT = "Qwen/QwQ-32B-AWQ"


def built(*, files: Any = None, **settings: Any) -> BuiltNotebook:
    return BuiltNotebook({"PROFILE": "auto", "MODEL": "", "SOURCES": [], **settings}, files or {}, ())


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({}, "models/owner/qwq-32b-awq/transformers/default/1"),
        ({"MODEL": "my-model"}, "models/owner/my-model/transformers/default/1"),
        ({"SOURCES": [SOURCE]}, f"models/{SOURCE}"),
        ({"SOURCES": ["you/x/other/y/3", SOURCE], "MODEL": "My-Model"}, f"models/{SOURCE}"),
        (
            {"SOURCES": [SOURCE], "MODEL": "/kaggle/input/models/me/my-model/transformers/default/1/"},
            f"models/{SOURCE}",
        ),
        ({"SOURCES": [SOURCE], "MODEL": f"/kaggle/input/models/{SOURCE}/awq"}, f"models/{SOURCE}/awq"),
        ({"SOURCES": [SOURCE], "MODEL": "/kaggle/input/my-model/transformers/default/1"}, SOURCE[3:]),
        ({"SOURCES": ["me/my-data/2"]}, "datasets/me/my-data/qwq-32b-awq"),
        ({"MODEL": "/kaggle/input/anywhere/x"}, "anywhere/x"),
        # What is attached is not where MODEL says, so that the notebook will not find it, as on Kaggle.
        ({"SOURCES": [SOURCE], "MODEL": "other"}, f"models/{SOURCE}"),
        ({"SOURCES": [SOURCE], "MODEL": "/kaggle/input/models/me/other/transformers/default/1"}, f"models/{SOURCE}"),
        ({"SOURCES": [SOURCE], "MODEL": "/kaggle/input/models/me/my-model/transformers/default/2"}, f"models/{SOURCE}"),
        ({"SOURCES": [SOURCE], "MODEL": f"/kaggle/input/models/you/{SOURCE[3:]}"}, f"models/{SOURCE}"),
        ({"SOURCES": [SOURCE], "MODEL": "/kaggle/input/my-model/default/transformers/1"}, f"models/{SOURCE}"),
    ],
)
def test_the_model_lies_where_kaggle_will_mount_what_is_attached(settings: dict[str, Any], place: str) -> None:
    assert str(place_of(built(**settings), DEFAULT)) == place


def profile(model: Any) -> dict[str, str]:
    return {
        "agent/profiles/x.toml": f'[engine]\nmodel = "{model}"\n',
        "own/mine.toml": f'[engine]\nmodel = "{model}"\n',
    }


def test_the_likeness_is_that_of_the_model_that_is_named(tmp_path: Path) -> None:
    assert likeness_for(built(), DEFAULT) == DEFAULT
    assert likeness_for(built(MODEL="my-model", SOURCES=[SOURCE]), DEFAULT) == DEFAULT
    assert likeness_for(built(SOURCES=["openai/gpt-oss-20b/transformers/default/1"]), DEFAULT) == "gpt-oss-20b"
    longest = built(SOURCES=["qwen-lm/qwq-32b/transformers/qwq-32b-awq/1"])
    assert likeness_for(longest, DEFAULT) == "qwq-32b-awq"
    assert likeness_for(built(PROFILE="x", files=profile("openai/gpt-oss-120b")), DEFAULT) == "openai/gpt-oss-120b"
    own = built(PROFILE="aimo_agent/own/mine.toml", files=profile(tmp_path))
    assert likeness_for(own, DEFAULT) == str(tmp_path)
    assert likeness_for(built(PROFILE="x", files=profile("qwq-32b-q4.gguf")), DEFAULT) == DEFAULT


@pytest.mark.parametrize("text", ["[engine", "engine = 3", "[engine]\nmodel = 3", "\x00"])
def test_a_profile_that_was_edited_into_none_names_no_model(text: str) -> None:
    assert likeness_for(built(PROFILE="x", files={"agent/profiles/x.toml": text}), DEFAULT) == DEFAULT
    assert likeness_for(built(PROFILE="aimo_agent/own/x.toml", files={"own/x.toml": text}), DEFAULT) == DEFAULT


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--attach", "models/typo"], "no model 'models/typo': give one of qwq-32b, "),
        (["--edition", "aimo3"], "--edition aimo3 is not that of the notebook, aimo2: leave it out"),
        (["--notebook", "no.ipynb"], "no.ipynb cannot be read (No such file or directory)"),
        (["--notebook", "README.md"], "README.md is no notebook"),
        (["--attach", "tests"], "tests holds no model: give a directory with a config.json or a GGUF file"),
        (["--problems", "no.csv"], "no.csv does not exist"),
        (["--problems", "tests/../README.md"], "README.md"),
        (["--evaluation-package", "tests"], "tests holds no kaggle_evaluation: give the folder"),
    ],
)
def test_what_is_wrong_with_the_notebook_is_said_before_anything_is_fetched(
    flags: list[str], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("submission.rehearse.command.resolve", lambda *_: pytest.fail("wheels are fetched"))
    write_notebook(build_notebook(COMPETITIONS["aimo2"], {}), tmp_path / NOTEBOOK_FILE)
    assert main(["--notebook", str(tmp_path / NOTEBOOK_FILE), "--out", str(tmp_path / "out"), *flags]) == 2
    error = capsys.readouterr().err
    assert fault in " ".join(error.split()) and "Traceback" not in error


def test_the_likeness_of_a_directory_has_its_description_and_the_size_of_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("submission.rehearse.attached._GGUF_HEAD_BYTES", 4)
    own, likeness = tmp_path / "own", tmp_path / "likeness"
    (own / "folder").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "model.gguf"):
        (own / name).write_bytes(b"GGUF1234")
    attach_model(str(own), likeness)
    assert {path.name: path.read_bytes() for path in likeness.iterdir()} == {
        "config.json": b"GGUF1234",
        "model.safetensors": b"\0" * 8,
        "model.gguf": b"GGUF\0\0\0\0",
    }
