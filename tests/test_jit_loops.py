"""Loops, branches and scalars where compiled code takes short cuts, against CPython and numpy.

A short cut is right or it is not taken: counters that pause for signals, values that are kept from
the loops around, branches that are selected, bits that are counted at once, scalars of numpy's
that live in registers. Each function here is run by both on what lies around the borders.
"""

import gc
import importlib
import linecache
import pathlib
import sys
import weakref

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

#: Around the number of turns after which a loop looks at signals.
TURNS = (0, 1, 2, 3, 16383, 16384, 16385, 40000)


def sum_up(n, start, step):
    total = 0
    for i in range(start, n, step):
        total += i * 3 + 1
    return total


def sum_up_by_seven(n):
    total = 0
    for i in range(-5, n, 7):
        if i % 2:
            continue
        total ^= i
    return total


def find(n, wanted):
    seen = 0
    for i in range(n):
        seen += 2
        if i == wanted:
            break
    else:
        return -1, seen
    return i, seen


def find_in_array(values, wanted):
    at = 0
    for value in values:
        if value == wanted:
            return at, value
        at += 1  # noqa: SIM113
    return None


def nested(a, n):
    out = np.zeros(3)
    scale = 0.5
    for i in range(n):
        low = a[0, 0]
        where = -1
        for j in range(a.shape[1]):
            value = a[i % 2, j] * scale
            if value < low:
                low = value
                where = j
            out[j % 3] += value
        scale = scale + low * 0.001
    return out, scale, where, low, j


def swapped(n):
    a, b = np.zeros(5), np.ones(5)
    for _ in range(n):
        for i in range(1, 4):
            b[i] = (a[i - 1] + b[i] + a[i + 1]) / 3.0
        a, b = b, a
    return a, b


def changes_type(n):
    s = 0
    for i in range(n):
        if i == 3:
            s = s + 0.5
        s = s + i
    return s


def count_bits(v, c):
    while v:
        v &= v - 1
        c += 1
    return c, v


def count_bits_of(v):
    c = 0
    while v != 0:
        c = c + 1
        v = v & (v - 1)
    return c


def chain(n):
    steps = 0
    for _ in range(60):
        if n % 2 == 0:  # noqa: SIM108
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return n, steps


def select(a, b, n):
    least = a
    for i in range(n):
        if a - i < b * 2:
            least = a - i
        if least > b:
            b = b + least
        else:
            a = a * 3
    return a, b, least


FAR = (2**62, 2**63 - 1, -(2**63), 2**64, 10**30)
CASES = [
    (sum_up, [(n, start, step) for n in TURNS for start in (0, -3, 5) for step in (1, 2, 4999)]),
    (sum_up, [(far, far - 3, 1) for far in FAR] + [(2**56 + 3, 2**56 - 3, 1), (0, 9, 0)]),
    (sum_up, [(0, 5, -1), (-(2**62), -(2**62) + 9, -2), (7, 0, 2**41), (2**60, 0, 2**58)]),
    (sum_up_by_seven, [(n,) for n in (*TURNS, 2**20)]),
    (find, [(n, wanted) for n in TURNS for wanted in (-1, 0, 2, 16384, 39999)]),
    (
        find_in_array,
        [
            (np.arange(n, dtype=dtype)[::step], wanted)
            for n in (0, 5, 20000)
            for dtype in ("float64", "int64", "int32", "float32", "uint8")
            for step in (1, -2)
            for wanted in (-1, 3, 19998, 2.5)
        ],
    ),
    (nested, [(np.arange(14.0).reshape(2, 7) - 5, n) for n in (0, 1, 2, 9)]),
    (nested, [(np.ones((2, 0)), 2), (np.ones((1, 4)), 2), (np.ones((2, 33000)), 3)]),
    (swapped, [(n,) for n in range(4)]),
    (changes_type, [(n,) for n in (0, 3, 4, 20000)]),
    (count_bits, [(v, c) for v in (0, 1, 255, 2**62, 2**63 - 1, 2**70, True) for c in (0, -3)]),
    (count_bits, [(5, 2**63 - 1), (7, 2**62), (3, 1.5), (2.5, 0)]),
    (count_bits_of, [(v,) for v in (0, 1, 2**40 - 1, np.int64(77), np.uint8(200))]),
    (chain, [(n,) for n in (1, 27, 2**62 - 1, 2**63 - 1, -17, 2.5, True)]),
    (
        select,
        [(a, b, n) for a in (0, 7, 2**62, -(2**63)) for b in (1, -5, 2**61) for n in (0, 1, 5, 50)],
    ),
]


def check(function, calls):
    check_calls(function, opcodon.jit(function), calls)


@pytest.mark.parametrize(
    ("function", "calls"), [pytest.param(*case, id=case[0].__name__) for case in CASES]
)
def test_loops(function, calls):
    check(function, calls)


ARITHMETIC = ["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>"]
OPERATORS = [*ARITHMETIC, "<", "<=", "==", "!=", ">", ">="]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["float32", "float64", "bool", *INTEGERS]
PLAIN = (0, 1, -2, 300, 2**40, 0.5, -1e40, float("inf"), True)
NUMPY = (np.float32(2.5), np.int32(7), np.uint8(9), np.int64(-3), np.float64(2.0))
NUMBERS = PLAIN + NUMPY
SOURCE = """\
def left(a, y, i):
    return a[i] {0} y
def right(y, a, i):
    return y {0} a[i]
def both(a, b, i):
    return a[i] {0} b[i]
def accumulate(a, y, i):
    for v in a[:i]:
        y = y {0} v
    return y
def store(a, y, i):
    a[i] = y
    return a[i] {0} a[i]
"""


def values_of(dtype):
    if dtype == "bool":
        return np.array([True, False])
    if dtype.startswith("float"):
        return np.array([0.5, -3.25, 1e30, np.inf, np.nan], dtype)
    info = np.iinfo(dtype)
    return np.array([0, 3, 100, info.min, info.max], dtype)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_of_arrays(operator, dtype):
    names = {}
    source, name = SOURCE.format(operator), f"<{operator} {dtype}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), names)
    values = values_of(dtype)
    places = range(len(values))
    check(names["left"], [(values, y, i) for y in NUMBERS for i in places])
    check(names["right"], [(y, values, i) for y in NUMBERS for i in places])
    check(names["accumulate"], [(values, y, 3) for y in (0, 0.0, 1, np.float32(1))])
    others = [np.full(len(values), 2).astype(other) for other in DTYPES]
    check(names["both"], [(values, other, i) for other in others for i in places])
    check(names["store"], [(values, y, 0) for y in NUMBERS])


def at(text, index):
    return text[index]


def compare(a, b):
    return a == b, a != b, a < b, a <= b, a > b, a >= b


def code(text):
    return ord(text)


TEXTS = ("", "a", "abc", "abd", "äöü", "日本語", "a\U0001f600b", "\ud800")
INDICES = (-5, -3, -1, 0, 1, 2, 3, 2**70, True, np.int64(1), np.uint8(2), "x", None, 1.0)


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        pytest.param(at, [(text, index) for text in TEXTS for index in INDICES], id="item"),
        pytest.param(compare, [(a, b) for a in TEXTS for b in (*TEXTS, None)], id="compare"),
        pytest.param(code, [(text,) for text in (*TEXTS, 1, b"a")], id="ord"),
    ],
)
def test_texts(function, calls):
    check(function, calls)


def test_entries_take_what_fits_and_hand_on_the_rest():
    def twice(x, y=3):
        return x * y

    check(
        twice,
        [
            *[(2.5, 2.0), (2, 4), (2**40, 2**40), (2**70, 1), (True, 2), ("ab", 2), ([1], 2)],
            *[(np.arange(3.0), 2.0), (np.arange(3), 2), (np.float32(2), 3), (None, 1)],
            *[(1.5,), (), (1, 2, 3)],
        ],
    )
    made = opcodon.jit(twice)
    assert made(2, y=5) == 10
    assert made(y=2.0, x=1.5) == 3.0
    with pytest.raises(TypeError, match="unexpected keyword"):
        made(1, z=2)


def test_functions_that_nobody_refers_to_are_freed():
    def scaled(factor):
        return opcodon.jit(lambda x: x * factor + 1)

    made = [scaled(factor) for factor in range(20)]
    assert [function(2) for function in made] == [2 * factor + 1 for factor in range(20)]
    references = [weakref.ref(function) for function in made]
    made.clear()
    gc.collect()
    assert [reference() for reference in references] == [None] * 20


def neighbours(a, i, j):
    s = 0
    for di in (-1, 0, 1):
        for dj in [-1, 0, 1]:
            if di != 0 or dj != 0:
                s += a[(i + di) % len(a)][(j + dj) % len(a)]
    return s, di, dj


def written_out(n):
    told = []
    for x in (10, 7, 4, 1):
        for y in (1, -1):
            for z in (5,):
                told.append((x, y, z, type(x)))
                if x * y < n:
                    break
            else:
                continue
            if n == 3:
                break
        else:
            told.append("else")
    for x in (0, 0, 0):
        told.append(x)
    for x in (1, 2, 4):
        told.append(x)
    for x in (1, True, 1.0):
        told.append(x)
    for x in (2**62, 2**62 + 1):
        told.append(x + n)
    for x in ():
        told.append(x)
    return told, x, y


def raises_between(values):
    told = []
    for k in (0, 2, 4):
        told.append(k * 2**61)
        try:
            told.append(values[k])
        except IndexError:
            told.append("none")
    return told


def changes(n):
    for x in (1, 2, 3):
        x += n
        n = x
    return x, n


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (
            neighbours,
            [([[1, 2, 3], [4, 5, 6], [7, 8, 9]], i, j) for i in range(3) for j in range(3)],
        ),
        (neighbours, [([[2**62] * 3] * 3, 0, 0), ([[0.5] * 3] * 3, 1, 1), ([[]], 0, 0)]),
        (written_out, [(0,), (3,), (20,), (-20,)]),
        (raises_between, [([1, 2, 3, 4, 5],), ([1],), ("abc",), (None,)]),
        (changes, [(1,), (0.5,), (2**63 - 3,)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_integers_that_are_written_out(function, calls):
    check(function, calls)
