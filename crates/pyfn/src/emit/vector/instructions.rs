//! Nodes as instructions of AVX2 or AVX-512.
//!
//! Lanes are all as wide as the widest number of the loop; loads widen, stores narrow.

use opcodon_asm::{Evex, Inst, Mem, NONE, Rm, Scale, gpr, inst, mask};

use super::graph::{Id, Lane, Node, Op, Range, Rows, Test};
use super::kernel::{Code, Isa, SCRATCH, argument, v};
use super::tables::Table;

/// 2⁵² + 2⁵¹: added to an integer's bits it makes the double of their sum.
const MAGIC: f64 = 6_755_399_441_055_744.0;

impl Code<'_> {
    pub(super) fn three(&mut self, row: &'static Inst, dst: u8, a: u8, b: Rm) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => self.asm.vex(row, width, v(dst), v(a), b),
            Isa::Avx512 => self.asm.evex(row, width, Evex::NONE, v(dst), v(a), b),
        }
    }

    pub(super) fn two(&mut self, row: &'static Inst, dst: u8, a: Rm) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => self.asm.vex(row, width, v(dst), NONE, a),
            Isa::Avx512 => self.asm.evex(row, width, Evex::NONE, v(dst), NONE, a),
        }
    }

    pub(super) fn shift(&mut self, row: &'static Inst, dst: u8, a: u8, count: u8) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => self.asm.vex_i(row, width, NONE, v(dst), v(a), count),
            Isa::Avx512 => self
                .asm
                .evex_i(row, width, Evex::NONE, NONE, v(dst), v(a), count),
        }
    }

    pub(super) fn round(&mut self, mode: u8, is_double: bool, dst: u8, a: u8) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => {
                let row = if is_double {
                    &inst::ROUNDPD
                } else {
                    &inst::ROUNDPS
                };
                self.asm.vex_i(row, width, v(dst), NONE, v(a), mode | 8);
            }
            Isa::Avx512 => {
                let row = if is_double {
                    &inst::VRNDSCALEPD
                } else {
                    &inst::VRNDSCALEPS
                };
                self.asm
                    .evex_i(row, width, Evex::NONE, v(dst), NONE, v(a), mode | 8);
            }
        }
    }

    /// A vector of one number, from the pool.
    pub(super) fn broadcast_constant(&mut self, dst: u8, bits: u64) {
        let bytes = bits.to_le_bytes();
        let label = self.asm.constant(&bytes);
        self.broadcast(dst, Mem::rip(label));
    }

    pub(super) fn broadcast(&mut self, dst: u8, from: Mem) {
        let row = match self.lane {
            2 => &inst::VPBROADCASTW,
            4 => &inst::VBROADCASTSS,
            _ => &inst::VBROADCASTSD,
        };
        self.two(row, dst, from.into());
    }

    /// Whether a load is an operand of the one instruction that uses it.
    pub(super) fn is_folded(&self, id: Id) -> bool {
        let at = id.index();
        let Op::Load(stream, _) = self.graph.nodes[at].op else {
            return false;
        };
        let is_dense = self.graph.streams[stream].rows == Rows::Dense;
        let is_whole = is_dense && self.size(stream) == self.lane && !self.is_rest;
        self.n_uses[at] == 1 && is_whole && {
            let mut users = self.graph.nodes.iter().enumerate();
            let user = users.find(|(user, node)| {
                self.live[*user] && !self.is_before[*user] && node.args().any(|arg| arg == id)
            });
            user.is_some_and(|(_, node)| {
                matches!(node.op, Op::Add | Op::Sub | Op::Mul | Op::Div)
                    && node.arg(1) == id
                    && node.arg(0) != id
                    && !(node.lane == Lane::Single && self.lane == 8)
            }) && user.is_some_and(|(user, _)| self.graph.home[user] == self.graph.home[at])
        }
    }

    /// An operand where it is.
    pub(super) fn operand(&mut self, id: Id) -> Option<Rm> {
        if let Some(register) = self.register(id) {
            return Some(v(register).into());
        }
        if let Some(from) = self.spilled(id) {
            return Some(from.into());
        }
        let node = self.graph.node(id);
        match node.op {
            Op::Load(stream, shift) => self.element(stream, shift).map(Rm::from),
            Op::Constant(bits) => {
                let bits = self.bits_of(node, bits).to_le_bytes();
                let vector = bits[..self.lane].repeat(self.n_lanes());
                Some(Mem::rip(self.asm.constant(&vector)).into())
            }
            _ => None,
        }
    }

    /// The bits of a number in a lane.
    fn bits_of(&self, node: &Node, bits: u64) -> u64 {
        match (node.lane, self.lane) {
            #[expect(clippy::cast_possible_truncation, reason = "it is a float32")]
            (Lane::Single, 4) => u64::from((f64::from_bits(bits) as f32).to_bits()),
            _ => bits,
        }
    }

    /// The registers of a node's arguments; what is lazy is put in those of the step, but where the
    /// instruction reads memory.
    fn sources(&mut self, node: &Node) -> Option<[u8; 3]> {
        let in_memory = match node.op {
            Op::Add | Op::Sub | Op::Mul | Op::Div => Some(1),
            Op::And | Op::Or | Op::Xor | Op::AndNot => Some(1),
            Op::MulAdd | Op::MulSub | Op::NegMulAdd => (1..3).rev().find(|&at| {
                let arg = node.arg(at);
                self.is_lazy[arg.index()]
            }),
            Op::Result(_) => return Some([self.register(node.arg(0)).unwrap_or(0), 0, 0]),
            _ => None,
        };
        let mut scratch = SCRATCH.into_iter();
        let mut sources = [SCRATCH[0]; 3];
        for (at, arg) in node.args.iter().enumerate() {
            let Some(arg) = *arg else {
                continue;
            };
            if self.register(arg).is_some() || self.spilled(arg).is_some() && in_memory != Some(at)
            {
                sources[at] = self.fetch(arg)?;
            } else if self.is_lazy[arg.index()] && in_memory != Some(at) {
                let Op::Constant(bits) = self.graph.node(arg).op else {
                    return None;
                };
                sources[at] = scratch.next()?;
                let bits = self.bits_of(self.graph.node(arg), bits);
                self.broadcast_constant(sources[at], bits);
            }
        }
        Some(sources)
    }

    /// A product and a sum, rounded once.
    fn fused(&mut self, node: &Node, dst: u8, [a, b, c]: [u8; 3]) -> Option<()> {
        // Where the destination is the first factor and the second the third operand, or the sum;
        // or where it is the sum.
        let [to_factor, of_factors, to_sum]: [&'static Inst; 3] = match node.op {
            Op::MulAdd => [&inst::VFMADD132PD, &inst::VFMADD213PD, &inst::VFMADD231PD],
            Op::MulSub => [&inst::VFMSUB132PD, &inst::VFMSUB213PD, &inst::VFMSUB231PD],
            _ => [
                &inst::VFNMADD132PD,
                &inst::VFNMADD213PD,
                &inst::VFNMADD231PD,
            ],
        };
        let is_lazy = |at: usize| self.is_lazy[node.arg(at).index()];
        let (lazy_factor, lazy_sum) = (is_lazy(1), is_lazy(2));
        if lazy_factor && !lazy_sum {
            let factor = self.operand(node.arg(1))?;
            if dst == c && dst != a {
                self.three(to_sum, dst, a, factor);
                return Some(());
            }
            if dst != a {
                self.two(&inst::MOVAPS, dst, v(a).into());
            }
            self.three(to_factor, dst, c, factor);
            return Some(());
        }
        let sum = if lazy_sum {
            self.operand(node.arg(2))?
        } else {
            v(c).into()
        };
        if dst == a {
            self.three(of_factors, dst, b, sum);
        } else if dst == b {
            self.three(of_factors, dst, a, sum);
        } else if dst == c && !lazy_sum {
            self.three(to_sum, dst, a, v(b).into());
        } else {
            self.two(&inst::MOVAPS, dst, v(a).into());
            self.three(of_factors, dst, b, sum);
        }
        Some(())
    }

    /// Numbers of a table.
    fn look_up(&mut self, dst: u8, at: u8, table: Table) -> Option<()> {
        let address = i64::try_from(table.address()).ok()?;
        self.asm.mov_ri(gpr::RAX, address);
        let from = Mem::base(gpr::RAX).vector_index(v(at), Scale::S8);
        self.gather_all(&inst::VGATHERQPD, dst, from);
        Some(())
    }

    // Values.

    pub(super) fn value(&mut self, id: Id) -> Option<()> {
        let node = *self.graph.node(id);
        self.locked = 0;
        self.spills.begin(id);
        // Read before they are given back, as the result may take the register of one.
        let args = node.args;
        let sources = self.sources(&node)?;
        let is_plain = matches!(node.op, Op::Add | Op::Sub | Op::Mul | Op::Div)
            || matches!(node.op, Op::And | Op::Or | Op::Xor | Op::AndNot);
        let last = match args[1] {
            Some(b) if is_plain => Some(self.operand(b)?),
            _ => None,
        };
        // A select is made of its mask; elsewhere all operands are read at once.
        let keeps = matches!(
            node.op,
            Op::Select
                | Op::Round(_)
                | Op::Convert
                | Op::Compare(_)
                | Op::Load(..)
                | Op::Table(_)
                | Op::Call(_)
                | Op::Routine(_)
        );
        if !keeps {
            self.all_used(&node);
        }
        let [a, b, c] = sources;
        let is_fused = matches!(node.op, Op::MulAdd | Op::MulSub | Op::NegMulAdd);
        let dst = match sources.into_iter().find(|&register| self.is_free(register)) {
            Some(register) if is_fused => {
                self.free &= !(1 << register);
                register
            }
            _ => self.take()?,
        };
        match node.op {
            Op::Load(stream, shift) => match self.graph.streams[stream].rows {
                Rows::Strided(stride) => self.gather(dst, a, stream, shift, stride)?,
                _ => self.load(&node, dst, stream, shift)?,
            },
            Op::Offsets(stride) => self.offsets(dst, stride)?,
            Op::Broadcast(stream, shift) => self.broadcast_element(&node, dst, stream, shift)?,
            Op::Nothing | Op::Phi(..) | Op::Carried(_) => return None,
            Op::Arg(at) => {
                let from = argument(at);
                if node.lane == Lane::Single && self.lane == 8 {
                    self.widen_one(dst, from);
                } else {
                    self.broadcast(dst, from);
                }
            }
            Op::Constant(bits) => {
                let bits = self.bits_of(&node, bits);
                self.broadcast_constant(dst, bits);
            }
            Op::Counter => self.counter(dst)?,
            Op::Add | Op::Sub | Op::Mul | Op::Div => {
                let is_wide = |id: Id| !self.graph.node(id).range.within(Range::signed(32));
                let is_int = node.lane == Lane::Int && self.lane == 8;
                if node.op == Op::Mul && is_int && node.args().any(is_wide) {
                    return None;
                }
                let row = self.arithmetic(node.op, node.lane)?;
                self.three(row, dst, a, last?);
                self.round_single(&node, dst);
            }
            // Only of doubles.
            Op::MulAdd | Op::MulSub | Op::NegMulAdd => self.fused(&node, dst, sources)?,
            Op::Table(table) => self.look_up(dst, a, table)?,
            Op::Call(thunk) => {
                self.two(&inst::MOVAPS, dst, v(c).into());
                self.call(thunk, [a, b, dst]);
            }
            Op::Routine(addresses) => {
                let n_args = node.args().count();
                let address = addresses[usize::from(self.lane < 8)];
                self.routine(address, &sources[..n_args], dst);
            }
            Op::Sqrt => self.two(&inst::SQRTPD, dst, v(a).into()),
            Op::MulHigh(by) => self.mul_high(dst, a, by),
            Op::And => self.three(&inst::ANDPD, dst, a, last?),
            Op::Or => self.three(&inst::ORPD, dst, a, last?),
            Op::Xor => self.three(&inst::XORPD, dst, a, last?),
            Op::AndNot => self.three(&inst::ANDNPD, dst, a, last?),
            Op::Compare(test) => {
                let lane = self.graph.node(node.arg(0)).lane;
                self.compare(test, lane, dst, a, b);
            }
            Op::NonFinite => self.non_finite(dst, a),
            Op::Select => self.select(dst, a, b, c),
            Op::ShiftLeft(count) => {
                let row = match self.lane {
                    2 => &inst::PSLLW_I,
                    4 => &inst::PSLLD_I,
                    _ => &inst::PSLLQ_I,
                };
                self.shift(row, dst, a, count);
            }
            Op::ShiftRight(count) => {
                let is_natural = self.graph.node(node.arg(0)).range.low >= 0;
                let row = match (self.lane, self.isa) {
                    (2, _) => &inst::PSRAW_I,
                    (4, _) => &inst::PSRAD_I,
                    (_, Isa::Avx512) => &inst::VPSRAQ_I,
                    _ if is_natural => &inst::PSRLQ_I,
                    _ => return None,
                };
                self.shift(row, dst, a, count);
            }
            Op::ShiftDown(count) => self.shift(&inst::PSRLQ_I, dst, a, count),
            Op::Round(mode) => self.round(mode, self.lane == 8, dst, a),
            Op::Convert => self.convert(&node, dst, a)?,
            Op::Clip | Op::Result(_) => self.two(&inst::MOVAPS, dst, v(a).into()),
        }
        if keeps {
            self.all_used(&node);
        }
        self.registers[id.index()][self.copy] = Some(dst);
        Some(())
    }

    /// Counts the uses of a node's arguments.
    pub(super) fn all_used(&mut self, node: &Node) {
        let n_args = if matches!(node.op, Op::Result(_)) {
            1
        } else {
            3
        };
        for arg in node.args.into_iter().take(n_args).flatten() {
            self.used(arg);
        }
    }

    pub(super) fn arithmetic(&self, op: Op, lane: Lane) -> Option<&'static Inst> {
        let at = [Op::Add, Op::Sub, Op::Mul, Op::Div]
            .iter()
            .position(|each| *each == op)?;
        let rows: [&'static Inst; 4] = match (lane, self.lane) {
            (Lane::Int, 2) => [&inst::PADDW, &inst::PSUBW, &inst::PMULLW, &inst::DIVPD],
            (Lane::Int, 4) => [&inst::PADDD, &inst::PSUBD, &inst::PMULLD, &inst::DIVPD],
            // Of products, the operands have 32 bits, or there is no kernel.
            (Lane::Int, _) => [&inst::PADDQ, &inst::PSUBQ, &inst::PMULDQ, &inst::DIVPD],
            (_, 8) => [&inst::ADDPD, &inst::SUBPD, &inst::MULPD, &inst::DIVPD],
            _ => [&inst::ADDPS, &inst::SUBPS, &inst::MULPS, &inst::DIVPS],
        };
        (lane != Lane::Int || at < 3).then_some(rows[at])
    }

    /// In lanes of 64 bits a single is the double of the same value. Rounding the double result of
    /// one operation gives the single's (S. A. Figueroa, “When is double rounding innocuous?”, 1995).
    pub(super) fn round_single(&mut self, node: &Node, dst: u8) {
        if node.lane == Lane::Single && self.lane == 8 {
            self.two(&inst::CVTPD2PS, dst, v(dst).into());
            self.two(&inst::CVTPS2PD, dst, v(dst).into());
        }
    }

    pub(super) fn widen_one(&mut self, dst: u8, from: Mem) {
        self.two(&inst::VBROADCASTSS, dst, from.into());
        self.two(&inst::CVTPS2PD, dst, v(dst).into());
    }

    pub(super) fn mul_high(&mut self, dst: u8, a: u8, by: u16) {
        let factor = SCRATCH[1];
        self.broadcast_constant(factor, by.into());
        let factor = v(factor).into();
        match self.lane {
            2 => self.three(&inst::PMULHUW, dst, a, factor),
            4 => {
                self.three(&inst::PMULLD, dst, a, factor);
                self.shift(&inst::PSRLD_I, dst, dst, 16);
            }
            _ => {
                self.three(&inst::PMULDQ, dst, a, factor);
                self.shift(&inst::PSRLQ_I, dst, dst, 16);
            }
        }
    }

    /// Makes a vector of the mask in `k2`.
    pub(super) fn spread_mask(&mut self, dst: u8) {
        let row = match self.lane {
            2 => &inst::VPMOVM2W,
            4 => &inst::VPMOVM2D,
            _ => &inst::VPMOVM2Q,
        };
        let width = self.isa.width();
        self.asm
            .evex(row, width, Evex::NONE, v(dst), NONE, mask::K2);
    }

    pub(super) fn compare(&mut self, test: Test, lane: Lane, dst: u8, a: u8, b: u8) {
        let width = self.isa.width();
        if lane != Lane::Int {
            // Those that do not signal; only `!=` is true for what is no number.
            let predicate = match test {
                Test::Eq => 0x00,
                Test::Ne => 0x04,
                Test::Lt => 0x11,
                Test::Le => 0x12,
                Test::Ge => 0x1d,
                Test::Gt => 0x1e,
            };
            let row = if self.lane == 8 {
                &inst::CMPPD
            } else {
                &inst::CMPPS
            };
            match self.isa {
                Isa::Avx2 => self.asm.vex_i(row, width, v(dst), v(a), v(b), predicate),
                Isa::Avx512 => {
                    let k = mask::K2;
                    self.asm
                        .evex_i(row, width, Evex::NONE, k, v(a), v(b), predicate);
                    self.spread_mask(dst);
                }
            }
            return;
        }
        if self.isa == Isa::Avx512 {
            let row = match self.lane {
                2 => &inst::VPCMPW,
                4 => &inst::VPCMPD,
                _ => &inst::VPCMPQ,
            };
            let predicate = match test {
                Test::Eq => 0,
                Test::Lt => 1,
                Test::Le => 2,
                Test::Ne => 4,
                Test::Ge => 5,
                Test::Gt => 6,
            };
            let k = mask::K2;
            self.asm
                .evex_i(row, width, Evex::NONE, k, v(a), v(b), predicate);
            self.spread_mask(dst);
            return;
        }
        let (equal, greater) = match self.lane {
            2 => (&inst::PCMPEQW, &inst::PCMPGTW),
            4 => (&inst::PCMPEQD, &inst::PCMPGTD),
            _ => (&inst::PCMPEQQ, &inst::PCMPGTQ),
        };
        let (row, a, b, is_not) = match test {
            Test::Eq => (equal, a, b, false),
            Test::Ne => (equal, a, b, true),
            Test::Gt => (greater, a, b, false),
            Test::Le => (greater, a, b, true),
            Test::Lt => (greater, b, a, false),
            Test::Ge => (greater, b, a, true),
        };
        self.three(row, dst, a, v(b).into());
        if is_not {
            let ones = SCRATCH[0];
            self.three(&inst::PCMPEQD, ones, ones, v(ones).into());
            self.three(&inst::XORPD, dst, dst, v(ones).into());
        }
    }

    pub(super) fn non_finite(&mut self, dst: u8, a: u8) {
        let (width, is_double) = (self.isa.width(), self.lane == 8);
        match self.isa {
            Isa::Avx2 => {
                let rows = if is_double {
                    (&inst::SUBPD, &inst::CMPPD)
                } else {
                    (&inst::SUBPS, &inst::CMPPS)
                };
                self.three(rows.0, dst, a, v(a).into());
                self.asm.vex_i(rows.1, width, v(dst), v(dst), v(dst), 3);
            }
            Isa::Avx512 => {
                let row = if is_double {
                    &inst::VFPCLASSPD
                } else {
                    &inst::VFPCLASSPS
                };
                // Quiet and signalling, and both infinities.
                let (k, classes) = (mask::K2, 0x99);
                self.asm
                    .evex_i(row, width, Evex::NONE, k, NONE, v(a), classes);
                self.spread_mask(dst);
            }
        }
    }

    pub(super) fn select(&mut self, dst: u8, mask: u8, yes: u8, no: u8) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => {
                let row = match self.lane {
                    2 => &inst::VPBLENDVB,
                    4 => &inst::VBLENDVPS,
                    _ => &inst::VBLENDVPD,
                };
                self.asm.vex4(row, width, v(dst), v(no), v(yes), v(mask));
            }
            Isa::Avx512 => {
                self.two(&inst::MOVAPS, dst, v(mask).into());
                let row = &inst::VPTERNLOGQ;
                self.asm
                    .evex_i(row, width, Evex::NONE, v(dst), v(yes), v(no), 0xca);
            }
        }
    }

    pub(super) fn convert(&mut self, node: &Node, dst: u8, a: u8) -> Option<()> {
        let from = *self.graph.node(node.arg(0));
        match (from.lane, node.lane, self.lane) {
            (Lane::Int, Lane::Single, 4) => self.two(&inst::CVTDQ2PS, dst, v(a).into()),
            (Lane::Int, Lane::Double | Lane::Single, 8) => {
                self.int_to_double(from.range, dst, a)?;
                self.round_single(node, dst);
            }
            (Lane::Single, Lane::Double, 8) => self.two(&inst::MOVAPS, dst, v(a).into()),
            (Lane::Double, Lane::Single, 8) => {
                self.two(&inst::MOVAPS, dst, v(a).into());
                self.round_single(node, dst);
            }
            (Lane::Single, Lane::Int, 4) => self.two(&inst::CVTTPS2DQ, dst, v(a).into()),
            (Lane::Single | Lane::Double, Lane::Int, 8) => {
                if self.isa == Isa::Avx512 {
                    self.two(&inst::VCVTTPD2QQ, dst, v(a).into());
                } else {
                    let magic = SCRATCH[1];
                    self.round(3, true, dst, a);
                    self.broadcast_constant(magic, MAGIC.to_bits());
                    self.three(&inst::ADDPD, dst, dst, v(magic).into());
                    self.three(&inst::PSUBQ, dst, dst, v(magic).into());
                }
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn int_to_double(&mut self, range: Range, dst: u8, a: u8) -> Option<()> {
        if self.isa == Isa::Avx512 {
            self.two(&inst::VCVTQQ2PD, dst, v(a).into());
            return Some(());
        }
        if !range.within(Range::signed(52)) {
            return None;
        }
        let magic = SCRATCH[1];
        self.broadcast_constant(magic, MAGIC.to_bits());
        self.three(&inst::PADDQ, dst, a, v(magic).into());
        self.three(&inst::SUBPD, dst, dst, v(magic).into());
        Some(())
    }
}
