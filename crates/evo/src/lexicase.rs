//! ε-lexicase selection: parents that are among the best on a random sequence of cases.
//!
//! A mean over all cases hides specialists. Lexicase keeps them: it goes through the cases in
//! random order, each time keeping only the candidates within ε of the best of those still in the
//! pool, until one is left. With real-valued errors ε is the median absolute deviation of the
//! case over the population, found once a generation ("semi-dynamic" ε-lexicase).
//!
//! Errors are stored case by case, because the pool is scanned for one case at a time; cases are
//! drawn one by one, because the pool is usually down to one long before the cases run out.
//!
//! Source: La Cava, Helmuth, Spector, Moore, "A probabilistic and multi-objective analysis of
//! lexicase selection and ε-lexicase selection", Evolutionary Computation 27(3), 2019.

use crate::{Rng, order};

/// The errors of a population on every case, ready for selection.
#[derive(Clone, Debug)]
pub struct Lexicase {
    n_individuals: usize,
    /// `errors[case * n_individuals + individual]`, NaN replaced by `+∞`.
    errors: Vec<f64>,
    /// One a case.
    epsilon: Vec<f64>,
}

/// Buffers of one selecting thread, reused from draw to draw.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pool: Vec<usize>,
    cases: Vec<usize>,
}

impl Lexicase {
    /// Takes `error(individual, case)` of `n_individuals` × `n_cases` and computes ε of each case.
    #[must_use]
    pub fn new(
        n_individuals: usize,
        n_cases: usize,
        mut error: impl FnMut(usize, usize) -> f64,
    ) -> Self {
        let mut errors = Vec::with_capacity(n_individuals * n_cases);
        let mut epsilon = Vec::with_capacity(n_cases);
        let mut sorted = Vec::with_capacity(n_individuals);
        for case in 0..n_cases {
            let start = errors.len();
            errors.extend((0..n_individuals).map(|i| order::nan_to_infinity(error(i, case))));
            epsilon.push(median_absolute_deviation(&errors[start..], &mut sorted));
        }
        Self {
            n_individuals,
            errors,
            epsilon,
        }
    }

    /// The median absolute deviation of a case, over the individuals with a finite error.
    #[must_use]
    pub fn epsilon(&self, case: usize) -> f64 {
        self.epsilon[case]
    }

    /// Index of one parent.
    ///
    /// # Panics
    /// If the population is empty.
    pub fn select(&self, rng: &mut Rng, scratch: &mut Scratch) -> usize {
        let Scratch { pool, cases } = scratch;
        pool.clear();
        pool.extend(0..self.n_individuals);
        cases.clear();
        cases.extend(0..self.epsilon.len());
        while pool.len() > 1 && !cases.is_empty() {
            let case = cases.swap_remove(rng.below(cases.len()));
            let errors = &self.errors[case * self.n_individuals..][..self.n_individuals];
            let elite = pool.iter().fold(f64::INFINITY, |m, &i| m.min(errors[i]));
            let limit = elite + self.epsilon[case];
            pool.retain(|&i| errors[i] <= limit);
        }
        pool[rng.below(pool.len())]
    }
}

/// Median of the distances from the median, of the finite values; 0 if there are none.
fn median_absolute_deviation(values: &[f64], sorted: &mut Vec<f64>) -> f64 {
    sorted.clear();
    sorted.extend(values.iter().filter(|v| v.is_finite()));
    let Some(center) = median(sorted) else {
        return 0.0;
    };
    for value in sorted.iter_mut() {
        *value = (*value - center).abs();
    }
    // Distances of huge values may overflow; an infinite ε would keep everybody, which is right
    // for a case that spreads this far.
    median(sorted).unwrap_or(0.0)
}

/// The lower median; reorders `values`.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(errors: &[&[f64]], draws: usize) -> Vec<usize> {
        let lexicase = Lexicase::new(errors.len(), errors[0].len(), |i, c| errors[i][c]);
        let mut scratch = Scratch::default();
        let mut rng = Rng::new(1, 1);
        let mut counts = vec![0; errors.len()];
        for _ in 0..draws {
            counts[lexicase.select(&mut rng, &mut scratch)] += 1;
        }
        counts
    }

    #[test]
    fn specialists_are_chosen_and_the_mediocre_never() {
        // Individuals 0 and 1 each solve one case; 2 has the best mean but solves none. The others
        // bring the median of each case to 90 and ε to 10.
        let c = counts(
            &[
                &[0.0, 100.0],
                &[100.0, 0.0],
                &[30.0, 30.0],
                &[60.0, 60.0],
                &[90.0, 90.0],
                &[95.0, 95.0],
                &[98.0, 98.0],
            ],
            2000,
        );
        assert!(c[0] > 850 && c[1] > 850, "{c:?}");
        assert_eq!(c[0] + c[1], 2000, "{c:?}");
    }

    #[test]
    fn epsilon_is_the_median_absolute_deviation_and_ignores_nan() {
        let column = [1.0, 2.0, 4.0, 8.0, 16.0, f64::NAN, f64::INFINITY];
        let lexicase = Lexicase::new(7, 1, |i, _| column[i]);
        // Median 4, distances 3 2 0 4 12, their median 3.
        assert_eq!(lexicase.epsilon(0), 3.0);
    }

    #[test]
    fn within_epsilon_all_are_equal() {
        // ε = 1 (median 1, distances 1 0 0 1 9): individuals 0, 1, 2 pass, 3 and 4 do not.
        let c = counts(&[&[0.0], &[1.0], &[1.0], &[2.0], &[10.0]], 3000);
        assert_eq!(c[3] + c[4], 0, "{c:?}");
        assert!(c[..3].iter().all(|&n| n.abs_diff(1000) < 150), "{c:?}");
    }

    #[test]
    fn a_population_of_nan_still_yields_a_parent() {
        let nan: &[f64] = &[f64::NAN, f64::NAN];
        let c = counts(&[nan, nan, nan], 300);
        assert_eq!(c.iter().sum::<usize>(), 300);
        let c = counts(&[nan, &[1.0, 1.0], nan], 100);
        assert_eq!(c[1], 100);
        assert_eq!(counts(&[&[]], 3), [3]);
        assert_eq!(
            counts(&[&[f64::MAX, -f64::MAX], &[-f64::MAX, f64::MAX]], 10).len(),
            2
        );
    }
}
