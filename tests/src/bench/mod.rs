//! Measurements that anyone can run, always beside a baseline of the same run. Nothing here asserts a time.

pub mod bare;
pub mod load;
pub mod report;
