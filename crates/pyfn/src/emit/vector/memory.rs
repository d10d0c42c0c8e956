//! Loads that widen, stores that narrow, and numbers that are the same in all lanes.

use opcodon_asm::{Alu, Evex, Inst, Label, Mem, NONE, Scale, Width, gpr, inst, mask};

use super::graph::{Lane, Node, Op, Store};
use super::kernel::{BASES, Code, Isa, SCRATCH, argument, own_word, v};
use crate::types::Dtype;

impl Code<'_> {
    pub(super) fn element(&self, stream: usize, shift: i64) -> Option<Mem> {
        let size = self.graph.streams[stream].dtype.size();
        let scale = match size {
            1 => Scale::S1,
            2 => Scale::S2,
            4 => Scale::S4,
            _ => Scale::S8,
        };
        let ahead = self.copy * self.n_lanes();
        let rows = shift.checked_add(i64::try_from(ahead).ok()?)?;
        let disp = i32::try_from(rows.checked_mul(size)?).ok()?;
        Some(Mem::base(BASES[stream]).index(gpr::RSI, scale).disp(disp))
    }

    pub(super) fn size(&self, stream: usize) -> usize {
        usize::try_from(self.graph.streams[stream].dtype.size()).unwrap_or(8)
    }

    pub(super) fn load(&mut self, node: &Node, dst: u8, stream: usize, shift: i64) -> Option<()> {
        let from = self.element(stream, shift)?;
        let dtype = self.graph.streams[stream].dtype;
        let size = self.size(stream);
        let is_signed = node.range.low < 0;
        let row = match (size, self.lane) {
            (2, 2) if self.is_rest => &inst::VMOVDQU16,
            (8, 8) => &inst::MOVUPD,
            (4, 4) | (2, 2) => &inst::MOVUPS,
            (4, 8) if dtype == Dtype::Float32 => &inst::CVTPS2PD,
            (1, 2) if is_signed => &inst::PMOVSXBW,
            (1, 4) if is_signed => &inst::PMOVSXBD,
            (1, 8) if is_signed => &inst::PMOVSXBQ,
            (2, 4) if is_signed => &inst::PMOVSXWD,
            (2, 8) if is_signed => &inst::PMOVSXWQ,
            (4, 8) if is_signed => &inst::PMOVSXDQ,
            (1, 2) => &inst::PMOVZXBW,
            (1, 4) => &inst::PMOVZXBD,
            (1, 8) => &inst::PMOVZXBQ,
            (2, 4) => &inst::PMOVZXWD,
            (2, 8) => &inst::PMOVZXWQ,
            (4, 8) => &inst::PMOVZXDQ,
            _ => return None,
        };
        if self.is_rest {
            let context = Evex::mask(mask::K1).zeroing();
            let width = self.isa.width();
            self.asm.evex(row, width, context, v(dst), NONE, from);
        } else {
            self.two(row, dst, from.into());
        }
        Some(())
    }

    /// How far the rows of a vector lie behind its first.
    pub(super) fn offsets(&mut self, dst: u8, stride: usize) -> Option<()> {
        let iota = self.iota(0)?;
        self.broadcast(dst, argument(stride));
        let row = match self.lane {
            4 => &inst::PMULLD,
            8 => &inst::PMULDQ,
            _ => return None,
        };
        self.three(row, dst, dst, Mem::rip(iota).into());
        Some(())
    }

    /// The numbers from one on, as many as there are lanes.
    pub(super) fn iota(&mut self, first: usize) -> Option<Label> {
        let mut bytes = Vec::new();
        for row in first..first + self.n_lanes() {
            let row = u64::try_from(row).ok()?.to_le_bytes();
            bytes.extend(&row[..self.lane]);
        }
        Some(self.asm.constant(&bytes))
    }

    pub(super) fn gather(
        &mut self,
        dst: u8,
        offsets: u8,
        stream: usize,
        shift: i64,
        stride: usize,
    ) -> Option<()> {
        let size = self.graph.streams[stream].dtype.size();
        if self.size(stream) != self.lane {
            return None;
        }
        let disp = i32::try_from(shift.checked_mul(size)?).ok()?;
        let ahead = i32::try_from(self.copy * self.n_lanes()).ok()?;
        self.asm.mov_rr(gpr::RAX, gpr::RSI);
        if ahead != 0 {
            self.asm.alu_ri(Alu::Add, gpr::RAX, ahead);
        }
        self.asm.imul_rm(gpr::RAX, argument(stride));
        self.asm.alu_rr(Alu::Add, gpr::RAX, BASES[stream]);
        let from = Mem::base(gpr::RAX).vector_index(v(offsets), Scale::S1);
        let from = from.disp(disp);
        let row = if self.lane == 8 {
            &inst::VGATHERQPD
        } else {
            &inst::VGATHERDPS
        };
        self.gather_all(row, dst, from);
        Some(())
    }

    /// The elements at all places that a vector says; of rows that there are.
    pub(super) fn gather_all(&mut self, row: &'static Inst, dst: u8, from: Mem) {
        let width = self.isa.width();
        // Breaks the dependence on the old value.
        self.three(&inst::XORPD, dst, dst, v(dst).into());
        match self.isa {
            Isa::Avx2 => {
                let all = v(SCRATCH[1]);
                self.asm.vex(&inst::PCMPEQD, width, all, all, all);
                self.asm.vex(row, width, v(dst), all, from);
            }
            Isa::Avx512 => {
                let k = mask::K3;
                if self.is_rest {
                    self.asm.vex(&inst::KMOVQ, Width::X, k, NONE, mask::K1);
                } else {
                    self.asm.vex(&inst::KXNORW, Width::X, k, k, k);
                }
                self.asm.evex(row, width, Evex::mask(k), v(dst), NONE, from);
            }
        }
    }

    pub(super) fn broadcast_element(
        &mut self,
        node: &Node,
        dst: u8,
        stream: usize,
        shift: i64,
    ) -> Option<()> {
        let dtype = self.graph.streams[stream].dtype;
        let disp = i32::try_from(shift.checked_mul(dtype.size())?).ok()?;
        let from = Mem::base(BASES[stream]).disp(disp);
        let is_signed = node.range.low < 0;
        match (dtype.size(), self.lane) {
            (4, 8) if dtype == Dtype::Float32 => self.widen_one(dst, from),
            (size, lane) if usize::try_from(size) == Ok(lane) => self.broadcast(dst, from),
            (1, _) if is_signed => self.asm.movsx8(gpr::RAX, from),
            (2, _) if is_signed => self.asm.movsx16(gpr::RAX, from),
            (4, _) if is_signed => self.asm.movsxd(gpr::RAX, from),
            (1, _) => self.asm.movzx8(gpr::RAX, from),
            (2, _) => self.asm.movzx16(gpr::RAX, from),
            _ => self.asm.load32(gpr::RAX, from),
        }
        if usize::try_from(dtype.size()) != Ok(self.lane) && dtype != Dtype::Float32 {
            self.asm.store(own_word(), gpr::RAX);
            self.broadcast(dst, own_word());
        }
        Some(())
    }

    /// The numbers of the rows.
    pub(super) fn counter(&mut self, dst: u8) -> Option<()> {
        let iota = self.iota(self.copy * self.n_lanes())?;
        self.asm.store(own_word(), gpr::RSI);
        self.broadcast(dst, own_word());
        let row = self.arithmetic(Op::Add, Lane::Int)?;
        self.three(row, dst, dst, Mem::rip(iota).into());
        Some(())
    }

    pub(super) fn store(&mut self, store: &Store) -> Option<()> {
        let to = self.element(store.stream, store.shift)?;
        let dtype = self.graph.streams[store.stream].dtype;
        let from = self.fetch(store.value)?;
        let size = self.size(store.stream);
        let width = self.isa.width();
        if self.isa == Isa::Avx512 {
            let context = if self.is_rest {
                Evex::mask(mask::K1)
            } else {
                Evex::NONE
            };
            if dtype == Dtype::Float32 && self.lane == 8 {
                let half = SCRATCH[0];
                self.two(&inst::CVTPD2PS, half, v(from).into());
                let row = &inst::MOVUPS_ST;
                self.asm.evex(row, Width::Y, context, v(half), NONE, to);
                return Some(());
            }
            let row = match (self.lane, size) {
                (8, 8) => &inst::MOVUPD_ST,
                (4, 4) => &inst::MOVUPS_ST,
                (2, 2) => &inst::VMOVDQU16_ST,
                (8, 4) => &inst::VPMOVQD,
                (8, 2) => &inst::VPMOVQW,
                (8, 1) => &inst::VPMOVQB,
                (4, 2) => &inst::VPMOVDW,
                (4, 1) => &inst::VPMOVDB,
                (2, 1) => &inst::VPMOVWB,
                _ => return None,
            };
            self.asm.evex(row, width, context, v(from), NONE, to);
            return Some(());
        }
        self.store_avx2(from, dtype, size, to)
    }

    pub(super) fn store_avx2(
        &mut self,
        from: u8,
        dtype: Dtype,
        size: usize,
        to: Mem,
    ) -> Option<()> {
        let (x, y) = (Width::X, Width::Y);
        let full = &inst::MOVUPS_ST;
        if self.lane == size {
            self.asm.vex(full, y, v(from), NONE, to);
            return Some(());
        }
        let low = SCRATCH[0];
        let high = SCRATCH[1];
        if dtype == Dtype::Float32 {
            self.two(&inst::CVTPD2PS, low, v(from).into());
            self.asm.vex(full, x, v(low), NONE, to);
            return Some(());
        }
        let is_signed = matches!(dtype, Dtype::Int8 | Dtype::Int16);
        let bytes: &'static Inst = if is_signed {
            &inst::PACKSSWB
        } else {
            &inst::PACKUSWB
        };
        let words: &'static Inst = if dtype == Dtype::UInt16 {
            &inst::PACKUSDW
        } else {
            &inst::PACKSSDW
        };
        let extract = &inst::VEXTRACTI128;
        self.asm.vex_i(extract, y, v(from), NONE, v(high), 1);
        match (self.lane, size) {
            (2, 1) => self.asm.vex(bytes, x, v(low), v(from), v(high)),
            (4, 2) => self.asm.vex(words, x, v(low), v(from), v(high)),
            (4, 1) => {
                self.asm.vex(words, x, v(low), v(from), v(high));
                self.asm.vex(bytes, x, v(low), v(low), v(low));
                self.asm.vex(&inst::MOVQ_X_ST, x, v(low), NONE, to);
                return Some(());
            }
            (8, _) => {
                let row = &inst::SHUFPS;
                self.asm.vex_i(row, x, v(low), v(from), v(high), 0x88);
                if size < 4 {
                    self.asm.vex(words, x, v(low), v(low), v(low));
                }
                match size {
                    4 => self.asm.vex(full, x, v(low), NONE, to),
                    2 => self.asm.vex(&inst::MOVQ_X_ST, x, v(low), NONE, to),
                    _ => {
                        self.asm.vex(bytes, x, v(low), v(low), v(low));
                        self.asm.vex(&inst::MOVD_ST, x, v(low), NONE, to);
                    }
                }
                return Some(());
            }
            _ => return None,
        }
        self.asm.vex(full, x, v(low), NONE, to);
        Some(())
    }
}
