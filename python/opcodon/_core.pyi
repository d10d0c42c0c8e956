"""The native module: Python types to Rust types and back.

Use these classes and functions through the package `opcodon`; what is not re-exported there is
its own business.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, SupportsFloat, final, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from opcodon.machine import Abi, Dialect, Disassembly, Style

__all__ = [
    "CompiledExpression",
    "Expression",
    "MachineFunction",
    "ParseError",
    "Population",
    "Report",
    "__version__",
    "assemble",
    "command_line",
    "deap",
    "disassemble",
    "fit",
    "operators",
    "parameters",
]

__version__: str

# The native half of `opcodon.deap`, which has its documentation.
deap: Any

_Language = Literal["infix", "prefix", "latex", "sympy", "numpy", "c", "rust"]

class ParseError(ValueError):
    """Text that cannot be read as what it should be: an expression, a signature or assembly.

    Attributes
    ----------
    text : str
        The whole text.
    span : tuple of int
        Where the mistake is: first and last (exclusive) character.
    """

    text: str
    span: tuple[int, int]

@final
class Expression:
    """A formula: a tree of operators over variables and constants, which never changes.

    Make one with `parse`, or from others with ``+ - * / % **``, `abs` and numpy's functions:
    ``numpy.sin(x) + 1``. Variables unite by name. Two expressions are equal if their trees and
    the names of their variables are; ``str`` gives text that parses to the same tree.

    Parameters
    ----------
    text : str
        The formula.
    variables : sequence of str, optional
        See `parse`.

    Attributes
    ----------
    variables : tuple of str
        The variables, in the order of the columns or arguments that are given for them.
    size : int
        Number of nodes: operators, functions, variables and constants.
    depth : int
        Number of levels.
    constants : tuple of float
        The constants, in the order in which they stand in the text.
    """

    def __new__(cls, text: str, variables: Sequence[str] | None = None) -> Self: ...
    @classmethod
    def apply(cls, operator: str, *operands: Expression | SupportsFloat) -> Expression:
        """Apply an operator or function, by its name, to expressions and numbers.

        Parameters
        ----------
        operator : str
            Such as ``"+"``, ``"add"`` or ``"if"``.
        *operands : Expression or float
            As many as the operator takes.

        Returns
        -------
        Expression
            The combined tree.
        """

    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def constants(self) -> tuple[float, ...]: ...
    def with_constants(self, values: Sequence[float]) -> Expression:
        """Give the same tree with other constants.

        Parameters
        ----------
        values : sequence of float
            As many as `constants`.

        Returns
        -------
        Expression
            The new expression.
        """

    def rounded(self, digits: int = 6) -> Expression:
        """Round the constants to significant digits, for reading.

        Parameters
        ----------
        digits : int, default=6
            1 to 17.

        Returns
        -------
        Expression
            The rounded expression.
        """

    def postfix(self) -> list[float | str]:
        """List the nodes in postfix order: numbers, names of variables, operators."""

    def simplify(self, *, exact: bool = True) -> Expression:
        """Make the tree smaller.

        Parameters
        ----------
        exact : bool, default=True
            Keep every value to the bit. Otherwise the rules of real numbers hold, and rounding,
            signed zeros and undefined places may differ.

        Returns
        -------
        Expression
            The simpler expression.
        """

    def diff(self, variable: str) -> Expression:
        """Differentiate with respect to a variable.

        Parameters
        ----------
        variable : str
            One of `variables`.

        Returns
        -------
        Expression
            The derivative, simplified.
        """

    def evaluate(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the value for each row with the reference interpreter.

        This is what the expression means; machine code is tested against it. To compute fast,
        use `compile`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_variables)
            One column for each variable.

        Returns
        -------
        ndarray of shape (n_rows,)
            The values.
        """

    def to(self, language: _Language) -> str:
        """Write the expression in a language.

        Parameters
        ----------
        language : {"infix", "prefix", "latex", "sympy", "numpy", "c", "rust"}
            ``"infix"`` and ``"prefix"`` parse back to the same tree.

        Returns
        -------
        str
            The text.
        """

    def latex(self) -> str:
        """Write the expression in LaTeX."""

    def sympy(self) -> Any:
        """Give the expression to SymPy, which must be installed.

        Returns
        -------
        sympy.Expr
            The same formula.
        """

    def _repr_latex_(self) -> str: ...
    def __add__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __radd__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __sub__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __rsub__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __mul__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __rmul__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __truediv__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __rtruediv__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __mod__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __rmod__(self, other: Expression | SupportsFloat, /) -> Expression: ...
    def __pow__(self, other: Expression | SupportsFloat, modulo: None = None, /) -> Expression: ...
    def __rpow__(self, other: Expression | SupportsFloat, modulo: None = None, /) -> Expression: ...
    def __neg__(self) -> Expression: ...
    def __pos__(self) -> Expression: ...
    def __abs__(self) -> Expression: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any: ...
    def __reduce__(self) -> tuple[type[Expression], tuple[str, list[str]]]: ...

@final
class CompiledExpression:
    """An expression as machine code; make it with `compile`.

    Called with one number for each variable, it gives a number. Called with an array of shape
    (n_rows, n_variables), it gives an array of shape (n_rows,): of ``float32``, computed in
    ``float32``, for a ``float32`` array, else of ``float64``. Called with one array for each
    variable, these are broadcast as numpy does. Arrays may have any layout. The interpreter
    lock is released while machine code runs over arrays, and threads may share one object.

    Attributes
    ----------
    expression : Expression
        What was compiled.
    variables : tuple of str
        Its variables: the arguments, in this order.
    code : bytes
        The machine code of the function of numbers, with its constants behind it.
    address : int
        Where the code is in memory.
    tier : str
        The vector instructions in use: ``"sse2"``, ``"avx2"`` or ``"avx512"``.
    """

    def __new__(cls, expression: Expression) -> Self: ...
    @overload
    def __call__(self, *arguments: SupportsFloat) -> float: ...
    @overload
    def __call__(self, *arguments: ArrayLike) -> NDArray[np.floating[Any]]: ...
    @property
    def expression(self) -> Expression: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def code(self) -> bytes: ...
    @property
    def address(self) -> int: ...
    @property
    def tier(self) -> str: ...
    def disassemble(self, style: Style = "intel", *, kernel: bool = False) -> Disassembly:
        """Show the machine code.

        Parameters
        ----------
        style : {"intel", "att", "masm", "nasm"}
            The syntax to write in.
        kernel : bool, default=False
            The loop over rows of ``float64`` instead of the function of numbers.

        Returns
        -------
        Disassembly
            Text, with the instructions as data.
        """

    def listing(self, style: Style = "intel") -> Disassembly:
        """Show the function of numbers, and what each instruction computes.

        Parameters
        ----------
        style : {"intel", "att", "masm", "nasm"}
            The syntax to write in.

        Returns
        -------
        Disassembly
            Text with notes; ``note`` of each instruction is the part of the expression that it
            computes, or the value of a constant.
        """

    def __reduce__(self) -> tuple[type[CompiledExpression], tuple[Expression]]: ...

@final
class Population:
    """Many expressions over the same variables, compiled and run together.

    Parameters
    ----------
    expressions : iterable of Expression or str
        Expressions with the same variables. The variables of texts are those of all texts
        together.
    dtype : {"float64", "float32"}, default="float64"
        What to compute in; arrays of another dtype are converted.
    n_jobs : int, default=1
        Threads; -1 for one on each processor. Results do not depend on it.
    variables : sequence of str, optional
        The variables of texts, in the order of the columns.

    Attributes
    ----------
    variables : tuple of str
        The variables: the columns, in this order.
    dtype : str
        As given.
    n_jobs : int
        As given.
    """

    def __new__(
        cls,
        expressions: Iterable[Expression | str],
        dtype: Literal["float64", "float32"] = "float64",
        n_jobs: int = 1,
        *,
        variables: Sequence[str] | None = None,
    ) -> Self: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def dtype(self) -> Literal["float64", "float32"]: ...
    @property
    def n_jobs(self) -> int: ...
    def evaluate(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Compute the value of each expression for each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_variables)
            One column for each variable.

        Returns
        -------
        ndarray of shape (n_expressions, n_rows)
            The values, in the dtype of the population.
        """

    def loss(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: Literal["mse", "mae"] = "mse",
        sample_weight: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Compute how far the values of each expression are from a target.

        No column of values is written: the error is added up as it is computed.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_variables)
            One column for each variable.
        y : array-like of shape (n_rows,)
            The target; finite.
        loss : {"mse", "mae"}, default="mse"
            Mean squared or mean absolute error.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the rows in the mean.

        Returns
        -------
        ndarray of shape (n_expressions,)
            The losses; NaN where an expression is undefined for a row.
        """

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Expression]: ...
    @overload
    def __getitem__(self, index: int, /) -> Expression: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Expression]: ...
    def __reduce__(self) -> tuple[type[Population], tuple[list[Expression], str, int]]: ...

@final
class MachineFunction:
    """Machine code to call like a function; make it with `function`.

    Attributes
    ----------
    code : bytes
        The machine code.
    address : int
        Where it is in memory.
    signature : str
        Result and parameters, such as ``"f64(f64, i32, ptr)"``.
    abi : {"sysv", "win64"}
        The calling convention.
    name : str or None
        As given.
    """

    def __new__(
        cls, code: bytes, signature: str, abi: Abi | None = None, name: str | None = None
    ) -> Self: ...
    def __call__(self, *arguments: Any) -> Any: ...
    @property
    def code(self) -> bytes: ...
    @property
    def address(self) -> int: ...
    @property
    def signature(self) -> str: ...
    @property
    def abi(self) -> Abi: ...
    @property
    def name(self) -> str | None: ...
    def disassemble(self, style: Style = "intel") -> Disassembly:
        """Show the machine code.

        Parameters
        ----------
        style : {"intel", "att", "masm", "nasm"}
            The syntax to write in.

        Returns
        -------
        Disassembly
            Text, with the instructions as data.
        """

    def __reduce__(
        self,
    ) -> tuple[type[MachineFunction], tuple[bytes, str, Abi, str | None]]: ...

@final
class Report:
    """What a fit came to: the front, the chosen formula, and everything needed to repeat it.

    ``print`` shows it as a table.
    """

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote; formulas are parsed, and nothing is executed."""

    def to_json(self) -> str:
        """Write everything as JSON."""

    def expression(self, index: int | None = None) -> Expression:
        """Give a formula of the front, by default the chosen one."""

    def predict(self, X: ArrayLike, index: int | None = None) -> NDArray[np.float64]:
        """Compute a formula of the front, by default the chosen one, for each row."""

    def front(self) -> list[dict[str, Any]]:
        """List the formulas from small to large, each with its figures."""

    @property
    def parameters(self) -> dict[str, str]: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def target(self) -> str: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def chosen(self) -> int: ...
    @property
    def choice(self) -> str: ...
    @property
    def generations(self) -> int: ...
    @property
    def evaluations(self) -> int: ...
    @property
    def elapsed(self) -> float: ...
    @property
    def stop(self) -> str: ...
    @property
    def interrupted(self) -> bool: ...
    @property
    def seed(self) -> int: ...
    @property
    def tier(self) -> str: ...
    @property
    def notes(self) -> list[str]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Callable[[str], Report], tuple[str]]: ...

def assemble(text: str, origin: int = 0, syntax: Dialect = "intel") -> bytes:
    """Turn text into machine code."""

def disassemble(code: bytes, style: Style = "intel") -> Disassembly:
    """Turn machine code into text."""

def fit(
    X: ArrayLike,
    y: ArrayLike,
    names: Sequence[str],
    target: str,
    sample_weight: ArrayLike | None,
    parameters: Mapping[str, str],
    progress: Callable[[dict[str, Any]], object] | None,
) -> Report:
    """Fit formulas to a table; what `SymbolicRegressor` calls."""

def operators() -> list[tuple[str, str, int, int, str]]:
    """List the operators: name, spelling, number of arguments, error bound, what it is."""

def parameters() -> list[tuple[str, str, str, list[str], str]]:
    """List the hyper-parameters: name, kind, default, accepted words, what it does."""

def command_line(arguments: Sequence[str]) -> int:
    """Run the command line, the program's name first; returns the exit code."""

class jit:  # noqa: N801 - a submodule is written as a class in a stub
    @final
    class Function:
        """A Python function that runs as machine code.

        Parameters
        ----------
        name
            Its qualified name.
        prepare
            Called without arguments at the first call and whenever a guard fails: the program as
            JSON text, the frozen values, the constants and the guards; or None.
        fallback
            The Python function.
        resume
            Called with the number of a statement and a mode: the Python function that continues
            there.
        unset
            The object that stands for an unbound local.
        options
            `bind`, which gives the values of all parameters for a call, and `report`.
        """

        __wrapped__: Callable[..., Any]
        def __new__(
            cls,
            name: str,
            prepare: Callable[[], tuple[str, list[Any], list[Any], list[Any]] | None],
            fallback: Callable[..., Any],
            resume: Callable[[int, int], Callable[..., Any]],
            unset: object,
            options: dict[str, Any],
        ) -> Self: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
        def __get__(self, instance: object, owner: type | None = None) -> Any: ...
        @property
        def name(self) -> str: ...
        @property
        def fallback(self) -> Callable[..., Any]: ...
        def signatures(self) -> list[str]:
            """The types of parameters that were compiled so far, and of the results."""

        def exits(self) -> dict[int, dict[str, Any]]:
            """Per statement that was left: its line, why, and how often."""

        def report(self) -> Any:
            """What the front's `report` option makes of this function."""

        def is_native(self) -> bool:
            """Whether there is machine code that was never left."""

        def disassemble(self, signature: int | None = None) -> str:
            """The machine code of a version, by its place in `signatures()`."""

        def clear(self) -> None:
            """Forget all versions."""
