"""`jit(wrap=True)`: sums, differences, products, shifts and signs modulo 2⁶⁴, against Python's own.

The functions here are also run on integers that wrap around by themselves, so that each operation
is exactly what the machine does, and what follows it is Python's again.
"""

import importlib
import linecache
import random

import numpy as np
import pytest

import opcodon

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

EDGES = [0, 1, 2, 3, 7, 255, 2**31, 2**32 - 1, 2**32, 2**61, 2**62 - 1, 2**62, 2**63 - 1]
EDGES += [-edge for edge in EDGES[1:]] + [-(2**63)]


def wrapped(value):
    return (value + 2**63) % 2**64 - 2**63


class Wrapping(int):
    """An integer of 64 bits that wraps around."""

    def __add__(self, other):
        return Wrapping(wrapped(int(self) + int(other)))

    def __sub__(self, other):
        return Wrapping(wrapped(int(self) - int(other)))

    def __mul__(self, other):
        return Wrapping(wrapped(int(self) * int(other)))

    def __lshift__(self, other):
        return Wrapping(wrapped(int(self) << int(other)))

    def __neg__(self):
        return Wrapping(wrapped(-int(self)))

    def __rsub__(self, other):
        return Wrapping(wrapped(int(other) - int(self)))

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other):
        return Wrapping(int(self) // int(other))

    def __mod__(self, other):
        return Wrapping(int(self) % int(other))

    def __and__(self, other):
        return Wrapping(int(self) & int(other))

    def __xor__(self, other):
        return Wrapping(int(self) ^ int(other))

    def __rshift__(self, other):
        return Wrapping(int(self) >> int(other))


def combined(a, b, c):
    d = a * b + c
    e = d - a
    f = (e << 7) ^ b
    g = -f
    h = 3 * g + 1
    return d, e, f, g, h, h % 7, f >> 3, d > 0, (a + b) // 5, (a - b) % 16, d < e


def counted(a, b, c):
    total = 1
    for i in range(20):
        total = total * a + i if total >= 0 else b - total * 31
        total = total + (total << 3) - c
    return total


def naturals(a, b, c):
    x, y = a & 0x7FFFFFFFFFFFFFFF, b & 0x7FFFFFFFFFFFFFFF
    s, p = x + y, x * y
    t = x << 5
    return (
        s // 3,
        s % 10,
        p % 1000,
        p // 7,
        t // 9,
        t % 11,
        s >> 1,
        p >> 2,
        (x - y) % 3,
        s > c,
        p < c,
    )


def hashed(a, b, c):
    h = a
    for _ in range(10):
        h = (h ^ b) * 1099511628211
        h = h ^ (h >> 29)
        b = b * 5 + 1
    return h, b, h % 97, c


FUNCTIONS = [combined, counted, naturals, hashed]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_operations_are_modulo_two_to_the_64(function):
    compiled = opcodon.jit(function, wrap=True)
    random.seed(3)
    for _ in range(3000):
        args = [
            random.choice([random.choice(EDGES), random.randrange(-(2**63), 2**63)])
            for _ in range(3)
        ]
        assert compiled(*args) == function(*map(Wrapping, args)), args
    assert compiled.is_native(), compiled.report()


def test_a_callee_keeps_its_own_meaning():
    @opcodon.jit
    def exact(a, b):
        s = 0
        for _ in range(2):
            s += a * b
        return s

    @opcodon.jit(wrap=True)
    def around(a, b):
        return a * b, exact(a, b)

    assert around(2**40, 2**40) == (0, 2**81)


def test_numpys_integers_wrap_around_silently():
    @opcodon.jit(wrap=True)
    def products(x, out):
        for i in range(x.shape[0]):
            out[i] = x[i] * x[i] + x[i]
        return out

    x = np.array([2**40, 2**63 - 1, -(2**63), 5, -7] * 40)
    assert (products(x, np.zeros_like(x)) == x * x + x).all()

    @opcodon.jit(wrap=True)
    def scrambled(x, out):
        for i in range(x.shape[0]):
            z = (x[i] ^ (x[i] >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
            out[i] = z + 0x1E3779B97F4A7C15 - x[0]
        return out

    x = np.random.default_rng(0).integers(0, 2**64, 200, np.uint64, endpoint=False)
    expected = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    expected = expected + np.uint64(0x1E3779B97F4A7C15) - x[0]
    assert (scrambled(x, np.zeros_like(x)) == expected).all()
    assert scrambled.is_native()


@pytest.mark.parametrize("n", [0, 1, 7, 64, 1000])
def test_loops_by_the_vector_wrap_around(n):
    @opcodon.jit(wrap=True)
    def sums(x, y, out):
        total = 0
        for i in range(x.shape[0]):
            out[i] = x[i] + y[i] - 1
            total += out[i]
        return total

    rng = np.random.default_rng(n)
    x, y = rng.integers(-(2**63), 2**63 - 1, (2, n), endpoint=True)
    out = np.zeros_like(x)
    total = sums(x, y, out)
    assert (out == x + y - 1).all()
    assert int(total) == int((x + y - 1).sum())


def test_sums_that_may_not_wrap_around_grow():
    text = "def f(a, b):\n    return a + b\n"
    file = "<wrap>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    space = {}
    exec(compile(text, file, "exec"), space)
    assert opcodon.jit(space["f"])(2**63 - 1, 1) == 2**63
    assert opcodon.jit(space["f"], wrap=True)(2**63 - 1, 1) == -(2**63)
    # What does not fit to begin with is Python's.
    assert opcodon.jit(space["f"], wrap=True)(2**64, 1) == 2**64 + 1


def test_sums_that_came_round_are_not_taken_for_large():
    def remainder(x):
        if x >= 0:
            y = x + 5
            z = y - 1
            return z % 7, z // 3
        return 0, 0

    def halves(x):
        y = x
        if y >= 3:
            y += 9
        k = y - 2
        return divmod(k, 10), k < 0

    for function in (remainder, halves):
        compiled = opcodon.jit(wrap=True)(function)
        for x in (0, 1, 5, 2**62, 2**63 - 10, 2**63 - 1):
            assert compiled(x) == function(Wrapping(x)), (function.__name__, x)


def test_indices_that_come_round_are_looked_at():
    def every(a, n):
        j = 5
        c = 0
        s = 0
        while c < n:
            c += 1
            if j >= 0:
                s += a[j]
            j -= 4611686018427387904
        return s

    compiled = opcodon.jit(wrap=True)(every)
    for dtype in (np.int8, np.int64):
        with pytest.raises(IndexError):
            compiled(np.arange(10, dtype=dtype), 8)
        assert compiled(np.arange(10, dtype=dtype), 2) == 5
