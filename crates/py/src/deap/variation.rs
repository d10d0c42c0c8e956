//! Making trees and making trees from trees: DEAP's operators on arrays of genes.
//!
//! Each function does what the function of the same name in `deap.gp` does – the same choices with
//! the same probabilities – but not with the same random numbers, and on symbol numbers instead of
//! Python objects. Ephemeral constants have no value yet when a function returns: only Python can
//! draw it (see `Vocabulary::draw`).
//!
//! Source: `deap/gp.py` of DEAP 1.4.

use opcodon_evo::Rng;

use super::grammar::{Gene, Grammar, Kind, SymbolId, TypeId};

/// How far branches of a new tree grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Every leaf is as deep as the tree is high.
    Full,
    /// A branch may end anywhere between the least depth and the height.
    Grow,
    /// One of the two, with the same probability.
    HalfAndHalf,
}

/// Why a tree could not be made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dead {
    /// No terminal is of that type.
    NoTerminal(TypeId),
    /// No primitive returns that type.
    NoPrimitive(TypeId),
    /// The least height is greater than the greatest.
    EmptyRange,
    /// The tree outgrew any sensible size.
    TooLarge,
}

/// More nodes than that are a mistake in the heights asked for.
const MAX_NODES: usize = 1 << 26;

/// A new tree whose height lies in `least..=greatest`.
pub(crate) fn generate(
    grammar: &Grammar,
    shape: Shape,
    least: usize,
    greatest: usize,
    of: TypeId,
    rng: &mut Rng,
) -> Result<Vec<Gene>, Dead> {
    if least > greatest {
        return Err(Dead::EmptyRange);
    }
    let grow = match shape {
        Shape::Full => false,
        Shape::Grow => true,
        Shape::HalfAndHalf => rng.bool(0.5),
    };
    let height = rng.range(least, greatest);
    let mut genes = Vec::new();
    let mut open = vec![(0, of)];
    while let Some((depth, of)) = open.pop() {
        let ends = depth == height || grow && depth >= least && rng.bool(grammar.terminal_ratio);
        if ends {
            let list = grammar
                .terminals
                .get(of as usize)
                .map_or(&[][..], Vec::as_slice);
            genes.push(Gene::new(*rng.choose(list).ok_or(Dead::NoTerminal(of))?));
        } else {
            let list = grammar
                .primitives
                .get(of as usize)
                .map_or(&[][..], Vec::as_slice);
            let primitive = *rng.choose(list).ok_or(Dead::NoPrimitive(of))?;
            genes.push(Gene::new(primitive));
            open.extend(
                grammar
                    .symbol(primitive)
                    .args
                    .iter()
                    .rev()
                    .map(|&arg| (depth + 1, arg)),
            );
        }
        if genes.len() + open.len() > MAX_NODES {
            return Err(Dead::TooLarge);
        }
    }
    Ok(genes)
}

/// A node of each tree, of one type, at which the trees exchange subtrees; never the root.
/// `None` if there is no such pair.
pub(crate) fn crossover_points(
    grammar: &Grammar,
    a: &[Gene],
    b: &[Gene],
    rng: &mut Rng,
) -> Option<(usize, usize)> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    if grammar.ret(a[0]) == grammar.untyped {
        return Some((rng.range(1, a.len() - 1), rng.range(1, b.len() - 1)));
    }
    typed_points(grammar, a, b, |_| true, |_| true, rng)
}

/// As [`crossover_points`], but each point is a terminal with probability `terminal_share` and a
/// primitive otherwise.
pub(crate) fn leaf_biased_points(
    grammar: &Grammar,
    a: &[Gene],
    b: &[Gene],
    terminal_share: f64,
    rng: &mut Rng,
) -> Option<(usize, usize)> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let (leaf_a, leaf_b) = (rng.bool(terminal_share), rng.bool(terminal_share));
    let is_leaf = |gene| grammar.arity(gene) == 0;
    typed_points(
        grammar,
        a,
        b,
        |gene| is_leaf(gene) == leaf_a,
        |gene| is_leaf(gene) == leaf_b,
        rng,
    )
}

fn typed_points(
    grammar: &Grammar,
    a: &[Gene],
    b: &[Gene],
    fits_a: impl Fn(Gene) -> bool,
    fits_b: impl Fn(Gene) -> bool,
    rng: &mut Rng,
) -> Option<(usize, usize)> {
    let mut counts = vec![[0_usize; 2]; grammar.n_types()];
    for &gene in a[1..].iter().filter(|gene| fits_a(**gene)) {
        counts[grammar.ret(gene) as usize][0] += 1;
    }
    for &gene in b[1..].iter().filter(|gene| fits_b(**gene)) {
        counts[grammar.ret(gene) as usize][1] += 1;
    }
    let common: Vec<usize> = (0..counts.len())
        .filter(|&of| counts[of][0] > 0 && counts[of][1] > 0)
        .collect();
    let of = *rng.choose(&common)?;
    let [n_a, n_b] = counts[of];
    let nth = |genes: &[Gene], fits: &dyn Fn(Gene) -> bool, n: usize| {
        (1..genes.len())
            .filter(|&at| fits(genes[at]) && grammar.ret(genes[at]) as usize == of)
            .nth(n)
    };
    Some((
        nth(a, &fits_a, rng.below(n_a))?,
        nth(b, &fits_b, rng.below(n_b))?,
    ))
}

/// The two children that arise when the subtrees at `at_a` and `at_b` change places.
pub(crate) fn exchange(
    grammar: &Grammar,
    a: &[Gene],
    b: &[Gene],
    (at_a, at_b): (usize, usize),
) -> (Vec<Gene>, Vec<Gene>) {
    let part_a = at_a..grammar.end_of(a, at_a);
    let part_b = at_b..grammar.end_of(b, at_b);
    let child_a = [&a[..part_a.start], &b[part_b.clone()], &a[part_a.end..]].concat();
    let child_b = [&b[..part_b.start], &a[part_a], &b[part_b.end..]].concat();
    (child_a, child_b)
}

/// One node, not the root, becomes another with the same arguments.
pub(crate) fn replace_node(
    grammar: &Grammar,
    genes: &mut [Gene],
    rng: &mut Rng,
) -> Result<(), Dead> {
    if genes.len() < 2 {
        return Ok(());
    }
    let at = rng.range(1, genes.len() - 1);
    let old = grammar.symbol(genes[at].symbol);
    let of = old.ret;
    genes[at] = if old.arity() == 0 {
        let list = grammar
            .terminals
            .get(of as usize)
            .map_or(&[][..], Vec::as_slice);
        Gene::new(*rng.choose(list).ok_or(Dead::NoTerminal(of))?)
    } else {
        let list = grammar
            .primitives
            .get(of as usize)
            .map_or(&[][..], Vec::as_slice);
        let alike: Vec<SymbolId> = list
            .iter()
            .copied()
            .filter(|&id| grammar.symbol(id).args == old.args)
            .collect();
        Gene::new(*rng.choose(&alike).ok_or(Dead::NoPrimitive(of))?)
    };
    Ok(())
}

/// One ephemeral constant, or all of them, lose their values and are to be drawn anew.
pub(crate) fn forget_ephemerals(grammar: &Grammar, genes: &mut [Gene], all: bool, rng: &mut Rng) {
    let places: Vec<usize> = (0..genes.len())
        .filter(|&at| grammar.symbol(genes[at].symbol).kind == Kind::Ephemeral)
        .collect();
    if all {
        for at in places {
            genes[at] = Gene::new(genes[at].symbol);
        }
    } else if let Some(&at) = rng.choose(&places) {
        genes[at] = Gene::new(genes[at].symbol);
    }
}

/// A new primitive comes between a node and what was above it; its other arguments are terminals.
pub(crate) fn insert_node(
    grammar: &Grammar,
    genes: &mut Vec<Gene>,
    rng: &mut Rng,
) -> Result<(), Dead> {
    if genes.is_empty() {
        return Ok(());
    }
    let at = rng.below(genes.len());
    let end = grammar.end_of(genes, at);
    let of = grammar.ret(genes[at]);
    let list = grammar
        .primitives
        .get(of as usize)
        .map_or(&[][..], Vec::as_slice);
    let fitting: Vec<SymbolId> = list
        .iter()
        .copied()
        .filter(|&id| grammar.symbol(id).args.contains(&of))
        .collect();
    let Some(&primitive) = rng.choose(&fitting) else {
        return Ok(());
    };
    let args = &grammar.symbol(primitive).args;
    let places: Vec<usize> = (0..args.len()).filter(|&place| args[place] == of).collect();
    let Some(&place) = rng.choose(&places) else {
        return Ok(());
    };
    let mut branch = vec![Gene::new(primitive)];
    for (index, &arg) in args.iter().enumerate() {
        if index == place {
            branch.extend_from_slice(&genes[at..end]);
        } else {
            let list = grammar
                .terminals
                .get(arg as usize)
                .map_or(&[][..], Vec::as_slice);
            branch.push(Gene::new(*rng.choose(list).ok_or(Dead::NoTerminal(arg))?));
        }
    }
    genes.splice(at..end, branch);
    Ok(())
}

/// One primitive, not the root, gives way to one of its arguments.
pub(crate) fn shrink(grammar: &Grammar, genes: &mut Vec<Gene>, rng: &mut Rng) {
    if genes.len() < 3 || grammar.height(genes) <= 1 {
        return;
    }
    let shrinkable: Vec<usize> = (1..genes.len())
        .filter(|&at| {
            let symbol = grammar.symbol(genes[at].symbol);
            symbol.args.contains(&symbol.ret)
        })
        .collect();
    let Some(&at) = rng.choose(&shrinkable) else {
        return;
    };
    let symbol = grammar.symbol(genes[at].symbol);
    let places: Vec<usize> = (0..symbol.arity())
        .filter(|&place| symbol.args[place] == symbol.ret)
        .collect();
    let Some(&place) = rng.choose(&places) else {
        return;
    };
    let mut begin = at + 1;
    for _ in 0..place {
        begin = grammar.end_of(genes, begin);
    }
    let argument = begin.min(genes.len())..grammar.end_of(genes, begin);
    let branch = genes[argument].to_vec();
    let end = grammar.end_of(genes, at);
    genes.splice(at..end, branch);
}

/// Translates genes of one grammar into those of another by the names of their symbols. The name
/// of the first symbol that the other grammar lacks is the error.
pub(crate) fn translate(genes: &[Gene], from: &Grammar, to: &Grammar) -> Result<Vec<Gene>, String> {
    genes
        .iter()
        .map(|&gene| {
            let old = from.symbol(gene.symbol);
            let symbol = match old.kind {
                Kind::Literal => Some(to.literal_named(&old.name)),
                _ => to.by_name(&old.name).filter(|&id| {
                    to.symbol(id).arity() == old.arity() && same_sort(to.symbol(id).kind, old.kind)
                }),
            };
            symbol
                .map(|symbol| Gene {
                    symbol,
                    value: gene.value,
                })
                .ok_or_else(|| old.name.clone())
        })
        .collect()
}

/// Whether a gene of the one kind may become a gene of the other: the one has a value of its own
/// exactly if the other has.
fn same_sort(a: Kind, b: Kind) -> bool {
    (a == Kind::Ephemeral) == (b == Kind::Ephemeral)
}
