"""Calling machine code: the short way for floats, and that it means the same as the long way."""

import contextlib
import functools
import gc
import math
import operator
import pickle
import struct
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import opcodon

HAVE_VECTORCALL = 1 << 11

# mulsd xmm0, xmm0; addsd xmm0, xmm1; ret
SQUARE_PLUS = b"\xf2\x0f\x59\xc0\xf2\x0f\x58\xc1\xc3"


def from_bytes():
    return opcodon.function(SQUARE_PLUS, "f64(f64, f64)", name="square_plus", abi="sysv")


def from_expression():
    return opcodon.compile(opcodon.parse("x*x + y"))


def from_deap():
    gp = pytest.importorskip("deap.gp")
    import opcodon.deap

    pset = gp.PrimitiveSet("MAIN", 2)
    pset.addPrimitive(operator.add, 2)
    pset.addPrimitive(operator.mul, 2)
    pset.renameArguments(ARG0="x", ARG1="y")
    return opcodon.deap.compile("add(mul(x, x), y)", pset)


MAKERS = [from_bytes, from_expression, from_deap]
make_each = pytest.mark.parametrize("make", MAKERS)


class Float(float):
    pass


class Number:
    """A number by protocol."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        if self.value is None:
            raise RuntimeError("no value")
        return self.value


@make_each
def test_the_class_is_called_through_its_entries_after_the_first_call(make):
    f = make()
    assert f(1.5, 2.5) == 4.75
    assert type(f).__flags__ & HAVE_VECTORCALL
    assert f(1.5, 2.5) == make()(1.5, 2.5) == 4.75


@pytest.mark.parametrize("first", ["1.5, 2.5", "1, 2", "'a', 2.5", "1.0"])
def test_the_first_call_of_a_process_is_like_any_other(first):
    program = f"""
import opcodon
f = opcodon.compile(opcodon.parse("x*x + y"))
g = opcodon.function({SQUARE_PLUS!r}, "f64(f64, f64)", abi="sysv")
def outcome(f):
    try:
        return f({first})
    except TypeError as error:
        return str(error)
for f in (f, g):
    assert not type(f).__flags__ & {HAVE_VECTORCALL}
    assert outcome(f) == outcome(f)
    assert type(f).__flags__ & {HAVE_VECTORCALL}
    assert f(1.5, 2.5) == 4.75
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@make_each
@pytest.mark.parametrize(
    "args",
    [
        (1.5, 2.5),
        (1, 2),
        (True, False),
        (1.5, 2),
        (2, 1.5),
        (Float(1.5), Float(2.5)),
        (np.float64(1.5), 2.5),
        (np.float32(1.5), np.int64(2)),
        (np.array(1.5), 2.5),
        (math.inf, -1.0),
        (-0.0, -0.0),
        (5e-324, 5e-324),
    ],
)
def test_arguments_of_every_kind(make, args):
    f = make()
    x, y = map(float, args)
    f(0.0, 0.0)
    for value in (f(*args), f.__call__(*args), functools.partial(f, args[0])(args[1])):
        assert type(value) is float
        assert value == x * x + y
    assert list(map(f, [args[0]] * 2, [args[1]] * 2)) == [x * x + y] * 2


def test_nan_keeps_its_bits():
    identity = opcodon.function(b"\xc3", "f64(f64)", abi="sysv")
    for bits in (0x7FF8000000000000, 0xFFF8000000000123, 0x7FF8DEADBEEF0001):
        (nan,) = struct.unpack("d", struct.pack("Q", bits))
        assert struct.pack("d", identity(nan)) == struct.pack("Q", bits)


@make_each
@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((), TypeError),
        ((1.0,), TypeError),
        ((1.0, 2.0, 3.0), TypeError),
        ((1.0, None), TypeError),
        (("1", 2.0), TypeError),
        ((1j, 2.0), TypeError),
        ((1.0, 10**400), OverflowError),
        ((Number(None), 1.0), RuntimeError),
    ],
)
def test_mistakes_are_told_the_same_way_twice(make, args, error):
    f = make()
    messages = []
    for _ in range(2):
        with pytest.raises((error, TypeError)) as caught:
            f(*args)
        messages.append(str(caught.value))
    assert messages[0] == messages[1] != ""
    assert f(1.5, 2.5) == 4.75


def test_keywords():
    f = from_deap()
    assert f(y=2.5, x=1.5) == f(1.5, y=2.5) == 4.75
    nothing = {}
    assert f(1.5, 2.5, **nothing) == 4.75
    for make in (from_bytes, from_expression):
        assert make()(1.5, 2.5, **nothing) == 4.75
        with pytest.raises(TypeError, match="keyword"):
            make()(1.5, y=2.5)
    with pytest.raises(TypeError, match="two values"):
        f(1.5, 2.5, x=1.5)


def test_arrays_still_make_arrays():
    for make in (from_expression, from_deap):
        f = make()
        assert f(1.5, 2.5) == 4.75
        x, y = np.arange(4.0), np.ones(4)
        np.testing.assert_array_equal(f(x, y), x * x + y)
        np.testing.assert_array_equal(f(x, 1.0), x * x + 1.0)
    np.testing.assert_array_equal(from_expression()(np.ones((3, 2))), np.full(3, 2.0))


@pytest.mark.parametrize("n", range(1, 13))
def test_any_number_of_arguments(n):
    names = [f"x{i}" for i in range(n)]
    f = opcodon.compile(opcodon.parse(" + ".join(f"{i + 1}*x{i}" for i in range(n)), names))
    args = [1.0 / (i + 1) for i in range(n)]
    for _ in range(2):
        assert f(*args) == pytest.approx(n)
        assert f(*[1] * n) == n * (n + 1) / 2
        with pytest.raises(TypeError):
            f(*args, 1.0)


@pytest.mark.parametrize("abi", ["sysv", "win64"])
@pytest.mark.parametrize("n", range(5))
def test_both_conventions(abi, n):
    # The last argument: movaps xmm0, xmm{n - 1}; ret. Without arguments: xorps xmm0, xmm0; ret.
    code = bytes([0x0F, 0x28, 0xC0 | n - 1, 0xC3]) if n else b"\x0f\x57\xc0\xc3"
    f = opcodon.function(code, f"f64({', '.join(['f64'] * n)})", abi=abi)
    for _ in range(2):
        assert f(*(float(i + 1) for i in range(n))) == n


def test_other_types_go_the_long_way():
    add = opcodon.function(b"\x48\x8d\x04\x37\xc3", "i64(i64, i64)", abi="sysv")
    for _ in range(2):
        assert add(3, 4) == 7
        with pytest.raises(TypeError):
            add(3.0, 4.0)


def test_truth_values_come_back_as_such():
    gp = pytest.importorskip("deap.gp")
    import opcodon.deap

    pset = gp.PrimitiveSetTyped("MAIN", [float, float], bool)
    pset.addPrimitive(operator.lt, [float, float], bool)
    f = opcodon.deap.compile("lt(ARG0, ARG1)", pset)
    for _ in range(2):
        assert f(1.0, 2.0) is True
        assert f(2.0, 1.0) is False
        assert f(math.nan, 1.0) is False


@make_each
@pytest.mark.parametrize(
    ("args", "keywords", "n_calls"),
    [
        ((1.5, 2.5), {}, 1_000_000),
        ((1, 2.5), {}, 100_000),
        ((Float(1.5), 2.5), {}, 100_000),
        (("text", 2.5), {}, 30_000),
        ((1.5,), {}, 30_000),
        ((1.5,), {"y": 2.5}, 30_000),
    ],
)
def test_reference_counts_stay(make, args, keywords, n_calls):
    f = make()

    def run(n):
        for _ in range(n):
            with contextlib.suppress(TypeError):
                f(*args, **keywords)

    run(1000)
    watched = [f, type(f), *args, *keywords.values()]
    gc.collect()
    before = [sys.getrefcount(x) for x in watched], sys.getallocatedblocks()
    run(n_calls)
    gc.collect()
    after = [sys.getrefcount(x) for x in watched], sys.getallocatedblocks()
    assert after[0] == before[0]
    assert abs(after[1] - before[1]) < 100


@make_each
def test_pickling(make):
    f = pickle.loads(pickle.dumps(make()))
    assert f(1.5, 2.5) == 4.75


def test_threads_call_while_others_drop():
    slot = [opcodon.compile(opcodon.parse("x + 0"))]
    wrong = []
    stop = threading.Event()

    def call():
        while not stop.is_set():
            f = slot[0]
            (value,) = f.expression.evaluate([[0.5]])
            if f(0.5) != value or slot[0](0.25) < 0.25:
                wrong.append(f)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for k in range(3000):
        slot[0] = opcodon.compile(opcodon.parse(f"x + {k}"))
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def primitive_set():
    gp = pytest.importorskip("deap.gp")
    pset = gp.PrimitiveSet("MAIN", 1)
    pset.addPrimitive(operator.add, 2)
    pset.addPrimitive(operator.mul, 2)
    for value in (0.0, -0.0, 1, 1.0, True):
        pset.addTerminal(value, name=None)
    return gp, pset


def test_a_tree_that_comes_again_is_not_compiled_again():
    gp, pset = primitive_set()
    import opcodon.deap

    tree = gp.PrimitiveTree.from_string("add(ARG0, mul(ARG0, ARG0))", pset)
    f = opcodon.deap.compile(tree, pset)
    assert opcodon.deap.compile(gp.PrimitiveTree(tree), pset) is f
    other = gp.PrimitiveTree.from_string("add(mul(ARG0, ARG0), ARG0)", pset)
    assert opcodon.deap.compile(other, pset) is not f
    pset.addPrimitive(operator.sub, 2)
    assert opcodon.deap.compile(tree, pset) is not f


def test_trees_that_differ_in_a_constant_differ():
    gp, pset = primitive_set()
    import opcodon.deap

    def tree(value):
        nodes = gp.PrimitiveTree.from_string("mul(ARG0, ARG0)", pset)
        return gp.PrimitiveTree([*nodes[:2], gp.Terminal(value, False, object)])

    values = [0.0, -0.0, 2, 3, 2.5, math.nan, math.inf, 2**60]
    functions = [opcodon.deap.compile(tree(value), pset) for value in values]
    assert len(set(map(id, functions))) == len(values)
    for value, f in zip(values, functions, strict=True):
        assert opcodon.deap.compile(tree(value), pset) is f
        assert struct.pack("d", f(1.0)) == struct.pack("d", float(value))


def test_only_so_many_functions_are_kept():
    gp, pset = primitive_set()
    import opcodon.deap

    nodes = gp.PrimitiveTree.from_string("mul(ARG0, ARG0)", pset)
    asked = []

    def gone(_):
        # Code that runs when a function is let go may ask for one.
        asked.append(opcodon.deap.compile(nodes, pset)(3.0))

    references = []
    for k in range(5000):
        tree = gp.PrimitiveTree([*nodes[:2], gp.Terminal(float(k), False, object)])
        references.append(weakref.ref(opcodon.deap.compile(tree, pset), gone))
    alive = sum(reference() is not None for reference in references)
    assert 1 <= alive <= 512
    assert asked == [9.0] * (5000 - alive)


def from_python():
    return opcodon.jit(lambda x, y: x * x + y)


def guarded():
    return opcodon.function(SQUARE_PLUS, "f64(f64, f64)", abi="sysv", guard=True)


@pytest.mark.parametrize("make", [*MAKERS, from_python, guarded])
def test_a_builtin_function_means_the_same(make):
    f = make()
    builtin = f.builtin
    assert type(builtin) is type(len)
    assert builtin.__self__ is f
    for args in [(1.5, 2.5), (1, 2), (Float(1.5), 2), (-0.0, -0.0), (math.inf, -1.0)]:
        value = builtin(*args)
        assert type(value) is type(f(*args))
        assert value == f(*args)
    assert list(map(builtin, [1.5, 2.0], [2.5, 3.0])) == [4.75, 7.0]
    for args in [(), (1.0,), (1.0, 2.0, 3.0), ("1", 2.0)]:
        with pytest.raises(TypeError) as of_builtin:
            builtin(*args)
        with pytest.raises(TypeError) as of_function:
            f(*args)
        assert str(of_builtin.value) == str(of_function.value)


def test_a_builtin_function_follows_what_it_calls():
    @opcodon.jit
    def f(x, y=1):
        return x * y

    builtin = f.builtin
    # Each of them compiles another version, or goes through none.
    for args in [(2, 3), (2.5, 2.0), ("ab", 2), (2**70, 2**70), (2,), (1.5,)]:
        for _ in range(3):
            assert builtin(*args) == f(*args) == f.__wrapped__(*args)
    assert builtin(y=4, x=2) == builtin(2, y=4) == 8


def test_a_builtin_function_keeps_its_function_and_nothing_else():
    f = opcodon.jit(lambda x: x + 1)
    builtin = f.builtin
    before = sys.getrefcount(f)
    several = [f.builtin for _ in range(10)]
    assert sys.getrefcount(f) == before + 10
    del several
    assert sys.getrefcount(f) == before
    del f
    gc.collect()
    assert builtin(1.5) == 2.5
