//! The code heap: single functions that live as long as somebody holds them.
//!
//! A page of memory for every function would cost microseconds and 4 KiB each, and the number of
//! mappings of a process is limited. So functions share *chunks*, each cut into blocks of one size
//! class; a freed block is the next one handed out. A chunk that becomes empty is unmapped, except
//! for one a class, so that a function that comes and goes does not map and unmap each time.
//!
//! Blocks are multiples of a cache line: writing one function never touches a line of another,
//! which costs a running processor a flush of its pipeline.
//!
//! Where chunks cannot be written while functions in them run ([`Mapping::Flip`]), and for large
//! functions, each function has pages of its own. After a fork, chunks that both processes see are
//! only emptied, never reused (see [`pages`](crate::pages)).
//!
//! # Invariant
//! A block is in exactly one of three places: handed out, in its chunk's free list, or not yet
//! used. Blocks of the latter two hold nothing but `int3`.

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pages::{Pages, publish};
use crate::watch::Watched;
use crate::{CodeError, Mapping};

/// Block sizes, in bytes: cache lines, then about 25 % apart. A larger function gets own pages.
const CLASSES: [usize; 24] = [
    64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
    3584, 4096, 6144, 8192, 12288, 16384,
];

/// Size of the first chunk of a class. Each further one is twice as large, so that the number of
/// mappings grows slowly.
const CHUNK_MIN: usize = 64 * 1024;

/// Size from which chunks do not grow any more.
const CHUNK_MAX: usize = 4 * 1024 * 1024;

/// Where single functions live.
///
/// ```
/// use opcodon_codemem::CodeHeap;
/// let code = CodeHeap::global().install(b"\xc3")?; // ret
/// assert_eq!(code.bytes(), b"\xc3");
/// # Ok::<(), opcodon_codemem::CodeError>(())
/// ```
#[derive(Clone)]
pub struct CodeHeap {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for CodeHeap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeHeap")
            .field("usage", &self.usage())
            .finish()
    }
}

impl Default for CodeHeap {
    fn default() -> Self {
        Self::new()
    }
}

impl CodeHeap {
    /// A heap of its own. Its memory is freed when the heap and all its code are dropped.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State::default())),
        }
    }

    /// Makes a copy of `code` callable, until the last clone of the result is dropped. The code
    /// must be position independent and starts on a cache line.
    ///
    /// # Errors
    /// [`CodeError::Empty`] for no bytes, [`CodeError::Denied`] or [`CodeError::Map`] if there is
    /// no memory for code.
    pub fn install(&self, code: &[u8]) -> Result<Code, CodeError> {
        if code.is_empty() {
            return Err(CodeError::Empty);
        }
        let class = CLASSES.partition_point(|&size| size < code.len());
        let slot = if class < CLASSES.len() {
            self.lock().take(class, code)?
        } else {
            None
        };
        let home = match slot {
            Some(Taken { slot, address }) => Home::Chunk {
                heap: Arc::clone(&self.state),
                slot,
                address,
            },
            None => {
                let mut pages = Pages::new(code.len())?;
                pages.commit(code.len())?;
                pages.write(0, code);
                pages.make_executable()?;
                Home::Pages(pages)
            }
        };
        let mut block = Block {
            home,
            len: code.len(),
            watched: None,
        };
        publish();
        block.watched = Watched::new("function", block.bytes());
        let block = Arc::new(block);
        Ok(Code { block })
    }

    /// How much there is in the chunks of the heap.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let state = self.lock();
        let chunks = || state.chunks.iter().flatten();
        Usage {
            n_functions: chunks().map(|chunk| chunk.n_live).sum(),
            n_chunks: chunks().count(),
            reserved: chunks().map(|chunk| chunk.pages.capacity()).sum(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The state is valid whenever the lock is free, also after a panic of a thread that held it:
/// every change to it is complete before anything can fail.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a heap holds; functions with own pages are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Functions alive.
    pub n_functions: usize,
    /// Chunks mapped.
    pub n_chunks: usize,
    /// Bytes of code memory reserved by them.
    pub reserved: usize,
}

/// Code that stays callable as long as one clone of this exists.
#[derive(Clone, Debug)]
pub struct Code {
    block: Arc<Block>,
}

#[expect(clippy::len_without_is_empty, reason = "code is never empty")]
impl Code {
    /// Where the code is.
    #[must_use]
    #[inline]
    pub fn address(&self) -> *const u8 {
        self.block.address().as_ptr()
    }

    /// The code, as it is run.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.block.bytes()
    }

    /// Number of bytes, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.block.len
    }

    /// Code that lies in other memory than a heap's, which `owner` keeps mapped. It may be called
    /// as long as `open` is set.
    ///
    /// # Safety
    /// The `len` bytes from `address` on, at least one, are readable and do not change as long as
    /// the owner lives.
    #[must_use]
    pub unsafe fn lent(
        address: NonNull<u8>,
        len: usize,
        owner: Arc<dyn Any + Send + Sync>,
        open: Arc<AtomicBool>,
    ) -> Self {
        let home = Home::Lent {
            address,
            open,
            _owner: owner,
        };
        let block = Arc::new(Block {
            home,
            len,
            watched: None,
        });
        Self { block }
    }

    /// Whether the code may be called: always, unless it is [lent](Self::lent).
    #[must_use]
    #[inline]
    pub fn is_open(&self) -> bool {
        match &self.block.home {
            Home::Lent { open, .. } => open.load(Ordering::Acquire),
            _ => true,
        }
    }

    /// Whether the code is [lent](Self::lent): then its bytes depend on what lies around them.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        matches!(self.block.home, Home::Lent { .. })
    }
}

/// One function, owned by the clones of its `Code`.
#[derive(Debug)]
struct Block {
    home: Home,
    len: usize,
    watched: Option<Watched>,
}

/// Where the bytes of a function are.
enum Home {
    /// In a block of a chunk.
    Chunk {
        heap: Arc<Mutex<State>>,
        slot: Slot,
        address: NonNull<u8>,
    },
    /// In pages of its own, which are unmapped with it.
    Pages(Pages),
    /// In memory of somebody else.
    Lent {
        address: NonNull<u8>,
        open: Arc<AtomicBool>,
        /// Keeps the memory mapped.
        _owner: Arc<dyn Any + Send + Sync>,
    },
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chunk { address, .. } => f.debug_tuple("Chunk").field(address).finish(),
            Self::Pages(pages) => f.debug_tuple("Pages").field(pages).finish(),
            Self::Lent { address, .. } => f.debug_tuple("Lent").field(address).finish(),
        }
    }
}

// SAFETY: the address is owned memory that is only read until the block is dropped.
unsafe impl Send for Home {}
// SAFETY: as above; nothing changes through a shared reference.
unsafe impl Sync for Home {}

impl Block {
    fn address(&self) -> NonNull<u8> {
        match &self.home {
            Home::Chunk { address, .. } | Home::Lent { address, .. } => *address,
            Home::Pages(pages) => pages.address(0),
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the block holds `len` bytes that were written before anybody can have it and are
        // not written again before it is dropped; they are mapped readable. Of lent code its owner
        // promised that.
        unsafe { std::slice::from_raw_parts(self.address().as_ptr(), self.len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // While the code is still there.
        self.watched = None;
        if let Home::Chunk { heap, slot, .. } = &self.home {
            let unmapped = lock(heap).give_back(*slot, self.len);
            // Here, where nobody waits for the lock.
            drop(unmapped);
        }
    }
}

/// A block of a chunk.
#[derive(Clone, Copy, Debug)]
struct Slot {
    chunk: usize,
    block: usize,
}

/// A block that was just filled with code.
struct Taken {
    slot: Slot,
    address: NonNull<u8>,
}

/// All chunks of a heap.
#[derive(Debug, Default)]
pub(crate) struct State {
    chunks: Vec<Option<Chunk>>,
    /// Indices of `chunks` that are `None`.
    vacant: Vec<usize>,
    classes: [Class; CLASSES.len()],
}

/// The chunks with blocks of one size.
#[derive(Debug, Default)]
struct Class {
    /// Chunks that have room; the last one is used next.
    open: Vec<usize>,
    /// Number of chunks, with room or without.
    n_chunks: u32,
    /// The chunk that is kept although it is empty.
    spare: Option<usize>,
}

/// Blocks of one size, cut from the same pages.
#[derive(Debug)]
struct Chunk {
    pages: Pages,
    class: usize,
    /// Place in the class's `open`, if it is there.
    place: Option<usize>,
    /// Blocks that were used and freed.
    free: Vec<usize>,
    /// The blocks from here on were never used.
    fresh: usize,
    n_blocks: usize,
    n_live: usize,
}

impl State {
    /// Writes code into a free block. `None` if chunks cannot be used in this process.
    fn take(&mut self, class: usize, code: &[u8]) -> Result<Option<Taken>, CodeError> {
        let Some(index) = self.chunk_with_room(class)? else {
            return Ok(None);
        };
        let Some(chunk) = self.chunks.get_mut(index).and_then(Option::as_mut) else {
            return Ok(None);
        };
        let block = chunk.free.last().copied().unwrap_or(chunk.fresh);
        let offset = block * CLASSES[class];
        chunk.pages.commit(offset + CLASSES[class])?;
        chunk.pages.write(offset, code);
        if chunk.free.pop().is_none() {
            chunk.fresh += 1;
        }
        chunk.n_live += 1;
        let address = chunk.pages.address(offset);
        if chunk.is_full() {
            self.close(index);
        }
        let spare = &mut self.classes[class].spare;
        if *spare == Some(index) {
            *spare = None;
        }
        Ok(Some(Taken {
            slot: Slot {
                chunk: index,
                block,
            },
            address,
        }))
    }

    /// A chunk of the class with a free block, which may be written. `None` if chunks cannot be
    /// used in this process.
    fn chunk_with_room(&mut self, class: usize) -> Result<Option<usize>, CodeError> {
        while let Some(&index) = self.classes[class].open.last() {
            if self.chunks[index]
                .as_ref()
                .is_some_and(|chunk| chunk.pages.is_private())
            {
                return Ok(Some(index));
            }
            // Another process sees this chunk since a fork: it is only emptied from now on.
            self.close(index);
            if self.classes[class].spare == Some(index) {
                self.classes[class].spare = None;
                self.remove(index);
            }
        }
        let size = CLASSES[class];
        let doublings = self.classes[class]
            .n_chunks
            .min(CHUNK_MAX.ilog2() - CHUNK_MIN.ilog2());
        let pages = Pages::new((CHUNK_MIN << doublings).max(4 * size))?;
        if pages.mapping() == Mapping::Flip {
            return Ok(None);
        }
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.chunks.push(None);
            self.chunks.len() - 1
        });
        let n_blocks = pages.capacity() / size;
        let class_state = &mut self.classes[class];
        self.chunks[index] = Some(Chunk {
            pages,
            class,
            place: Some(class_state.open.len()),
            free: Vec::new(),
            fresh: 0,
            n_blocks,
            n_live: 0,
        });
        class_state.open.push(index);
        class_state.n_chunks += 1;
        Ok(Some(index))
    }

    /// Takes a block back whose first `len` bytes are code. Returns the chunk if it is to be
    /// unmapped.
    fn give_back(&mut self, slot: Slot, len: usize) -> Option<Chunk> {
        let index = slot.chunk;
        let chunk = self.chunks.get_mut(index)?.as_mut()?;
        let class = chunk.class;
        chunk.n_live -= 1;
        let is_empty = chunk.n_live == 0;
        if chunk.pages.is_private() {
            // So that whoever still jumps there stops at once.
            let start = slot.block * CLASSES[class];
            chunk.pages.fill(start, start + len);
            chunk.free.push(slot.block);
            if chunk.place.is_none() {
                let open = &mut self.classes[class].open;
                chunk.place = Some(open.len());
                open.push(index);
            }
            if !is_empty {
                return None;
            }
            // The smaller one of two empty chunks is kept.
            let capacity = chunk.pages.capacity();
            let surplus = match self.classes[class].spare {
                Some(spare) if self.capacity(spare) <= capacity => index,
                other => {
                    self.classes[class].spare = Some(index);
                    other?
                }
            };
            self.remove(surplus)
        } else if is_empty {
            self.remove(index)
        } else {
            None
        }
    }

    fn capacity(&self, index: usize) -> usize {
        self.chunks[index]
            .as_ref()
            .map_or(0, |chunk| chunk.pages.capacity())
    }

    /// Takes a chunk out of those that have room.
    fn close(&mut self, index: usize) {
        let Some(chunk) = self.chunks[index].as_mut() else {
            return;
        };
        let Some(place) = chunk.place.take() else {
            return;
        };
        let open = &mut self.classes[chunk.class].open;
        open.swap_remove(place);
        if let Some(&moved) = open.get(place)
            && let Some(moved) = self.chunks[moved].as_mut()
        {
            moved.place = Some(place);
        }
    }

    /// Forgets a chunk; dropping the result unmaps it.
    fn remove(&mut self, index: usize) -> Option<Chunk> {
        self.close(index);
        let chunk = self.chunks[index].take()?;
        self.vacant.push(index);
        self.classes[chunk.class].n_chunks -= 1;
        Some(chunk)
    }
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.free.is_empty() && self.fresh == self.n_blocks
    }
}

#[cfg(test)]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tests {
    use super::*;

    /// Forks concern all heaps of the process, so these tests run one after the other.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What must hold whenever the lock is free.
    fn check(state: &State) {
        let chunk = |index: usize| state.chunks[index].as_ref().unwrap();
        for (class, kept) in state.classes.iter().enumerate() {
            let of_class = || {
                state
                    .chunks
                    .iter()
                    .flatten()
                    .filter(move |chunk| chunk.class == class)
            };
            assert_eq!(of_class().count(), kept.n_chunks as usize);
            for (place, &index) in kept.open.iter().enumerate() {
                assert_eq!(
                    (chunk(index).class, chunk(index).place),
                    (class, Some(place))
                );
            }
            let n_open = of_class().filter(|chunk| chunk.place.is_some()).count();
            assert_eq!(n_open, kept.open.len());
            let empty = of_class().filter(|chunk| chunk.n_live == 0).count();
            assert_eq!(empty, usize::from(kept.spare.is_some()));
            if let Some(spare) = kept.spare {
                assert_eq!((chunk(spare).class, chunk(spare).n_live), (class, 0));
            }
        }
        for chunk in state.chunks.iter().flatten() {
            assert_eq!(chunk.n_live + chunk.free.len(), chunk.fresh);
            assert!(chunk.fresh <= chunk.n_blocks);
            assert_eq!(chunk.place.is_some(), !chunk.is_full());
            let mut free = chunk.free.clone();
            free.sort_unstable();
            free.dedup();
            assert_eq!(free.len(), chunk.free.len(), "a block was freed twice");
        }
        let n_vacant = state.chunks.iter().filter(|chunk| chunk.is_none()).count();
        assert_eq!(n_vacant, state.vacant.len());
    }

    /// Large blocks fill their chunks quickly, so chunks come and go all the time.
    #[test]
    fn the_books_balance_after_every_step() {
        let _turn = alone();
        arbtest::arbtest(|u| {
            let heap = CodeHeap::new();
            let mut alive = Vec::new();
            for _ in 0..u.int_in_range(0..=300)? {
                if u.ratio(u8::from(alive.len() < 40) + 1, 3)? || alive.is_empty() {
                    let len = *u.choose(&[16_384, 12_288, 64])?;
                    alive.push(heap.install(&[0xc3; 16_384][..len]).unwrap());
                } else {
                    let index = u.choose_index(alive.len())?;
                    alive.swap_remove(index);
                }
                check(&heap.lock());
            }
            Ok(())
        });
    }

    #[test]
    fn of_empty_chunks_the_smallest_is_kept() {
        let _turn = alone();
        let heap = CodeHeap::new();
        let many: Vec<Code> = (0..200)
            .map(|_| heap.install(&[0xc3; 16_384]).unwrap())
            .collect();
        let full = heap.usage();
        assert_eq!(full.n_functions, 200);
        assert!(
            full.n_chunks >= 5 && full.reserved >= 200 * 16_384,
            "{full:?}"
        );
        drop(many);
        let expected = Usage {
            n_functions: 0,
            n_chunks: 1,
            reserved: CHUNK_MIN,
        };
        assert_eq!(heap.usage(), expected);
    }

    /// Chunks that another process sees are emptied and unmapped, and never handed out again.
    #[test]
    fn chunks_from_before_a_fork_are_retired() {
        let _turn = alone();
        let heap = CodeHeap::new();
        let mut old: Vec<Code> = (0..3).map(|_| heap.install(&[0xc3; 64]).unwrap()).collect();
        let addresses: Vec<_> = old.iter().map(Code::address).collect();
        crate::fork::pretend();
        old.truncate(2);
        let new: Vec<Code> = (0..9).map(|_| heap.install(&[0x90; 64]).unwrap()).collect();
        assert!(new.iter().all(|code| !addresses.contains(&code.address())));
        assert!(old.iter().all(|code| code.bytes() == [0xc3; 64]));
        assert_eq!(heap.usage().n_chunks, 2);
        drop(old);
        assert_eq!(heap.usage().n_chunks, 1);
        // A spare chunk is retired too.
        drop(new);
        crate::fork::pretend();
        let newest = heap.install(&[0xc3; 64]).unwrap();
        assert_eq!(heap.usage().n_chunks, 1);
        drop(newest);
    }
}
