//! Loading: from files to images that run.
//!
//! A library and those of its dependencies that are loaded here are treated as one set. First all
//! files are read, then every symbol is resolved, then all addresses are filled in, and only then
//! memory becomes executable and something runs: functions that choose implementations, at last
//! the initialisers, those of dependencies first. So a library that cannot be loaded has run
//! nothing, and all symbols that are missing are named at once.
//!
//! ```text
//! read ─▶ gather dependencies ─▶ draft (copy segments) ─▶ resolve and relocate ─▶ seal
//!      ─▶ choose (IRELATIVE) ─▶ freeze (RELRO) ─▶ register frames ─▶ initialise
//! ```
//!
//! # Invariant
//! Nothing of the set is executed before every address of the set is known.
//!
//! Source: System V ABI, "Dynamic Linking".

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use opcodon_codemem::{Access, Draft, Part, Place};

use crate::file::{size, word};
use crate::find::{Origin, find};
use crate::run::{Choice, Loaded, Sealed, run};
use crate::scope::Scope;
use crate::seal::System;
use crate::shared::{C_LIBRARY, PAGE, SharedObject};
use crate::symbol::{Definition, Symbol};
use crate::tls;
use crate::{Dependencies, ElfError, ElfErrorKind, Options};

/// A file that is being loaded.
#[derive(Debug)]
pub(crate) struct Loading {
    pub(crate) object: SharedObject,
    pub(crate) draft: Draft,
    /// Offset in the draft of the first page of the file.
    shift: usize,
    /// Indices of its dependencies in the set.
    needs: Vec<usize>,
    /// Symbols others may find, by name.
    pub(crate) exports: HashMap<String, Vec<usize>>,
    pub(crate) tls: Option<tls::Number>,
    /// How far its thread-local variables are from the thread pointer, where that is the same in
    /// all threads.
    pub(crate) distance: Option<u64>,
}

/// Files that are being loaded together.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) modules: Vec<Loading>,
    pub(crate) scope: Scope,
    pub(crate) borrowed: Vec<tls::Number>,
    pub(crate) choices: Vec<Choice>,
}

/// Loads a file that was read, and runs its initialisers.
pub(crate) fn load(
    object: SharedObject,
    folder: Option<PathBuf>,
    options: &Options,
) -> Result<Loaded, ElfError> {
    let mut set = Set::default();
    set.gather(object, folder, options)?;
    set.relocate()?;
    set.run()
}

/// Does everything to a file that happens before something is executed.
pub(crate) fn rehearse(object: SharedObject) -> Result<(), ElfError> {
    let mut set = Set::default();
    set.add(object)?;
    set.relocate()
}

impl Set {
    /// Reads the dependencies, and theirs, or has the system load them.
    fn gather(
        &mut self,
        root: SharedObject,
        folder: Option<PathBuf>,
        options: &Options,
    ) -> Result<(), ElfError> {
        let mut origins = vec![Origin::new(folder, &root.runpath)];
        let mut known: HashMap<String, usize> = HashMap::new();
        known.extend(root.soname.clone().map(|soname| (soname, 0)));
        self.add(root)?;
        let mut next = 0;
        while next < self.modules.len() {
            let object = &self.modules[next].object;
            let (is_inherited, needed) = (object.is_rpath, object.needed.clone());
            let origin = origins[next].clone();
            let asker = object.name.clone();
            let mut left = Vec::new();
            for name in needed {
                if let Some(&index) = known.get(&name) {
                    self.modules[next].needs.push(index);
                    continue;
                }
                let failed = |message: String| {
                    let name = name.clone();
                    ElfError::new(&asker, ElfErrorKind::Dependency { name, message })
                };
                let is_shared = SHARED.contains(&name.as_str());
                if options.dependencies == Dependencies::Own && !is_shared {
                    let found = find(&name, &origin);
                    let path = found.map_err(|searched| {
                        failed(ElfErrorKind::NotFound { searched }.to_string())
                    })?;
                    if let Some(object) = own(&path).map_err(|error| failed(error.to_string()))? {
                        let index = self.modules.len();
                        self.modules[next].needs.push(index);
                        known.extend(object.soname.clone().map(|soname| (soname, index)));
                        known.insert(name, index);
                        let folder = path.parent().map(Path::to_owned);
                        let own = Origin::new(folder, &object.runpath);
                        origins.push(if is_inherited {
                            own.inheriting(&origin)
                        } else {
                            own
                        });
                        self.add(object)?;
                        continue;
                    }
                }
                left.push(name);
            }
            let is_loaded = options.dependencies == Dependencies::Process;
            let loaded = systems(&left, &origin, is_loaded);
            let loaded = loaded.map_err(|(name, message)| {
                ElfError::new(&asker, ElfErrorKind::Dependency { name, message })
            })?;
            for system in loaded {
                self.scope.add(system);
            }
            next += 1;
        }
        Ok(())
    }

    /// Copies a file into memory.
    fn add(&mut self, object: SharedObject) -> Result<(), ElfError> {
        let memory = |error| object.error(ElfErrorKind::Memory(error));
        let (start, align) = (object.start(), object.align());
        let len = object.end() - start + align - PAGE;
        let len = size(len);
        let mut draft = Draft::new(len, Place::Anywhere).map_err(memory)?;
        // The distance of addresses in memory and in the file is a multiple of the alignment.
        let address = draft.address() as u64;
        let shift = (start.wrapping_sub(address)) & (align - 1);
        let shift = size(shift);
        for segment in &object.segments {
            let at = shift + size(segment.address - start);
            let bytes = &object.data[segment.file.clone()];
            draft.bytes_mut()[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let mut exports: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, symbol) in object.symbols.iter().enumerate() {
            if symbol.definition != Definition::Undefined && !symbol.is_local {
                exports.entry(symbol.name.clone()).or_default().push(index);
            }
        }
        self.modules.push(Loading {
            tls: object.tls.is_some().then(tls::Number::new),
            distance: None,
            object,
            draft,
            shift,
            needs: Vec::new(),
            exports,
        });
        Ok(())
    }

    /// Makes the drafts executable and runs what has to run.
    fn run(self) -> Result<Loaded, ElfError> {
        let order = self.initialisation_order();
        let sealed: Result<Vec<Sealed>, ElfError> =
            self.modules.into_iter().map(Loading::seal).collect();
        run(sealed?, &self.choices, &order, self.borrowed, self.scope)
    }

    /// Dependencies before those that need them; where they need each other, whoever is met first
    /// comes last.
    fn initialisation_order(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut is_met = vec![false; self.modules.len()];
        let mut path = vec![(0, 0)];
        is_met[0] = true;
        while let Some((module, next)) = path.pop() {
            match self.modules[module].needs.get(next) {
                None => order.push(module),
                Some(&need) => {
                    path.push((module, next + 1));
                    if !std::mem::replace(&mut is_met[need], true) {
                        path.push((need, 0));
                    }
                }
            }
        }
        order
    }
}

/// Libraries of which a process has one: the C library, and the unwinder, which knows the frames
/// of everything that is loaded here.
const SHARED: [&str; 7] = {
    let [a, b, c, d, e, f] = C_LIBRARY;
    [a, b, c, d, e, f, "libgcc_s.so.1"]
};

/// Reads a dependency, unless the system must load it.
fn own(path: &Path) -> Result<Option<SharedObject>, ElfError> {
    let name = path.display().to_string();
    let read = |error| ElfError::new(&name, ElfErrorKind::Read(error));
    let data = std::fs::read(path).map_err(read)?;
    let object = SharedObject::parse(&name, data)?;
    Ok(object.refusal().is_none().then_some(object))
}

/// Has the system load dependencies. One of them may need another that is only found in the folders
/// of whoever needs both; so those that fail are tried again as long as others succeed. An error
/// is a name and why.
pub(crate) fn systems(
    names: &[String],
    origin: &Origin,
    is_loaded: bool,
) -> Result<Vec<System>, (String, String)> {
    let mut loaded = Vec::new();
    let mut waiting = names.to_vec();
    loop {
        let mut failed = Vec::new();
        for name in &waiting {
            match system(name, origin, is_loaded) {
                Ok(system) => loaded.push(system),
                Err(message) => failed.push((name.clone(), message)),
            }
        }
        match failed.first() {
            None => return Ok(loaded),
            Some(first) if failed.len() == waiting.len() => return Err(first.clone()),
            Some(_) => waiting = failed.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

/// Has the system load a dependency.
fn system(name: &str, origin: &Origin, is_loaded: bool) -> Result<System, String> {
    let name = origin.expanded(name).unwrap_or_else(|| name.to_owned());
    let path = origin.find(&name);
    let path = path.as_deref().and_then(Path::to_str).unwrap_or(&name);
    System::open(path, is_loaded).map_err(|error| {
        if is_loaded {
            "it is not in this process, and dependencies=\"process\" loads no others".to_owned()
        } else {
            error
        }
    })
}

impl Loading {
    /// What is added to an address of the file.
    pub(crate) fn bias(&self) -> u64 {
        let start = self.draft.address() as u64 + self.shift as u64;
        start.wrapping_sub(self.object.start())
    }

    /// Where an address of the file is in the draft, if it is in a segment.
    pub(crate) fn offset(&self, address: u64) -> Option<usize> {
        let holds = |s: &&crate::shared::Segment| (s.address..s.address + s.len).contains(&address);
        self.object.segments.iter().find(holds)?;
        Some(self.shift + size(address - self.object.start()))
    }

    fn seal(self) -> Result<Sealed, ElfError> {
        let bias = self.bias();
        let pages = |range: Range<u64>| {
            let offset = |address: u64| self.shift + size(address - self.object.start());
            offset(range.start & !(PAGE - 1))..offset(range.end.next_multiple_of(PAGE))
        };
        let parts: Vec<Part> = self
            .object
            .segments
            .iter()
            .map(|segment| Part {
                range: pages(segment.address..segment.address + segment.len),
                access: if segment.is_executable {
                    Access::Execute
                } else if segment.is_writable {
                    Access::Write
                } else {
                    Access::Read
                },
            })
            .collect();
        let array = |range: &Range<u64>| {
            let words = (range.start..range.end).step_by(8);
            let words = words.map_while(|address| word(self.draft.bytes(), self.offset(address)?));
            let is_function = |&word: &u64| word != 0 && word != u64::MAX;
            words.filter(is_function).collect::<Vec<u64>>()
        };
        let at = |address: Option<u64>| address.map(|address| address.wrapping_add(bias));
        let mut initialisers: Vec<u64> = at(self.object.init).into_iter().collect();
        initialisers.extend(array(&self.object.init_array));
        let mut finalisers = array(&self.object.fini_array);
        finalisers.reverse();
        finalisers.extend(at(self.object.fini));
        let relro = self.object.relro.clone().map(pages);
        let frames = self
            .object
            .eh_frame
            .and_then(|address| self.offset(address));
        // The C library keeps destructors of threads until those end.
        let is_kept = |symbol: &Symbol| {
            let is_theirs = ["__cxa_thread_atexit_impl", "__cxa_thread_atexit"];
            symbol.definition == Definition::Undefined && is_theirs.contains(&symbol.name.as_str())
        };
        let image = self.draft.seal(&parts);
        let image = image.map_err(|error| self.object.error(ElfErrorKind::Memory(error)))?;
        Ok(Sealed {
            stays: self.object.stays || self.object.symbols.iter().any(is_kept),
            name: self.object.name,
            symbols: self.object.symbols,
            image,
            bias,
            initialisers,
            finalisers,
            handle: None,
            relro,
            frames,
            tls: self.tls,
        })
    }
}
