//! Values: the arguments and results of calls whose signature is known only at run time.
//!
//! A number is in registers what it is here, extended to 64 bits; a structure is its bytes, as they
//! lie in memory, and is read and written field by field.

use std::fmt;

use crate::{CodeError, Struct, Ty};

/// An argument or a result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the variants are those of Ty, and documented there"
)]
pub enum Value {
    F64(f64),
    F32(f32),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Bool(bool),
    /// An address of any kind. The value does not keep alive what is there.
    Ptr(usize),
    Struct(Record),
    /// The result of a function without one.
    Void,
}

impl Value {
    /// The type; of all kinds of addresses [`Ty::Ptr`].
    #[must_use]
    pub fn ty(&self) -> Ty {
        match self {
            Self::F64(_) => Ty::F64,
            Self::F32(_) => Ty::F32,
            Self::I8(_) => Ty::I8,
            Self::I16(_) => Ty::I16,
            Self::I32(_) => Ty::I32,
            Self::I64(_) => Ty::I64,
            Self::U8(_) => Ty::U8,
            Self::U16(_) => Ty::U16,
            Self::U32(_) => Ty::U32,
            Self::U64(_) => Ty::U64,
            Self::Bool(_) => Ty::Bool,
            Self::Ptr(_) => Ty::Ptr,
            Self::Struct(record) => Ty::Struct(record.layout),
            Self::Void => Ty::Void,
        }
    }

    /// Whether this can be passed where the type is asked for.
    #[must_use]
    pub fn is_of(&self, ty: Ty) -> bool {
        match self {
            Self::Ptr(_) => ty.is_address(),
            other => other.ty() == ty,
        }
    }

    /// Reads a value of type `ty`: a number as Rust writes it, integers and addresses also in
    /// hexadecimal (`0xff`), `true` and `false` also as 1 and 0; a structure as its fields in
    /// braces.
    ///
    /// # Errors
    /// [`CodeError::Value`] if the text is not a number or the number does not fit the type.
    pub fn parse(ty: Ty, text: &str) -> Result<Self, CodeError> {
        let text = text.trim();
        let value = match ty {
            Ty::F64 => text.parse().ok().map(Self::F64),
            Ty::F32 => text.parse().ok().map(Self::F32),
            Ty::I8 => integer(text).map(Self::I8),
            Ty::I16 => integer(text).map(Self::I16),
            Ty::I32 => integer(text).map(Self::I32),
            Ty::I64 => integer(text).map(Self::I64),
            Ty::U8 => integer(text).map(Self::U8),
            Ty::U16 => integer(text).map(Self::U16),
            Ty::U32 => integer(text).map(Self::U32),
            Ty::U64 => integer(text).map(Self::U64),
            Ty::Bool => match text {
                "true" | "1" => Some(Self::Bool(true)),
                "false" | "0" => Some(Self::Bool(false)),
                _ => None,
            },
            Ty::Ptr | Ty::ConstPtr | Ty::Array(_) | Ty::Function(_) => integer(text).map(Self::Ptr),
            Ty::Struct(layout) => Record::parse(layout, text).map(Self::Struct),
            Ty::Void => None,
        };
        value.ok_or_else(|| CodeError::Value {
            text: text.to_owned(),
            ty,
        })
    }

    /// What may be written for a value of the type, for messages.
    pub(crate) fn allowed(ty: Ty) -> String {
        let integer = |low: &dyn fmt::Display, high: &dyn fmt::Display| {
            format!("an integer from {low} to {high} ({ty})")
        };
        match ty {
            Ty::F64 | Ty::F32 => format!("a number ({ty})"),
            Ty::I8 => integer(&i8::MIN, &i8::MAX),
            Ty::I16 => integer(&i16::MIN, &i16::MAX),
            Ty::I32 => integer(&i32::MIN, &i32::MAX),
            Ty::I64 => integer(&i64::MIN, &i64::MAX),
            Ty::U8 => integer(&u8::MIN, &u8::MAX),
            Ty::U16 => integer(&u16::MIN, &u16::MAX),
            Ty::U32 => integer(&u32::MIN, &u32::MAX),
            Ty::U64 => integer(&u64::MIN, &u64::MAX),
            Ty::Bool => "true or false (bool)".to_owned(),
            Ty::Ptr | Ty::ConstPtr | Ty::Array(_) | Ty::Function(_) => format!("an address ({ty})"),
            Ty::Struct(_) => format!("{ty} with a value for each field"),
            Ty::Void => "a value: there are none of type void".to_owned(),
        }
    }

    /// The register that carries the value: extended by its sign if it has one, else by zeros.
    pub(crate) fn to_register(&self) -> u64 {
        match *self {
            Self::F64(x) => x.to_bits(),
            Self::F32(x) => u64::from(x.to_bits()),
            Self::I8(x) => i64::from(x).cast_unsigned(),
            Self::I16(x) => i64::from(x).cast_unsigned(),
            Self::I32(x) => i64::from(x).cast_unsigned(),
            Self::I64(x) => x.cast_unsigned(),
            Self::U8(x) => u64::from(x),
            Self::U16(x) => u64::from(x),
            Self::U32(x) => u64::from(x),
            Self::U64(x) => x,
            Self::Bool(x) => u64::from(x),
            Self::Ptr(x) => x as u64,
            Self::Struct(_) | Self::Void => 0,
        }
    }

    /// Reads a number or an address of type `ty` from the register that carries it; bits that the
    /// type does not have are ignored.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper bits are undefined"
    )]
    pub(crate) fn from_register(ty: Ty, bits: u64) -> Self {
        match ty {
            Ty::F64 => Self::F64(f64::from_bits(bits)),
            Ty::F32 => Self::F32(f32::from_bits(bits as u32)),
            Ty::I8 => Self::I8(bits as i8),
            Ty::I16 => Self::I16(bits as i16),
            Ty::I32 => Self::I32(bits as i32),
            Ty::I64 => Self::I64(bits.cast_signed()),
            Ty::U8 => Self::U8(bits as u8),
            Ty::U16 => Self::U16(bits as u16),
            Ty::U32 => Self::U32(bits as u32),
            Ty::U64 => Self::U64(bits),
            Ty::Bool => Self::Bool(bits as u8 != 0),
            Ty::Ptr | Ty::ConstPtr | Ty::Array(_) | Ty::Function(_) => Self::Ptr(bits as usize),
            Ty::Struct(layout) => Self::Struct(Record::zeroed(layout)),
            Ty::Void => Self::Void,
        }
    }

    /// Puts another address in place of each one in the value.
    pub(crate) fn map_addresses(&mut self, map: &mut dyn FnMut(usize) -> usize) {
        match self {
            Self::Ptr(address) => *address = map(*address),
            Self::Struct(record) => map_addresses(record.layout, &mut record.bytes, map),
            _ => {}
        }
    }

    /// How many words carry a value of the type.
    pub(crate) fn n_words(ty: Ty) -> usize {
        ty.size().div_ceil(8)
    }

    /// The words that carry the value.
    pub(crate) fn to_words(&self) -> Vec<u64> {
        match self {
            Self::Struct(record) => record.words().collect(),
            Self::Void => Vec::new(),
            number => vec![number.to_register()],
        }
    }

    /// Reads a value from the words that carry it.
    pub(crate) fn from_words(ty: Ty, words: &[u64]) -> Self {
        match ty {
            Ty::Struct(layout) => Self::Struct(Record::from_words(layout, words.iter().copied())),
            ty => Self::from_register(ty, words.first().copied().unwrap_or(0)),
        }
    }

    /// A value of the type all of whose bits are zero.
    #[must_use]
    pub fn zero(ty: Ty) -> Self {
        Self::from_register(ty, 0)
    }
}

/// A structure: its fields, in bytes as they lie in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    layout: Struct,
    bytes: Vec<u8>,
}

impl Record {
    /// A structure of these fields.
    ///
    /// # Errors
    /// [`CodeError::ArgumentCount`] or [`CodeError::ArgumentType`] if they are not those of the
    /// structure.
    pub fn new(layout: Struct, fields: &[Value]) -> Result<Self, CodeError> {
        let types = layout.fields();
        if types.len() != fields.len() {
            return Err(CodeError::ArgumentCount {
                expected: types.len(),
                found: fields.len(),
            });
        }
        let mut record = Self::zeroed(layout);
        for (index, (&(offset, ty), field)) in types.iter().zip(fields).enumerate() {
            if !field.is_of(ty) {
                return Err(CodeError::ArgumentType {
                    index,
                    expected: ty,
                    found: field.ty(),
                });
            }
            if let Some(place) = record.bytes.get_mut(offset..offset + ty.size()) {
                match field {
                    Value::Struct(inner) => place.copy_from_slice(&inner.bytes),
                    number => {
                        place.copy_from_slice(&number.to_register().to_le_bytes()[..ty.size()])
                    }
                }
            }
        }
        Ok(record)
    }

    /// A structure of the bytes that it has in memory; `None` if their number is another.
    #[must_use]
    pub fn from_bytes(layout: Struct, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == layout.size()).then_some(Self { layout, bytes })
    }

    pub(crate) fn zeroed(layout: Struct) -> Self {
        let bytes = vec![0; layout.size()];
        Self { layout, bytes }
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> Vec<Value> {
        let field = |&(offset, ty): &(usize, Ty)| {
            let bytes = self
                .bytes
                .get(offset..offset + ty.size())
                .unwrap_or_default();
            if let Ty::Struct(layout) = ty {
                let bytes = bytes.to_vec();
                return Value::Struct(Self { layout, bytes });
            }
            Value::from_register(ty, word(bytes))
        };
        self.layout.fields().iter().map(field).collect()
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes in words, the last one filled up with zeros.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        self.bytes.chunks(8).map(word)
    }

    /// The structure that begins with the words.
    pub(crate) fn from_words(layout: Struct, words: impl Iterator<Item = u64>) -> Self {
        let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        bytes.resize(layout.size(), 0);
        Self { layout, bytes }
    }

    /// Fields in braces, separated by commas. Structures are nested no deeper than signatures are.
    fn parse(layout: Struct, text: &str) -> Option<Self> {
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        let (mut fields, mut depth, mut start) = (Vec::new(), 0_usize, 0);
        for (index, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.checked_sub(1)?,
                ',' if depth == 0 => {
                    fields.push(inner.get(start..index)?);
                    start = index + 1;
                }
                _ => {}
            }
        }
        fields.push(inner.get(start..)?);
        if fields.len() != layout.fields().len() {
            return None;
        }
        let types = layout.fields().iter();
        let values = types
            .zip(fields)
            .map(|(&(_, ty), text)| Value::parse(ty, text).ok());
        Self::new(layout, &values.collect::<Option<Vec<_>>>()?).ok()
    }
}

/// Puts another address in place of each one in the bytes of a structure. Structures are nested no
/// deeper than signatures are.
fn map_addresses(layout: Struct, bytes: &mut [u8], map: &mut dyn FnMut(usize) -> usize) {
    for &(offset, ty) in layout.fields() {
        let Some(field) = bytes.get_mut(offset..offset + ty.size()) else {
            continue;
        };
        if let Ty::Struct(inner) = ty {
            map_addresses(inner, field, map);
        } else if let Value::Ptr(address) = Value::from_register(ty, word(field)) {
            field.copy_from_slice(&map(address).to_le_bytes());
        }
    }
}

/// Up to eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

/// The number as Rust writes it, addresses in hexadecimal. [`Value::parse`] reads it back.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F64(x) => write!(f, "{x:?}"),
            Self::F32(x) => write!(f, "{x:?}"),
            Self::I8(x) => x.fmt(f),
            Self::I16(x) => x.fmt(f),
            Self::I32(x) => x.fmt(f),
            Self::I64(x) => x.fmt(f),
            Self::U8(x) => x.fmt(f),
            Self::U16(x) => x.fmt(f),
            Self::U32(x) => x.fmt(f),
            Self::U64(x) => x.fmt(f),
            Self::Bool(x) => x.fmt(f),
            Self::Ptr(x) => write!(f, "{x:#x}"),
            Self::Struct(record) => {
                f.write_str("{")?;
                for (index, field) in record.fields().iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{field}")?;
                }
                f.write_str("}")
            }
            Self::Void => f.write_str("void"),
        }
    }
}

/// An integer in decimal or hexadecimal that fits the type.
fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = magnitude
        .strip_prefix("0x")
        .or_else(|| magnitude.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((magnitude, 10), |digits| (digits, 16));
    // `from_str_radix` would take a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    T::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signature;

    #[test]
    fn texts_are_read_by_type() {
        let table: &[(Ty, &str, Option<Value>)] = &[
            (Ty::F64, "1e-3", Some(Value::F64(0.001))),
            (Ty::F64, " -inf ", Some(Value::F64(f64::NEG_INFINITY))),
            (Ty::F32, "0.1", Some(Value::F32(0.1))),
            (Ty::F64, "one", None),
            (Ty::F64, "", None),
            (Ty::I8, "-128", Some(Value::I8(-128))),
            (Ty::I8, "128", None),
            (Ty::I8, "-0x80", Some(Value::I8(-128))),
            (Ty::U8, "0xFF", Some(Value::U8(255))),
            (Ty::U8, "256", None),
            (Ty::U8, "-1", None),
            (Ty::I32, "+7", Some(Value::I32(7))),
            (Ty::I32, "--7", None),
            (Ty::I32, "+-7", None),
            (Ty::I32, "0x-7", None),
            (Ty::I32, "0x", None),
            (Ty::I32, "7.0", None),
            (Ty::U64, "18446744073709551615", Some(Value::U64(u64::MAX))),
            (Ty::U64, "18446744073709551616", None),
            (Ty::I64, "-9223372036854775808", Some(Value::I64(i64::MIN))),
            (Ty::Bool, "true", Some(Value::Bool(true))),
            (Ty::Bool, "0", Some(Value::Bool(false))),
            (Ty::Bool, "2", None),
            (Ty::Ptr, "0x1000", Some(Value::Ptr(4096))),
            (Ty::Void, "void", None),
            (Ty::U64, &"9".repeat(100), None),
        ];
        for (ty, text, expected) in table {
            let read = Value::parse(*ty, text);
            assert_eq!(read.as_ref().ok(), expected.as_ref(), "{ty} {text:?}");
            if let Err(error) = read {
                let expected = format!("{:?} is not {}", text.trim(), Value::allowed(*ty));
                assert_eq!(error.to_string(), expected);
            }
        }
        let error = Value::parse(Ty::U8, "256").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"256\" is not an integer from 0 to 255 (u8)"
        );
    }

    #[test]
    fn structures_are_read_by_field() {
        let ty = |text: &str| Signature::parse(&format!("{text}()")).unwrap().result();
        let table = [
            ("{f64, i32}", "{1.5, -7}", Some("{1.5, -7}")),
            (
                "{{i8, u64}, f32[2]}",
                "{ {1,2}, {0.5,3} }",
                Some("{{1, 2}, {0.5, 3.0}}"),
            ),
            ("{f64, i32}", "{1.5}", None),
            ("{f64, i32}", "{1.5, -7, 1}", None),
            ("{f64, i32}", "1.5, -7", None),
            ("{f64, i32}", "{1.5, x}", None),
            ("{{i8, u64}, f32[2]}", "{1,2}, {0.5,3}", None),
            ("{i8}", "{1}}", None),
        ];
        for (types, text, expected) in table {
            let read = Value::parse(ty(types), text).map(|value| value.to_string());
            assert_eq!(read.as_deref().ok(), expected, "{types} {text}");
        }
        let Ty::Struct(layout) = ty("{i8, f64, i16}") else {
            panic!()
        };
        let offsets: Vec<usize> = layout.fields().iter().map(|field| field.0).collect();
        assert_eq!((offsets, layout.size()), (vec![0, 8, 16], 24));
    }

    #[test]
    fn display_is_read_back() {
        arbtest::arbtest(|u| {
            let bits: u64 = u.arbitrary()?;
            let ty = *u.choose(&Ty::ALL[..12])?;
            let value = Value::from_register(ty, bits);
            let read = Value::parse(ty, &value.to_string()).unwrap();
            assert_eq!(read.to_string(), value.to_string());
            assert!(
                read == value || format!("{value:?}").contains("NaN"),
                "{value:?} {read:?}"
            );
            Ok(())
        });
    }
}
