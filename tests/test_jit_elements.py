"""Elements that a turn changes and another one reads, against CPython, to the last bit.

What the turn before has stored, what a loop inside adds to, loops over several arrays at once,
squares that are powers, and numbers that become narrow: lengths around those of vectors, arrays
that share their memory, turns that stop in the middle; on the instructions of both kinds of
processors.
"""

import importlib
import linecache
import math
import os
import pathlib
import sys
import warnings

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from test_jit_vectors import (
    agree,
    check_on,
    has_vectors,
    quiet,
    reals,
    same,
    table,
    vectors,
)

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

assert quiet

LENGTHS = [*range(12), 64, 1000, 16390, 33000]


# What the turn before has stored.


def smoothed(x, y, a):
    for i in range(1, len(x)):
        y[i] = a * x[i] + (1 - a) * y[i - 1]
    return y


def ahead(x, y, a):
    for i in range(len(x) - 1):
        y[i + 1] = y[i] * a + x[i]
    return y


def from_the_end(x, y, a):
    for i in range(len(x)):
        y[i] = y[i - 1] + x[i] * a
    return y


def either(x, y, a):
    for i in range(1, len(x)):
        if x[i] > a:
            y[i] = y[i - 1] + 1
        else:
            y[i] = x[i]
            if x[i] < -0.9:
                break
    return y


def sometimes(x, y, a):
    for i in range(1, len(x)):
        if x[i] > a:
            y[i] = y[i - 1] + x[i]
    return y


def stored_twice(x, y, a):
    for i in range(1, len(x)):
        y[i] = y[i - 1] * a
        y[i] = y[i - 1] + x[i]
        y[i] += y[i - 1]
    return y


def under_two_names(x, y, a):
    z = y[1:]
    for i in range(1, len(x) - 1):
        y[i] = y[i - 1] * a + z[i - 1] + x[i]
    return y


def back(x, y, a):
    for i in range(len(x) - 2, -1, -1):
        y[i] = y[i + 1] * a + x[i]
    return y


def beyond(x, y, a):
    for i in range(1, len(x) + 3):
        y[i] = y[i - 1] + a
    return y


def into_table(x, _y, a):
    t = np.zeros((3, len(x) + 1))
    for r in range(1, 3):
        for i in range(1, len(x) + 1):
            t[r, i] = max(t[r - 1, i], t[r, i - 1]) + a * t[r - 1, i - 1] + x[i - 1]
    return t


RECURRENCES = [
    *(smoothed, ahead, from_the_end, either, sometimes, stored_twice, under_two_names),
    *(back, beyond, into_table),
]


@pytest.mark.parametrize("function", RECURRENCES)
def test_what_the_turn_before_has_stored(function):
    calls = []
    for n in LENGTHS:
        calls.append((reals(n), reals(n, 2), 0.25))
        calls.append((reals(2 * n)[::2], reals(3 * n, 2)[::3], 0.5))
    for n in (0, 1, 5, 40):
        ints = np.arange(n) * 7 % 11 - 5
        calls += [(ints, ints * 3, 2), (ints, ints / 2, 1), (reals(n), ints, 1.5)]
        calls.append((reals(n, dtype=np.float32), reals(n, 3, np.float32), np.float32(0.5)))
    agree(function, calls)


def test_integers_that_outgrow_the_turn_before():
    def powers(y, by):
        for i in range(1, len(y)):
            y[i] = y[i - 1] * by
        return y

    agree(powers, [(np.ones(n, dtype=np.int64), by) for n in (3, 39, 80) for by in (2, 3, -7)])


# What a loop inside adds to.


def product(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
    return c


def difference(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] = a[i, k] - c[i, j] * b[k, j]
    return c


def vector_product(a, b, _c):
    y = np.zeros(a.shape[0])
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            y[i] += a[i, k] * b[k, 0]
    return y


def two_loops_inside(a, b, c):
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            for k in range(a.shape[1]):
                for q in range(2):
                    c[i, j] += a[i, k] * b[k, j] + q
    return c


def some_turns(a, b, c):
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            for k in range(a.shape[1]):
                if a[i, k] > 0:
                    c[i, j] += b[k, j]
    return c


def of_itself(_a, _b, c):
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            for k in range(c.shape[1]):
                c[i, j] += c[i, k] * 0.125
    return c


def of_itself_elsewhere(_a, _b, c):
    d = c[:, :]
    e = c.reshape(-1)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            for k in range(4):
                c[i, j] += d[i, j] * 0.5 + e[k]
    return c


def shifted(_a, _b, c):
    e = c.reshape(-1)
    f = e[1:]
    for i in range(len(f)):
        for _k in range(3):
            e[i] += f[i] * 0.25
    return c


SUMS = [
    *(product, difference, vector_product, two_loops_inside, some_turns, of_itself),
    *(of_itself_elsewhere, shifted),
]


@pytest.mark.parametrize("function", SUMS)
def test_what_a_loop_inside_adds_to(function):
    calls = []
    for n, m, k in [
        (2, 40, 5),
        (3, 17, 40),
        (1, 9, 4),
        (2, 8, 33),
        (4, 7, 50),
        (2, 33, 0),
        (0, 9, 9),
    ]:
        calls.append((table(n, k), table(k, m, 2), table(n, m, 3)))
        odd = table(n, k)
        odd.reshape(-1)[-1:] = np.inf
        calls.append((odd, table(k, m, 2), table(n, m, 3)))
        calls.append((table(n, k), table(k, m, 2)[::-1], table(n, m, 3)))
    calls.append((table(2, 40), table(30, 20, 2), table(2, 20, 3)))
    calls.append((table(2, 40), table(40, 20, 2, np.float32), table(2, 20, 3)))
    calls.append((table(2, 40), table(40, 20, 2), table(2, 20, 3).astype(np.int64)))
    agree(function, calls)


def test_products_into_elements_run_by_the_vector():
    jitted = agree(product, [(table(9, 40), table(40, 50, 2), np.zeros((9, 50)))])
    if has_vectors("avx512bw"):
        assert vectors(jitted)


# Several arrays at once.


def counted(x, _y):
    out = np.zeros(len(x))
    i = v = -1
    for i, v in enumerate(x):
        out[i] = v * 2.0 + i
    return out, i, v


def paired(x, y):
    total = 0.0
    n = 0
    for a, b in zip(x, y):  # noqa: B905 - this is the form that is compiled
        if a > b:
            n += 1
        total += math.exp(a) * b
    return total, n


def counted_beyond(x, y):
    for i, v in enumerate(x):
        y[i] = math.sqrt(v + 0.9)
    return y


def changed_meanwhile(x, _y):
    for i, v in enumerate(x):
        if i + 1 < len(x):
            x[i + 1] += v * 0.5
    return x


def rebound(x, y):
    total = 0.0
    for i, v in enumerate(x):
        total += v
        x = y
        i = 3
    return total, i


@pytest.mark.parametrize("function", [counted, paired, counted_beyond, changed_meanwhile, rebound])
def test_several_arrays_at_once(function):
    calls = []
    for n in LENGTHS:
        calls.append((reals(n), reals(n, 2)))
        calls.append((reals(n), reals(n // 2, 2)))
        calls.append((reals(2 * n)[::-2], reals(n, 2)))
        calls.append((np.arange(n), reals(n, 2)))
        calls.append((reals(n, dtype=np.float32), reals(n, 2)))
    agree(function, calls)


def test_counted_elements_run_by_the_vector():
    def scaled(x, y):
        for i, v in enumerate(x):
            y[i] = math.exp(-v) + i

    same(scaled, [(reals(n), np.zeros(n)) for n in (*range(30), 1000, 33000)])


# Squares.


def near_ties(rng, n):
    """Numbers whose squares lie near the middle of two doubles, and others."""
    x = np.ldexp(rng.uniform(1, 2, 40 * n), rng.integers(-40, 40, 40 * n))
    exact = [int(np.frexp(value)[0] * 2**53) ** 2 for value in x]
    bits = [square.bit_length() - 53 for square in exact]
    pairs = zip(exact, bits, strict=True)
    lost = np.array([square % (1 << b) / (1 << b) for square, b in pairs])
    return np.concatenate([x[np.argsort(abs(lost - 0.5))[:n]], x[:n]])


def test_squares_are_powers():
    def squares(x, out):
        for i in range(len(x)):
            out[i] = x[i] ** 2
        return out

    def one_by_one(xs):
        total = []
        for x in xs:
            total.append(x**2)
        return total

    rng = np.random.default_rng(8)
    for x in (
        near_ties(rng, 2000),
        rng.uniform(-3, 3, 20000),
        10.0 ** rng.uniform(-160, 150, 4000),
        np.array([0.0, -0.0, 1.0, -1.5, 5e-324, 1e-200, 2.0**32, 2.0**33, np.nan] * 4),
    ):
        agree(squares, [(x, np.zeros(len(x))), (x[:5], np.zeros(5))])
        agree(one_by_one, [(x.tolist(),), (x,)])


# Functions and conversions.


@pytest.mark.parametrize("name", ["erf", "erfc", "tanh", "tan", "asin", "cbrt", "log10", "sinh"])
def test_functions_of_the_c_library(name):
    if not hasattr(math, name):
        pytest.skip("this Python has no such function")
    space = {"math": math}
    source = (
        f"def f(x, y):\n    for i in range(len(x)):\n"
        f"        if x[i] != 0.5:\n            y[i] = 2.0 * math.{name}(x[i]) + 1.0\n    return y\n"
    )
    file = f"<{name} of elements>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), space)
    edges = [0.0, -0.0, 5e-324, 1.0, -1.0, 0.5, 0.84375, 1.25, 6.0, 27.0, 30.0, -28.0]
    calls = []
    for n in (3, 9, 40, 700):
        calls += [(reals(n) * scale, np.zeros(n)) for scale in (0.999, 3.0, 50.0)]
    calls.append((np.array(edges), np.zeros(len(edges))))
    for odd in (np.nan, np.inf, -np.inf):
        x = reals(40)
        x[30] = odd
        calls.append((x, np.zeros(40)))
    agree(space["f"], calls)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64"])
def test_floats_that_become_integers(dtype):
    to = getattr(np, dtype)

    def cut(x, out):
        for i in range(len(x)):
            out[i] = to(x[i] * 0.999)
        return out, to(x[0]) if len(x) else None

    info = np.iinfo(dtype)
    for n in (0, 1, 9, 40, 300):
        inside = np.random.default_rng(n).uniform(
            max(info.min, -(2.0**50)), min(info.max, 2.0**50), n
        )
        agree(
            cut, [(inside, np.zeros(n, dtype=dtype)), (inside.astype(np.float32) / 2, np.zeros(n))]
        )
    small = reals(40) * 0.9
    agree(cut, [(small, np.zeros(40, dtype=dtype))])


def test_ranges_of_numpys_integers():
    def downwards(w, v, size):
        best = np.zeros(size + 1, dtype=np.int64)
        for i in range(len(w)):
            for c in range(size, w[i] - 1, -1):
                best[c] = max(best[c], best[c - w[i]] + v[i])
        return best

    def ends(w):
        found = []
        for i in range(w[0], w[1], w[2]):
            found.append(i)
        return found, range(w[0], w[1]), len(range(w[1]))

    for dtype in (np.int64, np.int32, np.uint8):
        w = np.array([3, 4, 2, 9], dtype=dtype)
        agree(downwards, [(w, w * 2, 20), (w, w, 1), (w, w, 0)])
        agree(ends, [(w[:3],), (w[[1, 0, 2]],), (w[[0, 3, 2]],), (w[:3] * 0,)])


def test_what_functions_of_arrays_give():
    def told(x, i):
        m = np.mean(x)
        s = 0.0
        for j in range(x.shape[0]):
            s += (x[j] - m) * (x[j] - x.max())
        k = np.argmax(x)
        y = x.astype(np.float32)
        z = x.reshape(2, -1)
        order = np.sort(x)
        at = np.searchsorted(order, x[i])
        c = np.cumsum(x)
        a = np.array([s, m, 1.0])
        b = a[0] + c[k] + y[i] + order[at]
        return s, b, x.sum(), z.sum(axis=0), x.std(), np.var(x), np.dot(x, x), x.any(), a[1:]

    calls = [(reals(n), 1) for n in (2, 8, 40)]
    calls += [(np.arange(6), 2), (np.arange(8) % 3 > 1, 1), (reals(6, dtype=np.float32), 0)]
    calls += [(np.arange(8, dtype=np.uint8), 3), (reals(12)[::2], 0), (reals(0), 0), (reals(3), 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(told, calls)


@pytest.mark.skipif("OPCODON_TIER" in os.environ, reason="chosen already")
@pytest.mark.parametrize("tier", ["avx2"])
def test_other_processors(tier):
    check_on(tier, __file__)
