//! `opcodon fit`: a CSV file to a formula.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use opcodon::data::csv::Columns;
use opcodon::data::{Dataset, Target, write};
use opcodon::listing::Syntax;
use opcodon::sr::{self, Config, Hooks, Observations, Report};

use super::table;
use crate::progress::{self, grouped};
use crate::{Failure, note, out};

/// Flags of `opcodon fit`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The CSV file; - for standard input.
    file: String,
    /// The column to predict; the last one unless given.
    #[arg(long, short)]
    target: Option<String>,
    /// Columns to predict it from, separated by commas; all others unless given.
    #[arg(long, value_delimiter = ',', requires = "target")]
    inputs: Vec<String>,
    /// A column that says how much each row counts.
    #[arg(long)]
    weights: Option<String>,
    /// Where to save the model; beside the CSV file's name unless given.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Do not save the model.
    #[arg(long, conflicts_with = "output")]
    no_save: bool,
    /// No progress line.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    table: table::Reading,
    #[command(flatten)]
    search: Search,
}

/// One flag for each hyper-parameter of the engine's table.
#[derive(Debug)]
struct Search(Vec<(&'static str, String)>);

impl Args for Search {
    fn augment_args(command: Command) -> Command {
        let heading = "Search";
        Config::PARAMETERS
            .iter()
            .fold(command, |command, parameter| {
                let mut help = parameter.doc.to_owned();
                if !parameter.choices.is_empty() {
                    help.push_str(&format!(" One of: {}.", parameter.choices.join(", ")));
                }
                help.push_str(&format!(" [default: {}]", parameter.default_text()));
                command.arg(
                    Arg::new(parameter.name)
                        .long(parameter.name.replace('_', "-"))
                        .value_name(
                            parameter
                                .kind
                                .rsplit(' ')
                                .next()
                                .unwrap_or_default()
                                .to_uppercase(),
                        )
                        .allow_negative_numbers(true)
                        .help(help)
                        .help_heading(heading),
                )
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Search::augment_args(command)
    }
}

impl FromArgMatches for Search {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Search, clap::Error> {
        let given = Config::PARAMETERS.iter().filter_map(|parameter| {
            Some((
                parameter.name,
                matches.get_one::<String>(parameter.name)?.clone(),
            ))
        });
        Ok(Search(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Search::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Search {
    fn config(&self) -> Result<Config, Failure> {
        let mut config = Config::default();
        for (name, text) in &self.0 {
            let text = if *name == "time_limit" {
                seconds(text)?
            } else {
                text.clone()
            };
            config.set(name, &text)?;
        }
        config.validate()?;
        Ok(config)
    }
}

/// A duration as seconds: `30`, `30s`, `2m`, `1h`, `500ms`.
fn seconds(text: &str) -> Result<String, Failure> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    for (unit, factor) in units {
        if let Some(number) = text.strip_suffix(unit) {
            let number: f64 = number.trim().parse().map_err(|_| {
                Failure::input(format_args!(
                    "--time-limit: {text:?} is no duration; write 30s or 2m"
                ))
            })?;
            return Ok((number * factor).to_string());
        }
    }
    Ok(text.to_owned())
}

pub(crate) fn run(flags: Flags, json: bool) -> Result<(), Failure> {
    let config = flags.search.config()?;
    let columns = match (&flags.target, flags.inputs.is_empty()) {
        (Some(target), false) => {
            let others = flags.weights.iter().chain([target]);
            Columns::Only(flags.inputs.iter().chain(others).cloned().collect())
        }
        _ => Columns::All,
    };
    let table = flags.table.read(&flags.file, columns)?;
    let weights = match &flags.weights {
        Some(name) => Some(table.column(name)?.to_vec()),
        None => None,
    };
    let target = flags.target.clone().map_or(Target::Last, Target::Name);
    let dataset = Dataset::from_table(table, &target)?;
    for warning in dataset.warnings() {
        note(format_args!("note: {warning}"));
    }
    let mut data = Observations::new(&[], &[], dataset.target_name(), dataset.target());
    for (name, column) in dataset.names().iter().zip(dataset.columns()) {
        if flags.weights.as_ref() != Some(name) {
            data.names.push(name.clone());
            data.columns.push(column.as_slice().into());
        }
    }
    data.weights = weights.map(Into::into);

    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupt);
    // Without a handler Ctrl-C ends the process, which is no reason not to start.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let line = progress::Line::new(flags.quiet || json);
    let mut show = |progress: &sr::Progress| line.show(progress);
    let hooks = Hooks {
        progress: Some(&mut show),
        interrupt: Some(interrupt),
    };
    let report = sr::fit_with(&data, &config, hooks);
    line.finish();
    let report = report?;

    let saved = if flags.no_save {
        None
    } else {
        Some(save(&flags, &report)?)
    };
    if json {
        out(report.to_json());
    } else {
        show_report(&report)?;
        if let Some(path) = saved {
            out(format_args!("saved to {}", path.display()));
        }
    }
    Ok(())
}

/// The front, the chosen formula and the head of its machine code.
fn show_report(report: &Report) -> Result<(), Failure> {
    /// Lines of machine code that are shown.
    const N_LINES: usize = 12;
    let best = report.best();
    out(report);
    out(format_args!("{} = {}", report.target, best.formula));
    out(format_args!(
        "R² {:.6}, size {}, {} formulas tried in {:.1} s\n",
        best.r2,
        best.size,
        grouped(report.evaluations),
        report.elapsed_s
    ));
    let listing = super::disasm::compiled(&best.expr, &report.names, false, Syntax::Intel)?;
    let text = listing.to_string();
    for line in text.lines().take(N_LINES) {
        out(line);
    }
    let n_lines = text.lines().count();
    if n_lines > N_LINES {
        out(format_args!(
            "… {} more lines: opcodon disasm MODEL",
            n_lines - N_LINES
        ));
    }
    Ok(())
}

fn save(flags: &Flags, report: &Report) -> Result<PathBuf, Failure> {
    let path = flags.output.clone().unwrap_or_else(|| {
        let stem = Path::new(&flags.file)
            .file_stem()
            .filter(|_| flags.file != "-");
        let stem = stem.map_or_else(|| "model".into(), |stem| stem.to_string_lossy());
        PathBuf::from(format!("{stem}.model.json"))
    });
    write::write_atomically(&path, |file| {
        file.write_all(report.to_json().as_bytes())?;
        file.write_all(b"\n")
    })?;
    Ok(path)
}
