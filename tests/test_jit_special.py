"""Methods that syntax stands for, starred parameters and `nonlocal`, against CPython."""

import importlib
import pathlib
import sys

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome, check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


class Amount:
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        if isinstance(other, Amount):
            return self.n == other.n
        return NotImplemented

    def __lt__(self, other):
        if isinstance(other, Amount):
            return self.n < other.n
        return NotImplemented

    def __le__(self, other):
        return self.n <= other.n

    def __ge__(self, other):
        return "yes" if self.n > 3 else other.missing

    def __hash__(self):
        return 1

    def __contains__(self, x):
        if x == 13:
            raise ValueError("unlucky")
        return x % self.n == 0

    def __len__(self):
        return self.n - 2

    def __getitem__(self, index):
        if isinstance(index, tuple):
            return index[0] * self.n + index[1]
        if index > 9:
            raise IndexError(index)
        return index + self.n

    def __setitem__(self, index, value):
        if index == 5:
            raise KeyError(value)
        self.n = value + index

    def __call__(self, x, y=2):
        return self.n * x + y


class Larger(Amount):
    def __lt__(self, other):
        return NotImplemented

    def __gt__(self, other):
        return "greater"

    def __len__(self):
        return "many"

    def __contains__(self, x):
        return None


class Refusing:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return NotImplemented

    def __eq__(self, other):
        return NotImplemented


def compared(a, b):
    return a == b, a < b, b <= a, a != b, a > b


def compared_once(a, b):
    return a < b


def at_least(a, b):
    return a >= b


def equal(a, b):
    return a == b, b == a, a == a


def held(a, x):
    return x in a, x not in a


def sized(a):
    return len(a) * 2


def items(a, k):
    out = [a[k], a[k, 2], a[0]]
    a[k] = 7
    a[1] += 2
    return out, a.n


def called(a, x):
    return a(x), a(x, 3)


def sliced(a):
    return a[1:2]


class Rows:
    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, place):
        return self.rows[place[0]][place[1]]

    def __setitem__(self, place, value):
        self.rows[place[0]][place[1]] = value

    def __len__(self):
        return len(self.rows)

    def __matmul__(self, other):
        n = len(self)
        made = Rows([[0] * n for _ in range(n)])
        for i in range(n):
            for j in range(n):
                s = 0
                for k in range(n):
                    s += self[i, k] * other[k, j]
                made[i, j] = s
        return made


def product(a, b):
    return (a @ b).rows


A, B, C = Amount(3), Amount(5), Amount(2**62)
L, R, S = Larger(3), Refusing(1), Refusing(2)
VALUES = [A, B, C, L, R, S, 3, 2.5, None, "a"]


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (compared, [(a, b) for a in VALUES[:6] for b in VALUES]),
        (compared_once, [(a, b) for a in VALUES[:6] for b in VALUES]),
        (compared_once, [(R, S), (R, R), (L, L), (A, B), (L, A), (A, L)]),
        (at_least, [(a, b) for a in VALUES[:5] for b in VALUES]),
        (equal, [(a, b) for a in VALUES for b in VALUES]),
        (held, [(a, x) for a in (A, B, L, [3], R) for x in (6, 7, 13, 2.5, "a")]),
        (sized, [(A,), (B,), (L,), (Amount(1),), (Amount(2**63 - 1),), (Amount(2.5),), ([1],)]),
        (items, [(a, k) for a in (A, B, L) for k in (1, 5, 12, 2.5, "x", 2**63 - 1)]),
        (called, [(a, x) for a in (A, B, C, L, R, len) for x in (1, 2.5, "a")]),
        (sliced, [(A,), ([1, 2, 3],), ("abc",)]),
        (
            product,
            [
                (Rows([[1, 2], [3, 4]]), Rows([[5, 6], [7, 8]])),
                (Rows([[1.5, 2], [3, 4]]), Rows([[5, 6], [7, 8.5]])),
                (Rows([[1, 2], [3]]), Rows([[5, 6], [7, 8]])),
                (Rows([[2**62, 2], [3, 4]]), Rows([[5, 6], [7, 8]])),
            ],
        ),
    ],
)
def test_methods_that_syntax_stands_for(function, calls):
    check_calls(function, opcodon.jit(function), calls)
    # Whichever comes first.
    for args in calls[:12]:
        compiled = opcodon.jit(function)
        for others in (args, args, *calls[-3:], args):
            difference = Outcome(function, others).differences(Outcome(compiled, others))
            assert not difference, f"{args}, then {others}: {difference}"


def test_such_methods_are_called_natively():
    if sys.version_info[:2] != (3, 11):
        pytest.skip("attributes in place are those of 3.11")
    for function, args in [
        (compared_once, (A, B)),
        (held, (A, 4)),
        (sized, (B,)),
        (called, (A, 1)),
        (product, (Rows([[1, 2], [3, 4]]), Rows([[5, 6], [7, 8]]))),
    ]:
        compiled = opcodon.jit(function)
        assert compiled(*args) == function(*args)
        assert compiled.is_native(), compiled.report()


def test_a_method_that_changes(monkeypatch):
    compiled = opcodon.jit(compared_once)
    assert compiled(A, B) is True
    monkeypatch.setattr(Amount, "__lt__", lambda *_: "changed")
    assert compiled(A, B) == "changed"
    monkeypatch.delattr(Amount, "__lt__")
    with pytest.raises(TypeError, match="'<' not supported between instances of 'Amount' and"):
        compiled(A, B)


def test_no_reference_is_lost():
    rows = Rows([[1, 2], [3, 4]])
    jit = opcodon.jit
    check_no_leak(
        [
            (jit(equal), (A, B)),
            (jit(compared_once), (A, B)),
            (jit(held), (A, 4)),
            (jit(sized), (B,)),
            (jit(called), (A, 2.5)),
            (jit(product), (rows, rows)),
        ]
    )
    before = sys.getrefcount(R), sys.getrefcount(NotImplemented)
    compiled = jit(equal)
    for _ in range(2000):
        assert compiled(R, S) == (False, False, True)
    after = sys.getrefcount(R), sys.getrefcount(NotImplemented)
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < 20


# ---- starred parameters


def total(first, *others, by=1):
    s = first
    for other in others:
        s += other * by
    return s, len(others)


def totals(x):
    return (
        total(x, by=2),
        total(1, x, by=x),
        total(1, 2, 3, 4, by=2),
        total(x, 2, "a" if x == 3 else 1, by=1),
        total(first=x, by=1),
    )


def wrong(x):
    return total(x, 1, by=2), total(x, of=1)


def many(n):
    s = 0
    for k in range(n):
        s += total(k, 2, k, by=3)[0]
    return s


def test_starred_parameters():
    check_calls(totals, opcodon.jit(totals), [(1,), (2.5,), (3,), ("a",), (2**63 - 1,)])
    check_calls(wrong, opcodon.jit(wrong), [(1,), (2.5,)])
    check_calls(many, opcodon.jit(many), [(9,), (0,)])
    check_no_leak([(opcodon.jit(totals), (1,)), (opcodon.jit(many), (3,))])


# ---- nonlocal


def counted(values, start):
    n = start
    best = None

    def see(value):
        nonlocal n, best
        n += value
        if best is None or value > best:
            best = value
        return n

    for value in values:
        if see(value) > 100:
            n = 0
    return n, best


def nested_twice(n):
    calls = 0

    def walk(k):
        nonlocal calls
        calls += 1
        if k > 1:
            walk(k - 1)
            walk(k - 2)

    walk(n)
    return calls


def test_variables_of_others():
    values = [[1, 2, 3], [1, 2.5], [], [60, 70, 1], [2**62, 2**62], ["a"], [True, 1]]
    calls = [(each, start) for each in values for start in (0, 0.5, "x")]
    check_calls(counted, opcodon.jit(counted), calls)
    check_calls(nested_twice, opcodon.jit(nested_twice), [(9,), (0,), (2.5,)])
    compiled = opcodon.jit(nested_twice)
    assert compiled(12) == nested_twice(12)
    assert compiled.is_native()
    check_no_leak([(opcodon.jit(counted), ([1, 2, 3], 0)), (compiled, (5,))])


class Collecting:
    def __init__(self, x):
        self.x = x

    def __getitem__(self, *key):
        return key

    def __call__(self, *, other):
        return other

    def __add__(self, **others):
        return others

    def __contains__(self, item):
        return self.x

    @property
    def items(*own):
        return len(own), type(own)


def tells(function, argument):
    try:
        return function(argument)
    except TypeError as error:
        return str(error)


USES = {
    "item": lambda a: a[1],
    "call": lambda a: a(1),
    "sum": lambda a: a + 1,
    "items": lambda a: a.items,
    "holds": lambda a: 1 in a,
    "length": lambda a: len(a),
}


@pytest.mark.parametrize("use", USES)
def test_syntax_gives_starred_parameters_what_python_gives(use):
    plain, compiled = USES[use], opcodon.jit(USES[use])
    for x in (3, [], [1], "", 2.5, None):
        a = Collecting(x)
        expected = tells(plain, a)
        before = sys.getrefcount(x)
        for _ in range(200):
            assert tells(compiled, a) == expected
        assert abs(sys.getrefcount(x) - before) < 50


class Measured:
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n


def test_errors_of_helpers_are_pythons_and_pile_up_nowhere():
    measure = opcodon.jit(lambda a: len(a))
    for n in (2**70, -(2**70), -5, 3):
        expected = outcome(len, Measured(n))
        for _ in range(2):
            assert outcome(measure, Measured(n)) == expected
    wrong = Measured(-1)
    before = sys.getrefcount(ValueError)
    for _ in range(100):
        outcome(measure, wrong)
    assert sys.getrefcount(ValueError) - before < 10


def outcome(function, argument):
    try:
        return function(argument)
    except (OverflowError, ValueError) as error:
        return type(error), str(error)
