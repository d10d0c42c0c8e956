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


def gcd(a, b):
    while b:
        a, b = b, a % b
    return a


def gcds(n, start):
    total = 0
    for i in range(start, n):
        total += gcd(i, n) * gcd(n, i)
    return total, i


def escape(x, y, limit):
    a = b = 0.0
    for k in range(limit):
        if a * a + b * b > 4.0:
            return k
        a, b = a * a - b * b + x, 2.0 * a * b + y
    return limit


def escapes(width, limit):
    out = []
    for i in range(width):
        for j in range(3):
            out.append(escape(-2.0 + 3.0 * i / width, j * 0.5, limit))
    return out


def steps(n, most):
    count = 0
    for i in range(n, 0, -1):
        if i % 3 == 0:
            continue
        while i > 1:
            i = i // 2 if i % 2 == 0 else i * 3 + 1
            count += 1
            if count > most:
                break
        else:
            count -= 1
    else:
        count += 100
    return count


def all_steps(n, most):
    total = 0
    for i in range(n):
        total += steps(i, most) + rotated(total, i)
    return total


def rotated(x, by):
    y = x & 0xFFFFFFFF
    return ((y << 7) | (y >> 25)) * 2654435761 & 0xFFFFFFFF ^ by


def row_sum(a, i, by):
    s = 0.0
    for j in range(0, a.shape[1], by):
        s += a[i, j]
    return s


def row_sums(a, by):
    return [row_sum(a, i, by) for i in range(-1, a.shape[0])]


def grown(x, n):
    for _ in range(n):
        x = x * x
    return x


def grown_again(n):
    y = 0
    for k in range(n):
        y = grown(k, 7) - y
    return y


CALLS = [
    (gcds, [(60, 1), (0, -5), (7, -3), (5, 5)]),
    (escapes, [(12, 50), (0, 3), (5, 0)]),
    (all_steps, [(0, 9), (40, 1000), (12, 3), (3, -1)]),
    (row_sums, [(np.arange(12.0).reshape(3, 4), by) for by in (1, 2, 5, 0, -1)]),
    (grown_again, [(3,), (9,)]),
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


def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


def takeuchi(x, y, z):
    if y >= x:
        return z
    return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y))


def halves(x, least):
    if not x > least:
        return x
    return halves(x * 0.5, least) + 1


def is_even(n):
    if n == 0:
        return True
    return is_odd(n - 1)


def is_odd(n):
    if n == 0:
        return False
    return is_even(n - 1)


def depth(n):
    if n <= 0:
        return 0
    return depth(n - 1) + 1


def product(n, x):
    if n <= 1:
        return x
    return product(n - 1, x * n)


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (fibonacci, [(0,), (1,), (15,), (-3,), (1.5,), (6.0,), (True,), ("a",)]),
        (ackermann, [(2, 3), (0, 2**63 - 1), (1, 5)]),
        (takeuchi, [(8, 4, 2), (7.5, 3, 1), (1, 1, None)]),
        (halves, [(100.0, 0.5), (float("nan"), 1.0), (7, 2), (7, "a")]),
        (is_even, [(0,), (7,), (10,), (2.0,)]),
        (product, [(3, 1), (30, 1), (0, "a"), (4, 0.5), (25, -1)]),
        (depth, [(0,), (300,)]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_functions_that_call_themselves(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_calls_that_nest_too_deep_raise():
    jitted = opcodon.jit(depth)
    assert jitted(100) == 100
    limit = sys.getrecursionlimit()
    for n in (10 * limit, 10**6, 10**9):
        with pytest.raises(RecursionError, match="maximum recursion depth exceeded"):
            jitted(n)
    assert jitted(100) == 100
