//! What a search has visited: beside the front the runners-up of every size, to be asked later.
//!
//! Of each size the formulas with the lowest errors are kept, each shape once, with its best
//! constants. Unlike the populations, which forget, this remembers the whole search.
//!
//! # Invariant
//! Formulas of a size stand in the order of their errors, and no two have one shape.

use crate::candidate::Candidate;

/// The best formulas of each size.
#[derive(Debug, Clone)]
pub(crate) struct Visited {
    /// Formulas kept of each size.
    most: usize,
    by_size: Vec<Vec<Candidate>>,
}

impl Visited {
    /// Formulas of each size where there is to be room for so many in all.
    pub(crate) fn most(n_formulas: usize, max_size: usize) -> usize {
        n_formulas.div_ceil(max_size)
    }

    /// Room for at least so many formulas of sizes up to `max_size`.
    pub(crate) fn new(n_formulas: usize, max_size: usize) -> Self {
        Self {
            most: Self::most(n_formulas, max_size),
            by_size: vec![Vec::new(); max_size + 1],
        }
    }

    pub(crate) fn insert(&mut self, candidate: &Candidate) {
        let error = candidate.score.error;
        let Some(formulas) = self.by_size.get_mut(candidate.expr.len()) else {
            return;
        };
        let worst = formulas.last().map(|worst| worst.score.error);
        let is_full = formulas.len() >= self.most;
        if is_full && worst.is_none_or(|worst| error >= worst) {
            return;
        }
        let twin = formulas.iter().position(|c| c.shape == candidate.shape);
        match twin {
            Some(twin) if formulas[twin].score.error <= error => return,
            Some(twin) => drop(formulas.remove(twin)),
            None => {}
        }
        let place = formulas.partition_point(|c| c.score.error <= error);
        formulas.insert(place, candidate.clone());
        formulas.truncate(self.most);
    }

    /// All of them, from small to large, each size from good to bad.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.by_size.iter().flatten()
    }

    /// Gives all of them away.
    pub(crate) fn drain(&mut self) -> Vec<Candidate> {
        let by_size = self.by_size.iter_mut();
        by_size.flat_map(|formulas| formulas.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use opcodon_expr::parse;

    use super::*;
    use crate::evaluate::Score;

    #[test]
    fn the_best_of_each_size_are_kept_each_shape_once() {
        let mut visited = Visited::new(4, 2);
        for (text, error, shape) in [
            ("sin(x)", 0.5, 1),
            ("cos(x)", 0.4, 2),
            ("exp(x)", 0.45, 3), // the third best of two
            ("x", 0.9, 4),
            ("cos(x)", 0.6, 2), // no better than before
            ("exp(x)", 0.3, 3),
            ("cos(x)", 0.2, 2),
            ("x + 1", 0.1, 5), // too long
        ] {
            visited.insert(&Candidate {
                expr: parse(text, None).unwrap().expr,
                score: Score {
                    error,
                    ..Score::WORST
                },
                shape,
            });
        }
        let kept = |c: &Candidate| (c.shape, c.score.error);
        let found: Vec<_> = visited.iter().map(kept).collect();
        assert_eq!(found, [(4, 0.9), (2, 0.2), (3, 0.3)]);
        assert_eq!(visited.drain().len(), 3);
        assert_eq!(visited.iter().count(), 0);
    }
}
