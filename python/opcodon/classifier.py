"""Classification by formulas: the logarithm of the odds of a class is a short formula.

A class is told from all others by a `SymbolicRegressor` with the logistic loss; two classes need
one formula, more need one each (one-vs-rest). Everything about the search is the regressor's.
"""

from __future__ import annotations

import html
import json
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opcodon import _core
from opcodon._core import Expression
from opcodon.regressor import DEFAULT_OPERATORS, SymbolicRegressor

# (after the regressor, whose message about a missing scikit-learn comes first)
from opcodon.estimator import write_whole  # isort: skip

# The message about a missing scikit-learn is the regressor's.
from sklearn.base import BaseEstimator, ClassifierMixin  # isort: skip
from sklearn.utils import assert_all_finite, check_random_state, column_or_1d  # isort: skip
from sklearn.utils.multiclass import check_classification_targets  # isort: skip
from sklearn.utils.validation import check_is_fitted, validate_data  # isort: skip

if TYPE_CHECKING:
    import sympy
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SymbolicClassifier"]


class SymbolicClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Find short formulas that tell classes apart.

    The formula of a class is the logarithm of its odds: positive where the class is likelier
    than not. It is found by `SymbolicRegressor` with ``loss="logistic"``, the negative
    log-likelihood.

    Parameters
    ----------
    time_limit : float or None, default=30.0
        Wall-clock seconds for all formulas together.
    random_state : int, RandomState instance or None, default=None
        Seed. A run that is not ended by time repeats exactly with the same seed.
    n_jobs : int or None, default=-1
        Worker threads; -1 for one on each processor, None for 1.
    operators : iterable of str or callable
        Operators and functions that formulas are made of.
    max_size : int, default=50
        Most nodes in a formula.
    max_depth : int, default=12
        Most levels in a formula.
    max_generations : int or None, default=None
        Generations after which the search for a formula stops.
    max_evaluations : int or None, default=None
        Formulas evaluated after which the search for a formula stops.
    population_size : int, default=1000
        Formulas kept from one generation to the next.
    model_selection : {"auto", "cv", "mdl", "bic", "error", "score"}, default="auto"
        How a formula is chosen from the front.
    estimator : SymbolicRegressor or None, default=None
        Where all other hyper-parameters of the search are taken from.
    callback : callable or None, default=None
        Called about once a generation with a dictionary about the search under way.
    verbose : int, default=0
        1 shows progress on standard error.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    estimators_ : list of SymbolicRegressor
        One for two classes, else one for each: fronts and reports are theirs.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if the table had names.

    Examples
    --------
    >>> import numpy as np
    >>> from opcodon import SymbolicClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0.1, "same", "other")
    >>> model = SymbolicClassifier(time_limit=None, max_generations=5, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        *,
        time_limit: float | None = 30.0,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = -1,
        operators: Iterable[str | Callable[..., Expression]] = DEFAULT_OPERATORS,
        max_size: int = 50,
        max_depth: int = 12,
        max_generations: int | None = None,
        max_evaluations: int | None = None,
        population_size: int = 1000,
        model_selection: str = "auto",
        estimator: SymbolicRegressor | None = None,
        callback: Callable[[dict[str, Any]], object] | None = None,
        verbose: int = 0,
    ) -> None:
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.operators = operators
        self.max_size = max_size
        self.max_depth = max_depth
        self.max_generations = max_generations
        self.max_evaluations = max_evaluations
        self.population_size = population_size
        self.model_selection = model_selection
        self.estimator = estimator
        self.callback = callback
        self.verbose = verbose

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> SymbolicClassifier:
        """Search for formulas.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs: an array, or a data frame whose column names appear in the formulas.
        y : array-like of shape (n_rows,)
            The class of each row: numbers or texts.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of each row, zero or more.

        Returns
        -------
        SymbolicClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If there are fewer than two classes, or the table or a hyper-parameter is unusable.
        """
        if y is None:
            raise ValueError("SymbolicClassifier requires y to be passed, but the target y is None")
        # The names of columns are those of the table, so the regressors get the table.
        validate_data(self, X, dtype=np.float64, ensure_all_finite=False)
        labels = column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_[0]!r}: classification needs 2 or more"
            )
        told = [1] if len(self.classes_) == 2 else range(len(self.classes_))
        self.estimators_ = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for number, code in enumerate(told):
                model = self._regressor(number, len(told))
                model.fit(X, (codes == code).astype(np.float64), sample_weight)
                self.estimators_.append(model)
        for warning in caught:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        return self

    def _regressor(self, number: int, n_formulas: int) -> SymbolicRegressor:
        """The search for one of the formulas."""
        template = self.estimator or SymbolicRegressor()
        parameters = template.get_params(deep=False) | {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name != "estimator"
        }
        if self.time_limit is not None:
            parameters["time_limit"] = self.time_limit / n_formulas
        if self.random_state is not None:
            # A generator gives each formula its own seed, a number stands for the same ones.
            seed = check_random_state(self.random_state).randint(2**31)
            parameters["random_state"] = int(seed) + number
        return SymbolicRegressor(**parameters | {"loss": "logistic"})

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logarithms of odds.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs, in the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
            Of the second class if there are two, else of every class against all others; NaN
            where a formula is undefined.
        """
        check_is_fitted(self)
        validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite=False)
        odds = [model.predict(X) for model in self.estimators_]
        return odds[0] if len(odds) == 1 else np.column_stack(odds)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs, in the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Rows sum to 1. A class whose formula is undefined for a row counts as even odds.
        """
        odds = np.nan_to_num(self.decision_function(X), nan=0.0)
        likely = 1.0 / (1.0 + np.exp(-np.clip(odds, -700.0, 700.0)))
        if odds.ndim == 1:
            return np.column_stack([1.0 - likely, likely])
        shares: NDArray[np.float64] = likely / likely.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs, in the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            Classes, as in `classes_`.
        """
        odds = self.decision_function(X)
        codes = (odds > 0).astype(int) if odds.ndim == 1 else np.nan_to_num(odds).argmax(axis=1)
        classes: NDArray[Any] = self.classes_[codes]
        return classes

    @property
    def expressions_(self) -> dict[Any, Expression]:
        """The formula of each class: of the second one only, if there are two."""
        check_is_fitted(self)
        classes = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        formulas = [model.expression_ for model in self.estimators_]
        return dict(zip(classes.tolist(), formulas, strict=True))

    @property
    def expression_(self) -> Expression:
        """The formula, if there are two classes: log-odds of the second one."""
        check_is_fitted(self)
        if len(self.estimators_) > 1:
            raise AttributeError(
                f"{len(self.classes_)} classes have a formula each: see expressions_"
            )
        return self.estimators_[0].expression_

    def sympy(self) -> dict[Any, sympy.Expr]:
        """The formula of each class for SymPy."""
        return {label: formula.sympy() for label, formula in self.expressions_.items()}

    def latex(self) -> dict[Any, str]:
        """The formula of each class in LaTeX."""
        return {label: formula.latex() for label, formula in self.expressions_.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model as JSON.

        Parameters
        ----------
        path : path-like
            The file to write.

        Raises
        ------
        ValueError
            If the classes are neither numbers nor texts.
        """
        check_is_fitted(self)
        classes = self.classes_.tolist()
        if not all(isinstance(label, (str, int, float)) for label in classes):
            raise ValueError(f"only numbers and texts can be saved as classes, not {classes!r}")
        model = {
            "opcodon_classifier": 1,
            "classes": classes,
            "models": [json.loads(model.report_.to_json()) for model in self.estimators_],
        }
        write_whole(path, json.dumps(model, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SymbolicClassifier:
        """Read a model that `save` wrote; nothing in the file is executed.

        Parameters
        ----------
        path : path-like
            The file to read.

        Returns
        -------
        SymbolicClassifier
            Fitted, to predict with.

        Raises
        ------
        ValueError
            If the file is not such a model.
        """
        try:
            stored = json.loads(Path(path).read_text(encoding="utf-8"))
            if stored["opcodon_classifier"] != 1:
                raise ValueError("it was written by a newer version: update opcodon")
            classes, models = np.array(stored["classes"]), stored["models"]
            models = [SymbolicRegressor.from_json(json.dumps(model)) for model in models]
            if len(models) != (1 if len(classes) == 2 else len(classes)) or len(classes) < 2:
                raise ValueError(f"{len(models)} formulas do not go with {len(classes)} classes")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)} is not a saved classifier: {error}") from error
        model = cls()
        model.classes_, model.estimators_ = classes, models
        model.n_features_in_ = models[0].n_features_in_
        if hasattr(models[0], "feature_names_in_"):
            model.feature_names_in_ = models[0].feature_names_in_
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return bool(getattr(self, "estimators_", None))

    def _html_repr(self) -> str:
        """The estimator's diagram, and the formulas below it once there are some."""
        diagram: str = super()._html_repr()
        if not self.__sklearn_is_fitted__():
            return diagram
        rows = "".join(
            f'<tr><td class="text">{html.escape(str(label))}</td>'
            f'<td class="text formula" title="{html.escape(str(formula))}">'
            f"{formula.mathml(6)}</td></tr>"
            for label, formula in self.expressions_.items()
        )
        head = '<tr><th class="text">class</th><th class="text">log-odds</th></tr>'
        return diagram + "\n" + _core.fragment(f"<table>{head}{rows}</table>")
