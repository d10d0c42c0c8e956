"""Calls between compiled functions with defaults and named arguments, against CPython."""

import importlib
import pathlib
import sys

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome, check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def scaled(x, by=2, shift=0.5, log=None):
    if log is not None:
        log.append(x)
    return x * by + shift


def collected(x, into=[]):  # noqa: B006
    into.append(x)
    return len(into)


def positional(a, b, /, c=3):
    return a * 100 + b * 10 + c


def only_named(a, *, b=2):
    return a * b


class Cell:
    def __init__(self, value, following=None, weight=1):
        self.value = value
        self.following = following
        self.weight = weight

    def total(self, by=1, times=2):
        return self.value * by * times + self.weight


class Named:
    def __init__(self, first="a", second="b"):
        self.text = first + second


def defaults(n):
    s = 0.0
    for k in range(n):
        s += scaled(k) + scaled(k, 3) + scaled(k, 3, 1.0) + scaled(k, shift=k)
        s += scaled(by=k, x=2) + scaled(k, shift=1, by=2)
    log = []
    return s, scaled(1, log=log), log


def shared(n):
    del collected.__defaults__[0][:]
    return [collected(k) for k in range(n)], collected(0, [])


def instances(n):
    head = None
    for k in range(n):
        head = Cell(k, following=head) if k % 2 else Cell(weight=k, value=2 * k, following=head)
    s = 0
    while head is not None:
        s += head.total() + head.total(2) + head.total(times=k)
        head = head.following
    return s, Cell(1).following, Named().text, Named(second="c").text, Named("x", "y").text


def too_many(n):
    return scaled(n, 1, 2, None, 4)


def twice(n):
    return scaled(n, x=2)


def unknown(n):
    return scaled(n, other=2)


def missing(n):
    return scaled(by=n)


def by_position(n):
    return positional(n, 2), positional(n, 2, 4), positional(n, 2, c=5)


def position_named(n):
    return positional(n, b=2)


def named(n):
    return only_named(n), only_named(n, b=5)


def method_unknown(n):
    return Cell(n).total(by=2, other=3)


def constructor_missing(n):
    return Cell(weight=n)


CALLS = [
    (defaults, [(0,), (5,), (2,)]),
    (shared, [(0,), (3,)]),
    (instances, [(1,), (6,), (9,)]),
    *[(f, [(3,), (2.5,)]) for f in (too_many, twice, unknown, missing, by_position)],
    *[(f, [(3,), ("a",)]) for f in (position_named, named, method_unknown, constructor_missing)],
]


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=[f.__name__ for f, _ in CALLS])
def test_calls(function, calls):
    check_calls(function, opcodon.jit(function), calls)


@pytest.mark.parametrize(("function", "args"), [(defaults, (5,)), (instances, (6,))])
def test_nothing_is_left(function, args):
    compiled = opcodon.jit(function)
    for _ in range(3):
        assert not Outcome(function, args).differences(Outcome(compiled, args))
    assert compiled.is_native()


def test_defaults_that_are_replaced():
    def inner(x, by=2):
        return x * by

    def outer(n, at):
        s = 0
        for k in range(n):
            if k == at:
                inner.__defaults__ = (100,)
            s += inner(k)
        return s

    compiled = opcodon.jit(outer)
    for at in [9, 3, 0, 9, 2]:
        inner.__defaults__ = (2,)
        expected = outer(6, at)
        inner.__defaults__ = (2,)
        assert compiled(6, at) == expected
    inner.__defaults__ = None
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        compiled(6, 9)


def test_no_reference_is_lost_or_kept():
    check_no_leak([(opcodon.jit(defaults), (3,)), (opcodon.jit(instances), (4,))])
