//! What trees are made of: operators, variables and constants, each with its weight.
//!
//! Weights say how often a primitive is drawn in comparison with the others of its kind: operators
//! among operators, variables and constants among leaves. The draw is by alias tables, one for all
//! operators and one for each arity, because growth to an exact size has to ask for arities.

use opcodon_evo::{Rng, Weighted};
use opcodon_expr::{MAX_ARITY, Node, Op};

/// How the constants of new leaves are drawn.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Constants {
    /// Normal distribution.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std_dev: f64,
    },
    /// Uniform distribution over an interval.
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Whole numbers, each with the same probability, both ends included.
    Integers {
        /// Smallest.
        low: i32,
        /// Largest.
        high: i32,
    },
    /// One of these, each with the same probability.
    OneOf(Vec<f64>),
}

impl Constants {
    /// One constant.
    pub fn sample(&self, rng: &mut Rng) -> f64 {
        match self {
            Self::Normal { mean, std_dev } => mean + std_dev * rng.normal(),
            Self::Uniform { low, high } => rng.uniform(*low, *high),
            Self::Integers { low, high } => {
                let span = usize::try_from(i64::from(*high) - i64::from(*low)).unwrap_or(0);
                f64::from(*low) + rng.range(0, span) as f64
            }
            Self::OneOf(values) => rng.choose(values).copied().unwrap_or(0.0),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::Normal { mean, std_dev } => {
                // Ten standard deviations out is still a number.
                *std_dev >= 0.0 && (mean.abs() + 10.0 * std_dev).is_finite()
            }
            Self::Uniform { low, high } => low.is_finite() && high.is_finite() && low <= high,
            Self::Integers { low, high } => low <= high,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|v| v.is_finite()),
        }
    }
}

/// Why primitives do not make a set.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrimitiveError {
    /// Leaves would have nothing to be.
    #[error("there is no terminal; add variables or constants with a weight above 0")]
    NoTerminals,
    /// Trees would be single leaves.
    #[error("there is no operator; add one with a weight above 0")]
    NoOperators,
    /// A weight is no weight.
    #[error("the weight of {primitive} is {weight}; it must be 0 or a positive number")]
    Weight {
        /// Whose weight.
        primitive: String,
        /// What was given.
        weight: f64,
    },
    /// An operator was given twice.
    #[error("operator {op:?} is given twice; give it once with the sum of the weights")]
    DuplicateOperator {
        /// The operator.
        op: Op,
    },
    /// Constants cannot be drawn like that.
    #[error(
        "constants cannot be drawn from {constants:?}: bounds must be finite and in order, a \
         standard deviation not negative, a list not empty"
    )]
    Constants {
        /// What was given.
        constants: Constants,
    },
}

/// A set of arities; bit `k` stands for arity `k`.
pub(crate) type Arities = u8;

/// The arities of operators; sums of arities are worked out for exactly these.
pub(crate) const ARITIES: std::ops::RangeInclusive<usize> = 1..=3;
const _: () = assert!(
    MAX_ARITY == 3,
    "reachability of sizes is written for arities 1 to 3"
);

/// Operators, variables and constants with their weights. Made by [`PrimitiveSet::builder`].
///
/// ```
/// use opcodon_expr::Op;
/// use opcodon_gp::{Constants, PrimitiveSet};
/// let set = PrimitiveSet::builder()
///     .operators(&[Op::Add, Op::Sub, Op::Mul])
///     .operator(Op::Sin, 0.2)
///     .variables(3)
///     .constants(Constants::Normal { mean: 0.0, std_dev: 1.0 }, 1.0)
///     .build()?;
/// assert_eq!(set.n_variables(), 3);
/// # Ok::<(), opcodon_gp::PrimitiveError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PrimitiveSet {
    /// All operators of positive weight.
    operators: Vec<Op>,
    operator_table: Weighted,
    /// The operators of each arity, at its index.
    classes: [Option<Class>; MAX_ARITY + 1],
    arities: Arities,
    /// Variables, and behind the last one the constant.
    terminal_table: Weighted,
    n_variables: u32,
    variables: Option<Weighted>,
    constants: Option<Constants>,
    /// Share of leaves among all primitives by weight: how often `grow` stops a branch.
    terminal_share: f64,
}

/// The operators of one arity.
#[derive(Clone, Debug)]
struct Class {
    operators: Vec<Op>,
    table: Weighted,
    weight: f64,
}

/// Collects primitives for a [`PrimitiveSet`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    operators: Vec<(Op, f64)>,
    variables: Vec<f64>,
    constants: Option<(Constants, f64)>,
}

impl Builder {
    /// Adds an operator.
    #[must_use]
    pub fn operator(mut self, op: Op, weight: f64) -> Self {
        self.operators.push((op, weight));
        self
    }

    /// Adds operators of weight 1.
    #[must_use]
    pub fn operators(mut self, ops: &[Op]) -> Self {
        self.operators.extend(ops.iter().map(|&op| (op, 1.0)));
        self
    }

    /// Sets the number of variables, each with weight 1.
    #[must_use]
    pub fn variables(mut self, n: u32) -> Self {
        self.variables = vec![1.0; n as usize];
        self
    }

    /// Sets the variables by their weights; a variable of weight 0 is never drawn.
    #[must_use]
    pub fn variable_weights(mut self, weights: &[f64]) -> Self {
        self.variables = weights.to_vec();
        self
    }

    /// Sets how constants are drawn, and their weight beside the variables.
    #[must_use]
    pub fn constants(mut self, constants: Constants, weight: f64) -> Self {
        self.constants = Some((constants, weight));
        self
    }

    /// The set.
    ///
    /// # Errors
    /// If there is nothing to be a leaf or nothing to be an operator, or a weight or the
    /// distribution of constants is invalid.
    pub fn build(self) -> Result<PrimitiveSet, PrimitiveError> {
        let check = |weight: f64, primitive: &dyn Fn() -> String| {
            if weight >= 0.0 && weight.is_finite() {
                Ok(())
            } else {
                Err(PrimitiveError::Weight {
                    primitive: primitive(),
                    weight,
                })
            }
        };
        for (index, &(op, weight)) in self.operators.iter().enumerate() {
            check(weight, &|| format!("operator {op:?}"))?;
            if self.operators[..index]
                .iter()
                .any(|&(other, _)| other == op)
            {
                return Err(PrimitiveError::DuplicateOperator { op });
            }
        }
        for (index, &weight) in self.variables.iter().enumerate() {
            check(weight, &|| format!("variable number {index}"))?;
        }
        if let Some((constants, weight)) = &self.constants {
            check(*weight, &|| "constants".to_owned())?;
            if !constants.is_valid() {
                return Err(PrimitiveError::Constants {
                    constants: constants.clone(),
                });
            }
        }
        let constants = self.constants.filter(|&(_, weight)| weight > 0.0);
        let mut terminals = self.variables.clone();
        terminals.extend(constants.as_ref().map(|&(_, weight)| weight));
        let terminal_table = Weighted::new(&terminals).ok_or(PrimitiveError::NoTerminals)?;
        let (operators, weights): (Vec<Op>, Vec<f64>) = self
            .operators
            .iter()
            .copied()
            .filter(|&(_, weight)| weight > 0.0)
            .unzip();
        let operator_table = Weighted::new(&weights).ok_or(PrimitiveError::NoOperators)?;
        let class = |arity: usize| {
            let (operators, weights): (Vec<Op>, Vec<f64>) = operators
                .iter()
                .zip(&weights)
                .filter(|&(op, _)| op.arity() == arity)
                .unzip();
            let table = Weighted::new(&weights)?;
            Some(Class {
                operators,
                table,
                weight: weights.iter().sum(),
            })
        };
        let classes: [Option<Class>; MAX_ARITY + 1] = std::array::from_fn(class);
        let arities = ARITIES
            .filter(|&a| classes[a].is_some())
            .fold(0, |set, a| set | 1 << a);
        // Of each kind the number that counts is the sum of the weights, largest weight as 1.
        let mass = |weights: &[f64]| {
            let largest = weights.iter().fold(0.0, |m: f64, &w| m.max(w));
            weights.iter().map(|w| w / largest).sum::<f64>()
        };
        let (leaf_mass, operator_mass) = (mass(&terminals), mass(&weights));
        Ok(PrimitiveSet {
            operator_table,
            operators,
            classes,
            arities,
            terminal_table,
            n_variables: u32::try_from(self.variables.len()).unwrap_or(u32::MAX),
            variables: Weighted::new(&self.variables),
            constants: constants.map(|(constants, _)| constants),
            terminal_share: leaf_mass / (leaf_mass + operator_mass),
        })
    }
}

impl PrimitiveSet {
    /// Starts a set.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The operators that may be drawn.
    #[must_use]
    pub fn operators(&self) -> &[Op] {
        &self.operators
    }

    /// Number of variables, those of weight 0 included.
    #[must_use]
    pub fn n_variables(&self) -> u32 {
        self.n_variables
    }

    /// How constants are drawn; `None` if they are not.
    #[must_use]
    pub fn constants(&self) -> Option<&Constants> {
        self.constants.as_ref()
    }

    /// The largest size up to `size` that a tree of these arities can have: of binary operators
    /// alone, for example, only odd ones. 1 at least.
    #[must_use]
    pub fn reachable_size(&self, size: usize) -> usize {
        (1..=size.max(1))
            .rev()
            .find(|&s| self.can_extend(s - 1))
            .unwrap_or(1)
    }

    /// Whether some operators have `extra` operands in all: whether an open leaf can become a
    /// subtree with that many nodes more.
    fn can_extend(&self, extra: usize) -> bool {
        match (extra, self.has(1), self.has(2), self.has(3)) {
            (0, ..) | (_, true, ..) => true,
            (_, _, true, true) => extra != 1,
            (_, _, true, false) => extra.is_multiple_of(2),
            (_, _, false, true) => extra.is_multiple_of(3),
            (_, _, false, false) => false,
        }
    }

    /// Whether open leaves that could become full trees with `room` nodes more can become trees
    /// with exactly `left` nodes more.
    pub(crate) fn can_spend(&self, left: usize, room: usize) -> bool {
        // Of unary and ternary operators, one node less than full would need an arity of 2.
        let just_misses = left + 1 == room && self.has(1) && !self.has(2) && self.has(3);
        left <= room && self.can_extend(left) && !just_misses
    }

    fn has(&self, arity: usize) -> bool {
        self.arities >> arity & 1 == 1
    }

    pub(crate) fn max_arity(&self) -> usize {
        ARITIES
            .rev()
            .find(|&a| self.arities >> a & 1 == 1)
            .unwrap_or(0)
    }

    pub(crate) fn terminal_share(&self) -> f64 {
        self.terminal_share
    }

    /// A leaf.
    #[inline]
    pub fn terminal(&self, rng: &mut Rng) -> Node {
        let index = self.terminal_table.sample(rng);
        match (u32::try_from(index), &self.constants) {
            (Ok(index), _) if index < self.n_variables => Node::Var(index),
            (_, Some(constants)) => Node::Const(constants.sample(rng)),
            (_, None) => Node::Var(0),
        }
    }

    /// A variable; `None` if there are none of positive weight.
    pub fn variable(&self, rng: &mut Rng) -> Option<u32> {
        let index = self.variables.as_ref()?.sample(rng);
        u32::try_from(index).ok()
    }

    /// An operator.
    #[inline]
    pub fn operator(&self, rng: &mut Rng) -> Op {
        self.operators[self.operator_table.sample(rng)]
    }

    /// An operator of this arity; `None` if there are none.
    #[inline]
    pub fn operator_of_arity(&self, rng: &mut Rng, arity: usize) -> Option<Op> {
        let class = self.classes.get(arity)?.as_ref()?;
        Some(class.operators[class.table.sample(rng)])
    }

    /// The operators of this arity.
    pub(crate) fn class(&self, arity: usize) -> &[Op] {
        self.classes
            .get(arity)
            .and_then(Option::as_ref)
            .map_or(&[], |c| &c.operators)
    }

    /// An operator whose arity is one of `arities`; `None` if there are none.
    #[inline]
    pub(crate) fn operator_within(&self, rng: &mut Rng, arities: Arities) -> Option<Op> {
        let arities = arities & self.arities;
        if arities == self.arities {
            return Some(self.operator(rng));
        }
        if arities.is_power_of_two() {
            return self.operator_of_arity(rng, arities.trailing_zeros() as usize);
        }
        let weights: [f64; MAX_ARITY + 1] =
            std::array::from_fn(|arity| match &self.classes[arity] {
                Some(class) if arities >> arity & 1 == 1 => class.weight,
                _ => 0.0,
            });
        let arity = rng.choose_weighted(&weights)?;
        self.operator_of_arity(rng, arity)
    }
}
