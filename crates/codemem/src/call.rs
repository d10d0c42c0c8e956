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

use crate::trampoline::{call_f64, call_registers};
use crate::{Code, CodeError, CodeHeap, Signature, Value};

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
    /// of the signature, [`CodeError::Closed`] if the code is lent and gone; then nothing was
    /// called.
    ///
    /// # Safety
    /// As for [`call_address`], for the bytes of this function.
    pub unsafe fn call(&self, args: &[Value]) -> Result<Value, CodeError> {
        if !self.code.is_open() {
            return Err(CodeError::Closed);
        }
        // SAFETY: the code is mapped as long as `self` lives; the rest is the caller's promise.
        unsafe { call_address(self.code.address(), &self.signature, self.abi, args) }
    }

    /// Calls a function whose parameters and result are all `f64`.
    ///
    /// # Safety
    /// As for [`call`](Self::call), and besides: the code is open, the signature [is all
    /// `f64`](Signature::is_all_f64) and has as many parameters as there are arguments, and the
    /// code keeps all of its convention, since with few arguments nothing is repaired.
    #[inline]
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
/// Nothing is known about the code at the address; the caller vouches for it. It is a function of
/// this signature and calling convention: valid instructions that this processor has, that access
/// only memory which is theirs to access (also through the arguments), that return, with `rsp` and
/// `rbp` as they were, and do not unwind. What else the convention asks for is repaired after the
/// call: the other general registers, `mxcsr` and the direction flag.
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
    let (rax, xmm0) = unsafe { call_registers(address, abi, registers) }?;
    Ok(Value::from_registers(signature.result(), rax, xmm0))
}
