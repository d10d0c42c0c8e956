//! Memory that a guarded call and its caller both see: the report, the desk for errands, and copies
//! of what the caller lends.
//!
//! Each piece of lent memory ends right before a page that the code cannot access, so that reading
//! or writing past its end is a fault at once. What overlaps is one piece, so that two addresses of
//! the same memory stay that.
//!
//! ```text
//! report | no access | desk | no access | piece | no access | piece | no access …
//! ```

use std::ptr::NonNull;

use crate::fault::{GuardError, Loan};
use crate::pages::PAGE;

/// The mapping.
pub(crate) struct Shared {
    start: NonNull<u8>,
    len: usize,
    /// Bytes of pages of the report and of the desk.
    heads: [usize; 2],
    pieces: Vec<Piece>,
}

/// Where lent memory is in the mapping.
struct Piece {
    /// The caller's memory.
    address: usize,
    len: usize,
    /// Where its pages begin.
    offset: usize,
    /// Bytes of pages.
    pages: usize,
    /// Where the memory itself begins.
    place: usize,
    is_const: bool,
}

impl Shared {
    /// Memory for a report and a desk of so many bytes, all zero, and copies of the loans.
    ///
    /// # Safety
    /// The memory of the loans can be read.
    pub(crate) unsafe fn new(loans: &[Loan], head_lens: [usize; 2]) -> Result<Self, GuardError> {
        let heads = head_lens.map(|len| len.max(1).next_multiple_of(PAGE));
        let mut end = heads[0] + PAGE + heads[1] + PAGE;
        let mut pieces = merged(loans);
        for piece in &mut pieces {
            piece.pages = piece.len.max(1).next_multiple_of(PAGE);
            piece.offset = end;
            // As far back as its alignment to vectors allows: what follows is a page of no access.
            piece.place = end + ((piece.pages - piece.len) & !15);
            end += piece.pages + PAGE;
        }
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: without a fixed address `mmap` takes only addresses that nobody uses.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), end, protection, flags, -1, 0) };
        let start = NonNull::new(start.cast::<u8>()).filter(|_| start != libc::MAP_FAILED);
        let start = start.ok_or_else(|| GuardError::refused("no shared memory"))?;
        let shared = Self {
            start,
            len: end,
            heads,
            pieces,
        };
        for piece in &shared.pieces {
            let (from, to) = (piece.address as *const u8, shared.at(piece.place));
            if piece.len > 0 {
                // SAFETY: the caller's promise; the piece has room for it, and is new memory.
                unsafe { from.copy_to_nonoverlapping(to, piece.len) };
            }
        }
        Ok(shared)
    }

    fn at(&self, offset: usize) -> *mut u8 {
        self.start.as_ptr().wrapping_add(offset)
    }

    /// Where the report is.
    pub(crate) fn report(&self) -> NonNull<u8> {
        self.start
    }

    /// Where the desk is.
    pub(crate) fn desk(&self) -> NonNull<u8> {
        // SAFETY: the mapping goes on behind the report and a page.
        unsafe { self.start.add(self.heads[0] + PAGE) }
    }

    /// The address of the copy, if an address of the caller's is in lent memory; else itself.
    pub(crate) fn moved(&self, address: usize) -> usize {
        let piece = self.pieces.iter().find(|piece| {
            let offset = address.wrapping_sub(piece.address);
            offset < piece.len || offset == 0
        });
        piece.map_or(address, |piece| {
            self.at(piece.place) as usize + (address - piece.address)
        })
    }

    /// Whether an address is in a copy, or at its end.
    pub(crate) fn holds(&self, address: usize) -> bool {
        let start = |piece: &Piece| self.at(piece.place) as usize;
        let mut pieces = self.pieces.iter();
        pieces.any(|piece| (start(piece)..=start(piece) + piece.len).contains(&address))
    }

    /// Takes from this process, a fork, the access that the code is not to have.
    pub(crate) fn protect(&self) {
        let protect = |offset, len, protection| {
            // SAFETY: the pages are those of this mapping, of which nothing but the code reads.
            unsafe { libc::mprotect(self.at(offset).cast(), len, protection) };
        };
        let own = self.start.as_ptr() as usize..self.start.as_ptr() as usize + self.len;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        for (start, end) in maps.lines().filter_map(shared_range) {
            if !own.contains(&start) {
                let start = start as *mut libc::c_void;
                // SAFETY: the range was mapped a moment ago, and this process has one thread.
                unsafe { libc::mprotect(start, end - start as usize, libc::PROT_READ) };
            }
        }
        protect(self.heads[0], PAGE, libc::PROT_NONE);
        protect(self.heads[0] + PAGE + self.heads[1], PAGE, libc::PROT_NONE);
        for piece in &self.pieces {
            if piece.is_const {
                protect(piece.offset, piece.pages, libc::PROT_READ);
            }
            protect(piece.offset + piece.pages, PAGE, libc::PROT_NONE);
        }
    }

    /// Copies what was written to the caller's memory.
    ///
    /// # Safety
    /// The memory of the loans that are not constant can be written, and the code runs no more.
    pub(crate) unsafe fn give_back(&self, loans: &[Loan]) {
        for loan in loans.iter().filter(|loan| !loan.is_const && loan.len > 0) {
            let from = self.moved(loan.address) as *const u8;
            // SAFETY: the caller's promise; the piece has as many bytes from there on.
            unsafe { from.copy_to_nonoverlapping(loan.address as *mut u8, loan.len) };
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's, and nobody has addresses in it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// The loans, those that overlap as one.
fn merged(loans: &[Loan]) -> Vec<Piece> {
    let mut loans = loans.to_vec();
    loans.sort_by_key(|loan| loan.address);
    let mut pieces: Vec<Piece> = Vec::with_capacity(loans.len());
    for loan in loans {
        match pieces.last_mut() {
            Some(last) if loan.address < last.address + last.len => {
                last.len = last.len.max(loan.address + loan.len - last.address);
                last.is_const &= loan.is_const;
            }
            _ => pieces.push(Piece {
                address: loan.address,
                len: loan.len,
                offset: 0,
                pages: 0,
                place: 0,
                is_const: loan.is_const,
            }),
        }
    }
    pieces
}

/// The range of a line of `/proc/self/maps`, if it is writable and shared with other processes.
fn shared_range(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split(' ');
    let (start, end) = words.next()?.split_once('-')?;
    let access = words.next()?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    (access.starts_with("rw") && access.ends_with('s')).then_some((address(start)?, address(end)?))
}
