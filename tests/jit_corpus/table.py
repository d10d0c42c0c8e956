"""The table of supported language in `docs/jit.md`, made from the corpus.

Run as a script, it writes the table into the page; a test compares the two.
"""

from __future__ import annotations

import pathlib
import sys

from cases import CASES, load_corpus

from opcodon._jit.decorator import Front
from opcodon._jit.form import Simple

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "jit.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def table():
    """The table as Markdown."""
    load_corpus()
    rows, reasons = {}, {}
    for function, calls, _ in CASES:
        module = sys.modules[function.__module__]
        row = rows.setdefault(module.__doc__.splitlines()[0], [0, 0, 0])
        row[0] += 1
        row[1] += len(calls)
        form = Front(function, {}).form
        left = [
            n.data["why"] for n in form.nodes if isinstance(n, Simple) and n.data["s"] == "leave"
        ]
        row[2] += not left
        for why in left:
            # Names of variables are the corpus's, not the language's.
            why = " ".join("…" if word.strip(",").startswith("'") else word for word in why.split())
            reasons[why] = reasons.get(why, 0) + 1
    lines = ["| what | functions | calls | without a statement for Python |", "|---|---|---|---|"]
    lines += [
        f"| {what[:-1]} | {n} | {calls} | {whole} |" for what, (n, calls, whole) in rows.items()
    ]
    lines += ["", "Statements left to Python, and how many the corpus has:", ""]
    lines += [f"- {why}: {n}" for why, n in sorted(reasons.items(), key=lambda each: -each[1])]
    return "\n".join(lines) + "\n"


def with_table(text):
    """A page with the table in its place."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
