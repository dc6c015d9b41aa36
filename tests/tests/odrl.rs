//! ODRL: suites, our own cases, properties.

mod odrl_cases;
mod odrl_properties;
mod odrl_suite;
