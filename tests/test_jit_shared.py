"""Loops over `prange` whose rows threads share, and functions without the interpreter lock.

Rows that do not depend on each other come to what Python makes of them; sums of floats to the same
on any number of threads; the first row that raises is the one that is heard of.
"""

import importlib
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings

import numpy as np
import pytest

import opcodon
from opcodon import prange

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

shared = importlib.import_module("opcodon._jit.shared")


@pytest.fixture(autouse=True)
def _always_on_threads(monkeypatch):
    """However little there is to do, and on three threads, however few cores there are."""
    monkeypatch.setattr(shared, "WORTH", -1.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)


def agree(function, *args, exact=True):
    """Compares a call with Python's; arguments that are arrays are compared, too."""
    compiled = opcodon.jit(function, parallel=True)
    for _ in range(2):
        copies = [[np.copy(a) if isinstance(a, np.ndarray) else a for a in args] for _ in range(2)]
        found, known = compiled(*copies[0]), function(*copies[1])
        if exact:
            assert repr(found) == repr(known)
        else:
            np.testing.assert_allclose(found, known, rtol=1e-12)
        for a, b in zip(*copies, strict=True):
            if isinstance(a, np.ndarray):
                assert a.tobytes() == b.tobytes()
    return compiled


def is_shared(function):
    return "rows shared by threads" in str(function.report())


def heights(width, height, most, out):
    total = 0
    worst = 0
    for y in prange(height):
        ci = 2.0 * y / height - 1.0
        for x in range(width):
            cr = 3.0 * x / width - 2.0
            zr = zi = 0.0
            k = 0
            while k < most and zr * zr + zi * zi < 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
                k += 1
            if k == 3:
                continue
            out[y, x] = k
            total += k
            worst = max(worst, k)
    return total, worst


def test_rows_are_loops_with_locals_of_their_own():
    compiled = agree(heights, 40, 70, 50, np.zeros((70, 40), np.int64))
    assert is_shared(compiled), compiled.report()


def norm(x, i):
    s = 0.0
    for j in range(x.shape[1]):
        s += x[i, j] * x[i, j]
    return s


def distances(x, out):
    n = x.shape[0]
    for i in prange(n):
        a = norm(x, i)
        for j in range(n):
            s = 0.0
            for k in range(x.shape[1]):
                d = x[i, k] - x[j, k]
                s += d * d
            out[i, j] = s / (1.0 + a)


def test_rows_call_other_functions():
    x = np.random.default_rng(0).random((90, 5))
    compiled = agree(distances, x, np.zeros((90, 90)))
    assert is_shared(compiled), compiled.report()


def backwards(n, out):
    for i in prange(n - 1, -1, -2):
        for j in range(3):
            out[i, j] += i * j


@pytest.mark.parametrize("n", [0, 1, 2, 3, 31, 32, 33, 64, 65, 1000])
def test_any_range(n):
    agree(backwards, n, np.ones((n, 3), np.int64))


REDUCTIONS = {
    "sum": "r += x[i] % 100",
    "difference": "r -= x[i] % 100",
    "assigned": "r = r + x[i] % 100",
    "min": "r = min(r, x[i])",
    "max": "r = max(r, x[i])",
    "and": "r &= x[i] | 255",
    "or": "r |= x[i]",
    "xor": "r ^= x[i]",
    "product": "r *= 1 + x[i] % 2",
    "branch": "if x[i] % 3: r += 1",
}


def made(text, name):
    import linecache

    file = f"<shared {text}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    space = {"prange": prange, "np": np, "norm": norm}
    exec(compile(text, file, "exec"), space)
    return space[name]


@pytest.mark.parametrize("start", ["0", "7", "-5", "2**62", "2**70", "np.int64(3)", "True"])
@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reductions_of_integers(kind, start):
    text = (
        f"def f(x):\n    r = {start}\n    for i in prange(len(x)):\n"
        f"        for j in range(2):\n            {REDUCTIONS[kind]}\n    return r\n"
    )
    x = [random.randrange(1000) for _ in range(200)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(made(text, "f"), x)
        agree(made(text, "f"), x[:1])
        agree(made(text, "f"), x[:0])
        if start == "7":
            assert repr(opcodon.jit(made(text, "f"), parallel=True)(np.array(x))) == repr(
                made(text, "f")(np.array(x))
            )


def sums(x, start):
    s = start
    p = 1.0
    low = x[0, 0]
    for i in prange(x.shape[0]):
        for j in range(x.shape[1]):
            s += x[i, j]
            p *= 1.0 + x[i, j] * 1e-6
            low = min(low, x[i, j])
    return s, p, low


@pytest.mark.parametrize("start", [0.0, -0.0, 1.5, np.float64(2.0)])
def test_sums_of_floats_are_the_same_on_any_number_of_threads(start, monkeypatch):
    x = np.random.default_rng(1).normal(size=(333, 7))
    compiled = agree(sums, x, start, exact=False)
    assert is_shared(compiled)
    found = set()
    for n_threads in (1, 2, 5):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=n_threads: set(range(n)))
        found |= {tuple(map(repr, compiled(x, start))) for _ in range(5)}
    assert len(found) == 1
    zero = opcodon.jit(sums, parallel=True)(np.full((100, 2), -0.0), -0.0)[0]
    assert str(zero) == "-0.0"


NOT_SHARED = {
    "carried": "for i in prange(n):\n        for j in range(2): s = s * 2 + i\n        s %= 1000",
    "read": "for i in prange(n):\n        s += i\n        for j in range(2): a[i] = s",
    "last": "for i in prange(n):\n        for j in range(2): t = i * j\n    s = t",
    "index": "for i in prange(n):\n        for j in range(2): a[i] = j\n    s = i",
    "break": "for i in prange(n):\n        for j in range(2): a[i] = j\n        if i == 5: break",
    "else": "for i in prange(n):\n        for j in range(2): a[i] = j\n    else:\n        s = 3",
    "mixed": "for i in prange(n):\n        for j in range(2): s += i\n        s *= 1",
    "branch": "for i in prange(n):\n        if i % 2: t = i\n        for j in range(2): a[i] = t",
    "renamed": "prange = range\n    for i in prange(n):\n        for j in range(2): a[i] = j",
    "lambda": "for i in prange(n):\n        f = lambda: i\n        for j in range(2): a[i] = f()",
    "around": "for q in range(3):\n        for i in prange(n):\n"
    "            for j in range(2): t = i\n        s += t",
}


@pytest.mark.parametrize("kind", NOT_SHARED)
def test_other_loops_stay_loops(kind):
    text = f"def f(n, a):\n    s = 0\n    t = 1\n    {NOT_SHARED[kind]}\n    return s\n"
    function = made(text, "f")
    compiled = agree(function, 40, np.zeros(40, np.int64))
    assert not is_shared(compiled), compiled.report()


def test_loops_in_loops_are_shared_within():
    text = (
        "def f(n, a):\n    s = 0\n    for q in range(3):\n        for i in prange(n):\n"
        "            for j in range(i):\n                a[i] += j * q\n"
        "            s += i\n        s = s % 100\n    return s\n"
    )
    compiled = agree(made(text, "f"), 50, np.zeros(50, np.int64))
    assert is_shared(compiled), compiled.report()


def divided(x, out):
    for i in prange(x.shape[0]):
        s = 0
        for _ in range(3):
            s += 100 // int(x[i])
        if x[i] > 1000:
            raise ValueError("too large", i)
        out[i] = s


def raised(function, *args):
    """The exception of a call, and the line that raises it."""
    try:
        function(*args)
    except (ZeroDivisionError, ValueError) as error:
        return repr(error), traceback.extract_tb(error.__traceback__)[-1].lineno
    return None


@pytest.mark.parametrize("zeros", [[], [0], [1], [57], [199], [57, 60, 199], [100, 101]])
@pytest.mark.parametrize("large", [[], [3], [150]])
def test_the_first_row_that_raises_is_heard_of(zeros, large):
    x = np.arange(1, 201)
    x[zeros] = 0
    x[large] = 2000
    compiled = opcodon.jit(divided, parallel=True)
    for _ in range(5):
        found, known = np.zeros(200, np.int64), np.zeros(200, np.int64)
        errors = [
            raised(function, x, out) for function, out in ((divided, known), (compiled, found))
        ]
        assert errors[0] == errors[1]
        # What comes before it is done.
        first = min([*zeros, *large, 200])
        assert (found[:first] == known[:first]).all()


def test_what_rows_raise_is_caught_around_the_loop():
    def counted(x):
        s = 0
        try:
            for i in prange(x.shape[0]):
                for j in range(2):
                    s += int(x[i]) // (i - 40 + j)
        except ZeroDivisionError:
            return "divided", len(x)
        finally:
            x[0] = 7
        return s

    agree(counted, np.arange(30))
    agree(counted, np.arange(60))


def test_rows_that_leave_machine_code_go_on_in_python():
    def grown(x):
        total = 0
        for i in prange(len(x)):
            p = 1
            for _ in range(70):
                p = p * x[i]
            total += p
        return total

    agree(grown, [1, 2, 3, 1, 1, 1, 2] * 20)


def test_objects_are_only_touched_with_the_lock():
    def words(texts, out):
        for i in prange(len(texts)):
            n = 0
            for word in texts[i].split():
                n += len(word)
            out[i] = n

    texts = ["a bc def" * (i % 7) for i in range(300)]
    compiled = agree(words, texts, np.zeros(300, np.int64))
    assert not is_shared(compiled)
    counts = []
    for _ in range(4):
        compiled(texts, np.zeros(300, np.int64))
        counts.append(sys.getrefcount(texts[1]))
    assert counts[1:] == counts[:-1]


def test_settings_of_numpy_are_those_of_the_caller():
    def quotients(x, out):
        for i in prange(x.shape[0]):
            for j in range(x.shape[1]):
                out[i, j] = x[i, j] / x[i, 0]

    x = np.ones((100, 3))
    x[50, 0] = 0.0
    compiled = opcodon.jit(quotients, parallel=True)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        compiled(x, np.zeros_like(x))
    with np.errstate(all="ignore"):
        found, known = np.zeros_like(x), np.zeros_like(x)
        compiled(x, found)
        quotients(x, known)
        assert found.tobytes() == known.tobytes()


def endless(x):
    for i in prange(64):
        k = 0
        while x[i] < 1.0:
            k += 1
            x[i] *= 0.5
            if k == 60:
                k = 0
                x[i] = 0.5


@pytest.mark.parametrize("n_endless", [1, 64])
def test_ctrl_c_ends_a_loop(n_endless, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    compiled = opcodon.jit(endless, parallel=True)
    compiled(np.ones(64))
    x = np.ones(64)
    x[:n_endless] = 0.5
    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        compiled(x)
    assert time.monotonic() - begun < 20
    timer.join()


def test_functions_without_the_lock_let_others_run():
    @opcodon.jit(nogil=True)
    def spent(n, x):
        s = 0.0
        for i in range(n):
            s = s * 0.5 + x[i % 8]
        return s, n

    x = np.arange(8.0)
    expected = spent.__wrapped__(1000, x)
    assert spent(1000, x) == expected
    assert spent.is_free()
    n_turns = 0
    thread = threading.Thread(target=spent, args=(60_000_000, x))
    thread.start()
    while thread.is_alive():
        n_turns += 1
        time.sleep(0)
    assert n_turns > 10


def test_what_reads_objects_keeps_the_lock():
    def total(numbers, x):
        s = 0.0
        for i in range(len(numbers)):
            s += numbers[i] * x[0]
        return s

    def depth(n, x):
        return x[0] if n == 0 else 1 + depth(n - 1, x)

    def deep(n, x):
        s = 0
        for i in range(n):
            s += depth(i, x)
        return s

    x = np.array([2])
    for function, first, is_free in [(total, [1.0, 2.5], False), (deep, 20, True)]:
        compiled = opcodon.jit(function, nogil=True)
        assert compiled(first, x) == function(first, x)
        assert compiled.is_free() is is_free, function
    with pytest.raises(RecursionError):
        opcodon.jit(deep, nogil=True)(100_000, x)


def test_many_threads_call_one_function():
    @opcodon.jit(nogil=True)
    def collatz(n):
        steps = 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        return steps

    numbers = [*range(1, 300), 2**63 - 1, 2**70 + 1, *range(300, 500)]
    expected = [collatz.__wrapped__(n) for n in numbers]
    wrong = []

    def work():
        for _ in range(5):
            if [collatz(n) for n in numbers] != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert collatz.is_free()


def test_random_rows():
    random.seed(5)
    for _ in range(60):
        lines = []
        names = ["a", "b", "c"]
        for name in names:
            lines.append(f"        {name} = {random.choice(['i', '1', 'x[i]', 'i * 2', '0.5'])}")
        for _ in range(random.randrange(1, 5)):
            to, u, v = (random.choice(names) for _ in range(3))
            op = random.choice(["+", "-", "*"])
            line = f"{to} = {u} {op} {v}"
            if random.random() < 0.4:
                line = f"for j in range({random.randrange(4)}): {line} + j"
            elif random.random() < 0.4:
                line = f"if {u} > {v}: {line}"
            lines.append("        " + line)
        lines.append(f"        y[i] = {random.choice(names)} % 1000")
        lines.append(f"        n += {random.choice(['1', 'i', 'i % 3'])}")
        text = "def f(x, y, n):\n    for i in prange(len(x)):\n" + "\n".join(lines)
        text += "\n    return n\n"
        x = np.array([random.randrange(50) for _ in range(70)])
        agree(made(text, "f"), x, np.zeros(70), 3)


def bits_of(a, start):
    both, any_of = start, start
    for i in prange(len(a)):
        both &= a[i]
        any_of |= a[i]
    return both, any_of


def less(a, start):
    left = start
    for i in prange(len(a)):
        left -= a[i]
    return left


def more(a, start):
    total = start
    for i in prange(len(a)):
        total = total + a[i]
    return total


def test_reductions_of_numbers_without_a_sign():
    for dtype in (np.uint8, np.uint64):
        a = np.arange(7, 5007).astype(dtype)
        for start in (255, 0, dtype(31)):
            agree(bits_of, a, start)
    with warnings.catch_warnings(), np.errstate(over="raise"):
        warnings.simplefilter("error")
        for start in (10**9, np.uint64(10**12), 3.5):
            agree(less, np.arange(5000, dtype=np.uint64), start)
    # What is no number of numpy's is added to as Python does it.
    agree(more, np.ones(5000), np.array(5.0))


def test_a_name_that_is_only_annotated_is_not_bound():
    def scaled(a):
        s = 0.0
        x = 2.0
        for i in prange(len(a)):
            x: float
            s += x * a[i]
        return s

    agree(scaled, np.ones(5000))


def test_reductions_wrap_around_where_integers_do():
    def total(a):
        t = 0
        for i in prange(len(a)):
            for _ in range(2):
                t += a[i]
        return t

    for a in (np.full(64, 2**62), np.full(61, 2**62 + 12345)):
        wrapped = (2 * int(a[0]) * len(a) + 2**63) % 2**64 - 2**63
        assert opcodon.jit(total, parallel=True, wrap=True)(a) == wrapped
        assert opcodon.jit(total, wrap=True)(a) == wrapped


def test_rows_that_use_objects_keep_their_order():
    def listed(n):
        found = []
        for i in prange(n):
            for _ in range(1):
                found.append(i)
        return found

    agree(listed, 3000)
