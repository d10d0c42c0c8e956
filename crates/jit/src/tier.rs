//! Tiers: which vector instructions the generated code may use, and the two element types.
//!
//! A tier is chosen at run time from what the processor reports, so that one build serves all
//! machines; `OPCODON_TIER` overrides the choice, so that every tier can be tested by itself.

use std::fmt;

use opcodon_codemem::cpu;

use crate::JitError;
use crate::vmath::Isa;

/// A level of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// 128-bit vectors, the baseline of x86-64; no fused multiply-add.
    Sse2,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors with masks and broadcasts (F, DQ, BW, VL).
    Avx512,
}

impl Tier {
    /// All tiers, the narrowest first.
    pub const ALL: [Tier; 3] = [Tier::Sse2, Tier::Avx2, Tier::Avx512];

    /// The tiers that this processor has, the narrowest first.
    pub fn available() -> Vec<Tier> {
        Tier::ALL
            .into_iter()
            .filter(|tier| tier.is_available())
            .collect()
    }

    /// Whether this processor, and its operating system, have the tier.
    pub fn is_available(self) -> bool {
        match self {
            Tier::Sse2 => cfg!(target_arch = "x86_64"),
            Tier::Avx2 => cpu::Avx2::new().is_some(),
            Tier::Avx512 => cpu::Avx512::new().is_some(),
        }
    }

    /// The widest tier of this processor, or the one named by the variable `OPCODON_TIER`.
    ///
    /// # Errors
    /// If the variable names no tier, or one that this processor lacks.
    pub fn best() -> Result<Tier, JitError> {
        if let Ok(name) = std::env::var("OPCODON_TIER") {
            return name.parse::<Tier>()?.require();
        }
        Tier::ALL
            .into_iter()
            .rfind(|tier| tier.is_available())
            .ok_or_else(|| JitError::TierUnavailable {
                tier: Tier::Sse2.name(),
                available: String::new(),
            })
    }

    /// The tier itself if the processor has it.
    ///
    /// # Errors
    /// If it does not; the error lists what it has.
    pub fn require(self) -> Result<Tier, JitError> {
        if self.is_available() {
            return Ok(self);
        }
        let available: Vec<_> = Tier::available().into_iter().map(Tier::name).collect();
        Err(JitError::TierUnavailable {
            tier: self.name(),
            available: available.join(", "),
        })
    }

    /// The name by which `OPCODON_TIER` and reports know the tier.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Sse2 => "sse2",
            Tier::Avx2 => "avx2",
            Tier::Avx512 => "avx512",
        }
    }

    /// The same level in the terms of the vector-math routines.
    pub(crate) fn isa(self) -> Isa {
        match self {
            Tier::Sse2 => Isa::Sse2,
            Tier::Avx2 => Isa::Avx2,
            Tier::Avx512 => Isa::Avx512,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Tier {
    type Err = JitError;

    fn from_str(name: &str) -> Result<Tier, JitError> {
        let wanted = name.trim().to_ascii_lowercase();
        Tier::ALL
            .into_iter()
            .find(|tier| tier.name() == wanted)
            .ok_or_else(|| JitError::UnknownTier {
                name: name.to_owned(),
            })
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f64 {}
    impl Sealed for f32 {}
}

/// An element type of columns and kernels: `f64` or `f32`.
pub trait Float:
    sealed::Sealed + bytemuck::Pod + Default + PartialEq + fmt::Debug + Send + Sync + 'static
{
    /// Bytes of one element.
    const SIZE: usize;
    /// The type's name as numpy and reports spell it.
    const NAME: &'static str;
    /// Rounds to nearest.
    fn from_f64(value: f64) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// All bits but the sign: what `abs` keeps.
    #[doc(hidden)]
    fn magnitude_mask() -> Self;
    /// The machine of a tier for this element type, handed to a generic compiler.
    #[doc(hidden)]
    fn with_machine<V: crate::machine::Visitor<Self>>(tier: Tier, visitor: V) -> V::Output
    where
        Self: Sized;
}

impl Float for f64 {
    const SIZE: usize = 8;
    const NAME: &'static str = "float64";

    fn from_f64(value: f64) -> f64 {
        value
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn magnitude_mask() -> f64 {
        f64::from_bits(u64::MAX >> 1)
    }

    fn with_machine<V: crate::machine::Visitor<f64>>(tier: Tier, visitor: V) -> V::Output {
        match tier {
            Tier::Sse2 => visitor.visit::<crate::machine::SsePd>(),
            Tier::Avx2 => visitor.visit::<crate::machine::AvxPd>(),
            Tier::Avx512 => visitor.visit::<crate::machine::EvexPd>(),
        }
    }
}

impl Float for f32 {
    const SIZE: usize = 4;
    const NAME: &'static str = "float32";

    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding is what is asked for"
    )]
    fn from_f64(value: f64) -> f32 {
        value as f32
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn magnitude_mask() -> f32 {
        f32::from_bits(u32::MAX >> 1)
    }

    fn with_machine<V: crate::machine::Visitor<f32>>(tier: Tier, visitor: V) -> V::Output {
        match tier {
            Tier::Sse2 => visitor.visit::<crate::machine::SsePs>(),
            Tier::Avx2 => visitor.visit::<crate::machine::AvxPs>(),
            Tier::Avx512 => visitor.visit::<crate::machine::EvexPs>(),
        }
    }
}
