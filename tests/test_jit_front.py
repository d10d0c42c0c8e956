"""The front of `opcodon.jit`: source, frozen names and guards, binding, wrapping, pickling."""

import functools
import inspect
import linecache
import math
import pathlib
import pickle
import subprocess
import sys
import textwrap
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

import interpreter
from compare import Outcome

from opcodon._jit import decorator
from opcodon._jit.decorator import jit


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(decorator, "function_type", lambda: interpreter.Function)


def module(source, name="sample", **space):
    """The namespace of a source text that tracebacks and the compiler find."""
    source = textwrap.dedent(source)
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space.setdefault("__name__", name)
    exec(compile(source, file, "exec"), space)
    return space


# ---- binding


def plain(a, b=2, /, c=3, *rest, d, e=5, **more):
    return a, b, c, rest, d, e, more


CALLS = [
    ((1,), {"d": 4}),
    ((1, 2, 3, 4, 5), {"d": 4, "f": 6}),
    ((), {"d": 1}),
    ((1,), {}),
    ((1,), {"a": 2, "d": 3}),
    ((1, 2), {"c": 9, "d": 0, "e": 1}),
]


@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_arguments_are_bound_as_python_does(args, kwargs):
    assert not Outcome(plain, args, kwargs).differences(Outcome(jit(plain), args, kwargs))


def test_wrong_arguments_have_pythons_message():
    def two(a, b):
        return a, b

    for args, kwargs in [((1,), {}), ((1, 2, 3), {}), ((1, 2), {"c": 1}), ((1,), {"a": 1})]:
        assert not Outcome(two, args, kwargs).differences(Outcome(jit(two), args, kwargs))


# ---- the wrapper


def documented(x, y=1):
    """What it does."""
    return x + y


def test_wrapper_looks_like_the_function():
    made = jit(documented)
    assert made.__name__ == "documented"
    assert made.__doc__ == "What it does."
    assert made.__wrapped__ is documented
    assert made.__module__ == __name__
    assert inspect.signature(made) == inspect.signature(documented)


def test_options_and_bare_decorator():
    assert jit(wrap=True, fast_math=True)(documented)(1) == 2
    with pytest.raises(TypeError, match="unexpected keyword"):
        jit(warp=True)
    for permission in ("parallel", "nogil", "cache", "boundscheck"):
        assert jit(**{permission: True})(documented)(1) == 2
    for wrong in (len, math.sin, int, object()):
        with pytest.raises(TypeError, match="compiles Python functions"):
            jit(wrong)


native_type, decorator.function_type = decorator.function_type, lambda: interpreter.Function


@jit
def at_module_level(x):
    return x + 1


class Counter:
    step = 3

    def __init__(self):
        self.__n = 0

    @jit
    def advance(self, k=1):
        self.__n += k * self.step
        return self.__n

    @jit
    @staticmethod
    def twice(x):
        return 2 * x

    @staticmethod
    @jit
    def thrice(x):
        return 3 * x

    @classmethod
    @jit
    def stride(cls):
        return cls.step

    @property
    @jit
    def n(self):
        return self.__n

    @jit
    def parent(self):
        return super().__init__


decorator.function_type = native_type


def test_methods():
    c = Counter()
    assert c.advance() == 3
    assert Counter.advance(c, k=2) == 9
    assert (c.n, c.twice(2), Counter.thrice(2), c.stride()) == (9, 4, 6, 3)
    assert c.advance.__opcodon_front__.form is not None
    assert c.parent.__opcodon_front__.form is not None
    assert c.parent() == super(Counter, c).__init__


@functools.lru_cache
def unused():
    """Decorated by others: not a Python function."""


# ---- frozen names


def test_a_changed_global_is_seen_at_the_next_call():
    space = module(
        """
        LIMIT = 3
        def g(x): return x + 1
        def f(x): return g(x) * LIMIT + len([x])
        """
    )
    f = jit(space["f"])
    assert f(1) == 7
    space["LIMIT"] = 10
    assert f(1) == 21
    space["g"] = lambda x: x - 1
    assert f(1) == 1
    space["len"] = lambda x: 99 + x[0]
    assert f(1) == 100
    del space["len"]
    assert f(1) == 1
    del space["LIMIT"]
    with pytest.raises(NameError, match="'LIMIT' is not defined"):
        f(1)


def test_a_changed_module_attribute_is_seen_at_the_next_call():
    tools = types.ModuleType("tools")
    tools.scale = 2
    f = jit(module("def f(x): return x * tools.scale", tools=tools)["f"])
    assert f(3) == 6
    tools.scale = 5
    assert f(3) == 15
    del tools.scale
    with pytest.raises(AttributeError, match="has no attribute 'scale'"):
        f(3)


def test_a_changed_closure_variable_is_seen_at_the_next_call():
    def outer():
        n = 1

        def change(value):
            nonlocal n
            n = value

        def forget():
            nonlocal n
            del n

        def f(x):
            return x + n

        return jit(f), change, forget

    f, change, forget = outer()
    assert f(1) == 2
    change(10)
    assert f(1) == 11
    forget()
    with pytest.raises(NameError, match="free variable 'n'"):
        f(1)


def test_names_that_keep_changing_are_left_to_python():
    space = module("def f(): return K", K=0)
    f = jit(space["f"])
    for k in range(200):
        space["K"] = k
        assert f() == k
    assert "changed" in f.__opcodon_front__.refusal


def test_plain_callees_are_compiled_along_but_passed_as_they_are():
    space = module(
        """
        def g(x): return x + 1
        def f(x): return g(x), g
        """
    )
    f = jit(space["f"])
    assert f(1) == (2, space["g"])
    front = f.__opcodon_front__
    assert front.family[space["g"]] in front.prepare()[1]


# ---- source


def test_two_lambdas_on_a_line():
    f, g = (lambda x: x + 1), (lambda x: x - 1)
    assert (jit(f)(1), jit(g)(1)) == (2, 0)
    assert jit(g).__opcodon_front__.form is not None


def test_no_source():
    space = {}
    exec("def f(x): return x + 1", space)
    f = jit(space["f"])
    assert f(1) == 2
    assert "source" in f.__opcodon_front__.refusal


def test_edited_source_is_not_used():
    space = module("def f(x): return x + 1", "edited")
    linecache.cache["<edited>"] = (0, None, ["def f(x): return x - 1\n"], "<edited>")
    f = jit(space["f"])
    assert f(1) == 2
    assert "not what it was compiled from" in f.__opcodon_front__.refusal


REFUSED = {
    "generator": "def f():\n    yield 1",
    "asynchronous": "async def f():\n    return 1",
    "locals()": "def f():\n    return locals()",
    "eval()": "def f():\n    return eval('1')",
}


@pytest.mark.parametrize(("reason", "source"), REFUSED.items(), ids=REFUSED)
def test_refused(reason, source):
    front = decorator.Front(module(source)["f"], {})
    assert front.form is None
    assert reason in front.refusal


def test_deep_nesting_is_no_crash():
    deep = "x" + " + 1" * 900
    assert jit(module(f"def f(x): return {deep}")["f"])(1) == 901
    chain = "\n".join(f"    elif x == {k}: return {k}" for k in range(900))
    f = jit(module(f"def f(x):\n    if x < 0: return -1\n{chain}")["f"])
    assert f(800) == 800


def test_a_failing_compiler_leaves_python(monkeypatch):
    monkeypatch.setattr(decorator, "normalise", lambda *_: 1 / 0)
    f = jit(documented)
    assert f(1) == 2
    assert "please report" in f.__opcodon_front__.refusal


def test_indented_and_odd_layout():
    if True:
        # a comment before
        @functools.wraps(documented)
        def wrapped(): ...

        def odd(
            x,
            y=(1, 2),
        ):
            text = """
not indented
"""
            return (x, y, text)

    made = jit(odd)
    assert made(1) == odd(1)
    assert made.__opcodon_front__.form is not None


# ---- pickling, importing


def test_pickle_by_name():
    assert pickle.loads(pickle.dumps(documented)) is documented
    import copyreg

    copyreg.pickle(interpreter.Function, decorator._reduce)
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level
    again = pickle.loads(pickle.dumps(jit(documented)))
    assert again(1) == 2
    assert again.__wrapped__ is documented


def test_import_loads_nothing_of_it():
    code = "import sys, opcodon; print([m for m in sys.modules if m.startswith('opcodon._jit')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_nested_functions_keep_their_names():
    def f(n):
        def inner():
            return n

        return inner, lambda: n

    for found, expected in zip(jit(f)(1), f(1), strict=True):
        assert found.__name__ == expected.__name__
        assert found.__qualname__ == expected.__qualname__


# ---- the report


def test_report_tells_how_each_line_runs():
    f = jit(
        module(
            """
            def f(xs):
                total = 0
                for x in xs:
                    total += x
                if total < 0:
                    raise ValueError(total)

                return (lambda: total > 0)()
            """
        )["f"]
    )
    front = f.__opcodon_front__
    addition = next(k for k, s in enumerate(front.form.nodes) if s.where.lineno == 5)
    exits = {addition: {"line": 5, "why": "overflow", "n_taken": 3}}
    native = types.SimpleNamespace(
        signatures=lambda: ["(list) -> str"], exits=lambda: exits, vectors=dict, passes=dict
    )
    report = front.report(native)
    assert [(line.number, line.state, line.why) for line in report.lines if line.state] == [
        (3, "native", ""),
        (4, "native", ""),
        (5, "left", "overflow, 3 times"),
        (6, "native", ""),
        (7, "Python", "raise statement"),
        (9, "called", "Python computes a part of it"),
    ]
    assert str(report).startswith("f: machine code for (list) -> str\n    2        | def f(xs):")
    assert "total &gt; 0" in report._repr_html_()


def test_report_of_what_is_not_compiled():
    f = jit(module("def f():\n    yield 1")["f"])
    native = types.SimpleNamespace(signatures=list, exits=dict, vectors=dict, passes=dict)
    assert str(f.__opcodon_front__.report(native)) == "f: runs in Python, because it is a generator"
