"""Exception handlers that machine code goes on in.

`raise ValueError(x)` in a try statement with a handler for it, whose name nobody uses, is a jump to
the handler. So is a division by zero, or an item that is not there, where machine code sees it
coming (an operation `fails`, which is false in Python). The handler stands at each such place;
machine code runs of it what nobody can tell from being in a handler, and leaves before anything
else. Python then raises the exception, and goes on in the middle of the handler.

What other statements in the body raise is *caught* (an `Attempt`): the handlers stand once more,
behind the body, and the exception is kept until they are done, for Python to raise it again.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator

from opcodon._jit.expressions import Resolver
from opcodon._jit.form import (
    Atom,
    Attempt,
    Block,
    Form,
    Handled,
    If,
    Operation,
    Piece,
    Simple,
)
from opcodon._jit.names import Names
from opcodon._jit.python_form import PythonForm
from opcodon._jit.tools import INDEX_ERROR_NAME, KEY_ERROR_NAME
from opcodon._jit.turns import TurnsNormaliser

# Classes whose calls with any arguments do nothing but make an exception.
PLAIN = frozenset(
    {
        "ArithmeticError",
        "AssertionError",
        "Exception",
        "IndexError",
        "KeyError",
        "LookupError",
        "NotImplementedError",
        "OverflowError",
        "RuntimeError",
        "TypeError",
        "ValueError",
        "ZeroDivisionError",
    }
)
# Operations that machine code can see failing, and how.
DIVISIONS = frozenset({"floordiv", "mod", "truediv"})
ITEMS = {"index": IndexError, "key": KeyError}
# Places in one try statement beyond which others are left to Python, and what a handler is made of.
N_PLACES_MAX = 6
N_STATEMENTS_MAX = 12
SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.Pass)
JUMPS = (ast.Break, ast.Continue, ast.Return)

# Of each handler the classes it is for, as atoms and, of builtins, as what they are.
Kinds = list[tuple[Atom, type[BaseException] | None]]
Caught = list[tuple[Kinds, ast.ExceptHandler]]


class Handlers:
    """The body of a try statement whose handlers stand where exceptions are raised.

    Attributes
    ----------
    caught
        Its handlers, with what each is for.
    left
        The locals that say that a loop around is to be left, or to go on with its next turn.
    jumps
        Which of these there are.
    n_places
        How many more places may have a handler.
    """

    def __init__(self, caught: Caught, left: dict[str, int]) -> None:
        self.caught = caught
        self.left = left
        self.jumps: set[str] = set()
        self.n_places = N_PLACES_MAX

    def handler(self, kind: type[BaseException]) -> ast.ExceptHandler | None:
        """The handler for exceptions of exactly this class, if nobody uses its name."""
        for kinds, handler in self.caught:
            classes = [each for _, each in kinds if each is not None]
            if len(classes) < len(kinds):
                return None
            if issubclass(kind, tuple(classes)):
                return None if handler.name else handler
        return None


def _is_simple(handler: ast.ExceptHandler) -> bool:
    """Whether a handler's statements may stand elsewhere."""
    last = handler.body[-1]
    found = [part for each in handler.body for part in ast.walk(each) if isinstance(part, ast.stmt)]
    inner = [part for part in found if part is not last]
    return (
        len(found) <= N_STATEMENTS_MAX
        and all(isinstance(part, SIMPLE) for part in inner)
        and isinstance(last, (*SIMPLE, *JUMPS))
    )


class HandlersNormaliser(TurnsNormaliser):
    """Expressions and loops over generators, and handlers where exceptions are raised."""

    def __init__(self, form: Form, names: Names, resolver: Resolver) -> None:
        super().__init__(form, names, resolver)
        # The try statement that these statements are in the body of, if its handlers can be there.
        self.once: Handlers | None = None

    def caught(self, node: ast.Try) -> Caught | None:
        """The handlers of a try statement, if they can stand elsewhere."""
        if node.finalbody or not node.handlers:
            return None
        caught: Caught = []
        names = [part for part in ast.walk(self.syntax) if isinstance(part, ast.Name)]
        for handler in node.handlers:
            kinds = self._kinds(handler.type)
            name, is_used = handler.name, any(part.id == handler.name for part in names)
            if not kinds or name in self.names.outer or not _is_simple(handler):
                return None
            if is_used and not _keeps_name(handler):
                return None
            if name is not None and not is_used:
                unnamed = ast.ExceptHandler(handler.type, None, handler.body)
                handler = ast.copy_location(unnamed, handler)
            caught.append((kinds, handler))
        return caught

    def _kinds(self, node: ast.expr | None) -> Kinds:
        """The classes that a handler is for; none if one of them is not the same for good."""
        kinds: Kinds = []
        for part in node.elts if isinstance(node, ast.Tuple) else [node]:
            name = None if part is None else self.builtin(part)
            kind = None if name is None else getattr(builtins, name)
            path = name if part is None or name else self._outer_path(part)
            is_class = isinstance(kind, type) and issubclass(kind, BaseException)
            if path is None or (name is not None and not is_class):
                return []
            kinds.append((self.frozen(path), kind))
        return kinds

    def _outer_path(self, node: ast.expr) -> str | None:
        """A global name, or one in a module, that is frozen."""
        if not isinstance(node, ast.Name):
            return self.module_path(node)
        is_known = not self.is_local(node.id) and node.id not in self.names.outer
        return node.id if is_known and self.resolver.exists(node.id) else None

    def raised(self, node: ast.Raise) -> bool:
        """A raise statement as a jump to its handler; False if it is none."""
        call = node.exc
        once = self.once
        if once is None or self.crossed[-1:] != ["once"] or call is None or node.cause is not None:
            return False
        function = call.func if isinstance(call, ast.Call) else call
        arguments = call.args if isinstance(call, ast.Call) else []
        starred = any(isinstance(part, ast.Starred) for part in arguments)
        if starred or (isinstance(call, ast.Call) and call.keywords):
            return False
        name = self.builtin(function)
        handler = once.handler(getattr(builtins, name)) if name in PLAIN and name else None
        if handler is None or not once.n_places:
            return False
        assert name is not None
        self.frozen(name)
        atoms, _ = self.operands(arguments)

        def cause(writer: PythonForm, kept: list[Atom]) -> list[ast.stmt]:
            values = [writer.atom(atom) for atom in kept]
            made = ast.Call(func=writer.load(name), args=values, keywords=[])
            exception = writer.at(made) if isinstance(call, ast.Call) else writer.load(name)
            return [writer.at(ast.Raise(exc=exception, cause=None))]

        self.handle(node, once, handler, atoms, cause)
        return True

    def attempt(self, node: ast.Try, caught: Caught, body: Block) -> Attempt:
        """The body of a try statement and its handlers."""
        kinds = [(number, atom) for number, (each, _) in enumerate(caught) for atom, _ in each]
        # What is raised in there is first for the inner statement.
        parts = [part for each in node.body for part in ast.walk(each)]
        if any(isinstance(part, (ast.Try, ast.With)) for part in parts):
            kinds = []
        targets = (self.temporary(), self.temporary(), self.temporary())
        attempt = Attempt(node, kinds, targets, body)

        def handlers(number: int) -> None:
            handler = caught[number][1]

            def this() -> None:
                self._catch(attempt, handler)

            if number + 1 == len(caught):
                this()
                return
            which = {"l": attempt.which}
            is_this = self.set(handler, {"cmp": "eq", "a": which, "b": {"i": number}})
            self.branch(handler, is_this, this, lambda: handlers(number + 1))

        attempt.handler = self.inside(lambda: handlers(0))
        return attempt

    def _catch(self, attempt: Attempt, handler: ast.ExceptHandler) -> None:
        """Append a handler for an exception that is caught."""
        error, kept = {"l": attempt.error}, [attempt.error, attempt.at]
        head: Block = []
        if handler.name is not None:
            # In Python the except clause binds it.
            named = {"s": "set", "to": self.index[handler.name], "e": {"atom": error}}
            head = [Piece(None, [Simple(handler, named, [])])]
            self.bind(handler.name)
        body = [*head, *self.block(handler.body)]
        if not isinstance(handler.body[-1], JUMPS):
            body.append(Piece(None, [Simple(handler, {"s": "break"}, [])]))
        for node in _leaves(body):
            node.data["reads"] = sorted({*node.data["reads"], *kept})
        last = body[-1].body
        end = last.pop()
        assert isinstance(end, Simple)
        if end.data["s"] == "leave":
            last.append(end)
            self.out.append(Handled(attempt.where, attempt, handler, body))
            return
        if end.data["s"] == "return" and _is_named(end.data["a"]):
            # Reading it may fail, for which there has to be an exception.
            to = self.temporary()
            last.append(Simple(end.where, {"s": "set", "to": to, "e": {"atom": end.data["a"]}}))
            end.data["a"] = {"l": to}
        done = {"s": "handled", "error": error, "at": {"l": attempt.at}}
        last.append(Simple(end.where, done, []))
        if handler.name is not None:
            last.append(Simple(end.where, {"s": "unset", "l": self.index[handler.name]}, []))
        last.append(end)
        self.out.append(Handled(attempt.where, attempt, handler, body))

    def comprehension(
        self, generators: list[ast.comprehension], innermost: Callable[[], None]
    ) -> None:
        """Append the loops of a comprehension, which no jump out of a try statement leaves."""
        once, self.once = self.once, None
        try:
            super().comprehension(generators, innermost)
        finally:
            self.once = once

    def set(self, where: ast.AST, operation: Operation, to: int | None = None) -> Atom:
        """Append `to = operation`, and before it the handler for its failing."""
        once = self.once
        if once is not None and self.crossed[-1:] == ["once"]:
            if not DIVISIONS.isdisjoint((operation.get("bin"), operation.get("ibin"))):
                self._seen_failing(where, once, "zero", ZeroDivisionError, operation)
            elif "item" in operation and "l" in operation["of"]:
                for kind, exception in ITEMS.items():
                    self._seen_failing(where, once, kind, exception, operation)
        return super().set(where, operation, to)

    def _seen_failing(
        self,
        where: ast.AST,
        once: Handlers,
        kind: str,
        exception: type[BaseException],
        operation: Operation,
    ) -> None:
        handler = once.handler(exception)
        names = ("of", "item") if "of" in operation else ("a", "b")
        atoms = [operation[name] for name in names]
        if handler is None or not once.n_places or not all(map(_is_atom, atoms)):
            return

        def cause(writer: PythonForm, kept: list[Atom]) -> list[ast.stmt]:
            def raising(name: str, argument: ast.expr) -> ast.stmt:
                made = ast.Call(func=writer.load(name), args=[argument], keywords=[])
                return writer.at(ast.Raise(exc=writer.at(made), cause=None))  # type: ignore[no-any-return]

            if kind == "key":
                return [raising(KEY_ERROR_NAME, writer.atom(kept[-1]))]
            failing = {**operation, **dict(zip(names, kept, strict=True))}
            statement = writer.at(ast.Expr(value=writer.operation(failing)))
            if kind == "zero":
                return [statement]
            # The handler may have made the sequence longer.
            text = writer.at(ast.Constant(value="list index out of range"))
            return [statement, raising(INDEX_ERROR_NAME, text)]

        self.once = None
        fails = self.set(where, {"fails": kind, "a": atoms[0], "b": atoms[1]})
        self.once = once
        bound = set(self.bound)
        # Of a key that is not there it does not matter where; that may be a table nobody else sees.
        needed = atoms[1:] if kind == "key" else atoms
        block = self.inside(lambda: self.handle(where, once, handler, needed, cause))
        self.bound = bound
        self.out.append(If(where, fails, block, []))

    def handle(
        self,
        where: ast.AST,
        once: Handlers,
        handler: ast.ExceptHandler,
        atoms: list[Atom],
        cause: Callable[[PythonForm, list[Atom]], list[ast.stmt]],
    ) -> None:
        """Append a handler where an exception is raised; `cause` raises it, of kept atoms."""
        once.n_places -= 1
        self.once = None
        # The handler may bind names anew that the exception was made of; globals may be unbound.
        kept = [self.set(where, {"atom": atom}) if _is_named(atom) else atom for atom in atoms]
        writer = PythonForm(self.form)
        writer.where = where
        statements = cause(writer, kept)
        body: Block = self.block(handler.body)
        if not isinstance(handler.body[-1], JUMPS):
            body.append(Piece(None, [Simple(where, {"s": "break"}, [])]))
        _keep(where, [atom["l"] for atom in kept if "l" in atom], body)
        self.once = once
        self.out.append(Handled(where, statements, handler, body))


def _keeps_name(handler: ast.ExceptHandler) -> bool:
    """Whether a handler leaves its name alone."""
    return not any(
        isinstance(part, ast.Name)
        and part.id == handler.name
        and not isinstance(part.ctx, ast.Load)
        for each in handler.body
        for part in ast.walk(each)
    )


def _is_atom(atom: Atom) -> bool:
    return "slice" not in atom and "tuple" not in atom


def _is_named(atom: Atom) -> bool:
    return "l" in atom or "g" in atom


def _keep(where: ast.AST, kept: list[int], body: Block) -> None:
    """Make every way out of a handler read these locals, so that Python finds them there."""
    if not kept:
        return
    for node in _leaves(body):
        node.data["reads"] = sorted({*node.data["reads"], *kept})
    keep = {"s": "expr", "e": {"tuple": [{"l": local} for local in kept]}}
    last = body[-1].body
    last.insert(len(last) - 1, Simple(where, keep, []))


def _leaves(body: Block) -> Iterator[Simple]:
    """The statements that are left to Python."""
    for piece in body:
        for node in piece.body:
            if isinstance(node, If):
                yield from _leaves(node.then)
                yield from _leaves(node.orelse)
            elif isinstance(node, Simple) and node.data["s"] == "leave":
                yield node
