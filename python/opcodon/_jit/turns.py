"""Loops over simple generators to the normal form (see `opcodon._jit.generators`).

The generator's statements stand around the loop's body, with names of their own. Arguments that are
no numbers, and generators that are not what they were, take the other side of a branch, on which
the loop is one over a generator. A `break` leaves the generator's loops one after the other.
"""

from __future__ import annotations

import ast
import sys

from opcodon._jit.comprehensions import COMPENSATED_SUM, ComprehensionNormaliser
from opcodon._jit.expressions import Resolver
from opcodon._jit.form import Atom, Block, Form, If, Loop, Piece, Turn, Turns
from opcodon._jit.generators import Generator
from opcodon._jit.names import LOOPS, SCOPES, Names
from opcodon._jit.tools import REPLAYS_NAME

# Loops over generators within one another; the body of each is there twice.
N_TURNED_MAX = 2

# Builtins that take all that a generator gives and then do something simple; `sum` of floats is not
# simple everywhere.
GATHERING = {"list"} if sys.version_info >= COMPENSATED_SUM else {"list", "sum"}


class _Turns:
    """A loop over a generator that is not there.

    Attributes
    ----------
    node, body
        Its syntax, and its body once that is known.
    to, count
        The locals that get an item, and that count the items.
    left
        The local that says whether the loop was left, if that may be.
    is_unpacked, has_jumps
        Whether an item is assigned to more than a local, and whether the body jumps.
    crossed
        What a jump out of the loop would cross.
    """

    def __init__(self, node: ast.For, to: int, count: int, crossed: list[str]) -> None:
        self.node = node
        self.to = to
        self.count = count
        self.crossed = list(crossed)
        self.left: int | None = None
        self.is_unpacked = self.has_jumps = False
        self.body: Block = []


def _jumps(body: list[ast.stmt]) -> set[type[ast.stmt]]:
    """The kinds of jumps in a loop's body that are the loop's."""
    found: set[type[ast.stmt]] = set()
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Break, ast.Continue)):
            found.add(type(node))
        elif isinstance(node, LOOPS):
            todo += node.orelse
        elif not isinstance(node, (*SCOPES, ast.expr)):
            todo += ast.iter_child_nodes(node)
    return found


class TurnsNormaliser(ComprehensionNormaliser):
    """Expressions, and loops over generators."""

    def __init__(self, form: Form, names: Names, resolver: Resolver) -> None:
        super().__init__(form, names, resolver)
        # What a jump would cross, innermost last: "loop", the "turn" of a loop over a generator, or
        # the statement to be left in order.
        self.crossed: list[str] = []
        # The loop whose generator's statements these are, and the loops that are in their bodies.
        self.turns: _Turns | None = None
        self.turned: list[_Turns] = []

    def block(self, statements: list[ast.stmt]) -> Block:
        """The pieces of statements that stand one after the other."""
        raise NotImplementedError

    def for_(self, node: ast.For, iterable: Atom) -> None:
        """Append the loop over an iterable."""
        raise NotImplementedError

    def local(self, target: ast.expr) -> int | None:
        """The local that a target binds, if it is a plain name."""
        raise NotImplementedError

    def generator(self, node: ast.expr) -> Generator | None:
        """The generator that a loop runs over, if it is not needed."""
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Name)
            or self.is_local(node.func.id)
            or node.func.id in self.names.outer
            or node.keywords
            or any(isinstance(part, ast.Starred) for part in node.args)
            or len(self.turned) == N_TURNED_MAX
        ):
            return None
        generator = self.resolver.generator(node.func.id)
        if generator is None or len(generator.params) != len(node.args):
            return None
        # What the generator calls has to mean the same here.
        names = (ast.Name(id=name, ctx=ast.Load()) for name in generator.builtins)
        return generator if all(self.builtin(name) for name in names) else None

    def _on_call(self, node: ast.Call, to: int | None) -> Atom:
        builtin = self.builtin(node.func)
        if builtin in GATHERING and len(node.args) == 1 and not node.keywords:
            generator = self.generator(node.args[0])
            if generator is not None:
                return self._gathered(node, generator, is_sum=builtin == "sum")
        return super()._on_call(node, to)

    def _gathered(self, node: ast.Call, generator: Generator, *, is_sum: bool) -> Atom:
        """The sum or the list of what a generator gives that is not there."""
        total, item = self.temporary(), self.temporary()
        into, each = self.form.locals[total], self.form.locals[item]
        self.index |= {into: total, each: item}
        if is_sum:
            self.copy(node, self.constant(0), total)
        else:
            self.set(node, {"list": []}, total)
        self.bound.add(into)
        turn = "into = into + each" if is_sum else "into.append(each)"
        (loop,) = ast.parse(f"for each in (): {turn}").body
        assert isinstance(loop, ast.For)
        for part in ast.walk(loop):
            ast.copy_location(part, node)
            if isinstance(part, ast.Name):
                part.id = into if part.id == "into" else each
        loop.iter = node.args[0]
        self.for_turns(loop, generator)
        return {"l": total}

    def for_turns(self, node: ast.For, generator: Generator) -> None:
        """A loop whose body the generator's stands around, or one over the generator."""
        assert isinstance(node.iter, ast.Call)
        assert isinstance(node.iter.func, ast.Name)
        called = self.frozen(node.iter.func.id)
        atoms, _ = self.operands(node.iter.args)
        arguments = [self.set(node.iter, {"atom": atom}) for atom in atoms]
        function = generator.function
        known = [self.constant(value) for value in (function, function.__code__)]
        # Python takes the generator.
        no = ast.copy_location(ast.Constant(value=False), node.iter)
        replays = self.tool(node.iter, REPLAYS_NAME, [called, *known, *arguments], no)
        bound = set(self.bound)

        def with_generator() -> None:
            self.bound = set(bound)
            items = self.set(node.iter, {"call": called, "args": arguments})
            self.for_(node, items)

        self.branch(
            node.iter,
            replays,
            lambda: self._turns(node, generator, called, arguments),
            with_generator,
        )
        self.bound = bound

    def _turns(
        self, node: ast.For, generator: Generator, called: Atom, arguments: list[Atom]
    ) -> None:
        index = self.local(node.target)
        to = self.temporary() if index is None else index
        count, left = self.temporary(), self.temporary()
        names, statements = generator.body(f".{len(self.form.locals)}.", node)
        for name in names:
            self.index[name] = len(self.form.locals)
            self.form.locals.append(name)
            self.bound.add(name)
        jumps = _jumps(node.body)
        turns = _Turns(node, to, count, self.crossed)
        turns.is_unpacked = index is None
        turns.has_jumps = bool(jumps)
        if ast.Break in jumps:
            turns.left = left
        bound = set(self.bound)

        self.copy(node, self.constant(0), count)
        if turns.left is not None:
            self.copy(node, self.constant(False), left)

        def around() -> None:
            for name, atom in zip(names, arguments, strict=False):
                self.copy(node, atom, self.index[name])
            outer, self.turns = self.turns, turns
            crossed, self.crossed = self.crossed, []
            if turns.left is None:
                self.out += [each for piece in self.block(statements) for each in piece.body]
            else:
                self.crossed.append("loop")
                end = self.inside(lambda: self.emit(node, {"s": "break"}))
                self.out.append(Loop(node, [*self.block(statements), *end]))
            self.turns, self.crossed = outer, crossed
            # Python needs them as long as the loop runs.
            kept = [{"l": count}, *arguments]
            self.emit(node, {"s": "expr", "e": {"tuple": kept}})

        block = self.inside(around)
        self.bound = set(bound)
        orelse = rest = self.block(node.orelse)
        if turns.left is not None and orelse:
            rest = [Piece(None, [If(node, {"l": left}, [], orelse)])]
        call = (called, arguments, {"l": count})
        made = Turns(node, to, call, (block, rest), (turns.body, orelse))
        made.left = turns.left
        self.out.append(made)

    def turn(self, item: ast.Yield, turns: _Turns) -> None:
        """The body of a loop, where the generator that is not there gives an item."""
        assert item.value is not None
        node = turns.node
        self.into(item.value, turns.to)
        self.set(item, {"bin": "add", "a": {"l": turns.count}, "b": {"i": 1}}, turns.count)
        target: Block = []
        outer, self.turns = self.turns, None
        crossed, self.crossed = self.crossed, [*turns.crossed, "turn"]
        self.turned.append(turns)
        if turns.is_unpacked:
            target = self.inside(lambda: self.assign(node.target, {"l": turns.to}))
        else:
            assert isinstance(node.target, ast.Name)
            self.bind(node.target.id)
        turns.body = target + self.block(node.body)
        self.turned.pop()
        self.turns, self.crossed = outer, crossed
        turn = Turn(node, turns.body)
        if not turns.has_jumps:
            self.out.append(turn)
            return
        # Either way the body ends with a jump out of a loop of its own.
        end = self.inside(lambda: self.emit(node, {"s": "break"}))
        self.out.append(Loop(node, [Piece(None, [turn]), *end]))
        self.leave_turns(node)

    def leave_turns(self, node: ast.stmt) -> None:
        """Go on leaving a generator's loops if the loop over it was left."""
        if self.turns is not None and self.turns.left is not None:
            out = self.inside(lambda: self.emit(node, {"s": "break"}))
            self.out.append(If(node, {"l": self.turns.left}, out, []))
