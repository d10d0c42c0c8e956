"""Instances of classes: attributes, methods, properties and constructors, against CPython."""

import gc
import importlib
import pathlib
import sys
from dataclasses import dataclass, field

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from compare import Outcome, check_calls, check_no_leak

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)


class Shape:
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side * self.side

    def grow(self, by):
        self.side = self.side + by
        return self.side

    @property
    def half(self):
        return self.side / 2

    @half.setter
    def half(self, value):
        self.side = 2 * value


class Triple(Shape):
    def area(self):
        return 3 * super().area()


class Pair:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def dot(self, other):
        return self.x * other.x + self.y * other.y

    def plus(self, other):
        return Pair(self.x + other.x, self.y + other.y)


class Vector:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __mul__(self, by):
        return Vector(self.x * by, self.y * by)

    def __sub__(self, other):
        if isinstance(other, Vector):
            return self + other * -1
        return NotImplemented

    def __matmul__(self, other):
        return NotImplemented

    def __imul__(self, by):
        self.x *= by
        return self


class Longer(Vector):
    def __radd__(self, other):
        return "radd"

    def __add__(self, other):
        return "add"


class Node:
    def __init__(self, value, following=None):
        self.value = value
        self.following = following


class Lazy:
    kind = "lazy"
    n = 0

    def __init__(self):
        self.items = []

    def add(self, value):
        self.items.append(value)
        self.n += 1
        return len(self.items)


class Answers:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return len(name)


class Doubles:
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value * 2)


class Refuses:
    def __init__(self, x):
        self.x = x
        if x == 3:
            raise ValueError(f"not {x}")


class Returns:
    def __init__(self, x):
        self.x = x
        return x if x > 2 else None


@dataclass
class Point:
    x: float
    y: float = 1.0


@dataclass
class Bag:
    name: str
    items: list = field(default_factory=list)

    def __post_init__(self):
        self.size = len(self.name)


@dataclass(frozen=True)
class Frozen:
    x: int


def areas(shapes, n):
    total = 0
    for _ in range(n):
        for shape in shapes:
            total += shape.area() + shape.grow(1)
    return total, [shape.side for shape in shapes]


def properties(shape, n):
    for k in range(n):
        shape.half = shape.half + k
    return shape.half, shape.side


def slots(pair, n):
    for k in range(n):
        pair.x += k
        pair.y = pair.y * 0.5 + pair.x
    return pair.x, pair.y, pair.dot(pair)


def sums(n):
    total = Pair(0, 0.0)
    step = Pair(1, 0.5)
    for _ in range(n):
        total = total.plus(step)
    return total.x, total.y, type(total)


def operators(a, b, n):
    total = a + b
    for _ in range(n):
        total = total + b * 2
        total += a
        total *= 3
        total = total - b
    return total.x, total.y, type(total)


def product(a, b):
    return a @ b


def quotient(a, b):
    a /= b
    return a


def linked(values):
    head = None
    for value in values:
        head = Node(value, head)
    total = 0
    while head is not None:
        total += head.value
        head = head.following
    return total


def lazily(n):
    lazy = Lazy()
    for k in range(n):
        lazy.add(k)
    return lazy.n, lazy.items, lazy.kind, list(vars(lazy))


def points(n):
    made = [Point(float(k), k * 0.5) for k in range(n)]
    total = 0.0
    for point in made:
        total += point.x - point.y
    return total, made[-1], made[0] == Point(0.0, 0.0), Point(2.0)


def bags(names):
    made = []
    for name in names:
        bag = Bag(name)
        bag.items.append(name)
        made.append((bag.size, bag.items))
    return made, Bag("a", ["b"]), Bag(name="c")


def frozen(x):
    made = Frozen(x)
    return made.x, made


def reads(thing):
    return thing.side + thing.kind


def writes(thing, value):
    thing.side = value
    return thing.side


def refused(n):
    made = []
    for k in range(n):
        made.append(Refuses(k).x)
    return made


def returned(n):
    made = []
    for k in range(n):
        made.append(Returns(k).x)
    return made


def too_few():
    return Pair(1)


def kept(shape, by, n):
    seen = []
    for _ in range(n):
        shape.side = shape.side + by
        seen.append(shape.side)
    return seen


def deleted(shape, n):
    for k in range(n):
        if k == 3:
            del shape.side
        shape.side += k
    return shape.side


def through_dict(shape, n):
    total = 0
    for k in range(n):
        shape.side = k
        if k == 3:
            shape.__dict__["side"] = 50
        total += shape.side
    return total


def shadowed(shape, n):
    total = 0
    for k in range(n):
        total += shape.area()
        if k == 3:
            shape.area = lambda: 7
    del shape.area
    return total


def reclassed(shape, n):
    total = 0
    for k in range(n):
        total += shape.area()
        if k == 3:
            shape.__class__ = Triple
    return total


def new_attribute(shape, n):
    for k in range(n):
        shape.extra = k
        shape.other = shape.extra + 1
    return list(vars(shape).items())


def order(n):
    node = Node(n)
    node.following = node.value
    node.value = 0
    node.late = 1
    return list(vars(node))


CALLS = [
    (areas, [([Shape(1), Shape(2)], 5), ([Shape(1.5), Triple(2)], 5), ([Triple(2**40)], 3)]),
    (areas, [([None], 1), ([Shape("x")], 1), ([Shape(2**62)], 3), ([], 3)]),
    (properties, [(Shape(4), 5), (Shape(1.5), 3), (Triple(1), 2)]),
    (slots, [(Pair(1, 2.0), 20), (Pair(1.5, 2), 20), (Pair(2**62, 2), 9), (Pair("a", 1), 2)]),
    (slots, [(Point(1.0, 2.0), 3), (Shape(1), 1)]),
    (sums, [(10,), (0,)]),
    (operators, [(Vector(1, 2), Vector(0.5, 2), 3), (Vector(1, 2), Vector(3, 4), 0)]),
    (operators, [(Vector(1, 2), Longer(3, 4), 2), (Longer(1, 2), Longer(3, 4), 2)]),
    (operators, [(Vector(1, 2), 3, 2), (3, Vector(1, 2), 2), (Vector("a", 2), Vector("b", 2), 1)]),
    (product, [(Vector(1, 2), Vector(3, 4)), (Vector(1, 2), 3), (3, Vector(1, 2))]),
    (quotient, [(Vector(1, 2), Vector(3, 4)), (Vector(1, 2), 3.0), (6, 3)]),
    (linked, [(list(range(20)),), ([1.5, 2],), ([],), (["a", 1],)]),
    (lazily, [(5,), (0,)]),
    (points, [(5,), (1,), (0,)]),
    (bags, [(["x", "yz"],), ([],)]),
    (frozen, [(3,)]),
    (reads, [(Shape(1),), (Answers(),), (3,), (Lazy(),)]),
    (
        writes,
        [(Shape(1), 2), (Shape(1), "x"), (Doubles(), 4), (3, 4), (Pair(1, 2), 3), (Frozen(1), 2)],
    ),
    (refused, [(3,), (5,)]),
    (returned, [(3,), (5,)]),
    (too_few, [()]),
    (kept, [(Shape(0.5), 1.5, 9), (Shape(400), 1000, 9), (Shape(-400), -1, 9), (Shape(0), 1, 9)]),
    (kept, [(Shape(2**30 - 5), 1, 9), (Shape(5 - 2**30), -1, 9), (Shape(260), -1, 9)]),
    (deleted, [(Shape(1), 2), (Shape(1), 5)]),
    (through_dict, [(Shape(1), 3), (Shape(1), 9)]),
    (shadowed, [(Shape(2), 9)]),
    (reclassed, [(Shape(2), 9), (Shape(2), 3)]),
    (new_attribute, [(Shape(2), 9), (Pair(1, 2), 1)]),
    (order, [(1,), ("a",)]),
]
IDS = [f"{function.__name__}-{k}" for k, (function, _) in enumerate(CALLS)]


@pytest.mark.parametrize(("function", "calls"), CALLS, ids=IDS)
def test_instances(function, calls):
    check_calls(function, opcodon.jit(function), calls)
    for args in calls:
        check_calls(function, opcodon.jit(function), [args])


def test_instances_that_were_not_copied():
    # Copies have a dictionary, others do not.
    makers = [
        (areas, lambda: ([Shape(1), Shape(2)], 5)),
        (properties, lambda: (Shape(4), 5)),
        (kept, lambda: (Shape(0.5), 1.5, 9)),
        (kept, lambda: (Shape(400), 1000, 9)),
        (deleted, lambda: (Shape(1), 5)),
        (through_dict, lambda: (Shape(1), 9)),
        (shadowed, lambda: (Shape(2), 9)),
        (reclassed, lambda: (Shape(2), 9)),
        (new_attribute, lambda: (Shape(2), 9)),
        (writes, lambda: (Shape(1), "x")),
    ]
    for function, make in makers:
        compiled = opcodon.jit(function)
        for _ in range(3):
            results = []
            for called in [function, compiled]:
                args = make()
                try:
                    found = called(*args)
                except AttributeError as error:
                    found = str(error)
                states = [vars(arg) for arg in args if isinstance(arg, Shape)]
                results.append((found, states, [list(state) for state in states]))
            assert repr(results[0]) == repr(results[1]), function


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (areas, ([Shape(1), Shape(2)], 5)),
        (properties, (Shape(4), 5)),
        (slots, (Pair(1, 2.0), 20)),
        (linked, (list(range(20)),)),
        (points, (5,)),
    ],
)
def test_nothing_is_left(function, args):
    compiled = opcodon.jit(function)
    for _ in range(3):
        assert not Outcome(function, args).differences(Outcome(compiled, args))
    assert compiled.is_native()


def test_a_method_that_is_replaced_is_called():
    class Thing:
        def value(self):
            return 1

    def second(thing):
        return 10 if thing else 0

    def total(thing, n, at):
        found = 0
        for k in range(n):
            if k == at:
                Thing.value = second
            found += thing.value()
        return found

    first = Thing.value
    compiled = opcodon.jit(total)
    for at in [9, 3, 0, 9]:
        expected = total(Thing(), 6, at)
        Thing.value = first
        assert compiled(Thing(), 6, at) == expected
        Thing.value = first


def test_a_class_that_counts_its_instances():
    class Counted:
        n = 0

        def __init__(self):
            Counted.n += 1
            self.number = Counted.n

    def numbers(n):
        return [Counted().number for _ in range(n)]

    compiled = opcodon.jit(numbers)
    for k in range(4):
        assert compiled(3) == [3 * k + 1, 3 * k + 2, 3 * k + 3]


def test_a_name_that_a_method_binds_anew():
    space = {"opcodon": opcodon}
    source = """
level = 1
class Rises:
    def rise(self):
        global level
        level += 1
def inner(thing):
    thing.rise()
def outer(thing):
    inner(thing)
    return level
"""
    file = pathlib.Path(__file__).parent / "jit_corpus" / "rises.py"
    import linecache

    linecache.cache[str(file)] = (len(source), None, source.splitlines(True), str(file))
    exec(compile(source, str(file), "exec"), space)
    compiled = opcodon.jit(space["outer"])
    assert [compiled(space["Rises"]()) for _ in range(3)] == [2, 3, 4]


def test_objects_die_when_they_do():
    class Logged:
        log: list = []  # noqa: RUF012

        def __init__(self, x):
            self.x = x

        def __del__(self):
            self.log.append(self.x)

    def made(n, log):
        for k in range(n):
            thing = Logged(k)
            log.append(-thing.x)
        return len(log)

    logs = []
    for function in [made, opcodon.jit(made)]:
        Logged.log.clear()
        function(4, Logged.log)
        logs.append(list(Logged.log))
    assert logs[0] == logs[1]


def test_no_reference_is_lost_or_kept():
    def raising(shape):
        try:
            return refused_now(shape.side)
        except ValueError:
            return None

    def refused_now(x):
        return Refuses(x).x

    functions = [
        (opcodon.jit(areas), ([Shape(1), Triple(2)], 3)),
        (opcodon.jit(slots), (Pair(1, 2.0), 3)),
        (opcodon.jit(linked), ([1, 2, 3],)),
        (opcodon.jit(points), (3,)),
        (opcodon.jit(bags), (["x", "y"],)),
        (opcodon.jit(kept), (Shape(0.5), 1e-9, 4)),
        (opcodon.jit(raising), (Shape(3),)),
        (opcodon.jit(new_attribute), (Shape(3), 2)),
    ]
    check_no_leak(functions)


def test_a_class_of_a_class_that_is_asked_is_not():
    asked = []

    class Asked(type):
        def __getattribute__(cls, name):
            asked.append(name)
            return super().__getattribute__(name)

    class Thing(metaclass=Asked):
        def __init__(self):
            self.x = 1

    def read(thing, n):
        total = 0
        for _ in range(n):
            total += thing.x
        return total + Thing().x

    thing = Thing()
    asked.clear()
    expected = read(thing, 3), list(asked)
    compiled = opcodon.jit(read)
    for _ in range(2):
        asked.clear()
        assert (compiled(thing, 3), asked) == expected


def test_classes_go_with_their_functions():
    import weakref

    def made():
        class Local:
            def __init__(self):
                self.x = 1

        def read(thing):
            return thing.x + Local().x

        compiled = opcodon.jit(read)
        assert compiled(Local()) == 2
        return weakref.ref(Local), weakref.ref(compiled)

    refs = made()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
