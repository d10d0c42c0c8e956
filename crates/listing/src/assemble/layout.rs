//! Statements to bytes: where everything stands, and how long it is.
//!
//! The length of a branch depends on where its target stands, which depends on the lengths of the
//! branches between. So everything begins as short as it can be; then places are counted, and
//! whatever does not reach takes its next, longer encoding, until nothing changes. An encoding is
//! never taken back, so there is an end, and what is there then is the shortest that reaches;
//! alignment can make it a little longer, since padding may take up what a branch has grown by.

use std::ops::Range;

use super::MAX_LEN;
use super::choose::{choose, misfit_fault};
use super::error::{AssembleErrorKind as Kind, Fault, fault};
use super::expr::{Expr, Scope};
use super::fit::Candidate;
use super::kinds::is_branch;
use super::place::Place;
use super::program::{Body, Program, Statement, Value, Written};
use super::symbols::{Definition, Symbols};

/// Rounds after which lengths that depend on themselves are given up.
const MAX_ROUNDS: usize = 1000;

/// What is known of a statement.
struct Item {
    /// Its encodings in order and how long each is, and which is taken; of an instruction only.
    candidates: Vec<(Candidate, usize)>,
    taken: usize,
    /// The bytes of an instruction that are the same wherever it stands.
    fixed: Option<Vec<u8>>,
}

/// The values of all names in one layout, and where a statement stands.
struct Values<'a> {
    symbols: &'a Symbols,
    names: &'a [i128],
    here: i128,
    start: i128,
}

impl Scope for Values<'_> {
    fn name(&self, index: usize) -> Result<i128, Fault> {
        Ok(self.names[self.symbols.meant(index)])
    }

    fn here(&self) -> (i128, i128) {
        (self.here, self.start)
    }
}

struct Layout<'a> {
    program: &'a Program,
    symbols: &'a Symbols,
    origin: u64,
    items: Vec<Item>,
    /// The offset of each statement, and of the end.
    offsets: Vec<usize>,
    names: Vec<i128>,
}

/// The bytes of a program that starts at `origin`.
pub(super) fn layout(
    program: &Program,
    symbols: &Symbols,
    origin: u64,
    text: &str,
) -> Result<Vec<u8>, Fault> {
    let mut layout = Layout {
        program,
        symbols,
        origin,
        items: Vec::new(),
        offsets: vec![0; program.statements.len() + 1],
        names: vec![i128::from(origin); symbols.len()],
    };
    layout.evaluate(true)?;
    for statement in &program.statements {
        let item = layout.item(statement, text)?;
        layout.items.push(item);
    }
    for round in 0.. {
        let has_moved = layout.count(round == 0)?;
        let has_grown = layout.grow()?;
        if !has_moved && !has_grown {
            break;
        }
        if round == MAX_ROUNDS {
            // Branches only grow, so what goes on must be a statement that depends on its length.
            let culprit = program.statements.iter().find(|statement| {
                !matches!(statement.body, Body::Instruction(_)) || statement.times.is_some()
            });
            let span = culprit.map_or(0..0, |statement| statement.span.clone());
            return Err(fault(Kind::Unsettled, &span));
        }
    }
    layout.emit()
}

impl Layout<'_> {
    fn address(&self, offset: usize) -> u64 {
        self.origin.wrapping_add(offset as u64)
    }

    fn values(&self, address: u64) -> Values<'_> {
        Values {
            symbols: self.symbols,
            names: &self.names,
            here: i128::from(address),
            start: i128::from(self.origin),
        }
    }

    /// Computes labels and constants from the places of the statements.
    fn evaluate(&mut self, is_guess: bool) -> Result<(), Fault> {
        for index in 0..self.symbols.len() {
            if let Some(Definition::Label(statement)) = self.symbols.definition(index) {
                let value = i128::from(self.address(self.offsets[*statement]));
                let meant = self.symbols.meant(index);
                self.names[meant] = value;
            }
        }
        for &index in &self.symbols.order {
            if let Some(Definition::Constant(expr, statement)) = self.symbols.definition(index) {
                let address = self.address(self.offsets[*statement]);
                self.names[index] = match expr.value(&self.values(address)) {
                    Err(_) if is_guess && !self.symbols.is_constant(index) => 0,
                    value => value?,
                };
            }
        }
        Ok(())
    }

    fn item(&self, statement: &Statement, text: &str) -> Result<Item, Fault> {
        let mut item = Item {
            candidates: Vec::new(),
            taken: 0,
            fixed: None,
        };
        let Body::Instruction(written) = &statement.body else {
            return Ok(item);
        };
        let scope = self.values(self.origin);
        let place = Place {
            scope: &scope,
            symbols: self.symbols,
            address: self.origin,
            is_guess: true,
        };
        item.candidates = choose(written, &place, text)?;
        if self.is_placeless(written) {
            let (bytes, _) = item.candidates[0]
                .0
                .encode(written, &place)
                .map_err(|misfit| misfit_fault(misfit, &written.name, &written.span))?;
            item.fixed = Some(bytes);
        }
        Ok(item)
    }

    /// Whether an instruction has the same bytes wherever it stands.
    fn is_placeless(&self, written: &Written) -> bool {
        let is_constant = |expr: &Expr| expr.is_constant(|name| self.symbols.is_constant(name));
        let is_branch = written.mnemonic.codes.iter().any(|&code| is_branch(code));
        written.operands.iter().all(|operand| match &operand.value {
            Value::Register(_) => true,
            Value::Immediate(immediate) => !is_branch && is_constant(&immediate.expr),
            Value::Memory(memory) => {
                !memory.relative && memory.displacement.iter().all(is_constant)
            }
        })
    }

    /// Counts where everything stands; whether that has changed.
    fn count(&mut self, is_first: bool) -> Result<bool, Fault> {
        let mut has_moved = is_first;
        let mut offset = 0_usize;
        for index in 0..self.items.len() {
            has_moved |= self.offsets[index] != offset;
            self.offsets[index] = offset;
            let length = self.length(index, offset, is_first)?;
            offset = offset.saturating_add(length);
            if offset > MAX_LEN {
                return Err(fault(Kind::TooLong, &self.program.statements[index].span));
            }
        }
        has_moved |= self.offsets[self.items.len()] != offset;
        self.offsets[self.items.len()] = offset;
        self.evaluate(is_first)?;
        Ok(has_moved)
    }

    /// A number of things that is not negative; where addresses are a guess, none if it has none.
    fn how_many(&self, expr: &Expr, offset: usize, is_guess: bool) -> Result<usize, Fault> {
        let is_constant = expr.is_constant(|name| self.symbols.is_constant(name));
        match expr.value(&self.values(self.address(offset))) {
            Err(_) if is_guess && !is_constant => Ok(0),
            Err(fault) => Err(fault),
            Ok(value) => match usize::try_from(value) {
                Ok(value) => Ok(value),
                Err(_) if is_guess && !is_constant => Ok(0),
                Err(_) => {
                    let place = "a count, which starts at 0";
                    Err(fault(Kind::OutOfRange { value, place }, &expr.span))
                }
            },
        }
    }

    fn length(&self, index: usize, offset: usize, is_guess: bool) -> Result<usize, Fault> {
        let statement = &self.program.statements[index];
        let item = &self.items[index];
        let once = match &statement.body {
            Body::Instruction(_) => item.candidates[item.taken].1,
            Body::Numbers(width, numbers) => width * numbers.len(),
            Body::Bytes(bytes) => bytes.len(),
            Body::Align(to, _) => {
                let to_value = self.how_many(to, offset, is_guess)?;
                if to_value == 0 || !to_value.is_power_of_two() {
                    let kind = Kind::OutOfRange {
                        value: i128::try_from(to_value).unwrap_or(i128::MAX),
                        place: "an alignment, which is a power of two",
                    };
                    return Err(fault(kind, &to.span));
                }
                let address = self.address(offset);
                let distance = address.wrapping_neg() & (to_value as u64 - 1);
                usize::try_from(distance).unwrap_or(usize::MAX)
            }
            Body::Fill { count, width, .. } => self
                .how_many(count, offset, is_guess)?
                .saturating_mul(*width),
        };
        let times = match &statement.times {
            None => 1,
            Some(times) => self.how_many(times, offset, is_guess)?,
        };
        Ok(once.saturating_mul(times))
    }

    /// Where a statement stands each time that it is there.
    fn copies(&self, index: usize) -> impl Iterator<Item = u64> + use<> {
        let start = self.offsets[index];
        let item = &self.items[index];
        let length = item.candidates.get(item.taken).map_or(0, |row| row.1);
        let end = self.offsets[index + 1];
        let origin = self.origin;
        (start..end)
            .step_by(length.max(1))
            .map(move |offset| origin.wrapping_add(offset as u64))
    }

    /// Gives every instruction that does not reach its next encoding; whether there was one.
    fn grow(&mut self) -> Result<bool, Fault> {
        let mut has_grown = false;
        for index in 0..self.items.len() {
            let Body::Instruction(written) = &self.program.statements[index].body else {
                continue;
            };
            let item = &self.items[index];
            if item.fixed.is_some() {
                continue;
            }
            for address in self.copies(index) {
                let scope = self.values(address);
                let place = Place {
                    scope: &scope,
                    symbols: self.symbols,
                    address,
                    is_guess: false,
                };
                let taken = self.items[index].taken;
                let candidates = &self.items[index].candidates;
                let encoded = candidates[taken].0.encode(written, &place);
                if let Err(misfit) = encoded {
                    if taken + 1 == candidates.len() {
                        return Err(misfit_fault(misfit, &written.name, &written.span));
                    }
                    self.items[index].taken += 1;
                    has_grown = true;
                    break;
                }
            }
        }
        Ok(has_grown)
    }

    fn emit(&self) -> Result<Vec<u8>, Fault> {
        let mut code = Vec::with_capacity(self.offsets[self.items.len()]);
        for (index, statement) in self.program.statements.iter().enumerate() {
            let length = self.offsets[index + 1] - self.offsets[index];
            let scope = self.values(self.address(self.offsets[index]));
            let item = &self.items[index];
            match &statement.body {
                Body::Instruction(written) => match &item.fixed {
                    Some(bytes) => repeat(&mut code, bytes, length),
                    None => {
                        for address in self.copies(index) {
                            let scope = self.values(address);
                            let place = Place {
                                scope: &scope,
                                symbols: self.symbols,
                                address,
                                is_guess: false,
                            };
                            let encoded = item.candidates[item.taken].0.encode(written, &place);
                            let encoded = encoded.map_err(|misfit| {
                                misfit_fault(misfit, &written.name, &written.span)
                            })?;
                            code.extend_from_slice(&encoded.0);
                        }
                    }
                },
                Body::Numbers(width, numbers) => {
                    let mut bytes = Vec::new();
                    for number in numbers {
                        let value = number.value(&scope)?;
                        bytes.extend_from_slice(&in_bytes(value, *width, &number.span)?[..*width]);
                    }
                    repeat(&mut code, &bytes, length);
                }
                Body::Bytes(bytes) => repeat(&mut code, bytes, length),
                Body::Align(_, None) => idle(&mut code, length),
                Body::Align(_, Some(value)) => {
                    let byte = in_bytes(value.value(&scope)?, 1, &value.span)?[0];
                    code.resize(code.len() + length, byte);
                }
                Body::Fill { width, value, .. } => {
                    let bytes = match value {
                        Some(value) => in_bytes(value.value(&scope)?, *width, &value.span)?,
                        None => [0; 8],
                    };
                    repeat(&mut code, &bytes[..*width], length);
                }
            }
        }
        Ok(code)
    }
}

/// Adds the bytes again and again until they are `length` bytes.
fn repeat(code: &mut Vec<u8>, bytes: &[u8], length: usize) {
    code.extend(bytes.iter().cycle().take(length));
}

/// A number in so many bytes, signed or unsigned.
fn in_bytes(value: i128, width: usize, span: &Range<usize>) -> Result<[u8; 8], Fault> {
    let bits = 8 * width.max(1);
    if !(-(1_i128 << (bits - 1))..1_i128 << bits).contains(&value) {
        let place = match width {
            1 => "a byte",
            2 => "2 bytes",
            4 => "4 bytes",
            8 => "8 bytes",
            _ => "so few bytes",
        };
        return Err(fault(Kind::OutOfRange { value, place }, span));
    }
    let bytes = value.to_le_bytes();
    let mut low = [0; 8];
    low.copy_from_slice(&bytes[..8]);
    Ok(low)
}

/// Instructions that do nothing, as Intel recommends them.
const IDLE: [&[u8]; 9] = [
    &[0x90],
    &[0x66, 0x90],
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    &[0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

fn idle(code: &mut Vec<u8>, length: usize) {
    let mut left = length;
    while left > 0 {
        let step = left.min(IDLE.len());
        code.extend_from_slice(IDLE[step - 1]);
        left -= step;
    }
}
