//! One population: parents, children, and which of them live on.
//!
//! A generation of an island makes as many children as it has members. A child is brought into its
//! normal form and thrown away if its shape was met lately; the others are scored in one batch; those
//! that come near the best of their size have the constants of their open forms fitted in a few
//! Levenberg-Marquardt steps in a second batch; and whichever of the two versions of a child pays
//! for its nodes joins the contest. Survivors are the first fronts of (log error, size).
//!
//! # Invariant
//! What an island does in a generation depends on its members, its numbers (seed, island,
//! generation, child) and the rows: never on a thread or on time, unless time is over.

use std::sync::Arc;

use opcodon_evo::nsga2::Ranking;
use opcodon_evo::{Archive, Rng, tournament};
use opcodon_expr::{Expr, Node, Op};
use opcodon_gp::{Constants, Limits, PrimitiveSet, Rates, Variation, Workspace, init};

use crate::backwards::{Backwards, Place};
use crate::candidate::{ByShape, Candidate, ERROR_FLOOR, JUDGING, refit};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::SrError;
use crate::evaluate::Score;
use crate::fronts::Fronts;
use crate::normal_form::{NormalForm, Normaliser, Slots};
use crate::operators::Operators;
use crate::problem::{Problem, Rows};
use crate::reach::Reach;
use crate::rules::Rules;
use crate::rungs::Rungs;
use crate::tune::pays;
use crate::visited::Visited;

/// When a shape was met last, and how often since it was last forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) generation: u64,
    pub(crate) count: u32,
}

/// A shape may be tried this often: its constants start elsewhere each time.
const VISITS_MAX: u32 = 3;
/// Generations after which a shape is forgotten: what did not help then may help now.
const MEMORY: u64 = 60;
/// Draws of a child before a duplicate is given up on.
const DRAWS_MAX: usize = 5;
/// Share of new trees in which a definition of the user is put around a subtree.
const DEFINED: f64 = 0.2;
/// Differences of the log error below this are no difference.
const LOG_EPSILON: f64 = 1e-4;

/// A population and what it works with.
pub(crate) struct Island {
    pub(crate) index: u32,
    pub(crate) size: usize,
    pub(crate) members: Vec<Candidate>,
    pub(crate) visits: ByShape<Visit>,
    /// How many of them are remembered.
    visits_max: usize,
    pub(crate) variation: Variation,
    pub(crate) rules: Rules,
    pub(crate) rungs: Rungs,
    pub(crate) normaliser: Normaliser,
    space: Workspace,
    tournament_size: usize,
    operators: Operators,
    /// Children of a generation that are made backwards, and what they are made with on these rows.
    n_backwards: usize,
    backwards: Option<Backwards>,
    atoms_max: usize,
    pub(crate) constant_iterations: usize,
    pub(crate) evaluations: u64,
    /// Judged on the island's rows.
    pub(crate) fronts: Fronts,
    /// The best of what was met.
    pub(crate) visited: Visited,
    /// Whether members must have a value everywhere in the box of the inputs.
    tame_only: bool,
    /// Members that entered a front since they were last judged on all rows.
    pub(crate) fresh: Vec<Candidate>,
}

/// What an island says about rows that it has not learned from.
pub(crate) struct Foretold {
    /// For each size the losses of the best tame formula up to that size.
    pub(crate) losses: Vec<Vec<f64>>,
    /// The same where formulas may have poles within reach.
    pub(crate) wild_losses: Vec<Vec<f64>>,
    /// The tame front.
    pub(crate) formulas: Vec<Candidate>,
}

/// What trees are made of and how they vary.
pub(crate) fn variation(problem: &Problem, config: &Config) -> Result<Variation, SrError> {
    #[expect(clippy::cast_precision_loss, reason = "column counts are small")]
    let n_variables = problem.inputs.len() as f64;
    let mut builder = PrimitiveSet::builder();
    for &op in config.operators.as_slice() {
        // The four that build structure weigh as much as all functions together.
        let weight = match op {
            Op::Add | Op::Sub | Op::Mul | Op::Div => 2.0,
            Op::Square | Op::Sqrt | Op::Exp | Op::Log | Op::Sin | Op::Cos => 1.0,
            _ => 0.25,
        };
        builder = builder.operator(op, weight);
    }
    let set = builder
        .variables(u32::try_from(problem.inputs.len()).unwrap_or(u32::MAX))
        .constants(
            Constants::Normal {
                mean: 0.0,
                std_dev: 2.0,
            },
            0.15 * n_variables,
        )
        .build()
        .map_err(|error| SrError::Compile(Box::new(error)))?;
    let rates = Rates {
        crossover: config.crossover_probability,
        mutation: config.mutation_probability,
        ..Rates::default()
    };
    let limits = Limits::new(config.max_size, config.max_depth);
    Variation::new(set, limits, rates).map_err(|error| SrError::Compile(Box::new(error)))
}

impl Island {
    /// Without members yet; it learns from the rows of its evaluators.
    pub(crate) fn new(
        index: usize,
        problem: &Problem,
        config: &Config,
        variation: Variation,
        rungs: Rungs,
        reach: Arc<Reach>,
        tame_only: bool,
    ) -> Self {
        let size = config.population_size / config.islands;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of an island's size"
        )]
        let n_backwards = (size as f64 * config.back_solving) as usize;
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            size,
            members: Vec::new(),
            visits: ByShape::default(),
            visits_max: problem.allowance.visits,
            variation,
            rules: problem.rules.clone(),
            rungs,
            normaliser: Normaliser::default(),
            space: Workspace::new(),
            tournament_size: config.tournament_size,
            operators: config.operators.clone(),
            n_backwards,
            backwards: None,
            atoms_max: problem.allowance.atoms,
            constant_iterations: config.constant_iterations,
            evaluations: 0,
            fronts: Fronts::new(config.max_size, reach),
            visited: Visited::new(config.archive_size, config.max_size),
            tame_only,
            fresh: Vec::new(),
        }
    }

    /// The first members: seeds, and random trees of small to middling size.
    pub(crate) fn populate(
        &mut self,
        seed: u64,
        seeds: &[Candidate],
        clock: &Clock,
    ) -> Result<(), SrError> {
        let limits = self.variation.limits();
        let largest = limits.max_size.min(15);
        let mut forms = Vec::with_capacity(self.size);
        for child in 0..u32::try_from(self.size).unwrap_or(u32::MAX) {
            let mut rng = self.rng(seed, 0, child);
            for _ in 0..DRAWS_MAX {
                let size = rng.range(1, largest);
                let set = self.variation.set().clone();
                let tree = init::ptc2(&mut rng, &mut self.space, &set, limits, size);
                let tree = self.with_definition(&mut rng, tree);
                if let Some(form) = self.admit(&tree, 0) {
                    forms.push(form);
                    break;
                }
            }
        }
        self.evaluations += forms.len() as u64;
        let exprs: Vec<&Expr> = seeds.iter().map(|c| &c.expr).collect();
        let scores = self.rungs.scorer.scores(&exprs, clock)?;
        self.members = seeds
            .iter()
            .zip(scores)
            .map(|(c, score)| Candidate { score, ..c.clone() })
            .filter(|c| c.score.error.is_finite())
            .collect();
        for seed in &self.members {
            self.visited.insert(seed);
        }
        self.contest(forms, clock)
    }

    /// New rows: members are scored anew, and what others found joins them.
    pub(crate) fn rejudge(&mut self, known: &[Candidate], clock: &Clock) -> Result<(), SrError> {
        let mut members = std::mem::take(&mut self.members);
        members.extend_from_slice(known);
        let exprs: Vec<&Expr> = members.iter().map(|c| &c.expr).collect();
        let scores = self.rungs.scorer.scores(&exprs, clock)?;
        for (member, score) in members.iter_mut().zip(scores) {
            member.score = score;
        }
        members.retain(|member| member.score.error.is_finite());
        let mut visited = self.visited.drain();
        let exprs: Vec<&Expr> = visited.iter().map(|c| &c.expr).collect();
        let scores = self.rungs.scorer.scores(&exprs, clock)?;
        for (candidate, score) in visited.iter_mut().zip(scores) {
            candidate.score = score;
            if score.error.is_finite() {
                self.visited.insert(candidate);
            }
        }
        self.visits.clear();
        self.backwards = None;
        self.fronts.clear();
        for member in &members {
            self.fronts.insert(member);
        }
        self.members = survivors(members, self.size);
        Ok(())
    }

    /// What its formulas, constants fitted to the rows learned from, say about other rows.
    pub(crate) fn foretell(
        &mut self,
        unseen: &Rows,
        max_size: usize,
        clock: &Clock,
    ) -> Result<Foretold, SrError> {
        let found = self.fronts.candidates();
        let found = refit(&mut self.rungs.scorer, found, JUDGING, clock)?;
        let mut learned = Fronts::new(max_size, Arc::clone(&self.fronts.reach));
        for candidate in &found {
            learned.insert(candidate);
        }
        let (constant, of_constant) = self.rungs.scorer.rows().best_constant();
        let columns = unseen.column_refs();
        // No formula has a value so wrong that it could outweigh all other rows.
        let ceiling = 1e4 * of_constant;
        let losses = |predicted: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let predictions: Vec<f64> = (0..unseen.n_rows()).map(predicted).collect();
            let losses = unseen.losses(&predictions).into_iter();
            losses
                .map(|loss| if loss < ceiling { loss } else { ceiling })
                .collect()
        };
        let by_size = |learned: &Archive<Candidate>| {
            let mut by_size = vec![losses(&|_| constant)];
            for size in 1..=max_size {
                let entry = learned.best_within(size).filter(|e| e.size == size);
                let next = match entry {
                    Some(entry) => {
                        let Score { scale, offset, .. } = entry.genome.score;
                        let values = entry.genome.expr.eval_columns(&columns);
                        losses(&|row| scale.mul_add(values[row], offset))
                    }
                    None => by_size[size - 1].clone(),
                };
                by_size.push(next);
            }
            by_size
        };
        Ok(Foretold {
            losses: by_size(&learned.tame),
            wild_losses: by_size(&learned.all),
            formulas: learned.tame.iter().map(|e| e.genome.clone()).collect(),
        })
    }

    /// The random numbers of one child.
    fn rng(&self, seed: u64, generation: u64, child: u32) -> Rng {
        // Islands are told apart by the seed's key, generations and children by the stream.
        let key = seed ^ u64::from(self.index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rng::for_individual(key, u32::try_from(generation).unwrap_or(u32::MAX), child)
    }

    /// The tree, now and then with a definition of the user put around one of its subtrees.
    fn with_definition(&self, rng: &mut Rng, tree: Expr) -> Expr {
        if self.operators.definitions().is_empty() || rng.f64() >= DEFINED {
            return tree;
        }
        let Some(definition) = rng.choose(self.operators.definitions()) else {
            return tree;
        };
        let nodes = tree.nodes();
        let range = tree.subtree(rng.range(0, nodes.len() - 1));
        let n_variables = self.variation.set().n_variables() as usize;
        let others: Vec<Node> = (0..definition.arity())
            .map(|_| match rng.range(0, 1) {
                0 => Node::Const(1.0),
                _ => {
                    let variable = rng.range(0, n_variables.max(1) - 1);
                    Node::Var(u32::try_from(variable).unwrap_or(0))
                }
            })
            .collect();
        let mut arguments: Vec<&[Node]> = others.iter().map(std::slice::from_ref).collect();
        let place = rng.range(0, arguments.len() - 1);
        arguments[place] = &nodes[range.clone()];
        let mut changed = nodes[..range.start].to_vec();
        changed.extend(definition.apply(&arguments));
        changed.extend_from_slice(&nodes[range.end..]);
        Expr::from_postfix(changed).unwrap_or(tree)
    }

    /// The normal form of a tree, if it is small enough and its shape was not met too often.
    fn admit(&mut self, tree: &Expr, generation: u64) -> Option<NormalForm> {
        let form = self.normaliser.normal_form(tree, Slots::Closed)?;
        // Most of what is refused is refused for this, and nothing is asked faster.
        let visits = self.visits.get(&form.shape).map_or(0, |visit| visit.count);
        if visits >= VISITS_MAX {
            return None;
        }
        if !self.rules.allow(&form.expr) {
            return None;
        }
        if self.tame_only && !self.fronts.reach.is_defined(&form.expr) {
            return None;
        }
        let visit = self.visits.entry(form.shape).or_insert(Visit {
            generation,
            count: 0,
        });
        visit.count += 1;
        visit.generation = generation;
        Some(form)
    }

    /// Forgets the shapes that were not met for long; sooner where they are too many.
    fn forget(&mut self, generation: u64) {
        let too_many = |visits: &ByShape<Visit>| visits.len() > self.visits_max;
        if !generation.is_multiple_of(8) && !too_many(&self.visits) {
            return;
        }
        let mut memory = MEMORY;
        loop {
            self.visits
                .retain(|_, visit| visit.generation + memory > generation);
            if memory == 0 || !too_many(&self.visits) {
                return;
            }
            memory /= 2;
        }
    }

    pub(crate) fn generation(
        &mut self,
        seed: u64,
        generation: u64,
        clock: &Clock,
    ) -> Result<(), SrError> {
        self.forget(generation);
        if self.members.is_empty() {
            // No formula has had a finite error.
            return Ok(());
        }
        let objectives = objectives(&self.members);
        let ranking = Ranking::new(&objectives, [LOG_EPSILON, 0.0]);
        let n = self.members.len();
        let mut children = self.backwards(seed, generation, &ranking);
        let n_forwards = self.size.saturating_sub(children.len());
        for child in 0..u32::try_from(n_forwards).unwrap_or(u32::MAX) {
            let mut rng = self.rng(seed, generation, child);
            let parent = |rng: &mut Rng| {
                tournament::select(rng, n, self.tournament_size, |a, b| ranking.compare(a, b))
            };
            let (mother, father) = (parent(&mut rng), parent(&mut rng));
            let tree = self
                .variation
                .vary(
                    &mut rng,
                    &mut self.space,
                    &self.members[mother].expr,
                    &self.members[father].expr,
                )
                .expr;
            children.push(self.with_definition(&mut rng, tree));
        }
        let admit = |child| self.admit(child, generation);
        let forms: Vec<NormalForm> = children.iter().filter_map(admit).collect();
        self.evaluations += forms.len() as u64;
        self.contest(forms, clock)
    }

    /// Children by what subtrees would have to be.
    fn backwards(&mut self, seed: u64, generation: u64, ranking: &Ranking) -> Vec<Expr> {
        if self.n_backwards == 0 {
            return Vec::new();
        }
        let mut rng = self.rng(seed, generation, u32::MAX);
        let (rows, operators, most) = (self.rungs.tuner.rows(), &self.operators, self.atoms_max);
        let make = || Backwards::new(&rows.for_squares(), operators, most);
        let backwards = self.backwards.get_or_insert_with(make);
        let members = &self.members;
        let places: Vec<(&Candidate, Place)> = (0..self.n_backwards)
            .map(|_| {
                let better = |a, b| ranking.compare(a, b);
                let parent =
                    tournament::select(&mut rng, members.len(), self.tournament_size, better);
                let parent = &members[parent];
                (parent, backwards.place(&mut rng, &parent.expr))
            })
            .collect();
        backwards.children(&mut rng, &places)
    }

    /// How a formula compares with the best of its size: below 1 it is a new best.
    pub(crate) fn promise(&self, error: f64, expr: &Expr) -> f64 {
        error / self.rival(expr)
    }

    /// The error of the best of its size.
    pub(crate) fn rival(&self, expr: &Expr) -> f64 {
        let rival = self.fronts.all.best_within(expr.len());
        rival.map_or(1.0, |rival| rival.error)
    }

    /// Scores and tunes new forms, and selects the next members from them and the old ones.
    fn contest(&mut self, forms: Vec<NormalForm>, clock: &Clock) -> Result<(), SrError> {
        let exprs: Vec<&Expr> = forms.iter().map(|f| &f.expr).collect();
        let closed = self.rungs.scorer.scores(&exprs, clock)?;
        let tuned = if self.constant_iterations > 0 {
            self.tune(&forms, &closed, clock)?
        } else {
            vec![None; forms.len()]
        };
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
        let n_rows = self.rungs.scorer.rows().n_rows() as f64;
        for ((form, score), tuned) in forms.into_iter().zip(closed).zip(tuned) {
            let plain = Candidate {
                expr: form.expr,
                score,
                shape: form.shape,
            };
            let winner = match tuned {
                Some(tuned) if pays(&tuned, &plain, n_rows) => tuned,
                _ => plain,
            };
            if !winner.score.error.is_finite()
                || (self.tame_only
                    && !self
                        .fronts
                        .reach
                        .is_tame_scaled(&winner.expr, &winner.score))
            {
                continue;
            }
            self.visited.insert(&winner);
            if self.fronts.insert(&winner) {
                self.fresh.push(winner.clone());
            }
            self.members.push(winner);
        }
        self.members = survivors(std::mem::take(&mut self.members), self.size);
        Ok(())
    }
}

fn objectives(members: &[Candidate]) -> Vec<[f64; 2]> {
    #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
    members
        .iter()
        .map(|c| [c.score.error.max(ERROR_FLOOR).ln(), c.expr.len() as f64])
        .collect()
}

/// The best fronts, of each shape and of each error only the smallest.
fn survivors(mut members: Vec<Candidate>, n: usize) -> Vec<Candidate> {
    members.sort_by(|a, b| {
        (a.score.error, a.expr.len())
            .partial_cmp(&(b.score.error, b.expr.len()))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut shapes: ByShape<()> = ByShape::default();
    shapes.reserve(members.len());
    members.retain(|c| shapes.insert(c.shape, ()).is_none());
    // Neighbours in the order of errors: formulas that differ in spelling only.
    let mut kept: Vec<Candidate> = Vec::with_capacity(members.len());
    for candidate in members {
        match kept.last_mut() {
            Some(last)
                if candidate.score.error - last.score.error <= 1e-9 * last.score.error
                    && last.score.error > ERROR_FLOOR =>
            {
                if candidate.expr.len() < last.expr.len() {
                    *last = candidate;
                }
            }
            _ => kept.push(candidate),
        }
    }
    if kept.len() <= n {
        return kept;
    }
    let chosen = Ranking::new(&objectives(&kept), [LOG_EPSILON, 0.0]).survivors(n);
    let mut slots: Vec<Option<Candidate>> = kept.into_iter().map(Some).collect();
    chosen
        .into_iter()
        .filter_map(|index| slots[index].take())
        .collect()
}
