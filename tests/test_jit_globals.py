"""Global names that functions bind, and patterns of sequences, against CPython."""

import importlib
import pathlib
import sys
from collections import deque, namedtuple

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

COUNT = 0
FACTOR = 2


def counts(n):
    global COUNT
    COUNT = 0
    for i in range(n):
        COUNT = (COUNT * 31 + i) % 10007
    return COUNT


def _bump(i):
    global COUNT
    COUNT += i


def bumps(n):
    global COUNT
    COUNT = 0
    for i in range(n):
        _bump(i)
    return COUNT


def _doubles():
    global FACTOR
    FACTOR *= 2


def frozen_elsewhere(n):
    total = []
    for _ in range(n):
        total.append(FACTOR)
        _doubles()
    return total


def of_any_type(values):
    global COUNT
    seen = []
    for value in values:
        COUNT = value
        seen.append((COUNT, type(COUNT)))
    COUNT = 0
    return seen


def unbinds(n):
    global MADE
    for i in range(n):
        MADE = i
    if n:
        del MADE
    return MADE


def hidden_builtin(values):
    global len
    before = len(values)
    len = sum  # noqa: A001
    after = len(values)
    del len
    return before, after


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (counts, [(0,), (1,), (300,), (2.5,)]),
        (bumps, [(0,), (50,), ("a",)]),
        (of_any_type, [([1, "a", 2.5, None, [1], 2**70, True],), ([],)]),
        (unbinds, [(0,), (3,)]),
        (hidden_builtin, [([1, 2, 3],)]),
    ],
)
def test_bound_globals(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_what_is_frozen_in_one_function_may_be_bound_in_another():
    compiled = opcodon.jit(frozen_elsewhere)
    for n in (3, 4, 5):
        for function in (frozen_elsewhere, compiled):
            globals()["FACTOR"] = 2
            assert function(n) == [2 << k for k in range(n)]


class Told:
    def __del__(self):
        globals()["FACTOR"] = "told"


def forgets(n):
    global COUNT
    seen = []
    for i in range(n):
        COUNT = i
        seen.append(FACTOR)
    return seen


def test_what_dies_may_bind_names():
    compiled = opcodon.jit(forgets)
    for _ in range(3):
        for function in (forgets, compiled):
            globals().update(FACTOR=2, COUNT=Told())
            assert function(2) == ["told", "told"]


Point = namedtuple("Point", "x y")


def matched(values):
    found = []
    for value in values:
        match value:
            case ("add", x):
                found.append(x)
            case []:
                found.append("empty")
            case [_, _, _]:
                found.append("three")
            case [1 | 2 as k, [a, (b,)]]:
                found.append((k, a, b))
            case [x, y] if x == y:
                found.append("same")
            case [x, _]:
                found.append(x)
            case [int(n)]:
                found.append(-n)
            case _:
                found.append("other")
    return found


def captured(value):
    x = y = "unbound"
    match value:
        case [x, 5]:
            return "first", x, y
        case [y, _]:
            return "second", x, y
    return x, y


def starred(value):
    match value:
        case [first, *rest]:
            return first, rest
    return None


def commands(n):
    total = 0
    for i in range(n):
        command = ("add", i) if i % 3 == 0 else ("neg",) if i % 3 == 1 else ("mul", i, 2)
        match command:
            case ("add", x):
                total += x
            case ("neg",):
                total = -total
            case ("mul", x, y):
                total += x * y
    return total


class Sequenced(list):
    def __len__(self):
        raise ValueError("no length")


VALUES = [
    ("add", 3),
    ["add", 4],
    (),
    [],
    (1, 2, 3),
    [2, [3, (4,)]],
    (1, (3, [4])),
    [7, 7],
    (7, 8),
    [5],
    (True,),
    ["a"],
    "ab",
    b"ab",
    bytearray(b"ab"),
    range(2),
    range(0),
    deque([1, 2]),
    {1: 2},
    {1, 2},
    Point(1, 2),
    Point(2, 2),
    5,
    None,
    2.5,
]


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (matched, [(VALUES,), ([],), ([value for value in VALUES if type(value) is tuple],)]),
        (captured, [((1, 5),), ((1, 6),), ([1],), (5,), ("ab",), (Point(3, 5),)]),
        (starred, [((1, 2),), ([],), ("ab",)]),
        (commands, [(0,), (50,)]),
    ],
)
def test_patterns_of_sequences(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_sequences_that_fail():
    compiled = opcodon.jit(captured)
    for function in (captured, compiled, compiled):
        with pytest.raises(ValueError, match="no length"):
            function(Sequenced([1, 5]))


def test_nothing_is_left():
    for function in (counts, bumps, commands):
        compiled = opcodon.jit(function)
        for _ in range(3):
            compiled(40)
        assert compiled.is_native(), compiled.report()


def test_no_reference_is_lost_or_kept():
    functions = [
        (counts, (30,)),
        (bumps, (30,)),
        (of_any_type, ([1, "a", 2.5, [1]],)),
        (matched, (VALUES,)),
        (commands, (30,)),
    ]
    check_no_leak([(opcodon.jit(function), args) for function, args in functions])
