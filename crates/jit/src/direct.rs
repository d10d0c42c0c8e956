//! Trees straight from their postfix, without the detour of a tape and without a branch a node.
//!
//! In a random tree nobody can predict whether the next node is an operator or a leaf, which
//! operator it is, or whether its operands lie in memory. A branch on any of these is mispredicted
//! every other time, and that costs more than all the rest of compiling the node. So nodes go
//! through two loops without one:
//!
//! ```text
//! survey  every node: its operand (memory or register); which two values each operator takes
//! emit    every operator: its instruction
//! ```
//!
//! One branch is left, where a tree calls routines: a call and an instruction have little in common.
//! A table says what differs between operators. What one of them does not need is written as well,
//! but the position does not move. Giving out registers is easy in postfix order: the values that
//! operators have computed are a stack, and the height of a value is its register.
//!
//! Operators of one instruction and calls of routines with one or two arguments are compiled here.
//! Everything else (longer operators, long trees, more values than registers, processors without
//! VEX) is declined and left to `lower`.

use std::hint::select_unpredictable as select;
use std::sync::OnceLock;

use opcodon_asm::{AsmError, Assembler, Cursor, Encoding, Inst, Mem, Operand, Template, gpr};
use opcodon_expr::{Node, Op};

use crate::divider::n_quotients;
use crate::machine::{MACHINES, Machine, Rows, number, offset};
use crate::panel::stride;
use crate::vmath::Routines;
use crate::{Float, JitError, Tier};

/// Values are numbered by their nodes, in a byte, so that no index needs a check.
const VALUES: usize = 256;

/// What code begins at a multiple of.
pub(crate) const ALIGNMENT: usize = 64;

/// Longest tree; the highest numbers are those of fixed operands.
const MAX_NODES: usize = 248;

/// Where operands are in their table: constants and literals, columns, registers.
const COLUMNS: usize = 256;
const REGISTERS: usize = 512;
const OPERANDS: usize = 1024;

/// The place of register 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "below the number of operands"
)]
const NO_VALUE: u16 = REGISTERS as u16;

/// Columns beyond have no operand in the table.
const MAX_COLUMNS: usize = REGISTERS - COLUMNS;

/// The first register that values may take; the others follow.
const FIRST: u8 = 3;

/// With two or three vectors of rows at a time, registers for the values of one of them. Trees that
/// need but two are mostly chains of calls, and gain by a third vector; in others there is enough side
/// by side.
const PAIRED: u8 = 5;
const TRIPLED: u8 = 2;

/// Rows from which on two and three pay.
const MANY_ROWS: usize = 96;
const MORE_ROWS: usize = 500;

/// The register of the tree's value for each of several vectors of rows.
pub(crate) fn result(n_vectors: u8, vector: u8) -> u8 {
    FIRST + vector * if n_vectors == 3 { TRIPLED } else { PAIRED }
}

/// An operand of an instruction, by its place in the word of an [`Operator`].
#[derive(Clone, Copy, Debug)]
struct Pick {
    /// The bits of the word that count; none for a fixed operand.
    shift: u8,
    fixed: u8,
}

/// The operator's only or second operand, and its first of two.
const TOP: Pick = operand_at(8);
const SECOND: Pick = operand_at(16);
/// Register 0, where an instruction has no such operand.
const NOTHING: Pick = fixed(255);
/// Literals, in the order in which they follow a tree's constants.
const SIGN: Pick = fixed(250);
const MAGNITUDE: Pick = fixed(251);
const ONE: Pick = fixed(252);

const fn operand_at(shift: u8) -> Pick {
    Pick { shift, fixed: 0 }
}

const fn fixed(fixed: u8) -> Pick {
    Pick { shift: 63, fixed }
}

impl Pick {
    #[inline(always)]
    fn of(self, operator: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "takes one byte")]
        let number = (operator >> self.shift) as u8;
        usize::from(number | self.fixed)
    }
}

/// How one operator is compiled.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The instruction; of no use to a routine.
    main: Template,
    /// Where the routines for one, two and three vectors are, or 0: seen from the beginning of the
    /// code, before which all routines stand.
    routines: [u32; 3],
    /// The instruction's second and third operands.
    v: Pick,
    rm: Pick,
    /// A routine's second argument.
    second: Pick,
    /// The second and third operands may change places.
    commutes: bool,
}

/// What the survey asks about a kind of node.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// How much higher the stack is after it.
    step: u8,
    /// Bits of [`fact`].
    facts: u8,
}

/// Facts about nodes of which a survey keeps the union.
mod fact {
    /// Is no leaf, and compiled here.
    pub(super) const OPERATOR: u8 = 1;
    pub(super) const BINARY: u8 = 2;
    pub(super) const LITERAL: u8 = 4;
    pub(super) const CALL: u8 = 8;
    pub(super) const DECLINED: u8 = 16;
    pub(super) const DIVISION: u8 = 32;
}

/// What there is to know of one machine; made once a process.
#[derive(Debug)]
struct Tables {
    /// By [`kind`].
    kinds: [Kind; VALUES],
    rows: [Row; VALUES],
    /// The routines, which stand before the code that calls them: a call by a distance is five bytes and
    /// goes straight there.
    routines: &'static [u8],
    /// Rows from which on it pays to take quotients from the divider.
    shared_rows: Option<usize>,
    /// Loads of operands that are vectors and that are broadcast elements.
    loads: [Template; 2],
    operands: [Operand; OPERANDS],
    /// The same for the next vectors of rows, in registers of their own: the second of two, the
    /// second and the third of three.
    next_operands: [[Operand; OPERANDS]; 3],
}

/// The compiler's memory.
#[derive(Debug)]
pub(crate) struct Direct {
    tables: &'static Tables,
    /// How many rows the kernels are expected to run over.
    pub(crate) n_rows: usize,
    /// The numbers of values that wait for their operator, and whether operators computed them.
    stack: [(u8, u8); VALUES],
    /// Where the values are in the table of operands, by node.
    values: [u16; VALUES],
    /// The operators: kind, second operand, first, and the register of the value, a byte each.
    operators: [u32; VALUES],
    /// The bits of the constants.
    constants: [u64; VALUES],
}

/// What a tree asks of its kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survey {
    /// One more than the highest input that is read.
    pub(crate) n_columns: usize,
    pub(crate) n_constants: usize,
    n_operators: usize,
    n_registers: u32,
    facts: u8,
}

impl Survey {
    /// Whether routines are called.
    pub(crate) fn calls(self) -> bool {
        self.facts & fact::CALL != 0
    }
}

impl Tables {
    fn new<M: Machine>(encoding: Encoding) -> Result<Tables, JitError> {
        let template = |inst| Template::new(inst, encoding, M::WIDTH);
        let load = template(M::ROWS.load)?;
        let broadcast = match encoding {
            Encoding::Evex => template(M::ROWS.broadcast)?.without_broadcast(),
            Encoding::Vex | Encoding::Sse => load,
        };
        let none = Row {
            main: load,
            routines: [0; 3],
            v: NOTHING,
            rm: NOTHING,
            second: NOTHING,
            commutes: false,
        };
        let leaf = Kind { step: 1, facts: 0 };
        let (mut rows, mut kinds) = ([none; VALUES], [leaf; VALUES]);
        let routines = Routines::get::<M::T>(M::TIER.isa(), M::WIDTH);
        let end = routines.code.len().next_multiple_of(ALIGNMENT);
        let places = |op| {
            let entries = routines.entries(op);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "distances wrap, and routines are short"
            )]
            let place = |entry: usize| entry.wrapping_sub(end) as u32;
            entries[0]
                .is_some()
                .then(|| entries.map(|entry| entry.map_or(0, place)))
        };
        for (kind, &op) in Op::ALL.iter().enumerate() {
            let arity = u8::try_from(op.arity()).expect("at most three");
            let facts;
            (rows[kind], facts) = operator(op, none, M::ROWS, places, template)?;
            kinds[kind] = Kind {
                step: 1u8.wrapping_sub(arity),
                facts,
            };
        }
        let shared_rows = match M::TIER {
            Tier::Avx512 if M::T::SIZE == 8 => Some(300),
            Tier::Avx512 => Some(1000),
            Tier::Sse2 | Tier::Avx2 => None,
        };
        if let Some(routines) = shared_rows.and_then(|_| places(Op::Div)) {
            let quotient = Row {
                routines,
                second: TOP,
                ..none
            };
            rows[usize::from(QUOTIENT)] = Row {
                rm: SECOND,
                ..quotient
            };
            rows[usize::from(INVERSE)] = Row {
                rm: ONE,
                ..quotient
            };
        }
        let operands = |ahead: usize, shift: u8| -> Result<[Operand; OPERANDS], JitError> {
            let mut operands = [Operand::register(0); OPERANDS];
            let operand = |place| Operand::new(M::ROWS.add, encoding, M::WIDTH, place);
            for (k, place) in operands[..COLUMNS].iter_mut().enumerate() {
                let constant = Mem::base(gpr::RSI).disp(offset(k * M::SLOT));
                *place = operand(M::constant(constant))?;
            }
            for (column, place) in operands[COLUMNS..REGISTERS].iter_mut().enumerate() {
                let start = column * stride::<M::T>() + ahead;
                *place = operand(Mem::base(gpr::RDI).disp(offset(start)).into())?;
            }
            for register in FIRST..32 - shift {
                operands[REGISTERS + usize::from(register)] = Operand::register(register + shift);
            }
            Ok(operands)
        };
        Ok(Tables {
            kinds,
            rows,
            routines: &routines.code,
            shared_rows,
            loads: [load, broadcast],
            operands: operands(0, 0)?,
            next_operands: [
                operands(M::BYTES, PAIRED)?,
                operands(M::BYTES, TRIPLED)?,
                operands(2 * M::BYTES, 2 * TRIPLED)?,
            ],
        })
    }

    /// The tables of a machine; none if it has neither VEX nor EVEX encodings.
    fn get<M: Machine>() -> Result<Option<&'static Tables>, JitError> {
        static CELLS: [OnceLock<Box<Tables>>; MACHINES] = [const { OnceLock::new() }; MACHINES];
        let Some(encoding) = M::ENCODING else {
            return Ok(None);
        };
        let cell = &CELLS[number::<M>()];
        if let Some(tables) = cell.get() {
            return Ok(Some(tables));
        }
        let tables = Box::new(Tables::new::<M>(encoding)?);
        Ok(Some(cell.get_or_init(|| tables)))
    }
}

impl Direct {
    /// A compiler for a machine, if it has instructions of three operands.
    pub(crate) fn new<M: Machine>() -> Result<Option<Box<Direct>>, JitError> {
        let Some(tables) = Tables::get::<M>()? else {
            return Ok(None);
        };
        Ok(Some(Box::new(Direct {
            tables,
            n_rows: usize::MAX,
            stack: [(0, 0); VALUES],
            values: [NO_VALUE; VALUES],
            operators: [0; VALUES],
            constants: [0; VALUES],
        })))
    }

    /// What must stand right before the code, which begins at a multiple of [`ALIGNMENT`], as does this.
    pub(crate) fn routines(&self) -> &'static [u8] {
        self.tables.routines
    }

    /// How many vectors of rows are better computed at a time. What a routine does is one long chain
    /// of instructions, each of which waits for the one before, and the processor does not look far
    /// enough ahead to begin with the next rows; of plain arithmetic it sees dozens of rows at once.
    /// Of few rows, computing does not gain what compiling several times as much costs.
    pub(crate) fn n_vectors<M: Machine>(&self, survey: Survey) -> u8 {
        let n_registers = survey.n_registers;
        if M::TIER != Tier::Avx512 || !survey.calls() || self.n_rows < MANY_ROWS {
            1
        } else if n_registers <= u32::from(TRIPLED) && self.n_rows >= MORE_ROWS {
            3
        } else if n_registers <= u32::from(PAIRED) {
            2
        } else {
            1
        }
    }

    /// Lists a tree's values and operators and appends its constants; `None`, and nothing
    /// appended, if the tree is not for this compiler.
    #[inline]
    pub(crate) fn survey<T: Float>(
        &mut self,
        tree: &[Node],
        constants: &mut Vec<T>,
    ) -> Option<Survey> {
        if tree.len() > MAX_NODES {
            return None;
        }
        // Every node writes where the next constant and operator belong; one that is none does not
        // move on.
        let (mut n_constants, mut n_operators, mut top) = (0u8, 0u8, 0u8);
        let (mut n_columns, mut all) = (0, 0);
        // Values that operators computed are a stack of their own, of registers.
        let (mut height, mut highest) = (0u8, 0u8);
        for (node, number) in tree.iter().zip(0u8..) {
            let kind = kind(*node);
            let Kind { step, facts } = self.tables.kinds[usize::from(kind)];
            all |= facts;
            let (is_operator, is_binary) = (facts & fact::OPERATOR, facts >> 1 & 1);
            let (a, a_computed) = self.stack[usize::from(top.wrapping_sub(2))];
            let (b, b_computed) = self.stack[usize::from(top.wrapping_sub(1))];
            height -= (a_computed & is_binary) + (b_computed & is_operator);
            let register = FIRST + height;
            height += is_operator;
            highest = highest.max(height);
            let entry = u32::from_le_bytes([kind, b, a, register]);
            self.operators[usize::from(n_operators)] = entry;
            n_operators += is_operator;

            let is_constant = matches!(node, Node::Const(_));
            self.constants[usize::from(n_constants)] = bits(*node);
            let column = column(*node);
            n_columns = n_columns.max(column);
            let [low, ..] = column.wrapping_sub(1).to_le_bytes();
            let leaf = COLUMNS + usize::from(low);
            let leaf = select(is_constant, usize::from(n_constants), leaf);
            n_constants += u8::from(is_constant);
            let place = select(is_operator != 0, REGISTERS + usize::from(register), leaf);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "places are fewer than 1024"
            )]
            {
                self.values[usize::from(number)] = place as u16;
            }

            top = top.wrapping_add(step);
            self.stack[usize::from(top.wrapping_sub(1))] = (number, is_operator);
        }
        let n_columns = usize::try_from(n_columns)
            .ok()
            .filter(|&n| n <= MAX_COLUMNS)?;
        if all & fact::DECLINED != 0 {
            return None;
        }
        let own = self.constants[..usize::from(n_constants)].iter();
        constants.extend(own.map(|&bits| T::from_f64(f64::from_bits(bits))));
        let may_share = all & fact::DIVISION != 0 && self.shares_divisions();
        if may_share && self.share_divisions::<T>(n_operators) {
            all |= fact::CALL;
        }
        if all & fact::LITERAL != 0 {
            constants.extend([T::from_f64(-0.0), T::magnitude_mask(), T::from_f64(1.0)]);
            let literals = self.values[usize::from(SIGN.fixed)..].iter_mut();
            for (literal, place) in literals.take(3).zip(u16::from(n_constants)..) {
                *literal = place;
            }
        }
        let (n_constants, n_operators) = (usize::from(n_constants), usize::from(n_operators));
        Some(Survey {
            n_columns,
            n_constants,
            n_operators,
            n_registers: u32::from(highest),
            facts: all,
        })
    }

    /// Whether it pays to take quotients from the divider.
    pub(crate) fn shares_divisions(&self) -> bool {
        (self.tables.shared_rows).is_some_and(|n_rows| self.n_rows >= n_rows)
    }

    /// Takes from the divider as many quotients as the multipliers have time for, if any.
    fn share_divisions<T: Float>(&mut self, n_operators: u8) -> bool {
        let operators = &mut self.operators[..usize::from(n_operators)];
        let does = |operator: u32, fact| {
            let [kind, ..] = operator.to_le_bytes();
            self.tables.kinds[usize::from(kind)].facts & fact != 0
        };
        let count = |fact| operators.iter().filter(|&&o| does(o, fact)).count();
        let n = n_quotients::<T>(count(fact::DIVISION), count(fact::CALL), operators.len());
        let divisions = operators.iter_mut().filter(|o| does(**o, fact::DIVISION));
        for operator in divisions.take(n) {
            let is_binary = *operator & 0xff == Op::Div as u32;
            let kind = if is_binary { QUOTIENT } else { INVERSE };
            *operator = *operator & !0xff | u32::from(kind);
        }
        n > 0
    }

    /// Emits the code of the tree that was surveyed. Its value goes to register 0, or of several
    /// vectors of rows to the registers that [`result`] names. `registers` is the set that values may
    /// take. Nothing is emitted if they are not enough.
    pub(crate) fn emit<M: Machine>(
        &mut self,
        asm: &mut Assembler,
        survey: Survey,
        registers: u32,
        n_vectors: u8,
    ) -> bool {
        if survey.n_registers > (registers >> FIRST).trailing_ones() {
            return false;
        }
        if let Some(last) = survey.n_operators.checked_sub(1)
            && n_vectors == 1
        {
            self.operators[last] &= 0xff_ffff;
        }
        // An instruction is up to 10 bytes long; a call with its moves takes up to 31.
        asm.append_with(16 + 93 * survey.n_operators, |cursor| {
            // Not captured, so that it is a constant.
            let encoding = M::ENCODING.unwrap_or(Encoding::Evex);
            let Tables {
                operands,
                next_operands,
                ..
            } = self.tables;
            let operators = &self.operators[..survey.n_operators];
            if operators.is_empty() {
                let leaf = operands[usize::from(self.values[0])];
                let load = self.tables.loads[usize::from(leaf.is_broadcast())];
                cursor.fill(encoding, load, 0, 0, leaf, true);
            } else if n_vectors == 2 {
                let operands = [(operands, 0), (&next_operands[0], PAIRED)];
                for &operator in operators {
                    self.operator::<true, 2>(cursor, encoding, operator, operands);
                }
            } else if n_vectors == 3 {
                let [_, next, last] = next_operands;
                let operands = [(operands, 0), (next, TRIPLED), (last, 2 * TRIPLED)];
                for &operator in operators {
                    self.operator::<true, 3>(cursor, encoding, operator, operands);
                }
            } else if survey.calls() {
                for &operator in operators {
                    self.operator::<true, 1>(cursor, encoding, operator, [(operands, 0)]);
                }
            } else {
                for &operator in operators {
                    self.operator::<false, 1>(cursor, encoding, operator, [(operands, 0)]);
                }
            }
        });
        true
    }

    /// Emits one operator for each set of operands, whose results are so many registers ahead.
    #[inline(always)]
    fn operator<const CALLS: bool, const N: usize>(
        &self,
        cursor: &mut Cursor<'_>,
        encoding: Encoding,
        operator: u32,
        sets: [(&[Operand; OPERANDS], u8); N],
    ) {
        let Tables { rows, loads, .. } = self.tables;
        let [kind, _, _, dst] = operator.to_le_bytes();
        let row = &rows[usize::from(kind)];
        let operator = u64::from(operator);
        let place = |pick: Pick| usize::from(self.values[pick.of(operator)]) % OPERANDS;
        // The sets differ in registers and distances, not in what is in memory.
        let kinds = sets[0].0;
        let load_of = |place: usize| loads[usize::from(kinds[place].is_broadcast())];
        let (v, rm) = (place(row.v), place(row.rm));
        // One branch, mispredicted as it may be, costs less than writing for every set what calls
        // and instructions do not share.
        if CALLS && N > 1 && row.routines[N - 1] != 0 {
            for (register, (operands, _)) in (0..).zip(sets) {
                cursor.fill(encoding, load_of(rm), register, 0, operands[rm], true);
            }
            cursor.fill_call(row.routines[N - 1]);
            for (register, (_, shift)) in (0..).zip(sets) {
                let result = Operand::register(register);
                cursor.fill(encoding, loads[0], dst + shift, 0, result, true);
            }
            return;
        }
        if CALLS && row.routines[0] != 0 {
            let (is_second, second) = (row.second.fixed == 0, place(row.second));
            for (operands, shift) in sets {
                let dst = dst + shift;
                cursor.fill(encoding, load_of(second), 1, 0, operands[second], is_second);
                cursor.fill(encoding, load_of(rm), 0, 0, operands[rm], true);
                cursor.fill_call(row.routines[0]);
                cursor.fill(encoding, loads[0], dst, 0, Operand::register(0), dst != 0);
            }
            return;
        }
        // The second operand must be a register.
        let swap = row.commutes & kinds[v].is_memory() & !kinds[rm].is_memory();
        let (v, rm) = (select(swap, rm, v), select(swap, v, rm));
        let is_loaded = kinds[v].is_memory();
        for (operands, shift) in sets {
            cursor.fill(encoding, load_of(v), 2, 0, operands[v], is_loaded);
            let v = select(is_loaded, 2, operands[v].number());
            cursor.fill(encoding, row.main, dst + shift, v, operands[rm], true);
        }
    }
}

/// How an operator is compiled, and the facts about it.
fn operator(
    op: Op,
    none: Row,
    rows: &Rows,
    places: impl Fn(Op) -> Option<[u32; 3]>,
    template: impl Fn(&'static Inst) -> Result<Template, AsmError>,
) -> Result<(Row, u8), JitError> {
    let is_binary = op.arity() == 2;
    let arity = fact::OPERATOR | if is_binary { fact::BINARY } else { 0 };
    let (inst, v, rm) = match op {
        Op::Add => (rows.add, SECOND, TOP),
        Op::Sub => (rows.sub, SECOND, TOP),
        Op::Mul => (rows.mul, SECOND, TOP),
        Op::Div => (rows.div, SECOND, TOP),
        Op::Square => (rows.mul, TOP, TOP),
        Op::Sqrt => (rows.sqrt, NOTHING, TOP),
        Op::Neg => (rows.xor, TOP, SIGN),
        Op::Abs => (rows.and, TOP, MAGNITUDE),
        Op::Inv => (rows.div, ONE, TOP),
        // These are short, but not one instruction.
        Op::Cube | Op::Fma | Op::Round | Op::Floor | Op::Ceil => {
            return Ok((none, fact::DECLINED));
        }
        _ => {
            if op.arity() > 2 {
                return Ok((none, fact::DECLINED));
            }
            let Some(routines) = places(op) else {
                return Ok((none, fact::DECLINED));
            };
            let row = Row {
                routines,
                rm: if is_binary { SECOND } else { TOP },
                second: if is_binary { TOP } else { NOTHING },
                ..none
            };
            return Ok((row, fact::CALL | arity));
        }
    };
    let division = matches!(op, Op::Div | Op::Inv);
    let division = if division { fact::DIVISION } else { 0 };
    let row = Row {
        main: template(inst)?,
        v,
        rm,
        commutes: op.is_commutative(),
        ..none
    };
    let literals = [SIGN, MAGNITUDE, ONE].map(|pick| pick.fixed);
    let has_literal = literals.contains(&v.fixed) || literals.contains(&rm.fixed);
    let literal = if has_literal { fact::LITERAL } else { 0 };
    Ok((row, arity | division | literal))
}

/// The kind of all leaves; operators are numbered in their order.
pub(crate) const LEAF: u8 = u8::MAX;

/// Quotients and inverses by multiplications.
const QUOTIENT: u8 = 254;
const INVERSE: u8 = 253;

#[inline(always)]
pub(crate) fn kind(node: Node) -> u8 {
    // What an operator and a variable hold lies at the same place, so it is read without asking.
    let content = match node {
        Node::Op(op) => op as u32,
        Node::Var(column) => column,
        Node::Const(_) => 0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "operators are few")]
    select(matches!(node, Node::Op(_)), content as u8, LEAF)
}

/// One more than the column of a variable, else 0.
#[inline(always)]
pub(crate) fn column(node: Node) -> u64 {
    let column = match node {
        Node::Var(column) => u64::from(column),
        Node::Const(_) | Node::Op(_) => u64::MAX,
    };
    column.wrapping_add(1)
}

/// The bits of the number that a constant is, else any.
#[inline(always)]
pub(crate) fn bits(node: Node) -> u64 {
    match node {
        Node::Const(value) => value.to_bits(),
        Node::Var(_) | Node::Op(_) => 0,
    }
}
