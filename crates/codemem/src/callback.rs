//! Callbacks: a closure as machine code that compiled code calls by address.
//!
//! Each callback is a few instructions in the code heap that load the address of its context and
//! jump to a stub of its convention. The stub stores all argument registers, finds the arguments
//! on the stack and calls [`receive`], which sorts the words into values, where the convention has
//! them ([`passing`](crate::passing)), and runs the closure.
//!
//! # Invariant
//! The context lives as long as the code that holds its address.

use std::fmt;

use crate::errand;
use crate::passing::{self, Place, Places, Word};
use crate::trampoline::{Arrival, Receiver, entrance};
use crate::value::Record;
use crate::{Abi, Code, CodeError, CodeHeap, Signature, Ty, Value};

/// What a callback runs.
type Handler = Box<dyn Fn(&[Value]) -> Value + Send + Sync>;

/// What the code of a callback knows; its head is what the stub calls.
#[repr(C)]
struct Context {
    receiver: Receiver,
    signature: Signature,
    abi: Abi,
    handler: Handler,
}

/// A closure that compiled code can call.
///
/// ```
/// use opcodon_codemem::{Abi, Callback, Signature, Value, call_address};
/// let signature = Signature::parse("i32(i32)")?;
/// let twice = Callback::new(signature.clone(), Abi::host(), |args| match args {
///     [Value::I32(x)] => Value::I32(2 * x),
///     _ => Value::I32(0),
/// })?;
/// // SAFETY: there is a function of that signature.
/// let result = unsafe { call_address(twice.address(), &signature, Abi::host(), &[Value::I32(21)]) };
/// assert_eq!(result?, Value::I32(42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Callback {
    code: Code,
    context: Box<Context>,
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("address", &self.address())
            .field("signature", &self.context.signature)
            .field("abi", &self.context.abi)
            .finish_non_exhaustive()
    }
}

impl Callback {
    /// Makes a closure callable. It gets arguments of the signature's types; if it gives a value
    /// of another type back than the signature's, the caller receives zeros. If it panics, the
    /// process ends, since compiled code cannot be unwound.
    ///
    /// # Errors
    /// [`CodeError::VariadicCallback`] if the signature has variable arguments, and as
    /// [`CodeHeap::install`].
    pub fn new(
        signature: Signature,
        abi: Abi,
        handler: impl Fn(&[Value]) -> Value + Send + Sync + 'static,
    ) -> Result<Self, CodeError> {
        if signature.is_variadic() {
            return Err(CodeError::VariadicCallback);
        }
        let context = Box::new(Context {
            receiver: Receiver(receive),
            signature,
            abi,
            handler: Box::new(handler),
        });
        let code = entrance(abi, std::ptr::from_ref(&*context).cast())?;
        let code = CodeHeap::global().install(&code)?;
        Ok(Self { code, context })
    }

    /// The address to pass. It may be called as long as this lives.
    #[must_use]
    pub fn address(&self) -> *const u8 {
        self.code.address()
    }

    /// What the closure gives back for arguments of the signature's types.
    pub(crate) fn answer(&self, args: &[Value]) -> Value {
        (self.context.handler)(args)
    }

    /// What the code of the callback knows it by.
    pub(crate) fn key(&self) -> usize {
        std::ptr::from_ref(&*self.context) as usize
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.context.signature
    }

    /// The calling convention.
    #[must_use]
    pub fn abi(&self) -> Abi {
        self.context.abi
    }
}

/// Runs the closure of a context with the arguments that arrived.
///
/// # Safety
/// The context is the one that the code of a live callback holds, and the arrival what the stub of
/// its convention stored.
unsafe fn receive(context: *const Receiver, arrival: &mut Arrival) {
    // SAFETY: the context is that of a live callback.
    let context = unsafe { &*context.cast::<Context>() };
    let key = std::ptr::from_ref(context) as usize;
    let (abi, result) = (context.abi, context.signature.result());
    let mut places = Places::new(abi);
    let result_place = passing::result(result, abi);
    let result_address = match result_place {
        Place::Address(_) => {
            let place = places.next(Ty::Ptr);
            // SAFETY: the address of a result in memory is the first argument.
            unsafe { value_at(arrival, place, Ty::U64) }.to_register()
        }
        _ => 0,
    };
    let value = |&ty: &Ty| {
        let place = places.next(ty);
        // SAFETY: there are arguments of these types, where the convention has them.
        unsafe { value_at(arrival, place, ty) }
    };
    let args: Vec<Value> = context.signature.params().iter().map(value).collect();
    let returned = match errand::worker() {
        None => (context.handler)(&args),
        Some(worker) => worker.ask(key, &args, result),
    };
    if !returned.is_of(result) {
        return;
    }
    match (returned, result_place) {
        (Value::Struct(record), Place::Words(words, n)) => {
            for (word, value) in words.into_iter().take(n).zip(record.words()) {
                put(arrival, word, value);
            }
        }
        (Value::Struct(record), Place::Address(word)) => {
            let (from, to) = (record.bytes(), result_address as *mut u8);
            // SAFETY: the caller passed the address of memory for a result of this type.
            unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
            put(arrival, word, result_address);
        }
        (number, Place::Words([word, _], 1)) => put(arrival, word, number.to_register()),
        _ => {}
    }
}

/// The argument of a type at its place.
///
/// # Safety
/// The place is one of the arguments that arrived.
unsafe fn value_at(arrival: &Arrival, place: Place, ty: Ty) -> Value {
    let (layout, n_words) = match ty {
        Ty::Struct(layout) => (layout, layout.size().div_ceil(8)),
        _ => {
            let word = match place {
                Place::Words([word, _], _) => word,
                Place::Run(start) => Word::Stack(start),
                Place::Address(word) => word,
            };
            // SAFETY: the caller's promise.
            return Value::from_register(ty, unsafe { taken(arrival, word) });
        }
    };
    let record = match place {
        Place::Words(words, n) => {
            // SAFETY: the caller's promise.
            let words = words
                .into_iter()
                .take(n)
                .map(|word| unsafe { taken(arrival, word) });
            Record::from_words(layout, words)
        }
        Place::Run(start) => {
            let words = (start..start + n_words).map(Word::Stack);
            // SAFETY: the caller's promise.
            Record::from_words(layout, words.map(|word| unsafe { taken(arrival, word) }))
        }
        Place::Address(word) => {
            // SAFETY: the caller's promise.
            let from = unsafe { taken(arrival, word) } as *const u8;
            let mut bytes = vec![0; layout.size()];
            // SAFETY: the word is the address of a structure of that size.
            unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
            return Record::from_bytes(layout, bytes)
                .map_or_else(|| Value::zero(ty), Value::Struct);
        }
    };
    Value::Struct(record)
}

/// A word that arrived.
///
/// # Safety
/// The word belongs to an argument that arrived.
unsafe fn taken(arrival: &Arrival, word: Word) -> u64 {
    match word {
        Word::Int(index) => arrival.ints[index],
        Word::Float(index) => arrival.floats[index],
        // SAFETY: that many words were passed on the stack.
        Word::Stack(index) => unsafe { arrival.stack.wrapping_add(index).read() },
    }
}

fn put(arrival: &mut Arrival, word: Word, value: u64) {
    match word {
        Word::Int(index) => arrival.int_results[index] = value,
        Word::Float(index) => arrival.float_results[index] = value,
        Word::Stack(_) => {}
    }
}
