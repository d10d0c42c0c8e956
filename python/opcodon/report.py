"""A fit as a page: formula, front and machine code in one HTML file."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opcodon._core import Report

if TYPE_CHECKING:
    from opcodon.regressor import SymbolicRegressor

__all__ = ["front_table", "write"]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: #f5f6f8; padding: 1rem; overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem .2rem 0; text-align: left; }
th { border-bottom: 1px solid #888; font-weight: 600; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.chosen { background: #e8f3e8; }
dt { float: left; clear: left; width: 10rem; color: #57606a; } dd { margin: 0 0 0 10rem; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e8eb; background: #14171a; } pre { background: #1e2226; }
  tr.chosen { background: #1f3a26; } dt { color: #9aa4ae; }
}
"""

# Columns of the front: key, heading, how a value is written.
COLUMNS = [
    ("size", "size", "{:d}"),
    ("loss", "loss", "{:.4g}"),
    ("r2", "R²", "{:.6f}"),
    ("cv_r2", "R² (cross-validation)", "{:.6f}"),
    ("validation_r2", "R² (validation)", "{:.6f}"),
    ("test_r2", "R² (test)", "{:.6f}"),
]


def front_table(report: Report) -> str:
    """The front as an HTML table, the chosen formula marked.

    Parameters
    ----------
    report : Report
        The report of a fit.

    Returns
    -------
    str
        A ``<table>``.
    """
    rows = report.front()
    columns = [c for c in COLUMNS if any(row[c[0]] is not None for row in rows)]
    head = "".join(f"<th>{heading}</th>" for _, heading, _ in columns)
    lines = [f"<table><thead><tr>{head}<th>formula</th></tr></thead><tbody>"]
    for row in rows:
        mark = ' class="chosen"' if row["chosen"] else ""
        cells = "".join(f'<td class="number">{_cell(row[k], form)}</td>' for k, _, form in columns)
        lines.append(f"<tr{mark}>{cells}<td><code>{html.escape(row['equation'])}</code></td></tr>")
    lines.append("</tbody></table>")
    return "\n".join(lines)


def _cell(value: Any, form: str) -> str:
    return "" if value is None else form.format(value)


def write(model: SymbolicRegressor, path: str | os.PathLike[str]) -> Path:
    """Write the page of a fitted model.

    Parameters
    ----------
    model : SymbolicRegressor
        A fitted estimator.
    path : path-like
        The HTML file to write.

    Returns
    -------
    Path
        Where the page is.
    """
    report = model.report_
    expression = model.expression_
    title = html.escape(f"{report.target} = {expression}")
    facts = {
        "target": report.target,
        "rows": f"{report.n_rows:,}",
        "formulas tried": f"{report.evaluations:,} in {report.generations:,} generations",
        "time": f"{report.elapsed:.1f} s",
        "ended because": report.stop,
        "chosen": report.choice,
        "evaluated on": report.tier,
        "seed": report.seed,
    }
    facts_html = "\n".join(
        f"<dt>{name}</dt><dd>{html.escape(str(value))}</dd>" for name, value in facts.items()
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in report.notes)
    compiled = model.compiled()
    page = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{STYLE}</style></head>
<body>
<h1><code>{title}</code></h1>
<dl>
{facts_html}
</dl>
{f"<ul>{notes}</ul>" if notes else ""}
<h2>The front</h2>
{front_table(report)}
<h2>As LaTeX</h2>
<pre>{html.escape(expression.latex())}</pre>
<h2>As a function of numbers, in machine code</h2>
<pre>{html.escape(compiled.listing())}</pre>
<h2>As the loop over rows that predicts</h2>
<pre>{html.escape(compiled.disassemble(kernel=True))}</pre>
</body>
</html>
"""
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path
