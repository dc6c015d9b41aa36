//! The shared I/O shell of Meent's servers: authentication, egress, TLS, audit sink, problem details
pub mod summary;
