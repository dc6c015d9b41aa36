//! Reading the logs of owners and citizens, and checking every proof in them offline.

use http::Method;
use pod_server::log::own::LogExport;
use pod_server::log::verify;
use policies::audit::{AuditAction, AuditRecord, Outcome};

use super::ScenarioError;
use super::network::Network;

/// Entries that are read at most.
const ENTRIES: usize = 500;

/// What a storage's log says about queries, newest first; all proofs hold.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Records of queries.
    pub queries: Vec<AuditRecord>,
    /// Entries whose proofs were checked.
    pub proven: usize,
    /// Entries that prove that they concern the reader.
    pub about_me: usize,
}

impl Seen {
    /// Queries that were refused.
    pub fn refused(&self) -> impl Iterator<Item = &AuditRecord> {
        self.queries.iter().filter(|record| record.outcome == Outcome::Deny)
    }

    /// Queries that were allowed.
    pub fn allowed(&self) -> impl Iterator<Item = &AuditRecord> {
        self.queries.iter().filter(|record| record.outcome == Outcome::Permit)
    }
}

/// Reads the log of a storage as its owner and verifies each proof, as an outsider would.
///
/// # Errors
/// When the log cannot be read, or a proof does not hold.
pub async fn read(network: &Network, member: &str, storage: &str) -> Result<Seen, ScenarioError> {
    let url = format!("{}{storage}/.log?limit={ENTRIES}", network.pod(member)?.base_url);
    let reply = network
        .party(storage)?
        .send(Method::GET, &url, &[], Vec::new())
        .await?
        .success("reading a log")?;
    let export: LogExport = serde_json::from_slice(&reply.body)?;
    verify::export(&export, None, None)
        .map_err(|fault| ScenarioError(format!("the log of {storage} does not verify: {fault}")))?;
    let queries = export.entries.iter().map(|entry| entry.sealed.record.clone());
    Ok(Seen {
        proven: export.entries.len(),
        about_me: export.entries.iter().filter(|entry| entry.subject.is_some()).count(),
        queries: queries.filter(|record| record.action == AuditAction::Query).collect(),
    })
}
