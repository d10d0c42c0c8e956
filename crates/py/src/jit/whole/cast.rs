//! Elements as those of another type, where nothing can get lost: as numpy casts what goes into a
//! loop.

use opcodon_pyfn::Dtype;

/// Whether elements of one type are cast to another here.
pub(super) fn can_cast(from: Dtype, to: Dtype) -> bool {
    let is_float = |dtype: Dtype| matches!(dtype, Dtype::Float32 | Dtype::Float64);
    let is_unsigned = |dtype: Dtype| {
        matches!(
            dtype,
            Dtype::UInt8 | Dtype::UInt16 | Dtype::UInt32 | Dtype::UInt64
        )
    };
    match (from, to) {
        (Dtype::Complex128, _) | (_, Dtype::Complex128) => false,
        (Dtype::Bool, _) => true,
        (_, Dtype::Bool) => false,
        (from, to) if is_float(from) => is_float(to) && to.size() >= from.size(),
        (from, Dtype::Float64) => from != Dtype::Bool,
        (from, Dtype::Float32) => from.size() <= 2,
        (from, to) if is_unsigned(from) == is_unsigned(to) => to.size() >= from.size(),
        (from, to) => is_unsigned(from) && to.size() > from.size(),
    }
}

/// Casts elements that lie some bytes apart.
///
/// # Safety
/// So many elements can be read and written.
pub(super) unsafe fn cast(
    [from, to]: [Dtype; 2],
    (source, step): (*const u8, isize),
    target: *mut u8,
    n: usize,
) {
    macro_rules! rows {
        ($from:ty, $to:ty, $convert:expr) => {
            for at in 0..n {
                // SAFETY: the caller says so.
                unsafe {
                    let place = source.offset(step * at.cast_signed());
                    let value = place.cast::<$from>().read();
                    target.cast::<$to>().add(at).write($convert(value));
                }
            }
        };
    }
    #[expect(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "only what can be cast is"
    )]
    {
        macro_rules! to {
            ($from:ty) => {
                match to {
                    Dtype::Bool | Dtype::UInt8 => rows!($from, u8, |value| value as u8),
                    Dtype::Int8 => rows!($from, i8, |value| value as i8),
                    Dtype::Int16 => rows!($from, i16, |value| value as i16),
                    Dtype::Int32 => rows!($from, i32, |value| value as i32),
                    Dtype::Int64 => rows!($from, i64, |value| value as i64),
                    Dtype::UInt16 => rows!($from, u16, |value| value as u16),
                    Dtype::UInt32 => rows!($from, u32, |value| value as u32),
                    Dtype::UInt64 => rows!($from, u64, |value| value as u64),
                    Dtype::Float32 => rows!($from, f32, |value| value as f32),
                    Dtype::Float64 => rows!($from, f64, |value| value as f64),
                    Dtype::Complex128 => {}
                }
            };
        }
        match from {
            Dtype::Bool | Dtype::UInt8 => to!(u8),
            Dtype::Int8 => to!(i8),
            Dtype::Int16 => to!(i16),
            Dtype::Int32 => to!(i32),
            Dtype::Int64 => to!(i64),
            Dtype::UInt16 => to!(u16),
            Dtype::UInt32 => to!(u32),
            Dtype::UInt64 => to!(u64),
            Dtype::Float32 => to!(f32),
            Dtype::Float64 => to!(f64),
            Dtype::Complex128 => {}
        }
    }
}
