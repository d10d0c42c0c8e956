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
use crate::error::VerifyError;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Linear,
    Tree,
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

impl Serialize for LinearCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::new(self.code(), Kind::Linear, Vec::new()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LinearCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LinearCode, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let code = stored.code(Kind::Linear);
        code.and_then(LinearCode::try_from)
            .map_err(D::Error::custom)
    }
}

fn marks(tree: &TreeCode) -> Vec<(u32, u32, u8)> {
    let mark = tree.marks().iter();
    mark.map(|mark| (mark.begin, mark.end, mark.arity))
        .collect()
}

impl Serialize for TreeCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::new(self.code(), Kind::Tree, marks(self)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TreeCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TreeCode, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let tree = stored.code(Kind::Tree).and_then(TreeCode::try_from);
        let tree = tree.map_err(D::Error::custom)?;
        let expected = marks(&tree);
        let differs = |node: &usize| expected.get(*node) != stored.marks.get(*node);
        match (0..expected.len().max(stored.marks.len())).find(differs) {
            None => Ok(tree),
            Some(node) => Err(D::Error::custom(VerifyError::Marks { node })),
        }
    }
}
