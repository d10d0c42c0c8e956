"""numpy: scalars, indexing, slices, views, broadcasting, reductions, in-place updates."""
# The language as people write it.
# ruff: noqa: E741

import math

import numpy as np
from cases import case

A = np.arange(6, dtype=np.float64).reshape(2, 3)
V = np.array([3.0, -1.0, 2.5, 0.0])
I = np.array([5, 3, 9, 1])


@case((V,), (I,), (np.zeros(0),))
def sum_loop(a):
    total = 0
    for i in range(a.shape[0]):
        total += a[i] * a[i]
    return total


@case((V,), (A,))
def iterate(a):
    out = 0.0
    for v in a:
        out = out + v
    return out


@case((A,), (V,))
def two_dimensions(a):
    n, m = a.shape
    s = 0.0
    for i in range(n):
        for j in range(m):
            s += a[i, j]
            a[i, j] = -s
    return s


@case((V, 1), (V, 7), (V, -1), (I, -4))
def element(a, i):
    x = a[i]
    a[i] = 7
    return x, type(x).__name__, x / 2, x + 1


@case((V,), (I,))
def numpy_division(a):
    with np.errstate(all="ignore"):
        return a[0] / a[3], a[0] // 2, a[1] % 2, -(a[0] ** 2)


@case((A,), (V,))
def views(a):
    b = a[1:]
    b[...] = 9
    c = a[::-1]
    c[0] = 4
    return a, b, c.copy()


@case(
    (A,),
)
def slices_2d(a):
    return a[:, 1], a[0, :], a[1:, ::2], a[-1, -1], a.T[0], a[:, None].shape


@case((V, 2.0), (I, 3), (A, V[:3]))
def broadcasting(a, b):
    return a + b, a * b - 1, np.sqrt(np.abs(a)), (a > b), np.where(a > 1, a, b)


@case((A,), (V,))
def reductions(a):
    return (
        a.sum(),
        a.mean(),
        a.max(axis=0),
        np.sum(a, axis=-1),
        a.argmax(),
        np.dot(a.ravel(), a.ravel()),
    )


@case((3,), (0,))
def creation(n):
    z = np.zeros(n)
    o = np.ones((n, 2), dtype=np.int32)
    r = np.arange(n)
    e = np.empty(n)
    for i in range(n):
        e[i] = math.sin(i)
        o[i, 1] += i
    return z, o, r, e, np.linspace(0, 1, 3), np.full(2, 7.5)


@case((V,), (I,))
def in_place_arrays(a):
    b = a
    b += 1
    c = a
    c = c + 1
    a[0] += 10
    a[1:] *= 2
    return a, b is a, c


@case((V,))
def truth_of_array(a):
    if a:
        return 1
    return 0


@case(
    (V, V[:2]),
)
def shapes_differ(a, b):
    x = a.sum()
    y = a + b
    return x, y


@case((np.array([1, 2, 250], dtype=np.uint8),), (np.array([100, 2, 3], dtype=np.int8),))
def small_integers(a):
    with np.errstate(all="ignore"):
        s = a[0]
        for i in range(1, len(a)):
            s = s + a[i]
        a[0] += a[2]
        return s, type(s).__name__, a, a[0] * 2


@case((np.float32(1.5), 2), (np.int64(3), 2), (np.bool_(True), 1), (np.float64(0.0), 1))
def numpy_scalars(x, k):
    with np.errstate(all="ignore"):
        return x + k, x * x, x / k, k / x, x > k, -x if k == 2 else x


@case((V,), (np.array([1.0, np.nan, np.inf, -0.0]),))
def special_floats(a):
    best = a[0]
    for v in a:
        if v > best:
            best = v
    return best, np.isnan(a).any(), max(a), min(a.tolist())


@case((A, A.T.copy()), (A, A))
def matrix_product(a, b):
    n, m = a.shape
    p = b.shape[1]
    c = np.zeros((n, p))
    for i in range(n):
        for j in range(p):
            s = 0.0
            for k in range(m):
                s += a[i, k] * b[k, j]
            c[i, j] = s
    return c, a @ b


@case((np.array(["a", "b"]),), (np.array([None, 1], dtype=object),))
def other_dtypes(a):
    out = []
    for x in a:
        out.append(x)
    a[0] = "z"
    return out, a


@case((V, np.array([0, 2])), (V, np.array([True, False, True, False])))
def fancy(a, index):
    a[index] += 1
    return a[index], a


@case((8, 10.0))
def heat(n, steps):
    u = np.zeros(n)
    u[n // 2] = 1.0
    for _ in range(int(steps)):
        new = u.copy()
        for i in range(1, n - 1):
            new[i] = u[i] + 0.1 * (u[i - 1] - 2 * u[i] + u[i + 1])
        u = new
    return u


@case((I,), (V,))
def histogram(a):
    counts = np.zeros(4, dtype=np.int64)
    for x in a:
        counts[int(x) % 4] += 1
    return counts, counts.tolist()
