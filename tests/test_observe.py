"""What debuggers and profilers see of generated code."""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import numpy as np, opcodon, os
code = opcodon.assemble('''
    push rbp
    mov rbp, rsp
    push rbx
    sub rsp, 8
    call rdi
    add rsp, 8
    pop rbx
    pop rbp
    ret
''')
outer = opcodon.function(code, "i32(i32()*)", name="the_outer_one", abi="sysv")
code = opcodon.assemble("mov eax, 42\\nret")
inner = opcodon.function(code, "i32()", name="the_inner_one", abi="sysv")
pop = opcodon.Population([opcodon.parse("x + 1")])
pop.evaluate(np.zeros((10, 1)))
{rest}
print(os.getpid(), outer(inner), hex(outer.address)[2:])
"""


def run(rest="", **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPCODON_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(rest=rest)],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    process, result, address = done.stdout.split()
    assert result == "42"
    return process, address


def test_nothing_is_written_unless_asked_for(tmp_path):
    process, _ = run(TMPDIR=str(tmp_path))
    assert not Path(f"/tmp/perf-{process}.map").exists()
    assert list(tmp_path.iterdir()) == []


def test_perf_map():
    process, address = run(OPCODON_OBSERVE="perf")
    path = Path(f"/tmp/perf-{process}.map")
    lines = path.read_text().splitlines()
    path.unlink()
    assert f"{address} 12 the_outer_one" in lines
    names = [line.split(" ", 2)[2] for line in lines]
    assert {"the_outer_one", "the_inner_one", "kernel"} <= set(names)


def test_perf_map_names_python_functions(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import opcodon, os\n"
        "@opcodon.jit\n"
        "def the_compiled_one(n):\n"
        "    return n + 1\n"
        "assert the_compiled_one(41) == 42\n"
        "print(os.getpid())\n"
    )
    done = subprocess.run(
        [sys.executable, program],
        env=os.environ | {"OPCODON_OBSERVE": "perf"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    path = Path(f"/tmp/perf-{done.stdout.strip()}.map")
    lines = path.read_text().splitlines()
    path.unlink()
    assert "the_compiled_one" in [line.split(" ", 2)[2] for line in lines]


def test_jitdump(tmp_path):
    process, address = run(OPCODON_OBSERVE="jitdump", TMPDIR=str(tmp_path))
    data = (tmp_path / f"jit-{process}.dump").read_bytes()

    def number(at, size):
        return int.from_bytes(data[at : at + size], "little")

    assert [number(at, 4) for at in (0, 4, 12, 20)] == [0x4A695444, 1, 62, int(process)]
    at, found = number(8, 4), {}
    while at < len(data):
        size = number(at + 4, 4)
        assert number(at, 4) == 0
        code_size = number(at + 40, 8)
        name = data[at + 56 : at + size - code_size - 1].decode()
        found[name] = (number(at + 32, 8), data[at + size - code_size : at + size])
        at += size
    assert at == len(data)
    assert found["the_outer_one"][0] == int(address, 16)
    assert found["the_inner_one"][1] == b"\xb8\x2a\x00\x00\x00\xc3"


def test_dump(tmp_path):
    folder = tmp_path / "new" / "dump"
    process, _ = run(OPCODON_DUMP=str(folder))
    (binary,) = folder.glob(f"{process}-*-the_inner_one.bin")
    assert binary.read_bytes() == b"\xb8\x2a\x00\x00\x00\xc3"
    assert "mov eax,0x2a" in binary.with_suffix(".txt").read_text()
    assert list(folder.glob("*-kernel.txt"))


def test_words_that_mean_nothing_are_told():
    done = subprocess.run(
        [sys.executable, "-c", "import opcodon"],
        env=os.environ | {"OPCODON_OBSERVE": "perf,pref"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'OPCODON_OBSERVE: unknown "pref"; known are perf, jitdump, gdb, unwind' in done.stderr


gdb = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")


def in_gdb(program, *arguments, stop):
    """What GDB says that stops in a function by its name, and what it says besides."""
    commands = [
        "set breakpoint pending on",
        "set confirm off",
        "set debuginfod enabled off",
        f"break {stop}",
        "run",
        "backtrace 3",
        "delete",
        "continue",
    ]
    done = subprocess.run(
        [
            *("gdb", "-nx", "-batch", *(f"-ex={command}" for command in commands)),
            *("--args", sys.executable, str(program), *arguments),
        ],
        env=os.environ | {"OPCODON_OBSERVE": "gdb"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.stdout, done.stderr


@gdb
def test_breakpoints_and_backtraces_in_gdb(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(rest=""))
    text, errors = in_gdb(script, stop="the_inner_one")
    assert re.search(r"Breakpoint 1, 0x[0-9a-f]+ in the_inner_one \(\)", text), text + errors
    # Below it our other frame, and below that a frame of the interpreter's module.
    assert re.search(
        r"#0 +0x\w+ in the_inner_one \(\)\n#1 +0x\w+ in the_outer_one \(\)\n#2 ", text
    ), text
    assert re.search(r"exited normally", text), text


@gdb
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no cc")
def test_breakpoints_and_backtraces_in_libraries(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(LIBRARY)
    text, errors = in_gdb(script, str(tmp_path), "library", stop="the_last_one")
    assert re.search(r"Breakpoint 1, 0x[0-9a-f]+ in the_last_one \(\)", text), text + errors
    assert re.search(
        r"#0 +0x\w+ in the_last_one \(\)\n#1 +0x\w+ in the_first_one \(\)\n#2 ", text
    ), text
    assert re.search(r"exited normally", text), text


JIT = """
import os, opcodon
@opcodon.jit
def weighed(xs):
    total = 0.0
    for x in xs:
        total += x * 0.5
    return total
print(os.getpid(), weighed([1.0, 2.0]))
"""


@gdb
def test_compiled_functions_have_lines_in_gdb(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(JIT)
    text, errors = in_gdb(script, stop="weighed")
    assert re.search(r"Breakpoint 1, weighed \(\) at .*program\.py:[4-7]\n", text), text + errors
    text, errors = in_gdb(script, stop="program.py:7")
    assert re.search(r"Breakpoint 1, weighed \(\) at .*program\.py:7\n7\t", text), text + errors
    assert re.search(r"exited normally", text), text


def test_compiled_functions_have_lines_in_perf(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(JIT)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"OPCODON_OBSERVE": "jitdump", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    process, result = done.stdout.split()
    assert result == "1.5"
    data = (tmp_path / f"jit-{process}.dump").read_bytes()
    at, lines = 40, {}
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 2:
            address, n_entries = struct.unpack_from("<QQ", data, at + 16)
            rest = data[at + 32 : at + size]
            for _ in range(n_entries):
                start, line = struct.unpack_from("<QI", rest)
                file, _, rest = rest[16:].partition(b"\0")
                assert start >= address
                assert file == str(script).encode()
                lines.setdefault(address, set()).add(line)
            assert rest == b""
        if kind == 0:
            # The record of the code comes next.
            assert not lines or struct.unpack_from("<Q", data, at + 32)[0] in lines
        at += size
    assert {5, 6, 7, 8} <= set.union(*lines.values())


LIBRARY = """
import os, subprocess, sys, opcodon
source = b'''
__attribute__((noinline)) int the_last_one(int x) { __asm__ volatile(""); return x + 1; }
int the_first_one(int x) { return the_last_one(2 * x) - 1; }
'''
folder = sys.argv[1]
flags = ["-shared"] if sys.argv[2] == "library" else ["-c"]
command = ["cc", "-O1", "-fPIC", "-xc", "-", "-o", folder + "/built", *flags]
subprocess.run(command, input=source, check=True)
data = open(folder + "/built", "rb").read()
load = opcodon.load_library if sys.argv[2] == "library" else lambda data: opcodon.link([data])
library = load(data)
os.remove(folder + "/built")
first = library.function("the_first_one", "int(int)")
print(os.getpid(), first(21), hex(first.address)[2:], library.loader)
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no cc")
@pytest.mark.parametrize("kind", ["library", "objects"])
def test_functions_of_libraries_are_announced(tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY, str(tmp_path), kind],
        env=os.environ | {"OPCODON_OBSERVE": "perf,jitdump", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    process, result, address, loader = done.stdout.split()
    assert (result, loader) == ("42", "own")
    path = Path(f"/tmp/perf-{process}.map")
    lines = [line.split(" ", 2) for line in path.read_text().splitlines()]
    path.unlink()
    found = {name: (start, int(size, 16)) for start, size, name in lines}
    assert found["the_first_one"][0] == address
    assert 0 < found["the_last_one"][1] < 100
    assert b"the_last_one\0" in (tmp_path / f"jit-{process}.dump").read_bytes()


UNWIND = """
import ctypes
libc = ctypes.CDLL("libc.so.6")
frames = (ctypes.c_void_p * 50)()
def count():
    global n_frames
    n_frames = libc.backtrace(frames, 50)
    return 42
outer(count)
assert any(outer.address < frame <= outer.address + len(outer.code) for frame in frames[:n_frames])
"""


def test_backtraces_pass_through():
    run(rest=UNWIND, OPCODON_OBSERVE="unwind")
