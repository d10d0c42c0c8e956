//! NSGA-II: non-dominated fronts, crowding distance, environmental selection.
//!
//! All objectives are minimised. In symbolic regression they are (error, size), so the case of two
//! objectives has a sweep in O(n log n); more objectives take an O(m n²) path with the same result.
//!
//! Three things are not in the textbook:
//!
//! - **ε-dominance.** Objective `k` is compared in boxes of width `epsilon[k]` (0: exactly), so that
//!   an error better by less than ε does not buy a longer tree. Comparing by `a < b − ε` is not
//!   transitive and lets fronts depend on the order of the population; comparing box numbers
//!   is a partial order. Of the individuals in one box the best by true value represents it.
//! - **Duplicates go last.** Copies of a fitness are always mutually non-dominated, so they would
//!   fill the first front and with it the population. All but the representative form a front of
//!   their own after all others, as in Operon.
//! - **Invalid goes after that.** Whoever has NaN or `+∞` in any objective is in the very last
//!   front, even if nobody else is as small.
//!
//! # Invariant
//! Fronts partition `0..n`; the result depends on the multiset of fitnesses and, among exact
//! equals, on the index; never on a hash or a thread.
//!
//! Sources: Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic
//! algorithm: NSGA-II", IEEE TEC 6(2), 2002. Jensen, "Reducing the run-time complexity of
//! multiobjective EAs", IEEE TEC 7(5), 2003 (two objectives). Zhang, Tian, Cheng, Jin, "An
//! efficient approach to nondominated sorting", IEEE TEC 19(2), 2015 (the general case). Laumanns,
//! Thiele, Deb, Zitzler, "Combining convergence and diversity", EC 10(3), 2002 (ε boxes).

use std::cmp::Ordering;

use crate::order;

/// A population sorted into fronts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fronts {
    /// Individuals, front after front; inside a front in lexicographic order of the objectives.
    order: Vec<usize>,
    /// Where each front ends in `order`.
    ends: Vec<usize>,
    /// The front of each individual.
    ranks: Vec<usize>,
}

impl Fronts {
    /// Number of fronts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the population was empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The individuals of front `k`, the best front being 0, in lexicographic order of objectives.
    #[must_use]
    pub fn front(&self, k: usize) -> &[usize] {
        let start = if k == 0 { 0 } else { self.ends[k - 1] };
        &self.order[start..self.ends[k]]
    }

    /// All fronts, the best first.
    pub fn iter(&self) -> impl Iterator<Item = &[usize]> {
        (0..self.len()).map(|k| self.front(k))
    }

    /// The front of every individual.
    #[must_use]
    pub fn ranks(&self) -> &[usize] {
        &self.ranks
    }
}

/// Sorts a population into non-dominated fronts under ε-dominance; see the module's comment for
/// where duplicates and invalid individuals go. An ε that is not a positive number counts as 0.
///
/// ```
/// use opcodon_evo::nsga2::non_dominated_fronts;
/// let fronts = non_dominated_fronts(&[[1.0, 9.0], [2.0, 3.0], [2.0, 4.0], [f64::NAN, 1.0]], [0.0; 2]);
/// assert_eq!(fronts.ranks(), [0, 0, 1, 2]);
/// ```
#[must_use]
pub fn non_dominated_fronts<const M: usize>(objectives: &[[f64; M]], epsilon: [f64; M]) -> Fronts {
    let valid = |o: &[f64; M]| o.iter().all(|&v| v < f64::INFINITY);
    let mut sorted: Vec<Candidate<M>> = objectives
        .iter()
        .enumerate()
        .filter(|(_, o)| valid(o))
        .map(|(index, o)| Candidate {
            boxed: boxes(o, &epsilon).map(sort_key),
            objectives: o.map(|v| sort_key(v + 0.0)),
            index,
        })
        .collect();
    sorted.sort_unstable();
    // Fronts found so far, and the front of every individual.
    let mut fronts = Layers::<M>::default();
    let mut ranks = vec![usize::MAX; objectives.len()];
    let mut duplicates = Vec::new();
    for (i, candidate) in sorted.iter().enumerate() {
        if i > 0 && sorted[i - 1].boxed == candidate.boxed {
            duplicates.push(candidate.index);
        } else {
            ranks[candidate.index] = fronts.insert(&candidate.boxed);
        }
    }
    let mut n_fronts = fronts.len();
    for &i in &duplicates {
        ranks[i] = n_fronts;
    }
    n_fronts += usize::from(!duplicates.is_empty());
    let invalid: Vec<usize> = (0..ranks.len())
        .filter(|&i| ranks[i] == usize::MAX)
        .collect();
    for &i in &invalid {
        ranks[i] = n_fronts;
    }
    n_fronts += usize::from(!invalid.is_empty());
    // Counting sort by front; inside a front the order stays.
    let mut ends = vec![0; n_fronts];
    for &rank in &ranks {
        ends[rank] += 1;
    }
    let mut next: Vec<usize> = Vec::with_capacity(n_fronts);
    let mut total = 0;
    for end in &mut ends {
        next.push(total);
        total += *end;
        *end = total;
    }
    let mut order = vec![0; ranks.len()];
    for i in sorted
        .iter()
        .map(|candidate| candidate.index)
        .chain(invalid)
    {
        let place = &mut next[ranks[i]];
        order[*place] = i;
        *place += 1;
    }
    Fronts { order, ends, ranks }
}

/// An individual as it is sorted: by boxes, then by true values, then by index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<const M: usize> {
    boxed: [u64; M],
    objectives: [u64; M],
    index: usize,
}

/// Whole numbers in the order of the floats (NaN aside), which compare faster than floats.
fn sort_key(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

/// Fronts while individuals come in lexicographic order of their boxes, all different.
#[derive(Default)]
struct Layers<const M: usize> {
    /// Up to two objectives: the last one of each front's last member. It falls along a front, so
    /// that member dominates whoever any member dominates.
    tails: Vec<u64>,
    /// More objectives: all members of each front.
    members: Vec<Vec<[u64; M]>>,
}

impl<const M: usize> Layers<M> {
    fn len(&self) -> usize {
        self.tails.len().max(self.members.len())
    }

    /// Puts an individual into the first front where nobody dominates it, and returns its number.
    /// Nobody dominates an earlier one, and whoever is dominated in a front is dominated in every
    /// front before it: bisection finds the place.
    fn insert(&mut self, boxed: &[u64; M]) -> usize {
        if M <= 2 {
            let tail = boxed.last().copied().unwrap_or(0);
            let rank = self.tails.partition_point(|&t| t <= tail);
            match self.tails.get_mut(rank) {
                Some(last) => *last = tail,
                None => self.tails.push(tail),
            }
            return rank;
        }
        let dominates = |a: &[u64; M]| a.iter().zip(boxed).all(|(x, y)| x <= y);
        let rank = self
            .members
            .partition_point(|front| front.iter().rev().any(&dominates));
        match self.members.get_mut(rank) {
            Some(front) => front.push(*boxed),
            None => self.members.push(vec![*boxed]),
        }
        rank
    }
}

/// Box numbers of the objectives, as floats: what overflows shares the outermost box.
fn boxes<const M: usize>(objectives: &[f64; M], epsilon: &[f64; M]) -> [f64; M] {
    std::array::from_fn(|k| {
        let (value, width) = (objectives[k], epsilon[k]);
        let number = if width > 0.0 && width.is_finite() {
            (value / width).floor()
        } else {
            value
        };
        // -0.0 and 0.0 are one value.
        number + 0.0
    })
}

/// Crowding distance of every individual inside its front: the sum over objectives of the gap
/// between its two neighbours, relative to the front's range; `+∞` at the ends.
///
/// Objectives without range (or with an infinite one) contribute nothing.
#[must_use]
pub fn crowding_distance<const M: usize>(objectives: &[[f64; M]], fronts: &Fronts) -> Vec<f64> {
    let mut distance = vec![0.0; objectives.len()];
    let mut sorted = Vec::new();
    for front in fronts.iter() {
        for value in (0..M).map(|k| move |i: usize| objectives[i][k]) {
            sorted.clear();
            sorted.extend(front.iter().map(|&i| (value(i), i)));
            sorted.sort_unstable_by(|a: &(f64, usize), b| {
                order::compare(a.0, b.0).then(a.1.cmp(&b.1))
            });
            let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
            distance[first.1] = f64::INFINITY;
            distance[last.1] = f64::INFINITY;
            let range = last.0 - first.0;
            if range > 0.0 && range.is_finite() {
                for w in sorted.windows(3) {
                    distance[w[1].1] += (w[2].0 - w[0].0) / range;
                }
            }
        }
    }
    distance
}

/// Fronts and crowding distances of a population: what a parent tournament compares.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// The fronts.
    pub fronts: Fronts,
    /// Crowding distance of each individual.
    pub crowding: Vec<f64>,
}

impl Ranking {
    /// Ranks a population.
    #[must_use]
    pub fn new<const M: usize>(objectives: &[[f64; M]], epsilon: [f64; M]) -> Self {
        let fronts = non_dominated_fronts(objectives, epsilon);
        let crowding = crowding_distance(objectives, &fronts);
        Self { fronts, crowding }
    }

    /// The crowded comparison: `Less` if `a` is in a better front, or in the same and less crowded.
    #[must_use]
    pub fn compare(&self, a: usize, b: usize) -> Ordering {
        let ranks = self.fronts.ranks();
        ranks[a]
            .cmp(&ranks[b])
            .then_with(|| self.crowding[b].total_cmp(&self.crowding[a]))
    }

    /// The `n` survivors (all, if there are fewer): whole fronts, then the least crowded of the
    /// front that does not fit; ties go to the lower index. Best first.
    #[must_use]
    pub fn survivors(&self, n: usize) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(n.min(self.crowding.len()));
        for front in self.fronts.iter() {
            let room = n - chosen.len();
            if front.len() <= room {
                chosen.extend_from_slice(front);
            } else {
                let mut rest = front.to_vec();
                rest.sort_by(|&a, &b| {
                    self.crowding[b]
                        .total_cmp(&self.crowding[a])
                        .then(a.cmp(&b))
                });
                chosen.extend_from_slice(&rest[..room]);
                break;
            }
        }
        chosen
    }
}

/// Environmental selection: the indices of the `n` survivors of a population.
/// Short for [`Ranking::new`] and [`Ranking::survivors`].
#[must_use]
pub fn select<const M: usize>(objectives: &[[f64; M]], epsilon: [f64; M], n: usize) -> Vec<usize> {
    Ranking::new(objectives, epsilon).survivors(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    fn lexicographic<const M: usize>(a: &[f64; M], b: &[f64; M]) -> Ordering {
        a.iter()
            .zip(b)
            .map(|(&x, &y)| order::compare(x, y))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Ranks by definition: repeatedly remove whoever nobody left dominates; then the duplicates,
    /// then the invalid.
    fn by_definition<const M: usize>(objectives: &[[f64; M]], epsilon: [f64; M]) -> Vec<usize> {
        let boxed: Vec<[f64; M]> = objectives.iter().map(|o| boxes(o, &epsilon)).collect();
        let better = |j: usize, i: usize| {
            lexicographic(&objectives[j], &objectives[i])
                .then(j.cmp(&i))
                .is_lt()
        };
        let dominates =
            |a: usize, b: usize| (0..M).all(|k| boxed[a][k] <= boxed[b][k]) && boxed[a] != boxed[b];
        let (valid, invalid): (Vec<usize>, Vec<usize>) = (0..objectives.len()).partition(|&i| {
            objectives[i]
                .iter()
                .all(|v| !v.is_nan() && *v < f64::INFINITY)
        });
        let (duplicates, mut left): (Vec<usize>, Vec<usize>) = valid
            .iter()
            .partition(|&&i| valid.iter().any(|&j| boxed[j] == boxed[i] && better(j, i)));
        let mut fronts = Vec::new();
        while !left.is_empty() {
            let (front, rest): (Vec<usize>, Vec<usize>) = left
                .iter()
                .partition(|&&i| !left.iter().any(|&j| dominates(j, i)));
            fronts.push(front);
            left = rest;
        }
        fronts.extend([duplicates, invalid].into_iter().filter(|f| !f.is_empty()));
        let mut ranks = vec![usize::MAX; objectives.len()];
        for (rank, front) in fronts.into_iter().enumerate() {
            for i in front {
                ranks[i] = rank;
            }
        }
        ranks
    }

    /// Fitnesses with many ties, a few extremes and invalid values.
    fn population<const M: usize>(rng: &mut Rng, n: usize) -> Vec<[f64; M]> {
        let levels = rng.range(1, 30);
        (0..n)
            .map(|_| {
                std::array::from_fn(|_| match rng.below(40) {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => -f64::MAX,
                    3 => f64::MAX,
                    4 => -0.0,
                    5..20 => rng.normal(),
                    _ => rng.below(levels) as f64,
                })
            })
            .collect()
    }

    fn check<const M: usize>(rng: &mut Rng, epsilon: f64) {
        let n = rng.below(60);
        let objectives = population::<M>(rng, n);
        let epsilon = std::array::from_fn(|k| if k == 0 { epsilon } else { 0.0 });
        let ranking = Ranking::new(&objectives, epsilon);
        let fronts = &ranking.fronts;
        assert_eq!(
            fronts.ranks(),
            by_definition(&objectives, epsilon),
            "{objectives:?} {epsilon:?}"
        );
        let mut all: Vec<usize> = fronts.iter().flatten().copied().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..n), "fronts partition the population");
        for (k, front) in fronts.iter().enumerate() {
            assert!(front.iter().all(|&i| fronts.ranks()[i] == k));
        }
        assert!(
            ranking.crowding.iter().all(|d| *d >= 0.0),
            "{:?}",
            ranking.crowding
        );
        let n_survivors = rng.below(70);
        let survivors = ranking.survivors(n_survivors);
        assert_eq!(survivors.len(), n_survivors.min(n));
        assert!(survivors.is_sorted_by_key(|&i| fronts.ranks()[i]));
        let distinct: std::collections::HashSet<_> = survivors.iter().collect();
        assert_eq!(distinct.len(), survivors.len());
    }

    #[test]
    fn fronts_are_what_the_definition_says() {
        for case in 0..3000 {
            let mut rng = Rng::new(17, case);
            for epsilon in [0.0, 1e-3, 0.7, 5.0, 1e-300, f64::NAN, -1.0] {
                check::<1>(&mut rng, epsilon);
                check::<2>(&mut rng, epsilon);
                check::<3>(&mut rng, epsilon);
            }
        }
    }

    #[test]
    fn a_small_population_by_hand() {
        // error, size
        let objectives = [
            [1.0, 3.0],      // 0: front 0
            [0.5, 5.0],      // 1: front 0
            [1.0, 3.0],      // 2: copy of 0
            [1.5, 3.0],      // 3: dominated by 0
            [2.0, 1.0],      // 4: front 0
            [f64::NAN, 1.0], // 5: invalid
            [0.6, 9.0],      // 6: dominated by 1
            [0.45, 7.0],     // 7: front 0, unless ε puts its error in the box of 1
        ];
        // With ε = 0.3 the error boxes are 3 1 3 5 6 - 2 1.
        for (epsilon, expected) in [
            (0.0, [0, 0, 2, 1, 0, 3, 1, 0]),
            (0.3, [0, 0, 3, 1, 0, 4, 2, 1]),
        ] {
            assert_eq!(
                non_dominated_fronts(&objectives, [epsilon, 0.0]).ranks(),
                expected
            );
        }
    }

    #[test]
    fn the_representative_of_a_box_is_its_best() {
        let objectives = [[0.19, 3.0], [0.11, 3.0], [0.15, 3.0]];
        assert_eq!(
            non_dominated_fronts(&objectives, [0.1, 0.0]).ranks(),
            [1, 0, 1]
        );
        assert_eq!(select(&objectives, [0.1, 0.0], 1), [1]);
    }

    #[test]
    fn crowding_by_hand() {
        // One front; ranges 4 and 8.
        let objectives = [[0.0, 8.0], [1.0, 4.0], [3.0, 3.0], [4.0, 0.0]];
        let fronts = non_dominated_fronts(&objectives, [0.0; 2]);
        let distance = crowding_distance(&objectives, &fronts);
        assert_eq!(
            distance,
            [
                f64::INFINITY,
                3.0 / 4.0 + 5.0 / 8.0,
                3.0 / 4.0 + 0.5,
                f64::INFINITY
            ]
        );
        // Both ends survive, then the less crowded of the others.
        assert_eq!(select(&objectives, [0.0; 2], 3), [0, 3, 1]);
    }

    #[test]
    fn copies_do_not_crowd_out_a_lone_different_one() {
        let mut objectives = vec![[1.0, 5.0]; 100];
        objectives.push([3.0, 9.0]);
        assert_eq!(select(&objectives, [0.0; 2], 2), [0, 100]);
    }

    #[test]
    fn empty_and_hopeless_populations() {
        assert!(non_dominated_fronts::<2>(&[], [0.0; 2]).is_empty());
        assert!(select::<2>(&[], [0.0; 2], 5).is_empty());
        assert_eq!(select(&[[f64::NAN; 2]; 3], [0.0; 2], 2), [0, 2]);
        assert!(select(&[[1.0; 2]; 3], [0.0; 2], 0).is_empty());
    }
}
