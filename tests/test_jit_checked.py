"""Indices that are looked at once, against CPython: values, errors, and where they are raised.

Random loops and branches that read and write the same elements several times by indices that change
in between, may be negative, and may be out of bounds on one way only.
"""

import importlib
import linecache
import pathlib
import random
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def sifted(a):
    a = a.copy()
    n = len(a)
    for start in range(n // 2 - 1, -1, -1):
        r = start
        while True:
            c = 2 * r + 1
            if c >= n:
                break
            if c + 1 < n and a[c] < a[c + 1]:
                c += 1
            if a[r] >= a[c]:
                break
            a[r], a[c] = a[c], a[r]
            r = c
    return a


def inserted(a):
    a = a.copy()
    for i in range(1, len(a)):
        key = a[i]
        j = i - 1
        while j >= 0 and a[j] > key:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = key
    return a


def parted(a):
    a = a.copy()
    i, j = 0, len(a) - 1
    p = a[len(a) // 2]
    while i <= j:
        while a[i] < p:
            i += 1
        while a[j] > p:
            j -= 1
        if i <= j:
            a[i], a[j] = a[j], a[i]
            i += 1
            j -= 1
    return a, i, j


def counted(places, n):
    c = np.zeros(n)
    d = np.zeros((n, 2), dtype=np.int64)
    for p in places:
        c[p] += 1
        d[p, 0] += 2
        d[p, p % 2] += 1
    return c, d


def found(x, limit):
    k = 0
    while x[k] < limit:
        k += 1
    x[k] = 0
    return k


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int32, np.uint8])
def test_sorting_and_counting(dtype):
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 17, 50):
        a = rng.integers(0, 30, n).astype(dtype)
        for function in (sifted, inserted, parted):
            check_calls(function, opcodon.jit(function), [(a,), (a[::-1],), (np.sort(a),)])
        jitted = opcodon.jit(found)
        check_calls(found, jitted, [(a, 29), (a, 15), (a.astype(float), np.nan)])
    check_calls(
        counted, opcodon.jit(counted), [(np.array([1, -1, 3, 1]), 5), (np.array([4, -6]), 5)]
    )
    check_calls(counted, opcodon.jit(counted), [(np.arange(4, dtype=dtype), 4), ([0, 3, 9], 5)])


INDICES = ["i", "j", "k", "i + 1", "j - 1", "i - k"]
PARTS = ["j >= 0", "j < n", "x[j] > 0.5", "x[i] < 0.4", "k % 2 == 0", "x[k] != x[j]", "m[i, j] > 1"]
STATEMENTS = [
    *("x[i] += 1.5", "x[j] = x[i]", "j += 1", "j -= 2", "k = i", "k = -j", "t += x[k]", "i += 1"),
    *("m[i, j] += m[j, i]", "m[k, j] = t", "x[j], x[k] = x[k], x[j]", "t += x[i] * x[j]", "j = k"),
]


def block(rng, depth, is_loop):
    lines = []
    for _ in range(rng.choice([1, 2, 3])):
        kind = rng.random()
        if depth == 0 or kind < 0.5:
            lines.append(rng.choice(STATEMENTS))
            continue
        parts = rng.sample(PARTS, rng.choice([1, 2, 2]))
        test = f" {rng.choice(['and', 'or'])} ".join(parts)
        inner = ["    " + line for line in block(rng, depth - 1, is_loop or kind > 0.8)]
        if kind < 0.8:
            lines += [f"if {test}:", *inner]
            if rng.random() < 0.5:
                lines += ["else:", *("    " + line for line in block(rng, depth - 1, is_loop))]
            if is_loop and rng.random() < 0.3:
                lines.append(f"if {rng.choice(PARTS)}: {rng.choice(['break', 'continue'])}")
        else:
            lines += [f"while w < 9 and ({test}):", "    w += 1", *inner]
    return lines


@pytest.mark.parametrize("seed", range(80))
def test_random_ways(seed):
    rng = random.Random(seed)
    body = "\n".join("        " + line for line in block(rng, 3, True))
    head = "def f(x, m, i, j, k, n):\n    t = 0.0\n    w = 0\n"
    text = f"{head}    while w < 9:\n        w += 1\n{body}\n    return t, i, j, k, w, x, m\n"
    name = f"<checked {seed}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope = {}
    exec(compile(text, name, "exec"), scope)
    source = np.random.default_rng(seed)
    calls = [
        (source.random(n), source.random((n, n)) * 3, *(rng.randrange(-3, 4) for _ in "ijk"), n)
        for n in (9, 30, 4, 30)
    ]
    check_calls(scope["f"], opcodon.jit(scope["f"]), calls)
