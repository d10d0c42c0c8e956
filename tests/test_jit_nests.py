"""Nested loops over arrays: what is hoisted, settled and kept in registers, against CPython.

Bounds that are checked before a loop, values of outer loops that are read from their places, and
elements that a loop keeps in a register are right in every turn, also where the loop is left in the
middle: by break, return, an exception, an integer beyond 64 bits, an index from the end.
"""

import importlib
import pathlib
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome, check_calls

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

RANDOM = np.random.default_rng(5)
ROWS = RANDOM.uniform(-1, 1, (6, 7))
COLUMN = RANDOM.uniform(-1, 1, 7)
INTS = RANDOM.integers(-9, 9, (6, 7))


def windows(a, kernel, shift):
    n, m = a.shape
    out = np.zeros((n, m))
    for i in range(n - kernel.shape[0] + 1):
        for j in range(m - kernel.shape[1] + 1):
            total = 0.0
            for k in range(kernel.shape[0]):
                for q in range(kernel.shape[1]):
                    total += a[i + k + shift, j + q] * kernel[k, q]
            out[i, j] = total
    return out


def three_terms(a, i, j):
    total = 0.0
    for k in range(3):
        total += a[i + j + k - 1]
    return total


def invariant_sum(a, i, j):
    total = 0.0
    for k in range(3):
        total += a[i + j] * k
    return total


def downwards(a, start, stop):
    total = 0.0
    for i in range(start, stop, -2):
        total += a[i] - a[i - 1]
    return total


def around(a):
    out = np.empty_like(a)
    for i in range(len(a)):
        out[i] = a[i - 1] + a[i]
    return out


def index_of_last_turn(a, k):
    total = 0.0
    for i in range(len(a) - 1):
        total += a[k]
        k = i + 1
    return total


def index_bound_first(a):
    total = 0.0
    for i in range(len(a) - 1):
        k = i + 1
        if i == 2:
            continue
        total += a[k]
    return total, k


def products(a, x):
    y = np.zeros(len(a))
    for i in range(len(a)):
        for j in range(len(x)):
            y[i] += a[i, j] * x[j]
    return y


def accumulate_ints(a, start, step):
    y = np.full(len(a), start)
    for i in range(len(a)):
        for j in range(a.shape[1]):
            y[i] += a[i, j]
            y[i] = y[i] + step
    return y


def accumulate_into_itself(a):
    for i in range(len(a)):
        for j in range(a.shape[1]):
            a[i, 0] += a[i, j]
    return a


def accumulate_into_a_view(n):
    a = np.arange(1.0, n + 1)
    y = a[1:]
    for i in range(len(y)):
        for j in range(len(a)):
            y[i] += a[j]
    return a


def changed_in_place(n):
    y = np.arange(6.0).reshape(2, 3)
    row = y[1]
    for i in range(2):
        for _ in range(n):
            y[1, i] += 1.0
            row += 0.5
    return y


def written_by_a_function(n):
    y = np.arange(1.0, 5.0)
    for i in range(2):
        for _ in range(n):
            y[i] += 1.0
            np.sqrt(y, y)
    return y


def left_in_the_middle(a, x, stop, limit):
    y = np.zeros(len(a))
    for i in range(len(a)):
        for j in range(len(x)):
            y[i] += a[i, j]
            if j == stop:
                break
            if y[i] > limit:
                return y, i
            y[i] = y[i] / x[j]
        else:
            y[i] = -1.0
    return y, i


def overflows(counts, by, n):
    for i in range(2):
        for _ in range(n):
            counts[i] = counts[i] + 1
            by = by * 3
            counts[i] += 1
    return counts, by


def settled(a, n, m):
    """Values of outer loops that loops inside use, change, or both."""
    scale, seen, last = 1.5, 0, None
    for i in range(n):
        limit = i * 2
        for j in range(m):
            if j > limit:
                break
            for k in range(2):
                seen += a.shape[0] * k + limit
                if seen % 11 == 3:
                    scale = scale + 0.25
                    continue
                last = (i, j, k)
            if seen > 400:
                return seen, scale, last, limit
        else:
            limit = -seen
            scale *= 0.5
        seen += limit
        while limit > 0:
            limit -= 3
            seen += n
    return seen, scale, last, limit


def rebound_in_else(n):
    total, step = 0, 1
    for i in range(n):
        for j in range(3):
            for k in range(2):
                total += step * (i + j + k)
            if total % 7 == 5:
                break
        else:
            step = step + i
        total -= step
    else:
        step = -step
    return total, step


def rows(a):
    total = 0.0
    for row in a:
        for _ in range(2):
            for value in row:
                total += value * len(row)
    return total


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        pytest.param(
            windows,
            [(ROWS, ROWS[:2, :3].copy(), shift) for shift in (0, 1, 2, -1, -9)],
            id="windows",
        ),
        pytest.param(
            three_terms,
            [(COLUMN, i, j) for i in (-3, 0, 1, 4, 2**62, -(2**63)) for j in (-2, 0, 3, 2**62)],
            id="three terms",
        ),
        pytest.param(
            invariant_sum,
            [(COLUMN, i, j) for i in (-3, 0, 3, 6, 2**63 - 1) for j in (-4, 0, 1, 2**63 - 1)],
            id="invariant sum",
        ),
        pytest.param(
            downwards,
            [(COLUMN, a, b) for a in (6, 7, 5, 0, -1) for b in (-1, 0, 1, 3, -4)],
            id="downwards",
        ),
        pytest.param(around, [(COLUMN,), (COLUMN[:0],), (COLUMN[:1],)], id="around"),
        pytest.param(
            index_of_last_turn,
            [(COLUMN, k) for k in (0, 6, 7, -1, -7, -8, 10**8)],
            id="index of the last turn",
        ),
        pytest.param(index_bound_first, [(COLUMN,), (COLUMN[:2],)], id="index bound first"),
        pytest.param(
            products,
            [(ROWS, COLUMN), (ROWS[:, :0], COLUMN[:0]), (ROWS, COLUMN[:3]), (ROWS[:, ::2], COLUMN)],
            id="products",
        ),
        pytest.param(
            accumulate_ints,
            [(INTS, 0, 1), (INTS, 2**62, 2**61), (INTS, -(2**63), 1), (INTS.astype("i4"), 1, 1)],
            id="accumulate ints",
        ),
        pytest.param(accumulate_into_itself, [(ROWS,), (INTS,)], id="into itself"),
        pytest.param(accumulate_into_a_view, [(1,), (2,), (9,)], id="into a view"),
        pytest.param(changed_in_place, [(0,), (3,)], id="changed in place"),
        pytest.param(written_by_a_function, [(0,), (3,)], id="written by a function"),
        pytest.param(
            left_in_the_middle,
            [
                (ROWS, x, stop, limit)
                for x in (COLUMN, np.zeros(7), COLUMN[:4], np.append(COLUMN, 1.0))
                for stop in (-1, 0, 4)
                for limit in (9.0, 0.5)
            ],
            id="left in the middle",
        ),
        pytest.param(
            overflows,
            [
                (np.array([0, 2**63 - 9]), 1, 3),
                (np.array([0, 2**63 - 1]), 1, 3),
                (np.zeros(2, np.int64), 1, 60),
                (np.zeros(2, np.int64), 2**62, 2),
                (np.zeros(1, np.int64), 1, 2),
            ],
            id="overflows",
        ),
        pytest.param(
            settled, [(ROWS, n, m) for n in (0, 1, 3, 9) for m in (0, 1, 5, 30)], id="settled"
        ),
        pytest.param(rebound_in_else, [(n,) for n in (0, 1, 2, 5, 20)], id="rebound in else"),
        pytest.param(rows, [(ROWS,), (ROWS[:0],), (ROWS.T,)], id="rows"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nests(function, calls):
    check_calls(function, opcodon.jit(function), calls)
    for args in calls:
        fresh = opcodon.jit(function)
        difference = Outcome(function, args).differences(Outcome(fresh, args))
        assert not difference, f"{args}: {difference}"
