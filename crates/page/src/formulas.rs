//! Fits of the symbolic regression: formulas that are compiled.

use std::borrow::Cow;
use std::fmt::Write;

use opcodon_expr::print::{self, markup};
use opcodon_listing::Syntax;
use opcodon_sr::{Config, Model, Report, SrError};

use crate::code::{listing, machine_code};
use crate::fit::{Facts, Fit, Formula};
use crate::page::facts_list;

/// A value of R² that not every report has: its heading, and the value.
type Judgement = (&'static str, fn(&Model) -> Option<f64>);
const JUDGEMENTS: [Judgement; 3] = [
    ("R² (cross-validation)", |model| model.cv_r2),
    ("R² (validation)", |model| model.validation_r2),
    ("R² (test)", |model| model.test_r2),
];

impl Fit for Report {
    type Error = SrError;
    const CODE: (&'static str, &'static str) = ("Machine code", "");
    const INDIVIDUALS: &'static str = "formulas were tried";

    fn facts(&self) -> Facts<'_> {
        let has = |(_, value): &Judgement| self.front.iter().any(|model| value(model).is_some());
        let judgements: Vec<Judgement> = JUDGEMENTS.into_iter().filter(has).collect();
        let formula = |model: &'_ Model| judgements.iter().map(|(_, value)| value(model)).collect();
        Facts {
            target: &self.target,
            names: &self.names,
            n_rows: self.n_rows,
            evaluations: self.evaluations,
            elapsed_s: self.elapsed_s,
            stop: self.stop.to_string(),
            choice: self.choice.clone(),
            loss: self.config.loss.to_string(),
            is_squares: self.config.loss.is_squares(),
            front: self
                .front
                .iter()
                .map(|model| Formula {
                    expr: Cow::Borrowed(&model.expr),
                    text: &model.formula,
                    size: model.size,
                    loss: model.loss,
                    r2: model.r2,
                    judgements: formula(model),
                })
                .collect(),
            judgements: judgements.into_iter().map(|(heading, _)| heading).collect(),
            chosen: self.chosen,
        }
    }

    fn predict(&self, index: usize, columns: &[&[f64]]) -> Result<Vec<f64>, SrError> {
        Report::predict(self, Some(index), columns)
    }

    fn wrong_rows(column: &str, found: usize, expected: usize) -> SrError {
        SrError::RowCount {
            column: column.to_owned(),
            found,
            expected,
        }
    }

    fn code(&self, index: usize) -> String {
        let expr = &self.front[index].expr;
        let mut html = String::new();
        for (what, kernel) in [
            ("A function of numbers", false),
            ("The loop over rows that predicts", true),
        ] {
            let made = machine_code(expr, &self.names, kernel, Syntax::Intel);
            let (told, body) = match made {
                Ok(code) => {
                    let n_bytes: usize = code.lines().iter().map(|line| line.span.len()).sum();
                    let told = format!("{n_bytes} bytes, {} lines", code.lines().len());
                    (told, listing(&code))
                }
                Err(error) => {
                    let told = format!("<p>{}</p>", markup(&error.to_string()));
                    ("not here".to_owned(), told)
                }
            };
            let _ = write!(
                html,
                "<details><summary>{what}: {told}</summary>{body}</details>"
            );
        }
        html
    }

    fn search(&self) -> String {
        let mut facts = vec![
            ("choice", self.choice.clone()),
            ("ended because", self.stop.to_string()),
            (
                "formulas tried",
                format!(
                    "{} in {} generations, {:.1} s",
                    print::grouped(self.evaluations),
                    print::grouped(self.generations),
                    self.elapsed_s
                ),
            ),
            ("evaluated on", self.tier.clone()),
            ("seed", self.seed.to_string()),
        ];
        let usual = Config::default();
        let of = |config: &Config, name: &str| config.get(name).unwrap_or_default();
        for parameter in Config::PARAMETERS {
            let value = of(&self.config, parameter.name);
            if value != of(&usual, parameter.name) && parameter.name != "random_state" {
                facts.push((parameter.name, value));
            }
        }
        let mut html = facts_list(&facts);
        if !self.notes.is_empty() {
            html.push_str("<ul class=\"notes\">");
            for note in &self.notes {
                let _ = write!(html, "<li>{}</li>", markup(note));
            }
            html.push_str("</ul>");
        }
        html
    }
}
