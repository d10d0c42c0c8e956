"""Elements of complex arrays and numpy's complex numbers in registers, against numpy."""
# The language as people write it.
# ruff: noqa: B905, SIM300

import cmath
import importlib
import math
import pathlib
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

INF, NAN = float("inf"), float("nan")
ODD = np.array(
    [
        *[0, 1 + 2j, complex(-0.0, -0.0), complex(INF, 1), complex(NAN, 0), complex(1, INF)],
        *[1e200 + 1e200j, 3 - 4j, 5e-324, 1e308 + 1e308j, complex(0, -2), -1.5],
    ]
)


def numbers(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def arithmetic(a, b):
    out = np.zeros(len(a), dtype=complex)
    for i in range(len(a)):
        out[i] = a[i] * b[i] + a[i] - b[i] * 2.0
    return out


def product(a, b):
    s = 0j
    for i in range(len(a)):
        s += a[i] * b[i].conjugate()
    return s


def quotients(a, b):
    return [x / y for x in a for y in b]


def quotients_by_index(a, b):
    out = np.empty((len(a), len(b)), complex)
    for i in range(len(a)):
        for j in range(len(b)):
            out[i, j] = a[i] / b[j]
    return out


def parts(a):
    told = []
    for v in a:
        told.append((v.real, v.imag, abs(v), -v, +v, v.conjugate(), v**2, v**3, v * v))
        told.append((bool(v), not v, v == 1, v != 0j, v == a[1], 0j == v, v is None))
    return told


def mixed(a, x, f, n, c):
    told = []
    for i in range(len(a)):
        v = a[i]
        told.append((v * x, x * v, v + f, f - v, v * n, n * v, v - c, c * v, v + True, v / c))
        told.append((f * c, c * f, n * c, c * n, c - x, x - c, f / c, c / f, v / f, v / n, x / v))
    return told


def becomes_numpys(a, n):
    z = 1 + 0j
    told = []
    for i in range(n):
        told.append((z, z.real, z.imag, abs(z), -z, z.conjugate(), z * 2, z + 1j, z == 1, bool(z)))
        told.append((2.5 - z, z - np.float64(2), z * z, z / 2, f"{z}"))
        if i == n // 2:
            z = a[1]
        z = z * 0.5 + 0.5j
    return told


def stores(a, b, x, n):
    a[0] = 1
    a[1] = 2.5
    a[2] = x
    a[3] = n
    a[4] = 1j
    a[5] = b[0]
    a[6] += b[1]
    a[7] *= 2
    a[-1] = True
    return a


def made(n):
    z = np.zeros((n, 2), dtype=np.complex128)
    w = np.empty(n, complex)
    f = np.full(3, 1j)
    for i in range(n):
        z[i, 1] = complex(i, 1)
        w[i] = z[i, 1] * 1j
    sums = w.sum(), np.sum(w), w.mean(), w.prod(), np.max(np.abs(w))
    more = w * 2, w / 3, 1j - w, w + z[:, 1], -w, w == z[:, 0], w**2, w.conj(), w * w.real
    return z, w, f, z.real, w.imag[0], w.T, np.abs(w), np.exp(w[0]), abs(w[0]), sums, more


def in_loops(a):
    t = 0
    for i, v in enumerate(a):
        t = t + v * i
    for v, w in zip(a, a[::-1]):
        t -= v * w
    return t


def transformed(x):
    n = len(x)
    if n <= 1:
        return x
    even, odd = transformed(x[0::2]), transformed(x[1::2])
    r = np.zeros(n, dtype=complex)
    for k in range(n // 2):
        t = cmath.exp(-2j * math.pi * k / n) * odd[k]
        r[k] = even[k] + t
        r[k + n // 2] = even[k] - t
    return r


def transformed_in_place(x):
    a, n, j = x.copy(), len(x), 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j |= bit
        if i < j:
            a[i], a[j] = a[j], a[i]
    size = 2
    while size <= n:
        step = np.exp(-2j * np.pi / size)
        for i in range(0, n, size):
            w = 1 + 0j
            for q in range(size // 2):
                u, v = a[i + q], a[i + q + size // 2] * w
                a[i + q], a[i + q + size // 2] = u + v, u - v
                w *= step
        size <<= 1
    return a


def escapes(c, n):
    out = np.zeros(c.shape, dtype=np.int64)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            z = 0j
            for k in range(n):
                z = z * z + c[i, j]
                if z.real * z.real + z.imag * z.imag > 4.0:
                    out[i, j] = k
                    break
    return out


def squared(z, c):
    return z * z + c


def either(z, w, n):
    return w if n % 2 else z


def through_functions(a, n):
    z, told = a[0], []
    for i in range(n):
        z = squared(z, a[i]) * 0.5
        told.append(either(z, 1j, i) * 2)
        told.append(either(z, i, i) * 2)
    return z, told


def backwards(a):
    s = 0j
    for i in range(a.shape[0]):
        s = s + a[i] * 1j - a[-i]
    return s


def turned(a):
    a = a.copy()
    for i in range(len(a) // 2):
        a[i], a[len(a) - 1 - i] = a[len(a) - 1 - i], a[i]
    return a


def fixed():
    a = numbers(5)
    a.flags.writeable = False
    return a


N, M = numbers(40), numbers(40, seed=1)
CASES = [
    (arithmetic, [(N, M), (ODD, ODD[::-1]), (N[::2], M[:20]), (N[:3], M[:2]), (N[:0], M)]),
    (product, [(N, M), (ODD, ODD), (N[:0], M[:0]), (N.astype(np.complex64), M)]),
    (quotients, [(N, M), (ODD, ODD)]),
    (quotients_by_index, [(N, M), (ODD, ODD)]),
    (parts, [(N,), (ODD,), (N.real,), (N.astype(np.complex64),)]),
    (mixed, [(N, np.float64(2.5), 1.5, 3, 2 - 1j), (N, np.int64(2), 1.5, 2**60, 2 - 1j)]),
    (mixed, [(N, np.float32(2), 1.5, np.int32(3), np.complex128(2 - 1j))]),
    (mixed, [(ODD, np.float64(1), -0.5, 1, 1j), (ODD, 0.5, np.float64(-0.0), 2, 1j)]),
    (becomes_numpys, [(N, 9), (ODD, 9), (N.real, 9)]),
    (stores, [(N, M, np.float64(3), 7), (N[::-1], M, np.complex128(3 + 1j), 2**62 + 1)]),
    (stores, [(N.real, M, 1, 1), (N.astype(np.complex64), M, 1, 2), (fixed(), M, 1, 1)]),
    (stores, [(N, M, "a", 7), (N, M, None, 7), (N, M, 1, 2**2000)]),
    (made, [(4,), (40,)]),
    (in_loops, [(N,), (ODD,), (N.reshape(8, 5),)]),
    (transformed, [(numbers(64),), (numbers(32).real,)]),
    (transformed_in_place, [(numbers(64),)]),
    (escapes, [(numbers(5, 6), 30), (numbers(6, 5).T, 9), (ODD.reshape(3, 4), 5)]),
    (through_functions, [(N, 9), (ODD, 9), (N.real, 9)]),
    (backwards, [(N[::3],), (N[::-1],), (numbers(6, 4)[:, 1],)]),
    (turned, [(N,), (ODD,), (N.astype(">c16"),)]),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("function", "calls"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_against_numpy(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_loops_are_native():
    jitted = opcodon.jit(product)
    jitted(N, M)
    assert jitted(N, M) == product(N, M)
    assert jitted.is_native, str(jitted.report())


@pytest.mark.filterwarnings("ignore")
def test_nothing_leaks():
    functions = [(opcodon.jit(f), args) for f, args in ((product, (N, M)), (turned, (N,)))]
    functions.append((opcodon.jit(becomes_numpys), (N, 9)))
    functions.append((opcodon.jit(stores), (N.copy(), M, 1, 2)))
    check_no_leak(functions)


def squares(values, out):
    for i in range(len(values)):
        out[i] = values[i] ** 2
    return values[0] ** 2


def test_squares_of_zero_have_no_signs():
    zeros = [complex(re, im) for re in (0.0, -0.0, 1e-200) for im in (0.0, -0.0, 1e-200)]
    compiled = opcodon.jit(squares)
    for first in zeros:
        values = np.array([first, *zeros, 1 - 2j])
        ours, theirs = np.empty_like(values), np.empty_like(values)
        for _ in range(2):
            got, wanted = compiled(values, ours), squares(values, theirs)
            assert np.complex128(got).tobytes() == np.complex128(wanted).tobytes(), first
            assert ours.tobytes() == theirs.tobytes(), first
