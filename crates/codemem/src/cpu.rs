//! Tokens that prove what the processor can do.
//!
//! Code for AVX-512 that runs on a processor without it is an illegal instruction, far from the
//! place where the tier was chosen. So whoever emits or runs such code holds a token, and a token
//! comes only from detection: holding one *is* the proof. Detection includes the operating
//! system's part, that is whether it saves the wide registers (`xgetbv`).
//!
//! # Invariant
//! There is no way to a token except `new`, which asks the processor.

use std::fmt;

macro_rules! detected {
    ($feature:tt) => {{
        #[cfg(target_arch = "x86_64")]
        {
            std::is_x86_feature_detected!($feature)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }};
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident: $($feature:tt)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(());

        impl $name {
            /// The token, if the processor and the operating system support it.
            #[must_use]
            pub fn new() -> Option<Self> {
                let all = $(detected!($feature))&&+;
                all.then_some(Self(()))
            }
        }
    };
}

token! {
    /// SSE4.1: rounding, blends, 32-bit multiplication.
    Sse41: "sse4.1"
}
token! {
    /// The AVX2 tier: AVX, AVX2 and FMA.
    Avx2: "avx" "avx2" "fma"
}
token! {
    /// The AVX-512 tier: F, DQ, BW and VL, on top of the AVX2 tier and of what any such processor
    /// has for single bits.
    Avx512: "avx512f" "avx512dq" "avx512bw" "avx512vl" "avx2" "fma" "popcnt" "bmi1" "bmi2"
}

token! {
    /// Counting the bits of 64-bit lanes of 512-bit registers.
    Vpopcnt: "avx512f" "avx512vpopcntdq"
}

/// Runs a loop as the compiler makes it for the widest vectors of this processor. The closure has
/// to be inlined into here for that; it computes the same either way.
///
/// ```
/// let values = [1_u64, 2, 3];
/// let sum = opcodon_codemem::cpu::widely(|| values.iter().map(|x| x * x).sum::<u64>());
/// assert_eq!(sum, 14);
/// ```
#[inline]
pub fn widely<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        fn wide<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        if Avx512::new().is_some() {
            // SAFETY: the token is the proof that the processor has these instructions.
            return unsafe { wide(body) };
        }
    }
    body()
}

/// What detection found, for people to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// SSE4.1.
    pub sse41: bool,
    /// AVX.
    pub avx: bool,
    /// AVX2.
    pub avx2: bool,
    /// Fused multiply-add.
    pub fma: bool,
    /// AVX-512 Foundation.
    pub avx512f: bool,
    /// AVX-512 doubleword and quadword instructions.
    pub avx512dq: bool,
    /// AVX-512 byte and word instructions.
    pub avx512bw: bool,
    /// AVX-512 on 128-bit and 256-bit registers.
    pub avx512vl: bool,
}

impl Features {
    /// Asks the processor (and, for the wide registers, the operating system).
    #[must_use]
    pub fn detect() -> Self {
        Self {
            sse41: detected!("sse4.1"),
            avx: detected!("avx"),
            avx2: detected!("avx2"),
            fma: detected!("fma"),
            avx512f: detected!("avx512f"),
            avx512dq: detected!("avx512dq"),
            avx512bw: detected!("avx512bw"),
            avx512vl: detected!("avx512vl"),
        }
    }

    /// Every feature with its usual name, in the order of the fields.
    #[must_use]
    pub fn named(&self) -> [(&'static str, bool); 8] {
        [
            ("sse4.1", self.sse41),
            ("avx", self.avx),
            ("avx2", self.avx2),
            ("fma", self.fma),
            ("avx512f", self.avx512f),
            ("avx512dq", self.avx512dq),
            ("avx512bw", self.avx512bw),
            ("avx512vl", self.avx512vl),
        ]
    }
}

/// The names of the features present, separated by spaces.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, present) in self.named() {
            if present {
                write!(f, "{separator}{name}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_given_exactly_when_its_features_are_present() {
        let found = Features::detect();
        assert_eq!(Sse41::new().is_some(), found.sse41);
        assert_eq!(Avx2::new().is_some(), found.avx && found.avx2 && found.fma);
        assert_eq!(
            Avx512::new().is_some(),
            found.avx512f
                && found.avx512dq
                && found.avx512bw
                && found.avx512vl
                && found.avx2
                && found.fma
        );
    }

    #[test]
    fn features_agree_with_the_kernel() {
        let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else {
            return;
        };
        let flags: Vec<&str> = text
            .lines()
            .find(|line| line.starts_with("flags"))
            .map(|line| line.split_whitespace().collect())
            .unwrap_or_default();
        for (name, present) in Features::detect().named() {
            let kernel_name = name.replace('.', "_");
            assert_eq!(flags.contains(&kernel_name.as_str()), present, "{name}");
        }
    }

    #[test]
    fn display_lists_what_is_present() {
        let found = Features::detect();
        let expected: Vec<&str> = found
            .named()
            .iter()
            .filter(|(_, present)| *present)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(found.to_string(), expected.join(" "));
    }
}
