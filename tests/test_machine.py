"""Machine code as bytes, text and functions."""

import ctypes
import math
import pickle

import numpy as np
import pytest

import opcodon

ADD = b"\xf2\x0f\x58\xc1\xc3"  # addsd xmm0, xmm1; ret


def test_disassembly_is_text_and_structure():
    text = opcodon.disassemble(ADD)
    assert text == "0000  f2 0f 58 c1  addsd xmm0,xmm1\n0004  c3           ret"
    assert [i.mnemonic for i in text.instructions] == ["addsd", "ret"]
    assert b"".join(i.code for i in text.instructions) == ADD
    assert [i.offset for i in text.instructions] == [0, 4]
    assert pickle.loads(pickle.dumps(text)).instructions == text.instructions
    assert repr(text) == "<Disassembly: 2 instructions, 5 bytes>"
    assert "addsd" in text._repr_html_()


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("intel", "addsd xmm0,xmm1"),
        ("nasm", "addsd xmm0,xmm1"),
        ("masm", "addsd xmm0,xmm1"),
        ("att", "addsd %xmm1,%xmm0"),
    ],
)
def test_disassembly_styles(style, line):
    assert opcodon.disassemble(ADD, style).instructions[0].text == line


def test_instructions_say_what_they_do():
    code = opcodon.assemble("adc rax, [rdi + rcx*8]\nvpaddd zmm0{k1}{z}, zmm1, zmm2\ndb 6")
    adc, add, bad = opcodon.disassemble(code).instructions
    assert adc.reads == ("rax", "rdi", "rcx", "cf")
    assert adc.writes == ("rax", "of", "sf", "zf", "af", "cf", "pf")
    assert (add.reads, add.writes) == (("zmm1", "zmm2", "k1"), ("zmm0",))
    assert add.features == ("avx512f",)
    assert bad.reads == bad.writes == bad.features == ()


def test_every_byte_appears_whatever_it_is():
    code = bytes(range(256)) * 4
    assert b"".join(i.code for i in opcodon.disassemble(code).instructions) == code


@pytest.mark.parametrize("code", [ADD, bytearray(ADD), memoryview(ADD), np.frombuffer(ADD, "u1")])
def test_code_is_any_buffer(code):
    assert opcodon.function(code, "f64(f64, f64)")(1.0, 2.0) == 3.0


def test_function_knows_what_it_is():
    add = opcodon.function(ADD, "double(double, double)", name="add")
    assert add.code == ADD
    assert add.signature == "f64(f64, f64)"
    assert add.abi == "sysv"
    assert add.name == "add"
    assert add.disassemble() == opcodon.disassemble(ADD)
    assert ctypes.string_at(add.address, len(ADD)) == ADD
    assert repr(add) == "<MachineFunction add: f64(f64, f64), sysv, 5 bytes>"


def test_function_survives_pickling():
    add = pickle.loads(pickle.dumps(opcodon.function(ADD, "f64(f64, f64)", name="add")))
    assert add(1.5, 2.5) == 4.0
    assert add.name == "add"


IDENTITY = {
    # type: (code that returns the first argument, values that come back as they went in)
    "f64": (b"\xc3", [0.0, -1.5, math.inf, 5e-324]),
    "f32": (b"\xc3", [0.0, -1.5, math.inf]),
    "i8": (b"\x89\xf8\xc3", [-128, 127]),
    "i16": (b"\x89\xf8\xc3", [-(2**15), 2**15 - 1]),
    "i32": (b"\x89\xf8\xc3", [-(2**31), 2**31 - 1]),
    "i64": (b"\x48\x89\xf8\xc3", [-(2**63), 2**63 - 1]),
    "u8": (b"\x89\xf8\xc3", [0, 255]),
    "u16": (b"\x89\xf8\xc3", [0, 2**16 - 1]),
    "u32": (b"\x89\xf8\xc3", [0, 2**32 - 1]),
    "u64": (b"\x48\x89\xf8\xc3", [0, 2**64 - 1]),
    "bool": (b"\x89\xf8\xc3", [False, True]),
    "ptr": (b"\x48\x89\xf8\xc3", [0, 2**64 - 1]),
}


@pytest.mark.parametrize("ty", IDENTITY)
def test_every_type_goes_in_and_comes_back(ty):
    code, values = IDENTITY[ty]
    identity = opcodon.function(code, f"{ty}({ty})", abi="sysv")
    for value in values:
        result = identity(value)
        assert result == value
        assert type(result) is type(value)


@pytest.mark.parametrize(
    ("ty", "value", "error"),
    [
        ("i8", 128, OverflowError),
        ("u8", -1, OverflowError),
        ("i64", 2**63, OverflowError),
        ("i32", 1.5, TypeError),
        ("f64", "1", TypeError),
        ("ptr", 1.5, TypeError),
    ],
)
def test_arguments_that_do_not_fit_are_named(ty, value, error):
    identity = opcodon.function(IDENTITY[ty][0], f"{ty}({ty})", name="identity")
    with pytest.raises(error, match=f"argument 1 of identity.*{ty}"):
        identity(value)


def test_void_returns_none():
    assert opcodon.function(b"\xc3", "void()")() is None


def test_pointers_to_arrays():
    first = opcodon.function(b"\xf2\x0f\x10\x07\xc3", "f64(ptr)")  # movsd xmm0, [rdi]; ret
    array = np.array([2.5, 3.5])
    assert first(array) == 2.5
    assert first(array.ctypes.data) == 2.5
    with pytest.raises(ValueError, match="contiguous"):
        first(np.zeros((4, 4))[:, ::2])


def test_both_conventions_can_be_called():
    # Microsoft: first integer argument in rcx; System V: in rdi.
    win = opcodon.function(b"\x48\x89\xc8\xc3", "i64(i64)", abi="win64")
    sysv = opcodon.function(b"\x48\x89\xf8\xc3", "i64(i64)", abi="sysv")
    assert win(7) == sysv(7) == 7
    assert (win.abi, sysv.abi) == ("win64", "sysv")


def test_more_arguments_than_registers():
    # movsd xmm0, [rsp + 8]: the ninth float is the first on the stack.
    ninth = opcodon.function(
        b"\xf2\x0f\x10\x44\x24\x08\xc3", f"f64({', '.join(['f64'] * 9)})", abi="sysv"
    )
    assert ninth(*range(9)) == 8.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: opcodon.function(b"", "f64(f64)"), ValueError, "zero bytes"),
        (lambda: opcodon.function("c3", "f64(f64)"), TypeError, "bytes.fromhex"),
        (lambda: opcodon.function(5, "f64(f64)"), TypeError, "bytes-like, not int"),
        (lambda: opcodon.function(ADD, "f64(f64"), opcodon.ParseError, "f64"),
        (lambda: opcodon.function(ADD, "quux(f64)"), opcodon.ParseError, "quux"),
        (
            lambda: opcodon.function(ADD, "f64(f64)", abi="arm"),
            ValueError,
            'sysv or win64, not "arm"',
        ),
        (lambda: opcodon.function(ADD, "f64(f64, f64)")(1.0), TypeError, "takes 2 .* 1 "),
        (lambda: opcodon.function(ADD, "f64(f64, f64)")(1.0, y=2.0), TypeError, "keyword"),
        (
            lambda: opcodon.disassemble(ADD, "plan9"),
            ValueError,
            'intel, att, masm, nasm, not "plan9"',
        ),
        (lambda: opcodon.disassemble("c3"), TypeError, "bytes-like"),
    ],
)
def test_mistakes_are_told(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_signature_errors_have_a_span():
    with pytest.raises(opcodon.ParseError) as caught:
        opcodon.function(ADD, "f64(quux)")
    assert caught.value.text == "f64(quux)"
    assert caught.value.span == (4, 8)


def test_assembled_text_runs():
    code = opcodon.assemble(
        """
        f:      xorpd xmm0, xmm0        ; the sum
                mov rax, rsi
        .next:  dec rax
                js .done
                addsd xmm0, [rdi + rax*8]
                jmp .next
        .done:  mulsd xmm0, [rel scale]
                ret
                align 8
        scale:  dq 0.5
        """
    )
    mean_of_two = opcodon.function(code, "f64(ptr, i64)")
    assert mean_of_two(np.array([1.0, 2.0, 4.0]), 3) == 3.5


def test_assembly_and_disassembly_are_inverse():
    text = "\n".join(i.text for i in opcodon.disassemble(ADD).instructions)
    assert opcodon.assemble(text) == ADD
    att = "\n".join(i.text for i in opcodon.disassemble(ADD, "att").instructions)
    assert opcodon.assemble(att, syntax="att") == ADD


def test_the_origin_moves_addresses():
    assert opcodon.assemble("dd $", origin=0x1000) == b"\x00\x10\x00\x00"
    assert opcodon.assemble("x: jmp x", origin=0x1000) == b"\xeb\xfe"


def test_errors_of_assembly_have_a_place():
    text = "nop\nadsd xmm0, xmm1"
    with pytest.raises(opcodon.ParseError, match=r"did you mean .*`addsd`") as info:
        opcodon.assemble(text)
    assert info.value.text == text
    start, end = info.value.span
    assert text[start:end] == "adsd"
    assert "(line 2, column 1)" in str(info.value)
    with pytest.raises(ValueError, match="syntax must be one of intel, att"):
        opcodon.assemble("nop", syntax="masm")


@pytest.mark.parametrize("style", ["intel", "att", "masm", "nasm"])
@pytest.mark.parametrize(
    "text",
    [
        "addsd xmm0, xmm1\nret",
        "again: dec rsi\njnz again\ncall again\njmp out\nnop\nout: ret",
        "movsd xmm0, [rel half]\nret\nhalf: dq 0.5",
        "vaddpd zmm0{k1}{z}, zmm1, [rax]{1to8}",
        "db 0x06, 0xff, 0xff, 0x48",
        "db 0x48, 0x81, 0xc0, 1, 0, 0, 0",
        "lock inc dword ptr [rdi]\nrep movsb",
    ],
)
def test_source_is_assembled_to_the_same_bytes(text, style):
    code = opcodon.assemble(text)
    source = opcodon.disassemble(code, style).source
    assert opcodon.assemble(source, syntax="att" if style == "att" else "intel") == code
    if style == "intel" and "addsd" in text:
        assert source == "addsd xmm0,xmm1\nret"


def test_source_of_any_bytes_is_assembled_to_them():
    rng = np.random.default_rng(3)
    for _ in range(200):
        code = rng.bytes(30)
        assert opcodon.assemble(opcodon.disassemble(code).source) == code
