//! What is owed, read out of the log and kept along with it (AUD-10): `/{storage}/.dataspace/agreements/{id}/obligations`.

use http::{Method, StatusCode};
use parking_lot::Mutex;
use policies::audit::{AuditAction, DutyLog, DutyStep};
use policies::request::WEB_ID_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;
use server_kit::problem::Problem;

use crate::audit::{Event, Sealed};
use crate::dataspace::agreement::{self, Agreement};
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::node::Node;
use crate::store::Storage;

/// Records read at a time.
const RECORDS_AT_ONCE: usize = 1_000;

/// Reads along with the log.
#[derive(Default)]
pub struct Duties {
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    log: DutyLog,
    next: u64,
}

/// What a party says that it did.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    /// IRI of the action.
    action: String,
    /// IRI of what it was done to; the dataset of the agreement unless given.
    #[serde(default)]
    target: Option<String>,
}

impl Duties {
    /// What the log has told until now.
    ///
    /// # Errors
    /// When the store fails, or a record cannot be read.
    pub fn told(&self, node: &Node) -> Result<DutyLog, Problem> {
        let mut read = self.read.lock();
        loop {
            let more = {
                let snapshot = node.snapshot()?;
                let found = snapshot.audit_details(read.next, RECORDS_AT_ONCE);
                found.map_err(|error| edge::store_problem(&error))?
            };
            for entry in &more {
                let sealed = Sealed::from_bytes(&entry.entry.record).map_err(|error| {
                    tracing::error!(leaf = entry.leaf_index, %error, "a record of the log cannot be read");
                    Problem::internal()
                })?;
                read.log.apply(&sealed.record);
                read.next = entry.leaf_index + 1;
            }
            if more.len() < RECORDS_AT_ONCE {
                return Ok(read.log.clone());
            }
        }
    }

    /// Answers a party of an agreement: what is owed under it (`GET`), or that it did something that is (`POST`).
    ///
    /// # Errors
    /// 404 for whoever is no party, 422 for what names no action, 503 or 500 if the store fails.
    pub async fn respond(&self, node: &Node, call: &Call, storage: &Storage, iri: &str) -> Answer {
        let caller = call.web_id()?.as_str();
        let found = agreement::load(&*node.snapshot()?, iri).map_err(|error| edge::store_problem(&error))?;
        let party = found.filter(|agreement| agreement.is_party(caller));
        let agreement = party.ok_or_else(|| edge::not_found(&call.iri))?;
        match call.method {
            Method::GET | Method::HEAD => self.owed(node, &agreement),
            Method::POST => {
                let done: Done = serde_json::from_slice(&call.body)
                    .map_err(|error| edge::unprocessable("malformed-act", format!("the body is no act: {error}")))?;
                let iris = std::iter::once(&done.action).chain(&done.target);
                for iri in iris {
                    if iri.len() > WEB_ID_BYTES_MAX || oxrdf::NamedNode::new(iri.as_str()).is_err() {
                        let detail = format!("`action` and `target` must be IRIs of at most {WEB_ID_BYTES_MAX} bytes");
                        return Err(edge::unprocessable("malformed-act", detail));
                    }
                }
                let mut event = Event::done(AuditAction::Agreement, caller, storage.id)
                    .on(done.target.as_deref().unwrap_or(&agreement.dataset))
                    .under(Some(&agreement.iri));
                event.duty = Some(DutyStep {
                    action: done.action.clone(),
                    deadline: None,
                    done: true,
                    id: agreement.iri.clone(),
                });
                node.note(event).await?;
                self.owed(node, &agreement)
            }
            _ => Err(edge::method_not_allowed(&call.method, "GET, HEAD, POST")),
        }
    }

    fn owed(&self, node: &Node, agreement: &Agreement) -> Answer {
        let policy = agreement.policy().map_err(|error| edge::store_problem(&error))?;
        let owed = self.told(node)?.owed(&policy, node.clock.now());
        edge::json(
            StatusCode::OK,
            &json!({ "agreement": agreement.iri, "obligations": owed }),
        )
    }
}
