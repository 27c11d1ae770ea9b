"""Runs cells one after another in one namespace, and leaves Python in order after each of them."""

from __future__ import annotations

import gc
import inspect
import linecache
import sys
import types
from ast import Expr
from collections.abc import Sequence
from operator import is_
from types import CoroutineType

from agent.sandbox.inside.session.compiling import SOURCE_ERRORS, compile_plain, compile_tree
from agent.sandbox.inside.session.errors import CELL, Errors, cell_lines, describe_briefly, is_from
from agent.sandbox.inside.session.event_loops import needs_loop, run_awaiting
from agent.sandbox.inside.session.hints import Hints, Requests
from agent.sandbox.inside.session.private import BUILTINS
from agent.sandbox.inside.session.reading import FLAGS, read
from agent.sandbox.inside.session.repair import Repair
from agent.sandbox.inside.session.room import Room
from agent.sandbox.inside.session.shown import CALLED, is_shown
from agent.sandbox.inside.session.streams import Streams
from agent.sandbox.protocol import BROKEN, ERROR, NOT_RUN, OK, OUT_OF_MEMORY

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_COROUTINE = inspect.CO_COROUTINE
_count_holders = sys.getrefcount
_ONLY_HERE = 3  # holders: a variable, what it was passed on as, and the argument
_NOT_AWAITED = "(This coroutine was not awaited, so none of it has run: use await.)\n"
_REHEARSALS = ("print(end='')\n7;", "print(end='')\nNone")  # with and without a tree; neither shows anything
_VALUES = ("_", "__", "___")  # the names of the last values shown, the latest first
_ANNOTATIONS = annotations.compiler_flag  # what that import sets
_collect = gc.collect


class Interpreter:
    """One session's Python. `home` is its directory; `hints` are shown after errors.

    A cell may replace whatever it finds, this object included. What it needs later is therefore taken hold of
    first, and put back after each cell; where that fails the session is given up.
    """

    def __init__(self, home: str, hints: Hints) -> None:
        self._count = -len(_REHEARSALS)
        self._in_cell = self._has_ended = False
        self._error: BaseException | None = None
        self._module = types.ModuleType("__main__")
        self._scope = vars(self._module)
        self._streams = Streams()
        self._repair = Repair(home, self._module, self._interrupt)
        self._errors = Errors(hints)
        self._requests = Requests()
        self._room = Room()
        self._is_short = False  # whether memory may be short: to ask each time would cost more than a small cell
        self._values: list[object] = []
        self._flags = FLAGS
        self._lines = linecache.cache

    def rehearse(self) -> None:
        """Do once, while nobody waits, what every cell does, so that the first one finds its pages copied."""
        for cell in _REHEARSALS:
            self.run(cell)
        self._values = []
        self._scope.pop("_", None)

    def run(self, source: str) -> int:
        """Run one cell; its output goes to the descriptors 1 and 2.

        Alarms and signals of the cell's may strike after its end, until all is calm. Python looks for them only at
        calls and at the ends of loops: here every call stands in a `try`, and there is no loop.
        """
        self._count += 1
        self._error = None
        try:
            self._attempt(source)
        except BaseException as strike:  # noqa: BLE001
            self._error = strike
        self._in_cell = False
        try:
            calm = self._repair.calm_at_once()
        except BaseException:  # noqa: BLE001
            calm = False
        try:
            calm = calm or self._calm()
        except BaseException:  # noqa: BLE001
            calm = False
        try:
            calm = calm or self._calm()
        except BaseException:  # noqa: BLE001
            calm = False
        try:
            calm = calm or self._calm()
        except BaseException:  # noqa: BLE001
            calm = False
        try:
            calm = calm or self._calm()
        except BaseException:  # noqa: BLE001
            calm = False
        try:
            return self._finish(source) if calm else BROKEN
        except MemoryError:
            return self._finish_with_more(source)
        except BaseException:  # noqa: BLE001 - what a cell has left behind may raise anything
            return BROKEN

    def _calm(self) -> bool:
        """Whether nothing of the cell's can strike any more; where even that takes too much memory, some is given."""
        try:
            return self._repair.calm()
        except MemoryError:
            self._is_short = True
            self._room.give()
            return False

    def _finish_with_more(self, source: str) -> int:
        """Finish once more, with the memory that was kept for this."""
        self._is_short = True
        try:
            return self._finish(source) if self._room.give() else OUT_OF_MEMORY
        except MemoryError:
            return OUT_OF_MEMORY
        except BaseException:  # noqa: BLE001 - what a cell has left behind may raise anything
            return BROKEN

    def _attempt(self, source: str) -> None:
        """Run a cell and keep what it raised."""
        try:
            self._in_cell, self._has_ended = True, False
            self._execute(source, f"{CELL}{self._count}>")
            self._streams.flush()
        except BaseException as error:  # noqa: BLE001 - whatever the cell raises is the cell's result
            self._error = error

    def _execute(self, source: str, name: str) -> None:
        plain = compile_plain(source, name, self._flags)
        if plain is None:
            self._execute_tree(source, name)
            return
        self._begin(source, name)
        value = self._evaluate(plain.parts, in_loop=False)
        if value is not None:
            shown = (
                "(" not in plain.line
                or plain.is_shown(value)
                or is_shown(plain.expression(), source, value, None, self._scope)
            )
            self._take_value(value, shown=shown)

    def _execute_tree(self, source: str, name: str) -> None:
        """Run a cell of which the tree is needed: to correct its source, or to know whether a value is shown."""
        tree, source, note = read(source, name)
        self._begin(source, name)
        if note:
            self._streams.say(note)
        in_loop = needs_loop(tree, source)
        last = tree.body[-1] if tree.body else None
        parts, called = compile_tree(tree, name, source, self._flags), None
        try:
            value = self._evaluate(parts, in_loop=in_loop)
        finally:
            called = self._scope.pop(CALLED, None)
        if isinstance(last, Expr) and value is not None:
            self._take_value(value, shown=is_shown(last, source, value, called, self._scope))

    def _begin(self, source: str, name: str) -> None:
        self._remember_lines(name, source)
        self._requests.begin(source)

    def _evaluate(self, parts: Sequence[types.CodeType], *, in_loop: bool) -> object:
        """Run the parts of a cell and return the value of the last one.

        `from __future__ import annotations` holds in later cells, too.
        """
        scope, value = self._scope, None
        if parts:
            self._flags |= parts[0].co_flags & _ANNOTATIONS
            in_loop = in_loop or bool((parts[0].co_flags | parts[-1].co_flags) & _COROUTINE)
        if in_loop:
            value = run_awaiting(parts, scope)
        else:
            for part in parts:
                value = eval(part, scope)
        self._has_ended = True
        return value

    def _take_value(self, value: object, *, shown: bool) -> None:
        """Remember the value of a cell's last expression, and show it."""
        if not isinstance(value, CoroutineType):
            self._remember_value(self._scope, value)
        if shown:
            text = repr(value)
            self._streams.flush()
            self._streams.say(f"{text}\n")
        if isinstance(value, CoroutineType) and _count_holders(value) == _ONLY_HERE:
            value.close()  # or Python would complain, in words about the runner, when it goes
            self._streams.say(_NOT_AWAITED)

    def _remember_lines(self, name: str, source: str) -> None:
        """For tracebacks, and in the public place for `inspect` and `doctest`."""
        self._errors.sources[name] = source
        self._lines[name] = (len(source), None, cell_lines(source), name)

    def _remember_value(self, scope: dict[str, object], value: object) -> None:
        """Set `_`, and `__` and `___` to what it was before, unless the cell uses one of these names itself."""
        values = self._values
        if all(map(is_, map(scope.get, _VALUES, values), values)):
            self._values = values = [value, *values[:2]]
            for name, each in zip(_VALUES, values, strict=False):
                scope[name] = each

    def _finish(self, source: str) -> int:
        """Report the error, if any, and make sure that the next cell will find a Python that works, or say BROKEN."""
        status = OK
        if self._error is not None:
            status = self._status(self._error)
            self._is_short = self._is_short or isinstance(self._error, MemoryError)
            self._tell(self._error, source)
            self._error = None  # and with it what its frames hold
        has_read = self._streams.has_read()
        if has_read or self._requests.noted:
            self._streams.say(self._requests.answer(has_read=has_read))
        self._streams.restore()
        self._repair.restore()
        if self._is_short and not self._has_room():
            return OUT_OF_MEMORY
        return status if self._streams.fit() else BROKEN

    def _status(self, error: BaseException) -> int:
        """NOT_RUN if not a line of the cell has run: then it failed for what an earlier one did to Python."""
        if isinstance(error, SystemExit) and not error.code:
            return OK
        if self._has_ended or isinstance(error, SOURCE_ERRORS) or is_from(error, f"{CELL}{self._count}>"):
            return ERROR
        return NOT_RUN

    def _tell(self, error: BaseException, source: str) -> None:
        """Write an error after the cell's output."""
        message = ""
        try:
            self._in_cell = True  # building its text may never end
            self._streams.flush()
            message = self._describe(error, source)
        except BaseException as another:  # noqa: BLE001 - an exception's own text may raise anything
            message = describe_briefly(error, another)
        self._in_cell = False
        if message:
            self._streams.say(message)

    def _describe(self, error: BaseException, source: str) -> str:
        """The text of an error, for which memory that was kept is given where there is none left."""
        try:
            return self._errors.describe(error, source, is_short=self._room.is_low())
        except MemoryError:
            self._is_short = True
            if not self._room.give():
                raise
            return self._errors.describe(error, source, is_short=True)

    def _has_room(self) -> bool:
        """Whether the next cell could have some memory; where a cell used up all, what was kept for this is given."""
        if self._room.is_there():
            self._is_short = not self._room.is_kept
            return True
        _collect()  # what only the garbage collector can free may be enough
        return self._room.is_there() or self._room.give()

    def _interrupt(self, number: int, frame: types.FrameType | None) -> None:
        if self._in_cell:
            raise KeyboardInterrupt
