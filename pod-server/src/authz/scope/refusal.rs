//! A query that is not answered: what the caller is told, and who else learns of it.

use std::sync::Arc;

use http::StatusCode;
use policies::audit::Basis;
use policies::audit::basis::rules_of;
use policies::decision::{Decision, ReasonCode};
use roaring::RoaringBitmap;
use serde_json::json;
use server_kit::problem::Problem;

use crate::store::StorageId;

/// A refusal.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What the caller is told.
    pub problem: Problem,
    /// Why, for the log. Empty when nothing was decided, as when the server is not ready: then nothing is recorded.
    pub reasons: Vec<ReasonCode>,
    /// What it was about.
    pub target: String,
    /// Storages whose owners see it.
    pub owners: Vec<StorageId>,
    /// Storages of the people whose data it was about.
    pub subjects: RoaringBitmap,
    /// What the decision was made from, where a policy decided.
    pub basis: Option<Arc<Basis>>,
    /// Rules of the policy that say so.
    pub rules: Vec<String>,
}

impl Refusal {
    /// A refusal that nobody but the caller needs to know of.
    #[must_use]
    pub fn unrecorded(problem: Problem) -> Self {
        Self {
            problem,
            reasons: Vec::new(),
            target: String::new(),
            owners: Vec::new(),
            subjects: RoaringBitmap::new(),
            basis: None,
            rules: Vec::new(),
        }
    }

    /// Not now.
    #[must_use]
    pub fn unavailable(detail: &str) -> Self {
        Self::unrecorded(Problem::unavailable(detail, 1))
    }

    /// A recorded refusal.
    #[must_use]
    pub fn recorded(problem: Problem, reasons: Vec<ReasonCode>, target: impl Into<String>) -> Self {
        Self {
            reasons,
            target: target.into(),
            ..Self::unrecorded(problem)
        }
    }

    /// The same, by a decision and with what that was made from.
    #[must_use]
    pub fn resting_on(mut self, decision: &Decision, basis: Arc<Basis>) -> Self {
        self.rules = rules_of(decision);
        self.basis = Some(basis);
        self
    }

    /// The same, seen by owners and data subjects.
    #[must_use]
    pub fn seen_by(mut self, owners: Vec<StorageId>, subjects: RoaringBitmap) -> Self {
        self.owners = owners;
        self.subjects = subjects;
        self
    }
}

/// What a caller is told about a decision that does not permit.
pub(super) fn problem_of(decision: &Decision, purposes: &[String]) -> Problem {
    let first = decision
        .reasons
        .iter()
        .find(|reason| reason.code != ReasonCode::PermissionActive);
    let code = first.map(|reason| reason.code);
    let about = first.map_or("", |reason| reason.about.as_str());
    let problem = match code {
        Some(ReasonCode::PurposeMissing) => Problem::bad_request("purpose-missing", "A purpose is missing")
            .detail("the agreement binds the data to a purpose; state it with the parameter `purpose`, as an IRI"),
        Some(ReasonCode::PurposeNotPermitted) => forbidden("purpose-not-agreed", "The purpose is not agreed")
            .detail("the agreement permits other purposes than the one that was stated"),
        Some(ReasonCode::AgreementNotActive) => forbidden("agreement-not-active", "The agreement is not active")
            .detail(format!(
                "the agreement is {about}; nothing is answered under it any more"
            )),
        Some(ReasonCode::OutsidePeriod) => forbidden("agreement-expired", "Outside the agreed period")
            .detail("the agreement permits the use in another period only"),
        Some(ReasonCode::ConstraintNotSatisfied) if about == vocab::odrl::COUNT => {
            forbidden("uses-exhausted", "The agreed number of uses is reached")
                .detail("the agreement permits so many uses and no more; nothing is answered under it any more")
        }
        Some(ReasonCode::AgreementMissing | ReasonCode::AssigneeMismatch) => {
            forbidden("no-agreement", "There is no such agreement").detail("no agreement of yours has this IRI here")
        }
        Some(ReasonCode::FactUnavailable) => Problem::unavailable("the agreement cannot be looked up now", 1),
        _ => forbidden("not-agreed", "The agreement does not permit this")
            .detail("the agreement does not permit this use; the reasons tell which of its rules"),
    };
    let problem = if matches!(code, Some(ReasonCode::PurposeMissing | ReasonCode::PurposeNotPermitted)) {
        problem.with("purposes", json!(purposes))
    } else {
        problem
    };
    // Whether an agreement exists is no business of others than its parties.
    let hidden = matches!(code, Some(ReasonCode::AgreementMissing | ReasonCode::AssigneeMismatch));
    if hidden {
        return problem;
    }
    let reasons: Vec<_> = decision
        .reasons
        .iter()
        .map(|reason| json!({ "code": reason.code, "about": reason.about, "rule": reason.rule }))
        .collect();
    problem.with("reasons", json!(reasons))
}

/// 403 of a kind.
pub(super) fn forbidden(kind: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, kind, title)
}
