//! Questions about policies alone, whatever the world: is one at least as strict as another, can a rule ever hold.
//!
//! The answers are sound and not complete: what is said is true, and sometimes nothing can be said.

use oxsdatatypes::{Decimal, Double};

use super::condition::{Comparison, Condition};
use super::model::{AtomicConstraint, ConflictStrategy, Constraint, LogicalOperator, Operator, Party};
use super::model::{Permission, Policy, Prohibition, Target};
use super::steps::Steps;
use super::truth::Tri;
use super::value::Value;
use super::world::{Of, wider_actions};
use crate::purpose::Hierarchy;

/// Alternatives and combinations looked at before the answer is that nothing can be said.
const CASES_MAX: usize = 256;
/// Pairs of constraints looked at before the answer is that nothing can be said.
const PAIRS_MAX: usize = 100_000;

/// An answer that is never wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is so, in every world.
    Yes,
    /// It cannot be shown; names the part of a policy at which the proof ends.
    NotShown(String),
}

impl Proof {
    /// Whether it is shown.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }
}

/// Is `strict` at least as strict as `lax`: does `lax` permit whatever `strict` permits, with no further duties?
///
/// Both are taken as agreed (an offer as what it would become). The concepts are those that hold wherever the policies
/// are evaluated; a world that knows more of them changes nothing.
#[must_use]
pub fn at_least_as_strict(strict: &Policy, lax: &Policy, concepts: &Hierarchy) -> Proof {
    let no = |path: String| Proof::NotShown(path);
    if !strict.unknown.is_empty() {
        return Proof::Yes;
    }
    let whole = !lax.unknown.is_empty()
        || !lax.inherit_from.is_empty()
        || !strict.inherit_from.is_empty()
        || super::validate::validate(lax).is_err()
        || lax
            .annotations
            .iter()
            .any(|(predicate, _)| predicate == vocab::dcterms::IS_REPLACED_BY)
        || !lax
            .profiles
            .iter()
            .all(|profile| super::evaluate::understood(profile) || strict.profiles.contains(profile));
    if whole || size(strict).saturating_mul(size(lax)) > PAIRS_MAX || size(strict).pow(2) > PAIRS_MAX {
        return no("policy".to_owned());
    }
    let same_bearer = lax.obligations.is_empty() || lax.assignee == strict.assignee;
    if !same_bearer || !lax.obligations.iter().all(|duty| strict.obligations.contains(duty)) {
        return no("obligation".to_owned());
    }
    for (index, permission) in strict.permissions.iter().enumerate() {
        if !permission.unknown.is_empty() || never(&rule_constraints(permission)) {
            continue;
        }
        let covered = |wide: &Permission| covers(wide, lax, permission, strict, concepts);
        if !lax.permissions.iter().any(covered) {
            return no(format!("permission[{index}]"));
        }
        for (position, ban) in lax.prohibitions.iter().enumerate() {
            let overridden = lax.conflict == Some(ConflictStrategy::Perm) && ban_is_known(ban);
            let repeated = strict.conflict.unwrap_or_default() != ConflictStrategy::Perm
                && strict.prohibitions.iter().any(|own| bans(own, strict, ban, lax));
            if !overridden && !repeated && !apart(ban, permission) {
                return no(format!("prohibition[{position}]"));
            }
        }
    }
    Proof::Yes
}

/// Can this rule never hold, whatever the world?
#[must_use]
pub fn can_never_hold(permission: &Permission) -> Proof {
    if rule_size(permission).pow(2) <= PAIRS_MAX && never(&rule_constraints(permission)) {
        Proof::Yes
    } else {
        Proof::NotShown("constraint".to_owned())
    }
}

/// Does this policy permit nothing, whatever the world?
#[must_use]
pub fn permits_nothing(policy: &Policy) -> Proof {
    if size(policy).pow(2) > PAIRS_MAX {
        return Proof::NotShown("policy".to_owned());
    }
    let mut rules = policy.permissions.iter().enumerate();
    match rules.find(|(_, rule)| rule.unknown.is_empty() && !never(&rule_constraints(rule))) {
        Some((index, _)) if policy.unknown.is_empty() => Proof::NotShown(format!("permission[{index}]")),
        _ => Proof::Yes,
    }
}

/// How many constraints and rules there are in a policy.
fn size(policy: &Policy) -> usize {
    let of_permissions = policy.permissions.iter().map(rule_size);
    let of_prohibitions = policy
        .prohibitions
        .iter()
        .map(|rule| 1 + nodes(&rule.constraints) + nodes(&rule.action.refinements) + nodes(&rule.target.refinements));
    of_permissions.chain(of_prohibitions).sum()
}

fn rule_size(rule: &Permission) -> usize {
    1 + nodes(&rule.constraints) + nodes(&rule.action.refinements) + nodes(&rule.target.refinements)
}

fn nodes(constraints: &[Constraint]) -> usize {
    let of = |constraint: &Constraint| match constraint {
        Constraint::Atomic(atomic) => 1 + atomic.right_operands.len(),
        Constraint::Logical(logical) => 1 + nodes(&logical.operands),
    };
    constraints.iter().map(of).sum()
}

/// Constraints and refinements of the action: conditions of one and the same request.
fn rule_constraints(rule: &Permission) -> Vec<&Constraint> {
    rule.constraints.iter().chain(&rule.action.refinements).collect()
}

/// Whether everything in a prohibition can be judged with what every world knows, so that a strategy settles it.
fn ban_is_known(ban: &Prohibition) -> bool {
    ban.unknown.is_empty()
        && ban.constraints.is_empty()
        && ban.action.refinements.is_empty()
        && ban.target.refinements.is_empty()
        && ban.assignee.as_ref().is_none_or(|party| party.refinements.is_empty())
        && super::action::is_known(&ban.action.id)
}

fn covers(wide: &Permission, lax: &Policy, narrow: &Permission, strict: &Policy, concepts: &Hierarchy) -> bool {
    let (wide_party, narrow_party) = (
        wide.assignee.as_ref().or(lax.assignee.as_ref()),
        narrow.assignee.as_ref().or(strict.assignee.as_ref()),
    );
    wide.unknown.is_empty()
        && is_within_target(&narrow.target, &wide.target, concepts)
        && is_within_party(narrow_party, wide_party, concepts)
        && is_within_action(&narrow.action.id, &wide.action.id, concepts)
        && all_follow(&rule_constraints(narrow), &rule_constraints(wide), concepts)
        && wide.duties.iter().all(|duty| narrow.duties.contains(duty))
}

fn is_within_target(narrow: &Target, wide: &Target, concepts: &Hierarchy) -> bool {
    let contained = narrow.source == wide.source || concepts.is_a(&narrow.source, &wide.source);
    let narrowed: Vec<&Constraint> = narrow.refinements.iter().collect();
    let widened: Vec<&Constraint> = wide.refinements.iter().collect();
    contained && !narrow.is_anything() && all_follow_for(Of::Target, &narrowed, &widened, concepts)
}

fn is_within_party(narrow: Option<&Party>, wide: Option<&Party>, concepts: &Hierarchy) -> bool {
    let Some(wide) = wide else { return true };
    let Some(narrow) = narrow else { return false };
    let contained = narrow.id == wide.id || concepts.is_a(&narrow.id, &wide.id);
    let narrowed: Vec<&Constraint> = narrow.refinements.iter().collect();
    let widened: Vec<&Constraint> = wide.refinements.iter().collect();
    contained && all_follow_for(Of::Party, &narrowed, &widened, concepts)
}

fn is_within_action(narrow: &str, wide: &str, concepts: &Hierarchy) -> bool {
    let known = super::action::is_known(wide) || concepts.knows(wide);
    !narrow.is_empty() && known && wider_actions(narrow, concepts).iter().any(|one| **one == *wide)
}

/// Whether one prohibition forbids at least what another forbids, or leaves in doubt.
fn bans(own: &Prohibition, strict: &Policy, ban: &Prohibition, lax: &Policy) -> bool {
    let (own_party, ban_party) = (
        own.assignee.as_ref().or(strict.assignee.as_ref()),
        ban.assignee.as_ref().or(lax.assignee.as_ref()),
    );
    let whole = own.target.source == ban.target.source && own.target.refinements == ban.target.refinements;
    let same_party = own_party.is_none() || own_party == ban_party;
    let same_rest = own
        .constraints
        .iter()
        .all(|constraint| ban.constraints.contains(constraint))
        && own
            .action
            .refinements
            .iter()
            .all(|constraint| ban.action.refinements.contains(constraint));
    let wider = own.action.id == ban.action.id;
    // A term that is not understood leaves everything in doubt, so the other must be in the same doubt.
    whole && same_party && same_rest && wider && (ban.unknown.is_empty() || ban.unknown == own.unknown)
}

/// Whether a prohibition can never meet a permission.
fn apart(ban: &Prohibition, permission: &Permission) -> bool {
    // A world may know further memberships, so only contradicting conditions keep them apart. A doubt bites, so the
    // ban must be false for certain: one of its constraints is refuted by the permission.
    let known = rule_constraints(permission);
    ban.constraints.iter().any(|constraint| refuted(&known, constraint))
}

/// Whether a constraint is false for certain wherever all of these hold.
fn refuted(known: &[&Constraint], constraint: &Constraint) -> bool {
    match constraint {
        Constraint::Logical(logical) => match logical.operator {
            LogicalOperator::And | LogicalOperator::AndSequence => {
                logical.operands.iter().any(|operand| refuted(known, operand))
            }
            LogicalOperator::Or => logical.operands.iter().all(|operand| refuted(known, operand)),
            LogicalOperator::Xone => false,
        },
        Constraint::Atomic(atomic) => {
            let (Some(clock), Some(other)) = (clock(known), Comparison::steps(Of::Request, atomic)) else {
                return opposite(atomic).is_some_and(|opposite| known.iter().any(|one| one_follows(one, &opposite)));
            };
            clock
                .instants()
                .chain(other.instants())
                .all(|at| clock.at(at).0 != Tri::True || other.at(at).0 == Tri::False)
        }
    }
}

/// The constraint that holds for certain exactly where this one is false for certain.
fn opposite(atomic: &AtomicConstraint) -> Option<AtomicConstraint> {
    let operator = match atomic.operator {
        Operator::Eq => Operator::Neq,
        Operator::Neq => Operator::Eq,
        Operator::Lt => Operator::Gteq,
        Operator::Gteq => Operator::Lt,
        Operator::Gt => Operator::Lteq,
        Operator::Lteq => Operator::Gt,
        Operator::IsAnyOf => Operator::IsNoneOf,
        Operator::IsNoneOf => Operator::IsAnyOf,
        _ => return None,
    };
    Some(AtomicConstraint {
        operator,
        ..atomic.clone()
    })
}

fn all_follow(known: &[&Constraint], wanted: &[&Constraint], concepts: &Hierarchy) -> bool {
    all_follow_for(Of::Request, known, wanted, concepts)
}

/// Whether each wanted constraint holds wherever all known ones hold.
fn all_follow_for(of: Of, known: &[&Constraint], wanted: &[&Constraint], concepts: &Hierarchy) -> bool {
    let Some(cases) = cases(known) else {
        return wanted.iter().all(|one| known.iter().any(|own| same(own, one)));
    };
    wanted.iter().all(|one| {
        known.iter().any(|own| same(own, one))
            || cases
                .iter()
                .all(|case| never_for(of, case) || follows(of, case, one, concepts))
    })
}

/// The same constraint but for its IRI.
fn same(a: &Constraint, b: &Constraint) -> bool {
    a.anonymous() == b.anonymous()
}

/// The known constraints as alternatives of plain conjunctions; `None` when there are too many.
fn cases<'c>(known: &[&'c Constraint]) -> Option<Vec<Vec<&'c Constraint>>> {
    let mut cases: Vec<Vec<&Constraint>> = vec![Vec::new()];
    for constraint in known {
        let branches = branches(constraint, 0)?;
        let mut grown = Vec::new();
        for case in &cases {
            for branch in &branches {
                grown.push(case.iter().chain(branch).copied().collect());
            }
        }
        if grown.len() > CASES_MAX {
            return None;
        }
        cases = grown;
    }
    Some(cases)
}

fn branches(constraint: &Constraint, depth: usize) -> Option<Vec<Vec<&Constraint>>> {
    if depth > super::condition::DEPTH_MAX {
        return None;
    }
    match constraint {
        Constraint::Logical(logical) => match logical.operator {
            LogicalOperator::And | LogicalOperator::AndSequence => {
                let operands: Vec<&Constraint> = logical.operands.iter().collect();
                let mut whole = cases(&operands)?;
                whole.iter_mut().for_each(|case| case.push(constraint));
                Some(whole)
            }
            LogicalOperator::Or => {
                let mut all = Vec::new();
                for operand in &logical.operands {
                    all.extend(branches(operand, depth + 1)?);
                    if all.len() > CASES_MAX {
                        return None;
                    }
                }
                all.iter_mut().for_each(|case| case.push(constraint));
                Some(all)
            }
            LogicalOperator::Xone => Some(vec![vec![constraint]]),
        },
        Constraint::Atomic(_) => Some(vec![vec![constraint]]),
    }
}

fn follows(of: Of, case: &[&Constraint], wanted: &Constraint, concepts: &Hierarchy) -> bool {
    if case.iter().any(|own| same(own, wanted)) {
        return true;
    }
    match wanted {
        Constraint::Logical(logical) => match logical.operator {
            LogicalOperator::And | LogicalOperator::AndSequence => logical
                .operands
                .iter()
                .all(|operand| follows(of, case, operand, concepts)),
            LogicalOperator::Or => {
                logical
                    .operands
                    .iter()
                    .any(|operand| follows(of, case, operand, concepts))
                    || by_clock(of, case, wanted)
            }
            LogicalOperator::Xone => by_clock(of, case, wanted),
        },
        Constraint::Atomic(atomic) => {
            by_clock(of, case, wanted)
                || case.iter().any(|own| match own {
                    Constraint::Atomic(own) => implies(own, atomic, concepts),
                    Constraint::Logical(_) => false,
                })
        }
    }
}

fn one_follows(own: &Constraint, wanted: &AtomicConstraint) -> bool {
    match own {
        Constraint::Atomic(own) => implies(own, wanted, &Hierarchy::default()),
        Constraint::Logical(logical) => match logical.operator {
            LogicalOperator::And | LogicalOperator::AndSequence => {
                logical.operands.iter().any(|operand| one_follows(operand, wanted))
            }
            LogicalOperator::Or => {
                !logical.operands.is_empty() && logical.operands.iter().all(|operand| one_follows(operand, wanted))
            }
            LogicalOperator::Xone => false,
        },
    }
}

/// What the constraints on the clock among these say together.
fn clock(known: &[&Constraint]) -> Option<Steps> {
    let parts: Vec<Steps> = known
        .iter()
        .filter_map(|constraint| match Condition::of(Of::Request, constraint, 0) {
            Condition::Clock(steps) => Some(*steps),
            _ => None,
        })
        .collect();
    (!parts.is_empty()).then(|| Steps::combine(&LogicalOperator::And, &parts))
}

fn by_clock(of: Of, case: &[&Constraint], wanted: &Constraint) -> bool {
    let Condition::Clock(wanted) = Condition::of(of, wanted, 0) else {
        return false;
    };
    let Some(known) = clock(case) else {
        return wanted.answers().all(|truth| truth == Tri::True);
    };
    let mut instants = known.instants().chain(wanted.instants());
    instants.all(|at| known.at(at).0 != Tri::True || wanted.at(at).0 == Tri::True)
}

/// Whether these can never hold together.
fn never(constraints: &[&Constraint]) -> bool {
    cases(constraints).is_some_and(|cases| cases.iter().all(|case| never_for(Of::Request, case)))
}

fn never_for(of: Of, case: &[&Constraint]) -> bool {
    if of == Of::Request && clock(case).is_some_and(|steps| steps.answers().all(|truth| truth != Tri::True)) {
        return true;
    }
    let atomics: Vec<&AtomicConstraint> = case
        .iter()
        .filter_map(|constraint| match constraint {
            Constraint::Atomic(atomic) => Some(atomic),
            Constraint::Logical(_) => None,
        })
        .collect();
    atomics.iter().enumerate().any(|(index, one)| {
        let contradicted = |other: &&AtomicConstraint| {
            opposite(one).is_some_and(|opposite| implies(other, &opposite, &Hierarchy::default()))
        };
        atomics.iter().skip(index + 1).any(&contradicted) || atomics.iter().take(index).any(contradicted)
    })
}

/// Whether one comparison holding means that another holds, on the same operand of the same request.
fn implies(own: &AtomicConstraint, wanted: &AtomicConstraint, concepts: &Hierarchy) -> bool {
    let plain = |atomic: &AtomicConstraint| atomic.right_operand_reference.is_none() && atomic.status.is_none();
    if own.left_operand != wanted.left_operand || own.unit != wanted.unit || !plain(own) || !plain(wanted) {
        return false;
    }
    let (Some(own_values), Some(wanted_values)) = (values(own), values(wanted)) else {
        return false;
    };
    // A named value of the wrong kind leaves a comparison without an answer.
    let kind = super::operand::declared(&wanted.left_operand).map(|declared| declared.kind);
    let fits = |value: &Value| kind.is_none_or(|kind| value.is(kind));
    if own_values.is_empty() || wanted_values.is_empty() || !wanted_values.iter().all(fits) {
        return false;
    }
    if own.operator == wanted.operator && own_values == wanted_values {
        return true;
    }
    if let (Some(low), Some(high)) = (range(own, &own_values), range(wanted, &wanted_values)) {
        return low.within(&high);
    }
    let listed = |value: &Value| wanted_values.contains(value);
    let iri = |value: &Value| matches!(value, Value::Iri(_));
    let one_wanted = match wanted_values.as_slice() {
        [one] => Some(one),
        _ => None,
    };
    match (&own.operator, &wanted.operator) {
        (Operator::Eq, Operator::IsAnyOf) => own_values.len() == 1 && own_values.iter().all(listed),
        (Operator::IsAnyOf, Operator::IsAnyOf) => own_values.iter().all(listed),
        (Operator::IsNoneOf, Operator::IsNoneOf) => wanted_values.iter().all(|value| own_values.contains(value)),
        (Operator::IsAllOf, Operator::IsAllOf) => wanted_values.iter().all(|value| own_values.contains(value)),
        (Operator::Eq | Operator::IsA | Operator::IsPartOf, Operator::IsA | Operator::IsPartOf) => {
            match (own_values.as_slice(), one_wanted) {
                ([Value::Iri(narrow)], Some(Value::Iri(wide))) => narrow == wide || concepts.is_a(narrow, wide),
                _ => false,
            }
        }
        // Values that are no concepts are equal or not, whatever a world knows.
        (Operator::Eq, Operator::Neq) | (Operator::Eq, Operator::IsNoneOf) => {
            own_values.len() == 1
                && !own_values.iter().any(iri)
                && own_values
                    .iter()
                    .all(|own| wanted_values.iter().all(|wanted| distinct(own, wanted)))
                && (wanted.operator == Operator::IsNoneOf || one_wanted.is_some())
        }
        _ => false,
    }
}

/// Plain texts or exact numbers that differ.
fn distinct(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Text(..), Value::Text(..))
        | (Value::Exact(_), Value::Exact(_))
        | (Value::Boolean(_), Value::Boolean(_)) => a != b,
        _ => false,
    }
}

fn values(atomic: &AtomicConstraint) -> Option<Vec<Value>> {
    let data_type = atomic.data_type.as_deref();
    atomic
        .right_operands
        .iter()
        .map(|term| Value::read(term, data_type))
        .collect()
}

/// A range of exact numbers, each end open or closed.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: Option<(Decimal, bool)>,
    high: Option<(Decimal, bool)>,
}

impl Range {
    /// Whether every number in here is in the other one.
    fn within(&self, other: &Self) -> bool {
        // A stated number may be a double, which tells apart less than these exact numbers do.
        let apart = |a: Decimal, b: Decimal| f64::from(Double::from(a)) != f64::from(Double::from(b));
        let inside = |a: Decimal, closed: bool, b: Decimal, wide: bool, beyond: bool| {
            (beyond && (wide || !closed || apart(a, b))) || (a == b && (wide || !closed))
        };
        let low = match (self.low, other.low) {
            (_, None) => true,
            (Some((a, closed)), Some((b, wide))) => inside(a, closed, b, wide, a > b),
            (None, Some(_)) => false,
        };
        let high = match (self.high, other.high) {
            (_, None) => true,
            (Some((a, closed)), Some((b, wide))) => inside(a, closed, b, wide, a < b),
            (None, Some(_)) => false,
        };
        low && high
    }
}

fn range(atomic: &AtomicConstraint, values: &[Value]) -> Option<Range> {
    let [Value::Exact(number)] = values else { return None };
    let (closed, open) = (Some((*number, true)), Some((*number, false)));
    Some(match atomic.operator {
        Operator::Eq => Range {
            low: closed,
            high: closed,
        },
        Operator::Lt => Range { low: None, high: open },
        Operator::Lteq => Range {
            low: None,
            high: closed,
        },
        Operator::Gt => Range { low: open, high: None },
        Operator::Gteq => Range {
            low: closed,
            high: None,
        },
        _ => return None,
    })
}
