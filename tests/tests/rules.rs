//! The rules of the house, and the map of requirements.

mod house;
mod requirements;
mod conformance;
mod fuzz_corpus;
