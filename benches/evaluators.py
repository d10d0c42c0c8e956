"""Ways to evaluate trees: Opcodon and its peers.

An entry takes trees (see `trees`), the inputs as rows and a target, does what is not timed, and
gives a function that evaluates all trees once, from the tool's own tree to predictions, compilation
included unless the entry's name says "run only". Then all trees are run by one call from Python,
which would else be what is measured. Slow ones take the first trees only, and say how many in
`n_trees`. An entry whose tool is not installed raises ImportError.
"""

import ctypes
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

# Trees that are compiled ahead of time.
N_COMPILED = 100

TWO_THREADS = ", two threads"

Evaluate = Callable[[], Any]
Entry = Callable[[list[Tree], np.ndarray, np.ndarray], Evaluate]


def of_first(trees: list[Tree], most: int) -> Callable[[Evaluate], Evaluate]:
    """Marks a function that evaluates the first trees only."""

    def mark(evaluate: Evaluate) -> Evaluate:
        evaluate.n_trees = min(most, len(trees))  # type: ignore[attr-defined]
        return evaluate

    return mark


def by_opcodon(dtype: str, *, loss: bool, compiling: bool = True, n_jobs: int = 1) -> Entry:
    """A whole population at once."""

    def load(trees: list[Tree], X: np.ndarray, y: np.ndarray) -> Evaluate:
        ready = None
        expressions = [opcodon.parse(infix(tree), variables=NAMES) for tree in trees]
        if not compiling:
            expressions = expressions[:N_COMPILED]
            ready = opcodon.Population(expressions, dtype=dtype, n_jobs=n_jobs)
        X = np.asfortranarray(X, dtype=dtype)
        out = None if loss else np.empty((len(expressions), len(X)), dtype=dtype)

        @of_first(trees, len(expressions))
        def evaluate() -> Any:
            population = ready or opcodon.Population(expressions, dtype=dtype, n_jobs=n_jobs)
            return population.loss(X, y) if loss else population.evaluate(X, out=out)

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
    """Its machine code for SymPy expressions, of all together; compiling takes far longer."""

    def load(trees: list[Tree], X: np.ndarray, _y: np.ndarray) -> Evaluate:
        import symjit
        import sympy

        symbols = list(sympy.symbols(NAMES))
        columns = list(np.ascontiguousarray(X.T))
        with sympy.evaluate(False):
            values = dict(zip(NAMES, symbols, strict=True))
            expressions = [sympy.sympify(infix(tree), values) for tree in trees[:40]]

        def compiled() -> Any:
            return symjit.compile_func(symbols, expressions, use_threads=False)

        ready = None if compiling else compiled()

        @of_first(trees, len(expressions))
        def evaluate() -> Any:
            return (ready or compiled())(*columns)

        return evaluate

    return load


# Vectors of full width and libmvec, which its headers reserve for -ffast-math, but no other bits.
SAME_BITS = ("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-D__FAST_MATH__")
# Quotients from approximate reciprocals, and whatever holds of real numbers.
FAST_MATH = ("-ffast-math",)

# Rows that the C program takes at a time for all trees, so that columns are read from a near cache.
BLOCK_ROWS = 1024


def c_program(trees: list[Tree], c_type: str, *, loss: bool) -> str:
    """A function for each tree, and `run`, which calls all on one block of rows after another."""
    suffix = "f" if c_type == "float" else ""

    def apply(op: str, args: list[str]) -> str:
        if op in INFIX:
            return f"({args[0]} {INFIX[op]} {args[1]})"
        return f"{op}{suffix}({args[0]})"

    def leaf(token: str | float) -> str:
        return f"{token}[i]" if isinstance(token, str) else f"{token!r}{suffix}"

    def all_of(form: str) -> str:
        return ", ".join(form.format(name) for name in NAMES)

    def function(k: int, tree: Tree) -> str:
        value = fold(tree, leaf, apply)
        head = (
            f"static __attribute__((noinline)) void t{k}({all_of(f'const {c_type} *restrict {{}}')}"
        )
        if loss:
            return (
                f"{head}, const {c_type} *restrict y, double *sum, long n) {{\n"
                f"  {c_type} s = 0;\n  long i, whole = n & -16;\n"
                # Sums get no shorter vectors for the last rows by themselves, and one by one these
                # would cost as much as all others.
                f"  #pragma omp simd reduction(+:s)\n"
                f"  for (i = 0; i < whole; i++) {{ {c_type} e = {value} - y[i]; s += e * e; }}\n"
                f"  #pragma omp simd reduction(+:s) simdlen(8)\n"
                f"  for (i = whole; i < n; i++) {{ {c_type} e = {value} - y[i]; s += e * e; }}\n"
                f"  *sum += s;\n}}\n"
            )
        return (
            f"{head}, {c_type} *restrict out, long n) {{\n"
            f"  for (long i = 0; i < n; i++) out[i] = {value};\n}}\n"
        )

    def call(k: int) -> str:
        result = f"y + b, sums + {k}" if loss else f"out + {k} * n + b"
        return f"    t{k}({all_of('{} + b')}, {result}, m);\n"

    columns = all_of(f"const {c_type} *{{}}")
    return "".join(
        [
            "#include <math.h>\n",
            *(function(k, tree) for k, tree in enumerate(trees)),
            f"void run({columns}, const {c_type} *y, {c_type} *out, double *sums, long n) {{\n",
            f"  for (long b = 0; b < n; b += {BLOCK_ROWS}) {{\n",
            f"    long m = n - b < {BLOCK_ROWS} ? n - b : {BLOCK_ROWS};\n",
            *(call(k) for k in range(len(trees))),
            "  }\n}\n",
        ]
    )


def by_c_compiler(c_type: str, flags: tuple[str, ...], *, loss: bool) -> Entry:
    """gcc ahead of time: a loop a tree, vectorised, with glibc's vector functions."""

    def load(trees: list[Tree], X: np.ndarray, y: np.ndarray) -> Evaluate:
        compiler = shutil.which("gcc")
        if compiler is None:
            raise ImportError("there is no gcc")
        trees = trees[:N_COMPILED]
        dtype = np.float32 if c_type == "float" else np.float64
        columns = np.ascontiguousarray(X.T, dtype=dtype)
        y = y.astype(dtype)
        out = np.empty((1 if loss else len(trees), len(X)), dtype=dtype)
        sums = np.zeros(len(trees))
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder, "trees.c"), Path(folder, "trees.so")
            source.write_text(c_program(trees, c_type, loss=loss))
            wide = ["-O3", "-march=native", "-mprefer-vector-width=512", "-fopenmp-simd"]
            command = [compiler, *wide, *flags, "-shared", "-fPIC", source, "-o", library, "-lm"]
            subprocess.run(command, check=True)
            loaded = ctypes.CDLL(str(library))
        arrays = [*columns, y, out, sums]
        # These keep the arrays alive.
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
        n_rows = ctypes.c_long(len(X))

        @of_first(trees, len(trees))
        def evaluate() -> np.ndarray:
            sums.fill(0.0)
            loaded.run(*pointers, n_rows)
            return sums / len(X) if loss else out

        return evaluate

    return load


def of_type(c_type: str, short: str) -> dict[str, Entry]:
    """What computes in one type and is compared when compiled already, too."""
    dtype = {"float": "float32", "double": "float64"}[c_type]
    entries: dict[str, Entry] = {}
    for what, loss in (("", False), (", mse", True)):
        name = f"{short}{what}"
        entries[f"opcodon {name}"] = by_opcodon(dtype, loss=loss)
        entries[f"opcodon {name}{TWO_THREADS}"] = by_opcodon(dtype, loss=loss, n_jobs=2)
        entries[f"opcodon {name}, run only"] = by_opcodon(dtype, loss=loss, compiling=False)
        entries[f"gcc {name}, run only"] = by_c_compiler(c_type, SAME_BITS, loss=loss)
        fast = by_c_compiler(c_type, FAST_MATH, loss=loss)
        entries[f"gcc -ffast-math {name}, run only"] = fast
    return entries


ENTRIES: dict[str, Entry] = {
    **of_type("float", "f32"),
    "pyoperon f32": by_operon,
    **of_type("double", "f64"),
    "symjit f64, run only": by_symjit(compiling=False),
    "symjit f64": by_symjit(compiling=True),
    "numpy f64": by_numpy,
    "gplearn f64": by_gplearn,
    "DEAP with numpy f64": by_deap(scalar=False),
    "numexpr f64": by_numexpr,
    "DEAP scalar f64": by_deap(scalar=True),
}
