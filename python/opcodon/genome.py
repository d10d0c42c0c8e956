"""Genomes that are machine code.

A genome is a run of vector instructions of eight bytes each, its *slots*, and the constants that
they read. It becomes executable by being copied; there is no compiler. Crossover copies slots of
two parents, mutation edits them. `TreeCode` is a formula in which every subtree is one range of
slots, `LinearCode` a list of instructions over registers, of which many have no influence on the
result (introns).

Genomes never change: crossover and mutation give new ones. What comes from a file, a pickle or as
bytes is decoded instruction by instruction before it becomes a genome; it may contain nothing but
arithmetic on the genome's registers, columns and constants.

Examples
--------
>>> import numpy as np
>>> from opcodon.genome import TreeCode
>>> mother = TreeCode.from_expression("(x0 + 1) * x1")
>>> father = TreeCode.from_expression("x0 / (x1 - 2)", ["x0", "x1"])
>>> child = mother.splice(2, father, 3)
>>> str(child)
'(x1 - 2)*x1'
>>> child.evaluate(np.array([[1.0, 5.0], [2.0, 3.0]]))
array([15.,  3.])
"""

from __future__ import annotations

from typing import NamedTuple

from opcodon import _core
from opcodon._core import Evaluator, Genome, LinearCode, Repertoire, TreeCode

__all__ = [
    "Ancestor",
    "Crossover",
    "Evaluator",
    "Gene",
    "Genome",
    "Lineage",
    "LinearCode",
    "Mark",
    "Repertoire",
    "TreeCode",
]


class Mark(NamedTuple):
    """Where the code of a node's subtree lies; slots are counted from 0.

    Attributes
    ----------
    begin, end : int
        First slot, and one more than the last.
    arity : int
        Operands of the node.
    operation : str
        What the node does; ``"load"`` for a variable or constant.
    """

    begin: int
    end: int
    arity: int
    operation: str


class Gene(NamedTuple):
    """One operation of a genome, of one slot or three.

    Attributes
    ----------
    begin, end : int
        First slot, and one more than the last.
    operation : str
        What it does; ``"load"`` for moving a variable or constant to a register.
    text : str
        Such as ``"r0 = r0 + mass"``.
    effective : bool
        Whether it has any influence on the genome's result, which is register 0 at the end.
    """

    begin: int
    end: int
    operation: str
    text: str
    effective: bool


class Ancestor(NamedTuple):
    """A genome from which another one comes.

    Attributes
    ----------
    step, island : int
        When and where it was born; step 0 is the first population.
    operator : str
        What made it: ``"random"``, ``"mutation"``, ``"crossover"``, …
    loss : float or None
        Mean squared error as the search saw it, if it had one.
    size : int
        Nodes of its formula.
    formula : str
        The formula, without the straight line that the search puts after it.
    other : str or None
        The formula of the second parent, if there is one.
    """

    step: int
    island: int
    operator: str
    loss: float | None
    size: int
    formula: str
    other: str | None


class Lineage:
    """How a genome came to be; what `MachineCodeRegressor.lineage` gives.

    ``print`` shows it as a table, notebooks as a picture with the table below.

    Parameters
    ----------
    report : GenomeReport
        A search whose births were recorded.
    index : int, optional
        Row of its front; by default the chosen one.

    Attributes
    ----------
    ancestors : tuple of Ancestor
        The first one first, the genome itself last. Each was made of the one before, of which
        most was kept.
    """

    def __init__(self, report: _core.GenomeReport, index: int | None = None) -> None:
        rows = report.lineage(index)
        self.ancestors = tuple(Ancestor(**row) for row in rows)
        self._text, self._svg, self._html = report.lineage_pictures(index)

    def svg(self) -> str:
        """The errors of the ancestors as SVG.

        Returns
        -------
        str
            The picture.
        """
        return self._svg

    def __len__(self) -> int:
        return len(self.ancestors)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Lineage: {len(self)} generations>"

    def _repr_html_(self) -> str:
        return self._html


class Crossover(NamedTuple):
    """Two parents, their child, and where its bytes come from.

    Notebooks show it as a picture.

    Attributes
    ----------
    first, second : Genome
        The parents.
    child : Genome
        The first parent with the slots `cut` replaced by the slots `donor` of the second.
    cut, donor : tuple of int, or None
        First slot, and one more than the last. None if no crossover was possible within the
        limits, and the child is a copy of the first parent.
    """

    first: Genome
    second: Genome
    child: Genome
    cut: tuple[int, int] | None
    donor: tuple[int, int] | None

    def svg(self, width: int | None = None) -> str:
        """Parents and child side by side as SVG.

        Parameters
        ----------
        width : int, optional
            Slots in a line of each genome; 3 unless given.

        Returns
        -------
        str
            The picture: bytes of the first parent are blue, of the second orange, introns pale.
            Dashed frames are around what is cut, what is given, and where it goes.
        """
        return _core.crossover_svg(*self, width)

    def _repr_html_(self) -> str:
        return _core.crossover_html(*self)
