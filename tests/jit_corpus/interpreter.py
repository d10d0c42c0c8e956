"""A program's meaning, in plain Python: what machine code has to do, done one statement at a time.

`Function` has the surface of the native class of that name. It interprets the program's JSON text
and, where its policy says so, leaves as machine code does: with the values of all locals and the
iterators of the loops it is in, to the resumed function. So everything the front end makes (the
program, resumed functions, frozen values, guards, binding) is tested without a code generator.
"""

from __future__ import annotations

import json
import operator
import random
import sys
import types

BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "matmul": operator.matmul,
}
IN_PLACE = {
    name: getattr(operator, "i" + function.__name__.rstrip("_"))
    for name, function in BINARY.items()
}
UNARY = {"neg": operator.neg, "pos": operator.pos, "invert": operator.invert, "not": operator.not_}
COMPARE = {
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "is": operator.is_,
    "isnot": operator.is_not,
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}
PURE = (int, float, bool, complex, str, type(None))


class Policy:
    """When to leave: with this probability before, and after, each statement."""

    def __init__(self, seed=0, before=0.0, after=0.0):
        self.random = random.Random(seed)
        self.before = before
        self.after = after
        self.left = {}

    def leaves_before(self):
        return self.before and self.random.random() < self.before

    def leaves_after(self):
        return self.after and self.random.random() < self.after


class At:
    """Leaves before, after or never at the n-th statement executed."""

    def __init__(self, n=-1, after=False):
        self.n = n
        self.after = after
        self.count = 0
        self.left = {}

    def _here(self):
        self.count += 1
        return self.count - 1 == self.n

    def leaves_before(self):
        return not self.after and self._here()

    def leaves_after(self):
        return self.after and self._here()


class Leave(Exception):  # noqa: N818
    def __init__(self, statement, mode, exception=None, *, is_handled=False):
        self.statement = statement
        self.mode = mode
        self.exception = exception
        self.is_handled = is_handled


class Break(Exception):  # noqa: N818
    pass


class Continue(Exception):  # noqa: N818
    pass


class Return(Exception):  # noqa: N818
    pass


class Function:
    """Surface of the native `Function`; `policy` is shared by all of a test's functions.

    So is `is_loud`: whether handlers of exceptions that are caught run anything.
    """

    policy = At()
    is_loud = True

    def __init__(self, _name, prepare, fallback, resume, unset, options):
        self._prepare = prepare
        self._fallback = fallback
        self._resume = resume
        self._unset = unset
        self._bind = options["bind"]
        self._prepared = None

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def _guards_hold(self, guards):
        for place, key, expected in guards:
            if isinstance(place, types.CellType):
                try:
                    found = place.cell_contents
                except ValueError:
                    found = self._unset
            else:
                found = place.get(key, self._unset)
            if found is not expected:
                return False
        return True

    def __call__(self, *args, **kwargs):
        # An explicit frame of our own would show in no traceback of the user's files.
        if self._prepared is None or not self._guards_hold(self._prepared[3]):
            prepared = self._prepare()
            if prepared is None:
                return self._fallback(*args, **kwargs)
            self._prepared = (json.loads(prepared[0]), *prepared[1:])
        bound = self._bind(args, kwargs)
        run = Run(self, self._prepared, bound)
        try:
            return run.function()
        except Leave as leave:
            where, mode, exception = leave.statement, leave.mode, leave.exception
        iterators = run.iterators[: run.depth_at[where]] if where in run.depth_at else run.iterators
        resumed = self._resume(where, mode)
        extra = () if exception is None else (exception,)
        values = [*run.locals, *iterators, *extra]
        first = values[: resumed.__code__.co_argcount - 1]
        return resumed(*first, values)


def fails(kind, a, b):
    """Whether an operation on builtin objects is sure to fail in such a way."""
    numbers = (int, float, bool)
    if kind == "zero":
        return type(a) in numbers and type(b) in numbers and b == 0
    if kind == "index":
        return type(a) in (list, str) and type(b) is int and not -len(a) <= b < len(a)
    return type(a) is dict and type(b) in (int, str) and b not in a


class Run:
    """One call of a program."""

    def __init__(self, function, prepared, bound):
        self.owner = function
        self.program, self.values, self.constants, self.guards = prepared
        self.unset = function._unset
        self.locals = [*bound, *[self.unset] * (len(self.program["locals"]) - len(bound))]
        self.iterators = []
        self.depth_at = {}
        self.is_loud = self.is_caught = False

    def function(self):
        try:
            self.block(self.program["body"])
        except Return as result:
            return result.args[0]
        raise AssertionError("a program ends with a return statement")

    def block(self, statements):
        policy = Function.policy
        for s in statements:
            # In a handler, only what nobody can tell from being in one.
            is_told = "handled" in s and not {"call", "method"}.isdisjoint(s.get("e", ()))
            is_told = is_told and not self.is_loud
            # Which handler it is is found without leaving.
            is_found = self.is_caught and "handled" not in s
            if not is_found and (policy.leaves_before() or is_told):
                raise Leave(s["id"], 0)
            kind = s["s"]
            if kind in ("if", "loop", "for", "try", "break", "continue", "return", "leave"):
                getattr(self, "on_" + kind)(s)
                continue
            try:
                getattr(self, "on_" + kind)(s)
            except Leave:
                raise
            except BaseException as exception:
                # What failed without an effect may be done again by Python; what had one may not.
                again = kind == "set" and ("bin" in s["e"] or "un" in s["e"])
                again = again and all(
                    type(self.locals[a["l"]]) in PURE
                    for a in (s["e"].get("a"), s["e"].get("b"))
                    if a and "l" in a
                )
                if again:
                    raise Leave(s["id"], 0) from None
                # Only the part of the traceback that user code added.
                tb = exception.__traceback__
                while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
                    tb = tb.tb_next
                raised = exception.with_traceback(tb)
                raise Leave(s["id"], 2, raised, is_handled="handled" in s) from None
            calls = {"call", "method"} & s.get("e", {}).keys()
            if is_found:
                continue
            if policy.leaves_after() or (calls and not self.owner._guards_hold(self.guards)):
                raise Leave(s["id"], 1)

    # ---- atoms

    def atom(self, a, statement):
        ((kind, value),) = a.items()
        if kind == "l":
            found = self.locals[value]
        elif kind == "g":
            found = self.values[value]
        elif kind == "c":
            found = self.constants[value]
        elif kind == "f":
            return float.fromhex(value)
        elif kind == "none":
            return None
        else:
            return value
        if found is self.unset:
            raise Leave(statement["id"], 0)
        return found

    def index(self, i, s):
        if i is None:
            return None
        if "tuple" in i:
            return tuple(self.index(part, s) for part in i["tuple"])
        if "slice" in i:
            return slice(*(self.index(part, s) for part in i["slice"]))
        return self.atom(i, s)

    def operation(self, e, s):
        def atom(a):
            return self.atom(a, s)

        if "atom" in e:
            return atom(e["atom"])
        if "bin" in e:
            return BINARY[e["bin"]](atom(e["a"]), atom(e["b"]))
        if "ibin" in e:
            return IN_PLACE[e["ibin"]](atom(e["a"]), atom(e["b"]))
        if "un" in e:
            return UNARY[e["un"]](atom(e["a"]))
        if "cmp" in e:
            return COMPARE[e["cmp"]](atom(e["a"]), atom(e["b"]))
        if "truth" in e:
            return bool(atom(e["truth"]))
        if "call" in e or "method" in e:
            if "bound" in e and self.locals[e["bound"]["l"]] is not self.unset:
                function = atom(e["bound"])
            elif "method" in e:
                function = getattr(atom(e["of"]), e["method"])
            else:
                function = atom(e["call"])
            args = [atom(a) for a in e["args"]]
            return function(*args, **{name: atom(a) for name, a in e.get("kw", ())})
        if "attr" in e:
            return getattr(atom(e["of"]), e["attr"])
        if "item" in e:
            return atom(e["of"])[self.index(e["item"], s)]
        if "tuple" in e:
            return tuple(atom(a) for a in e["tuple"])
        if "list" in e:
            return [atom(a) for a in e["list"]]
        if "set_" in e:
            return {atom(a) for a in e["set_"]}
        if "dict" in e:
            return {atom(k): atom(v) for k, v in e["dict"]}
        if "global" in e:
            if e["global"] not in atom(e["of"]):
                raise Leave(s["id"], 0)
            return atom(e["of"])[e["global"]]
        if "sequence" in e:
            return isinstance(atom(e["sequence"]), (tuple, list, range))
        if "fails" in e:
            return fails(e["fails"], atom(e["a"]), atom(e["b"]))
        if "format" in e:
            convert = {"": lambda x: x, "s": str, "r": repr, "a": ascii}
            return "".join(
                part["text"]
                if "text" in part
                else format(convert[part["conversion"]](atom(part["value"])), part["spec"])
                for part in e["format"]
            )
        raise AssertionError(f"unknown operation {e}")

    # ---- statements

    def on_set(self, s):
        self.locals[s["to"]] = self.operation(s["e"], s)

    def on_expr(self, s):
        self.operation(s["e"], s)

    def on_lookup(self, s):
        of = self.atom(s["of"], s)
        if type(of) not in (list, dict, set, str, int, float):
            self.locals[s["to"]] = getattr(of, s["attr"])
        else:
            # Pure: found again by the call. A missing attribute is missed here, though.
            if not hasattr(of, s["attr"]):
                raise Leave(s["id"], 0)
            self.locals[s["to"]] = self.unset

    def on_setitem(self, s):
        value, of = self.atom(s["value"], s), self.atom(s["of"], s)
        of[self.index(s["item"], s)] = value

    def on_setattr(self, s):
        value, of = self.atom(s["value"], s), self.atom(s["of"], s)
        setattr(of, s["attr"], value)

    def on_delitem(self, s):
        of = self.atom(s["of"], s)
        del of[self.index(s["item"], s)]

    def on_unset(self, s):
        if self.locals[s["l"]] is self.unset:
            raise Leave(s["id"], 0)
        self.locals[s["l"]] = self.unset

    def on_unpack(self, s):
        values = self.atom(s["a"], s)
        if type(values) not in (tuple, list) or len(values) != len(s["to"]):
            raise Leave(s["id"], 0)
        for to, value in zip(s["to"], values, strict=True):
            self.locals[to] = value

    def on_if(self, s):
        condition = self.atom(s["c"], s)
        try:
            truth = bool(condition)
        except BaseException as exception:
            raise Leave(s["id"], 2, exception.with_traceback(None)) from None
        self.block(s["then"] if truth else s["else"])

    def on_loop(self, s):
        while True:
            try:
                self.block(s["body"])
            except Break:
                return
            except Continue:
                pass

    def on_for(self, s):
        depth = len(self.iterators)
        self.depth_at[s["id"]] = depth
        iterable = self.atom(s["iter"], s)
        try:
            iterator = iter(iterable)
        except BaseException as exception:
            raise Leave(s["id"], 2, exception.with_traceback(None)) from None
        self.iterators.append(iterator)
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                break
            except BaseException as exception:
                tb = exception.__traceback__
                while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
                    tb = tb.tb_next
                raise Leave(s["id"], 2, exception.with_traceback(tb)) from None
            self.locals[s["to"]] = item
            try:
                self.block(s["body"])
            except Break:
                del self.iterators[depth:]
                return
            except Continue:
                pass
        del self.iterators[depth:]
        self.block(s["else"])

    def on_try(self, s):
        depth = len(self.iterators)
        try:
            self.block(s["body"])
        except Leave as leave:
            which = self.caught_by(s, leave)
            if which is None:
                raise
            where, exception = leave.statement, leave.exception
        else:
            return
        del self.iterators[depth:]
        loud = Function.is_loud and sys.exc_info()[1] is None
        if loud:
            self.owner._resume(where, 3)(exception)
        self.locals[s["error"]] = exception
        self.locals[s["at"]] = -1 - where if loud else where
        self.locals[s["which"]] = which
        traceback = exception.__traceback__
        self.is_loud, self.is_caught = loud, True
        try:
            if not loud:
                self.block(s["handler"])
                return
            raise exception
        except type(exception) as error:
            if error is not exception:
                raise
            exception.__traceback__ = traceback
            self.block(s["handler"])
        finally:
            self.is_loud = self.is_caught = False

    def caught_by(self, s, leave):
        if leave.mode != 2 or leave.is_handled:
            return None
        # A handler looks at all its classes before it compares.
        for which in dict.fromkeys(which for which, _ in s["kinds"]):
            kinds = [self.atom(kind, s) for number, kind in s["kinds"] if number == which]
            if not all(isinstance(k, type) and issubclass(k, BaseException) for k in kinds):
                return None
            if isinstance(leave.exception, tuple(kinds)):
                return which
        return None

    def on_raise(self, s):
        raise self.atom(s["a"], s)

    def on_handled(self, s):
        """Machine code forgets the exception here, and does not leave behind it."""

    def on_setglobal(self, s):
        self.atom(s["of"], s)[s["name"]] = self.atom(s["value"], s)

    def on_break(self, _s):
        raise Break

    def on_continue(self, _s):
        raise Continue

    def on_return(self, s):
        raise Return(self.atom(s["a"], s))

    def on_leave(self, s):
        raise Leave(s["id"], 0)
