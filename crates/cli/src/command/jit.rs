//! `opcodon jit`: a Python function as machine code, called and shown.
//!
//! What is asked for is read here; it is done by Python ([`Interpreter`]), which this crate does not
//! know.

use clap::Args;

use crate::Failure;

/// What is asked of `opcodon jit`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The function: FILE.py:NAME, or FILE.py:CLASS.NAME.
    #[arg(value_name = "FILE.py:FUNCTION")]
    pub function: String,
    /// Arguments as Python expressions, in which names of the file can be used: --args 3 "[1, 2]"
    /// "np.arange(5.0)".
    #[arg(long, num_args = 0.., allow_negative_numbers = true, value_name = "EXPRESSION")]
    pub args: Vec<String>,
    /// Show for each line how it runs.
    #[arg(long)]
    pub report: bool,
    /// Show the machine code of each line.
    #[arg(long)]
    pub listing: bool,
    /// Say how long a call takes, as machine code and in Python.
    #[arg(long)]
    pub time: bool,
}

/// Whatever runs Python: does what is asked, as JSON if so, and gives the exit code.
pub type Interpreter<'a> = &'a dyn Fn(&Flags, bool) -> u8;

pub(crate) fn run(
    flags: &Flags,
    json: bool,
    python: Option<Interpreter<'_>>,
) -> Result<u8, Failure> {
    match python {
        Some(python) => Ok(python(flags, json)),
        None => Err(Failure::input(
            "this program has no Python to run functions with; install the Python package and call \
             `python -m opcodon jit`",
        )),
    }
}
