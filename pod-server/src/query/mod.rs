//! SPARQL 1.1 queries over what a caller may see.
//!
//! A text is guarded, parsed and checked, the decision point says what may be seen, the audit log takes note, and only
//! then is the query evaluated, over a dataset that holds the permitted view and nothing else (invariants 2, 5, 7).
//! Answers are streamed; an answer that cannot be finished is never passed off as a complete one.

pub mod aggregate;
pub mod answers;
mod bounds;
pub mod changes;
mod codes;
pub mod dataset;
pub mod evaluate;
pub mod limits;
pub mod marks;
mod masks;
pub mod named;
pub mod order;
pub mod parse;
pub mod pool;
mod population;
mod problems;
pub mod request;
mod scan;
pub mod service;
pub mod sketch;
mod steps;
pub mod summaries;
pub mod table;
pub mod terms;
pub mod treat;
mod treated_scan;
pub mod view;
pub mod work;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod differencing;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod differential;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod differential_queries;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod differential_view;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod duties;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod harness;

pub use limits::QueryLimits;
pub use service::{QueryParts, QueryService};
pub use treat::Treated;
pub use view::{Predicates, View};
