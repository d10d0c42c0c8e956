//! What the encoder knows of an instruction, parsed at compile time from the manual's notation.
//!
//! The table in [`inst`](crate::inst) spells a row much as Intel's manual does. Three encodings
//! share one opcode cell and each has a cell of its own:
//!
//! ```text
//! ADDPD  "66.0F 58 /r"  "SSE2 R M/m"  "AVX.128.256.WIG R V M/m"  "AVX512F.128.256.512.W1 Full R{kz} V M/m/b64{er}"
//!        prefix.map     feature       feature, vector lengths,   compressed displacement, operands
//!        opcode /r      operands      W, operands
//! ```
//!
//! Operands stand in Intel's order. `R`, `V`, `M` name the field that holds them: ModRM.reg,
//! VEX.vvvv, ModRM.rm; `I` is an 8-bit immediate, `S` a register in its upper half. After the
//! letter: `k` mask register, `g` general-purpose register, nothing for a vector register; `/m` or
//! memory, `m` only memory, `vsib` memory with a vector of indices; `/b32`, `/b64` or a broadcast
//! element. In braces: `k` takes a write mask, `K` needs one, `z` may zero, `er` embedded rounding,
//! `sae` suppresses exceptions. `Full`, `Half`, … or `N8` is what a displacement of one byte is
//! multiplied by. A length of `LIG`, `L0`, `LZ` is no choice: such a row takes
//! [`Width::X`](crate::Width::X), as does `L1`.
//!
//! The parser turns each cell into a word of up to eight bytes that is the instruction with all
//! register fields empty, and the masks that tell legal operands: emitting is or-ing numbers in.
//! A misspelt row does not compile.

use crate::reg::class;

/// One row of the instruction table: see [`inst`](crate::inst).
#[derive(Debug)]
pub struct Inst {
    name: &'static str,
    pub(crate) sse: Form,
    pub(crate) vex: Form,
    pub(crate) evex: Form,
}

/// The three ways to encode a vector instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Legacy SSE: two operands, the first is also a source.
    Sse,
    /// VEX prefix: AVX, AVX2, FMA, mask registers.
    Vex,
    /// EVEX prefix: AVX-512.
    Evex,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Encoding; 3] = [Encoding::Sse, Encoding::Vex, Encoding::Evex];
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Encoding::Sse => "SSE",
            Encoding::Vex => "VEX",
            Encoding::Evex => "EVEX",
        })
    }
}

/// The CPUID feature that an encoding needs.
///
/// EVEX encodings of 128 and 256 bits need AVX512VL besides, unless they are scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Intel's")]
pub enum Feature {
    Sse,
    Sse2,
    Sse3,
    Ssse3,
    Sse41,
    Sse42,
    Avx,
    Avx2,
    Fma,
    F16c,
    Avx512F,
    Avx512Bw,
    Avx512Cd,
    Avx512Dq,
    Avx512Vpopcntdq,
    Avx512Bitalg,
    Avx512Ifma,
    Avx512Vbmi,
    Avx512Vbmi2,
    Avx512Vnni,
}

/// One encoding of an instruction: the word with empty fields, and what may fill them.
#[derive(Debug)]
pub(crate) struct Form {
    /// EVEX: six bytes, up to and with ModRM. VEX: the same with a gap, see [`Form::vex`].
    /// SSE: see [`Form::sse`].
    pub(crate) template: u64,
    /// Classes of ModRM.reg, VEX.vvvv and ModRM.rm, a byte each, as in [`Reg`](crate::Reg).
    pub(crate) classes: u32,
    /// What else is legal: bits of [`accept`].
    pub(crate) accepts: u32,
    /// Binary logarithm of what disp8 is multiplied by: for widths X, Y, Z, and for a broadcast.
    pub(crate) disp_shift: [u8; 4],
    features: [Option<Feature>; 3],
}

/// What a form accepts, a bit each; an instruction is legal if it wants nothing else.
pub(crate) mod accept {
    /// Three bits, by [`Width`](crate::Width). None: the instruction has no such encoding.
    pub(crate) const WIDTH: u32 = 1;
    pub(crate) const WIDTHS: u32 = 7 * WIDTH;
    /// Three bits, by [`Imm`](super::Imm).
    pub(crate) const IMM: u32 = 1 << 3;
    pub(crate) const IMMS: u32 = 7 * IMM;
    /// ModRM.rm: a register, memory, a broadcast element, memory with a vector of indices.
    pub(crate) const REGISTER: u32 = 1 << 6;
    pub(crate) const MEM: u32 = 1 << 7;
    pub(crate) const BCAST: u32 = 1 << 8;
    pub(crate) const VSIB: u32 = 1 << 9;
    /// Masks other than `k0`, and their absence.
    pub(crate) const MASKED: u32 = 1 << 10;
    pub(crate) const UNMASKED: u32 = 1 << 11;
    /// Zeroing if ModRM.rm is a register, and if it is memory.
    pub(crate) const ZERO_REGISTER: u32 = 1 << 12;
    pub(crate) const ZERO_MEM: u32 = 1 << 13;
    pub(crate) const ZEROS: u32 = ZERO_REGISTER | ZERO_MEM;
    /// Embedded rounding, suppressed exceptions, and three bits for the width they demand.
    pub(crate) const ROUNDING: u32 = 1 << 14;
    pub(crate) const SAE: u32 = 1 << 15;
    pub(crate) const ROUNDING_WIDTH: u32 = 1 << 16;
    pub(crate) const ROUNDINGS: u32 = 31 << 14;
    /// Not wanted by operands: the destination must not be the vector of indices.
    pub(crate) const GATHERS: u32 = 1 << 30;
    /// Wanted by what no instruction accepts.
    pub(crate) const NEVER: u32 = 1 << 31;
}

/// What follows the operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Imm {
    None,
    Byte,
    Register,
}

impl Inst {
    /// A row from its cells; evaluated at compile time.
    pub(crate) const fn parse(
        name: &'static str,
        opcode: &str,
        sse: &str,
        vex: &str,
        evex: &str,
    ) -> Inst {
        let opcode = Opcode::parse(opcode);
        Inst {
            name,
            sse: Form::parse(&opcode, sse, Encoding::Sse),
            vex: Form::parse(&opcode, vex, Encoding::Vex),
            evex: Form::parse(&opcode, evex, Encoding::Evex),
        }
    }

    /// The name of the row: the mnemonic of the oldest encoding, and a suffix where one mnemonic
    /// has several rows.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn form(&self, encoding: Encoding) -> &Form {
        match encoding {
            Encoding::Sse => &self.sse,
            Encoding::Vex => &self.vex,
            Encoding::Evex => &self.evex,
        }
    }

    /// Whether the instruction exists in this encoding.
    pub const fn has(&self, encoding: Encoding) -> bool {
        self.form(encoding).accepts & accept::WIDTHS != 0
    }

    /// The feature that the instruction needs in this encoding and width; `None` if there is no
    /// such instruction.
    pub const fn feature(&self, encoding: Encoding, width: crate::Width) -> Option<Feature> {
        self.form(encoding).features[width as usize]
    }
}

/// The opcode cell: `66.0F38 58 /r`.
struct Opcode {
    /// 0 none, 1 `66`, 2 `F3`, 3 `F2`: as VEX.pp.
    pp: u8,
    /// 1 `0F`, 2 `0F38`, 3 `0F3A`: as VEX.mmmmm.
    map: u8,
    byte: u8,
    /// ModRM.reg of a `/digit` row, else 0.
    digit: u8,
}

impl Opcode {
    const fn parse(cell: &str) -> Opcode {
        let mut text = Text {
            rest: cell.as_bytes(),
        };
        let pp = text.word(b'.');
        let map = text.word(b' ');
        let byte = text.word(b' ');
        let ext = text.rest;
        assert!(byte.len() == 2 && ext.len() == 2 && ext[0] == b'/');
        Opcode {
            pp: match pp {
                b"NP" => 0,
                b"66" => 1,
                b"F3" => 2,
                b"F2" => 3,
                _ => panic!("prefix: NP, 66, F3 or F2"),
            },
            map: match map {
                b"0F" => 1,
                b"0F38" => 2,
                b"0F3A" => 3,
                _ => panic!("map: 0F, 0F38 or 0F3A"),
            },
            byte: hex(byte[0]) << 4 | hex(byte[1]),
            digit: match ext[1] {
                b'r' => 0,
                digit @ b'0'..=b'7' => digit - b'0',
                _ => panic!("/r or /0 to /7"),
            },
        }
    }
}

impl Form {
    const fn parse(opcode: &Opcode, cell: &str, encoding: Encoding) -> Form {
        let none = (class::NONE as u32) << 5;
        let mut form = Form {
            // Nothing is emitted from it, but a legacy form must have a length.
            template: 3 << 56,
            classes: none << 16 | none << 8 | none,
            accepts: 0,
            disp_shift: [0; 4],
            features: [None; 3],
        };
        if matches!(cell.as_bytes(), b"-") {
            return form;
        }
        let mut text = Text {
            rest: cell.as_bytes(),
        };

        // AVX.128.AVX2.256.WIG
        let mut head = Text {
            rest: text.word(b' '),
        };
        let mut current = None;
        let mut rounding_width = crate::Width::Z as u32;
        let mut w = 0;
        let mut l = 0;
        while !head.rest.is_empty() {
            match head.word(b'.') {
                b"128" => form.add_width(0, current),
                b"256" => form.add_width(1, current),
                b"512" => form.add_width(2, current),
                b"LIG" | b"L0" | b"LZ" => {
                    form.add_width(0, current);
                    rounding_width = 0;
                }
                b"L1" => {
                    form.add_width(0, current);
                    l = 1;
                }
                b"W1" => w = 1,
                b"W0" | b"WIG" => {}
                word => current = Some(feature(word)),
            }
        }
        form.template = match encoding {
            Encoding::Sse => {
                form.add_width(0, current);
                Form::sse(opcode, w)
            }
            Encoding::Vex => Form::vex(opcode, w, l),
            Encoding::Evex => Form::evex(opcode, w),
        };

        form.accepts |= accept::UNMASKED | accept::IMM << Imm::None as u32;
        form.accepts |= accept::ROUNDING_WIDTH << rounding_width;
        let mut first = true;
        while !text.rest.is_empty() {
            let word = text.word(b' ');
            match word[0] {
                b'F' | b'H' | b'Q' | b'E' | b'D' | b'N' => form.compression(word),
                _ => {
                    form.operand(word, first);
                    first = false;
                }
            }
        }
        form
    }

    const fn add_width(&mut self, width: u8, feature: Option<Feature>) {
        self.accepts |= accept::WIDTH << width;
        self.features[width as usize] = feature;
    }

    /// REX with W, `0F`, perhaps `38` or `3A`, opcode, ModRM; the mandatory prefix in byte 6, the
    /// number of bytes in byte 7.
    const fn sse(opcode: &Opcode, w: u64) -> u64 {
        let modrm = (opcode.digit as u64) << 3;
        let (escape, escape_len) = match opcode.map {
            1 => (0x0f, 1),
            2 => (0x380f, 2),
            _ => (0x3a0f, 2),
        };
        let prefix = match opcode.pp {
            0 => 0,
            1 => 0x66,
            2 => 0xf3,
            _ => 0xf2,
        };
        let tail = (opcode.byte as u64 | modrm << 8) << (8 * escape_len);
        0x40 | w << 3 | (escape | tail) << 8 | prefix << 48 | (3 + escape_len) << 56
    }

    /// `C4 [~R ~X ~B mmmmm] [W ~vvvv L pp] (gap) opcode ModRM`; inverted fields are ones when
    /// empty. With the gap, every field is where EVEX has it.
    const fn vex(opcode: &Opcode, w: u64, l: u64) -> u64 {
        let p0 = 0b1110_0000 | opcode.map as u64;
        let p1 = w << 7 | 0b0111_1000 | l << 2 | opcode.pp as u64;
        let modrm = (opcode.digit as u64) << 3;
        0xc4 | p0 << 8 | p1 << 16 | (opcode.byte as u64) << 32 | modrm << 40
    }

    /// `62 [~R ~X ~B ~R' 0 mmm] [W ~vvvv 1 pp] [z L'L b ~V' aaa] opcode ModRM`.
    const fn evex(opcode: &Opcode, w: u64) -> u64 {
        let p0 = 0b1111_0000 | opcode.map as u64;
        let p1 = w << 7 | 0b0111_1100 | opcode.pp as u64;
        let p2 = 0b0000_1000;
        let modrm = (opcode.digit as u64) << 3;
        0x62 | p0 << 8 | p1 << 16 | p2 << 24 | (opcode.byte as u64) << 32 | modrm << 40
    }

    const fn compression(&mut self, word: &[u8]) {
        let [x, y, z] = match word {
            b"Full" => [4, 5, 6],
            b"Half" => [3, 4, 5],
            b"Quarter" => [2, 3, 4],
            b"Eighth" => [1, 2, 3],
            b"Dup" => [3, 5, 6],
            b"N1" => [0; 3],
            b"N2" => [1; 3],
            b"N4" => [2; 3],
            b"N8" => [3; 3],
            b"N16" => [4; 3],
            b"N32" => [5; 3],
            _ => panic!("unknown displacement compression"),
        };
        self.disp_shift = [x, y, z, self.disp_shift[3]];
    }

    const fn operand(&mut self, word: &[u8], first: bool) {
        let field = word[0];
        let mut text = Text { rest: word };
        let mut head = Text {
            rest: text.word(b'{'),
        };
        while !text.rest.is_empty() {
            let attributes = text.word(b'}');
            if !text.rest.is_empty() {
                assert!(text.rest[0] == b'{', "stray character after a brace");
                text.word(b'{');
            }
            match attributes {
                b"er" => self.accepts |= accept::ROUNDING,
                b"sae" => self.accepts |= accept::SAE,
                b"k" => self.accepts |= accept::MASKED,
                b"kz" if field == b'M' => self.accepts |= accept::MASKED | accept::ZERO_REGISTER,
                b"kz" => self.accepts |= accept::MASKED | accept::ZEROS,
                b"K" => self.accepts = self.accepts & !accept::UNMASKED | accept::MASKED,
                _ => panic!("attributes: er, sae, k, kz, K"),
            }
        }

        let kind = head.word(b'/');
        let (_, kind) = kind.split_at(1);
        let class = match kind {
            b"" | b"m" | b"vsib" => class::VECTOR,
            b"g" => class::GENERAL,
            b"k" => class::MASK,
            _ => panic!("unknown operand class"),
        };
        match field {
            b'R' => self.class(0, class),
            b'V' => self.class(1, class),
            b'I' => self.trailer(Imm::Byte),
            b'S' => self.trailer(Imm::Register),
            b'M' => {
                self.accepts |= match kind {
                    b"m" => accept::MEM,
                    b"vsib" if first => accept::VSIB,
                    b"vsib" => accept::VSIB | accept::GATHERS,
                    _ => {
                        self.class(2, class);
                        accept::REGISTER
                    }
                };
                while !head.rest.is_empty() {
                    match head.word(b'/') {
                        b"m" => self.accepts |= accept::MEM,
                        b"b32" => {
                            self.accepts |= accept::BCAST;
                            self.disp_shift[3] = 2;
                        }
                        b"b64" => {
                            self.accepts |= accept::BCAST;
                            self.disp_shift[3] = 3;
                        }
                        _ => panic!("alternatives: m, b32, b64"),
                    }
                }
            }
            _ => panic!("fields: R, V, M, I, S"),
        }
    }

    const fn class(&mut self, field: u32, class: u8) {
        let at = 8 * field;
        self.classes = self.classes & !(0xff << at) | (class as u32) << (5 + at);
    }

    const fn trailer(&mut self, imm: Imm) {
        self.accepts = self.accepts & !accept::IMMS | accept::IMM << imm as u32;
    }
}

const fn feature(word: &[u8]) -> Feature {
    match word {
        b"SSE" => Feature::Sse,
        b"SSE2" => Feature::Sse2,
        b"SSE3" => Feature::Sse3,
        b"SSSE3" => Feature::Ssse3,
        b"SSE41" => Feature::Sse41,
        b"SSE42" => Feature::Sse42,
        b"AVX" => Feature::Avx,
        b"AVX2" => Feature::Avx2,
        b"FMA" => Feature::Fma,
        b"F16C" => Feature::F16c,
        b"AVX512F" => Feature::Avx512F,
        b"AVX512BW" => Feature::Avx512Bw,
        b"AVX512CD" => Feature::Avx512Cd,
        b"AVX512DQ" => Feature::Avx512Dq,
        b"AVX512VPOPCNTDQ" => Feature::Avx512Vpopcntdq,
        b"AVX512BITALG" => Feature::Avx512Bitalg,
        b"AVX512IFMA" => Feature::Avx512Ifma,
        b"AVX512VBMI" => Feature::Avx512Vbmi,
        b"AVX512VBMI2" => Feature::Avx512Vbmi2,
        b"AVX512VNNI" => Feature::Avx512Vnni,
        _ => panic!("unknown feature"),
    }
}

/// A cursor over a cell.
struct Text<'a> {
    rest: &'a [u8],
}

impl<'a> Text<'a> {
    /// Everything up to `stop` or the end; the cursor moves behind it.
    const fn word(&mut self, stop: u8) -> &'a [u8] {
        // Local copies: the compile-time interpreter pays for every call and every indirection.
        let (rest, len) = (self.rest, self.rest.len());
        let mut end = 0;
        while end < len && rest[end] != stop {
            end += 1;
        }
        let (word, rest) = rest.split_at(end);
        self.rest = if rest.is_empty() {
            rest
        } else {
            rest.split_at(1).1
        };
        word
    }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!("hexadecimal digit"),
    }
}
