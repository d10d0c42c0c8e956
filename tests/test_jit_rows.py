"""Expressions over short rows of doubles, against numpy: bits, sizes, overlaps, flags, errors.

Random expressions over parts of arrays, in loops, at sizes around those at which code takes another
way; what raises or warns must do so as in Python, with all stored that numpy had stored before.
"""

import importlib
import linecache
import pathlib
import random
import sys
import warnings

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from outcomes import NEW_NUMPY, again, check, outcome, reals

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

SIZES = [0, 1, 2, 3, 7, 8, 9, 16, 31, 40, 300, 1023, 1024, 1025]


def integrated(s, dt, n):
    out = np.zeros((n, len(s)))
    for i in range(n):
        s = s + dt * (s * -0.5 - s**2)
        out[i] = s
    return out, s


def standardised(a):
    out = np.empty_like(a)
    told = []
    for i in range(a.shape[0]):
        r = a[i, :]
        m = r.mean()
        s = np.std(r)
        out[i, :] = (r - m) / s
        told.append((m, s, r.sum(), np.var(r), r.max(), np.min(r), np.sum(r * r)))
    return out, told


def reduced(a, b, n):
    for i in range(n):
        a[i, i:] -= 0.5 * b[i:]
        a[i, : n - i] += b[i : i + n - i] / 3
        a[-i - 1] = np.sqrt(a[-i - 1] * a[-i - 1]) + -b
    return a


def placed(a, v, i, lower, upper):
    for _ in range(2):
        a[i, lower:upper] = v[lower:upper] * 2.0
        v += a[i] - v
        a[i] = 3
        a[i, lower:] = v[lower:]
    return a, v


def moved_within(v, k):
    for _ in range(3):
        v[k:] = v[: len(v) - k] * 1.5
        v[: len(v) - k] = v[k:]
        v[k:] = v[: len(v) - k]
        v[1:] -= v[:-1] * 0.25
    return v


def by_numbers(v, a, b):
    for _ in range(2):
        v = v * a + b
        v = b - v / a
    return v


@pytest.mark.parametrize("n", SIZES)
def test_sizes(n):
    check(integrated, reals(n) if n else np.zeros(0), 0.125, 4, passes=None)
    check(standardised, reals(3, n) if n else np.zeros((3, 0)), passes=None)
    check(reduced, reals(n, n)[:9], reals(n, seed=1), min(n, 8), passes=None)
    for lower, upper in [(0, n), (1, -1), (-3, n + 5), (n, 0), (-n - 7, 2)]:
        check(placed, reals(3, n), reals(n, seed=2), 1, lower, upper, passes=None)
    check(moved_within, reals(n), min(n, 2), passes=None)


def test_they_are_done_at_once():
    check(integrated, reals(12), 0.125, 4)
    check(standardised, reals(4, 12))
    check(reduced, reals(40, 40), reals(40), 30)
    check(by_numbers, reals(12), 3, 0.5)


def test_layouts():
    plane = reals(9, 40)
    for view in (
        plane,
        plane[:, ::-1],
        plane[::-1],
        plane[:, ::2],
        plane.T,
        plane[1:, 3:],
        plane * 0,
    ):
        check(standardised, view, passes=None)
        check(integrated, view[2], 0.25, 3, passes=None)
        check(placed, view, view[1] * 2, -2, 1, 7, passes=None)
        check(placed, view, view[1], -2, 1, 7, passes=None)
    check(placed, plane, plane[1], 9, 1, 7, passes=None)
    check(placed, plane, plane[1], -10, 1, 7, passes=None)
    check(placed, plane, reals(39), 0, 1, 7, passes=None)
    check(placed, plane.astype(np.float32), reals(40), 0, 1, 7, passes=None)
    check(placed, plane, np.arange(40), 0, 1, 7, passes=None)
    check(placed, reals(9, 1), reals(1), 0, 0, 1, passes=None)
    plane.flags.writeable = False
    check(placed, plane, reals(40), 0, 1, 7, passes=None)


def test_numbers_beside_rows():
    numbers = [1, -3, 2**53, 2**53 + 1, -(2**60) - 1, True, 0, 0.0, -0.0, 1e308, 5e-324]
    numbers += [np.float64(0.1), np.int64(7), np.int64(2**60 + 1), np.float32(0.1), np.inf, np.nan]
    for number in numbers:
        check(by_numbers, reals(12), number, 0.5, passes=None)
        check(by_numbers, reals(12), 2, number, passes=None)


def test_flags_and_what_is_stored_before():
    odd = np.array([1.0, 0.0, -1.0, np.inf, -np.inf, np.nan, 1e308, 5e-324, -0.0] * 4)
    for how in ("ignore", "warn", "raise"):
        with np.errstate(all=how):
            for k in range(9):
                row = np.roll(odd, k)
                zeros = np.where(odd > 0, 0.0, -0.0)
                check(integrated, row, 1e200, 2, passes=None)
                check(standardised, np.array([row, odd, zeros, odd[::-1]]), passes=None)
                check(moved_within, row, 3, passes=None)
                check(by_numbers, row, 1e-300, 1e300, passes=None)
                check(placed, np.array([row, odd]), zeros, 1, 2, 30, passes=None)
    for end in (np.zeros(9), -np.zeros(9), np.array([0.0, -0.0] * 6)):
        check(standardised, np.array([end, end]), passes=None)


def test_it_can_be_interrupted_and_nothing_leaks():
    import signal
    import threading

    def forever(v):
        while True:
            v -= 0.5 * v

    def interrupted(milliseconds):
        jitted = opcodon.jit(forever)
        # It may come while the timer is started.
        threading.Timer(milliseconds / 1000, signal.raise_signal, [signal.SIGINT]).start()
        jitted(reals(20))

    # Python code that runs on the side may be what is told of the interrupt.
    for milliseconds in (1, 5, 10, 15, 20, 30, 50, 300):
        with pytest.raises(KeyboardInterrupt):
            interrupted(milliseconds)
    jitted, a, v = opcodon.jit(placed), reals(4, 20), reals(20)
    jitted(a, v, 1, 2, 9)
    before = sys.getrefcount(a), sys.getrefcount(v)
    for _ in range(500):
        jitted(a, v, 1, 2, 9)
    assert (sys.getrefcount(a), sys.getrefcount(v)) == before


def test_dots_of_vectors_that_stand_still_are_those_of_numpy():
    def dot(v, w):
        return np.dot(v, w)

    jitted = opcodon.jit(dot)
    for n in range(1, 60):
        v, w = np.broadcast_to(reals(1), n), reals(n)
        for args in ((v, w), (w, v), (v, v)):
            for _ in range(2):
                assert jitted(*args).hex() == dot(*args).hex()


def test_arrays_that_become_read_only_are_not_written():
    def twice(a, v):
        for i in range(2):
            a[i, :] = v * 2.0 + 1.0
            a.setflags(write=False)

    for _ in range(3):
        a = np.zeros((2, 8))
        with pytest.raises(ValueError, match="read-only"):
            opcodon.jit(twice)(a, np.ones(8))
        assert a[1].sum() == 0


ROWS = ["v", "w", "a[i]", "a[j, :]", "a[-1]", "u"]
CUTS = ["{}[k:]", "{}[:-1]", "{}[1:j]", "{}[i - 2:]", "{}[:]"]


def term(rng, rows, depth):
    kind = rng.random()
    if depth == 0 or kind < 0.2:
        return rng.choice([*rows, *rows, "s", "2", "0.5", "k"])
    if kind < 0.8:
        one, two = (term(rng, rows, depth - 1) for _ in range(2))
        return f"({one} {rng.choice('+-*/')} {two})"
    inner = term(rng, rows, depth - 1)
    return rng.choice(["np.sqrt({})", "-({})", "({}) ** 2", "np.abs({})"]).format(inner)


def program(seed):
    rng = random.Random(seed)
    lines = []
    for _ in range(5):
        cut = rng.choice(["{}", "{}", rng.choice(CUTS)])
        rows = [cut.format(each) for each in ROWS]
        to = rng.choice(rows)
        kind = rng.random()
        value = term(rng, rows, 2)
        if kind < 0.2:
            line = f"s = {rng.choice(['np.sum', 'np.mean', 'np.max', 'np.std'])}({value})"
        elif kind < 0.4:
            line = f"u = {value} + 0.0 * v"
        else:
            plain = to in ("v", "w", "u")
            line = f"{to} {rng.choice('+-*/') if plain or kind < 0.7 else ''}= {value}"
        lines.append(f"        try:\n            {line}")
        lines.append("        except Exception as e:\n            told.append(str(e))")
    body = "\n".join(lines)
    head = "def f(a, v, w, i, j, k, s):\n    told = []\n    u = w * 2.0\n"
    return f"{head}    for i in range(i, i + 2):\n{body}\n    return told, a, v, w, u, s\n"


@pytest.mark.parametrize("seed", range(60))
def test_random_expressions(seed):
    rng = random.Random(seed)
    text = program(seed)
    name = f"<rows {seed}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope = {"np": np}
    exec(compile(text, name, "exec"), scope)
    jitted = opcodon.jit(scope["f"])
    for n in (12, 1, 40, 12):
        args = (reals(4, n, seed=seed), reals(n, seed=1), reals(n, seed=2))
        args = (*args, rng.randrange(3), rng.randrange(-4, 4), rng.randrange(3), 0.75)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = outcome(scope["f"], again(args))
        assert outcome(jitted, again(args)) == expected, (text, args)


def test_the_report_counts_operations():
    def stores(v, w):
        v[:] = 0.0
        v += w
        v -= 2.0 * w

    jitted = opcodon.jit(stores)
    jitted(reals(9), reals(9))
    if NEW_NUMPY:
        told = [line.why for line in jitted.report().lines[1:]]
        assert told == [
            "stored in one pass",
            "1 operation in one pass",
            "2 operations in one pass",
        ]


def products(a, b, v, w):
    told = []
    for _ in range(2):
        for one, two in ((a, b), (a, v), (v, a), (v, w), (w, b), (a, a), (a.T, a), (v, v)):
            try:
                told.append(one @ two)
            except ValueError as error:
                told.append(str(error))
            try:
                told.append(np.dot(one, two))
            except ValueError as error:
                told.append(str(error))
    return told


def descent(x, y, w, n):
    for _ in range(n):
        for i in range(len(y)):
            error = np.dot(x[i], w) - y[i]
            w -= 0.01 * error * x[i]
        w *= 0.99
    return w, x @ w


def test_small_products():
    def told(function, args):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = function(*args)
        made = [each if isinstance(each, str) else (each.tobytes(), each.strides) for each in made]
        return made, [(each.category, str(each.message)) for each in caught]

    rng = np.random.default_rng(3)
    jitted = opcodon.jit(products)
    for n in (1, 2, 3, 4, 5, 8, 17, 40, 80):
        for m in (1, 2, 7, n):
            big = rng.standard_normal((2 * n, 2 * m))
            planes = [
                rng.standard_normal((n, m)),
                big[::2, ::2],
                big[:n, :m],
                big[n:, m:].T.copy().T,
            ]
            planes += [np.asfortranarray(planes[0]), planes[0][::-1], planes[0].astype(np.float32)]
            for plane in planes:
                for v, w in [(plane[0], plane[:, 0]), (plane[:, 0].copy(), plane[0][::-1])]:
                    args = (plane, plane.T.copy(), v, w)
                    assert told(jitted, args) == told(products, args)
    for odd in (np.inf, np.nan, 1e300, 5e-324):
        args = (np.full((3, 3), odd), np.full((3, 3), -odd), np.full(3, odd), np.arange(3.0))
        assert told(jitted, args) == told(products, args)
    check(descent, reals(9, 5), reals(9), reals(5), 3)


def made(xs, n):
    told = []
    for i in range(2):
        told.append(np.array(xs))
        told.append(np.array([1.0, i, 2.5]))
        told.append(np.array([[i, 2], [3, 4]]))
        told.append(np.linspace(0.0, 1.0 + i, n))
        told.append(np.linspace(-1, 1, 7))
    return told


def test_arrays_are_made_as_numpy_makes_them():
    def told(function, args):
        try:
            each = function(*args)
        except Exception as error:
            return type(error), str(error)
        return [(a.dtype, a.shape, a.strides, a.flags.writeable, a.tobytes()) for a in each]

    jitted = opcodon.jit(made)
    kinds = [1, -2, 0.5, -0.0, True, np.float64(0.1), np.int64(3), np.int8(3), np.float32(0.1), 1j]
    kinds += [2**53 + 1, 2**63, 2**64, 2**70, "a", None, np.nan, [1.0], [], (1, 2)]
    lists = [[], [[]], [[1, 2], [3, 4.0]], [[1, 2], [3]], [[[1.0]]], [[1], 2], (1.0, 2.0), 3.0]
    lists += [[a, b] for a in kinds for b in kinds]
    for xs in lists:
        assert told(jitted, (xs, 5)) == told(made, (xs, 5)), xs
    for n in (0, 1, 2, 3, 50, 2048, 2049, -1, 2.0, np.int64(9), True):
        assert told(jitted, ([1.0], n)) == told(made, ([1.0], n)), n

    def spaced(first, last, n):
        return [np.linspace(first, last, n) for _ in range(2)]

    jitted = opcodon.jit(spaced)
    ends = [0, 1, -3, 0.1, 1e308, -1e308, 5e-324, np.inf, np.nan, 2**53 + 1, 1 / 3, np.float64(7)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for first in ends:
            for last in ends:
                assert told(jitted, (first, last, 9)) == told(spaced, (first, last, 9)), (
                    first,
                    last,
                )


def test_trusted_indices_still_count_from_the_end():
    def last_first(a, n):
        t = 0.0
        k = 0
        while k < n:
            t += a[-1 - k] * 2.0**k
            a[k] = t
            k += 1
        return t, a

    args = (reals(9), 9)
    expected = last_first(*again(args))
    found = opcodon.jit(last_first, boundscheck=False)(*again(args))
    assert found[0] == expected[0]
    assert found[1].tobytes() == expected[1].tobytes()


def parts(a, i, j, lower, upper):
    told = []
    for _ in range(2):
        for k in range(lower, lower + 1):
            told.append(a[k])
            told.append(a[i:])
            told.append(a[lower:upper])
            told.append(a[:, j])
            told.append(a[i, lower:upper])
            told.append(a[lower:upper, -2:j])
            told.append(a[i][lower:])
            told.append(a[-1, :])
    return told


def summed_by_rows(a):
    t = 0.0
    for i in range(a.shape[0]):
        r = a[i]
        for j in range(len(r)):
            t += r[j]
        r = a[:, i]
        t += r[0] + r[-1]
        r[0] = t
    return t, a


def test_parts_are_numpys_views():
    def told(function, a, *args):
        try:
            views = function(a, *args)
        except IndexError as error:
            return str(error)
        start = a.__array_interface__["data"][0]
        found = []
        for view in views:
            owner = a.base if a.base is not None else a
            place = view.__array_interface__["data"][0] - start
            fields = view.dtype, view.shape, view.strides, str(view.flags), view.base is owner
            found.append((place, *fields))
        return found

    jitted = opcodon.jit(parts)
    source = np.arange(120).reshape(10, 12)
    views = [source.astype(kind) for kind in ("d", "f", "i", "?", "D", ">f8", "S3")]
    views += [
        source,
        source[::2, ::-1],
        source.T,
        source[:, :1],
        source[:0],
        source.reshape(5, 4, 6),
    ]
    views += [source.reshape(2, 5, 12)[:, :, 1:3], np.zeros((3, 0)), np.asfortranarray(source)]
    fixed = source.copy()
    fixed.flags.writeable = False
    for view in [*views, fixed]:
        for args in [(1, 0, 2, 4), (-1, 1, -3, -1), (0, 0, 0, 99), (1, 0, 2, 0), (7, 5, -99, 2)]:
            assert told(jitted, view, *args) == told(parts, view, *args), (view, args)
    check(summed_by_rows, reals(8, 8), passes=None)
    check(summed_by_rows, reals(8, 9), passes=None)


def in_one_piece(a, b, c, k):
    for i in range(2):
        a = a * 2.0 + b
        a -= b
        b[k] = a[k] / 3
        b[i:] += a[i:] * c
        c = c + np.sum(a * b) - a.max() + b[k].mean()
    return a, b, c, -a


@pytest.mark.parametrize(
    "shape", [(4, 4), (3, 5), (2, 3, 4), (1, 7), (7, 1), (0, 3), (40, 40), (2, 2, 2, 2)]
)
def test_arrays_in_one_piece(shape):
    one, two = reals(*shape), reals(*shape, seed=1)
    for a, b in [
        (one, two),
        (one, two[:1]),
        (one, reals(shape[-1])),
        (np.asfortranarray(one), two),
    ]:
        check(in_one_piece, a, b, 0.5, 0, passes=None)
        check(in_one_piece, a, a, 0.5, -1, passes=None)
    check(in_one_piece, one[..., ::-1], two, 0.5, 0, passes=None)
    check(in_one_piece, one, two, np.float64(0.25), 5, passes=None)


def written_out(x, y, n, k):
    told = []
    s = np.array([x, y, 0.5])
    for i in range(n):
        d = np.array([10.0 * (s[1] - s[0]), s[0] * (28.0 - s[2]) - s[1], s[0] * s[1] / y])
        s = s + 0.01 * abs(d)
        told.append(np.array([i, k, 3]))
        told.append(np.array([k]))
        told.append(np.array([x, y], dtype=np.float32))
        told.append(np.array([x, i]))
        told.append(np.array([[x, y], [y, x]]))
        told.append(np.array([s[0] / k, x]))
    return told, s, d


def test_arrays_that_are_written_out():
    def told(function, args):
        try:
            each, s, d = function(*args)
        except Exception as error:
            return type(error), str(error)
        found = []
        for a in [*each, s, d]:
            held = str(a.tolist()) if a.dtype.hasobject else a.tobytes()
            found.append((a.dtype, a.shape, a.strides, held))
        return found

    jitted = opcodon.jit(written_out)
    numbers = [0.25, -3.5, 2, True, np.float64(0.1), np.float32(0.1), 2**70, np.int64(3), 1j]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in numbers:
            for y in [1.5, 0.0, 2**54 + 1, np.float64(0.0), "a"]:
                for k in (1, 0, -7, 2**63, np.int64(5), 0.5):
                    assert told(jitted, (x, y, 2, k)) == told(written_out, (x, y, 2, k)), (x, y, k)
    assert told(jitted, (1.0, 2.0, 9, 3)) == told(written_out, (1.0, 2.0, 9, 3))


def test_arrays_that_are_written_out_do_not_leak():
    import gc

    def many(n):
        t = 0.0
        for _ in range(n):
            r = np.array([t, 1.0, 2.0])
            v = r[1:]
            t = v[0] * 0.5
        return t

    jitted = opcodon.jit(many)
    jitted(10)
    gc.collect()
    before = sys.getallocatedblocks()
    jitted(20_000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
