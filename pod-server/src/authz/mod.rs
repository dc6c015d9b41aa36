//! Policy enforcement: facts in, a decision from `policies`, an audit receipt, and only then a proof.
//!
//! This module never decides by itself and never hands out a proof for a decision other than a permit.

mod authorized;
mod caller;
mod considered;
mod conversion;
mod creators;
mod denial_rate;
mod dependency;
mod first_rules;
mod groups;
mod pep;
pub mod pip;
mod policy_epoch;
mod recorder;
mod rules;
pub mod scope;
mod system;

pub use authorized::{Authorized, Exemption, Receipt};
pub use caller::Caller;
pub use conversion::to_policies;
pub use creators::{creators_are_noted, forget_creator, note_creator};
pub use dependency::Dependency;
pub use first_rules::FirstRules;
pub use groups::RemoteGroups;
pub use pep::{Pep, Requirement, Verdict, dependencies_hold};
pub use pip::Pip;
pub use policy_epoch::PolicyEpoch;
pub use recorder::{Recorder, Use, UseKind};
pub use rules::WrittenRules;
pub use system::AuthorizationSystem;
