"""Match statements as chains of if statements, for patterns that compare, capture and check types.

Values, singletons, alternatives, captures, wildcards and the builtin types are what numeric and
algorithmic code matches; sequences, mappings and other classes are left to Python.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from opcodon._jit.expressions import UnsupportedError
from opcodon._jit.form import Atom

if TYPE_CHECKING:
    from opcodon._jit.normal_form import Normaliser

# Classes whose one positional sub-pattern matches the subject itself.
SELF_MATCHING = frozenset(
    {"bool", "bytearray", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str"}
    | {"tuple"}
)


class PatternNormaliser:
    """Turns patterns into statements that set a local to whether they match."""

    def __init__(self, normaliser: Normaliser) -> None:
        self.normaliser = normaliser
        self.captured: list[tuple[ast.pattern, str, Atom]] = []

    def match(self, pattern: ast.pattern, subject: Atom, result: int) -> None:
        """Append `result = pattern matches subject`."""
        n = self.normaliser
        if isinstance(pattern, ast.MatchValue):
            value = n.expression(pattern.value)
            equal = n.set(pattern, {"cmp": "eq", "a": subject, "b": value})
            n.set(pattern, {"truth": equal}, result)
        elif isinstance(pattern, ast.MatchSingleton):
            constant = n.constant(pattern.value)
            n.set(pattern, {"cmp": "is", "a": subject, "b": constant}, result)
        elif isinstance(pattern, ast.MatchAs):
            if pattern.pattern is None:
                n.copy(pattern, n.constant(True), result)
            else:
                self.match(pattern.pattern, subject, result)
            if pattern.name is not None:
                self.captured.append((pattern, pattern.name, subject))
        elif isinstance(pattern, ast.MatchOr):
            self._any(pattern.patterns, subject, result)
        elif isinstance(pattern, ast.MatchClass):
            self._class(pattern, subject, result)
        else:
            raise UnsupportedError("match statement with sequence or mapping patterns")

    def _any(self, patterns: list[ast.pattern], subject: Atom, result: int) -> None:
        first, *others = patterns
        n_captured = len(self.captured)
        self.match(first, subject, result)
        if len(self.captured) != n_captured:
            raise UnsupportedError("match statement with captures in alternatives")
        if others:
            self.normaliser.branch(
                first,
                {"l": result},
                lambda: None,
                lambda: self._any(others, subject, result),
            )

    def _class(self, pattern: ast.MatchClass, subject: Atom, result: int) -> None:
        n = self.normaliser
        name = n.builtin(pattern.cls)
        if name not in SELF_MATCHING or pattern.kwd_patterns or len(pattern.patterns) > 1:
            raise UnsupportedError("match statement with class patterns")
        n.form.constants.append(isinstance)
        check = {"c": len(n.form.constants) - 1}
        arguments = [subject, n.frozen(name)]
        n.set(pattern, {"call": check, "args": arguments}, result)
        for inner in pattern.patterns:
            n.branch(
                pattern,
                {"l": result},
                _bound(self.match, inner, subject, result),
                lambda: None,
            )


def _bound(
    function: Callable[[ast.pattern, Atom, int], None],
    pattern: ast.pattern,
    subject: Atom,
    result: int,
) -> Callable[[], None]:
    return lambda: function(pattern, subject, result)
