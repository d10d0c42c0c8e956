"""README and docs are run as they are printed.

In a page, fenced blocks run from top to bottom:

* ``python`` blocks share one namespace; with ``>>>`` prompts their output is compared too,
* ``console`` blocks run each ``$ `` line in a shell; the lines below it are its output.

``...`` in expected output stands for anything. A block after ``<!-- not run: reason -->`` is
skipped. Pages run in a copy of ``examples``, where the data of the examples are.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?P<skip><!-- not run: [^>]*-->\n+)?```(?P<language>python|console)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page):
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text[: match.start("body")].count("\n") + 1
        yield line, match["language"], match["body"], match["skip"]


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
    for line, language, body, skip in blocks(page):
        if skip:
            continue
        if language == "python":
            run_python(body, page, line, namespace)
        else:
            run_console(body, tmp_path / "examples")


MODULES = ["opcodon", "opcodon.expression", "opcodon.machine", "opcodon.regressor"]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run_as_printed(name):
    module = __import__(name, fromlist=["_"])
    finder = doctest.DocTestFinder(exclude_empty=True)
    report = []
    for test in finder.find(module, name):
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        runner.run(test, out=report.append)
        assert not runner.failures, "".join(report)
