//! The Pareto archive: the best genome found at each size, as long as no smaller one is as good.
//!
//! A user wants the shortest formula for every level of accuracy. The archive keeps exactly those
//! for the whole run, independently of what the population forgets.
//!
//! # Invariant
//! Entries are sorted by strictly increasing size with strictly decreasing error; every error is a
//! number below `+∞`. There are at most as many entries as sizes up to the bound.

use std::cmp::Ordering;

/// One non-dominated (error, size) and its genome.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<G> {
    /// The error; smaller is better.
    pub error: f64,
    /// The size; smaller is better.
    pub size: usize,
    /// The genome.
    pub genome: G,
}

/// A bounded set of mutually non-dominated entries, sorted by size.
///
/// ```
/// use opcodon_evo::Archive;
/// let mut archive = Archive::new(50);
/// assert!(archive.insert(1.0, 5, "x*x"));
/// assert!(archive.insert(0.5, 9, "x*x + x"));
/// assert!(!archive.insert(0.7, 11, "worse and longer"));
/// assert!(archive.insert(0.4, 5, "better at five"));
/// assert_eq!(archive.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Archive<G> {
    max_size: usize,
    entries: Vec<Entry<G>>,
}

impl<G> Archive<G> {
    /// An empty archive for sizes up to `max_size`.
    #[must_use]
    pub fn new(max_size: usize) -> Self {
        Self {
            max_size,
            entries: Vec::new(),
        }
    }

    /// Whether such an entry would enter: nothing as small or smaller is as good or better. NaN,
    /// `+∞` and sizes beyond the bound never enter.
    #[must_use]
    pub fn accepts(&self, error: f64, size: usize) -> bool {
        error < f64::INFINITY
            && size <= self.max_size
            && self
                .best_within(size)
                .is_none_or(|entry| error < entry.error)
    }

    /// Enters a genome if [`Archive::accepts`] it, and removes those that it dominates. Returns
    /// whether it entered.
    pub fn insert(&mut self, error: f64, size: usize, genome: G) -> bool {
        self.insert_with(error, size, || genome)
    }

    /// As [`Archive::insert`], making the genome only if it enters.
    pub fn insert_with(&mut self, error: f64, size: usize, genome: impl FnOnce() -> G) -> bool {
        if !self.accepts(error, size) {
            return false;
        }
        let start = self.entries.partition_point(|e| e.size < size);
        let dominated = self.entries[start..].partition_point(|e| e.error >= error);
        let entry = Entry {
            error,
            size,
            genome: genome(),
        };
        self.entries.splice(start..start + dominated, [entry]);
        true
    }

    /// Enters all entries of another archive; returns how many entered.
    pub fn merge(&mut self, other: Self) -> usize {
        let before_after = other.entries.into_iter();
        before_after
            .map(|e| usize::from(self.insert(e.error, e.size, e.genome)))
            .sum()
    }

    /// The entries by increasing size, that is by decreasing error.
    #[must_use]
    pub fn entries(&self) -> &[Entry<G>] {
        &self.entries
    }

    /// Iterates by increasing size.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry<G>> {
        self.entries.iter()
    }

    /// The entry of smallest error, which is the largest.
    #[must_use]
    pub fn best(&self) -> Option<&Entry<G>> {
        self.entries.last()
    }

    /// The entry of smallest error among those of at most `size`.
    #[must_use]
    pub fn best_within(&self, size: usize) -> Option<&Entry<G>> {
        let end = self.entries.partition_point(|e| e.size <= size);
        self.entries[..end].last()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing has entered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The largest size that may enter.
    #[must_use]
    pub fn max_size(&self) -> usize {
        self.max_size
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The entries by increasing size, given away.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry<G>> {
        self.entries
    }

    /// The area under the front's steps up to `max_size`, below `reference` error: larger is
    /// better. The hypervolume of (error, size) with the reference point (`reference`, bound + 1).
    #[must_use]
    pub fn hypervolume(&self, reference: f64) -> f64 {
        let ends = self
            .entries
            .iter()
            .skip(1)
            .map(|e| e.size)
            .chain([self.max_size + 1]);
        self.entries
            .iter()
            .zip(ends)
            .filter(|(e, _)| e.error.partial_cmp(&reference) == Some(Ordering::Less))
            .map(|(e, end)| (reference - e.error) * (end - e.size) as f64)
            .sum()
    }
}

impl<'a, G> IntoIterator for &'a Archive<G> {
    type Item = &'a Entry<G>;
    type IntoIter = std::slice::Iter<'a, Entry<G>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    fn front(archive: &Archive<u32>) -> Vec<(usize, f64)> {
        archive.iter().map(|e| (e.size, e.error)).collect()
    }

    #[test]
    fn insertions_one_after_another() {
        // error, size, whether it enters, the front afterwards
        type Row<'a> = (f64, usize, bool, &'a [(usize, f64)]);
        let rows: &[Row<'_>] = &[
            (5.0, 10, true, &[(10, 5.0)]),
            (5.0, 10, false, &[(10, 5.0)]),
            (5.0, 11, false, &[(10, 5.0)]),
            (6.0, 9, true, &[(9, 6.0), (10, 5.0)]),
            (f64::NAN, 1, false, &[(9, 6.0), (10, 5.0)]),
            (f64::INFINITY, 1, false, &[(9, 6.0), (10, 5.0)]),
            (0.0, 21, false, &[(9, 6.0), (10, 5.0)]),
            (1.0, 20, true, &[(9, 6.0), (10, 5.0), (20, 1.0)]),
            (4.0, 15, true, &[(9, 6.0), (10, 5.0), (15, 4.0), (20, 1.0)]),
            (4.0, 10, true, &[(9, 6.0), (10, 4.0), (20, 1.0)]),
            (1.0, 8, true, &[(8, 1.0)]),
            (-3.0, 8, true, &[(8, -3.0)]),
            (f64::NEG_INFINITY, 0, true, &[(0, f64::NEG_INFINITY)]),
        ];
        let mut archive = Archive::new(20);
        for (id, &(error, size, enters, expected)) in rows.iter().enumerate() {
            let id = u32::try_from(id).unwrap();
            assert_eq!(archive.accepts(error, size), enters, "row {id}");
            assert_eq!(archive.insert(error, size, id), enters, "row {id}");
            assert_eq!(front(&archive), expected, "row {id}");
        }
    }

    #[test]
    fn the_archive_is_the_pareto_front_of_all_that_was_offered() {
        for case in 0..500 {
            let mut rng = Rng::new(23, case);
            let mut archive = Archive::new(30);
            let mut offered: Vec<(f64, usize)> = Vec::new();
            for id in 0..rng.below(200) {
                let error = match rng.below(20) {
                    0 => f64::NAN,
                    1..8 => rng.normal(),
                    _ => rng.below(10) as f64,
                };
                let size = rng.below(40);
                offered.push((error, size));
                archive.insert(error, size, id);
            }
            offered.retain(|o| !o.0.is_nan() && o.1 <= 30);
            let mut expected: Vec<(usize, f64)> = offered
                .iter()
                .filter(|a| {
                    !offered
                        .iter()
                        .any(|b| b.0 <= a.0 && b.1 <= a.1 && (b.0 < a.0 || b.1 < a.1))
                })
                .map(|&(error, size)| (size, error))
                .collect();
            expected.sort_by_key(|entry| entry.0);
            expected.dedup();
            let found: Vec<(usize, f64)> = archive.iter().map(|e| (e.size, e.error)).collect();
            assert_eq!(found, expected);
            for size in 0..40 {
                let best = offered
                    .iter()
                    .filter(|o| o.1 <= size)
                    .map(|o| o.0)
                    .reduce(f64::min);
                assert_eq!(archive.best_within(size).map(|e| e.error), best);
            }
            assert_eq!(
                archive.best().map(|e| e.error),
                offered.iter().map(|o| o.0).reduce(f64::min)
            );
        }
    }

    #[test]
    fn a_genome_is_made_only_if_it_enters() {
        let mut archive = Archive::new(5);
        assert!(archive.insert_with(1.0, 3, || 1));
        assert!(!archive.insert_with(1.0, 3, || unreachable!("nothing to make")));
    }

    #[test]
    fn merging_keeps_the_better_of_both() {
        let (mut a, mut b) = (Archive::new(9), Archive::new(99));
        a.insert(3.0, 3, 'a');
        a.insert(1.0, 9, 'a');
        b.insert(2.0, 3, 'b');
        b.insert(0.0, 50, 'b');
        assert_eq!(a.merge(b), 1);
        let genomes: String = a.iter().map(|e| e.genome).collect();
        assert_eq!(genomes, "ba");
    }

    #[test]
    fn hypervolume_by_hand() {
        let mut archive = Archive::new(10);
        assert_eq!(archive.hypervolume(1.0), 0.0);
        archive.insert(0.5, 3, 0);
        assert_eq!(archive.hypervolume(1.0), 0.5 * 8.0);
        archive.insert(0.25, 7, 0);
        assert_eq!(archive.hypervolume(1.0), 0.5 * 4.0 + 0.75 * 4.0);
        assert_eq!(archive.hypervolume(0.4), (0.4 - 0.25) * 4.0);
    }
}
