"""Random typed programs: functions over ints, floats, booleans, lists, strings and arrays.

`generate(seed)` gives the source of a function `f` and arguments for it; odd seeds give programs
with arrays, every other even one programs with dictionaries, a set, characters and a complex
number. A program always ends: loops are short, products of variables in loops are reduced. It may
raise (an index out of range, a division by zero, a name that is not bound), since that is what has
to be the same. Run as a script, it prints the program of a seed.
"""
# ruff: noqa: E731

from __future__ import annotations

import linecache
import math
import random

import numpy as np

INTS = ["i0", "i1", "i2", "i3"]
FLOATS = ["x0", "x1", "x2"]
LISTS = ["a0", "a1"]
FLAGS = ["b0", "b1"]
TEXTS = ["s0"]
SMALL = [0, 1, 2, 3, -1, -2, 5, 7, 10]
LARGE = [2**31, 2**62, 2**63 - 1, -(2**63), 2**63, 10**20]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.arrays = bool(seed % 2)
        self.objects = seed % 4 == 2
        self.deletes = seed % 8 == 2
        self.lines = []
        self.loops = 0
        self.fresh = 0
        self.in_finally = False

    # ---- expressions

    def pick(self, *choices):
        choice = self.random.choice(choices)
        return choice() if callable(choice) else choice

    def int_(self, depth=2):
        r = self.random
        if depth == 0 or r.random() < 0.25:
            if r.random() < 0.03:
                return str(r.choice(LARGE))
            return r.choice(INTS) if r.random() < 0.7 else str(r.choice(SMALL))
        sub = lambda: self.int_(depth - 1)
        arrays = [
            lambda: "w0.shape[0]",
            lambda: f"w0[{sub()} % 5]",
            lambda: f"w0[{sub()}]",
            lambda: f"m0[{sub()} % 2, {sub()} % 3]",
            lambda: "len(v0)",
        ]
        objects = [
            lambda: f"d0.get({sub()} % 5, {sub()})",
            lambda: f"d0[{sub()} % 4]",
            lambda: f"d1.get({self.char()}, {r.choice(SMALL)})",
            lambda: f"d2.get(({sub()} % 3, {sub()} % 2), 0)",
            lambda: f"d0.setdefault({sub()} % 6, {sub()})",
            lambda: "len(d0)",
            lambda: "len(g0)",
            lambda: f"ord({self.char()})",
            *([lambda: f"d0.pop({sub()} % 5, {sub()})"] if self.deletes else []),
        ]
        return self.pick(
            *(arrays if self.arrays else []),
            *(objects * 2 if self.objects else []),
            lambda: f"({sub()} + {sub()})",
            lambda: f"({sub()} - {sub()})",
            lambda: f"({sub()} * {r.choice(SMALL)})",
            lambda: f"({sub()} * {sub()} % {r.choice([7, 1000003, 2**61 - 1, -5])})",
            lambda: f"({sub()} // {sub()})",
            lambda: f"({sub()} % {sub()})",
            lambda: f"({sub()} & {sub()})",
            lambda: f"({sub()} ^ {r.choice(SMALL)})",
            lambda: f"({sub()} >> {r.choice([0, 1, 3, 70])})",
            lambda: f"({sub()} % 1000 << {r.choice([0, 1, 3, 50, 60])})",
            lambda: f"(-{sub()})",
            lambda: f"(~{sub()})",
            lambda: f"abs({sub()})",
            lambda: f"pow({sub()}, abs({sub()}) % 70, {r.choice([7, -5, 1000003, 2**61 - 1])})",
            lambda: f"({sub()}).bit_length()",
            # What this gives is not known, but seen.
            lambda: f"max({r.choice(LISTS)}, default={sub()})",
            lambda: f"next(iter(({sub()}, 1)))",
            lambda: f"min({sub()}, {sub()})",
            lambda: f"max({sub()}, {sub()}, {sub()})",
            lambda: f"({sub()} if {self.bool_(depth - 1)} else {sub()})",
            lambda: f"len({r.choice(LISTS)})",
            lambda: f"{r.choice(LISTS)}[{sub()} % 4]",
            lambda: f"{r.choice(LISTS)}[{sub()}]",
            lambda: f"sum({r.choice(LISTS)})",
            lambda: f"int({self.float_(depth - 1)})",
            lambda: f"({r.choice(INTS)} := {sub()})",
            lambda: f"h({sub()}, {sub()})",
            lambda: f"sum(v * 2 for v in {r.choice(LISTS)} if v != {sub()})",
            lambda: f"len({r.choice(TEXTS)})",
        )

    def float_(self, depth=2):
        r = self.random
        if depth == 0 or r.random() < 0.25:
            return r.choice(FLOATS) if r.random() < 0.7 else repr(r.choice([0.0, 0.5, -1.5, 1e10]))
        sub = lambda: self.float_(depth - 1)
        arrays = [
            lambda: f"v0[{self.int_(depth - 1)} % 4]",
            lambda: f"v0[{self.int_(depth - 1)}]",
            lambda: f"v0[{r.choice(SMALL)}]",
            lambda: "v0.sum()",
            lambda: "m0.mean()",
        ]
        objects = [
            lambda: "abs(z0)",
            lambda: "z0.real",
            lambda: "d3.get('ab', 0.5)",
            lambda: f"d3.get(s0[:{self.int_(0)}], 1.0)",
        ]
        return self.pick(
            *(arrays * 2 if self.arrays else []),
            *(objects * 2 if self.objects else []),
            lambda: f"({sub()} + {sub()})",
            lambda: f"({sub()} - {self.int_(depth - 1)})",
            lambda: f"({sub()} * {sub()})",
            lambda: f"({sub()} / {sub()})",
            lambda: f"({self.int_(depth - 1)} / {self.int_(depth - 1)})",
            lambda: f"({sub()} // {sub()})",
            lambda: f"({sub()} % {sub()})",
            lambda: f"(-{sub()})",
            lambda: f"abs({sub()})",
            lambda: f"math.sqrt({sub()})",
            lambda: f"math.sin({sub()})",
            lambda: f"math.floor({sub()})",
            lambda: f"float({self.int_(depth - 1)})",
            lambda: f"({sub()} if {self.bool_(depth - 1)} else {sub()})",
        )

    def bool_(self, depth=2):
        r = self.random
        if depth == 0 or r.random() < 0.2:
            return r.choice(FLAGS)
        sub = lambda: self.bool_(depth - 1)
        compare = lambda: r.choice(["<", "<=", "==", "!=", ">", ">="])
        ints = lambda: self.int_(depth - 1)
        objects = [
            lambda: f"({ints()} in d0)",
            lambda: f"({ints()} not in g0)",
            lambda: f"({self.char()} {compare()} {self.char()})",
            lambda: f"({self.char()} in 'aeit9')",
            lambda: f"({self.char()} in d1)",
            lambda: f"{self.char()}.isalpha()",
            lambda: f"(z0 == {ints()})",
            lambda: "(not d0)",
        ]
        return self.pick(
            *(objects * 2 if self.objects else []),
            lambda: f"({ints()} {compare()} {ints()})",
            lambda: f"({ints()} {compare()} {ints()} {compare()} {ints()})",
            lambda: f"({self.float_(depth - 1)} {compare()} {ints()})",
            lambda: f"({sub()} and {sub()})",
            lambda: f"({sub()} or {sub()})",
            lambda: f"(not {sub()})",
            lambda: f"({ints()} in {r.choice(LISTS)})",
            lambda: f"any(v > {ints()} for v in {r.choice(LISTS)})",
        )

    def text(self):
        r = self.random
        return self.pick(
            lambda: r.choice(TEXTS),
            lambda: f'f"{{{r.choice(INTS)}}}:{{{r.choice(FLOATS)}!r}}"',
            lambda: f"str({self.int_(1)})",
            lambda: f"({r.choice(TEXTS)}[{self.int_(0)}:] + 'q')",
        )

    def char(self):
        r = self.random
        return self.pick(
            lambda: "c0",
            lambda: "c0",
            lambda: f"s0[{self.int_(0)} % 4]",
            lambda: f"s0[{self.int_(1)}]",
            lambda: f"chr({self.int_(1)} % {r.choice([128, 400])})",
            lambda: repr(r.choice("aetx1é")),
        )

    def complex_(self):
        r = self.random
        return self.pick(
            lambda: f"(z0 {r.choice('+-*/')} {self.float_(1)})",
            lambda: f"({self.int_(1)} {r.choice('+-*/')} z0)",
            lambda: f"z0 * {r.choice(['z0', '1j', '(2-1j)'])}",
            lambda: f"z0 / ({self.float_(0)} + 1j)",
            lambda: "z0 ** 3",
            lambda: f"complex({self.float_(1)}, {self.int_(0)})",
            lambda: "-z0.conjugate()",
        )

    # ---- statements

    def emit(self, depth, line):
        self.lines.append("    " * depth + line)

    def block(self, depth, budget):
        n = self.random.randint(1, 3)
        for _ in range(n):
            self.statement(depth, budget - 1)

    def statement(self, depth, budget):
        r = self.random
        simple = [
            lambda: f"{r.choice(INTS)} = {self.int_()}",
            lambda: f"{r.choice(INTS)} = {self.int_()}",
            lambda: f"{r.choice(FLOATS)} = {self.float_()}",
            lambda: f"{r.choice(FLAGS)} = {self.bool_()}",
            lambda: f"{r.choice(INTS)} {r.choice(['+', '-', '^', '//', '%'])}= {self.int_()}",
            lambda: f"{r.choice(FLOATS)} {r.choice(['+', '-', '*', '/'])}= {self.float_()}",
            lambda: f"{r.choice(INTS)}, {r.choice(INTS)} = {self.int_(1)}, {self.int_(1)}",
            lambda: f"{r.choice(LISTS)}.append({self.int_()})",
            lambda: f"{r.choice(LISTS)}[{self.int_(1)}] = {self.int_()}",
            lambda: f"{r.choice(LISTS)}[{self.int_(1)} % 3] += {self.int_()}",
            lambda: f"{r.choice(LISTS)} = [v + {self.int_(0)} for v in {r.choice(LISTS)}]",
            lambda: f"{r.choice(LISTS)} = {r.choice(LISTS)}[{self.int_(0)}:{self.int_(0)}]",
            lambda: f"{r.choice(INTS)} = {r.choice(LISTS)}.pop()",
            lambda: f"{r.choice(TEXTS)} = {self.text()}",
            lambda: f"print({self.int_(1)}, {self.text()})",
            lambda: f"{r.choice(INTS)} = {self.float_(1)}",
            lambda: f"u{r.randint(0, 1)} = {self.int_(1)}",
            lambda: f"{r.choice(INTS)} = u{r.randint(0, 1)}",
            lambda: f"assert {self.bool_()}, {self.text()}",
        ]
        if self.arrays:
            simple += 2 * [
                lambda: f"v0[{self.int_(1)} % 4] = {self.float_()}",
                lambda: f"v0[{self.int_(1)}] = {self.float_()}",
                lambda: f"v0[{self.int_(0)} % 4] += {self.float_()}",
                lambda: f"w0[{self.int_(1)} % 5] {r.choice(['', '+', '-', '^'])}= {self.int_(1)}",
                lambda: f"m0[{self.int_(0)} % 2, {self.int_(0)}] = {self.float_(1)}",
                lambda: f"v0 = v0 * {self.float_(0)}",
                lambda: f"v0 = v0[{self.int_(0)}:]",
                lambda: "v0 = v0.copy()",
                lambda: f"{r.choice(FLOATS)} = {self.float_()}",
            ]
        if self.objects:
            simple += 2 * [
                lambda: f"d0[{self.int_(1)} % 5] = {self.int_()}",
                lambda: f"d0[{self.int_(0)} % 4] += {self.int_(1)}",
                lambda: f"d1[{self.char()}] = {self.int_(1)}",
                lambda: f"d1[{self.char()}] = d1.get({self.char()}, 0) + 1",
                lambda: f"d2[{self.int_(0)} % 3, {self.int_(0)} % 2] = {self.int_(1)}",
                lambda: f"d3[{self.text()}] = {self.float_(1)}",
                lambda: f"g0.add({self.int_(1)})",
                lambda: f"c0 = {self.char()}",
                lambda: f"s0 += {self.char()}",
                lambda: f"z0 = {self.complex_()}",
                lambda: f"{r.choice(FLOATS)} = {self.float_(1)}",
                lambda: f"d0 = {{{self.int_(0)}: {self.int_(0)}}}",
                *([lambda: f"del d0[{self.int_(0)} % 4]"] if self.deletes else []),
            ]
        kinds = ["simple"] * 6 + ["if"] * 3
        if budget > 0 and self.loops < 3:
            kinds += ["for", "for", "for list", "while"]
        if budget > 0:
            kinds += ["try", "finally"]
        if self.loops and not self.in_finally:
            kinds += ["jump"]
        if depth > 1:
            kinds += ["return"]
        kind = r.choice(kinds) if budget > 0 else "simple"
        if kind == "simple":
            self.emit(depth, r.choice(simple)())
        elif kind == "if":
            self.emit(depth, f"if {self.bool_()}:")
            self.block(depth + 1, budget)
            if r.random() < 0.3:
                self.emit(depth, f"elif {self.bool_()}:")
                self.block(depth + 1, budget)
            if r.random() < 0.5:
                self.emit(depth, "else:")
                self.block(depth + 1, budget)
        elif kind in ("for", "for list", "while"):
            self.loop(kind, depth, budget)
        elif kind == "jump":
            self.emit(depth, f"if {self.bool_(1)}:")
            self.emit(depth + 1, r.choice(["break", "continue"]))
        elif kind == "try":
            self.emit(depth, "try:")
            self.block(depth + 1, budget)
            errors = r.choice(
                ["ZeroDivisionError", "IndexError", "Exception", "(ValueError, IndexError)"]
            )
            self.emit(depth, f"except {errors}:")
            self.block(depth + 1, budget)
            if r.random() < 0.3:
                self.emit(depth, "else:")
                self.block(depth + 1, budget)
        elif kind == "finally":
            self.emit(depth, "try:")
            self.block(depth + 1, budget)
            self.emit(depth, "finally:")
            before, self.in_finally = self.in_finally, True
            self.emit(depth + 1, r.choice(simple)())
            self.in_finally = before
        else:
            self.emit(depth, f"if {self.bool_()}:")
            self.emit(depth + 1, f"return {self.int_(1)}")

    def loop(self, kind, depth, budget):
        r = self.random
        fuel = f"k{self.fresh}"
        self.fresh += 1
        before, self.in_finally = self.in_finally, False
        self.loops += 1
        if kind == "while":
            self.emit(depth, f"{fuel} = 0")
            self.emit(depth, f"while {fuel} < {r.randint(0, 5)} and {self.bool_(1)}:")
            self.emit(depth + 1, f"{fuel} += 1")
        elif kind == "for list" and self.arrays and r.random() < 0.5:
            self.emit(depth, f"for {r.choice(FLOATS)} in v0[:5]:")
        elif kind == "for list" and self.objects:
            over = [
                f"for {r.choice(INTS)}, {r.choice(INTS)} in enumerate({r.choice(LISTS)}[:5]):",
                f"for i2, i3 in zip({r.choice(LISTS)}[:5], {r.choice(LISTS)}):",
                f"for {r.choice(INTS)}, c0 in enumerate(s0[:6], {r.randint(0, 3)}):",
                "for c0 in s0[:6]:",
            ]
            if not self.deletes:
                over += [
                    f"for {r.choice(INTS)} in d0:",
                    f"for {r.choice(INTS)} in d0.values():",
                    "for i2, i3 in d0.items():",
                    f"for c0, {r.choice(INTS)} in d1.items():",
                    "for (i2, i3), i1 in d2.items():",
                ]
            self.emit(depth, r.choice(over))
        elif kind == "for list" and r.random() < 0.4:
            numbers = f"{self.int_(1)}, {self.int_(1)}, {r.choice(INTS)}"
            pairs = f"({self.int_(1)}, {self.float_(1)}), ({self.int_(0)}, {self.float_(0)})"
            over = [f"{r.choice(INTS)} in ({numbers})", f"i2, x2 in ({pairs})"]
            self.emit(depth, f"for {r.choice(over)}:")
        elif kind == "for list":
            self.emit(depth, f"for {r.choice(INTS)} in {r.choice(LISTS)}[:6]:")
        else:
            step = r.choice(["", ", 1", ", 2", ", -1"])
            stop = r.choice(["4", f"{r.choice(INTS)} % 6", "-1"])
            start = r.choice(["0", f"{r.choice(INTS)} % 4", "3"])
            self.emit(depth, f"for {r.choice(INTS)} in range({start}, {stop}{step}):")
        self.block(depth + 1, budget)
        self.loops -= 1
        self.in_finally = before
        if r.random() < 0.25:
            self.emit(depth, "else:")
            self.block(depth + 1, budget)

    def function(self):
        more = ", v0, w0, m0" if self.arrays else ""
        made = ", d0, d1, d2, d3, g0, c0, z0" if self.objects else ""
        self.emit(0, f"def f(i0, i1, x0, a0, b0{more}):")
        self.emit(1, "i2, i3, x1, x2, b1, s0 = 1, -3, 0.25, 2.0, False, 'text'")
        self.emit(1, "a1 = [3, 1, 2, i0]")
        if self.objects:
            self.emit(1, "d0, d1, d2, d3, g0, c0, z0 = {}, {}, {}, {}, set(), 'x', 1 + 2j")
        for _ in range(self.random.randint(2, 6)):
            self.statement(1, 3)
        self.emit(1, f"return i0, i1, i2, i3, x0, x1, x2, a0, a1, b0, b1, s0{more}{made}")
        return "\n".join(self.lines) + "\n"

    def arguments(self):
        r = self.random
        ints = [*SMALL, 2**62, -(2**63), 2**63 - 1]
        return (
            r.choice(ints),
            r.choice(SMALL),
            r.choice([0.0, -0.0, 1.5, -2.25, 1e300, float("inf"), float("nan")]),
            [r.choice(SMALL) for _ in range(r.randint(0, 6))],
            r.random() < 0.5,
            *(self.array_arguments() if self.arrays else ()),
        )

    def array_arguments(self):
        r = self.random
        n = r.choice([0, 3, 4, 8])
        v = np.array([r.uniform(-3, 3) for _ in range(2 * n)])
        w = np.array([r.choice(SMALL) for _ in range(5)], dtype=r.choice([np.int64, np.int32]))
        m = np.array([[r.uniform(-1, 1) for _ in range(3)] for _ in range(2)])
        return v[::2] if r.random() < 0.3 else v[:n], w, m if r.random() < 0.7 else m.T.copy().T


def h(a, b):
    """What generated programs call."""
    if a > b:
        return a - b
    return b // (a + 1)


def generate(seed, n_calls=3):
    """The source of a random function `f`, and arguments to call it with."""
    generator = Generator(seed)
    source = generator.function()
    return source, [generator.arguments() for _ in range(n_calls)]


def build(source, name):
    """The function `f` of a source text, which tracebacks and the compiler find."""
    file = f"<generated {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"math": math, "h": h, "__name__": "generated"}
    exec(compile(source, file, "exec"), space)
    return space["f"]


if __name__ == "__main__":
    import sys

    text, calls = generate(int(sys.argv[1]))
    print(text, *calls, sep="\n")
