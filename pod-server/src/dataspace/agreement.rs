//! Agreements as they are stored with the owner: an ODRL Agreement that never changes, and its state, which does
//! (ODRL 2.2 §2.1.4; Dataspace Protocol, agreement).
//!
//! Whoever decides about a query gets the agreement from here at each decision, so that its end counts from the next one
//! (invariant 8).

use std::sync::{Arc, LazyLock};

use policies::contract::{AgreementEvent, AgreementState, AgreementStepError};
use policies::facts::{AgreementFact, DatasetFact, Fact};
use policies::odrl::circumstance::{needs_circumstances, needs_uses};
use policies::odrl::{self, Circumstances, Known};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::dataset::Dataset;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{RecordKind, Snapshot, StoreError};

/// Policies of agreements that are kept ready.
const COMPILED_MAX: usize = 1_000;

/// An agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// IRI, `odrl:uid` of the policy, and where it is read.
    pub iri: String,
    /// Root of the owner's storage, `/{storage}/`.
    pub storage: String,
    /// The one dataset it is about.
    pub dataset: String,
    /// The offer it came from.
    pub offer: String,
    /// The negotiation it came from.
    pub negotiation: String,
    /// WebID of the owner.
    pub assigner: String,
    /// WebID of the consumer.
    pub assignee: String,
    /// Purpose that the consumer stated when asking.
    pub purpose: String,
    /// Unix seconds when it was made.
    pub created: i64,
    /// The policy as Turtle. Immutable.
    pub policy: String,
    /// SHA-256 of the policy's canonical form (RDFC-1.0), in hexadecimal digits.
    pub hash: String,
    /// Whether the consumer has verified it and the owner confirmed: only then it counts.
    pub in_force: bool,
    /// Present state.
    pub state: AgreementState,
    /// Unix seconds, side and reason of the last change of state.
    pub changed: Option<StateChange>,
}

/// Why an agreement is no longer what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// Unix seconds.
    pub at: i64,
    /// WebID of who did it.
    pub by: String,
    /// Their reason.
    pub reason: Option<String>,
}

impl Agreement {
    /// The policy.
    ///
    /// # Errors
    /// If the stored text cannot be read any more, or no longer has the hash that both sides know: the store is damaged.
    pub fn policy(&self) -> Result<odrl::Policy, StoreError> {
        let damaged = |reason: String| StoreError::Damaged(format!("agreement `{}`: {reason}", self.iri));
        let policy = odrl::parse_turtle(self.policy.as_bytes(), &self.iri, &odrl::OdrlLimits::default())
            .map_err(|error| damaged(error.to_string()))?
            .into_iter()
            .find(|policy| policy.id == self.iri)
            .ok_or_else(|| damaged("the policy is missing".to_owned()))?;
        let hash = odrl::canonical_hash(&odrl::write(&policy)).map_err(|error| damaged(error.to_string()))?;
        if hex::encode(hash) != self.hash {
            return Err(damaged("the policy does not have its hash".to_owned()));
        }
        Ok(policy)
    }

    /// Whether a WebID is one of the two parties. Nobody else may know that the agreement exists.
    #[must_use]
    pub fn is_party(&self, web_id: &str) -> bool {
        web_id == self.assigner || web_id == self.assignee
    }

    /// The answer that both parties read as JSON; the policy itself is read as RDF.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "@id": self.iri,
            "@type": "Agreement",
            "state": self.state,
            "inForce": self.in_force,
            "dataset": self.dataset,
            "offer": self.offer,
            "negotiation": self.negotiation,
            "assigner": self.assigner,
            "assignee": self.assignee,
            "purpose": self.purpose,
            "timestamp": super::negotiation::moment(self.created),
            "hash": self.hash,
            "changed": self.changed.as_ref().map(|change| serde_json::json!({
                "at": super::negotiation::moment(change.at),
                "by": change.by,
                "reason": change.reason,
            })),
        })
    }

    /// Ends, suspends or resumes it.
    ///
    /// # Errors
    /// When the present state does not allow that.
    pub fn step(&mut self, event: AgreementEvent, change: StateChange) -> Result<(), AgreementStepError> {
        self.state = self.state.step(event)?;
        self.changed = Some(change);
        Ok(())
    }
}

/// Reads an agreement.
///
/// # Errors
/// If the store fails or is damaged.
pub fn load(snapshot: &dyn Snapshot, iri: &str) -> Result<Option<Agreement>, StoreError> {
    read_json(snapshot.record(RecordKind::Agreement, iri)?, iri)
}

/// The fact that `policies::decide` needs about an agreement. Absent also when it is not in force yet.
#[must_use]
pub fn fact(snapshot: &dyn Snapshot, origins: &Origins, iri: &str) -> Fact {
    let agreement = match load(snapshot, iri) {
        Ok(Some(agreement)) if agreement.in_force => agreement,
        Ok(_) => return Fact::Absent,
        Err(error) => return Fact::Unavailable(error.to_string()),
    };
    match compiled(&agreement) {
        Ok(policy) => match known(snapshot, origins, &agreement, &policy) {
            Ok((uses, circumstances)) => Fact::Agreement(Arc::new(AgreementFact {
                policy,
                state: agreement.state,
                expires_at: None,
                uses,
                circumstances,
            })),
            Err(error) => Fact::Unavailable(error.to_string()),
        },
        Err(error) => Fact::Unavailable(error.to_string()),
    }
}

/// What the policy of an agreement needs to be judged: its uses, when a use has to be counted, and the circumstances.
fn known(
    snapshot: &dyn Snapshot,
    origins: &Origins,
    agreement: &Agreement,
    policy: &odrl::Policy,
) -> Result<(Option<u64>, Circumstances), StoreError> {
    let deletes = odrl::retention(policy).is_some();
    let counts = policy.counts() || needs_uses(policy);
    let conditions = needs_circumstances(policy);
    if !deletes && !counts && !conditions {
        return Ok((None, Circumstances::NotKept));
    }
    let usage = super::uses::usage(snapshot, &agreement.iri)?;
    let instant = |unix| OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let agreed = instant(agreement.created);
    let stated = match conditions {
        true => super::statement::about(snapshot, origins, agreement)?,
        false => None,
    };
    let known = Known {
        agreed,
        first_use: usage.first.map(instant),
        last_use: usage.last.map(instant),
        encrypted: origins.base_url().starts_with("https://"),
        stated,
        held: usage.held_since.is_some(),
        delete_by: super::deletion::deadline(policy, agreed, &usage),
    };
    // The first answer opens the duty to delete, so that one is counted as well.
    let counted = counts || (deletes && usage.held_since.is_none());
    Ok((counted.then_some(usage.uses), Circumstances::Known(Box::new(known))))
}

/// The policy of an agreement, read and checked once for each text: an agreement never changes, only its state does, and
/// that is not kept here.
/// # Errors
/// As [`Agreement::policy`].
pub fn compiled(agreement: &Agreement) -> Result<Arc<odrl::Policy>, StoreError> {
    static COMPILED: LazyLock<quick_cache::sync::Cache<[u8; 32], Arc<odrl::Policy>>> =
        LazyLock::new(|| quick_cache::sync::Cache::new(COMPILED_MAX));
    let mut digest = Sha256::new();
    for part in [&agreement.iri, &agreement.hash, &agreement.policy] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest: [u8; 32] = digest.finalize().into();
    COMPILED.get_or_insert_with(&digest, || agreement.policy().map(Arc::new))
}

/// The fact that `policies::decide` needs about a dataset: what it covers now.
#[must_use]
pub fn dataset_fact(snapshot: &dyn Snapshot, origins: &Origins, iri: &str) -> Fact {
    match load_dataset(snapshot, origins, iri) {
        Ok(Some(dataset)) => Fact::Dataset(Arc::new(DatasetFact {
            containers: dataset.containers.into_iter().collect(),
            member_containers: dataset.member_containers.into_iter().collect(),
            part_of: std::collections::BTreeSet::new(),
        })),
        Ok(None) => Fact::Absent,
        Err(error) => Fact::Unavailable(error.to_string()),
    }
}

/// Both facts of a query under an agreement: the agreement, and the dataset that it is about.
#[must_use]
pub fn facts(
    snapshot: &dyn Snapshot,
    origins: &Origins,
    agreement_iri: &str,
) -> Vec<(policies::facts::FactRequest, Fact)> {
    use policies::facts::FactRequest;
    let agreement = fact(snapshot, origins, agreement_iri);
    let mut facts = Vec::with_capacity(2);
    if let Fact::Agreement(found) = &agreement
        && let Some(dataset) = found.policy.dataset()
    {
        let request = FactRequest::Dataset { id: dataset.to_owned() };
        facts.push((request, dataset_fact(snapshot, origins, dataset)));
    }
    facts.push((
        FactRequest::Agreement {
            id: agreement_iri.to_owned(),
        },
        agreement,
    ));
    facts
}

/// Reads a dataset by its IRI.
///
/// # Errors
/// If the store fails or is damaged.
pub fn load_dataset(snapshot: &dyn Snapshot, origins: &Origins, iri: &str) -> Result<Option<Dataset>, StoreError> {
    match dataset_key(origins, iri) {
        Some(key) => read_json(snapshot.record(RecordKind::Dataset, &key)?, &key),
        None => Ok(None),
    }
}

/// The record key `{storage}/{id}` of a dataset IRI of this server.
#[must_use]
pub fn dataset_key(origins: &Origins, iri: &str) -> Option<String> {
    let name = ResourceName::from_iri(iri, origins).filter(|name| name.iri(origins) == iri)?;
    let (storage, id) = name.as_str().strip_prefix('/')?.split_once("/.dataspace/datasets/")?;
    let plain = |part: &str| !part.is_empty() && !part.contains('/');
    (plain(storage) && plain(id)).then(|| format!("{storage}/{id}"))
}

/// Reads a record that is JSON.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not what it should be.
pub fn read_json<T: serde::de::DeserializeOwned>(bytes: Option<Vec<u8>>, key: &str) -> Result<Option<T>, StoreError> {
    bytes
        .map(|bytes| {
            serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged(format!("record `{key}`: {error}")))
        })
        .transpose()
}

/// Writes a record as JSON.
///
/// # Errors
/// [`StoreError::Damaged`] for a value that JSON cannot hold, which our types exclude.
pub fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Damaged(error.to_string()))
}
