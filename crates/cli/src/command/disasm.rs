//! `opcodon disasm`: machine code as assembly.

use std::path::Path;

use clap::{Args, ValueEnum};
use opcodon::expr;
use opcodon::listing::{Listing, Syntax};
use opcodon::page::{genome_listing, machine_code};

use super::model::Model;
use crate::{Failure, out};

/// Flags of `opcodon disasm`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Hexadecimal digits, a file of raw bytes, a saved model, or with --formula a formula.
    input: String,
    /// The input is a formula: compile it first.
    #[arg(long, short)]
    formula: bool,
    /// Syntax of the assembly.
    #[arg(long, value_enum, default_value = "intel")]
    style: Style,
    /// Of a formula or a model: the kernel over columns instead of the scalar function.
    #[arg(long)]
    kernel: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Style {
    Intel,
    Att,
    Masm,
    Nasm,
}

impl From<Style> for Syntax {
    fn from(style: Style) -> Syntax {
        match style {
            Style::Intel => Syntax::Intel,
            Style::Att => Syntax::Att,
            Style::Masm => Syntax::Masm,
            Style::Nasm => Syntax::Nasm,
        }
    }
}

pub(crate) fn run(flags: Flags, json: bool) -> Result<(), Failure> {
    let syntax = Syntax::from(flags.style);
    let listing = if flags.formula {
        let parsed =
            expr::parse(&flags.input, None).map_err(|error| Failure::input(error.render()))?;
        machine_code(&parsed.expr, &parsed.variables, flags.kernel, syntax)?
    } else if Path::new(&flags.input).exists() {
        let bytes = std::fs::read(&flags.input)
            .map_err(|error| Failure::input(format_args!("{}: {error}", flags.input)))?;
        if bytes.first() == Some(&b'{') {
            match Model::read(Path::new(&flags.input))? {
                Model::Formula(report) => {
                    machine_code(&report.best().expr, &report.names, flags.kernel, syntax)?
                }
                // A genome is its own code: there is no function of it.
                Model::Genome(report) => {
                    genome_listing(&report.best().genome, &report.names, syntax)
                }
            }
        } else {
            Listing::new(&bytes, syntax)
        }
    } else {
        let bytes = super::hex(&flags.input).map_err(|_| {
            Failure::input(format_args!(
                "{:?} is neither a file nor hexadecimal digits; for a formula add --formula",
                flags.input
            ))
        })?;
        Listing::new(&bytes, syntax)
    };
    if json {
        out(listing.to_json());
    } else {
        // Only a terminal gets the colours.
        out(listing.coloured().to_string().trim_end());
    }
    Ok(())
}
