//! Triples that several members hold count once, or as often as they are held if that is asked for; a plan that cannot count them so says
//! no. The expectation is one store in which each member's triples lie in a graph of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use broker::plan::PlanError;
use meent_tests::federation::Network;
use meent_tests::federation::kinds::Kind;
use oxigraph::sparql::{QueryResults, SparqlEvaluator};
use oxigraph::store::Store;
use oxrdf::{Literal, NamedNode, Quad, Triple};
use proptest::prelude::*;

fn node(name: &str) -> NamedNode {
    NamedNode::new(format!("http://x.example/{name}")).unwrap()
}

fn triple(subject: u8, property: u8, object: u8) -> Triple {
    Triple::new(
        node(&format!("s{subject}")),
        node(&format!("p{property}")),
        Literal::from(i32::from(object)),
    )
}

/// Rows as text, sorted; every row as often as it is there.
fn counted(data: &[Vec<Triple>], query: &str) -> Vec<String> {
    let store = Store::new().unwrap();
    for (member, triples) in data.iter().enumerate() {
        for triple in triples {
            let quad: Quad = triple.clone().in_graph(node(&format!("member{member}")));
            store.insert(&quad).unwrap();
        }
    }
    let QueryResults::Solutions(solutions) = SparqlEvaluator::new()
        .parse_query(query)
        .unwrap()
        .on_store(&store)
        .execute()
        .unwrap()
    else {
        panic!("rows");
    };
    let variables = solutions.variables().to_vec();
    let mut rows: Vec<String> = solutions
        .map(|solution| {
            let solution = solution.unwrap();
            let cells: Vec<String> = variables
                .iter()
                .map(|variable| {
                    format!(
                        "{variable}={}",
                        solution.get(variable).map_or("-".to_owned(), ToString::to_string)
                    )
                })
                .collect();
            cells.join(" ")
        })
        .collect();
    rows.sort();
    rows
}

async fn kept(network: &Network, query: &str) -> Result<Vec<String>, PlanError> {
    network.ask_kept(query).await.map(|answered| answered.rows)
}

/// Queries, and the same over one graph per member.
const QUERIES: [(&str, &str); 7] = [
    (
        "SELECT ?s ?v { ?s <p0> ?v }",
        "SELECT ?s ?v { GRAPH ?a { ?s <p0> ?v } }",
    ),
    (
        "SELECT ?v { ?s <p0> ?v ; <p1> ?w }",
        "SELECT ?v { GRAPH ?a { ?s <p0> ?v } GRAPH ?b { ?s <p1> ?w } }",
    ),
    (
        "SELECT ?s ?t { ?s <p0> ?v . ?t <p1> ?v }",
        "SELECT ?s ?t { GRAPH ?a { ?s <p0> ?v } GRAPH ?b { ?t <p1> ?v } }",
    ),
    (
        "SELECT ?s ?w { ?s <p0> ?v OPTIONAL { ?s <p1> ?w } }",
        "SELECT ?s ?w { GRAPH ?a { ?s <p0> ?v } OPTIONAL { GRAPH ?b { ?s <p1> ?w } } }",
    ),
    (
        "SELECT ?s (COUNT(?v) AS ?n) (SUM(?v) AS ?m) { ?s <p0> ?v } GROUP BY ?s",
        "SELECT ?s (COUNT(?v) AS ?n) (SUM(?v) AS ?m) { GRAPH ?a { ?s <p0> ?v } } GROUP BY ?s",
    ),
    (
        "SELECT ?s { { ?s <p0> ?v } UNION { ?s <p1> ?v } FILTER(?v > 1) }",
        "SELECT ?s { { GRAPH ?a { ?s <p0> ?v } } UNION { GRAPH ?a { ?s <p1> ?v } } FILTER(?v > 1) }",
    ),
    (
        "SELECT ?s ?v { ?s <p0> ?v FILTER EXISTS { ?s <p1> ?w } }",
        "SELECT ?s ?v { GRAPH ?a { ?s <p0> ?v } FILTER EXISTS { GRAPH ?b { ?s <p1> ?w } } }",
    ),
];

fn absolute(text: &str) -> String {
    text.replace("<p", "<http://x.example/p")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Every row is there as often as the members' triples make it.
    #[test]
    fn triples_count_as_often_as_they_are_held(
        dealt in prop::collection::vec(((0..4_u8, 0..2_u8, 0..4_u8), 1..8_u8), 1..14)
    ) {
        let data: Vec<Vec<Triple>> = (0..3)
            .map(|member| {
                let mut own: Vec<Triple> = dealt
                    .iter()
                    .filter(|(_, holders)| holders >> member & 1 == 1)
                    .map(|((s, p, o), _)| triple(*s, *p, *o))
                    .collect();
                own.sort_by_key(ToString::to_string);
                own.dedup();
                own
            })
            .collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let network = Network::start(data.clone()).await;
            for (query, graphs) in QUERIES {
                let (query, graphs) = (absolute(query), absolute(graphs));
                assert_eq!(kept(&network, &query).await, Ok(counted(&data, &graphs)), "{query}");
            }
        });
    }
}

/// Paths need all triples in one place, where none is there twice: unless nobody shares any, they cannot count so.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_merged_is_refused() {
    let link = |from: u8, to: u8| Triple::new(node(&format!("s{from}")), node("p0"), node(&format!("s{to}")));
    let shared = Network::start(vec![vec![link(0, 1), link(1, 2)], vec![link(1, 2), link(2, 3)]]).await;
    let path = "SELECT ?a ?b { ?a <http://x.example/p0>/<http://x.example/p0>* ?b }";
    assert_eq!(kept(&shared, path).await.unwrap_err(), PlanError::Merges);
    assert_eq!(
        shared.ask(path).await.unwrap().rows,
        shared.expected(path),
        "merged, it is answered"
    );
}

/// What each of two members holds of a maker that both refer to: once in the merge, where each joins its own copy and nobody else's is
/// fetched; as often as it is held when all count, so that no copy may stand for another.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_what_is_referred_to_count_for_themselves() {
    let data: Vec<Vec<Triple>> = (1..3)
        .map(|offer| {
            vec![
                Triple::new(
                    NamedNode::new(format!("http://shop{offer}.example/offer")).unwrap(),
                    node("p0"),
                    node("maker"),
                ),
                Triple::new(node("maker"), node("p1"), Literal::from("Maker")),
            ]
        })
        .collect();
    let network = Network::start(data.clone()).await;
    for (query, graphs, once, each) in [
        (
            "SELECT ?s ?n { ?s <p0> ?m . ?m <p1> ?n }",
            "SELECT ?s ?n { GRAPH ?a { ?s <p0> ?m } GRAPH ?b { ?m <p1> ?n } }",
            2,
            4,
        ),
        (
            "SELECT ?s ?n { ?s <p0> ?m OPTIONAL { ?m <p1> ?n } }",
            "SELECT ?s ?n { GRAPH ?a { ?s <p0> ?m } OPTIONAL { GRAPH ?b { ?m <p1> ?n } } }",
            2,
            4,
        ),
        (
            "SELECT (COUNT(?n) AS ?c) { ?s <p0> ?m . ?m <p1> ?n }",
            "SELECT (COUNT(?n) AS ?c) { GRAPH ?a { ?s <p0> ?m } GRAPH ?b { ?m <p1> ?n } }",
            1,
            1,
        ),
    ] {
        let (query, graphs) = (absolute(query), absolute(graphs));
        let merged = network.ask(&query).await.unwrap();
        assert_eq!(
            (merged.rows.len(), &merged.rows),
            (once, &network.expected(&query)),
            "{query}"
        );
        let by_itself = |evidence: &String| evidence.contains("as all others do: joined at each source");
        assert!(merged.plan.evidence.iter().any(by_itself), "{:?}", merged.plan.evidence);
        let kept = network.ask_kept(&query).await.unwrap();
        assert_eq!((kept.rows.len(), kept.rows), (each, counted(&data, &graphs)), "{query}");
        assert!(!kept.plan.evidence.iter().any(by_itself), "{:?}", kept.plan.evidence);
    }
}

/// Members of every kind: counted as held, or refused where nobody can know; a single pattern can always be counted.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_every_kind_count_for_themselves() {
    let data = vec![
        vec![triple(0, 0, 1), triple(0, 0, 2), triple(0, 1, 2), triple(1, 0, 1)],
        vec![triple(0, 0, 1), triple(1, 0, 1), triple(1, 1, 3)],
    ];
    for first in Kind::ALL {
        for second in Kind::ALL {
            let kinds = [first, second].into_iter().zip(data.clone()).collect();
            let network = Network::of_kinds(kinds).await;
            let described = [first, second]
                .iter()
                .all(|kind| !matches!(kind, Kind::Sparql | Kind::SparqlXml));
            for (query, graphs) in QUERIES {
                let alone = !query.contains("<p1>") || query.contains("UNION");
                let (query, graphs) = (absolute(query), absolute(graphs));
                match kept(&network, &query).await {
                    Ok(rows) => assert_eq!(rows, counted(&data, &graphs), "{first:?} {second:?} {query}"),
                    Err(error) => assert!(
                        error == PlanError::Merges && !alone && !described,
                        "{first:?} {second:?} {query}: {error}"
                    ),
                }
            }
        }
    }
}
