"""The program: the normal form as JSON text, which machine code is generated from.

Try and with statements vanish here: native code knows no handlers, so their parts stand one after
the other, and whatever needs a handler leaves to Python.
"""

from __future__ import annotations

import json
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
    Simple,
    Try,
    Turn,
    Turns,
    With,
)
from opcodon._jit.names import RefusedError


def to_program(form: Form, n_defaults: int = 0, wrap: bool = False) -> dict[str, Any]:
    """The program of a function as plain dictionaries and lists."""
    return {
        "name": form.name,
        "file": form.file,
        "line": form.line,
        "params": form.params,
        "locals": form.locals,
        "globals": form.globals,
        "consts": len(form.constants),
        "vararg": form.vararg,
        "kwarg": form.kwarg,
        "kwonly": form.kwonly,
        "defaults": n_defaults,
        "handlers": form.handlers,
        "wrap": wrap,
        "body": _block(form.body),
    }


# The blocks in a statement.
PARTS = ("then", "else", "body", "handler")

# Blocks within blocks that the reader of programs follows.
MAX_DEPTH = 50


def _block(block: Block) -> list[dict[str, Any]]:
    return [statement for piece in block for node in piece.body for statement in _node(node)]


def _node(node: Node) -> list[dict[str, Any]]:
    if isinstance(node, Try):
        return [*_block(node.body), *_block(node.orelse), *_block(node.final)]
    if isinstance(node, With):
        return [*_block(node.body), *_block(node.leave)]
    if isinstance(node, Turns):
        return [*_block(node.around), *_block(node.rest)]
    if isinstance(node, Turn):
        return _block(node.body)
    if isinstance(node, Handled):
        return [_handled(statement) for statement in _block(node.body)]
    where: Any = node.where
    place = {"id": node.id, "line": where.lineno, "col": where.col_offset}
    if isinstance(node, Simple):
        return [{**place, **node.data}]
    if isinstance(node, If):
        then, orelse = _block(node.then), _block(node.orelse)
        return [{**place, "s": "if", "c": node.condition, "then": then, "else": orelse}]
    if isinstance(node, (Loop, Once)):
        return [{**place, "s": "loop", "body": _block(node.body)}]
    if isinstance(node, Attempt):
        head = {**place, "s": "try", "error": node.error, "at": node.at, "which": node.which}
        blocks = {"body": _block(node.body), "handler": _block(node.handler)}
        return [{**head, "kinds": [list(kind) for kind in node.kinds], **blocks}]
    assert isinstance(node, For)
    head = {**place, "s": "for", "to": node.target, "iter": node.iterable}
    return [{**head, "body": _block(node.body), "else": _block(node.orelse)}]


def _handled(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement of a handler, as are those in it."""
    parts = {part: list(map(_handled, statement[part])) for part in PARTS if part in statement}
    return {**statement, **parts, "handled": True}


def _depth(statements: list[dict[str, Any]]) -> int:
    return 1 + max((_depth(each.get(part, [])) for each in statements for part in PARTS), default=0)


def to_text(form: Form, n_defaults: int = 0, wrap: bool = False) -> str:
    """The program of a function as JSON text; `wrap` permits integers to wrap around."""
    program = to_program(form, n_defaults, wrap)
    if _depth(program["body"]) > MAX_DEPTH:
        raise RefusedError(f"its statements are nested more than {MAX_DEPTH} deep")
    return json.dumps(program, separators=(",", ":"))
