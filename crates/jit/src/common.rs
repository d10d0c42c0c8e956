//! What the trees of a generation have in common, and the trees without it.
//!
//! Trees of a search come from each other, so the same subtrees come again and again: in runs of
//! tree GP, half of all quotients and functions are such that another tree, or the same one, computes
//! them too. Of every subtree that ends in one of these, the walk over its tree makes a number; equal
//! numbers are one class, and the subtrees of classes of which it pays become leaves, if their nodes are
//! equal, too.
//!
//! ```text
//! trees ─ walk ─▶ subtrees found ─ classify ─▶ classes ─ choose ─▶ columns
//!       ─ rewrite ─▶ definitions, which may read columns of earlier ones, and trees
//! ```
//! Which node is next in a tree cannot be predicted, so the walk has no branch that depends on it:
//! every node writes what is kept of subtrees, and what is not kept is written over.
//!
//! # Invariants
//! - Of one tree, found subtrees lie in the order of their ends, so those inside one are just before
//!   it, and an inner class is older than the class around it.
//! - Replacing a subtree by a leaf leaves a tree.

use std::cmp::Reverse;
use std::hint::select_unpredictable as select;
use std::ops::{Range, RangeInclusive};

use opcodon_expr::{Node, Op};

use crate::crew::share_out;
use crate::direct::{bits, column, kind};
use crate::tape::index;

/// The functions of one argument that are worth sharing, and about how many divisions each takes as long
/// as; of a constant, they are constants.
pub(crate) const FUNCTIONS: &[(Op, u8)] = &[
    (Op::Inv, 1),
    (Op::Sqrt, 1),
    (Op::Psqrt, 1),
    (Op::Cbrt, 3),
    (Op::Exp, 3),
    (Op::Expm1, 3),
    (Op::Log, 3),
    (Op::Log2, 3),
    (Op::Log10, 3),
    (Op::Log1p, 3),
    (Op::Plog, 3),
    (Op::Sin, 3),
    (Op::Cos, 3),
    (Op::Tan, 3),
    (Op::Asin, 3),
    (Op::Acos, 3),
    (Op::Atan, 3),
    (Op::Sinh, 3),
    (Op::Cosh, 3),
    (Op::Tanh, 3),
    (Op::Sigmoid, 3),
    (Op::Erf, 3),
];

/// What else is worth it. The rest takes about as long as reading a column does.
const OF_TWO: &[(Op, u8)] = &[
    (Op::Div, 1),
    (Op::Pow, 5),
    (Op::Atan2, 5),
    (Op::Mod, 5),
    (Op::Aq, 1),
    (Op::Pdiv, 1),
];

/// Most columns that are added: more would not stay in a cache near the core.
const MAX_SHARED: usize = 160;

/// Most columns that trees can read and still go the short way through the compiler.
const MAX_COLUMNS: usize = 240;

/// Fewest trees for a thread.
pub(crate) const MIN_SHARE: usize = 64;

/// Longer trees are left as they are.
const MAX_NODES: usize = 1024;

/// Bytes of a column for which reading a definition costs as much as dividing once: where columns are
/// shorter, more has to be saved.
const DEFINITION_BYTES: usize = 8192;

/// What is asked about a kind of node.
#[derive(Clone, Copy)]
struct Kind {
    arity: u8,
    /// About how many divisions it takes as long as, if it is worth sharing.
    weight: u8,
    /// Of functions of one argument their place among them.
    function: u8,
}

/// By [`kind`].
static KINDS: [Kind; 256] = {
    const NONE: Kind = Kind {
        arity: 0,
        weight: 0,
        function: u8::MAX,
    };
    let mut kinds = [NONE; 256];
    let mut k = 0;
    while k < Op::ALL.len() {
        #[expect(clippy::cast_possible_truncation, reason = "at most three")]
        let arity = Op::ALL[k].arity() as u8;
        kinds[k].arity = arity;
        k += 1;
    }
    let mut k = 0;
    while k < FUNCTIONS.len() {
        let (op, weight) = FUNCTIONS[k];
        kinds[op as usize].weight = weight;
        #[expect(clippy::cast_possible_truncation, reason = "functions are few")]
        let function = k as u8;
        kinds[op as usize].function = function;
        k += 1;
    }
    let mut k = 0;
    while k < OF_TWO.len() {
        let (op, weight) = OF_TWO[k];
        kinds[op as usize].weight = weight;
        k += 1;
    }
    kinds
};

/// A subtree that may be worth sharing.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// Equal for equal subtrees, and hardly ever for others.
    number: u64,
    /// Its first node, and in the upper half how many found ones there were before that: those from
    /// there on lie inside.
    begin: u64,
    /// Its last node.
    end: u32,
    /// Its class, or with [`CONSTANT`] the place of its value among those of its function.
    is: u32,
}

const CONSTANT: u32 = 1 << 31;

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
impl Found {
    fn nodes(&self) -> RangeInclusive<usize> {
        self.begin as u32 as usize..=self.end as usize
    }

    fn inside_from(&self) -> u32 {
        (self.begin >> 32) as u32
    }
}

/// Subtrees of one number.
#[derive(Clone, Copy, Debug)]
struct Class {
    number: u64,
    /// The first of them, and its tree.
    first: u32,
    tree: u32,
    count: u32,
    /// The column that the first became.
    column: u32,
}

const NO_COLUMN: u32 = u32::MAX;

/// A value on the stack of the walk, as in [`Found`].
#[derive(Clone, Copy, Debug, Default)]
struct Value {
    number: u64,
    begin: u64,
}

/// Trees one after the other.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    nodes: Vec<Node>,
    ends: Vec<usize>,
}

impl Trees {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Node]> + Clone {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        (starts.zip(&self.ends)).map(|(start, &end)| &self.nodes[start..end])
    }

    fn clear(&mut self) {
        self.nodes.clear();
        self.ends.clear();
    }
}

/// Values that wait for their operator; the first three are room for operands that a leaf has not.
#[derive(Debug)]
struct Stack(Box<[Value; STACK]>);

/// A power of two, above what [`MAX_NODES`] nodes take.
const STACK: usize = 2 * MAX_NODES;

impl Default for Stack {
    fn default() -> Self {
        Self(Box::new([Value::default(); STACK]))
    }
}

/// Walks over trees and writes down what is found.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// The first `n_found` of these; the others are room.
    found: Vec<Found>,
    n_found: usize,
    /// Where the found ones of each tree end.
    found_ends: Vec<usize>,
    stack: Stack,
}

/// What is found in the trees of a generation, and what is made of it. Kept for its memory.
#[derive(Debug, Default)]
pub(crate) struct Common {
    found: Finder,
    /// For the other shares of the trees, if several threads look.
    others: Vec<Finder>,
    classes: Vec<Class>,
    /// One more than the class, by its number, else 0.
    table: Vec<u32>,
    /// By function, the constants that it is applied to, then the values.
    pub(crate) constants: Vec<Vec<f64>>,
    pub(crate) definitions: Trees,
}

/// Trees with leaves in the place of what they have in common.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) trees: Trees,
    /// Found ones that are replaced in one tree.
    replaced: Vec<u32>,
}

impl Finder {
    fn clear(&mut self) {
        self.n_found = 0;
        self.found_ends.clear();
    }

    /// What was found, in the order of the trees.
    fn all(&self) -> &[Found] {
        &self.found[..self.n_found]
    }

    /// Takes over what another one found in the trees that follow.
    fn append(&mut self, other: &Finder) {
        let first = self.n_found;
        self.found.truncate(first);
        let shift = (first as u64) << 32;
        let shifted = |found: &Found| Found {
            begin: found.begin + shift,
            ..*found
        };
        self.found.extend(other.all().iter().map(shifted));
        self.n_found = self.found.len();
        self.found_ends
            .extend(other.found_ends.iter().map(|end| first + end));
    }

    /// Finds the subtrees of trees, up to one that reads an input that does not exist; whether there is
    /// none such.
    fn find<const DEEP: bool>(&mut self, trees: &[&[Node]], n_inputs: usize) -> bool {
        trees.iter().all(|tree| self.walk::<DEEP>(tree) <= n_inputs)
    }

    /// Finds the subtrees of the next tree, those of leaves only or `DEEP` ones, too; gives one more than
    /// the highest input that it reads.
    fn walk<const DEEP: bool>(&mut self, tree: &[Node]) -> usize {
        if tree.len() > MAX_NODES {
            self.found_ends.push(self.n_found);
            let n_columns = tree.iter().map(|node| column(*node)).max();
            return usize::try_from(n_columns.unwrap_or(0)).unwrap_or(usize::MAX);
        }
        let mut n = self.n_found;
        if self.found.len() < n + tree.len() {
            let room = 2 * (n + tree.len());
            self.found.resize(room, Found::default());
        }
        let found = &mut self.found[..n + tree.len()];
        let stack = &mut self.stack.0;
        let (mut top, mut n_columns) = (3, 0);
        // Without a stack: the last two nodes, and how many leaves are the last ones.
        let (mut last, mut before, mut n_leaves) = (0u64, 0u64, 0u8);
        for (node, end) in tree.iter().zip(0u32..) {
            let kind = kind(*node);
            let Kind { arity, weight, .. } = KINDS[usize::from(kind)];
            let is_dear = weight > 0;
            let column = column(*node);
            n_columns = n_columns.max(column);
            let content = bits(*node) ^ column << 8 ^ u64::from(kind) << 40;
            let (is_operator, is_binary) = (arity > 0, arity > 1);
            let leaf = u64::from(end) | (n as u64) << 32;
            let (a, b) = if DEEP {
                (stack[(top - 2) % STACK], stack[(top - 1) % STACK])
            } else {
                let first = leaf - u64::from(arity);
                let value = |number| Value {
                    number,
                    begin: first,
                };
                (value(before), value(last))
            };
            let mut number = content
                ^ select(is_operator, b.number.rotate_left(23), 0)
                ^ select(is_binary, a.number.rotate_left(41), 0);
            let mut begin = select(is_operator, b.begin, leaf);
            begin = select(is_binary, a.begin, begin);
            if DEEP && arity == 3 {
                let first = stack[(top - 3) % STACK];
                number ^= first.number.rotate_left(7);
                begin = first.begin;
            }
            // Odd, and without a pattern.
            number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            number ^= number >> 32;
            let place = &mut found[n];
            (place.number, place.begin, place.end) = (number, begin, end);
            if DEEP {
                n += usize::from(is_dear);
                top -= usize::from(arity);
                stack[top % STACK] = Value { number, begin };
                top += 1;
            } else {
                n += usize::from(is_dear & (n_leaves >= arity));
                n_leaves = select(is_operator, 0, n_leaves.saturating_add(1));
                (before, last) = (last, number);
            }
        }
        self.n_found = n;
        self.found_ends.push(n);
        usize::try_from(n_columns).unwrap_or(usize::MAX)
    }
}

impl Common {
    /// Forgets what was found, and finds the subtrees of all trees, those of leaves only or `deep` ones,
    /// too; whether all trees read only inputs that exist.
    pub(crate) fn find(
        &mut self,
        trees: &[&[Node]],
        n_inputs: usize,
        deep: bool,
        n_threads: usize,
    ) -> bool {
        self.classes.clear();
        self.constants.resize_with(FUNCTIONS.len(), Vec::new);
        self.constants.iter_mut().for_each(Vec::clear);
        self.definitions.clear();
        let n_shares = n_threads.min(trees.len() / MIN_SHARE).max(1);
        let shares = trees.chunks(trees.len().div_ceil(n_shares).max(1));
        let n_finders = self.others.len().max(n_shares - 1);
        self.others.resize_with(n_finders, Finder::default);
        let finders = std::iter::once(&mut self.found).chain(&mut self.others);
        let parts = finders.zip(shares).collect();
        let is_found = share_out(
            n_threads,
            parts,
            |(finder, trees): (&mut Finder, &[&[Node]])| {
                finder.clear();
                match deep {
                    true => finder.find::<true>(trees, n_inputs),
                    false => finder.find::<false>(trees, n_inputs),
                }
            },
        );
        for other in &self.others[..is_found.len() - 1] {
            self.found.append(other);
        }
        is_found.into_iter().all(|is_found| is_found)
    }

    /// Sorts what was found in the trees into classes and constants.
    pub(crate) fn classify(&mut self, trees: &[&[Node]]) {
        let mask = (2 * self.found.n_found).next_power_of_two() - 1;
        self.table.clear();
        self.table.resize(mask + 1, 0);
        let mut first = 0;
        for (tree, (nodes, &end)) in (0..).zip(trees.iter().zip(&self.found.found_ends)) {
            for place in first..end {
                let found = &mut self.found.found[place];
                if let [Node::Const(value), function] = nodes[found.nodes()] {
                    let function = KINDS[usize::from(kind(function))].function;
                    let constants = &mut self.constants[usize::from(function)];
                    found.is = CONSTANT | index(constants.len());
                    constants.push(value);
                    continue;
                }
                let number = found.number;
                #[expect(clippy::cast_possible_truncation, reason = "is masked")]
                let mut slot = number as usize & mask;
                found.is = loop {
                    match self.table[slot].checked_sub(1) {
                        Some(class) if self.classes[class as usize].number == number => {
                            self.classes[class as usize].count += 1;
                            break class;
                        }
                        Some(_) => slot = (slot + 1) & mask,
                        None => {
                            let class = index(self.classes.len());
                            self.classes.push(Class {
                                number,
                                first: index(place),
                                tree,
                                count: 1,
                                column: NO_COLUMN,
                            });
                            self.table[slot] = class + 1;
                            break class;
                        }
                    }
                };
            }
            first = end;
        }
    }

    /// How much sharing would save, in divisions, and how much of that needs the stack.
    pub(crate) fn saved(&self, trees: &[&[Node]]) -> (usize, usize) {
        let (mut all, mut deep) = (0, 0);
        for class in self.classes.iter().filter(|class| class.count > 1) {
            let saved = (class.count as usize - 1) * self.weight(class, trees);
            let n_nodes = self.found.found[class.first as usize].nodes().count();
            all += saved;
            deep += if n_nodes > 3 { saved } else { 0 };
        }
        (all, deep)
    }

    /// Chooses the classes that save most over columns of so many bytes, and gives their number; they
    /// become the columns from `first` on.
    pub(crate) fn choose(&mut self, trees: &[&[Node]], first: usize, n_bytes: usize) -> usize {
        let least = 1 + DEFINITION_BYTES / n_bytes.max(1);
        let mut chosen: Vec<(usize, u32)> = Vec::new();
        for (class, number) in self.classes.iter().zip(0..) {
            if class.count == 1 {
                continue;
            }
            let found = self.found.found[class.first as usize];
            let n_inside = (class.first - found.inside_from()) as usize;
            let weight = self.weight(class, trees) + n_inside;
            let saved = (class.count as usize - 1) * weight;
            if saved >= least && !self.is_part_of_a_class(class) {
                chosen.push((saved, number));
            }
        }
        chosen.sort_unstable_by_key(|&(saved, number)| (Reverse(saved), number));
        chosen.truncate(MAX_SHARED.min(MAX_COLUMNS.saturating_sub(first)));
        chosen.sort_unstable_by_key(|&(_, number)| number);
        for (&(_, number), column) in chosen.iter().zip(first..) {
            self.classes[number as usize].column = index(column);
        }
        chosen.len()
    }

    /// What the last operator of a class weighs.
    fn weight(&self, class: &Class, trees: &[&[Node]]) -> usize {
        let end = self.found.found[class.first as usize].end;
        let root = kind(trees[class.tree as usize][end as usize]);
        usize::from(KINDS[usize::from(root)].weight)
    }

    /// Whether all of a class lie in subtrees of another one, each in one of its own.
    fn is_part_of_a_class(&self, class: &Class) -> bool {
        let after = class.first as usize + 1;
        let end = self.found.found_ends[class.tree as usize];
        let mut around = self.found.found[after..end].iter();
        let around = around.find(|found| found.inside_from() <= class.first);
        around.is_some_and(|found| self.classes[found.is as usize].count == class.count)
    }

    /// Writes down the definitions of what was chosen.
    pub(crate) fn define(&mut self, trees: &[&[Node]]) {
        let mut definitions = Rewritten {
            trees: std::mem::take(&mut self.definitions),
            ..Rewritten::default()
        };
        for class in self
            .classes
            .iter()
            .filter(|class| class.column != NO_COLUMN)
        {
            let found = self.found.found[class.first as usize];
            let inside = found.inside_from() as usize..class.first as usize;
            let nodes = &trees[class.tree as usize][..=found.end as usize];
            let start = *found.nodes().start();
            self.replace(trees, nodes, start, inside, &mut definitions);
        }
        self.definitions = definitions.trees;
    }

    /// Writes down some of the trees, with leaves in the place of what was chosen.
    pub(crate) fn rewrite(&self, trees: &[&[Node]], some: Range<usize>, out: &mut Rewritten) {
        out.trees.clear();
        for tree in some {
            let first = match tree {
                0 => 0,
                _ => self.found.found_ends[tree - 1],
            };
            let found = first..self.found.found_ends[tree];
            self.replace(trees, trees[tree], 0, found, out);
        }
    }

    /// Appends the nodes from `start` on; what of these found subtrees is a column or a constant is
    /// replaced, the outermost of them.
    fn replace(
        &self,
        trees: &[&[Node]],
        nodes: &[Node],
        start: usize,
        found: Range<usize>,
        out: &mut Rewritten,
    ) {
        let Rewritten {
            trees: out,
            replaced,
        } = out;
        replaced.clear();
        let mut place = found.end;
        while place > found.start {
            place -= 1;
            if self.is_leaf(place, nodes, trees) {
                replaced.push(index(place));
                place = self.found.found[place].inside_from() as usize;
            }
        }
        let mut copied = start;
        for &place in replaced.iter().rev() {
            let found = self.found.found[place as usize];
            let Found { end, is, .. } = found;
            out.nodes
                .extend_from_slice(&nodes[copied..*found.nodes().start()]);
            out.nodes.push(if is & CONSTANT != 0 {
                let function = KINDS[usize::from(kind(nodes[end as usize]))].function;
                Node::Const(self.constants[usize::from(function)][(is & !CONSTANT) as usize])
            } else {
                Node::Var(self.classes[is as usize].column)
            });
            copied = end as usize + 1;
        }
        out.nodes.extend_from_slice(&nodes[copied..]);
        out.ends.push(out.nodes.len());
    }

    /// Whether a found subtree of this tree is a constant or a column.
    fn is_leaf(&self, place: usize, nodes: &[Node], trees: &[&[Node]]) -> bool {
        let found = self.found.found[place];
        let is = found.is;
        if is & CONSTANT != 0 {
            return true;
        }
        let Class {
            first,
            tree,
            column,
            ..
        } = self.classes[is as usize];
        if column == NO_COLUMN {
            return false;
        }
        // The number was the same; only now it counts that the nodes are.
        let defined = self.found.found[first as usize].nodes();
        are_same(&nodes[found.nodes()], &trees[tree as usize][defined])
    }
}

/// Whether nodes are equal to the bit, without a branch a node.
fn are_same(a: &[Node], b: &[Node]) -> bool {
    let differ = |(a, b): (&Node, &Node)| {
        (bits(*a) ^ bits(*b)) | (column(*a) ^ column(*b)) | u64::from(kind(*a) ^ kind(*b))
    };
    a.len() == b.len() && a.iter().zip(b).map(differ).fold(0, |all, one| all | one) == 0
}
