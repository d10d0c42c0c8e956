//! What the parser says about text that is no expression.

use expect_test::{Expect, expect};
use opcodon_expr::{Expr, ExprError, Node, Op, parse};

fn check(text: &str, expected: &Expect) {
    let names = ["mass", "distance", "t"];
    let error = parse(text, Some(&names)).expect_err(text);
    expected.assert_eq(&format!("{}\n", error.render()));
}

#[test]
fn messages_say_where_and_what_to_do() {
    check(
        "",
        &expect![[r#"

        ^
        the expression is empty
    "#]],
    );
    check(
        "2*mas + t",
        &expect![[r#"
        2*mas + t
          ^^^
        unknown variable `mas`; did you mean `mass`?
    "#]],
    );
    check(
        "2*zzz",
        &expect![[r#"
        2*zzz
          ^^^
        unknown variable `zzz`
    "#]],
    );
    check(
        "sine(t)",
        &expect![[r#"
        sine(t)
        ^^^^
        unknown function `sine`; did you mean `sin`?
    "#]],
    );
    check(
        "frobnicate(t)",
        &expect![[r#"
        frobnicate(t)
        ^^^^^^^^^^
        unknown function `frobnicate`
    "#]],
    );
    check(
        "t(2)",
        &expect![[r#"
        t(2)
        ^
        `t` is not a function; multiplication is written `t*(…)`
    "#]],
    );
    check(
        "sin + 1",
        &expect![[r#"
        sin + 1
        ^^^
        `sin` is a function: write `sin(…)`, or put a variable of this name between backticks
    "#]],
    );
    check(
        "sin(t, 2)",
        &expect![[r#"
        sin(t, 2)
        ^^^
        `sin` takes 1 argument, not 2
    "#]],
    );
    check(
        "pow(t)",
        &expect![[r#"
        pow(t)
        ^^^
        `pow` takes 2 arguments, not 1
    "#]],
    );
    check(
        "sin()",
        &expect![[r#"
        sin()
        ^^^
        `sin` takes 1 argument, not 0
    "#]],
    );
    check(
        "(t + 1",
        &expect![[r#"
        (t + 1
        ^
        this parenthesis is not closed
    "#]],
    );
    check(
        "t + 1)",
        &expect![[r#"
        t + 1)
             ^
        this parenthesis closes nothing
    "#]],
    );
    check(
        "max(t, mass",
        &expect![[r#"
            max(t, mass
               ^
            this parenthesis is not closed
        "#]],
    );
    check(
        "2 t",
        &expect![[r#"
        2 t
          ^
        expected an operator, but found `t`; multiplication is written `*`
    "#]],
    );
    check(
        "2t",
        &expect![[r#"
        2t
         ^
        expected an operator, but found `t`; multiplication is written `*`
    "#]],
    );
    check(
        "t +",
        &expect![[r#"
        t +
           ^
        expected a number, a name or `(`, but found the end
    "#]],
    );
    check(
        "* t",
        &expect![[r#"
        * t
        ^
        expected a number, a name or `(`, but found `*`
    "#]],
    );
    check(
        "t + * 2",
        &expect![[r#"
        t + * 2
            ^
        expected a number, a name or `(`, but found `*`
    "#]],
    );
    check(
        "()",
        &expect![[r#"
        ()
         ^
        expected a number, a name or `(`, but found `)`
    "#]],
    );
    check(
        "t, 2",
        &expect![[r#"
        t, 2
         ^
        a comma only separates the arguments of a function
    "#]],
    );
    check(
        "(t, 2)",
        &expect![[r#"
        (t, 2)
          ^
        a comma only separates the arguments of a function
    "#]],
    );
    check(
        "0 < t < 1",
        &expect![[r#"
        0 < t < 1
              ^
        comparisons do not chain: use parentheses
    "#]],
    );
    check(
        "t = 2",
        &expect![[r#"
        t = 2
          ^
        unexpected character `=`; equality is written `==`
    "#]],
    );
    check(
        "t ? 2",
        &expect![[r#"
        t ? 2
          ^
        unexpected character `?`
    "#]],
    );
    check(
        "`t",
        &expect![[r#"
        `t
        ^
        the quoted name is not closed: a backtick is missing
    "#]],
    );
    check(
        "1.2.3",
        &expect![[r#"
        1.2.3
           ^^
        expected an operator, but found a number; multiplication is written `*`
    "#]],
    );
    check(
        "mass +\n  distanse*2",
        &expect![[r#"
          distanse*2
          ^^^^^^^^
        unknown variable `distanse`; did you mean `distance`?
    "#]],
    );
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let text = "t + ".repeat(100) + "oops + " + &"t*".repeat(100) + "t";
    check(
        &text,
        &expect![[r#"
        t + t + t + t + t + t + t + t + t + t + oops + t*t*t*t*t*t*t*t*t*t*t*t*t*t*t*t*t*t*t
                                                ^^^^
        unknown variable `oops`
    "#]],
    );
}

#[test]
fn places_are_known() {
    let error = parse("1 +\n ü + $", None).unwrap_err();
    assert_eq!((error.line, error.column, error.span), (2, 6, 10..11));
}

#[test]
fn nodes_must_make_one_expression() {
    let var = Node::Var(0);
    let sum = Node::Op(Op::Add);
    for (nodes, expected) in [
        (vec![], ExprError::Empty),
        (
            vec![var, sum],
            ExprError::MissingOperand {
                position: 1,
                op: Op::Add,
                found: 1,
            },
        ),
        (
            vec![sum],
            ExprError::MissingOperand {
                position: 0,
                op: Op::Add,
                found: 0,
            },
        ),
        (vec![var, var], ExprError::Leftover { found: 2 }),
        (vec![var, var, sum, var], ExprError::Leftover { found: 2 }),
    ] {
        assert_eq!(Expr::from_postfix(nodes), Err(expected));
    }
}

#[test]
fn data_is_validated() {
    for (json, expected) in [
        (
            "[]",
            expect!["an expression has at least one node at line 1 column 2"],
        ),
        (
            r#"["add"]"#,
            expect!["node 0: `add` takes 2 operands, but only 0 precede it at line 1 column 7"],
        ),
        (
            r#"["x0", "x1"]"#,
            expect!["the nodes make 2 expressions, not one at line 1 column 12"],
        ),
        (
            r#"["x0", "frob"]"#,
            expect![[
                r#"token 1 is "frob", which is no number, variable (x0, x1, …) or operator at line 1 column 14"#
            ]],
        ),
        (
            r#"["x99999999999"]"#,
            expect![[
                r#"token 0 is "x99999999999", which is no number, variable (x0, x1, …) or operator at line 1 column 16"#
            ]],
        ),
        (
            r#"["1 + 2"]"#,
            expect![[
                r#"token 0 is "1 + 2", which is no number, variable (x0, x1, …) or operator at line 1 column 9"#
            ]],
        ),
        (
            r#"["X0"]"#,
            expect![[
                r#"token 0 is "X0", which is no number, variable (x0, x1, …) or operator at line 1 column 6"#
            ]],
        ),
        (
            r#"{"x": 1}"#,
            expect![[
                r#"invalid type: map, expected an expression as postfix tokens, such as ["x0", "2.5", "mul"] at line 1 column 0"#
            ]],
        ),
        (
            "[1]",
            expect!["invalid type: integer `1`, expected a string at line 1 column 2"],
        ),
    ] {
        let error = serde_json::from_str::<Expr>(json).expect_err(json);
        expected.assert_eq(&error.to_string());
    }
    let expr: Expr =
        serde_json::from_str(r#"["x0", "-2.5e3", "mul", "nan", "-inf", "min", "add"]"#).unwrap();
    assert_eq!(expr.to_string(), "x0*-2500 + min(nan, -inf)");
}
