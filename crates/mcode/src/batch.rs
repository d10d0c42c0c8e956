//! A batch: a population of genomes in executable memory, ready to run.
//!
//! A child becomes executable by being copied: its effective slots go between the parts of a
//! [`Shell`] into an arena, and the arena is sealed once for all. Running needs only a shared
//! reference.

use opcodon_codemem::{Arena, CodeError, SealedArena};

use crate::blocks::{Blocks, Line, TILE_ROWS};
use crate::dialect::Dialect;
use crate::kernel::{Fold, N_MOMENTS, SHELL_BYTES, Shell};
use crate::program::Program;
use crate::seal::{self, Footprint};
use crate::{McodeError, Tier};

/// Where one genome of a batch is.
#[derive(Clone, Copy, Debug)]
struct Member {
    code: usize,
    constants: usize,
    n_constants: usize,
    n_effective: usize,
    footprint: Footprint,
}

/// Genomes in executable memory.
///
/// ```
/// use opcodon_mcode::{Batch, Blocks, Fold, Tier, TreeCode};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if Tier::best().is_err() { return Ok(()) }
/// let tier = Tier::best()?;
/// let formula = opcodon_expr::parse("x*x + 1", None)?.expr;
/// let genome = TreeCode::from_expression(&formula, tier, 1)?;
/// let data = Blocks::new(tier, &[&[0.0, 1.0, 2.0]], Some(&[1.0, 2.0, 8.0]))?;
/// let mut batch = Batch::new(tier, 1, Fold::Squares)?;
/// batch.load([&genome])?;
/// assert_eq!(batch.loss(0, &data)?, 3.0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Batch {
    tier: Tier,
    n_columns: usize,
    fold: Fold,
    shell: Shell,
    /// Absent only while code is replaced, or after that has failed.
    arena: Option<SealedArena>,
    members: Vec<Member>,
    constants: Vec<Line>,
    bytes: Vec<u8>,
    bits: Vec<u64>,
}

/// Room for code that a batch has at first, in bytes.
const CAPACITY: usize = 1 << 22;

impl Batch {
    /// A batch without genomes, for a tier, data of so many columns, and one use.
    ///
    /// # Errors
    /// If the processor lacks the tier, or executable memory is refused.
    pub fn new(tier: Tier, n_columns: usize, fold: Fold) -> Result<Batch, McodeError> {
        tier.require()?;
        let shell = Shell::new(tier, n_columns.max(1), fold);
        Ok(Batch {
            tier,
            n_columns,
            fold,
            shell: shell.expect("the code around genomes has an encoding in every tier"),
            arena: Some(Arena::with_capacity(CAPACITY)?.seal()?),
            members: Vec::new(),
            constants: Vec::new(),
            bytes: Vec::new(),
            bits: Vec::new(),
        })
    }

    /// Replaces the genomes.
    ///
    /// # Errors
    /// If a genome is of another tier or for another number of columns, or memory is refused; the
    /// batch is empty then.
    pub fn load<'a, P: Into<Program<'a>>>(
        &mut self,
        genomes: impl IntoIterator<Item = P>,
    ) -> Result<(), McodeError> {
        self.members.clear();
        self.constants.clear();
        let mut arena = match self.arena.take() {
            Some(sealed) => sealed.reopen()?,
            None => Arena::with_capacity(CAPACITY)?,
        };
        arena.truncate(0);
        let mut outcome = Ok(());
        for program in genomes {
            outcome = self.append(&mut arena, program.into());
            if outcome.is_err() {
                self.members.clear();
                break;
            }
        }
        self.arena = Some(arena.seal()?);
        outcome
    }

    fn append(&mut self, arena: &mut Arena, program: Program<'_>) -> Result<(), McodeError> {
        let code = program.code;
        if code.tier() != self.tier || code.n_columns() != self.n_columns {
            return Err(McodeError::Mixed {
                what: "a genome",
                found_tier: code.tier(),
                found_columns: code.n_columns(),
                tier: self.tier,
                columns: self.n_columns,
            });
        }
        let n_effective = self.shell.wrap(program, &mut self.bytes, &mut self.bits);
        let bytes = &self.bytes;
        debug_assert!(bytes.len() <= code.bytes().len() + SHELL_BYTES);
        let start = match arena.append(bytes, 16) {
            Err(CodeError::Full { capacity, .. }) => {
                let wanted = (2 * capacity).max(2 * bytes.len());
                let mut larger = Arena::with_capacity(wanted)?;
                larger.append(arena.bytes(), 16)?;
                *arena = larger;
                arena.append(bytes, 16)?
            }
            start => start?,
        };
        let constants = self.constants.len();
        pack(self.tier, &code.constants, &mut self.constants);
        self.members.push(Member {
            code: start,
            constants,
            n_constants: code.constants.len(),
            n_effective,
            footprint: Footprint {
                n_columns: self.n_columns,
                constant_lines: self.constants.len() - constants,
            },
        });
        Ok(())
    }

    /// What becomes of values.
    #[must_use]
    pub fn fold(&self) -> Fold {
        self.fold
    }

    /// Number of genomes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Slots of one genome that influence its result: those that were made executable.
    ///
    /// # Panics
    /// If there is no such genome.
    #[must_use]
    pub fn n_effective(&self, genome: usize) -> usize {
        self.members[genome].n_effective
    }

    /// Mean squared error of one genome, by weight, or the share of wrong cases of one on bits.
    /// Where a value is infinite or none, so is the error: which of the two is not said.
    ///
    /// # Errors
    /// If the data are packed for another tier or have other columns, or no target.
    ///
    /// # Panics
    /// If there is no such genome, or the batch predicts.
    pub fn loss(&self, genome: usize, blocks: &Blocks) -> Result<f64, McodeError> {
        self.require(blocks, true)?;
        let member = self.members[genome];
        Ok(self.mean(member, blocks, &self.constants[member.constants..]))
    }

    /// As [`Batch::loss`] with other constants; nothing is copied but these.
    ///
    /// # Errors
    /// As for [`Batch::loss`], or if the number of constants is another.
    ///
    /// # Panics
    /// As [`Batch::loss`].
    pub fn loss_with(
        &self,
        genome: usize,
        blocks: &Blocks,
        constants: &[f64],
    ) -> Result<f64, McodeError> {
        self.require(blocks, true)?;
        let packed = self.packed(genome, constants)?;
        Ok(self.mean(self.members[genome], blocks, &packed))
    }

    /// Other constants for a genome.
    fn packed(&self, genome: usize, constants: &[f64]) -> Result<Vec<Line>, McodeError> {
        let member = self.members[genome];
        if constants.len() != member.n_constants {
            return Err(McodeError::Range {
                what: "the number of constants",
                found: constants.len(),
                low: member.n_constants,
                high: member.n_constants,
            });
        }
        let mut packed = Vec::with_capacity(member.footprint.constant_lines);
        pack(self.tier, constants, &mut packed);
        Ok(packed)
    }

    /// As [`Batch::loss`] of all genomes, which run tile by tile.
    ///
    /// # Errors
    /// As for [`Batch::loss`], or if `losses` has another length than the batch.
    ///
    /// # Panics
    /// If the batch predicts.
    pub fn losses(&self, blocks: &Blocks, losses: &mut [f64]) -> Result<(), McodeError> {
        self.require(blocks, true)?;
        if losses.len() != self.len() {
            return Err(McodeError::Range {
                what: "the number of losses",
                found: losses.len(),
                low: self.len(),
                high: self.len(),
            });
        }
        if blocks.n_tiles() == 1 {
            for (member, loss) in self.members.iter().zip(losses) {
                let constants = &self.constants[member.constants..];
                *loss = self.finish(self.sums(*member, blocks, 0, constants), blocks);
            }
            return Ok(());
        }
        let mut sums = vec![[0.0; N_MOMENTS]; losses.len()];
        for tile in 0..blocks.n_tiles() {
            for (member, sums) in self.members.iter().zip(&mut sums) {
                let constants = &self.constants[member.constants..];
                add(sums, self.sums(*member, blocks, tile, constants));
            }
        }
        for (loss, sums) in losses.iter_mut().zip(sums) {
            *loss = self.finish(sums, blocks);
        }
        Ok(())
    }

    /// The straight line from a genome's values, with these constants, to the target with the
    /// least squared error, which is the loss in a batch of [`Fold::Moments`].
    ///
    /// # Errors
    /// As for [`Batch::loss_with`].
    ///
    /// # Panics
    /// If there is no such genome, or the batch has another use.
    pub fn line(
        &self,
        genome: usize,
        blocks: &Blocks,
        constants: &[f64],
    ) -> Result<StraightLine, McodeError> {
        self.require(blocks, true)?;
        assert_eq!(self.fold, Fold::Moments, "what the batch was made for");
        let packed = self.packed(genome, constants)?;
        let sums = self.total(self.members[genome], blocks, &packed);
        Ok(StraightLine::fit(sums, blocks))
    }

    /// Predictions of one genome.
    ///
    /// # Errors
    /// If the data are packed for another tier or have other columns, or `out` another number of
    /// rows.
    ///
    /// # Panics
    /// If there is no such genome, or the batch computes losses.
    pub fn predict(
        &self,
        genome: usize,
        blocks: &Blocks,
        out: &mut [f64],
    ) -> Result<(), McodeError> {
        self.require(blocks, false)?;
        if out.len() != blocks.n_rows() {
            return Err(McodeError::RowCount {
                what: "the output".into(),
                found: out.len(),
                expected: blocks.n_rows(),
            });
        }
        let member = self.members[genome];
        let constants = &self.constants[member.constants..];
        let mut lines = [Line::ZERO; TILE_ROWS / 8];
        for (tile, rows) in out.chunks_mut(TILE_ROWS).enumerate() {
            self.run(member, blocks, tile, constants, &mut lines);
            rows.copy_from_slice(&bytemuck::cast_slice(&lines)[..rows.len()]);
        }
        Ok(())
    }

    fn require(&self, blocks: &Blocks, loss: bool) -> Result<(), McodeError> {
        assert_eq!(
            self.fold != Fold::Predict,
            loss,
            "what the batch was made for"
        );
        if blocks.tier() != self.tier || blocks.n_columns() != self.n_columns {
            return Err(McodeError::Mixed {
                what: "the table",
                found_tier: blocks.tier(),
                found_columns: blocks.n_columns(),
                tier: self.tier,
                columns: self.n_columns,
            });
        }
        if loss && !blocks.has_target() {
            return Err(McodeError::NoTarget);
        }
        if loss && (self.fold == Fold::Bits) != blocks.is_words() {
            let bits = blocks.is_words();
            return Err(McodeError::Domain { bits });
        }
        Ok(())
    }

    fn mean(&self, member: Member, blocks: &Blocks, constants: &[Line]) -> f64 {
        self.finish(self.total(member, blocks, constants), blocks)
    }

    fn total(&self, member: Member, blocks: &Blocks, constants: &[Line]) -> [f64; N_MOMENTS] {
        let mut total = [0.0; N_MOMENTS];
        for tile in 0..blocks.n_tiles() {
            add(&mut total, self.sums(member, blocks, tile, constants));
        }
        total
    }

    /// The loss of which these are the sums.
    #[inline]
    fn finish(&self, sums: [f64; N_MOMENTS], blocks: &Blocks) -> f64 {
        if self.fold == Fold::Moments {
            return StraightLine::fit(sums, blocks).loss;
        }
        sums[0] / blocks.total_weight()
    }

    /// What a genome adds up over one tile: squared errors, wrong cases, or moments.
    #[inline]
    fn sums(
        &self,
        member: Member,
        blocks: &Blocks,
        tile: usize,
        constants: &[Line],
    ) -> [f64; N_MOMENTS] {
        let mut out = [Line::ZERO; N_MOMENTS];
        self.run(member, blocks, tile, constants, &mut out);
        if self.fold == Fold::Bits {
            let counts: &[u64] = bytemuck::cast_slice(&out[..1]);
            return [counts.iter().sum::<u64>() as f64, 0.0, 0.0];
        }
        let sum = |line: Line| line.0.iter().sum::<f64>();
        match self.fold {
            Fold::Moments => out.map(sum),
            _ => [sum(out[0]), 0.0, 0.0],
        }
    }

    #[inline]
    fn run(
        &self,
        member: Member,
        blocks: &Blocks,
        tile: usize,
        constants: &[Line],
        out: &mut [Line],
    ) {
        let arena = self.arena.as_ref().expect("a loaded batch has its code");
        let entry = arena.entry(member.code).expect("code that was appended");
        seal::run(
            entry,
            member.footprint,
            self.fold,
            blocks,
            tile,
            constants,
            out,
        );
    }
}

#[inline]
fn add(total: &mut [f64; N_MOMENTS], part: [f64; N_MOMENTS]) {
    for (total, part) in total.iter_mut().zip(part) {
        *total += part;
    }
}

/// The straight line from values to the target with the least squared error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StraightLine {
    /// What values are multiplied by; 0 if they are all the same.
    pub slope: f64,
    /// What is added then.
    pub intercept: f64,
    /// The slope of the best line through the origin.
    pub through_origin: f64,
    /// Mean squared error.
    pub loss: f64,
    /// How wrong rounding may have made the error: the sums that it comes from cancel.
    pub rounding: f64,
}

impl StraightLine {
    /// From the sums of values, squares and products with the target.
    fn fit([sum, squares, products]: [f64; N_MOMENTS], blocks: &Blocks) -> StraightLine {
        /// A share of the squares that is rounding.
        const ROUNDING: f64 = 1e-14;
        let n = blocks.total_weight();
        let (target, variance) = blocks.target_moments();
        let mean = sum / n;
        let spread = squares - sum * mean;
        let through_origin = products / squares;
        if !squares.is_finite() || !products.is_finite() {
            let [slope, intercept, loss, rounding] = [f64::NAN; 4];
            return StraightLine {
                slope,
                intercept,
                through_origin,
                loss,
                rounding,
            };
        }
        if spread <= ROUNDING * squares {
            return StraightLine {
                slope: 0.0,
                intercept: target,
                through_origin,
                loss: variance,
                rounding: 0.0,
            };
        }
        let product = products - sum * target;
        let slope = product / spread;
        StraightLine {
            slope,
            intercept: target - slope * mean,
            through_origin,
            loss: (variance - slope * product / n).max(0.0),
            rounding: 4.0 * f64::EPSILON * variance * squares / spread,
        }
    }
}

/// Constants as a tier reads them: one after the other, or each as a whole vector.
fn pack(tier: Tier, constants: &[f64], lines: &mut Vec<Line>) {
    match tier {
        Tier::Avx512 => {
            let (whole, rest) = constants.as_chunks::<8>();
            lines.extend(whole.iter().copied().map(Line));
            if !rest.is_empty() {
                let rest = Dialect::of(tier).first_eight(bytemuck::cast_slice(rest));
                lines.push(Line(bytemuck::cast(rest)));
            }
        }
        Tier::Avx2 => lines.extend(constants.chunks(2).map(|chunk| {
            let [low, high] = [chunk[0], chunk[chunk.len() - 1]];
            Line([low, low, low, low, high, high, high, high])
        })),
    }
}
