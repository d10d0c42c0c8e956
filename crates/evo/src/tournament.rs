//! Tournament selection: the best of a few, drawn with replacement.
//!
//! # Invariant
//! The winner is a function of the drawn set alone: among equals the lowest index wins, whatever
//! the order of the draws. A population without a single number among its errors still yields a
//! winner.

use std::cmp::Ordering;

use crate::{Rng, order};

/// Index of the best of `size` individuals drawn with replacement from `0..n`, where
/// `compare(a, b)` is `Less` if `a` is better. A size of 0 counts as 1: a uniform draw.
///
/// # Panics
/// If `n` is 0.
#[inline]
pub fn select(
    rng: &mut Rng,
    n: usize,
    size: usize,
    mut compare: impl FnMut(usize, usize) -> Ordering,
) -> usize {
    let mut winner = rng.below(n);
    for _ in 1..size {
        let rival = rng.below(n);
        if compare(rival, winner).then(rival.cmp(&winner)) == Ordering::Less {
            winner = rival;
        }
    }
    winner
}

/// A tournament on one error each; smaller is better, NaN is worst.
///
/// # Panics
/// If `errors` is empty.
#[inline]
pub fn by_error(rng: &mut Rng, errors: &[f64], size: usize) -> usize {
    select(rng, errors.len(), size, |a, b| {
        order::compare(errors[a], errors[b])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_r_of_n_wins_as_often_as_theory_says() {
        let errors: Vec<f64> = (0..10).map(f64::from).rev().collect();
        for size in [0, 1, 2, 5] {
            let mut rng = Rng::new(3, size as u64);
            const N: usize = 50_000;
            let mut wins = [0usize; 10];
            for _ in 0..N {
                wins[9 - by_error(&mut rng, &errors, size)] += 1;
            }
            for (rank, &count) in wins.iter().enumerate() {
                // All draws at rank or worse, minus all draws worse.
                let k = i32::try_from(size.max(1)).unwrap();
                let at_least = |r: usize| ((10 - r) as f64 / 10.0).powi(k);
                let p = at_least(rank) - at_least(rank + 1);
                let error = 4.5 * (N as f64 * p * (1.0 - p)).sqrt() + 1.0;
                assert!(
                    (count as f64 - N as f64 * p).abs() < error,
                    "size {size}: {wins:?}"
                );
            }
        }
    }

    #[test]
    fn nan_never_beats_a_number_and_ties_go_to_the_lowest_index() {
        let errors = [f64::NAN, 7.0, f64::NAN, f64::INFINITY];
        let mut rng = Rng::new(0, 0);
        let winners: Vec<usize> = (0..2000).map(|_| by_error(&mut rng, &errors, 40)).collect();
        assert!(winners.iter().all(|&w| w == 1));
        let winners: Vec<usize> = (0..2000)
            .map(|_| by_error(&mut rng, &[f64::NAN; 4], 40))
            .collect();
        assert!(winners.iter().all(|&w| w == 0));
    }
}
