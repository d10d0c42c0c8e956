//! Libraries: what a caller has in hand.

use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use opcodon_codemem::{Abi, Access, Code, Function, Signature};

use crate::file::size;
use crate::find::{Origin, find};
use crate::load;
use crate::run::Loaded;
use crate::seal::{self, System};
use crate::shared::{C_LIBRARY, SharedObject};
use crate::symbol::{Definition, Export, Symbol, SymbolKind};
use crate::{ElfError, ElfErrorKind};

/// Who maps a library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loader {
    /// This crate, or the system where this crate refuses.
    #[default]
    Auto,
    /// This crate.
    Own,
    /// The system's loader, from a file in memory.
    System,
}

impl Loader {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Own, Self::System];

    /// `auto`, `own` or `system`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Own => "own",
            Self::System => "system",
        }
    }

    /// The loader of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|loader| loader.name() == name)
    }
}

/// Who loads the libraries that a library needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dependencies {
    /// The system's loader, if they are not in the process yet.
    #[default]
    System,
    /// Nobody: they are in the process already.
    Process,
    /// This crate, copies of its own; except the C library, and what it refuses.
    Own,
}

impl Dependencies {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::System, Self::Process, Self::Own];

    /// `system`, `process` or `own`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Process => "process",
            Self::Own => "own",
        }
    }

    /// The choice of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

/// How a library is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Who maps the library.
    pub loader: Loader,
    /// Who loads what it needs.
    pub dependencies: Dependencies,
}

/// A library in memory.
///
/// ```
/// use opcodon_codemem::{Abi, Signature, Value};
/// use opcodon_elf::{Library, Options};
/// # if !std::path::Path::new("/lib/x86_64-linux-gnu/libm.so.6").exists() { return Ok(()) }
/// let libm = Library::open("libm.so.6", &Options::default())?;
/// let cos = libm.function("cos", Signature::parse("f64(f64)")?, Abi::SysV)?;
/// // SAFETY: that is what <math.h> says.
/// assert_eq!(unsafe { cos.call(&[Value::F64(0.0)]) }?, Value::F64(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Library {
    name: String,
    exports: Vec<Export>,
    /// The symbols of `exports`, as the file has them.
    symbols: Vec<Symbol>,
    loader: Loader,
    reason: Option<String>,
    files: Vec<String>,
    open: Arc<AtomicBool>,
    /// `None` when closed.
    body: Mutex<Option<Body>>,
}

#[derive(Clone)]
enum Body {
    Own(Arc<Loaded>),
    System(Arc<System>),
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("name", &self.name)
            .field("loader", &self.loader)
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Loads the library of a name, which is searched for as the system does, or at a path, and
    /// runs its initialisers.
    ///
    /// # Errors
    /// There is no such file, it is none that can be loaded here, a symbol is missing.
    pub fn open(name: &str, options: &Options) -> Result<Self, ElfError> {
        let nobody = Origin::default();
        let failed = |kind| ElfError::new(name, kind);
        let path =
            find(name, &nobody).map_err(|searched| failed(ElfErrorKind::NotFound { searched }))?;
        let data = std::fs::read(&path).map_err(|error| failed(ElfErrorKind::Read(error)))?;
        // `$ORIGIN` is the folder of the file itself, not of a link to it.
        let real = std::fs::canonicalize(&path).unwrap_or(path);
        Self::load(name, data, real.parent().map(Path::to_owned), options)
    }

    /// Loads a library from its bytes; the name is for messages.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn from_bytes(name: &str, data: Vec<u8>, options: &Options) -> Result<Self, ElfError> {
        Self::load(name, data, None, options)
    }

    fn load(
        name: &str,
        data: Vec<u8>,
        folder: Option<PathBuf>,
        options: &Options,
    ) -> Result<Self, ElfError> {
        let object = SharedObject::parse(name, data)?;
        if options.loader == Loader::System {
            return Self::load_by_system(&object, folder, options, None);
        }
        if let Some(refusal) = object.refusal() {
            if options.loader == Loader::Own || !refusal.has_fallback() {
                return Err(object.error(ElfErrorKind::Refused(refusal)));
            }
            let reason = Some(refusal.to_string());
            return Self::load_by_system(&object, folder, options, reason);
        }
        Ok(Self::of(Arc::new(load::load(object, folder, options)?)))
    }

    pub(crate) fn of(loaded: Arc<Loaded>) -> Self {
        let root = loaded.root();
        let (exports, symbols) = exported(&root.symbols);
        Self {
            name: root.name.clone(),
            exports,
            symbols,
            loader: Loader::Own,
            reason: None,
            files: loaded.names().map(str::to_owned).collect(),
            open: Arc::new(AtomicBool::new(true)),
            body: Mutex::new(Some(Body::Own(loaded))),
        }
    }

    fn load_by_system(
        facts: &SharedObject,
        folder: Option<PathBuf>,
        options: &Options,
        reason: Option<String>,
    ) -> Result<Self, ElfError> {
        let name = facts.name.as_str();
        let failed = |kind| facts.error(kind);
        let soname = facts.soname.as_deref().unwrap_or_default();
        let system = if C_LIBRARY.contains(&soname) {
            // A second copy of these would break the process.
            System::open(soname, true)
        } else {
            let origin = Origin::new(folder, &facts.runpath);
            let is_loaded = options.dependencies == Dependencies::Process;
            // Seen from a file in memory, `$ORIGIN` would be another folder.
            let kept = load::systems(&facts.needed, &origin, is_loaded);
            let _kept =
                kept.map_err(|(name, message)| failed(ElfErrorKind::Dependency { name, message }))?;
            System::open_bytes(&facts.data)
        };
        let system = system.map_err(|message| failed(ElfErrorKind::System(message)))?;
        let (exports, symbols) = exported(&facts.symbols);
        Ok(Self {
            name: name.to_owned(),
            exports,
            symbols,
            loader: Loader::System,
            reason,
            files: vec![name.to_owned()],
            open: Arc::new(AtomicBool::new(true)),
            body: Mutex::new(Some(Body::System(Arc::new(system)))),
        })
    }

    /// The name it was loaded by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who loaded it: never [`Loader::Auto`].
    #[must_use]
    pub fn loader(&self) -> Loader {
        self.loader
    }

    /// Why the system loaded it and not this crate, if this crate was asked first.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The files that were loaded with it by the same loader, itself first.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The symbols it offers, by name.
    #[must_use]
    pub fn symbols(&self) -> &[Export] {
        &self.exports
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.open.load(Ordering::Acquire)
    }

    /// A function of the library. The library stays in memory as long as the function lives.
    ///
    /// # Errors
    /// [`ElfErrorKind::NoSymbol`], [`ElfErrorKind::Kind`] if the symbol is data, or
    /// [`ElfErrorKind::Closed`].
    pub fn function(
        &self,
        name: &str,
        signature: Signature,
        abi: Abi,
    ) -> Result<Function, ElfError> {
        let body = self.body()?;
        let index = self.find(name)?;
        let symbol = &self.symbols[index];
        let wrong = |found| {
            self.error(ElfErrorKind::Kind {
                name: name.to_owned(),
                found,
                expected: "a function",
            })
        };
        match symbol.kind {
            SymbolKind::Object => return Err(wrong("data")),
            SymbolKind::ThreadLocal => return Err(wrong("a thread-local variable")),
            _ => {}
        }
        let address = self.address_of(&body, symbol)?;
        let start = NonNull::new(address as *mut u8).ok_or_else(|| wrong("nowhere"))?;
        let (len, owner): (usize, Arc<dyn Any + Send + Sync>) = match &body {
            Body::Own(loaded) => {
                let root = loaded.root();
                let offset = root.image().and_then(|image| {
                    let offset = address.checked_sub(image.address())?;
                    (image.access(offset)? == Access::Execute).then_some(offset)
                });
                let rest = offset.and_then(|offset| root.image()?.constant_from(offset));
                let rest = rest.ok_or_else(|| wrong("outside of the code"))?.len();
                (
                    self.code_len(symbol, address, root.bias, rest),
                    loaded.clone(),
                )
            }
            Body::System(system) => {
                let len = self.code_len(symbol, address, seal::base(system), 1);
                (len, system.clone())
            }
        };
        let code: Code = seal::lend(start, len, owner, self.open.clone());
        Ok(Function::from_code(code, signature, abi))
    }

    /// The address of a symbol, data or code, as long as the library is open.
    ///
    /// # Errors
    /// As for [`function`](Self::function).
    pub fn address(&self, name: &str) -> Result<usize, ElfError> {
        let body = self.body()?;
        let symbol = &self.symbols[self.find(name)?];
        if symbol.kind == SymbolKind::ThreadLocal {
            return Err(self.error(ElfErrorKind::Kind {
                name: name.to_owned(),
                found: "a thread-local variable",
                expected: "at one address",
            }));
        }
        self.address_of(&body, symbol)
    }

    /// Runs the finalisers; functions of the library cannot be called any more. Its memory is
    /// freed when no function of it is left.
    pub fn close(&self) {
        let body = self
            .body
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if !self.open.swap(false, Ordering::AcqRel) {
            return;
        }
        if let Some(Body::Own(loaded)) = body {
            loaded.finalise();
        }
    }

    fn error(&self, kind: ElfErrorKind) -> ElfError {
        ElfError::new(&self.name, kind)
    }

    fn body(&self) -> Result<Body, ElfError> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.clone().ok_or_else(|| self.error(ElfErrorKind::Closed))
    }

    fn find(&self, name: &str) -> Result<usize, ElfError> {
        let found = self.exports.binary_search_by(|export| {
            let key = export.key();
            key.as_str().cmp(name)
        });
        found.or_else(|_| {
            let (plain, version) = name.split_once('@').unwrap_or((name, ""));
            let version = version.trim_start_matches('@');
            let is_meant = |export: &Export| {
                export.name == plain && export.version.as_deref() == Some(version)
            };
            self.exports.iter().position(is_meant).ok_or_else(|| {
                self.error(ElfErrorKind::NoSymbol {
                    name: name.to_owned(),
                    near: near(name, &self.exports),
                })
            })
        })
    }

    fn address_of(&self, body: &Body, symbol: &Symbol) -> Result<usize, ElfError> {
        match body {
            Body::System(system) => {
                let found = system.find(&symbol.name, symbol.version.as_deref());
                found.ok_or_else(|| {
                    self.error(ElfErrorKind::NoSymbol {
                        name: symbol.name.clone(),
                        near: Vec::new(),
                    })
                })
            }
            Body::Own(loaded) => {
                let value = size(symbol.value);
                if symbol.definition == Definition::Absolute {
                    return Ok(value);
                }
                let root = loaded.root();
                let address = root.bias.wrapping_add(value);
                let offset = address.checked_sub(root.image().map_or(0, |image| image.address()));
                let access = offset.and_then(|offset| root.image()?.access(offset));
                match (symbol.kind, access) {
                    (SymbolKind::Indirect, Some(Access::Execute)) => Ok(seal::choose(address)),
                    (SymbolKind::Indirect, _) | (_, None) => Err(self.error(ElfErrorKind::Kind {
                        name: symbol.name.clone(),
                        found: "outside of the library",
                        expected: "in it",
                    })),
                    _ => Ok(address),
                }
            }
        }
    }

    /// How many bytes of code to show: as the symbol says, or up to the next one.
    fn code_len(&self, symbol: &Symbol, address: usize, bias: usize, rest: usize) -> usize {
        /// Of code without an end.
        const LEN_MAX: usize = 4096;
        let is_there = bias.wrapping_add(size(symbol.value)) == address;
        if symbol.size > 0 && is_there && symbol.kind != SymbolKind::Indirect {
            let len = size(symbol.size);
            return if rest > 1 { len.min(rest) } else { len };
        }
        let starts = self
            .symbols
            .iter()
            .map(|other| bias.wrapping_add(size(other.value)));
        let next = starts.filter(|&start| start > address).min();
        let len = next.map_or(LEN_MAX, |next| next - address);
        len.min(rest).clamp(1, LEN_MAX)
    }
}

/// What a file offers, by name, beside the symbols themselves.
pub(crate) fn exported(symbols: &[Symbol]) -> (Vec<Export>, Vec<Symbol>) {
    let is_offered = |symbol: &&Symbol| {
        // The versions themselves are symbols too.
        let is_version = symbol.version.as_ref() == Some(&symbol.name);
        symbol.definition != Definition::Undefined
            && !symbol.is_local
            && !symbol.name.is_empty()
            && !is_version
    };
    let export = |symbol: &Symbol| Export {
        name: symbol.name.clone(),
        version: symbol.version.clone(),
        is_default: !symbol.is_hidden,
        kind: symbol.kind,
        size: symbol.size,
    };
    let offered = symbols.iter().filter(is_offered);
    let mut pairs: Vec<(Export, Symbol)> = offered
        .map(|symbol| (export(symbol), symbol.clone()))
        .collect();
    pairs.sort_by_cached_key(|(export, _)| export.key());
    pairs.dedup_by(|(a, _), (b, _)| a.key() == b.key());
    pairs.into_iter().unzip()
}

/// Up to three names that a misspelt one may have meant.
fn near(name: &str, exports: &[Export]) -> Vec<String> {
    let folded = |text: &str| text.trim_start_matches('_').to_ascii_lowercase();
    let wanted = folded(name);
    let looks_like = |export: &&Export| {
        let other = folded(&export.name);
        export.is_default
            && (other == wanted
                || (wanted.len() > 1
                    && other.len().abs_diff(wanted.len()) <= 2
                    && (other.starts_with(&wanted) || wanted.starts_with(&other))))
    };
    let found = exports.iter().filter(looks_like);
    found.map(|export| export.name.clone()).take(3).collect()
}
