//! Contracts between a provider and a consumer: how one is negotiated, and the life of the agreement after it.

mod agreement;
mod negotiation;

pub use agreement::{AgreementEvent, AgreementState, AgreementStepError};
pub use negotiation::{Actor, Message, NegotiationState, StepError, step};
