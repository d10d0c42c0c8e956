"""Python functions that take a call over in the middle.

Machine code that cannot go on leaves *before* a statement of the normal form, with the values of
all locals and the iterators of the loops it is in. The function built here continues at that
statement, so that nothing is done twice, and whatever comes (an exception, a huge integer, an
object of another type) is CPython's own doing.

The function is the source's, except along the way from the top to the statement: there it holds
only what is still to do. Of a loop around the statement there is the rest of the interrupted turn,
in a loop of one turn, and behind it, unless that is left by `break`, the source's loop with the
turns to come::

    for x in xs:            for .first in (unset,):
        a(x)                    b(x)
        b(x)   # <- here    else:
                                for x in iterator:
                                    a(x)
                                    b(x)
"""

from __future__ import annotations

import ast
import enum
from collections import Counter
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

from opcodon._jit.form import (
    Attempt,
    Block,
    For,
    Form,
    Handled,
    If,
    Loop,
    Node,
    Once,
    Piece,
    Simple,
    Try,
    Turn,
    Turns,
    With,
)
from opcodon._jit.python_form import PythonForm
from opcodon._jit.source import compile_function, parameters, requalified
from opcodon._jit.tools import (
    ADVANCED_NAME,
    EXCEPTION_NAME,
    TOOLS,
    UNSET_NAME,
    VALUES_NAME,
    WITHOUT_HELPER_NAME,
)


class Mode(enum.IntEnum):
    """Where a resumed function continues, relative to the statement."""

    BEFORE = 0
    AFTER = 1
    RAISED = 2
    # Nothing is continued: the function only puts itself into the traceback of an exception.
    CAUGHT = 3


def resumed(form: Form, function: FunctionType, statement: int, mode: Mode) -> FunctionType:
    """The function that continues at a statement.

    Parameters
    ----------
    form
        The normal form of `function`.
    function
        The function itself, for its name, globals and closure.
    statement
        The id of the statement.
    mode
        Whether the statement is still to do, is done, or raised an exception, which it may be
        that machine code has caught.

    Returns
    -------
    function
        Takes a list of the values of all locals (`UNSET` where unbound), the iterators of the `for`
        loops around the statement from the outermost to the innermost, and for `Mode.RAISED` the
        exception. It empties the list, as whoever calls a function keeps its arguments: what a
        local held has to die when the local is bound again. In a method that may call `super()` the
        value of the first parameter comes before. For `Mode.CAUGHT` it takes the exception.
    """
    resumption = Resumption(form, mode)
    if mode is Mode.CAUGHT:
        names, body = [EXCEPTION_NAME], resumption.caught(statement)
    else:
        body = resumption.body(statement)
        names, body = [VALUES_NAME], [*resumption.prologue(), *body]
        if "__class__" in function.__code__.co_freevars and form.params:
            # `super()` asks for the first argument.
            names.insert(0, form.params[0])
    syntax = ast.FunctionDef(
        name="resumed",
        args=parameters(names),
        body=body,
        decorator_list=[],
        returns=None,
        lineno=form.line,
        col_offset=0,
        end_lineno=form.line,
        end_col_offset=0,
    )
    free = [*function.__code__.co_freevars, *TOOLS]
    return with_scope(compile_function(syntax, free, form.file), function)


def with_scope(code: CodeType, function: FunctionType, name: str | None = None) -> FunctionType:
    """A function of this code with the globals and closure of another, and its name if none."""
    qualified = f"{function.__qualname__}.<locals>.{name}" if name else function.__qualname__
    code = requalified(code, qualified).replace(co_name=name or function.__code__.co_name)
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    closure = tuple(cells.get(name) or CellType(TOOLS[name]) for name in code.co_freevars)
    made = FunctionType(code, function.__globals__, name or function.__name__, None, closure)
    made.__qualname__ = qualified
    return made


class Resumption(PythonForm):
    """Writes what is left to do from a statement on."""

    def __init__(self, form: Form, mode: Mode) -> None:
        super().__init__(form)
        self.mode = mode
        self.iterators: list[str] = []
        self._n_loops = 0
        self._n_uses = _uses(form.body)
        # The way leads through a handler that stands where an exception is raised.
        self._is_handled = False

    def prologue(self) -> list[ast.stmt]:
        """Declarations, and statements that bind the locals that are bound."""
        self.where = ast.Pass(lineno=self.form.line, col_offset=0)
        self.where.end_lineno, self.where.end_col_offset = self.form.line, 0
        statements: list[ast.stmt] = [
            self.at(kind(names=names)) for kind, names in self.form.outer if names
        ]
        names = [*self.form.locals, *self.iterators]
        if self.mode is Mode.RAISED:
            names.append(EXCEPTION_NAME)
        targets = self.at(ast.Tuple(elts=[self.store(name) for name in names], ctx=ast.Store()))
        statements.append(self.at(ast.Assign(targets=[targets], value=self.load(VALUES_NAME))))
        statements.append(self.at(ast.Expr(value=self._call_of(VALUES_NAME, "clear"))))
        for name in self.iterators:
            own = self.at(ast.List(elts=[self.load(name)], ctx=ast.Load()))
            statements.append(self.at(ast.Assign(targets=[self.store(name)], value=own)))
        for name in self.form.unbindable:
            test = ast.Compare(
                left=self.load(name), ops=[ast.Is()], comparators=[self.load(UNSET_NAME)]
            )
            unbind = self.at(ast.Delete(targets=[self.at(ast.Name(id=name, ctx=ast.Del()))]))
            statements.append(self.at(ast.If(test=self.at(test), body=[unbind], orelse=[])))
        return statements

    def _call_of(self, name: str, method: str) -> ast.expr:
        of = self.at(ast.Attribute(value=self.load(name), attr=method, ctx=ast.Load()))
        return self.at(ast.Call(func=of, args=[], keywords=[]))  # type: ignore[no-any-return]

    def body(self, statement: int) -> list[ast.stmt]:
        """What is left to do from the statement of this id on."""
        way = _way(self.form.body, statement)
        if way is None:
            raise LookupError(f"{self.form.name} has no statement {statement}")
        return self.rest(self.form.body, way) or [self.pass_(self.form.nodes[statement])]

    def caught(self, statement: int) -> list[ast.stmt]:
        """Raises the exception where the statement stands, and catches it."""
        node = self.form.nodes[statement]
        raised = self.target(node)
        anything = self.at(ast.ExceptHandler(type=None, name=None, body=[self.pass_(node)]))
        return [self.at(ast.Try(body=raised, handlers=[anything], orelse=[], finalbody=[]))]

    def rest(self, block: Block, way: list[Step]) -> list[ast.stmt]:
        """What is left of a block."""
        (k, n, branch), *inner = way
        piece = block[k]
        node = piece.body[n]
        later = self.block(block[k + 1 :])
        if branch is None and n == 0 and self.mode is Mode.BEFORE and piece.origin is not None:
            return [piece.origin, *later]
        if branch is None and self.mode is Mode.RAISED:
            # An exception that is in a temporary would be kept by its own traceback.
            return [*self._forgotten(piece), *self.target(node)]
        here = self.target(node) if branch is None else self.enter(node, branch, inner)
        if self._is_handled:
            # Nothing follows a handler in the body of its try statement.
            return here
        for following in piece.body[n + 1 :]:
            here += self.node(following)
        return here + self._forgotten(piece) + later

    def _forgotten(self, piece: Piece) -> list[ast.stmt]:
        """Statements by which temporaries keep nothing once a statement of the source is done."""
        names = [
            self.local(number)
            for number, count in _uses([piece]).items()
            if count == self._n_uses[number]
        ]
        targets: list[ast.expr] = [self.store(name) for name in names if name.startswith(".t")]
        if not targets:
            return []
        nothing = self.at(ast.Constant(value=None))
        return [self.at(ast.Assign(targets=targets, value=nothing))]

    def target(self, node: Node) -> list[ast.stmt]:
        """The statement that is continued at."""
        if self.mode is Mode.BEFORE:
            if isinstance(node, Simple) and node.data["s"] == "raise" and "l" in node.data["a"]:
                raised = self.local(node.data["a"]["l"])
                if raised.startswith(".t"):
                    self.where = node.where
                    return [self._raise(raised)]
            return list(self.node(node))
        if self.mode is Mode.AFTER:
            return []
        self.where = node.where
        return [self._raise(EXCEPTION_NAME, has_entry=_has_helper(node))]

    def _raise(self, name: str, *, has_entry: bool = False) -> ast.stmt:
        """Raise an exception that the frame in its traceback does not keep.

        Its traceback begins with an entry for what the statement has called, or for itself, if it
        has one.
        """
        exception = self.load(name)
        if has_entry:
            call = ast.Call(func=self.load(WITHOUT_HELPER_NAME), args=[exception], keywords=[])
            exception = self.at(call)
        raised = self.at(ast.Raise(exc=exception, cause=None))
        forgotten = self.at(ast.Name(id=name, ctx=ast.Del()))
        forgetting = self.at(ast.Delete(targets=[forgotten]))
        return self.at(  # type: ignore[no-any-return]
            ast.Try(body=[raised], handlers=[], orelse=[], finalbody=[forgetting])
        )

    def _raise_again(self, attempt: Attempt) -> list[ast.stmt]:
        """Raise an exception that machine code has caught, where it was raised."""
        places: dict[tuple[object, ...], tuple[ast.AST, bool, list[int]]] = {}
        for node in _nodes(attempt.body):
            where: Any = node.where
            place = (where.lineno, where.col_offset, where.end_lineno, where.end_col_offset)
            # What machine code has made a traceback for is told by a negative number.
            for number, has_entry in ((node.id, _has_helper(node)), (-1 - node.id, True)):
                _, _, numbers = places.setdefault((*place, has_entry), (where, has_entry, []))
                numbers.append(number)
        chain: list[ast.stmt] = []
        for where, has_entry, numbers in places.values():
            self.where = where
            raised = self._raise(self.local(attempt.error), has_entry=has_entry)
            each = [self.at(ast.Constant(value=number)) for number in numbers]
            known = self.at(ast.Tuple(elts=each, ctx=ast.Load()))
            at = self.load(self.local(attempt.at))
            test = self.at(ast.Compare(left=at, ops=[ast.In()], comparators=[known]))
            chain = [self.at(ast.If(test=test, body=[raised], orelse=chain))]
        return chain

    def enter(self, node: Node, branch: str, way: list[Step]) -> list[ast.stmt]:
        """What is left of a compound statement that is continued in one of its blocks."""
        if isinstance(node, Loop):
            return self._enter_loop(node, way)
        if isinstance(node, For) and branch == "body":
            iterator = f".iterator{len(self.iterators)}"
            self.iterators.append(iterator)
            self.where = node.where
            # It is in a list of its own, which does not keep it.
            items = self._call_of(iterator, "pop")
            return self._enter_for(node, items, self.rest(node.body, way))
        if isinstance(node, Turns) and branch == "around":
            return self._enter_turns(node, way)
        rest = self.rest(getattr(node, branch), way)
        if isinstance(node, Handled):
            self._is_handled = True
            self.where = node.where
            body = rest or [self.pass_(node)]
            name, cause = None, node.cause
            if isinstance(cause, Attempt):
                name, cause = node.handler.name, self._raise_again(cause)
            caught = ast.ExceptHandler(type=node.handler.type, name=name, body=body)
            handlers = [ast.copy_location(caught, node.handler)]
            self.where = node.where
            raised = ast.Try(body=cause, handlers=handlers, orelse=[], finalbody=[])
            return [self.at(raised)]
        if isinstance(node, Try) and self._is_handled:
            self._is_handled = False
            return rest
        if isinstance(node, Try):
            self.where = node.where
            if branch == "body":
                return [self.at(self.try_(node, rest))]
            final = node.statement.finalbody
            if branch == "orelse" and final:
                body = rest or [self.pass_(node)]
                ending = ast.Try(body=body, handlers=[], orelse=[], finalbody=final)
                return [self.at(ending)]
        if isinstance(node, With) and branch == "body":
            return [self.at(self.with_(node, rest))]
        return rest

    def _enter_loop(self, node: Loop, way: list[Step]) -> list[ast.stmt]:
        rest = self.rest(node.body, way)
        body = self.block(node.body)
        self.where = node.where
        loop = ast.While(test=self.at(ast.Constant(value=True)), body=body, orelse=[])
        return self._begun(node, rest, self.at(loop))

    def _begun(self, node: Node, rest: list[ast.stmt], loop: ast.stmt) -> list[ast.stmt]:
        """The rest of a turn of a loop, and its other turns."""
        first = f".first{self._n_loops}"
        self._n_loops += 1
        once = self.at(ast.Tuple(elts=[self.load(UNSET_NAME)], ctx=ast.Load()))
        turn = ast.For(
            target=self.store(first), iter=once, body=rest or [self.pass_(node)], orelse=[loop]
        )
        return [self.at(turn)]

    def _enter_turns(self, node: Turns, way: list[Step]) -> list[ast.stmt]:
        """Goes on with a generator that has come as far."""
        block, inner = node.around, list(way)
        each: Node = node
        rest = None
        while inner and rest is None:
            (k, n, branch), *inner = inner
            each = block[k].body[n]
            if branch is None:
                break
            block = getattr(each, branch)
            if isinstance(each, For) and branch == "body":
                # The generator has an iterator of its own.
                self.iterators.append(f".iterator{len(self.iterators)}")
            if isinstance(each, Turn):
                rest = self.rest(block, inner)
        if rest is None and self.mode is Mode.RAISED and isinstance(each, (For, Loop)):
            # Somebody interrupts a loop of the generator. What a statement raises is raised again.
            self.where = node.where
            return [self._raise(EXCEPTION_NAME)]
        self.where = node.where
        generator, count, *arguments = map(self.atom, (node.generator, node.count, *node.arguments))
        if self._is_counted(node, each):
            one = self.at(ast.Constant(value=1))
            count = self.at(ast.BinOp(left=count, op=ast.Sub(), right=one))
        arguments = [generator, count, *arguments]
        items = self.at(ast.Call(func=self.load(ADVANCED_NAME), args=arguments, keywords=[]))
        if rest is None:
            loop = [self.at(self.turns(node, items))]
            if node.left is None:
                return loop
            is_left = self.load(self.local(node.left))
            return [self.at(ast.If(test=is_left, body=[self.pass_(node)], orelse=loop))]
        return self._enter_for(node, items, rest)

    def _is_counted(self, turns: Turns, node: Node) -> bool:
        """Whether a turn was counted and has not begun."""
        if isinstance(node, Loop) and self.mode is Mode.BEFORE:
            return any(isinstance(each, Turn) for each in node.body[0].body)
        is_count = isinstance(node, Simple) and node.data.get("to") == turns.count["l"]
        return is_count and self.mode is Mode.AFTER

    def _enter_for(
        self, node: For | Turns, items: ast.expr, rest: list[ast.stmt]
    ) -> list[ast.stmt]:
        body, orelse = self.block(node.body), self.block(node.orelse)
        self.where = node.where
        target = self.store(self.local(node.target))
        loop = ast.For(target=target, iter=items, body=body or [self.pass_(node)], orelse=orelse)
        return self._begun(node, rest, self.at(loop))


# A step on the way to a statement: which piece, which node in it, and which of the node's blocks
# (None: the node itself).
Step = tuple[int, int, str | None]

BRANCHES: dict[type[Node], tuple[str, ...]] = {
    If: ("then", "orelse"),
    Loop: ("body",),
    For: ("body", "orelse"),
    Turns: ("around", "rest"),
    Turn: ("body",),
    Try: ("body", "orelse", "final"),
    Once: ("body",),
    Attempt: ("body", "handler"),
    Handled: ("body",),
    With: ("body", "leave"),
}


def _has_helper(node: Node) -> bool:
    """Whether the statement is a call of a helper, which is in the traceback of what it raises."""
    return isinstance(node, Simple) and "c" in node.data.get("e", {}).get("call", {})


def _uses(block: Block) -> Counter[int]:
    """How often each local stands in a block, for all statements inside."""
    uses: Counter[int] = Counter()
    todo: list[Any] = [node for piece in block for node in piece.body]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo += item
        elif isinstance(item, dict):
            todo += item.values()
            for key in ("l", "to", "bound"):
                found = item.get(key)
                found = found if isinstance(found, list) else [found]
                uses.update(each for each in found if isinstance(each, int))
        elif isinstance(item, Piece):
            todo += item.body
        elif isinstance(item, Node):
            # The cause of a handler is the attempt around it.
            for name in set(type(item).__slots__) - {"cause"}:
                value = getattr(item, name)
                if isinstance(value, int):
                    uses[value] += 1
                else:
                    todo.append(value)
    return uses


def _nodes(block: Block) -> Iterator[Node]:
    """The statements of a block and of all blocks inside."""
    for piece in block:
        for node in piece.body:
            if node.id >= 0:
                yield node
            for branch in BRANCHES.get(type(node), ()):
                yield from _nodes(getattr(node, branch))


def _way(block: Block, statement: int) -> list[Step] | None:
    """The way from a block to a statement in it."""
    for k, piece in enumerate(block):
        for n, node in enumerate(piece.body):
            if node.id == statement:
                return [(k, n, None)]
            for branch in BRANCHES.get(type(node), ()):
                inner = _way(getattr(node, branch), statement)
                if inner is not None:
                    return [(k, n, branch), *inner]
    return None
