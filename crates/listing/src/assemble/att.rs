//! stub
use super::error::Fault;
use super::parse::{Parser, unknown};
use super::program::Written;
/// Takes the operands of an instruction.
pub(super) fn operands(_parser: &mut Parser<'_>, written: &mut Written) -> Result<(), Fault> {
    Err(unknown(&written.name, &written.span))
}
