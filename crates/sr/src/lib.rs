//! Symbolic regression, the main job: problem, loss, evaluate, constants, search, polish, report.
