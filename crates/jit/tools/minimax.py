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
    print(f"/// Powers {powers}, on [{low}, {high}], error 2^{mp.nstr(mp.log(worst, 2), 4)}.")
    print(f"const {name}: [f64; {len(coefficients)}] = [")
    for coefficient in coefficients:
        print(f"    {literal(coefficient)},")
    print("];")


def truncated(value, drop):
    """`value` in double precision with the lowest `drop` bits zero."""
    return round_to(mp.mpf(value), 53 - drop)


def series_safe(f, series, threshold):
    """`f`, replaced by its series where cancellation would eat the precision."""
    return lambda x: series(x) if abs(x) < threshold else f(x)
