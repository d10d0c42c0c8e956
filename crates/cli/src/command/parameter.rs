//! One flag for each hyper-parameter of an engine's table.

use clap::{Arg, ArgMatches, Command};

use crate::Failure;

/// What a flag needs to know of a hyper-parameter.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) choices: &'static [&'static str],
    pub(crate) default: String,
    pub(crate) doc: &'static str,
}

/// The command with a flag for each parameter.
pub(crate) fn augment(command: Command, parameters: impl Iterator<Item = Parameter>) -> Command {
    parameters.fold(command, |command, parameter| {
        let mut help = parameter.doc.to_owned();
        if !parameter.choices.is_empty() {
            help.push_str(&format!(" One of: {}.", parameter.choices.join(", ")));
        }
        help.push_str(&format!(" [default: {}]", parameter.default));
        let value = match parameter.kind {
            kind if kind.contains(',') => "WORD",
            kind => kind.rsplit(' ').next().unwrap_or_default(),
        };
        command.arg(
            Arg::new(parameter.name)
                .long(parameter.name.replace('_', "-"))
                .value_name(value.to_uppercase())
                .allow_negative_numbers(true)
                .help(help)
                .help_heading("Search"),
        )
    })
}

/// The parameters that were given, as texts for the engine: durations in seconds.
pub(crate) fn given(
    matches: &ArgMatches,
    parameters: impl Iterator<Item = Parameter>,
) -> Vec<(&'static str, String)> {
    let value = |parameter: Parameter| {
        let text = matches.get_one::<String>(parameter.name)?;
        Some((parameter.name, text.clone()))
    };
    parameters.filter_map(value).collect()
}

/// The text of a parameter for the engine, which knows seconds only.
pub(crate) fn text(name: &str, text: &str) -> Result<String, Failure> {
    if name == "time_limit" {
        seconds(text)
    } else {
        Ok(text.to_owned())
    }
}

/// A duration as seconds: `30`, `30s`, `2m`, `1h`, `500ms`.
fn seconds(text: &str) -> Result<String, Failure> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    for (unit, factor) in units {
        if let Some(number) = text.strip_suffix(unit) {
            let number: f64 = number.trim().parse().map_err(|_| {
                Failure::input(format_args!(
                    "--time-limit: {text:?} is no duration; write 30s or 2m"
                ))
            })?;
            return Ok((number * factor).to_string());
        }
    }
    Ok(text.to_owned())
}
