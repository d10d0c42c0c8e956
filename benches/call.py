"""What a call costs: machine code from Python, beside other ways to call the same function.

Nanoseconds a call of `x*x + y` (and of one and of six arguments) in a loop that CPython runs, less
what the empty loop costs. The ways take turns, and the fastest of many passes counts, for other
work on the machine only ever slows a pass down. Ratios are what to quote.

    python benches/call.py [--passes 40] [--calls 20000]
"""

import argparse
import ctypes
import math
import operator
import time
from collections.abc import Callable
from typing import Any

import opcodon

# mulsd xmm0, xmm0; addsd xmm0, xmm1; ret
SQUARE_PLUS = b"\xf2\x0f\x59\xc0\xf2\x0f\x58\xc1\xc3"


def python_function(x: float, y: float) -> float:
    return x * x + y


def ways() -> dict[str, tuple[Callable[..., Any], tuple[float, ...]]]:
    """Functions and the arguments to call them with."""
    code = opcodon.function(SQUARE_PLUS, "f64(f64, f64)")
    integers = opcodon.function(b"\x48\x8d\x04\x37\xc3", "i64(i64, i64)")
    jitted = opcodon.jit(python_function)
    foreign = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)(code.address)
    six = opcodon.compile(opcodon.parse("a + b + c + d + x + y"))
    ways = {
        "ctypes, the same machine code": (foreign, (1.5, 2.5)),
        "Python function": (python_function, (1.5, 2.5)),
        "math.hypot(x, y)": (math.hypot, (1.5, 2.5)),
        "operator.add(x, y)": (operator.add, (1.5, 2.5)),
        "math.sqrt(x)": (math.sqrt, (1.5,)),
        "opcodon.function, f64(f64, f64)": (code, (1.5, 2.5)),
        "opcodon.function, f64, .builtin": (code.builtin, (1.5, 2.5)),
        "opcodon.function, i64(i64, i64)": (integers, (3, 4)),
        "opcodon.function, i64, .builtin": (integers.builtin, (3, 4)),
        "opcodon.jit": (jitted, (1.5, 2.5)),
        "opcodon.jit, .builtin": (jitted.builtin, (1.5, 2.5)),
        "opcodon.compile, x*x + y": (opcodon.compile(opcodon.parse("x*x + y")), (1.5, 2.5)),
        "opcodon.compile, x*x": (opcodon.compile(opcodon.parse("x*x")), (1.5,)),
        "opcodon.compile, sin(x)": (opcodon.compile(opcodon.parse("sin(x)")), (1.5,)),
        "opcodon.compile, sum of six": (six, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
    }
    try:
        from deap import gp

        from opcodon import deap
    except ImportError:
        return ways
    pset = gp.PrimitiveSet("MAIN", 2)
    pset.addPrimitive(operator.add, 2)
    pset.addPrimitive(operator.mul, 2)
    tree = gp.PrimitiveTree.from_string("add(mul(ARG0, ARG0), ARG1)", pset)
    ways["opcodon.deap.compile, x*x + y"] = (deap.compile(tree, pset), (1.5, 2.5))
    ways["deap.gp.compile, x*x + y"] = (gp.compile(tree, pset), (1.5, 2.5))
    return ways


def loop(n_args: int) -> Callable[[Any, tuple[float, ...], range], float]:
    """A function that calls another over and over, and says how long that took."""
    names = "".join(f"{name}, " for name in "abcdefgh"[:n_args])
    program = f"""
def run(call, args, calls):
    {f"{names}= args" if names else ""}
    start = clock()
    for _ in calls:
        {f"call({names})" if names else "pass"}
    return clock() - start
"""
    namespace: dict[str, Any] = {"clock": time.perf_counter}
    exec(program, namespace)
    run: Callable[[Any, tuple[float, ...], range], float] = namespace["run"]
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--passes", type=int, default=40)
    parser.add_argument("--calls", type=int, default=20_000)
    options = parser.parse_args()
    calls = range(options.calls)
    functions = ways()
    loops = {n_args: loop(n_args) for n_args in range(9)}
    empty = math.inf
    best = dict.fromkeys(functions, math.inf)
    for _ in range(options.passes):
        empty = min(empty, loops[0](None, (), calls))
        for name, (function, args) in functions.items():
            best[name] = min(best[name], loops[len(args)](function, args, calls))
    reference = best["ctypes, the same machine code"] - empty
    print(f"{'':36}{'ns a call':>10}{'ctypes / this':>15}")
    for name, seconds in best.items():
        cost = seconds - empty
        print(f"{name:36}{cost / options.calls * 1e9:10.1f}{reference / cost:15.1f}")


if __name__ == "__main__":
    main()
