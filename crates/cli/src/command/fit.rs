//! `opcodon fit`: a CSV file to a formula.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use opcodon::data::csv::Columns;
use opcodon::data::{Dataset, Latest, Target, write};
use opcodon::expr::print;
use opcodon::listing::Syntax;
use opcodon::page::machine_code;
use opcodon::sr::{self, Config, Hooks, Observations, Report};

use super::checkpoint::{self, Checkpoint};
use super::{parameter, table};
use crate::progress;
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
    /// A file that gets the fit as a page to look at, with pictures of the rows.
    #[arg(long, value_name = "PAGE.html")]
    report: Option<PathBuf>,
    /// A file that gets the state of the search as lines of JSON, about one a generation.
    #[arg(long)]
    log: Option<PathBuf>,
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
    let mut log = flags.log.as_deref().map(Log::create).transpose()?;
    let mut show = |state: &sr::Progress| {
        line.show(state.fraction, told(state));
        if let Some(log) = &mut log {
            log.write(state);
        }
    };
    let mut file = flags.checkpoint.file(&interrupt);
    let mut save_state = file.as_mut().map(|file| |text: &str| file.save(text));
    let hooks = Hooks {
        progress: Some(&mut show),
        interrupt: Some(interrupt),
        checkpoint: save_state
            .as_mut()
            .map(|save| (Latest::INTERVAL, save as sr::Save<'_>)),
        resume: resume.as_deref(),
    };
    let report = sr::fit_with(&data, &config, hooks);
    line.finish();
    let report = report.map_err(|error| flags.checkpoint.failure(error))?;
    checkpoint::finish(file)?;

    let saved = if flags.no_save {
        None
    } else {
        Some(save(&flags, &report)?)
    };
    if let Some(path) = &flags.report {
        super::report::save_with(path, &report, &data.columns, &data.target)?;
    }
    if json {
        out(report.to_json());
    } else {
        show_report(&report)?;
        if let Some(path) = saved {
            out(format_args!("saved to {}", path.display()));
        }
        if let Some(path) = &flags.report {
            out(format_args!("page written to {}", path.display()));
        }
    }
    Ok(())
}

/// A file of JSON lines.
struct Log<'a> {
    path: &'a Path,
    file: File,
}

impl Log<'_> {
    fn create(path: &Path) -> Result<Log<'_>, Failure> {
        let file = File::create(path).map_err(|error| {
            Failure::input(format_args!(
                "--log: cannot write {}: {error}",
                path.display()
            ))
        })?;
        Ok(Log { path, file })
    }

    /// A log that cannot be written is no reason to lose the search.
    fn write(&mut self, state: &sr::Progress) {
        if let Err(error) = writeln!(self.file, "{}", state.to_json()) {
            note(format_args!("note: {}: {error}", self.path.display()));
        }
    }
}

fn told(state: &sr::Progress) -> String {
    let best = state.front.last();
    let best = best.map_or(String::new(), |entry| {
        format!("  R² {}  {}", sr::r2_text(entry.r2), entry.formula)
    });
    let (generation, formulas) = (state.generation, print::grouped(state.evaluations));
    format!("generation {generation}  {formulas} formulas{best}")
}

/// The front, the chosen formula and the head of its machine code.
fn show_report(report: &Report) -> Result<(), Failure> {
    /// Lines of machine code that are shown.
    const N_LINES: usize = 12;
    let best = report.best();
    out(report);
    out(format_args!("{} = {}", report.target, best.formula));
    out(format_args!(
        "R² {}, size {}, {} formulas tried in {:.1} s",
        sr::r2_text(best.r2),
        best.size,
        print::grouped(report.evaluations),
        report.elapsed_s
    ));
    let constants: Vec<String> = best
        .constants()
        .iter()
        .filter_map(|(value, error)| {
            Some(format!(
                "{} ± {}",
                rounded(*value, 6),
                rounded((*error)?, 2)
            ))
        })
        .collect();
    if !constants.is_empty() {
        out(format_args!("constants {}", constants.join(", ")));
    }
    if let Ok(margin) = report.margin(None, 0.9) {
        out(format_args!(
            "nine of ten new rows are expected within ± {}",
            rounded(margin, 3)
        ));
    }
    out("");
    let listing = machine_code(&best.expr, &report.names, false, Syntax::Intel)?;
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

/// A number to so many digits: for reading, not for computing.
fn rounded(value: f64, digits: usize) -> String {
    print::number(print::rounded(value, digits))
}

fn save(flags: &Flags, report: &Report) -> Result<PathBuf, Failure> {
    let path = flags.output.clone().unwrap_or_else(|| {
        let stem = Path::new(&flags.file)
            .file_stem()
            .filter(|_| flags.file != "-");
        let stem = stem.map_or_else(|| "model".into(), |stem| stem.to_string_lossy());
        PathBuf::from(format!("{stem}.model.json"))
    });
    write::write_text(&path, &report.to_json())?;
    Ok(path)
}
