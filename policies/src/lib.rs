//! Pure policy decisions: facts in, decision out.
//!
//! The crate answers one question, *may this be done, and under which duties?*, for Solid operations (Web Access
//! Control, Access Control Policies) and for queries under an agreement (ODRL with consent). It also holds the pure state machines around
//! that question (consent, contract negotiation) and the pure side of the audit log (records, commitments, proofs).
//!
//! It must never do I/O, read a clock or draw randomness: time and secrets are arguments, and the same request with
//! the same facts gives the same response, bit for bit. Whatever is missing, unknown or broken denies.

pub mod acp;
pub mod audit;
pub mod consent;
pub mod contract;
pub mod decide;
pub mod decision;
pub mod explain;
pub mod facts;
pub mod nesting;
pub mod odrl;
pub mod purpose;
pub mod request;
mod statements;
pub mod treatment;
pub mod wac;
pub mod written;

pub use decide::{Response, decide};
pub use decision::{Decision, Effect};
pub use facts::{Fact, FactRequest, Facts};
pub use request::{AccessRequest, Action, Agent, Subject, WebId};
