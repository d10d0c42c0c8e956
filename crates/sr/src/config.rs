//! The hyper-parameters, said once.
//!
//! A parameter is one row of [`for_each_parameter`]: name, type, default, accepted values and the
//! text that users read. The struct, its serde form, [`Config::set`], [`Config::get`], the checks
//! and [`Config::PARAMETERS`] (from which command-line flags, Python arguments and the reference
//! page are made) are derived from that row.
//!
//! # Invariant
//! Whatever passes [`Config::validate`] is safe to run. Every door (text, JSON, a struct filled by
//! hand) leads through it, because a fit calls it first.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accepts::Accepts;
use crate::constraints::Constraints;
use crate::error::{SrError, nearest};
use crate::guesses::Guesses;
use crate::loss::{self, Loss};
use crate::memory::Bytes;
use crate::operators::Operators;

/// A type that a parameter can have.
trait Value: Sized {
    /// For messages: 'a whole number'.
    const KIND: &'static str;
    /// The words that are accepted, where there is a fixed list.
    const CHOICES: &'static [&'static str] = &[];
    fn parse(text: &str) -> Result<Self, Option<SrError>>;
    fn text(&self) -> String;
    /// What the range is checked on; `None` needs no check.
    fn number(&self) -> Option<f64>;
}

macro_rules! value_from_str {
    ($type:ty, $kind:literal, $number:expr) => {
        impl Value for $type {
            const KIND: &'static str = $kind;
            fn parse(text: &str) -> Result<Self, Option<SrError>> {
                text.parse().map_err(|_| None)
            }
            fn text(&self) -> String {
                self.to_string()
            }
            fn number(&self) -> Option<f64> {
                let number: fn(&$type) -> Option<f64> = $number;
                number(self)
            }
        }
    };
}

value_from_str!(f64, "a number", |v| Some(*v));
#[expect(
    clippy::cast_precision_loss,
    reason = "ranges are checked, not computed with"
)]
mod counts {
    use super::{SrError, Value};
    value_from_str!(usize, "a whole number", |v| Some(*v as f64));
    value_from_str!(u64, "a whole number", |v| Some(*v as f64));
    value_from_str!(i64, "a whole number", |v| Some(*v as f64));
}

impl Value for bool {
    const KIND: &'static str = "true or false";
    const CHOICES: &'static [&'static str] = &["true", "false"];
    fn parse(text: &str) -> Result<Self, Option<SrError>> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(None),
        }
    }
    fn text(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

macro_rules! value_or_none {
    ($($type:ty, $kind:literal;)+) => { $(
        impl Value for Option<$type> {
            const KIND: &'static str = $kind;
            fn parse(text: &str) -> Result<Self, Option<SrError>> {
                match text.to_ascii_lowercase().as_str() {
                    "none" | "" => Ok(None),
                    _ => <$type>::parse(text).map(Some),
                }
            }
            fn text(&self) -> String {
                self.as_ref().map_or_else(|| "none".to_owned(), Value::text)
            }
            fn number(&self) -> Option<f64> {
                self.as_ref().and_then(Value::number)
            }
        }
    )+ };
}
value_or_none! {
    f64, "a number or none";
    u64, "a whole number or none";
    Bytes, "a size such as 500MB or 2GB, or none";
}

macro_rules! choices {
    ($(#[$meta:meta])* $name:ident, $kind:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it in text and JSON.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl Value for $name {
            const KIND: &'static str = $kind;
            const CHOICES: &'static [&'static str] = &[$($word),+];
            fn parse(text: &str) -> Result<Self, Option<SrError>> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(None) }
            }
            fn text(&self) -> String { self.word().to_owned() }
            fn number(&self) -> Option<f64> { None }
        }
    };
}

impl Value for Bytes {
    const KIND: &'static str = "a size such as 500MB or 2GB";
    fn parse(text: &str) -> Result<Self, Option<SrError>> {
        Self::from_text(text).ok_or(None)
    }
    fn text(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

impl Value for Loss {
    const KIND: &'static str = loss::KIND;
    fn parse(text: &str) -> Result<Self, Option<SrError>> {
        Self::from_text(text).map_err(Some)
    }
    fn text(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

choices! {
    /// How the one model to predict with is chosen from the front.
    Selection, "one of: auto, cv, mdl, bic, error, score" {
        /// Cross-validation where rows are few and noise is not small, description length where
        /// they are many or a short formula leaves less than a fiftieth unexplained.
        Auto = "auto",
        /// Repeated cross-validation with constants refitted on each fold; the smallest model
        /// within one standard error of the best.
        Cv = "cv",
        /// Shortest description of formula, constants and residuals together.
        Mdl = "mdl",
        /// Bayesian information criterion.
        Bic = "bic",
        /// The lowest training error, whatever the size.
        Error = "error",
        /// The steepest fall of the log error per added node, among models with at most 1.5 times
        /// the lowest error.
        Score = "score",
    }
}

choices! {
    /// What a fit is for; see [`Config::set`].
    Preset, "one of: auto, fast, science, accuracy" {
        /// A formula for any table: what depends on the table's shape (whether the search is
        /// cross-validated, on how many rows, how the formula is chosen) is decided by it.
        Auto = "auto",
        /// A first look, in ten seconds.
        Fast = "fast",
        /// A law: the shortest description, and nothing long.
        Science = "science",
        /// Predictions: long formulas too, and the time to find them.
        Accuracy = "accuracy",
    }
}

/// What presets change: a row a parameter. `auto` is the defaults.
const PRESETS: &[(&str, [&str; 3])] = &[
    // parameter          fast    science  accuracy
    ("time_limit", ["10", "60", "120"]),
    ("max_size", ["30", "30", "80"]),
    ("max_depth", ["12", "12", "15"]),
    ("model_selection", ["auto", "mdl", "auto"]),
];

impl Preset {
    /// The parameters that presets are about, with their values as texts.
    fn settings(self) -> impl Iterator<Item = (&'static str, String)> {
        let column = match self {
            Self::Auto => None,
            Self::Fast => Some(0),
            Self::Science => Some(1),
            Self::Accuracy => Some(2),
        };
        PRESETS.iter().map(move |(name, values)| {
            let default = || Config::default().get(name).unwrap_or_default();
            (
                *name,
                column.map_or_else(default, |column: usize| values[column].to_owned()),
            )
        })
    }
}

impl Value for Guesses {
    const KIND: &'static str = "semicolon-separated formulas";
    fn parse(text: &str) -> Result<Self, Option<SrError>> {
        Ok(Self::from_text(text))
    }
    fn text(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

impl Value for Constraints {
    const KIND: &'static str = "semicolon-separated rules";
    fn parse(text: &str) -> Result<Self, Option<SrError>> {
        Self::from_text(text).map_err(Some)
    }
    fn text(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

impl Value for Operators {
    const KIND: &'static str =
        "a list of operators and definitions such as add,mul,sin,gauss(x) = exp(-x^2)";
    fn parse(text: &str) -> Result<Self, Option<SrError>> {
        Self::from_text(text).map_err(Some)
    }
    fn text(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

/// What is known of a parameter beside its value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name, in Rust, in Python, in JSON, and (with `-` for `_`) on the command line.
    pub name: &'static str,
    /// The kind of value: 'a whole number'.
    pub kind: &'static str,
    /// The words that are accepted, where there is a fixed list; else empty.
    pub choices: &'static [&'static str],
    /// Which numbers are accepted.
    pub accepts: Accepts,
    /// What it does.
    pub doc: &'static str,
}

impl Parameter {
    /// The default as text that [`Config::set`] takes.
    #[must_use]
    pub fn default_text(&self) -> String {
        Config::default().get(self.name).unwrap_or_default()
    }
}

macro_rules! for_each_parameter { ($then:ident) => { $then! {
    // name                  type            default                accepted values            documentation
    (preset,                 Preset,         Preset::Auto,          Accepts::Any,
        "What the fit is for: `fast` for a first look (10 s, size 30), `science` for a law (60 s, size 30, the shortest description), `accuracy` for predictions (120 s, size 80, depth 15), `auto` for the defaults, which adapt to the table. Other parameters that are given keep their values.")
    (time_limit,             Option<f64>,    Some(30.0),            Accepts::Above(0.0, 1e9),
        "Wall-clock seconds after which the best found so far is returned; `none` for no limit.")
    (max_generations,        Option<u64>,    None,                  Accepts::Any,
        "Generations after which the search stops. Such a run depends on data, configuration and seed only, not on the number of threads.")
    (max_evaluations,        Option<u64>,    None,                  Accepts::Any,
        "Formulas evaluated after which the search stops, rounded up to whole generations.")
    (target_error,           Option<f64>,    Some(1e-12),           Accepts::Between(0.0, 1.0),
        "Stop once a formula leaves no more than this share of the target's variance unexplained (1 - R²) and no shorter one turns up; `none` to use the whole budget.")
    (random_state,           Option<u64>,    None,                  Accepts::Any,
        "Seed. `none` draws one, and the report says which.")
    (n_jobs,                 i64,            -1,                    Accepts::Between(-1.0, 1024.0),
        "Worker threads; -1 for one per processor. The result of a run that is not limited by time does not depend on it.")
    (operators,              Operators,      Operators::default(),  Accepts::Any,
        "The operators and functions that formulas are made of. A definition such as `gauss(x) = exp(-x^2)` adds a function of one to three arguments, which formulas show written out.")
    (loss,                   Loss,           Loss::Mse,             Accepts::Any,
        "What is minimised over the rows: mse, mae, huber(1) with the distance in units of the target, quantile(0.5), log_cosh, logistic for a target of 0 and 1, poisson for counts, or a formula of the prediction p and the target y such as abs(p - y)/y.")
    (max_size,               usize,          50,                    Accepts::Between(1.0, 1000.0),
        "Most nodes in a formula: operators, functions, variables and constants.")
    (max_depth,              usize,          12,                    Accepts::Between(1.0, 200.0),
        "Most levels in a formula. A sum or a product of several is one level, and numbers are none.")
    (constraints,            Constraints,    Constraints::default(), Accepts::Any,
        "Rules that formulas keep, separated by semicolons: `sin <= 2` for at most two sines, `exp in sin <= 0` for no exponential inside a sine, `pow[2] <= 1` for a second argument of one node.")
    (population_size,        usize,          1000,                  Accepts::Between(8.0, 1e7),
        "Formulas kept from one generation to the next, all islands together.")
    (islands,                usize,          4,                     Accepts::Between(1.0, 1024.0),
        "Populations that evolve side by side. They are shared out among the threads, so a multiple of the threads uses these best; the result depends on this number, not on the threads.")
    (migration_interval,     u64,            10,                    Accepts::Between(1.0, 1e9),
        "Generations between two exchanges among islands.")
    (migration_fraction,     f64,            0.05,                  Accepts::Between(0.0, 0.5),
        "Share of an island that is sent to the next one at an exchange.")
    (tournament_size,        usize,          5,                     Accepts::Between(1.0, 1000.0),
        "Formulas among which a parent is the best.")
    (crossover_probability,  f64,            0.7,                   Accepts::Between(0.0, 1.0),
        "Probability that a child mixes two parents.")
    (mutation_probability,   f64,            0.5,                   Accepts::Between(0.0, 1.0),
        "Probability that a child is mutated; a child that is not crossed is always mutated.")
    (back_solving,           f64,            0.2,                   Accepts::Between(0.0, 0.9),
        "Share of the children that are made by asking what a subtree would have to be for the formula to hit the target, and putting the small formula that comes nearest in its place.")
    (constant_iterations,    usize,          6,                     Accepts::Between(0.0, 1000.0),
        "Levenberg-Marquardt steps that a new formula's constants get in the search; 0 leaves constants to mutation.")
    (search_rows,            usize,          1000,                  Accepts::Between(16.0, 1e9),
        "Rows that candidates are judged on during the search when the table has more; the front is always judged on all rows.")
    (max_memory,             Option<Bytes>,  None,                  Accepts::Any,
        "Most memory that the fit takes beside the table: a number of bytes, or a text such as 500MB or 2GB. What it remembers and enumerates shrinks to fit, and a table that is too large is refused; `none` for no limit.")
    (standardize,            bool,           true,                  Accepts::Any,
        "Scale columns of extreme magnitude by a power of two for the search. Formulas come back in the original units, exactly.")
    (seeds,                  bool,           true,                  Accepts::Any,
        "Start from linear, quadratic and power-law models and from an enumeration of all small formulas.")
    (symmetries,             bool,           true,                  Accepts::Any,
        "Look for inputs that only scale the target, do not count, or count only as a sum, difference, product or quotient, and search in those fewer variables first. Part of the seeds.")
    (guesses,                Guesses,        Guesses::default(),    Accepts::Any,
        "Formulas to start from, in the names of the columns and separated by semicolons. Their constants are fitted, so only the form matters.")
    (archive_size,           usize,         0,                     Accepts::Between(0.0, 1e6),
        "Formulas that the report lists beside the front, of all that were visited: those of lowest error, each size its share, rounded up, each shape once.")
    (blend,                  bool,           false,                 Accepts::Any,
        "Where rows are few and noisy, predict with the mean of several formulas if that promises a smaller error. The mean is one formula, no longer than `max_size`.")
    (snap_constants,         bool,           true,                  Accepts::Any,
        "Replace constants by integers, simple fractions or multiples of pi, and drop terms, where the description gets shorter.")
    (model_selection,        Selection,      Selection::Auto,       Accepts::Any,
        "How the model to predict with is chosen from the front.")
    (validation_fraction,    f64,            0.0,                   Accepts::Between(0.0, 0.9),
        "Share of the rows that is kept from the search and used to choose the model; 0 chooses by `model_selection`.")
    (test_fraction,          f64,            0.0,                   Accepts::Between(0.0, 0.9),
        "Share of the rows that is used for nothing but the test scores in the report.")
} } }

macro_rules! define_config { ($(($name:ident, $type:ty, $default:expr, $accepts:expr, $doc:literal))+) => {
    /// The hyper-parameters of a fit. Construct with `Config::default()`, then assign fields or
    /// use [`Config::set`].
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Config {
        $( #[doc = $doc] pub $name: $type, )+
    }

    impl Default for Config {
        fn default() -> Self {
            Self { $( $name: $default, )+ }
        }
    }

    impl Config {
        /// Every parameter, in the order of the documentation.
        pub const PARAMETERS: &'static [Parameter] = &[
            $( Parameter {
                name: stringify!($name),
                kind: <$type as Value>::KIND,
                choices: <$type as Value>::CHOICES,
                accepts: $accepts,
                doc: $doc,
            }, )+
        ];

        fn set_one(&mut self, name: &str, text: &str) -> Result<(), SrError> {
            match name {
                $( stringify!($name) => {
                    let value = <$type as Value>::parse(text.trim()).map_err(|error| {
                        error.unwrap_or_else(|| SrError::ParameterText {
                            name: stringify!($name),
                            text: text.to_owned(),
                            kind: <$type as Value>::KIND,
                        })
                    })?;
                    check_range(stringify!($name), &value, $accepts)?;
                    self.$name = value;
                    Ok(())
                } )+
                _ => Err(SrError::UnknownParameter {
                    name: name.to_owned(),
                    nearest: nearest(name, Self::PARAMETERS.iter().map(|p| p.name)),
                    known: Self::PARAMETERS.iter().map(|p| p.name).collect(),
                }),
            }
        }

        /// A parameter's value as the text that [`Config::set`] takes.
        ///
        /// # Errors
        /// [`SrError::UnknownParameter`].
        pub fn get(&self, name: &str) -> Result<String, SrError> {
            match name {
                $( stringify!($name) => Ok(Value::text(&self.$name)), )+
                _ => Err(SrError::UnknownParameter {
                    name: name.to_owned(),
                    nearest: nearest(name, Self::PARAMETERS.iter().map(|p| p.name)),
                    known: Self::PARAMETERS.iter().map(|p| p.name).collect(),
                }),
            }
        }

        /// Checks every value and that they go together.
        ///
        /// # Errors
        /// The first value that is out of range, or the first contradiction.
        pub fn validate(&self) -> Result<(), SrError> {
            $( check_range(stringify!($name), &self.$name, $accepts)?; )+
            self.check_combinations()
        }
    }
} }

for_each_parameter!(define_config);

fn check_range<T: Value>(name: &'static str, value: &T, accepts: Accepts) -> Result<(), SrError> {
    match value.number() {
        Some(number) if !accepts.contains(number) => Err(SrError::ParameterRange {
            name,
            value: value.text(),
            accepts,
        }),
        _ => Ok(()),
    }
}

impl Config {
    /// Sets a parameter from text, as a command line or a form would. `preset` sets several;
    /// whatever is set after it is as it is set.
    ///
    /// # Errors
    /// An unknown name, a text that does not parse, a value out of range.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), SrError> {
        self.set_one(name, text)?;
        if name == "preset" {
            for (name, text) in self.preset.settings() {
                self.set_one(name, &text)?;
            }
        }
        Ok(())
    }

    fn check_combinations(&self) -> Result<(), SrError> {
        let conflict = |first, second, reason: &str| {
            Err(SrError::ParameterConflict {
                first,
                second,
                reason: reason.to_owned(),
            })
        };
        if self.n_jobs == 0 {
            return conflict(
                "n_jobs",
                "n_jobs",
                "0 threads can do nothing: use -1 for all",
            );
        }
        if self.operators.as_slice().is_empty() {
            let name = "operators";
            let (text, kind) = (String::new(), <Operators as Value>::KIND);
            return Err(SrError::ParameterText { name, text, kind });
        }
        if self.time_limit.is_none()
            && self.max_generations.is_none()
            && self.max_evaluations.is_none()
        {
            return conflict(
                "time_limit",
                "max_generations",
                "with neither these nor max_evaluations the search would never end: set one",
            );
        }
        if self.validation_fraction + self.test_fraction > 0.95 {
            return conflict(
                "validation_fraction",
                "test_fraction",
                "together they leave no rows to learn from: lower one",
            );
        }
        if self.population_size / self.islands < 4 {
            return conflict(
                "population_size",
                "islands",
                "an island needs at least 4 formulas: raise the one or lower the other",
            );
        }
        Ok(())
    }

    /// Worker threads to start: `n_jobs`, or one per processor.
    #[must_use]
    pub fn n_threads(&self) -> usize {
        usize::try_from(self.n_jobs)
            .unwrap_or_else(|_| std::thread::available_parallelism().map_or(1, usize::from))
    }
}
