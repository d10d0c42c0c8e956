"""From a function to the syntax tree it was compiled from.

The source is found where tracebacks find it: in `linecache`, which also holds the cells of
notebooks. Only the lines of the function are parsed, and the result is compiled and compared with
the function's own code, so that a file edited since, two lambdas on a line or a rewritten module
never lead to the wrong program.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType

from opcodon._jit.names import RefusedError

# What functions are called while they are compiled: no name of the source begins with a dot.
_AROUND, _FUNCTION = ".around", ".function"
_QUALIFIED = f"{_AROUND}.<locals>.{_FUNCTION}"


def function_syntax(function: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """The syntax of a function, with the line and column numbers of its file.

    Raises
    ------
    RefusedError
        If there is no source, or it is not the source of this function.
    """
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        made = _dataclass_init(code)
        if made is not None:
            return made
        raise RefusedError(f"its source is not available (file {code.co_filename!r})")
    first = code.co_firstlineno
    if first > len(lines):
        raise RefusedError(f"its source file {code.co_filename!r} has changed")
    owner = _owner(function)
    for tree in _parsed(lines, first, code):
        for node in _candidates(tree, code):
            if owner is not None:
                node = _Mangler(owner).visit(node)
            if _compiles_to(node, code, function, lines):
                if isinstance(node, ast.AsyncFunctionDef):
                    raise RefusedError("it is asynchronous")
                return node
    raise RefusedError(f"its source in {code.co_filename!r} is not what it was compiled from")


def _dataclass_init(code: CodeType) -> ast.FunctionDef | None:
    """The syntax of an `__init__` that `dataclasses` has written, if it is like most."""
    if code.co_name != "__init__" or code.co_filename != "<string>" or code.co_kwonlyargcount:
        return None
    this, *names = code.co_varnames[: code.co_argcount]
    body = []
    for name in names:
        # The factory of a default is a variable of the function around.
        factory = next((free for free in code.co_freevars if free.endswith(f"dflt_{name}")), None)
        missing = next((free for free in code.co_freevars if "DEFAULT_FACTORY" in free), None)
        value = f"{factory}() if {name} is {missing} else {name}" if factory and missing else name
        body.append(f" {this}.{name}={value}")
    for end in ([], [f" {this}.__post_init__()"]):
        text = "\n".join(
            [f"def __init__({', '.join([this, *names])}):", *body, *(end or [" pass"])]
        )
        node = ast.parse(text).body[0]
        assert isinstance(node, ast.FunctionDef)
        ast.increment_lineno(node, code.co_firstlineno - 1)
        if _same(compile_function(node, code.co_freevars, code.co_filename), code):
            return node
    return None


def _parsed(lines: list[str], first: int, code: CodeType) -> list[ast.Module]:
    """Syntax trees that may hold the function: of its own lines, then of the whole file."""
    trees = []
    indentation = _indentation(lines[first - 1])
    last = _last_line(code)
    while last < len(lines) and (
        not lines[last].strip() or _indentation(lines[last]) > indentation
    ):
        last += 1
    # A block around it makes an indented function parse, and keeps columns what they are.
    head = "if 1:\n" if indentation else "\n"
    for stop in (last, last + 1):
        try:
            tree = ast.parse(head + "".join(lines[first - 1 : stop]))
        except SyntaxError:
            continue
        ast.increment_lineno(tree, first - 2)
        trees.append(tree)
        break
    else:
        with suppress(SyntaxError):
            trees.append(ast.parse("".join(lines)))
    return trees


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _last_line(code: CodeType) -> int:
    """The last line that an instruction of the function comes from."""
    last = code.co_firstlineno
    codes = [code]
    while codes:
        current = codes.pop()
        last = max(last, *(line for _, _, line in current.co_lines() if line is not None), last)
        codes += [inner for inner in current.co_consts if isinstance(inner, CodeType)]
    return last


def _candidates(
    tree: ast.Module, code: CodeType
) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    found: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if node.name == code.co_name and start == code.co_firstlineno:
                found.append(node)
        elif (
            isinstance(node, ast.Lambda)
            and code.co_name == "<lambda>"
            and node.lineno == code.co_firstlineno
        ):
            found.append(node)
    return found


def _compiles_to(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
    code: CodeType,
    function: FunctionType,
    lines: list[str],
) -> bool:
    """Whether the syntax is that of the code, as this interpreter compiles it."""
    space = function.__globals__
    modules = [name for name in code.co_names if isinstance(space.get(name), ModuleType)]
    compiled = compile_function(node, code.co_freevars, code.co_filename, modules)
    if _same(compiled, code):
        return True
    # CPython compiles calls of attributes of imported names in a way of their own.
    imported = _imported(lines)
    if _same(compile_function(node, code.co_freevars, code.co_filename, imported), code):
        return True
    # pytest rewrites the assert statements of test modules.
    return (
        "@py_builtins" in space
        and set(compiled.co_varnames) <= set(code.co_varnames)
        and any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
    )


def _imported(lines: list[str]) -> list[str]:
    """Names that a file's import statements bind."""
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return []
    return [
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if alias.name != "*"
    ]


def compile_function(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
    free: Sequence[str],
    file: str,
    imported: Sequence[str] = (),
) -> CodeType:
    """The code of a function whose free variables are those of a function around it.

    Parameters
    ----------
    node
        The function; decorators, defaults and annotations are ignored.
    free
        Names of variables of an enclosing function.
    file
        Its file, for tracebacks.
    imported
        Names that the module around it imports.
    """
    statement: ast.stmt
    if isinstance(node, ast.Lambda):
        bare = ast.Lambda(args=_without_defaults(node.args), body=node.body)
        statement = ast.copy_location(ast.Expr(value=ast.copy_location(bare, node)), node)
    else:
        # Not its own name: the body may use that, and mean a global.
        statement = type(node)(
            name=_FUNCTION,
            args=_without_defaults(node.args),
            body=node.body,
            decorator_list=[],
            returns=None,
        )
        ast.copy_location(statement, node)
    around = ast.FunctionDef(
        name=_AROUND,
        args=parameters(list(free)),
        body=[statement],
        decorator_list=[],
        returns=None,
    )
    imports = [ast.Import(names=[ast.alias(name=name, asname=None)]) for name in imported]
    module = ast.Module(body=[*imports, around], type_ignores=[])
    for outer in (*imports, around):
        ast.copy_location(outer, node)
        for inner in ast.iter_child_nodes(outer):
            if isinstance(inner, ast.alias):
                ast.copy_location(inner, node)
    codes = compile(module, file, "exec", dont_inherit=True).co_consts
    code = next(const for const in codes if isinstance(const, CodeType))
    return next(const for const in code.co_consts if isinstance(const, CodeType))


def requalified(code: CodeType, name: str) -> CodeType:
    """The code of `compile_function` with its right qualified name, and functions in it, too."""
    constants = tuple(
        requalified(const, name)
        if isinstance(const, CodeType)
        else const.replace(_QUALIFIED, name)
        if isinstance(const, str) and const.startswith(_QUALIFIED)
        else const
        for const in code.co_consts
    )
    code = code.replace(co_consts=constants)
    if sys.version_info >= (3, 11):
        code = code.replace(co_qualname=code.co_qualname.replace(_QUALIFIED, name))
    return code


def parameters(names: list[str]) -> ast.arguments:
    """Plain parameters of these names."""
    return ast.arguments(
        posonlyargs=[],
        args=[ast.arg(arg=name, annotation=None, lineno=1, col_offset=0) for name in names],
        vararg=None,
        kwonlyargs=[],
        kw_defaults=[],
        kwarg=None,
        defaults=[],
    )


def _without_defaults(arguments: ast.arguments) -> ast.arguments:
    def bare(arg: ast.arg) -> ast.arg:
        return ast.copy_location(ast.arg(arg=arg.arg, annotation=None), arg)

    return ast.arguments(
        posonlyargs=[bare(arg) for arg in arguments.posonlyargs],
        args=[bare(arg) for arg in arguments.args],
        vararg=bare(arguments.vararg) if arguments.vararg else None,
        kwonlyargs=[bare(arg) for arg in arguments.kwonlyargs],
        kw_defaults=[None] * len(arguments.kwonlyargs),
        kwarg=bare(arguments.kwarg) if arguments.kwarg else None,
        defaults=[],
    )


def _same(a: CodeType, b: CodeType) -> bool:
    if (
        a.co_code != b.co_code
        or a.co_varnames != b.co_varnames
        or a.co_names != b.co_names
        or len(a.co_consts) != len(b.co_consts)
    ):
        return False
    for x, y in zip(a.co_consts, b.co_consts, strict=True):
        if isinstance(x, CodeType):
            if not isinstance(y, CodeType) or not _same(x, y):
                return False
        elif isinstance(x, str) and isinstance(y, str) and "<locals>" in x:
            # The qualified name of a nested function (Python 3.10): the one around is not the same.
            if x.rpartition("<locals>")[2] != y.rpartition("<locals>")[2]:
                return False
        elif type(x) is not type(y) or repr(x) != repr(y):
            return False
    return True


def _owner(function: FunctionType) -> str | None:
    """The class around a function, whose name is part of names such as `__x`."""
    parts = function.__qualname__.split(".")
    if len(parts) < 2 or parts[-2] == "<locals>":
        return None
    return parts[-2].lstrip("_") or None


class _Mangler(ast.NodeTransformer):
    """Names such as `__x` in a class body mean `_Class__x`."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    def _mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__"):
            return f"_{self.owner}{name}"
        return name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._mangled(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.attr = self._mangled(node.attr)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._mangled(node.arg)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if node.arg is not None:
            node.arg = self._mangled(node.arg)
        return self.generic_visit(node)
