"""Expressions to the normal form: one operation a statement, in Python's order of evaluation.

An expression is turned into statements that compute its parts, and an atom that is its value. Two
things keep Python's order:

* An operand that is a name is *read* where Python reads it. It is usually enough to name it in the
  operation itself, but not if a later operand's statements bind it anew, or if reading it may fail
  (it may be unbound) and these statements have effects: then it is copied first.
* Syntax without an operation of its own (f-strings, starred calls, nested functions…) is a call of
  a small Python function whose arguments are the parts' atoms (`Helper`).

What cannot be said at all raises `UnsupportedError`; the statement around it is left to Python.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from opcodon._jit.form import (
    SUPER,
    Atom,
    Block,
    Form,
    Helper,
    If,
    Lifted,
    Node,
    Operation,
    Piece,
    Simple,
)
from opcodon._jit.generators import Generator
from opcodon._jit.names import Names, own_names
from opcodon._jit.python_form import PythonForm
from opcodon._jit.tools import TOOLS

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.MatMult: "matmul",
}
UNARY: dict[type[ast.unaryop], str] = {
    ast.USub: "neg",
    ast.UAdd: "pos",
    ast.Invert: "invert",
    ast.Not: "not",
}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Is: "is",
    ast.IsNot: "isnot",
    ast.In: "in",
    ast.NotIn: "notin",
}
# Callees that use the frame of their caller in a way that a resumed function serves well.
FRAME_USERS = frozenset({"super", "globals", "__import__", "breakpoint"})
# Builtins that take a key, and such as go through all they are given; they keep neither.
ORDERING = frozenset({"max", "min", "sorted"})
CONSUMING = ORDERING | {"all", "any", "list", "set", "sum", "tuple"}
# Builtins that consume a generator on the spot, before anything else can happen.
EAGER = frozenset(
    {"list", "tuple", "sorted", "set", "frozenset", "any", "all", "sum", "min", "max"}
)
INT64 = range(-(2**63), 2**63)


class UnsupportedError(Exception):
    """A statement cannot be put into normal form; the message says why."""


class Resolver(Protocol):
    """What is known about global names when a function is put into normal form."""

    def is_stable(self, path: Sequence[str]) -> bool:
        """Whether the path leads through modules only, so that it may be frozen."""

    def is_builtin(self, name: str) -> bool:
        """Whether a global name means the builtin of this name."""

    def is_range(self, path: str) -> bool:
        """Whether a path leads to the builtin `range`, whatever it is called there."""

    def exists(self, name: str) -> bool:
        """Whether a global name is bound."""

    def is_free(self, name: str) -> bool:
        """Whether a name is a variable of an enclosing function."""

    def namespace(self) -> Any:
        """What global names are in."""

    def generator(self, name: str) -> Generator | None:
        """The generator function of a name, if a loop over it needs no generator."""

    def defining_class(self) -> type | None:
        """The class in whose body the function stands, if it asks for it."""


class ExpressionNormaliser:
    """Turns expressions into statements appended to `out`, and atoms."""

    def __init__(self, form: Form, names: Names, resolver: Resolver) -> None:
        self.form = form
        self.names = names
        self.resolver = resolver
        self.out: list[Node] = []
        self.bound: set[str] = {name for name in names.params if name not in names.deleted}
        self.renamed: dict[str, int] = {}
        self.rebound: list[str] = []
        self.index = {name: k for k, name in enumerate(form.locals)}
        # Nested functions compiled on their own: their number, -1 for the function itself.
        self.lifted: dict[str, tuple[int, Lifted]] = {}
        # Lambdas that a builtin calls and forgets, by identity.
        self.momentary: set[int] = set()
        self._globals: dict[tuple[str, bool], Atom] = {}
        self._temporaries = 0
        self.syntax: ast.AST = ast.Pass()

    # ---- emitting

    def emit(self, where: ast.AST, data: dict[str, Any]) -> None:
        """Append a statement."""
        self.out.append(Simple(where, data))

    def temporary(self) -> int:
        """The index of a new temporary."""
        self.form.locals.append(f".t{self._temporaries}")
        self._temporaries += 1
        return len(self.form.locals) - 1

    def set(self, where: ast.AST, operation: Operation, to: int | None = None) -> Atom:
        """Append `to = operation`, to a new temporary if `to` is None; returns its atom."""
        if to is None:
            to = self.temporary()
        self.out.append(Simple(where, {"s": "set", "to": to, "e": operation}))
        return {"l": to}

    def copy(self, where: ast.AST, atom: Atom, to: int) -> None:
        """Append `to = atom`."""
        self.out.append(Simple(where, {"s": "set", "to": to, "e": {"atom": atom}}))

    def inside(self, emit: Callable[[], None]) -> Block:
        """The statements that `emit` appends, as a block of our own."""
        outer, self.out = self.out, []
        try:
            emit()
            return [Piece(None, self.out)] if self.out else []
        finally:
            self.out = outer

    def branch(
        self, where: ast.AST, condition: Atom, then: Callable[[], None], orelse: Callable[[], None]
    ) -> None:
        """Append an if statement; what both branches bind is bound afterwards."""
        before = set(self.bound)
        then_block = self.inside(then)
        after_then, self.bound = self.bound, before
        else_block = self.inside(orelse)
        self.bound = self.bound & after_then
        self.out.append(If(where, condition, then_block, else_block))

    # ---- atoms

    def constant(self, value: Any) -> Atom:
        """The atom of a constant."""
        kind = type(value)
        if value is None:
            return {"none": 1}
        if kind is bool:
            return {"b": value}
        if kind is int and value in INT64:
            return {"i": value}
        if kind is float:
            return {"f": value.hex()}
        if kind is str and value.isprintable():
            return {"str": value}
        self.form.constants.append(value)
        return {"c": len(self.form.constants) - 1}

    def frozen(self, path: str, *, call: bool = False) -> Atom:
        """The atom of a global or closure name, or of an attribute of a module."""
        atom = self._globals.get((path, call))
        if atom is None:
            entry: dict[str, Any] = {"path": path}
            if call:
                entry["call"] = True
            if self.resolver.is_free(path.partition(".")[0]):
                entry["cell"] = True
            atom = {"g": len(self.form.globals)}
            self.form.globals.append(entry)
            self._globals[path, call] = atom
        return atom

    def namespace(self, name: str) -> Atom | None:
        """The dictionary that a global name is in which the function binds; None of other names."""
        namespace = self.resolver.namespace()
        if self.resolver.is_free(name) or type(namespace) is not dict:
            return None
        constants = self.form.constants
        found = next((k for k, each in enumerate(constants) if each is namespace), len(constants))
        if found == len(constants):
            constants.append(namespace)
        return {"c": found}

    def is_local(self, name: str) -> bool:
        """Whether a name is a local of the function or of a comprehension around."""
        return name in self.index or name in self.renamed

    def builtin(self, node: ast.expr) -> str | None:
        """The name of the builtin that an expression names, if it does."""
        if isinstance(node, ast.Name) and not self.is_local(node.id):
            name = node.id
            if name not in self.names.outer and self.resolver.is_builtin(name):
                # What is made of it depends on it.
                self.form.builtins.add(name)
                self.frozen(name)
                return name
        return None

    def module_path(self, node: ast.expr) -> str | None:
        """`math.sin` for an attribute chain that leads through modules, else None."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or self.is_local(node.id) or node.id in self.names.outer:
            return None
        parts.append(node.id)
        parts.reverse()
        return ".".join(parts) if self.resolver.is_stable(parts) else None

    # ---- operands

    def operands(self, nodes: Iterable[ast.expr]) -> tuple[list[Atom], list[int]]:
        """Atoms of expressions evaluated from left to right.

        Returns
        -------
        tuple
            The atoms, and for each how many statements stood in `out` when it was evaluated.
        """
        atoms: list[Atom] = []
        marks: list[tuple[int, int, bool]] = []
        nodes = list(nodes)
        for node in nodes:
            atoms.append(self.expression(node))
            marks.append((len(self.out), len(self.rebound), self._may_fail(node)))
        places = [place for place, _, _ in marks]
        for k in range(len(atoms) - 2, -1, -1):
            place, rebound, may_fail = marks[k]
            index = atoms[k].get("l")
            if place == len(self.out) or not (
                "g" in atoms[k] or isinstance(nodes[k], (ast.Name, ast.NamedExpr))
            ):
                continue
            if index is None:
                changed = any(_calls(statement) for statement in self.out[place:])
            else:
                changed = self.form.locals[index] in self.rebound[rebound:]
            if may_fail or changed:
                to = self.temporary()
                self.out.insert(
                    place, Simple(nodes[k], {"s": "set", "to": to, "e": {"atom": atoms[k]}})
                )
                atoms[k] = {"l": to}
                places[k] = place + 1
                for later in range(k + 1, len(places)):
                    places[later] += 1
        return atoms, places

    def _may_fail(self, node: ast.expr) -> bool:
        """Whether naming this operand may raise an exception."""
        if not isinstance(node, ast.Name) or node.id in self.renamed:
            return False
        if node.id in self.index:
            return node.id not in self.bound
        return not self.resolver.exists(node.id)

    # ---- expressions

    def expression(self, node: ast.expr, to: int | None = None) -> Atom:
        """The atom of an expression; if it is computed by an operation, into `to`."""
        method = getattr(self, "_on_" + type(node).__name__.lower(), None)
        if method is None:
            raise UnsupportedError(f"{type(node).__name__} expression")
        return method(node, to)  # type: ignore[no-any-return]

    def into(self, node: ast.expr, to: int) -> None:
        """Evaluate an expression into a local."""
        atom = self.expression(node, to)
        # A variable that is assigned to itself is read: who goes on from here in Python needs it.
        is_read = isinstance(node, (ast.Name, ast.NamedExpr))
        if atom.get("l") != to or is_read or self._may_fail(node):
            self.copy(node, atom, to)

    def _on_constant(self, node: ast.Constant, _to: int | None) -> Atom:
        return self.constant(node.value)

    def _on_name(self, node: ast.Name, to: int | None) -> Atom:
        name = node.id
        index = self.renamed.get(name)
        if index is None:
            index = self.index.get(name)
        if index is not None:
            return {"l": index}
        if name in self.names.outer:
            namespace = self.namespace(name)
            if namespace is None:
                return self.helper(node, to, node, [])
            return self.set(node, {"global": name, "of": namespace}, to)
        return self.frozen(name)

    def _on_namedexpr(self, node: ast.NamedExpr, _to: int | None) -> Atom:
        name = node.target.id
        if name in self.names.outer:
            raise UnsupportedError("assignment expression to a global or nonlocal name")
        self.into(node.value, self.index[name])
        self.bind(name)
        self.rebound.append(name)
        return {"l": self.index[name]}

    def bind(self, name: str) -> None:
        """Remember that a local is bound from here on."""
        if name not in self.names.deleted:
            self.bound.add(name)

    def _on_attribute(self, node: ast.Attribute, to: int | None) -> Atom:
        path = self.module_path(node)
        if path is not None:
            return self.frozen(path)
        return self.set(node, {"attr": node.attr, "of": self.expression(node.value)}, to)

    def _on_binop(self, node: ast.BinOp, to: int | None) -> Atom:
        value = folded(node)
        if value is not None:
            return self.constant(value)
        # `a + b + c + …` is as deep as it is long: the left spine is walked, not recursed into.
        spine = [node]
        while isinstance(spine[-1].left, ast.BinOp):
            spine.append(spine[-1].left)
        left: ast.expr = spine[-1].left
        atom: Atom | None = None
        for part in reversed(spine):
            target = to if part is node else None
            if atom is None:
                (atom, right), _ = self.operands([left, part.right])
            else:
                right = self.expression(part.right)
            atom = self.set(part, {"bin": BINARY[type(part.op)], "a": atom, "b": right}, target)
        assert atom is not None
        return atom

    def _on_unaryop(self, node: ast.UnaryOp, to: int | None) -> Atom:
        operand = node.operand
        if (
            isinstance(operand, ast.Constant)
            and isinstance(node.op, ast.USub)
            and type(operand.value) in (int, float, complex)
        ):
            return self.constant(-operand.value)  # type: ignore[operator]
        return self.set(node, {"un": UNARY[type(node.op)], "a": self.expression(operand)}, to)

    def _on_compare(self, node: ast.Compare, to: int | None) -> Atom:
        if len(node.ops) == 1:
            (left, right), _ = self.operands([node.left, node.comparators[0]])
            return self.set(node, {"cmp": COMPARE[type(node.ops[0])], "a": left, "b": right}, to)
        return self._chain(node, truth=False)

    def _chain(self, node: ast.Compare, *, truth: bool) -> Atom:
        """`a < b < c`: each operand is evaluated once, and only if those before it compare true."""
        result = self.temporary()

        def compare(left: Atom, right: Atom, k: int) -> None:
            operation: Operation = {"cmp": COMPARE[type(node.ops[k])], "a": left, "b": right}
            if truth:
                operation = {"truth": self.set(node, operation)}
            self.set(node, operation, result)

        def rest(left: Atom, left_node: ast.expr, k: int) -> None:
            if k == len(node.ops):
                return
            right_node = node.comparators[k]
            if k == 0:
                (left, right), _ = self.operands([left_node, right_node])
            else:
                right = self.expression(right_node)
            if isinstance(right_node, ast.Name) and _has_walrus(node.comparators[k + 1 :]):
                right = self.set(right_node, {"atom": right})
            compare(left, right, k)
            if k + 1 < len(node.ops):
                self.branch(
                    node, {"l": result}, lambda: rest(right, right_node, k + 1), lambda: None
                )

        rest({}, node.left, 0)
        return {"l": result}

    def _on_boolop(self, node: ast.BoolOp, _to: int | None) -> Atom:
        return self._shortcut(node, lambda part, result: self.into(part, result))

    def _shortcut(self, node: ast.BoolOp, compute: Callable[[ast.expr, int], None]) -> Atom:
        """`and`, `or`: `compute` evaluates a part into the result."""
        result = self.temporary()
        stop_at_true = isinstance(node.op, ast.Or)

        def rest(k: int) -> None:
            compute(node.values[k], result)
            if k + 1 == len(node.values):
                return
            more, nothing = (lambda: rest(k + 1)), (lambda: None)
            then, orelse = (nothing, more) if stop_at_true else (more, nothing)
            self.branch(node.values[k], {"l": result}, then, orelse)

        rest(0)
        return {"l": result}

    def _on_ifexp(self, node: ast.IfExp, _to: int | None) -> Atom:
        result = self.temporary()
        self.test(
            node.test,
            lambda: self.into(node.body, result),
            lambda: self.into(node.orelse, result),
        )
        return {"l": result}

    def test(self, node: ast.expr, then: Callable[[], None], orelse: Callable[[], None]) -> None:
        """Append an if statement whose condition is an expression, taking each truth once."""
        while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            node, then, orelse = node.operand, orelse, then
        self.branch(node, self.condition(node), then, orelse)

    def condition(self, node: ast.expr) -> Atom:
        """An atom whose truth is an expression's, where only the truth matters."""
        if isinstance(node, ast.BoolOp):
            return self._shortcut(node, self._truth_into)
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            return self._chain(node, truth=True)
        return self.expression(node)

    def _truth_into(self, node: ast.expr, to: int) -> None:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.set(node, {"un": "not", "a": self.condition(node.operand)}, to)
            return
        atom = self.condition(node)
        if atom.get("l") != to:
            self.set(node, {"truth": atom}, to)

    # ---- subscripts and displays

    def index_nodes(self, node: ast.expr) -> list[ast.expr]:
        """The expressions evaluated by a subscript, in order."""
        if isinstance(node, ast.Tuple):
            return [part for element in node.elts for part in self.index_nodes(element)]
        if isinstance(node, ast.Slice):
            return [part for part in (node.lower, node.upper, node.step) if part is not None]
        if isinstance(node, ast.Starred):
            raise UnsupportedError("starred subscript")
        return [node]

    def index_atom(self, node: ast.expr, atoms: list[Atom]) -> Atom:
        """The subscript made of the atoms of its expressions, which are taken from the front."""
        if isinstance(node, ast.Tuple):
            return {"tuple": [self.index_atom(element, atoms) for element in node.elts]}
        if isinstance(node, ast.Slice):
            parts = (node.lower, node.upper, node.step)
            return {"slice": [None if part is None else atoms.pop(0) for part in parts]}
        return atoms.pop(0)

    def _on_subscript(self, node: ast.Subscript, to: int | None) -> Atom:
        (value, *index), _ = self.operands([node.value, *self.index_nodes(node.slice)])
        return self.set(node, {"item": self.index_atom(node.slice, index), "of": value}, to)

    def _on_tuple(self, node: ast.Tuple, to: int | None) -> Atom:
        return self._display(node, node.elts, "tuple", to)

    def _on_list(self, node: ast.List, to: int | None) -> Atom:
        return self._display(node, node.elts, "list", to)

    def _on_set(self, node: ast.Set, to: int | None) -> Atom:
        return self._display(node, node.elts, "set_", to)

    def _display(self, node: ast.expr, elements: list[ast.expr], kind: str, to: int | None) -> Atom:
        if any(isinstance(element, ast.Starred) for element in elements):
            return self.assembled(node, elements, to)
        return self.set(node, {kind: self.operands(elements)[0]}, to)

    def _on_dict(self, node: ast.Dict, to: int | None) -> Atom:
        if None in node.keys:
            parts: list[ast.expr] = []
            for key, value in zip(node.keys, node.values, strict=True):
                parts += [value] if key is None else [key, value]
            return self.assembled(node, parts, to)
        parts = [
            part
            for pair in zip(node.keys, node.values, strict=True)
            for part in pair
            if part is not None
        ]
        atoms, _ = self.operands(parts)
        pairs = [list(pair) for pair in zip(atoms[::2], atoms[1::2], strict=True)]
        return self.set(node, {"dict": pairs}, to)

    # ---- calls

    def _on_call(self, node: ast.Call, to: int | None) -> Atom:
        function = node.func
        if isinstance(function, ast.Name) and function.id in FRAME_USERS:
            raise UnsupportedError(f"{function.id}() uses the frame of its caller")
        spread = any(isinstance(part, ast.Starred) for part in node.args)
        if spread or any(keyword.arg is None for keyword in node.keywords):
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
            return self.assembled(node, [function, *parts], to)
        builtin = self.builtin(function)
        if builtin in EAGER and node.args and isinstance(node.args[0], ast.GeneratorExp):
            atom = self.consume(builtin, node, node.args[0], to)
            if atom is not None:
                return atom
        nodes = [*node.args, *(keyword.value for keyword in node.keywords)]
        self.momentary |= {id(each) for each in self._forgotten(builtin, node)}
        is_lifted = isinstance(function, ast.Name) and function.id in self.lifted
        if isinstance(function, ast.Name) and is_lifted and function.id not in self.renamed:
            atom = self._lifted_call(node, function.id, to)
            if atom is not None:
                return atom
        if isinstance(function, ast.Attribute):
            path = self.module_path(function)
            if path is None:
                return self._method(node, function, nodes, to)
            callee = self.frozen(path, call=True)
            atoms, _ = self.operands(nodes)
        elif (
            isinstance(function, ast.Name)
            and not self.is_local(function.id)
            and function.id not in self.names.outer
            and self.resolver.exists(function.id)
        ):
            callee = self.frozen(function.id, call=True)
            atoms, _ = self.operands(nodes)
        else:
            (callee, *atoms), _ = self.operands([function, *nodes])
        operation = {"call": callee, **self._arguments(node, atoms)}
        return self.set(node, operation, to)

    def _forgotten(self, builtin: str | None, node: ast.Call) -> Iterator[ast.expr]:
        """The lambdas that a call of a builtin only calls itself.

        Functions and generators that such a lambda makes may live on, and read its variables then.
        """
        called: list[ast.expr] = []
        if builtin in ORDERING:
            called += (keyword.value for keyword in node.keywords if keyword.arg == "key")
        if builtin in CONSUMING and len(node.args) == 1:
            items = node.args[0]
            if isinstance(items, ast.Call) and self.builtin(items.func) in ("map", "filter"):
                called += items.args[:1]
        for each in called:
            inner = (part for part in ast.walk(each) if part is not each)
            if not any(isinstance(part, (ast.Lambda, ast.GeneratorExp)) for part in inner):
                yield each

    def _lifted_call(self, node: ast.Call, name: str, to: int | None) -> Atom | None:
        """A call of a nested function that is compiled as a function of its own."""
        number, lifted = self.lifted[name]
        given = lifted.given(node)
        if given is None or name not in self.bound:
            return None
        nodes = [*node.args, *(keyword.value for keyword in node.keywords)]
        atoms, _ = self.operands(nodes)
        key = (f"{name}#{number}", True)
        callee = self._globals.get(key)
        if callee is None:
            callee = {"g": len(self.form.globals)}
            self.form.globals.append({"path": name, "call": True, "lifted": number})
            self._globals[key] = callee
        captured = [{"l": self.index[other]} for other in lifted.captured]
        if to is None:
            to = self.temporary()
        writer = PythonForm(self.form)
        writer.where = node
        value = writer.at(writer.call(writer.load(name), self._arguments(node, atoms)))
        target = writer.store(self.form.locals[to])
        python = writer.at(ast.Assign(targets=[target], value=value))
        atom_of = dict(zip(map(id, nodes), atoms, strict=True))
        own = [atom_of.get(id(each)) or self.expression(each) for each in given]
        call = {"call": callee, "args": own + captured}
        self.out.append(Simple(node, {"s": "set", "to": to, "e": call}, [python]))
        if number < -1:
            # A parameter here, which Python reads.
            self.emit(node, {"s": "expr", "e": {"tuple": [{"l": self.index[name]}]}})
        return {"l": to}

    def _arguments(self, node: ast.Call, atoms: list[Atom]) -> dict[str, Any]:
        n_positional = len(node.args)
        arguments: dict[str, Any] = {"args": atoms[:n_positional]}
        if node.keywords:
            names = [keyword.arg for keyword in node.keywords]
            values = atoms[n_positional:]
            arguments["kw"] = [list(pair) for pair in zip(names, values, strict=True)]
        return arguments

    def _method(
        self, node: ast.Call, function: ast.Attribute, nodes: list[ast.expr], to: int | None
    ) -> Atom:
        if (
            function.attr == "join"
            and isinstance(function.value, ast.Constant)
            and isinstance(function.value.value, str)
            and len(nodes) == 1
            and isinstance(nodes[0], ast.GeneratorExp)
        ):
            # str.join makes a list of what it is given before it does anything else.
            parts = nodes[0]
            nodes = [ast.ListComp(elt=parts.elt, generators=parts.generators)]
            ast.copy_location(nodes[0], parts)
        of, name = self._method_of_base(function) or (function.value, function.attr)
        (receiver, *atoms), (place, *_) = self.operands([of, *nodes])
        operation: Operation = {"method": name, "of": receiver}
        if place < len(self.out):
            bound = self.temporary()
            lookup = {"s": "lookup", "to": bound, "attr": name, "of": receiver}
            self.out.insert(place, Simple(function, lookup))
            operation["bound"] = {"l": bound}
        operation.update(self._arguments(node, atoms))
        return self.set(node, operation, to)

    def _method_of_base(self, function: ast.Attribute) -> tuple[ast.expr, str] | None:
        """The object and the name of the method of `super().method`, if that is what it seems."""
        call, params = function.value, self.form.params
        if (
            not isinstance(call, ast.Call)
            or call.args
            or call.keywords
            or self.renamed
            or not params
            or self.builtin(call.func) != "super"
        ):
            return None
        of, first = self.resolver.defining_class(), params[0]
        is_bound_anew = first in self.names.deleted or any(
            isinstance(node, ast.Name) and node.id == first and isinstance(node.ctx, ast.Store)
            for node in ast.walk(self.syntax)
        )
        if of is None or is_bound_anew:
            return None
        return ast.copy_location(ast.Name(id=first, ctx=ast.Load()), call), (
            f"{SUPER}{id(of)}:{function.attr}"
        )

    # ---- syntax without an operation: a call of a small Python function

    def helper(self, where: ast.AST, to: int | None, template: ast.expr, atoms: list[Atom]) -> Atom:
        """The value of an expression over names of locals, computed by a Python function.

        The expression may use the names of the locals in `atoms`, which become parameters.
        """
        parameters = [self.form.locals[atom["l"]] for atom in atoms]
        body: list[ast.stmt] = [ast.copy_location(ast.Return(value=template), where)]
        self.form.constants.append(Helper(parameters, body))
        if to is None:
            to = self.temporary()
        call = {"call": {"c": len(self.form.constants) - 1}, "args": atoms}
        target = ast.Name(id=self.form.locals[to], ctx=ast.Store())
        python = ast.Assign(targets=[ast.copy_location(target, where)], value=template)
        ast.copy_location(python, where)
        self.out.append(Simple(where, {"s": "set", "to": to, "e": call}, [python]))
        return {"l": to}

    def tool(
        self, where: ast.AST, name: str, atoms: list[Atom], value: ast.expr | None = None
    ) -> Atom:
        """The value of a call of one of our own functions (`opcodon._jit.tools`).

        In Python the value is that of `value`, if it is given.
        """
        self.form.constants.append(TOOLS[name])
        to = self.temporary()
        call = {"call": {"c": len(self.form.constants) - 1}, "args": atoms}
        writer = PythonForm(self.form)
        writer.where = where
        if value is None:
            value = writer.at(writer.call(writer.load(name), call))
        target = writer.store(self.form.locals[to])
        python = writer.at(ast.Assign(targets=[target], value=value))
        self.out.append(Simple(where, {"s": "set", "to": to, "e": call}, [python]))
        return {"l": to}

    def name_of(self, node: ast.expr, atom: Atom, used: list[Atom]) -> ast.expr:
        """An expression that names an atom; a local is noted in `used`."""
        index = atom.get("l")
        if index is None:
            return node
        if not any(index == other["l"] for other in used):
            used.append(atom)
        name = ast.Name(id=self.form.locals[index], ctx=ast.Load())
        return ast.copy_location(name, node)

    def assembled(self, node: ast.expr, parts: list[ast.expr], to: int | None) -> Atom:
        """A display or call with starred parts: the parts are evaluated, Python assembles them."""
        inner = [part.value if isinstance(part, ast.Starred) else part for part in parts]
        atoms, places = self.operands(inner)
        stars = [k for k, part in enumerate(parts) if isinstance(part, ast.Starred)]
        if isinstance(node, ast.Dict) or (
            isinstance(node, ast.Call) and any(k.arg is None for k in node.keywords)
        ):
            stars = stars or [0]
        if stars and places[stars[0]] != len(self.out):
            # What a star spreads is spread before later parts are evaluated.
            raise UnsupportedError("starred part before one that is computed")
        used: list[Atom] = []
        replaced = {
            id(old): self.name_of(old, atom, used) for old, atom in zip(inner, atoms, strict=True)
        }
        return self.helper(node, to, _replace(node, replaced), used)

    def _on_joinedstr(self, node: ast.JoinedStr, to: int | None) -> Atom:
        # Each value is formatted before the next is evaluated, unless all are names anyway.
        simple = all(
            isinstance(part, ast.Constant)
            or (
                isinstance(part, ast.FormattedValue)
                and isinstance(part.value, ast.Name)
                and part.lineno == node.lineno
                and _written(part.format_spec) is not None
            )
            for part in node.values
        )
        parts: list[dict[str, Any]] = []
        for value in node.values:
            if not isinstance(value, ast.FormattedValue):
                parts.append({"text": _text(value)})
                continue
            spec = _written(value.format_spec)
            atom = self.expression(value.value)
            part = {"value": atom, "conversion": _conversion(value), "spec": spec}
            if spec is None:
                assert isinstance(value.format_spec, ast.JoinedStr)
                part = _formatted(self._with_format(value, atom, value.format_spec))
            elif not simple:
                part = _formatted(self.set(value, {"format": [part], "part": True}))
            parts.append(part)
        return self.set(node, {"format": parts}, to)

    def _with_format(self, value: ast.FormattedValue, atom: Atom, spec: ast.JoinedStr) -> Atom:
        """A value that is formatted as a text says that is computed."""
        used: list[Atom] = []
        template = ast.FormattedValue(
            value=self.name_of(value.value, atom, used),
            conversion=value.conversion,
            format_spec=None,
        )
        inner = ast.FormattedValue(
            value=self.name_of(spec, self._on_joinedstr(spec, None), used),
            conversion=-1,
            format_spec=None,
        )
        format_spec = ast.JoinedStr(values=[ast.copy_location(inner, spec)])
        template.format_spec = ast.copy_location(format_spec, spec)
        single = ast.JoinedStr(values=[ast.copy_location(template, value)])
        return self.helper(value, None, ast.copy_location(single, value), used)

    def _on_lambda(self, node: ast.Lambda, to: int | None) -> Atom:
        return self.helper(node, to, node, self.captured(node))

    def captured(self, node: ast.AST, own: str | None = None) -> list[Atom]:
        """The locals that a nested function may read: they must not change any more.

        `own` is the nested function's name, which it knows without our help.
        """
        used: list[Atom] = []
        theirs = own_names(node)
        for inner in ast.walk(node):
            if id(inner) in theirs:
                continue
            if isinstance(inner, ast.Name) and self.is_local(inner.id) and inner.id != own:
                name = inner.id
                if name in self.renamed:
                    raise UnsupportedError(
                        f"nested function that reads {name!r} of a comprehension"
                    )
                stays = self.names.settled(name, node) or (
                    id(node) in self.momentary and self.names.is_plain(name)
                )
                if name not in self.bound or not stays:
                    raise UnsupportedError(
                        f"nested function that reads {name!r}, bound again later"
                    )
                atom: Atom = {"l": self.index[name]}
                if atom not in used:
                    used.append(atom)
            elif isinstance(inner, (ast.Nonlocal, ast.Global, ast.Yield, ast.YieldFrom, ast.Await)):
                raise UnsupportedError("nested function that is a generator or binds outer names")
        return used

    def _on_generatorexp(self, node: ast.GeneratorExp, to: int | None) -> Atom:
        return self.helper(node, to, node, self.captured(node))

    def consume(
        self, builtin: str, call: ast.Call, generator: ast.GeneratorExp, to: int | None
    ) -> Atom | None:
        """The value of `builtin(x for x in …)` without a generator, or None if it needs one."""
        raise NotImplementedError


# Operators on integers that CPython's compiler does, too, as far as they cannot fail here.
FOLDED: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}


def _text(node: ast.expr) -> str:
    """The text of a constant part of an f-string."""
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str)
    if any("\ud800" <= character <= "\udfff" for character in node.value):
        raise UnsupportedError("f-string with surrogates")
    return node.value


def _written(spec: ast.expr | None) -> str | None:
    """A format that is written in the program; None if it is computed."""
    if spec is None:
        return ""
    assert isinstance(spec, ast.JoinedStr)
    if not all(isinstance(part, ast.Constant) for part in spec.values):
        return None
    return "".join(map(_text, spec.values))


def _conversion(value: ast.FormattedValue) -> str:
    return chr(value.conversion) if value.conversion > 0 else ""


def _formatted(atom: Atom) -> dict[str, Any]:
    """The part of an f-string for a value that was formatted already."""
    return {"value": atom, "conversion": "", "spec": ""}


def folded(node: ast.expr, depth: int = 4) -> int | None:
    """The integer that an expression of written integers is, or None."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if not isinstance(node, ast.BinOp) or depth == 0:
        return None
    left, right = folded(node.left, depth - 1), folded(node.right, depth - 1)
    if left is None or right is None:
        return None
    kind = type(node.op)
    if kind in (ast.LShift, ast.RShift) and 0 <= right < 64:
        return left << right if kind is ast.LShift else left >> right
    return FOLDED[kind](left, right) if kind in FOLDED else None


def _calls(node: Node) -> bool:
    """Whether a statement may call what binds global names anew."""
    if isinstance(node, Simple):
        operation = node.data.get("e", {})
        return not operation.keys().isdisjoint({"call", "method", "format", "attr"})
    return True


def _has_walrus(nodes: list[ast.expr]) -> bool:
    return any(isinstance(part, ast.NamedExpr) for node in nodes for part in ast.walk(node))


def _replace(node: Any, replaced: dict[int, ast.expr]) -> Any:
    """A copy of an expression with some of its parts replaced, by identity."""
    if id(node) in replaced:
        return replaced[id(node)]
    if isinstance(node, list):
        return [_replace(part, replaced) for part in node]
    if not isinstance(node, (ast.expr, ast.keyword)):
        return node
    fields = {name: _replace(value, replaced) for name, value in ast.iter_fields(node)}
    return ast.copy_location(type(node)(**fields), node)
