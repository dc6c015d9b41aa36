//! Answers of the federation are those of one store.

mod answer_tables;
mod broker_duplicates;
mod broker_equivalence;
mod broker_properties;
