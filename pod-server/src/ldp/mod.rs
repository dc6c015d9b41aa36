//! The Linked Data Platform part of the Solid Protocol: resources, containers, auxiliary resources and patches.
//!
//! Operations are read from requests, decided and audited by `authz`, planned by pure functions, and carried out in
//! one transaction. Nothing here decides about access.

mod access_rules;
mod commit_write;
pub mod constraints;
mod container;
mod content;
mod delete;
pub(crate) mod description;
pub mod document;
pub(crate) mod file_name;
pub mod headers;
mod heads;
pub mod intake;
mod issuer_links;
pub mod linkset;
mod listing;
mod lws_listing;
mod members;
pub mod operation;
mod owner_room;
pub mod patch;
mod patch_request;
mod post;
mod profile_guard;
pub mod provision;
mod public;
mod put;
mod read;
mod representation;
mod service;
pub mod situation;
pub mod slug;
pub mod target;
pub mod template;
mod upload;
mod watched;

pub use members::MemberPage;
pub use policies::nesting;
pub(crate) use read::stored_etag;
pub use service::{LdpService, Room};
