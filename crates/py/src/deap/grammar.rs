//! What trees of a DEAP primitive set are made of, without any Python in it.
//!
//! DEAP keeps a tree as a list of Python objects in prefix order and asks each of them for its
//! `arity`, `args` and `ret` over and over. Here the same list is an array of [`Gene`]s, each the
//! number of a symbol and, for constants that belong to one tree only, a value. What is true of a
//! symbol in all trees is said once, in the [`Grammar`].
//!
//! # Invariant
//! Every symbol number in a list of genes is a symbol of the grammar it is used with. Nothing else
//! is taken for granted: DEAP lets its users append nodes to a tree, so a list may be no tree at
//! all, and every function here says what it does with such a list.

use std::collections::HashMap;

/// Number of a symbol of a [`Grammar`].
pub(crate) type SymbolId = u32;

/// Number of a type of a [`Grammar`]: DEAP compares types by identity.
pub(crate) type TypeId = u32;

/// A constant that belongs to one place of one tree. DEAP prints `1` and `1.0` differently.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// The symbol says it all.
    None,
    /// A Python `int`.
    Int(i64),
    /// A Python `float`.
    Float(f64),
    /// A Python `bool`.
    Bool(bool),
}

impl Value {
    /// The number; `None` stands for a symbol that has no value of its own.
    #[expect(
        clippy::cast_precision_loss,
        reason = "machine code computes in f64, as the module documentation of opcodon.deap says"
    )]
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Int(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Bool(value) => Some(f64::from(u8::from(value))),
        }
    }
}

/// One node of a tree in prefix order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gene {
    pub(crate) symbol: SymbolId,
    pub(crate) value: Value,
}

impl Gene {
    pub(crate) fn new(symbol: SymbolId) -> Self {
        Self {
            symbol,
            value: Value::None,
        }
    }
}

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A function of at least one argument.
    Primitive,
    /// Argument number so and so of the whole tree.
    Argument(u32),
    /// A terminal of the primitive set: a named or a literal constant.
    Terminal,
    /// A constant drawn when a tree is made; genes carry its value.
    Ephemeral,
    /// A constant that came from a text; genes carry its value. There is one such symbol a type.
    Literal,
}

/// What is true of a symbol in every tree.
#[derive(Debug)]
pub(crate) struct Symbol {
    /// The name by which primitive sets and texts know it.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Types of the arguments; empty for terminals.
    pub(crate) args: Box<[TypeId]>,
    /// Type of the result.
    pub(crate) ret: TypeId,
}

impl Symbol {
    pub(crate) fn arity(&self) -> usize {
        self.args.len()
    }
}

/// The symbols of a primitive set, and which of them may stand where.
#[derive(Debug, Default)]
pub(crate) struct Grammar {
    pub(crate) symbols: Vec<Symbol>,
    /// For every type, the primitives that return it or a subtype.
    pub(crate) primitives: Vec<Vec<SymbolId>>,
    /// For every type, the terminals that are of it or of a subtype.
    pub(crate) terminals: Vec<Vec<SymbolId>>,
    /// Type of the whole tree.
    pub(crate) ret: TypeId,
    /// The type of untyped sets, DEAP's `__type__`.
    pub(crate) untyped: TypeId,
    /// Share of terminals among all symbols.
    pub(crate) terminal_ratio: f64,
    /// First of the literal symbols, which are in the order of the types.
    pub(crate) first_literal: SymbolId,
    /// All that trees depend on, as text: equal signatures have equal symbol numbers.
    pub(crate) signature: String,
    /// Which symbol has a name.
    pub(crate) names: HashMap<String, SymbolId>,
}

impl Grammar {
    /// Completes a grammar whose symbols, types and lists are known.
    pub(crate) fn seal(&mut self, type_names: &[String]) {
        use std::fmt::Write as _;
        self.first_literal = as_id(self.symbols.len());
        for (ret, type_name) in type_names.iter().enumerate() {
            self.symbols.push(Symbol {
                name: format!("<{type_name}>"),
                kind: Kind::Literal,
                args: Box::default(),
                ret: as_id(ret),
            });
        }
        let mut signature = String::new();
        for (id, symbol) in self.symbols.iter().enumerate() {
            if symbol.kind != Kind::Literal {
                // As in DEAP, the symbol that was added last has the name.
                self.names.insert(symbol.name.clone(), as_id(id));
            }
            // Writing to a String cannot fail.
            let _ = writeln!(
                signature,
                "{:?} {:?} {:?} {}",
                symbol.name, symbol.kind, symbol.args, symbol.ret
            );
        }
        let _ = writeln!(signature, "{type_names:?} {}", self.ret);
        self.signature = signature;
    }

    /// The symbol of that name.
    pub(crate) fn by_name(&self, name: &str) -> Option<SymbolId> {
        self.names.get(name).copied()
    }

    /// The symbol of literal constants of a type.
    pub(crate) fn literal(&self, of: TypeId) -> SymbolId {
        self.first_literal + of
    }

    /// The symbol of literal constants of the type with that name, else of the whole tree's type.
    pub(crate) fn literal_named(&self, name: &str) -> SymbolId {
        let literals = &self.symbols[self.first_literal as usize..];
        let of = literals.iter().position(|symbol| symbol.name == name);
        self.literal(of.map_or(self.ret, as_id))
    }

    /// Number of types.
    pub(crate) fn n_types(&self) -> usize {
        self.symbols.len() - self.first_literal as usize
    }

    pub(crate) fn symbol(&self, id: SymbolId) -> &Symbol {
        &self.symbols[id as usize]
    }

    pub(crate) fn arity(&self, gene: Gene) -> usize {
        self.symbol(gene.symbol).arity()
    }

    pub(crate) fn ret(&self, gene: Gene) -> TypeId {
        self.symbol(gene.symbol).ret
    }

    /// One past the last node of the subtree that begins at `begin`; the end of the list if the
    /// subtree is incomplete.
    pub(crate) fn end_of(&self, genes: &[Gene], begin: usize) -> usize {
        let mut open = 1;
        let mut end = begin;
        while open > 0 && end < genes.len() {
            open = open + self.arity(genes[end]) - 1;
            end += 1;
        }
        end
    }

    /// Whether the list is exactly one complete tree.
    pub(crate) fn is_tree(&self, genes: &[Gene]) -> bool {
        let mut open = 1;
        for &gene in genes {
            if open == 0 {
                return false;
            }
            open = open + self.arity(gene) - 1;
        }
        open == 0
    }

    /// Depth of the deepest node; the root has depth 0.
    pub(crate) fn height(&self, genes: &[Gene]) -> usize {
        // How many arguments are still to come, for every open primitive above the node.
        let mut open: Vec<usize> = Vec::new();
        let mut height = 0;
        for &gene in genes {
            height = height.max(open.len());
            let arity = self.arity(gene);
            if arity > 0 {
                open.push(arity);
                continue;
            }
            while let Some(last) = open.last_mut() {
                *last -= 1;
                if *last > 0 {
                    break;
                }
                open.pop();
            }
        }
        height
    }
}

/// A count of symbols or types as a number of one; primitive sets are not that large.
pub(crate) fn as_id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
