"""Regression by machine code that is bred, as a scikit-learn estimator.

The search is native, as that of `opcodon.regressor`, whose conventions this module shares: names,
defaults and accepted values of the hyper-parameters are those of the native table.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from opcodon import _core
from opcodon._core import Expression, Genome, GenomeReport
from opcodon.genome import Lineage

try:
    from sklearn.base import RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "MachineCodeRegressor needs scikit-learn 1.6 or later: pip install 'opcodon[sklearn]'"
    ) from error

from opcodon.estimator import NativeSearch, frame, write_whole
from opcodon.regressor import _check_finite, _ProgressLine, _text, _value, _weights

if TYPE_CHECKING:
    import pandas
    from numpy.typing import ArrayLike, NDArray

    from opcodon.machine import Disassembly

__all__ = ["MachineCodeRegressor"]

DEFAULT_OPERATORS = ("add", "sub", "mul", "div", "sqrt")


class MachineCodeRegressor(RegressorMixin, NativeSearch):  # type: ignore[misc]
    """Evolve machine code that predicts a target.

    The individuals of this genetic program are vector instructions: crossover and mutation copy
    and edit bytes, and a child is run as it is, without a compiler. Steady-state evolution on
    islands, one thread each; constants are refitted in place. The result is a front: the best
    genome of each size of formula that pays. One of them is chosen to predict, by the Bayesian
    information criterion.

    It needs a processor with AVX2; models can be read and used on any other.

    Parameters
    ----------
    genome : {"tree", "linear"}, default="tree"
        What an individual is: a formula in which every subtree is one range of bytes, or a list
        of instructions over registers.
    time_limit : float or None, default=30.0
        Wall-clock seconds after which the best found so far is returned.
    random_state : int, RandomState instance or None, default=None
        Seed. A run that is not ended by time repeats exactly with the same seed.
    n_jobs : int or None, default=-1
        Worker threads; -1 for one on each processor, None for 1. The result of a run that is
        not ended by time does not depend on it.
    operators : iterable of str, default=("add", "sub", "mul", "div", "sqrt")
        Operations that genomes are made of; there are also ``neg``, ``abs``, ``pdiv``, ``min``
        and ``max``.
    max_slots : int, default=64
        Most slots of a genome: instructions of 8 bytes.
    max_size : int, default=60
        Most nodes of a genome's formula: operators, functions, variables and constants.
    max_steps : int or None, default=None
        Steps after which the search stops.
    max_evaluations : int or None, default=None
        Genomes evaluated after which the search stops.
    target_error : float or None, default=1e-12
        Stop once a genome leaves no more than this share of the target's variance unexplained.
    population_size : int, default=1000
        Genomes of an island.
    islands : int, default=4
        Populations that evolve side by side.
    migration_interval : int, default=50
        Steps between two exchanges among islands.
    migrants : int, default=10
        Genomes that an island sends to another one at an exchange.
    children : int, default=100
        Children that an island breeds in a step.
    selection : {"tournament", "nsga2"}, default="tournament"
        Who breeds and who makes room: by error, then by size; or by error and size, neither
        before the other.
    tournament_size : int, default=4
        Genomes among which a parent is the best.
    crossover_probability : float, default=0.6
        Probability that a child has two parents.
    homologous_probability : float, default=0.5
        Share of crossovers of linear genomes that take genes from the same place.
    mutation_probability : float, default=0.5
        Probability that a child of two parents is mutated too.
    constant_share : float, default=0.2
        Share of constants among leaves.
    constant_range : float, default=5.0
        New constants are uniform between this and its negative.
    constant_iterations : int, default=6
        Constants of the best child of a step that are refitted.
    registers : int or None, default=8
        Registers of linear genomes; None for all that there are.
    scaling : bool, default=True
        Judge a genome by the best straight line from its values to the target, which becomes
        part of the model.
    record_lineage : bool, default=False
        Remember the ancestors of each genome: parents, operator and step. It takes time and
        memory.
    callback : callable or None, default=None
        Called a few times a second with a dictionary: ``step``, ``evaluations``, ``elapsed``
        (seconds), ``fraction`` (of the budget), ``front`` (the best so far). An exception that
        it raises ends the fit.
    verbose : int, default=0
        1 shows progress on standard error.

    Attributes
    ----------
    genome_ : TreeCode or LinearCode
        The chosen genome.
    expression_ : Expression
        Its formula.
    equations_ : pandas.DataFrame
        The front, from the smallest formula to the most accurate one. Without pandas, a list of
        dictionaries.
    report_ : GenomeReport
        Everything about the fit; ``print(model.report_)`` shows it.
    n_features_in_ : int
        Number of columns, 256 at most.
    feature_names_in_ : ndarray of str
        Names of the columns, if the table had names.

    Notes
    -----
    Pressing Ctrl-C ends the search, not the program: the best genomes so far are kept, with a
    `RuntimeWarning`.

    Examples
    --------
    >>> import numpy as np
    >>> from opcodon import MachineCodeRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 5, size=(100, 2))
    >>> y = 3 * X[:, 0] / X[:, 1]
    >>> model = MachineCodeRegressor(max_evaluations=100_000, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.999999
    True
    """

    def __init__(
        self,
        *,
        genome: Literal["tree", "linear"] = "tree",
        time_limit: float | None = 30.0,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = -1,
        operators: Iterable[str] = DEFAULT_OPERATORS,
        max_slots: int = 64,
        max_size: int = 60,
        max_steps: int | None = None,
        max_evaluations: int | None = None,
        target_error: float | None = 1e-12,
        population_size: int = 1000,
        islands: int = 4,
        migration_interval: int = 50,
        migrants: int = 10,
        children: int = 100,
        selection: Literal["tournament", "nsga2"] = "tournament",
        tournament_size: int = 4,
        crossover_probability: float = 0.6,
        homologous_probability: float = 0.5,
        mutation_probability: float = 0.5,
        constant_share: float = 0.2,
        constant_range: float = 5.0,
        constant_iterations: int = 6,
        registers: int | None = 8,
        scaling: bool = True,
        record_lineage: bool = False,
        callback: Callable[[dict[str, Any]], object] | None = None,
        verbose: int = 0,
    ) -> None:
        self.genome = genome
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.operators = operators
        self.max_slots = max_slots
        self.max_size = max_size
        self.max_steps = max_steps
        self.max_evaluations = max_evaluations
        self.target_error = target_error
        self.population_size = population_size
        self.islands = islands
        self.migration_interval = migration_interval
        self.migrants = migrants
        self.children = children
        self.selection = selection
        self.tournament_size = tournament_size
        self.crossover_probability = crossover_probability
        self.homologous_probability = homologous_probability
        self.mutation_probability = mutation_probability
        self.constant_share = constant_share
        self.constant_range = constant_range
        self.constant_iterations = constant_iterations
        self.registers = registers
        self.scaling = scaling
        self.record_lineage = record_lineage
        self.callback = callback
        self.verbose = verbose

    # What is no hyper-parameter of the native search.
    _OWN = frozenset({"callback", "verbose"})

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> MachineCodeRegressor:
        """Search for genomes.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Inputs: an array, or a data frame whose column names appear in the formulas.
        y : array-like of shape (n_rows,)
            The target.
        sample_weight : array-like of shape (n_rows,), optional
            By how much the squared error of each row counts. Rows of weight 0 are left out.
        checkpoint : path-like, optional
            A file to which the whole search is written every ten seconds and at its end.
        resume : path-like, optional
            A checkpoint to go on from, of the same table. Hyper-parameters are those of the
            checkpoint, but for limits and threads; the time starts anew.

        Returns
        -------
        MachineCodeRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If the table, a hyper-parameter or a checkpoint is unusable; the message says where
            and why.
        RuntimeError
            If this processor lacks AVX2.
        """
        rows, y, target = self._table(X, y)
        if sample_weight is not None:
            sample_weight = _weights(sample_weight, len(rows))
        progress = self.callback or (_ProgressLine("genomes") if self.verbose else None)
        try:
            report = _core.evolve(
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
            if isinstance(progress, _ProgressLine):
                progress.close()
        self.report_ = report
        if report.interrupted:
            warnings.warn(
                "the fit was interrupted; the best genomes so far are kept",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X: ArrayLike, index: int | None = None) -> NDArray[np.float64]:
        """Run the chosen genome, or another one of the front.

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

    @property
    def genome_(self) -> Genome:
        """The chosen genome."""
        return self.individual()

    @property
    def expression_(self) -> Expression:
        """The formula of the chosen genome."""
        return self.to_expression()

    @property
    def equations_(self) -> pandas.DataFrame | list[dict[str, Any]]:
        """The front, from the smallest formula to the most accurate one."""
        check_is_fitted(self)
        return frame(self.report_.front())

    def individual(self, index: int | None = None) -> Genome:
        """A genome of the front.

        Parameters
        ----------
        index : int, optional
            Row of `equations_`; by default the chosen one.

        Returns
        -------
        TreeCode or LinearCode
            The genome.
        """
        check_is_fitted(self)
        return self.report_.genome(index)

    def to_expression(self, index: int | None = None) -> Expression:
        """The formula of a genome of the front, read off its bytes.

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

    def lineage(self, index: int | None = None) -> Lineage:
        """How a genome of the front came to be: its ancestors.

        Parameters
        ----------
        index : int, optional
            Row of `equations_`; by default the chosen one.

        Returns
        -------
        Lineage
            Text and picture, with the ancestors as data. The mean of the target, the first row,
            was not born and has none.

        Raises
        ------
        ValueError
            If the search did not record births: set `record_lineage`.
        """
        check_is_fitted(self)
        if self.report_.parameters["record_lineage"] != "true":
            raise ValueError("births were not recorded: fit with record_lineage=True")
        return Lineage(self.report_, index)

    def disassemble(self, index: int | None = None) -> Disassembly:
        """The machine code of a genome of the front, with what each gene does.

        Parameters
        ----------
        index : int, optional
            Row of `equations_`; by default the chosen one.

        Returns
        -------
        Disassembly
            Text, with the instructions as data.
        """
        return self.individual(index).disassemble()

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
    def load(cls, path: str | os.PathLike[str]) -> MachineCodeRegressor:
        """Read a model that `save` or ``opcodon evolve`` wrote.

        Machine code in the file is verified: what is anything else than arithmetic on registers,
        columns and constants is refused, and not executed.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        MachineCodeRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the file is no model, or comes from a newer version.
        """
        try:
            report = GenomeReport.from_json(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error
        texts = report.parameters
        parameters = {
            name: _value(texts[name], default)
            for name, default in cls().get_params().items()
            if name in texts
        }
        model = cls._restored(report.names, parameters)
        model.report_ = report
        return model

    def _texts(self) -> dict[str, str]:
        """The hyper-parameters as the native configuration takes them."""
        values = self._values()
        return {name: _text(value) for name, value in values.items()}
