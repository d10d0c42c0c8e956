//! When to stop: one clock for all threads.
//!
//! Limits that are functions of the run (generations, evaluations) are asked at the end of a
//! generation; time and the interrupt flag are asked between any two formulas, so that a limit
//! holds on a million rows too. What a stage has not evaluated when time is over counts as worst.
//!
//! A part of the time is kept for polishing and choosing, which need the search to be over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::stop::StopReason;

/// The clock of one fit.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    started: Instant,
    /// When the current stage has to be over; `None` without a time limit.
    deadline: Option<Instant>,
    limit: Option<Duration>,
    interrupt: Option<Arc<AtomicBool>>,
}

/// Share of the time limit that is kept for what follows the search, and the most that is kept.
const AFTERWARDS: f64 = 0.12;
const AFTERWARDS_MAX: Duration = Duration::from_secs(4);

impl Clock {
    pub(crate) fn start(config: &Config, interrupt: Option<Arc<AtomicBool>>) -> Self {
        let started = Instant::now();
        let limit = config
            .time_limit
            .and_then(|s| Duration::try_from_secs_f64(s).ok());
        Self {
            started,
            deadline: limit.map(|limit| started + limit),
            limit,
            interrupt,
        }
    }

    /// The same clock for the search: it ends early, to leave time to polish.
    pub(crate) fn for_search(&self) -> Self {
        let kept = self
            .limit
            .map(|limit| limit.mul_f64(AFTERWARDS).min(AFTERWARDS_MAX));
        let deadline = self
            .deadline
            .zip(kept)
            .map(|(deadline, kept)| deadline - kept);
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// The same clock for what has to be done when this share of the whole time is over.
    pub(crate) fn until_share(&self, share: f64) -> Self {
        let stage = self.limit.map(|limit| self.started + limit.mul_f64(share));
        let deadline = self
            .deadline
            .zip(stage)
            .map(|(deadline, stage)| deadline.min(stage));
        Self {
            deadline,
            ..self.clone()
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether to drop everything: time is over, or somebody asked.
    pub(crate) fn is_over(&self) -> bool {
        self.urgent().is_some()
    }

    /// Why to drop everything.
    pub(crate) fn urgent(&self) -> Option<StopReason> {
        if self
            .interrupt
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
        {
            return Some(StopReason::Interrupted);
        }
        let late = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        late.then_some(StopReason::Time)
    }

    /// How much of the time is over, from 0 to 1; 0 without a limit.
    pub(crate) fn share(&self) -> f64 {
        self.limit.map_or(0.0, |limit| {
            (self.elapsed().as_secs_f64() / limit.as_secs_f64()).clamp(0.0, 1.0)
        })
    }
}
