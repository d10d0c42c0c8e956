"""`python -m opcodon._jit FILE:FUNCTION` prints the program of a function as JSON."""

from __future__ import annotations

import json
import runpy
import sys

from opcodon._jit.freeze import Scope
from opcodon._jit.names import RefusedError
from opcodon._jit.normal_form import normalise
from opcodon._jit.program import to_program
from opcodon._jit.source import function_syntax


def main(argument: str) -> int:
    """Print the program of `FILE:FUNCTION`; returns the exit code."""
    file, _, name = argument.rpartition(":")
    function = runpy.run_path(file)[name]
    try:
        form = normalise(function_syntax(function), name, file, Scope(function))
    except RefusedError as reason:
        sys.stderr.write(f"{name} is not compiled: {reason}\n")
        return 1
    json.dump(to_program(form, len(function.__defaults__ or ())), sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
