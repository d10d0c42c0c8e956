"""What estimators around a native search share.

A table goes down as arrays, hyper-parameters as the texts that the native configuration takes; a
report comes back, and can be written and read as a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

# The modules that stand on this one say what to install where scikit-learn is missing.
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    import pandas
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

__all__ = ["NativeSearch", "frame", "write_whole"]


class NativeSearch(BaseEstimator):  # type: ignore[misc]
    """An estimator whose `fit` is native and leaves a ``report_``."""

    # What is no hyper-parameter of the native search.
    _OWN: ClassVar[frozenset[str]] = frozenset()

    def _table(
        self, X: ArrayLike, y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
        """The rows, the target and its name."""
        name = getattr(y, "name", None)
        if y is None:
            kind = type(self).__name__
            raise ValueError(f"{kind} requires y to be passed, but the target y is None")
        # Cells that are not finite are left to the search, which names their column and row.
        rows: NDArray[np.float64] = validate_data(
            self, X, dtype=np.float64, ensure_all_finite=False
        )
        target: NDArray[np.float64] = column_or_1d(y, dtype=np.float64, warn=True)
        check_consistent_length(rows, target)
        return rows, target, name if isinstance(name, str) and name else "y"

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return [f"x{i}" for i in range(self.n_features_in_)]
        return list(names)

    def _values(self) -> dict[str, Any]:
        """The hyper-parameters of the native search; random numbers as seeds."""
        values = {k: v for k, v in self.get_params(deep=False).items() if k not in self._OWN}
        values["n_jobs"] = 1 if values["n_jobs"] is None else values["n_jobs"]
        seed = values["random_state"]
        if not (seed is None or isinstance(seed, (int, np.integer))):
            values["random_state"] = check_random_state(seed).randint(2**31)
        return values

    @classmethod
    def _restored(cls, names: list[str], parameters: dict[str, Any]) -> Self:
        """An estimator of a stored report, which is still to be set."""
        model = cls(**parameters)
        model.n_features_in_ = len(names)
        if names != [f"x{i}" for i in range(len(names))]:
            model.feature_names_in_ = np.array(names, dtype=object)
        return model

    def report(
        self,
        path: str | os.PathLike[str],
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
    ) -> Path:
        """Write a page about the fit: formulas, pictures, machine code.

        Parameters
        ----------
        path : path-like
            The HTML file to write. It needs no other files.
        X : array-like of shape (n_rows, n_columns), optional
            Inputs, in the columns of `fit`: then the page has pictures of what the formulas
            predict. Of many rows, 2000 are shown, evenly spread.
        y : array-like of shape (n_rows,), optional
            The target for these.

        Returns
        -------
        Path
            Where the page is.
        """
        from opcodon.report import write

        check_is_fitted(self)
        if X is not None:
            X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite=False)
        if y is not None:
            y = column_or_1d(y, dtype=np.float64)
        return write(self.report_, path, X, y)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "report_")

    def _html_repr(self) -> str:
        """The estimator's diagram, and the front below it once there is one."""
        diagram: str = super()._html_repr()
        if not self.__sklearn_is_fitted__():
            return diagram
        return f"{diagram}\n{self.report_._repr_html_()}"


def frame(
    rows: list[dict[str, Any]], columns: list[str] | None = None
) -> pandas.DataFrame | list[dict[str, Any]]:
    """Rows as a data frame; as they are where pandas is not installed."""
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows, columns=columns)


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file that is either as it was or as it shall be, never half of it."""
    target = Path(path)
    part = target.with_name(target.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(target)
