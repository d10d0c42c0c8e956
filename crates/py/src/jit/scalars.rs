//! numpy's functions of single numbers, without objects.

use std::arch::asm;
use std::collections::HashMap;
use std::ffi::{c_char, c_void};

use opcodon_pyfn::{NP_F32, NP_FLOAT, SCALAR_UFUNCS, UFUNC_STOPPED, UfuncLanes};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::calls::{box_value, call, value_of};
use super::whole::{InnerFunction, inner_loop};

/// Numbers of `bool`, `float32` and `float64` among numpy's types.
const BOOL_NUMBER: u8 = 0;
const SINGLE_NUMBER: u8 = 11;
const FLOAT_NUMBER: u8 = 12;

/// Invalid operation, division by zero, overflow, underflow.
const FLAGS: u32 = 1 | 4 | 8 | 16;
const ALL_FLAGS: u32 = 63;

unsafe extern "C" {
    fn feclearexcept(flags: i32) -> i32;
}

/// The flags of the older unit, which is not used for numbers, but to raise what a loop wants to be told.
fn flags_beside() -> u32 {
    let state: u16;
    // SAFETY: a register is read.
    unsafe { asm!("fnstsw ax", out("ax") state, options(nomem, nostack)) };
    u32::from(state) & FLAGS
}

/// Loops by the names of their functions, and whether they are those of `float32`.
type Loops = HashMap<(&'static str, bool), [usize; 2]>;

/// The inner loops for floats, and their data.
pub(super) fn loops(numpy: &Bound<'_, PyModule>) -> PyResult<Loops> {
    let mut found = HashMap::new();
    for known in SCALAR_UFUNCS {
        let function = numpy.getattr(known.name)?;
        for (is_single, number) in [(false, FLOAT_NUMBER), (true, SINGLE_NUMBER)] {
            let mut numbers = vec![number; known.n_args];
            numbers.push(if known.is_test { BOOL_NUMBER } else { number });
            if let Some(inner) = inner_loop(&function, &numbers) {
                let words = [inner.function as usize, inner.data as usize];
                found.insert((known.name, is_single), words);
            }
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
        if flags_beside() != 0 {
            feclearexcept(FLAGS.cast_signed());
        }
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
    (state | flags_beside()) & FLAGS == 0
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

/// The vectors of a call: arguments and result.
type Room<T, const N: usize> = [[T; N]; 3];

/// Runs a loop over lanes of numbers that the loop takes as they are.
unsafe fn over_lanes<T, const N: usize>(
    [function, data, shape]: [usize; 3],
    room: &mut Room<T, N>,
) -> bool {
    let (n_lanes, n_args, has_step) = (shape & 0xff, shape >> 8 & 0xff, shape >> 16 & 1 != 0);
    let size = size_of::<T>().cast_signed();
    let [a, b, out] = room.each_mut().map(|vector| vector.as_mut_ptr().cast());
    let (pointers, steps) = if n_args == 1 {
        ([a, out, out], [size; 3])
    } else {
        ([a, b, out], [size, if has_step { size } else { 0 }, size])
    };
    unsafe { is_quiet(function, data, pointers, n_lanes.cast_signed(), steps) }
}

/// Runs a loop over lanes: arguments and result are vectors of the room.
pub(super) unsafe extern "C" fn lanes(function: usize, data: usize, room: *mut f64, shape: usize) {
    const SINGLES: usize = UfuncLanes::Singles as usize;
    const WIDE: usize = UfuncLanes::WideSingles as usize;
    let call = [function, data, shape];
    // SAFETY: the room is that of three vectors.
    unsafe {
        match shape >> 24 {
            SINGLES => {
                let room = &mut *room.cast::<Room<f32, { 2 * N_LANES_MAX }>>();
                if !over_lanes(call, room) {
                    room[2].fill(f32::NAN);
                }
            }
            WIDE => {
                let room = &mut *room.cast::<Room<f64, N_LANES_MAX>>();
                #[expect(clippy::cast_possible_truncation, reason = "they are of that size")]
                let mut singles = room.map(|vector| vector.map(|value| value as f32));
                if !over_lanes(call, &mut singles) {
                    singles[2].fill(f32::NAN);
                }
                room[2] = singles[2].map(f64::from);
            }
            _ => {
                let room = &mut *room.cast::<Room<f64, N_LANES_MAX>>();
                if !over_lanes(call, room) {
                    room[2].fill(f64::from_bits(UFUNC_STOPPED));
                }
            }
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
    let (n_lanes, n_args, has_step) = (shape & 0xff, shape >> 8 & 0xff, shape >> 16 & 1 != 0);
    let is_single = shape >> 24 != UfuncLanes::Doubles as usize;
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
    let call = [function, data, shape];
    for turn in 0..N {
        let mut room = [[0.0; 2 * N_LANES_MAX]; 3];
        for value in room[..2].iter_mut().flatten() {
            *value = number(turn);
        }
        if !has_step {
            let exponents = [2.0, 0.5, -1.0, 3.0, 1.5, 0.0, 1.0, -2.0];
            room[1][0] = exponents[turn / 4 % exponents.len()];
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "numbers of float32 are wanted"
        )]
        let mut singles = room.map(|vector| vector.map(|value: f64| value as f32));
        let is_done = unsafe {
            if is_single {
                over_lanes(call, &mut singles)
            } else {
                over_lanes(call, &mut room)
            }
        };
        for lane in (0..n_lanes).filter(|_| is_done) {
            let lanes = [lane, if has_step { lane } else { 0 }];
            // What a word begins with is a number of either kind.
            let word = |vector: usize, lane: usize| {
                if is_single {
                    u64::from(singles[vector][lane].to_bits())
                } else {
                    room[vector][lane].to_bits()
                }
            };
            let mut values = [word(0, lanes[0]), word(1, lanes[1]), 0];
            if n_args == 1 {
                values[1] = 0;
            }
            unsafe { once(function, data, values.as_mut_ptr().cast(), n_args) };
            let (alone, beside) = (values[n_args], word(2, lane));
            let is_none = |word: u64| {
                if is_single {
                    f32::from_bits(u32::try_from(word).unwrap_or(0)).is_nan()
                } else {
                    f64::from_bits(word).is_nan()
                }
            };
            if alone != beside && !(is_none(alone) && is_none(beside)) {
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
    is_single: u64,
) -> i64 {
    unsafe {
        let args = (0..n_args).map(|at| {
            let place = values.add(at);
            if is_single == 0 {
                return ffi::PyFloat_FromDouble(place.read());
            }
            let double = f64::from(place.cast::<f32>().read());
            box_value(u64::from(NP_F32), 0, double.to_bits())
        });
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
            #[expect(clippy::cast_possible_truncation, reason = "it is of that size")]
            Some((NP_F32, bits)) => out.cast::<f32>().write(f64::from_bits(bits) as f32),
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

/// Where a number belongs in an array in order, by numpy's own steps: in an array without order it
/// depends on them.
pub(super) unsafe extern "C" fn search_sorted(
    data: *const u8,
    n: usize,
    step: isize,
    bits: u64,
    is_float: u64,
) -> usize {
    let at = |place: usize| {
        let element = data.wrapping_offset(step.wrapping_mul(place.cast_signed()));
        // SAFETY: it is one of the elements, and those of native arrays are aligned.
        unsafe { element.cast::<u64>().read() }
    };
    if is_float == 0 {
        let key = bits.cast_signed();
        return first_without(n, |place| at(place).cast_signed() < key);
    }
    let key = f64::from_bits(bits);
    // What is no number comes last.
    first_without(n, |place| {
        let element = f64::from_bits(at(place));
        element < key || key.is_nan() && !element.is_nan()
    })
}

/// The first place that is not before, by halves.
fn first_without(n: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
