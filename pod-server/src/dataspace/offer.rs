//! Offers and the agreements that come of them: reading them from a description, refusing early what could not be
//! honoured later, and sealing what two parties agree on (ODRL 2.2 §2.1.3-2.1.4, RDFC-1.0).

use std::collections::BTreeSet;
use std::sync::Arc;

use oxrdf::{GraphName, Literal, NamedNode, Quad, Term, Triple};
use policies::contract::AgreementState;
use policies::decision::ReasonCode;
use policies::facts::{AgreementFact, DatasetFact, Fact, FactRequest, Facts};
use policies::odrl::circumstance::{answerable, by_circumstance};
use policies::odrl::{self, AtomicConstraint, Circumstances, Constraint, OdrlLimits, Policy, PolicyKind};
use policies::request::{AccessRequest, Action, Subject, WebId};
use policies::{Decision, Response, decide};
use server_kit::problem::Problem;
use time::OffsetDateTime;
use vocab::{dcterms, dspace, meent, node, odrl as term, prov, xsd};

use super::agreement::Agreement;
use super::catalog::instant;
use super::dataset::{Dataset, Fault};
use super::edge;

/// The party that stands in for any consumer when an offer is examined.
const ANYONE: &str = "https://w3id.org/meent/ns#AnyRecipient";

/// Reads one offer of a dataset.
///
/// # Errors
/// The fault of an offer that cannot be read, is no offer, or is not about this dataset.
pub fn policy(dataset: &Dataset, offer: &str) -> Result<Policy, Fault> {
    let graph = dataset
        .graph()
        .map_err(|error| Fault::at(offer, term::HAS_POLICY, error.to_string()))?;
    let quads: Vec<Quad> = graph
        .iter()
        .map(|triple| triple.into_owned().in_graph(GraphName::DefaultGraph))
        .collect();
    let policies = odrl::parse(&quads, &OdrlLimits::default())
        .map_err(|error| Fault::at(offer, term::HAS_POLICY, error.to_string()))?;
    let policy = policies.into_iter().find(|policy| policy.id == offer).ok_or_else(|| {
        Fault::at(
            offer,
            term::HAS_POLICY,
            "the offer is named and not described in this document",
        )
    })?;
    if policy.kind != PolicyKind::Offer {
        return Err(Fault::at(offer, vocab::rdf::TYPE, "must be an `odrl:Offer`"));
    }
    if policy.dataset() != Some(dataset.iri.as_str()) {
        return Err(Fault::at(
            offer,
            term::TARGET,
            format!("every rule must have the one target `{}`", dataset.iri),
        ));
    }
    if let Some(assigner) = &policy.assigner
        && assigner.id != dataset.owner
    {
        return Err(Fault::at(
            offer,
            term::ASSIGNER,
            format!("the assigner can only be the owner, `{}`", dataset.owner),
        ));
    }
    Ok(policy)
}

/// Examines every offer of a dataset as strictly as a decision would. `encrypted` says whether this server answers over
/// TLS.
///
/// # Errors
/// Every fault: an offer that no query could ever be answered under is refused here, not discovered by a consumer.
pub fn check_all(dataset: &Dataset, encrypted: bool, now: OffsetDateTime) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    for offer in &dataset.offers {
        match policy(dataset, offer) {
            Ok(policy) => check(dataset, &policy, encrypted, now, &mut faults),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn check(dataset: &Dataset, policy: &Policy, encrypted: bool, now: OffsetDateTime, faults: &mut Vec<Fault>) {
    if let Err(errors) = odrl::validate(policy) {
        faults.extend(
            errors
                .iter()
                .map(|error| Fault::at(policy.id.as_str(), term::HAS_POLICY, error.to_string())),
        );
        return;
    }
    if reaches_others(dataset) {
        for (position, permission) in policy.permissions.iter().enumerate() {
            if !permission.constraints.iter().any(asks_for_consent) {
                faults.push(Fault::at(
                    format!("{} permission[{position}]", policy.id),
                    term::CONSTRAINT,
                    "the dataset reaches into the storages of others: each permission must be constrained by \
                     `meent:dataSubjectConsent odrl:eq dpv:ConsentGiven`",
                ));
            }
        }
    }
    conditions(policy, encrypted, faults);
    // Whoever asks and for whatever purpose: a term that is not understood here never will be. Without its conditions
    // each permission is looked at whole, duties included, and alone; only the question for consent stays.
    let mut trials = vec![(None, tried(policy, dataset, ANYONE, vocab::dpv::PURPOSE, now))];
    for (position, permission) in policy.permissions.iter().enumerate() {
        let mut alone = policy.clone();
        alone.prohibitions.clear();
        alone.permissions = vec![permission.clone()];
        for permission in &mut alone.permissions {
            permission.constraints.retain(asks_for_consent);
        }
        let decision = tried(&alone, dataset, ANYONE, vocab::dpv::PURPOSE, now);
        trials.push((Some(position), decision));
    }
    let mut told = BTreeSet::new();
    let reasons = trials
        .into_iter()
        .flat_map(|(position, decision)| decision.reasons.into_iter().map(move |reason| (position, reason)));
    for (position, mut reason) in reasons {
        if let (Some(position), Some(rule)) = (position, &mut reason.rule) {
            *rule = rule.replacen("permission[0]", &format!("permission[{position}]"), 1);
        }
        if not_understood(reason.code) && told.insert(reason.clone()) {
            let focus = reason
                .rule
                .map_or_else(|| policy.id.clone(), |rule| format!("{} {rule}", policy.id));
            faults.push(Fault {
                focus,
                path: None,
                message: format!("this server cannot honour it: {} `{}`", reason.code, reason.about),
            });
        }
    }
}

/// Names every condition that nothing here could ever answer, and the channel that this server does not have.
fn conditions(policy: &Policy, encrypted: bool, faults: &mut Vec<Fault>) {
    let mut said = |rule: String, constraints: &[Constraint]| {
        for atomic in odrl::constraint::atoms(constraints) {
            let left = atomic.left_operand.as_str();
            let message = if !answered(left) {
                format!(
                    "this server cannot honour it: {} `{left}`",
                    ReasonCode::UnknownLeftOperand
                )
            } else if by_circumstance(left) && !answerable(atomic) {
                format!("this server cannot honour it: `{left}` never has such a value, or cannot be compared so")
            } else if !encrypted && asks_for_encryption(atomic) {
                "this server cannot honour it: it does not answer over an encrypted channel".to_owned()
            } else {
                continue;
            };
            faults.push(Fault::at(format!("{} {rule}", policy.id), term::CONSTRAINT, message));
        }
    };
    for (position, rule) in policy.permissions.iter().enumerate() {
        said(format!("permission[{position}]"), &rule.constraints);
        said(format!("permission[{position}]"), &rule.action.refinements);
    }
    for (position, rule) in policy.prohibitions.iter().enumerate() {
        said(format!("prohibition[{position}]"), &rule.constraints);
        said(format!("prohibition[{position}]"), &rule.action.refinements);
    }
}

/// Whether a decision about a query has an answer for conditions on an operand.
fn answered(operand: &str) -> bool {
    let own = [
        term::PURPOSE,
        term::RECIPIENT,
        term::DATE_TIME,
        term::COUNT,
        meent::DATA_SUBJECT_CONSENT,
    ];
    own.contains(&operand) || by_circumstance(operand)
}

fn asks_for_encryption(atomic: &AtomicConstraint) -> bool {
    let encrypted =
        |value: &Term| matches!(value, Term::NamedNode(node) if node.as_str() == meent::ENCRYPTED_TRANSPORT);
    atomic.left_operand == term::DELIVERY_CHANNEL && atomic.right_operands.iter().any(encrypted)
}

/// Refuses a request that the offer can never satisfy as it stands.
///
/// # Errors
/// 422 with the reasons.
pub fn check_usable(
    offer: &Policy,
    dataset: &Dataset,
    consumer: &str,
    purpose: &str,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    let decision = tried(offer, dataset, consumer, purpose, now);
    if decision.permits() {
        return Ok(());
    }
    let problem = edge::unprocessable("offer-does-not-permit", "the offer does not permit this purpose to you");
    Err(edge::explained(problem, &decision))
}

/// Decides as if the offer were an agreement with this consumer.
fn tried(offer: &Policy, dataset: &Dataset, consumer: &str, purpose: &str, now: OffsetDateTime) -> Decision {
    let id = format!("{}#trial", dataset.iri);
    let policy = agreed(offer, &id, &dataset.owner, consumer, now);
    let facts = Facts::new()
        .with(
            FactRequest::Agreement { id: id.clone() },
            Fact::Agreement(Arc::new(AgreementFact {
                uses: Some(0),
                circumstances: Circumstances::Elsewhere,
                policy: Arc::new(policy),
                state: AgreementState::Active,
                expires_at: None,
            })),
        )
        .with(
            FactRequest::Dataset {
                id: dataset.iri.clone(),
            },
            Fact::Dataset(Arc::new(DatasetFact {
                containers: dataset.containers.iter().cloned().collect(),
                member_containers: dataset.member_containers.iter().cloned().collect(),
                part_of: BTreeSet::new(),
            })),
        )
        .with(FactRequest::Purposes, Fact::Absent);
    let request = AccessRequest {
        subject: WebId::parse(consumer).map_or_else(|_| Subject::public(), Subject::authenticated),
        action: Action::Query,
        resource: dataset.iri.clone(),
        purpose: Some(purpose.to_owned()),
        now,
        agreement: Some(id),
    };
    match decide(&request, &facts) {
        Response::Decided(decision) => decision,
        Response::NeedsFacts(lacking) => Decision::refuse(
            policies::Effect::Indeterminate,
            policies::decision::Reason::new(ReasonCode::FactUnavailable, format!("{lacking:?}")),
        ),
    }
}

/// The agreement that an offer becomes between two parties at an instant.
#[must_use]
pub fn agreed(offer: &Policy, iri: &str, assigner: &str, assignee: &str, now: OffsetDateTime) -> Policy {
    let mut policy = offer.agree(iri, assigner, assignee);
    policy
        .annotations
        .retain(|(predicate, _)| predicate != dspace::TIMESTAMP);
    policy
        .annotations
        .push((dspace::TIMESTAMP.to_owned(), Term::from(milliseconds(now))));
    policy.annotations.push((
        prov::WAS_DERIVED_FROM.to_owned(),
        Term::from(NamedNode::new_unchecked(offer.id.as_str())),
    ));
    policy
}

/// The text of an agreement and the hash of its canonical form, on which both parties can rely (NEG-6, T102).
///
/// # Errors
/// 422 for a policy whose canonical form cannot be had within the bounds.
pub fn sealed(policy: &Policy) -> Result<(String, String), Problem> {
    let broken = |error: &dyn std::fmt::Display| edge::unprocessable("not-canonical", error.to_string());
    let text = odrl::write_turtle(policy).map_err(|error| broken(&error))?;
    let text = String::from_utf8(text).map_err(|error| broken(&error))?;
    let hash = odrl::canonical_hash(&odrl::write(policy)).map_err(|error| broken(&error))?;
    Ok((text, hex::encode(hash)))
}

/// What a party reads about an agreement: the sealed policy, its hash and its present state.
///
/// # Errors
/// 500 if the stored agreement is damaged.
pub fn described(agreement: &Agreement) -> Result<Vec<Triple>, Problem> {
    let policy = agreement.policy().map_err(|error| edge::store_problem(&error))?;
    let mut triples: Vec<Triple> = odrl::write(&policy)
        .into_iter()
        .map(|quad| Triple::new(quad.subject, quad.predicate, quad.object))
        .collect();
    let subject = NamedNode::new_unchecked(agreement.iri.as_str());
    let mut say = |predicate: &'static str, object: Term| {
        triples.push(Triple::new(subject.clone(), node(predicate), object));
    };
    say(term::UID, subject.clone().into());
    say(
        meent::AGREEMENT_HASH,
        Literal::new_simple_literal(agreement.hash.as_str()).into(),
    );
    say(
        meent::AGREEMENT_STATE,
        Literal::new_simple_literal(agreement.state.as_str()).into(),
    );
    if let Some(changed) = &agreement.changed {
        say(dcterms::MODIFIED, instant(changed.at).into());
    }
    Ok(triples)
}

/// Whether a dataset covers storages whose owners decide by their consent.
fn reaches_others(dataset: &Dataset) -> bool {
    !dataset.member_containers.is_empty()
        || dataset.containers.iter().any(|container| {
            let own = dataset.iri.split_once(".dataspace/").map_or("", |(root, _)| root);
            own.is_empty() || !container.starts_with(own)
        })
}

fn asks_for_consent(constraint: &Constraint) -> bool {
    matches!(constraint, Constraint::Atomic(atomic) if atomic.left_operand == meent::DATA_SUBJECT_CONSENT)
}

const fn not_understood(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::PolicyInvalid
            | ReasonCode::ProfileUnknown
            | ReasonCode::ProhibitionUnknown
            | ReasonCode::UnknownLeftOperand
            | ReasonCode::UnknownOperator
            | ReasonCode::UnknownRightOperand
            | ReasonCode::UnknownAction
            | ReasonCode::UnknownDuty
            | ReasonCode::UnknownRefinement
            | ReasonCode::UnknownTerm
            | ReasonCode::UnknownCollection
            | ReasonCode::NothingVisible
    )
}

/// An instant in UTC with milliseconds, as agreements carry it.
fn milliseconds(moment: OffsetDateTime) -> Literal {
    let utc = moment.to_offset(time::UtcOffset::UTC);
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        utc.year(),
        u8::from(utc.month()),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second(),
        utc.millisecond()
    );
    Literal::new_typed_literal(text, NamedNode::from(node(xsd::DATE_TIME)))
}
