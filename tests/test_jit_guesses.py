"""Masked integers, bytes, and types that turn out otherwise, against CPython."""

import importlib
import pathlib
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def generator(x, a, c, n):
    for _ in range(n):
        x = (x * a + c) & 0xFFFFFFFF
    return x


def shifted(x, n):
    for _ in range(n):
        x ^= (x << 13) & 0x7FFFFFFFFFFFFFFF
        x ^= x >> 7
        x ^= (x << 17) & 0xFFFF
    return x


def in_two_steps(h, values):
    for value in values:
        h *= 16777619
        h &= 0xFFFFFFFF
        h = h - value * 3
        h = h % 2**20
    return h


def used_twice(x, y):
    z = x * y
    low = z & 255
    return low, z


def not_the_next(x, y, values):
    z = x * y
    k = values[y & 3]
    return (z & 255) + k


def other_operand(x, y):
    return (x * y + y) & 1023, (x - y) & 7, (x * 3 << 2) & 255, (x * y) & -8, (x * y) % 12


def checksum(data):
    a, b = 1, 0
    for byte in data:
        a = (a + byte) % 65521
        b = (b + a) % 65521
    return b << 16 | a


def letters(data, i):
    return data[i], data[-1], len(data), data[i] == 98, [x * 2 for x in data]


def stops(data, wanted):
    for at in range(len(data)):
        if data[at] == wanted:
            return at
    for byte in data:
        if byte > wanted:
            return byte
        wanted = wanted * 2**30
    return None


def offset():
    return 14695981039346656037 & 0x7FFFFFFF, 1 << 40 | 3, 2 - 5 * 3, 1 << 70


def neighbours(grid, i, j):
    total = 0
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            if a != 0 or b != 0:
                total += grid[(i + a) % 3, (j + b) % 3]
    return 1 if total == 3 or (total == 2 and grid[i, j] == 1) else 0


def mixed(values):
    total = 0
    for x in (1, 2.5, True):
        total += x
    for x in (1.0, 2.5):
        total *= x
    for a, b in ((1, 2), (3, 4.5)):
        total += a * b
    return [total + v for v in values]


class Odd:
    def __gt__(self, other):
        return "yes"

    def __len__(self):
        return 3


def compares(x, n):
    found = x > n
    if found:
        return found, n + 1
    return not found, len(x)


def picks(flag, n):
    table = {True: 1, False: 2.5}
    value = table[flag]
    for _ in range(n):
        value = value * 2
    return value


def stores_others(values):
    values[0] = -7
    values[1] = 2**62


def changed_by_a_callee(n, change):
    values = []
    for i in range(n):
        values.append(i)
    change(values)
    total = 0
    for value in values:
        total += value % 5 + value // 3 + value * value
    return total, values[0] % 4, values.pop() >> 1


def changed_under_another_name(n):
    values = [i for i in range(n)]  # noqa: C416
    both = [values, values]
    both[0][0] = -7
    both[1][1] = 2**62
    a, b, *_ = values
    return a % 4, a // 4, b + b, values[1] * values[1], sum(v % 3 for v in values)


BIG = (0, 1, -1, 12345, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**63), 2**64 + 5)
DATA = (b"", b"a", b"abcabc\xff\x00", bytes(range(256)))


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (generator, [(x, a, 12345, 3) for x in BIG for a in (1103515245, 2**40, -3, 2.0, True)]),
        (changed_by_a_callee, [(3, stores_others), (5, len)]),
        (changed_under_another_name, [(3,)]),
        (generator, [(7, np.int64(3), 5, 2), (np.int64(2**40), 2**30, 5, 2)]),
        (shifted, [(x, 5) for x in BIG]),
        (in_two_steps, [(x, [1, 2**61, -5]) for x in BIG] + [(5, [1, 0.5]), (5, np.arange(4))]),
        (used_twice, [(x, y) for x in BIG for y in (1, 3, 2**40)]),
        (not_the_next, [(x, y, [1, 2]) for x in BIG for y in (0, 1, 2, 2**40)]),
        (other_operand, [(x, y) for x in BIG for y in (1, -3, 2**62)] + [(2.5, 1), ("a", 3)]),
        (checksum, [(data,) for data in DATA] + [(bytearray(b"abc"),), ([1, 2],), ("ab",)]),
        (letters, [(data, i) for data in DATA for i in (0, 1, -1, -9, 2**70)]),
        (stops, [(data, wanted) for data in DATA for wanted in (97, 0, 7, -1)]),
        (offset, [()]),
        (neighbours, [(np.eye(3, dtype=int), i, j) for i in range(3) for j in range(3)]),
        (mixed, [([1, 2],), ([0.5],)]),
        (compares, [(2, 1), (Odd(), 1), (np.arange(1), 0), (np.arange(3), 1), (2.5, 3)]),
        (picks, [(True, 3), (False, 3), (True, 70)]),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_guesses(function, calls):
    made = opcodon.jit(function)
    for args in calls * 3:
        difference = Outcome(function, args).differences(Outcome(made, args))
        assert not difference, f"{args}: {difference}"


def test_a_wrong_guess_about_a_type_is_made_once():
    made = opcodon.jit(neighbours)
    grid = np.eye(3, dtype=int)
    for _ in range(20):
        assert made(grid, 1, 1) == neighbours(grid, 1, 1)
    assert sum(found["n_taken"] for found in made.exits().values()) == 0
