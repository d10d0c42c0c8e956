"""Features by formulas: columns that a search for formulas found to be worth having.

The search of `SymbolicRegressor` gives a front of formulas; these and everything they are made of
are candidates. Columns are then taken one by one, each the one that explains most of what the
ones before leave unexplained (orthogonal least squares; Chen, Billings & Luo, International
Journal of Control, 1989).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from opcodon._core import Expression, Population
from opcodon.expression import parse
from opcodon.regressor import SymbolicRegressor, _check_finite

# The message about a missing scikit-learn is the regressor's.
from sklearn.base import BaseEstimator, TransformerMixin  # isort: skip
from sklearn.utils.validation import check_is_fitted, validate_data  # isort: skip

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SymbolicTransformer"]


class SymbolicTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Find formulas to be used as features, for a linear model or any other.

    Parameters
    ----------
    n_components : int, default=10
        Most features.
    time_limit : float or None, default=30.0
        Wall-clock seconds for the search.
    random_state : int, RandomState instance or None, default=None
        Seed. A run that is not ended by time repeats exactly with the same seed.
    n_jobs : int or None, default=-1
        Worker threads; -1 for one on each processor, None for 1.
    estimator : SymbolicRegressor or None, default=None
        Where all other hyper-parameters of the search are taken from, its loss among them.

    Attributes
    ----------
    expressions_ : list of Expression
        The features, the most useful one first.
    estimator_ : SymbolicRegressor
        The search, fitted.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if the table had names.

    Examples
    --------
    >>> import numpy as np
    >>> from opcodon import SymbolicRegressor, SymbolicTransformer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 5, size=(100, 2))
    >>> y = 3 * X[:, 0] / X[:, 1] + X[:, 0]
    >>> search = SymbolicRegressor(max_generations=5)
    >>> features = SymbolicTransformer(3, time_limit=None, random_state=0, estimator=search)
    >>> features.fit_transform(X, y).shape[0]
    100
    """

    def __init__(
        self,
        n_components: int = 10,
        *,
        time_limit: float | None = 30.0,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = -1,
        estimator: SymbolicRegressor | None = None,
    ) -> None:
        self.n_components = n_components
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.estimator = estimator

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> SymbolicTransformer:
        """Search for features.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs: an array, or a data frame whose column names appear in the formulas.
        y : array-like of shape (n_rows,)
            What the features are to explain.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of each row, zero or more.

        Returns
        -------
        SymbolicTransformer
            The transformer itself.

        Raises
        ------
        ValueError
            If the table or a hyper-parameter is unusable.
        """
        if self.n_components < 1:
            raise ValueError(f"n_components is {self.n_components}, but must be 1 or more")
        template = self.estimator or SymbolicRegressor()
        own = self.get_params(deep=False)
        shared = {name: own[name] for name in ("time_limit", "random_state", "n_jobs")}
        self.estimator_ = SymbolicRegressor(**template.get_params(deep=False) | shared)
        self.estimator_.fit(X, y, sample_weight)
        rows: NDArray[np.float64] = validate_data(
            self, X, dtype=np.float64, ensure_all_finite=False
        )
        report = self.estimator_.report_
        formulas = [report.expression(index) for index in range(len(report.front()))]
        names = report.names
        variables = [parse("`" + name.replace("`", "``") + "`", variables=names) for name in names]
        target = np.asarray(y, dtype=np.float64).ravel()
        weights = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight)
        self.expressions_ = _selected(
            _parts([*formulas, *variables]), rows, target, weights, self.n_components
        )
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The features of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs, in the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            One column for each formula of `expressions_`; NaN where it is undefined.
        """
        check_is_fitted(self)
        rows: NDArray[np.float64] = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite=False
        )
        _check_finite(rows, self.estimator_.report_.names)
        return np.asarray(Population(self.expressions_).evaluate(rows).T, dtype=np.float64)

    def get_feature_names_out(
        self,
        input_features: Any = None,  # noqa: ARG002  (scikit-learn passes it)
    ) -> NDArray[np.object_]:
        """The formulas as texts.

        Parameters
        ----------
        input_features : ignored
            The names are those of `fit`.

        Returns
        -------
        ndarray of str
            One text for each feature.
        """
        check_is_fitted(self)
        return np.array([str(formula) for formula in self.expressions_], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "expressions_")


def _parts(formulas: Iterable[Expression]) -> list[Expression]:
    """The formulas and all that they are made of, but constants, each once."""
    parts = (part for formula in formulas for part in formula.subexpressions())
    return list({str(part): part for part in parts if len(part.constants) < part.size}.values())


def _selected(
    candidates: list[Expression],
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
) -> list[Expression]:
    """The candidates that explain most of the target, each beside the ones before it."""
    roots = np.sqrt(weights / weights.sum())

    def centred(columns: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = (columns - (columns @ roots**2)[..., None]) * roots
        return result

    with np.errstate(all="ignore"):
        values: NDArray[np.float64] = Population(candidates).evaluate(X).astype(np.float64)
        columns = centred(values)
        lengths = np.sqrt((columns**2).sum(axis=1))
    usable = np.isfinite(lengths) & (lengths > 0)
    kept = [formula for formula, use in zip(candidates, usable, strict=True) if use]
    columns = columns[usable] / lengths[usable, None]
    rest = centred(y)
    enough = 1e-9 * np.sqrt((rest**2).sum())
    selected: list[Expression] = []
    while len(selected) < min(count, len(kept)):
        # What lies in the span of the columns before has no length left.
        alone = np.sqrt((columns**2).sum(axis=1))
        gains = np.where(alone > 1e-6, np.abs(columns @ rest) / np.maximum(alone, 1e-300), -1.0)
        best = int(gains.argmax())
        if gains[best] <= enough:
            break
        selected.append(kept[best])
        direction = columns[best] / alone[best]
        rest = rest - direction * (direction @ rest)
        columns = columns - np.outer(columns @ direction, direction)
    return selected or candidates[:1]
