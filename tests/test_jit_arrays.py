"""Expressions over whole arrays in one pass, against numpy: bits, types, shapes, warnings.

Random expressions over arrays of random types, shapes and layouts; large and small numbers among
the elements, infinities, NaNs and zeros of both signs. Loops on threads, against one thread.
"""

import importlib
import linecache
import random
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import opcodon

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

VERSION = tuple(int(part) for part in np.__version__.split(".")[:2])
NEW_NUMPY = VERSION >= (2, 0)


def if_sums_are_known(passes):
    """Whether a sum takes one pass: older numpy adds long arrays in another order."""
    return passes if VERSION >= (2, 4) else None


def outcome(function, *args):
    """What a call gives, as something to be compared."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*args)
        except Exception as error:
            return type(error), str(error)
    told = [(each.category, str(each.message)) for each in caught]
    results = result if isinstance(result, tuple) else (result,)
    return [described(each) for each in results], told


def described(value):
    if isinstance(value, np.ndarray):
        flags = value.flags.c_contiguous, value.flags.writeable, value.flags.owndata
        data = np.ascontiguousarray(value)
        if data.dtype.kind == "f":
            data = np.where(np.isnan(data), np.nan, data)
        return value.dtype, value.shape, value.strides, flags, data.tobytes()
    if isinstance(value, (float, np.floating)):
        return type(value), "nan" if value != value else float(value).hex()
    return type(value), value


def check(function, *args, passes=True, **options):
    """Compares a function with itself as machine code; whether it took one pass."""
    jitted = opcodon.jit(function, **options)
    for _ in range(2):
        assert outcome(jitted, *args) == outcome(function, *args)
    told = any("in one pass" in line.why for line in jitted.report().lines)
    if passes is not None and NEW_NUMPY:
        assert told == passes, str(jitted.report())
    return told


def reals(*shape, seed=0, dtype=float):
    return np.random.default_rng(seed).uniform(0.5, 2, shape).astype(dtype)


A, B, C = (reals(1000, seed=seed) for seed in range(3))


def test_temporaries():
    check(lambda a, b, c: a * b + np.exp(c), A, B, C)
    check(lambda a, b, c, s: (a - b) ** 2 / (c + s) - np.sqrt(a) * (1 - s), A, B, C, 0.25)
    check(lambda a, b: np.where(a > b, a - b, 0.0), A, B)
    check(lambda a, b: np.maximum(np.abs(a - b), 1e-3), A, B)
    check(lambda a, b: abs(-a * b), A, B)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 63, 64, 65, 255, 256, 257, 2047, 2049, 10_001])
def test_lengths(n):
    a, b = reals(n, seed=1), reals(n, seed=2)
    check(lambda a, b: np.sin(a) * b - np.log(b) / a, a, b, passes=n > 1)
    check(lambda a, b: np.sum((a - b) ** 2), a, b, passes=if_sums_are_known(n > 1))
    check(lambda a, b: (a * b).sum(), a, b, passes=if_sums_are_known(n > 1))
    check(lambda a, b: np.mean(a * b + 1), a, b, passes=if_sums_are_known(n > 1))
    check(lambda a, b: np.sum(a > b), a, b, passes=if_sums_are_known(n > 1))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.uint8, bool])
def test_sums(dtype):
    a, b = (np.random.default_rng(seed).integers(0, 9, 4321).astype(dtype) for seed in range(2))
    check(lambda a, b: np.sum(a * b), a, b, passes=None)
    check(lambda a, b: (a * b).mean(), a, b, passes=None)
    check(lambda a, b: np.sum(a != b), a, b, passes=if_sums_are_known(True))
    check(lambda a: np.sum(-(a * 0.0)), reals(5), passes=if_sums_are_known(True))


def compiled(source, name):
    file = f"<arrays {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    return space["f"]


@pytest.mark.parametrize("name", ["max", "min", "any", "all", "sum", "mean"])
def test_numbers_of_arrays(name):
    expressions = [
        f"np.{name}(a * 3 + a)",
        f"(a * 3 - a > 50).{name}()",
        f"np.{name}(np.abs(a - 2) * (a > 7))",
    ]
    functions = [compiled(f"def f(a):\n    return {each}\n", each) for each in expressions]
    odd = np.array([0.5, np.nan, np.inf, -np.inf, -0.0, 0.0] * 60)
    for f in functions:
        for kind in ["d", "f", "l", "i", "h", "b", "B", "?"]:
            a = np.random.default_rng(1).integers(1, 90, 3001).astype(kind)
            for n in (2, 127, 129, 3001):
                check(f, a[:n], passes=None)
            check(f, a * 0, passes=None)
            check(f, a * 0 + 89, passes=None)
        with np.errstate(all="ignore"):
            for n in (1, 2, 3, 4, 300):
                check(f, odd[:n], passes=None)
                check(f, odd[-n:], passes=None)
                check(f, -np.abs(odd[:n]), passes=None)


@pytest.mark.parametrize("name", ["max", "min", "any", "all", "sum", "mean", "std", "var"])
@pytest.mark.filterwarnings("ignore")
def test_numbers_of_arrays_that_are_there(name):
    forms = [f"np.{name}(a)", f"a.{name}()", f"np.{name}(a[1:])", f"a[::-1].{name}()"]
    forms += [f"np.{name}(a[::3])", f"np.{name}(b[1])", f"b[:, 1].{name}()", f"b.{name}()"]
    forms += [f"np.{name}(b.T)", f"np.{name}(b[:, 1:])", f"(a * 2 - 1).{name}()"]
    functions = [compiled(f"def f(a, b):\n    x = {each}\n    return x\n", each) for each in forms]
    rng = np.random.default_rng(6)
    odd = np.array([0.5, np.nan, np.inf, -np.inf, -0.0, 0.0, 1e308, 1e-310] * 6)
    for f in functions:
        jitted = opcodon.jit(f)
        for kind in ["d", "f", "l", "i", "h", "b", "B", "?", "D"]:
            for n in (0, 1, 2, 7, 8, 130, 300, 2047, 2049, 5000):
                a, b = (rng.normal(3, 9, shape).astype(kind) for shape in (n, (3, n // 3 + 2)))
                for _ in range(2):
                    assert str(outcome(jitted, a, b)) == str(outcome(f, a, b))
        small = rng.normal(0, 1e-160, 40)
        for how in ("ignore", "warn", "raise"):
            with np.errstate(all=how):
                for scale in (1, 1e300, 1e-140):
                    args = small * scale, (small * scale).reshape(4, -1)
                    assert outcome(jitted, *args) == outcome(f, *args)
        for n in (1, 2, 3, 40):
            for each in (odd[:n], odd[-n:], odd[4:6], odd[-2:], np.float32(odd[-n:])):
                assert outcome(jitted, each, odd.reshape(4, -1)) == outcome(
                    f, each, odd.reshape(4, -1)
                )


def test_rows_of_arrays_take_one_pass():
    def f(a):
        out = np.empty_like(a)
        for i in range(a.shape[0]):
            r = a[i]
            out[i] = (r - r.mean()) / np.std(r) + np.sum((a[i] - a[0]) ** 2)
        return out

    check(f, reals(20, 40), passes=if_sums_are_known(True))
    check(f, reals(20, 80)[:, ::2], passes=None)
    check(f, reals(20, 40).T, passes=None)


def test_numbers_of_arrays_take_one_pass():
    check(lambda a, b: np.max(np.abs(a - b)), A, B)
    check(lambda a, b: np.any(a > b + 1), A, B)
    check(lambda a, b: (a + b > 0).all(), A, B)
    check(lambda a, b: np.min(a * b), A, B)


def test_parts():
    x, table = reals(1001), reals(40, 50)
    check(lambda x: x[1:] - x[:-1], x)
    check(lambda x: (x[2:] - 2 * x[1:-1] + x[:-2]) * 0.5, x)
    check(lambda x: x[::-1] + x[::1] * x[-1:0:-1][0], x, passes=None)
    check(lambda x, n: x[n : 2 * n] + x[:n] * 2, x, 400)
    check(lambda x, n: x[n : 2 * n] + x[:n] * 2, x, 600, passes=False)
    check(lambda t: t[1:-1, 2:] + t[1:-1, :-2] - 4 * t[2:, 1:-1], table)
    check(lambda t: t[3, :] * t[:, 4][:50] + 1, reals(50, 50))
    check(lambda t: t[:, 99] + t[0, :], table, passes=False)
    check(lambda a, b: (a[:, None] - b[None, :]) ** 2, x[:40], x[:50])
    check(lambda a, b: a[:, None] * b + a[:, None], x[:40], x[:50], passes=None)
    check(lambda x: x[::0] + x[1:] * 2, x, passes=False)
    check(lambda x, n: x[n:] + x[:n] * 2, x, 2.5, passes=False)


def test_layouts():
    t = reals(40, 50)

    def f(a, b):
        return a * 2 + b / a

    check(f, t, t[0])
    check(f, t, t[:, :1])
    check(f, t[:, ::2], t[:, 1::2])
    check(f, t[:, :20], t[:, 1:21], passes=False)  # rows are short
    check(f, t[::2], t[1::2])
    check(f, t.T, t.T, passes=False)
    check(f, t, np.asfortranarray(t), passes=False)
    check(f, t[::-1, ::-1], t, passes=None)
    check(f, t[:, ::-1], t[:, ::-1], passes=None)
    check(f, t, t[:7], passes=False)
    check(f, reals(3, 4, 50), reals(4, 1))
    check(f, np.broadcast_to(reals(50), (40, 50)), t)
    check(f, reals(1, 1), reals(1), passes=False)
    check(f, reals(6, 0), reals(0), passes=False)
    check(f, np.array(2.0), t, passes=False)
    check(f, np.arange(50.0).astype(">f8"), t, passes=False)
    check(f, t.view(np.matrix), t.view(np.matrix), passes=False)
    check(f, np.ma.masked_less(t, 1), t, passes=False)


def test_types():

    def f(a, b):
        return a * b + a - 1

    kinds = ["?", *"bBhHiIlLqQefd"]
    for first in kinds:
        for second in kinds:
            a, b = np.arange(1, 90).astype(first), np.arange(90, 1, -1).astype(second)
            check(f, a, b, passes=None)
    for number in [
        2,
        2.5,
        True,
        np.float32(2.5),
        np.int8(-3),
        np.float64(0.1),
        -1,
        300,
        2**40,
        1e300,
    ]:
        for kind in kinds:
            check(lambda a, s: a * s + a, np.arange(90).astype(kind), number, passes=None)
            check(
                lambda a, s: (a > s) | (a - a == s), np.arange(90).astype(kind), number, passes=None
            )
            check(
                lambda a, s: np.where(a > 3, a, s) * 2,
                np.arange(90).astype(kind),
                number,
                passes=None,
            )


@pytest.mark.parametrize(
    "power", [2, 2.0, 3, 0.5, -1, 0, 1, -2, 1.5, np.float64(2), np.int64(2), True]
)
def test_powers(power):
    for kind in ["d", "f", "l", "b", "B", "?"]:
        check(lambda a, p: a**p + a, np.arange(1, 70).astype(kind), power, passes=None)
        check(lambda a, p: p**a + a, np.arange(1, 70).astype(kind), power, passes=None)
    check(lambda a, b: a**b + 1, A, B)
    # Of one element numpy takes other ways.
    check(lambda a, p: a ** (p * 1), np.array([710.0]), np.array([0.5]), passes=False)
    check(lambda a, p: a ** (p * 1), np.array([710.0]), np.array([[-1.0]]), passes=False)
    check(lambda a, p: (a * 1) ** p, np.array([710.0, 3.0]), np.array([0.5]))


def test_warnings_are_numpys():
    zero, huge = np.zeros(100), np.full(100, 1e200)
    for f, *args in [
        (lambda a, b: a / b + 1, A[:100], zero),
        (lambda a, b: a / b + 1, zero, zero),
        (lambda a, b: np.log(b) * a, A[:100], zero),
        (lambda a: a * a + 1, huge),
        (lambda a: np.exp(a) - 1, huge),
        (lambda a: np.sqrt(-a) * 2, huge),
        (lambda a: np.sum(a * 1e107 * 5), huge),
        (lambda a: np.arange(5) // a[:5] + 1, zero.astype(int)),
        (lambda a: np.where(np.sqrt(-a) > 1, 1.0, a), huge),
    ]:
        check(f, *args, passes=False)
        with np.errstate(all="raise"):
            check(f, *args, passes=False)
        with np.errstate(all="ignore"):
            check(f, *args, passes=None)
    tiny = np.full(100, 1e-200)
    check(lambda a: a * a + 1, tiny)
    with np.errstate(under="raise"):
        check(lambda a: a * a + 1, tiny, passes=False)


def test_infinities_and_nans():
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 5e-324, 1.7e308] * 9)
    with np.errstate(all="ignore"):
        for f in [
            lambda a, b: a * b + a,
            lambda a, b: np.maximum(a, b) - np.minimum(b, a),
            lambda a, b: np.where(a < b, a, b) * -1,
            lambda a, b: np.exp(a) * np.log(b) + np.sin(a) - np.tanh(b),
            lambda a, b: (a == b) | (a != a) & ~(b > a),
            lambda a, b: np.sum(a * b),
            lambda a, b: (a % b) // 2.0 + a**b,
            lambda a, b: np.hypot(a, b) + np.arctan2(a, b) * np.sign(a),
        ]:
            check(f, odd, np.roll(odd, 4), passes=None)
            check(f, odd, np.repeat(odd[:9], 9), passes=None)


def test_names_and_loops():
    def smoothed(x, n):
        y = x
        for _ in range(n):
            y = (y[1:-1] + y[2:] * 2) / 3 + y[:-2] * 0
        return y

    check(smoothed, A, 20)

    def wave(u, v, n, c):
        for _ in range(n):
            v = v + c * (u - 2 * u + u**2)
            u = u + v * 0.1
        return u, v

    check(wave, A, B, 20, 0.1)

    def either(x, flag):
        if flag:
            y = x * 2 + 1
        else:
            y = x[1:] - x[:-1]
            y = -y * y
        return y

    check(either, A, True)
    check(either, A, False)

    def attribute(points):
        total = points[0].real * 0
        for point in points:
            total = total + np.exp(point) * point
        return total

    check(attribute, [A, B, C], passes=None)


def test_numbers_where_arrays_were():
    jitted = opcodon.jit(lambda a, b: a * b + np.exp(b) - a)
    for args in [
        (A, B),
        (2.0, 3.0),
        (A, 2.0),
        (2, 3),
        (np.float32(2), 1),
        (A[:10], B[:10]),
        (A, B),
    ]:
        assert outcome(jitted, *args) == outcome(jitted.__wrapped__, *args)
    assert outcome(jitted, "a", 2) == outcome(jitted.__wrapped__, "a", 2)
    assert outcome(jitted, [1], [2]) == outcome(jitted.__wrapped__, [1], [2])


def test_exceptions_come_from_their_lines():
    def f(a, b):
        return (
            a * 2 + b  # here
        )

    jitted = opcodon.jit(f)
    with pytest.raises(ValueError, match="could not be broadcast") as caught:
        jitted(A, A[:7])
    first = f.__code__.co_firstlineno
    assert caught.traceback[-1].lineno + 1 - first == 2


def test_results_are_new_arrays_and_nothing_leaks():
    jitted = opcodon.jit(lambda a, b: a * 2 + b)
    a, b = A.copy(), B.copy()
    before = sys.getrefcount(a), sys.getrefcount(b)
    for _ in range(1000):
        made = jitted(a, b)
    assert (sys.getrefcount(a), sys.getrefcount(b)) == before
    assert sys.getrefcount(made) == 2
    assert made.base is None
    made[:] = 0
    assert np.array_equal(a, A)


@pytest.mark.parametrize("options", [{"parallel": True}, {"nogil": True}])
def test_threads(options):
    a, b = reals(300_001, seed=5), reals(300_001, seed=6)
    t, u = reals(700, 450, seed=7), reals(450, seed=8)
    check(lambda a, b: np.sin(a) * b - np.log(b) / a, a, b, **options)
    check(lambda a, b: a[1:] - b[:-1] * 2, a, b, **options)
    check(lambda t, u: (t - u) ** 2 + t, t, u, **options)
    check(lambda t, u: (t[:, 1:] - u[:-1]) * t[:, :-1], t, u, **options)
    check(lambda a, b: np.sum(a * b + 1), a, b, passes=if_sums_are_known(True), **options)
    b[299_000] = 0
    check(lambda a, b: a / b + 1, a, b, passes=False, **options)
    jitted = opcodon.jit(lambda a, b: np.exp(a) * b + a, **options)
    expected = np.exp(a) * b + a
    results = []
    threads = [
        threading.Thread(target=lambda: results.append([jitted(a, b) for _ in range(5)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(each, expected) for row in results for each in row)
    assert len(results) == 4


# Loops on threads.


def scaled(x, y, s):
    for i in opcodon.prange(x.shape[0]):
        y[i] = x[i] * s + y[i]
    return y


def smoothed(x, y, s):
    for i in range(1, x.shape[0] - 1):
        y[i] = (x[i - 1] + x[i] * s + x[i + 1]) / 3.0 if x[i] > 1 else x[i]
    return y


def shifted(x, y, s):
    for i in range(x.shape[0] - 1):
        y[i] = y[i + 1] + s
    return y


def running(x, y, s):
    for i in range(1, x.shape[0]):
        y[i] = y[i - 1] + x[i] * s
    return y


def total(x, y, s):
    n = 0
    for i in range(x.shape[0]):
        y[i] = x[i] + s
        n += 1
    return n


def rows(table, y, s):
    for i in range(y.shape[0]):
        acc = 0.0
        for k in range(table.shape[0]):
            acc += table[k, i] * s
        y[i] = acc
    return y


@pytest.mark.parametrize("function", [scaled, smoothed, shifted, running, total])
@pytest.mark.parametrize("n", [10, 262_143, 262_144, 262_145, 300_007, 1_000_003])
def test_loops_on_threads(function, n):
    x, y = reals(n, seed=1), reals(n, seed=2)
    alone, together = y.copy(), y.copy()
    expected = opcodon.jit(function)(x, alone, 0.7)
    assert described(opcodon.jit(function, parallel=True)(x, together, 0.7)) == described(expected)
    assert alone.tobytes() == together.tobytes()
    # Where arrays overlap it matters what comes first.
    alone, together = x.copy(), x.copy()
    opcodon.jit(function)(alone[:-1], alone[1:], 0.7)
    opcodon.jit(function, parallel=True)(together[:-1], together[1:], 0.7)
    assert alone.tobytes() == together.tobytes()


@pytest.mark.parametrize("shape", [(300, 1001), (3, 7), (1, 262_145), (100_000, 13)])
def test_loops_in_loops_on_threads(shape):
    table, alone = reals(*shape), reals(shape[1])
    together = alone.copy()
    opcodon.jit(rows)(table, alone, 0.7)
    opcodon.jit(rows, parallel=True)(table, together, 0.7)
    assert alone.tobytes() == together.tobytes()


def test_a_loop_on_threads_can_be_interrupted():
    table, y = np.broadcast_to(1.0, (1 << 20, 1 << 14)), np.zeros(1 << 14)
    jitted = opcodon.jit(rows, parallel=True)
    jitted(table[:10], y, 0.5)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        jitted(table, y, 0.5)
    timer.join()


def repeated(x, n):
    z = x
    for _ in range(n):
        z = np.exp(x) * 0.5 + np.sin(x) * z
    return z


@pytest.mark.parametrize("options", [{}, {"parallel": True}])
def test_a_loop_around_expressions_can_be_interrupted(options):
    x = reals(1 << 18)
    jitted = opcodon.jit(repeated, **options)
    jitted(x, 2)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    started = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        jitted(x, 5000)
    timer.join()
    # All turns take longer, whoever shares the machine.
    assert time.monotonic() - started < 8


# Random expressions.

BINARY = [*"+-*/" * 5, "//", "%", "**", "<", "<=", "==", "!=", ">", ">=", "&", "|", "^"]
FUNCTIONS = [
    *("np.exp", "np.log", "np.sqrt", "np.sin", "np.cos", "np.tan", "np.tanh", "np.arctan"),
    *("np.abs", "abs", "np.floor", "np.ceil", "np.rint", "np.square", "np.sign", "np.isnan"),
    *("np.log1p", "np.expm1", "np.exp2", "np.cbrt", "np.negative", "np.logical_not"),
    *("np.isfinite", "np.reciprocal", "np.signbit", "np.deg2rad"),
]
FUNCTIONS_OF_TWO = [
    *("np.maximum", "np.minimum", "np.hypot", "np.arctan2", "np.add", "np.power", "np.fmod"),
    *("np.copysign", "np.fmax", "np.logical_and", "np.logaddexp", "np.left_shift"),
    "np.nextafter",
]
LEAVES = ["a[1:-1]", "b[2:]", "c[:-2]", "a[::-1]", "a[..., None]", "b[1:, :]"]


def expression(rng, depth):
    kind = rng.random()
    if depth == 0 or kind < 0.15:
        return rng.choice([*"abcabcs", "2", "0.5", *(LEAVES if rng.random() < 0.2 else "abc")])
    if kind < 0.55:
        one, two = expression(rng, depth - 1), expression(rng, depth - 1)
        return f"({one} {rng.choice(BINARY)} {two})"
    if kind < 0.75:
        return f"{rng.choice(FUNCTIONS)}({expression(rng, depth - 1)})"
    if kind < 0.85:
        one, two = expression(rng, depth - 1), expression(rng, depth - 1)
        return f"{rng.choice(FUNCTIONS_OF_TWO)}({one}, {two})"
    if kind < 0.92:
        parts = [expression(rng, depth - 1) for _ in range(3)]
        if rng.random() < 0.8:
            parts[0] = f"{parts[0]} > 1"
        return f"np.where({', '.join(parts)})"
    return f"{rng.choice('---~')}({expression(rng, depth - 1)})"


def elements(rng, kind, shape):
    numbers = np.random.default_rng(rng.randrange(1 << 30))
    if kind in "fd" and rng.random() < 0.6:
        return numbers.uniform(0.5, 2, shape).astype(kind)
    if kind in "fd":
        made = numbers.normal(0, rng.choice([1, 1, 30, 1e5]), shape).astype(kind)
        if rng.random() < 0.3:
            odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, 1e308]).astype(kind)
            made[numbers.random(shape) < 0.1] = numbers.choice(odd)
        return made
    if kind == "?":
        return numbers.random(shape) < 0.5
    return numbers.integers(0, rng.choice([4, 100]), shape).astype(kind)


def values(rng):
    n = rng.choice([3, 40, 257, 1000, 5000])
    shapes = [(n,)] * 3 if rng.random() < 0.7 else [(5, n), (n,), (5, 1)]
    made = [elements(rng, rng.choice("ddddffl?iBb"), shape) for shape in shapes]
    s = rng.choice([2, 0.25, -3, True, np.float32(1.5), np.float64(0.3), np.int64(7), np.uint8(3)])
    return [*made, s]


def compare_random(seed):
    """Compares a random expression with itself as machine code; whether it took one pass."""
    rng = random.Random(seed)
    text = expression(rng, rng.randrange(2, 5))
    end = rng.choice(["{}", "{}", "np.sum({})", "({}).sum()", "np.mean({})", "np.max({})"])
    source = f"def f(a, b, c, s):\n    y = {end.format(text)}\n    return y\n"
    f = compiled(source, seed)
    jitted = opcodon.jit(f)
    for call in range(6):
        args = values(random.Random(1000 * seed + call // 2))
        with np.errstate(all=rng.choice(["ignore", "warn", "raise"])):
            assert outcome(jitted, *args) == outcome(f, *args), source
    return "in one pass" in str(jitted.report())


@pytest.mark.parametrize("seed", range(150))
@pytest.mark.filterwarnings("ignore")
def test_random_expressions(seed):
    compare_random(seed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(VERSION < (2, 4), reason="sums of older numpy are left to it")
def test_many_random_expressions_take_one_pass():
    assert sum(map(compare_random, range(80))) > 10
