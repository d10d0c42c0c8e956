//! For tests only: ULP distance, counted skips, generators.
