"""The corpus and random programs as machine code do what they do in Python.

`OPCODON_FUZZ=first:count` chooses the seeds.
"""

import importlib
import os
import pathlib
import sys

import pytest

import opcodon

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from cases import CASES, load_corpus
from compare import check_calls
from generate import build, generate

pytest.importorskip("opcodon._core")
if not hasattr(importlib.import_module("opcodon._core"), "jit"):
    pytest.skip("the native module compiles no Python functions", allow_module_level=True)

load_corpus()
FIRST, COUNT = map(int, os.environ.get("OPCODON_FUZZ", "0:150").split(":"))
PARAMETERS = [
    pytest.param(function, calls, id=f"{function.__module__}.{function.__name__}")
    for function, calls, _ in CASES
]


def check(function, calls):
    check_calls(function, opcodon.jit(function), calls)


@pytest.mark.parametrize(("function", "calls"), PARAMETERS)
def test_corpus(function, calls):
    check(function, calls)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_program(seed):
    source, calls = generate(seed)
    check(build(source, seed), calls)


def test_parts_of_nested_tuples_are_not_looked_at():
    # There are 2⁶⁰ of them.
    nested = (1,)
    for _ in range(60):
        nested = (nested, nested)
    first = opcodon.jit(lambda of: of[0])
    assert first(nested) is nested[0]
