//! The broker as a program, and hostile members.

mod broker_answers;
mod broker_first_rows;
mod broker_hostile;
mod broker_pushdown;
mod broker_service;
mod broker_shop;
mod catalog_identifiers;
mod catalog_statistics;
mod members;
