//! Python types to Rust types and back (PyO3, abi3).
