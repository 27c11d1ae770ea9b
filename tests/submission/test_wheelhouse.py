"""The wheelhouse: what it is resolved for, and that the check notices what is missing."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from agent.errors import InputError
from submission.environment import REQUIREMENTS, create_environment, install_offline
from submission.metadata import DATASET_FILE, check_dataset, read_metadata
from submission.wheelhouse.check import check_wheelhouse, modules_of
from submission.wheelhouse.command import Target, main, write_dataset

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_wheel(folder: Path, name: str, source: str, *, requires: str = "") -> Path:
    """A wheel of one module."""
    info = f"{name}-1.0.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    records = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*records, f"{info}/RECORD,,", ""])
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def list_wheels(folder: Path, *wheels: Path) -> None:
    lines = [f"{w.name.split('-')[0]}==1.0 --hash=sha256:{hashlib.sha256(w.read_bytes()).hexdigest()}" for w in wheels]
    (folder / REQUIREMENTS).write_text("\n".join(lines))


@pytest.mark.process
def test_a_complete_wheelhouse_passes(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one_wheel", "import two_wheel", requires="two_wheel")
    two = make_wheel(tmp_path, "two_wheel", "")
    list_wheels(tmp_path, one, two)
    assert "2 wheels installed, 2 modules imported" in check_wheelhouse(tmp_path, HERE)


@pytest.mark.process
def test_what_is_missing_is_noticed(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one_wheel", "", requires="two_wheel")
    list_wheels(tmp_path, one)
    with pytest.raises(InputError, match=r"two.wheel"):
        check_wheelhouse(tmp_path, HERE)


@pytest.mark.process
def test_what_cannot_be_imported_is_noticed(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one_wheel", "import two_wheel")
    list_wheels(tmp_path, one)
    with pytest.raises(InputError, match=r"one_wheel .ModuleNotFoundError"):
        check_wheelhouse(tmp_path, HERE)


@pytest.mark.process
def test_a_module_that_only_lacks_a_gpu_s_driver_is_distinguished(tmp_path: Path) -> None:
    fault = "raise ImportError('libcuda.so.1: cannot open shared object file')"
    list_wheels(tmp_path, make_wheel(tmp_path, "one_wheel", fault), make_wheel(tmp_path, "two_wheel", ""))
    assert "1 modules imported, 1 that need a GPU's driver not" in check_wheelhouse(tmp_path, HERE)


@pytest.mark.process
def test_a_module_may_make_a_cache_in_the_home_directory(tmp_path: Path) -> None:
    source = "from pathlib import Path\nPath.home().joinpath('.cache/homely').mkdir(parents=True)\n"
    list_wheels(tmp_path, make_wheel(tmp_path, "homely", source))
    assert "1 modules imported" in check_wheelhouse(tmp_path, HERE)
    assert not Path.home().joinpath(".cache/homely").exists()


@pytest.mark.process
def test_a_wheel_that_is_not_the_one_resolved_is_not_installed(tmp_path: Path) -> None:
    list_wheels(tmp_path, make_wheel(tmp_path, "one_wheel", ""))
    make_wheel(tmp_path, "one_wheel", "# changed on the way")
    with pytest.raises(InputError, match=r"(?i)hash"):
        install_offline(create_environment(tmp_path / "environment"), tmp_path)


def test_a_python_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no Python 2\.9 on this machine"):
        check_wheelhouse(tmp_path, "2.9")


def test_modules_are_those_that_a_user_imports(tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        modules = ("a/__init__.py", "a/b.py", "a/c/__init__.py", "c.py", "d.cpython-312.so", "_e.py", "f/g.py")
        for name in (*modules, "google/protobuf/__init__.py", "a-1.dist-info/METADATA", "a-1.data/scripts/__init__.py"):
            archive.writestr(name, "")
    assert sorted(modules_of(wheel)) == ["a", "c", "d", "google.protobuf"]


def test_wheels_are_requested_for_kaggles_platform_unless_told_otherwise() -> None:
    flags = Target("3.12").pip_flags
    assert "--platform=manylinux_2_17_x86_64" in flags
    assert "--platform=manylinux2014_x86_64" in flags
    assert "--abi=cp312" in flags
    assert "--python-platform" in Target("3.10").uv_flags
    assert Target("3.12", here=True).pip_flags == []


def test_the_dataset_s_metadata_is_valid(tmp_path: Path) -> None:
    write_dataset(tmp_path, "someone")
    assert check_dataset(read_metadata(tmp_path / DATASET_FILE), tmp_path).id == "someone/aimo-agent-wheels"


def test_an_owner_that_cannot_be_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="owner/slug"):
        write_dataset(tmp_path, "some one")


def test_help_is_quick_and_bad_flags_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for flags, status in ((["--help"], 0), (["--engine", "abacus"], 2)):
        with pytest.raises(SystemExit) as caught:
            main(flags)
        assert caught.value.code == status


@pytest.mark.parametrize(
    ("flags", "python"), [([], "3.12"), (["--here"], HERE), (["--here", "--python", "3.13"], "3.13")]
)
def test_wheels_are_for_kaggle_s_python_or_with_here_for_this_one(
    flags: list[str], python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Target] = []

    def resolve(target: Target, engine: str) -> list[str]:
        asked.append(target)
        return [f"{engine}==1.0"]

    monkeypatch.setattr("submission.wheelhouse.command.resolve", resolve)
    assert main(["--dry-run", *flags]) == 0
    assert asked == [Target(python, "--here" in flags)]


def test_a_name_that_kaggle_does_not_take_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("submission.wheelhouse.command.resolve", lambda *_: pytest.fail("wheels are resolved"))
    assert main(["--owner", "My Name", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: --owner 'My Name' is no name on Kaggle: ")
