//! Repeated draws from fixed weights in constant time: Walker's alias method.
//!
//! Variation draws an operator or a variable for almost every node it makes; a linear scan over
//! the weights would cost as much as the node. The table splits the probability mass into equal
//! columns of at most two indices each, so a draw is one random number, one look-up, one compare.
//!
//! Source: Vose, "A linear algorithm for generating random numbers with a given distribution",
//! IEEE Transactions on Software Engineering 17(9), 1991.

use crate::Rng;

/// Draws indices `0..len` with fixed probabilities.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// Per column: the probability to stay in it as a multiple of 2⁻³², and where to go otherwise.
    columns: Vec<(u64, u32)>,
}

impl Weighted {
    /// A table for `weights`. `None` if there are none, if one is negative, infinite or NaN, or if
    /// all are 0. An index of weight 0 is never drawn.
    #[must_use]
    pub fn new(weights: &[f64]) -> Option<Self> {
        let n = u32::try_from(weights.len()).ok()?;
        let largest = weights.iter().fold(0.0, |m: f64, &w| m.max(w));
        let valid = weights.iter().all(|&w| w.is_finite() && w >= 0.0);
        if !valid || largest == 0.0 {
            return None;
        }
        // Scaled by the largest first, so that the sum stays finite.
        let total: f64 = weights.iter().map(|w| w / largest).sum();
        let mut mass: Vec<f64> = weights
            .iter()
            .map(|w| w / largest * weights.len() as f64 / total)
            .collect();
        let mut columns: Vec<(f64, u32)> = (0..n).map(|i| (1.0, i)).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..n).partition(|&i| mass[i as usize] < 1.0);
        while let (Some(&s), Some(&l)) = (small.last(), large.last()) {
            small.pop();
            let (poor, rich) = (s as usize, l as usize);
            columns[poor] = (mass[poor], l);
            mass[rich] -= 1.0 - mass[poor];
            if mass[rich] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        // What is left differs from a full column by rounding only, except that a weight of 0
        // must stay impossible: such a column goes wholly to an index that has weight.
        if let Some(heaviest) = (0..n).find(|&i| weights[i as usize] == largest) {
            for s in small {
                if weights[s as usize] == 0.0 {
                    columns[s as usize] = (0.0, heaviest);
                }
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a probability in [0, 1] times 2³²"
        )]
        let fixed = |stay: f64| (stay.clamp(0.0, 1.0) * 4_294_967_296.0).round() as u64;
        Some(Self {
            columns: columns
                .into_iter()
                .map(|(stay, to)| (fixed(stay), to))
                .collect(),
        })
    }

    /// One index.
    #[inline]
    pub fn sample(&self, rng: &mut Rng) -> usize {
        // One word serves both: the upper half of word·n is the column, the lower half the coin.
        let product = u64::from(rng.u32()) * self.columns.len() as u64;
        let column = (product >> 32) as usize;
        let (stay, alias) = self.columns[column];
        std::hint::select_unpredictable(product & 0xffff_ffff < stay, column, alias as usize)
    }

    /// Number of indices, those of weight 0 included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a table is never empty")]
    pub fn len(&self) -> usize {
        self.columns.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_follow_the_weights() {
        let rows: &[&[f64]] = &[
            &[1.0],
            &[1.0, 1.0],
            &[0.0, 1.0, 0.0, 3.0],
            &[1e-3, 1.0, 7.0, 2.5, 2.5],
            &[f64::MAX, f64::MAX, f64::MAX],
            &[1e-320, 1e-320],
            &[5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.25, 0.0],
        ];
        for (stream, weights) in rows.iter().enumerate() {
            let table = Weighted::new(weights).unwrap();
            assert_eq!(table.len(), weights.len());
            let mut rng = Rng::new(1, stream as u64);
            const N: usize = 100_000;
            let mut counts = vec![0usize; weights.len()];
            for _ in 0..N {
                counts[table.sample(&mut rng)] += 1;
            }
            let largest = weights.iter().fold(0.0, |m: f64, &w| m.max(w));
            let total: f64 = weights.iter().map(|w| w / largest).sum();
            for (&weight, &count) in weights.iter().zip(&counts) {
                let p = weight / largest / total;
                let error = 4.5 * (N as f64 * p * (1.0 - p)).sqrt();
                let distance = (count as f64 - N as f64 * p).abs();
                assert!(distance <= error, "{weights:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for weights in [
            &[][..],
            &[0.0, 0.0],
            &[1.0, -1.0],
            &[f64::NAN],
            &[f64::INFINITY, 1.0],
        ] {
            assert!(Weighted::new(weights).is_none(), "{weights:?}");
        }
    }
}
