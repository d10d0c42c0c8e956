//! Tiers: the two dialects of vector code in which genomes are written.
//!
//! A genome *is* code of one tier; it is bred on any machine and run where the processor has the
//! tier.

use std::fmt;
use std::str::FromStr;

use opcodon_codemem::cpu;
use serde::{Deserialize, Serialize};

use crate::McodeError;

/// A level of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// 256-bit vectors in the VEX encoding: four rows an instruction.
    Avx2,
    /// 512-bit vectors in the EVEX encoding: eight rows an instruction.
    Avx512,
}

impl Tier {
    /// All tiers, the narrowest first.
    pub const ALL: [Tier; 2] = [Tier::Avx2, Tier::Avx512];

    /// Whether this processor, and its operating system, have the tier.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Tier::Avx2 => cpu::Avx2::new().is_some(),
            Tier::Avx512 => cpu::Avx512::new().is_some(),
        }
    }

    /// The widest tier of this processor, or the one named by the variable `OPCODON_TIER`.
    ///
    /// # Errors
    /// If the variable names no tier of genomes, or the processor has none.
    pub fn best() -> Result<Tier, McodeError> {
        let named = std::env::var("OPCODON_TIER").ok();
        Tier::best_of(Tier::is_available, named.as_deref())
    }

    /// As [`Tier::best`] on a processor that has these tiers.
    fn best_of(has: impl Fn(Tier) -> bool, named: Option<&str>) -> Result<Tier, McodeError> {
        let wanted = match named {
            Some(name) => name.parse()?,
            None => Tier::ALL
                .into_iter()
                .rfind(|tier| has(*tier))
                .unwrap_or(Tier::Avx2),
        };
        wanted.required_of(has)
    }

    /// The tier itself if the processor has it.
    ///
    /// # Errors
    /// If it does not.
    pub fn require(self) -> Result<Tier, McodeError> {
        self.required_of(Tier::is_available)
    }

    fn required_of(self, has: impl Fn(Tier) -> bool) -> Result<Tier, McodeError> {
        match has(self) {
            true => Ok(self),
            false => Err(McodeError::TierUnavailable { tier: self }),
        }
    }

    /// The name by which `OPCODON_TIER` and files know the tier.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tier::Avx2 => "avx2",
            Tier::Avx512 => "avx512",
        }
    }

    /// Rows that one instruction computes.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Tier::Avx2 => 4,
            Tier::Avx512 => 8,
        }
    }

    /// Registers that a genome may use, from register 0 on: half of those that there are, so that
    /// a register beyond them is told by one fixed bit.
    #[must_use]
    pub fn n_registers(self) -> u8 {
        match self {
            Tier::Avx2 => 8,
            Tier::Avx512 => 16,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tier {
    type Err = McodeError;

    fn from_str(name: &str) -> Result<Tier, McodeError> {
        let wanted = name.trim().to_ascii_lowercase();
        let tier = Tier::ALL.into_iter().find(|tier| tier.name() == wanted);
        tier.ok_or_else(|| McodeError::UnknownTier {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every processor that there may be, with the variable and without.
    #[test]
    fn a_processor_gets_its_widest_tier_or_hears_what_it_lacks() {
        let cannot = |tier| format!("this processor does not run genomes of tier {tier}");
        let best = |has: &[Tier], named| {
            let found = Tier::best_of(|tier| has.contains(&tier), named);
            found.map_err(|error| error.to_string())
        };
        let lacks = |has: &[Tier], named, tier| {
            let message = best(has, named).unwrap_err();
            assert!(message.starts_with(&cannot(tier)), "{message}");
        };
        lacks(&[], None, Tier::Avx2);
        lacks(&[], Some("avx2"), Tier::Avx2);
        lacks(&[Tier::Avx2], Some("avx512"), Tier::Avx512);
        assert_eq!(best(&[Tier::Avx2], None), Ok(Tier::Avx2));
        assert_eq!(best(&Tier::ALL, None), Ok(Tier::Avx512));
        assert_eq!(best(&Tier::ALL, Some(" AVX2 ")), Ok(Tier::Avx2));
        let unknown = best(&Tier::ALL, Some("sse2")).unwrap_err();
        assert!(unknown.contains("use one of avx2, avx512"), "{unknown}");
    }
}
