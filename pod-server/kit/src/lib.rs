//! The shared I/O shell of Meent's servers: authentication, egress, TLS, audit log, serving, problem details.
//!
//! Everything that both servers must do in the same way at the edge of the process lives here. This crate never decides
//! about access (that is `policies`) and knows nothing of resources, datasets or query plans (that is the servers).

pub mod accept;
pub mod audit_log;
pub mod authn;
pub mod body;
pub mod clock;
pub mod config;
pub mod egress;
pub mod keys;
pub mod language;
pub mod mask;
pub mod network;
pub mod problem;
pub mod random;
pub mod results;
pub mod secret_file;
pub mod serve;
pub mod shutdown;
pub mod sparql_text;
pub mod summary;
pub mod telemetry;
pub mod tls;
pub mod trace;

#[cfg(test)]
mod test_network;
