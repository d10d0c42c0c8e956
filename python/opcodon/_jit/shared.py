"""Loops over `prange` whose rows several threads share (`jit(parallel=True)`).

Such a loop becomes a function of its own, which does the rows of a range: it runs as machine code
without the interpreter lock if it touches no object but arrays. The rows are cut into *pieces*, as
many whatever the number of threads, and threads take them in order.

That is the loop's meaning if no row reads what another one has bound or stored. A local that every
row binds before it reads it is a row's own. One that rows only add to, multiply, or take the
smallest or largest of is a *reduction*: each piece begins with what changes nothing, and what the
pieces come to is put together in their order. All other loops stay loops.
"""

from __future__ import annotations

import ast
import contextvars
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np

from opcodon._jit.form import Helper
from opcodon._jit.names import SCOPES

# What a row may consist of: nothing that a function of its own would change the meaning of.
STATEMENTS = (
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Pass, ast.Assert, ast.Raise),
    *(ast.If, ast.For, ast.While, ast.Break, ast.Continue),
)
OTHER_SYNTAX = (
    *(*SCOPES, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)

# How reductions are put together, by the operators that change them.
KINDS: dict[type[ast.operator], str] = {
    ast.Add: "sum",
    ast.Sub: "difference",
    ast.Mult: "product",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}
TOGETHER: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a + b,
    "product": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "min": min,
    "max": max,
}

# Pieces of a loop: they do not depend on the number of threads, so neither do sums of floats. Rows
# without loops are so short that a piece has many.
N_PIECES = 32
N_SHORT_ROWS = 1024

# Seconds of work that threads are worth.
WORTH = 0.0005


class SharedRows(Helper):
    """The rows of a loop as a function of a range, of what they read, and of reductions so far.

    Attributes
    ----------
    reductions, kinds
        Their names, and how each is put together.
    are_short
        Whether a piece needs many rows to be worth a call.
    """

    __slots__ = ("are_short", "kinds", "reductions")

    def __init__(self, loop: ast.For, captured: list[str], reductions: dict[str, str]) -> None:
        first, end, step = names = [".first", ".end", ".step"]
        rows = ast.For(
            target=loop.target,
            iter=ast.Call(
                func=_name("range"), args=[_name(first), _name(end), _name(step)], keywords=[]
            ),
            body=loop.body,
            orelse=[],
        )
        results: list[ast.expr] = [_name(each) for each in reductions]
        value = results[0] if len(results) == 1 else ast.Tuple(elts=results, ctx=ast.Load())
        body: list[ast.stmt] = [rows, ast.Return(value=value if results else None)]
        for statement in body:
            for node in ast.walk(statement):
                if not hasattr(node, "lineno"):
                    ast.copy_location(node, loop)
        super().__init__([*names, *captured, *reductions], body)
        self.are_short = not any(
            isinstance(node, (ast.For, ast.While, ast.Call))
            for each in loop.body
            for node in ast.walk(each)
        )
        self.reductions = list(reductions)
        self.kinds = list(reductions.values())


def _name(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


# ---- which loops these are


def shared_rows(
    loop: ast.For,
    function: ast.FunctionDef,
    own: Callable[[str], bool],
    is_builtin: Callable[[str], bool],
) -> SharedRows | None:
    """A loop as rows for threads, or None if it is none; `own` says what is a plain local."""
    if loop.orelse or not isinstance(loop.target, ast.Name) or not all(_statements(loop.body)):
        return None
    nodes = [node for statement in loop.body for node in ast.walk(statement)]
    if any(isinstance(node, OTHER_SYNTAX) for node in nodes) or _is_left(loop.body):
        return None
    if any(isinstance(node, ast.AnnAssign) and node.value is None for node in nodes):
        return None
    used = dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and _is_store(node)}
    bound.add(loop.target.id)
    liveness = _Liveness(function, loop)
    reductions = {}
    for name in used:
        if name in bound and name in liveness.carried:
            kind = _kind(name, nodes, is_builtin)
            if kind is None:
                return None
            reductions[name] = kind
    private = bound - set(reductions)
    if not all(map(own, bound)) or private & liveness.after:
        return None
    captured = [name for name in used if own(name) and name not in bound]
    rows = SharedRows(loop, captured, reductions)
    # Short rows that only store are shared by loops by the vector, if they are independent at all.
    return None if rows.are_short and not reductions else rows


def _is_store(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _statements(body: list[ast.stmt]) -> Iterator[bool]:
    for statement in body:
        yield isinstance(statement, STATEMENTS)
        for part in ("body", "orelse"):
            yield from _statements(getattr(statement, part, []))


def _is_left(body: list[ast.stmt]) -> bool:
    """Whether a break leaves the loop."""
    for each in body:
        inner = [getattr(each, "orelse", [])]
        if isinstance(each, ast.If):
            inner.append(each.body)
        if isinstance(each, ast.Break) or any(map(_is_left, inner)):
            return True
    return False


def _kind(name: str, nodes: list[ast.AST], is_builtin: Callable[[str], bool]) -> str | None:
    """How a local is reduced, if that is all that is done to it."""
    kinds = set()
    n_known = 0
    for node in nodes:
        kind, value, n_names = None, None, 0
        if isinstance(node, ast.AugAssign) and _is(node.target, name):
            kind, value, n_names = KINDS.get(type(node.op)), node.value, 1
        elif isinstance(node, ast.Assign) and any(_is(each, name) for each in node.targets):
            if len(node.targets) > 1:
                return None
            kind, value = _changed(name, node.value, is_builtin)
            n_names = 2
        else:
            continue
        if kind is None or value is None or any(_is(each, name) for each in ast.walk(value)):
            return None
        kinds.add(kind)
        n_known += n_names
    if kinds == {"sum", "difference"}:
        kinds = {"difference"}
    n_names = sum(_is(node, name) for node in nodes)
    return kinds.pop() if len(kinds) == 1 and n_known == n_names else None


def _changed(
    name: str, value: ast.expr, is_builtin: Callable[[str], bool]
) -> tuple[str | None, ast.expr | None]:
    """How `name = value` reduces the local, and what with."""
    if isinstance(value, ast.BinOp) and _is(value.left, name):
        return KINDS.get(type(value.op)), value.right
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in ("min", "max")
        and is_builtin(value.func.id)
        and len(value.args) == 2
        and not value.keywords
        and _is(value.args[0], name)
    ):
        return value.func.id, value.args[1]
    return None, None


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


class _Liveness:
    """What a row may read and has not bound (`carried`), and what may be read behind the loop."""

    def __init__(self, function: ast.FunctionDef, loop: ast.For) -> None:
        self.loop = loop
        self.everything = _loads(function)
        self.after: set[str] = set()
        nothing: set[str] = set()
        self.block(function.body, nothing, nothing, nothing)
        self.carried = self.block(loop.body, nothing, nothing, nothing) - {ast.unparse(loop.target)}

    def block(self, body: list[ast.stmt], out: set[str], on: set[str], off: set[str]) -> set[str]:
        """What is live before a block; `on` is live where a turn ends, `off` where a loop does."""
        for statement in reversed(body):
            out = self.statement(statement, out, on, off)
        return out

    def statement(self, node: ast.stmt, out: set[str], on: set[str], off: set[str]) -> set[str]:
        if node is self.loop:
            self.after |= out
        if isinstance(node, (ast.Return, ast.Raise)):
            return _loads(node)
        if isinstance(node, ast.Break):
            return off
        if isinstance(node, ast.Continue):
            return on
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return out - set(_stores(targets)) | _loads(node)
        if isinstance(node, ast.AugAssign):
            return out | _loads(node) | set(_stores([node.target]))
        if isinstance(node, ast.If):
            sides = [self.block(body, out, on, off) for body in (node.body, node.orelse)]
            return _loads(node.test).union(*sides)
        if isinstance(node, ast.While):
            head = self.block(node.orelse, out, on, off) | _loads(node.test)
            return self._repeated(node.body, head, out, set())
        if isinstance(node, ast.For):
            head = self.block(node.orelse, out, on, off)
            bound = set(_stores([node.target]))
            head = self._repeated(node.body, head, out, bound)
            return head | _loads(node.iter) | _loads(node.target)
        if any(each is self.loop for each in ast.walk(node)):
            self.after |= self.everything
        return out | _loads(node)

    def _repeated(
        self, body: list[ast.stmt], head: set[str], off: set[str], bound: set[str]
    ) -> set[str]:
        """What is live before each turn of a loop, which binds some names before its body."""
        while True:
            more = head | (self.block(body, head, head, off) - bound)
            if more == head:
                return head
            head = more


def _loads(node: ast.AST) -> set[str]:
    return {
        each.id for each in ast.walk(node) if isinstance(each, ast.Name) and not _is_store(each)
    }


def _stores(targets: Iterable[ast.expr]) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, (ast.Tuple, ast.List)):
            yield from _stores(target.elts)


# ---- how they are run


class Pieces:
    """What a program calls for such a loop: the rows of a range, on several threads.

    Parameters
    ----------
    rows
        The compiled function of the rows.
    kinds
        How its results are put together.
    are_short
        Whether a piece needs many rows.
    wrap
        Whether integers wrap around.
    """

    def __init__(self, rows: Any, kinds: list[str], *, are_short: bool, wrap: bool) -> None:
        self.rows = rows
        self.kinds = kinds
        self.wrap = wrap
        self.n_rows_min = N_SHORT_ROWS if are_short else 1

    def __call__(self, whole: range, *values: Any) -> Any:
        n_kinds = len(self.kinds)
        n_captured = len(values) - n_kinds
        captured, starts = values[:n_captured], values[n_captured:]
        neutral = [_neutral(*each) for each in zip(self.kinds, starts, strict=True)]
        n_pieces = min(len(whole) // self.n_rows_min, N_PIECES)
        if n_pieces < 2 or any(each is None for each in neutral):
            return self.rows(whole.start, whole.stop, whole.step, *values)
        places = [len(whole) * at // n_pieces for at in range(n_pieces + 1)]

        def pieces(at: int, end: int) -> Any:
            part = whole[places[at] : places[end]]
            return self.rows(part.start, part.stop, part.step, *captured, *neutral)

        results = _on_threads(pieces, n_pieces, self.rows.is_free, may_join=n_kinds == 0)
        if n_kinds == 0:
            return None
        parts = zip(*results, strict=True) if n_kinds > 1 else [results]
        totals = []
        for kind, total, part in zip(self.kinds, starts, parts, strict=True):
            for each in part:
                total = self._together(kind, total, each)
            totals.append(total)
        return tuple(totals) if n_kinds > 1 else totals[0]

    def _together(self, kind: str, a: Any, b: Any) -> Any:
        if not self.wrap:
            return TOGETHER[kind](a, b)
        with np.errstate(over="ignore"):
            whole = TOGETHER[kind](a, b)
        return (whole + 2**63) % 2**64 - 2**63 if type(whole) is int else whole


def _neutral(kind: str, start: Any) -> Any:
    """What a piece of a reduction begins with: of the start's type; None if that is no number."""
    type_ = type(start)
    if type_ not in (int, float) and (
        not isinstance(start, np.generic) or start.dtype.kind not in "iuf"
    ):
        return None
    # What comes again changes nothing.
    if kind in ("min", "max", "and", "or"):
        return start
    # Pieces of differences go below zero, where numbers without a sign end.
    if kind == "difference":
        return None if _is_whole(type_) else type_(-0.0)
    # A zero that changes nothing it is added to, not even another zero's sign.
    return type_(1 if kind == "product" else 0 if kind != "sum" or _is_whole(type_) else -0.0)


def _is_whole(type_: type) -> bool:
    return hasattr(type_, "__index__")


def _on_threads(
    pieces: Callable[[int, int], Any], n_pieces: int, is_free: Callable[[], bool], *, may_join: bool
) -> list[Any]:
    """The results of all pieces, or the exception of the first one that raises.

    Pieces that may be joined are done at once where that is not worth several threads, as it is
    not for rows that need the interpreter lock.
    """
    n_threads = min(len(os.sched_getaffinity(0)), n_pieces)
    results = []
    seconds = []
    # The first call may compile, and then says nothing of the others.
    for at in range(2):
        begun = time.perf_counter()
        results.append(pieces(at, at + 1))
        seconds.append(time.perf_counter() - begun)
    n_left = n_pieces - len(results)
    if n_threads == 1 or min(seconds) * n_left < WORTH or not is_free():
        if may_join and n_left:
            return [pieces(len(results), n_pieces)]
        return results + [pieces(at, at + 1) for at in range(len(results), n_pieces)]
    results += [None] * n_left
    failures: dict[int, BaseException] = {}
    # To take the next number is one step, whoever else does.
    numbers = count(n_pieces - n_left)

    def work() -> None:
        for at in numbers:
            # Pieces behind one that has failed are not begun.
            if at >= min(failures, default=n_pieces):
                break
            try:
                results[at] = pieces(at, at + 1)
            except BaseException as error:
                failures[at if isinstance(error, Exception) else -1] = error

    # Threads see the same settings, such as those of `numpy.errstate`.
    others = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
        for _ in range(n_threads - 1)
    ]
    for thread in others:
        thread.start()
    try:
        work()
        for thread in others:
            thread.join()
    except BaseException as error:
        failures[-1] = error
    for thread in others:
        thread.join()
    if failures:
        raise failures[min(failures)]
    return results
