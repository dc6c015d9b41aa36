//! A real pod server on loopback sockets, agents with keys and tokens, and a client that speaks HTTP as it is told to.

mod agent;
mod client;
mod crawl;
pub mod crowd;
mod local;
mod process;
mod raw;
mod server;
pub mod sparql;

pub use agent::Agent;
pub use client::{Client, Reply, RequestBuilder};
pub use crawl::{Seen, crawl};
pub use local::address;
pub use process::{PodFolder, PodProcess};
pub use raw::{RawReply, raw_request};
pub use server::{PodServer, PodSettings};
