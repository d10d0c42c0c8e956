//! Sums of expressions over arrays, added as numpy adds.
//!
//! numpy adds floats in halves of halves, down to blocks of 128 elements that have eight sums side by side. The
//! same is done here over elements that are computed piece by piece. Before the first sum some are compared with
//! numpy's; where one differs, sums are left to it.

use std::ops::Add;
use std::sync::OnceLock;

use opcodon_pyfn::{Dtype, NP_F32, NP_FLOAT, NP_INT};
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::run::{Job, clear_flags};
use crate::jit::calls::box_value;

/// The sum of an array.
pub(super) enum Sum {
    Double(f64),
    Single(f32),
    Int(i64),
}

impl Sum {
    /// As numpy's scalar, divided by a number of elements if one is given.
    pub(super) fn boxed(&self, by: Option<usize>) -> *mut PyObject {
        #[expect(clippy::cast_precision_loss, reason = "as numpy divides")]
        let by = by.map(|by| by as f64);
        let (tag, bits) = match *self {
            Self::Double(sum) => (NP_FLOAT, by.map_or(sum, |by| sum / by).to_bits()),
            Self::Single(sum) => (NP_F32, f64::from(sum).to_bits()),
            Self::Int(sum) => (NP_INT, sum.cast_unsigned()),
        };
        unsafe { box_value(u64::from(tag), bits.cast_signed(), bits) }
    }
}

impl Job<'_> {
    /// The sum of all elements, added as numpy adds those of an array that lies side by side.
    pub(super) fn sum(&self, dtype: Dtype) -> Option<(Sum, i32)> {
        if self.rows.n_dims != 1 {
            return None;
        }
        let n = self.rows.row_size();
        self.with_pieces(|pieces| {
            clear_flags();
            let mut elements = Elements {
                job: self,
                pieces,
                memory: vec![0; self.n_piece + N_BLOCK],
                at: 0,
                first: 0,
                n: 0,
                flags: 0,
            };
            let start = sums().as_ref()?.start;
            let sum = match dtype {
                Dtype::Float64 => {
                    let mut next = |n| elements.block(n, |a: &[f64]| block_sum(a, -0.0));
                    let sum = pairwise(n, &mut next) + start;
                    // Infinities may be news.
                    sum.is_finite().then_some(Sum::Double(sum))?
                }
                Dtype::Float32 => {
                    let mut next = |n| elements.block(n, |a: &[f32]| block_sum(a, -0.0));
                    #[expect(clippy::cast_possible_truncation, reason = "it is a zero")]
                    let sum = pairwise(n, &mut next) + start as f32;
                    sum.is_finite().then_some(Sum::Single(sum))?
                }
                _ => {
                    let mut sum = 0_i64;
                    let mut left = n;
                    while left > 0 {
                        let n = left.min(N_BLOCK);
                        left -= n;
                        let more = match dtype {
                            Dtype::Bool => elements.block(n, total::<u8>),
                            Dtype::Int8 => elements.block(n, total::<i8>),
                            Dtype::Int16 => elements.block(n, total::<i16>),
                            Dtype::Int32 => elements.block(n, total::<i32>),
                            _ => elements.block(n, total::<i64>),
                        };
                        sum = sum.wrapping_add(more);
                    }
                    Sum::Int(sum)
                }
            };
            Some((sum, elements.flags))
        })
    }
}

/// The sum of integers, modulo 2⁶⁴.
fn total<T: Copy + Into<i64>>(elements: &[T]) -> i64 {
    let add = |sum: i64, &next: &T| sum.wrapping_add(next.into());
    elements.iter().fold(0, add)
}

/// Elements that numpy adds without cutting them in halves.
const N_BLOCK: usize = 128;

/// The elements of an expression one block after the other.
struct Elements<'a> {
    job: &'a Job<'a>,
    pieces: *mut u8,
    /// Those that were computed and not taken yet, from the first on.
    memory: Vec<u64>,
    first: usize,
    n: usize,
    /// How many were computed.
    at: usize,
    flags: i32,
}

impl Elements<'_> {
    fn block<T, R>(&mut self, n: usize, f: impl FnOnce(&[T]) -> R) -> R {
        let memory = self.memory.as_mut_ptr().cast::<T>();
        if self.n < n {
            // SAFETY: both are within the memory, which has room for a piece and a block.
            unsafe { std::ptr::copy(memory.add(self.first), memory, self.n) };
            self.first = 0;
            let left = self.job.rows.row_size() - self.at;
            let n_more = self.job.n_piece.min(left);
            let out = memory.wrapping_add(self.n).cast();
            self.flags |= self.job.piece(0, self.at, n_more, self.pieces, out);
            self.at += n_more;
            self.n += n_more;
        }
        let n = n.min(self.n);
        // SAFETY: so many were computed.
        let block = unsafe { std::slice::from_raw_parts(memory.add(self.first), n) };
        self.first += n;
        self.n -= n;
        f(block)
    }
}

/// numpy's order of a sum: halves, whose lengths are multiples of 8, down to blocks.
fn pairwise<T: Add<Output = T>>(n: usize, block: &mut impl FnMut(usize) -> T) -> T {
    if n <= N_BLOCK {
        return block(n);
    }
    let half = n / 2 / 8 * 8;
    let first = pairwise(half, block);
    first + pairwise(n - half, block)
}

/// The sum of a block: eight sums side by side.
fn block_sum<T: Copy + Add<Output = T>>(elements: &[T], zero: T) -> T {
    let (eights, rest) = elements.as_chunks::<8>();
    let Some((first, others)) = eights.split_first() else {
        return rest.iter().fold(zero, |sum, &next| sum + next);
    };
    let mut sums = *first;
    for eight in others {
        for (sum, &next) in sums.iter_mut().zip(eight) {
            *sum = *sum + next;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, &next| sum + next)
}

/// How numpy adds.
struct Sums {
    /// What a sum begins with: a zero.
    start: f64,
}

static SUMS: OnceLock<Option<Sums>> = OnceLock::new();

fn sums() -> &'static Option<Sums> {
    SUMS.get().unwrap_or(&None)
}

/// Whether this numpy adds as is done here: some of its sums are looked at once.
pub(super) fn sums_are_known(py: Python<'_>) -> bool {
    SUMS.get_or_init(|| look_at_sums(py).ok().flatten())
        .is_some()
}

fn look_at_sums(py: Python<'_>) -> PyResult<Option<Sums>> {
    let numpy = py.import("numpy")?;
    let reduce = numpy.getattr("add")?.getattr("reduce")?;
    let sum_of = |elements: &[f64], dtype: &str| {
        let array = numpy.call_method1("array", (elements, dtype))?;
        reduce.call1((array,))?.extract::<f64>()
    };
    let start = if sum_of(&[-0.0], "float64")?.is_sign_negative() {
        -0.0
    } else {
        0.0
    };
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        #[expect(clippy::cast_precision_loss, reason = "any number will do")]
        let fraction = (state >> 40) as f64 / f64::from(1 << 24);
        fraction - 0.25
    };
    for n in [1, 5, 8, 100, 129, 1000, 4099, 20_013] {
        let singles = (0..n).map(|_| random()).collect::<Vec<_>>();
        // With more bits than a single has.
        let doubles = singles
            .iter()
            .map(|single| single / 3.0)
            .collect::<Vec<_>>();
        let mut rest = doubles.as_slice();
        let mut next = |n: usize| {
            let (block, after) = rest.split_at(n);
            rest = after;
            block_sum(block, -0.0)
        };
        let sum = pairwise(n, &mut next) + start;
        let is_double = sum.to_bits() == sum_of(&doubles, "float64")?.to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "they have 24 bits")]
        let narrow = singles
            .iter()
            .map(|&single| single as f32)
            .collect::<Vec<_>>();
        let mut rest = narrow.as_slice();
        let mut next = |n: usize| {
            let (block, after) = rest.split_at(n);
            rest = after;
            block_sum(block, -0.0)
        };
        #[expect(clippy::cast_possible_truncation, reason = "it is a zero")]
        let sum = f64::from(pairwise(n, &mut next) + start as f32);
        let is_single = sum.to_bits() == sum_of(&singles, "float32")?.to_bits();
        if !is_double || !is_single {
            return Ok(None);
        }
    }
    Ok(Some(Sums { start }))
}
