//! A second evaluator of ODRL: slow, plain, and written from the definitions alone. It shares no code with the first but
//! the model of policies, and looks at everything every time.
//!
//! It covers what [`super::random`] makes: whole numbers, universal times, texts and IRIs.

use oxrdf::Term;
use policies::odrl::{
    AtomicConstraint, ConflictStrategy, Constraint, Duty, LogicalOperator, Operator, Party, Policy, PolicyKind, Target,
};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocab::{dpv, meent, odrl};

use super::cases::{Facts, iri, term};

/// What is known to be below what in every world, as far as the generator uses it.
const ALWAYS_BELOW: [(&str, &str); 14] = [
    (meent::BICYCLE_POLICY, meent::MOBILITY_PLANNING),
    (meent::MOBILITY_PLANNING, dpv::IMPROVE_TRANSPORT_MOBILITY),
    (dpv::IMPROVE_TRANSPORT_MOBILITY, dpv::PUBLIC_BENEFIT),
    (dpv::PUBLIC_BENEFIT, dpv::PURPOSE),
    (dpv::MARKETING, dpv::PURPOSE),
    (odrl::READ, odrl::USE),
    (odrl::PRINT, odrl::USE),
    (odrl::PLAY, odrl::USE),
    (odrl::DISPLAY, odrl::PLAY),
    (odrl::MODIFY, odrl::USE),
    (odrl::WRITE, odrl::MODIFY),
    (odrl::COMPENSATE, odrl::USE),
    (odrl::INFORM, odrl::USE),
    (odrl::SELL, odrl::TRANSFER),
];

/// The actions that the generator uses and the vocabulary knows.
const KNOWN_ACTIONS: [&str; 13] = [
    odrl::USE,
    odrl::TRANSFER,
    odrl::READ,
    odrl::PRINT,
    odrl::PLAY,
    odrl::DISPLAY,
    odrl::MODIFY,
    odrl::WRITE,
    odrl::SELL,
    odrl::COMPENSATE,
    odrl::INFORM,
    meent::LOG,
    meent::AGGREGATE_ONLY,
];

/// Whether the request is permitted.
#[must_use]
pub fn permits(policies: &[Policy], facts: &Facts) -> bool {
    let (mut permitted, mut refused) = (false, false);
    for policy in policies {
        match judge(policy, facts) {
            Some(true) => permitted = true,
            Some(false) => refused = true,
            None => {}
        }
    }
    permitted && !refused
}

/// What one policy says: yes, no, or nothing.
fn judge(policy: &Policy, facts: &Facts) -> Option<bool> {
    let about_permissions = policy.permissions.iter().map(|rule| (&rule.target, &rule.assignee));
    let about_prohibitions = policy.prohibitions.iter().map(|rule| (&rule.target, &rule.assignee));
    let speaks = about_permissions.chain(about_prohibitions).any(|(target, assignee)| {
        is_target(target, facts) && is_party(assignee.as_ref().or(policy.assignee.as_ref()), facts)
    });
    if !speaks || (policy.kind == PolicyKind::Offer && !facts.what_if) {
        return None;
    }
    let understood =
        |profile: &String| *profile == meent::ODRL_PROFILE || facts.profiles.iter().any(|known| iri(known) == *profile);
    if !policy.profiles.iter().all(understood)
        || !policy.unknown.is_empty()
        || policies::odrl::validate(policy).is_err()
    {
        return Some(false);
    }
    let permits = policy.permissions.iter().any(|rule| {
        let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
        is_target(&rule.target, facts)
            && is_party(assignee, facts)
            && permission_covers(&rule.action.id, facts)
            && rule.unknown.is_empty()
            && conditions(
                &rule.constraints,
                &rule.action.refinements,
                &rule.target,
                assignee,
                facts,
            ) == Some(true)
            && rule.duties.iter().all(|duty| is_settled(duty, facts))
    });
    let bans: Vec<Option<bool>> = policy
        .prohibitions
        .iter()
        .map(|rule| {
            let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
            if !is_target(&rule.target, facts) || !is_party(assignee, facts) {
                return Some(false);
            }
            let covers = prohibition_covers(&rule.action.id, facts);
            let holds = conditions(
                &rule.constraints,
                &rule.action.refinements,
                &rule.target,
                assignee,
                facts,
            );
            let holds = if rule.unknown.is_empty() || holds == Some(false) {
                holds
            } else {
                None
            };
            // An action that is not understood is a doubt whatever the conditions say.
            match covers {
                Some(true) => holds,
                other => other,
            }
        })
        .collect();
    if bans.contains(&None) {
        return Some(false);
    }
    let banned = bans.contains(&Some(true));
    let offers = policy.permissions.iter().any(|rule| {
        let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
        is_target(&rule.target, facts) && is_party(assignee, facts) && permission_covers(&rule.action.id, facts)
    });
    let kept = !offers || policy.obligations.iter().all(|duty| is_kept(duty, policy, facts));
    if !kept {
        return Some(false);
    }
    match (permits, banned, policy.conflict.unwrap_or_default()) {
        (true, true, ConflictStrategy::Perm) | (true, false, _) => Some(true),
        (_, true, _) => Some(false),
        (false, false, _) => None,
    }
}

/// Whether one thing is the other or below it, following all steps there are.
fn is_below(narrow: &str, wide: &str, facts: &Facts) -> bool {
    let told = facts.below.iter().map(|(narrow, wide)| (iri(narrow), iri(wide)));
    let always = ALWAYS_BELOW
        .iter()
        .map(|(narrow, wide)| ((*narrow).to_owned(), (*wide).to_owned()));
    let pairs: Vec<(String, String)> = told.chain(always).collect();
    let mut reached = vec![narrow.to_owned()];
    for _ in 0..=pairs.len() {
        for (from, to) in &pairs {
            if reached.contains(from) && !reached.contains(to) {
                reached.push(to.clone());
            }
        }
    }
    reached.iter().any(|one| one == wide)
}

fn is_target(target: &Target, facts: &Facts) -> bool {
    facts
        .target
        .as_ref()
        .is_some_and(|asked| is_below(&iri(asked), &target.source, facts))
}

fn is_party(party: Option<&Party>, facts: &Facts) -> bool {
    match (party, &facts.party) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(party), Some(asking)) => is_below(&iri(asking), &party.id, facts),
    }
}

fn is_known(action: &str, facts: &Facts) -> bool {
    KNOWN_ACTIONS.contains(&action) || facts.below.iter().any(|(narrow, _)| iri(narrow) == action)
}

fn permission_covers(action: &str, facts: &Facts) -> bool {
    is_known(action, facts) && is_below(&iri(&facts.action), action, facts)
}

fn prohibition_covers(action: &str, facts: &Facts) -> Option<bool> {
    let asked = iri(&facts.action);
    if is_below(&asked, action, facts) {
        return Some(true);
    }
    if !is_known(action, facts) {
        return None;
    }
    let along = facts
        .implies
        .iter()
        .any(|(from, to)| is_below(&asked, &iri(from), facts) && is_below(&iri(to), action, facts));
    Some(is_below(action, &asked, facts) || along)
}

fn conditions(
    constraints: &[Constraint],
    refinements: &[Constraint],
    target: &Target,
    party: Option<&Party>,
    facts: &Facts,
) -> Option<bool> {
    let mut answers = Vec::new();
    for constraint in constraints.iter().chain(refinements) {
        answers.push(holds(constraint, &facts.values, true, facts));
    }
    for constraint in &target.refinements {
        answers.push(holds(constraint, &facts.target_values, false, facts));
    }
    for constraint in party.map_or(&[][..], |party| &party.refinements) {
        answers.push(holds(constraint, &facts.party_values, false, facts));
    }
    all(&answers)
}

fn all(answers: &[Option<bool>]) -> Option<bool> {
    if answers.contains(&Some(false)) {
        Some(false)
    } else if answers.contains(&None) {
        None
    } else {
        Some(true)
    }
}

type Values = std::collections::BTreeMap<String, Vec<Value>>;

fn holds(constraint: &Constraint, values: &Values, of_request: bool, facts: &Facts) -> Option<bool> {
    let logical = match constraint {
        Constraint::Atomic(atomic) => return compare(atomic, values, of_request, facts),
        Constraint::Logical(logical) => logical,
    };
    let answers: Vec<Option<bool>> = logical
        .operands
        .iter()
        .map(|operand| holds(operand, values, of_request, facts))
        .collect();
    let yes = answers.iter().filter(|answer| **answer == Some(true)).count();
    let unknown = answers.contains(&None);
    match logical.operator {
        LogicalOperator::And | LogicalOperator::AndSequence => all(&answers),
        LogicalOperator::Or if yes > 0 => Some(true),
        LogicalOperator::Xone if yes > 1 => Some(false),
        _ if unknown => None,
        LogicalOperator::Or => Some(false),
        LogicalOperator::Xone => Some(yes == 1),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Iri(String),
    Number(i64),
    Moment(OffsetDateTime),
    Text(String),
}

fn plain(term: &Term) -> Option<Plain> {
    match term {
        Term::NamedNode(node) => Some(Plain::Iri(node.as_str().to_owned())),
        Term::Literal(literal) => match literal.datatype().as_str() {
            vocab::xsd::INTEGER => literal.value().parse().ok().map(Plain::Number),
            vocab::xsd::DATE_TIME => OffsetDateTime::parse(literal.value(), &Rfc3339).ok().map(Plain::Moment),
            vocab::xsd::STRING => Some(Plain::Text(literal.value().to_owned())),
            _ => None,
        },
        _ => None,
    }
}

fn has_kind(operand: &str, value: &Plain) -> bool {
    match operand {
        odrl::PURPOSE => matches!(value, Plain::Iri(_)),
        odrl::COUNT => matches!(value, Plain::Number(_)),
        odrl::SPATIAL => matches!(value, Plain::Iri(_) | Plain::Text(_)),
        odrl::LANGUAGE => matches!(value, Plain::Text(_)),
        odrl::DATE_TIME => matches!(value, Plain::Moment(_)),
        _ => true,
    }
}

fn compare(atomic: &AtomicConstraint, values: &Values, of_request: bool, facts: &Facts) -> Option<bool> {
    let operand = atomic.left_operand.as_str();
    let told = if of_request && operand == odrl::DATE_TIME {
        Some(vec![Plain::Moment(facts.now?)])
    } else {
        let found = values.iter().find(|(name, _)| iri(name) == operand)?.1;
        found.iter().map(|value| plain(&term(value))).collect()
    };
    let stated = told?;
    let named: Vec<Plain> = match &atomic.right_operand_reference {
        None => atomic.right_operands.iter().map(plain).collect::<Option<_>>()?,
        Some(reference) => {
            let found = facts.references.iter().find(|(name, _)| iri(name) == *reference)?.1;
            found.iter().map(|value| plain(&term(value))).collect::<Option<_>>()?
        }
    };
    let fits = |value: &Plain| !of_request || has_kind(operand, value);
    if named.is_empty() || !stated.iter().all(fits) || !named.iter().all(fits) {
        return None;
    }
    let equal = |a: &Plain, b: &Plain| -> Option<bool> {
        match (a, b) {
            (Plain::Iri(a), Plain::Iri(b)) if a == b => Some(true),
            // Narrower: whether the plain name was meant for it cannot be said.
            (Plain::Iri(a), Plain::Iri(b)) if is_below(a, b, facts) => None,
            _ if std::mem::discriminant(a) == std::mem::discriminant(b) => Some(a == b),
            _ => None,
        }
    };
    match atomic.operator {
        Operator::IsAnyOf | Operator::IsNoneOf => {
            let pairs: Vec<Option<bool>> = stated
                .iter()
                .flat_map(|a| named.iter().map(move |b| equal(a, b)))
                .collect();
            let any = if pairs.contains(&Some(true)) {
                Some(true)
            } else if pairs.contains(&None) {
                None
            } else {
                Some(false)
            };
            if atomic.operator == Operator::IsAnyOf {
                any
            } else {
                any.map(|any| !any)
            }
        }
        Operator::IsAllOf => {
            let each: Vec<Option<bool>> = named
                .iter()
                .map(|b| {
                    let answers: Vec<Option<bool>> = stated.iter().map(|a| equal(a, b)).collect();
                    if answers.contains(&Some(true)) {
                        Some(true)
                    } else if answers.contains(&None) {
                        None
                    } else {
                        Some(false)
                    }
                })
                .collect();
            all(&each)
        }
        _ => {
            let [one] = named.as_slice() else { return None };
            let answers: Vec<Option<bool>> = stated
                .iter()
                .map(|value| single(value, one, atomic, &equal, facts))
                .collect();
            match answers.as_slice() {
                [] if atomic.operator == Operator::Neq => None,
                [] => {
                    let part_of_nothing = atomic.operator == Operator::HasPart && !matches!(one, Plain::Iri(_));
                    (!part_of_nothing).then_some(false)
                }
                [first, rest @ ..] => rest.iter().all(|other| other == first).then_some(*first).flatten(),
            }
        }
    }
}

fn single(
    value: &Plain,
    named: &Plain,
    atomic: &AtomicConstraint,
    equal: &dyn Fn(&Plain, &Plain) -> Option<bool>,
    facts: &Facts,
) -> Option<bool> {
    let order = match (value, named) {
        (Plain::Number(a), Plain::Number(b)) => Some(a.cmp(b)),
        (Plain::Moment(a), Plain::Moment(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match atomic.operator {
        Operator::Eq => equal(value, named),
        Operator::Neq => equal(value, named).map(|same| !same),
        Operator::Lt => order.map(std::cmp::Ordering::is_lt),
        Operator::Lteq => order.map(std::cmp::Ordering::is_le),
        Operator::Gt => order.map(std::cmp::Ordering::is_gt),
        Operator::Gteq => order.map(std::cmp::Ordering::is_ge),
        Operator::IsA | Operator::IsPartOf => match (value, named) {
            (Plain::Iri(a), Plain::Iri(b)) => Some(is_below(a, b, facts)),
            _ => None,
        },
        Operator::HasPart => match (value, named) {
            (Plain::Iri(a), Plain::Iri(b)) => Some(is_below(b, a, facts)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a duty keeps no door closed: done in time, or done by the enforcement point.
fn is_settled(duty: &Duty, facts: &Facts) -> bool {
    let executed = facts.executes.iter().any(|action| iri(action) == duty.action.id);
    duty.unknown.is_empty() && (executed || state(duty, facts) == "fulfilled")
}

fn is_kept(duty: &Duty, policy: &Policy, facts: &Facts) -> bool {
    let executed = facts.executes.iter().any(|action| iri(action) == duty.action.id);
    if !duty.unknown.is_empty() || !(executed || KNOWN_ACTIONS.contains(&duty.action.id.as_str())) {
        return false;
    }
    let bearer = duty.party(odrl::ASSIGNEE).or(policy.assignee.as_ref());
    !is_party(bearer, facts) || executed || state(duty, facts) != "violated"
}

/// The state of a duty whose only constraint is an end.
fn state(duty: &Duty, facts: &Facts) -> &'static str {
    if let Some(id) = &duty.id
        && let Some((_, told)) = facts.duties.iter().find(|(name, _)| iri(name) == *id)
    {
        return match told.as_str() {
            "fulfilled" => "fulfilled",
            "violated" => "violated",
            _ => "not-set",
        };
    }
    let Some(now) = facts.now else { return "not-set" };
    let end = duty.constraints.iter().find_map(|constraint| match constraint {
        Constraint::Atomic(atomic) => match plain(atomic.right_operands.first()?)? {
            Plain::Moment(end) => Some(end),
            _ => None,
        },
        Constraint::Logical(_) => None,
    });
    let done = facts.performed.iter().any(|event| {
        let by = facts.party.as_ref().is_none_or(|party| {
            event
                .by
                .as_ref()
                .is_some_and(|by| is_below(&iri(by), &iri(party), facts))
        });
        is_below(&iri(&event.action), &duty.action.id, facts)
            && by
            && event.at <= now
            && end.is_none_or(|end| event.at < end)
    });
    match (done, end) {
        (true, _) => "fulfilled",
        (false, Some(end)) if now >= end => "violated",
        _ => "not-set",
    }
}
