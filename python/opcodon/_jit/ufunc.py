"""`opcodon.vectorize` and `opcodon.guvectorize`: Python functions as universal functions of numpy.

A function of elements is put into a loop over arrays, which is compiled like any other function;
so the loop does what Python would do with it, and runs by the vector where it can. numpy does the
rest: broadcasting, casting, ``out=``, ``where=``, ``reduce`` and its relatives.

Source: numpy, "Generalized universal function API", https://numpy.org/doc/stable/reference/c-api/.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Sequence
from itertools import count
from types import FunctionType
from typing import Any, Literal, NamedTuple

import numpy as np

from opcodon._jit.decorator import function_type, jit

Identity = Literal[0, 1, -1, "reorderable"]

# What numpy calls the identities of reductions.
_IDENTITIES: dict[Any, int] = {0: 0, 1: 1, -1: 2, "reorderable": -2, None: -1}

# Types under the names that machine code has for them; all others are numpy's.
_SHORT = {
    f"{kind[0]}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}
_SHORT |= {"f32": "float32", "f64": "float64"}

# Kinds of dtypes whose elements are plain memory.
_KINDS = "biufc"

_numbers = count()


def vectorize(
    function: Callable[..., Any] | str | Sequence[str] | None = None,
    signatures: str | Sequence[str] | None = None,
    *,
    identity: Identity | None = None,
    **options: Any,
) -> Any:
    """Make a function of numbers into a universal function of numpy.

    Parameters
    ----------
    function : callable, optional
        A Python function of numbers; without it, a decorator is returned.
    signatures : str or sequence of str, optional
        Types of elements, such as ``"float64(float64, float64)"``; ``"{float64, int64}(float64)"``
        if the function returns two. They may also stand in the place of `function`. Without them
        types are those of the arrays that it is called with, and of what the function returns for
        their first elements.
    identity : {0, 1, -1, "reorderable"}, optional
        What a reduction begins with; with none there is nothing to reduce in an empty array.
    **options
        Those of `opcodon.jit`.

    Returns
    -------
    numpy.ufunc or Vectorized
        A `numpy.ufunc` if there are signatures; else a `Vectorized`, which makes one for each
        combination of types and is used in the same way.

    Raises
    ------
    TypeError
        If `function` is not a Python function, or a type is none of numbers.
    ValueError
        If a signature has another number of arguments than the function, or cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import opcodon
    >>> @opcodon.vectorize("float64(float64, float64)", identity=0)
    ... def hypot1(x, y):
    ...     return abs(x) + abs(y)
    >>> hypot1(np.array([1.0, -2.0]), np.array([[3.0], [4.0]]))
    array([[4., 5.],
           [5., 6.]])
    >>> float(hypot1.reduce(np.arange(5.0)))
    10.0

    >>> clipped = opcodon.vectorize(lambda x: min(max(x, 0), 9))
    >>> clipped(np.array([-3, 4, 12]))
    array([0, 4, 9])
    """
    if function is None or isinstance(function, str) or not callable(function):
        given = function if signatures is None else signatures
        return lambda f: vectorize(f, given, identity=identity, **options)
    python = _python_function(function)
    if identity not in _IDENTITIES:
        raise ValueError(f"identity must be 0, 1, -1, 'reorderable' or None, not {identity!r}")
    if signatures is None:
        return Vectorized(python, identity, options)
    return _universal(python, _listed(signatures), identity, options)


class Vectorized:
    """A function of numbers that becomes a `numpy.ufunc` for the types that it is called with.

    It is called like one, and has its methods `reduce`, `accumulate`, `outer`, `reduceat` and `at`.

    Parameters
    ----------
    function
        The Python function.
    identity, options
        As for `opcodon.vectorize`.
    """

    def __init__(
        self, function: FunctionType, identity: Identity | None, options: dict[str, Any]
    ) -> None:
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.identity = identity
        self._options = options
        self._made: dict[tuple[str, ...], np.ufunc] = {}

    def __call__(self, *arrays: Any, **keywords: Any) -> Any:
        """The function of each element; keywords are those of a `numpy.ufunc`."""
        return self._for(arrays[: self._n_in])(*arrays, **keywords)

    def reduce(self, array: Any, *args: Any, **keywords: Any) -> Any:
        """See `numpy.ufunc.reduce`."""
        return self._for((array, array)).reduce(array, *args, **keywords)

    def accumulate(self, array: Any, *args: Any, **keywords: Any) -> Any:
        """See `numpy.ufunc.accumulate`."""
        return self._for((array, array)).accumulate(array, *args, **keywords)

    def reduceat(self, array: Any, *args: Any, **keywords: Any) -> Any:
        """See `numpy.ufunc.reduceat`."""
        return self._for((array, array)).reduceat(array, *args, **keywords)

    def outer(self, left: Any, right: Any, **keywords: Any) -> Any:
        """See `numpy.ufunc.outer`."""
        return self._for((left, right)).outer(left, right, **keywords)

    def at(self, array: Any, indices: Any, *others: Any) -> None:
        """See `numpy.ufunc.at`."""
        self._for((array, *others)).at(array, indices, *others)

    def __repr__(self) -> str:
        return f"<opcodon.vectorize function {self.__name__}>"

    @property
    def types(self) -> list[str]:
        """The types it was compiled for so far, as `numpy.ufunc.types` writes them."""
        return [kind for made in self._made.values() for kind in made.types]

    @property
    def _n_in(self) -> int:
        return self.__wrapped__.__code__.co_argcount

    def _for(self, arrays: Sequence[Any]) -> np.ufunc:
        """The universal function for arrays of such types."""
        if len(arrays) != self._n_in:
            raise TypeError(f"{self.__name__} takes {self._n_in} arrays, {len(arrays)} were given")
        found = [np.asarray(array) for array in arrays]
        dtypes = [_number(array.dtype) for array in found]
        key = tuple(dtype.char for dtype in dtypes)
        made = self._made.get(key)
        if made is None:
            one = [array.flat[0] if array.size else array.dtype.type(1) for array in found]
            result = self.__wrapped__(*one)
            results = result if isinstance(result, tuple) else (result,)
            out = [_number(np.asarray(each).dtype) for each in results]
            made = _universal(self.__wrapped__, [(dtypes, out)], self.identity, self._options)
            self._made[key] = made
        return made


def guvectorize(
    signatures: str | Sequence[str], layout: str, **options: Any
) -> Callable[[Callable[..., Any]], np.ufunc]:
    """Make a function of arrays into a generalized universal function of numpy.

    Parameters
    ----------
    signatures : str or sequence of str
        Types of the arguments, such as ``"void(float64[:], float64, float64[:])"``; those with
        dimensions are arrays. A result without dimensions is an array of one element.
    layout : str
        Core dimensions of inputs and outputs, such as ``"(n),()->(n)"``.
    **options
        Those of `opcodon.jit`.

    Returns
    -------
    callable
        A decorator that makes a `numpy.ufunc` of a Python function that takes the inputs and the
        arrays to write the outputs to. The arrays are copies, so it may keep them.

    Raises
    ------
    TypeError
        If what is decorated is not a Python function, or a type is none of numbers.
    ValueError
        If signature, layout and function do not agree.

    Examples
    --------
    >>> import numpy as np
    >>> import opcodon
    >>> @opcodon.guvectorize("void(float64[:], float64, float64[:])", "(n),()->(n)")
    ... def running(x, decay, out):
    ...     s = 0.0
    ...     for i in range(x.shape[0]):
    ...         s = decay * s + x[i]
    ...         out[i] = s
    >>> running(np.ones((2, 3)), [[0.5], [1.0]][0][0])
    array([[1.  , 1.5 , 1.75],
           [1.  , 1.5 , 1.75]])
    """
    cores, n_in = _layout(layout)
    names = list(dict.fromkeys(name for core in cores for name in core))
    ixs = [[names.index(name) for name in core] for core in cores]

    def decorate(function: Callable[..., Any]) -> np.ufunc:
        python = _python_function(function)
        n_args = python.__code__.co_argcount
        if n_args != len(cores):
            raise ValueError(
                f"{python.__name__} takes {n_args} arguments, but {layout!r} has {len(cores)}"
            )
        loops = []
        for text in [signatures] if isinstance(signatures, str) else signatures:
            dtypes, n_dims = _array_types(text)
            wanted = [len(core) or int(at >= n_in) for at, core in enumerate(cores)]
            if n_dims != wanted:
                raise ValueError(
                    f"{text!r} has arguments of {n_dims} dimensions, but {layout!r} needs {wanted}"
                )
            scalars = [n == 0 for n in n_dims]
            compiled = jit(python, **options)
            loops.append(_Loop(dtypes, compiled, core=ixs, is_scalar=scalars))
        return _make(loops, n_in, len(cores) - n_in, None, python, layout.replace(" ", ""))

    return decorate


# ---- making them

Types = tuple[list["np.dtype[Any]"], list["np.dtype[Any]"]]


def _universal(
    function: FunctionType, types: list[Types], identity: Any, options: dict[str, Any]
) -> np.ufunc:
    n_in = function.__code__.co_argcount
    n_out = len(types[0][1]) if types else 1
    loops = []
    for inputs, outputs in types:
        if len(inputs) != n_in or len(outputs) != n_out:
            told = f"{len(inputs)} arguments and {len(outputs)} results"
            raise ValueError(
                f"{function.__name__} takes {n_in} arguments, but a signature has {told}"
            )
        over, fold = _loops(function, n_in, n_out, options)
        dtypes = inputs + outputs
        fold = fold if n_in == 2 and n_out == 1 and dtypes[0] == dtypes[2] else None
        loops.append(_Loop(dtypes, over, fold))
    return _make(loops, n_in, n_out, identity, function, None)


def _loops(function: FunctionType, n_in: int, n_out: int, options: dict[str, Any]) -> list[Any]:
    """A loop over rows, and one in which each row takes the result of the row before."""
    inputs = [f"a{at}" for at in range(n_in)]
    outputs = [f"r{at}" for at in range(n_out)]
    parameters = ", ".join(["n", *inputs, *outputs])
    texts = [
        f"def loop({parameters}):\n"
        "    for i in range(n):\n"
        f"        {', '.join(f'{r}[i]' for r in outputs)} = "
        f"function({', '.join(f'{a}[i]' for a in inputs)})\n",
        f"def fold({parameters}):\n"
        "    s = a0[0]\n"
        "    for i in range(n):\n"
        "        r0[i] = function(s, a1[i])\n"
        "        s = r0[i]\n",
    ]
    made = []
    for text in texts if n_in == 2 and n_out == 1 else texts[:1]:
        file = f"<opcodon.vectorize {function.__name__} {next(_numbers)}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        space: dict[str, Any] = {"function": function, "__name__": function.__module__}
        exec(compile(text, file, "exec"), space)
        made.append(jit(space["loop" if text is texts[0] else "fold"], **options))
    return [*made, None][:2]


class _Loop(NamedTuple):
    """The types and functions of a loop, as the native side reads them."""

    dtypes: list[np.dtype[Any]]
    function: Any
    fold: Any = None
    core: list[list[int]] | None = None
    is_scalar: list[bool] | None = None

    @property
    def numbers(self) -> bytes:
        """The types as numpy numbers them."""
        return bytes(dtype.num for dtype in self.dtypes)

    @property
    def sizes(self) -> list[int]:
        """Bytes of an element of each."""
        return [dtype.itemsize for dtype in self.dtypes]


def _make(
    loops: list[_Loop],
    n_in: int,
    n_out: int,
    identity: Any,
    function: FunctionType,
    layout: str | None,
) -> np.ufunc:
    function_type()  # what is known of the interpreter is found out before a loop runs
    from opcodon import _core

    made = _core.jit.ufunc(
        loops,
        (n_in, n_out),
        _IDENTITIES[identity],
        (function.__name__, function.__doc__ or "", layout),
    )
    assert isinstance(made, np.ufunc)
    return made


# ---- reading


def _python_function(function: Any) -> FunctionType:
    if isinstance(function, function_type()):
        function = function.fallback
    if not isinstance(function, FunctionType):
        raise TypeError(f"a Python function is needed, not {type(function).__name__}")
    code = function.__code__
    if code.co_kwonlyargcount or code.co_flags & 0x0C:
        raise TypeError(f"{function.__name__} has parameters that are not positional")
    return function


def _listed(signatures: str | Sequence[str]) -> list[Types]:
    """The types of each signature."""
    types = []
    for text in [signatures] if isinstance(signatures, str) else signatures:
        found = re.fullmatch(r"\s*(\{.*\}|[^({]*)\(([^()]*)\)\s*", text)
        if found is None:
            raise ValueError(f"{text!r} is no signature; write 'float64(float64, float64)'")
        result, arguments = found.groups()
        parts = result.strip("{} ").split(",")
        types.append((_dtypes(arguments.split(","), text), _dtypes(parts, text)))
    return types


def _array_types(text: str) -> tuple[list[np.dtype[Any]], list[int]]:
    """The element types and numbers of dimensions of a signature's arguments."""
    found = re.fullmatch(r"\s*(?:void)?\s*\((.*)\)\s*", text)
    if found is None:
        raise ValueError(f"{text!r} is no signature; write 'void(float64[:], float64[:])'")
    arguments = re.findall(r"\s*(\w+)\s*(\[[^\]]*\])?\s*(?:,|$)", found[1])
    if "".join(a + b for a, b in arguments) != re.sub(r"[\s]|,(?![^\[]*\])", "", found[1]):
        raise ValueError(f"{text!r} is no signature; write 'void(float64[:], float64[:])'")
    n_dims = [brackets.count(",") + 1 if brackets else 0 for _, brackets in arguments]
    return _dtypes([name for name, _ in arguments], text), n_dims


def _dtypes(names: list[str], signature: str) -> list[np.dtype[Any]]:
    dtypes = []
    for name in names:
        word = name.strip()
        try:
            dtype = np.dtype(_SHORT.get(word, word or "?no type"))
        except TypeError:
            raise ValueError(f"{word!r} in {signature!r} is no type of numpy") from None
        dtypes.append(_number(dtype))
    return dtypes


def _number(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in _KINDS:
        raise TypeError(f"elements of type {dtype} are no numbers")
    return dtype.newbyteorder("=")


def _layout(text: str) -> tuple[list[list[str]], int]:
    """The names of each argument's core dimensions, and how many arguments are inputs."""
    part = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*)?\)"
    side = rf"\s*{part}\s*(?:,\s*{part}\s*)*"
    if re.fullmatch(rf"{side}->{side}", text) is None:
        raise ValueError(f"{text!r} is no layout; write '(n),()->(n)'")
    left, right = (re.findall(part, half) for half in text.split("->"))
    cores = [re.findall(r"\w+", each) for each in (*left, *right)]
    return cores, len(left)
