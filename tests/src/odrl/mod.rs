//! ODRL policies under test: suites of others, our own cases, and a second evaluator to compare with.

pub mod cases;
pub mod random;
pub mod reference;
pub mod suite;
