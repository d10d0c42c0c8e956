//! What is minimised over the rows: a table of losses, and formulas of users.
//!
//! A loss is three formulas of a prediction `p` and a target `y`, in the units of the table: its
//! value, its slope in `p`, and a curvature. The last two say how a parabola touches the loss at
//! `p`; a parabola that nowhere lies below the loss *majorises* it, and then whoever lowers the
//! parabola lowers the loss. So all that least squares can do, linear scaling and
//! Levenberg-Marquardt, is done for any loss on working targets and weights ([`crate::judge`]).
//!
//! Sources of the parabolas: Huber (Robust Statistics, 1981) for losses that grow slower than
//! squares; Hunter & Lange (2000) for quantiles; Jaakkola & Jordan (2000) for the logistic loss. A
//! user's formula is differentiated; its curvature is the larger of the second derivative and
//! slope over distance, which is Newton's or Huber's, whichever is the safer.
//!
//! # Invariant
//! `error` of any loss compares with that of squares: it is the loss relative to that of the best
//! constant, to the power that makes it quadratic in the size of residuals. So 0 is perfect, 1 is
//! the constant, and thresholds and description lengths mean the same for every loss.

use std::fmt;

use opcodon_expr::{Expr, Node, ParseError, parse};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::SrError;

/// How far predictions are from the target.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Loss {
    /// Mean squared error: the choice for Gaussian noise, and the fastest.
    #[default]
    Mse,
    /// Mean absolute error: an outlier counts by its size, not its square.
    Mae,
    /// Squares up to this distance, in units of the target, then absolute values.
    Huber(f64),
    /// Pinball loss, whose best constant is this quantile, between 0 and 1.
    Quantile(f64),
    /// Logarithm of the hyperbolic cosine: squares for small residuals, absolute values for large.
    LogCosh,
    /// Negative log-likelihood of a class, where the formula is the logarithm of the odds and the
    /// target 0, 1, or a probability.
    Logistic,
    /// Half the deviance of counts, whose mean is predicted: a negative log-likelihood, 0 where the
    /// prediction is the target. Formulas are exponentials, so that no mean is negative.
    Poisson,
    /// A formula of the prediction `p` and the target `y`.
    Formula(String),
}

/// What the search finds a formula for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// The prediction itself.
    Identity,
    /// Its logarithm.
    Log,
}

/// The facts of a loss that has a name.
struct Row {
    word: &'static str,
    /// The argument's default, and the open interval it must lie in.
    argument: Option<(f64, f64, f64)>,
    make: fn(f64) -> Loss,
    /// Of `p`, `y`, the argument `d`, and a distance `e` that is nearly none.
    value: &'static str,
    slope: &'static str,
    curvature: &'static str,
    /// The three where `p` is the logarithm of the prediction, if that is what is searched for.
    of_log: Option<[&'static str; 3]>,
    /// The power of residuals that the loss grows with, as far as it has one.
    degree: f64,
}

const TABLE: &[Row] = &[
    Row {
        word: "mse",
        argument: None,
        make: |_| Loss::Mse,
        value: "(p - y)^2",
        slope: "2*(p - y)",
        curvature: "2",
        of_log: None,
        degree: 2.0,
    },
    Row {
        word: "mae",
        argument: None,
        make: |_| Loss::Mae,
        value: "abs(p - y)",
        slope: "sign(p - y)",
        curvature: "1/max(abs(p - y), e)",
        of_log: None,
        degree: 1.0,
    },
    Row {
        word: "huber",
        argument: Some((1.0, 0.0, f64::INFINITY)),
        make: Loss::Huber,
        value: "if(abs(p - y) < d, 0.5*(p - y)^2, d*(abs(p - y) - 0.5*d))",
        slope: "max(min(p - y, d), -d)",
        curvature: "min(1, d/max(abs(p - y), e))",
        of_log: None,
        degree: 2.0,
    },
    Row {
        word: "quantile",
        argument: Some((0.5, 0.0, 1.0)),
        make: Loss::Quantile,
        value: "max(d*(y - p), (d - 1)*(y - p))",
        slope: "if(p < y, -d, 1 - d)",
        curvature: "0.5/max(abs(p - y), e)",
        of_log: None,
        degree: 1.0,
    },
    Row {
        word: "log_cosh",
        argument: None,
        make: |_| Loss::LogCosh,
        value: "abs(p - y) + log1p(exp(-2*abs(p - y))) - 0.6931471805599453",
        slope: "tanh(p - y)",
        curvature: "tanh(max(abs(p - y), 1e-8))/max(abs(p - y), 1e-8)",
        of_log: None,
        degree: 2.0,
    },
    Row {
        word: "logistic",
        argument: None,
        make: |_| Loss::Logistic,
        value: "max(p, 0) - p*y + log1p(exp(-abs(p)))",
        slope: "sigmoid(p) - y",
        curvature: "0.5*tanh(0.5*max(abs(p), 1e-8))/max(abs(p), 1e-8)",
        of_log: None,
        degree: 2.0,
    },
    Row {
        word: "poisson",
        argument: None,
        make: |_| Loss::Poisson,
        // The root is there for what is below zero.
        value: "p - y + if(y > 0, y*log(y/p), 0*sqrt(p))",
        slope: "1 - y/p",
        curvature: "1/p",
        of_log: Some([
            "exp(p) - y - y*p + if(y > 0, y*log(y), 0)",
            "exp(p) - y",
            // Below the target the parabola that has its bottom there, for Newton's leaps beyond.
            "if(abs(p - log(max(y, 1e-300))) > 1e-3, max(exp(p), (exp(p) - y)/(p - log(max(y, 1e-300)))), exp(p))",
        ]),
        degree: 2.0,
    },
];

/// For messages and help texts.
pub(crate) const KIND: &str = "one of mse, mae, huber(1), quantile(0.5), log_cosh, logistic, poisson, or a formula of the prediction p and the target y such as abs(p - y)/y";

impl Loss {
    /// The row of the table, and the argument; `None` for a formula.
    fn row(&self) -> Option<(&'static Row, f64)> {
        let (word, argument) = match *self {
            Self::Mse => ("mse", 0.0),
            Self::Mae => ("mae", 0.0),
            Self::Huber(distance) => ("huber", distance),
            Self::Quantile(share) => ("quantile", share),
            Self::LogCosh => ("log_cosh", 0.0),
            Self::Logistic => ("logistic", 0.0),
            Self::Poisson => ("poisson", 0.0),
            Self::Formula(_) => return None,
        };
        let row = TABLE.iter().find(|row| row.word == word)?;
        Some((row, argument))
    }

    /// Reads a word, a word with its argument, or a formula.
    ///
    /// # Errors
    /// If it is none of these, or the argument is out of range.
    pub fn from_text(text: &str) -> Result<Self, SrError> {
        let text = text.trim();
        let (word, argument) = match text.strip_suffix(')').and_then(|t| t.split_once('(')) {
            Some((word, argument)) => (word.trim_end(), argument.trim().parse::<f64>().ok()),
            None => (text, None),
        };
        let Some(row) = TABLE.iter().find(|row| row.word == word) else {
            Formulas::of_user(text, 1.0)?;
            return Ok(Self::Formula(text.to_owned()));
        };
        let refused = |reason: String| SrError::Loss {
            text: text.to_owned(),
            reason,
        };
        match (row.argument, argument) {
            (None, _) if text != word => Err(refused(format!("{word} takes no argument"))),
            (None, _) => Ok((row.make)(0.0)),
            (Some((default, ..)), None) if text == word => Ok((row.make)(default)),
            (Some((_, low, high)), Some(value)) if low < value && value < high => {
                Ok((row.make)(value))
            }
            (Some((_, low, high)), _) => Err(refused(format!(
                "the argument of {word} must be a number above {low} and below {high}"
            ))),
        }
    }

    /// The loss of a row as a formula of the prediction, variable 0, and the target, variable 1.
    ///
    /// # Errors
    /// If it is a formula that cannot be read.
    pub fn formula(&self) -> Result<Expr, SrError> {
        // The value does not depend on the spread.
        let Formulas([value, ..]) = Formulas::new(self, Link::Identity, 1.0)?;
        Ok(value)
    }

    /// Checks that every target is one that the loss is for.
    pub(crate) fn check_target(&self, name: &str, target: &[f64]) -> Result<(), SrError> {
        let (highest, needed) = match self {
            Self::Logistic => (1.0, "classes are 0 and 1"),
            Self::Poisson => (f64::INFINITY, "counts are not negative"),
            _ => return Ok(()),
        };
        let outside = |y: &f64| !(0.0..=highest).contains(y);
        match target.iter().position(outside) {
            Some(row) => Err(SrError::Loss {
                text: self.to_string(),
                reason: format!(
                    "the target '{name}' holds {} in row {row}, but {needed}",
                    target[row]
                ),
            }),
            None => Ok(()),
        }
    }

    /// What the search finds a formula for.
    pub(crate) fn link(&self) -> Link {
        match self.row().and_then(|(row, _)| row.of_log) {
            Some(_) => Link::Log,
            None => Link::Identity,
        }
    }

    /// Whether least squares are exact, not a step on the way.
    #[must_use]
    pub fn is_squares(&self) -> bool {
        *self == Self::Mse
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.row()) {
            (Self::Formula(text), _) => f.write_str(text),
            (_, Some((row, argument))) if row.argument.is_some() => {
                write!(f, "{}({argument})", row.word)
            }
            (_, Some((row, _))) => f.write_str(row.word),
            (_, None) => Ok(()),
        }
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(de::Error::custom)
    }
}

/// The prediction and the target among the variables of the three formulas.
const NAMES: [&str; 2] = ["p", "y"];

/// Value, slope and curvature as formulas of `p` and `y`.
#[derive(Debug, Clone)]
pub(crate) struct Formulas(pub(crate) [Expr; 3]);

impl Formulas {
    /// `spread` is what targets are spread by, or less than that.
    pub(crate) fn new(loss: &Loss, link: Link, spread: f64) -> Result<Self, SrError> {
        if let Loss::Formula(text) = loss {
            return Self::of_user(text, spread);
        }
        let Some((row, argument)) = loss.row() else {
            return Self::of_user("(p - y)^2", spread);
        };
        let read = |text: &str| {
            let parsed = parse(text, Some(&["p", "y", "d", "e"])).map_err(|e| refused(text, &e))?;
            Ok(with_constants(&parsed.expr, &[argument, TINY * spread]))
        };
        let [value, slope, curvature] = match (link, row.of_log) {
            (Link::Log, Some(of_log)) => of_log,
            _ => [row.value, row.slope, row.curvature],
        };
        Ok(Self([read(value)?, read(slope)?, read(curvature)?]))
    }

    fn of_user(text: &str, spread: f64) -> Result<Self, SrError> {
        let parsed = parse(text, Some(&NAMES)).map_err(|error| refused(text, &error))?;
        let derivative = |expr: &Expr| {
            expr.diff(0)
                .map(|d| d.simplify())
                .map_err(|error| SrError::Loss {
                    text: text.to_owned(),
                    reason: error.to_string(),
                })
        };
        let value = parsed.expr;
        let slope = derivative(&value)?;
        let second = derivative(&slope)?;
        if slope.nodes().iter().all(|node| *node != Node::Var(0)) && slope.nodes().len() == 1 {
            return Err(SrError::Loss {
                text: text.to_owned(),
                reason: "it does not depend on the prediction p, or only linearly, so nothing would make it least".to_owned(),
            });
        }
        // Slope over distance where that is a curvature, and never so little that a step would
        // leave the range of the target by far.
        let rule = "max(max(h, if(g*(p - y) > 0, g*(p - y)/max((p - y)^2, e^2), 0)), abs(g)/r)";
        let names = ["p", "y", "r", "e", "g", "h"];
        let rule = parse(rule, Some(&names)).map_err(|error| refused(rule, &error))?;
        let mut nodes = Vec::new();
        for node in rule.expr.nodes() {
            match *node {
                Node::Var(2) => nodes.push(Node::Const(10.0 * spread)),
                Node::Var(3) => nodes.push(Node::Const(TINY * spread)),
                Node::Var(4) => nodes.extend_from_slice(slope.nodes()),
                Node::Var(5) => nodes.extend_from_slice(second.nodes()),
                other => nodes.push(other),
            }
        }
        let curvature = Expr::from_postfix(nodes).map_err(|error| SrError::Loss {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self([value, slope, curvature]))
    }
}

/// Residuals below this share of the target's spread are none.
const TINY: f64 = 1e-8;

fn refused(text: &str, error: &ParseError) -> SrError {
    SrError::Loss {
        text: text.to_owned(),
        reason: format!("it is neither a known loss nor a formula of p and y: {error}"),
    }
}

/// The formula with its variables from the third on replaced by numbers.
fn with_constants(expr: &Expr, values: &[f64]) -> Expr {
    let nodes = expr.nodes().iter().map(|&node| match node {
        Node::Var(index @ 2..) => Node::Const(values[index as usize - 2]),
        other => other,
    });
    Expr::from_postfix(nodes.collect()).unwrap_or_else(|_| expr.clone())
}

/// How numbers of the search become numbers of the table: `scale · inner + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Units {
    pub(crate) scale: f64,
    pub(crate) shift: f64,
}

impl Units {
    /// Those of the table.
    pub(crate) const TABLE: Self = Self {
        scale: 1.0,
        shift: 0.0,
    };

    pub(crate) fn in_table(self, inner: &[f64]) -> Vec<f64> {
        let of = |v: &f64| v.mul_add(self.scale, self.shift);
        inner.iter().map(of).collect()
    }
}

/// A loss, and the units of predictions and targets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measure {
    pub(crate) loss: Loss,
    /// What predictions are of.
    pub(crate) link: Link,
    pub(crate) prediction: Units,
    pub(crate) target: Units,
}

impl Measure {
    /// The loss of predictions and targets in the units of the table.
    pub(crate) fn of_table(loss: Loss) -> Self {
        Self {
            loss,
            link: Link::Identity,
            prediction: Units::TABLE,
            target: Units::TABLE,
        }
    }

    /// The loss as the search sees it, of a target with this mean that is spread like this.
    pub(crate) fn of_search(loss: Loss, mean: f64, spread: f64) -> Self {
        let link = loss.link();
        let (prediction, target) = match link {
            Link::Identity => {
                let units = Units {
                    scale: spread,
                    shift: mean,
                };
                (units, units)
            }
            // Near the mean, target and logarithm then grow alike.
            Link::Log => {
                let mean = if mean > 0.0 { mean } else { 1.0 };
                let (scale, shift) = (1.0, mean.ln());
                let prediction = Units { scale, shift };
                let (scale, shift) = (mean, 0.0);
                (prediction, Units { scale, shift })
            }
        };
        Self {
            loss,
            link,
            prediction,
            target,
        }
    }

    /// Whether formulas predict the target itself, not something that it is a function of.
    pub(crate) fn is_of_target(&self) -> bool {
        let is_other = matches!(self.loss, Loss::Logistic | Loss::Formula(_));
        self.link == Link::Identity && !is_other
    }

    /// Where a prediction, in the units of the table, is zero.
    pub(crate) fn zero(&self) -> f64 {
        -self.prediction.shift / self.prediction.scale
    }

    /// The loss of each row.
    pub(crate) fn of_rows(&self, predictions: &[f64], target: &[f64]) -> Vec<f64> {
        if self.loss.is_squares() {
            let square = |(p, y): (&f64, &f64)| ((p - y) * self.target.scale).powi(2);
            return predictions.iter().zip(target).map(square).collect();
        }
        let Ok(Formulas([value, ..])) = Formulas::new(&self.loss, self.link, 1.0) else {
            return vec![f64::NAN; target.len()];
        };
        let predictions = self.prediction.in_table(predictions);
        value.eval_columns(&[&predictions, &self.target.in_table(target)])
    }

    /// `error` of a mean loss, given that of the best constant.
    pub(crate) fn error(&self, loss: f64, of_constant: f64) -> f64 {
        let relative = loss.max(0.0) / of_constant;
        match self.loss.row() {
            #[expect(clippy::float_cmp, reason = "a number of the table")]
            Some((row, _)) if row.degree == 1.0 => relative * relative,
            _ => relative,
        }
    }

    /// Nats that describing the target takes, given the formula; see Rissanen's two parts.
    pub(crate) fn misfit(&self, n_rows: f64, error: f64, of_constant: f64) -> f64 {
        match self.loss {
            // A likelihood as it is; of the others only the shape is known, not the scale.
            Loss::Logistic | Loss::Poisson => n_rows * error * of_constant,
            _ => 0.5 * n_rows * error.ln(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets and predictions on both sides, near, far and, for the logistic loss, within reach.
    const PAIRS: [(f64, f64); 9] = [
        (0.3, 0.0),
        (-0.2, 1.0),
        (2.5, 1.0),
        (-3.0, 0.0),
        (0.9, 0.25),
        (1.0001, 1.0),
        (7.0, 0.5),
        (-40.0, 1.0),
        (0.5, 0.75),
    ];

    fn losses() -> Vec<Loss> {
        let texts = [
            "mae",
            "huber(0.7)",
            "quantile(0.9)",
            "log_cosh",
            "logistic",
            "(p - y)^4",
            "abs(p - y)/(1 + y)",
            "log1p((p - y)^2)",
        ];
        texts
            .into_iter()
            .map(|t| Loss::from_text(t).expect(t))
            .collect()
    }

    #[test]
    fn slopes_are_the_derivatives_and_parabolas_curve_upwards() {
        for loss in losses() {
            let Formulas([value, slope, curvature]) =
                Formulas::new(&loss, Link::Identity, 1.0).expect("formulas");
            for (p, y) in PAIRS {
                let h = 1e-6 * p.abs().max(0.1);
                let central = (value.eval(&[p + h, y]) - value.eval(&[p - h, y])) / (2.0 * h);
                let slope = slope.eval(&[p, y]);
                assert!(
                    (slope - central).abs() < 1e-5 * central.abs().max(1.0),
                    "{loss} {p} {y}"
                );
                assert!(curvature.eval(&[p, y]) > 0.0, "{loss} {p} {y}");
            }
        }
    }

    #[test]
    fn the_deviance_of_counts_is_the_same_for_a_mean_and_its_logarithm() {
        let of = |link| {
            Formulas::new(&Loss::Poisson, link, 1.0)
                .expect("formulas")
                .0
        };
        let [value, slope, _] = of(Link::Identity);
        let [value_of_log, slope_of_log, curvature_of_log] = of(Link::Log);
        for (mean, y) in [
            (0.1, 0.0),
            (3.0, 0.0),
            (3.0, 3.0),
            (0.01, 7.0),
            (900.0, 7.0),
        ] {
            let p = f64::ln(mean);
            let (a, b) = (value.eval(&[mean, y]), value_of_log.eval(&[p, y]));
            assert!(
                (a - b).abs() <= 1e-12 * a.max(1.0) && a >= 0.0,
                "{mean} {y}: {a} {b}"
            );
            // By the chain rule.
            let (a, b) = (mean * slope.eval(&[mean, y]), slope_of_log.eval(&[p, y]));
            assert!(
                (a - b).abs() <= 1e-12 * a.abs().max(1.0),
                "{mean} {y}: {a} {b}"
            );
            // A step to the bottom of the parabola never makes it worse.
            let next = p - b / curvature_of_log.eval(&[p, y]);
            let (before, after) = (value_of_log.eval(&[p, y]), value_of_log.eval(&[next, y]));
            assert!(after <= before + 1e-12, "{mean} {y}: {before} {after}");
        }
        assert!(value.eval(&[-1.0, 0.0]).is_nan() && value.eval(&[-1.0, 2.0]).is_nan());
        assert_eq!(value.eval(&[0.0, 0.0]).to_bits(), 0);
    }

    #[test]
    fn parabolas_of_the_table_nowhere_lie_below_the_loss() {
        for loss in losses()
            .into_iter()
            .filter(|loss| !matches!(loss, Loss::Formula(_)))
        {
            let Formulas([value, slope, curvature]) =
                Formulas::new(&loss, Link::Identity, 1.0).expect("formulas");
            for (at, y) in PAIRS {
                let (base, g) = (value.eval(&[at, y]), slope.eval(&[at, y]));
                let c = curvature.eval(&[at, y]);
                for step in -80..80 {
                    let p = f64::from(step) * 0.1;
                    let above = base + g * (p - at) + 0.5 * c * (p - at).powi(2);
                    let loss_there = value.eval(&[p, y]);
                    assert!(
                        above >= loss_there - 1e-6 * loss_there.abs().max(1.0),
                        "{loss} at {at} {p} {y}: {above} {loss_there}"
                    );
                }
            }
        }
    }

    #[test]
    fn texts_come_back_and_bad_ones_say_what_to_do() {
        for text in [
            "mse",
            "mae",
            "huber(2)",
            "quantile(0.1)",
            "log_cosh",
            "logistic",
            "poisson",
            "abs(p-y)^1.5",
        ] {
            assert_eq!(Loss::from_text(text).expect(text).to_string(), text);
        }
        assert_eq!(Loss::from_text("huber").expect("huber"), Loss::Huber(1.0));
        let cases = [
            ("mea", "neither a known loss"),
            ("quantile(2)", "above 0 and below 1"),
            ("huber(x)", "above 0"),
            ("mse(1)", "no argument"),
            ("abs(q - y)", "unknown variable `q`"),
            ("3*p + y", "does not depend"),
            ("y^2", "does not depend"),
        ];
        for (text, part) in cases {
            let error = Loss::from_text(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
    }
}
