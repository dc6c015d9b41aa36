//! The consent record and whether it covers a use.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::process::{Act, Process};
use super::status::{ConsentEvent, ConsentStatus, ConsentStepError, step};
use crate::purpose::Hierarchy;
use crate::request::WebId;

/// Who may receive the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipients {
    /// Everyone who has an agreement.
    Any,
    /// These WebIDs.
    These(BTreeSet<WebId>),
}

/// Which data the consent is about. A document counts when it lies below one of the containers or belongs to one of
/// the datasets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentedData {
    /// Container IRIs, each ending in `/`.
    #[serde(default)]
    pub containers: BTreeSet<String>,
    /// Dataset IRIs.
    #[serde(default)]
    pub datasets: BTreeSet<String>,
    /// Only these predicates; `None` means all.
    #[serde(default)]
    pub properties: Option<BTreeSet<String>>,
}

impl ConsentedData {
    /// Whether it names a container, a dataset or a predicate itself.
    #[must_use]
    pub fn names(&self, what: &str) -> bool {
        let properties = self.properties.as_ref();
        self.containers.contains(what)
            || self.datasets.contains(what)
            || properties.is_some_and(|properties| properties.contains(what))
    }

    fn forget(&mut self, what: &str) {
        self.containers.remove(what);
        self.datasets.remove(what);
        if let Some(properties) = &mut self.properties {
            properties.remove(what);
        }
    }
}

/// What the person was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Language tag of the text.
    pub language: String,
    /// SHA-256 of the exact text, in hexadecimal.
    pub hash: String,
}

/// One version of a consent. Versions are never changed: an event makes the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// IRI of the record.
    pub id: String,
    /// Whom the data is about, and who decides.
    pub data_subject: WebId,
    /// IRI of the storage that holds the data and this record.
    pub storage: String,
    /// Who may receive the data.
    pub recipients: Recipients,
    /// For what; IRIs. Purposes below these are covered too.
    pub purposes: BTreeSet<String>,
    /// Which data.
    pub data: ConsentedData,
    /// When it was given; `None` until then.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub given_at: Option<OffsetDateTime>,
    /// When it ends. Always set (CON-8).
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// When this version was made.
    #[serde(with = "time::serde::rfc3339")]
    pub changed_at: OffsetDateTime,
    /// Where it stands.
    pub status: ConsentStatus,
    /// What the person was shown.
    pub notice: Notice,
    /// Counts from 1.
    pub version: u32,
    /// The version before this one.
    #[serde(default)]
    pub previous: Option<u32>,
    /// What it is for, in full (ISO/IEC TS 27560).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Box<Process>>,
    /// Who made this version; none in records of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
}

/// Why a record is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// Nothing would be covered.
    #[error("the consent names no {0}")]
    Nothing(&'static str),
    /// Something is not an absolute IRI.
    #[error("{what} `{value}` is not an absolute IRI")]
    Iri {
        /// What it should name.
        what: &'static str,
        /// The text.
        value: String,
    },
    /// A container without its slash could cover its neighbours.
    #[error("the container `{0}` does not end in `/`")]
    ContainerSlash(String),
    /// A container of someone else.
    #[error("the container `{0}` is not in the storage of this consent")]
    ForeignContainer(String),
    /// It ends before it begins.
    #[error("the consent ends before it is given")]
    Ended,
    /// It would last too long.
    #[error("the consent would last longer than {days_max} days (`consent_days_max`)")]
    TooLong {
        /// The bound.
        days_max: u32,
    },
    /// The hash of the text shown is not 64 hexadecimal digits.
    #[error("`{0}` is not a SHA-256 hash in hexadecimal")]
    NoticeHash(String),
    /// A given consent without its instant, or the other way round.
    #[error("a consent has the instant of being given exactly when it was given")]
    GivenAt,
    /// The move is not allowed.
    #[error(transparent)]
    Step(#[from] ConsentStepError),
    /// What was asked for as necessary is left out.
    #[error("`{0}` is required: the process cannot do without it")]
    Required(String),
    /// Something that was not asked for.
    #[error("`{0}` is not an item of this request")]
    UnknownItem(String),
    /// An item that names nothing of the data.
    #[error("`process.items[{at}].what`: `{what}` is no container, dataset or property of `data`")]
    ForeignItem {
        /// Position.
        at: usize,
        /// What it names.
        what: String,
    },
    /// A text without words.
    #[error("`{0}` is empty")]
    EmptyText(String),
    /// There are too many versions to count.
    #[error("the consent has too many versions")]
    Versions,
}

/// A use that is to be covered.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// WebID of the recipient.
    pub recipient: &'a str,
    /// The stated purpose.
    pub purpose: &'a str,
    /// IRI of the container, document or dataset that is used.
    pub data: &'a str,
}

impl ConsentRecord {
    /// Checks that the record is complete, stays within its own storage, and ends within `days_max` days.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self, days_max: u32) -> Result<(), ConsentError> {
        let iri = |what, value: &str| match oxrdf::NamedNode::new(value) {
            Ok(_) => Ok(()),
            Err(_) => Err(ConsentError::Iri {
                what,
                value: value.to_owned(),
            }),
        };
        iri("record", &self.id)?;
        iri("storage", &self.storage)?;
        if matches!(&self.recipients, Recipients::These(these) if these.is_empty()) {
            return Err(ConsentError::Nothing("recipient"));
        }
        if self.purposes.is_empty() {
            return Err(ConsentError::Nothing("purpose"));
        }
        if self.data.containers.is_empty() && self.data.datasets.is_empty() {
            return Err(ConsentError::Nothing("data"));
        }
        if self.data.properties.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(ConsentError::Nothing("property"));
        }
        self.purposes.iter().try_for_each(|purpose| iri("purpose", purpose))?;
        self.data
            .datasets
            .iter()
            .try_for_each(|dataset| iri("dataset", dataset))?;
        for container in &self.data.containers {
            iri("container", container)?;
            if !container.ends_with('/') {
                return Err(ConsentError::ContainerSlash(container.clone()));
            }
            if !container.starts_with(&self.storage) {
                return Err(ConsentError::ForeignContainer(container.clone()));
            }
        }
        for property in self.data.properties.iter().flatten() {
            iri("property", property)?;
        }
        if self.notice.hash.len() != 64 || !self.notice.hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ConsentError::NoticeHash(self.notice.hash.clone()));
        }
        if let Some(process) = &self.process {
            self.check_process(process)?;
        }
        if self.status.permits() && self.given_at.is_none() {
            return Err(ConsentError::GivenAt);
        }
        let begins = self.given_at.unwrap_or(self.changed_at);
        if self.expires_at <= begins {
            return Err(ConsentError::Ended);
        }
        if self.expires_at - begins > Duration::days(i64::from(days_max)) {
            return Err(ConsentError::TooLong { days_max });
        }
        Ok(())
    }

    fn check_process(&self, process: &Process) -> Result<(), ConsentError> {
        for (path, iri) in process.iris() {
            if oxrdf::NamedNode::new(iri).is_err() {
                return Err(ConsentError::Iri {
                    what: "a place of the process",
                    value: format!("{path}: {iri}"),
                });
            }
        }
        for (at, item) in process.items.iter().enumerate() {
            if !self.data.names(&item.what) {
                return Err(ConsentError::ForeignItem {
                    at,
                    what: item.what.clone(),
                });
            }
        }
        let texts = [("titles", &process.titles), ("consequences", &process.consequences)];
        for (name, texts) in texts {
            if let Some((language, _)) = texts
                .iter()
                .find(|(tag, text)| tag.is_empty() || text.trim().is_empty())
            {
                return Err(ConsentError::EmptyText(format!("process.{name}.{language}")));
            }
        }
        Ok(())
    }

    /// The same consent to fewer things: only what is required and what is chosen, by the `what` of its items.
    ///
    /// # Errors
    /// When something is chosen that was not asked for, or nothing is left.
    pub fn narrowed(mut self, chosen: &BTreeSet<String>) -> Result<Self, ConsentError> {
        let Some(process) = &mut self.process else {
            return chosen
                .iter()
                .next()
                .map_or(Ok(self), |first| Err(ConsentError::UnknownItem(first.clone())));
        };
        if let Some(unknown) = chosen
            .iter()
            .find(|what| !process.items.iter().any(|item| item.what == **what))
        {
            return Err(ConsentError::UnknownItem(unknown.clone()));
        }
        let (kept, left_out): (Vec<_>, Vec<_>) = std::mem::take(&mut process.items)
            .into_iter()
            .partition(|item| item.required || chosen.contains(&item.what));
        for item in left_out {
            // Two items may speak of one thing; it stays if either is chosen.
            if !kept.iter().any(|other| other.what == item.what) {
                self.data.forget(&item.what);
            }
        }
        process.items = kept;
        if self.data.containers.is_empty() && self.data.datasets.is_empty() {
            return Err(ConsentError::Nothing("data"));
        }
        if self.data.properties.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(ConsentError::Nothing("property"));
        }
        Ok(self)
    }

    /// The next version after an event at `now`.
    ///
    /// # Errors
    /// When the state machine does not allow it, or consent would be given after its end.
    pub fn next(&self, event: ConsentEvent, now: OffsetDateTime) -> Result<Self, ConsentError> {
        let status = step(Some(self.status), event)?;
        let first_yes = status == ConsentStatus::Given;
        if first_yes && now >= self.expires_at {
            return Err(ConsentError::Ended);
        }
        // Only what was once given can be given again.
        if status == ConsentStatus::Renewed && self.given_at.is_none() {
            return Err(ConsentError::GivenAt);
        }
        let mut next = self.clone();
        next.previous = Some(self.version);
        next.version = self.version.checked_add(1).ok_or(ConsentError::Versions)?;
        next.status = status;
        next.changed_at = now;
        next.act = None;
        if status.permits() {
            next.given_at = Some(now);
        }
        Ok(next)
    }

    /// Whether the record permits this use now; see [`covers`].
    #[must_use]
    pub fn covers(&self, used: &Use<'_>, purposes: &Hierarchy, now: OffsetDateTime) -> bool {
        covers(self, used, purposes, now)
    }

    /// Whether it permits anything at all now.
    #[must_use]
    pub fn in_force(&self, now: OffsetDateTime) -> bool {
        self.status.permits() && self.given_at.is_some_and(|given| given <= now) && now < self.expires_at
    }

    /// Whether statements with this predicate are covered.
    #[must_use]
    pub fn shows(&self, predicate: &str) -> bool {
        self.data
            .properties
            .as_ref()
            .is_none_or(|listed| listed.contains(predicate))
    }
}

/// Whether a consent permits a use at an instant: it is given and has not ended, the recipient is named, the purpose is
/// one of its purposes or below one, and the data is one of its datasets, or is or lies below one of its containers.
#[must_use]
pub fn covers(record: &ConsentRecord, used: &Use<'_>, purposes: &Hierarchy, now: OffsetDateTime) -> bool {
    let recipient = match &record.recipients {
        Recipients::Any => true,
        Recipients::These(these) => these.iter().any(|web_id| web_id.as_str() == used.recipient),
    };
    let below = |container: &String| container.ends_with('/') && used.data.starts_with(container.as_str());
    record.in_force(now)
        && recipient
        && record
            .purposes
            .iter()
            .any(|consented| purposes.is_a(used.purpose, consented))
        && (record.data.datasets.contains(used.data) || record.data.containers.iter().any(below))
}

#[cfg(test)]
pub(super) mod tests;
