"""The decorator `opcodon.jit`, and what stands behind a decorated function.

A decorated function is a `Function` of the native module. It asks its *front*, the object below,
for a program when it is called first or a guard fails, and for a Python function to go on with
wherever machine code leaves.
"""

from __future__ import annotations

import ast
import copyreg
import functools
import gc
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from opcodon._jit.form import UNSET, Form, Helper, Lifted
from opcodon._jit.freeze import Guard, Scope
from opcodon._jit.names import RefusedError
from opcodon._jit.normal_form import normalise
from opcodon._jit.program import to_text
from opcodon._jit.report import Report, report
from opcodon._jit.resume import Mode, resumed, with_scope
from opcodon._jit.shared import Pieces, SharedRows
from opcodon._jit.source import compile_function, function_syntax, parameters

if TYPE_CHECKING:
    from opcodon._jit.listing import Listing

F = TypeVar("F", bound=Callable[..., Any])

# Functions of libraries lie here, or in site-packages or dist-packages.
STANDARD_LIBRARY = os.path.dirname(os.__file__)

# A function whose frozen names keep changing is not worth another compilation.
MAX_CHANGES = 50

# Flags of code objects: starred parameters; what a call does not simply run.
VARARGS = 0x04
VARKEYWORDS = 0x08
GENERATOR_OR_COROUTINE = 0x20 | 0x80 | 0x200


class Front:
    """Everything the native `Function` needs to know about one Python function.

    Parameters
    ----------
    function
        The Python function.
    options
        The decorator's options.
    family
        Functions that were made for one another's calls; they share this dictionary.
    lifted
        If it is a nested function, what it was made of.
    around
        The nested functions that were made of the function around.
    """

    def __init__(
        self,
        function: FunctionType,
        options: dict[str, Any],
        family: dict[FunctionType, Any] | None = None,
        lifted: Lifted | None = None,
        around: Sequence[Any] = (),
    ) -> None:
        self.function = function
        self.options = options
        self.family = {} if family is None else family
        self.lifted = lifted
        self.around = around
        self.scope = Scope(function)
        self.refusal: str | None = None
        self._form: Form | None = None
        self._text = ""
        self._constants: list[Any] = []
        self._nested: list[Any] = []
        self._values: list[Any] = []
        self._n_changes = 0
        self._resumed: dict[tuple[int, int], FunctionType] = {}

    # ---- what the native side asks for

    def prepare(self) -> tuple[str, list[Any], list[Any], list[Guard]] | None:
        """The program, the frozen values, its constants and the guards; None if it has none."""
        form = self.form
        if form is None:
            return None
        # The form has them in it; what runs goes on in it, so there is no other form.
        hidden = [name for name in form.builtins if not self.scope.is_builtin(name)]
        if hidden:
            self.refusal = f"the builtin {hidden[0]} is hidden by another one of that name"
            return None
        guards: list[Guard] = []
        values = [self._frozen(entry, guards) for entry in form.globals]
        if [id(value) for value in values] != [id(value) for value in self._values]:
            self._values = values
            self._n_changes += 1
            if self._n_changes > MAX_CHANGES:
                self.refusal = f"its global names changed {MAX_CHANGES} times"
        if self.refusal is not None:
            return None
        return self._text, values, self._constants, guards

    def resume(self, statement: int, mode: int = 0) -> FunctionType:
        """The Python function that continues at a statement (see `opcodon._jit.resume`)."""
        key = (statement, mode)
        found = self._resumed.get(key)
        if found is None:
            assert self._form is not None
            found = resumed(self._form, self.function, statement, Mode(mode))
            self._resumed[key] = found
        return found

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> tuple[Any, ...]:
        """The values of all parameters for a call, or CPython's TypeError."""
        result: tuple[Any, ...] = self._binder(*args, **(kwargs or {}))
        return result

    def report(self, native: Any) -> Report:
        """What runs as machine code; `native` is the compiled function."""
        form, signatures = self.form, native.signatures()
        refusal = self.refusal
        if refusal is None and not signatures:
            refusal = next(iter(native.refusals()), None)
        return report(
            form,
            name=self.function.__qualname__,
            file=self.function.__code__.co_filename,
            refusal=refusal,
            signatures=signatures,
            exits=native.exits(),
            vectors=native.vectors(),
            passes=native.passes(),
            shared=[
                (value.rows.report(), value.rows.is_free())
                for value in self._constants
                if isinstance(value, Pieces) and value.rows.signatures()
            ],
        )

    def listing(self, native: Any) -> Listing:
        """Source and machine code side by side; `native` is the compiled function."""
        # Few programs look at it, and all would wait for what it imports.
        from opcodon._jit.listing import listing

        return listing(
            self.form,
            name=self.function.__qualname__,
            file=self.function.__code__.co_filename,
            versions=native.versions(),
        )

    # ---- how it is found

    @property
    def form(self) -> Form | None:
        """The normal form; None if the function cannot be compiled, `refusal` says why."""
        if self._form is None and self.refusal is None:
            try:
                with _without_collection():
                    self._normalise()
            except RefusedError as reason:
                self.refusal = str(reason)
            except Exception as error:
                # The function is still good Python.
                self.refusal = f"the compiler failed on it ({error!r}); please report this"
        return self._form

    def _normalise(self) -> None:
        function, lifted = self.function, self.lifted
        syntax = lifted.syntax if lifted else function_syntax(function)
        file = function.__code__.co_filename
        shares = bool(self.options.get("parallel"))
        form = normalise(syntax, function.__name__, file, self.scope, lifted, shares)
        self._text = to_text(form, len(function.__defaults__ or ()), bool(self.options.get("wrap")))
        self._constants = [self._constant(value) for value in form.constants]
        for each in form.lifted:
            self._nested.append(self._lifted(each))
        self._form = form

    def _frozen(self, entry: dict[str, Any], guards: list[Guard]) -> Any:
        number = entry.get("lifted")
        if number is not None:
            if number < -1:
                return self.around[-2 - number]
            return self.family[self.function] if number < 0 else self._nested[number]
        value = self.scope.look_up(entry["path"], guards)
        return (self.along(value) or value) if "call" in entry else value

    def along(self, value: Any) -> Any:
        """What stands for a called function that is compiled along; None if it is not."""
        if type(value) is not FunctionType or not self._is_ours(value):
            return None
        found = self.family.get(value)
        return make_function(value, self.options, self.family) if found is None else found

    def _lifted(self, lifted: Lifted) -> Any:
        """A nested function as a compiled function of its own."""
        code = self.function.__code__
        own = compile_function(lifted.syntax, code.co_freevars, code.co_filename)
        name = "<lambda>" if isinstance(lifted.syntax, ast.Lambda) else lifted.name
        function = with_scope(own, self.function, name)
        return make_function(function, self.options, self.family, lifted, self._nested)

    def _is_ours(self, callee: FunctionType) -> bool:
        """Whether a called Python function is compiled along: not one of a library."""
        if callee.__code__.co_flags & GENERATOR_OR_COROUTINE:
            return False
        file = callee.__code__.co_filename
        if file == self.function.__code__.co_filename:
            return True
        return not file.startswith(STANDARD_LIBRARY) and "-packages" + os.sep not in file

    def _constant(self, value: Any) -> Any:
        if not isinstance(value, Helper):
            return value
        if isinstance(value, SharedRows):
            return self._pieces(value)
        line = self.function.__code__.co_firstlineno
        syntax = ast.FunctionDef(
            name="helper",
            args=parameters(value.parameters),
            body=value.body,
            decorator_list=[],
            returns=None,
            lineno=line,
            col_offset=0,
        )
        code = self.function.__code__
        return with_scope(
            compile_function(syntax, code.co_freevars, code.co_filename), self.function
        )

    def _pieces(self, rows: SharedRows) -> Pieces:
        """The rows of a loop as a function of their own, which several threads call."""
        code = self.function.__code__
        arguments = parameters(rows.parameters)
        syntax = ast.FunctionDef(
            name=self.function.__name__,
            args=arguments,
            body=rows.body,
            decorator_list=[],
            returns=None,
            lineno=rows.body[0].lineno,
            col_offset=rows.body[0].col_offset,
        )
        own = compile_function(syntax, code.co_freevars, code.co_filename)
        function = with_scope(own, self.function, self.function.__name__)
        lifted = Lifted(syntax, self.function.__name__, arguments, [], {})
        options = {**self.options, "parallel": False, "nogil": True}
        made = make_function(function, options, lifted=lifted)
        return Pieces(
            made, rows.kinds, are_short=rows.are_short, wrap=bool(self.options.get("wrap"))
        )

    @functools.cached_property
    def _binder(self) -> FunctionType:
        """A function with the parameters of this one that returns them, in order."""
        code = self.function.__code__
        names = iter(code.co_varnames)
        positional = list(islice(names, code.co_argcount))
        kwonly = list(islice(names, code.co_kwonlyargcount))
        vararg = next(names) if code.co_flags & VARARGS else ""
        kwarg = next(names) if code.co_flags & VARKEYWORDS else ""
        if code.co_posonlyargcount:
            positional.insert(code.co_posonlyargcount, "/")
        star = [f"*{vararg}"] if vararg or kwonly else []
        signature = [*positional, *star, *kwonly, *([f"**{kwarg}"] if kwarg else [])]
        values = [name for name in (*positional, *kwonly, vararg, kwarg) if name not in ("", "/")]
        space: dict[str, Any] = {}
        exec(
            f"def bind({', '.join(signature)}): return ({' '.join(f'{v},' for v in values)})", space
        )
        binder = with_scope(space["bind"].__code__, self.function)
        binder.__defaults__ = self.function.__defaults__
        binder.__kwdefaults__ = self.function.__kwdefaults__
        binder.__qualname__ = self.function.__qualname__
        return binder


@contextmanager
def _without_collection() -> Iterator[None]:
    """No garbage collection inside: syntax trees are many objects, but they soon go by themselves.

    A collection would go through everything that is loaded, which takes longer than the work.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def make_function(
    function: FunctionType,
    options: dict[str, Any],
    family: dict[FunctionType, Any] | None = None,
    lifted: Lifted | None = None,
    around: Sequence[Any] = (),
) -> Any:
    """A native `Function` for a Python function."""
    native = function_type()
    front = Front(function, options, family, lifted, around)
    made = native(
        function.__qualname__,
        front.prepare,
        function,
        front.resume,
        UNSET,
        {
            **options,
            "bind": front.bind,
            "report": front.report,
            "listing": front.listing,
            "along": front.along,
        },
    )
    functools.update_wrapper(made, function)
    # As it is called elsewhere.
    made.py_func = function
    made.__opcodon_front__ = front
    front.family[function] = made
    return made


@functools.cache
def function_type() -> Any:
    """The class of compiled functions, made picklable."""
    native = importlib.import_module("opcodon._core").jit.Function
    copyreg.pickle(native, _reduce)
    return native


def _reduce(function: Any) -> Any:
    """By name where the name leads to the function, else by what it was made of."""
    found: Any = importlib.import_module(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is function:
        return function.__qualname__
    front = function.__opcodon_front__
    return make_function, (front.function, front.options)


@overload
def jit(
    fn: F,
    *,
    wrap: bool = False,
    fast_math: bool = False,
    boundscheck: bool = True,
    parallel: bool = False,
    nogil: bool = False,
    cache: bool = False,
) -> F: ...


@overload
def jit(
    fn: None = None,
    *,
    wrap: bool = False,
    fast_math: bool = False,
    boundscheck: bool = True,
    parallel: bool = False,
    nogil: bool = False,
    cache: bool = False,
) -> Callable[[F], F]: ...


def jit(
    fn: Any = None,
    *,
    wrap: bool = False,
    fast_math: bool = False,
    boundscheck: bool = True,
    parallel: bool = False,
    nogil: bool = False,
    cache: bool = False,
) -> Any:
    """Compile a Python function to machine code when it is called, with exactly Python's meaning.

    Parameters
    ----------
    fn
        The function; without it, a decorator with the options is returned.
    wrap
        Lets sums, differences, products, shifts to the left and signs of integers wrap around at 64
        bits. Where a call goes on in Python, they grow.
    fast_math
        Permits loops that run by the vector to reorder sums of floats, and functions in them to
        differ from the C library's by up to 4 units in the last place.
    boundscheck
        False permits indices into arrays to be trusted: one that is out of bounds may then read or
        overwrite memory of somebody else, or end the process. Negative ones count from the end.
    parallel
        Permits rows of loops over `prange`, loops that run by the vector and expressions over large
        arrays to be computed on all cores. Results are the same to the bit, but for sums and
        products of floats over `prange`, which are the same on any number of threads.
    nogil
        Permits other threads of Python to run while loops run that touch no object but arrays, and
        while an expression over large arrays is computed.
    cache
        Has no effect: to compile takes milliseconds, so nothing is stored. It is there for
        programs that ask for it.

    Returns
    -------
    callable
        Called like the function. Results, exceptions, their lines and what is done to arguments
        are the function's own; `report()` says what runs as machine code.

    Raises
    ------
    TypeError
        If `fn` is not a Python function.

    Examples
    --------
    >>> import opcodon
    >>> @opcodon.jit
    ... def total(n):
    ...     s = 0
    ...     for i in range(n):
    ...         s += i * i
    ...     return s
    >>> total(10)
    285
    """
    options = {
        "wrap": wrap,
        "fast_math": fast_math,
        "boundscheck": boundscheck,
        "parallel": parallel,
        "nogil": nogil,
        "cache": cache,
    }
    if fn is None:
        return lambda function: jit(function, **options)
    if isinstance(fn, (staticmethod, classmethod)):
        return type(fn)(jit(fn.__func__, **options))
    if not isinstance(fn, FunctionType):
        raise TypeError(
            f"opcodon.jit compiles Python functions, not {type(fn).__name__} objects; "
            "decorate the functions or methods themselves"
        )
    return make_function(fn, options)
