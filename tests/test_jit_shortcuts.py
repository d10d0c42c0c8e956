"""Branches on `and`, `or` and `not` in machine code, against CPython.

Random conditions of parts that are numbers, elements and divisions: which part decides, what is
looked at at all, and what is raised by the first part that raises.
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

PARTS = [
    *("n", "k > 2", "x[i] > 0.5", "x[i + k] < 0.2", "k < n <= 7", "x[k - 3]", "i % 3 == 1"),
    *("n // (k - 2) > 0", "x[i] / (n - 3) > 0.1", "ints[i] & 1", "ints[k] == ints[i]", "True"),
    *("k * 2 ** 61 > n", "(t := t + 1) % 2", "0.0", "x[i] != x[i]", "math.sqrt(k - 1) < 1.5"),
]
STATEMENTS = ["t += 1", "t = k - t", "s += x[i]", "k += 1", "out[i] = t", "t ^= i", "s = -s"]


def condition(rng, depth=2):
    if depth == 0 or rng.random() < 0.25:
        return rng.choice(PARTS)
    parts = [condition(rng, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
    text = "(" + f" {rng.choice(['and', 'or'])} ".join(parts) + ")"
    return f"(not {text})" if rng.random() < 0.2 else text


def block(rng):
    return "; ".join(rng.choice(STATEMENTS) for _ in range(rng.choice([1, 1, 2])))


def compiled(rng, number):
    form = rng.choice(["if", "while", "value", "elif"])
    test = condition(rng)
    body = {
        "if": [f"if {test}:", f"    {block(rng)}", "else:", f"    {block(rng)}"],
        "while": ["w = 0", f"while w < 4 and {test}:", f"    {block(rng)}; w += 1"],
        "value": [f"v = {test}", "s += 1 if v else 2"],
        "elif": [
            f"if {test}:",
            f"    {block(rng)}",
            f"elif {condition(rng)}:",
            f"    {block(rng)}; continue",
            block(rng),
        ],
    }[form]
    lines = "\n".join(f"        {line}" for line in body)
    source = (
        "def f(x, ints, n, k):\n    t = 0\n    s = 0.0\n    out = np.zeros(6)\n"
        f"    for i in range(6):\n{lines}\n    return t, s, k, out\n"
    )
    file = f"<condition {number}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np, "math": __import__("math")}
    exec(compile(source, file, "exec"), space)
    return space["f"]


@pytest.mark.parametrize("seed", range(60))
def test_random_conditions(seed):
    rng = random.Random(seed)
    x = np.random.default_rng(seed).uniform(-1, 1, 9)
    x[seed % 9] = np.nan
    ints = np.random.default_rng(seed).integers(-3, 4, 9)
    with np.errstate(all="ignore"):
        for number in range(4):
            f = compiled(rng, f"{seed}.{number}")
            calls = [(x, ints, n, k) for n in (0, 3, 5) for k in (0, 2, 3, 6)]
            check_calls(f, opcodon.jit(f), calls)


def test_elements_behind_conditions():
    def insert(values):
        out = values.copy()
        for i in range(1, len(out)):
            key = out[i]
            j = i - 1
            while j >= 0 and out[j] > key:
                out[j + 1] = out[j]
                j -= 1
            out[j + 1] = key
        return out

    def largest(x):
        best = 0
        for i in range(1, len(x)):
            if x[i] > x[best]:
                best = i
        return best

    for seed in range(5):
        values = np.random.default_rng(seed).integers(-9, 9, 60)
        for array in (values, values / 3.0, values[::2], values[:0].copy()):
            check_calls(insert, opcodon.jit(insert), [(array,)])
            check_calls(largest, opcodon.jit(largest), [(array,)])
    assert opcodon.jit(insert)(np.array([3, 1, 2])).tolist() == [1, 2, 3]


def test_literal_tuples_as_sequences():
    def around(g, i, j):
        total = 0
        for a in (-1, 0, 1):
            for b in (-1, 0, 1):
                if a != 0 or b != 0:
                    total += g[(i + a) % g.shape[0], (j + b) % g.shape[1]]
        for weight in (0.5, -2.0):
            total += weight
        for mixed in (1, 2.5):
            total *= mixed
        for _ in ():
            total = None
        return total, a, b, mixed

    g = np.random.default_rng(2).integers(0, 2, (5, 6))
    for dtype in (np.int64, np.uint8, np.float64, np.bool_):
        calls = [(g.astype(dtype), i, j) for i in (0, 2, 4) for j in (0, 5)]
        check_calls(around, opcodon.jit(around), calls)
