//! What a withdrawal sets going: each named recipient is told, has to delete by a day, and says that it did (CON-10,
//! CON-11; GDPR art. 7(3), 17, 19). The person and the party that asked see who has not.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use policies::audit::{AuditAction, DutyStep};
use policies::consent::{ConsentRecord, Recipients};
use policies::request::WebId;
use serde::{Deserialize, Serialize};
use server_kit::problem::Problem;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::courier::{Letter, post};
use super::service::{Consents, refused};
use super::stored::StoredConsent;
use crate::audit::Event;
use crate::dataspace::agreement::{read_json, to_json};
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::exchange::storage_name;
use crate::dataspace::node::Node;
use crate::store::{RecordKind, Snapshot, Storage, StoreError, Transaction};

/// Duties read for one list.
const SHOWN_MAX: usize = 1_000;

/// Longest word of a recipient about what it deleted, in characters.
const NOTE_CHARS_MAX: usize = 2_000;

/// The duty of one recipient to delete what it received under one consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteDuty {
    /// IRI of the duty.
    pub id: String,
    /// IRI of the consent that ended.
    pub consent: String,
    /// Whose data it is.
    pub data_subject: WebId,
    /// Who has to delete.
    pub recipient: String,
    /// Who asked for the consent, and is told too.
    pub requested_by: Option<String>,
    /// When the consent ended.
    #[serde(with = "time::serde::rfc3339")]
    pub opened: OffsetDateTime,
    /// Until when it has to be done.
    #[serde(with = "time::serde::rfc3339")]
    pub deadline: OffsetDateTime,
    /// When the notice reached the recipient's inbox.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub notified: Option<OffsetDateTime>,
    /// Why the notice could not be delivered and is not tried any more.
    #[serde(default)]
    pub undelivered: Option<String>,
    /// What the recipient said.
    #[serde(default)]
    pub acknowledged: Option<Acknowledgement>,
}

/// A recipient's word that it deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// In its own words: what was deleted, or on what ground something is kept.
    pub note: String,
}

/// What a recipient sends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AcknowledgementTerms {
    note: String,
}

impl DeleteDuty {
    /// Whether it should have been done.
    #[must_use]
    pub fn overdue(&self, now: OffsetDateTime) -> bool {
        self.acknowledged.is_none() && now > self.deadline
    }
}

/// A duty as it is shown.
#[derive(Debug, Serialize)]
struct ShownDuty<'a> {
    #[serde(flatten)]
    duty: &'a DeleteDuty,
    overdue: bool,
}

impl Consents {
    /// The duties about the data of one storage.
    ///
    /// # Errors
    /// If the store fails.
    pub fn duties(&self, storage: &Storage) -> Result<Vec<DeleteDuty>, Problem> {
        let snapshot = self.node.snapshot()?;
        let prefix = format!("{}/", storage_name(storage.root.as_str()));
        let records = snapshot
            .records(RecordKind::DeleteDuty, &prefix, None, SHOWN_MAX)
            .map_err(|error| edge::store_problem(&error))?;
        let read = |(key, bytes): (String, Vec<u8>)| read_json(Some(bytes), &key).transpose();
        let duties: Result<Vec<DeleteDuty>, StoreError> = records.into_iter().filter_map(read).collect();
        duties.map_err(|error| edge::store_problem(&error))
    }

    /// The duties that follow from consents which a WebID asked for, at all storages of this server.
    ///
    /// # Errors
    /// If the store fails.
    pub fn duties_asked_by(&self, web_id: &str) -> Result<Vec<DeleteDuty>, Problem> {
        let snapshot = self.node.snapshot()?;
        let prefix = asked_by(web_id, "");
        let records = snapshot
            .records(RecordKind::DeleteDuty, &prefix, None, SHOWN_MAX)
            .map_err(|error| edge::store_problem(&error))?;
        let mut duties = Vec::new();
        for (key, _) in records {
            let own = key.strip_prefix(&prefix).unwrap_or_default();
            let duty = load(&*snapshot, own).map_err(|error| edge::store_problem(&error))?;
            duties.extend(duty.filter(|duty| duty.requested_by.as_deref() == Some(web_id)));
        }
        Ok(duties)
    }

    /// Answers `duties…` below `/{storage}/.consent/`.
    pub(super) async fn respond_duties(&self, call: &Call, storage: &Storage, caller: &WebId, rest: &[&str]) -> Answer {
        match (rest, &call.method) {
            ([] | [""], &Method::GET) => self.list_duties(call, storage, caller).await,
            ([] | [""], method) => Err(edge::method_not_allowed(method, "GET")),
            ([id], &Method::GET) => {
                let duty = self.readable_duty(call, storage, caller, id).await?;
                self.shown(&[duty])
                    .map(|mut shown| shown.remove(0))
                    .and_then(|duty| edge::json(StatusCode::OK, &duty))
            }
            ([_], method) => Err(edge::method_not_allowed(method, "GET")),
            ([id, "acknowledge"], &Method::POST) => {
                let duty = self.readable_duty(call, storage, caller, id).await?;
                if duty.recipient != caller.as_str() {
                    return Err(edge::forbidden("only the recipient says that it has deleted"));
                }
                let terms: AcknowledgementTerms = match call.body.is_empty() {
                    true => AcknowledgementTerms::default(),
                    false => call.json()?,
                };
                if terms.note.chars().count() > NOTE_CHARS_MAX {
                    let detail = format!("`note` has more than {NOTE_CHARS_MAX} characters");
                    return Err(edge::unprocessable("note-too-long", detail));
                }
                let duty = self.acknowledge(storage, id, caller, terms.note).await?;
                edge::json(StatusCode::OK, &duty)
            }
            ([_, "acknowledge"], method) => Err(edge::method_not_allowed(method, "POST")),
            _ => Err(edge::not_found(&call.iri)),
        }
    }

    fn shown(&self, duties: &[DeleteDuty]) -> Result<Vec<serde_json::Value>, Problem> {
        let now = self.node.clock.now();
        let shown = duties.iter().map(|duty| {
            serde_json::to_value(ShownDuty {
                duty,
                overdue: duty.overdue(now),
            })
        });
        shown.collect::<Result<_, _>>().map_err(|_| Problem::internal())
    }

    /// The person sees all duties about their data; who asked and who has to delete see those that concern them.
    async fn list_duties(&self, call: &Call, storage: &Storage, caller: &WebId) -> Answer {
        let own = self.mandated(storage, caller, "api")?.is_some();
        let mut duties = self.duties(storage)?;
        if own {
            duties.extend(self.duties_under_agreements(storage)?);
            if caller.as_str() == storage.owner {
                duties.extend(self.duties_asked_by(caller.as_str())?);
            }
        } else {
            duties.retain(|duty| concerns(duty, caller));
            if duties.is_empty() {
                self.node
                    .note(refused(Some(caller.as_str()), storage, &call.iri))
                    .await?;
                return Err(edge::not_found(&call.iri));
            }
        }
        edge::json(StatusCode::OK, &serde_json::json!({ "duties": self.shown(&duties)? }))
    }

    async fn readable_duty(
        &self,
        call: &Call,
        storage: &Storage,
        caller: &WebId,
        id: &str,
    ) -> Result<DeleteDuty, Problem> {
        let key = key(storage_name(storage.root.as_str()), id);
        let found = {
            let snapshot = self.node.snapshot()?;
            load(&*snapshot, &key).map_err(|error| edge::store_problem(&error))?
        };
        let own = self.mandated(storage, caller, "api")?.is_some();
        match found {
            Some(duty) if own || concerns(&duty, caller) => Ok(duty),
            _ => {
                self.node
                    .note(refused(Some(caller.as_str()), storage, &call.iri))
                    .await?;
                Err(edge::not_found(&call.iri))
            }
        }
    }

    async fn acknowledge(
        &self,
        storage: &Storage,
        id: &str,
        caller: &WebId,
        note: String,
    ) -> Result<DeleteDuty, Problem> {
        let key = key(storage_name(storage.root.as_str()), id);
        let (storage_id, caller, id) = (storage.id, caller.clone(), id.to_owned());
        self.node
            .commit(move |node, transaction| {
                let found = load(&*transaction as &dyn Snapshot, &key).map_err(|error| edge::store_problem(&error))?;
                let mut duty = found.ok_or_else(|| edge::not_found(&id))?;
                // The first word counts; saying it again changes nothing.
                if duty.acknowledged.is_none() {
                    duty.acknowledged = Some(Acknowledgement {
                        at: node.clock.now(),
                        note,
                    });
                    let mut event = Event::done(AuditAction::Consent, caller.as_str(), storage_id).on(&duty.id);
                    event.targets.push(&duty.consent);
                    event.subjects = vec![storage_id];
                    event.duty = Some(step(&duty, None));
                    node.record(transaction, &event)?;
                    save(transaction, &key, &duty)?;
                }
                Ok(duty)
            })
            .await
    }
}

fn concerns(duty: &DeleteDuty, caller: &WebId) -> bool {
    duty.recipient == caller.as_str() || duty.requested_by.as_deref() == Some(caller.as_str())
}

/// Opens the duties of a consent that has just ended, and posts the notices.
pub(super) fn open(
    node: &Node,
    transaction: &mut dyn Transaction,
    storage: &str,
    consent: &StoredConsent,
    days: u32,
) -> Result<(), Problem> {
    let Some(record) = consent.current() else {
        return Ok(());
    };
    let own = record
        .process
        .as_ref()
        .and_then(|process| process.storage.deleted_within_days);
    let now = node.clock.now();
    for recipient in recipients(record, consent.requested_by.as_deref()) {
        let id = node.random.uuid();
        let duty = DeleteDuty {
            id: format!("{}.consent/duties/{id}", record.storage),
            consent: record.id.clone(),
            data_subject: record.data_subject.clone(),
            recipient: recipient.clone(),
            requested_by: consent.requested_by.clone(),
            opened: now,
            deadline: now.saturating_add(Duration::days(own.map_or(days, |own| own.min(days)).into())),
            notified: None,
            undelivered: None,
            acknowledged: None,
        };
        opened(node, transaction, storage, &duty)?;
        let key = key(storage, &id);
        save(transaction, &key, &duty)?;
        if let Some(asker) = &consent.requested_by {
            let put = transaction.record_put(RecordKind::DeleteDuty, &asked_by(asker, &key), b"");
            put.map_err(|error| edge::store_problem(&error))?;
        }
        post(node, transaction, now, &Letter::ended(&recipient, &key))?;
    }
    Ok(())
}

/// The log says that a duty was opened, so that what is owed follows from it alone (AUD-10).
fn opened(node: &Node, transaction: &mut dyn Transaction, storage: &str, duty: &DeleteDuty) -> Result<(), Problem> {
    let snapshot: &dyn Snapshot = transaction;
    let storage = node.storage(snapshot, storage)?;
    let mut event = Event::done(AuditAction::Consent, duty.data_subject.as_str(), storage.id).on(&duty.id);
    event.targets.push(&duty.consent);
    event.subjects = vec![storage.id];
    event.duty = Some(step(duty, Some(duty.deadline)));
    node.record(transaction, &event)
}

/// A duty that is opened until a deadline, or carried out.
fn step(duty: &DeleteDuty, deadline: Option<OffsetDateTime>) -> DutyStep {
    DutyStep {
        action: vocab::odrl::DELETE.to_owned(),
        deadline,
        done: deadline.is_none(),
        id: duty.id.clone(),
    }
}

/// Whom a withdrawal has to reach: the named recipients, the controller, and who asked; not the person.
fn recipients(record: &ConsentRecord, requested_by: Option<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Recipients::These(these) = &record.recipients {
        found.extend(these.iter().map(|web_id| web_id.as_str().to_owned()));
    }
    if let Some(process) = &record.process {
        found.extend(process.controller.iter().map(|controller| controller.id.clone()));
        found.extend(process.recipients.iter().map(|recipient| recipient.id.clone()));
    }
    found.extend(requested_by.map(str::to_owned));
    found.remove(record.data_subject.as_str());
    found
}

/// The record key of a duty.
fn key(storage: &str, id: &str) -> String {
    format!("{storage}/{id}")
}

/// Where it is noted that a duty follows from a consent that someone asked for.
fn asked_by(web_id: &str, key: &str) -> String {
    let digest = Sha256::digest(web_id);
    format!("~asked/{}/{key}", hex::encode(digest.get(..16).unwrap_or(&digest)))
}

/// Reads a duty.
///
/// # Errors
/// When the store fails or is damaged.
pub(super) fn load(snapshot: &dyn Snapshot, key: &str) -> Result<Option<DeleteDuty>, StoreError> {
    read_json(snapshot.record(RecordKind::DeleteDuty, key)?, key)
}

/// Writes a duty.
pub(super) fn save(transaction: &mut dyn Transaction, key: &str, duty: &DeleteDuty) -> Result<(), Problem> {
    to_json(duty)
        .and_then(|bytes| transaction.record_put(RecordKind::DeleteDuty, key, &bytes))
        .map_err(|error| edge::store_problem(&error))
}
