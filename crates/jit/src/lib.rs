//! Expression compiler: tape, register allocation, lowering, vector math, gradient, batches.
