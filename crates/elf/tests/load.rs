//! Shared libraries of a C compiler are loaded, called and closed.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Folder, call, compile};
use opcodon_codemem::{Abi, CodeError, Signature, Value};
use opcodon_elf::{Dependencies, ElfErrorKind, Library, Loader, Options, Refusal};

const OWN: Options = Options {
    loader: Loader::Own,
    dependencies: Dependencies::System,
};

fn own(name: &str, source: &str, flags: &[&str]) -> Option<Library> {
    let flags = [&["-shared", "-fPIC"], flags].concat();
    let data = compile(name, source, &flags)?;
    Some(Library::from_bytes(name, data, &OWN).expect("a library"))
}

fn int(library: &Library, name: &str, x: i32) -> i32 {
    match call(library, name, "i32(i32)", &[Value::I32(x)]) {
        Value::I32(result) => result,
        other => panic!("{other:?}"),
    }
}

const POINTERS: &str = "static int a = 1, b = 2, c = 3; \
    static int *const all[70] = {[0] = &a, [1] = &b, [2] = &c, [65] = &a, [69] = &c}; \
    int f(int k) { return all[k] ? *all[k] : 0; }";

#[test]
fn relocations_of_every_packing_are_done() {
    for flags in [
        &["-Wl,-z,pack-relative-relocs"][..],
        &[],
        &["-Wl,--hash-style=sysv"],
        &["-Wl,--hash-style=gnu"],
        &["-Wl,-z,norelro"],
        &["-Wl,-z,now"],
        &["-Wl,-z,noseparate-code"],
        &["-Wl,-z,max-page-size=0x200000"],
        &["-Wl,-s"],
    ] {
        let Some(library) = own("pointers.c", POINTERS, flags) else {
            return;
        };
        let found: Vec<i32> = [0, 1, 2, 3, 65, 69].map(|k| int(&library, "f", k)).to_vec();
        assert_eq!(found, [1, 2, 3, 0, 1, 3], "{flags:?}");
        assert_eq!(
            library.symbols().len(),
            1,
            "{flags:?}: {:?}",
            library.symbols()
        );
    }
}

/// The rights of the mapping that holds an address.
fn rights(address: usize) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (start, rest) = line.split_once('-')?;
        let (end, rest) = rest.split_once(' ')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        let range = number(start)?..number(end)?;
        range.contains(&address).then(|| rest[..3].to_owned())
    })
}

#[test]
fn what_is_only_relocated_becomes_read_only() {
    let source = "static int a = 1; int *const table[2] = {&a, &a}; int data = 7; \
                  int f(int k) { return *table[k & 1] + data; }";
    for (flag, expected) in [("-Wl,-z,relro,-z,now", "r--"), ("-Wl,-z,norelro", "rw-")] {
        let Some(library) = own("relro.c", source, &[flag]) else {
            return;
        };
        let found = |name| rights(library.address(name).unwrap());
        assert_eq!(found("table").as_deref(), Some(expected), "{flag}");
        assert_eq!(found("data").as_deref(), Some("rw-"));
        assert_eq!(found("f").as_deref(), Some("r-x"));
        assert_eq!(int(&library, "f", 1), 8);
    }
}

#[test]
fn text_relocations_are_done_before_text_is_sealed() {
    let source = "int x = 41; int f(int k); \
        __asm__(\".globl f\\nf: movabs $x, %rax\\n mov (%rax), %eax\\n add %edi, %eax\\n ret\");";
    if let Some(library) = own("text.c", source, &["-Wl,-z,notext"]) {
        assert_eq!(int(&library, "f", 1), 42);
    }
}

#[test]
fn versions_are_kept_apart() {
    let source = "int f1(int x) { return x + 1; } int f2(int x) { return x + 2; } \
        __asm__(\".symver f1, f@V1\\n.symver f2, f@@V2\");";
    let folder = Folder::new();
    let map = folder.join("versions.map");
    std::fs::write(&map, "V1 { global: f; }; V2 { global: f; local: *; } V1;").unwrap();
    let flag = format!("-Wl,--version-script={}", map.display());
    let Some(library) = own("versions.c", source, &[&flag]) else {
        return;
    };
    assert_eq!(int(&library, "f", 0), 2);
    assert_eq!(int(&library, "f@V1", 0), 1);
    assert_eq!(int(&library, "f@V2", 0), 2);
    let keys: Vec<String> = library
        .symbols()
        .iter()
        .map(|export| export.key())
        .collect();
    assert_eq!(keys, ["f", "f@V1"]);
}

#[test]
fn thread_local_variables_are_each_threads_own() {
    let source = "#include <errno.h>\n__thread int a = 5; __thread int big[1000]; \
        static __thread _Alignas(64) int c; \
        int f(int x) { a += x; big[999] += x; c += x; errno = 7; \
                       return errno == 7 && !((long)&c & 63) ? a + big[999] + c : -1; }";
    let Some(library) = own("variables.c", source, &[]) else {
        return;
    };
    assert_eq!([int(&library, "f", 1), int(&library, "f", 1)], [8, 11]);
    std::thread::scope(|scope| {
        let there = scope.spawn(|| [int(&library, "f", 10), int(&library, "f", 1)]);
        assert_eq!(there.join().unwrap(), [35, 38]);
    });
    assert_eq!(int(&library, "f", 0), 11);
}

/// Variables in each way to find them, one of them found in two ways; another thread exists before
/// they are loaded.
fn check_variables(flags: &[&str], attribute: &str) {
    let source = format!(
        "#include <errno.h>\n#include <pthread.h>\n\
         static int target = 5; \
         {attribute} __thread int a = 5; {attribute} __thread int zero[40]; \
         {attribute} static __thread _Alignas(32) int *pointer = &target; \
         {attribute} static __thread char text[3] = \"ab\"; \
         __attribute__((noinline)) int *where(void) {{ return &a; }} \
         int f(int x) {{ a += x; zero[39] += x; errno = 7; \
             if (errno != 7 || ((long)&pointer & 31) || text[1] != 'b' || where() != &a) return -1; \
             return a + zero[39] + *pointer; }} \
         double g(double x, double y) {{ double z = x * y; return z + 2 * a + x / y; }}"
    );
    let flags = [&["-shared", "-fPIC"], flags].concat();
    let Some(data) = compile("variables.c", &source, &flags) else {
        return;
    };
    // Loaded more often than there is static room for at once.
    for _ in 0..12 {
        let (send, receive) = std::sync::mpsc::channel::<Arc<Library>>();
        let older = std::thread::spawn(move || two(&receive.recv().expect("a library")));
        let library = Library::from_bytes("variables.so", data.clone(), &OWN);
        let library = Arc::new(library.expect("a library"));
        let found = two(&library);
        assert_eq!(found, (Value::F64(30.0), [12, 14]), "{flags:?}");
        send.send(Arc::clone(&library)).expect("a thread");
        assert_eq!(older.join().expect("a result"), found, "{flags:?}");
        let newer = Arc::clone(&library);
        let newer = std::thread::spawn(move || two(&newer));
        assert_eq!(newer.join().expect("a result"), found, "{flags:?}");
        assert_eq!(int(&library, "f", 0), 14, "{flags:?}");
    }
}

/// What is in registers when a variable is looked for the first time is still there then; and what
/// the variable is after two steps.
fn two(library: &Library) -> (Value, [i32; 2]) {
    let args = [Value::F64(6.0), Value::F64(3.0)];
    let first = call(library, "g", "f64(f64, f64)", &args);
    (first, [int(library, "f", 1), int(library, "f", 1)])
}

#[test]
fn thread_local_variables_are_found_in_every_way() {
    let early = "__attribute__((tls_model(\"initial-exec\")))";
    for dialect in ["-mtls-dialect=gnu", "-mtls-dialect=gnu2"] {
        for optimise in ["-O0", "-O2"] {
            for attribute in ["", early] {
                check_variables(&[dialect, optimise], attribute);
            }
        }
    }
}

#[test]
fn what_finds_no_static_room_is_an_error() {
    let source = "__thread int a[100000] __attribute__((tls_model(\"initial-exec\"))) = {5}; \
                  int f(int x) { return a[x] += x; }";
    let Some(data) = compile("static.c", source, &["-shared", "-fPIC"]) else {
        return;
    };
    for options in [OWN, Options::default()] {
        let error = Library::from_bytes("static.so", data.clone(), &options).unwrap_err();
        assert!(
            matches!(error.kind, ElfErrorKind::Refused(Refusal::StaticTls { .. })),
            "{error}"
        );
    }
}

#[test]
fn variables_of_another_file_of_the_set_are_found() {
    let folder = Folder::new();
    let early = "extern __thread int shared __attribute__((tls_model(\"initial-exec\")));";
    let build = |name: &str, text: &str, flags: &[&str]| {
        folder.build(name, text, &[&["-shared", "-fPIC"], flags].concat())
    };
    let flags = ["-Wl,-soname,libvariable.so"];
    let below = "__thread int shared = 7; int bump(void) { return ++shared; }";
    if build("libvariable.c", below, &flags).is_none() {
        return;
    }
    let search = format!("-L{}", folder.path());
    let flags = [&search, "-lvariable", "-Wl,-rpath,$ORIGIN"];
    let above = format!("{early} int bump(void); int f(int x) {{ shared += x; return bump(); }}");
    let Some(path) = build("libabove.c", &above, &flags) else {
        return;
    };
    for dependencies in [Dependencies::Own, Dependencies::System] {
        let options = Options {
            loader: Loader::Own,
            dependencies,
        };
        match Library::open(path.to_str().unwrap(), &options) {
            Ok(library) => {
                assert_eq!(int(&library, "f", 10), 18);
                let there = std::thread::scope(|s| s.spawn(|| int(&library, "f", 0)).join());
                assert_eq!(there.unwrap(), 8);
            }
            // The system gave the variable no room in the static block.
            Err(error) => {
                assert_eq!(dependencies, Dependencies::System, "{error}");
                let kind = &error.kind;
                let is_refused = matches!(kind, ElfErrorKind::Refused(Refusal::DynamicTls { .. }));
                assert!(is_refused, "{error}");
            }
        }
    }
}

#[test]
fn exceptions_are_caught_inside() {
    let source = "#include <stdexcept>\n#include <vector>\n\
        struct Count { int &n; ~Count() { ++n; } }; \
        extern \"C\" int f(int x) { int n = 0; std::vector<int> v{1, 2, 3}; \
            try { Count c{n}; return v.at(x); } catch (const std::exception &) { return 100 + n; } }";
    if let Some(library) = own("exceptions.cc", source, &[]) {
        let found: Vec<i32> = (0..5).map(|k| int(&library, "f", k)).collect();
        assert_eq!(found, [1, 2, 3, 101, 101]);
    }
}

#[test]
fn variables_of_a_dependency_are_found_where_it_is() {
    // What is called once is handed over in thread-local variables of the C++ library.
    let source = "#include <mutex>\nstatic std::once_flag flag; static int n; \
        extern \"C\" int f(int x) { std::call_once(flag, [&] { n = x; }); return n; }";
    for flags in [&["-pthread"][..], &["-pthread", "-mtls-dialect=gnu", "-O0"]] {
        if let Some(library) = own("once.cc", source, flags) {
            assert_eq!([int(&library, "f", 7), int(&library, "f", 8)], [7, 7]);
        }
    }
}

/// Three libraries, of which two need each other, beside each other.
fn cycle(folder: &Folder) -> Option<PathBuf> {
    let build = |name: &str, text: &str, flags: &[&str]| {
        folder.build(name, text, &[&["-shared", "-fPIC"], flags].concat())
    };
    let soname = |name: &str| format!("-Wl,-soname,{name}");
    let search = format!("-L{}", folder.path());
    let origin = "-Wl,-rpath,$ORIGIN";
    // To link either, the other must be there.
    build(
        "libright.c",
        "int right(int x) { return x; }",
        &[&soname("libright.so")],
    )?;
    let left = "int right(int); static int ready; \
        __attribute__((constructor)) static void go(void) { ready = right(1000) > 0; } \
        int left(int x) { return x ? right(x - 1) + ready : 7; }";
    build(
        "libleft.c",
        left,
        &[&search, "-lright", &soname("libleft.so"), origin],
    )?;
    let right = "int left(int); int right(int x) { return x > 100 ? 1 : left(x) + 10; }";
    build(
        "libright.c",
        right,
        &[&search, "-lleft", &soname("libright.so"), origin],
    )?;
    let top = "int left(int); int top(int x) { return left(x); }";
    build("libtop.c", top, &[&search, "-lleft", origin])
}

#[test]
fn dependencies_that_need_each_other_are_loaded_once() {
    let folder = Folder::new();
    let Some(top) = cycle(&folder) else {
        return;
    };
    let open = |dependencies| {
        let options = Options {
            loader: Loader::Own,
            dependencies,
        };
        Library::open(top.to_str().unwrap(), &options)
    };
    let first = open(Dependencies::Own).unwrap();
    let name = |path: &String| Path::new(path).file_name().unwrap().to_owned();
    let mut files: Vec<_> = first.files().iter().map(name).collect();
    files.sort();
    assert_eq!(files, ["libleft.so", "libright.so", "libtop.so"]);
    assert_eq!(int(&first, "top", 3), 7 + 3 * 11);
    // Nobody else sees them, so in the process there are still none.
    let error = open(Dependencies::Process).unwrap_err();
    assert!(
        matches!(&error.kind, ElfErrorKind::Dependency { name, .. } if name == "libleft.so"),
        "{error}"
    );
    let second = open(Dependencies::System).unwrap();
    assert_eq!(second.files().len(), 1);
    assert_eq!(int(&second, "top", 3), 7 + 3 * 11);
}

#[test]
fn a_library_that_lacks_symbols_runs_nothing() {
    let source = "extern int nowhere(int); extern int elsewhere; \
        __attribute__((constructor)) static void go(void) { __builtin_trap(); } \
        int f(int x) { return nowhere(x) + elsewhere; }";
    let Some(data) = compile("lacking.c", source, &["-shared", "-fPIC"]) else {
        return;
    };
    let error = Library::from_bytes("lacking.so", data, &OWN).unwrap_err();
    assert!(
        matches!(&error.kind, ElfErrorKind::Missing(names) if names == &["elsewhere", "nowhere"]),
        "{error}"
    );
}

#[test]
fn functions_outlive_the_library_but_not_its_closing() {
    let source = "int f(int x) { return x + 1; } int data = 3;";
    let Some(library) = own("closing.c", source, &[]) else {
        return;
    };
    let signature = || Signature::parse("i32(i32)").unwrap();
    let f = library.function("f", signature(), Abi::SysV).unwrap();
    assert!(matches!(
        library
            .function("data", signature(), Abi::SysV)
            .unwrap_err()
            .kind,
        ElfErrorKind::Kind { .. }
    ));
    let error = library.function("F", signature(), Abi::SysV).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("no symbol \"F\"; did you mean f?"),
        "{error}"
    );
    #[allow(unsafe_code, reason = "tests call what they load")]
    // SAFETY: it is a function of that signature.
    let call = || unsafe { f.call(&[Value::I32(1)]) };
    assert_eq!(call().unwrap(), Value::I32(2));
    assert!(f.code().len() < 16, "{} bytes", f.code().len());
    assert!(f.code().is_lent());
    library.close();
    library.close();
    assert!(library.is_closed());
    assert!(matches!(call(), Err(CodeError::Closed)));
    assert!(matches!(
        library
            .function("f", signature(), Abi::SysV)
            .unwrap_err()
            .kind,
        ElfErrorKind::Closed
    ));
    let other = own("closing.c", source, &[]).unwrap();
    let f = other.function("f", signature(), Abi::SysV).unwrap();
    drop(other);
    #[allow(unsafe_code, reason = "tests call what they load")]
    // SAFETY: as above.
    let result = unsafe { f.call(&[Value::I32(1)]) };
    assert_eq!(result.unwrap(), Value::I32(2));
}

#[test]
fn memory_goes_with_the_last_user() {
    let Some(data) = compile(
        "gone.c",
        "int f(int x) { return x; }",
        &["-shared", "-fPIC"],
    ) else {
        return;
    };
    let mapped = |address| rights(address).is_some_and(|rights| rights != "---");
    let library = Library::from_bytes("gone.so", data, &OWN).unwrap();
    let address = library.address("f").unwrap();
    let f = library.function("f", Signature::parse("i32(i32)").unwrap(), Abi::SysV);
    library.close();
    assert!(mapped(address));
    drop(f);
    assert!(!mapped(address));
}
