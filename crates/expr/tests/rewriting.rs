//! Golden tests of what expressions turn into: simplified, differentiated.

use opcodon_expr::{Expr, parse, print};

/// Compares everything before it fails.
fn check(rewrite: impl Fn(&Expr) -> Expr, cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (input, expected) in cases {
        let found = rewritten(input, &rewrite);
        if found != *expected {
            wrong += &format!("\n{input}  becomes  {found}  instead of  {expected}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// `rewrite(input)` in infix notation, with the input's variables.
fn rewritten(input: &str, rewrite: impl Fn(&Expr) -> Expr) -> String {
    let parsed = parse(input, None).unwrap_or_else(|error| panic!("{}", error.render()));
    print::infix(&rewrite(&parsed.expr), &parsed.variables)
}

#[test]
fn exact_simplification() {
    check(
        Expr::simplify,
        &[
            ("x*1 + 0", "x + 0"),
            ("x + -0", "x"),
            ("x - 0", "x"),
            ("0 + x", "0 + x"),
            ("x - x", "x - x"),
            ("x*0", "x*0"),
            ("x/x", "x/x"),
            ("x*x", "square(x)"),
            ("x*x*x", "cube(x)"),
            ("x*(x*x)", "cube(x)"),
            ("1/x", "inv(x)"),
            ("--x", "x"),
            ("a + -b", "a - b"),
            ("a - -b", "a + b"),
            ("-a*-b", "a*b"),
            ("-a/b", "-(a/b)"),
            ("-(2*x)", "-2*x"),
            ("x + -2", "x - 2"),
            ("2*3 + x", "6 + x"),
            ("sqrt(16)*x", "4*x"),
            ("abs(abs(-x))", "abs(x)"),
            ("abs(exp(x))", "exp(x)"),
            ("floor(round(x))", "round(x)"),
            ("min(x + y, y + x)", "x + y"),
            ("x^0", "1"),
            ("x^2", "x^2"),
            ("if(2 > 1, x, y)", "x"),
            ("if(x != 0, y, z)", "if(x, y, z)"),
            ("if(x == 0, y, z)", "if(x, z, y)"),
            ("if(x, y, y)", "y"),
            ("x < x", "0"),
            ("x == x", "x == x"),
            ("fma(1, x, y)", "x + y"),
            ("pdiv(x, 4)", "x/4"),
            ("pdiv(x, 0)", "1"),
            ("exp(log(x))", "exp(log(x))"),
        ],
    );
}

#[test]
fn algebraic_simplification() {
    check(
        Expr::simplify_algebraic,
        &[
            ("x*y/(x*z) + w/z", "(y + w)/z"),
            ("2*square(sin(0.5*x))/y + z", "(1 - cos(x))/y + z"),
            (
                "1.4142135623730951*sqrt(-0.5 - 1/(v/c - 1))*w",
                "sqrt((v + c)/(c - v))*w",
            ),
            ("1/(1/x + 1/y) - x*y/(x + y) + z", "z"),
            (
                "2*sqrt(0.5*square(x - y) - x*y*(cos(z) - 1))",
                "1.4142135623730951*sqrt(square(x) + square(y) - 2*(x*y*cos(z)))",
            ),
            ("x*1 + 0", "x"),
            ("0 - x", "-x"),
            ("x - x", "0"),
            ("x*0", "0"),
            ("0/x", "0"),
            ("x/x", "1"),
            ("x + x", "2*x"),
            ("2*x + 3*x", "5*x"),
            ("x*3 - x", "2*x"),
            ("2*x - 2*x", "0"),
            ("x + 1 + y + 2", "x + y + 3"),
            ("1 - (x - 2)", "3 - x"),
            ("-(x + 1)", "-1 - x"),
            ("-(x - y)", "y - x"),
            ("2*(x*3)*4", "24*x"),
            ("x/3*y", "x*y/3"),
            ("x/3*2/4", "0.16666666666666666*x"),
            ("2/x*3", "6/x"),
            ("6/(2/x)", "3*x"),
            ("1/(1/x)", "x"),
            ("1/(2*x)", "0.5/x"),
            ("x*(1/y)", "x/y"),
            ("x*x*x*x", "x^4"),
            ("x^2*x", "cube(x)"),
            ("x^3/x", "square(x)"),
            ("sqrt(x)*sqrt(x)", "x"),
            ("sqrt(x^2)", "abs(x)"),
            ("square(x^3)", "x^6"),
            ("square(x^0.25)", "square(x^0.25)"),
            ("exp(log(x)) + log(exp(y))", "x + y"),
            ("sin(-x) + cos(-x)", "cos(x) - sin(x)"),
            ("a*b - b*a", "0"),
            ("1e200*(x*1e200)", "1e200*(1e200*x)"),
        ],
    );
}

#[test]
fn derivatives() {
    let slope = |expr: &Expr| expr.diff(0).unwrap().simplify_algebraic();
    check(
        slope,
        &[
            ("x", "1"),
            ("3", "0"),
            ("2*x + 1", "2"),
            ("x^2", "2*x"),
            ("x^3", "3*square(x)"),
            ("x*y", "y"),
            ("x - 3/y", "1"),
            ("exp(2*x)", "2*exp(2*x)"),
            ("sin(x)*cos(x)", "square(cos(x)) - square(sin(x))"),
            ("3/x", "-3/square(x)"),
            ("sqrt(x)", "0.5/sqrt(x)"),
            ("x^x", "x*x^(x - 1) + log(x)*x^x"),
            ("sigmoid(-x)", "sigmoid(-x)*(sigmoid(-x) - 1)"),
            ("floor(x)", "0"),
            ("if(x < 0, -x, x)", "if(x < 0, -1, 1)"),
        ],
    );
}
