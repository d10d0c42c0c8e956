//! Splitting rows into training and test, and into folds.
//!
//! Rows are put in random order by a hash of (seed, row), so a split is a function of the number
//! of rows and the seed, the same on every machine, and needs no generator with a state. Inside
//! each part rows keep their order.

use crate::error::DataError;

/// Row numbers of two disjoint parts that together are all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from, ascending.
    pub train: Vec<usize>,
    /// Rows to test on, ascending.
    pub test: Vec<usize>,
}

/// Sets a share of the rows apart for testing, rounded to the nearest number of rows.
///
/// # Errors
/// If the share leaves one side without rows.
///
/// ```
/// let split = opcodon_data::split::train_test(8, 0.25, 42)?;
/// assert_eq!((split.train.len(), split.test.len()), (6, 2));
/// # Ok::<(), opcodon_data::DataError>(())
/// ```
pub fn train_test(n_rows: usize, test_share: f64, seed: u64) -> Result<Split, DataError> {
    let refused = || DataError::TestShare {
        share: test_share,
        n_rows,
    };
    if !(test_share > 0.0 && test_share < 1.0) {
        return Err(refused());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and n_rows, as the share is between 0 and 1"
    )]
    let n_test = (n_rows as f64 * test_share).round() as usize;
    if n_test == 0 || n_test >= n_rows {
        return Err(refused());
    }
    let order = shuffled(n_rows, seed);
    let (test, train) = order.split_at(n_test);
    Ok(Split {
        train: ascending(train),
        test: ascending(test),
    })
}

/// Splits the rows into `n_folds` parts of equal size (±1); in each split one part is the test.
///
/// # Errors
/// If there are fewer than two folds, or more folds than rows.
pub fn k_fold(n_rows: usize, n_folds: usize, seed: u64) -> Result<Vec<Split>, DataError> {
    if n_folds < 2 || n_folds > n_rows {
        return Err(DataError::Folds { n_folds, n_rows });
    }
    let order = shuffled(n_rows, seed);
    // Without overflow for any number of rows: the first `n_rows % n_folds` folds have one more.
    let (size, larger) = (n_rows / n_folds, n_rows % n_folds);
    let start = |fold: usize| fold * size + fold.min(larger);
    let split = |fold: usize| Split {
        test: ascending(&order[start(fold)..start(fold + 1)]),
        train: ascending(&[&order[..start(fold)], &order[start(fold + 1)..]].concat()),
    };
    Ok((0..n_folds).map(split).collect())
}

fn shuffled(n_rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n_rows).collect();
    order.sort_by_cached_key(|&row| (mix(mix(seed) ^ row as u64), row));
    order
}

fn ascending(rows: &[usize]) -> Vec<usize> {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows
}

/// A bijection of 64-bit numbers that looks random: the step and finaliser of SplitMix64 (Steele,
/// Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_partition(split: &Split, n_rows: usize) -> bool {
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        all.into_iter().eq(0..n_rows) && split.train.is_sorted() && split.test.is_sorted()
    }

    #[test]
    fn parts_have_the_sizes_asked_for() {
        let rows = [
            (4, 0.25, 1),
            (10, 0.3, 3),
            (3, 0.34, 1),
            (2, 0.5, 1),
            (1000, 0.001, 1),
        ];
        for (n_rows, share, n_test) in rows {
            let split = train_test(n_rows, share, 5).unwrap();
            assert!(is_partition(&split, n_rows));
            assert_eq!(split.test.len(), n_test, "{n_rows} {share}");
        }
        for (n_rows, n_folds) in [(2, 2), (10, 3), (11, 11), (100, 7)] {
            let folds = k_fold(n_rows, n_folds, 1).unwrap();
            assert_eq!(folds.len(), n_folds);
            assert!(folds.iter().all(|f| is_partition(f, n_rows)));
            assert!(
                folds
                    .iter()
                    .all(|f| f.test.len().abs_diff(n_rows / n_folds) <= 1)
            );
            let mut tested: Vec<usize> = folds.iter().flat_map(|f| f.test.clone()).collect();
            tested.sort_unstable();
            assert!(tested.into_iter().eq(0..n_rows), "each row is tested once");
        }
    }

    #[test]
    fn shares_and_folds_that_leave_nothing_are_refused() {
        for share in [0.0, 1.0, -1.0, 2.0, f64::NAN, f64::INFINITY, 0.01, 0.99] {
            assert!(train_test(10, share, 0).is_err(), "{share}");
        }
        for n_rows in [0, 1] {
            assert!(train_test(n_rows, 0.5, 0).is_err(), "{n_rows}");
        }
        for (n_rows, n_folds) in [(10, 0), (10, 1), (10, 11), (0, 2)] {
            assert!(k_fold(n_rows, n_folds, 0).is_err(), "{n_rows} {n_folds}");
        }
    }

    #[test]
    fn the_seed_decides_and_every_row_is_tested_equally_often() {
        let test = |seed| train_test(20, 0.25, seed).unwrap().test;
        assert_eq!(test(1), test(1));
        let mut counts = [0u32; 20];
        let distinct: std::collections::HashSet<Vec<usize>> = (0..4000).map(test).collect();
        assert!(distinct.len() > 3000);
        for seed in 0..4000 {
            for row in test(seed) {
                counts[row] += 1;
            }
        }
        // 1000 expected, standard deviation 27.
        assert!(counts.iter().all(|c| c.abs_diff(1000) < 130), "{counts:?}");
    }
}
