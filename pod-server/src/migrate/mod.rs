//! Taking over what another server holds, with its accounts.
//!
//! What cannot be taken over is named with its reason, and stays where it is: nothing of the other server is changed.

pub mod css;
mod report;

pub use report::{Finding, MigrateError, Outcome, Summary};
