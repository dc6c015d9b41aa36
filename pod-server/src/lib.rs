//! A Solid pod server that owns its data, decides about it, and proves every use.

pub mod authz;
pub mod config;
pub mod error;
pub mod http;
pub mod identity;
pub mod import;
pub mod index;
pub mod ldp;
pub mod name;
pub mod routes;
pub mod store;
pub mod ui;
