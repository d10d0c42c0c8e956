//! Code memory: pages, sealing, signatures and calling conventions, CPU tokens.
