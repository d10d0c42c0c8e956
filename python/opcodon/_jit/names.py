"""Which names of a function are its own, and how they are bound.

What a name means is decided for a whole function before any of its statements: a name that is
bound anywhere in it is a local everywhere. Nested functions, lambdas and classes are not entered,
but the names they read are remembered: a local that a nested function may read later cannot live
in a register alone.
"""

from __future__ import annotations

import ast
from typing import Any

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LOOPS = (ast.For, ast.AsyncFor, ast.While)

# Callees that look at the frame of their caller. Native code has none, and a resumed function's
# has other locals.
FRAME_READERS = frozenset({"locals", "vars", "dir", "eval", "exec"})


class RefusedError(Exception):
    """The function as a whole cannot be compiled; the message says why."""


Place = tuple[int, int]
Loops = tuple[int, ...]


def _start(node: Any) -> Place:
    return node.lineno, node.col_offset


def _end(node: Any) -> Place:
    return node.end_lineno, node.end_col_offset


class Names:
    """The names of one function.

    Attributes
    ----------
    params
        Parameters in the order of `co_varnames`.
    locals
        All locals, parameters first, then in the order in which they are met.
    outer
        Names declared global or nonlocal.
    deleted
        Locals that some statement unbinds.
    walrus
        Names bound by assignment expressions.
    shared
        Locals that a nested function may bind.
    """

    def __init__(self, function: ast.FunctionDef | ast.Lambda) -> None:
        arguments = function.args
        self.kwonly = [a.arg for a in arguments.kwonlyargs]
        self.params = [a.arg for a in (*arguments.posonlyargs, *arguments.args)] + self.kwonly
        self.vararg = arguments.vararg.arg if arguments.vararg else None
        self.kwarg = arguments.kwarg.arg if arguments.kwarg else None
        self.params += [name for name in (self.vararg, self.kwarg) if name is not None]
        self.outer: set[str] = set()
        self.deleted: set[str] = set()
        self.shared: set[str] = set()
        self.walrus: set[str] = set()
        # Where each local is bound: the end of the binding, and the loops around it.
        self._bindings: dict[str, list[tuple[Place, Loops]]] = {
            name: [((0, 0), ())] for name in self.params
        }
        self._loops: dict[int, Loops] = {}
        body: list[ast.AST] = (
            [function.body] if isinstance(function, ast.Lambda) else list(function.body)
        )
        self._walk(body)
        self.locals = [name for name in self._bindings if name not in self.outer]

    def settled(self, name: str, node: ast.AST, *, by_itself: bool = False) -> bool:
        """Whether a local is not bound any more once a nested function has been made.

        With `by_itself`, the nested function's own binding does not count.
        """
        if name in self.deleted or name in self.shared:
            return False
        loops = self._loops.get(id(node), ())
        bindings = self._bindings[name]
        if by_itself:
            return len(bindings) == 1
        return all(
            place <= _start(node) and not set(around).intersection(loops)
            for place, around in bindings
        )

    def is_plain(self, name: str) -> bool:
        """Whether a local is bound by plain statements only: not in expressions or elsewhere."""
        return name not in self.deleted | self.shared | self.walrus

    def _walk(self, body: list[ast.AST]) -> None:
        # (node, loops around, the end of the statement if that is when names are bound);
        # popped from the end, so children are pushed in reverse.
        stack: list[tuple[ast.AST, Loops, Place | None]] = [
            (node, (), None) for node in reversed(body)
        ]
        while stack:
            node, loops, bound_at = stack.pop()
            kind = type(node)
            if kind is ast.Name:
                assert isinstance(node, ast.Name)
                if type(node.ctx) is not ast.Load:
                    self._bind(node.id, bound_at or _start(node), loops)
                    if type(node.ctx) is ast.Del:
                        self.deleted.add(node.id)
                continue
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                bound_at = _end(node)
            if isinstance(node, ast.NamedExpr):
                self.walrus.add(node.target.id)
                bound_at = _end(node)
            if isinstance(node, (ast.Yield, ast.YieldFrom)):
                raise RefusedError("it is a generator")
            if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
                raise RefusedError("it is asynchronous")
            children: list[ast.AST]
            if isinstance(node, SCOPES):
                self._loops[id(node)] = loops
                children = self._nested(node, loops)
            elif isinstance(node, COMPREHENSIONS):
                self._loops[id(node)] = loops
                loops = (*loops, id(node))
                # Targets are names of the comprehension; a walrus in it binds in the function.
                children = []
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.comprehension):
                        children += [child.iter, *child.ifs]
                    else:
                        children.append(child)
            else:
                self._declare(node, loops)
                if isinstance(node, LOOPS):
                    loops = (*loops, id(node))
                children = list(ast.iter_child_nodes(node))
            stack.extend((child, loops, bound_at) for child in reversed(children))

    def _bind(self, name: str, place: Place, loops: Loops) -> None:
        self._bindings.setdefault(name, []).append((place, loops))

    def _declare(self, node: ast.AST, loops: Loops) -> None:
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            self.outer.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                self._bind(alias.asname or alias.name.partition(".")[0], _end(node), loops)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self._bind(node.name, _end(node), loops)
            self.deleted.add(node.name)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            self._bind(node.name, _end(node), loops)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            self._bind(node.rest, _end(node), loops)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in FRAME_READERS
        ):
            raise RefusedError(f"{node.func.id}() looks at the frame of its caller")

    def _nested(self, node: ast.AST, loops: Loops) -> list[ast.AST]:
        """What of a nested scope is evaluated here: decorators, defaults, base classes."""
        if isinstance(node, ast.ClassDef):
            self._bind(node.name, _end(node), loops)
            self.shared.update(
                name
                for inner in ast.walk(node)
                if isinstance(inner, ast.Nonlocal)
                for name in inner.names
            )
            return [*node.decorator_list, *node.bases, *node.keywords]
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        here: list[ast.AST] = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        if not isinstance(node, ast.Lambda):
            self._bind(node.name, _end(node), loops)
            here += node.decorator_list
            self.shared.update(
                name
                for inner in ast.walk(node)
                if isinstance(inner, ast.Nonlocal)
                for name in inner.names
            )
        return here


def own_names(node: ast.AST) -> set[int]:
    """The uses, by identity, of names that a nested function binds itself."""
    if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
        return set()
    try:
        bound = set(Names(node).locals)
    except RefusedError:
        return set()
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    return {
        id(inner)
        for part in body
        for inner in ast.walk(part)
        if isinstance(inner, ast.Name) and inner.id in bound
    }
