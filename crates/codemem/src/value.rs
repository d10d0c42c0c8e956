//! Values: the arguments and results of calls whose signature is known only at run time.

use std::fmt;

use crate::{CodeError, Ty};

/// An argument or a result.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// An address. The value does not keep alive what is there.
    Ptr(usize),
    /// The result of a function without one.
    Void,
}

impl Value {
    /// The type.
    #[must_use]
    pub fn ty(self) -> Ty {
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
            Self::Void => Ty::Void,
        }
    }

    /// Reads a value of type `ty`: a number as Rust writes it, integers and addresses also in
    /// hexadecimal (`0xff`), `true` and `false` also as 1 and 0.
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
            Ty::Ptr => integer(text).map(Self::Ptr),
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
            Ty::Ptr => "an address (ptr)".to_owned(),
            Ty::Void => "a value: there are none of type void".to_owned(),
        }
    }

    /// The register that carries the value: extended by its sign if it has one, else by zeros.
    pub(crate) fn to_register(self) -> u64 {
        match self {
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
            Self::Void => 0,
        }
    }

    /// Reads a result of type `ty`; bits that the type does not have are ignored.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper bits are undefined"
    )]
    pub(crate) fn from_registers(ty: Ty, rax: u64, xmm0: u64) -> Self {
        match ty {
            Ty::F64 => Self::F64(f64::from_bits(xmm0)),
            Ty::F32 => Self::F32(f32::from_bits(xmm0 as u32)),
            Ty::I8 => Self::I8(rax as i8),
            Ty::I16 => Self::I16(rax as i16),
            Ty::I32 => Self::I32(rax as i32),
            Ty::I64 => Self::I64(rax.cast_signed()),
            Ty::U8 => Self::U8(rax as u8),
            Ty::U16 => Self::U16(rax as u16),
            Ty::U32 => Self::U32(rax as u32),
            Ty::U64 => Self::U64(rax),
            Ty::Bool => Self::Bool(rax as u8 != 0),
            Ty::Ptr => Self::Ptr(rax as usize),
            Ty::Void => Self::Void,
        }
    }
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
    fn display_is_read_back() {
        arbtest::arbtest(|u| {
            let bits: u64 = u.arbitrary()?;
            let float = f64::from_bits(bits);
            let ty = *u.choose(&Ty::ALL[..12])?;
            let value = Value::from_registers(ty, bits, float.to_bits());
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
