//! Federations for tests and measurements: members that are real HTTP servers speaking the SPARQL 1.1 Protocol over in-memory
//! stores, well-behaved or not, and a broker's engine that queries them.

pub mod data;
pub mod generate;
pub mod kinds;
pub mod member;
pub mod network;
pub mod raw;
pub mod shop;
pub mod site;

pub use kinds::Kind;
pub use member::{Behaviour, Member};
pub use network::{Answered, Network};
