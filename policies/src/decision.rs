//! What a decision says: effect, reasons, duties for the enforcement point, the view of a query, and until when.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::treatment::Treatment;
use crate::wac::Modes;

/// The four outcomes of XACML. The enforcement point maps all but [`Effect::Permit`] to refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Allowed, if every obligation is carried out.
    Permit,
    /// Refused by rule, or because nothing permits.
    Deny,
    /// No policy speaks about the request.
    NotApplicable,
    /// A policy speaks, but it is broken or a fact is missing.
    Indeterminate,
}

impl Effect {
    /// The code in logs and audit records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::NotApplicable => "not-applicable",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// Why: a stable code for programs. The words for people are in [`crate::explain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// An authorization of the effective ACL grants the modes.
    AclGrants,
    /// The effective ACL does not grant all modes asked for.
    AclDoesNotGrant,
    /// No ACL was found up to the root.
    AclMissing,
    /// The effective ACL cannot be read or understood.
    AclBroken,
    /// A group document cannot be read; its members are unknown, so nobody counts as one.
    GroupUnavailable,
    /// The query names no agreement.
    AgreementNotNamed,
    /// The named agreement does not exist here.
    AgreementMissing,
    /// The named agreement is terminated, suspended or expired.
    AgreementNotActive,
    /// The policy is not an agreement (an offer grants nothing).
    PolicyNotAgreement,
    /// The policy fails validation.
    PolicyInvalid,
    /// The policy names a profile that is not understood.
    ProfileUnknown,
    /// The agreed dataset does not exist or covers nothing.
    DatasetMissing,
    /// The caller is not the assignee.
    AssigneeMismatch,
    /// The action is not permitted by any rule.
    ActionNotPermitted,
    /// The stated purpose is not one of those agreed.
    PurposeNotPermitted,
    /// The policy asks for a purpose and none was stated.
    PurposeMissing,
    /// Outside the agreed period.
    OutsidePeriod,
    /// The recipient is not one of those agreed.
    RecipientNotPermitted,
    /// Another constraint is not satisfied.
    ConstraintNotSatisfied,
    /// A prohibition applies.
    Prohibited,
    /// A prohibition could apply and cannot be evaluated.
    ProhibitionUnknown,
    /// A left operand is not understood.
    UnknownLeftOperand,
    /// An operator is not defined for this operand.
    UnknownOperator,
    /// A right operand has an unusable value.
    UnknownRightOperand,
    /// An action is not understood.
    UnknownAction,
    /// A duty is not understood or cannot be carried out here.
    UnknownDuty,
    /// A refinement is not understood.
    UnknownRefinement,
    /// A term is not understood, and could be anything.
    UnknownTerm,
    /// A duty that must come first has not been fulfilled.
    DutyNotFulfilled,
    /// An obligation of the caller was not fulfilled in time.
    ObligationViolated,
    /// A party or asset collection cannot be resolved.
    UnknownCollection,
    /// No property of the dataset is left to show.
    NothingVisible,
    /// A fact could not be obtained.
    FactUnavailable,
    /// A permission is active.
    PermissionActive,
    /// Only documents whose data subject consents are visible.
    ConsentRequired,
}

impl ReasonCode {
    /// The code as text, kebab-case, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AclGrants => "acl-grants",
            Self::AclDoesNotGrant => "acl-does-not-grant",
            Self::AclMissing => "acl-missing",
            Self::AclBroken => "acl-broken",
            Self::GroupUnavailable => "group-unavailable",
            Self::AgreementNotNamed => "agreement-not-named",
            Self::AgreementMissing => "agreement-missing",
            Self::AgreementNotActive => "agreement-not-active",
            Self::PolicyNotAgreement => "policy-not-agreement",
            Self::PolicyInvalid => "policy-invalid",
            Self::ProfileUnknown => "profile-unknown",
            Self::DatasetMissing => "dataset-missing",
            Self::AssigneeMismatch => "assignee-mismatch",
            Self::ActionNotPermitted => "action-not-permitted",
            Self::PurposeNotPermitted => "purpose-not-permitted",
            Self::PurposeMissing => "purpose-missing",
            Self::OutsidePeriod => "outside-period",
            Self::RecipientNotPermitted => "recipient-not-permitted",
            Self::ConstraintNotSatisfied => "constraint-not-satisfied",
            Self::Prohibited => "prohibited",
            Self::ProhibitionUnknown => "prohibition-unknown",
            Self::UnknownLeftOperand => "unknown-left-operand",
            Self::UnknownOperator => "unknown-operator",
            Self::UnknownRightOperand => "unknown-right-operand",
            Self::UnknownAction => "unknown-action",
            Self::UnknownDuty => "unknown-duty",
            Self::UnknownRefinement => "unknown-refinement",
            Self::UnknownTerm => "unknown-term",
            Self::DutyNotFulfilled => "duty-not-fulfilled",
            Self::ObligationViolated => "obligation-violated",
            Self::UnknownCollection => "unknown-collection",
            Self::NothingVisible => "nothing-visible",
            Self::FactUnavailable => "fact-unavailable",
            Self::PermissionActive => "permission-active",
            Self::ConsentRequired => "consent-required",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// What kind of reason.
    pub code: ReasonCode,
    /// The rule it comes from, as a path in the policy (`permission[0]`), when there is one.
    pub rule: Option<String>,
    /// What exactly: an IRI, an instant, a mode. Empty when the code says all.
    pub about: String,
}

impl Reason {
    /// A reason that is not tied to a rule.
    #[must_use]
    pub fn new(code: ReasonCode, about: impl Into<String>) -> Self {
        Self {
            code,
            rule: None,
            about: about.into(),
        }
    }

    /// The same reason, tied to a rule.
    #[must_use]
    pub fn at(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }
}

/// What the enforcement point must do along with the permitted action; if it cannot, it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "obligation")]
pub enum Obligation {
    /// Only aggregates leave, each over at least this many distinct data subjects.
    AggregateOnly {
        /// Smallest number of distinct data subjects in a group, at least 1.
        subjects_min: u32,
    },
    /// Aggregates leave as multiples of a number, which stands beside [`Obligation::AggregateOnly`].
    Round {
        /// The number, at least 1.
        base: u32,
    },
    /// The use is in the log before data leaves.
    Log,
    /// Values are changed before anything looks at them, as [`View::treatment`] says.
    ChangeValues,
}

/// A remark that the enforcement point may ignore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// The remark, for a log.
    pub text: String,
}

/// A document is visible only if its data subject's consent covers this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentCondition {
    /// WebID of the one who receives the data.
    pub recipient: String,
    /// The stated purpose, an IRI.
    pub purpose: String,
}

/// What a query under an agreement may see. Nothing outside it exists for the query.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct View {
    /// The agreed dataset.
    pub dataset: String,
    /// Container IRIs; every document below them, at any depth.
    pub containers: Vec<String>,
    /// Relative containers (`telraam/`), taken in every storage of this server whose owner consents. Never empty
    /// without [`View::consent`].
    pub member_containers: Vec<String>,
    /// When set, a document counts only if its data subject's consent covers it.
    pub consent: Option<ConsentCondition>,
    /// The visible predicates; `None` means all that are not hidden.
    pub properties: Option<BTreeSet<String>>,
    /// Predicates that are hidden whatever else is said.
    pub hidden: BTreeSet<String>,
    /// What becomes of values before they are shown.
    #[serde(default)]
    pub treatment: Treatment,
}

impl View {
    /// Whether statements with this predicate are visible.
    #[must_use]
    pub fn shows(&self, predicate: &str) -> bool {
        !self.hidden.contains(predicate) && self.properties.as_ref().is_none_or(|all| all.contains(predicate))
    }
}

/// The answer to an [`AccessRequest`](crate::request::AccessRequest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The outcome.
    pub effect: Effect,
    /// Why, at least one.
    pub reasons: Vec<Reason>,
    /// What must be done along with it. Sorted, without doubles.
    pub obligations: Vec<Obligation>,
    /// What may be done along with it.
    pub advice: Vec<Advice>,
    /// The first instant at which the answer may change by the passing of time alone.
    #[serde(with = "time::serde::rfc3339::option")]
    pub valid_until: Option<OffsetDateTime>,
    /// For a permitted query: what it may see.
    pub view: Option<View>,
    /// For a Solid operation: all modes of this subject on the resource (`WAC-Allow: user`).
    pub modes: Modes,
    /// For a Solid operation: all modes of the public on the resource (`WAC-Allow: public`).
    pub public_modes: Modes,
}

impl Decision {
    /// A decision that does not permit, with one reason.
    #[must_use]
    pub fn refuse(effect: Effect, reason: Reason) -> Self {
        let effect = if effect == Effect::Permit {
            Effect::Indeterminate
        } else {
            effect
        };
        Self {
            effect,
            reasons: vec![reason],
            obligations: Vec::new(),
            advice: Vec::new(),
            valid_until: None,
            view: None,
            modes: Modes::NONE,
            public_modes: Modes::NONE,
        }
    }

    /// Whether the action may go on (its obligations still bind).
    #[must_use]
    pub fn permits(&self) -> bool {
        self.effect == Effect::Permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_never_permits() {
        for effect in [
            Effect::Permit,
            Effect::Deny,
            Effect::NotApplicable,
            Effect::Indeterminate,
        ] {
            let decision = Decision::refuse(effect, Reason::new(ReasonCode::AclMissing, ""));
            assert!(!decision.permits());
            assert!(decision.view.is_none());
        }
    }

    #[test]
    fn codes_are_the_same_in_json_and_in_text() {
        for code in [
            ReasonCode::AclGrants,
            ReasonCode::UnknownLeftOperand,
            ReasonCode::PolicyNotAgreement,
            ReasonCode::OutsidePeriod,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        assert_eq!(
            serde_json::to_value(Effect::NotApplicable).unwrap(),
            Effect::NotApplicable.as_str()
        );
    }

    #[test]
    fn hidden_wins_over_listed() {
        let view = View {
            properties: Some(BTreeSet::from(["p".into(), "q".into()])),
            hidden: BTreeSet::from(["q".into()]),
            ..View::default()
        };
        for (predicate, visible) in [("p", true), ("q", false), ("r", false)] {
            assert_eq!(view.shows(predicate), visible, "{predicate}");
        }
        assert!(View::default().shows("anything"));
    }
}
