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
use opcodon_expr::{Expr, Node};

use crate::limits::Limits;
use crate::points::{depth_of, is_internal, pick_point, splice};
use crate::workspace::Workspace;

/// The part of the first parent that goes, and what may come in its place.
struct Gap {
    range: Range<usize>,
    /// Largest size and depth of a replacement.
    max_size: usize,
    max_depth: usize,
}

impl Gap {
    /// A gap at a random point; `None` if not even a leaf would fit.
    fn choose(rng: &mut Rng, parent: &Expr, limits: Limits, internal: f64) -> Option<Self> {
        let nodes = parent.nodes();
        let point = pick_point(rng, nodes, internal);
        let range = parent.subtree(point);
        let max_size = limits.max_size.checked_sub(nodes.len() - range.len())?;
        let max_depth = (limits.max_depth + 1).checked_sub(depth_of(nodes, point))?;
        (max_size > 0 && max_depth > 0).then_some(Self {
            range,
            max_size,
            max_depth,
        })
    }
}

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
    let gap = Gap::choose(rng, mother, limits, internal)?;
    let donor = donor(rng, space, father, &gap, internal)?;
    limits.admit(splice(mother.nodes(), gap.range, &father.nodes()[donor]))
}

/// A subtree that fits: internal with probability `internal`, if one fits, else a leaf.
fn donor(
    rng: &mut Rng,
    space: &mut Workspace,
    father: &Expr,
    gap: &Gap,
    internal: f64,
) -> Option<Range<usize>> {
    let nodes = father.nodes();
    if !rng.bool(internal) {
        // Leaves always fit.
        let point = pick_point(rng, nodes, 0.0);
        return Some(father.subtree(point));
    }
    // A few draws among all internal nodes, which nearly always find one that fits; drawing until
    // one fits is drawing uniformly among those that fit.
    for _ in 0..4 {
        let point = pick_point(rng, nodes, 1.0);
        let range = father.subtree(point);
        // No tree is deeper than large: only large ones need a look at their depth.
        if range.len() <= gap.max_size && range.len() <= gap.max_depth {
            return Some(range);
        }
        if range.len() > gap.max_size {
            continue;
        }
        measure(space, father);
        if space.depths[point] as usize <= gap.max_depth {
            return Some(range);
        }
    }
    measure(space, father);
    let fits = |i: usize| {
        space.sizes[i] as usize <= gap.max_size && space.depths[i] as usize <= gap.max_depth
    };
    space.points.clear();
    space
        .points
        .extend((0..nodes.len()).filter(|&i| is_internal(&nodes[i]) && fits(i)));
    let point = match rng.choose(&space.points) {
        Some(&point) => point,
        None => pick_point(rng, nodes, 0.0),
    };
    Some(father.subtree(point))
}

/// Fills in the sizes and depths of all subtrees.
fn measure(space: &mut Workspace, expr: &Expr) {
    expr.subtree_sizes_into(&mut space.sizes);
    expr.subtree_depths_into(&space.sizes, &mut space.depths);
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
    let gap = Gap::choose(rng, mother, limits, internal)?;
    measure(space, father);
    let Workspace {
        sizes,
        depths,
        points,
        ..
    } = space;
    let gone = gap.range.len();
    let largest = gap.max_size.min(2 * gone + 1);
    points.clear();
    points.extend(
        (0..father.len())
            .filter(|&i| sizes[i] as usize <= largest && depths[i] as usize <= gap.max_depth),
    );
    // How many donors are smaller, equal and larger, and by how much in all.
    let mut counts = [0usize; 3];
    let mut excess = [0usize; 3];
    let class = |i: usize| {
        1 + usize::from(sizes[i] as usize > gone) - usize::from((sizes[i] as usize) < gone)
    };
    for &i in points.iter() {
        counts[class(i)] += 1;
        excess[class(i)] += (sizes[i] as usize).abs_diff(gone);
    }
    let [smaller, equal, larger] = counts;
    let mean = |k: usize| excess[k] as f64 / counts[k] as f64;
    let kind = if smaller > 0 && larger > 0 {
        let p_equal = if equal > 0 { 1.0 / gone as f64 } else { 0.0 };
        // The shares of smaller and larger are as the mean differences of the others, so that the
        // expected difference is 0.
        let p_larger = mean(0) / (mean(0) + mean(2));
        if rng.bool(p_equal) {
            1
        } else {
            2 * usize::from(rng.bool(p_larger))
        }
    } else if equal > 0 {
        1
    } else if larger > 0 {
        2
    } else {
        0
    };
    points.retain(|&i| class(i) == kind);
    let donor = father.subtree(*rng.choose(points)?);
    limits.admit(splice(mother.nodes(), gap.range, &father.nodes()[donor]))
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
    let (a, b) = (mother.nodes(), father.nodes());
    mother.subtree_sizes_into(&mut space.sizes);
    father.subtree_sizes_into(&mut space.other_sizes);
    let Workspace {
        sizes,
        other_sizes,
        pairs,
        ..
    } = space;
    pairs.clear();
    pairs.push((a.len() - 1, b.len() - 1));
    // The list of pairs is its own queue.
    let mut next = 0;
    while let Some(&(i, j)) = pairs.get(next) {
        next += 1;
        if a[i].arity() == b[j].arity() {
            let (mut end_a, mut end_b) = (i, j);
            for _ in 0..a[i].arity() {
                pairs.push((end_a - 1, end_b - 1));
                end_a -= sizes[end_a - 1] as usize;
                end_b -= other_sizes[end_b - 1] as usize;
            }
        }
    }
    pairs.swap_remove(0);
    pairs
        .retain(|&(i, j)| a.len() - sizes[i] as usize + other_sizes[j] as usize <= limits.max_size);
    let &(i, j) = rng.choose(pairs)?;
    let range = |end: usize, sizes: &[u32]| end + 1 - sizes[end] as usize..end + 1;
    let donor: &[Node] = &b[range(j, other_sizes)];
    limits.admit(splice(a, range(i, sizes), donor))
}
