"""Machine code of Python functions: every operator, references, signals, recursion, guards."""

import _thread
import gc
import itertools
import math
import sys
import threading
import warnings

import numpy as np
import pytest

import opcodon

NUMBERS = [
    *(0, 1, -1, 2, 3, -7, 63, 64, 2**31, 2**53, 2**53 + 1, 2**62, -(2**62), 2**63 - 1, 2**63),
    *(True, False, 0.0, -0.0, 1.5, -2.5, 1e300, 5e-324, math.inf, -math.inf, math.nan),
    *(np.float64(1.5), np.float64(-0.0), np.int64(5), np.int64(-3), np.bool_(True), None),
]
BINARY = ["+", "-", "*", "/", "//", "%", "&", "|", "^", "<", "<=", "==", "!=", ">", ">="]
UNARY = [
    *("-a", "+a", "~a", "not a", "abs(a)", "int(a)", "float(a)", "bool(a)", "round(a)"),
    *("math.sqrt(a)", "math.sin(a)", "math.exp(a)", "math.log(a)", "math.floor(a)"),
    *("math.ceil(a)", "math.isnan(a)", "np.sqrt(a)", "np.floor(a)", "a is None"),
    *(f"a {op} {n}" for op in ["+", "-", "*", "//", "%", "**"] for n in [0, 1, 2, 3, 8, -1]),
]
CALLS = ["min(a, b)", "max(a, b)", "divmod(a, b)", "math.atan2(a, b)", "math.pow(a, b)"]


def outcome(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = function(*args)
        except Exception as error:
            return type(error), str(error)
    return type(result), repr(result)


def made(tmp_path, text, parameters):
    """A function from a file, as the source has to be found."""
    path = tmp_path / "made.py"
    path.write_text(f"import math\nimport numpy as np\ndef f({parameters}):\n    return {text}\n")
    names = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names["f"]


@pytest.mark.parametrize("text", [f"a {op} b" for op in BINARY] + CALLS)
def test_binary(tmp_path, text):
    function = made(tmp_path, text, "a, b")
    compiled = opcodon.jit(function)
    for a, b in itertools.product(NUMBERS, NUMBERS):
        assert outcome(compiled, a, b) == outcome(function, a, b), (a, b)


@pytest.mark.parametrize("text", UNARY)
def test_unary(tmp_path, text):
    function = made(tmp_path, text, "a")
    compiled = opcodon.jit(function)
    for a in NUMBERS:
        assert outcome(compiled, a) == outcome(function, a), a


def total(items):
    s = 0
    for item in items:
        s += item
    return s


def swapped(a, b):
    pair = (a, b)
    a, b = b, a
    return pair, a, b


def stored(items, index, value):
    items[index] = value
    return items[index]


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (total, (np.arange(8.0),)),
        (total, ([1.5, 2.5],)),
        (total, ([1, "a"],)),
        (total, ({2.5: 1},)),
        (swapped, (object(), [1])),
        (stored, ([None, None], 1, "text of its own")),
        (stored, ([None, None], 7, "text of its own")),
        (stored, (np.zeros(3), 2, 1.5)),
    ],
)
def test_references_are_balanced(function, args):
    compiled = opcodon.jit(function)
    counts = []
    for n_calls in [100, 5000]:
        for _ in range(n_calls):
            outcome(compiled, *args)
        gc.collect()
        objects = [arg for arg in args if not isinstance(arg, int)]
        counts.append((*map(sys.getrefcount, objects), sys.getallocatedblocks() // 1000))
    assert counts[0][:-1] == counts[1][:-1]
    assert counts[1][-1] - counts[0][-1] <= 2


def forever(n):
    i = 0
    while True:
        i = (i + 1) & n
    return i


def test_a_loop_is_interrupted():
    compiled = opcodon.jit(forever)
    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        compiled(1023)


@opcodon.jit
def depth(n):
    if n < 0:
        return 0
    return depth(n + 1) + 1


def test_recursion_without_end_is_an_error():
    with pytest.raises(RecursionError):
        depth(0)


FACTOR = 3


@opcodon.jit
def scaled(x):
    return x * FACTOR


def test_a_changed_global_is_seen(monkeypatch):
    assert scaled(2) == 6
    monkeypatch.setitem(globals(), "FACTOR", 2.5)
    assert scaled(2) == 5.0
    monkeypatch.delitem(globals(), "FACTOR")
    with pytest.raises(NameError):
        scaled(2)


@opcodon.jit
def until(a, n):
    for i in range(n):
        if i == len(a):
            return -1
        if a[i] < 0:
            return i
    return n


def test_a_loop_that_could_leave_an_array():
    a = np.array([1.0, 2.0, -1.0])
    for _ in range(3):
        assert until(a, 3) == 2
        assert until(a, 10) == 2
        assert until(a[:2], 10) == -1
