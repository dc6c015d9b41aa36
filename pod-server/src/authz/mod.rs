//! Policy enforcement: facts in, a decision from `policies`, an audit receipt, and only then a proof.
//!
//! This module never decides by itself and never hands out a proof for a decision other than a permit.

mod authorized;

pub use authorized::{Authorized, Exemption, Receipt};
