//! Golden tests of the crate's own notation: what is written, and what is read.

use opcodon_expr::{parse, print};

fn check(input: &str, infix: &str, prefix: &str) {
    let parsed = parse(input, None).unwrap_or_else(|error| panic!("{}", error.render()));
    assert_eq!(
        print::infix(&parsed.expr, &parsed.variables),
        infix,
        "infix of {input}"
    );
    assert_eq!(
        print::prefix(&parsed.expr, &parsed.variables),
        prefix,
        "prefix of {input}"
    );
    let names: Vec<&str> = parsed.variables.iter().map(String::as_str).collect();
    for text in [infix, prefix] {
        let again = parse(text, Some(&names)).unwrap_or_else(|error| panic!("{}", error.render()));
        assert_eq!(again, parsed, "{text} reads differently");
    }
}

#[test]
fn parentheses_only_where_needed() {
    check("((x))", "x", "x");
    check("(a-(b-c))", "a - (b - c)", "sub(a, sub(b, c))");
    check("((a-b)-c)", "a - b - c", "sub(sub(a, b), c)");
    check("-x^2", "-x^2", "neg(pow(x, 2))");
    check("(-x)^2", "(-x)^2", "pow(neg(x), 2)");
    check("-2^x", "-2^x", "neg(pow(2, x))");
    check("(-2)^x", "(-2)^x", "pow(-2, x)");
    check("2^-x", "2^-x", "pow(2, neg(x))");
    check("2^-2", "2^-2", "pow(2, -2)");
    check("a^b^c", "a^b^c", "pow(a, pow(b, c))");
    check("(a**b)**c", "(a^b)^c", "pow(pow(a, b), c)");
    check("a*(b/c)", "a*(b/c)", "mul(a, div(b, c))");
    check("-a*b", "-a*b", "mul(neg(a), b)");
    check("-(a*b)", "-(a*b)", "neg(mul(a, b))");
    check("--3", "--3", "neg(-3)");
    check("-(3)", "-(3)", "neg(3)");
    check("a - -b", "a - -b", "sub(a, neg(b))");
    check(
        "(a < b) == (c >= d)",
        "(a < b) == (c >= d)",
        "eq(lt(a, b), ge(c, d))",
    );
    check("x % 3", "mod(x, 3)", "mod(x, 3)");
    check(
        "if(x < 0, -x, x)",
        "if(x < 0, -x, x)",
        "if(lt(x, 0), neg(x), x)",
    );
    check("max(a, b, c)", "max(a, max(b, c))", "max(a, max(b, c))");
    check("+x", "x", "x");
}

#[test]
fn numbers() {
    check(
        "1.50e3 + .5 + 5. + 1e-7 + 1e300",
        "1500 + 0.5 + 5 + 1e-7 + 1e300",
        "add(add(add(add(1500, 0.5), 5), 1e-7), 1e300)",
    );
    check("-0", "-0", "-0");
    check("-inf + -nan", "-inf + -nan", "add(-inf, -nan)");
    check("nan(0x1)", "nan(0x1)", "nan(0x1)");
    check("2*pi", "2*3.141592653589793", "mul(2, 3.141592653589793)");
}

#[test]
fn names() {
    check("x10 + x2", "x10 + x2", "add(x10, x2)");
    check(
        "`sepal length (cm)`*2",
        "`sepal length (cm)`*2",
        "mul(`sepal length (cm)`, 2)",
    );
    check("`e` + `a``b`", "`e` + `a``b`", "add(`e`, `a``b`)");
    assert_eq!(parse("x10 + x2", None).unwrap().variables, ["x2", "x10"]);
    assert_eq!(parse("b + a", None).unwrap().variables, ["b", "a"]);
    assert_eq!(parse("e*pi", Some(&["pi"])).unwrap().expr.n_variables(), 1);
}
