//! The table of operators: special values, and that its facts agree with each other.

use opcodon_expr::{Op, parse};

/// The value of a constant expression; texts compare by value, sign of zero included.
fn check(cases: &[(&str, f64)]) {
    for &(text, expected) in cases {
        let value = parse(text, Some(&[]))
            .unwrap_or_else(|e| panic!("{}", e.render()))
            .expr
            .eval(&[]);
        let same = value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan());
        assert!(same, "{text} is {value:?}, not {expected:?}");
    }
}

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[test]
fn minimum_and_maximum_propagate_nan() {
    check(&[
        ("min(1, 2)", 1.0),
        ("min(2, 1)", 1.0),
        ("min(nan, 1)", NAN),
        ("min(1, nan)", NAN),
        ("max(nan, 1)", NAN),
        ("max(1, nan)", NAN),
        ("max(-inf, 1)", 1.0),
        ("min(0, -0)", -0.0),
        ("min(-0, 0)", 0.0),
        ("max(0, -0)", -0.0),
        ("max(-0, 0)", 0.0),
    ]);
}

#[test]
fn remainder_has_the_sign_of_the_divisor() {
    check(&[
        ("mod(7, 3)", 1.0),
        ("mod(-7, 3)", 2.0),
        ("mod(7, -3)", -2.0),
        ("mod(-7, -3)", -1.0),
        ("mod(6, 3)", 0.0),
        ("mod(-6, 3)", 0.0),
        ("mod(6, -3)", -0.0),
        ("mod(-0, 3)", 0.0),
        ("mod(0.3, 0.1)", 0.09999999999999998),
        ("mod(-1e-20, 3)", 3.0),
        ("mod(1, 0)", NAN),
        ("mod(0, 0)", NAN),
        ("mod(inf, 3)", NAN),
        ("mod(2, inf)", 2.0),
        ("mod(-2, inf)", INF),
        ("mod(nan, 3)", NAN),
        ("mod(1e300, 7)", 1.0),
    ]);
}

#[test]
fn rounding_and_signs() {
    check(&[
        ("round(0.5)", 0.0),
        ("round(1.5)", 2.0),
        ("round(2.5)", 2.0),
        ("round(-0.5)", -0.0),
        ("round(-1.5)", -2.0),
        ("floor(-0.5)", -1.0),
        ("ceil(-0.5)", -0.0),
        ("floor(-0)", -0.0),
        ("sign(-3)", -1.0),
        ("sign(0)", 0.0),
        ("sign(-0)", 0.0),
        ("sign(nan)", NAN),
        ("abs(-0)", 0.0),
        ("neg(0)", -0.0),
    ]);
}

#[test]
fn powers_roots_and_logarithms() {
    check(&[
        ("0^0", 1.0),
        ("nan^0", 1.0),
        ("1^nan", 1.0),
        ("(-8)^(1/3)", NAN),
        ("(-2)^3", -8.0),
        ("0^-1", INF),
        ("(-0)^-1", -INF),
        ("cbrt(-8)", -2.0),
        ("sqrt(-1)", NAN),
        ("sqrt(-0)", -0.0),
        ("log(0)", -INF),
        ("log(-1)", NAN),
        ("log1p(-1)", -INF),
        ("log2(8)", 3.0),
        ("log10(1000)", 3.0),
        ("expm1(-inf)", -1.0),
        ("exp(1000)", INF),
        ("cube(1e200)", INF),
    ]);
}

#[test]
fn functions_at_their_limits() {
    check(&[
        ("sigmoid(0)", 0.5),
        ("sigmoid(-1000)", 0.0),
        ("sigmoid(-740)", (-740.0_f64).exp()),
        ("sigmoid(1000)", 1.0),
        ("tanh(inf)", 1.0),
        ("erf(-inf)", -1.0),
        ("erf(0)", 0.0),
        ("atan2(0, -1)", std::f64::consts::PI),
        ("atan2(-0, -1)", -std::f64::consts::PI),
        ("asin(2)", NAN),
        ("sin(inf)", NAN),
        ("sin(-0)", -0.0),
        ("fma(1e308, 10, -inf)", -INF),
        ("fma(0.1, 10, -1)", 5.551115123125783e-17),
    ]);
}

#[test]
fn protected_operators_protect_zero_only() {
    check(&[
        ("pdiv(1, 0)", 1.0),
        ("pdiv(nan, -0)", 1.0),
        ("pdiv(1, 0.0005)", 2000.0),
        ("pdiv(1, nan)", NAN),
        ("plog(0)", 0.0),
        ("plog(-1)", 0.0),
        ("plog(0.0005)", -7.600902459542082),
        ("psqrt(-4)", 2.0),
        ("aq(3, 0)", 3.0),
        ("aq(1, inf)", 0.0),
        ("aq(2, 1e200)", 0.0),
    ]);
}

#[test]
fn truth() {
    check(&[
        ("1 < 2", 1.0),
        ("nan < 2", 0.0),
        ("nan == nan", 0.0),
        ("nan != nan", 1.0),
        ("0 == -0", 1.0),
        ("if(0, 1, 2)", 2.0),
        ("if(-0, 1, 2)", 2.0),
        ("if(nan, 1, 2)", 1.0),
        ("if(-3, 1, 2)", 1.0),
        ("if(1, 5, nan)", 5.0),
    ]);
}

#[test]
fn every_spelling_finds_its_operator() {
    for (index, &op) in Op::ALL.iter().enumerate() {
        assert_eq!(op as usize, index);
        assert_eq!(Op::from_index(index), Some(op));
        assert_eq!(Op::from_spelling(op.spelling()), Some(op));
        assert_eq!(Op::from_spelling(op.name()), Some(op));
        assert!(
            op.name().chars().all(|c| c.is_ascii_alphanumeric()),
            "{op:?}"
        );
        assert!(op.summary().ends_with(['.', ')']), "{op:?}");
    }
    assert_eq!(Op::from_index(Op::ALL.len()), None);
    assert_eq!(Op::from_spelling("ln"), Some(Op::Log));
    assert_eq!(Op::from_spelling(""), None);
}

const NASTY: [f64; 17] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    3.0,
    1e-300,
    -1e300,
    1e17,
    5e-324,
    -5e-324,
    f64::MAX,
    INF,
    -INF,
    NAN,
    0.1,
];

#[test]
fn commutative_operators_commute() {
    for op in Op::ALL.iter().filter(|op| op.is_commutative()) {
        for a in NASTY {
            for b in NASTY {
                let rest = [0.75];
                let value = |a, b| op.reference(&[[a, b].as_slice(), &rest].concat()[..op.arity()]);
                let (ab, ba) = (value(a, b), value(b, a));
                assert!(
                    ab == ba || (ab.is_nan() && ba.is_nan()),
                    "{op:?} of {a:?} and {b:?}"
                );
            }
        }
    }
}

/// In single precision an operator with bound 0 is what IEEE 754 says of f32, and others are f64
/// rounded: in either case the value is that of f64 where f64 is exact.
#[test]
fn single_precision_agrees() {
    for &op in Op::ALL {
        for a in [-2.0_f32, -0.0, 0.25, 1.0, 3.0, f32::INFINITY, f32::NAN] {
            for b in [-2.0_f32, 0.0, 0.5, 2.0] {
                let narrow = [a, b, 1.0];
                let wide = narrow.map(f64::from);
                let found = f64::from(op.reference_f32(&narrow[..op.arity()]));
                let expected = op.reference(&wide[..op.arity()]);
                let error = (found - expected).abs();
                let agrees = found == expected
                    || (found.is_nan() && expected.is_nan())
                    || error <= f64::from(f32::EPSILON) * expected.abs();
                assert!(agrees, "{op:?} of {narrow:?} is {found}, not {expected}");
            }
        }
    }
}
