"""Code of anybody's that runs in the middle of a compiled function, against CPython.

Generators, methods, handlers of signals and what dies bind names that were frozen, and give arrays
another shape; what a local held dies when CPython says.
"""

import builtins
import importlib
import signal
import sys

import numpy as np
import pytest

import opcodon

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

MODULE = sys.modules[__name__]
SPACE = globals()
FACTOR = 0
STOPPED = False
LOG = []


def bind(value):
    SPACE["FACTOR"] = value


def counting(n):
    global FACTOR
    for i in range(n):
        FACTOR = 10 * i
        yield i
    FACTOR = -1


class Dies:
    def __init__(self, value):
        self.value = value

    def __del__(self):
        bind(self.value)
        LOG.append(self.value)


class Binds:
    """Binds the name whatever is done with it."""

    def __init__(self):
        object.__setattr__(self, "log", [])

    @property
    def here(self):
        bind(FACTOR + 1)
        return FACTOR

    def __getattr__(self, name):
        bind(FACTOR + 2)
        return name

    def __setattr__(self, name, value):
        bind(FACTOR + 3)

    def __bool__(self):
        bind(FACTOR + 4)
        return True

    def __len__(self):
        bind(FACTOR + 5)
        return 2

    def __add__(self, other):
        bind(FACTOR + 6)
        return other

    def __radd__(self, other):
        bind(FACTOR + 7)
        return other

    def __eq__(self, other):
        bind(FACTOR + 8)
        return True

    def __hash__(self):
        bind(FACTOR + 9)
        return 3

    def __lt__(self, other):
        bind(FACTOR + 10)
        return True

    def __getitem__(self, index):
        bind(FACTOR + 11)
        return index

    def __setitem__(self, index, value):
        bind(FACTOR + 12)

    def __delitem__(self, index):
        bind(FACTOR + 13)

    def __contains__(self, value):
        bind(FACTOR + 14)
        return True

    def __iter__(self):
        bind(FACTOR + 15)
        return iter((1, 2))

    def __format__(self, spec):
        bind(FACTOR + 16)
        return "text"

    def __str__(self):
        bind(FACTOR + 17)
        return "text"

    def __enter__(self):
        bind(FACTOR + 18)
        return self

    def __exit__(self, *exception):
        bind(FACTOR + 19)

    def __neg__(self):
        bind(FACTOR + 20)
        return 1

    def __index__(self):
        bind(FACTOR + 21)
        return 1

    def __call__(self):
        bind(FACTOR + 22)
        return 1


def by_generator(n):
    seen = []
    for value in counting(n):
        seen.append(FACTOR + value)
    seen.append(FACTOR)
    return seen


def by_next(n):
    values, seen = iter(counting(n)), []
    for _ in range(n):
        total = FACTOR + next(values)
        seen.append((total, FACTOR))
    return seen


def around_a_property(n):
    it = Binds()
    return [[FACTOR, it.here, FACTOR] for _ in range(n)]


def by_attribute(n):
    seen = []
    for i in range(n):
        MODULE.FACTOR = i
        seen.append(FACTOR)
    return seen


def by_item(n):
    seen = []
    for i in range(n):
        SPACE["FACTOR"] = i
        seen.append(FACTOR)
    return seen


def by_c_function(n):
    seen = []
    for i in range(n):
        setattr(MODULE, "FACTOR", i)  # noqa: B010
        seen.append(FACTOR)
        sorted([2, 1], key=lambda value: bind(FACTOR + value) or value)
        seen.append(FACTOR)
        any(bind(FACTOR + 1) for _ in range(2))
        seen.append(FACTOR)
        list(counting(3))
        seen.append(FACTOR)
    return seen


def by_binding_again(n):
    seen = []
    for i in range(n):
        held = Dies(i)
        seen.append(FACTOR)
    held = None
    seen.append((held, FACTOR))
    return seen


def by_del(n):
    seen = []
    for i in range(n):
        held = Dies(i + 100)
        del held
        seen.append(FACTOR)
    return seen


def by_item_that_dies(n):
    seen, items = [], [None]
    for i in range(n):
        items[0] = Dies(i)
        seen.append(FACTOR)
    items.clear()
    seen.append(FACTOR)
    return seen


def by_handler(n):
    seen = []
    for i in range(n):
        held = Dies(i + 1)
        try:
            raise ValueError(i)
        except ValueError:
            held = None
            seen.append((held, FACTOR))
        held = Dies(-i)
        try:
            seen.append([1][i + 1])
        except IndexError as error:
            held = str(error)
            seen.append(FACTOR)
        seen.append(held)
    return seen


def total_of(values):
    total = 0
    for value in values:
        total = total + value
    return total


def by_callee_that_leaves(n):
    seen, values = [], [[1, 2], [1, 2], [1, Binds()]]
    for i in range(n):
        seen.append(total_of(values[min(i, 2)]))
        seen.append(FACTOR)
    return seen


def by_syntax(n):
    seen, it = [], Binds()
    for _ in range(n):
        seen.append((it.here, FACTOR))
        seen.append((it.other, FACTOR))
        it.other = 1
        seen.append(FACTOR)
        if it:
            seen.append(FACTOR)
        seen.append((len(it), FACTOR))
        seen.append((it + 1, FACTOR, 1 + it, FACTOR))
        seen.append((it == 1, FACTOR))
        seen.append((hash(it), FACTOR))
        seen.append((it < 1, FACTOR))
        seen.append((it[0], FACTOR))
        it[0] = 1
        seen.append(FACTOR)
        del it[0]
        seen.append(FACTOR)
        seen.append((1 in it, FACTOR))
        for value in it:
            seen.append((value, FACTOR))
        first, second = it
        seen.append((first, second, FACTOR))
        seen.append((f"{it}", FACTOR))
        seen.append((str(it), FACTOR))
        with it:
            seen.append(FACTOR)
        seen.append(FACTOR)
        seen.append((-it, FACTOR))
        seen.append(([1, 2][it], FACTOR))
        seen.append((it(), FACTOR))
        seen.append((len({it: 1}), FACTOR))
        seen.append((max(it, it) is it, FACTOR))
        seen.append((len(sorted([it, it])), FACTOR))
        seen.append((not it, FACTOR))
        seen.append((it and 3, FACTOR))
        while it:
            seen.append(FACTOR)
            break
        seen.append(FACTOR + len(it) + FACTOR)
    return seen


BOUND = [
    by_generator,
    by_next,
    around_a_property,
    by_attribute,
    by_item,
    by_c_function,
    by_binding_again,
    by_del,
    by_item_that_dies,
    by_handler,
    by_callee_that_leaves,
    by_syntax,
]


@pytest.mark.parametrize("function", BOUND, ids=lambda function: function.__name__)
def test_frozen_names_are_looked_at_again(function):
    compiled = opcodon.jit(function)
    for _ in range(3):
        results = []
        for each in (function, compiled):
            bind(0)
            LOG.clear()
            results.append((each(5), LOG[:], FACTOR))
        assert results[0] == results[1]


def test_what_runs_code_of_anybodys_is_native_while_nothing_changes():
    compiled = opcodon.jit(by_syntax)
    bind(0)
    compiled(1)
    quiet = opcodon.jit(total_of)
    for _ in range(3):
        quiet([Binds(), Binds()])
    assert quiet.is_native(), quiet.report()


def test_closure_variables_are_looked_at_again():
    factor = 0

    def binds(value):
        nonlocal factor
        factor = value

    def function(n):
        seen = []
        for i in range(n):
            builtins.list(map(binds, [i]))
            seen.append(factor)
        return seen

    compiled = opcodon.jit(function)
    for _ in range(3):
        for each in (function, compiled):
            factor = 0
            assert each(4) == [0, 1, 2, 3]


def waits(limit):
    n = 0
    while not STOPPED:
        n += 1
        if n > limit:
            return "never stopped"
    return "stopped"


def waits_in_a_range(limit):
    for i in range(limit):  # noqa: B007
        if STOPPED:
            return "stopped"
    return i


@pytest.mark.parametrize("function", [waits, waits_in_a_range])
def test_handlers_of_signals_bind_names(function):
    def stop(*_):
        global STOPPED
        STOPPED = True

    compiled = opcodon.jit(function)
    before = signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(2):
            globals()["STOPPED"] = False
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            assert compiled(20_000_000_000) == "stopped"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ---- what dies, and when


def pair():
    return [Dies(1), Dies(2)]


def closing():
    try:
        yield 1
        yield 2
    finally:
        LOG.append("closed")


def over_a_list(n):
    for _ in range(n):
        for x in [Dies(1), Dies(2)]:  # noqa: B007
            pass
        LOG.append("after")
        x = None
        LOG.append(x)


def over_a_call(n):
    for _ in range(n):
        for _x in pair():
            pass
        LOG.append("after")


def over_an_iterator(n):
    for _ in range(n):
        for _x in iter(pair()):
            break
        LOG.append("after")


def over_a_generator(n):
    for i in range(n):
        for x in closing():
            if x > i:
                break
        LOG.append("after")


def of_conditions(n):
    for _ in range(n):
        while pair()[0]:
            LOG.append("in")
            break
        if pair():
            LOG.append("if")
        LOG.append(len(pair()))
        x = pair()[0]
        _a, _b = pair()
        del _a
        _y = (Dies(7), Dies(8))[1]
        z = [v for v in pair() if v]
        LOG.append("z")
        z = {1: Dies(9)}.get(1)
        text = str(pair())[:2]
        LOG.append(text)
    return x is z


def in_handlers(n):
    for i in range(n):
        held = Dies(i)
        try:
            int("z")
        except ValueError:
            held = None
            LOG.append("handler")
        LOG.append(held)
        held = Dies(i)
        try:
            {}[i]
        except KeyError as error:
            held = error.args
            LOG.append("handler")
        LOG.append(held)


def after_it_was_left(n):
    items = {}
    for i in range(n):
        items[i] = Dies(i)
        x = Dies(10 + i)
        MODULE.STOPPED = i > 1
        LOG.append(STOPPED)
    items.clear()
    LOG.append("cleared")
    return x.value


@pytest.mark.parametrize(
    "function",
    [
        over_a_list,
        over_a_call,
        over_an_iterator,
        over_a_generator,
        of_conditions,
        in_handlers,
        after_it_was_left,
    ],
)
def test_objects_die_when_they_do_in_python(function):
    compiled = opcodon.jit(function)
    for _ in range(3):
        results = []
        for each in (function, compiled):
            MODULE.STOPPED = False
            LOG.clear()
            results.append((each(3), LOG[:]))
        assert results[0] == results[1]


class Base:
    def name(self):
        return "base"


class Derived(Base):
    def name(self):
        return "derived"

    def both(self, n):
        total = 0
        for i in range(n):
            total += i << 62
        return super().name(), self.name(), total


def test_a_method_that_was_left_finds_its_bases():
    compiled = opcodon.jit(Derived.both)
    for _ in range(2):
        assert compiled(Derived(), 4) == ("base", "derived", 6 << 62)


def of_exceptions(n):
    held = Dies(1)
    for i in range(n):
        try:
            raise ValueError(i)
        except ZeroDivisionError:
            held = None
    return held


def before_it_raises(n):
    for i in range(n):
        (n, Dies(i))[0]
        LOG.append("before")
        raise ValueError(i)


@pytest.mark.parametrize("function", [of_exceptions, before_it_raises])
def test_no_exception_keeps_itself(function):
    for each in (function, opcodon.jit(function)):
        LOG.clear()
        with pytest.raises(ValueError, match="0") as caught:
            each(3)
        del caught
        expected = [1] if function is of_exceptions else [0, "before"]
        assert expected == LOG


# ---- arrays that get another shape, or other rights


def resized(n):
    a = np.arange(10.0)
    total = 0.0
    for i in range(n):
        a.resize(20 - i, refcheck=False)
        for j in range(len(a)):
            total += a[j]
        total += a[-1]
    return total, a.shape


def resized_below_an_index(n):
    a, seen = np.arange(10.0), []
    for i in range(n):
        if i == 2:
            a.resize(5, refcheck=False)
        try:
            seen.append(a[7])
        except IndexError as error:
            seen.append(str(error))
    return seen


def locked(n):
    a = np.arange(10.0)
    for i in range(n):
        a[0] = i
    a.setflags(write=False)
    a[0] = 5.0
    return a


def locked_by_its_flags(n):
    a = np.arange(10.0)
    flags = a.flags
    flags.writeable = False
    for i in range(n):
        a[i] = 1.0
    return a


def reshaped(n):
    a = np.arange(10.0)
    a.shape = (2, 5)
    return a[1, 2] + n, a.shape


def changes(a):
    a.resize(3, refcheck=False)


def changed_by_a_callee(n):
    a = np.arange(10.0)
    a[n] = 1.0
    changes(a)
    return a[n]


@pytest.mark.parametrize(
    "function",
    [
        resized,
        resized_below_an_index,
        locked,
        locked_by_its_flags,
        reshaped,
        changed_by_a_callee,
    ],
)
def test_arrays_that_change(function):
    compiled = opcodon.jit(function)

    def outcome(each):
        try:
            return repr(each(5))
        except (IndexError, ValueError) as error:
            return repr(error)

    for _ in range(3):
        assert outcome(compiled) == outcome(function)


FROZEN = np.arange(10.0)


def reads(i):
    return FROZEN[i]


def writes(i):
    FROZEN[i] = 1.0


def test_frozen_arrays_that_change():
    read, write = opcodon.jit(reads), opcodon.jit(writes)
    assert read(3) == 3.0
    write(0)
    FROZEN.shape = (2, 5)
    assert read(1).tolist() == [5.0, 6.0, 7.0, 8.0, 9.0]
    FROZEN.shape = (10,)
    FROZEN.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        write(0)
    FROZEN.setflags(write=True)
    FROZEN.dtype = np.int64
    assert read(3) == np.float64(3.0).view(np.int64)
    FROZEN.resize(3, refcheck=False)
    with pytest.raises(IndexError):
        read(5)
