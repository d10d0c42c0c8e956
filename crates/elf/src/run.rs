//! Running: from sealed images to a library whose initialisers have run, and back.
//!
//! # Invariant
//! Code lies where it is called: every address that is called here was looked up in the executable
//! parts of the images.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use opcodon_codemem::observe::{LibraryCode, Watched, is_observed};
use opcodon_codemem::{Access, Image, PAGE};

use crate::file::size;
use crate::scope::Scope;
use crate::seal::{self, Frames};
use crate::shared::frames_len;
use crate::symbol::{Definition, Symbol, SymbolKind};
use crate::tls;
use crate::{ElfError, ElfErrorKind};

/// A library with its dependencies, running.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// In the order in which they are finalised.
    modules: Vec<Module>,
    /// Which of them was asked for.
    root: usize,
    /// Numbers of thread-local variables of the process.
    _borrowed: Vec<tls::Number>,
    /// Dependencies that the system loaded.
    _scope: Scope,
    is_finalised: AtomicBool,
}

/// One file in memory.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) symbols: Vec<Symbol>,
    /// What is added to an address of the file.
    pub(crate) bias: usize,
    finalisers: Vec<usize>,
    /// What the file calls itself where it asks the C library to run something at its end.
    handle: Option<usize>,
    /// Whether its code may be asked for after it was unloaded.
    stays: bool,
    frames: Option<Frames>,
    /// Says that debuggers and profilers know of it.
    watched: Option<Watched>,
    image: Option<Image>,
    tls: Option<tls::Number>,
}

impl Module {
    /// The image.
    pub(crate) fn image(&self) -> Option<&Image> {
        self.image.as_ref()
    }
}

impl Loaded {
    /// The library that was asked for.
    pub(crate) fn root(&self) -> &Module {
        &self.modules[self.root]
    }

    /// The names of all files that were loaded here, the one that was asked for first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.modules.iter().enumerate();
        let others = others.filter(|&(index, _)| index != self.root);
        let others = others.map(|(_, module)| module.name.as_str());
        std::iter::once(self.root().name.as_str()).chain(others)
    }

    /// Runs the finalisers, once.
    pub(crate) fn finalise(&self) {
        if self.is_finalised.swap(true, Ordering::AcqRel) {
            return;
        }
        for module in &self.modules {
            if module.stays {
                continue;
            }
            if let Some(handle) = module.handle {
                seal::finalise_for(handle);
            }
            for &address in &module.finalisers {
                seal::finalise(address);
            }
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.finalise();
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Before the memory they lie in.
        let known = (self.watched.take(), self.frames.take());
        if self.stays {
            std::mem::forget((known, self.image.take(), self.tls.take()));
        }
    }
}

/// A word that is filled in after sealing: where, and by what function.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) module: usize,
    pub(crate) offset: usize,
    pub(crate) chooser: u64,
    pub(crate) addend: i64,
    /// Where the file says so.
    pub(crate) place: u64,
}

/// Runs what has to run: functions that choose implementations, then the initialisers in the given
/// order of the images, of which the first is the one that was asked for.
pub(crate) fn run(
    mut sealed: Vec<Sealed>,
    choices: &[Choice],
    order: &[usize],
    borrowed: Vec<tls::Number>,
    scope: Scope,
) -> Result<Loaded, ElfError> {
    for choice in choices {
        let is_code = sealed.iter().any(|image| image.holds_code(choice.chooser));
        let place = &mut sealed[choice.module];
        if !is_code {
            return Err(place.damaged("a choice of implementations", choice.place));
        }
        let chosen = seal::choose(size(choice.chooser));
        let value = (chosen as u64).wrapping_add_signed(choice.addend);
        if place.image.write(choice.offset, value).is_err() {
            return Err(place.damaged("the place of a choice", choice.place));
        }
    }
    let mut modules: Vec<Option<Module>> = Vec::new();
    let mut initialisers = Vec::new();
    for image in sealed {
        let (module, functions) = image.freeze()?;
        modules.push(Some(module));
        initialisers.push(functions);
    }
    for &index in order {
        for &address in &initialisers[index] {
            seal::initialise(address);
        }
    }
    let root = order.iter().rev().position(|&index| index == 0);
    let ordered = order
        .iter()
        .rev()
        .filter_map(|&index| modules[index].take());
    Ok(Loaded {
        modules: ordered.collect(),
        root: root.unwrap_or(0),
        _borrowed: borrowed,
        _scope: scope,
        is_finalised: AtomicBool::new(false),
    })
}

/// A file in executable memory, of which nothing has run.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) name: String,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) image: Image,
    /// What is added to an address of the file.
    pub(crate) bias: u64,
    /// Addresses, in the order in which they are called.
    pub(crate) initialisers: Vec<u64>,
    /// Addresses, in the order in which they are called.
    pub(crate) finalisers: Vec<u64>,
    /// What the file calls itself where it asks the C library to run something at its end.
    pub(crate) handle: Option<usize>,
    /// Offsets in the image that become read-only.
    pub(crate) relro: Option<Range<usize>>,
    /// Offset in the image of the call frame information.
    pub(crate) frames: Option<usize>,
    /// Whether its code may be asked for after it was unloaded.
    pub(crate) stays: bool,
    pub(crate) tls: Option<tls::Number>,
}

impl Sealed {
    fn damaged(&self, what: &'static str, offset: u64) -> ElfError {
        ElfError::new(&self.name, ElfErrorKind::Damaged { what, offset })
    }

    fn holds_code(&self, address: u64) -> bool {
        let offset = address.checked_sub(self.image.address() as u64);
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| self.image.access(offset)) == Some(Access::Execute)
    }

    /// Tells debuggers and profilers of the code, if they want to know.
    fn announce(&self) -> Option<Watched> {
        if !is_observed() {
            return None;
        }
        let start = self.image.address() as u64;
        let code = |offset: usize| match self.image.access(offset)? {
            Access::Execute => self.image.constant_from(offset),
            _ => None,
        };
        let is_function = |symbol: &&Symbol| {
            matches!(symbol.kind, SymbolKind::Function | SymbolKind::Indirect)
                && symbol.definition == Definition::Here
        };
        let symbols = self.symbols.iter().filter(is_function);
        let functions = symbols.filter_map(|symbol| {
            let offset = self.bias.wrapping_add(symbol.value).wrapping_sub(start);
            let code = code(size(offset))?;
            let len = size(symbol.size).min(code.len());
            Some((symbol.name.as_str(), &code[..len]))
        });
        let functions: Vec<(&str, &[u8])> = functions.collect();
        let mut pages = (0..self.image.len()).step_by(PAGE);
        let text = pages.find_map(code);
        let frames = self.frames.and_then(|at| {
            let frames = self.image.constant_from(at)?;
            frames.get(..frames_len(frames)?)
        });
        Watched::library(&LibraryCode {
            name: &self.name,
            text: text?,
            functions: &functions,
            frames: frames.unwrap_or_default(),
        })
    }

    /// Makes constants of what was only written to fill in addresses, and gives the initialisers.
    fn freeze(mut self) -> Result<(Module, Vec<usize>), ElfError> {
        if let Some(relro) = self.relro.clone() {
            let frozen = self.image.freeze(relro);
            frozen.map_err(|error| ElfError::new(&self.name, ElfErrorKind::Memory(error)))?;
        }
        for &address in self.initialisers.iter().chain(&self.finalisers) {
            if !self.holds_code(address) {
                let what = "an initialiser or finaliser outside of the code";
                return Err(self.damaged(what, address.wrapping_sub(self.bias)));
            }
        }
        let watched = self.announce();
        let frames = self.frames;
        let frames = frames.and_then(|offset| Frames::register(&self.image, offset));
        let initialisers = self.initialisers.iter().map(|&address| size(address));
        let module = Module {
            name: self.name,
            symbols: self.symbols,
            bias: size(self.bias),
            finalisers: self
                .finalisers
                .iter()
                .map(|&address| size(address))
                .collect(),
            handle: self.handle,
            stays: self.stays,
            frames,
            watched,
            image: Some(self.image),
            tls: self.tls,
        };
        Ok((module, initialisers.collect()))
    }
}
