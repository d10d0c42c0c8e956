"""Ways to evaluate trees: Opcodon and its peers.

An entry takes trees (see `trees`), the inputs as rows and a target, does what is not timed, and
gives a function that evaluates all trees once, from the tool's own tree to predictions, compilation
included unless the entry's name says otherwise. Slow ones take the first trees only, and say how
many in `n_trees`. An entry whose tool is not installed raises ImportError.
"""

import ctypes
import itertools
import math
import operator
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from trees import ARITY, FUNCTIONS, INFIX, N_INPUTS, UFUNC, Tree, fold, infix, numpy_leaf

import opcodon

NAMES = [f"x{i}" for i in range(N_INPUTS)]

Evaluate = Callable[[], Any]
Entry = Callable[[list[Tree], np.ndarray, np.ndarray], Evaluate]


def of_first(trees: list[Tree], most: int) -> Callable[[Evaluate], Evaluate]:
    """Marks a function that evaluates the first trees only."""

    def mark(evaluate: Evaluate) -> Evaluate:
        evaluate.n_trees = min(most, len(trees))  # type: ignore[attr-defined]
        return evaluate

    return mark


def by_opcodon(dtype: str, *, loss: bool) -> Entry:
    """A whole population at once."""

    def load(trees: list[Tree], X: np.ndarray, y: np.ndarray) -> Evaluate:
        expressions = [opcodon.parse(infix(tree), variables=NAMES) for tree in trees]
        X = np.asfortranarray(X, dtype=dtype)

        def evaluate() -> Any:
            population = opcodon.Population(expressions, dtype=dtype, n_jobs=1)
            return population.loss(X, y, loss="mse") if loss else population.evaluate(X)

        return evaluate

    return load


def by_operon(trees: list[Tree], X: np.ndarray, y: np.ndarray) -> Evaluate:
    """pyoperon's batch evaluation; its wheel computes in single precision."""
    import pyoperon as operon

    dataset = operon.Dataset(np.asfortranarray(np.column_stack([X, y])))
    hashes = [v.Hash for v in sorted(dataset.Variables, key=lambda v: v.Index)]
    kinds = {name: getattr(operon.NodeType, name.capitalize()) for name in ARITY}

    def node(token: str | float) -> Any:
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

    def evaluate() -> None:
        for start in range(0, len(programs), chunk):
            part = programs[start : start + chunk]
            operon.EvaluateTrees(part, dataset, rows, out[: len(part)], 1)

    return evaluate


def by_numpy(trees: list[Tree], X: np.ndarray, _y: np.ndarray) -> Evaluate:
    """One ufunc call for each node."""
    columns = np.ascontiguousarray(X.T)

    def evaluate() -> None:
        with np.errstate(all="ignore"):
            for tree in trees:
                fold(tree, lambda t: numpy_leaf(t, columns), lambda op, a: UFUNC[op](*a))

    return evaluate


def by_gplearn(trees: list[Tree], X: np.ndarray, _y: np.ndarray) -> Evaluate:
    """Its interpreter, with numpy's own functions instead of protected ones: values agree."""
    from gplearn._program import _Program
    from gplearn.functions import _Function

    functions = {name: _Function(UFUNC[name], name, arity) for name, arity in ARITY.items()}
    arities = {n: [f for f in functions.values() if f.arity == n] for n in (1, 2)}

    def node(token: str | float) -> Any:
        if isinstance(token, str):
            return functions.get(token) or int(token[1:])
        return token

    settings: dict[str, Any] = {
        "function_set": list(functions.values()),
        "arities": arities,
        "init_depth": (2, 6),
        "init_method": "half and half",
        "n_features": N_INPUTS,
        "const_range": (-1.0, 1.0),
        "metric": None,
        "p_point_replace": 0.05,
        "parsimony_coefficient": 0.0,
        "random_state": np.random.RandomState(0),
    }
    programs = [_Program(program=[node(t) for t in tree], **settings) for tree in trees]

    def evaluate() -> None:
        with np.errstate(all="ignore"):
            for program in programs:
                program.execute(X)

    return evaluate


def by_deap(*, scalar: bool) -> Entry:
    """gp.compile, then a Python loop over the rows, or one call with columns."""

    def load(trees: list[Tree], X: np.ndarray, _y: np.ndarray) -> Evaluate:
        from deap import gp

        def guarded(function: Callable[..., float]) -> Callable[..., float]:
            def call(*args: float) -> float:
                try:
                    return function(*args)
                except (ValueError, OverflowError, ZeroDivisionError):
                    return math.nan

            return call

        meaning: dict[str, Any] = dict(UFUNC)
        if scalar:
            meaning = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
            meaning |= {name: guarded(getattr(math, name)) for name in FUNCTIONS}
            meaning["div"] = guarded(operator.truediv)
        pset = gp.PrimitiveSet("MAIN", N_INPUTS)
        for name, arity in ARITY.items():
            pset.addPrimitive(meaning[name], arity, name=name)
        pset.renameArguments(**{f"ARG{i}": name for i, name in enumerate(NAMES)})
        programs = [
            gp.PrimitiveTree(
                [
                    pset.mapping[t] if isinstance(t, str) else gp.Terminal(t, False, object)
                    for t in tree
                ]
            )
            for tree in trees[: 50 if scalar else 200]
        ]
        points = [tuple(row) for row in X.tolist()] if scalar else [tuple(X.T.copy())]

        @of_first(trees, len(programs))
        def evaluate() -> None:
            with np.errstate(all="ignore"):
                for program in programs:
                    function = gp.compile(program, pset)
                    for point in points:
                        function(*point)

        return evaluate

    return load


def by_numexpr(trees: list[Tree], X: np.ndarray, _y: np.ndarray) -> Evaluate:
    """Its compiler past its cache, and its virtual machine, on one thread."""
    import numexpr

    numexpr.set_num_threads(1)
    columns = dict(zip(NAMES, np.ascontiguousarray(X.T), strict=True))
    programs = []
    for tree in trees[:200]:
        used = sorted({t for t in tree if t in columns})
        programs.append(
            (
                infix(tree),
                [(n, numexpr.necompiler.double) for n in used],
                [columns[n] for n in used],
            )
        )

    @of_first(trees, len(programs))
    def evaluate() -> None:
        for text, signature, arguments in programs:
            numexpr.necompiler.NumExpr(text, signature)(*arguments)

    return evaluate


def by_symjit(*, compiling: bool) -> Entry:
    """Its machine code for SymPy expressions; compiling takes far longer than running."""

    def load(trees: list[Tree], X: np.ndarray, _y: np.ndarray) -> Evaluate:
        import symjit
        import sympy

        symbols = list(sympy.symbols(NAMES))
        columns = list(np.ascontiguousarray(X.T))
        with sympy.evaluate(False):
            values = dict(zip(NAMES, symbols, strict=True))
            expressions = [sympy.sympify(infix(tree), values) for tree in trees[:40]]

        def compiled(expression: Any) -> Any:
            return symjit.compile_func(symbols, [expression])

        ready = None if compiling else [compiled(expression) for expression in expressions]

        @of_first(trees, len(expressions))
        def evaluate() -> None:
            for function in ready or map(compiled, expressions):
                function(*columns)

        return evaluate

    return load


def by_c_compiler(c_type: str) -> Entry:
    """gcc ahead of time: a loop a tree, vectorised, with glibc's vector functions."""

    def load(trees: list[Tree], X: np.ndarray, _y: np.ndarray) -> Evaluate:
        compiler = shutil.which("gcc")
        if compiler is None:
            raise ImportError("there is no gcc")
        single = c_type == "float"
        suffix = "f" if single else ""

        def apply(op: str, args: list[str]) -> str:
            if op in INFIX:
                return f"({args[0]} {INFIX[op]} {args[1]})"
            return f"{op}{suffix}({args[0]})"

        def leaf(token: str | float) -> str:
            return f"{token}[i]" if isinstance(token, str) else f"{token!r}{suffix}"

        parameters = "".join(f"const {c_type} *restrict {name}, " for name in NAMES)
        functions = [
            f"void t{k}({parameters}{c_type} *restrict out, long n) {{\n"
            f"  for (long i = 0; i < n; i++) out[i] = {fold(tree, leaf, apply)};\n}}\n"
            for k, tree in enumerate(trees[:100])
        ]
        columns = np.ascontiguousarray(X.T, dtype=np.float32 if single else np.float64)
        out = np.empty_like(columns[0])
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder, "trees.c"), Path(folder, "trees.so")
            source.write_text("#include <math.h>\n" + "".join(functions))
            flags = ["-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512"]
            command = [compiler, *flags, "-shared", "-fPIC", source, "-o", library, "-lm"]
            subprocess.run(command, check=True)
            loaded = ctypes.CDLL(str(library))
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in itertools.chain(columns, [out])]
        n_rows = ctypes.c_long(len(X))

        @of_first(trees, len(functions))
        def evaluate() -> np.ndarray:
            for k in range(len(functions)):
                loaded[f"t{k}"](*pointers, n_rows)
            return out

        return evaluate

    return load


ENTRIES: dict[str, Entry] = {
    "opcodon f32": by_opcodon("float32", loss=False),
    "opcodon f32, mse": by_opcodon("float32", loss=True),
    "pyoperon f32": by_operon,
    "gcc f32, run only": by_c_compiler("float"),
    "opcodon f64": by_opcodon("float64", loss=False),
    "opcodon f64, mse": by_opcodon("float64", loss=True),
    "gcc f64, run only": by_c_compiler("double"),
    "symjit f64, run only": by_symjit(compiling=False),
    "symjit f64": by_symjit(compiling=True),
    "numpy f64": by_numpy,
    "gplearn f64": by_gplearn,
    "DEAP with numpy f64": by_deap(scalar=False),
    "numexpr f64": by_numexpr,
    "DEAP scalar f64": by_deap(scalar=True),
}
