"""What people look at: the page of a fit, and what notebooks show."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import opcodon

pytest.importorskip("sklearn")
from opcodon import SymbolicClassifier, SymbolicRegressor
from opcodon.__main__ import main

RNG = np.random.default_rng(3)
X = RNG.uniform(1, 5, size=(120, 2))
Y = 2.5 * X[:, 0] / X[:, 1] + 0.05 * RNG.normal(size=120)
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, and the text of each; fails where they do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self._open = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_endtag(self, tag):
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag, **attributes):
        return [
            element
            for element in self.elements
            if element["tag"] == tag
            and all(
                element.get(key.strip("_").replace("_", "-")) == value
                for key, value in attributes.items()
            )
        ]

    def one(self, tag, **attributes):
        (element,) = self.all(tag, **attributes)
        return element


def fitted(X, y, **parameters):
    usual = {"time_limit": None, "max_generations": 3, "population_size": 200, "random_state": 0}
    return SymbolicRegressor(**{**usual, **parameters}).fit(X, y)


@pytest.fixture(scope="module")
def model():
    return fitted(X, Y)


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert model.report(path, X, Y) == path
    return path.read_text(encoding="utf-8")


def data_of(page):
    return json.loads(Page(page).one("script", type="application/json")["text"])


def test_each_formula_has_its_parts(model, page):
    parsed = Page(page)
    front = model.report_.front()
    chosen = model.report_.chosen
    for index, row in enumerate(front):
        parts = [e for e in parsed.all("div") if e.get("data-model") == str(index)]
        shown = ["shown" in part["class"] for part in parts]
        assert shown == [index == chosen] * 3, "without a script the chosen formula is read"
        hero, texts, code = parts
        assert f"{row['size']}" in hero["text"]
        assert row["equation"] in texts["text"]
        assert model.expression(index).to("c").strip() in texts["text"]
        assert model.latex(index) in texts["text"]
        assert str(model.compiled(index).listing()) in code["text"]
        assert str(model.disassemble(index)) in code["text"]
        row_link = [e for e in parsed.all("tr") if e.get("data-point") == str(index)]
        point = [e for e in parsed.all("a") if e.get("data-point") == str(index)]
        assert [e["href"] for e in point] == [f"#{index}"]
        assert len(row_link) == 1
    assert len(parsed.all("circle", class_="dot")) == len(front)


def test_numbers_are_the_models(model, page):
    hints = {element["title"] for element in Page(page).elements if "title" in element}
    for index, row in enumerate(model.report_.front()):
        assert {repr(row["r2"]), repr(row["loss"])} <= hints
        rows = data_of(page)["rows"]
        left = Y - model.predict(X, index)
        np.testing.assert_allclose(rows["residuals"][index], left, rtol=1e-3)
    np.testing.assert_allclose(rows["y"], Y, rtol=1e-5)
    np.testing.assert_allclose(np.transpose(rows["x"]), X, rtol=1e-5)
    assert rows["total"] == len(Y)


def test_constants_are_short_where_they_are_read(page):
    for number in Page(page).all("mn"):
        digits = number["text"].replace(".", "").strip("0")
        assert len(digits) <= 6, number


def test_nothing_is_loaded(page):
    parsed = Page(page)
    assert "://" not in page
    assert not [e for e in parsed.elements if "src" in e or e["tag"] in ("link", "img", "iframe")]
    assert all(e["href"].startswith("#") for e in parsed.elements if "href" in e)
    assert (
        "default-src 'none'" in parsed.one("meta", http_equiv="Content-Security-Policy")["content"]
    )


def test_names_are_text(tmp_path):
    pandas = pytest.importorskip("pandas")
    names = ["</script><script>alert(1)</script>", "a\"b' onclick=<x>&amp;"]
    table = pandas.DataFrame(X, columns=names)
    target = pandas.Series(Y, name="<!--<img src=x>")
    model = fitted(table, target)
    page = model.report(tmp_path / "page.html", table, target).read_text(encoding="utf-8")
    parsed = Page(page)
    tags = [element["tag"] for element in parsed.elements]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert not [key for e in parsed.elements for key in e if key.startswith("on")]
    assert data_of(page)["names"] == names
    assert [e["text"] for e in parsed.all("option")][:2] == [f"against {name}" for name in names]
    shown = Page(model.report_._repr_html_())
    assert not shown.all("img")


def test_without_rows_the_page_says_how_to_get_pictures(model, tmp_path):
    page = model.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "rows" not in data_of(page)
    assert 'model.report("page.html", X, y)' in page
    assert not Page(page).all("svg", id="points")


def test_rows_are_sampled_evenly(model, tmp_path):
    many = np.repeat(X, 50, axis=0)
    y = np.arange(len(many), dtype=float)
    page = model.report(tmp_path / "page.html", many, y).read_text(encoding="utf-8")
    rows = data_of(page)["rows"]
    assert rows["y"] == [float(k * 6000 // 2000) for k in range(2000)]
    assert rows["total"] == 6000


def test_undefined_predictions_are_left_out(tmp_path):
    x = np.linspace(1, 9, 60)[:, None]
    model = fitted(x, np.log(x[:, 0]), operators=["log", "add", "mul"])
    y = np.zeros(60)
    page = model.report(tmp_path / "page.html", x - 5, y).read_text(encoding="utf-8")
    left = data_of(page)["rows"]["residuals"][model.report_.chosen]
    undefined = ~np.isfinite(model.predict(x - 5))
    assert undefined.any()
    assert [value is None for value in left] == undefined.tolist()


def test_mistakes_are_told(model, tmp_path):
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match="both X and y"):
        model.report(path, X)
    with pytest.raises(ValueError, match="features"):
        model.report(path, X[:, :1], Y)
    with pytest.raises(ValueError, match="y"):
        model.report(path, X, Y[:-1])
    assert not path.exists()


def test_command_line_makes_the_same_page(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a,b,y\n" + "".join(f"{a},{b},{y}\n" for (a, b), y in zip(X, Y, strict=True)))
    path, saved = tmp_path / "page.html", tmp_path / "model.json"
    flags = ["--max-generations", "2", "--population-size", "100", "--time-limit", "none"]
    files = ["-o", str(saved), "--report", str(path), "--quiet"]
    assert main(["fit", str(table), *flags, *files]) == 0
    report = SymbolicRegressor.load(saved).report_
    assert path.read_text(encoding="utf-8") == report.page(X, Y)
    assert main(["report", str(saved), "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == report.page()


def test_r2_is_written_as_in_the_table(model):
    shown = Page(model.report_._repr_html_())
    cells = [element["text"] for element in shown.all("td")]
    for row in model.report_.front():
        text = opcodon._core.r2_text(row["r2"])
        assert text in str(model.report_)
        assert text in cells
    for r2, text in [
        (0.5, "0.50000"),
        (1 - 4.9e-7, "1 - 4.9e-7"),
        (1.0, "1 - <1e-12"),
        (-2.25, "-2.25000"),
    ]:
        assert opcodon._core.r2_text(r2) == text


def shown_in_notebooks():
    expression = opcodon.parse("2.123456789*x + sqrt(y)/(1 + x)")
    compiled = opcodon.compile(expression)
    library = opcodon.load_library("libm.so.6")
    genome = opcodon.genome.TreeCode.from_expression("(x0 + 1.5) * x1")
    other = opcodon.genome.TreeCode.from_expression("x0 / (x1 - 2)", ["x0", "x1"])
    bits = fitted(X, Y)
    classes = SymbolicClassifier(
        time_limit=None, max_generations=2, population_size=100, random_state=0
    ).fit(X, np.where(X[:, 0] > X[:, 1], "<b>", "!"))
    function = opcodon.jit(lambda x: x + 1)
    function(1)
    yield expression, "<mfrac>"
    yield compiled, "sqrtsd"
    yield compiled.disassemble(), "sqrtsd"
    yield compiled.disassemble(kernel=True), "ret"
    yield library, "cosh"
    yield genome, "<svg"
    yield genome.crossover(other, seed=1), "second parent"
    yield bits.report_, "<math"
    yield classes, "&lt;b&gt;"
    yield function, "native"
    yield function.report(), "native"


def test_notebooks_show_everything_in_one_style():
    for thing, expected in shown_in_notebooks():
        if isinstance(thing, SymbolicClassifier):
            shown = thing._html_repr()
        else:
            shown = thing._repr_html_()
            assert shown.startswith('<div class="opcodon"><style>'), type(thing)
            Page(shown)
        assert expected in shown, type(thing)
        assert re.search(r"<style>\s*\.opcodon \{", shown)


def test_mathml_of_expressions():
    e = opcodon.parse("2.123456789*alpha^2")
    assert "<mn>2.123456789</mn>" in e.mathml()
    assert e.mathml() == e.to("mathml")
    assert '<mn title="2.123456789">2.12</mn>' in e.mathml(3)
    assert "<mi>\N{GREEK SMALL LETTER ALPHA}</mi>" in e.mathml(digits=1)
    with pytest.raises(ValueError, match="digits must be 1 to 17, not 0"):
        e.mathml(0)
