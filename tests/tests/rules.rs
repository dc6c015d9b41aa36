//! The rules of the house, and the map of requirements.

mod conformance;
mod fuzz_corpus;
mod house;
mod requirements;
