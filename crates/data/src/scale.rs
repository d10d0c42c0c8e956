//! Standardising columns, and the way back.
//!
//! Constants are found more easily when all columns have mean 0 and standard deviation 1. A column
//! `x` becomes `z = (x − shift) / scale`; a formula in `z` becomes one in `x` by putting that in.
//!
//! # Invariant
//! `scale` is a positive finite number: a constant column keeps scale 1 and becomes zeros.

/// How one column is scaled: `z = (x − shift) / scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standard {
    /// The column's mean.
    pub shift: f64,
    /// The column's standard deviation (division by n), 1 if the column is constant.
    pub scale: f64,
}

impl Standard {
    /// The scaling that changes nothing.
    pub const IDENTITY: Self = Self {
        shift: 0.0,
        scale: 1.0,
    };

    /// Mean and standard deviation of a column of finite numbers. Columns without rows, or with
    /// values that leave no finite mean, get the identity.
    #[must_use]
    pub fn of(column: &[f64]) -> Self {
        let largest = column.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let Some(&first) = column.first() else {
            return Self::IDENTITY;
        };
        if !column.iter().all(|v| v.is_finite()) {
            return Self::IDENTITY;
        }
        if column.iter().all(|&v| v == first) {
            return Self {
                shift: first,
                scale: 1.0,
            };
        }
        // In units of a power of two near the largest value: exact, and sums and squares neither
        // overflow nor vanish.
        let unit = power_of_two_below(largest);
        let n = column.len() as f64;
        let rough = column.iter().map(|v| v / unit).sum::<f64>() / n;
        // The mean of what remains corrects the rounding of the first mean.
        let mean = rough + column.iter().map(|v| v / unit - rough).sum::<f64>() / n;
        let variance = column
            .iter()
            .map(|v| (v / unit - mean).powi(2))
            .sum::<f64>()
            / n;
        let standard = Self {
            shift: mean * unit,
            scale: variance.sqrt() * unit,
        };
        if standard.scale > 0.0 && standard.scale.is_finite() {
            standard
        } else {
            Self {
                shift: standard.shift,
                scale: 1.0,
            }
        }
    }

    /// `z` of `x`.
    #[inline]
    #[must_use]
    pub fn forward(self, x: f64) -> f64 {
        (x - self.shift) / self.scale
    }

    /// `x` of `z`.
    #[inline]
    #[must_use]
    pub fn back(self, z: f64) -> f64 {
        z * self.scale + self.shift
    }
}

/// The largest power of two not above a positive number; 2⁻¹⁰²² at least.
fn power_of_two_below(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff << 52;
    f64::from_bits(x.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

/// The scalings of several columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scaler {
    /// One per column.
    pub standards: Vec<Standard>,
}

impl Scaler {
    /// Scalings to mean 0 and standard deviation 1.
    #[must_use]
    pub fn fit<C: AsRef<[f64]>>(columns: &[C]) -> Self {
        Self {
            standards: columns.iter().map(|c| Standard::of(c.as_ref())).collect(),
        }
    }

    /// The scaled columns.
    #[must_use]
    pub fn forward<C: AsRef<[f64]>>(&self, columns: &[C]) -> Vec<Vec<f64>> {
        let pairs = columns.iter().zip(&self.standards);
        pairs
            .map(|(c, s)| c.as_ref().iter().map(|&x| s.forward(x)).collect())
            .collect()
    }

    /// The columns behind scaled ones.
    #[must_use]
    pub fn back<C: AsRef<[f64]>>(&self, columns: &[C]) -> Vec<Vec<f64>> {
        let pairs = columns.iter().zip(&self.standards);
        pairs
            .map(|(c, s)| c.as_ref().iter().map(|&z| s.back(z)).collect())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_any_magnitude() {
        // column, mean, standard deviation
        let rows: &[(&[f64], f64, f64)] = &[
            (&[1.0, 3.0], 2.0, 1.0),
            (&[0.0, 0.0, 3.0, 3.0], 1.5, 1.5),
            (&[1e9 + 1.0, 1e9 + 3.0], 1e9 + 2.0, 1.0),
            (&[1e308, -1e308], 0.0, 1e308),
            (&[1.5e308, 1.0e308], 1.25e308, 0.25e308),
            (&[2e-320, 4e-320], 3e-320, 1e-320),
            (&[7.0, 7.0, 7.0], 7.0, 1.0),
            (&[f64::MAX; 3], f64::MAX, 1.0),
            (&[0.1; 10], 0.1, 1.0),
            (&[5.0], 5.0, 1.0),
            (&[], 0.0, 1.0),
            (&[f64::NAN, 1.0], 0.0, 1.0),
            (&[f64::INFINITY, 1.0], 0.0, 1.0),
        ];
        for &(column, mean, deviation) in rows {
            let s = Standard::of(column);
            let close =
                |a: f64, b: f64| a == b || (a / 4.0 - b / 4.0).abs() <= 1e-3 * b.abs() / 4.0;
            let precise =
                |a: f64, b: f64| a == b || (a / b - 1.0).abs() < 1e-14 || b.abs() < 1e-300;
            assert!(
                close(s.shift, mean) && precise(s.shift, mean),
                "{column:?}: {s:?}"
            );
            assert!(
                close(s.scale, deviation) && precise(s.scale, deviation),
                "{column:?}: {s:?}"
            );
            assert!(s.scale > 0.0 && s.scale.is_finite());
        }
    }

    #[test]
    fn forward_standardises_and_back_returns() {
        let columns: Vec<Vec<f64>> = vec![
            (0..100).map(|i| f64::from(i * i) - 300.0).collect(),
            vec![3.0; 100],
            (0..100).map(|i| 1e12 + f64::from(i % 7)).collect(),
        ];
        let scaler = Scaler::fit(&columns);
        let scaled = scaler.forward(&columns);
        for (index, z) in scaled.iter().enumerate() {
            let mean = z.iter().sum::<f64>() / 100.0;
            let variance = z.iter().map(|v| v * v).sum::<f64>() / 100.0;
            assert!(mean.abs() < 1e-4, "{mean}");
            let expected = if index == 1 { 0.0 } else { 1.0 };
            assert!(
                (variance - expected).abs() < 1e-4,
                "column {index}: {variance}"
            );
        }
        for (x, back) in columns
            .iter()
            .flatten()
            .zip(scaler.back(&scaled).iter().flatten())
        {
            assert!((x - back).abs() <= 1e-12 * x.abs().max(1.0), "{x} {back}");
        }
    }
}
