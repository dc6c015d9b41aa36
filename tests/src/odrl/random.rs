//! Policies and facts at random, small enough to meet each other often.

use std::collections::BTreeMap;

use oxrdf::{Literal, NamedNode, Term};
use policies::odrl::{
    Action, ConflictStrategy, Constraint, Duty, LogicalOperator, Operator, Party, Permission, Policy, PolicyKind,
    Prohibition, Target,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use vocab::{dpv, meent, odrl, xsd};

use super::cases::{Event, Facts};

const OPERATORS: [Operator; 12] = [
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
const PURPOSES: [&str; 4] = [
    dpv::MARKETING,
    dpv::PUBLIC_BENEFIT,
    meent::MOBILITY_PLANNING,
    meent::BICYCLE_POLICY,
];
const ACTIONS: [&str; 8] = [
    odrl::READ,
    odrl::USE,
    odrl::DISPLAY,
    odrl::PLAY,
    odrl::SELL,
    odrl::WRITE,
    odrl::MODIFY,
    "https://example.org/frob",
];

fn example(name: &str) -> String {
    format!("https://example.org/{name}")
}

fn named(iri: impl Into<String>) -> Term {
    NamedNode::new_unchecked(iri).into()
}

fn moment(year: i32) -> Term {
    Literal::new_typed_literal(format!("{year}-06-01T12:00:00Z"), vocab::node(xsd::DATE_TIME)).into()
}

fn number(number: i64) -> Term {
    Literal::new_typed_literal(number.to_string(), vocab::node(xsd::INTEGER)).into()
}

/// One comparison, sensible or not.
pub fn atomic() -> impl Strategy<Value = Constraint> {
    let values = prop_oneof![
        4 => subsequence(PURPOSES.to_vec(), 1..3)
            .prop_map(|names| (odrl::PURPOSE.to_owned(), names.into_iter().map(named).collect::<Vec<_>>())),
        4 => proptest::collection::vec(0i64..6, 1..3)
            .prop_map(|numbers| (odrl::COUNT.to_owned(), numbers.into_iter().map(number).collect())),
        4 => (2024i32..2029).prop_map(|year| (odrl::DATE_TIME.to_owned(), vec![moment(year)])),
        2 => subsequence(vec!["be", "vl", "fr"], 1..3)
            .prop_map(|names| (odrl::SPATIAL.to_owned(), names.into_iter().map(|name| named(example(name))).collect())),
        2 => subsequence(vec!["nl", "fr"], 1..3).prop_map(|codes| {
            let codes = codes.into_iter().map(|code| Literal::new_simple_literal(code).into());
            (odrl::LANGUAGE.to_owned(), codes.collect())
        }),
        1 => Just((example("strange"), vec![number(1)])),
        1 => Just((odrl::COUNT.to_owned(), vec![named(example("be"))])),
    ];
    (select(OPERATORS.to_vec()), values, 0..12u8).prop_map(|(operator, (operand, values), reference)| {
        let mut constraint = Constraint::atomic(operand, operator, values);
        if let (Constraint::Atomic(atomic), 0) = (&mut constraint, reference) {
            atomic.right_operands.clear();
            atomic.right_operand_reference = Some(example("list"));
        }
        constraint
    })
}

/// A constraint of any shape.
pub fn constraint() -> impl Strategy<Value = Constraint> {
    atomic().prop_recursive(3, 10, 3, |inner| {
        let operators = vec![
            LogicalOperator::And,
            LogicalOperator::Or,
            LogicalOperator::Xone,
            LogicalOperator::AndSequence,
        ];
        (select(operators), proptest::collection::vec(inner, 1..4))
            .prop_map(|(operator, operands)| Constraint::logical(operator, operands))
    })
}

fn target() -> impl Strategy<Value = Target> {
    let refinement = (select(OPERATORS[..6].to_vec()), 0i64..4)
        .prop_map(|(operator, size)| Constraint::atomic(example("size"), operator, vec![number(size)]));
    (
        select(vec!["a", "b", "shelf"]),
        proptest::option::weighted(0.2, refinement),
    )
        .prop_map(|(name, refinement)| Target {
            source: example(name),
            collection: refinement.is_some(),
            refinements: refinement.into_iter().collect(),
        })
}

fn party() -> impl Strategy<Value = Party> {
    let refinement = (select(OPERATORS[..6].to_vec()), 16i64..20)
        .prop_map(|(operator, age)| Constraint::atomic(example("age"), operator, vec![number(age)]));
    (
        select(vec!["alice", "bob", "team"]),
        proptest::option::weighted(0.2, refinement),
    )
        .prop_map(|(name, refinement)| Party {
            id: example(name),
            collection: refinement.is_some(),
            refinements: refinement.into_iter().collect(),
        })
}

fn action() -> impl Strategy<Value = Action> {
    let ids = prop_oneof![3 => Just(odrl::USE), 4 => select(ACTIONS.to_vec())];
    (ids, proptest::option::weighted(0.1, atomic())).prop_map(|(id, refinement)| Action {
        id: id.to_owned(),
        refinements: refinement.into_iter().collect(),
    })
}

fn duty() -> impl Strategy<Value = Duty> {
    let actions = vec![odrl::COMPENSATE, odrl::INFORM, meent::LOG, "https://example.org/frob"];
    let parts = (
        select(actions),
        proptest::option::of(select(vec!["d1", "d2"])),
        proptest::option::of(2024i32..2029),
        0..20u8,
    );
    parts.prop_map(|(action, id, end, unknown)| Duty {
        id: id.map(example),
        constraints: end
            .map(|year| Constraint::atomic(odrl::DATE_TIME, Operator::Lt, vec![moment(year)]))
            .into_iter()
            .collect(),
        unknown: if unknown == 0 {
            vec![example("riddle")]
        } else {
            Vec::new()
        },
        ..Duty::to(action)
    })
}

/// Mostly none or one.
fn few<S: Strategy + Clone + 'static>(one: S) -> impl Strategy<Value = Vec<S::Value>>
where
    S::Value: Clone,
{
    prop_oneof![
        4 => Just(Vec::new()),
        4 => proptest::collection::vec(one.clone(), 1),
        1 => proptest::collection::vec(one, 2..4),
    ]
}

fn unknown() -> impl Strategy<Value = Vec<String>> {
    (0..40u8).prop_map(|dice| if dice == 0 { vec![example("riddle")] } else { Vec::new() })
}

/// A permission.
pub fn permission() -> impl Strategy<Value = Permission> {
    let parts = (
        target(),
        proptest::option::weighted(0.4, party()),
        action(),
        few(constraint().boxed()),
        prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec(duty(), 1..3)],
        unknown(),
    );
    parts.prop_map(|(target, assignee, action, constraints, duties, unknown)| Permission {
        id: None,
        target,
        assigner: None,
        assignee,
        action,
        constraints,
        duties,
        unknown,
    })
}

/// A prohibition.
pub fn prohibition() -> impl Strategy<Value = Prohibition> {
    let parts = (
        target(),
        proptest::option::weighted(0.4, party()),
        action(),
        few(constraint().boxed()),
        unknown(),
    );
    parts.prop_map(|(target, assignee, action, constraints, unknown)| Prohibition {
        id: None,
        target,
        assigner: None,
        assignee,
        action,
        constraints,
        remedies: Vec::new(),
        unknown,
    })
}

/// A policy.
pub fn policy() -> impl Strategy<Value = Policy> {
    let parts = (
        proptest::collection::vec(permission(), 1..4),
        prop_oneof![3 => Just(Vec::new()), 2 => proptest::collection::vec(prohibition(), 1..3)],
        proptest::collection::vec(duty(), 0..2),
        proptest::option::of(select(vec![
            ConflictStrategy::Perm,
            ConflictStrategy::Prohibit,
            ConflictStrategy::Invalid,
        ])),
        0..20u8,
    );
    parts.prop_map(|(permissions, prohibitions, obligations, conflict, dice)| Policy {
        permissions,
        prohibitions,
        obligations: if dice < 15 { Vec::new() } else { obligations },
        conflict,
        profiles: if dice == 0 {
            vec![example("profile")]
        } else {
            Vec::new()
        },
        ..Policy::new(example("policy"), PolicyKind::Set)
    })
}

/// Several policies with names of their own.
pub fn policies() -> impl Strategy<Value = Vec<Policy>> {
    proptest::collection::vec(policy(), 1..4).prop_map(|mut policies| {
        for (number, policy) in policies.iter_mut().enumerate() {
            policy.id = example(&format!("policy{number}"));
        }
        policies
    })
}

fn values() -> impl Strategy<Value = BTreeMap<String, Vec<Value>>> {
    let id = |iri: String| json!({ "@id": iri });
    let purposes = subsequence(PURPOSES.to_vec(), 0..3)
        .prop_map(move |names| names.into_iter().map(|name| id(name.to_owned())).collect::<Vec<_>>());
    let counts = proptest::collection::vec(0i64..6, 0..3)
        .prop_map(|numbers| numbers.into_iter().map(Value::from).collect::<Vec<_>>());
    let places = subsequence(vec!["be", "vl", "fr"], 0..3)
        .prop_map(move |names| names.into_iter().map(|name| id(example(name))).collect::<Vec<_>>());
    let languages =
        subsequence(vec!["nl", "fr"], 0..3).prop_map(|codes| codes.into_iter().map(Value::from).collect::<Vec<_>>());
    let told = |values| proptest::option::weighted(0.8, values);
    (
        told(purposes.boxed()),
        told(counts.boxed()),
        told(places.boxed()),
        told(languages.boxed()),
    )
        .prop_map(|(purposes, counts, places, languages)| {
            let all = [
                (odrl::PURPOSE, purposes),
                (odrl::COUNT, counts),
                (odrl::SPATIAL, places),
                (odrl::LANGUAGE, languages),
            ];
            all.into_iter()
                .filter_map(|(operand, values)| Some((operand.to_owned(), values?)))
                .collect()
        })
}

fn attribute(name: &'static str, range: std::ops::Range<i64>) -> impl Strategy<Value = BTreeMap<String, Vec<Value>>> {
    proptest::option::weighted(0.8, range).prop_map(move |value| {
        value
            .map(|value| (format!("ex:{name}"), vec![Value::from(value)]))
            .into_iter()
            .collect()
    })
}

fn event() -> impl Strategy<Value = Event> {
    let parts = (
        select(vec![odrl::COMPENSATE, odrl::INFORM, odrl::READ]),
        select(vec!["alice", "bob"]),
        2024..2028,
    );
    parts.prop_map(|(action, by, year)| Event {
        action: action.to_owned(),
        by: Some(example(by)),
        target: None,
        at: instant(year),
        parties: Vec::new(),
        values: BTreeMap::new(),
    })
}

fn instant(year: i32) -> OffsetDateTime {
    datetime!(2026-03-01 0:00 UTC)
        .replace_year(year)
        .unwrap_or(datetime!(2026-03-01 0:00 UTC))
}

/// Facts.
pub fn facts() -> impl Strategy<Value = Facts> {
    let below = vec![
        ("ex:alice", "ex:team"),
        ("ex:a", "ex:shelf"),
        ("ex:vl", "ex:be"),
        ("ex:frob", odrl::USE),
    ];
    let below = subsequence(below, 0..5).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(narrow, wide)| (narrow.to_owned(), wide.to_owned()))
            .collect::<Vec<_>>()
    });
    let duties = proptest::collection::btree_map(
        select(vec![example("d1"), example("d2")]),
        select(vec![
            "fulfilled".to_owned(),
            "violated".to_owned(),
            "not-set".to_owned(),
        ]),
        0..2,
    );
    let first = (
        proptest::option::weighted(0.9, select(vec![example("alice"), example("bob")])),
        select(vec![example("a"), example("b")]),
        select(ACTIONS.to_vec()),
        2024..2029,
        values(),
        below,
    );
    let second = (
        attribute("age", 16..20),
        attribute("size", 0..4),
        proptest::collection::vec(event(), 0..3),
        duties,
        proptest::bool::ANY,
        proptest::option::of(0i64..6),
        0..10u8,
    );
    (first, second).prop_map(
        |(
            (party, target, action, year, values, below),
            (party_values, target_values, performed, duties, logs, list, implied),
        )| {
            Facts {
                now: Some(instant(year)),
                party,
                target: Some(target),
                action: action.to_owned(),
                values,
                party_values,
                target_values,
                below,
                performed,
                duties,
                executes: if logs { vec![meent::LOG.to_owned()] } else { Vec::new() },
                references: list
                    .map(|number| (example("list"), vec![Value::from(number)]))
                    .into_iter()
                    .collect(),
                implies: if implied == 0 {
                    vec![(odrl::READ.to_owned(), odrl::PLAY.to_owned())]
                } else {
                    Vec::new()
                },
                ..Facts::default()
            }
        },
    )
}
