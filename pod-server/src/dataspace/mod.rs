//! Datasets, catalogues, negotiations and agreements: how an owner's data finds a consumer, under the owner's
//! conditions (ARCHITECTURE §4, Dataspace Protocol, DCAT 3, ODRL 2.2).
//!
//! Agreements live here, with the owner. Nothing in this module hands out data: it hands out agreements, and the facts
//! by which every query is decided anew.

pub mod agreement;
pub mod api;
pub mod catalog;
pub mod config;
pub mod console;
pub mod copies;
pub mod dataset;
pub mod deletion;
mod describing;
pub mod edge;
pub mod exchange;
pub mod graph;
pub mod negotiation;
pub mod node;
pub mod offer;
pub mod service;
pub mod statement;
pub mod token;
pub mod uses;

pub use api::Dataspace;
pub use config::DataspaceConfig;
pub use edge::Call;
pub use node::Node;
pub use service::{DataspaceError, DataspaceService};
