"""What operations were seen to give, loops over tuples, functions of integers, bases of classes."""

import bisect
import gc
import heapq
import importlib
import itertools
import math
import pathlib
import sys
import weakref
from collections import Counter, deque

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome, check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def through_queue(values):
    queue = deque(values)
    total = 0
    while queue:
        value = queue.popleft()
        total = total + value * 2
        if 100 < value < 10**6:
            queue.append(value - 50)
    return total


def through_heap(pairs):
    heap = []
    for pair in pairs:
        heapq.heappush(heap, pair)
    out = []
    while heap:
        cost, name = heapq.heappop(heap)
        out.append(cost + 1)
        out.append(name)
    return out


def of_dictionary(table, keys):
    total = 0
    for key in keys:
        entry = table[key]
        total += entry["n"] * 2
        entry["n"] -= 1
        for a, b in entry["pairs"]:
            total += a - b
    return total


def steps_of(values):
    best = 0
    for items in itertools.permutations(values, 3):
        s = 0
        for k in range(len(items) - 1):
            s += abs(items[k] - items[k + 1])
        best = max(best, s)
    return best


def counted(words):
    return [(word, n * 2) for word, n in Counter(words).most_common(2)]


def tails(values):
    piles = []
    for value in values:
        at = bisect.bisect_left(piles, value)
        if at == len(piles):
            piles.append(value)
        else:
            piles[at] = value
    return piles


def parts(rows):
    total = 0
    for row in rows:
        first, *rest = row
        a, b = rest[0], row[-1]
        total += first * a - b
    return total


class Task:
    def __init__(self, cost):
        self.cost = cost
        self.done = 0

    def __repr__(self):
        return f"Task({self.cost}, {self.done})"

    def work(self, by):
        self.done += by
        return self.cost - self.done


def tasks(queue):
    total = 0
    while queue:
        task = queue.popleft()
        left = task.work(2)
        if left > 0:
            queue.append(task)
        total += left
    return total


INTS = [5, 7, 2000, 3]
QUEUES = [(INTS,), (INTS,), ([1, 2.5, 3],), (["a"],), ([2**70, 1],), ([True, 3],), ([],)]
PAIRS = [
    ([(3, "a"), (1, "b")],),
    ([(3, "a"), (1, "b")],),
    ([(2.5, "a"), (1, None)],),
    ([(1, 2, 3)],),
    ([[1, "x"], [0, "y"]],),
    ([(1, "a"), (1, 2)],),
]


def table(n, pairs):
    return {"x": {"n": n, "pairs": pairs}, "y": {"n": 2, "pairs": [(3, 4)]}}


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (through_queue, QUEUES),
        (through_heap, PAIRS),
        (
            of_dictionary,
            [
                (table(1, [(1, 2)]), "xyx"),
                (table(1, [(1, 2)]), "xyx"),
                (table(0.5, [(1.5, 2)]), "xy"),
                (table(1, [(1, 2, 3)]), "yx"),
                (table(2**63 - 1, [[1, 2]]), "yx"),
                (table("a", [[1, 2]]), "yx"),
                (table(1, {(1, 2): 3}), "xyz"),
            ],
        ),
        (steps_of, [((1, 9, 4, 7),), ((1, 9, 4, 7),), ((1.5, 9, 4),), (("a", "b", "c"),)]),
        (counted, [(["a", "b", "a"],), ("hello",), ([1, 1, None],), ([],)]),
        (tails, [([3, 1, 2, 9],), ([3, 1, 2, 9],), ([0.5, 1, 0],), (["b", "a"],), ([1, "a"],)]),
        (parts, [([(1, 2), (3, 4)],), ([(1, 2), (3, 4)],), (["ab"],), ([[1], [2, 3]],), ([()],)]),
        (
            tasks,
            [
                (deque([Task(3), Task(5)]),),
                (deque([Task(3), Task(5)]),),
                (deque([Task(3.5), Task(5)]),),
                (deque([Task(2**63 - 1), None]),),
            ],
        ),
    ],
)
def test_values_are_what_they_were_or_not(function, calls):
    compiled = opcodon.jit(function)
    for args in calls + calls[::-1] + calls:
        difference = Outcome(function, args).differences(Outcome(compiled, args))
        assert not difference, f"{args}: {difference}"


def test_a_call_that_saw_values_is_followed_by_better_code():
    compiled = opcodon.jit(through_queue)
    for _ in range(4):
        compiled(list(INTS))
    assert "object" not in compiled.signatures()[0]


def test_what_was_seen_is_not_kept():
    class Own:
        def __init__(self, n):
            self.n = n

    def total(queue):
        s = 0
        while queue:
            one = queue.popleft()
            s += one.n
        return s

    compiled = opcodon.jit(total)
    for _ in range(3):
        one = Own(3)
        reference = weakref.ref(one)
        assert compiled(deque([one])) == 3
        del one
        assert reference() is None
    known = weakref.ref(Own)
    del Own, compiled, total
    gc.collect()
    assert known() is None


# ---- loops over tuples


def neighbours(grid, r, c):
    total = 0
    for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        a, b = r + dr, c + dc
        if 0 <= a < len(grid) and 0 <= b < len(grid[0]):
            total += grid[a][b]
    return total


def of_kinds(x, n):
    out = []
    for value in (x, n, 2.5, True, None):
        out.append(value)
    for value in (x, x + 1):
        if value == n:
            break
        x = value / n
    else:
        out.append("else")
    return out, x, value


def left_within(values, n):
    total = 0
    for a in (1, 2, 3):
        for b, c in ((n, a), (a, 1.5)):
            if a == c:
                continue
            total += values[a + b] * c
    return total


def of_objects(s, n):
    out = ""
    for part in (s, "x", s):
        out += part
    for k, part in ((1, s), (n, "b")):
        out += part * k
    for a, b in ((1, 2), (3, 4, 5)[:n]):
        out += str(a + b)
    for character in ("a", "b"):
        out += character
    return out


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (neighbours, [([[1, 2], [3, 4]], 0, 1), ([[1.5, 2], [3, 4]], 1, 1), ([[1], [2]], 5, 0)]),
        (of_kinds, [(1, 2), (2.5, 3), (2, 0), (3, 3), (2**63 - 1, 4), ("a", 2)]),
        (
            left_within,
            [
                ([1, 2, 3, 4, 5, 6], 1),
                ([1, 2, 3, 4, 5], 1),
                ([1, 2, 3, 4, 5, 6], 40),
                ([1, 2, 2**62, 2**62, 5.5, 6], 1),
                ([1, 2, None, 2, 5.5, 6], 1),
            ],
        ),
        (of_objects, [("a", 2), ("", 3), ("long", 0), ("a", 1)]),
    ],
)
def test_loops_over_tuples(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_a_loop_over_a_tuple_of_numbers_makes_no_objects():
    compiled = opcodon.jit(neighbours)
    grid = [[1, 2], [3, 4]]
    assert compiled(grid, 0, 1) == 5
    assert compiled.is_native()
    check_no_leak([(compiled, (grid, 0, 1)), (opcodon.jit(left_within), ([1.5] * 9, 1))])


# ---- integers


def of_integers(a, b, m):
    out = [math.gcd(a, b), a.bit_length(), b.bit_length()]
    out.append(pow(a, abs(b), m))
    out.append(math.isqrt(abs(a)))
    out.append(math.factorial(b & 15))
    return out


def rounded(x, y):
    return [round(x), round(y), round(-x), round(x + 0.5)]


def roots(a):
    return math.isqrt(a), math.factorial(a)


INTEGERS = [0, 1, -1, 2, 7, -12, 18, 2**31, 2**62, -(2**62), 2**63 - 1, -(2**63), 2**64, True]


def test_functions_of_integers():
    moduli = [1, -1, 2, 5, -7, 97, 2**31 - 1, 2**31, 2**61 - 1, -(2**63), 2**63 - 1, 0, 2**65]
    small = [b for b in INTEGERS if abs(b) <= 2**31]
    calls = [(a, b, m) for a in INTEGERS for b in small for m in moduli]
    check_calls(of_integers, opcodon.jit(of_integers), calls)
    check_calls(roots, opcodon.jit(roots), [(n,) for n in (0, 1, 20, 21, -1, 24, 25, 10**6)])


@pytest.mark.skipif(sys.version_info < (3, 10), reason="bit_count is new in 3.10")
def test_counts_of_bits():
    def bits(a):
        return a.bit_count(), (a & 255).bit_count(), True.bit_count()

    check_calls(bits, opcodon.jit(bits), [(a,) for a in INTEGERS])


def test_rounding_to_integers():
    values = [0.5, 1.5, 2.5, -0.5, 0.49999999999999994, 1e15 + 0.5, 4503599627370497.5, 1e18]
    calls = [(x, y) for x in values for y in (0.0, -0.0, 2.4, 1e300, math.nan, math.inf)]
    check_calls(rounded, opcodon.jit(rounded), calls)


# ---- numbers in lists are written in place


def filled(values, n):
    kept = values[0]
    for k in range(n):
        values[k % len(values)] = values[k % len(values)] * 1.5
        values[0] = k
    return kept, values


def test_numbers_in_lists_are_nobody_elses():
    shared = [1000.5, 2000.5]
    calls = [([1.5, 2.5], 5), ([1000, 2000.5], 3), ([10**6, 10**7], 9), (shared + shared, 7)]
    compiled = opcodon.jit(filled)
    check_calls(filled, compiled, calls)
    value = float("1234.5")
    values = [value, float("7.5")]
    other = list(values)
    compiled(values, 6)
    assert value == 1234.5
    assert other == [1234.5, 7.5]

    def swapped(values):
        held = values[1]
        values[1] = values[0] + 10**6
        values[0] = held
        return values

    check_calls(swapped, opcodon.jit(swapped), [([10**6, 10**7],), ([1.5, 2.5],), ([1, 2],)])


# ---- methods of bases


class Base:
    def __init__(self, name, n=1):
        self.name = name
        self.n = n

    def size(self, by=2):
        return self.n * by

    def told(self):
        return self.name + "!"


class Middle(Base):
    def __init__(self, name, n, more):
        super().__init__(name, n=n)
        self.more = more

    def size(self, by=2):
        return super().size(by + self.more) + 1


class Last(Middle):
    def __init__(self, n):
        super().__init__("last", n, n + 1)

    def size(self, by=2):
        return super().size() * by + len(super().told())


class Other(Base):
    def size(self, by=2):
        return super().size(by) - 1


class Both(Middle, Other):
    pass


class Rebinding(Base):
    def size(self, by=2):
        self, other = Base("x", by), self
        return self.n + other.n


class Missing(Base):
    def size(self, by=2):
        return super().nothing(by // 0)


def sizes(n):
    out = []
    for k in range(n):
        last = Last(k)
        out.append(last.size(k))
        out.append(Both("b", k, 2).size())
        out.append(last.name)
    return out


def size_of(one, by):
    return one.size(by), one.size()


ONES = [Base("a", 3), Middle("m", 2, 5), Last(4), Other("o", 7), Both("b", 1, 2), Rebinding("r", 4)]


def test_methods_of_bases():
    check_calls(sizes, opcodon.jit(sizes), [(5,), (0,), (2**40,)[:0] or (9,)])
    compiled = opcodon.jit(size_of)
    check_calls(size_of, compiled, [(one, by) for one in [*ONES, Missing("z")] for by in (1, 2.5)])
    check_calls(size_of, compiled, [(Middle("m", 2**62, 5), 3), (Last(2**62), 3)])
    check_no_leak([(opcodon.jit(sizes), (3,)), (compiled, (Last(3), 2))])


def test_a_base_that_changes(monkeypatch):
    def total(n):
        s = 0
        for k in range(n):
            s += Last(k).size(k)
        return s

    compiled = opcodon.jit(total)
    assert compiled(6) == total(6)
    monkeypatch.setattr(Base, "size", lambda *_: 1000)
    assert compiled(6) == total(6)


def test_a_loop_over_constructors_of_derived_classes_is_native():
    def made(n):
        s = 0
        for k in range(n):
            one = Middle("m", k, 2)
            s += one.n + one.size()
        return s

    compiled = opcodon.jit(made)
    assert compiled(9) == made(9)
    assert compiled(9) == made(9)
    if sys.version_info[:2] == (3, 11):
        assert compiled.is_native()


# ---- generators with else


def primes(n):
    for x in range(2, n):
        for d in range(2, int(x**0.5) + 1):
            if x % d == 0:
                break
        else:
            yield x


def test_generators_with_else():
    def total(n):
        s = 0
        for p in primes(n):
            if p == 13:
                continue
            if p > 90:
                break
            s += p
        return s, sum(primes(n)), list(primes(n))

    check_calls(total, opcodon.jit(total), [(50,), (0,), (200,), (30.5,)])
