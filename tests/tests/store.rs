//! The store of record: its contract, a model of it, and faults below it.

mod store_contract;
mod store_faults;
mod store_model;
