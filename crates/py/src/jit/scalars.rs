//! numpy's functions of single numbers, without objects.

use std::arch::asm;
use std::collections::HashMap;
use std::ffi::{c_char, c_void};

use opcodon_pyfn::{NP_FLOAT, SCALAR_UFUNCS, UFUNC_STOPPED};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::calls::{call, value_of};
use super::whole::{InnerFunction, inner_loop};

/// Numbers of `bool` and `float64` among numpy's types.
const BOOL_NUMBER: u8 = 0;
const FLOAT_NUMBER: u8 = 12;

/// Invalid operation, division by zero, overflow, underflow.
const FLAGS: u32 = 1 | 4 | 8 | 16;
const ALL_FLAGS: u32 = 63;

/// The inner loops for floats, and their data.
pub(super) fn loops(numpy: &Bound<'_, PyModule>) -> PyResult<HashMap<&'static str, [usize; 2]>> {
    let mut found = HashMap::new();
    for known in SCALAR_UFUNCS {
        let mut numbers = vec![FLOAT_NUMBER; known.n_args];
        numbers.push(if known.is_test {
            BOOL_NUMBER
        } else {
            FLOAT_NUMBER
        });
        let function = numpy.getattr(known.name)?;
        if let Some(inner) = inner_loop(&function, &numbers) {
            found.insert(known.name, [inner.function as usize, inner.data as usize]);
        }
    }
    Ok(found)
}

/// Runs a loop; whether it raised no floating-point flag.
unsafe fn is_quiet(
    function: usize,
    data: usize,
    mut pointers: [*mut c_char; 3],
    mut n: isize,
    mut steps: [isize; 3],
) -> bool {
    let mut state = 0_u32;
    unsafe {
        let function = std::mem::transmute::<usize, InnerFunction>(function);
        asm!("stmxcsr [{}]", in(reg) &raw mut state, options(nostack));
        state &= !ALL_FLAGS;
        asm!("ldmxcsr [{}]", in(reg) &raw const state, options(nostack));
        function(
            pointers.as_mut_ptr(),
            &raw mut n,
            steps.as_mut_ptr(),
            data as *mut c_void,
        );
        asm!("stmxcsr [{}]", in(reg) &raw mut state, options(nostack));
    }
    state & FLAGS == 0
}

/// Runs a loop once; 1 if it raised no floating-point flag. The result is behind the arguments.
pub(super) unsafe extern "C" fn once(
    function: usize,
    data: usize,
    values: *mut f64,
    _n_args: usize,
) -> u64 {
    let pointers = [0, 1, 2].map(|at| values.wrapping_add(at).cast());
    // Where there is one row there are no steps, and numpy says so; some loops look at that.
    u64::from(unsafe { is_quiet(function, data, pointers, 1, [0; 3]) })
}

/// Lanes of the widest vector.
const N_LANES_MAX: usize = 8;

/// Runs a loop over lanes: arguments and result are vectors of the room.
pub(super) unsafe extern "C" fn lanes(function: usize, data: usize, room: *mut f64, shape: usize) {
    let (n_lanes, n_args, has_step) = (shape & 0xff, shape >> 8 & 0xff, shape >> 16 != 0);
    let [a, b, out] = [0, 1, 2].map(|at| room.wrapping_add(N_LANES_MAX * at));
    let (pointers, steps) = if n_args == 1 {
        ([a, out, out], [8; 3])
    } else {
        ([a, b, out], [8, if has_step { 8 } else { 0 }, 8])
    };
    unsafe {
        let n = n_lanes.cast_signed();
        if !is_quiet(function, data, pointers.map(|at| at.cast()), n, steps) {
            std::slice::from_raw_parts_mut(out, n_lanes).fill(f64::from_bits(UFUNC_STOPPED));
        }
    }
}

/// Whether a loop makes the same of numbers side by side as of each alone.
pub(super) unsafe extern "C" fn agrees(
    function: usize,
    data: usize,
    shape: usize,
    _unused: usize,
) -> usize {
    /// Vectors that are looked at.
    const N: usize = 400;
    let (n_lanes, n_args, has_step) = (shape & 0xff, shape >> 8 & 0xff, shape >> 16 != 0);
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        state >> 11
    };
    let mut number = |turn: usize| {
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = random() as f64 / 9_007_199_254_740_992.0;
        let sign = if random() % 2 == 0 { 1.0 } else { -1.0 };
        // Of one magnitude, or large and small ones side by side.
        match turn % 4 {
            0 => unit,
            1 => sign * unit * 4.0,
            2 => sign * unit * 700.0,
            _ => {
                let power = i32::try_from(random() % 60).unwrap_or(0) - 30;
                sign * unit * 10_f64.powi(power)
            }
        }
    };
    for turn in 0..N {
        let mut room = [0.0; 3 * N_LANES_MAX];
        for value in &mut room[..2 * N_LANES_MAX] {
            *value = number(turn);
        }
        if !has_step {
            let exponents = [2.0, 0.5, -1.0, 3.0, 1.5, 0.0, 1.0, -2.0];
            room[N_LANES_MAX] = exponents[turn / 4 % exponents.len()];
        }
        unsafe { lanes(function, data, room.as_mut_ptr(), shape) };
        if room[2 * N_LANES_MAX].to_bits() == UFUNC_STOPPED {
            continue;
        }
        for lane in 0..n_lanes {
            let second = if has_step { lane } else { 0 };
            let mut values = [room[lane], room[N_LANES_MAX + second], 0.0];
            if n_args == 1 {
                values[1] = 0.0;
            }
            unsafe { once(function, data, values.as_mut_ptr(), n_args) };
            let (alone, beside) = (values[n_args], room[2 * N_LANES_MAX + lane]);
            let both_none = alone.is_nan() && beside.is_nan();
            if alone.to_bits() != beside.to_bits() && !both_none {
                return 0;
            }
        }
    }
    1
}

/// Calls a function of numpy's with the numbers; -1 with an exception.
pub(super) unsafe extern "C" fn call_once(
    function: *mut PyObject,
    values: *mut f64,
    n_args: usize,
) -> i64 {
    unsafe {
        let args = (0..n_args).map(|at| ffi::PyFloat_FromDouble(values.add(at).read()));
        let args = args.collect::<Vec<_>>();
        let result = if args.iter().any(|arg| arg.is_null()) {
            std::ptr::null_mut()
        } else {
            call(function, &args)
        };
        args.into_iter().for_each(|arg| ffi::Py_DecRef(arg));
        if result.is_null() {
            return -1;
        }
        let out = values.add(n_args);
        match value_of(result) {
            Some((NP_FLOAT, bits)) => out.write(f64::from_bits(bits)),
            Some((_, word)) => out.cast::<u64>().write(word),
            None => out.write(ffi::PyFloat_AsDouble(result)),
        }
        ffi::Py_DecRef(result);
        if ffi::PyErr_Occurred().is_null() {
            0
        } else {
            -1
        }
    }
}
