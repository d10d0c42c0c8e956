"""Symbolic regression as a scikit-learn estimator.

The search itself is native: this module turns tables into arrays, hyper-parameters into the
texts that the native configuration takes, and the report of a fit into attributes. Names,
defaults and accepted values of the hyper-parameters are those of the native table; the tests
compare the two.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opcodon import _core
from opcodon._core import CompiledExpression, Expression, Report
from opcodon.expression import parse

try:
    from sklearn.base import RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "SymbolicRegressor needs scikit-learn 1.6 or later: pip install 'opcodon[sklearn]'"
    ) from error

from opcodon.estimator import NativeSearch, frame, write_whole

if TYPE_CHECKING:
    import pandas
    import sympy
    from numpy.typing import ArrayLike, NDArray

    from opcodon.machine import Disassembly

__all__ = ["SymbolicRegressor"]

DEFAULT_OPERATORS = (
    "add",
    "sub",
    "mul",
    "div",
    "square",
    "sqrt",
    "exp",
    "log",
    "sin",
    "cos",
    "tanh",
    "asin",
)


class SymbolicRegressor(RegressorMixin, NativeSearch):  # type: ignore[misc]
    """Find a short formula for a table.

    Genetic programming over formulas. Each candidate is translated into machine code and run
    over the rows, constants are fitted by Levenberg-Marquardt, and the result is a front: the
    best formula of each size that pays. One of them is chosen to predict.

    Parameters
    ----------
    preset : {"auto", "fast", "science", "accuracy"}, default="auto"
        What the fit is for: ``"fast"`` for a first look (10 s, size 30), ``"science"`` for a law
        (60 s, size 30, the shortest description), ``"accuracy"`` for predictions (120 s, size 80,
        depth 15), ``"auto"`` for the defaults, which adapt to the table. A parameter that is given
        another value than its default keeps it, and so does a `time_limit` of 30, a whole number.
    time_limit : float or None, default=30.0
        Wall-clock seconds after which the best found so far is returned.
    random_state : int, RandomState instance or None, default=None
        Seed. A run that is not ended by time repeats exactly with the same seed.
    n_jobs : int or None, default=-1
        Worker threads; -1 for one on each processor, None for 1. The result of a run that is
        not ended by time does not depend on it.
    operators : iterable of str or callable
        Operators and functions that formulas are made of, such as ``("add", "mul", "sin")``. A
        definition such as ``"gauss(x) = exp(-x^2)"`` adds a function of one to three arguments,
        which formulas show written out; so does a Python function, which is called once, with
        expressions.
    loss : str or callable, default="mse"
        What is minimised over the rows: ``"mse"``, ``"mae"``, ``"huber(1)"`` (the distance is in
        units of the target), ``"quantile(0.5)"``, ``"log_cosh"``, ``"logistic"`` (the formula is
        the logarithm of the odds of a target of 0 and 1), ``"poisson"`` (half the deviance of
        counts; the formula is an exponential), or the loss of a row as a formula of the
        prediction ``p`` and the target ``y`` such as ``"abs(p - y)/y"``. A function of two
        arguments is called once, with expressions, to get that formula:
        ``lambda p, y: np.log1p((p - y)**2)``.
    max_size : int, default=50
        Most nodes in a formula: operators, functions, variables and constants.
    max_depth : int, default=12
        Most levels in a formula. A sum or a product of several is one level, and numbers are none.
    constraints : str or iterable of str, default=()
        Rules that formulas keep: ``"sin <= 2"`` for at most two sines, ``"exp in sin <= 0"`` for no
        exponential inside a sine, ``"pow[2] <= 1"`` for a second argument of one node.
    max_generations : int or None, default=None
        Generations after which the search stops.
    max_evaluations : int or None, default=None
        Formulas evaluated after which the search stops.
    target_error : float or None, default=1e-12
        Stop once a formula leaves no more than this share of the target's variance unexplained.
    population_size : int, default=1000
        Formulas kept from one generation to the next, all islands together.
    islands : int, default=4
        Populations that evolve side by side.
    migration_interval : int, default=10
        Generations between two exchanges among islands.
    migration_fraction : float, default=0.05
        Share of an island that is sent to the next one at an exchange.
    tournament_size : int, default=5
        Formulas among which a parent is the best.
    crossover_probability : float, default=0.7
        Probability that a child mixes two parents.
    mutation_probability : float, default=0.5
        Probability that a child is mutated.
    back_solving : float, default=0.2
        Share of the children that are made by asking what a subtree would have to be for the
        formula to hit the target, and putting the small formula that comes nearest in its place.
    constant_iterations : int, default=6
        Levenberg-Marquardt steps that a new formula's constants get; 0 leaves them to mutation.
    search_rows : int, default=1000
        Rows that candidates are judged on during the search when the table has more.
    max_memory : int, str or None, default=None
        Most memory that the fit takes beside the table: bytes, or a text such as ``"2GB"``. What it
        remembers and enumerates shrinks to fit, and a table that is too large is refused.
    standardize : bool, default=True
        Scale columns of extreme magnitude for the search. Formulas are in the original units.
    seeds : bool, default=True
        Start from linear, quadratic and power-law models and from all small formulas.
    symmetries : bool, default=True
        Look for inputs that only scale the target, do not count, or count only as a sum,
        difference, product or quotient, and search in those fewer variables first. Part of the
        seeds.
    guesses : iterable of str or Expression, default=()
        Formulas to start from, in the names of the columns. Their constants are fitted, so only
        the form matters.
    archive_size : int, default=0
        Formulas that `visited` lists, of all that were met: those of lowest error, each size its
        share, rounded up, each shape once.
    blend : bool, default=False
        Where rows are few and noisy, predict with the mean of several formulas if that promises a
        smaller error. The mean is one formula, no longer than `max_size`.
    snap_constants : bool, default=True
        Replace constants by integers, simple fractions or multiples of pi where that pays.
    model_selection : {"auto", "cv", "mdl", "bic", "error", "score"}, default="auto"
        How the formula to predict with is chosen from the front.
    validation_fraction : float, default=0.0
        Share of the rows that is kept from the search and used to choose the formula.
    test_fraction : float, default=0.0
        Share of the rows that is used for nothing but test scores in `equations_`.
    warm_start : bool, default=False
        Whether another fit starts from the front of the one before, beside its own seeds.
    callback : callable or None, default=None
        Called about once a generation with a dictionary: ``generation``, ``evaluations``,
        ``elapsed`` (seconds), ``fraction`` (of the budget), ``front``. An exception that it
        raises ends the fit.
    log : str, path or None, default=None
        A file that gets what `callback` is told as lines of JSON. It is written anew by each fit.
    verbose : int, default=0
        1 shows progress on standard error.

    Attributes
    ----------
    expression_ : Expression
        The chosen formula.
    equations_ : pandas.DataFrame
        The front, from the smallest formula to the most accurate one. Without pandas, a list of
        dictionaries.
    report_ : Report
        Everything about the fit; ``print(model.report_)`` shows it.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if the table had names.

    Notes
    -----
    Pressing Ctrl-C ends the search, not the program: the best formulas so far are kept, with a
    `RuntimeWarning`. A formula may be undefined for new rows (``log(x)`` where ``x`` is
    negative); predictions are NaN there.

    Examples
    --------
    >>> import numpy as np
    >>> from opcodon import SymbolicRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 5, size=(100, 2))
    >>> y = 3 * X[:, 0] / X[:, 1]
    >>> model = SymbolicRegressor(max_generations=20, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.999999
    True
    """

    def __init__(
        self,
        *,
        preset: str = "auto",
        time_limit: float | None = 30.0,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = -1,
        operators: Iterable[str | Callable[..., Expression]] = DEFAULT_OPERATORS,
        loss: str | Callable[[Expression, Expression], Expression] = "mse",
        max_size: int = 50,
        max_depth: int = 12,
        constraints: str | Iterable[str] = (),
        max_generations: int | None = None,
        max_evaluations: int | None = None,
        target_error: float | None = 1e-12,
        population_size: int = 1000,
        islands: int = 4,
        migration_interval: int = 10,
        migration_fraction: float = 0.05,
        tournament_size: int = 5,
        crossover_probability: float = 0.7,
        mutation_probability: float = 0.5,
        back_solving: float = 0.2,
        constant_iterations: int = 6,
        search_rows: int = 1000,
        max_memory: int | str | None = None,
        standardize: bool = True,
        seeds: bool = True,
        symmetries: bool = True,
        guesses: Iterable[str | Expression] = (),
        archive_size: int = 0,
        blend: bool = False,
        snap_constants: bool = True,
        model_selection: str = "auto",
        validation_fraction: float = 0.0,
        test_fraction: float = 0.0,
        warm_start: bool = False,
        callback: Callable[[dict[str, Any]], object] | None = None,
        log: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None:
        self.preset = preset
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.operators = operators
        self.loss = loss
        self.max_size = max_size
        self.max_depth = max_depth
        self.constraints = constraints
        self.max_generations = max_generations
        self.max_evaluations = max_evaluations
        self.target_error = target_error
        self.population_size = population_size
        self.islands = islands
        self.migration_interval = migration_interval
        self.migration_fraction = migration_fraction
        self.tournament_size = tournament_size
        self.crossover_probability = crossover_probability
        self.mutation_probability = mutation_probability
        self.back_solving = back_solving
        self.constant_iterations = constant_iterations
        self.search_rows = search_rows
        self.max_memory = max_memory
        self.standardize = standardize
        self.seeds = seeds
        self.symmetries = symmetries
        self.guesses = guesses
        self.archive_size = archive_size
        self.blend = blend
        self.snap_constants = snap_constants
        self.model_selection = model_selection
        self.validation_fraction = validation_fraction
        self.test_fraction = test_fraction
        self.warm_start = warm_start
        self.callback = callback
        self.log = log
        self.verbose = verbose

    # What is no hyper-parameter of the native search.
    _OWN = frozenset({"callback", "log", "verbose", "warm_start"})

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> SymbolicRegressor:
        """Search for formulas.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs: an array, or a data frame whose column names appear in the formulas.
        y : array-like of shape (n_rows,)
            The target.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of each row, zero or more.
        checkpoint : path-like, optional
            A file to which the whole search is written at its beginning, every ten seconds and at
            its end.
        resume : path-like, optional
            A checkpoint to go on from, of the same table. Hyper-parameters are those of the
            checkpoint, but for limits and threads; the time starts anew. A search that
            generations or evaluations limit ends as if it had never stopped.

        Returns
        -------
        SymbolicRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If the table, a hyper-parameter or a checkpoint is unusable; the message says where
            and why.
        OSError
            If the checkpoint cannot be written or read.

        Examples
        --------
        >>> import numpy as np, opcodon, pathlib, tempfile
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(1, 5, size=(50, 2))
        >>> y = np.sin(X[:, 0]) + X[:, 1] + rng.normal(0, 0.1, 50)
        >>> file = pathlib.Path(tempfile.mkdtemp(), "search.json")
        >>> model = opcodon.SymbolicRegressor(time_limit=None, max_generations=4, random_state=0)
        >>> first = str(model.fit(X, y, checkpoint=file).expression_)
        >>> str(model.fit(X, y, resume=file).expression_) == first
        True
        """
        rows, y, target = self._table(X, y)
        if sample_weight is not None:
            sample_weight = _weights(sample_weight, len(rows))
        progress = self._progress()
        try:
            report = _core.fit(
                rows,
                y,
                names=self._names(),
                target=target,
                sample_weight=sample_weight,
                parameters=self._texts(),
                progress=progress,
                checkpoint=None if checkpoint is None else os.fspath(checkpoint),
                resume=None if resume is None else Path(resume).read_text(encoding="utf-8"),
            )
        finally:
            if isinstance(progress, (_ProgressLine, _Log)):
                progress.close()
        self._set_report(report)
        if report.interrupted:
            warnings.warn(
                "the fit was interrupted; the best formulas so far are kept",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X: ArrayLike, index: int | None = None) -> NDArray[np.float64]:
        """Predict with the chosen formula, or another one of the front.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs, in the columns of `fit`.
        index : int, optional
            Which row of `equations_` to predict with.

        Returns
        -------
        ndarray of shape (n_rows,)
            Predictions; NaN where the formula is undefined.
        """
        check_is_fitted(self)
        rows: NDArray[np.float64] = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite=False
        )
        _check_finite(rows, self.report_.names)
        return self.report_.predict(rows, index)

    def predict_interval(
        self, X: ArrayLike, level: float = 0.9, index: int | None = None
    ) -> NDArray[np.float64]:
        """Tell between which values new rows are expected.

        The margin around a prediction is the distance within which that share of the rows left out
        in cross-validation lay (cross-conformal prediction: Vovk 2015, Annals of Mathematics and
        Artificial Intelligence 74); with more than 2000 rows, of the rows learned from.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs, in the columns of `fit`.
        level : {0.5, 0.68, 0.8, 0.9, 0.95, 0.99}, default=0.9
            The share of new rows that is expected between the values.
        index : int, optional
            Which row of `equations_` to predict with.

        Returns
        -------
        ndarray of shape (n_rows, 2)
            Lower and upper ends, in units of the target.

        Raises
        ------
        ValueError
            If the level is another one, or the rows were too few to tell.

        Examples
        --------
        >>> import numpy as np, opcodon
        >>> x = np.linspace(0, 5, 60)[:, None]
        >>> y = 2 * x[:, 0] + np.random.default_rng(0).normal(0, 0.1, 60)
        >>> model = opcodon.SymbolicRegressor(max_generations=5, time_limit=None, random_state=0)
        >>> model.fit(x, y).predict_interval([[1.0]], level=0.8).round(1).tolist()
        [[1.9, 2.1]]
        """
        middle = self.predict(X, index)
        margin = self.report_.margin(level, index)
        return np.stack([middle - margin, middle + margin], axis=1)

    def constants(self, index: int | None = None) -> pandas.DataFrame | list[dict[str, Any]]:
        """The constants of a formula of the front, in the order in which they stand in it.

        Standard errors are those of nonlinear least squares at the fit (Seber & Wild, Nonlinear
        Regression, 1989, section 2.1): they take the shape of the formula for granted.

        Parameters
        ----------
        index : int, optional
            Row of `equations_`; by default the chosen one.

        Returns
        -------
        DataFrame or list of dict
            Columns ``value`` and ``standard_error``; NaN for a number that was not fitted, such as
            one that was found to be simple. A list of rows where pandas is not installed.
        """
        check_is_fitted(self)
        rows = [
            {"value": value, "standard_error": math.nan if error is None else error}
            for value, error in self.report_.constants(index)
        ]
        return frame(rows, ["value", "standard_error"])

    def visited(self) -> pandas.DataFrame | list[dict[str, Any]]:
        """The best of what the search has met, as it met it.

        The front comes from these by refitting and simplifying constants. There are as many as
        `archive_size` says, of each size the same number as far as there are so many.

        Returns
        -------
        DataFrame or list of dict
            Columns ``equation``, ``size`` and ``r2`` (on the rows of the search). A list of rows
            where pandas is not installed.

        Examples
        --------
        >>> import numpy as np, opcodon
        >>> X = np.random.default_rng(0).uniform(1, 3, size=(50, 2))
        >>> y = np.sin(X[:, 0] * X[:, 1])
        >>> model = opcodon.SymbolicRegressor(
        ...     archive_size=200, max_generations=5, time_limit=None, random_state=0
        ... ).fit(X, y)
        >>> short = model.visited().query("size <= 9 and r2 > 0.9")
        >>> bool(short.equation.str.contains("sin").any())
        True
        """
        check_is_fitted(self)
        return frame(self.report_.visited(), ["equation", "size", "r2"])

    @property
    def expression_(self) -> Expression:
        """The chosen formula."""
        return self.expression()

    @property
    def equations_(self) -> pandas.DataFrame | list[dict[str, Any]]:
        """The front, from the smallest formula to the most accurate one."""
        check_is_fitted(self)
        rows = self.report_.front()
        for column in ("cv_r2", "validation_r2", "test_r2"):
            if all(row[column] is None for row in rows):
                for row in rows:
                    del row[column]
        return frame(rows)

    def expression(self, index: int | None = None) -> Expression:
        """A formula of the front.

        Parameters
        ----------
        index : int, optional
            Row of `equations_`; by default the chosen one.

        Returns
        -------
        Expression
            The formula.
        """
        check_is_fitted(self)
        return self.report_.expression(index)

    def compiled(self, index: int | None = None) -> CompiledExpression:
        """A formula of the front as machine code, translated when it is first asked for.

        Parameters
        ----------
        index : int, optional
            Row of `equations_`; by default the chosen one.

        Returns
        -------
        CompiledExpression
            A function of numbers or arrays.
        """
        check_is_fitted(self)
        index = self.report_.chosen if index is None else index
        if index not in self._compiled:
            self._compiled[index] = CompiledExpression(self.report_.expression(index))
        return self._compiled[index]

    def sympy(self, index: int | None = None) -> sympy.Expr:
        """A formula of the front for SymPy."""
        return self.expression(index).sympy()

    def latex(self, index: int | None = None) -> str:
        """A formula of the front in LaTeX."""
        return self.expression(index).latex()

    def disassemble(self, index: int | None = None, *, kernel: bool = True) -> Disassembly:
        """The machine code of a formula of the front.

        Parameters
        ----------
        index : int, optional
            Row of `equations_`; by default the chosen one.
        kernel : bool, default=True
            The loop over rows that `predict` runs; False for the function of numbers.

        Returns
        -------
        Disassembly
            Text, with the instructions as data.
        """
        return self.compiled(index).disassemble(kernel=kernel)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model as JSON, which ``opcodon predict`` reads too.

        Parameters
        ----------
        path : path-like
            The file to write.
        """
        check_is_fitted(self)
        write_whole(path, self.report_.to_json() + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SymbolicRegressor:
        """Read a model that `save` or ``opcodon fit`` wrote.

        The file is data: formulas are parsed, and nothing in it is executed.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        SymbolicRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the file is no model, or comes from a newer version.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def from_json(cls, text: str) -> SymbolicRegressor:
        """Read a model from the text of a file that `save` wrote.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        SymbolicRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the text is no model, or comes from a newer version.
        """
        report = Report.from_json(text)
        texts = report.parameters
        own = cls()
        parameters = {
            name: _value(texts[name], default)
            for name, default in own.get_params().items()
            if name in texts
        }
        model = cls._restored(report.names, parameters)
        model._set_report(report)
        return model

    def _set_report(self, report: Report) -> None:
        self.report_ = report
        self._compiled: dict[int, CompiledExpression] = {}

    def _texts(self) -> dict[str, str]:
        """The hyper-parameters as the native configuration takes them."""
        values = self._values()
        guesses = [self.guesses] if isinstance(self.guesses, str) else list(self.guesses)
        if self.warm_start and self.__sklearn_is_fitted__():
            guesses += [row["equation"] for row in self.report_.front()]
        if not isinstance(self.constraints, str):
            values["constraints"] = "; ".join(self.constraints)
        values["guesses"] = "; ".join(str(guess) for guess in guesses)
        if callable(self.loss):
            values["loss"] = _traced(self.loss, "loss", ["p", "y"])
        if not isinstance(self.operators, str):
            values["operators"] = [
                _definition(item) if callable(item) else item for item in self.operators
            ]
        texts = {name: _text(value) for name, value in values.items()}
        if self.preset == "auto":
            return texts
        defaults = type(self)()._texts()
        own = {name for name, text in texts.items() if text != defaults[name]}
        return {name: texts[name] for name in own | {"preset", "n_jobs"}}

    def _progress(self) -> Callable[[dict[str, Any]], object] | None:
        told = self.callback or (_ProgressLine() if self.verbose else None)
        return told if self.log is None else _Log(self.log, told)


class _ProgressLine:
    """Progress on standard error: one line that is rewritten, or a line now and then in a log."""

    def __init__(self, what: str = "formulas") -> None:
        self._what = what
        self._rewrites = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, state: dict[str, Any]) -> None:
        if state["elapsed"] < self._next:
            return
        self._next = state["elapsed"] + (0.1 if self._rewrites else 5.0)
        line = f"{state['fraction']:4.0%}  {state['elapsed']:6.1f} s"
        line += f"  {state['evaluations']:,} {self._what}"
        if state["front"]:
            best = state["front"][-1]
            told = f"R² {_core.r2_text(best['r2'])}" if "r2" in best else f"MSE {best['loss']:.6g}"
            line += f"  best so far: {told} with {best['size']} nodes"
        if self._rewrites:
            width = os.get_terminal_size(sys.stderr.fileno()).columns
            sys.stderr.write(f"\r\x1b[K{line[: width - 1]}")
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def close(self) -> None:
        if self._rewrites:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class _Log:
    """What a callback is told, as lines of JSON, and the callback itself."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        then: Callable[[dict[str, Any]], object] | None,
    ) -> None:
        self._path = Path(path)
        self._path.write_text("", encoding="utf-8")
        self._then = then

    def __call__(self, state: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(state) + "\n")
        if self._then is not None:
            self._then(state)

    def close(self) -> None:
        if isinstance(self._then, _ProgressLine):
            self._then.close()


def _traced(function: Callable[..., Expression], what: str, names: list[str]) -> str:
    """The formula that a Python function of these arguments computes."""
    formula = function(*(parse(name, variables=names) for name in names))
    if not isinstance(formula, Expression):
        raise ValueError(
            f"{what} must return a formula of its arguments, but returned {formula!r}: "
            "use operators, abs() and numpy's functions, without branches"
        )
    return str(formula)


def _definition(function: Callable[..., Expression]) -> str:
    """A Python function as the definition of an operator."""
    name = getattr(function, "__name__", "")
    if not name.isidentifier():
        raise ValueError(
            f"{function!r} has no name to be an operator by: write 'name(x) = …' instead"
        )
    names = list(inspect.signature(function).parameters)
    return f"{name}({', '.join(names)}) = {_traced(function, name, names)}"


def _text(value: Any) -> str:
    """A hyper-parameter's value as text: what the command line would be given."""
    if value is None:
        return "none"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return ",".join(str(item) for item in value)
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return str(value)


def _value(text: str, default: Any) -> Any:
    """What `_text` made a text of, in the type of the parameter's default."""
    if text == "none":
        return None
    if isinstance(default, bool):
        return text == "true"
    if default == ():
        return tuple(filter(None, text.split("; ")))
    if isinstance(default, tuple):
        # Commas between the parameters of a definition separate nothing.
        return tuple(re.split(r",(?![^()]*\))", text))
    if isinstance(default, str):
        return text
    if isinstance(default, float):
        return float(text)
    return int(text) if text.isdigit() or text[:1] == "-" else text


def _weights(sample_weight: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, weights)
    return weights


def _check_finite(X: NDArray[np.float64], names: list[str]) -> None:
    bad = ~np.isfinite(X)
    if bad.any():
        row, column = (int(k) for k in np.argwhere(bad)[0])
        value = X[row, column]
        shown = "NaN" if np.isnan(value) else str(value)
        raise ValueError(
            f"column '{names[column]}' of X holds {shown} in row {row} (counted from 0): "
            "drop or fill such rows first"
        )
