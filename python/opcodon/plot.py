"""Pictures of fits, drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

try:
    import matplotlib.pyplot as plt
except ImportError as error:
    raise ImportError("opcodon.plot needs matplotlib: pip install 'opcodon[plot]'") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from opcodon.regressor import SymbolicRegressor

__all__ = ["front", "predictions", "residuals"]

BLUE = "#1f6fd6"
GREY = "0.5"
# The smallest error that a logarithmic axis shows: that of an exact formula is often 0.
SMALLEST = 1e-16


def front(model: SymbolicRegressor, ax: Axes | None = None) -> Axes:
    """Draw the front: error against size, the chosen formula marked.

    The error is the unexplained share of the target's variance, or the loss of a fit that minimised
    another one than squares.

    Parameters
    ----------
    model : SymbolicRegressor
        A fitted estimator.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default new axes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = _axes(ax)
    report = model.report_
    rows = report.front()
    loss = report.parameters["loss"]
    squares = loss == "mse"
    sizes = [row["size"] for row in rows]
    errors = [max(1.0 - row["r2"] if squares else row["loss"], SMALLEST) for row in rows]
    chosen = report.chosen
    ax.plot(sizes, errors, drawstyle="steps-post", color=BLUE, alpha=0.5, linewidth=1.2)
    ax.plot(sizes, errors, "o", color=BLUE, markerfacecolor="w", markersize=6)
    ax.plot(sizes[chosen], errors[chosen], "o", color=BLUE, markersize=9)
    ax.set_yscale("log")
    ax.set_xlabel("size (nodes)")
    ax.set_ylabel("1 - R²" if squares else loss)
    ax.set_title(f"{report.target} = {_shortened(model)}", loc="left", fontsize="medium")
    return _plain(ax)


def predictions(
    model: SymbolicRegressor,
    X: ArrayLike,
    y: ArrayLike,
    ax: Axes | None = None,
    *,
    index: int | None = None,
) -> Axes:
    """Draw predictions against the truth.

    Parameters
    ----------
    model : SymbolicRegressor
        A fitted estimator.
    X : array-like of shape (n_rows, n_columns)
        Inputs.
    y : array-like of shape (n_rows,)
        The truth.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default new axes.
    index : int, optional
        Row of ``equations_``; by default the chosen one.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = _axes(ax)
    truth = np.asarray(y, dtype=float)
    predicted = model.predict(X, index)
    ax.axline((truth[0], truth[0]), slope=1, color=GREY, linewidth=1, linestyle="--")
    ax.plot(truth, predicted, ".", color=BLUE, alpha=0.6)
    ax.set_xlabel(model.report_.target)
    ax.set_ylabel(f"prediction of {model.report_.target}")
    return _plain(ax)


def residuals(
    model: SymbolicRegressor,
    X: ArrayLike,
    y: ArrayLike,
    column: int | str | None = None,
    ax: Axes | None = None,
    *,
    index: int | None = None,
) -> Axes:
    """Draw what a formula leaves unexplained, against its predictions or a column.

    Parameters
    ----------
    model : SymbolicRegressor
        A fitted estimator.
    X : array-like of shape (n_rows, n_columns)
        Inputs.
    y : array-like of shape (n_rows,)
        The truth.
    column : int or str, optional
        The column, by its number or name; by default the predictions.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default new axes.
    index : int, optional
        Row of ``equations_``; by default the chosen one.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    names = model.report_.names
    if isinstance(column, str):
        if column not in names:
            raise ValueError(f"column must be one of {', '.join(names)}, not {column!r}")
        column = names.index(column)
    ax = _axes(ax)
    predicted = model.predict(X, index)
    label = f"prediction of {model.report_.target}"
    places = predicted
    if column is not None:
        places, label = np.asarray(X, dtype=float)[:, column], names[column]
    ax.axhline(0.0, color=GREY, linewidth=1, linestyle="--")
    ax.plot(places, np.asarray(y, dtype=float) - predicted, ".", color=BLUE, alpha=0.6)
    ax.set_xlabel(label)
    ax.set_ylabel("residual")
    return _plain(ax)


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def _plain(ax: Axes) -> Axes:
    """Without the lines that say nothing."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, linewidth=0.4, alpha=0.5)
    ax.set_axisbelow(True)
    return ax


def _shortened(model: SymbolicRegressor) -> str:
    """The chosen formula, as far as it fits above a picture."""
    text = str(model.expression_.rounded())
    return text if len(text) <= 48 else f"{text[:47]}…"
