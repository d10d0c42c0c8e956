"""What runs as machine code, line by line, and what does not and why.

A line is *native* unless one of its statements is not: *Python* statements are always left to
Python, *called* ones call Python for a part that has no operation of its own, and *left* ones are
machine code that was left there in calls so far.
"""

from __future__ import annotations

import html
import linecache
from collections.abc import Iterable
from typing import Any, NamedTuple

from opcodon import _core
from opcodon._jit.form import Form, Helper, Simple

NATIVE, CALLED, LEFT, PYTHON = "native", "called", "left", "Python"


class Line(NamedTuple):
    """One line of the source.

    Attributes
    ----------
    number
        Its number in the file.
    text
        The line itself.
    state
        `"native"`, `"called"`, `"left"`, `"Python"`, or empty if nothing of it is executed.
    why
        The reason if it is not native.
    """

    number: int
    text: str
    state: str
    why: str


class Report:
    """A function's lines with how each of them runs.

    Attributes
    ----------
    name
        The function's name.
    file
        Its file.
    refusal
        Why the function as a whole runs in Python, or None.
    signatures
        Types of arguments that machine code was made for.
    lines
        Its lines.
    """

    def __init__(
        self,
        name: str,
        file: str,
        refusal: str | None,
        signatures: list[str],
        lines: list[Line],
    ) -> None:
        self.name = name
        self.file = file
        self.refusal = refusal
        self.signatures = signatures
        self.lines = lines

    @property
    def headline(self) -> str:
        """What is to be said of the function as a whole."""
        if self.refusal is not None:
            return f"{self.name}: runs in Python, because {self.refusal}"
        if not self.signatures:
            return f"{self.name}: nothing was compiled; call it first"
        return f"{self.name}: machine code for {'; '.join(self.signatures)}"

    def __str__(self) -> str:
        rows = [self.headline]
        for line in self.lines:
            row = f"{line.number:5} {line.state:7}| {line.text}"
            rows.append(f"{row}    # {line.why}" if line.why else row)
        return "\n".join(rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            f'<tr class="{line.state.lower()}"><td class="muted">{line.number}</td>'
            f'<td class="source">{html.escape(line.text)}</td><td class="text">{line.state}</td>'
            f'<td class="text muted">{html.escape(line.why)}</td></tr>'
            for line in self.lines
        ]
        told = html.escape(self.headline)
        return _core.fragment(f"<p>{told}</p><table>{''.join(rows)}</table>")


def report(
    form: Form | None,
    *,
    name: str,
    file: str,
    refusal: str | None,
    signatures: list[str],
    exits: dict[int, dict[str, Any]],
    vectors: dict[int, int],
    passes: dict[int, int],
    shared: Iterable[tuple[Report, bool]] = (),
) -> Report:
    """The report of a function from its normal form and the exits that its machine code took.

    Parameters
    ----------
    form
        The normal form, None if there is none.
    name, file, refusal, signatures
        As in `Report`.
    exits
        For each statement that was left: `why`, and how often (`n_taken`).
    vectors
        For each loop that runs by the vector how many rows it does at a time.
    passes
        For each expression over arrays that was computed in one pass how many operations it has.
    shared
        The reports of loops whose rows threads share, and whether they run at the same time.
    """
    if form is None or refusal is not None:
        return Report(name, file, refusal, signatures, [])
    states: dict[int, tuple[str, str]] = {}
    rank = (NATIVE, CALLED, LEFT, PYTHON)
    for node in form.nodes:
        state = NATIVE
        why = f"{vectors[node.id]} rows at a time" if node.id in vectors else ""
        if isinstance(node, Simple):
            if node.id in passes:
                why = _pass(passes[node.id])
            if node.data["s"] == "leave":
                state, why = PYTHON, node.data["why"]
            elif _calls_helper(form, node):
                state, why = CALLED, "Python computes a part of it"
        taken = exits.get(node.id)
        if taken is not None and state != PYTHON:
            state, why = LEFT, f"{taken['why']}, {taken['n_taken']} times"
        where: Any = node.where
        known = states.get(where.lineno, (NATIVE, ""))
        states[where.lineno] = max(
            known, (state, why), key=lambda each: (rank.index(each[0]), each[1] != "")
        )
    for rows, is_free in shared:
        states.update({line.number: (line.state, line.why) for line in rows.lines if line.state})
        why = "rows shared by threads" if is_free else "rows take turns, as they use objects"
        first = next((line.number for line in rows.lines if line.state), form.line)
        states[first] = (NATIVE if is_free else CALLED, why)
    source = linecache.getlines(file)
    last = max([form.line, *states])
    lines = [
        Line(number, source[number - 1].rstrip() if number <= len(source) else "", state, why)
        for number in range(form.line, last + 1)
        for state, why in [states.get(number, ("", ""))]
    ]
    return Report(name, file, refusal, signatures, lines)


def _pass(n_operations: int) -> str:
    if n_operations == 0:
        return "stored in one pass"
    return f"{n_operations} operation{'s' if n_operations > 1 else ''} in one pass"


def _calls_helper(form: Form, node: Simple) -> bool:
    callee = node.data.get("e", {}).get("call", {}).get("c")
    return callee is not None and isinstance(form.constants[callee], Helper)
