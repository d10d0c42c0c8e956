"""DEAP with individuals that are machine code.

x**4 + x**3 + x**2 + x is to be found from its values at 20 points. Crossover exchanges bytes,
mutation edits bytes, and an individual is run as it is.

    python examples/deap_genome.py [--kind linear] [--generations 40] [--seed 1]
"""

import argparse
import random
import time

import numpy as np
from deap import algorithms, base, creator, tools

import opcodon.deap
from opcodon.genome import Repertoire

X = np.linspace(-1, 1, 20)[:, None]
Y = X[:, 0] ** 4 + X[:, 0] ** 3 + X[:, 0] ** 2 + X[:, 0]

creator.create("Fitness", base.Fitness, weights=(-1.0,))
creator.create("Tree", opcodon.deap.TreeCode, fitness=creator.Fitness)
creator.create("Linear", opcodon.deap.LinearCode, fitness=creator.Fitness)


def make_toolbox(kind):
    repertoire = Repertoire(["x"], ["add", "sub", "mul", "pdiv"])
    evaluator = opcodon.deap.GenomeEvaluator(X, Y)
    toolbox = base.Toolbox()
    if kind == "tree":
        toolbox.register("genome", opcodon.deap.genTreeCode, repertoire, max_depth=4)
    else:
        toolbox.register("genome", opcodon.deap.genLinearCode, repertoire, n_slots=16)
    individual = creator.Tree if kind == "tree" else creator.Linear
    toolbox.register("individual", lambda: individual(toolbox.genome()))
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", evaluator)
    toolbox.register("map", evaluator.map)
    toolbox.register("select", tools.selTournament, tournsize=4)
    toolbox.register("mate", opcodon.deap.cxSplice, max_slots=40)
    toolbox.register("mutate", opcodon.deap.mutBytes, repertoire=repertoire, max_slots=40)
    return toolbox


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kind", choices=["tree", "linear"], default="tree")
    arguments.add_argument("--generations", type=int, default=40)
    arguments.add_argument("--population", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    random.seed(given.seed)
    opcodon.deap.seed(given.seed)
    toolbox = make_toolbox(given.kind)
    best = tools.HallOfFame(1)
    start = time.perf_counter()
    algorithms.eaSimple(
        toolbox.population(n=given.population),
        toolbox,
        cxpb=0.6,
        mutpb=0.4,
        ngen=given.generations,
        halloffame=best,
        verbose=False,
    )
    seconds = time.perf_counter() - start
    print(f"{given.generations} generations of {given.population} in {seconds:.2f} s")
    print(f"mean squared error {best[0].fitness.values[0]:.3g}: {best[0]}\n")
    print(best[0].disassemble())


if __name__ == "__main__":
    main()
