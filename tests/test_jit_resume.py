"""Functions of the corpus, interpreted from their programs and left anywhere, do what they do."""

import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

import interpreter
from cases import CASES, load_corpus
from compare import Outcome

from opcodon._jit import decorator

load_corpus()
OPTIONS = {"wrap": False}
IDS = [f"{function.__module__}.{function.__name__}" for function, _, _ in CASES]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(decorator, "function_type", lambda: interpreter.Function)


def check(function, calls, policy):
    made = decorator.make_function(function, OPTIONS)
    for args in calls:
        expected = Outcome(function, args)
        interpreter.Function.policy = policy
        found = Outcome(made, args)
        interpreter.Function.policy = interpreter.At()
        difference = expected.differences(found)
        assert not difference, f"{function.__name__}{args}: {difference}"
    return made


@pytest.mark.parametrize(("function", "calls", "_"), CASES, ids=IDS)
def test_program_means_what_the_function_means(function, calls, _):
    made = check(function, calls, interpreter.At())
    assert made.__opcodon_front__.form is not None, made.__opcodon_front__.refusal


@pytest.mark.parametrize(("function", "calls", "_"), CASES, ids=IDS)
def test_leaving_at_every_statement_changes_nothing(function, calls, _):
    for args in calls:
        count = interpreter.At()
        check(function, [args], count)
        steps = range(count.count)
        if len(steps) > 150:
            steps = sorted(random.Random(1).sample(steps, 150))
        for n in steps:
            check(function, [args], interpreter.At(n))
            check(function, [args], interpreter.At(n, after=True))
