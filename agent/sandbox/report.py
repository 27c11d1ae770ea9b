"""What each layer of the sandbox stops, and which of them this system has, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in words: `stops` what it keeps a cell from, `leaves` what remains possible in spite of it."""

    title: str
    stops: str
    leaves: str


LAYERS: dict[str, Layer] = {
    "uid": Layer(
        "unprivileged user",
        "touching the files and processes of anybody else; each session has a user id of its own",
        "reading what is readable for everybody",
    ),
    "no_new_privs": Layer("no new privileges", "gaining rights through set-uid programs", "using the rights it has"),
    "seccomp": Layer(
        "seccomp filter",
        "starting processes or programs, sockets, signals to others, tracing, mounts, rare kernel interfaces",
        "opening files; threads and memory, which other limits hold",
    ),
    "landlock": Layer(
        "Landlock",
        "reading or writing files other than Python's own and the scratch directory; TCP; abstract sockets",
        "seeing whether a file exists",
    ),
    "mounts": Layer(
        "mount namespace",
        "seeing any file but Python's own, which are read-only; filling the disk: scratch is a bounded tmpfs",
        "filling its own scratch directory",
    ),
    "network": Layer("network namespace", "any network, localhost included", "nothing: it has no interface"),
    "ipc": Layer(
        "IPC namespace", "leaving shared memory, semaphores or queues behind", "what the session itself holds"
    ),
    "pids": Layer("pid namespace", "seeing, signalling or outliving other processes", "its own threads"),
    "pdeathsig": Layer("parent-death signal", "outliving the zygote", "nothing"),
    "rlimits": Layer(
        "resource limits",
        "more memory, larger files, more open files than allowed; core dumps",
        "what all sessions together use, which the watch limits",
    ),
    "environment": Layer("clean environment", "reading the caller's variables", "nothing: it is written anew"),
    "watch": Layer(
        "watch and kill",
        "using too much memory, threads or scratch space; surviving the session",
        "up to a tenth of a second of each",
    ),
}


def sentence(missing: Mapping[str, str]) -> str:
    """The layers that are active and those that are not, with the reasons, in one line."""
    active = ", ".join(layer.title for name, layer in LAYERS.items() if name not in missing)
    if not missing:
        return f"Sandbox layers active: {active}; none is missing."
    lacking = "; ".join(f"{LAYERS[name].title} ({why})" for name, why in missing.items())
    return f"Sandbox layers active: {active}; missing: {lacking}."


def print_report(console: Console, missing: Mapping[str, str]) -> None:
    """The same as a table that says what each layer does and does not stop."""
    table = Table("layer", "here", "stops", "does not stop", show_lines=True)
    for name, layer in LAYERS.items():
        here = f"no: {missing[name]}" if name in missing else "yes"
        table.add_row(layer.title, here, layer.stops, layer.leaves)
    console.print(table)
    console.print(sentence(missing), soft_wrap=True)
