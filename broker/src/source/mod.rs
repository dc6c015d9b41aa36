//! Sources of one query: what may be asked, of whom, under which agreement. Selection is pure and rests on the catalogue snapshot.

pub mod column;
pub mod copies;
pub mod description;
pub mod directories;
pub mod directory;
pub mod token;

pub use column::Column;
pub use copies::{Anchor, Reference};
pub use description::{Match, SourceDescription, SummaryRow};
pub use directories::Directories;
pub use directory::{Directory, Found};
pub use server_kit::keys::Keys;
pub use token::{Token, ValueSet, authority};

use crate::member::terms::Terms;
use crate::member::{Foreign, MemberKind};

use spargebra::term::{NamedNodePattern, TriplePattern};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Position of a source in the list that a query runs over.
pub type SourceId = usize;

/// One source: a dataset at a federation member, seen under one agreement (or openly).
#[derive(Debug, Clone)]
pub struct Source {
    /// Short name of the member, as the registry knows it.
    pub member: String,
    /// IRI of the dataset; for a plain SPARQL endpoint, the endpoint itself.
    pub dataset: String,
    /// Where sub-queries go.
    pub endpoint: String,
    /// IRI of the agreement under which it is asked; `None` for open data.
    pub agreement: Option<String>,
    /// What it says about its content.
    pub description: Arc<SourceDescription>,
    /// The smallest number of distinct data subjects per group, when only aggregates may be asked.
    pub aggregate_only: Option<u32>,
    /// The only properties that the agreement covers; `None` is all.
    pub properties: Option<BTreeSet<String>>,
    /// Properties that stay hidden whatever else is agreed.
    pub hidden: BTreeSet<String>,
    /// Whether its agreement forbids to hand data on: then none of its values is shipped to another member.
    pub stays: bool,
    /// Whether its agreement lets its values reach other members only behind a mask.
    pub masks: bool,
    /// How it is asked, and on what terms, when its member is no pod server.
    pub foreign: Option<Foreign>,
}

/// What selection found for one source and one pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// The source cannot answer.
    Irrelevant,
    /// It could, but the agreement does not cover this property.
    NotAgreed(String),
    /// It can.
    Candidate(Match),
}

impl Source {
    /// What its member is.
    #[must_use]
    pub fn kind(&self) -> MemberKind {
        let foreign = self.foreign.as_ref();
        foreign.map_or(MemberKind::Pod, |foreign| foreign.registration.kind())
    }

    /// What its owner grants to everybody, when the member cannot enforce a policy itself.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        self.foreign.as_ref()?.registration.terms.as_ref()
    }

    /// Whether this source can answer the pattern, from its summary and the agreement alone.
    #[must_use]
    pub fn select(&self, pattern: &TriplePattern) -> Selection {
        let Some(found) = self.description.matches(pattern) else {
            return Selection::Irrelevant;
        };
        if let NamedNodePattern::NamedNode(predicate) = &pattern.predicate
            && !self.covers(predicate.as_str())
        {
            return Selection::NotAgreed(predicate.as_str().to_owned());
        }
        Selection::Candidate(found)
    }

    /// Whether the agreement covers a property.
    #[must_use]
    pub fn covers(&self, property: &str) -> bool {
        let agreed = self.properties.as_ref().is_none_or(|agreed| agreed.contains(property));
        agreed && !self.hidden.contains(property)
    }

    /// Whether values found elsewhere may be sent to this source as join keys: they are a disclosure, so only an agreed source
    /// sees keys of agreed ones, and another member none at all where the agreement they come from forbids to hand data on
    /// (ENF-34; threat: intermediate results leaking by bound joins).
    #[must_use]
    pub fn may_receive_keys_of(&self, origin: &Self) -> bool {
        let agreed = origin.agreement.is_none() || self.agreement.is_some();
        agreed && (!origin.stays || origin.member == self.member)
    }

    /// Whether keys can be sent to this source behind a mask: pod servers know the function.
    #[must_use]
    pub fn looks_through_masks(&self) -> bool {
        self.kind() == MemberKind::Pod
    }
}
