"""Attributes and methods at places that see several classes, or such as change."""

import gc
import importlib
import pathlib
import sys
import weakref

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


class Plain:
    """Values of an instance."""

    default = "of the class"

    def __init__(self, x, link=None):
        self.x = x
        self.link = link

    def told(self, more=0):
        return ("plain", self.x, more)


class Slotted:
    """Values in slots."""

    __slots__ = ("link", "x")

    def __init__(self, x, link=None):
        self.x = x
        self.link = link

    def told(self, more=0):
        return ("slotted", self.x, more)


class Derived(Plain):
    """A method of its own."""

    def told(self, more=1):
        return ("derived", super().told(more))


class Computed:
    """Nothing is what it seems."""

    def __init__(self, x, link=None):
        self._x = x
        self.link = link

    @property
    def x(self):
        return self._x * 2

    @x.setter
    def x(self, value):
        self._x = value + 100

    @staticmethod
    def told(more=0):
        return ("static", more)


class Asking:
    """Asks for what is not there."""

    def __init__(self, x, link=None):
        self.link = link
        self.__dict__["log"] = [x]

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self.log.append(name)
        return len(self.log)

    def __setattr__(self, name, value):
        self.__dict__[name] = (name, value)


class Watching:
    """Sees all of it."""

    def __init__(self, x, link=None):
        self.x = x
        self.link = link

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return value if name.startswith("_") else ("seen", value)


CLASSES = [Plain, Slotted, Derived, Computed, Asking, Watching]


def reads(objects):
    out = []
    for each in objects:
        out.append(each.x)
        out.append(each.link)
    return out


def writes(objects, value):
    for each in objects:
        each.x = value
        each.link = (value, each.x)
        value = [value]
    return value


def calls(objects):
    out = []
    for each in objects:
        out.append(each.told())
        out.append(each.told(len(out)))
    return out


def made():
    objects = [kind(at) for at, kind in enumerate(CLASSES)]
    missing = Slotted.__new__(Slotted)
    missing.link = None
    late = Plain(2.5)
    late.more = 1
    shadowing = Plain(3)
    shadowing.told = Slotted(1).told
    with_dictionary = Plain([])
    with_dictionary.__dict__["x"] = "in the dictionary"
    return [*objects, late, shadowing, with_dictionary], missing


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_attributes_are_what_they_are(n):
    objects, missing = made()
    for function, args in [(reads, ()), (writes, (1,)), (writes, ([2.5],))]:
        compiled = opcodon.jit(function)
        check_calls(function, compiled, [(objects[:n] * 3, *args), (objects[::-1], *args)])
        check_calls(function, compiled, [([missing], *args), ([Plain(1), None, 5], *args)])
        check_calls(function, compiled, [(objects * 3, *args)])


def test_methods_are_what_they_are():
    objects, _ = made()
    objects = [each for each in objects if not isinstance(each, (Asking, Watching))]
    compiled = opcodon.jit(calls)
    check_calls(calls, compiled, [(objects,), (objects[::-1] * 2,), ([Plain(1)] * 3,), ([4],)])
    for each in objects:
        check_calls(calls, opcodon.jit(calls), [([each, each],)])


def test_classes_may_change():
    class Changing:
        def __init__(self):
            self.x = 1
            self.link = None

        def told(self, more=0):
            return more

    of = [Changing(), Plain(2), Changing()]
    read, write, call = (opcodon.jit(function) for function in (reads, writes, calls))
    for _ in range(3):
        assert read(of) == reads(of)
        assert call(of) == calls(of)
    of[0].told = lambda more=5: ("own", more)
    assert call(of) == calls(of)
    Changing.told = lambda _, more=7: ("other", more)
    assert call(of) == calls(of)
    del of[0].told
    assert call(of) == calls(of)
    Changing.x = property(lambda _: "computed", lambda *_: None)
    assert read(of) == reads(of)
    write(of, 3)
    assert of[0].x == "computed"
    assert of[0].__dict__["x"] == 1
    del Changing.x
    assert read(of) == reads(of)
    of[0].__dict__ = {"x": "another", "link": 0}
    assert read(of) == reads(of)
    write(of, 9)
    assert of[0].__dict__ == {"x": 9, "link": (9, 9)}
    of[2].__class__ = type("Other", (), {"x": 8, "link": 8, "told": lambda _, more=0: more})
    assert read(of) == reads(of)
    assert call(of) == calls(of)
    del of[1].x
    with pytest.raises(AttributeError, match="'Plain' object has no attribute 'x'"):
        read(of)


def test_a_base_may_change():
    of = [Derived(1), Slotted(2)]
    compiled = opcodon.jit(calls)
    for _ in range(3):
        assert compiled(of) == calls(of)
    before = Plain.told
    try:
        Plain.told = lambda self, more: ("changed", self, more)
        assert compiled(of) == calls(of)
    finally:
        Plain.told = before
    assert compiled(of) == calls(of)


def chain(head):
    n = 0
    while head is not None:
        head.x = n
        n += 1
        following = head.link
        head.link = None
        head = following
    return n


def test_nothing_is_kept_of_attributes():
    first = Plain(0)
    objects = [first, Slotted(1), Derived(2)]
    functions = [
        (opcodon.jit(reads), (objects,)),
        (opcodon.jit(writes), (objects, 2.5)),
        (opcodon.jit(calls), (objects,)),
    ]
    check_no_leak(functions)
    compiled = opcodon.jit(chain)
    for _ in range(5):
        head = None
        seen = []
        for at in range(20):
            head = (Plain if at % 3 else Derived)(at, head)
            seen.append(weakref.ref(head))
        assert compiled(head) == 20
        del head
        gc.collect()
        assert all(each() is None for each in seen)


def test_what_an_attribute_held_may_look_at_it():
    log = []

    class Dying:
        def __init__(self, of):
            self.of = of

        def __del__(self):
            log.append(self.of.x)
            self.of.x = "last"

    of = [Plain(1), Slotted(1)]
    compiled = opcodon.jit(writes)
    for _ in range(2):
        compiled(of, 5)
    for each in of:
        each.x = Dying(each)
    compiled(of, 7)
    assert log == [7, [7]]
    assert [each.x for each in of] == ["last", "last"]
    assert [each.link for each in of] == [(7, "last"), ([7], "last")]


def test_what_a_class_holds_may_become_a_descriptor():
    class Held:
        pass

    class Holder:
        x = Held()

    def read(holders):
        return [holder.x for holder in holders]

    def write(holders):
        for holder in holders:
            holder.x = 5

    holder = Holder()
    holder.x = 1
    reading, writing = opcodon.jit(read), opcodon.jit(write)
    for _ in range(4):
        assert reading([holder]) == [holder.x]
        writing([holder])
    Held.__get__ = lambda _self, _holder, _class: "got"
    Held.__set__ = lambda _self, _holder, value: written.append(value)
    written = []
    assert reading([holder]) == read([holder]) == ["got"]
    writing([holder])
    assert written == [5]
    assert vars(holder) == {"x": 5}
