//! The hyper-parameters of a fit, said once.
//!
//! A parameter is one row of the table below: name, type, default, accepted numbers and the text
//! that users read. The struct, its stored form, [`Config::set`], [`Config::get`], the checks and
//! [`Config::PARAMETERS`], from which flags, arguments and the reference page are made, follow
//! from it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::McodeError;
use crate::evolve::Selection;
use crate::gene::{Domain, Opcode};
use crate::linear::MAX_LINEAR_SLOTS;

/// A type that a parameter can have.
trait Value: Sized {
    /// For messages: 'a whole number'.
    const KIND: &'static str;
    /// The words that are accepted, where there is a fixed list.
    const CHOICES: &'static [&'static str] = &[];
    fn read(text: &str) -> Option<Self>;
    fn text(&self) -> String;
    /// What the range is checked on; nothing needs no check.
    fn number(&self) -> Option<f64>;
}

macro_rules! numbers {
    ($($type:ty, $kind:literal, $or_none:literal, $number:expr;)*) => { $(
        impl Value for $type {
            const KIND: &'static str = $kind;
            fn read(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }
            fn text(&self) -> String {
                self.to_string()
            }
            fn number(&self) -> Option<f64> {
                let number: fn($type) -> f64 = $number;
                Some(number(*self))
            }
        }

        impl Value for Option<$type> {
            const KIND: &'static str = $or_none;
            fn read(text: &str) -> Option<Self> {
                match text.trim() {
                    "" | "none" | "None" => Some(None),
                    text => <$type>::read(text).map(Some),
                }
            }
            fn text(&self) -> String {
                self.as_ref().map_or_else(|| "none".to_owned(), Value::text)
            }
            fn number(&self) -> Option<f64> {
                self.as_ref().and_then(Value::number)
            }
        }
    )* };
}
numbers! {
    f64, "a number", "a number or none", |v| v;
    usize, "a whole number", "a whole number or none", |v| v as f64;
    u64, "a whole number", "a whole number or none", |v| v as f64;
    i64, "a whole number", "a whole number or none", |v| v as f64;
}

impl Value for bool {
    const KIND: &'static str = "true or false";
    const CHOICES: &'static [&'static str] = &["true", "false"];
    fn read(text: &str) -> Option<bool> {
        text.trim().to_ascii_lowercase().parse().ok()
    }
    fn text(&self) -> String {
        self.to_string()
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

macro_rules! words {
    ($type:ty, $kind:literal, $($variant:path = $word:literal),+) => {
        impl Value for $type {
            const KIND: &'static str = $kind;
            const CHOICES: &'static [&'static str] = &[$($word),+];
            fn read(text: &str) -> Option<$type> {
                match text.trim() { $($word => Some($variant),)+ _ => None }
            }
            fn text(&self) -> String {
                match self { $($variant => $word),+ }.to_owned()
            }
            fn number(&self) -> Option<f64> {
                None
            }
        }
    };
}

/// The kinds of genomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A list of instructions over registers.
    Linear,
    /// A formula in which every subtree is one range of slots.
    Tree,
}
words!(
    Kind,
    "one of: linear, tree",
    Kind::Linear = "linear",
    Kind::Tree = "tree"
);
words!(
    Selection,
    "one of: tournament, nsga2",
    Selection::Tournament = "tournament",
    Selection::Nsga2 = "nsga2"
);

/// Operations on numbers, by their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Operators(pub Vec<Opcode>);

impl Operators {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|opcode| opcode.name())
    }
}

impl Value for Operators {
    const KIND: &'static str =
        "a list of add, sub, mul, div, sqrt, neg, abs, pdiv, min, max, separated by commas";
    fn read(text: &str) -> Option<Operators> {
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let opcode = |name| Opcode::from_name(name).filter(|opcode| Domain::Numbers.has(*opcode));
        let opcodes = names.map(opcode).collect::<Option<Vec<_>>>()?;
        (!opcodes.is_empty()).then_some(Operators(opcodes))
    }
    fn text(&self) -> String {
        self.names().collect::<Vec<_>>().join(",")
    }
    fn number(&self) -> Option<f64> {
        None
    }
}

macro_rules! as_text {
    ($($type:ty),*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let text = String::deserialize(deserializer)?;
                let wrong = || de::Error::custom(format!("{text:?} is not {}", <$type>::KIND));
                <$type>::read(&text).ok_or_else(wrong)
            }
        }
    )* };
}
as_text!(Operators, Selection);

/// What is known of a parameter beside its value.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name, in Rust, in Python, in JSON, and (with `-` for `_`) on the command line.
    pub name: &'static str,
    /// The kind of value: 'a whole number'.
    pub kind: &'static str,
    /// The words that are accepted, where there is a fixed list; else empty.
    pub choices: &'static [&'static str],
    /// The smallest and the largest number that are accepted.
    pub range: (f64, f64),
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

macro_rules! parameters {
    ($($name:ident: $type:ty = $default:expr, $low:expr => $high:expr, $doc:literal;)*) => {
        /// How a fit is done; see [`fit`](crate::fit::fit).
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct Config { $(#[doc = $doc] pub $name: $type,)* }

        impl Default for Config {
            fn default() -> Config {
                Config { $($name: $default,)* }
            }
        }

        impl Config {
            /// Every hyper-parameter.
            pub const PARAMETERS: &'static [Parameter] = &[$(Parameter {
                name: stringify!($name),
                kind: <$type as Value>::KIND,
                choices: <$type as Value>::CHOICES,
                range: ($low as f64, $high as f64),
                doc: $doc,
            },)*];

            /// Sets a parameter from text.
            ///
            /// # Errors
            /// If there is no such parameter, or the text is no such value.
            pub fn set(&mut self, name: &str, text: &str) -> Result<(), McodeError> {
                match name {
                    $(stringify!($name) => {
                        self.$name = Value::read(text).ok_or_else(|| McodeError::Value {
                            name: stringify!($name),
                            text: text.to_owned(),
                            kind: <$type as Value>::KIND,
                        })?;
                    })*
                    _ => return Err(McodeError::UnknownParameter { name: name.to_owned() }),
                }
                Ok(())
            }

            /// A parameter as text that [`Config::set`] takes; nothing if there is none of the name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<String> {
                match name {
                    $(stringify!($name) => Some(Value::text(&self.$name)),)*
                    _ => None,
                }
            }

            fn number(&self, name: &str) -> Option<f64> {
                match name {
                    $(stringify!($name) => Value::number(&self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

const ANY: f64 = f64::MAX;

parameters! {
    genome: Kind = Kind::Tree, 0 => 0,
        "What an individual is: linear (a list of instructions over registers) or tree (a formula in which every subtree is one range of bytes).";
    time_limit: Option<f64> = Some(30.0), 0 => ANY,
        "Wall-clock seconds after which the best found so far is returned.";
    random_state: Option<u64> = None, 0 => ANY,
        "Seed. A run that is not ended by time repeats exactly with the same seed.";
    n_jobs: i64 = -1, -1 => 1024,
        "Worker threads; -1 for one on each processor. The result of a run that is not ended by time does not depend on it.";
    operators: Operators = Operators(vec![Opcode::Add, Opcode::Sub, Opcode::Mul, Opcode::Div, Opcode::Sqrt]), 0 => 0,
        "Operations that genomes are made of.";
    max_slots: usize = 64, 1 => MAX_LINEAR_SLOTS - 2,
        "Most slots of a genome: instructions of 8 bytes.";
    max_size: u64 = 60, 1 => 10_000,
        "Most nodes of a genome's formula: operators, functions, variables and constants.";
    max_steps: Option<u64> = None, 0 => ANY,
        "Steps after which the search stops.";
    max_evaluations: Option<u64> = None, 0 => ANY,
        "Genomes evaluated after which the search stops.";
    target_error: Option<f64> = Some(1e-12), 0 => ANY,
        "Stop once a genome leaves no more than this share of the target's variance unexplained.";
    population_size: usize = 1000, 2 => 1_000_000,
        "Genomes of an island.";
    islands: usize = 4, 1 => 1000,
        "Populations that evolve side by side.";
    migration_interval: u64 = 50, 1 => 1_000_000,
        "Steps between two exchanges among islands.";
    migrants: usize = 10, 0 => 1_000_000,
        "Genomes that an island sends to another one at an exchange.";
    children: usize = 100, 1 => 1_000_000,
        "Children that an island breeds in a step.";
    selection: Selection = Selection::Tournament, 0 => 0,
        "Who breeds and who makes room: tournament (by error, then by size) or nsga2 (by error and size, neither before the other).";
    tournament_size: usize = 4, 1 => 1_000_000,
        "Genomes among which a parent is the best.";
    crossover_probability: f64 = 0.6, 0 => 1,
        "Probability that a child has two parents.";
    homologous_probability: f64 = 0.5, 0 => 1,
        "Share of crossovers of linear genomes that take genes from the same place.";
    mutation_probability: f64 = 0.5, 0 => 1,
        "Probability that a child of two parents is mutated too.";
    constant_share: f64 = 0.2, 0 => 1,
        "Share of constants among leaves.";
    constant_range: f64 = 5.0, 0 => ANY,
        "New constants are uniform between this and its negative.";
    constant_iterations: usize = 6, 0 => 10_000,
        "Constants of the best child of a step that are refitted.";
    registers: Option<usize> = Some(8), 1 => 16,
        "Registers of linear genomes; none for all that there are.";
    scaling: bool = true, 0 => 0,
        "Judge a genome by the best straight line from its values to the target, which becomes part of the model.";
    record_lineage: bool = false, 0 => 0,
        "Remember the ancestors of each genome: parents, operator and step. It takes time and memory.";
}

impl Config {
    /// Checks that all numbers are in their ranges.
    ///
    /// # Errors
    /// The first that is not.
    pub fn validate(&self) -> Result<(), McodeError> {
        for parameter in Config::PARAMETERS {
            let (low, high) = parameter.range;
            if let Some(found) = self.number(parameter.name)
                && !(low <= found && found <= high)
            {
                return Err(McodeError::Setting {
                    name: parameter.name,
                    found,
                    low,
                    high,
                });
            }
        }
        if self.n_jobs == 0 {
            return Err(McodeError::Value {
                name: "n_jobs",
                text: "0".into(),
                kind: "a number of threads, or -1 for one on each processor",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_comes_back_from_its_text() {
        let mut config = Config::default();
        config.validate().unwrap();
        for parameter in Config::PARAMETERS {
            let text = parameter.default_text();
            config.set(parameter.name, &text).unwrap();
            assert_eq!(config.get(parameter.name), Some(text));
            for word in parameter.choices {
                config.set(parameter.name, word).unwrap();
                assert_eq!(config.get(parameter.name).as_deref(), Some(*word));
            }
            assert!(parameter.doc.ends_with('.') && !parameter.doc.contains('\n'));
            config
                .set(parameter.name, &parameter.default_text())
                .unwrap();
        }
        assert_eq!(config, Config::default());
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }

    #[test]
    fn wrong_values_are_named() {
        let refused = |name: &str, text: &str| {
            let mut config = Config::default();
            let done = config.set(name, text).and_then(|()| config.validate());
            done.unwrap_err().to_string()
        };
        for (name, text, expected) in [
            (
                "genome",
                "circle",
                "genome is \"circle\", but must be one of: linear, tree",
            ),
            (
                "operators",
                "add,sin",
                "operators is \"add,sin\", but must be a list of add",
            ),
            (
                "islands",
                "many",
                "islands is \"many\", but must be a whole number",
            ),
            (
                "islands",
                "0",
                "islands is 0, but must lie between 1 and 1000",
            ),
            (
                "n_jobs",
                "0",
                "n_jobs is \"0\", but must be a number of threads",
            ),
            ("crossover_probability", "1.5", "must lie between 0 and 1"),
            ("crossover_probability", "nan", "must lie between 0 and 1"),
            ("tempo", "1", "there is no parameter \"tempo\""),
        ] {
            let message = refused(name, text);
            assert!(message.contains(expected), "{message}");
        }
    }
}
