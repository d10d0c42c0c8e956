//! What other languages make of the printed text: a C compiler, rustc, numpy and SymPy compute the
//! same values as the reference.
//!
//! A tool that is not installed is skipped, which the test says. `OPCODON_PYTHON` names the Python
//! to use.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use opcodon_expr::{Expr, Node, Op, parse, print};
use opcodon_testkit::report_skip;

const NAMES: [&str; 3] = ["x0", "y", "lambda"];

/// Every operator, alone, with an operand that is no leaf, and with numbers only; and expressions
/// that combine languages' difficulties.
fn expressions() -> Vec<Expr> {
    let x = Expr::var(0);
    let leaves = [x.clone(), Expr::var(1), Expr::var(2)];
    let inner = [
        Expr::apply(Op::Sub, &[Expr::var(1), Expr::constant(-0.5)]),
        Expr::apply(Op::Mul, &[Expr::constant(-2.0), Expr::var(2)]),
        Expr::apply(Op::Neg, std::slice::from_ref(&x)),
    ];
    let numbers = [0.0, -0.0, 1.5].map(Expr::constant);
    let mut expressions = Vec::new();
    for &op in Op::ALL {
        for operands in [&leaves, &inner, &numbers] {
            expressions.push(Expr::apply(op, &operands[..op.arity()]));
        }
    }
    for text in [
        "x0 - -(y - -2)*-3",
        "-(-(-x0))",
        "--3 - -y",
        "-(3)^x0",
        "(x0 < y) + (y != lambda)*2",
        "if(x0 < y, 1, if(lambda == 2, x0, -1e-7))",
        "if(x0 - y, x0^2, 1e300)",
        "2^-x0^2",
        "(x0 + 1)/(y/lambda)/3",
        "max(min(x0, y), abs(lambda))*inf",
        "sqrt(2)*x0 + 1/0*y",
        "x0 + 1e22 + 123456789012345680",
    ] {
        expressions.push(parse(text, Some(&NAMES)).unwrap().expr);
    }
    expressions
}

/// As bits, which every language reads alike.
const VALUES: [u64; 10] = [
    0,
    1 << 63,
    0.75_f64.to_bits(),
    (-1.0_f64).to_bits(),
    2.0_f64.to_bits(),
    (-2.5_f64).to_bits(),
    1e5_f64.to_bits(),
    1e-310_f64.to_bits(),
    f64::NEG_INFINITY.to_bits(),
    f64::NAN.to_bits(),
];
const N_ROWS: usize = VALUES.len().pow(3);

fn rows() -> impl Iterator<Item = [f64; 3]> {
    let value = |i: usize| f64::from_bits(VALUES[i % VALUES.len()]);
    (0..N_ROWS).map(move |i| [value(i), value(i / 10), value(i / 100)])
}

/// Compares the lines of `output`, one a row and expression, with the reference.
fn compare(output: &str, expressions: &[Expr], agrees: impl Fn(&Expr, f64, f64) -> bool) {
    let mut lines = output.lines();
    for expr in expressions {
        for row in rows() {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("no output for {expr}"));
            let found = line
                .parse()
                .map(f64::from_bits)
                .unwrap_or_else(|_| panic!("{line}"));
            let expected = expr.eval(&row);
            let same =
                found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
            assert!(
                same || agrees(expr, found, expected),
                "{expr} at {row:?} is {found:?}, not {expected:?}"
            );
        }
    }
    assert_eq!(lines.next(), None);
}

fn within(relative: f64) -> impl Fn(&Expr, f64, f64) -> bool {
    move |_, found, expected| (found - expected).abs() <= relative * expected.abs()
}

fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// The standard output of a command, if it can be started.
fn output(command: &mut Command) -> Option<String> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            report_skip(&format!("{command:?}: {error}"));
            return None;
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} fails:\n{stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn c_computes_the_same() {
    let directory = directory("c");
    let expressions = expressions();
    let mut source = "#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n".to_owned();
    let mut table = "static double (*const functions[])(double, double, double) = {".to_owned();
    // Names of one expression's file, apart from the others'.
    let own = [
        "f",
        "square",
        "cube",
        "minimum",
        "maximum",
        "sign",
        "floor_mod",
        "analytic_quotient",
        "protected_div",
        "protected_log",
    ];
    for (i, expr) in expressions.iter().enumerate() {
        for name in own {
            writeln!(source, "#undef {name}\n#define {name} {name}_{i}").unwrap();
        }
        source += &print::c(expr, &NAMES);
        write!(table, "f_{i},").unwrap();
    }
    write!(
        source,
        "{table}}};\nstatic const uint64_t bits[] = {{{}}};\n\
         static double value(int i) {{ double v; memcpy(&v, &bits[i % 10], 8); return v; }}\n\
         int main(void) {{ for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)\n\
         for (int i = 0; i < {N_ROWS}; i++) {{\n\
         double r = functions[k](value(i), value(i / 10), value(i / 100));\n\
         uint64_t b; memcpy(&b, &r, 8); printf(\"%llu\\n\", (unsigned long long)b); }}\n\
         return 0; }}\n",
        VALUES.map(|bits| format!("{bits}u")).join(",")
    )
    .unwrap();
    let (file, program) = (directory.join("f.c"), directory.join("f"));
    std::fs::write(&file, source).unwrap();
    let flags = [
        "-std=c99",
        "-Wall",
        "-Werror",
        "-O1",
        "-ffp-contract=off",
        "-fno-builtin",
    ];
    let mut compiler = Command::new("cc");
    compiler
        .args(flags)
        .args(["-Wno-unused-parameter", "-o"])
        .arg(&program)
        .arg(&file)
        .arg("-lm");
    if output(&mut compiler).is_none() {
        return;
    }
    let text = output(&mut Command::new(program)).unwrap();
    // Only the error function is of another library.
    compare(&text, &expressions, within(1e-15));
}

#[test]
fn rust_computes_the_same() {
    let directory = directory("rust");
    let expressions: Vec<Expr> = expressions()
        .into_iter()
        // Needs a crate.
        .filter(|expr| !expr.to_string().contains("erf"))
        .collect();
    let mut source = "#![allow(unused)]\n".to_owned();
    for (i, expr) in expressions.iter().enumerate() {
        write!(source, "mod m{i} {{\n{}}}\n", print::rust(expr, &NAMES)).unwrap();
    }
    let names: Vec<String> = (0..expressions.len()).map(|i| format!("m{i}::f")).collect();
    write!(
        source,
        "fn main() {{ let v = {VALUES:?}.map(f64::from_bits);\nlet functions: &[fn(f64, f64, f64) -> f64] = &[{}];\n\
         for f in functions {{ for i in 0..{N_ROWS} {{\n\
         println!(\"{{}}\", f(v[i % 10], v[i / 10 % 10], v[i / 100]).to_bits()); }} }} }}\n",
        names.join(",")
    )
    .unwrap();
    let (file, program) = (directory.join("f.rs"), directory.join("f"));
    std::fs::write(&file, source).unwrap();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let mut compiler = Command::new(rustc);
    compiler
        .args(["--edition=2024", "-o"])
        .arg(&program)
        .arg(&file);
    if output(&mut compiler).is_none() {
        return;
    }
    let text = output(&mut Command::new(program)).unwrap();
    compare(&text, &expressions, within(1e-15));
}

/// Runs a Python script, if Python has these modules.
fn python(modules: &str, script: &str) -> Option<String> {
    let python = std::env::var("OPCODON_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let check = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    if !check.is_ok_and(|output| output.status.success()) {
        report_skip(&format!("{python} has no {modules}"));
        return None;
    }
    let file = directory("python").join(format!("with_{}.py", modules.replace([',', ' '], "_")));
    std::fs::write(&file, script).unwrap();
    output(Command::new(python).arg(file))
}

#[test]
fn numpy_computes_the_same() {
    let expressions = expressions();
    let names = print::python_identifiers(&NAMES);
    let mut script = format!(
        "import numpy as np, scipy.special\nnp.seterr(all='ignore')\nv = np.array({VALUES:?}, np.uint64).view(float)\n\
         i = np.arange({N_ROWS})\n{} = v[i % 10], v[i // 10 % 10], v[i // 100]\n\
         def show(r):\n    r = np.broadcast_to(np.asarray(r, dtype=float), ({N_ROWS},)).copy()\n    \
         print('\\n'.join(str(b) for b in r.view(np.uint64)))\n",
        names.join(", ")
    );
    for expr in &expressions {
        writeln!(script, "show({})", print::numpy(expr, &NAMES)).unwrap();
    }
    let Some(text) = python("numpy, scipy.special", &script) else {
        return;
    };
    compare(&text, &expressions, |expr, found, expected| {
        // `fma` is rounded twice, and numpy's minimum of two zeros is either.
        let rounded_twice =
            expr.nodes().contains(&Node::Op(Op::Fma)) && (found - expected).abs() < 1e-322;
        let zeros = found == 0.0 && expected == 0.0;
        within(1e-14)(expr, found, expected) || rounded_twice || zeros
    });
}

#[test]
fn sympy_reads_the_text_and_computes_the_same() {
    let rows = [
        [0.75, -1.0, 2.0],
        [-2.5, 0.75, 3.0],
        [2.0, 2.0, -0.5],
        [0.25, 3.5, -2.0],
    ];
    let mut expected = Vec::new();
    let mut script = "import sympy\nx0, y, l = sympy.symbols('x0 y lambda')\n\
        def show(text, rows):\n    e = sympy.sympify(text)\n    for row in rows:\n        \
        value = sympy.N(e.subs(dict(zip((x0, y, l), row))))\n        \
        print(repr(float(value)) if value.is_extended_real else 'nan')\n"
        .to_owned();
    for expr in expressions() {
        if expr.n_variables() == 0 {
            continue;
        }
        writeln!(script, "show({:?}, {rows:?})", print::sympy(&expr, &NAMES)).unwrap();
        expected.extend(rows.map(|row| (expr.to_string(), row, expr.eval(&row))));
    }
    let Some(text) = python("sympy", &script) else {
        return;
    };
    let mut lines = text.lines();
    for (expr, row, expected) in expected {
        let line = lines.next().unwrap();
        let found: f64 = line.parse().unwrap_or_else(|_| panic!("{expr}: {line}"));
        let close = (found - expected).abs() <= 1e-9 * (1.0 + expected.abs());
        // Halves round up in SymPy's text, and infinities are complex numbers.
        let excused = expr.contains("round") || !expected.is_finite();
        assert!(
            close || excused,
            "{expr} at {row:?} is {found}, not {expected}"
        );
    }
}
