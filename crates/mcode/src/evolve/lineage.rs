//! Lineages: from whom a genome comes, where births are recorded.
//!
//! A birth is known by its random stream, which no other child of a run has. Demes take down all
//! births of an epoch; between two epochs, the births that are no ancestors of anything alive are
//! forgotten. Ancestors are followed from child to mother, the parent of which most is kept: after
//! some generations nearly everybody who had children at all is an ancestor by some father. A
//! father is remembered as long as his child is, but not where he came from.
//!
//! # Invariant
//! Recording draws no random numbers: a run is the same with it and without.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::genome::Genome;

macro_rules! operators {
    ($($name:ident $text:literal $doc:literal;)*) => {
        /// How a genome was made of its parents.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Operator { $(#[doc = $doc] $name,)* }

        impl Operator {
            /// In words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Operator::$name => $text,)* }
            }
        }
    };
}
operators! {
    Random "random" "By chance, of no parents.";
    Mutation "mutation" "Mutation of one parent.";
    Crossover "crossover" "A part of one parent replaced by one of the other.";
    Homologous "homologous crossover" "A part replaced by what is in its place in the other parent.";
    CrossoverMutation "crossover, mutation" "Crossover, and mutation of its child.";
    HomologousMutation "homologous crossover, mutation" "Homologous crossover, and mutation of its child.";
}

impl Operator {
    /// Whether the second parent has a part in the child.
    pub(crate) fn has_father(self) -> bool {
        !matches!(self, Operator::Random | Operator::Mutation)
    }
}

/// How one genome came to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "G: Genome")]
pub struct Birth<G> {
    /// The number of the birth.
    pub id: u64,
    /// The deme.
    pub deme: u64,
    /// The deme's step; 0 for the first population.
    pub step: u64,
    /// What made it.
    pub operator: Operator,
    /// The birth of the parent of which most is kept.
    pub mother: Option<u64>,
    /// The birth of the other parent.
    pub father: Option<u64>,
    /// What was born.
    pub genome: G,
    /// Its error; nothing if it had none.
    pub loss: Option<f64>,
}

/// Births, of which those that matter to nobody alive are forgotten now and then.
pub(crate) struct Register<G> {
    births: BTreeMap<u64, Birth<G>>,
}

impl<G> Register<G> {
    pub(crate) fn new(births: impl IntoIterator<Item = Birth<G>>) -> Register<G> {
        let births = births.into_iter().map(|birth| (birth.id, birth));
        Register {
            births: births.collect(),
        }
    }

    pub(crate) fn extend(&mut self, births: impl IntoIterator<Item = Birth<G>>) {
        let births = births.into_iter().map(|birth| (birth.id, birth));
        self.births.extend(births);
    }

    /// Forgets who is no ancestor of these.
    pub(crate) fn keep_ancestors(&mut self, living: impl Iterator<Item = u64>) {
        let (mut lines, mut fathers) = (BTreeSet::new(), BTreeSet::new());
        for start in living {
            let mut next = Some(start);
            // What is known is known with all its ancestors.
            while let Some(id) = next.filter(|&id| lines.insert(id)) {
                let birth = self.births.get(&id);
                next = birth.and_then(|birth| birth.mother);
                fathers.extend(birth.and_then(|birth| birth.father));
            }
        }
        self.births
            .retain(|id, _| lines.contains(id) || fathers.contains(id));
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Birth<G>> {
        self.births.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Birth<G>> {
        self.births.values()
    }
}
