//! Sums of floats as numpy adds them.
//!
//! numpy adds in halves of halves, down to blocks of 128 elements that have eight sums side by
//! side. Before the first sum some are compared with numpy's; where one differs, sums are left to
//! it.

use std::ops::Add;
use std::sync::OnceLock;

use opcodon_pyfn::Dtype;
use pyo3::prelude::*;

use crate::jit::side::without_error;

/// Elements that numpy adds without cutting them in halves.
pub(super) const N_BLOCK: usize = 128;

/// numpy's order of a sum: halves, whose lengths are multiples of 8, down to blocks.
pub(super) fn pairwise<T: Add<Output = T>>(n: usize, block: &mut impl FnMut(usize) -> T) -> T {
    if n <= N_BLOCK {
        return block(n);
    }
    let half = n / 2 / 8 * 8;
    let first = pairwise(half, block);
    first + pairwise(n - half, block)
}

/// The sum of a block: eight sums side by side.
pub(super) fn block_sum<T: Copy + Add<Output = T>>(elements: &[T], zero: T) -> T {
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

/// The sum of elements that are there.
fn sum_in_halves<T: Copy + Add<Output = T>>(elements: &[T], zero: T) -> T {
    let mut rest = elements;
    let mut next = |n: usize| {
        let (block, after) = rest.split_at(n);
        rest = after;
        block_sum(block, zero)
    };
    pairwise(elements.len(), &mut next)
}

/// The sum of elements that are there, as numpy adds them.
pub(super) fn sum(elements: &[f64]) -> Option<f64> {
    Some(sum_in_halves(elements, -0.0) + sums().as_ref()?.start)
}

/// The mean square of what elements differ from their mean, as numpy computes it.
pub(super) fn variance(elements: &[f64]) -> Option<f64> {
    let start = sums().as_ref().filter(|sums| sums.variances)?.start;
    Some(variance_from(elements, start))
}

fn variance_from(elements: &[f64], start: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "as numpy divides")]
    let n = elements.len() as f64;
    let mean = (sum_in_halves(elements, -0.0) + start) / n;
    let squares = elements.iter().map(|element| {
        let off = element - mean;
        off * off
    });
    (sum_in_halves(&squares.collect::<Vec<_>>(), -0.0) + start) / n
}

/// How numpy adds.
pub(super) struct Sums {
    /// What a sum begins with: a zero.
    pub(super) start: f64,
    /// Whether those of `float32` are added so, too.
    singles: bool,
    /// Whether variances are computed as here.
    variances: bool,
}

static SUMS: OnceLock<Option<Sums>> = OnceLock::new();

pub(super) fn sums() -> &'static Option<Sums> {
    SUMS.get().unwrap_or(&None)
}

/// Whether this numpy adds floats of a type as is done here: some of its sums are looked at once.
pub(super) fn sums_are_known(py: Python<'_>, dtype: Dtype) -> bool {
    if SUMS.get().is_none() {
        // numpy lets other threads in meanwhile, who may come here, too, and must not wait for us while
        // they hold what we need to go on: better to look twice.
        let looked = without_error(py, look_at_sums(py)).flatten();
        SUMS.get_or_init(|| looked);
    }
    let fits = |sums: &Sums| dtype != Dtype::Float32 || sums.singles;
    sums().as_ref().is_some_and(fits)
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
    let variance_of = |elements: &[f64]| {
        let array = numpy.call_method1("array", (elements,))?;
        numpy.call_method1("var", (array,))?.extract::<f64>()
    };
    let (mut singles, mut variances) = (true, true);
    for n in [1, 5, 8, 100, 129, 1000, 4099, 20_013] {
        let short = (0..n).map(|_| random()).collect::<Vec<_>>();
        // With more bits than a single has.
        let long = short.iter().map(|short| short / 3.0).collect::<Vec<_>>();
        let sum = sum_in_halves(&long, -0.0) + start;
        if sum.to_bits() != sum_of(&long, "float64")?.to_bits() {
            return Ok(None);
        }
        let variance = variance_from(&long, start);
        variances &= variance.to_bits() == variance_of(&long)?.to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "they have 24 bits")]
        let narrow = short.iter().map(|&short| short as f32).collect::<Vec<_>>();
        #[expect(clippy::cast_possible_truncation, reason = "it is a zero")]
        let sum = f64::from(sum_in_halves(&narrow, -0.0) + start as f32);
        singles &= sum.to_bits() == sum_of(&short, "float32")?.to_bits();
    }
    Ok(Some(Sums {
        start,
        singles,
        variances,
    }))
}
