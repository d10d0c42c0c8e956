//! Where arguments and results travel: the two conventions, said once for calls and for callbacks.
//!
//! | | System V | Microsoft |
//! |---|---|---|
//! | integers | `rdi rsi rdx rcx r8 r9` | `rcx rdx r8 r9`, by position |
//! | floats | `xmm0`–`xmm7` | `xmm0`–`xmm3`, by position |
//! | structures | up to 16 bytes: each half by what it holds, if both find registers; others on the stack | of 1, 2, 4, 8 bytes like an integer; others by the address of a copy |
//! | what finds no register | on the stack, 8 bytes each | on the stack, above 32 bytes of shadow space |
//! | result | `rax`, `rdx`, `xmm0`, `xmm1` by what it holds; in memory: the caller passes an address first | `rax` or `xmm0`; in memory likewise |
//!
//! A function with variable arguments is no different, except that the caller says in `al` how many
//! vector registers count (System V), or passes floats in both registers (Microsoft).
//!
//! Sources: System V ABI, AMD64 supplement, 3.2.3; Microsoft, "x64 calling convention".

use crate::{Abi, Struct, Ty};

/// The number of integer and of float registers that carry arguments, in the order of the
/// convention.
pub(crate) const INTS: usize = 6;
pub(crate) const FLOATS: usize = 8;

/// Register arguments under Microsoft's convention.
const SLOTS: usize = 4;

/// Where a word of an argument, or of a result, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// In an integer register; of a result `rax`, `rdx`.
    Int(usize),
    /// In a vector register; of a result `xmm0`, `xmm1`.
    Float(usize),
    /// On the stack, counted in words from the first argument there.
    Stack(usize),
}

/// Where an argument or a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In so many words, at most two.
    Words([Word; 2], usize),
    /// On the stack, from that word on.
    Run(usize),
    /// In memory, whose address is in that word.
    Address(Word),
}

/// Hands out places to arguments, one after the other.
#[derive(Debug)]
pub(crate) struct Places {
    abi: Abi,
    /// Integer registers used; of Microsoft's convention all positions.
    ints: usize,
    floats: usize,
    stack: usize,
}

impl Places {
    pub(crate) const fn new(abi: Abi) -> Self {
        Self {
            abi,
            ints: 0,
            floats: 0,
            stack: 0,
        }
    }

    /// Where the next argument is.
    pub(crate) fn next(&mut self, ty: Ty) -> Place {
        let one = |word| Place::Words([word; 2], 1);
        match (ty, self.abi) {
            (Ty::Struct(layout), Abi::SysV) => self.structure(layout),
            (Ty::Struct(layout), Abi::Win64) if !is_register_sized(layout) => {
                Place::Address(self.word(false))
            }
            _ => one(self.word(ty.is_float())),
        }
    }

    fn word(&mut self, is_float: bool) -> Word {
        let (used, limit) = match (self.abi, is_float) {
            (Abi::SysV, true) => (&mut self.floats, FLOATS),
            (Abi::SysV, false) => (&mut self.ints, INTS),
            (Abi::Win64, _) => (&mut self.ints, SLOTS),
        };
        let index = *used;
        if index < limit {
            *used += 1;
            return if is_float {
                Word::Float(index)
            } else {
                Word::Int(index)
            };
        }
        self.stack += 1;
        Word::Stack(self.stack - 1)
    }

    /// A structure under System V's convention: in registers if all of it finds some.
    fn structure(&mut self, layout: Struct) -> Place {
        if let Some(floats) = layout.eightbytes() {
            let n_floats = floats.iter().filter(|&&is_float| is_float).count();
            if self.floats + n_floats <= FLOATS && self.ints + floats.len() - n_floats <= INTS {
                let mut words = [Word::Stack(0); 2];
                for (word, &is_float) in words.iter_mut().zip(floats) {
                    *word = self.word(is_float);
                }
                return Place::Words(words, floats.len());
            }
        }
        let start = self.stack;
        self.stack += layout.size().div_ceil(8);
        Place::Run(start)
    }
}

/// Where the result is. In memory means that its address is the first argument, and that the
/// function returns it.
pub(crate) fn result(ty: Ty, abi: Abi) -> Place {
    let one = |word| Place::Words([word; 2], 1);
    match (ty, abi) {
        (Ty::Void, _) => Place::Words([Word::Int(0); 2], 0),
        (Ty::Struct(layout), Abi::SysV) => {
            let Some(floats) = layout.eightbytes() else {
                return Place::Address(Word::Int(0));
            };
            let (mut words, mut used) = ([Word::Int(0); 2], [0, 0]);
            for (word, &is_float) in words.iter_mut().zip(floats) {
                let index = &mut used[usize::from(is_float)];
                *word = if is_float {
                    Word::Float(*index)
                } else {
                    Word::Int(*index)
                };
                *index += 1;
            }
            Place::Words(words, floats.len())
        }
        (Ty::Struct(layout), Abi::Win64) if !is_register_sized(layout) => {
            Place::Address(Word::Int(0))
        }
        _ => one(if ty.is_float() {
            Word::Float(0)
        } else {
            Word::Int(0)
        }),
    }
}

/// Whether a structure travels in an integer register under Microsoft's convention.
fn is_register_sized(layout: Struct) -> bool {
    matches!(layout.size(), 1 | 2 | 4 | 8)
}
