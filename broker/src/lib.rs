//! A broker that finds data, carries agreements and answers queries over many owners.
//!
//! It holds metadata only: catalogues, agreement tokens and its audit log. No triple of any pod is ever written to its disk.

pub mod agreement;
pub mod app;
pub mod audit;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod consumer;
pub mod enforce;
pub mod error;
pub mod exec;
pub mod fetch;
pub mod holder;
pub mod http;
pub mod member;
pub mod plan;
pub mod query;
pub mod source;
pub mod standing;
pub mod state;
pub mod ui;
