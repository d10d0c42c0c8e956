//! The program `opcodon`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(opcodon_cli::run(std::env::args_os(), None))
}
