//! The consent record and whether it covers a use.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

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
        if self.status == ConsentStatus::Given && self.given_at.is_none() {
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

    /// The next version after an event at `now`.
    ///
    /// # Errors
    /// When the state machine does not allow it, or consent would be given after its end.
    pub fn next(&self, event: ConsentEvent, now: OffsetDateTime) -> Result<Self, ConsentError> {
        let status = step(Some(self.status), event)?;
        if status == ConsentStatus::Given && now >= self.expires_at {
            return Err(ConsentError::Ended);
        }
        let mut next = self.clone();
        next.previous = Some(self.version);
        next.version = self.version.checked_add(1).ok_or(ConsentError::Versions)?;
        next.status = status;
        next.changed_at = now;
        if status == ConsentStatus::Given {
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
        self.status == ConsentStatus::Given && self.given_at.is_some_and(|given| given <= now) && now < self.expires_at
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
pub(super) mod tests {
    use super::*;
    use time::macros::datetime;
    use vocab::{dpv, meent};

    pub(in crate::consent) fn record() -> ConsentRecord {
        ConsentRecord {
            id: "https://kortrijk.example/jan/.consent/1".into(),
            data_subject: WebId::parse("https://kortrijk.example/jan/profile/card#me").unwrap(),
            storage: "https://kortrijk.example/jan/".into(),
            recipients: Recipients::These(BTreeSet::from([WebId::parse("https://mobility.example/#us").unwrap()])),
            purposes: BTreeSet::from([meent::MOBILITY_PLANNING.into()]),
            data: ConsentedData {
                containers: BTreeSet::from(["https://kortrijk.example/jan/telraam/".into()]),
                datasets: BTreeSet::from(["https://kortrijk.example/city/datasets/telraam".into()]),
                properties: Some(BTreeSet::from([vocab::sosa::HAS_SIMPLE_RESULT.into()])),
            },
            given_at: Some(datetime!(2026-01-01 00:00 UTC)),
            expires_at: datetime!(2026-07-01 00:00 UTC),
            changed_at: datetime!(2026-01-01 00:00 UTC),
            status: ConsentStatus::Given,
            notice: Notice {
                language: "nl".into(),
                hash: "ab".repeat(32),
            },
            version: 1,
            previous: None,
        }
    }

    const NOW: OffsetDateTime = datetime!(2026-06-01 00:00 UTC);

    fn used() -> Use<'static> {
        Use {
            recipient: "https://mobility.example/#us",
            purpose: meent::BICYCLE_POLICY,
            data: "https://kortrijk.example/jan/telraam/2026/05.ttl",
        }
    }

    #[test]
    fn what_is_covered() {
        let sure = used();
        let cases: [(&str, Use<'_>, OffsetDateTime, bool); 12] = [
            ("a narrower purpose", sure, NOW, true),
            (
                "the purpose itself",
                Use {
                    purpose: meent::MOBILITY_PLANNING,
                    ..sure
                },
                NOW,
                true,
            ),
            (
                "a broader purpose",
                Use {
                    purpose: dpv::PUBLIC_BENEFIT,
                    ..sure
                },
                NOW,
                false,
            ),
            (
                "another purpose",
                Use {
                    purpose: dpv::MARKETING,
                    ..sure
                },
                NOW,
                false,
            ),
            (
                "another recipient",
                Use {
                    recipient: "https://other.example/#us",
                    ..sure
                },
                NOW,
                false,
            ),
            (
                "the container",
                Use {
                    data: "https://kortrijk.example/jan/telraam/",
                    ..sure
                },
                NOW,
                true,
            ),
            (
                "a dataset",
                Use {
                    data: "https://kortrijk.example/city/datasets/telraam",
                    ..sure
                },
                NOW,
                true,
            ),
            (
                "a neighbour",
                Use {
                    data: "https://kortrijk.example/jan/telraam2/x",
                    ..sure
                },
                NOW,
                false,
            ),
            (
                "the parent",
                Use {
                    data: "https://kortrijk.example/jan/",
                    ..sure
                },
                NOW,
                false,
            ),
            ("at its end", sure, datetime!(2026-07-01 00:00 UTC), false),
            ("just before its end", sure, datetime!(2026-06-30 23:59:59 UTC), true),
            ("before it was given", sure, datetime!(2025-12-31 00:00 UTC), false),
        ];
        for (name, used, now, expected) in cases {
            assert_eq!(record().covers(&used, &Hierarchy::default(), now), expected, "{name}");
        }
    }

    #[test]
    fn only_given_permits_and_withdrawal_bites_at_once() {
        for status in ConsentStatus::ALL {
            let record = ConsentRecord { status, ..record() };
            assert_eq!(
                record.covers(&used(), &Hierarchy::default(), NOW),
                status == ConsentStatus::Given,
                "{status:?}"
            );
        }
        let withdrawn = record().next(ConsentEvent::Withdraw, NOW).unwrap();
        assert!(!withdrawn.covers(&used(), &Hierarchy::default(), NOW));
        assert_eq!((withdrawn.version, withdrawn.previous), (2, Some(1)));
        assert!(
            withdrawn.next(ConsentEvent::Give, NOW).is_err(),
            "a withdrawn consent never comes back"
        );
    }

    #[test]
    fn anyone_still_needs_purpose_and_data() {
        let open = ConsentRecord {
            recipients: Recipients::Any,
            ..record()
        };
        let stranger = Use {
            recipient: "https://other.example/#us",
            ..used()
        };
        assert!(open.covers(&stranger, &Hierarchy::default(), NOW));
        let marketing = Use {
            purpose: dpv::MARKETING,
            ..stranger
        };
        assert!(!open.covers(&marketing, &Hierarchy::default(), NOW));
    }

    #[test]
    fn bad_records_are_named() {
        type Change = fn(&mut ConsentRecord);
        let cases: [(Change, &str); 9] = [
            (|r| r.purposes.clear(), "names no purpose"),
            (
                |r| r.recipients = Recipients::These(BTreeSet::new()),
                "names no recipient",
            ),
            (|r| r.data = ConsentedData::default(), "names no data"),
            (|r| r.expires_at = datetime!(2025-01-01 00:00 UTC), "ends before"),
            (|r| r.expires_at = datetime!(2030-01-01 00:00 UTC), "consent_days_max"),
            (|r| r.notice.hash = "abc".into(), "SHA-256"),
            (|r| r.given_at = None, "instant"),
            (
                |r| {
                    r.data.containers.insert("https://kortrijk.example/jan/x".into());
                },
                "end in `/`",
            ),
            (
                |r| {
                    r.data.containers.insert("https://kortrijk.example/an/".into());
                },
                "not in the storage",
            ),
        ];
        assert_eq!(record().validate(366), Ok(()));
        for (change, expected) in cases {
            let mut record = record();
            change(&mut record);
            let error = record.validate(366).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }

    #[test]
    fn json_round_trip() {
        let json = serde_json::to_string(&record()).unwrap();
        assert_eq!(serde_json::from_str::<ConsentRecord>(&json).unwrap(), record());
        assert!(
            json.contains("\"ConsentGiven\"") && json.contains("2026-07-01T00:00:00Z"),
            "{json}"
        );
    }
}
