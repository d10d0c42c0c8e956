//! Random well-formed expressions, for property tests and fuzzing.
//!
//! They are grown in postfix order: a coin decides between a leaf and an operator that finds its
//! operands, which gives chains to either side as well as bushes.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::op::Op;
use crate::tree::{Expr, Node};

/// Most nodes of a generated expression before the values that remain are joined.
const MAX_NODES: usize = 48;
/// Variables of generated expressions have indices below this.
pub const GENERATED_VARIABLES: u32 = 4;

impl<'a> Arbitrary<'a> for Op {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Op> {
        u.choose(Op::ALL).copied()
    }
}

/// A leaf or an operator; constants are of every kind, NaN and infinities included.
impl<'a> Arbitrary<'a> for Node {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Node> {
        if u.arbitrary()? {
            Ok(Node::Op(u.arbitrary()?))
        } else {
            leaf(u)
        }
    }
}

/// An expression of limited size in the variables x0 to x3, over all operators.
impl<'a> Arbitrary<'a> for Expr {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Expr> {
        with_ops(u, Op::ALL)
    }
}

/// An expression of limited size in the variables x0 to x3, over these operators.
///
/// # Errors
/// If there is no operator, or no random data is left.
pub fn with_ops(u: &mut Unstructured<'_>, ops: &[Op]) -> Result<Expr> {
    let mut nodes = vec![leaf(u)?];
    let mut height = 1;
    let size = u.int_in_range(1..=MAX_NODES)?;
    while nodes.len() < size && !u.is_empty() {
        let op = *u.choose(ops)?;
        if u.ratio(1, 2)? || op.arity() > height {
            nodes.push(leaf(u)?);
            height += 1;
        } else {
            nodes.push(Node::Op(op));
            height -= op.arity() - 1;
        }
    }
    while height > 1 {
        let op = *u.choose(ops)?;
        if (2..=height).contains(&op.arity()) {
            nodes.push(Node::Op(op));
            height -= op.arity() - 1;
        } else if u.is_empty() {
            // No more randomness: drop what stands alone.
            return Ok(Expr::well_formed(last_complete(&nodes)));
        }
    }
    Ok(Expr::well_formed(nodes))
}

/// The nodes of the last value.
fn last_complete(nodes: &[Node]) -> Vec<Node> {
    let mut missing = 1;
    let mut start = nodes.len();
    while missing > 0 {
        start -= 1;
        missing = missing - 1 + nodes[start].arity();
    }
    nodes[start..].to_vec()
}

fn leaf(u: &mut Unstructured<'_>) -> Result<Node> {
    if u.ratio(1, 2)? {
        return Ok(Node::Var(u.int_in_range(0..=GENERATED_VARIABLES - 1)?));
    }
    Ok(Node::Const(match u.int_in_range(0..=3)? {
        0 => f64::from(u.int_in_range(-4..=4_i8)?),
        1 => f64::from(u.arbitrary::<i16>()?) / 64.0,
        2 => *u.choose(&[
            0.0,
            -0.0,
            0.5,
            1e-300,
            1e300,
            f64::INFINITY,
            f64::NAN,
            f64::MIN_POSITIVE,
        ])?,
        _ => f64::from_bits(u.arbitrary()?),
    }))
}
