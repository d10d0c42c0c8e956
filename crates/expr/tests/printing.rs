//! Golden tests of the languages.

use expect_test::{Expect, expect};
use opcodon_expr::{Expr, Op, parse, print};

fn expr(text: &str) -> (Expr, Vec<String>) {
    let parsed = parse(text, None).unwrap_or_else(|error| panic!("{}", error.render()));
    (parsed.expr, parsed.variables)
}

#[test]
fn latex() {
    let check = |text: &str, expected: Expect| {
        let (expr, names) = expr(text);
        expected.assert_eq(&print::latex(&expr, &names));
    };
    check(
        "2*x0^2 - sin(x1)/3",
        expect![[r#"2 \cdot {x_{0}}^{2} - \frac{\sin\left(x_{1}\right)}{3}"#]],
    );
    check(
        "(a + b)*c*-d",
        expect![[r#"\left(a + b\right) \cdot c \cdot \left(-d\right)"#]],
    );
    check(
        "a - (b - -2)",
        expect![[r#"a - \left(b - \left(-2\right)\right)"#]],
    );
    check(
        "-(a + b)^(c + 1)",
        expect![[r#"-{\left(a + b\right)}^{c + 1}"#]],
    );
    check(
        "exp(x)^2 + sin(x)^2",
        expect![[r#"{\left(e^{x}\right)}^{2} + {\left(\sin\left(x\right)\right)}^{2}"#]],
    );
    check(
        "sqrt(x)/cbrt(y)",
        expect![[r#"\frac{\sqrt{x}}{\sqrt[3]{y}}"#]],
    );
    check(
        "1.5e-7*x + 1e300^y - inf",
        expect![[r#"1.5 \cdot 10^{-7} \cdot x + {\left(10^{300}\right)}^{y} - \infty"#]],
    );
    check(
        "alpha*mass_sun + rho2 + `my column`",
        expect![[r#"\alpha \cdot \mathrm{mass}_{\mathrm{sun}} + \rho_{2} + \mathrm{my\ column}"#]],
    );
    check(
        "if(x < 0, -x, x) + (x >= 1)",
        expect![[
            r#"\left(\begin{cases} -x & \text{if } x < 0 \\ x & \text{otherwise} \end{cases}\right) + \left[x \ge 1\right]"#
        ]],
    );
    check(
        "if(x, floor(y), aq(x, y))",
        expect![[
            r#"\begin{cases} \left\lfloor y\right\rfloor & \text{if } x \ne 0 \\ \frac{x}{\sqrt{1 + {y}^{2}}} & \text{otherwise} \end{cases}"#
        ]],
    );
    check(
        "abs(x) + inv(y) + square(x + 1) + fma(x, y, 2)",
        expect![[
            r#"\left|x\right| + \frac{1}{y} + {\left(x + 1\right)}^{2} + \left(x \cdot y + 2\right)"#
        ]],
    );
}

#[test]
fn mathml() {
    let check = |text: &str, digits: Option<usize>, expected: Expect| {
        let (expr, names) = expr(text);
        let math = print::mathml(&expr, &names, digits);
        let content = math
            .strip_prefix("<math display=\"block\"><mrow>")
            .and_then(|rest| rest.strip_suffix("</mrow></math>"));
        expected.assert_eq(content.unwrap());
    };
    check(
        "2*x0^2 - sin(x1)/3",
        None,
        expect![
            "<mn>2</mn><mo>⋅</mo><msup><mrow><msub><mi>x</mi><mn>0</mn></msub></mrow><mrow><mn>2</mn></mrow></msup><mo>−</mo><mfrac><mrow><mi>sin</mi><mo>⁡</mo><mrow><mo>(</mo><mrow><msub><mi>x</mi><mn>1</mn></msub></mrow><mo>)</mo></mrow></mrow><mrow><mn>3</mn></mrow></mfrac>"
        ],
    );
    check(
        "(a + b)*c*-d",
        None,
        expect![
            "<mrow><mo>(</mo><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mo>)</mo></mrow><mo>⋅</mo><mi>c</mi><mo>⋅</mo><mrow><mo>(</mo><mrow><mrow><mo>−</mo><mi>d</mi></mrow></mrow><mo>)</mo></mrow>"
        ],
    );
    check(
        "a - (b - -2)",
        None,
        expect![
            "<mi>a</mi><mo>−</mo><mrow><mo>(</mo><mrow><mi>b</mi><mo>−</mo><mrow><mo>(</mo><mrow><mrow><mo>−</mo><mn>2</mn></mrow></mrow><mo>)</mo></mrow></mrow><mo>)</mo></mrow>"
        ],
    );
    check(
        "exp(x)^2 + sin(x)^-y",
        None,
        expect![
            "<msup><mrow><mrow><mo>(</mo><mrow><msup><mi>e</mi><mrow><mi>x</mi></mrow></msup></mrow><mo>)</mo></mrow></mrow><mrow><mn>2</mn></mrow></msup><mo>+</mo><msup><mrow><mrow><mo>(</mo><mrow><mi>sin</mi><mo>⁡</mo><mrow><mo>(</mo><mrow><mi>x</mi></mrow><mo>)</mo></mrow></mrow><mo>)</mo></mrow></mrow><mrow><mrow><mo>−</mo><mi>y</mi></mrow></mrow></msup>"
        ],
    );
    check(
        "max(sqrt(x), cbrt(y))",
        None,
        expect![
            "<mi>max</mi><mo>⁡</mo><mrow><mo>(</mo><mrow><msqrt><mi>x</mi></msqrt><mo>,</mo><mroot><mrow><mi>y</mi></mrow><mn>3</mn></mroot></mrow><mo>)</mo></mrow>"
        ],
    );
    check(
        "1.5e-7*x + 1e300^y - inf",
        None,
        expect![
            "<mn>1.5</mn><mo>⋅</mo><msup><mn>10</mn><mrow><mo>−</mo><mn>7</mn></mrow></msup><mo>⋅</mo><mi>x</mi><mo>+</mo><msup><mrow><mrow><mo>(</mo><mrow><msup><mn>10</mn><mn>300</mn></msup></mrow><mo>)</mo></mrow></mrow><mrow><mi>y</mi></mrow></msup><mo>−</mo><mi>∞</mi>"
        ],
    );
    check(
        "0.123456789*x + 123456789*y - 2.5",
        Some(6),
        expect![[
            r#"<mn title="0.123456789">0.123457</mn><mo>⋅</mo><mi>x</mi><mo>+</mo><mn title="123456789.0">123457000</mn><mo>⋅</mo><mi>y</mi><mo>−</mo><mn>2.5</mn>"#
        ]],
    );
    check(
        "2.00000001*x - 1.99999999e-9*y",
        Some(3),
        expect![[
            r#"<mn title="2.00000001">2</mn><mo>⋅</mo><mi>x</mi><mo>−</mo><mn title="1.99999999e-9">2</mn><mo>⋅</mo><msup><mn>10</mn><mrow><mo>−</mo><mn>9</mn></mrow></msup><mo>⋅</mo><mi>y</mi>"#
        ]],
    );
    check(
        "alpha*mass_sun + rho2 + `my <column>`",
        None,
        expect![
            "<mi>α</mi><mo>⋅</mo><msub><mi>mass</mi><mi>sun</mi></msub><mo>+</mo><msub><mi>ρ</mi><mn>2</mn></msub><mo>+</mo><mtext>my &lt;column&gt;</mtext>"
        ],
    );
    check(
        "if(x < 0, -x, x) + (x >= 1)",
        None,
        expect![
            "<mrow><mo>(</mo><mrow><mrow><mo>{</mo><mtable><mtr><mtd><mrow><mo>−</mo><mi>x</mi></mrow></mtd><mtd><mtext>if </mtext><mi>x</mi><mo>&lt;</mo><mn>0</mn></mtd></mtr><mtr><mtd><mi>x</mi></mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow></mrow><mo>)</mo></mrow><mo>+</mo><mrow><mo>[</mo><mrow><mi>x</mi><mo>≥</mo><mn>1</mn></mrow><mo>]</mo></mrow>"
        ],
    );
}

/// Elements are closed in order, whatever the operators and the names.
#[test]
fn mathml_is_well_formed() {
    let names = ["</script><b>", "a & \"b\"", "x_<1>"];
    for &op in Op::ALL {
        let operand = |k| Expr::apply(Op::Neg, &[Expr::var(k)]);
        let operands = [operand(0), operand(1), operand(2)];
        let inner = Expr::apply(op, &operands[..op.arity()]);
        let outer = vec![inner; op.arity()];
        let text = print::mathml(&Expr::apply(op, &outer), &names, None);
        let mut open = Vec::new();
        for piece in text.split('<').skip(1) {
            let (tag, content) = piece.split_once('>').unwrap();
            assert!(!content.contains('>'), "{text}");
            match tag.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "{text}"),
                None => open.push(tag.split(' ').next().unwrap()),
            }
        }
        assert!(open.is_empty(), "{text}");
        assert!(!text.contains("<b>") && !text.contains("script>"), "{text}");
    }
}

#[test]
fn sympy() {
    let check = |text: &str, expected: Expect| {
        let (expr, names) = expr(text);
        expected.assert_eq(&print::sympy(&expr, &names));
    };
    check("2*x0^2 - sin(x1)/3.5", expect!["2*x0**2 - sin(x1)/3.5"]);
    check("x*x + 2*3", expect!["x**2 + 6"]);
    check(
        "cbrt(x) + cbrt(y + 1)",
        expect![
            "sign(x)*Abs(x)**Rational(1, 3) + Lambda(a, sign(a)*Abs(a)**Rational(1, 3))(y + 1)"
        ],
    );
    check("max(abs(x), log2(y))", expect!["Max(Abs(x), log(y, 2))"]);
    check(
        "if(x < y, x == 1, pdiv(x, y + 1))",
        expect![
            "Piecewise((Piecewise((1, Eq(x, 1)), (0, True)), x < y), (Lambda((a, b), Piecewise((1, Eq(b, 0)), (a/b, True)))(x, y + 1), True))"
        ],
    );
    check(
        "aq(x, y) + mod(x, 2) + round(x) + sigmoid(x)",
        expect!["x/sqrt(1 + y**2) + Mod(x, 2) + floor(x + Rational(1, 2)) + 1/(1 + exp(-x))"],
    );
    check(
        "beta + E + x_1 + `it's`",
        expect![[r#"Symbol('beta') + Symbol('E') + x_1 + Symbol('it\'s')"#]],
    );
}

#[test]
fn numpy() {
    let check = |text: &str, expected: Expect| {
        let (expr, names) = expr(text);
        expected.assert_eq(&print::numpy(&expr, &names));
    };
    check(
        "2*x0^2 - arcsin(x1)/3",
        expect!["2.0*x0**2.0 - np.arcsin(x1)/3.0"],
    );
    check(
        "max(abs(x), y)^-0.5",
        expect!["np.maximum(np.abs(x), y)**-0.5"],
    );
    check(
        "if(x < y, x == 1, plog(y + 1))",
        expect![
            "np.where(x < y, np.where(x == 1.0, 1.0, 0.0), (lambda a: np.where(a == 0.0, 0.0, np.log(np.abs(a))))(y + 1.0))"
        ],
    );
    check("1/0*x", expect!["np.float64(1.0)/np.float64(0.0)*x"]);
    check(
        "`for` + `a b` + a_b + erf(np)",
        expect!["for_2 + a_b + a_b_2 + scipy.special.erf(np_2)"],
    );
}

#[test]
fn c() {
    let (expr, names) = expr("min(x, 2)^2 - -(y < 1)*`double`");
    expect![[r#"
        #include <math.h>

        static double minimum(double a, double b) {
            return a < b || a != a ? a : b;
        }

        double f(double x, double y, double double_2) {
            return pow(minimum(x, 2.0), 2.0) - -(y < 1.0 ? 1.0 : 0.0)*double_2;
        }
    "#]]
    .assert_eq(&print::c(&expr, &names));
    expect![[r#"
        #include <math.h>

        double f(void) {
            return NAN;
        }
    "#]]
    .assert_eq(&print::c::<&str>(&Expr::constant(f64::NAN), &[]));
}

#[test]
fn rust() {
    let (expr, names) = expr("min(x, 2)^2 - if(y, sin(-2), 1)*`fn`");
    expect![[r#"
        fn minimum(a: f64, b: f64) -> f64 {
            if a < b || a.is_nan() { a } else { b }
        }

        pub fn f(x: f64, y: f64, fn_2: f64) -> f64 {
            minimum(x, 2.0_f64).powf(2.0_f64) - (if y != 0.0 { (-2.0_f64).sin() } else { 1.0_f64 })*fn_2
        }
    "#]].assert_eq(&print::rust(&expr, &names));
}

/// The table that documentation shows: how every operator looks in every language.
#[test]
fn every_operator_in_every_language() {
    let mut table = String::new();
    let names = ["a", "b", "c"];
    for &op in Op::ALL {
        let operands = [Expr::var(0), Expr::var(1), Expr::var(2)];
        let expr = Expr::apply(op, &operands[..op.arity()]);
        let infix = print::infix(&expr, &names);
        assert!(parse(&infix, Some(&names)).unwrap().expr == expr);
        let (latex, sympy) = (print::latex(&expr, &names), print::sympy(&expr, &names));
        table += &format!(
            "{infix:<14} {latex:<34} {sympy:<44} {}\n",
            print::numpy(&expr, &names)
        );
    }
    expect![[r#"
        a + b          a + b                              a + b                                        a + b
        a - b          a - b                              a - b                                        a - b
        a*b            a \cdot b                          a*b                                          a*b
        a/b            \frac{a}{b}                        a/b                                          a/b
        -a             -a                                 -a                                           -a
        abs(a)         \left|a\right|                     Abs(a)                                       np.abs(a)
        inv(a)         \frac{1}{a}                        1/a                                          1.0/a
        square(a)      {a}^{2}                            a**2                                         np.square(a)
        cube(a)        {a}^{3}                            a**3                                         a**3
        sqrt(a)        \sqrt{a}                           sqrt(a)                                      np.sqrt(a)
        cbrt(a)        \sqrt[3]{a}                        sign(a)*Abs(a)**Rational(1, 3)               np.cbrt(a)
        a^b            {a}^{b}                            a**b                                         a**b
        exp(a)         e^{a}                              exp(a)                                       np.exp(a)
        expm1(a)       e^{a} - 1                          exp(a) - 1                                   np.expm1(a)
        log(a)         \ln\left(a\right)                  log(a)                                       np.log(a)
        log2(a)        \log_{2}\left(a\right)             log(a, 2)                                    np.log2(a)
        log10(a)       \log_{10}\left(a\right)            log(a, 10)                                   np.log10(a)
        log1p(a)       \ln\left(1 + a\right)              log(1 + a)                                   np.log1p(a)
        sin(a)         \sin\left(a\right)                 sin(a)                                       np.sin(a)
        cos(a)         \cos\left(a\right)                 cos(a)                                       np.cos(a)
        tan(a)         \tan\left(a\right)                 tan(a)                                       np.tan(a)
        asin(a)        \arcsin\left(a\right)              asin(a)                                      np.arcsin(a)
        acos(a)        \arccos\left(a\right)              acos(a)                                      np.arccos(a)
        atan(a)        \arctan\left(a\right)              atan(a)                                      np.arctan(a)
        atan2(a, b)    \operatorname{atan2}\left(a, b\right) atan2(a, b)                                  np.arctan2(a, b)
        sinh(a)        \sinh\left(a\right)                sinh(a)                                      np.sinh(a)
        cosh(a)        \cosh\left(a\right)                cosh(a)                                      np.cosh(a)
        tanh(a)        \tanh\left(a\right)                tanh(a)                                      np.tanh(a)
        sigmoid(a)     \sigma\left(a\right)               1/(1 + exp(-a))                              1.0/(1.0 + np.exp(-a))
        erf(a)         \operatorname{erf}\left(a\right)   erf(a)                                       scipy.special.erf(a)
        min(a, b)      \min\left(a, b\right)              Min(a, b)                                    np.minimum(a, b)
        max(a, b)      \max\left(a, b\right)              Max(a, b)                                    np.maximum(a, b)
        floor(a)       \left\lfloor a\right\rfloor        floor(a)                                     np.floor(a)
        ceil(a)        \left\lceil a\right\rceil          ceiling(a)                                   np.ceil(a)
        round(a)       \operatorname{round}\left(a\right) floor(a + Rational(1, 2))                    np.rint(a)
        sign(a)        \operatorname{sgn}\left(a\right)   sign(a)                                      np.sign(a)
        mod(a, b)      \operatorname{mod}\left(a, b\right) Mod(a, b)                                    np.mod(a, b)
        fma(a, b, c)   a \cdot b + c                      a*b + c                                      a*b + c
        a < b          \left[a < b\right]                 Piecewise((1, a < b), (0, True))             np.where(a < b, 1.0, 0.0)
        a <= b         \left[a \le b\right]               Piecewise((1, a <= b), (0, True))            np.where(a <= b, 1.0, 0.0)
        a > b          \left[a > b\right]                 Piecewise((1, a > b), (0, True))             np.where(a > b, 1.0, 0.0)
        a >= b         \left[a \ge b\right]               Piecewise((1, a >= b), (0, True))            np.where(a >= b, 1.0, 0.0)
        a == b         \left[a = b\right]                 Piecewise((1, Eq(a, b)), (0, True))          np.where(a == b, 1.0, 0.0)
        a != b         \left[a \ne b\right]               Piecewise((1, Ne(a, b)), (0, True))          np.where(a != b, 1.0, 0.0)
        if(a, b, c)    \begin{cases} b & \text{if } a \ne 0 \\ c & \text{otherwise} \end{cases} Piecewise((b, Ne(a, 0)), (c, True))          np.where(a != 0.0, b, c)
        aq(a, b)       \frac{a}{\sqrt{1 + {b}^{2}}}       a/sqrt(1 + b**2)                             a/np.sqrt(1.0 + np.square(b))
        pdiv(a, b)     \operatorname{pdiv}\left(a, b\right) Piecewise((1, Eq(b, 0)), (a/b, True))        np.where(b == 0.0, 1.0, a/b)
        plog(a)        \operatorname{plog}\left(a\right)  Piecewise((0, Eq(a, 0)), (log(Abs(a)), True)) np.where(a == 0.0, 0.0, np.log(np.abs(a)))
        psqrt(a)       \sqrt{\left|a\right|}              sqrt(Abs(a))                                 np.sqrt(np.abs(a))
    "#]].assert_eq(&table);
}
