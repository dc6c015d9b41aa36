//! ODRL 2.2: policies as types, read from and written to RDF, validated, evaluated.
//!
//! What is understood is evaluated exactly; what is not understood denies and says so. An offer is never evaluated as
//! a grant. See [`vocab::meent`] for the operands and actions of Meent's own profile.

pub mod canonical;
pub mod constraint;
pub mod evaluate;
pub mod json_ld;
pub mod model;
mod moment;
pub mod parse;
mod parts;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod write;

pub use canonical::{CanonicalError, canonical_hash, canonical_n_quads};
pub use evaluate::{Evaluation, Grant, Situation, evaluate};
pub use model::{
    Action, AtomicConstraint, ConflictStrategy, Constraint, Duty, LogicalConstraint, LogicalOperator, Operator, Party,
    Permission, Policy, PolicyKind, Prohibition, Target,
};
pub use parse::{OdrlLimits, ParseError, parse, parse_json_ld, parse_turtle};
pub use validate::{ValidationError, validate};
pub use write::{write, write_json_ld, write_turtle};
