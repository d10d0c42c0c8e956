"""Fits the polynomials of crates/jit/src/vmath/functions and prints them as Rust.

Each polynomial comes close to the least maximal weighted error: a least-squares fit at Chebyshev
points whose emphasis is moved to where the error is large (Lawson 1961), with 200 bits. Its
coefficients are rounded to the precision in which they are used one at a time, lowest power first,
and the remaining ones are fitted again after each rounding, so that the later ones make good what
the earlier ones lost. The error printed is that of the rounded polynomial, in bits, as a fraction
of the function that the weight stands for.

    python minimax.py            # all of them
    python minimax.py exp sin    # those whose name contains one of the words

Needs mpmath.
"""

import sys

import mpmath as mp

mp.mp.prec = 200


def round_to(value, bits):
    """`value` rounded to a significand of `bits` bits."""
    if value == 0:
        return mp.mpf(0)
    with mp.workprec(bits):
        return +value


class Samples:
    """A weighted approximation problem at points that crowd at the ends, as Chebyshev's do."""

    def __init__(self, powers, target, weight, low, high):
        self.powers = powers
        n = 8 * len(powers) + 8
        low, high = mp.mpf(low), mp.mpf(high)
        middle, half = (low + high) / 2, (high - low) / 2
        points = [middle - half * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / n) for i in range(n)]
        self.weights = [weight(x) for x in points]
        self.targets = [target(x) * w for x, w in zip(points, self.weights, strict=True)]
        self.rows = [[x**p * w for p in powers] for x, w in zip(points, self.weights, strict=True)]
        self.emphasis = [mp.mpf(1)] * n

    def residuals(self, coefficients):
        return [
            sum(c * b for c, b in zip(coefficients, row, strict=True)) - target
            for row, target in zip(self.rows, self.targets, strict=True)
        ]

    def least_squares(self, fixed):
        """All coefficients, given the first ones."""
        k, n = len(fixed), len(self.powers)
        matrix, right = mp.matrix(n - k, n - k), mp.matrix(n - k, 1)
        for row, target, emphasis in zip(self.rows, self.targets, self.emphasis, strict=True):
            rest = target - sum(c * b for c, b in zip(fixed, row[:k], strict=True))
            for i in range(k, n):
                scaled = row[i] * emphasis
                right[i - k] += scaled * rest
                for j in range(i, n):
                    matrix[i - k, j - k] += scaled * row[j]
        for i in range(n - k):
            for j in range(i):
                matrix[i, j] = matrix[j, i]
        return fixed + list(mp.lu_solve(matrix, right))

    def level(self):
        """Moves emphasis to where the error is large until the errors are level (Lawson 1961)."""
        best = None
        for _ in range(30):
            coefficients = self.least_squares([])
            errors = [abs(error) for error in self.residuals(coefficients)]
            worst = max(errors)
            if best is None or worst < best[0]:
                best = worst, list(self.emphasis)
            total = sum(e * error for e, error in zip(self.emphasis, errors, strict=True))
            self.emphasis = [
                e * error / total for e, error in zip(self.emphasis, errors, strict=True)
            ]
        self.emphasis = best[1]


def fit(powers, target, weight, low, high, bits=53, leading=()):
    """Coefficients rounded to `bits` bits (one number, or one for each power), and the error.

    `leading` are the first coefficients where they are given.
    """
    all_bits = bits if isinstance(bits, list) else [bits] * len(powers)
    samples = Samples(powers, target, weight, low, high)
    samples.level()
    coefficients = [mp.mpf(value) for value in leading]
    for k in range(len(coefficients), len(powers)):
        coefficients.append(round_to(samples.least_squares(coefficients)[k], all_bits[k]))
    return coefficients, max(abs(error) for error in samples.residuals(coefficients))


def constant(name, value, bits=53):
    print(f"const {name}: f64 = {literal(round_to(mp.mpf(value), bits))};")


def literal(value):
    """A Rust literal: shortest that reads back, digits in groups of three."""
    text = repr(float(value))
    mantissa, _, exponent = text.partition("e")
    whole, dot, fraction = mantissa.partition(".")
    grouped = "_".join(fraction[i : i + 3] for i in range(0, len(fraction), 3))
    mantissa = whole + (dot or ".") + (grouped or "0")
    return mantissa + (f"e{int(exponent)}" if exponent else "")


def show(name, powers, target, weight, low, high, bits=53, leading=()):
    coefficients, worst = fit(powers, target, weight, low, high, bits, leading)
    low, high = mp.nstr(mp.mpf(low), 5), mp.nstr(mp.mpf(high), 5)
    print(f"/// Error 2^{mp.nstr(mp.log(worst, 2), 4)} on [{low}, {high}].")
    print(f"const {name}: [f64; {len(coefficients)}] = [")
    for coefficient in coefficients:
        print(f"    {literal(coefficient)},")
    print("];")


def truncated(value, bits):
    """`value` cut to `bits` bits, towards zero."""
    with mp.workprec(bits):
        return mp.mpf(mp.fmul(value, 1, rounding="d"))


def split(name, value, bits, rest_bits=(53,)):
    """Constants that sum to `value`; the first has `bits` bits."""
    pieces = [truncated(value, bits)]
    for rest in rest_bits:
        pieces.append(round_to(value - sum(pieces), rest))
    for i, piece in enumerate(pieces):
        print(f"const {name}_{i + 1}: f64 = {literal(piece)};")


LN2 = mp.log(2)


def series(term, x, first, last=90):
    """The sum of term(k) x^(k - first) for k from `first`."""
    return mp.fsum(term(k) * x ** (k - first) for k in range(first, last))


def exp_tail(x, first):
    return series(lambda k: 1 / mp.factorial(k), x, first, 60)


def near_half_ln2(bits):
    return LN2 / 2 * (1 + mp.mpf(2) ** (8 - bits))


def both(name, value, bits=(53, 24)):
    """A constant in both precisions, rounded to these numbers of bits."""
    double, single = (round_to(mp.mpf(value), n) for n in bits)
    print(f"const {name}: Both = Both({literal(double)}, {literal(single)});")
    return double, single


def both_parts(name, value, bits, rest_bits=(53, 24)):
    """A constant as a sum, in both precisions."""
    high = both(f"{name}_HIGH", value, bits)
    for double, single in [high]:
        low = (round_to(value - part, n) for part, n in zip((double, single), rest_bits))
        double, single = low
        print(f"const {name}_LOW: Both = Both({literal(double)}, {literal(single)});")


def pieces(name, value, bits):
    """A constant as a sum of pieces with these numbers of bits each."""
    rest = mp.mpf(value)
    print(f"const {name}: [f64; {len(bits)}] = [")
    for n in bits:
        piece = round_to(rest, n)
        print(f"    {literal(piece)},")
        rest -= piece
    print("];")


def constants():
    """Constants."""
    both("LOG2_E", 1 / LN2)
    both_parts("LN_2", LN2, (41, 15))
    both_parts("LOG2_E", 1 / LN2, (26, 12))
    both_parts("LOG10_E", 1 / mp.log(10), (26, 12))
    both_parts("LOG10_2", LN2 / mp.log(10), (41, 15))
    both_parts("HALF_PI", mp.pi / 2, (53, 24))
    both_parts("PI", mp.pi, (53, 24))
    for arc in ("0.5", "1.0", "1.5"):
        both_parts(f"ATAN_{arc}", mp.atan(mp.mpf(arc)), (53, 24))
    pieces("HALF_PI_FUSED_64", mp.pi / 2, (53, 53, 53))
    pieces("HALF_PI_FUSED_32", mp.pi / 2, (24, 24, 24))
    pieces("HALF_PI_SHORT", mp.pi / 2, (33, 33, 33, 53))
    two_over_pi = 2 / mp.pi
    with mp.workprec(1400):
        rest = 2 / mp.pi
        digits = []
        for _ in range(50):
            rest *= 2**24
            digits.append(int(rest))
            rest -= int(rest)
    print("TWO_OVER_PI", digits)


def exp():
    """exp(r) = 1 + r + r^2 q(r)."""
    for name, degree, bits in (("Q_64", 9, 53), ("Q_32", 4, 24)):
        high = near_half_ln2(bits)
        q = lambda r: exp_tail(r, 2)
        show(name, range(degree + 1), q, lambda r: r * r / mp.exp(r), -high, high, bits)


def expm1():
    """exp(r) - 1 = r + r^2 q(r), relative to r."""
    for name, degree, bits in (("M_64", 10, 53), ("M_32", 5, 24)):
        high = near_half_ln2(bits)
        q = lambda r: exp_tail(r, 2)
        show(name, range(degree + 1), q, lambda r: r, -high, high, bits, [0.5])


def log():
    """log(1 + f) = f - f^2/2 + s (f^2/2 + z P(z)), s = f/(2 + f), z = s^2."""
    high = mp.mpf("0.2") ** 2
    for name, degree, bits in (("P_64", 7, 53), ("P_32", 3, 24)):
        p = lambda z: series(lambda k: mp.mpf(2) / (2 * k + 1), z, 1)
        show(name, range(degree + 1), p, lambda z: z / 2, 0, high, bits)


def sin():
    """sin(r) = r + r z S(z), cos(r) = 1 - z/2 + z^2 C(z), z = r^2, |r| up to pi/4 and a little."""
    for suffix, degree, bits, high in (("64", 5, 53, "0.78548"), ("32", 2, 24, "0.8")):
        high = mp.mpf(high) ** 2
        s = lambda z: series(lambda k: (-1) ** k / mp.factorial(2 * k + 1), z, 1)
        c = lambda z: series(lambda k: (-1) ** k / mp.factorial(2 * k), z, 2)
        show(f"SIN_{suffix}", range(degree + 1), s, lambda z: z, 0, high, bits)
        show(f"COS_{suffix}", range(degree + 1), c, lambda z: z * z, 0, high, bits)
    # For single precision by way of double.
    high = mp.mpf("0.7854") ** 2
    s = lambda z: series(lambda k: (-1) ** k / mp.factorial(2 * k + 1), z, 1)
    c = lambda z: series(lambda k: (-1) ** k / mp.factorial(2 * k), z, 1)
    show("SIN_WIDE", range(4), s, lambda z: z, 0, high)
    show("COS_WIDE", range(4), c, lambda z: z, 0, high)


def sin_half_period():
    """sin(r) = r + r z S(z) for |r| up to pi/2 and a little."""
    s = lambda z: series(lambda k: (-1) ** k / mp.factorial(2 * k + 1), z, 1)
    for suffix, degree, bits, high in (("64", 7, 53, "1.571"), ("32", 3, 24, "1.62")):
        weight = lambda z: z / (1 + z * s(z))
        show(f"HALF_PERIOD_{suffix}", range(degree + 1), s, weight, 0, mp.mpf(high) ** 2, bits)
    pieces("PI", mp.pi, (53, 53, 53))
    pieces("PI_SINGLE", mp.pi, (24, 24, 24))


def log_octave_table():
    """log(1 + z) = z + z^2 P(z) and log2(1 + z) = c z + z P(z) beside tables, single precision."""
    low, high = mp.mpf(-1) / 63, mp.mpf(1) / 32
    p = lambda z: series(lambda k: mp.mpf((-1) ** (k + 1)) / k, z, 2)
    show("TABLED_32", range(3), p, lambda z: z, low, high, 24)
    c = round_to(1 / LN2, 24)
    q = lambda z: series(lambda k: mp.mpf((-1) ** (k + 1)) / k / LN2, z, 1) - c
    show("TABLED_2_32", range(4), q, lambda z: mp.mpf(1), low, high, 24)


def rational(name, target, counts, high, bits=53):
    """target(z) = (1 + z P(z))/(1 + z Q(z)) with so many coefficients of P and Q.

    Times the denominator, the problem is linear: the denominator found before gives its weight.
    """
    n_p, n = counts[0], sum(counts)
    n_points = 10 * n + 10
    angles = [mp.pi * (2 * i + 1) / (2 * n_points) for i in range(n_points)]
    points = [high / 2 * (1 - mp.cos(angle)) for angle in angles]
    sums = lambda c, z: 1 + sum(value * z ** (k + 1) for k, value in enumerate(c))
    error = lambda c, z: abs(sums(c[:n_p], z) / sums(c[n_p:], z) / target(z) - 1)
    emphasis, below, best = [mp.mpf(1)] * len(points), [mp.mpf(1)] * len(points), None
    for _ in range(25):
        matrix, right = mp.matrix(len(points), n), mp.matrix(len(points), 1)
        for i, (z, e, d) in enumerate(zip(points, emphasis, below, strict=True)):
            scale = mp.sqrt(e) / (target(z) * d)
            for k in range(n):
                matrix[i, k] = z ** (k + 1) * scale if k < n_p else 0
            for k in range(n_p, n):
                matrix[i, k] = -target(z) * z ** (k - n_p + 1) * scale
            right[i] = (target(z) - 1) * scale
        c = list(mp.lu_solve(matrix.T * matrix, matrix.T * right))
        below = [sums(c[n_p:], z) for z in points]
        errors = [error(c, z) for z in points]
        if best is None or max(errors) < best[0]:
            best = max(errors), c
        total = sum(e * f for e, f in zip(emphasis, errors, strict=True))
        emphasis = [e * f / total for e, f in zip(emphasis, errors, strict=True)]
    c = [round_to(value, bits) for value in best[1]]
    worst = max(error(c, high * i / 2000) for i in range(1, 2001))
    print(f"/// Error 2^{mp.nstr(mp.log(worst, 2), 4)} on [0, {mp.nstr(high, 5)}].")
    for letter, part in (("P", c[:n_p]), ("Q", c[n_p:])):
        print(f"const {name}_{letter}: [f64; {len(part)}] = [")
        for coefficient in part:
            print(f"    {literal(coefficient)},")
        print("];")


def tan():
    """tan(r) = r (1 + z P(z))/(1 + z Q(z)) or r + r z T(z), |r| up to pi/4 and a little."""

    def t(z):
        if z < mp.mpf(10) ** -20:
            return mp.mpf(1) / 3
        r = mp.sqrt(z)
        return (mp.tan(r) - r) / (r * z)

    rational("TAN", lambda z: 1 + z * t(z), (3, 4), mp.mpf("0.78548") ** 2)
    show("TAN_32", range(7), t, lambda z: z / (1 + z * t(z)), 0, mp.mpf("0.8") ** 2, 24)
    high = mp.mpf("0.7854") ** 2
    show("TAN_WIDE", range(8), t, lambda z: z / (1 + z * t(z)), 0, high)


def asin():
    """asin(x) = x + x z A(z), z = x^2 up to 1/4."""

    def term(k):
        return mp.binomial(2 * k, k) / mp.mpf(4) ** k / (2 * k + 1)

    a = lambda z: series(term, z, 1, 160)
    for name, degree, bits in (("ASIN_64", 12, 53), ("ASIN_32", 4, 24)):
        show(name, range(degree + 1), a, lambda z: z / (1 + z * a(z)), 0, "0.25", bits)
    show("ASIN_WIDE", range(6), a, lambda z: z / (1 + z * a(z)), 0, "0.25")


def atan():
    """atan(t) = t + t z A(z), z = t^2 up to (7/16)^2."""
    high = mp.mpf(7) / 16
    high = high * high
    a = lambda z: series(lambda k: mp.mpf((-1) ** k) / (2 * k + 1), z, 1, 130)
    for name, degree, bits in (("ATAN_64", 10, 53), ("ATAN_32", 4, 24)):
        show(name, range(degree + 1), a, lambda z: z / (1 + z * a(z)), 0, high, bits)
    show("ATAN_WIDE", range(6), a, lambda z: z / (1 + z * a(z)), 0, high)


def sinh():
    """sinh(r) = r + r z S(z), cosh(r) = 1 + z C(z), |r| up to (log 2)/2."""
    for suffix, degree, bits in (("64", 5, 53), ("32", 3, 24)):
        high = near_half_ln2(bits) ** 2
        s = lambda z: series(lambda k: 1 / mp.factorial(2 * k + 1), z, 1, 60)
        c = lambda z: series(lambda k: 1 / mp.factorial(2 * k), z, 1, 60)
        show(f"SINH_{suffix}", range(degree), s, lambda z: z, 0, high, bits)
        show(f"COSH_{suffix}", range(degree), c, lambda z: z, 0, high, bits)


def pow_table():
    """The table of pow: u near 1/m for m in sixteenths, modulo 16, and -log u in two parts."""
    rows = []
    for i in range(16):
        m = mp.mpf(i + 16 if i < 12 else i) / 16
        low, high = max(m - mp.mpf(1) / 32, mp.mpf(3) / 4), min(m + mp.mpf(1) / 32, mp.mpf(3) / 2)
        if low >= high:
            rows.append((mp.mpf(1), mp.mpf(0)))
            continue
        # So few bits that u m - 1 has 53.
        steps = 16 if high <= 1 else 32
        candidates = [mp.mpf(k) / steps for k in range(steps // 2, 2 * steps)]
        u, z = min(
            ((u, max(abs(u * low - 1), abs(u * high - 1))) for u in candidates), key=lambda p: p[1]
        )
        if m == 1:
            u, z = mp.mpf(1), mp.mpf(1) / 32
        assert z < mp.mpf(1) / 16
        rows.append((u, z))
    print("// largest z:", mp.nstr(max(z for _, z in rows), 5))
    for name, column in (
        ("TABLE_U", [u for u, _ in rows]),
        ("TABLE_HIGH", [mp.nint(-mp.log(u) * 2**42) / 2**42 for u, _ in rows]),
        ("TABLE_LOW", [-mp.log(u) - mp.nint(-mp.log(u) * 2**42) / 2**42 for u, _ in rows]),
    ):
        print(f"const {name}: [f64; 16] = [")
        for value in column:
            print(f"    {literal(round_to(value, 53))},")
        print("];")


def pow():
    """log(1 + z) = z - z^2/2 + z^3 L(z), |z| up to 0.055; up to 1/32 where the logarithm is small."""
    high = mp.mpf("0.055")

    def relative(z):
        # The logarithm is z itself, or at least 0.03.
        return z if abs(z) < mp.mpf(1) / 32 else mp.mpf("0.033")

    p = lambda z: series(lambda k: mp.mpf((-1) ** (k + 1)) / k, z, 3)
    show("L_64", range(10), p, lambda z: z**3 / relative(z), -high, high)
    p = lambda z: series(lambda k: mp.mpf((-1) ** (k + 1)) / k, z, 2)
    show("L_WIDE", range(6), p, lambda z: z**2 / relative(z), -high, high)
    q = lambda r: exp_tail(r, 2)
    high = near_half_ln2(53)
    show("Q_WIDE", range(6), q, lambda r: r * r / mp.exp(r), -high, high)


def erf():
    """erf(x) = x + x E(x^2) up to 1; beyond, erf(x) = 1 - exp(-x^2) G(x)."""
    factor = 2 / mp.sqrt(mp.pi)

    def e(z):
        terms = (mp.mpf((-1) ** k) / (mp.factorial(k) * (2 * k + 1)) * z**k for k in range(60))
        return factor * mp.fsum(terms) - 1

    def g(x):
        return mp.exp(x * x) * mp.erfc(x)

    # t = (x - 3) / (x + 3) evens out the slope of G.
    def x_of(t):
        return 3 * (1 + t) / (1 - t)

    for suffix, near, far, bits, high in (("64", 12, 11, 53, 6), ("32", 6, 5, 24, 4)):
        show(f"NEAR_{suffix}", range(near + 1), e, lambda z: 1 / (1 + e(z)), 0, 1, bits)
        show(
            f"FAR_{suffix}",
            range(far + 1),
            lambda t: g(x_of(t)),
            lambda t: mp.exp(-(x_of(t) ** 2)),
            mp.mpf(1 - 3) / (1 + 3),
            mp.mpf(high - 3) / (high + 3),
            bits,
        )


def cbrt():
    """m^(-1/3) on [3/4, 3/2), roughly."""
    f = lambda m: m ** (-mp.mpf(1) / 3)
    high = mp.mpf(3) / 2
    for name, degree, bits in (("ROOT_64", 5, 53), ("ROOT_32", 4, 24)):
        show(name, range(degree + 1), f, lambda m: 1 / f(m), high / 2, high, bits)


ALL = [
    constants,
    exp,
    expm1,
    log,
    log_octave_table,
    sin,
    sin_half_period,
    tan,
    asin,
    atan,
    sinh,
    pow_table,
    pow,
    erf,
    cbrt,
]

if __name__ == "__main__":
    words = sys.argv[1:]
    for table in ALL:
        if not words or any(word in table.__name__ for word in words):
            print(f"// {table.__doc__}")
            table()
