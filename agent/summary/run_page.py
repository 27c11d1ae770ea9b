"""A run on one page that is read in a minute: how it started, each problem, what the engine did, the memory.

The notebook's own process writes it too, while the run is under way. What the directory lacks, or holds torn, is left
out; a line that is not what it should be raises LookupError, TypeError, ValueError or AttributeError.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from agent.cost.money import money_text
from agent.events import ServerMemory

PREDICTOR_FILE = "predictor.jsonl"  # how the notebook answered each problem
PAGE_FILE = "run-page.html"  # the page itself, as the notebook writes it beside its run
NOTES_FILE = "notebook.jsonl"  # the parts of the start, and the memory, as the notebook saw them
_JOURNALS = ("journal.jsonl", "journal.jsonl.gz")
_SAMPLE = b'{"kind": "sample"'  # begins the lines that make a journal long
_ENGINE_FIGURES = re.compile(r"\b(?:took|takes|finished in) [\d.]+|KV cache size: ")  # where none are journalled
_LOG_BYTES = 4_000_000  # the start is written first
_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.4 system-ui;max-width:70rem;margin:auto;padding:1rem}"
    "td,th{padding:.1rem .6rem .1rem 0;text-align:left;vertical-align:top}div{overflow-x:auto}"
    # On a phone a row is a paragraph, each of its values behind what it is.
    "@media(max-width:40rem){th{display:none}tr{display:block;padding-bottom:.6rem}"
    "td{display:inline-block;overflow-wrap:anywhere}td:empty{display:none}"
    "td:not(:first-child)::before{content:attr(data-head) ' ';opacity:.65}}"
)

_Row = Mapping[str, Any]


def run_page(directory: Path) -> str:
    """The page of the run in a directory, as HTML. Raises OSError if a file cannot be read."""
    answered = [row for row in _rows(directory / PREDICTOR_FILE) if row.get("source") != "memory"]
    notes = list(_rows(directory / NOTES_FILE))
    journal = [row for name in _JOURNALS for row in _rows(directory / name)]
    solutions = {row["problem_id"]: row for row in journal if row.get("kind") == "solution"}
    problems = answered or [{"id": id_, **row} for id_, row in solutions.items()]
    charged = [row for row in journal if row.get("kind") == "cost"]
    parts = [
        f"<h1>{escape(directory.resolve().name)}</h1>",
        f"<p>{escape(_headline(problems, solutions) + _cost(charged))}</p>",
        *_section("Start", _start(notes, journal, directory)),
        *_section("Answered by the fallback, and why", _listed(_fallbacks(answered))),
        *_section("Engine events and warnings", _listed(_events(journal, answered))),
        *_section("Memory", _listed([*_server_memory(journal), *_memory(notes)])),
        *_section("Problems", _problems(problems, solutions, charged)),
    ]
    head = f"<meta charset=utf-8><meta name=viewport content=width=device-width><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en><title>The run</title>{head}\n" + "\n".join(parts) + "\n"


def write_run_page(directory: Path, page: Path) -> None:
    """Write the page as a whole. Raises OSError if that is not possible."""
    unfinished = page.with_name(f".{page.name}.tmp")
    unfinished.write_text(run_page(directory), encoding="utf-8", errors="replace")
    unfinished.replace(page)


def _rows(path: Path) -> Iterator[_Row]:
    """The JSON objects in a file, but for samples."""
    if not path.is_file():
        return
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            if line.startswith(_SAMPLE):
                continue
            try:
                row = json.loads(line)
            except ValueError:  # torn by a kill
                continue
            if isinstance(row, dict):
                yield row


def _headline(problems: Sequence[_Row], solutions: Mapping[str, _Row]) -> str:
    voted = sum(row.get("source", "vote") == "vote" and row.get("answer") is not None for row in problems)
    runs, tokens = (sum(row[key] for row in solutions.values()) for key in ("tool_runs", "tokens"))
    seconds = _time(sum(row["seconds"] for row in problems))
    return f"{voted} of {len(problems)} answered by vote, in {seconds}; {runs:,} tool runs, {tokens:,} tokens"


def _cost(charged: Sequence[_Row]) -> str:
    """What the run has cost, with what it cost before it was resumed; "" where nothing is counted."""
    return f"; cost {money_text(charged[-1]['total'], charged[-1]['currency'])}" if charged else ""


def _start(notes: Sequence[_Row], journal: Sequence[_Row], directory: Path) -> Iterator[str]:
    """What was chosen to run, and the parts of the start; a worker that was replaced started again.

    Where no notebook noted them, they are those that the journal has of the server.
    """
    told_setup = (line for row in notes if row.get("kind") == "setup" for line in row["text"].splitlines())
    yield from (f"<p>{escape(line)}</p>" for line in told_setup)
    told = [row for row in journal if row.get("kind") == "start"]
    parts = [row for row in notes if row.get("kind") == "start"] or [
        {"part": part, "seconds": seconds} for row in told for part, seconds in row["parts"].items()
    ]
    if parts:
        whole = {"part": "together", "seconds": sum(row["seconds"] for row in parts)}
        yield _table(
            ("part of the start", "seconds"), ((row["part"], f"{row['seconds']:.1f}") for row in [*parts, whole])
        )
    if not told:  # by a version that did not read the server's log, or of another server
        yield from _listed(_engine_figures(directory / "engine.log"))


def _engine_figures(log: Path) -> Iterator[str]:
    """What the engine itself says, as in: Loading weights took 93.10 seconds."""
    if not log.is_file():
        return
    with log.open("rb") as file:
        lines = file.read(_LOG_BYTES).decode("utf-8", "replace").splitlines()
    found = (line.rpartition("] ")[2].strip()[:200] for line in lines if _ENGINE_FIGURES.search(line))
    yield from (f"engine.log: {line}" for line, _ in zip(dict.fromkeys(found), range(8), strict=False))


def _problems(rows: Sequence[_Row], solutions: Mapping[str, _Row], charged: Sequence[_Row]) -> Iterator[str]:
    heads = ["problem", "answer", "votes", "lanes ended", "tool runs", "tokens", "seconds", "closed by"]
    lines = [_problem(row, solutions.get(row["id"], {})) for row in rows]
    if charged:
        heads.append("cost")
        costs: Counter[str] = Counter()
        for each in charged:
            costs[each["problem_id"]] += each["cost"]
        lines = [[*line, money_text(costs[line[0]], charged[-1]["currency"])] for line in lines]
    if rows:
        yield _table(heads, lines)


def _problem(row: _Row, solution: _Row) -> list[str]:
    answer = "none" if row.get("answer") is None else str(row["answer"])
    votes = " · ".join(map(_vote, solution.get("tally", {}).get("votes", [])[:3]))
    return [
        str(row["id"]),
        f"{answer} (fallback)" if row.get("source") == "fallback" else answer,
        votes or str(row.get("votes", "")),
        f"{solution['samples_finished']} of {solution['samples_started']}" if solution else "",
        f"{solution['tool_runs']:,}" if solution else "",
        f"{solution['tokens']:,}" if solution else "",
        f"{row['seconds']:,.0f}" + (f" of {solution['allowance']:,.0f}" if solution else ""),
        str(row.get("closed") or solution.get("stop", "")),
    ]


def _vote(vote: _Row) -> str:
    weight = "" if vote["weight"] == vote["samples"] else f" (weight {vote['weight']:g})"
    return f"{vote['answer']}: {vote['samples']}{weight}"


def _fallbacks(answered: Iterable[_Row]) -> Iterator[str]:
    for row in answered:
        if row.get("source") == "fallback":
            yield f"{row['id']}: {row['answer']}; {'; '.join([row['closed'] or 'no votes', *row['warnings']])}"


def _events(journal: Iterable[_Row], answered: Iterable[_Row]) -> Iterator[str]:
    for row in journal:
        if row.get("kind") in ("engine", "warning"):
            yield f"{_time(row['at'])}: {row['text']}"
        elif row.get("kind") == "check":
            fault = f": {row['fault']}" if row.get("fault") else ""
            yield f"model checked: {row['right']} of {row['asked']} right, {row['seconds']:.0f} s{fault}"
    for row in answered:
        yield from (f"{row['id']}: {warning}" for warning in row["warnings"])


def _server_memory(journal: Iterable[_Row]) -> Iterator[str]:
    for row in journal:
        if row.get("kind") == "start" and (text := ServerMemory(**row.get("memory", {})).text):
            yield f"server: {text}"


def _memory(notes: Iterable[_Row]) -> Iterator[str]:
    seen = [row for row in notes if row.get("kind") == "memory"]
    if seen:
        most = max(seen, key=lambda row: float(row["used"]))
        yield f"at most {most['used'] / 1e9:.1f} of {most['total'] / 1e9:.1f} GB in use, at {_time(most['at'])}"


def _section(title: str, content: Iterable[str]) -> list[str]:
    """The heading and the content; nothing without content."""
    parts = list(content)
    return [f"<h2>{title}</h2>", *parts] if parts else []


def _listed(lines: Iterable[str]) -> list[str]:
    items = [f"<li>{escape(line)}</li>" for line in lines]
    return [f"<ul>{''.join(items)}</ul>"] if items else []


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(map(_cell, heads, row))}</tr>\n" for row in rows)
    return f"<div><table><tr>{head}</tr>\n{body}</table></div>"


def _cell(head: str, text: str) -> str:
    return f'<td data-head="{escape(head)}">{escape(text)}</td>'


def _time(seconds: float) -> str:
    """H:MM:SS."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
