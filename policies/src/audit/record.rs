//! The readable audit record and its canonical bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::basis::{Basis, rules_of};
use super::duties::DutyStep;
use crate::decision::{Decision, Obligation, ReasonCode};

/// What was done or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditAction {
    /// A query under an agreement or over what the agent may read.
    Query,
    /// Reading a resource.
    Read,
    /// Creating a resource.
    Create,
    /// Changing a resource.
    Update,
    /// Deleting a resource.
    Delete,
    /// Changing who has access.
    Control,
    /// A consent was requested, given, refused, withdrawn or has expired.
    Consent,
    /// A step in a negotiation, or in the life of an agreement.
    Agreement,
    /// A token bound to an agreement was issued.
    Token,
    /// Bulk import by the operator.
    Import,
    /// Reading the audit log itself.
    Audit,
    /// Readable records were deleted under a rule of retention, or because a person left.
    Purge,
    /// Something unusual was noticed.
    Signal,
}

/// Which readable records were deleted, and why. Their leaves stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// Only what is older was deleted, when the rule is about age.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub before: Option<OffsetDateTime>,
    /// Documents that decisions rested on and that were deleted too: SHA-256 of where each was kept, in hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// First and last position of each run of leaves, in ascending order.
    pub leaves: Vec<(u64, u64)>,
    /// The rule, as `use` for records of reading and queries, or `erasure`.
    pub rule: String,
}

impl Purged {
    /// What tells that the records of some leaves, in ascending order, were deleted under a rule.
    #[must_use]
    pub fn of(leaves: &[u64], rule: impl Into<String>, before: Option<OffsetDateTime>) -> Self {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for leaf in leaves {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(*leaf) => *last = *leaf,
                _ => runs.push((*leaf, *leaf)),
            }
        }
        Self {
            before,
            documents: Vec::new(),
            leaves: runs,
            rule: rule.into(),
        }
    }

    /// Whether it is about a leaf.
    #[must_use]
    pub fn covers(&self, leaf: u64) -> bool {
        self.leaves.iter().any(|(first, last)| (*first..=*last).contains(&leaf))
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was allowed.
    Permit,
    /// It was refused, for whatever reason.
    Deny,
}

/// One record per decision, query, step of a contract or event of a consent (AUD-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Unique identifier, random.
    pub id: String,
    /// When, by the node's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Base URL of the node that decided.
    pub node: String,
    /// WebID of the agent; `None` for the public.
    pub agent: Option<String>,
    /// Client identifier.
    pub client: Option<String>,
    /// URL of the broker that acted for the agent.
    pub via: Option<String>,
    /// IRI of the agreement.
    pub agreement: Option<String>,
    /// Stated purpose.
    pub purpose: Option<String>,
    /// What was done or tried.
    pub action: AuditAction,
    /// On what: resources, containers or datasets.
    pub targets: Vec<String>,
    /// SHA-256 of the query text, in hexadecimal.
    pub query_hash: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<ReasonCode>,
    /// The rules of the policy that say so, by their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// What the decision was made from, where a policy decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Arc<Basis>>,
    /// The trace that the request belongs to over all nodes: 32 hexadecimal digits (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What had to be done along with it.
    pub obligations: Vec<Obligation>,
    /// Canonical hash of the policy that was applied, in hexadecimal.
    pub policy_hash: Option<String>,
    /// The step of a duty that this was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty: Option<DutyStep>,
    /// Which readable records were deleted, for a record of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purged: Option<Purged>,
    /// How many data subjects were concerned.
    pub subjects: u64,
    /// Merkle root over their commitments, in hexadecimal; `None` when there are none.
    pub subjects_root: Option<String>,
}

impl AuditRecord {
    /// A record with only what every record has.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        time: OffsetDateTime,
        node: impl Into<String>,
        action: AuditAction,
        outcome: Outcome,
    ) -> Self {
        Self {
            id: id.into(),
            time,
            node: node.into(),
            agent: None,
            client: None,
            via: None,
            agreement: None,
            purpose: None,
            action,
            targets: Vec::new(),
            query_hash: None,
            outcome,
            reasons: Vec::new(),
            rules: Vec::new(),
            basis: None,
            trace: None,
            obligations: Vec::new(),
            policy_hash: None,
            duty: None,
            purged: None,
            subjects: 0,
            subjects_root: None,
        }
    }

    /// Takes outcome, reasons, rules and obligations over from a decision.
    #[must_use]
    pub fn with_decision(mut self, decision: &Decision) -> Self {
        self.outcome = if decision.permits() {
            Outcome::Permit
        } else {
            Outcome::Deny
        };
        self.reasons = decision.reasons.iter().map(|reason| reason.code).collect();
        self.rules = rules_of(decision);
        self.obligations.clone_from(&decision.obligations);
        self
    }

    /// The record as canonical JSON: what is stored, hashed and shown.
    ///
    /// # Errors
    /// When the time lies outside the years that RFC 3339 can write.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        // Obligations have members of their own to be sorted; most records have none.
        if self.obligations.is_empty() {
            serde_json::to_vec(&InOrder::of(self))
        } else {
            Ok(canonical_json(&serde_json::to_value(self)?).into_bytes())
        }
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// When the bytes are not a record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// The members of a record in the order of their names, so that its canonical JSON is written in one go.
#[derive(Serialize)]
struct InOrder<'r> {
    action: AuditAction,
    agent: &'r Option<String>,
    agreement: &'r Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'r Basis>,
    client: &'r Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duty: Option<&'r DutyStep>,
    id: &'r str,
    node: &'r str,
    obligations: [(); 0],
    outcome: Outcome,
    policy_hash: &'r Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purged: Option<&'r Purged>,
    purpose: &'r Option<String>,
    query_hash: &'r Option<String>,
    reasons: &'r [ReasonCode],
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<&'r [String]>,
    subjects: u64,
    subjects_root: &'r Option<String>,
    targets: &'r [String],
    #[serde(with = "time::serde::rfc3339")]
    time: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'r str>,
    via: &'r Option<String>,
}

impl<'r> InOrder<'r> {
    fn of(record: &'r AuditRecord) -> Self {
        Self {
            action: record.action,
            agent: &record.agent,
            agreement: &record.agreement,
            basis: record.basis.as_deref(),
            client: &record.client,
            duty: record.duty.as_ref(),
            id: &record.id,
            node: &record.node,
            obligations: [],
            outcome: record.outcome,
            policy_hash: &record.policy_hash,
            purged: record.purged.as_ref(),
            purpose: &record.purpose,
            query_hash: &record.query_hash,
            reasons: &record.reasons,
            rules: (!record.rules.is_empty()).then_some(record.rules.as_slice()),
            subjects: record.subjects,
            subjects_root: &record.subjects_root,
            targets: &record.targets,
            time: record.time,
            trace: record.trace.as_deref(),
            via: &record.via,
        }
    }
}

/// JSON with sorted keys and no white space: equal values give equal bytes. Records hold no fractions, so the numbers of
/// RFC 8785 come out as they are.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            let members: Vec<String> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical_json(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn canonical_json_does_not_depend_on_order() {
        let a: Value = serde_json::from_str(r#"{"b":[1,{"y":"é\n","x":null}],"a":true}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{ "a": true, "b": [1, {"x": null, "y": "é\n"}] }"#).unwrap();
        assert_eq!(canonical_json(&a), canonical_json(&b));
        assert_eq!(canonical_json(&a), r#"{"a":true,"b":[1,{"x":null,"y":"é\n"}]}"#);
    }

    fn basis() -> Basis {
        use crate::audit::{Document, Known, Question};
        let document = Document {
            holder: "https://a.example/jan/".into(),
            iri: "https://a.example/jan/.acl".into(),
            kept: "/jan/00".into(),
            media_type: "text/turtle".into(),
            policies: true,
        };
        Basis {
            at: datetime!(2026-06-01 12:00 UTC),
            facts: vec![
                Known::Rules {
                    broken: Some("no".into()),
                    documents: vec![document],
                    resource: "https://a.example/jan/a".into(),
                },
                Known::Group {
                    group: "https://a.example/g#g".into(),
                    member: None,
                },
                Known::People {
                    creators: true,
                    people: Some(vec!["https://a.example/jan#me".into()]),
                    resource: "https://a.example/jan/a".into(),
                },
                Known::Agreement {
                    circumstances: Some("ef".repeat(32)),
                    id: "https://a.example/x".into(),
                    policy: Some("/jan/01".into()),
                    state: Some(crate::contract::AgreementState::Active),
                    unavailable: Some("no".into()),
                    uses: Some(3),
                },
                Known::Dataset {
                    covers: Some("/jan/02".into()),
                    id: "https://a.example/d".into(),
                    unavailable: Some("no".into()),
                },
            ],
            issuer: Some("https://issuer.example".into()),
            kept: Some("~apart/00".into()),
            questions: vec![Question {
                modes: Some(crate::wac::Modes::READ),
                origin: Some("https://app.example".into()),
                resource: "https://a.example/jan/a".into(),
            }],
        }
    }

    /// A record of an earlier release has the same bytes as when it was written.
    #[test]
    fn records_without_a_basis_keep_their_bytes() {
        let old = r#"{"action":"read","agent":null,"agreement":null,"client":null,"id":"r","node":"https://a.example/","obligations":[],"outcome":"permit","policy_hash":null,"purpose":null,"query_hash":null,"reasons":["acl-grants"],"subjects":0,"subjects_root":null,"targets":[],"time":"2026-06-01T12:00:00Z","via":null}"#;
        let record = AuditRecord::from_bytes(old.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(record.canonical_bytes().unwrap()).unwrap(), old);
    }

    /// AUD-1: the record reads back as it was, and its bytes are stable.
    #[test]
    fn records_round_trip() {
        let mut record = AuditRecord::new(
            "r1",
            datetime!(2026-06-01 12:00 UTC),
            "https://localhost:7100/",
            AuditAction::Query,
            Outcome::Permit,
        );
        record.agent = Some("https://company.example/#me".into());
        record.obligations = vec![Obligation::AggregateOnly { subjects_min: 5 }, Obligation::Log];
        record.reasons = vec![ReasonCode::PermissionActive];
        let plain = AuditRecord {
            obligations: Vec::new(),
            via: Some("https://broker.example/ \"\u{1}é".into()),
            targets: vec!["https://localhost:7100/gent/a".into()],
            subjects: 3,
            ..record.clone()
        };
        let with_basis = AuditRecord {
            rules: vec!["permission[0]".into()],
            basis: Some(Arc::new(basis())),
            duty: Some(DutyStep {
                action: vocab::odrl::DELETE.into(),
                deadline: Some(datetime!(2026-07-01 12:00 UTC)),
                done: false,
                id: "https://a.example/duty".into(),
            }),
            purged: Some(Purged::of(&[1, 2, 3, 7], "use", Some(datetime!(2026-05-01 12:00 UTC)))),
            trace: Some("0af7651916cd43dd8448eb211c80319c".into()),
            ..plain.clone()
        };
        for record in [&plain, &record, &with_basis] {
            let sorted = canonical_json(&serde_json::to_value(record).unwrap());
            assert_eq!(String::from_utf8(record.canonical_bytes().unwrap()).unwrap(), sorted);
            assert_eq!(&AuditRecord::from_bytes(sorted.as_bytes()).unwrap(), record);
        }
        let bytes = record.canonical_bytes().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with(r#"{"action":"query","agent":"https://company.example/#me","agreement":null"#),
            "{text}"
        );
        assert!(
            text.contains(r#""obligations":[{"obligation":"aggregate-only","subjects_min":5},{"obligation":"log"}]"#)
        );
    }
}
