//! What people look at, as HTML: the page of a fit, and pieces of it for notebooks.
//!
//! Few people read a front of formulas with seventeen digits to a constant; many look at a picture
//! of it and click. [`page`] makes one file of a report: a formula, typeset, with its pictures, its
//! text in several languages and its machine code, and the front to choose another one from.
//! [`fragment`] makes a notebook's output of the same pieces: [`summary`], [`code`],
//! [`genome_picture`]. What searches differ in is said by [`Fit`].
//!
//! All formulas are written here, each into its own elements; the script of a page only shows one
//! and hides the others, and draws points. So a page can be read without it.
//!
//! # Invariants
//! A page refers to nothing outside itself. Whatever comes from the user, such as the name of a
//! column, is text: no markup, no script. Colours are those of one sheet, `fragment.css`.

mod axes;
mod code;
mod curve;
mod data;
mod fit;
mod formulas;
mod fragment;
mod front;
mod genome;
mod genomes;
mod lineage;
mod page;

pub use code::{CodeLine, code, genome_listing, listing, machine_code};
pub use data::{MAX_ROWS, Rows};
pub use fit::Fit;
pub use fragment::{equation, formula, fragment};
pub use front::{front_table, summary};
pub use genome::{Crossover, LINE, SHORT_LINE, crossover_picture, genome_picture, genomes};
pub use lineage::{lineage_html, lineage_svg};
pub use page::page;
