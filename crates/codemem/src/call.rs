//! Calling bytes: a function is code with a signature and a calling convention.
//!
//! The signature is known only at run time, so the registers for a call are chosen at run time:
//! arguments are sorted into a frame, where the convention has them
//! ([`passing`](crate::passing)), and one small trampoline a convention loads all argument
//! registers and the stack from the frame, calls, and stores all result registers. It does not
//! need to know which of them count.
//!
//! Integers are extended to 64 bits by their type, `f32` travels in the low half, and of results
//! only the bits of the type are read: the conventions leave the others undefined.

use crate::passing::{self, Place, Places, Word};
use crate::trampoline::{Frame, call_few_f64};
use crate::value::Record;
use crate::{Abi, Code, CodeError, CodeHeap, Signature, Ty, Value};

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
    let n_surplus = args.len().saturating_sub(params.len());
    if args.len() < params.len() || n_surplus > 0 && !signature.is_variadic() {
        return Err(CodeError::ArgumentCount {
            expected: params.len(),
            found: args.len(),
        });
    }
    for (index, (&expected, arg)) in params.iter().zip(args).enumerate() {
        if !arg.is_of(expected) {
            return Err(CodeError::ArgumentType {
                index,
                expected,
                found: arg.ty(),
            });
        }
    }
    // Where C has no prototype, it passes floats as doubles.
    let promoted = |(index, arg): (usize, &Value)| match *arg {
        Value::F32(x) if index >= params.len() => Value::F64(x.into()),
        _ => arg.clone(),
    };
    let args = args.iter().enumerate().map(promoted);
    // SAFETY: count and types of the arguments are those of the signature, checked above; that a
    // function of it stands at the address is the caller's promise.
    unsafe { pass(address, abi, args, signature.result()) }
}

/// Calls the function of `f64`s at an address, directly if it has at most eight parameters. NaN
/// where there is no code to call.
///
/// # Safety
/// As for [`call_address`](crate::call_address), for a function that takes that many `f64` and
/// returns one; and the function keeps all of its convention, since nothing is repaired.
#[inline]
#[must_use]
pub unsafe fn call_f64(address: *const u8, abi: Abi, args: &[f64]) -> f64 {
    // SAFETY: the caller's promise.
    match unsafe { call_few_f64(address, abi, args) } {
        Some(result) => result,
        // SAFETY: as above.
        None => unsafe { call_many_f64(address, abi, args) },
    }
}

/// The same for any number of parameters.
///
/// # Safety
/// As for [`call_f64`].
unsafe fn call_many_f64(address: *const u8, abi: Abi, args: &[f64]) -> f64 {
    let args = args.iter().map(|&x| Value::F64(x));
    // SAFETY: the caller's promise.
    match unsafe { pass(address, abi, args, Ty::F64) } {
        Ok(Value::F64(result)) => result,
        _ => f64::NAN,
    }
}

/// Sorts arguments into a frame, calls, and reads the result.
///
/// # Safety
/// At the address there is a function of the convention that takes these arguments and returns a
/// value of that type.
unsafe fn pass(
    target: *const u8,
    abi: Abi,
    args: impl Iterator<Item = Value>,
    result: Ty,
) -> Result<Value, CodeError> {
    let mut frame = Frame::new(target);
    let mut stack: Vec<u64> = Vec::new();
    // Copies that are passed by address, which keep still while the list of them grows.
    let mut copies: Vec<Vec<u128>> = Vec::new();
    let mut places = Places::new(abi);
    let mut put = |word, value| match word {
        Word::Int(index) => frame.ints[index] = value,
        // Under Microsoft's convention one register of a position is loaded from the other's.
        Word::Float(index) if abi == Abi::Win64 => frame.ints[index] = value,
        Word::Float(index) => frame.floats[index] = value,
        Word::Stack(index) => put_at(&mut stack, index, value),
    };
    let result_place = passing::result(result, abi);
    if let (Ty::Struct(layout), Place::Address(_)) = (result, result_place) {
        copies.push(vec![0; layout.size().div_ceil(16)]);
        if let (Place::Words([word, _], _), Some(copy)) = (places.next(Ty::Ptr), copies.last_mut())
        {
            put(word, copy.as_mut_ptr() as u64);
        }
    }
    for arg in args {
        match (places.next(arg.ty()), &arg) {
            (Place::Words(words, n), Value::Struct(record)) => {
                for (word, value) in words.into_iter().take(n).zip(record.words()) {
                    put(word, value);
                }
            }
            (Place::Words([word, _], _), number) => put(word, number.to_register()),
            (Place::Run(start), Value::Struct(record)) => {
                for (index, value) in record.words().enumerate() {
                    put(Word::Stack(start + index), value);
                }
            }
            (Place::Address(word), Value::Struct(record)) => {
                let words: Vec<u64> = record.words().collect();
                let pairs = words.chunks(2).map(|pair| {
                    let high = pair.get(1).copied().unwrap_or(0);
                    u128::from(pair[0]) | u128::from(high) << 64
                });
                let mut copy: Vec<u128> = pairs.collect();
                put(word, copy.as_mut_ptr() as u64);
                copies.push(copy);
            }
            _ => {}
        }
    }
    // SAFETY: the arguments are where the convention has them; the rest is the caller's promise.
    unsafe { frame.call(abi, &stack) }?;
    let take = |word| match word {
        Word::Int(index) => frame.int_results[index],
        Word::Float(index) => frame.float_results[index],
        Word::Stack(_) => 0,
    };
    Ok(match (result, result_place) {
        (Ty::Struct(layout), Place::Words(words, n)) => {
            let words = words.into_iter().take(n).map(take);
            Value::Struct(Record::from_words(layout, words))
        }
        (Ty::Struct(layout), _) => {
            let words = copies.first().into_iter().flatten();
            #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
            let words = words.flat_map(|&pair| [pair as u64, (pair >> 64) as u64]);
            Value::Struct(Record::from_words(layout, words))
        }
        (ty, Place::Words([word, _], _)) => Value::from_register(ty, take(word)),
        (ty, _) => Value::zero(ty),
    })
}

/// Writes a word at an index, behind zeros if need be: the stack is filled in order.
fn put_at(stack: &mut Vec<u64>, index: usize, value: u64) {
    if stack.len() <= index {
        stack.resize(index + 1, 0);
    }
    if let Some(place) = stack.get_mut(index) {
        *place = value;
    }
}
