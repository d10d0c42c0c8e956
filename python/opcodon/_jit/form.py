"""The nodes of the normal form.

A function in normal form is a tree of statements, each of which performs at most one operation
that can fail or have an effect; the operands of operations are *atoms* (locals, constants, frozen
globals). Two things are derived from it, and they must agree to the letter:

* the program that machine code is generated from (`opcodon._jit.program`), and
* Python functions that take a call over at any of its statements (`opcodon._jit.resume`).

An operation is therefore kept as the very dictionary the program shows, and Python is derived
from that dictionary (`opcodon._jit.python_form`). Only what a dictionary cannot say carries Python
syntax of its own.

Statements stand in *pieces*: what became of one statement of the source, together with that
statement. A resumed function is in normal form only along the way to the point of resumption;
elsewhere it says what the source said, at the source's speed.
"""

from __future__ import annotations

import ast
from typing import Any, TypeAlias

Atom: TypeAlias = dict[str, Any]
Operation: TypeAlias = dict[str, Any]


class Unset:
    """The value of a local that is not bound; there is one, `UNSET`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<unset>"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET = Unset()

# What the name of a method begins with that is looked for behind a class: `super:<id>:<name>`.
SUPER = "super:"


class Helper:
    """A constant that is a small Python function, for syntax the program has no operation for.

    Parameters
    ----------
    parameters
        Names of its parameters; the call passes the atoms for them in this order.
    body
        Its statements. Global and closure names in them mean what they mean in the function.
    """

    __slots__ = ("body", "parameters")

    def __init__(self, parameters: list[str], body: list[ast.stmt]) -> None:
        self.parameters = parameters
        self.body = body


class Lifted:
    """A nested function as a function of its own: what it captures are further parameters.

    Attributes
    ----------
    syntax
        The function with the parameters of the captured names.
    name
        Its name.
    arguments
        Its own parameters.
    captured
        The names it captures, its own name among them if it calls itself.
    siblings
        The lifted functions of the function around that it may call, by their names, and their
        numbers there.
    """

    __slots__ = ("arguments", "captured", "name", "siblings", "syntax")

    def __init__(
        self,
        syntax: ast.FunctionDef | ast.Lambda,
        name: str,
        arguments: ast.arguments,
        captured: list[str],
        siblings: dict[str, tuple[int, Lifted]],
    ) -> None:
        self.syntax = syntax
        self.name = name
        self.arguments = arguments
        self.captured = captured
        self.siblings = siblings

    def given(self, call: ast.Call) -> list[ast.expr] | None:
        """What a call gives each of its own parameters; None if the call is not a simple one."""
        positional = [*self.arguments.posonlyargs, *self.arguments.args]
        if len(call.args) > len(positional):
            return None
        names = [each.arg for each in (*positional, *self.arguments.kwonlyargs)]
        by_name = names[len(self.arguments.posonlyargs) :]
        given = dict(zip(names, call.args, strict=False))
        for keyword in call.keywords:
            if keyword.arg not in by_name or keyword.arg in given:
                return None
            given[keyword.arg] = keyword.value
        defaults = self.arguments.defaults
        at_end = names[len(positional) - len(defaults) : len(positional)]
        named = zip(self.arguments.kwonlyargs, self.arguments.kw_defaults, strict=True)
        others = [
            *zip(at_end, defaults, strict=True),
            *((each.arg, value) for each, value in named),
        ]
        for name, value in others:
            if name not in given and isinstance(value, ast.Constant):
                given[name] = value
        return [given[name] for name in names] if len(given) == len(names) else None


class Node:
    """A statement of the normal form; `where` is the syntax that its line is taken from."""

    __slots__ = ("id", "where")

    def __init__(self, where: ast.AST) -> None:
        self.id = -1
        self.where = where


class Simple(Node):
    """A statement without statements in it.

    `data` is its text in the program; `python` replaces what would be derived from `data`.
    """

    __slots__ = ("data", "python")

    def __init__(
        self, where: ast.AST, data: dict[str, Any], python: list[ast.stmt] | None = None
    ) -> None:
        super().__init__(where)
        self.data = data
        self.python = python


class Piece:
    """What became of one statement of the source; `origin` is None for statements of our own."""

    __slots__ = ("body", "origin")

    def __init__(self, origin: ast.stmt | None, body: list[Node]) -> None:
        self.origin = origin
        self.body = body


Block: TypeAlias = list[Piece]


class If(Node):
    """`if condition: then else: orelse`, where truth is taken of any atom."""

    __slots__ = ("condition", "orelse", "then")

    def __init__(self, where: ast.AST, condition: Atom, then: Block, orelse: Block) -> None:
        super().__init__(where)
        self.condition = condition
        self.then = then
        self.orelse = orelse


class Loop(Node):
    """`while True: body`."""

    __slots__ = ("body",)

    def __init__(self, where: ast.AST, body: Block) -> None:
        super().__init__(where)
        self.body = body


class For(Node):
    """`for target in iterable: body else: orelse`; the target is one local."""

    __slots__ = ("body", "iterable", "orelse", "target")

    def __init__(
        self, where: ast.AST, target: int, iterable: Atom, body: Block, orelse: Block
    ) -> None:
        super().__init__(where)
        self.target = target
        self.iterable = iterable
        self.body = body
        self.orelse = orelse


class Turns(Node):
    """`for target in generator(*arguments): body else: orelse`, without the generator.

    Machine code runs `around`, the generator's statements, in which a `Turn` stands for the loop's
    body, and then `rest`. `count` is the local that counts the turns begun, `left` the one that
    says that the loop was left by a break, if that may be.
    """

    __slots__ = (
        "arguments",
        "around",
        "body",
        "count",
        "generator",
        "left",
        "orelse",
        "rest",
        "target",
    )

    def __init__(
        self,
        where: ast.AST,
        target: int,
        call: tuple[Atom, list[Atom], Atom],
        native: tuple[Block, Block],
        blocks: tuple[Block, Block],
    ) -> None:
        super().__init__(where)
        self.target = target
        self.generator, self.arguments, self.count = call
        self.around, self.rest = native
        self.left: int | None = None
        self.body, self.orelse = blocks


class Turn(Node):
    """The body of a loop over a generator, where the generator gives an item."""

    __slots__ = ("body",)

    def __init__(self, where: ast.AST, body: Block) -> None:
        super().__init__(where)
        self.body = body


class Try(Node):
    """A try statement: native code runs body, orelse and final in this order, without handlers."""

    __slots__ = ("body", "final", "orelse", "statement")

    def __init__(self, statement: ast.Try, body: Block, orelse: Block, final: Block) -> None:
        super().__init__(statement)
        self.statement = statement
        self.body = body
        self.orelse = orelse
        self.final = final


class Once(Node):
    """A try statement, which handlers leave by jumps to where it ends (see `handlers`)."""

    __slots__ = ("body",)

    def __init__(self, where: ast.AST, body: Block) -> None:
        super().__init__(where)
        self.body = body


class Attempt(Node):
    """The body of a try statement whose exceptions machine code catches.

    The exception goes into the local `error`, the number of the statement that raised it into `at`
    (less than zero if the traceback has an entry for it), and the number of the handler that is for
    it into `which`; then `handler` is run, in which each handler is a `Handled`. `kinds` are
    numbers of handlers and classes.
    """

    __slots__ = ("at", "body", "error", "handler", "kinds", "which")

    def __init__(
        self,
        where: ast.AST,
        kinds: list[tuple[int, Atom]],
        targets: tuple[int, int, int],
        body: Block,
    ) -> None:
        super().__init__(where)
        self.kinds = kinds
        self.error, self.at, self.which = targets
        self.body = body
        self.handler: Block = []


class Handled(Node):
    """A handler where an exception is raised; in Python, the statements `cause` raise it.

    If machine code has caught it, `cause` is the attempt around what raised it.
    """

    __slots__ = ("body", "cause", "handler")

    def __init__(
        self,
        where: ast.AST,
        cause: list[ast.stmt] | Attempt,
        handler: ast.ExceptHandler,
        body: Block,
    ) -> None:
        super().__init__(where)
        self.cause = cause
        self.handler = handler
        self.body = body


class With(Node):
    """The body of a with statement that was entered; `exit` is the local holding its `__exit__`.

    `leave` is the normal way out: the call of that method.
    """

    __slots__ = ("body", "exit", "leave")

    def __init__(self, where: ast.AST, exit: int, body: Block, leave: Block) -> None:  # noqa: A002
        super().__init__(where)
        self.exit = exit
        self.body = body
        self.leave = leave


class Form:
    """A function in normal form.

    Attributes
    ----------
    name, file, line
        Where it stands in the source.
    params
        Names of its parameters in the order of `co_varnames`.
    locals
        Names of its locals: parameters, other names, then temporaries (`.t0`, …).
    globals
        One entry a frozen name: `path`, and whether it is only called (`call`), is a closure
        variable (`cell`) or the lifted function of this number (`lifted`).
    constants
        Constants that the program cannot spell: values, or a `Helper`.
    body
        Its statements.
    lifted
        Nested functions that are compiled as functions of their own.
    handlers
        Whether Python may go on at a place that the program does not show: in a handler, or within
        a statement that is left to it.
    outer
        Declarations: `(ast.Global, names)` and `(ast.Nonlocal, names)`.
    unbindable
        Locals that may be unbound somewhere.
    nodes
        All statements that native code may leave at; the index is their `id`.
    """

    __slots__ = (
        "body",
        "builtins",
        "constants",
        "file",
        "globals",
        "handlers",
        "kwarg",
        "kwonly",
        "lifted",
        "line",
        "locals",
        "name",
        "nodes",
        "outer",
        "params",
        "unbindable",
        "vararg",
    )

    def __init__(self, name: str, file: str, line: int) -> None:
        self.name = name
        self.file = file
        self.line = line
        self.params: list[str] = []
        self.kwonly: list[str] = []
        self.vararg: str | None = None
        self.kwarg: str | None = None
        self.locals: list[str] = []
        self.globals: list[dict[str, Any]] = []
        self.builtins: set[str] = set()
        self.constants: list[Any] = []
        self.body: Block = []
        self.outer: list[tuple[type[ast.Global] | type[ast.Nonlocal], list[str]]] = []
        self.lifted: list[Lifted] = []
        self.handlers = False
        self.unbindable: list[str] = []
        self.nodes: list[Node] = []
