"""Machine code as individuals of DEAP."""

import copy
import pickle
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("deap")
from deap import algorithms, base, creator, tools

import opcodon.deap
from opcodon import genome

X = np.linspace(-1, 1, 20)[:, None]
Y = X[:, 0] ** 2 + X[:, 0]
EXAMPLE = Path(__file__).parents[1] / "examples" / "deap_genome.py"
REPERTOIRE = genome.Repertoire(["x"], ["add", "sub", "mul"])

creator.create("GenomeFitness", base.Fitness, weights=(-1.0,))
creator.create("GenomeTree", opcodon.deap.TreeCode, fitness=creator.GenomeFitness)
creator.create("GenomeLinear", opcodon.deap.LinearCode, fitness=creator.GenomeFitness)
MAKE = {
    "tree": lambda: creator.GenomeTree(opcodon.deap.genTreeCode(REPERTOIRE)),
    "linear": lambda: creator.GenomeLinear(opcodon.deap.genLinearCode(REPERTOIRE)),
}


def has_avx2():
    try:
        genome.TreeCode.from_expression("x", tier="avx2").evaluate([[1.0]])
    except RuntimeError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_avx2(), reason="genomes need AVX2 to run")


@pytest.fixture(params=list(MAKE))
def make(request):
    opcodon.deap.seed(1)
    random.seed(1)
    return MAKE[request.param]


def test_operators_change_individuals_in_place(make):
    a, b = make(), make()
    before = a.genome, b.genome
    assert opcodon.deap.cxSplice(a, b, max_slots=30) == (a, b)
    assert opcodon.deap.mutBytes(a, max_slots=30) == (a,)
    assert (a.genome, b.genome) != before
    assert len(a) <= 30
    assert len(a.code) == 8 * len(a)


def test_clones_are_independent_and_pickles_come_back(make):
    individual = make()
    individual.fitness.values = (1.5,)
    for again in copy.deepcopy(individual), pickle.loads(pickle.dumps(individual)):
        # DEAP makes the class anew when it reads a pickle.
        assert type(again).__name__ == type(individual).__name__
        assert again == individual
        assert again.fitness.values == (1.5,)
        old = again.genome
        while again.genome == old:
            opcodon.deap.mutBytes(again)
        assert individual.genome == old


def test_a_generation_at_once_is_one_by_one(make):
    evaluate = opcodon.deap.GenomeEvaluator(X, Y)
    individuals = [make() for _ in range(50)]
    at_once = list(evaluate.map(evaluate, individuals))
    assert at_once == [evaluate(individual) for individual in individuals]
    expected = [np.mean((i.evaluate(X) - Y) ** 2) for i in individuals]
    np.testing.assert_allclose([loss for (loss,) in at_once], expected)
    assert list(evaluate.map(len, individuals)) == [len(i) for i in individuals]


def test_a_run_finds_the_formula(make):
    toolbox = base.Toolbox()
    evaluate = opcodon.deap.GenomeEvaluator(X, Y)
    toolbox.register("population", tools.initRepeat, list, make)
    toolbox.register("evaluate", evaluate)
    toolbox.register("map", evaluate.map)
    toolbox.register("mate", opcodon.deap.cxSplice)
    toolbox.register("mutate", opcodon.deap.mutBytes, repertoire=REPERTOIRE)
    toolbox.register("select", tools.selTournament, tournsize=4)
    best = tools.HallOfFame(3)
    algorithms.eaSimple(
        toolbox.population(n=300), toolbox, 0.6, 0.4, 20, halloffame=best, verbose=False
    )
    assert best[0].fitness.values[0] < 1e-20
    wide = np.array([[3.0], [10.0]])
    np.testing.assert_allclose(best[0].evaluate(wide), [12.0, 110.0], rtol=1e-9)


@pytest.mark.parametrize("kind", ["tree", "linear"])
def test_the_example_runs(kind):
    command = [sys.executable, str(EXAMPLE), "--kind", kind, "--generations", "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    error = float(re.search(r"mean squared error (\S+):", done.stdout)[1])
    assert error < 0.05
    assert "vmulpd" in done.stdout


def test_the_example_has_what_it_says():
    assert runpy.run_path(str(EXAMPLE), run_name="example")["make_toolbox"]


def test_the_example_of_integers_finds_tricks():
    command = [sys.executable, str(EXAMPLE.with_name("deap_integers.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("100% of fresh numbers") >= 3, done.stdout
