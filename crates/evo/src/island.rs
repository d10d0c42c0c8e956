//! Migration between islands, as a plan: who sends how many to whom in a generation.
//!
//! Islands run apart, perhaps on different machines; all that must agree is who talks to whom.
//! The plan is a pure function of the settings, the seed and the generation, so nobody has to
//! be asked, and the same run migrates in the same way wherever its islands live.
//!
//! # Invariant
//! Nobody sends to itself, and in a round each island sends to exactly `fan_out` others and
//! receives from as many (ring and random), or all to all.

use crate::Rng;

/// Which islands are neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// Island `i` sends to `i + 1`, the last to the first.
    #[default]
    Ring,
    /// A new random cycle through all islands in every round.
    Random,
    /// Everybody sends to everybody else.
    Full,
}

/// When and how islands exchange individuals.
///
/// ```
/// use opcodon_evo::island::{Migration, Move, Topology};
/// let migration = Migration { every: 20, n_migrants: 10, topology: Topology::Ring };
/// assert_eq!(migration.plan(3, 19, 0), []);
/// assert_eq!(migration.plan(2, 20, 0), [Move { from: 0, to: 1, count: 10 },
///                                       Move { from: 1, to: 0, count: 10 }]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Number of generations from one exchange to the next; 0: never.
    pub every: u64,
    /// Number of individuals on each way.
    pub n_migrants: usize,
    /// Which islands are neighbours.
    pub topology: Topology,
}

/// One sending: `count` individuals from island `from` to island `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The sender.
    pub from: usize,
    /// The receiver.
    pub to: usize,
    /// Number of individuals.
    pub count: usize,
}

/// Separates the random numbers of migration plans from those of individuals of the same seed:
/// generation numbers (the upper half of a stream) never get this high.
const STREAM: u64 = 0xffff_ffff << 32;

impl Migration {
    /// The sendings after `generation` (counted from 1), sorted by sender; none in most generations.
    #[must_use]
    pub fn plan(&self, n_islands: usize, generation: u64, seed: u64) -> Vec<Move> {
        if self.every == 0
            || self.n_migrants == 0
            || n_islands < 2
            || generation == 0
            || !generation.is_multiple_of(self.every)
        {
            return Vec::new();
        }
        let count = self.n_migrants;
        match self.topology {
            Topology::Ring => (0..n_islands)
                .map(|from| Move {
                    from,
                    to: (from + 1) % n_islands,
                    count,
                })
                .collect(),
            Topology::Random => {
                // Sattolo's shuffle: a permutation that is one cycle, hence nobody stays.
                let mut rng = Rng::new(seed, STREAM | (generation & 0xffff_ffff));
                let mut to: Vec<usize> = (0..n_islands).collect();
                for i in (1..n_islands).rev() {
                    to.swap(i, rng.below(i));
                }
                to.into_iter()
                    .enumerate()
                    .map(|(from, to)| Move { from, to, count })
                    .collect()
            }
            Topology::Full => (0..n_islands)
                .flat_map(|from| (0..n_islands).map(move |to| Move { from, to, count }))
                .filter(|m| m.from != m.to)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_sends_and_receives_equally_and_never_to_itself() {
        for topology in [Topology::Ring, Topology::Random, Topology::Full] {
            for n in 2..20 {
                for generation in [5, 10, 5_000_000_000] {
                    let migration = Migration {
                        every: 5,
                        n_migrants: 3,
                        topology,
                    };
                    let plan = migration.plan(n, generation, 9);
                    assert_eq!(plan, migration.plan(n, generation, 9));
                    assert!(plan.is_sorted());
                    let degree = if topology == Topology::Full { n - 1 } else { 1 };
                    for island in 0..n {
                        assert_eq!(plan.iter().filter(|m| m.from == island).count(), degree);
                        assert_eq!(plan.iter().filter(|m| m.to == island).count(), degree);
                    }
                    assert!(plan.iter().all(|m| m.from != m.to && m.count == 3));
                }
            }
        }
    }

    #[test]
    fn no_migration_without_islands_interval_or_migrants() {
        let m = Migration {
            every: 5,
            n_migrants: 3,
            topology: Topology::Random,
        };
        let rows = [
            (m, 1, 5),
            (m, 0, 5),
            (m, 4, 0),
            (m, 4, 7),
            (Migration { every: 0, ..m }, 4, 5),
            (Migration { n_migrants: 0, ..m }, 4, 5),
        ];
        for (migration, n, generation) in rows {
            assert_eq!(
                migration.plan(n, generation, 0),
                [],
                "{migration:?} {n} {generation}"
            );
        }
    }

    #[test]
    fn random_rounds_differ() {
        let m = Migration {
            every: 1,
            n_migrants: 1,
            topology: Topology::Random,
        };
        let plans: std::collections::HashSet<Vec<(usize, usize)>> = (1..50)
            .map(|g| m.plan(8, g, 1).iter().map(|m| (m.from, m.to)).collect())
            .collect();
        assert!(plans.len() > 40);
    }
}
