//! Calls with numbers of any types, at the cost of a call in C.
//!
//! What [`vectorcall`](super::vectorcall) does for `f64`s this does for every signature of numbers
//! that find registers under System V's convention: exactly `float`, `int` and `bool` objects are
//! read in place, all argument registers are loaded whether the code reads them or not, and the
//! result is boxed. Numbers that do not fit, and objects of other types, go the long way, which
//! knows what to say about them.
//!
//! Code of libraries may wait for something, so its integers go the long way too, where the
//! interpreter lock is released.

use std::ffi::c_int;
use std::mem::transmute;

use opcodon_codemem::{Abi, Code, Function, Ty};
use pyo3::ffi;
use pyo3::prelude::*;

use super::vectorcall::OB_FVAL;
use crate::callback;

/// Registers that carry arguments.
const INTS: usize = 6;
const FLOATS: usize = 8;

/// Code that takes numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    address: usize,
    params: Box<[Param]>,
    result: Ty,
    /// Keeps the code mapped.
    _code: Code,
}

/// How an argument is read.
#[derive(Clone, Copy, Debug)]
enum Param {
    Double,
    Single,
    Bool,
    /// An integer within these limits.
    Int(i64, i64),
}

/// All argument registers; what the code returns is in `rax` or `xmm0`.
type Target<R> = unsafe extern "sysv64" fn(
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
) -> R;

impl Numbers {
    /// The short way to a function, if it has one.
    pub(super) fn new(function: &Function) -> Option<Self> {
        let (signature, code) = (function.signature(), function.code());
        if signature.is_variadic() || function.abi() != Abi::SysV || code.is_lent() {
            return None;
        }
        let params = signature.params().iter().map(|&ty| param(ty));
        let params: Box<[Param]> = params.collect::<Option<_>>()?;
        let n_floats = signature.params().iter().filter(|ty| ty.is_float()).count();
        let fits = n_floats <= FLOATS && params.len() - n_floats <= INTS;
        let is_number = !matches!(signature.result(), Ty::Struct(_));
        (fits && is_number).then(|| Self {
            address: code.address() as usize,
            params,
            result: signature.result(),
            _code: code.clone(),
        })
    }

    /// Calls with `n_args` objects; `None` if they must go the long way.
    ///
    /// # Safety
    /// There are that many live objects at `args`, the layout of floats is known, and the code has
    /// its signature.
    #[inline]
    pub(super) unsafe fn call(
        &self,
        py: Python<'_>,
        args: *const *mut ffi::PyObject,
        n_args: usize,
    ) -> Option<*mut ffi::PyObject> {
        if n_args != self.params.len() {
            return None;
        }
        let (mut ints, mut floats) = ([0_u64; INTS], [0_f64; FLOATS]);
        let (mut n_ints, mut n_floats) = (0, 0);
        for (index, param) in self.params.iter().enumerate() {
            // SAFETY: `index` is below `n_args`.
            let arg = unsafe { args.wrapping_add(index).read() };
            // SAFETY: the object is alive.
            let class = unsafe { ffi::Py_TYPE(arg) };
            let number = match *param {
                Param::Double | Param::Single => {
                    if class != &raw mut ffi::PyFloat_Type {
                        return None;
                    }
                    // SAFETY: it is a float, and that is where floats have their value.
                    let value = unsafe { arg.wrapping_byte_add(OB_FVAL).cast::<f64>().read() };
                    let value = match param {
                        Param::Single => f64::from_bits(rounded(value).to_bits().into()),
                        _ => value,
                    };
                    *floats.get_mut(n_floats)? = value;
                    n_floats += 1;
                    continue;
                }
                // SAFETY: the objects of Python's `True` and `False` live forever.
                Param::Bool if arg == unsafe { ffi::Py_True() } => 1,
                // SAFETY: as above.
                Param::Bool if arg == unsafe { ffi::Py_False() } => 0,
                Param::Bool => return None,
                Param::Int(low, high) => {
                    if class != &raw mut ffi::PyLong_Type {
                        return None;
                    }
                    let mut overflow: c_int = 0;
                    // SAFETY: it is an int, of which this raises nothing.
                    let value =
                        unsafe { ffi::PyLong_AsLongLongAndOverflow(arg, &raw mut overflow) };
                    if overflow != 0 || value < low || value > high {
                        return None;
                    }
                    value.cast_unsigned()
                }
            };
            *ints.get_mut(n_ints)? = number;
            n_ints += 1;
        }
        // SAFETY: the caller's promise.
        let run = || unsafe { self.run(&ints, &floats) };
        let bits = if callback::are_there() {
            match callback::raising(run) {
                Ok(bits) => bits,
                Err(error) => {
                    error.restore(py);
                    return Some(std::ptr::null_mut());
                }
            }
        } else {
            run()
        };
        Some(self.boxed(py, bits))
    }

    /// Loads the registers and calls; gives the bits of the result back.
    ///
    /// # Safety
    /// The code has its signature.
    #[inline]
    unsafe fn run(&self, ints: &[u64; INTS], floats: &[f64; FLOATS]) -> u64 {
        let [a, b, c, d, e, f] = *ints;
        let [s, t, u, v, w, x, y, z] = *floats;
        let address = self.address as *const u8;
        if self.result.is_float() {
            // SAFETY: a function pointer is an address; that the code ignores what it has no
            // parameters for is the convention.
            let target = unsafe { transmute::<*const u8, Target<f64>>(address) };
            // SAFETY: the caller's promise.
            unsafe { target(a, b, c, d, e, f, s, t, u, v, w, x, y, z) }.to_bits()
        } else {
            // SAFETY: as above.
            let target = unsafe { transmute::<*const u8, Target<u64>>(address) };
            // SAFETY: as above.
            unsafe { target(a, b, c, d, e, f, s, t, u, v, w, x, y, z) }
        }
    }

    /// The result as a new object; null and an error if there is no memory.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper bits of a register are undefined"
    )]
    fn boxed(&self, py: Python<'_>, bits: u64) -> *mut ffi::PyObject {
        let signed = match self.result {
            // SAFETY: the interpreter lock is held, as in all calls below.
            Ty::F64 => return unsafe { ffi::PyFloat_FromDouble(f64::from_bits(bits)) },
            Ty::F32 => {
                let single = f32::from_bits(bits as u32);
                // SAFETY: as above.
                return unsafe { ffi::PyFloat_FromDouble(single.into()) };
            }
            // SAFETY: as above.
            Ty::Bool => return unsafe { ffi::PyBool_FromLong((bits as u8 != 0).into()) },
            Ty::Void => return py.None().into_ptr(),
            Ty::I8 => (bits as i8).into(),
            Ty::I16 => (bits as i16).into(),
            Ty::I32 => (bits as i32).into(),
            Ty::I64 => bits.cast_signed(),
            Ty::U8 => (bits as u8).into(),
            Ty::U16 => (bits as u16).into(),
            Ty::U32 => (bits as u32).into(),
            // SAFETY: as above.
            _ => return unsafe { ffi::PyLong_FromUnsignedLongLong(bits) },
        };
        // SAFETY: as above.
        unsafe { ffi::PyLong_FromLongLong(signed) }
    }
}

/// The nearest number of 32 bits; an infinity if there is none near.
#[expect(clippy::cast_possible_truncation, reason = "that is what it does")]
fn rounded(value: f64) -> f32 {
    value as f32
}

fn param(ty: Ty) -> Option<Param> {
    Some(match ty {
        Ty::F64 => Param::Double,
        Ty::F32 => Param::Single,
        Ty::Bool => Param::Bool,
        Ty::I8 => Param::Int(i8::MIN.into(), i8::MAX.into()),
        Ty::I16 => Param::Int(i16::MIN.into(), i16::MAX.into()),
        Ty::I32 => Param::Int(i32::MIN.into(), i32::MAX.into()),
        Ty::I64 => Param::Int(i64::MIN, i64::MAX),
        Ty::U8 => Param::Int(0, u8::MAX.into()),
        Ty::U16 => Param::Int(0, u16::MAX.into()),
        Ty::U32 => Param::Int(0, u32::MAX.into()),
        // Larger ones go the long way.
        Ty::U64 => Param::Int(0, i64::MAX),
        _ => return None,
    })
}
