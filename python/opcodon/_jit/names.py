"""Which names of a function are its own, and how they are bound.

What a name means is decided for a whole function before any of its statements: a name that is
bound anywhere in it is a local everywhere. Nested functions, lambdas and classes are not entered,
but the names they read are remembered: a local that a nested function may read later cannot live
in a register alone.
"""

from __future__ import annotations

import ast

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LOOPS = (ast.For, ast.AsyncFor, ast.While)

# Callees that look at the frame of their caller. Native code has none, and a resumed function's
# has other locals.
FRAME_READERS = frozenset({"locals", "vars", "dir", "eval", "exec"})


class Refused(Exception):
    """The function as a whole cannot be compiled; the message says why."""


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
    settled
        Locals bound exactly once and outside of loops: once bound, they do not change.
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
        self._bindings: dict[str, int] = dict.fromkeys(self.params, 1)
        body: list[ast.AST] = (
            [function.body] if isinstance(function, ast.Lambda) else list(function.body)
        )
        self._walk(body)
        self.locals = [name for name in self._bindings if name not in self.outer]
        self.settled = {
            name
            for name, count in self._bindings.items()
            if count == 1 and name not in self.deleted and name not in self.shared
        }

    def _walk(self, body: list[ast.AST]) -> None:
        # (node, inside a loop); popped from the end, so children are pushed in reverse.
        stack = [(node, False) for node in reversed(body)]
        while stack:
            node, looped = stack.pop()
            kind = type(node)
            if kind is ast.Name:
                assert isinstance(node, ast.Name)
                if type(node.ctx) is not ast.Load:
                    self._bind(node.id, looped)
                    if type(node.ctx) is ast.Del:
                        self.deleted.add(node.id)
                continue
            if isinstance(node, ast.NamedExpr):
                self.walrus.add(node.target.id)
            if isinstance(node, (ast.Yield, ast.YieldFrom)):
                raise Refused("it is a generator")
            if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
                raise Refused("it is asynchronous")
            children: list[ast.AST]
            if isinstance(node, SCOPES):
                children = self._nested(node, looped)
            elif isinstance(node, COMPREHENSIONS):
                # Targets are names of the comprehension; a walrus in it binds in the function.
                children = [child for child in ast.iter_child_nodes(node)]
                children = [
                    part
                    for child in children
                    for part in (
                        (child.iter, *child.ifs)
                        if isinstance(child, ast.comprehension)
                        else (child,)
                    )
                ]
                looped = True
            else:
                self._declare(node, looped)
                looped = looped or isinstance(node, LOOPS)
                children = list(ast.iter_child_nodes(node))
            stack.extend((child, looped) for child in reversed(children))

    def _bind(self, name: str, looped: bool) -> None:
        self._bindings[name] = self._bindings.get(name, 0) + (2 if looped else 1)

    def _declare(self, node: ast.AST, looped: bool) -> None:
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            self.outer.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                self._bind(alias.asname or alias.name.partition(".")[0], looped)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self._bind(node.name, looped)
            self.deleted.add(node.name)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            self._bind(node.name, looped)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            self._bind(node.rest, looped)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in FRAME_READERS
        ):
            raise Refused(f"{node.func.id}() looks at the frame of its caller")

    def _nested(self, node: ast.AST, looped: bool) -> list[ast.AST]:
        """What of a nested scope is evaluated here: decorators, defaults, base classes."""
        if isinstance(node, ast.ClassDef):
            self._bind(node.name, looped)
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
            self._bind(node.name, looped)
            here += node.decorator_list
            self.shared.update(
                name
                for inner in ast.walk(node)
                if isinstance(inner, ast.Nonlocal)
                for name in inner.names
            )
        return here
