"""The normal form as Python.

Every operation of a program is one Python statement: this module writes it down. It is what gives
the program its meaning, and what takes over where machine code leaves. Line numbers and columns are
those of the source, so that a traceback shows what the user wrote.
"""

from __future__ import annotations

import ast
from typing import Any

from opcodon._jit.form import (
    SUPER,
    Atom,
    Attempt,
    Block,
    For,
    Form,
    Handled,
    Helper,
    If,
    Loop,
    Node,
    Once,
    Operation,
    Simple,
    Try,
    Turns,
    With,
)
from opcodon._jit.tools import IS_SEQUENCE_NAME, RESUMED_WITH_NAME, UNSET_NAME

BINARY: dict[str, type[ast.operator]] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "truediv": ast.Div,
    "floordiv": ast.FloorDiv,
    "mod": ast.Mod,
    "pow": ast.Pow,
    "lshift": ast.LShift,
    "rshift": ast.RShift,
    "and": ast.BitAnd,
    "or": ast.BitOr,
    "xor": ast.BitXor,
    "matmul": ast.MatMult,
}
UNARY: dict[str, type[ast.unaryop]] = {
    "neg": ast.USub,
    "pos": ast.UAdd,
    "invert": ast.Invert,
    "not": ast.Not,
}
COMPARE: dict[str, type[ast.cmpop]] = {
    "lt": ast.Lt,
    "le": ast.LtE,
    "eq": ast.Eq,
    "ne": ast.NotEq,
    "gt": ast.Gt,
    "ge": ast.GtE,
    "is": ast.Is,
    "isnot": ast.IsNot,
    "in": ast.In,
    "notin": ast.NotIn,
}


class PythonForm:
    """Writes statements of one function as Python syntax."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.where: ast.AST = ast.Pass(lineno=1, col_offset=0)

    # ---- syntax at the place of a node

    def at(self, node: Any) -> Any:
        """Give a new node the place in the source that is being written."""
        where: Any = self.where
        node.lineno = where.lineno
        node.col_offset = where.col_offset
        node.end_lineno = where.end_lineno
        node.end_col_offset = where.end_col_offset
        return node

    def load(self, name: str) -> ast.expr:
        """A name that is read."""
        return self.at(ast.Name(id=name, ctx=ast.Load()))  # type: ignore[no-any-return]

    def store(self, name: str) -> ast.Name:
        """A name that is bound."""
        return self.at(ast.Name(id=name, ctx=ast.Store()))  # type: ignore[no-any-return]

    def local(self, index: int) -> str:
        """The name of a local."""
        return self.form.locals[index]

    # ---- atoms and operations

    def atom(self, atom: Atom) -> ast.expr:
        """An atom as an expression."""
        ((kind, value),) = atom.items()
        if kind == "l":
            return self.load(self.form.locals[value])
        if kind == "g":
            root, *attributes = self.form.globals[value]["path"].split(".")
            node = self.load(root)
            for attribute in attributes:
                node = self.at(ast.Attribute(value=node, attr=attribute, ctx=ast.Load()))
            return node
        if kind == "c":
            value = self.form.constants[value]
            assert not isinstance(value, Helper), "a helper's call has its own syntax"
        elif kind == "f":
            value = float.fromhex(value)
        elif kind == "none":
            value = None
        return self.at(ast.Constant(value=value))  # type: ignore[no-any-return]

    def index(self, atom: Atom) -> ast.expr:
        """A subscript: an atom, or tuples and slices of atoms."""
        if "tuple" in atom:
            parts = [self.index(part) for part in atom["tuple"]]
            return self.at(ast.Tuple(elts=parts, ctx=ast.Load()))  # type: ignore[no-any-return]
        if "slice" in atom:
            lower, upper, step = (
                None if part is None else self.atom(part) for part in atom["slice"]
            )
            return self.at(ast.Slice(lower=lower, upper=upper, step=step))  # type: ignore[no-any-return]
        return self.atom(atom)

    def operation(self, e: Operation) -> ast.expr:
        """An operation as an expression."""
        node: Any
        if "bin" in e or "ibin" in e:
            operator = BINARY[e.get("bin") or e["ibin"]]()
            node = ast.BinOp(left=self.atom(e["a"]), op=operator, right=self.atom(e["b"]))
        elif "cmp" in e:
            left, right = self.atom(e["a"]), self.atom(e["b"])
            node = ast.Compare(left=left, ops=[COMPARE[e["cmp"]]()], comparators=[right])
        elif "un" in e:
            node = ast.UnaryOp(op=UNARY[e["un"]](), operand=self.atom(e["a"]))
        elif "atom" in e:
            return self.atom(e["atom"])
        elif "call" in e:
            node = self.call(self.atom(e["call"]), e)
        elif "method" in e:
            node = self.call(self.at(self.attribute(e["of"], e["method"])), e)
        elif "item" in e:
            index = self.index(e["item"])
            node = ast.Subscript(value=self.atom(e["of"]), slice=index, ctx=ast.Load())
        elif "attr" in e:
            node = self.attribute(e["of"], e["attr"])
        elif "truth" in e:
            # `not not x` takes the truth of x once and calls nothing that could be rebound.
            inner = self.at(ast.UnaryOp(op=ast.Not(), operand=self.atom(e["truth"])))
            node = ast.UnaryOp(op=ast.Not(), operand=inner)
        elif "dict" in e:
            pairs = e["dict"]
            node = ast.Dict(
                keys=[self.atom(key) for key, _ in pairs],
                values=[self.atom(value) for _, value in pairs],
            )
        elif "global" in e:
            return self.load(e["global"])
        elif "sequence" in e:
            tool = self.load(IS_SEQUENCE_NAME)
            node = ast.Call(func=tool, args=[self.atom(e["sequence"])], keywords=[])
        elif "fails" in e:
            # Python finds out by doing it.
            node = ast.Constant(value=False)
        elif "format" in e:
            node = ast.JoinedStr(values=[self._part(part) for part in e["format"]])
        elif "tuple" in e:
            node = ast.Tuple(elts=[self.atom(part) for part in e["tuple"]], ctx=ast.Load())
        elif "list" in e:
            node = ast.List(elts=[self.atom(part) for part in e["list"]], ctx=ast.Load())
        else:
            parts = [self.atom(part) for part in e["set_"]]
            if not parts:  # there is no display of an empty set: {*()}
                empty = self.at(ast.Tuple(elts=[], ctx=ast.Load()))
                parts = [self.at(ast.Starred(value=empty, ctx=ast.Load()))]
            node = ast.Set(elts=parts)
        return self.at(node)  # type: ignore[no-any-return]

    def _part(self, part: dict[str, Any]) -> ast.expr:
        """A part of an f-string."""
        if "text" in part:
            return self.at(ast.Constant(value=part["text"]))  # type: ignore[no-any-return]
        spec = None
        if part["spec"]:
            spec = self.at(ast.JoinedStr(values=[self.at(ast.Constant(value=part["spec"]))]))
        conversion = ord(part["conversion"]) if part["conversion"] else -1
        value = self.atom(part["value"])
        node = ast.FormattedValue(value=value, conversion=conversion, format_spec=spec)
        return self.at(node)  # type: ignore[no-any-return]

    def attribute(self, of: Atom, name: str) -> ast.Attribute:
        """An attribute of an atom that is read, or of the bases behind a class."""
        if name.startswith(SUPER):
            name = name.rpartition(":")[2]
            base = ast.Call(
                func=self.load("super"), args=[self.load("__class__"), self.atom(of)], keywords=[]
            )
            return self.at(ast.Attribute(value=self.at(base), attr=name, ctx=ast.Load()))  # type: ignore[no-any-return]
        return self.at(ast.Attribute(value=self.atom(of), attr=name, ctx=ast.Load()))  # type: ignore[no-any-return]

    def call(self, function: ast.expr, e: Operation) -> ast.Call:
        """A call with the arguments of an operation."""
        keywords = [
            self.at(ast.keyword(arg=name, value=self.atom(value)))
            for name, value in e.get("kw", ())
        ]
        arguments = [self.atom(argument) for argument in e["args"]]
        return ast.Call(func=function, args=arguments, keywords=keywords)

    # ---- statements

    def simple(self, node: Simple) -> list[ast.stmt]:
        """A statement without statements in it."""
        if node.python is not None:
            return node.python
        self.where = node.where
        data = node.data
        kind = data["s"]
        statement: Any
        if kind == "set":
            return self._set(data)
        if kind == "expr":
            if "bound" in data["e"]:
                return self._bound_call(data["e"], None)
            statement = ast.Expr(value=self.operation(data["e"]))
        elif kind == "setitem":
            target: Any = ast.Subscript(
                value=self.atom(data["of"]), slice=self.index(data["item"]), ctx=ast.Store()
            )
            statement = ast.Assign(targets=[self.at(target)], value=self.atom(data["value"]))
        elif kind == "setattr":
            target = ast.Attribute(value=self.atom(data["of"]), attr=data["attr"], ctx=ast.Store())
            statement = ast.Assign(targets=[self.at(target)], value=self.atom(data["value"]))
        elif kind == "setglobal":
            value = self.atom(data["value"])
            statement = ast.Assign(targets=[self.store(data["name"])], value=value)
        elif kind == "delitem":
            target = ast.Subscript(
                value=self.atom(data["of"]), slice=self.index(data["item"]), ctx=ast.Del()
            )
            statement = ast.Delete(targets=[self.at(target)])
        elif kind == "unset":
            name = self.at(ast.Name(id=self.local(data["l"]), ctx=ast.Del()))
            statement = ast.Delete(targets=[name])
        elif kind == "unpack":
            names: list[ast.expr] = [self.store(self.local(index)) for index in data["to"]]
            target = self.at(ast.Tuple(elts=names, ctx=ast.Store()))
            statement = ast.Assign(targets=[target], value=self.atom(data["a"]))
        elif kind == "lookup":
            statement = ast.Assign(
                targets=[self.store(self.local(data["to"]))],
                value=self.attribute(data["of"], data["attr"]),
            )
        elif kind == "raise":
            statement = ast.Raise(exc=self.atom(data["a"]), cause=None)
        elif kind == "return":
            statement = ast.Return(value=self.atom(data["a"]))
        elif kind == "break":
            statement = ast.Break()
        elif kind == "continue":
            statement = ast.Continue()
        else:
            raise ValueError(f"a {kind!r} statement has no Python form of its own")
        return [self.at(statement)]

    def _set(self, data: dict[str, Any]) -> list[ast.stmt]:
        e = data["e"]
        to = self.local(data["to"])
        if "bound" in e:
            return self._bound_call(e, to)
        value = self.operation(e)
        if "ibin" not in e:
            return [self.at(ast.Assign(targets=[self.store(to)], value=value))]
        # In place: `to = a; to op= b`, unless b is the very name that is bound anew.
        operator, right = BINARY[e["ibin"]](), self.atom(e["b"])
        if e["a"] == {"l": data["to"]}:
            return [self.at(ast.AugAssign(target=self.store(to), op=operator, value=right))]
        assert e["b"] != {"l": data["to"]}, "the result would overwrite the operand"
        return [
            self.at(ast.Assign(targets=[self.store(to)], value=self.atom(e["a"]))),
            self.at(ast.AugAssign(target=self.store(to), op=operator, value=right)),
        ]

    def _bound_call(self, e: Operation, to: str | None) -> list[ast.stmt]:
        """A call of a method that was looked up before, or is looked up now where that is pure."""
        bound = self.local(e["bound"]["l"])
        is_unset = self.at(
            ast.Compare(left=self.load(bound), ops=[ast.Is()], comparators=[self.load(UNSET_NAME)])
        )
        lookup = self.at(
            ast.Assign(targets=[self.store(bound)], value=self.attribute(e["of"], e["method"]))
        )
        value = self.at(self.call(self.load(bound), e))
        call = ast.Expr(value=value) if to is None else ast.Assign([self.store(to)], value)
        return [self.at(ast.If(test=is_unset, body=[lookup], orelse=[])), self.at(call)]

    def node(self, node: Node) -> list[ast.stmt]:
        """Any statement."""
        if isinstance(node, Simple):
            return self.simple(node)
        self.where = node.where
        statement: Any
        if isinstance(node, If):
            test = self.atom(node.condition)
            then, orelse = self.block(node.then), self.block(node.orelse)
            statement = ast.If(test=test, body=then or [self.pass_(node)], orelse=orelse)
        elif isinstance(node, Loop):
            true = self.at(ast.Constant(value=True))
            statement = ast.While(test=true, body=self.block(node.body), orelse=[])
        elif isinstance(node, For):
            target, iterable = self.store(self.local(node.target)), self.atom(node.iterable)
            statement = ast.For(
                target=target,
                iter=iterable,
                body=self.block(node.body) or [self.pass_(node)],
                orelse=self.block(node.orelse),
            )
        elif isinstance(node, Turns):
            items = self.atom(node.generator)
            arguments = [self.atom(atom) for atom in node.arguments]
            items = self.at(ast.Call(func=items, args=arguments, keywords=[]))
            statement = self.turns(node, items)
        elif isinstance(node, (Once, Attempt)):
            return self.block(node.body)
        elif isinstance(node, Handled):
            assert not isinstance(node.cause, Attempt), "it is reached by an exception only"
            return node.cause
        elif isinstance(node, Try):
            statement = self.try_(node, self.block(node.body))
        elif isinstance(node, With):
            statement = self.with_(node, self.block(node.body))
        else:
            raise TypeError(f"no Python form of {type(node).__name__}")
        self.where = node.where
        return [self.at(statement)]

    def turns(self, node: Turns, items: ast.expr) -> ast.stmt:
        """The loop over the items of a generator."""
        self.where = node.where
        return ast.For(
            target=self.store(self.local(node.target)),
            iter=items,
            body=self.block(node.body) or [self.pass_(node)],
            orelse=self.block(node.orelse),
        )

    def pass_(self, node: Node) -> ast.stmt:
        """An empty body."""
        self.where = node.where
        return self.at(ast.Pass())  # type: ignore[no-any-return]

    def try_(self, node: Try, body: list[ast.stmt]) -> ast.stmt:
        """A try statement around a given body; its other parts are the source's."""
        original = node.statement
        return ast.Try(
            body=body or [self.pass_(node)],
            handlers=original.handlers,
            orelse=original.orelse,
            finalbody=original.finalbody,
        )

    def with_(self, node: With, body: list[ast.stmt]) -> ast.stmt:
        """A with statement around a given body, whose context manager was entered before."""
        self.where = node.where
        manager = self.at(
            ast.Call(
                func=self.load(RESUMED_WITH_NAME),
                args=[self.load(self.local(node.exit))],
                keywords=[],
            )
        )
        item = ast.withitem(context_expr=manager, optional_vars=None)
        return ast.With(items=[item], body=body or [self.pass_(node)])

    def block(self, block: Block, *, source: bool = True) -> list[ast.stmt]:
        """The statements of a block, as the source has them where it has them."""
        statements: list[ast.stmt] = []
        for piece in block:
            if source and piece.origin is not None:
                statements.append(piece.origin)
            else:
                for node in piece.body:
                    statements += self.node(node)
        return statements
