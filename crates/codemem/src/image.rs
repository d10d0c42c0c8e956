//! Images: memory laid out as a file wants it, with code, constants and data at fixed distances.
//!
//! A shared library is not a heap of functions: its code finds its data by distance, so all of it
//! lies in one range of addresses, whose parts have different rights. An image is written first,
//! as plain memory at its final address, by a [`Draft`]; nothing in it can be executed. Then it is
//! sealed: the bytes that are code move into a file in memory whose contents nobody can change any
//! more, which is mapped in their place, and the other parts get the rights they ask for. Where
//! files in memory are refused, the protection of the pages changes instead.
//!
//! ```text
//! guard | constants (r) | code (rx) | constants (r) | data (rw), some of it read-only later | guard
//! ```
//!
//! # Invariants
//! * No byte is executable while it is writable, and none becomes writable again.
//! * Code cannot be changed by any process: not through this mapping, not by one made later.
//!
//! Sources: `memfd_create(2)`; `fcntl(2)` on seals; System V ABI, chapter 5, "Program Loading".

use std::ops::Range;
use std::ptr::NonNull;

use crate::CodeError;
use crate::pages::{self, PAGE, Reservation};
use crate::watch::wants_breakpoints;

/// What may be done with a part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
    /// Reading and executing.
    Execute,
}

/// A part of an image: a range of offsets and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Offsets from the start of the image; both ends are multiples of the page size.
    pub range: Range<usize>,
    /// What may be done.
    pub access: Access,
}

/// Where an image may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At any address.
    Anywhere,
    /// Below 2 GiB, for code that has addresses in 32 bits.
    Low,
}

/// An image that is being written. None of it can be executed.
///
/// ```
/// use opcodon_codemem::{Access, Draft, Part, Place};
/// let mut draft = Draft::new(4096, Place::Anywhere)?;
/// draft.bytes_mut()[..6].copy_from_slice(b"\xb8\x2a\x00\x00\x00\xc3"); // mov eax, 42; ret
/// let image = draft.seal(&[Part { range: 0..4096, access: Access::Execute }])?;
/// assert_eq!(image.constant(1..2), Some(&[42][..]));
/// # Ok::<(), opcodon_codemem::CodeError>(())
/// ```
#[derive(Debug)]
pub struct Draft {
    memory: Memory,
}

/// An image that can be executed.
#[derive(Debug)]
pub struct Image {
    memory: Memory,
    parts: Vec<Part>,
}

/// A range of pages between guard pages.
#[derive(Debug)]
struct Memory {
    /// Unmaps everything when dropped.
    _reservation: Reservation,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the pages are owned memory; nothing is bound to the thread that mapped them.
unsafe impl Send for Memory {}
// SAFETY: through a shared reference only parts are read that nobody writes.
unsafe impl Sync for Memory {}

impl Draft {
    /// Memory for `len` bytes, rounded up to pages, all zero.
    ///
    /// # Errors
    /// [`CodeError::Map`] if there is no such memory.
    pub fn new(len: usize, place: Place) -> Result<Self, CodeError> {
        let failed = |source| CodeError::Map { len, source };
        let too_large = || failed(std::io::Error::from_raw_os_error(libc::ENOMEM));
        let rounded = len
            .max(1)
            .checked_next_multiple_of(PAGE)
            .ok_or_else(too_large)?;
        let total = rounded
            .checked_add(2 * PAGE)
            .filter(|&total| isize::try_from(total).is_ok())
            .ok_or_else(too_large)?;
        let reservation = match place {
            Place::Anywhere => Reservation::new(total),
            Place::Low => Reservation::low(total),
        }
        .map_err(failed)?;
        let start = reservation.at(PAGE);
        pages::protect(start, rounded, libc::PROT_READ | libc::PROT_WRITE).map_err(failed)?;
        Ok(Self {
            memory: Memory {
                _reservation: reservation,
                start,
                len: rounded,
            },
        })
    }

    /// Where the image lies, now and when it is sealed.
    #[must_use]
    pub fn address(&self) -> usize {
        self.memory.start.as_ptr() as usize
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes from the start are mapped, readable and, being anonymous memory,
        // initialised; they are written through `&mut self` only.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr(), self.memory.len) }
    }

    /// All bytes, to be written.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; and the memory is writable and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start.as_ptr(), self.memory.len) }
    }

    /// Gives the parts their rights. What is in no part cannot be accessed at all any more.
    ///
    /// # Errors
    /// [`CodeError::Part`] if parts overlap, are not in order or do not consist of whole pages;
    /// [`CodeError::Denied`] if there is no executable memory.
    pub fn seal(self, parts: &[Part]) -> Result<Image, CodeError> {
        let mut end = 0;
        let mut gaps = Vec::new();
        for Part { range, .. } in parts {
            let whole = range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE);
            if !whole || range.start < end || range.end < range.start || range.end > self.memory.len
            {
                return Err(CodeError::Part {
                    start: range.start,
                    end: range.end,
                    len: self.memory.len,
                });
            }
            gaps.push(end..range.start);
            end = range.end;
        }
        gaps.push(end..self.memory.len);
        for gap in gaps {
            self.memory.protect(&gap, libc::PROT_NONE)?;
        }
        for Part { range, access } in parts {
            match access {
                Access::Write => {}
                Access::Read => self.memory.protect(range, libc::PROT_READ)?,
                Access::Execute => self.seal_code(range)?,
            }
        }
        pages::publish();
        Ok(Image {
            memory: self.memory,
            parts: parts.to_vec(),
        })
    }

    /// Puts a sealed file with the same bytes in place of a range. A debugger could not write
    /// breakpoints there; where one wants to, the rights of the range change instead.
    fn seal_code(&self, range: &Range<usize>) -> Result<(), CodeError> {
        if range.is_empty() {
            return Ok(());
        }
        let start = self.memory.at(range.start);
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        if wants_breakpoints() && pages::protect(start, range.len(), executable).is_ok() {
            return Ok(());
        }
        pages::sealed_file(&self.bytes()[range.clone()])
            .and_then(|file| pages::map_view(&file, start, range.len(), executable))
            .or_else(|memfd| {
                pages::protect(start, range.len(), executable)
                    .map_err(|mprotect| CodeError::Denied { memfd, mprotect })
            })
    }
}

impl Image {
    /// Where the image lies.
    #[must_use]
    pub fn address(&self) -> usize {
        self.memory.start.as_ptr() as usize
    }

    /// Number of bytes, guard pages not counted.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an image has at least a page")]
    pub fn len(&self) -> usize {
        self.memory.len
    }

    /// What may be done with the byte at an offset; `None` if nothing.
    #[must_use]
    pub fn access(&self, offset: usize) -> Option<Access> {
        self.part(offset).map(|part| part.access)
    }

    /// The bytes from an offset to the end of its part, if nobody can write them.
    #[must_use]
    pub fn constant_from(&self, offset: usize) -> Option<&[u8]> {
        let part = self.part(offset)?;
        self.constant(offset..part.range.end)
    }

    /// Bytes of one part, if nobody can write them.
    #[must_use]
    pub fn constant(&self, range: Range<usize>) -> Option<&[u8]> {
        let part = self.part(range.start)?;
        if part.access == Access::Write || range.end > part.range.end || range.end < range.start {
            return None;
        }
        let start = self.memory.at(range.start);
        // SAFETY: the range lies in a part that is mapped readable and not writable, and whose
        // rights never change.
        Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), range.len()) })
    }

    /// Writes eight bytes into a writable part.
    ///
    /// # Errors
    /// [`CodeError::Offset`] if the bytes do not lie in one writable part.
    pub fn write(&mut self, offset: usize, word: u64) -> Result<(), CodeError> {
        let fits = |part: &&Part| {
            part.access == Access::Write && part.range.end - offset >= size_of::<u64>()
        };
        if self.part(offset).filter(fits).is_none() {
            return Err(CodeError::Offset {
                offset,
                len: self.memory.len,
            });
        }
        let target = self.memory.at(offset).cast::<u64>();
        // SAFETY: the eight bytes are mapped writable, as was just checked, and no reference to
        // writable parts is ever given out.
        unsafe { target.write_unaligned(word) };
        Ok(())
    }

    /// Makes whole pages of a writable part read-only, for good.
    ///
    /// # Errors
    /// [`CodeError::Part`] if these are not whole pages of one writable part,
    /// [`CodeError::Protect`] if the operating system refuses.
    pub fn freeze(&mut self, range: Range<usize>) -> Result<(), CodeError> {
        let whole = range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE);
        let index = self.parts.iter().position(|part| {
            part.access == Access::Write
                && part.range.start <= range.start
                && range.end <= part.range.end
        });
        let Some(index) = index.filter(|_| whole && range.start < range.end) else {
            return Err(CodeError::Part {
                start: range.start,
                end: range.end,
                len: self.memory.len,
            });
        };
        self.memory.protect(&range, libc::PROT_READ)?;
        let old = self.parts[index].range.clone();
        let split = [
            (old.start..range.start, Access::Write),
            (range.clone(), Access::Read),
            (range.end..old.end, Access::Write),
        ];
        let split = split.into_iter().filter(|(range, _)| !range.is_empty());
        self.parts.splice(
            index..=index,
            split.map(|(range, access)| Part { range, access }),
        );
        Ok(())
    }

    fn part(&self, offset: usize) -> Option<&Part> {
        self.parts.iter().find(|part| part.range.contains(&offset))
    }
}

impl Memory {
    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len, "outside of the image");
        // SAFETY: `offset` is at most `len`: inside the memory or at its end.
        unsafe { self.start.add(offset) }
    }

    fn protect(&self, range: &Range<usize>, protection: libc::c_int) -> Result<(), CodeError> {
        if range.is_empty() {
            return Ok(());
        }
        let len = range.len();
        pages::protect(self.at(range.start), len, protection)
            .map_err(|source| CodeError::Protect { len, source })
    }
}

#[cfg(test)]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tests {
    use super::*;

    fn part(range: Range<usize>, access: Access) -> Part {
        Part { range, access }
    }

    /// Rights of the mapping that holds an address, as the operating system tells them.
    fn rights(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let holds = |line: &&str| {
            let (start, rest) = line.split_once('-').unwrap();
            let end = rest.split(' ').next().unwrap();
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            (number(start)..number(end)).contains(&address)
        };
        let line = maps.lines().find(holds).unwrap();
        line.split(' ').nth(1).unwrap()[..3].to_owned()
    }

    #[test]
    fn parts_have_the_rights_they_ask_for() {
        for place in [Place::Anywhere, Place::Low] {
            let mut draft = Draft::new(5 * PAGE, place).unwrap();
            // mov eax, 42; ret
            draft.bytes_mut()[PAGE..PAGE + 6].copy_from_slice(b"\xb8\x2a\x00\x00\x00\xc3");
            let address = draft.address();
            assert_eq!(rights(address + PAGE), "rw-");
            assert!(place == Place::Anywhere || address + 5 * PAGE <= 1 << 31);
            let parts = [
                part(0..PAGE, Access::Read),
                part(PAGE..2 * PAGE, Access::Execute),
                part(3 * PAGE..5 * PAGE, Access::Write),
            ];
            let mut image = draft.seal(&parts).unwrap();
            assert_eq!(image.address(), address);
            let all = |image: &Image| (0..5).map(|k| rights(image.address() + k * PAGE)).collect();
            let found: Vec<String> = all(&image);
            assert_eq!(found, ["r--", "r-x", "---", "rw-", "rw-"]);
            // SAFETY: the code is a function of this type.
            let answer: extern "C" fn() -> i32 =
                unsafe { std::mem::transmute(image.address() + PAGE) };
            assert_eq!(answer(), 42);
            assert_eq!(image.constant(PAGE + 1..PAGE + 2), Some(&[42][..]));
            image.write(3 * PAGE + 4, 7).unwrap();
            image.freeze(3 * PAGE..4 * PAGE).unwrap();
            let found: Vec<String> = all(&image);
            assert_eq!(found, ["r--", "r-x", "---", "r--", "rw-"]);
            assert_eq!(image.constant(3 * PAGE + 4..3 * PAGE + 5), Some(&[7][..]));
            for offset in [
                0,
                PAGE,
                2 * PAGE,
                3 * PAGE,
                5 * PAGE - 4,
                5 * PAGE,
                usize::MAX,
            ] {
                assert!(image.write(offset, 0).is_err(), "{offset}");
            }
            assert!(image.constant(4 * PAGE..4 * PAGE + 1).is_none());
            assert!(image.freeze(PAGE..2 * PAGE).is_err());
        }
    }

    #[test]
    fn code_can_never_be_written_again() {
        let draft = Draft::new(PAGE, Place::Anywhere).unwrap();
        let image = draft.seal(&[part(0..PAGE, Access::Execute)]).unwrap();
        if crate::probe().unwrap() == crate::Mapping::Flip {
            return;
        }
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let refused = pages::protect(image.memory.start, PAGE, writable);
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EACCES));
    }

    #[test]
    fn parts_that_cannot_be_are_refused() {
        let wrong = [
            vec![part(0..100, Access::Read)],
            vec![part(0..3 * PAGE, Access::Read)],
            vec![part(0..PAGE, Access::Read), part(0..PAGE, Access::Write)],
            vec![
                part(PAGE..2 * PAGE, Access::Read),
                part(0..PAGE, Access::Read),
            ],
        ];
        for parts in wrong {
            let draft = Draft::new(2 * PAGE, Place::Anywhere).unwrap();
            let refused = draft.seal(&parts);
            assert!(matches!(refused, Err(CodeError::Part { .. })), "{parts:?}");
        }
        assert!(matches!(
            Draft::new(usize::MAX - 5, Place::Anywhere),
            Err(CodeError::Map { .. })
        ));
    }
}
