//! What can be done with consents: ask, give, refuse, withdraw. Each move is one transaction: the new version, its audit
//! entry and, through the store's listeners, the ledger.
//!
//! Only the person decides. The owner of an umbrella storage may ask, and may read what they asked; nobody else learns
//! that a consent exists (CON-20).

use std::sync::Arc;

use policies::audit::AuditAction;
use policies::consent::{ConsentEvent, ConsentRecord, ConsentStatus, digest};
use policies::decision::ReasonCode;
use policies::request::WebId;
use server_kit::problem::Problem;
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

use super::courier::{self, Letter};
use super::decision::{Acting, Bounds, Decision, advance, already};
use super::duty;
use super::setting::presort;
use super::stored::{self, StoredConsent};
use super::terms::{ConsentTerms, Drafting, check};
use crate::audit::Event;
use crate::dataspace::config::DataspaceConfig;
use crate::dataspace::edge;
use crate::dataspace::exchange::storage_name;
use crate::dataspace::node::Node;
use crate::log::OwnLog;
use crate::store::{Snapshot, Storage, Transaction};

/// The consent side of a pod server.
#[derive(Clone)]
pub struct Consents {
    /// What it stands on.
    pub node: Node,
    /// Bounds and choices.
    pub config: Arc<DataspaceConfig>,
    /// The audit log, which proves what was decided.
    pub log: OwnLog,
    /// The page on which people change and withdraw their consents.
    pub control: String,
    /// Wakes whoever delivers letters.
    pub posted: Arc<Notify>,
}

impl Consents {
    /// Gives a consent that nobody asked for.
    ///
    /// # Errors
    /// 422 for terms that are no valid consent, 409 over the bound.
    pub async fn give(
        &self,
        storage: &Storage,
        terms: ConsentTerms,
        acting: &Acting,
    ) -> Result<(String, StoredConsent), Problem> {
        let special = terms
            .process
            .as_ref()
            .is_some_and(|process| process.special().next().is_some());
        let draft = self
            .drafting(storage)
            .draft(&terms, ConsentEvent::Give, acting.act(special))?;
        let mut consent = StoredConsent::new(draft, terms.notice.text, None);
        consent.translations = terms.notice.translations;
        acting.check_interest(&consent)?;
        self.add(storage, consent, acting.clone()).await
    }

    /// Stores a consent that arrived as a full record (Turtle, JSON-LD). Identity, versions, times and who acted are ours.
    ///
    /// # Errors
    /// As [`Self::give`].
    pub async fn give_record(
        &self,
        storage: &Storage,
        mut record: ConsentRecord,
        acting: &Acting,
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
        let special = record
            .process
            .as_ref()
            .is_some_and(|process| process.special().next().is_some());
        record.act = Some(Box::new(acting.act(special)));
        let consent = StoredConsent::new(record, String::new(), None);
        acting.check_interest(&consent)?;
        self.add(storage, consent, acting.clone()).await
    }

    /// Asks for a consent, on behalf of the owner of an umbrella storage.
    ///
    /// # Errors
    /// As [`Self::give`].
    pub async fn request(
        &self,
        storage: &Storage,
        terms: &ConsentTerms,
        asker: &WebId,
    ) -> Result<(String, StoredConsent), Problem> {
        let asking = Acting {
            by: asker.clone(),
            method: "api".to_owned(),
            mandate: None,
        };
        let draft = self
            .drafting(storage)
            .draft(terms, ConsentEvent::Request, asking.act(false))?;
        let mut consent = StoredConsent::new(draft, terms.notice.text.clone(), Some(asker.as_str().to_owned()));
        consent.translations.clone_from(&terms.notice.translations);
        self.add(storage, consent, asking).await
    }

    /// Makes the person's decision. The caller has checked that it is theirs, or that they have a mandate.
    ///
    /// # Errors
    /// 404 for an unknown consent, 409 when its state does not allow the decision, 422 for a choice that was not offered.
    pub async fn decide(
        &self,
        storage: &Storage,
        id: &str,
        decision: Decision,
        acting: Acting,
    ) -> Result<StoredConsent, Problem> {
        let name = storage_name(storage.root.as_str()).to_owned();
        let key = stored::key(&name, id);
        let (storage_id, id) = (storage.id, id.to_owned());
        let (days_max, config) = (self.config.consent_days_max, Arc::clone(&self.config));
        let decided = self
            .node
            .commit(move |node, transaction| {
                let now = node.clock.now();
                let mut consent = stored::load(&*transaction as &dyn Snapshot, &key)
                    .map_err(|error| edge::store_problem(&error))?
                    .ok_or_else(|| edge::not_found(&id))?;
                Self::check_standing(&acting, &*transaction as &dyn Snapshot, &name, &id, now)?;
                if already(&consent, &decision, now) {
                    return Ok(consent);
                }
                advance(&mut consent, &decision, &acting, Bounds { now, days_max })?;
                write(node, transaction, &key, &mut consent, acting.by.as_str(), storage_id)?;
                follow(node, transaction, &key, &consent, &config)?;
                Ok(consent)
            })
            .await?;
        self.posted.notify_one();
        Ok(decided)
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

    fn drafting<'a>(&'a self, storage: &'a Storage) -> Drafting<'a> {
        Drafting {
            root: storage.root.iri(&self.node.origins),
            owner: storage.owner.as_str(),
            now: self.node.clock.now(),
            control: self.control.clone(),
            config: &self.config,
        }
    }

    async fn add(
        &self,
        storage: &Storage,
        mut consent: StoredConsent,
        acting: Acting,
    ) -> Result<(String, StoredConsent), Problem> {
        let new_id = self.node.random.uuid();
        let root = storage.root.iri(&self.node.origins);
        for record in &mut consent.versions {
            record.id = format!("{root}.consent/{new_id}");
            check(record, &self.config)?;
        }
        consent.note_basis(acting.mandate.as_ref());
        let name = storage_name(storage.root.as_str()).to_owned();
        let (storage_id, consents_max) = (storage.id, self.config.consents_max);
        let config = Arc::clone(&self.config);
        let added = self
            .node
            .commit(move |node, transaction| {
                let known = stored::of_storage(&*transaction as &dyn Snapshot, &name, consents_max)
                    .map_err(|error| edge::store_problem(&error))?;
                let now = node.clock.now();
                Self::check_standing(&acting, &*transaction as &dyn Snapshot, &name, &new_id, now)?;
                // Saying the same again changes nothing: one decision, one record, one press to take it back.
                let same = known.iter().find(|(_, other)| says_the_same(other, &consent, now));
                if let Some((id, known)) = same {
                    return Ok((id.clone(), known.clone()));
                }
                if known.len() >= consents_max {
                    let detail = format!("a storage holds at most {consents_max} consents");
                    return Err(edge::conflict("too-many-consents", detail));
                }
                let key = stored::key(&name, &new_id);
                write(node, transaction, &key, &mut consent, acting.by.as_str(), storage_id)?;
                let bounds = Bounds {
                    now,
                    days_max: config.consent_days_max,
                };
                let asked = consent
                    .current()
                    .is_some_and(|record| record.status == ConsentStatus::Requested);
                if asked && presort(transaction, &name, &mut consent, bounds)? {
                    let person = consent.current().map(|record| record.data_subject.as_str().to_owned());
                    write(
                        node,
                        transaction,
                        &key,
                        &mut consent,
                        &person.unwrap_or_default(),
                        storage_id,
                    )?;
                }
                follow(node, transaction, &key, &consent, &config)?;
                Ok((new_id, consent))
            })
            .await?;
        self.posted.notify_one();
        Ok(added)
    }
}

/// Whether a consent that is open or given says what a new one would say, for as long at least.
fn says_the_same(known: &StoredConsent, new: &StoredConsent, now: OffsetDateTime) -> bool {
    let (Some(record), Some(wanted)) = (known.current(), new.current()) else {
        return false;
    };
    let asked = wanted.status == ConsentStatus::Requested;
    let stands = match known.status_at(now) {
        // Who has consented need not be asked; who was asked need not be asked again.
        // Another who asks learns nothing of it.
        status if status.permits() => !asked || known.requested_by == new.requested_by,
        status if status.waits() => asked && known.requested_by == new.requested_by,
        _ => false,
    };
    stands
        && record.recipients == wanted.recipients
        && record.purposes == wanted.purposes
        && record.data == wanted.data
        && record.notice == wanted.notice
        && record.process == wanted.process
        && (asked || record.expires_at >= wanted.expires_at)
}

/// What follows from the present version: a receipt to the person's inbox, a reminder before the end, and after a
/// withdrawal a duty to delete for everyone who was to receive data.
fn follow(
    node: &Node,
    transaction: &mut dyn Transaction,
    key: &str,
    consent: &StoredConsent,
    config: &DataspaceConfig,
) -> Result<(), Problem> {
    let Some(record) = consent.current() else {
        return Ok(());
    };
    let now = node.clock.now();
    if record.status.permits() {
        let reminder = record
            .expires_at
            .saturating_sub(Duration::days(config.consent_reminder_days.into()));
        // Who gives a short consent knows that it ends soon.
        if reminder > now {
            courier::post(node, transaction, reminder, &Letter::ends_soon(key))?;
        }
    }
    if record.status == ConsentStatus::Withdrawn {
        let storage = key.split('/').next().unwrap_or_default();
        duty::open(node, transaction, storage, consent, config.delete_days)?;
    }
    if record.status.permits() || record.status == ConsentStatus::Withdrawn {
        courier::post(node, transaction, now, &Letter::receipt(key, record.version))?;
    }
    Ok(())
}

fn write(
    node: &Node,
    transaction: &mut dyn Transaction,
    key: &str,
    consent: &mut StoredConsent,
    actor: &str,
    storage: crate::store::StorageId,
) -> Result<(), Problem> {
    let record = consent.current().ok_or_else(Problem::internal)?;
    let content = digest(record).map_err(|_| Problem::internal())?;
    let mut event = Event::done(AuditAction::Consent, actor, storage).on(&record.id);
    // Which step it was stands in the record as the state that it led to; the digest ties the entry to the very version.
    event.targets.extend([record.status.iri(), content.as_str()]);
    event.purpose = record.purposes.first().map(String::as_str);
    event.subjects = vec![storage];
    let version = record.version;
    let leaf = node.record_leaf(transaction, &event)?;
    consent.leaves.insert(version, leaf);
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
