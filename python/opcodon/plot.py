"""Pictures of fits, drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import matplotlib.pyplot as plt
except ImportError as error:
    raise ImportError("opcodon.plot needs matplotlib: pip install 'opcodon[plot]'") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from opcodon.regressor import SymbolicRegressor

__all__ = ["front", "predictions"]


def front(model: SymbolicRegressor, ax: Axes | None = None) -> Axes:
    """Draw the front: error against size, the chosen formula marked.

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
    rows = model.report_.front()
    sizes = [row["size"] for row in rows]
    # 1 - R² of an exact formula may round to zero, which a logarithmic axis cannot show.
    errors = [max(1.0 - row["r2"], 1e-16) for row in rows]
    chosen = model.report_.chosen
    ax.plot(sizes, errors, drawstyle="steps-post", marker="o", color="tab:blue")
    ax.plot(sizes[chosen], errors[chosen], marker="o", markersize=12, fillstyle="none", color="k")
    ax.annotate(
        str(model.expression_),
        (sizes[chosen], errors[chosen]),
        textcoords="offset points",
        xytext=(8, 8),
    )
    ax.set_yscale("log")
    ax.set_xlabel("size (nodes)")
    ax.set_ylabel("1 - R²")
    return ax


def predictions(
    model: SymbolicRegressor, X: ArrayLike, y: ArrayLike, ax: Axes | None = None
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

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    ax = _axes(ax)
    truth = np.asarray(y, dtype=float)
    ax.plot(truth, model.predict(X), marker=".", linestyle="none", color="tab:blue")
    limits: tuple[Any, Any] = (np.min(truth), np.max(truth))
    ax.plot(limits, limits, color="0.5", linewidth=1)
    ax.set_xlabel(model.report_.target)
    ax.set_ylabel("prediction")
    return ax


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax
