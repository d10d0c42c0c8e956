"""Elements of `uint64` arrays and numpy's scalars of that type, against numpy itself.

Each operation is done with operands around the ends of 63 and 64 bits, and with scalars of all
other types: results, their types, warnings and exceptions are numpy's.
"""

import importlib
import linecache
import operator
import warnings

import numpy as np
import pytest

import opcodon

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

EDGES = [0, 1, 2, 3, 63, 64, 1000, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
BINARY = ["+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>", "**"]
COMPARISONS = ["<", "<=", "==", "!=", ">", ">="]


def made(text, name="f", **space):
    """A function of a source of its own."""
    file = f"<{name} {text}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    space = {"np": np, **space}
    exec(compile(text, file, "exec"), space)
    return space[name]


def outcome(function, *args):
    """What a call gives: its value, with its type, or its exception, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = function(*args)
            result = (type(value), repr(value))
        except Exception as error:
            result = (type(error), str(error))
    # Machine code does not warn of what is no number (docs/jit.md).
    told = {str(warning.message) for warning in caught} if result[0] is not np.float64 else ()
    return result, sorted(told)


def agree(function, *args, **options):
    compiled = opcodon.jit(function, **options)
    for _ in range(2):
        assert outcome(compiled, *args) == outcome(function, *args), args
    return compiled


OTHERS = {
    "uint64": [np.uint64(x) for x in EDGES],
    "int": [0, 1, 5, 64, 2**62, 2**63 - 1, -1, 2**63, 2**64],
    "bool": [True, False],
    "float": [0.0, 0.5, -1.0, 2.0**63, 2.0**64, float("inf"), float("nan")],
    "float64": [np.float64(0.5), np.float64(2.0**63)],
    "float32": [np.float32(0.5), np.float32(2.0**63)],
    "int64": [np.int64(3), np.int64(-3), np.int64(2**63 - 1)],
    "int32": [np.int32(3), np.int32(-3)],
    "uint32": [np.uint32(3), np.uint32(2**32 - 1)],
    "uint8": [np.uint8(3), np.uint8(255)],
    "bool_": [np.bool_(True)],
    "complex": [1j],
    "none": [None],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("sign", BINARY + COMPARISONS)
def test_operators_are_numpys(sign, other):
    forward = made(f"def f(x, i, y):\n    return x[i] {sign} y\n")
    backward = made(f"def f(x, i, y):\n    return y {sign} x[i]\n")
    x = np.array(EDGES, np.uint64)
    for function in (forward, backward):
        compiled = opcodon.jit(function)
        for at in range(len(x)):
            for y in OTHERS[other]:
                if sign in ("<<", "**") and isinstance(y, int) and abs(y) > 1000:
                    continue
                assert outcome(compiled, x, at, y) == outcome(function, x, at, y), (x[at], y)


@pytest.mark.parametrize(
    "text",
    [
        "int(x[i])",
        "float(x[i])",
        "bool(x[i])",
        "-x[i]",
        "+x[i]",
        "~x[i]",
        "not x[i]",
        "abs(x[i])",
        "x[i] == x[i - 1]",
        "x[i] is None",
        "min(x[i], x[0])",
        "hash(x[i])",
        "str(x[i])",
        "round(x[i])",
        "np.uint64(x[i])",
        "np.int64(x[i])",
        "np.float64(x[i])",
        "np.sqrt(x[i])",
        "np.uint64(i)",
        "np.uint64(-i)",
        "np.uint64(0.5)",
        "range(x[1])[0]",
        "x[x[1]]",
        "x[x[i]]",
        "x[x[1]:x[3]]",
        "[10, 20, 30][x[2]]",
        "(x[i], 1)",
        "[v for v in x]",
        "[v >> 60 for v in x if v]",
        "sum(x[:3])",
        "x.sum()",
        "np.sum(x[:4]) + 1",
        "x.max()",
        "x * 2",
        "x[i] + x",
        "{x[i]: 1}",
        "f'{x[i]} {x[i]:x}'",
        "divmod(x[i], x[3])",
        "x[i].bit_count() if hasattr(x[i], 'bit_count') else 0",
        "1 if x[i] else 2",
        "x[i] and 5",
        "x[i].dtype",
        "x.view(np.int64)[i]",
    ],
)
def test_what_else_is_done_with_one(text):
    function = made(f"def f(x, i):\n    return {text}\n")
    compiled = opcodon.jit(function)
    x = np.array(EDGES, np.uint64)
    for at in range(-len(x) - 1, len(x) + 1):
        for _ in range(2):
            assert outcome(compiled, x, at) == outcome(function, x, at), at


@pytest.mark.parametrize("dtype", ["uint64", "int64", "float64", "uint8", "complex128", "bool"])
def test_they_are_stored(dtype):
    function = made("def f(x, i, out):\n    out[i] = x[i]\n    out[0] += x[i]\n")
    compiled = opcodon.jit(function)
    x = np.array(EDGES, np.uint64)
    for at in range(len(x)):
        found, known = np.zeros(len(x), dtype), np.zeros(len(x), dtype)
        assert outcome(compiled, x, at, found) == outcome(function, x, at, known)
        assert found.tobytes() == known.tobytes()


@pytest.mark.parametrize("value", [-1, 0, 5, 2**63, 2**64, 1.5, True, np.int64(-1), np.uint8(3)])
def test_numbers_are_stored(value):
    function = made("def f(x, i, v):\n    x[i] = v\n    x[i - 1] = x[i] ^ 1\n")
    compiled = opcodon.jit(function)
    for at in (0, 3):
        found, known = np.array(EDGES, np.uint64), np.array(EDGES, np.uint64)
        assert outcome(compiled, found, at, value) == outcome(function, known, at, value)
        assert found.tobytes() == known.tobytes()


def xorshift(x, n):
    state = x[0]
    for i in range(n):
        state ^= state << 13
        state ^= state >> np.uint64(7)
        state ^= state << 17
        x[i % len(x)] = state
    return state


def sorted_by_radix(x):
    for shift in range(0, 64, 8):
        counts = np.zeros(257, np.int64)
        for i in range(x.shape[0]):
            counts[int(x[i] >> shift & 255) + 1] += 1
        for i in range(256):
            counts[i + 1] += counts[i]
        out = np.empty_like(x)
        for i in range(x.shape[0]):
            digit = int((x[i] >> shift) & np.uint64(255))
            out[counts[digit]] = x[i]
            counts[digit] += 1
        x = out
    return x


def test_loops_over_them_are_native():
    x = np.random.default_rng(1).integers(0, 2**64, 300, np.uint64, endpoint=False)
    found, known = x.copy(), x.copy()
    compiled = opcodon.jit(xorshift)
    assert outcome(compiled, found, 1000) == outcome(xorshift, known, 1000)
    assert found.tobytes() == known.tobytes()
    assert compiled.is_native()
    assert "left" not in str(compiled.report())
    assert (opcodon.jit(sorted_by_radix)(x) == np.sort(x)).all()


@pytest.mark.parametrize("layout", ["strided", "reversed", "transposed", "swapped", "unaligned"])
@pytest.mark.parametrize(
    "dtype",
    [
        "?",
        "i1",
        "i2",
        "i4",
        "i8",
        "u1",
        "u2",
        "u4",
        "u8",
        "f2",
        "f4",
        "f8",
        "c8",
        "c16",
        "g",
        "q",
        "Q",
    ],
)
def test_elements_of_all_types_however_they_lie(dtype, layout):
    def scaled(x, y):
        total = x[0, 0] - x[0, 0] if x.dtype != bool else 0
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                total = total + x[i, j]
                y[i, j] = x[i, j]
        return total

    values = np.arange(48).reshape(6, 8) % 5
    x = np.zeros((12, 16), dtype)
    x[:6, :8] = values
    x = x[:6, :8]
    if layout == "strided":
        x = np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3]
    elif layout == "reversed":
        x = x[::-1, ::-1]
    elif layout == "transposed":
        x = x.T
    elif layout == "swapped":
        x = x.astype(x.dtype.newbyteorder())
    else:
        raw = np.zeros(x.size * x.itemsize + 1, np.uint8)
        away = raw[1:].view(x.dtype).reshape(x.shape)
        away[:] = x
        x = away
    found, known = np.zeros_like(x), np.zeros_like(x)
    compiled = opcodon.jit(scaled)
    for _ in range(2):
        assert outcome(compiled, x, found) == outcome(scaled, x, known)
        # What lies between numbers of 80 bits is undefined.
        assert (found == known).all()


def test_addresses_of_operators():
    # The functions of `operator` are those of the signs.
    function = made("def f(a, b):\n    return op.add(a, b)\n", op=operator)
    agree(function, np.uint64(2**63), np.uint64(2**63))
