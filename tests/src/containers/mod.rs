//! The network as containers of images that are made from the present build: what an operator runs, on a network where
//! every server has an address and a name of its own.

mod engine;
mod fleet;
mod mapped;

pub use engine::{engine_answers, make_images};
pub use fleet::Fleet;
