"""Control flow: loops with else, nested breaks, exceptions, try, with, match, assert, del."""
# The language as people write it.
# ruff: noqa: B007, B012, PIE790

import contextlib

from cases import case


@case((10, 3), (10, 20), (0, 0))
def for_else(n, wanted):
    for i in range(n):
        if i == wanted:
            found = "found"
            break
    else:
        found = "missing"
    return found


@case((10, 3), (2, 20))
def while_else(n, wanted):
    i = 0
    while i < n:
        if i == wanted:
            break
        i += 1
    else:
        i = -1
    return i


@case((5,), (0,), (1,))
def break_in_else(n):
    seen = []
    for i in range(n):
        for j in range(i):
            if j == 2:
                break
            seen.append((i, j))
        else:
            if i == 4:
                break
            seen.append(("else", i))
            continue
        seen.append(("after", i))
    else:
        seen.append("done")
    return seen


@case((6,), (0,))
def while_else_jumps(n):
    out = []
    k = 0
    while k < n:
        k += 1
        j = 0
        while j < k:
            j += 1
            if j == 3:
                break
        else:
            out.append(("inner else", k, j))
            if k == 2:
                continue
            if k == 5:
                break
        out.append((k, j))
    else:
        out.append("outer else")
    return out


@case((20,), (1,))
def continue_and_break(n):
    total = 0
    for i in range(n):
        if i % 2:
            continue
        if i > 12:
            break
        total += i
    return total, i


@case((5,), (0,))
def triangle(n):
    rows = []
    for i in range(n):
        row = []
        j = 0
        while True:
            if j > i:
                break
            row.append(i * j)
            j += 1
        rows.append(row)
    return rows


@case((10, -1, -2), (0, 10, 3), (0, 0, 1), (5, 0, 0), (0, 2**65, 2**64))
def ranges(start, stop, step):
    out = []
    for i in range(start, stop, step):
        out.append(i)
    return out


@case((3,), (0,))
def loop_variable_after(n):
    for i in range(n):
        pass
    return i


@case((True,), (False,))
def maybe_unbound(flag):
    if flag:
        value = 1
    return value


@case((True, []), (False, []))
def unbound_before_effect(flag, log):
    if flag:
        x = 1
    return x + len(log.append(1) or log)


@case((3,), (0,))
def deleted(n):
    x = n
    if n:
        del x
    return x


@case(([1, 2, 3], 1), ([1], 5), ({1: 2}, 1), ({1: 2}, 3))
def delete_item(container, key):
    del container[key]
    return container


@case(([1, 2, 3], 5), ([1, 2, 3], 1), ([], 0))
def index_error(values, i):
    total = 0
    for k in range(3):
        total += values[i + k - 1]
        values[0] = total
    return total


@case(([3, 0, 1],), ([1, 2],), ([0, "x"],))
def exception_mid_loop(values):
    out = []
    for v in values:
        out.append(v)
        out.append(10 // v)
    return out


@case(([4, 0, 2, "x", 1],), ([],))
def try_in_loop(values):
    good, bad = 0, 0
    for v in values:
        try:
            good += 10 // v
        except ZeroDivisionError:
            bad += 1
        except TypeError as error:
            bad += len(str(error)) > 0
        else:
            good += 100
        finally:
            good += 1000
    return good, bad


@case((1,), (0,), ("x",))
def try_finally(x):
    log = []
    try:
        log.append("start")
        y = 10 / x
        log.append("end")
        return log, y
    finally:
        log.append("finally")
        print(log)


@case(({"a": 1}, "a"), ({}, "a"))
def try_else(mapping, key):
    try:
        value = mapping[key]
    except KeyError:
        value = None
    else:
        value += 1
    return value


@case((3,), (0,), (-1,))
def nested_try(n):
    log = []
    for i in range(3):
        try:
            try:
                log.append(10 // (n - i))
            finally:
                log.append(("inner", i))
                if i == 2:
                    continue
        except ZeroDivisionError as error:
            log.append(str(error))
            if i == 0:
                break
    else:
        log.append("else")
    return log


@case((0,), (1,), (2,), (3,))
def raises(kind):
    if kind == 0:
        raise ValueError("kind is zero")
    if kind == 1:
        raise KeyError(kind) from ValueError("cause")
    if kind == 2:
        raise TypeError
    return kind


@case((0,), (1,))
def reraise(x):
    try:
        return 1 / x
    except ZeroDivisionError as error:
        raise ValueError(f"bad {x}") from error


@case((5,), (-1,))
def asserts(x):
    y = x + 1
    assert y > 0, f"{y} is not positive"
    assert isinstance(x, int)
    return y


@case((1,), (0,))
def suppressing(x):
    log = ["in"]
    with contextlib.suppress(ZeroDivisionError):
        log.append(1 / x)
        log.append("not reached for 0")
    return log


class Manager:
    def __init__(self, log, swallow):
        self.log = log
        self.swallow = swallow

    def __enter__(self):
        self.log.append("enter")
        return self.log

    def __exit__(self, kind, value, tb):
        self.log.append(("exit", kind.__name__ if kind else None))
        return self.swallow


@case((0, True), (0, False), (2, True), (2, False))
def with_as(x, swallow):
    log = []
    for k in range(2):
        with Manager(log, swallow) as inner:
            inner.append(10 // (x - k))
    log.append("after")
    return log


@case((1,), (0,))
def with_return(x):
    log = []
    with Manager(log, False), Manager(log, False):
        if x:
            return log
    return log, "end"


@case((0,), (1,), (200,), ("a",), ([1, 2],), ([1, 2, 3, 4],), ({"k": 5},), (None,), ((7, 8),))
def matching(x):
    match x:
        case 0:
            return "zero"
        case 1 | 2:
            return "small"
        case int(n) if n > 100:
            return ("big", n)
        case "a":
            return "letter"
        case [a, b]:
            return ("pair", a, b)
        case [first, *rest]:
            return (first, rest)
        case {"k": value}:
            return value
        case None:
            return "none"
        case _:
            return "other"


@case((3,), ("stop",), (True,), (-4,), (2.0,))
def matching_values(command):
    result = []
    match command:
        case "stop" | "quit":
            result.append("end")
        case True:
            result.append("yes")
        case -4:
            result.append("minus four")
        case 2 | 3 as number:
            result.append(number)
        case other if other:
            result.append(other)
    return result


@case((5,), (0,))
def while_true(n):
    k = 0
    while True:
        if k >= n:
            return k
        k += 2
        if k == 4:
            continue
        k -= 1


@case((4,), (0,))
def while_not(n):
    k = 0
    while not k >= n and not (k == 3 or n < 0):
        k += 1
    return k


@case((7, 3), (0, 1))
def complicated_conditions(a, b):
    out = 0
    if (a > b and a % 2) or (b > 5 and not a):
        out += 1
    if not (a < b or (a == 7 and b == 3)):
        out += 2
    elif 0 < b < a < 10:
        out += 4
    else:
        out += 8
    return out


@case(([1, 2, 3, 4],), ([],))
def list_grows_while_iterated(values):
    count = 0
    for v in values:
        if v % 2 and count < 10:
            values.append(v + 1)
        count += 1
    return values, count


@case(({1: 2, 3: 4},), ({},))
def dict_changes_while_iterated(d):
    for k in d:
        d[k + 10] = 1
    return d


@case((0,), (3,))
def pass_and_constants(n):
    """Documentation."""
    "another string"
    ...
    for _ in range(n):
        pass
    if n:
        pass
    else:
        n = 7
    return n


@case(())
def returns_nothing():
    x = 1
    x += 1


@case((0,), (1,), (4,), (9,))
def elif_chain(x):
    if x == 0:
        r = "a"
    elif x == 1:
        r = "b"
    elif x > 5:
        r = "c"
    else:
        r = "d"
    return r


@case(([[1, 2], [3, 0], [4, 5]],), ([],))
def search(rows):
    for r, row in enumerate(rows):
        for c, v in enumerate(row):
            if v == 0:
                break
        else:
            continue
        return r, c
    return None


@case((0,), (5,))
def finally_overrides(n):
    for i in range(3):
        try:
            if i == n:
                return "never"
            10 // (n - i)
        except ZeroDivisionError:
            return "error"
        finally:
            if i == 1:
                break
    return "end"
