"""Which object a value is, methods of builtin classes, nested functions that call each other."""
# The language as people write it.
# ruff: noqa: B023, C417

import gc
import importlib
import pathlib
import sys
import weakref
from collections import OrderedDict, defaultdict, deque

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome, check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


def called(a):
    return a(1)


def called_product(a):
    return (a * 3)(1, 2, x=a)


@pytest.mark.parametrize("value", [10**12, 1.5, 7, True, None, 2j, "text", (1, 2.5), range(3)])
def test_what_is_called_is_given_back(value):
    compiled = opcodon.jit(called)
    check_calls(called, compiled, [(value,)])
    check_calls(called_product, opcodon.jit(called_product), [(value,)])


def test_nothing_is_kept_of_what_cannot_be_called():
    def fails(function):
        compiled = opcodon.jit(function)

        def call(value):
            with pytest.raises(TypeError):
                compiled(value)

        return call

    check_no_leak([(fails(f), (v,)) for f in (called, called_product) for v in (10**12, 2.5)])


def same_tuple(v):
    t = (v, 3)
    u = t
    return u is t, u is not t, (v, 3) is not t


def same_float(x):
    a = x * 2.0
    b = a
    return a is b, a is not b, a is None, a is not True


def same_int(x):
    a = x * 10**10
    b = a
    return a is b, a is not b


def same_in_list(values):
    n = 0
    for x in values:
        for y in values:
            if x is y:
                n += 1
    return n


def same_anything(a, b):
    return a is b, a is not b


def same_later(n):
    total = 0
    for i in range(n):
        total += i * 10**6
    other = total
    return total if other is total else None


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (same_tuple, [(5,), (2.5,)]),
        (same_float, [(1.5,)]),
        (same_int, [(7,), (10**15,)]),
        (same_in_list, [([10**10, 10**11, 3.5],), ([None, len, "text"],)]),
        (same_later, [(1000,)]),
    ],
)
def test_numbers_and_tuples_are_the_objects_they_are(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_any_two_values_may_be_asked_whether_they_are_the_same():
    compiled = opcodon.jit(same_anything)
    values = [10**10, 2.5, True, None, "c", "text", (1, 2), [1], len, 2j, range(3), object()]
    for a in values:
        for b in values:
            assert compiled(a, b) == same_anything(a, b), (a, b)
    assert "the same object" in str(opcodon.jit(same_anything).report()) or compiled.signatures()
    alone = opcodon.jit(same_anything)
    assert alone(10**10, 5) == (False, True)
    assert "the same object" in str(alone.report())


def whether(value, other):
    return value is other


def through_callee(n, values):
    found = 0
    for i in range(n):
        big = i * 10**10
        if whether(big, values):
            found += 1
        if whether(values, values):
            found += 100
    return found


def test_a_function_that_is_not_compiled_is_called_as_an_object():
    check_calls(through_callee, opcodon.jit(through_callee), [(20, []), (3, 7)])


def through_lists(x, y):
    same = [whether, max]
    z = x
    return same[0](x, x), same[0](x, z), same[0](x, y), same[0](x + 0.5, x + 0.5)


def test_a_number_that_is_passed_twice_is_one_object():
    calls = [(10**10, 10**10 + 1), (2.5, 3.5), (2.5, 10**10), (True, 3)]
    check_calls(through_lists, opcodon.jit(through_lists), calls)


def recursive_same(n, first, last):
    if n == 0:
        return first is last
    return recursive_same(n - 1, last, first)


def test_nor_does_it_call_itself_natively():
    compiled = opcodon.jit(recursive_same)
    big = 10**10
    assert compiled(6, big, big) is True
    assert compiled(5, [], []) is False
    assert compiled(5, big, 10**11) is False


# ---- methods of builtin classes


def many_methods(text, values, table, queue):
    out = []
    for i in range(4):
        out.append(text.upper().center(20, "*").strip("*").lower())
        out.append(text.partition("b"))
        out.append(text.replace("a", str(i), 1).split("b", 1))
        out.append(text.encode())
        values.insert(i, i * 2.5)
        values.extend((i, i + 1))
        out.append(values.pop(0))
        out.append(table.setdefault(i, []))
        table[i].append(text.find("b", i))
        out.append(table.pop(i - 1, None))
        queue.append((i, text))
        queue.rotate(1)
        out.append(queue.popleft())
        out.append(values.index(values[-1]))
    return out


def test_methods_do_what_they_do():
    calls = [
        ("abcab", [1, 2.5], {}, deque([1, 2])),
        ("äbcab", [None], defaultdict(list), deque([[]], maxlen=3)),
        ("", ["x"], OrderedDict(), deque("ab")),
    ]
    check_calls(many_methods, opcodon.jit(many_methods), calls)


def one_method(of, arg):
    return of.append(arg * 2)


def two_methods(of, arg):
    of.append((arg, 2))
    return of.pop()


class Listed(list):
    """Another append."""

    def append(self, value):
        super().append((value, value))


def told(value):
    return ("told", value)


class Holding:
    """Its method is the instance's."""

    def __init__(self):
        self.values = []
        self.append = told

    def pop(self):
        return self.values[-1]


class Odd:
    """Tells when its methods are looked up."""

    def __init__(self):
        self.log = []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self.log.append(name)
        return lambda *args: (name, args)


def late(of, arg):
    return of.append(len(arg))


@pytest.mark.parametrize("function", [one_method, two_methods])
def test_one_place_calls_methods_of_many_classes(function):
    compiled = opcodon.jit(function)
    made = [list, lambda: deque([1]), Listed, Holding, Odd, bytearray, dict, lambda: 5, lambda: "s"]
    for _ in range(3):
        for make in made:
            for arg in (1, 2):
                check_calls(function, compiled, [(make(), arg)])


def test_a_method_is_looked_up_before_its_arguments_are_computed():
    compiled = opcodon.jit(late)
    for of in (5, "text", None, deque(), Odd(), Listed()):
        check_calls(late, compiled, [(of, 3), (of, "abc")])


def test_a_class_may_change_its_methods():
    class Changing:
        def append(self, value):
            return value + 1

    compiled = opcodon.jit(one_method)
    of = Changing()
    assert compiled(of, 2) == 5
    assert compiled(of, 2) == 5
    Changing.append = lambda _, value: value - 1
    assert compiled(of, 2) == 3
    of.append = lambda value: -value
    assert compiled(of, 2) == -4


def too_many(values):
    return values.append(1, 2)


def too_few(values):
    return values.append()


def none_wanted(values):
    return values.clear(1)


def fails(text):
    return text.index("z") + text.count("a")


@pytest.mark.parametrize("function", [too_many, too_few, none_wanted])
def test_wrong_arguments_of_methods_raise_what_they_raise(function):
    check_calls(function, opcodon.jit(function), [([],), (deque(),), ({},)])
    check_calls(fails, opcodon.jit(fails), [("abc",), ("abz",), (b"abz",)])


def test_methods_leave_nothing_behind():
    class Thing:
        pass

    def keep(values, queue, text):
        values.append(text)
        values.insert(0, (text, 1.5))
        queue.append((text, 2.5))
        queue.popleft()
        values.pop()
        values.pop()
        return text.upper().split("B", 1)

    def wrong(values, text):
        try:
            values.remove(text + "x")
        except ValueError:
            return 1
        return 0

    functions = [
        (opcodon.jit(keep), ([], deque(), "abcabc")),
        (opcodon.jit(wrong), ([1.5], "abc")),
    ]
    check_no_leak(functions)
    compiled = opcodon.jit(keep)
    queue, thing = deque(), Thing()
    seen = weakref.ref(thing)
    put = opcodon.jit(two_methods)
    for _ in range(4):
        assert put(queue, 3) == (3, 2)
    put(queue, 3)
    one = opcodon.jit(lambda of, arg: of.append((arg, 1)))
    for _ in range(4):
        one(queue, thing)
    queue.clear()
    del thing
    gc.collect()
    assert seen() is None
    assert compiled([], deque(), "ab") == ["A", ""]


# ---- nested functions


def shadowed(n):
    def a(x):
        return x + 1

    others = [lambda x: x * 10, lambda x: x * 100]
    return [a(n) for a in others], a(n), [a(n) for a in (abs, str)], {a(n): 1 for a in others}


def siblings(n):
    scale = n * 0.5

    def a(i, j):
        return scale / (i + j + 1)

    def row(i):
        return [a(i, j) for j in range(n)]

    def total():
        return sum(sum(row(i)) for i in range(n))

    return total(), row(1)[-1], a(2, 3)


def siblings_with_own_names(n):
    scale = n

    def a(i):
        return i * scale

    def b(i):
        scale = 100
        return a(i) + scale

    def c(a):
        return a(3)

    return b(2), c(lambda x: x - 1), a(1)


def siblings_that_fail(n):
    def a(i):
        return 10 // (i - 2)

    def b(i):
        return a(i) + 1

    out = []
    for i in range(n):
        out.append(b(i))
    return out


def calls_itself_and_others(n):
    memo = {}

    def cost(i):
        return i % 3 + 1

    def best(i):
        if i <= 0:
            return 0
        if i in memo:
            return memo[i]
        memo[i] = cost(i) + min(best(i - 1), best(i - 2))
        return memo[i]

    return best(n), len(memo)


def defaults(n):
    def f(a, b=2, /, c=3, *, d=4, e=None):
        return a * b + c * d + (0 if e is None else e)

    out = []
    for i in range(n):
        out.append(f(i))
        out.append(f(i, 5, c=i))
        out.append(f(i, d=i, c=1))
        out.append(f(*[i], e=i, d=2))
    return out


def order_of_arguments(n):
    log = []

    def note(x):
        log.append(x)
        return x

    def f(a, b, c=0):
        return a * 100 + b * 10 + c

    return f(c=note(1), b=note(2), a=note(n)), f(note(4), c=note(5), b=note(6)), log


def wrong_names(n):
    def f(a, b=1):
        return a + b

    return f(n, a=2) if n else f(c=1)


def late_defaults(n):
    step = n

    def f(a, by=step):
        return a + by

    step = 100
    return f(1), f(1, 2), step


def changed_defaults(n):
    def f(a, b=1):
        return a + b

    first = f(n)
    f.__defaults__ = (5,)
    return first, f(n)


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (shadowed, [(3,), (-3,), (2.5,)]),
        (siblings, [(4,), (1,)]),
        (siblings_with_own_names, [(4,)]),
        (siblings_that_fail, [(2,), (5,)]),
        (calls_itself_and_others, [(30,), (0,)]),
        (defaults, [(4,)]),
        (order_of_arguments, [(7,)]),
        (wrong_names, [(1,), (0,)]),
        (late_defaults, [(3,)]),
        (changed_defaults, [(3,)]),
    ],
)
def test_nested_functions_call_each_other(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_siblings_are_native():
    compiled = opcodon.jit(siblings)
    compiled(4)
    assert compiled.is_native()


# ---- loops that are left


def left(n, at):
    out = []
    for i in range(n):
        k = 0
        while True:
            k += 1
            if k == at:
                big = 2**62 * k * i
                if big % 5 == 1:
                    continue
                if big % 7 == 3:
                    break
                out.append(big)
            if k > 4:
                break
        else:
            out.append("never")
        for c in "abc":
            if c == "b" and i == 2:
                break
            if i == 3:
                out.append(2**63 + i)
                continue
            out.append(c)
        else:
            out.append(i)
        if i == 8:
            break
    else:
        out.append("end")
    return out


def test_what_is_left_of_loops_is_done():
    compiled = opcodon.jit(left)
    check_calls(left, compiled, [(n, at) for n in (0, 1, 4, 9, 12) for at in (1, 2, 4, 6)])


def left_in_handler(values):
    out = []
    for value in values:
        try:
            out.append(int(value))
        except ValueError as error:
            if value == "stop":
                break
            if value == "next":
                continue
            out.append(str(error))
        else:
            out.append("fine")
        finally:
            out.append("finally")
        out.append("behind")
    else:
        out.append("end")
    return out


def test_handlers_in_loops_jump():
    words = ["1", "x", "next", "2", "next", "y"]
    calls = [(words,), ([*words, "stop", "3"],), (["stop"],), ([],), (["next"],)]
    check_calls(left_in_handler, opcodon.jit(left_in_handler), calls)


def test_an_exception_of_a_left_loop_has_its_line():
    def raises(n):
        total = 0
        for i in range(n):
            total += 2**61
            if i == 9:
                total += 1 // (i - 9)
        return total

    compiled = opcodon.jit(raises)
    for n in (3, 9, 12):
        assert not Outcome(raises, (n,)).differences(Outcome(compiled, (n,)))


def keys_in_loops(rows):
    out = []
    for c in range(len(rows)):
        p = max(range(c, len(rows)), key=lambda r: abs(rows[r][c]))
        out.append(p)
        rows[c], rows[p] = rows[p], rows[c]
        total = c * 10
        out.append(sorted(range(3), key=lambda k: (k - c) ** 2 + total))
        total += 1
        out.append(sum(map(lambda k: k * total, range(4))))
        out.append(list(filter(lambda k: k != c, range(4))))
    return out


def kept_key(n):
    kept = []
    for i in range(n):
        kept.append(lambda k: k + i)
        later = map(lambda k: k * i, [1, 2])
        i += 100
        kept.append(later)
    return [each(1) if callable(each) else list(each) for each in kept]


def changed_meanwhile(n):
    c = n

    def change():
        nonlocal c
        c += 1
        return c

    first = sorted(range(4), key=lambda k: (k - c) * change())
    return first, min(range(3), key=lambda k: k - c), c


def default_binds(values):
    c = 5
    return min(values, key=lambda k: k * c, default=(c := -1)), c


def failing_key(n):
    for c in range(n):
        values = sorted(range(3), key=lambda k: 1 // (k - c))
    return values


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (keys_in_loops, [([[1, -2.5, 3], [4, 5, 6], [-7, 8, 9]],), ([],)]),
        (kept_key, [(3,)]),
        (changed_meanwhile, [(2,)]),
        (default_binds, [([],), ([3, 1, 2],)]),
        (failing_key, [(2,), (0,)]),
    ],
)
def test_keys_read_what_changes_later(function, calls):
    check_calls(function, opcodon.jit(function), calls)


def test_keys_in_loops_are_native():
    compiled = opcodon.jit(keys_in_loops)
    compiled([[1, 2], [3, 4]])
    compiled([[1, 2], [3, 4]])
    assert "Python |" not in str(compiled.report())


class Sized:
    """As long as it says."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getattr__(self, name):
        raise AttributeError(name)


def lengths(of):
    return len(of) * 2, len(of) + len(of), -len(of) - 3, len(of) << 1


def test_a_length_may_be_as_large_as_an_index():
    sizes = [0, 1, 2**31, 2**56, 2**61, 2**62, 2**63 - 1]
    calls = [(Sized(n),) for n in [*sizes, -1, 2**63]] + [(range(n),) for n in sizes]
    for _ in range(2):
        check_calls(lengths, opcodon.jit(lengths), calls)
        calls.reverse()


def made_by_a_lambda(n):
    j = 1
    made = list(map(lambda q: lambda: q * j, range(n)))
    j = 100
    return [each() for each in made]


def made_by_a_key(values):
    made = []
    j = 1
    ordered = sorted(values, key=lambda q: (made.append(lambda: j), q)[1])
    j = 7
    return ordered, [each() for each in made]


def lazy_by_a_lambda(n):
    made = []
    for j in range(n):
        made += list(map(lambda q: (j * z for z in range(q)), [3]))
    return [list(each) for each in made]


@pytest.mark.parametrize("function", [made_by_a_lambda, lazy_by_a_lambda])
def test_what_a_lambda_makes_may_outlive_it(function):
    check_calls(function, opcodon.jit(function), [(3,), (0,)])
    check_calls(made_by_a_key, opcodon.jit(made_by_a_key), [([3, 1, 2],)])


def assigned_to_itself(k):
    j = 2
    k + 1
    j = j
    return 3


def annotated_as_itself(k):
    j = 2
    for _ in range(3):
        k + 1
        j: int = (j := j)
    return j


@pytest.mark.parametrize("function", [assigned_to_itself, annotated_as_itself])
def test_a_variable_may_be_assigned_to_itself_where_native_code_ends(function):
    check_calls(function, opcodon.jit(function), [(1,), (2**63 - 1,), (2.5,)])


def no_method_of_arrays(a, n):
    return a.nope(1 // n)


def test_arrays_are_asked_for_their_methods_first():
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(3)
    check_calls(no_method_of_arrays, opcodon.jit(no_method_of_arrays), [(array, 0), (array, 1)])
