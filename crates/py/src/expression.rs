//! `Expression`: a tree with names for its variables.
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use numpy::PyArray1;
use opcodon_expr::{Expr, Interval, Node, Op, print};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyComplex, PyDict, PyString, PyTuple, PyType};

use crate::array::{Matrix, Vector};
use crate::error::{parse_error, pointing};

/// Nodes of all subexpressions that are handed out at once.
const MAX_NODES: usize = 1 << 24;

/// A tree with names for its variables; the Python class of the same name.
#[pyclass(frozen, module = "opcodon", name = "Expression")]
pub(crate) struct Expression {
    expr: Expr,
    names: Names,
}

/// Names of variables, in the order of the columns that will be given for them.
pub(crate) type Names = Arc<[String]>;

/// The languages that [`Expression::to`] writes, and their printers.
type Printer = fn(&Expr, &[String]) -> String;
const LANGUAGES: &[(&str, Printer)] = &[
    ("infix", |e, names| print::infix(e, names)),
    ("prefix", |e, names| print::prefix(e, names)),
    ("latex", |e, names| print::latex(e, names)),
    ("mathml", |e, names| print::mathml(e, names, None)),
    ("sympy", |e, names| print::sympy(e, names)),
    ("numpy", |e, names| print::numpy(e, names)),
    ("c", |e, names| print::c(e, names)),
    ("rust", |e, names| print::rust(e, names)),
];

/// numpy's ufuncs whose names are not operators' names or aliases already.
const UFUNCS: &[(&str, Op)] = &[
    ("subtract", Op::Sub),
    ("multiply", Op::Mul),
    ("divide", Op::Div),
    ("negative", Op::Neg),
    ("absolute", Op::Abs),
    ("fabs", Op::Abs),
    ("reciprocal", Op::Inv),
    ("float_power", Op::Pow),
    ("rint", Op::Round),
    ("remainder", Op::Mod),
    ("arctan2", Op::Atan2),
    ("less", Op::Lt),
    ("less_equal", Op::Le),
    ("greater", Op::Gt),
    ("greater_equal", Op::Ge),
];

/// Refuses a number of significant digits that no number has.
fn check_digits(digits: usize) -> PyResult<()> {
    if (1..=17).contains(&digits) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "digits must be 1 to 17, not {digits}"
    )))
}

impl Expression {
    pub(crate) fn new(expr: Expr, names: Names) -> Self {
        Self { expr, names }
    }

    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The formula as text that parses back to the same tree.
    pub(crate) fn text(&self) -> String {
        print::infix(&self.expr, &self.names)
    }

    /// An operand of an operator: an expression, or a number.
    fn operand(value: &Bound<'_, PyAny>) -> Option<(Expr, Names)> {
        if let Ok(expression) = value.cast::<Self>() {
            let expression = expression.get();
            return Some((expression.expr.clone(), Arc::clone(&expression.names)));
        }
        if value.is_instance_of::<PyString>() || value.is_instance_of::<PyComplex>() {
            return None;
        }
        let constant = value.extract::<f64>().ok()?;
        Some((Expr::constant(constant), Arc::new([])))
    }

    /// `op` applied to expressions and numbers, whose variables are united by name; `None` if an
    /// operand is neither.
    fn combine(op: Op, operands: &[&Bound<'_, PyAny>]) -> PyResult<Option<Self>> {
        let mut names: Vec<String> = Vec::new();
        let mut nodes = Vec::new();
        for operand in operands {
            let Some((expr, own)) = Self::operand(operand) else {
                return Ok(None);
            };
            let map = unite(&mut names, &own)?;
            nodes.extend(expr.nodes().iter().map(|node| match *node {
                Node::Var(index) => Node::Var(map[index as usize]),
                other => other,
            }));
        }
        nodes.push(Node::Op(op));
        let expr = Expr::from_postfix(nodes).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Some(Self::new(expr, names.into())))
    }

    /// The same formula as one of other variables, which are those of this one and more.
    pub(crate) fn over(&self, names: &Names) -> PyResult<Self> {
        let mut united = names.to_vec();
        let map = unite(&mut united, &self.names)?;
        if united.len() > names.len() {
            return Err(PyValueError::new_err(format!(
                "the variable {} of {} is not among {}",
                united[names.len()],
                self.text(),
                names.join(", ")
            )));
        }
        let nodes = renumbered(&self.expr, &map).collect();
        let expr = Expr::from_postfix(nodes).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self::new(expr, Arc::clone(names)))
    }

    fn binary(op: Op, a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::or_not_implemented(a.py(), Self::combine(op, &[a, b])?)
    }

    fn or_not_implemented(py: Python<'_>, result: Option<Self>) -> PyResult<Py<PyAny>> {
        match result {
            Some(expression) => Ok(Py::new(py, expression)?.into_any()),
            None => Ok(py.NotImplemented()),
        }
    }

    fn index_of(&self, variable: &str) -> PyResult<u32> {
        let position = self
            .names
            .iter()
            .position(|name| name == variable)
            .ok_or_else(|| {
                PyValueError::new_err(format!(
                    "there is no variable {variable:?} in the expression; its variables are: {}",
                    self.names.join(", ")
                ))
            })?;
        u32::try_from(position).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

/// The nodes with other numbers for the variables.
fn renumbered<'a>(expr: &'a Expr, map: &'a [u32]) -> impl Iterator<Item = Node> + 'a {
    expr.nodes().iter().map(|node| match *node {
        Node::Var(index) => Node::Var(map[index as usize]),
        other => other,
    })
}

/// Adds the `new` names that are not among `names` yet; returns where each of `new` is now.
fn unite(names: &mut Vec<String>, new: &[String]) -> PyResult<Vec<u32>> {
    new.iter()
        .enumerate()
        .map(|(index, name)| {
            let same = names.get(index) == Some(name);
            let known = if same {
                Some(index)
            } else {
                names.iter().position(|n| n == name)
            };
            let position = known.unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            });
            u32::try_from(position).map_err(|error| PyValueError::new_err(error.to_string()))
        })
        .collect()
}

/// Every operator: name, spelling, number of arguments, bound of the error in units in the last
/// place, what it is.
#[pyfunction]
pub(crate) fn operators() -> Vec<(&'static str, &'static str, usize, u32, &'static str)> {
    Op::ALL
        .iter()
        .map(|op| {
            (
                op.name(),
                op.spelling(),
                op.arity(),
                op.max_ulp(),
                op.summary(),
            )
        })
        .collect()
}

#[pymethods]
impl Expression {
    #[new]
    #[pyo3(signature = (text, variables=None))]
    pub(crate) fn parse(
        py: Python<'_>,
        text: &str,
        variables: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let names: Option<Vec<&str>> = variables
            .as_ref()
            .map(|names| names.iter().map(String::as_str).collect());
        let parsed = py
            .detach(|| opcodon_expr::parse(text, names.as_deref()).map_err(Box::new))
            .map_err(|error| {
                let message = pointing(&error, &error.render());
                parse_error(py, &message, text, &error.span)
            })?;
        Ok(Self::new(parsed.expr, parsed.variables.into()))
    }

    /// An operator or function, by its name, applied to expressions and numbers.
    #[classmethod]
    #[pyo3(signature = (operator, *operands))]
    fn apply(
        _class: &Bound<'_, PyType>,
        operator: &str,
        operands: &Bound<'_, PyTuple>,
    ) -> PyResult<Self> {
        let op = Op::from_spelling(operator).ok_or_else(|| {
            PyValueError::new_err(format!("there is no operator or function {operator:?}"))
        })?;
        if operands.len() != op.arity() {
            return Err(PyTypeError::new_err(format!(
                "{operator} takes {} operands, but {} were given",
                op.arity(),
                operands.len()
            )));
        }
        let operands: Vec<_> = operands.iter().collect();
        Self::combine(op, &operands.iter().collect::<Vec<_>>())?.ok_or_else(|| {
            PyTypeError::new_err(format!(
                "the operands of {operator} must be Expressions or numbers"
            ))
        })
    }

    #[getter]
    fn variables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.iter())
    }

    #[getter]
    fn size(&self) -> usize {
        self.expr.len()
    }

    #[getter]
    fn depth(&self) -> usize {
        self.expr.depth()
    }

    #[getter]
    fn constants<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.expr.constants())
    }

    fn with_constants(&self, values: Vec<f64>) -> PyResult<Self> {
        let mut expr = self.expr.clone();
        expr.set_constants(&values)
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self::new(expr, Arc::clone(&self.names)))
    }

    /// The same formula with its constants rounded to significant digits: for reading.
    #[pyo3(signature = (digits=6))]
    fn rounded(&self, digits: usize) -> PyResult<Self> {
        check_digits(digits)?;
        let round = |value: &f64| print::rounded(*value, digits);
        self.with_constants(self.expr.constants().iter().map(round).collect())
    }

    /// The nodes in postfix order: numbers, names of variables, spellings of operators.
    fn postfix<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.expr
            .nodes()
            .iter()
            .map(|node| match *node {
                Node::Const(value) => value
                    .into_pyobject(py)
                    .map(Bound::into_any)
                    .map_err(Into::into),
                Node::Var(index) => Ok(PyString::new(py, &self.names[index as usize]).into_any()),
                Node::Op(op) => Ok(PyString::intern(py, op.spelling()).into_any()),
            })
            .collect()
    }

    /// The distinct subtrees of at most `max_size` nodes, operands before what is made of them.
    #[pyo3(signature = (max_size=None))]
    fn subexpressions(&self, max_size: Option<usize>) -> PyResult<Vec<Self>> {
        let nodes = self.expr.nodes();
        let sizes = self.expr.subtree_sizes();
        let wanted = || {
            sizes
                .iter()
                .map(|&size| size as usize)
                .enumerate()
                .filter(|&(_, size)| max_size.is_none_or(|max| size <= max))
        };
        let total = wanted().fold(0usize, |sum, (_, size)| sum.saturating_add(size));
        if total > MAX_NODES {
            return Err(PyValueError::new_err(format!(
                "all subtrees together have {total} nodes, more than {MAX_NODES}: pass max_size"
            )));
        }
        let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut found: Vec<Self> = Vec::new();
        for (end, size) in wanted() {
            let part = Expr::from_postfix(nodes[end + 1 - size..=end].to_vec())
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
            let twins = seen.entry(part.structural_hash()).or_default();
            if twins.iter().all(|&twin| found[twin].expr != part) {
                twins.push(found.len());
                found.push(Self::new(part, Arc::clone(&self.names)));
            }
        }
        Ok(found)
    }

    #[pyo3(signature = (*, exact=true))]
    fn simplify(&self, py: Python<'_>, exact: bool) -> Self {
        let simple = py.detach(|| {
            if exact {
                self.expr.simplify()
            } else {
                self.expr.simplify_algebraic()
            }
        });
        Self::new(simple, Arc::clone(&self.names))
    }

    fn diff(&self, py: Python<'_>, variable: &str) -> PyResult<Self> {
        let index = self.index_of(variable)?;
        let slope = py
            .detach(|| {
                self.expr
                    .diff(index)
                    .map(|slope| slope.simplify_algebraic())
            })
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self::new(slope, Arc::clone(&self.names)))
    }

    /// The reference interpreter: what the expression means, however it is compiled.
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        X: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let matrix = Matrix::extract("X", X, &self.names)?;
        let view = matrix.view();
        let values = py.detach(|| {
            let columns: Vec<Vec<f64>> = (0..self.names.len())
                .map(|column| view.column(column))
                .collect();
            if columns.is_empty() {
                return vec![self.expr.eval(&[]); view.n_rows()];
            }
            self.expr
                .eval_columns(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>())
        });
        Ok(PyArray1::from_vec(py, values))
    }

    /// Bounds on the values over a box, and whether there is a value at every point of it.
    fn interval(
        &self,
        low: &Bound<'_, PyAny>,
        high: &Bound<'_, PyAny>,
    ) -> PyResult<(f64, f64, bool)> {
        let n_variables = self.names.len();
        let ends = |name, ends| Vector::one_for_each("variable", name, ends, n_variables);
        let (low, high) = (ends("low", low)?, ends("high", high)?);
        let mut inputs = Vec::new();
        let ends = low.to_vec().into_iter().zip(high.to_vec());
        for ((low, high), name) in ends.zip(self.names.iter()) {
            if low <= high {
                inputs.push(Interval::new(low, high));
            } else {
                return Err(PyValueError::new_err(format!(
                    "low must be at most high, but for {name} they are {low} and {high}"
                )));
            }
        }
        let bounds = self.expr.bounds(&inputs);
        let (low, high) = (bounds.interval.lo(), bounds.interval.hi());
        Ok((low, high, !bounds.may_be_undefined))
    }

    fn to(&self, py: Python<'_>, language: &str) -> PyResult<String> {
        let printer = LANGUAGES
            .iter()
            .find(|(name, _)| *name == language)
            .ok_or_else(|| {
                let known: Vec<&str> = LANGUAGES.iter().map(|(name, _)| *name).collect();
                PyValueError::new_err(format!(
                    "language must be one of {}, not {language:?}",
                    known.join(", ")
                ))
            })?;
        Ok(py.detach(|| printer.1(&self.expr, &self.names)))
    }

    fn latex(&self, py: Python<'_>) -> PyResult<String> {
        self.to(py, "latex")
    }

    #[pyo3(signature = (digits=None))]
    fn mathml(&self, py: Python<'_>, digits: Option<usize>) -> PyResult<String> {
        digits.map_or(Ok(()), check_digits)?;
        Ok(py.detach(|| print::mathml(&self.expr, &self.names, digits)))
    }

    fn sympy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import(intern!(py, "opcodon.expression"))?
            .call_method1(intern!(py, "to_sympy"), (slf,))
    }

    fn _repr_latex_(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("$\\displaystyle {}$", self.to(py, "latex")?))
    }

    fn _repr_html_(&self, py: Python<'_>) -> String {
        py.detach(|| opcodon_page::fragment(&opcodon_page::formula(&self.expr, &self.names)))
    }

    fn __str__(&self) -> String {
        self.text()
    }

    /// What `parse` takes; the variables only where the text would give others.
    fn __repr__(&self) -> String {
        let text = self.text();
        match opcodon_expr::parse(&text, None) {
            Ok(parsed) if parsed.variables == *self.names => format!("Expression({text:?})"),
            _ => {
                let names: Vec<String> =
                    self.names.iter().map(|name| format!("{name:?}")).collect();
                format!("Expression({text:?}, variables=[{}])", names.join(", "))
            }
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (String, Vec<String>)) {
        let this = slf.get();
        (slf.get_type(), (this.text(), this.names.to_vec()))
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> Py<PyAny> {
        match other.cast::<Self>() {
            Ok(other) => {
                let other = other.get();
                let equal = self.names == other.names && self.expr == other.expr;
                pyo3::types::PyBool::new(py, equal)
                    .to_owned()
                    .into_any()
                    .unbind()
            }
            Err(_) => py.NotImplemented(),
        }
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.expr.structural_hash().hash(&mut hasher);
        self.names.hash(&mut hasher);
        hasher.finish()
    }

    fn __add__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Add, slf, other)
    }
    fn __radd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Add, other, slf)
    }
    fn __sub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Sub, slf, other)
    }
    fn __rsub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Sub, other, slf)
    }
    fn __mul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Mul, slf, other)
    }
    fn __rmul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Mul, other, slf)
    }
    fn __truediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Div, slf, other)
    }
    fn __rtruediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Div, other, slf)
    }
    fn __mod__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Mod, slf, other)
    }
    fn __rmod__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Self::binary(Op::Mod, other, slf)
    }
    fn __pow__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if modulo.is_some() {
            return Ok(slf.py().NotImplemented());
        }
        Self::binary(Op::Pow, slf, other)
    }
    fn __rpow__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if modulo.is_some() {
            return Ok(slf.py().NotImplemented());
        }
        Self::binary(Op::Pow, other, slf)
    }
    fn __neg__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::or_not_implemented(slf.py(), Self::combine(Op::Neg, &[slf])?)
    }
    fn __pos__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }
    fn __abs__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::or_not_implemented(slf.py(), Self::combine(Op::Abs, &[slf])?)
    }

    /// `numpy.sin(e)`, `numpy.float64(2) * e`: numpy's functions build expressions too.
    #[pyo3(signature = (ufunc, method, *inputs, **options))]
    fn __array_ufunc__(
        slf: &Bound<'_, Self>,
        ufunc: &Bound<'_, PyAny>,
        method: &str,
        inputs: &Bound<'_, PyTuple>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let name: String = ufunc.getattr(intern!(py, "__name__"))?.extract()?;
        let known = UFUNCS
            .iter()
            .find(|(ufunc, _)| *ufunc == name)
            .map(|&(_, op)| op);
        let op = known.or_else(|| Op::from_spelling(&name));
        let (Some(op), "__call__", true) = (op, method, options.is_none_or(|o| o.is_empty()))
        else {
            return Ok(py.NotImplemented());
        };
        let inputs: Vec<_> = inputs.iter().collect();
        if inputs.len() != op.arity() {
            return Ok(py.NotImplemented());
        }
        let inputs: Vec<_> = inputs.iter().collect();
        Self::or_not_implemented(py, Self::combine(op, &inputs)?)
    }
}
