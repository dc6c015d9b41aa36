//! ODRL 2.2: policies as types, read from and written to RDF, validated, evaluated.
//!
//! What is understood is evaluated exactly; what is not understood denies and says so. An offer is never evaluated as
//! a grant. See [`vocab::meent`] for the operands and actions of Meent's own profile.

pub mod action;
pub mod attached;
pub mod canonical;
pub mod circumstance;
pub mod compare;
mod compile;
mod condition;
pub mod constraint;
pub mod document;
pub mod dsp;
mod duty;
pub mod evaluate;
pub mod json_ld;
mod judge;
pub mod model;
mod moment;
pub mod normalise;
pub mod operand;
pub mod parse;
mod parts;
pub(crate) mod query_action;
mod query_duty;
pub mod report;
mod retention;
mod rules;
mod steps;
#[cfg(test)]
mod tests;
pub mod track;
mod truth;
pub mod usage_class;
pub mod validate;
mod value;
mod world;
pub mod write;

pub use attached::{Attached, attached, masks_keys, stays_with_recipient};
pub use canonical::{CanonicalError, canonical_hash, canonical_n_quads};
pub use circumstance::{Circumstances, Known, Statements};
pub use compare::{Proof, at_least_as_strict, can_never_hold, permits_nothing};
pub use compile::{PolicySet, RuleKind};
pub use document::{Document, Syntax, UnknownTerm};
pub use dsp::{NotCarried, to_dsp};
pub use evaluate::{Evaluation, Grant, Situation, evaluate};
pub use judge::{Input, Verdict};
pub use model::{
    Action, AtomicConstraint, ConflictStrategy, Constraint, Duty, LogicalConstraint, LogicalOperator, Operator, Party,
    Permission, Policy, PolicyKind, Prohibition, Target,
};
pub use normalise::{InheritanceLimits, NormaliseError, normalise};
pub use parse::{OdrlLimits, ParseError, Reading, parse, parse_as, parse_json_ld, parse_turtle};
pub use report::{ConstraintReport, Report, RuleReport, report, write_report};
pub use retention::{Retention, retention};
pub use track::{Kept, Owed, kept, track};
pub use truth::Tri;
pub use validate::{ValidationError, validate};
pub use world::{Behaviour, DutyState, Of, Performed, World, WorldBuilder};
pub use write::{write, write_json_ld, write_turtle};
