//! Letters about consents: a recipient learns that a consent has ended, a person gets a receipt or is reminded that a
//! consent ends soon. They go to the inbox that a WebID names (`ldp:inbox`), through the egress guard.
//!
//! A letter is written in the same transaction as what it tells of, so none is lost; it is repeated until it is taken or
//! given up, which the duty then shows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration as Wait;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use oxrdf::Term;
use parking_lot::Mutex;
use policies::consent::ConsentRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use server_kit::authn::{LocalProfile, LocalProfiles};
use server_kit::egress::{Egress, EgressRequest};
use server_kit::problem::Problem;
use server_kit::shutdown::Shutdown;
use time::OffsetDateTime;
use tokio::sync::Notify;

use super::duty::{self, DeleteDuty};
use super::service::Consents;
use super::stored::{self, StoredConsent};
use crate::dataspace::agreement::{read_json, to_json};
use crate::dataspace::edge;
use crate::dataspace::graph::{self, Syntax};
use crate::dataspace::node::Node;
use crate::identity::profiles::StoredProfiles;
use crate::store::{RecordKind, Snapshot, Transaction};

/// Where letters wait, by the moment at which they are due.
const DUE: &str = "~due/";

/// Triples of a profile in which an inbox is looked for.
const PROFILE_TRIPLES_MAX: usize = 10_000;

/// The context of letters.
const ACTIVITY_STREAMS: &str = "https://www.w3.org/ns/activitystreams";

/// Letters read from the store at a time.
const LETTERS_READ: usize = 200;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Bounds of letters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LetterConfig {
    /// Letters delivered at one time.
    pub deliveries_max: usize,
    /// Letters of one storage among them: whoever makes many, or has them go to slow inboxes, keeps nobody else waiting.
    pub deliveries_per_storage_max: usize,
    /// Letters that are looked at each time to find those that are delivered next.
    pub looked_at_max: usize,
    /// Time for one request, in seconds.
    pub delivery_seconds_max: u64,
    /// Attempts before a letter is given up.
    pub attempts_max: u32,
    /// Wait after the first failure, in seconds; it doubles with each further one.
    pub retry_seconds_min: u32,
    /// Longest wait between two attempts, in seconds.
    pub retry_seconds_max: u32,
    /// How often letters that have become due are looked for, in seconds.
    pub look_seconds: u64,
}

impl Default for LetterConfig {
    fn default() -> Self {
        Self {
            deliveries_max: 8,
            deliveries_per_storage_max: 2,
            looked_at_max: 5_000,
            delivery_seconds_max: 10,
            attempts_max: 14,
            retry_seconds_min: 30,
            retry_seconds_max: 86_400,
            look_seconds: 30,
        }
    }
}

/// A letter on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// WebID of the addressee; none for the person, who stands in the consent. So nothing about a person who has left waits
    /// here.
    to: Option<String>,
    /// What it says.
    says: Says,
    /// Attempts that failed.
    #[serde(default)]
    attempts: u32,
}

/// What a letter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Says {
    /// The consent has ended, and a duty to delete is open; its record key.
    Ended(String),
    /// A receipt of a version of the consent with this record key.
    Receipt(String, u32),
    /// The consent with this record key ends soon.
    EndsSoon(String),
    /// Something unusual was noticed: where the log is, and the IRI of what it was.
    Signal(String, String),
}

impl Letter {
    /// To a recipient: the consent has ended.
    pub(super) fn ended(to: &str, duty: &str) -> Self {
        Self::new(Some(to.to_owned()), Says::Ended(duty.to_owned()))
    }

    /// To the person: the receipt of a version.
    pub(super) fn receipt(key: &str, version: u32) -> Self {
        Self::new(None, Says::Receipt(key.to_owned(), version))
    }

    /// To the person: the consent ends soon.
    pub(super) fn ends_soon(key: &str) -> Self {
        Self::new(None, Says::EndsSoon(key.to_owned()))
    }

    /// To an owner: something unusual was noticed in who uses their data. It names nobody; `log` is where they read more.
    #[must_use]
    pub fn signal(to: &str, log: &str, signal: &str) -> Self {
        Self::new(Some(to.to_owned()), Says::Signal(log.to_owned(), signal.to_owned()))
    }

    fn new(to: Option<String>, says: Says) -> Self {
        Self { to, says, attempts: 0 }
    }

    /// Name of the storage that it is about.
    fn storage(&self) -> &str {
        match &self.says {
            Says::Ended(key) | Says::Receipt(key, _) | Says::EndsSoon(key) => key.split('/').next().unwrap_or_default(),
            // The log of a storage names it as well as anything.
            Says::Signal(log, _) => log,
        }
    }
}

/// Puts a letter on its way, to be delivered at a moment.
///
/// # Errors
/// When the store fails.
pub fn post(
    node: &Node,
    transaction: &mut dyn Transaction,
    at: OffsetDateTime,
    letter: &Letter,
) -> Result<(), Problem> {
    let key = format!("{DUE}{:020}/{}", at.unix_timestamp().max(0), node.random.uuid());
    to_json(letter)
        .and_then(|bytes| transaction.record_put(RecordKind::DeleteDuty, &key, &bytes))
        .map_err(|error| edge::store_problem(&error))
}

/// The letters that are delivered at one time: few of each storage.
#[derive(Debug, Default)]
struct Turn {
    letters: Vec<(String, Letter)>,
    of_storage: BTreeMap<String, usize>,
    looked_at: usize,
    /// Whether one was passed over that is due.
    passed: bool,
}

impl Turn {
    fn is_full(&self, bounds: LetterConfig) -> bool {
        self.letters.len() >= bounds.deliveries_max || self.looked_at >= bounds.looked_at_max
    }

    /// Takes a letter that is due, or passes it over for now.
    fn offer(&mut self, key: String, letter: Letter, bounds: LetterConfig) {
        self.looked_at += 1;
        let taken = self.of_storage.entry(letter.storage().to_owned()).or_default();
        if *taken >= bounds.deliveries_per_storage_max {
            self.passed = true;
            return;
        }
        *taken += 1;
        self.letters.push((key, letter));
    }
}

/// How a delivery ended.
enum Delivery {
    /// The inbox took it.
    Taken,
    /// There is nothing to say any more, or nobody to say it to.
    Needless,
    /// It failed, and why.
    Failed(String),
}

/// Delivers letters.
pub struct Courier {
    consents: Consents,
    egress: Arc<Egress>,
    profiles: StoredProfiles,
    /// The letter after which the next look begins, when the last one did not reach the end of what is due.
    after: Mutex<Option<String>>,
}

impl Courier {
    /// A courier for the letters of a server.
    #[must_use]
    pub fn new(consents: Consents, egress: Arc<Egress>) -> Self {
        let profiles = StoredProfiles::new(Arc::clone(&consents.node.store), &consents.node.origins);
        Self {
            consents,
            egress,
            profiles,
            after: Mutex::new(None),
        }
    }

    /// Delivers what is due, again and again, until the shutdown.
    pub async fn keep_up(self, posted: Arc<Notify>, shutdown: Shutdown) {
        let every = Wait::from_secs(self.consents.config.letters.look_seconds);
        loop {
            let more = tokio::select! {
                more = self.round() => more,
                () = shutdown.wait() => return,
            };
            if more {
                continue;
            }
            tokio::select! {
                () = posted.notified() => {}
                () = tokio::time::sleep(every) => {}
                () = shutdown.wait() => return,
            }
        }
    }

    /// Delivers some of what is due; true when there may be more.
    async fn round(&self) -> bool {
        let (due, more) = match self.due() {
            Ok(due) => due,
            Err(problem) => {
                tracing::error!(detail = problem.detail, "letters about consents cannot be read");
                return false;
            }
        };
        let deliveries = due.iter().map(|(key, letter)| self.handle(key, letter));
        let done = futures_util::future::join_all(deliveries).await;
        more && done.into_iter().all(|done| done)
    }

    /// The letters whose turn it is, and whether others are due too.
    fn due(&self) -> Result<(Vec<(String, Letter)>, bool), Problem> {
        let (now, bounds) = (self.consents.node.clock.unix(), self.consents.config.letters);
        let snapshot = self.consents.node.snapshot()?;
        let mut after = self.after.lock();
        let began_later = after.is_some();
        let mut turn = Turn::default();
        let mut over = false;
        while !over && !turn.is_full(bounds) {
            let records = snapshot
                .records(RecordKind::DeleteDuty, DUE, after.as_deref(), LETTERS_READ)
                .map_err(|error| edge::store_problem(&error))?;
            over = records.len() < LETTERS_READ;
            for (key, bytes) in records {
                let at = key
                    .strip_prefix(DUE)
                    .and_then(|rest| rest.split('/').next())
                    .and_then(|at| at.parse::<i64>().ok());
                if at.is_some_and(|at| at > now) {
                    over = true;
                    break;
                }
                if turn.is_full(bounds) {
                    over = false;
                    break;
                }
                *after = Some(key.clone());
                let letter = read_json(Some(bytes), &key).map_err(|error| edge::store_problem(&error))?;
                if let Some(letter) = letter {
                    turn.offer(key, letter, bounds);
                }
            }
        }
        if over {
            *after = None;
        }
        Ok((turn.letters, !over || turn.passed || began_later))
    }

    /// Delivers a letter and keeps what came of it; false when that could not be kept.
    async fn handle(&self, key: &str, letter: &Letter) -> bool {
        let delivery = match self.deliver(letter).await {
            Ok(delivery) => delivery,
            Err(problem) => Delivery::Failed(problem.detail),
        };
        let (key, letter, bounds) = (key.to_owned(), letter.clone(), self.consents.config.letters);
        let kept = self.consents.node.commit(move |node, transaction| {
            transaction
                .record_delete(RecordKind::DeleteDuty, &key)
                .map_err(|error| edge::store_problem(&error))?;
            keep(node, transaction, letter, delivery, bounds)
        });
        match kept.await {
            Ok(()) => true,
            Err(problem) => {
                tracing::error!(
                    detail = problem.detail,
                    "what came of a letter about a consent cannot be kept"
                );
                false
            }
        }
    }

    async fn deliver(&self, letter: &Letter) -> Result<Delivery, Problem> {
        let Some((to, content)) = self.content(letter)? else {
            return Ok(Delivery::Needless);
        };
        let inbox = match self.inbox(&to).await {
            Ok(Some(inbox)) => inbox,
            // A person without an inbox reads on the page; a recipient is to be reached, so it is tried again.
            Ok(None) if !matches!(letter.says, Says::Ended(_)) => return Ok(Delivery::Needless),
            Ok(None) => return Ok(Delivery::Failed("the WebID names no inbox (`ldp:inbox`)".to_owned())),
            Err(reason) => return Ok(Delivery::Failed(reason)),
        };
        let media_type = HeaderValue::from_static("application/ld+json");
        let request = EgressRequest::post(inbox, media_type, content.to_string())
            .for_stranger()
            .bytes_max(ANSWER_BYTES_MAX)
            .time_max(self.time_max());
        Ok(match self.egress.fetch(request).await {
            Ok(answer) if answer.status.is_success() => Delivery::Taken,
            // Whose address it is must not learn what answers there (T36).
            Ok(_) => Delivery::Failed("the inbox did not take it".to_owned()),
            Err(error) => Delivery::Failed(error.to_string()),
        })
    }

    fn time_max(&self) -> Wait {
        Wait::from_secs(self.consents.config.letters.delivery_seconds_max)
    }

    /// To whom a letter goes and what it says now; none when it is out of date.
    fn content(&self, letter: &Letter) -> Result<Option<(String, Value)>, Problem> {
        let snapshot = self.consents.node.snapshot()?;
        let said = match (&letter.says, &letter.to) {
            (Says::Ended(key), Some(to)) => {
                let duty = duty::load(&*snapshot, key).map_err(|error| edge::store_problem(&error))?;
                let open = duty.filter(|duty| duty.acknowledged.is_none());
                return Ok(open.map(|duty| (to.clone(), ended(&duty))));
            }
            (Says::Signal(log, signal), Some(to)) => {
                let letter = json!({
                    "@context": ACTIVITY_STREAMS, "type": "Announce", "to": to, "object": log, "context": signal,
                    "summary": "Something unusual was noticed in how your data is used. Your log shows what happened.",
                });
                return Ok(Some((to.clone(), letter)));
            }
            (Says::Ended(_) | Says::Signal(..), None) => None,
            (Says::Receipt(key, version), _) => match self.consent(&*snapshot, key)? {
                Some((consent, record)) => {
                    let receipt = self.consents.receipt(&consent, Some(*version))?;
                    let attachment = json!({ "type": "Document", "mediaType": "application/jose", "content": receipt });
                    Some((record, "Receipt of a decision about your data.", attachment))
                }
                None => None,
            },
            (Says::EndsSoon(key), _) => {
                let now = self.consents.node.clock.now();
                let found = self.consent(&*snapshot, key)?;
                let soon = found.filter(|(consent, _)| self.consents.ends_soon(consent, now));
                let page = json!({ "type": "Link", "href": self.consents.control });
                let summary = "A consent that you gave ends soon. If you do nothing, it stops by itself.";
                soon.map(|(_, record)| (record, summary, page))
            }
        };
        Ok(said.map(|(record, summary, attachment)| {
            let to = record.data_subject.as_str().to_owned();
            let letter = json!({
                "@context": ACTIVITY_STREAMS, "type": "Announce", "to": to, "object": record.id,
                "summary": summary, "attachment": attachment,
            });
            (to, letter)
        }))
    }

    fn consent(&self, snapshot: &dyn Snapshot, key: &str) -> Result<Option<(StoredConsent, ConsentRecord)>, Problem> {
        let found = stored::load(snapshot, key).map_err(|error| edge::store_problem(&error))?;
        Ok(found.and_then(|consent| {
            let record = consent.current()?.clone();
            Some((consent, record))
        }))
    }

    /// The inbox that a WebID names, read from the store or fetched.
    async fn inbox(&self, web_id: &str) -> Result<Option<String>, String> {
        let document = web_id.split('#').next().unwrap_or(web_id);
        let (bytes, syntax) = match self.profiles.profile(document).await {
            LocalProfile::Document { bytes, media_type } => (bytes, syntax(&media_type)),
            LocalProfile::Absent => return Err("there is no such WebID on this server".to_owned()),
            LocalProfile::Elsewhere => self.fetch(document).await?,
        };
        let read = graph::read(&bytes, syntax, document, PROFILE_TRIPLES_MAX).map_err(|error| error.to_string())?;
        let subject = oxrdf::NamedNodeRef::new(web_id).map_err(|error| error.to_string())?;
        let inbox = vocab::node(vocab::ldp::INBOX);
        let inbox = read
            .object_for_subject_predicate(subject, inbox)
            .map(|term| term.into_owned());
        Ok(match inbox {
            Some(Term::NamedNode(inbox)) => Some(inbox.into_string()),
            _ => None,
        })
    }

    async fn fetch(&self, document: &str) -> Result<(Bytes, Syntax), String> {
        let accept = HeaderValue::from_static("text/turtle, application/ld+json;q=0.9");
        let request = EgressRequest::get(document)
            .for_stranger()
            .header(header::ACCEPT, accept)
            .bytes_max(ANSWER_BYTES_MAX)
            .time_max(self.time_max());
        let answer = self.egress.fetch(request).await.map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err("the WebID cannot be read".to_owned());
        }
        let syntax = syntax(&answer.media_type());
        Ok((answer.body, syntax))
    }
}

/// The notice of a consent that has ended.
fn ended(duty: &DeleteDuty) -> Value {
    let deadline = duty.deadline.format(&time::format_description::well_known::Rfc3339);
    json!({
        "@context": ACTIVITY_STREAMS, "type": "Undo",
        "actor": duty.data_subject, "object": duty.consent, "to": duty.recipient,
        "summary": "A consent has ended. Stop using the data, delete what you hold by the end time, and acknowledge that at the \
                    instrument.",
        "endTime": deadline.unwrap_or_default(),
        "instrument": format!("{}/acknowledge", duty.id), "context": duty.id,
        vocab::dpv::CONSENT_STATUS: { "id": vocab::dpv::CONSENT_WITHDRAWN },
    })
}

fn syntax(media_type: &str) -> Syntax {
    if media_type.contains("json") {
        Syntax::JsonLd
    } else {
        Syntax::Turtle
    }
}

/// Keeps what came of a letter: the duty says that its notice arrived or was given up; what failed is due again later.
fn keep(
    node: &Node,
    transaction: &mut dyn Transaction,
    mut letter: Letter,
    delivery: Delivery,
    bounds: LetterConfig,
) -> Result<(), Problem> {
    let now = node.clock.now();
    let reason = match delivery {
        Delivery::Needless => return Ok(()),
        Delivery::Taken => None,
        Delivery::Failed(reason) => {
            letter.attempts = letter.attempts.saturating_add(1);
            if letter.attempts < bounds.attempts_max {
                let doubled = bounds
                    .retry_seconds_min
                    .saturating_mul(1 << (letter.attempts - 1).min(30));
                let wait = time::Duration::seconds(doubled.min(bounds.retry_seconds_max).into());
                return post(node, transaction, now.saturating_add(wait), &letter);
            }
            tracing::warn!(reason, "a letter about a consent is given up");
            Some(reason)
        }
    };
    let Says::Ended(key) = &letter.says else {
        return Ok(());
    };
    let found = duty::load(&*transaction as &dyn Snapshot, key).map_err(|error| edge::store_problem(&error))?;
    let Some(mut duty) = found else {
        return Ok(());
    };
    match reason {
        None => duty.notified = Some(now),
        Some(reason) => duty.undelivered = Some(reason),
    }
    duty::save(transaction, key, &duty)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// One storage with thousands of letters does not keep the others waiting.
    ///
    /// Requirement CON-10.
    #[test]
    fn letters_take_turns_by_storage() {
        let bounds = LetterConfig::default();
        let mut turn = Turn::default();
        let many = (0..1_000).map(|number| ("many", number));
        let few = [("one", 0), ("two", 0), ("two", 1), ("two", 2)];
        for (storage, number) in many.chain(few) {
            let letter = Letter::receipt(&format!("{storage}/consent-{number}"), 1);
            turn.offer(format!("{storage}-{number}"), letter, bounds);
        }
        let taken: Vec<&str> = turn.letters.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(taken, ["many-0", "many-1", "one-0", "two-0", "two-1"]);
        assert!(turn.passed && !turn.is_full(bounds));
        for number in 0..3 {
            turn.offer(
                format!("{number}"),
                Letter::ends_soon(&format!("storage-{number}/x")),
                bounds,
            );
        }
        assert!(turn.is_full(bounds), "no more than are delivered at one time");
        let looked = Turn {
            looked_at: bounds.looked_at_max,
            ..Turn::default()
        };
        assert!(looked.is_full(bounds), "no more than are looked at");
    }
}
