//! A Solid pod server that owns its data, decides about it, and proves every use.

pub mod app;
pub mod archive;
pub mod audit;
pub mod authz;
pub mod backup;
pub mod browse;
pub mod cli;
pub mod config;
pub mod consent;
pub mod dataspace;
pub mod error;
pub mod http;
pub mod identity;
pub mod import;
pub mod index;
pub mod ldp;
pub mod log;
pub mod migrate;
pub mod name;
pub mod notify;
pub mod origins;
pub mod query;
pub mod routes;
pub mod store;
pub mod ui;
