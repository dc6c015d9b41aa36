//! What holds for every policy.

use oxrdf::{Literal, NamedNode, Term};
use proptest::prelude::*;
use vocab::{dpv, meent, odrl, xsd};

use super::*;
use crate::decision::Effect;

fn iri(name: &str) -> Term {
    NamedNode::new_unchecked(name).into()
}

fn any_constraint() -> impl Strategy<Value = Constraint> {
    let purposes = [
        dpv::MARKETING,
        dpv::PUBLIC_BENEFIT,
        meent::MOBILITY_PLANNING,
        meent::BICYCLE_POLICY,
    ];
    let operators = vec![
        Operator::Eq,
        Operator::Neq,
        Operator::Lt,
        Operator::Lteq,
        Operator::Gt,
        Operator::Gteq,
        Operator::IsA,
        Operator::IsAnyOf,
        Operator::IsNoneOf,
        Operator::IsAllOf,
        Operator::IsPartOf,
        Operator::HasPart,
    ];
    let operator = proptest::sample::select(operators);
    let by_purpose =
        (operator.clone(), proptest::sample::subsequence(purposes.to_vec(), 1..3)).prop_map(|(operator, names)| {
            Constraint::atomic(odrl::PURPOSE, operator, names.into_iter().map(iri).collect())
        });
    let by_date = (operator.clone(), 2024..2029).prop_map(|(operator, year)| {
        let day = Literal::new_typed_literal(format!("{year}-06-01T12:00:00Z"), vocab::node(xsd::DATE_TIME));
        Constraint::atomic(odrl::DATE_TIME, operator, vec![day.into()])
    });
    let by_recipient = (operator, proptest::bool::ANY).prop_map(|(operator, us)| {
        Constraint::atomic(odrl::RECIPIENT, operator, vec![iri(if us { CONSUMER } else { OWNER })])
    });
    let consent = Just(Constraint::atomic(
        meent::DATA_SUBJECT_CONSENT,
        Operator::Eq,
        vec![iri(dpv::CONSENT_GIVEN)],
    ));
    let unknown = Just(Constraint::atomic(odrl::SPATIAL, Operator::Eq, vec![iri(OWNER)]));
    let leaf = prop_oneof![4 => by_purpose, 4 => by_date, 2 => by_recipient, 1 => consent, 1 => unknown];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let operators = vec![
            LogicalOperator::And,
            LogicalOperator::Or,
            LogicalOperator::Xone,
            LogicalOperator::AndSequence,
        ];
        (
            proptest::sample::select(operators),
            proptest::collection::vec(inner, 1..3),
        )
            .prop_map(|(operator, operands)| Constraint::logical(operator, operands))
    })
}

fn any_target() -> impl Strategy<Value = Target> {
    let names = vec!["https://a.example/p", "https://a.example/q", "https://a.example/r"];
    let refinement = (proptest::bool::ANY, proptest::sample::subsequence(names, 1..3)).prop_map(|(only, names)| {
        let operator = if only { Operator::IsAnyOf } else { Operator::IsNoneOf };
        Constraint::atomic(meent::PROPERTY, operator, names.into_iter().map(iri).collect())
    });
    proptest::option::of(refinement).prop_map(|refinement| Target {
        source: DATASET.into(),
        collection: refinement.is_some(),
        refinements: refinement.into_iter().collect(),
    })
}

fn any_duty() -> impl Strategy<Value = Duty> {
    prop_oneof![
        3 => (1u32..9).prop_map(|k| (meent::AGGREGATE_ONLY, Some(k))),
        2 => Just((meent::LOG, None)),
        1 => Just((odrl::COMPENSATE, None)),
    ]
    .prop_map(|(action, k)| Duty {
        constraints: k
            .map(|k| {
                let number = Literal::new_typed_literal(k.to_string(), vocab::node(xsd::INTEGER));
                Constraint::atomic(meent::DISTINCT_DATA_SUBJECTS, Operator::Gteq, vec![number.into()])
            })
            .into_iter()
            .collect(),
        ..Duty::to(action)
    })
}

fn any_permission() -> impl Strategy<Value = Permission> {
    let actions = vec![odrl::USE, odrl::READ, odrl::AGGREGATE, odrl::SELL];
    let parts = (
        any_target(),
        proptest::sample::select(actions),
        proptest::collection::vec(any_constraint(), 0..2),
        proptest::collection::vec(any_duty(), 0..2),
    );
    parts.prop_map(|(target, action, constraints, duties)| Permission {
        id: None,
        target,
        assigner: None,
        assignee: None,
        action: Action::named(action),
        constraints,
        duties,
        unknown: Vec::new(),
    })
}

fn any_prohibition() -> impl Strategy<Value = Prohibition> {
    let actions = vec![odrl::USE, odrl::SELL, "https://a.example/frobnicate"];
    let parts = (
        any_target(),
        proptest::sample::select(actions),
        proptest::collection::vec(any_constraint(), 0..2),
    );
    parts.prop_map(|(target, action, constraints)| Prohibition {
        id: None,
        target,
        assigner: None,
        assignee: None,
        action: Action::named(action),
        constraints,
        remedies: Vec::new(),
        unknown: Vec::new(),
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let rules = (
        proptest::collection::vec(any_permission(), 1..4),
        proptest::collection::vec(any_prohibition(), 0..2),
    );
    rules.prop_map(|(permissions, prohibitions)| Policy {
        permissions,
        prohibitions,
        ..Policy::new("https://kortrijk.example/a1", PolicyKind::Set).agree(
            "https://kortrijk.example/a1",
            OWNER,
            CONSUMER,
        )
    })
}

fn run(policy: &Policy) -> Evaluation {
    judge_as(policy, Some(CONSUMER), Some(meent::BICYCLE_POLICY), NOW)
}

const PREDICATES: [&str; 4] = [
    "https://a.example/p",
    "https://a.example/q",
    "https://a.example/r",
    "https://a.example/s",
];

fn shows(grant: &Grant, predicate: &str) -> bool {
    !grant.hidden.contains(predicate) && grant.properties.as_ref().is_none_or(|all| all.contains(predicate))
}

/// Whether some single permission of the policy, taken alone, grants this much with at most these duties.
fn within(narrow: &Evaluation, policy: &Policy) -> bool {
    let Some(grant) = &narrow.grant else { return true };
    let alone: Vec<Evaluation> = policy
        .permissions
        .iter()
        .map(|one| {
            run(&Policy {
                permissions: vec![one.clone()],
                prohibitions: Vec::new(),
                ..policy.clone()
            })
        })
        .filter(|one| one.effect == Effect::Permit)
        .collect();
    PREDICATES
        .iter()
        .filter(|predicate| shows(grant, predicate))
        .all(|predicate| {
            alone.iter().any(|one| {
                one.grant
                    .as_ref()
                    .is_some_and(|wide| shows(wide, predicate) && wide.consent == grant.consent)
                    && one.obligations == narrow.obligations
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The outcome never exceeds what the permissions grant one by one.
    #[test]
    fn nothing_beyond_the_permissions(policy in any_policy()) {
        prop_assert!(within(&run(&policy), &policy));
    }

    /// ODR-27: one more constraint, refinement or duty on the only permission never widens.
    #[test]
    fn a_constraint_never_widens(one in any_permission(), bans in proptest::collection::vec(any_prohibition(), 0..2), extra in any_constraint()) {
        let policy = Policy { permissions: vec![one], prohibitions: bans, ..Policy::new("https://kortrijk.example/a1", PolicyKind::Set).agree("https://kortrijk.example/a1", OWNER, CONSUMER) };
        let mut stricter = policy.clone();
        stricter.permissions[0].constraints.push(extra);
        let (wide, narrow) = (run(&policy), run(&stricter));
        if let Some(grant) = &narrow.grant {
            let wide_grant = wide.grant.as_ref().unwrap();
            prop_assert!(PREDICATES.iter().all(|p| !shows(grant, p) || shows(wide_grant, p)));
            prop_assert!(wide_grant.consent.is_none() || grant.consent.is_some());
            prop_assert_eq!(narrow.obligations, wide.obligations);
        }
    }

    /// ODR-27: one more constraint anywhere never turns a refusal into a permission.
    #[test]
    fn a_constraint_never_opens(policy in any_policy(), pick in 0usize..4, extra in any_constraint()) {
        let mut stricter = policy.clone();
        let index = pick % stricter.permissions.len();
        stricter.permissions[index].constraints.push(extra);
        prop_assert!(run(&stricter).effect != Effect::Permit || run(&policy).effect == Effect::Permit);
    }

    /// ODR-27: one more prohibition never widens.
    #[test]
    fn a_prohibition_never_widens(one in any_permission(), extra in any_prohibition()) {
        let policy = Policy { permissions: vec![one], ..Policy::new("https://kortrijk.example/a1", PolicyKind::Set).agree("https://kortrijk.example/a1", OWNER, CONSUMER) };
        let mut stricter = policy.clone();
        stricter.prohibitions.push(extra);
        if let Some(grant) = &run(&stricter).grant {
            let wide = run(&policy).grant.unwrap();
            prop_assert!(PREDICATES.iter().all(|p| !shows(grant, p) || shows(&wide, p)));
            prop_assert_eq!(&wide.consent, &grant.consent);
        }
    }

    /// ODR-14: the order of rules does not matter.
    #[test]
    fn order_does_not_matter(policy in any_policy()) {
        let mut turned = policy.clone();
        turned.permissions.reverse();
        turned.prohibitions.reverse();
        let (a, b) = (run(&policy), run(&turned));
        prop_assert_eq!((a.effect, a.grant, a.obligations, a.valid_until), (b.effect, b.grant, b.obligations, b.valid_until));
    }

    /// ODR-1: what is written reads back as it was, in both syntaxes, and hashes the same.
    #[test]
    fn written_policies_read_back(policy in any_policy()) {
        let quads = write(&policy);
        let limits = OdrlLimits::default();
        prop_assert_eq!(&parse(&quads, &limits).unwrap(), std::slice::from_ref(&policy));
        let turtle = parse_turtle(&write_turtle(&policy).unwrap(), "https://a.example/", &limits).unwrap();
        prop_assert_eq!(run(&turtle[0]), run(&policy));
        let json = parse_json_ld(&write_json_ld(&policy).unwrap(), "https://a.example/", &limits).unwrap();
        let again = run(&json[0]);
        prop_assert_eq!((again.effect, again.grant), (run(&policy).effect, run(&policy).grant));
    }
}
