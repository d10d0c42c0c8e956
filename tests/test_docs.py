"""README and docs are run as they are printed.

In a page, fenced blocks run from top to bottom:

* ``python`` blocks share one namespace; with ``>>>`` prompts their output is compared too,
* ``console`` blocks run each ``$ `` line in a shell; the lines below it are its output.

``...`` in expected output stands for anything. A block after ``<!-- needs: avx2 -->`` shows code
of such processors, and is skipped on others. Pages run in a copy of ``examples``, where the data
of the examples are.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import opcodon
from opcodon import _core

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?P<needs><!-- needs: avx2 -->\n+)?```(?P<language>python|console)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page):
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text[: match.start("body")].count("\n") + 1
        yield line, match["language"], match["body"], match["needs"]


def run_python(body, page, line, namespace):
    name = f"{page.name}:{line}"
    if ">>>" in body:
        test = doctest.DocTestParser().get_doctest(body, namespace, name, str(page), line - 1)
        report = []
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        runner.run(test, out=report.append, clear_globs=False)
        assert not runner.failures, "".join(report)
        namespace.update(test.globs)
    else:
        exec(compile("\n" * (line - 1) + body, str(page), "exec"), namespace)


def run_console(body, folder):
    commands = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert not commands[0].strip(), "a console block starts with a line '$ command'"
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    for text in commands[1:]:
        command, _, expected = text.partition("\n")
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        checker = doctest.OutputChecker()
        if expected.strip():
            assert checker.check_output(expected, done.stdout, FLAGS), (
                f"$ {command}\nexpected:\n{expected}\ngot:\n{done.stdout}{done.stderr}"
            )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs_as_printed(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "examples")
    namespace = {"__name__": "__main__"}
    for line, language, body, needs in blocks(page):
        if needs and opcodon.compile("x").tier == "sse2":
            pytest.skip(f"line {line} shows the code of a processor with AVX2")
        if language == "python":
            run_python(body, page, line, namespace)
        else:
            run_console(body, tmp_path / "examples")


MODULES = [
    "opcodon",
    "opcodon.breeder",
    "opcodon.classifier",
    "opcodon.deap_genome",
    "opcodon.expression",
    "opcodon.genome",
    "opcodon.library",
    "opcodon.machine",
    "opcodon.regressor",
    "opcodon.transformer",
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run_as_printed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = __import__(name, fromlist=["_"])
    finder = doctest.DocTestFinder(exclude_empty=True)
    report = []
    for test in finder.find(module, name):
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        runner.run(test, out=report.append)
        assert not runner.failures, "".join(report)


def test_examples_of_native_classes_run_as_printed():
    """They are in the typed outline of the native module, which is no module to import."""
    path = Path(opcodon.__file__).with_name("_core.pyi")
    text = path.read_text(encoding="utf-8").replace('"""', "")
    found = doctest.DocTestParser().get_doctest(text, {"opcodon": opcodon}, path.name, str(path), 0)
    assert found.examples
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(found, out=report.append)
    assert not runner.failures, "".join(report)


def table(head, rows):
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in cells
    )


def operators():
    head = ["function", "written", "arguments", "units in the last place", "what it is"]
    rows = [
        [f"`{name}`", f"`{spelling}`" if spelling != name else "", arity, ulp or "exact", summary]
        for name, spelling, arity, ulp, summary in _core.operators()
    ]
    return table(head, rows)


def parameters(of):
    head = ["parameter", "default", "value", "what it does"]
    rows = [[f"`{name}`", f"`{default}`", kind, doc] for name, kind, default, _, doc in of()]
    return table(head, rows)


@pytest.mark.parametrize(
    ("page", "generated"),
    [
        ("operators.md", operators),
        ("regression.md", lambda: parameters(_core.parameters)),
        ("genomes.md", lambda: parameters(_core.evolve_parameters)),
    ],
)
def test_reference_tables_are_those_of_the_program(page, generated):
    """Set BLESS=1 to write the tables anew."""
    path = ROOT / "docs" / page
    text = path.read_text(encoding="utf-8")
    begin, end = "<!-- generated -->", "<!-- end -->"
    before, rest = text.split(begin)
    old, after = rest.split(end)
    if os.environ.get("BLESS"):
        page = f"{before}{begin}\n\n{generated()}\n\n{end}{after}"
        path.write_text(page, encoding="utf-8")
    else:
        assert old.strip() == generated()
