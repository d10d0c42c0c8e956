//! Calls under both conventions, against the Rust compiler's idea of them.
//!
//! `extern "sysv64"` and `extern "win64"` functions exist on every operating system, so they are
//! the judges: functions of drawn signatures record what they receive. A second judge, a callee
//! that stores all registers and its stack, takes any signature at all, beyond what can be
//! compiled in advance.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(unsafe_code, reason = "calls machine code")]
#![expect(
    non_camel_case_types,
    reason = "signatures are written in their normal form"
)]

use std::cell::RefCell;
use std::sync::Mutex;

use arbitrary::Unstructured;
use opcodon_codemem::{Abi, CodeError, Function, Signature, Ty, Value, call_address};

type ptr = usize;
type void = ();

thread_local! {
    static RECEIVED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static RESULT: RefCell<Value> = const { RefCell::new(Value::Void) };
}

/// A type of Rust that stands for a type of signatures.
trait Native {
    fn value(self) -> Value;
    fn from_value(value: Value) -> Self;
}

macro_rules! native {
    ($($ty:ident $variant:ident,)*) => {$(
        impl Native for $ty {
            fn value(self) -> Value {
                Value::$variant(self)
            }

            fn from_value(value: Value) -> Self {
                match value {
                    Value::$variant(x) => x,
                    other => panic!("{other:?} is not {}", stringify!($ty)),
                }
            }
        }
    )*};
}

native! {
    f64 F64, f32 F32, i8 I8, i16 I16, i32 I32, i64 I64,
    u8 U8, u16 U16, u32 U32, u64 U64, bool Bool, ptr Ptr,
}

impl Native for void {
    fn value(self) -> Value {
        Value::Void
    }

    fn from_value(value: Value) -> Self {
        assert_eq!(value, Value::Void);
    }
}

/// A function that records its arguments, compiled for both conventions.
struct Callee {
    signature: &'static str,
    sysv: *const u8,
    win64: *const u8,
}

macro_rules! callees {
    ($($name:ident($($arg:ident: $ty:ident),*) -> $result:ident;)*) => {
        callees!(@functions sysv "sysv64" $($name($($arg: $ty),*) -> $result;)*);
        callees!(@functions win64 "win64" $($name($($arg: $ty),*) -> $result;)*);

        fn callees() -> Vec<Callee> {
            vec![$(Callee {
                signature: stringify!($result($($ty),*)),
                sysv: sysv::$name as *const u8,
                win64: win64::$name as *const u8,
            }),*]
        }
    };
    (@functions $module:ident $abi:literal $($name:ident($($arg:ident: $ty:ident),*) -> $result:ident;)*) => {
        mod $module {
            use super::*;
            $(
                #[expect(clippy::allow_attributes, reason = "only long ones are too long")]
                #[allow(clippy::too_many_arguments, reason = "that is what is tested")]
                pub(super) extern $abi fn $name($($arg: $ty),*) -> $result {
                    RECEIVED.set(vec![$($arg.value()),*]);
                    <$result>::from_value(RESULT.with_borrow(Value::clone))
                }
            )*
        }
    };
}

// Drawn at random once: up to twelve parameters, with mixtures from all integers to all floats,
// and every type as a result.
callees! {
    c00() -> f64;
    c01(a: i8) -> f32;
    c02(a: f32, b: u8) -> i8;
    c03(a: i64, b: ptr, c: u32) -> i16;
    c04(a: bool, b: bool, c: bool, d: f64) -> i32;
    c05(a: f32, b: f32, c: f32, d: f64, e: f64) -> i64;
    c06(a: i32, b: i32, c: u16, d: bool, e: u64, f: bool) -> u8;
    c07(a: u16, b: u16, c: f32, d: f32, e: u64, f: i64, g: f32) -> u16;
    c08(a: u16, b: u64, c: u64, d: f32, e: f64, f: i32, g: ptr, h: f32) -> u32;
    c09(a: f32, b: f64, c: f32, d: ptr, e: u16, f: f64, g: i16, h: f64, i: f64) -> u64;
    c10(a: i16, b: i32, c: i64, d: i8, e: i8, f: f32, g: f64, h: f64, i: f64, j: i32) -> bool;
    c11(a: i32, b: bool, c: u32, d: i64, e: f64, f: f64, g: f32, h: f32, i: ptr, j: u8, k: ptr) -> ptr;
    c12(a: f32, b: f64, c: f32, d: f64, e: f64, f: f32, g: f32, h: f32, i: f32, j: f64, k: f32, l: f64) -> void;
    c13(a: u64, b: bool, c: i8, d: i64, e: i16, f: ptr, g: ptr, h: u8, i: u8, j: i8, k: u32, l: i16) -> f64;
    c14(a: i16, b: f64, c: f64, d: f64, e: u64, f: f32, g: f64, h: u32, i: f64, j: i8, k: bool, l: i16) -> f32;
    c15(a: u64, b: f64, c: u8, d: u16, e: f32, f: f32, g: f64, h: i8, i: f32, j: f64, k: f64, l: f64) -> i8;
    c16(a: f32, b: f32, c: f32, d: f32, e: f64, f: f64, g: f32, h: f64, i: f64, j: f32, k: f32, l: f32) -> i16;
    c17(a: f32, b: bool, c: u32, d: u8, e: i32, f: u8, g: i16, h: ptr, i: f32, j: f64, k: i16, l: i8) -> i32;
    c18(a: f32, b: f32, c: f32, d: f32, e: f64, f: u8, g: f64, h: f64, i: f32, j: ptr, k: u64, l: f64) -> i64;
    c19(a: f32, b: f64, c: f64, d: f32, e: f32, f: f32, g: f32, h: f64, i: f64, j: f64, k: f32, l: f64) -> u8;
    c20(a: bool, b: u64, c: i16, d: i64, e: ptr, f: i64, g: i16, h: bool, i: i64, j: ptr, k: u64, l: i32) -> u16;
    c21(a: f32, b: f64, c: f64, d: i16, e: f32, f: i16, g: u64, h: u16, i: f32, j: f64, k: u16, l: f32) -> u32;
    c22(a: f64, b: f32, c: f32, d: i32, e: f32, f: u16, g: f32, h: i64, i: u8, j: f64, k: f32, l: f32) -> u64;
    c23(a: f32, b: f32, c: f64, d: f64, e: f64, f: f64, g: f64, h: bool, i: f32, j: f64, k: f32, l: i64) -> bool;
    c24(a: i16, b: u16, c: f32, d: u64, e: u64, f: i64, g: u16, h: f64, i: u16, j: f64, k: i64, l: bool) -> ptr;
    c25(a: u32, b: u16, c: f32, d: u8, e: i16, f: f32, g: f32, h: u16, i: f64, j: i32, k: f32, l: f64) -> void;
    c26(a: f64, b: f32, c: f32, d: f32, e: f32, f: f64, g: f64, h: f64, i: f64, j: f64, k: f32, l: f64) -> f64;
    c27(a: i64, b: i8, c: u16, d: ptr, e: i32, f: i16, g: u8, h: bool, i: i16, j: ptr, k: i64, l: u32) -> f32;
    c28(a: u64, b: u16, c: ptr, d: ptr, e: u64, f: u64, g: f32, h: i8, i: u64, j: i32, k: f64, l: f32) -> i8;
    c29(a: f64, b: f32, c: f64, d: f64, e: f32, f: f32, g: f32, h: f64, i: f64, j: f64, k: bool, l: f64) -> i16;
    c30(a: f32, b: f64, c: f32, d: f64, e: f32, f: f32, g: bool, h: f64, i: f64, j: f64, k: f64, l: f32) -> i32;
    c31(a: f64, b: u8, c: bool, d: f32, e: u64, f: i64, g: i32, h: i16, i: f64, j: u32, k: i32, l: u8) -> i64;
    c32(a: u64, b: i64, c: ptr, d: f64, e: i32, f: bool, g: i16, h: u64, i: i64, j: f32, k: u8, l: bool) -> u8;
    c33(a: f32, b: f64, c: f64, d: f32, e: f64, f: f32, g: f32, h: f64, i: f64, j: f32, k: f32, l: f32) -> u16;
    c34(a: ptr, b: i64, c: ptr, d: i16, e: ptr, f: u64, g: ptr, h: ptr, i: u8, j: bool, k: u8, l: i8) -> u32;
    c35(a: f32, b: f32, c: u16, d: i16, e: f64, f: f64, g: f64, h: u32, i: ptr, j: f32, k: u64, l: f64) -> u64;
    c36(a: f32, b: i64, c: f32, d: u32, e: i64, f: bool, g: f64, h: f32, i: i16, j: u32, k: f32, l: f64) -> bool;
    c37(a: f64, b: f64, c: f32, d: f32, e: f32, f: f32, g: f32, h: f64, i: f64, j: f64, k: f64, l: f64) -> ptr;
    c38(a: u8, b: i16, c: bool, d: f64, e: i32, f: f32, g: bool, h: u16, i: i16, j: i16, k: u16, l: u8) -> void;
    c39(a: u8, b: i32, c: f32, d: f64, e: f64, f: i16, g: bool, h: u32, i: f64, j: i32, k: i8, l: u16) -> f64;
    c40(a: f64, b: f64, c: f32, d: f64, e: f64) -> f32;
    c41(a: u32, b: u8, c: i64, d: bool) -> i8;
    c42(a: u32, b: i32, c: f64, d: f32, e: f64, f: u64, g: ptr, h: u64, i: f64, j: i32, k: f64) -> i16;
    c43(a: ptr, b: u64, c: f64, d: f32, e: u16) -> i32;
    c44(a: ptr, b: u32, c: f64) -> i64;
    c45(a: u8, b: i64, c: u64, d: ptr, e: i64, f: bool, g: f32, h: u16, i: bool, j: i64, k: u32) -> u8;
    c46(a: f32, b: u64, c: f32, d: f32) -> u16;
    c47(a: f64, b: f64, c: f32, d: f64, e: f32, f: f32, g: f32, h: f64, i: f64, j: f64, k: f32) -> u32;
    c48(a: u32, b: u16, c: bool, d: u32, e: i64, f: i16, g: u16, h: u64) -> u64;
    c49(a: i8, b: f32, c: f64, d: ptr, e: f32) -> bool;
    c50(a: f32, b: u64, c: f32, d: f64, e: i64) -> ptr;
    c51(a: i32, b: bool, c: ptr, d: f32, e: f32, f: f64, g: f32, h: f64) -> void;
    c52(a: ptr, b: u64, c: i32, d: i64, e: f64, f: i64) -> f64;
    c53(a: f64, b: f64, c: f32, d: f64, e: f32) -> f32;
    c54(a: f32, b: f64, c: f32, d: f32, e: f64) -> i8;
    c55(a: i64, b: i32, c: u8, d: i64, e: u16, f: i8, g: i64, h: u16, i: i16, j: i32, k: i64) -> i16;
    c56(a: f32, b: f64, c: ptr) -> i32;
    c57(a: f32, b: i64, c: f64, d: u16, e: i16) -> i64;
    c58(a: f64, b: u64, c: u16, d: f32, e: f64, f: i16, g: f64, h: u16, i: i32, j: ptr, k: f64) -> u8;
    c59(a: i64, b: i64, c: i16, d: u32) -> u16;
    c60(a: f64, b: u16, c: f32, d: u16, e: bool, f: i8) -> u32;
    c61(a: f32, b: f64, c: f64, d: f64, e: f64) -> u64;
    c62(a: i32, b: i64, c: u32, d: u16, e: u16, f: i8, g: u8, h: i64, i: i64, j: i32, k: i32) -> bool;
    c63(a: f64, b: u32, c: f64, d: f64, e: i64, f: f64, g: u32, h: i32, i: f32) -> ptr;
    c64(a: bool, b: u8, c: f32, d: f32, e: u32, f: f32, g: f32) -> void;
    c65(a: f32, b: f64, c: f32, d: u64, e: f32, f: f32, g: f64, h: f64, i: f64, j: f64, k: f64) -> f64;
    c66(a: u64, b: f64, c: i32, d: bool) -> f32;
    c67(a: f64, b: bool, c: i64) -> i8;
    c68(a: f64, b: f64, c: f64, d: f32, e: f32) -> i16;
    c69(a: ptr, b: bool, c: i8, d: u64, e: u16) -> i32;
    c70(a: i8, b: f64, c: f64, d: f32, e: f32, f: f32, g: f64) -> i64;
    c71(a: f32, b: f32, c: f64, d: i8, e: f64) -> u8;
}

/// Compares bits, so that NaN equals itself and the zeros differ.
fn bits(value: Value) -> (Ty, u64) {
    let bits = match value {
        Value::F64(x) => x.to_bits(),
        Value::F32(x) => u64::from(x.to_bits()),
        Value::I8(x) => u64::from(x.cast_unsigned()),
        Value::I16(x) => u64::from(x.cast_unsigned()),
        Value::I32(x) => u64::from(x.cast_unsigned()),
        Value::I64(x) => x.cast_unsigned(),
        Value::U8(x) => u64::from(x),
        Value::U16(x) => u64::from(x),
        Value::U32(x) => u64::from(x),
        Value::U64(x) => x,
        Value::Bool(x) => u64::from(x),
        Value::Ptr(x) => x as u64,
        Value::Void => 0,
        other => panic!("{other:?} is new"),
    };
    (value.ty(), bits)
}

fn draw(ty: Ty, u: &mut Unstructured<'_>) -> arbitrary::Result<Value> {
    Ok(match ty {
        Ty::F64 => Value::F64(u.arbitrary()?),
        Ty::F32 => Value::F32(u.arbitrary()?),
        Ty::I8 => Value::I8(u.arbitrary()?),
        Ty::I16 => Value::I16(u.arbitrary()?),
        Ty::I32 => Value::I32(u.arbitrary()?),
        Ty::I64 => Value::I64(u.arbitrary()?),
        Ty::U8 => Value::U8(u.arbitrary()?),
        Ty::U16 => Value::U16(u.arbitrary()?),
        Ty::U32 => Value::U32(u.arbitrary()?),
        Ty::U64 => Value::U64(u.arbitrary()?),
        Ty::Bool => Value::Bool(u.arbitrary()?),
        Ty::Ptr => Value::Ptr(u.arbitrary()?),
        Ty::Void => Value::Void,
        other => panic!("{other:?} is new"),
    })
}

fn draw_args(signature: &Signature, u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<Value>> {
    signature.params().iter().map(|&ty| draw(ty, u)).collect()
}

/// Calls a recording function and compares what went in and out, to the bit.
fn check(callee: &Callee, abi: Abi, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let signature = Signature::parse(callee.signature).unwrap();
    let address = match abi {
        Abi::SysV => callee.sysv,
        Abi::Win64 => callee.win64,
    };
    let args = draw_args(&signature, u)?;
    let result = draw(signature.result(), u)?;
    RESULT.set(result.clone());
    // SAFETY: the macro made the function and the text of its signature from the same row.
    let returned = unsafe { call_address(address, &signature, abi, &args) }.unwrap();
    let received: Vec<_> = RECEIVED.take().into_iter().map(bits).collect();
    let sent: Vec<_> = args.into_iter().map(bits).collect();
    assert_eq!(received, sent, "{abi} {signature}");
    assert_eq!(bits(returned), bits(result), "{abi} {signature}");
    Ok(())
}

#[test]
fn rust_functions_receive_what_was_sent() {
    let callees = callees();
    // Every row, under both conventions, and then whatever is drawn.
    let seed: Vec<u8> = (0..1 << 16)
        .map(|i: u32| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    let mut u = Unstructured::new(&seed);
    for callee in &callees {
        for abi in Abi::ALL {
            check(callee, abi, &mut u).unwrap();
        }
    }
    arbtest::arbtest(|u| check(u.choose(&callees)?, *u.choose(&Abi::ALL)?, u));
}

/// What the spy stores: general registers, vector registers, and the stack above its return
/// address.
#[repr(C, align(16))]
struct Seen {
    ints: [u64; 6],
    floats: [[u64; 2]; 8],
    rsp: u64,
    stack: [u64; 300],
}

static SEEN: Mutex<()> = Mutex::new(());
static mut SEEN_BY_SPY: Seen = Seen {
    ints: [0; 6],
    floats: [[0; 2]; 8],
    rsp: 0,
    stack: [0; 300],
};

/// Stores everything that may carry an argument, under either convention.
#[unsafe(naked)]
unsafe extern "C" fn spy() {
    std::arch::naked_asm!(
        "lea r11, [rip + {seen}]",
        "mov [r11], rdi",
        "mov [r11 + 8], rsi",
        "mov [r11 + 16], rdx",
        "mov [r11 + 24], rcx",
        "mov [r11 + 32], r8",
        "mov [r11 + 40], r9",
        "movaps [r11 + 48], xmm0",
        "movaps [r11 + 64], xmm1",
        "movaps [r11 + 80], xmm2",
        "movaps [r11 + 96], xmm3",
        "movaps [r11 + 112], xmm4",
        "movaps [r11 + 128], xmm5",
        "movaps [r11 + 144], xmm6",
        "movaps [r11 + 160], xmm7",
        "mov [r11 + 176], rsp",
        "mov ecx, 300",
        "2:",
        "mov rax, [rsp + rcx * 8]",
        "mov [r11 + rcx * 8 + 176], rax",
        "dec ecx",
        "jnz 2b",
        "ret",
        seen = sym SEEN_BY_SPY,
    )
}

/// Where argument `index` has to be: an account of the conventions by counting, not by filling.
fn found(seen: &Seen, params: &[Ty], index: usize, abi: Abi) -> u64 {
    let is_float = params[index].is_float();
    let floats_before = params[..index].iter().filter(|ty| ty.is_float()).count();
    let ints_before = index - floats_before;
    match abi {
        Abi::SysV if is_float && floats_before < 8 => seen.floats[floats_before][0],
        Abi::SysV if !is_float && ints_before < 6 => seen.ints[ints_before],
        Abi::SysV => seen.stack[floats_before.saturating_sub(8) + ints_before.saturating_sub(6)],
        Abi::Win64 if index >= 4 => seen.stack[index],
        Abi::Win64 if is_float => seen.floats[index][0],
        // rcx rdx r8 r9
        Abi::Win64 => seen.ints[[3, 2, 4, 5][index]],
    }
}

/// The value as a register must hold it: all 64 bits.
fn extended(value: Value) -> u64 {
    match value {
        Value::I8(x) => i64::from(x).cast_unsigned(),
        Value::I16(x) => i64::from(x).cast_unsigned(),
        Value::I32(x) => i64::from(x).cast_unsigned(),
        other => bits(other).1,
    }
}

#[test]
fn any_signature_puts_its_arguments_where_the_convention_says() {
    arbtest::arbtest(|u| {
        let abi = *u.choose(&Abi::ALL)?;
        let n_max = if u.ratio(1, 20)? { 255 } else { 20 };
        let n = u.int_in_range(0..=n_max)?;
        let params = (0..n)
            .map(|_| Ok(*u.choose(&Ty::ALL[..12])?))
            .collect::<Result<Vec<_>, _>>()?;
        let signature = Signature::new(params, Ty::Void).unwrap();
        let args = draw_args(&signature, u)?;
        let _guard = SEEN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: the spy changes only registers that callees may change, and `SEEN_BY_SPY`, whose
        // lock is held. It reads 2400 bytes above its return address, where the stack frames of
        // this test and of the test harness are.
        unsafe { call_address(spy as *const u8, &signature, abi, &args) }.unwrap();
        let seen = &raw const SEEN_BY_SPY;
        // SAFETY: the lock is held, and the spy has returned.
        let seen = unsafe { &*seen };
        assert_eq!(seen.rsp % 16, 8, "{abi} {signature}");
        for (index, arg) in args.iter().enumerate() {
            let found = found(seen, signature.params(), index, abi);
            assert_eq!(
                found,
                extended(arg.clone()),
                "{abi} {signature}, argument {index}"
            );
        }
        Ok(())
    })
    .budget_ms(1000);
}

fn function(bytes: &[u8], signature: &str, abi: Abi) -> Function {
    Function::new(bytes, Signature::parse(signature).unwrap(), abi).unwrap()
}

/// Code, signature, arguments and result, the same under both conventions.
#[test]
fn machine_code_is_called() {
    let table: &[(&[u8], &str, &[Value], Value)] = &[
        // addsd xmm0, xmm1
        (
            b"\xf2\x0f\x58\xc1\xc3",
            "f64(f64, f64)",
            &[Value::F64(1.5), Value::F64(2.25)],
            Value::F64(3.75),
        ),
        // mulss xmm0, xmm1
        (
            b"\xf3\x0f\x59\xc1\xc3",
            "float(float, float)",
            &[Value::F32(1.5), Value::F32(-2.0)],
            Value::F32(-3.0),
        ),
        // ret
        (b"\xc3", "void()", &[], Value::Void),
        (b"\xc3", "f64(f64)", &[Value::F64(-0.0)], Value::F64(-0.0)),
        // mov eax, 7
        (b"\xb8\x07\x00\x00\x00\xc3", "int(void)", &[], Value::I32(7)),
        // mov rax, -128: only the bits of the type count
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "i8()",
            &[],
            Value::I8(-128),
        ),
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "u8()",
            &[],
            Value::U8(128),
        ),
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "i16()",
            &[],
            Value::I16(-128),
        ),
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "u16()",
            &[],
            Value::U16(0xff80),
        ),
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "i32()",
            &[],
            Value::I32(-128),
        ),
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "u32()",
            &[],
            Value::U32(0xffff_ff80),
        ),
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "i64()",
            &[],
            Value::I64(-128),
        ),
        (
            b"\x48\xc7\xc0\x80\xff\xff\xff\xc3",
            "u64()",
            &[],
            Value::U64(!0x7f),
        ),
        // mov eax, 0x100; mov eax, 0xff01: a bool is the low byte
        (
            b"\xb8\x00\x01\x00\x00\xc3",
            "bool()",
            &[],
            Value::Bool(false),
        ),
        (
            b"\xb8\x01\xff\x00\x00\xc3",
            "bool()",
            &[],
            Value::Bool(true),
        ),
    ];
    for (code, signature, args, expected) in table {
        for abi in Abi::ALL {
            let function = function(code, signature, abi);
            // SAFETY: the code is a function of that signature and touches no memory.
            let result = unsafe { function.call(args) }.unwrap();
            assert_eq!(bits(result), bits(expected.clone()), "{signature} {abi}");
            assert_eq!(function.code().bytes(), *code);
        }
    }
}

/// Under Microsoft's convention a callee may write 32 bytes above its return address.
#[test]
fn shadow_space_belongs_to_the_callee() {
    let code = b"\
        \x48\xc7\x44\x24\x08\xff\xff\xff\xff\
        \x48\xc7\x44\x24\x10\xff\xff\xff\xff\
        \x48\xc7\x44\x24\x18\xff\xff\xff\xff\
        \x48\xc7\x44\x24\x20\xff\xff\xff\xff\
        \x48\x8b\x44\x24\x28\
        \xc3"; // mov qword [rsp+8 … rsp+32], -1; mov rax, [rsp+40]; ret
    let function = function(code, "i64(i64, i64, i64, i64, i64)", Abi::Win64);
    // SAFETY: the code writes its own shadow space and reads its fifth argument.
    let result = unsafe { function.call(&[1, 2, 3, 4, 5].map(Value::I64)) };
    assert_eq!(result.unwrap(), Value::I64(5));
}

/// `mov rax, address; jmp rax`
fn jump_to(address: *const u8) -> Vec<u8> {
    let mut code = b"\x48\xb8".to_vec();
    code.extend((address as u64).to_le_bytes());
    code.extend(b"\xff\xe0");
    code
}

#[test]
fn floats_take_the_short_way() {
    macro_rules! weighted_sums {
        ($(($($arg:ident)*))*) => {
            [$({
                #[expect(clippy::allow_attributes, reason = "only long ones are too long")]
                #[allow(clippy::too_many_arguments, reason = "that is what is tested")]
                extern "sysv64" fn sysv($($arg: f64),*) -> f64 { weighted(&[$($arg),*]) }
                #[expect(clippy::allow_attributes, reason = "only long ones are too long")]
                #[allow(clippy::too_many_arguments, reason = "that is what is tested")]
                extern "win64" fn win64($($arg: f64),*) -> f64 { weighted(&[$($arg),*]) }
                (sysv as *const u8, win64 as *const u8)
            }),*]
        };
    }
    fn weighted(args: &[f64]) -> f64 {
        args.iter()
            .zip(1_u32..)
            .map(|(x, weight)| x * f64::from(weight))
            .sum()
    }
    let functions = weighted_sums! {
        () (a) (a b) (a b c) (a b c d) (a b c d e) (a b c d e f) (a b c d e f g) (a b c d e f g h)
        (a b c d e f g h i) (a b c d e f g h i j) (a b c d e f g h i j k)
        (a b c d e f g h i j k l)
    };
    for (n, (sysv, win64)) in functions.into_iter().enumerate() {
        let signature = format!("f64({})", vec!["f64"; n].join(", "));
        let args: Vec<f64> = (0..n).map(|i| (i as f64 - 3.5) * 1.25).collect();
        for (abi, address) in [(Abi::SysV, sysv), (Abi::Win64, win64)] {
            let function = function(&jump_to(address), &signature, abi);
            assert!(function.signature().is_all_f64());
            // SAFETY: the code jumps to a function of that signature and convention.
            let result = unsafe { function.call_f64(&args) };
            assert_eq!(
                result.to_bits(),
                weighted(&args).to_bits(),
                "{signature} {abi}"
            );
        }
    }
}

#[test]
fn wrong_arguments_are_refused_before_the_call() {
    // ud2: would stop the process if it were called
    let function = function(b"\x0f\x0b", "f64(f64, i32)", Abi::host());
    let table: &[(&[Value], &str)] = &[
        (&[], "the function takes 2 arguments, but 0 were given"),
        (
            &[Value::F64(1.0)],
            "the function takes 2 arguments, but 1 were given",
        ),
        (
            &[Value::F64(1.0), Value::I64(2)],
            "argument 1 (counted from 0) must be i32, but is i64",
        ),
        (
            &[Value::F32(1.0), Value::I32(2)],
            "argument 0 (counted from 0) must be f64, but is f32",
        ),
    ];
    for (args, message) in table {
        // SAFETY: the arguments do not fit, so nothing is called.
        let error = unsafe { function.call(args) }.unwrap_err();
        assert_eq!(error.to_string(), *message);
    }
}

#[test]
fn no_bytes_are_no_function() {
    let signature = Signature::parse("void()").unwrap();
    let error = Function::new(b"", signature, Abi::host()).unwrap_err();
    assert!(matches!(error, CodeError::Empty), "{error}");
}

#[test]
fn conventions_have_names() {
    for abi in Abi::ALL {
        assert_eq!(Abi::from_name(&abi.to_string()), Some(abi));
    }
    assert_eq!(Abi::from_name("cdecl"), None);
}
