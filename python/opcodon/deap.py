"""DEAP's genetic programming at the speed of machine code.

One line of a DEAP program changes, and its individuals run as machine code::

    toolbox.register("compile", opcodon.deap.compile, pset=pset)

`Evaluator` does the evaluation of a whole population at once, and the functions below that are
called as in DEAP (`genHalfAndHalf`, `cxOnePoint`, `mutUniform`, `staticLimit`, `selTournament`,
`clone`, …), together with the classes `PrimitiveTree` and `Fitness`, replace the rest of the run
piece by piece; DEAP's algorithms, statistics and halls of fame work with them as they are.

Individuals can also *be* machine code: `TreeCode` and `LinearCode` with `cxSplice`, `mutBytes` and
`GenomeEvaluator`; see ``examples/deap_genome.py``.

What is computed
----------------
Machine code computes in ``float64``, as numpy does, where Python has more than one kind of number
and raises exceptions:

* Integers are floats: ``add(1, 1)`` is 2.0, and integers beyond 2**53 lose digits.
* A division by zero, a sine of infinity, an overflowing ``exp`` and the like are ``inf`` or
  ``nan``, not exceptions.
* A fractional power of a negative number is ``nan``, not complex.
* ``min`` and ``max`` of something and ``nan`` are ``nan``, whatever the order.

Where DEAP computes a float, the results are equal to the bit for ``+ - * / neg abs sqrt`` and
comparisons, and within a few units in the last place for other functions.

What a function of a primitive set computes is known from its identity (functions of `operator`,
`math`, numpy and the builtins), because it was registered (`register`), or, for a short Python
function, from its code and its values: see `register` for what is recognised.
"""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import itertools
import math
import operator
import types
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from opcodon._core import Expression
from opcodon._core import deap as _native
from opcodon.deap_genome import (
    GenomeEvaluator,
    LinearCode,
    TreeCode,
    cxSplice,
    genLinearCode,
    genTreeCode,
    mutBytes,
)

try:
    from deap import tools as _tools
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "opcodon.deap works with DEAP, which is not installed: pip install deap"
    ) from error

UnknownPrimitiveError = _native.UnknownPrimitiveError
Evaluator = _native.Evaluator
Fitness = _native.Fitness
Function = _native.Function
PrimitiveTree = _native.PrimitiveTree
Vocabulary = _native.Vocabulary
_Limit = _native._Limit
_LimitedOperator = _native._LimitedOperator
clone = _native.clone
compile = _native.compile  # noqa: A001
cxOnePoint = _native.cxOnePoint
cxOnePointLeafBiased = _native.cxOnePointLeafBiased
genFull = _native.genFull
genGrow = _native.genGrow
genHalfAndHalf = _native.genHalfAndHalf
mutEphemeral = _native.mutEphemeral
mutInsert = _native.mutInsert
mutNodeReplacement = _native.mutNodeReplacement
mutShrink = _native.mutShrink
mutUniform = _native.mutUniform
seed = _native.seed
selTournament = _native.selTournament
staticLimit = _native.staticLimit

__all__ = [
    "Evaluator",
    "Fitness",
    "Function",
    "GenomeEvaluator",
    "HallOfFame",
    "LinearCode",
    "MultiStatistics",
    "PrimitiveTree",
    "Statistics",
    "TreeCode",
    "UnknownPrimitiveError",
    "clone",
    "compile",
    "compileADF",
    "cxOnePoint",
    "cxOnePointLeafBiased",
    "cxSplice",
    "genFull",
    "genGrow",
    "genHalfAndHalf",
    "genLinearCode",
    "genTreeCode",
    "mutBytes",
    "mutEphemeral",
    "mutInsert",
    "mutNodeReplacement",
    "mutShrink",
    "mutUniform",
    "register",
    "seed",
    "selTournament",
    "staticLimit",
]


def compileADF(expr: Sequence[Any], psets: Sequence[Any], *, fallback: bool = False) -> Any:
    """Compile a tree with automatically defined functions; as ``deap.gp.compileADF``.

    Parameters
    ----------
    expr : sequence of trees
        The main tree, then the trees of the functions.
    psets : sequence of deap.gp.PrimitiveSet
        The primitive set of each of them.
    fallback : bool, default False
        As for `compile`.

    Returns
    -------
    Function
        The main tree; the functions are part of its machine code.
    """
    functions: dict[str, Any] = {}
    function = None
    for pset, tree in reversed(list(zip(psets, expr, strict=False))):
        pset.context.update(functions)
        function = compile(tree, pset, fallback=fallback)
        functions[pset.name] = function
    return function


# What functions compute --------------------------------------------------------------------------

# Formulas of the arguments x0, x1, …, in the notation of `opcodon.parse`.
_OPERATORS = {
    "add": "x0 + x1",
    "sub": "x0 - x1",
    "mul": "x0 * x1",
    "truediv": "x0 / x1",
    "mod": "mod(x0, x1)",
    "pow": "x0 ^ x1",
    "neg": "-x0",
    "pos": "x0",
    "abs": "abs(x0)",
    "lt": "x0 < x1",
    "le": "x0 <= x1",
    "gt": "x0 > x1",
    "ge": "x0 >= x1",
    "eq": "x0 == x1",
    "ne": "x0 != x1",
    "not_": "x0 == 0",
    "truth": "x0 != 0",
}
_BUILTINS = {
    "abs": "abs(x0)",
    "bool": "x0 != 0",
    "float": "x0",
    "max": "max(x0, x1)",
    "min": "min(x0, x1)",
    "pow": "x0 ^ x1",
    "round": "round(x0)",
}
_MATH = {
    "acos": "acos(x0)",
    "asin": "asin(x0)",
    "atan": "atan(x0)",
    "atan2": "atan2(x0, x1)",
    "cbrt": "cbrt(x0)",
    "ceil": "ceil(x0)",
    "cos": "cos(x0)",
    "cosh": "cosh(x0)",
    "degrees": "x0 * 57.29577951308232",
    "erf": "erf(x0)",
    "exp": "exp(x0)",
    "exp2": "2 ^ x0",
    "expm1": "expm1(x0)",
    "fabs": "abs(x0)",
    "floor": "floor(x0)",
    "fma": "fma(x0, x1, x2)",
    "log": "log(x0)",
    "log10": "log10(x0)",
    "log1p": "log1p(x0)",
    "log2": "log2(x0)",
    "pow": "x0 ^ x1",
    "radians": "x0 * 0.017453292519943295",
    "sin": "sin(x0)",
    "sinh": "sinh(x0)",
    "sqrt": "sqrt(x0)",
    "tan": "tan(x0)",
    "tanh": "tanh(x0)",
}
_NUMPY = {
    "absolute": "abs(x0)",
    "add": "x0 + x1",
    "arccos": "acos(x0)",
    "arcsin": "asin(x0)",
    "arctan": "atan(x0)",
    "arctan2": "atan2(x0, x1)",
    "cbrt": "cbrt(x0)",
    "ceil": "ceil(x0)",
    "clip": "min(max(x0, x1), x2)",
    "cos": "cos(x0)",
    "cosh": "cosh(x0)",
    "deg2rad": "x0 * 0.017453292519943295",
    "degrees": "x0 * 57.29577951308232",
    "divide": "x0 / x1",
    "equal": "x0 == x1",
    "exp": "exp(x0)",
    "exp2": "2 ^ x0",
    "expm1": "expm1(x0)",
    "fabs": "abs(x0)",
    "float_power": "x0 ^ x1",
    "floor": "floor(x0)",
    "greater": "x0 > x1",
    "greater_equal": "x0 >= x1",
    "less": "x0 < x1",
    "less_equal": "x0 <= x1",
    "log": "log(x0)",
    "log10": "log10(x0)",
    "log1p": "log1p(x0)",
    "log2": "log2(x0)",
    "logical_and": "(x0 != 0) * (x1 != 0)",
    "logical_not": "x0 == 0",
    "logical_or": "max(x0 != 0, x1 != 0)",
    "logical_xor": "(x0 != 0) != (x1 != 0)",
    "maximum": "max(x0, x1)",
    "minimum": "min(x0, x1)",
    "multiply": "x0 * x1",
    "negative": "-x0",
    "not_equal": "x0 != x1",
    "positive": "x0",
    "power": "x0 ^ x1",
    "rad2deg": "x0 * 57.29577951308232",
    "radians": "x0 * 0.017453292519943295",
    "reciprocal": "1 / x0",
    "remainder": "mod(x0, x1)",
    "rint": "round(x0)",
    "sign": "sign(x0)",
    "sin": "sin(x0)",
    "sinh": "sinh(x0)",
    "sqrt": "sqrt(x0)",
    "square": "square(x0)",
    "subtract": "x0 - x1",
    "tan": "tan(x0)",
    "tanh": "tanh(x0)",
    "where": "if(x0, x1, x2)",
}
# Bitwise on integers, and what their names say on truth values only.
_BITWISE = {"and_": "x0 * x1", "or_": "max(x0, x1)", "xor": "x0 != x1"}

_MODULES: tuple[tuple[types.ModuleType, dict[str, str]], ...] = (
    (operator, _OPERATORS),
    (builtins, _BUILTINS),
    (math, _MATH),
    (np, _NUMPY),
)
# By identity, which the functions themselves keep.
_KNOWN: dict[int, tuple[Any, str]] = {
    id(function): (function, formula)
    for module, formulas in _MODULES
    for name, formula in formulas.items()
    if (function := getattr(module, name, None)) is not None
}
_LOGIC = {id(getattr(operator, name)): formula for name, formula in _BITWISE.items()}

_registered: dict[tuple[int, int], tuple[Any, str]] = {}


def register(function: Callable[..., Any], formula: str) -> None:
    """Say what a function computes, so that trees which hold it can become machine code.

    Parameters
    ----------
    function : callable
        The function as it was added to the primitive set. Its identity counts, not its name.
    formula : str
        What it computes: the name of an operator (``"pdiv"``, ``"aq"``, ``"plog"``, ``"tanh"``, …),
        or a formula of its arguments ``x0``, ``x1``, … in the notation of `opcodon.parse`. Best
        performance if each argument occurs once and in order; an argument that occurs twice has
        its subtree computed twice.

    Raises
    ------
    opcodon.ParseError
        The formula cannot be read.

    Notes
    -----
    Not to be registered need

    * the functions of `operator`, `math`, numpy and the builtins that have a formula, which are
      recognised by identity; `operator.and_`, `or_` and `xor` if their arguments are declared
      ``bool`` in a typed set;
    * short Python functions, such as the usual ``protectedDiv``, that compute what one operator
      computes. To be recognised, a function must consist of arithmetic, comparisons and branches,
      ``try`` with arithmetic exceptions, and calls of the functions above, with no constants but
      0, 1, 2 and 3, without loops, side effects or variables from outside; and its values must
      equal the operator's on a grid of numbers that includes zeros, infinities, ``nan``, tiny and
      huge numbers. Its name does not matter.

    Examples
    --------
    >>> import opcodon.deap
    >>> def softplus(x):
    ...     return math.log(1 + math.exp(x))
    >>> opcodon.deap.register(softplus, "log1p(exp(x0))")
    """
    arities = _arities(function)
    text = formula.strip()
    if text.isidentifier():
        arity = _arity_of_operator(text)
        text = f"{text}({', '.join(f'x{i}' for i in range(arity))})"
        arities = arities & {arity} if arities else {arity}
        if not arities:
            raise ValueError(
                f"{formula} takes {arity} arguments, but {_describe(function)} does not"
            )
    else:
        # Refuses what cannot be read here and now, not when a tree is compiled.
        used = Expression(text).variables
        n_used = max((_index(name) + 1 for name in used), default=0)
        if arities:
            if max(arities) < n_used:
                raise ValueError(
                    f"{formula} is a formula of {n_used} arguments, "
                    f"but {_describe(function)} does not take as many"
                )
        else:
            arities = {n_used}
    for arity in arities:
        _registered[id(function), arity] = (function, text)
    _native._forget()


def _index(name: str) -> int:
    if name[:1] == "x" and name[1:].isdecimal():
        return int(name[1:])
    raise ValueError(f"{name} is no argument: arguments are x0, x1, …")


def _arity_of_operator(name: str) -> int:
    for arity in (1, 2, 3):
        try:
            Expression(f"{name}({', '.join(['0'] * arity)})", [])
        except ValueError:
            continue
        return arity
    raise ValueError(f"there is no operator {name}; see opcodon.parse for those there are")


def _arities(function: Callable[..., Any]) -> set[int]:
    """With how many positional arguments a function can be called, as far as that is limited."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return set()
    least = most = 0
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return set()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            least += parameter.default is parameter.empty
    return set(range(least, most + 1))


def _describe(function: Any) -> str:
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if name is None:
        return f"a {type(function).__qualname__}"
    return f"{module}.{name}" if module not in (None, "builtins", "__main__") else str(name)


def _meaning(function: Any, name: str, argument_types: tuple[Any, ...]) -> tuple[str | None, str]:
    """The formula of a function of a primitive set, or why there is none."""
    arity = len(argument_types)
    registered = _registered.get((id(function), arity))
    if registered is not None:
        return registered[1], ""
    if id(function) in _LOGIC:
        if all(type_ is bool for type_ in argument_types):
            return _LOGIC[id(function)], ""
        return None, (
            f"{_describe(function)} works on the bits of integers. If its arguments are truth "
            f"values, declare them bool in a PrimitiveSetTyped, or say what is meant with "
            f"opcodon.deap.register({name}, {_LOGIC[id(function)]!r})"
        )
    known = _KNOWN.get(id(function))
    if known is not None:
        formula = known[1]
        if function is math.log and arity == 2:
            formula = "log(x0) / log(x1)"
        if function in (min, max) and arity > 2:
            formula = f"{function.__name__}({', '.join(f'x{i}' for i in range(arity))})"
        if len(set(Expression(formula).variables)) == arity:
            return formula, ""
    recognised = _recognise(function, arity)
    if recognised is not None:
        return recognised, ""
    arguments = ", ".join(f"x{i}" for i in range(arity))
    return None, (
        f"nobody knows what {_describe(function)} computes. Say it with "
        f'opcodon.deap.register({getattr(function, "__name__", name)}, "formula of {arguments}"), '
        f"or compile with fallback=True to have DEAP call it"
    )


# Recognising short Python functions --------------------------------------------------------------

# One operator, or the usual protections that take more than one.
_CANDIDATES: dict[int, tuple[str, ...]] = {
    1: (
        "x0", "-x0", "abs(x0)", "1 / x0", "square(x0)", "cube(x0)", "sqrt(x0)", "psqrt(x0)",
        "exp(x0)", "log(x0)", "plog(x0)", "sin(x0)", "cos(x0)", "tan(x0)", "tanh(x0)",
        "sigmoid(x0)", "sign(x0)", "x0 == 0", "x0 != 0", "x0 > 0", "x0 < 0", "pdiv(1, x0)",
        "max(x0, 0)", "floor(x0)", "ceil(x0)", "round(x0)", "x0 + 1", "x0 - 1", "1 - x0", "2 * x0",
    ),
    2: (
        "pdiv(x0, x1)", "x0 + x1", "x0 - x1", "x0 * x1", "x0 / x1", "aq(x0, x1)", "x0 ^ x1",
        "min(x0, x1)", "max(x0, x1)", "mod(x0, x1)", "atan2(x0, x1)", "x0 < x1", "x0 <= x1",
        "x0 > x1", "x0 >= x1", "x0 == x1", "x0 != x1", "(x0 != 0) * (x1 != 0)",
        "max(x0 != 0, x1 != 0)", "(x0 != 0) != (x1 != 0)",
        "if(x1 == 0, 0, x0 / x1)", "if(abs(x0 / x1) < inf, x0 / x1, 1)",
    ),
    3: ("if(x0, x1, x2)", "x0 * x1 + x2", "x0 + x1 + x2", "x0 * x1 * x2"),
}  # fmt: skip

_NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.25, 3.0, math.pi, -7.5, 10.0, 1e-3, -1e-3, 1e-5, 1e-6,
    1e-7, 1e-8, -1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 1e-100, -1e-300, 5e-324, 1e10, -1e16, 1e100,
    1e154, -1e300, 1.7e308, math.inf, -math.inf, math.nan, 0, 1, -1, 2, 7,
)  # fmt: skip
# Fewer for three arguments.
_FEW_NUMBERS = (0.0, -0.0, 1.0, -2.5, 1e-12, 5e-324, 1e300, math.inf, -math.inf, math.nan, 0, 1, 3)

_CONSTANTS = frozenset({0, 1, -1, 2, 3, 0.5})
_HARMLESS = {
    name: getattr(builtins, name)
    for name in (
        "ArithmeticError", "Exception", "FloatingPointError", "OverflowError", "ValueError",
        "ZeroDivisionError", "abs", "bool", "float", "isinstance", "max", "min", "pow", "round",
    )
} | {"math": math, "np": np, "numpy": np, "operator": operator}  # fmt: skip
_ATTRIBUTES = (
    frozenset(_OPERATORS)
    | frozenset(_MATH)
    | frozenset(_NUMPY)
    | {"abs", "errstate", "inf", "isfinite", "isinf", "isnan", "nan", "ndarray"}
)
_FORBIDDEN_OPCODES = ("IMPORT", "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR",
                      "YIELD", "DEREF", "CLOSURE", "BACKWARD", "SEND", "MAKE_FUNCTION")  # fmt: skip

_recognised: weakref.WeakKeyDictionary[Any, dict[int, str | None]] = weakref.WeakKeyDictionary()


def _recognise(function: Any, arity: int) -> str | None:
    if not isinstance(function, types.FunctionType):
        return None
    answers = _recognised.setdefault(function, {})
    if arity not in answers:
        answers[arity] = _probe(function, arity) if _is_plain(function, arity) else None
    return answers[arity]


def _is_plain(function: types.FunctionType, arity: int) -> bool:
    """Whether a function can do nothing but compute with its arguments, and surely ends."""
    code = function.__code__
    if (
        code.co_argcount != arity
        or code.co_kwonlyargcount
        or code.co_freevars
        or code.co_flags
        & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE
           | inspect.CO_ASYNC_GENERATOR)
        or not all(map(_is_plain_constant, code.co_consts))
    ):  # fmt: skip
        return False
    for instruction in dis.get_instructions(code):
        if any(word in instruction.opname for word in _FORBIDDEN_OPCODES):
            return False
        if instruction.opcode in dis.hasjabs and instruction.argval <= instruction.offset:
            return False
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            name = instruction.argval
            value = function.__globals__.get(name, getattr(builtins, name, None))
            if value is None or not _is_harmless(name, value):
                return False
        elif (
            instruction.opname in ("LOAD_ATTR", "LOAD_METHOD")
            and instruction.argval not in _ATTRIBUTES
        ):
            return False
    return True


def _is_harmless(name: str, value: Any) -> bool:
    return _HARMLESS.get(name) is value or id(value) in _KNOWN


def _is_plain_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain_constant, value))
    if isinstance(value, bool | str) or value is None:
        return True
    return isinstance(value, int | float) and value in _CONSTANTS


def _probe(function: types.FunctionType, arity: int) -> str | None:
    """The candidate whose values are the function's, everywhere on the grid."""
    grid = list(itertools.product(_NUMBERS if arity < 3 else _FEW_NUMBERS, repeat=arity))
    candidates = _CANDIDATES.get(arity, ())
    if not candidates:
        return None
    values: list[float | str] = []
    with np.errstate(all="ignore"):
        for point in grid:
            try:
                value = function(*point)
            except OverflowError:
                # Machine code goes on with an infinity, and may well come back from it.
                values.append("any")
                continue
            except (ArithmeticError, ValueError):
                values.append("not finite")
                continue
            except Exception:
                return None
            if isinstance(value, complex):
                value = math.nan
            if not isinstance(value, int | float | np.floating | np.bool_):
                return None
            values.append(float(value))
    rows = np.array(grid, dtype=float)
    names = [f"x{i}" for i in range(arity)]
    for candidate in candidates:
        formula = Expression(candidate, names)
        if all(
            _same(value, ours) for value, ours in zip(values, formula.evaluate(rows), strict=True)
        ):
            return candidate
    return None


def _same(value: float | str, ours: float) -> bool:
    if isinstance(value, str):
        return value == "any" or not math.isfinite(ours)
    if math.isnan(value) or math.isnan(ours) or math.isinf(value) or math.isinf(ours):
        return value == ours or (math.isnan(value) and math.isnan(ours))
    return abs(value - ours) <= 1e-15 * abs(ours)


# Trees as Python expressions ---------------------------------------------------------------------

_INFIX: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "mod", ast.Pow: "pow",
    ast.USub: "neg", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq",
    ast.NotEq: "ne",
}  # fmt: skip


def _steps(text: str) -> list[tuple[Any, ...]]:
    """A Python expression as steps of a stack machine; see `text.rs`."""
    steps: list[tuple[Any, ...]] = []
    # Nodes still to be written, and steps that follow what was written before.
    pending: list[Any] = [ast.parse(text.strip(), "<tree>", "eval").body]
    while pending:
        node = pending.pop()
        if isinstance(node, tuple):
            steps.append(node)
            continue
        operands: list[ast.expr]
        match node:
            case ast.Constant(value=bool() | int() | float() as value):
                steps.append(("number", float(value)))
                continue
            case ast.Name(id=name):
                steps.append(("name", name))
                continue
            case ast.Call(func=ast.Name(id=name), args=operands, keywords=[]):
                pending.append(("call", name, len(operands)))
            case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in _INFIX:
                pending.append(("operator", _INFIX[type(symbol)]))
                operands = [left, right]
            case ast.UnaryOp(op=symbol, operand=operand) if type(symbol) in _INFIX:
                pending.append(("operator", _INFIX[type(symbol)]))
                operands = [operand]
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                operands = [operand]
            case ast.Compare(left=left, ops=[symbol], comparators=[right]) if (
                type(symbol) in _INFIX
            ):
                pending.append(("operator", _INFIX[type(symbol)]))
                operands = [left, right]
            case ast.IfExp(test=test, body=body, orelse=orelse):
                pending.append(("operator", "if"))
                operands = [test, body, orelse]
            case _:
                raise ValueError(
                    f"{ast.unparse(node)!r} is nothing that can become machine code in {text!r}"
                )
        pending.extend(reversed(operands))
    return steps


# Statistics and halls of fame --------------------------------------------------------------------


class Statistics(_tools.Statistics):  # type: ignore[misc]
    """Statistics as ``deap.tools.Statistics``, with the values collected once.

    DEAP hands a tuple to every registered function, and numpy's functions make an array of it each
    time. Here functions of numpy get the array at once; others get the tuple.
    """

    def compile(self, data: Iterable[Any]) -> dict[str, Any]:
        """Apply each registered function to what the key makes of ``data``."""
        individuals = data if isinstance(data, list) else list(data)
        values = None
        array = None
        entry = {}
        for name, function in self.functions.items():
            if _is_numpy(function.func):
                if array is None:
                    array = _native._observe(individuals, self.key)
                if array is None:
                    values = tuple(map(self.key, individuals))
                    array = np.asarray(values)
                entry[name] = function(array)
            else:
                if values is None:
                    values = tuple(map(self.key, individuals))
                entry[name] = function(values)
        return entry


def _is_numpy(function: Any) -> bool:
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "numpy"


class MultiStatistics(_tools.MultiStatistics):  # type: ignore[misc]
    """Statistics of several keys; as ``deap.tools.MultiStatistics``, for `Statistics`."""


class HallOfFame(_tools.HallOfFame):  # type: ignore[misc]
    """The best individuals that ever lived; as ``deap.tools.HallOfFame``.

    Individuals that are not better than the worst of a full hall are passed over natively.
    """

    def update(self, population: Iterable[Any]) -> None:
        """Let the best of ``population`` in."""
        if self.items and len(self.items) >= self.maxsize:
            population = _native._better(population, self.items[-1].fitness)
        super().update(population)
