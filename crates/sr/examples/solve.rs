//! Fits a CSV file and prints the front: `solve FILE [--target NAME] [--json] [parameter=value …]`.
//!
//! The last column is the target unless one is named. With `--json` the report goes to standard
//! output as JSON, for scripts that judge it.

#![expect(clippy::print_stdout, reason = "a program's output")]

use opcodon_data::{Dataset, csv, dataset::Target};
use opcodon_sr::{Config, Observations, fit};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: solve FILE [--target NAME] [--json] [name=value …]")?;
    let mut config = Config::default();
    let mut target = Target::Last;
    let mut json = false;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--target" => target = Target::Name(arguments.next().ok_or("--target needs a name")?),
            other => {
                let (name, value) = other.split_once('=').ok_or("parameters are name=value")?;
                config.set(name, value)?;
            }
        }
    }
    let table = csv::read(&file, &csv::Options::default())?;
    let data = Dataset::from_table(table, &target)?;
    let report = fit(&Observations::from(&data), &config)?;
    if json {
        println!("{}", report.to_json())
    } else {
        print!("{report}")
    }
    Ok(())
}
