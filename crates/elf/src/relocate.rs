//! Relocation: what every word of a set of files is that depends on where they are and on others.
//!
//! A name that a library defines means its own definition; other names are looked up in the set,
//! then in the process as it would be for any library, then in the dependencies that the system
//! loaded.
//!
//! Words that say how far a thread-local variable is from the thread pointer come last: room in the
//! static block of all threads is given with the initial values, in which there may be addresses.
//!
//! # Invariant
//! Nothing is written outside of the drafts.
//!
//! Sources: AMD64 supplement, "Relocation Types"; Drepper, "ELF Handling For Thread-Local Storage".

use std::collections::HashMap;

use crate::file::{size, word};
use crate::load::{Loading, Set};
use crate::room;
use crate::run::Choice;
use crate::seal;
use crate::shared::{Relocation, RelocationKind};
use crate::symbol::{Definition, Symbol, SymbolKind};
use crate::tls;
use crate::{ElfError, ElfErrorKind, Refusal};

/// What a name means.
#[derive(Clone, Debug)]
enum Meaning {
    /// An address.
    Address(u64),
    /// What the function at this address returns.
    Chosen(u64),
    /// A thread-local variable of a file of the set: its index, and the offset in its block.
    Variable(usize, u64),
    /// A thread-local variable of the process.
    ProcessVariable,
}

/// What the symbols mean that a file's relocations use. `None` is a weak symbol that nobody
/// defines.
type Meanings = HashMap<usize, Option<Meaning>>;

/// What is written where a relocation says.
enum Filling {
    Word(u64),
    /// Two words.
    Descriptor([u64; 2]),
    /// What the function at this address returns, and something added to it.
    Choice(u64, i64),
}

impl Set {
    /// Fills in all addresses that are known before anything runs.
    pub(crate) fn relocate(&mut self) -> Result<(), ElfError> {
        let mut missing = Vec::new();
        let mut meanings = Vec::new();
        for module in 0..self.modules.len() {
            meanings.push(self.meanings(module, &mut missing));
        }
        if !missing.is_empty() {
            missing.sort();
            missing.dedup();
            return Err(self.modules[0].object.error(ElfErrorKind::Missing(missing)));
        }
        for module in &mut self.modules {
            module.relocate_relative()?;
        }
        let is_late = |relocation: &Relocation| relocation.kind == RelocationKind::TlsStatic;
        for (module, meanings) in meanings.iter().enumerate() {
            self.relocate_module(module, meanings, |relocation| !is_late(relocation))?;
        }
        let mut is_static = vec![false; self.modules.len()];
        for (module, meanings) in meanings.iter().enumerate() {
            let relocations = self.modules[module].object.relocations.iter();
            for relocation in relocations.filter(|relocation| is_late(relocation)) {
                match meanings.get(&relocation.symbol) {
                    Some(Some(Meaning::Variable(other, _))) => is_static[*other] = true,
                    None => is_static[module] = true,
                    Some(_) => {}
                }
            }
        }
        for (module, is_static) in self.modules.iter_mut().zip(is_static) {
            module.keep_variables(is_static)?;
        }
        for (module, meanings) in meanings.iter().enumerate() {
            self.relocate_module(module, meanings, is_late)?;
        }
        Ok(())
    }

    fn meanings(&self, module: usize, missing: &mut Vec<String>) -> Meanings {
        let object = &self.modules[module].object;
        let mut meanings = HashMap::new();
        for relocation in &object.relocations {
            let index = relocation.symbol;
            if index == 0 || meanings.contains_key(&index) {
                continue;
            }
            let Some(symbol) = object.symbols.get(index) else {
                continue;
            };
            let meaning = self.meaning(module, symbol);
            if meaning.is_none() && !symbol.is_weak {
                let version = symbol.version.as_ref();
                let version = version.map(|version| format!("@{version}"));
                missing.push(format!("{}{}", symbol.name, version.unwrap_or_default()));
            }
            meanings.insert(index, meaning);
        }
        meanings
    }

    fn meaning(&self, module: usize, symbol: &Symbol) -> Option<Meaning> {
        if symbol.definition != Definition::Undefined {
            return Some(self.modules[module].meaning(module, symbol));
        }
        if symbol.name == "__tls_get_addr" {
            return Some(Meaning::Address(seal::tls_getter() as u64));
        }
        for (index, other) in self.modules.iter().enumerate() {
            let found = other.export(&symbol.name, symbol.version.as_deref());
            if let Some(found) = found {
                return Some(other.meaning(index, found));
            }
        }
        let version = symbol.version.as_deref();
        let address = self.scope.find(&symbol.name, version)?;
        if symbol.kind == SymbolKind::ThreadLocal {
            return Some(Meaning::ProcessVariable);
        }
        Some(Meaning::Address(address as u64))
    }

    /// Fills in the relocations of a file that are meant.
    fn relocate_module(
        &mut self,
        module: usize,
        meanings: &Meanings,
        is_meant: impl Fn(&Relocation) -> bool,
    ) -> Result<(), ElfError> {
        for index in 0..self.modules[module].object.relocations.len() {
            let relocation = self.modules[module].object.relocations[index];
            if !is_meant(&relocation) {
                continue;
            }
            let meaning = meanings.get(&relocation.symbol).cloned().flatten();
            let filling = self.filling(module, &relocation, meaning)?;
            let this = &mut self.modules[module];
            let comes_late = matches!(filling, Filling::Choice(..))
                || relocation.kind == RelocationKind::TlsStatic;
            if comes_late && this.is_initial(relocation.address) {
                return Err(this.refused(Refusal::LateVariable(relocation.offset)));
            }
            let at = this.offset(relocation.address);
            let put = at.and_then(|at| {
                match filling {
                    Filling::Word(value) => this.put(at, value)?,
                    Filling::Descriptor([function, argument]) => {
                        this.put(at, function)?;
                        this.put(at.checked_add(8)?, argument)?;
                    }
                    Filling::Choice(chooser, addend) => self.choices.push(Choice {
                        module,
                        offset: at,
                        chooser,
                        addend,
                        place: relocation.offset,
                    }),
                }
                Some(())
            });
            put.ok_or_else(|| {
                self.modules[module].damaged("the place of a relocation", relocation.offset)
            })?;
        }
        Ok(())
    }

    /// What a relocation fills in, by its kind and what its symbol means.
    fn filling(
        &mut self,
        module: usize,
        relocation: &Relocation,
        meaning: Option<Meaning>,
    ) -> Result<Filling, ElfError> {
        let this = &self.modules[module];
        let damaged = |what| this.damaged(what, relocation.offset);
        let (bias, addend) = (this.bias(), relocation.addend);
        let plus = |value: u64| Filling::Word(value.wrapping_add_signed(addend));
        let filling = match (relocation.kind, meaning) {
            (RelocationKind::Relative, _) => plus(bias),
            (RelocationKind::Indirect, _) => Filling::Choice(bias.wrapping_add_signed(addend), 0),
            (RelocationKind::Symbol, Some(Meaning::Address(address))) => plus(address),
            (RelocationKind::Symbol, Some(Meaning::Chosen(chooser))) => {
                Filling::Choice(chooser, addend)
            }
            (RelocationKind::Symbol | RelocationKind::TlsOffset, None) => plus(0),
            (RelocationKind::TlsOffset, Some(Meaning::Variable(_, offset))) => plus(offset),
            (RelocationKind::TlsOffset, Some(Meaning::ProcessVariable)) => plus(0),
            (
                RelocationKind::TlsModule,
                meaning @ (None | Some(Meaning::Variable(..) | Meaning::ProcessVariable)),
            ) => Filling::Word(self.variable(module, relocation, meaning)?.0),
            (
                RelocationKind::TlsDescriptor,
                meaning @ (None | Some(Meaning::Variable(..) | Meaning::ProcessVariable)),
            ) => {
                let function = seal::descriptor_entry().ok_or_else(|| {
                    let (relocation, offset) = ("R_X86_64_TLSDESC", relocation.offset);
                    this.refused(Refusal::TlsDescriptor { relocation, offset })
                })?;
                // A weak symbol that nobody defines is at 0, where no module is.
                let is_nowhere = relocation.symbol != 0 && meaning.is_none();
                let (number, offset) = if is_nowhere {
                    (0, 0)
                } else {
                    self.variable(module, relocation, meaning)?
                };
                let offset = offset.wrapping_add_signed(addend);
                let argument = seal::descriptor_argument(number, offset).ok_or_else(|| {
                    let what = "a variable behind the end of its block";
                    self.modules[module].damaged(what, relocation.offset)
                })?;
                Filling::Descriptor([function, argument])
            }
            (RelocationKind::TlsStatic, Some(Meaning::ProcessVariable)) => {
                let symbol = &this.object.symbols[relocation.symbol];
                let version = symbol.version.as_deref();
                let distance = self.scope.static_offset(&symbol.name, version);
                plus(distance.ok_or_else(|| {
                    let (relocation, offset) = ("R_X86_64_TPOFF64", relocation.offset);
                    this.refused(Refusal::DynamicTls { relocation, offset })
                })?)
            }
            (RelocationKind::TlsStatic, Some(Meaning::Variable(other, offset))) => {
                let distance = self.modules[other]
                    .distance
                    .ok_or_else(|| damaged(NO_SEGMENT))?;
                plus(distance.wrapping_add(offset))
            }
            (RelocationKind::TlsStatic, None) if relocation.symbol == 0 => {
                plus(this.distance.ok_or_else(|| damaged(NO_SEGMENT))?)
            }
            (RelocationKind::TlsStatic, None) => plus(0),
            (_, Some(_)) => return Err(damaged("a relocation that does not fit its symbol")),
        };
        Ok(filling)
    }

    /// The number of the module in which a variable is, and its offset there. Without a meaning, it
    /// is the file's own block.
    fn variable(
        &mut self,
        module: usize,
        relocation: &Relocation,
        meaning: Option<Meaning>,
    ) -> Result<(u64, u64), ElfError> {
        let this = &self.modules[module];
        let (owner, offset) = match meaning {
            Some(Meaning::ProcessVariable) => {
                let symbol = &this.object.symbols[relocation.symbol];
                let number = tls::Number::new();
                number.define(self.scope.variable(&symbol.name, symbol.version.as_deref()));
                let value = number.get();
                self.borrowed.push(number);
                return Ok((value, 0));
            }
            Some(Meaning::Variable(other, offset)) => (&self.modules[other], offset),
            _ => (this, 0),
        };
        let number = owner.tls.as_ref().map(tls::Number::get);
        let number = number.ok_or_else(|| this.damaged(NO_SEGMENT, relocation.offset))?;
        Ok((number, offset))
    }
}

/// What is wrong with a file that has thread-local symbols, but no place for them.
const NO_SEGMENT: &str = "a thread-local symbol without a segment";

impl Loading {
    /// Adds the load address to the words that are nothing but addresses in the file.
    fn relocate_relative(&mut self) -> Result<(), ElfError> {
        for index in 0..self.object.relative.len() {
            let address = self.object.relative[index];
            let put = self.offset(address).and_then(|at| {
                let old = word(self.draft.bytes(), at)?;
                self.put(at, old.wrapping_add(self.bias()))
            });
            put.ok_or_else(|| {
                self.damaged("the place of a packed or relative relocation", address)
            })?;
        }
        Ok(())
    }

    fn put(&mut self, offset: usize, value: u64) -> Option<()> {
        let place = self
            .draft
            .bytes_mut()
            .get_mut(offset..offset.checked_add(8)?)?;
        place.copy_from_slice(&value.to_le_bytes());
        Some(())
    }

    fn export(&self, name: &str, version: Option<&str>) -> Option<&Symbol> {
        let symbols = self.exports.get(name)?.iter();
        let mut symbols = symbols.map(|&index| &self.object.symbols[index]);
        symbols.find(|symbol| match (&symbol.version, version) {
            (Some(own), Some(wanted)) => own == wanted,
            (Some(_), None) => !symbol.is_hidden,
            (None, _) => true,
        })
    }

    /// What a symbol means that this file, the set's `index`-th, defines.
    fn meaning(&self, index: usize, symbol: &Symbol) -> Meaning {
        let address = match symbol.definition {
            Definition::Absolute => symbol.value,
            _ => self.bias().wrapping_add(symbol.value),
        };
        match symbol.kind {
            SymbolKind::ThreadLocal => Meaning::Variable(index, symbol.value),
            SymbolKind::Indirect => Meaning::Chosen(address),
            _ => Meaning::Address(address),
        }
    }

    fn damaged(&self, what: &'static str, offset: u64) -> ElfError {
        self.object.error(ElfErrorKind::Damaged { what, offset })
    }

    fn refused(&self, refusal: Refusal) -> ElfError {
        self.object.error(ElfErrorKind::Refused(refusal))
    }

    /// Whether an address is among the initial values of thread-local variables.
    fn is_initial(&self, address: u64) -> bool {
        let tls = self.object.tls.as_ref();
        tls.is_some_and(|tls| (tls.address..tls.address + tls.file_len).contains(&address))
    }

    /// Remembers the initial values of thread-local variables, with all addresses filled in; if
    /// code counts them from the thread pointer, in the static block of all threads.
    fn keep_variables(&mut self, is_static: bool) -> Result<(), ElfError> {
        let (Some(number), Some(tls)) = (&self.tls, &self.object.tls) else {
            return Ok(());
        };
        let (start, file_len) = (self.offset(tls.address), size(tls.file_len));
        let initial = match start {
            _ if file_len == 0 => Some(&[][..]),
            Some(start) => self
                .draft
                .bytes()
                .get(start..start.saturating_add(file_len)),
            None => None,
        };
        let what = "the segment of thread-local variables";
        let initial = initial.ok_or_else(|| self.damaged(what, tls.address))?;
        let extent = (size(tls.len), size(tls.align));
        self.distance = room::define(number, initial, extent, is_static)
            .map_err(|refusal| self.refused(refusal))?;
        Ok(())
    }
}
