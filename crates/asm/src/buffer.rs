//! The growing code: bytes, labels, constants.
//!
//! An instruction is at most 15 bytes and is written as two unaligned words of eight, whatever its
//! length; the next one overwrites the surplus. That needs 16 free bytes, which is one comparison,
//! because the vector is kept filled to its capacity and the position is a 32-bit number of its own
//! (so `position + 16` cannot overflow and the compiler drops the second comparison).
//!
//! A branch to a label behind is short where it reaches. A branch ahead is always near (four bytes):
//! relaxing it would move code that has offsets taken already. Uses of labels ahead are fixups that
//! [`Assembler::finish`] patches. Constants are labels that `finish` binds behind the code, sorted
//! by alignment so that padding is rare.
//!
//! # Invariants
//! `code.len()` is what may be written, `at <= code.len()`, and bytes beyond `at` mean nothing.
//! A mistake emits nothing and is never forgotten: `error` keeps the first one until `clear`.

use std::collections::HashMap;

use crate::error::AsmError;
use crate::operand::{Cond, Label};

/// The assembler: owns the code and appends to it.
///
/// ```
/// use opcodon_asm::{Assembler, inst, Vreg};
///
/// let mut asm = Assembler::new();
/// asm.sse(&inst::ADDSD, Vreg::new(0), Vreg::new(1));
/// asm.ret();
/// assert_eq!(asm.finish()?, [0xf2, 0x0f, 0x58, 0xc1, 0xc3]);
/// # Ok::<(), opcodon_asm::AsmError>(())
/// ```
#[derive(Debug, Default)]
pub struct Assembler {
    code: Vec<u8>,
    at: u32,
    pub(crate) error: Option<AsmError>,
    /// Position per label, or [`UNBOUND`].
    labels: Vec<u32>,
    fixups: Vec<Fixup>,
    constants: HashMap<Box<[u8]>, Label>,
    /// Constants that `finish` has yet to place.
    pending: Vec<(Box<[u8]>, Label)>,
    alignment: u32,
}

/// Four bytes at `at` take the distance from `end` to the label, plus what stands there already.
#[derive(Clone, Copy, Debug)]
struct Fixup {
    at: u32,
    end: u32,
    label: Label,
}

const UNBOUND: u32 = u32::MAX;
const LEN_MAX: usize = i32::MAX as usize;
/// Room for one instruction: two words of eight bytes.
const WINDOW: usize = 16;

impl Assembler {
    /// An empty assembler.
    pub fn new() -> Assembler {
        Assembler::with_capacity(256)
    }

    /// An empty assembler with room for `bytes` bytes of code before the first growth.
    pub fn with_capacity(bytes: usize) -> Assembler {
        let capacity = bytes.min(LEN_MAX - WINDOW) + WINDOW;
        Assembler {
            code: vec![0; capacity],
            ..Assembler::default()
        }
    }

    /// Forgets code, labels, constants and errors; keeps the memory.
    pub fn clear(&mut self) {
        self.at = 0;
        self.error = None;
        self.labels.clear();
        self.fixups.clear();
        self.constants.clear();
        self.pending.clear();
        self.alignment = 0;
    }

    /// Takes back the code from `position` on, which must have been a position before and have no
    /// jumps, calls or constants behind it.
    pub fn rewind(&mut self, position: usize) {
        debug_assert!(
            self.fixups
                .iter()
                .all(|fixup| (fixup.at as usize) < position)
        );
        self.at = self.at.min(u32::try_from(position).unwrap_or(u32::MAX));
    }

    /// Number of bytes so far: the offset of the next instruction.
    #[inline]
    pub fn position(&self) -> usize {
        self.at as usize
    }

    /// The bytes so far; labels ahead are not patched before [`finish`](Assembler::finish).
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.code[..self.position()]
    }

    /// The alignment in bytes that the start of the code needs, so that what was
    /// [aligned](Assembler::align) is aligned in memory, and constants are.
    pub fn alignment(&self) -> usize {
        self.alignment.max(1) as usize
    }

    /// Places the constants, patches the labels and returns the code.
    ///
    /// More code may follow, and another `finish`.
    ///
    /// # Errors
    /// The first mistake made since [`clear`](Assembler::clear), or a label that is bound nowhere.
    pub fn finish(&mut self) -> Result<&[u8], AsmError> {
        self.place_constants();
        let mut fixups = std::mem::take(&mut self.fixups);
        for fixup in fixups.drain(..) {
            self.patch(fixup);
        }
        self.fixups = fixups; // for its memory
        match self.error {
            None => Ok(self.bytes()),
            Some(error) => Err(error),
        }
    }

    /// A new label, to be [bound](Assembler::bind) once.
    #[inline]
    pub fn label(&mut self) -> Label {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "2^32 labels would take 16 GiB"
        )]
        let label = Label(self.labels.len() as u32);
        self.labels.push(UNBOUND);
        label
    }

    /// Binds the label to this position.
    pub fn bind(&mut self, label: Label) {
        let second = self.position();
        match self.labels.get_mut(label.0 as usize) {
            None => self.fail(AsmError::UnknownLabel { label: label.0 }),
            Some(position) if *position == UNBOUND => *position = self.at,
            Some(&mut first) => self.fail(AsmError::LabelBoundTwice {
                label: label.0,
                first: first as usize,
                second,
            }),
        }
    }

    /// The position of a label that is bound.
    pub fn label_position(&self, label: Label) -> Option<usize> {
        match self.labels.get(label.0 as usize) {
            None | Some(&UNBOUND) => None,
            Some(&position) => Some(position as usize),
        }
    }

    /// A constant in the pool behind the code, for [`Mem::rip`](crate::Mem::rip): aligned to its
    /// size (rounded up to a power of two, at most 64), and there once however often it is asked
    /// for.
    pub fn constant(&mut self, bytes: &[u8]) -> Label {
        if let Some(&label) = self.constants.get(bytes) {
            return label;
        }
        let label = self.label();
        if bytes.is_empty() || bytes.len() > 4096 {
            self.fail(AsmError::Constant { len: bytes.len() });
            return label;
        }
        self.constants.insert(bytes.into(), label);
        self.pending.push((bytes.into(), label));
        label
    }

    /// Pads with no-operation instructions to a multiple of `alignment`, a power of two up to 4096.
    ///
    /// The start of the code must be aligned as much: see [`alignment`](Assembler::alignment).
    pub fn align(&mut self, alignment: usize) {
        if !alignment.is_power_of_two() || alignment > 4096 {
            return self.fail(AsmError::Alignment { alignment });
        }
        self.note_alignment(alignment);
        self.nop(self.position().next_multiple_of(alignment) - self.position());
    }

    /// No-operation instructions of `bytes` bytes in all, as few as possible: each up to nine
    /// bytes (Intel's recommended forms).
    pub fn nop(&mut self, bytes: usize) {
        const NOPS: [u128; 10] = [
            0,
            0x90,
            0x90_66,
            0x00_1f_0f,
            0x00_40_1f_0f,
            0x00_00_44_1f_0f,
            0x00_00_44_1f_0f_66,
            0x00_00_00_00_80_1f_0f,
            0x00_00_00_00_00_84_1f_0f,
            0x00_00_00_00_00_84_1f_0f_66,
        ];
        let mut left = bytes;
        while left > 0 && self.error.is_none() {
            let len = left.min(9);
            #[expect(clippy::cast_possible_truncation, reason = "at most nine")]
            self.put_word(NOPS[len], len as u32);
            left -= len;
        }
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()) {
            room.copy_from_slice(bytes);
            self.advance(bytes.len());
        }
    }

    /// `jmp label`
    pub fn jmp(&mut self, label: Label) {
        self.branch(label, Some(0xeb), 0xe9, 1);
    }

    /// `jcc label`: jumps if the condition holds.
    pub fn jcc(&mut self, cond: Cond, label: Label) {
        let cond = cond as u8;
        self.branch(
            label,
            Some(0x70 | cond),
            0x0f | (0x80 | u128::from(cond)) << 8,
            2,
        );
    }

    /// `call label`
    pub fn call(&mut self, label: Label) {
        self.branch(label, None, 0xe8, 1);
    }

    /// `call` of an offset in this code, counted from its start; it may be negative or beyond the
    /// end, where the code will be placed beside other code.
    pub fn call_to(&mut self, offset: isize) {
        self.near_to(0xe8, 1, offset as i64);
    }

    /// `jmp` to an offset in this code: see [`call_to`](Assembler::call_to).
    pub fn jmp_to(&mut self, offset: isize) {
        self.near_to(0xe9, 1, offset as i64);
    }

    /// `jcc` to an offset in this code: see [`call_to`](Assembler::call_to).
    pub fn jcc_to(&mut self, cond: Cond, offset: isize) {
        let opcode = 0x0f | (0x80 | u128::from(cond as u8)) << 8;
        self.near_to(opcode, 2, offset as i64);
    }

    /// A branch: short if the label is behind and reached, else near.
    fn branch(&mut self, label: Label, short: Option<u8>, near: u128, near_len: u32) {
        match self.labels.get(label.0 as usize) {
            None => self.fail(AsmError::UnknownLabel { label: label.0 }),
            Some(&UNBOUND) => {
                let at = self.at + near_len;
                if self.put_word(near, near_len + 4) {
                    self.fixups.push(Fixup {
                        at,
                        end: at + 4,
                        label,
                    });
                }
            }
            Some(&target) => {
                let distance = i64::from(target) - (i64::from(self.at) + 2);
                match (short, i8::try_from(distance)) {
                    (Some(opcode), Ok(distance)) => {
                        let distance = u128::from(distance.cast_unsigned());
                        self.put_word(u128::from(opcode) | distance << 8, 2);
                    }
                    _ => self.near_to(near, near_len, i64::from(target)),
                }
            }
        }
    }

    fn near_to(&mut self, opcode: u128, opcode_len: u32, target: i64) {
        let end = i64::from(self.at + opcode_len + 4);
        match i32::try_from(target.saturating_sub(end)) {
            Ok(distance) => {
                let distance = u128::from(distance.cast_unsigned());
                self.put_word(opcode | distance << (8 * opcode_len), opcode_len + 4);
            }
            Err(_) => self.fail(AsmError::TooFar {
                offset: self.position(),
            }),
        }
    }

    /// Appends the lowest `len` bytes of two words. Whether that succeeded.
    #[inline(always)]
    pub(crate) fn put(&mut self, low: u64, high: u64, len: u32) -> bool {
        let at = self.at as usize;
        if let Some(window) = self.code.get_mut(at..at + WINDOW) {
            window[..8].copy_from_slice(&low.to_le_bytes());
            window[8..].copy_from_slice(&high.to_le_bytes());
            self.at += len;
            true
        } else {
            self.grow_and_put(low, high, len)
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "splits the word")]
    pub(crate) fn put_word(&mut self, word: u128, len: u32) -> bool {
        self.put(word as u64, (word >> 64) as u64, len)
    }

    /// `len` bytes behind the code, unless it would become too long.
    pub(crate) fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        let at = self.position();
        if self.code.len() < at + len {
            if at + len > LEN_MAX {
                self.fail(AsmError::TooLong);
                return None;
            }
            self.code.resize((2 * (at + len)).min(LEN_MAX), 0);
        }
        self.code.get_mut(at..at + len)
    }

    /// Keeps `len` of the bytes in the [`room`](Assembler::room) behind the code.
    pub(crate) fn advance(&mut self, len: usize) {
        let len = len.min(self.code.len() - self.position());
        #[expect(clippy::cast_possible_truncation, reason = "below LEN_MAX")]
        {
            self.at += len as u32;
        }
    }

    #[cold]
    #[inline(never)]
    fn grow_and_put(&mut self, low: u64, high: u64, len: u32) -> bool {
        let needed = self.position() + WINDOW;
        if needed > LEN_MAX {
            self.fail(AsmError::TooLong);
            return false;
        }
        self.code.resize((2 * needed).clamp(256, LEN_MAX), 0);
        self.put(low, high, len)
    }

    /// Bytes `at..at + 4` before `end` are an address relative to `end`.
    #[cold]
    #[inline(never)]
    pub(crate) fn relative(&mut self, at: u32, end: u32, label: u32) {
        let fixup = Fixup {
            at,
            end,
            label: Label(label),
        };
        if (label as usize) < self.labels.len() {
            self.fixups.push(fixup);
        } else {
            self.fail(AsmError::UnknownLabel { label });
        }
    }

    fn patch(&mut self, Fixup { at, end, label }: Fixup) {
        let offset = at as usize;
        let Some(target) = self.label_position(label) else {
            return self.fail(AsmError::UnboundLabel {
                label: label.0,
                offset,
            });
        };
        let Some(field) = self
            .code
            .get_mut(offset..)
            .and_then(<[u8]>::first_chunk_mut)
        else {
            return;
        };
        let addend = i64::from(i32::from_le_bytes(*field));
        match i32::try_from(target as i64 - i64::from(end) + addend) {
            Ok(distance) => *field = distance.to_le_bytes(),
            Err(_) => self.fail(AsmError::TooFar { offset }),
        }
    }

    fn place_constants(&mut self) {
        let align = |bytes: &[u8]| bytes.len().next_power_of_two().min(64);
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_key(|(bytes, _)| std::cmp::Reverse(align(bytes)));
        for (bytes, label) in pending {
            let alignment = align(&bytes);
            self.note_alignment(alignment);
            // Traps, not no-operations: nothing may run into the constants.
            while !self.position().is_multiple_of(alignment) && self.error.is_none() {
                self.put(0xcc, 0, 1);
            }
            self.bind(label);
            self.raw(&bytes);
        }
    }

    fn note_alignment(&mut self, alignment: usize) {
        // At most 4096, checked by the callers.
        self.alignment = self.alignment.max(u32::try_from(alignment).unwrap_or(4096));
    }

    /// Keeps the first error.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, error: AsmError) {
        self.error.get_or_insert(error);
    }

    #[inline]
    pub(crate) fn at(&self) -> u32 {
        self.at
    }
}
