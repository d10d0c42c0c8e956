"""Compiled expressions and populations: what they compute, from whatever arrays."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import opcodon
from opcodon import Population

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(1037, 3))  # not a multiple of any vector length
NAMES = ["a", "b", "c"]

EXACT = [
    "a",
    "1.5",
    "a + b*c - 2",
    "(a - b)/(c - a)",
    "sqrt(abs(a)) + min(b, c)*max(a, 0.25)",
    "if(a < b, a/b, neg(c))",
    "pdiv(a, b - b)",
    "floor(10*a) + ceil(b) - round(c)",
    "square(a) + cube(b) + inv(c)",
    "fma(a, b, c)",
]
CLOSE = ["sin(a)*exp(b)", "log(abs(a))^b", "tanh(a) + atan2(b, c)", "sigmoid(a)*erf(b)"]


@pytest.mark.parametrize("text", EXACT + CLOSE)
def test_machine_code_means_what_the_reference_means(text):
    e = opcodon.parse(text, NAMES)
    f = opcodon.compile(e)
    reference = e.evaluate(TABLE)
    rows = f(TABLE)
    scalars = np.array([f(*row) for row in TABLE.tolist()])
    if text in EXACT:
        np.testing.assert_array_equal(rows, reference)
        np.testing.assert_array_equal(scalars, reference)
    else:
        np.testing.assert_allclose(rows, reference, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(scalars, reference, rtol=1e-13, atol=1e-14)
    [population] = Population([e]).evaluate(TABLE)
    np.testing.assert_array_equal(population, rows)


LAYOUTS = {
    "C order": lambda x: np.ascontiguousarray(x),
    "Fortran order": lambda x: np.asfortranarray(x),
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "columns reversed": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "read only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "misaligned": lambda x: (
        np.frombuffer(b"\0" + x.tobytes(), "u1")[1:].view("f8").reshape(x.shape)
    ),
    "big endian": lambda x: x.astype(">f8"),
    "list": lambda x: x.tolist(),
    "objects": lambda x: x.astype(object),
    "longdouble": lambda x: x.astype("longdouble"),
    "field of records": lambda x: np.rec.fromarrays([x, x], names="a,b")["b"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout(layout):
    f = opcodon.compile("a + b*c - 2", NAMES)
    np.testing.assert_array_equal(f(LAYOUTS[layout](TABLE)), f(TABLE))
    pop = Population(["a + b*c - 2"], variables=NAMES)
    np.testing.assert_array_equal(pop.evaluate(LAYOUTS[layout](TABLE))[0], f(TABLE))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool", "float16"])
def test_other_real_dtypes_are_converted(dtype):
    x = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    result = opcodon.compile("a + b*c - 2", NAMES)(x)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [-1.0, -1.0])


def test_broadcast_columns_have_stride_zero():
    column = np.broadcast_to(np.float64(2.0), (100, 1))
    np.testing.assert_array_equal(opcodon.compile("x*x")(column), np.full(100, 4.0))


def test_float32_stays_float32():
    x = TABLE.astype("float32")
    f = opcodon.compile("a*b + c", NAMES)
    result = f(x)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, x[:, 0] * x[:, 1] + x[:, 2])
    pop = Population(["a*b + c"], dtype="float32")
    for table in (x, TABLE):
        out = pop.evaluate(table)
        assert out.dtype == np.float32
        np.testing.assert_array_equal(out[0], result)


def test_values_go_into_an_array_that_is_there():
    pop = Population(["a*b + c", "exp(a)"], variables=NAMES)
    room = np.full((2, len(TABLE)), np.nan)
    assert pop.evaluate(TABLE, out=room) is room
    np.testing.assert_array_equal(room, pop.evaluate(TABLE))
    unaligned = np.frombuffer(bytearray(room.nbytes + 1), np.uint8)[1:].view(float)
    fixed = room.copy()
    fixed.flags.writeable = False
    for unfit in (
        room[:1],
        np.asfortranarray(room),
        room.astype("float32"),
        room.astype(">f8"),
        unaligned.reshape(room.shape),
        fixed,
        room.tolist(),
    ):
        with pytest.raises(ValueError, match=r"^out "):
            pop.evaluate(TABLE, out=unfit)


def test_values_are_not_written_over_what_they_are_computed_from():
    table = np.ones((3, 3))
    with pytest.raises(ValueError, match=r"^out "):
        Population(["a", "b", "c"], variables=NAMES).evaluate(table, out=table)


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE, columns=NAMES)
    f = opcodon.compile("a + b*c - 2", NAMES)
    np.testing.assert_array_equal(f(frame), f(TABLE))


def test_numbers_of_every_kind():
    f = opcodon.compile("x - y")
    for x in (3.0, 3, np.float64(3), np.float32(3), np.int64(3), np.array(3.0), True + 2):
        result = f(x, 1.0)
        assert result == 2.0
        assert type(result) is float
    assert opcodon.compile("1 + 1", [])() == 2.0


def test_columns_broadcast():
    f = opcodon.compile("x - 2*y")
    x, y = np.arange(4.0), np.arange(3.0)
    np.testing.assert_array_equal(f(x, 1.0), x - 2)
    np.testing.assert_array_equal(f(x[:, None], y), x[:, None] - 2 * y)
    np.testing.assert_array_equal(f([1.0, 2.0], 1), [-1.0, 0.0])
    np.testing.assert_array_equal(opcodon.compile("x + 1")(x), x + 1)
    assert opcodon.compile("x + 1")(x[:, None]).shape == (4,)
    with pytest.raises(ValueError, match="arrays for x, y do not go together"):
        f(x, y)


@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9, 1023, 1024, 1025, 5000])
def test_any_number_of_rows(n_rows):
    x = np.linspace(-1, 1, 2 * n_rows).reshape(n_rows, 2)
    expected = x[:, 0] * x[:, 1] + 1
    np.testing.assert_array_equal(opcodon.compile("x*y + 1")(x), expected)
    out = Population(["x*y + 1", "y", "3"], variables=["x", "y"]).evaluate(x)
    assert out.shape == (3, n_rows)
    np.testing.assert_array_equal(out, [expected, x[:, 1], np.full(n_rows, 3.0)])


def test_nan_and_infinity_pass_through():
    x = np.array([[np.nan], [np.inf], [-np.inf], [0.0], [-0.0]])
    with np.errstate(all="ignore"):
        expected = 1 / x[:, 0] - x[:, 0]
    np.testing.assert_array_equal(opcodon.compile("1/x - x")(x), expected)


def test_code_listing_and_address():
    f = opcodon.compile("(x - 1) + 4")
    assert isinstance(f.code, bytes)
    assert f.address != 0
    assert f.tier in ("sse2", "avx2", "avx512")
    assert str(f.expression) == "x - 1 + 4"
    assert f.variables == ("x",)
    assert f.disassemble().instructions[0].mnemonic.endswith("subsd")
    notes = {i.mnemonic.lstrip("v"): i.note for i in f.listing().instructions}
    assert notes["subsd"] == "x - 1"
    assert notes["addsd"] == "x - 1 + 4"
    assert notes["ret"] == ""
    data = [i.note for i in f.listing().instructions if i.mnemonic == ".quad"]
    assert set(data) >= {"1.0", "4.0"}
    assert b"".join(i.code for i in f.listing().instructions) == f.code
    # The kernel over columns is another piece of code.
    kernel = f.disassemble(kernel=True)
    assert any(i.target is not None for i in kernel.instructions)


def test_code_is_the_function_of_its_bytes():
    # The constants lie behind the code, so the bytes alone are the function.
    f = opcodon.compile("x*y - 2.5")
    again = opcodon.function(f.code, "f64(f64, f64)")
    assert again(3.0, 5.0) == f(3.0, 5.0) == 12.5


def test_compiling_many():
    f, g = opcodon.compile(["x + 1", opcodon.parse("x*2")])
    assert (f(1.0), g(3.0)) == (2.0, 6.0)


def test_pickling_compiles_anew():
    f = opcodon.compile("x*y - 2.5", ["x", "y", "z"])
    again = pickle.loads(pickle.dumps(f))
    assert again(3.0, 5.0, 0.0) == 12.5
    assert again.expression == f.expression
    assert copy.deepcopy(f)(3.0, 5.0, 0.0) == 12.5
    pop = pickle.loads(pickle.dumps(Population(["x", "y*y"], "float32", 2)))
    assert (len(pop), pop.dtype, pop.n_jobs, pop.variables) == (2, "float32", 2, ("x", "y"))
    assert str(pop[1]) == "y*y"


def test_depth_is_no_limit():
    n = 100_000
    f = opcodon.compile("neg(" * n + "x" + ")" * n)
    assert f(2.0) == 2.0
    np.testing.assert_array_equal(f(np.arange(10.0)), np.arange(10.0))
    g = opcodon.compile("(x + " * 2000 + "1" + ")" * 2000)
    assert g(1.0) == 2001.0


def test_many_variables():
    n = 200
    names = [f"v{i}" for i in range(n)]
    f = opcodon.compile(" + ".join(names), names)
    row = np.arange(n, dtype=float)
    assert f(*row.tolist()) == row.sum()
    np.testing.assert_array_equal(f(row[None, :]), [row.sum()])


def test_more_variables_than_a_function_can_have():
    names = [f"v{i}" for i in range(300)]
    f = opcodon.compile(" + ".join(names), names)
    row = np.arange(300.0)
    np.testing.assert_array_equal(f(row[None, :]), [row.sum()])
    np.testing.assert_array_equal(f(*[np.array([x]) for x in row]), [row.sum()])
    for use in (lambda: f(*row), lambda: f.code, lambda: f.address, f.disassemble, f.listing):
        with pytest.raises(ValueError, match="no function has 300 arguments"):
            use()
    assert f.disassemble(kernel=True).instructions
    assert pickle.loads(pickle.dumps(f)).expression == f.expression


POPULATION = ["a", "a + b", "a*b - c", "sin(a)", "2.5", "a/(b - c)", "square(c)"] * 30


ROWS = {
    "mse": lambda p, y: (p - y) ** 2,
    "mae": lambda p, y: np.abs(p - y),
    "huber(0.7)": lambda p, y: np.where(
        np.abs(p - y) < 0.7, 0.5 * (p - y) ** 2, 0.7 * (np.abs(p - y) - 0.35)
    ),
    "quantile(0.9)": lambda p, y: np.maximum(0.9 * (y - p), -0.1 * (y - p)),
    "log_cosh": lambda p, y: np.logaddexp(p - y, y - p) - np.log(2),
    "exp(tanh(p)) - y*tanh(p)": lambda p, y: np.exp(np.tanh(p)) - y * np.tanh(p),
}


def losses(predictions, y, kind, weight):
    return np.average(ROWS[kind](predictions, y), axis=1, weights=weight)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 2, -1, 1000])
def test_losses(dtype, kind, weighted, n_jobs):
    y = RNG.normal(size=len(TABLE))
    weight = RNG.uniform(size=len(TABLE)) if weighted else None
    pop = Population(POPULATION, dtype, n_jobs, variables=NAMES)
    found = pop.loss(TABLE, y, loss=kind, sample_weight=weight)
    expected = losses(pop.evaluate(TABLE).astype(float), y, kind, weight)
    assert found.dtype == np.float64
    rtol = 1e-12 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(found, expected, rtol=rtol)


@pytest.mark.parametrize("kind", ["mse", "mae", "abs(p - y)/(1 + y^2)", "log_cosh"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bounds_leave_what_is_within_them_as_it_is(kind, n_jobs):
    x = RNG.normal(size=(10_000, 1))
    y = np.sin(x[:, 0])
    pop = Population([f"sin(x) + {k}" for k in range(1, 9)], n_jobs=n_jobs)
    exact = pop.loss(x, y, kind)
    for bound in (np.sort(exact)[3], np.roll(exact, 3), np.inf, -1.0):
        found = pop.loss(x, y, kind, bound=bound)
        within = exact <= bound
        np.testing.assert_array_equal(found[within], exact[within])
        assert np.all(found[~within] > np.broadcast_to(bound, exact.shape)[~within])
        assert np.all(found <= exact)
    assert np.all(pop.loss(x, y, kind, bound=-1.0) == (exact if kind == "log_cosh" else 0.0))


@pytest.mark.parametrize(("n_rows", "n_copies"), [(100, 200), (3000, 50), (30_000, 1)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_threads_do_not_change_a_bit(n_rows, n_copies, dtype):
    table, y = RNG.normal(size=(n_rows, len(NAMES))), RNG.normal(size=n_rows)
    texts = [f"{text} + {k}" for k in range(n_copies) for text in POPULATION]
    one, *others = (Population(texts, dtype, n_jobs, variables=NAMES) for n_jobs in (1, 2, 3))
    values, losses = one.evaluate(table), one.loss(table, y)
    bounds = np.where(np.isfinite(losses), losses * RNG.choice([0.5, 1, 2], len(losses)), 1.0)
    bounded = one.loss(table, y, bound=bounds)
    for other in others:
        np.testing.assert_array_equal(other.evaluate(table), values)
        np.testing.assert_array_equal(other.loss(table, y), losses)
        np.testing.assert_array_equal(other.loss(table, y, bound=bounds), bounded)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_threads_are_there_after_a_fork():
    # Not by `multiprocessing`, which is told nothing of what the child's threads do.
    script = """
import os
import numpy as np
import opcodon

table, y = np.ones((5000, 1)), np.zeros(5000)
population = opcodon.Population([f"x + {k}" for k in range(200)], n_jobs=2)
expected = population.loss(table, y)
child = os.fork()
if child == 0:
    again = opcodon.Population([f"x + {k}" for k in range(200)], n_jobs=2)
    same = all(np.array_equal(p.loss(table, y), expected) for p in (population, again))
    os._exit(0 if same else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


def test_formulas_may_say_what_weights_do():
    y, weight = RNG.normal(size=len(TABLE)), RNG.uniform(size=len(TABLE))
    pop = Population(POPULATION, variables=NAMES)
    found = pop.loss(TABLE, y, "w*(p - y)^2 + 0*exp(w)", weight)
    expected = np.mean(weight * (pop.evaluate(TABLE) - y) ** 2, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="no sample_weight"):
        pop.loss(TABLE, y, "w*(p - y)^2")


def test_populations_tell_what_runs():
    tier = Population(["x"]).tier
    assert tier == opcodon.compile("x").tier
    assert tier in ("sse2", "avx2", "avx512")


def test_one_population_for_many_tables_and_goals():
    pop = Population(["x", "2*x"])
    for n in (1, 5, 2000):
        x, y = np.ones((n, 1)), np.zeros(n)
        np.testing.assert_array_equal(pop.loss(x, y), [1.0, 4.0])
        np.testing.assert_array_equal(pop.loss(x, y, "mae"), [1.0, 2.0])
        np.testing.assert_array_equal(pop.evaluate(x), [np.ones(n), np.full(n, 2.0)])


def test_population_is_a_sequence():
    pop = Population(["x10 + x2", "x2"])
    assert pop.variables == ("x2", "x10")
    assert [str(e) for e in pop] == ["x10 + x2", "x2"]
    assert pop[-1] == pop[1]
    assert pop[:1] == [pop[0]]
    with pytest.raises(IndexError, match="out of range"):
        pop[2]
    empty = Population([])
    assert empty.evaluate(np.empty((5, 0))).shape == (0, 5)
    assert empty.loss(np.empty((5, 0)), np.zeros(5)).shape == (0,)


def test_threads_may_share_everything():
    f = opcodon.compile("sin(a)*b + c", NAMES)
    pop = Population(POPULATION, variables=NAMES)
    expected, losses = f(TABLE), pop.loss(TABLE, TABLE[:, 0])
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(f(TABLE), expected):
                wrong.append("call")
            if not np.array_equal(pop.loss(TABLE, TABLE[:, 0]), losses):
                wrong.append("loss")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nothing_leaks():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    def work():
        for k in range(2000):
            f = opcodon.compile(f"x + {k}")
            f(np.ones((3, 1)))
            Population([f.expression]).evaluate(np.ones((3, 1)))

    work()
    gc.collect()
    before = resident()
    work()
    gc.collect()
    assert resident() - before < 8 << 20


F = opcodon.compile("x - y")
P = Population(["x - y", "x"])
TWO = np.zeros((4, 2))
MISTAKES = [
    (lambda: F(1.0), TypeError, r"takes 2 arguments \(x, y\).*1 arguments were given"),
    (lambda: F(1.0, 2.0, 3.0), TypeError, "3 arguments were given"),
    (lambda: F("1", 2.0), TypeError, "argument x: must be real number, not str"),
    (lambda: F(1.0, None), TypeError, "argument y: "),
    (lambda: F(1.0, 1j), TypeError, "argument y: "),
    (lambda: F(x=1.0, y=2.0), TypeError, "keyword"),
    (lambda: F(np.zeros((4, 3))), ValueError, r"X has shape \(4, 3\), but \(n_rows, 2\) .* x, y"),
    (lambda: F(np.zeros(4)), ValueError, r"X has shape \(4,\)"),
    (lambda: F(np.zeros((4, 2, 1))), ValueError, r"X has shape \(4, 2, 1\)"),
    (lambda: F(TWO.astype(complex)), TypeError, "X has dtype complex128, but real numbers"),
    (lambda: F(np.array([["a", "b"]])), TypeError, "X has dtype <U1"),
    (lambda: F(np.array([["a", None]], object)), TypeError, "X has dtype object"),
    (lambda: F([[1.0, 2.0], [3.0]]), ValueError, "X is not a rectangular array"),
    (lambda: F(np.array(["2020-01-01"] * 2, "M8[D]")[None]), TypeError, "datetime64"),
    (lambda: P.evaluate(np.zeros((4, 3))), ValueError, r"X has shape \(4, 3\)"),
    (lambda: P.loss(TWO, np.zeros(3)), ValueError, r"y has shape \(3,\), but \(4,\)"),
    (lambda: P.loss(TWO, np.zeros((4, 1))), ValueError, r"y has shape \(4, 1\)"),
    (lambda: P.loss(TWO, [0, 0, np.nan, 0]), ValueError, "y must be finite, but row 2 .* NaN"),
    (lambda: P.loss(TWO, [0, -np.inf, 0, 0]), ValueError, "row 1 .* -inf"),
    (lambda: P.loss(TWO, "abcd"), TypeError, "y has dtype"),
    (
        lambda: P.loss(TWO, np.zeros(4), loss="hubert"),
        ValueError,
        "neither a known loss nor a form",
    ),
    (lambda: P.loss(TWO, np.zeros(4), loss="huber(-1)"), ValueError, "must be a number above 0"),
    (lambda: P.loss(TWO, np.zeros(4), loss="p - z"), ValueError, "z"),
    (lambda: P.loss(TWO, np.zeros(4), bound=[1.0] * 9), ValueError, r"bound has shape \(9,\), but"),
    (lambda: P.loss(TWO, np.zeros(4), bound=np.nan), ValueError, "must not be NaN"),
    (lambda: P.loss(TWO, np.zeros(4), bound="low"), TypeError, "bound has dtype"),
    (lambda: P.loss(TWO, np.zeros(4), "mse", [1, 1, -1, 1]), ValueError, "negative, but row 2"),
    (lambda: P.loss(TWO, np.zeros(4), "mse", np.zeros(4)), ValueError, "zero for every row"),
    (
        lambda: P.loss(TWO, np.zeros(4), "mse", [1, 1]),
        ValueError,
        r"sample_weight has shape \(2,\)",
    ),
    (lambda: P.loss(TWO[:0], []), ValueError, "no rows"),
    (lambda: Population("x"), TypeError, "one text"),
    (lambda: Population([1]), TypeError, "expression 0 must be an Expression or text, not .*int"),
    (lambda: Population(5), TypeError, "iterable"),
    (lambda: Population(["x", "y +"]), opcodon.ParseError, "expression 1: "),
    (lambda: Population(["x"], dtype="int8"), ValueError, 'dtype must be "float64" or'),
    (lambda: Population(["x"], n_jobs=0), ValueError, "n_jobs must be"),
    (
        lambda: Population([opcodon.parse("x"), opcodon.parse("y")]),
        ValueError,
        r"expression 1 has the variables \(y\), but \(x\) are",
    ),
    (lambda: Population([opcodon.parse("x"), "y"]), ValueError, "variable y of y is not among x"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES)
def test_mistakes_are_told(call, error, message):
    with pytest.raises(error, match=message):
        call()
