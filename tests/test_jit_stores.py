"""Results that go into arrays that are there, against numpy: bits, overlaps, layouts, warnings.

Random stores into arrays of random types and layouts, whose right sides read the same memory; what
raises or warns must do so as in Python, with everything stored that numpy had stored before.
"""

import importlib
import linecache
import pathlib
import random
import subprocess
import sys

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from outcomes import NEW_NUMPY, again, check, outcome, reals

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def eliminated(a, f):
    n = a.shape[0]
    for i in range(n):
        for j in range(i + 1, n):
            a[j, i:] -= f * a[i, i:]
    return a


def eliminated_by_rows(a, f):
    for i in range(1, a.shape[0]):
        a[i] -= f * a[i - 1]
        a[i] = a[i] * 2 + a[0]
    return a


def heated(u, n):
    for _ in range(n):
        u[1:-1] += 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return u


def heated_plane(u, n):
    for _ in range(n):
        u[1:-1, 1:-1] = 0.25 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2])
    return u


def moved(x, v, dt):
    for _ in range(3):
        v -= 0.5 * x
        x += dt * v
        x *= 0.99
    return x, v


def rows_standardised(a, out):
    for i in range(a.shape[0]):
        m = a[i, 0]
        s = a[i, 1]
        out[i, :] = (a[i, :] - m) / s
        out[i, ::2] = 0.5
    return out


def columns(a, k):
    a[:, k] = a[:, 0] * 2 + a[:, 1]
    a[:, 1] /= a[:, 0]
    a[::-1, 0] = a[:, k]
    a[..., 0] = 2.0
    return a


def shifted(u):
    u[1:] = u[:-1]
    u[:-1] = u[1:] + u[:-1]
    u[1:] += u[:-1] * 1.0
    u[::-1] -= u * 2.0
    u[2:] = u[:-2]
    return u


def filled(u):
    u[1:3] = 0
    u[::2] = 1
    u[5:2] = 3
    u[-4:] = True
    return u


def sieve(n):
    s = np.ones(n + 1, dtype=bool)
    s[:2] = False
    for i in range(2, int(n**0.5) + 1):
        if s[i]:
            s[i * i :: i] = False
    return s


def broadcast(a, b):
    a[:, :] = b * 2
    a[0] = b[0]
    a += b
    return a


def bound_twice(a, b):
    c = a
    a += b * 2
    a -= c * 0.5
    return a is c, a, c


def grows(a, b):
    a += b[:, :1] * 2 + b
    return a


def scattered(a, places, values):
    for i in range(len(places)):
        a[places[i]] += values[i]
        a[places[i], 1:] = values[i, 1:] * 0.5
    return a


def passed_on(a):
    for i in range(3):
        t = a[i] * 2
        a[i] = t
        a[i, 0] = t[1]
    return t


@pytest.mark.parametrize("order", ["C", "F"])
def test_stores(order):
    plane = np.asarray(reals(12, 40), order=order)
    # What is read has to lie in order.
    passes = True if order == "C" else None
    check(eliminated, plane, 0.5, passes=passes)
    check(eliminated_by_rows, plane, 0.5, passes=passes)
    check(heated_plane, np.asarray(reals(50, 60), order=order), 4, passes=passes)
    check(rows_standardised, plane, np.zeros_like(plane), passes=passes)
    check(columns, plane, 5, passes=None)
    check(broadcast, plane, plane * 3, passes=passes)
    check(broadcast, plane, plane[:1] * 3, passes=None)
    check(broadcast, plane, plane[:, :3] * 3, passes=None)
    check(passed_on, plane, passes=None)
    check(scattered, plane, np.array([3, -1, 0, 3]), plane[4:8] * 2, passes=passes)
    check(scattered, plane, [3, -1, 0, 12], plane[4:8] * 2, passes=None)
    check(scattered, plane, np.array([3, -13], np.int32), plane[4:8] * 2, passes=None)


def test_stores_in_vectors():
    check(heated, reals(50), 5)
    check(heated, reals(100)[::2], 5)
    check(heated, reals(50)[::-1], 5, passes=None)
    check(heated, reals(2), 5, passes=None)
    check(heated, np.arange(50), 5, passes=None)
    check(moved, reals(40), reals(40, seed=1), 0.25)
    check(moved, reals(40), reals(80)[::2], 0.25)
    check(moved, reals(40), reals(1), 0.25, passes=None)
    check(moved, 2.0, 3.0, 0.25, passes=None)
    check(moved, np.float64(2.0), np.float32(3.0), 0.25, passes=None)
    check(moved, reals(40).astype(np.float32), reals(40).astype(np.float32), 0.25)
    check(moved, reals(40).astype(np.float32), reals(40), 0.25, passes=None)
    check(moved, np.arange(40), np.arange(40), 2, passes=None)
    check(shifted, reals(40))
    check(shifted, reals(40)[::-1], passes=None)
    check(shifted, np.array([1.5]), passes=None)
    for kind in "dfqiHBb?":
        check(filled, np.arange(30).astype(kind), passes=None)
    check(filled, np.zeros((9, 2, 3)), passes=None)
    check(bound_twice, reals(40), reals(40, seed=2))
    check(grows, reals(1, 5), reals(4, 5), passes=None)
    check(grows, reals(4, 5), reals(4, 5), passes=None)
    assert sieve(1000).tobytes() == opcodon.jit(sieve)(1000).tobytes()


def test_what_cannot_be_stored():
    fixed = reals(40)
    fixed.flags.writeable = False
    for function, args in [(heated, (fixed, 2)), (moved, (fixed, reals(40), 0.5))]:
        jitted = opcodon.jit(function)
        for _ in range(2):
            with pytest.raises(ValueError, match="read-only"):
                jitted(*args)
    windows = np.lib.stride_tricks.as_strided(reals(40), (10, 4), (8, 8))
    same = np.lib.stride_tricks.as_strided(reals(40), (10, 4), (0, 8))
    for view in (windows, same):
        jitted = opcodon.jit(filled_by_rows)
        for function in (jitted, jitted, filled_by_rows):
            view[:] = 0
            function(view)
            assert view[3, 1] == filled_by_rows(view)[3, 1]


def filled_by_rows(a):
    for i in range(a.shape[0]):
        a[i] = 2.0 * i
    return a


def divided(a, b):
    a[1:] /= b[1:]
    return a


def grown(a, b):
    a[:] = a * b
    a += b
    return a


def test_warnings_and_what_is_stored_before():
    odd = np.array([1.0, 0.0, -1.0, np.inf, np.nan, 1e308, 5e-324] * 6)
    for how in ("ignore", "warn", "raise"):
        with np.errstate(all=how):
            check(divided, odd, odd[::-1].copy(), passes=None)
            check(grown, odd, odd * 3 if how == "ignore" else odd, passes=None)
            check(divided, np.arange(9), np.arange(9), passes=None)


def test_nothing_leaks():
    import sys

    a, b = reals(40), reals(40, seed=1)
    jitted, stores = opcodon.jit(moved), opcodon.jit(shifted)
    jitted(a, b, 0.5), stores(a)
    before = sys.getrefcount(a), sys.getrefcount(b)
    for _ in range(500):
        jitted(a, b, 0.5)
        stores(a)
        a[:] = 1
    assert (sys.getrefcount(a), sys.getrefcount(b)) == before


ROWS = ["a[i]", "a[j]", "a[:, j]", "a[:, i]", "a[-1, :]", "v", "w", "v[::-1]", "a[i, ::-1]"]
CUTS = ["{}[j:]", "{}[1:-1]", "{}[::3]", "{}[:j]", "{}[::-2]"]
PLANES = ["a", "a[::2, ::-1]", "a[i:, 1:]", "a[1:-1]", "a[None]", "a[..., 1:]"]


def term(rng, views, depth):
    kind = rng.random()
    if depth == 0 or kind < 0.2:
        return rng.choice([*views, *views, "s", "2", "0.5", rng.choice([*ROWS, *PLANES])])
    if kind < 0.85:
        one, two = (term(rng, views, depth - 1) for _ in range(2))
        return f"({one} {rng.choice('+-*/')} {two})"
    return f"{rng.choice(['np.sqrt', 'np.abs', '-', 'np.exp'])}({term(rng, views, depth - 1)})"


def program(seed):
    rng = random.Random(seed)
    lines = []
    for _ in range(4):
        cut = rng.choice(CUTS)
        views = rng.choice([ROWS, [cut.format(each) for each in "vw"], [rng.choice(PLANES)] * 2])
        to, how = rng.choice(views), rng.choice(["=", "=", "+=", "-=", "*=", "/="])
        line = f"    {to} {'+=' if to in ('a', 'v', 'w') else how} {term(rng, views, 2)}"
        # What fails does not always end the rest.
        if rng.random() < 0.8:
            line = f"    try:\n    {line}\n    except Exception as e:\n        told.append(str(e))"
        lines.append(line)
    body = "\n".join(lines)
    return f"def f(a, v, w, i, j, s):\n    told = []\n{body}\n    return told, a, v, w\n"


def compare_random(seed):
    source = program(seed)
    file = f"<stores {seed}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    function = space["f"]
    jitted = opcodon.jit(function)
    for call in range(4):
        rng = random.Random(100 * seed + call // 2)
        numbers = np.random.default_rng(seed)
        n = rng.choice([3, 4, 33, 40])

        def array(*shape, rng=rng, numbers=numbers):
            kind = rng.choice("dddddfqiB")
            wide = numbers.uniform(0.5, 9, tuple(2 * size for size in shape)).astype(kind)
            cut = rng.choice([slice(None, None, 2), slice(None, None, -2), None, None])
            made = wide[tuple(cut if cut else slice(size) for size in shape)]
            return np.asarray(made, order=rng.choice("CCF")) if cut is None else made

        a, v = array(n, n), array(n)
        # Other names of the same memory.
        w = rng.choice([v, v[::-1], a[0], a[:, 1], array(n), a.T])
        s = rng.choice([2, 0.25, np.float64(0.3), np.float32(1.5)])
        args = (a, v, w, rng.randrange(n), rng.randrange(n), s)
        with np.errstate(all=rng.choice(["ignore", "warn", "raise"])):
            assert outcome(jitted, again(args)) == outcome(function, again(args)), source
    return "in one pass" in str(jitted.report())


# The last ones: copies within an array, and functions of what goes backwards.
@pytest.mark.parametrize("seed", [*range(200), 5099, 5501, 5916, 5004, 5533])
def test_random_stores(seed):
    compare_random(seed)


@pytest.mark.skipif(not NEW_NUMPY, reason="older numpy does these one by one")
def test_many_random_stores_take_one_pass():
    assert sum(map(compare_random, range(60))) > 15


def stepped(a, k):
    a[::k] = 1
    return a


@pytest.mark.parametrize("kind", ["i1", "u1", "?", "f8"])
def test_steps_may_be_as_large_as_any_number(kind):
    compiled = opcodon.jit(stepped)
    for k in (1, 3, 4, 5, 2**63 - 1, 2**63 - 3, -1, -3, -4, -(2**63) + 1, -(2**63)):
        for n in (0, 1, 4):
            wanted = stepped(np.zeros(n, kind), k)
            assert compiled(np.zeros(n, kind), k).tobytes() == wanted.tobytes(), (k, n)


SEVERAL_THREADS = """
import threading
import numpy as np
import opcodon

@opcodon.jit
def halved(a):
    for _ in range(300):
        a *= 0.5
    return a.sum(), a.std()

def work(k):
    for _ in range(5):
        halved(np.arange(50.0 + k))

threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_add_for_the_first_time_do_not_wait_for_each_other(tmp_path):
    script = tmp_path / "threads.py"
    script.write_text(SEVERAL_THREADS)
    subprocess.run([sys.executable, script], check=True, timeout=120)
