//! Fits by machine code that is bred: the formula is read off the bytes.

use std::borrow::Cow;
use std::fmt::Write;

use opcodon_expr::print;
use opcodon_listing::Syntax;
use opcodon_mcode::report::Model;
use opcodon_mcode::{Config, McodeError, Report};

use crate::code::{genome_listing, listing};
use crate::curve::curve_picture;
use crate::fit::{Facts, Fit, Formula};
use crate::genome::{LINE, genome_picture};
use crate::lineage;
use crate::page::facts_list;

impl Fit for Report {
    type Error = McodeError;
    const CODE: (&'static str, &'static str) = (
        "The genome",
        "every instruction is eight bytes, coloured as its node; it is run as it stands",
    );
    const INDIVIDUALS: &'static str = "genomes were run";

    fn facts(&self) -> Facts<'_> {
        Facts {
            target: &self.target,
            names: &self.names,
            n_rows: self.n_rows,
            evaluations: self.evaluations,
            elapsed_s: self.elapsed_s,
            stop: self.stop.clone(),
            choice: "lowest Bayesian information criterion".into(),
            loss: "mse".into(),
            is_squares: true,
            judgements: Vec::new(),
            front: self.front.iter().map(formula).collect(),
            chosen: self.chosen,
        }
    }

    fn predict(&self, index: usize, columns: &[&[f64]]) -> Result<Vec<f64>, McodeError> {
        Report::predict(self, Some(index), columns)
    }

    fn wrong_rows(column: &str, found: usize, expected: usize) -> McodeError {
        McodeError::RowCount {
            what: format!("column {column:?}"),
            found,
            expected,
        }
    }

    fn code(&self, index: usize) -> String {
        let model = &self.front[index];
        let code = model.genome.code();
        let told = format!(
            "{} bytes, {} instructions, {} constants",
            code.bytes().len(),
            code.slots().len(),
            code.constants().len()
        );
        let mut html = format!(
            "<div class=\"scroll\">{}</div><details><summary>Listing: {told}</summary>{}</details>",
            genome_picture(&model.genome, &self.names, LINE),
            listing(&genome_listing(&model.genome, &self.names, Syntax::Intel))
        );
        if let Ok(lineage) = self.lineage(Some(index))
            && let n_ancestors @ 1.. = lineage.generations.len()
        {
            let _ = write!(
                html,
                "<details><summary>Lineage: {n_ancestors} generations</summary>\
                 <div class=\"half\">{}</div>{}</details>",
                lineage::picture(&lineage),
                lineage::text(&lineage)
            );
        }
        html
    }

    fn search(&self) -> String {
        let run = format!(
            "{} in {} steps, {:.1} s",
            print::grouped(self.evaluations),
            print::grouped(self.steps),
            self.elapsed_s
        );
        let mut facts = vec![
            ("ended because", self.stop.clone()),
            ("genomes run", run),
            ("instructions", self.tier.to_string()),
            ("seed", self.seed.to_string()),
        ];
        let usual = Config::default();
        for parameter in Config::PARAMETERS {
            let value = self.config.get(parameter.name).unwrap_or_default();
            let is_usual = usual.get(parameter.name).as_ref() == Some(&value);
            if parameter.name == "genome" || !is_usual && parameter.name != "random_state" {
                facts.push((parameter.name, value));
            }
        }
        let facts = facts_list(&facts);
        match curve_picture(&self.curve) {
            None => facts,
            Some(picture) => format!(
                "<div class=\"pictures\">{facts}<div><h2>The run<small>error of the best \
                 genome</small></h2>{picture}</div></div>"
            ),
        }
    }
}

fn formula(model: &Model) -> Formula<'_> {
    Formula {
        expr: Cow::Owned(model.expression().expect("a model's formula was written")),
        text: &model.formula,
        size: model.size,
        loss: model.loss,
        r2: model.r2,
        judgements: Vec::new(),
    }
}
