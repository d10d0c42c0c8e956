//! Thread-local variables of libraries that the system's loader does not know.
//!
//! Compiled code asks for the address of such a variable with `__tls_get_addr({module, offset})`.
//! A library that is loaded here gets a function of that name from here, so module numbers mean
//! what this table says: a block of bytes of which every thread makes its copy when it first asks,
//! or variables whose address in this thread the system knows: those of the process, and those that
//! it gave room for ([`Room`](crate::room::Room)).
//!
//! # Invariant
//! A number is never used twice, so a stale number finds nothing rather than something else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// What a module number stands for.
#[derive(Clone, Debug)]
pub(crate) enum Module {
    /// Variables with initial values; the rest up to `len` is zero.
    Block {
        initial: Vec<u8>,
        len: usize,
        align: usize,
    },
    /// Variables that the system made: how their address in this thread is found.
    Elsewhere(Lookup),
}

/// Gives the address of variables in the thread that asks, if they are there.
#[derive(Clone)]
pub(crate) struct Lookup(pub(crate) Arc<dyn Fn() -> Option<usize> + Send + Sync>);

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

#[derive(Debug, Default)]
struct Table {
    modules: HashMap<u64, Module>,
    last: u64,
}

static TABLE: LazyLock<RwLock<Table>> = LazyLock::new(RwLock::default);

/// Where a module's variables are in one thread.
#[derive(Debug)]
struct Place {
    address: usize,
    /// The memory, if it is this thread's copy of a block.
    _memory: Vec<u8>,
}

thread_local! {
    static PLACES: RefCell<HashMap<u64, Place>> = RefCell::default();
}

/// The number of a module, until this is dropped.
#[derive(Debug)]
pub(crate) struct Number(u64);

impl Number {
    /// A number that is nobody's yet.
    pub(crate) fn new() -> Self {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        table.last += 1;
        Self(table.last)
    }

    /// The number, as compiled code has it.
    pub(crate) fn get(&self) -> u64 {
        self.0
    }

    /// Says what the number stands for.
    pub(crate) fn define(&self, module: Module) {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        table.modules.insert(self.0, module);
    }
}

/// Copies of other threads are freed when those end.
impl Drop for Number {
    fn drop(&mut self) {
        let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let gone = table.modules.remove(&self.0);
        drop(table);
        // It may unload something, under the lock of the system's loader.
        drop(gone);
        let _ = PLACES.try_with(|places| places.borrow_mut().remove(&self.0));
    }
}

/// Where a module's variables are in this thread; 0 if there is no such module.
pub(crate) fn address(number: u64) -> usize {
    let found = PLACES.try_with(|places| Some(places.borrow().get(&number)?.address));
    if let Ok(Some(address)) = found {
        return address;
    }
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let Some(module) = table.modules.get(&number).cloned() else {
        return 0;
    };
    drop(table);
    let mut place = Place::new(module);
    let address = place.address;
    let kept = PLACES.try_with(|places| {
        let memory = std::mem::take(&mut place._memory);
        let place = Place {
            address,
            _memory: memory,
        };
        places.borrow_mut().insert(number, place);
    });
    if kept.is_err() {
        // The thread is ending and has freed its copies, but some destructor still asks.
        std::mem::forget(place);
    }
    address
}

impl Place {
    fn new(module: Module) -> Self {
        match module {
            Module::Elsewhere(Lookup(find)) => Self {
                address: find().unwrap_or(0),
                _memory: Vec::new(),
            },
            Module::Block {
                initial,
                len,
                align,
            } => {
                let mut memory = vec![0_u8; len.max(1) + align];
                let start = memory.as_mut_ptr() as usize;
                let skipped = start.next_multiple_of(align) - start;
                memory[skipped..skipped + initial.len()].copy_from_slice(&initial);
                Self {
                    address: start + skipped,
                    _memory: memory,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_its_copy() {
        let number = Number::new();
        number.define(Module::Block {
            initial: vec![1, 2, 3],
            len: 100,
            align: 64,
        });
        let raw = number.get();
        let here = address(raw);
        assert_eq!(here % 64, 0);
        assert_eq!(address(raw), here);
        let there = std::thread::spawn(move || address(raw)).join().unwrap();
        assert_ne!(there, 0);
        assert_ne!(there, here);
        drop(number);
        assert_eq!(address(raw), 0);
    }
}
