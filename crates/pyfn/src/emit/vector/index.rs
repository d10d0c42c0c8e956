//! Indices as sums of multiples of what a loop counts and of what it does not change; what the
//! kernel is given because of them.

use super::graph::Range;
use super::read::Val;
use crate::program::{Bin, Local};

/// What an index may be a sum of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Term {
    /// The number of the row.
    Counter,
    /// The number of the turn of a loop inside.
    Turn(usize),
    /// A local that the loop does not bind.
    Local(Local),
    /// The size of an array in a dimension.
    Size(Local, usize),
}

/// A sum of multiples of terms, and a constant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Linear {
    pub(super) terms: Vec<(Term, i64)>,
    pub(super) shift: i64,
}

impl Linear {
    pub(super) fn of(term: Term) -> Self {
        Self {
            terms: vec![(term, 1)],
            shift: 0,
        }
    }

    pub(super) fn constant(shift: i64) -> Self {
        Self {
            terms: Vec::new(),
            shift,
        }
    }

    /// The multiple of a term in it.
    pub(super) fn multiple(&self, term: Term) -> i64 {
        let mut terms = self.terms.iter();
        terms.find(|each| each.0 == term).map_or(0, |each| each.1)
    }

    /// It and so many times another; `None` if the numbers are too large for an index.
    pub(super) fn plus(&self, times: i64, other: &Self) -> Option<Self> {
        const LARGE: i64 = 1 << 30;
        let mut sum = self.clone();
        for &(term, by) in &other.terms {
            let by = by.checked_mul(times)?;
            match sum.terms.iter_mut().find(|each| each.0 == term) {
                Some(each) => each.1 += by,
                None => sum.terms.push((term, by)),
            }
        }
        sum.shift += other.shift.checked_mul(times)?;
        sum.terms.retain(|each| each.1 != 0);
        sum.terms.sort_unstable();
        let is_small = |by: i64| by.abs() < LARGE;
        let fits = is_small(sum.shift) && sum.terms.iter().all(|each| is_small(each.1));
        fits.then_some(sum)
    }

    /// Whether it is the same in all rows and turns.
    pub(super) fn is_fixed(&self) -> bool {
        let is_fixed = |term: Term| matches!(term, Term::Local(_) | Term::Size(..));
        self.terms.iter().all(|each| is_fixed(each.0))
    }
}

/// A word that the kernel is given.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Word {
    /// A number as a double.
    Double(Local),
    /// A number as a `float32`; the kernel does not run if it is beyond.
    Single(Local),
    /// An integer; the kernel does not run if it is not in the interval.
    Int(Local, Range),
    /// An element that the loop does not change.
    Element(Place),
    /// The address of a stream's element of row 0, in the first turns inside.
    Base(Place),
    /// Bytes by which a turn of a loop inside moves it, and all turns.
    Step(Place, usize),
    Steps(Place, usize),
    /// Bytes by which a row moves it.
    Stride(Place),
    /// The turns of a loop inside.
    Trips(usize),
    /// The size of an array in a dimension.
    Size(Local, usize),
}

/// Where elements are: an index in each dimension, in the last without a constant beside the
/// number of the row.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Place {
    pub(super) of: Local,
    pub(super) parts: Vec<Linear>,
}

/// An index that has to be within bounds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Bound {
    pub(super) of: Local,
    pub(super) dimension: usize,
    pub(super) index: Linear,
}

/// What an operation makes of two indices, if it is one.
pub(super) fn linear_of(op: Bin, a: &Val, b: &Val) -> Option<Linear> {
    let (a, b) = (a.linear.as_ref()?, b.linear.as_ref()?);
    match op {
        Bin::Add => a.plus(1, b),
        Bin::Sub => a.plus(-1, b),
        Bin::Mul if b.terms.is_empty() => Linear::default().plus(b.shift, a),
        Bin::Mul if a.terms.is_empty() => Linear::default().plus(a.shift, b),
        _ => None,
    }
}
