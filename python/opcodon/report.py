"""A fit as a page: formulas, pictures and machine code in one HTML file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from opcodon.estimator import write_whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from opcodon._core import GenomeReport, Report

__all__ = ["write"]


def write(
    report: Report | GenomeReport,
    path: str | os.PathLike[str],
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
) -> Path:
    """Write the page of a fit; what `report` of the estimators does.

    Parameters
    ----------
    report : Report or GenomeReport
        The report of the fit.
    path : path-like
        The HTML file to write.
    X : array-like of shape (n_rows, n_columns), optional
        Inputs for pictures of predictions and residuals.
    y : array-like of shape (n_rows,), optional
        The truth for these.

    Returns
    -------
    Path
        Where the page is.
    """
    if (X is None) != (y is None):
        raise ValueError("pictures need both X and y: give both, or none")
    write_whole(path, report.page(X, y))
    return Path(path)
