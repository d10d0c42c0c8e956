//! Tree genetic programming: initialisation, crossover, mutation.
