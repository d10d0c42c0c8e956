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


def most_frequent_words(words):
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:3]


def given_away_in_turns(texts):
    out = []
    for text in texts:
        counts = {}
        for c in text:
            if c in counts:
                counts[c] += 1
            else:
                counts[c] = 1
        out.append(list(counts.values()))
        seen = set()
        for c in text:
            seen.add(c)
        out.append(sorted(seen, reverse=True))
    return out


def given_away_and_kept(text):
    counts = {}
    for c in text:
        counts[c] = counts.get(c, 0) + 1
    items = counts.items()
    first = len(items)
    counts["?"] = 5
    return first, len(items), sorted(items), len(counts)


def given_away_twice(n):
    table = {}
    for i in range(n):
        table[i] = i * 0.5
    other = table
    values = table.values()
    other[n] = 1.0
    return list(values), max(other, key=lambda k: -k) if n else None


def given_away_failing(n):
    table = {}
    for i in range(n):
        table[i] = i
    try:
        return sorted(table, key=lambda k: 1 // (k - 3))
    except ZeroDivisionError:
        return table


def view_is_returned(n):
    table = {}
    for i in range(n):
        table[i] = i * i
    return table.items()


def given_away_empty(n):
    table = {}
    if n:
        table[n] = 1
    return sorted(table.items(), key=lambda pair: pair), str(table)


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (
            most_frequent_words,
            [(["to", "be", "or", "not", "to", "be", "é", "é"],), (["a"],), ([],)],
        ),
        (given_away_in_turns, [(["abca", "", "xyzzy", "é€é"],)]),
        (given_away_and_kept, [("abca",), ("",)]),
        (given_away_twice, [(3,), (0,)]),
        (given_away_failing, [(3,), (6,)]),
        (given_away_empty, [(0,), (2,)]),
    ],
)
def test_tables_become_pythons_where_they_are_given_away(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_a_view_of_a_table_is_a_view():
    compiled = opcodon.jit(view_is_returned)
    for n in (0, 3):
        assert type(compiled(n)) is type({}.items())
        assert list(compiled(n)) == list(view_is_returned(n))


def test_tables_given_away_leave_nothing_behind():
    words = ["to", "be", "or", "not", "to", "be"]
    functions = [(most_frequent_words, (words,)), (given_away_in_turns, (["abca", "xyzzy"],))]
    check_no_leak([(opcodon.jit(function), args) for function, args in functions])


def words_of_all_kinds(words):
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    total = 0
    for word in words:
        total += counts[word] * len(word)
    return counts, total


def test_keys_are_the_same_if_their_texts_are():
    words = ["a", "ab", "ba", "é", "éa", "€uro", "\U0001f40d", "", "x" * 300, "ab" * 2, "\ud800x"]
    again = ["".join(list(word)) for word in words]
    check_calls(words_of_all_kinds, opcodon.jit(words_of_all_kinds), [(words * 2 + again,), ([],)])
