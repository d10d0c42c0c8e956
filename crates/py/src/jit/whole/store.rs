//! Results that go into an array that is there: `a[i, 1:] -= f * b`, `a += b`, `a[::2] = 0`.
//!
//! # Invariant
//! Everything is computed, and it is known that numpy would say nothing of it, before the first element
//! is written.

use std::cell::RefCell;

use opcodon_pyfn::{Whole, WholeNode};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::plan::Ends;
use super::run::{Job, Rows};
use super::value::{Value, View};
use super::{are_ignored, plan_in_order};
use crate::jit::ufunc::{Strided, Way};

/// Words of memory that is kept from store to store.
const N_KEPT_MAX: usize = 1 << 17;

thread_local! {
    /// What is to be stored, side by side.
    static RESULT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Computes an expression and stores it in the array of a node: the array, if it is all of a local's, or
/// something else that is no reference.
pub(super) fn stored(
    py: Python<'_>,
    expression: &Whole,
    values: &[Value],
    target: usize,
    leaves: &[[u64; 2]],
) -> Option<*mut PyObject> {
    let Value::View(to) = &values[target] else {
        return None;
    };
    if !to.is_writable || !to.lies_apart() {
        return None;
    }
    let stored = || match expression.nodes[target] {
        // SAFETY: a leaf that is an array is an object, which the caller holds.
        WholeNode::Leaf(leaf) => unsafe { ffi::Py_NewRef(leaves[leaf][1] as *mut PyObject) },
        _ => to.data.cast_mut().cast(),
    };
    if let Value::Scalar(scalar) = &values[expression.result] {
        let mut element = scalar.element(to.dtype)?;
        to.copy(element.as_mut_ptr(), Way::Fill);
        return Some(stored());
    }
    let n_words = (to.shape.n_elements() * to.element_size()).div_ceil(8);
    let mut result = RESULT.take();
    if result.len() < n_words {
        result.resize(n_words, 0);
    }
    let room = result.as_mut_ptr().cast::<u8>();
    let is_done = computed(py, expression, values, to, room).is_some();
    if is_done {
        to.copy(room, Way::Out);
    }
    if result.len() <= N_KEPT_MAX {
        RESULT.set(result);
    }
    is_done.then(stored)
}

/// What is to be stored, side by side.
fn computed(
    py: Python<'_>,
    expression: &Whole,
    values: &[Value],
    to: &View,
    room: *mut u8,
) -> Option<()> {
    match &values[expression.result] {
        Value::Scalar(_) => return None,
        Value::View(from) => {
            // Of elements that are read behind their store numpy has views of its own.
            if from.dtype != to.dtype || from.shape != to.shape || from.may_share_memory(to) {
                return None;
            }
            from.copy(room, Way::In);
        }
        Value::Made(shape) => {
            let plan = plan_in_order(py, expression, values)?;
            let fits = plan.made == expression.result && *shape == to.shape;
            if !fits || !matches!(plan.ends, Ends::Array(dtype) if dtype == to.dtype) {
                return None;
            }
            let rows = Rows::new(shape, values, &plan)?;
            let job = Job::new(&plan, values, &rows)?;
            let flags = job.fill(room, expression.parallel, expression.nogil);
            if flags != 0 && !are_ignored(py, flags) {
                return None;
            }
        }
    }
    Some(())
}

impl View {
    fn element_size(&self) -> usize {
        usize::try_from(self.dtype.size()).unwrap_or(8)
    }

    /// Copies all elements from or to where they lie side by side.
    fn copy(&self, contiguous: *mut u8, way: Way) {
        let shape = self.shape.sizes.map(isize::unsigned_abs);
        let strided = Strided {
            at: self.data.cast_mut(),
            shape: &shape[..self.shape.n_dims],
            steps: self.steps(),
        };
        strided.copy(contiguous, self.element_size(), way);
    }
}
