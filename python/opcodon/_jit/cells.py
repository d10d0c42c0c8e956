"""Variables that nested functions bind by `nonlocal`, as lists of one element.

A nested function that is only ever called where it was made can be compiled, but what it binds
outside of itself lives in a cell, which machine code knows nothing of. A list that both functions
know says the same: `total` becomes `total[0]`. That is done where nobody can tell: the variable is
bound before any function that knows it is made, is never unbound, and no such function is handed
on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from opcodon._jit.names import SCOPES

# What a list is called like.
BOX = "__in_a_list"

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


def with_lists(function: ast.FunctionDef) -> None:
    """Replace such variables of a function, in place."""
    makers = [each for each in function.body if isinstance(each, ast.FunctionDef)]
    names = {
        name
        for maker in makers
        for node in ast.walk(maker)
        if isinstance(node, ast.Nonlocal)
        for name in node.names
    }
    for name in sorted(names):
        first = _binding(function, name)
        if _mentions(function, name + BOX):
            continue
        if first is not None and _is_plain(function, name) and _is_private(function, name):
            value = first.value
            _Replacer(name, first).visit(function)
            first.targets = [_box(name, first, ast.Store())]
            first.value = ast.copy_location(ast.List(elts=[value], ctx=ast.Load()), value)


def _box(name: str, where: ast.AST, context: ast.expr_context) -> ast.expr:
    return ast.copy_location(ast.Name(id=name + BOX, ctx=context), where)


def _mentions(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(part, ast.Name) and part.id == name)
        or (isinstance(part, (ast.Nonlocal, ast.Global)) and name in part.names)
        or (isinstance(part, ast.arg) and part.arg == name)
        for part in ast.walk(node)
    )


def _binding(function: ast.FunctionDef, name: str) -> ast.Assign | None:
    """The statement that binds a variable before anything knows it."""
    if _mentions(function.args, name):
        return None
    first = next((each for each in function.body if _mentions(each, name)), None)
    if (
        isinstance(first, ast.Assign)
        and len(first.targets) == 1
        and isinstance(first.targets[0], ast.Name)
        and not _mentions(first.value, name)
    ):
        return first
    return None


def _is_plain(function: ast.FunctionDef, name: str) -> bool:
    """Whether a variable is bound by plain assignments only, and is one for all that mention it."""
    assigned = {
        id(target)
        for node in ast.walk(function)
        if isinstance(node, (ast.Assign, ast.AugAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(node, ast.AugAssign) or len(node.targets) == 1
    }
    for node in ast.walk(function):
        if isinstance(node, (ast.ClassDef, ast.AsyncFunctionDef, ast.Yield, ast.YieldFrom)):
            return False
        if isinstance(node, ast.Name) and node.id == name:
            if not isinstance(node.ctx, ast.Load) and id(node) not in assigned:
                return False
        elif name in _bound(node):
            return False
    # A nested function that binds it, but does not say that it is another's, has one of its own.
    for scope in _scopes(function):
        binds = any(
            isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
            for node in _own(scope)
        )
        declares = any(isinstance(n, ast.Nonlocal) and name in n.names for n in _own(scope))
        if binds and not declares:
            return False
    return True


def _bound(node: ast.AST) -> list[str | None]:
    """The names that a piece of syntax binds other than by naming them."""
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [node.asname or node.name.partition(".")[0]]
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.FunctionDef)):
        return [node.name]
    if isinstance(node, ast.MatchMapping):
        return [node.rest]
    return list(node.names) if isinstance(node, ast.Global) else []


def _is_private(function: ast.FunctionDef, name: str) -> bool:
    """Whether functions that mention the variable are plain ones that are only called."""
    for scope in _scopes(function):
        if not _mentions(scope, name):
            continue
        if not isinstance(scope, ast.FunctionDef) or scope not in function.body:
            return False
        called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id == scope.name and id(node) not in called:
                return False
        makers = [s for s in _scopes(function) if getattr(s, "name", None) == scope.name]
        if scope.decorator_list or len(makers) > 1:
            return False
    return True


def _scopes(function: ast.FunctionDef) -> Iterator[Scope]:
    """The functions in a function."""
    for node in ast.walk(function):
        if isinstance(node, SCOPES) and node is not function:
            yield node


def _own(scope: Scope) -> Iterator[ast.AST]:
    """What is in a function, but not in functions in it."""
    todo: list[ast.AST] = [scope.body] if isinstance(scope, ast.Lambda) else list(scope.body)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, SCOPES):
            todo += ast.iter_child_nodes(node)


class _Replacer(ast.NodeTransformer):
    """Puts the element of the list in place of a variable, but where it is bound first."""

    def __init__(self, name: str, first: ast.Assign) -> None:
        self.name = name
        self.first = first

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        return node if node is self.first else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id != self.name:
            return node
        zero = ast.copy_location(ast.Constant(value=0), node)
        element = ast.Subscript(value=_box(self.name, node, ast.Load()), slice=zero, ctx=node.ctx)
        return ast.copy_location(element, node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [name for name in node.names if name != self.name]
        return node if node.names else ast.copy_location(ast.Pass(), node)
