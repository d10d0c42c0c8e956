"""What Opcodon does, on real tables: data become a short formula, judged as machine code.

make demo        or        python examples/demo.py [--seconds 15]
"""

import argparse
import time
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from opcodon import SymbolicRegressor

PLANETS = Path(__file__).parent / "data" / "planets.csv"


def heading(text):
    print(f"\n{text}\n{'=' * len(text)}")


def show(model, seconds, n_lines=12):
    """Print the formula, how good it is, and how its machine code begins."""
    report = model.report_
    best = report.front()[report.chosen]
    print(f"\n  {report.target} = {model.expression_.rounded(5)}\n")
    print(f"  error   R² = {best['r2']:.7f} on {report.n_rows} rows")
    print(f"  size    {best['size']} nodes; chosen {report.choice.removeprefix('chosen ')}")
    print(f"  time    {seconds:.1f} s for {report.evaluations:,} formulas ({report.tier})\n")
    lines = str(model.disassemble()).splitlines()
    print("  the loop over rows, as the processor runs it:")
    for line in lines[:n_lines]:
        print(f"    {line}")
    if len(lines) > n_lines:
        print(f"    … {len(lines) - n_lines} more lines")


def fit(model, X, y):
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def kepler(seconds):
    heading("Kepler's third law, from planets and dwarf planets")
    table = pd.read_csv(PLANETS)
    print(table.to_string(index=False, max_rows=5))
    X = table[["semi_major_axis_au", "eccentricity", "radius_km"]]
    y = table["period_days"]
    # Thirteen rows cannot tell long formulas from each other, so ask for a short one.
    model = SymbolicRegressor(time_limit=seconds, max_size=8, random_state=0, verbose=1)
    took = fit(model, X, y)
    show(model, took)


def diabetes(seconds):
    heading("Diabetes: progression of the disease after a year, 442 patients")
    data = load_diabetes(as_frame=True, scaled=False)
    X_train, X_test, y_train, y_test = train_test_split(
        data.data, data.target.rename("progression"), random_state=0
    )
    model = SymbolicRegressor(time_limit=seconds, max_size=15, random_state=0, verbose=1)
    took = fit(model, X_train, y_train)
    show(model, took)
    linear = LinearRegression().fit(X_train, y_train)
    print(f"\n  on {len(y_test)} patients not seen before: R² = {model.score(X_test, y_test):.3f}")
    print(f"  a linear model with all columns:  R² = {linear.score(X_test, y_test):.3f}")
    print("\n  the front, from short to accurate:\n")
    for line in str(model.report_).splitlines()[:8]:
        print(f"  {line[:110]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="time for each table")
    arguments = parser.parse_args()
    kepler(arguments.seconds)
    diabetes(arguments.seconds)
