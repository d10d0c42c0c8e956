//! Expressions over whole arrays, computed piece by piece.
//!
//! numpy computes `a * b + np.exp(c)` by three calls, each of which looks up what to do, makes an
//! array and goes through memory. Here the same inner loops of numpy ([`plan`]) are run over a few
//! hundred elements at a time ([`run`]), one operation after the other, so that what lies in
//! between stays in the first cache and only the result is an array. Each element goes through the
//! functions that numpy itself would have called, so results are numpy's to the bit, whatever the
//! types.
//!
//! # Invariant
//! Whatever is not certain to be done alike is declined before anything is done: shapes that do
//! not go together, types without such loops, numbers that do not fit, arrays that would be made
//! in another order. So is what raised a floating-point flag: the statements are then done one by
//! one, and numpy warns or raises as it is told to. What is stored in an array that is there ([`store`])
//! is computed first, all of it, so that it may be read on the way.

mod cast;
mod direct;
mod plan;
mod product;
mod reduce;
mod row;
mod run;
mod store;
mod sum;
mod value;

use std::rc::Rc;

use numpy::npyffi::PY_ARRAY_API;
use opcodon_pyfn::{Dtype, Whole, WholeNode};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

pub(super) use self::direct::{array_of, array_view, call};
use self::plan::{Ends, Memo, Plan};
pub(super) use self::plan::{functions, inner_loop};
pub(super) use self::product::product;
pub(super) use self::row::row;
pub(super) use self::run::InnerFunction;
use self::run::{Job, Rows};
use self::value::{Shape, Value, View};
use super::layout::known;
use super::side::without_error;

/// Elements of an array beyond which numpy itself makes a number of them as fast.
const N_HELPED_MAX: usize = 2048;

/// Computes an expression; null, and no exception, if it is to be done statement by statement.
pub(super) unsafe extern "C" fn whole(
    expression: *const Whole,
    leaves: *const [u64; 2],
) -> *mut PyObject {
    let py = unsafe { Python::assume_attached() };
    let (expression, leaves) = unsafe {
        let expression = &*expression;
        let leaves = std::slice::from_raw_parts(leaves, expression.n_leaves);
        (expression, leaves)
    };
    match computed(py, expression, leaves) {
        Some(object) => {
            expression.n_done.set(expression.n_done.get() + 1);
            object
        }
        None => std::ptr::null_mut(),
    }
}

fn computed(py: Python<'_>, expression: &Whole, leaves: &[[u64; 2]]) -> Option<*mut PyObject> {
    let mut values = Vec::with_capacity(expression.nodes.len());
    for node in &expression.nodes {
        values.push(value(node, &values, leaves)?);
    }
    if let Some(target) = expression.target {
        return store::stored(py, expression, &values, target, leaves);
    }
    let plan = plan_in_order(py, expression, &values)?;
    let shape = values[plan.made].shape()?;
    if let Value::View(view) = &values[plan.made] {
        // numpy goes through it the other way, or needs no help.
        let goes_back = view.steps().iter().any(|&step| step < 0);
        if goes_back || shape.n_elements() > N_HELPED_MAX {
            return None;
        }
    }
    let rows = Rows::new(&shape, &values, &plan)?;
    let job = Job::new(&plan, &values, &rows)?;
    match plan.ends {
        Ends::Array(dtype) => {
            let array = empty(py, &shape, dtype);
            if array.is_null() {
                unsafe { ffi::PyErr_Clear() };
                return None;
            }
            // SAFETY: an array of that size was just made.
            let out = unsafe { array.cast::<u8>().add(16).cast::<*mut u8>().read() };
            let flags = job.fill(out, expression.parallel, expression.nogil);
            if flags == 0 || are_ignored(py, flags) {
                return Some(array);
            }
            unsafe { ffi::Py_DecRef(array) };
            None
        }
        Ends::Number(method, dtype) => {
            let (number, flags) = job.reduce(method, dtype)?;
            if flags != 0 && !are_ignored(py, flags) {
                return None;
            }
            Some(number.boxed())
        }
    }
}

/// What a node is: a number, a part of memory, or the shape of what has to be computed.
fn value(node: &WholeNode, values: &[Value], leaves: &[[u64; 2]]) -> Option<Value> {
    let shape_of = |args: &[usize]| {
        let mut shape: Option<Shape> = None;
        for &arg in args {
            let next = match &values[arg] {
                Value::Scalar(_) => continue,
                Value::View(view) => view.shape,
                Value::Made(shape) => *shape,
            };
            shape = Some(match shape {
                Some(shape) => shape.broadcast(&next)?,
                None => next,
            });
        }
        shape
    };
    match node {
        WholeNode::Leaf(leaf) => Value::of(leaves[*leaf]),
        WholeNode::Part(of, parts) => match &values[*of] {
            Value::View(view) => view.part(parts, leaves).map(Value::View),
            _ => None,
        },
        WholeNode::Bin(op, args) => match (&values[args[0]], &values[args[1]]) {
            (Value::Scalar(a), Value::Scalar(b)) => a.bin(*op, *b).map(Value::Scalar),
            _ => shape_of(args).map(Value::Made),
        },
        WholeNode::Un(op, arg) => match &values[*arg] {
            Value::Scalar(a) => a.un(*op).map(Value::Scalar),
            _ => shape_of(&[*arg]).map(Value::Made),
        },
        WholeNode::Cmp(_, args) => shape_of(args).map(Value::Made),
        WholeNode::Call(_, args) => shape_of(args).map(Value::Made),
        WholeNode::Method(_, arg) => shape_of(&[*arg]).map(Value::Made),
    }
}

/// The plan, if there are steps and all arrays that are read lie in order.
fn plan_in_order(py: Python<'_>, expression: &Whole, values: &[Value]) -> Option<Rc<Plan>> {
    let plan = plan_for(py, expression, values)?;
    plan.steps.as_ref()?;
    let mut read = values.iter().zip(&plan.is_read);
    let in_order = read.all(|(value, is_read)| match value {
        // Backwards numpy goes through some arrays the other way, to loops that differ in the last bit.
        Value::View(view) if *is_read => {
            view.lies_in_order() && view.steps().iter().all(|&step| step >= 0)
        }
        _ => true,
    });
    in_order.then_some(plan)
}

/// The plan for values of such types, made if there is none.
fn plan_for(py: Python<'_>, expression: &Whole, values: &[Value]) -> Option<Rc<Plan>> {
    let key = plan::key(expression, values);
    {
        let memo = expression.memo.borrow();
        let memo = memo.as_ref().and_then(|memo| memo.downcast_ref::<Memo>());
        if let Some(plan) = memo.and_then(|memo| memo.find(&key)) {
            return Some(plan);
        }
    }
    let plan = Rc::new(Plan::new(py, expression, values, key));
    let mut memo = expression.memo.borrow_mut();
    let memo = memo.get_or_insert_with(|| Box::new(Memo::default()));
    if let Some(memo) = memo.downcast_mut::<Memo>() {
        memo.add(Rc::clone(&plan));
    }
    Some(plan)
}

/// A new array whose elements are not set; null with an exception.
fn empty(py: Python<'_>, shape: &Shape, dtype: Dtype) -> *mut PyObject {
    let mut sizes = shape.sizes;
    let n_dims = std::ffi::c_int::try_from(shape.n_dims).unwrap_or(0);
    unsafe {
        let descr = known().descrs[dtype as usize];
        ffi::Py_IncRef(descr);
        PY_ARRAY_API.PyArray_Empty(py, n_dims, sizes.as_mut_ptr(), descr.cast(), 0)
    }
}

/// Whether numpy would say nothing of such floating-point flags.
fn are_ignored(py: Python<'_>, flags: i32) -> bool {
    let ignores = || -> PyResult<bool> {
        let kinds = py.import("numpy")?.call_method0("geterr")?;
        for (flag, kind) in run::FLAGS {
            if flags & flag != 0 && !kinds.get_item(kind)?.eq("ignore")? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    without_error(py, ignores()).unwrap_or(false)
}

impl View {
    /// Whether a result has its elements in the usual order, too: numpy takes it from the arrays
    /// that go in.
    fn lies_in_order(&self) -> bool {
        let dims = 0..self.shape.n_dims;
        let moves = |&at: &usize| self.shape.sizes[at] > 1 && self.steps[at] != 0;
        let steps = dims.filter(moves).map(|at| self.steps[at].unsigned_abs());
        steps.clone().zip(steps.skip(1)).all(|(a, b)| a >= b)
    }
}
