//! Texts and what they mean, or what is wrong with them and where.

use super::*;

#[test]
fn spellings() {
    let table: &[(&str, &str)] = &[
        ("f64(f64, i32, ptr)", "f64(f64, i32, ptr)"),
        (
            "double(double, int, const double*)",
            "f64(f64, i32, const ptr)",
        ),
        ("double hypot(double x, double y);", "f64(f64, f64)"),
        ("void()", "void()"),
        ("void(void)", "void()"),
        ("  void\n(\tvoid )  ", "void()"),
        ("int main(int argc, char **argv)", "i32(i32, ptr)"),
        (
            "int main(int argc, char *const argv[])",
            "i32(i32, const ptr)",
        ),
        ("const char *strerror(int)", "ptr(i32)"),
        (
            "void * memcpy(void *restrict d, const void *restrict s, size_t n)",
            "ptr(ptr, const ptr, u64)",
        ),
        (
            "unsigned(unsigned char, signed char, char)",
            "u32(u8, i8, i8)",
        ),
        (
            "long long unsigned int(short, unsigned short int)",
            "u64(i16, u16)",
        ),
        ("uint8_t(int8_t, uint16_t, int64_t)", "u8(i8, u16, i64)"),
        ("_Bool(bool)", "bool(bool)"),
        ("float64(float32, int32, uint64)", "f64(f32, i32, u64)"),
        (
            "struct tm *(const struct tm *t, union u *, enum e*)",
            "ptr(const ptr, ptr, ptr)",
        ),
        ("f64 * const * (void*)", "ptr(ptr)"),
        (
            "int fputs(const char *s, FILE *f, sqlite3 const *const d)",
            "i32(const ptr, ptr, const ptr)",
        ),
        (
            "double complex csqrt(double _Complex z, const complex float w)",
            "{f64, f64}({f64, f64}, {f32, f32})",
        ),
        ("double const(float const x)", "f64(f32)"),
        ("static inline int f(int)", "i32(i32)"),
        ("ptr(isize, usize)", "ptr(i64, u64)"),
        ("void free(void *ptr)", "void(ptr)"),
        (
            "double sum(const double x[], size_t n)",
            "f64(const f64[], u64)",
        ),
        ("void f(float m[3][4], int[2])", "void(f32[12], i32[2])"),
        (
            "void f(float m[n][4], int x[static 8], char *s[])",
            "void(f32[], i32[8], ptr)",
        ),
        ("void(const u8[2], f64[])", "void(const u8[2], f64[])"),
        (
            "void(const ptr, const char *const, char *const)",
            "void(const ptr, const ptr, ptr)",
        ),
        (
            "{f64, i32}({f32[2], {i8, u64}})",
            "{f64, i32}({{f32, f32}, {i8, u64}})",
        ),
        (
            "struct point { double x, y; } mirror(struct { float m[2][2]; int (*f)(void); const char *s; } a)",
            "{f64, f64}({{{f32, f32}, {f32, f32}}, i32()*, const ptr})",
        ),
        (
            "void qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))",
            "void(ptr, u64, u64, i32(const ptr, const ptr)*)",
        ),
        (
            "void(f64(f64)*, void(void(i32)*)*)",
            "void(f64(f64)*, void(void(i32)*)*)",
        ),
        ("int printf(const char *format, ...)", "i32(const ptr, ...)"),
        ("i32(...)", "i32(...)"),
    ];
    for (text, expected) in table {
        let signature = Signature::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(signature.to_string(), *expected, "{text}");
    }
}

#[test]
fn long_has_the_size_of_the_convention() {
    let text = "unsigned long(long, long int, long long)";
    let parse = |abi| Signature::parse_for(text, abi).unwrap().to_string();
    assert_eq!(parse(Abi::SysV), "u64(i64, i64, i64)");
    assert_eq!(parse(Abi::Win64), "u32(i32, i32, i64)");
}

/// Text, what `render` shows below it, and the message without its prefix.
#[test]
fn errors_show_the_place() {
    let table: &[(&str, &str, &str)] = &[
        ("", "^", "it is empty; write for example \"f64(f64, f64)\""),
        (
            "   ",
            "^^^",
            "it is empty; write for example \"f64(f64, f64)\"",
        ),
        (
            "f64",
            "   ^",
            "expected \"(\" before the parameters, found the end",
        ),
        (
            "f64(f64",
            "       ^",
            "expected \",\" or \")\" after a parameter, found the end",
        ),
        ("f64(f64,)", "        ^", "expected a type, found \")\""),
        ("f64(,f64)", "    ^", "expected a type, found \",\""),
        ("(f64)", "^", "expected a type, found \"(\""),
        ("f64(f64) x", "         ^", "expected the end, found \"x\""),
        ("f64(f64))", "        ^", "expected the end, found \")\""),
        (
            "f64(flaot)",
            "    ^^^^^",
            "unknown type \"flaot\"; known are f64, f32, i8 to i64, u8 to u64, bool, ptr, void, \
             C's types and pointers, structures such as {f64, i32}",
        ),
        ("f64(äh)", "    ^", "unexpected character 'ä'"),
        ("ä", "^", "unexpected character 'ä'"),
        (
            "int(short double x)",
            "    ^^^^^^^^^^^^",
            "\"short double\" is not a type of C",
        ),
        (
            "int(long complex double)",
            "    ^^^^^^^^^^^^^^^^^^^",
            "\"long complex double\" cannot be passed by value; pass a pointer to it",
        ),
        (
            "int(complex int)",
            "    ^^^^^^^^^^^",
            "\"complex int\" is not a type of C",
        ),
        (
            "int(long double)",
            "    ^^^^^^^^^^^",
            "\"long double\" cannot be passed by value; pass a pointer to it",
        ),
        (
            "int(struct point p)",
            "    ^^^^^^^^^^^^",
            "\"struct point\" has no fields here: write them, as in {f64, i32}, or pass a pointer to it",
        ),
        (
            "int(union { int a; } p)",
            "    ^^^^^",
            "\"union\" cannot be passed by value; pass a pointer to it",
        ),
        (
            "int(..., int)",
            "       ^",
            "expected \")\" after \"...\", found \",\"",
        ),
        (
            "f64({})",
            "    ^^",
            "a structure by value has at least one field and at most 4096 bytes",
        ),
        (
            "f64({f64[513] x})",
            "     ^^^",
            "a structure by value has at least one field and at most 4096 bytes",
        ),
        (
            "f64({f64, void})",
            "          ^^^^",
            "a parameter cannot be void; for no parameters write \"()\"",
        ),
        (
            "f64({f64 x y})",
            "           ^",
            "expected \",\", \";\" or \"}\" after a field, found \"y\"",
        ),
        (
            "f64(i32(f64))",
            "            ^",
            "expected \"*\" after the parameters of a function that is passed, found \")\"",
        ),
        (
            "f64(f64, void)",
            "         ^^^^",
            "a parameter cannot be void; for no parameters write \"()\"",
        ),
        (
            "f64(void x)",
            "    ^^^^",
            "a parameter cannot be void; for no parameters write \"()\"",
        ),
        (
            "f64(void, f64)",
            "    ^^^^",
            "a parameter cannot be void; for no parameters write \"()\"",
        ),
        ("f64(*)", "    ^", "expected a type, found \"*\""),
        (
            "f64(f64 f64)",
            "        ^^^",
            "expected \",\" or \")\" after a parameter, found \"f64\"",
        ),
        (
            "f64(f64 ptr)",
            "        ^^^",
            "expected \",\" or \")\" after a parameter, found \"ptr\"",
        ),
        (
            "f64(f64 x y)",
            "          ^",
            "expected \",\" or \")\" after a parameter, found \"y\"",
        ),
        (
            "int(int x[3)",
            "           ^",
            "expected \"]\" after the length of an array, found \")\"",
        ),
        ("const(int)", "     ^", "expected a type, found \"(\""),
    ];
    for (text, carets, message) in table {
        let Err(error) = Signature::parse(text) else {
            panic!("{text:?} was read")
        };
        assert_eq!(error.render(), format!("{text}\n{carets}"), "{text:?}");
        assert_eq!(error.kind.to_string(), *message, "{text:?}");
        assert!(error.to_string().ends_with(message), "{error}");
    }
}

#[test]
fn parameters_are_limited() {
    let text = |n: usize| format!("void({})", vec!["i8"; n].join(", "));
    assert_eq!(Signature::parse(&text(255)).unwrap().params().len(), 255);
    let error = Signature::parse(&text(256)).unwrap_err();
    assert_eq!(error.kind, SignatureErrorKind::TooManyParameters);
    let error = Signature::new(vec![Ty::I8; 256], Ty::Void).unwrap_err();
    assert_eq!(error.kind, SignatureErrorKind::TooManyParameters);
    let error = Signature::new(vec![Ty::F64, Ty::Void], Ty::Void).unwrap_err();
    assert_eq!(error.kind, SignatureErrorKind::VoidParameter);
    assert_eq!(error.render(), "void(f64, void)\n          ^^^^");
    assert!(Signature::new(vec![Ty::Void], Ty::Void).is_err());
}

#[test]
fn display_round_trips() {
    arbtest::arbtest(|u| {
        let result = *u.choose(&Ty::ALL)?;
        let n = u.int_in_range(0..=20)?;
        let params = (0..n)
            .map(|_| Ok(*u.choose(&Ty::ALL[..12])?))
            .collect::<Result<_, _>>()?;
        let signature = Signature::new(params, result).unwrap();
        for abi in Abi::ALL {
            let read = Signature::parse_for(&signature.to_string(), abi).unwrap();
            assert_eq!(read, signature);
        }
        Ok(())
    });
}

/// No text makes the parser panic, and spans can be cut out of the text.
#[test]
fn parse_never_panics() {
    const PIECES: &[&str] = &[
        "f64", "i32", "double", "long", "unsigned", "const", "struct", "union", "void", "ptr", "x",
        "(", ")", "[", "]", "{", "}", "*", ",", ";", "...", ".", " ", "\n", "ß", "🦀", "9", "_",
    ];
    let check = |text: &str| match Signature::parse(text) {
        Ok(signature) => {
            assert_eq!(Signature::parse(&signature.to_string()).unwrap(), signature);
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{text:?} {error:?}");
            let _ = (error.render(), error.to_string());
        }
    };
    arbtest::arbtest(|u| {
        if u.arbitrary()? {
            check(u.arbitrary::<&str>()?);
        } else {
            let n = u.int_in_range(0..=16)?;
            let pieces = (0..n)
                .map(|_| u.choose(PIECES).copied())
                .collect::<Result<Vec<_>, _>>()?;
            check(&pieces.concat());
        }
        Ok(())
    });
}

/// Types nested without end are an error, not a stack overflow.
#[test]
fn depth_is_limited() {
    for (open, close) in [("{", "}"), ("void(", ")*"), ("struct {", ";}")] {
        let text = |n: usize| format!("f64({}f64{})", open.repeat(n), close.repeat(n));
        Signature::parse(&text(16)).unwrap_or_else(|error| panic!("{error}"));
        let error = Signature::parse(&text(100_000)).unwrap_err();
        assert_eq!(error.kind, SignatureErrorKind::Depth);
    }
}
