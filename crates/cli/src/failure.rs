//! Why a command failed, and how that is told.

use std::fmt::Display;

/// A failed command: its message and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
    /// What `--json` says besides the message.
    details: Option<serde_json::Value>,
}

impl Failure {
    /// Bad input.
    pub(crate) fn input(message: impl Display) -> Failure {
        Failure {
            message: message.to_string(),
            code: 1,
            details: None,
        }
    }

    /// A file that cannot be loaded or linked.
    pub(crate) fn elf(error: &opcodon::elf::ElfError) -> Failure {
        match error.kind {
            opcodon::elf::ElfErrorKind::Memory(_) => Failure::system(error),
            _ => Failure::input(error),
        }
    }

    /// The machine, not the user, is at fault.
    pub(crate) fn system(message: impl Display) -> Failure {
        Failure {
            message: message.to_string(),
            code: 3,
            details: None,
        }
    }

    /// The failure with what `--json` says besides the message.
    pub(crate) fn with_details(self, details: serde_json::Value) -> Failure {
        Failure {
            details: Some(details),
            ..self
        }
    }

    /// The failure with what it is about in front.
    pub(crate) fn about(self, what: impl Display) -> Failure {
        Failure {
            message: format!("{what}: {}", self.message),
            ..self
        }
    }

    /// Writes the message where the caller looks for it and returns the exit code.
    pub(crate) fn report(&self, json: bool) -> u8 {
        if json {
            let mut told = serde_json::json!({ "error": self.message });
            if let Some(details) = &self.details {
                told["fault"] = details.clone();
            }
            crate::out(told);
        } else {
            // A message that points into a text starts with it, and its caret counts from there.
            let gap = if self.message.contains("\n") {
                "\n"
            } else {
                " "
            };
            crate::note(format_args!("error:{gap}{}", self.message));
        }
        self.code
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Some errors repeat their cause in their own message.
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Failure::input(message)
    }
}
