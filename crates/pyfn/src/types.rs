//! The types of values, a lattice.
//!
//! A value at run time is a *tag* and its bits: a word (integers, truth values, pointers to Python
//! objects) or a double. What is known when a function is compiled is the set of tags that a local
//! may have at a place, and of an object that it is, say, an array of a certain type. The join of
//! two types is the union of the tags and whatever is known of both; so no two types are
//! incompatible, they only cost a look at the tag.
//!
//! # Invariant
//! Tags tell the truth about the bits, so whoever has a tag and bits can make a Python object of
//! them without knowing any type.

/// The tag of a value whose local is not bound.
pub const UNSET: u8 = 0;
/// `None`.
pub const NONE: u8 = 1;
/// `bool`, as a word that is 0 or 1.
pub const BOOL: u8 = 2;
/// `int` of 64 bits.
pub const INT: u8 = 3;
/// `float`.
pub const FLOAT: u8 = 4;
/// Any object, as a pointer.
pub const OBJECT: u8 = 5;
/// A tuple whose parts are values of their own.
pub const TUPLE: u8 = 6;
/// A range, as three words.
pub const RANGE: u8 = 7;
/// A `str` of one character, as its code point.
pub const CHAR: u8 = 8;
/// `complex`: the real part as a word, the imaginary one as a double.
pub const COMPLEX: u8 = 9;
/// Added to a scalar's tag for numpy's scalars: `numpy.bool_`, `int64`, `float64`.
pub const NUMPY: u8 = 16;
/// `numpy.bool_`.
pub const NP_BOOL: u8 = NUMPY | BOOL;
/// `numpy.int64`.
pub const NP_INT: u8 = NUMPY | INT;
/// `numpy.float64`.
pub const NP_FLOAT: u8 = NUMPY | FLOAT;
/// `numpy.float32`, as the double of the same value.
pub const NP_F32: u8 = 21;
/// `numpy.int8`.
pub const NP_I8: u8 = 22;
/// `numpy.int16`.
pub const NP_I16: u8 = 23;
/// `numpy.int32`.
pub const NP_I32: u8 = 24;
/// `numpy.uint8`.
pub const NP_U8: u8 = 25;
/// `numpy.uint16`.
pub const NP_U16: u8 = 26;
/// `numpy.uint32`.
pub const NP_U32: u8 = 27;
/// `numpy.complex128`, as `complex`.
pub const NP_COMPLEX: u8 = 28;
/// `numpy.uint64`, as the word of its bits.
pub const NP_U64: u8 = 29;
/// What a native function returns in place of a tag if an exception is raised.
pub const RAISED: u8 = 31;

/// The room of counts, counters and what indexes: they are less than `2^56`.
pub const COUNT_ROOM: u8 = 7;

/// A set of tags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tags(pub u32);

impl std::fmt::Debug for Tags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.iter().map(tag_name).collect::<Vec<_>>();
        f.write_str(&names.join("|"))
    }
}

/// How a tag is called in signatures.
#[must_use]
pub fn tag_name(tag: u8) -> &'static str {
    match tag {
        UNSET => "unset",
        NONE => "None",
        BOOL => "bool",
        INT => "int",
        FLOAT => "float",
        OBJECT => "object",
        TUPLE => "tuple",
        RANGE => "range",
        CHAR => "character",
        COMPLEX => "complex",
        NP_BOOL => "numpy.bool",
        NP_INT => "numpy.int64",
        NP_FLOAT => "numpy.float64",
        NP_F32 => "numpy.float32",
        NP_I8 => "numpy.int8",
        NP_I16 => "numpy.int16",
        NP_I32 => "numpy.int32",
        NP_U8 => "numpy.uint8",
        NP_U16 => "numpy.uint16",
        NP_U32 => "numpy.uint32",
        NP_COMPLEX => "numpy.complex128",
        NP_U64 => "numpy.uint64",
        _ => "?",
    }
}

/// What is behind the word of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// A word that is an integer or a truth value.
    Int,
    /// A word that is an integer without a sign (`unsigned`).
    Unsigned,
    /// A double.
    Float,
    /// A word that is a code point.
    Char,
    /// A word and a double.
    Complex,
    /// Nothing: the tag says it all.
    Nothing,
    /// A pointer to an object.
    Object,
    /// Parts.
    Parts,
}

/// The class of a tag.
#[must_use]
pub const fn class(tag: u8) -> Class {
    match tag {
        BOOL | INT | NP_BOOL | NP_INT | NP_I8..=NP_U32 => Class::Int,
        NP_U64 => Class::Unsigned,
        FLOAT | NP_FLOAT | NP_F32 => Class::Float,
        OBJECT => Class::Object,
        TUPLE | RANGE => Class::Parts,
        CHAR => Class::Char,
        COMPLEX | NP_COMPLEX => Class::Complex,
        _ => Class::Nothing,
    }
}

impl Tags {
    /// Numbers whose bits are a word.
    pub const INTS: Self = Self(1 << BOOL | 1 << NP_BOOL | Self::INDICES.0);
    /// Numbers whose bits are a double.
    pub const FLOATS: Self = Self(1 << FLOAT | 1 << NP_FLOAT | 1 << NP_F32);
    /// Numbers of two parts.
    pub const COMPLEXES: Self = Self(1 << COMPLEX | 1 << NP_COMPLEX);
    /// Integers whose words have no sign.
    pub const UNSIGNED: Self = Self(1 << NP_U64);
    /// Integers proper: what may be an index.
    pub const INDICES: Self = Self(1 << INT | 1 << NP_INT | 0b11_1111 << NP_I8);
    /// numpy's scalars of less than 64 bits, which have arithmetic of their own.
    pub const NARROW: Self = Self(1 << NP_F32 | 0b11_1111 << NP_I8);
    /// All numbers.
    pub const NUMBERS: Self = Self(Self::INTS.0 | Self::FLOATS.0);
    /// numpy's scalars.
    pub const NUMPY: Self = Self(
        1 << NP_BOOL | 1 << NP_INT | 1 << NP_FLOAT | 1 << NP_COMPLEX | 1 << NP_U64 | Self::NARROW.0,
    );

    /// One tag.
    #[must_use]
    pub const fn of(tag: u8) -> Self {
        Self(1 << tag)
    }
    /// Whether the tag is in the set.
    #[must_use]
    pub const fn has(self, tag: u8) -> bool {
        self.0 >> tag & 1 != 0
    }
    /// Whether one of these is.
    #[must_use]
    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
    /// Whether all in this set are in the other.
    #[must_use]
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
    /// Both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// The tag, if there is just one.
    #[must_use]
    pub fn single(self) -> Option<u8> {
        (self.0.count_ones() == 1).then(|| u8::try_from(self.0.trailing_zeros()).unwrap_or(0))
    }
    /// The tags in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..32).filter(move |&tag| self.has(tag))
    }
}

/// The type of an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are numpy's")]
pub enum Dtype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    Complex128,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Bool,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::UInt8,
        Self::UInt16,
        Self::UInt32,
        Self::UInt64,
        Self::Float32,
        Self::Float64,
        Self::Complex128,
    ];

    /// numpy's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Complex128 => "complex128",
        }
    }

    /// Bytes of an element.
    #[must_use]
    pub const fn size(self) -> i64 {
        match self {
            Self::Bool | Self::Int8 | Self::UInt8 => 1,
            Self::Int16 | Self::UInt16 => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 => 4,
            Self::Int64 | Self::UInt64 | Self::Float64 => 8,
            Self::Complex128 => 16,
        }
    }

    /// The tag of an element that is read, if there is one.
    #[must_use]
    pub const fn tag(self) -> Option<u8> {
        match self {
            Self::Bool => Some(NP_BOOL),
            Self::Int64 => Some(NP_INT),
            Self::Float64 => Some(NP_FLOAT),
            Self::Float32 => Some(NP_F32),
            Self::Int8 => Some(NP_I8),
            Self::Int16 => Some(NP_I16),
            Self::Int32 => Some(NP_I32),
            Self::UInt8 => Some(NP_U8),
            Self::UInt16 => Some(NP_U16),
            Self::UInt32 => Some(NP_U32),
            Self::Complex128 => Some(NP_COMPLEX),
            Self::UInt64 => Some(NP_U64),
        }
    }

    /// The dtype of a scalar.
    #[must_use]
    pub fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.tag() == Some(tag))
    }

    /// The type of an element that is read.
    #[must_use]
    pub fn element(self) -> Option<Ty> {
        let (natural, room) = match self {
            Self::Bool => (true, 62),
            Self::Int8 => (false, 56),
            Self::Int16 => (false, 48),
            Self::Int32 => (false, 32),
            Self::UInt8 => (true, 55),
            Self::UInt16 => (true, 47),
            Self::UInt32 => (true, 31),
            _ => (false, 0),
        };
        self.tag().map(|tag| Ty {
            natural,
            room,
            ..Ty::of(tag)
        })
    }
}

/// What is known of an array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ArrayTy {
    /// Its elements.
    pub dtype: Dtype,
    /// Number of dimensions.
    pub ndim: usize,
    /// Whether the elements lie side by side, the last index running fastest.
    pub contiguous: bool,
    /// Whether it may be written.
    pub writable: bool,
}

/// What is known of a value beyond its tags.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Form {
    /// Nothing.
    #[default]
    Any,
    /// The object is an array.
    Array(ArrayTy),
    /// The object is a list; its elements are expected to be such, and looked at when read.
    List(Box<Ty>),
    /// The object is a list that only this function sees: its elements are such numbers, side by
    /// side.
    Unboxed(Box<Ty>),
    /// The object is a dictionary or a set that only this function sees.
    Table(Box<crate::table::TableTy>),
    /// The object is exactly a `str`.
    Str,
    /// The object is exactly a `bytes`.
    Bytes,
    /// The object is exactly a `dict`.
    Dict,
    /// The object is expected to be an instance of this class, which is looked at when it is used.
    Instance(crate::classes::InstanceTy),
    /// The object is exactly a tuple; its parts, if any are told, are expected to be such, and
    /// looked at when read.
    TupleObject(Vec<Ty>),
    /// The parts of a tuple.
    Tuple(Vec<Ty>),
    /// The step of a range, which is written in the program.
    Range(i64),
}

/// A type.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Ty {
    /// The tags that a value may have.
    pub tags: Tags,
    /// No integer among them is negative.
    pub natural: bool,
    /// Integers among them are at most `2^(63 - room)` in size, and less if none is negative. A room
    /// of 1 means that many but for what can be counted in a year (`steps`).
    pub room: u8,
    /// What is known of objects.
    pub form: Form,
    /// What the value is taken for from the next statement on, where that is looked at.
    pub narrow: Option<Box<Ty>>,
}

impl std::fmt::Debug for Ty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.form {
            Form::Any | Form::Range(_) => write!(f, "{:?}", self.tags)?,
            Form::Array(array) => {
                let order = if array.contiguous { "C" } else { "A" };
                write!(f, "array({}, {}d, {order}", array.dtype.name(), array.ndim)?;
                f.write_str(if array.writable { ")" } else { ", readonly)" })?;
            }
            Form::List(element) => write!(f, "list[{element:?}]")?,
            Form::Unboxed(element) => write!(f, "own list[{element:?}]")?,
            Form::Table(table) if table.is_set => write!(f, "own set[{:?}]", table.key)?,
            Form::Table(table) => write!(f, "own dict[{:?}, {:?}]", table.key, table.value)?,
            Form::Str => f.write_str("str")?,
            Form::Bytes => f.write_str("bytes")?,
            Form::Dict => f.write_str("dict")?,
            Form::Instance(class) => f.write_str(&class.name)?,
            Form::TupleObject(parts) if parts.is_empty() => f.write_str("tuple")?,
            Form::TupleObject(parts) => {
                let parts = parts.iter().map(|part| format!("{part:?}"));
                write!(f, "tuple({})", parts.collect::<Vec<_>>().join(", "))?;
            }
            Form::Tuple(parts) => {
                f.write_str("tuple[")?;
                for (index, part) in parts.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{part:?}")?;
                }
                f.write_str("]")?;
            }
        }
        if self.tags.has(OBJECT) && self.form != Form::Any && self.tags.single().is_none() {
            write!(f, "|{:?}", self.tags)?;
        }
        Ok(())
    }
}

impl Ty {
    /// A type of tags alone.
    #[must_use]
    pub fn tags(tags: Tags) -> Self {
        Self {
            tags,
            ..Self::default()
        }
    }

    /// The type of one tag.
    #[must_use]
    pub fn of(tag: u8) -> Self {
        Self::tags(Tags::of(tag))
    }

    /// Integers that are not negative.
    #[must_use]
    pub fn natural() -> Self {
        Self {
            natural: true,
            ..Self::of(INT)
        }
    }

    /// The number of elements of something: less than `2^56`.
    #[must_use]
    pub fn count() -> Self {
        Self {
            room: COUNT_ROOM,
            ..Self::natural()
        }
    }

    /// The type of an integer.
    #[must_use]
    pub fn integer(value: i64) -> Self {
        let beyond = u64::from(value < 0);
        let bits = 64 - value.unsigned_abs().saturating_sub(beyond).leading_zeros();
        Self {
            natural: value >= 0,
            room: u8::try_from(63 - bits.min(63)).unwrap_or(0),
            ..Self::of(INT)
        }
    }

    /// A truth value.
    #[must_use]
    pub fn truth() -> Self {
        Self {
            natural: true,
            room: 62,
            ..Self::of(BOOL)
        }
    }

    /// The room of integers, if there are any among the values.
    #[must_use]
    pub fn int_room(&self) -> u8 {
        if self.tags.any(Tags::INTS) {
            self.room
        } else {
            63
        }
    }

    /// The type where integers may grow from turn to turn: no room is left where it has shrunk, but a
    /// bit where they only count.
    #[must_use]
    pub fn widened(mut self, before: &Self, counts: bool) -> Self {
        if self.room != before.room {
            self.room = self.room.min(u8::from(counts));
        }
        if let (Form::Tuple(parts), Some(others)) = (&mut self.form, before.parts())
            && parts.len() == others.len()
        {
            let pairs = parts.iter_mut().zip(others);
            pairs.for_each(|(part, other)| *part = std::mem::take(part).widened(other, false));
        }
        self
    }

    /// An object of which something is known.
    #[must_use]
    pub fn object(form: Form) -> Self {
        Self {
            form,
            ..Self::of(OBJECT)
        }
    }

    /// A tuple of parts.
    #[must_use]
    pub fn tuple(parts: Vec<Self>) -> Self {
        Self {
            form: Form::Tuple(parts),
            ..Self::of(TUPLE)
        }
    }

    /// A value that comes out of an operation as any object, and is taken for `self` from the
    /// next statement on.
    #[must_use]
    pub fn expected(self) -> Self {
        Self {
            tags: self.tags.or(Tags::of(OBJECT)),
            narrow: Some(Box::new(self)),
            ..Self::default()
        }
    }

    /// An object that is taken for `self` from the next statement on.
    #[must_use]
    pub fn boxed(self) -> Self {
        Self {
            narrow: Some(Box::new(self)),
            ..Self::of(OBJECT)
        }
    }

    /// What the value is taken for.
    #[must_use]
    pub fn narrowed(&self) -> &Self {
        self.narrow.as_deref().unwrap_or(self)
    }

    /// Whether no value has this type.
    #[must_use]
    pub const fn is_never(&self) -> bool {
        self.tags.is_empty()
    }

    /// The array, if the value is one for certain.
    #[must_use]
    pub fn array(&self) -> Option<ArrayTy> {
        match self.form {
            Form::Array(array) if self.tags == Tags::of(OBJECT) => Some(array),
            _ => None,
        }
    }

    /// The elements, if the value is a list for certain.
    #[must_use]
    pub fn list(&self) -> Option<&Self> {
        match &self.form {
            Form::List(element) if self.tags == Tags::of(OBJECT) => Some(element),
            _ => None,
        }
    }

    /// Whether the value is a `bytes` for certain.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        self.form == Form::Bytes && self.tags == Tags::of(OBJECT)
    }

    /// Whether the value is a `str` for certain, as an object or as a character.
    #[must_use]
    pub fn is_text(&self) -> bool {
        let texts = Tags::of(OBJECT).or(Tags::of(CHAR));
        let is_known = self.form == Form::Str || !self.tags.has(OBJECT);
        self.tags.within(texts) && !self.is_never() && is_known
    }

    /// The type with characters as objects.
    #[must_use]
    pub fn without_chars(&self) -> Self {
        if !self.tags.has(CHAR) {
            return self.clone();
        }
        let others = Tags(self.tags.0 & !Tags::of(CHAR).0);
        let form = if others.has(OBJECT) {
            self.form.clone()
        } else {
            Form::Str
        };
        Self {
            tags: others.or(Tags::of(OBJECT)),
            form,
            ..self.clone()
        }
    }

    /// An item of a `bytes`.
    #[must_use]
    pub fn byte() -> Self {
        Self {
            room: 55,
            ..Self::natural()
        }
    }

    /// The elements, if the value is a list that only its function sees.
    #[must_use]
    pub fn unboxed(&self) -> Option<&Self> {
        match &self.form {
            Form::Unboxed(element) if self.tags == Tags::of(OBJECT) => Some(element),
            _ => None,
        }
    }

    /// The table, if the value is one that only its function sees.
    #[must_use]
    pub fn table(&self) -> Option<&crate::table::TableTy> {
        match &self.form {
            Form::Table(table) if self.tags == Tags::of(OBJECT) => Some(table),
            _ => None,
        }
    }

    /// The parts of a tuple.
    #[must_use]
    pub fn parts(&self) -> Option<&[Self]> {
        match &self.form {
            Form::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    /// The smallest type of both values.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        if self.is_never() || self == other {
            return other.clone();
        }
        if other.is_never() {
            return self.clone();
        }
        let narrow = (self.narrow.is_some() || other.narrow.is_some())
            .then(|| Box::new(self.narrowed().join(other.narrowed())));
        let mut tags = self.tags.or(other.tags);
        let has_form = |ty: &Self| ty.tags.any(Tags::of(OBJECT));
        let form = match (&self.form, &other.form) {
            (Form::Tuple(a), Form::Tuple(b)) if a.len() == b.len() && tags == Tags::of(TUPLE) => {
                Form::Tuple(a.iter().zip(b).map(|(a, b)| a.join(b)).collect())
            }
            (Form::List(a), Form::List(b)) => Form::List(Box::new(a.join(b))),
            (Form::TupleObject(a), Form::TupleObject(b)) if a.len() == b.len() => {
                Form::TupleObject(a.iter().zip(b).map(|(a, b)| a.join(b)).collect())
            }
            (Form::TupleObject(_), Form::TupleObject(_)) => Form::TupleObject(Vec::new()),
            (a, b) if a == b && !tags.has(TUPLE) => a.clone(),
            (a, Form::Any) if !has_form(other) && !tags.has(TUPLE) => a.clone(),
            (Form::Any, b) if !has_form(self) && !tags.has(TUPLE) => b.clone(),
            (Form::Array(a), Form::Array(b)) if a.dtype == b.dtype && a.ndim == b.ndim => {
                Form::Array(ArrayTy {
                    contiguous: a.contiguous && b.contiguous,
                    writable: a.writable && b.writable,
                    ..*a
                })
            }
            _ => Form::Any,
        };
        let parts = Tags::of(TUPLE).or(Tags::of(RANGE));
        let keeps_parts = matches!(form, Form::Tuple(_)) || tags == Tags::of(RANGE);
        if tags.any(parts) && !keeps_parts {
            tags = Tags(tags.0 & !parts.0).or(Tags::of(OBJECT));
        }
        let naturals = |ty: &Self| ty.natural || !ty.tags.any(Tags::INTS);
        Self {
            tags,
            natural: naturals(self) && naturals(other),
            room: self.int_room().min(other.int_room()),
            form,
            narrow,
        }
    }

    /// How deep lists and tuples are nested in it.
    #[must_use]
    pub fn depth(&self) -> usize {
        match &self.form {
            Form::List(element) => 1 + element.depth(),
            Form::Tuple(parts) | Form::TupleObject(parts) => {
                1 + parts.iter().map(Self::depth).max().unwrap_or(0)
            }
            _ => 0,
        }
    }
}
