//! HTTP for resources: content negotiation, validators, conditions, ranges, links and cross-origin headers.
//!
//! Everything here is a pure function of a request and of what is known about the target. It never reads the store
//! and never decides about access.

pub mod conditional;
pub mod cors;
pub mod etag;
pub mod link;
pub mod media_type;
pub mod negotiation;
pub mod range;
