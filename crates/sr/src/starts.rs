//! What a search starts from: models that need no search, and laws in fewer variables.
//!
//! Where the target depends on its inputs only through a few combinations of them
//! ([`crate::reduce`]), a search in these comes first, on the same rows in the new variables. What it
//! finds are models for the search in all inputs like any others.

use opcodon_expr::Expr;

use crate::candidate::{Candidate, PERFECT, refit};
use crate::clock::Clock;
use crate::config::{Config, Selection};
use crate::constants::Effort;
use crate::constraints::Constraints;
use crate::dictionary;
use crate::error::SrError;
use crate::evaluate::{Evaluator, Score};
use crate::guesses::Guesses;
use crate::normal_form::{Normaliser, Slots};
use crate::problem::{Input, Problem, Rows};
use crate::reduce::Reduction;
use crate::rules::Rules;
use crate::search::Search;
use crate::seeds::{self, Scope};

/// Shares of the time limit. Seeds are sought until the first is over and once more as long may their
/// constants be fitted: what was found with all of one share is not thrown away unseen.
const SEEDS_SHARE: f64 = 0.2;
/// The same for all folds together, which come after that, and for each of them.
const FOLDS_SHARE: f64 = 0.2;
const FOLD_SHARE: f64 = 0.05;
/// As long fewer variables are looked for.
const LOOKING_SHARE: f64 = 0.1;
/// The same for a search in fewer variables, which comes first, and for all of it.
const FEWER_SEEDS_SHARE: f64 = 0.1;
const FEWER_SHARE: f64 = 0.3;
/// Of the generations of the whole search, those that it may take, and the most it takes.
const FEWER_GENERATIONS: (u64, u64) = (4, 300);
/// How much more than the fits that found the fewer variables a law may leave.
const NEARLY: f64 = 1.5;

/// Makes the starts of one fit.
pub(crate) struct Starts<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) config: &'a Config,
    pub(crate) seed: u64,
    pub(crate) pool: &'a rayon::ThreadPool,
    pub(crate) clock: &'a Clock,
}

// Runs that are not limited by time never look at it, so that they can be repeated.
impl Starts<'_> {
    /// For these rows.
    pub(crate) fn of(&self, rows: &Rows, scope: Scope) -> Result<Vec<Candidate>, SrError> {
        let judged = |models: Vec<Expr>, until: f64| {
            judged(
                models,
                rows,
                &self.problem.rules,
                &self.clock.until_share(until),
            )
        };
        let guesses = self.problem.guesses.clone();
        if !self.config.seeds {
            return judged(guesses, SEEDS_SHARE);
        }
        let squares = rows.for_squares();
        let mut starts = Vec::new();
        let mut begun = 0.0;
        if scope == Scope::Whole && self.config.symmetries {
            let looking = self.clock.until_share(LOOKING_SHARE);
            if let Some(reduction) = Reduction::of(&squares, &self.config.operators, &looking) {
                let models = self.in_fewer(&reduction, &squares)?;
                begun = self.clock.share();
                starts = judged(models, begun + SEEDS_SHARE)?;
                let enough = (NEARLY * reduction.left).max(PERFECT);
                if starts.iter().any(|start| start.score.error <= enough) {
                    starts.extend(judged(self.few(&squares, guesses), begun + SEEDS_SHARE)?);
                    return Ok(starts);
                }
            }
        }
        let (sought, fitted) = match scope {
            Scope::Whole | Scope::Fewer => (begun + SEEDS_SHARE, SEEDS_SHARE),
            Scope::Fold(part) => (SEEDS_SHARE + part * FOLDS_SHARE, FOLD_SHARE),
        };
        let mut models = self.few(&squares, guesses);
        let seeking = self.clock.until_share(sought);
        models.extend(self.pairs(&squares, self.config, scope, &seeking));
        starts.extend(judged(models, sought + fitted)?);
        Ok(starts)
    }

    /// Models that take no time. Like pairs, for least squares.
    fn few(&self, rows: &Rows, mut models: Vec<Expr>) -> Vec<Expr> {
        let Config {
            max_size,
            operators,
            ..
        } = self.config;
        models.extend(seeds::models(rows, *max_size));
        models.extend(dictionary::defined(operators, 0..rows.columns.len()));
        models
    }

    fn pairs(&self, rows: &Rows, config: &Config, scope: Scope, clock: &Clock) -> Vec<Expr> {
        seeds::pairs(
            rows,
            scope,
            &config.operators,
            config.max_size,
            self.problem.allowance.atoms,
            clock,
        )
    }

    /// The front of a search in fewer variables, as formulas of the inputs.
    fn in_fewer(&self, reduction: &Reduction, rows: &Rows) -> Result<Vec<Expr>, SrError> {
        let Some(rows) = reduction.rows(rows) else {
            return Ok(Vec::new());
        };
        let (part, most) = FEWER_GENERATIONS;
        let own = |limit: u64| limit.div_ceil(part);
        let config = Config {
            max_size: self.config.max_size.saturating_sub(reduction.size()).max(3),
            max_generations: Some(self.config.max_generations.map_or(most, own).min(most)),
            max_evaluations: self.config.max_evaluations.map(own),
            model_selection: Selection::Error,
            constraints: Constraints::default(),
            guesses: Guesses::default(),
            ..self.config.clone()
        };
        let problem = Problem {
            inputs: (0..rows.columns.len()).map(Input::plain).collect(),
            notes: Vec::new(),
            guesses: Vec::new(),
            rules: Rules::new(&config, &[]),
            train: rows,
            validation: None,
            test: None,
            ..self.problem.clone()
        };
        let begun = self.clock.share();
        let until = |share: f64| self.clock.until_share(begun + share);
        let clock = until(FEWER_SHARE);
        let seeds = |rows: &Rows, _: Scope| {
            let seeking = until(FEWER_SEEDS_SHARE);
            let mut models = self.few(rows, Vec::new());
            models.extend(self.pairs(rows, &config, Scope::Fewer, &seeking));
            judged(
                models,
                rows,
                &problem.rules,
                &until(2.0 * FEWER_SEEDS_SHARE),
            )
        };
        let mut search = Search::new(&problem, &config, self.seed, self.pool, seeds, &clock)?;
        let n_rows = problem.train.n_rows();
        let is_found = |search: &Search<'_>| {
            let mut front = search.fronts.all.iter();
            front.any(|entry| entry.genome.is_law(n_rows))
        };
        while !is_found(&search) && search.epoch(&clock, &clock)?.is_none() {}
        let found = search.fronts.candidates();
        let lifted = found.iter().flat_map(|candidate| {
            let Score { scale, offset, .. } = candidate.score;
            let shifted = Expr::apply(
                opcodon_expr::Op::Add,
                &[candidate.expr.clone(), Expr::constant(offset / scale)],
            );
            // An offset may be what noise makes of none.
            [
                reduction.lifted(&shifted),
                reduction.lifted(&candidate.expr),
            ]
        });
        Ok(lifted.flatten().collect())
    }
}

/// Models in normal form, their constants fitted to these rows.
fn judged(
    models: Vec<Expr>,
    rows: &Rows,
    rules: &Rules,
    clock: &Clock,
) -> Result<Vec<Candidate>, SrError> {
    let mut normaliser = Normaliser::default();
    let forms = models
        .iter()
        .filter_map(|expr| normaliser.normal_form(expr, Slots::Closed));
    let candidates = forms
        .filter(|form| rules.allow(&form.expr))
        .map(|form| Candidate {
            expr: form.expr,
            score: Score::WORST,
            shape: form.shape,
        })
        .collect();
    let effort = Effort {
        passes: 6,
        tolerance: 1e-8,
        rss: 0.0,
    };
    let mut judge = Evaluator::new(rows.clone())?;
    refit(&mut judge, candidates, effort, clock)
}
