//! What goes into an expression over arrays: numbers, memory, and their shapes.

use opcodon_pyfn::{
    ArrayTy, BOOL, Bin, Dtype, FLOAT, INT, NP_BOOL, NP_COMPLEX, NP_F32, NP_FLOAT, OBJECT, Un,
    WholePart,
};
use pyo3::ffi::PyObject;

use super::super::calls::{array_of, value_of};

/// Dimensions that arrays here have at most: views are copied, and few have more.
pub(super) const N_DIMS_MAX: usize = 4;

/// Sizes of dimensions.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Shape {
    pub(super) n_dims: usize,
    pub(super) sizes: [isize; N_DIMS_MAX],
}

impl Shape {
    pub(super) fn sizes(&self) -> &[isize] {
        &self.sizes[..self.n_dims]
    }

    pub(super) fn n_elements(&self) -> usize {
        self.sizes().iter().product::<isize>().unsigned_abs()
    }

    /// The shape of what is made of two arrays.
    pub(super) fn broadcast(&self, other: &Self) -> Option<Self> {
        if self == other {
            return Some(*self);
        }
        let (long, short) = if self.n_dims >= other.n_dims {
            (self, other)
        } else {
            (other, self)
        };
        let mut both = *long;
        let skip = long.n_dims - short.n_dims;
        for (at, &size) in short.sizes().iter().enumerate() {
            let to = &mut both.sizes[skip + at];
            match (*to, size) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *to = b,
                _ => return None,
            }
        }
        Some(both)
    }
}

/// Elements of an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) data: *const u8,
    pub(super) dtype: Dtype,
    pub(super) is_writable: bool,
    pub(super) shape: Shape,
    /// Bytes from element to element.
    pub(super) steps: [isize; N_DIMS_MAX],
}

impl View {
    pub(super) fn of(object: *mut PyObject) -> Option<Self> {
        let fits = |array: &ArrayTy| {
            (1..=N_DIMS_MAX).contains(&array.ndim) && array.dtype != Dtype::Complex128
        };
        let array = array_of(object).filter(fits)?;
        let mut view = Self {
            data: std::ptr::null(),
            dtype: array.dtype,
            is_writable: array.writable,
            shape: Shape {
                n_dims: array.ndim,
                sizes: [1; N_DIMS_MAX],
            },
            steps: [0; N_DIMS_MAX],
        };
        // SAFETY: numpy's own stable interface: data, number of dimensions, sizes, steps.
        unsafe {
            let bytes = object.cast::<u8>();
            view.data = bytes.add(16).cast::<*const u8>().read();
            let sizes = bytes.add(32).cast::<*const isize>().read();
            let steps = bytes.add(40).cast::<*const isize>().read();
            for at in 0..array.ndim {
                view.shape.sizes[at] = sizes.add(at).read();
                view.steps[at] = steps.add(at).read();
            }
        }
        Some(view)
    }

    /// Bytes from element to element of each dimension.
    pub(super) fn steps(&self) -> &[isize] {
        &self.steps[..self.shape.n_dims]
    }

    /// Whether some element may lie where one of the other's does.
    pub(super) fn may_share_memory(&self, other: &Self) -> bool {
        let span = |view: &Self| {
            let (mut low, mut high) = (0, 0);
            for (&step, &size) in view.steps().iter().zip(view.shape.sizes()) {
                let last = step * (size - 1).max(0);
                low += last.min(0);
                high += last.max(0);
            }
            let first = view.data.addr().wrapping_add_signed(low);
            let end = view.data.addr().wrapping_add_signed(high);
            (first, end + usize::try_from(view.dtype.size()).unwrap_or(8))
        };
        let (a, b) = (span(self), span(other));
        a.0 < b.1 && b.0 < a.1
    }

    /// Whether no two elements share memory, as far as that is easily told.
    pub(super) fn lies_apart(&self) -> bool {
        let dims = self.steps().iter().zip(self.shape.sizes());
        let moving = dims.filter(|&(_, &size)| size > 1);
        let mut moving = moving
            .map(|(step, &size)| (step.unsigned_abs(), size.unsigned_abs()))
            .collect::<Vec<_>>();
        moving.sort_unstable();
        let mut extent = usize::try_from(self.dtype.size()).unwrap_or(8);
        moving.into_iter().all(|(step, size)| {
            let is_apart = step >= extent;
            extent += step * (size - 1);
            is_apart
        })
    }

    /// `self[parts]`; `None` if that is no view, or raises.
    pub(super) fn part(&self, parts: &[WholePart], leaves: &[[u64; 2]]) -> Option<Self> {
        let int = |leaf: usize| match Value::of(leaves[leaf])? {
            Value::Scalar(Scalar::Int(value)) => isize::try_from(value).ok(),
            Value::Scalar(Scalar::Numpy(Dtype::Int64, bits)) => {
                isize::try_from(bits.cast_signed()).ok()
            }
            _ => None,
        };
        let mut made = Self {
            shape: Shape {
                n_dims: 0,
                sizes: [1; N_DIMS_MAX],
            },
            steps: [0; N_DIMS_MAX],
            ..*self
        };
        let mut from = 0;
        let push = |made: &mut Self, size: isize, step: isize| -> Option<()> {
            let at = made.shape.n_dims;
            *made.shape.sizes.get_mut(at)? = size;
            made.steps[at] = step;
            made.shape.n_dims += 1;
            Some(())
        };
        for part in parts {
            if matches!(part, WholePart::New) {
                push(&mut made, 1, 0)?;
                continue;
            }
            if from == self.shape.n_dims {
                return None;
            }
            let (size, step) = (self.shape.sizes[from], self.steps[from]);
            from += 1;
            match part {
                WholePart::At(leaf) => {
                    let index = int(*leaf)?;
                    let index = if index < 0 { index + size } else { index };
                    if !(0..size).contains(&index) {
                        return None;
                    }
                    made.data = made.data.wrapping_offset(index * step);
                }
                WholePart::Slice(ends) => {
                    let mut given = [None; 3];
                    for (given, end) in given.iter_mut().zip(ends) {
                        *given = match end {
                            Some(leaf) => Some(int(*leaf)?),
                            None => None,
                        };
                    }
                    let (first, n, by) = slice(given, size)?;
                    made.data = made.data.wrapping_offset(first * step);
                    push(&mut made, n, step.checked_mul(by)?)?;
                }
                WholePart::New => {}
            }
        }
        for at in from..self.shape.n_dims {
            push(&mut made, self.shape.sizes[at], self.steps[at])?;
        }
        (made.shape.n_dims > 0).then_some(made)
    }
}

/// What a slice says of so many elements: the first, their number, and the step; none if that is 0.
fn slice([lower, upper, step]: [Option<isize>; 3], size: isize) -> Option<(isize, isize, isize)> {
    let step = step.unwrap_or(1);
    if step == 0 || step == isize::MIN {
        return None;
    }
    let (least, most) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let place = |end: isize| {
        let end = if end < 0 {
            end.saturating_add(size)
        } else {
            end
        };
        end.clamp(least, most)
    };
    let (first, last) = if step > 0 {
        (lower.map_or(0, place), upper.map_or(size, place))
    } else {
        (lower.map_or(size - 1, place), upper.map_or(-1, place))
    };
    // Steps may be as large as any number.
    let way = if step > 0 { last - first } else { first - last };
    let n = match usize::try_from(way - 1) {
        Ok(way) => isize::try_from(way / step.unsigned_abs()).ok()? + 1,
        Err(_) => 0,
    };
    // Of no elements there is no first.
    Some((if n == 0 { 0 } else { first }, n, step))
}

/// A number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// numpy's, as the bytes of an element.
    Numpy(Dtype, u64),
}

impl Scalar {
    /// A double that is one of Python's or numpy's own, and which of them.
    fn double(self) -> Option<(f64, bool)> {
        match self {
            Self::Float(value) => Some((value, false)),
            Self::Numpy(Dtype::Float64, bits) => Some((f64::from_bits(bits), true)),
            _ => None,
        }
    }

    /// An integer as a double, if it is one.
    fn exact(self) -> Option<(f64, bool)> {
        match self {
            Self::Int(value) if value.unsigned_abs() <= 1 << 53 => {
                #[expect(clippy::cast_precision_loss, reason = "it was looked at")]
                let double = value as f64;
                Some((double, false))
            }
            _ => self.double(),
        }
    }

    /// `self op other`, where that is plain arithmetic that neither raises nor warns.
    pub(super) fn bin(self, op: Bin, other: Self) -> Option<Self> {
        if let (Self::Int(a), Self::Int(b)) = (self, other) {
            let result = match op {
                Bin::Add => a.checked_add(b),
                Bin::Sub => a.checked_sub(b),
                Bin::Mul => a.checked_mul(b),
                _ => None,
            };
            if result.is_some() || op != Bin::TrueDiv {
                return result.map(Self::Int);
            }
        }
        let ((a, a_numpy), (b, b_numpy)) = (self.exact()?, other.exact()?);
        let result = match op {
            Bin::Add => a + b,
            Bin::Sub => a - b,
            Bin::Mul => a * b,
            Bin::TrueDiv if b != 0.0 => a / b,
            _ => return None,
        };
        if !result.is_normal() && result != 0.0 {
            return None;
        }
        Some(if a_numpy || b_numpy {
            Self::Numpy(Dtype::Float64, result.to_bits())
        } else {
            Self::Float(result)
        })
    }

    pub(super) fn un(self, op: Un) -> Option<Self> {
        match (op, self) {
            (Un::Neg, Self::Int(value)) => value.checked_neg().map(Self::Int),
            (Un::Neg, Self::Float(value)) => Some(Self::Float(-value)),
            (Un::Neg, Self::Numpy(Dtype::Float64, bits)) => {
                Some(Self::Numpy(Dtype::Float64, bits ^ (1 << 63)))
            }
            _ => None,
        }
    }
}

/// What a node stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    View(View),
    /// What has to be computed, and its shape.
    Made(Shape),
}

impl Value {
    /// The shape of what is an array.
    pub(super) fn shape(&self) -> Option<Shape> {
        match self {
            Self::Scalar(_) => None,
            Self::View(view) => Some(view.shape),
            Self::Made(shape) => Some(*shape),
        }
    }

    /// A value that generated code handed over.
    pub(super) fn of([tag, bits]: [u64; 2]) -> Option<Self> {
        let scalar = match u8::try_from(tag).ok()? {
            OBJECT => {
                let object = bits as *mut PyObject;
                if let Some(view) = View::of(object) {
                    return Some(Self::View(view));
                }
                let (tag, bits) = value_of(object)?;
                return Self::of([u64::from(tag), bits]);
            }
            BOOL => Scalar::Bool(bits != 0),
            INT => Scalar::Int(bits.cast_signed()),
            FLOAT => Scalar::Float(f64::from_bits(bits)),
            NP_FLOAT => Scalar::Numpy(Dtype::Float64, bits),
            NP_BOOL => Scalar::Numpy(Dtype::Bool, u64::from(bits != 0)),
            NP_F32 => {
                #[expect(clippy::cast_possible_truncation, reason = "it is of that size")]
                let single = f64::from_bits(bits) as f32;
                Scalar::Numpy(Dtype::Float32, u64::from(single.to_bits()))
            }
            // The low bytes come first.
            NP_COMPLEX => return None,
            tag => Scalar::Numpy(Dtype::of_tag(tag)?, bits),
        };
        Some(Self::Scalar(scalar))
    }
}
