//! Frames: where a function keeps its return address and its caller's registers, instruction by
//! instruction.
//!
//! Compilers write this down while they generate code. Of bytes alone it can be found out again,
//! as long as the code moves its stack pointer by constants or keeps a frame pointer, as all
//! compilers do: pushes, pops and additions are followed along the branches, starting from the
//! entry, where the return address is on top of the stack.
//!
//! # Limits
//! Where the stack pointer is computed otherwise without a frame pointer, the last state that was
//! known is kept. Code behind a jump to which no known branch leads has the state of the entry.
//!
//! Source: DWARF 5, 6.4 "Call Frame Information".

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// From an offset on, where the frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// The first byte of the code for which it holds.
    pub offset: usize,
    /// The frame's address (the stack pointer before the call) is this register …
    pub base: FrameBase,
    /// … plus this many bytes.
    pub distance: i64,
    /// Registers of the caller that are saved, by DWARF's numbers, and how far below the frame's
    /// address.
    pub saved: Vec<(u8, i64)>,
}

/// The register from which a frame is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameBase {
    /// The stack pointer.
    Rsp,
    /// The frame pointer.
    Rbp,
}

/// What is known before an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    base: FrameBase,
    distance: i64,
    /// How far the stack pointer is below the frame's address, if known.
    depth: Option<i64>,
    saved: Vec<(u8, i64)>,
}

impl State {
    const fn entry() -> Self {
        Self {
            base: FrameBase::Rsp,
            distance: 8,
            depth: Some(8),
            saved: Vec::new(),
        }
    }

    /// Moves the stack pointer by so many bytes.
    fn moved(&mut self, by: i64) {
        self.depth = self.depth.map(|depth| depth - by);
        self.follow();
    }

    /// Keeps the frame at the stack pointer, if it is found from there.
    fn follow(&mut self) {
        if let (FrameBase::Rsp, Some(depth)) = (self.base, self.depth) {
            self.distance = depth;
        }
    }

    fn step(&mut self, instruction: &Instruction) {
        let first = instruction.op0_register();
        let by = i64::from(instruction.stack_pointer_increment());
        match instruction.mnemonic() {
            Mnemonic::Push => {
                self.moved(by);
                if let (Some(number), Some(depth)) = (dwarf_number(first), self.depth)
                    && instruction.op0_kind() == OpKind::Register
                    && self.saved.iter().all(|&(known, _)| known != number)
                {
                    self.saved.push((number, depth));
                }
            }
            Mnemonic::Pop => {
                if first == Register::RBP && self.base == FrameBase::Rbp {
                    // Nothing but the return address is above the saved frame pointer.
                    self.depth = self.depth.or(Some(self.distance));
                    self.base = FrameBase::Rsp;
                }
                self.moved(by);
                if let Some(number) = dwarf_number(first) {
                    let depth = self.depth;
                    self.saved
                        .retain(|&(known, at)| known != number || depth < Some(at - 8));
                }
            }
            Mnemonic::Leave => {
                self.base = FrameBase::Rsp;
                self.depth = Some(8);
                self.saved
                    .retain(|&(known, _)| Some(known) != dwarf_number(Register::RBP));
                self.follow();
            }
            Mnemonic::Mov
                if first == Register::RBP && instruction.op1_register() == Register::RSP =>
            {
                if let Some(depth) = self.depth {
                    (self.base, self.distance) = (FrameBase::Rbp, depth);
                }
            }
            Mnemonic::Mov
                if first == Register::RSP && instruction.op1_register() == Register::RBP =>
            {
                if self.base == FrameBase::Rbp {
                    self.depth = Some(self.distance);
                }
            }
            Mnemonic::Sub | Mnemonic::Add if first == Register::RSP => {
                let is_constant = matches!(
                    instruction.op1_kind(),
                    OpKind::Immediate8to64 | OpKind::Immediate32to64
                );
                let by = || instruction.immediate(1).cast_signed();
                match (is_constant, instruction.mnemonic()) {
                    (true, Mnemonic::Sub) => self.moved(-by()),
                    (true, _) => self.moved(by()),
                    (false, _) => self.depth = None,
                }
            }
            Mnemonic::Lea if first == Register::RSP => {
                let by = instruction.memory_displacement64().cast_signed();
                let has_index = instruction.memory_index() != Register::None;
                match instruction.memory_base() {
                    Register::RSP if !has_index => self.moved(by),
                    Register::RBP if !has_index && self.base == FrameBase::Rbp => {
                        self.depth = Some(self.distance - by);
                    }
                    _ => self.depth = None,
                }
            }
            // Others that write the stack pointer, such as `and rsp, -32`.
            _ if first == Register::RSP
                && instruction.op0_kind() == OpKind::Register
                && !matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test) =>
            {
                self.depth = None;
            }
            // What a call pushes its callee pops.
            Mnemonic::Call => {}
            _ => self.moved(by),
        }
    }
}

/// DWARF's number of a register that callees preserve under either convention.
fn dwarf_number(register: Register) -> Option<u8> {
    Some(match register {
        Register::RBX => 3,
        Register::RSI => 4,
        Register::RDI => 5,
        Register::RBP => 6,
        Register::R12 => 12,
        Register::R13 => 13,
        Register::R14 => 14,
        Register::R15 => 15,
        _ => return None,
    })
}

/// The rows of a function's frame, one where it changes; the first one is for offset 0.
#[must_use]
pub fn frame_rows(code: &[u8]) -> Vec<FrameRow> {
    let mut arriving: HashMap<u64, State> = HashMap::new();
    let mut rows: Vec<FrameRow> = Vec::new();
    let mut state = Some(State::entry());
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    while decoder.can_decode() {
        let instruction = decoder.decode();
        let mut now = state
            .take()
            .or_else(|| arriving.remove(&instruction.ip()))
            .unwrap_or_else(State::entry);
        let row = FrameRow {
            offset: usize::try_from(instruction.ip()).unwrap_or(usize::MAX),
            base: now.base,
            distance: now.distance,
            saved: now.saved.clone(),
        };
        let is_same = |last: &FrameRow| {
            (last.base, last.distance, &last.saved) == (row.base, row.distance, &row.saved)
        };
        if !rows.last().is_some_and(is_same) {
            rows.push(row);
        }
        let flow = instruction.flow_control();
        if matches!(flow, FlowControl::Return | FlowControl::Exception) {
            continue;
        }
        now.step(&instruction);
        if matches!(
            flow,
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
        ) {
            let target = instruction.near_branch_target();
            arriving.entry(target).or_insert_with(|| now.clone());
        }
        let goes_on = !matches!(
            flow,
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch
        );
        state = goes_on.then_some(now);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, assemble};

    /// Assembly, and the rows as text: offset, base and distance, saved registers.
    #[test]
    fn frames_are_followed() {
        let table: &[(&str, &[&str])] = &[
            ("ret", &["0 Rsp+8 []"]),
            (
                "push rbp\nmov rbp, rsp\npush rbx\nsub rsp, 40\nlea rsp, [rbp - 8]\npop rbx\npop rbp\nret",
                &[
                    "0 Rsp+8 []",
                    "1 Rsp+16 [(6, 16)]",
                    "4 Rbp+16 [(6, 16)]",
                    "5 Rbp+16 [(6, 16), (3, 24)]",
                    "14 Rbp+16 [(6, 16)]",
                    "15 Rsp+8 []",
                ],
            ),
            (
                "push rbp\nmov rbp, rsp\nand rsp, -32\nsub rsp, 64\nleave\nret",
                &[
                    "0 Rsp+8 []",
                    "1 Rsp+16 [(6, 16)]",
                    "4 Rbp+16 [(6, 16)]",
                    "13 Rsp+8 []",
                ],
            ),
            (
                "push rbp\nmov rbp, rsp\nsub rsp, rax\nleave\nret",
                &[
                    "0 Rsp+8 []",
                    "1 Rsp+16 [(6, 16)]",
                    "4 Rbp+16 [(6, 16)]",
                    "8 Rsp+8 []",
                ],
            ),
            (
                "sub rsp, 24\ntest edi, edi\njz out\nadd rsp, 24\nret\nout: call rax\nadd rsp, 24\nret",
                &[
                    "0 Rsp+8 []",
                    "4 Rsp+32 []",
                    "12 Rsp+8 []",
                    "13 Rsp+32 []",
                    "19 Rsp+8 []",
                ],
            ),
            (
                "push r12\npush 7\nadd rsp, 8\npop r12\njmp rax",
                &[
                    "0 Rsp+8 []",
                    "2 Rsp+16 [(12, 16)]",
                    "4 Rsp+24 [(12, 16)]",
                    "8 Rsp+16 [(12, 16)]",
                    "10 Rsp+8 []",
                ],
            ),
        ];
        for (text, expected) in table {
            let code = assemble(text, 0, Dialect::Intel).unwrap_or_else(|error| panic!("{error}"));
            let rows: Vec<String> = frame_rows(&code)
                .iter()
                .map(|row| {
                    format!(
                        "{} {:?}+{} {:?}",
                        row.offset, row.base, row.distance, row.saved
                    )
                })
                .collect();
            assert_eq!(rows, *expected, "{text}");
        }
    }

    #[test]
    fn any_bytes_have_rows() {
        arbtest::arbtest(|u| {
            let code: Vec<u8> = u.arbitrary()?;
            let rows = frame_rows(&code);
            assert_eq!(rows.is_empty(), code.is_empty());
            assert!(rows.windows(2).all(|pair| pair[0].offset < pair[1].offset));
            Ok(())
        });
    }
}
