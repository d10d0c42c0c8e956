//! Small formulas by the ten thousand: what sums and products of laws are made of.
//!
//! Laws of nature and good features of tables are mostly few-term sums and products of simple
//! things: monomials, sums and differences, functions of these. There are not many simple things,
//! so they are all written down once, with their values on a few hundred probe rows, and whatever
//! is proportional to something shorter is dropped. Searching *pairs* of them is then linear
//! algebra ([`crate::pairs`]), millions of candidates a second.
//!
//! # Invariants
//! - Atoms are finite on all probe rows, pairwise not proportional, sorted by size.
//! - What is in the dictionary is a function of the rows and the operators: caps are counts, not
//!   times.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use opcodon_expr::{Expr, Node, Op};

use crate::candidate::Identity;
use crate::operators::Operators;

/// A small formula and its values on the probe rows, scaled to unit root mean square.
#[derive(Debug, Clone)]
pub(crate) struct Atom {
    pub(crate) expr: Expr,
    pub(crate) values: Vec<f64>,
    /// The root mean square of the formula itself.
    pub(crate) rms: f64,
}

/// The atoms, and which of them are simple enough to be multiplied with any other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dictionary {
    pub(crate) atoms: Vec<Atom>,
    /// Positions of monomials and sums in `atoms`, by size.
    pub(crate) simple: Vec<usize>,
}

/// Most monomials, sums, arguments of functions, and atoms in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    monomials: usize,
    sums: usize,
    arguments: usize,
    atoms: usize,
}

impl Caps {
    /// For pairs, which are sought once.
    pub(crate) const MANY: Self = Self {
        monomials: 600,
        sums: 300,
        arguments: 500,
        atoms: 4000,
    };
    /// For what is looked through again and again.
    pub(crate) const FEW: Self = Self {
        monomials: 200,
        sums: 120,
        arguments: 100,
        atoms: 800,
    };

    /// At most so many of each.
    pub(crate) fn within(self, most: usize) -> Self {
        Self {
            monomials: self.monomials.min(most),
            sums: self.sums.min(most),
            arguments: self.arguments,
            atoms: self.atoms.min(most),
        }
    }
}

/// The same for the terms of sums that are built one by one.
const FEW_ATOMS: usize = 1500;
const FEW_SIMPLE: usize = 300;
/// Most choices of leaves for a definition's parameters.
const DEFINED_MAX: usize = 400;
/// Atoms that are multiplied with any other where a factor was taken out before.
const SHORT_SIMPLE: usize = 400;

impl Dictionary {
    /// The shorter atoms only.
    pub(crate) fn shortened(&self) -> Self {
        let atoms: Vec<Atom> = self.atoms.iter().take(FEW_ATOMS).cloned().collect();
        let simple = self.simple.iter().copied().filter(|&i| i < atoms.len());
        Self {
            simple: simple.take(FEW_SIMPLE).collect(),
            atoms,
        }
    }

    /// The same formulas on every so many-th probe row only, the shortest of all kinds simple.
    pub(crate) fn thinned(&self, step: usize) -> Self {
        let atoms = self.atoms.iter().map(|atom| Atom {
            expr: atom.expr.clone(),
            values: atom.values.iter().copied().step_by(step).collect(),
            rms: atom.rms,
        });
        let mut simple: Vec<usize> = self.simple.iter().copied().take(SHORT_SIMPLE).collect();
        simple.extend(0..SHORT_SIMPLE.min(self.atoms.len()));
        simple.sort_unstable();
        simple.dedup();
        Self {
            atoms: atoms.collect(),
            simple,
        }
    }
}

/// Functions of one argument, as chains of operators applied to `u`; `One` puts the number 1 to it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Apply(Op),
    /// `1 + u`
    OnePlus,
    /// `1 - u`
    OneMinus,
    /// `u - 1`
    MinusOne,
}

use Step::{Apply, MinusOne, OneMinus, OnePlus};

/// The functions that arguments are put into. A chain is used if its operators were asked for.
const FUNCTIONS: &[&[Step]] = &[
    &[Apply(Op::Sin)],
    &[Apply(Op::Cos)],
    &[Apply(Op::Tan)],
    &[Apply(Op::Exp)],
    &[Apply(Op::Neg), Apply(Op::Exp)],
    &[Apply(Op::Log)],
    &[Apply(Op::Sqrt)],
    &[Apply(Op::Square)],
    &[Apply(Op::Tanh)],
    &[Apply(Op::Asin)],
    &[Apply(Op::Acos)],
    &[Apply(Op::Atan)],
    &[Apply(Op::Inv)],
    &[OnePlus],
    &[OneMinus],
    &[OnePlus, Apply(Op::Inv)],
    &[OneMinus, Apply(Op::Inv)],
    &[OnePlus, Apply(Op::Sqrt)],
    &[OneMinus, Apply(Op::Sqrt)],
    &[OnePlus, Apply(Op::Sqrt), Apply(Op::Inv)],
    &[OneMinus, Apply(Op::Sqrt), Apply(Op::Inv)],
    &[OnePlus, Apply(Op::Log)],
    &[Apply(Op::Sqrt), Apply(Op::Inv)],
    &[Apply(Op::Square), Apply(Op::Inv)],
    &[Apply(Op::Exp), MinusOne],
    &[Apply(Op::Exp), MinusOne, Apply(Op::Inv)],
    &[Apply(Op::Exp), OnePlus, Apply(Op::Inv)],
    &[Apply(Op::Sin), Apply(Op::Square)],
    &[Apply(Op::Cos), Apply(Op::Square)],
    &[Apply(Op::Cos), OnePlus],
    &[Apply(Op::Cos), OneMinus],
    &[Apply(Op::Square), Apply(Op::Neg), Apply(Op::Exp)],
];

fn step(argument: &Expr, step: Step) -> Expr {
    let one = || Expr::constant(1.0);
    match step {
        Apply(op) => Expr::apply(op, std::slice::from_ref(argument)),
        OnePlus => Expr::apply(Op::Add, &[argument.clone(), one()]),
        OneMinus => Expr::apply(Op::Sub, &[one(), argument.clone()]),
        MinusOne => Expr::apply(Op::Sub, &[argument.clone(), one()]),
    }
}

/// Collects atoms and drops what is not finite or proportional to an earlier one.
#[derive(Default)]
pub(crate) struct Collector {
    pub(crate) atoms: Vec<Atom>,
    seen: HashSet<u64, BuildHasherDefault<Identity>>,
}

impl Collector {
    /// Enters a formula with its values; whether it is new.
    pub(crate) fn enter(&mut self, expr: Expr, mut values: Vec<f64>) -> bool {
        let Some(rms) = normalise(&mut values) else {
            return false;
        };
        let new = (1e-12..1e12).contains(&rms) && self.seen.insert(fingerprint(&values));
        if new {
            self.atoms.push(Atom { expr, values, rms });
        }
        new
    }

    /// Enters formulas, the shortest first, until there are `most` new ones; returns where they
    /// are.
    fn enter_all(&mut self, mut exprs: Vec<Expr>, columns: &[&[f64]], most: usize) -> Vec<usize> {
        exprs.sort_by_key(Expr::len);
        let mut entered = Vec::new();
        for expr in exprs {
            if entered.len() >= most {
                break;
            }
            let values = expr.eval_columns(columns);
            if self.enter(expr, values) {
                entered.push(self.atoms.len() - 1);
            }
        }
        entered
    }
}

/// Scales to unit root mean square; `None` if that is impossible.
#[expect(clippy::cast_precision_loss, reason = "row counts are small")]
fn normalise(values: &mut [f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|v| v * v).sum();
    let rms = (sum / values.len() as f64).sqrt();
    if !rms.is_normal() {
        return None;
    }
    for value in values.iter_mut() {
        *value /= rms;
    }
    Some(rms)
}

/// Equal for columns that are equal up to sign and rounding.
fn fingerprint(values: &[f64]) -> u64 {
    let sign = values
        .iter()
        .find(|v| v.abs() > 1e-3)
        .map_or(1.0, |v| v.signum());
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    // A dozen rows tell columns apart; the offset keeps round numbers away from the grid's edges.
    let stride = (values.len() / 12).max(1);
    for value in values.iter().step_by(stride).take(16) {
        #[expect(clippy::cast_possible_truncation, reason = "a fingerprint may clamp")]
        let cell = (value * sign).mul_add(1e7, 0.382).floor() as i64;
        hash = (hash ^ cell.cast_unsigned()).wrapping_mul(0x0100_0000_01b3);
        hash ^= hash >> 29;
    }
    hash
}

/// Most inputs that small formulas are made of: pairs of these must stay in bounds.
pub(crate) const INPUTS: usize = 150;

/// All atoms of these inputs on these rows, or the first so many of them.
pub(crate) fn build(
    columns: &[&[f64]],
    inputs: &[usize],
    operators: &Operators,
    caps: Caps,
) -> Dictionary {
    let mut collector = Collector::default();
    let n = inputs.len();
    let variables: Vec<Expr> = inputs
        .iter()
        .map(|&i| Expr::var(u32::try_from(i).unwrap_or(u32::MAX)))
        .collect();
    collector.enter_all(variables.clone(), columns, usize::MAX);
    let monomials = collector.enter_all(monomials(&variables, operators), columns, caps.monomials);
    let sums = sums(&variables, operators, caps.sums * 4);
    let sums = collector.enter_all(sums, columns, caps.sums);
    let mut simple: Vec<usize> = (0..n.min(collector.atoms.len())).collect();
    simple.extend(monomials);
    simple.extend(sums);
    let mut arguments: Vec<Expr> = simple
        .iter()
        .map(|&i| collector.atoms[i].expr.clone())
        .collect();
    arguments.sort_by_key(Expr::len);
    arguments.truncate(caps.arguments);
    let mut functions = Vec::new();
    for argument in &arguments {
        for chain in FUNCTIONS {
            let possible = chain.iter().all(|step| match step {
                Apply(op) => operators.write(*op),
                OnePlus | OneMinus | MinusOne => {
                    operators.write(Op::Add) || operators.write(Op::Sub)
                }
            });
            if possible {
                functions.push(
                    chain
                        .iter()
                        .fold(argument.clone(), |expr, &next| step(&expr, next)),
                );
            }
        }
        for definition in operators.definitions() {
            if definition.arity() == 1 {
                let applied = definition.apply(&[argument.nodes()]);
                functions.extend(Expr::from_postfix(applied));
            }
        }
    }
    functions.extend(defined(operators, inputs.iter().copied()));
    let room = caps.atoms.saturating_sub(collector.atoms.len());
    collector.enter_all(functions, columns, room);
    let mut order: Vec<usize> = (0..collector.atoms.len()).collect();
    order.sort_by_key(|&i| (collector.atoms[i].expr.len(), i));
    let mut position = vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        position[old] = new;
    }
    let mut simple: Vec<usize> = simple.into_iter().map(|i| position[i]).collect();
    simple.sort_unstable();
    simple.dedup();
    let mut slots: Vec<Option<Atom>> = collector.atoms.into_iter().map(Some).collect();
    let atoms = order.into_iter().filter_map(|i| slots[i].take()).collect();
    Dictionary { atoms, simple }
}

/// Definitions of the user with variables and ones put to their parameters.
pub(crate) fn defined(operators: &Operators, inputs: impl Iterator<Item = usize>) -> Vec<Expr> {
    let variables = inputs.map(|j| Node::Var(u32::try_from(j).unwrap_or(u32::MAX)));
    let leaves: Vec<Node> = variables.chain([Node::Const(1.0)]).collect();
    let mut out = Vec::new();
    for definition in operators.definitions() {
        let n_choices = leaves
            .len()
            .pow(u32::try_from(definition.arity()).unwrap_or(0));
        for choice in 0..n_choices.min(DEFINED_MAX) {
            // The digits of the choice say which leaves; all ones would make a constant.
            let mut rest = choice;
            let picked: Vec<&[Node]> = (0..definition.arity())
                .map(|_| {
                    let leaf = &leaves[rest % leaves.len()];
                    rest /= leaves.len();
                    std::slice::from_ref(leaf)
                })
                .collect();
            let tree = Expr::from_postfix(definition.apply(&picked)).ok();
            out.extend(tree.filter(|tree| tree.n_variables() > 0));
        }
    }
    out
}

/// Products of powers -2, -1, 1, 2 of up to four variables.
fn monomials(variables: &[Expr], operators: &Operators) -> Vec<Expr> {
    const POWERS: [i32; 4] = [1, -1, 2, -2];
    if !operators.write(Op::Mul) {
        return Vec::new();
    }
    let n = variables.len();
    // Few variables: longer products; many: the number of products must stay in bounds.
    let factors_max = match n {
        0..=6 => 4,
        7..=14 => 3,
        _ => 2,
    };
    let divides = operators.write(Op::Div);
    let mut out = Vec::new();
    // Sets of (variable, power) with increasing variables, breadth first.
    let mut layer: Vec<Vec<(usize, i32)>> = vec![Vec::new()];
    for _ in 0..factors_max {
        let mut next = Vec::new();
        for set in &layer {
            let first = set.last().map_or(0, |&(j, _)| j + 1);
            for j in first..n {
                for power in POWERS {
                    let degree: i32 = set.iter().map(|(_, p)| p.abs()).sum::<i32>() + power.abs();
                    if (power < 0 && !divides) || degree > 5 {
                        continue;
                    }
                    let mut longer = set.clone();
                    longer.push((j, power));
                    next.push(longer);
                }
            }
            if next.len() > 20 * Caps::MANY.monomials {
                break;
            }
        }
        out.extend(next.iter().filter_map(|set| monomial(variables, set)));
        layer = next;
    }
    out
}

fn monomial(variables: &[Expr], set: &[(usize, i32)]) -> Option<Expr> {
    let side = |sign: i32| {
        set.iter()
            .filter(|(_, power)| power * sign > 0)
            .map(|&(j, power)| {
                let base = std::slice::from_ref(&variables[j]);
                if power.abs() == 2 {
                    Expr::apply(Op::Square, base)
                } else {
                    variables[j].clone()
                }
            })
            .reduce(|a, b| Expr::apply(Op::Mul, &[a, b]))
    };
    match (side(1), side(-1)) {
        (Some(above), Some(below)) => Some(Expr::apply(Op::Div, &[above, below])),
        (Some(above), None) => Some(above),
        (None, Some(below)) => Some(Expr::apply(Op::Inv, &[below])),
        (None, None) => None,
    }
}

/// Sums and differences of variables, squares, products and quotients of two, the short ones first.
fn sums(variables: &[Expr], operators: &Operators, most: usize) -> Vec<Expr> {
    let mut parts: Vec<Expr> = variables.to_vec();
    if operators.write(Op::Square) {
        parts.extend(
            variables
                .iter()
                .map(|v| Expr::apply(Op::Square, std::slice::from_ref(v))),
        );
    }
    if variables.len() <= 8 {
        for (i, a) in variables.iter().enumerate() {
            for (j, b) in variables.iter().enumerate() {
                if i < j && operators.write(Op::Mul) {
                    parts.push(Expr::apply(Op::Mul, &[a.clone(), b.clone()]));
                }
                if i != j && operators.write(Op::Div) {
                    parts.push(Expr::apply(Op::Div, &[a.clone(), b.clone()]));
                }
            }
        }
    }
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    for i in 0..parts.len() {
        for j in i + 1..parts.len() {
            pairs.push((parts[i].len() + parts[j].len(), i, j));
        }
    }
    pairs.sort_unstable();
    let mut out = Vec::new();
    for (_, i, j) in pairs {
        if out.len() >= most {
            break;
        }
        for op in [Op::Add, Op::Sub] {
            if operators.write(op) {
                out.push(Expr::apply(op, &[parts[i].clone(), parts[j].clone()]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use opcodon_evo::Rng;

    fn columns(n: usize) -> Vec<Vec<f64>> {
        let mut rng = Rng::new(3, 0);
        (0..n)
            .map(|_| (0..64).map(|_| rng.uniform(1.0, 3.0)).collect())
            .collect()
    }

    fn has(dictionary: &Dictionary, text: &str) -> bool {
        let names = ["x0", "x1", "x2"];
        let expr = opcodon_expr::parse(text, Some(&names)).expect(text).expr;
        let data = columns(3);
        let refs: Vec<&[f64]> = data.iter().map(Vec::as_slice).collect();
        let mut values = expr.eval_columns(&refs);
        normalise(&mut values).expect(text);
        dictionary.atoms.iter().any(|a| {
            let same = |s: f64| {
                a.values
                    .iter()
                    .zip(&values)
                    .all(|(a, b)| (a - s * b).abs() < 1e-9)
            };
            same(1.0) || same(-1.0)
        })
    }

    #[test]
    fn holds_what_laws_are_made_of_once() {
        let data = columns(3);
        let refs: Vec<&[f64]> = data.iter().map(Vec::as_slice).collect();
        let dictionary = build(&refs, &[0, 1, 2], &Operators::default(), Caps::MANY);
        for text in [
            "x1",
            "x0*x1/square(x2)",
            "inv(x0)",
            "x0 - x2",
            "square(x0) + square(x1)",
            "cos(x0 - x1)",
            "sqrt(1 + square(x1))",
            "exp(-x0/x1)",
            "log(1 + x0*x1)",
            "inv(exp(x0/x1) - 1)",
        ] {
            assert!(has(&dictionary, text), "{text}");
        }
        assert!(!has(&dictionary, "erf(x0)"), "was not asked for");
        let sizes: Vec<usize> = dictionary.atoms.iter().map(|a| a.expr.len()).collect();
        assert!(sizes.is_sorted() && sizes.len() <= Caps::MANY.atoms);
        for (i, a) in dictionary.atoms.iter().enumerate().take(300) {
            for b in &dictionary.atoms[..i] {
                let dot: f64 = a.values.iter().zip(&b.values).map(|(a, b)| a * b).sum();
                assert!(
                    dot.abs() < 64.0 * (1.0 - 1e-15),
                    "{:?} {:?}",
                    a.expr,
                    b.expr
                );
            }
        }
        let only = build(
            &refs,
            &[0, 1, 2],
            &Operators::new([Op::Add, Op::Mul]),
            Caps::MANY,
        );
        assert!(only.atoms.iter().all(|a| {
            a.expr
                .nodes()
                .iter()
                .all(|n| !matches!(n, Node::Op(Op::Sin | Op::Div | Op::Inv | Op::Exp)))
        }));
    }
}
