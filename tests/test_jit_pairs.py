"""Functions in place that give tuples of numbers, and loops that count down, against CPython."""

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

# Tuples.


def slopes(x, y, z):
    return 10.0 * (y - x), x * (28.0 - z) - y, x * y - 2.667 * z


def attractor(n, dt):
    x, y, z = 0.0, 1.0, 1.05
    for _ in range(n):
        dx, dy, dz = slopes(x, y, z)
        x += dx * dt
        y += dy * dt
        z += dz * dt
    return x, y, z


def ordered(a, b):
    if a > b:
        return b, a
    return a, b


def sums_of_pairs(n, start):
    low = high = start
    for i in range(n):
        a, b = ordered(i * 7 % 5, start)
        low += a
        high = ordered(high, b)[1] + 1
    return low, high, ordered(low, high)


def quotients(a, b):
    q, r = divmod(a, b)
    return q, r, a / b


def shares(n, by):
    total = 0
    for i in range(n):
        q, r, s = quotients(i, by)
        total += q + r + s
    return total


def sometimes(a, b):
    if a > 2:
        return a, b
    if a > 1:
        return a, b, 1
    return None


def lengths(n):
    found = []
    for i in range(n):
        found.append(sometimes(i, 0.5))
    return found


def swapped(a, b):
    return b, a


def swaps(n, a, b):
    for _ in range(n):
        a, b = swapped(a, b)
        pair = swapped(b, a)
        a, b = swapped(*pair) if n > 5 else pair
    return a, b, pair


def nested(a, b):
    c, d = ordered(b, a)
    e, f = swapped(c, d)
    return e + 1, f, c is d


def nests(n, a):
    r = 0
    for i in range(n):
        x, y, z = nested(a, i)
        r += x * 2 + y
    return r, z


def held(n):
    pairs = []
    last = None
    for i in range(n):
        pair = swapped(i, i * 0.5)
        pairs.append(pair)
        if last == pair:
            return None
        last = pair
    return pairs, last, len(last), last[0], last[-1]


def extremes(x, i):
    low = high = x[i]
    for j in range(i, x.shape[0]):
        low = min(low, x[j])
        high = max(high, x[j])
    return low, high


def ranges(x):
    total = 0.0
    for i in range(x.shape[0]):
        low, high = extremes(x, i)
        total += high - low
    return total


def maybe(x, ok):
    return x if ok else None, x + 1


def maybes(n, big):
    total = 0
    for i in range(n):
        a, b = maybe(i + big, i % 3)
        if a is None:
            total += b
        else:
            total += a
    return total


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (attractor, [(0, 0.01), (100, 0.01), (2, "a"), (3, 1), (5, float("inf"))]),
        (sums_of_pairs, [(10, 3), (10, 2.5), (3, 2**63 - 2), (0, "a"), (2, "a"), (4, True)]),
        (shares, [(10, 3), (10, -3), (5, 0), (5, 0.0), (5, 2.5), (3, "a"), (4, 2**70)]),
        (lengths, [(0,), (6,)]),
        (swaps, [(3, 1, 2), (7, 1, 2.5), (6, "a", 1), (0, 1, 2)]),
        (nests, [(5, 3), (5, 3.5), (3, 2**63 - 1), (0, 1)]),
        (held, [(1,), (5,), (0,)]),
        (ranges, [(np.array([3.0, 1.0, 2.0, 8.0]),), (np.arange(40) * 7 % 11,)]),
        (maybes, [(10, 0), (10, 2**63 - 5), (3, 0.5), (3, None)]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_tuples_of_functions_in_place(function, calls):
    check_calls(function, opcodon.jit(function), calls)


# Loops that count down.

ARRAYS = {
    "floats": np.array([3.0, -1.0, 2.5, 2.5, 0.0, 9.0, -7.0]),
    "integers": np.array([5, 3, 8, -1, 2, 2, 7]),
    "bytes": np.array([200, 3, 3, 90, 255], np.uint8),
    "strided": np.arange(20.0)[::-3],
    "one": np.array([1.0]),
    "none": np.array([]),
    "list": [3, 1, 2],
}


def inserted(a):
    for i in range(1, len(a)):
        key = a[i]
        j = i - 1
        while j >= 0 and a[j] > key:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = key
    return a


def inserted_before(a):
    for i in range(1, len(a)):
        key = a[i]
        j = i
        while j > 0 and a[j - 1] > key:
            a[j] = a[j - 1]
            j = j - 1
        a[j] = key
    return a


def sunk(a):
    for i in range(1, len(a)):
        j = i
        while j > 0 and a[j] < a[j - 1]:
            t = a[j]
            a[j] = a[j - 1]
            a[j - 1] = t
            j -= 1
    return a


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("function", [inserted, inserted_before, sunk], ids=lambda f: f.__name__)
def test_sorting_by_insertion(function, name):
    check_calls(function, opcodon.jit(function), [(ARRAYS[name],)])


# Lines end with a semicolon, and begin with a dot for each block around them.
BODIES = [
    "while j >= 0 and n < 20:;.s += a[j];.n += 1;.j -= {step}",
    "while j > 0:;.j -= {step};.s += a[j]",
    "while j > {low}:;.s += a[j - 1];.j -= {step}",
    "while j >= {low}:;.s += a[j - 2];.a[j - 1] = s;.j -= {step}",
    "while j:;.s += a[j];.if n > 20 or j < -9: break;.n += 1;.j -= {step}",
    "while True:;.if j < {low}: break;.k = j + 1;.s += a[k];.j -= {step}",
    "while j > {low}:;.s += a[j - 1];.if s > 9: j = 2;.j -= 1;.n += 1;.if n > 20: break",
    "while n < 9:;.if j > 1: s += a[j - 2];.elif j < -1: s += a[j + 1];.n += 1;.j -= {step}",
    "while j >= {low} and (a[j] > 2 or a[j - 1] > 2):;.s += a[j];.j -= {step}",
    "for i in range(3):;.while j > i:;..s += a[j - 1] + a[i];..j -= {step};.j += 2",
    "if j <= 0: return s;while True:;.s += a[j - 1];.j = j - {step};.if not j > {low}: return s",
]


@pytest.mark.parametrize("body", range(len(BODIES)))
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("low", [0, 1, -2])
def test_indices_that_count_down(body, step, low):
    lines = ["s = n = 0", *BODIES[body].format(step=step, low=low).split(";"), "return s, j, n"]
    depths = [len(line) - len(line.lstrip(".")) for line in lines]
    rows = ["    " * (1 + n) + line[n:] for n, line in zip(depths, lines, strict=True)]
    text = "\n".join(["def f(a, j):", *rows, ""])
    file = f"<down {text}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    space = {}
    exec(compile(text, file, "exec"), space)
    compiled = opcodon.jit(space["f"])
    starts = [*range(-4, 9), 2**63 - 1, 2**70, True, 2.0]
    random.Random(body).shuffle(starts)
    for name in ("integers", "strided", "none", "list"):
        check_calls(space["f"], compiled, [(ARRAYS[name], start) for start in starts])


# Extremes, and where they are.

NUMBERS = [0.0, -0.0, 1.5, 1.5, float("nan"), float("inf"), -7.0, float("-inf"), 3, True, 2**70]


def nearest(x, c):
    found = []
    for v in x:
        best = 0
        least = abs(v - c[0])
        for j in range(1, len(c)):
            d = abs(v - c[j])
            if d < least:
                least = d
                best = j
        found.append((best, least))
    return found


def largest(x, start):
    most = start
    at = -1
    n = 0
    for i in range(len(x)):
        w = x[i] * 1.0
        if w > most:
            most = w
            at = i
            n += 1
    return most, at, n


def largest_from_the_right(x, start):
    most = start
    for i in range(len(x)):
        w = x[i] + 0.0
        if most < w:
            most = w
    return most


def not_the_extreme(x, start):
    least = start
    for i in range(len(x)):
        w = x[i] * 1.0
        is_less = w < least
        w = w + 1.0
        if is_less:
            least = w
        if least < w:
            w = least
            least = w + 0.5
    return least, w if len(x) else None


@pytest.mark.parametrize(
    "function",
    [largest, largest_from_the_right, not_the_extreme],
    ids=lambda function: function.__name__,
)
def test_extremes_are_selected(function):
    random.seed(4)
    compiled = opcodon.jit(function)
    starts = [-1e300, 1e300, 0.0, -0.0, float("nan"), np.float64(1.0), np.float32(0.1), 1, None]
    calls = []
    for _ in range(12):
        x = [random.choice(NUMBERS) for _ in range(random.randrange(9))]
        floats = np.array([float(v) for v in x])
        for start in starts:
            calls += [(x, start), (floats, start), (floats.astype(np.float32), start)]
    check_calls(function, compiled, calls)


def test_where_extremes_are():
    rng = np.random.default_rng(2)
    x, c = rng.normal(size=40), rng.normal(size=6)
    c[3] = c[1]
    odd = np.array([0.0, float("nan"), -0.0, 0.0, float("inf"), -1.0])
    calls = [(x, c), (odd, odd), (x, odd), (x, c[:1]), (list(x), list(c)), (x, [1, 2.5, 2])]
    with np.errstate(all="ignore"):
        check_calls(nearest, opcodon.jit(nearest), calls)
