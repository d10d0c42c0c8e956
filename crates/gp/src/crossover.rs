//! Children of two parents: a subtree of the first is replaced by one of the second.
//!
//! A donor subtree is drawn uniformly among those that fit, not drawn first and then rejected
//! with the whole child, so limits do not make children into copies.
//!
//! Sources: Koza, "Genetic Programming", 1992 (subtree crossover, 90 % internal nodes). Langdon,
//! "Size fair and homologous tree crossovers for tree genetic programming", GPEM 1(1/2), 2000.
//! Poli, Langdon, "Schema theory for genetic programming with one-point crossover and point
//! mutation", Evolutionary Computation 6(3), 1998.

use std::ops::Range;

use opcodon_evo::Rng;
use opcodon_expr::Expr;

use crate::gap::Gap;
use crate::limits::Limits;
use crate::points::{pick, pick_internal, pick_leaf, read_arities, sizes_into, span, splice};
use crate::workspace::Workspace;

/// Subtree crossover. Each point is an internal node with probability `internal`. `None` if the
/// first parent is beyond the limits in a way that no exchange repairs.
pub fn subtree(
    rng: &mut Rng,
    space: &mut Workspace,
    limits: Limits,
    mother: &Expr,
    father: &Expr,
    internal: f64,
) -> Option<Expr> {
    let gap = Gap::choose(rng, space, limits, mother, father.len(), internal)?;
    read_arities(father.nodes(), &mut space.father);
    let donor = donor(rng, space, &gap, internal);
    gap.fill(limits, mother, father, donor)
}

/// A subtree of the second parent that fits: internal with probability `internal`, if one fits,
/// else a leaf.
fn donor(rng: &mut Rng, space: &mut Workspace, gap: &Gap, internal: f64) -> Range<usize> {
    let Workspace {
        father: arities,
        sizes,
        stack,
        ..
    } = space;
    if rng.bool(internal) {
        // A few draws among all internal nodes nearly always find one that fits; drawing until
        // one fits is drawing uniformly among those that fit.
        for _ in 0..4 {
            let Some(point) = pick_internal(rng, arities) else {
                break;
            };
            let range = span(arities, point);
            if gap.takes(&arities[range.clone()], stack) {
                return range;
            }
        }
        sizes_into(arities, sizes, stack);
        let range = |end: usize| end + 1 - sizes[end] as usize..end + 1;
        let fitting: Vec<usize> = (0..arities.len())
            .filter(|&i| arities[i] > 0 && gap.takes(&arities[range(i)], stack))
            .collect();
        if let Some(&point) = rng.choose(&fitting) {
            return range(point);
        }
    }
    // Leaves always fit.
    let leaf = pick_leaf(rng, arities);
    leaf..leaf + 1
}

/// Langdon's size-fair crossover: what comes is at most twice as large as what goes, plus one, and
/// on average of equal size, so crossover by itself does not make trees grow.
pub fn size_fair(
    rng: &mut Rng,
    space: &mut Workspace,
    limits: Limits,
    mother: &Expr,
    father: &Expr,
    internal: f64,
) -> Option<Expr> {
    let gap = Gap::choose(rng, space, limits, mother, father.len(), internal)?;
    let Workspace {
        father: arities,
        sizes,
        stack,
        ..
    } = space;
    read_arities(father.nodes(), arities);
    sizes_into(arities, sizes, stack);
    // A mother beyond the size limit may have to lose more than she can get.
    let gone = as_size(gap.range.len().min(gap.max_size));
    let largest = as_size(gap.max_size).min(gone.saturating_mul(2).saturating_add(1));
    // How many donors are smaller, equal and larger, and by how much in all.
    let (mut smaller, mut equal, mut larger) = (0u32, 0u32, 0u32);
    let (mut deficit, mut excess) = (0u64, 0u64);
    for &size in sizes.iter() {
        // Masks instead of branches, which would be mispredicted.
        let (less, more) = (
            u32::from(size < gone),
            u32::from(size > gone && size <= largest),
        );
        smaller += less;
        larger += more;
        equal += u32::from(size == gone);
        deficit += u64::from(gone.wrapping_sub(size) * less);
        excess += u64::from(size.wrapping_sub(gone) * more);
    }
    let sizes_of = [(1, gone - 1), (gone, gone), (gone + 1, largest)];
    // A donor of the right size may be too deep: then another one, in the end a leaf.
    for _ in 0..4 {
        let kind = if smaller > 0 && larger > 0 {
            let p_equal = if equal > 0 {
                1.0 / f64::from(gone)
            } else {
                0.0
            };
            // The shares of smaller and larger are as the mean differences of the others, so that
            // the expected difference is 0.
            let mean_deficit = deficit as f64 / f64::from(smaller);
            let mean_excess = excess as f64 / f64::from(larger);
            let p_larger = mean_deficit / (mean_deficit + mean_excess);
            if rng.bool(p_equal) {
                1
            } else {
                2 * usize::from(rng.bool(p_larger))
            }
        } else if equal > 0 {
            1
        } else {
            2 * usize::from(larger > 0)
        };
        let (low, high) = sizes_of[kind];
        let donor = pick(rng, sizes, |size| (low..=high).contains(&size));
        let Some(donor) = donor.map(|end| end + 1 - sizes[end] as usize..end + 1) else {
            break;
        };
        if gap.takes(&arities[donor.clone()], stack) {
            return gap.fill(limits, mother, father, donor);
        }
    }
    let leaf = pick_leaf(rng, arities);
    gap.fill(limits, mother, father, leaf..leaf + 1)
}

/// A number of nodes as it stands in tables of sizes.
fn as_size(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// One-point crossover: the point is at the same place in both parents, inside the region around
/// the root where their arities agree. `None` if there is no such place below the root.
pub fn one_point(
    rng: &mut Rng,
    space: &mut Workspace,
    limits: Limits,
    mother: &Expr,
    father: &Expr,
) -> Option<Expr> {
    let Workspace {
        mother: a,
        father: b,
        mother_sizes,
        sizes,
        pairs,
        stack,
        ..
    } = space;
    read_arities(mother.nodes(), a);
    read_arities(father.nodes(), b);
    sizes_into(a, mother_sizes, stack);
    sizes_into(b, sizes, stack);
    pairs.clear();
    pairs.push((a.len() - 1, b.len() - 1));
    // The list of pairs is its own queue.
    let mut next = 0;
    while let Some(&(i, j)) = pairs.get(next) {
        next += 1;
        if a[i] == b[j] {
            let (mut end_a, mut end_b) = (i, j);
            for _ in 0..a[i] {
                pairs.push((end_a - 1, end_b - 1));
                end_a -= mother_sizes[end_a - 1] as usize;
                end_b -= sizes[end_b - 1] as usize;
            }
        }
    }
    let range = |end: usize, sizes: &[u32]| end + 1 - sizes[end] as usize..end + 1;
    pairs.swap_remove(0);
    pairs.retain(|&(i, j)| {
        a.len() - mother_sizes[i] as usize + sizes[j] as usize <= limits.max_size
    });
    let &(i, j) = rng.choose(pairs)?;
    let donor = &father.nodes()[range(j, sizes)];
    limits.admit(splice(mother.nodes(), range(i, mother_sizes), donor))
}
