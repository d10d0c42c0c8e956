"""Trees of DEAP as machine code: what is computed, for whom, and what is refused."""

import copy
import functools
import math
import multiprocessing
import operator
import pickle
import random

import numpy as np
import pytest
from deap import base, creator, gp

import opcodon
import opcodon.deap


def protected_div(left, right):
    try:
        return left / right
    except ZeroDivisionError:
        return 1


def if_then_else(condition, then, otherwise):
    if condition:
        return then
    return otherwise


def unknown(a, b):
    return math.hypot(a, b) * 1.2345


draw_int = functools.partial(random.randint, -1, 1)
draw_float = functools.partial(random.uniform, -2, 2)


def symbreg(trigonometry=True):
    """The set of DEAP's example."""
    pset = gp.PrimitiveSet("MAIN", 1)
    pset.addPrimitive(operator.add, 2)
    pset.addPrimitive(operator.sub, 2)
    pset.addPrimitive(operator.mul, 2)
    pset.addPrimitive(protected_div, 2, name="protectedDiv")
    pset.addPrimitive(operator.neg, 1)
    if trigonometry:
        pset.addPrimitive(math.cos, 1)
        pset.addPrimitive(math.sin, 1)
    pset.addEphemeralConstant("rand101", draw_int)
    pset.renameArguments(ARG0="x")
    return pset


def arithmetic():
    """Operators whose results are promised to the bit, two arguments, all kinds of terminals."""
    pset = gp.PrimitiveSet("ARITHMETIC", 2)
    for function in (operator.add, operator.sub, operator.mul, operator.truediv, math.sqrt):
        pset.addPrimitive(function, 1 if function is math.sqrt else 2)
    for function in (operator.neg, operator.pos, operator.abs, math.fabs, math.floor, math.ceil):
        pset.addPrimitive(function, 1, name=f"{function.__module__}_{function.__name__}")
    for function in (min, max):
        pset.addPrimitive(function, 2)
    pset.addPrimitive(protected_div, 2)
    pset.addTerminal(3)
    pset.addTerminal(0.1)
    pset.addTerminal(2.718281828459045, name="euler")
    pset.addEphemeralConstant("uniform", draw_float)
    return pset


FUNCTIONS = {
    1: [
        *(math.sin, math.cos, math.tan, math.asin, math.acos, math.atan, math.sinh, math.cosh),
        *(math.tanh, math.exp, math.expm1, math.log, math.log2, math.log10, math.log1p, math.erf),
    ],
    2: [math.atan2, math.pow],
}


def transcendental(disturb=None):
    """Functions of `math`; `disturb` replaces each by another."""
    pset = gp.PrimitiveSet("TRANSCENDENTAL", 2)
    pset.addPrimitive(operator.add, 2)
    pset.addPrimitive(operator.mul, 2)
    for arity, functions in FUNCTIONS.items():
        for function in functions:
            known = disturb(function) if disturb else function
            pset.addPrimitive(known, arity, name=function.__name__)
    pset.addEphemeralConstant("uniform", draw_float)
    return pset


def typed():
    """DEAP's spam example in short: floats and truth values."""
    pset = gp.PrimitiveSetTyped("TYPED", [float, float, bool], bool, "IN")
    pset.addPrimitive(operator.and_, [bool, bool], bool)
    pset.addPrimitive(operator.or_, [bool, bool], bool)
    pset.addPrimitive(operator.xor, [bool, bool], bool)
    pset.addPrimitive(operator.not_, [bool], bool)
    pset.addPrimitive(operator.add, [float, float], float)
    pset.addPrimitive(operator.mul, [float, float], float)
    pset.addPrimitive(operator.lt, [float, float], bool)
    pset.addPrimitive(operator.ge, [float, float], bool)
    pset.addPrimitive(operator.eq, [float, float], bool)
    pset.addPrimitive(if_then_else, [bool, float, float], float)
    pset.addEphemeralConstant("hundred", functools.partial(random.uniform, 0, 100), float)
    pset.addTerminal(False, bool)
    pset.addTerminal(True, bool)
    return pset


def trees(pset, n, low, high, seed=0):
    random.seed(seed)
    return [gp.PrimitiveTree(gp.genHalfAndHalf(pset, low, high)) for _ in range(n)]


POINTS = [k / 10 for k in range(-10, 10)]
PAIRS = [(0.0, 0.0), (1.5, -0.25), (-3.0, 1e-3), (0.1, 7.0), (-0.0, -1.0)]


def value(function, point):
    """What Python computes, or nothing where it raises or leaves the real numbers."""
    try:
        found = function(*point)
        return None if isinstance(found, complex) else float(found)
    except (ArithmeticError, ValueError):
        return None


# What is computed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "points", "high"),
    [(arithmetic, PAIRS, 6), (lambda: symbreg(False), [(x,) for x in POINTS], 7)],
)
def test_arithmetic_is_equal_to_the_bit(make, points, high):
    pset = make()
    compared = 0
    for tree in trees(pset, 1500, 0, high):
        theirs, ours = gp.compile(tree, pset), opcodon.deap.compile(tree, pset)
        for point in points:
            expected = value(theirs, point)
            if expected is not None:
                found = ours(*point)
                assert type(found) is float
                assert found == expected or (math.isnan(found) and math.isnan(expected)), str(tree)
                compared += 1
    assert compared > 4000


def test_functions_agree_where_the_tree_is_well_conditioned():
    def disturb(function):
        return lambda *args: function(*args) * (1 + 1e-14)

    pset = transcendental()
    disturbed = transcendental(disturb)
    compared = 0
    for tree in trees(pset, 1500, 1, 4):
        theirs, ours = gp.compile(tree, pset), opcodon.deap.compile(tree, pset)
        for point in PAIRS:
            expected, near = value(theirs, point), value(gp.compile(str(tree), disturbed), point)
            if expected is None or near is None or not math.isclose(expected, near, rel_tol=1e-10):
                continue
            assert math.isclose(ours(*point), expected, rel_tol=1e-10, abs_tol=1e-300), str(tree)
            compared += 1
    assert compared > 2000


def test_fitnesses_of_the_example_agree():
    pset = symbreg()
    targets = [x**4 + x**3 + x**2 + x for x in POINTS]
    evaluator = opcodon.deap.Evaluator(pset, POINTS, targets)
    population = trees(pset, 2000, 1, 5)
    for tree, (fitness,) in zip(population, evaluator.map(evaluator, population), strict=True):
        function = gp.compile(tree, pset)
        errors = [(function(x) - y) ** 2 for x, y in zip(POINTS, targets, strict=True)]
        expected = math.fsum(errors) / len(errors)
        assert math.isclose(fitness, expected, rel_tol=1e-9, abs_tol=1e-25), str(tree)
        assert evaluator(tree) == (fitness,)


def test_typed_sets_return_truth_values():
    pset = typed()
    for tree in trees(pset, 1000, 1, 6):
        theirs, ours = gp.compile(tree, pset), opcodon.deap.compile(tree, pset)
        for a, b, c in [(1.0, 2.0, True), (50.0, -3.0, False), (0.0, 0.0, True)]:
            found = ours(a, b, c)
            assert type(found) is bool
            assert found == theirs(a, b, c), str(tree)


def test_a_set_without_arguments_gives_the_value():
    pset = gp.PrimitiveSet("VALUE", 0)
    pset.addPrimitive(operator.add, 2)
    pset.addTerminal(2)
    tree = gp.PrimitiveTree.from_string("add(2, add(2, 2))", pset)
    assert opcodon.deap.compile(tree, pset) == gp.compile(tree, pset) == 6
    assert isinstance(opcodon.deap.compile(tree, pset), float)


def test_terminals_of_all_kinds():
    pset = gp.PrimitiveSet("MAIN", 1)
    pset.addPrimitive(operator.add, 2)
    pset.addTerminal(math.pi, name="pi")
    pset.addTerminal(np.float32(0.5), name="half")
    pset.addTerminal(np.int64(7), name="seven")
    pset.addTerminal(True)
    pset.addTerminal("text", name="text")
    for text, expected in [("pi", math.pi), ("half", 0.5), ("seven", 7.0), ("True", 1.0)]:
        tree = gp.PrimitiveTree.from_string(f"add(ARG0, {text})", pset)
        assert opcodon.deap.compile(tree, pset)(1.0) == 1.0 + expected
    with pytest.raises(opcodon.deap.UnknownPrimitiveError, match="text is a str"):
        opcodon.deap.compile("add(ARG0, text)", pset)


def test_automatically_defined_functions_become_part_of_the_code():
    adf = gp.PrimitiveSet("ADF0", 2)
    adf.addPrimitive(operator.mul, 2)
    adf.addPrimitive(operator.sub, 2)
    main = gp.PrimitiveSet("MAIN", 1)
    main.addPrimitive(operator.add, 2)
    main.addADF(adf)
    main.renameArguments(ARG0="x")
    for body in ("mul(ARG0, ARG1)", "sub(ARG1, ARG0)", "sub(mul(ARG0, ARG0), ARG1)", "ARG1"):
        psets = [main, adf]
        bodies = [
            gp.PrimitiveTree.from_string(text, pset)
            for text, pset in zip(("add(ADF0(x, add(x, x)), x)", body), psets, strict=True)
        ]
        theirs = gp.compileADF(bodies, psets)
        with pytest.raises(opcodon.deap.UnknownPrimitiveError, match="compileADF"):
            opcodon.deap.compile(bodies[0], main)
        ours = opcodon.deap.compileADF(bodies, psets)
        assert [ours(x) for x in POINTS] == [theirs(x) for x in POINTS]


# Texts -------------------------------------------------------------------------------------------


def test_texts_in_any_form_that_python_reads():
    pset = symbreg(False)
    for text in (
        "add(x, mul(x, -1.5e-3))",
        " add( x ,\tneg(x) ) ",
        "x",
        "x + 1",
        "-x**2 / 3 + add(x, 1)",
        "(x if x < 0.5 else protectedDiv(x, x - 0.5)) % 2",
        "+x",
        "not_there(x)",
        "add(x)",
        "x +",
        "[x]",
        "add(x, 1) mul(x, 1)",
    ):
        try:
            theirs = gp.compile(text, pset)
            expected = [theirs(x) for x in POINTS]
        except Exception:
            expected = None
        if not isinstance(expected, list) or not all(isinstance(v, int | float) for v in expected):
            with pytest.raises((ValueError, TypeError, NameError, SyntaxError)):
                opcodon.deap.compile(text, pset)
        else:
            ours = opcodon.deap.compile(text, pset)
            assert np.allclose([ours(x) for x in POINTS], expected, rtol=1e-14, atol=0), text


def test_trees_too_deep_for_python():
    pset = symbreg(False)
    depth = 10_000
    text = "neg(" * depth + "x" + ")" * depth
    with pytest.raises(Exception, match=r"too many|recursion|nested|memory|90|^$"):
        gp.compile(text, pset)
    deap_tree = gp.PrimitiveTree([pset.mapping["neg"]] * depth + [pset.mapping["x"]])
    native = opcodon.deap.PrimitiveTree(deap_tree, pset)
    for tree in (text, deap_tree, native):
        assert opcodon.deap.compile(tree, pset)(1.5) == 1.5
    assert native.height == depth
    assert str(native) == text
    assert opcodon.deap.PrimitiveTree.from_string(text, pset) == native
    assert pickle.loads(pickle.dumps(native)) == native
    assert opcodon.deap.Evaluator(pset, POINTS, POINTS)(native) == (0.0,)
    right = [pset.mapping["add"], pset.mapping["x"]] * depth + [pset.mapping["x"]]
    assert opcodon.deap.compile(gp.PrimitiveTree(right), pset)(1.0) == depth + 1


# Functions that are known, and those that are not ------------------------------------------------


def pset_with(function, arity, **options):
    pset = gp.PrimitiveSet("MAIN", 3)
    pset.addPrimitive(function, arity, name="f", **options)
    return pset


def tree_of(pset, arity):
    return gp.PrimitiveTree.from_string(f"f({', '.join(f'ARG{i}' for i in range(arity))})", pset)


def div_by_test(left, right):
    if right == 0:
        return 1.0
    return left / right


def div_by_expression(left, right):
    return left / right if right != 0 else 1


def div_broad(a, b):
    """Divide, or not."""
    try:
        c = a / b
    except Exception:
        c = 1.0
    return c


def div_threshold(left, right):
    return left / right if abs(right) > 1e-6 else 1.0


def div_zero(left, right):
    try:
        return left / right
    except ZeroDivisionError:
        return 0


def div_numpy(left, right):
    """From DEAP's example with numpy."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.divide(left, right)
        if isinstance(x, np.ndarray):
            x[np.isinf(x)] = 1
            x[np.isnan(x)] = 1
        elif np.isinf(x) or np.isnan(x):
            x = 1
    return x


def protected_sqrt(x):
    return math.sqrt(abs(x))


def protected_log(x):
    return math.log(abs(x)) if x != 0 else 0.0


def analytic_quotient(a, b):
    return a / math.sqrt(1 + b**2)


def square(x):
    return x * x


def relu(x):
    return max(x, 0)


SEEN = []


def noisy_add(a, b):
    SEEN.append(a)
    return a + b


def counting_add(a, b):
    for _ in range(1):
        a = a + b
    return a


def add_of_global(a, b):
    return a + b + len(SEEN) * 0


@pytest.mark.parametrize(
    ("function", "arity", "formula"),
    [
        (protected_div, 2, "pdiv(ARG0, ARG1)"),
        (div_by_test, 2, "pdiv(ARG0, ARG1)"),
        (div_by_expression, 2, "pdiv(ARG0, ARG1)"),
        (div_broad, 2, "pdiv(ARG0, ARG1)"),
        (protected_sqrt, 1, "psqrt(ARG0)"),
        (protected_log, 1, "plog(ARG0)"),
        (analytic_quotient, 2, "aq(ARG0, ARG1)"),
        (square, 1, "square(ARG0)"),
        (relu, 1, "max(ARG0, 0)"),
        (if_then_else, 3, "if(ARG0, ARG1, ARG2)"),
        (operator.truediv, 2, "ARG0/ARG1"),
        (math.log, 2, "log(ARG0)/log(ARG1)"),
        (math.degrees, 1, "ARG0*57.29577951308232"),
        (min, 3, "min(ARG0, min(ARG1, ARG2))"),
        (np.add, 2, "ARG0 + ARG1"),
        (np.where, 3, "if(ARG0, ARG1, ARG2)"),
        (div_threshold, 2, None),
        (div_zero, 2, "if(ARG1 == 0, 0, ARG0/ARG1)"),
        (div_numpy, 2, "if(abs(ARG0/ARG1) < inf, ARG0/ARG1, 1)"),
        (noisy_add, 2, None),
        (counting_add, 2, None),
        (add_of_global, 2, None),
        (functools.partial(protected_div), 2, None),
        (math.hypot, 2, None),
        (operator.and_, 2, None),
    ],
)
def test_which_functions_are_recognised(function, arity, formula):
    pset = pset_with(function, arity)
    tree = tree_of(pset, arity)
    if formula is None:
        with pytest.raises(opcodon.deap.UnknownPrimitiveError, match=r"register\("):
            opcodon.deap.compile(tree, pset)
        assert not SEEN
    else:
        assert str(opcodon.deap.compile(tree, pset).expression) == formula


def test_unknown_functions_are_named_and_can_be_registered():
    pset = symbreg(False)
    pset.addPrimitive(unknown, 2)
    tree = gp.PrimitiveTree.from_string("add(x, unknown(x, 2))", pset)
    with pytest.raises(opcodon.deap.UnknownPrimitiveError, match=r"test_deap\.unknown") as caught:
        opcodon.deap.compile(tree, pset)
    assert caught.value.name == "unknown"
    assert "register(unknown" in str(caught.value)
    assert "fallback=True" in str(caught.value)
    fallback = opcodon.deap.compile(tree, pset, fallback=True)
    assert fallback(1.0) == gp.compile(tree, pset)(1.0)
    # Trees without it are machine code as ever.
    known = opcodon.deap.compile("add(x, 1)", pset, fallback=True)
    assert isinstance(known, opcodon.deap.Function)
    opcodon.deap.register(unknown, "sqrt(x0^2 + x1^2) * 1.2345")
    ours = opcodon.deap.compile(tree, pset)
    assert math.isclose(ours(1.0), fallback(1.0), rel_tol=1e-14)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("x0 +", "expected"),
        ("x0 + x5", "6 arguments"),
        ("tanh", "takes 1 arguments"),
        ("no_such", "no operator"),
        ("x0 + y", "y is no argument"),
    ],
)
def test_bad_registrations(formula, message):
    with pytest.raises(ValueError, match=message):
        opcodon.deap.register(unknown, formula)


def test_registered_formulas_may_use_arguments_in_any_way():
    def swapped(a, b):
        return (b - a) * 1.7

    def twice(a):
        return a * a * 1.7

    def first(a, b):  # noqa: ARG001
        return a * 1.7

    def constant(a):  # noqa: ARG001
        return 1.7

    opcodon.deap.register(swapped, "(x1 - x0) * 1.7")
    opcodon.deap.register(twice, "x0 * x0 * 1.7")
    opcodon.deap.register(first, "x0 * 1.7")
    opcodon.deap.register(constant, "1.7")
    pset = gp.PrimitiveSet("MAIN", 2)
    for function in (swapped, first):
        pset.addPrimitive(function, 2)
    for function in (twice, constant):
        pset.addPrimitive(function, 1)
    for tree in trees(pset, 300, 1, 5):
        theirs, ours = gp.compile(tree, pset), opcodon.deap.compile(tree, pset)
        for point in PAIRS:
            assert math.isclose(ours(*point), theirs(*point), rel_tol=1e-13)


def test_formulas_that_explode_are_refused():
    def twice(a):
        return a * a * 1.7

    opcodon.deap.register(twice, "x0 * x0 * 1.7")
    pset = gp.PrimitiveSet("MAIN", 1)
    pset.addPrimitive(twice, 1)
    with pytest.raises(ValueError, match="more than once"):
        opcodon.deap.compile("twice(" * 40 + "ARG0" + ")" * 40, pset)


def test_a_set_may_change_after_use():
    pset = gp.PrimitiveSet("MAIN", 1)
    pset.addPrimitive(operator.add, 2)
    assert opcodon.deap.compile("add(ARG0, 1)", pset)(1.0) == 2.0
    pset.addPrimitive(operator.mul, 2)
    pset.renameArguments(ARG0="t")
    assert opcodon.deap.compile("mul(t, 3)", pset)(2.0) == 6.0
    pset.addTerminal(5.0, name="five")
    assert opcodon.deap.compile("mul(t, five)", pset)(2.0) == 10.0
    with pytest.raises(NameError):
        opcodon.deap.compile("add(ARG0, 1)", pset)


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        (42, ValueError, "pset|42"),
        ([], ValueError, "incomplete"),
        ([1, 2], TypeError, "holds a int"),
        ("", SyntaxError, "invalid syntax"),
        (None, ValueError, "None"),
    ],
)
def test_what_is_no_tree(tree, error, message):
    pset = symbreg(False)
    if tree == 42:
        # As in DEAP, an expression like any other.
        assert opcodon.deap.compile(tree, pset)(1.0) == 42.0
        return
    with pytest.raises(error, match=message):
        opcodon.deap.compile(tree, pset)


def test_incomplete_and_overfull_trees():
    pset = symbreg(False)
    add, x = pset.mapping["add"], pset.mapping["x"]
    for nodes in ([add], [add, x], [x, x], [add, x, x, x]):
        with pytest.raises(ValueError, match="complete"):
            opcodon.deap.compile(nodes, pset)
    with pytest.raises(TypeError, match="PrimitiveSet is needed"):
        opcodon.deap.compile("x", {})


# Calls -------------------------------------------------------------------------------------------


def test_scalar_calls():
    pset = gp.PrimitiveSet("MAIN", 2)
    pset.addPrimitive(operator.sub, 2)
    pset.renameArguments(ARG0="x", ARG1="y")
    f = opcodon.deap.compile("sub(x, y)", pset)
    assert f.arguments == ("x", "y")
    for arguments in [(3, 2), (3.0, 2), (np.float64(3), np.int8(2)), (True + 2, 2.0)]:
        assert f(*arguments) == 1.0
    assert f(y=2.0, x=3.0) == f(3.0, y=2.0) == 1.0
    for call, message in [
        (lambda: f(), "2 arguments"),
        (lambda: f(1.0), "2 arguments"),
        (lambda: f(1.0, 2.0, 3.0), "3 were given"),
        (lambda: f(1.0, z=2.0), "no argument z"),
        (lambda: f(1.0, x=2.0), "two values"),
        (lambda: f(1.0, y=2.0, x=1.0), "two values"),
        (lambda: f("1", 2.0), "x is a str"),
        (lambda: f(1.0, None), "y is a NoneType"),
    ]:
        with pytest.raises(TypeError, match=message):
            call()


def test_more_arguments_than_registers():
    n = 20
    pset = gp.PrimitiveSet("MAIN", n)
    pset.addPrimitive(operator.sub, 2)
    text = "ARG0"
    for k in range(1, n):
        text = f"sub({text}, ARG{k})"
    f = opcodon.deap.compile(text, pset)
    point = [1.5**k for k in range(n)]
    assert f(*point) == gp.compile(text, pset)(*point)


def test_array_calls():
    pset = arithmetic()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3000))
    for tree in trees(pset, 60, 1, 5):
        f = opcodon.deap.compile(tree, pset)
        columns = f(x, y)
        assert columns.dtype == np.float64
        expected = [f(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        assert np.array_equal(columns, expected, equal_nan=True), str(tree)
    f = opcodon.deap.compile("add(ARG0, ARG1)", pset)
    assert f(x, 1).shape == x.shape
    assert np.array_equal(f(x[::-3], np.arange(1000)), x[::-3] + np.arange(1000))
    assert f(np.ones((4, 1)), np.ones(5)).shape == (4, 5)
    assert f(np.ones(0), np.ones(0)).shape == (0,)
    assert f(np.float32([1, 2]), np.float32([3, 4])).dtype == np.float32
    assert f(np.array(2.0), 1.0) == 3.0
    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones(3), np.ones(4))
    with pytest.raises((TypeError, ValueError)):
        f(np.array(["a", "b"]), 1.0)
    g = opcodon.deap.compile("lt(IN0, IN1)", typed())
    assert g(np.array([1.0, 2.0]), 1.5, True).tolist() == [True, False]


def test_a_function_knows_its_formula_and_its_code():
    f = opcodon.deap.compile("add(x, mul(2, x))", symbreg(False))
    assert str(f.expression) == "x + 2*x"
    assert isinstance(f.expression, opcodon.Expression)
    assert "ret" in [instruction.mnemonic for instruction in f.disassemble().instructions]
    assert f.code.startswith(f.disassemble().instructions[0].code)
    assert repr(f) == "<opcodon.deap.Function(x): x + 2*x>"
    again = pickle.loads(pickle.dumps(f))
    assert [again(x) for x in POINTS] == [f(x) for x in POINTS]
    assert again.arguments == ("x",)


# Evaluator ---------------------------------------------------------------------------------------


def losses(pset, tree, x, y, weights):
    f = opcodon.deap.compile(tree, pset)
    errors = f(*x.T) - y
    return {
        "mse": np.average(errors**2, weights=weights),
        "rmse": np.sqrt(np.average(errors**2, weights=weights)),
        "mae": np.average(np.abs(errors), weights=weights),
    }


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [1, 20, 1025, 5000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_losses(n_rows, weighted, dtype):
    pset = arithmetic()
    rng = np.random.default_rng(n_rows)
    x, y = rng.normal(size=(n_rows, 2)), rng.normal(size=n_rows)
    weights = rng.uniform(size=n_rows) if weighted else None
    population = trees(pset, 40, 1, 3)
    for loss in ("mse", "rmse", "mae"):
        evaluator = opcodon.deap.Evaluator(pset, x, y, loss, sample_weight=weights, dtype=dtype)
        found = evaluator.losses(population)
        for tree, ours in zip(population, found, strict=True):
            with np.errstate(all="ignore"):
                expected = losses(pset, tree, x, y, weights)[loss]
            if np.isnan(expected):
                assert ours == np.inf
            elif dtype == "float64":
                assert np.isclose(ours, expected, rtol=1e-12, atol=1e-30)
            elif expected < 1e6:
                assert np.isclose(ours, expected, rtol=1e-2, atol=1e-6)


def test_threads_do_not_change_losses():
    pset = arithmetic()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 2)), rng.normal(size=20_000)
    population = trees(pset, 101, 2, 5)
    one = opcodon.deap.Evaluator(pset, x, y).losses(population)
    for n_jobs in (2, 7, -1):
        more = opcodon.deap.Evaluator(pset, x, y, n_jobs=n_jobs).losses(population)
        assert np.array_equal(one, more)


def test_evaluator_in_a_toolbox():
    pset = symbreg(False)
    evaluator = opcodon.deap.Evaluator(pset, POINTS, POINTS)
    toolbox = base.Toolbox()
    toolbox.register("evaluate", evaluator)
    toolbox.register("map", evaluator.map)
    population = trees(pset, 50, 1, 4)
    together = toolbox.map(toolbox.evaluate, population)
    assert together == [toolbox.evaluate(tree) for tree in population]
    assert toolbox.map(toolbox.evaluate, []) == []
    assert toolbox.map(toolbox.evaluate, iter(population)) == together
    # Anything else is mapped as ever.
    assert list(toolbox.map(len, population)) == [len(tree) for tree in population]
    assert list(toolbox.map(operator.add, [1, 2], [3, 4])) == [4, 6]
    sized = opcodon.deap.Evaluator(pset, POINTS, POINTS, with_size=True)
    assert sized(population[0]) == (*together[0], len(population[0]))


def test_trees_that_compute_no_number_are_the_worst():
    pset = gp.PrimitiveSet("MAIN", 1)
    pset.addPrimitive(operator.truediv, 2)
    pset.addPrimitive(operator.sub, 2)
    nan = "truediv(sub(ARG0, ARG0), sub(ARG0, ARG0))"
    assert opcodon.deap.Evaluator(pset, POINTS, POINTS)(nan) == (math.inf,)
    assert opcodon.deap.Evaluator(pset, POINTS, POINTS, worst=1e9)(nan) == (1e9,)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.ones((3, 2))}, ValueError, r"X has shape \(3, 2\)"),
        ({"X": np.ones((2, 1))}, ValueError, r"y has shape \(3,\)"),
        ({"X": np.ones((0, 1)), "y": []}, ValueError, "no rows"),
        ({"X": [["a"]] * 3}, TypeError, "X has dtype"),
        ({"X": [[1.0], [2.0, 3.0], [4.0]]}, ValueError, "X is not a rectangular array"),
        ({"y": [1.0, math.nan, 2.0]}, ValueError, "row 1"),
        ({"y": [1.0, 2.0]}, ValueError, r"y has shape \(2,\)"),
        ({"loss": "mad"}, ValueError, "mse, rmse, mae"),
        ({"n_jobs": 0}, ValueError, "n_jobs is 0"),
        ({"dtype": "int8"}, ValueError, "float32"),
        ({"sample_weight": [1.0, -1.0, 1.0]}, ValueError, "row 1"),
        ({"sample_weight": [0.0, 0.0, 0.0]}, ValueError, "zero"),
        ({"pset": None}, TypeError, "PrimitiveSet is needed"),
    ],
)
def test_bad_tables(change, error, message):
    options = {"pset": symbreg(False), "X": np.ones((3, 1)), "y": np.ones(3)} | change
    with pytest.raises(error, match=message):
        opcodon.deap.Evaluator(**options)


# Processes ---------------------------------------------------------------------------------------

creator.create("PickledFitness", opcodon.deap.Fitness, weights=(-1.0, 1.0))
creator.create("PickledIndividual", opcodon.deap.PrimitiveTree, fitness=creator.PickledFitness)


def test_evaluator_and_trees_in_other_processes():
    pset = symbreg(False)
    evaluator = opcodon.deap.Evaluator(pset, POINTS, POINTS)
    population = trees(pset, 30, 1, 4)
    native = [creator.PickledIndividual(tree, pset) for tree in population]
    expected = [evaluator(tree) for tree in population]
    # A new interpreter knows neither the set nor the classes.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(evaluator, population) == expected
        assert pool.map(evaluator, native) == expected
        functions = [opcodon.deap.compile(tree, pset) for tree in population]
        assert pool.map(call_at_half, functions) == [f(0.5) for f in functions]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_processes_do_not_write_into_each_others_code():
    pset = symbreg()
    evaluator = opcodon.deap.Evaluator(pset, POINTS, POINTS)
    population = trees(pset, 400, 1, 5)
    expected = [evaluator(tree) for tree in population]
    parts = [population[start::4] for start in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.map_async(evaluator, part, chunksize=10) for part in parts]
        for _ in range(20):
            assert evaluator.map(evaluator, population) == expected
        for start, result in enumerate(results):
            assert result.get() == expected[start::4]


def call_at_half(function):
    return function(0.5)


def test_pickled_trees_meet_their_vocabulary_again():
    pset = symbreg(False)
    random.seed(3)
    population = [opcodon.deap.genHalfAndHalf(pset, 1, 5) for _ in range(100)]
    again = pickle.loads(pickle.dumps(population))
    assert again == population
    assert [str(tree) for tree in again] == [str(tree) for tree in population]
    opcodon.deap.cxOnePoint(again[0], population[1])
    # Without the set that made them, trees can be looked at.
    data = pickle.dumps(population[5])
    text = str(population[5])
    del population, again, pset
    lonely = pickle.loads(data)
    assert str(lonely) == text
    assert [node.arity for node in lonely] == [node.arity for node in lonely.to_deap()]
    assert opcodon.deap.compile(lonely, symbreg(False))(0.5) is not None
    assert copy.deepcopy(lonely) == lonely
