//! Text to expression.
//!
//! Operator precedence by a stack (Dijkstra's shunting yard), which makes postfix order directly
//! and does not recurse, so that no nesting is too deep. Precedence and grouping come from the
//! operator table, and so do the names of functions.
//!
//! # Invariant
//! What the printers of this crate's own notation write is read back to the bit. Any other text is
//! an expression or an error with a place, never a panic.

mod error;
mod lexer;

use std::collections::HashMap;
use std::ops::Range;

use error::Fault;
pub use error::{ParseError, ParseErrorKind};
use lexer::{Lexer, Token};

use crate::op::{Grouping, Op, Symbol};
use crate::print::level;
use crate::tree::{Expr, MAX_LEN, Node};

/// Numbers that have a name.
const NAMED_NUMBERS: [(&str, f64); 6] = [
    ("pi", std::f64::consts::PI),
    ("e", std::f64::consts::E),
    ("inf", f64::INFINITY),
    ("nan", f64::NAN),
    ("Inf", f64::INFINITY),
    ("NaN", f64::NAN),
];

/// An expression and what its variables are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The expression.
    pub expr: Expr,
    /// The name of each variable. Those that were given, or else those that occur.
    pub variables: Vec<String>,
}

/// Reads an expression in infix or prefix notation.
///
/// With `names`, variable i is `names[i]`, and other names are errors. Without, the variables are
/// the names that occur, in order of first appearance; or in the order of their numbers, if each
/// is an `x` with a number.
///
/// From loose to tight:
///
/// | operators | grouping |
/// |---|---|
/// | `<` `<=` `>` `>=` `==` `!=` | none: `a < b < c` is refused |
/// | `+` `-` | left |
/// | `*` `/` `%` | left |
/// | unary `-` `+` | so `-x^2` is `-(x^2)` |
/// | `^` `**` | right: `a^b^c` is `a^(b^c)` |
///
/// A minus before a number belongs to the number (`-2` is one constant), except before a power
/// (`-2^x` is `-(2^x)`). `pi`, `e`, `inf` and `nan` are numbers unless they are names of variables.
/// A name between backticks is always a variable. Every operator can be called by its name,
/// `add(x, y)`; `min` and `max` take two arguments or more.
///
/// # Errors
/// A [`ParseError`], which knows the place in the text.
pub fn parse(text: &str, names: Option<&[&str]>) -> Result<Parsed, ParseError> {
    Parser::new(text, names)
        .run()
        .map_err(|(kind, span)| ParseError::new(kind, span, text))
}

/// Whether a bare name means something other than a variable.
pub(crate) fn is_reserved(name: &str) -> bool {
    named_number(name).is_some() || Op::from_spelling(name).is_some()
}

fn named_number(name: &str) -> Option<f64> {
    NAMED_NUMBERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, value)| value)
}

/// What has been read but waits for what follows.
enum Pending {
    Negation,
    Infix(Op, Symbol),
    Parenthesis(Range<usize>),
    Call {
        op: Op,
        name: Range<usize>,
        open: Range<usize>,
        arguments: usize,
    },
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    variables: HashMap<String, u32>,
    /// Whether names that do not occur among the variables are refused.
    closed: bool,
    names: Vec<String>,
    nodes: Vec<Node>,
    pending: Vec<Pending>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, names: Option<&[&str]>) -> Self {
        let names_given = names.unwrap_or(&[]);
        let mut variables = HashMap::new();
        for (index, name) in (0..).zip(names_given) {
            variables.entry((*name).to_owned()).or_insert(index);
        }
        Parser {
            text,
            lexer: Lexer::new(text),
            variables,
            closed: names.is_some(),
            names: names_given.iter().map(|&name| name.to_owned()).collect(),
            nodes: Vec::new(),
            pending: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Parsed, Fault> {
        loop {
            self.operand()?;
            if !self.operator()? {
                break;
            }
        }
        if !self.closed {
            self.sort_numbered_names();
        }
        Ok(Parsed {
            expr: Expr::well_formed(self.nodes),
            variables: self.names,
        })
    }

    /// Reads up to the end of one leaf.
    fn operand(&mut self) -> Result<(), Fault> {
        loop {
            let (token, span) = self.lexer.next()?;
            match token {
                Token::Number(value) => return self.number(value, span),
                Token::Quoted(name) => return self.variable(&name, span),
                Token::Name(name) if self.lexer.peek_is("(") => {
                    if named_number(name).is_some_and(f64::is_nan)
                        && let Some((value, end)) = self.lexer.nan_payload()
                    {
                        return self.number(value, span.start..end);
                    }
                    let op = self.function(name, &span)?;
                    let (_, open) = self.lexer.next()?;
                    self.pending.push(Pending::Call {
                        op,
                        name: span,
                        open,
                        arguments: 1,
                    });
                }
                Token::Name(name) => return self.name(name, span),
                Token::Symbol("+") => {}
                Token::Symbol("-") => self.pending.push(Pending::Negation),
                Token::Symbol("(") => self.pending.push(Pending::Parenthesis(span)),
                Token::Symbol(")") if self.at_empty_call(&span) => {
                    return Err(self
                        .argument_count(0)
                        .unwrap_or((ParseErrorKind::Empty, span)));
                }
                Token::End if self.text.trim().is_empty() => {
                    return Err((ParseErrorKind::Empty, span));
                }
                Token::Symbol(_) | Token::End => {
                    let found = token.describe();
                    return Err((ParseErrorKind::ExpectedOperand { found }, span));
                }
            }
        }
    }

    /// Reads from the end of an operand to the beginning of the next. False at the end.
    fn operator(&mut self) -> Result<bool, Fault> {
        loop {
            let (token, span) = self.lexer.next()?;
            match token {
                Token::Symbol(")") => self.close(span)?,
                Token::Symbol(",") => {
                    self.reduce(level::ANY, Grouping::Left);
                    match self.pending.last_mut() {
                        Some(Pending::Call { arguments, .. }) => *arguments += 1,
                        _ => return Err((ParseErrorKind::CommaOutsideCall, span)),
                    }
                    return Ok(true);
                }
                Token::End => {
                    self.reduce(level::ANY, Grouping::Left);
                    return match self.pending.pop() {
                        None => Ok(false),
                        Some(Pending::Call { open, .. } | Pending::Parenthesis(open)) => {
                            Err((ParseErrorKind::UnclosedParenthesis, open))
                        }
                        Some(Pending::Negation | Pending::Infix(..)) => unreachable!("reduced"),
                    };
                }
                Token::Symbol(text) => {
                    let Some((op, symbol)) = infix_operator(text) else {
                        let found = token.describe();
                        return Err((ParseErrorKind::ExpectedOperator { found }, span));
                    };
                    self.reduce(symbol.level, symbol.grouping);
                    if symbol.grouping == Grouping::None
                        && let Some(Pending::Infix(_, before)) = self.pending.last()
                        && before.level == symbol.level
                    {
                        return Err((ParseErrorKind::ChainedComparison, span));
                    }
                    self.pending.push(Pending::Infix(op, symbol));
                    return Ok(true);
                }
                Token::Number(_) | Token::Name(_) | Token::Quoted(_) => {
                    let found = token.describe();
                    return Err((ParseErrorKind::ExpectedOperator { found }, span));
                }
            }
        }
    }

    /// Applies the pending operators that bind their right operand tighter than an operator of
    /// this level and grouping that follows.
    fn reduce(&mut self, level: u8, grouping: Grouping) {
        let tighter =
            |before: u8| before > level || (before == level && grouping == Grouping::Left);
        loop {
            let op = match self.pending.last() {
                Some(Pending::Infix(op, symbol)) if tighter(symbol.level) => *op,
                Some(Pending::Negation) if tighter(level::NEGATION) => Op::Neg,
                _ => return,
            };
            self.pending.pop();
            self.nodes.push(Node::Op(op));
        }
    }

    fn close(&mut self, span: Range<usize>) -> Result<(), Fault> {
        self.reduce(level::ANY, Grouping::Left);
        match self.pending.last() {
            Some(Pending::Parenthesis(_)) => {}
            Some(&Pending::Call { op, arguments, .. }) => {
                let applications = match op {
                    Op::Min | Op::Max if arguments >= 2 => arguments - 1,
                    _ => 1,
                };
                if applications == 1
                    && arguments != op.arity()
                    && let Some(fault) = self.argument_count(arguments)
                {
                    return Err(fault);
                }
                self.nodes
                    .extend(std::iter::repeat_n(Node::Op(op), applications));
            }
            _ => return Err((ParseErrorKind::UnmatchedParenthesis, span)),
        }
        self.pending.pop();
        Ok(())
    }

    /// The error that the innermost call has this number of arguments.
    fn argument_count(&self, found: usize) -> Option<Fault> {
        let Some(Pending::Call { op, name, .. }) = self.pending.last() else {
            return None;
        };
        let kind = ParseErrorKind::ArgumentCount {
            name: self.text[name.clone()].to_owned(),
            expected: op.arity(),
            found,
        };
        Some((kind, name.clone()))
    }

    /// Whether the parenthesis that closes here opened a call without arguments.
    fn at_empty_call(&self, close: &Range<usize>) -> bool {
        match self.pending.last() {
            Some(Pending::Call { open, .. }) => self.text[open.end..close.start].trim().is_empty(),
            _ => false,
        }
    }

    fn number(&mut self, value: f64, span: Range<usize>) -> Result<(), Fault> {
        let is_base = self.lexer.peek_is("^") || self.lexer.peek_is("**");
        if !is_base && matches!(self.pending.last(), Some(Pending::Negation)) {
            self.pending.pop();
            return self.leaf(Node::Const(-value), span);
        }
        self.leaf(Node::Const(value), span)
    }

    fn leaf(&mut self, node: Node, span: Range<usize>) -> Result<(), Fault> {
        // Operators that wait will become nodes too.
        if self.nodes.len() + self.pending.len() >= MAX_LEN {
            return Err((ParseErrorKind::TooLong, span));
        }
        self.nodes.push(node);
        Ok(())
    }

    fn name(&mut self, name: &str, span: Range<usize>) -> Result<(), Fault> {
        if self.variables.contains_key(name) {
            return self.variable(name, span);
        }
        if let Some(value) = named_number(name) {
            return self.number(value, span);
        }
        if Op::from_spelling(name).is_some() {
            return Err((
                ParseErrorKind::FunctionWithoutArguments {
                    name: name.to_owned(),
                },
                span,
            ));
        }
        self.variable(name, span)
    }

    fn variable(&mut self, name: &str, span: Range<usize>) -> Result<(), Fault> {
        if let Some(&index) = self.variables.get(name) {
            return self.leaf(Node::Var(index), span);
        }
        if self.closed {
            let suggestion = error::nearest(name, self.names.iter().map(String::as_str));
            return Err((
                ParseErrorKind::UnknownVariable {
                    name: name.to_owned(),
                    suggestion,
                },
                span,
            ));
        }
        let Ok(index) = u32::try_from(self.names.len()) else {
            return Err((ParseErrorKind::TooLong, span));
        };
        self.names.push(name.to_owned());
        self.variables.insert(name.to_owned(), index);
        self.leaf(Node::Var(index), span)
    }

    fn function(&self, name: &str, span: &Range<usize>) -> Result<Op, Fault> {
        if let Some(op) = Op::from_spelling(name) {
            return Ok(op);
        }
        let name = name.to_owned();
        let kind = if self.variables.contains_key(&name) || named_number(&name).is_some() {
            ParseErrorKind::NotAFunction { name }
        } else {
            let suggestion = error::nearest(&name, Op::ALL.iter().map(|op| op.name()));
            ParseErrorKind::UnknownFunction { name, suggestion }
        };
        Err((kind, span.clone()))
    }

    /// Puts the variables in the order of their numbers, if each is called `x<number>`.
    fn sort_numbered_names(&mut self) {
        let numbers: Option<Vec<u64>> = self.names.iter().map(|name| number_of(name)).collect();
        let Some(numbers) = numbers else { return };
        let mut order: Vec<u32> = (0..).take(numbers.len()).collect();
        order.sort_by_key(|&index| numbers[index as usize]);
        let mut new_index = vec![0; order.len()];
        for (new, &old) in (0_u32..).zip(&order) {
            new_index[old as usize] = new;
        }
        for node in &mut self.nodes {
            if let Node::Var(index) = node {
                *index = new_index[*index as usize];
            }
        }
        self.names = order
            .iter()
            .map(|&old| self.names[old as usize].clone())
            .collect();
    }
}

/// The number of a variable that is called `x<number>`, without leading zeros.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix('x')?;
    let canonical =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}

fn infix_operator(text: &str) -> Option<(Op, Symbol)> {
    let op = Op::from_spelling(text)?;
    // Remainder has a symbol that is read but never written.
    let symbol = if op == Op::Mod {
        Op::Div.symbol()?
    } else {
        op.symbol()?
    };
    Some((op, symbol))
}
