//! The interpreter: what a program means, in plain Rust.
//!
//! It runs each node on a batch of lanes before the next node. Emitted code must equal it to the
//! bit, except for the payloads and signs of NaNs, which depend on the order of operands.

use super::lanes::{as_double, encode as from_double};
use super::program::{Elem, Id, Node, Opcode, Predicate, Program, Region};

/// Runs `program` on columns of lanes, given and returned as bits.
pub(crate) fn run(program: &Program, arguments: &[Vec<u64>]) -> Vec<u64> {
    let mut machine = Machine {
        program,
        arguments,
        values: vec![vec![]; program.nodes.len()],
    };
    machine.run(&program.regions[0]);
    std::mem::take(&mut machine.values[program.result.index()])
}

struct Machine<'a> {
    program: &'a Program,
    arguments: &'a [Vec<u64>],
    /// By node; masks as zero and one.
    values: Vec<Vec<u64>>,
}

impl Machine<'_> {
    fn get(&self, id: Id) -> &[u64] {
        &self.values[id.index()]
    }

    fn set(&mut self, id: Id, value: Vec<u64>) {
        self.values[id.index()] = value;
    }

    fn is_any(&self, mask: Id) -> bool {
        self.get(mask).iter().any(|&lane| lane != 0)
    }

    // Regions nest two deep, so this recursion is shallow.
    fn run(&mut self, region: &Region) {
        let program = self.program;
        for &id in &region.body {
            let node = program.node(id);
            match node.op {
                Opcode::Rare(number) => self.rare(&program.regions[usize::from(number)]),
                Opcode::Loop(number) => self.repeat(&program.regions[usize::from(number)]),
                Opcode::Merged | Opcode::State => {}
                _ => {
                    let value = self.compute(node);
                    self.set(id, value);
                }
            }
        }
    }

    fn rare(&mut self, region: &Region) {
        let is_any = region.mask.is_some_and(|mask| self.is_any(mask));
        if is_any {
            self.run(region);
        }
        for merge in &region.merges {
            let source = if is_any { merge.fresh } else { merge.old };
            self.set(merge.merged, self.get(source).to_vec());
        }
    }

    fn repeat(&mut self, region: &Region) {
        for (merge, &state) in region.merges.iter().zip(&region.states) {
            self.set(state, self.get(merge.old).to_vec());
        }
        while let Some(mask) = region.mask {
            self.run(region);
            let turn = region
                .merges
                .iter()
                .map(|merge| self.get(merge.fresh).to_vec());
            for (value, &state) in turn.collect::<Vec<_>>().into_iter().zip(&region.states) {
                self.set(state, value);
            }
            if !self.is_any(mask) {
                break;
            }
        }
        for (merge, &state) in region.merges.iter().zip(&region.states) {
            self.set(merge.merged, self.get(state).to_vec());
        }
    }

    fn select(&self, mask: Id, yes: Id, no: Id) -> Vec<u64> {
        let sides = self.get(yes).iter().zip(self.get(no));
        self.get(mask)
            .iter()
            .zip(sides)
            .map(|(&m, (&y, &n))| if m != 0 { y } else { n })
            .collect()
    }

    fn n_lanes(&self, elem: Elem) -> usize {
        let argument = &self.arguments[0];
        let is_wide = self.program.nodes[0].elem == elem;
        if is_wide {
            argument.len()
        } else {
            argument.len() / 2
        }
    }

    fn compute(&self, node: &Node) -> Vec<u64> {
        use Opcode as O;
        let elem = node.elem;
        let arg = |i: usize| self.get(node.arg(i));
        let map = |f: &dyn Fn(u64) -> u64| arg(0).iter().map(|&a| f(a)).collect::<Vec<u64>>();
        let zip = |f: &dyn Fn(u64, u64) -> u64| {
            arg(0)
                .iter()
                .zip(arg(1))
                .map(|(&a, &b)| f(a, b))
                .collect::<Vec<u64>>()
        };
        let map3 = |f: &dyn Fn(u64, u64, u64) -> u64| {
            let lanes = arg(0).iter().zip(arg(1)).zip(arg(2));
            lanes.map(|((&a, &b), &c)| f(a, b, c)).collect::<Vec<u64>>()
        };
        let float = |f: fn(f64, f64) -> f64, g: fn(f32, f32) -> f32| match elem {
            Elem::F64 => zip(&|a, b| f(f64::from_bits(a), f64::from_bits(b)).to_bits()),
            Elem::F32 => zip(&|a, b| u64::from(g(single(a), single(b)).to_bits())),
        };
        let fused = |f: fn(f64, f64, f64) -> f64, g: fn(f32, f32, f32) -> f32| {
            let lanes = arg(0).iter().zip(arg(1)).zip(arg(2));
            let one = |((&a, &b), &c): ((&u64, &u64), &u64)| match elem {
                Elem::F64 => f(f64::from_bits(a), f64::from_bits(b), f64::from_bits(c)).to_bits(),
                Elem::F32 => u64::from(g(single(a), single(b), single(c)).to_bits()),
            };
            lanes.map(one).collect()
        };
        let compare = |f: fn(f64, f64) -> bool| {
            zip(&|a, b| u64::from(f(as_double(a, elem), as_double(b, elem))))
        };
        let trim = |bits: u64| {
            if elem == Elem::F32 {
                bits & 0xffff_ffff
            } else {
                bits
            }
        };
        match node.op {
            O::Argument(i) => self.arguments[usize::from(i)].clone(),
            O::Constant(bits) => vec![bits; self.n_lanes(elem)],
            O::Add => float(|a, b| a + b, |a, b| a + b),
            O::Sub => float(|a, b| a - b, |a, b| a - b),
            O::Mul => float(|a, b| a * b, |a, b| a * b),
            O::Div => float(|a, b| a / b, |a, b| a / b),
            O::Min => float(
                |a, b| if a < b { a } else { b },
                |a, b| if a < b { a } else { b },
            ),
            O::Max => float(
                |a, b| if a > b { a } else { b },
                |a, b| if a > b { a } else { b },
            ),
            O::Sqrt => match elem {
                Elem::F64 => map(&|a| f64::from_bits(a).sqrt().to_bits()),
                Elem::F32 => map(&|a| u64::from(single(a).sqrt().to_bits())),
            },
            O::MulAdd => fused(f64::mul_add, f32::mul_add),
            O::MulSub => fused(|a, b, c| a.mul_add(b, -c), |a, b, c| a.mul_add(b, -c)),
            O::NegMulAdd => fused(|a, b, c| (-a).mul_add(b, c), |a, b, c| (-a).mul_add(b, c)),
            O::Truncate => map(&|a| from_double(as_double(a, elem).trunc(), elem)),
            O::Fraction => map(&|a| {
                let x = as_double(a, elem);
                from_double(x - x.round_ties_even(), elem)
            }),
            O::And => zip(&|a, b| a & b),
            O::Or => zip(&|a, b| a | b),
            O::Xor => zip(&|a, b| a ^ b),
            O::Limit => float(
                |a, b| if a.abs() < b { a } else { b.copysign(a) },
                |a, b| if a.abs() < b { a } else { b.copysign(a) },
            ),
            O::Larger => float(|a, b| a.abs().max(b.abs()), |a, b| a.abs().max(b.abs())),
            O::Reciprocal => map(&|a| from_double(reciprocal(as_double(a, elem)), elem)),
            O::OrAnd => map3(&|a, b, c| a | (b & c)),
            O::XorAnd => map3(&|a, b, c| a ^ (b & c)),
            O::AndNot => zip(&|a, b| !a & b),
            O::IntAdd => zip(&|a, b| trim(a.wrapping_add(b))),
            O::IntSub => zip(&|a, b| trim(a.wrapping_sub(b))),
            O::ShiftLeft(count) => map(&|a| trim(a << count)),
            O::ShiftRight(count) => map(&|a| a >> count),
            O::ShiftRightHalves(count) => map(&|a| {
                let half = |bits: u64| {
                    u64::from(((low_half(bits).cast_signed()) >> count).cast_unsigned())
                };
                trim(half(a) | half(a >> 32) << 32)
            }),
            O::Scale => zip(&|a, b| {
                let scaled = scale(as_double(a, elem), as_double(b, elem), elem);
                from_double(scaled, elem)
            }),
            O::Exponent => map(&|a| from_double(exponent(as_double(a, elem)), elem)),
            O::Significand => map(&|a| from_double(significand(as_double(a, elem)), elem)),
            O::CentredSignificand => map(&|a| {
                let significand = significand(as_double(a, elem));
                let halved = significand / 2.0;
                let centred = if significand >= 1.5 {
                    halved
                } else {
                    significand
                };
                from_double(centred, elem)
            }),
            O::Fixup => map3(&|a, b, table| fixup(a, b, table, elem)),
            O::Gather(number) => {
                let table = self.program.tables[usize::from(number)];
                map(&|a| {
                    usize::try_from(a)
                        .ok()
                        .and_then(|a| table.get(a))
                        .copied()
                        .unwrap_or(0)
                })
            }
            O::Lookup(number) => {
                let table = self.program.tables[usize::from(number)];
                let last = table.len() - 1;
                map(&|a| table[usize::try_from(a & last as u64).unwrap_or(0)])
            }
            O::WidenLow => {
                let half = &arg(0)[..arg(0).len() / 2];
                half.iter()
                    .map(|&a| f64::from(single(a)).to_bits())
                    .collect()
            }
            O::WidenHigh => {
                let half = &arg(0)[arg(0).len() / 2..];
                half.iter()
                    .map(|&a| f64::from(single(a)).to_bits())
                    .collect()
            }
            O::Narrow => {
                let both = arg(0).iter().chain(arg(1));
                both.map(|&a| from_double(f64::from_bits(a), Elem::F32))
                    .collect()
            }
            O::Compare(Predicate::Equal) => compare(|a, b| a == b),
            O::Compare(Predicate::Less) => compare(|a, b| a < b),
            O::Compare(Predicate::LessEqual) => compare(|a, b| a <= b),
            O::Compare(Predicate::Unordered) => compare(|a, b| a.is_nan() || b.is_nan()),
            O::Compare(Predicate::Differs) => compare(|a, b| a != b),
            O::Compare(Predicate::NotLess) => compare(|a, b| a.is_nan() || b.is_nan() || a >= b),
            O::TestBit(bit) => map(&|a| a >> bit & 1),
            O::MaskAnd => zip(&|a, b| a & b),
            O::MaskOr => zip(&|a, b| a | b),
            O::MaskAndNot => zip(&|a, b| (1 - a) & b),
            O::Select => self.select(node.arg(0), node.arg(1), node.arg(2)),
            O::Rare(_) | O::Loop(_) | O::Merged | O::State => {
                unreachable!("regions are run, not computed")
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is asked for"
)]
fn low_half(bits: u64) -> u32 {
    bits as u32
}

fn single(bits: u64) -> f32 {
    f32::from_bits(low_half(bits))
}

/// `x · 2^⌊n⌋`, rounded once: the steps before the last are exact.
fn scale(x: f64, n: f64, elem: Elem) -> f64 {
    let n = n.floor();
    if elem == Elem::F32 {
        // A double holds every scaled single; rounding is the caller's.
        return x * n.clamp(-500.0, 500.0).exp2();
    }
    if n.is_nan() {
        return n;
    }
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let significand = f64::from_bits(normalised(x).0 & !EXPONENT | 1.0_f64.to_bits());
    let n = n + exponent(x);
    if n > 1023.0 {
        significand * 1023.0_f64.exp2() * (n - 1023.0).min(2.0).exp2()
    } else if n >= -1022.0 {
        significand * n.exp2()
    } else {
        significand * (-1022.0_f64).exp2() * (n + 1022.0).max(-60.0).exp2()
    }
}

/// The bits of the exponent.
const EXPONENT: u64 = 0x7ff << 52;

/// The bits of a finite `x`, scaled by a power of two where it is subnormal, and that power.
fn normalised(x: f64) -> (u64, f64) {
    if x.abs() < f64::MIN_POSITIVE {
        ((x * 54.0_f64.exp2()).to_bits(), 54.0)
    } else {
        (x.to_bits(), 0.0)
    }
}

fn exponent(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x.is_infinite() {
        f64::INFINITY
    } else if x == 0.0 {
        f64::NEG_INFINITY
    } else {
        let (bits, offset) = normalised(x);
        #[expect(clippy::cast_precision_loss, reason = "an exponent has 11 bits")]
        let biased = ((bits & EXPONENT) >> 52) as f64;
        biased - 1023.0 - offset
    }
}

/// The magnitude's significand in [1, 2); of zero and infinity, 1.
fn significand(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x == 0.0 || x.is_infinite() {
        return 1.0;
    }
    f64::from_bits(normalised(x.abs()).0 & !EXPONENT | 1.0_f64.to_bits())
}

/// `1 / x` to 14 bits: the processor's differs, but what is made of it must not.
fn reciprocal(x: f64) -> f64 {
    let error = if x.to_bits() & 1 == 0 { 1.0 } else { -1.0 } / 17_000.0;
    (1.0 + error) / x
}

/// `VFIXUPIMMPD`: the class of `b` chooses one of eight digits of the table, which says what
/// replaces `a`.
fn fixup(a: u64, b: u64, table: u64, elem: Elem) -> u64 {
    let x = as_double(b, elem);
    let class = match x {
        _ if x.is_nan() => 0,
        0.0 => 2,
        1.0 => 3,
        f64::NEG_INFINITY => 4,
        f64::INFINITY => 5,
        _ if x < 0.0 => 6,
        _ => 7,
    };
    let special = match (table >> (4 * class)) & 15 {
        0 => return a,
        1 | 2 => return b,
        3 => f64::NAN,
        4 => f64::NEG_INFINITY,
        5 => f64::INFINITY,
        7 => -0.0,
        8 => 0.0,
        9 => -1.0,
        10 => 1.0,
        response => unreachable!("response {response} is not used"),
    };
    from_double(special, elem)
}
