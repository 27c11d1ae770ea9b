"""Repairs what a cell broke in Python itself, so that the next one finds it as in a notebook.

What a cell set for itself stays: variables, modules, search paths, filters that show or ignore warnings, handlers of
alarms, the working directory. What would disturb the next cell is removed: timers, hooks, signal handlers that raise.
"""

from __future__ import annotations

import _imp
import asyncio
import builtins
import codecs
import faulthandler
import gc
import importlib
import os
import signal
import sys
import types
import warnings
from collections.abc import Callable
from operator import is_
from typing import Any, NoReturn

from agent.sandbox.inside.session.private import BUILTINS
from agent.sandbox.inside.session.snapshot import CODEC_ERRORS, Changes, differ, snapshot

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_signal: Any = importlib.import_module("_signal")  # whose functions are faster than those of `signal`
_OWN_SIGNALS = frozenset((signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF))  # those of timers, which are stopped
_STRIKING = (*_OWN_SIGNALS, signal.SIGUSR1, signal.SIGUSR2)  # what a cell is most likely to have signals of
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_INTERRUPT, _CONTINUE, _IGNORE = signal.SIGINT, signal.SIGCONT, _signal.SIG_IGN
_BLOCK, _REPLACE = _signal.SIG_BLOCK, _signal.SIG_SETMASK
_SWITCH_INTERVAL = sys.getswitchinterval()
_OWNER = 0o700  # what a mask of file modes must not take from the owner
_WHEN_BOUND = os.RTLD_LAZY | os.RTLD_NOW  # a library has to be opened with one of them
_MOST_LOCKS = 1_000
_Module, _FUNCTIONS = types.ModuleType, (types.FunctionType, types.BuiltinFunctionType)
_set, _delete = type.__setattr__, type.__delattr__
_set_class = vars(object)["__class__"].__set__


def _refuse_audit_hook(hook: object) -> NoReturn:
    """Stand for sys.addaudithook, whose effect could not be undone."""
    raise RuntimeError("audit hooks cannot be added here: they could never be taken away again")


class Repair:
    """Remembers what Python is like before the first cell. `home` is the directory that is surely there."""

    def __init__(self, home: str, main: types.ModuleType, on_interrupt: Callable[..., None]) -> None:
        self._home, self._main, self._scope = home, main, vars(main)
        self._names = vars(sys)
        self._names["addaudithook"] = _refuse_audit_hook
        self._mask = 0o022  # the umask, as last seen
        self._recursion, self._open_flags = sys.getrecursionlimit(), sys.getdlopenflags()
        _signal.signal(signal.SIGINT, on_interrupt)
        self._numbers = tuple(sorted(set(map(int, _signal.valid_signals())) - {signal.SIGKILL, signal.SIGSTOP}))
        self._first_handlers = tuple(map(_signal.getsignal, self._numbers))
        self._modules = sys.modules
        self._first = snapshot()
        self._seen = self._first.tables()
        self._changes = Changes(self._first.watched())
        self._paths = [*sys.path]
        self._lists = [(each, [*each]) for each in (sys.meta_path, sys.path_hooks)]
        self._callbacks = (gc.callbacks, [*gc.callbacks])
        self._codec_errors = [(name, codecs.lookup_error(name)) for name in CODEC_ERRORS]
        self._filters: list[Any] = [*warnings.filters]
        self._bind_calls()

    def _bind_calls(self) -> None:
        """Hold all functions that are called after a cell, wherever it may have put others.

        Those that are called after each are in tuples: Python looks for one that is called as an attribute in the class
        first, and does not learn that it is not there. It also finds attributes fastest where there are at most 28.
        """
        self._set_signal, self._get_signal = _signal.signal, _signal.getsignal
        self._set_timer, self._set_mask = _signal.setitimer, _signal.pthread_sigmask
        dumps = (faulthandler.cancel_dump_traceback_later, faulthandler.unregister)
        self._hooks = (sys.settrace, sys.setprofile, self._set_mask, *dumps)
        numbers = (sys.getrecursionlimit, sys.set_int_max_str_digits, sys.setswitchinterval, sys.getdlopenflags)
        self._settings = (*numbers, gc.enable, gc.set_debug, asyncio._set_running_loop, _imp.lock_held)
        self._setters = (sys.setrecursionlimit, sys.setdlopenflags)
        self._files = (os.umask, os.getcwdb, os.chdir)
        self._codecs = (codecs.lookup_error, codecs.register_error)
        self._release_lock = _imp.release_lock

    def calm(self) -> bool:
        """Stop what could still interrupt: alarms, handlers, hooks. Returns True; call it again if it raises."""
        self._set_mask(_BLOCK, _STRIKING)
        for timer in _TIMERS:
            self._set_timer(timer, 0)
        if not self._has_first_handlers():
            self._set_mask(_BLOCK, self._numbers)
            self._restore_handlers()
        self._remove_hooks()
        return True

    def calm_at_once(self) -> bool:
        """The same in less time where no signal has a handler that could interrupt; False where one has."""
        if not self._has_first_handlers():
            return False
        set_timer = self._set_timer
        for timer in _TIMERS:
            set_timer(timer, 0)
        self._remove_hooks()
        return True

    def _has_first_handlers(self) -> bool:
        return all(map(is_, map(self._get_signal, self._numbers), self._first_handlers))

    def _remove_hooks(self) -> None:
        set_trace, set_profile, set_mask, cancel_dump, unregister = self._hooks
        set_trace(None)
        set_profile(None)
        set_mask(_REPLACE, ())
        cancel_dump()
        unregister(_INTERRUPT)
        unregister(_CONTINUE)

    def restore(self) -> None:
        """Restore everything else; raises whatever the cell's own objects raise where that cannot be done."""
        recursion, set_digits, set_interval, open_flags, enable_gc, gc_debug, set_loop, lock_held = self._settings
        set_recursion, set_open_flags = self._setters
        if recursion() < self._recursion:
            set_recursion(self._recursion)
        set_digits(0)
        set_interval(_SWITCH_INTERVAL)
        if not open_flags() & _WHEN_BOUND:
            set_open_flags(self._open_flags)
        enable_gc()
        gc_debug(0)
        set_loop(None)
        if lock_held():
            self._release_import_lock()
        self._restore_files()
        if self._changes.may_have_happened():
            self._restore_names()
        self._restore_imports()
        self._scope["__builtins__"], self._scope["__name__"] = builtins, "__main__"
        if type(self._main) is not _Module:
            _set_class(self._main, _Module)
        self._modules["__main__"] = self._main
        if warnings.filters != self._filters:
            self._restore_filters()

    def _restore_handlers(self) -> None:
        """Take handlers of a cell's away; a thread that it left behind may still send such a signal, to no effect."""
        for index, number in enumerate(self._numbers):
            handler, first = self._get_signal(number), self._first_handlers[index]
            if handler is not first:
                self._set_signal(number, first if callable(first) else _IGNORE)  # forgets those that wait, too
                if number in _OWN_SIGNALS:
                    self._set_signal(number, handler)

    def _release_import_lock(self) -> None:
        try:
            for _ in range(_MOST_LOCKS):
                self._release_lock()
        except RuntimeError:  # no longer held, or by another thread, which will release it
            return

    def _restore_files(self) -> None:
        umask, getcwd, chdir = self._files
        mask = umask(self._mask)
        if mask != self._mask:
            self._mask = mask & ~_OWNER
            umask(self._mask)
        try:
            getcwd()
        except OSError:  # the working directory was removed
            chdir(self._home)

    def _restore_names(self) -> None:
        handler_of, register = self._codecs
        for name, handler in self._codec_errors:
            if handler_of(name) is not handler:
                register(name, handler)
        if differ(self._seen):
            self._restore_modules()
        if self._names["modules"] is not self._modules or not self._has_core():
            self._restore_loaded()

    def _restore_modules(self) -> None:
        """Put back every name that was there at first, and take note of those that are new."""
        for free, names, first in self._first.parts():
            for name, value in first.items():
                if name not in names or (names[name] is not value and name not in free):
                    names[name] = value
        self._names["addaudithook"] = _refuse_audit_hook
        for kind, first in self._first.classes:
            _restore_class(kind, first)
        self._restore_finders()
        self._seen = self._first.tables()

    def _restore_finders(self) -> None:
        """Forget that a directory holds nothing: it is looked at anew."""
        finders = self._first.finders
        for place in [place for place, finder in finders.items() if finder is None]:
            del finders[place]

    def _restore_imports(self) -> None:
        paths = self._names.get("path")
        if paths != self._paths:
            if type(paths) is not list:
                paths = []
            self._names["path"] = [*paths, *(path for path in self._paths if path not in paths)]
            self._paths = [*self._names["path"]]
            self._seen = self._first.tables()
        for each, seen in self._lists:
            if each != seen:
                _restore_list(each, seen, self._modules)
        callbacks, first = self._callbacks
        if callbacks != first:
            callbacks[:] = first

    def _has_core(self) -> bool:
        loaded = self._modules.get
        return all(map(is_, map(loaded, self._first.core), self._first.core.values()))

    def _restore_loaded(self) -> None:
        """Put modules back that were loaded before the first cell, if the cell took the most needed away."""
        self._names["modules"] = self._modules
        for name, module in self._first.loaded.items():
            if self._modules.get(name) is None:
                self._modules[name] = module
        self._modules.update(self._first.core)

    def _restore_filters(self) -> None:
        """Leave out filters that turn warnings into errors: no later cell would expect those."""
        filters = warnings.filters
        if type(filters) is not list:
            warnings.filters = filters = [*self._filters]
        kept = [each for each in filters if not (type(each) is tuple and each[0] == "error")]
        if len(kept) < len(filters):
            filters[:] = kept
            warnings._filters_mutated()  # type: ignore[attr-defined]
        self._filters = [*filters]


def _restore_class(kind: type, first: dict[str, Any]) -> None:
    """Let a class have what it had at first, and nothing else."""
    now = {**vars(kind)}
    for name in now:
        if name not in first:
            _delete(kind, name)
    for name, value in first.items():
        if now.get(name) is not value:
            _set(kind, name, value)


def _restore_list(each: list[Any], seen: list[Any], modules: dict[str, types.ModuleType]) -> None:
    """Take out what cells have put in, keep what libraries have, and put back what was there at first."""
    kept = [entry for entry in each if _is_of_library(entry, modules)]
    each[:] = [*(entry for entry in kept if entry not in seen), *seen]
    seen[:] = each


def _is_of_library(entry: object, modules: dict[str, types.ModuleType]) -> bool:
    """Whether a class or function, or an object's class, is found in the module that it says it is of."""
    origin = entry if isinstance(entry, (type, *_FUNCTIONS)) else type(entry)
    name = origin.__module__
    module = modules.get(name) if type(name) is str and name != "__main__" else None
    return module is not None and any(value is origin for value in [*vars(module).values()])
