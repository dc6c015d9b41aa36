//! The broker as a program, and hostile members.

mod broker_hostile;
mod broker_pushdown;
mod broker_service;
mod catalog_statistics;
