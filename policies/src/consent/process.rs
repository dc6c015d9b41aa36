//! What a consent is about, as ISO/IEC TS 27560 has it recorded: the process, who answers for it, where data lies and how
//! long, which rights there are, and what follows from a no.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::request::WebId;

/// Under which profile a record is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentProfile {
    /// The fields of ISO/IEC TS 27560.
    #[default]
    Iso27560,
    /// The same, and what the GDPR asks for besides: a legal basis of the regulation.
    EuGdpr,
}

impl ConsentProfile {
    /// The IRI to which a record conforms.
    #[must_use]
    pub const fn record_iri(self) -> &'static str {
        match self {
            Self::Iso27560 => vocab::dpv_27560::RECORD,
            Self::EuGdpr => vocab::dpv_27560::RECORD_EU_GDPR,
        }
    }

    /// The IRI to which a receipt conforms.
    #[must_use]
    pub const fn receipt_iri(self) -> &'static str {
        match self {
            Self::Iso27560 => vocab::dpv_27560::RECEIPT,
            Self::EuGdpr => vocab::dpv_27560::RECEIPT_EU_GDPR,
        }
    }

    /// The profile that an IRI names, of a record or of a receipt.
    #[must_use]
    pub fn from_iri(iri: &str) -> Option<Self> {
        [Self::Iso27560, Self::EuGdpr]
            .into_iter()
            .find(|profile| [profile.record_iri(), profile.receipt_iri()].contains(&iri))
    }
}

/// Someone who has a part in the processing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entity {
    /// Identifier: a WebID, or another IRI.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Where to ask: an address of e-mail, telephone or a page.
    pub contact: String,
    /// Postal address.
    pub address: String,
}

/// One thing that is asked for, which a person can leave out unless it is required.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// A container, a dataset or a predicate of the data that the consent is about.
    pub what: String,
    /// Kind of personal data, as an IRI (such as a term of DPV-PD).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_data: Option<String>,
    /// Whether the process cannot do without.
    #[serde(default)]
    pub required: bool,
    /// Whether it is of a special category (GDPR art. 9), which takes an explicit yes of its own.
    #[serde(default)]
    pub special: bool,
    /// Words for people, by language tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Where data is kept, for how long, and how soon it is deleted afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageCondition {
    /// Places, as IRIs (such as terms of DPV's LOC).
    pub locations: BTreeSet<String>,
    /// Days for which it is kept.
    pub days: Option<u32>,
    /// Days within which it is deleted when the consent has ended.
    pub deleted_within_days: Option<u32>,
}

/// The process for which consent is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// The profile that the record is to fulfil; without one, what is missing is no fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ConsentProfile>,
    /// What it is called, by language tag.
    pub titles: BTreeMap<String, String>,
    /// Who decides about purposes and means.
    pub controller: Option<Entity>,
    /// Who else receives the data, with what people need to reach them.
    pub recipients: Vec<Entity>,
    /// What is asked for, piece by piece.
    pub items: Vec<Item>,
    /// Kinds of personal data, as IRIs.
    pub personal_data: BTreeSet<String>,
    /// Where and how long data is kept.
    pub storage: StorageCondition,
    /// Countries outside the Union to which data goes, as IRIs.
    pub third_countries: BTreeSet<String>,
    /// Whose law applies, as an IRI.
    pub jurisdiction: Option<String>,
    /// On what the processing rests, as an IRI.
    pub legal_basis: Option<String>,
    /// Page on which the consent is changed and withdrawn.
    pub control: Option<String>,
    /// Rights of the person, as IRIs.
    pub rights: BTreeSet<String>,
    /// What follows from a no, by language tag.
    pub consequences: BTreeMap<String, String>,
    /// The decision of a committee that approved the process before anyone was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collective_approval: Option<String>,
}

impl Process {
    /// The items of special categories.
    pub fn special(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.special)
    }

    /// Every IRI in it with its path, for validation.
    pub fn iris(&self) -> impl Iterator<Item = (String, &str)> {
        let sets = [
            ("personal_data", &self.personal_data),
            ("third_countries", &self.third_countries),
            ("rights", &self.rights),
            ("storage.locations", &self.storage.locations),
        ];
        let sets = sets.into_iter().flat_map(|(name, values)| {
            let placed = values.iter().enumerate();
            placed.map(move |(at, iri)| (format!("process.{name}[{at}]"), iri.as_str()))
        });
        let single = [
            ("jurisdiction", &self.jurisdiction),
            ("legal_basis", &self.legal_basis),
            ("control", &self.control),
            ("collective_approval", &self.collective_approval),
        ];
        let single = single
            .into_iter()
            .filter_map(|(name, value)| Some((format!("process.{name}"), value.as_deref()?)));
        let entities = self
            .controller
            .iter()
            .map(|entity| ("process.controller.id".to_owned(), entity.id.as_str()));
        let recipients = self.recipients.iter().enumerate();
        let recipients = recipients.map(|(at, entity)| (format!("process.recipients[{at}].id"), entity.id.as_str()));
        let items = self.items.iter().enumerate().flat_map(|(at, item)| {
            let kind = item.personal_data.as_deref();
            let kind = kind.map(|kind| (format!("process.items[{at}].personal_data"), kind));
            std::iter::once((format!("process.items[{at}].what"), item.what.as_str())).chain(kind)
        });
        sets.chain(single).chain(entities).chain(recipients).chain(items)
    }
}

/// How someone who is not the data subject may act for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MandateKind {
    /// A parent of a child.
    Parent,
    /// A guardian or administrator whom a court appointed.
    Guardian,
    /// Someone who cares for the person.
    Carer,
    /// Anyone else whom the person chose.
    Representative,
    /// Someone who helps the person at a counter.
    Assistance,
}

/// That someone may answer for a data subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mandate {
    /// IRI of the mandate.
    pub id: String,
    /// Who may act.
    pub holder: WebId,
    /// In what capacity.
    pub kind: MandateKind,
    /// What it rests on: a judgment, a deed, a conversation at the counter. It tells about the person, so it stays where the
    /// mandate is kept: records, which recipients read, leave it empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub basis: String,
    /// From when.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

impl Mandate {
    /// The mandate as a record names it, without the words that it rests on.
    #[must_use]
    pub fn named(&self) -> Self {
        Self {
            basis: String::new(),
            ..self.clone()
        }
    }

    /// Whether it counts at an instant: from its first instant, and no longer at its last one.
    #[must_use]
    pub fn counts(&self, now: OffsetDateTime) -> bool {
        self.from <= now && now < self.until
    }
}

/// Who made one version of a record, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who acted.
    pub by: WebId,
    /// How: `page`, `api`, or `preference` with the number of the standing preference.
    pub method: String,
    /// Under which mandate, when it was not the data subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate: Option<Mandate>,
    /// Whether it was a statement of its own about special categories (GDPR art. 9(2)(a)).
    #[serde(default)]
    pub explicit: bool,
}

/// How an act by a standing preference begins.
pub const BY_PREFERENCE: &str = "preference";

impl Act {
    /// Whether nobody pressed a button: a standing preference of the person did it.
    #[must_use]
    pub fn automatic(&self) -> bool {
        self.method.starts_with(BY_PREFERENCE)
    }
}
