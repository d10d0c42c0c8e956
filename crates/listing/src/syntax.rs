//! The four ways to write the same instruction, and names for the places that branches go to.

use std::collections::HashMap;

use iced_x86::{
    Formatter, GasFormatter, Instruction, IntelFormatter, MasmFormatter, NasmFormatter, OpKind,
    SymbolResolver, SymbolResult,
};

/// The syntax in which instructions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// Intel's, as in its manuals.
    #[default]
    Intel,
    /// AT&T's, as GNU `as` takes it by default.
    Att,
    /// Microsoft's assembler.
    Masm,
    /// The Netwide Assembler.
    Nasm,
}

impl Syntax {
    /// Every syntax, the default first.
    pub const ALL: [Self; 4] = [Self::Intel, Self::Att, Self::Masm, Self::Nasm];

    /// The word that stands for it in options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intel => "intel",
            Self::Att => "att",
            Self::Masm => "masm",
            Self::Nasm => "nasm",
        }
    }

    /// The syntax of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|syntax| syntax.name() == name)
    }

    /// A formatter that writes branches to these addresses with labels.
    pub(crate) fn formatter(self, labels: HashMap<u64, usize>) -> Box<dyn Formatter> {
        let labels: Option<Box<dyn SymbolResolver>> = Some(Box::new(Labels(labels)));
        let mut formatter: Box<dyn Formatter> = match self {
            Self::Intel => Box::new(IntelFormatter::with_options(labels, None)),
            Self::Att => Box::new(GasFormatter::with_options(labels, None)),
            Self::Masm => Box::new(MasmFormatter::with_options(labels, None)),
            Self::Nasm => Box::new(NasmFormatter::with_options(labels, None)),
        };
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_small_hex_numbers_in_decimal(false);
        options.set_branch_leading_zeros(false);
        options.set_rip_relative_addresses(true);
        options.set_show_branch_size(false);
        formatter
    }
}

/// Number of the label at each address that has one.
struct Labels(HashMap<u64, usize>);

impl SymbolResolver for Labels {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        _operand: u32,
        instruction_operand: Option<u32>,
        address: u64,
        _address_size: u32,
    ) -> Option<SymbolResult<'_>> {
        // The formatter asks for immediates and displacements, too: numbers that are no places.
        let kind = instruction.op_kind(instruction_operand?);
        if !matches!(
            kind,
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
        ) {
            return None;
        }
        let label = self.0.get(&address)?;
        Some(SymbolResult::with_string(address, format!("L{label}")))
    }
}
