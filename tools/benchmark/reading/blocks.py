"""Find the program in a reply: the last fenced block that is one."""

from __future__ import annotations

import ast
import builtins
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.benchmark.reading.thinking import behind_thinking

_FENCE = re.compile(r"^(?P<before>[^`~\n]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<label>[^`~\n]*)$", re.MULTILINE)
_PYTHON = re.compile(r"\W*(?:py|py3|python\d*(?:\.\d+)?|pypy\d*|ipython\d*)(?!\w)", re.IGNORECASE)
_READING = frozenset(["input", "open", "stdin", "fileinput", "read"])
_PRINTING = frozenset(["print", "stdout", "write", "writelines"])
_MAX_ENDS = 20  # fences within a block, in its strings and comments


@dataclass(frozen=True, slots=True)
class Block:
    """The text between two fences; `tree` is None if that is not Python."""

    source: str
    label: str
    tree: ast.Module | None


def read_program(text: str, function: str | None = None) -> str | None:
    """Find the last program of a reply; if `function` is given, the last one that defines it.

    It stands in a block that is labelled as Python, or that has no label and is a program: no session of the
    interpreter, no list of values, and no lines that only call what an earlier program defines, or neither read nor
    print after a program that does.
    """
    blocks = list(_blocks(behind_thinking(text).replace("\r\n", "\n").replace("\r", "\n")))
    programs = [block for block in blocks if _is_program(block)]
    defining = [block for block in programs if function and block.tree and function in _own(block.tree)]
    for index in range(len(programs) - 1, 0, -1):
        idle = not function and not _speaks(programs[index]) and any(map(_speaks, programs[:index]))
        if not idle and not _is_example(programs[index], programs[:index]):
            break
        del programs[index]
    unlabelled = [block for block in blocks if not block.label]
    for chosen in (defining, programs, unlabelled):
        if chosen:
            return chosen[-1].source or None
    return None


def _blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a text, without one that is not closed before the end or the next one."""
    fences = list(_FENCE.finditer(text))
    index = 0
    while index < len(fences):
        opening = fences[index]
        python = _PYTHON.match(opening["label"])
        ends = [number for number in range(index + 1, len(fences)) if _closes(fences[number], opening)]
        if not ends or (opening["before"].strip(" \t>-*+.)0123456789") and not python):
            index += 1
            continue
        block, end = _first_program(text, fences, index, ends) if python or not opening["label"] else (None, ends[0])
        if block is None and any(fence["label"].strip() for fence in fences[index + 1 : ends[0]]):
            index += 1
            continue
        yield block or _block(text, opening, fences[end])
        index = end + 1


def _first_program(
    text: str, fences: Sequence[re.Match[str]], index: int, ends: Sequence[int]
) -> tuple[Block | None, int]:
    """Return the block up to the first end at which it is Python, as strings may contain fences; else the first."""
    # A fence after something else on its line rather belongs to a comment.
    for end in sorted(ends, key=lambda end: bool(fences[end]["before"].strip(" \t>")))[:_MAX_ENDS]:
        block = _block(text, fences[index], fences[end])
        if block.tree is not None:
            return block, end
    return None, ends[0]


def _closes(fence: re.Match[str], opening: re.Match[str]) -> bool:
    marks, opened = fence["marks"], opening["marks"]
    return marks[0] == opened[0] and len(marks) >= len(opened) and not fence["label"].strip()


def _block(text: str, opening: re.Match[str], closing: re.Match[str]) -> Block:
    last = closing["before"]
    source = text[opening.end() + 1 : closing.start()] + (f"{last}\n" if last.strip(" \t>") else "")
    if ">" in opening["before"]:
        source = re.sub(r"^[ \t]*> ?", "", source, flags=re.MULTILINE)
    source = textwrap.dedent(source)
    try:
        with warnings.catch_warnings(action="ignore"):  # such as those of escapes that are none
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    return Block(source, opening["label"].strip(), tree)


def _is_program(block: Block) -> bool:
    if block.label:
        return bool(_PYTHON.match(block.label)) and not block.source.lstrip().startswith((">>>", "$ "))
    return block.tree is not None and any(_acts(statement) for statement in block.tree.body)


def _acts(statement: ast.stmt) -> bool:
    """Whether it is more than a value; a line of output is not."""
    if isinstance(statement, ast.Expr):
        return any(isinstance(node, ast.Call) for node in ast.walk(statement))
    return not isinstance(statement, ast.AnnAssign) or statement.value is not None


def _is_example(block: Block, earlier: Sequence[Block]) -> bool:
    """Whether it defines nothing callable and needs names that an earlier program defines."""
    if block.tree is None:
        return False
    imported = _imported(block.tree)
    own = _defined(block.tree) - {name for other in earlier if other.tree for name in _own(other.tree) & imported}
    needed = {
        node.id for node in ast.walk(block.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    } - own
    missing = needed - set(dir(builtins))
    return any(missing & _defined(other.tree) for other in earlier if other.tree is not None)


def _speaks(block: Block) -> bool:
    """Whether it may read or print; a program that is not Python may."""
    if block.tree is None:
        return True
    nodes = list(ast.walk(block.tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return not names.isdisjoint(_READING | _PRINTING)


def _imported(tree: ast.Module) -> set[str]:
    """Return the names imported from a module that Python itself does not have, such as an earlier program's file."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    own = [node for node in imports if (node.module or "").partition(".")[0] not in sys.stdlib_module_names]
    return {alias.asname or alias.name for node in own for alias in node.names}


def _defined(tree: ast.Module) -> set[str]:
    """Return the names that a program defines, imports or has as parameters, at any depth."""
    names = _own(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


def _own(tree: ast.Module) -> set[str]:
    """Return the names of a program's own functions, classes and values, at any depth."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
