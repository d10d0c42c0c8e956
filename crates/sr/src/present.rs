//! A formula as a person would write it.
//!
//! What a search returns is `offset + scale·core` around a core full of `inv`, trailing
//! coefficients and nested scales. Here constants are collected, coefficients stand before their
//! terms, `c·inv(u)` is `c/u`, differences are written as differences, and a scale in front of a
//! sum is multiplied out where that takes no more nodes.
//!
//! # Invariant
//! The value is kept up to rounding.

use opcodon_expr::{Expr, Node, Op};

use crate::operators::Operators;

/// `coefficient · nodes`.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    coefficient: f64,
    nodes: Vec<Node>,
}

/// `offset + Σ terms`.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sum {
    offset: f64,
    terms: Vec<Term>,
}

impl Sum {
    fn constant(value: f64) -> Self {
        Self {
            offset: value,
            terms: Vec::new(),
        }
    }

    fn term(coefficient: f64, nodes: Vec<Node>) -> Self {
        Self {
            offset: 0.0,
            terms: vec![Term { coefficient, nodes }],
        }
    }

    fn is_constant(&self) -> bool {
        self.terms.is_empty()
    }

    fn scale(mut self, factor: f64) -> Self {
        self.offset *= factor;
        for term in &mut self.terms {
            term.coefficient *= factor;
        }
        self.drop_nothing()
    }

    /// Removes terms that have become zero.
    fn drop_nothing(mut self) -> Self {
        self.terms.retain(|term| term.coefficient != 0.0);
        self
    }

    fn add(mut self, other: Self) -> Self {
        self.offset += other.offset;
        for term in other.terms {
            match self.terms.iter_mut().find(|t| t.nodes == term.nodes) {
                Some(same) => {
                    let before = same.coefficient.abs();
                    same.coefficient += term.coefficient;
                    if same.coefficient.abs() < 1e-13 * before {
                        same.coefficient = 0.0;
                    }
                }
                None => self.terms.push(term),
            }
        }
        self.drop_nothing()
    }

    /// A factor of a product: its scale, and its nodes without that.
    fn factor(self) -> (f64, Vec<Node>) {
        match &self.terms[..] {
            [term] if self.offset == 0.0 => (term.coefficient, term.nodes.clone()),
            [term] => {
                // c·t + d: c out front if that leaves t alone, else as it stands.
                let (scale, shift) = (term.coefficient, self.offset / term.coefficient);
                if scale != 1.0 && shift.is_finite() {
                    let sum = Self {
                        offset: shift,
                        terms: vec![Term {
                            coefficient: 1.0,
                            ..term.clone()
                        }],
                    };
                    (scale, sum.write())
                } else {
                    (1.0, self.write())
                }
            }
            terms => {
                // All coefficients alike in size: the common one goes out front.
                let first = terms[0].coefficient;
                let alike = terms.iter().all(|t| same_size(t.coefficient, first));
                if alike && !same_size(first, 1.0) {
                    (first, self.scale(1.0 / first).write())
                } else {
                    (1.0, self.write())
                }
            }
        }
    }

    /// The nodes of the whole.
    fn write(self) -> Vec<Node> {
        let Self { offset, mut terms } = self;
        if terms.is_empty() {
            return vec![Node::Const(offset)];
        }
        // A common coefficient is written once if that is shorter.
        let first = terms[0].coefficient;
        if terms.len() > 1
            && !same_size(first, 1.0)
            && terms.iter().all(|t| same_size(t.coefficient, first))
        {
            for term in &mut terms {
                term.coefficient = if term.coefficient == first { 1.0 } else { -1.0 };
            }
            let inner = Self { offset: 0.0, terms }.write();
            return Self {
                offset,
                terms: vec![Term {
                    coefficient: first,
                    nodes: inner,
                }],
            }
            .write();
        }
        // Begin with something positive, so that no leading minus is needed.
        if let Some(position) = terms.iter().position(|t| t.coefficient > 0.0) {
            terms[..=position].rotate_right(1);
        }
        let mut out = Vec::new();
        let lead_with_offset = offset != 0.0 && terms[0].coefficient < 0.0;
        if lead_with_offset {
            out.push(Node::Const(offset));
        }
        for Term { coefficient, nodes } in terms {
            let starts = out.is_empty();
            let magnitude = if starts {
                coefficient
            } else {
                coefficient.abs()
            };
            write_term(&mut out, magnitude, &nodes);
            if !starts {
                out.push(Node::Op(if coefficient < 0.0 { Op::Sub } else { Op::Add }));
            }
        }
        if offset != 0.0 && !lead_with_offset {
            out.push(Node::Const(offset.abs()));
            out.push(Node::Op(if offset < 0.0 { Op::Sub } else { Op::Add }));
        }
        out
    }
}

#[expect(
    clippy::float_cmp,
    reason = "only what is equal to the bit may be written once"
)]
fn same_size(a: f64, b: f64) -> bool {
    a.abs() == b.abs()
}

/// Appends `coefficient · nodes`, the coefficient leftmost.
fn write_term(out: &mut Vec<Node>, coefficient: f64, nodes: &[Node]) {
    if let [inner @ .., Node::Op(Op::Inv)] = nodes {
        out.push(Node::Const(coefficient));
        out.extend_from_slice(inner);
        out.push(Node::Op(Op::Div));
    } else if coefficient == 1.0 {
        out.extend_from_slice(nodes);
    } else if coefficient == -1.0 {
        out.extend_from_slice(nodes);
        out.push(Node::Op(Op::Neg));
    } else {
        // Down the left spine of products and quotients to the first factor.
        let first = first_factor(nodes);
        out.push(Node::Const(coefficient));
        out.extend_from_slice(&nodes[..first]);
        out.push(Node::Op(Op::Mul));
        out.extend_from_slice(&nodes[first..]);
    }
}

/// Where the first factor of a chain of products and quotients ends.
fn first_factor(nodes: &[Node]) -> usize {
    let Ok(expr) = Expr::from_postfix(nodes.to_vec()) else {
        return nodes.len();
    };
    let mut end = nodes.len();
    while let Node::Op(Op::Mul | Op::Div) = nodes[end - 1] {
        let right = expr.subtree(end - 2);
        end = right.start;
    }
    end
}

/// `expr` as a person would write it, with the operators that were asked for.
pub(crate) fn present(expr: &Expr, operators: &Operators) -> Expr {
    let nodes = sum_of(expr.nodes(), operators).write();
    Expr::from_postfix(nodes).unwrap_or_else(|_| expr.clone())
}

fn sum_of(nodes: &[Node], operators: &Operators) -> Sum {
    let mut stack: Vec<Sum> = Vec::new();
    for &node in nodes {
        let op = match node {
            Node::Const(value) => {
                stack.push(Sum::constant(value));
                continue;
            }
            Node::Var(_) => {
                stack.push(Sum::term(1.0, vec![node]));
                continue;
            }
            Node::Op(op) => op,
        };
        let arguments = stack.split_off(stack.len() - op.arity());
        stack.push(apply(op, arguments, operators));
    }
    stack.pop().unwrap_or_default()
}

fn apply(op: Op, arguments: Vec<Sum>, operators: &Operators) -> Sum {
    if arguments.iter().all(Sum::is_constant) {
        let values: Vec<f64> = arguments.iter().map(|a| a.offset).collect();
        return Sum::constant(op.reference(&values));
    }
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().unwrap_or_default();
    match op {
        Op::Add => next().add(next()),
        Op::Sub => next().add(next().scale(-1.0)),
        Op::Neg => next().scale(-1.0),
        Op::Mul => {
            let (a, b) = (next(), next());
            if a.is_constant() {
                b.scale(a.offset)
            } else if b.is_constant() {
                a.scale(b.offset)
            } else {
                product(a.factor(), b.factor())
            }
        }
        Op::Div => {
            let (a, b) = (next(), next());
            if b.is_constant() {
                a.scale(1.0 / b.offset)
            } else if a.is_constant() {
                let (scale, nodes) = b.factor();
                inverse(a.offset / scale, nodes)
            } else {
                quotient(a.factor(), b.factor())
            }
        }
        Op::Inv => {
            let (scale, nodes) = next().factor();
            inverse(1.0 / scale, nodes)
        }
        Op::Square => {
            let (scale, mut nodes) = next().factor();
            if operators.shows(Op::Square) || !operators.contains(Op::Mul) {
                nodes.push(Node::Op(Op::Square));
                Sum::term(scale * scale, nodes)
            } else {
                product((scale, nodes.clone()), (scale, nodes))
            }
        }
        Op::Sqrt => {
            let argument = next();
            match &argument.terms[..] {
                [term] if argument.offset == 0.0 && term.coefficient > 0.0 => {
                    let root = match &term.nodes[..] {
                        // √exp(u) is exp(u/2).
                        [exponent @ .., Node::Op(Op::Exp)] => {
                            function(Op::Exp, [sum_of(exponent, operators).scale(0.5)])
                        }
                        [exponent @ .., Node::Op(Op::Exp), Node::Op(Op::Inv)] => {
                            function(Op::Exp, [sum_of(exponent, operators).scale(-0.5)])
                        }
                        inner => {
                            let mut nodes = inner.to_vec();
                            nodes.push(Node::Op(Op::Sqrt));
                            Sum::term(1.0, nodes)
                        }
                    };
                    root.scale(term.coefficient.sqrt())
                }
                _ => function(op, [argument]),
            }
        }
        _ => function(op, [next()].into_iter().chain(arguments)),
    }
}

fn function(op: Op, arguments: impl IntoIterator<Item = Sum>) -> Sum {
    let mut nodes: Vec<Node> = arguments.into_iter().flat_map(Sum::write).collect();
    nodes.push(Node::Op(op));
    Sum::term(1.0, nodes)
}

fn inverse(scale: f64, mut nodes: Vec<Node>) -> Sum {
    if let Some(Node::Op(Op::Div)) = nodes.last() {
        let (above, below) = operands(&nodes);
        return Sum::term(scale, joined(below, above, Op::Div));
    }
    match nodes.last() {
        Some(Node::Op(Op::Inv)) => drop(nodes.pop()),
        _ => nodes.push(Node::Op(Op::Inv)),
    }
    Sum::term(scale, nodes)
}

fn product((a, left): (f64, Vec<Node>), (b, right): (f64, Vec<Node>)) -> Sum {
    match (left.split_last(), right.split_last()) {
        (_, Some((Node::Op(Op::Inv), inner))) => quotient((a, left), (1.0 / b, inner.to_vec())),
        (Some((Node::Op(Op::Inv), inner)), _) => quotient((b, right), (1.0 / a, inner.to_vec())),
        (_, Some((Node::Op(Op::Div), _))) => {
            let (above, below) = operands(&right);
            quotient((a * b, joined(left, above, Op::Mul)), (1.0, below))
        }
        (Some((Node::Op(Op::Div), _)), _) => {
            let (above, below) = operands(&left);
            quotient((a * b, joined(above, right, Op::Mul)), (1.0, below))
        }
        _ => Sum::term(a * b, joined(left, right, Op::Mul)),
    }
}

fn quotient((a, left): (f64, Vec<Node>), (b, right): (f64, Vec<Node>)) -> Sum {
    match (left.split_last(), right.split_last()) {
        (_, Some((Node::Op(Op::Inv), inner))) => {
            Sum::term(a / b, joined(left, inner.to_vec(), Op::Mul))
        }
        (Some((Node::Op(Op::Inv), inner)), _) => {
            inverse(a / b, joined(inner.to_vec(), right, Op::Mul))
        }
        (_, Some((Node::Op(Op::Div), _))) => {
            let (above, below) = operands(&right);
            let product = joined(left, below, Op::Mul);
            Sum::term(a / b, joined(product, above, Op::Div))
        }
        (Some((Node::Op(Op::Div), _)), _) => {
            let (above, below) = operands(&left);
            Sum::term(a / b, joined(above, joined(below, right, Op::Mul), Op::Div))
        }
        _ => Sum::term(a / b, joined(left, right, Op::Div)),
    }
}

/// The two operands of a formula whose last node takes two.
fn operands(nodes: &[Node]) -> (Vec<Node>, Vec<Node>) {
    let mut wanted = 1;
    let mut right = nodes.len() - 1;
    while wanted > 0 && right > 0 {
        right -= 1;
        wanted = wanted + nodes[right].arity() - 1;
    }
    (
        nodes[..right].to_vec(),
        nodes[right..nodes.len() - 1].to_vec(),
    )
}

fn joined(mut left: Vec<Node>, right: Vec<Node>, op: Op) -> Vec<Node> {
    left.extend(right);
    left.push(Node::Op(op));
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use opcodon_expr::{parse, print};

    const NAMES: [&str; 3] = ["x", "y", "z"];

    fn check(operators: &Operators, text: &str, expected: &str) {
        let expr = parse(text, Some(&NAMES)).expect(text).expr;
        let shown = present(&expr, operators);
        assert_eq!(print::infix(&shown, &NAMES), expected, "{text}");
        for row in [[0.5, 1.25, 2.0], [1.5, 0.25, 0.75]] {
            let (before, after) = (expr.eval(&row), shown.eval(&row));
            assert!(
                (before - after).abs() <= 1e-12 * before.abs().max(1.0)
                    || before.is_nan() && after.is_nan(),
                "{text}: {before} {after}"
            );
        }
    }

    #[test]
    fn formulas_read_as_written_by_hand() {
        let all = Operators::default();
        for (text, expected) in [
            ("x*2 + 0", "2*x"),
            ("(x + y*2)*3 + 1", "3*x + 6*y + 1"),
            ("(x + y)*3 + 1", "3*(x + y) + 1"),
            ("(x - y)*0.5 - 2", "0.5*(x - y) - 2"),
            ("inv(x)*3", "3/x"),
            ("inv(x)*-1 + y", "y - 1/x"),
            ("(x*y/z)*2.5", "2.5*x*y/z"),
            ("x*inv(y)", "x/y"),
            ("inv(x)*inv(y)", "1/(x*y)"),
            ("inv(inv(x))", "x"),
            ("y/(2*x)", "0.5*y/x"),
            ("1/(sqrt(y)/x)", "x/sqrt(y)"),
            ("x/y*z", "x*z/y"),
            ("z*(x/y)/(y/x)", "z*x/y*x/y"),
            ("x/y/z", "x/(y*z)"),
            ("square(x*2)", "4*square(x)"),
            ("sqrt(x*4)", "2*sqrt(x)"),
            ("3/sqrt(exp(square(x)*4 + y))", "3/exp(2*square(x) + 0.5*y)"),
            ("sqrt(4/exp(square(x)))", "2*exp(-0.5*square(x))"),
            ("sqrt(1 - square(x)*0.25)", "sqrt(1 - 0.25*square(x))"),
            ("x - x + y", "y"),
            ("x*2 + x*3", "5*x"),
            ("sin(x*2 + 1)*y", "sin(2*x + 1)*y"),
            ("0 - x", "-x"),
            ("3 - x*2", "3 - 2*x"),
            ("2 + 3*4", "14"),
            ("(2*x + 4)*(y + 1)", "2*(x + 2)*(y + 1)"),
            ("max(x*2, 3)", "max(2*x, 3)"),
            ("x*(y - z)*-2", "-2*x*(y - z)"),
        ] {
            check(&all, text, expected);
        }
        check(
            &Operators::new([Op::Add, Op::Mul]),
            "square(x + 1)*3",
            "3*(x + 1)*(x + 1)",
        );
    }
}
