"""Losses other than squares, and the estimators that are made with them."""

import json
import subprocess
import sys

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import opcodon  # noqa: E402
from opcodon import SymbolicClassifier, SymbolicRegressor, SymbolicTransformer  # noqa: E402

RNG = np.random.default_rng(11)
X = RNG.uniform(0.5, 4, size=(200, 2))
LAW = X[:, 0] * X[:, 1] + X[:, 0]
OUTLYING = RNG.random(200) < 0.15
SPOILT = LAW + np.where(OUTLYING, RNG.uniform(20, 90, 200), RNG.normal(0, 0.01, 200))
SMALL = {"time_limit": None, "max_generations": 6, "random_state": 3, "n_jobs": 1}
SEARCH = SymbolicRegressor(**SMALL, population_size=200)


def small(**parameters):
    return SymbolicRegressor(**(SMALL | parameters))


def told(value):
    """What a case is called: the same in every process."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(
    "loss",
    ["mae", "huber(0.1)", "quantile(0.5)", "abs(p - y)", lambda p, y: np.log1p((p - y) ** 2)],
    ids=told,
)
def test_outliers_do_not_spoil_the_formula(loss):
    found = small(loss=loss).fit(X, SPOILT).predict(X)
    squares = small().fit(X, SPOILT).predict(X)
    assert np.abs(found - LAW).mean() < 0.2 < np.abs(squares - LAW).mean()


def test_the_reported_loss_is_the_loss():
    def pinball(p, y):
        return np.maximum(0.9 * (y - p), -0.1 * (y - p))

    cases = {
        "mse": lambda p, y: (p - y) ** 2,
        "mae": lambda p, y: np.abs(p - y),
        "huber(2)": lambda p, y: np.where(
            np.abs(p - y) < 2, 0.5 * (p - y) ** 2, 2 * (np.abs(p - y) - 1)
        ),
        "quantile(0.9)": pinball,
        "log_cosh": lambda p, y: np.logaddexp(p - y, y - p) - np.log(2),
        "abs(p - y)/y": lambda p, y: np.abs(p - y) / y,
    }
    for loss, of_row in cases.items():
        model = small(loss=loss, max_generations=2).fit(X, SPOILT)
        for index, row in enumerate(model.report_.front()):
            expected = of_row(model.predict(X, index), SPOILT).mean()
            assert row["loss"] == pytest.approx(expected, rel=1e-9), (loss, index)
        losses = [row["loss"] for row in model.report_.front()]
        assert losses[0] == max(losses), loss


def test_a_quantile_has_that_share_of_rows_below():
    x = RNG.uniform(0, 3, (500, 1))
    y = x[:, 0] ** 2 + (0.5 + x[:, 0]) * RNG.normal(0, 1, 500)
    for share in (0.1, 0.9):
        model = small(loss=f"quantile({share})").fit(x, y)
        assert (y < model.predict(x)).mean() == pytest.approx(share, abs=0.04)


def test_counts_get_the_exponential_that_they_come_from():
    from sklearn.linear_model import PoissonRegressor
    from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

    rng = np.random.default_rng(5)
    x = rng.uniform(0, 2, (600, 3))
    # Some thousand on average, and none in many rows.
    means = 2000 * np.exp(-1.5 * x[:, 0] ** 2 - 2 * x[:, 1])
    counts = rng.poisson(means).astype(float)
    assert (counts == 0).sum() > 20
    model = small(loss="poisson").fit(x, counts)
    predicted = model.predict(x)
    assert np.max(np.abs(np.log(predicted / means))) < 0.1, model
    line = PoissonRegressor(alpha=0, max_iter=1000).fit(x, counts)
    deviance = mean_poisson_deviance(counts, predicted)
    assert deviance < 0.1 * mean_poisson_deviance(counts, line.predict(x))
    best = model.report_.front()[model.report_.chosen]
    assert 2 * best["loss"] == pytest.approx(deviance, rel=1e-9)
    assert d2_tweedie_score(counts, predicted, power=1) > 0.98
    guessed = small(loss="poisson", guesses=["exp(-x0^2 - x1)"], max_generations=1)
    assert np.max(np.abs(np.log(guessed.fit(x, counts).predict(x) / means))) < 0.1
    with pytest.raises(ValueError, match=r"holds -\d.* in row 0, but counts are not negative"):
        small(loss="poisson").fit(x, -1 - counts)
    for constant in (0.0, 7.0):
        same = small(loss="poisson").fit(x, np.full(600, constant)).predict(x)
        assert (same == constant).all()


def test_weights_count_for_every_loss():
    weights = np.where(OUTLYING, 0.0, 1.0)
    for loss in ("mae", "log_cosh", "abs(p - y)"):
        model = small(loss=loss).fit(X, SPOILT, sample_weight=weights)
        assert np.abs(model.predict(X) - LAW).mean() < 0.05, loss


def test_a_run_repeats_whatever_the_number_of_threads():
    models = [small(loss="mae", n_jobs=jobs).fit(X, SPOILT) for jobs in (1, 2)]
    fronts = [[row["equation"] for row in model.report_.front()] for model in models]
    assert fronts[0] == fronts[1]


BAD = [
    ("mea", "neither a known loss nor a formula"),
    ("abs(q - y)", "unknown variable `q`"),
    ("quantile(1.5)", "above 0 and below 1"),
    ("p + y", "does not depend"),
    ("logistic", "classes are 0 and 1"),
    (max, "Expression"),
    (lambda *_: 3, "must return a formula"),
    ("sqrt(p - y - 1e9)", "no number for any constant"),
]


@pytest.mark.parametrize(("loss", "message"), BAD, ids=told)
def test_what_is_no_loss_is_refused(loss, message):
    with pytest.raises((ValueError, TypeError), match=message.replace("(", r"\(")):
        small(loss=loss).fit(X, SPOILT)


def test_a_loss_survives_saving(tmp_path):
    model = small(loss=lambda p, y: abs(p - y) / y, max_generations=1).fit(X, LAW)
    model.save(tmp_path / "model.json")
    again = SymbolicRegressor.load(tmp_path / "model.json")
    assert again.loss == "abs(p - y)/y"
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_the_command_line_takes_losses(tmp_path):
    table = tmp_path / "table.csv"
    np.savetxt(table, np.column_stack([X, SPOILT]), delimiter=",", header="a,b,t", comments="")
    command = [sys.executable, "-m", "opcodon", "fit", table, "--target", "t", "--json"]
    command += ["--loss", "mae", "--max-generations", "6", "--time-limit", "none"]
    ran = subprocess.run(
        [*command, "--random-state", "3"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["config"]["loss"] == "mae"


# Classes --------------------------------------------------------------------------------------
RULE = np.where(X[:, 0] * X[:, 1] > 4, "far", "near")
THIRDS = np.digitize(X[:, 0] - X[:, 1], [-0.8, 0.8])


def classifier(**parameters):
    return SymbolicClassifier(**(SMALL | {"max_generations": 4} | parameters))


# Weights and repeated rows add up in another order; evolution amplifies the last bit.
ROUNDING = {
    "check_sample_weight_equivalence_on_dense_data": "sums of repeated and of weighted rows round "
    "differently, and evolution amplifies that",
}


@parametrize_with_checks(
    [classifier(max_generations=2, population_size=50)], expected_failed_checks=lambda _: ROUNDING
)
def test_scikit_learn_conventions_of_classifiers(estimator, check):
    check(estimator)


def test_two_classes_have_one_formula():
    model = classifier().fit(X, RULE)
    assert model.score(X, RULE) > 0.95
    assert list(model.classes_) == ["far", "near"]
    assert list(model.expressions_) == ["near"]
    odds, shares = model.decision_function(X), model.predict_proba(X)
    np.testing.assert_allclose(shares[:, 1], 1 / (1 + np.exp(-odds)), rtol=1e-9)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert model.expression_ == model.estimators_[0].expression_


def test_more_classes_have_one_each(tmp_path):
    model = classifier().fit(X, THIRDS)
    assert model.score(X, THIRDS) > 0.9
    assert set(model.expressions_) == {0, 1, 2}
    assert model.decision_function(X).shape == (200, 3)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    with pytest.raises(AttributeError, match="expressions_"):
        _ = model.expression_
    assert set(model.sympy()) == set(model.latex()) == {0, 1, 2}
    assert "log-odds" in model._repr_html_()
    model.save(tmp_path / "classes.json")
    again = SymbolicClassifier.load(tmp_path / "classes.json")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_odds_are_those_of_the_data():
    x = RNG.uniform(-2, 2, (4000, 1))
    y = RNG.random(4000) < 1 / (1 + np.exp(-(2 * x[:, 0] ** 2 - 3)))
    model = classifier(max_generations=6).fit(x, y)
    grid = np.linspace(-1.5, 1.5, 7)[:, None]
    np.testing.assert_allclose(model.decision_function(grid), 2 * grid[:, 0] ** 2 - 3, atol=0.6)


def test_what_is_no_classification_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one class"):
        classifier().fit(X, np.ones(len(X)))
    bad = tmp_path / "bad.json"
    for text in ("{}", "[1]", '{"opcodon_classifier": 1, "classes": [1, 2], "models": []}', "x"):
        bad.write_text(text)
        with pytest.raises(ValueError, match=r"bad\.json is not a saved classifier"):
            SymbolicClassifier.load(bad)


# Features -------------------------------------------------------------------------------------
@parametrize_with_checks(
    [SymbolicTransformer(3, time_limit=None, random_state=0, n_jobs=1, estimator=SEARCH)],
    expected_failed_checks=lambda _: ROUNDING,
)
def test_scikit_learn_conventions_of_transformers(estimator, check):
    check(estimator)


def test_features_help_a_linear_model():
    y = LAW + np.sin(X[:, 1] ** 2)
    plain = LinearRegression().fit(X, y).score(X, y)
    features = SymbolicTransformer(
        6, time_limit=None, random_state=3, estimator=small(max_generations=15)
    )
    model = make_pipeline(features, LinearRegression()).fit(X, y)
    assert model.score(X, y) > max(plain, 0.99)
    names = model[0].get_feature_names_out()
    assert len(names) == len(set(names)) == model[0].transform(X).shape[1] <= 6
    assert clone(features).n_components == 6


def test_subexpressions_are_what_a_formula_is_made_of():
    formula = opcodon.parse("x*sin(x*2) + x*2")
    parts = [str(part) for part in formula.subexpressions()]
    assert parts == ["x", "2", "x*2", "sin(x*2)", "x*sin(x*2)", "x*sin(x*2) + x*2"]
    assert [str(part) for part in formula.subexpressions(max_size=1)] == ["x", "2"]
    deep = opcodon.parse("-" * 20_000 + "x")
    with pytest.raises(ValueError, match="max_size"):
        deep.subexpressions()


# Definitions ----------------------------------------------------------------------------------
def bell(x):
    return np.exp(-(x**2))


@pytest.mark.parametrize("definition", ["bell(x) = exp(-x^2)", bell], ids=["text", "function"])
def test_functions_of_the_user_become_operators(definition, tmp_path):
    y = X[:, 1] * bell(X[:, 0])
    model = small(operators=("add", "sub", "mul", definition)).fit(X, y)
    assert model.score(X, y) > 0.9999
    assert "exp(" in str(model.expression_)
    model.save(tmp_path / "model.json")
    again = SymbolicRegressor.load(tmp_path / "model.json")
    assert again.operators == ("add", "sub", "mul", "bell(x) = exp(-x^2)")
    assert clone(model).operators == ("add", "sub", "mul", definition)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("hill(x, k) = x", "k is not used"),
        ("sin(x) = x^2", "already"),
        ("f(x = 1", "looks like"),
        (lambda x: x, "no name"),
    ],
    ids=told,
)
def test_what_is_no_definition_is_refused(definition, message):
    with pytest.raises(ValueError, match=message):
        small(operators=("add", definition)).fit(X, LAW)


# Guesses --------------------------------------------------------------------------------------
def test_a_guess_and_a_fit_before_are_where_a_fit_starts(tmp_path):
    y = 4 - 2.5 * np.cos(1.7 * X[:, 0] ** 2 - X[:, 1]) / (X[:, 0] + 3)
    short = {"max_generations": 1, "seeds": False, "population_size": 50}
    form = opcodon.parse("cos(1.68*x0^2 - x1)/(x0 + 2.5)", variables=["x0", "x1"])
    assert small(**short).fit(X, y).score(X, y) < 0.99
    model = small(**short, guesses=[form, "x0*x1"]).fit(X, y)
    assert model.score(X, y) > 0.999999
    model.save(tmp_path / "model.json")
    assert SymbolicRegressor.load(tmp_path / "model.json").guesses == (str(form), "x0*x1")
    again = model.set_params(guesses=(), warm_start=True).fit(X, y)
    assert again.score(X, y) > 0.999999
    with pytest.raises(ValueError, match="unknown variable `z`"):
        small(guesses=["z"]).fit(X, y)
