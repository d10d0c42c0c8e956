"""Match statements as chains of if statements, for patterns that compare, capture and check types.

Values, singletons, alternatives, captures, wildcards, the builtin types and sequences of a given
length are what numeric and algorithmic code matches; sequences with a star, mappings and other
classes are left to Python.
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
        elif isinstance(pattern, ast.MatchSequence):
            self._sequence(pattern, subject, result)
        else:
            raise UnsupportedError("match statement with mapping patterns")

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

    def _sequence(self, pattern: ast.MatchSequence, subject: Atom, result: int) -> None:
        n, patterns = self.normaliser, pattern.patterns
        length = self._builtin("len", pattern)
        if any(isinstance(inner, ast.MatchStar) for inner in patterns):
            raise UnsupportedError("match statement with sequence patterns with a star")

        def inner(k: int) -> None:
            """Match the parts from that one on."""
            while k < len(patterns) and _is_wildcard(patterns[k]):
                k += 1
            if k == len(patterns):
                return
            self.match(patterns[k], {"l": parts[k]}, result)
            n.branch(pattern, {"l": result}, lambda: inner(k + 1), lambda: None)

        parts = [n.temporary() for _ in patterns]

        def has_length() -> None:
            size = n.set(pattern, {"call": length, "args": [subject]})
            n.set(pattern, {"cmp": "eq", "a": size, "b": {"i": len(patterns)}}, result)

        def take_apart() -> None:
            n.emit(pattern, {"s": "unpack", "to": parts, "a": subject})
            inner(0)

        n.set(pattern, {"sequence": subject}, result)
        n.branch(pattern, {"l": result}, has_length, lambda: None)
        if not all(map(_is_wildcard, patterns)):
            n.branch(pattern, {"l": result}, take_apart, lambda: None)

    def _builtin(self, name: str, where: ast.pattern) -> Atom:
        """A builtin function, which a pattern needs whatever its name means."""
        n = self.normaliser
        if n.builtin(ast.copy_location(ast.Name(id=name, ctx=ast.Load()), where)) is None:
            raise UnsupportedError(f"match statement where {name} is not the builtin")
        return n.frozen(name)

    def _class(self, pattern: ast.MatchClass, subject: Atom, result: int) -> None:
        n = self.normaliser
        name = n.builtin(pattern.cls)
        if name not in SELF_MATCHING or pattern.kwd_patterns or len(pattern.patterns) > 1:
            raise UnsupportedError("match statement with class patterns")
        check = self._builtin("isinstance", pattern)
        arguments = [subject, n.frozen(name)]
        n.set(pattern, {"call": check, "args": arguments}, result)
        for inner in pattern.patterns:
            n.branch(
                pattern,
                {"l": result},
                _bound(self.match, inner, subject, result),
                lambda: None,
            )


def _is_wildcard(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None and pattern.name is None


def _bound(
    function: Callable[[ast.pattern, Atom, int], None],
    pattern: ast.pattern,
    subject: Atom,
    result: int,
) -> Callable[[], None]:
    return lambda: function(pattern, subject, result)
