//! Agreements decided one at a time, as servers do for queries, and by compiled sets of policies, which also answer for the
//! test suites of ODRL: on generated agreements both say the same.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::decision::Effect;
use crate::odrl::{Circumstances, PolicySet, World};
use std::sync::Arc;

const CONDITIONS: [&str; 16] = [
    "odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:eq ; odrl:rightOperand meent:BicyclePolicy ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isAnyOf ; odrl:rightOperand meent:BicyclePolicy , dpv:Marketing ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isNoneOf ; odrl:rightOperand dpv:Marketing ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:recipient ; odrl:operator odrl:eq ; odrl:rightOperand <https://mobility.example/#us> ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:recipient ; odrl:operator odrl:neq ; odrl:rightOperand <https://mobility.example/#us> ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; odrl:rightOperand '2026-06-01T12:00:00Z'^^xsd:dateTime ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lteq ; odrl:rightOperand '2026-06-01T12:00:00Z'^^xsd:dateTime ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:gteq ; odrl:rightOperand '2026-06-01'^^xsd:date ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:count ; odrl:operator odrl:lteq ; odrl:rightOperand 2 ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:event ; odrl:operator odrl:eq ; odrl:rightOperand <urn:x:emergency> ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:event ; odrl:operator odrl:isNoneOf ; odrl:rightOperand <urn:x:retired> ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:spatial ; odrl:operator odrl:isPartOf ; odrl:rightOperand <urn:x:belgium> ] ;",
    "odrl:constraint [ odrl:leftOperand odrl:system ; odrl:operator odrl:eq ; odrl:rightOperand <https://app.example/id> ] ;",
    "odrl:constraint [ odrl:or ( [ odrl:leftOperand odrl:event ; odrl:operator odrl:eq ; odrl:rightOperand <urn:x:none> ]
       [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand dpv:Marketing ] ) ] ;",
    "odrl:constraint [ odrl:xone ( [ odrl:leftOperand odrl:spatial ; odrl:operator odrl:eq ; odrl:rightOperand <urn:x:gent> ]
       [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ) ] ;",
];

const DUTIES: [&str; 4] = [
    "",
    "odrl:duty [ odrl:action meent:log ] ;",
    "odrl:duty [ odrl:action meent:aggregateOnly ] ;",
    "odrl:duty [ odrl:action odrl:compensate ] ;",
];

/// A rule: action, conditions and, for permissions, a duty.
fn rule(kind: &'static str) -> impl Strategy<Value = String> {
    let conditions = proptest::collection::vec(select(CONDITIONS.as_slice()), 0..3);
    let action = select(["odrl:use", "odrl:read", "odrl:distribute", "odrl:print"].as_slice());
    (action, conditions, select(DUTIES.as_slice())).prop_map(move |(action, conditions, duty)| {
        let duty = if kind == "permission" { duty } else { "" };
        format!(
            "odrl:{kind} [ odrl:target <{DATASET}> ; odrl:action {action} ; {} {duty} ] ;",
            conditions.concat()
        )
    })
}

/// What is known when somebody asks.
#[derive(Clone, Debug)]
struct Asking {
    party: &'static str,
    purpose: &'static str,
    uses: u64,
    emergency: bool,
    client: Option<&'static str>,
}

fn asking() -> impl Strategy<Value = Asking> {
    (
        select([CONSUMER, "https://other.example/#us"].as_slice()),
        select(
            [
                meent::MOBILITY_PLANNING,
                meent::BICYCLE_POLICY,
                dpv::MARKETING,
                dpv::DIRECT_MARKETING,
            ]
            .as_slice(),
        ),
        0..4_u64,
        any::<bool>(),
        select([None, Some("https://app.example/id"), Some("https://bad.example/id")].as_slice()),
    )
        .prop_map(|(party, purpose, uses, emergency, client)| Asking {
            party,
            purpose,
            uses,
            emergency,
            client,
        })
}

fn iri(text: &str) -> oxrdf::Term {
    oxrdf::NamedNode::new(text).unwrap().into()
}

fn one_by_one(policy: &Policy, asking: &Asking) -> bool {
    let mut values = vec![(odrl::SPATIAL.to_owned(), iri("urn:x:gent"), None)];
    if asking.emergency {
        values.push((odrl::EVENT.to_owned(), iri("urn:x:emergency"), None));
    }
    let known = Known {
        agreed: NOW,
        first_use: None,
        last_use: None,
        encrypted: false,
        stated: Some(Statements {
            values,
            below: vec![("urn:x:gent".into(), "urn:x:belgium".into())],
        }),
        held: false,
        delete_by: None,
    };
    let world = known.world(NOW, asking.client);
    let (purposes, part_of) = (Hierarchy::default(), BTreeSet::new());
    let circumstances = Circumstances::Known(Box::new(known));
    let situation = Situation {
        party: Some(asking.party),
        dataset: DATASET,
        part_of: &part_of,
        purpose: Some(asking.purpose),
        now: NOW,
        purposes: &purposes,
        world: Some(&world),
        uses: Some(asking.uses),
        circumstances: &circumstances,
        forbidding: false,
    };
    evaluate(policy, &situation).effect == Effect::Permit
}

fn compiled(policy: &Policy, asking: &Asking) -> bool {
    let number = oxrdf::Literal::new_typed_literal((asking.uses + 1).to_string(), vocab::node(xsd::INTEGER));
    let mut world = World::at(NOW)
        .party(asking.party)
        .target(DATASET)
        .action(odrl::READ)
        .value(odrl::PURPOSE, iri(asking.purpose))
        .value(odrl::RECIPIENT, iri(asking.party))
        .value(odrl::COUNT, number)
        .value(odrl::SPATIAL, iri("urn:x:gent"))
        .below("urn:x:gent", "urn:x:belgium")
        .executes(meent::LOG)
        .executes(meent::AGGREGATE_ONLY);
    world = match asking.emergency {
        true => world.value(odrl::EVENT, iri("urn:x:emergency")),
        false => world.none(Of::Request, odrl::EVENT),
    };
    world = match asking.client {
        Some(client) => world.value(odrl::SYSTEM, iri(client)),
        None => world.none(Of::Request, odrl::SYSTEM),
    };
    let set = PolicySet::compile([Arc::new(policy.clone())]);
    set.decide(&world.build()).effect == Effect::Permit
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Requirements ODR-26, ENF-40: both ways to decide about an agreement agree, whatever its rules and whoever asks.
    #[test]
    fn both_ways_to_decide_about_an_agreement_agree(
        permissions in proptest::collection::vec(rule("permission"), 1..4),
        prohibitions in proptest::collection::vec(rule("prohibition"), 0..3),
        conflict in select(["", "odrl:conflict odrl:prohibit ;", "odrl:conflict odrl:invalid ;"].as_slice()),
        asking in asking(),
    ) {
        let rules = format!("{conflict} {} {}", permissions.concat(), prohibitions.concat());
        let policy = read(&agreement(rules.trim_end().trim_end_matches(';')));
        prop_assert_eq!(one_by_one(&policy, &asking), compiled(&policy, &asking), "{} {:?}", rules, asking);
    }
}
