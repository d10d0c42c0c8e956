//! Python values ⇄ values of machine code, by the types of a signature.
use opcodon_codemem::{Abi, Array, Callback, Prototype, Record, Struct, Ty, Value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyTuple};

use crate::callback::{PyCallback, callback};
use crate::machine::MachineFunction;
use crate::seal::buffer::Buffer;

/// What must live until a call is over.
#[derive(Default)]
pub(crate) struct Kept<'py> {
    pub(crate) buffers: Vec<Held<'py>>,
    /// Functions that got an address for the time of the call.
    made: Vec<Callback>,
    /// Callbacks that had one.
    passed: Vec<Bound<'py, PyCallback>>,
}

/// A buffer of the caller.
pub(crate) struct Held<'py> {
    pub(crate) buffer: Buffer<'py>,
    pub(crate) is_const: bool,
}

impl Kept<'_> {
    /// Whether nothing needs to live.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffers.is_empty() && self.made.is_empty()
    }

    /// The callbacks among the arguments.
    pub(crate) fn callbacks(&self) -> Vec<&Callback> {
        let passed = self.passed.iter().map(|passed| &passed.get().callback);
        self.made.iter().chain(passed).collect()
    }
}

/// An argument of a type.
pub(crate) fn to_value<'py>(
    ty: Ty,
    abi: Abi,
    argument: &Bound<'py, PyAny>,
    kept: &mut Kept<'py>,
) -> PyResult<Value> {
    Ok(match ty {
        Ty::F64 => Value::F64(argument.extract()?),
        Ty::F32 => Value::F32(argument.extract()?),
        Ty::I8 => Value::I8(argument.extract()?),
        Ty::I16 => Value::I16(argument.extract()?),
        Ty::I32 => Value::I32(argument.extract()?),
        Ty::I64 => Value::I64(argument.extract()?),
        Ty::U8 => Value::U8(argument.extract()?),
        Ty::U16 => Value::U16(argument.extract()?),
        Ty::U32 => Value::U32(argument.extract()?),
        Ty::U64 => Value::U64(argument.extract()?),
        Ty::Bool => Value::Bool(argument.extract()?),
        Ty::Ptr => Value::Ptr(address(argument, false, None, kept)?),
        Ty::ConstPtr => Value::Ptr(address(argument, true, None, kept)?),
        Ty::Array(array) => Value::Ptr(address(argument, array.is_const(), Some(array), kept)?),
        Ty::Struct(layout) => Value::Struct(record(layout, abi, argument, kept)?),
        Ty::Function(prototype) => Value::Ptr(function(prototype, abi, argument, kept)?),
        _ => {
            return Err(PyTypeError::new_err(format!(
                "values of type {ty} cannot be passed"
            )));
        }
    })
}

/// A further argument of a function with variable arguments, for which no type is given: integers
/// travel as 64 bits, of which the callee reads what it wants.
pub(crate) fn untyped<'py>(
    abi: Abi,
    argument: &Bound<'py, PyAny>,
    kept: &mut Kept<'py>,
) -> PyResult<Value> {
    if argument.is_instance_of::<PyBool>() {
        return Ok(Value::I32(argument.extract::<bool>()?.into()));
    }
    if argument.is_instance_of::<PyInt>() {
        let signed = argument.extract().map(Value::I64);
        return signed.or_else(|_| argument.extract().map(Value::U64));
    }
    if argument.is_instance_of::<PyFloat>() {
        return Ok(Value::F64(argument.extract()?));
    }
    // Whether the callee writes there nobody knows.
    to_value(Ty::ConstPtr, abi, argument, kept)
}

/// The address that an argument stands for: a number, `None`, a buffer, or a function.
fn address<'py>(
    argument: &Bound<'py, PyAny>,
    is_const: bool,
    array: Option<Array>,
    kept: &mut Kept<'py>,
) -> PyResult<usize> {
    if argument.is_none() {
        return Ok(0);
    }
    if let Ok(function) = argument.cast::<MachineFunction>() {
        return Ok(function.get().function().code().address() as usize);
    }
    if let Ok(callback) = argument.cast::<PyCallback>() {
        kept.passed.push(callback.clone());
        return Ok(callback.get().callback.address() as usize);
    }
    if !Buffer::has(argument) {
        return argument.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyTypeError>(argument.py()) {
                PyTypeError::new_err(format!(
                    "an address (int), None or a contiguous array or other buffer is needed, \
                     not {}",
                    argument.get_type()
                ))
            } else {
                error
            }
        });
    }
    let buffer = Buffer::of(argument, array.is_some()).map_err(|error| {
        PyValueError::new_err(format!(
            "{}; if the array is not contiguous, pass numpy.ascontiguousarray(array)",
            error.value(argument.py())
        ))
    })?;
    if buffer.is_readonly() && !is_const {
        return Err(PyTypeError::new_err(format!(
            "{} is read-only, and the function may write there: pass a bytearray or a writable \
             array, or write const in the signature if it only reads",
            argument.get_type()
        )));
    }
    if let Some(array) = array {
        check_items(array, &buffer)?;
    }
    let address = buffer.address();
    kept.buffers.push(Held { buffer, is_const });
    Ok(address)
}

/// Whether a buffer has items of the type, as many as the signature says.
fn check_items(array: Array, buffer: &Buffer<'_>) -> PyResult<()> {
    let (item, format) = (array.item(), buffer.format());
    let letter = format.trim_start_matches(['@', '=', '<']);
    let is_item = match item {
        Ty::F64 | Ty::F32 => matches!(letter, "d" | "f"),
        Ty::Bool => letter == "?",
        Ty::I8 | Ty::I16 | Ty::I32 | Ty::I64 => {
            matches!(letter, "b" | "h" | "i" | "l" | "q" | "n")
        }
        _ => matches!(letter, "B" | "H" | "I" | "L" | "Q" | "N"),
    };
    // Bytes may be anything.
    let is_raw = matches!(letter, "B" | "c");
    let fits = is_raw || is_item && buffer.item_size() == item.size();
    if !fits {
        return Err(PyTypeError::new_err(format!(
            "the items of the buffer are {format:?} of {} bytes, but {item} is needed",
            buffer.item_size()
        )));
    }
    let n_items = buffer.len() / item.size();
    if n_items < array.n_min() {
        return Err(PyValueError::new_err(format!(
            "the buffer has {n_items} items, but {} are needed",
            array.n_min()
        )));
    }
    Ok(())
}

/// A structure from its fields in a sequence, or from its bytes in a buffer.
fn record<'py>(
    layout: Struct,
    abi: Abi,
    argument: &Bound<'py, PyAny>,
    kept: &mut Kept<'py>,
) -> PyResult<Record> {
    if Buffer::has(argument) {
        let bytes = Buffer::of(argument, false)?.to_vec();
        let found = bytes.len();
        return Record::from_bytes(layout, bytes).ok_or_else(|| {
            PyValueError::new_err(format!(
                "the structure has {} bytes, but the buffer {found}",
                layout.size()
            ))
        });
    }
    let types = layout.fields();
    let fields = argument.try_iter().map_err(|_| {
        PyTypeError::new_err(format!(
            "a tuple of {} fields or a buffer is needed, not {}",
            types.len(),
            argument.get_type()
        ))
    })?;
    let fields = fields.collect::<PyResult<Vec<_>>>()?;
    if fields.len() != types.len() {
        return Err(PyValueError::new_err(format!(
            "the structure has {} fields, but {} were given",
            types.len(),
            fields.len()
        )));
    }
    let values = types
        .iter()
        .zip(&fields)
        .map(|(&(_, ty), field)| to_value(ty, abi, field, kept));
    let values = values.collect::<PyResult<Vec<Value>>>()?;
    Record::new(layout, &values).map_err(|error| PyTypeError::new_err(error.to_string()))
}

/// The address of a function: machine code of that very signature, or a Python callable, which
/// gets an address for the time of the call.
fn function<'py>(
    prototype: Prototype,
    abi: Abi,
    argument: &Bound<'py, PyAny>,
    kept: &mut Kept<'py>,
) -> PyResult<usize> {
    let expected = prototype.signature();
    let found = if let Ok(function) = argument.cast::<MachineFunction>() {
        let function = function.get().function();
        Some((
            function.signature(),
            function.abi(),
            function.code().address(),
        ))
    } else if let Ok(callback) = argument.cast::<PyCallback>() {
        kept.passed.push(callback.clone());
        let callback = &callback.get().callback;
        Some((callback.signature(), callback.abi(), callback.address()))
    } else {
        None
    };
    match found {
        Some((signature, convention, address)) if signature == expected && convention == abi => {
            Ok(address as usize)
        }
        Some((signature, convention, _)) => Err(PyTypeError::new_err(format!(
            "a function {expected} of the {abi} convention is needed, not {signature} of {convention}"
        ))),
        None if argument.is_none() => Ok(0),
        None if argument.is_instance_of::<PyInt>() => argument.extract(),
        None => {
            let callback = callback(argument, expected.clone(), abi)?;
            let address = callback.address() as usize;
            kept.made.push(callback);
            Ok(address)
        }
    }
}

/// A result, or an argument of a callback; a structure is a tuple.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::F64(x) => PyFloat::new(py, *x).into_any(),
        Value::F32(x) => PyFloat::new(py, (*x).into()).into_any(),
        Value::I8(x) => x.into_pyobject(py)?.into_any(),
        Value::I16(x) => x.into_pyobject(py)?.into_any(),
        Value::I32(x) => x.into_pyobject(py)?.into_any(),
        Value::I64(x) => x.into_pyobject(py)?.into_any(),
        Value::U8(x) => x.into_pyobject(py)?.into_any(),
        Value::U16(x) => x.into_pyobject(py)?.into_any(),
        Value::U32(x) => x.into_pyobject(py)?.into_any(),
        Value::U64(x) => x.into_pyobject(py)?.into_any(),
        Value::Bool(x) => PyBool::new(py, *x).to_owned().into_any(),
        Value::Ptr(x) => x.into_pyobject(py)?.into_any(),
        Value::Struct(record) => {
            let fields = record.fields();
            let fields = fields.iter().map(|field| to_python(py, field));
            PyTuple::new(py, fields.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        _ => py.None().into_bound(py),
    })
}
