//! The data folder of a Community Solid Server of version 7 with its file backend (`config/file.json` and its kin).
//!
//! - `{storage}/…`: documents and containers as files and folders, [`file_name`](crate::ldp::file_name) says how;
//! - `{resource}.acl` or `.acr`, `{resource}.meta`: access rules and descriptions beside their resource;
//! - `.internal/accounts/data/…`: one JSON document for each account, [`accounts`] reads it;
//! - `.internal/setup/…`: the server's URL and version; everything else below `.internal` is for the running server alone.
//!
//! The folder is only read. Symbolic links are not followed.

mod accounts;
mod folder;
mod metadata;
mod plan;
mod run;

pub use run::{Options, Target, run};
