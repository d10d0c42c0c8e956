//! The operator table: every fact that is true of an operator wherever it is used.
//!
//! A symbolic-regression system says the same thing about `tanh` many times over: how it is
//! spelled, how it is drawn, what it computes. Said in many files, these drift apart, and the
//! drift shows up as a wrong model rather than as a failed build. So a row of `for_each_op!` says
//! all of it once. What a row does not hold is machine code, which would tie this crate to one
//! processor, and rules about *expressions* (derivative, interval, simplification): each of those
//! is one exhaustive `match` in its own file, so a row without such a rule does not compile.
//!
//! # Invariant
//! The meaning column is the meaning. An evaluator is wrong where its result differs by more than
//! [`Op::max_ulp`]; with a bound of 0 it must agree to the bit. Any NaN equals any other NaN: sign
//! and payload of a NaN are nobody's promise.
//!
//! # Columns
//! * *symbol*: how the operator is written between (or before) its operands, where it is.
//! * *meaning*: `native` rows compute in the precision of their operands, so that the same few
//!   IEEE operations are exact in f64 and in f32. `wide` rows compute in f64 and round, because
//!   single-precision libm functions differ from one C library to the next.
//! * the languages: see [`crate::print`] for what the templates mean.

use std::sync::OnceLock;

use crate::mixing::WordMap;
use crate::print::form::{Form, call, helper, relation, text};
use crate::print::level;
pub use crate::symbol::{Grouping, Symbol};

const fn left(text: &'static str, level: u8) -> Option<Symbol> {
    Some(Symbol {
        text,
        level,
        grouping: Grouping::Left,
    })
}

const fn comparison(text: &'static str) -> Option<Symbol> {
    Some(Symbol {
        text,
        level: level::COMPARISON,
        grouping: Grouping::None,
    })
}

const POWER: Option<Symbol> = Some(Symbol {
    text: "^",
    level: level::POWER,
    grouping: Grouping::Right,
});
const MINUS: Option<Symbol> = Some(Symbol {
    text: "-",
    level: level::NEGATION,
    grouping: Grouping::Prefix,
});

/// Hands every row of the table to the macro `$then`.
macro_rules! for_each_op { ($then:ident) => { $then! {
    // Variant  spelling  name  ulp commutes symbol
    //     meaning
    //     MathML,
    //     LaTeX, SymPy, numpy, C, Rust
    //     summary
    (Add, "+", "add", 0, true, left("+", level::SUM);
        native [a, b] a + b;
        text(2, "$a2<mo>+</mo>$b3"),
        text(2, "$a2 + $b3"), text(2, "$a2 + $b3"), text(2, "$a2 + $b3"), text(2, "$a2 + $b3"), text(2, "$a2 + $b3");
        "Sum.")
    (Sub, "-", "sub", 0, false, left("-", level::SUM);
        native [a, b] a - b;
        text(2, "$a2<mo>−</mo>$b3"),
        text(2, "$a2 - $b3"), text(2, "$a2 - $b3"), text(2, "$a2 - $b3"), text(2, "$a2 - $b3"), text(2, "$a2 - $b3");
        "Difference.")
    (Mul, "*", "mul", 0, true, left("*", level::PRODUCT);
        native [a, b] a * b;
        text(3, "$a3<mo>⋅</mo>$b3"),
        text(3, r"$a3 \cdot $b5"), text(3, "$a3*$b4"), text(3, "$a3*$b4"), text(3, "$a3*$b4"), text(3, "$a3*$b4");
        "Product.")
    (Div, "/", "div", 0, false, left("/", level::PRODUCT);
        native [a, b] a / b;
        text(5, "<mfrac><mrow>$a</mrow><mrow>$b</mrow></mfrac>"),
        text(5, r"\frac{$a}{$b}"), text(3, "$a3/$b4"), text(3, "$a3/$b4"), text(3, "$a3/$b4"), text(3, "$a3/$b4");
        "Quotient, as IEEE 754 defines it: 1/0 is infinite, 0/0 is NaN.")
    (Neg, "neg", "neg", 0, false, MINUS;
        native [a] -a;
        text(2, "<mrow><mo>−</mo>$a3</mrow>"),
        text(2, "-$a3"), text(4, "-$a4"), text(4, "-$a4"), text(4, "-$a6"), text(4, "-$a6");
        "Negation.")
    (Abs, "abs", "abs", 0, false, None;
        native [a] a.abs();
        text(6, "<mrow><mo>|</mo><mrow>$a</mrow><mo>|</mo></mrow>"),
        text(6, r"\left|$a\right|"), call("Abs"), call("np.abs"), call("fabs"), text(6, "$a6.abs()");
        "Absolute value.")
    (Inv, "inv", "inv", 0, false, None;
        native [a] 1.0 / a;
        text(5, "<mfrac><mrow><mn>1</mn></mrow><mrow>$a</mrow></mfrac>"),
        text(5, r"\frac{1}{$a}"), text(3, "1/$a4"), text(3, "1.0/$a4"), text(3, "1.0/$a4"), text(3, "1.0/$a4");
        "Reciprocal, 1/a.")
    (Square, "square", "square", 0, false, None;
        native [a] a * a;
        text(5, "<msup><mrow>$a6</mrow><mn>2</mn></msup>"),
        text(5, "{$a6}^{2}"), text(5, "$a6**2"), call("np.square"), helper("square", "a * a"), helper("square", "a * a");
        "Square, a·a.")
    (Cube, "cube", "cube", 0, false, None;
        native [a] a * a * a;
        text(5, "<msup><mrow>$a6</mrow><mn>3</mn></msup>"),
        text(5, "{$a6}^{3}"), text(5, "$a6**3"), text(5, "$a6**3"), helper("cube", "a * a * a"), helper("cube", "a * a * a");
        "Cube, (a·a)·a with two roundings.")
    (Sqrt, "sqrt", "sqrt", 0, false, None;
        native [a] a.sqrt();
        text(6, "<msqrt>$a</msqrt>"),
        text(6, r"\sqrt{$a}"), call("sqrt"), call("np.sqrt"), call("sqrt"), text(6, "$a6.sqrt()");
        "Square root; NaN below zero.")
    (Cbrt, "cbrt", "cbrt", 4, false, None;
        wide [a] a.cbrt();
        text(6, "<mroot><mrow>$a</mrow><mn>3</mn></mroot>"),
        text(6, r"\sqrt[3]{$a}"), text(3, "sign($a)*Abs($a)**Rational(1, 3)"), call("np.cbrt"), call("cbrt"), text(6, "$a6.cbrt()");
        "Real cube root, odd: cbrt(-8) is -2.")
    (Pow, "pow", "pow", 4, false, POWER;
        wide [a, b] a.powf(b);
        text(5, "<msup><mrow>$a6</mrow><mrow>$b</mrow></msup>"),
        text(5, "{$a6}^{$b}"), text(5, "$a6**$b4"), text(5, "$a6**$b4"), call("pow"), text(6, "$a6.powf($b)");
        "Power as in C: pow(a, 0) is 1 for every a, NaN for a negative base with a fractional exponent.")
    (Exp, "exp", "exp", 4, false, None;
        wide [a] a.exp();
        text(5, "<msup><mi>e</mi><mrow>$a</mrow></msup>"),
        text(5, "e^{$a}"), call("exp"), call("np.exp"), call("exp"), text(6, "$a6.exp()");
        "Exponential.")
    (Expm1, "expm1", "expm1", 4, false, None;
        wide [a] a.exp_m1();
        text(2, "<msup><mi>e</mi><mrow>$a</mrow></msup><mo>−</mo><mn>1</mn>"),
        text(2, "e^{$a} - 1"), text(2, "exp($a) - 1"), call("np.expm1"), call("expm1"), text(6, "$a6.exp_m1()");
        "exp(a) - 1, accurate near zero.")
    (Log, "log", "log", 4, false, None;
        wide [a] a.ln();
        call("ln"),
        call(r"\ln"), call("log"), call("np.log"), call("log"), text(6, "$a6.ln()");
        "Natural logarithm; NaN below zero.")
    (Log2, "log2", "log2", 4, false, None;
        wide [a] a.log2();
        call("log₂"),
        call(r"\log_{2}"), text(6, "log($a, 2)"), call("np.log2"), call("log2"), text(6, "$a6.log2()");
        "Logarithm to base 2.")
    (Log10, "log10", "log10", 4, false, None;
        wide [a] a.log10();
        call("log₁₀"),
        call(r"\log_{10}"), text(6, "log($a, 10)"), call("np.log10"), call("log10"), text(6, "$a6.log10()");
        "Logarithm to base 10.")
    (Log1p, "log1p", "log1p", 4, false, None;
        wide [a] a.ln_1p();
        text(5, "<mi>ln</mi><mo>\u{2061}</mo><mrow><mo>(</mo><mrow><mn>1</mn><mo>+</mo>$a3</mrow><mo>)</mo></mrow>"),
        text(5, r"\ln\left(1 + $a3\right)"), text(6, "log(1 + $a3)"), call("np.log1p"), call("log1p"), text(6, "$a6.ln_1p()");
        "log(1 + a), accurate near zero.")
    (Sin, "sin", "sin", 4, false, None;
        wide [a] a.sin();
        call("sin"),
        call(r"\sin"), call("sin"), call("np.sin"), call("sin"), text(6, "$a6.sin()");
        "Sine of an angle in radians.")
    (Cos, "cos", "cos", 4, false, None;
        wide [a] a.cos();
        call("cos"),
        call(r"\cos"), call("cos"), call("np.cos"), call("cos"), text(6, "$a6.cos()");
        "Cosine of an angle in radians.")
    (Tan, "tan", "tan", 4, false, None;
        wide [a] a.tan();
        call("tan"),
        call(r"\tan"), call("tan"), call("np.tan"), call("tan"), text(6, "$a6.tan()");
        "Tangent of an angle in radians.")
    (Asin, "asin", "asin", 4, false, None;
        wide [a] a.asin();
        call("arcsin"),
        call(r"\arcsin"), call("asin"), call("np.arcsin"), call("asin"), text(6, "$a6.asin()");
        "Inverse sine; NaN outside [-1, 1].")
    (Acos, "acos", "acos", 4, false, None;
        wide [a] a.acos();
        call("arccos"),
        call(r"\arccos"), call("acos"), call("np.arccos"), call("acos"), text(6, "$a6.acos()");
        "Inverse cosine; NaN outside [-1, 1].")
    (Atan, "atan", "atan", 4, false, None;
        wide [a] a.atan();
        call("arctan"),
        call(r"\arctan"), call("atan"), call("np.arctan"), call("atan"), text(6, "$a6.atan()");
        "Inverse tangent.")
    (Atan2, "atan2", "atan2", 4, false, None;
        wide [a, b] a.atan2(b);
        call("atan2"),
        call(r"\operatorname{atan2}"), call("atan2"), call("np.arctan2"), call("atan2"), text(6, "$a6.atan2($b)");
        "Angle of the point (x = b, y = a), in (-π, π].")
    (Sinh, "sinh", "sinh", 4, false, None;
        wide [a] a.sinh();
        call("sinh"),
        call(r"\sinh"), call("sinh"), call("np.sinh"), call("sinh"), text(6, "$a6.sinh()");
        "Hyperbolic sine.")
    (Cosh, "cosh", "cosh", 4, false, None;
        wide [a] a.cosh();
        call("cosh"),
        call(r"\cosh"), call("cosh"), call("np.cosh"), call("cosh"), text(6, "$a6.cosh()");
        "Hyperbolic cosine.")
    (Tanh, "tanh", "tanh", 4, false, None;
        wide [a] a.tanh();
        call("tanh"),
        call(r"\tanh"), call("tanh"), call("np.tanh"), call("tanh"), text(6, "$a6.tanh()");
        "Hyperbolic tangent.")
    (Sigmoid, "sigmoid", "sigmoid", 4, false, None;
        wide [a] {
            // Of the two forms, the one whose exponential does not overflow.
            let e = (-a.abs()).exp();
            (if a < 0.0 { e } else { 1.0 }) / (1.0 + e)
        };
        call("σ"),
        call(r"\sigma"), text(3, "1/(1 + exp(-$a4))"), text(3, "1.0/(1.0 + np.exp(-$a4))"), text(3, "1.0/(1.0 + exp(-$a6))"), text(3, "1.0/(1.0 + (-$a6).exp())");
        "Logistic function, 1/(1 + exp(-a)).")
    (Erf, "erf", "erf", 4, false, None;
        wide [a] libm::erf(a);
        call("erf"),
        call(r"\operatorname{erf}"), call("erf"), call("scipy.special.erf"), call("erf"), call("libm::erf");
        "Error function.")
    (Min, "min", "min", 0, true, None;
        native [a, b] if a < b || a.is_nan() { a } else { b };
        call("min"),
        call(r"\min"), call("Min"), call("np.minimum"), helper("minimum", "a < b || a != a ? a : b"), helper("minimum", "if a < b || a.is_nan() { a } else { b }");
        "Smaller operand; NaN if either is NaN, as numpy.minimum. Of two zeros, the second operand.")
    (Max, "max", "max", 0, true, None;
        native [a, b] if a > b || a.is_nan() { a } else { b };
        call("max"),
        call(r"\max"), call("Max"), call("np.maximum"), helper("maximum", "a > b || a != a ? a : b"), helper("maximum", "if a > b || a.is_nan() { a } else { b }");
        "Larger operand; NaN if either is NaN, as numpy.maximum. Of two zeros, the second operand.")
    (Floor, "floor", "floor", 0, false, None;
        native [a] a.floor();
        text(6, "<mrow><mo>⌊</mo><mrow>$a</mrow><mo>⌋</mo></mrow>"),
        text(6, r"\left\lfloor $a\right\rfloor"), call("floor"), call("np.floor"), call("floor"), text(6, "$a6.floor()");
        "Largest integer not above a.")
    (Ceil, "ceil", "ceil", 0, false, None;
        native [a] a.ceil();
        text(6, "<mrow><mo>⌈</mo><mrow>$a</mrow><mo>⌉</mo></mrow>"),
        text(6, r"\left\lceil $a\right\rceil"), call("ceiling"), call("np.ceil"), call("ceil"), text(6, "$a6.ceil()");
        "Smallest integer not below a.")
    (Round, "round", "round", 0, false, None;
        native [a] a.round_ties_even();
        call("round"),
        call(r"\operatorname{round}"), text(6, "floor($a2 + Rational(1, 2))"), call("np.rint"), call("rint"), text(6, "$a6.round_ties_even()");
        "Nearest integer, halves to the even one.")
    (Sign, "sign", "sign", 0, false, None;
        native [a] if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else if a == 0.0 { 0.0 } else { a };
        call("sgn"),
        call(r"\operatorname{sgn}"), call("sign"), call("np.sign"), helper("sign", "a > 0.0 ? 1.0 : a < 0.0 ? -1.0 : a == 0.0 ? 0.0 : a"), helper("sign", "if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else if a == 0.0 { 0.0 } else { a }");
        "1, -1 or 0 as a is above, below or equal to zero; +0 for -0 and NaN for NaN, as numpy.sign.")
    (Mod, "mod", "mod", 0, false, None;
        native [a, b] {
            let r = a % b;
            if r == 0.0 { r.copysign(b) } else if (r < 0.0) != (b < 0.0) { r + b } else { r }
        };
        call("mod"),
        call(r"\operatorname{mod}"), call("Mod"), call("np.mod"),
        helper("floor_mod", "fmod(a, b) == 0.0 ? copysign(0.0, b) : (fmod(a, b) < 0.0) != (b < 0.0) ? fmod(a, b) + b : fmod(a, b)"),
        helper("floor_mod", "let r = a % b; if r == 0.0 { r.copysign(b) } else if (r < 0.0) != (b < 0.0) { r + b } else { r }");
        "Remainder with the sign of the divisor, as numpy.mod and Python's %: exact fmod, then + b if the signs differ. NaN for b = 0.")
    (Fma, "fma", "fma", 0, true, None;
        native [a, b, c] a.mul_add(b, c);
        text(2, "$a3<mo>⋅</mo>$b3<mo>+</mo>$c3"),
        text(2, r"$a3 \cdot $b5 + $c3"), text(2, "$a3*$b4 + $c3"), text(2, "$a3*$b4 + $c3"), call("fma"), text(6, "$a6.mul_add($b, $c)");
        "a·b + c, rounded once.")
    (Lt, "lt", "lt", 0, false, comparison("<");
        native [a, b] if a < b { 1.0 } else { 0.0 };
        relation("$a2<mo>&lt;</mo>$b2"),
        relation("$a2 < $b2"), relation("$a2 < $b2"), relation("$a2 < $b2"), relation("$a2 < $b2"), relation("$a2 < $b2");
        "1 if a < b, else 0; 0 if either is NaN.")
    (Le, "le", "le", 0, false, comparison("<=");
        native [a, b] if a <= b { 1.0 } else { 0.0 };
        relation("$a2<mo>≤</mo>$b2"),
        relation(r"$a2 \le $b2"), relation("$a2 <= $b2"), relation("$a2 <= $b2"), relation("$a2 <= $b2"), relation("$a2 <= $b2");
        "1 if a ≤ b, else 0; 0 if either is NaN.")
    (Gt, "gt", "gt", 0, false, comparison(">");
        native [a, b] if a > b { 1.0 } else { 0.0 };
        relation("$a2<mo>&gt;</mo>$b2"),
        relation("$a2 > $b2"), relation("$a2 > $b2"), relation("$a2 > $b2"), relation("$a2 > $b2"), relation("$a2 > $b2");
        "1 if a > b, else 0; 0 if either is NaN.")
    (Ge, "ge", "ge", 0, false, comparison(">=");
        native [a, b] if a >= b { 1.0 } else { 0.0 };
        relation("$a2<mo>≥</mo>$b2"),
        relation(r"$a2 \ge $b2"), relation("$a2 >= $b2"), relation("$a2 >= $b2"), relation("$a2 >= $b2"), relation("$a2 >= $b2");
        "1 if a ≥ b, else 0; 0 if either is NaN.")
    (Eq, "eq", "eq", 0, true, comparison("==");
        native [a, b] if a == b { 1.0 } else { 0.0 };
        relation("$a2<mo>=</mo>$b2"),
        relation("$a2 = $b2"), relation("Eq($a, $b)"), relation("$a2 == $b2"), relation("$a2 == $b2"), relation("$a2 == $b2");
        "1 if a = b, else 0; 0 if either is NaN.")
    (Ne, "ne", "ne", 0, true, comparison("!=");
        native [a, b] if a != b { 1.0 } else { 0.0 };
        relation("$a2<mo>≠</mo>$b2"),
        relation(r"$a2 \ne $b2"), relation("Ne($a, $b)"), relation("$a2 != $b2"), relation("$a2 != $b2"), relation("$a2 != $b2");
        "1 if a ≠ b, else 0; 1 if either is NaN.")
    (If, "if", "if", 0, false, None;
        native [a, b, c] if a != 0.0 { b } else { c };
        text(1, "<mrow><mo>{</mo><mtable><mtr><mtd>$b</mtd><mtd><mtext>if </mtext>$a?</mtd></mtr><mtr><mtd>$c</mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow>"),
        text(1, r"\begin{cases} $b & \text{if } $a? \\ $c & \text{otherwise} \end{cases}"),
        text(6, "Piecewise(($b, $a?), ($c, True))"), text(6, "np.where($a?, $b, $c)"), text(6, "($a? ? $b : $c)"), text(6, "(if $a? { $b } else { $c })");
        "b if a ≠ 0, else c. A NaN condition counts as true.")
    (Aq, "aq", "aq", 0, false, None;
        native [a, b] a / (1.0 + b * b).sqrt();
        text(5, "<mfrac><mrow>$a</mrow><mrow><msqrt><mn>1</mn><mo>+</mo><msup><mrow>$b6</mrow><mn>2</mn></msup></msqrt></mrow></mfrac>"),
        text(5, r"\frac{$a}{\sqrt{1 + {$b6}^{2}}}"), text(3, "$a3/sqrt(1 + $b6**2)"), text(3, "$a3/np.sqrt(1.0 + np.square($b))"), helper("analytic_quotient", "a / sqrt(1.0 + b * b)"), helper("analytic_quotient", "a / (1.0 + b * b).sqrt()");
        "Analytic quotient, a/√(1 + b²): division that is smooth and total (Ni, Drieberg and Rockett 2013).")
    (Pdiv, "pdiv", "pdiv", 0, false, None;
        native [a, b] if b == 0.0 { 1.0 } else { a / b };
        call("pdiv"),
        call(r"\operatorname{pdiv}"), text(6, "Piecewise((1, Eq($b, 0)), ($a3/$b4, True))"), text(6, "np.where($b2 == 0.0, 1.0, $a3/$b4)"), helper("protected_div", "b == 0.0 ? 1.0 : a / b"), helper("protected_div", "if b == 0.0 { 1.0 } else { a / b }");
        "Protected quotient: a/b, and 1 where b is exactly zero, as DEAP's protectedDiv. (gplearn's gives 1 for |b| ≤ 0.001 already.)")
    (Plog, "plog", "plog", 4, false, None;
        wide [a] if a == 0.0 { 0.0 } else { a.abs().ln() };
        call("plog"),
        call(r"\operatorname{plog}"), text(6, "Piecewise((0, Eq($a, 0)), (log(Abs($a)), True))"), text(6, "np.where($a2 == 0.0, 0.0, np.log(np.abs($a)))"), helper("protected_log", "a == 0.0 ? 0.0 : log(fabs(a))"), helper("protected_log", "if a == 0.0 { 0.0 } else { a.abs().ln() }");
        "Protected logarithm: log|a|, and 0 where a is exactly zero. (gplearn's gives 0 for |a| ≤ 0.001 already.)")
    (Psqrt, "psqrt", "psqrt", 0, false, None;
        native [a] a.abs().sqrt();
        text(6, "<msqrt><mrow><mo>|</mo><mrow>$a</mrow><mo>|</mo></mrow></msqrt>"),
        text(6, r"\sqrt{\left|$a\right|}"), text(6, "sqrt(Abs($a))"), text(6, "np.sqrt(np.abs($a))"), text(6, "sqrt(fabs($a))"), text(6, "$a6.abs().sqrt()");
        "Protected square root, √|a|.")
} } }

/// Other names under which the parser knows an operator: numpy's, SymPy's and mathematics'.
const ALIASES: &[(&str, Op)] = &[
    ("ln", Op::Log),
    ("arcsin", Op::Asin),
    ("arccos", Op::Acos),
    ("arctan", Op::Atan),
    ("arctan2", Op::Atan2),
    ("Abs", Op::Abs),
    ("Min", Op::Min),
    ("Max", Op::Max),
    ("Mod", Op::Mod),
    ("minimum", Op::Min),
    ("maximum", Op::Max),
    ("power", Op::Pow),
    ("ceiling", Op::Ceil),
    ("where", Op::If),
    ("^", Op::Pow),
    ("**", Op::Pow),
    ("%", Op::Mod),
    ("<", Op::Lt),
    ("<=", Op::Le),
    (">", Op::Gt),
    (">=", Op::Ge),
    ("==", Op::Eq),
    ("!=", Op::Ne),
];

/// The facts of one row that are data.
pub(crate) struct Row {
    spelling: &'static str,
    name: &'static str,
    arity: u8,
    max_ulp: u32,
    commutative: bool,
    symbol: Option<Symbol>,
    summary: &'static str,
    /// The languages.
    pub(crate) mathml: Form,
    pub(crate) latex: Form,
    pub(crate) sympy: Form,
    pub(crate) numpy: Form,
    pub(crate) c: Form,
    pub(crate) rust: Form,
}

/// The number of names in a list.
macro_rules! count {
    ($a:ident) => {
        1
    };
    ($a:ident, $b:ident) => {
        2
    };
    ($a:ident, $b:ident, $c:ident) => {
        3
    };
}

/// Maximal number of operands of any operator.
pub const MAX_ARITY: usize = 3;

macro_rules! define_op { ($(($variant:ident, $spelling:literal, $name:literal, $ulp:literal,
    $commutative:literal, $symbol:expr; $kind:ident [$($arg:ident),*] $meaning:expr;
    $mathml:expr, $latex:expr, $sympy:expr, $numpy:expr, $c:expr, $rust:expr; $summary:literal))*) => {
    /// An operator. Its operands are called a, b and c, in this order.
    // As wide as the index of a variable: then both lie at the same place in a node, and a pass over
    // nodes reads either without a branch.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[repr(u32)]
    pub enum Op {
        $(#[doc = $summary] $variant,)*
    }

    impl Op {
        /// Every operator, in the order of the table: `Op::ALL[op as usize] == op`.
        pub const ALL: &'static [Op] = &[$(Op::$variant),*];

        const ROWS: [Row; Self::ALL.len()] = [$(Row {
            spelling: $spelling,
            name: $name,
            arity: count!($($arg),*),
            max_ulp: $ulp,
            commutative: $commutative,
            symbol: $symbol,
            summary: $summary,
            mathml: $mathml,
            latex: $latex,
            sympy: $sympy,
            numpy: $numpy,
            c: $c,
            rust: $rust,
        }),*];
    }

    impl Real for f64 {
        fn from_f64(value: f64) -> f64 { value }

        fn apply(op: Op, operands: &[f64]) -> f64 {
            match op { $(Op::$variant => {
                let &[$($arg),*] = operands else { wrong_operand_count(op, operands.len()) };
                $meaning
            })* }
        }

        fn apply_block(op: Op, first: &mut [f64], second: &[f64], third: &[f64]) {
            match op { $(Op::$variant => {
                #[inline(always)]
                fn meaning($($arg: f64),*) -> f64 { $meaning }
                map_block!(meaning, first, second, third, $($arg),*);
            })* }
        }
    }

    impl Real for f32 {
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the purpose")]
        fn from_f64(value: f64) -> f32 { value as f32 }

        fn apply(op: Op, operands: &[f32]) -> f32 {
            match op { $(Op::$variant => {
                let &[$($arg),*] = operands else { wrong_operand_count(op, operands.len()) };
                in_f32!($kind [$($arg),*] $meaning)
            })* }
        }

        fn apply_block(op: Op, first: &mut [f32], second: &[f32], third: &[f32]) {
            match op { $(Op::$variant => {
                #[inline(always)]
                fn meaning($($arg: f32),*) -> f32 { in_f32!($kind [$($arg),*] $meaning) }
                map_block!(meaning, first, second, third, $($arg),*);
            })* }
        }
    }
} }

/// A meaning on f32 operands: as it stands, or by way of f64.
macro_rules! in_f32 {
    (native [$($arg:ident),*] $meaning:expr) => { $meaning };
    (wide [$($arg:ident),*] $meaning:expr) => {{
        $(let $arg = f64::from($arg);)*
        f32::from_f64($meaning)
    }};
}

/// A meaning on blocks, in place of the first one. Equal lengths are made known to the compiler
/// so that it vectorises the loop.
macro_rules! map_block {
    ($f:ident, $first:ident, $second:ident, $third:ident, $a:ident) => {{
        let _ = ($second, $third);
        for a in $first {
            *a = $f(*a);
        }
    }};
    ($f:ident, $first:ident, $second:ident, $third:ident, $a:ident, $b:ident) => {{
        let _ = $third;
        for (a, b) in $first.iter_mut().zip($second) {
            *a = $f(*a, *b);
        }
    }};
    ($f:ident, $first:ident, $second:ident, $third:ident, $a:ident, $b:ident, $c:ident) => {{
        for ((a, b), c) in $first.iter_mut().zip($second).zip($third) {
            *a = $f(*a, *b, *c);
        }
    }};
}

/// A floating-point type in which every operator has a meaning.
pub(crate) trait Real: Copy + Default {
    fn from_f64(value: f64) -> Self;
    /// `op(operands)`.
    fn apply(op: Op, operands: &[Self]) -> Self;
    /// `first[i] = op(first[i], second[i], third[i])` with as many operands as `op` takes.
    fn apply_block(op: Op, first: &mut [Self], second: &[Self], third: &[Self]);
}

for_each_op!(define_op);

#[cold]
fn wrong_operand_count(op: Op, found: usize) -> ! {
    panic!("{} takes {} operands, not {found}", op.name(), op.arity())
}

impl Op {
    pub(crate) fn row(self) -> &'static Row {
        &Self::ROWS[self as usize]
    }

    /// The operator with this number in [`Op::ALL`], if there is one.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Op> {
        Self::ALL.get(index).copied()
    }

    /// The number of operands: 1, 2 or 3.
    #[inline]
    #[must_use]
    pub const fn arity(self) -> usize {
        const ARITY: [u8; Op::ALL.len()] = {
            let mut arity = [0; Op::ALL.len()];
            let mut i = 0;
            while i < arity.len() {
                arity[i] = Op::ROWS[i].arity;
                i += 1;
            }
            arity
        };
        ARITY[self as usize] as usize
    }

    /// The spelling: `+`, `-`, `*`, `/`, or a function's name.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        self.row().spelling
    }

    /// The name, which is an identifier: as [`Op::spelling`], but `add`, `sub`, `mul`, `div`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The infix symbol, for those operators that have one.
    #[must_use]
    pub fn symbol(self) -> Option<Symbol> {
        self.row().symbol
    }

    /// The operator with this spelling, name, infix symbol or alias (`ln`, `arcsin`, `**`, …).
    /// `-` is the difference.
    #[must_use]
    pub fn from_spelling(text: &str) -> Option<Op> {
        static KNOWN: OnceLock<WordMap<&'static str, Op>> = OnceLock::new();
        let known = KNOWN.get_or_init(|| {
            let own = Self::ALL
                .iter()
                .flat_map(|&op| [(op.spelling(), op), (op.name(), op)]);
            own.chain(ALIASES.iter().copied()).collect()
        });
        known.get(text).copied()
    }

    /// How far, in units in the last place of the result, an evaluator may be from
    /// [`Op::reference`] (in f32: from [`Op::reference_f32`]). 0: equal to the bit, NaN apart.
    #[must_use]
    pub fn max_ulp(self) -> u32 {
        self.row().max_ulp
    }

    /// Whether exchanging the first two operands leaves the value the same.
    ///
    /// The value, not always the bits: of two zeros of different sign `min` and `max` return the
    /// second operand.
    #[must_use]
    pub fn is_commutative(self) -> bool {
        self.row().commutative
    }

    /// Whether the operator compares: its results are 0 and 1.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Eq | Op::Ne)
    }

    /// One sentence on what the operator computes.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.row().summary
    }

    /// The meaning of the operator.
    ///
    /// # Panics
    /// If the number of operands is not [`Op::arity`].
    #[must_use]
    pub fn reference(self, operands: &[f64]) -> f64 {
        f64::apply(self, operands)
    }

    /// The meaning of the operator in single precision.
    ///
    /// # Panics
    /// If the number of operands is not [`Op::arity`].
    #[must_use]
    pub fn reference_f32(self, operands: &[f32]) -> f32 {
        f32::apply(self, operands)
    }
}
