//! What pages show of a fit, whichever search made it.

use std::borrow::Cow;

use opcodon_expr::Expr;

/// A fit that has a page.
pub trait Fit {
    /// Why a page cannot be made.
    type Error;
    /// The heading over [`Fit::code`], and what is said beside it.
    const CODE: (&'static str, &'static str);
    /// How texts call what was found, many of them.
    const INDIVIDUALS: &'static str;

    /// What every page shows.
    fn facts(&self) -> Facts<'_>;

    /// Values of a formula of the front.
    ///
    /// # Errors
    /// If there is no such formula, or columns are not those of the fit.
    fn predict(&self, index: usize, columns: &[&[f64]]) -> Result<Vec<f64>, Self::Error>;

    /// That a column has another number of rows than the target.
    fn wrong_rows(column: &str, found: usize, expected: usize) -> Self::Error;

    /// The machine code of a formula, as HTML.
    fn code(&self, index: usize) -> String;

    /// How the formulas were found, as HTML.
    fn search(&self) -> String;
}

/// What every page shows.
#[derive(Debug)]
pub struct Facts<'a> {
    pub(crate) target: &'a str,
    pub(crate) names: &'a [String],
    pub(crate) n_rows: usize,
    /// How many individuals were tried.
    pub(crate) evaluations: u64,
    pub(crate) elapsed_s: f64,
    /// Why the search ended.
    pub(crate) stop: String,
    /// Why the chosen formula was chosen.
    pub(crate) choice: String,
    /// The name of the loss.
    pub(crate) loss: String,
    /// Whether the loss is a mean of squares.
    pub(crate) is_squares: bool,
    /// Headings of [`Formula::judgements`].
    pub(crate) judgements: Vec<&'static str>,
    /// The front, from small to large.
    pub(crate) front: Vec<Formula<'a>>,
    /// Which one of it was chosen.
    pub(crate) chosen: usize,
}

/// A formula of the front.
#[derive(Debug)]
pub(crate) struct Formula<'a> {
    pub(crate) expr: Cow<'a, Expr>,
    /// All of it as text.
    pub(crate) text: &'a str,
    pub(crate) size: usize,
    pub(crate) loss: f64,
    pub(crate) r2: f64,
    /// R² on other rows.
    pub(crate) judgements: Vec<Option<f64>>,
}

impl Facts<'_> {
    pub(crate) fn best(&self) -> &Formula<'_> {
        &self.front[self.chosen]
    }
}
