"""Comprehensions, and generators that a builtin consumes on the spot, as loops.

`[f(x) for x in xs]` becomes a list that a loop appends to; its names become temporaries, so nothing
leaks. `any(…)`, `sum(…)` and their like over a generator expression run the same loop without the
generator, wherever nobody can tell the difference.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable

from opcodon._jit.expressions import ExpressionNormaliser, UnsupportedError
from opcodon._jit.form import Atom, For

# From this version on, the builtin `sum` adds floats with compensation.
COMPENSATED_SUM = (3, 12)


class ComprehensionNormaliser(ExpressionNormaliser):
    """Expressions including comprehensions."""

    def _on_listcomp(self, node: ast.ListComp, _to: int | None) -> Atom:
        result = self.set(node, {"list": []})
        self.comprehension(
            node.generators,
            lambda: self._append(node, "append", result, [node.elt]),
        )
        return result

    def _on_setcomp(self, node: ast.SetComp, _to: int | None) -> Atom:
        result = self.set(node, {"set_": []})
        self.comprehension(node.generators, lambda: self._append(node, "add", result, [node.elt]))
        return result

    def _on_dictcomp(self, node: ast.DictComp, _to: int | None) -> Atom:
        result = self.set(node, {"dict": []})

        def store() -> None:
            (key, value), _ = self.operands([node.key, node.value])
            self.emit(node, {"s": "setitem", "of": result, "item": key, "value": value})

        self.comprehension(node.generators, store)
        return result

    def _append(self, node: ast.expr, method: str, to: Atom, elements: list[ast.expr]) -> None:
        atoms, _ = self.operands(elements)
        self.emit(node, {"s": "expr", "e": {"method": method, "of": to, "args": atoms}})

    def comprehension(
        self, generators: list[ast.comprehension], innermost: Callable[[], None]
    ) -> None:
        """Append the loops of a comprehension; its names are temporaries."""
        saved = dict(self.renamed)
        # The first iterable is evaluated outside of the comprehension's scope.
        first = self.expression(generators[0].iter)
        own = [
            name.id
            for generator in generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        ]
        for name in own:
            self.renamed[name] = self.temporary()
        unbound = set(own)

        def loop(k: int) -> None:
            generator = generators[k]
            if generator.is_async:
                raise UnsupportedError("asynchronous comprehension")
            if k and unbound & {n.id for n in ast.walk(generator.iter) if isinstance(n, ast.Name)}:
                raise UnsupportedError("a comprehension reads a name before it binds it")
            iterable = first if k == 0 else self.expression(generator.iter)
            target = generator.target
            simple = isinstance(target, ast.Name)
            to = self.renamed[target.id] if isinstance(target, ast.Name) else self.temporary()

            def turn() -> None:
                if not simple:
                    self.assign(target, {"l": to})
                unbound.difference_update(n.id for n in ast.walk(target) if isinstance(n, ast.Name))
                filters(0)

            def filters(f: int) -> None:
                if f == len(generator.ifs):
                    if k + 1 < len(generators):
                        loop(k + 1)
                    else:
                        innermost()
                else:
                    self.test(generator.ifs[f], lambda: filters(f + 1), lambda: None)

            before = set(self.bound)
            body = self.inside(turn)
            self.bound = before
            self.out.append(For(generator.iter, to, iterable, body, []))

        loop(0)
        self.renamed = saved

    def assign(self, target: ast.expr, value: Atom) -> None:
        """Append the assignment of an atom to a target."""
        raise NotImplementedError

    def consume(
        self, builtin: str, call: ast.Call, generator: ast.GeneratorExp, to: int | None
    ) -> Atom | None:
        """The value of `builtin(x for x in …)` without a generator, or None if it needs one."""
        element, generators = generator.elt, generator.generators
        alone = len(call.args) == 1 and not call.keywords
        if builtin in ("list", "set") and alone:
            kind = ast.ListComp if builtin == "list" else ast.SetComp
            comprehension = kind(elt=element, generators=generators)
            return self.expression(ast.copy_location(comprehension, generator), to)
        if builtin in ("any", "all") and alone:
            return self._any_all(builtin, call, element, generators)
        if builtin == "sum" and alone and sys.version_info < COMPENSATED_SUM:
            return self._sum(call, element, generators)
        if builtin in ("min", "max") and alone:
            return self._extreme(builtin, call, element, generators)
        if (builtin in ("tuple", "sorted", "frozenset") and len(call.args) == 1) or (
            builtin == "sum" and alone and not _calls(element)
        ):
            # These collect everything before they do anything else.
            items = ast.copy_location(ast.ListComp(elt=element, generators=generators), generator)
            direct = ast.Call(func=call.func, args=[items], keywords=call.keywords)
            return self.expression(ast.copy_location(direct, call), to)
        return None

    def _any_all(
        self,
        builtin: str,
        call: ast.Call,
        element: ast.expr,
        generators: list[ast.comprehension],
    ) -> Atom | None:
        if len(generators) != 1:
            return None  # the way out would have to cross loops
        found = builtin == "any"
        result = self.temporary()
        self.copy(call, self.constant(not found), result)

        def stop() -> None:
            self.copy(call, self.constant(found), result)
            self.emit(call, {"s": "break"})

        def nothing() -> None:
            pass

        def turn() -> None:
            self.test(element, *((stop, nothing) if found else (nothing, stop)))

        self.comprehension(generators, turn)
        return {"l": result}

    def _sum(self, call: ast.Call, element: ast.expr, generators: list[ast.comprehension]) -> Atom:
        total = self.temporary()
        self.copy(call, self.constant(0), total)

        def turn() -> None:
            addend = self.expression(element)
            self.set(call, {"bin": "add", "a": {"l": total}, "b": addend}, total)

        self.comprehension(generators, turn)
        return {"l": total}

    def _extreme(
        self,
        builtin: str,
        call: ast.Call,
        element: ast.expr,
        generators: list[ast.comprehension],
    ) -> Atom:
        """The first item that no other is beyond; of no items, what the builtin says of ()."""
        best, empty = self.temporary(), self.temporary()
        self.copy(call, self.constant(True), empty)

        def turn() -> None:
            item = self.set(element, {"atom": self.expression(element)})

            def first() -> None:
                self.copy(call, item, best)
                self.copy(call, self.constant(False), empty)

            def other() -> None:
                comparison = "lt" if builtin == "min" else "gt"
                beyond = self.set(call, {"cmp": comparison, "a": item, "b": {"l": best}})
                self.branch(call, beyond, lambda: self.copy(call, item, best), lambda: None)

            self.branch(call, {"l": empty}, first, other)

        self.comprehension(generators, turn)

        def nothing() -> None:
            items = self.set(call, {"tuple": []})
            self.set(call, {"call": self.frozen(builtin, call=True), "args": [items]}, best)

        self.branch(call, {"l": empty}, nothing, lambda: None)
        return {"l": best}


def _calls(node: ast.expr) -> bool:
    return any(isinstance(part, (ast.Call, ast.NamedExpr)) for part in ast.walk(node))
