//! What evolution asks of a genome, whichever kind it is.

use opcodon_evo::Rng;
use opcodon_expr::Expr;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::code::Code;
use crate::evolve::Operator;
use crate::gene::{Gene, MAX_INDEX, Opcode, Operand};
use crate::linear::LinearCode;
use crate::program::Program;
use crate::repertoire::Repertoire;
use crate::tree::TreeCode;
use crate::variation::Variation;
use crate::{McodeError, Tier, effective};

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::LinearCode {}
    impl Sealed for crate::TreeCode {}
}

/// A kind of genome: [`LinearCode`] or [`TreeCode`].
pub trait Genome: sealed::Sealed + Clone + Send + Sync + Serialize + DeserializeOwned {
    /// The word for the kind.
    const KIND: &'static str;

    /// The genome of an expression.
    ///
    /// # Errors
    /// If it has none.
    fn from_expression(expr: &Expr, tier: Tier, n_columns: usize) -> Result<Self, McodeError>;

    /// A random individual of the first population.
    fn random(rng: &mut Rng, repertoire: &Repertoire, variation: &Variation) -> Self;

    /// Becomes a child of two parents, and says how; `scratch` is memory for what comes between.
    fn breed(
        &mut self,
        scratch: &mut Self,
        rng: &mut Rng,
        first: &Self,
        second: &Self,
        repertoire: &Repertoire,
        variation: &Variation,
    ) -> Operator;

    /// The code that is run.
    fn code(&self) -> &Code;

    /// The constants, to be refitted in place.
    fn constants_mut(&mut self) -> &mut [f64];

    /// The genome without what has no influence on its result, and with its value times a slope
    /// plus an intercept; none if that has too many slots.
    fn finished(&self, slope: f64, intercept: f64) -> Option<Self>;

    /// The genome as a batch takes it.
    fn program(&self) -> Program<'_>;

    /// Nodes of the formula as a tree, saturated.
    fn n_nodes(&self) -> u64 {
        self.code().n_nodes()
    }

    /// Slots that influence the result.
    fn n_effective(&self) -> usize {
        effective::count(self.code())
    }

    /// The formula.
    ///
    /// # Errors
    /// If it has more than `max_nodes` nodes as a tree.
    fn formula(&self, max_nodes: u64) -> Result<Expr, McodeError> {
        self.code().to_expression(max_nodes)
    }
}

impl Genome for LinearCode {
    const KIND: &'static str = "linear";

    fn from_expression(
        expr: &Expr,
        tier: Tier,
        n_columns: usize,
    ) -> Result<LinearCode, McodeError> {
        LinearCode::from_expression(expr, tier, n_columns)
    }

    fn finished(&self, slope: f64, intercept: f64) -> Option<LinearCode> {
        let mut code = self.strip().code().clone();
        for (opcode, value) in line(slope, intercept) {
            let gene = Gene {
                opcode,
                dst: 0,
                a: 0,
                b: Operand::Constant(0),
            };
            code.push(gene, value);
        }
        code.try_into().ok()
    }

    fn random(rng: &mut Rng, repertoire: &Repertoire, variation: &Variation) -> LinearCode {
        let n_slots = rng.range(1, variation.initial_slots.max(1));
        LinearCode::random(rng, repertoire, n_slots)
    }

    fn breed(
        &mut self,
        _scratch: &mut LinearCode,
        rng: &mut Rng,
        first: &LinearCode,
        second: &LinearCode,
        repertoire: &Repertoire,
        variation: &Variation,
    ) -> Operator {
        let max_slots = variation.max_slots;
        let [crosses, is_homologous, mutates] = [
            variation.crossover,
            variation.homologous,
            variation.mutation,
        ]
        .map(|p| rng.bool(p));
        let homologous = crosses.then_some(is_homologous);
        self.cross(rng, first, second, max_slots, homologous);
        let mutates = mutates | !crosses;
        if mutates {
            self.mutate(rng, repertoire, max_slots);
        }
        match (homologous, mutates) {
            (None, _) => Operator::Mutation,
            (Some(false), false) => Operator::Crossover,
            (Some(false), true) => Operator::CrossoverMutation,
            (Some(true), false) => Operator::Homologous,
            (Some(true), true) => Operator::HomologousMutation,
        }
    }

    fn code(&self) -> &Code {
        LinearCode::code(self)
    }

    fn program(&self) -> Program<'_> {
        self.into()
    }

    fn constants_mut(&mut self) -> &mut [f64] {
        LinearCode::constants_mut(self)
    }
}

/// What a value goes through to lie on a straight line.
fn line(slope: f64, intercept: f64) -> impl Iterator<Item = (Opcode, f64)> {
    let genes = [
        (Opcode::Mul, slope, slope != 1.0),
        (Opcode::Add, intercept, intercept != 0.0),
    ];
    let needed = genes.into_iter().filter(|gene| gene.2);
    needed.map(|(opcode, value, _)| (opcode, value))
}

impl Genome for TreeCode {
    const KIND: &'static str = "tree";

    fn from_expression(expr: &Expr, tier: Tier, n_columns: usize) -> Result<TreeCode, McodeError> {
        TreeCode::from_expression(expr, tier, n_columns)
    }

    fn finished(&self, slope: f64, intercept: f64) -> Option<TreeCode> {
        let mut code = TreeCode::code(self).clone();
        for (opcode, value) in line(slope, intercept) {
            if code.constants().len() == MAX_INDEX {
                return None;
            }
            let load = Gene {
                opcode: Opcode::Load,
                dst: 1,
                a: 0,
                b: Operand::Constant(0),
            };
            code.push(load, value);
            let b = Operand::Register(1);
            code.push(
                Gene {
                    opcode,
                    dst: 0,
                    a: 0,
                    b,
                },
                0.0,
            );
        }
        code.try_into().ok()
    }

    fn random(rng: &mut Rng, repertoire: &Repertoire, variation: &Variation) -> TreeCode {
        let depth = rng.range(2, 6);
        for _ in 0..8 {
            let tree = TreeCode::random(rng, repertoire, depth);
            if tree.code().slots().len() <= variation.initial_slots {
                return tree;
            }
        }
        TreeCode::random(rng, repertoire, 1)
    }

    fn breed(
        &mut self,
        scratch: &mut TreeCode,
        rng: &mut Rng,
        first: &TreeCode,
        second: &TreeCode,
        repertoire: &Repertoire,
        variation: &Variation,
    ) -> Operator {
        if !rng.bool(variation.crossover) {
            self.mutate(rng, first, repertoire, variation.max_slots);
            Operator::Mutation
        } else if rng.bool(variation.mutation) {
            scratch.crossover(rng, first, second, variation.max_slots);
            self.mutate(rng, scratch, repertoire, variation.max_slots);
            Operator::CrossoverMutation
        } else {
            self.crossover(rng, first, second, variation.max_slots);
            Operator::Crossover
        }
    }

    fn code(&self) -> &Code {
        TreeCode::code(self)
    }

    fn program(&self) -> Program<'_> {
        self.into()
    }

    fn n_nodes(&self) -> u64 {
        TreeCode::code(self).n_genes() as u64
    }

    fn n_effective(&self) -> usize {
        TreeCode::code(self).slots().len()
    }

    fn constants_mut(&mut self) -> &mut [f64] {
        TreeCode::constants_mut(self)
    }
}
