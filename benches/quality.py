"""What is found, side by side: Opcodon and other searches, the same problems, time and threads.

Laws are formulas of physics and of the literature, sampled anew with a seed of their own; *solved*
is a test R² above 0.999999 without noise, and *extends* the same on inputs half a range further
out, which tells a formula from a good fit. Tables are scikit-learn's real ones, split in halves.
Solvers that are not installed are left out, and said to be.

With --ablation the solvers are Opcodon with one part of it left out or put in, at equal time: which
of its parts pay?

    python benches/quality.py [--seconds 10] [--threads 2] [--noise 0] [--seeds 1] [--only kepler]
                              [--ablation]
"""

import argparse
import functools
import importlib.util
import os
import statistics
import time

import numpy as np

import opcodon

TRAIN, TEST = 500, 1000

# Name, formula, and the range of each variable in the order of the formula's first mention. From
# Udrescu & Tegmark, Science Advances 6 (2020), eaay2631, and the usual benchmarks of the field.
LAWS = [
    ("kepler", "365.25*a*sqrt(a)", {"a": (0.3, 70)}),
    ("gauss", "exp(-(x - m)^2/(2*s^2))/(2.50662827463*s)", {"x": (1, 3), "m": (1, 3), "s": (1, 3)}),
    ("coulomb", "q1*q2/(12.566370614*e*r^2)", dict.fromkeys(("q1", "q2", "e", "r"), (1, 5))),
    ("relativistic mass", "m/sqrt(1 - v^2/c^2)", {"m": (1, 5), "v": (1, 2), "c": (3, 10)}),
    ("lens", "1/(1/d + n/f)", {"d": (1, 5), "n": (1, 5), "f": (1, 5)}),
    ("lorentz force", "q*(E + B*v*sin(t))", dict.fromkeys(("q", "E", "B", "v", "t"), (1, 5))),
    ("planck", "h*w^3/(9.8696*c^2*(exp(h*w/k) - 1))", dict.fromkeys(("h", "w", "c", "k"), (1, 5))),
    ("law of cosines", "sqrt(a^2 + b^2 - 2*a*b*cos(g))", dict.fromkeys(("a", "b", "g"), (1, 5))),
    ("clausius-mossotti", "1 + n*p/(1 - n*p/3)", {"n": (0, 1), "p": (0, 1)}),
    ("doppler", "(1 + v/c)/sqrt(1 - v^2/c^2)*w", {"v": (1, 2), "c": (3, 10), "w": (1, 5)}),
    ("nguyen-7", "log(x + 1) + log(x^2 + 1)", {"x": (0, 2)}),
    ("pagie-1", "1/(1 + x^-4) + 1/(1 + y^-4)", {"x": (0.3, 5), "y": (0.3, 5)}),
    ("hill", "a*x^2/(k + x^2) + b", {"a": (1, 3), "x": (0, 5), "k": (0.5, 4), "b": (0, 1)}),
    ("pendulum", "6.283185307*sqrt(l/g)", {"l": (0.1, 5), "g": (1, 25)}),
]
TABLES = ("diabetes", "linnerud", "wine", "iris")


def law(name, formula, ranges, noise, seed):
    """Inputs and targets: to learn, to test, and further out."""
    names = list(ranges)
    exact = opcodon.compile(opcodon.parse(formula, variables=names))
    rng = np.random.default_rng([seed, len(name), *map(ord, name)])
    low, high = np.array(list(ranges.values()), dtype=float).T

    def sample(n, low, high):
        X = np.column_stack([rng.uniform(a, b, n) for a, b in zip(low, high, strict=True)])
        y = exact(X)
        usable = np.isfinite(y)
        return X[usable], y[usable]

    X, y = sample(TRAIN, low, high)
    y = y + noise * y.std() * rng.standard_normal(len(y))
    wide = sample(TEST, high, high + (high - low) / 2)
    return (X, y), sample(TEST, low, high), wide


def table(name, seed):
    """A real table in halves; the further rows are the test rows again."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    data = getattr(datasets, f"load_{name}")()
    X, y = data.data, data.target
    if name in ("wine", "iris"):
        # Made for classes: the last column from the others.
        X, y = X[:, :-1], X[:, -1]
    elif y.ndim > 1:
        y = y[:, 0]
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=seed)
    return (X, y), (X_test, y_test), (X_test, y_test)


# A solver takes table, seconds, threads and seed, and gives a prediction and a size. --------------
def by_opcodon(X, y, seconds, threads, seed, **part):
    model = opcodon.SymbolicRegressor(
        time_limit=seconds, n_jobs=threads, random_state=seed, **part
    ).fit(X, y)
    return model.predict, model.expression_.size


def by_operon(X, y, seconds, threads, seed):
    from pyoperon.sklearn import SymbolicRegressor

    model = SymbolicRegressor(
        allowed_symbols="add,sub,mul,aq,sin,cos,exp,log,sqrt,square,constant,variable",
        offspring_generator="basic",
        optimizer_iterations=5,
        max_length=50,
        max_time=int(seconds),
        generations=100_000,
        max_evaluations=2_000_000_000,
        n_threads=threads,
        random_state=seed,
    )
    model.fit(X, y)
    return model.predict, model.stats_["model_length"]


def by_rils_rols(X, y, seconds, _threads, seed):
    from rils_rols.rils_rols import RILSROLSRegressor

    model = RILSROLSRegressor(max_time=int(seconds), max_fit_calls=10**9, random_state=seed)
    model.fit(X, y)
    return model.predict, model.model_complexity()


SOLVERS = {
    "opcodon": (by_opcodon, "opcodon"),
    "pyoperon": (by_operon, "pyoperon"),
    "rils-rols": (by_rils_rols, "rils_rols"),
}

# What makes up a search, and what is set to do without it or to have it.
PARTS = {
    "as it is": {},
    "no seeds": {"seeds": False},
    "no symmetries": {"symmetries": False},
    "no constants": {"constant_iterations": 0},
    "no crossover": {"crossover_probability": 0.0},
    "one island": {"islands": 1},
    "no exchange": {"migration_fraction": 0.0},
    "broods": {"brood_size": 4},
    "no snapping": {"snap_constants": False},
    "no scaling": {"standardize": False},
    "least error": {"model_selection": "error"},
}


def r2(y, predicted):
    with np.errstate(all="ignore"):
        score = 1 - np.mean((y - predicted) ** 2) / np.var(y)
    return score if np.isfinite(score) else -np.inf


def installed():
    """The solvers that can be run."""
    solvers = {}
    for name, (solve, module) in SOLVERS.items():
        if importlib.util.find_spec(module):
            solvers[name] = solve
        else:
            print(f"{name} is not installed: left out")
    return solvers


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--noise", type=float, default=0.0, help="share of the target's deviation")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", help="problems whose name contains this")
    parser.add_argument("--ablation", action="store_true", help="parts of Opcodon, not solvers")
    options = parser.parse_args()
    if options.ablation:
        solvers = {name: functools.partial(by_opcodon, **part) for name, part in PARTS.items()}
    else:
        solvers = installed()
    laws = {row[0]: row for row in LAWS}
    problems = [("law", name) for name in laws] + [("table", name) for name in TABLES]
    problems = [p for p in problems if (options.only or "") in p[1]]
    if not options.ablation:
        print(f"{'':18}" + "".join(f"{name:>32}" for name in solvers))
        print(f"{'':18}" + f"{'test R2   further out size  s':>32}" * len(solvers))
    found = {name: {"law": [], "table": []} for name in solvers}
    for kind, problem in problems:
        for seed in range(options.seeds):
            made = (
                law(*laws[problem], options.noise, seed) if kind == "law" else table(problem, seed)
            )
            (X, y), (X_test, y_test), (X_wide, y_wide) = made
            cells = []
            for name, solve in solvers.items():
                start = time.perf_counter()
                try:
                    predict, size = solve(X, y, options.seconds, options.threads, seed)
                    scores = r2(y_test, predict(X_test)), r2(y_wide, predict(X_wide))
                # A solver that fails has found nothing.
                except Exception as error:
                    scores, size = (-np.inf, -np.inf), 0
                    print(f"{name} failed on {problem}: {error}")
                seconds = time.perf_counter() - start
                found[name][kind].append((*scores, size))
                shown = "".join(f"{score:12.6f}" for score in scores)
                cells.append(f"{shown}{size:5d}{seconds:3.0f}")
            if options.ablation:
                lines = zip(solvers, cells, strict=True)
                print(problem, *(f"{cell}  {name}" for name, cell in lines), sep="\n", flush=True)
            else:
                print(f"{problem:18}" + "".join(cells), flush=True)
    head = ("solved", "extend", "> 0.999", "of laws", "tables", "size")
    print(f"\n{'':18}" + "".join(f"{word:>9}" for word in head))
    for name, by_kind in found.items():
        laws, tables = by_kind["law"], by_kind["table"]
        solved = sum(test > 0.999999 for test, _, _ in laws)
        extend = sum(test > 0.999999 and wide > 0.999999 for test, wide, _ in laws)
        good = sum(test > 0.999 for test, _, _ in laws)
        clipped = [min(max(test, 0.0), 1.0) for test, _, _ in tables]
        mean = f"{statistics.mean(clipped):.4f}" if clipped else "-"
        size = statistics.median(size for rows in by_kind.values() for *_, size in rows)
        cells = (solved, extend, good, len(laws), mean, f"{size:.0f}")
        print(f"{name:18}" + "".join(f"{cell:>9}" for cell in cells))
    print("tables: the mean of R2 clipped to [0, 1]")


if __name__ == "__main__":
    main()
