"""Symbolic regression with DEAP: as it is, with one line changed, and with native operators.

The well-known example: x**4 + x**3 + x**2 + x is to be found from its values at 20 points, with
+, -, *, protected division, negation, cos and sin. Printed are times, speed-ups, and how well the
fitnesses agree; then the same for 10,000 rows.

    python examples/deap_symbreg.py [--generations 40] [--repeats 3]
"""

import argparse
import math
import operator
import random
import statistics
import time
from functools import partial

import numpy as np
from deap import algorithms, base, creator, gp, tools

import opcodon.deap

# Processor time: what other programs do on the machine does not count.
clock = time.process_time


def protected_div(left, right):
    try:
        return left / right
    except ZeroDivisionError:
        return 1


def make_primitives():
    pset = gp.PrimitiveSet("MAIN", 1)
    pset.addPrimitive(operator.add, 2)
    pset.addPrimitive(operator.sub, 2)
    pset.addPrimitive(operator.mul, 2)
    pset.addPrimitive(protected_div, 2, name="protectedDiv")
    pset.addPrimitive(operator.neg, 1)
    pset.addPrimitive(math.cos, 1)
    pset.addPrimitive(math.sin, 1)
    pset.addEphemeralConstant("rand101", partial(random.randint, -1, 1))
    pset.renameArguments(ARG0="x")
    return pset


def target(x):
    return x**4 + x**3 + x**2 + x


POINTS = [k / 10 for k in range(-10, 10)]
PAIRS = [(x, target(x)) for x in POINTS]

creator.create("FitnessMin", base.Fitness, weights=(-1.0,))
creator.create("Individual", gp.PrimitiveTree, fitness=creator.FitnessMin)
creator.create("NativeFitness", opcodon.deap.Fitness, weights=(-1.0,))
creator.create("NativeIndividual", opcodon.deap.PrimitiveTree, fitness=creator.NativeFitness)


def evaluate(individual, toolbox):
    function = toolbox.compile(expr=individual)
    return (math.fsum((function(x) - y) ** 2 for x, y in PAIRS) / len(PAIRS),)


def make_toolbox(pset, compile_function):
    """DEAP's example. The line that changes is the one that registers `compile`."""
    toolbox = base.Toolbox()
    toolbox.register("expr", gp.genHalfAndHalf, pset=pset, min_=1, max_=2)
    toolbox.register("individual", tools.initIterate, creator.Individual, toolbox.expr)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("compile", compile_function, pset=pset)
    toolbox.register("evaluate", evaluate, toolbox=toolbox)
    toolbox.register("select", tools.selTournament, tournsize=3)
    toolbox.register("mate", gp.cxOnePoint)
    toolbox.register("expr_mut", gp.genFull, min_=0, max_=2)
    toolbox.register("mutate", gp.mutUniform, expr=toolbox.expr_mut, pset=pset)
    limit = gp.staticLimit(key=operator.attrgetter("height"), max_value=17)
    toolbox.decorate("mate", limit)
    toolbox.decorate("mutate", limit)
    return toolbox, tools


def make_native_toolbox(pset):
    """The same, each name taken from opcodon.deap where it has one."""
    deap = opcodon.deap
    evaluator = deap.Evaluator(pset, POINTS, [y for _, y in PAIRS])
    toolbox = base.Toolbox()
    toolbox.register("expr", deap.genHalfAndHalf, pset=pset, min_=1, max_=2)
    toolbox.register("individual", tools.initIterate, creator.NativeIndividual, toolbox.expr)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("clone", deap.clone)
    toolbox.register("evaluate", evaluator)
    toolbox.register("map", evaluator.map)
    toolbox.register("select", deap.selTournament, tournsize=3)
    toolbox.register("mate", deap.cxOnePoint)
    toolbox.register("expr_mut", deap.genFull, min_=0, max_=2)
    toolbox.register("mutate", deap.mutUniform, expr=toolbox.expr_mut, pset=pset)
    limit = deap.staticLimit(key=operator.attrgetter("height"), max_value=17)
    toolbox.decorate("mate", limit)
    toolbox.decorate("mutate", limit)
    return toolbox, deap


def run(toolbox, kit, seed, generations):
    """One run; `kit` is where statistics and the hall of fame come from."""
    random.seed(seed)
    opcodon.deap.seed(seed)
    stats = kit.MultiStatistics(
        fitness=kit.Statistics(operator.attrgetter("fitness.values")), size=kit.Statistics(len)
    )
    for name in ("mean", "std", "min", "max"):
        stats.register(name, getattr(np, name))
    hall = kit.HallOfFame(1)
    start = clock()
    population = toolbox.population(n=300)
    population, logbook = algorithms.eaSimple(
        population, toolbox, 0.5, 0.1, generations, stats=stats, halloffame=hall, verbose=False
    )
    return clock() - start, population, hall[0], sum(logbook.select("nevals"))


def whole_runs(pset, generations, repeats):
    kinds = {
        "DEAP as it is": make_toolbox(pset, gp.compile),
        "one line changed": make_toolbox(pset, opcodon.deap.compile),
        "native operators": make_native_toolbox(pset),
    }
    times = {kind: [] for kind in kinds}
    best = {}
    for seed in range(repeats):
        for kind, (toolbox, kit) in kinds.items():
            seconds, _, best[kind], n_evaluated = run(toolbox, kit, seed, generations)
            times[kind].append(seconds / n_evaluated)
    print(f"\nWhole run: 300 individuals, {generations} generations, 20 points, {repeats} seeds")
    base_time = statistics.median(times["DEAP as it is"])
    for kind, seconds in times.items():
        each = statistics.median(seconds)
        print(
            f"  {kind:34} {each * 1e6:11.2f} us an individual,"
            f" {base_time / each:8.1f} times as fast,"
            f" best fitness {best[kind].fitness.values[0]:.3g}"
        )


def evaluated_in_a_run(seed, generations):
    """The primitive set of a run of DEAP and all individuals that it evaluates, in order."""
    pset, trees = make_primitives(), []

    def compile_and_note(expr, pset):
        trees.append(expr)
        return gp.compile(expr, pset)

    run(*make_toolbox(pset, compile_and_note), seed, generations)
    return pset, trees


def timed(function, items):
    """Seconds an item, and results. One pass: what a second one finds in memory is no news."""
    start = clock()
    result = [function(item) for item in items]
    return (clock() - start) / len(items), result


def median_time(function, items, repeats):
    times = []
    for _ in range(repeats):
        seconds, result = timed(function, items)
        times.append(seconds)
    return statistics.median(times), result


def report(title, rows):
    print(f"\n{title}")
    _, reference_time, reference = rows[0]
    for kind, seconds, losses in rows:
        gap = max(
            abs(a - b) / max(abs(b), 1e-300)
            for a, b in zip(losses, reference, strict=True)
            if math.isfinite(b) and b > 1e-20
        )
        print(
            f"  {kind:34} {seconds * 1e6:11.2f} us, {reference_time / seconds:8.1f} times as fast,"
            f" largest relative difference {gap:.1e}"
        )


def loss_with(compile_function, pset):
    def loss(tree):
        function = compile_function(tree, pset)
        return math.fsum((function(x) - y) ** 2 for x, y in PAIRS) / len(PAIRS)

    return loss


def compile_and_evaluate(generations, repeats):
    """What one individual costs in a fitness function, at 20 points, in the order of a run."""
    times = {}
    losses = {}

    def note(kind, seconds, values):
        times.setdefault(kind, []).append(seconds)
        losses[kind] = values

    for seed in range(repeats):
        pset, trees = evaluated_in_a_run(seed, generations)
        evaluator = opcodon.deap.Evaluator(pset, POINTS, [y for _, y in PAIRS])

        def at_once(trees, evaluator=evaluator):
            generations = [trees[k : k + 300] for k in range(0, len(trees), 300)]
            seconds, values = timed(evaluator.losses, generations)
            return seconds * len(generations) / len(trees), np.concatenate(values)

        note("deap.gp.compile, loop", *timed(loss_with(gp.compile, pset), trees))
        ours = loss_with(opcodon.deap.compile, pset)
        note("opcodon.deap.compile, loop", *timed(ours, trees))
        note("the loop alone, with math.fabs", *timed(loss_with(lambda *_: math.fabs, pset), trees))
        note("Evaluator, one by one", *timed(lambda tree, call=evaluator: call(tree)[0], trees))
        note("Evaluator, 300 at once", *at_once(trees))
        native = [opcodon.deap.PrimitiveTree.from_deap(tree, pset) for tree in trees]
        note("Evaluator, 300 native trees", *at_once(native))
    losses["the loop alone, with math.fabs"] = losses["deap.gp.compile, loop"]
    n = len(trees)
    n_different = len(set(map(str, trees)))
    size = sum(map(len, trees)) / n
    report(
        f"Compile and evaluate one individual: {n} trees in the order of a run, of which"
        f" {n_different} are different, {size:.1f} nodes, 20 points",
        [(kind, statistics.median(seconds), losses[kind]) for kind, seconds in times.items()],
    )


def many_rows(pset, population, n_rows, repeats):
    """The same at many rows, where a loop over points is what costs."""
    x = np.random.default_rng(0).uniform(-1, 1, n_rows)
    y = target(x)
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    evaluator = opcodon.deap.Evaluator(pset, x, y)

    def loop_with(compile_function):
        def loss(tree):
            function = compile_function(tree, pset)
            return math.fsum((function(a) - b) ** 2 for a, b in points) / n_rows

        return loss

    def with_arrays(tree):
        return float(np.mean((opcodon.deap.compile(tree, pset)(x) - y) ** 2))

    few = population[:30]
    deap_time, deap_losses = median_time(loop_with(gp.compile), few, 1)
    line_time, line_losses = median_time(loop_with(opcodon.deap.compile), few, 1)
    array_time, array_losses = median_time(with_arrays, few, repeats)
    all_time, all_losses = median_time(lambda trees: evaluator.losses(trees), [few], repeats)
    report(
        f"Compile and evaluate one individual: {len(few)} trees, {n_rows} rows",
        [
            ("deap.gp.compile, loop", deap_time, deap_losses),
            ("opcodon.deap.compile, loop", line_time, line_losses),
            ("opcodon.deap.compile, f(column)", array_time, array_losses),
            ("Evaluator, all at once", all_time / len(few), all_losses[0]),
        ],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    pset = make_primitives()
    whole_runs(pset, options.generations, options.repeats)
    _, population, _, _ = run(*make_toolbox(pset, opcodon.deap.compile), 1, options.generations)
    compile_and_evaluate(options.generations, options.repeats)
    many_rows(pset, population, 10_000, options.repeats)


if __name__ == "__main__":
    main()
