"""f-strings and `str` of numbers, against CPython."""

import importlib
import math
import pathlib
import sys
from decimal import Decimal

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome, check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


class Shouts:
    def __init__(self, log):
        self.log = log

    def __format__(self, spec):
        self.log.append(f"format {spec}")
        return spec.upper()

    def __repr__(self):
        self.log.append("repr")
        return "<shouts>"


class Text(str):
    __slots__ = ()


class Refuses:
    def __format__(self, spec):
        raise ValueError(f"no {spec}")


class Named:
    def __init__(self, name):
        self.name = name

    def __format__(self, spec):
        return Text(self.name)


VALUES = [
    *[0, 7, -7, 2**31, -(2**63), 2**63 - 1, 2**70, True, False, None],
    *[0.0, -0.0, 0.1, -2.5, 1e22, 1e-7, 123456.789, 1e300, math.inf, -math.inf, math.nan],
    *["", "x", "é", "text", "naïve €", "\U0001f40d", "a\ud800b", Text("sub"), 1.5 + 2j, (1, "a")],
    *[[1], {"k": 1}, Decimal("1.50"), np.float64(2.5), np.int32(3), np.float32(0.1), b"bytes"],
]
SPECS = ["", "5d", "05d", "d", "2d", ".2f", "8.3f", "08.1f", "f", ".0f", "10", "<6", ">6", "e", "x"]
SPECS += [
    "+d",
    ",",
    "s",
    "05",
    ".3",
    "%",
    "099d",
    "100d",
    "5.2d",
    ".f",
    "d5",
    "-5d",
    "99.99f",
    "0d",
]


def plain(x):
    return f"{x}", f"<{x}>", f"{x}{x}", f"{x!r}|{x!s}|{x!a}", f"{x!r:>12}"


def text_of(x):
    return str(x), repr(x), str(x) + "!"


def sums(x, y):
    return f"{x + y}:{x}{y * 2} {x - y!r}"


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{value!a}")
def test_values(value):
    check_calls(plain, opcodon.jit(plain), [(value,)])
    check_calls(text_of, opcodon.jit(text_of), [(value,)])
    check_calls(sums, opcodon.jit(sums), [(value, 2), (value, value), (3, value)])


@pytest.mark.parametrize("spec", SPECS, ids=[f"spec-{spec}" for spec in SPECS])
def test_specs(spec, tmp_path):
    file = tmp_path / "formats.py"
    file.write_text(f"def f(x):\n    return f'{{x:{spec}}}|{{x + x:{spec}}}'\n")
    space = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    compiled = opcodon.jit(space["f"])
    for value in VALUES:
        if isinstance(value, (int, float, str)):
            check_calls(space["f"], compiled, [(value,)])


def computed(x, width):
    return f"{x:{width}}|{x!r:>{width}}"


def in_order(a, b, log):
    return f"{a:one}{log.append('between') or b!r}{a:two}"


def one_part(x):
    made = f"{x:part}"
    return made, type(made)


def unbound(x):
    if x > 3:
        late = x
    return f"{x}{late}"


def loops(n):
    out = []
    for k in range(n):
        out.append(f"{k}:{k * k}:{k / 4:.2f} {'even' if k % 2 == 0 else 'odd'}")
    return out


def several_lines(x, y):
    return (
        f"first {x} "
        f"second {y:d} "
        f"{x / y}"
    )  # fmt: skip


CALLS = [
    (computed, [(3, 8), (2.5, 6), ("a", 4), (3, "x")]),
    (unbound, [(5,), (1,)]),
    (loops, [(12,), (0,)]),
    (one_part, [(Named("x"),), (Refuses(),)]),
    (several_lines, [(1, 2), (1, 0), (1, "a"), (Refuses(), 1)]),
]


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=[f.__name__ for f, _ in CALLS])
def test_functions(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_values_are_formatted_in_order():
    compiled = opcodon.jit(in_order)
    for _ in range(2):
        logs = []
        for function in [in_order, compiled]:
            log = []
            shouts = Shouts(log)
            logs.append((function(shouts, shouts, log), log))
        assert logs[0] == logs[1]


def test_numbers_make_no_objects():
    compiled = opcodon.jit(loops)
    assert not Outcome(loops, (9,)).differences(Outcome(compiled, (9,)))
    assert compiled.is_native()


def test_no_reference_is_lost_or_kept():
    def refused(x):
        try:
            return f"{x}{x!r}{x:s}"
        except ValueError:
            return ""

    functions = [
        (opcodon.jit(loops), (5,)),
        (opcodon.jit(plain), ("naïve €",)),
        (opcodon.jit(plain), ("a\ud800b",)),
        (opcodon.jit(plain), ((1, "a"),)),
        (opcodon.jit(sums), (2**70, 3)),
        (opcodon.jit(refused), (Refuses(),)),
    ]
    check_no_leak(functions)
