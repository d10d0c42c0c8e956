//! A genome of either kind, where the kind is known at run time only: in files and in faces.

use opcodon_expr::Expr;

use crate::code::Code;
use crate::config::Kind;
use crate::linear::LinearCode;
use crate::program::Program;
use crate::tree::{Mark, TreeCode};
use crate::{McodeError, effective};

/// A genome of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Individual {
    /// A list of instructions over registers.
    Linear(LinearCode),
    /// A formula in which every subtree is one range of slots.
    Tree(TreeCode),
}

impl<'a> From<&'a Individual> for Program<'a> {
    fn from(individual: &'a Individual) -> Program<'a> {
        match individual {
            Individual::Linear(linear) => linear.into(),
            Individual::Tree(tree) => tree.into(),
        }
    }
}

impl Individual {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Individual::Linear(_) => Kind::Linear,
            Individual::Tree(_) => Kind::Tree,
        }
    }

    /// The code that is run.
    #[must_use]
    pub fn code(&self) -> &Code {
        match self {
            Individual::Linear(linear) => linear.code(),
            Individual::Tree(tree) => tree.code(),
        }
    }

    /// The constants, to be refitted in place.
    pub fn constants_mut(&mut self) -> &mut [f64] {
        match self {
            Individual::Linear(linear) => linear.constants_mut(),
            Individual::Tree(tree) => tree.constants_mut(),
        }
    }

    /// The nodes of a tree in postfix order; none of a linear genome.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        match self {
            Individual::Linear(_) => Vec::new(),
            Individual::Tree(tree) => tree.marks(),
        }
    }

    /// The formula.
    ///
    /// # Errors
    /// If it has more than `max_nodes` nodes as a tree, or works on bits.
    pub fn formula(&self, max_nodes: u64) -> Result<Expr, McodeError> {
        self.code().to_expression(max_nodes)
    }

    /// What each gene does, with its first slot: its text, and the node that it is in a tree, or
    /// whether it is an intron of a linear genome.
    #[must_use]
    pub fn listing_notes(&self, names: &[String]) -> Vec<(usize, String)> {
        let effective = effective::mark(self.code()).slots;
        let marks = self.marks();
        let mut notes = self.code().notes(names);
        for (node, (slot, note)) in notes.iter_mut().enumerate() {
            // A tree has a node a gene.
            if let Some(mark) = marks.get(node) {
                *note = format!("{note:<24} node {node}: [{}, {})", mark.begin, mark.end);
            } else if !effective[*slot] {
                *note = format!("{note:<24} intron");
            }
        }
        notes
    }
}

impl From<LinearCode> for Individual {
    fn from(linear: LinearCode) -> Individual {
        Individual::Linear(linear)
    }
}

impl From<TreeCode> for Individual {
    fn from(tree: TreeCode) -> Individual {
        Individual::Tree(tree)
    }
}
