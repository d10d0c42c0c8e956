"""Dictionaries and sets that only one function sees, against CPython.

Wherever the function is left they have become Python's: the same where they were the same, with
what was done to them so far, in the same order.
"""
# The language as people write it.
# ruff: noqa: SIM102, C408, B007

import importlib
import pathlib
import sys

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

WORDS = "the cat the dog é the é cat x"


def counts(n):
    d = {}
    for i in range(n):
        d[i * 7 % 13] = d.get(i * 7 % 13, 0) + i
    return d


def most_frequent(s):
    d = {}
    for c in s:
        if c in d:
            d[c] += 1
        else:
            d[c] = 1
    best = None
    bn = 0
    for c, k in d.items():
        if k > bn:
            best = c
            bn = k
    return d, best, bn, len(d)


def words(ws):
    d = {}
    for w in ws.split():
        d[w] = d.get(w, 0) + 1
    out = []
    for w in d:
        out.append(w)
    return d, out, sorted(d)


def grows_while_run_over(n):
    d = {}
    for i in range(n):
        d[i] = i
    for k in d:
        if k == 3:
            d[100] = 1
    return d


def deleted_and_put_back(n):
    d = {}
    for i in range(n):
        d[i] = 1.5 * i
    for i in range(0, n, 3):
        del d[i]
    for i in range(0, n, 2):
        d[i] = 0.25
    return d


def popped(n):
    d = {}
    for i in range(n):
        d[i] = i
    s = 0
    for i in range(n + 2):
        s += d.pop(i, -5)
    d[4] = 4
    return s, d, d.pop(9)


def popped_often(n):
    d = {}
    for i in range(0, n, 2):
        d[i] = i
    s = 0
    for i in range(n):
        s += d.pop(i, -5)
    return s, len(d)


def values_outgrow_the_table(n):
    d = {}
    for i in range(n):
        d[i] = 2**i
    return d


def squares(n):
    s = set()
    for i in range(n):
        s.add(i * i % 17)
    return s, len(s), 3 in s, list(s)


def set_display(n):
    s = {1, 2, 3}
    for i in range(n):
        s.add(i * 1000003 % 4001)
    return s


def pairs_seen(n):
    seen = set()
    c = 0
    for i in range(n):
        for j in range(n):
            k = (i * j % 5, i - j)
            if k in seen:
                c += 1
            seen.add(k)
    return c, len(seen), seen


def pairs_as_keys(n):
    d = {(0, 0): 1}
    for i in range(1, n):
        d[(i, i // 2)] = d[(i - 1, (i - 1) // 2)] + i
    for k, v in d.items():
        if k[0] != 2 * k[1] and k[0] != 2 * k[1] + 1:
            return k
    return d


def any_keys(a):
    d = {}
    for x in a:
        d[x] = 1
    return d


def looked_up(k):
    d = {1: 2}
    return d[k]


def set_default(n):
    d = {}
    s = 0
    for i in range(n):
        d.setdefault(i % 3, i)
        s += d[i % 3]
    for v in d.values():
        s += v
    return s, d


def two_names(n):
    d = dict()
    e = d
    for i in range(n):
        d[i] = i
    e[100] = 5
    return d is e, d, e


def another_key(n):
    d = {}
    for i in range(n):
        d[i] = i
        if i == 5:
            d["x"] = 1
    return d


def defaults(n):
    d = {}
    if n > 3:
        d[1] = 2
    x = d.get(1)
    y = d.get(2)
    return x, y, x is None, not d, bool(d)


def left_in_a_loop(n):
    d = {}
    for i in range(n):
        d[i] = i
    t = 0
    for k in d:
        t += k
        if k == 4:
            t += 10**30
    return t


def left_after_growing_in_a_loop(n):
    d = {}
    for i in range(n):
        d[i] = i
    t = 0
    for k, v in d.items():
        t += k
        if k == 4:
            d[-1] = 0
            t += 10**30
    return t


def caught_in_a_loop(n):
    d = {}
    for i in range(n):
        d[i] = i
    t = []
    for v in d.values():
        if v == 4:
            t.append("x" * v)
        try:
            t.append(1 // (v - 6))
        except ZeroDivisionError:
            t.append(None)
    return t


def numbered(w):
    d = {}
    for x in w:
        if x not in d:
            d[x] = len(d)
    return d


def memo(n):
    memo = {0: 0, 1: 1}
    for i in range(2, n):
        memo[i] = memo[i - 1] + memo[i - 2]
    return memo[n - 1]


def truths_as_keys(n):
    d = {}
    for i in range(n):
        d[True] = i
        d[1] = i
    return d


def emptied(n):
    d = {}
    for i in range(n):
        d[i] = i
    for k in list(d):
        del d[k]
    return d, len(d)


def swapped(n):
    a = {}
    for i in range(n):
        a[i] = i
    b = {}
    for k in a:
        b[k + 1] = a[k] * 2
    a, b = b, a
    return a, b, min(a), max(b), sum(a)


def brackets(s):
    st = []
    pairs = {")": "(", "]": "["}
    for c in s:
        if c in "([":
            st.append(c)
        elif c in pairs:
            if not st or st.pop() != pairs[c]:
                return False
    return not st


def comprehensions(n):
    d = {k: k * k for k in range(n)}
    s = {k % 4 for k in range(n)}
    return d, s, d[n - 1]


def missing_character(s):
    d = {}
    for i, c in enumerate(s):
        d[c] = i
    return d[s[0]], d["z"]


CASES = [
    (counts, [(0,), (5,), (100,)]),
    (most_frequent, [("hello",), ("",), ("éàé\U0001f40dx",)]),
    (words, [(WORDS,), ("",)]),
    (grows_while_run_over, [(2,), (3,), (10,)]),
    (deleted_and_put_back, [(0,), (50,)]),
    (popped, [(12,), (3,)]),
    (values_outgrow_the_table, [(10,), (80,)]),
    (squares, [(0,), (30,)]),
    (set_display, [(5,), (3000,)]),
    (pairs_seen, [(3,), (12,)]),
    (pairs_as_keys, [(5,), (1,)]),
    (
        any_keys,
        [
            ([1, 2, 1],),
            (["a", "b"],),
            ([1.5, 2],),
            ([(1, 2)],),
            ([[1]],),
            ("abca",),
            ([1, True, 1.0],),
        ],
    ),
    (looked_up, [(1,), (2,), ("a",), (1.0,), (True,)]),
    (set_default, [(0,), (10,)]),
    (two_names, [(3,)]),
    (another_key, [(3,), (10,)]),
    (defaults, [(1,), (5,)]),
    (left_in_a_loop, [(3,), (10,)]),
    (left_after_growing_in_a_loop, [(3,), (10,)]),
    (caught_in_a_loop, [(3,), (10,)]),
    (numbered, [(["a", "bb", "a"],), ("aba",), ([3, 4, 3],), (WORDS.split(),)]),
    (memo, [(3,), (90,), (120,)]),
    (truths_as_keys, [(3,)]),
    (emptied, [(5,)]),
    (swapped, [(5,), (0,)]),
    (brackets, [("([])",), ("(]",), (")",)]),
    (comprehensions, [(9,), (0,)]),
    (missing_character, [("abz",), ("ab",)]),
]


@pytest.mark.parametrize(
    ("function", "calls"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_against_python(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_pop_with_a_default_stays_native():
    made = opcodon.jit(popped_often)
    assert made(500) == popped_often(500)
    assert sum(found["n_taken"] for found in made.exits().values()) == 0


def test_nothing_leaks():
    functions = [
        (opcodon.jit(function), args)
        for function, args in (
            (words, (WORDS,)),
            (values_outgrow_the_table, (80,)),
            (pairs_seen, (5,)),
            (missing_character, ("abz",)),
            (left_in_a_loop, (8,)),
        )
    ]
    check_no_leak(functions)
