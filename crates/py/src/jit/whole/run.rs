//! Runs the steps of a plan over pieces of rows, on one thread or several.
//!
//! # Invariant
//! Pieces begin at multiples of so many elements that a loop which works by the vector does the
//! same elements together as it would in one go.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};

use opcodon_pyfn::Dtype;
use pyo3::ffi;

use super::cast::{can_cast, cast};
use super::plan::{Inner, Plan, Source, Step};
use super::value::{N_DIMS_MAX, Scalar, Shape, Value};
use crate::jit::threads::{n_cores, on_all};
use crate::jit::ufunc::{Strided, Way};

/// `(arguments and results, how many rows, steps, data)`.
pub(in crate::jit) type InnerFunction =
    unsafe extern "C" fn(*mut *mut c_char, *mut isize, *mut isize, *mut c_void);

/// A loop of numpy's over rows.
#[derive(Clone, Copy)]
pub(in crate::jit) struct InnerLoop {
    pub(in crate::jit) function: InnerFunction,
    pub(in crate::jit) data: *mut c_void,
}

unsafe extern "C" {
    fn feclearexcept(flags: c_int) -> c_int;
    fn fetestexcept(flags: c_int) -> c_int;
}

/// The floating-point flags that numpy looks at, and what it calls them.
pub(super) const FLAGS: [(i32, &str); 4] =
    [(1, "invalid"), (4, "divide"), (8, "over"), (16, "under")];
const ALL_FLAGS: i32 = 1 | 4 | 8 | 16;

/// Flags are the thread's own, and stay set.
pub(super) fn clear_flags() {
    // SAFETY: nothing but flags is changed, which the program does not look at otherwise. To look takes
    // less time than to clear.
    unsafe {
        if fetestexcept(ALL_FLAGS) != 0 {
            feclearexcept(ALL_FLAGS);
        }
    }
}

/// The flags that are set.
pub(super) fn raised_flags() -> i32 {
    // SAFETY: flags are looked at.
    unsafe { fetestexcept(ALL_FLAGS) }
}

/// Bytes of all pieces together: they stay in the first cache.
const N_BYTES: usize = 1 << 15;

/// Elements of the longest row that is not worth a run of its own.
const N_SHORT: isize = 32;

/// Elements from which on several threads are faster, or others wait long enough.
const N_MANY: usize = 1 << 16;

/// The rows of an expression: dimensions that lie one in the other are one.
pub(super) struct Rows {
    pub(super) n_dims: usize,
    sizes: [isize; N_DIMS_MAX],
    /// For each node that is an array's its steps.
    steps: Vec<[isize; N_DIMS_MAX]>,
}

impl Rows {
    /// `None` if rows, or all of them, are so short that it is not worth while.
    pub(super) fn new(shape: &Shape, values: &[Value], plan: &Plan) -> Option<Self> {
        let mut rows = Self {
            n_dims: 0,
            sizes: [1; N_DIMS_MAX],
            steps: vec![[0; N_DIMS_MAX]; values.len()],
        };
        let views = values
            .iter()
            .enumerate()
            .filter_map(|(node, value)| match value {
                Value::View(view) if plan.is_read[node] => Some((node, view)),
                _ => None,
            });
        let views = views.collect::<Vec<_>>();
        let step_of = |view: &super::View, dimension: usize| {
            let skipped = shape.n_dims - view.shape.n_dims;
            match dimension.checked_sub(skipped) {
                Some(own) if view.shape.sizes[own] != 1 => view.steps[own],
                _ => 0,
            }
        };
        // Of one element numpy takes other ways now and then.
        if shape.n_elements() < 2 {
            return None;
        }
        for (dimension, &size) in shape.sizes().iter().enumerate() {
            if size == 1 {
                continue;
            }
            let last = rows.n_dims.wrapping_sub(1);
            let follows = rows.n_dims > 0
                && views
                    .iter()
                    .all(|(node, view)| rows.steps[*node][last] == step_of(view, dimension) * size);
            let at = if follows { last } else { rows.n_dims };
            rows.sizes[at] *= size;
            rows.n_dims = at + 1;
            for (node, view) in &views {
                rows.steps[*node][at] = step_of(view, dimension);
            }
        }
        rows.n_dims = rows.n_dims.max(1);
        let is_worth = rows.n_dims == 1 || rows.sizes[rows.n_dims - 1] >= N_SHORT;
        is_worth.then_some(rows)
    }

    pub(super) fn row_size(&self) -> usize {
        self.sizes[self.n_dims - 1].unsigned_abs()
    }

    fn n_rows(&self) -> usize {
        let outer = &self.sizes[..self.n_dims - 1];
        outer.iter().product::<isize>().unsigned_abs()
    }
}

/// Bytes of an element.
fn size_of_one(dtype: Dtype) -> isize {
    isize::try_from(dtype.size()).unwrap_or(8)
}

/// An argument of a loop, ready to be used.
#[derive(Clone, Copy)]
enum Place {
    /// A number, in the loop's type.
    Scalar([u8; 8]),
    /// An array's elements: by their number among those that are read.
    View(usize),
    Slot(usize),
}

/// Something to be computed.
pub(super) struct Job<'a> {
    pub(super) plan: &'a Plan,
    steps: &'a [Step],
    pub(super) rows: &'a Rows,
    places: Vec<[Place; 3]>,
    /// Where arrays begin, and their steps from row to row and within rows.
    views: Vec<(*const u8, [isize; N_DIMS_MAX])>,
    /// Elements of a piece.
    pub(super) n_piece: usize,
}

// SAFETY: threads only read what they share, and write different parts of the result.
unsafe impl Sync for Job<'_> {}

/// An address that threads know.
#[derive(Clone, Copy)]
struct Shared(*mut u8);

impl Shared {
    fn address(self) -> *mut u8 {
        self.0
    }
}

// SAFETY: each writes elements of its own.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

thread_local! {
    /// Memory for pieces.
    static PIECES: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl<'a> Job<'a> {
    /// `None` if a number is none of the type that a loop takes.
    pub(super) fn new(plan: &'a Plan, values: &[Value], rows: &'a Rows) -> Option<Self> {
        let steps = plan.steps.as_deref()?;
        let mut views = Vec::new();
        let mut number = vec![0; values.len()];
        for (node, value) in values.iter().enumerate() {
            if let Value::View(view) = value
                && plan.is_read[node]
            {
                number[node] = views.len();
                views.push((view.data, rows.steps[node]));
            }
        }
        let mut places = Vec::with_capacity(steps.len());
        for step in steps {
            let mut all = [Place::Slot(0); 3];
            for (place, arg) in all.iter_mut().zip(&step.args) {
                *place = match arg.source {
                    Source::Scalar(node) => {
                        let Value::Scalar(scalar) = values[node] else {
                            return None;
                        };
                        Place::Scalar(scalar.element(arg.dtypes[1])?)
                    }
                    Source::View(node) => Place::View(number[node]),
                    Source::Slot(slot) => Place::Slot(slot),
                };
            }
            places.push(all);
        }
        let n_piece = (N_BYTES / 8 / plan.n_slots.max(1)).clamp(256, 2048) & !63;
        Some(Self {
            plan,
            steps,
            rows,
            places,
            views,
            n_piece: n_piece.min(rows.row_size().next_multiple_of(64)),
        })
    }

    /// Computes all elements into an array; which floating-point flags were raised.
    pub(super) fn fill(&self, out: *mut u8, parallel: bool, nogil: bool) -> i32 {
        let n = self.rows.row_size() * self.rows.n_rows();
        let is_large = n >= N_MANY;
        let gil = (is_large && (parallel || nogil)).then(|| unsafe { ffi::PyEval_SaveThread() });
        let n_threads = if is_large && parallel {
            n_cores().min(n / (N_MANY / 4))
        } else {
            1
        };
        let flags = if n_threads > 1 {
            self.fill_on_threads(out, n_threads)
        } else {
            self.fill_rows(out, [0, self.rows.n_rows()], [0, self.rows.row_size()])
        };
        if let Some(gil) = gil {
            unsafe { ffi::PyEval_RestoreThread(gil) };
        }
        flags
    }

    fn fill_on_threads(&self, out: *mut u8, n_threads: usize) -> i32 {
        let (n_rows, row_size) = (self.rows.n_rows(), self.rows.row_size());
        let flags = AtomicI32::new(0);
        let out = Shared(out);
        let part = |at: usize| {
            let share = |n: usize, unit: usize| {
                let n_units = n.div_ceil(unit);
                [at, at + 1].map(|at| (n_units * at / n_threads * unit).min(n))
            };
            let (rows, elements) = if n_rows > 1 {
                (share(n_rows, 1), [0, row_size])
            } else {
                ([0, 1], share(row_size, self.n_piece))
            };
            let raised = self.fill_rows(out.address(), rows, elements);
            flags.fetch_or(raised, Ordering::Relaxed);
        };
        on_all(n_threads, part);
        flags.load(Ordering::Relaxed)
    }

    /// Some of the rows, and of each of them some elements.
    fn fill_rows(&self, out: *mut u8, rows: [usize; 2], elements: [usize; 2]) -> i32 {
        let Some(size) = self.steps.last().map(|step| size_of_one(step.out)) else {
            return 0;
        };
        self.with_pieces(|pieces| {
            clear_flags();
            let mut flags = 0;
            for row in rows[0]..rows[1] {
                let mut at = elements[0];
                while at < elements[1] {
                    let n = self.n_piece.min(elements[1] - at);
                    let to = (row * self.rows.row_size() + at) * size.unsigned_abs();
                    flags |= self.piece(row, at, n, pieces, out.wrapping_add(to));
                    at += n;
                }
            }
            flags
        })
    }

    pub(super) fn with_pieces<T>(&self, f: impl FnOnce(*mut u8) -> T) -> T {
        PIECES.with_borrow_mut(|memory| {
            let n = self.plan.n_slots * self.n_piece;
            if memory.len() < n {
                memory.resize(n, 0);
            }
            f(memory.as_mut_ptr().cast())
        })
    }

    fn slot(&self, pieces: *mut u8, slot: usize) -> *mut u8 {
        pieces.wrapping_add(8 * self.n_piece * slot)
    }

    /// Some elements of a row; the last step writes where it is told to.
    pub(super) fn piece(
        &self,
        row: usize,
        at: usize,
        n: usize,
        pieces: *mut u8,
        out: *mut u8,
    ) -> i32 {
        let offset = |steps: &[isize; N_DIMS_MAX]| {
            let last = self.rows.n_dims - 1;
            let mut offset = steps[last] * at.cast_signed();
            let mut rest = row.cast_signed();
            for dimension in (0..last).rev() {
                let size = self.rows.sizes[dimension];
                offset += rest % size * steps[dimension];
                rest /= size;
            }
            (offset, steps[last])
        };
        let mut flags = 0;
        for (number, step) in self.steps.iter().enumerate() {
            let mut places = self.places[number];
            let mut pointers = [std::ptr::null_mut::<c_char>(); 4];
            let mut strides = [0_isize; 4];
            let n_args = step.args.len();
            for (k, (arg, place)) in step.args.iter().zip(&mut places).enumerate() {
                let (mut pointer, mut stride) = match place {
                    Place::Scalar(bytes) => (bytes.as_mut_ptr(), 0),
                    Place::View(view) => {
                        let (data, steps) = &self.views[*view];
                        let (offset, stride) = offset(steps);
                        (data.wrapping_offset(offset).cast_mut(), stride)
                    }
                    Place::Slot(slot) => (self.slot(pieces, *slot), size_of_one(arg.dtypes[0])),
                };
                if let Some(slot) = arg.cast {
                    let target = self.slot(pieces, slot);
                    // SAFETY: the elements are there, and a slot has room for a piece.
                    unsafe { cast(arg.dtypes, (pointer, stride), target, n) };
                    (pointer, stride) = (target, size_of_one(arg.dtypes[1]));
                }
                (pointers[k], strides[k]) = (pointer.cast(), stride);
            }
            let target = if number + 1 == self.steps.len() {
                out
            } else {
                self.slot(pieces, step.slot)
            };
            pointers[n_args] = target.cast();
            strides[n_args] = size_of_one(step.out);
            match step.inner {
                // SAFETY: the loop is one for these types, and the elements are there.
                Inner::Loop(inner) => flags |= unsafe { inner.run(&mut pointers, n, &mut strides) },
                // SAFETY: as above.
                Inner::Where => unsafe { choose(&pointers, n, &strides, step.out) },
                Inner::Copy => {
                    let from = Strided {
                        at: pointers[0].cast(),
                        shape: &[n],
                        steps: &strides[..1],
                    };
                    from.copy(target, size_of_one(step.out).unsigned_abs(), Way::In);
                }
            }
        }
        flags
    }
}

impl InnerLoop {
    /// Puts elements together, one after the other, with what there is.
    ///
    /// # Safety
    /// It must be a loop of two such elements that makes a third.
    pub(super) unsafe fn fold<T>(self, so_far: &mut T, block: &[T]) {
        let result = std::ptr::from_mut(so_far).cast::<c_char>();
        let mut pointers = [result, block.as_ptr().cast_mut().cast(), result];
        let mut steps = [0, size_of::<T>().cast_signed(), 0];
        let mut n = block.len().cast_signed();
        // SAFETY: the caller says so.
        unsafe {
            (self.function)(
                pointers.as_mut_ptr(),
                &raw mut n,
                steps.as_mut_ptr(),
                self.data,
            );
        }
    }

    /// Runs the loop; which floating-point flags are set then.
    ///
    /// # Safety
    /// It must be one for the types of what is there.
    unsafe fn run(
        self,
        pointers: &mut [*mut c_char; 4],
        n: usize,
        strides: &mut [isize; 4],
    ) -> i32 {
        let mut sizes = [n.cast_signed()];
        // SAFETY: the caller says so; flags are the thread's own.
        unsafe {
            (self.function)(
                pointers.as_mut_ptr(),
                sizes.as_mut_ptr(),
                strides.as_mut_ptr(),
                self.data,
            );
            fetestexcept(ALL_FLAGS)
        }
    }
}

/// `condition ? a : b`.
///
/// # Safety
/// So many elements can be read and written.
unsafe fn choose(pointers: &[*mut c_char; 4], n: usize, strides: &[isize; 4], dtype: Dtype) {
    macro_rules! rows {
        ($type:ty) => {{
            let size = size_of::<$type>().cast_signed();
            let lies = |k: usize, size: isize| strides[k] == size || strides[k] == 0;
            let is_dense = strides[0] == 1 && lies(1, size) && lies(2, size);
            let moves = [strides[1] != 0, strides[2] != 0];
            // SAFETY: the caller says so.
            unsafe {
                match moves {
                    [true, true] if is_dense => choose_dense::<$type, 1, 1>(pointers, n),
                    [true, false] if is_dense => choose_dense::<$type, 1, 0>(pointers, n),
                    [false, true] if is_dense => choose_dense::<$type, 0, 1>(pointers, n),
                    _ => {
                        for at in 0..n.cast_signed() {
                            let place = |k: usize| pointers[k].offset(strides[k] * at);
                            let is_so = place(0).cast::<u8>().read() != 0;
                            let which = if is_so { 1 } else { 2 };
                            let value = place(which).cast::<$type>().read();
                            place(3).cast::<$type>().write(value);
                        }
                    }
                }
            }
        }};
    }
    match dtype.size() {
        1 => rows!(u8),
        2 => rows!(u16),
        4 => rows!(u32),
        _ => rows!(u64),
    }
}

/// The same where elements lie side by side, or are one number.
///
/// # Safety
/// As above.
unsafe fn choose_dense<T: Copy, const A: usize, const B: usize>(
    pointers: &[*mut c_char; 4],
    n: usize,
) {
    let [condition, a, b, out] = *pointers;
    for at in 0..n {
        // SAFETY: the caller says so.
        unsafe {
            let is_so = condition.cast::<u8>().add(at).read() != 0;
            let yes = a.cast::<T>().add(A * at).read();
            let no = b.cast::<T>().add(B * at).read();
            out.cast::<T>().add(at).write(if is_so { yes } else { no });
        }
    }
}

impl Scalar {
    /// The number as an element of a type; `None` if it is none, or not for certain.
    pub(super) fn element(self, dtype: Dtype) -> Option<[u8; 8]> {
        let is_float = matches!(dtype, Dtype::Float32 | Dtype::Float64);
        let (from, bits) = match self {
            Self::Bool(value) => (Dtype::Bool, u64::from(value)),
            Self::Numpy(from, bits) => (from, bits),
            Self::Int(value) if is_float => {
                let limit = if dtype == Dtype::Float32 { 24 } else { 53 };
                if value.unsigned_abs() > 1 << limit {
                    return None;
                }
                #[expect(clippy::cast_precision_loss, reason = "it was looked at")]
                return Self::Float(value as f64).element(dtype);
            }
            Self::Int(value) => {
                let fits = match dtype {
                    Dtype::Int8 => i8::try_from(value).is_ok(),
                    Dtype::Int16 => i16::try_from(value).is_ok(),
                    Dtype::Int32 => i32::try_from(value).is_ok(),
                    Dtype::Int64 => true,
                    Dtype::UInt8 => u8::try_from(value).is_ok(),
                    Dtype::UInt16 => u16::try_from(value).is_ok(),
                    Dtype::UInt32 => u32::try_from(value).is_ok(),
                    Dtype::UInt64 => value >= 0,
                    _ => false,
                };
                return fits.then(|| value.to_ne_bytes());
            }
            Self::Float(value) if dtype == Dtype::Float32 => {
                #[expect(clippy::cast_possible_truncation, reason = "as numpy does")]
                let single = value as f32;
                let fits = single.is_finite() || !value.is_finite();
                return fits.then(|| u64::from(single.to_bits()).to_ne_bytes());
            }
            Self::Float(value) => {
                return (dtype == Dtype::Float64).then(|| value.to_ne_bytes());
            }
        };
        let bytes = bits.to_ne_bytes();
        if from == dtype {
            return Some(bytes);
        }
        let mut out = [0; 8];
        can_cast(from, dtype).then(|| {
            // SAFETY: one element, which has room.
            unsafe { cast([from, dtype], (bytes.as_ptr(), 0), out.as_mut_ptr(), 1) };
            out
        })
    }
}
