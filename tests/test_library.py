"""Libraries nobody here wrote, loaded by Opcodon's loader: their results are those through ctypes.

What a machine lacks is skipped, with the reason shown.
"""

import ctypes
import gc
import hashlib
import io
import math
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import opcodon
from opcodon import LibraryError


def load(name, **options):
    """A library, or a skip if the machine has none of that name."""
    try:
        return opcodon.load_library(name, **options)
    except LibraryError as error:
        if "no such library" in str(error):
            pytest.skip(f"no {name} here")
        raise


def system_path(name):
    """The file of a library, as the system finds it."""
    load(name).close()
    loaded = ctypes.CDLL(name)
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if ".so" in line}
    del loaded
    stem = name.partition(".so")[0] + "."
    found = [p for p in paths if Path(p).name.startswith(stem) and Path(p).is_file()]
    if not found:
        pytest.skip(f"the file of {name} is not found")
    return Path(found[0])


def compiled(folder, source, *flags, suffix=".c", compiler="cc"):
    """What a compiler makes of a source, or a skip if there is none."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    file = folder / f"source{suffix}"
    file.write_text(source)
    output = folder / ("library.so" if "-shared" in flags else "object.o")
    kind = [] if "-shared" in flags else ["-c"]
    subprocess.run(
        [compiler, "-O2", "-fPIC", *kind, *flags, str(file), "-o", str(output)], check=True
    )
    return output


# Functions of libm, of one, two and three arguments; each has one for floats, too.
LIBM = [
    """sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp exp2 exp10 expm1 log log2
    log10 log1p logb sqrt cbrt fabs ceil floor trunc rint nearbyint round roundeven erf erfc
    tgamma lgamma j0 j1 y0 y1""",
    """pow atan2 hypot fmod remainder drem nextafter copysign fdim fmax fmin fmaxmag fminmag
    scalb""",
    "fma",
]


@pytest.mark.parametrize("loader", ["own", "system"])
def test_libm_is_equal_to_the_bit(loader):
    libm, other = load("libm.so.6", loader=loader), ctypes.CDLL("libm.so.6")
    assert libm.loader == loader
    rng = random.Random(0)
    special = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 5e-324, 1e308, 1e22, 0.5]
    n_functions = 0
    for kind, suffix, letter in (("f64", "", "d"), ("f32", "f", "f")):
        ctype = {"d": ctypes.c_double, "f": ctypes.c_float}[letter]
        size = struct.calcsize(letter)
        drawn = [struct.unpack(letter, rng.randbytes(size))[0] for _ in range(2000)]
        values = [ctype(value).value for value in special] + drawn
        for n, names in enumerate(LIBM, 1):
            for name in (stem + suffix for stem in names.split()):
                if name not in libm.symbols:
                    continue
                ours = libm.function(name, f"{kind}({', '.join([kind] * n)})")
                theirs = getattr(other, name)
                theirs.restype, theirs.argtypes = ctype, [ctype] * n
                for _ in range(100):
                    args = [rng.choice(values) for _ in range(n)]
                    bits = [struct.pack(letter, f(*args)) for f in (ours, theirs)]
                    assert bits[0] == bits[1], (name, args)
                n_functions += 1
    assert n_functions >= 90


def test_complex_numbers_are_structures():
    libm = load("libm.so.6", loader="own")
    csqrt = libm.function("csqrt", "double complex csqrt(double complex z)")
    assert csqrt((-4.0, 0.0)) == (0.0, 2.0)
    cabsf = libm.function("cabsf", "float cabsf(float _Complex)")
    assert cabsf((3.0, 4.0)) == 5.0


def test_symbols_say_what_they_are():
    libm = load("libm.so.6")
    assert libm.symbols["cos"].kind in ("function", "ifunc")
    assert libm.symbols["signgam"].kind == "object"
    assert libm.symbols["signgam"].size == 4
    assert all(key.partition("@")[0] == symbol.name for key, symbol in libm.symbols.items())
    with pytest.raises(TypeError):
        libm.symbols["new"] = None
    old = [key for key in libm.symbols if key.startswith("pow@")]
    for key in old:
        assert libm.function(key, "f64(f64, f64)")(2.0, 10.0) == 1024.0
    assert "signgam" in libm._repr_html_()


def test_floats_go_the_short_way():
    libm = load("libm.so.6")
    cos = libm.function("cos", "double cos(double)")
    assert cos(0.0) == 1.0
    assert type(cos).__flags__ & 1 << 11  # PEP 590
    assert cos(1) == math.cos(1)
    with pytest.raises(TypeError, match="argument 1 of cos must be f64"):
        cos("1")


@pytest.mark.parametrize("loader", ["own", "system"])
def test_zlib_computes_what_python_computes(loader):
    libz = load("libz.so.1", loader=loader)
    rng = np.random.default_rng(0)
    text = rng.integers(0, 20, 100_000, dtype=np.uint8)
    crc32 = libz.function("crc32", "unsigned long(unsigned long, const void *, unsigned int)")
    adler32 = libz.function("adler32", "unsigned long(unsigned long, const void *, unsigned int)")
    assert crc32(0, text, text.size) == zlib.crc32(text)
    assert adler32(1, text, text.size) == zlib.adler32(text)
    size = libz.function("compressBound", "u64(u64)")(text.size)
    packed, length = np.empty(size, np.uint8), np.array([size], np.uint64)
    compress = libz.function("compress2", "int(void *, u64 *, const void *, u64, int)")
    assert compress(packed, length, text, text.size, 9) == 0
    assert zlib.decompress(packed[: int(length[0])].tobytes()) == text.tobytes()
    back, length = np.empty(text.size, np.uint8), np.array([text.size], np.uint64)
    ready = np.frombuffer(zlib.compress(text, 6), np.uint8)
    uncompress = libz.function("uncompress", "int(void *, u64 *, const void *, u64)")
    assert uncompress(back, length, ready, ready.size) == 0
    assert np.array_equal(back, text)


def c_string(address):
    return ctypes.string_at(address).decode()


@pytest.mark.parametrize("dependencies", ["system", "own"])
def test_sqlite_runs_queries_and_calls_back(dependencies):
    lib = load("libsqlite3.so.0", loader="own", dependencies=dependencies)
    assert len(lib.files) == (1 if dependencies == "system" else 2)
    text = lambda s: s.encode() + b"\0"  # noqa: E731
    handle = np.zeros(1, np.uint64)
    assert lib.function("sqlite3_open", "int(const ptr, ptr)")(b":memory:\0", handle) == 0
    db = int(handle[0])
    execute = lib.function(
        "sqlite3_exec", "int(ptr, const ptr, int(ptr, int, ptr, ptr)*, ptr, ptr)"
    )
    sql = "create table t(x real, s text); insert into t values (1.5, 'a'), (2.5, 'b'), (4, 'c')"
    assert execute(db, text(sql), None, None, None) == 0
    prepare = lib.function("sqlite3_prepare_v2", "int(ptr, const ptr, int, ptr, ptr)")
    statement = np.zeros(1, np.uint64)
    query = text("select sum(x), group_concat(s), sqrt(sum(x * x)), abs(-3) from t")
    if prepare(db, query, -1, statement, None) != 0:  # built without mathematical functions
        query = text("select sum(x), group_concat(s), 4.949747468305833, abs(-3) from t")
        assert prepare(db, query, -1, statement, None) == 0
    step = lib.function("sqlite3_step", "int(ptr)")
    row = int(statement[0])
    assert step(row) == 100
    assert lib.function("sqlite3_column_double", "f64(ptr, int)")(row, 0) == 8.0
    assert c_string(lib.function("sqlite3_column_text", "ptr(ptr, int)")(row, 1)) == "a,b,c"
    assert lib.function("sqlite3_column_double", "f64(ptr, int)")(row, 2) == math.sqrt(24.5)
    assert step(row) == 101
    assert lib.function("sqlite3_finalize", "int(ptr)")(row) == 0
    # A callback that is machine code: it counts the rows.
    counter = opcodon.function(
        opcodon.assemble("inc qword ptr [rdi]\nxor eax, eax\nret"), "int(ptr, int, ptr, ptr)"
    )
    count = np.zeros(1, np.uint64)
    assert execute(db, text("select * from t"), counter, count, None) == 0
    assert count[0] == 3
    # And one that is a Python function.
    rows = []

    def keep(_, n, values, names):
        strings = ctypes.POINTER(ctypes.c_char_p)
        last = [ctypes.cast(table, strings)[n - 1] for table in (names, values)]
        rows.append(tuple(last))
        return 0

    assert execute(db, text("select * from t"), keep, None, None) == 0
    assert rows == [(b"s", b"a"), (b"s", b"b"), (b"s", b"c")]
    assert execute(db, text("select nonsense"), None, None, None) == 1
    message = c_string(lib.function("sqlite3_errmsg", "ptr(ptr)")(db))
    assert message == "no such column: nonsense"
    assert lib.function("sqlite3_close", "int(ptr)")(db) == 0


def test_libcrypto_hashes():
    lib = load("libcrypto.so.3", loader="own")
    sha256 = lib.function("SHA256", "ptr(ptr, u64, ptr)")
    for size in (0, 1, 63, 64, 1000, 100_000):
        data = np.arange(size, dtype=np.uint64).astype(np.uint8)
        digest = np.zeros(32, np.uint8)
        sha256(data if size else None, size, digest)
        assert digest.tobytes() == hashlib.sha256(data).digest()


def lapack():
    """A library with LAPACK: the system's, or the one that a numpy wheel brings along."""
    folders = [Path(np.__file__).parents[1] / "numpy.libs"]
    bundled = [p for folder in folders if folder.is_dir() for p in folder.glob("*openblas*")]
    for path in bundled:
        return str(path), "scipy_", "64_", np.int64
    for name in ("libopenblas.so.0", "liblapack.so.3"):
        try:
            opcodon.load_library(name).close()
        except LibraryError:
            continue
        return name, "", "", np.int32
    pytest.skip("no LAPACK here")


def test_lapack_solves():
    name, before, after, integer = lapack()
    lib = opcodon.load_library(name)
    dgesv = lib.function(f"{before}dgesv_{after}", "void(ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr)")
    theirs = getattr(ctypes.CDLL(name), f"{before}dgesv_{after}")
    theirs.argtypes = [ctypes.c_void_p] * 8
    rng = np.random.default_rng(1)
    for n in (1, 5, 200):
        a, b = rng.normal(size=(n, n)), rng.normal(size=(n, 1))
        x, lu, pivots = b.copy(order="F"), a.copy(order="F"), np.zeros(n, integer)
        # Column-major memory, as rows of the transpose.
        order, one, info = np.array([n], integer), np.array([1], integer), np.zeros(1, integer)
        dgesv(order, one, lu.T, order, pivots, x.T, order, info)
        assert info[0] == 0
        np.testing.assert_allclose(a @ x, b, rtol=1e-8, atol=1e-8)
        y, lu = b.copy(order="F"), a.copy(order="F")
        theirs(*(array.ctypes.data for array in (order, one, lu, order, pivots, y, order, info)))
        np.testing.assert_allclose(x, y, rtol=0 if n < 10 else 1e-13)
    lib.close()


class PngImage(ctypes.Structure):
    """What libpng's simplified interface works on."""

    _fields_ = [
        ("opaque", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("version", "width", "height", "format", "flags")),
        *((name, ctypes.c_uint32) for name in ("colormap_entries", "warning_or_error")),
        ("message", ctypes.c_char * 64),
    ]


def test_libpng_writes_and_reads_pictures():
    lib = load("libpng16.so.16", loader="own")
    prototype = "int f(png_image *, void *, size_t *, int, const void *, int, const void *)"
    write = lib.function("png_image_write_to_memory", prototype)
    begin = lib.function("png_image_begin_read_from_memory", "int(ptr, const ptr, size_t)")
    finish = lib.function("png_image_finish_read", "int(ptr, const ptr, ptr, int, ptr)")
    pixels = np.random.default_rng(0).integers(0, 256, (31, 17, 3), dtype=np.uint8)
    image = PngImage(version=1, width=17, height=31, format=2)
    files = []
    theirs = ctypes.CDLL("libpng16.so.16").png_image_write_to_memory
    theirs.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    theirs.argtypes += [ctypes.c_void_p]
    for function in (write, lambda *args: theirs(*(getattr(a, "ctypes", a) for a in args))):
        packed, size = np.zeros(10_000, np.uint8), np.array([10_000], np.uint64)
        image = PngImage(version=1, width=17, height=31, format=2)
        address = ctypes.addressof(image)
        assert function(address, packed, size, 0, pixels, 0, None) == 1, image.message
        files.append(packed[: int(size[0])].tobytes())
    assert files[0] == files[1]
    again = PngImage(version=1)
    assert begin(again, files[0], len(files[0])) == 1
    assert (again.width, again.height, again.format) == (17, 31, 2)
    back = np.zeros_like(pixels)
    assert finish(again, None, back, 0, None) == 1
    assert (back == pixels).all()
    # It leaves its own functions by longjmp when the file is damaged.
    damaged = PngImage(version=1)
    assert begin(damaged, files[0][:50], 50) == 0
    assert damaged.message


@pytest.mark.parametrize(
    ("name", "function", "signature"),
    [
        ("libpng16.so.16", "png_access_version_number", "u32()"),
        ("libjpeg.so.62", "jpeg_quality_scaling", "int(int)"),
        ("libzstd.so.1", "ZSTD_versionNumber", "u32()"),
        ("liblzma.so.5", "lzma_version_number", "u32()"),
        ("libbz2.so.1.0", "BZ2_bzlibVersion", "ptr()"),
        ("libexpat.so.1", "XML_ErrorString", "ptr(int)"),
        ("libxml2.so.2", "xmlGetCharEncodingName", "ptr(int)"),
        ("libstdc++.so.6", "__cxa_get_globals", "ptr()"),
    ],
)
def test_answers_are_those_through_ctypes(name, function, signature):
    lib = load(name, loader="own")
    arguments = [3] * signature.count("(int")
    other = getattr(ctypes.CDLL(name), function)
    ours = lib.function(function, signature)(*arguments)
    if function.startswith("__cxa"):  # an address of this copy
        assert ours != 0
    elif signature.startswith("ptr"):
        other.restype = ctypes.c_char_p
        assert c_string(ours) == other(*arguments).decode()
    else:
        assert ours == other(*arguments)


def test_a_c_plus_plus_library_throws_and_catches_inside(tmp_path):
    source = """
        #include <stdexcept>
        #include <string>
        #include <map>
        extern "C" int f(int k) {
            std::map<std::string, int> map{{"a", 1}, {"b", 2}};
            try { return map.at(std::string(1, 'a' + k)); }
            catch (const std::out_of_range &error) { return 100 + (error.what()[0] == 'm'); }
        }
        extern "C" int g(int depth) {
            try { if (depth == 0) throw depth; return g(depth - 1) + 1; }
            catch (int) { throw; }
            catch (...) { return -1; }
        }
        extern "C" int h(int depth) { try { return g(depth); } catch (int k) { return 7 + k; } }
    """
    file = compiled(tmp_path, source, "-shared", suffix=".cc", compiler="c++")
    for options in ({"loader": "own"}, {"loader": "own", "dependencies": "own"}, {}):
        lib = opcodon.load_library(file, **options)
        f = lib.function("f", "int(int)")
        assert [f(k) for k in range(4)] == [1, 2, 101, 101]
        assert lib.function("h", "int(int)")(50) == 7
        lib.close()


def test_a_foreign_c_plus_plus_library_works():
    """Z3 throws and catches its own exceptions when it parses what is no formula."""
    lib = load("libz3.so.4", loader="own")
    f = {
        name: lib.function(name, signature)
        for name, signature in {
            "Z3_mk_config": "ptr()",
            "Z3_mk_context": "ptr(ptr)",
            "Z3_eval_smtlib2_string": "ptr(ptr, const ptr)",
            "Z3_set_error_handler": "void(ptr, ptr)",
        }.items()
    }
    text = lambda s: np.frombuffer(s.encode() + b"\0", np.uint8)  # noqa: E731
    context = f["Z3_mk_context"](f["Z3_mk_config"]())
    f["Z3_set_error_handler"](context, None)
    sat = "(declare-const x Int)(assert (= (* x x) 49))(assert (> x 0))(check-sat)(eval x)"
    assert c_string(f["Z3_eval_smtlib2_string"](context, text(sat))) == "sat\n7\n"
    wrong = c_string(f["Z3_eval_smtlib2_string"](context, text("(assert (= y 1))")))
    assert "unknown constant y" in wrong


def test_packed_relocations_are_done(tmp_path):
    source = "static int x[99]; int *a[99] = {x, x + 1, [50] = x + 5}; int *f(int k) {return a[k];}"
    try:
        file = compiled(tmp_path, source, "-shared", "-Wl,-z,pack-relative-relocs")
    except subprocess.CalledProcessError:
        pytest.skip("this linker packs no relocations")
    lib = opcodon.load_library(file, loader="own")
    f = lib.function("f", "ptr(int)")
    assert f(1) - f(0) == 4
    assert f(50) - f(0) == 20
    assert f(2) == 0


def test_a_library_out_of_a_zip_archive():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("deep/libz.so", system_path("libz.so.1").read_bytes())
    with zipfile.ZipFile(archive) as file:
        data = file.read("deep/libz.so")
    for kind in (bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)):
        with opcodon.load_library(kind(data), name="zip:libz.so") as lib:
            assert lib.name == "zip:libz.so"
            assert lib.loader == "own"
            assert c_string(lib.function("zlibVersion", "ptr()")()) == zlib.ZLIB_RUNTIME_VERSION


def test_a_file_that_may_not_be_executed(tmp_path):
    file = tmp_path / "data.bin"
    file.write_bytes(system_path("libz.so.1").read_bytes())
    file.chmod(0o400)
    with opcodon.load_library(file) as lib:
        assert lib.function("zlibCompileFlags", "u64()")() > 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts")
def test_a_file_on_a_mount_where_nothing_may_be_executed(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "noexec", "none", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting is refused")
    try:
        file = tmp_path / "libz.so"
        file.write_bytes(system_path("libz.so.1").read_bytes())
        with pytest.raises(OSError, match="failed to map segment"):
            ctypes.CDLL(str(file))
        for loader in ("own", "system"):
            with opcodon.load_library(file, loader=loader) as lib:
                assert lib.function("zlibCompileFlags", "u64()")() > 0
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_each_load_is_a_copy_with_its_own_data(tmp_path):
    file = compiled(tmp_path, "static int n; int next(void) { return ++n; }", "-shared")
    a, b = opcodon.load_library(file), opcodon.load_library(file)
    next_a, next_b = a.function("next", "int()"), b.function("next", "int()")
    assert [next_a(), next_a(), next_b(), next_a()] == [1, 2, 1, 3]


def test_threads_have_their_own_variables(tmp_path):
    source = "static __thread long n = 40; long add(long k) { return n += k; }"
    lib = opcodon.load_library(compiled(tmp_path, source, "-shared"), loader="own")
    add = lib.function("add", "long(long)")
    assert (add(1), add(1)) == (41, 42)
    found = []
    threads = [threading.Thread(target=lambda k=k: found.append(add(k))) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(40, 48))
    assert add(0) == 42


THREADS = """
    #include <pthread.h>
    #include <stdint.h>
    MODEL static __thread long n = 40;
    MODEL __thread long zero[20];
    long add(long k) { n += k; zero[19] += k; return n + zero[19]; }
    static void *run(void *k) { return (void *)add((long)k); }
    long elsewhere(long k) {
        pthread_t thread;
        void *result;
        if (pthread_create(&thread, 0, run, (void *)k)) return -1;
        pthread_join(thread, &result);
        return (long)result;
    }
"""


@pytest.mark.parametrize("model", ["", '__attribute__((tls_model("initial-exec")))'])
@pytest.mark.parametrize("dialect", ["gnu", "gnu2"])
def test_variables_of_threads_are_found_in_every_way(tmp_path, model, dialect):
    source = f"#define MODEL {model}\n{THREADS}"
    for flags in (["-shared"], []):
        file = compiled(tmp_path, source, f"-mtls-dialect={dialect}", *flags)
        lib = opcodon.load_library(file, loader="own") if flags else opcodon.link([file])
        add, elsewhere = (lib.function(name, "long(long)") for name in ("add", "elsewhere"))
        assert (add(1), add(1), elsewhere(5), add(0)) == (42, 44, 50, 44)
        with ThreadPoolExecutor(1) as threads:
            assert [threads.submit(add, k).result() for k in (10, 0)] == [60, 60]
        lib.close()


def test_libraries_with_static_variables_are_equal():
    lib = load("libgomp.so.1", loader="own")
    assert lib.loader == "own"
    ours = lib.function("omp_get_max_threads", "int()")()
    assert ours == ctypes.CDLL("libgomp.so.1").omp_get_max_threads()


def test_what_only_the_system_can_load_is_said(tmp_path):
    libc = load("libc.so.6")
    assert (libc.loader, libc.function("getpid", "int()")()) == ("system", os.getpid())
    assert "part of the C library" in libc.reason
    with pytest.raises(LibraryError, match="part of the C library"):
        load("libc.so.6", loader="own")
    model = '__attribute__((tls_model("initial-exec")))'
    source = f"{model} __thread char room[1 << 20]; char f(int k) {{ return room[k]; }}"
    file = compiled(tmp_path, source, "-shared")
    with pytest.raises(LibraryError, match="static block of every thread"):
        opcodon.load_library(file)


def test_use_after_closing_is_an_error():
    lib = load("libm.so.6")
    cos, ldexp = lib.function("cos", "f64(f64)"), lib.function("ldexp", "f64(f64, int)")
    assert cos(0.0) == 1.0  # from now on the short way
    assert ldexp(1.0, 3) == 8.0
    with lib as same:
        assert same is lib
    assert lib.closed
    lib.close()
    for use in (
        lambda: cos(0.0),
        lambda: ldexp(1.0, 3),
        lambda: lib.function("sin", "f64(f64)"),
        lambda: lib.address("sin"),
        lib.__enter__,
    ):
        with pytest.raises(ValueError, match="closed"):
            use()
    assert "closed" in repr(lib)
    assert "sin" in lib.symbols
    assert len(cos.code) > 0


def test_functions_keep_their_library():
    cos = load("libm.so.6").function("cos", "f64(f64)")
    gc.collect()
    assert cos(0.0) == 1.0
    assert "ret" in cos.disassemble()
    with pytest.raises(TypeError, match="belongs to a library"):
        pickle.dumps(cos)


def test_fork_keeps_libraries():
    program = """
import os, opcodon
lib = opcodon.load_library("libm.so.6")
cos = lib.function("cos", "f64(f64)")
pid = os.fork()
assert cos(0.0) == 1.0
lib.close()
if pid == 0:
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    load("libm.so.6").close()
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


def mappings():
    """The mappings of this process: start, end, rights."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        lines = [line.split() for line in maps]
    return {(*(int(x, 16) for x in line[0].split("-")), line[1]) for line in lines}


def test_memory_is_never_writable_and_executable():
    before = mappings()  # ctypes makes such memory for its callbacks
    lib = load("libcrypto.so.3", loader="own")
    address = lib.function("SHA256", "ptr(ptr, u64, ptr)").address
    new = mappings() - before
    assert [rights for start, end, rights in new if start <= address < end] == ["r-xs"]
    assert not [rights for _, _, rights in new if "w" in rights and "x" in rights]


def mistakes():
    elf = bytearray(64)
    elf[:7], elf[16], elf[18] = b"\x7fELF\x02\x01\x01", 3, 62
    change = lambda at, value: bytes([*elf[:at], value, *elf[at + 1 :]])  # noqa: E731
    return [
        (b"", "begins with"),
        (b"PK\3\4 archive", "begins with .50, 4b, 03, 04. at offset 0x0, but an ELF file"),
        (b"\x7fELF", "cut off"),
        (change(4, 1), "a 32-bit file at offset 0x4"),
        (change(18, 183), "code for AArch64 at offset 0x12, but code for x86-64"),
        (change(16, 1), "a relocatable object at offset 0x10, .* for link"),
        (change(16, 2), "a program at offset 0x10"),
        (bytes(elf), "no segment to load"),
    ]


@pytest.mark.parametrize(("data", "message"), mistakes())
def test_mistakes_in_files_are_located(data, message):
    with pytest.raises(LibraryError, match=message) as caught:
        opcodon.load_library(data, name="wrong.so")
    assert str(caught.value).startswith("wrong.so: ")
    assert caught.value.file == "wrong.so"
    assert caught.value.missing == ()


def test_mistakes_of_callers_are_named():
    with pytest.raises(LibraryError, match=r"no such library; looked in .*ld\.so\.cache"):
        opcodon.load_library("libnowhere.so.1")
    with pytest.raises(LibraryError, match=r"/nowhere/lib.so: there is no such library"):
        opcodon.load_library(Path("/nowhere/lib.so"))
    with pytest.raises(ValueError, match="loader must be one of auto, own, system, not"):
        opcodon.load_library("libm.so.6", loader="mine")
    with pytest.raises(ValueError, match="dependencies must be one of"):
        opcodon.load_library("libm.so.6", dependencies="mine")
    with pytest.raises(TypeError, match="a path or bytes are needed, not int"):
        opcodon.load_library(3)
    lib = load("libm.so.6")
    with pytest.raises(LookupError, match='no symbol "Cos"; did you mean cos'):
        lib.function("Cos", "f64(f64)")
    with pytest.raises(TypeError, match="signgam is data, not a function"):
        lib.function("signgam", "f64(f64)")
    with pytest.raises(opcodon.ParseError):
        lib.function("cos", "f64(f64")
    with pytest.raises(TypeError, match="cos takes 1 arguments"):
        lib.function("cos", "f64(f64)")(1.0, 2.0)


def test_all_missing_names_are_told_at_once(tmp_path):
    source = "int a(void), b(void), c(void); int f(void) { return a() + b() + c(); }"
    file = compiled(tmp_path, source, "-shared")
    with pytest.raises(LibraryError, match="a, b, c are defined neither in it") as caught:
        opcodon.load_library(file)
    assert caught.value.missing == ("a", "b", "c")
    other = tmp_path / "object"
    other.mkdir()
    with pytest.raises(LibraryError, match="a, b, c are defined") as caught:
        opcodon.link([compiled(other, source)])
    assert caught.value.missing == ("a", "b", "c")


def test_damaged_libraries_are_errors():
    """The loader's own tests do this at length; here, that nothing crosses into Python."""
    data = system_path("libz.so.1").read_bytes()
    rng = random.Random(0)
    n_errors = 0
    for _ in range(300):
        cut = bytearray(data[: rng.choice([len(data), rng.randrange(len(data))])])
        cut[rng.randrange(min(64, len(cut)))] ^= 1 << rng.randrange(8)
        del cut[len(cut) // 2 :]  # so that it can never be run
        with pytest.raises(LibraryError):
            opcodon.load_library(bytes(cut))
        n_errors += 1
    assert n_errors == 300


def test_what_the_compiler_gives_is_linked(tmp_path):
    source = """
        #include <math.h>
        #include <string.h>
        static double scale = 2.0;
        double f(double x) { return scale * sin(x) + strlen("abc"); }
        void set(double to) { scale = to; }
    """
    file = compiled(tmp_path, source)
    for objects in ([file], [file.read_bytes()], file, str(file)):
        with opcodon.link(objects) as lib:
            f = lib.function("f", "f64(f64)")
            assert f(1.0) == 2.0 * math.sin(1.0) + 3
            lib.function("set", "void(double)")(5.0)
            assert f(1.0) == 5.0 * math.sin(1.0) + 3
            assert sorted(lib.symbols) == ["f", "set"]
            assert len(f.code) < 100


def test_objects_are_linked_with_each_other(tmp_path):
    parts = []
    for k, source in enumerate(
        ["int g(int); int f(int x) { return g(x) + 1; }", "int g(int x) { return 10 * x; }"]
    ):
        (tmp_path / str(k)).mkdir()
        parts.append(compiled(tmp_path / str(k), source))
    assert opcodon.link(parts).function("f", "int(int)")(4) == 41
    with pytest.raises(LibraryError, match="g is defined again"):
        opcodon.link([parts[1], *parts])
    with pytest.raises(LibraryError, match="shared libraries are for load_library"):
        opcodon.link([system_path("libz.so.1")])
    with pytest.raises(LibraryError, match="anything to link"):
        opcodon.link([])
