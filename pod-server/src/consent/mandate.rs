//! Mandates: who may answer for a person, on what ground, and until when (CON-15). Only the person gives one; whoever
//! holds it can give it up.

use policies::audit::AuditAction;
use policies::consent::{Mandate, MandateKind};
use policies::request::WebId;
use serde::Deserialize;
use server_kit::problem::Problem;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::decision::Acting;
use super::service::{Consents, refused};
use crate::audit::Event;
use crate::dataspace::agreement::{read_json, to_json};
use crate::dataspace::edge;
use crate::dataspace::exchange::storage_name;
use crate::store::{RecordKind, Snapshot, Storage, StoreError};

/// Longest ground of a mandate, in characters.
const BASIS_CHARS_MAX: usize = 1_000;

/// Storages that a person can act for, as far as they are shown.
const HELD_MAX: usize = 200;

/// A mandate as a person writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MandateTerms {
    /// WebID of the one who may act.
    pub holder: WebId,
    /// In what capacity.
    pub kind: MandateKind,
    /// What it rests on.
    pub basis: String,
    /// From when; from now unless given.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

impl Consents {
    /// Gives a mandate. The caller has checked that the person does it.
    ///
    /// # Errors
    /// 422 for one that makes no sense, 409 over the bound.
    pub async fn mandate(&self, storage: &Storage, terms: MandateTerms) -> Result<(String, Mandate), Problem> {
        let id = self.node.random.uuid();
        let mandate = self.mandate_of(storage, &id, terms)?;
        let name = storage_name(storage.root.as_str()).to_owned();
        let (owner, storage_id, mandates_max) = (storage.owner.clone(), storage.id, self.config.mandates_max);
        let made = mandate.clone();
        let new_id = id.clone();
        self.node
            .commit(move |node, transaction| {
                let known = of_storage(&*transaction as &dyn Snapshot, &name, mandates_max.saturating_add(1));
                if known.map_err(|error| edge::store_problem(&error))?.len() >= mandates_max {
                    let detail = format!("a person gives at most {mandates_max} mandates; end one first");
                    return Err(edge::conflict("too-many-mandates", detail));
                }
                node.record(transaction, &event(&owner, storage_id, &mandate))?;
                let bytes = to_json(&mandate).map_err(|error| edge::store_problem(&error))?;
                let put = transaction
                    .record_put(RecordKind::Mandate, &format!("{name}/{new_id}"), &bytes)
                    .and_then(|()| {
                        transaction.record_put(RecordKind::Mandate, &held(mandate.holder.as_str(), &name, &new_id), b"")
                    });
                put.map_err(|error| edge::store_problem(&error))
            })
            .await?;
        Ok((id, made))
    }

    fn mandate_of(&self, storage: &Storage, id: &str, terms: MandateTerms) -> Result<Mandate, Problem> {
        let invalid = |detail: String| Err(edge::unprocessable("invalid-mandate", detail));
        let from = terms.from.unwrap_or_else(|| self.node.clock.now());
        let length = terms.basis.chars().count();
        if terms.basis.trim().is_empty() || length > BASIS_CHARS_MAX {
            return invalid(format!(
                "`basis` has between 1 and {BASIS_CHARS_MAX} characters, not {length}"
            ));
        }
        if terms.holder.as_str() == storage.owner {
            return invalid("`holder` is the person: nobody needs a mandate for their own".to_owned());
        }
        let days_max = self.config.mandate_days_max;
        if terms.until <= from || terms.until - from > Duration::days(days_max.into()) {
            return invalid(format!(
                "`until` lies after `from`, at most {days_max} days (`mandate_days_max`)"
            ));
        }
        Ok(Mandate {
            id: format!("{}.consent/mandates/{id}", storage.root.iri(&self.node.origins)),
            holder: terms.holder,
            kind: terms.kind,
            basis: terms.basis,
            from,
            until: terms.until,
        })
    }

    /// Ends a mandate, for the person or for its holder. What was decided under it stands.
    ///
    /// # Errors
    /// 404 if there is none, or it is none of the caller's.
    pub async fn end_mandate(&self, storage: &Storage, id: &str, caller: &str) -> Result<(), Problem> {
        let name = storage_name(storage.root.as_str()).to_owned();
        let (id, caller, own) = (id.to_owned(), caller.to_owned(), caller == storage.owner);
        let storage_id = storage.id;
        self.node
            .commit(move |node, transaction| {
                let key = format!("{name}/{id}");
                let found = load(&*transaction as &dyn Snapshot, &key).map_err(|error| edge::store_problem(&error))?;
                let mandate = found
                    .filter(|mandate| own || mandate.holder.as_str() == caller)
                    .ok_or_else(|| edge::not_found(&id))?;
                node.record(transaction, &event(&caller, storage_id, &mandate))?;
                let ended = transaction.record_delete(RecordKind::Mandate, &key).and_then(|_| {
                    transaction.record_delete(RecordKind::Mandate, &held(mandate.holder.as_str(), &name, &id))
                });
                ended.map(drop).map_err(|error| edge::store_problem(&error))
            })
            .await
    }

    /// All mandates of a storage, by identifier.
    ///
    /// # Errors
    /// If the store fails.
    pub fn mandates(&self, storage: &Storage) -> Result<Vec<(String, Mandate)>, Problem> {
        let snapshot = self.node.snapshot()?;
        of_storage(
            &*snapshot,
            storage_name(storage.root.as_str()),
            self.config.mandates_max,
        )
        .map_err(|error| edge::store_problem(&error))
    }

    /// Names of the storages for which a WebID holds a mandate that counts now.
    ///
    /// # Errors
    /// If the store fails.
    pub fn held_by(&self, web_id: &str) -> Result<Vec<String>, Problem> {
        let snapshot = self.node.snapshot()?;
        let prefix = held(web_id, "", "");
        let prefix = prefix.trim_end_matches('/');
        let keys = snapshot
            .records(RecordKind::Mandate, &format!("{prefix}/"), None, HELD_MAX)
            .map_err(|error| edge::store_problem(&error))?;
        let now = self.node.clock.now();
        let mut names = Vec::new();
        for (key, _) in keys {
            let Some(own) = key.strip_prefix(prefix).map(|rest| rest.trim_start_matches('/')) else {
                continue;
            };
            let counts = load(&*snapshot, own)
                .map_err(|error| edge::store_problem(&error))?
                .is_some_and(|mandate| mandate.holder.as_str() == web_id && mandate.counts(now));
            let name = own.split('/').next().unwrap_or_default();
            if counts && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Who acts when a WebID decides about the consents of a storage: the person, or somebody with a mandate that counts
    /// now. For everyone else there is nothing here, and the attempt is recorded.
    ///
    /// # Errors
    /// 404 for everyone else.
    pub async fn acting(&self, storage: &Storage, caller: &WebId, method: &str, path: &str) -> Result<Acting, Problem> {
        match self.mandated(storage, caller, method)? {
            Some(acting) => Ok(acting),
            None => {
                self.node.note(refused(Some(caller.as_str()), storage, path)).await?;
                Err(edge::not_found(path))
            }
        }
    }

    /// The same without a record of the attempt.
    ///
    /// # Errors
    /// If the store fails.
    pub fn mandated(&self, storage: &Storage, caller: &WebId, method: &str) -> Result<Option<Acting>, Problem> {
        let acting = |mandate| Acting {
            by: caller.clone(),
            method: method.to_owned(),
            mandate,
        };
        if caller.as_str() == storage.owner {
            return Ok(Some(acting(None)));
        }
        let now = self.node.clock.now();
        let mut mandates = self.mandates(storage)?.into_iter().map(|(_, mandate)| mandate);
        let mandate = mandates.find(|mandate| mandate.holder == *caller && mandate.counts(now));
        Ok(mandate.map(|mandate| acting(Some(mandate))))
    }

    /// Whether what somebody acts on still counts: a mandate can end between a call's arrival and its commit.
    ///
    /// # Errors
    /// 404 when it has ended, as for whoever never had one.
    pub(super) fn check_standing(
        acting: &Acting,
        snapshot: &dyn Snapshot,
        storage: &str,
        target: &str,
        now: OffsetDateTime,
    ) -> Result<(), Problem> {
        let Some(mandate) = &acting.mandate else {
            return Ok(());
        };
        let id = mandate.id.rsplit('/').next().unwrap_or_default();
        let kept = load(snapshot, &format!("{storage}/{id}")).map_err(|error| edge::store_problem(&error))?;
        match kept {
            Some(kept) if kept.holder == acting.by && kept.counts(now) => Ok(()),
            _ => Err(edge::not_found(target)),
        }
    }
}

fn event<'a>(actor: &'a str, storage: crate::store::StorageId, mandate: &'a Mandate) -> Event<'a> {
    let mut event = Event::done(AuditAction::Consent, actor, storage).on(&mandate.id);
    event.targets.push(mandate.holder.as_str());
    event.subjects = vec![storage];
    event
}

fn load(snapshot: &dyn Snapshot, key: &str) -> Result<Option<Mandate>, StoreError> {
    read_json(snapshot.record(RecordKind::Mandate, key)?, key)
}

fn of_storage(snapshot: &dyn Snapshot, storage: &str, limit: usize) -> Result<Vec<(String, Mandate)>, StoreError> {
    let prefix = format!("{storage}/");
    let mut found = Vec::new();
    for (key, bytes) in snapshot.records(RecordKind::Mandate, &prefix, None, limit)? {
        let id = key.strip_prefix(&prefix).unwrap_or(&key).to_owned();
        found.extend(read_json(Some(bytes), &key)?.map(|mandate| (id, mandate)));
    }
    Ok(found)
}

/// Where it is noted that a holder has a mandate.
fn held(holder: &str, storage: &str, id: &str) -> String {
    let digest = Sha256::digest(holder);
    format!("~{}/{storage}/{id}", hex::encode(digest.get(..16).unwrap_or(&digest)))
}
