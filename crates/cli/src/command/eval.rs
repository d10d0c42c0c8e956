//! `opcodon eval`: a formula at one point, or at several.

use clap::Args;
use opcodon::{expr, jit};
use serde_json::json;

use crate::{Failure, out};

/// Flags of `opcodon eval`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The formula, such as "x^2 + sin(y)".
    formula: String,
    /// Values of the variables: --x 3, --x=3 or x=3; several with commas, as in --x 1,2,3.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "VARIABLE VALUE"
    )]
    values: Vec<String>,
}

pub(crate) fn run(flags: Flags, mut json: bool) -> Result<(), Failure> {
    let mut given = assignments(&flags.values, &mut json)?;
    let parsed =
        expr::parse(&flags.formula, None).map_err(|error| Failure::input(error.render()))?;
    let names = &parsed.variables;
    let mut columns = Vec::new();
    for name in names {
        let Some(place) = given.iter().position(|(given, _)| given == name) else {
            return Err(Failure::input(format_args!(
                "the formula reads {name}, which has no value; add --{name} VALUE"
            )));
        };
        columns.push(given.swap_remove(place).1);
    }
    if let Some((unused, _)) = given.first() {
        return Err(Failure::input(format_args!(
            "--{unused} is no variable of the formula; it reads {}",
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        )));
    }
    let n_points = columns.iter().map(Vec::len).max().unwrap_or(1);
    for (name, column) in names.iter().zip(&columns) {
        if column.len() != n_points && column.len() != 1 {
            return Err(Failure::input(format_args!(
                "--{name} has {} values where another variable has {n_points}; give as many, or one",
                column.len()
            )));
        }
    }
    let function = jit::CompiledExpr::new(&parsed.expr, names.len())?;
    let mut values = Vec::new();
    for point in 0..n_points {
        let args: Vec<f64> = columns
            .iter()
            .map(|column| column[if column.len() == 1 { 0 } else { point }])
            .collect();
        values.push(function.call(&args)?);
    }
    if json {
        let shown: Vec<_> = values.iter().map(|value| number(*value)).collect();
        out(json!({
            "formula": expr::print::infix(&parsed.expr, names),
            "variables": names,
            "values": shown,
            "tier": function.tier().name(),
        }));
    } else {
        for value in values {
            out(value);
        }
    }
    Ok(())
}

/// A JSON number, or a string where JSON has no number.
pub(crate) fn number(value: f64) -> serde_json::Value {
    if value.is_finite() {
        json!(value)
    } else {
        json!(value.to_string())
    }
}

type Assignment = (String, Vec<f64>);

fn assignments(words: &[String], json: &mut bool) -> Result<Vec<Assignment>, Failure> {
    let mut assignments = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--json" {
            *json = true;
            continue;
        }
        let bare = word.strip_prefix("--").unwrap_or(word);
        let (name, text) = match bare.split_once('=') {
            Some((name, text)) => (name, text.to_owned()),
            None if word.starts_with("--") => {
                let Some(text) = words.next() else {
                    return Err(Failure::input(format_args!("{word} lacks its value")));
                };
                (bare, text.clone())
            }
            None => {
                return Err(Failure::input(format_args!(
                    "{word:?} gives no variable a value; write --name VALUE or name=VALUE"
                )));
            }
        };
        let mut values = Vec::new();
        for part in text.split(',') {
            let Ok(value) = part.trim().parse() else {
                return Err(Failure::input(format_args!(
                    "--{name}: {part:?} is no number"
                )));
            };
            values.push(value);
        }
        assignments.push((name.to_owned(), values));
    }
    Ok(assignments)
}
