//! Numbers made of all elements of an expression.
//!
//! Sums of floats have numpy's order of additions (`sum`); integers, truth values and extremes
//! have none. Of extremes those are left to numpy that are zero or no number: which of several it
//! takes depends on how it goes through them.

use opcodon_pyfn::{Dtype, NP_BOOL, NP_F32, NP_FLOAT, NP_INT, WholeMethod};
use pyo3::ffi::PyObject;

use super::run::{Job, clear_flags, raised_flags};
use super::sum::{N_BLOCK, block_sum, pairwise, sums, variance};
use crate::jit::calls::box_value;

/// A number that is made of an array.
pub(super) enum Number {
    Double(f64),
    Single(f32),
    /// The bits of numpy's scalar of this tag.
    Word(u8, i64),
}

impl Number {
    pub(super) fn boxed(&self) -> *mut PyObject {
        let (tag, bits) = match *self {
            Self::Double(value) => (NP_FLOAT, value.to_bits()),
            Self::Single(value) => (NP_F32, f64::from(value).to_bits()),
            Self::Word(tag, word) => (tag, word.cast_unsigned()),
        };
        unsafe { box_value(u64::from(tag), bits.cast_signed(), bits) }
    }
}

/// Whether elements of a type can be put together here.
pub(super) fn is_known(method: WholeMethod, dtype: Dtype) -> bool {
    let is_float = matches!(dtype, Dtype::Float32 | Dtype::Float64);
    let is_int = matches!(
        dtype,
        Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64
    );
    match method {
        WholeMethod::Sum => is_float || is_int || dtype == Dtype::Bool,
        WholeMethod::Mean | WholeMethod::Std | WholeMethod::Var => dtype == Dtype::Float64,
        WholeMethod::Max | WholeMethod::Min => is_float || is_int,
        WholeMethod::Any | WholeMethod::All => dtype == Dtype::Bool,
    }
}

impl Job<'_> {
    /// All elements put together, and which floating-point flags were raised; `None` if numpy has
    /// to do it.
    pub(super) fn reduce(&self, method: WholeMethod, dtype: Dtype) -> Option<(Number, i32)> {
        if self.rows.n_dims != 1 {
            return None;
        }
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
            let number = match method {
                WholeMethod::Sum | WholeMethod::Mean => elements.sum(method, dtype)?,
                WholeMethod::Std | WholeMethod::Var => elements.spread(method)?,
                WholeMethod::Max | WholeMethod::Min => elements.extreme(dtype)?,
                WholeMethod::Any | WholeMethod::All => {
                    let n_true = elements.fold(0, total::<u8>, i64::wrapping_add);
                    let n = i64::try_from(self.rows.row_size()).ok()?;
                    let wanted = if method == WholeMethod::Any {
                        n_true > 0
                    } else {
                        n_true == n
                    };
                    Number::Word(NP_BOOL, wanted.into())
                }
            };
            Some((number, elements.flags))
        })
    }
}

/// The sum of integers, modulo 2⁶⁴.
fn total<T: Copy + Into<i64>>(elements: &[T]) -> i64 {
    let add = |sum: i64, &next: &T| sum.wrapping_add(next.into());
    elements.iter().fold(0, add)
}

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

    /// All elements, put together in any order.
    fn fold<T, R: Copy>(
        &mut self,
        start: R,
        of_block: impl Fn(&[T]) -> R,
        join: impl Fn(R, R) -> R,
    ) -> R {
        let mut result = start;
        let mut left = self.job.rows.row_size();
        while left > 0 {
            let n = left.min(self.job.n_piece);
            left -= n;
            result = join(result, self.block(n, &of_block));
        }
        result
    }

    fn sum(&mut self, method: WholeMethod, dtype: Dtype) -> Option<Number> {
        let n = self.job.rows.row_size();
        let start = sums().as_ref()?.start;
        let add = i64::wrapping_add;
        let sum = match dtype {
            Dtype::Float64 => {
                let mut next = |n| self.block(n, |a: &[f64]| block_sum(a, -0.0));
                let sum = pairwise(n, &mut next) + start;
                #[expect(clippy::cast_precision_loss, reason = "as numpy divides")]
                let sum = if method == WholeMethod::Mean {
                    sum / n as f64
                } else {
                    sum
                };
                // Infinities may be news.
                return sum.is_finite().then_some(Number::Double(sum));
            }
            Dtype::Float32 => {
                let mut next = |n| self.block(n, |a: &[f32]| block_sum(a, -0.0));
                #[expect(clippy::cast_possible_truncation, reason = "it is a zero")]
                let sum = pairwise(n, &mut next) + start as f32;
                return sum.is_finite().then_some(Number::Single(sum));
            }
            Dtype::Bool => self.fold(0, total::<u8>, add),
            Dtype::Int8 => self.fold(0, total::<i8>, add),
            Dtype::Int16 => self.fold(0, total::<i16>, add),
            Dtype::Int32 => self.fold(0, total::<i32>, add),
            _ => self.fold(0, total::<i64>, add),
        };
        Some(Number::Word(NP_INT, sum))
    }

    /// The standard deviation, or its square, of elements that are few.
    fn spread(&mut self, method: WholeMethod) -> Option<Number> {
        let n = self.job.rows.row_size();
        if n > self.job.n_piece {
            return None;
        }
        let value = self.block(n, |elements: &[f64]| variance(elements))?;
        self.flags |= raised_flags();
        let value = match method {
            WholeMethod::Std => value.sqrt(),
            _ => value,
        };
        value.is_finite().then_some(Number::Double(value))
    }

    /// The best element, by numpy's own function of two.
    fn extreme(&mut self, dtype: Dtype) -> Option<Number> {
        let better = self.job.plan.better?;
        macro_rules! best {
            ($type:ty) => {{
                let join = |best: Option<$type>, block: &[$type]| {
                    let mut best = best.or(block.first().copied())?;
                    // SAFETY: the loop is one for this type.
                    unsafe { better.fold(&mut best, block) };
                    Some(best)
                };
                let mut best = None;
                let mut left = self.job.rows.row_size();
                while left > 0 {
                    let n = left.min(self.job.n_piece);
                    left -= n;
                    best = self.block(n, |block| join(best, block));
                }
                best?
            }};
        }
        let word = match dtype {
            Dtype::Float64 => {
                let value: f64 = best!(f64);
                let is_plain = !value.is_nan() && value != 0.0;
                return is_plain.then_some(Number::Double(value));
            }
            Dtype::Float32 => {
                let value: f32 = best!(f32);
                let is_plain = !value.is_nan() && value != 0.0;
                return is_plain.then_some(Number::Single(value));
            }
            Dtype::Int8 => best!(i8).into(),
            Dtype::Int16 => best!(i16).into(),
            Dtype::Int32 => best!(i32).into(),
            _ => best!(i64),
        };
        Some(Number::Word(dtype.tag()?, word))
    }
}
