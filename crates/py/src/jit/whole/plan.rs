//! Which of numpy's inner loops an expression takes, for values of given types.
//!
//! numpy is asked once for each operation (`ufunc.resolve_dtypes`), so that the types of results
//! are its own; the loop is then found in the function's table. Steps write into pieces of memory
//! of a few hundred elements, which are used again as soon as nobody reads them any more.
//!
//! Source: numpy's C interface, `PyUFuncObject`; NEP 50 for numbers of Python beside arrays.

use std::collections::HashMap;
use std::rc::Rc;

use numpy::npyffi::objects::PyUFuncObject;
use opcodon_pyfn::{Bin, Cmp, Dtype, Un, Whole, WholeFunction, WholeMethod, WholeNode};
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyTuple, PyType};

use super::cast::can_cast;
use super::reduce::is_known;
use super::run::InnerLoop;
use super::sum::sums_are_known;
use super::value::{Scalar, Value};
use crate::jit::layout::known;
use crate::jit::side::without_error;

/// Plans that an expression keeps.
const N_PLANS_MAX: usize = 8;

/// Plans that were made for an expression.
#[derive(Default)]
pub(super) struct Memo(Vec<Rc<Plan>>);

impl Memo {
    pub(super) fn find(&self, key: &[u8]) -> Option<Rc<Plan>> {
        self.0.iter().find(|plan| plan.key == key).cloned()
    }

    pub(super) fn add(&mut self, plan: Rc<Plan>) {
        if self.0.len() == N_PLANS_MAX {
            self.0.remove(0);
        }
        self.0.push(plan);
    }
}

/// What an expression ends with.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// An array.
    Array(Dtype),
    /// A number made of elements of a type.
    Number(WholeMethod, Dtype),
}

/// How an expression is computed.
pub(super) struct Plan {
    key: Vec<u8>,
    /// What is done to each piece; none if the expression is not one for this.
    pub(super) steps: Option<Vec<Step>>,
    /// The node whose elements the last step makes.
    pub(super) made: usize,
    /// For each node whether its elements are read.
    pub(super) is_read: Vec<bool>,
    pub(super) ends: Ends,
    /// What makes one of two elements, for an extreme.
    pub(super) better: Option<InnerLoop>,
    /// Pieces of memory in use at the same time.
    pub(super) n_slots: usize,
}

/// One operation on a piece.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) inner: Inner,
    pub(super) args: Vec<Arg>,
    /// What it makes, and where.
    pub(super) out: Dtype,
    pub(super) slot: usize,
}

/// What does it.
#[derive(Clone, Copy)]
pub(super) enum Inner {
    Loop(InnerLoop),
    Where,
    /// Elements are taken as they are.
    Copy,
}

/// What goes into a step.
#[derive(Clone, Copy)]
pub(super) struct Arg {
    pub(super) source: Source,
    /// Its type, and the one that the loop takes.
    pub(super) dtypes: [Dtype; 2],
    /// Where it is cast, if it has to be.
    pub(super) cast: Option<usize>,
}

#[derive(Clone, Copy)]
pub(super) enum Source {
    /// A number, by its node.
    Scalar(usize),
    /// An array's elements, by their node.
    View(usize),
    /// What a step has made.
    Slot(usize),
}

/// What plans depend on.
pub(super) fn key(expression: &Whole, values: &[Value]) -> Vec<u8> {
    let mut key = Vec::with_capacity(values.len() + 4);
    for (node, value) in expression.nodes.iter().zip(values) {
        key.push(match value {
            Value::Scalar(Scalar::Bool(_)) => 0x80,
            Value::Scalar(Scalar::Int(_)) => 0x81,
            Value::Scalar(Scalar::Float(_)) => 0x82,
            Value::Scalar(Scalar::Numpy(dtype, _)) => 0x90 | *dtype as u8,
            Value::View(view) => view.dtype as u8,
            Value::Made(_) => 0x40,
        });
        if let WholeNode::Bin(Bin::Pow, [_, exponent]) = node
            && let Value::Scalar(exponent) = values[*exponent]
        {
            key.push(power(exponent) as u8);
        }
    }
    key
}

/// What a number is as an exponent.
#[derive(Clone, Copy, PartialEq)]
enum Power {
    /// Squares, which numpy computes by multiplication.
    Two,
    /// Others that have ways of their own.
    Special,
    Other,
}

fn power(exponent: Scalar) -> Power {
    #[expect(clippy::cast_precision_loss, reason = "only small numbers matter")]
    let value = match exponent {
        Scalar::Int(value) => value as f64,
        Scalar::Float(value) => value,
        _ => return Power::Special,
    };
    match value {
        2.0 => Power::Two,
        -1.0 | 0.0 | 0.5 | 1.0 => Power::Special,
        _ => Power::Other,
    }
}

/// The types of what goes into an operation.
#[derive(Clone, Copy)]
enum Kind {
    Strong(Dtype),
    Int,
    Float,
}

impl Kind {
    fn of_scalar(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool(_) => Self::Strong(Dtype::Bool),
            Scalar::Int(_) => Self::Int,
            Scalar::Float(_) => Self::Float,
            Scalar::Numpy(dtype, _) => Self::Strong(dtype),
        }
    }

    fn for_numpy<'py>(self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Strong(dtype) => {
                let descr = known().descrs[dtype as usize];
                unsafe { Bound::from_borrowed_ptr(py, descr) }
            }
            Self::Int => PyType::new::<PyInt>(py).into_any(),
            Self::Float => PyType::new::<PyFloat>(py).into_any(),
        }
    }
}

struct Planner<'a, 'py> {
    py: Python<'py>,
    expression: &'a Whole,
    values: &'a [Value],
    steps: Vec<Step>,
    /// For each node the type of its elements and the memory they are in.
    made: Vec<Option<(Dtype, usize)>>,
    /// How many steps still read each node.
    n_uses: Vec<usize>,
    free: Vec<usize>,
    n_slots: usize,
}

impl Plan {
    pub(super) fn new(py: Python<'_>, expression: &Whole, values: &[Value], key: Vec<u8>) -> Self {
        let n = expression.nodes.len();
        let mut n_uses = vec![0; n];
        for node in &expression.nodes {
            args(node).iter().for_each(|&arg| n_uses[arg] += 1);
        }
        // Parts of parts are looked at where they are made.
        let mut is_read = vec![false; n];
        for node in expression
            .nodes
            .iter()
            .filter(|node| !matches!(node, WholeNode::Part(..)))
        {
            args(node).iter().for_each(|&arg| is_read[arg] = true);
        }
        let mut planner = Planner {
            py,
            expression,
            values,
            steps: Vec::new(),
            made: vec![None; n],
            n_uses,
            free: Vec::new(),
            n_slots: 0,
        };
        let found = planner.all();
        let (made, ends) = found.unwrap_or((0, Ends::Array(Dtype::Bool)));
        Self {
            key,
            steps: found.map(|_| planner.steps),
            made,
            is_read,
            ends,
            better: better(py, ends),
            n_slots: planner.n_slots,
        }
    }
}

/// The loop that takes the larger, or the smaller, of two elements.
fn better(py: Python<'_>, ends: Ends) -> Option<InnerLoop> {
    let Ends::Number(method, dtype) = ends else {
        return None;
    };
    let name = match method {
        WholeMethod::Max => "maximum",
        WholeMethod::Min => "minimum",
        _ => return None,
    };
    let numpy = py.import("numpy");
    let function = without_error(py, numpy.and_then(|numpy| numpy.getattr(name)))?;
    Some(resolve(py, &function, &[Kind::Strong(dtype); 2])?.0)
}

/// What a node is made of.
fn args(node: &WholeNode) -> Vec<usize> {
    match node {
        WholeNode::Leaf(_) => Vec::new(),
        WholeNode::Part(of, _) | WholeNode::Un(_, of) | WholeNode::Method(_, of) => vec![*of],
        WholeNode::Bin(_, args) | WholeNode::Cmp(_, args) => args.to_vec(),
        WholeNode::Call(_, args) => args.clone(),
    }
}

impl<'py> Planner<'_, 'py> {
    fn all(&mut self) -> Option<(usize, Ends)> {
        let nodes = &self.expression.nodes;
        let last = self.expression.result;
        let (end, reduction) = match &nodes[last] {
            WholeNode::Method(method, of) => (*of, Some(*method)),
            WholeNode::Call(function, args) => {
                match known().runtime.whole_functions[function].reduces {
                    Some(method) => (args[0], Some(method)),
                    None => (last, None),
                }
            }
            _ => (last, None),
        };
        for node in 0..=end {
            match &self.values[node] {
                Value::Made(_) => self.node(node)?,
                // A number is made of an array that is there.
                Value::View(view) if node == end && reduction.is_some() => {
                    let dtype = view.dtype;
                    self.step(node, Inner::Copy, &[node], &[dtype], dtype)?;
                }
                _ => {}
            }
        }
        let (dtype, _) = self.made[end]?;
        let adds = reduction.is_some_and(WholeMethod::adds);
        let ends = match reduction {
            None => Ends::Array(dtype),
            Some(_) if adds && !sums_are_known(self.py, dtype) => return None,
            Some(method) if is_known(method, dtype) => Ends::Number(method, dtype),
            Some(_) => return None,
        };
        // All operations are on as many elements, or some would be done more often than numpy does
        // them.
        let shape = self.values[end].shape()?;
        let is_alike = |value: &Value| !matches!(value, Value::Made(other) if *other != shape);
        self.values[..=end]
            .iter()
            .all(is_alike)
            .then_some((end, ends))
    }

    fn node(&mut self, node: usize) -> Option<()> {
        let numpy = |name: &str| {
            let numpy = self.py.import("numpy");
            without_error(self.py, numpy.and_then(|numpy| numpy.getattr(name)))
        };
        let expression = self.expression;
        let (function, args) = match &expression.nodes[node] {
            WholeNode::Bin(Bin::Pow, [base, exponent]) => {
                match (self.kind(*base)?, self.values[*exponent]) {
                    (Kind::Strong(dtype), Value::Scalar(scalar)) => {
                        let is_base_number = matches!(self.values[*base], Value::Scalar(_));
                        let is_float = matches!(dtype, Dtype::Float32 | Dtype::Float64);
                        let is_int = matches!(scalar, Scalar::Int(_));
                        match power(scalar) {
                            // What truth values become depends on the version.
                            _ if is_base_number || dtype == Dtype::Bool => return None,
                            Power::Two if is_float || is_int => (numpy("square")?, vec![*base]),
                            Power::Other if is_float => (numpy("power")?, vec![*base, *exponent]),
                            _ => return None,
                        }
                    }
                    _ => (numpy("power")?, vec![*base, *exponent]),
                }
            }
            WholeNode::Bin(op, args) => (numpy(bin_name(*op)?)?, args.to_vec()),
            WholeNode::Un(op, arg) => {
                let name = if *op == Un::Neg { "negative" } else { "invert" };
                (numpy(name)?, vec![*arg])
            }
            WholeNode::Cmp(op, args) => (numpy(cmp_name(*op)?)?, args.to_vec()),
            WholeNode::Call(address, args) => {
                let object = *address as *mut PyObject;
                // SAFETY: functions that are known by their addresses stay.
                let object = unsafe { Bound::from_borrowed_ptr(self.py, object) };
                let is = |name: &str| numpy(name).is_some_and(|known| known.is(&object));
                if is("where") {
                    return self.choice(node, args);
                }
                let object = if known().names.get(address).is_some_and(|name| name == "abs") {
                    numpy("absolute")?
                } else {
                    object
                };
                (object, args.clone())
            }
            _ => return None,
        };
        let kinds = args.iter().map(|&arg| self.kind(arg));
        let kinds = kinds.collect::<Option<Vec<_>>>()?;
        let (inner, dtypes) = resolve(self.py, &function, &kinds)?;
        let (out, ins) = dtypes.split_last()?;
        // An integer to the power of a negative one raises.
        let name = without_error(self.py, function.getattr("__name__"))?;
        let is_power = name.to_string() == "power";
        if is_power && !matches!(out, Dtype::Float32 | Dtype::Float64) {
            return None;
        }
        self.step(node, Inner::Loop(inner), &args, ins, *out)
    }

    /// `np.where(condition, a, b)`.
    fn choice(&mut self, node: usize, args: &[usize]) -> Option<()> {
        let [condition, a, b] = *args else {
            return None;
        };
        let is_mask = matches!(self.kind(condition)?, Kind::Strong(Dtype::Bool));
        if !is_mask || matches!(self.values[condition], Value::Scalar(_)) {
            return None;
        }
        let numpy = without_error(self.py, self.py.import("numpy"))?;
        let sample = |kind: Kind| match kind {
            Kind::Strong(_) => kind.for_numpy(self.py),
            Kind::Int => PyInt::new(self.py, 0).into_any(),
            Kind::Float => PyFloat::new(self.py, 0.0).into_any(),
        };
        let (a_kind, b_kind) = (self.kind(a)?, self.kind(b)?);
        // Two numbers of Python have types that depend on the system.
        if !matches!(a_kind, Kind::Strong(_)) && !matches!(b_kind, Kind::Strong(_)) {
            return None;
        }
        let dtype = numpy.call_method1("result_type", (sample(a_kind), sample(b_kind)));
        let out = dtype_of(&without_error(self.py, dtype)?)?;
        self.step(node, Inner::Where, args, &[Dtype::Bool, out, out], out)
    }

    fn kind(&self, node: usize) -> Option<Kind> {
        match &self.values[node] {
            Value::Scalar(scalar) => Some(Kind::of_scalar(*scalar)),
            Value::View(view) => Some(Kind::Strong(view.dtype)),
            Value::Made(_) => Some(Kind::Strong(self.made[node]?.0)),
        }
    }

    fn step(
        &mut self,
        node: usize,
        inner: Inner,
        args: &[usize],
        ins: &[Dtype],
        out: Dtype,
    ) -> Option<()> {
        let mut made = Vec::new();
        for (&arg, &dtype) in args.iter().zip(ins) {
            let (source, own) = match &self.values[arg] {
                Value::Scalar(_) => (Source::Scalar(arg), dtype),
                Value::View(view) => (Source::View(arg), view.dtype),
                Value::Made(_) => {
                    let (own, slot) = self.made[arg]?;
                    (Source::Slot(slot), own)
                }
            };
            let cast = if own == dtype {
                None
            } else if can_cast(own, dtype) {
                Some(self.take())
            } else {
                return None;
            };
            made.push(Arg {
                source,
                dtypes: [own, dtype],
                cast,
            });
        }
        let slot = self.take();
        self.free.extend(made.iter().filter_map(|arg| arg.cast));
        for &arg in args {
            self.n_uses[arg] -= 1;
            if let (0, Some((_, slot))) = (self.n_uses[arg], self.made[arg]) {
                self.free.push(slot);
            }
        }
        self.made[node] = Some((out, slot));
        self.steps.push(Step {
            inner,
            args: made,
            out,
            slot,
        });
        Some(())
    }

    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.n_slots += 1;
            self.n_slots - 1
        })
    }
}

fn bin_name(op: Bin) -> Option<&'static str> {
    Some(match op {
        Bin::Add => "add",
        Bin::Sub => "subtract",
        Bin::Mul => "multiply",
        Bin::TrueDiv => "true_divide",
        Bin::FloorDiv => "floor_divide",
        Bin::Mod => "remainder",
        Bin::LShift => "left_shift",
        Bin::RShift => "right_shift",
        Bin::And => "bitwise_and",
        Bin::Or => "bitwise_or",
        Bin::Xor => "bitwise_xor",
        Bin::Pow | Bin::MatMul => return None,
    })
}

fn cmp_name(op: Cmp) -> Option<&'static str> {
    Some(match op {
        Cmp::Lt => "less",
        Cmp::Le => "less_equal",
        Cmp::Eq => "equal",
        Cmp::Ne => "not_equal",
        Cmp::Gt => "greater",
        Cmp::Ge => "greater_equal",
        _ => return None,
    })
}

/// numpy's own types, if they are known here.
fn dtype_of(dtype: &Bound<'_, PyAny>) -> Option<Dtype> {
    let mut all = Dtype::ALL.into_iter();
    all.find(|known_dtype| known().descrs[*known_dtype as usize] == dtype.as_ptr())
}

/// The inner loop of a function for such types, and the types that it takes and makes.
fn resolve(
    py: Python<'_>,
    function: &Bound<'_, PyAny>,
    kinds: &[Kind],
) -> Option<(InnerLoop, Vec<Dtype>)> {
    let mut wanted = kinds
        .iter()
        .map(|kind| kind.for_numpy(py))
        .collect::<Vec<_>>();
    wanted.push(py.None().into_bound(py));
    let wanted = without_error(py, PyTuple::new(py, wanted))?;
    let found = without_error(py, function.call_method1("resolve_dtypes", (wanted,)))?;
    let found = found.cast_into::<PyTuple>().ok()?;
    let dtypes = found.iter().map(|dtype| dtype_of(&dtype));
    let dtypes = dtypes.collect::<Option<Vec<_>>>()?;
    let numbers = found
        .iter()
        .map(|dtype| dtype.getattr("num")?.extract::<u8>());
    let numbers = without_error(py, numbers.collect::<PyResult<Vec<_>>>())?;
    let inner = inner_loop(function, &numbers)?;
    Some((inner, dtypes))
}

/// The inner loop of one of numpy's functions for types of these numbers.
pub(in crate::jit) fn inner_loop(function: &Bound<'_, PyAny>, numbers: &[u8]) -> Option<InnerLoop> {
    loop_of(function, numbers, false)
}

/// The same, of a function of elements or of one of vectors and matrices.
pub(super) fn loop_of(
    function: &Bound<'_, PyAny>,
    numbers: &[u8],
    is_of_arrays: bool,
) -> Option<InnerLoop> {
    // SAFETY: it is one of numpy's own functions, whose tables are never changed or freed.
    unsafe {
        let fields = &(*function.as_ptr().cast::<PyUFuncObject>()).fields;
        let (n_types, n_args) = (
            usize::try_from(fields.ntypes).ok()?,
            usize::try_from(fields.nargs).ok()?,
        );
        if n_args != numbers.len() || fields.nout != 1 || (fields.core_enabled != 0) != is_of_arrays
        {
            return None;
        }
        let types = std::slice::from_raw_parts(fields.types.cast::<u8>(), n_types * n_args);
        let at = types.chunks_exact(n_args).position(|row| row == numbers)?;
        let data = if fields.data.is_null() {
            std::ptr::null_mut()
        } else {
            *fields.data.add(at)
        };
        Some(InnerLoop {
            function: (*fields.functions.add(at))?,
            data,
        })
    }
}

/// The functions that may be part of an expression, if this numpy can say which types theirs are.
pub(in crate::jit) fn functions(
    numpy: &Bound<'_, PyModule>,
) -> PyResult<HashMap<usize, WholeFunction>> {
    let mut found = HashMap::new();
    let version = numpy.getattr("__version__")?.to_string();
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    // Before, what a number makes of an array's type depended on its value.
    if major.is_none_or(|major| major < 2) {
        return Ok(found);
    }
    let ufunc = numpy.getattr("ufunc")?;
    for (_, object) in numpy.dict() {
        if !object.get_type().is(&ufunc) {
            continue;
        }
        let n_args = object.getattr("nin")?.extract::<usize>()?;
        let n_out = object.getattr("nout")?.extract::<usize>()?;
        let is_plain = object.getattr("signature")?.is_none();
        if n_out == 1 && is_plain && n_args <= 2 {
            let function = WholeFunction {
                n_args,
                reduces: None,
            };
            found.insert(object.as_ptr() as usize, function);
        }
    }
    let mut know = |object: Bound<'_, PyAny>, n_args, reduces| {
        found.insert(object.as_ptr() as usize, WholeFunction { n_args, reduces });
    };
    for (name, method) in WholeMethod::ALL {
        know(numpy.getattr(name)?, 1, Some(method));
    }
    know(numpy.getattr("where")?, 3, None);
    know(numpy.py().import("builtins")?.getattr("abs")?, 1, None);
    Ok(found)
}
