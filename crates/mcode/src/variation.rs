//! How children are made, whichever kind of genome they are.

/// How children are made, and their limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Variation {
    /// Most slots of a genome; linear genomes have 256 at most.
    pub max_slots: usize,
    /// Most nodes of a genome's formula as a tree; a larger one counts as a failure.
    pub max_nodes: u64,
    /// Most slots of a genome of the first population.
    pub initial_slots: usize,
    /// Probability that a child has two parents.
    pub crossover: f64,
    /// Share of homologous crossover among crossovers of linear genomes.
    pub homologous: f64,
    /// Probability that a child of two parents is mutated too.
    pub mutation: f64,
}

impl Default for Variation {
    fn default() -> Variation {
        Variation {
            max_slots: 64,
            max_nodes: 1000,
            initial_slots: 24,
            crossover: 0.6,
            homologous: 0.5,
            mutation: 0.5,
        }
    }
}
