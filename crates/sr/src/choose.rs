//! The one model of the front to predict with.
//!
//! The lowest training error chooses the most overfitted model. Where rows are few, models are
//! judged on rows left out, constants refitted without them; where they are many, or noise is small
//! or absent, by description length: shapes that were selected on all rows follow what noise there
//! is, which leaving out rows afterwards does not tell. A shrunken linear model ([`crate::floor`])
//! that does better on the rows left out is taken instead.

use opcodon_expr::Expr;

use crate::candidate::PERFECT;
use crate::certainty;
use crate::clock::Clock;
use crate::config::{Config, Selection};
use crate::error::SrError;
use crate::left_out::{Honest, INDIFFERENCE, LeftOut, advantage};
use crate::linear;
use crate::polish::Polished;
use crate::predict::Predictor;
use crate::problem::{Problem, Rows};
use crate::report::Judged;
use crate::search::{Apart, Learned};

/// Rows up to which `auto` cross-validates.
const CV_ROWS: usize = 2000;
/// However uncertain the difference is, since one row makes all of it, an error this many times as
/// large is no small matter.
const TOLERABLE: f64 = 2.0;
/// A formula that is not tame ([`crate::reach`]) is taken only if its error is less than this share of
/// the error of those that are.
const WILD: f64 = 0.2;
/// One row in so many, and no fewer than two, may be odd.
const ODD_ROWS: usize = 20;
/// Sizes to either side that say about as much about a size as itself.
const NEIGHBOURS: usize = 1;
/// Nats by which a description must be shorter to leave no doubt: one in half a billion.
const DOUBT: f64 = 20.0;
/// Nats of misfit that are no difference.
const SAME_FIT: f64 = 2.0;

/// Judges the front, and says which model to take and why.
pub(crate) fn choose(
    front: Vec<Polished>,
    learned: Learned,
    problem: &Problem,
    config: &Config,
    seed: u64,
    pool: &rayon::ThreadPool,
    clock: &Clock,
) -> Result<(Vec<Judged>, usize, String), SrError> {
    let rows = problem.unscaled_rows(&problem.train);
    let (constant, of_constant) = rows.best_constant();
    let mut front = with_constant(front, constant, config.max_size);
    // Few rows can be met exactly by a long formula; that is a law only if it is a short account.
    let perfect = front[by_length(&front, &rows)].error <= PERFECT;
    let few = rows.n_rows() <= CV_ROWS && !perfect;
    let settled = matches!(learned, Learned::Settled);
    let wanted = match config.model_selection {
        Selection::Auto if few && !settled => Selection::Cv,
        Selection::Auto => Selection::Mdl,
        other => other,
    };
    let apart = match learned {
        Learned::Apart(apart) => Some(apart),
        Learned::Settled | Learned::Together => None,
    };
    let mut left_out = None;
    let mut taken = None;
    let mut by_cv = "chosen by cross-validation".to_owned();
    if wanted == Selection::Cv || (config.model_selection == Selection::Auto && few) {
        let mut judged = pool.install(|| LeftOut::new(&front, &rows, config, seed, clock))?;
        let (pick, honest) = match &apart {
            _ if wanted == Selection::Mdl => (by_length(&front, &rows), None),
            Some(apart) => by_islands(&judged.losses, apart, &front),
            None => (by_rows_left_out(&judged.losses, &front), None),
        };
        let (pick, honest) = match clearly_better(&judged.losses, &front, pick) {
            Some(better) => (better, None),
            None => (pick, honest),
        };
        let mut pick = judged.take_floor(pick, honest, &mut front, &rows, (problem, config));
        if let (Some(apart), Some(Honest { size, losses, .. })) = (&apart, honest) {
            let task = (&rows, problem, config);
            let n_members;
            (pick, n_members) = judged.take_blend(pick, size, apart, &mut front, task)?;
            if n_members > 1 {
                by_cv += &format!(", the mean of {n_members} formulas");
            }
            let r2 = 1.0 - linear::mean(losses, None) / of_constant;
            by_cv += &format!("; searches that lacked rows have R² {r2:.3} there");
        }
        taken = Some(pick);
        left_out = Some(judged);
    }
    let unscaled = |rows: &Option<Rows>| rows.as_ref().map(|rows| problem.unscaled_rows(rows));
    let losses = losses_on(&rows, &front);
    let distances: Vec<Vec<f64>> = match (&apart, &left_out) {
        (Some(apart), _) if config.loss.is_squares() => {
            let of_model = |model| distances_of_islands(apart, model);
            front.iter().map(of_model).collect()
        }
        (_, Some(left_out)) => left_out.distances.clone(),
        // With many rows, or none left out, those learned from say nearly the same.
        _ => {
            let validation = unscaled(&problem.validation);
            distances_on(validation.as_ref().unwrap_or(&rows), &front)
        }
    };
    let r2s = (!config.loss.is_squares()).then(|| r2s_on(&rows, &front));
    let validation_r2s = unscaled(&problem.validation).map(|rows| r2s_on(&rows, &front));
    let test_r2s = unscaled(&problem.test).map(|rows| r2s_on(&rows, &front));
    let models: Vec<Judged> = front
        .iter()
        .zip(distances)
        .enumerate()
        .map(|(index, (model, distances))| {
            let free = model.free.iter().filter(|f| **f).count();
            #[expect(clippy::cast_precision_loss, reason = "counts are small")]
            let (n, free) = (rows.n_rows() as f64, free as f64);
            Judged {
                expr: problem.in_table(&model.expr),
                loss: losses[index],
                r2: r2s.as_ref().map_or(1.0 - model.error, |r2s| r2s[index]),
                mdl: model.length,
                bic: {
                    let error = model.error.max(PERFECT);
                    2.0 * rows.measure.misfit(n, error, of_constant) + free * n.ln()
                },
                cv_r2: left_out
                    .as_ref()
                    .map(|l| 1.0 - linear::mean(&l.losses[index], None) / of_constant),
                validation_r2: validation_r2s.as_ref().map(|r2s| r2s[index]),
                test_r2: test_r2s.as_ref().map(|r2s| r2s[index]),
                standard_errors: model.standard_errors.clone(),
                margins: certainty::margins(distances),
            }
        })
        .collect();
    let (chosen, choice) = if validation_r2s.is_some() {
        let key = |m: &Judged| -m.validation_r2.unwrap_or(f64::NEG_INFINITY);
        (
            position_of_least(&models, key),
            "chosen by the validation rows",
        )
    } else {
        match (wanted, &models) {
            (Selection::Cv, _) => (taken.unwrap_or(0), &by_cv[..]),
            (Selection::Bic, _) => (position_of_least(&models, |m| m.bic), "chosen by BIC"),
            (Selection::Error, _) => (
                position_of_least(&models, |m| m.loss),
                "chosen by training error",
            ),
            (Selection::Score, _) => (by_score(&models), "chosen by score"),
            _ => (
                taken.unwrap_or_else(|| by_length(&front, &rows)),
                "chosen by description length",
            ),
        }
    };
    // The loss whose error is that of rounding; errors are at most quadratic in losses.
    let rounding = of_constant
        * if rows.measure.error(0.5, 1.0) < 0.5 {
            PERFECT.sqrt()
        } else {
            PERFECT
        };
    let (models, chosen) = without_dominated(models, chosen, rounding);
    Ok((models, chosen, choice.to_owned()))
}

/// The choice by what the models of the front say about rows that their constants were not fitted
/// to. A law with a true singularity beats all tame formulas by far, not by a little.
fn by_rows_left_out(errors: &[Vec<f64>], front: &[Polished]) -> usize {
    let mean = |index: usize| linear::mean(&errors[index], None);
    let tame: Vec<bool> = front.iter().map(|m| m.tame).collect();
    let (pick, wild) = (smallest_good(errors, &tame), one_standard_error(errors));
    if mean(wild) < WILD * mean(pick) {
        wild
    } else if beats_constant(&errors[pick], &errors[0]) {
        pick
    } else {
        0
    }
}

/// Whether losses on rows left out say more than chance that a formula is better than the constant.
/// Among formulas a small advantage may count; whether there is anything to tell at all is another
/// question, and the constant is never far off.
fn beats_constant(losses: &[f64], of_constant: &[f64]) -> bool {
    let (gain, deviation) = advantage(losses, of_constant);
    gain > deviation
}

/// A formula that both its description and rows left out of its constants' fit say is better than the
/// pick, beyond doubt. Islands that had no time to find it say nothing against it: formulas of its
/// size that they did find may be poor.
fn clearly_better(errors: &[Vec<f64>], front: &[Polished], pick: usize) -> Option<usize> {
    let tame = (0..front.len()).filter(|&index| front[index].tame);
    let shortest = tame.min_by(|&a, &b| front[a].length.total_cmp(&front[b].length))?;
    let (gain, deviation) = advantage(&errors[shortest], &errors[pick]);
    let beyond_doubt = front[pick].length - front[shortest].length > DOUBT && gain > deviation;
    beyond_doubt.then_some(shortest)
}

/// The choice by what islands said about rows that they had never seen.
fn by_islands<'a>(
    errors: &[Vec<f64>],
    apart: &'a Apart,
    front: &[Polished],
) -> (usize, Option<Honest<'a>>) {
    let mean = |errors: &[f64]| linear::mean(errors, None);
    let size = match size_that_pays(&apart.losses) {
        size if beats_constant(&apart.losses[size], &apart.losses[0]) => size,
        _ => 0,
    };
    let promised = mean(&apart.losses[size]);
    let pick_within = |size: usize| {
        let within = |m: &Polished| m.tame && m.core_size <= size;
        let within: Vec<bool> = front.iter().map(within).collect();
        smallest_good(errors, &within)
    };
    let mut pick = pick_within(size);
    // The front need not have a formula of the size that the islands found enough.
    if mean(&errors[pick]) > TOLERABLE * promised {
        let longer = front.iter().filter(|m| m.tame && m.core_size > size);
        if let Some(next) = longer.map(|m| m.core_size).min() {
            pick = pick_within(next);
        }
    }
    let wild = size_that_pays(&apart.wild_losses);
    if mean(&apart.wild_losses[wild]) < WILD * promised {
        pick = one_standard_error(errors);
    }
    let honest = Honest {
        size,
        folds: &apart.folds,
        losses: &apart.losses[size],
    };
    (pick, Some(honest))
}

/// The models by size, each with a lower loss than all before it, and the chosen one. Losses below
/// `rounding` are all the same.
fn without_dominated(models: Vec<Judged>, chosen: usize, rounding: f64) -> (Vec<Judged>, usize) {
    let known = |loss: f64| {
        if loss.is_nan() {
            f64::INFINITY
        } else {
            loss.max(rounding)
        }
    };
    let mut order: Vec<(f64, bool, Judged)> = models
        .into_iter()
        .enumerate()
        .map(|(index, model)| (known(model.loss), index == chosen, model))
        .collect();
    order.sort_by(|(a_loss, _, a), (b_loss, _, b)| {
        let by_size = a.expr.len().cmp(&b.expr.len());
        by_size.then(a_loss.total_cmp(b_loss))
    });
    let mut lowest = f64::INFINITY;
    order.retain(|&(loss, is_chosen, _)| {
        let better = loss < lowest;
        lowest = lowest.min(loss);
        better || is_chosen
    });
    let chosen = order.iter().position(|&(_, is_chosen, _)| is_chosen);
    let models = order.into_iter().map(|(.., model)| model).collect();
    (models, chosen.unwrap_or(0))
}

/// The models within the size limit, and the best constant before all others: it is always there.
fn with_constant(front: Vec<Polished>, constant: f64, max_size: usize) -> Vec<Polished> {
    let constant = Polished {
        expr: Expr::constant(constant),
        free: vec![true],
        error: 1.0,
        length: front.iter().map(|m| m.length).fold(0.0, f64::max),
        core_size: 0,
        tame: true,
        standard_errors: vec![None],
    };
    // A variable alone is a model; another constant is not. The search counts cores: with scale
    // and offset a formula may have become too long.
    let better = front
        .into_iter()
        .filter(|m| m.error < 1.0 && m.expr.n_variables() > 0 && m.expr.len() <= max_size);
    std::iter::once(constant).chain(better).collect()
}

/// What `of` makes of the predictions of each model on some rows; of NaN, where there are none.
fn told_on<'a, T>(
    rows: &Rows,
    models: impl IntoIterator<Item = &'a Polished>,
    of: impl Fn(&[f64]) -> T,
) -> Vec<T> {
    let columns = rows.column_refs();
    let nothing = vec![f64::NAN; rows.n_rows()];
    let models = models.into_iter();
    let Ok(mut predictor) = Predictor::new(&columns, rows.n_rows()) else {
        return models.map(|_| of(&nothing)).collect();
    };
    let told = models.map(|model| match predictor.predict(&model.expr) {
        Ok(values) => of(&values),
        Err(_) => of(&nothing),
    });
    told.collect()
}

/// The loss of each model on some rows.
fn losses_on(rows: &Rows, models: &[Polished]) -> Vec<f64> {
    let weights = rows.weights.as_deref();
    told_on(rows, models, |values| {
        linear::mean(&rows.losses(values), weights)
    })
}

/// The distances of a model's like from the target, where islands were apart: of formulas as long as
/// it that had not seen the row. Squares only, of which the losses are.
fn distances_of_islands(apart: &Apart, model: &Polished) -> Vec<f64> {
    let by_size = if model.tame {
        &apart.losses
    } else {
        &apart.wild_losses
    };
    let losses = &by_size[model.core_size.min(by_size.len() - 1)];
    losses.iter().map(|loss| loss.sqrt()).collect()
}

/// How far each model is off on each of some rows.
fn distances_on(rows: &Rows, models: &[Polished]) -> Vec<Vec<f64>> {
    let off = |(y, value): (&f64, &f64)| (y - value).abs();
    told_on(rows, models, |values| {
        rows.target.iter().zip(values).map(off).collect()
    })
}

/// R² of each model on some rows; very low, but a number, where the formula has no value.
fn r2s_on(rows: &Rows, models: &[Polished]) -> Vec<f64> {
    let variance = rows.variance().max(f64::MIN_POSITIVE);
    told_on(rows, models, |values| {
        let residuals: Vec<f64> = rows.target.iter().zip(values).map(|(y, v)| y - v).collect();
        let r2 = 1.0 - linear::spread(&residuals, 0.0, rows.weights.as_deref()) / variance;
        if r2.is_finite() { r2 } else { f64::MIN }
    })
}

/// The size to which islands' losses say that formulas may grow. Neighbours have a say in it; but what a
/// smaller size does as well by itself, it does.
fn size_that_pays(losses: &[Vec<f64>]) -> usize {
    let mean = |size: usize| linear::mean(&losses[size], None);
    let size = one_standard_error(&smoothed(losses));
    (0..size)
        .find(|&smaller| mean(smaller) <= mean(size))
        .unwrap_or(size)
}

/// The losses of each size, averaged row by row with those of its neighbours: of fifty sizes one is
/// always lucky, and what formulas a node longer or shorter did tells as much about it. The constant,
/// of size 0, is known as it is.
fn smoothed(losses: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of_size = |size: usize| {
        let nearest = match size {
            0 => 0..1,
            _ => size.saturating_sub(NEIGHBOURS).max(1)..(size + NEIGHBOURS + 1).min(losses.len()),
        };
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let share = 1.0 / nearest.len() as f64;
        let mut mean = vec![0.0; losses[size].len()];
        for losses in &losses[nearest] {
            for (mean, loss) in mean.iter_mut().zip(losses) {
                *mean += share * loss;
            }
        }
        mean
    };
    (0..losses.len()).map(of_size).collect()
}

fn position_of_least(models: &[Judged], key: impl Fn(&Judged) -> f64) -> usize {
    (0..models.len())
        .min_by(|&a, &b| key(&models[a]).total_cmp(&key(&models[b])))
        .unwrap_or(0)
}

/// The smallest model that is not worse than the best by more than [`INDIFFERENCE`] and
/// [`TOLERABLE`] say.
fn one_standard_error(errors: &[Vec<f64>]) -> usize {
    smallest_good(errors, &vec![true; errors.len()])
}

/// The same among some of the models, by size.
fn smallest_good(errors: &[Vec<f64>], among: &[bool]) -> usize {
    let among: Vec<usize> = (0..errors.len()).filter(|&index| among[index]).collect();
    let mean = |index: usize| linear::mean(&errors[index], None);
    let Some(best) = among
        .iter()
        .copied()
        .min_by(|&a, &b| mean(a).total_cmp(&mean(b)))
    else {
        return 0;
    };
    let good = |index: usize| {
        let (gain, deviation) = advantage(&errors[best], &errors[index]);
        gain <= INDIFFERENCE * deviation && mean(index) <= TOLERABLE * mean(best)
    };
    among
        .into_iter()
        .take_while(|&index| index < best)
        .find(|&index| good(index))
        .unwrap_or(best)
}

/// The shortest description. A formula that is not tame and is shorter because it fits better must
/// be so by far, and not on a few rows only: a pole may follow a few odd rows, a law follows all. One
/// that fits as well with less is simply the simpler of the two.
fn by_length(front: &[Polished], rows: &Rows) -> usize {
    let shortest = |tame_only: bool| {
        (0..front.len())
            .filter(|&index| front[index].tame || !tame_only)
            .min_by(|&a, &b| front[a].length.total_cmp(&front[b].length))
            .unwrap_or(0)
    };
    let (any, tame) = (shortest(false), shortest(true));
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let n = rows.n_rows() as f64;
    let far = (0.05 * n).max(10.0);
    let error = |index: usize| front[index].error.max(PERFECT);
    let better_fit = 0.5 * n * (error(tame) / error(any)).ln();
    if any == tame || better_fit <= SAME_FIT {
        return any;
    }
    // Where rows are few, as on rows left out: by far is another order of errors.
    let far_fit = if rows.n_rows() <= CV_ROWS {
        far.max(-0.5 * n * WILD.ln())
    } else {
        far
    };
    let by_far = front[tame].length - front[any].length > far
        && better_fit_on_most(&front[any], &front[tame], rows) > far_fit;
    if by_far { any } else { tame }
}

/// By how many nats a model fits better than another, without the rows where it is better by most.
fn better_fit_on_most(model: &Polished, other: &Polished, rows: &Rows) -> f64 {
    let losses = told_on(rows, [model, other], |values| rows.losses(values));
    let gain = |row: usize| losses[1][row] - losses[0][row];
    let mut order: Vec<usize> = (0..rows.n_rows()).collect();
    order.sort_by(|&a, &b| gain(b).total_cmp(&gain(a)));
    let most = order.split_off((order.len() / ODD_ROWS).max(2).min(order.len()));
    let of_constant = rows.best_constant().1;
    let error = |losses: &[f64]| {
        let on_most: Vec<f64> = most.iter().map(|&row| losses[row]).collect();
        let loss = linear::mean(&on_most, None);
        rows.measure.error(loss, of_constant).max(PERFECT)
    };
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let n = most.len() as f64;
    0.5 * n * (error(&losses[1]) / error(&losses[0])).ln()
}

/// The steepest fall of log loss per node among models within 1.5 of the lowest loss.
fn by_score(models: &[Judged]) -> usize {
    let lowest = models.iter().map(|m| m.loss).fold(f64::INFINITY, f64::min);
    let mut best = (f64::NEG_INFINITY, models.len() - 1);
    for index in 1..models.len() {
        let (a, b) = (&models[index - 1], &models[index]);
        #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
        let nodes = b.expr.len().saturating_sub(a.expr.len()).max(1) as f64;
        let score = (a.loss.max(f64::MIN_POSITIVE) / b.loss.max(f64::MIN_POSITIVE)).ln() / nodes;
        if b.loss <= 1.5 * lowest && score > best.0 {
            best = (score, index);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pick_gives_way_only_to_what_both_description_and_rows_left_out_prefer_by_far() {
        let model = |length, tame| Polished {
            expr: Expr::constant(0.0),
            free: vec![true],
            error: 0.5,
            length,
            core_size: 1,
            tame,
            standard_errors: vec![None],
        };
        let pick = (model(0.0, true), vec![1.0, 1.1, 0.9, 1.0]);
        let better = vec![0.1, 0.2, 0.1, 0.3];
        let by_chance = vec![1.4, 0.6, 1.3, 0.5];
        for (rival, losses, gives_way) in [
            (model(-100.0, true), &better, true),
            (model(-10.0, true), &better, false),
            (model(-100.0, false), &better, false),
            (model(-100.0, true), &by_chance, false),
        ] {
            let front = [pick.0.clone(), rival];
            let losses = [pick.1.clone(), losses.clone()];
            assert_eq!(clearly_better(&losses, &front, 0), gives_way.then_some(1));
        }
    }
}
