"""Exceptions that are raised and caught in one function, against CPython."""

import gc
import importlib
import pathlib
import sys
import traceback

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

import interpreter
from compare import Outcome, check_calls, check_no_leak

from opcodon._jit import decorator

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def raised(n):
    caught = 0
    for i in range(n):
        try:
            if i % 3 == 0:
                raise ValueError(i, f"is {i}")
            caught += 1
        except ValueError:
            caught += 10
    return caught


def divided(values, by):
    total = 0
    n_failed = 0
    for value in values:
        try:
            total += value // by + value % (by - 1) + value / (by - 2)
        except ZeroDivisionError:
            n_failed += 1
    return total, n_failed


def looked_up(of, keys):
    found = []
    for key in keys:
        try:
            found.append(of[key])
        except KeyError:
            found.append("key")
        except (IndexError, TypeError):
            found.append("index")
    return found


def counted(words):
    counts = {}
    for word in words:
        try:
            counts[word] += 1
        except KeyError:
            counts[word] = 1
    return counts


def jumps(n, last):
    seen = []
    for i in range(n):
        try:
            if i == last:
                break
            if i % 4 == 1:
                continue
            if i % 4 == 2:
                raise KeyError(i)
            seen.append(10 // (i % 5))
        except KeyError:
            seen.append("key")
            continue
        except ArithmeticError:
            seen.append("zero")
            if len(seen) > 6:
                seen.append("many")
            break
        seen.append(i)
    else:
        seen.append("end")
    return seen


def returned(n):
    for i in range(n):
        try:
            if 12 % (3 - i) == 5:
                return "never"
        except ZeroDivisionError:
            return i
    return None


def bound_anew(x, y):
    try:
        z = x // y
    except ZeroDivisionError:
        x = y = 5
        z = x + y + len([x])
        z += 2**62
        z += 2**62
    return x, y, z


def prints(n):
    for i in range(n):
        try:
            if i == 2:
                raise RuntimeError("two")
        except RuntimeError:
            print("caught", sys.exc_info()[1], i)
    return n


def fails_in_handler(n, by):
    total = 0
    for i in range(n):
        try:
            if i == 3:
                raise ValueError("three")
            total += i
        except ValueError:
            total += 10 // by
    return total


def raises_in_handler(n):
    for i in range(n):
        try:
            if i == 2:
                raise ValueError("two", i)
        except ValueError:
            if i > 1:
                total = i + 1
            raise KeyError(total)  # noqa: B904
    return n


def raises_again(n):
    for i in range(n):
        try:
            10 // (2 - i)
        except ZeroDivisionError:
            n += 1
            raise
    return n


def nested(n):
    seen = []
    for i in range(n):
        try:
            try:
                if i % 2:
                    raise KeyError
                seen.append(6 // (i % 3))
            except KeyError:
                seen.append("inner")
                seen.append(4 // (i - 3))
        except ZeroDivisionError:
            seen.append("outer")
    return seen


def in_while(n):
    k = 0
    while True:
        k += 1
        try:
            if k > n:
                raise IndexError("end")
            if k % 2:
                continue
            k += 1 // (k % 4)
        except IndexError:
            break
        except ZeroDivisionError:
            k += 3
    return k


def comprehended(values):
    try:
        return [12 // value for value in values] + [sum(3 % v for v in values)]
    except ZeroDivisionError:
        return None


def with_loops(values):
    seen = 0
    try:
        for value in values:
            seen += 12 // value
        seen += 1 // (seen - 12)
    except ZeroDivisionError:
        seen = -seen
    return seen


def named_but_unused(values):
    seen = []
    for value in values:
        try:
            seen.append(values[value])
        except IndexError as error:  # noqa: F841
            seen.append(None)
        except (TypeError, ValueError) as other:  # noqa: F841
            seen.append("other")
    return seen


def across_others(n):
    seen = []
    for i in range(n):
        try:
            with open(__file__):
                try:
                    seen.append(4 // (i - 1))
                except ZeroDivisionError:
                    continue
                seen.append(i)
        finally:
            try:
                seen.append(seen[i - 4])
            except IndexError:
                seen.append("none")
    return seen


def named_and_used(n):
    seen = []
    for i in range(n):
        try:
            if i % 2:
                raise ValueError(i)
        except ValueError as error:
            seen.append(str(error))
    return seen


def with_others(n):
    seen = []
    for i in range(n):
        try:
            seen.append(4 // i)
        except ZeroDivisionError:
            seen.append("zero")
        else:
            seen.append("else")
        finally:
            seen.append("finally")
    return seen


def own(ValueError, n):  # noqa: A002
    try:
        if n:
            raise ValueError("own")
    except ValueError:
        return "caught"
    return "none"


opaque = eval("lambda value: value * 2")


def changes_what_failed(of, key):
    found = 0
    try:
        found = of[key]
    except KeyError:
        of[key] = 4
        found = opaque(key)
    except IndexError:
        of.append(7)
        found = opaque(key)
    return found


def returns_what_python_finds(a, b, of):
    try:
        return of[a // b]
    except ZeroDivisionError:
        return opaque(a)
    except KeyError:
        return opaque(of)
    except IndexError:
        return opaque(of) + undefined  # noqa: F821


def returns_what_fails(x, y):
    try:
        raise ValueError(x)
    except ValueError:
        return 1 // y


def raised_of_nothing(x):
    try:
        raise ValueError(undefined)  # noqa: F821
    except ValueError:
        return x


def returns_what_is_unbound(d, k):
    try:
        found = d[k]
    except KeyError:
        return found
    return found


class Strange:
    def __init__(self, log):
        self.log = log

    def __floordiv__(self, other):
        self.log.append("div")
        raise ZeroDivisionError("strange")

    def __getitem__(self, key):
        self.log.append(key)
        raise KeyError(key)


def strange(of, log):
    try:
        of // 0
    except ZeroDivisionError:
        log.append("zero")
    try:
        of[0]
    except KeyError:
        log.append("key")
    return log


CALLS = [
    (raised, [(0,), (1,), (9,), (2.5,)]),
    (divided, [([1, 2, 3], by) for by in (0, 1, 2, 3, 0.0, 1.0, 5.5)]),
    (divided, [([1.5, 2], 0), ([True, False], 0), (["a"], 0), ([2**70, 3], 2), ([1], "a")]),
    (looked_up, [({1: 2, "a": 3}, [1, "a", 2, 2.0, None]), ([1, 2], [0, 5, -2, -3, "a"])]),
    (looked_up, [("text", [0, 3, 4, -5]), ((1, 2), [1, 2]), ({}, [[]]), (3, [1])]),
    (counted, [(["a", "b", "a", "c"],), ([1, 2, 1, 1],), ([],), ([[1]],), ([1.5, "a", 1.5],)]),
    (jumps, [(n, last) for n in (0, 3, 9, 30) for last in (-1, 0, 2, 7)]),
    (returned, [(0,), (3,), (9,)]),
    (bound_anew, [(3, 2), (3, 0), (3.0, 0), (3, 0.0), ("a", 0)]),
    (prints, [(1,), (5,)]),
    (fails_in_handler, [(2, 0), (5, 0), (5, 2), (5, "a")]),
    (raises_in_handler, [(2,), (5,)]),
    (raises_again, [(2,), (5,)]),
    (nested, [(0,), (1,), (9,)]),
    (in_while, [(0,), (5,), (20,)]),
    (comprehended, [([1, 2],), ([1, 0],), ([],)]),
    (with_loops, [([1, 2],), ([1, 0],), ([1],), ([],)]),
    (named_but_unused, [([0, 1, 9, -1, -8],), ([1, "a"],), ([],)]),
    (named_and_used, [(5,)]),
    (across_others, [(0,), (4,)]),
    (with_others, [(3,)]),
    (own, [(KeyError, 1), (KeyError, 0), (3, 1)]),
    (changes_what_failed, [({}, 3), ({3: 1}, 3), ([1, 2], 2), ([1, 2], 0), ({}, (1, 2))]),
    (returns_what_python_finds, [(a, b, of) for a in (3, 4) for b in (0, 1) for of in ({}, [])]),
    (returns_what_fails, [(5, 0), (5, 1)]),
    (raised_of_nothing, [(1,)]),
    (returns_what_is_unbound, [({}, 1), ({1: 2}, 1)]),
]
IDS = [f"{function.__name__}-{k}" for k, (function, _) in enumerate(CALLS)]


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=IDS)
def test_functions(function, calls):
    check_calls(function, opcodon.jit(function), calls)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (raised, (9,)),
        (divided, ([1, 2, 3], 1)),
        (counted, (["a", "b", "a"],)),
        (jumps, (9, -1)),
        (returned, (9,)),
        (in_while, (20,)),
    ],
)
def test_nothing_is_left(function, args):
    compiled = opcodon.jit(function)
    for _ in range(3):
        assert not Outcome(function, args).differences(Outcome(compiled, args))
    assert compiled.is_native()


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=IDS)
def test_leaving_at_every_statement_changes_nothing(function, calls, monkeypatch):
    monkeypatch.setattr(decorator, "function_type", lambda: interpreter.Function)
    made = decorator.make_function(function, {"wrap": False})
    for args in calls:
        expected = Outcome(function, args)
        count = interpreter.At()
        monkeypatch.setattr(interpreter.Function, "policy", count)
        assert not expected.differences(Outcome(made, args))
        for n in range(min(count.count, 100)):
            for after in (False, True):
                interpreter.Function.policy = interpreter.At(n, after=after)
                difference = expected.differences(Outcome(made, args))
                assert not difference, f"{args} at {n}: {difference}"


def binds_a_global(x):
    global caught
    try:
        raise ValueError(x)
    except ValueError as caught:  # noqa: F841
        pass


def test_a_handler_unbinds_the_global_that_it_binds():
    for function in [binds_a_global, opcodon.jit(binds_a_global)]:
        globals()["caught"] = 5
        function(1)
        assert "caught" not in globals()


def divides(x):
    try:
        return 1 // x
    except ZeroDivisionError:
        return any(x == k for k in range(1))


def test_builtins_may_be_hidden_later(monkeypatch):
    compiled = opcodon.jit(divides)
    assert [compiled(0), compiled(0)] == [True, True]
    monkeypatch.setitem(globals(), "any", lambda _: "hidden")
    assert [compiled(0), divides(0)] == ["hidden", "hidden"]
    monkeypatch.setitem(globals(), "ZeroDivisionError", KeyError)
    for function in [compiled, divides]:
        with pytest.raises(ArithmeticError, match="by zero"):
            function(0)
    assert "hidden" in str(compiled.report())


class Told:
    def __init__(self, log):
        self.log = log

    def __del__(self):
        self.log.append("gone")


def told(log, fails):
    held = Told(log)
    try:
        return fails(held)
    except ZeroDivisionError:
        log.append("handled")
    return None


def test_what_was_raised_keeps_no_frame_alive():
    compiled = opcodon.jit(told)
    logs = []
    gc.disable()
    try:
        for function in [told, compiled, compiled]:
            logs.append([])
            function(logs[-1], lambda held: held and 1 // 0)
            logs[-1].append("back")
    finally:
        gc.enable()
    assert logs == 3 * [["handled", "gone", "back"]]


def test_operations_of_others():
    compiled = opcodon.jit(strange)
    for function in [strange, compiled, compiled]:
        log = []
        assert function(Strange(log), log) == ["div", "zero", 0, "key"]


@pytest.mark.parametrize(
    ("function", "args"),
    [(fails_in_handler, (5, 0)), (raises_in_handler, (5,)), (raises_again, (5,))],
)
def test_what_was_handled_is_told(function, args):
    def chain(called):
        try:
            called(*args)
        except Exception as error:
            found = []
            while error is not None:
                frames = traceback.extract_tb(error.__traceback__)
                lines = [(f.name, f.lineno) for f in frames if f.name != "chain"]
                found.append((type(error), error.args, lines, error.__suppress_context__))
                error = error.__context__
            return found
        return None

    expected = chain(function)
    assert len(expected) > (function is not raises_again)
    compiled = opcodon.jit(function)
    assert [chain(compiled), chain(compiled)] == [expected, expected]


def test_no_reference_is_lost_or_kept():
    functions = [
        (opcodon.jit(raised), (9,)),
        (opcodon.jit(counted), (["a", "b", "a"],)),
        (opcodon.jit(looked_up), ({1: 2, "a": "b"}, [1, "a", 2, "c"])),
        (opcodon.jit(jumps), (9, -1)),
    ]
    check_no_leak(functions)
