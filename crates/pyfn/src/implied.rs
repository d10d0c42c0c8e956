//! What a branch says about integers.
//!
//! Behind `if j >= 0` the local `j` is not negative, and in `while lo <= hi` neither is `hi` if `lo` is
//! not. The test of a branch is a temporary in normal form; here it is traced back to the comparisons
//! that it stands for, through `and`, `or` and `not`, once for each function.

use crate::liveness::for_each_target;
use crate::program::{Atom, Cmp, Expr, Kind, Local, Program, Statement, Un};
use crate::scope::Scope;
use crate::types::{INT, Tags, Ty};

/// A comparison that is true.
pub(crate) type Fact = (Cmp, Atom, Atom);

/// What holds if a value is false, and if it is true.
#[derive(Debug, Clone, Default)]
struct Facts([Vec<Fact>; 2]);

/// What holds on the sides of each branch of a program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Implied(Vec<Facts>);

impl Implied {
    /// Finds it.
    pub(crate) fn of(program: &Program) -> Self {
        let mut implied = Self(vec![Facts::default(); program.n_statements]);
        let mut blocks = vec![program.body.as_slice()];
        while let Some(block) = blocks.pop() {
            for (at, statement) in block.iter().enumerate() {
                if let Kind::If(Atom::Local(test), ..) = statement.kind {
                    implied.0[statement.id] = facts(&block[..at], test);
                }
                blocks.extend(statement.blocks());
            }
        }
        implied
    }

    /// The comparisons that are true on one side of a branch.
    pub(crate) fn on_side(&self, branch: usize, side: bool) -> &[Fact] {
        &self.0[branch].0[usize::from(side)]
    }

    /// The types on one side of a branch, which are `types` before it.
    pub(crate) fn refine(&self, scope: Scope<'_>, branch: usize, side: bool) -> Vec<Ty> {
        let mut types = scope.state.to_vec();
        for (op, a, b) in self.on_side(branch, side) {
            for (op, a, b) in [(*op, a, b), (mirrored(*op), b, a)] {
                let scope = Scope {
                    state: &types,
                    ..scope
                };
                let is_above = above(op, scope.constant(b), &scope.atom(b));
                let other = scope.atom(b);
                if let Atom::Local(local) = a
                    && other.tags.within(Tags::INTS)
                {
                    let counts = scope.info.steps.counts(*local);
                    narrow(&mut types[*local], op, is_above, counts, &other);
                }
            }
        }
        types
    }
}

/// Whether what compares so is not negative.
fn above(op: Cmp, constant: Option<i64>, other: &Ty) -> bool {
    match op {
        Cmp::Gt => other.natural || constant == Some(-1),
        Cmp::Ge | Cmp::Eq => other.natural,
        _ => false,
    }
}

/// Takes into account that an integer compares so with another.
fn narrow(ty: &mut Ty, op: Cmp, is_above: bool, counts: bool, other: &Ty) {
    if ty.tags != Tags::of(INT) || ty.narrow.is_some() {
        return;
    }
    if is_above && !ty.natural {
        ty.natural = true;
        // The limit itself is none of them any more.
        let least = u8::from(counts).min(ty.room);
        ty.room = ty.room.saturating_sub(1).max(least);
    }
    if ty.natural && matches!(op, Cmp::Lt | Cmp::Le | Cmp::Eq) {
        let is_below = other.natural || op == Cmp::Lt;
        let room = other.int_room().saturating_sub(u8::from(!is_below));
        ty.room = ty.room.max(room);
    }
}

/// What holds at the end of a block if a local is true, or false.
fn facts(block: &[Statement], local: Local) -> Facts {
    let mut local = local;
    let mut is_swapped = false;
    let mut bound = Vec::new();
    for (at, statement) in block.iter().enumerate().rev() {
        let mut found = None;
        match &statement.kind {
            Kind::Set(to, e) if *to == local => match e {
                Expr::Truth(Atom::Local(of)) | Expr::Atom(Atom::Local(of)) => local = *of,
                Expr::Un(Un::Not, Atom::Local(of)) => {
                    local = *of;
                    is_swapped = !is_swapped;
                }
                Expr::Cmp(op, a, b) => match negated(*op) {
                    Some(no) => {
                        let fact = (*op, a.clone(), b.clone());
                        if reads(&fact, &bound) {
                            return Facts::default();
                        }
                        let other = (no, a.clone(), b.clone());
                        found = Some(Facts([vec![other], vec![fact]]));
                    }
                    None => return Facts::default(),
                },
                _ => return Facts::default(),
            },
            Kind::Set(to, _) => bound.push(*to),
            // `and` goes on if what is known so far is true, `or` if it is false.
            Kind::If(Atom::Local(test), then, otherwise) if *test == local => {
                let mut sides = Facts::default();
                let (more, side) = match (then.as_slice(), otherwise.as_slice()) {
                    (more, []) => (more, 1),
                    ([], more) => (more, 0),
                    _ => return sides,
                };
                for (facts, within) in [
                    (facts(more, local), more),
                    (facts(&block[..at], local), &[]),
                ] {
                    let is_kept = |fact: &Fact| !reads(fact, &bound);
                    sides.0[side]
                        .extend(facts.0[side].iter().filter(|fact| is_kept(fact)).cloned());
                    for_each_bound(within, &mut |local| bound.push(local));
                }
                found = Some(sides);
            }
            _ => return Facts::default(),
        }
        if let Some(Facts(mut sides)) = found {
            if is_swapped {
                sides.reverse();
            }
            return Facts(sides);
        }
    }
    Facts::default()
}

fn for_each_bound(block: &[Statement], f: &mut impl FnMut(Local)) {
    for statement in crate::program::all_statements(block) {
        for_each_target(&statement.kind, f);
    }
}

fn reads((_, a, b): &Fact, locals: &[Local]) -> bool {
    [a, b]
        .into_iter()
        .any(|atom| matches!(atom, Atom::Local(local) if locals.contains(local)))
}

/// The comparison that is true where one is false: of integers.
fn negated(op: Cmp) -> Option<Cmp> {
    Some(match op {
        Cmp::Lt => Cmp::Ge,
        Cmp::Le => Cmp::Gt,
        Cmp::Eq => Cmp::Ne,
        Cmp::Ne => Cmp::Eq,
        Cmp::Gt => Cmp::Le,
        Cmp::Ge => Cmp::Lt,
        _ => return None,
    })
}

/// The same comparison from the other side.
fn mirrored(op: Cmp) -> Cmp {
    match op {
        Cmp::Lt => Cmp::Gt,
        Cmp::Le => Cmp::Ge,
        Cmp::Gt => Cmp::Lt,
        Cmp::Ge => Cmp::Le,
        same => same,
    }
}
