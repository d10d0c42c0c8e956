"""Functions that are put where they are called, and nested ones, against CPython.

Whatever cannot be done natively in such a function leaves before the call, so nothing is done twice
and the traceback names both functions.
"""

import importlib
import pathlib
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

ROW = np.array([0.5, -2.0, 3.25, 0.0])
COUNTS = np.array([3, -1, 2**62, -(2**63)])


def clamp(x, low, high):
    if x < low:
        return low
    if x > high:
        return high
    return x


def clamped(values, low, high):
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = clamp(values[i], low, high)
    return out


def twice_plus(a, b):
    return a * 2 + b


def sum_of_calls(n, start):
    total = start
    for i in range(n):
        total = twice_plus(total, twice_plus(i, -1))
    return total


def share(a, b):
    return a / b


def shares(n, by):
    total = 0.0
    for i in range(n):
        total += share(i, by - i)
    return total


def element(values, i):
    return values[i] - values[i - 1]


def differences(values, n):
    total = 0
    for i in range(n):
        total += element(values, i)
    return total


def sign(x):
    if x > 0:
        return 1
    if x < 0:
        return -1
    return None


def signs(values):
    found = []
    for x in values:
        found.append(sign(x))
    return found


def kind(x):
    if x > 2:
        return x
    if x > 1:
        return x * 0.5
    return x > 0


def kinds(n):
    return [kind(i) for i in range(n)], kind(n)


def count_down(n):
    if n <= 0:
        return 0
    return 1 + count_down(n - 1)


def counted(n):
    return count_down(n) + count_down(1)


def square(x):
    return x * x


def fourth(x):
    return square(square(x))


def powers(n):
    total = 0
    for i in range(n):
        total += fourth(i + 5000)
    return total


def wrong_number(n):
    total = 0
    for i in range(n):
        total += i
    return square(total, n)


def unbound(x):
    if x > 3:
        y = x
    return y + 1


def unbounds(n):
    return unbound(n) + unbound(4)


def slopes(n):
    def f(t, y):
        return -2.0 * t * y

    t, y, h = 0.0, 1.0, 0.01
    for _ in range(n):
        k = f(t, y)
        y += h * f(t + h / 2, y + h / 2 * k)
        t += h
    return y


def own_names(n, y):
    def f(x):
        y = x + 1
        z = [y * y for y in range(x)]
        return y, len(z)

    y = y * 2
    a = f(n)
    y = y + 1
    return a, y, (lambda y: y - 1)(y)


def default_of_outer(n):
    k = n + 1

    def f(x, k=k):
        return x * k

    return f(n), f(n, 2)


CALLS = [
    (clamped, [(ROW, 0, 1), (ROW, 0.25, 1.5), (ROW, 2.0, 1), (COUNTS, -1, 5)]),
    (
        sum_of_calls,
        [(0, 1), (5, 3), (70, 1), (3, 0.5), (70, -(2**62)), (2, 2**63 - 1), (5, np.int64(3))],
    ),
    (shares, [(3, 9), (3, 1), (5, 4), (4, 2.0)]),
    (differences, [(ROW, 4), (ROW, 5), (COUNTS, 2), (COUNTS, 4), (COUNTS[:0], 1), (ROW, 0)]),
    (signs, [(ROW,), (COUNTS,), ([1, 0, -2.5],), (["x"],)]),
    (kinds, [(0,), (5,), (2.5,)]),
    (counted, [(0,), (30,), (-2,)]),
    (powers, [(0,), (3,), (60000,)]),
    (wrong_number, [(3,)]),
    (unbounds, [(5,), (4,), (3,)]),
    (slopes, [(0,), (50,)]),
    (own_names, [(3, 4), (0, 2.5)]),
    (default_of_outer, [(3,), (2.5,)]),
]


@pytest.mark.parametrize(
    ("function", "calls"), [pytest.param(*case, id=case[0].__name__) for case in CALLS]
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_inlined(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_a_function_bound_anew_is_not_the_one_that_was_put_in_place():
    names = {}
    import linecache

    source = "def part(x): return x + 1\ndef whole(x): return part(x) * 10\n"
    linecache.cache["<anew>"] = (len(source), None, source.splitlines(True), "<anew>")
    exec(compile(source, "<anew>", "exec"), names)
    whole = opcodon.jit(names["whole"])
    assert [whole(1), whole(1)] == [20, 20]
    names["part"] = lambda x: x - 1
    assert [whole(1), whole(1)] == [0, 0]
