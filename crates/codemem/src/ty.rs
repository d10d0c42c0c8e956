//! Types of parameters and results: numbers, addresses, arrays, structures and functions.
//!
//! Numbers and addresses are one word each. The others have parts: a structure its fields, an array
//! the type of its items, a function its signature. They are interned, so that a type stays a small
//! value that is copied and compared freely; how many there are is bounded by how many different
//! ones a program writes.
//!
//! # Invariant
//! Sizes and offsets are those of C: every field lies at a multiple of its alignment, and a
//! structure's size is a multiple of the largest of these.
//!
//! Source: System V ABI, AMD64 supplement, 3.1.2 "Data Representation"; Microsoft's convention has
//! the same layout for these types.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::Signature;

/// Type of a parameter or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ty {
    /// 64-bit float; C's `double`.
    F64,
    /// 32-bit float; C's `float`.
    F32,
    /// Signed 8-bit integer; C's `int8_t`, `char`.
    I8,
    /// Signed 16-bit integer; C's `short`.
    I16,
    /// Signed 32-bit integer; C's `int`.
    I32,
    /// Signed 64-bit integer; C's `long long`, `ssize_t`.
    I64,
    /// Unsigned 8-bit integer; C's `unsigned char`.
    U8,
    /// Unsigned 16-bit integer; C's `unsigned short`.
    U16,
    /// Unsigned 32-bit integer; C's `unsigned`.
    U32,
    /// Unsigned 64-bit integer; C's `unsigned long long`, `size_t`.
    U64,
    /// A byte that is 0 or 1; C's `bool`.
    Bool,
    /// An address of memory that may be written; C's `double *`.
    Ptr,
    /// An address of memory that is only read; C's `const double *`.
    ConstPtr,
    /// The address of numbers of one type, and perhaps of at least so many; C's `double x[3]`.
    Array(Array),
    /// A structure by value.
    Struct(Struct),
    /// The address of a function; C's `int (*)(const void *, const void *)`.
    Function(Prototype),
    /// No result.
    Void,
}

impl Ty {
    /// All types that are one word.
    pub const ALL: [Self; 13] = [
        Self::F64,
        Self::F32,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::Bool,
        Self::Ptr,
        Self::Void,
    ];

    /// The name in the normal form: `f64`, `i32`, `ptr`, `{f64, i32}` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Bool => "bool",
            Self::Ptr => "ptr",
            Self::ConstPtr => "const ptr",
            Self::Array(array) => &array.0.name,
            Self::Struct(layout) => &layout.0.name,
            Self::Function(prototype) => &prototype.0.name,
            Self::Void => "void",
        }
    }

    /// Whether values travel in vector registers.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32)
    }

    /// Whether it is an address of any kind.
    #[must_use]
    pub const fn is_address(self) -> bool {
        matches!(
            self,
            Self::Ptr | Self::ConstPtr | Self::Array(_) | Self::Function(_)
        )
    }

    /// Bytes that a value takes in memory.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Void => 0,
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::Ptr | Self::ConstPtr | Self::Array(_) | Self::Function(_) => 8,
            Self::Struct(layout) => layout.0.size,
        }
    }

    /// What the address of a value is a multiple of.
    #[must_use]
    pub const fn align(self) -> usize {
        match self {
            Self::Struct(layout) => layout.0.align,
            Self::Void => 1,
            other => other.size(),
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Numbers of one type, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Array(&'static ArrayParts);

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayParts {
    item: Ty,
    n_min: usize,
    is_const: bool,
    name: String,
}

impl Array {
    /// At least `n_min` items of a type, which the callee only reads if `is_const`.
    pub(crate) fn new(item: Ty, n_min: usize, is_const: bool) -> Self {
        let qualifier = if is_const { "const " } else { "" };
        let length = if n_min == 0 {
            String::new()
        } else {
            n_min.to_string()
        };
        Self(interned(ArrayParts {
            item,
            n_min,
            is_const,
            name: format!("{qualifier}{item}[{length}]"),
        }))
    }

    /// Type of the items, a number.
    #[must_use]
    pub const fn item(self) -> Ty {
        self.0.item
    }

    /// How many items there must be; 0 if the signature does not say.
    #[must_use]
    pub const fn n_min(self) -> usize {
        self.0.n_min
    }

    /// Whether the items are only read.
    #[must_use]
    pub const fn is_const(self) -> bool {
        self.0.is_const
    }
}

/// Fields side by side, passed by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Struct(&'static Layout);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Layout {
    /// Offset and type of each field.
    fields: Vec<(usize, Ty)>,
    size: usize,
    align: usize,
    /// Of each eightbyte, whether it holds floats only; `None` for structures of more than two.
    floats: Option<([bool; 2], usize)>,
    name: String,
}

/// Bytes in a register, the unit in which structures are passed.
const EIGHTBYTE: usize = 8;

impl Struct {
    /// Most bytes of a structure; a call copies it to the stack.
    pub const SIZE_MAX: usize = 4096;

    /// A structure of these fields; `None` if there are none, one is `void`, or it is larger than
    /// [`SIZE_MAX`](Self::SIZE_MAX).
    #[must_use]
    pub fn new(types: &[Ty]) -> Option<Self> {
        let (mut fields, mut end, mut align) = (Vec::with_capacity(types.len()), 0_usize, 1);
        for &ty in types {
            let offset = end.next_multiple_of(ty.align());
            end = offset + ty.size();
            align = align.max(ty.align());
            if ty == Ty::Void || end > Self::SIZE_MAX {
                return None;
            }
            fields.push((offset, ty));
        }
        if fields.is_empty() {
            return None;
        }
        let size = end.next_multiple_of(align);
        let names: Vec<&str> = types.iter().map(|ty| ty.name()).collect();
        let floats = (size <= 2 * EIGHTBYTE).then(|| {
            let mut floats = [true; 2];
            mark(&fields, 0, &mut floats);
            (floats, size.div_ceil(EIGHTBYTE))
        });
        Some(Self(interned(Layout {
            name: format!("{{{}}}", names.join(", ")),
            fields,
            size,
            align,
            floats,
        })))
    }

    /// Offset and type of each field.
    #[must_use]
    pub fn fields(self) -> &'static [(usize, Ty)] {
        &self.0.fields
    }

    /// Bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        self.0.size
    }

    /// Of each eightbyte, whether it travels in a vector register under System V's convention;
    /// `None` if the structure travels in memory.
    pub(crate) fn eightbytes(self) -> Option<&'static [bool]> {
        let (floats, n) = self.0.floats.as_ref()?;
        floats.get(..*n)
    }
}

/// Marks the eightbytes that hold something else than floats. Structures are nested no deeper than
/// the parser allows.
fn mark(fields: &[(usize, Ty)], start: usize, floats: &mut [bool; 2]) {
    for &(offset, ty) in fields {
        match ty {
            Ty::Struct(inner) => mark(inner.fields(), start + offset, floats),
            _ if ty.is_float() => {}
            _ => {
                if let Some(is_float) = floats.get_mut((start + offset) / EIGHTBYTE) {
                    *is_float = false;
                }
            }
        }
    }
}

/// The signature of a function that is an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prototype(&'static PrototypeParts);

#[derive(Debug, PartialEq, Eq, Hash)]
struct PrototypeParts {
    signature: Signature,
    name: String,
}

impl Prototype {
    /// The type of a function of this signature.
    #[must_use]
    pub fn new(signature: Signature) -> Self {
        let name = format!("{signature}*");
        Self(interned(PrototypeParts { signature, name }))
    }

    /// The signature.
    #[must_use]
    pub const fn signature(self) -> &'static Signature {
        &self.0.signature
    }
}

/// The one copy of a value that lives forever.
fn interned<T: Interned>(value: T) -> &'static T {
    let mut all = T::all().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&known) = all.get(&value) {
        return known;
    }
    let kept: &'static T = Box::leak(Box::new(value));
    all.insert(kept);
    kept
}

type All<T> = LazyLock<Mutex<HashSet<&'static T>>>;

/// A type of which equal values are kept once.
trait Interned: Eq + Hash + 'static {
    /// Those there are.
    fn all() -> &'static Mutex<HashSet<&'static Self>>;
}

macro_rules! interned {
    ($($ty:ty),*) => {$(
        impl Interned for $ty {
            fn all() -> &'static Mutex<HashSet<&'static Self>> {
                static ALL: All<$ty> = LazyLock::new(Mutex::default);
                &ALL
            }
        }
    )*};
}

interned!(ArrayParts, Layout, PrototypeParts);
