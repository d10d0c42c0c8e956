"""Loops that run by the vector, against CPython: every result, exception and array to the last bit.

Lengths around those of vectors, arrays that overlap, views with gaps or backwards, rows that stop
in the middle, and random loop bodies; each on the instructions of both kinds of processors.
"""

import importlib
import math
import os
import pathlib
import random
import subprocess
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

LENGTHS = [*range(41), 100, 1000, 16390, 33000]
SHORT = [*range(41), 97]


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def reals(n, seed=1, dtype=np.float64):
    return np.random.default_rng(seed).uniform(-1, 1, n).astype(dtype)


def table(n, m, seed=1, dtype=np.float64):
    return reals(n * m, seed, dtype).reshape(n, m)


def integers(n, dtype, low=None, high=None, seed=1):
    info = np.iinfo(dtype)
    low, high = (info.min if low is None else low), (info.max if high is None else high)
    return np.random.default_rng(seed).integers(low, high, n, dtype=dtype, endpoint=True)


def vectors(jitted):
    """The state of the lines of a function that run by the vector."""
    return [line for line in jitted.report().lines if "rows at a time" in line.why]


def has_vectors(flag="avx2"):
    """Whether this processor has the instructions, and they may be used."""
    flags = pathlib.Path("/proc/cpuinfo")
    allowed = {"sse2": (), "avx2": ("avx2",)}.get(os.environ.get("OPCODON_TIER"), (flag,))
    is_there = flags.exists() and f" {flag}" in flags.read_text(encoding="ascii", errors="ignore")
    return flag in allowed and is_there


def agree(function, calls):
    jitted = opcodon.jit(function)
    for args in calls:
        differences = Outcome(function, args).differences(Outcome(jitted, args))
        sizes = [getattr(arg, "shape", arg) for arg in args]
        assert not differences, f"{function.__name__}{sizes}: {differences[:2000]}"
    return jitted


def same(function, calls, *, is_vector=True):
    jitted = agree(function, calls)
    if has_vectors("avx512bw"):
        assert bool(vectors(jitted)) == is_vector, jitted.report()


# Maps of one array after another.


def axpy(a, x, y):
    for i in range(x.shape[0]):
        y[i] = a * x[i] + y[i]


def smooth(a, b):
    for i in range(1, a.shape[0] - 1):
        b[i] = (a[i - 1] + a[i] + a[i + 1]) / 3.0


def quotients(a, b, c):
    for i in range(a.shape[0]):
        c[i] = a[i] / b[i]


def clamp(x, low, high):
    if x < low:
        return low
    if x > high:
        return high
    return x


def clamped(x, out):
    for i in range(x.size):
        out[i] = clamp(x[i], -0.2, 0.3)


def branches(x, out):
    for i in range(x.size):
        if x[i] > 0.5:
            continue
        if x[i] > 0:
            out[i] = math.sqrt(x[i])
        else:
            t = -x[i] * i
            out[i] = abs(t) if t < 3 else max(t, 4.0, x[i])


def bytes_of(x, out):
    for i in range(x.size):
        v = int(x[i]) * 3 // 7 + 10
        out[i] = min(v, 255)


def bits_of(x, out):
    for i in range(x.size):
        out[i] = (int(x[i]) ^ 0x55) >> 1 & 0x3F | int(x[i]) % 5


def singles(x, y, out):
    for i in range(x.size):
        out[i] = x[i] * y[i] + x[i] * np.float32(0.5) - y[i]


def products(x, y, out):
    for i in range(x.size):
        out[i] = x[i] * 3 + y[i] * x[i]


def truncated(x, out):
    for i in range(x.size):
        out[i] = int(x[i] * 100.0)


def logical(x, y, out):
    for i in range(x.size):
        out[i] = (x[i] > 0 and y[i] < 0.5) or not x[i] < 0.9


def last_of(x, out):
    v = 0.0
    i = -1
    for i in range(x.size):
        v = x[i] * 2.0
        out[i] = v
    return i, v


def two_arrays(x, a, b):
    for i in range(x.size):
        a[i] = x[i] + 1.0
        b[i] = a[i] * x[i]


@pytest.mark.parametrize(
    ("function", "make"),
    [
        (axpy, lambda n: (2.5, reals(n), reals(n, 2))),
        (axpy, lambda n: (3, reals(n), reals(n, 2))),
        (axpy, lambda n: (0.1, reals(n, 1, "f4"), reals(n, 2, "f4"))),
        (smooth, lambda n: (reals(n), reals(n, 2))),
        (quotients, lambda n: (reals(n), reals(n, 2), reals(n, 3))),
        (clamped, lambda n: (reals(n), reals(n, 2))),
        (branches, lambda n: (reals(n), reals(n, 2))),
        (bytes_of, lambda n: (integers(n, np.uint8), integers(n, np.uint8))),
        (bits_of, lambda n: (integers(n, np.uint8), integers(n, np.int16))),
        (singles, lambda n: tuple(reals(n, seed, "f4") for seed in (1, 2, 3))),
        (products, lambda n: tuple(integers(n, np.int64, -999, 999, s) for s in (1, 2, 3))),
        (products, lambda n: tuple(integers(n, np.int32, -99, 99, s) for s in (1, 2, 3))),
        (truncated, lambda n: (reals(n), integers(n, np.int16))),
        (truncated, lambda n: (reals(n, 1, "f4"), integers(n, np.int32))),
        (logical, lambda n: (reals(n), reals(n, 2), np.zeros(n, bool))),
        (last_of, lambda n: (reals(n), reals(n, 2))),
        (two_arrays, lambda n: (reals(n), reals(n, 2), reals(n, 3))),
    ],
)
def test_map(function, make):
    # Not every processor has the registers.
    flag = "avx512bw" if function is branches else "avx2"
    jitted = agree(function, [make(length) for length in LENGTHS])
    if has_vectors(flag):
        assert vectors(jitted), jitted.report()


# Rows that stop.


@pytest.mark.parametrize("at", [0, 1, 7, 8, 15, 16, 37, 99])
def test_zero_divisor(at):
    divisors = reals(100, 2)
    divisors[at] = 0.0
    same(quotients, [(reals(100), divisors, reals(100, 3))])


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, -0.0, 5e-324])
@pytest.mark.parametrize("at", [0, 9, 31])
def test_odd_numbers(odd, at):
    x = reals(33)
    x[at] = odd
    for function in (clamped, branches):
        same(function, [(x, reals(33, 2))])
    same(smooth, [(x, reals(33, 2))])
    same(truncated, [(x, integers(33, np.int16))])
    same(singles, [(x.astype("f4"), reals(33, 2, "f4"), reals(33, 3, "f4"))])
    same(axpy, [(odd, reals(33, 1, dtype), reals(33, 2, dtype)) for dtype in ("f8", "f4")])


@pytest.mark.parametrize("at", [0, 5, 16, 39])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_overflow(dtype, at):
    x, y, out = (integers(40, dtype, 0, 9, seed) for seed in (1, 2, 3))
    x[at] = np.iinfo(dtype).max // 2
    same(products, [(x, y, out)])


def test_single_beyond():
    same(singles, [tuple(np.full(50, size, "f4") for size in (3e30, 2e20, 1))])
    same(axpy, [(1e300, reals(50, 1, "f4"), reals(50, 2, "f4"))])


# Arrays that overlap, and views.


def doubled_from(x, y):
    for i in range(len(y)):
        y[i] = x[i] * 2.0 + 1.0


def three_places(x, y, z):
    for i in range(len(x)):
        y[i] = x[i] + 1.0
        z[i] = x[i] * y[i]


@pytest.mark.parametrize("shift", range(-18, 19))
def test_overlaps(shift):
    def pair(memory, n):
        return memory[30 : 30 + n], memory[30 + shift : 30 + shift + n]

    double, three = opcodon.jit(doubled_from), opcodon.jit(three_places)
    for n in (0, 1, 7, 8, 9, 16, 17, 40):
        ours, theirs = reals(100), reals(100)
        doubled_from(*pair(theirs, n))
        double(*pair(ours, n))
        assert ours.tobytes() == theirs.tobytes()
        for order in ((0, 1, 2), (1, 0, 2), (1, 2, 0)):
            sets = [(*pair(memory, n), memory[33 : 33 + n]) for memory in (ours, theirs)]
            three(*(sets[0][at] for at in order))
            three_places(*(sets[1][at] for at in order))
            assert ours.tobytes() == theirs.tobytes()


def test_recurrences_are_no_vectors():
    def before(x):
        for i in range(1, x.size):
            x[i] = x[i - 1] + 1.0

    def behind(x):
        for i in range(x.size - 1):
            x[i] = x[i + 1] * 0.5

    same(before, [(reals(n),) for n in SHORT], is_vector=False)
    same(behind, [(reals(n),) for n in SHORT])


@pytest.mark.parametrize("step", [2, 3, -1, -2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int16])
def test_views(step, dtype):
    def up_one(x, out):
        for i in range(len(x)):
            out[i] = x[i] + 1

    jitted = opcodon.jit(up_one)
    for n in SHORT:
        x = (reals(abs(step) * n) * 99).astype(dtype)[::step]
        for out in (np.zeros(n, dtype), np.zeros(2 * n, dtype)[::2]):
            ours, theirs = out.copy(), out.copy()
            for function, into in ((up_one, theirs), (jitted, ours)):
                function(x, into)
            assert ours.tobytes() == theirs.tobytes()


def columns(x, out):
    for i in range(x.shape[0]):
        out[i] = math.sqrt(x[i, 0] * x[i, 0] + x[i, 1] * x[i, 1]) - x[i, 2]


def backwards(x, out):
    n = len(x)
    for i in range(n):
        out[i] = x[n - 1 - i] * 2.0


def pairs(x, out):
    for i in range(len(out)):
        out[i] = x[2 * i] + x[2 * i + 1]


def windows(x, out, shift):
    for i in range(len(out)):
        out[i] = x[i + shift]


def test_strides():
    same(columns, [(table(n, 3), reals(n)) for n in SHORT])
    same(columns, [(np.asfortranarray(table(n, 3)), reals(n)) for n in SHORT])
    same(backwards, [(reals(n), reals(n, 2)) for n in SHORT])
    same(pairs, [(reals(2 * n), reals(n, 2)) for n in SHORT])
    # From the end, and beyond it.
    same(windows, [(reals(60), reals(50, 2), shift) for shift in (0, 10, 11, -1, -5, 10**12)])


# Loops inside a row.


def product(a, b, c):
    n, m = a.shape
    for i in range(n):
        for j in range(b.shape[1]):
            s = 0.0
            for k in range(m):
                s += a[i, k] * b[k, j]
            c[i, j] = s


def product_by_rows(a, b, c):
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                c[i, j] += a[i, k] * b[k, j]


def convolution(image, kernel, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            s = 0
            for a in range(kernel.shape[0]):
                for b in range(kernel.shape[1]):
                    s += image[i + a, j + b] * kernel[a, b]
            out[i, j] = s


def blur(a, out):
    h, w = a.shape
    for i in range(1, h - 1):
        for j in range(1, w - 1):
            s = 0
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    s += int(a[i + di, j + dj])
            out[i, j] = s // 9


def nearest(points, centres, labels):
    for i in range(points.shape[0]):
        best = 1e300
        label = 0
        for j in range(centres.shape[0]):
            s = 0.0
            for k in range(points.shape[1]):
                t = points[i, k] - centres[j, k]
                s += t * t
            if s < best:
                best = s
                label = j
        labels[i] = label


def shares(a, b, out):
    for j in range(out.shape[0]):
        s = 0.0
        for k in range(a.shape[0]):
            s += b[k, j] / a[k]
        out[j] = s


def shortest(d):
    for k in range(len(d)):
        for i in range(len(d)):
            for j in range(len(d)):
                if d[i, k] + d[k, j] < d[i, j]:
                    d[i, j] = d[i, k] + d[k, j]


def test_products():
    for dtype in ("f8", "f4", "i8", "i4", "u1"):
        for function in (product, product_by_rows):
            for inner in (0, 1, 5):
                calls = []
                for n in SHORT:
                    tables = table(3, inner), table(inner, n, 2), table(3, n, 3)
                    calls.append(tuple((abs(each) * 3).astype(dtype) for each in tables))
                # The sum begins as a double, what it becomes is not one for all dtypes.
                agree(function, calls)
    if has_vectors():
        jitted = opcodon.jit(product)
        jitted(table(9, 9), table(9, 99), table(9, 99))
        assert vectors(jitted)


def test_large_integers_in_sums():
    for dtype in (np.int64, np.int32):
        a, b = (integers(15, dtype, seed=seed).reshape(3, 5) for seed in (1, 2))
        agree(product, [(a, b.reshape(5, 3), np.zeros((3, 3), np.int64))])
        wide = integers(200, dtype, seed=3).reshape(5, 40)
        agree(product, [(a, wide, np.zeros((3, 40), np.int64))])
        agree(convolution, [(wide, a[:, :2], np.zeros((3, 38), np.int64))])


def test_nests():
    same(convolution, [(table(6, n + 2), table(3, 3, 2), table(4, n, 3)) for n in SHORT])
    same(
        blur,
        [tuple(integers(5 * n, np.uint8, seed=s).reshape(5, n) for s in (1, 2)) for n in SHORT],
    )
    for dtype in (np.int64, np.uint8):
        same(nearest, [(table(n, 3), table(4, 3, 2), np.zeros(n, dtype)) for n in SHORT])
    same(shortest, [(table(n, n),) for n in (0, 1, 9, 20)])
    divisors = reals(5)
    same(shares, [(divisors, table(5, n), reals(n)) for n in SHORT])
    divisors[3] = 0.0
    same(shares, [(divisors, table(5, n), reals(n)) for n in SHORT])


def test_inner_loop_beyond_bounds():
    def beyond(x, out, n):
        for i in range(len(out)):
            s = 0.0
            for k in range(n):
                s += x[i + k]
            out[i] = s

    same(beyond, [(reals(50), reals(40, 2), n) for n in (3, 11, 12, 0, -1)])


# Random bodies.


class Body:
    """Statements of a loop over `i`, made from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = ["a"]

    def operand(self):
        kinds = ["x[i]", "y[i]", "x[i + 1]", "y[i + 2]", *self.names, *self.names, "0.5", "2", "k"]
        return self.random.choice(kinds)

    def expression(self, depth=2):
        if depth == 0 or self.random.random() < 0.2:
            return self.operand()
        a, b = self.expression(depth - 1), self.expression(depth - 1)
        form = self.random.choice(
            [
                *("{} + {}", "{} - {}", "{} * {}", "{} * {}", "{} / ({} + 4)", "-{} + {}"),
                *("min({}, {})", "max({}, {})", "abs({}) + {}", "({} if {} > 0 else 1)"),
            ]
        )
        return f"({form.format(a, b)})"

    def condition(self):
        op = self.random.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"{self.expression(1)} {op} {self.expression(1)}"

    def block(self, depth, indent):
        lines = []
        for _ in range(self.random.randint(1, 3)):
            kind = self.random.random()
            if kind < 0.35:
                name = self.random.choice("pqr")
                lines.append(f"{indent}{name} = {self.expression()}")
                if depth == 0 and name not in self.names:
                    self.names.append(name)
            elif kind < 0.6 and depth < 2:
                lines.append(f"{indent}if {self.condition()}:")
                lines += self.block(depth + 1, indent + "    ")
                if self.random.random() < 0.5:
                    lines.append(f"{indent}else:")
                    lines += self.block(depth + 1, indent + "    ")
            else:
                lines.append(
                    f"{indent}{self.random.choice(['z', 'z', 'w'])}[i] = {self.expression()}"
                )
        return lines

    def source(self):
        lines = ["def f(x, y, z, w, a, k):", "    p = q = r = a", "    for i in range(len(z)):"]
        lines += self.block(0, "        ")
        lines.append(f"        z[i] = {self.expression()}")
        return "\n".join([*lines, "    return p, q, r"])


def random_function(seed, folder):
    source = Body(seed).source()
    path = folder / f"body_{seed}.py"
    path.write_text(source, encoding="utf-8")
    names = {}
    exec(compile(source, str(path), "exec"), names)
    return names["f"], source


@pytest.mark.parametrize("seed", range(60))
def test_random_body(seed, tmp_path):
    function, source = random_function(seed, tmp_path)
    jitted = opcodon.jit(function)
    for dtype in ("f8", "f4", "i8", "i4", "u1", "i2"):
        for n in (3, 8, 21, 40):
            many = (reals(n + 2, seed, "f8"), reals(n + 2, seed + 1, "f8"))
            if dtype[0] in "iu":
                many = tuple(abs(each) * 11 for each in many)
            x, y = (each.astype(dtype) for each in many)
            z, w = np.zeros(n, dtype), np.zeros(n, dtype)
            args = (x, y, z, w, np.dtype(dtype).type(1), 3)
            differences = Outcome(function, args).differences(Outcome(jitted, args))
            assert not differences, f"{source}\n{dtype} {n}: {differences[:1500]}"


# Integers that do not fit into what is multiplied, or is read as, at once.


def products_of_products(out):
    for i in range(out.size):
        out[i] = (i * 1000000) * 1000


def products_of_sums(out, k):
    for i in range(out.size):
        out[i] = (i + k * 1000000) * 3


def sums_of_products(out, k):
    for i in range(out.size):
        out[i] = i * 3 + k * 2


def large_remainders(out, x):
    for i in range(out.size):
        out[i] = int(x[i]) % 10000000000


def compared(out, x, k):
    for i in range(out.size):
        out[i] = float(x[i]) == k


def test_large_integers():
    def out():
        return np.zeros(5000, "i8")

    same(products_of_products, [(out(),)], is_vector=False)
    same(products_of_sums, [(out(), k) for k in (10000, -7, 2**40)], is_vector=False)
    same(sums_of_products, [(out(), k) for k in (3, -(2**31), 2**31, 2**40)])
    agree(large_remainders, [(out(), np.full(5000, x, "i4")) for x in (-1, 5)])
    for x in (2.0**53, 3.0):
        singles = np.full(100, x, "f4")
        agree(compared, [(np.zeros(100, "?"), singles, k) for k in (3, 2**53, 2**53 + 1)])


def twice_the_least(a, out):
    for i in range(out.size):
        s = 0
        for j in range(a.shape[1]):
            s += a[i, j]
        t = s
        out[i] = min(s, s) + max(t, s)


def test_of_twice_the_same():
    agree(twice_the_least, [(np.arange(64 * 59).reshape(64, 59), np.zeros(64, "i8"))])


def test_report():
    if not has_vectors():
        pytest.skip("no vectors here")
    jitted = opcodon.jit(axpy)
    jitted(2.0, reals(100), reals(100, 2))
    assert next(line.why for line in vectors(jitted)).endswith("rows at a time")


@pytest.mark.skipif("OPCODON_TIER" in os.environ, reason="chosen already")
@pytest.mark.parametrize("tier", ["avx2", "sse2"])
def test_other_processors(tier):
    check_on(tier, __file__)


def check_on(tier, file):
    """Runs the tests of a file with the instructions of another processor."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file]
    env = {**os.environ, "OPCODON_TIER": tier}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
