"""Evaluation side by side: Opcodon and other evaluators on the same random trees, one core each
but where it says "two threads".

Figure: nominal nodes (operators and leaves) x rows a second, everything from the tool's own tree
to its result included, so also compilation, but where it says "run only". The tools take turns of
some milliseconds, so that caches are their own, and the fastest pass counts, for other work on
the machine only ever slows a pass down. Ratios are what to quote.

gcc stands in two rows: with flags that leave all bits of arithmetic what they are, and with
-ffast-math, which makes quotients of approximate reciprocals and reorders as if numbers were real.

With --record the tables are written down beside the processor's name.

    python benches/evaluate.py [--trees 1000] [--rows 20,100,1000,10000,100000] [--record FOLDER]
"""

import argparse
import datetime
import math
import os
import platform
import re
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from evaluators import ENTRIES, TWO_THREADS
from trees import N_INPUTS, Tree, random_trees

import opcodon

SETS = (("+ - * /", False), ("+ - * / sin cos exp log sqrt tanh", True))
# Nodes x rows beyond which a pass takes the first trees only, and may take once only.
N_LARGE = 30_000_000
PASS_SECONDS = 2.0
# A turn takes at least as long, in as many passes as that needs.
TURN_SECONDS = 0.01


def measure(trees: list[Tree], n_rows: int, n_passes: int) -> dict[str, float]:
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
            if turn > 0 and best[name] > PASS_SECONDS:
                continue
            turn_start = start = time.perf_counter()
            while start - turn_start < TURN_SECONDS:
                evaluate()
                end = time.perf_counter()
                best[name] = min(best[name], end - start)
                start = end
    rates = {}
    for name, evaluate in running.items():
        part = trees[: getattr(evaluate, "n_trees", len(trees))]
        rates[name] = sum(map(len, part)) * n_rows / best[name] * 1e-9
    return rates


def table(columns: dict[int, dict[str, float]]) -> list[str]:
    """Rates, and after each peer's how many times as fast Opcodon is at the same task; after that
    of two threads how many times as fast as one they are."""
    head = "| | " + " | ".join(f"{n:,} rows" for n in columns) + " |"
    lines = [head, "|---|" + "---|" * len(columns)]
    for name in next(iter(columns.values())):
        ours = "opcodon " + name[name.rindex(" f") + 1 :]
        cells = []
        for rates in columns.values():
            cell = f"{rates[name]:.3g}"
            if name.endswith(TWO_THREADS):
                cell += f" ({rates[name] / rates[name.removesuffix(TWO_THREADS)]:.3g} of one)"
            elif not name.startswith("opcodon"):
                cell += f" ({rates[ours] / rates[name]:.3g}x)"
            cells.append(cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def processor() -> str:
    """Its name, as the system tells it."""
    told = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.*)", told.read_text()) if told.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Prints a table for each set of trees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trees", type=int, default=1000)
    parser.add_argument("--rows", default="20,100,1000,10000,100000")
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--record", type=Path, help="folder to write the tables into")
    args = parser.parse_args()
    today = datetime.date.today().isoformat()
    lines = [
        f"# Evaluation on one core: {processor()}",
        "",
        f"{today}, Opcodon {opcodon.__version__}, CPython {platform.python_version()}: "
        "G node-rows/s of random trees of 5-50 nodes, compilation included but where it says "
        '"run only"; in brackets how many times as fast Opcodon is at the same task.',
    ]
    print("\n".join(lines))
    for title, unary in SETS:
        trees = random_trees(args.trees, unary=unary)
        n_nodes = sum(map(len, trees)) / len(trees)
        columns = {}
        for n_rows in map(int, args.rows.split(",")):
            n_trees = max(40, min(len(trees), int(N_LARGE / (n_rows * n_nodes))))
            columns[n_rows] = measure(trees[:n_trees], n_rows, args.passes)
        part = ["", f"## {title}", "", *table(columns)]
        print("\n".join(part))
        lines += part
    if args.record:
        args.record.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
        (args.record / f"evaluate-{name}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
