"""Machine code as bytes, as text and as something to call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from opcodon import _core

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from opcodon._core import Callback, MachineFunction

__all__ = ["Disassembly", "Instruction", "assemble", "callback", "disassemble", "function"]

Style = Literal["intel", "att", "masm", "nasm"]
Abi = Literal["sysv", "win64"]
Dialect = Literal["intel", "att"]

# A signature as text, or a function whose annotations say the same.
Signature = str | Callable[..., Any]


# The fields of an instruction, as the native module gives them.
Row = tuple[int, bytes, str, str, str, "str | None", "int | None"]


class Instruction(NamedTuple):
    """One machine instruction.

    Attributes
    ----------
    offset : int
        Where it starts, in bytes from the start of the code.
    code : bytes
        Its encoding.
    mnemonic : str
        What it is; ``"(bad)"`` where the bytes are no instruction, ``".quad"`` or ``".byte"``
        for data.
    operands : str
        What it works on.
    note : str
        What it computes, where that is known: a part of the expression.
    label : str or None
        The label before it, if a branch goes here.
    target : int or None
        The offset that it jumps to or calls, if it lies within the code.
    reads, writes : tuple of str
        Registers and flags that it reads and writes.
    features : tuple of str
        Extensions of the instruction set that it belongs to.
    """

    offset: int
    code: bytes
    mnemonic: str
    operands: str = ""
    note: str = ""
    label: str | None = None
    target: int | None = None

    @property
    def text(self) -> str:
        """Mnemonic and operands."""
        return f"{self.mnemonic} {self.operands}".rstrip()

    @property
    def reads(self) -> tuple[str, ...]:
        """Registers and flags that it reads, also to make addresses: ``("rdi", "zf")``."""
        return self._effects()[0]

    @property
    def writes(self) -> tuple[str, ...]:
        """Registers and flags that it writes, perhaps under a condition."""
        return self._effects()[1]

    @property
    def features(self) -> tuple[str, ...]:
        """Extensions of the instruction set that it belongs to: ``("avx512f",)``."""
        return self._effects()[2]

    def _effects(self) -> tuple[tuple[str, ...], ...]:
        is_data = self.mnemonic.startswith(".")
        return tuple(map(tuple, _core.effects(b"" if is_data else self.code)))


class Disassembly(str):
    """Text of disassembled machine code, one instruction a line.

    It is a string; what the lines were made of is in `instructions`.

    Attributes
    ----------
    instructions : tuple of Instruction
        The instructions in the order of their addresses.
    source : str
        Text that `assemble` turns back into the same bytes.
    """

    __slots__ = ("instructions",)
    instructions: tuple[Instruction, ...]

    def __new__(cls, text: str, rows: Iterable[Row]) -> Disassembly:
        """Text, and the lines that it was made of."""
        self = super().__new__(cls, text.rstrip("\n"))
        self.instructions = tuple(Instruction(*row) for row in rows)
        return self

    @property
    def source(self) -> str:
        """Text that `assemble` turns back into the same bytes, in the syntax of this text.

        Branches go to labels. What is no instruction, or has another encoding than the one that
        `assemble` chooses, is written as data.
        """
        lines = []
        for instruction in self.instructions:
            if instruction.label is not None:
                lines.append(f"{instruction.label}:")
            same = _is_assembled(instruction)
            data = ", ".join(f"{byte:#04x}" for byte in instruction.code)
            lines.append(instruction.text if same else f".byte {data}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type[Disassembly], tuple[str, list[Row]]]:
        return Disassembly, (str(self), [i[:] for i in self.instructions])

    def __repr__(self) -> str:
        n_bytes = sum(len(i.code) for i in self.instructions)
        return f"<Disassembly: {len(self.instructions)} instructions, {n_bytes} bytes>"

    def _repr_html_(self) -> str:
        return _core.fragment(_core.code_html([i[:] for i in self.instructions]))


def _is_assembled(instruction: Instruction) -> bool:
    """Whether the text of an instruction becomes its bytes again."""
    text = instruction.text
    # A label that stands elsewhere is a number here.
    text = re.sub(r"\bL(\d+)\b", str(instruction.target), text)
    for syntax in ("intel", "att"):
        try:
            if assemble(text, origin=instruction.offset, syntax=syntax) == instruction.code:
                return True
        except ValueError:
            continue
    return False


def function(
    code: Buffer,
    signature: Signature,
    abi: Abi | None = None,
    name: str | None = None,
    *,
    guard: bool = False,
    time_limit: float = 10.0,
    memory_limit: int | None = None,
) -> MachineFunction:
    r"""Make machine code callable.

    The bytes are copied into memory that is executable and no longer writable, and are executed
    as they are: wrong code or a wrong signature can end the process, unless calls are guarded. The
    code should be position independent and must end by returning.

    A call with numbers that find registers runs with the interpreter lock held, which makes it as
    cheap as one of a builtin function. In all other calls the lock is released meanwhile.

    Types are

    ==============================  ===========================  ===================================
    here                            in C                         takes
    ==============================  ===========================  ===================================
    ``f64 f32 i8 … u64 bool``       ``double``, ``int`` …        a number
    ``ptr``                         ``double *``                 a writable buffer (array,
                                                                 bytearray), an address, None
    ``const ptr``                   ``const char *``             any buffer, an address, None
    ``f64[]``, ``const f64[3]``     ``const double x[3]``        a buffer of that type and length
    ``{f64, i32}``                  ``struct { … }``             a tuple, or a buffer of its bytes
    ``i32(ptr, ptr)*``              ``int (*)(void *, void *)``  a callable, a function, an address
    ``...`` (last)                  ``...``                      any further numbers and buffers
    ==============================  ===========================  ===================================

    A structure that is returned is a tuple. A callable that is passed can be called until the call
    is over (make a `callback` for longer); what it raises is raised when the machine code returns.

    Parameters
    ----------
    code : bytes-like
        x86-64 machine code; the function starts at its first byte.
    signature : str or callable
        Result and argument types, such as ``"f64(f64, i32, const ptr)"``; C spellings such as
        ``"double(double, int, const double*)"`` mean the same. Of a Python function the annotations
        say it: ``float``, ``int`` (64 bits), ``bool``, ``bytes`` (only read), types of numpy and
        ctypes, ``Callable[[float], float]``, a `typing.NamedTuple` of these for a structure, or
        the text itself.
    abi : {"sysv", "win64"}, optional
        The calling convention that the code follows. By default the one of this machine. Both
        can be called on every operating system.
    name : str, optional
        What the function is called in its ``repr`` and in errors.
    guard : bool
        Whether each call runs in a process of its own, a copy of this one without its files,
        network and other threads. What it writes into buffers that are passed, also through
        pointers in structures, comes back; everything else that it changes is gone. Callables
        that are passed run in this process: they get numbers, structures, and addresses in the
        buffers that are passed, but no other address, since its memory is the other process's. A
        call costs about a millisecond; one that does not return raises `MachineFault`.
    time_limit : float
        Seconds that a guarded call may take.
    memory_limit : int, optional
        Bytes that a guarded call may allocate.

    Returns
    -------
    MachineFunction
        An object to call like a function.

    Raises
    ------
    ParseError
        If the signature does not parse.
    ValueError
        If there is no code, or `abi` is unknown.
    OSError
        If the operating system refuses executable memory.

    Examples
    --------
    >>> import opcodon
    >>> add = opcodon.function(b"\xf2\x0f\x58\xc1\xc3", "f64(f64, f64)")
    >>> add(1.0, 2.0)
    3.0

    >>> def total(values: "const f64[]", n: int) -> float: ...
    >>> opcodon.function(b"\xc3", total).signature
    'f64(const f64[], i64)'

    >>> opcodon.function(opcodon.assemble("mov eax, [0]\nret"), "i32()", guard=True)()
    Traceback (most recent call last):
      ...
    opcodon.MachineFault: the function: the code did not return: an access to memory ...
    """
    text, returns, named = _signature(signature)
    limits = (time_limit, memory_limit) if guard else None
    return _core.MachineFunction(_bytes(code), text, abi, name or named, returns, limits)


def callback(
    function: Callable[..., Any], signature: Signature | None = None, abi: Abi | None = None
) -> Callback:
    """Give a Python callable an address that compiled code can call.

    It can be passed where a signature has a function or a pointer, and be called until nothing
    refers to the result any more. What the callable raises is raised by the call of machine code
    during which it was called, as soon as that returns; until then the callable is not run again
    and the machine code gets zeros. Any thread may call it.

    Parameters
    ----------
    function : callable
        What is called.
    signature : str or callable, optional
        Result and argument types as for `function`; by default the callable's own annotations.
    abi : {"sysv", "win64"}, optional
        The calling convention of those who call it, by default the one of this machine.

    Returns
    -------
    Callback
        The callable, with its `address`.

    Examples
    --------
    >>> import opcodon
    >>> import numpy as np
    >>> compare = opcodon.callback(lambda a, b: 0, "i32(const ptr, const ptr)")
    >>> libc = opcodon.load_library("libc.so.6")
    >>> qsort = libc.function("qsort", "void(ptr, u64, u64, i32(const ptr, const ptr)*)")
    >>> qsort(np.array([3.0, 1.0]), 2, 8, compare)
    """
    text, _, _ = _signature(function if signature is None else signature)
    return _core.Callback(function, text, abi)


def _signature(signature: Signature) -> tuple[str, Callable[..., Any] | None, str | None]:
    """The text, what makes returned fields into an object, and the name of the function."""
    if isinstance(signature, str):
        return signature, None, None
    # Imported here, where it is needed, for the sake of the time that `import opcodon` takes.
    from opcodon._annotations import signature_of

    text, returns = signature_of(signature)
    return text, returns, getattr(signature, "__name__", None)


def assemble(text: str, *, origin: int = 0, syntax: Dialect = "intel") -> bytes:
    r"""Turn assembly into machine code.

    Every instruction is known that `disassemble` knows, up to AVX-512 and AMX. Encodings are those
    that GNU ``as`` takes, branches the shortest that reach.

    There are labels (``name:``, local ones ``.name:``, numeric ones ``1:`` with ``1b`` and ``1f``);
    data (``db``, ``dw``, ``dd``, ``dq``, ``.byte``, ``.long``, ``.quad``, ``.double``, ``.ascii``,
    ``.asciz``, ``times``, ``.fill``, ``resb``); ``align``, ``equ`` and ``.set``; comments after
    ``;``, ``#`` and ``//``; expressions with ``+ - * / % << >> & | ^ ~``, labels, ``$`` for the
    address of the statement and ``$$`` for that of the first byte; decorations such as
    ``{k1}{z}``, ``{1to8}`` and ``{rn-sae}``.

    Write ``[rel name]`` or ``[rip + name]`` for memory at a label, which works wherever the code
    stands; ``[name]`` is an absolute address. ``offset name`` is the address as a number.

    Parameters
    ----------
    text : str
        Instructions and directives, one a line.
    origin : int
        The address that the first byte will have. Code with relative addresses runs anywhere.
    syntax : {"intel", "att"}
        How operands are written.

    Returns
    -------
    bytes
        The machine code.

    Raises
    ------
    ParseError
        If the text means nothing, or something that cannot be encoded. It says where, and what
        would be right.

    Examples
    --------
    >>> import opcodon
    >>> code = opcodon.assemble('''
    ...     movsd xmm0, [rel half]
    ...     ret
    ... half: dq 0.5
    ... ''')
    >>> code.hex(" ")
    'f2 0f 10 05 01 00 00 00 c3 00 00 00 00 00 00 e0 3f'
    >>> opcodon.function(code, "f64()")()
    0.5
    """
    return _core.assemble(text, origin, syntax)


def disassemble(code: Buffer, style: Style = "intel") -> Disassembly:
    r"""Turn machine code into text.

    Parameters
    ----------
    code : bytes-like
        x86-64 machine code.
    style : {"intel", "att", "masm", "nasm"}
        The syntax to write in.

    Returns
    -------
    Disassembly
        A string with one instruction a line; its attribute `instructions` has the parts.

    Examples
    --------
    >>> import opcodon
    >>> print(opcodon.disassemble(b"\xf2\x0f\x58\xc1\xc3"))
    0000  f2 0f 58 c1  addsd xmm0,xmm1
    0004  c3           ret
    """
    return _core.disassemble(_bytes(code), style)


def _bytes(code: Buffer) -> bytes:
    """The bytes of a buffer; `bytes` alone would take a number for a length."""
    try:
        return bytes(memoryview(code))
    except TypeError:
        kind = type(code).__name__
        message = f"code must be bytes-like, not {kind}"
        if isinstance(code, str):
            message += "; for hexadecimal text write bytes.fromhex(text)"
        raise TypeError(message) from None
