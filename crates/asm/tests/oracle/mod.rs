//! What was asked for, what was emitted, and what a foreign decoder makes of it.

#![allow(clippy::unwrap_used, reason = "this is part of a test")]

use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, EncodingKind, Instruction, OpCodeInfo,
    OpCodeOperandKind, OpKind, Register, RoundingControl,
};
use opcodon_asm::{AsmError, Assembler, Encoding, Evex, Inst, Mem, Reg, Rm, Rounding, Vreg, Width};

/// Asserts that ours is theirs; `$context` prints the request and the decoded instruction.
macro_rules! same {
    ($context:expr, $ours:expr, $theirs:expr, $what:literal) => {
        assert_eq!($ours, $theirs, "{}: {}", $what, $context())
    };
}

/// Where the code is said to be.
pub(crate) const ADDRESS: u64 = 0x1000;

/// What follows the operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trailer {
    None,
    Imm(u8),
    Register(u8),
}

/// Mask, zeroing and rounding, beside the [`Evex`] made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Context {
    pub(crate) mask: u8,
    pub(crate) zero: bool,
    pub(crate) sae: bool,
    pub(crate) rounding: Option<Rounding>,
}

impl Context {
    pub(crate) fn evex(self) -> Evex {
        let mut evex = Evex::mask(opcodon_asm::Mask::from_number(self.mask).unwrap());
        if self.zero {
            evex = evex.zeroing();
        }
        if self.sae {
            evex = evex.sae();
        }
        if let Some(rounding) = self.rounding {
            evex = evex.rounding(rounding);
        }
        evex
    }
}

/// A memory operand, kept in parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Address {
    pub(crate) base: Base,
    /// Register and scale.
    pub(crate) index: Option<(Index, opcodon_asm::Scale)>,
    pub(crate) disp: i32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Base {
    None,
    Register(opcodon_asm::Gpr),
    /// A label at this offset from the start of the code.
    Label(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Index {
    General(opcodon_asm::Gpr),
    Vector(u8),
}

/// The operand that may be memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operand {
    Reg(Reg),
    Mem(Address),
    Bcast(Address),
}

/// One call of the assembler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) inst: &'static Inst,
    pub(crate) encoding: Encoding,
    pub(crate) width: Width,
    pub(crate) context: Context,
    pub(crate) reg: Reg,
    pub(crate) v: Reg,
    pub(crate) rm: Operand,
    pub(crate) trailer: Trailer,
}

impl Request {
    /// The bytes, or why not.
    pub(crate) fn emit(&self, asm: &mut Assembler) -> Result<Vec<u8>, AsmError> {
        asm.clear();
        let &Request {
            inst,
            encoding,
            width,
            context,
            reg,
            v,
            trailer,
            ..
        } = self;
        let context = context.evex();
        let (rm, label) = match self.rm {
            Operand::Reg(reg) => (Rm::Reg(reg), None),
            Operand::Mem(address) => {
                let (mem, label) = address.mem(asm);
                (Rm::Mem(mem), label)
            }
            Operand::Bcast(address) => {
                let (mem, label) = address.mem(asm);
                (mem.bcast(), label)
            }
        };
        match (encoding, trailer) {
            (Encoding::Sse, Trailer::None) => asm.sse(inst, reg, rm),
            (Encoding::Sse, Trailer::Imm(imm)) => asm.sse_i(inst, reg, rm, imm),
            (Encoding::Vex, Trailer::None) => asm.vex(inst, width, reg, v, rm),
            (Encoding::Vex, Trailer::Imm(imm)) => asm.vex_i(inst, width, reg, v, rm, imm),
            (Encoding::Vex, Trailer::Register(n)) => {
                asm.vex4(inst, width, reg, v, rm, Vreg::new(n));
            }
            (Encoding::Evex, Trailer::None) => asm.evex(inst, width, context, reg, v, rm),
            (Encoding::Evex, Trailer::Imm(imm)) => {
                asm.evex_i(inst, width, context, reg, v, rm, imm)
            }
            (_, Trailer::Register(_)) => unreachable!("only VEX has four registers"),
        }
        let len = asm.position();
        if let Some((label, at)) = label {
            asm.raw(&vec![0xcc; at.saturating_sub(len)]);
            asm.bind(label);
        }
        asm.finish().map(|bytes| bytes[..len].to_vec())
    }

    /// Emits, and if that is accepted, compares what the decoder says with every part of the
    /// request. The decoded instruction, or why it was refused.
    pub(crate) fn check(&self, asm: &mut Assembler) -> Result<Instruction, AsmError> {
        let bytes = self.emit(asm)?;
        let instruction = decode(&bytes);
        let code = instruction.code();
        let info = code.op_code();
        let context = || format!("{self:?}\n{bytes:02x?}\n{}", show(&instruction, info));
        same!(context, Code::INVALID == code, false, "valid");
        same!(context, bytes.len(), instruction.len(), "length");
        let kind = match self.encoding {
            Encoding::Sse => EncodingKind::Legacy,
            Encoding::Vex => EncodingKind::VEX,
            Encoding::Evex => EncodingKind::EVEX,
        };
        same!(context, kind, info.encoding(), "encoding");
        let mnemonic = format!("{:?}", instruction.mnemonic()).to_uppercase();
        let name = base_name(self.inst.name());
        let named = mnemonic == name || mnemonic.strip_prefix('V') == Some(name);
        same!(context, named, true, "mnemonic");
        let has_vectors = instruction.op_kinds().enumerate().any(|(i, kind)| {
            kind == OpKind::Register
                && instruction
                    .op_register(u32::try_from(i).unwrap())
                    .is_vector_register()
        });
        if has_vectors && !info.is_lig() {
            same!(context, self.width as u32, info.l(), "vector length");
        }

        // Every operand of the decoder is in the field where it was put, and no field is idle.
        let mut fields = 0;
        for i in 0..info.op_count() {
            let register = || instruction.op_register(i);
            let kind = info.op_kind(i);
            match field(kind) {
                Field::Reg => {
                    fields += 1;
                    same!(context, self.reg, reg_of(register()), "ModRM.reg");
                }
                Field::Vvvv => {
                    fields += 2;
                    same!(context, self.v, reg_of(register()), "vvvv");
                }
                Field::Rm => {
                    fields += 4;
                    if instruction.op_kind(i) == OpKind::Register {
                        same!(
                            context,
                            self.rm,
                            Operand::Reg(reg_of(register())),
                            "ModRM.rm"
                        );
                    } else {
                        self.check_address(&instruction, &context);
                    }
                }
                Field::Imm => {
                    fields += 8;
                    same!(
                        context,
                        self.trailer,
                        Trailer::Imm(instruction.immediate8()),
                        "immediate"
                    );
                }
                Field::Is4 => {
                    fields += 8;
                    let number = u8::try_from(register().number()).unwrap();
                    same!(
                        context,
                        self.trailer,
                        Trailer::Register(number),
                        "fourth register"
                    );
                }
            }
        }
        let used = u8::from(self.reg != opcodon_asm::NONE)
            + 2 * u8::from(self.v != opcodon_asm::NONE)
            + 4
            + 8 * u8::from(self.trailer != Trailer::None);
        same!(context, used, fields, "fields");

        let mask = match instruction.op_mask() {
            Register::None => 0,
            mask => mask.number(),
        };
        same!(context, usize::from(self.context.mask), mask, "mask");
        same!(
            context,
            self.context.zero,
            instruction.zeroing_masking(),
            "zeroing"
        );
        let is_bcast = matches!(self.rm, Operand::Bcast(_));
        same!(context, is_bcast, instruction.is_broadcast(), "broadcast");
        let rounding = match self.context.rounding {
            None => RoundingControl::None,
            Some(Rounding::Nearest) => RoundingControl::RoundToNearest,
            Some(Rounding::Down) => RoundingControl::RoundDown,
            Some(Rounding::Up) => RoundingControl::RoundUp,
            Some(Rounding::Zero) => RoundingControl::RoundTowardZero,
        };
        same!(
            context,
            rounding,
            instruction.rounding_control(),
            "rounding"
        );
        let sae = self.context.sae || self.context.rounding.is_some();
        // The decoder counts embedded rounding as rounding only.
        let their_sae = instruction.suppress_all_exceptions()
            || instruction.rounding_control() != RoundingControl::None;
        same!(context, sae, their_sae, "suppressed exceptions");

        same!(context, bytes, reencode(&instruction), "shortest encoding");
        Ok(instruction)
    }

    fn check_address(&self, instruction: &Instruction, context: &dyn Fn() -> String) {
        let (Operand::Mem(address) | Operand::Bcast(address)) = self.rm else {
            panic!("decoded as memory: {}", context());
        };
        let disp = i64::from(address.disp);
        match address.base {
            Base::Label(at) => {
                same!(context, Register::RIP, instruction.memory_base(), "base");
                let at = at.max(instruction.len());
                let target = ADDRESS.wrapping_add(at as u64).wrapping_add_signed(disp);
                same!(
                    context,
                    target,
                    instruction.ip_rel_memory_address(),
                    "address"
                );
            }
            Base::None => same!(context, Register::None, instruction.memory_base(), "base"),
            Base::Register(base) => {
                same!(
                    context,
                    usize::from(base.number()),
                    instruction.memory_base().number(),
                    "base"
                );
                same!(context, true, instruction.memory_base().is_gpr64(), "base");
            }
        }
        if !matches!(address.base, Base::Label(_)) {
            let theirs = instruction.memory_displacement64().cast_signed();
            same!(context, disp, theirs, "displacement");
        }
        match address.index {
            None => same!(context, Register::None, instruction.memory_index(), "index"),
            Some((index, scale)) => {
                let (number, is_vector) = match index {
                    Index::General(index) => (index.number(), false),
                    Index::Vector(index) => (index, true),
                };
                let theirs = instruction.memory_index();
                same!(context, usize::from(number), theirs.number(), "index");
                same!(context, is_vector, theirs.is_vector_register(), "index");
                same!(context, !is_vector, theirs.is_gpr64(), "index");
                same!(
                    context,
                    1 << scale as u32,
                    instruction.memory_index_scale(),
                    "scale"
                );
            }
        }
    }
}

impl Address {
    fn mem(self, asm: &mut Assembler) -> (Mem, Option<(opcodon_asm::Label, usize)>) {
        let (mem, label) = match self.base {
            Base::None => (Mem::absolute(0), None),
            Base::Register(base) => (Mem::base(base), None),
            Base::Label(at) => {
                let label = asm.label();
                (Mem::rip(label), Some((label, at)))
            }
        };
        let mem = mem.disp(self.disp);
        let mem = match self.index {
            None => mem,
            Some((Index::General(index), scale)) => mem.index(index, scale),
            Some((Index::Vector(index), scale)) => mem.vector_index(Vreg::new(index), scale),
        };
        (mem, label)
    }
}

/// Where an operand is encoded.
pub(crate) enum Field {
    Reg,
    Vvvv,
    Rm,
    Imm,
    Is4,
}

pub(crate) fn field(kind: OpCodeOperandKind) -> Field {
    let name = format!("{kind:?}");
    if name.ends_with("_reg") {
        Field::Reg
    } else if name.ends_with("_vvvv") {
        Field::Vvvv
    } else if name == "imm8" {
        Field::Imm
    } else if name.ends_with("_is4") {
        Field::Is4
    } else if name.ends_with("_rm") || name.ends_with("_or_mem") || name.starts_with("mem") {
        Field::Rm
    } else {
        panic!("a kind of operand that the table has no notation for: {name}")
    }
}

fn reg_of(register: Register) -> Reg {
    let number = u8::try_from(register.number()).unwrap();
    if register.is_vector_register() {
        Vreg::new(number).into()
    } else if register.is_gpr32() || register.is_gpr64() {
        opcodon_asm::Gpr::from_number(number).unwrap().into()
    } else if register.is_k() {
        opcodon_asm::Mask::from_number(number).unwrap().into()
    } else {
        panic!("{register:?}")
    }
}

/// The row's name without the suffix that tells rows of one mnemonic apart.
pub(crate) fn base_name(name: &str) -> &str {
    name.split('_').next().unwrap_or(name)
}

pub(crate) fn decode(bytes: &[u8]) -> Instruction {
    Decoder::with_ip(64, bytes, ADDRESS, DecoderOptions::NONE).decode()
}

fn reencode(instruction: &Instruction) -> Vec<u8> {
    let mut instruction = *instruction;
    // "As short as possible": the encoder keeps a long displacement otherwise.
    if instruction.memory_displ_size() > 1
        && !matches!(instruction.memory_base(), Register::None | Register::RIP)
    {
        instruction.set_memory_displ_size(1);
    }
    let mut encoder = Encoder::new(64);
    match encoder.encode(&instruction, ADDRESS) {
        Ok(_) => encoder.take_buffer(),
        Err(error) => panic!("{error}: {instruction:?}"),
    }
}

fn show(instruction: &Instruction, info: &OpCodeInfo) -> String {
    use iced_x86::{Formatter, IntelFormatter};
    let mut text = String::new();
    IntelFormatter::new().format(instruction, &mut text);
    format!(
        "{text}   [{}; {}]",
        info.op_code_string(),
        info.instruction_string()
    )
}
