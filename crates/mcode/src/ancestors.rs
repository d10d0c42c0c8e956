//! The ancestors of a front, where births were recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use opcodon_evo::Archive;
use opcodon_expr::print;
use serde::{Deserialize, Serialize};

use crate::evolve::{Birth, Born, Islands, Operator};
use crate::genome::Genome;

/// Most nodes of a formula that is written down.
const MAX_NODES: u64 = 1000;

/// A genome of the front, or one from which it comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ancestor {
    /// The number of its birth.
    pub birth: u64,
    /// The island on which it was born.
    pub island: u64,
    /// The step of the island; 0 for the first population.
    pub step: u64,
    /// What made it.
    pub operator: Operator,
    /// The birth of the parent of which most was kept.
    pub mother: Option<u64>,
    /// The birth of the other parent, whose own ancestors are not told.
    pub father: Option<u64>,
    /// Mean squared error as the search saw it, if it had one.
    pub loss: Option<f64>,
    /// Nodes of the formula.
    pub size: u64,
    /// Its formula, without the straight line that the search puts after it.
    pub formula: String,
}

impl Ancestor {
    fn new<G: Genome>(birth: &Birth<G>, names: &[String]) -> Ancestor {
        let formula = birth.genome.formula(MAX_NODES);
        Ancestor {
            birth: birth.id,
            island: birth.deme,
            step: birth.step,
            operator: birth.operator,
            mother: birth.mother,
            father: birth.father,
            loss: birth.loss,
            size: birth.genome.n_nodes(),
            formula: formula.map_or_else(
                |error| format!("({error})"),
                |expr| print::infix(&expr, names),
            ),
        }
    }
}

/// All remembered ancestors of a front and their fathers, by their births.
pub(crate) fn ancestors<G: Genome>(
    islands: &Islands<G>,
    front: &Archive<Born<G>>,
    names: &[String],
) -> Vec<Ancestor> {
    let (mut found, mut walked) = (BTreeMap::new(), BTreeSet::new());
    for entry in front.iter() {
        let mut next = Some(entry.genome.birth);
        // Lines that have met stay together.
        while let Some(birth) = next
            .filter(|&id| walked.insert(id))
            .and_then(|id| islands.birth(id))
        {
            let father = birth.father.and_then(|id| islands.birth(id));
            for birth in father.into_iter().chain([birth]) {
                found
                    .entry(birth.id)
                    .or_insert_with(|| Ancestor::new(birth, names));
            }
            next = birth.mother;
        }
    }
    found.into_values().collect()
}

/// From the first ancestor to a genome, each made of the one before.
#[derive(Clone, Debug)]
pub struct Lineage<'a> {
    /// Each with its father.
    pub generations: Vec<(&'a Ancestor, Option<&'a Ancestor>)>,
}

impl<'a> Lineage<'a> {
    /// The line that ends with this birth; nothing if it is not among the ancestors, which are in
    /// the order of their births.
    pub(crate) fn of(ancestors: &'a [Ancestor], birth: u64) -> Lineage<'a> {
        let find = |birth: u64| {
            let place = ancestors.binary_search_by_key(&birth, |ancestor| ancestor.birth);
            place.ok().map(|place| &ancestors[place])
        };
        let mut generations = Vec::new();
        let mut next = find(birth);
        // What was read from a checkpoint might go in circles.
        while let Some(ancestor) = next.filter(|_| generations.len() < ancestors.len()) {
            generations.push((ancestor, ancestor.father.and_then(find)));
            next = ancestor.mother.and_then(find);
        }
        generations.reverse();
        Lineage { generations }
    }
}

/// Why ancestors contradict each other, if they do: then lines might not end.
pub(crate) fn contradiction(ancestors: &[Ancestor]) -> Option<String> {
    let is_sorted = ancestors.is_sorted_by(|a, b| a.birth < b.birth);
    if !is_sorted {
        return Some("its ancestors are not in the order of their births".into());
    }
    let early = ancestors.iter().find(|ancestor| {
        let mother = ancestor.mother;
        let place = mother.and_then(|m| {
            ancestors
                .binary_search_by_key(&m, |ancestor| ancestor.birth)
                .ok()
        });
        place.is_some_and(|place| ancestors[place].step >= ancestor.step)
    });
    early.map(|ancestor| format!("birth {} is not after that of its mother", ancestor.birth))
}

impl fmt::Display for Lineage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |(ancestor, _): &(&Ancestor, _)| ancestor.operator.text().len();
        let width = self.generations.iter().map(width).max().unwrap_or(0);
        write!(
            f,
            "  step  island  {:width$}           loss  size  formula",
            "made by"
        )?;
        for (ancestor, father) in &self.generations {
            let Ancestor {
                step,
                island,
                operator,
                loss,
                size,
                formula,
                ..
            } = ancestor;
            let loss = loss.map_or("none".into(), |loss| format!("{loss:.6e}"));
            write!(
                f,
                "\n{step:6}  {island:6}  {:width$}  {loss:>13}  {size:4}  {formula}",
                operator.text()
            )?;
            if let Some(father) = father {
                write!(f, "  (with {})", father.formula)?;
            }
        }
        Ok(())
    }
}
