"""Signatures of machine code from Python: buffers, structures, callbacks, variable arguments."""

import array
import ctypes
import math
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
import pytest

import opcodon


def code(text):
    return opcodon.assemble(text)


@pytest.fixture(scope="module")
def libc():
    return opcodon.load_library("libc.so.6")


# Buffers --------------------------------------------------------------------------------------

FIRST = "mov al, [rdi]\nmovzx eax, al\nret"
SET = "mov byte ptr [rdi], 7\nret"


@pytest.mark.parametrize(
    "make",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: array.array("B", data),
        lambda data: np.frombuffer(data, np.uint8),
        lambda data: ctypes.create_string_buffer(data),
    ],
)
def test_any_buffer_can_be_read(make):
    first = opcodon.function(code(FIRST), "u8(const ptr)")
    assert first(make(b"*abc")) == 42


def test_writing_needs_a_writable_buffer():
    set_first = opcodon.function(code(SET), "void(ptr)", name="set_first")
    data = bytearray(b"abc")
    set_first(data)
    assert data == b"\x07bc"
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    for constant in (b"abc", memoryview(b"abc"), frozen):
        with pytest.raises(TypeError, match=r"argument 1 of set_first .* is read-only.*const"):
            set_first(constant)


@pytest.mark.parametrize(
    ("ty", "argument", "error", "message"),
    [
        ("const f64[2]", np.zeros(1), ValueError, "has 1 items, but 2 are needed"),
        ("const f64[]", np.zeros(1, np.float32), TypeError, '"f" of 4 bytes, but f64 is needed'),
        ("const i64[]", np.zeros(1), TypeError, "i64 is needed"),
        ("const i64[]", np.zeros(1, np.uint64), TypeError, "i64 is needed"),
        ("const f32[4]", b"\0" * 15, ValueError, "has 3 items, but 4"),
        ("f64[]", b"\0" * 16, TypeError, "read-only"),
        ("const ptr", np.zeros((4, 4))[:, ::2], ValueError, "ascontiguousarray"),
        ("const ptr", "text", TypeError, "not <class 'str'>"),
        ("const ptr", -1, OverflowError, "argument 1"),
    ],
)
def test_buffers_that_do_not_fit_are_named(ty, argument, error, message):
    function = opcodon.function(b"\xc3", f"void({ty})")
    with pytest.raises(error, match=message):
        function(argument)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_arrays_of_every_type(dtype):
    kind = np.dtype(dtype)
    name = "bool" if dtype == "?" else f"{dtype[0]}{8 * int(dtype[1])}"
    address = opcodon.function(code("mov rax, rdi\nret"), f"ptr({name}[3])")
    values = np.zeros(3, kind)
    assert address(values) == values.ctypes.data
    assert address(bytearray(3 * kind.itemsize)) != 0
    assert address(None) == 0


# Structures -----------------------------------------------------------------------------------


class Point(NamedTuple):
    x: float
    y: float


class Segment(NamedTuple):
    a: Point
    length: np.int32


class CPoint(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double)]


SWAP = "movaps xmm2, xmm0\nmovaps xmm0, xmm1\nmovaps xmm1, xmm2\nret"


def test_structures_are_tuples_or_bytes():
    swap = opcodon.function(code(SWAP), "{f64, f64}({f64, f64})", abi="sysv")
    assert swap((1.0, 2.0)) == (2.0, 1.0)
    assert swap([1, 2]) == (2.0, 1.0)
    assert swap(np.array([1.0, 2.0])) == (2.0, 1.0)
    assert swap(CPoint(1.0, 2.0)) == (2.0, 1.0)
    assert swap(Point(1.0, 2.0)) == (2.0, 1.0)
    for wrong, error, message in [
        ((1.0,), ValueError, "has 2 fields, but 1"),
        (b"\0" * 15, ValueError, "has 16 bytes, but the buffer 15"),
        (1.0, TypeError, "a tuple of 2 fields"),
        ((1.0, "2"), TypeError, "argument 1"),
    ]:
        with pytest.raises(error, match=message):
            swap(wrong)


def test_structures_in_memory():
    # rdi: where the result goes; the argument is on the stack
    text = """
        mov rax, rdi
        mov rcx, [rsp + 24]
        mov [rax], rcx
        mov rcx, [rsp + 8]
        mov [rax + 16], rcx
        mov qword ptr [rax + 8], 5
        ret
    """
    reverse = opcodon.function(code(text), "{i64[3]}({i64, i64, i64})", abi="sysv")
    assert reverse((1, 2, 3)) == ((3, 5, 1),)


# Annotations ----------------------------------------------------------------------------------


def annotated() -> list[tuple[Callable[..., object], str]]:
    def plain(a: float, b: int, c: bool, d: bytes, e: None = None) -> None: ...
    def widths(a: np.float32, b: np.uint8, c: ctypes.c_short, d: ctypes.c_double) -> np.int64: ...
    def texts(a: "f32", b: "const f64[3]", *rest: object) -> "u16": ...  # noqa: F722, F821
    def pointers(a: np.ndarray, b: bytearray, c: ctypes.c_void_p, d: ctypes.c_char_p) -> int: ...
    def structures(a: Segment, b: CPoint) -> Point: ...
    def extra(a: Annotated[np.ndarray, "f64[]"], f: Callable[[float, int], bool]) -> float: ...

    plain.__annotations__.pop("e")
    del plain.__defaults__
    return [
        (widths, "i64(f32, u8, i16, f64)"),
        (texts, "u16(f32, const f64[3], ...)"),
        (pointers, "i64(ptr, ptr, ptr, const ptr)"),
        (structures, "{f64, f64}({{f64, f64}, i32}, {f64, f64})"),
        (extra, "f64(f64[], bool(f64, i64)*)"),
    ]


@pytest.mark.parametrize(("function", "signature"), annotated())
def test_annotations_are_signatures(function, signature):
    made = opcodon.function(b"\xc3", function)
    assert made.signature == signature
    assert made.name == function.__name__


def test_annotated_structures_come_back_as_their_class():
    def swap(point: Point) -> Point: ...

    def swap_c(point: CPoint) -> CPoint: ...

    result = opcodon.function(code(SWAP), swap, abi="sysv")(Point(1.0, 2.0))
    assert result == Point(2.0, 1.0)
    assert type(result) is Point
    result = opcodon.function(code(SWAP), swap_c, abi="sysv")((1.0, 2.0))
    assert (type(result), result.x, result.y) == (CPoint, 2.0, 1.0)
    restored = pickle.loads(pickle.dumps(opcodon.function(code(SWAP), module_level, abi="sysv")))
    assert restored((1.0, 2.0)) == Point(2.0, 1.0)


def module_level(point: Point) -> Point: ...


def without_annotation(a): ...


def by_name(*, a: float) -> float: ...


def of_a_list(a: list) -> float: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (without_annotation, "parameter a of without_annotation has no annotation; write float"),
        (by_name, "parameter a of by_name is passed by name"),
        (of_a_list, "<class 'list'>, which is no type"),
    ],
)
def test_annotations_that_say_nothing(function, message):
    with pytest.raises(TypeError, match=message):
        opcodon.function(b"\xc3", function)


# Callbacks ------------------------------------------------------------------------------------

QSORT = "void qsort(void *base, size_t n, size_t size, int (*f)(const void *, const void *))"


def test_qsort_with_a_python_comparison(libc):
    qsort = libc.function("qsort", QSORT)
    values = np.random.default_rng(1).normal(size=100)
    n_calls = 0

    def compare(a, b):
        nonlocal n_calls
        n_calls += 1
        x, y = (ctypes.c_double.from_address(pointer).value for pointer in (a, b))
        return (x > y) - (x < y)

    expected = np.sort(values)
    qsort(values, len(values), values.itemsize, compare)
    assert (values == expected).all()
    assert n_calls > 100


@pytest.mark.parametrize("abi", ["sysv", "win64"])
def test_what_a_callback_raises_is_raised(abi):
    # A function that calls its first argument as often as the second says.
    register = {"sysv": ("rdi", "rsi"), "win64": ("rcx", "rdx")}[abi]
    text = f"""
            push rbx
            push r12
            sub rsp, 40
            mov rbx, {register[0]}
            mov r12, {register[1]}
    again:  mov {register[0]}, r12
            call rbx
            dec r12
            jnz again
            add rsp, 40
            pop r12
            pop rbx
            ret
    """
    repeat = opcodon.function(code(text), "i64(i64(i64)*, i64)", abi=abi)
    seen = []
    assert repeat(lambda n: seen.append(n) or 10 * n, 3) == 10
    assert seen == [3, 2, 1]
    seen.clear()

    def fail(n):
        seen.append(n)
        raise LookupError(f"no {n}")

    with pytest.raises(LookupError, match="no 5"):
        repeat(fail, 5)
    assert seen == [5]
    # The next call is not affected; nor is one around it.
    assert repeat(lambda n: n, 1) == 1

    def outer(n):
        with pytest.raises(LookupError):
            repeat(fail, 1)
        return n

    assert repeat(outer, 2) == 1
    with pytest.raises(TypeError, match="a callback must return i64: 'str'"):
        repeat(lambda _: "text", 1)
    with pytest.raises(TypeError, match="a callable"):
        repeat("text", 1)


def test_short_calls_raise_what_callbacks_raise():
    def fail(_):
        raise LookupError("no")

    kept = opcodon.callback(fail, "f64(f64)")
    for signature, arguments in [("f64(f64)", (1.0,)), ("f64(f64, i32)", (1.0, 1))]:
        text = f"sub rsp, 8\nmov rax, {kept.address}\ncall rax\nadd rsp, 8\nret"
        calls = opcodon.function(code(text), signature, abi="sysv")
        for _ in range(3):
            with pytest.raises(LookupError, match="no"):
                calls(*arguments)


def test_callbacks_live_as_long_as_they_are_referred_to():
    def twice(x: float) -> float:
        return 2 * x

    kept = opcodon.callback(twice)
    assert kept.signature == "f64(f64)"
    assert kept(3.0) == 6.0
    assert "twice" in repr(kept)
    foreign = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(kept.address)
    assert foreign(4.0) == 8.0
    results = []
    threads = [threading.Thread(target=lambda k=k: results.append(foreign(k))) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [2.0 * k for k in range(8)]


def test_structures_go_through_callbacks():
    text = "sub rsp, 8\nmov rax, rdi\ncall rax\nadd rsp, 8\nret"
    apply = opcodon.function(
        code(text), "{f64, f64}({f64, f64}({f64, f64})*, {f64, f64})", abi="sysv"
    )
    assert apply(lambda p: (p[1], -p[0]), (1.0, 2.0)) == (2.0, -1.0)


def test_functions_are_passed_if_their_signature_is_right():
    text = "jmp rdi"
    apply = opcodon.function(code(text), "f64(f64(f64)*, f64)", abi="sysv")
    square = opcodon.function(code("mulsd xmm0, xmm0\nret"), "f64(f64)", abi="sysv")
    assert apply(square, 3.0) == 9.0
    assert apply(square.address, 3.0) == 9.0
    assert apply(math.sqrt, 9.0) == 3.0
    other = opcodon.function(b"\xc3", "f32(f32)", abi="sysv")
    with pytest.raises(TypeError, match=r"a function f64\(f64\) of the sysv .*not f32\(f32\)"):
        apply(other, 3.0)
    other = opcodon.function(b"\xc3", "f64(f64)", abi="win64")
    with pytest.raises(TypeError, match=r"not .* of win64"):
        apply(other, 3.0)


def test_exceptions_of_foreign_threads_are_reported(monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: heard.append(args.exc_value))

    def fail():
        raise LookupError("nobody calls")

    kept = opcodon.callback(fail, "void()")
    foreign = ctypes.CFUNCTYPE(None)(kept.address)
    foreign()
    assert [type(error) for error in heard] == [LookupError]


# Variable arguments ---------------------------------------------------------------------------


def test_variable_arguments(libc):
    snprintf = libc.function("snprintf", "int snprintf(char *, size_t, const char *, ...)")
    text = bytearray(200)
    arguments = (-7, 2**64 - 1, 1.5, b"abc\0", True, 10**9, 2.25, -1, 3.5, 4.5)
    form = b"%d %lu %g %s %d %ld %g %d %g %g\0"
    n = snprintf(text, len(text), form, *arguments)
    assert text[:n] == b"-7 18446744073709551615 1.5 abc 1 1000000000 2.25 -1 3.5 4.5"
    with pytest.raises(TypeError, match="takes 3 arguments"):
        snprintf(text, 10)
    with pytest.raises(TypeError, match="argument 4 of snprintf must be a number or an address"):
        snprintf(text, len(text), form, "text")


# The short way for numbers ----------------------------------------------------------------------

MIXED = """
    cvtsi2sd xmm3, edi          ; i32 + u8 + i64 + f64 + f32, times bool
    movzx eax, sil
    cvtsi2sd xmm4, eax
    addsd xmm3, xmm4
    cvtsi2sd xmm4, rdx
    addsd xmm3, xmm4
    addsd xmm0, xmm3
    cvtss2sd xmm1, xmm1
    addsd xmm0, xmm1
    movzx ecx, cl
    cvtsi2sd xmm4, ecx
    mulsd xmm0, xmm4
    ret
"""


def test_numbers_of_all_types_take_the_short_way():
    mixed = opcodon.function(code(MIXED), "f64(i32, u8, i64, f64, f32, bool)", abi="sysv")
    for _ in range(3):
        assert mixed(-5, 255, 2**40, 0.5, 0.25, True) == 2**40 + 250.75
        assert mixed(-5, 255, 2**40, 0.5, 0.25, False) == 0.0
        assert mixed(np.int32(-5), 255, 1, 1, np.float64(0.25), True) == 252.25
        for wrong, error in [
            ((2**31, 0, 0, 0.0, 0.0, True), OverflowError),
            ((0, 256, 0, 0.0, 0.0, True), OverflowError),
            ((0, -1, 0, 0.0, 0.0, True), OverflowError),
            ((0, 0, 2**63, 0.0, 0.0, True), OverflowError),
            ((0.0, 0, 0, 0.0, 0.0, True), TypeError),
            ((0, 0, 0, "0", 0.0, True), TypeError),
            ((0, 0, 0, 0.0, 0.0, 1), TypeError),
            ((0, 0, 0, 0.0, 0.0), TypeError),
        ]:
            with pytest.raises(error):
                mixed(*wrong)


RESULTS = {
    "i8": -1,
    "i16": -1,
    "i32": -1,
    "i64": -1,
    "u8": 2**8 - 1,
    "u16": 2**16 - 1,
    "u32": 2**32 - 1,
    "u64": 2**64 - 1,
    "ptr": 2**64 - 1,
    "bool": True,
    "void": None,
}


@pytest.mark.parametrize("ty", RESULTS)
def test_results_of_the_short_way(ty):
    ones = opcodon.function(code("mov rax, -1\nret"), f"{ty}(i64, bool)", abi="sysv")
    for _ in range(2):
        result = ones(1, True)
        assert result == RESULTS[ty]
        assert type(result) is type(RESULTS[ty])


# Guarded calls --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cause", "offset", "instruction"),
    [
        ("nop\nmov eax, [0x10]\nret", "SIGSEGV", 1, "mov eax,[0x10]"),
        ("ud2", "SIGILL", 0, "ud2"),
        ("xor ecx, ecx\nmov eax, 1\ncdq\nidiv ecx\nret", "SIGFPE", 8, "idiv ecx"),
        ("nop\nint3\nret", "SIGTRAP", 2, "ret"),
        ("again: jmp again", "timeout", 0, None),
    ],
)
def test_faults_are_exceptions(text, cause, offset, instruction):
    function = opcodon.function(code(text), "i32()", name="broken", guard=True, time_limit=0.2)
    assert function.guard
    with pytest.raises(opcodon.MachineFault, match="broken: the code did not return") as caught:
        function()
    fault = caught.value
    assert (fault.cause, fault.offset) == (cause, offset)
    assert instruction is None or fault.instruction == instruction
    assert fault.registers["rip"] == function.address + offset
    assert list(fault.registers)[:2] == ["rax", "rbx"]
    assert fault.address == (0x10 if cause == "SIGSEGV" else None)
    assert (fault.signal is None) == (cause == "timeout")


def test_bus_errors_and_aborts_are_exceptions(libc, tmp_path):
    abort = libc.function("abort", "void()", guard=True)
    with pytest.raises(opcodon.MachineFault) as caught:
        abort()
    assert caught.value.cause == "SIGABRT"
    exits = libc.function("_exit", "void(int)", guard=True)
    with pytest.raises(opcodon.MachineFault, match="exit code 3") as caught:
        exits(3)
    assert (caught.value.cause, caught.value.exit_code) == ("exit", 3)
    assert caught.value.registers == {}
    # Memory of a file behind the file's end has no store.
    import mmap

    path = tmp_path / "short"
    path.write_bytes(b"\0" * 4096)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as memory:
        first = opcodon.function(code(FIRST), "u8(u64)", guard=True)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert first(address) == 0
        file.truncate(0)
        with pytest.raises(opcodon.MachineFault) as caught:
            first(address)
        assert caught.value.cause == "SIGBUS"
        assert caught.value.address == address
        file.truncate(4096)


def test_guarded_calls_give_what_others_give():
    add = opcodon.function(b"\xf2\x0f\x58\xc1\xc3", "f64(f64, f64)", abi="sysv", guard=True)
    assert add(1.5, 2.5) == 4.0
    swap = opcodon.function(code(SWAP), module_level, abi="sysv", guard=True)
    assert swap((1.0, 2.0)) == Point(2.0, 1.0)
    assert pickle.loads(pickle.dumps(add)).guard
    set_first = opcodon.function(code(SET), "void(ptr)", guard=True)
    data = bytearray(b"abc")
    set_first(data)
    assert data == b"\x07bc"
    values = np.zeros(1000)
    fill = opcodon.function(
        code("again: mov [rdi + rsi*8 - 8], rsi\ndec rsi\njnz again\nret"),
        "void(f64[], i64)",
        guard=True,
    )
    fill(values, 1000)
    assert (values.view(np.int64) == np.arange(1, 1001)).all()


def test_guarded_calls_cannot_write_past_their_buffers():
    fill = opcodon.function(
        code("again: mov [rdi + rsi*8 - 8], rsi\ndec rsi\njnz again\nret"),
        "void(ptr, i64)",
        guard=True,
    )
    values = np.zeros(10)
    with pytest.raises(opcodon.MachineFault) as caught:
        fill(values, 20)
    assert caught.value.instruction == "mov [rdi+rsi*8-0x8],rsi"
    assert caught.value.registers["rsi"] == 20
    assert not values.any()
    write = opcodon.function(code(SET), "void(const ptr)", guard=True)
    with pytest.raises(opcodon.MachineFault):
        write(b"abc")


def test_memory_is_lent_once_whatever_points_there():
    # rdi: where to write; rsi and rdx: a structure with a pointer
    text = "mov rax, [rsi]\nadd rax, rdx\nmov [rdi], rax\nmov rax, [rsi]\nret"
    add = opcodon.function(code(text), "i64(ptr, {ptr, i64})", abi="sysv", guard=True)
    values = np.arange(10)
    assert add(values[3:], (values[3:], 100)) == 103
    assert values.tolist() == [0, 1, 2, 103, 4, 5, 6, 7, 8, 9]
    assert add(values[1:4], (values[1:], 100)) == 101
    text = "mov byte ptr [rdi], 7\nret"
    write = opcodon.function(code(text), "void({ptr, i64})", abi="sysv", guard=True)
    data = bytearray(b"abc")
    write((data, 0))
    assert data == b"\x07bc"


def test_guarded_calls_call_python(libc):
    apply = opcodon.function(code("jmp rdi"), "f64(f64(f64)*, f64)", abi="sysv", guard=True)
    assert apply(math.sqrt, 9.0) == 3.0
    seen = []
    kept = opcodon.callback(lambda x: seen.append(x) or 2 * x, "f64(f64)", abi="sysv")
    assert [apply(kept, float(k)) for k in range(3)] == [0.0, 2.0, 4.0]
    assert seen == [0.0, 1.0, 2.0]

    def fail(x):
        raise LookupError(f"no {x}")

    with pytest.raises(LookupError, match="no 5"):
        apply(fail, 5.0)
    # What is lent is at the same place in both processes.
    qsort = libc.function("qsort", QSORT, guard=True)
    values = np.random.default_rng(1).normal(size=100)
    expected = np.sort(values)

    def compare(a, b):
        x, y = (ctypes.c_double.from_address(pointer).value for pointer in (a, b))
        return (x > y) - (x < y)

    qsort(values, len(values), values.itemsize, compare)
    assert (values == expected).all()
    # The stack of the other process is not.
    text = "sub rsp, 8\nmov rax, rdi\nmov rdi, rsp\ncall rax\nadd rsp, 8\nret"
    own = opcodon.function(code(text), "void(void(ptr)*)", name="own", abi="sysv", guard=True)
    with pytest.raises(ValueError, match="own: argument 1 of a callback is the address 0x"):
        own(lambda pointer: seen.append(pointer))
    assert seen == [0.0, 1.0, 2.0]
    # Nor can it call what it was not given.
    text = f"mov rax, {kept.address}\njmp rax"
    stray = opcodon.function(code(text), "f64(f64)", name="stray", abi="sysv", guard=True)
    with pytest.raises(ValueError, match=r"stray: .* a callback that is none of its arguments"):
        stray(1.0)
    # Faults after callbacks, and callbacks that take their time.
    text = "sub rsp, 8\ncall rdi\nud2"
    broken = opcodon.function(code(text), "void(void()*)", abi="sysv", guard=True, time_limit=0.2)
    with pytest.raises(opcodon.MachineFault) as caught:
        broken(lambda: None)
    assert caught.value.cause == "SIGILL"
    import time

    with pytest.raises(opcodon.MachineFault) as caught:
        broken(lambda: time.sleep(0.3))
    assert caught.value.cause == "timeout"
    with pytest.raises(ValueError, match="time_limit must be"):
        opcodon.function(b"\xc3", "void()", guard=True, time_limit=-1)


def test_memory_of_guarded_calls_is_limited(libc):
    malloc = libc.function("malloc", "ptr(u64)", guard=True, memory_limit=1 << 26)
    assert malloc(1 << 10) != 0
    assert malloc(1 << 30) == 0


def test_guarded_calls_are_interrupted_by_signals():
    program = f"""
import opcodon, signal
def stop(*args):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    opcodon.function({code("again: jmp again")!r}, "void()", guard=True, time_limit=60)()
except KeyboardInterrupt:
    print("stopped")
"""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "stopped\n"
