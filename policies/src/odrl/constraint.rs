//! Evaluation of constraints, three-valued: satisfied, not satisfied, or not known.
//!
//! A fourth answer is special to Meent: *by consent*, which means satisfied for exactly those documents whose data
//! subject consents; the query then carries that condition.

use oxrdf::{Literal, Term};
use time::OffsetDateTime;

use super::circumstance::{COURSE, Circumstances, by_circumstance};
use super::condition::Condition;
use super::evaluate::Situation;
use super::model::{AtomicConstraint, Constraint, LogicalConstraint, LogicalOperator, Operator};
use super::moment::Moment;
use super::truth::Tri;
use super::world::{Of, World};
use crate::decision::{Reason, ReasonCode};
use crate::purpose::Relation;

/// The answer to a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// Satisfied.
    True,
    /// Not satisfied, and why.
    False(Reason),
    /// Cannot be said, and why. Grants nothing, and makes a prohibition bite.
    Unknown(Reason),
    /// Satisfied document by document, where the data subject consents.
    ByConsent,
}

/// All constraints together: what holds for a rule.
#[must_use]
pub fn all(constraints: &[Constraint], situation: &Situation<'_>) -> Truth {
    conjunction(constraints.iter().map(|constraint| one(constraint, situation)))
}

/// One constraint.
#[must_use]
pub fn one(constraint: &Constraint, situation: &Situation<'_>) -> Truth {
    match constraint {
        Constraint::Atomic(atomic) => self::atomic(atomic, situation),
        Constraint::Logical(logical) => self::logical(logical, situation),
    }
}

/// The instants after now at which a comparison with a date in these constraints can change.
pub fn turning_points<'c>(constraints: &'c [Constraint]) -> Box<dyn Iterator<Item = OffsetDateTime> + 'c> {
    Box::new(constraints.iter().flat_map(|constraint| {
        match constraint {
            Constraint::Logical(logical) => turning_points(&logical.operands),
            Constraint::Atomic(atomic) if atomic.left_operand == vocab::odrl::DATE_TIME => Box::new(
                atomic
                    .right_operands
                    .iter()
                    .filter_map(moment)
                    .flat_map(|m| m.turning_points().collect::<Vec<_>>()),
            )
                as Box<dyn Iterator<Item = OffsetDateTime>>,
            Constraint::Atomic(_) => Box::new(std::iter::empty()),
        }
    }))
}

/// Every comparison in these constraints, at any depth.
#[must_use]
pub fn atoms<'c>(constraints: &'c [Constraint]) -> Box<dyn Iterator<Item = &'c AtomicConstraint> + 'c> {
    Box::new(constraints.iter().flat_map(|constraint| match constraint {
        Constraint::Atomic(atomic) => Box::new(std::iter::once(atomic)) as Box<dyn Iterator<Item = &AtomicConstraint>>,
        Constraint::Logical(logical) => atoms(&logical.operands),
    }))
}

/// False beats unknown beats consent beats true. Every part is looked at, so the first reason in document order is
/// reported whatever the parts are.
fn conjunction(parts: impl Iterator<Item = Truth>) -> Truth {
    let mut unknown = None;
    let mut by_consent = false;
    for part in parts {
        match part {
            Truth::False(reason) => return Truth::False(reason),
            Truth::Unknown(reason) => {
                unknown.get_or_insert(reason);
            }
            Truth::ByConsent => by_consent = true,
            Truth::True => {}
        }
    }
    match unknown {
        Some(reason) => Truth::Unknown(reason),
        None if by_consent => Truth::ByConsent,
        None => Truth::True,
    }
}

fn logical(logical: &LogicalConstraint, situation: &Situation<'_>) -> Truth {
    let parts = logical.operands.iter().map(|constraint| one(constraint, situation));
    match logical.operator {
        // There is no history of evaluation, so a sequence holds when all its parts hold now.
        LogicalOperator::And | LogicalOperator::AndSequence => conjunction(parts),
        LogicalOperator::Or => disjunction(parts),
        LogicalOperator::Xone => exactly_one(parts),
    }
}

fn disjunction(parts: impl Iterator<Item = Truth>) -> Truth {
    let mut unknown = None;
    let mut no = None;
    let mut by_consent = false;
    for part in parts {
        match part {
            Truth::True => return Truth::True,
            Truth::ByConsent => by_consent = true,
            Truth::Unknown(reason) => {
                unknown.get_or_insert(reason);
            }
            Truth::False(reason) => {
                no.get_or_insert(reason);
            }
        }
    }
    match (unknown, by_consent, no) {
        (Some(reason), _, _) => Truth::Unknown(reason),
        (None, true, _) => Truth::ByConsent,
        (None, false, Some(reason)) => Truth::False(reason),
        (None, false, None) => Truth::False(Reason::new(ReasonCode::ConstraintNotSatisfied, vocab::odrl::OR)),
    }
}

fn exactly_one(parts: impl Iterator<Item = Truth>) -> Truth {
    let mut satisfied = 0usize;
    let mut unknown = None;
    for part in parts {
        match part {
            Truth::True => satisfied += 1,
            Truth::False(_) => {}
            Truth::Unknown(reason) => {
                unknown.get_or_insert(reason);
            }
            // Exactly one would have to be judged per document.
            Truth::ByConsent => {
                unknown.get_or_insert(Reason::new(ReasonCode::UnknownOperator, vocab::odrl::XONE));
            }
        }
    }
    match (satisfied, unknown) {
        (2.., _) => Truth::False(Reason::new(ReasonCode::ConstraintNotSatisfied, vocab::odrl::XONE)),
        (_, Some(reason)) => Truth::Unknown(reason),
        (1, None) => Truth::True,
        (_, None) => Truth::False(Reason::new(ReasonCode::ConstraintNotSatisfied, vocab::odrl::XONE)),
    }
}

/// Asks the facts of the world for what this evaluation does not know by itself.
fn by_facts(constraint: &AtomicConstraint, situation: &Situation<'_>) -> Option<Truth> {
    Some(by_world(constraint, situation.world?))
}

fn by_world(constraint: &AtomicConstraint, world: &World) -> Truth {
    let condition = Condition::of(Of::Request, &Constraint::Atomic(constraint.clone()), 0);
    let answer = condition.judge(world, world.now().unix_timestamp_nanos(), &mut None);
    let reason = || Reason::new(answer.code, answer.about);
    match answer.truth {
        Tri::True => Truth::True,
        Tri::False => Truth::False(reason()),
        Tri::Unknown => Truth::Unknown(reason()),
    }
}

/// Compares the number of uses, this one included.
fn by_count(constraint: &AtomicConstraint, uses: u64, situation: &Situation<'_>) -> Truth {
    if !matches!(
        constraint.operator,
        Operator::Lt | Operator::Lteq | Operator::Gt | Operator::Gteq
    ) {
        return Truth::Unknown(Reason::new(ReasonCode::UnknownOperator, constraint.operator.iri()));
    }
    let this_one = uses.saturating_add(1).to_string();
    let number = Literal::new_typed_literal(this_one, vocab::node(vocab::xsd::INTEGER));
    let world = World::at(situation.now).value(vocab::odrl::COUNT, number).build();
    by_world(constraint, &world)
}

/// A condition on what the server that holds the data knows; none when nobody knows.
fn in_circumstances(constraint: &AtomicConstraint, situation: &Situation<'_>) -> Option<Truth> {
    let (code, about) = (ReasonCode::ConstraintNotSatisfied, constraint.left_operand.as_str());
    match situation.circumstances {
        Circumstances::NotKept => None,
        Circumstances::Elsewhere => Some(verdict(!situation.forbidding, code, about)),
        Circumstances::Known(known) if COURSE.contains(&about) => Some(
            known
                .in_course(constraint, situation.now)
                .map_or_else(|| unknown_operator(constraint), |holds| verdict(holds, code, about)),
        ),
        Circumstances::Known(_) => situation.world.map(|world| match by_world(constraint, world) {
            // That the owner states nothing about it is an answer, and will be the same when asked again.
            Truth::Unknown(reason) if reason.code == ReasonCode::FactUnavailable => {
                Truth::Unknown(Reason::new(code, about))
            }
            truth => truth,
        }),
    }
}

fn atomic(constraint: &AtomicConstraint, situation: &Situation<'_>) -> Truth {
    if let (vocab::odrl::COUNT, Some(uses)) = (constraint.left_operand.as_str(), situation.uses) {
        return by_count(constraint, uses, situation);
    }
    if by_circumstance(&constraint.left_operand)
        && let Some(truth) = in_circumstances(constraint, situation)
    {
        return truth;
    }
    let own = [
        vocab::odrl::PURPOSE,
        vocab::odrl::RECIPIENT,
        vocab::odrl::DATE_TIME,
        vocab::meent::DATA_SUBJECT_CONSENT,
    ];
    let plain =
        constraint.right_operand_reference.is_none() && constraint.unit.is_none() && constraint.status.is_none();
    if !(plain && own.contains(&constraint.left_operand.as_str()))
        && let Some(truth) = by_facts(constraint, situation)
    {
        return truth;
    }
    // A value that would have to be fetched, a unit that would have to be converted, a count kept elsewhere.
    if let Some(reference) = &constraint.right_operand_reference {
        return Truth::Unknown(Reason::new(ReasonCode::UnknownRightOperand, reference));
    }
    if let Some(unit) = &constraint.unit {
        return Truth::Unknown(Reason::new(ReasonCode::UnknownRightOperand, unit));
    }
    if let Some(status) = &constraint.status {
        return Truth::Unknown(Reason::new(ReasonCode::UnknownRightOperand, status.to_string()));
    }
    if constraint.right_operands.is_empty() {
        return Truth::Unknown(Reason::new(ReasonCode::UnknownRightOperand, &constraint.left_operand));
    }
    match constraint.left_operand.as_str() {
        vocab::odrl::PURPOSE => purpose(constraint, situation),
        vocab::odrl::RECIPIENT => recipient(constraint, situation),
        vocab::odrl::DATE_TIME => date_time(constraint, situation.now),
        vocab::meent::DATA_SUBJECT_CONSENT => consent(constraint),
        other => Truth::Unknown(Reason::new(ReasonCode::UnknownLeftOperand, other)),
    }
}

fn unknown_operator(constraint: &AtomicConstraint) -> Truth {
    let about = format!("{} {}", constraint.left_operand, constraint.operator.iri());
    Truth::Unknown(Reason::new(ReasonCode::UnknownOperator, about))
}

/// The right operands as IRIs; `None` when one is not an IRI.
fn iris(constraint: &AtomicConstraint) -> Option<Vec<&str>> {
    constraint
        .right_operands
        .iter()
        .map(|term| match term {
            Term::NamedNode(node) => Some(node.as_str()),
            _ => None,
        })
        .collect()
}

fn not_an_iri(constraint: &AtomicConstraint) -> Truth {
    Truth::Unknown(Reason::new(ReasonCode::UnknownRightOperand, &constraint.left_operand))
}

fn verdict(holds: bool, code: ReasonCode, about: &str) -> Truth {
    if holds {
        Truth::True
    } else {
        Truth::False(Reason::new(code, about))
    }
}

/// `eq`, `isAnyOf` and their opposites name purposes exactly. Whether a purpose *below* a named one is meant as well
/// cannot be told from them, so that is not known, which refuses in a permission and in a prohibition alike; `isA` says
/// it plainly.
fn purpose(constraint: &AtomicConstraint, situation: &Situation<'_>) -> Truth {
    let Some(named) = iris(constraint) else {
        return not_an_iri(constraint);
    };
    let Some(stated) = situation.purpose else {
        return Truth::Unknown(Reason::new(ReasonCode::PurposeMissing, named.join(" ")));
    };
    let relations = || named.iter().map(|named| situation.purposes.relation(stated, named));
    let code = ReasonCode::PurposeNotPermitted;
    let several = named.len() > 1;
    match constraint.operator {
        Operator::IsA | Operator::IsPartOf if !several => {
            verdict(relations().any(|relation| relation != Relation::Other), code, stated)
        }
        Operator::HasPart if !several => verdict(
            named.iter().all(|named| situation.purposes.is_a(named, stated)),
            code,
            stated,
        ),
        Operator::Eq | Operator::Neq if several => unknown_operator(constraint),
        Operator::Eq | Operator::IsAnyOf | Operator::Neq | Operator::IsNoneOf => {
            let positive = matches!(constraint.operator, Operator::Eq | Operator::IsAnyOf);
            if relations().any(|relation| relation == Relation::Same) {
                verdict(positive, code, stated)
            } else if relations().any(|relation| relation == Relation::Narrower) {
                Truth::Unknown(Reason::new(code, stated))
            } else {
                verdict(!positive, code, stated)
            }
        }
        Operator::IsAllOf => verdict(relations().all(|relation| relation == Relation::Same), code, stated),
        _ => unknown_operator(constraint),
    }
}

fn recipient(constraint: &AtomicConstraint, situation: &Situation<'_>) -> Truth {
    let Some(named) = iris(constraint) else {
        return not_an_iri(constraint);
    };
    let code = ReasonCode::RecipientNotPermitted;
    let Some(party) = situation.party else {
        return Truth::Unknown(Reason::new(code, "unknown recipient"));
    };
    let several = named.len() > 1;
    let listed = named.contains(&party);
    match constraint.operator {
        Operator::Eq | Operator::Neq if several => unknown_operator(constraint),
        Operator::Eq | Operator::IsAnyOf => verdict(listed, code, party),
        Operator::Neq | Operator::IsNoneOf => verdict(!listed, code, party),
        Operator::IsAllOf => verdict(named.iter().all(|named| *named == party), code, party),
        _ => unknown_operator(constraint),
    }
}

pub(super) fn moment(term: &Term) -> Option<Moment> {
    let Term::Literal(literal) = term else { return None };
    match literal.datatype().as_str() {
        vocab::xsd::DATE_TIME | vocab::xsd::DATE_TIME_STAMP => Moment::parse(literal.value(), false),
        vocab::xsd::DATE => Moment::parse(literal.value(), true),
        _ => None,
    }
}

fn date_time(constraint: &AtomicConstraint, now: OffsetDateTime) -> Truth {
    let [value] = constraint.right_operands.as_slice() else {
        return unknown_operator(constraint);
    };
    let Some(moment) = moment(value) else {
        return Truth::Unknown(Reason::new(ReasonCode::UnknownRightOperand, value.to_string()));
    };
    let ordered = matches!(
        constraint.operator,
        Operator::Lt | Operator::Lteq | Operator::Gt | Operator::Gteq | Operator::Eq | Operator::Neq
    );
    if !ordered {
        return unknown_operator(constraint);
    }
    match moment.compare(now, &constraint.operator) {
        Some(holds) => verdict(holds, ReasonCode::OutsidePeriod, &value.to_string()),
        None => Truth::Unknown(Reason::new(ReasonCode::OutsidePeriod, value.to_string())),
    }
}

/// Only *consent is given* can be carried into a query; any other wish about consent is not understood.
fn consent(constraint: &AtomicConstraint) -> Truth {
    if constraint.operator != Operator::Eq {
        return unknown_operator(constraint);
    }
    match constraint.right_operands.as_slice() {
        [Term::NamedNode(state)] if state.as_str() == vocab::dpv::CONSENT_GIVEN => Truth::ByConsent,
        _ => not_an_iri(constraint),
    }
}
