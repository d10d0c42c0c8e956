//! Formulas: what verified code computes, read off its bytes.
//!
//! A linear genome is straight code over registers, so its formula is what comes of running it on
//! formulas in place of numbers. It may be far longer than the code, which uses values twice; so
//! it is measured first.

use opcodon_expr::{Expr, Node};

use crate::McodeError;
use crate::code::Code;
use crate::dialect::{MANY, N_PLACES, NOTHING, Step};
use crate::effective;
use crate::gene::{Opcode, Operand};

impl Code {
    /// Nodes of the formula as a tree, at most `u64::MAX`.
    #[must_use]
    pub fn n_nodes(&self) -> u64 {
        let dialect = self.dialect();
        let mut sizes = [1_u64; N_PLACES];
        sizes[usize::from(NOTHING)] = 0;
        let mut steps = [Step::default(); MANY];
        for slots in self.slots.chunks(MANY) {
            dialect.each_step(slots, &mut steps, |step| step);
            for step in &steps[..slots.len()] {
                let operands = step
                    .operands()
                    .map(|place| sizes[usize::from(place) % N_PLACES]);
                let root = u64::from(step.operations());
                let size = operands.into_iter().fold(root, u64::saturating_add);
                sizes[usize::from(step.dst()) % N_PLACES] = size;
            }
        }
        sizes[0]
    }

    /// What register 0 holds at the end, read off the bytes. Registers begin as columns, in turn.
    ///
    /// # Errors
    /// If the formula has more than `max_nodes` nodes as a tree (a genome that squares a register
    /// over and over doubles it each time), or works on bits.
    pub fn to_expression(&self, max_nodes: u64) -> Result<Expr, McodeError> {
        self.require_nodes(max_nodes)?;
        let nodes = self.fold(
            |operand| {
                vec![match operand {
                    Operand::Constant(k) => Node::Const(self.constants[usize::from(k)]),
                    leaf => Node::Var(u32::from(leaf.number())),
                }]
            },
            |opcode, [_, first], last| {
                let mut nodes = first.cloned().unwrap_or_default();
                nodes.extend_from_slice(last);
                nodes.push(Node::Op(opcode.op()?));
                Some(nodes)
            },
        );
        let nodes = nodes.ok_or(McodeError::Bitwise)?;
        Ok(Expr::from_postfix(nodes).expect("operands come before their operator"))
    }

    /// What register 0 holds at the end, for genomes on bits: `x0 ^ (x1 & 1)`, with all operations
    /// in parentheses. `a < b` is the second bit without the first, and `a ? b : c` is b where a is
    /// set and c elsewhere.
    ///
    /// # Errors
    /// If the formula has more than `max_nodes` nodes as a tree.
    pub fn to_boolean_text(&self, max_nodes: u64) -> Result<String, McodeError> {
        self.words_text(max_nodes, |bits| u8::from(bits != 0).to_string())
    }

    /// As [`Code::to_boolean_text`] for genomes on integers. `>>` follows the sign and `>>>` does
    /// not, as in Java.
    ///
    /// # Errors
    /// If the formula has more than `max_nodes` nodes as a tree.
    pub fn to_integer_text(&self, max_nodes: u64) -> Result<String, McodeError> {
        self.words_text(max_nodes, integer_text)
    }

    fn words_text(
        &self,
        max_nodes: u64,
        constant: impl Fn(u64) -> String,
    ) -> Result<String, McodeError> {
        self.require_nodes(max_nodes)?;
        let leaf = |operand| match operand {
            Operand::Constant(k) => constant(self.constants[usize::from(k)].to_bits()),
            leaf => format!("x{}", leaf.number()),
        };
        let text = self.fold(leaf, |opcode, [condition, first], last| {
            let (symbol, first) = (opcode.symbol()?, first?);
            Some(match condition {
                Some(condition) => format!("({condition} {symbol} {first} : {last})"),
                None => operation(symbol, first, last),
            })
        });
        let text = text.ok_or(McodeError::Domain { bits: true })?;
        let bare = text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'));
        Ok(bare.unwrap_or(&text).to_owned())
    }

    /// What a genome on words computes of a row: the meaning, by which the machine is judged. The
    /// row has a word for each column; nothing of a genome on numbers.
    ///
    /// # Panics
    /// If the row has fewer words than there are columns.
    #[must_use]
    pub fn eval_words(&self, row: &[u64]) -> Option<u64> {
        let leaf = |operand| match operand {
            Operand::Constant(k) => self.constants[usize::from(k)].to_bits(),
            leaf => row[usize::from(leaf.number())],
        };
        self.fold(leaf, |opcode, front, last| opcode.on_words(front, *last))
    }

    fn require_nodes(&self, limit: u64) -> Result<(), McodeError> {
        let nodes = self.n_nodes();
        if nodes > limit {
            return Err(McodeError::TooLong { nodes, limit });
        }
        Ok(())
    }

    /// Runs the effective genes on values of another kind, operands but the last given as there are; `None` as soon as one has no meaning.
    fn fold<V: Clone>(
        &self,
        leaf: impl Fn(Operand) -> V,
        apply: impl Fn(Opcode, [Option<&V>; 2], &V) -> Option<V>,
    ) -> Option<V> {
        let live = effective::mark(self);
        let mut values: [V; 16] = std::array::from_fn(|register| {
            #[expect(clippy::cast_possible_truncation, reason = "at most 256 columns")]
            leaf(Operand::Column((register % self.n_columns()) as u8))
        });
        for (_, gene) in self.genes().filter(|(slot, _)| live.slots[*slot]) {
            let arity = gene.opcode.arity();
            let value = |is: bool, register| is.then(|| &values[usize::from(register)]);
            let front = [value(arity == 3, gene.dst), value(arity >= 2, gene.a)];
            let last = match gene.b {
                Operand::Register(b) => values[usize::from(b)].clone(),
                operand => leaf(operand),
            };
            values[usize::from(gene.dst)] = match gene.opcode {
                Opcode::Load => last,
                opcode => apply(opcode, front, &last)?,
            };
        }
        let [result, ..] = values;
        Some(result)
    }
}

/// An operation on words in parentheses, or as a function.
pub(crate) fn operation(symbol: &str, first: &str, last: &str) -> String {
    if symbol.starts_with(char::is_alphabetic) {
        format!("{symbol}({first}, {last})")
    } else {
        format!("({first} {symbol} {last})")
    }
}

/// A constant of a genome on integers: decimal as long as that is short.
pub(crate) fn integer_text(bits: u64) -> String {
    let value = bits.cast_signed();
    if value.unsigned_abs() < 10_000 {
        value.to_string()
    } else {
        format!("{bits:#x}")
    }
}
