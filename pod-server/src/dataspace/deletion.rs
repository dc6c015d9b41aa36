//! The duty to delete what was received under an agreement: open from the first answer on, closed by the recipient's word,
//! and the end of all answers when that word does not come in time (ENF-19).

use http::{Method, StatusCode};
use policies::audit::AuditAction;
use policies::odrl;
use serde::{Deserialize, Serialize};
use server_kit::problem::Problem;
use time::OffsetDateTime;

use super::agreement::{self, Agreement};
use super::api::Dataspace;
use super::edge::{self, Answer, Call};
use super::uses::{self, Deletion, Usage};
use crate::audit::Event;
use crate::store::{RecordKind, Snapshot, Storage, StoreError};

/// Longest word of a recipient about what it deleted, in characters.
const NOTE_CHARS_MAX: usize = 2_000;

/// How far the duty of one agreement is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionDuty {
    /// Since when something is held that is not confirmed to be deleted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub held_since: Option<OffsetDateTime>,
    /// Until when that has to be deleted and confirmed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub deadline: Option<OffsetDateTime>,
    /// Whether that is over: nothing is answered any more until it is confirmed.
    pub overdue: bool,
    /// When the recipient last confirmed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub confirmed: Option<OffsetDateTime>,
    /// In its own words.
    pub note: Option<String>,
}

/// What a recipient sends.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DeletionTerms {
    note: String,
}

/// The deadline that counts for an agreement now; none when nothing has to be deleted.
#[must_use]
pub fn deadline(policy: &odrl::Policy, agreed: OffsetDateTime, usage: &Usage) -> Option<OffsetDateTime> {
    let retention = odrl::retention(policy)?;
    match usage.held_since {
        // Not before there was an agreement, where the instant itself was lost.
        Some(held) => retention.deadline(instant(held).max(agreed)),
        // What came after that day would have to be deleted before it came.
        None => retention.by,
    }
}

/// How far the duty of an agreement is; none when its policy asks for no deletion.
///
/// # Errors
/// If the store fails or is damaged.
pub fn duty(
    snapshot: &dyn Snapshot,
    agreement: &Agreement,
    now: OffsetDateTime,
) -> Result<Option<DeletionDuty>, StoreError> {
    let policy = agreement::compiled(agreement)?;
    if odrl::retention(&policy).is_none() {
        return Ok(None);
    }
    let usage = uses::usage(snapshot, &agreement.iri)?;
    let agreed = instant(agreement.created);
    let held_since = usage.held_since.map(|held| instant(held).max(agreed));
    let deadline = deadline(&policy, agreed, &usage).filter(|_| held_since.is_some());
    Ok(Some(DeletionDuty {
        held_since,
        deadline,
        overdue: deadline.is_some_and(|deadline| now > deadline),
        confirmed: usage.deleted.as_ref().map(|deletion| instant(deletion.at)),
        note: usage.deleted.map(|deletion| deletion.note),
    }))
}

/// What both parties read about an agreement, with its duty to delete.
///
/// # Errors
/// 500 if the store fails or is damaged.
pub fn described(
    snapshot: &dyn Snapshot,
    agreement: &Agreement,
    now: OffsetDateTime,
) -> Result<serde_json::Value, Problem> {
    let mut json = agreement.to_json();
    let duty = duty(snapshot, agreement, now).map_err(|error| edge::store_problem(&error))?;
    if let (Some(duty), Some(object)) = (duty, json.as_object_mut()) {
        let duty = serde_json::to_value(duty).map_err(|_| Problem::internal())?;
        object.insert("deleteDuty".to_owned(), duty);
    }
    Ok(json)
}

impl Dataspace {
    /// Answers `…/agreements/{id}/deletion`.
    pub(super) async fn respond_deletion(&self, call: &Call, storage: &Storage, iri: &str) -> Answer {
        match call.method {
            Method::GET => self.read_deletion(call, iri),
            Method::POST => self.confirm_deletion(call, storage, iri).await,
            _ => Err(edge::method_not_allowed(&call.method, "GET, POST")),
        }
    }

    /// For both parties.
    fn read_deletion(&self, call: &Call, iri: &str) -> Answer {
        let caller = call.reader_of(iri)?.as_str();
        let snapshot = self.node.snapshot()?;
        let agreement = party_to(&*snapshot, iri, caller, &call.iri)?;
        let duty = duty(&*snapshot, &agreement, self.node.clock.now()).map_err(|error| edge::store_problem(&error))?;
        match duty {
            Some(duty) => edge::json(StatusCode::OK, &duty),
            None => Err(edge::not_found(&call.iri)),
        }
    }

    /// The recipient has deleted everything that it received until now. Also counts
    /// after the end of the agreement; said again it changes nothing.
    async fn confirm_deletion(&self, call: &Call, storage: &Storage, iri: &str) -> Answer {
        let caller = call.web_id()?.as_str().to_owned();
        let terms: DeletionTerms = match call.body.is_empty() {
            true => DeletionTerms::default(),
            false => call.json()?,
        };
        if terms.note.chars().count() > NOTE_CHARS_MAX {
            let detail = format!("`note` has more than {NOTE_CHARS_MAX} characters");
            return Err(edge::unprocessable("note-too-long", detail));
        }
        let agreement = party_to(&*self.node.snapshot()?, iri, &caller, &call.iri)?;
        if agreement.assignee != caller {
            return Err(edge::forbidden("only the recipient says that it has deleted"));
        }
        let (storage_id, target) = (storage.id, agreement.clone());
        self.node
            .commit(move |node, transaction| {
                let deletion = Deletion {
                    at: node.clock.unix(),
                    note: terms.note,
                };
                let kept = uses::delete_confirmed(transaction, &target.iri, deletion)
                    .map_err(|error| edge::store_problem(&error))?;
                if !kept {
                    return Ok(());
                }
                // Answers that still run are decided anew, as after any change of the agreement: what they would bring now
                // nobody has promised to delete.
                let touched = transaction
                    .record(RecordKind::Agreement, &target.iri)
                    .and_then(|bytes| match bytes {
                        Some(bytes) => transaction.record_put(RecordKind::Agreement, &target.iri, &bytes),
                        None => Ok(()),
                    });
                touched.map_err(|error| edge::store_problem(&error))?;
                let event = Event::done(AuditAction::Agreement, &caller, storage_id)
                    .on(&target.iri)
                    .on(vocab::odrl::DELETE)
                    .purpose(&target.purpose)
                    .under(Some(&target.iri));
                node.record(transaction, &event)
            })
            .await?;
        let snapshot = self.node.snapshot()?;
        let duty = duty(&*snapshot, &agreement, self.node.clock.now()).map_err(|error| edge::store_problem(&error))?;
        match duty {
            Some(duty) => edge::json(StatusCode::OK, &duty),
            None => Err(edge::not_found(&call.iri)),
        }
    }
}

fn party_to(snapshot: &dyn Snapshot, iri: &str, caller: &str, place: &str) -> Result<Agreement, Problem> {
    agreement::load(snapshot, iri)
        .map_err(|error| edge::store_problem(&error))?
        .filter(|agreement| agreement.is_party(caller))
        .ok_or_else(|| edge::not_found(place))
}

fn instant(unix: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
