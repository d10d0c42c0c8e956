//! Data sets: aligned columns, CSV, splits, scaling.
