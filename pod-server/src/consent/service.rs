//! What can be done with consents: ask, give, refuse, withdraw. Each move is one transaction: the new version, its audit
//! entry and, through the store's listeners, the ledger.
//!
//! Only the person decides. The owner of an umbrella storage may ask, and may read what they asked; nobody else learns
//! that a consent exists (CON-20).

use std::collections::BTreeSet;
use std::sync::Arc;

use policies::audit::AuditAction;
use policies::consent::{
    ConsentError, ConsentEvent, ConsentRecord, ConsentStatus, ConsentedData, Notice, Recipients, step,
};
use policies::decision::ReasonCode;
use policies::request::WebId;
use serde::Deserialize;
use server_kit::problem::Problem;
use time::{Duration, OffsetDateTime};

use super::stored::{self, StoredConsent};
use crate::audit::Event;
use crate::dataspace::config::DataspaceConfig;
use crate::dataspace::edge;
use crate::dataspace::exchange::storage_name;
use crate::dataspace::node::Node;
use crate::store::{Snapshot, Storage, Transaction};

/// What a consent is to say, as a person or an asking party writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentTerms {
    /// WebIDs of those who may receive the data, or `"any"`.
    pub recipients: RecipientTerms,
    /// IRIs of the purposes.
    pub purposes: BTreeSet<String>,
    /// Containers (`telraam/`, or full IRIs), datasets and predicates.
    #[serde(default)]
    pub data: ConsentedData,
    /// When it ends; the configured longest time from now unless given.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// What the person is shown.
    pub notice: NoticeTerms,
}

/// Who may receive the data.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RecipientTerms {
    /// One WebID, or the word `any`.
    One(String),
    /// Several WebIDs.
    Several(BTreeSet<String>),
}

/// What the person is shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeTerms {
    /// Language tag.
    pub language: String,
    /// The exact words.
    pub text: String,
}

/// The consent side of a pod server.
#[derive(Clone)]
pub struct Consents {
    /// What it stands on.
    pub node: Node,
    /// Bounds and choices.
    pub config: Arc<DataspaceConfig>,
}

/// A person's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, until this end if it is earlier than the one asked for.
    Give(Option<OffsetDateTime>),
    /// No.
    Refuse,
    /// No longer.
    Withdraw,
}

impl Consents {
    /// Gives a consent that nobody asked for.
    ///
    /// # Errors
    /// 422 for terms that are no valid consent, 409 over the bound.
    pub async fn give(&self, storage: &Storage, terms: ConsentTerms) -> Result<(String, StoredConsent), Problem> {
        let draft = self.draft(storage, &terms, ConsentEvent::Give)?;
        self.add(storage, draft, terms.notice.text, None, storage.owner.clone())
            .await
    }

    /// Stores a consent that arrived as a full record (JSON-LD). Identity, versions and times are ours.
    ///
    /// # Errors
    /// As [`Self::give`].
    pub async fn give_record(
        &self,
        storage: &Storage,
        mut record: ConsentRecord,
    ) -> Result<(String, StoredConsent), Problem> {
        if record.data_subject.as_str() != storage.owner {
            return Err(edge::unprocessable(
                "invalid-consent",
                "`dpv:hasDataSubject` must be the owner of the storage",
            ));
        }
        let now = self.node.clock.now();
        record.storage = storage.root.iri(&self.node.origins);
        record.status = ConsentStatus::Given;
        (record.given_at, record.changed_at) = (Some(now), now);
        (record.version, record.previous) = (1, None);
        self.add(storage, record, String::new(), None, storage.owner.clone())
            .await
    }

    /// Asks a person for a consent, on behalf of the owner of an umbrella storage.
    ///
    /// # Errors
    /// As [`Self::give`].
    pub async fn request(
        &self,
        storage: &Storage,
        terms: &ConsentTerms,
        asker: &str,
    ) -> Result<(String, StoredConsent), Problem> {
        let draft = self.draft(storage, terms, ConsentEvent::Request)?;
        let text = terms.notice.text.clone();
        self.add(storage, draft, text, Some(asker.to_owned()), asker.to_owned())
            .await
    }

    /// Makes the person's decision. The caller has checked that it is theirs.
    ///
    /// # Errors
    /// 404 for an unknown consent, 409 when its state does not allow the decision.
    pub async fn decide(&self, storage: &Storage, id: &str, decision: Decision) -> Result<StoredConsent, Problem> {
        let key = stored::key(storage_name(storage.root.as_str()), id);
        let (owner, storage_id, id) = (storage.owner.clone(), storage.id, id.to_owned());
        let days_max = self.config.consent_days_max;
        self.node
            .commit(move |node, transaction| {
                let now = node.clock.now();
                let mut consent = stored::load(&*transaction as &dyn Snapshot, &key)
                    .map_err(|error| edge::store_problem(&error))?
                    .ok_or_else(|| edge::not_found(&id))?;
                if already(&consent, decision, now) {
                    return Ok(consent);
                }
                advance(&mut consent, decision, now, days_max).map_err(|error| step_problem(&error))?;
                write(node, transaction, &key, &consent, &owner, storage_id)?;
                Ok(consent)
            })
            .await
    }

    /// Reads one consent of a storage.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn read(&self, storage: &Storage, id: &str) -> Result<StoredConsent, Problem> {
        let key = stored::key(storage_name(storage.root.as_str()), id);
        let snapshot = self.node.snapshot()?;
        stored::load(&*snapshot, &key)
            .map_err(|error| edge::store_problem(&error))?
            .ok_or_else(|| edge::not_found(id))
    }

    /// All consents of a storage, as identifier and record.
    ///
    /// # Errors
    /// If the store fails.
    pub fn list(&self, storage: &Storage) -> Result<Vec<(String, StoredConsent)>, Problem> {
        let snapshot = self.node.snapshot()?;
        stored::of_storage(
            &*snapshot,
            storage_name(storage.root.as_str()),
            self.config.consents_max,
        )
        .map_err(|error| edge::store_problem(&error))
    }

    /// Whether a WebID may ask the people of this server: it owns an umbrella storage.
    ///
    /// # Errors
    /// If the store fails.
    pub fn may_ask(&self, web_id: &str) -> Result<bool, Problem> {
        let snapshot = self.node.snapshot()?;
        for name in &self.config.umbrella_storages {
            if let Ok(umbrella) = self.node.storage(&*snapshot, name)
                && umbrella.owner == web_id
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first version of a consent.
    fn draft(&self, storage: &Storage, terms: &ConsentTerms, event: ConsentEvent) -> Result<ConsentRecord, Problem> {
        let invalid = |detail: String| edge::unprocessable("invalid-consent", detail);
        if terms.notice.text.trim().is_empty() || terms.notice.text.chars().count() > self.config.notice_chars_max {
            let detail = format!(
                "`notice.text` must have between 1 and {} characters",
                self.config.notice_chars_max
            );
            return Err(invalid(detail));
        }
        let now = self.node.clock.now();
        let root = storage.root.iri(&self.node.origins);
        let longest = now.saturating_add(Duration::days(i64::from(self.config.consent_days_max)));
        let status = step(None, event).map_err(|error| invalid(error.to_string()))?;
        let data_subject = WebId::parse(storage.owner.as_str()).map_err(|error| invalid(error.to_string()))?;
        Ok(ConsentRecord {
            id: root.clone(),
            data_subject,
            recipients: recipients(&terms.recipients).map_err(invalid)?,
            purposes: terms.purposes.clone(),
            data: ConsentedData {
                containers: terms
                    .data
                    .containers
                    .iter()
                    .map(|container| absolute(&root, container))
                    .collect(),
                ..terms.data.clone()
            },
            storage: root,
            given_at: (event == ConsentEvent::Give).then_some(now),
            expires_at: terms.expires_at.unwrap_or(longest),
            changed_at: now,
            status,
            notice: Notice {
                language: terms.notice.language.clone(),
                hash: stored::notice_hash(&terms.notice.text),
            },
            version: 1,
            previous: None,
        })
    }

    async fn add(
        &self,
        storage: &Storage,
        mut record: ConsentRecord,
        notice_text: String,
        requested_by: Option<String>,
        actor: String,
    ) -> Result<(String, StoredConsent), Problem> {
        let new_id = self.node.random.uuid();
        record.id = format!("{}.consent/{new_id}", storage.root.iri(&self.node.origins));
        record
            .validate(self.config.consent_days_max)
            .map_err(|error| edge::unprocessable("invalid-consent", error.to_string()))?;
        let name = storage_name(storage.root.as_str()).to_owned();
        let (storage_id, consents_max) = (storage.id, self.config.consents_max);
        self.node
            .commit(move |node, transaction| {
                let known = stored::of_storage(&*transaction as &dyn Snapshot, &name, consents_max)
                    .map_err(|error| edge::store_problem(&error))?;
                let now = node.clock.now();
                // Saying the same again changes nothing: one decision, one record, one press to take it back.
                let same = known
                    .iter()
                    .find(|(_, other)| says_the_same(other, &record, requested_by.as_deref(), now));
                if let Some((id, consent)) = same {
                    return Ok((id.clone(), consent.clone()));
                }
                if known.len() >= consents_max {
                    let detail = format!("a storage holds at most {consents_max} consents");
                    return Err(edge::conflict("too-many-consents", detail));
                }
                let consent = StoredConsent::new(record, notice_text, requested_by);
                let key = stored::key(&name, &new_id);
                write(node, transaction, &key, &consent, &actor, storage_id)?;
                Ok((new_id, consent))
            })
            .await
    }
}

/// Whether a consent that is open or given says what a new one would say, for as long at least.
fn says_the_same(known: &StoredConsent, new: &ConsentRecord, requested_by: Option<&str>, now: OffsetDateTime) -> bool {
    let asked = new.status == ConsentStatus::Requested;
    let wanted = match known.status_at(now) {
        // Who has consented need not be asked; who was asked need not be asked again.
        ConsentStatus::Given => true,
        ConsentStatus::Requested => asked && known.requested_by.as_deref() == requested_by,
        _ => false,
    };
    wanted
        && known.current().is_some_and(|record| {
            record.recipients == new.recipients
                && record.purposes == new.purposes
                && record.data == new.data
                && record.notice == new.notice
                && (asked || record.expires_at >= new.expires_at)
        })
}

/// Whether a decision was made before, so that it can be repeated without harm.
fn already(consent: &StoredConsent, decision: Decision, now: OffsetDateTime) -> bool {
    matches!(
        (consent.status_at(now), decision),
        (ConsentStatus::Given, Decision::Give(None))
            | (ConsentStatus::Refused, Decision::Refuse)
            | (ConsentStatus::Withdrawn, Decision::Withdraw)
    )
}

fn advance(
    consent: &mut StoredConsent,
    decision: Decision,
    now: OffsetDateTime,
    days_max: u32,
) -> Result<(), ConsentError> {
    if consent.current().is_some_and(|record| now >= record.expires_at) {
        return Err(ConsentError::Ended);
    }
    match decision {
        Decision::Give(until) => {
            consent.step(ConsentEvent::Give, now)?;
            if let Some(given) = consent.versions.last_mut() {
                // A person can choose less than was asked for, never more.
                given.expires_at = until.map_or(given.expires_at, |until| until.min(given.expires_at));
                given.validate(days_max)?;
            }
            Ok(())
        }
        Decision::Refuse => consent.step(ConsentEvent::Refuse, now),
        Decision::Withdraw => consent.step(ConsentEvent::Withdraw, now),
    }
}

fn write(
    node: &Node,
    transaction: &mut dyn Transaction,
    key: &str,
    consent: &StoredConsent,
    actor: &str,
    storage: crate::store::StorageId,
) -> Result<(), Problem> {
    let id = consent.current().map_or("", |record| record.id.as_str());
    let purpose = consent
        .current()
        .and_then(|record| record.purposes.iter().next())
        .map(String::as_str);
    let mut event = Event::done(AuditAction::Consent, actor, storage).on(id);
    // Which step it was stands in the record as the state that it led to.
    event
        .targets
        .extend(consent.current().map(|record| record.status.iri()));
    event.purpose = purpose;
    event.subjects = vec![storage];
    node.record(transaction, &event)?;
    stored::save(transaction, key, consent).map_err(|error| edge::store_problem(&error))
}

/// A refused attempt on someone's consents, for their log.
#[must_use]
pub fn refused<'a>(actor: Option<&'a str>, storage: &Storage, path: &'a str) -> Event<'a> {
    let mut event = Event::refused(
        AuditAction::Consent,
        actor,
        storage.id,
        vec![ReasonCode::AclDoesNotGrant],
    )
    .on(path);
    event.subjects = vec![storage.id];
    event
}

fn recipients(terms: &RecipientTerms) -> Result<Recipients, String> {
    let web_ids = match terms {
        RecipientTerms::One(word) if word == "any" => return Ok(Recipients::Any),
        RecipientTerms::One(one) => BTreeSet::from([one.clone()]),
        RecipientTerms::Several(several) => several.clone(),
    };
    web_ids
        .into_iter()
        .map(|web_id| WebId::parse(web_id).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()
        .map(Recipients::These)
}

/// A container of a storage from its relative path; a full IRI stays as it is.
fn absolute(root: &str, container: &str) -> String {
    if container.contains("://") {
        container.to_owned()
    } else {
        format!("{root}{}", container.trim_start_matches('/'))
    }
}

fn step_problem(error: &ConsentError) -> Problem {
    match error {
        ConsentError::Step(_) | ConsentError::Ended => edge::conflict("step-not-allowed", error.to_string()),
        other => edge::unprocessable("invalid-consent", other.to_string()),
    }
}
