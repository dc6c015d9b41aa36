//! What a decision rested on, kept with its record so that anyone who holds the record can make the decision again (AUD-9).
//!
//! Small facts stand here as they were. Documents (access rules, agreements, datasets) are named by their digest and kept
//! once beside the log, however many decisions rest on them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::record::{AuditRecord, Outcome};
use crate::contract::AgreementState;
use crate::decide::{Response, decide};
use crate::decision::{Decision, Obligation, ReasonCode};
use crate::facts::{Fact, FactRequest, Facts};
use crate::request::{AccessRequest, Action, Subject, WebId};
use crate::wac::Modes;

/// What was asked and what was known. Who asked, for which purpose and under which agreement stands in the record. Members
/// are in the order of their names, see [`AuditRecord::canonical_bytes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The instant of the decision.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What was known.
    pub facts: Vec<Known>,
    /// Issuer of the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Where the rest is kept, of a record that several owners see: none of them is to learn what the others have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Each of these had to be permitted. Never empty where nothing is kept apart.
    pub questions: Vec<Question>,
}

impl Basis {
    /// Whether it holds anything that a decision could be made from.
    #[must_use]
    pub fn is_telling(&self) -> bool {
        self.kept.is_some() || !self.questions.is_empty()
    }
}

/// A basis that is kept apart from its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// The basis.
    pub basis: Basis,
    /// A random text, so that the digest in the record cannot be used to try guesses.
    pub nonce: String,
}

/// One question that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The access modes that were needed; none for a query under an agreement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modes: Option<Modes>,
    /// The `Origin` that counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// IRI of the resource, or of the endpoint of a query.
    pub resource: String,
}

/// A fact as it was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// The rules that governed a resource.
    Rules {
        /// Why they could not be used at all, when that was so whatever the documents say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        broken: Option<String>,
        /// The documents, from the resource upwards; none when there were no rules.
        documents: Vec<Document>,
        /// The resource.
        resource: String,
    },
    /// Whether the one who asked was a member of a group.
    Group {
        /// The group.
        group: String,
        /// None when the group could not be read.
        member: Option<bool>,
    },
    /// Who owned or made a resource.
    People {
        /// Whether its makers are meant, not its owners.
        creators: bool,
        /// WebIDs; none when that could not be looked up.
        people: Option<Vec<String>>,
        /// The resource.
        resource: String,
    },
    /// An agreement and its state.
    Agreement {
        /// Where that is kept which the server knew beyond request and clock, such as what the owner states.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        circumstances: Option<String>,
        /// Its IRI.
        id: String,
        /// Where its policy is kept; none when there was no such agreement in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<String>,
        /// Its state.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<AgreementState>,
        /// Why it could not be looked up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unavailable: Option<String>,
        /// How often it had been used, where that counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uses: Option<u64>,
    },
    /// What a dataset covered.
    Dataset {
        /// Where that is kept; none when there was no such dataset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        covers: Option<String>,
        /// Its IRI.
        id: String,
        /// Why it could not be looked up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unavailable: Option<String>,
    },
}

/// A document with access rules in one of its states.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Document {
    /// IRI of the resource that it is for.
    pub holder: String,
    /// Its IRI.
    pub iri: String,
    /// Where that state is kept: the root of its storage, and the SHA-256 of its bytes in hexadecimal.
    pub kept: String,
    /// Its media type.
    pub media_type: String,
    /// Whether it is an access control resource (ACP), not an access control list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub policies: bool,
}

impl Known {
    /// A fact in the form that is kept; none for facts whose documents the caller has to name.
    #[must_use]
    pub fn of(request: &FactRequest, fact: &Fact, subject: &Subject, documents: &[Document]) -> Option<Self> {
        match request {
            FactRequest::EffectiveAcl { resource } => Some(Self::Rules {
                broken: match fact {
                    Fact::AclBroken(why) | Fact::Unavailable(why) if documents.is_empty() => Some(why.clone()),
                    _ => None,
                },
                documents: documents.to_vec(),
                resource: resource.clone(),
            }),
            FactRequest::GroupMembers { group } => Some(Self::Group {
                group: group.clone(),
                member: match fact {
                    Fact::Members(members) => {
                        let web_id = subject.agent.web_id();
                        Some(web_id.is_some_and(|web_id| members.contains(web_id.as_str())))
                    }
                    Fact::Absent => Some(false),
                    _ => None,
                },
            }),
            FactRequest::Owners { resource } | FactRequest::Creators { resource } => Some(Self::People {
                creators: matches!(request, FactRequest::Creators { .. }),
                people: match fact {
                    Fact::People(people) => Some(people.to_vec()),
                    Fact::Absent => Some(Vec::new()),
                    _ => None,
                },
                resource: resource.clone(),
            }),
            FactRequest::Agreement { .. } | FactRequest::Dataset { .. } | FactRequest::Purposes => None,
        }
    }
}

/// A decision as a record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<ReasonCode>,
    /// Which rules say so.
    pub rules: Vec<String>,
    /// What had to be done along with it.
    pub obligations: Vec<Obligation>,
}

impl Told {
    /// What a record tells.
    #[must_use]
    pub fn by(record: &AuditRecord) -> Self {
        Self {
            outcome: record.outcome,
            reasons: record.reasons.clone(),
            rules: record.rules.clone(),
            obligations: record.obligations.clone(),
        }
    }

    /// What a decision tells.
    #[must_use]
    pub fn of(decision: &Decision) -> Self {
        Self {
            outcome: if decision.permits() {
                Outcome::Permit
            } else {
                Outcome::Deny
            },
            reasons: decision.reasons.iter().map(|reason| reason.code).collect(),
            rules: rules_of(decision),
            obligations: decision.obligations.clone(),
        }
    }
}

/// The rules that a decision's reasons name, each once.
#[must_use]
pub fn rules_of(decision: &Decision) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for rule in decision.reasons.iter().filter_map(|reason| reason.rule.as_ref()) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    rules
}

/// Why a recorded decision cannot be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAgain {
    /// The agent is no WebID.
    #[error("the agent `{0}` is no WebID")]
    Agent(String),
    /// A fact is lacking that the decision asks for.
    #[error("the decision asks for what was not kept: {0}")]
    Fact(String),
    /// There is no question.
    #[error("the record holds no question")]
    Nothing,
}

/// Makes a recorded decision again from what was kept. As when it was made, the first question that is not permitted says
/// why; if all are permitted the first one does.
///
/// # Errors
/// [`NotAgain`] says what is lacking.
pub fn again(record: &AuditRecord, basis: &Basis, facts: &Facts) -> Result<Told, NotAgain> {
    let subject = match &record.agent {
        None => Subject::public(),
        Some(agent) => {
            Subject::authenticated(WebId::parse(agent.as_str()).map_err(|_| NotAgain::Agent(agent.clone()))?)
        }
    };
    let mut first: Option<Decision> = None;
    for question in &basis.questions {
        let request = AccessRequest {
            subject: Subject {
                client: record.client.clone(),
                issuer: basis.issuer.clone(),
                origin: question.origin.clone(),
                ..subject.clone()
            },
            action: question.modes.map_or(Action::Query, Action::Wac),
            resource: question.resource.clone(),
            purpose: record.purpose.clone(),
            now: basis.at,
            agreement: record.agreement.clone(),
        };
        let decision = match decide(&request, facts) {
            Response::Decided(decision) => decision,
            Response::NeedsFacts(wanted) => {
                return Err(NotAgain::Fact(
                    wanted.first().map(|fact| format!("{fact:?}")).unwrap_or_default(),
                ));
            }
        };
        if !decision.permits() {
            return Ok(Told::of(&decision));
        }
        first.get_or_insert(decision);
    }
    first.as_ref().map(Told::of).ok_or(NotAgain::Nothing)
}
