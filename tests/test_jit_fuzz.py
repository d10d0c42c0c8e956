"""Random programs, interpreted from their normal form and left at random, do what they do.

`OPCODON_FUZZ=first:count` chooses the seeds.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

import interpreter
from compare import Outcome
from generate import build, generate

from opcodon._jit import decorator

FIRST, COUNT = map(int, os.environ.get("OPCODON_FUZZ", "0:150").split(":"))
POLICIES = [(0.0, 0.0), (0.02, 0.02), (0.2, 0.1)]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_program(monkeypatch, seed):
    monkeypatch.setattr(decorator, "function_type", lambda: interpreter.Function)
    source, calls = generate(seed)
    function = build(source, seed)
    made = decorator.make_function(function, {})
    assert made.__opcodon_front__.form is not None, made.__opcodon_front__.refusal
    for args in calls:
        expected = Outcome(function, args)
        for k, (before, after) in enumerate(POLICIES):
            policy = interpreter.Policy(seed + k, before, after)
            monkeypatch.setattr(interpreter.Function, "policy", policy)
            difference = expected.differences(Outcome(made, args))
            assert not difference, f"{difference}\n{source}\n{args}"
