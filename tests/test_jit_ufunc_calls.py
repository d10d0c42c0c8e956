"""numpy's functions of single numbers in machine code: values, types, warnings and exceptions."""

import importlib
import linecache
import math
import os
import pathlib
import warnings

import numpy as np
import pytest

import opcodon

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

ONE = [
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh"),
    *("arccosh", "arctanh", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt"),
    *("cbrt", "deg2rad", "rad2deg", "radians", "degrees", "fabs", "floor", "ceil", "rint"),
    *("trunc", "absolute", "abs", "sign", "square", "reciprocal", "negative", "spacing"),
    *("isnan", "isinf", "isfinite", "signbit", "positive", "logical_not"),
]
TWO = [
    *("maximum", "minimum", "fmax", "fmin", "power", "arctan2", "hypot", "copysign"),
    *("logaddexp", "nextafter", "fmod", "remainder", "add", "heaviside"),
]
ODD = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.75, 1e-310, 1e300, -1e300, 710.0, -800.0, 1e16]
ODD += [math.inf, -math.inf, math.nan, math.pi]


def compiled(source, name):
    file = f"<calls {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    return space["f"]


def outcome(function, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*args)
        except Exception as error:
            return type(error), str(error)
    told = [(each.category, str(each.message)) for each in caught]
    return described(result), told


def described(value):
    if isinstance(value, (list, tuple)):
        return [described(each) for each in value]
    if isinstance(value, (float, np.floating)):
        return type(value), "nan" if value != value else float(value).hex()
    return type(value), value


@pytest.mark.parametrize("how", ["ignore", "warn", "raise"])
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number(name, how):
    body = f"    out = []\n    for x in xs:\n        out.append(np.{name}(x))\n    return out"
    source = f"def f(xs):\n{body}"
    f = compiled(source, name)
    numbers = [*ODD, *(np.float64(x) for x in ODD), 3, -2, 0, 2**60 + 1, np.int64(7), True]
    numbers += [np.float32(1.5), np.int8(3), 2**70]
    with np.errstate(all=how):
        for number in numbers:
            assert outcome(opcodon.jit(f), [number] * 2) == outcome(f, [number] * 2), number
        array = np.array(ODD)
        assert outcome(opcodon.jit(f), array) == outcome(f, array)
        assert outcome(opcodon.jit(f), array[2:6]) == outcome(f, array[2:6])
        assert outcome(opcodon.jit(f), ODD) == outcome(f, ODD)
        with np.errstate(all="ignore"):
            singles = np.array(ODD, dtype=np.float32)
        assert outcome(opcodon.jit(f), singles) == outcome(f, singles)
        assert outcome(opcodon.jit(f), singles[2:6]) == outcome(f, singles[2:6])


@pytest.mark.parametrize("how", ["ignore", "warn", "raise"])
@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers(name, how):
    source = (
        f"def f(xs, ys):\n    out = []\n    for x in xs:\n        for y in ys:\n"
        f"            out.append(np.{name}(x, y))\n    return out"
    )
    f = compiled(source, name)
    numbers = [0.5, -2.0, np.float64(1.5), 3, np.int64(-2), True, np.float32(0.1), np.uint8(3)]
    with np.errstate(all=how):
        for x in numbers:
            for y in numbers:
                assert outcome(opcodon.jit(f), [x], [y]) == outcome(f, [x], [y]), (x, y)
        array = np.array(ODD)
        for xs in (array, ODD, array[2:6]):
            assert outcome(opcodon.jit(f), xs, xs) == outcome(f, xs, xs)
        with np.errstate(all="ignore"):
            singles = np.array(ODD, dtype=np.float32)
        assert outcome(opcodon.jit(f), singles, singles) == outcome(f, singles, singles)
        assert outcome(opcodon.jit(f), singles, array) == outcome(f, singles, array)


def test_what_runs_without_objects():
    def f(x):
        total = 0.0
        for i in range(x.shape[0]):
            v = np.exp(-x[i]) * np.maximum(x[i], 1.0) + np.power(x[i], 1.5)
            if not np.isnan(v):
                total += np.sin(v)
        return total

    x = np.random.default_rng(1).uniform(0, 900, 5000)
    jitted = opcodon.jit(f)
    assert outcome(jitted, x) == outcome(f, x)
    assert jitted.is_native()
    # Exponents that underflow are numpy's to ignore or not.
    with np.errstate(under="raise"):
        assert outcome(jitted, x) == outcome(f, x)
        assert outcome(jitted, x)[0] is FloatingPointError


def has_vectors():
    flags = pathlib.Path("/proc/cpuinfo")
    allowed = os.environ.get("OPCODON_TIER") != "sse2"
    return allowed and flags.exists() and "avx2" in flags.read_text()


def vectors(jitted):
    return [line for line in jitted.report().lines if "rows at a time" in line.why]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_by_the_vector(name, dtype):
    source = (
        f"def f(x, y, s):\n    for i in range(x.shape[0]):\n"
        f"        y[i] = np.{name}(x[i]) - 0.5 if x[i] > s else x[i]\n    return y"
    )
    f = compiled(source, f"{name} by the vector")
    rng = np.random.default_rng(3)

    def filled(function, x, s):
        y = np.zeros_like(x)
        return outcome(lambda: function(x, y, s) is y), y

    for n in (7, 8, 40, 700):
        for low, high in ((0.1, 0.9), (1.0, 3.0), (-5.0, 5.0), (-1e3, 1e3)):
            x = rng.uniform(low, high, n).astype(dtype)
            for s in (-1e9, (low + high) / 2):
                for how in ("ignore", "warn", "raise"):
                    with np.errstate(all=how):
                        expected, alone = filled(f, x, s)
                        found, beside = filled(opcodon.jit(f), x, s)
                    assert found == expected
                    assert described(list(alone)) == described(list(beside))
    with np.errstate(all="ignore"):
        x = np.concatenate([rng.permutation(ODD) for _ in range(300)]).astype(dtype)
        assert np.array_equal(opcodon.jit(f)(x, 0 * x, -1.0), f(x, 0 * x, -1.0), equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers_by_the_vector(name, dtype):
    source = (
        f"def f(x, y):\n    s = 0.0\n    for i in range(x.shape[0]):\n"
        f"        s += np.{name}(x[i], y[i]) + np.{name}(y[i], 2.0)\n    return s"
    )
    f = compiled(source, f"{name} by the vector")
    rng = np.random.default_rng(4)
    for n in (7, 40, 5001):
        x, y = rng.uniform(0.1, 3, (2, n)).astype(dtype)
        for how in ("ignore", "warn"):
            with np.errstate(all=how):
                assert outcome(opcodon.jit(f), x, y) == outcome(f, x, y)
                assert outcome(opcodon.jit(f), -x, y) == outcome(f, -x, y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("power", [2.0, 0.5, -1.0, 3.0, 0.0, 1.0, 1.5, 2, -1])
def test_powers_by_the_vector(power, dtype):
    source = (
        f"def f(x, y):\n    for i in range(x.shape[0]):\n"
        f"        y[i] = np.power(x[i], {power}) + 1.0\n    return y"
    )
    f = compiled(source, f"power {power} by the vector")
    x = np.random.default_rng(5).uniform(0.1, 900, 2001).astype(dtype)
    jitted = opcodon.jit(f)
    assert jitted(x, 0 * x).tobytes() == f(x, 0 * x).tobytes()


@pytest.mark.skipif(not has_vectors(), reason="no vectors")
def test_some_run_by_the_vector():
    @opcodon.jit
    def f(x):
        total = 0.0
        for i in range(x.shape[0]):
            total += np.exp(-x[i]) * np.arctan2(x[i], 2.0)
        return total

    x = np.random.default_rng(1).uniform(0, 9, 1000)
    assert outcome(f, x) == outcome(f.__wrapped__, x)
    assert vectors(f), str(f.report())


def test_singles_beside_other_numbers():
    def f(x, z, k):
        out = np.zeros((4, x.shape[0]), dtype=np.float32)
        wide = np.zeros(x.shape[0])
        for i in range(x.shape[0]):
            out[0, i] = np.sin(x[i]) * np.exp(-x[i])
            out[1, i] = np.maximum(x[i], 0.5) + np.hypot(x[i], k)
            out[2, i] = np.arctan2(x[i], np.float32(z[i]))
            wide[i] = np.exp(x[i]) + z[i]
        for i in range(x.shape[0]):
            out[3, i] = np.tanh(x[i])
        return out, wide, np.exp(x[0]), np.power(x[1], 2), np.maximum(z[0], x[0]), np.fmin(x[0], 1)

    rng = np.random.default_rng(8)
    jitted = opcodon.jit(f)
    for n in (2, 8, 15, 16, 17, 300):
        for k in (2.0, 3, 1e39, np.float32(0.5), np.float64(0.1), np.int8(3)):
            x, z = rng.normal(0, 2, n).astype(np.float32), rng.normal(0, 2, 2 * n)
            for args in ((x, z, k), (x[::-1], z[::2], k), (np.float64(x), z, k)):
                found, expected = outcome(jitted, *args), outcome(f, *args)
                assert str(found) == str(expected)


def test_searchsorted():
    def f(xs, keys):
        out = np.zeros(len(keys), dtype=np.int64)
        for i in range(len(keys)):
            out[i] = np.searchsorted(xs, keys[i])
        return out, np.searchsorted(xs, keys[0]), xs[np.searchsorted(xs, keys[0]) - 1]

    rng = np.random.default_rng(9)
    keys = np.array([0.5, np.nan, -np.inf, np.inf, 0.0, -0.0, *rng.random(20)])
    for xs in (np.sort(keys), rng.random(30), np.sort(rng.random(30))[::-2], keys, keys[:1]):
        for key in (keys, keys.tolist(), [1, 0], np.arange(3), keys.astype(np.float32)):
            assert str(outcome(opcodon.jit(f), xs, key)) == str(outcome(f, xs, key))
    for xs in (np.arange(9), rng.integers(0, 9, 9), np.arange(9, dtype=np.int32)):
        for key in (np.arange(-2, 12), [5, -1], [2**62, -(2**63)], [0.5], [2**70], [True]):
            assert str(outcome(opcodon.jit(f), xs, key)) == str(outcome(f, xs, key))
    empty, plane = np.zeros(0), rng.random((3, 3))
    for xs in (empty, plane, [0.5, 0.7], np.array(["a", "b"])):
        assert str(outcome(opcodon.jit(f), xs, keys)) == str(outcome(f, xs, keys))


def test_exceptions_in_functions_put_in_place_and_handlers():
    def inner(x):
        return np.log(x) * 2.0

    def f(xs):
        total = 0.0
        for x in xs:
            try:
                total += inner(x)
            except FloatingPointError as error:
                total += len(str(error))
        return total

    xs = np.array([1.0, 2.0, 0.0, -1.0, 5.0])
    with np.errstate(all="raise"):
        assert outcome(opcodon.jit(f), xs) == outcome(f, xs)
    with np.errstate(all="warn"):
        assert outcome(opcodon.jit(f), xs) == outcome(f, xs)

    with np.errstate(all="raise"), pytest.raises(FloatingPointError) as caught:
        opcodon.jit(lambda x: x + inner(x))(0.0)
    assert caught.traceback[-1].lineno + 1 == inner.__code__.co_firstlineno + 1


def test_a_function_that_is_replaced(monkeypatch):
    f = compiled("def f(x):\n    return np.exp(x) + 1.0", "replaced")
    jitted = opcodon.jit(f)
    assert jitted(0.5) == f(0.5)
    monkeypatch.setattr(np, "exp", lambda x: x + 40)
    assert jitted(0.5) == 41.5


def test_helpers_with_functions_of_numpy():
    def norm(x, y):
        return np.sqrt(np.square(x) + np.square(y)) if np.isfinite(x) else np.hypot(x, y)

    def f(table):
        best = -1.0
        for i in range(table.shape[0]):
            best = max(best, norm(table[i, 0], table[i, 1]))
        return best

    table = np.random.default_rng(2).normal(size=(100, 2))
    assert outcome(opcodon.jit(f), table) == outcome(f, table)
    table[50, 0] = np.inf
    assert outcome(opcodon.jit(f), table) == outcome(f, table)
