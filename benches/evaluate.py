"""Evaluation side by side: Opcodon, pyoperon, numpy and DEAP on the same random trees, one core.

Figure: nominal nodes (operators and leaves) x rows a second, everything from the tool's own tree
to its result included, so also compilation. The tools take turns, and the fastest of several
passes counts, for other work on the machine only ever slows a pass down. Ratios are what to quote.

    python benches/evaluate.py [--trees 1000] [--rows 20,100,1000,10000]
"""

import argparse
import math
import operator
import os
import random
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import opcodon

N_INPUTS = 5
ARITHMETIC = {"add": 2, "sub": 2, "mul": 2, "div": 2}
FUNCTIONS = {"sin": 1, "cos": 1, "exp": 1, "log": 1, "sqrt": 1, "tanh": 1}
ARITY = ARITHMETIC | FUNCTIONS
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
UFUNC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    **{name: getattr(np, name) for name in FUNCTIONS},
}


def grow(rng, size, unary, out):
    """Appends a random tree of `size` nodes to `out`, in prefix order."""
    if size == 1:
        leaf = rng.random() < 0.7
        out.append(f"x{rng.randrange(N_INPUTS)}" if leaf else rng.randint(7, 320) / 64)
    elif unary and (size == 2 or rng.random() < 0.3):
        out.append(rng.choice(list(FUNCTIONS)))
        grow(rng, size - 1, unary, out)
    else:
        out.append(rng.choice(list(ARITHMETIC)))
        left = rng.randint(1, size - 2) if unary else 2 * rng.randint(0, (size - 3) // 2) + 1
        grow(rng, left, unary, out)
        grow(rng, size - 1 - left, unary, out)


def fold(tree, leaf, apply):
    """The value of a prefix tree under given meanings of leaves and operators."""
    stack = []
    for token in reversed(tree):
        if token in ARITY:
            stack.append(apply(token, [stack.pop() for _ in range(ARITY[token])]))
        else:
            stack.append(leaf(token))
    return stack.pop()


def random_trees(n_trees, *, unary, seed=2026):
    """Trees of 5-50 nodes that stay finite on a probe in single precision."""
    rng = random.Random(seed + unary)
    probe = np.random.default_rng(9).uniform(0.1, 3.0, (N_INPUTS, 64)).astype(np.float32)
    trees = []
    while len(trees) < n_trees:
        size = rng.randint(5, 50)
        tree = []
        grow(rng, size if unary else size | 1, unary, tree)
        with np.errstate(all="ignore"):
            value = fold(tree, lambda t: numpy_leaf(t, probe), lambda op, a: UFUNC[op](*a))
        if np.ndim(value) and np.all(np.isfinite(value)):
            trees.append(tree)
    return trees


def numpy_leaf(token, columns):
    """A column, or a constant in the columns' type."""
    if isinstance(token, str):
        return columns[int(token[1:])]
    return columns.dtype.type(token)


def infix(tree):
    """A tree as text, fully parenthesised."""

    def apply(op, args):
        if op in INFIX:
            return f"({args[0]} {INFIX[op]} {args[1]})"
        return f"{op}({args[0]})"

    return fold(tree, str, apply)


# Each entry turns trees and data into a function that evaluates all trees once. ------------------
def opcodon_entry(dtype, loss):
    """A whole population at once."""

    def load(trees, X, y):
        names = [f"x{i}" for i in range(N_INPUTS)]
        expressions = [opcodon.parse(infix(tree), variables=names) for tree in trees]
        X = np.asfortranarray(X, dtype=dtype)

        def evaluate():
            population = opcodon.Population(expressions, dtype=dtype, n_jobs=1)
            return population.loss(X, y, loss="mse") if loss else population.evaluate(X)

        return evaluate

    return load


def operon_entry(trees, X, y):
    """pyoperon's batch evaluation; its wheel computes in single precision."""
    import pyoperon as operon

    dataset = operon.Dataset(np.asfortranarray(np.column_stack([X, y])))
    hashes = [v.Hash for v in sorted(dataset.Variables, key=lambda v: v.Index)]
    kinds = {name: getattr(operon.NodeType, name.capitalize()) for name in ARITY}

    def node(token):
        if token in ARITY:
            return operon.Node(kinds[token])
        if isinstance(token, str):
            leaf = operon.Node(operon.NodeType.Variable, hashes[int(token[1:])])
            leaf.Value = 1.0
        else:
            leaf = operon.Node(operon.NodeType.Constant)
            leaf.Value = token
        return leaf

    programs = []
    for tree in trees:
        program = operon.Tree([node(token) for token in reversed(tree)])
        program.UpdateNodes()
        programs.append(program)
    rows = operon.Range(0, len(X))
    chunk = max(1, min(64, 1_000_000 // len(X)))
    out = np.zeros((chunk, len(X)), dtype=np.float32)

    def evaluate():
        for start in range(0, len(programs), chunk):
            part = programs[start : start + chunk]
            operon.EvaluateTrees(part, dataset, rows, out[: len(part)], 1)

    return evaluate


def numpy_entry(trees, X, _y):
    """One ufunc call for each node."""
    columns = np.ascontiguousarray(X.T)

    def evaluate():
        with np.errstate(all="ignore"):
            for tree in trees:
                fold(tree, lambda t: numpy_leaf(t, columns), lambda op, a: UFUNC[op](*a))

    return evaluate


def deap_entry(trees, X, _y):
    """gp.compile and a Python loop over the rows."""
    from deap import gp

    def guarded(function):
        def call(*args):
            try:
                return function(*args)
            except (ValueError, OverflowError, ZeroDivisionError):
                return math.nan

        return call

    meaning = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
    meaning |= {name: guarded(getattr(math, name)) for name in FUNCTIONS}
    meaning["div"] = guarded(operator.truediv)
    pset = gp.PrimitiveSet("MAIN", N_INPUTS)
    for name, arity in ARITY.items():
        pset.addPrimitive(meaning[name], arity, name=name)
    pset.renameArguments(**{f"ARG{i}": f"x{i}" for i in range(N_INPUTS)})
    programs = []
    for tree in trees[:50]:
        nodes = [
            pset.mapping[t] if isinstance(t, str) else gp.Terminal(t, False, object) for t in tree
        ]
        programs.append(gp.PrimitiveTree(nodes))
    points = [tuple(row) for row in X.tolist()]

    def evaluate():
        for program in programs:
            function = gp.compile(program, pset)
            for point in points:
                function(*point)

    evaluate.n_trees = len(programs)
    return evaluate


ENTRIES = {
    "opcodon f32": opcodon_entry("float32", loss=False),
    "opcodon f32, mse": opcodon_entry("float32", loss=True),
    "opcodon f64": opcodon_entry("float64", loss=False),
    "opcodon f64, mse": opcodon_entry("float64", loss=True),
    "pyoperon f32": operon_entry,
    "numpy f64": numpy_entry,
    "DEAP scalar": deap_entry,
}


def measure(trees, n_rows, n_passes):
    """G node-rows a second of every entry that is installed."""
    rng = np.random.default_rng(n_rows)
    X = rng.uniform(0.1, 3.0, (n_rows, N_INPUTS)).astype(np.float32).astype(np.float64)
    y = X[:, 0] * X[:, 1] - X[:, 2]
    running = {}
    for name, load in ENTRIES.items():
        try:
            running[name] = load(trees, X, y)
        except ImportError as error:
            print(f"  {name}: left out, {error}")
    best = dict.fromkeys(running, math.inf)
    for turn in range(n_passes):
        for name, evaluate in running.items():
            if name == "DEAP scalar" and turn > 0:
                continue
            start = time.perf_counter()
            evaluate()
            best[name] = min(best[name], time.perf_counter() - start)
    rates = {}
    for name, evaluate in running.items():
        part = trees[: getattr(evaluate, "n_trees", len(trees))]
        rates[name] = sum(map(len, part)) * n_rows / best[name] * 1e-9
    return rates


def main():
    """Prints a table for each set of trees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trees", type=int, default=1000)
    parser.add_argument("--rows", default="20,100,1000,10000")
    parser.add_argument("--passes", type=int, default=7)
    args = parser.parse_args()
    rows = [int(n) for n in args.rows.split(",")]
    for title, unary in (("+ - * /", False), ("+ - * / sin cos exp log sqrt tanh", True)):
        trees = random_trees(args.trees, unary=unary)
        columns = {}
        for n in rows:
            columns[n] = measure(trees if n <= 1000 else trees[:200], n, args.passes)
        print(f"\n{title}: G node-rows/s, compilation included")
        print(f"{'':18}" + "".join(f"{n:>12} rows" for n in rows))
        for name in columns[rows[0]]:
            print(f"{name:18}" + "".join(f"{columns[n][name]:>17.4g}" for n in rows))
        for ours, peer in (
            ("opcodon f32", "pyoperon f32"),
            ("opcodon f64", "numpy f64"),
            ("opcodon f64", "DEAP scalar"),
        ):
            if peer in columns[rows[0]]:
                ratios = "".join(f"{columns[n][ours] / columns[n][peer]:>16.1f}x" for n in rows)
                print(f"{ours + ' / ' + peer:30}".ljust(18)[:18] + ratios + f"  ({peer})")


if __name__ == "__main__":
    main()
