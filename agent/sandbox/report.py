"""The report on the sandbox's layers: what each of them stops, and which of them this system has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
        "starting processes or programs, sockets, signals to others, tracing, mounts, rare kernel interfaces; "
        "memory that no limit counts; locks on files and the sizes of buffers report success and have no effect",
        "opening files; threads and memory, which other limits hold",
    ),
    "landlock": Layer(
        "Landlock",
        "reading or writing files other than Python's own and the scratch directory; TCP; abstract sockets",
        "seeing whether a file exists, where there is no mount namespace",
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
        "using too much memory, threads, scratch space or CPU; surviving the session or its main thread",
        "up to a tenth of a second of each, two tenths of the CPU",
    ),
}

_ALWAYS = (
    "A cell that rewrites the interpreter it runs in can answer for later cells of its own session, but of no other.",
    "A thread that a cell leaves behind can read the next request in the session's place, and answer it.",
    "Timing shows a cell how busy the machine is, and two sessions could signal to each other by it.",
    "What the watch counts may be passed for up to a tenth of a second, so a burst needs that much room.",
    "Names of files that a cell looks up in vain fill caches of the kernel, which gives that memory back when it is "
    "needed.",
    "A session with many threads counts as up to two with one thread, and for the first moment as more.",
    "Locks on files hold nobody off, not even another thread of the same session.",
    "All sessions share one kernel: a flaw in it opens whatever it guards.",
)
_WITHOUT: tuple[tuple[str, str], ...] = (
    ("uid", "Without users of their own, sessions are kept from the caller's files and processes by the other layers "
     "alone, and a burst of threads counts against the caller's processes until the watch ends it."),
    ("no_new_privs", "Without it, a set-uid program gives a cell its owner's rights."),
    ("seccomp", "Without the filter, cells start processes and use the network: run only what is trusted."),
    ("landlock", "Without Landlock, users and mounts alone keep files from cells."),
    ("landlock mounts", "Without Landlock and a mount namespace, a cell reads every file that its user may read, and "
     "writes uncounted where everybody may write, such as /tmp."),
    ("landlock mounts uid", "Without these three, files that are open or mapped but have no name are not counted."),
    ("mounts", "Without a mount namespace, a cell sees whether a file exists, its size and times; the disk is shared, "
     "and scratch files are counted rather than bounded."),
    ("network", "Without a network namespace, the filter alone keeps cells from sockets."),
    ("ipc", "Without an IPC namespace, the filter alone keeps cells from shared memory, semaphores and queues."),
    ("pids", "Without a pid namespace, a cell sees which process numbers are taken; the filter alone keeps it from "
     "signalling others."),
    ("pdeathsig", "Without the parent-death signal, sessions of a zygote that was killed end only when they next wait "
     "for a cell."),
    ("rlimits", "Without limits, the watch alone ends a session that takes too much memory or writes too much."),
)  # fmt: skip


def remaining(missing: Collection[str]) -> list[str]:
    """What remains open where these layers are missing, a sentence each."""
    return [*_ALWAYS, *(text for names, text in _WITHOUT if set(names.split()) <= set(missing))]


def sentence(missing: Mapping[str, str]) -> str:
    """The layers that are active and those that are not, with the reasons, in one line."""
    active = ", ".join(layer.title for name, layer in LAYERS.items() if name not in missing)
    if not missing:
        return f"Sandbox layers active: {active}; none is missing."
    lacking = "; ".join(f"{LAYERS[name].title} ({why})" for name, why in missing.items())
    return f"Sandbox layers active: {active}; missing: {lacking}."


def print_report(console: Console, missing: Mapping[str, str]) -> None:
    """Print a table of what each layer does and does not stop, and what remains open."""
    table = Table("layer", "here", "stops", "does not stop", show_lines=True)
    for name, layer in LAYERS.items():
        here = f"no: {missing[name]}" if name in missing else "yes"
        table.add_row(layer.title, here, layer.stops, layer.leaves)
    console.print(table)
    console.print("What remains open:")
    for text in remaining(missing):
        console.print(f"- {text}", soft_wrap=True)
    console.print(sentence(missing), soft_wrap=True)
