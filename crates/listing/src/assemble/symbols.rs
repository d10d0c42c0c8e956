//! The names of a program: labels and constants, where they are defined and what they are.
//!
//! A name that starts with a point belongs to the last label without one, as in NASM; where no such
//! name is defined there, the only one of that spelling in the whole text is meant, so that the
//! labels that compilers make up for GNU's assembler work as well. Numeric labels may be defined
//! many times: `1b` is the last one before, `1f` the next one.

use std::collections::HashMap;
use std::ops::Range;

use super::error::{AssembleErrorKind as Kind, Fault, fault, nearest};
use super::expr::{Expr, Step};
use super::names::register;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Definition {
    /// The place before the statement of this number.
    Label(usize),
    /// A value that is computed, in the place before a statement.
    Constant(Expr, usize),
}

#[derive(Debug)]
struct Name {
    spelled: String,
    /// Where it was defined, or if it was not, where it was used first.
    span: Range<usize>,
    definition: Option<Definition>,
}

/// All names of a text.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Name>,
    index: HashMap<String, usize>,
    /// The label that names with a point belong to.
    scope: String,
    /// How often each numeric label was defined so far.
    numeric: HashMap<u64, usize>,
}

impl Names {
    fn intern(&mut self, key: String, spelled: &str, span: &Range<usize>) -> usize {
        *self.index.entry(key).or_insert_with(|| {
            self.names.push(Name {
                spelled: spelled.to_owned(),
                span: span.clone(),
                definition: None,
            });
            self.names.len() - 1
        })
    }

    fn key(&self, spelled: &str) -> String {
        let scope = if spelled.starts_with('.') {
            self.scope.as_str()
        } else {
            ""
        };
        format!("{scope}{spelled}")
    }

    /// The name that a word stands for.
    pub(super) fn refer(&mut self, word: &str, span: &Range<usize>) -> usize {
        let key = self.key(word);
        self.intern(key, word, span)
    }

    /// What digits stand for: a number, or a numeric label.
    pub(super) fn number(
        &mut self,
        value: Option<i128>,
        label: Option<(u64, bool)>,
        span: &Range<usize>,
    ) -> Result<Step, Fault> {
        let Some((number, is_next)) = label else {
            return Ok(Step::Number(value.unwrap_or_default()));
        };
        let n_before = self.numeric.get(&number).copied().unwrap_or(0);
        let which = match (is_next, n_before, value) {
            (true, n, _) => n,
            (false, 0, Some(value)) => return Ok(Step::Number(value)),
            (false, 0, None) => {
                let name = format!("{number}b");
                let nearest = Vec::new();
                return Err(fault(Kind::UnknownName { name, nearest }, span));
            }
            (false, n, _) => n - 1,
        };
        let spelled = format!("{number}{}", if is_next { 'f' } else { 'b' });
        Ok(Step::Name(self.intern(
            format!("{number} {which}"),
            &spelled,
            span,
        )))
    }

    /// Defines the label of a number before a statement.
    pub(super) fn define_numeric(&mut self, number: u64, statement: usize, span: &Range<usize>) {
        let count = self.numeric.entry(number).or_insert(0);
        let key = format!("{number} {count}");
        *count += 1;
        let index = self.intern(key, &number.to_string(), span);
        self.names[index].definition = Some(Definition::Label(statement));
    }

    /// Defines a label or a constant.
    pub(super) fn define(
        &mut self,
        word: &str,
        definition: Definition,
        text: &str,
        span: &Range<usize>,
    ) -> Result<(), Fault> {
        let name = word.to_owned();
        if register(word).is_some() {
            return Err(fault(Kind::Reserved { name }, span));
        }
        if matches!(definition, Definition::Label(_)) && !word.starts_with('.') {
            name.clone_into(&mut self.scope);
        }
        let index = self.refer(word, span);
        let entry = &mut self.names[index];
        if entry.definition.is_some() {
            let line = text[..entry.span.start].matches('\n').count() + 1;
            return Err(fault(Kind::Redefined { name, line }, span));
        }
        entry.definition = Some(definition);
        entry.span = span.clone();
        Ok(())
    }

    /// Finds what every name stands for.
    pub(super) fn resolve(self) -> Result<Symbols, Fault> {
        let mut local: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, name) in self.names.iter().enumerate() {
            if name.spelled.starts_with('.') && name.definition.is_some() {
                local.entry(&name.spelled).or_default().push(index);
            }
        }
        let mut meant = Vec::with_capacity(self.names.len());
        for (index, name) in self.names.iter().enumerate() {
            let elsewhere = local.get(name.spelled.as_str()).map(Vec::as_slice);
            meant.push(match (&name.definition, elsewhere) {
                (Some(_), _) => index,
                (None, Some(&[only])) => only,
                _ => {
                    let defined = self.names.iter().filter(|n| n.definition.is_some());
                    let kind = Kind::UnknownName {
                        name: name.spelled.clone(),
                        nearest: nearest(&name.spelled, defined.map(|n| n.spelled.as_str())),
                    };
                    return Err(fault(kind, &name.span));
                }
            });
        }
        Symbols::new(self.names, meant)
    }
}

/// Names that all stand for something.
#[derive(Debug)]
pub(super) struct Symbols {
    names: Vec<Name>,
    /// For each name the one whose definition counts.
    meant: Vec<usize>,
    /// The constants, each behind those that it needs.
    pub(super) order: Vec<usize>,
    /// Whether the value is the same wherever the code stands and however long it is.
    is_constant: Vec<bool>,
    n_addresses: Vec<i64>,
}

impl Symbols {
    fn new(names: Vec<Name>, meant: Vec<usize>) -> Result<Self, Fault> {
        let mut this = Self {
            is_constant: vec![false; names.len()],
            n_addresses: vec![0; names.len()],
            names,
            meant,
            order: Vec::new(),
        };
        // Depth first, with the path as a stack: 0 is new, 1 is on the path, 2 is done.
        let mut state = vec![0_u8; this.names.len()];
        for root in 0..this.names.len() {
            let mut path = vec![this.meant[root]];
            while let Some(&index) = path.last() {
                if state[index] == 2 {
                    path.pop();
                    continue;
                }
                let needs: Vec<usize> = match &this.names[index].definition {
                    Some(Definition::Constant(expr, _)) => {
                        let steps = expr.steps.iter();
                        steps
                            .filter_map(|step| match step {
                                Step::Name(name) => Some(this.meant[*name]),
                                _ => None,
                            })
                            .collect()
                    }
                    _ => Vec::new(),
                };
                if state[index] == 0 {
                    state[index] = 1;
                    let due = needs.iter().copied().filter(|&name| state[name] != 2);
                    let due: Vec<usize> = due.collect();
                    if let Some(&cycle) = due.iter().find(|&&name| state[name] == 1) {
                        let name = this.names[cycle].spelled.clone();
                        return Err(fault(Kind::Cyclic { name }, &this.names[cycle].span));
                    }
                    path.extend(due);
                } else {
                    state[index] = 2;
                    path.pop();
                    this.finish(index);
                }
            }
        }
        Ok(this)
    }

    fn finish(&mut self, index: usize) {
        match &self.names[index].definition {
            Some(Definition::Constant(expr, _)) => {
                let constant = expr.is_constant(|name| self.is_constant(name));
                let n_addresses = expr.n_addresses(|name| self.n_addresses(name));
                self.is_constant[index] = constant;
                self.n_addresses[index] = n_addresses;
                self.order.push(index);
            }
            Some(Definition::Label(_)) => self.n_addresses[index] = 1,
            None => {}
        }
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name that a mention means.
    pub(super) fn meant(&self, index: usize) -> usize {
        self.meant[index]
    }

    /// What a name is defined as.
    pub(super) fn definition(&self, index: usize) -> Option<&Definition> {
        self.names[self.meant[index]].definition.as_ref()
    }

    /// Whether its value is the same wherever the code stands and however long it is.
    pub(super) fn is_constant(&self, index: usize) -> bool {
        self.is_constant[self.meant[index]]
    }

    /// 1 for a label or the like, 0 for a number.
    pub(super) fn n_addresses(&self, index: usize) -> i64 {
        self.n_addresses[self.meant[index]]
    }
}
