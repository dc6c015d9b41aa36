//! Processing that rests on something else than consent: shown to those whom it concerns with its ground and the way to
//! object, never as a switch (CON-14, GDPR art. 13, 14, 21).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vocab::dpv_gdpr;

use super::process::{Entity, StorageCondition};

/// A processing activity without consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// What it is, by language tag.
    pub titles: BTreeMap<String, String>,
    /// Who answers for it.
    pub controller: Entity,
    /// On what it rests, as an IRI: a ground of GDPR art. 6(1) other than consent.
    pub legal_basis: String,
    /// The law or decision that gives the ground, in words.
    #[serde(default)]
    pub source: String,
    /// What for; IRIs.
    pub purposes: BTreeSet<String>,
    /// Kinds of people, in words by language tag; everyone with a storage on the server unless given.
    #[serde(default)]
    pub subjects: BTreeMap<String, String>,
    /// Only the people of these storages, by name; everyone unless given.
    #[serde(default)]
    pub storages: BTreeSet<String>,
    /// Kinds of personal data, as IRIs.
    #[serde(default)]
    pub personal_data: BTreeSet<String>,
    /// Who receives data.
    #[serde(default)]
    pub recipients: Vec<Entity>,
    /// Countries outside the Union, as IRIs.
    #[serde(default)]
    pub third_countries: BTreeSet<String>,
    /// Where and how long data is kept.
    #[serde(default)]
    pub storage: StorageCondition,
    /// How data is protected, in words.
    #[serde(default)]
    pub measures: String,
    /// Where a person objects: an address of a page or of e-mail, as an IRI.
    pub objection: String,
}

/// Why an activity is not acceptable, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {rule}")]
pub struct ActivityError {
    /// Where.
    pub path: String,
    /// What would be right.
    pub rule: &'static str,
}

/// The grounds other than consent.
const GROUNDS: [&str; 5] = [
    dpv_gdpr::CONTRACT_6_1_B,
    dpv_gdpr::LEGAL_OBLIGATION_6_1_C,
    dpv_gdpr::VITAL_INTEREST_6_1_D,
    dpv_gdpr::PUBLIC_INTEREST_6_1_E,
    dpv_gdpr::LEGITIMATE_INTEREST_6_1_F,
];

impl Activity {
    /// Checks that it is complete.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn validate(&self) -> Result<(), ActivityError> {
        let fault = |path: &str, rule| {
            Err(ActivityError {
                path: path.to_owned(),
                rule,
            })
        };
        if !GROUNDS.contains(&self.legal_basis.as_str()) {
            return fault(
                "legal_basis",
                "names a ground of GDPR art. 6(1)(b) to (f); consent is asked, not declared",
            );
        }
        if self.titles.is_empty() || self.titles.values().any(|title| title.trim().is_empty()) {
            return fault("titles", "says in words what it is");
        }
        if self.purposes.is_empty() {
            return fault("purposes", "names at least one purpose");
        }
        let texts = [
            ("controller.name", &self.controller.name),
            ("controller.contact", &self.controller.contact),
            ("controller.address", &self.controller.address),
        ];
        if let Some((path, _)) = texts.iter().find(|(_, text)| text.trim().is_empty()) {
            return fault(path, "is needed so that people can reach whoever answers for it");
        }
        if !["https://", "http://", "mailto:"]
            .iter()
            .any(|scheme| self.objection.starts_with(scheme))
        {
            return fault("objection", "is an address of a page or of e-mail (`mailto:`)");
        }
        let sets = [
            ("purposes", &self.purposes),
            ("personal_data", &self.personal_data),
            ("third_countries", &self.third_countries),
            ("storage.locations", &self.storage.locations),
        ];
        for (path, iris) in sets {
            if iris.iter().any(|iri| oxrdf::NamedNode::new(iri.as_str()).is_err()) {
                return fault(path, "holds absolute IRIs");
            }
        }
        let ids = std::iter::once(&self.controller)
            .chain(&self.recipients)
            .map(|entity| &entity.id);
        for iri in ids.chain([&self.objection]) {
            if oxrdf::NamedNode::new(iri.as_str()).is_err() {
                return fault("controller.id, recipients, objection", "are absolute IRIs");
            }
        }
        Ok(())
    }

    /// Whether it concerns the person of a storage, by name.
    #[must_use]
    pub fn concerns(&self, storage: &str) -> bool {
        self.storages.is_empty() || self.storages.contains(storage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Activity {
        serde_json::from_value(serde_json::json!({
            "titles": { "nl": "Bevolkingsregister" },
            "controller": { "id": "https://k.example/#us", "name": "Stad", "contact": "a@k.example", "address": "Markt 1" },
            "legal_basis": dpv_gdpr::LEGAL_OBLIGATION_6_1_C,
            "purposes": [vocab::dpv::LEGAL_COMPLIANCE],
            "objection": "mailto:dpo@k.example",
        }))
        .unwrap()
    }

    /// Requirements dataspace CON-14: another ground than consent is declared whole, with a way to object; consent is none of them.
    #[test]
    fn activities_are_complete() {
        assert_eq!(activity().validate(), Ok(()));
        type Change = fn(&mut Activity);
        let cases: [(Change, &str); 6] = [
            (|a| a.legal_basis = dpv_gdpr::CONSENT_6_1_A.into(), "legal_basis"),
            (|a| a.titles.clear(), "titles"),
            (|a| a.purposes.clear(), "purposes"),
            (|a| a.controller.contact.clear(), "controller.contact"),
            (|a| a.objection = "javascript:alert(1)".into(), "objection"),
            (|a| a.purposes = BTreeSet::from(["x".into()]), "purposes"),
        ];
        for (change, path) in cases {
            let mut changed = activity();
            change(&mut changed);
            assert_eq!(changed.validate().unwrap_err().path, path);
        }
        let mut some = activity();
        some.storages.insert("jan".into());
        assert!(some.concerns("jan") && !some.concerns("an") && activity().concerns("an"));
    }
}
