"""Characters of strings in registers, and text that grows in place, against CPython."""

import importlib
import pathlib
import sys

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def at(s, i):
    return s[i], s[-1], s[i] == "a", s[i] in "abc", s[i] not in s[1:]


def kinds(s):
    found = []
    for c in s:
        found.append((c, c.isalpha(), c.isdigit(), c.isspace(), c.isalnum()))
        found.append((c.isupper(), c.islower(), c.upper(), c.lower(), ord(c), len(c)))
        found.append(chr(ord(c) + 1))
    return found


def compared(a, b):
    n = 0
    for x in a:
        for y in b:
            n += (x == y) + 2 * (x < y) + 4 * (x >= y) + 8 * (x != y) + (x == "ab") + (x > "")
            if x is None or x == None or not x:  # noqa: E711
                n += 100
    return n


def grown(s, n):
    other = s
    for i in range(n):
        s += chr(97 + i)
        if i == 3:
            kept = s
        s = s + "-x"
    return s, other, kept


def grown_from_both_sides(s):
    out = ""
    for c in s:
        out = c + out
        out += out
        out += c * 2
    return out


def pieces(s):
    out = []
    current = ""
    for c in s:
        if c == ",":
            out.append(current)
            current = ""
        else:
            current += c
    out.append(current)
    return out


def joined(s):
    out = []
    for c in s:
        if c != "l":
            out.append(c)
    return "".join(out), "-".join(out), len(out)


def numbers(s):
    total = 0
    for c in s:
        total = total * 10 + int(c)
    return total


def last(s, default):
    found = default
    for c in s:
        if c > "f":
            found = c
    return found, found == default, str(found), [found], {found: 1}, f"{found}"


def first_of(c):
    return c[0]


def vowels(s):
    n = 0
    for c in s:
        if is_vowel(c):
            n += 1
    return n, following(s[0]) if s else None


def is_vowel(c):
    return c in "aeiou"


def following(c):
    return chr(ord(c) + 1)


def characters(codes):
    out = ""
    for code in codes:
        out += chr(code)
    return out


def caught(s):
    out = []
    for i in range(len(s) + 1):
        c = "?"
        try:
            c = s[i + 1]
        except IndexError:
            out.append(c)
        out.append(c)
    return out


def parts_of_a_pair(pairs):
    total = 0.0
    for name, weight in pairs:
        total += weight * len(name)
        for c in name:
            total += c == "a"
    return total


def minimum_and_maximum(values):
    low, high = extremes(values)
    return high - low, extremes(values)[0]


def extremes(values):
    low = high = values[0]
    for value in values:
        low = min(low, value)
        high = max(high, value)
    return low, high


TEXTS = ["", "a", "hello", "aé€\U0001f40d", "b c\td\x1c\x85", "Zz9_", "ß1", "\ud800x", "l"]


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (at, [(s, i) for s in TEXTS for i in (0, 1, -1, -2, 5, True, 2**70)]),
        (kinds, [(s,) for s in TEXTS]),
        (compared, [(a, b) for a in TEXTS for b in TEXTS]),
        (grown, [(s, n) for s in ("", "a", "é") for n in (0, 3, 10)]),
        (grown_from_both_sides, [(s,) for s in TEXTS]),
        (pieces, [("a,b,,c",), ("",), (",",)]),
        (joined, [(s,) for s in TEXTS]),
        (numbers, [("123",), ("",), ("12x",), ("٣4",), ("9" * 30,)]),
        (last, [(s, d) for s in ("", "xyz", "abc") for d in ("", "?", None, 1)]),
        (first_of, [("abc",), ("é",), ("",), ([1],)]),
        (vowels, [(s,) for s in TEXTS]),
        (characters, [([97, 0x20AC, 0x1F40D],), ([-1],), ([0x110000],), ([0xD800],), ([2**70],)]),
        (caught, [("abc",), ("",)]),
        (parts_of_a_pair, [([("ab", 1.5), ("a", 2.0)],), ([("ab", 1.5), ("a", 2)],), ([(1, 2)],)]),
        (minimum_and_maximum, [([3, 1, 2],), ([0.5, 2],), (["b", "a"],), ([2**62, -(2**62)],)]),
    ],
)
def test_against_python(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_nothing_leaks():
    functions = [
        (opcodon.jit(grown), ("a", 10)),
        (opcodon.jit(caught), ("abc",)),
        (opcodon.jit(last), ("xyz", "")),
        (opcodon.jit(minimum_and_maximum), ([0.5, 2],)),
    ]
    check_no_leak(functions)
