"""Source and machine code side by side.

Machine code is shown where it comes from: under each line of the source stand the statements of
the normal form that the line became, written as Python, and the instructions made of them. What is
for no statement, the entries that Python calls and the start of the function, comes first; moves
between statements belong to the one before. A loop that runs by the vector has code of its own,
shown with the loop.
"""

from __future__ import annotations

import ast
import html
import linecache
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from opcodon import _core
from opcodon._jit.form import Attempt, For, Form, If, Loop, Node, Once, Simple, With
from opcodon._jit.python_form import PythonForm
from opcodon.machine import Instruction

# What a version is, as the native side tells it: types, code, where in it the native function
# begins, which bytes are for which statement, and the loops that run by the vector.
Version = tuple[str, bytes, int, list[tuple[int, int, int]], list[tuple[int, int, bytes]]]


class Line(NamedTuple):
    """One line of the source and what became of it.

    Attributes
    ----------
    number
        Its number in the file; 0 for code that is for no line.
    text
        The line itself.
    steps
        Its statements in normal form, as Python.
    instructions
        The machine code for it, in the order of the code.
    vector
        The machine code of a loop in this line that runs by the vector, or none.
    n_rows
        How many rows that code does at a time, or 0.
    """

    number: int
    text: str
    steps: list[str]
    instructions: list[Instruction]
    vector: tuple[Instruction, ...] = ()
    n_rows: int = 0


class Section(NamedTuple):
    """A function compiled for given types.

    Attributes
    ----------
    signature
        The types.
    lines
        The lines of the source, after the code that is for none of them.
    """

    signature: str
    lines: list[Line]


class Listing:
    """A function's lines with the machine code made of them, for each version of it.

    Attributes
    ----------
    name
        The function's name.
    sections
        Its versions, in the order in which they were compiled.
    """

    def __init__(self, name: str, sections: list[Section]) -> None:
        self.name = name
        self.sections = sections

    def __str__(self) -> str:
        if not self.sections:
            return f"{self.name}: nothing was compiled; call it first"
        return "\n\n".join("\n".join(self._rows(section)) for section in self.sections)

    __repr__ = __str__

    def _rows(self, section: Section) -> Iterator[str]:
        yield f"{self.name}{section.signature}"
        for line in section.lines:
            yield f"{line.number or '':>5} | {line.text}"
            yield from (f"      |     {step}" for step in line.steps)
            yield from _text(line.instructions)
            if line.vector:
                yield f"      |     {line.n_rows} rows at a time:"
                yield from _text(line.vector)

    def _repr_html_(self) -> str:
        if not self.sections:
            return _core.fragment(f"<p>{html.escape(str(self))}</p>")
        return _core.fragment("".join(self._html(section) for section in self.sections))

    def _html(self, section: Section) -> str:
        rows = []
        for line in section.lines:
            parts = [f"<pre>{html.escape(chr(10).join(line.steps))}</pre>"] if line.steps else []
            if line.instructions:
                parts.append(_core.code_html([i[:] for i in line.instructions]))
            if line.vector:
                parts.append(f"<p>{line.n_rows} rows at a time:</p>")
                parts.append(_core.code_html([i[:] for i in line.vector]))
            n = len(line.instructions) + len(line.vector)
            told = f"{n} instruction{'s' if n != 1 else ''}"
            code = f"<details><summary>{told}</summary>{''.join(parts)}</details>" if n else ""
            rows.append(
                f'<tr><td class="muted">{line.number or ""}</td>'
                f'<td class="source">{html.escape(line.text)}</td></tr>'
            )
            if code:
                rows.append(f'<tr><td></td><td class="text">{code}</td></tr>')
        told = html.escape(f"{self.name}{section.signature}")
        return f"<p>{told}</p><table>{''.join(rows)}</table>"


def listing(form: Form | None, *, name: str, file: str, versions: list[Version]) -> Listing:
    """The listing of a function; see `Listing`.

    Parameters
    ----------
    form
        Its normal form; None if it has none.
    name, file
        Its name and where its source is.
    versions
        What was compiled.
    """
    if form is None:
        return Listing(name, [])
    source = linecache.getlines(file)
    steps: dict[int, list[str]] = {}
    for node in form.nodes:
        steps.setdefault(_line(node), []).extend(_step(form, node))
    last = max([form.line, *steps])
    sections = []
    for signature, code, native, places, vectors in versions:
        by_line: dict[int, list[Instruction]] = {}
        starts = [start for start, _, _ in places]
        for instruction in _core.disassemble(code).instructions:
            if instruction.offset < native and instruction.mnemonic == "int3":
                continue  # between the entries
            place = bisect_right(starts, instruction.offset) - 1
            line = _line(form.nodes[places[place][2]]) if place >= 0 else 0
            by_line.setdefault(line, []).append(instruction)
        kernels = {_line(form.nodes[loop]): (n, code) for loop, n, code in vectors}
        lines = [Line(0, "entry", [], by_line.get(0, []))]
        for number in range(form.line, last + 1):
            text = source[number - 1].rstrip() if number <= len(source) else ""
            n_rows, kernel = kernels.get(number, (0, b""))
            vector = _core.disassemble(kernel).instructions if kernel else ()
            found = by_line.get(number, [])
            lines.append(Line(number, text, steps.get(number, []), found, vector, n_rows))
        sections.append(Section(signature, lines))
    return Listing(name, sections)


def _text(instructions: Any) -> Iterator[str]:
    """Instructions as aligned lines."""
    width = max((len(i.code) for i in instructions), default=0) * 3
    for i in instructions:
        if i.label is not None:
            yield f"{i.label}:"
        yield f"      {i.offset:04x}  {i.code.hex(' '):<{width}} {i.text}".rstrip()


def _line(node: Node) -> int:
    where: Any = node.where
    line: int = where.lineno
    return line


def _step(form: Form, node: Node) -> list[str]:
    """A statement of the normal form as Python, without what stands inside it."""
    write = PythonForm(form)
    if isinstance(node, For):
        head = f"for {form.locals[node.target]} in {ast.unparse(write.atom(node.iterable))}:"
    elif isinstance(node, If):
        head = f"if {ast.unparse(write.atom(node.condition))}:"
    elif isinstance(node, Loop):
        head = "while True:"
    elif isinstance(node, Once):
        return []
    elif isinstance(node, Attempt):
        head = "try:"
    elif isinstance(node, With):
        head = "with:"
    elif isinstance(node, Simple):
        if node.data["s"] == "leave":
            return [f"Python goes on here: {node.data['why']}"]
        text = "; ".join(ast.unparse(statement) for statement in write.simple(node))
        return [text] if text else []
    else:
        raise TypeError(f"no Python form of {type(node).__name__}")
    return [head]
