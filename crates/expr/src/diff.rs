//! Symbolic derivatives.
//!
//! An operator's rule is a text in this crate's own notation, in which a, b and c are the operands,
//! da, db and dc their derivatives, and f is the term itself. Rules are read once. For operands
//! whose derivative is 0 or 1, which most are, the rule is specialised beforehand, so that the
//! derivative of `2*x` is `2` and not `0*x + 2*1`.
//!
//! A derivative is written from left to right by a stack of rules under way: a rule's letter `a`
//! copies a range of nodes, `da` begins another rule.
//!
//! # Where there is no derivative
//! At steps and kinks (`floor`, `sign`, `min`, comparisons, …) the result is the derivative of one
//! side: steps have derivative 0, which is right almost everywhere and useless for a step itself.
//! A derivative may be NaN or infinite where the function is not smooth (`sqrt` and `cbrt` at 0),
//! and where a rule needs a logarithm that does not exist: `pow(a, b)` for a ≤ 0 with a variable b.

use std::sync::OnceLock;

use crate::op::{MAX_ARITY, Op};
use crate::parse::parse;
use crate::tree::{Expr, ExprError, Node, operands_of};

/// Longest derivative, in nodes. Derivatives can be as long as the square of the expression's
/// length, so that a deep expression might use up the memory.
pub const MAX_DERIVATIVE_LEN: usize = 10_000_000;

/// The derivative of an application of `op`.
fn rule(op: Op) -> &'static str {
    match op {
        Op::Add => "da + db",
        Op::Sub => "da - db",
        Op::Mul => "da*b + a*db",
        Op::Div => "da/b - f*db/b",
        Op::Neg => "-da",
        Op::Abs => "sign(a)*da",
        Op::Inv => "-square(f)*da",
        Op::Square => "2*a*da",
        Op::Cube => "3*square(a)*da",
        Op::Sqrt => "0.5/f*da",
        Op::Cbrt => "da/(3*square(f))",
        Op::Pow => "b*a^(b - 1)*da + log(a)*f*db",
        Op::Exp => "f*da",
        Op::Expm1 => "exp(a)*da",
        Op::Log => "da/a",
        Op::Log2 => "da/(0.6931471805599453*a)",
        Op::Log10 => "da/(2.302585092994046*a)",
        Op::Log1p => "da/(1 + a)",
        Op::Sin => "cos(a)*da",
        Op::Cos => "-sin(a)*da",
        Op::Tan => "(1 + square(f))*da",
        Op::Asin => "da/sqrt(1 - square(a))",
        Op::Acos => "-da/sqrt(1 - square(a))",
        Op::Atan => "da/(1 + square(a))",
        Op::Atan2 => "(b*da - a*db)/(square(a) + square(b))",
        Op::Sinh => "cosh(a)*da",
        Op::Cosh => "sinh(a)*da",
        Op::Tanh => "(1 - square(f))*da",
        Op::Sigmoid => "f*(1 - f)*da",
        Op::Erf => "1.1283791670955126*exp(-square(a))*da",
        Op::Min => "if(a < b, da, db)",
        Op::Max => "if(a > b, da, db)",
        Op::Mod => "da - floor(a/b)*db",
        Op::Fma => "da*b + a*db + dc",
        Op::If => "if(a, db, dc)",
        Op::Aq => "da/sqrt(1 + square(b)) - f*b*db/(1 + square(b))",
        Op::Pdiv => "if(b, da/b - f*db/b, 0)",
        Op::Plog => "if(a, da/a, 0)",
        Op::Psqrt => "0.5*sign(a)/f*da",
        Op::Floor
        | Op::Ceil
        | Op::Round
        | Op::Sign
        | Op::Lt
        | Op::Le
        | Op::Gt
        | Op::Ge
        | Op::Eq
        | Op::Ne => "0",
    }
}

/// The variables of a rule, in the order of their indices.
const NAMES: [&str; 2 * MAX_ARITY + 1] = ["a", "b", "c", "da", "db", "dc", "f"];
const DERIVATIVES: std::ops::Range<usize> = MAX_ARITY..2 * MAX_ARITY;
const ITSELF: usize = 2 * MAX_ARITY;

/// What is known of the derivative of a subtree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slope {
    Zero,
    One,
    Other,
}

impl Slope {
    const ALL: [Slope; 3] = [Slope::Zero, Slope::One, Slope::Other];
}

/// Number of combinations of what may be known of the derivatives of three operands.
const CASES: usize = Slope::ALL.len() * Slope::ALL.len() * Slope::ALL.len();

/// Every operator's rule, specialised to each case.
fn rules() -> &'static [[Expr; CASES]] {
    static RULES: OnceLock<Vec<[Expr; CASES]>> = OnceLock::new();
    RULES.get_or_init(|| Op::ALL.iter().map(|&op| specialised(op)).collect())
}

fn specialised(op: Op) -> [Expr; CASES] {
    let parsed = parse(rule(op), Some(&NAMES));
    let general = parsed
        .unwrap_or_else(|error| unreachable!("rule of {op:?}: {error}"))
        .expr;
    std::array::from_fn(|case| {
        let slopes = [case % 3, case / 3 % 3, case / 9].map(|digit| Slope::ALL[digit]);
        let specialise = |node: &Node| match *node {
            Node::Var(index) if DERIVATIVES.contains(&(index as usize)) => {
                match slopes[index as usize - DERIVATIVES.start] {
                    Slope::Zero => Node::Const(0.0),
                    Slope::One => Node::Const(1.0),
                    Slope::Other => *node,
                }
            }
            _ => *node,
        };
        Expr::well_formed(general.nodes().iter().map(specialise).collect()).simplify_algebraic()
    })
}

impl Expr {
    /// The derivative with respect to the variable with this index.
    ///
    /// # Errors
    /// If it would be longer than [`MAX_DERIVATIVE_LEN`].
    pub fn diff(&self, variable: u32) -> Result<Expr, ExprError> {
        self.diff_at(|node, _| *node == Node::Var(variable))
    }

    /// The derivative with respect to the k-th constant in postfix order. Zero, if there are not
    /// so many.
    ///
    /// # Errors
    /// If it would be longer than [`MAX_DERIVATIVE_LEN`].
    pub fn diff_const(&self, k: usize) -> Result<Expr, ExprError> {
        let is_constant = |&(_, node): &(usize, &Node)| matches!(node, Node::Const(_));
        let position = self.nodes().iter().enumerate().filter(is_constant).nth(k);
        let position = position.map(|(position, _)| position);
        self.diff_at(|_, at| Some(at) == position)
    }

    /// The derivative with respect to the leaves for which this holds, given node and position.
    fn diff_at(&self, is_variable: impl Fn(&Node, usize) -> bool) -> Result<Expr, ExprError> {
        let nodes = self.nodes();
        let sizes = self.subtree_sizes();
        let mut slopes: Vec<Slope> = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            let slope = match node {
                Node::Op(op) => {
                    let case = case_of(*op, at, &sizes, &slopes);
                    match rules()[*op as usize][case].nodes() {
                        [Node::Const(slope)] if *slope == 0.0 => Slope::Zero,
                        [Node::Const(slope)] if *slope == 1.0 => Slope::One,
                        _ => Slope::Other,
                    }
                }
                _ if is_variable(node, at) => Slope::One,
                _ => Slope::Zero,
            };
            slopes.push(slope);
        }
        let mut out = Vec::new();
        let mut under_way = vec![Application::new(self, nodes.len() - 1, &sizes, &slopes)];
        while let Some(application) = under_way.last_mut() {
            let Some((node, rest)) = application.rest.split_first() else {
                under_way.pop();
                continue;
            };
            application.rest = rest;
            match *node {
                Node::Var(letter) if DERIVATIVES.contains(&(letter as usize)) => {
                    let root = application.operands[letter as usize - DERIVATIVES.start];
                    under_way.push(Application::new(self, root, &sizes, &slopes));
                }
                Node::Var(letter) => {
                    let root = match letter as usize {
                        ITSELF => application.root,
                        operand => application.operands[operand],
                    };
                    out.extend_from_slice(&nodes[root + 1 - sizes[root] as usize..=root]);
                }
                Node::Const(_) | Node::Op(_) => out.push(*node),
            }
            if out.len() > MAX_DERIVATIVE_LEN {
                return Err(ExprError::TooLong {
                    limit: MAX_DERIVATIVE_LEN,
                });
            }
        }
        Ok(Expr::well_formed(out))
    }
}

/// Which of the specialised rules is that of the node at `root`.
fn case_of(op: Op, root: usize, sizes: &[u32], slopes: &[Slope]) -> usize {
    let operands = operands_of(op, root, sizes);
    let digits = operands[..op.arity()]
        .iter()
        .map(|&operand| slopes[operand] as usize);
    digits
        .rev()
        .fold(0, |case, digit| case * Slope::ALL.len() + digit)
}

/// A rule that is being written out.
struct Application {
    rest: &'static [Node],
    root: usize,
    operands: [usize; MAX_ARITY],
}

impl Application {
    fn new(expr: &Expr, root: usize, sizes: &[u32], slopes: &[Slope]) -> Self {
        const ZERO: &[Node] = &[Node::Const(0.0)];
        const ONE: &[Node] = &[Node::Const(1.0)];
        let (rest, operands) = match (slopes[root], expr.nodes()[root]) {
            (Slope::Zero, _) => (ZERO, [root; MAX_ARITY]),
            (Slope::One, _) => (ONE, [root; MAX_ARITY]),
            (Slope::Other, Node::Op(op)) => {
                let case = case_of(op, root, sizes, slopes);
                (
                    rules()[op as usize][case].nodes(),
                    operands_of(op, root, sizes),
                )
            }
            (Slope::Other, _) => unreachable!("the slope of a leaf is 0 or 1"),
        };
        Application {
            rest,
            root,
            operands,
        }
    }
}
