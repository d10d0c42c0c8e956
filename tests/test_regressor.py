"""SymbolicRegressor: a scikit-learn estimator that finds formulas."""

import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import opcodon
from opcodon import SymbolicRegressor, _core

sklearn = pytest.importorskip("sklearn")
pandas = pytest.importorskip("pandas")
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from opcodon import regressor  # noqa: E402

RNG = np.random.default_rng(7)
X = RNG.uniform(1, 5, size=(120, 3))
Y = 3 * X[:, 0] / X[:, 1] + X[:, 2] ** 2


def quick(**parameters):
    """An estimator whose result depends on nothing but the data."""
    settings = {
        "time_limit": None,
        "max_generations": 5,
        "population_size": 100,
        "random_state": 0,
        "n_jobs": 1,
    }
    return SymbolicRegressor(**(settings | parameters))


@pytest.fixture(scope="module")
def model():
    return quick(max_generations=20, population_size=1000).fit(X, Y)


# Weights and repeated rows add up in another order; evolution amplifies the last bit.
ROUNDING = {
    "check_sample_weight_equivalence_on_dense_data": "sums of repeated and of weighted rows round "
    "differently, and evolution amplifies that",
}


@parametrize_with_checks([quick()], expected_failed_checks=lambda _: ROUNDING)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_parameters_are_those_of_the_search():
    signature = inspect.signature(SymbolicRegressor.__init__).parameters
    own = {"self", "callback", "log", "verbose", "warm_start"}
    defaults = {name: p.default for name, p in signature.items() if name not in own}
    table = {name: text for name, _, text, _, _ in _core.parameters()}
    assert set(defaults) == set(table)
    for name, default in defaults.items():
        assert regressor._value(table[name], default) == default, name
    documented = inspect.cleandoc(SymbolicRegressor.__doc__)
    assert [name for name in defaults if f"\n{name} : " not in documented] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"time_limit": "30", "max_size": "50", "model_selection": "auto"}),
        ({"preset": "fast"}, {"time_limit": "10", "max_size": "30"}),
        ({"preset": "fast", "time_limit": 30}, {"time_limit": "30", "max_size": "30"}),
        ({"preset": "science"}, {"max_size": "30", "model_selection": "mdl"}),
        ({"preset": "accuracy", "max_size": 9}, {"time_limit": "120", "max_size": "9"}),
    ],
)
def test_presets_change_what_is_not_given(given, expected):
    model = SymbolicRegressor(**given, max_generations=1, population_size=40).fit(X, Y)
    found = model.report_.parameters
    assert {name: found[name] for name in expected} == expected
    again = SymbolicRegressor.from_json(model.report_.to_json()).get_params()
    assert {name: str(again[name]).removesuffix(".0") for name in expected} == expected


def test_memory_is_limited():
    model = quick(max_memory="50MB").fit(X, Y)
    assert model.report_.parameters["max_memory"] == "50MB"
    assert SymbolicRegressor.from_json(model.report_.to_json()).max_memory == "50MB"
    with pytest.raises(ValueError, match="max_memory is 1MB, but 120 rows of 4 columns take"):
        quick(max_memory=1_000_000, population_size=1000).fit(X, Y)
    with pytest.raises(ValueError, match="max_memory: 'a lot' is not a size such as 500MB"):
        quick(max_memory="a lot").fit(X, Y)


def test_finds_the_formula(model):
    assert model.score(X, Y) > 0.999999
    wide = RNG.uniform(0.1, 50, size=(100, 3))
    expected = 3 * wide[:, 0] / wide[:, 1] + wide[:, 2] ** 2
    np.testing.assert_allclose(model.predict(wide), expected, rtol=1e-6)
    assert str(model.expression_) == model.equations_.equation[model.report_.chosen]
    assert model.expression_.variables == ("x0", "x1", "x2")


def test_front_and_models_by_index(model):
    front = model.equations_
    assert isinstance(front, pandas.DataFrame)
    assert {"equation", "size", "loss", "r2", "score", "mdl", "bic", "chosen"} <= set(front)
    assert front["size"].is_monotonic_increasing
    assert front["loss"].is_monotonic_decreasing
    assert front["chosen"].sum() == 1
    for index, row in front.iterrows():
        prediction = model.predict(X, index=index)
        assert np.mean((prediction - Y) ** 2) == pytest.approx(row["loss"], rel=1e-6, abs=1e-20)
        assert model.expression(index).size == row["size"]
        model.latex(index)
        model.disassemble(index)
    with pytest.raises(ValueError, match=f"no model {len(front)}: the front has {len(front)}"):
        model.predict(X, index=len(front))


def test_constants_and_intervals(model):
    table = model.constants()
    assert table["value"].tolist() == list(model.expression_.constants)
    noisy = Y + np.where(np.arange(120) % 2, 0.2, -0.2)
    fitted = quick(max_generations=20, population_size=1000).fit(X, noisy)
    low, high = fitted.predict_interval(X, level=0.9).T
    assert np.allclose((low + high) / 2, fitted.predict(X))
    assert np.mean((low <= noisy) & (noisy <= high)) >= 0.9
    assert 0.15 < (high - low)[0] / 2 < 0.8
    with pytest.raises(ValueError, match=r"take one of 0\.5, 0\.68, 0\.8"):
        model.predict_interval(X, level=0.7)


def test_sympy_and_latex(model):
    sympy = pytest.importorskip("sympy")
    expression = model.sympy()
    point = {sympy.Symbol(f"x{i}"): value for i, value in enumerate([2.0, 4.0, 3.0])}
    assert float(expression.subs(point)) == pytest.approx(10.5, rel=1e-6)
    assert "frac" in model.latex()


def test_machine_code(model):
    kernel = model.disassemble()
    assert any(i.mnemonic == "ret" for i in kernel.instructions)
    assert model.compiled()(2.0, 4.0, 3.0) == model.predict([[2.0, 4.0, 3.0]])[0]


def test_data_frames_give_names():
    frame = pandas.DataFrame(X, columns=["mass", "speed (m/s)", "π"])
    target = pandas.Series(Y, name="energy")
    model = quick().fit(frame, target)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert model.expression_.variables == tuple(frame.columns)
    assert model.report_.target == "energy"
    np.testing.assert_array_equal(model.predict(frame), model.predict(frame.copy()))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["π", "mass", "speed (m/s)"]])


def test_the_seed_decides_and_threads_do_not():
    fronts = [
        quick(random_state=seed, n_jobs=jobs).fit(X, Y).equations_
        for seed, jobs in [(1, 1), (1, 2), (1, None)]
    ]
    pandas.testing.assert_frame_equal(fronts[0], fronts[1], check_exact=True)
    pandas.testing.assert_frame_equal(fronts[0], fronts[2], check_exact=True)


def test_a_search_goes_on_from_a_checkpoint(tmp_path):
    file = tmp_path / "search.json"
    rng = np.random.default_rng(1)
    y = np.sin(X[:, 0] * X[:, 1]) + X[:, 2] + rng.normal(0, 0.1, len(X))
    whole = quick(max_generations=12, migration_interval=3).fit(X, y)
    quick(max_generations=6, migration_interval=3).fit(X, y, checkpoint=file)
    again = quick(max_generations=12, random_state=5).fit(X, y, resume=file)
    assert again.report_.seed == 0
    assert again.report_.generations == 12
    written = quick(max_generations=12, migration_interval=3).fit(X, y, checkpoint=file)
    again = quick(max_generations=12, random_state=5, population_size=80).fit(X, y, resume=file)
    for model in (written, again):
        pandas.testing.assert_frame_equal(model.equations_, whole.equations_, check_exact=True)
    with pytest.raises(ValueError, match="belongs to another table"):
        quick().fit(X, y + 1, resume=file)
    text = file.read_text()
    for damaged, message in [
        (text[: len(text) // 2], "not a checkpoint"),
        (text.replace('"version":1', '"version":7', 1), "version 7.*reads version 1"),
        (text.replace('"x2"', '"x9"'), "10 variables, but the table 3 inputs"),
    ]:
        file.write_text(damaged)
        with pytest.raises(ValueError, match=message):
            quick().fit(X, y, resume=file)
    with pytest.raises(OSError, match=r"checkpoint.*where\.json"):
        quick().fit(X, y, checkpoint=tmp_path / "no" / "where.json")


def test_random_states_of_every_kind():
    quick(random_state=np.int64(3)).fit(X, Y)
    a = quick(random_state=np.random.RandomState(3)).fit(X, Y)
    b = quick(random_state=np.random.RandomState(3)).fit(X, Y)
    assert a.report_.seed == b.report_.seed
    assert str(a.expression_) == str(b.expression_)
    assert quick(random_state=None).fit(X, Y).report_.seed >= 0


def test_weights_count():
    y = Y.copy()
    y[:60] = 0.0
    weight = np.r_[np.zeros(60), np.ones(60)]
    model = quick(max_generations=20, population_size=1000).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X[60:]), Y[60:], rtol=1e-6)


def test_pickle_clone_and_json(model, tmp_path):
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.report_ == model.report_
    assert not hasattr(clone(model), "report_")
    path = tmp_path / "model.json"
    model.save(path)
    json.loads(path.read_text())
    loaded = SymbolicRegressor.load(path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.report_ == model.report_
    assert loaded.get_params() == {**model.get_params(), "operators": loaded.operators}
    assert tuple(loaded.operators) == tuple(model.operators)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a report"),
        ("{}", "not a report"),
        ("not json", "not a report"),
        ('{"version": 999}', "version 999.*update opcodon"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"model.json: .*{message}"):
        SymbolicRegressor.load(path)


def test_models_are_data(model, tmp_path):
    path = tmp_path / "model.json"
    model.save(path)
    stored = json.loads(path.read_text())
    stored["front"][0]["formula"] = "__import__('os').system('true')"
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="damaged: formula 0"):
        SymbolicRegressor.load(path)


def test_in_pipelines_and_searches():
    pipeline = make_pipeline(StandardScaler(), quick())
    scores = cross_val_score(pipeline, X, Y, cv=3)
    assert scores.min() > 0.9
    search = GridSearchCV(quick(), {"max_size": [5, 15]}, cv=2).fit(X, Y)
    assert search.best_params_["max_size"] == 15


def test_callback_sees_the_search():
    states = []
    quick(max_generations=30, callback=states.append).fit(X, Y + RNG.normal(size=len(Y)))
    assert states
    last = states[-1]
    assert set(last) == {"generation", "evaluations", "elapsed", "fraction", "front"}
    assert 0 <= last["fraction"] <= 1
    assert {"equation", "size", "r2"} == set(last["front"][0])


def test_the_log_is_what_the_callback_is_told(tmp_path):
    states, path = [], tmp_path / "search.jsonl"
    noisy = Y + RNG.normal(size=len(Y))
    quick(max_generations=30, callback=states.append, log=path).fit(X, noisy)
    assert [json.loads(line) for line in path.read_text().splitlines()] == states != []
    with pytest.raises(FileNotFoundError):
        quick(log=tmp_path / "no" / "search.jsonl").fit(X, noisy)


def test_formulas_keep_constraints():
    noisy = np.sin(np.sin(X[:, 0])) / (X[:, 1] + 1)
    for rules in ("sin in sin <= 0; div[2] <= 1", ("sin in sin <= 0", "div[2] <= 1")):
        model = quick(max_generations=10, constraints=rules).fit(X, noisy)
        for row in model.report_.front():
            assert row["equation"].count("sin") < 2 or "sin(sin" not in row["equation"]
            assert "/(" not in row["equation"]
    stored = SymbolicRegressor.from_json(model.report_.to_json())
    assert stored.constraints == ("sin in sin <= 0", "div[2] <= 1")
    for rules, told in [("sine <= 1", "no operator 'sine'"), ("sin < 1", "there is no <= in it")]:
        with pytest.raises(ValueError, match=told):
            quick(constraints=rules).fit(X, noisy)


def test_an_exception_in_the_callback_ends_the_fit():
    def callback(state):
        raise LookupError(f"enough after generation {state['generation']}")

    with pytest.raises(LookupError, match="enough"):
        quick(max_generations=10_000, callback=callback).fit(X, Y + RNG.normal(size=len(Y)))


def test_ctrl_c_keeps_the_best_so_far():
    model = quick(max_generations=None, time_limit=600, target_error=None)
    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.warns(RuntimeWarning, match="interrupted"):
        model.fit(X, Y + RNG.normal(size=len(Y)))
    assert model.report_.interrupted
    assert np.isfinite(model.predict(X)).all()
    assert model.report_.elapsed < 60


def test_verbose_shows_progress_on_standard_error(capfd):
    quick(max_generations=30, verbose=1).fit(X, Y + RNG.normal(size=len(Y)))
    out, err = capfd.readouterr()
    assert out == ""
    assert "formulas" in err


def test_time_limit_is_kept():
    model = quick(max_generations=None, time_limit=0.3, target_error=None)
    model.fit(X, Y + RNG.normal(size=len(Y)))
    assert model.report_.stop == "time limit reached"
    assert model.report_.elapsed < 30


def test_html_and_text(model):
    shown = model._repr_mimebundle_()["text/html"]
    assert '<table class="front">' in shown
    assert "<math" in shown
    assert "size" in str(model.report_)


def test_plots(model):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    ax = opcodon.plot.front(model)
    assert ax.get_yscale() == "log"
    ax = opcodon.plot.predictions(model, X, Y, index=0)
    assert ax.get_ylabel() == "prediction of y"
    ax = opcodon.plot.residuals(model, X, Y)
    (left,) = (line for line in ax.lines if len(line.get_xdata()) == len(Y))
    np.testing.assert_array_equal(left.get_xdata(), model.predict(X))
    np.testing.assert_array_equal(left.get_ydata(), Y - model.predict(X))
    ax = opcodon.plot.residuals(model, X, Y, "x1", ax=ax)
    assert ax.get_xlabel() == "x1"
    with pytest.raises(ValueError, match="column must be one of x0, x1"):
        opcodon.plot.residuals(model, X, Y, "x7")


def test_without_pandas_the_front_is_a_list(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    front = model.equations_
    assert isinstance(front, list)
    assert front[model.report_.chosen]["equation"] == str(model.expression_)


def test_without_scikit_learn_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import opcodon\n"
        "try: opcodon.SymbolicRegressor\n"
        "except ImportError as error: print(error)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'opcodon[sklearn]'" in out.stdout


NAN, INF = X.copy(), X.copy()
NAN[5, 1] = np.nan
INF[7, 2] = np.inf
BAD_Y = Y.copy()
BAD_Y[3] = -np.inf
MISTAKES = [
    (lambda: quick().fit(NAN, Y), ValueError, r"column 'x1' holds NaN in row 5"),
    (lambda: quick().fit(INF, Y), ValueError, r"column 'x2' holds inf in row 7"),
    (lambda: quick().fit(X, BAD_Y), ValueError, r"column 'y' holds -inf in row 3"),
    (lambda: quick().fit(X, Y[:-1]), ValueError, "inconsistent numbers of samples"),
    (lambda: quick().fit(X[:0], Y[:0]), ValueError, "0 sample"),
    (lambda: quick().fit(X[:, :0], Y), ValueError, "0 feature"),
    (lambda: quick().fit(X * 1e160, Y), ValueError, "column 'x0' .* beyond 1e150"),
    (lambda: quick().fit(X[:, 0], Y), ValueError, "Expected 2D array"),
    (lambda: quick().fit(X, Y, [-1.0] + [1.0] * 119), ValueError, "row 0 has -1"),
    (lambda: quick().fit(X, Y, np.zeros(120)), ValueError, "not all zero"),
    (lambda: quick().fit(X, Y, np.ones(3)), ValueError, r"sample_weight has shape \(3,\)"),
    (lambda: quick(operators=["add", "sine"]).fit(X, Y), ValueError, "'sine' .did you mean"),
    (lambda: quick(operators=[]).fit(X, Y), ValueError, "operators"),
    (lambda: quick(loss="huuber").fit(X, Y), ValueError, "loss: 'huuber' cannot be used"),
    (lambda: quick(max_size=0).fit(X, Y), ValueError, "max_size: 0 is out of range"),
    (lambda: quick(max_size="big").fit(X, Y), ValueError, "max_size: 'big' is not a whole"),
    (lambda: quick(max_size=2.5).fit(X, Y), ValueError, "max_size: '2.5' is not a whole"),
    (lambda: quick(n_jobs=0).fit(X, Y), ValueError, "n_jobs"),
    (lambda: quick(max_generations=None).fit(X, Y), ValueError, "never end"),
    (lambda: quick(random_state=-1).fit(X, Y), ValueError, "random_state"),
    (lambda: SymbolicRegressor(max_sise=3), TypeError, "max_sise"),
    (lambda: SymbolicRegressor().predict(X), NotFittedError, "not fitted"),
    (lambda: SymbolicRegressor().equations_, NotFittedError, "not fitted"),
    (lambda: SymbolicRegressor().expression_, NotFittedError, "not fitted"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES)
def test_mistakes_are_told(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_predicting_from_holes_is_refused(model):
    with pytest.raises(ValueError, match=r"column 'x1' of X holds NaN in row 5"):
        model.predict(NAN)
    with pytest.raises(ValueError, match="2 features"):
        model.predict(X[:, :2])


@pytest.mark.parametrize(
    ("X", "y", "formula"),
    [
        (np.ones((1, 1)), [5.0], "5"),
        (np.ones((10, 2)), np.arange(10.0), "4.5"),
        (np.arange(10.0)[:, None], np.full(10, 3.0), "3"),
    ],
    ids=["one row", "constant inputs", "constant target"],
)
def test_tables_with_nothing_to_find(X, y, formula):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = quick().fit(X, y)
    assert str(model.expression_) == formula
    assert model.report_.notes or len(y) == 1
