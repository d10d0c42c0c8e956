"""The corpus: functions with the arguments they are called with."""

from __future__ import annotations

import importlib

MODULES = ("arrays", "containers", "control", "definitions", "identity", "scalars", "texts")
CASES = []


def case(*calls, native=None):
    """Register a function to be called with each of these tuples of arguments.

    `native` names the rows of the language table that the function stands for.
    """

    def register(function):
        CASES.append((function, calls, native))
        return function

    return register


def load_corpus():
    """Import the modules of the corpus, which fills `CASES`."""
    if not CASES:
        for name in MODULES:
            importlib.import_module(name)
