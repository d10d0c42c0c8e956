//! When a run ends: limits as data, and a watch that compares a run with them.
//!
//! Limits of generations, evaluations, error and stagnation are functions of the run alone, so a
//! run that ends by one of them is reproducible. Time and the interrupt flag are not; they are the
//! only ones that may be asked for in the middle of a generation ([`Watch::urgent`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Limits of a run; `None` is no limit.
///
/// ```
/// use opcodon_evo::{Reason, Stop};
/// let stop = Stop { generations: Some(10), target_error: Some(1e-9), ..Stop::default() };
/// let mut watch = stop.start();
/// assert_eq!(watch.check(3, 3000, 0.5), None);
/// assert_eq!(watch.check(4, 4000, 1e-12), Some(Reason::TargetError));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Wall-clock time since [`Stop::start`].
    pub time: Option<Duration>,
    /// Number of generations completed.
    pub generations: Option<u64>,
    /// Number of candidates evaluated.
    pub evaluations: Option<u64>,
    /// Best error at or below which the task counts as solved.
    pub target_error: Option<f64>,
    /// Generations without an improvement of the best error.
    pub stagnation: Option<u64>,
    /// What counts as an improvement for `stagnation`: a fall by more than this share of the best
    /// error so far (0: any fall).
    pub min_improvement: f64,
    /// Set by somebody else (Ctrl-C) to ask for the best so far.
    pub interrupt: Option<Arc<AtomicBool>>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The interrupt flag was set.
    Interrupted,
    /// The best error reached the target.
    TargetError,
    /// The number of generations was reached.
    Generations,
    /// The number of evaluations was reached.
    Evaluations,
    /// No improvement for too many generations.
    Stagnation,
    /// The time is over.
    Time,
}

impl Reason {
    /// The reason as the end of the sentence "stopped: …".
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::TargetError => "target error reached",
            Self::Generations => "generation limit reached",
            Self::Evaluations => "evaluation limit reached",
            Self::Stagnation => "no more improvement",
            Self::Time => "time limit reached",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// A run under way, compared with its limits.
#[derive(Clone, Debug)]
pub struct Watch {
    stop: Stop,
    started: Instant,
    best_error: f64,
    /// Generation of the last improvement.
    improved_at: u64,
}

impl Stop {
    /// Starts the clock.
    #[must_use]
    pub fn start(&self) -> Watch {
        Watch {
            stop: self.clone(),
            started: Instant::now(),
            best_error: f64::INFINITY,
            improved_at: 0,
        }
    }

    /// Whether any limit is set: a run without one ends only by the interrupt flag.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.time.is_some()
            || self.generations.is_some()
            || self.evaluations.is_some()
            || self.stagnation.is_some()
    }
}

impl Watch {
    /// Whether to stop after `generation` generations and `evaluations` evaluations with this best
    /// error (NaN: nothing found yet). If several limits are reached at once, the reproducible
    /// ones are named before the time.
    pub fn check(&mut self, generation: u64, evaluations: u64, best_error: f64) -> Option<Reason> {
        // The first number counts as an improvement, later ones by the share asked for.
        let margin = self.stop.min_improvement.max(0.0) * self.best_error.abs();
        let threshold = if self.best_error.is_finite() {
            self.best_error - margin
        } else {
            self.best_error
        };
        if best_error < threshold {
            self.best_error = best_error;
            self.improved_at = generation;
        }
        let stop = &self.stop;
        let reached = |limit: Option<u64>, value: u64| limit.is_some_and(|l| value >= l);
        if self.interrupted() {
            Some(Reason::Interrupted)
        } else if stop.target_error.is_some_and(|target| best_error <= target) {
            Some(Reason::TargetError)
        } else if reached(stop.generations, generation) {
            Some(Reason::Generations)
        } else if reached(stop.evaluations, evaluations) {
            Some(Reason::Evaluations)
        } else if reached(stop.stagnation, generation.saturating_sub(self.improved_at)) {
            Some(Reason::Stagnation)
        } else if self.out_of_time() {
            Some(Reason::Time)
        } else {
            None
        }
    }

    /// The limits that cannot wait for the end of a generation: the interrupt flag and the time.
    #[must_use]
    pub fn urgent(&self) -> Option<Reason> {
        if self.interrupted() {
            Some(Reason::Interrupted)
        } else {
            self.out_of_time().then_some(Reason::Time)
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How much of the run is over, from 0 to 1, by the limit that is closest; 0 without limits.
    #[must_use]
    pub fn fraction(&self, generation: u64, evaluations: u64) -> f64 {
        let share = |limit: Option<u64>, value: u64| {
            limit.map_or(0.0, |l| if l == 0 { 1.0 } else { value as f64 / l as f64 })
        };
        let time = self.stop.time.map_or(0.0, |limit| {
            if limit.is_zero() {
                1.0
            } else {
                self.elapsed().as_secs_f64() / limit.as_secs_f64()
            }
        });
        share(self.stop.generations, generation)
            .max(share(self.stop.evaluations, evaluations))
            .max(time)
            .min(1.0)
    }

    fn interrupted(&self) -> bool {
        // Relaxed: the flag carries no data with it.
        self.stop
            .interrupt
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    fn out_of_time(&self) -> bool {
        self.stop
            .time
            .is_some_and(|limit| self.started.elapsed() >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stop: &Stop, steps: &[(u64, u64, f64)], expected: Option<(usize, Reason)>) {
        let mut watch = stop.start();
        let found = steps
            .iter()
            .enumerate()
            .find_map(|(i, &(g, e, b))| watch.check(g, e, b).map(|reason| (i, reason)));
        assert_eq!(found, expected, "{stop:?}");
    }

    #[test]
    fn each_limit_stops_at_its_step() {
        let steps: Vec<(u64, u64, f64)> = vec![
            (1, 100, f64::NAN),
            (2, 200, 8.0),
            (3, 300, 8.0),
            (4, 400, 7.99),
            (5, 500, 1.0),
        ];
        let none = Stop::default();
        check(&none, &steps, None);
        assert!(!none.is_bounded());
        let rows = [
            (
                Stop {
                    generations: Some(3),
                    ..none.clone()
                },
                2,
                Reason::Generations,
            ),
            (
                Stop {
                    generations: Some(0),
                    ..none.clone()
                },
                0,
                Reason::Generations,
            ),
            (
                Stop {
                    evaluations: Some(201),
                    ..none.clone()
                },
                2,
                Reason::Evaluations,
            ),
            (
                Stop {
                    target_error: Some(7.99),
                    ..none.clone()
                },
                3,
                Reason::TargetError,
            ),
            (
                Stop {
                    stagnation: Some(1),
                    ..none.clone()
                },
                0,
                Reason::Stagnation,
            ),
            (
                Stop {
                    stagnation: Some(2),
                    min_improvement: 0.01,
                    ..none.clone()
                },
                3,
                Reason::Stagnation,
            ),
            (
                Stop {
                    time: Some(Duration::ZERO),
                    ..none.clone()
                },
                0,
                Reason::Time,
            ),
            (
                Stop {
                    interrupt: Some(Arc::new(AtomicBool::new(true))),
                    ..none.clone()
                },
                0,
                Reason::Interrupted,
            ),
        ];
        for (stop, step, reason) in rows {
            check(&stop, &steps, Some((step, reason)));
        }
        check(
            &Stop {
                stagnation: Some(2),
                ..none.clone()
            },
            &steps,
            None,
        );
    }

    #[test]
    fn a_negative_error_improves_downwards_too() {
        let stop = Stop {
            stagnation: Some(2),
            min_improvement: 0.1,
            ..Stop::default()
        };
        check(
            &stop,
            &[(1, 0, -1.0), (2, 0, -1.2), (3, 0, -1.4), (4, 0, -1.6)],
            None,
        );
    }

    #[test]
    fn reproducible_reasons_come_before_the_time() {
        let stop = Stop {
            generations: Some(1),
            time: Some(Duration::ZERO),
            ..Stop::default()
        };
        check(&stop, &[(1, 1, 0.0)], Some((0, Reason::Generations)));
    }

    #[test]
    fn urgent_sees_the_flag_and_the_clock_only() {
        let flag = Arc::new(AtomicBool::new(false));
        let stop = Stop {
            generations: Some(0),
            interrupt: Some(Arc::clone(&flag)),
            ..Stop::default()
        };
        let watch = stop.start();
        assert_eq!(watch.urgent(), None);
        flag.store(true, Ordering::Relaxed);
        assert_eq!(watch.urgent(), Some(Reason::Interrupted));
        let watch = Stop {
            time: Some(Duration::ZERO),
            ..Stop::default()
        }
        .start();
        assert_eq!(watch.urgent(), Some(Reason::Time));
    }

    #[test]
    fn fraction_follows_the_closest_limit() {
        let stop = Stop {
            generations: Some(10),
            evaluations: Some(1000),
            ..Stop::default()
        };
        let watch = stop.start();
        assert_eq!(watch.fraction(2, 500), 0.5);
        assert_eq!(watch.fraction(20, 500), 1.0);
        assert_eq!(Stop::default().start().fraction(5, 5), 0.0);
        assert_eq!(
            Stop {
                generations: Some(0),
                ..Stop::default()
            }
            .start()
            .fraction(0, 0),
            1.0
        );
    }
}
