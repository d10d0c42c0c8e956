"""Problems for searches: laws, sampled anew with a seed of their own, and tables, split by a seed.

Built in are formulas of physics and of the literature and scikit-learn's real tables. More come
from files: tables as PMLB keeps them (`NAME.csv` or `NAME.tsv`, also `.gz`, the target in the
column `target`), and laws as a JSON list of `{"name", "formula", "vars": [{"name", "low",
"high"}, …]}`. A table that has the name of a law is the law's data. The protocol is SRBench's (La
Cava et al., NeurIPS Datasets and Benchmarks 2021): three quarters of the rows to learn from, at
most 10,000, tables standardised on these, noise on the target of laws as a share of its root mean
square.
"""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np

# Rows of a law that is built in, and of one that is read; to learn from, and to test.
FEW, MANY = (500, 1000), (10_000, 5_000)

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


@dataclasses.dataclass
class Rows:
    """Inputs, a column each, and the target."""

    X: np.ndarray
    y: np.ndarray


@dataclasses.dataclass
class Split:
    """What a fit learns from and is judged on; `wide` lies further out than the other two."""

    train: Rows
    test: Rows
    wide: Rows | None = None


@dataclasses.dataclass
class Problem:
    """A law, whose `formula` in `names` is known, or a table."""

    name: str
    names: list[str]
    formula: str | None
    sample: "functools.partial[Split]"

    @property
    def group(self) -> str:
        """Laws, Friedman's made-up tables (which PMLB calls fri_c…), or real tables."""
        if self.formula is not None:
            return "laws"
        return "made tables" if "fri_c" in self.name else "tables"

    def split(self, noise: float, seed: int) -> Split:
        return self.sample(noise=noise, seed=seed)


def rng_of(name, seed):
    return np.random.default_rng([seed, len(name), *map(ord, name)])


def value(formula, names, X):
    """The formula's values; what it is made of is numpy's."""
    functions = ("exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "pi")
    space = {name: getattr(np, name) for name in functions}
    space |= {"asin": np.arcsin, "acos": np.arccos, "arcsin": np.arcsin, "arccos": np.arccos}
    space |= {"cot": lambda v: 1 / np.tan(v)}
    space |= dict(zip(names, X.T, strict=True))
    with np.errstate(all="ignore"):
        return np.asarray(
            eval(formula.replace("^", "**"), {"__builtins__": {}}, space), dtype=float
        )


def with_noise(y, noise, rng):
    return y + noise * np.sqrt(np.mean(y**2)) * rng.standard_normal(len(y))


def sample_law(name, formula, ranges, n_rows, noise, seed):
    """A law's rows: to learn, to test, and half a range further out."""
    rng = rng_of(name, seed)
    low, high = np.array(list(ranges.values()), dtype=float).T

    def sample(n, low, high):
        X = np.column_stack([rng.uniform(a, b, n) for a, b in zip(low, high, strict=True)])
        y = value(formula, list(ranges), X)
        usable = np.isfinite(y)
        return Rows(X[usable], y[usable])

    n_train, n_test = n_rows
    train = sample(n_train, low, high)
    train.y = with_noise(train.y, noise, rng)
    test = sample(n_test, low, high)
    return Split(train, test, sample(n_test, high, high + (high - low) / 2))


def sample_rows(name, rows, is_law, noise, seed):
    """Rows that are given, in two parts; tables are standardised, and without noise."""
    rng = rng_of(name, seed)
    order = rng.permutation(len(rows.y))
    n_train = int(0.75 * len(order))
    kept, held_out = order[: min(n_train, MANY[0])], order[n_train:]
    train, test = Rows(rows.X[kept], rows.y[kept]), Rows(rows.X[held_out], rows.y[held_out])
    if is_law:
        train.y = with_noise(train.y, noise, rng)
        return Split(train, test)
    centre, scale = train.X.mean(axis=0), train.X.std(axis=0)
    scale[scale == 0] = 1
    middle, spread = train.y.mean(), train.y.std() or 1
    standard = (
        Rows((part.X - centre) / scale, (part.y - middle) / spread) for part in (train, test)
    )
    return Split(*standard)


def law(name, formula, ranges, n_rows):
    sample = functools.partial(sample_law, name, formula, ranges, n_rows)
    return Problem(name, list(ranges), formula, sample)


def bundled_table(name):
    """One of scikit-learn's; those made for classes give their last column from the others."""
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    X, y = data.data, data.target
    if name in ("wine", "iris"):
        X, y = X[:, :-1], X[:, -1]
    elif y.ndim > 1:
        y = y[:, 0]
    names = [f"x{j}" for j in range(X.shape[1])]
    return Problem(name, names, None, functools.partial(sample_rows, name, Rows(X, y), False))


def built_in():
    return [law(*row, FEW) for row in LAWS] + [bundled_table(name) for name in TABLES]


def read(paths):
    """The problems in these files and folders."""
    files = [
        file
        for path in map(Path, paths)
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]
    problems, laws = [], {}
    for file in files:
        if not file.exists():
            raise SystemExit(f"there is no file or folder {file}")
        if file.suffix == ".json":
            laws |= {row["name"]: row for row in json.loads(file.read_text())}
    for file in files:
        name = file.name.split(".")[0]
        if not {".csv", ".tsv"} & set(file.suffixes):
            continue
        delimiter = "\t" if ".tsv" in file.suffixes else ","
        data = np.genfromtxt(file, delimiter=delimiter, names=True)
        if "target" not in data.dtype.names:
            raise SystemExit(f"{file}: no column 'target' among {', '.join(data.dtype.names)}")
        names = [column for column in data.dtype.names if column != "target"]
        X = np.column_stack([data[column] for column in names])
        formula = laws.pop(name)["formula"] if name in laws else None
        rows = Rows(X, data["target"])
        sample = functools.partial(sample_rows, name, rows, formula is not None)
        problems.append(Problem(name, names, formula, sample))
    for row in laws.values():
        if all("low" in v for v in row["vars"]):
            ranges = {v["name"]: (v["low"], v["high"]) for v in row["vars"]}
            problems.append(law(row["name"], row["formula"], ranges, MANY))
    if not problems:
        raise SystemExit(f"no tables (.csv, .tsv) and no laws (.json) in {', '.join(paths)}")
    return problems
