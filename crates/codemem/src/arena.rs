//! Arenas: many pieces of code that live and die together.
//!
//! A generation of programs is compiled, run and forgotten as a whole. Giving each its own memory
//! would cost microseconds a program; here appending is a copy, and the whole batch becomes
//! callable in one step. [`Arena`] can be written and not run, [`SealedArena`] can be run and not
//! written; `seal` and `reopen` turn one into the other and keep the memory.
//!
//! # Invariant
//! Every byte of committed memory that is not code that was appended and kept is `int3` when the
//! arena is sealed.

use std::marker::PhantomData;

use crate::kernel::Kernel;
use crate::pages::{PAGE, Pages, publish};
use crate::watch::{Watched, is_observed};
use crate::{CodeError, Mapping};

/// Code memory that can be written.
///
/// ```
/// use opcodon_codemem::Arena;
/// let mut arena = Arena::with_capacity(1 << 20)?;
/// let first = arena.append(b"\xf2\x0f\x58\xc1\xc3", 16)?; // addsd xmm0, xmm1; ret
/// let second = arena.append(b"\xf2\x0f\x59\xc1\xc3", 16)?; // mulsd xmm0, xmm1; ret
/// assert_eq!((first, second), (0, 16));
/// let sealed = arena.seal()?;
/// let entry = sealed.entry(second)?;
/// assert_eq!(entry.address().addr() % 16, 0);
/// let arena = sealed.reopen()?; // `entry` cannot be used from here on
/// # Ok::<(), opcodon_codemem::CodeError>(())
/// ```
#[derive(Debug)]
pub struct Arena {
    pages: Pages,
    len: usize,
    /// Bytes from `len` to here may hold code that was truncated.
    stale_end: usize,
    /// Where each piece of code starts, if somebody observes.
    starts: Vec<usize>,
}

impl Arena {
    /// An empty arena for up to `capacity` bytes, rounded up to pages. Address space is reserved
    /// now, memory is taken as code is appended, so a generous capacity costs nothing.
    ///
    /// # Errors
    /// [`CodeError::Denied`] if this process may not have executable memory, [`CodeError::Map`] if
    /// there is no memory.
    pub fn with_capacity(capacity: usize) -> Result<Self, CodeError> {
        Pages::new(capacity).map(Self::new)
    }

    /// An empty arena with the given mapping, where [`with_capacity`](Self::with_capacity) takes
    /// the best that is allowed.
    ///
    /// # Errors
    /// As for [`with_capacity`](Self::with_capacity).
    pub fn with_mapping(capacity: usize, mapping: Mapping) -> Result<Self, CodeError> {
        Pages::with_mapping(capacity, mapping).map(Self::new)
    }

    fn new(pages: Pages) -> Self {
        Self {
            pages,
            len: 0,
            stale_end: 0,
            starts: Vec::new(),
        }
    }

    /// How the memory is mapped.
    #[must_use]
    pub fn mapping(&self) -> Mapping {
        self.pages.mapping()
    }

    /// Bytes appended, with the padding between them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes for which there is room altogether.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pages.capacity()
    }

    /// The code appended so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.pages.bytes(0, self.len)
    }

    /// Appends code at the next multiple of `align` and says at which offset that is. The gap
    /// before it is `int3`.
    ///
    /// # Errors
    /// [`CodeError::Align`] if `align` is not a power of two up to a page, [`CodeError::Full`] if
    /// there is no room; the arena is then as before.
    pub fn append(&mut self, code: &[u8], align: usize) -> Result<usize, CodeError> {
        if !align.is_power_of_two() || align > PAGE {
            return Err(CodeError::Align { align });
        }
        let capacity = self.capacity();
        let start = self.len.next_multiple_of(align);
        let end = start.saturating_add(code.len());
        if end > capacity {
            return Err(CodeError::Full {
                capacity,
                needed: end,
            });
        }
        self.own()?;
        self.pages.commit(end)?;
        let gap_end = start.min(self.stale_end);
        if self.len < gap_end {
            self.pages.fill(self.len, gap_end);
        }
        self.pages.write(start, code);
        if is_observed() {
            self.starts.push(start);
        }
        self.len = end;
        self.stale_end = self.stale_end.max(end);
        Ok(start)
    }

    /// Forgets all code from offset `len` on. Does nothing if there is less.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes the code callable: publishes all that was appended, at once.
    ///
    /// # Errors
    /// [`CodeError::Protect`] if the operating system refuses, which it only can if the mapping is
    /// [`Mapping::Flip`]; the arena is lost.
    pub fn seal(mut self) -> Result<SealedArena, CodeError> {
        if self.len < self.stale_end {
            self.own()?;
            // Moving to memory of our own leaves nothing stale behind.
            if self.len < self.stale_end {
                self.pages.fill(self.len, self.stale_end);
            }
            self.stale_end = self.len;
        }
        self.pages.make_executable()?;
        publish();
        let mut starts = self.starts;
        starts.retain(|&start| start < self.len);
        let ends = starts.iter().skip(1).copied().chain([self.len]);
        let watched = starts.iter().zip(ends).filter_map(|(&start, end)| {
            Watched::new("kernel", self.pages.bytes(start, end - start))
        });
        let watched = watched.collect();
        Ok(SealedArena {
            watched,
            starts,
            pages: self.pages,
            len: self.len,
        })
    }

    /// Moves to new pages if a process that was forked off shares these.
    fn own(&mut self) -> Result<(), CodeError> {
        if self.pages.is_private() {
            return Ok(());
        }
        let mut pages = Pages::with_mapping(self.capacity(), self.mapping())?;
        pages.commit(self.len)?;
        pages.write(0, self.bytes());
        self.pages = pages;
        self.stale_end = self.len;
        Ok(())
    }
}

/// Code memory that can be run.
#[derive(Debug)]
pub struct SealedArena {
    /// Reported gone before the pages are.
    watched: Vec<Watched>,
    starts: Vec<usize>,
    pages: Pages,
    len: usize,
}

impl SealedArena {
    /// How the memory is mapped.
    #[must_use]
    pub fn mapping(&self) -> Mapping {
        self.pages.mapping()
    }

    /// Bytes of code, with the padding between them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no code.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The code, as it is run.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.pages.bytes(0, self.len)
    }

    /// The code at an offset that [`Arena::append`] returned.
    ///
    /// # Errors
    /// [`CodeError::Offset`] if the offset is not inside the code.
    #[inline]
    pub fn entry(&self, offset: usize) -> Result<Entry<'_>, CodeError> {
        if offset >= self.len {
            return Err(CodeError::Offset {
                offset,
                len: self.len,
            });
        }
        Ok(Entry {
            address: self.pages.address(offset).as_ptr(),
            arena: PhantomData,
        })
    }

    /// Makes the arena writable again, with its code and at the same addresses.
    ///
    /// # Errors
    /// [`CodeError::Protect`] if the operating system refuses; the arena is lost.
    pub fn reopen(mut self) -> Result<Arena, CodeError> {
        self.watched.clear();
        self.pages.make_writable()?;
        Ok(Arena {
            pages: self.pages,
            len: self.len,
            stale_end: self.len,
            starts: self.starts,
        })
    }
}

/// The address of code in an arena that stays sealed while the entry is held.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    address: *const u8,
    arena: PhantomData<&'a SealedArena>,
}

impl Entry<'_> {
    /// Where the code is.
    #[must_use]
    #[inline]
    pub fn address(self) -> *const u8 {
        self.address
    }

    /// The code as a kernel.
    ///
    /// # Safety
    /// The bytes at the entry are a kernel that keeps the [kernel ABI](crate::kernel). The pointer
    /// outlives the entry: it must not be called when the arena has been reopened or dropped.
    #[must_use]
    #[inline]
    pub unsafe fn kernel(self) -> Kernel {
        // SAFETY: the address is not null, as it lies in the pages; that a kernel starts there is
        // the caller's promise.
        unsafe { std::mem::transmute::<*const u8, Kernel>(self.address) }
    }
}
