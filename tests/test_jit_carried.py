"""Vector loops whose rows carry something over, and functions of the C library in them.

Sums, products, counts, extreme elements and `math` by the vector, against CPython: every result to
the last bit, with numbers of all dtypes' extremes, zeros of both signs, infinities and NaN, on the
instructions of both kinds of processors.
"""

import math
import os
import pathlib
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from test_jit_vectors import (
    Body,
    agree,
    check_on,
    has_vectors,
    integers,
    quiet,
    reals,
    same,
    vectors,
)

assert quiet

LENGTHS = [*range(0, 70, 3), 8, 16, 64, 1000, 16390, 33000]
SHORT = [*range(35), 64, 97]
FEW = [0, 3, 8, 9, 15, 16, 23, 40, 70]
TINY = 5e-324


def odd(n, *values, seed=1):
    """Ordinary numbers with extraordinary ones among them."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, n)
    if n:
        x[rng.integers(0, n, len(values))] = values
    return x


# Sums.


def dot(x, y):
    s = 0.0
    for i in range(len(x)):
        s += math.sqrt(x[i]) * y[i] / 3.0
    return s


def variance(x, mean):
    s = 0.0
    t = 1.0
    for i in range(x.size):
        d = (x[i] - mean) / (x[i] + 4.0)
        s += d
        s -= d * d
        t *= d
    return s, t


def some(x, limit, s):
    for i in range(len(x)):
        if x[i] > limit:
            s += float(x[i]) / 3.0
        else:
            s -= 1.0
    return s


def skipped(x, s):
    for i in range(len(x)):
        if x[i] < 0:
            continue
        s += math.sqrt(x[i])
    return s


def left_early(x, out, s):
    t = 0.5
    for i in range(len(x)):
        t = x[i]
        if t < 0:
            s = s - 0.0
            continue
        out[i] = 1.0 / (t + 1.0)
        if t > 0.9:
            s = 1.0
            continue
    return s, float(t)


def bound_by_some(x, out, s):
    t = s
    for i in range(len(x)):
        if x[i] < 0:
            continue
        t = x[i]
        out[i] = t / 3.0
    return float(t)


def kept(x, out, s):
    for i in range(len(x)):
        out[i] = 1.0 / x[i]
        s += float(out[i])
    return s


def test_sums_of_floats():
    for n in LENGTHS:
        same(dot, [(abs(reals(n)), reals(n, 2))], is_vector=n >= 0)
    same(variance, [(reals(n), 0.25) for n in SHORT])
    for n in FEW:
        agree(some, [(reals(n), 0.1, s) for s in (0.0, -0.0, 2.5, math.inf, math.nan)])
        agree(some, [(odd(n, math.nan, math.inf, -0.0), -0.0, 1.0)])
        for function in (left_early, bound_by_some):
            agree(function, [(reals(n), reals(n, 2), 4.0), (reals(n, 3), reals(n, 2), 4)])
        agree(skipped, [(reals(n), 1.0), (odd(n, -0.0, math.inf), 0.0)])
        x = reals(n)
        agree(kept, [(x, reals(n, 2), 0.5), (np.where(x > 0.8, 0.0, x), reals(n, 2), 0.5)])
    # The sum of no numbers keeps its sign and its type.
    agree(some, [(reals(9), 9.0, -0.0)])


def taken_away(x, s):
    n = 0
    for v in x:
        if v != -9.0:
            s -= v / 3.0
        n += 1
    return s, n


def test_what_is_taken_away_keeps_the_sign_of_what_is_no_number():
    for n in FEW:
        for nan in (math.nan, -math.nan):
            x = odd(n, nan, -0.0, -9.0)
            for s in (0.0, -0.0, 1.5):
                expected, total = (f(x, s)[0] for f in (taken_away, opcodon.jit(taken_away)))
                assert math.copysign(1, expected) == math.copysign(1, total)
                assert math.isnan(total) == math.isnan(expected)
        agree(taken_away, [(odd(n, -0.0, -9.0), s) for s in (0.0, -0.0, 1.5)])


def test_sums_over_themselves():
    def first_again(x, s):
        for i in range(len(x)):
            s += 1.0 / x[0] + math.sqrt(x[i])
            x[i] = s
        return s

    agree(first_again, [(abs(reals(n)) + 1, 0.0) for n in FEW])


# Integers.


def total(x, s):
    for i in range(len(x)):
        s += int(x[i])
    return s


def elements(x):
    s = 0
    for i in range(len(x)):
        s += x[i]
    return s


def squares(x):
    n = 0
    s = 0
    for i in range(len(x)):
        s += i * 3
        s -= i
        if x[i] > 0:
            n += 1
        elif x[i] < -1:
            n -= 2
    return n, s


def above(x, y):
    n = 0
    for i in range(x.shape[0]):
        if x[i] > y[i]:
            n += 1
    return n


DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "i8")


def test_totals():
    for dtype in DTYPES:
        info = np.iinfo(dtype)
        for low, high in ((None, None), (info.max, info.max), (info.min, info.min), (0, 3)):
            calls = [integers(n, dtype, low, high) for n in (0, 8, 9, 15, 40, 70)]
            for s in (0, 2**63 - 5, -(2**62)):
                agree(total, [(x, s) for x in calls])
            agree(elements, [(x,) for x in calls])
            agree(squares, [(x,) for x in calls])
    same(squares, [(reals(n) * 3,) for n in LENGTHS])
    for dtype in ("f8", "f4", "u1", "i8"):
        same(above, [((reals(n) * 9).astype(dtype), np.ones(n, dtype)) for n in SHORT])
    x = integers(200, "i8")[::-3]
    agree(total, [(x, 0), (x[::2], 1)])


# Extreme elements.


def span(x, low, high):
    for i in range(len(x)):
        if x[i] < low:
            low = x[i]
        if high < x[i]:
            high = x[i]
    return low, high


def largest(x, m):
    for i in range(len(x)):
        m = max(m, x[i])
    return m


def smallest(x, m):
    for i in range(len(x)):
        m = min(m, abs(x[i]))
    return m


def of_two_types(x, m):
    for i in range(len(x)):
        if x[i] > m:
            m = float(x[i])
    k = 0.25
    for i in range(len(x)):
        m = max(m, float(x[i]) + 1)
        k = max(k, x[i] + 1)
    return m, k


def last_wins(x, m):
    for i in range(len(x)):
        m = max(x[i], m)
    return m


def test_extremes():
    zeros = np.array([0.0, -0.0, -1.0])
    rng = np.random.default_rng(1)
    for x in (reals(33000), rng.choice(zeros, 33000), np.abs(rng.choice(zeros[:2], 33000))):
        for function in (largest, smallest):
            agree_quickly(function, (x, 0.5))
        agree_quickly(span, (x, 9.0, -9.0))
    for n in [0, 3, 8, 9, 17, 31, 40]:
        rng = np.random.default_rng(n)
        arrays = [reals(n), odd(n, math.nan, math.inf, -math.inf, -0.0), rng.choice(zeros, n)]
        arrays += [np.full(n, -0.0), np.full(n, math.nan), -np.abs(rng.choice(zeros[:2], n))]
        for x in arrays:
            for m in (0.0, -0.0, math.nan, -math.inf, 1e300, np.float64(0.5)):
                for function in (largest, smallest, last_wins):
                    agree_quickly(function, (x, m))
                agree_quickly(span, (x, m, m))
                agree_quickly(of_two_types, (x, m))
    same(span, [(reals(n), math.inf, -math.inf) for n in (0, 1, 8, 40, 100)])
    same(span, [(reals(n), np.float64(9), np.float64(-9)) for n in (0, 1, 8, 40, 100)])


JITTED = {}


def agree_quickly(function, args):
    """Of numbers only, compiled once."""
    jitted = JITTED.setdefault(function, opcodon.jit(function))
    expected, found = function(*args), jitted(*args)
    assert repr(expected) == repr(found), (function.__name__, args, expected, found)
    parts = zip(np.ravel(expected), np.ravel(found), strict=True)
    assert all(np.signbit(a) == np.signbit(b) for a, b in parts), (function.__name__, args)
    if isinstance(expected, tuple):
        assert [*map(type, expected)] == [*map(type, found)]
    assert type(expected) is type(found), (function.__name__, args)


def test_extreme_integers():
    for dtype in DTYPES:
        info = np.iinfo(dtype)
        for n in FEW:
            x = integers(n, dtype)
            for m in (0, 5, info.min, info.max, 2**63 - 1, -(2**63)):
                for function in (largest, last_wins):
                    agree_quickly(function, (x, int(m)))
                    agree_quickly(function, (x, np.int64(m)))
                agree_quickly(span, (x, int(m), int(m)))


# Loops over arrays.


def gone_through(x):
    s = 0.0
    n = 0
    m = -1.0
    for v in x:
        s += math.exp(v) / 3.0
        if v > 0.25:
            n += 1
        m = max(m, v)
    return s, n, m


def numbered(x, out):
    i = 0
    for v in x:
        out[i] = v
        i += 1
    return i


def last(x, k):
    v = k
    n = 0
    for v in x:
        if v > 1:
            n += 1
    return v, n


def rebound(x, k):
    n = 0
    for v in x:
        x = k
        v = v + 1
        if v > 1:
            n += 1
    return n, x


def test_loops_over_arrays():
    same(gone_through, [(reals(n),) for n in (0, 1, 8, 40, 100)])
    for n in (0, 9, 40):
        for dtype in ("f8", "u1"):
            x = (reals(n) * 9).astype(dtype)
            for each in (x, x[::-3]):
                agree(gone_through, [(each,)])
                agree(numbered, [(each, np.zeros(n))])
                agree(last, [(each, 5)])
                agree(rebound, [(each, 5)])
    agree(last, [(np.zeros((9, 2)), 5), ([1, 2, 3] * 5, 5)])


# What is no sum.


def prefixes(x, out):
    s = 0.0
    for i in range(len(x)):
        s += math.sqrt(x[i])
        out[i] = s
    return s


def fading(x, s):
    for i in range(len(x)):
        s = s * 0.5 + math.sqrt(x[i])
    return s


def limited(x, s):
    for i in range(len(x)):
        if s < 3.0:
            s += math.sqrt(x[i])
    return s


def alternating(x, s):
    for i in range(len(x)):
        s = math.sqrt(x[i]) - s
    return s


def both(x, s):
    for i in range(len(x)):
        s += math.sqrt(x[i])
        s *= 0.5
    return s


def position(x):
    m = x[0]
    at = 0
    for i in range(len(x)):
        if x[i] > m:
            m = x[i]
            at = i
    return m, at


def ladder(x):
    low = high = x[0]
    for i in range(len(x)):
        if x[i] < low:
            low = x[i]
        elif x[i] > high:
            high = x[i]
    return low, high


def test_of_no_parts():
    for n in (1, 9, 40, 100):
        x = abs(reals(n))
        agree(prefixes, [(x, reals(n))])
        for function in (fading, limited, alternating, both):
            agree(function, [(x, 0.0), (x, np.float64(1))])
        agree(position, [(x,), (odd(n, math.nan, -0.0),)])
        agree(ladder, [(x,), (odd(n, math.nan, -0.0),)])


class Carrying(Body):
    """A loop that may carry five locals over."""

    def source(self):
        lines = ["def f(x, y, a, k):", "    n = 0", "    s = p = 0.5", "    m = t = a"]
        lines.append("    for i in range(len(x) - 2):")
        for _ in range(self.random.randint(1, 4)):
            indent = "        "
            if self.random.random() < 0.4:
                lines.append(f"{indent}if {self.condition()}:")
                indent += "    "
            lines.append(indent + self.step())
        return "\n".join([*lines, "    return n, s, p, m, t"])

    def step(self):
        e = self.expression()
        forms = ["s += float({})", "s -= float({}) / 3", "s = float({}) + s", "n += 1", "n -= 3"]
        forms += ["n += int({})", "p *= float({})", "m = max(m, {})", "m = min(m, {})"]
        forms += ["t = t + {}", "s += math.sin({})", "s += math.exp({}) * math.cos(x[i])"]
        return self.random.choice(forms).format(e)


@pytest.mark.parametrize("seed", range(40))
def test_random_body(seed, tmp_path):
    source = Carrying(seed).source()
    path = tmp_path / "body.py"
    path.write_text(source, encoding="utf-8")
    names = {"math": math}
    exec(compile(source, str(path), "exec"), names)
    for dtype in ("f8", "i8", "u1", "f4"):
        many = [(reals(42, seed + at) * 5).astype(dtype) for at in range(2)]
        calls = [(x[:n], y[:n], np.dtype(dtype).type(1), 3) for n in (5, 18, 42) for x, y in [many]]
        agree(names["f"], calls)


# The C library.

NASTY = [0.0, -0.0, TINY, -TINY, 2.2e-308, 1.0, -1.0, 0.126, 0.855, 2.43, 1e8, -1.1e8, 1e22, 1e300]


def of_all(n=3000):
    rng = np.random.default_rng(5)
    magnitudes = 10.0 ** rng.uniform(-300, 300, n) * rng.choice([-1, 1], n)
    near = [rng.uniform(-4, 4, n), rng.uniform(0.93, 1.07, n), rng.uniform(-1e8, 1e8, n)]
    turns = np.arange(-n, n) * (math.pi / 4)
    return np.concatenate([NASTY, magnitudes, *near, turns])


@pytest.mark.parametrize("name", ["exp", "log", "sin", "cos"])
def test_functions_of_the_c_library(name, tmp_path):
    path = tmp_path / "body.py"
    source = f"def f(x, y):\n    for i in range(len(x)):\n        y[i] = math.{name}(x[i])\n"
    path.write_text(source, encoding="utf-8")
    names = {"math": math}
    exec(compile(source, str(path), "exec"), names)
    function, scalar = names["f"], getattr(math, name)
    x = of_all()
    if name == "exp":
        x = np.concatenate(
            [x[x < 709], np.linspace(-746, -507, 2000), np.linspace(507, 709.7, 500)]
        )
    if name == "log":
        x = abs(x[x != 0])
    jitted = opcodon.jit(function)
    y = np.zeros_like(x)
    jitted(x, y)
    expected = np.array([scalar(each) for each in x])
    assert (y.view("u8") == expected.view("u8")).all(), x[y.view("u8") != expected.view("u8")]
    for n in (*range(20), 41):
        agree(function, [(x[:n].copy(), np.zeros(n)), (x[-n:][::-1], np.zeros(n))])
    # Rows that leave: each where it is the first.
    for bad in (math.inf, -math.inf, math.nan, 710.0, 0.0, -1.0):
        for at in (0, 5, 16):
            y = abs(reals(20))
            y[at] = bad
            agree(function, [(y, np.zeros(20))])


def mixed(x, y, out):
    s = 0.0
    for i in range(len(x)):
        if x[i] > 0:
            t = math.exp(-x[i]) * math.sin(y[i])
            out[i] = math.log(x[i]) + t
            s += t
        else:
            out[i] = math.cos(x[i] + 3)
    return s


@pytest.mark.parametrize("exponent", ["2", "3", "-1", "0.5", "-1.5", "2.5", "7.25", "0", "101"])
def test_powers(exponent, tmp_path):
    path = tmp_path / "body.py"
    source = f"def f(x, y):\n    for i in range(len(x)):\n        y[i] = x[i] ** {exponent}\n"
    path.write_text(source, encoding="utf-8")
    names = {}
    exec(compile(source, str(path), "exec"), names)
    limit = 10 ** (300 / max(abs(float(exponent)), 1))
    x = of_all()
    x = x[(abs(x) < limit) & (abs(x) > 1 / limit)]
    if "." in exponent:
        x = abs(x)
    if float(exponent) > 0:
        x = np.concatenate([x, [0.0, -0.0, TINY, 1e-200]])
    jitted = opcodon.jit(names["f"])
    y = np.zeros_like(x)
    jitted(x, y)
    expected = np.array([math.pow(each, float(exponent)) for each in x])
    assert (y.view("u8") == expected.view("u8")).all(), x[y.view("u8") != expected.view("u8")]
    for bad in (math.inf, math.nan, 0.0, -2.0, 1e300):
        y = abs(reals(20)) + 0.1
        y[11] = bad
        agree(names["f"], [(y, np.zeros(20))])
    if has_vectors("avx512bw"):
        assert vectors(jitted), jitted.report()


def of_integers(x, y):
    for i in range(len(x)):
        y[i] = x[i] ** -0.5


def test_powers_of_integers_are_those_of_numpy():
    for dtype in ("i8", "u8", "i4", "i1"):
        x = np.arange(1, 120).astype(dtype)
        agree(of_integers, [(x, np.zeros(x.size))])
    jitted = opcodon.jit(lambda x: x**1.5)
    assert [jitted(np.int64(n)) for n in range(60)] == [np.int64(n) ** 1.5 for n in range(60)]


def squared(v):
    return v**2


def test_squares_one_by_one():
    jitted = opcodon.jit(squared)
    x = of_all()
    exact = np.arange(1, 300) * 2.0**-7
    for v in [*x[abs(x) < 1e154].tolist(), *exact.tolist(), 1e-170, 3e-162, 1.0 + 2**-52]:
        assert jitted(v).hex() == squared(v).hex(), v.hex()
    for v in (1e155, math.inf, -math.inf, math.nan):
        agree(squared, [(v,)])


def test_functions_among_others():
    agree(mixed, [(reals(n), reals(n, 2), np.zeros(n)) for n in SHORT])
    x = odd(100, 0.0, -0.0, 1e-310, 1e9, 600.0)
    agree(mixed, [(x, odd(100, 1e9, 1e300, seed=2), np.zeros(100))])
    if has_vectors("avx512bw"):
        jitted = opcodon.jit(mixed)
        jitted(x, x, np.zeros(100))
        assert vectors(jitted), jitted.report()


# Permissions.

FUNCTIONS = ["exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos"]
FUNCTIONS += ["atan", "sinh", "cosh", "tanh", "cbrt"]


def test_fast_math(tmp_path):
    calls = [f"math.{name}(x[i])" for name in FUNCTIONS if hasattr(math, name)]
    calls += ["x[i] ** 2", "x[i] ** y[i]", "math.pow(x[i], 3)", "math.atan2(y[i], x[i])"]
    calls += ["math.exp(-x[i]) * math.sin(y[i]) + math.tanh(x[i] + y[i]) / math.cos(x[i] * y[i])"]
    for number, call in enumerate(calls):
        path = tmp_path / f"body_{number}.py"
        source = "def f(x, y, z):\n    s = 0.0\n    for i in range(len(x)):\n"
        source += f"        z[i] = {call}\n        s += x[i] * y[i]\n    return s\n"
        path.write_text(source, encoding="utf-8")
        names = {"math": math}
        exec(compile(source, str(path), "exec"), names)
        jitted = opcodon.jit(names["f"], fast_math=True)
        for n in (0, 3, 8, 9, 40):
            x, y, z, expected = abs(reals(n)) * 0.9 + 0.05, abs(reals(n, 2)), reals(n), reals(n)
            s = names["f"](x, y, expected)
            assert math.isclose(jitted(x, y, z), s, rel_tol=1e-13), call
            np.testing.assert_allclose(z, expected, rtol=4e-15 if "tanh(x[i] +" in call else 9e-16)
        if has_vectors("avx512bw"):
            assert vectors(jitted), jitted.report()
        if "log" in call or "acos" in call:
            x = np.full(20, 0.5)
            x[13] = -3.0
            with pytest.raises(ValueError, match=r"math domain error|expected"):
                jitted(x, x, np.zeros(20))


@pytest.mark.skipif("OPCODON_TIER" in os.environ, reason="chosen already")
@pytest.mark.parametrize("tier", ["avx2"])
def test_other_processors(tier):
    check_on(tier, __file__)


# Elements in registers where Python does the store.


def running(a, c, n):
    for k in range(1, n):
        c[k] = max(c[k - 1], a[k])


def highest(a, c, n):
    for j in range(2):
        for k in range(n):
            c[j] = max(c[j], a[k])


def rounded(a, c, n):
    j = 0
    for k in range(n):
        c[j] = round(a[k]) + c[j]


def stepped(_, c, n):
    for k in range(1, n):
        c[k] = True if c[k - 1] > 2 else c[k - 1] + 1


def products(a, c, n):
    j = 0
    for k in range(n):
        c[j] += a[k] * a[k]


@pytest.mark.parametrize("loop", [running, highest, rounded, stepped, products])
@pytest.mark.parametrize("dtype", ["i8", "f8", "u1", "f4"])
def test_elements_that_python_stores_are_read_again(loop, dtype):
    a = np.array([3, 1, 4, 1, 5, 9, 2, 6]).astype(dtype)
    compiled = opcodon.jit(loop)
    for c in (np.zeros(8), np.zeros(8, "i8")):
        expected = c.copy()
        loop(a, expected, 8)
        for _ in range(3):
            found = c.copy()
            compiled(a, found, 8)
            np.testing.assert_array_equal(found, expected)
