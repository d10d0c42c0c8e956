"""Loops over simple generators, without the generator.

`for x in squares(n)` needs no generator where nobody could tell the difference: its body can stand
around the loop's. That is so if what the generator does depends on nothing but its arguments, which
are numbers, and changes nothing but its own locals. Then, too, a generator that has given so many
items can be made at any time: where machine code leaves such a loop, Python gets one that is
advanced to where the loop is, and goes on with it.
"""

from __future__ import annotations

import ast
import itertools
from types import FunctionType
from typing import Any

from opcodon._jit.names import RefusedError
from opcodon._jit.source import function_syntax

GENERATOR = 0x20
# Statements beyond which the body of a generator stays where it is.
N_STATEMENTS_MAX = 30
# Places where it gives an item beyond which it does, too: the loop's body stands at each.
N_YIELDS_MAX = 4
# Builtins of numbers that a generator may call.
PURE = frozenset({"abs", "min", "max", "int", "float", "bool"})


class Generator:
    """A generator whose body can stand around a loop's.

    Attributes
    ----------
    function
        The function.
    syntax
        Its syntax.
    params
        Its parameters.
    builtins
        The builtins that it calls.
    """

    def __init__(self, function: FunctionType, syntax: ast.FunctionDef) -> None:
        self.function = function
        self.syntax = syntax
        self.params = [parameter.arg for parameter in syntax.args.args]
        used = [node for node in ast.walk(syntax) if isinstance(node, ast.Name)]
        bound = [node.id for node in used if isinstance(node.ctx, ast.Store)]
        self._names = list(dict.fromkeys([*self.params, *bound]))
        self.builtins = {node.id for node in used}.difference(self._names)

    def body(self, prefix: str, where: ast.AST) -> tuple[list[str], list[ast.stmt]]:
        """Its locals, parameters first, and its statements, with a prefix before their names.

        They stand where the loop does: whoever asks for a line means the loop's.
        """
        renamer = _Renamer(set(self._names), prefix)
        statements = [renamer.visit(_copied(each)) for each in _statements(self.syntax)]
        for statement in statements:
            for node in ast.walk(statement):
                ast.copy_location(node, where)
        return [prefix + name for name in self._names], statements


def simple_generator(value: Any, space: dict[str, Any]) -> Generator | None:
    """A generator function as one that can stand around a loop, or None if it is none."""
    if (
        type(value) is not FunctionType
        or not value.__code__.co_flags & GENERATOR
        or value.__code__.co_freevars
        or value.__globals__ is not space
    ):
        return None
    try:
        syntax = function_syntax(value)
    except RefusedError:
        return None
    if not isinstance(syntax, ast.FunctionDef) or syntax.decorator_list:
        return None
    arguments = syntax.args
    if arguments.posonlyargs or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        return None
    return Generator(value, syntax) if _Check(syntax).passed else None


def gives(syntax: ast.AST) -> int:
    """In how many places of a generator it gives an item."""
    return sum(isinstance(node, ast.Yield) for node in ast.walk(syntax))


def _statements(syntax: ast.FunctionDef) -> list[ast.stmt]:
    documented = ast.get_docstring(syntax, clean=False) is not None
    return syntax.body[1:] if documented else syntax.body


class _Check:
    """Whether a generator computes with numbers only."""

    def __init__(self, syntax: ast.FunctionDef) -> None:
        stored = {
            node.id
            for node in ast.walk(syntax)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        self.own = stored | {parameter.arg for parameter in syntax.args.args}
        self.n_statements = 0
        body = _statements(syntax)
        self.passed = (
            self.block(body)
            and self.n_statements <= N_STATEMENTS_MAX
            and 0 < gives(syntax) <= N_YIELDS_MAX
        )

    def block(self, body: list[ast.stmt]) -> bool:
        return all(self.statement(each) for each in body)

    def statement(self, node: ast.stmt) -> bool:
        self.n_statements += 1
        if isinstance(node, ast.Assign):
            return all(map(self.target, node.targets)) and self.values(node.value)
        if isinstance(node, ast.AugAssign):
            return isinstance(node.target, ast.Name) and self.value(node.value)
        if isinstance(node, ast.While):
            return self.value(node.test) and self.block(node.body) and self.block(node.orelse)
        if isinstance(node, ast.For):
            return (
                isinstance(node.target, ast.Name)
                and self.range(node.iter)
                and self.block(node.body)
                and self.block(node.orelse)
            )
        if isinstance(node, ast.If):
            return self.value(node.test) and self.block(node.body) and self.block(node.orelse)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield):
            return node.value.value is not None and self.value(node.value.value)
        return isinstance(node, (ast.Pass, ast.Break, ast.Continue))

    def target(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Tuple):
            return all(isinstance(part, ast.Name) for part in node.elts)
        return isinstance(node, ast.Name)

    def values(self, node: ast.expr) -> bool:
        return all(map(self.value, node.elts)) if isinstance(node, ast.Tuple) else self.value(node)

    def range(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "range"
            and "range" not in self.own
            and not node.keywords
            and all(map(self.value, node.args))
        )

    def value(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.own
        if isinstance(node, ast.Constant):
            return type(node.value) in (int, float, bool)
        if isinstance(node, ast.Call):
            is_pure = isinstance(node.func, ast.Name) and node.func.id in PURE - self.own
            return is_pure and not node.keywords and all(map(self.value, node.args))
        if isinstance(node, ast.Compare):
            plain = all(not isinstance(op, (ast.In, ast.NotIn)) for op in node.ops)
            return plain and all(map(self.value, [node.left, *node.comparators]))
        if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.IfExp)):
            operands = ast.iter_child_nodes(node)
            return all(self.value(part) for part in operands if isinstance(part, ast.expr))
        return False


class _Renamer(ast.NodeTransformer):
    """Puts a prefix before names."""

    def __init__(self, names: set[str], prefix: str) -> None:
        self.names = names
        self.prefix = prefix

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.names:
            node.id = self.prefix + node.id
        return node


def _copied(node: Any) -> Any:
    """A copy of syntax."""
    if isinstance(node, list):
        return [_copied(part) for part in node]
    if not isinstance(node, ast.AST) or isinstance(node, (ast.Load, ast.Store, ast.operator)):
        return node
    fields = {name: _copied(value) for name, value in ast.iter_fields(node)}
    return ast.copy_location(type(node)(**fields), node)


def replays(function: Any, known: FunctionType, code: Any, *arguments: Any) -> bool:
    """Whether a call gives what the known generator, with this code, gives for numbers."""
    if function is not known or known.__code__ is not code:
        return False
    return all(type(argument) in (int, float, bool) for argument in arguments)


def advanced(function: Any, count: Any, *arguments: Any) -> Any:
    """The generator of a call once it has given so many items."""
    items = function(*arguments)
    next(itertools.islice(items, count, count), None)
    return items
