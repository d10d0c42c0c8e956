"""Whether two ways of calling a function are the same for its caller.

The same: the result with its types to the last bit, the exception's type, message and the lines of
the traceback in the user's files, what was done to the arguments, and what was printed.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import math
import struct
import sys
import traceback
import types

# CPython 3.11 runs a store and the load after it as one instruction, and reports the line of the
# store if the load finds nothing.
PAIRED_LOADS = sys.version_info[:2] == (3, 11)


class Outcome:
    """What a call of a function came to."""

    def __init__(self, function, args, kwargs=None):
        args, kwargs = copy.deepcopy((args, kwargs or {}))
        printed = io.StringIO()
        self.value = self.exception = None
        with contextlib.redirect_stdout(printed):
            try:
                self.value = function(*args, **kwargs)
            except Exception as exception:
                self.exception = (type(exception), _text(exception), lines(exception))
                if PAIRED_LOADS and isinstance(exception, UnboundLocalError):
                    self.exception = self.exception[:2]
        self.args = (args, kwargs)
        self.printed = printed.getvalue()

    def differences(self, other):
        """Differences between this and another outcome, as text; empty if there are none."""
        found = []
        if self.exception != other.exception:
            found.append(f"exception {other.exception} instead of {self.exception}")
        if not same(self.value, other.value):
            found.append(f"result {other.value!r} instead of {self.value!r}")
        if not same(self.args, other.args):
            found.append(f"arguments became {other.args!r} instead of {self.args!r}")
        if self.printed != other.printed:
            found.append(f"printed {other.printed!r} instead of {self.printed!r}")
        return "; ".join(found)


def _text(exception):
    # Addresses of objects differ from call to call.
    import re

    return re.sub(r"0x[0-9a-f]+", "0x…", str(exception))


def lines(exception):
    """Function names and lines of a traceback, as far as it is in files of the corpus."""
    return [
        (frame.name, frame.lineno)
        for frame in traceback.extract_tb(exception.__traceback__)
        if not frame.filename.endswith(("interpreter.py", "compare.py", "decorator.py"))
        and not frame.name.startswith("<")
    ]


def same(a, b, depth=0):
    """Whether two values are the same to the bit, types included."""
    if type(a) is not type(b):
        return False
    if depth > 50:
        return True
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, depth + 1) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()), depth + 1)
    if isinstance(a, (set, frozenset)):
        return a == b
    if isinstance(a, (types.FunctionType, types.BuiltinFunctionType, type, types.ModuleType)):
        return a is b or getattr(a, "__name__", 0) == getattr(b, "__name__", 1)
    if type(a).__module__ == "numpy":
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and (a.dtype.hasobject or a.tobytes() == b.tobytes() or _nan_same(a, b))
            and (not a.dtype.hasobject or same(a.tolist(), b.tolist()))
        )
    if hasattr(a, "__dict__") or hasattr(type(a), "__slots__"):
        if type(a).__eq__ is not object.__eq__ and a == b:
            return True
        return same(_state(a), _state(b), depth + 1)
    try:
        return bool(a == b) or repr(a) == repr(b)
    except Exception:
        return False


def _nan_same(a, b):
    return a.dtype.kind in "fc" and bool(((a == b) | ((a != a) & (b != b))).all())


def _state(value):
    slots = getattr(type(value), "__slots__", ())
    state = {name: getattr(value, name, None) for name in slots}
    state.update(getattr(value, "__dict__", {}))
    return state


def check_calls(function, compiled, calls):
    """Compares calls of a function with those of its compiled form, each twice."""
    for args in calls * 2:
        difference = Outcome(function, args).differences(Outcome(compiled, args))
        assert not difference, f"{args}: {difference}"


def check_no_leak(functions):
    """Calls functions with arguments, in pairs, thousands of times: memory must not grow."""

    def calls(n):
        for _ in range(n):
            for function, args in functions:
                function(*args)
        gc.collect()
        return sys.getallocatedblocks()

    calls(200)
    before = calls(500)
    assert calls(3000) - before < 500
