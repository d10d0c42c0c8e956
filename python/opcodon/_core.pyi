"""The native module: Python types to Rust types and back.

Use these classes and functions through the package `opcodon`; what is not re-exported there is
its own business.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, SupportsFloat, TypeVar, final, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self, disjoint_base

from opcodon.genome import Crossover, Gene, Mark
from opcodon.library import Kind
from opcodon.machine import Abi, Dialect, Disassembly, Style

__all__ = [
    "Callback",
    "CompiledExpression",
    "Evaluator",
    "Expression",
    "Genome",
    "GenomeReport",
    "LibraryError",
    "LinearCode",
    "LoadedLibrary",
    "MachineFault",
    "MachineFunction",
    "ParseError",
    "Population",
    "Repertoire",
    "Report",
    "TreeCode",
    "__version__",
    "assemble",
    "code_html",
    "command_line",
    "crossover_html",
    "crossover_svg",
    "deap",
    "disassemble",
    "effects",
    "evolve",
    "evolve_parameters",
    "fit",
    "fragment",
    "jit",
    "operators",
    "parameters",
    "r2_text",
]

_AnyGenome = TypeVar("_AnyGenome", bound="Genome")

__version__: str

# The native half of `opcodon.deap`, which has its documentation.
deap: Any

# The native half of `opcodon.jit`: the class `Function`, made by `opcodon._jit.decorator`.
jit: Any

_Language = Literal["infix", "prefix", "latex", "mathml", "sympy", "numpy", "c", "rust"]

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

class MachineFault(RuntimeError):  # noqa: N818  (a fault, as the processor says)
    """Guarded machine code that did not return.

    Attributes
    ----------
    cause : str
        ``"SIGSEGV"``, ``"SIGILL"``, ``"SIGFPE"`` and so on, ``"timeout"`` or ``"exit"``.
    signal : int or None
        The number of the signal.
    exit_code : int or None
        The exit code of a process that ended itself.
    address : int or None
        The address that could not be accessed.
    offset : int or None
        Where in the code it was, in bytes from its start.
    instruction : str or None
        The instruction there.
    registers : dict of str to int
        The general registers, ``rip`` and ``rflags``; empty if the process ended itself.
    """

    cause: str
    signal: int | None
    exit_code: int | None
    address: int | None
    offset: int | None
    instruction: str | None
    registers: dict[str, int]

class LibraryError(OSError):
    """A file that cannot be loaded as a library or linked as an object.

    Attributes
    ----------
    file : str
        The file, as it was named.
    missing : tuple of str
        The names that nobody defines, all of them, if that is why.
    """

    file: str
    missing: tuple[str, ...]

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

    def subexpressions(self, max_size: int | None = None) -> list[Expression]:
        """The distinct subtrees, operands before what is made of them.

        Parameters
        ----------
        max_size : int, optional
            Most nodes of a subtree.

        Returns
        -------
        list of Expression
            The whole expression comes last, if it is small enough.

        Raises
        ------
        ValueError
            If there would be more than 16 million nodes in all.

        Examples
        --------
        >>> [str(e) for e in opcodon.parse("x*sin(x)").subexpressions()]
        ['x', 'sin(x)', 'x*sin(x)']
        """

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

    def interval(self, low: ArrayLike, high: ArrayLike) -> tuple[float, float, bool]:
        """Compute bounds on the values over a box of inputs.

        Between the rows of a table a formula may have poles that no row shows. Bounds may be wider
        than necessary, since an operator does not know what its operands have in common.

        Parameters
        ----------
        low, high : array-like of shape (n_variables,)
            The least and the greatest value of each variable, such as ``X.min(axis=0)`` and
            ``X.max(axis=0)``.

        Returns
        -------
        low, high : float
            Every value that is not NaN is between them, both included.
        is_defined : bool
            Whether there surely is no point without a value, nor a pole.

        Examples
        --------
        >>> import opcodon
        >>> opcodon.parse("1/(1 + x*x)").interval([-1], [2])
        (0.2, 1.0, True)
        >>> opcodon.parse("1/x").interval([-1], [2])
        (-inf, inf, False)
        """

    def to(self, language: _Language) -> str:
        """Write the expression in a language.

        Parameters
        ----------
        language : {"infix", "prefix", "latex", "mathml", "sympy", "numpy", "c", "rust"}
            ``"infix"`` and ``"prefix"`` parse back to the same tree.

        Returns
        -------
        str
            The text.
        """

    def latex(self) -> str:
        """Write the expression in LaTeX."""

    def mathml(self, digits: int | None = None) -> str:
        """Write the expression in MathML, which browsers typeset.

        Parameters
        ----------
        digits : int, optional
            Round constants to as many significant digits; they keep their text as a hint.

        Returns
        -------
        str
            A ``<math>`` element.
        """

    def sympy(self) -> Any:
        """Give the expression to SymPy, which must be installed.

        Returns
        -------
        sympy.Expr
            The same formula.
        """

    def _repr_latex_(self) -> str: ...
    def _repr_html_(self) -> str: ...
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
    builtin : callable
        The same as one of Python's built-in functions, which it calls faster than any other object:
        for hot loops.
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
    def builtin(self) -> Callable[..., Any]: ...
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

    def _repr_html_(self) -> str: ...
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
    tier : {"sse2", "avx2", "avx512"}
        The instructions that the machine code consists of.
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
    @property
    def tier(self) -> str: ...
    def evaluate(
        self, X: ArrayLike, *, out: NDArray[np.floating[Any]] | None = None
    ) -> NDArray[np.floating[Any]]:
        """Compute the value of each expression for each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_variables)
            One column for each variable.
        out : ndarray of shape (n_expressions, n_rows), optional
            Where to write the values: contiguous, and of the dtype of the population. Of large
            tables, new memory costs as much as the values do.

        Returns
        -------
        ndarray of shape (n_expressions, n_rows)
            The values, in the dtype of the population; `out`, if it was given.
        """

    def loss(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: str = "mse",
        sample_weight: ArrayLike | None = None,
        bound: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Compute how far the values of each expression are from a target.

        No column of values is written: the error is added up as it is computed.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_variables)
            One column for each variable.
        y : array-like of shape (n_rows,)
            The target; finite.
        loss : str, default="mse"
            What the mean is taken of: ``"mse"``, ``"mae"`` or another loss of
            `SymbolicRegressor`, or the loss of a row as a formula of the prediction ``p`` and the
            target ``y`` such as ``"abs(p - y)/y"``, which becomes part of each kernel. It may say
            itself what weights ``w`` do: the mean of ``"w*(p - y)^2"`` is not weighted once more.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the rows in the mean.
        bound : float or array-like of shape (n_expressions,), optional
            Beyond it a loss is of no interest: as soon as the rows so far make up more, the others
            are left out, in tiles of 1024. What is returned is then above the bound, but may be
            below the loss. Losses within their bounds are exact. Has no effect on losses that may
            be negative.

        Returns
        -------
        ndarray of shape (n_expressions,)
            The losses; NaN where an expression is undefined for a row.

        Examples
        --------
        >>> import numpy as np, opcodon
        >>> x = np.arange(1.0, 5.0)
        >>> population = opcodon.Population(["2*x", "x + 1"])
        >>> population.loss(x[:, None], 2 * x)
        array([0. , 3.5])
        >>> population.loss(x[:, None], 2 * x, loss="abs(p - y)/y").round(2)
        array([0.  , 0.24])
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
    guard : bool
        Whether calls run in another process.
    builtin : callable
        The same as one of Python's built-in functions, which it calls faster than any other object:
        for hot loops.
    """

    def __new__(
        cls,
        code: bytes,
        signature: str,
        abi: Abi | None = None,
        name: str | None = None,
        returns: Callable[..., Any] | None = None,
        guard: tuple[float, int | None] | None = None,
    ) -> Self: ...
    def __call__(self, *arguments: Any) -> Any: ...
    @property
    def code(self) -> bytes: ...
    @property
    def address(self) -> int: ...
    @property
    def builtin(self) -> Callable[..., Any]: ...
    @property
    def signature(self) -> str: ...
    @property
    def abi(self) -> Abi: ...
    @property
    def name(self) -> str | None: ...
    @property
    def guard(self) -> bool: ...
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
    ) -> tuple[
        type[MachineFunction],
        tuple[
            bytes,
            str,
            Abi,
            str | None,
            Callable[..., Any] | None,
            tuple[float, int | None] | None,
        ],
    ]: ...

@final
class Callback:
    """A Python callable that compiled code can call; make it with `callback`.

    Attributes
    ----------
    address : int
        What to call; valid as long as this object lives.
    signature : str
        Result and parameters.
    abi : {"sysv", "win64"}
        The calling convention of the callers.
    """

    def __new__(
        cls, function: Callable[..., Any], signature: str, abi: Abi | None = None
    ) -> Self: ...
    def __call__(self, *arguments: Any) -> Any: ...
    @property
    def address(self) -> int: ...
    @property
    def signature(self) -> str: ...
    @property
    def abi(self) -> Abi: ...

@disjoint_base
class Genome:
    """A program that is machine code: the base of `TreeCode` and `LinearCode`.

    Attributes
    ----------
    code : bytes
        The instructions, 8 bytes each.
    constants : tuple of float
        What the slots that read constants read, in turn.
    variables : tuple of str
        The names of the columns.
    tier : {"avx2", "avx512"}
        The instruction set.
    is_boolean : bool
        Whether it works on bits.
    is_integer : bool
        Whether it works on integers, as far as it shows: by an operation on integers, or one on
        bits with a constant that is neither 0 nor all ones.
    genes : tuple of Gene
        Its operations.
    effective : tuple of bool
        For each slot, whether it has any influence on the result. Slots that have none are
        called introns.
    """

    @property
    def code(self) -> bytes: ...
    @property
    def constants(self) -> tuple[float, ...]: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def tier(self) -> Literal["avx2", "avx512"]: ...
    @property
    def is_boolean(self) -> bool: ...
    @property
    def is_integer(self) -> bool: ...
    @property
    def genes(self) -> tuple[Gene, ...]: ...
    @property
    def effective(self) -> tuple[bool, ...]: ...
    def with_constants(self, values: Sequence[float]) -> Self:
        """Give the same code with other constants.

        Parameters
        ----------
        values : sequence of float
            As many as `constants`.

        Returns
        -------
        Genome
            A genome of the same class.
        """

    def to_expression(self) -> Expression:
        """Read the formula off the bytes; introns are left out.

        Returns
        -------
        Expression
            The formula. That of a `TreeCode` is the tree, node by node.

        Raises
        ------
        ValueError
            If the genome works on bits (``str`` gives its formula), or the formula has more than
            100,000 nodes: one that squares a register over and over doubles each time.
        """

    def crossover(
        self,
        other: Genome,
        *,
        max_slots: int = 64,
        homologous: bool | None = None,
        seed: int | None = None,
    ) -> Crossover:
        """Replace a random part of this genome by a random part of another.

        Parameters
        ----------
        other : Genome
            The other parent, of the same class, tier and number of columns.
        max_slots : int, default=64
            The child has no more slots than this.
        homologous : bool, optional
            For linear genomes: whether both parts lie in the same place. Either unless given.
        seed : int, optional
            Repeats the choice; by default it comes from the generator of `opcodon.deap.seed`.

        Returns
        -------
        Crossover
            Parents and `child`, and which slots were replaced by which.
        """

    def mutate(
        self,
        repertoire: Repertoire | None = None,
        *,
        max_slots: int = 64,
        seed: int | None = None,
    ) -> Self:
        """Change the genome at a random place.

        A gene gets another operation, operand or constant, or genes are inserted or deleted; in a
        tree, a subtree is replaced by a new one or by one of its own.

        Parameters
        ----------
        repertoire : Repertoire, optional
            What new genes are made of: ``+ - * /`` and the genome's own operations unless given.
        max_slots : int, default=64
            The genome does not grow beyond this.
        seed : int, optional
            As for `crossover`.

        Returns
        -------
        Genome
            A genome of the same class.
        """

    def evaluate(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the value for each row by running the genome.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_variables)
            One column for each variable: numbers, ``bool`` for genomes on bits, or integers for
            genomes on these.

        Returns
        -------
        ndarray of shape (n_rows,)
            The values: ``float64``, ``bool`` or ``int64``.

        Raises
        ------
        RuntimeError
            If this processor does not have the genome's tier.
        """

    def loss(self, X: ArrayLike, y: ArrayLike) -> float:
        """Compute the mean squared error, or for genomes on bits the share of wrong rows.

        For many genomes and the same data, use an `Evaluator`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_variables)
            One column for each variable.
        y : array-like of shape (n_rows,)
            The target.

        Returns
        -------
        float
            The loss; NaN where the genome has no value for a row.
        """

    def disassemble(self, style: Style = "intel") -> Disassembly:
        """Show the machine code, with what each gene does.

        In a tree each gene is a node, whose number and range of slots are told; in a linear
        genome those without influence are marked as introns.

        Parameters
        ----------
        style : {"intel", "att", "masm", "nasm"}
            The syntax to write in.

        Returns
        -------
        Disassembly
            Text, with the instructions as data.
        """

    def svg(self, width: int | None = None) -> str:
        """Draw the bytes, coloured by node; notebooks do so by themselves.

        Parameters
        ----------
        width : int, optional
            Slots in a line; 8 unless given.

        Returns
        -------
        str
            The picture.
        """

    def to_json(self) -> str:
        """Write the genome as JSON."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        The instructions are verified: a text that holds anything else than arithmetic on the
        declared columns and constants is refused, and not executed.

        Parameters
        ----------
        text : str
            The JSON.

        Returns
        -------
        Genome
            A genome of the kind that was stored. `TreeCode` and `LinearCode` take their own
            kind only.

        Raises
        ------
        ValueError
            If it is no genome; the message says which part is wrong.
        """

    def save(self, path: str | PathLike[str]) -> None:
        """Write the genome to a file, as JSON."""

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what `save` wrote, verified as by `from_json`."""

    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any, /) -> Self: ...
    def __reduce__(self) -> tuple[Callable[[str], Genome], tuple[str]]: ...
    def _repr_html_(self) -> str: ...

@final
class TreeCode(Genome):
    """A formula as machine code in which every subtree is one range of slots.

    An operator works on registers as a stack machine works on its stack, so the code of a subtree
    can be cut out and put into another genome; only register numbers are adapted.

    Attributes
    ----------
    marks : tuple of Mark
        Where the code of each node's subtree lies, in postfix order; the last is the root.

    Examples
    --------
    >>> from opcodon.genome import TreeCode
    >>> tree = TreeCode.from_expression("(x0 + 1) * x1")
    >>> len(tree), tree.marks[2]
    (5, Mark(begin=0, end=3, arity=2, operation='add'))
    """

    @classmethod
    def from_expression(
        cls,
        expression: Expression | str,
        variables: Sequence[str] | None = None,
        *,
        tier: str | None = None,
    ) -> TreeCode:
        """Make the genome of an expression.

        Parameters
        ----------
        expression : Expression or str
            The formula, of ``+ - * /`` and `sqrt`, `neg`, `abs`, `pdiv`, `min`, `max`.
        variables : sequence of str, optional
            The columns; by default the variables of the expression.
        tier : {"avx2", "avx512"}, optional
            The instruction set; by default the widest of this processor.

        Returns
        -------
        TreeCode
            The genome; `to_expression` gives the same tree back.

        Raises
        ------
        ValueError
            If it has another operator, no or more than 256 columns, or keeps more values at once
            than there are registers (8 or 16).
        """

    @classmethod
    def from_bytes(
        cls,
        code: bytes,
        constants: Sequence[float],
        variables: Sequence[str],
        *,
        tier: str | None = None,
    ) -> TreeCode:
        """Make a genome of bytes, which are verified.

        Parameters
        ----------
        code : bytes
            Slots of 8 bytes.
        constants : sequence of float
            As many as there are slots that read one.
        variables : sequence of str
            The columns.
        tier : {"avx2", "avx512"}, optional
            The instruction set; by default the widest of this processor.

        Returns
        -------
        TreeCode
            The genome.

        Raises
        ------
        ValueError
            If the bytes are no genome; the message says which slot is wrong.
        """

    @classmethod
    def random(
        cls, repertoire: Repertoire, max_depth: int = 6, *, seed: int | None = None
    ) -> TreeCode:
        """Grow a random tree.

        Parameters
        ----------
        repertoire : Repertoire
            What it is made of.
        max_depth : int, default=6
            Most levels; 8 at most.
        seed : int, optional
            Repeats the choice.

        Returns
        -------
        TreeCode
            The genome.
        """

    @property
    def marks(self) -> tuple[Mark, ...]: ...
    def splice(self, node: int, other: TreeCode, donor: int) -> TreeCode:
        """Replace a subtree by one of another genome.

        Parameters
        ----------
        node : int
            The root of what is replaced, an index of `marks`.
        other : TreeCode
            The genome that gives.
        donor : int
            The root of what is given, an index of the other's `marks`.

        Returns
        -------
        TreeCode
            The child.

        Raises
        ------
        ValueError
            If there are no such nodes, or the child would need more registers than there are.
        """

@final
class LinearCode(Genome):
    """A list of instructions over registers, as in AIMGP.

    Registers begin as the columns, in turn; the result is register 0 at the end. Any list of
    instructions is a program.

    Examples
    --------
    >>> from opcodon.genome import LinearCode
    >>> genome = LinearCode.from_expression("(x0 + 1) * x1")
    >>> [gene.text for gene in genome.genes]
    ['r0 = x0', 'r0 = r0 + 1', 'r0 = r0*x1']
    """

    @classmethod
    def from_expression(
        cls,
        expression: Expression | str,
        variables: Sequence[str] | None = None,
        *,
        tier: str | None = None,
    ) -> LinearCode:
        """Make a genome of an expression; see `TreeCode.from_expression`. At most 256 slots."""

    @classmethod
    def from_bytes(
        cls,
        code: bytes,
        constants: Sequence[float],
        variables: Sequence[str],
        *,
        tier: str | None = None,
    ) -> LinearCode:
        """Make a genome of bytes, which are verified; see `TreeCode.from_bytes`."""

    @classmethod
    def random(
        cls, repertoire: Repertoire, n_slots: int = 32, *, seed: int | None = None
    ) -> LinearCode:
        """Make a genome of random genes.

        Parameters
        ----------
        repertoire : Repertoire
            What it is made of.
        n_slots : int, default=32
            Most slots.
        seed : int, optional
            Repeats the choice.

        Returns
        -------
        LinearCode
            The genome.
        """

    def splice(self, cut: tuple[int, int], other: LinearCode, donor: tuple[int, int]) -> LinearCode:
        """Replace a run of genes by one of another genome.

        Parameters
        ----------
        cut : tuple of int
            First slot that is replaced, and one more than the last.
        other : LinearCode
            The genome that gives.
        donor : tuple of int
            First slot that is given, and one more than the last.

        Returns
        -------
        LinearCode
            The child.

        Raises
        ------
        ValueError
            If a range would cut a gene of three slots, or the child has none or more than 256.
        """

    def strip(self) -> LinearCode:
        """Leave out the introns."""

@final
class Repertoire:
    """What random genes are made of.

    Parameters
    ----------
    variables : int or sequence of str
        The columns: their number or their names.
    operators : sequence of str, optional
        Of ``add sub mul div sqrt neg abs pdiv min max``, or of ``and or xor less if`` for bits;
        ``less`` is the second bit without the first, and ``if``, which needs AVX-512, the second
        where the first is set and else the third. On integers there are ``iadd isub shl shr``
        beside these, and with AVX-512 ``imul imin imax sar``. Unless given, ``+ - * /``, or on
        bits and integers all but ``if``.
    constants : tuple of float, optional
        Random constants are uniform between these: -5 and 5 unless given. On bits they are 0 and
        1, on integers small numbers, powers of two and masks.
    constant_share : float, optional
        Share of constants among operands that are no registers: 0.3, or 0.05 on bits.
    registers : int, optional
        Registers that linear genomes use; by default all, which are 8 or 16.
    boolean : bool, default=False
        Whether registers hold bits.
    integer : bool, default=False
        Whether registers hold integers of 64 bits. Sums and products wrap around; a shift by 64
        or more, or by less than 0, leaves nothing, or copies of the sign.
    tier : {"avx2", "avx512"}, optional
        The instruction set; by default the widest of this processor.
    """

    def __new__(
        cls,
        variables: int | Sequence[str],
        operators: Sequence[str] | None = None,
        *,
        constants: tuple[float, float] | None = None,
        constant_share: float | None = None,
        registers: int | None = None,
        boolean: bool = False,
        integer: bool = False,
        tier: str | None = None,
    ) -> Self: ...
    def breed(
        self,
        mothers: Sequence[_AnyGenome],
        fathers: Sequence[_AnyGenome],
        *,
        crossover: float | None = None,
        homologous: float | None = None,
        mutation: float | None = None,
        max_slots: int = 64,
        seed: int | None = None,
    ) -> list[_AnyGenome]:
        """The children of pairs of parents, a whole generation in one call.

        Parameters
        ----------
        mothers, fathers : sequence of Genome
            The parents of each child, of one kind.
        crossover : float, optional
            Probability that a child has two parents, 0.6 unless given; the others are mutants of
            the mother.
        homologous : float, optional
            Of linear genomes, probability that a crossover takes genes from the same place: 0.5.
        mutation : float, optional
            Probability that a child of two parents is mutated, too: 0.5.
        max_slots : int, default=64
            Most slots of a child that is longer than its parents.
        seed : int, optional
            For the same children each time.

        Returns
        -------
        list of Genome
            A child of each pair.

        Raises
        ------
        ValueError
            If there are not as many fathers as mothers, or a probability is none.
        TypeError
            If parents of a pair are of different kinds.

        Examples
        --------
        >>> from opcodon.genome import Repertoire, TreeCode
        >>> parent = TreeCode.from_expression("x0*x0 + 1")
        >>> children = Repertoire(1).breed([parent] * 3, [parent] * 3, seed=1)
        >>> len(children)
        3
        """

    @property
    def variables(self) -> list[str]: ...
    @property
    def operators(self) -> list[str]: ...
    @property
    def tier(self) -> Literal["avx2", "avx512"]: ...
    @property
    def is_boolean(self) -> bool: ...
    @property
    def is_integer(self) -> bool: ...

@final
class Evaluator:
    """Losses of genomes on the same data, which are arranged for them once.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_variables)
        Numbers, or ``bool`` for genomes on bits.
    y : array-like of shape (n_rows,)
        The target, of the same kind.
    integer : bool, default=False
        Whether X and y are for genomes on integers, not for genomes on numbers. Then the loss is
        the share of wrong bits.

    Examples
    --------
    >>> import numpy as np
    >>> from opcodon.genome import Evaluator, TreeCode
    >>> X = np.array([[1.0], [2.0]])
    >>> evaluate = Evaluator(X, X[:, 0] ** 2)
    >>> evaluate(TreeCode.from_expression("x0 + 1"))
    1.0
    """

    def __new__(cls, X: ArrayLike, y: ArrayLike, *, integer: bool = False) -> Self: ...
    def losses(self, genomes: Sequence[Genome]) -> NDArray[np.float64]:
        """Compute the loss of each genome, all of which are made executable at once.

        Parameters
        ----------
        genomes : sequence of Genome
            Genomes of one tier.

        Returns
        -------
        ndarray of shape (n_genomes,)
            Mean squared errors, or shares of wrong rows or bits.
        """

    def __call__(self, genome: Genome) -> float:
        """Compute the loss of one genome."""

@final
class GenomeReport:
    """What an evolution of genomes came to: the front, the chosen genome, and how to repeat it.

    ``print`` shows it as a table.
    """

    @classmethod
    def from_json(cls, text: str) -> GenomeReport:
        """Read what `to_json` wrote; machine code is verified."""

    def to_json(self) -> str:
        """Write everything as JSON."""

    def genome(self, index: int | None = None) -> Genome:
        """Give a genome of the front, by default the chosen one."""

    def expression(self, index: int | None = None) -> Expression:
        """Give the formula of a genome of the front, by default of the chosen one."""

    def predict(self, X: ArrayLike, index: int | None = None) -> NDArray[np.float64]:
        """Run a genome of the front, by default the chosen one, for each row."""

    def lineage(self, index: int | None = None) -> list[dict[str, Any]]:
        """List the ancestors of a genome, the first one first, if births were recorded."""

    def lineage_pictures(self, index: int | None = None) -> list[str]:
        """Show these as text, as SVG and as HTML."""

    def page(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> str:
        """Give the page of the search as HTML, with pictures of predictions if there are rows."""

    def _repr_html_(self) -> str: ...
    def front(self) -> list[dict[str, Any]]:
        """List the genomes from small to large formulas, each with its figures."""

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
    def steps(self) -> int: ...
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
    def tier(self) -> Literal["avx2", "avx512"]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Callable[[str], GenomeReport], tuple[str]]: ...

@final
class LoadedLibrary:
    """The native half of `opcodon.Library`, which has its documentation."""

    @staticmethod
    def load(name: str, data: bytes | None, loader: str, dependencies: str) -> LoadedLibrary: ...
    @staticmethod
    def link(
        objects: Sequence[tuple[str, bytes | None]], libraries: Sequence[str]
    ) -> LoadedLibrary: ...
    def function(
        self,
        name: str,
        signature: str,
        abi: Abi | None = None,
        returns: Callable[..., Any] | None = None,
        guard: tuple[float, int | None] | None = None,
    ) -> MachineFunction: ...
    def address(self, name: str) -> int: ...
    def symbols(self) -> list[tuple[str, str, str | None, Kind, int]]: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def name(self) -> str: ...
    @property
    def loader(self) -> Literal["own", "system"]: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def files(self) -> list[str]: ...

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

    def constants(self, index: int | None = None) -> list[tuple[float, float | None]]:
        """List the constants of a formula, each with its standard error if it was fitted."""

    def visited(self) -> list[dict[str, Any]]:
        """List the best of what was visited."""

    def margins(self, index: int | None = None) -> list[tuple[float, float]]:
        """List shares of new rows, each with the distance within which they are expected."""

    def margin(self, level: float, index: int | None = None) -> float:
        """Give the distance within which this share of new rows is expected."""

    def front(self) -> list[dict[str, Any]]:
        """List the formulas from small to large, each with its figures."""

    def page(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> str:
        """Give the page of the fit as HTML, with pictures of predictions if there are rows."""

    def _repr_html_(self) -> str: ...
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

def effects(code: bytes) -> tuple[list[str], list[str], list[str]]:
    """Say what an instruction reads, writes and needs."""

def fit(
    X: ArrayLike,
    y: ArrayLike,
    names: Sequence[str],
    target: str,
    sample_weight: ArrayLike | None,
    parameters: Mapping[str, str],
    progress: Callable[[dict[str, Any]], object] | None,
    checkpoint: str | None,
    resume: str | None,
) -> Report:
    """Fit formulas to a table; what `SymbolicRegressor` calls."""

def evolve(
    X: ArrayLike,
    y: ArrayLike,
    names: Sequence[str],
    target: str,
    sample_weight: ArrayLike | None,
    parameters: Mapping[str, str],
    progress: Callable[[dict[str, Any]], object] | None,
    checkpoint: str | None,
    resume: str | None,
) -> GenomeReport:
    """Evolve genomes for a table; what `MachineCodeRegressor` calls."""

def evolve_parameters() -> list[tuple[str, str, str, list[str], str]]:
    """List the hyper-parameters of `evolve`, as `parameters` does."""

def operators() -> list[tuple[str, str, int, int, str]]:
    """List the operators: name, spelling, number of arguments, error bound, what it is."""

def parameters() -> list[tuple[str, str, str, list[str], str]]:
    """List the hyper-parameters: name, kind, default, accepted words, what it does."""

def crossover_svg(
    first: Genome,
    second: Genome,
    child: Genome,
    cut: tuple[int, int] | None,
    donor: tuple[int, int] | None,
    width: int | None = None,
) -> str:
    """Draw parents and child side by side."""

def crossover_html(
    first: Genome,
    second: Genome,
    child: Genome,
    cut: tuple[int, int] | None,
    donor: tuple[int, int] | None,
) -> str:
    """Show the formulas of parents and child above their picture."""

def fragment(body: str) -> str:
    """Give HTML the element and the style sheet of a notebook's output."""

def code_html(
    rows: Sequence[tuple[int, bytes, str, str, str, str | None, int | None]],
) -> str:
    """Write instructions as aligned lines in colours."""

def r2_text(r2: float) -> str:
    """Write R² with as many nines as there are."""

def command_line(arguments: Sequence[str]) -> int:
    """Run the command line, the program's name first; returns the exit code."""
