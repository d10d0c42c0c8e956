//! The one place of this crate that cannot be checked: the system's loader, and calling into code
//! that was just loaded.
//!
//! Whoever loads a library lets it run: its initialisers run before anything is called, as with
//! `dlopen`. Everything before that, from reading the file to filling in addresses, is checked.
#![allow(
    unsafe_code,
    reason = "to load code and run it is what this crate is for"
)]

mod descriptor;

use std::any::Any;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::AsRawFd as _;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use opcodon_codemem::{Code, Image, sealed_file};

use crate::file::size;
use crate::tls;

pub(crate) use descriptor::{descriptor_argument, descriptor_entry};

/// A library that the system's loader loaded, until this is dropped.
#[derive(Debug)]
pub(crate) struct System {
    handle: NonNull<c_void>,
    /// The file in memory, if it was loaded from one. The system's loader tells libraries apart
    /// by the paths they were loaded from, and the number of the file is in that path.
    _file: Option<OwnedFd>,
}

// SAFETY: handles of the system's loader belong to the process; its functions take a lock.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}

impl System {
    /// Loads a library by name or path, or with `is_loaded` finds it if it is loaded already.
    pub(crate) fn open(name: &str, is_loaded: bool) -> Result<Self, String> {
        let only = if is_loaded { libc::RTLD_NOLOAD } else { 0 };
        let name = CString::new(name).map_err(|_| "the name holds a zero byte".to_owned())?;
        Self::open_path(&name, libc::RTLD_LAZY | libc::RTLD_LOCAL | only, None)
    }

    /// Loads a library from its bytes, through a file in memory.
    pub(crate) fn open_bytes(bytes: &[u8]) -> Result<Self, String> {
        let file = sealed_file(bytes).map_err(|error| error.to_string())?;
        // The process is named too: after a fork the same number would be another file.
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let path = CString::new(path).map_err(|error| error.to_string())?;
        Self::open_path(&path, libc::RTLD_NOW | libc::RTLD_LOCAL, Some(file))
    }

    fn open_path(path: &CStr, flags: c_int, file: Option<OwnedFd>) -> Result<Self, String> {
        // SAFETY: the path is a string that ends with a zero byte. That the library's initialisers
        // run is what the caller asks for.
        let handle = unsafe { libc::dlopen(path.as_ptr(), flags) };
        match NonNull::new(handle) {
            Some(handle) => Ok(Self {
                handle,
                _file: file,
            }),
            None => Err(last_error()),
        }
    }

    /// The address of a symbol of this library or of those it needs.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Option<usize> {
        find_from(self.handle.as_ptr(), name, version)
    }

    /// The number at a symbol of this library, which is eight bytes of aligned data.
    pub(crate) fn word(&self, name: &str) -> Option<u64> {
        let address = self.find(name, None)? as *const u64;
        // SAFETY: the caller knows that the library has such a number there, and nobody writes it.
        Some(unsafe { address.read() })
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // SAFETY: the handle came from `dlopen` and is closed once.
        unsafe { libc::dlclose(self.handle.as_ptr()) };
    }
}

/// The address of a symbol of this process.
pub(crate) fn find(name: &str, version: Option<&str>) -> Option<usize> {
    find_from(libc::RTLD_DEFAULT, name, version)
}

fn find_from(handle: *mut c_void, name: &str, version: Option<&str>) -> Option<usize> {
    let name = CString::new(name).ok()?;
    let address = match version {
        None => {
            // SAFETY: a handle of the loader, and a string that ends with a zero byte.
            unsafe { libc::dlsym(handle, name.as_ptr()) }
        }
        // glibc compares the names of versions with equal hashes, and where a symbol has no version
        // there is the hash 0 and no name.
        Some(version) if object::elf::hash(version.as_bytes()) == 0 => return None,
        Some(version) => {
            let version = CString::new(version).ok()?;
            // SAFETY: as above.
            unsafe { libc::dlvsym(handle, name.as_ptr(), version.as_ptr()) }
        }
    };
    (!address.is_null()).then_some(address as usize)
}

/// What the system's loader says about its last failure.
fn last_error() -> String {
    // SAFETY: takes nothing, and returns null or a string that lives until the next call by this
    // thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "no reason".to_owned();
    }
    // SAFETY: not null, so it is such a string.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

/// The thread pointer, from which thread-local variables of the process are counted.
pub(crate) fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the ABI keeps the thread pointer's own address in the word that `fs` points to.
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags));
    }
    pointer
}

/// How far a thread-local variable is from the thread pointer, if that is the same in all threads;
/// `find` gives its address in the thread that calls it.
pub(crate) fn static_offset(find: &(impl Fn() -> Option<usize> + Sync)) -> Option<u64> {
    let offset = || Some(find()?.wrapping_sub(thread_pointer()) as u64);
    let here = offset()?;
    // A variable elsewhere is in memory that was allocated for this thread, at another distance
    // than in the next one.
    let there = std::thread::scope(|scope| {
        let other = std::thread::Builder::new().spawn_scoped(scope, offset);
        other.ok()?.join().ok()?
    });
    (there == Some(here)).then_some(here)
}

/// What code passes to `__tls_get_addr`.
#[repr(C)]
struct TlsIndex {
    module: u64,
    offset: u64,
}

/// The `__tls_get_addr` of libraries that are loaded here.
unsafe extern "C" fn tls_get_addr(index: *const TlsIndex) -> usize {
    // SAFETY: compiled code passes the address of such a pair, in its own table.
    let module = unsafe { (*index).module };
    // SAFETY: as above.
    let offset = unsafe { (*index).offset };
    // The system's loader ends the process where a block cannot be made, and so does a panic here.
    tls::address(module).wrapping_add(size(offset))
}

/// The address of the `__tls_get_addr` of libraries that are loaded here.
pub(crate) fn tls_getter() -> usize {
    tls_get_addr as *const () as usize
}

/// Has the function at an address choose an implementation for this processor.
pub(crate) fn choose(address: usize) -> usize {
    // SAFETY: a sealed image has code there, which its file says is such a function.
    let chooser: extern "C" fn() -> usize =
        unsafe { std::mem::transmute::<usize, extern "C" fn() -> usize>(address) };
    chooser()
}

type Initialiser = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Calls an initialiser with the arguments and the environment of the process, as the system's
/// loader does.
pub(crate) fn initialise(address: usize) {
    struct Arguments {
        pointers: Vec<usize>,
        _texts: Vec<CString>,
    }
    static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();
    let arguments = ARGUMENTS.get_or_init(|| {
        use std::os::unix::ffi::OsStringExt as _;
        let texts: Vec<CString> = std::env::args_os()
            .filter_map(|text| CString::new(text.into_vec()).ok())
            .collect();
        let pointers = texts.iter().map(|text| text.as_ptr() as usize);
        Arguments {
            pointers: pointers.chain([0]).collect(),
            _texts: texts,
        }
    });
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: a variable of the C library, which is read.
    let environment = unsafe { environ };
    let count = c_int::try_from(arguments.pointers.len() - 1).unwrap_or(c_int::MAX);
    // SAFETY: a sealed image has code there, which its file says is such a function.
    let function = unsafe { std::mem::transmute::<usize, Initialiser>(address) };
    function(count, arguments.pointers.as_ptr().cast(), environment);
}

/// Calls a finaliser.
pub(crate) fn finalise(address: usize) {
    // SAFETY: a sealed image has code there, which its file says is such a function.
    let function = unsafe { std::mem::transmute::<usize, extern "C" fn()>(address) };
    function();
}

/// Has the C library run what was left to it for a file to run at its end.
pub(crate) fn finalise_for(handle: usize) {
    unsafe extern "C" {
        fn __cxa_finalize(handle: *const c_void);
    }
    // SAFETY: the handle is an address in the image whose code asked for it, which is still there.
    unsafe { __cxa_finalize(handle as *const c_void) };
}

/// Call frame information that the unwinder of this process knows, until this is dropped.
#[derive(Debug)]
pub(crate) struct Frames {
    address: usize,
}

unsafe extern "C" {
    fn __register_frame(frames: *const c_void);
    fn __deregister_frame(frames: *const c_void);
}

impl Frames {
    /// Registers a list of frames in an image, which has an end, as the caller has seen.
    pub(crate) fn register(image: &Image, offset: usize) -> Option<Self> {
        crate::shared::frames_len(image.constant_from(offset)?)?;
        let address = image.address() + offset;
        // SAFETY: a list of frames that ends, in memory that nobody writes.
        unsafe { __register_frame(address as *const c_void) };
        Some(Self { address })
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // SAFETY: registered by `register`, and the image is still there: its owner drops the
        // frames first.
        unsafe { __deregister_frame(self.address as *const c_void) };
    }
}

/// Code of a library that can be called as long as it is open.
pub(crate) fn lend(
    address: NonNull<u8>,
    len: usize,
    owner: Arc<dyn Any + Send + Sync>,
    open: Arc<AtomicBool>,
) -> Code {
    // SAFETY: callers pass code inside of a part of an image that cannot be written, or of a
    // library of the system's loader; the owner keeps either.
    unsafe { Code::lent(address, len, owner, open) }
}

/// Where the system's loader put a library: the address from which its symbols count.
pub(crate) fn base(system: &System) -> usize {
    let map = system.handle.as_ptr().cast::<usize>();
    // SAFETY: a handle of glibc points to a `struct link_map`, whose first field this is.
    unsafe { map.read() }
}
