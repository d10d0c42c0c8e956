"""Numbers: arithmetic, comparison, conversion, big integers, signs of zero."""
# The language as people write it.
# ruff: noqa: RUF021

import cmath
import math
import operator

from cases import case

LIMIT = 7
SCALE = 0.5


@case((3, 4), (0.5, 2), (True, 1), (10**30, 3), ("a", "b"), ("a", 1), ([1], [2]))
def add(x, y):
    return x + y


@case((7, 2), (-7, 2), (7, -2), (7.5, 2), (7, 0), (0.0, 0.0), (1, 0.0), (2**63, 3))
def divisions(a, b):
    return a // b, a % b, a / b, divmod(a, b)


@case((2, 10), (2, -1), (0, -1), (-8, 1 / 3), (2.0, 0.5), (10, 40), (2, 64), (0.0, -2.0))
def powers(a, b):
    return a**b, pow(a, b)


@case((5, 3), (1, 64), (1, 62), (-1, 3), (1, -1), (3, 0))
def shifts(a, n):
    return a << n, a >> n, a & n, a | n, a ^ n, ~a


@case((3,), (-3,), (0.0,), (-0.0,), (float("nan"),), (True,), (2**63 - 1,), (-(2**63),))
def unary(x):
    return -x, +x, not x, abs(x)


@case((1, 2, 3), (3, 2, 1), (1, 1, 1), (1.0, 2, float("nan")), ("a", "b", "c"), (1, "b", 2))
def chained(a, b, c):
    return a < b < c, a <= b <= c, a < b > c != a, a == b == c, not a < b < c


@case((1,), (0,), (0.0,), ("",), ("x",), ([],), (None,))
def logic(x):
    return x and 1, x or 2, x and x or 3, not x and 4, (x or 0) and (x or 1)


@case((5,), (-5,), (0,))
def conditional(x):
    return "positive" if x > 0 else "negative" if x < 0 else "zero"


@case((4,), (60,), (63,), (64,), (70,), (200,))
def factorial(n):
    result = 1
    while n > 1:
        result *= n
        n -= 1
    return result


@case((10,), (90,), (100,))
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@case((48, 36), (0, 5), (17, 13), (-12, 18), (2**70, 2**65))
def gcd(a, b):
    while b:
        a, b = b, a % b
    return abs(a)


@case((1.0,), (0.0,), (-1.0,), (700.0,), (1e308,), ("x",))
def functions(x):
    return math.sin(x) + math.exp(x), math.sqrt(x), math.floor(x), math.atan2(x, 2.0), math.pi * x


@case((-1.0,), (0.0,), (4,))
def domain(x):
    return math.log(x)


@case((1 + 2j,), (3,), (0.5,), (0,))
def complexes(z):
    w = z * z + 1j
    return w, abs(w), cmath.sqrt(z), w.real, w.imag, (w / z if z else None)


@case((2.5,), (3.5,), (-0.5,), (2,), (float("inf"),), (1e300,))
def rounding(x):
    return round(x), round(x, 1), int(x), float(x)


@case((3, 9), (9, 3), (2.0, 2), (0.0, -0.0), (float("nan"), 1.0), (1.0, float("nan")))
def extremes(a, b):
    return min(a, b), max(a, b), min(a, b, 1), max((a, b))


@case((20,), (1,), (0,))
def harmonic(n):
    total = 0
    for k in range(1, n + 1):
        total += 1 / k
    return total


@case((100,), (0,))
def pi_series(n):
    s = 0.0
    sign = 1.0
    for k in range(n):
        s += sign / (2 * k + 1)
        sign = -sign
    return 4 * s


@case((2**62, 1), (2**62, 2**62), (-(2**63), -1), (2**31, 2**31), (3037000500, 3037000500))
def overflow(a, b):
    s = a + b
    p = a * b
    d = -a - b
    return s, p, d, (s - a) == b


@case((3,), (2**61,))
def overflow_in_loop(x):
    out = []
    for k in range(6):
        x = x * 3 + k
        out.append(x)
    return out


@case((3,), (9,))
def uses_globals(x):
    if x > LIMIT:
        return x * SCALE
    return x + LIMIT


@case((5, 3), (1.5, 2))
def through_operator(a, b):
    return operator.add(a, b), operator.mul(a, b), operator.lt(a, b), operator.itemgetter(0)([a])


@case((1, 2), (2, 1))
def walrus(a, b):
    if (c := a + b) > 2 and (d := c * 2) > 0:
        return c, d
    return c


@case((1,), (5,))
def walrus_order(x):
    return x + (x := x + 1) + x, [x, (x := 10), x], (x, (x := 3))[0] * x


@case((1,), (0,))
def walrus_in_place(x):
    x += (x := 5) * 2
    a = [0, 0, 0]
    i = 0
    a[i] += (i := 1) + 1
    return x, a, i


@case((3, 4, 5), (0, 0, 0))
def nested_expression(a, b, c):
    return ((a + b) * (b - c) + (a if b > c else c) ** 2) / (1 + abs(a * b - c))


@case(("12",), ("1.5",), ("x",), ("-7",))
def conversions(text):
    try:
        return int(text)
    except ValueError:
        return float(text)


@case((10,), (0,))
def none_and_bool(n):
    found = None
    for k in range(n):
        if k * k > 20 and found is None:
            found = k
    return found is not None, found, True + True, False == 0, isinstance(found, int)


@case((6,), (28,), (12,))
def is_perfect(n):
    return n == sum(d for d in range(1, n) if n % d == 0)


@case((1.0, 1e-12), (2.0, 1e-9), (-1.0, 1e-9))
def newton(x, eps):
    guess = x / 2
    for step in range(100):
        new = (guess + x / guess) / 2
        if abs(new - guess) < eps:
            return new, step
        guess = new
    return None


@case((0x12345678, 5), (0xFFFFFFFF, 31))
def rotate(x, n):
    x &= 0xFFFFFFFF
    return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF


@case((561, 7), (10**18 + 9, 3))
def power_mod(n, base):
    result, e, b = 1, n - 1, base % n
    while e:
        if e & 1:
            result = result * b % n
        b = b * b % n
        e >>= 1
    return result, pow(base, n - 1, n)
