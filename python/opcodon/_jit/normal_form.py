"""A function's syntax tree to the normal form (see `opcodon._jit.form`).

Statements are dealt with here, expressions in `opcodon._jit.expressions`. Loops become `while True`
and `for` over one local; conditions, unpacking and augmented assignment become single operations.
What cannot be said is one *leave*: the statement as the source has it, which Python performs.
"""

from __future__ import annotations

import ast
from functools import partial

from opcodon._jit.cells import with_lists
from opcodon._jit.expressions import BINARY, Resolver, UnsupportedError
from opcodon._jit.form import (
    Atom,
    Attempt,
    Block,
    For,
    Form,
    Handled,
    Helper,
    If,
    Lifted,
    Loop,
    Once,
    Piece,
    Simple,
    Try,
    Turn,
    Turns,
    With,
)
from opcodon._jit.generators import gives
from opcodon._jit.handlers import Caught, Handlers, HandlersNormaliser
from opcodon._jit.names import LOOPS, SCOPES, Names, RefusedError
from opcodon._jit.patterns import PatternNormaliser
from opcodon._jit.python_form import PythonForm
from opcodon._jit.shared import shared_rows
from opcodon._jit.source import parameters
from opcodon._jit.tools import ENTER_NAME


def normalise(
    function: ast.FunctionDef | ast.Lambda,
    name: str,
    file: str,
    resolver: Resolver,
    itself: Lifted | None = None,
    shares: bool = False,
) -> Form:
    """Put a function into normal form.

    Parameters
    ----------
    function
        Its syntax.
    name, file
        What it is called, and where it stands.
    resolver
        What the names around it mean.
    itself
        If it is a nested function, what it was made of.
    shares
        Whether loops over `prange` may be done by several threads.

    Raises
    ------
    RefusedError
        If the function as a whole is of a kind that is not compiled; the message says why.
    """
    if isinstance(function, ast.FunctionDef):
        with_lists(function)
    names = Names(function)
    form = Form(name, file, function.lineno)
    form.params = names.params
    form.kwonly = names.kwonly
    form.vararg = names.vararg
    form.kwarg = names.kwarg
    form.locals = list(names.locals)
    form.outer = [
        (kind, sorted(name for name in names.outer if resolver.is_free(name) is free))
        for kind, free in ((ast.Global, False), (ast.Nonlocal, True))
    ]
    form.unbindable = [
        name for name in names.locals if name not in names.params or name in names.deleted
    ]
    if names.outer:
        _Undeclared(function).visit(function)
    normaliser = Normaliser(form, names, resolver)
    normaliser.shares = shares
    if itself is not None:
        for each, (number, sibling) in itself.siblings.items():
            normaliser.lifted[each] = (-2 - number, sibling)
        if itself.name in itself.captured:
            normaliser.lifted[itself.name] = (-1, itself)
    try:
        form.body = normaliser.function(function)
    except RecursionError:
        raise RefusedError("its expressions or statements are nested too deeply") from None
    _number(form)
    return form


class Normaliser(HandlersNormaliser):
    """Statements, expressions and comprehensions of one function."""

    def __init__(self, form: Form, names: Names, resolver: Resolver) -> None:
        super().__init__(form, names, resolver)
        self.unreachable = frozenset(form.locals)
        self.shares = False
        # The try statement that a jump leaves first.
        self.inside_of: Handlers | None = None

    # ---- blocks

    def function(self, node: ast.FunctionDef | ast.Lambda) -> Block:
        """The body of a function."""
        self.syntax = node
        if isinstance(node, ast.Lambda):
            value = ast.copy_location(ast.Return(value=node.body), node.body)
            return self.block([value])
        body = node.body
        if ast.get_docstring(node, clean=False) is not None:
            body = body[1:]
        block = self.block(body)
        if not body or not isinstance(body[-1], (ast.Return, ast.Raise)):
            last = body[-1] if body else node
            data = {"s": "return", "a": {"none": 1}}
            block.append(Piece(None, [Simple(last, data)]))
        return block

    def block(self, statements: list[ast.stmt]) -> Block:
        """The pieces of statements that stand one after the other."""
        pieces = []
        for statement in statements:
            outer, self.out = self.out, []
            bound = set(self.bound)
            try:
                method = getattr(self, "_on_" + type(statement).__name__.lower(), None)
                if method is None:
                    raise UnsupportedError(f"{type(statement).__name__} statement")
                method(statement)
                if self.turns is not None and isinstance(statement, LOOPS) and gives(statement):
                    self.leave_turns(statement)
            except UnsupportedError as reason:
                self.out = [self.leave(statement, str(reason))]
                self.bound = bound
            pieces.append(Piece(statement, self.out))
            self.out = outer
            if isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
                self.bound = set(self.unreachable)
                break
        return pieces

    def leave(self, statement: ast.stmt, why: str, *, ends: bool = False) -> Simple:
        """A statement that is left to Python; `ends` if nothing of the function follows it."""
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        reads = sorted(self.index[name] for name in names if name in self.index)
        self.form.handlers |= not ends
        return Simple(statement, {"s": "leave", "why": why, "reads": reads}, [statement])

    # ---- simple statements

    def _on_pass(self, _node: ast.stmt) -> None:
        pass

    _on_global = _on_nonlocal = _on_pass

    def _on_expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        if isinstance(node.value, ast.Yield) and self.turns is not None:
            self.turn(node.value, self.turns)
            return
        before = len(self.out)
        atom = self.expression(node.value)
        index = atom.get("l")
        last = self.out[-1] if len(self.out) > before else None
        if (
            isinstance(last, Simple)
            and last.python is None
            and last.data["s"] == "set"
            and last.data["to"] == index
            and self.form.locals[index].startswith(".t")
        ):
            last.data = {"s": "expr", "e": last.data["e"]}
        elif isinstance(node.value, ast.Name):
            self.emit(node, {"s": "expr", "e": {"atom": atom}})

    def _on_return(self, node: ast.Return) -> None:
        if any(crossed not in ("loop", "turn", "once") for crossed in self.crossed):
            raise UnsupportedError("return out of a statement that must be left in order")
        atom = {"none": 1} if node.value is None else self.expression(node.value)
        self.emit(node, {"s": "return", "a": atom})

    def _on_break(self, node: ast.Break) -> None:
        self._jump(node, "break")

    def _on_continue(self, node: ast.Continue) -> None:
        self._jump(node, "continue")

    def _jump(self, node: ast.stmt, kind: str) -> None:
        if self.crossed[-1] == "turn":
            # The body has a loop of its own, in place of the one over the generator.
            left = self.turned[-1].left
            if kind == "break" and left is not None:
                self.copy(node, self.constant(True), left)
            self.out.append(Simple(node, {"s": "break"}, [node]))
            return
        if self.crossed[-1] == "once":
            # Out of the body first, which is a loop of its own.
            assert self.inside_of is not None
            self.inside_of.jumps.add(kind)
            self.copy(node, self.constant(True), self.inside_of.left[kind])
            self.out.append(Simple(node, {"s": "break"}, [node]))
            return
        if self.crossed[-1] != "loop":
            raise UnsupportedError(f"{kind} out of a statement that must be left in order")
        self.emit(node, {"s": kind})

    def _on_raise(self, node: ast.Raise) -> None:
        if self.raised(node):
            return
        is_caught = self.once is not None and self.crossed[-1:] == ["once"]
        if is_caught and node.exc is not None and node.cause is None:
            self.emit(node, {"s": "raise", "a": self.expression(node.exc)})
            return
        self.out.append(self.leave(node, "raise statement", ends=True))

    def _on_assert(self, node: ast.Assert) -> None:
        if not __debug__:
            return
        # `assert False, message`: what remains once the condition is known to be false.
        false = ast.copy_location(ast.Constant(value=False), node.test)
        failure = ast.copy_location(ast.Assert(test=false, msg=node.msg), node)

        def fail() -> None:
            self.out.append(self.leave(failure, "failed assertion", ends=True))
            self.bound = set(self.unreachable)

        self.test(node.test, lambda: None, fail)

    def _on_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in self.index:
                self.emit(target, {"s": "unset", "l": self.index[target.id]})
            elif isinstance(target, ast.Subscript):
                (value, *index), _ = self.operands([target.value, *self.index_nodes(target.slice)])
                item = self.index_atom(target.slice, index)
                self.emit(target, {"s": "delitem", "of": value, "item": item})
            else:
                raise UnsupportedError("deletion of an attribute, a tuple or a global")

    def _on_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """A small function imports; what it binds are its results."""
        names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        if any(name not in self.index for name in names):
            raise UnsupportedError("import of a global name")
        writer = PythonForm(self.form)
        writer.where = node
        loads: list[ast.expr] = [writer.load(name) for name in names]
        values = writer.at(ast.Tuple(elts=loads, ctx=ast.Load()))
        self.form.constants.append(Helper([], [node, writer.at(ast.Return(value=values))]))
        whole = self.temporary()
        call = {"call": {"c": len(self.form.constants) - 1}, "args": []}
        pack = writer.at(ast.Assign([writer.store(self.form.locals[whole])], values))
        self.out.append(Simple(node, {"s": "set", "to": whole, "e": call}, [node, pack]))
        to = [self.index[name] for name in names]
        self.emit(node, {"s": "unpack", "to": to, "a": {"l": whole}})
        for name in names:
            self.bind(name)

    _on_importfrom = _on_import

    # ---- assignment

    def _on_assign(self, node: ast.Assign) -> None:
        (target, *others), value = node.targets, node.value
        if not others and isinstance(target, ast.Name) and target.id in self.index:
            self.into(value, self.index[target.id])
            self.bind(target.id)
            if isinstance(value, ast.Lambda):
                names = [self.form.locals[atom["l"]] for atom in self.captured(value)]
                self._lift(target.id, value, names, recursive=False)
            return
        if not others and isinstance(target, ast.Subscript):
            self._store_item(target, value)
            return
        if not others and self._swap(target, value):
            return
        atom = self.expression(value)
        if others and isinstance(value, ast.Name) and value.id in self.index:
            atom = self.set(value, {"atom": atom})
        for each in node.targets:
            self.assign(each, atom)

    def _on_annassign(self, node: ast.AnnAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise UnsupportedError("annotated assignment to an attribute or item")
        if node.value is not None:
            assignment = ast.Assign(targets=[node.target], value=node.value)
            self._on_assign(ast.copy_location(assignment, node))

    def _swap(self, target: ast.expr, value: ast.expr) -> bool:
        """`a, b = b, a`: the tuple need not be made."""
        if (
            not isinstance(target, (ast.Tuple, ast.List))
            or not isinstance(value, (ast.Tuple, ast.List))
            or len(target.elts) != len(value.elts)
            or any(isinstance(part, ast.Starred) for part in (*target.elts, *value.elts))
        ):
            return False
        atoms, _ = self.operands(value.elts)
        assigned = {name.id for name in ast.walk(target) if isinstance(name, ast.Name)}
        for k, part in enumerate(value.elts):
            local = atoms[k].get("l")
            moved = local is not None and self.form.locals[local] in assigned
            if moved or self._may_fail(part):
                atoms[k] = self.set(part, {"atom": atoms[k]})
        for each, atom in zip(target.elts, atoms, strict=True):
            self.assign(each, atom)
        return True

    def _store_item(self, target: ast.Subscript, value: ast.expr) -> None:
        (atom, of, *index), _ = self.operands(
            [value, target.value, *self.index_nodes(target.slice)]
        )
        item = self.index_atom(target.slice, index)
        self.emit(target, {"s": "setitem", "of": of, "item": item, "value": atom})

    def assign(self, target: ast.expr, value: Atom) -> None:
        """Append the assignment of an atom to a target."""
        if isinstance(target, ast.Name):
            self._assign_name(target, value)
        elif isinstance(target, ast.Subscript):
            (of, *index), _ = self.operands([target.value, *self.index_nodes(target.slice)])
            item = self.index_atom(target.slice, index)
            self.emit(target, {"s": "setitem", "of": of, "item": item, "value": value})
        elif isinstance(target, ast.Attribute):
            of = self.expression(target.value)
            self.emit(target, {"s": "setattr", "of": of, "attr": target.attr, "value": value})
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, target.elts, value)
        else:
            raise UnsupportedError(f"assignment to {type(target).__name__}")

    def local(self, target: ast.expr) -> int | None:
        """The local that a target binds, if it is a plain name."""
        if not isinstance(target, ast.Name):
            return None
        return self.renamed.get(target.id, self.index.get(target.id))

    def _assign_name(self, target: ast.Name, value: Atom) -> None:
        index = self.local(target)
        if index is not None:
            self.copy(target, value, index)
            self.bind(target.id)
            return
        namespace = self.namespace(target.id)
        if namespace is not None:
            data = {"s": "setglobal", "of": namespace, "name": target.id, "value": value}
            self.emit(target, data)
            return
        # A nonlocal name: a small function binds it.
        local = value.get("l")
        if local is None:
            value = self.set(target, {"atom": value})
            local = value["l"]
        name = self.form.locals[local]
        loaded = ast.copy_location(ast.Name(id=name, ctx=ast.Load()), target)
        stored = ast.copy_location(ast.Name(id=target.id, ctx=ast.Store()), target)
        store: list[ast.stmt] = [
            ast.copy_location(ast.Assign(targets=[stored], value=loaded), target)
        ]
        kind = ast.Nonlocal if self.resolver.is_free(target.id) else ast.Global
        declaration = ast.copy_location(kind(names=[target.id]), target)
        self.form.constants.append(Helper([name], [declaration, *store]))
        call = {"call": {"c": len(self.form.constants) - 1}, "args": [value]}
        self.out.append(Simple(target, {"s": "expr", "e": call}, store))

    def _unpack(self, target: ast.expr, elements: list[ast.expr], value: Atom) -> None:
        starred = [k for k, element in enumerate(elements) if isinstance(element, ast.Starred)]
        if starred:
            self._unpack_starred(target, elements, value)
            return
        to = [self.local(element) for element in elements]
        if None not in to and len(set(to)) == len(to):
            self.emit(target, {"s": "unpack", "to": to, "a": value})
            for element in elements:
                assert isinstance(element, ast.Name)
                self.bind(element.id)
            return
        parts = [self.temporary() for _ in elements]
        self.emit(target, {"s": "unpack", "to": parts, "a": value})
        for element, part in zip(elements, parts, strict=True):
            self.assign(element, {"l": part})

    def _unpack_starred(self, target: ast.expr, elements: list[ast.expr], value: Atom) -> None:
        """`a, *b = x`: a small function returns `(a, b)`."""
        local = value.get("l")
        if local is None:
            value = self.set(target, {"atom": value})
            local = value["l"]
        parts = [self.temporary() for _ in elements]
        names = [self.form.locals[part] for part in parts]

        def at(node: ast.expr) -> ast.expr:
            return ast.copy_location(node, target)

        stores: list[ast.expr] = []
        for element, name in zip(elements, names, strict=True):
            store = at(ast.Name(id=name, ctx=ast.Store()))
            if isinstance(element, ast.Starred):
                store = at(ast.Starred(value=store, ctx=ast.Store()))
            stores.append(store)
        source = self.form.locals[local]
        unpack = ast.Assign(
            targets=[at(ast.Tuple(elts=stores, ctx=ast.Store()))],
            value=at(ast.Name(id=source, ctx=ast.Load())),
        )
        loads = [at(ast.Name(id=name, ctx=ast.Load())) for name in names]
        result = ast.Return(value=at(ast.Tuple(elts=loads, ctx=ast.Load())))
        ast.copy_location(unpack, target)
        ast.copy_location(result, target)
        self.form.constants.append(Helper([source], [unpack, result]))
        whole = self.temporary()
        call = {"call": {"c": len(self.form.constants) - 1}, "args": [value]}
        pack = ast.Assign(
            targets=[at(ast.Name(id=self.form.locals[whole], ctx=ast.Store()))],
            value=at(ast.Tuple(elts=loads, ctx=ast.Load())),
        )
        ast.copy_location(pack, target)
        self.out.append(Simple(target, {"s": "set", "to": whole, "e": call}, [unpack, pack]))
        self.emit(target, {"s": "unpack", "to": parts, "a": {"l": whole}})
        for element, part in zip(elements, parts, strict=True):
            inner = element.value if isinstance(element, ast.Starred) else element
            self.assign(inner, {"l": part})

    def _on_augassign(self, node: ast.AugAssign) -> None:
        target = node.target
        operator = BINARY[type(node.op)]
        if isinstance(target, ast.Name) and target.id in self.index:
            to = self.index[target.id]
            load = ast.copy_location(ast.Name(id=target.id, ctx=ast.Load()), target)
            (left, right), _ = self.operands([load, node.value])
            if right == {"l": to} and left != right:
                right = self.set(node.value, {"atom": right})
            self.set(node, {"ibin": operator, "a": left, "b": right}, to)
            self.bind(target.id)
        elif isinstance(target, ast.Subscript):
            of, *index = self._once([target.value, *self.index_nodes(target.slice)])
            item = self.index_atom(target.slice, index)
            old = self.set(target, {"item": item, "of": of})
            value = self.expression(node.value)
            new = self.set(node, {"ibin": operator, "a": old, "b": value})
            self.emit(node, {"s": "setitem", "of": of, "item": item, "value": new})
        elif isinstance(target, ast.Attribute):
            (of,) = self._once([target.value])
            old = self.set(target, {"attr": target.attr, "of": of})
            value = self.expression(node.value)
            new = self.set(node, {"ibin": operator, "a": old, "b": value})
            self.emit(node, {"s": "setattr", "of": of, "attr": target.attr, "value": new})
        else:
            # A global or nonlocal name.
            load = ast.copy_location(ast.Name(id=target.id, ctx=ast.Load()), target)
            (old, value), _ = self.operands([load, node.value])
            new = self.set(node, {"ibin": operator, "a": old, "b": value})
            self._assign_name(target, new)

    def _once(self, nodes: list[ast.expr]) -> list[Atom]:
        """Operands that stay what they are although a value is computed before their last use."""
        atoms, _ = self.operands(nodes)
        for k, node in enumerate(nodes):
            if isinstance(node, ast.Name) and node.id in self.names.walrus:
                atoms[k] = self.set(node, {"atom": atoms[k]})
        return atoms

    # ---- compound statements

    def _on_if(self, node: ast.If) -> None:
        test, then, orelse = node.test, node.body, node.orelse
        while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, then, orelse = test.operand, orelse, then
        self._choice(node, self.condition(test), then, orelse)

    def _choice(
        self, where: ast.stmt, condition: Atom, then: list[ast.stmt], orelse: list[ast.stmt]
    ) -> None:
        """Append an if statement over statements of the source."""
        before = set(self.bound)
        then_block = self.block(then)
        after_then, self.bound = self.bound, before
        else_block = self.block(orelse)
        self.bound = self.bound & after_then
        self.out.append(If(where, condition, then_block, else_block))

    def _on_while(self, node: ast.While) -> None:
        """`while c: body else: rest`; with a rest, the way out by the condition is noted."""
        done = self.temporary() if node.orelse else None
        if done is not None:
            self.copy(node, self.constant(False), done)

        def stop() -> None:
            if done is not None:
                self.copy(node, self.constant(True), done)
            self.emit(node, {"s": "break"})
            self.bound = set(self.unreachable)

        bound = set(self.bound)
        self.crossed.append("loop")
        endless = isinstance(node.test, ast.Constant) and node.test.value
        head = [] if endless else self.inside(lambda: self.test(node.test, lambda: None, stop))
        after = set(self.bound)
        body = self.block(node.body)
        self.crossed.pop()
        self.bound = after if not endless else bound
        self.out.append(Loop(node, head + body))
        if done is not None:
            self._choice(node, {"l": done}, node.orelse, [])

    def _on_for(self, node: ast.For) -> None:
        generator = self.generator(node.iter)
        if generator is not None:
            self.for_turns(node, generator)
            return
        if self.shares and self._share(node):
            return
        iterable = node.iter
        if isinstance(iterable, ast.Tuple) and all(map(_is_number, iterable.elts)):
            # Nobody sees it, and the numbers of a list need no objects.
            iterable = ast.copy_location(ast.List(iterable.elts, iterable.ctx), iterable)
        self.for_(node, self.expression(iterable))

    def _share(self, node: ast.For) -> bool:
        """A loop over `prange` as a call that has threads do the rows, if it is one for them."""
        if not isinstance(node.iter, ast.Call) or not isinstance(self.syntax, ast.FunctionDef):
            return False
        path = _dotted(node.iter.func)
        if path is None or path[-1] != "prange" or path[0] in self.index:
            return False
        if not self.resolver.is_range(".".join(path)):
            return False

        def is_own(name: str) -> bool:
            is_named_here = name in self.index and name not in self.renamed
            return is_named_here and self.names.is_plain(name)

        rows = shared_rows(node, self.syntax, is_own, self.resolver.is_builtin)
        if rows is None:
            return False
        whole = self.expression(node.iter)
        if "l" not in whole:
            return False
        given = [{"l": self.index[name]} for name in rows.parameters[3:]]
        self.form.constants.append(rows)
        call = {"call": {"c": len(self.form.constants) - 1}, "args": [whole, *given]}
        writer = PythonForm(self.form)
        writer.where = node
        again = writer.load(self.form.locals[whole["l"]])
        loop = ast.For(target=node.target, iter=again, body=node.body, orelse=[])
        python: list[ast.stmt] = [ast.copy_location(loop, node)]
        to = [self.index[name] for name in rows.reductions]
        if not to:
            self.out.append(Simple(node, {"s": "expr", "e": call}, python))
        elif len(to) == 1:
            self.out.append(Simple(node, {"s": "set", "to": to[0], "e": call}, python))
        else:
            results = self.temporary()
            loads: list[ast.expr] = [writer.load(name) for name in rows.reductions]
            values = writer.at(ast.Tuple(elts=loads, ctx=ast.Load()))
            python.append(writer.at(ast.Assign([writer.store(self.form.locals[results])], values)))
            self.out.append(Simple(node, {"s": "set", "to": results, "e": call}, python))
            self.emit(node, {"s": "unpack", "to": to, "a": {"l": results}})
        return True

    def for_(self, node: ast.For, iterable: Atom) -> None:
        """Append the loop over an iterable."""
        index = self.local(node.target)
        to = self.temporary() if index is None else index
        bound = set(self.bound)
        self.crossed.append("loop")
        target: Block = []
        if index is None:
            target = self.inside(lambda: self.assign(node.target, {"l": to}))
        else:
            assert isinstance(node.target, ast.Name)
            self.bind(node.target.id)
        body = target + self.block(node.body)
        self.crossed.pop()
        self.bound = set(bound)
        orelse = self.block(node.orelse)
        self.bound = bound
        self.out.append(For(node, to, iterable, body, orelse))

    def _on_try(self, node: ast.Try) -> None:
        self.form.handlers = True
        if node.handlers and node.finalbody:
            inner = ast.Try(node.body, node.handlers, node.orelse, [])
            outermost = ast.Try([ast.copy_location(inner, node)], [], [], node.finalbody)
            node = ast.copy_location(outermost, node)
        caught = self.caught(node)
        outer, self.once = self.once, None
        if caught is not None:
            try:
                self._try_once(node, caught)
            finally:
                self.once = outer
            return
        if node.finalbody:
            self.crossed.append("finally")
        bound = set(self.bound)
        body = self.block(node.body)
        orelse = self.block(node.orelse)
        if node.finalbody:
            self.crossed.pop()
        final = self.block(node.finalbody)
        self.bound = bound
        self.once = outer
        self.out.append(Try(node, body, orelse, final))

    def _try_once(self, node: ast.Try, caught: Caught) -> None:
        """A try statement whose handlers machine code goes on in."""
        left = {kind: self.temporary() for kind in ("break", "continue")}
        for flag in left.values():
            self.copy(node, self.constant(False), flag)
        handlers = Handlers(caught, left)
        around, self.inside_of = self.inside_of, handlers
        self.once = handlers
        self.crossed.append("once")
        bound = set(self.bound)
        body = self.block(node.body)
        self.once = None
        after, self.bound = self.bound, set(bound)
        attempt = self.attempt(node, caught, body)
        self.bound = after
        orelse = self.block(node.orelse)
        self.bound = bound
        self.crossed.pop()
        self.inside_of = around
        end = self.inside(lambda: self.out.append(Simple(node, {"s": "break"}, [])))
        made = Try(node, [Piece(None, [attempt])], orelse, [])
        self.out.append(Once(node, [Piece(None, [made]), *end]))
        for kind in sorted(handlers.jumps):
            jump = ast.Break() if kind == "break" else ast.Continue()
            jumped = partial(self._jump, ast.copy_location(jump, node), kind)
            self.out.append(If(node, {"l": left[kind]}, self.inside(jumped), []))

    def _on_with(self, node: ast.With) -> None:
        self._with(node, node.items)

    def _with(self, node: ast.With, items: list[ast.withitem]) -> None:
        """Append the with statement of the items; each of them is a statement of its own.

        The value of a context manager is bound inside of its statement, where it belongs.
        """
        self.form.handlers = True
        item, *others = items
        manager = self.expression(item.context_expr)
        entered = self.tool(item.context_expr, ENTER_NAME, [manager])
        leave, value = self.temporary(), self.temporary()
        self.emit(node, {"s": "unpack", "to": [leave, value], "a": entered})
        bound = set(self.bound)
        self.crossed.append("with")

        def bind() -> None:
            if item.optional_vars is not None:
                self.assign(item.optional_vars, {"l": value})

        body = self.inside(bind)
        if others:
            body += self.inside(lambda: self._with(node, others))
        else:
            body += self.block(node.body)
        self.crossed.pop()
        self.bound = bound
        nothing = [self.constant(None)] * 3
        out = self.inside(
            lambda: self.emit(node, {"s": "expr", "e": {"call": {"l": leave}, "args": nothing}})
        )
        self.out.append(With(node, leave, body, out))

    def _on_match(self, node: ast.Match) -> None:
        subject = self.set(node.subject, {"atom": self.expression(node.subject)})

        def alternatives(cases: list[ast.match_case]) -> None:
            if not cases:
                return
            case, *others = cases
            patterns = PatternNormaliser(self)
            result = self.temporary()
            patterns.match(case.pattern, subject, result)
            guard = case.guard

            def capture() -> None:
                for pattern, name, atom in patterns.captured:
                    target = ast.copy_location(ast.Name(id=name, ctx=ast.Store()), pattern)
                    self.assign(target, atom)
                if guard is not None:
                    self.set(guard, {"truth": self.condition(guard)}, result)

            before = set(self.bound)
            self.branch(case.pattern, {"l": result}, capture, lambda: None)
            self.bound |= {name for _, name, _ in patterns.captured} - self.names.deleted
            body = self.block(case.body)
            after, self.bound = self.bound, before
            rest = self.inside(lambda: alternatives(others))
            self.bound = self.bound & after
            self.out.append(If(case.pattern, {"l": result}, body, rest))

        alternatives(node.cases)

    def _on_functiondef(self, node: ast.FunctionDef) -> None:
        own = ast.copy_location(ast.Name(id=node.name, ctx=ast.Load()), node)
        recursive = any(
            isinstance(inner, ast.Name) and inner.id == node.name for inner in ast.walk(node)
        )
        if node.name not in self.index or (
            recursive and not self.names.settled(node.name, node, by_itself=True)
        ):
            raise UnsupportedError("nested function that is bound anew")
        atoms = self.captured(node, node.name)
        to = self.index[node.name]
        captured = [self.form.locals[atom["l"]] for atom in atoms]
        result = ast.copy_location(ast.Return(value=own), node)
        self.form.constants.append(Helper(captured, [node, result]))
        call = {"call": {"c": len(self.form.constants) - 1}, "args": atoms}
        self.out.append(Simple(node, {"s": "set", "to": to, "e": call}, [node]))
        self.bind(node.name)
        if not node.decorator_list:
            self._lift(node.name, node, captured, recursive=recursive)

    def _lift(
        self,
        name: str,
        node: ast.FunctionDef | ast.Lambda,
        captured: list[str],
        *,
        recursive: bool,
    ) -> None:
        """Let calls of a nested function, bound to a name for good, be calls of a lifted one."""
        arguments = node.args
        if (
            arguments.vararg
            or arguments.kwarg
            or (_has_defaults(arguments) and not self._is_only_called(name))
            or not self.names.settled(name, node, by_itself=True)
        ):
            return
        own = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        captured = [*captured, *([name] if recursive else [])]
        siblings = self._siblings(node, captured)
        for _, sibling in siblings.values():
            captured += [each for each in sibling.captured if each not in captured]
        if set(captured) & {parameter.arg for parameter in own}:
            return
        more = parameters([*(parameter.arg for parameter in own), *captured])
        syntax: ast.FunctionDef | ast.Lambda
        if isinstance(node, ast.Lambda):
            syntax = ast.Lambda(args=more, body=node.body)
        else:
            syntax = ast.FunctionDef(
                name=node.name, args=more, body=node.body, decorator_list=[], returns=None
            )
        ast.copy_location(syntax, node)
        lifted = Lifted(syntax, name, arguments, captured, siblings)
        self.lifted[name] = (len(self.form.lifted), lifted)
        self.form.lifted.append(lifted)

    def _siblings(
        self, node: ast.FunctionDef | ast.Lambda, captured: list[str]
    ) -> dict[str, tuple[int, Lifted]]:
        """The lifted functions that a nested function captures, with what they capture."""
        try:
            own = set(Names(node).locals)
        except RefusedError:
            return {}
        found = {each: self.lifted[each] for each in captured if each in self.lifted}
        return {
            each: (number, lifted)
            for each, (number, lifted) in found.items()
            if number >= 0 and own.isdisjoint(lifted.captured)
        }

    def _is_only_called(self, name: str) -> bool:
        """Whether nothing is done to a nested function but calls, so that its defaults stay."""
        called = {id(each.func) for each in ast.walk(self.syntax) if isinstance(each, ast.Call)}
        return all(
            id(each) in called
            for each in ast.walk(self.syntax)
            if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load)
        )


def _has_defaults(arguments: ast.arguments) -> bool:
    return bool(arguments.defaults) or any(each is not None for each in arguments.kw_defaults)


class _Undeclared(ast.NodeTransformer):
    """Takes the declarations of outer names out of a function: they are kept with its form."""

    def __init__(self, function: ast.AST) -> None:
        self.function = function

    def visit(self, node: ast.AST) -> ast.AST:
        """A node without declarations; functions in the function keep theirs."""
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            return ast.copy_location(ast.Pass(), node)
        if isinstance(node, SCOPES) and node is not self.function:
            return node
        return self.generic_visit(node)


def _dotted(node: ast.expr) -> list[str] | None:
    """The parts of a dotted name, if it is one."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return [node.id, *reversed(attributes)] if isinstance(node, ast.Name) else None


def _is_number(node: ast.expr) -> bool:
    """Whether a number is written there."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _number(form: Form) -> None:
    """Give the statements their ids, in the order in which the program shows them."""

    def number(block: Block) -> None:
        for piece in block:
            for node in piece.body:
                if isinstance(node, Try):
                    for part in (node.body, node.orelse, node.final):
                        number(part)
                    continue
                if isinstance(node, With):
                    number(node.body)
                    number(node.leave)
                    continue
                if isinstance(node, Turns):
                    number(node.around)
                    number(node.rest)
                    continue
                if isinstance(node, (Turn, Handled)):
                    number(node.body)
                    continue
                node.id = len(form.nodes)
                form.nodes.append(node)
                if isinstance(node, If):
                    number(node.then)
                    number(node.orelse)
                elif isinstance(node, (Loop, Once)):
                    number(node.body)
                elif isinstance(node, Attempt):
                    number(node.body)
                    number(node.handler)
                elif isinstance(node, For):
                    number(node.body)
                    number(node.orelse)

    number(form.body)
