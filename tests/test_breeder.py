"""MachineCodeRegressor: a scikit-learn estimator whose individuals are machine code."""

import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import xml.etree.ElementTree

import numpy as np
import pytest

import opcodon
from opcodon import MachineCodeRegressor, _core

sklearn = pytest.importorskip("sklearn")
pandas = pytest.importorskip("pandas")
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from opcodon import regressor  # noqa: E402

RNG = np.random.default_rng(7)
X = RNG.uniform(1, 5, size=(120, 3))
Y = 3 * X[:, 0] / X[:, 1] + X[:, 2] ** 2


def has_avx2():
    try:
        opcodon.genome.TreeCode.from_expression("x0", tier="avx2").evaluate([[1.0]])
    except RuntimeError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_avx2(), reason="genomes need AVX2 to run")


def quick(**parameters):
    """An estimator whose result depends on nothing but the data."""
    settings = {
        "time_limit": None,
        "max_evaluations": 20_000,
        "population_size": 200,
        "islands": 2,
        "random_state": 0,
        "n_jobs": 1,
    }
    return MachineCodeRegressor(**(settings | parameters))


@pytest.fixture(scope="module", params=["tree", "linear"])
def model(request):
    large = {"population_size": 1000, "islands": 4, "max_evaluations": 1_500_000}
    # With this seed the formula is exact, not only close where there are rows.
    large |= {"random_state": 2}
    return quick(genome=request.param, **large).fit(X, Y)


# Weights and repeated rows add up in another order; evolution amplifies the last bit.
ROUNDING = {
    "check_sample_weight_equivalence_on_dense_data": "sums of repeated and of weighted rows round "
    "differently, and evolution amplifies that",
}


@parametrize_with_checks([quick()], expected_failed_checks=lambda _: ROUNDING)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_parameters_are_those_of_the_search():
    signature = inspect.signature(MachineCodeRegressor.__init__).parameters
    own = {"self", "callback", "verbose"}
    defaults = {name: p.default for name, p in signature.items() if name not in own}
    table = {name: text for name, _, text, _, _ in _core.evolve_parameters()}
    assert set(defaults) == set(table)
    for name, default in defaults.items():
        assert regressor._value(table[name], default) == default, name
    documented = inspect.cleandoc(MachineCodeRegressor.__doc__)
    assert [name for name in defaults if f"\n{name} : " not in documented] == []


def test_finds_the_formula(model):
    assert model.score(X, Y) > 0.999999
    wide = RNG.uniform(0.1, 50, size=(100, 3))
    expected = 3 * wide[:, 0] / wide[:, 1] + wide[:, 2] ** 2
    np.testing.assert_allclose(model.predict(wide), expected, rtol=1e-6)
    front = model.equations_
    assert str(model.expression_) == front.equation[model.report_.chosen]
    assert front["size"].is_monotonic_increasing
    assert front["loss"].is_monotonic_decreasing
    for index, row in front.iterrows():
        values = opcodon.Population([model.to_expression(index)]).evaluate(X)[0]
        np.testing.assert_array_equal(model.predict(X, index=index), values)
        assert np.mean((values - Y) ** 2) == pytest.approx(row["loss"], rel=1e-9, abs=1e-20)
        assert len(model.individual(index)) == row["slots"]
    assert type(model.genome_).__name__.lower().startswith(model.genome)
    with pytest.raises(ValueError, match=f"no model {len(front)}: the front has {len(front)}"):
        model.predict(X, index=len(front))


def test_machine_code(model):
    listing = model.disassemble()
    assert len(listing.instructions) == len(model.genome_)
    assert any(i.mnemonic == "vdivpd" for i in listing.instructions)
    assert any(f"x{column}" in i.note for i in listing.instructions for column in range(3))


def test_data_frames_give_names():
    frame = pandas.DataFrame(X, columns=["mass", "speed (m/s)", "π"])
    model = quick().fit(frame, pandas.Series(Y, name="energy"))
    assert model.expression_.variables == tuple(frame.columns)
    assert model.report_.target == "energy"
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["π", "mass", "speed (m/s)"]])


def test_the_seed_decides_and_threads_do_not():
    first, second, other = (
        quick(random_state=seed, n_jobs=jobs).fit(X, Y).equations_
        for seed, jobs in [(1, 1), (1, 2), (2, 1)]
    )
    pandas.testing.assert_frame_equal(first, second, check_exact=True)
    assert not first.equals(other)


def test_a_search_goes_on_from_a_checkpoint(tmp_path):
    file = tmp_path / "search.json"
    whole = quick(max_evaluations=None, max_steps=200).fit(X, Y)
    quick(max_evaluations=None, max_steps=100).fit(X, Y, checkpoint=file)
    again = quick(max_evaluations=None, max_steps=200, random_state=5).fit(X, Y, resume=file)
    pandas.testing.assert_frame_equal(again.equations_, whole.equations_, check_exact=True)
    with pytest.raises(ValueError, match="belongs to another table"):
        quick().fit(X, Y + 1, resume=file)
    text = file.read_text()
    file.write_text(text.replace('"slots":"', '"slots":"cccccccccccccccc', 1))
    with pytest.raises(ValueError, match="slot 0 holds cc cc cc"):
        quick().fit(X, Y, resume=file)


def test_pickle_clone_and_json(model, tmp_path):
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.report_ == model.report_
    assert not hasattr(clone(model), "report_")
    path = tmp_path / "model.json"
    model.save(path)
    loaded = MachineCodeRegressor.load(path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.report_ == model.report_
    assert loaded.get_params() == model.get_params()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.clear(), "not a report"),
        (lambda stored: stored.update(version=999), "version 999.*update opcodon"),
        (
            lambda stored: stored["front"][1]["genome"].update(slots="0f05" * 4),
            "slot 0 holds 0f 05",
        ),
        (lambda stored: stored["front"][1].update(formula="x0"), "formula 1 is x0, but"),
        (lambda stored: stored["front"][1]["genome"].update(columns=9), "9 columns"),
    ],
)
def test_damaged_files_are_refused_by_name(model, tmp_path, change, message):
    path = tmp_path / "model.json"
    model.save(path)
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=f"model.json: .*{message}"):
        MachineCodeRegressor.load(path)


def test_in_searches():
    search = GridSearchCV(quick(), {"max_size": [1, 15]}, cv=2).fit(X, Y)
    assert search.best_params_["max_size"] == 15


def test_weights_count():
    y = Y.copy()
    y[:60] = 0.0
    weight = np.r_[np.zeros(60), np.ones(60)]
    large = {"population_size": 1000, "islands": 4, "max_evaluations": 1_500_000}
    # With this seed the formula is exact, not only close where there are rows.
    large |= {"random_state": 2}
    model = quick(**large).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X[60:]), Y[60:], rtol=1e-6)


def test_bad_values_are_located():
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"column \"x1\" holds NaN in row 3"):
        quick().fit(bad, Y)
    with pytest.raises(ValueError, match="column 'x1' of X holds NaN in row 3"):
        quick().fit(X, Y).predict(bad)
    with pytest.raises(ValueError, match='genome is "circle", but must be one of'):
        quick(genome="circle").fit(X, Y)
    with pytest.raises(ValueError, match="islands is 0, but must lie between 1"):
        quick(islands=0).fit(X, Y)
    with pytest.raises(ValueError, match="number of columns is 300"):
        quick().fit(np.ones((5, 300)), np.arange(5))
    with pytest.raises(ValueError, match=r"the weight of row 2 \(counted from 0\) is -1"):
        quick().fit(X, Y, np.r_[1.0, 1.0, -1.0, np.ones(117)])
    with pytest.raises(ValueError, match="all weights are zero"):
        quick().fit(X, Y, np.zeros(120))
    with pytest.raises(NotFittedError):
        quick().predict(X)


def test_callbacks_see_progress_and_their_exceptions_come_through():
    seen = []
    quick(callback=seen.append, max_evaluations=100_000).fit(X, Y)
    assert {"step", "evaluations", "elapsed", "fraction", "front"} <= set(seen[0])

    def fail(_):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        quick(callback=fail, max_evaluations=None, time_limit=60).fit(X, Y)


def test_progress_is_shown(capsys):
    quick(verbose=1).fit(X, Y)
    assert "genomes  best so far: MSE" in capsys.readouterr().err


def test_pages_and_notebooks_show_genomes(tmp_path):
    for kind in ["tree", "linear"]:
        model = quick(genome=kind, record_lineage=True).fit(X, Y)
        page = model.report(tmp_path / "page.html", X, Y).read_text(encoding="utf-8")
        octets = model.genome_.code[:4].hex(" ")
        assert octets in page
        assert "error in the course of the run" in page
        assert "errors of ancestors" in page
        assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
        for shown in [model._repr_html_(), model.report_._repr_html_()]:
            assert 'class="front"' in shown
        with pytest.raises(ValueError, match="both X and y"):
            model.report(tmp_path / "page.html", X)
        with pytest.raises(ValueError, match=r"119|120"):
            model.report(tmp_path / "page.html", X, Y[1:])


def test_lineages_end_with_the_genome():
    model = quick(record_lineage=True).fit(X, Y)
    line = model.lineage()
    first, last = line.ancestors[0], line.ancestors[-1]
    assert (first.step, first.operator, first.other) == (0, "random", None)
    assert last.loss <= first.loss
    assert len(line) == len(line.ancestors)
    for ancestor in line.ancestors:
        assert ("crossover" in ancestor.operator) == (ancestor.other is not None)
        assert ancestor.formula in str(line)
    root = xml.etree.ElementTree.fromstring(line.svg())
    titles = list(root.iter("{http://www.w3.org/2000/svg}title"))
    assert len(titles) == sum(ancestor.loss is not None for ancestor in line.ancestors)
    assert line.svg() in line._repr_html_()
    assert len(model.lineage(0)) == 0
    plain = quick().fit(X, Y)
    assert list(plain.equations_.equation) == list(model.equations_.equation)
    with pytest.raises(ValueError, match="record_lineage=True"):
        plain.lineage()


def test_a_checkpoint_that_cannot_be_written_is_noticed_at_once(tmp_path):
    with pytest.raises(OSError, match="search"):
        quick(max_evaluations=None, time_limit=600).fit(
            X, Y, checkpoint=tmp_path / "missing" / "search.json"
        )


INTERRUPTED = """
import warnings, numpy as np, opcodon
X = np.random.default_rng(0).normal(size=(200, 3))
model = opcodon.MachineCodeRegressor(
    time_limit=60, target_error=None, callback=lambda _: print("on", flush=True)
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(X, np.sin(X[:, 0]))
print(caught[0].category.__name__, model.report_.interrupted, model.score(X, np.sin(X[:, 0])) > 0)
"""


def test_control_c_keeps_the_best():
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    with process:
        assert process.stdout.readline() == "on\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().splitlines()[-1] == "RuntimeWarning True True"
    assert process.returncode == 0
