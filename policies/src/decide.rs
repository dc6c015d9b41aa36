//! The one entry point: request and facts in, decision or wanted facts out.
//!
//! [`decide`] is pure. It asks for what it lacks; the caller supplies each asked fact (present, absent or unavailable)
//! and calls again. After at most [`ROUNDS_MAX`] rounds there is nothing left to ask, whatever the facts are; a caller
//! that leaves an asked fact out simply gets asked again, so it must bound its loop by [`ROUNDS_MAX`] and then refuse.

use std::collections::BTreeSet;

use crate::contract::AgreementState;
use crate::decision::{Decision, Effect, Reason, ReasonCode};
use crate::facts::{AgreementFact, DatasetFact, EffectiveAcl, Fact, FactRequest, Facts};
use crate::odrl::{Circumstances, Evaluation, Situation, evaluate};
use crate::purpose::Hierarchy;
use crate::request::{AccessRequest, Action};
use crate::wac::{AclTarget, Modes};

/// Most rounds of asking: the ACL and then its groups; the policies and then owners and creators; or the agreement, then its dataset and the purposes.
pub const ROUNDS_MAX: usize = 3;

/// The answer of [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a decision is the common case, and is not worth an allocation"
)]
pub enum Response {
    /// A decision.
    Decided(Decision),
    /// Facts are lacking. Never empty.
    NeedsFacts(Vec<FactRequest>),
}

/// Decides on a request with the facts at hand.
///
/// A Solid operation ([`Action::Wac`]) is decided by the effective ACL or, in a storage under Access Control Policies, by
/// the effective policies. A query ([`Action::Query`]) is decided by the
/// agreement it names; a query that names none is [`Effect::NotApplicable`] here, and whoever wants to answer it anyway
/// asks for [`Modes::READ`] document by document.
#[must_use]
pub fn decide(request: &AccessRequest, facts: &Facts) -> Response {
    match request.action {
        Action::Wac(required) => solid(request, required, facts),
        Action::Query => query(request, facts),
    }
}

fn refuse(effect: Effect, code: ReasonCode, about: impl Into<String>) -> Response {
    Response::Decided(Decision::refuse(effect, Reason::new(code, about)))
}

fn solid(request: &AccessRequest, required: Modes, facts: &Facts) -> Response {
    let wanted = FactRequest::EffectiveAcl {
        resource: request.resource.clone(),
    };
    match facts.find(&wanted) {
        None => Response::NeedsFacts(vec![wanted]),
        Some(Fact::Acl(effective)) => wac(request, required, effective, facts),
        Some(Fact::Acp(effective)) => crate::acp::decide(request, required, effective, facts),
        Some(Fact::Absent) => refuse(Effect::Deny, ReasonCode::AclMissing, &request.resource),
        Some(Fact::AclBroken(why)) => refuse(Effect::Indeterminate, ReasonCode::AclBroken, why),
        Some(Fact::Unavailable(why)) => refuse(Effect::Indeterminate, ReasonCode::FactUnavailable, why),
        Some(_) => refuse(Effect::Indeterminate, ReasonCode::FactUnavailable, "wrong kind of fact"),
    }
}

fn wac(request: &AccessRequest, required: Modes, effective: &EffectiveAcl, facts: &Facts) -> Response {
    let EffectiveAcl { acl, holder, inherited } = effective;
    let target = AclTarget {
        resource: holder,
        inherited: *inherited,
    };
    let mut lacking = Vec::new();
    let mut reasons = Vec::new();
    for group in acl.groups(&request.subject, target) {
        let wanted = FactRequest::GroupMembers {
            group: group.to_owned(),
        };
        match facts.find(&wanted) {
            None => lacking.push(wanted),
            Some(Fact::Members(_) | Fact::Absent) => {}
            // Unknown members are no members: an ACL only ever adds access, so this can only narrow.
            Some(_) => reasons.push(Reason::new(ReasonCode::GroupUnavailable, group)),
        }
    }
    if !lacking.is_empty() {
        return Response::NeedsFacts(lacking);
    }
    let membership = |group: &str, member: &str| {
        let wanted = FactRequest::GroupMembers {
            group: group.to_owned(),
        };
        match facts.find(&wanted) {
            Some(Fact::Members(members)) => Some(members.contains(member)),
            Some(Fact::Absent) => Some(false),
            _ => None,
        }
    };
    let modes = acl.modes(&request.subject, target, &membership);
    let public_modes = acl.public_modes(target, &membership);
    Response::Decided(by_modes(holder, reasons, required, modes, public_modes))
}

/// Permits what the modes allow; `granted_by` is the IRI of what allows it, and `remarks` are told after that.
pub(crate) fn by_modes(
    granted_by: &str,
    remarks: Vec<Reason>,
    required: Modes,
    modes: Modes,
    public_modes: Modes,
) -> Decision {
    // An operation that asks for nothing would be let through by accident, so it is refused.
    let permitted = !required.is_empty() && modes.contains(required);
    let mut reasons = vec![if permitted {
        Reason::new(ReasonCode::AclGrants, granted_by)
    } else {
        Reason::new(ReasonCode::AclDoesNotGrant, (required - modes).to_string())
    }];
    reasons.extend(remarks);
    Decision {
        effect: if permitted { Effect::Permit } else { Effect::Deny },
        reasons,
        obligations: Vec::new(),
        advice: Vec::new(),
        valid_until: None,
        view: None,
        modes,
        public_modes,
    }
}

fn query(request: &AccessRequest, facts: &Facts) -> Response {
    let Some(id) = request.agreement.as_deref() else {
        return refuse(Effect::NotApplicable, ReasonCode::AgreementNotNamed, "");
    };
    let wanted = FactRequest::Agreement { id: id.to_owned() };
    let agreement = match facts.find(&wanted) {
        None => return Response::NeedsFacts(vec![wanted]),
        Some(Fact::Agreement(agreement)) => agreement,
        Some(Fact::Absent) => return refuse(Effect::Deny, ReasonCode::AgreementMissing, id),
        Some(Fact::Unavailable(why)) => return refuse(Effect::Indeterminate, ReasonCode::FactUnavailable, why),
        Some(_) => return refuse(Effect::Indeterminate, ReasonCode::FactUnavailable, "wrong kind of fact"),
    };
    if agreement.policy.id != id {
        return refuse(Effect::Indeterminate, ReasonCode::PolicyInvalid, &agreement.policy.id);
    }
    if let Some(refusal) = in_force(request, agreement) {
        return Response::Decided(refusal);
    }
    let Some(dataset) = agreement.policy.dataset() else {
        return refuse(
            Effect::Indeterminate,
            ReasonCode::PolicyInvalid,
            "an agreement has exactly one target",
        );
    };
    match scope(dataset, facts) {
        Err(response) => *response,
        Ok((covered, purposes)) => Response::Decided(by_agreement(request, agreement, dataset, covered, purposes)),
    }
}

/// `None` when the agreement is in force, otherwise the refusal.
fn in_force(request: &AccessRequest, agreement: &AgreementFact) -> Option<Decision> {
    if let Circumstances::Known(known) = &agreement.circumstances
        && known.delete_by.is_some_and(|deadline| request.now > deadline)
    {
        let reason = Reason::new(ReasonCode::ObligationViolated, vocab::odrl::DELETE);
        return Some(Decision::refuse(Effect::Deny, reason));
    }
    let about = match agreement.state {
        AgreementState::Active if agreement.expires_at.is_some_and(|end| request.now >= end) => {
            AgreementState::Expired.as_str()
        }
        AgreementState::Active => return None,
        other => other.as_str(),
    };
    let reason = Reason::new(ReasonCode::AgreementNotActive, about);
    Some(Decision::refuse(Effect::Deny, reason))
}

static NO_MORE_PURPOSES: std::sync::LazyLock<Hierarchy> = std::sync::LazyLock::new(Hierarchy::default);

fn scope<'f>(dataset: &str, facts: &'f Facts) -> Result<(&'f DatasetFact, &'f Hierarchy), Box<Response>> {
    let wanted = FactRequest::Dataset { id: dataset.to_owned() };
    let (covered, purposes) = match (facts.find(&wanted), facts.find(&FactRequest::Purposes)) {
        (Some(covered), Some(purposes)) => (covered, purposes),
        (covered, purposes) => {
            let mut lacking = Vec::new();
            if covered.is_none() {
                lacking.push(wanted);
            }
            if purposes.is_none() {
                lacking.push(FactRequest::Purposes);
            }
            return Err(Box::new(Response::NeedsFacts(lacking)));
        }
    };
    let covered = match covered {
        Fact::Dataset(covered) => covered.as_ref(),
        Fact::Absent => return Err(Box::new(refuse(Effect::Deny, ReasonCode::DatasetMissing, dataset))),
        Fact::Unavailable(why) => {
            return Err(Box::new(refuse(
                Effect::Indeterminate,
                ReasonCode::FactUnavailable,
                why,
            )));
        }
        _ => {
            return Err(Box::new(refuse(
                Effect::Indeterminate,
                ReasonCode::FactUnavailable,
                "wrong kind of fact",
            )));
        }
    };
    let purposes = match purposes {
        Fact::Purposes(purposes) => purposes.as_ref(),
        Fact::Absent => &NO_MORE_PURPOSES,
        // A prohibition may hang on a pair that is not known now.
        Fact::Unavailable(why) => {
            return Err(Box::new(refuse(
                Effect::Indeterminate,
                ReasonCode::FactUnavailable,
                why,
            )));
        }
        _ => {
            return Err(Box::new(refuse(
                Effect::Indeterminate,
                ReasonCode::FactUnavailable,
                "wrong kind of fact",
            )));
        }
    };
    if covered.containers.is_empty() && covered.member_containers.is_empty() {
        return Err(Box::new(refuse(Effect::Deny, ReasonCode::DatasetMissing, dataset)));
    }
    Ok((covered, purposes))
}

fn by_agreement(
    request: &AccessRequest,
    agreement: &AgreementFact,
    dataset: &str,
    covered: &DatasetFact,
    purposes: &Hierarchy,
) -> Decision {
    let world = match &agreement.circumstances {
        Circumstances::Known(known) => Some(known.world(request.now, request.subject.client.as_deref())),
        Circumstances::NotKept | Circumstances::Elsewhere => None,
    };
    let situation = Situation {
        party: request.subject.agent.web_id().map(|web_id| web_id.as_str()),
        dataset,
        part_of: &covered.part_of,
        purpose: request.purpose.as_deref(),
        now: request.now,
        purposes,
        world: world.as_ref(),
        uses: agreement.uses,
        circumstances: &agreement.circumstances,
        forbidding: false,
    };
    let Evaluation {
        effect,
        mut reasons,
        obligations,
        grant,
        valid_until,
    } = evaluate(&agreement.policy, &situation);
    let ends = agreement.expires_at.filter(|end| *end > request.now);
    let turns = match &agreement.circumstances {
        Circumstances::Known(known) => known.changes(&agreement.policy, request.now),
        Circumstances::NotKept | Circumstances::Elsewhere => Vec::new(),
    };
    let valid_until = [valid_until, ends].into_iter().flatten().chain(turns).min();
    let mut decision = Decision {
        effect,
        reasons: Vec::new(),
        obligations,
        advice: Vec::new(),
        valid_until,
        view: None,
        modes: Modes::NONE,
        public_modes: Modes::NONE,
    };
    if let Some(grant) = grant {
        // Storages of citizens are only ever reached through their consent (`meent:memberContainer`).
        let member_containers = if grant.consent.is_some() {
            distinct(&covered.member_containers)
        } else {
            Vec::new()
        };
        let containers = distinct(&covered.containers);
        if containers.is_empty() && member_containers.is_empty() {
            reasons.push(Reason::new(ReasonCode::NothingVisible, dataset));
            decision.effect = Effect::Deny;
            decision.obligations = Vec::new();
        } else {
            decision.view = Some(crate::decision::View {
                dataset: dataset.to_owned(),
                containers,
                member_containers,
                consent: grant.consent,
                properties: grant.properties,
                hidden: grant.hidden,
                treatment: grant.treatment,
            });
        }
    }
    decision.reasons = reasons;
    decision
}

fn distinct(values: &[String]) -> Vec<String> {
    values.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
