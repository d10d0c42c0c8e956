//! Trees and what they say: forms, shapes, and that nothing gets lost on the way.

use super::*;
use opcodon_evo::Rng;
use opcodon_expr::{parse, print};

const NAMES: [&str; 3] = ["x", "y", "z"];

fn form(text: &str, slots: Slots) -> Option<NormalForm> {
    let expr = parse(text, Some(&NAMES)).expect(text).expr;
    Normaliser::default().normal_form(&expr, slots)
}

#[test]
fn closed_forms() {
    for (text, expected) in [
        ("3*x + 7", "x"),
        ("2*x*(3*y + 6)", "x*(y + 2)"),
        ("x + x", "x"),
        ("x - 3*x + y", "x - y*0.5"),
        ("x*x", "square(x)"),
        ("2*x*y/(4*z)", "x*y/z"),
        ("1/(2*x)", "inv(x)"),
        ("3/x*y", "y/x"),
        ("y*(3/x)", "y/x"),
        ("y/(1/x)", "y*x"),
        ("1/(sqrt(y)/(x + z))", "(x + z)/sqrt(y)"),
        ("x/(y/z)", "x*(z/y)"),
        ("exp(x + 3)", "exp(x)"),
        ("exp(-x)", "exp(-x)"),
        ("log(5*x)", "log(x)"),
        ("log(5*x + 10)", "log(x + 2)"),
        ("sqrt(1 - x*x)", "sqrt(1 - square(x))"),
        ("sqrt(4 - 4*x*x/y)", "sqrt(1 - square(x)/y)"),
        ("sin(-2*x)", "sin(x*2)"),
        ("cos(2*x - 1)", "cos(x*2 + -1)"),
        ("square(2*x + 2)", "square(x + 1)"),
        ("square(sqrt(x))", "x"),
        ("(x*y)/(x*y) + z", "z"),
        ("x*0 + y", "y"),
        ("max(2*x, 3)", "max(x*2, 3)"),
        ("-x", "x"),
        ("2.5 - (x - y)", "x - y"),
    ] {
        let form = form(text, Slots::Closed).expect(text);
        assert_eq!(print::infix(&form.expr, &NAMES), expected, "{text}");
    }
    for constant in [
        "3",
        "x - x",
        "x/x",
        "0*x",
        "(x+y)/(x+y)",
        "exp(1e9)*x",
        "log(-1)*x",
        "x/0",
    ] {
        assert_eq!(form(constant, Slots::Closed), None, "{constant}");
    }
}

#[test]
fn open_forms_have_every_scale_and_no_redundant_one() {
    for (text, n_constants) in [
        ("x", 0),
        ("3*x", 0),
        ("x*y/z", 0),
        ("x + y", 1),
        ("x + y + z + x*y", 3),
        ("sin(x)", 1),
        ("sin(x + 1)", 2),
        ("exp(x + 1)", 1),
        ("log(x + y)", 1),
        ("exp(x*y) * sin(z)", 2),
        ("square(x + y) / (z + 1)", 2),
        ("sqrt(1 - square(x/y))", 1),
    ] {
        let form = form(text, Slots::Open).expect(text);
        let shown = print::infix(&form.expr, &NAMES);
        assert_eq!(form.expr.n_constants(), n_constants, "{text}: {shown}");
    }
}

#[test]
fn shapes_forget_coefficients_order_and_grouping() {
    for same in [
        &["x + y", "y + x", "3*y - 2*x", "4*(x + 5*y) + 1"][..],
        &["x*y*z", "z*(x*y)", "3*(y*z)*x", "y*z/(1/x)"],
        &["x*y/z", "x/(z/y)", "(y/z)*x", "y*x*(2/z)"],
        &["x + (y + z)", "(z + x) - y"],
        &["square(x)", "x*x", "3*x*x"],
        &["sin(2*x)", "sin(x)", "-sin(-x)"],
        &["exp(x + 1)", "exp(x)*2"],
    ] {
        let shapes: Vec<u64> = same
            .iter()
            .map(|text| form(text, Slots::Closed).expect(text).shape)
            .collect();
        assert!(shapes.windows(2).all(|w| w[0] == w[1]), "{same:?}");
    }
    let different = [
        "x",
        "y",
        "x + y",
        "x*y",
        "x/y",
        "y/x",
        "sin(x)",
        "sin(x + 1)",
        "cos(x)",
        "x*(y + 1)",
        "(x + 1)*y",
        "square(x)",
        "square(x + 1)",
        "sqrt(x)",
        "exp(x)",
        "exp(square(x))",
        "square(exp(x))",
        "x + square(y)",
        "square(x + y)",
        "inv(x)",
        "inv(x + 1)",
    ];
    let mut shapes: Vec<u64> = different
        .iter()
        .map(|text| form(text, Slots::Closed).expect(text).shape)
        .collect();
    shapes.sort_unstable();
    shapes.dedup();
    assert_eq!(shapes.len(), different.len());
}

fn random_tree(rng: &mut Rng, size: usize) -> Expr {
    if size <= 1 {
        return if rng.bool(0.3) {
            Expr::constant((rng.normal() * 4.0).round() / 2.0)
        } else {
            Expr::var(u32::try_from(rng.below(3)).expect("small"))
        };
    }
    let op = Op::ALL[rng.below(Op::ALL.len())];
    let op = if rng.bool(0.7) {
        [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Square, Op::Neg][rng.below(6)]
    } else {
        op
    };
    let arguments: Vec<Expr> = (0..op.arity())
        .map(|_| random_tree(rng, (size - 1) / op.arity()))
        .collect();
    Expr::apply(op, &arguments)
}

#[test]
fn the_value_is_kept_and_closing_twice_changes_nothing() {
    let mut rng = Rng::new(5, 0);
    let mut normaliser = Normaliser::default();
    let mut n_checked = 0;
    for _ in 0..4000 {
        let size = 1 + rng.below(25);
        let tree = random_tree(&mut rng, size);
        for slots in [Slots::Closed, Slots::Open] {
            let Some(form) = normaliser.normal_form(&tree, slots) else {
                continue;
            };
            for _ in 0..4 {
                let row = [
                    rng.uniform(0.3, 2.0),
                    rng.uniform(0.3, 2.0),
                    rng.uniform(0.3, 2.0),
                ];
                let (before, inner) = (tree.eval(&row), form.expr.eval(&row));
                let after = form.scale.mul_add(inner, form.offset);
                if !before.is_finite()
                    || form.scale.abs() * inner.abs() > 1e6
                    || form.scale.abs() > 1e6
                {
                    continue;
                }
                n_checked += 1;
                // Steps and steep places amplify rounding: allow a few disagreeing rows in all.
                let close = (before - after).abs() <= 1e-6 * before.abs().max(1.0);
                let discontinuous = tree.nodes().iter().any(|n| {
                    matches!(n, Node::Op(op) if op.is_comparison() || matches!(op, Op::Floor | Op::Ceil
                        | Op::Round | Op::Sign | Op::Mod | Op::If | Op::Pdiv | Op::Plog | Op::Psqrt | Op::Atan2 | Op::Tan))
                });
                assert!(
                    close || discontinuous,
                    "{tree:?}\n{form:?}\n{before} {after}"
                );
            }
            if slots == Slots::Closed {
                let again = normaliser.normal_form(&form.expr, slots);
                let again = again.unwrap_or_else(|| panic!("{tree:?}\n{form:?}"));
                assert_eq!(
                    again.expr.nodes().len(),
                    form.expr.nodes().len(),
                    "{form:?}\n{again:?}"
                );
                assert_eq!(again.shape, form.shape, "{tree:?}\n{form:?}\n{again:?}");
            }
        }
    }
    assert!(n_checked > 5000, "{n_checked}");
}
