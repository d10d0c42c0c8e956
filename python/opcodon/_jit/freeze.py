"""Global names, module attributes and closure variables: frozen, and guarded at every call.

A program speaks of globals by number; this module finds the objects, and the *guards* under which
they stay what they were: `(dictionary, key, object)`, checked by identity at every call. `UNSET` as
the object means that the key must be absent, which is how a builtin stays a builtin; for a closure
variable the first of the three is its cell.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from types import CellType, FunctionType, ModuleType
from typing import Any, TypeAlias

from opcodon._jit.form import UNSET
from opcodon._jit.generators import Generator, simple_generator

Guard: TypeAlias = "tuple[dict[str, Any] | CellType, str | None, Any]"


class Scope:
    """The names around one function."""

    def __init__(self, function: FunctionType) -> None:
        self.globals = function.__globals__
        self.cells = dict(
            zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        found = self.globals.get("__builtins__", builtins)
        self.builtins: dict[str, Any] = found if isinstance(found, dict) else vars(found)

    def is_free(self, name: str) -> bool:
        """Whether a name is a variable of an enclosing function."""
        return name in self.cells

    def exists(self, name: str) -> bool:
        """Whether a name is bound now."""
        return self._root(name, []) is not UNSET

    def is_builtin(self, name: str) -> bool:
        """Whether a name means the builtin of this name now."""
        return (
            name not in self.cells
            and name not in self.globals
            and self.builtins.get(name, UNSET) is getattr(builtins, name, None)
        )

    def is_range(self, path: str) -> bool:
        """Whether a path leads to the builtin `range`, whatever it is called there."""
        return self.look_up(path, []) is range

    def is_stable(self, path: Sequence[str]) -> bool:
        """Whether a path leads through modules to something bound."""
        return self.look_up(".".join(path), []) is not UNSET

    def look_up(self, path: str, guards: list[Guard]) -> Any:
        """The object at the end of a path through modules, or UNSET; its guards are appended."""
        root, *attributes = path.split(".")
        value = self._root(root, guards)
        for attribute in attributes:
            if not isinstance(value, ModuleType):
                return UNSET
            namespace = vars(value)
            value = namespace.get(attribute, UNSET)
            guards.append((namespace, attribute, value))
        return value

    def defining_class(self) -> type | None:
        """The class in whose body the function stands, if it asks for it, as `super()` does."""
        try:
            found = self.cells["__class__"].cell_contents
        except (KeyError, ValueError):
            return None
        return found if isinstance(found, type) else None

    def namespace(self) -> Any:
        """What global names are in."""
        return self.globals

    def generator(self, name: str) -> Generator | None:
        """The generator function of a name, if a loop over it needs no generator."""
        return simple_generator(self.look_up(name, []), self.globals)

    def _root(self, name: str, guards: list[Guard]) -> Any:
        cell = self.cells.get(name)
        if cell is not None:
            try:
                value = cell.cell_contents
            except ValueError:
                value = UNSET
            guards.append((cell, None, value))
            return value
        value = self.globals.get(name, UNSET)
        guards.append((self.globals, name, value))
        if value is UNSET:
            value = self.builtins.get(name, UNSET)
            guards.append((self.builtins, name, value))
        return value
