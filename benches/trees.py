"""Random expression trees that every evaluator can be given, in prefix order."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

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

# Operators by name, inputs as x0, x1, ..., constants as numbers.
Tree = list[str | float]


def grow(rng: random.Random, size: int, unary: bool, out: Tree) -> None:
    """Appends a random tree of `size` nodes to `out`."""
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


def fold(
    tree: Tree, leaf: Callable[[str | float], Any], apply: Callable[[str, list[Any]], Any]
) -> Any:
    """The value of a tree under given meanings of leaves and operators."""
    stack: list[Any] = []
    for token in reversed(tree):
        if token in ARITY:
            stack.append(apply(str(token), [stack.pop() for _ in range(ARITY[str(token)])]))
        else:
            stack.append(leaf(token))
    return stack.pop()


def numpy_leaf(token: str | float, columns: np.ndarray) -> Any:
    """A column, or a constant in the columns' type."""
    if isinstance(token, str):
        return columns[int(token[1:])]
    return columns.dtype.type(token)


def infix(tree: Tree) -> str:
    """A tree as text, fully parenthesised."""

    def apply(op: str, args: list[str]) -> str:
        if op in INFIX:
            return f"({args[0]} {INFIX[op]} {args[1]})"
        return f"{op}({args[0]})"

    return str(fold(tree, str, apply))


def random_trees(n_trees: int, *, unary: bool, seed: int = 2026) -> list[Tree]:
    """Trees of 5-50 nodes that stay finite on a probe in single precision."""
    rng = random.Random(seed + unary)
    probe = np.random.default_rng(9).uniform(0.1, 3.0, (N_INPUTS, 64)).astype(np.float32)
    trees: list[Tree] = []
    while len(trees) < n_trees:
        size = rng.randint(5, 50)
        tree: Tree = []
        grow(rng, size if unary else size | 1, unary, tree)
        with np.errstate(all="ignore"):
            value = fold(tree, lambda t: numpy_leaf(t, probe), lambda op, a: UFUNC[op](*a))
        if np.ndim(value) and np.all(np.isfinite(value)):
            trees.append(tree)
    return trees
