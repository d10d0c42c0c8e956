"""Sums and extremes of narrow integers by the vector, against numpy: values, types, warnings.

A sum of `int32` stays one; where it outgrows its bits on the way numpy warns and wraps around, at
that very row.
"""

import importlib
import warnings

import numpy as np
import pytest

import opcodon

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def dot(a, b):
    s = 0
    for i in range(len(a)):
        s += a[i] * b[i]
    return s


def total(a, _):
    s = 0
    for v in a:
        s += v
    return s


def difference(a, b):
    s = a[0]
    t = 0
    for i in range(len(a)):
        s = s + a[i] - b[i]
        t -= b[i]
    return s, t


def some(a, b):
    s = 0
    n = 0
    for i in range(len(a)):
        if a[i] > b[i]:
            s += a[i]
            n += 1
    return s, n


def extremes(a, _):
    low = a[0]
    high = -1
    for v in a:
        if v < low:
            low = v
        if v > high:
            high = v
    return low, high


def prefix(a, b):
    s = 0
    for i in range(len(a)):
        s += a[i]
        b[i] = s
    return b, s


def outcome(function, args):
    args = [each.copy() for each in args]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = function(*args)
        except Exception as error:
            found = (type(error), str(error))
    found = found if isinstance(found, tuple) else (found,)
    told = [(each.category, str(each.message)) for each in caught]
    return [(type(each), str(each)) for each in found], [each.tobytes() for each in args], told


@pytest.mark.parametrize("function", [dot, total, difference, some, extremes, prefix])
@pytest.mark.parametrize("dtype", ["int32", "int16", "int8", "uint8", "uint16", "uint32"])
def test_narrow(function, dtype):
    rng = np.random.default_rng(7)
    jitted = opcodon.jit(function)
    info = np.iinfo(dtype)
    for most in (1, 3, 100, info.max // 2, info.max):
        for n in (0, 1, 7, 8, 9, 100, 20_000):
            low = max(info.min, -most)
            pair = [rng.integers(low, most, n, endpoint=True).astype(dtype) for _ in "ab"]
            quiet = [np.where(rng.random(n) < 0.999, 0, each).astype(dtype) for each in pair]
            for args in (pair, quiet, [pair[0][::-1], pair[1]]) if n < 200 else (quiet,):
                assert outcome(jitted, args) == outcome(function, args)


def test_at_the_very_limit():
    for function in (total, difference):
        jitted = opcodon.jit(function)
        for last in (0, 1, -1, 2, -2):
            a = np.array([2**30 - 1, 0, 2**30, 0, *[0] * 50, last, -5, *[0] * 9], np.int32)
            for sign in (1, -1):
                args = (sign * a, np.zeros_like(a))
                assert outcome(jitted, args) == outcome(function, args)
