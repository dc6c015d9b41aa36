//! Consent of data subjects: what they were asked, what they decided, until when, and whom that covers (DPV, ISO/IEC TS
//! 27560; ARCHITECTURE §6 and invariant 8).

mod agreed_duty;
pub mod api;
mod console;
pub mod courier;
pub mod coverage;
mod covering;
pub mod decision;
pub mod duty;
pub mod ledger;
pub mod mandate;
pub mod proof;
pub mod register;
pub mod service;
pub mod setting;
pub mod stored;
pub mod terms;
pub mod verify;

pub use courier::{Courier, Letter, LetterConfig, post};
pub use decision::{Acting, Decision, Yes};
pub use ledger::{ConsentLedger, Wanted};
pub use service::Consents;
pub use terms::ConsentTerms;
