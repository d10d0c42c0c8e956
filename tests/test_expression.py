"""Expressions: text, structure, algebra, and what they mean."""

import copy
import math
import pickle

import numpy as np
import pytest

import opcodon
from opcodon import Expression

ROUND_TRIPS = [
    "x",
    "-1.5",
    "x - 1 + 4",
    "x - (1 + 4)",
    "x/(y*z)",
    "-x^2",
    "(-x)^2",
    "x^y^z",
    "(x^y)^z",
    "2*sin(x)^2 + 1e-300",
    "if(x < y, exp(x), pdiv(x, y))",
    "aq(x, 3) + plog(y) + psqrt(z)",
    "fma(x, y, z)",
    "min(x, max(y, 0.1))",
    "1e308*x + 5e-324",
    "`sepal length (cm)`*2 + `sin` + π",
    "inf - x + nan",
]


@pytest.mark.parametrize("text", ROUND_TRIPS)
def test_text_and_pickle_lead_back_to_the_same_tree(text):
    e = opcodon.parse(text)
    assert str(e) == text
    again = opcodon.parse(str(e), e.variables)
    assert again == e
    assert hash(again) == hash(e)
    assert pickle.loads(pickle.dumps(e)) == e
    assert copy.deepcopy(e) == e
    assert eval(repr(e), {"Expression": Expression}) == e


def test_shape_of_a_tree():
    e = opcodon.parse("(x - 1) + 4")
    assert (e.variables, e.size, e.depth, e.constants) == (("x",), 5, 3, (1.0, 4.0))
    assert e.postfix() == ["x", 1.0, "-", 4.0, "+"]
    assert str(e.with_constants([2, 3])) == "x - 2 + 3"
    assert str(opcodon.parse("1234567.8*x + 2/3 - 1e-9").rounded(3)) == "1230000*x + 2/3 - 1e-9"
    assert e.rounded() == e
    with pytest.raises(ValueError, match="digits must be 1 to 17"):
        e.rounded(0)
    with pytest.raises(ValueError, match="has 2 constants, but 1 were given"):
        e.with_constants([1])


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("b + a", None, ("b", "a")),
        ("x10 + x2", None, ("x2", "x10")),
        ("b + a", ["a", "b", "c"], ("a", "b", "c")),
        ("1", None, ()),
        ("1", [], ()),
    ],
)
def test_order_of_variables(text, variables, expected):
    assert opcodon.parse(text, variables).variables == expected


def test_variables_are_part_of_equality():
    assert opcodon.parse("x", ["x", "y"]) != opcodon.parse("x", ["x"])
    assert opcodon.parse("x + 1") != opcodon.parse("x + 2")
    assert opcodon.parse("x") != "x"
    assert len({opcodon.parse("x + y"), opcodon.parse("x+y"), opcodon.parse("y + x")}) == 2


X, Y = opcodon.parse("x"), opcodon.parse("y")
ALGEBRA = [
    (lambda: X + Y, "x + y"),
    (lambda: Y + X, "y + x"),
    (lambda: 1 - X, "1 - x"),
    (lambda: X - 1, "x - 1"),
    (lambda: X * X / Y, "x*x/y"),
    (lambda: 2 / X, "2/x"),
    (lambda: X**2, "x^2"),
    (lambda: 2**X, "2^x"),
    (lambda: -X, "-x"),
    (lambda: +X, "x"),
    (lambda: abs(X), "abs(x)"),
    (lambda: X % 2, "mod(x, 2)"),
    (lambda: 2 % X, "mod(2, x)"),
    (lambda: np.sin(X) + np.exp(-Y), "sin(x) + exp(-y)"),
    (lambda: np.float64(2) * X, "2*x"),
    (lambda: X * np.float32(0.5), "x*0.5"),
    (lambda: np.maximum(X, 0), "max(x, 0)"),
    (lambda: np.divide(np.arctan2(X, Y), np.absolute(X)), "atan2(x, y)/abs(x)"),
    (lambda: True + X, "1 + x"),
    (lambda: Expression.apply("if", X, Y, 0), "if(x, y, 0)"),
    (lambda: Expression.apply("+", 1, 2), "1 + 2"),
]


@pytest.mark.parametrize(("build", "text"), ALGEBRA, ids=[text for _, text in ALGEBRA])
def test_operators_build_trees(build, text):
    e = build()
    assert e == opcodon.parse(str(e), e.variables)
    assert str(e) == text


def test_variables_unite_by_name():
    a = opcodon.parse("x + y")
    b = opcodon.parse("z*y")
    assert (a / b).variables == ("x", "y", "z")
    assert (b - a).evaluate([[3.0, 5.0, 7.0]])[0] == 15.0 - 12.0


@pytest.mark.parametrize(
    "build",
    [
        lambda: X + "1",
        lambda: "1" + X,
        lambda: X * 1j,
        lambda: X + None,
        lambda: X - [1.0, 2.0],
        lambda: X * np.array([1.0, 2.0]),
        lambda: np.gcd(X, 2),
        lambda: pow(X, 2, 3),
        lambda: X < Y,
    ],
)
def test_other_operands_are_refused(build):
    with pytest.raises(TypeError):
        build()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Expression.apply("sine", X), ValueError, 'no operator or function "sine"'),
        (lambda: Expression.apply("sin", X, Y), TypeError, "sin takes 1 operands, but 2"),
        (lambda: Expression.apply("sin", "x"), TypeError, "operands of sin must be"),
        (lambda: X.to("cobol"), ValueError, 'infix, .*, not "cobol"'),
        (lambda: X.diff("t"), ValueError, 'no variable "t".*: x'),
        (lambda: opcodon.parse(5), TypeError, "str"),
        (lambda: opcodon.compile(5), TypeError, "not int"),
        (lambda: opcodon.compile([5]), TypeError, "not int"),
    ],
)
def test_mistakes_are_told(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("text", "variables", "span", "message"),
    [
        ("", None, (0, 0), "empty"),
        ("1 +", None, (3, 3), "found the end"),
        ("(x", None, (0, 1), "not closed"),
        ("x)", None, (1, 2), r"\)"),
        ("2 x", None, (2, 3), "multiplication is written"),
        ("foo(x)", None, (0, 3), "unknown function `foo`"),
        ("é + xx", ["x"], (0, 1), "unknown variable `é`"),
        ("é + xx", ["x", "é"], (4, 6), "unknown variable `xx`.*did you mean"),
        ("sin(x, y)", None, (0, 3), "sin"),
        ("x = 1", None, (2, 3), "equality is written `==`"),
        ("1..2", None, (2, 4), "multiplication is written"),
        ("x < y < z", None, (6, 7), "do not chain"),
    ],
)
def test_parse_errors_point_at_the_place(text, variables, span, message):
    with pytest.raises(opcodon.ParseError, match=message) as caught:
        opcodon.parse(text, variables)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.text == text
    assert error.span == span
    assert ("^" in str(error)) == (text != "")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.span) == (str(error), error.span)


MEANINGS = {
    "x + 1": lambda x: x + 1,
    "x^3 - 2*x": lambda x: x**3 - 2 * x,
    "sin(x)*exp(-x)": lambda x: np.sin(x) * np.exp(-x),
    "if(x > 0.5, x, -x)": lambda x: np.where(x > 0.5, x, -x),
    "mod(x, 0.3)": lambda x: np.mod(x, 0.3),
    "7": lambda x: np.full(len(x), 7.0),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_reference_evaluation_agrees_with_numpy(text):
    x = np.linspace(-3, 3, 1001)
    found = opcodon.parse(text, ["x"]).evaluate(x[:, None])
    np.testing.assert_allclose(found, MEANINGS[text](x), rtol=1e-14)


def test_derivatives():
    e = opcodon.parse("x^2*y + sin(x)")
    assert e.diff("x").evaluate([[2.0, 3.0]])[0] == pytest.approx(12 + math.cos(2), rel=1e-15)
    assert e.diff("y").evaluate([[2.0, 3.0]])[0] == 4.0
    assert e.diff("x").variables == e.variables


def test_simplification_keeps_values():
    e = opcodon.parse("(x + 0)*1 + (2 + 3)")
    assert str(e.simplify(exact=False)) == "x + 5"
    simple = e.simplify()
    assert simple.size < e.size
    x = np.linspace(-1, 1, 11)[:, None]
    np.testing.assert_array_equal(simple.evaluate(x), e.evaluate(x))


def test_languages():
    e = opcodon.parse("sqrt(x)/(y + 1)")
    assert e.to("infix") == str(e)
    assert e.latex() == r"\frac{\sqrt{x}}{y + 1}"
    assert e._repr_latex_() == rf"$\displaystyle {e.latex()}$"
    x, y = np.linspace(0, 4, 9), np.linspace(1, 2, 9)
    found = eval(e.to("numpy"), {"np": np, "x": x, "y": y})
    np.testing.assert_array_equal(found, e.evaluate(np.column_stack([x, y])))
    assert "sqrt(x)" in e.to("c")
    assert "x.sqrt()" in e.to("rust")


def test_sympy_knows_the_variables_by_name():
    sympy = pytest.importorskip("sympy")
    # E, I, N and S mean something else to SymPy.
    e = opcodon.parse("E*I + N^2*S")
    symbols = [sympy.Symbol(name) for name in e.variables]
    found = sympy.lambdify(symbols, e.sympy())(2.0, 3.0, 5.0, 7.0)
    assert found == 2 * 3 + 25 * 7
    odd = opcodon.parse("`sepal length (cm)` + lambda_ + `it's`").sympy()
    assert {s.name for s in odd.free_symbols} == {"sepal length (cm)", "lambda_", "it's"}


def test_intervals_hold_all_values_of_a_box():
    rng = np.random.default_rng(4)
    for text in ("x*y - exp(x)", "1/(1 + x*x) + sin(y)", "sqrt(x + 3)*tanh(y)", "x*x*x/(y + 7)"):
        e = opcodon.parse(text, ["x", "y"])
        X = rng.uniform([-2, -5], [1, 5], (1000, 2))
        low, high, is_defined = e.interval(X.min(axis=0), X.max(axis=0))
        values = e.evaluate(X)
        assert is_defined
        assert low <= values.min() <= values.max() <= high < np.inf
    assert opcodon.parse("x - x").interval([-1], [5]) == (0.0, 0.0, True)
    assert opcodon.parse("log(x)").interval([-1], [1])[2] is False
    assert opcodon.parse("2.5").interval([], []) == (2.5, 2.5, True)
    with pytest.raises(ValueError, match=r"low must be at most high, but for x they are 2.* and 1"):
        opcodon.parse("x").interval([2], [1])
    with pytest.raises(ValueError, match="one number for each variable"):
        opcodon.parse("x").interval([1, 2], [1, 2])


def test_depth_is_no_limit():
    n = 100_000
    text = "sin(" * n + "x" + ")" * n
    e = opcodon.parse(text)
    assert (e.size, e.depth) == (n + 1, n + 1)
    assert str(e) == text
    assert pickle.loads(pickle.dumps(e)) == e
    assert np.isfinite(e.evaluate([[1.0]])[0])
    assert len(e.latex()) > n
    right = opcodon.parse("x" + "^x" * n)
    assert right.depth == n + 1
    del e, right
