//! The engine that all languages share: an expression, a language, text.
//!
//! Text comes out from left to right, which is not the order of a postfix sequence; so the engine
//! keeps a stack of what is still to be written. Each piece of that work is a node with the place
//! it goes to, or fixed text.

use super::form::Form;
use super::level;
use crate::op::{Grouping, Op};
use crate::tree::{Expr, Node, operands_of};

/// What the engine must know about a language.
pub(crate) trait Language {
    /// How an operator is written.
    fn form(&self, op: Op) -> Form;
    /// Writes a number and returns the level of the text.
    fn number(&self, out: &mut String, value: f64) -> u8;
    /// Writes a variable and returns the level of the text.
    fn variable(&self, out: &mut String, index: u32) -> u8;
    /// Brackets for grouping and for arguments.
    fn brackets(&self) -> (&'static str, &'static str) {
        ("(", ")")
    }
    /// Writes the name of a function that is called.
    fn call_name(&self, out: &mut String, name: &str) {
        out.push_str(name);
    }
    /// What stands between two arguments.
    fn separator(&self) -> &'static str {
        ", "
    }
    /// The level of a call.
    fn call_level(&self) -> u8 {
        level::ATOM
    }
    /// Before and after a truth value to make it a number, and the level of that.
    fn truth_to_number(&self) -> (&'static str, &'static str, u8) {
        ("", "", level::COMPARISON)
    }
    /// Before and after a number to make it a truth value, and the level the number must have.
    fn number_to_truth(&self) -> (&'static str, &'static str, u8) {
        ("", "", level::ANY)
    }
    /// Before, between and after parameters, and after the body, of a function without a name.
    fn lambda(&self) -> Option<Lambda> {
        None
    }
}

/// How a language writes a function without a name, which it needs where a template uses an
/// operand twice: spelling the operand twice would double the text at every level of the tree.
pub(crate) struct Lambda {
    /// Before the only parameter, and before several.
    pub(crate) open: [&'static str; 2],
    /// After the only parameter, and after several.
    pub(crate) body: [&'static str; 2],
    /// After the body.
    pub(crate) close: &'static str,
}

/// Where text goes.
#[derive(Clone, Copy)]
enum Place {
    /// Where a number is expected, of at least this level.
    Number(u8),
    /// Where a truth value is expected.
    Truth,
}

#[derive(Clone, Copy)]
enum Work {
    /// The subtree with this root.
    Node(usize, Place),
    Text(&'static str),
}

/// The text, and the operators that were written as helper functions, each once, in table order.
pub(crate) fn write(expr: &Expr, language: &impl Language) -> (String, Vec<Op>) {
    let sizes = expr.subtree_sizes();
    let mut writer = Writer {
        nodes: expr.nodes(),
        sizes: &sizes,
        language,
        out: String::with_capacity(expr.len() * 4),
        work: vec![Work::Node(expr.len() - 1, Place::Number(level::ANY))],
        helpers: vec![false; Op::ALL.len()],
    };
    while let Some(work) = writer.work.pop() {
        match work {
            Work::Text(text) => writer.out.push_str(text),
            Work::Node(root, place) => writer.node(root, place),
        }
    }
    let used = |op: &Op| writer.helpers[*op as usize];
    let helpers = Op::ALL.iter().copied().filter(used).collect();
    (writer.out, helpers)
}

struct Writer<'a, L> {
    nodes: &'a [Node],
    sizes: &'a [u32],
    language: &'a L,
    out: String,
    work: Vec<Work>,
    helpers: Vec<bool>,
}

/// A piece of a template.
enum Piece {
    Text(&'static str),
    Operand(usize, Place),
}

impl<L: Language> Writer<'_, L> {
    fn node(&mut self, root: usize, place: Place) {
        let level = match place {
            Place::Number(level) => level,
            Place::Truth => match self.nodes[root] {
                Node::Op(op) if matches!(self.language.form(op), Form::Relation(_)) => {
                    return self.operator(op, root, Place::Truth);
                }
                _ => {
                    let (before, after, level) = self.language.number_to_truth();
                    self.work.push(Work::Text(after));
                    self.work.push(Work::Node(root, Place::Number(level)));
                    self.work.push(Work::Text(before));
                    return;
                }
            },
        };
        let (open, close) = self.language.brackets();
        let start = self.out.len();
        let leaf_level = match self.nodes[root] {
            Node::Const(value) => self.language.number(&mut self.out, value),
            Node::Var(index) => self.language.variable(&mut self.out, index),
            Node::Op(op) => return self.operator(op, root, Place::Number(level)),
        };
        if leaf_level < level {
            self.out.insert_str(start, open);
            self.out.push_str(close);
        }
    }

    fn operator(&mut self, op: Op, root: usize, place: Place) {
        let operands = operands_of(op, root, self.sizes);
        let mut form = self.language.form(op);
        if let Form::Helper(name, _) = form {
            self.helpers[op as usize] = true;
            form = Form::Call(name);
        }
        let Place::Number(required) = place else {
            if let Form::Relation(template) = form {
                self.template(template, &operands);
            }
            return;
        };
        let level = match form {
            Form::Call(_) | Form::Helper(..) => self.language.call_level(),
            Form::Text(level, _) => level,
            Form::Relation(_) => self.language.truth_to_number().2,
            Form::Infix(symbol) => symbol.level,
        };
        let (open, close) = self.language.brackets();
        if level < required {
            self.out.push_str(open);
            self.work.push(Work::Text(close));
        }
        match form {
            Form::Call(name) | Form::Helper(name, _) => {
                self.language.call_name(&mut self.out, name);
                self.arguments(&operands[..op.arity()]);
            }
            Form::Text(_, template) => self.template(template, &operands[..op.arity()]),
            Form::Relation(template) => {
                let (before, after, _) = self.language.truth_to_number();
                self.out.push_str(before);
                self.work.push(Work::Text(after));
                self.template(template, &operands[..op.arity()]);
            }
            Form::Infix(symbol) => {
                let (first, second) = symbol.places();
                let spaced = symbol.level <= level::SUM;
                let last = operands[op.arity() - 1];
                let second = match self.nodes[last] {
                    // A minus before a bare number would be read as the number's sign.
                    Node::Const(value)
                        if symbol.grouping == Grouping::Prefix && value.is_sign_positive() =>
                    {
                        level::ATOM + 1
                    }
                    _ => second,
                };
                self.work.push(Work::Node(last, Place::Number(second)));
                if spaced {
                    self.work.push(Work::Text(" "));
                }
                self.work.push(Work::Text(symbol.text));
                if symbol.grouping != Grouping::Prefix {
                    if spaced {
                        self.work.push(Work::Text(" "));
                    }
                    self.work
                        .push(Work::Node(operands[0], Place::Number(first)));
                }
            }
        }
    }

    fn arguments(&mut self, operands: &[usize]) {
        let (open, close) = self.language.brackets();
        let separator = self.language.separator();
        self.work.push(Work::Text(close));
        for (k, &operand) in operands.iter().enumerate().rev() {
            self.work
                .push(Work::Node(operand, Place::Number(level::ANY)));
            self.work
                .push(Work::Text(if k > 0 { separator } else { open }));
        }
    }

    fn template(&mut self, template: &'static str, operands: &[usize]) {
        let repeats_subtree = |k: usize| {
            let letter = ["$a", "$b", "$c"][k];
            self.nodes[operands[k]].arity() > 0 && template.matches(letter).count() > 1
        };
        if let Some(lambda) = self.language.lambda()
            && (0..operands.len()).any(repeats_subtree)
        {
            self.bound_template(template, operands, &lambda);
            return;
        }
        let start = self.work.len();
        for piece in pieces(template) {
            self.work.push(match piece {
                Piece::Text(text) => Work::Text(text),
                Piece::Operand(k, place) => Work::Node(operands[k], place),
            });
        }
        self.work[start..].reverse();
    }

    /// The template as a function of its operands, applied to them.
    fn bound_template(&mut self, template: &'static str, operands: &[usize], lambda: &Lambda) {
        let several = usize::from(operands.len() > 1);
        let parameters = ["a", "b", "c"];
        self.out.push_str(lambda.open[several]);
        self.out.push_str(&parameters[..operands.len()].join(", "));
        self.out.push_str(lambda.body[several]);
        for piece in pieces(template) {
            match piece {
                Piece::Text(text) => self.out.push_str(text),
                Piece::Operand(k, _) => self.out.push_str(parameters[k]),
            }
        }
        self.out.push_str(lambda.close);
        self.arguments(operands);
    }
}

/// The pieces of a template, in order.
fn pieces(template: &'static str) -> impl Iterator<Item = Piece> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(after) = rest.strip_prefix('$') else {
            let (text, tail) = rest.split_at(rest.find('$').unwrap_or(rest.len()));
            rest = tail;
            return Some(Piece::Text(text));
        };
        let mut characters = after.chars();
        let operand = match characters.next() {
            Some('a') => 0,
            Some('b') => 1,
            Some('c') => 2,
            other => unreachable!("the template {template:?} has a `$` before {other:?}"),
        };
        let unmarked = characters.as_str();
        let place = match characters.next() {
            Some('?') => Place::Truth,
            Some(digit @ '0'..='6') => Place::Number(digit as u8 - b'0'),
            _ => {
                rest = unmarked;
                return Some(Piece::Operand(operand, Place::Number(level::ANY)));
            }
        };
        rest = characters.as_str();
        Some(Piece::Operand(operand, place))
    })
}
