//! In-memory loader of shared libraries and linker of objects: parse, plan, relocate, seal.
//!
//! A shared library is normally loaded by the system's loader, from a file that may be executed.
//! Here it is bytes: from a file without that right, from a zip archive, from a database. This
//! crate reads them, lays them out in memory of [`opcodon_codemem`], fills in all addresses and
//! calls the initialisers; relocatable objects (`gcc -c`) are linked in memory in the same way.
//!
//! | room | what it is about |
//! |---|---|
//! | `file` | the header: is the file ours at all? |
//! | `shared`, `versions`, `symbol` | what a `.so` says: segments, symbols, relocations |
//! | `relocatable` | what a `.o` says: sections, symbols, relocations, groups |
//! | `layout`, `link`, `fill` | from objects to one image |
//! | `find` | from a name to a file |
//! | `load`, `relocate` | from files to images whose addresses are filled in |
//! | `run` | from images to a library whose initialisers have run |
//! | `scope` | where undefined names are looked up |
//! | `tls`, `room` | thread-local variables of what is loaded here |
//! | [`Library`] | what a caller has in hand |
//! | `seal` | the system's loader, and calls into what was loaded |
//!
//! # Invariants
//! * Reading executes nothing and writes nothing: any bytes are an error or an object.
//! * Nothing of a library runs before all of its addresses, and those of what is loaded with it,
//!   are filled in.
//! * What only the system's loader can do is refused with a reason, or left to it and said so.

mod archive;
mod error;
mod file;
mod fill;
mod find;
mod inspect;
mod layout;
mod library;
mod link;
mod load;
mod object_file;
mod relocatable;
mod relocate;
mod room;
mod run;
mod scope;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "seal_unsupported.rs"
)]
mod seal;
mod shared;
mod symbol;
mod tls;
mod versions;

pub use error::{ElfError, ElfErrorKind, Refusal};
pub use inspect::{Description, find, inspect, rehearse};
pub use library::{Dependencies, Library, Loader, Options};
pub use link::link;
pub use object_file::Object;
pub use symbol::{Export, SymbolKind};
