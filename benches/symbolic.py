"""Whether a formula is the law, and its size: SRBench's rules, by SymPy.

With numbers rounded to three decimals (and below 1e-4 to zero), the formula and the law differ by
a constant, or one is a constant times the other (La Cava et al., NeurIPS Datasets and Benchmarks
2021). SymPy may take for ever to find that out, so it is asked in a process of its own, for so
long.
"""

import contextlib
import math
import multiprocessing

# For each of the two answers.
SECONDS = 20


def rounded(expr, sympy):
    near = {
        number: sympy.Integer(0) if abs(number) < 1e-4 else sympy.Float(round(float(number), 3), 3)
        for number in expr.atoms(sympy.Float)
    }
    return expr.xreplace(near)


def read(text, names):
    """A text in these names as SymPy has it."""
    import sympy

    space = {name: sympy.Symbol(f"v{j}") for j, name in enumerate(names)}
    space |= {"square": lambda a: a**2, "cube": lambda a: a**3, "inv": lambda a: 1 / a}
    space |= {
        "abs": sympy.Abs,
        "neg": lambda a: -a,
        "pow": sympy.Pow,
        "pi": sympy.Float("3.1415926535"),
    }
    space |= {"arcsin": sympy.asin, "arccos": sympy.acos}
    return sympy.parse_expr(text.replace("^", "**"), local_dict=space)


def same(model, law, names):
    """The rule; both are texts, in these names."""
    import sympy

    model, law = (rounded(read(text, names), sympy) for text in (model, law))

    def settled(difference, ratio):
        return difference.is_constant() or (ratio.is_constant() and ratio != 0)

    if settled(rounded(law - model, sympy), rounded(model / law, sympy)):
        return True
    # As it stands first: to simplify may lead the formula away from the law.
    model = rounded(sympy.simplify(model, ratio=1), sympy)
    difference, ratio = rounded(law - model, sympy), rounded(model / law, sympy)
    if settled(difference, ratio):
        return True
    simple = [rounded(sympy.simplify(expr, ratio=1), sympy) for expr in (difference, ratio)]
    return settled(*simple)


def _answer(pipe, model, law, names):
    """Size and verdict, one after the other: the first may be known when the second never is."""
    import sympy

    try:
        pipe.send(sum(1 for _ in sympy.preorder_traversal(read(model, names))))
        pipe.send(law is not None and bool(same(model, law, names)))
    # What SymPy cannot read or compare has no size and is not seen to be the law.
    except Exception:
        pipe.close()


def judged(model, law, names):
    """The nodes of a formula, NaN if SymPy cannot read it, and whether it is seen to be the law."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, model, law, names))
    process.start()
    theirs.close()
    found = [math.nan, False]
    with contextlib.suppress(EOFError):
        for k in range(len(found)):
            if ours.poll(SECONDS):
                found[k] = ours.recv()
    process.kill()
    process.join()
    return tuple(found)
