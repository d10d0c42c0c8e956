//! Symmetries: combinations of inputs that the target depends on, read off the rows.
//!
//! `q/(e·√(r² + d² - 2·r·d·cos(a - b)))` has six inputs, but q and e do nothing but multiply, and of
//! a and b only the difference counts: what is left to be found is a function of three variables, of
//! which all formulas of a size can be written down that is out of reach for all six together.
//!
//! Which inputs only scale, do not count, or count only together shows in the target's slopes: where
//! `y = f(φ(a) + r·φ(b), …)`, the slopes against φ(a) and φ(b) have the same ratio at all rows,
//! whatever f is. The slopes come from quadratic fits to the neighbours of a few dozen rows. The same
//! fits tell whether a step was right: with one variable fewer, neighbours are nearer, and what such
//! fits leave of the target falls to the noise; after a wrong step the target is no function of the
//! variables any more, and it rises. So the steps that the slopes suggest are tried, the one that
//! leaves least is taken, and all is looked at anew until no step is right.
//!
//! (Udrescu & Tegmark, "AI Feynman", Science Advances 6 (2020), eaay2631, look for such symmetries in a
//! neural network that was fitted to the rows.)
//!
//! # Invariants
//! - Nothing here is believed: what is found with a reduction are starts.
//! - A reduction is a function of the rows.

use nalgebra::{DMatrix, DVector};
use opcodon_expr::{Expr, Node, Op};
use rayon::prelude::*;

use crate::clock::Clock;
use crate::linear;
use crate::loss::{Loss, Measure};
use crate::operators::Operators;
use crate::problem::{Rows, normalised_weights};
use crate::seeds::{law_exponent, power_product};

/// Rows among which neighbours are sought.
const ROWS: usize = 5000;
/// So many inputs: among more, neighbours are too far away.
const INPUTS: std::ops::RangeInclusive<usize> = 2..=10;
/// Rows at which slopes are taken.
const CENTRES: usize = 64;
/// Neighbours for each coefficient of a quadratic fit, and the fewest.
const NEIGHBOURS: usize = 3;
const FEWEST: usize = 30;
/// How far slopes may be from what a step asks for, as a share of them, for the step to be tried.
const OFF: f64 = 0.3;
/// Steps that are tried, the likeliest first.
const TRIED: usize = 6;
/// How much more of the target a right step may leave than was left before.
const SLACK: f64 = 1.05;
/// What leaves so little more than the best does as well, and may be simpler.
const AS_WELL: f64 = 1.02;
/// Shares of the target's deviation: less than the first is rounding; with more than the second left
/// the target is not smooth to begin with; with more than the third there is no law to be found.
const ROUNDING: f64 = 1e-7;
const ROUGH: f64 = 0.7;
const LEFT: f64 = 0.1;
/// Exponents of an input that only scales; more are not laws.
const STEEPEST: f64 = 6.0;

/// Fewer variables, and what the target is divided by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reduction {
    /// The new variables, as formulas of the inputs.
    pub(crate) variables: Vec<Expr>,
    /// What the target is divided by; `None` is one.
    factor: Option<Expr>,
    /// What quadratic fits to neighbours leave of the target, as a share of its variance.
    pub(crate) left: f64,
}

/// Something that is the same function of the inputs or their pairs everywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// The variable does not count.
    Drop(usize),
    /// The target is this power of the variable times something without it.
    Scale(usize, f64),
    /// Two variables count only as one.
    Join(usize, usize, Together),
}

/// How two variables make one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Together {
    /// `aᵖ·b^q` with small whole exponents.
    Powers(i8, i8),
    /// `r·φ(a) + φ(b)`
    Sum(Coordinate, f64),
}

/// What a variable enters a sum as.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coordinate {
    Plain,
    Squared,
    Inverted,
}

impl Coordinate {
    const ALL: [Self; 3] = [Self::Plain, Self::Squared, Self::Inverted];

    fn operator(self) -> Option<Op> {
        match self {
            Self::Plain => None,
            Self::Squared => Some(Op::Square),
            Self::Inverted => Some(Op::Inv),
        }
    }

    /// The slope against it, from the slope against the variable.
    fn slope(self, slope: f64, x: f64) -> f64 {
        match self {
            Self::Plain => slope,
            Self::Squared => slope / (2.0 * x),
            Self::Inverted => -slope * x * x,
        }
    }

    fn of(self, variable: &Expr) -> Expr {
        match self.operator() {
            None => variable.clone(),
            Some(op) => Expr::apply(op, std::slice::from_ref(variable)),
        }
    }
}

/// Whole exponents of two variables that count as a product of powers, by the ratio of their slopes
/// against the logarithms.
const POWERS: [(f64, i8, i8); 6] = [
    (1.0, 1, 1),
    (-1.0, -1, 1),
    (2.0, 2, 1),
    (-2.0, -2, 1),
    (0.5, 1, 2),
    (-0.5, -1, 2),
];

impl Step {
    /// Simpler ones first.
    fn rank(self) -> u8 {
        match self {
            Self::Drop(_) => 0,
            Self::Scale(..) => 1,
            Self::Join(_, _, Together::Powers(..)) => 2,
            Self::Join(_, _, Together::Sum(..)) => 3,
        }
    }
}

/// A table on the way to fewer variables, and what quadratic fits say about it.
struct Stage {
    variables: Vec<Expr>,
    factors: Vec<(Expr, f64)>,
    columns: Vec<Vec<f64>>,
    /// From zero, divided by the factors.
    target: Vec<f64>,
    /// The product of the factors: an error of the target counts by it.
    weights: Vec<f64>,
    local: Local,
}

/// Quadratic fits at some rows.
struct Local {
    centres: Vec<usize>,
    /// At each centre the target, and its slopes against the variables.
    values: Vec<f64>,
    slopes: Vec<Vec<f64>>,
    /// The root mean square of what the fits leave, for each degree of freedom.
    left: f64,
}

impl Reduction {
    /// What can be told of these rows; `None` if no step is right or the target is not smooth. Steps
    /// that there is no time for are not taken.
    pub(crate) fn of(rows: &Rows, operators: &Operators, clock: &Clock) -> Option<Self> {
        let some = rows.spread_out(ROWS);
        if !INPUTS.contains(&some.columns.len()) {
            return None;
        }
        let spread = some.variance().sqrt();
        let target: Vec<f64> = some.target.iter().map(|y| y - some.zero).collect();
        let variables = (0..some.columns.len())
            .map(|j| Expr::var(u32::try_from(j).unwrap_or(u32::MAX)))
            .collect();
        let weights = match &some.weights {
            Some(weights) => weights.iter().map(|w| w.sqrt()).collect(),
            None => vec![1.0; target.len()],
        };
        let mut stage = Stage::new(variables, Vec::new(), some.columns, target, weights, clock)?;
        if stage.local.left > ROUGH * spread {
            return None;
        }
        let n_inputs = stage.variables.len();
        let rounding = ROUNDING * spread;
        while let Some(next) = stage.next(operators, rounding, clock) {
            stage = next;
        }
        let fewer = stage.variables.len() < n_inputs && stage.local.left <= LEFT * spread;
        let (bases, powers): (Vec<Expr>, Vec<f64>) = stage.factors.into_iter().unzip();
        let powers: Vec<(usize, f64)> = powers.into_iter().enumerate().collect();
        fewer.then(|| Self {
            variables: stage.variables,
            factor: power_product(&powers).and_then(|product| substituted(&product, &bases)),
            left: (stage.local.left / spread).powi(2),
        })
    }

    /// The rows in the new variables, for least squares: the same errors cost the same.
    pub(crate) fn rows(&self, rows: &Rows) -> Option<Rows> {
        let columns = rows.column_refs();
        let values = |expr: &Expr| expr.eval_columns(&columns);
        let by = self.factor.as_ref().map(values);
        let factor = |row: usize| by.as_ref().map_or(1.0, |by| by[row]);
        let mut target: Vec<f64> = (0..rows.n_rows())
            .map(|row| (rows.target[row] - rows.zero) / factor(row))
            .collect();
        let unit = linear::spread(&target, 0.0, None).sqrt();
        for value in &mut target {
            *value /= unit;
        }
        let own = |row: usize| rows.weights.as_ref().map_or(1.0, |weights| weights[row]);
        let weights: Vec<f64> = (0..rows.n_rows())
            .map(|row| own(row) * factor(row) * factor(row))
            .collect();
        let counts = linear::mean(&weights, None) > 0.0;
        let columns: Vec<Vec<f64>> = self.variables.iter().map(values).collect();
        let usable = all_finite(&columns, &[&target, &weights]) && counts;
        usable.then(|| Rows {
            columns,
            target,
            weights: Some(normalised_weights(weights)),
            zero: 0.0,
            measure: Measure::of_table(Loss::Mse),
        })
    }

    /// A formula of the new variables as one of the inputs, up to a scale.
    pub(crate) fn lifted(&self, expr: &Expr) -> Option<Expr> {
        let rest = substituted(expr, &self.variables)?;
        Some(match &self.factor {
            Some(factor) => Expr::apply(Op::Mul, &[rest, factor.clone()]),
            None => rest,
        })
    }

    /// Nodes that formulas grow by at least.
    pub(crate) fn size(&self) -> usize {
        self.factor.as_ref().map_or(0, |factor| factor.len() + 1)
    }
}

/// A formula with other formulas in place of its variables.
fn substituted(expr: &Expr, variables: &[Expr]) -> Option<Expr> {
    let mut nodes = Vec::with_capacity(expr.len());
    for &node in expr.nodes() {
        match node {
            Node::Var(index) => nodes.extend_from_slice(variables[index as usize].nodes()),
            other => nodes.push(other),
        }
    }
    Expr::from_postfix(nodes).ok()
}

impl Stage {
    fn new(
        variables: Vec<Expr>,
        factors: Vec<(Expr, f64)>,
        columns: Vec<Vec<f64>>,
        target: Vec<f64>,
        weights: Vec<f64>,
        clock: &Clock,
    ) -> Option<Self> {
        if !all_finite(&columns, &[&target, &weights]) {
            return None;
        }
        let local = Local::of(&columns, &target, &weights, clock)?;
        Some(Self {
            variables,
            factors,
            columns,
            target,
            weights,
            local,
        })
    }

    /// After the best step, if one is right.
    fn next(&self, operators: &Operators, rounding: f64, clock: &Clock) -> Option<Self> {
        if self.variables.len() < 2 {
            return None;
        }
        let mut steps = self.steps(operators);
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        steps.truncate(TRIED);
        let tried: Vec<(Step, Self)> = steps
            .into_par_iter()
            .filter_map(|(_, step)| Some((step, self.after(step, clock)?)))
            .collect();
        let left = |stage: &Self| stage.local.left.max(rounding);
        let least = tried
            .iter()
            .map(|(_, s)| left(s))
            .fold(f64::INFINITY, f64::min);
        let (_, best) = tried
            .into_iter()
            .filter(|(_, stage)| left(stage) <= AS_WELL * least)
            .min_by_key(|(step, _)| step.rank())?;
        (left(&best) <= SLACK * left(self)).then_some(best)
    }

    /// What the slopes suggest, with how far they are from it.
    fn steps(&self, operators: &Operators) -> Vec<(f64, Step)> {
        let n = self.variables.len();
        let Local {
            centres,
            values,
            slopes,
            ..
        } = &self.local;
        let at = |j: usize, k: usize| self.columns[j][centres[k]];
        let of =
            |slope: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..centres.len()).map(slope).collect() };
        let has = |op| operators.write(op);
        let deviations: Vec<f64> = self
            .columns
            .iter()
            .map(|c| linear::spread(c, linear::mean(c, None), None).sqrt())
            .collect();
        let positive: Vec<bool> = self
            .columns
            .iter()
            .map(|column| column.iter().all(|&x| x > 0.0))
            .collect();
        let mut out = Vec::new();
        let mut suggest = |off: f64, step: Step| {
            if off <= OFF {
                out.push((off, step));
            }
        };
        for i in 0..n {
            let shares = of(&|k| {
                let all: f64 = (0..n).map(|j| (slopes[j][k] * deviations[j]).abs()).sum();
                (slopes[i][k] * deviations[i]).abs() / all
            });
            suggest(median(shares), Step::Drop(i));
            if positive[i] && has(Op::Mul) && has(Op::Div) && has(Op::Sqrt) {
                let steep = of(&|k| slopes[i][k] * at(i, k));
                let power = law_exponent(median(of(&|k| steep[k] / values[k])));
                if power != 0.0 && power.abs() <= STEEPEST {
                    suggest(off(&steep, values, power), Step::Scale(i, power));
                }
            }
            for j in i + 1..n {
                if positive[i] && positive[j] && has(Op::Mul) && has(Op::Div) {
                    let [a, b] = [i, j].map(|v| of(&|k| slopes[v][k] * at(v, k)));
                    let best = POWERS.map(|(ratio, p, q)| (off(&a, &b, ratio), p, q));
                    let (off, p, q) = least(best);
                    suggest(off, Step::Join(i, j, Together::Powers(p, q)));
                }
                for coordinate in Coordinate::ALL {
                    let possible = coordinate.operator().is_none_or(has) && has(Op::Add);
                    let defined = coordinate != Coordinate::Inverted || positive[i] && positive[j];
                    if !(possible && defined) {
                        continue;
                    }
                    let [a, b] = [i, j].map(|v| of(&|k| coordinate.slope(slopes[v][k], at(v, k))));
                    let ratios = [1.0, -1.0].map(|ratio| (off(&a, &b, ratio), ratio));
                    let ratio = ratios[usize::from(ratios[1].0 < ratios[0].0)];
                    suggest(
                        ratio.0,
                        Step::Join(i, j, Together::Sum(coordinate, ratio.1)),
                    );
                }
            }
        }
        out
    }

    /// The table after a step; `None` if it cannot be taken.
    fn after(&self, step: Step, clock: &Clock) -> Option<Self> {
        let (mut variables, mut columns) = (self.variables.clone(), self.columns.clone());
        let (mut factors, mut target) = (self.factors.clone(), self.target.clone());
        let mut weights = self.weights.clone();
        match step {
            Step::Drop(i) => {
                variables.remove(i);
                columns.remove(i);
            }
            Step::Scale(i, power) => {
                let column = columns.remove(i);
                for ((y, w), x) in target.iter_mut().zip(&mut weights).zip(column) {
                    let factor = x.powf(power);
                    *y /= factor;
                    *w *= factor;
                }
                factors.push((variables.remove(i), power));
            }
            Step::Join(i, j, together) => {
                let joined = joined(&self.variables[i], &self.variables[j], together)?;
                let [a, b] = [0, 1].map(Expr::var);
                let of_pair = self::joined(&a, &b, together)?;
                let values = of_pair.eval_columns(&[&columns[i], &columns[j]]);
                variables.remove(j);
                columns.remove(j);
                variables[i] = joined;
                columns[i] = values;
            }
        }
        Self::new(variables, factors, columns, target, weights, clock)
    }
}

/// One variable made of two.
fn joined(a: &Expr, b: &Expr, together: Together) -> Option<Expr> {
    match together {
        Together::Powers(p, q) => {
            let powers = [(0, f64::from(p)), (1, f64::from(q))];
            substituted(&power_product(&powers)?, &[a.clone(), b.clone()])
        }
        Together::Sum(coordinate, ratio) => {
            let [a, b] = [a, b].map(|v| coordinate.of(v));
            Some(match ratio > 0.0 {
                true => Expr::apply(Op::Add, &[a, b]),
                false => Expr::apply(Op::Sub, &[b, a]),
            })
        }
    }
}

/// How far `a` is from `ratio·b`, in the middle, as a share of both.
fn off(a: &[f64], b: &[f64], ratio: f64) -> f64 {
    let norm = 1.0f64.hypot(ratio);
    let pairs = a.iter().zip(b);
    median(
        pairs
            .map(|(a, b)| (a - ratio * b).abs() / (norm * a.hypot(*b)))
            .collect(),
    )
}

/// The first of the least.
fn least<const N: usize>(all: [(f64, i8, i8); N]) -> (f64, i8, i8) {
    all.into_iter().fold((f64::INFINITY, 0, 0), |least, next| {
        match next.0 < least.0 {
            true => next,
            false => least,
        }
    })
}

impl Local {
    /// Fits in logarithms of what is positive; `None` with too few rows.
    fn of(columns: &[Vec<f64>], target: &[f64], weights: &[f64], clock: &Clock) -> Option<Self> {
        let (n_rows, n) = (target.len(), columns.len());
        let n_terms = 1 + n + n * (n + 1) / 2;
        let n_neighbours = (NEIGHBOURS * n_terms).max(FEWEST);
        if n_rows < 4 * n_neighbours {
            return None;
        }
        let positive: Vec<bool> = columns.iter().map(|c| c.iter().all(|&x| x > 0.0)).collect();
        // Coordinates in standard deviations, and how much that is.
        let (points, scales): (Vec<Vec<f64>>, Vec<f64>) = columns
            .iter()
            .zip(&positive)
            .map(|(column, &positive)| {
                let coordinate = |&x: &f64| if positive { x.ln() } else { x };
                let values: Vec<f64> = column.iter().map(coordinate).collect();
                let scale = linear::spread(&values, linear::mean(&values, None), None).sqrt();
                (values.iter().map(|v| v / scale).collect(), scale)
            })
            .unzip();
        let centres: Vec<usize> = (0..n_rows).step_by(n_rows.div_ceil(CENTRES)).collect();
        let fits: Vec<(usize, f64, Vec<f64>, f64)> = centres
            .into_par_iter()
            .filter_map(|centre| {
                if clock.is_over() {
                    return None;
                }
                let mut near: Vec<(f64, usize)> = (0..n_rows)
                    .map(|row| {
                        let squares = points.iter().map(|p| (p[row] - p[centre]).powi(2));
                        (squares.sum(), row)
                    })
                    .collect();
                near.select_nth_unstable_by(n_neighbours, |a, b| a.0.total_cmp(&b.0));
                let radius = near[n_neighbours].0.sqrt();
                near.truncate(n_neighbours);
                let mut design = DMatrix::zeros(n_neighbours, n_terms);
                let mut values = DVector::zeros(n_neighbours);
                for (k, &(_, row)) in near.iter().enumerate() {
                    let offset = |j: usize| (points[j][row] - points[j][centre]) / radius;
                    let weight = weights[row];
                    values[k] = weight * target[row];
                    design[(k, 0)] = weight;
                    let mut term = 1 + n;
                    for i in 0..n {
                        design[(k, 1 + i)] = weight * offset(i);
                        for j in i..n {
                            design[(k, term)] = weight * offset(i) * offset(j);
                            term += 1;
                        }
                    }
                }
                let fitted = design
                    .tr_mul(&design)
                    .cholesky()?
                    .solve(&design.tr_mul(&values));
                #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
                let freedom = (n_neighbours - n_terms) as f64;
                let left = (values - &design * &fitted).norm_squared() / freedom;
                let slopes = (0..n).map(|j| {
                    let slope = fitted[1 + j] / (radius * scales[j]);
                    if positive[j] {
                        slope / columns[j][centre]
                    } else {
                        slope
                    }
                });
                Some((centre, fitted[0], slopes.collect(), left))
            })
            .collect();
        if 2 * fits.len() < CENTRES {
            return None;
        }
        let lefts: Vec<f64> = fits.iter().map(|fit| fit.3).collect();
        Some(Self {
            centres: fits.iter().map(|fit| fit.0).collect(),
            values: fits.iter().map(|fit| fit.1).collect(),
            slopes: (0..n)
                .map(|j| fits.iter().map(|fit| fit.2[j]).collect())
                .collect(),
            left: linear::mean(&lefts, None).sqrt(),
        })
    }
}

fn all_finite(columns: &[Vec<f64>], others: &[&[f64]]) -> bool {
    let columns = columns.iter().map(Vec::as_slice);
    let mut all = columns.chain(others.iter().copied()).flatten();
    all.all(|v| v.is_finite())
}

/// The value in the middle; NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return f64::NAN;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use opcodon_evo::Rng;

    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    /// A law of as many inputs as it names, on rows between 1 and 3.
    fn table(law: &str, n_rows: usize, noise: f64) -> Rows {
        let mut rng = Rng::new(7, 0);
        let expr = opcodon_expr::parse(law, Some(&NAMES)).expect(law).expr;
        let n = expr.n_variables() as usize;
        let columns: Vec<Vec<f64>> = (0..n)
            .map(|_| (0..n_rows).map(|_| rng.uniform(1.0, 3.0)).collect())
            .collect();
        let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let exact = expr.eval_columns(&refs);
        let noise = noise * linear::spread(&exact, 0.0, None).sqrt();
        let target = exact.iter().map(|y| y + noise * rng.normal()).collect();
        Rows::of_squares(columns, target)
    }

    fn clock() -> Clock {
        let config = Config {
            time_limit: None,
            ..Config::default()
        };
        Clock::start(&config, None)
    }

    /// The new variables as text, sorted.
    fn variables(law: &str, n_rows: usize, noise: f64) -> Vec<String> {
        let rows = table(law, n_rows, noise);
        let names = NAMES.map(str::to_owned);
        let reduction = Reduction::of(&rows, &Operators::default(), &clock());
        let mut texts: Vec<String> = reduction
            .iter()
            .flat_map(|r| &r.variables)
            .map(|v| opcodon_expr::print::infix(v, &names))
            .collect();
        texts.sort();
        texts
    }

    /// Whether these inputs, and combinations of others, are what is left.
    fn check(law: &str, n_rows: usize, noise: f64, expected: &[&str]) {
        let found = variables(law, n_rows, noise);
        let plain = |v: &&String| NAMES.contains(&v.as_str());
        let (plain, joined): (Vec<&String>, Vec<&String>) = found.iter().partition(plain);
        let (inputs, others): (Vec<&str>, Vec<&str>) =
            expected.iter().partition(|v| NAMES.contains(v));
        assert_eq!(plain, inputs, "{law}: {found:?}");
        assert_eq!(joined.len(), others.len(), "{law}: {found:?}");
    }

    #[test]
    fn what_counts_only_together_is_found() {
        for (n_rows, noise) in [(5000, 0.0), (5000, 0.001), (700, 0.001)] {
            let check = |law, expected: &[&str]| check(law, n_rows, noise, expected);
            check("a/(b*sqrt(c^2 + d^2 - 2*c*d*cos(f)))", &["c", "d", "f"]);
            check("a*sqrt(1 + sin(b - c))*cos(d)^2", &["d", "b - c"]);
            check("exp(-((b - c)/a)^2/2)/a", &["a", "b - c"]);
            check("log(a^2 + b^2)*tanh(c/d)", &["a^2 + b^2", "c/d"]);
            check("d/(1/a + 1/b + c)", &["1/a + 1/b + c"]);
            check("a^2*(1 + b*log(c)) + 0*d", &["b", "c"]);
            check("(a + b)/(1 + a*b/c^2)", &[]);
        }
    }

    #[test]
    fn what_is_not_smooth_has_no_symmetries() {
        check("a*exp(b*c)", 5000, 0.5, &[]);
        check("a*b", 40, 0.0, &[]);
    }

    #[test]
    fn what_is_found_in_fewer_variables_is_found_in_all() {
        let rows = table("a^2*sqrt(b)*tanh(c/d)", 2000, 0.0);
        let reduction = Reduction::of(&rows, &Operators::default(), &clock()).expect("two scale");
        assert_eq!(reduction.variables.len(), 1);
        let fewer = reduction.rows(&rows).expect("finite");
        // Whatever way round the quotient is.
        let expr = ["tanh(x)", "tanh(1/x)"]
            .map(|text| opcodon_expr::parse(text, Some(&["x"])).expect(text).expr);
        let errors = expr.map(|expr| {
            let model = |expr: &Expr, rows: &Rows| {
                let values = expr.eval_columns(&rows.column_refs());
                let fit = linear::forward(&[&values], &rows.target, rows.weights.as_deref(), 1);
                fit.last().expect("varies").mse
            };
            let lifted = reduction.lifted(&expr).expect("a tree");
            (model(&expr, &fewer), model(&lifted, &rows))
        });
        assert!(
            errors
                .iter()
                .any(|(fewer, all)| *fewer < 1e-20 && *all < 1e-20),
            "{errors:?}"
        );
    }
}
