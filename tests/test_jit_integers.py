"""Integers whose ranges are known, and those at the ends of 64 bits, against CPython.

Where inference says that a result fits, nothing is looked at: so each of these functions is called
with numbers at and around the limits of what was inferred.
"""

import importlib
import pathlib
import random
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

EDGES = [0, 1, 2, 3, 7, 2**31, 2**32 - 1, 2**32, 2**61, 2**62 - 1, 2**62, 2**63 - 1, 2**63]
EDGES += [-edge for edge in EDGES[1:]] + [-(2**63) - 1, 2**64]


def halved(n):
    steps = 0
    while n > 1 and steps < 70:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return n, steps


def scaled(x):
    return 3 * x + 1, x * 5 - 3, x * 1000003, 2**31 * x, x * 4294967296, x * 4294967295 + 7


def from_both_ends(low, high, key):
    turns = 0
    while low <= high and turns < 200:
        middle = (low + high) // 2
        if middle == key:
            return middle, turns
        if middle < key:
            low = middle + 1
        else:
            high = middle - 1
        turns += 1
    return low, high, turns


def sums(a, b):
    total = 0
    for _ in range(3):
        total += a
        total -= b
        if total >= 0 and a >= 0:
            total = total + a
        elif not (b < 0 or total < 0):
            total = total - b
    return total, a - b, a + b


def bits(x, y):
    low = x & 0xFFFFFFFF
    other = y & 0xFFFF
    return low, low ^ other, low | other, low + (other << 16), low * other, (low ^ other) - low


def masked_products(a):
    x = a & 0x3FFFFFFFFFFFFFFF
    y = (x * 3) & 0x7FFFFFFFFFFFFFFF
    z = (5 * x + 1) & 0x7FFFFFFFFFFFFFFF
    return y, y + 1, y + 1000, z + 7, z - 3, x * 3, x * 3 + 1


def shifted(seed, n):
    s = seed
    for _ in range(n):
        s ^= (s << 13) & 0xFFFFFFFF
        s ^= s >> 17
        s ^= (s << 5) & 0xFFFFFFFF
    return s


def divided(a, b):
    up, down = [], []
    for i in range(-2, 3):
        up.append((a + i) % 7)
        down.append((a + i) // 7)
    return up, down, a // b, a % b, abs(a) // b if a > -(2**62) else None, abs(b) % 10


def counted_from(start, by, n):
    at = start
    for _ in range(n):
        at += 1
        at -= 3
        at = at + 16
    while at > by:
        at -= 5
        n += 1
        if n > 40:
            break
    return at, n


def copied_counter(n, start):
    i = start
    best = 0
    while n > 0:
        j = i
        j += 2
        if j > best:
            best = j
        i = j
        n -= 1
    return best, i * 2


def countdown(n, low):
    out = []
    for i in range(n - 1, -1, -1):
        out.append(i ^ 5)
    for i in range(n, low, -3):
        out.append(i % 4 + i // 2)
    return out


def chained_tests(a, b):
    if a >= 0 and b > a and not b > 1000:
        return a * b + 1, b - a
    if a < 0 or b < 0:
        return -a if a < 0 else a - 1, b
    return a + b


def cheapest(coins, most, never):
    """The number that stands for "not yet" is not added to."""
    best = [never] * (most + 1)
    best[0] = 0
    for total in range(1, most + 1):
        for coin in coins:
            before = best[total - coin]
            if coin <= total and before != never and before + 1 < best[total]:
                best[total] = before + 1
    return best


def walrus(a, b):
    if a >= 0 and (a := b) < 10:
        return a + 1, a * 3
    return a - 1


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (halved, [(n,) for n in EDGES]),
        (
            scaled,
            [(n,) for n in EDGES]
            + [
                (m // k + d,)
                for m in (2**62, 2**63, -(2**62), -(2**63))
                for k in (3, 5, 1000003, 2**31)
                for d in (-1, 0, 1)
            ],
        ),
        (
            from_both_ends,
            [(a, b, k) for a in (0, -5, 2**62) for b in (-1, 10, 2**63 - 1) for k in (3, 2**40)],
        ),
        (sums, [(a, b) for a in EDGES for b in EDGES]),
        (bits, [(a, b) for a in EDGES for b in EDGES]),
        (
            masked_products,
            [(n,) for n in EDGES]
            + [(((2**63 - k) * pow(m, -1, 2**63)) % 2**63,) for m in (3, 5) for k in range(40)],
        ),
        (shifted, [(n, 5) for n in EDGES]),
        (divided, [(a, b) for a in EDGES for b in EDGES]),
        (counted_from, [(a, b, 3) for a in EDGES for b in (0, -(2**63), 2**63 - 40)]),
        (copied_counter, [(4, a) for a in EDGES]),
        (countdown, [(n, low) for n in (0, 1, 9) for low in (-4, -1, 0, 3)]),
        (chained_tests, [(a, b) for a in EDGES for b in EDGES]),
        (cheapest, [([4, 7], 30, never) for never in (2**63 - 1, -(2**63), 10**9)]),
        (walrus, [(a, b) for a in EDGES for b in EDGES]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_edges(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def sum_of_even(v):
    s = 0
    for x in v:
        if x % 2 == 0:
            s += x
    return s


def sum_of_positive(v):
    s = 0.0
    for i in range(v.shape[0]):
        if v[i] > 0.0:
            s += v[i]
    return s


def spread(v):
    low = high = 0.0
    n = 0
    for x in v:
        if x > 0.5:
            high += x
            n += 1
        if x < -0.5:
            low -= x
    return low, high, n


@pytest.mark.parametrize("n", [0, 1, 5, 31, 32, 33, 40, 100, 1000, 16400, 40000])
@pytest.mark.parametrize("first", [0, 1, 30, 200, 17000])
def test_sums_whose_type_changes_in_some_row(n, first):
    rng = np.random.default_rng(n)
    whole = rng.integers(-1000, 1000, n) * 2 + 1
    whole[first:] = rng.integers(-(2**40), 2**40, max(n - first, 0))
    real = -rng.uniform(0, 0.4, n)
    real[first:] = rng.uniform(-1, 1, max(n - first, 0))
    for function, array in [(sum_of_even, whole), (sum_of_positive, real), (spread, real)]:
        check_calls(function, opcodon.jit(function), [(array,)])


OPERATIONS = [
    "{a} + {b}",
    "{a} - {b}",
    "{a} * {c}",
    "{c} * {a}",
    "{a} // {c}",
    "{a} % {c}",
    "{a} & {c}",
    "{a} ^ {b}",
    "{a} | {b}",
    "{a} >> 3",
    "{a} << 2",
    "abs({a})",
    "max({a}, {b})",
    "min({a}, {b})",
]


@pytest.mark.parametrize("seed", range(40))
def test_random_loops(seed):
    rng = random.Random(seed)
    names = ["a", "b", "x", "y", "i"]
    lines = [
        "def f(a, b, n):",
        "    x = 0",
        f"    y = {rng.choice([1, 5, 2**40])}",
        "    for i in range(n):",
    ]
    for _ in range(rng.randrange(3, 8)):
        operation = rng.choice(OPERATIONS).format(
            a=rng.choice(names),
            b=rng.choice(names),
            c=rng.choice([2, 3, 7, 16, 255, 1000, 2**33 + 1]),
        )
        target = rng.choice(["a", "b", "x", "y"])
        kind = rng.randrange(4)
        if kind == 0:
            compared = rng.choice(["<", "<=", ">", ">=", "==", "!="])
            test = f"{rng.choice(names)} {compared} {rng.choice([*names, '0', '-1', '100'])}"
            other = f"{rng.choice(names)} {rng.choice(['<', '>='])} {rng.choice([*names, '0'])}"
            join = rng.choice(["", f" and {other}", f" or {other}"])
            negated = rng.choice(["", "not "])
            lines += [f"        if {negated}({test}{join}):", f"            {target} = {operation}"]
            lines += [
                "        else:",
                f"            {rng.choice(['x', 'y'])} += {rng.randrange(-16, 17)}",
            ]
        elif kind == 1:
            lines.append(f"        {target} {rng.choice(['+=', '-='])} {rng.randrange(1, 20)}")
        else:
            lines.append(f"        {target} = {operation}")
    lines.append("    return a, b, x, y")
    source = "\n".join(lines) + "\n"
    name = f"<integers {seed}>"
    import linecache

    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    space = {}
    exec(compile(source, name, "exec"), space)
    function = space["f"]
    calls = [(rng.choice(EDGES), rng.choice(EDGES), n) for n in (0, 1, 2, 5, 9) for _ in range(4)]
    check_calls(function, opcodon.jit(function), calls)
