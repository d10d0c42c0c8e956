//! The opcodon command line: flags to configuration, report to text.
//!
//! Each subcommand is a file under `command`: its flags as a struct, and one function that takes
//! them, calls the engine and writes to standard output. Progress, notes and errors go to
//! standard error, so that output can be piped. With `--json` standard output is one JSON value.
//!
//! # Exit codes
//! | code | meaning |
//! |---|---|
//! | 0 | done; also a search that was interrupted and returned its best |
//! | 1 | bad input: a file, a formula, data, machine code, a library; the message says where |
//! | 2 | bad usage: unknown command or flag |
//! | 3 | a self-test failed, or the system refused executable memory |

mod command;
mod failure;
mod progress;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use command::jit::{Flags as JitFlags, Interpreter};
use command::{
    asm, bench, call, disasm, doctor, eval, evolve, fit, jit, link, predict, report, symbols,
};
use failure::Failure;

/// Symbolic regression and genetic programming as machine code.
#[derive(Debug, Parser)]
#[command(name = "opcodon", version, about, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
    /// Write one JSON value instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find a short formula that fits a column of a CSV file.
    Fit(Box<fit::Flags>),
    /// Evolve machine code that predicts a column of a CSV file.
    Evolve(Box<evolve::Flags>),
    /// Apply a saved model to a CSV file.
    Predict(predict::Flags),
    /// Write a page about a saved model: formulas, pictures of their predictions, machine code.
    #[command(visible_alias = "view")]
    Report(report::Flags),
    /// Compute a formula: `opcodon eval "x^2 + 1" --x 3`.
    Eval(eval::Flags),
    /// Call a Python function as machine code: `opcodon jit file.py:function --args 3`.
    Jit(JitFlags),
    /// Show machine code as assembly: of bytes, a file, a formula or a saved model.
    Disasm(disasm::Flags),
    /// Assembly to machine code.
    Asm(asm::Flags),
    /// Run machine code, `opcodon call "f20f58c1 c3" "f64(f64, f64)" 1 2`, or a function of a
    /// library, `opcodon call --library libm.so.6 cos "f64(f64)" 0`, in a process of its own.
    Call(call::Flags),
    /// List the symbols of a shared library or an object file; nothing of it runs.
    Symbols(symbols::Flags),
    /// Link object files in memory and list what they offer.
    Link(link::Flags),
    /// Measure how fast this machine evaluates formulas.
    Bench(bench::Flags),
    /// Say what this processor offers and test every operator on it.
    Doctor(doctor::Flags),
}

/// Runs the command line and returns the exit code; the first argument is the program's name.
/// Python functions are run by `python`, if there is one.
pub fn run(args: impl IntoIterator<Item = OsString>, python: Option<Interpreter<'_>>) -> u8 {
    let line = match Line::try_parse_from(args) {
        Ok(line) => line,
        Err(error) => {
            // Help and version are errors to clap, but not to their reader.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return code;
        }
    };
    let json = line.json;
    // Python has begun to observe when it loaded this library; then this changes nothing.
    if let Err(error) = opcodon::observe::from_environment() {
        return Failure::from(error).report(json);
    }
    let done = match line.command {
        Command::Fit(flags) => fit::run(*flags, json),
        Command::Evolve(flags) => evolve::run(*flags, json),
        Command::Predict(flags) => predict::run(flags, json),
        Command::Report(flags) => report::run(flags, json),
        Command::Eval(flags) => eval::run(flags, json),
        Command::Jit(flags) => match jit::run(&flags, json, python) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Command::Disasm(flags) => disasm::run(flags, json),
        Command::Asm(flags) => asm::run(flags, json),
        Command::Call(flags) => call::run(flags, json),
        Command::Symbols(flags) => symbols::run(&flags, json),
        Command::Link(flags) => link::run(&flags, json),
        Command::Bench(flags) => bench::run(&flags, json),
        Command::Doctor(flags) => doctor::run(&flags, json),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => failure.report(json),
    }
}

/// Writes a line of results; a closed pipe is no failure.
fn out(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Writes a note for the person at the terminal.
fn note(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(anstream::stderr(), "{text}");
}
