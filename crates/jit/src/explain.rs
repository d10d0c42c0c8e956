//! What a stretch of a scalar function computes, in the words of its expression.

use std::ops::Range;

use opcodon_expr::{Expr, Node, print};

use crate::CompiledExpr;

/// Nodes of the largest part of an expression that is written out.
const WRITTEN: usize = 16;

impl CompiledExpr {
    /// What the instruction, or the constant, at `span` of [`code`](CompiledExpr::code) is for:
    /// the part of `expr` that it computes, or the constant's value. `None` for the frame.
    ///
    /// ```
    /// let parsed = opcodon_expr::parse("2*x + 1", None)?;
    /// let f = opcodon_jit::CompiledExpr::new(&parsed.expr, 1)?;
    /// assert_eq!(f.note(&parsed.expr, &parsed.variables, 0..4).as_deref(), Some("2*x"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn note<S: AsRef<str>>(
        &self,
        expr: &Expr,
        names: &[S],
        span: Range<usize>,
    ) -> Option<String> {
        if span.start >= self.n_instruction_bytes() {
            let bytes = self.code().get(span)?;
            return Some(format!("{:?}", f64::from_le_bytes(bytes.try_into().ok()?)));
        }
        let map = self.map();
        let entry = map
            .partition_point(|&(offset, _)| offset <= span.start)
            .checked_sub(1)?;
        let node = map[entry].1;
        (node < expr.len()).then(|| part(expr, node, names))
    }
}

/// The part of an expression that ends at a node, as short text.
fn part<S: AsRef<str>>(expr: &Expr, node: usize, names: &[S]) -> String {
    let nodes = &expr.nodes()[expr.subtree(node)];
    if nodes.len() <= WRITTEN
        && let Ok(part) = Expr::from_postfix(nodes.to_vec())
    {
        return print::infix(&part, names);
    }
    match expr.nodes()[node] {
        Node::Op(op) if op.symbol().is_some() && op.arity() == 2 => {
            format!("… {} …", op.spelling())
        }
        Node::Op(op) => format!("{}(…)", op.spelling()),
        Node::Const(_) | Node::Var(_) => String::new(),
    }
}
