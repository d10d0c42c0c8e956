//! Front door for Rust users: re-exports and the tour.
