"""Exceptions that machine code catches, against CPython."""

import gc
import importlib
import json
import math
import pathlib
import sys
import traceback

import numpy as np
import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

import interpreter
from compare import Outcome, check_calls, check_no_leak

from opcodon._jit import decorator

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


class OwnError(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class MoreError(OwnError):
    pass


def parsed(words):
    total = bad = 0
    for word in words:
        try:
            total += int(word)
        except ValueError:
            bad += 1
    return total, bad


def all_parts(words):
    log = []
    total = 0
    for k, word in enumerate(words):
        try:
            total += int(word)
        except ValueError:
            total -= 1
        except TypeError:
            log.append(("type", k))
            continue
        else:
            total += 100
        finally:
            log.append(total)
    return total, log


def named(words):
    told = []
    for word in words:
        try:
            told.append(float(word))
        except ValueError as error:
            told.append(str(error))
        except (TypeError, OverflowError) as error:
            told.append(error.args)
    return told


def _risky(i):
    if i % 5 == 0:
        raise OwnError(i)
    if i % 7 == 0:
        raise MoreError(-i)
    if i % 11 == 0:
        raise KeyError(i)
    return i


def own(n):
    total = others = 0
    for i in range(n):
        try:
            total += _risky(i)
        except MoreError as error:
            total -= 2 * error.code
        except OwnError as error:
            total -= error.code
        except LookupError:
            others += 1
    return total, others


def unbound_name(words):
    error = 5
    for word in words:
        try:
            int(word)
        except ValueError as error:
            told = str(error)
    return told, error


def jumps(words):
    seen = []
    for word in words:
        try:
            seen.append(int(word))
        except ValueError:
            if word == "end":
                seen.append("stop")
            continue
        except TypeError:
            break
        seen.append("next")
    else:
        seen.append("else")
    return seen


def returned(words):
    for k, word in enumerate(words):
        try:
            int(word)
        except ValueError:
            return k
        except TypeError as error:
            return type(error), k
    return None


def returns_unbound(word):
    try:
        number = int(word)
    except ValueError:
        return number
    return number


def exhausted(values):
    iterator = iter(values)
    total = 0
    while True:
        try:
            total += next(iterator)
        except StopIteration:
            break
    return total


def asked(words):
    told = []
    for word in words:
        try:
            int(word)
        except ValueError as error:
            kind, value, found = sys.exc_info()
            told.append((kind, value is error, [f.lineno for f in traceback.extract_tb(found)]))
        told.append(sys.exc_info())
    return told


def chained(words):
    for word in words:
        try:
            int(word)
        except ValueError:
            math.sqrt(-len(word))
    return 0


def chained_here(words, by):
    for word in words:
        try:
            int(word)
        except ValueError:
            by = 1 // by
    return by


def raises_other(words):
    for word in words:
        try:
            int(word)
        except ValueError as error:
            raise OwnError(word) from error
    return 0


def raises_again(words):
    for word in words:
        try:
            int(word)
        except ValueError:
            raise
    return 0


def nested(words):
    log = []
    for word in words:
        try:
            try:
                log.append(int(word))
            except TypeError:
                log.append("type")
                log.append(math.sqrt(-1))
            log.append(1 // int(word))
        except ValueError as error:
            log.append((str(error), type(error.__context__)))
        except ZeroDivisionError:
            log.append("zero")
    return log


def in_handler(words):
    log = []
    for word in words:
        try:
            log.append(int(word))
        except ValueError:
            try:
                log.append(float(word))
            except ValueError as error:
                log.append((str(error), str(error.__context__)))
    return log


def in_loops(rows):
    log = []
    for row in rows:
        try:
            for word in row:
                log.append(int(word))
        except ValueError:
            log.append(len(row))
    return log


def finally_counts(words):
    n = m = 0
    for word in words:
        try:
            n += int(word)
        except ValueError:
            n -= 1
        finally:
            m += 1
    return n, m


def both(n):
    caught = others = 0
    for i in range(n):
        try:
            if i % 7 == 0:
                raise KeyError(i)
            caught += i
            caught += math.isqrt(i % 5 - 1)
        except KeyError:
            caught -= 1
        except ValueError:
            others += 1
        finally:
            others += 2
    return caught, others


def keyed(of, keys):
    found = []
    for key in keys:
        try:
            found.append(of[key])
        except KeyError as error:
            found.append(error.args)
        except (IndexError, TypeError) as error:
            found.append(str(error))
    return found


def strings(words):
    text = ""
    for word in words:
        try:
            text += word
            text += chr(len(word) - 1)
        except ValueError:
            text += "?"
    return text


def large(words):
    total = 1
    for word in words:
        try:
            total *= int(word)
        except ValueError:
            total += 2**62
    return total


def decoded(texts):
    bad = 0
    for text in texts:
        try:
            json.loads(text)
        except json.JSONDecodeError:
            bad += 1
    return bad


def recursive(n, words):
    try:
        if n:
            return recursive(n - 1, words) + int(words[n])
        return int(words[0])
    except ValueError as error:
        return len(str(error)) + (recursive(n - 2, words) if n > 2 else 0)


NO_CLASS = 5


def raises_here(n, kind):
    told = []
    for i in range(n):
        try:
            if i % 3 == 0:
                raise OwnError(i)
            if i % 3 == 1:
                raise kind
            told.append(i)
        except OwnError as error:
            told.append(error.code)
        except ZeroDivisionError as error:
            told.append((str(error), error.args))
    return told


def wrong_class(words):
    for word in words:
        try:
            int(word)
        except NO_CLASS:
            return 1
    return 0


class Entered:
    """Swallows exceptions, or lets them go on, and notes that it was left."""

    def __init__(self, told, swallows):
        self.told, self.swallows = told, swallows

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.told.append("left")
        return self.swallows


def inner_statements(words, which):
    told = []
    for word in words:
        try:
            if which == 0:
                try:
                    told.append(int(word))
                finally:
                    told.append("finally")
            elif which == 1:
                with Entered(told, swallows=False):
                    told.append(int(word))
            elif which == 2:
                with Entered(told, swallows=True), Entered(told, swallows=False):
                    told.append(int(word))
            elif which == 3:
                try:
                    told.append(int(word))
                except ValueError if word else TypeError:  # noqa: B030
                    told.append("inner")
            elif which == 4:
                try:
                    told.append(int(word))
                except ValueError as error:
                    raise KeyError(word) from error
            else:
                try:
                    told.append(int(word))
                except:  # noqa: E722
                    told.append("bare")
        except KeyError:
            told.append("key")
        except ValueError:
            told.append("value")
    return told


def left_by_finally(word):
    try:
        try:
            int(word)
        finally:
            return "finally"  # noqa: B012
    except ValueError:
        return "value"


class NoError:
    pass


def no_class_behind(word):
    try:
        return int(word)
    except (ValueError, NoError):
        return -1


def indices_in_handlers(array, k, word):
    try:
        whole = int(word)
        array[k] = whole
    except ValueError:
        array[k] = 0.5
    return array[k]


WORDS = ["12", "x", "7", "", "99", "3.5"]
BASE = np.arange(50.0)
OBJECTS = ["1", "x", None, "2", [], "end", "3"]
CALLS = [
    (parsed, [(WORDS,), ([],), (["a"] * 9,), (["1"] * 9,), (OBJECTS,)]),
    (all_parts, [(WORDS,), (OBJECTS,), ([],), ([[], "a", 1.5],), ([5, float("inf")],)]),
    (named, [(WORDS,), (OBJECTS,), ([10**400],), ([],)]),
    (own, [(0,), (1,), (3,), (100,), (2.5,)]),
    (unbound_name, [(["a"],), (["1"],), (["1", "b"],), ([],), ([None],)]),
    (jumps, [(WORDS,), (OBJECTS,), (["1"],), (["end"],), ([],)]),
    (returned, [(WORDS,), (["1", None],), (["1"],), ([2**80, "b"],)]),
    (returns_unbound, [("1",), ("a",), (None,)]),
    (exhausted, [([1, 2],), ([],), ((1.5, 2),), ("a",), (5,)]),
    (asked, [(WORDS,), (["1"],)]),
    (chained, [(["1"],), (["1", "ab"],), ([""],)]),
    (chained_here, [(["1"], 0), (["1", "a"], 0), (["a"], 1), (["a"], "b")]),
    (raises_other, [(["1"],), (["1", "a"],)]),
    (raises_again, [(["1"],), (["1", "a"],)]),
    (nested, [(["1", "0", "a", "2"],), (["1", None],), ([],)]),
    (in_handler, [(["1", "a", "1.5", "b"],), ([None],)]),
    (in_loops, [([["1", "2"], ["3", "a", "4"], []],), ([["1", None]],)]),
    (finally_counts, [(WORDS,), (OBJECTS,), ([],)]),
    (both, [(0,), (1,), (50,)]),
    (keyed, [({1: 2}, [1, 3, "a", []]), ([1, 2], [0, 5, "a"]), ("ab", [0, 2]), (5, [0])]),
    (strings, [(["a", "", "b"],), (["a", 1],), ([],)]),
    (large, [(["2", "a", "b", "c"],), ([str(2**62)] * 3,), ([2**70, "a"],)]),
    (decoded, [(["1", "[", "{}", ""],), ([],)]),
    (inner_statements, [(["1", "x", "", "2"], which) for which in range(6)]),
    (left_by_finally, [("1",), ("x",), (None,)]),
    (no_class_behind, [("1",), ("x",), (None,)]),
    (indices_in_handlers, [(BASE[:10], 3, "1"), (BASE[:10], 3, "x"), (BASE[:10], 30, "x")]),
    (recursive, [(n, WORDS[::-1]) for n in range(6)]),
    (wrong_class, [(["1"],), (["a"],)]),
    (raises_here, [(9, ZeroDivisionError), (9, ZeroDivisionError("a")), (2, ValueError), (2, 5)]),
]
IDS = [f"{function.__name__}-{k}" for k, (function, _) in enumerate(CALLS)]


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=IDS)
def test_functions(function, calls):
    check_calls(function, opcodon.jit(function), calls)


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=IDS)
def test_while_another_exception_is_handled(function, calls):
    compiled = opcodon.jit(function)
    for args in calls * 2:
        outcomes = []
        try:
            raise LookupError
        except LookupError:
            for called in (function, compiled):
                outcomes.append((Outcome(called, args), type(sys.exc_info()[1])))
        (expected, before), (found, after) = outcomes
        assert not expected.differences(found)
        assert (before, after) == (LookupError, LookupError)
        assert sys.exc_info()[1] is None


@pytest.mark.parametrize("is_loud", [True, False])
@pytest.mark.parametrize(("function", "calls"), CALLS, ids=IDS)
def test_leaving_at_every_statement_changes_nothing(function, calls, is_loud, monkeypatch):
    monkeypatch.setattr(decorator, "function_type", lambda: interpreter.Function)
    monkeypatch.setattr(interpreter.Function, "is_loud", is_loud)
    made = decorator.make_function(function, {"wrap": False})
    for args in calls:
        expected = Outcome(function, args)
        count = interpreter.At()
        monkeypatch.setattr(interpreter.Function, "policy", count)
        difference = expected.differences(Outcome(made, args))
        assert not difference, f"{args}: {difference}"
        for n in range(min(count.count, 100)):
            for after in (False, True):
                interpreter.Function.policy = interpreter.At(n, after=after)
                difference = expected.differences(Outcome(made, args))
                assert not difference, f"{args} at {n}: {difference}"


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (parsed, (WORDS,)),
        (named, (WORDS,)),
        (jumps, (OBJECTS,)),
        (exhausted, ([1, 2],)),
        (raises_here, (9, ZeroDivisionError)),
        (finally_counts, (WORDS,)),
        (asked, (WORDS,)),
    ],
)
def test_nothing_is_left(function, args):
    compiled = opcodon.jit(function)
    for _ in range(4):
        assert not Outcome(function, args).differences(Outcome(compiled, args))
    before = compiled.exits()
    compiled(*args)
    assert compiled.exits() == before


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (chained, (["1", "ab"],)),
        (chained_here, (["1", "ab"], 0)),
        (raises_other, (["1", "ab"],)),
        (raises_again, (["1", "ab"],)),
    ],
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
                cause = type(error.__cause__)
                found.append((type(error), error.args, lines, error.__suppress_context__, cause))
                error = error.__context__
            return found
        return None

    expected = chain(function)
    compiled = opcodon.jit(function)
    assert [chain(compiled) for _ in range(3)] == 3 * [expected]


class Told:
    def __init__(self, log):
        self.log = log

    def __del__(self):
        self.log.append("gone")


def releases(log, fails, n):
    for _ in range(n):
        try:
            fails(Told(log))
        except ZeroDivisionError:
            log.append("handled")
        log.append("behind")


def keeps_error(fails, n):
    kept = []
    for _ in range(n):
        try:
            fails(0)
        except ZeroDivisionError as error:
            kept.append(error)
    return kept


def _divides(_x):
    return 1 // 0


def test_what_is_released_is_released_in_order():
    compiled = opcodon.jit(releases)
    logs = []
    gc.disable()
    try:
        for function in [releases, compiled, compiled, compiled]:
            logs.append([])
            function(logs[-1], _divides, 3)
    finally:
        gc.enable()
    assert logs == 4 * [3 * ["handled", "gone", "behind"]]


def test_exceptions_that_are_kept_have_their_tracebacks():
    def told(errors):
        return [
            [(f.name, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
            for error in errors
        ]

    compiled = opcodon.jit(keeps_error)
    expected = told(keeps_error(_divides, 3))
    for _ in range(3):
        errors = compiled(_divides, 3)
        assert told(errors) == expected
        assert len({id(error) for error in errors}) == 3


def rebound(words, changes):
    n = 0
    for word in words:
        try:
            n += changes(word)
        except OwnError:
            n += 1
        except ValueError:
            n += 10
    return n


def test_classes_may_be_bound_anew(monkeypatch):
    own_class = OwnError

    def changes(word):
        if word == "change":
            monkeypatch.setitem(globals(), "OwnError", TypeError)
            raise own_class(1)
        monkeypatch.setitem(globals(), "OwnError", own_class)
        return int(word)

    compiled = opcodon.jit(rebound)
    assert compiled(["1", "a", "2"], changes) == rebound(["1", "a", "2"], changes) == 13
    for function in [rebound, compiled, compiled]:
        with pytest.raises(own_class):
            function(["1", "change"], changes)
        OwnError.__name__  # noqa: B018


def generated(words, function):
    for word in words:
        yield function([word, "1"])
        yield sys.exc_info()[1]


def test_generators_handle_nothing_that_was_caught_for_them():
    compiled = opcodon.jit(asked)
    for word in ["12", "x", "y"]:
        told = []
        try:
            raise KeyError(word)
        except KeyError:
            steps = generated([word], compiled)
            told += [len(next(steps)), type(next(steps))]
            steps.close()
        assert told == [len(asked([word, "1"])), KeyError]
        steps = generated([word], compiled)
        next(steps)
        assert next(steps) is None


def test_listings_show_handlers():
    compiled = opcodon.jit(all_parts)
    compiled(WORDS)
    text = str(compiled.listing())
    assert "total += int(word)" in text
    assert "except ValueError" in text


def test_no_reference_is_lost_or_kept():
    functions = [
        (parsed, (WORDS,)),
        (all_parts, (OBJECTS,)),
        (named, (OBJECTS,)),
        (own, (50,)),
        (jumps, (OBJECTS,)),
        (returned, (WORDS,)),
        (asked, (WORDS,)),
        (nested, (["1", "0", "a"],)),
        (in_handler, (["1", "a"],)),
        (keyed, ({1: 2}, [1, 3, "a"])),
        (strings, (["a", ""],)),
        (large, (["2", "a", "b", "c"],)),
        (recursive, (5, WORDS[::-1])),
    ]
    check_no_leak([(opcodon.jit(function), args) for function, args in functions])
