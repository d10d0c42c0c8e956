"""Writes f64.txt and f32.txt: correctly rounded results at nasty arguments, from mpmath.

A line is an operator's name, its arguments and its result, as the bits of numbers of that precision
in hexadecimal. Results at zeros, infinities and NaN are those of C's annex F, as the C library of
this machine has them; all others are computed with 2200 bits, which resolves the largest arguments
of the trigonometric functions, and rounded once.

    python generate.py          # needs mpmath and a C library with libm.so.6
"""

import ctypes
import math
import random
import struct
from fractions import Fraction
from pathlib import Path

import mpmath as mp

mp.mp.prec = 2200
LIBM = ctypes.CDLL("libm.so.6")
PER_OPERATOR = 160


class Precision:
    """A floating-point format."""

    def __init__(self, name, code, word, digits, min_exponent, max_exponent):
        self.name, self.code, self.word = name, code, word
        self.digits, self.min_exponent, self.max_exponent = digits, min_exponent, max_exponent

    def bits(self, x):
        return struct.unpack(f"<{self.word}", struct.pack(f"<{self.code}", x))[0]

    def number(self, bits):
        return struct.unpack(f"<{self.code}", struct.pack(f"<{self.word}", bits))[0]

    def text(self, x):
        if math.isnan(x):
            return "nan"
        return f"{self.bits(x):0{2 * struct.calcsize(self.word)}x}"

    def round(self, x):
        """A double as a number of this format, towards zero where it is too large."""
        try:
            return struct.unpack(f"<{self.code}", struct.pack(f"<{self.code}", x))[0]
        except OverflowError:
            return math.copysign(math.inf, x)

    def nearest(self, x):
        """The number nearest to an mpf, halves to even."""
        if x == 0:
            return 0.0
        sign = -1.0 if x < 0 else 1.0
        x = abs(x)
        exponent = max(int(mp.floor(mp.log(x, 2))), self.min_exponent)
        # The estimate of the exponent may be one off; the rounding below does not mind a digit
        # more, so it is corrected first.
        while x >= mp.mpf(2) ** (exponent + 1):
            exponent += 1
        while exponent > self.min_exponent and x < mp.mpf(2) ** exponent:
            exponent -= 1
        unit = mp.mpf(2) ** (exponent - self.digits + 1)
        scaled = x / unit
        whole = int(mp.floor(scaled))
        rest = scaled - whole
        if rest > 0.5 or (rest == 0.5 and whole % 2 == 1):
            whole += 1
        value = mp.mpf(whole) * unit
        if value >= mp.mpf(2) ** (self.max_exponent + 1):
            return sign * math.inf
        return sign * float(value)

    def next(self, x, steps):
        bits = self.bits(x) + steps
        return self.number(max(bits, 0))


F64 = Precision("f64", "d", "Q", 53, -1022, 1023)
F32 = Precision("f32", "f", "I", 24, -126, 127)


def exact(x):
    return mp.mpf(x)


UNARY = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda x: mp.log(x, 2),
    "log10": mp.log10,
    "log1p": mp.log1p,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "erf": mp.erf,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "plog": lambda x: mp.log(abs(x)),
}

# Where results overflow, vanish, become subnormal, change their method or nearly cancel.
EDGES = {
    "exp": [709.782712893384, 708.3964185322641, 745.1332191019411, 88.72284, 87.33655, 103.97208],
    "expm1": [709.782712893384, 37.42994775023705, 88.72284, 17.32868, 0.34657359, 1.0397208],
    "log1p": [-0.999999999, -0.25, 0.5, 1.0, 9007199254740992.0],
    "asin": [0.5, 1.0, 0.975, 0.7071067811865476],
    "acos": [0.5, 1.0, 0.975, 0.7071067811865476],
    "atan": [0.4375, 0.6875, 1.0, 1.1875, 2.4375, 9007199254740992.0],
    "sinh": [710.4758600739439, 709.782712893384, 89.41599, 18.714973875118524, 0.34657359],
    "cosh": [710.4758600739439, 709.782712893384, 89.41599, 18.714973875118524, 8.3177662],
    "tanh": [19.061547465398498, 18.714973875118524, 22.0, 9.010913, 8.6643398, 0.17328680],
    "sigmoid": [745.1332191019411, 709.782712893384, 708.3964185322641, 36.7368, 88.72284, 16.6355],
    "erf": [1.0, 5.921587195794508, 6.0, 3.919206, 0.84375],
    "cbrt": [0.75, 1.5, 27.0, 2.0**-1074, 2.0**-149],
}


def near_multiples_of_half_pi(precision):
    """Numbers close to multiples of pi/2: small ones, and the closest of each binade."""
    found = []
    for k in list(range(1, 12)) + [2**j for j in range(4, 60, 3)]:
        found.append(precision.nearest(k * mp.pi / 2))
    # The best approximations m 2^e = k pi/2 are convergents of pi/2 / 2^e (Kahan).
    for exponent in range(precision.min_exponent + 40, precision.max_exponent - precision.digits, 37):
        ratio = mp.pi / 2 / mp.mpf(2) ** exponent
        p0, q0, p1, q1 = 0, 1, 1, 0
        x = ratio
        best = None
        for _ in range(400):
            a = int(mp.floor(x))
            p0, p1 = p1, a * p1 + p0
            q0, q1 = q1, a * q1 + q0
            if p1 >= 2**precision.digits:
                break
            if p1 >= 2 ** (precision.digits - 1):
                best = p1
            if x == a:
                break
            x = 1 / (x - a)
        if best is not None:
            found.append(float(mp.mpf(best) * mp.mpf(2) ** exponent))
    return found


def magnitudes(rng, low, high):
    return math.ldexp(1 + rng.random(), rng.randint(low, high))


def unary_arguments(name, precision, rng):
    edges = [precision.round(x) for x in EDGES.get(name, [])]
    if name in ("sin", "cos", "tan"):
        edges += near_multiples_of_half_pi(precision)
        edges.append(precision.round(1e22))
        # The double closest to a multiple of pi/2 (Muller: Elementary Functions, ch. 11).
        edges += [math.ldexp(6381956970095103, 797)] if precision is F64 else []
    if name in ("log", "log2", "log10", "plog"):
        edges += [1.0, 0.75, 1.5, 2.0, 10.0, 1000.0, 0.5]
    smallest = precision.number(1)
    edges += [smallest, precision.next(2.0**precision.min_exponent, -1), 1.0]
    arguments = []
    for x in edges:
        for step in (-1, 0, 1):
            near = precision.next(abs(x), step)
            arguments += [near, -near]
    low, high = precision.min_exponent, precision.max_exponent
    scale = {"exp": 740, "expm1": 60, "sinh": 700, "cosh": 700, "tanh": 20, "sigmoid": 740}
    span = scale.get(name, 4)
    if precision is F32:
        span = min(span, 90)
    while len(arguments) < PER_OPERATOR * 2:
        arguments.append(rng.uniform(-2, 2))
        arguments.append(rng.uniform(-span, span))
        arguments.append(rng.choice([-1, 1]) * magnitudes(rng, low, high))
        arguments.append(rng.choice([-1, 1]) * magnitudes(rng, -30, 30))
    return [(precision.round(x),) for x in dict.fromkeys(arguments)]


def power_arguments(precision, rng):
    pairs = []
    values = [2.0, 0.5, -2.0, -1.0, 3.0, 10.0, 1.5, -1.5, 0.1]
    for x in values:
        for y in (2.0, 3.0, -1.0, 0.5, -0.5, 10.0, -3.0, 100.0, 1023.0, -1074.0, 0.1, 1e300):
            pairs.append((x, y))
    near_one = [precision.next(1.0, step) for step in (-3, -1, 1, 2)]
    for x in near_one:
        for y in (1e3, 1e9, -1e17, 1e19, 7e8, 3e18):
            pairs.append((x, y))
    while len(pairs) < PER_OPERATOR * 2:
        pairs.append((rng.uniform(0, 4), rng.uniform(-40, 40)))
        x = magnitudes(rng, precision.min_exponent, precision.max_exponent)
        pairs.append((x, rng.uniform(-1, 1) * precision.max_exponent / max(abs(math.log2(x)), 1e-3)))
        # Results around the last and the first finite ones.
        x = magnitudes(rng, -20, 20)
        edge = rng.choice([precision.max_exponent + 1, precision.min_exponent - precision.digits])
        pairs.append((x, edge / (math.log2(x) or 1.0) * (1 + rng.uniform(-1e-3, 1e-3))))
    return [tuple(map(precision.round, pair)) for pair in pairs]


def angle_arguments(precision, rng):
    pairs = []
    for ratio in (0.4375, 0.6875, 1.0, 1.1875, 2.4375):
        for sign_y in (1, -1):
            for sign_x in (1, -1):
                x = rng.uniform(1, 2)
                pairs.append((sign_y * ratio * x, sign_x * x))
    extremes = [precision.number(1), 2.0**precision.min_exponent, 2.0**precision.max_exponent, 1.0]
    pairs += [(y, x) for y in extremes for x in extremes]
    pairs += [(-y, -x) for y in extremes for x in extremes]
    while len(pairs) < PER_OPERATOR:
        low, high = precision.min_exponent, precision.max_exponent
        pairs.append((rng.uniform(-2, 2), rng.uniform(-2, 2)))
        signs = rng.choice([-1, 1]), rng.choice([-1, 1])
        pairs.append((signs[0] * magnitudes(rng, low, high), signs[1] * magnitudes(rng, low, high)))
        size = magnitudes(rng, low + 10, high - 10)
        pairs.append((signs[0] * size * rng.random(), signs[1] * size * rng.random()))
    return [tuple(map(precision.round, pair)) for pair in pairs]


def remainder_arguments(precision, rng):
    tiny, huge = precision.number(1), precision.number(precision.bits(math.inf) - 1)
    low, high = precision.min_exponent, precision.max_exponent
    pairs = [(huge, tiny), (huge, 3 * tiny), (huge, 3.0), (1e17, 7.0), (5.5, -2.0), (-5.5, 2.0)]
    pairs += [(6.0, 2.0), (-6.0, 2.0), (6.0, -2.0), (0.3, 0.1), (-1e-20, 1.0), (1.0, huge), (-1.0, huge)]
    while len(pairs) < PER_OPERATOR:
        signs = rng.choice([-1, 1]), rng.choice([-1, 1])
        pairs.append((signs[0] * magnitudes(rng, low, high), signs[1] * magnitudes(rng, low, high)))
        pairs.append((rng.uniform(-10, 10), rng.uniform(-3, 3)))
        b = magnitudes(rng, -5, 5)
        pairs.append((signs[0] * b * rng.randint(1, 2**52), signs[1] * b))
    return [tuple(map(precision.round, pair)) for pair in pairs]


def remainder(a, b):
    """As numpy.mod: fmod, and b added where the signs differ."""
    rest = Fraction(abs(a)) % Fraction(abs(b))
    rest = -rest if a < 0 else rest
    if rest == 0:
        return None
    if (rest < 0) != (b < 0):
        rest += Fraction(b)
    return mp.mpf(rest.numerator) / rest.denominator


def c_library(name, arguments):
    """The C library's result, in double precision."""
    if name == "sigmoid":
        (x,) = arguments
        return x if math.isnan(x) else {0.0: 0.5, math.inf: 1.0, -math.inf: 0.0}[x]
    if name == "plog":
        (x,) = arguments
        return 0.0 if x == 0 else abs(x)
    if name == "mod":
        a, b = arguments
        if math.isnan(a) or math.isnan(b) or math.isinf(a) or b == 0:
            return math.nan
        if a == 0:
            return math.copysign(0.0, b)
        return b if (a < 0) != (b < 0) else a
    function = getattr(LIBM, name)
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_double] * len(arguments)
    return function(*arguments)


def rows(name, precision, rng):
    specials = [0.0, -0.0, math.inf, -math.inf, math.nan]
    if name in UNARY:
        for x in specials:
            yield (x,), c_library(name, (x,))
        for (x,) in unary_arguments(name, precision, rng):
            if math.isinf(x) or x == 0:
                continue
            yield (x,), unary_result(name, precision, x)
        return
    ordinary = [1.0, -1.0, 2.0, -3.0, 0.5, -2.5]
    if name == "pow":
        ordinary += [9007199254740993.0, -9007199254740992.0, 1e300]
    for a in specials + ordinary:
        for b in specials + ordinary:
            if a in specials or b in specials or math.isnan(a) or math.isnan(b):
                a32, b32 = precision.round(a), precision.round(b)
                yield (a32, b32), precision.round(c_library(name, (a32, b32)))
    choose = {"pow": power_arguments, "atan2": angle_arguments, "mod": remainder_arguments}
    for a, b in choose[name](precision, rng):
        if 0 in (a, b) or math.isinf(a) or math.isinf(b):
            continue
        yield (a, b), binary_result(name, precision, a, b)


def unary_result(name, precision, x):
    if name in ("log", "log2", "log10") and x < 0 or name == "log1p" and x < -1:
        return math.nan
    if name in ("asin", "acos") and abs(x) > 1:
        return math.nan
    if name == "log1p" and x == -1:
        return -math.inf
    if name in ("exp", "expm1", "sinh", "cosh", "sigmoid") and abs(x) > 1e4:
        y = c_library(name, (x,)) if name != "sigmoid" else float(x > 0)
        return y
    if name == "erf" and abs(x) > 40 or name == "tanh" and abs(x) > 400:
        return math.copysign(1.0, x)
    tiny = abs(x) < 2.0**-200
    if tiny and name in ("expm1", "log1p", "sin", "tan", "asin", "atan", "sinh", "tanh"):
        # Series: the next term decides ties, of which there are none, and directions.
        sign = {"expm1": 1, "log1p": -1, "sin": -1, "tan": 1, "asin": 1, "atan": -1}
        sign |= {"sinh": 1, "tanh": -1}
        small = exact(x) * mp.mpf(2) ** -300
        return precision.nearest(exact(x) + sign[name] * small)
    y = precision.nearest(UNARY[name](exact(x)))
    if y == 0 and x < 0 and name in ("sin", "tan", "erf", "cbrt", "asin", "atan", "sinh", "tanh"):
        return -0.0
    return y


def binary_result(name, precision, a, b):
    if name == "mod":
        result = remainder(a, b)
        return math.copysign(0.0, b) if result is None else precision.nearest(result)
    if name == "atan2":
        ratio = exact(a) / exact(b)
        if b > 0 and abs(ratio) < mp.mpf(2) ** -600:
            result = ratio * (1 - mp.mpf(2) ** -1500)
        else:
            result = mp.atan2(exact(a), exact(b))
        return math.copysign(abs(precision.nearest(result)), a)
    if a < 0 and b != math.floor(b):
        return math.nan
    sign = -1.0 if a < 0 and b % 2 == 1 else 1.0
    exponent = exact(b) * mp.log(abs(exact(a)), 2)
    if abs(a) == 1:
        return sign
    if abs(exponent) > 5000:
        return sign * (math.inf if exponent > 0 else 0.0)
    return sign * precision.nearest(mp.mpf(2) ** exponent)


def main():
    here = Path(__file__).parent
    for precision in (F64, F32):
        rng = random.Random(20260101)
        lines = []
        for name in [*UNARY, "atan2", "pow", "mod"]:
            seen = set()
            for arguments, result in rows(name, precision, rng):
                words = [precision.text(x) for x in (*arguments, precision.round(result))]
                line = " ".join([name, *words])
                if line not in seen:
                    seen.add(line)
                    lines.append(line)
        (here / f"{precision.name}.txt").write_text("\n".join(lines) + "\n")


main()
