//! Stands in for the system's loader on processors and operating systems for which nothing is
//! loaded here. There is no image of code memory either, so most of this is never called.

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use opcodon_codemem::{Code, Image};

/// A library that the system's loader loaded, of which there is none.
#[derive(Debug)]
pub(crate) enum System {}

impl System {
    pub(crate) fn open(_name: &str, _is_loaded: bool) -> Result<Self, String> {
        Err(REASON.to_owned())
    }

    pub(crate) fn open_bytes(_bytes: &[u8]) -> Result<Self, String> {
        Err(REASON.to_owned())
    }

    pub(crate) fn find(&self, _name: &str, _version: Option<&str>) -> Option<usize> {
        match *self {}
    }

    pub(crate) fn word(&self, _name: &str) -> Option<u64> {
        match *self {}
    }
}

const REASON: &str = "libraries are loaded on x86-64 processors under Linux only";

pub(crate) fn find(_name: &str, _version: Option<&str>) -> Option<usize> {
    None
}

pub(crate) fn static_offset(_find: &(impl Fn() -> Option<usize> + Sync)) -> Option<u64> {
    None
}

pub(crate) fn tls_getter() -> usize {
    0
}

pub(crate) fn choose(_address: usize) -> usize {
    0
}

pub(crate) fn initialise(_address: usize) {}

pub(crate) fn finalise(_address: usize) {}

pub(crate) fn finalise_for(_handle: usize) {}

/// Call frame information, of which there is none.
#[derive(Debug)]
pub(crate) enum Frames {}

impl Frames {
    pub(crate) fn register(_image: &Image, _offset: usize) -> Option<Self> {
        None
    }
}

pub(crate) fn lend(
    _address: NonNull<u8>,
    _len: usize,
    _owner: Arc<dyn Any + Send + Sync>,
    _open: Arc<AtomicBool>,
) -> Code {
    unreachable!("there is no image whose code could be lent")
}

pub(crate) fn base(system: &System) -> usize {
    match *system {}
}

pub(crate) fn thread_pointer() -> usize {
    0
}

pub(crate) fn descriptor_entry() -> Option<u64> {
    None
}

pub(crate) fn descriptor_argument(_module: u64, _offset: u64) -> Option<u64> {
    None
}
