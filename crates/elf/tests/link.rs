//! Objects of a C compiler are linked in memory and run, in every way it addresses things.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use common::{call, compile};
use opcodon_codemem::Value;
use opcodon_elf::{ElfErrorKind, Library, Object, link};

fn object(name: &str, source: &str, flags: &[&str]) -> Option<Object> {
    let data = compile(name, source, flags)?;
    let name = name.to_owned();
    Some(Object { name, data })
}

/// Calls of the C library and of itself, constants, variables, a table of pointers, a jump table.
const MIXED: &str = r#"
#include <string.h>
#include <stdlib.h>
#include <stdio.h>
static int counter = 40;
int shared_zero[1000];
static const char *const words[] = {"zero", "one", "two", "three", "four"};
static int add(int a) { counter += a; return counter; }
int (*pointer)(int) = add;
int next(int a) { return pointer(a); }
int length(int k) { return (int)strlen(words[k]); }
int zero(int k) { shared_zero[k] = k; return shared_zero[k] + shared_zero[k - 1]; }
double parse(const char *text) { return strtod(text, 0); }
int choose(int k) {
    switch (k) {
        case 0: return 7; case 1: return counter; case 2: return (int)strlen("abc");
        case 3: return 11; case 4: return abs(-12); case 5: return 13; default: return -1;
    }
}
FILE *out(void) { return stdout; }
"#;

/// All ways to compile that lead to other relocations.
const WAYS: [&[&str]; 6] = [
    &["-fPIC"],
    &["-fPIE"],
    &["-fno-pic", "-fno-pie", "-DNO_DATA"],
    &["-fPIC", "-fno-plt"],
    &["-fPIC", "-mcmodel=large"],
    &["-fPIC", "-ffunction-sections", "-fdata-sections", "-g"],
];

#[test]
fn every_way_to_compile_runs() {
    for flags in WAYS {
        // Foreign data is not in reach of code that is compiled for a fixed place.
        let source = if flags.contains(&"-DNO_DATA") {
            MIXED.replace("return stdout;", "return 0;")
        } else {
            MIXED.to_owned()
        };
        let Some(object) = object("mixed.c", &source, flags) else {
            return;
        };
        let library = link(&[object], &[]).unwrap();
        let int = |name, k| call(&library, name, "i32(i32)", &[Value::I32(k)]);
        assert_eq!(int("next", 2), Value::I32(42), "{flags:?}");
        assert_eq!(int("next", 2), Value::I32(44), "{flags:?}");
        assert_eq!(int("length", 3), Value::I32(5), "{flags:?}");
        assert_eq!(int("zero", 9), Value::I32(9), "{flags:?}");
        let chosen: Vec<Value> = (0..7).map(|k| int("choose", k)).collect();
        let expected = [7, 44, 3, 11, 12, 13, -1].map(Value::I32);
        assert_eq!(chosen, expected, "{flags:?}");
        let text = c"0.1";
        let number = call(
            &library,
            "parse",
            "f64(ptr)",
            &[Value::Ptr(text.as_ptr() as usize)],
        );
        assert_eq!(number, Value::F64(0.1), "{flags:?}");
        if !flags.contains(&"-DNO_DATA") {
            assert_ne!(
                call(&library, "out", "ptr()", &[]),
                Value::Ptr(0),
                "{flags:?}"
            );
        }
        library.close();
    }
}

#[test]
fn objects_see_each_other() {
    let a = "int b(int); int common[10]; int a(int x) { return x ? b(x - 1) + 1 : common[3]; }";
    let b =
        "int a(int); extern int common[10]; int b(int x) { common[3] = 100; return a(x) + 10; }";
    let weak = "__attribute__((weak)) int b(int x) { return -1; } \
                extern int nowhere(void) __attribute__((weak)); \
                int has(void) { return nowhere != 0; }";
    let objects = [
        object("weak.c", weak, &["-fPIC"]),
        object("a.c", a, &["-fPIC", "-fcommon"]),
        object("b.c", b, &["-fPIE", "-fcommon"]),
    ];
    let Some(objects) = objects.into_iter().collect::<Option<Vec<Object>>>() else {
        return;
    };
    let library = link(&objects, &[]).unwrap();
    assert_eq!(
        call(&library, "a", "i32(i32)", &[Value::I32(3)]),
        Value::I32(133)
    );
    assert_eq!(call(&library, "has", "i32()", &[]), Value::I32(0));
    let twice = link(&[objects[1].clone(), objects[1].clone()], &[]).unwrap_err();
    assert!(
        matches!(&twice.kind, ElfErrorKind::Duplicate { name, .. } if name == "a"),
        "{twice}"
    );
    let alone = link(&objects[1..2], &[]).unwrap_err();
    assert!(
        matches!(&alone.kind, ElfErrorKind::Missing(names) if names == &["b"]),
        "{alone}"
    );
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let source = "int one(void), two(void), three(void); extern int four; \
                  int f(void) { return one() + two() + three() + four + one(); }";
    let Some(object) = object("missing.c", source, &["-fPIC"]) else {
        return;
    };
    let error = link(&[object], &[]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("four, one, three, two are defined neither"),
        "{text}"
    );
}

#[test]
fn libraries_define_what_the_process_does_not() {
    let source = "unsigned long crc32(unsigned long, const char *, unsigned); \
                  unsigned long sum(const char *text) { return crc32(0, text, 9); }";
    let Some(object) = object("sum.c", source, &["-fPIC"]) else {
        return;
    };
    let library = match link(&[object], &["libz.so.1".to_owned()]) {
        Ok(library) => library,
        Err(error) => opcodon_testkit::skip!("no libz here: {error}"),
    };
    let text = Value::Ptr(c"123456789".as_ptr() as usize);
    assert_eq!(
        call(&library, "sum", "u64(ptr)", &[text]),
        Value::U64(0xcbf4_3926)
    );
}

#[test]
fn thread_local_variables_have_a_copy_in_every_thread() {
    let source = "static __thread long here = 5; __thread long zero[4]; \
                  long bump(long by) { zero[1] += by; return here += by; } \
                  long *where(void) { return &zero[0]; }";
    for flags in [
        &["-fPIC"][..],
        &["-fPIC", "-mtls-dialect=gnu2"],
        &["-fPIC", "-ftls-model=initial-exec"],
        &["-fPIE"],
        &["-fno-pic", "-fno-pie"],
    ] {
        let Some(object) = object("tls.c", source, flags) else {
            return;
        };
        let library = link(&[object], &[]).unwrap();
        let bump = |by| call(&library, "bump", "i64(i64)", &[Value::I64(by)]);
        let found = (bump(1), bump(1));
        assert_eq!(found, (Value::I64(6), Value::I64(7)), "{flags:?}");
        std::thread::scope(|scope| {
            let there = scope.spawn(|| bump(10)).join().unwrap();
            assert_eq!(there, Value::I64(15), "{flags:?}");
        });
        assert_eq!(bump(1), Value::I64(8), "{flags:?}");
    }
}

#[test]
fn variables_that_begin_as_zero_take_no_room_in_the_image() {
    let source = "__thread char a[1 << 20], b[1 << 20], c; \
                  int f(int x) { a[1] += x; b[9999] += x; return a[1] + b[9999] + c; }";
    let Some(object) = object("zeros.c", source, &["-fPIC", "-fdata-sections"]) else {
        return;
    };
    let library = link(&[object], &[]).unwrap();
    let f = |x| call(&library, "f", "i32(i32)", &[Value::I32(x)]);
    assert_eq!((f(3), f(4)), (Value::I32(6), Value::I32(14)));
}

#[test]
fn initialisers_and_finalisers_run_in_their_order() {
    let source = r#"
        static long *log_ = 0; static long early = 0;
        __attribute__((constructor(201))) static void b(void) { early = early * 10 + 2; }
        __attribute__((constructor(101))) static void a(void) { early = early * 10 + 1; }
        __attribute__((constructor)) static void c(void) { early = early * 10 + 3; }
        __attribute__((destructor)) static void d(void) { if (log_) *log_ = *log_ * 10 + 4; }
        extern int __cxa_atexit(void (*)(void *), void *, void *);
        extern void *__dso_handle;
        static void at(void *x) { if (log_) *log_ = *log_ * 10 + 5; }
        long order(long *log) { log_ = log; __cxa_atexit(at, 0, &__dso_handle); return early; }
    "#;
    let Some(object) = object("order.c", source, &["-fPIC"]) else {
        return;
    };
    let log = Box::into_raw(Box::new(0_i64));
    let library = link(&[object], &[]).unwrap();
    let order = call(&library, "order", "i64(ptr)", &[Value::Ptr(log as usize)]);
    assert_eq!(order, Value::I64(123));
    library.close();
    #[allow(unsafe_code, reason = "the log is read")]
    // SAFETY: made by a box above; the library that wrote it is closed.
    let log = unsafe { *Box::from_raw(log) };
    assert_eq!(log, 54);
}

const THROWING: &str = r#"
    #include <stdexcept>
    #include <string>
    #include <vector>
    static std::vector<std::string> names{"a", "bb", "ccc"};
    template <class T> struct Guard { T &count; ~Guard() { ++count; } };
    inline int deep(int k) {
        static int calls = 0; ++calls;
        if (k > 2) throw std::out_of_range(names.at(k) + "?");
        return (int)names.at(k).size();
    }
    extern "C" int safe(int k) {
        int cleaned = 0;
        try { Guard<int> guard{cleaned}; return deep(k); }
        catch (const std::out_of_range &) { return 100 + cleaned; }
    }
"#;

#[test]
fn exceptions_are_caught_inside() {
    let other = THROWING.replace("\"C\" int safe", "\"C\" int other");
    let objects = [
        object("throwing.cc", THROWING, &["-fPIC"]),
        object("other.cc", &other, &["-fPIC"]),
    ];
    let Some(objects) = objects.into_iter().collect::<Option<Vec<Object>>>() else {
        return;
    };
    let library = match link(&objects, &["libstdc++.so.6".to_owned()]) {
        Ok(library) => library,
        Err(error) => opcodon_testkit::skip!("no C++ library here: {error}"),
    };
    check_throwing(&library, "safe");
    check_throwing(&library, "other");
}

fn check_throwing(library: &Library, name: &str) {
    for (k, expected) in [(0, 1), (2, 3), (3, 101), (9, 101), (1, 2)] {
        let found = call(library, name, "i32(i32)", &[Value::I32(k)]);
        assert_eq!(found, Value::I32(expected), "{name}({k})");
    }
}

#[test]
fn functions_chosen_for_the_processor_are_called() {
    let source = "static int new_(int x) { return x + 1; } static int old(int x) { return x; } \
                  static int (*pick(void))(int) { return new_ ? new_ : old; } \
                  int chosen(int x) __attribute__((ifunc(\"pick\"))); \
                  int (*pointer)(int) = chosen; \
                  int use(int x) { return chosen(x) + pointer(x); }";
    let Some(object) = object("chosen.c", source, &["-fPIC"]) else {
        return;
    };
    let library = link(&[object], &[]).unwrap();
    assert_eq!(
        call(&library, "use", "i32(i32)", &[Value::I32(4)]),
        Value::I32(10)
    );
    assert_eq!(
        call(&library, "chosen", "i32(i32)", &[Value::I32(4)]),
        Value::I32(5)
    );
}

#[test]
fn what_is_out_of_reach_is_said() {
    let source = "#include <stdio.h>\nFILE *out(void) { return stdout; } \
                  const char *low(void) { return \"far below\"; }";
    let Some(object) = object("far.c", source, &["-fno-pic", "-fno-pie"]) else {
        return;
    };
    let error = link(&[object], &[]).unwrap_err();
    assert!(
        matches!(&error.kind, ElfErrorKind::Reach { name, .. } if name == "stdout"),
        "{error}"
    );
}

/// An archive of three objects, of which one has a long name, and an object that needs two.
#[test]
fn archives_give_what_is_needed() {
    let folder = common::Folder::new();
    let sources = [
        (
            "one.c",
            "int two(void); int one(void) { return two() + 1; }",
        ),
        (
            "a_name_longer_than_sixteen.c",
            "int two(void) { return 2; }",
        ),
        (
            "unneeded.c",
            "int missing(void); int three(void) { return missing(); }",
        ),
    ];
    let mut ar = std::process::Command::new("ar");
    ar.arg("rcs").arg(folder.join("lib.a"));
    for (name, source) in sources {
        let Some(object) = folder.build(name, source, &["-fPIC"]) else {
            return;
        };
        ar.arg(object);
    }
    if !ar.status().is_ok_and(|status| status.success()) {
        opcodon_testkit::report_skip("no ar");
        return;
    }
    let archive = Object::read(folder.join("lib.a").to_str().unwrap()).unwrap();
    let main = "int one(void); int f(void) { return 10 * one(); }";
    let main = object("main.c", main, &["-fPIC"]).unwrap();
    for objects in [[main.clone(), archive.clone()], [archive.clone(), main]] {
        let library = link(&objects, &[]).unwrap();
        assert_eq!(call(&library, "f", "i32()", &[]), Value::I32(30));
        assert!(
            library
                .symbols()
                .iter()
                .all(|symbol| symbol.name != "three")
        );
    }
    // By itself it is taken whole, with what it lacks.
    let error = link(std::slice::from_ref(&archive), &[]).unwrap_err();
    assert!(matches!(&error.kind, ElfErrorKind::Missing(names) if *names == ["missing"]));
    // Cut anywhere it is an error, not a crash.
    for len in (8..archive.data.len()).step_by(7) {
        let name = "cut.a".to_owned();
        let data = archive.data[..len].to_vec();
        let _ = opcodon_elf::rehearse(&name, data);
    }
    let damaged = Object {
        name: "cut.a".to_owned(),
        data: archive.data[..100].to_vec(),
    };
    let error = link(&[damaged], &[]).unwrap_err();
    assert!(
        error.to_string().contains("a member of the archive"),
        "{error}"
    );
}
