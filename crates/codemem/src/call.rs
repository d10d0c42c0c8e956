//! Calling bytes: a function is code with a signature and a calling convention.
//!
//! The signature is known only at run time, so the registers for a call are chosen at run time:
//! arguments are sorted into a frame, as the convention says, and one small trampoline a
//! convention loads all argument registers and the stack from the frame, calls, and stores both
//! result registers. It does not need to know which of them count.
//!
//! | | System V | Microsoft |
//! |---|---|---|
//! | integers | `rdi rsi rdx rcx r8 r9` | `rcx rdx r8 r9`, by position |
//! | floats | `xmm0`–`xmm7` | `xmm0`–`xmm3`, by position |
//! | the others | on the stack, 8 bytes each | on the stack, above 32 bytes of shadow space |
//! | result | `rax` or `xmm0` | `rax` or `xmm0` |
//!
//! Integers are extended to 64 bits by their type, `f32` travels in the low half, and of results
//! only the bits of the type are read: the conventions leave the others undefined.
//!
//! Sources: System V ABI, AMD64 supplement, 3.2.3; Microsoft, "x64 calling convention".

use std::fmt;

use crate::trampoline::{SysVFrame, Win64Frame, call_sysv, call_win64};
use crate::{Code, CodeError, CodeHeap, Signature, Ty};

/// A calling convention of x86-64. Both can be called on every operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abi {
    /// System V: Linux, macOS, the BSDs.
    SysV,
    /// Microsoft: Windows.
    Win64,
}

impl Abi {
    /// Both conventions.
    pub const ALL: [Self; 2] = [Self::SysV, Self::Win64];

    /// The convention of the operating system this runs on.
    #[must_use]
    pub const fn host() -> Self {
        if cfg!(windows) {
            Self::Win64
        } else {
            Self::SysV
        }
    }

    /// `sysv` or `win64`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SysV => "sysv",
            Self::Win64 => "win64",
        }
    }

    /// The convention of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|abi| abi.name() == name)
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An argument or a result.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the variants are those of Ty, and documented there"
)]
pub enum Value {
    F64(f64),
    F32(f32),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Bool(bool),
    /// An address. The value does not keep alive what is there.
    Ptr(usize),
    /// The result of a function without one.
    Void,
}

impl Value {
    /// The type.
    #[must_use]
    pub fn ty(self) -> Ty {
        match self {
            Self::F64(_) => Ty::F64,
            Self::F32(_) => Ty::F32,
            Self::I8(_) => Ty::I8,
            Self::I16(_) => Ty::I16,
            Self::I32(_) => Ty::I32,
            Self::I64(_) => Ty::I64,
            Self::U8(_) => Ty::U8,
            Self::U16(_) => Ty::U16,
            Self::U32(_) => Ty::U32,
            Self::U64(_) => Ty::U64,
            Self::Bool(_) => Ty::Bool,
            Self::Ptr(_) => Ty::Ptr,
            Self::Void => Ty::Void,
        }
    }

    /// The register that carries the value: extended by its sign if it has one, else by zeros.
    fn to_register(self) -> u64 {
        match self {
            Self::F64(x) => x.to_bits(),
            Self::F32(x) => u64::from(x.to_bits()),
            Self::I8(x) => i64::from(x).cast_unsigned(),
            Self::I16(x) => i64::from(x).cast_unsigned(),
            Self::I32(x) => i64::from(x).cast_unsigned(),
            Self::I64(x) => x.cast_unsigned(),
            Self::U8(x) => u64::from(x),
            Self::U16(x) => u64::from(x),
            Self::U32(x) => u64::from(x),
            Self::U64(x) => x,
            Self::Bool(x) => u64::from(x),
            Self::Ptr(x) => x as u64,
            Self::Void => 0,
        }
    }

    /// Reads a result of type `ty`; bits that the type does not have are ignored.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper bits are undefined"
    )]
    fn from_registers(ty: Ty, rax: u64, xmm0: u64) -> Self {
        match ty {
            Ty::F64 => Self::F64(f64::from_bits(xmm0)),
            Ty::F32 => Self::F32(f32::from_bits(xmm0 as u32)),
            Ty::I8 => Self::I8(rax as i8),
            Ty::I16 => Self::I16(rax as i16),
            Ty::I32 => Self::I32(rax as i32),
            Ty::I64 => Self::I64(rax.cast_signed()),
            Ty::U8 => Self::U8(rax as u8),
            Ty::U16 => Self::U16(rax as u16),
            Ty::U32 => Self::U32(rax as u32),
            Ty::U64 => Self::U64(rax),
            Ty::Bool => Self::Bool(rax as u8 != 0),
            Ty::Ptr => Self::Ptr(rax as usize),
            Ty::Void => Self::Void,
        }
    }
}

/// Machine code that can be called with values.
///
/// ```
/// use opcodon_codemem::{Abi, Function, Signature, Value};
/// // addsd xmm0, xmm1; ret
/// let signature = Signature::parse("f64(f64, f64)")?;
/// let add = Function::new(b"\xf2\x0f\x58\xc1\xc3", signature, Abi::SysV)?;
/// // SAFETY: the bytes are a function of this signature and convention that touches no memory.
/// let sum = unsafe { add.call(&[Value::F64(1.0), Value::F64(2.0)]) }?;
/// assert_eq!(sum, Value::F64(3.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Function {
    code: Code,
    signature: Signature,
    abi: Abi,
}

impl Function {
    /// Puts the bytes into the [global heap](CodeHeap::global).
    ///
    /// # Errors
    /// [`CodeError::Empty`] for no bytes, [`CodeError::Denied`] or [`CodeError::Map`] if there is
    /// no memory for code.
    pub fn new(bytes: &[u8], signature: Signature, abi: Abi) -> Result<Self, CodeError> {
        Ok(Self::from_code(
            CodeHeap::global().install(bytes)?,
            signature,
            abi,
        ))
    }

    /// A function of code that is installed already.
    #[must_use]
    pub fn from_code(code: Code, signature: Signature, abi: Abi) -> Self {
        Self {
            code,
            signature,
            abi,
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The calling convention.
    #[must_use]
    pub fn abi(&self) -> Abi {
        self.abi
    }

    /// Calls the function.
    ///
    /// # Errors
    /// [`CodeError::ArgumentCount`] or [`CodeError::ArgumentType`] if the arguments are not those
    /// of the signature; then nothing was called.
    ///
    /// # Safety
    /// As for [`call_address`], for the bytes of this function.
    pub unsafe fn call(&self, args: &[Value]) -> Result<Value, CodeError> {
        // SAFETY: the code is mapped as long as `self` lives; the rest is the caller's promise.
        unsafe { call_address(self.code.address(), &self.signature, self.abi, args) }
    }

    /// Calls a function whose parameters and result are all `f64`.
    ///
    /// # Safety
    /// As for [`call`](Self::call), and besides: the signature [is all
    /// `f64`](Signature::is_all_f64) and has as many parameters as there are arguments.
    #[must_use]
    pub unsafe fn call_f64(&self, args: &[f64]) -> f64 {
        debug_assert!(
            self.signature.is_all_f64(),
            "{} is not all f64",
            self.signature
        );
        debug_assert_eq!(
            self.signature.params().len(),
            args.len(),
            "{}",
            self.signature
        );
        // SAFETY: the code is mapped as long as `self` lives; the rest is the caller's promise.
        unsafe { call_f64(self.code.address(), self.abi, args) }
    }
}

/// Calls the function at an address.
///
/// # Errors
/// [`CodeError::ArgumentCount`] or [`CodeError::ArgumentType`] if the arguments are not those of
/// the signature; then nothing was called. [`CodeError::Unsupported`] on other processors.
///
/// # Safety
/// At the address there is a function of this signature and calling convention.
pub unsafe fn call_address(
    address: *const u8,
    signature: &Signature,
    abi: Abi,
    args: &[Value],
) -> Result<Value, CodeError> {
    let params = signature.params();
    if params.len() != args.len() {
        return Err(CodeError::ArgumentCount {
            expected: params.len(),
            found: args.len(),
        });
    }
    for (index, (&expected, arg)) in params.iter().zip(args).enumerate() {
        let found = arg.ty();
        if expected != found {
            return Err(CodeError::ArgumentType {
                index,
                expected,
                found,
            });
        }
    }
    let registers = args
        .iter()
        .map(|arg| (arg.ty().is_float(), arg.to_register()));
    // SAFETY: count and types of the arguments are those of the signature, checked above; that a
    // function of it stands at the address is the caller's promise.
    let (rax, xmm0) = unsafe { call_registers(address, abi, registers) };
    Ok(Value::from_registers(signature.result(), rax, xmm0))
}

/// Arguments on the stack for which no memory is allocated.
const STACK_INLINE: usize = 16;

/// Arguments on the stack.
struct Spill {
    inline: [u64; STACK_INLINE],
    len: usize,
    /// All of them, if there are more than fit inline.
    heap: Vec<u64>,
}

impl Spill {
    const fn new() -> Self {
        Self {
            inline: [0; STACK_INLINE],
            len: 0,
            heap: Vec::new(),
        }
    }

    fn push(&mut self, value: u64) {
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = value,
            None => {
                if self.heap.is_empty() {
                    self.heap.extend_from_slice(&self.inline);
                }
                self.heap.push(value);
            }
        }
        self.len += 1;
    }

    fn as_ptr(&self) -> *const u64 {
        if self.heap.is_empty() {
            self.inline.as_ptr()
        } else {
            self.heap.as_ptr()
        }
    }
}

/// Sorts arguments, each with whether it is a float, into a frame, and calls. Returns `rax` and
/// the low half of `xmm0`.
///
/// # Safety
/// At the address there is a function of the convention that takes these arguments.
unsafe fn call_registers(
    target: *const u8,
    abi: Abi,
    args: impl Iterator<Item = (bool, u64)>,
) -> (u64, u64) {
    let mut spill = Spill::new();
    match abi {
        Abi::SysV => {
            let mut frame = SysVFrame {
                ints: [0; 6],
                floats: [0; 8],
                stack: std::ptr::null(),
                n_stack: 0,
                target,
                rax: 0,
                xmm0: 0,
            };
            let (mut ints, mut floats) = (frame.ints.iter_mut(), frame.floats.iter_mut());
            for (is_float, value) in args {
                match if is_float { floats.next() } else { ints.next() } {
                    Some(register) => *register = value,
                    None => spill.push(value),
                }
            }
            frame.stack = spill.as_ptr();
            frame.n_stack = spill.len;
            // SAFETY: `frame` is a local, `frame.stack` points to `n_stack` values in `spill`,
            // which lives until the end of this function and, as no signature has more than 255
            // parameters, are less than a page; the target is the caller's promise.
            unsafe { call_sysv(&raw mut frame) };
            (frame.rax, frame.xmm0)
        }
        Abi::Win64 => {
            let mut frame = Win64Frame {
                slots: [0; 4],
                stack: std::ptr::null(),
                n_stack: 0,
                target,
                rax: 0,
                xmm0: 0,
            };
            let mut slots = frame.slots.iter_mut();
            for (_, value) in args {
                match slots.next() {
                    Some(slot) => *slot = value,
                    None => spill.push(value),
                }
            }
            frame.stack = spill.as_ptr();
            frame.n_stack = spill.len;
            // SAFETY: as above.
            unsafe { call_win64(&raw mut frame) };
            (frame.rax, frame.xmm0)
        }
    }
}

/// Calls a function of `f64`s, directly if it has few parameters.
///
/// # Safety
/// At the address there is a function of the convention that takes that many `f64` and returns
/// one.
unsafe fn call_f64(address: *const u8, abi: Abi, args: &[f64]) -> f64 {
    macro_rules! direct {
        ($abi:literal, $($arg:ident: $ty:ty),*) => {{
            // SAFETY: a function pointer is an address; that a function of this convention and
            // number of parameters stands there is the caller's promise.
            let function = unsafe {
                std::mem::transmute::<*const u8, unsafe extern $abi fn($($ty),*) -> f64>(address)
            };
            // SAFETY: as above.
            unsafe { function($($arg),*) }
        }};
    }
    macro_rules! by_count {
        ($abi:literal) => {
            match *args {
                [] => direct!($abi,),
                [a] => direct!($abi, a: f64),
                [a, b] => direct!($abi, a: f64, b: f64),
                [a, b, c] => direct!($abi, a: f64, b: f64, c: f64),
                [a, b, c, d] => direct!($abi, a: f64, b: f64, c: f64, d: f64),
                _ => {
                    let registers = args.iter().map(|x| (true, x.to_bits()));
                    // SAFETY: the caller's promise.
                    f64::from_bits(unsafe { call_registers(address, abi, registers) }.1)
                }
            }
        };
    }
    match abi {
        Abi::SysV => by_count!("sysv64"),
        Abi::Win64 => by_count!("win64"),
    }
}
