//! Words to what iced-x86 knows: registers, sizes, and the codes of each instruction.
//!
//! The instructions are those of iced-x86's own table, by the names that it has for them. What is
//! listed here is only how else people spell them: the other names of conditions, and comparisons
//! whose predicate is part of the name.

use std::collections::HashMap;
use std::sync::LazyLock;

use iced_x86::{Code, Register};

use super::kinds::is_string;

/// Names of the sizes of memory operands, in bytes; the first of a size is what errors say.
const SIZES: [(&str, usize); 18] = [
    ("byte", 1),
    ("word", 2),
    ("dword", 4),
    ("fword", 6),
    ("qword", 8),
    ("tbyte", 10),
    ("xmmword", 16),
    ("ymmword", 32),
    ("zmmword", 64),
    ("mmword", 8),
    ("tword", 10),
    ("oword", 16),
    ("yword", 32),
    ("zword", 64),
    ("fpuenv14", 14),
    ("fpuenv28", 28),
    ("fpustate94", 94),
    ("fpustate108", 108),
];

/// The size that a word stands for.
pub(super) fn size(word: &str) -> Option<usize> {
    let row = SIZES.iter().find(|row| row.0.eq_ignore_ascii_case(word));
    row.map(|row| row.1)
}

/// The word for a size.
pub(super) fn size_name(size: usize) -> Option<&'static str> {
    SIZES.iter().find(|row| row.1 == size).map(|row| row.0)
}

static REGISTERS: LazyLock<HashMap<String, Register>> = LazyLock::new(|| {
    let mut registers: HashMap<String, Register> = Register::values()
        .filter(|register| {
            // The names that iced-x86 keeps for itself are no registers.
            *register != Register::None && !format!("{register:?}").starts_with("DontUse")
        })
        .map(|register| (format!("{register:?}").to_ascii_lowercase(), register))
        .collect();
    for n in 8..16 {
        if let Some(&register) = registers.get(&format!("r{n}l")) {
            registers.insert(format!("r{n}b"), register);
        }
    }
    for n in 0..8 {
        if let Some(&register) = registers.get(&format!("st{n}")) {
            registers.insert(format!("st({n})"), register);
        }
        // GNU's older names.
        if let Some(&register) = registers.get(&format!("dr{n}")) {
            registers.insert(format!("db{n}"), register);
        }
    }
    registers.insert("st".to_owned(), Register::ST0);
    registers
});

/// The register of this name.
pub(super) fn register(word: &str) -> Option<Register> {
    if word.len() > 5 {
        return None;
    }
    REGISTERS.get(&word.to_ascii_lowercase()).copied()
}

/// Instructions on strings, without the letter of their size: an operand says it.
pub(super) const STRINGS: [&str; 7] = ["movs", "cmps", "stos", "lods", "scas", "ins", "outs"];

static CODES: LazyLock<HashMap<String, Vec<Code>>> = LazyLock::new(|| {
    let mut codes: HashMap<String, Vec<Code>> = HashMap::new();
    for code in Code::values() {
        let info = code.op_code();
        if info.is_instruction() && info.mode64() {
            let name = format!("{:?}", code.mnemonic()).to_ascii_lowercase();
            codes.entry(name).or_default().push(code);
        }
    }
    for stem in STRINGS {
        let sizes = ["b", "w", "d", "q"].map(|size| codes.get(&format!("{stem}{size}")));
        let all = sizes.into_iter().flatten().flatten().copied();
        let all = all.filter(|code| {
            code.op_code()
                .op_kinds()
                .iter()
                .any(|&kind| is_string(kind))
        });
        codes.insert(stem.to_owned(), all.collect());
    }
    codes
});

/// Other spellings: of a whole name, and the name in the table.
const ALIASES: [(&str, &str); 17] = [
    ("movabs", "mov"),
    ("retn", "ret"),
    ("lret", "retf"),
    ("fwait", "wait"),
    ("xlat", "xlatb"),
    ("icebp", "int1"),
    ("ud2a", "ud2"),
    ("ud2b", "ud1"),
    ("pushf", "pushfq"),
    ("pushfw", "pushf"),
    ("popf", "popfq"),
    ("popfw", "popf"),
    ("iret", "iretd"),
    ("loopz", "loope"),
    ("loopnz", "loopne"),
    ("sal", "shl"),
    ("iretw", "iret"),
];

/// Conditions: other spelling and the one in the table.
const CONDITIONS: [(&str, &str); 14] = [
    ("z", "e"),
    ("nz", "ne"),
    ("c", "b"),
    ("nae", "b"),
    ("nc", "ae"),
    ("nb", "ae"),
    ("na", "be"),
    ("nbe", "a"),
    ("pe", "p"),
    ("po", "np"),
    ("nge", "l"),
    ("nl", "ge"),
    ("ng", "le"),
    ("nle", "g"),
];

/// The predicates of `cmpps` and its like, with what number each is.
const PREDICATES: [(&str, u8); 46] = [
    ("eq", 0x00),
    ("lt", 0x01),
    ("le", 0x02),
    ("unord", 0x03),
    ("neq", 0x04),
    ("nlt", 0x05),
    ("nle", 0x06),
    ("ord", 0x07),
    ("eq_uq", 0x08),
    ("nge", 0x09),
    ("ngt", 0x0a),
    ("false", 0x0b),
    ("neq_oq", 0x0c),
    ("ge", 0x0d),
    ("gt", 0x0e),
    ("true", 0x0f),
    ("eq_os", 0x10),
    ("lt_oq", 0x11),
    ("le_oq", 0x12),
    ("unord_s", 0x13),
    ("neq_us", 0x14),
    ("nlt_uq", 0x15),
    ("nle_uq", 0x16),
    ("ord_s", 0x17),
    ("eq_us", 0x18),
    ("nge_uq", 0x19),
    ("ngt_uq", 0x1a),
    ("false_os", 0x1b),
    ("neq_os", 0x1c),
    ("ge_oq", 0x1d),
    ("gt_oq", 0x1e),
    ("true_us", 0x1f),
    ("eq_oq", 0x00),
    ("lt_os", 0x01),
    ("le_os", 0x02),
    ("unord_q", 0x03),
    ("neq_uq", 0x04),
    ("nlt_us", 0x05),
    ("nle_us", 0x06),
    ("ord_q", 0x07),
    ("nge_us", 0x09),
    ("ngt_us", 0x0a),
    ("false_oq", 0x0b),
    ("ge_os", 0x0d),
    ("gt_os", 0x0e),
    ("true_uq", 0x0f),
];

/// The predicates of `vpcmpb` and its like, and those of AMD's `vpcomb`.
const INTEGER: [&str; 8] = ["eq", "lt", "le", "false", "neq", "nlt", "nle", "true"];
const XOP: [&str; 8] = ["lt", "le", "gt", "ge", "eq", "neq", "false", "true"];

/// The halves that `pclmulqdq` multiplies.
const HALVES: [(&str, u8); 4] = [
    ("lqlqdq", 0x00),
    ("hqlqdq", 0x01),
    ("lqhqdq", 0x10),
    ("hqhqdq", 0x11),
];

const FLOATS: [&str; 6] = ["ps", "pd", "ss", "sd", "ph", "sh"];
const INTEGERS: [&str; 8] = ["b", "ub", "w", "uw", "d", "ud", "q", "uq"];

/// Names whose last operand is said by the name: the instruction, and that operand.
static PSEUDO: LazyLock<HashMap<String, (String, u8)>> = LazyLock::new(|| {
    let mut pseudo = HashMap::new();
    let mut add = |name: String, base: String, number: u8| {
        pseudo.entry(name).or_insert((base, number));
    };
    for kind in FLOATS {
        for (predicate, number) in PREDICATES {
            if number < 8 {
                add(
                    format!("cmp{predicate}{kind}"),
                    format!("cmp{kind}"),
                    number,
                );
            }
            add(
                format!("vcmp{predicate}{kind}"),
                format!("vcmp{kind}"),
                number,
            );
        }
    }
    for kind in INTEGERS {
        for (number, (predicate, xop)) in (0..).zip(INTEGER.into_iter().zip(XOP)) {
            add(
                format!("vpcmp{predicate}{kind}"),
                format!("vpcmp{kind}"),
                number,
            );
            add(format!("vpcom{xop}{kind}"), format!("vpcom{kind}"), number);
        }
    }
    for (halves, number) in HALVES {
        add(format!("pclmul{halves}"), "pclmulqdq".to_owned(), number);
        add(format!("vpclmul{halves}"), "vpclmulqdq".to_owned(), number);
    }
    pseudo
});

/// What a mnemonic stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mnemonic {
    /// All codes of that name in 64-bit mode, in the order of iced-x86's table.
    pub(super) codes: &'static [Code],
    /// The operand that the name says and that stands last.
    pub(super) last: Option<u8>,
}

/// The instructions of this name, in lower case.
pub(super) fn mnemonic(word: &str) -> Option<Mnemonic> {
    let direct = |name: &str| {
        let codes = CODES.get(name)?;
        Some(Mnemonic { codes, last: None })
    };
    // An alias goes first: `pushf` is what pushes all 64 bits, whatever the table calls it.
    if let Some((_, name)) = ALIASES.iter().find(|row| row.0 == word) {
        return direct(name);
    }
    if let Some(found) = direct(word) {
        return Some(found);
    }
    if let Some((base, number)) = PSEUDO.get(word) {
        let codes = CODES.get(base)?;
        let last = Some(*number);
        return Some(Mnemonic { codes, last });
    }
    // Of each condition the table has one spelling.
    let stems = [("cmov", ""), ("set", ""), ("j", ""), ("cmp", "xadd")];
    stems.into_iter().find_map(|(stem, end)| {
        let condition = word.strip_prefix(stem)?.strip_suffix(end)?;
        CONDITIONS.iter().find_map(|&(a, b)| {
            let other = match condition {
                found if found == a => b,
                found if found == b => a,
                _ => return None,
            };
            direct(&format!("{stem}{other}{end}"))
        })
    })
}

/// All names of instructions, for suggestions.
pub(super) fn all_mnemonics() -> impl Iterator<Item = &'static str> {
    let pseudo = PSEUDO.keys().filter(|name| {
        PSEUDO
            .get(*name)
            .is_some_and(|row| CODES.contains_key(&row.0))
    });
    let aliases = ALIASES.iter().map(|row| row.0);
    CODES
        .keys()
        .chain(pseudo)
        .map(String::as_str)
        .chain(aliases)
}
