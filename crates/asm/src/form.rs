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
    /// VEX: five bytes, EVEX: six bytes, up to and with ModRM. SSE: see [`Form::sse`].
    pub(crate) template: u64,
    /// Bits of [`Evex`](crate::Evex) that are legal with a register operand, and with memory.
    pub(crate) context_reg: u32,
    pub(crate) context_mem: u32,
    /// Binary logarithm of what disp8 is multiplied by: for widths X, Y, Z, and for a broadcast.
    pub(crate) disp_shift: [u8; 4],
    /// Bit per [`Width`](crate::Width). Zero: the instruction has no such encoding.
    pub(crate) widths: u8,
    /// Class of ModRM.reg and VEX.vvvv, at its place in [`Reg`](crate::Reg).
    pub(crate) reg: u8,
    pub(crate) vvvv: u8,
    /// Bit per register class that ModRM.rm may have; [`Form::MEM`], [`Form::BCAST`], [`Form::VSIB`].
    pub(crate) rm: u8,
    pub(crate) imm: Imm,
    /// The width that embedded rounding demands.
    pub(crate) rounding_width: u8,
    pub(crate) needs_mask: bool,
    /// Loads through a vector of indices, which must not be the destination.
    pub(crate) gathers: bool,
    features: [Option<Feature>; 3],
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
        self.form(encoding).widths != 0
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
            pp: if is(pp, "NP") {
                0
            } else if is(pp, "66") {
                1
            } else if is(pp, "F3") {
                2
            } else if is(pp, "F2") {
                3
            } else {
                panic!("prefix: NP, 66, F3 or F2")
            },
            map: if is(map, "0F") {
                1
            } else if is(map, "0F38") {
                2
            } else if is(map, "0F3A") {
                3
            } else {
                panic!("map: 0F, 0F38 or 0F3A")
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
    pub(crate) const REGISTERS: u8 = 0xf;
    pub(crate) const MEM: u8 = 1 << 4;
    pub(crate) const BCAST: u8 = 1 << 5;
    pub(crate) const VSIB: u8 = 1 << 6;

    const fn parse(opcode: &Opcode, cell: &str, encoding: Encoding) -> Form {
        let none = class::NONE << 5;
        let mut form = Form {
            template: 0,
            context_reg: 0,
            context_mem: 0,
            disp_shift: [0; 4],
            widths: 0,
            reg: none,
            vvvv: none,
            rm: 0,
            imm: Imm::None,
            rounding_width: crate::Width::Z as u8,
            needs_mask: false,
            gathers: false,
            features: [None; 3],
        };
        if is(cell.as_bytes(), "-") {
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
        let mut w = 0;
        let mut l = 0;
        while !head.rest.is_empty() {
            let word = head.word(b'.');
            if is(word, "128") {
                form.add_width(0, current);
            } else if is(word, "256") {
                form.add_width(1, current);
            } else if is(word, "512") {
                form.add_width(2, current);
            } else if is(word, "LIG") || is(word, "L0") || is(word, "LZ") {
                form.add_width(0, current);
                form.rounding_width = 0;
            } else if is(word, "L1") {
                form.add_width(0, current);
                l = 1;
            } else if is(word, "W1") {
                w = 1;
            } else if !(is(word, "W0") || is(word, "WIG")) {
                current = Some(feature(word));
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
        self.widths |= 1 << width;
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

    /// `C4 [~R ~X ~B mmmmm] [W ~vvvv L pp] opcode ModRM`; inverted fields are ones when empty.
    const fn vex(opcode: &Opcode, w: u64, l: u64) -> u64 {
        let p0 = 0b1110_0000 | opcode.map as u64;
        let p1 = w << 7 | 0b0111_1000 | l << 2 | opcode.pp as u64;
        let modrm = (opcode.digit as u64) << 3;
        0xc4 | p0 << 8 | p1 << 16 | (opcode.byte as u64) << 24 | modrm << 32
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
        let [x, y, z] = if is(word, "Full") {
            [4, 5, 6]
        } else if is(word, "Half") {
            [3, 4, 5]
        } else if is(word, "Quarter") {
            [2, 3, 4]
        } else if is(word, "Eighth") {
            [1, 2, 3]
        } else if is(word, "Dup") {
            [3, 5, 6]
        } else if is(word, "N1") {
            [0; 3]
        } else if is(word, "N2") {
            [1; 3]
        } else if is(word, "N4") {
            [2; 3]
        } else if is(word, "N8") {
            [3; 3]
        } else if is(word, "N16") {
            [4; 3]
        } else if is(word, "N32") {
            [5; 3]
        } else {
            panic!("unknown displacement compression")
        };
        self.disp_shift = [x, y, z, self.disp_shift[3]];
    }

    const fn operand(&mut self, word: &[u8], first: bool) {
        use crate::Evex;

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
            if is(attributes, "er") {
                self.context_reg |= Evex::ROUNDING | Evex::B | Evex::LL;
            } else if is(attributes, "sae") {
                self.context_reg |= Evex::SAE | Evex::B;
            } else {
                let mut i = 0;
                while i < attributes.len() {
                    assert!(first, "the mask belongs to the first operand");
                    match attributes[i] {
                        b'k' => {}
                        b'K' => self.needs_mask = true,
                        b'z' => {
                            self.context_reg |= Evex::ZERO;
                            if field != b'M' {
                                self.context_mem |= Evex::ZERO;
                            }
                        }
                        _ => panic!("unknown attribute"),
                    }
                    self.context_reg |= Evex::MASK;
                    self.context_mem |= Evex::MASK;
                    i += 1;
                }
            }
        }

        let kind = head.word(b'/');
        let (_, kind) = kind.split_at(1);
        let class = if is(kind, "") || is(kind, "vsib") || is(kind, "m") {
            class::VECTOR
        } else if is(kind, "g") {
            class::GENERAL
        } else if is(kind, "k") {
            class::MASK
        } else {
            panic!("unknown operand class")
        };
        match field {
            b'R' => self.reg = class << 5,
            b'V' => self.vvvv = class << 5,
            b'I' => self.imm = Imm::Byte,
            b'S' => self.imm = Imm::Register,
            b'M' => {
                self.gathers = is(kind, "vsib") && !first;
                self.rm |= if is(kind, "m") {
                    Form::MEM
                } else if is(kind, "vsib") {
                    Form::MEM | Form::VSIB
                } else {
                    1 << class
                };
                while !head.rest.is_empty() {
                    let alternative = head.word(b'/');
                    if is(alternative, "m") {
                        self.rm |= Form::MEM;
                    } else if is(alternative, "b32") {
                        self.rm |= Form::BCAST;
                        self.disp_shift[3] = 2;
                    } else if is(alternative, "b64") {
                        self.rm |= Form::BCAST;
                        self.disp_shift[3] = 3;
                    } else {
                        panic!("alternatives: m, b32, b64");
                    }
                }
            }
            _ => panic!("fields: R, V, M, I, S"),
        }
    }
}

const fn feature(word: &[u8]) -> Feature {
    const NAMES: [(&str, Feature); 20] = [
        ("SSE", Feature::Sse),
        ("SSE2", Feature::Sse2),
        ("SSE3", Feature::Sse3),
        ("SSSE3", Feature::Ssse3),
        ("SSE41", Feature::Sse41),
        ("SSE42", Feature::Sse42),
        ("AVX", Feature::Avx),
        ("AVX2", Feature::Avx2),
        ("FMA", Feature::Fma),
        ("F16C", Feature::F16c),
        ("AVX512F", Feature::Avx512F),
        ("AVX512BW", Feature::Avx512Bw),
        ("AVX512CD", Feature::Avx512Cd),
        ("AVX512DQ", Feature::Avx512Dq),
        ("AVX512VPOPCNTDQ", Feature::Avx512Vpopcntdq),
        ("AVX512BITALG", Feature::Avx512Bitalg),
        ("AVX512IFMA", Feature::Avx512Ifma),
        ("AVX512VBMI", Feature::Avx512Vbmi),
        ("AVX512VBMI2", Feature::Avx512Vbmi2),
        ("AVX512VNNI", Feature::Avx512Vnni),
    ];
    let mut i = 0;
    while i < NAMES.len() {
        if is(word, NAMES[i].0) {
            return NAMES[i].1;
        }
        i += 1;
    }
    panic!("unknown feature")
}

/// A cursor over a cell.
struct Text<'a> {
    rest: &'a [u8],
}

impl<'a> Text<'a> {
    /// Everything up to `stop` or the end; the cursor moves behind it.
    const fn word(&mut self, stop: u8) -> &'a [u8] {
        let mut end = 0;
        while end < self.rest.len() && self.rest[end] != stop {
            end += 1;
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = if rest.is_empty() {
            rest
        } else {
            rest.split_at(1).1
        };
        word
    }
}

const fn is(word: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    if word.len() != text.len() {
        return false;
    }
    let mut i = 0;
    while i < word.len() {
        if word[i] != text[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!("hexadecimal digit"),
    }
}
