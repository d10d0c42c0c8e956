"""Lists that only one function sees, whose numbers lie side by side, against CPython.

Wherever the function is left they have become lists of Python's: the same where they were the same,
with what was done to them so far.
"""

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


ORDERS = [
    [3, 1, 2],
    [0.5, -0.0, 0.0, float("nan"), 1e300],
    [],
    [7],
    [3, 1, 2.5, 0],
    [2**70, 5, 4],
    [1, 2, 2**63 - 1, -(2**63)],
    [True, False],
    [1, True, 0],
    ["b", "a"],
    [[2], [1, 3]],
]


def sieve(n):
    flags = [True] * (n + 1)
    flags[0] = False
    for p in range(2, n):
        if flags[p]:
            for q in range(p * p, n + 1, p):
                flags[q] = False
    return flags, [i for i in range(n) if flags[i]]


def table(weights, room):
    best = [0] * (room + 1)
    for w in weights:
        for c in range(room, w - 1, -1):
            best[c] = max(best[c], best[c - w] + w)
    return best


def rows(n):
    row = [1]
    for _ in range(n):
        new = [1]
        for i in range(len(row) - 1):
            new.append(row[i] + row[i + 1])
        new.append(1)
        row = new
    return row, sum(row), len(row), row[-1]


def returned(n, by):
    values = []
    for i in range(n):
        values.append(i * by)
    return values


def stack(n, k):
    held = []
    total = 0
    for i in range(n):
        held.append(i * i)
        while held and i % 3 == k:
            total += held.pop()
    total += held.pop()
    return total


def swapped(n):
    a, b = [0.0, 1.5], [2.5] * 2
    for i in range(n):
        a[i % 2] += b[1 - i % 2]
        a, b = b, a
    b[0] = -1.0
    return a


def same_list_twice(n):
    a = [1, 2, 3]
    b = a
    for i in range(n):
        b[i] = a[i] * 2**40
    return b


def changed_while_iterated(n):
    values = [1, 2, 3]
    seen = 0
    for value in values:
        seen += value
        if len(values) < n:
            values.append(value + 1)
    return seen


def overflows_in_the_middle(n):
    powers = [1, 3]
    other = powers
    for i in range(n):
        powers.append(powers[-1] * 3)
        other[0] = i
    return powers


def turns_into_floats(n):
    values = [0] * n
    for i in range(n):
        values[i] = i / 2 if i > 3 else i
    return values


def holds_anything(n):
    values = [0] * 3
    values[1] = None
    values.append("x")
    return values[:n]


def indices(n, i):
    values = list(range(n, -n, -2))
    values[i] += 10
    values[-1] = values[i] - 1
    return values


def by_a_float(i):
    values = [1, 2, 3]
    values[1] = 5
    return values[i]


def empty(n):
    values = []
    for value in values:
        n += value
    if values:
        n += 100
    return n + len(values)


def filled_later(n):
    found = []
    for i in range(2, n):
        for p in found:
            if i % p == 0:
                break
        else:
            found.append(i)
    return found


def too_many(n):
    return len([0] * n)


def nothing_often(n):
    values = [] * n
    values.append(n)
    return values


def totals(n):
    whole, parts, truths = [], [], []
    for i in range(n):
        whole.append(i * 2**60 - 2**61)
        parts.append(i * 0.1)
        truths.append(i > 3)
    return sum(whole), sum(parts), sum(truths), max(parts), sorted(whole), any(truths)


def the_larger(n):
    a, b = [1, 2], [0, n]
    c = max(a, b)
    c[0] = 7
    return a[0], b[0], c


def raises_in_the_middle(n):
    values = [n, 4, 2]
    total = 0.0
    for i in range(5):
        values[1] = i
        total += 1 / values[i]
    return total


def caught(n):
    values = [n] * 4
    seen = values
    try:
        for i in range(9):
            values[i] = i
    except IndexError:
        seen.append(99)
    return values


def exits_while_iterated(n):
    values = list(range(6))
    total = 1
    for value in values:
        total *= value + n
        values[5] = value
    return total


def closure(n):
    values = [1, 2, 3]

    def at(i):
        return values[i]

    return at(n)


COUNTS = (0, 1, 2, 3, 5, 7, 30)


def sorted_copy(values, how):
    a = list(values) if how == 0 else values[:] if how == 1 else values.copy()
    for i in range(len(a)):
        for j in range(len(a) - 1 - i):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
    return a, values


def copy_of_copy(values):
    a = list(values)
    b = a[:]
    c = b.copy()
    if len(b) > 1:
        b[0] = b[1]
        c.append(b[-1])
    return a, b, c, len(a), sum(c)


def copy_of_made(n):
    a = [i * i for i in range(n)]
    b = list(a)
    a.append(7)
    d = b if n > 3 else a[:]
    d.append(1)
    return a, b, d is b


def copy_that_gets_more(values):
    a = values[:]
    a.append(0.5)
    return a


def copies_in_turns(values, n):
    best = []
    for k in range(n):
        a = values.copy()
        if len(a) > k:
            a[k] = 0
        best = a
    return best


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (sieve, [(n,) for n in (1, 2, 30, 200)]),
        (sorted_copy, [(v, how) for v in ORDERS for how in range(3)]),
        (copy_of_copy, [(v,) for v in (*ORDERS, (1, 2), "abc", np.arange(3), {3: 4})]),
        (copy_of_made, [(n,) for n in (0, 1, 3, 4, 9)]),
        (copy_that_gets_more, [(v,) for v in ORDERS]),
        (copies_in_turns, [(v, n) for v in ORDERS for n in (0, 1, 4)]),
        (table, [([3, 4, 5], 10), ([], 3), ([2**62, 1], 4), ([-1], 3), ([1.5], 3)]),
        (rows, [(n,) for n in (*COUNTS, 70)]),
        (returned, [(3, 2), (3, 0.5), (0, 1), (5, 2**62), (2, True), (2, "ab")]),
        (stack, [(n, k) for n in COUNTS for k in (0, 1, 5)]),
        (swapped, [(n,) for n in COUNTS]),
        (same_list_twice, [(n,) for n in COUNTS]),
        (changed_while_iterated, [(n,) for n in COUNTS]),
        (overflows_in_the_middle, [(n,) for n in (0, 5, 37, 38, 39, 60)]),
        (turns_into_floats, [(n,) for n in COUNTS]),
        (holds_anything, [(n,) for n in COUNTS]),
        (indices, [(n, i) for n in COUNTS for i in (0, 1, -1, 3, -4, 100, True, 1.0, 2**70)]),
        (by_a_float, [(i,) for i in (0, -1, 1.0, None, 3, True)]),
        (empty, [(0,), (2.5,)]),
        (filled_later, [(n,) for n in (0, 3, 50)]),
        (too_many, [(n,) for n in (0, -3, 5, 2**61, 2**62, 2**63 - 1, 2**64)]),
        (nothing_often, [(0,), (3,), (2**62,)]),
        (totals, [(n,) for n in (1, 2, 5, 11)]),
        (the_larger, [(0,), (3,)]),
        (raises_in_the_middle, [(1,), (0,)]),
        (caught, [(1,), (2**40,)]),
        (exits_while_iterated, [(1,), (2**20,), (2**62,)]),
        (closure, [(0,), (3,)]),
    ],
)
def test_lists(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_nothing_leaks():
    functions = [
        (opcodon.jit(sieve), (40,)),
        (opcodon.jit(overflows_in_the_middle), (50,)),
        (opcodon.jit(swapped), (9,)),
    ]
    check_no_leak(functions)
