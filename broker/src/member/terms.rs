//! What the owner of a member grants that cannot enforce a policy itself: written into the registry by the operator, in words
//! that name where the owner says so. Nothing is granted that does not stand there.

use super::MemberKind;
use serde::{Deserialize, Serialize};
use server_kit::config::ConfigError;
use std::collections::BTreeSet;
use url::Url;

/// One thing that an owner grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// Answering queries from what is published.
    Query,
    /// Holding a copy in memory between queries.
    Replicate,
}

/// An open licence or offer, as the owner states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// IRI of the licence or offer.
    pub licence: Url,
    /// Page or document in which the owner states it.
    pub stated_at: Url,
    /// Whom to name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Url>,
    /// What it grants.
    pub grants: BTreeSet<Grant>,
    /// The only purposes for which it grants that, as IRIs; any purpose when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purposes: Option<BTreeSet<String>>,
}

impl Terms {
    /// Checks terms for a member of a kind.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn validate(&self, member: &str, kind: MemberKind) -> Result<(), ConfigError> {
        let refuse = |key, words: String| Err(ConfigError::invalid(key, words));
        if !self.grants.contains(&Grant::Query) {
            return refuse(
                "members.terms.grants",
                format!("`{member}` grants no `query`: it would never be asked"),
            );
        }
        if kind == MemberKind::Ldes && !self.grants.contains(&Grant::Replicate) {
            return refuse(
                "members.terms.grants",
                format!(
                    "a stream is queried through a copy of it, which the owner of `{member}` does not grant (`replicate`)"
                ),
            );
        }
        if self.purposes.as_ref().is_some_and(BTreeSet::is_empty) {
            return refuse(
                "members.terms.purposes",
                format!("an empty list refuses every query of `{member}`: leave it out for any purpose"),
            );
        }
        Ok(())
    }

    /// Whether the owner grants a thing.
    #[must_use]
    pub fn grants(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }
}

/// Decides whether a member of a kind may be asked for a purpose: only what is granted in so many words is.
///
/// # Errors
/// A stable code and the reason.
pub fn decide(terms: Option<&Terms>, kind: MemberKind, purpose: Option<&str>) -> Result<(), (&'static str, String)> {
    let Some(terms) = terms else {
        return Err((
            "no-terms",
            "the registry does not say what its owner grants, and it cannot enforce a policy itself".to_owned(),
        ));
    };
    if !terms.grants(Grant::Query) {
        return Err(("query-not-granted", "its owner does not grant queries".to_owned()));
    }
    if kind == MemberKind::Ldes && !terms.grants(Grant::Replicate) {
        return Err((
            "replica-not-granted",
            "its owner does not grant a copy, and a stream can only be queried through one".to_owned(),
        ));
    }
    match (&terms.purposes, purpose) {
        (Some(only), Some(purpose)) if only.contains(purpose) => Ok(()),
        (Some(_), Some(purpose)) => Err((
            "purpose-not-granted",
            format!("its owner does not grant the purpose <{purpose}>"),
        )),
        (Some(_), None) => Err((
            "purpose-missing",
            "its owner grants certain purposes only, and none was stated".to_owned(),
        )),
        (None, _) => Ok(()),
    }
}
