//! The Linked Data Platform part of the Solid Protocol: resources, containers, auxiliary resources and patches.
//!
//! Operations are read from requests, decided and audited by `authz`, planned by pure functions, and carried out in
//! one transaction. Nothing here decides about access.

pub mod document;
pub mod nesting;
pub mod patch;
