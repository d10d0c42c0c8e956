"""What is found, side by side: Opcodon and other searches, the same problems, time and threads.

Of laws: how many are *exact* by SRBench's symbolic rule, how many have a test R² above 0.999, and
how many *extend*, above 0.999999 on inputs half a range further out, which tells a formula from a
good fit. Of tables: the mean of test R² clipped to [0, 1], its median, and on how many a solver is
ahead of Opcodon. Solvers that are not installed are left out, and said to be.

With --ablation the solvers are Opcodon with one part of it left out or put in, at equal time:
which of its parts pay? SymPy, which takes longer than such fits, is then not asked what is exact,
and sizes are counted in symbols.

    python benches/quality.py [--seconds 10 20] [--threads 2] [--noise 0] [--seeds 1]
                              [--only kepler] [--problems FILE_OR_FOLDER …] [--ablation]
"""

import argparse
import functools
import importlib.util
import math
import os
import re
import statistics
import time

import numpy as np
import problems
import symbolic

import opcodon


# A solver takes rows, seconds, threads and seed; it gives a prediction, and the formula as text in
# x0, x1, … ---------------------------------------------------------------------------------
def by_opcodon(rows, seconds, threads, seed, **part):
    model = opcodon.SymbolicRegressor(
        time_limit=seconds, n_jobs=threads, random_state=seed, **part
    ).fit(rows.X, rows.y)
    return model.predict, str(model.expression_)


def by_operon(rows, seconds, threads, seed):
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
    model.fit(rows.X, rows.y)
    text = model.get_model_string(model.model_, precision=9)
    text = re.sub(r"\bX(\d+)\b", lambda match: f"x{int(match[1]) - 1}", text)
    return model.predict, text


def by_rils_rols(rows, seconds, _threads, seed):
    from rils_rols.rils_rols import RILSROLSRegressor

    model = RILSROLSRegressor(max_time=int(seconds), max_fit_calls=10**9, random_state=seed)
    model.fit(rows.X, rows.y)
    return model.predict, str(model.model)


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
    "no back-solving": {"back_solving": 0.0},
    "no constants": {"constant_iterations": 0},
    "no crossover": {"crossover_probability": 0.0},
    "one island": {"islands": 1},
    "no exchange": {"migration_fraction": 0.0},
    "no snapping": {"snap_constants": False},
    "no scaling": {"standardize": False},
    "least error": {"model_selection": "error"},
}


def r2(rows, predict):
    with np.errstate(all="ignore"):
        score = 1 - np.mean((rows.y - predict(rows.X)) ** 2) / np.var(rows.y)
    return score if np.isfinite(score) else -math.inf


def installed():
    """The solvers that can be run."""
    solvers = {}
    for name, (solve, module) in SOLVERS.items():
        if importlib.util.find_spec(module):
            solvers[name] = solve
        else:
            print(f"{name} is not installed: left out")
    return solvers


def judged(problem, split, solve, options, seed):
    """What a solver finds: scores, and what is to be seen of them."""
    names = [f"x{j}" for j in range(len(problem.names))]
    start = time.perf_counter()
    try:
        predict, text = solve(
            split.train, options.seconds[problem.formula is None], options.threads, seed
        )
        seconds = time.perf_counter() - start
        test = r2(split.test, predict)
        wide = r2(split.wide, predict) if split.wide else test
    # A solver that fails has found nothing.
    except Exception as error:
        print(f"failed on {problem.name}: {error}")
        nothing = {"test": -math.inf, "wide": -math.inf, "size": math.nan, "seconds": math.nan}
        return nothing | {"exact": False, "failed": True}
    if options.ablation:
        size, exact = n_symbols(text), False
    else:
        law = problem.formula if test > 0.99 else None
        size, exact = symbolic.judged(text, law and renamed(law, problem.names, names), names)
    found = {"test": test, "wide": wide, "size": size, "seconds": seconds}
    return found | {"exact": exact, "failed": False}


def n_symbols(text):
    """Names, numbers and operators of a formula."""
    return len(re.findall(r"[A-Za-z_]\w*|[\d.]+(?:e[-+]?\d+)?|[-+*/^]", text))


def renamed(formula, old, new):
    """The formula in other names."""
    to = dict(zip(old, new, strict=True))
    return re.sub(r"[A-Za-z_]\w*", lambda match: to.get(match[0], match[0]), formula)


def shown(found):
    """One cell: R², whether it is the law, nodes, seconds."""
    mark = "=" if found["exact"] else " "
    return f"{found['test']:12.6f}{mark}{found['size']:5.0f}{found['seconds']:4.0f}"


def clipped(found):
    return [min(max(one["test"], 0.0), 1.0) for one in found]


def summary(found, first):
    """A line a solver for laws, and one for tables of a kind; `first` is what others are held
    against."""
    for group in dict.fromkeys(group for by_group in found.values() for group in by_group):
        is_laws = group == "laws"
        head = ("exact", "> 0.999", "extend") if is_laws else ("mean", "median", "ahead")
        print(f"\n{group:18}" + "".join(f"{word:>9}" for word in (*head, "size", "failed", "of")))
        for name, by_group in found.items():
            rows = by_group[group]
            if is_laws:
                cells = [
                    sum(one["exact"] for one in rows),
                    sum(one["test"] > 0.999 for one in rows),
                    sum(min(one["test"], one["wide"]) > 0.999999 for one in rows),
                ]
            else:
                ahead = zip(rows, found[first][group], strict=True)
                cells = [
                    f"{statistics.mean(clipped(rows)):.4f}",
                    f"{statistics.median(one['test'] for one in rows):.4f}",
                    sum(one["test"] > other["test"] for one, other in ahead),
                ]
            sizes = [one["size"] for one in rows if math.isfinite(one["size"])]
            cells += [f"{statistics.median(sizes):.0f}" if sizes else "-"]
            cells += [sum(one["failed"] for one in rows), len(rows)]
            print(f"{name:18}" + "".join(f"{cell:>9}" for cell in cells))
    print(f"\nmean: of test R2 clipped to [0, 1]; ahead: test R2 above that of {first}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[10, 20], help="a fit: of laws, and of tables"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--noise", type=float, default=0.0, help="on laws, as a share of RMS(y)")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="problems whose name contains this")
    parser.add_argument(
        "--problems", nargs="+", help="files and folders instead of what is built in"
    )
    parser.add_argument("--ablation", action="store_true", help="parts of Opcodon, not solvers")
    options = parser.parse_args()
    if len(options.seconds) > 2:
        parser.error("--seconds takes one number, or one for laws and one for tables")
    options.seconds = (options.seconds * 2)[:2]
    if options.ablation:
        solvers = {name: functools.partial(by_opcodon, **part) for name, part in PARTS.items()}
    else:
        solvers = installed()
    first = next(iter(solvers))
    every = problems.read(options.problems) if options.problems else problems.built_in()
    every = [problem for problem in every if options.only in problem.name]
    print(f"{'':28}" + "".join(f"{name:>22}" for name in solvers))
    print(f"{'':28}" + f"{'test R2  size   s':>22}" * len(solvers) + "    (=: the law)")
    found = {name: {} for name in solvers}
    for problem in every:
        for seed in range(options.seeds):
            split = problem.split(options.noise, seed)
            cells = []
            for name, solve in solvers.items():
                one = judged(problem, split, solve, options, seed)
                found[name].setdefault(problem.group, []).append(one)
                cells.append(shown(one))
            print(f"{problem.name:28}" + "".join(cells), flush=True)
    summary(found, first)


if __name__ == "__main__":
    main()
