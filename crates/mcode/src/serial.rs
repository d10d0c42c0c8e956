//! Genomes as data: `Serialize` and `Deserialize`, verified on load.
//!
//! The form is a version, the kind of genome, its tier, the number of columns, the slots as
//! hexadecimal bytes in the order of memory, the constants as texts (JSON has neither NaN, which all
//! ones of a Boolean genome are, nor infinities), and for a tree its marks. Reading is the door through which bytes from outside
//! come: what is read is decoded by the verifier, and marks must be those of the code, or there is
//! no genome.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Tier;
use crate::code::Code;
use crate::config::Kind;
use crate::error::VerifyError;
use crate::individual::Individual;
use crate::linear::LinearCode;
use crate::tree::TreeCode;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    kind: Kind,
    tier: Tier,
    columns: usize,
    slots: String,
    constants: Vec<String>,
    /// Begin, end and arity of each node, in slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<(u32, u32, u8)>,
}

impl Stored {
    fn new(code: &Code, kind: Kind, marks: Vec<(u32, u32, u8)>) -> Stored {
        let hex = code.bytes().iter().map(|byte| format!("{byte:02x}"));
        Stored {
            version: VERSION,
            kind,
            tier: code.tier(),
            columns: code.n_columns(),
            slots: hex.collect(),
            constants: code.constants().iter().map(|&c| to_text(c)).collect(),
            marks,
        }
    }

    fn code(&self, kind: Kind) -> Result<Code, VerifyError> {
        let stored = |problem: String| VerifyError::Stored { problem };
        if self.version != VERSION {
            let found = self.version;
            return Err(stored(format!(
                "it is of version {found}, but this program reads version {VERSION}"
            )));
        }
        if self.kind != kind {
            let (found, wanted) = (self.kind, kind);
            return Err(stored(format!(
                "it is a genome of kind {found:?}, not {wanted:?}"
            )));
        }
        let digit = |(at, byte): (usize, u8)| {
            char::from(byte).to_digit(16).ok_or_else(|| {
                stored(format!(
                    "character {at} of its slots is no hexadecimal digit"
                ))
            })
        };
        let digits = self.slots.bytes().enumerate().map(digit);
        let digits = digits.collect::<Result<Vec<u32>, VerifyError>>()?;
        if digits.len() % 16 != 0 {
            let found = digits.len();
            return Err(stored(format!(
                "its slots have {found} digits, which is no multiple of 16"
            )));
        }
        // Two digits a byte, and the first byte is the lowest.
        let slot = |digits: &[u32]| {
            let bytes = digits.chunks_exact(2).rev();
            bytes.fold(0, |word, byte| {
                word << 8 | u64::from(byte[0] << 4 | byte[1])
            })
        };
        let slots = digits.chunks_exact(16).map(slot).collect();
        let constant = |(at, text): (usize, &String)| {
            from_text(text)
                .ok_or_else(|| stored(format!("constant {at} is {text:?}, which is no number")))
        };
        let constants = self.constants.iter().enumerate().map(constant);
        let constants = constants.collect::<Result<Vec<f64>, VerifyError>>()?;
        Code::verify(self.tier, self.columns, slots, constants)
    }
}

/// A number so that it comes back to the bit; what is not a number, by its bits.
fn to_text(constant: f64) -> String {
    if constant.is_nan() {
        format!("{:#018x}", constant.to_bits())
    } else {
        format!("{constant:?}")
    }
}

fn from_text(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(bits) => Some(f64::from_bits(u64::from_str_radix(bits, 16).ok()?)),
        None => text.parse().ok(),
    }
}

impl TryFrom<Stored> for LinearCode {
    type Error = VerifyError;

    fn try_from(stored: Stored) -> Result<LinearCode, VerifyError> {
        stored.code(Kind::Linear)?.try_into()
    }
}

fn marks(tree: &TreeCode) -> Vec<(u32, u32, u8)> {
    let marks = tree.marks().into_iter();
    marks
        .map(|mark| (mark.begin, mark.end, mark.arity))
        .collect()
}

impl TryFrom<Stored> for TreeCode {
    type Error = VerifyError;

    fn try_from(stored: Stored) -> Result<TreeCode, VerifyError> {
        let tree = TreeCode::try_from(stored.code(Kind::Tree)?)?;
        let expected = marks(&tree);
        let differs = |node: &usize| expected.get(*node) != stored.marks.get(*node);
        match (0..expected.len().max(stored.marks.len())).find(differs) {
            None => Ok(tree),
            Some(node) => Err(VerifyError::Marks { node }),
        }
    }
}

impl TryFrom<Stored> for Individual {
    type Error = VerifyError;

    fn try_from(stored: Stored) -> Result<Individual, VerifyError> {
        match stored.kind {
            Kind::Linear => LinearCode::try_from(stored).map(Individual::Linear),
            Kind::Tree => TreeCode::try_from(stored).map(Individual::Tree),
        }
    }
}

impl From<&LinearCode> for Stored {
    fn from(linear: &LinearCode) -> Stored {
        Stored::new(linear.code(), Kind::Linear, Vec::new())
    }
}

impl From<&TreeCode> for Stored {
    fn from(tree: &TreeCode) -> Stored {
        Stored::new(tree.code(), Kind::Tree, marks(tree))
    }
}

impl From<&Individual> for Stored {
    fn from(individual: &Individual) -> Stored {
        match individual {
            Individual::Linear(linear) => linear.into(),
            Individual::Tree(tree) => tree.into(),
        }
    }
}

macro_rules! through_stored {
    ($($genome:ty),*) => { $(
        impl Serialize for $genome {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Stored::from(self).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $genome {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$genome, D::Error> {
                let stored = Stored::deserialize(deserializer)?;
                stored.try_into().map_err(D::Error::custom)
            }
        }
    )* };
}
through_stored!(LinearCode, TreeCode, Individual);
