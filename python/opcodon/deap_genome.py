"""Genomes of machine code as individuals of DEAP.

DEAP changes individuals in place and hangs a fitness on them; genomes never change. So an
individual holds a genome, and variation gives it another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from opcodon import genome as _genome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from opcodon._core import Expression, Genome, Repertoire
    from opcodon.machine import Disassembly

__all__ = [
    "GenomeEvaluator",
    "LinearCode",
    "TreeCode",
    "cxSplice",
    "genLinearCode",
    "genTreeCode",
    "mutBytes",
]


class _Individual:
    """A genome that can be replaced."""

    genome: Genome

    def __init__(self, genome: Genome) -> None:
        self.genome = genome

    @property
    def code(self) -> bytes:
        """The machine code."""
        return self.genome.code

    def to_expression(self) -> Expression:
        """The formula, read off the bytes."""
        return self.genome.to_expression()

    def disassemble(self) -> Disassembly:
        """The machine code as assembly, with what each gene does."""
        return self.genome.disassemble()

    def evaluate(self, X: ArrayLike) -> NDArray[Any]:
        """The value for each row, computed by running the code."""
        return self.genome.evaluate(X)

    def __len__(self) -> int:
        return len(self.genome)

    def __str__(self) -> str:
        return str(self.genome)

    def __repr__(self) -> str:
        return repr(self.genome)

    def _repr_html_(self) -> str:
        return self.genome._repr_html_()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Individual) and self.genome == other.genome

    __hash__ = None  # type: ignore[assignment]


class TreeCode(_Individual):
    """An individual that is a `opcodon.genome.TreeCode`: a base for `deap.creator.create`.

    Parameters
    ----------
    genome : opcodon.genome.TreeCode
        What it holds at first; `genTreeCode` makes one.

    Attributes
    ----------
    genome : opcodon.genome.TreeCode
        What it holds.
    """


class LinearCode(_Individual):
    """An individual that is a `opcodon.genome.LinearCode`: a base for `deap.creator.create`.

    Parameters
    ----------
    genome : opcodon.genome.LinearCode
        What it holds at first; `genLinearCode` makes one.

    Attributes
    ----------
    genome : opcodon.genome.LinearCode
        What it holds.
    """


def genTreeCode(repertoire: Repertoire, max_depth: int = 4) -> _genome.TreeCode:
    """Grow a random tree as machine code.

    Parameters
    ----------
    repertoire : opcodon.genome.Repertoire
        What it is made of.
    max_depth : int, default=4
        Most levels.

    Returns
    -------
    opcodon.genome.TreeCode
        What an individual is made from.
    """
    return _genome.TreeCode.random(repertoire, max_depth)


def genLinearCode(repertoire: Repertoire, n_slots: int = 16) -> _genome.LinearCode:
    """Make a linear genome of random genes.

    Parameters
    ----------
    repertoire : opcodon.genome.Repertoire
        What it is made of.
    n_slots : int, default=16
        Most instructions.

    Returns
    -------
    opcodon.genome.LinearCode
        What an individual is made from.
    """
    return _genome.LinearCode.random(repertoire, n_slots)


_I = TypeVar("_I", bound=_Individual)


def cxSplice(ind1: _I, ind2: _I, max_slots: int = 64) -> tuple[_I, _I]:
    """Exchange bytes: each individual gets a range of bytes of the other in place of its own.

    Parameters
    ----------
    ind1, ind2 : TreeCode or LinearCode
        The individuals, which are changed.
    max_slots : int, default=64
        No child has more instructions than this.

    Returns
    -------
    tuple
        Both individuals.
    """
    first, second = ind1.genome, ind2.genome
    ind1.genome = first.crossover(second, max_slots=max_slots).child
    ind2.genome = second.crossover(first, max_slots=max_slots).child
    return ind1, ind2


def mutBytes(
    individual: _I, repertoire: Repertoire | None = None, max_slots: int = 64
) -> tuple[_I]:
    """Change the bytes of an individual at a random place.

    Parameters
    ----------
    individual : TreeCode or LinearCode
        The individual, which is changed.
    repertoire : opcodon.genome.Repertoire, optional
        What new genes are made of: ``+ - * /`` and the genome's own operations unless given.
    max_slots : int, default=64
        It does not grow beyond this.

    Returns
    -------
    tuple
        The individual.
    """
    individual.genome = individual.genome.mutate(repertoire, max_slots=max_slots)
    return (individual,)


class GenomeEvaluator:
    """The mean squared error of individuals, or their wrong bits, as a fitness of DEAP.

    Register it as ``evaluate``; register its `map` as ``map`` too, and a whole generation is made
    executable and run at once.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_columns)
        Inputs; of ``bool`` for genomes on bits.
    y : array-like of shape (n_rows,)
        The target.
    integer : bool, default=False
        Whether both are integers for genomes on these, which are judged by their share of wrong
        bits.

    Examples
    --------
    >>> import numpy as np
    >>> import opcodon.deap
    >>> from opcodon import genome
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> evaluate = opcodon.deap.GenomeEvaluator(X, X[:, 0] ** 2)
    >>> evaluate(opcodon.deap.TreeCode(genome.TreeCode.from_expression("x * x")))
    (0.0,)
    """

    def __init__(self, X: ArrayLike, y: ArrayLike, *, integer: bool = False) -> None:
        self._losses: Callable[[list[Genome]], NDArray[np.float64]] = _genome.Evaluator(
            X, y, integer=integer
        ).losses

    def __call__(self, individual: _Individual) -> tuple[float]:
        """The fitness values of one individual."""
        return (float(self._losses([individual.genome])[0]),)

    def map(
        self, function: Callable[..., Any], individuals: Iterable[Any], *more: Iterable[Any]
    ) -> Iterator[Any]:
        """As the builtin `map`, but at once where `function` is this evaluator."""
        if more or getattr(function, "func", function) is not self:
            return map(function, individuals, *more)
        losses = self._losses([individual.genome for individual in individuals])
        return iter([(loss,) for loss in losses.tolist()])
