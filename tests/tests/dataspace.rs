//! Agreements, consent and the log over real sockets.

mod aggregate_attacks;
mod agreement_clauses;
mod audit;
mod consent_model;
mod dataspace_services;
mod log_witness;
