"""Identity, subclasses, callees with effects, huge values, order of dictionaries."""
# The language as people write it.
# ruff: noqa: B007, C416

import math

from cases import case

K = 1
VALUES = [1, 2, 3]


def bump():
    global K
    K += 1
    return K


@case((5,), (0,))
def callee_changes_global(n):
    global K
    K = 1
    s = 0
    for i in range(n):
        bump()
        s = s * 10 + K
    return s


@case((3,), (0,))
def reads_changed_global(n):
    s = 0
    for i in range(n):
        bump()
        s += K - bump()
    return s


@case((4,), (0,))
def grows_global_list(n):
    VALUES.append(n)
    total = sum(VALUES) + len(VALUES)
    VALUES.pop()
    return total


@case((1000,), (5,), (2**70,), (1.5,))
def identity(n):
    a = [n]
    b = a
    return a is b, a is not b, None is None, n is None, True is (n == n)


class Int(int):
    def __add__(self, other):
        return "added"


class Number(float):
    def __lt__(self, other):
        return True


@case((Int(3), 4), (3, Int(4)), (True, 2), (Number(5.0), 1), (1, Number(0.5)))
def subclasses(a, b):
    return a + b, a < b, type(a).__name__, max(a, b), -a


@case(([True, 1, 1.0],), ([1, True],), ([2**63, 1],), ([1, 2.5],), ([None],), ([],))
def mixed_list(values):
    total = 0
    kinds = []
    for v in values:
        kinds.append(type(v).__name__)
        total = total + v
    return total, kinds


@case((3, 0.5), (2, 1))
def type_changes(n, x):
    y = 0
    for i in range(n):
        if i == 1:
            y = x
        elif i == 2:
            y = str(y)
        else:
            y = y + 1
    return y


@case((5,), (0,))
def none_until_found(n):
    best = None
    for i in range(n):
        v = (i * 7) % 5
        if best is None or v > best:
            best = v
    return best


@case(({"b": 1, "a": 2},), ({},))
def dictionary_order(d):
    d["z"] = 0
    d["a"] = 9
    d.pop("b", None)
    d["b"] = 3
    return list(d), [k for k, v in d.items() if v], min(d, key=d.get), sorted(d.values())


@case((1e308,), (-1e308,), (5e-324,))
def float_limits(x):
    return x * 10, x / 10, x - x * 10, x * 10 == math.inf, int(x) if abs(x) < 1 else 0


@case((10**400,), (-(10**20),))
def huge_integers(n):
    try:
        f = float(n)
    except OverflowError as error:
        f = str(error)
    return f, n % 1000, n // 7 % 10, n.bit_length(), -n < 0, n & 255


@case((2, 3), (2.0, 3), ("ab", 2), ([1], 2))
def repeated(x, n):
    y = x
    for _ in range(n):
        y = y + x
    return y, x * n


@case(([[0] * 3] * 2,), ([[1, 2, 3], [4, 5, 6]],))
def shared_rows(grid):
    for i in range(len(grid)):
        for j in range(len(grid[i])):
            grid[i][j] += i + j
    return grid


@case((lambda x: x + 1, 3), (math.sqrt, 4), (str, 5), (None, 1))
def calls_argument(f, n):
    out = []
    for i in range(n):
        out.append(f(i))
    return out


@case((0,), (1,), (-1,), (True,), (-(2**64),), (0.5,), ("a",), (None,))
def ranges_of_anything(n):
    return [i for i in range(n)]


@case(("é", 0), ("abc", -1), ("abc", 3), ("a😀c", 1), ("abc", True), ("abc", 1.0))
def string_index(s, i):
    return s[i], ord(s[i]), s[i:], s[i] == s[-1], s[i] in s


@case(([3, 1, 2], True), ([3, 1, 2], -4), ([3, 1, 2], 2**70), ([3], 0.0), ((1, 2), 1))
def odd_indices(values, i):
    x = values[i]
    values[i] = x + 1
    return x, values


@case((5, 0), (0, 0), (-5, 0), (5.0, 0), (5, 0.0), (2**70, 0))
def division_errors(a, b):
    log = []
    for operation in (lambda: a / b, lambda: a // b, lambda: a % b, lambda: divmod(a, b)):
        try:
            log.append(operation())
        except ZeroDivisionError as error:
            log.append(str(error))
    return log


@case((3, 2), (0, 2), (-3, 3))
def raised_in_callee(a, b):
    total = 0
    for i in range(b):
        total += reciprocal(a - i)
    return total


def reciprocal(x):
    return 1 / x if x != 0 else 1 // x
