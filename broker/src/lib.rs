//! A broker that finds data, carries agreements and answers queries over many owners.
//!
//! It holds metadata only: catalogues, agreement tokens and its audit log. No triple of any pod is ever written to its disk.

pub mod exec;
pub mod fetch;
pub mod plan;
pub mod source;
