//! Policy enforcement: facts in, a decision from `policies`, an audit receipt, and only then a proof.
//!
//! This module never decides by itself and never hands out a proof for a decision other than a permit.

mod authorized;
mod caller;
mod denial_rate;
mod dependency;
mod pep;
pub mod pip;
mod policy_epoch;
mod recorder;
pub mod scope;

pub use authorized::{Authorized, Exemption, Receipt};
pub use caller::Caller;
pub use dependency::Dependency;
pub use pep::{Pep, Requirement, Verdict, dependencies_hold};
pub use pip::Pip;
pub use policy_epoch::PolicyEpoch;
pub use recorder::{Recorder, Use, UseKind};
