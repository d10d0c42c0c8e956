"""Genetic programming whose programs are machine code, and a machine-code workbench.

The names below are the whole public surface. Those that need more than numpy are imported when
they are first used, so that ``import opcodon`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from opcodon._core import (
    Callback,
    CompiledExpression,
    Expression,
    LibraryError,
    MachineFault,
    MachineFunction,
    ParseError,
    Population,
    __version__,
)
from opcodon.expression import compile, parse  # noqa: A004  (the promised name)
from opcodon.library import Library, Symbol, link, load_library
from opcodon.machine import Disassembly, Instruction, assemble, callback, disassemble, function

if TYPE_CHECKING:
    from opcodon import deap, genome, plot, report
    from opcodon._jit.cfunc import cfunc
    from opcodon._jit.decorator import jit
    from opcodon._jit.ufunc import guvectorize, vectorize
    from opcodon.breeder import MachineCodeRegressor
    from opcodon.classifier import SymbolicClassifier
    from opcodon.regressor import SymbolicRegressor
    from opcodon.transformer import SymbolicTransformer

__all__ = [
    "Callback",
    "CompiledExpression",
    "Disassembly",
    "Expression",
    "Instruction",
    "Library",
    "LibraryError",
    "MachineCodeRegressor",
    "MachineFault",
    "MachineFunction",
    "ParseError",
    "Population",
    "Symbol",
    "SymbolicClassifier",
    "SymbolicRegressor",
    "SymbolicTransformer",
    "__version__",
    "assemble",
    "callback",
    "cfunc",
    "compile",
    "deap",
    "disassemble",
    "function",
    "genome",
    "guvectorize",
    "jit",
    "link",
    "load_library",
    "parse",
    "plot",
    "prange",
    "report",
    "vectorize",
]

# A range; `jit(parallel=True)` has several threads do what a loop over this name does, if it may.
prange = range

# Where the names live that are imported on first use: a module, or a name in a module.
_LAZY = {
    "MachineCodeRegressor": "opcodon.breeder",
    "SymbolicClassifier": "opcodon.classifier",
    "SymbolicRegressor": "opcodon.regressor",
    "SymbolicTransformer": "opcodon.transformer",
    "cfunc": "opcodon._jit.cfunc",
    "deap": None,
    "genome": None,
    "guvectorize": "opcodon._jit.ufunc",
    "jit": "opcodon._jit.decorator",
    "plot": None,
    "report": None,
    "vectorize": "opcodon._jit.ufunc",
}


def __getattr__(name: str) -> Any:
    try:
        module = _LAZY[name]
    except KeyError:
        raise AttributeError(f"module 'opcodon' has no attribute {name!r}") from None
    if module is None:
        return importlib.import_module(f"opcodon.{name}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
