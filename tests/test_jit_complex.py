"""Complex numbers in registers, against CPython."""
# The language as people write it.
# ruff: noqa: B007, E711, E741, SIM108

import cmath
import importlib
import itertools
import math
import pathlib
import sys

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

INF, NAN = float("inf"), float("nan")
COMPLEX = [
    0j,
    1 + 2j,
    complex(-0.0, -0.0),
    complex(INF, 1),
    complex(NAN, 0),
    complex(1, INF),
    complex(0, -0.0),
    1e200 + 1e200j,
    3 - 4j,
    complex(INF, -INF),
    complex(5e-324, 0),
]
MIXED = [*COMPLEX, 1, 0, 2.5, -0.0, True, INF, NAN, 2**40, -7]


def sums(a, b):
    return a + b, a - b, b - a


def products(a, b):
    return a * b, b * a


def quotient(a, b):
    return a / b


def powers(a):
    return a**2, a**3, a**1, a**8


def power(a, b):
    return a**b


def parts(a):
    return -a, +a, abs(a), a.real, a.imag, a.conjugate(), bool(a), not a


def equality(a, b):
    return a == b, a != b, a == 1.0, a == 0, a != 2


def order(a, b):
    return a < b


def with_a_real(a, n):
    return a * n + 2, n * a - 1.5, a / n, n / a, a + True


def escape(x):
    z = 0j
    k = complex(x, 1.5)
    for t in range(20):
        if abs(z) > 2:
            return t, z
        z = z * z + k
    return z


def in_lists(l):
    s = 0j
    for z in l:
        s += z * 2
    t = 0
    for z in l:
        t = t + z
    return s, t, [z * z for z in l], sum(l), max(abs(z) for z in l)


def functions(z):
    return cmath.exp(z) * 2, cmath.sqrt(z) + 1, cmath.phase(z), cmath.polar(z)


def recursion(z, n):
    if n == 0:
        return z
    return recursion(z * z + 0.25j, n - 1)


def fourier(x):
    n = len(x)
    if n <= 1:
        return x
    e = fourier(x[0::2])
    o = fourier(x[1::2])
    r = [0j] * n
    for k in range(n // 2):
        t = cmath.exp(-2j * math.pi * k / n) * o[k]
        r[k] = e[k] + t
        r[k + n // 2] = e[k] - t
    return r


def becomes_an_integer(n):
    z = 0
    for i in range(n):
        z = z * 1j + i
        if i % 3 == 0:
            z = i
    return z


def or_none(z):
    if z is None:
        return 1
    if z == None:
        return 2
    w = None
    for i in range(3):
        if w is None:
            w = z
        else:
            w = w * z
    return w


def overflow(z):
    for i in range(5):
        z = z**8
    return z


def made(a, b):
    return complex(a, b), complex(a), 0j, complex(a) * 1j


def as_text(z):
    y = z * 2
    return f"{y}", str(y), repr([y]), y in [y], {y: 1}


CASES = [
    (sums, list(itertools.product(COMPLEX, MIXED))),
    (products, list(itertools.product(COMPLEX, MIXED))),
    (quotient, list(itertools.product(MIXED, COMPLEX)) + list(itertools.product(COMPLEX, MIXED))),
    (powers, [(v,) for v in COMPLEX]),
    (power, list(itertools.product(COMPLEX, [0, 2, -1, 3.0, 0.5, 1j]))),
    (parts, [(v,) for v in COMPLEX]),
    (equality, list(itertools.product(COMPLEX, [*MIXED, 2**70, "a", None]))),
    (order, [(1j, 2j)]),
    (with_a_real, [(v, n) for v in COMPLEX for n in (1, 2, 0, -3, 2**62, 2**60 + 1)]),
    (escape, [(0.1,), (1.0,)]),
    (in_lists, [([1j, 2 + 1j],), ([1, 2j],), ([1j, 2],), ([1j, "a"],), ([],)]),
    (functions, [(v,) for v in COMPLEX]),
    (recursion, [(0.1j, 5), (1, 4)]),
    (fourier, [([1, 2, 3, 4],), ([1j, 2.0, 3, 4, 5, 6, 7, 8],)]),
    (becomes_an_integer, [(10,)]),
    (or_none, [(None,), (2j,), (2,)]),
    (overflow, [(1.5 + 1j,)]),
    (made, [(1, 2), (1.5, -0.0), (True, 2**60), (1j, 2), ("1", 2), (-0.0, 0)]),
    (as_text, [(1j,)]),
]


@pytest.mark.parametrize(
    ("function", "calls"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_against_python(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_nothing_leaks():
    functions = [
        (opcodon.jit(function), args)
        for function, args in (
            (in_lists, ([1j, 2 + 1j],)),
            (fourier, ([1, 2, 3, 4],)),
            (overflow, (1.5 + 1j,)),
        )
    ]
    check_no_leak(functions)
