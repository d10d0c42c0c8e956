"""Loops over simple generators, which need no generator, against CPython.

Wherever such a loop is left, Python goes on with a generator that has come as far: the results, the
exceptions and the lines of both functions in tracebacks are the same.
"""

import importlib
import pathlib
import random
import sys

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def squares(n):
    for i in range(n):
        yield i * i


def fibonacci(a, b, limit):
    """Numbers up to a limit."""
    while a < limit:
        yield a
        a, b = b, a + b


def odd(n, k):
    i = 0
    while True:
        if i % 2:
            for j in range(k):
                if j == 2:
                    continue
                yield i * 10 + j
            i += 0
        i += 1
        if i > n:
            break


def shares(n, by):
    for i in range(n):
        yield 12 / (by - i)


def once(x):
    yield x


def powers(x, n):
    while n > 0:
        yield x
        x = x * x
        n -= 1


def unbound(n):
    for i in range(n):
        if i > 2:
            last = i
        yield last if i > 1 else i


def steps(n):
    yield n
    for i in range(n):
        yield i
        if i % 3 == 1:
            yield i * 10
    yield -1


def either(n):
    i = 0
    while i < n:
        if i % 2 == 0:
            yield i // 2
        else:
            yield i * 3.0 - n / (i - 7)
        i += 1


def several(n, skipped, last):
    seen = []
    for x in steps(n):
        if x == skipped:
            continue
        if x == last:
            break
        seen.append(x)
        if x == 70:
            return seen
    else:
        seen.append("end")
    return seen, x


def both(n):
    s = 0
    for x in steps(n):
        for y in either(x % 4):
            if y > 3:
                break
            s += x * y
    return s, x


def failing(n, by):
    s = 0
    for x in steps(n):
        s += 100 // (by - x)
    return s


def gathered(n):
    return sum(steps(n)) + sum(either(n)), list(steps(n)), list(squares(n))


def gathered_in_turn(n):
    found = []
    for k in range(n):
        found.append(sum(squares(k)))
        if sum(either(k)) > 20:
            found += list(either(k))
    return found


def total(n):
    s = 0
    for x in squares(n):
        s += x
    return s


def with_else(n, skipped, last):
    seen = []
    for x in fibonacci(1, 2, n):
        if x == skipped:
            continue
        if x > last:
            break
        seen.append(x)
    else:
        seen.append(-1)
    return seen, x


def never_left(n, skipped):
    seen = []
    for x in odd(n, 4):
        if x == skipped:
            continue
        seen.append(x)
    else:
        seen.append("end")
    return seen


def nested(n, k):
    s = 0
    for x in odd(n, k):
        for y in squares(x % 5):
            if y > 5:
                break
            if y == 1:
                continue
            s += y + x
        else:
            s -= 1
        if s > 2000:
            return s, x, y
    return s


def same_names(n):
    i, a, b = 100, 200, 300
    out = []
    for i in fibonacci(0, 1, n):
        a += i
        out.append((i, a, b))
    return out, i, a, b


def into_items(n):
    out = {}
    for out["x"] in squares(n):
        out[out["x"]] = 1
    return out


def raised(n, by):
    s = 0
    for x in shares(n, by):
        s += x
    return s


def raised_in_body(n, by):
    s = 0
    for x in squares(n):
        s += 100 // (by - x)
    return s


def caught(n, by):
    s = []
    try:
        for x in shares(n, by):
            s.append(x)
    except ZeroDivisionError:
        s.append("zero")
    for x in squares(n):
        try:
            s.append(1 // (by - x))
        except ZeroDivisionError:
            s.append("one")
    return s


def one(x):
    for y in once(x):
        x = y * 2
    return x, y


def large(x, n):
    s = 0
    for y in powers(x, n):
        s += y
        s ^= 3
    return s


def uses_unbound(n):
    s = 0
    for x in unbound(n):
        s += x
    return s


def wrong_number(n):
    s = 0
    for x in squares(n, 1):
        s += x
    return s


def left_by_print(n):
    for x in squares(n):
        if x > 5:
            print("x", x)
    return x


def rebinds_arguments(n):
    s = 0
    for x in squares(n):
        n = x
        s += n
    return s, n


def hides_builtins(n, range):  # noqa: A002
    s = 0
    for x in squares(n):
        s += x * range
    return s


CALLS = [
    (hides_builtins, [(5, 2), (0, 1)]),
    (several, [(n, k, j) for n in (0, 1, 5, 9) for k in (-1, 1, 10) for j in (-1, 4, 40, 99)]),
    (several, [(2**64, 1, 40), (2.5, 1, 2), ("a", 1, 2)]),
    (both, [(0,), (1,), (6,), (30,), (2.0,)]),
    (failing, [(3, 50), (6, 4), (6, 40), (6, -1), (4, 4), (3, "a")]),
    (gathered, [(0,), (1,), (6,), (9,), (2.5,), ("a",), (None,)]),
    (gathered_in_turn, [(0,), (3,), (7,), (9,)]),
    (total, [(0,), (5,), (1000,), (True,), (-3,), (2.5,), ("a",), ([1],), (2**62,)][:8]),
    (
        with_else,
        [(n, 3, last) for n in (0, 1, 2, 50, 2.5, 10**30) for last in (0, 20, 10**40)][:-1],
    ),
    (never_left, [(n, 31) for n in (0, 1, 6, 2.0)]),
    (nested, [(n, k) for n in (0, 3, 40) for k in (0, 1, 4)]),
    (same_names, [(0,), (1,), (60,), (10.5,)]),
    (into_items, [(0,), (3,)]),
    (raised, [(3, 5), (3, 2), (4, 0), (3, 1.0), (2, "a"), (None, 1)]),
    (raised_in_body, [(3, 5), (3, 4), (4, 0), (5, 1.0), (2, "a")]),
    (caught, [(3, 5), (3, 2), (4, 0), (3, 1.0)]),
    (one, [(3,), (0.5,), (2**70,), (None,), ("ab",), ([],)]),
    (large, [(3, 4), (3, 8), (2**31, 3), (-(2**40), 4), (1.5, 12), (2**64, 2)]),
    (uses_unbound, [(1,), (2,), (3,), (6,)]),
    (wrong_number, [(2,)]),
    (left_by_print, [(0,), (1,), (5,)]),
    (rebinds_arguments, [(0,), (1,), (7,)]),
]


@pytest.mark.parametrize(
    ("function", "calls"), [pytest.param(*case, id=case[0].__name__) for case in CALLS]
)
def test_loops(function, calls):
    jitted = opcodon.jit(function)
    check_calls(function, jitted, calls)
    # Once more with what is compiled.
    check_calls(function, jitted, calls)


def test_sums_are_native():
    jitted = opcodon.jit(total)
    assert jitted(1000) == total(1000)
    assert jitted.is_native


def test_a_generator_bound_anew():
    names = {}
    import linecache

    source = (
        "def part(n):\n    i = 0\n    while i < n:\n        yield i\n        i += 1\n"
        "def whole(n):\n    s = 0\n    for x in part(n):\n        s += x\n    return s\n"
    )
    linecache.cache["<anew generator>"] = (
        len(source),
        None,
        source.splitlines(True),
        "<anew generator>",
    )
    exec(compile(source, "<anew generator>", "exec"), names)
    whole = opcodon.jit(names["whole"])
    assert [whole(4), whole(5)] == [6, 10]
    first = names["part"]
    names["part"] = lambda n: iter([n, n])
    assert [whole(4), whole(5)] == [8, 10]
    names["part"] = first
    assert whole(4) == 6
    first.__code__ = odd.__code__.replace(co_argcount=1, co_nlocals=4) and squares.__code__
    assert whole(4) == 14


def test_random_generators():
    for seed in range(60):
        rng = random.Random(seed)
        exit_at, step = rng.randrange(1, 40), rng.choice([1, 2, 3])
        kinds = rng.sample(["continue", "break", "else", "big", "return", "raise"], 3)
        lines = ["def g(a, n):", "    i = a", "    while i < n:"]
        if rng.random() < 0.5:
            lines += ["        for k in range(i % 4):", "            if k == 1:"]
            lines += [f"                {rng.choice(['pass', 'continue', 'break'])}"]
            lines += ["            yield i * 3 + k"]
        else:
            lines += [f"        if i % {rng.randrange(1, 4)} == 0:", "            yield i * i - n"]
        if seed % 2:
            lines += ["        if i % 5 < 3:", "            yield i + 100", "        yield -i"]
        lines += [f"        i += {step}", ""]
        lines += ["def f(a, n):", "    s = t = 0", "    for x in g(a, n):", "        t += 1"]
        for kind in kinds:
            if kind in ("continue", "break", "return"):
                word = "return s, t, x" if kind == "return" else kind
                lines += [f"        if x % {rng.randrange(2, 30)} == {rng.randrange(2)}:"]
                lines += [f"            {word}"]
            elif kind == "big":
                lines += [f"        if t == {exit_at}:", "            s += 2**62"]
            elif kind == "raise":
                lines += [f"        s += 5 // (t - {exit_at * 3})"]
            lines += ["        s += x"]
        if "else" in kinds:
            lines += ["    else:", "        s -= 1000"]
        lines += ["    return s, t"]
        source = "\n".join(lines) + "\n"
        name = f"<generator {seed}>"
        import linecache

        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        space = {}
        exec(compile(source, name, "exec"), space)
        calls = [(a, n) for a in (0, 1, -5, 0.5) for n in (0, 3, 30, 90, 10.5)]
        check_calls(space["f"], opcodon.jit(space["f"]), calls)
