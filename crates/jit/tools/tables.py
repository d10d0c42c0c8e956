"""Makes the tables of crates/jit/src/vmath/functions/tables.rs and prints the file.

Sines, powers and the like are rounded; entries of logarithms and of tanh are searched for (Gal 1986),
outwards from where a piece is best served, until one is as accurate as the search asks.

    python tables.py | rustfmt > ../src/vmath/functions/tables.rs

Needs mpmath, and minimax.py beside it.
"""

import itertools
import struct

import mpmath as mp
from minimax import fit, literal, round_to

mp.mp.prec = 200
SINGLE, DOUBLE = 24, 53
LN2, LN10 = mp.log(2), mp.log(10)

HEADER = """//! Tables that AVX-512 keeps in two registers each and looks up in one cycle; `tools/tables.py` makes
//! this file.
//!
//! The entries lie close enough that polynomials between them are short, and replace divisions. Each
//! is indexed by the low bits of a sum with a magic number (see `scaling`) or of an exponent and
//! significand: 16 entries a period in double precision, 32 in single.
//!
//! Entries of logarithms are chosen, not given (Gal 1986): in double precision −log u lies within
//! 2⁻⁶⁵ of a number with few bits, so that sums with the exponent are exact and there is no second
//! part, and in single precision within 2⁻³¹ of such a one or 2⁻³⁴ of a single.

#![expect(
    clippy::approx_constant,
    reason = "a table is a table, whatever constants are in it"
)]

use crate::vmath::lanes::Table;
"""


def single_literal(value):
    """A Rust literal of a single: shortest that reads back, digits in groups of three."""
    bits = struct.pack("f", value)
    for digits in range(1, 10):
        text = f"{float(value):.{digits}g}"
        if struct.pack("f", float(text)) == bits:
            return literal(float(text))
    raise AssertionError(value)


def rounded(values, bits):
    return [round_to(mp.mpf(value), bits) for value in values]


def array(values, write):
    return "[" + ", ".join(write(value) for value in values) + "]"


def table(name, text, double=None, single=None):
    print(f"\n/// {text}")
    arrays = [array(double, literal)] if double else []
    arrays += [array(single, single_literal)] if single else []
    kind = "new" if double and single else "double" if double else "single"
    print(f"pub(super) static {name}: Table = Table::{kind}({', '.join(arrays)});")


def lost(values, bits):
    """What rounding loses of each value."""
    return [round_to(value - round_to(value, bits), bits) for value in values]


def powers(sign, n):
    return [mp.mpf(2) ** (sign * mp.mpf(i) / n) for i in range(n)]


def outwards():
    """0, 1, -1, 2, -2 …"""
    yield 0
    for k in itertools.count(1):
        yield from (k, -k)


def logarithms(base, n, bits, unit, bound):
    """u near 1/m and -log u by m in [3/4, 3/2) in 21sts or 42nds: multiples of `unit` within `bound`."""
    parts = {16: 21, 32: 42}[n]
    reciprocals, offsets = [mp.mpf(1)] * n, [mp.mpf(0)] * n
    for i in range(n, 2 * n):
        low, high = mp.mpf(2 * i - 1) / (2 * parts), mp.mpf(2 * i + 1) / (2 * parts)
        if low <= 1 <= high:
            continue
        best = -mp.log(2 / (max(low, mp.mpf(3) / 4) + min(high, mp.mpf(3) / 2))) / base
        start = mp.nint(best / unit)
        for k in outwards():
            offset = (start + k) * unit
            u = round_to(mp.exp(-offset * base), bits)
            if abs(-mp.log(u) / base - offset) < bound:
                reciprocals[i % n], offsets[i % n] = u, offset
                break
    return reciprocals, offsets


def octave_logarithms(base):
    """u near 1/m and -log u by m in [1, 2) in 32nds, within 2^-34 of singles.

    Above sqrt 2, m is mostly half of a number below 1, whose logarithm is -log u less the single
    nearest to log 2: that difference is what is accurate. Next to 1 and to 2 it is exact.
    """
    log_2 = LN2 / base
    moved = round_to(log_2, SINGLE) - log_2
    reciprocals, offsets = [mp.mpf(1)], [mp.mpf(0)]
    for i in range(1, 31):
        start = round_to(2 / (mp.mpf(2 * i + 65) / 32), SINGLE)
        for k in outwards():
            u = start + k * mp.mpf(2) ** -24
            exact = -mp.log(u) / base + (moved if i > 13 else 0)
            offset = round_to(exact, SINGLE)
            if abs(exact - offset) < mp.mpf(2) ** -34:
                reciprocals.append(u)
                offsets.append(offset)
                break
    return [*reciprocals, mp.mpf(1) / 2], [*offsets, round_to(log_2, SINGLE)]


def tanh_pieces():
    """Of each piece of |x|: the centre, tanh there, and coefficients of (tanh(c + d) - tanh c)/d."""
    centres, values, columns = [mp.mpf(10)] * 32, [mp.mpf(1)] * 32, [[mp.mpf(0)] * 5] * 32
    for i in range(492, 522):
        octave = mp.mpf(2) ** (i // 4 - 127)
        low, high = octave * (4 + i % 4) / 4, octave * (5 + i % 4) / 4
        if i == 492:
            low, centre, value = -high, mp.mpf(0), mp.mpf(0)
        else:
            step = octave * mp.mpf(2) ** -23
            start = round_to((low + high) / 2, SINGLE)
            for k in outwards():
                centre = start + k * step
                value = round_to(mp.tanh(centre), SINGLE)
                if abs(mp.tanh(centre) - value) < mp.mpf(2) ** -34:
                    break
        base, slope = mp.tanh(centre), 1 - mp.tanh(centre) ** 2

        def target(d, base=base, slope=slope, centre=centre):
            return slope if abs(d) < mp.mpf(2) ** -60 else (mp.tanh(centre + d) - base) / d

        def weight(d, centre=centre):
            x = centre + d
            return mp.mpf(1) if centre == 0 else d / mp.tanh(x)

        columns[i % 32], _ = fit(range(5), target, weight, low - centre, high - centre, SINGLE)
        centres[i % 32], values[i % 32] = centre, value
    return centres, values, list(zip(*columns, strict=True))


def main():
    print(HEADER, end="")
    sixteenths, thirty_seconds = powers(1, 16), powers(1, 32)
    table(
        "EXP2",
        "2^(i/16) and 2^(i/32).",
        rounded(sixteenths, DOUBLE),
        rounded(thirty_seconds, SINGLE),
    )
    table("EXP2_LOW", "What rounding lost of [`EXP2`].", lost(sixteenths, DOUBLE))
    sixteenths, thirty_seconds = powers(-1, 16), powers(-1, 32)
    table(
        "INVERSE_EXP2",
        "2^(−i/16) and 2^(−i/32).",
        rounded(sixteenths, DOUBLE),
        rounded(thirty_seconds, SINGLE),
    )
    table(
        "INVERSE_EXP2_LOW",
        "What rounding lost of [`INVERSE_EXP2`].",
        lost(sixteenths, DOUBLE),
        lost(thirty_seconds, SINGLE),
    )
    for name, base, spelling in (
        ("LOG", mp.mpf(1), "log"),
        ("LOG2", LN2, "log₂"),
        ("LOG10", LN10, "log₁₀"),
    ):
        two = mp.mpf(2)
        doubles = logarithms(base, 16, DOUBLE, two**-42, two**-65)
        if name == "LOG10":
            singles, singly = logarithms(base, 32, SINGLE, two**-16, two**-31), "in 42nds"
        else:
            singles, singly = octave_logarithms(base), "by m in [1, 2) in 32nds"
        table(
            f"{name}_RECIPROCAL",
            f"For {spelling}: u near 1/m, by m in [¾, 3/2) in 21sts, and {singly}.",
            doubles[0],
            singles[0],
        )
        table(name, f"−{spelling} u.", doubles[1], singles[1])
    centres, values, columns = tanh_pieces()
    table(
        "TANH_CENTRE",
        "tanh in single precision, by the exponent and two more bits of |x|: centres c whose tanh c is\n"
        "/// within 2⁻³⁴ of a single, tanh c, and the coefficients of (tanh(c + d) − tanh c)/d.",
        single=centres,
    )
    table("TANH_VALUE", "As [`TANH_CENTRE`].", single=values)
    arrays = ", ".join(f"Table::single({array(column, single_literal)})" for column in columns)
    print("\n/// As [`TANH_CENTRE`].")
    print(f"pub(super) static TANH_COEFFICIENTS: [Table; 5] = [{arrays}];")


if __name__ == "__main__":
    main()
