"""What machine code as the individual saves: children of genomes beside children of DEAP's trees.

The same random formulas, at 20 points: DEAP breeds them as trees (one-point crossover, and a new
subtree for one child in four), compiles each child with `gp.compile` and calls it point by point,
as its examples do; genomes are bred as machine code, by a call of `crossover` and maybe of `mutate`
for each child or all at once by `Repertoire.breed`, and run all at once by an `Evaluator`. Between
the two stands `Population`, which compiles DEAP's children as formulas, all at once. Microseconds a
child; the ways take turns, and the fastest pass counts. How fast genomes are without Python around
them is measured by `cargo bench -p opcodon-mcode`.

    python benches/genome.py [--trees 300] [--points 20] [--passes 5]
"""

import argparse
import operator
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from deap import creator, gp

import opcodon
from opcodon.genome import Evaluator, LinearCode, Repertoire, TreeCode

SYMBOLS = {"add": "+", "sub": "-", "mul": "*"}


def primitives() -> Any:
    pset = gp.PrimitiveSet("MAIN", 2, prefix="x")
    for name in SYMBOLS:
        pset.addPrimitive(getattr(operator, name), 2)
    pset.addTerminal(1.0)
    return pset


def formula(tree: Any) -> str:
    """A tree of DEAP's in infix notation."""
    stack: list[str] = []
    for node in reversed(tree):
        if node.arity:
            stack.append(f"({stack.pop()} {SYMBOLS[node.name]} {stack.pop()})")
        else:
            stack.append(str(node.value))
    return stack[0]


def fastest(ways: dict[str, Callable[[], object]], passes: int) -> dict[str, float]:
    """Seconds of the fastest pass of each way."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(passes):
        for what, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[what] = min(seconds[what], time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--passes", type=int, default=5)
    arguments = parser.parse_args()
    random.seed(2026)
    rng = np.random.default_rng(2026)
    X = rng.uniform(0.5, 2.0, (arguments.points, 2))
    y = X[:, 0] ** 2 + X[:, 1]
    rows, targets = X.tolist(), y.tolist()
    pset = primitives()
    if not hasattr(creator, "Tree"):
        creator.create("Tree", gp.PrimitiveTree)
    trees = [creator.Tree(gp.genHalfAndHalf(pset, min_=3, max_=4)) for _ in range(arguments.trees)]
    names = ["x0", "x1"]
    n = len(trees)
    partner = [(7 * k + 1) % n for k in range(n)]

    def offspring() -> list[Any]:
        children = []
        for k, mother in enumerate(trees):
            child = creator.Tree(mother)
            gp.cxOnePoint(child, creator.Tree(trees[partner[k]]))
            if random.random() < 0.25:
                gp.mutUniform(child, lambda pset, type_: gp.genFull(pset, 0, 2, type_), pset)
            children.append(child)
        return children

    def deap() -> None:
        for child in offspring():
            function = gp.compile(child, pset)
            sum((function(*row) - target) ** 2 for row, target in zip(rows, targets, strict=True))

    def population() -> None:
        children = [opcodon.parse(formula(child), names) for child in offspring()]
        opcodon.Population(children).loss(X, y)

    repertoire = Repertoire(names, ["add", "sub", "mul"])
    evaluator = Evaluator(X, y)

    def genomes(kind: Any) -> Callable[[], None]:
        parents = [kind.from_expression(formula(tree), names) for tree in trees]

        def run() -> None:
            children = []
            for k, mother in enumerate(parents):
                child = mother.crossover(parents[partner[k]]).child
                children.append(child.mutate(repertoire) if random.random() < 0.25 else child)
            evaluator.losses(children)

        return run

    def generations(kind: Any) -> Callable[[], None]:
        parents = [kind.from_expression(formula(tree), names) for tree in trees]
        fathers = [parents[k] for k in partner]

        def run() -> None:
            children = repertoire.breed(parents, fathers, crossover=1.0, mutation=0.25)
            evaluator.losses(children)

        return run

    ways: dict[str, Callable[[], object]] = {
        "DEAP: bred, gp.compile, point by point": deap,
        "DEAP's children, opcodon.Population": population,
        "TreeCode: bred and run": genomes(TreeCode),
        "LinearCode: bred and run": genomes(LinearCode),
        "TreeCode: bred at once and run": generations(TreeCode),
        "LinearCode: bred at once and run": generations(LinearCode),
    }
    sizes = sum(map(len, trees)) / n
    print(f"{n} formulas of {sizes:.0f} nodes on average, {arguments.points} points")
    seconds = fastest(ways, arguments.passes)
    first = next(iter(seconds.values()))
    for what, value in seconds.items():
        print(f"{what:42} {value / n * 1e6:8.2f} µs a child  {first / value:6.1f}x")


if __name__ == "__main__":
    main()
