//! Consent of data subjects: what they were asked, what they decided, until when, and whom that covers (DPV, ISO/IEC TS
//! 27560; ARCHITECTURE §6 and invariant 8).

pub mod api;
pub mod coverage;
pub mod ledger;
pub mod service;
pub mod stored;

pub use ledger::{ConsentLedger, Wanted};
pub use service::{ConsentTerms, Consents, Decision};
