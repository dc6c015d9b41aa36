//! What is shipped to whom: requests sent, shapes of sub-queries, and terms of agreements in planning (federation.md §7, T78).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use broker::exec::manifest::words;
use broker::plan::{SubPlanText, Withheld};
use meent_tests::federation::data::{Dealing, EX, dealt, query};
use meent_tests::federation::generate::{self, Size, federation};
use meent_tests::federation::{Answered, Network};
use std::collections::BTreeSet;

async fn counted(network: &Network, text: &str) -> (Vec<u64>, Answered) {
    let before = network.requests();
    let answered = network.ask(text).await.unwrap();
    assert_eq!(answered.rows, network.expected(text), "{text}");
    let after = network.requests();
    (
        after.iter().zip(before).map(|(after, before)| after - before).collect(),
        answered,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_asks_only_those_who_can_answer_and_only_once() {
    let network = Network::start(dealt(5, Dealing::ByOwner)).await;
    // Member 0 also holds the register.
    for (body, requests) in [
        ("SELECT ?o ?v WHERE { ?o a :Observation ; :value ?v }", [1, 1, 1, 1, 1]),
        (
            "SELECT ?v WHERE { <http://owner3.example/obs/301> :value ?v }",
            [0, 0, 0, 1, 0],
        ),
        ("SELECT ?c WHERE { ?c a :City ; :code ?n }", [1, 0, 0, 0, 0]),
        (
            "SELECT ?o ?q WHERE { ?o a :Observation . OPTIONAL { ?o :quality ?q } }",
            [1, 1, 1, 1, 1],
        ),
        (
            "SELECT ?o WHERE { ?o a :Observation . FILTER NOT EXISTS { ?o :quality ?q } }",
            [1, 1, 1, 1, 1],
        ),
        (
            "SELECT ?o ?l WHERE { ?o :madeBy ?s . ?s rdfs:label ?l . FILTER(LANG(?l) = 'nl') }",
            [1, 1, 1, 1, 1],
        ),
        ("SELECT (AVG(?v) AS ?m) WHERE { ?o :value ?v }", [1, 1, 1, 1, 1]),
        (
            "SELECT ?s WHERE { ?s :street ?w . FILTER(?s = <http://owner2.example/sensor/20>) }",
            [0, 0, 1, 0, 0],
        ),
        (
            "SELECT ?s WHERE { VALUES ?s { <http://owner1.example/sensor/10> <http://owner4.example/sensor/40> } ?s a :Sensor }",
            [0, 1, 0, 0, 1],
        ),
        ("SELECT ?x WHERE { ?x :absent ?y }", [0, 0, 0, 0, 0]),
        (
            "SELECT ?o ?v WHERE { ?o :value ?v } ORDER BY DESC(?v) ?o LIMIT 3",
            [1, 1, 1, 1, 1],
        ),
        ("SELECT ?w ?k WHERE { ?w a :Street ; :partOf+ ?k }", [1, 0, 0, 0, 0]),
    ] {
        let (sent, answered) = counted(&network, &query(body)).await;
        assert_eq!(sent, requests, "{body}\n{:#?}", answered.plan.evidence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_and_limits_travel_instead_of_rows() {
    let network = Network::start(federation(Size {
        members: 4,
        days: 2,
        seed: 7,
    }))
    .await;
    for (name, text) in generate::QUERIES {
        let (_, answered) = counted(&network, text).await;
        let rows: u64 = answered.completeness.sources.iter().map(|source| source.rows).sum();
        let most = match name.chars().next().unwrap() {
            'c' => 4 * 4,
            'e' => 4 * 4 + 16 + 4,
            'd' => 3,
            'b' => 8 + 200,
            _ => u64::MAX,
        };
        assert!(
            rows <= most,
            "{name}: {rows} rows travelled\n{:#?}",
            answered.plan.evidence
        );
    }
    let top = "PREFIX s: <http://www.w3.org/ns/sosa/> SELECT ?o ?n WHERE { ?o s:hasSimpleResult ?n } ORDER BY DESC(?n) ?o LIMIT 5";
    let (_, answered) = counted(&network, top).await;
    let rows: u64 = answered.completeness.sources.iter().map(|source| source.rows).sum();
    assert_eq!(rows, 20, "five from each of four");
}

/// Join keys are a disclosure: only owners see them, and an open endpoint never sees keys that come from agreed data (T78).
#[tokio::test(flavor = "multi_thread")]
async fn join_keys_go_to_their_owners_only() {
    let mut network = Network::start(federation(Size {
        members: 3,
        days: 2,
        seed: 7,
    }))
    .await;
    let (_, text) = generate::QUERIES[1];
    counted(&network, text).await;
    for (number, member) in network.members.iter().take(3).enumerate() {
        for sent in member.take_queries() {
            for other in (0..3).filter(|other| *other != number) {
                assert!(
                    !sent.contains(&generate::authority(other)),
                    "member {number} sees keys of {other}: {sent}"
                );
            }
        }
    }
    // The register's rows now come under an agreement, the observations stay open: no keys may be sent to them.
    network.sources[3].agreement = Some("https://register.example/agreement".into());
    let plan = network.plan(text);
    assert!(
        plan.sub_plans.iter().all(|part| part.bind.is_none()),
        "{:#?}",
        plan.evidence
    );
    // Once the observations are agreed too, they may.
    for source in &mut network.sources {
        source.agreement = Some("https://m.example/agreement".into());
    }
    assert!(network.plan(text).sub_plans.iter().any(|part| part.bind.is_some()));
}

/// A source that gives aggregates only takes part in aggregates that it can compute itself, with its own threshold; a join that
/// needs its rows is refused, and the plan says by which duty.
///
/// Requirements ENF-36.
#[tokio::test(flavor = "multi_thread")]
async fn aggregate_only_sources_are_asked_for_aggregates_or_not_at_all() {
    let mut network = Network::start(dealt(3, Dealing::ByOwner)).await;
    network.sources[1].aggregate_only = Some(5);
    let aggregate = network.plan(&query(
        "SELECT ?w (AVG(?v) AS ?m) WHERE { ?o :madeBy ?s ; :value ?v . ?s :street ?w } GROUP BY ?w",
    ));
    assert!(aggregate.withheld.is_empty());
    assert!(aggregate.asked().contains(&1));
    for part in aggregate.sub_plans.iter().filter(|part| part.sources.contains_key(&1)) {
        let text = SubPlanText::whole(part);
        assert!(
            part.aggregated && text.contains("GROUP BY") && text.contains("SUM") && text.contains("COUNT"),
            "{text}"
        );
    }
    for body in [
        "SELECT ?o ?v WHERE { ?o :value ?v }",
        "SELECT (GROUP_CONCAT(STR(?v)) AS ?all) WHERE { ?o :value ?v }",
        "SELECT (COUNT(DISTINCT ?v) AS ?n) WHERE { ?o :value ?v }",
        "SELECT ?a ?b WHERE { ?a :next+ ?b }",
        "SELECT ?w ?v ?label WHERE { ?o :madeBy ?s ; :value ?v . ?s :street ?w . ?w :name ?label }",
    ] {
        let plan = network.plan(&query(body));
        assert_eq!(
            plan.withheld.get(&1),
            Some(&BTreeSet::from([Withheld::AggregateOnly { subjects_min: 5 }])),
            "{body}"
        );
        assert!(!plan.asked().contains(&1), "{body}");
        let said = plan.withheld[&1].iter().map(words).collect::<String>();
        assert!(
            said.contains("only aggregates over at least 5 distinct data subjects"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_outside_the_agreement_is_not_asked_for() {
    let mut network = Network::start(dealt(3, Dealing::ByOwner)).await;
    network.sources[2].properties = Some(BTreeSet::from([format!("{EX}value"), format!("{EX}madeBy")]));
    let fine = network.plan(&query("SELECT ?v WHERE { ?o :value ?v ; :madeBy ?s }"));
    assert!(fine.withheld.is_empty() && fine.asked().contains(&2));
    let outside = network.plan(&query("SELECT ?v WHERE { ?o :value ?v ; :time ?t }"));
    assert_eq!(
        outside.withheld.get(&2),
        Some(&BTreeSet::from([Withheld::PropertyNotAgreed {
            property: format!("{EX}time")
        }]))
    );
    assert!(!outside.asked().contains(&2));
}
