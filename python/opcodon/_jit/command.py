"""``opcodon jit FILE.py:FUNCTION``: call a function as machine code, and show how it runs."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import timeit
import traceback
from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any

from opcodon._jit.decorator import function_type, jit

# Seconds for which calls are repeated to time them.
TIMED = 0.3

# Objects that no call can change.
UNCHANGEABLE = (int, float, complex, str, bytes, range, type(None))


class CommandError(Exception):
    """What is asked for cannot be done; the message says why."""


def run(target: str, arguments: Sequence[str], options: tuple[bool, bool, bool, bool]) -> int:
    """Do what the command line asks; returns the exit code.

    Parameters
    ----------
    target
        ``FILE.py:FUNCTION``.
    arguments
        Python expressions.
    options
        Whether the report, the listing, times are asked for; whether all is written as JSON.
    """
    wants_report, wants_listing, wants_time, as_json = options
    try:
        module, function = _load(target)
        told: dict[str, Any] = {"function": target}
        values = _values(module, arguments)
        start = time.perf_counter()
        result = function(*values)
        told["result"] = repr(result)
        told["signatures"] = function.signatures()
        if wants_time:
            told["first_call_s"] = time.perf_counter() - start
            told["call_s"] = _timed(function, module, arguments)
            told["python_call_s"] = _timed(function.fallback, module, arguments)
        if wants_report:
            told["report"] = str(function.report())
        if wants_listing:
            told["listing"] = str(function.listing())
    except CommandError as error:
        _fail(str(error), as_json=as_json)
        return 1
    except Exception as error:
        if as_json:
            _fail(f"{type(error).__name__}: {error}", as_json=True)
        else:
            traceback.print_exception(error.with_traceback(_theirs(error)))
        return 1
    if as_json:
        print(json.dumps(told))
        return 0
    print(told["result"])
    for part in ("report", "listing"):
        if part in told:
            print(f"\n{told[part]}")
    if wants_time:
        native, python = told["call_s"], told["python_call_s"]
        print(f"\nfirst call  {_seconds(told['first_call_s'])}, compiling included")
        print(f"a call      {_seconds(native)}")
        print(f"in Python   {_seconds(python)}: {python / native:.1f} times as long")
    return 0


def _load(target: str) -> tuple[ModuleType, Any]:
    """The file as a module, and the compiled function."""
    file, colon, name = target.rpartition(":")
    if not colon or not name:
        raise CommandError(f"{target!r} names no function; write FILE.py:FUNCTION")
    if not os.path.isfile(file):
        raise CommandError(f"there is no file {file!r}")
    stem = os.path.splitext(os.path.basename(file))[0]
    spec = importlib.util.spec_from_file_location(stem, file)
    if spec is None or spec.loader is None:
        raise CommandError(f"{file!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    spec.loader.exec_module(module)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, function_type()):
        return module, found
    if not isinstance(found, FunctionType):
        known = [key for key, value in vars(module).items() if _is_function(value, stem)]
        there = f"; it has {', '.join(known)}" if known else ""
        raise CommandError(f"{file} has no function {name!r}{there}")
    return module, jit(found)


def _is_function(value: Any, module: str) -> bool:
    is_function = isinstance(value, (FunctionType, function_type()))
    return is_function and value.__module__ == module


def _values(module: ModuleType, arguments: Sequence[str]) -> list[Any]:
    """The values of arguments, computed anew."""
    values = []
    for number, text in enumerate(arguments, 1):
        try:
            values.append(eval(text, dict(vars(module))))
        except Exception as error:
            raise CommandError(
                f"argument {number}, {text!r}: {type(error).__name__}: {error}"
            ) from error
    return values


def _timed(function: Callable[..., Any], module: ModuleType, arguments: Sequence[str]) -> float:
    """Seconds of the quickest call.

    Calls that cannot change their arguments are timed many at once, others one by one, each with
    arguments of its own.
    """
    values = _values(module, arguments)
    timer = timeit.Timer("function(*values)", globals={"function": function, "values": values})
    n_calls = 1
    if all(isinstance(value, UNCHANGEABLE) for value in values):
        n_calls = timer.autorange()[0]
    best = float("inf")
    end = time.perf_counter() + TIMED
    while True:
        best = min(best, timer.timeit(n_calls) / n_calls)
        if time.perf_counter() > end:
            return best
        values[:] = _values(module, arguments)


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"


def _fail(message: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": message}))
    else:
        print(f"error: {message}", file=sys.stderr)


def _theirs(error: BaseException) -> Any:
    """The part of a traceback that is not of this file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace
