//! Why text is not an expression, and where.

use std::ops::Range;

/// A kind of error and its place in the text.
pub(super) type Fault = (ParseErrorKind, Range<usize>);

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// There is nothing but white space.
    #[error("the expression is empty")]
    Empty,
    /// A character that begins nothing.
    #[error("unexpected character `{character}`{}", if *.character == '=' { "; equality is written `==`" } else { "" })]
    UnexpectedCharacter {
        /// The character.
        character: char,
    },
    /// A backtick without its partner.
    #[error("the quoted name is not closed: a backtick is missing")]
    UnclosedQuote,
    /// Something else where a number, a name or a parenthesis is due.
    #[error("expected a number, a name or `(`, but found {found}")]
    ExpectedOperand {
        /// What there is.
        found: String,
    },
    /// Something else where an operator or a closing parenthesis is due.
    #[error("expected an operator, but found {found}; multiplication is written `*`")]
    ExpectedOperator {
        /// What there is.
        found: String,
    },
    /// A name that is none of the variables.
    #[error("unknown variable `{}`{}", shown(.name), did_you_mean(.suggestion))]
    UnknownVariable {
        /// The name.
        name: String,
        /// The variable with the nearest name, if one is near.
        suggestion: Option<String>,
    },
    /// A call of something that does not exist.
    #[error("unknown function `{}`{}", shown(.name), did_you_mean(.suggestion))]
    UnknownFunction {
        /// The name.
        name: String,
        /// The function with the nearest name, if one is near.
        suggestion: Option<String>,
    },
    /// A call of a variable or a number.
    #[error("`{0}` is not a function; multiplication is written `{0}*(…)`", shown(.name))]
    NotAFunction {
        /// The name.
        name: String,
    },
    /// A function's name without parentheses after it.
    #[error(
        "`{name}` is a function: write `{name}(…)`, or put a variable of this name between backticks"
    )]
    FunctionWithoutArguments {
        /// The name.
        name: String,
    },
    /// A call with too many or too few arguments.
    #[error("`{name}` takes {expected} argument{}, not {found}", if *.expected == 1 { "" } else { "s" })]
    ArgumentCount {
        /// The function's name.
        name: String,
        /// As many as it takes.
        expected: usize,
        /// As many as there are.
        found: usize,
    },
    /// A parenthesis is never closed.
    #[error("this parenthesis is not closed")]
    UnclosedParenthesis,
    /// A parenthesis closes that never opened.
    #[error("this parenthesis closes nothing")]
    UnmatchedParenthesis,
    /// A comma that separates no arguments.
    #[error("a comma only separates the arguments of a function")]
    CommaOutsideCall,
    /// `a < b < c`
    #[error("comparisons do not chain: use parentheses")]
    ChainedComparison,
    /// More nodes than an expression may have.
    #[error("the expression is too long: more than {} nodes", crate::tree::MAX_LEN)]
    TooLong,
}

/// A name as a message can hold it: on one line, and not too long.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 60;
    let mut characters = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Why text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (line {line}, column {column})")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// The offending bytes of the text; empty at its end.
    pub span: Range<usize>,
    /// The line of the text, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// The line around the span, cut if it is long.
    excerpt: Box<str>,
    /// Where in the excerpt the span is, in characters.
    excerpt_span: Range<usize>,
}

impl ParseError {
    /// Characters of context on either side of the span.
    const CONTEXT: usize = 40;

    pub(super) fn new(kind: ParseErrorKind, span: Range<usize>, text: &str) -> Self {
        let line_start = text[..span.start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let before: Vec<char> = text[line_start..span.start].chars().collect();
        let line_rest = text[span.start..].split('\n').next().unwrap_or("");
        let marked = text[span.clone()]
            .chars()
            .take_while(|c| *c != '\n')
            .count();
        let shown_before = before.len().min(Self::CONTEXT);
        let shown_marked = marked.clamp(1, Self::CONTEXT);
        let excerpt = before[before.len() - shown_before..]
            .iter()
            .copied()
            .chain(line_rest.chars().take(shown_marked + Self::CONTEXT))
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect::<String>()
            .into_boxed_str();
        ParseError {
            kind,
            line: text[..line_start].matches('\n').count() + 1,
            column: before.len() + 1,
            span,
            excerpt,
            excerpt_span: shown_before..shown_before + shown_marked,
        }
    }

    /// Three lines: the text around the span, carets below the span, what is wrong.
    #[must_use]
    pub fn render(&self) -> String {
        let indent = " ".repeat(self.excerpt_span.start);
        let carets = "^".repeat(self.excerpt_span.len());
        format!(
            "{}\n{indent}{carets}\n{}",
            self.excerpt.trim_end(),
            self.kind
        )
    }
}

/// The candidate that is nearest to `name`, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    const LONGEST: usize = 40;
    let length = name.chars().count();
    if length > LONGEST {
        return None;
    }
    let near = (length / 3).max(1);
    candidates
        .filter(|candidate| candidate.chars().count() <= LONGEST)
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= near)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// The number of insertions, deletions, replacements and exchanges of neighbours between two
/// words, letters differing in case only being alike (optimal string alignment distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut distance = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                distance = distance.min(rows[i - 2][j - 2] + 1);
            }
            row.push(distance);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
