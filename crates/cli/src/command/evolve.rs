//! `opcodon evolve`: a CSV file to machine code, bred as machine code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use opcodon::data::csv::Columns;
use opcodon::data::{Dataset, Latest, Target, write};
use opcodon::expr::print;
use opcodon::listing::Syntax;
use opcodon::mcode::Report;
use opcodon::mcode::config::Config;
use opcodon::mcode::fit::{Hooks, Observations, Progress, Save, fit};
use opcodon::mcode::report::Model;
use opcodon::page::genome_listing;
use opcodon::sr::r2_text;

use super::checkpoint::{self, Checkpoint};
use super::{parameter, table};
use crate::progress;
use crate::{Failure, note, out};

/// Flags of `opcodon evolve`.
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
    /// Where to save the genomes; beside the CSV file's name unless given.
    #[arg(
        long,
        short,
        visible_alias = "output",
        short_alias = 'o',
        value_name = "FILE"
    )]
    save: Option<PathBuf>,
    /// Do not save the genomes.
    #[arg(long, conflicts_with = "save")]
    no_save: bool,
    /// Write a page to look at: formulas, genomes, how the error fell.
    #[arg(long, value_name = "PAGE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    checkpoint: Checkpoint,
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

fn parameters() -> impl Iterator<Item = parameter::Parameter> {
    Config::PARAMETERS.iter().map(|row| parameter::Parameter {
        name: row.name,
        kind: row.kind,
        choices: row.choices,
        default: row.default_text(),
        doc: row.doc,
    })
}

impl Args for Search {
    fn augment_args(command: Command) -> Command {
        parameter::augment(command, parameters())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Search::augment_args(command)
    }
}

impl FromArgMatches for Search {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Search, clap::Error> {
        Ok(Search(parameter::given(matches, parameters())))
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
            config.set(name, &parameter::text(name, text)?)?;
        }
        config.validate()?;
        Ok(config)
    }
}

pub(crate) fn run(flags: Flags, json: bool) -> Result<(), Failure> {
    let config = flags.search.config()?;
    let resume = flags.checkpoint.resumed()?;
    let columns = match &flags.target {
        Some(target) if !flags.inputs.is_empty() => {
            Columns::Only(flags.inputs.iter().chain([target]).cloned().collect())
        }
        _ => Columns::All,
    };
    let table = flags.table.read(&flags.file, columns)?;
    let target = flags.target.clone().map_or(Target::Last, Target::Name);
    let dataset = Dataset::from_table(table, &target)?;
    for warning in dataset.warnings() {
        note(format_args!("note: {warning}"));
    }
    let columns = dataset.columns().iter();
    let data = Observations {
        names: dataset.names().to_vec(),
        columns: columns.map(|column| column.as_slice().into()).collect(),
        target_name: dataset.target_name().to_owned(),
        target: dataset.target().into(),
        weights: None,
    };

    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupt);
    // Without a handler Ctrl-C ends the process, which is no reason not to start.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let line = progress::Line::new(flags.quiet || json);
    let mut show = |state: &Progress| line.show(state.fraction, told(state));
    let mut file = flags.checkpoint.file(&interrupt);
    let mut save = file.as_mut().map(|file| |text: &str| file.save(text));
    let hooks = Hooks {
        progress: Some(&mut show),
        interrupt: Some(interrupt),
        checkpoint: save
            .as_mut()
            .map(|save| (Latest::INTERVAL, save as Save<'_>)),
        resume: resume.as_deref(),
    };
    let report = fit(&data, &config, hooks);
    line.finish();
    let report = report.map_err(|error| flags.checkpoint.failure(error))?;
    checkpoint::finish(file)?;

    let saved = match (flags.no_save, &flags.save) {
        (true, _) => None,
        (false, Some(path)) => Some(path.clone()),
        (false, None) => Some(beside(&flags.file)),
    };
    if let Some(path) = &saved {
        write::write_text(path, &report.to_json())?;
    }
    if let Some(path) = &flags.report {
        super::report::save_with(path, &report, &data.columns, &data.target)?;
    }
    if json {
        out(report.to_json());
    } else {
        show_report(&report);
        if let Some(path) = saved {
            out(format_args!("saved to {}", path.display()));
        }
        if let Some(path) = &flags.report {
            out(format_args!("page written to {}", path.display()));
        }
    }
    Ok(())
}

fn told(state: &Progress) -> String {
    let best = state.best.as_ref().map_or(String::new(), |model: &Model| {
        format!("  MSE {:.6e}  {}", model.loss, model.formula)
    });
    format!("{} genomes{best}", print::grouped(state.evaluations))
}

/// The file for the genomes of a table, in the current directory.
fn beside(file: &str) -> PathBuf {
    let stem = Path::new(file).file_stem().filter(|_| file != "-");
    let stem = stem.map_or_else(|| "model".into(), |stem| stem.to_string_lossy());
    PathBuf::from(format!("{stem}.genome.json"))
}

/// The front, the chosen formula and the machine code that it is.
fn show_report(report: &Report) {
    /// Lines of machine code that are shown.
    const N_LINES: usize = 16;
    let best = report.best();
    out(report);
    out(format_args!("{} = {}", report.target, best.formula));
    let r2 = r2_text(best.r2);
    out(format_args!("R² {r2}, size {}\n", best.size));
    let text = genome_listing(&best.genome, &report.names, Syntax::Intel).to_string();
    for line in text.lines().take(N_LINES) {
        out(line);
    }
    let n_lines = text.lines().count();
    if n_lines > N_LINES {
        let more = n_lines - N_LINES;
        out(format_args!("… {more} more lines: opcodon disasm MODEL"));
    }
}
