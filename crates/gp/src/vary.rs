//! Variation: drawing operators by weight, and always getting a child.
//!
//! A child is made by crossover, by mutation, or by one after the other, as two probabilities say;
//! if neither is drawn it is mutated, because a copy would be evaluated in vain. An operator that
//! does not apply to its parent is replaced by another draw. What was applied is part of the
//! result, so that a search can learn which operators pay.

use opcodon_evo::{Rng, Weighted};
use opcodon_expr::Expr;

use crate::limits::Limits;
use crate::primitives::PrimitiveSet;
use crate::workspace::Workspace;
use crate::{crossover, init, mutate};

/// The crossover operators; see [`crossover`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Crossover {
    /// [`crossover::subtree`].
    Subtree,
    /// [`crossover::size_fair`].
    SizeFair,
    /// [`crossover::one_point`].
    OnePoint,
}

impl Crossover {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Subtree, Self::SizeFair, Self::OnePoint];

    /// Its name in reports and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Subtree => "subtree",
            Self::SizeFair => "size-fair",
            Self::OnePoint => "one-point",
        }
    }
}

/// The mutation operators; see [`mutate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mutation {
    /// [`mutate::point`].
    Point,
    /// [`mutate::multi_point`].
    MultiPoint,
    /// [`mutate::subtree`].
    Subtree,
    /// [`mutate::insert`].
    Insert,
    /// [`mutate::shrink`].
    Shrink,
    /// [`mutate::prune`].
    Prune,
    /// [`mutate::hoist`].
    Hoist,
    /// [`mutate::swap`].
    Swap,
    /// [`mutate::rotate`].
    Rotate,
    /// [`mutate::constant`].
    Constant,
    /// [`mutate::constants`].
    Constants,
    /// [`mutate::variable`].
    Variable,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Point,
        Self::MultiPoint,
        Self::Subtree,
        Self::Insert,
        Self::Shrink,
        Self::Prune,
        Self::Hoist,
        Self::Swap,
        Self::Rotate,
        Self::Constant,
        Self::Constants,
        Self::Variable,
    ];

    /// Its name in reports and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::MultiPoint => "multi-point",
            Self::Subtree => "subtree",
            Self::Insert => "insert",
            Self::Shrink => "shrink",
            Self::Prune => "prune",
            Self::Hoist => "hoist",
            Self::Swap => "swap",
            Self::Rotate => "rotate",
            Self::Constant => "constant",
            Self::Constants => "constants",
            Self::Variable => "variable",
        }
    }
}

/// How often what is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Probability of a crossover.
    pub crossover: f64,
    /// Probability of a mutation, after the crossover if there was one.
    pub mutation: f64,
    /// Probability that a crossover or subtree mutation takes place at an internal node.
    pub internal: f64,
    /// Weight of each crossover operator.
    pub crossovers: Vec<(Crossover, f64)>,
    /// Weight of each mutation operator.
    pub mutations: Vec<(Mutation, f64)>,
    /// Size of a typical change of a constant, relative to it or to 1.
    pub sigma: f64,
    /// Nodes changed by a multi-point mutation on average.
    pub points: f64,
}

/// After Operon (crossover always, internal nodes 90 %, mutation 25 %), with the smaller steps of
/// PySR added.
impl Default for Rates {
    fn default() -> Self {
        Self {
            crossover: 1.0,
            mutation: 0.25,
            internal: 0.9,
            crossovers: vec![
                (Crossover::Subtree, 0.6),
                (Crossover::SizeFair, 0.3),
                (Crossover::OnePoint, 0.1),
            ],
            mutations: vec![
                (Mutation::Point, 1.0),
                (Mutation::MultiPoint, 1.0),
                (Mutation::Subtree, 1.0),
                (Mutation::Insert, 1.0),
                (Mutation::Shrink, 1.0),
                (Mutation::Prune, 0.5),
                (Mutation::Hoist, 0.5),
                (Mutation::Swap, 0.5),
                (Mutation::Rotate, 1.0),
                (Mutation::Constant, 1.0),
                (Mutation::Constants, 0.5),
                (Mutation::Variable, 1.0),
            ],
            sigma: 0.3,
            points: 2.0,
        }
    }
}

/// Why rates make no variation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VariationError {
    /// A probability is none.
    #[error("the probability of {what} is {value}; it must lie between 0 and 1")]
    Probability {
        /// Of what.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// A size of change is not positive.
    #[error("{what} is {value}; it must be a positive number")]
    Step {
        /// Of what.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// Weights cannot be drawn from.
    #[error("the weights of {kind} operators must be 0 or positive, and at least one positive")]
    Weights {
        /// "crossover" or "mutation".
        kind: &'static str,
    },
    /// No tree is within the limits.
    #[error(
        "limits of {max_size} node(s) and depth {max_depth} allow no tree; both must be 1 or more"
    )]
    Limits {
        /// The size limit.
        max_size: usize,
        /// The depth limit.
        max_depth: usize,
    },
}

/// A child and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The child.
    pub expr: Expr,
    /// The crossover that was applied.
    pub crossover: Option<Crossover>,
    /// The mutation that was applied, after the crossover if there was one. A child that has
    /// neither is a new random tree.
    pub mutation: Option<Mutation>,
}

/// Makes children: primitives, limits and rates together.
///
/// ```
/// use opcodon_evo::Rng;
/// use opcodon_expr::{Op, parse};
/// use opcodon_gp::{Limits, PrimitiveSet, Rates, Variation, Workspace};
///
/// let set = PrimitiveSet::builder().operators(&[Op::Add, Op::Mul]).variables(2).build()?;
/// let variation = Variation::new(set, Limits::new(20, 8), Rates::default())?;
/// let (mother, father) = (parse("x0*x1 + x0", None)?.expr, parse("x1 + x1*x1", None)?.expr);
/// let mut rng = Rng::for_individual(42, 1, 0);
/// let child = variation.vary(&mut rng, &mut Workspace::new(), &mother, &father);
/// assert!(child.expr.len() <= 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Variation {
    set: PrimitiveSet,
    limits: Limits,
    rates: Rates,
    crossover_table: Option<Weighted>,
    mutation_table: Weighted,
}

/// Draws of an operator before another way is taken.
const MAX_DRAWS: usize = 8;

impl Variation {
    /// Checks the rates and prepares the draws.
    ///
    /// # Errors
    /// If a probability, a step or the weights are invalid, or the limits allow no tree.
    pub fn new(set: PrimitiveSet, limits: Limits, rates: Rates) -> Result<Self, VariationError> {
        let Limits {
            max_size,
            max_depth,
        } = limits;
        if max_size == 0 || max_depth == 0 {
            return Err(VariationError::Limits {
                max_size,
                max_depth,
            });
        }
        for (what, value) in [
            ("crossover", rates.crossover),
            ("mutation", rates.mutation),
            ("internal nodes", rates.internal),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(VariationError::Probability { what, value });
            }
        }
        for (what, value) in [("sigma", rates.sigma), ("points", rates.points)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(VariationError::Step { what, value });
            }
        }
        let crossover_table = table(&rates.crossovers);
        if rates.crossover > 0.0 && crossover_table.is_none() {
            return Err(VariationError::Weights { kind: "crossover" });
        }
        let mutation_table =
            table(&rates.mutations).ok_or(VariationError::Weights { kind: "mutation" })?;
        Ok(Self {
            set,
            limits,
            rates,
            crossover_table,
            mutation_table,
        })
    }

    /// The primitives.
    #[must_use]
    pub fn set(&self) -> &PrimitiveSet {
        &self.set
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The rates.
    #[must_use]
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Replaces the rates, for example by what a search has learned.
    ///
    /// # Errors
    /// As [`Variation::new`]; the rates are then as before.
    pub fn set_rates(&mut self, rates: Rates) -> Result<(), VariationError> {
        *self = Self::new(self.set.clone(), self.limits, rates)?;
        Ok(())
    }

    /// A child of two parents.
    pub fn vary(
        &self,
        rng: &mut Rng,
        space: &mut Workspace,
        mother: &Expr,
        father: &Expr,
    ) -> Child {
        let crossed = if rng.bool(self.rates.crossover) {
            self.cross(rng, space, mother, father)
        } else {
            None
        };
        let mutate = rng.bool(self.rates.mutation);
        match crossed {
            Some((expr, crossover)) if !mutate => Child {
                expr,
                crossover: Some(crossover),
                mutation: None,
            },
            Some((expr, crossover)) => {
                let mutated = self.try_mutate(rng, space, &expr);
                let crossover = Some(crossover);
                match mutated {
                    Some((expr, mutation)) => Child {
                        expr,
                        crossover,
                        mutation: Some(mutation),
                    },
                    None => Child {
                        expr,
                        crossover,
                        mutation: None,
                    },
                }
            }
            None => self.mutate(rng, space, mother),
        }
    }

    /// A child of one parent. If no mutation applies to it, which takes a parent far beyond the
    /// limits or very odd weights, the child is a new random tree.
    pub fn mutate(&self, rng: &mut Rng, space: &mut Workspace, parent: &Expr) -> Child {
        if let Some((expr, mutation)) = self.try_mutate(rng, space, parent) {
            return Child {
                expr,
                crossover: None,
                mutation: Some(mutation),
            };
        }
        let size = rng.range(1, self.limits.max_size.min(parent.len().max(3)));
        let expr = init::ptc2(rng, space, &self.set, self.limits, size);
        Child {
            expr,
            crossover: None,
            mutation: None,
        }
    }

    /// A child by a crossover drawn by weight; `None` if none applies to these parents.
    pub fn cross(
        &self,
        rng: &mut Rng,
        space: &mut Workspace,
        mother: &Expr,
        father: &Expr,
    ) -> Option<(Expr, Crossover)> {
        let table = self.crossover_table.as_ref()?;
        (0..MAX_DRAWS).find_map(|_| {
            let (operator, _) = self.rates.crossovers[table.sample(rng)];
            let child = self.apply_crossover(operator, rng, space, mother, father)?;
            Some((child, operator))
        })
    }

    fn try_mutate(
        &self,
        rng: &mut Rng,
        space: &mut Workspace,
        parent: &Expr,
    ) -> Option<(Expr, Mutation)> {
        (0..MAX_DRAWS).find_map(|_| {
            let (operator, _) = self.rates.mutations[self.mutation_table.sample(rng)];
            Some((self.apply_mutation(operator, rng, space, parent)?, operator))
        })
    }

    /// Applies this crossover; `None` if it does not apply to these parents.
    pub fn apply_crossover(
        &self,
        operator: Crossover,
        rng: &mut Rng,
        space: &mut Workspace,
        mother: &Expr,
        father: &Expr,
    ) -> Option<Expr> {
        let (limits, internal) = (self.limits, self.rates.internal);
        match operator {
            Crossover::Subtree => crossover::subtree(rng, space, limits, mother, father, internal),
            Crossover::SizeFair => {
                crossover::size_fair(rng, space, limits, mother, father, internal)
            }
            Crossover::OnePoint => crossover::one_point(rng, space, limits, mother, father),
        }
    }

    /// Applies this mutation; `None` if it does not apply to this parent.
    pub fn apply_mutation(
        &self,
        operator: Mutation,
        rng: &mut Rng,
        space: &mut Workspace,
        parent: &Expr,
    ) -> Option<Expr> {
        let Self {
            set, limits, rates, ..
        } = self;
        let limits = *limits;
        match operator {
            Mutation::Point => mutate::point(rng, set, limits, parent),
            Mutation::MultiPoint => mutate::multi_point(rng, set, limits, parent, rates.points),
            Mutation::Subtree => mutate::subtree(rng, space, set, limits, parent, rates.internal),
            Mutation::Insert => mutate::insert(rng, space, set, limits, parent),
            Mutation::Shrink => mutate::shrink(rng, space, limits, parent),
            Mutation::Prune => mutate::prune(rng, space, set, limits, parent),
            Mutation::Hoist => mutate::hoist(rng, space, limits, parent),
            Mutation::Swap => mutate::swap(rng, space, limits, parent),
            Mutation::Rotate => mutate::rotate(rng, space, limits, parent),
            Mutation::Constant => mutate::constant(rng, limits, parent, rates.sigma),
            Mutation::Constants => mutate::constants(rng, limits, parent, rates.sigma),
            Mutation::Variable => mutate::variable(rng, set, limits, parent),
        }
    }
}

fn table<T>(weights: &[(T, f64)]) -> Option<Weighted> {
    let weights: Vec<f64> = weights.iter().map(|&(_, weight)| weight).collect();
    Weighted::new(&weights)
}
