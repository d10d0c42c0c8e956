"""Whole runs of DEAP's algorithms with native individuals, fitnesses and operators."""

import copy
import functools
import itertools
import math
import operator
import pickle
import random
from collections import Counter

import numpy as np
import pytest
from deap import algorithms, base, creator, gp, tools

import opcodon.deap

creator.create("RunFitness", opcodon.deap.Fitness, weights=(-1.0,))
creator.create("RunIndividual", opcodon.deap.PrimitiveTree, fitness=creator.RunFitness)
creator.create("TwoFitness", opcodon.deap.Fitness, weights=(-1.0, -1.0))
creator.create("TwoIndividual", opcodon.deap.PrimitiveTree, fitness=creator.TwoFitness)
creator.create("OldFitness", base.Fitness, weights=(-1.0,))
creator.create("OldTwoFitness", base.Fitness, weights=(-1.0, -1.0))
creator.create("OldIndividual", gp.PrimitiveTree, fitness=creator.OldFitness)
creator.create("MixedIndividual", opcodon.deap.PrimitiveTree, fitness=creator.OldFitness)

POINTS = [k / 10 for k in range(-10, 10)]
TARGETS = [x**4 + x**3 + x**2 + x for x in POINTS]

draw_int = functools.partial(random.randint, -1, 1)


def protected_div(left, right):
    try:
        return left / right
    except ZeroDivisionError:
        return 1


@pytest.fixture
def pset():
    pset = gp.PrimitiveSet("MAIN", 1)
    for function in (operator.add, operator.sub, operator.mul, protected_div):
        pset.addPrimitive(function, 2)
    pset.addPrimitive(operator.neg, 1)
    pset.addEphemeralConstant("rand101", draw_int)
    pset.renameArguments(ARG0="x")
    return pset


def typed_set():
    pset = gp.PrimitiveSetTyped("TYPED", [float, bool], bool, "IN")
    pset.addPrimitive(operator.and_, [bool, bool], bool)
    pset.addPrimitive(operator.not_, [bool], bool)
    pset.addPrimitive(operator.add, [float, float], float)
    pset.addPrimitive(operator.neg, [float], float)
    pset.addPrimitive(operator.lt, [float, float], bool)
    pset.addEphemeralConstant("unit", random.random, float)
    pset.addTerminal(True, bool)
    return pset


def check_types(tree, pset):
    """Whether every argument has the type that its place asks for."""
    wanted = [pset.ret]
    for node in tree:
        assert issubclass(node.ret, wanted.pop()), str(tree)
        wanted.extend(reversed(getattr(node, "args", [])))
    assert not wanted, str(tree)


def native_toolbox(pset, individual=None):
    toolbox = base.Toolbox()
    evaluator = opcodon.deap.Evaluator(pset, POINTS, TARGETS)
    toolbox.register("expr", opcodon.deap.genHalfAndHalf, pset=pset, min_=1, max_=2)
    toolbox.register(
        "individual", tools.initIterate, individual or creator.RunIndividual, toolbox.expr
    )
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("clone", opcodon.deap.clone)
    toolbox.register("evaluate", evaluator)
    toolbox.register("map", evaluator.map)
    toolbox.register("select", opcodon.deap.selTournament, tournsize=3)
    toolbox.register("mate", opcodon.deap.cxOnePoint)
    toolbox.register("expr_mut", opcodon.deap.genFull, min_=0, max_=2)
    toolbox.register("mutate", opcodon.deap.mutUniform, expr=toolbox.expr_mut, pset=pset)
    limit = opcodon.deap.staticLimit(key=operator.attrgetter("height"), max_value=8)
    toolbox.decorate("mate", limit)
    toolbox.decorate("mutate", limit)
    return toolbox


def statistics(kit=opcodon.deap):
    stats = kit.MultiStatistics(
        fitness=kit.Statistics(operator.attrgetter("fitness.values")),
        size=kit.Statistics(len),
        height=kit.Statistics(operator.attrgetter("height")),
    )
    for name in ("mean", "std", "min", "max"):
        stats.register(name, getattr(np, name))
    return stats


def run(pset, seed, n=100, generations=12, **parts):
    random.seed(seed)
    opcodon.deap.seed(seed)
    toolbox = native_toolbox(pset)
    for name, (function, options) in parts.items():
        toolbox.register(name, function, **options)
    hall = opcodon.deap.HallOfFame(3)
    population, log = algorithms.eaSimple(
        toolbox.population(n=n),
        toolbox,
        0.5,
        0.2,
        generations,
        stats=statistics(),
        halloffame=hall,
        verbose=False,
    )
    return population, log, hall


# Algorithms --------------------------------------------------------------------------------------


def test_ea_simple_finds_the_formula_and_keeps_the_limit(pset):
    population, log, hall = run(pset, 1, n=300, generations=25)
    best = log.chapters["fitness"].select("min")
    assert best[-1] < 0.05 < best[0]
    assert hall[0].fitness.values[0] == min(best)
    assert max(log.chapters["height"].select("max")) <= 8
    assert log.chapters["size"].select("mean")[0] == pytest.approx(3.5, abs=1)
    evaluator = opcodon.deap.Evaluator(pset, POINTS, TARGETS)
    for individual in population:
        assert individual.fitness.values == evaluator(individual)
        assert individual.fitness.valid
        check_types(individual, pset)


def test_runs_are_reproducible(pset):
    first, second, third = (run(pset, seed) for seed in (5, 5, 6))
    assert list(map(str, first[0])) == list(map(str, second[0]))
    assert first[1] == second[1]
    assert list(map(str, first[0])) != list(map(str, third[0]))


def test_seeding_of_random_alone_is_enough_at_the_start():
    script = (
        "import random; random.seed(7)\n"
        "from deap import gp\n"
        "import operator, opcodon.deap\n"
        "pset = gp.PrimitiveSet('MAIN', 1)\n"
        "pset.addPrimitive(operator.add, 2)\n"
        "print([str(opcodon.deap.genGrow(pset, 1, 6)) for _ in range(5)])\n"
    )
    import subprocess
    import sys

    outputs = {
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("algorithm", [algorithms.eaMuPlusLambda, algorithms.eaMuCommaLambda])
def test_mu_and_lambda(pset, algorithm):
    random.seed(2)
    opcodon.deap.seed(2)
    toolbox = native_toolbox(pset)
    hall = tools.HallOfFame(2)
    population, log = algorithm(
        toolbox.population(n=60),
        toolbox,
        60,
        120,
        0.6,
        0.2,
        15,
        stats=statistics(tools),
        halloffame=hall,
        verbose=False,
    )
    best = log.chapters["fitness"].select("min")
    assert best[-1] < best[0]
    assert len(population) == 60
    assert hall[0].fitness.values[0] <= min(best)


@pytest.mark.parametrize("select", [tools.selNSGA2, tools.selSPEA2])
def test_two_objectives(pset, select):
    random.seed(3)
    opcodon.deap.seed(3)
    toolbox = native_toolbox(pset, creator.TwoIndividual)
    evaluator = opcodon.deap.Evaluator(pset, POINTS, TARGETS, with_size=True)
    toolbox.register("evaluate", evaluator)
    toolbox.register("map", evaluator.map)
    toolbox.register("select", select)
    front = tools.ParetoFront()
    population, _ = algorithms.eaMuPlusLambda(
        toolbox.population(n=40), toolbox, 40, 40, 0.6, 0.3, 10, halloffame=front, verbose=False
    )
    for a, b in itertools.permutations(front, 2):
        assert not a.fitness.dominates(b.fitness)
    assert {len(a) for a in front} == {int(a.fitness.values[1]) for a in front}
    assert len(population) == 40


@pytest.mark.parametrize(
    "parts",
    [
        {"select": (tools.selTournament, {"tournsize": 3})},
        {"clone": (copy.deepcopy, {})},
        {"mate": (gp.cxOnePoint, {})},
        {"mate": (opcodon.deap.cxOnePointLeafBiased, {"termpb": 0.1})},
        {"mate": (gp.cxOnePointLeafBiased, {"termpb": 0.1})},
        {"select": (tools.selDoubleTournament,
                    {"fitness_size": 3, "parsimony_size": 1.4, "fitness_first": True})},
    ],
)  # fmt: skip
def test_parts_of_deap_work_with_native_ones(pset, parts):
    _, log, _ = run(pset, 4, **parts)
    best = log.chapters["fitness"].select("min")
    assert best[-1] <= best[0]


def test_native_trees_with_fitnesses_of_deap(pset):
    random.seed(2)
    opcodon.deap.seed(2)
    toolbox = native_toolbox(pset, creator.MixedIndividual)
    hall = opcodon.deap.HallOfFame(1)
    _, log = algorithms.eaSimple(
        toolbox.population(n=60), toolbox, 0.5, 0.1, 5, statistics(), hall, verbose=False
    )
    assert type(hall[0].fitness) is creator.OldFitness
    assert hall[0].fitness.values[0] == min(log.chapters["fitness"].select("min"))


def test_native_operators_with_trees_of_deap(pset):
    random.seed(2)
    toolbox = native_toolbox(pset, creator.OldIndividual)
    toolbox.register("expr", gp.genHalfAndHalf, pset=pset, min_=1, max_=2)
    toolbox.register("individual", tools.initIterate, creator.OldIndividual, toolbox.expr)
    population, log = algorithms.eaSimple(
        toolbox.population(n=60), toolbox, 0.5, 0.3, 5, statistics(), verbose=False
    )
    assert all(type(individual) is creator.OldIndividual for individual in population)
    assert log.chapters["fitness"].select("min")[-1] <= log.chapters["fitness"].select("min")[0]
    assert max(log.chapters["height"].select("max")) <= 8


def test_harm_gp(pset):
    random.seed(2)
    opcodon.deap.seed(2)
    toolbox = native_toolbox(pset)
    population, _ = gp.harm(
        toolbox.population(n=30), toolbox, 0.5, 0.1, 3, 0.05, 10, 0.25, 0.9, 100, verbose=False
    )
    assert len(population) == 30


# Making trees ------------------------------------------------------------------------------------


def shapes(generate, pset, low, high, n=3000):
    return Counter((len(tree), tree.height) for tree in
                   (gp.PrimitiveTree(generate(pset, low, high)) for _ in range(n)))  # fmt: skip


@pytest.mark.parametrize("name", ["genFull", "genGrow", "genHalfAndHalf"])
@pytest.mark.parametrize(("low", "high"), [(0, 2), (1, 3), (2, 2)])
def test_trees_are_distributed_as_in_deap(pset, name, low, high):
    random.seed(0)
    opcodon.deap.seed(0)
    n = 3000
    theirs = shapes(getattr(gp, name), pset, low, high, n)
    ours = shapes(getattr(opcodon.deap, name), pset, low, high, n)
    # Chi-squared of two samples, with a generous bound.
    common = [shape for shape in theirs | ours if theirs[shape] + ours[shape] > 20]
    chi2 = sum((theirs[s] - ours[s]) ** 2 / (theirs[s] + ours[s]) for s in common)
    assert chi2 < len(common) + 6 * math.sqrt(2 * len(common)) + 6


def test_symbols_are_drawn_as_in_deap(pset):
    opcodon.deap.seed(0)
    counts = Counter(node.name for _ in range(2000) for node in opcodon.deap.genFull(pset, 1, 1))
    primitives = [counts[p.name] for p in pset.primitives[object]]
    assert max(primitives) < 1.3 * min(primitives)
    leaves = [counts["ARG0"], counts["rand101"]]
    assert max(leaves) < 1.2 * min(leaves)


def test_typed_trees_have_the_types_asked_for():
    pset = typed_set()
    for seed in range(200):
        opcodon.deap.seed(seed)
        check_types(opcodon.deap.genGrow(pset, 1, 5), pset)
        tree = opcodon.deap.genFull(pset, 1, 3, float)
        assert tree.root.ret is float


def test_sets_that_lack_something():
    pset = gp.PrimitiveSetTyped("LACKS", [float], bool)
    pset.addPrimitive(operator.lt, [float, float], bool)
    with pytest.raises(IndexError, match="terminal of type '<class 'bool'>'"):
        opcodon.deap.genFull(pset, 0, 0)
    with pytest.raises(IndexError, match="primitive of type '<class 'float'>'"):
        opcodon.deap.genFull(pset, 2, 2)
    with pytest.raises(IndexError, match="nothing of type"):
        opcodon.deap.genFull(pset, 1, 2, str)
    with pytest.raises(ValueError, match="no such height"):
        opcodon.deap.genFull(pset, 3, 2)


# Variation ---------------------------------------------------------------------------------------


def make(pset, text, cls=None):
    return (cls or creator.RunIndividual).from_string(text, pset)


@pytest.mark.parametrize("typed", [False, True])
def test_crossover_keeps_nodes_and_types(pset, typed):
    pset = typed_set() if typed else pset
    opcodon.deap.seed(1)
    for _ in range(500):
        a, b = (opcodon.deap.genGrow(pset, 1, 5) for _ in range(2))
        before = Counter(map(str, [*map(format_node, a), *map(format_node, b)]))
        roots = a.root.name, b.root.name
        c, d = opcodon.deap.cxOnePoint(a, b)
        assert c is a
        assert d is b
        assert Counter(map(str, [*map(format_node, a), *map(format_node, b)])) == before
        assert (a.root.name, b.root.name) == roots
        check_types(a, pset)
        check_types(b, pset)


def format_node(node):
    return node.name if isinstance(node, gp.Primitive) else node.format()


def test_crossover_changes_subtrees_with_equal_probability(pset):
    opcodon.deap.seed(3)
    counts = Counter()
    for _ in range(3000):
        a, b = make(pset, "add(mul(x, x), neg(x))"), make(pset, "sub(1, 2)")
        opcodon.deap.cxOnePoint(a, b)
        counts[str(a)] += 1
    # Five points in one tree, two in the other.
    assert len(counts) == 10
    assert max(counts.values()) < 1.4 * min(counts.values())


def test_crossover_of_leaves_and_of_a_tree_with_itself(pset):
    leaf, tree = make(pset, "x"), make(pset, "add(x, 1)")
    assert opcodon.deap.cxOnePoint(leaf, tree) == (leaf, tree)
    assert str(tree) == "add(x, 1)"
    assert opcodon.deap.cxOnePoint(tree, tree) == (tree, tree)
    a, b = make(pset, "add(mul(x, x), x)"), make(pset, "sub(neg(1), 1)")
    opcodon.deap.seed(0)
    for _ in range(50):
        opcodon.deap.cxOnePointLeafBiased(a, b, 0.0)
        assert a.root.name == "add"
        assert {node.name for node in (*a, *b) if node.arity} == {"add", "mul", "sub", "neg"}


MUTATIONS = {
    "mutUniform": lambda f, tree, pset: f(
        tree, functools.partial(opcodon.deap.genFull, min_=0, max_=2), pset
    ),
    "mutUniform with trees of DEAP": lambda f, tree, pset: f(
        tree, functools.partial(gp.genFull, min_=0, max_=2), pset
    ),
    "mutNodeReplacement": lambda f, tree, pset: f(tree, pset),
    "mutInsert": lambda f, tree, pset: f(tree, pset),
    "mutShrink": lambda f, tree, _: f(tree),
    "mutEphemeral": lambda f, tree, _: f(tree, "one"),
    "mutEphemeral, all": lambda f, tree, _: f(tree, "all"),
}


def name_of(mutation):
    return mutation.replace(",", " ").split()[0]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_make_trees_of_the_right_types(pset, mutation, typed):
    pset = typed_set() if typed else pset
    random.seed(1)
    opcodon.deap.seed(1)
    changed = 0
    for _ in range(400):
        tree = opcodon.deap.genGrow(pset, 1, 5)
        before = str(tree)
        (after,) = MUTATIONS[mutation](getattr(opcodon.deap, name_of(mutation)), tree, pset)
        assert after is tree
        check_types(tree, pset)
        changed += str(tree) != before
    assert changed > 50


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_are_distributed_as_in_deap(pset, mutation):
    random.seed(1)
    opcodon.deap.seed(1)
    text = "add(mul(x, neg(1)), sub(neg(x), 0))"
    n = 3000

    def outcomes(module, tree):
        counts = Counter()
        for _ in range(n):
            (after,) = MUTATIONS[mutation](
                getattr(module, name_of(mutation)), copy.deepcopy(tree), pset
            )
            counts[len(after), after.height, after[0].name, after[-1].arity, len(str(after))] += 1
        return counts

    ephemeral = [pset.mapping["rand101"]() for _ in range(2)]
    nodes = list(gp.PrimitiveTree.from_string(text, pset))
    nodes = [ephemeral.pop() if isinstance(node, gp.Terminal) and node.name != "ARG0" else node
             for node in nodes]  # fmt: skip
    deap_tree = gp.PrimitiveTree(nodes)
    theirs = outcomes(gp, deap_tree)
    ours = outcomes(opcodon.deap, opcodon.deap.PrimitiveTree(deap_tree, pset))
    common = [outcome for outcome in theirs | ours if theirs[outcome] + ours[outcome] > 20]
    chi2 = sum((theirs[o] - ours[o]) ** 2 / (theirs[o] + ours[o]) for o in common)
    assert chi2 < len(common) + 6 * math.sqrt(2 * len(common)) + 6


def test_semantic_operators_of_deap_take_native_trees(pset):
    def lf(x):
        return 1 / (1 + math.exp(-x))

    pset.addPrimitive(lf, 1)
    random.seed(1)
    a, b = (opcodon.deap.PrimitiveTree(gp.genGrow(pset, 1, 3), pset) for _ in range(2))
    (after,) = gp.mutSemantic(opcodon.deap.clone(a), pset=pset, max=2)
    check_types(after, pset)
    child, _ = gp.cxSemantic(opcodon.deap.clone(a), opcodon.deap.clone(b), pset=pset, max=2)
    check_types(child, pset)


@pytest.mark.parametrize(
    "key",
    [operator.attrgetter("height"), len, lambda tree: tree.height],
    ids=["height", "len", "any"],
)
def test_limits(pset, key):
    opcodon.deap.seed(1)
    random.seed(1)
    mate = opcodon.deap.staticLimit(key, 5)(opcodon.deap.cxOnePoint)
    kept = 0
    for _ in range(500):
        a, b = (creator.RunIndividual(opcodon.deap.genGrow(pset, 1, 4)) for _ in range(2))
        if key(a) > 5 or key(b) > 5:
            continue
        a.fitness.values, b.fitness.values = (1.0,), (2.0,)
        a.mark, b.mark = "a", "b"
        parents = {str(a): (1.0, "a"), str(b): (2.0, "b")}
        c, d = mate(a, b)
        assert key(c) <= 5
        assert key(d) <= 5
        assert c is not d
        for child, parent in ((c, a), (d, b)):
            if child is not parent:
                kept += 1
                # A parent as it was, with what belonged to it.
                assert parents[str(child)] == (child.fitness.values[0], child.mark)
    assert kept > 5
    assert mate.__wrapped__ is opcodon.deap.cxOnePoint
    again = pickle.loads(pickle.dumps(opcodon.deap.staticLimit(len, 5)(opcodon.deap.cxOnePoint)))
    assert again.__name__ == "cxOnePoint"


def test_limits_on_any_operator_and_any_individual(pset):
    def double(tree):
        tree[0 : len(tree)] = [pset.mapping["add"], *tree, *tree]
        return (tree,)

    limited = opcodon.deap.staticLimit(len, 5)(double)
    (tree,) = limited(make(pset, "x"))
    assert str(tree) == "add(x, x)"
    (same,) = limited(tree)
    assert str(same) == "add(x, x)"
    (same,) = limited(creator.OldIndividual(list(same)))
    assert type(same) is creator.OldIndividual
    assert str(same) == "add(x, x)"


def test_clones_are_independent(pset):
    tree = make(pset, "add(x, 1)")
    tree.fitness.values = (3.0,)
    tree.note = {"list": [1]}
    for copied in (opcodon.deap.clone(tree), copy.deepcopy(tree)):
        assert type(copied) is type(tree)
        assert copied == tree
        assert copied.fitness == tree.fitness
        assert copied.fitness is not tree.fitness
        copied.note["list"].append(2)
        copied[1] = pset.mapping["rand101"]()
        copied.fitness.values = (4.0,)
        assert tree.note == {"list": [1]}
        assert str(tree) == "add(x, 1)"
        assert tree.fitness.values == (3.0,)
    assert opcodon.deap.clone([1, [2]]) == [1, [2]]


# Selection ---------------------------------------------------------------------------------------


def population_of(pset, values, cls=None):
    population = []
    for value in values:
        individual = make(pset, "x", cls)
        individual.fitness.values = value if isinstance(value, tuple) else (value,)
        population.append(individual)
    return population


def test_tournaments_choose_as_often_as_in_deap(pset):
    random.seed(1)
    opcodon.deap.seed(1)
    population = population_of(pset, [5.0, 1.0, 3.0, 2.0, 4.0])
    n = 20_000
    theirs, ours = (
        Counter(id(chosen) for chosen in select(population, n, 3))
        for select in (tools.selTournament, opcodon.deap.selTournament)
    )
    for individual in population:
        expected = theirs[id(individual)]
        assert abs(ours[id(individual)] - expected) < 6 * math.sqrt(expected) + 20
    assert opcodon.deap.selTournament(population, 2, 1000) == [population[1]] * 2
    assert opcodon.deap.selTournament(population, 0, 3) == []
    with pytest.raises(IndexError, match="no winner"):
        opcodon.deap.selTournament([], 1, 3)
    with pytest.raises(AttributeError):
        opcodon.deap.selTournament(population, 1, 3, fit_attr="nothing")


def test_nan_never_wins(pset):
    population = population_of(pset, [math.nan, math.inf, 3.0, math.nan])
    population[2][0] = pset.mapping["rand101"]()
    assert opcodon.deap.selTournament(population, 3, 100) == [population[2]] * 3
    hall = opcodon.deap.HallOfFame(1)
    hall.update(population)
    assert hall[0].fitness.values == (3.0,)
    assert tools.selBest(population, 1) == [population[2]]


def test_halls_of_fame_are_deaps(pset):
    random.seed(1)
    values = [random.choice([1.0, 2.0, 2.0, 3.0, 0.5, random.random()]) for _ in range(300)]
    texts = ["x", "add(x, x)", "neg(x)", "mul(x, 1)"]
    population = []
    for value in values:
        individual = make(pset, random.choice(texts))
        individual.fitness.values = (value,)
        population.append(individual)
    ours, theirs = opcodon.deap.HallOfFame(5), tools.HallOfFame(5)
    for start in range(0, 300, 50):
        ours.update(population[start : start + 50])
        theirs.update(population[start : start + 50])
        assert list(map(str, ours)) == list(map(str, theirs))
        assert [i.fitness.values for i in ours] == [i.fitness.values for i in theirs]


def test_statistics_are_deaps(pset):
    population = population_of(pset, [1.0, 2.0, 4.0])
    for kit in (tools, opcodon.deap):
        stats = statistics(kit)
        stats.register("median", lambda values: sorted(values)[1])
        record = stats.compile(population)
        assert record["fitness"]["mean"] == pytest.approx(7 / 3)
        assert record["fitness"]["median"] == (2.0,)
        assert record["size"] == {"mean": 1, "std": 0, "min": 1, "max": 1, "median": 1}


# Fitness -----------------------------------------------------------------------------------------

VALUES = [(1.0, 2.0), (1.0, 3.0), (2.0, 1.0), (0.0, 0.0), (-0.0, 0.0), (1.0, 2.0), (math.inf, 1.0)]


def test_fitness_compares_as_in_deap():
    ours = [creator.TwoFitness(values) for values in VALUES]
    theirs = [creator.OldTwoFitness(values) for values in VALUES]
    operators = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)
    for i, j in itertools.product(range(len(VALUES)), repeat=2):
        for compare in operators:
            expected = compare(theirs[i], theirs[j])
            assert compare(ours[i], ours[j]) == expected
            # With DEAP's own on the other side.
            assert compare(ours[i], theirs[j]) == expected
        assert ours[i].dominates(ours[j]) == theirs[i].dominates(theirs[j])
        for part in (slice(0, 1), slice(1, 2), slice(None), slice(None, None, -1)):
            assert ours[i].dominates(ours[j], part) == theirs[i].dominates(theirs[j], part)
        if ours[i] == ours[j]:
            assert hash(ours[i]) == hash(ours[j])
    assert str(ours[0]) == str(theirs[0]) == "(1.0, 2.0)"
    assert repr(ours[0]) == "deap.creator.TwoFitness((1.0, 2.0))"
    assert creator.TwoFitness() < ours[0]
    assert ours[0] != 3


def test_fitness_values_come_and_go():
    fitness = creator.TwoFitness()
    assert not fitness.valid
    assert fitness.values == ()
    fitness.values = [1, np.float64(2)]
    assert fitness.valid
    assert fitness.values == (1.0, 2.0)
    assert fitness.wvalues == (-1.0, -2.0)
    fitness.crowding_dist = 3.0
    again = pickle.loads(pickle.dumps(fitness))
    assert again == fitness
    assert again.crowding_dist == 3.0
    assert copy.deepcopy(fitness) == fitness
    del fitness.values
    assert not fitness.valid
    assert not pickle.loads(pickle.dumps(fitness)).valid
    with pytest.raises(TypeError, match="sequence of 2 numbers"):
        fitness.values = ("a", "b")
    with pytest.raises(TypeError, match="sequence of 2 numbers"):
        fitness.values = 3.0
    with pytest.raises(AssertionError, match="same length"):
        fitness.values = (1.0,)
    with pytest.raises(TypeError, match="no weights"):
        opcodon.deap.Fitness()


# Trees as lists ----------------------------------------------------------------------------------


def test_native_trees_are_lists_to_deap(pset):
    random.seed(1)
    for _ in range(100):
        theirs = gp.PrimitiveTree(gp.genHalfAndHalf(pset, 0, 5))
        ours = creator.RunIndividual(theirs, pset)
        assert len(ours) == len(theirs)
        assert ours.height == theirs.height
        assert str(ours) == str(theirs)
        assert list(ours) == list(theirs)
        assert ours == theirs
        assert ours.to_deap() == theirs
        assert creator.RunIndividual.from_deap(theirs, pset) == ours
        assert creator.RunIndividual.from_string(str(theirs), pset).to_deap() is not None
        assert ours.root == theirs.root
        assert gp.graph(ours) == gp.graph(theirs)
        for k in range(len(theirs)):
            assert ours[k] == theirs[k]
            assert ours[k - len(theirs)] == theirs[k]
            assert ours.searchSubtree(k) == theirs.searchSubtree(k)
        assert ours[1:3] == theirs[1:3]
        assert ours[::-2] == theirs[::-2]
        assert pset.mapping["add"] in [*ours, pset.mapping["add"]]
    # Without saying the set: it is known whose nodes these are.
    assert creator.RunIndividual(gp.genFull(pset, 1, 2)).height in (1, 2)


def test_assignments_are_checked(pset):
    tree = make(pset, "add(x, mul(x, 1))")
    tree[1] = pset.mapping["rand101"]()
    tree[0] = pset.mapping["sub"]
    tree[2:5] = [pset.mapping["neg"], pset.mapping["x"]]
    assert str(tree)[:4] == "sub("
    assert str(tree)[-7:] == "neg(x))"
    x, add = pset.mapping["x"], pset.mapping["add"]
    for key, new, error in [
        (0, x, ValueError),
        (slice(1, 2), [add], ValueError),
        (slice(1, 2), [x, x], ValueError),
        (slice(9, 10), [x], IndexError),
        (9, x, IndexError),
        (-9, x, IndexError),
        (slice(0, 4, 2), [x], ValueError),
        (0, "x", TypeError),
        (slice(1, 2), [3], TypeError),
    ]:
        before = str(tree)
        with pytest.raises(error):
            tree[key] = new
        assert str(tree) == before
    with pytest.raises(IndexError):
        _ = tree[9]
    with pytest.raises(TypeError):
        hash(tree)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("add(x", ValueError, "not one complete tree"),
        ("add(x, x) x", ValueError, "not one complete tree"),
        ("", ValueError, "not one complete tree"),
        ("add(x, y)", TypeError, "Unable to evaluate terminal: y"),
        ("add(x, rand101)", TypeError, "write its value"),
    ],
)
def test_texts_that_are_no_trees(pset, text, error, message):
    with pytest.raises(error, match=message):
        opcodon.deap.PrimitiveTree.from_string(text, pset)


def test_texts_of_the_wrong_type():
    pset = typed_set()
    with pytest.raises(TypeError, match="does not match the expected one"):
        opcodon.deap.PrimitiveTree.from_string("and_(IN0, IN1)", pset)
    with pytest.raises(TypeError, match="does not match the expected one"):
        opcodon.deap.PrimitiveTree.from_string("lt(IN0, 1)", pset)
    tree = opcodon.deap.PrimitiveTree.from_string("lt(IN0, 1.5)", pset)
    assert tree == gp.PrimitiveTree.from_string("lt(IN0, 1.5)", pset)


def test_nodes_of_nobody(pset):
    strange = gp.Primitive("strange", (object, object), object)
    with pytest.raises(TypeError, match="not known whose nodes"):
        opcodon.deap.PrimitiveTree([strange])
    with pytest.raises(ValueError, match="strange, which the primitive set does not have"):
        opcodon.deap.PrimitiveTree([strange], pset)
    other = gp.PrimitiveSet("OTHER", 1)
    other.addPrimitive(operator.pow, 2)
    tree = opcodon.deap.genFull(other, 1, 1)
    with pytest.raises(ValueError, match="pow, which the primitive set does not have"):
        opcodon.deap.compile(tree, pset)


def test_equal_sets_share_trees(pset):
    other = gp.PrimitiveSet("MAIN", 1)
    # The same symbols in another order.
    other.addPrimitive(operator.neg, 1)
    for function in (protected_div, operator.mul, operator.sub, operator.add):
        other.addPrimitive(function, 2)
    other.addEphemeralConstant("rand101", draw_int)
    other.renameArguments(ARG0="x")
    opcodon.deap.seed(4)
    for _ in range(100):
        tree = opcodon.deap.genGrow(other, 1, 5)
        theirs, ours = opcodon.deap.compile(tree, other), opcodon.deap.compile(tree, pset)
        assert str(theirs.expression) == str(ours.expression)
        assert opcodon.deap.PrimitiveTree(tree, pset) == tree
        opcodon.deap.cxOnePoint(tree, opcodon.deap.genGrow(pset, 1, 5))
        check_types(tree, pset)
