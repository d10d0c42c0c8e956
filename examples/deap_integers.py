"""Tricks with the bits of integers, found by breeding machine code with DEAP.

Programs are judged by the share of wrong bits of their results, at numbers of all sizes.

    python examples/deap_integers.py [--seed 1]
"""

import argparse
import random
import time

import numpy as np
from deap import algorithms, base, creator, tools

import opcodon.deap
from opcodon.genome import Repertoire

TRICKS = {
    "the lowest bit that is set": lambda x: x & -x,
    "all bits up to the lowest": lambda x: x ^ (x - 1),
    "without the lowest bit": lambda x: x & (x - 1),
    "ones after the lowest bit": lambda x: ~x & (x - 1),
}

creator.create("WrongBits", base.Fitness, weights=(-1.0,))
creator.create("Program", opcodon.deap.LinearCode, fitness=creator.WrongBits)


def numbers(n, seed):
    """Integers of every length and both signs."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(-(2**63), 2**63 - 1, size=n, dtype=np.int64)
    return drawn >> rng.integers(0, 63, size=n)


def evolve(function, seed, generations=60):
    random.seed(seed)
    opcodon.deap.seed(seed)
    x = numbers(500, seed)
    evaluator = opcodon.deap.GenomeEvaluator(x[:, None], function(x), integer=True)
    repertoire = Repertoire(["x"], ["iadd", "isub", "and", "or", "xor"], integer=True, registers=4)
    toolbox = base.Toolbox()
    toolbox.register("genome", opcodon.deap.genLinearCode, repertoire, n_slots=8)
    toolbox.register("individual", lambda: creator.Program(toolbox.genome()))
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", evaluator)
    toolbox.register("map", evaluator.map)
    toolbox.register("select", tools.selTournament, tournsize=4)
    toolbox.register("mate", opcodon.deap.cxSplice, max_slots=12)
    toolbox.register("mutate", opcodon.deap.mutBytes, repertoire=repertoire, max_slots=12)
    best = tools.HallOfFame(1)
    algorithms.eaSimple(
        toolbox.population(n=500), toolbox, 0.4, 0.6, generations, halloffame=best, verbose=False
    )
    return best[0]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seed", type=int, default=1)
    seed = arguments.parse_args().seed
    fresh = numbers(10_000, seed + 1)
    for name, function in TRICKS.items():
        start = time.perf_counter()
        program = evolve(function, seed)
        seconds = time.perf_counter() - start
        right = np.mean(program.genome.evaluate(fresh[:, None]) == function(fresh))
        print(f"{name}: {program.genome}   {right:.0%} of fresh numbers, {seconds:.1f} s")


if __name__ == "__main__":
    main()
