//! The scenario: municipalities, agencies, citizens, a company and a broker on one machine, doing the network's main
//! job on real Flemish data.

pub mod citizens;
pub mod expected;
pub mod input;
pub mod queries;
pub mod raw;
