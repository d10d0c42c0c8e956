//! One fraction of two polynomials, where that is shorter.
//!
//! `sqrt(-1/2 - 1/(v/c - 1))` is `sqrt((c + v)/(c - v)/2)`: brought over a common denominator, terms
//! meet that no rule of one or two operators lets meet. So sums, products and quotients become
//! fractions of polynomials in what is neither (variables and functions, whose arguments are treated
//! the same way first), and these are written again with what all terms share in front. Out of a square
//! root goes the factor that most coefficients have.
//!
//! # Invariants
//! - What is returned is shorter.
//! - Polynomials stay small: what would need more than [`TERMS`] terms is a whole that is not looked
//!   into.

use std::cmp::Ordering;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::RangeInclusive;

use crate::op::Op;
use crate::tree::{Expr, Node, operands_of};

/// Terms of a polynomial, and the highest exponent.
const TERMS: usize = 24;
const EXPONENT: i32 = 8;
/// Nodes of an expression; longer ones are nothing that a person reads.
const NODES: usize = 200;
/// Numbers that are no further apart are the same, and their difference is nothing.
const SAME: f64 = 4.0 * f64::EPSILON;
/// Coefficients that can be multiplied and divided without overflow.
const MODERATE: RangeInclusive<f64> = 1e-60..=1e60;

/// The same expression as one fraction, if that is shorter.
pub(super) fn collected(expr: &Expr) -> Option<Expr> {
    let is_moderate = |c: &f64| *c == 0.0 || MODERATE.contains(&c.abs());
    if expr.len() > NODES || !expr.constants().iter().all(is_moderate) {
        return None;
    }
    let nodes = Atoms::of(expr).shortest(expr.len() - 1);
    let written = Expr::from_postfix(nodes).ok()?;
    (written.len() < expr.len()).then_some(written)
}

/// Exponents of atoms, by their number; none is zero.
type Monomial = BTreeMap<usize, i32>;

/// Coefficients; none is zero.
#[derive(Clone, Debug, Default, PartialEq)]
struct Polynomial(BTreeMap<Monomial, f64>);

/// A quotient; the denominator is never zero.
#[derive(Clone, Debug)]
struct Fraction {
    above: Polynomial,
    below: Polynomial,
}

/// An expression, what polynomials are in, and what is known of subtrees, by their roots: each is read
/// once.
struct Atoms<'a> {
    nodes: &'a [Node],
    sizes: Vec<u32>,
    wholes: Vec<Vec<Node>>,
    fractions: Vec<Option<Fraction>>,
    written: Vec<Option<Vec<Node>>>,
}

impl Polynomial {
    fn constant(value: f64) -> Self {
        Self::term(Monomial::new(), value)
    }

    fn term(monomial: Monomial, coefficient: f64) -> Self {
        let term = (coefficient != 0.0).then_some((monomial, coefficient));
        Self(term.into_iter().collect())
    }

    fn add(&mut self, monomial: Monomial, coefficient: f64) {
        match self.0.entry(monomial) {
            Entry::Vacant(entry) => drop(entry.insert(coefficient)),
            Entry::Occupied(mut entry) => {
                let size = entry.get().abs().max(coefficient.abs());
                *entry.get_mut() += coefficient;
                if size.is_finite() && entry.get().abs() <= SAME * size {
                    entry.remove();
                }
            }
        }
    }

    fn plus(&self, other: &Self, sign: f64) -> Self {
        let mut out = self.clone();
        for (monomial, coefficient) in &other.0 {
            out.add(monomial.clone(), sign * coefficient);
        }
        out
    }

    fn times(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (a, x) in &self.0 {
            for (b, y) in &other.0 {
                out.add(product(a, b, 1), x * y);
            }
        }
        out
    }

    /// All exponents raised by those of a monomial.
    fn shifted(&self, by: &Monomial, sign: i32) -> Self {
        let shift = |(m, c): (&Monomial, &f64)| (product(m, by, sign), *c);
        Self(self.0.iter().map(shift).collect())
    }

    fn scaled(&self, factor: f64) -> Self {
        Self(
            self.0
                .iter()
                .map(|(m, c)| (m.clone(), c * factor))
                .collect(),
        )
    }

    /// The quotient of two polynomials without negative exponents, if there is no remainder.
    fn over(&self, divisor: &Self) -> Option<Self> {
        let (top, unit) = divisor.leading()?;
        let (mut left, mut quotient) = (self.clone(), Self::default());
        for _ in 0..TERMS {
            let Some((monomial, coefficient)) = left.leading() else {
                return Some(quotient);
            };
            let monomial = product(monomial, top, -1);
            if monomial.values().any(|exponent| *exponent < 0) {
                return None;
            }
            let term = Self::term(monomial, coefficient / unit);
            left = left.plus(&divisor.times(&term), -1.0);
            quotient = quotient.plus(&term, 1.0);
        }
        None
    }

    /// The term of the highest exponents, those of the first atoms first.
    fn leading(&self) -> Option<(&Monomial, f64)> {
        let order = |(a, _): &(&Monomial, &f64), (b, _): &(&Monomial, &f64)| {
            let exponent = |m: &Monomial, atom: &usize| m.get(atom).copied().unwrap_or(0);
            let different = a
                .keys()
                .chain(b.keys())
                .filter(|k| exponent(a, k) != exponent(b, k));
            let first = different.min();
            first.map_or(Ordering::Equal, |k| exponent(a, k).cmp(&exponent(b, k)))
        };
        self.0.iter().max_by(order).map(|(m, c)| (m, *c))
    }

    /// The lowest exponents of all terms.
    fn shared(&self) -> Monomial {
        let mut monomials = self.0.keys();
        let Some(first) = monomials.next() else {
            return Monomial::new();
        };
        let mut shared = first.clone();
        for monomial in monomials {
            let exponent = |m: &Monomial, atom: &usize| m.get(atom).copied().unwrap_or(0);
            for atom in monomial.keys() {
                shared.entry(*atom).or_insert(0);
            }
            for (atom, least) in &mut shared {
                *least = exponent(monomial, atom).min(*least);
            }
        }
        shared.retain(|_, exponent| *exponent != 0);
        shared
    }

    /// The size that most coefficients have.
    fn common(&self) -> f64 {
        let sizes = || self.0.values().map(|c| c.abs());
        let count = |size: f64| sizes().filter(|other| is_same(*other, size)).count();
        let mut best = (0, 1.0);
        for size in sizes() {
            if count(size) > best.0 {
                best = (count(size), size);
            }
        }
        best.1
    }

    fn is_small(&self) -> bool {
        let exponents = self.0.keys().flat_map(BTreeMap::values);
        let mut coefficients = self.0.values();
        self.0.len() <= TERMS
            && exponents.fold(0, |most, e| most.max(e.abs())) <= EXPONENT
            && coefficients.all(|c| MODERATE.contains(&c.abs()))
    }
}

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * b.abs()
}

fn product(a: &Monomial, b: &Monomial, sign: i32) -> Monomial {
    let mut out = a.clone();
    for (atom, exponent) in b {
        *out.entry(*atom).or_insert(0) += sign * exponent;
    }
    out.retain(|_, exponent| *exponent != 0);
    out
}

impl Fraction {
    fn of(above: Polynomial) -> Self {
        Self {
            above,
            below: Polynomial::constant(1.0),
        }
    }

    /// Without what both share; `None` if that is not a small fraction.
    fn reduced(above: Polynomial, below: Polynomial) -> Option<Self> {
        if below.0.is_empty() {
            return None;
        }
        let shared = below.shared();
        let (above, below) = (above.shifted(&shared, -1), below.shifted(&shared, -1));
        let unit = below.common();
        let (above, below) = (above.scaled(1.0 / unit), below.scaled(1.0 / unit));
        if !above.is_small() || !below.is_small() {
            return None;
        }
        if let Some(whole) = above.over(&below) {
            return Some(Self::of(whole));
        }
        Some(match below.over(&above) {
            Some(below) => Self {
                above: Polynomial::constant(1.0),
                below,
            },
            None => Self { above, below },
        })
    }

    fn plus(&self, other: &Self, sign: f64) -> Option<Self> {
        if self.below == other.below {
            return Self::reduced(self.above.plus(&other.above, sign), self.below.clone());
        }
        let above = self.above.times(&other.below);
        let above = above.plus(&other.above.times(&self.below), sign);
        Self::reduced(above, self.below.times(&other.below))
    }

    fn times(&self, other: &Self) -> Option<Self> {
        if self.below == other.above {
            return Self::reduced(self.above.clone(), other.below.clone());
        }
        if self.above == other.below {
            return Self::reduced(other.above.clone(), self.below.clone());
        }
        let above = self.above.times(&other.above);
        Self::reduced(above, self.below.times(&other.below))
    }

    fn inverse(&self) -> Option<Self> {
        Self::reduced(self.below.clone(), self.above.clone())
    }
}

impl<'a> Atoms<'a> {
    fn of(expr: &'a Expr) -> Self {
        Self {
            nodes: expr.nodes(),
            sizes: expr.subtree_sizes(),
            wholes: Vec::new(),
            fractions: vec![None; expr.len()],
            written: vec![None; expr.len()],
        }
    }

    fn tree(&self, root: usize) -> &'a [Node] {
        &self.nodes[root + 1 - self.sizes[root] as usize..=root]
    }

    /// The operands of a node, one after the other as short as can be, under it.
    fn of_shortest(&mut self, root: usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        if let Node::Op(op) = self.nodes[root] {
            for &operand in &operands_of(op, root, &self.sizes)[..op.arity()] {
                nodes.extend(self.shortest(operand));
            }
        }
        nodes.push(self.nodes[root]);
        nodes
    }

    /// Something that is not looked into.
    fn whole(&mut self, nodes: Vec<Node>) -> Fraction {
        let number = self.wholes.iter().position(|atom| *atom == nodes);
        let number = number.unwrap_or_else(|| {
            self.wholes.push(nodes);
            self.wholes.len() - 1
        });
        Fraction::of(Polynomial::term(Monomial::from([(number, 1)]), 1.0))
    }

    /// The shortest of a tree as it is, with its parts written shorter, and as a fraction.
    fn shortest(&mut self, root: usize) -> Vec<Node> {
        if let Some(known) = &self.written[root] {
            return known.clone();
        }
        let by_parts = self.of_shortest(root);
        let fraction = self.read(root);
        let written = self.write(&fraction);
        let mut shortest = self.tree(root).to_vec();
        for other in [by_parts, written] {
            if other.len() < shortest.len() {
                shortest = other;
            }
        }
        self.written[root] = Some(shortest.clone());
        shortest
    }

    /// A tree as a fraction.
    fn read(&mut self, root: usize) -> Fraction {
        if let Some(known) = &self.fractions[root] {
            return known.clone();
        }
        let fraction = self.read_anew(root);
        self.fractions[root] = Some(fraction.clone());
        fraction
    }

    fn read_anew(&mut self, root: usize) -> Fraction {
        let op = match self.nodes[root] {
            Node::Const(value) => return Fraction::of(Polynomial::constant(value)),
            Node::Var(_) => return self.whole(self.tree(root).to_vec()),
            Node::Op(op) => op,
        };
        let [a, b, _] = operands_of(op, root, &self.sizes);
        let arithmetic = match op {
            Op::Add => self.read(a).plus(&self.read(b), 1.0),
            Op::Sub => self.read(a).plus(&self.read(b), -1.0),
            Op::Mul => self.read(a).times(&self.read(b)),
            Op::Div => {
                let above = self.read(a);
                self.read(b).inverse().and_then(|b| above.times(&b))
            }
            Op::Inv => self.read(a).inverse(),
            Op::Neg => self
                .read(a)
                .times(&Fraction::of(Polynomial::constant(-1.0))),
            Op::Square => self.half_angle(a).or_else(|| {
                let a = self.read(a);
                a.times(&a)
            }),
            Op::Sqrt => self.root(a),
            _ => None,
        };
        arithmetic.unwrap_or_else(|| {
            let nodes = self.of_shortest(root);
            self.whole(nodes)
        })
    }

    /// The square root of a tree, the factor that most coefficients have in front.
    fn root(&mut self, of: usize) -> Option<Fraction> {
        let mut inside = self.read(of);
        let factor = inside.above.common();
        inside.above = inside.above.scaled(1.0 / factor);
        let written = self.write(&inside);
        if written.len() > self.tree(of).len() {
            return None;
        }
        let root = self.whole([written, vec![Node::Op(Op::Sqrt)]].concat());
        root.times(&Fraction::of(Polynomial::constant(factor.sqrt())))
    }

    /// The square of the sine or cosine of half of something: `(1 - cos(x))/2`, `(1 + cos(x))/2`.
    fn half_angle(&mut self, wave: usize) -> Option<Fraction> {
        let (op, sign) = match self.nodes[wave] {
            Node::Op(op @ Op::Sin) => (op, -1.0),
            Node::Op(op @ Op::Cos) => (op, 1.0),
            _ => return None,
        };
        let [half, ..] = operands_of(op, wave, &self.sizes);
        let angle = self
            .read(half)
            .times(&Fraction::of(Polynomial::constant(2.0)))?;
        let angle = self.write(&angle);
        if angle.len() >= self.tree(half).len() {
            return None;
        }
        let wave = self.whole([angle, vec![Node::Op(Op::Cos)]].concat());
        let one = Fraction::of(Polynomial::constant(1.0));
        one.plus(&wave, sign)?
            .times(&Fraction::of(Polynomial::constant(0.5)))
    }

    fn write(&self, fraction: &Fraction) -> Vec<Node> {
        let Fraction { above, below } = fraction;
        if above.0.is_empty() {
            return vec![Node::Const(0.0)];
        }
        let (unit, shared) = (above.common(), above.shared());
        let rest = above.shifted(&shared, -1).scaled(1.0 / unit);
        let split = |sign: i32| -> Monomial {
            let of_sign = shared.iter().filter(|(_, e)| *e * sign > 0);
            of_sign.map(|(atom, e)| (*atom, e.abs())).collect()
        };
        let (over, under) = (split(1), split(-1));
        let is_one = |p: &Polynomial| *p == Polynomial::constant(1.0);
        let mut factors: Vec<Vec<Node>> = Vec::new();
        // A minus sign in front of all turns a difference below round, or is a coefficient.
        let negative = rest.0.values().all(|c| *c < 0.0);
        let turns = negative && below.0.values().any(|c| *c < 0.0);
        let sign = |turn: bool| if turn { -1.0 } else { 1.0 };
        let (rest, below) = (&rest.scaled(sign(negative)), &below.scaled(sign(turns)));
        let unit = unit * sign(negative != turns);
        if !is_same(unit, 1.0) {
            factors.push(vec![Node::Const(unit)]);
        }
        factors.extend(self.powers(&over));
        if !is_one(rest) {
            factors.push(self.sum(rest));
        }
        let mut divisors: Vec<Vec<Node>> = self.powers(&under);
        if !is_one(below) {
            divisors.push(self.sum(below));
        }
        match (joined(factors, Op::Mul), joined(divisors, Op::Mul)) {
            (None, None) => vec![Node::Const(1.0)],
            (Some(above), None) => above,
            (None, Some(below)) => [below, vec![Node::Op(Op::Inv)]].concat(),
            (Some(above), Some(below)) => [above, below, vec![Node::Op(Op::Div)]].concat(),
        }
    }

    /// The factors of a monomial.
    fn powers(&self, monomial: &Monomial) -> Vec<Vec<Node>> {
        let mut out = Vec::new();
        for (atom, exponent) in monomial {
            let base = &self.wholes[*atom];
            let squared = [base.clone(), vec![Node::Op(Op::Square)]].concat();
            for _ in 0..exponent / 2 {
                out.push(squared.clone());
            }
            if exponent % 2 == 1 {
                out.push(base.clone());
            }
        }
        out
    }

    /// A polynomial, what many terms share taken out of them.
    fn sum(&self, polynomial: &Polynomial) -> Vec<Node> {
        let plain = self.plain_sum(polynomial);
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for atom in polynomial.0.keys().flat_map(BTreeMap::keys) {
            *counts.entry(*atom).or_default() += 1;
        }
        let Some((&atom, _)) = counts
            .iter()
            .filter(|(_, n)| **n > 1)
            .max_by_key(|(_, n)| **n)
        else {
            return plain;
        };
        let (with, without): (BTreeMap<_, _>, BTreeMap<_, _>) = polynomial
            .0
            .clone()
            .into_iter()
            .partition(|(m, _)| m.contains_key(&atom));
        let with = self.write(&Fraction::of(Polynomial(with)));
        let split = match without.is_empty() {
            true => with,
            false => [
                with,
                self.sum(&Polynomial(without)),
                vec![Node::Op(Op::Add)],
            ]
            .concat(),
        };
        if split.len() < plain.len() {
            split
        } else {
            plain
        }
    }

    fn plain_sum(&self, polynomial: &Polynomial) -> Vec<Node> {
        let mut terms: Vec<(&Monomial, f64)> = polynomial.0.iter().map(|(m, c)| (m, *c)).collect();
        // Something positive first, so that no leading minus is needed; constants last.
        terms.sort_by_key(|(monomial, c)| (*c < 0.0, monomial.is_empty()));
        let mut out: Vec<Node> = Vec::new();
        for (monomial, coefficient) in terms {
            let first = out.is_empty();
            let size = if first {
                coefficient
            } else {
                coefficient.abs()
            };
            let mut factors = self.powers(monomial);
            if !is_same(size, 1.0) || factors.is_empty() {
                factors.insert(0, vec![Node::Const(size)]);
            }
            out.extend(joined(factors, Op::Mul).unwrap_or_default());
            if !first {
                out.push(Node::Op(if coefficient < 0.0 { Op::Sub } else { Op::Add }));
            }
        }
        out
    }
}

/// Operands one after the other under an operator of two.
fn joined(operands: Vec<Vec<Node>>, op: Op) -> Option<Vec<Node>> {
    operands
        .into_iter()
        .reduce(|a, b| [a, b, vec![Node::Op(op)]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn fractions_meet_and_roots_let_go_of_factors() {
        for (long, short) in [
            (
                "sqrt(-0.5 - 1/(v/c - 1))",
                "0.7071067811865476*sqrt((c + v)/(c - v))",
            ),
            ("a + b/c - a*c/c", "b/c"),
            ("1/(1/a + 1/b)", "a*b/(a + b)"),
            ("(a*b + a*c)/(a*d)", "(b + c)/d"),
            (
                "q/sqrt(0.5*square(a - b) - a*b*(cos(x) - 1))",
                "q/(0.7071067811865476*sqrt(square(a) + square(b) - 2*a*b*cos(x)))",
            ),
        ] {
            let names = ["a", "b", "c", "d", "q", "v", "x"];
            let read = |text: &str| parse(text, Some(&names)).expect(text).expr;
            let (long, short) = (read(long), read(short));
            let found = collected(&long).unwrap_or_else(|| long.clone());
            assert!(
                found.len() <= short.len(),
                "{found} is no shorter than {short}"
            );
            for shift in [0.0, 0.7] {
                let row: Vec<f64> = (0..7).map(|i| 4.1 + shift - 0.37 * f64::from(i)).collect();
                let (is, was) = (found.eval(&row), long.eval(&row));
                assert!(
                    (is - was).abs() <= 1e-12 * was.abs(),
                    "{found}: {is}, not {was}"
                );
            }
        }
    }

    #[test]
    fn what_is_short_stays() {
        for text in [
            "square(a - b)",
            "a/(b + 1)",
            "sin(a + b)*(a - b)",
            "1/a + 1/b",
            "0*a",
        ] {
            let expr = parse(text, Some(&["a", "b"])).expect(text).expr;
            assert!(
                collected(&expr).is_none_or(|e| e.len() < expr.len()),
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_far_apart_and_deep_nests_are_left_alone() {
        let names = ["a", "b"];
        let row = [1.3, 0.7];
        for text in [
            "(a*1e-200 + b*1e200*a)/a",
            "sqrt(1e200*a*a + 1e-200*b*a)",
            "1/((a + 10000000000000.5)/b - 10000000000000/b)",
        ] {
            let expr = parse(text, Some(&names)).expect(text).expr;
            let (is, was) = (expr.simplify_algebraic().eval(&row), expr.eval(&row));
            assert!(
                (is - was).abs() <= 1e-2 * was.abs(),
                "{text}: {is}, not {was}"
            );
        }
        // Twice the work for each level would never end.
        let deep = (0..30).fold("a".to_owned(), |s, _| format!("sqrt(1+square(b-{s}))"));
        let deep = parse(&deep, Some(&names)).expect("a nest").expr;
        assert!(collected(&deep).is_none_or(|e| e.len() < deep.len()));
    }
}
