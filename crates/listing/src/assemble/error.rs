//! Why text is not assembled, where, and what would have been right.

use std::ops::Range;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleErrorKind {
    /// A character that begins nothing.
    #[error("unexpected character `{character}`")]
    UnexpectedCharacter {
        /// The character.
        character: char,
    },
    /// A string, a comment or a brace without its end.
    #[error("this {what} is not closed: {closing} is missing")]
    Unclosed {
        /// What has begun.
        what: &'static str,
        /// What ends it.
        closing: &'static str,
    },
    /// Digits that are no number.
    #[error("`{text}` is no number; write 10, 0xa, 0ah, 0b1010, 1010b or 0o12")]
    BadNumber {
        /// What is there.
        text: String,
    },
    /// A number beyond 64 bits.
    #[error("`{text}` has more than 64 bits")]
    NumberTooLarge {
        /// What is there.
        text: String,
    },
    /// Something else than what can stand here.
    #[error("expected {expected}, but found {found}")]
    Expected {
        /// What can stand here.
        expected: &'static str,
        /// What there is.
        found: String,
    },
    /// No instruction has this name.
    #[error("unknown instruction `{name}`{}", did_you_mean(.nearest))]
    UnknownMnemonic {
        /// The name.
        name: String,
        /// Instructions with similar names, the nearest first.
        nearest: Vec<String>,
    },
    /// No directive has this name.
    #[error("unknown directive `{name}`{}", did_you_mean(.nearest))]
    UnknownDirective {
        /// The name.
        name: String,
        /// Directives with similar names, the nearest first.
        nearest: Vec<String>,
    },
    /// The instruction exists, but not with these operands.
    #[error("`{mnemonic}` does not take ({found}); there is {}", form_list(.forms))]
    WrongOperands {
        /// The instruction.
        mnemonic: String,
        /// The kinds of the operands that were given.
        found: String,
        /// The forms that exist, as the manuals write them.
        forms: Vec<String>,
    },
    /// The memory operand could have several sizes.
    #[error("the size of this operand of `{mnemonic}` is not known; write {}", size_list(.sizes))]
    AmbiguousSize {
        /// The instruction.
        mnemonic: String,
        /// The sizes that it can have, in bytes.
        sizes: Vec<usize>,
    },
    /// A memory operand has a size that the instruction does not access.
    #[error("`{mnemonic}` does not access {found} bytes here; write {}", size_list(.sizes))]
    WrongSize {
        /// The instruction.
        mnemonic: String,
        /// The size that was given, in bytes.
        found: usize,
        /// The sizes that it can have, in bytes.
        sizes: Vec<usize>,
    },
    /// A number does not fit into the place that it goes to.
    #[error("{value} does not fit into {place}")]
    OutOfRange {
        /// The number.
        value: i128,
        /// The place.
        place: &'static str,
    },
    /// A branch cannot reach its target.
    #[error("the target {target:#x} is too far away for this branch")]
    TooFar {
        /// The address of the target.
        target: u64,
    },
    /// A label stands where its address or the memory behind it could be meant.
    #[error(
        "write `[rel {name}]` for the memory at the label, `offset {name}` for its address as a number"
    )]
    BareLabel {
        /// The label.
        name: String,
    },
    /// Nothing is called that.
    #[error("unknown name `{name}`{}", did_you_mean(.nearest))]
    UnknownName {
        /// The name.
        name: String,
        /// Names with similar spellings, the nearest first.
        nearest: Vec<String>,
    },
    /// Two things have one name.
    #[error("`{name}` is already defined in line {line}")]
    Redefined {
        /// The name.
        name: String,
        /// Where it was defined first.
        line: usize,
    },
    /// A name that is a register cannot be a label.
    #[error("`{name}` is a register and cannot be the name of something else")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A constant that depends on itself.
    #[error("`{name}` is defined by itself")]
    Cyclic {
        /// The name.
        name: String,
    },
    /// A division by nothing, or a result beyond all bounds.
    #[error("this expression has no value: it {reason}")]
    NoValue {
        /// What it does.
        reason: &'static str,
    },
    /// Braces with something in them that does not exist.
    #[error(
        "unknown decoration `{{{text}}}`; there are {{k1}}…{{k7}}, {{z}}, {{1to2}}…{{1to32}}, {{sae}}, {{rn-sae}}, {{rd-sae}}, {{ru-sae}}, {{rz-sae}}, {{vex}} and {{evex}}"
    )]
    UnknownDecoration {
        /// What is between the braces.
        text: String,
    },
    /// A decoration or a prefix that the instruction cannot have.
    #[error("`{mnemonic}` with these operands does not take {what}")]
    NotAllowed {
        /// The instruction.
        mnemonic: String,
        /// What it does not take.
        what: String,
    },
    /// Registers that cannot make an address together.
    #[error("{reason}")]
    BadAddress {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The encoder refuses the instruction for a reason of its own.
    #[error("`{mnemonic}` cannot be encoded: {reason}")]
    Refused {
        /// The instruction.
        mnemonic: String,
        /// What the encoder says.
        reason: String,
    },
    /// The result would be too long.
    #[error("the code is longer than {} bytes", super::MAX_LEN)]
    TooLong,
    /// The length of something depends on itself and finds no rest.
    #[error("the length of this depends on itself and does not settle")]
    Unsettled,
}

/// Why text is not assembled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (line {line}, column {column})")]
pub struct AssembleError {
    /// What is wrong.
    pub kind: Box<AssembleErrorKind>,
    /// The offending bytes of the text; empty at the end of a line.
    pub span: Range<usize>,
    /// The line of the text, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    excerpt: Box<str>,
    /// Where in the excerpt the span is, in characters.
    marked: Range<usize>,
}

/// What is wrong and where, before lines are counted.
pub(super) type Fault = Box<(AssembleErrorKind, Range<usize>)>;

/// A fault at a place.
pub(super) fn fault(kind: AssembleErrorKind, span: &Range<usize>) -> Fault {
    Box::new((kind, span.clone()))
}

impl AssembleError {
    /// Characters of context on either side of the span.
    const CONTEXT: usize = 40;

    pub(super) fn new(kind: AssembleErrorKind, span: Range<usize>, text: &str) -> Self {
        let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let before = text[line_start..span.start].chars().count();
        let line = text[line_start..].split('\n').next().unwrap_or("");
        let n_marked = text[span.clone()]
            .chars()
            .take_while(|&c| c != '\n')
            .count();
        let cut = before.saturating_sub(Self::CONTEXT);
        let n_marked = n_marked.clamp(1, Self::CONTEXT);
        let excerpt: String = line
            .chars()
            .skip(cut)
            .take(before - cut + n_marked + Self::CONTEXT)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self {
            kind: Box::new(kind),
            line: text[..line_start].matches('\n').count() + 1,
            column: before + 1,
            span,
            excerpt: excerpt.into_boxed_str(),
            marked: before - cut..before - cut + n_marked,
        }
    }

    /// Three lines: the text around the span, carets below the span, what is wrong.
    #[must_use]
    pub fn render(&self) -> String {
        let indent = " ".repeat(self.marked.start);
        let carets = "^".repeat(self.marked.len());
        format!(
            "{}\n{indent}{carets}\n{}",
            self.excerpt.trim_end(),
            self.kind
        )
    }
}

fn did_you_mean(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => format!("; did you mean `{name}`?"),
        [names @ .., last] => {
            format!("; did you mean `{}` or `{last}`?", names.join("`, `"))
        }
    }
}

fn form_list(forms: &[String]) -> String {
    const MOST: usize = 12;
    let mut text = forms[..forms.len().min(MOST)].join("; ");
    if forms.len() > MOST {
        text.push_str(&format!("; and {} more", forms.len() - MOST));
    }
    text
}

fn size_list(sizes: &[usize]) -> String {
    let names: Vec<String> = sizes
        .iter()
        .map(|&size| match super::names::size_name(size) {
            Some(name) => format!("`{name} ptr`"),
            None => "no size".to_owned(),
        })
        .collect();
    names.join(" or ")
}

/// The candidates that are near enough to `name` to be what was meant, the nearest first.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    const MOST: usize = 3;
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return Vec::new();
    }
    let near = (name.len() / 3).max(1);
    let mut found: Vec<(usize, &str)> = candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= near)
        .map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|&(distance, _)| distance <= near)
        .collect();
    found.sort_unstable();
    found.dedup();
    // Only what is as near as the nearest: the rest would be noise.
    let least = found.first().map_or(0, |found| found.0);
    found
        .into_iter()
        .take_while(|&(distance, _)| distance == least)
        .take(MOST)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// The number of insertions, deletions, replacements and exchanges of neighbours between words.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
