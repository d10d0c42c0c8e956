"""Functions and classes: closures, defaults, recursion, methods, dataclasses, generators."""
# The language as people write it.
# ruff: noqa: B023, E731
# ruff: noqa: RET501, RUF021

import dataclasses
import enum
import math

from cases import case

COUNTER = 0


def helper(a, b=2, *rest, scale=1, **more):
    return (a + b + sum(rest)) * scale + len(more)


@case((1,), (5,))
def calls_helper(x):
    return helper(x), helper(x, 3), helper(x, 3, 4, 5), helper(x, scale=2), helper(b=x, a=1, z=0)


@case((1,))
def calls_helper_wrongly(x):
    y = x + 1
    return helper(y, 1, a=y)


@case((3,), (0,))
def calls_with_too_many(x):
    return calls_helper(x, 5)


@case((10,), (0,))
def recursive(n):
    return n if n < 2 else recursive(n - 1) + recursive(n - 2)


@case((7,), (0,))
def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


@case((2, 3), (0, 0), (2, 2))
def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


@case((3,), (0,))
def nested_function(n):
    def square(x):
        return x * x + n

    total = 0
    for i in range(n):
        total += square(i)
    return total


@case((3,), (0,))
def nested_recursive(n):
    def down(k):
        if k <= 0:
            return [n]
        return [k, *down(k - 1)]

    return down(n)


@case((3,), (0,))
def late_binding(n):
    functions = []
    for i in range(n):
        functions.append(lambda: i)
    k = n
    add = lambda x: x + k
    k += 1
    return [f() for f in functions], add(1)


@case(
    (3,),
)
def counter(n):
    count = 0

    def tick():
        nonlocal count
        count += 1
        return count

    out = [tick() for _ in range(n)]
    return out, count


@case((5,), (0,), (2.5,), ("ab",))
def outer_variables(n):
    total = 0
    seen, calls = [], 1
    best = None

    def visit(k, depth):
        nonlocal total, best
        total += k
        seen.append([total + k for k in range(2)])
        if best is None or k > best:
            best = k
        if depth:
            visit(k * 2, depth - 1)
        return total

    for k in range(3):
        visit(n + k, k)
        if total > 40:
            total = total - 1
    total *= 2
    return total, best, seen, calls, (lambda x: x + calls)(1)


@case((3,), (2**62,))
def outer_variables_not_plain(n):
    a = b = c = d = 1
    a = n
    b = n

    def handed_on(k):
        nonlocal a
        a += k
        return a

    def shadows(b):
        def inner():
            nonlocal b
            b += 1
            return b

        return inner() + inner()

    def binds(k):
        nonlocal c
        for c in range(k % 7):
            values.append(c)

    def unbinds():
        nonlocal d
        d += 1
        return d

    values = []
    values += map(handed_on, [1, 2])
    binds(n)
    del d
    try:
        unbinds()
    except NameError:
        values.append("unbound")
    return values, a, b, shadows(n), c


def sums_all(first, *others, by=1):
    return first + sum(others) * by, len(others)


@case((3,), (2.5,), ("a",))
def starred_parameters(x):
    return (
        sums_all(x, by=2),
        sums_all(1, x, by=x),
        sums_all(1, 2, 3, 4, by=2),
        sums_all(x, 2),
        sums_all(by=3, first=x),
    )


@case((4,))
def global_store(n):
    global COUNTER
    COUNTER = 0
    for i in range(n):
        COUNTER += i
    return COUNTER


@case((2,))
def function_argument(x):
    return apply(double, x), apply(math.sqrt, x), apply(lambda v: v + 1, x), apply(str, x)


def apply(f, x):
    return f(x)


def double(x):
    return 2 * x


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def norm(self):
        return math.sqrt(self.x * self.x + self.y * self.y)

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)

    @property
    def swapped(self):
        return Point(self.y, self.x)


@case((3, 4), (0.5, 2))
def uses_class(a, b):
    p = Point(a, b)
    q = p + Point(1, 1)
    q.x += 10
    p.y = q.x
    return p.norm(), q.swapped.x, q


@dataclasses.dataclass
class Particle:
    position: float
    velocity: float = 1.0
    history: list = dataclasses.field(default_factory=list)

    def step(self, dt):
        self.position += self.velocity * dt
        self.history.append(self.position)
        return self


@case((3, 0.5), (0, 1.0))
def uses_dataclass(n, dt):
    p = Particle(0.0)
    for _ in range(n):
        p.step(dt)
    return p, p.step(dt).position


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@case((1,), (2,), (3,))
def uses_enum(k):
    c = Colour(k)
    return c is Colour.RED, c.name, c.value


class Account:
    rate = 2

    def __init__(self):
        self.__balance = 10

    def deposit(self, amount):
        if amount < 0:
            raise ValueError("negative")
        self.__balance += amount * self.rate
        return self.__balance

    def __repr__(self):
        return f"Account({self.__balance})"


@case((5,), (-1,))
def uses_private_names(amount):
    account = Account()
    account.deposit(amount)
    return repr(account)


@case((Particle(1.0), 2), (Particle(0.0, 0.0), 0))
def mutates_argument(p, n):
    for i in range(n):
        p.velocity += i
    p.position = p.velocity
    return None


@case((Point(1, 2),), (5,))
def missing_attribute(p):
    p.x = 1
    return p.z


@case((5,), (0,), (2.5,), (True,))
def loop_over_generator(n):
    total = 0
    for x in countdown(n):
        for y in countdown(x):
            total += x * y
    return total


@case((7, 3, 5), (4, 9, 9), (0, 0, 0), (9, 8, 1), (2**62, 3, 2**62 - 3))
def loop_over_generator_with_jumps(n, skipped, last):
    seen = []
    for _ in range(2):
        for x in multiples(n, 3):
            if x == skipped:
                continue
            if x < last:
                break
            seen.append(x)
        else:
            seen.append("all")
    return seen


def multiples(n, k):
    while n > 0:
        for i in range(k):
            if n % 2 == i % 2:
                yield n - i
        n -= k


@case((5,), (0,))
def generator_function_consumed(n):
    return list(countdown(n)), sum(countdown(n))


def countdown(n):
    while n > 0:
        yield n
        n -= 1


@case((4,), (0,))
def generator_kept(n):
    g = (x * x for x in range(n))
    first = next(g, None)
    return first, list(g)


@case((4,), (1,), (0,))
def generator_loop(n):
    out = []
    for x in countdown(n):
        out.append(x)
        if x == 2:
            break
    else:
        out.append("end")
    return out


def ends_and_between(n):
    yield -n
    for i in range(n):
        yield i
        if i % 2:
            yield i * 10
    yield n


@case((4,), (1,), (0,), (6,))
def generator_of_several_yields(n):
    out = []
    for x in ends_and_between(n):
        if x == 1:
            continue
        out.append(x)
        if x == 30:
            break
    else:
        out.append("end")
    return out, sum(ends_and_between(n))


def failing(n):
    yield 1
    raise ValueError(f"after {n}")


@case((4,))
def generator_fails(n):
    total = 0
    for x in failing(n):
        total += x
    return total


@case((3,), (0,))
def generator_in_try(n):
    try:
        for x in failing(n):
            n += x
    except ValueError as error:
        return n, str(error)


@case((1, 2), (1,), (1, 2, 3))
def defaults(a, b=5, *, c=7):
    return a * b + c


@case((1,), (1, 2, 3))
def varargs(first, *rest, **options):
    total = first
    for r in rest:
        total += r
    return total, len(options)


class Weird:
    def __init__(self, log):
        self.log = log

    def __bool__(self):
        self.log.append("bool")
        return len(self.log) % 2 == 0

    def __lt__(self, other):
        self.log.append("lt")
        return self

    def __len__(self):
        self.log.append("len")
        return 3

    def __iadd__(self, other):
        self.log.append(("iadd", other))
        return self

    def __getattr__(self, name):
        self.log.append(name)
        if name == "fails":
            raise AttributeError(name)
        return lambda *args: self.log.append(args)


@case(())
def observes_truth():
    log = []
    w = Weird(log)
    a = w and 1
    b = w or 2
    if w < 1 < 2:
        log.append("then")
    if not w:
        log.append("not")
    if w and w or w:
        log.append("mixed")
    while w:
        log.append("loop")
        if len(log) > 40:
            break
    return log, type(a).__name__, type(b).__name__


@case(())
def observes_order():
    log = []
    w = Weird(log)
    w.method(log.append("argument"), len(w))
    w += len(log)
    w.x, w.y = 1, 2
    return log, w.x


@case(())
def observes_failed_lookup():
    log = []
    w = Weird(log)
    try:
        w.fails(log.append("never"))
    except AttributeError:
        log.append("caught")
    return log


@case((100,))
def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


def traced(log, x):
    log.append(x)
    return x


@case((1,), (0,))
def evaluation_order(z):
    log = []
    d = {}
    try:
        d[traced(log, "key")] = traced(log, "value") if z else log[99]
        traced(log, 1) + traced(log, 2) * traced(log, 3) // z
        traced(log, [0, 0])[traced(log, 1)] += traced(log, 5)
        traced(log, {}).setdefault(traced(log, "a"), traced(log, "b"))
        helper(traced(log, 1), *[traced(log, 2)], scale=traced(log, 3))
        log.append(traced(log, 1) < traced(log, 2) < traced(log, 0) < traced(log, 9))
    except (ZeroDivisionError, IndexError) as error:
        log.append(type(error).__name__)
    return log, d


@case((2.0,), (-1.0,))
def imports(x):
    import math as m
    from os.path import basename, join

    total = 0.0
    for k in range(3):
        total += m.sqrt(x + k)
    return total, basename(join("a", "b")), m.pi


@case((1,))
def import_fails(x):
    x += 1
    from math import no_such_name

    return no_such_name(x)


def make_adder(n):
    def adder(x):
        return x + n

    return adder


add_five = case((1,), ("x",))(make_adder(5))
shift = case((1,), (2.5,))(lambda x: x * 2 + 1)
first_of_two, second_of_two = lambda x: x + 1, lambda x: x + 2
case((1,))(first_of_two)
case((1,))(second_of_two)
