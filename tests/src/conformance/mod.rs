//! What others ask of the server: requirements and the tests that prove them, suites that others wrote, real clients.

pub mod coverage;
