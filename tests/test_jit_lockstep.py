"""Loops over `enumerate` and `zip`, which run without their iterators, against CPython."""
# The language as people write it.
# ruff: noqa: ARG001, B007, B905, C416, E741, RUF007

import importlib
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


def weighted(a, b):
    s = 0
    for i, x in enumerate(a):
        s += i * x
    for x, y in zip(a, b):
        s += x * y
    return s


def counted_from_five(a):
    out = []
    for i, x in enumerate(a, 5):
        if x == 3:
            a.append(7)
        out.append((i, x))
        if i > 20:
            break
    else:
        out.append("e")
    return out, a


def nested(s, t):
    out = []
    for i, (x) in enumerate(s):
        for a, b in zip(s, t):
            if a == b:
                out.append(i)
            else:
                out.append(a + b)
    return out


def own_list(a):
    cur = []
    for i in range(5):
        for j, v in enumerate(cur):
            cur[j] = v + i
        cur.append(i)
    return cur


def three(a, b, c):
    s = 0
    for x, y, z in zip(a, b, c):
        s += x * y // z
    return s


def split(w):
    n = 0
    for i, ch in enumerate(w.split(",")):
        for c in ch:
            n += ord(c) * i
    return n


def grows_while_run_over(n):
    l = [i for i in range(n)]
    s = 0
    for i, x in enumerate(l):
        if x % 2 == 0 and len(l) < 50:
            l.append(x + 1)
        s += i * x
    return s, l


def not_iterable():
    s = 0
    for i, x in enumerate(5):
        s += 1
    return s


def generator(a):
    for i, x in enumerate(y for y in a):
        pass
    return i, x


def no_turns(a):
    for i, x in enumerate([]):
        pass
    return i


def arrays(a, b):
    s = 0.0
    for x, y in zip(a, b[::2]):
        s += x * y
    return s


def differences(a):
    out = []
    for p, q in zip(a, a[1:]):
        out.append(q - p)
    return out


CASES = [
    (
        weighted,
        [
            ([1, 2, 3], [4, 5, 6]),
            ([1, 2.5, 3], [4, 5, 6, 7]),
            ([2**62, 2**62], [4, 4]),
            ([1, "a"], [2, 3]),
        ],
    ),
    (counted_from_five, [([1, 2, 3],), ([3],), ([],)]),
    (nested, [("abcé", "abd"), ("", "x"), ("aa", "ab")]),
    (own_list, [(1,)]),
    (three, [([1, 2, 3], [1, 2, 3], [1, 2, 0]), ([1, 2], [2, 3], [3, 4, 5])]),
    (split, [("a,b,éc",)]),
    (grows_while_run_over, [(3,), (10,)]),
    (not_iterable, [()]),
    (generator, [([1, 2],), ([],)]),
    (no_turns, [(1,)]),
    (
        arrays,
        [
            (np.arange(5.0), np.arange(10.0)),
            ([1.0, 2.0], [1.0, 2.0, 3.0, 4.0]),
            (b"abc", [1, 2, 3, 4, 5, 6]),
        ],
    ),
    (differences, [([1, 4, 9],), ([1.5, 2.0],)]),
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
            (weighted, ([1, 2.5, 3], [1, 2, 3])),
            (own_list, (1,)),
            (three, ([1, 2, 3], [1, 2, 3], [1, 2, 1])),
        )
    ]
    check_no_leak(functions)
