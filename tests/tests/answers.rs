//! Answers of the federation are those of one store.

mod broker_equivalence;
mod broker_properties;
