"""What a compiled function can be shown as and used as: listings, the command line, numpy, C."""

import ctypes
import json
import math
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import opcodon
from opcodon.machine import Disassembly

# ---- listings


def mean(xs):
    total = 0.0
    for x in xs:
        total += x
    return total / len(xs)


def doubled(xs, ys):
    for i in range(len(xs)):
        ys[i] = xs[i] * 2.0


def test_every_instruction_is_listed_once():
    jitted = opcodon.jit(mean)
    assert "call it first" in str(jitted.listing())
    jitted([1.0, 2.0])
    jitted(np.array([1.0, 2.0]))
    sections = jitted.listing().sections
    assert [section.signature for section in sections] == jitted.signatures()
    for at, section in enumerate(sections):
        whole = jitted.disassemble(at)
        assert isinstance(whole, Disassembly)
        # Between entries there is int3, and a byte of a constant behind the code may be one.
        instructions = (i for line in section.lines for i in line.instructions)
        listed = sorted(i for i in instructions if i.mnemonic != "int3")
        assert listed == [i for i in whole.instructions if i.mnemonic != "int3"]
        # The statement is named with the code that does it.
        (line,) = [line for line in section.lines if "total +=" in line.text]
        assert any("add" in i.mnemonic for i in line.instructions), line
        assert any("total +=" in step or "total = total +" in step for step in line.steps)
    assert "vaddsd" in str(jitted.listing()) or "addsd" in str(jitted.listing())
    html = jitted.listing()._repr_html_()
    assert "<details>" in html
    assert "total += x" in html


def test_vector_loops_are_listed():
    jitted = opcodon.jit(doubled)
    jitted(np.ones(20), np.ones(20))
    if "rows at a time" not in str(jitted.report()):
        pytest.skip("no vectors on this processor")
    (section,) = jitted.listing().sections
    (line,) = [line for line in section.lines if line.vector]
    assert line.text.strip().startswith("for i in")
    assert any(i.mnemonic == "vmulpd" for i in line.vector)


def test_functions_without_code_have_a_listing():
    def generator():
        yield 1

    assert "call it first" in str(opcodon.jit(generator).listing())


# ---- the command line


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(
        textwrap.dedent(
            """
            import numpy as np

            def total(xs, start=0):
                for x in xs:
                    start += x
                return start

            class Box:
                def twice(x):
                    return 2 * x

            def broken(x):
                return 1 // x
            """
        )
    )
    return path


def command(*arguments):
    line = [sys.executable, "-m", "opcodon", "jit", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_function_is_called_and_shown(file):
    done = command(
        f"{file}:total", "--args", "np.arange(4)", "-7", "--report", "--listing", "--time"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == repr(np.int64(-1))
    for part in ("native |", "start += x", " times as long", "mov "):
        assert part in done.stdout
    told = json.loads(command(f"{file}:Box.twice", "--args", "2.5", "--json").stdout)
    assert told["result"] == "5.0"
    assert told["signatures"] == ["(float) -> float"]


def test_what_cannot_be_called_is_told(file):
    for arguments, message in [
        ([f"{file}:nothing"], "has no function 'nothing'; it has total, broken"),
        ([file], "names no function"),
        (["no.py:f"], "there is no file 'no.py'"),
        ([f"{file}:total", "--args", "np.nope"], "argument 1, 'np.nope': AttributeError"),
        ([f"{file}:broken", "--args", "0"], "ZeroDivisionError: integer division or modulo"),
    ]:
        done = command(*arguments)
        assert done.returncode == 1, done
        assert message in done.stderr
    # The traceback begins with the user's line.
    assert f'File "{file}", line 14, in broken' in done.stderr.splitlines()[1]


# ---- universal functions


def plus(x, y):
    return x + y


def inverse(x):
    return 1 // x


def test_ufuncs_do_what_numpy_does():
    added = opcodon.vectorize(["int64(int64, int64)", "float64(float64, float64)"], identity=0)(
        plus
    )
    assert isinstance(added, np.ufunc)
    rng = np.random.default_rng(1)
    for dtype in (np.int64, np.float64, np.int8, np.float32):
        a = (rng.random((50, 101)) * 100).astype(dtype)
        b = (rng.random(101) * 100).astype(dtype)
        wide = np.result_type(dtype, np.int64 if np.issubdtype(dtype, np.integer) else np.float64)
        a_wide, b_wide = a.astype(wide), b.astype(wide)
        for x, y in [(a, b), (a[:, ::-3], b[::-3]), (a.T, 3), (a[0, 0], b), (a[:0], b)]:
            expected = np.add(x.astype(wide), np.asarray(y).astype(wide))
            np.testing.assert_array_equal(added(x, y), expected, strict=True)
        many = np.arange(5000).astype(dtype).astype(wide)
        np.testing.assert_array_equal(added.accumulate(many), np.add.accumulate(many))
        assert added.reduce(many) == many.cumsum()[-1]
        np.testing.assert_array_equal(added.reduce(a_wide, axis=0), np.cumsum(a_wide, axis=0)[-1])
        np.testing.assert_array_equal(added.outer(b, b), np.add.outer(b_wide, b_wide))
        into = a_wide.copy()
        added(into, b, out=into)
        np.testing.assert_array_equal(into, a_wide + b_wide)
        where = a_wide > 50
        got = added(a_wide, 1, out=a_wide.copy(), where=where)
        np.testing.assert_array_equal(got, np.add(a_wide, 1, out=a_wide.copy(), where=where))
        at = np.zeros(3, wide)
        added.at(at, [0, 0, 2], 5)
        assert at.tolist() == [10, 0, 5]
    assert added.reduce(np.array([], float)) == 0.0


def test_ufuncs_take_their_types_from_the_first_elements():
    f = opcodon.vectorize(lambda x, y: (x > y, x // y))
    got = f(np.array([[7, 8]]), np.array([[2], [9]]))
    assert [each.dtype for each in got] == [np.bool_, np.int64]
    assert got[1].tolist() == [[3, 4], [0, 0]]
    assert f(1.0, np.array([], np.float64))[1].shape == (0,)
    assert sorted(f.types) == ["dd->?d", "ll->?l"]
    g = opcodon.vectorize(plus)
    assert g.reduce([1, 2, 3]) == 6
    assert g.accumulate([1.0, 2.0]).tolist() == [1.0, 3.0]
    assert g.outer([1], [2, 3]).tolist() == [[3, 4]]
    assert opcodon.vectorize(opcodon.jit(plus))(1j, [2]).tolist() == [2 + 1j]


def test_exceptions_come_out_of_ufuncs():
    f = opcodon.vectorize("float64(float64)")(lambda x: math.sqrt(x))
    assert f(np.full(3000, 4.0)).tolist() == [2.0] * 3000
    for bad in (np.array([1.0, -1.0]), np.tile([4.0, -4.0], (70, 90))[:, ::2] * -1):
        with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
            f(bad)
    # The arrays of the loop are kept by the traceback; the next call has others.
    with pytest.raises(ValueError, match=r"math domain error|nonnegative") as caught:
        f(np.array([1.0, -1.0]))
    kept = caught.traceback[-1].frame.f_locals
    f(np.full(3000, 9.0))
    assert all(value[0] == 1.0 for name, value in kept.items() if name == "a0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert opcodon.vectorize("int64(int64)")(inverse)(np.array([2, 0])).tolist() == [0, 0]


def test_guvectorize():
    @opcodon.guvectorize(
        ["void(f64[:,:], f64[:,:], f64[:,:])", "void(i64[:,:],i64[:,:],i64[:,:])"],
        "(m,k),(k,n)->(m,n)",
    )
    def product(a, b, out):
        for i in range(a.shape[0]):
            for j in range(b.shape[1]):
                out[i, j] = 0
                for k in range(a.shape[1]):
                    out[i, j] += a[i, k] * b[k, j]

    a, b = np.arange(120.0).reshape(4, 5, 6), np.arange(24.0).reshape(4, 6)
    np.testing.assert_array_equal(product(a, b.T), a @ b.T)
    np.testing.assert_array_equal(
        product(a.T[::2, :], a.T[::2, :].swapaxes(1, 2)), a.T[::2, :] @ a.T[::2, :].swapaxes(1, 2)
    )
    assert product(a.astype(int), b.T.astype(int)).dtype == np.int64

    kept = []

    @opcodon.guvectorize("void(f64[:], f64, f64[:])", "(n),()->()")
    def above(x, limit, out):
        kept.append(x)
        out[0] = sum([v for v in x if v > limit])

    x = np.arange(12.0).reshape(3, 4)
    assert above(x, [1.0, 100.0, 0.0]).tolist() == [5.0, 0.0, 38.0]
    assert [each.tolist() for each in kept] == x.tolist()
    with pytest.raises(ValueError, match="mismatch in its core dimension"):
        product(a, b)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: opcodon.vectorize("f64(f64")(plus), ValueError, "is no signature"),
        (lambda: opcodon.vectorize("f64(f64)")(plus), ValueError, "takes 2 arguments"),
        (lambda: opcodon.vectorize("f64(f64, f65)")(plus), ValueError, "'f65' .* no type"),
        (lambda: opcodon.vectorize("object(f64, f64)")(plus), TypeError, "no numbers"),
        (lambda: opcodon.vectorize("f64(f64, f64)")(math.hypot), TypeError, "Python function"),
        (lambda: opcodon.vectorize(plus, identity=7), ValueError, "identity must be"),
        (lambda: opcodon.vectorize(plus)(1), TypeError, "takes 2 arrays, 1 were given"),
        (lambda: opcodon.vectorize(plus)("a", "b"), TypeError, "no numbers"),
        (lambda: opcodon.vectorize(lambda *xs: xs), TypeError, "not positional"),
        (lambda: opcodon.guvectorize("(f64[:])", "(n)->(")(plus), ValueError, "no layout"),
        (lambda: opcodon.guvectorize("(f64[:], f64[)", "(n)->()")(plus), ValueError, "no sign"),
        (lambda: opcodon.guvectorize("(f64, f64)", "(n)->()")(plus), ValueError, "dimensions"),
        (lambda: opcodon.guvectorize("(f64)", "()->(),()")(plus), ValueError, "takes 2 arg"),
    ],
)
def test_wrong_ufuncs_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---- functions for C


def test_c_calls_compiled_functions():
    @opcodon.cfunc("double(double, int)")
    def power(x, n):
        """Power."""
        return x**n

    assert power(2.0, 3) == power.ctypes(2.0, 3) == 8.0
    assert (power.signature, power.__doc__) == ("f64(f64, i32)", "Power.")
    assert power.__wrapped__.is_native()

    @opcodon.cfunc
    def smaller(a: int, b: int) -> bool:
        return a < b

    assert smaller.signature == "bool(i64, i64)"
    assert smaller.ctypes(1, 2) is True

    @opcodon.cfunc("i32(const ptr, const ptr)")
    def by_value(a, b):
        x, y = (ctypes.c_double.from_address(at).value for at in (a, b))
        return (x > y) - (x < y)

    libc = opcodon.load_library("libc.so.6")
    qsort = libc.function("qsort", "void(ptr, u64, u64, ptr)")
    numbers = np.array([3.0, 1.0, 2.0])
    qsort(numbers, 3, 8, by_value.address)
    assert numbers.tolist() == [1.0, 2.0, 3.0]


def test_what_a_c_function_raises_is_not_lost(monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    made = opcodon.cfunc("i64(i64)")(inverse)
    assert made.ctypes(0) == 0
    assert heard[0].exc_type is ZeroDivisionError
    with pytest.raises(TypeError, match="compiles Python functions"):
        opcodon.cfunc("f64(f64)")(math.sin)
