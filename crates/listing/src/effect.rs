//! Effects: what an instruction reads and writes in the processor, and which processors have it.
//!
//! Flags are named one by one, as the manuals do; memory is not among the effects, the registers
//! that make its address are. What is only sometimes written, under a mask or a condition, counts
//! as written, and as read where the old value may stay.

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, OpAccess, RflagsBits,
};

/// What an instruction reads, writes and needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Registers and flags that it reads: `rax`, `xmm0`, `zf` …
    pub reads: Vec<String>,
    /// Registers and flags that it writes.
    pub writes: Vec<String>,
    /// Extensions of the instruction set that it belongs to: `sse2`, `avx512f` …
    pub features: Vec<String>,
}

/// The flags, by their bits.
const FLAGS: [(u32, &str); 8] = [
    (RflagsBits::OF, "of"),
    (RflagsBits::SF, "sf"),
    (RflagsBits::ZF, "zf"),
    (RflagsBits::AF, "af"),
    (RflagsBits::CF, "cf"),
    (RflagsBits::PF, "pf"),
    (RflagsBits::DF, "df"),
    (RflagsBits::IF, "if"),
];

impl Effects {
    /// Those of the instruction that the bytes begin with; none if they begin with no instruction.
    #[must_use]
    pub fn of(code: &[u8]) -> Self {
        let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        if decoder.can_decode() {
            decoder.decode_out(&mut instruction);
        }
        let mut effects = Self::default();
        if instruction.is_invalid() {
            return effects;
        }
        let mut factory = InstructionInfoFactory::new();
        for used in factory.info(&instruction).used_registers() {
            let name = format!("{:?}", used.register()).to_ascii_lowercase();
            let (reads, writes) = match used.access() {
                OpAccess::Read | OpAccess::CondRead => (true, false),
                OpAccess::Write => (false, true),
                OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true),
                _ => (false, false),
            };
            if reads {
                effects.reads.push(name.clone());
            }
            if writes {
                effects.writes.push(name);
            }
        }
        let flags = |bits: u32| {
            let flags = FLAGS.iter().filter(move |(bit, _)| bits & bit != 0);
            flags.map(|(_, name)| (*name).to_owned())
        };
        effects.reads.extend(flags(instruction.rflags_read()));
        effects.writes.extend(flags(instruction.rflags_modified()));
        let features = instruction.cpuid_features().iter();
        effects.features = features
            .map(|feature| format!("{feature:?}").to_ascii_lowercase())
            .collect();
        for list in [&mut effects.reads, &mut effects.writes] {
            let mut seen = std::collections::HashSet::new();
            list.retain(|name| seen.insert(name.clone()));
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_those_of_the_manuals() {
        let table: &[(&[u8], &str)] = &[
            // addsd xmm0, xmm1
            (b"\xf2\x0f\x58\xc1", "xmm0 xmm1 | xmm0 | sse2"),
            // xor eax, eax: nothing is read
            (b"\x31\xc0", " | rax of sf zf af cf pf | intel386"),
            // adc rax, [rdi + rcx*8]
            (
                b"\x48\x13\x04\xcf",
                "rax rdi rcx cf | rax of sf zf af cf pf | x64",
            ),
            // vaddpd zmm0{k1}, zmm1, zmm2: what the mask leaves out stays
            (
                b"\x62\xf1\xf5\x49\x58\xc2",
                "zmm0 zmm1 zmm2 k1 | zmm0 | avx512f",
            ),
            // jne
            (b"\x75\xfe", "zf |  | x64"),
            // ret
            (b"\xc3", "rsp | rsp | x64"),
            (b"\x06", " |  | "),
            (b"\x0f", " |  | "),
            (b"", " |  | "),
        ];
        for (code, expected) in table {
            let found = Effects::of(code);
            let lists = [&found.reads, &found.writes, &found.features];
            let mut sorted: Vec<String> = Vec::new();
            for list in lists {
                sorted.push(list.join(" "));
            }
            assert_eq!(sorted.join(" | "), *expected, "{code:02x?}");
        }
    }
}
