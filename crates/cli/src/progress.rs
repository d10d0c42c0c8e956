//! A line that says how a fit is going.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress line on standard error; nothing where that is no terminal.
pub(crate) struct Line {
    bar: ProgressBar,
}

/// Steps into which the budget is divided.
const STEPS: u64 = 1000;

impl Line {
    pub(crate) fn new(quiet: bool) -> Line {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(STEPS), target);
        // The template is a constant; were it wrong, the default style would do.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {elapsed} {wide_msg}") {
            bar.set_style(style.progress_chars("━━╌"));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Line { bar }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a small number of steps"
    )]
    pub(crate) fn show(&self, fraction: f64, message: String) {
        self.bar
            .set_position((fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
        self.bar.set_message(message);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
