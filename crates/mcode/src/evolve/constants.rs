//! Constants of a genome in executable memory, refitted without new code.

use opcodon_evo::Rng;

use crate::McodeError;
use crate::batch::Batch;
use crate::blocks::Blocks;

/// Lowers the loss of a loaded genome by moving one constant at a time, as often as said; returns
/// the loss reached from `loss`.
///
/// A constant moves to the lowest point of the parabola through three losses, which is exact where
/// the formula is linear in it.
pub(crate) fn descend(
    batch: &Batch,
    genome: usize,
    data: &Blocks,
    constants: &mut [f64],
    mut loss: f64,
    times: usize,
    rng: &mut Rng,
) -> Result<f64, McodeError> {
    if constants.is_empty() || !loss.is_finite() {
        return Ok(loss);
    }
    for _ in 0..times {
        let k = rng.below(constants.len());
        let (middle, width) = (constants[k], 1e-2 * (constants[k].abs() + 0.1));
        let mut lowest = (loss, middle);
        let mut trial = |value: f64| -> Result<f64, McodeError> {
            constants[k] = value;
            let loss = batch.loss_with(genome, data, constants)?;
            if loss < lowest.0 {
                lowest = (loss, value);
            }
            Ok(loss)
        };
        let [left, right] = [trial(middle - width)?, trial(middle + width)?];
        let curvature = left - 2.0 * loss + right;
        trial(middle + 0.5 * width * (left - right) / curvature)?;
        (loss, constants[k]) = lowest;
    }
    Ok(loss)
}
