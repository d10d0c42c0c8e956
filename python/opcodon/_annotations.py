"""Signatures from Python's annotations.

A function's annotations say what `opcodon.function` otherwise reads from text. Each stands for one
type of the signature's language, so this module only writes that text; what it means is decided
where signatures are read. Text in an annotation that is no Python name is that text, and so is text
in `typing.Annotated`.
"""

from __future__ import annotations

import collections.abc
import ctypes
import inspect
import typing
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["signature_of"]

# Classes that stand for one type.
_PLAIN: dict[Any, str] = {
    float: "f64",
    int: "i64",
    bool: "bool",
    None: "void",
    type(None): "void",
    bytes: "const ptr",
    bytearray: "ptr",
    memoryview: "ptr",
    np.ndarray: "ptr",
    ctypes.c_void_p: "ptr",
    ctypes.c_char_p: "const ptr",
    ctypes.c_wchar_p: "const ptr",
}

# Letters of ctypes' simple types, which name a kind; the width comes from the size.
_KINDS = {"f": "fd", "i": "bhilqc", "u": "BHILQ"}


def signature_of(function: Callable[..., Any]) -> tuple[str, Callable[..., Any] | None]:
    """Write the signature that a function's annotations stand for.

    Returns
    -------
    str
        The signature.
    callable or None
        What makes the fields of a returned structure into an object, if it is annotated by a class.

    Raises
    ------
    TypeError
        If a parameter has no annotation, or one that stands for no type.
    """
    found = inspect.signature(function)
    name = getattr(function, "__name__", "the function")
    names = {**vars(typing), **getattr(inspect.unwrap(function), "__globals__", {})}
    types = []
    for parameter in found.parameters.values():
        where = f"parameter {parameter.name} of {name}"
        if parameter.kind is parameter.VAR_POSITIONAL:
            types.append("...")
            continue
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            message = f"{where} is passed by name, which machine code does not know"
            raise TypeError(message)
        types.append(_text(_resolved(parameter.annotation, names), where))
    result = _resolved(found.return_annotation, names)
    text = _text(result, f"the result of {name}")
    returns: Callable[..., Any] | None
    if hasattr(result, "_make"):
        returns = _Fields(result)
    elif isinstance(result, type) and issubclass(result, ctypes.Structure):
        returns = result
    else:
        returns = None
    return f"{text}({', '.join(types)})", returns


class _Fields:
    """Makes fields into a named tuple, and those in it likewise."""

    def __init__(self, class_: Any) -> None:
        self.class_ = class_

    def __call__(self, *fields: Any) -> Any:
        hints = typing.get_type_hints(self.class_).values()
        return self.class_(
            *(
                _Fields(hint)(*field) if hasattr(hint, "_make") else field
                for hint, field in zip(hints, fields, strict=True)
            )
        )


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """The object that an annotation written as text names, or the text."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)  # As typing.get_type_hints does.
    except (NameError, SyntaxError, TypeError, AttributeError):
        return annotation


def _text(annotation: Any, where: str) -> str:
    """The type that an annotation stands for."""
    if isinstance(annotation, str):
        return annotation
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        texts = [extra for extra in annotation.__metadata__ if isinstance(extra, str)]
        return texts[0] if texts else _text(arguments[0], where)
    if origin is collections.abc.Callable and arguments and isinstance(arguments[0], list):
        parameters = ", ".join(_text(argument, where) for argument in arguments[0])
        return f"{_text(arguments[1], where)}({parameters})*"
    if origin is np.ndarray:
        annotation = np.ndarray
    try:
        plain = _PLAIN.get(annotation)
    except TypeError:  # It cannot be hashed, so it is none of them.
        plain = None
    text = plain or (_of_class(annotation, where) if isinstance(annotation, type) else None)
    if text is None:
        problem = (
            "has no annotation"
            if annotation is inspect.Parameter.empty
            else f"is annotated with {annotation!r}, which is no type of machine code"
        )
        message = (
            f"{where} {problem}; write float, int, bool, bytes, a type of numpy or ctypes, a "
            'NamedTuple of these, or text such as "f32" and "const f64[]"'
        )
        raise TypeError(message)
    return text


def _of_class(class_: type, where: str) -> str | None:
    """The type that a class stands for, if it does."""
    # As classes of ctypes are, whose attributes its stubs do not tell.
    known: Any = class_
    if issubclass(class_, np.generic):
        dtype = np.dtype(class_)
        if dtype.kind == "b":
            return "bool"
        known = dtype.kind in "fiu" and dtype.itemsize <= 8 and dtype.char != "e"
        return f"{dtype.kind}{8 * dtype.itemsize}" if known else None
    if issubclass(class_, ctypes.Structure):
        fields = [_text(field[1], where) for field in class_._fields_]
        return f"{{{', '.join(fields)}}}"
    if issubclass(class_, ctypes.Array):
        return f"{{{', '.join([_text(known._type_, where)] * known._length_)}}}"
    if issubclass(class_, ctypes._Pointer):
        return "ptr"
    if issubclass(class_, ctypes._SimpleCData):
        letter: str = known._type_
        if letter == "?":
            return "bool"
        for kind, letters in _KINDS.items():
            if letter in letters:
                return f"{kind}{8 * ctypes.sizeof(class_)}"
        return None
    if hasattr(class_, "_make"):
        fields = [_text(hint, where) for hint in typing.get_type_hints(class_).values()]
        return f"{{{', '.join(fields)}}}"
    return None
