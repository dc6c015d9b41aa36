//! Facts: what a decision needs to know beyond the request, asked for by name and supplied by the information point.
//!
//! Each fact is present, absent (looked for, does not exist) or unavailable (could not be looked up). The three are
//! never mixed up: absence can be decided on, unavailability denies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::acp::EffectiveAcp;
use crate::contract::AgreementState;
use crate::odrl::{Circumstances, Policy};
use crate::purpose::Hierarchy;
use crate::wac::Acl;

/// A fact that a decision asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactRequest {
    /// The rules that govern a resource. Under Web Access Control the ACL that counts: its own, or that of its nearest
    /// ancestor which has one. Under Access Control Policies its own access control resource and those of all ancestors.
    EffectiveAcl {
        /// IRI of the resource (never of its ACL).
        resource: String,
    },
    /// Those who own a resource.
    Owners {
        /// IRI of the resource.
        resource: String,
    },
    /// Those who made a resource.
    Creators {
        /// IRI of the resource.
        resource: String,
    },
    /// The members of a vcard:Group.
    GroupMembers {
        /// IRI of the group.
        group: String,
    },
    /// An agreement with its present state.
    Agreement {
        /// IRI of the agreement.
        id: String,
    },
    /// What a dataset covers.
    Dataset {
        /// IRI of the dataset.
        id: String,
    },
    /// Purposes known at this node beyond the built-in ones.
    Purposes,
}

/// The value of a fact.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Answer to [`FactRequest::EffectiveAcl`] under Web Access Control.
    Acl(EffectiveAcl),
    /// Answer to [`FactRequest::EffectiveAcl`] under Access Control Policies.
    Acp(Arc<EffectiveAcp>),
    /// Answer to [`FactRequest::Owners`] and [`FactRequest::Creators`]: WebIDs.
    People(Arc<Vec<String>>),
    /// An ACL or access control resource exists and cannot be understood. Denies.
    AclBroken(String),
    /// Answer to [`FactRequest::GroupMembers`]: WebIDs.
    Members(Arc<BTreeSet<String>>),
    /// Answer to [`FactRequest::Agreement`].
    Agreement(Arc<AgreementFact>),
    /// Answer to [`FactRequest::Dataset`].
    Dataset(Arc<DatasetFact>),
    /// Answer to [`FactRequest::Purposes`].
    Purposes(Arc<Hierarchy>),
    /// Looked for, does not exist.
    Absent,
    /// Could not be looked up; says why, for the operator's log.
    Unavailable(String),
}

/// A compiled ACL and whether it is inherited.
#[derive(Clone, Debug)]
pub struct EffectiveAcl {
    /// The compiled document, shared with the cache.
    pub acl: Arc<Acl>,
    /// IRI of the resource whose ACL this is: the resource itself, or an ancestor container.
    pub holder: String,
    /// True when `holder` is an ancestor (then only `acl:default` counts).
    pub inherited: bool,
}

/// An agreement as stored at the owner.
#[derive(Clone, Debug)]
pub struct AgreementFact {
    /// The parsed agreement.
    pub policy: Arc<Policy>,
    /// Its present state.
    pub state: AgreementState,
    /// When it ends whatever its rules say.
    pub expires_at: Option<OffsetDateTime>,
    /// How often it was used until now, where uses are counted. What asks for a count holds for nobody without.
    pub uses: Option<u64>,
    /// What the server that holds the data knows beyond that.
    pub circumstances: Circumstances,
}

/// What a dataset covers, from its DCAT description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFact {
    /// `meent:container`: container IRIs.
    pub containers: Vec<String>,
    /// `meent:memberContainer`: relative containers in every consenting storage of this server.
    pub member_containers: Vec<String>,
    /// Asset collections that the dataset belongs to, transitively (`odrl:partOf`).
    pub part_of: BTreeSet<String>,
}

/// The facts gathered so far.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    known: BTreeMap<FactRequest, Fact>,
}

impl Facts {
    /// No facts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the answer to a request, replacing an earlier one.
    pub fn insert(&mut self, request: FactRequest, fact: Fact) {
        self.known.insert(request, fact);
    }

    /// The same facts with one more, for building in one expression.
    #[must_use]
    pub fn with(mut self, request: FactRequest, fact: Fact) -> Self {
        self.insert(request, fact);
        self
    }

    /// All facts, in the order of what was asked.
    pub fn iter(&self) -> impl Iterator<Item = (&FactRequest, &Fact)> {
        self.known.iter()
    }

    /// The answer to a request, if it was given.
    #[must_use]
    pub fn find(&self, request: &FactRequest) -> Option<&Fact> {
        self.known.get(request)
    }
}
