"""`opcodon.cfunc`: Python functions for C to call."""

from __future__ import annotations

import ctypes
from typing import Any

from opcodon._jit.decorator import function_type, jit
from opcodon.machine import Abi, Signature, callback

_TYPES = {
    "void": None,
    "bool": ctypes.c_bool,
    "f32": ctypes.c_float,
    "f64": ctypes.c_double,
    "i8": ctypes.c_int8,
    "i16": ctypes.c_int16,
    "i32": ctypes.c_int32,
    "i64": ctypes.c_int64,
    "u8": ctypes.c_uint8,
    "u16": ctypes.c_uint16,
    "u32": ctypes.c_uint32,
    "u64": ctypes.c_uint64,
}


class CFunction:
    """A compiled Python function with an address that C can call.

    It can be called from C as long as this object, or one that `ctypes` gave, is alive. What it
    raises cannot go through C: it is raised by the call of Opcodon's machine code during which it
    was called, else told to `sys.unraisablehook`, and C gets a zero.

    Parameters
    ----------
    function
        A Python function, or one that `opcodon.jit` made.
    signature, abi
        As for `opcodon.callback`.
    options
        Those of `opcodon.jit`.
    """

    def __init__(
        self, function: Any, signature: Signature | None, abi: Abi | None, options: dict[str, Any]
    ) -> None:
        compiled = function if isinstance(function, function_type()) else jit(function, **options)
        self.__wrapped__ = compiled
        self.__name__ = compiled.__name__
        self.__doc__ = compiled.__doc__
        self._callback = callback(
            compiled, compiled.fallback if signature is None else signature, abi
        )

    def __call__(self, *args: Any) -> Any:
        """The function itself, as machine code."""
        return self.__wrapped__(*args)

    @property
    def address(self) -> int:
        """Where C finds it."""
        return self._callback.address

    @property
    def signature(self) -> str:
        """Its types in C."""
        return self._callback.signature

    @property
    def ctypes(self) -> Any:
        """The same as a function of `ctypes`, which `scipy.LowLevelCallable` takes."""
        result, _, rest = self.signature.partition("(")
        words = [word.strip() for word in rest.rstrip(")").split(",") if word.strip()]
        types: list[Any] = [_TYPES.get(word, ctypes.c_void_p) for word in (result, *words)]
        made = ctypes.CFUNCTYPE(*types)(self.address)
        made.opcodon_function = self  # type: ignore[attr-defined]
        return made

    def __repr__(self) -> str:
        return f"<opcodon.cfunc function {self.__name__}: {self.signature}>"


def cfunc(signature: Signature | None = None, *, abi: Abi | None = None, **options: Any) -> Any:
    r"""Give a compiled Python function an address that C can call.

    Parameters
    ----------
    signature : str or callable, optional
        Result and argument types, such as ``"f64(f64, i32)"`` or ``"double(double, int)"``; by
        default the function's annotations.
    abi : {"sysv", "win64"}, optional
        The calling convention, by default the one of this machine.
    **options
        Those of `opcodon.jit`.

    Returns
    -------
    callable
        A decorator that makes a `CFunction`.

    Raises
    ------
    ParseError
        If the signature does not parse.
    TypeError
        If what is decorated is not a Python function.

    Examples
    --------
    >>> import opcodon
    >>> @opcodon.cfunc("double(double, double)")
    ... def mean(x, y):
    ...     return (x + y) / 2
    >>> mean.ctypes(1.0, 4.0)
    2.5
    >>> caller = opcodon.function(
    ...     opcodon.assemble("movsd xmm1, xmm0\njmp rdi"), "f64(f64(f64, f64)*, f64)"
    ... )
    >>> caller(mean.address, 3.0)
    3.0
    """
    if callable(signature) and not abi and not options:
        return CFunction(signature, None, None, {})
    return lambda function: CFunction(function, signature, abi, options)
