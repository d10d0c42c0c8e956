//! Evolution of any genome: selection, non-dominated sort, archive, counter-based RNG, stopping.
