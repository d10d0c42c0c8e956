"""Expressions: from text or SymPy to a tree, and from a tree to machine code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, overload

from opcodon._core import CompiledExpression, Expression

if TYPE_CHECKING:
    import sympy

__all__ = ["compile", "parse"]


def parse(text: str, variables: Sequence[str] | None = None) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text : str
        A formula such as ``"2*sin(x)**2 + 1e-3"``. ``^`` and ``**`` are both the power; the
        operators and functions are listed in the documentation.
    variables : sequence of str, optional
        The variables, in the order of the columns or arguments that will be given for them;
        any other name in the text is an error. By default the variables are those of the text,
        in the order of their first appearance (``x0, x1, …`` in the order of their numbers).

    Returns
    -------
    Expression
        The tree.

    Raises
    ------
    ParseError
        If the text is no expression. The message points at the place; `span` has it as numbers.

    Examples
    --------
    >>> import opcodon
    >>> e = opcodon.parse("(x - 1) + 4")
    >>> e.variables, e.size, e.depth
    (('x',), 5, 3)
    >>> print(e)
    x - 1 + 4
    """
    return Expression(text, variables)


@overload
def compile(  # type: ignore[overload-overlap]  # noqa: A001  (text is an iterable of text, too)
    expression: Expression | str, variables: Sequence[str] | None = None
) -> CompiledExpression: ...
@overload
def compile(  # noqa: A001
    expression: Iterable[Expression | str], variables: Sequence[str] | None = None
) -> list[CompiledExpression]: ...
def compile(  # noqa: A001
    expression: Expression | str | Iterable[Expression | str],
    variables: Sequence[str] | None = None,
) -> CompiledExpression | list[CompiledExpression]:
    """Translate an expression into machine code.

    Parameters
    ----------
    expression : Expression or str, or an iterable of these
        What to compile. Many expressions for the same data are better put into a `Population`.
    variables : sequence of str, optional
        For text: the variables, see `parse`.

    Returns
    -------
    CompiledExpression, or a list of these for an iterable
        A function of numbers (one for each variable) or of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> import opcodon
    >>> f = opcodon.compile("(x - 1) + 4")
    >>> f(3.0)
    6.0
    >>> f(np.array([[0.0], [1.0]]))
    array([3., 4.])
    """
    if isinstance(expression, str):
        return CompiledExpression(Expression(expression, variables))
    if isinstance(expression, Expression):
        return CompiledExpression(expression)
    try:
        items = iter(expression)
    except TypeError:
        kind = type(expression).__name__
        raise TypeError(
            f"expression must be an Expression, text, or an iterable of these, not {kind}"
        ) from None
    return [compile(item, variables) for item in items]


def to_sympy(expression: Expression) -> sympy.Expr:
    """Give an expression to SymPy; what `Expression.sympy` does."""
    import sympy

    return sympy.sympify(expression.to("sympy"))
