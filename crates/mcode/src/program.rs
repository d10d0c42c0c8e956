//! What a batch takes: verified code, and what is known of it.

use crate::code::Code;
use crate::linear::LinearCode;
use crate::tree::TreeCode;

/// What is loaded into a batch: code, and whether all of it is known to be effective.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    pub(crate) code: &'a Code,
    /// Code of a tree: there are no introns, and no register is read before it is written.
    pub(crate) is_tree: bool,
}

impl<'a> From<&'a Code> for Program<'a> {
    fn from(code: &'a Code) -> Program<'a> {
        let is_tree = false;
        Program { code, is_tree }
    }
}

impl<'a> From<&'a LinearCode> for Program<'a> {
    fn from(linear: &'a LinearCode) -> Program<'a> {
        linear.code().into()
    }
}

impl<'a> From<&'a TreeCode> for Program<'a> {
    fn from(tree: &'a TreeCode) -> Program<'a> {
        let code = tree.code();
        let is_tree = true;
        Program { code, is_tree }
    }
}
