"""Lists, tuples, dictionaries, sets, slices, comprehensions, unpacking, aliasing."""
# The language as people write it.
# ruff: noqa: B905, C400, C401, C408, C416, PIE800
# ruff: noqa: UP032

import bisect
import collections
import functools
import heapq
import itertools

from cases import case


@case(([3, 1, 2],), ([],), ([5],), (["b", "a"],))
def bubble_sort(a):
    n = len(a)
    for i in range(n):
        for j in range(n - 1 - i):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
    return a


@case(([1, 2, 3, 4, 5], 1, 4), ([], 0, 1), ("hello", 1, 3), ((1, 2, 3), -2, 9))
def slices(s, i, j):
    return s[i:j], s[::-1], s[i:], s[:j], s[::2], s[-1:], s[:]


@case(([1, 2, 3, 4],), ([],))
def slice_assignment(a):
    a[1:2] = [9, 9]
    a[::2] = [0] * len(a[::2])
    del a[:1]
    return a


@case((5,), (0,))
def comprehensions(n):
    squares = [i * i for i in range(n)]
    evens = [x for x in squares if x % 2 == 0 if x]
    table = {i: [j for j in range(i)] for i in range(n)}
    residues = {i % 3 for i in range(n)}
    pairs = [(i, j) for i in range(n) for j in range(i) if (i + j) % 2]
    return squares, evens, table, residues, pairs


@case((4,), (0,))
def comprehension_scopes(n):
    i = "outer"
    a = [i for i in range(n)]
    b = [[i * j for j in range(i)] for i in range(n)]
    c = [(lambda: 5)() for _ in range(n)]
    return i, a, b, c


@case(([1, 2, 0, 4],), (["x"],))
def comprehension_fails(values):
    before = [1]
    result = [10 // v for v in values]
    return before, result


@case(([3, 4],), ([],), ([0, 5],))
def generators_consumed(xs):
    return (
        sum(x * x for x in xs),
        any(x > 3 for x in xs),
        all(x > 0 for x in xs),
        list(x + 1 for x in xs),
        tuple(x for x in xs if x),
        sorted(-x for x in xs),
        set(x % 2 for x in xs),
    )


@case(([3, 4, 1],), ([],))
def generator_extremes(xs):
    return max(x * 2 for x in xs), min((abs(x - 2) for x in xs), default=None)


@case(([1, 2, 3],), ([0, 1],))
def any_stops(xs):
    log = []
    found = any(log.append(x) or x == 2 for x in xs)
    return found, log


@case(([2, 7, 11, 15], 9), ([1], 3))
def two_sum(nums, target):
    seen = {}
    for i, x in enumerate(nums):
        if target - x in seen:
            return seen[target - x], i
        seen[x] = i
    return None


@case(("the cat the dog",), ("",))
def count_words(text):
    counts = {}
    for w in text.split():
        counts[w] = counts.get(w, 0) + 1
    best = sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
    return best, dict(counts)


@case(([1, 2, 2, 3],), ([],))
def sets(values):
    s = set(values)
    t = {2, 3, 4}
    s.add(10)
    s.discard(1)
    return s | t, s & t, s - t, s ^ t, 2 in s, len(s), sorted(s)


@case(((1, 2),), ([3, 4],), ((1,),), ((1, 2, 3),), (5,))
def unpack_pair(p):
    a, b = p
    return b, a


@case(([1, 2, 3, 4],), ([1],), ([],))
def unpack_star(values):
    first, *rest = values
    *init, last = values
    return first, rest, init, last


@case((((1, 2), 3),), (([1], 2),))
def unpack_nested(p):
    (a, b), c = p
    return a + b + c


@case(([0, 0, 0], 1), ([0], 3))
def unpack_into_items(a, i):
    a[0], a[i] = i, a[0] + 1
    (a[0], x), a[i] = (7, 8), 9
    return a, x


@case((1, 2, 3))
def rotate_variables(a, b, c):
    a, b, c = c, a, b
    [a, b] = b, a
    return a, b, c


@case(([1, 2],))
def aliasing(a):
    b = a
    b.append(3)
    c = a[:]
    c += [4]
    b += [5]
    d = e = []
    d.append(1)
    return a, b is a, c, e


@case(([1],), ((1,),), (1,), ("s",))
def in_place(x):
    y = x
    y += x
    z = x
    z *= 2
    return x, y, z


@case(({"a": 1},), ({},))
def dict_methods(d):
    d.setdefault("b", []).append(1)
    d.update(c=3)
    items = list(d.items())
    keys = sorted(d)
    popped = d.pop("a", None)
    merged = {**d, "z": 1}
    return items, keys, popped, merged, list(d.values()), len(d)


@case((3,), (0,))
def nested_lists(n):
    grid = [[0] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            grid[i][j] += i * n + j
            grid[i][j] -= 1
    return grid, [sum(row) for row in grid], [list(c) for c in zip(*grid)]


@case(([1, 2, 3], [4, 5]), ([], []))
def zips(a, b):
    out = []
    for x, y in zip(a, b):
        out.append(x * y)
    for i, (x, y) in enumerate(zip(a, b), 1):
        out.append(i + x + y)
    for x in reversed(a):
        out.append(x)
    for x in map(abs, a):
        out.append(-x)
    for x in filter(None, a):
        out.append(x)
    return out


@case(([5, 3, 8, 1],), ([],))
def heap(values):
    h = []
    for v in values:
        heapq.heappush(h, v)
    return [heapq.heappop(h) for _ in range(len(h))]


@case(([1, 3, 5], 4), ([], 1))
def bisection(a, x):
    i = bisect.bisect_left(a, x)
    a.insert(i, x)
    return i, a


@case(([1, 2, 3, 4],), ([5],), ([],))
def reducing(xs):
    return functools.reduce(lambda a, b: a * b, xs)


@case((3,), (0,))
def iterators(n):
    out = []
    for a, b in itertools.product(range(n), repeat=2):
        out.append(a * b)
    for p in itertools.permutations(range(n)):
        out.append(p)
    for x in itertools.accumulate(range(n)):
        out.append(x)
    return out, list(itertools.chain([1], (2, 3)))


@case(("abcab",), ("",))
def collections_types(s):
    c = collections.Counter(s)
    d = collections.defaultdict(list)
    for i, ch in enumerate(s):
        d[ch].append(i)
    q = collections.deque(s, maxlen=3)
    q.rotate(1)
    return c, dict(d), list(q)


@case((1, 2), (3,), (1, 2, 3, 4))
def star_call(*args):
    def inner(a, b=10, *rest):
        return a, b, rest

    return inner(*args), inner(*[0], *args), max(*args, 0)


@case((2,))
def star_displays(n):
    a = [*range(n), 7, *"xy"]
    b = (*a, 1)
    c = {*a, 3}
    d = {"k": 1, **{"m": n}}
    return a, b, c == {0, 1, 7, "x", "y", 3}, d


@case(([1, 2, 3],))
def call_keywords(xs):
    return sorted(xs, reverse=True), sum(xs, start=5), dict(a=1, b=xs), "{a}".format(a=2)


@case(([[1, 2], [3]],), ([],))
def flatten(lists):
    return [x for xs in lists for x in xs], sum((len(xs) for xs in lists), 0)


@case(([4, 2, 9],), ([1],), ([],))
def minimum_position(a):
    best = 0
    for i in range(1, len(a)):
        if a[i] < a[best]:
            best = i
    return best, a[best]


@case((30,), (2,), (0,))
def sieve(n):
    flags = [True] * (n + 1)
    flags[0] = False
    flags[1] = False
    p = 2
    while p * p <= n:
        if flags[p]:
            for q in range(p * p, n + 1, p):
                flags[q] = False
        p += 1
    return [i for i in range(n + 1) if flags[i]]


@case((5,), (1,))
def pascal(n):
    rows = [[1]]
    for _ in range(n):
        last = rows[-1]
        rows.append([1] + [last[i] + last[i + 1] for i in range(len(last) - 1)] + [1])
    return rows


@case(("kitten", "sitting"), ("", "a"))
def edit_distance(a, b):
    prev = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        cur = [i]
        for j, y in enumerate(b, 1):
            cur.append(min(prev[j] + 1, cur[j - 1] + 1, prev[j - 1] + (x != y)))
        prev = cur
    return prev[-1]


@case(({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, "a"), ({"x": ["x"]}, "x"))
def breadth_first(graph, start):
    order, queue, seen = [], [start], {start}
    while queue:
        node = queue.pop(0)
        order.append(node)
        for n in graph[node]:
            if n not in seen:
                seen.add(n)
                queue.append(n)
    return order


@case(([(1, "a"), (0, "b")],))
def sort_with_key(pairs):
    k = 1
    pairs.sort(key=lambda p: p[0] * k)
    return pairs, sorted(pairs, key=lambda p: p[1])


@case(({1: "a"}, 1), ({1: "a"}, 2), ([1], 0), ([1], "x"), ((), 0))
def item(container, key):
    return container[key]


@case(([1, 2, 3], 2), ("abc", "b"), ({1: 1}, 1), (5, 1))
def membership(container, x):
    return x in container, x not in container


@case((b"abc",), (bytearray(b"xyz"),))
def byte_strings(b):
    total = 0
    for x in b:
        total = total * 31 + x
    return total, b[0], b[1:], bytes(reversed(b))


@case(([1, 2, 3],), ([],))
def method_order(xs):
    xs.append(len(xs) + xs.count(1))
    xs.extend([x * 2 for x in xs])
    xs.insert(0, xs[-1] if xs else 0)
    return xs, xs.index(xs[0])
