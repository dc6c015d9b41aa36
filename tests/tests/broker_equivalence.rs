//! The answer of a federation equals the answer of one store over the merged data, for every operator, however the data is dealt
//! (ARCHITECTURE §5, invariant 7; federation.md §6 "Replicated triples").

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::federation::Network;
use meent_tests::federation::data::{Dealing, QUERIES, dealt, query};
use oxrdf::{GraphName, NamedNode};
use server_kit::mask;
use spargebra::SparqlParser;

async fn same_as_merged(members: usize, dealing: Dealing) {
    answers_as_merged(
        &Network::start(dealt(members, dealing)).await,
        &format!("{members} members, {dealing:?}"),
    )
    .await;
}

async fn answers_as_merged(network: &Network, case: &str) {
    let mut wrong = Vec::new();
    for (name, body) in QUERIES {
        let text = query(body);
        let answered = network.ask(&text).await.unwrap();
        let expected = network.expected(&text);
        assert!(answered.completeness.complete, "{name}: {:?}", answered.completeness);
        if answered.rows != expected {
            wrong.push(format!(
                "{name} ({case}):\n  expected {} rows {:?}\n  answered {} rows {:?}\n  residual {}\n  evidence {:#?}",
                expected.len(),
                expected.iter().take(4).collect::<Vec<_>>(),
                answered.rows.len(),
                answered.rows.iter().take(4).collect::<Vec<_>>(),
                answered.plan.residual,
                answered.plan.evidence
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        QUERIES.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_answers_as_itself() {
    same_as_merged(1, Dealing::ByOwner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_answer_as_one() {
    same_as_merged(2, Dealing::ByOwner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_members_answer_as_one() {
    same_as_merged(5, Dealing::ByOwner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_without_an_owner_are_merged() {
    same_as_merged(5, Dealing::SharedAuthority).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicated_triples_count_once() {
    same_as_merged(2, Dealing::Replicated).await;
    same_as_merged(5, Dealing::Replicated).await;
}

/// Requirement ENF-34: keys behind masks narrow what is asked for and change no answer; no key is sent in the open.
#[tokio::test(flavor = "multi_thread")]
async fn masked_keys_change_no_answer() {
    for dealing in [Dealing::ByOwner, Dealing::SharedAuthority, Dealing::Replicated] {
        let mut network = Network::start(dealt(5, dealing)).await;
        for source in &mut network.sources {
            source.masks = true;
        }
        answers_as_merged(&network, &format!("masked, {dealing:?}")).await;
        let sent: Vec<String> = network
            .members
            .iter()
            .flat_map(|member| member.take_queries())
            .collect();
        assert!(sent.iter().any(|text| text.contains(mask::FUNCTION)), "{dealing:?}");
        for (name, body) in QUERIES {
            let plan = network.plan(&query(body));
            for part in &plan.sub_plans {
                let Some(bind) = part.bind.as_ref().filter(|bind| !bind.masked) else {
                    continue;
                };
                let from = plan.sub_plans.iter().find(|other| other.id == bind.from).unwrap();
                let ids: Vec<_> = from.sources.keys().chain(part.sources.keys()).collect();
                assert!(
                    ids.windows(2).all(|pair| pair[0] == pair[1]),
                    "{name}: {:#?}",
                    plan.evidence
                );
            }
        }
    }
}

/// `FROM` and `FROM NAMED` name datasets of members, whose whole content is meant, or graphs that lie at any of them (SPARQL 1.1 Query
/// §13.2). What is left out of the clause is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_says_what_it_is_about() {
    let graph = |name: &str| NamedNode::new_unchecked(format!("http://graphs.example/{name}"));
    let mut data = Vec::new();
    for (member, triples) in dealt(3, Dealing::ByOwner).into_iter().enumerate() {
        let mut quads = Vec::new();
        for (at, triple) in triples.into_iter().enumerate() {
            let blank = triple.subject.is_blank_node() || triple.object.is_blank_node();
            let name = if at % 2 == 0 || blank {
                graph("shared")
            } else {
                graph(&format!("own{member}"))
            };
            quads.push(triple.clone().in_graph(GraphName::DefaultGraph));
            quads.push(triple.in_graph(name));
        }
        data.push(quads);
    }
    let network = Network::of_quads(data).await;
    let prefix = query("");
    let ask = async |clause: &str, rest: &str| {
        let text = format!("{prefix} SELECT * {clause} WHERE {{ {rest} }}");
        network
            .ask_parsed(&SparqlParser::new().parse_query(&text).unwrap())
            .await
    };
    let expected = |text: String| {
        let parsed = SparqlParser::new().parse_query(&text).unwrap();
        network.expected_of(parsed, false).unwrap()
    };
    for (clause, rest) in [
        ("FROM <http://graphs.example/shared>", "?o :value ?v ; :madeBy ?s"),
        (
            "FROM <http://graphs.example/own0> FROM <http://graphs.example/own1>",
            "?o :madeBy ?s . ?s :street ?w",
        ),
        ("FROM NAMED <http://graphs.example/own1>", "GRAPH ?g { ?o :value ?v }"),
        ("FROM NAMED <http://graphs.example/own1>", "?o :value ?v"),
        (
            "FROM NAMED <http://graphs.example/own1>",
            "GRAPH <http://graphs.example/shared> { ?o :value ?v }",
        ),
        (
            "FROM <http://graphs.example/own2> FROM NAMED <http://graphs.example/shared>",
            "?o :value ?v GRAPH ?g { ?o :madeBy ?s } FILTER NOT EXISTS { GRAPH ?h { ?o :quality ?q } }",
        ),
        ("FROM <http://graphs.example/nowhere>", "?s ?p ?o"),
    ] {
        let answered = ask(clause, rest).await.unwrap();
        assert_eq!(
            answered.rows,
            expected(format!("{prefix} SELECT * {clause} WHERE {{ {rest} }}")),
            "{clause} {rest}"
        );
        assert!(answered.completeness.complete, "{clause} {rest}");
    }
    // Datasets: the same as that member alone answers, and nobody else is asked.
    let rest = "?o :value ?v ; :madeBy ?s";
    let before = network.requests();
    let own = ask(&format!("FROM <{}>", network.sources[1].dataset), rest)
        .await
        .unwrap();
    let after = network.requests();
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    let only = expected(format!(
        "{prefix} SELECT * WHERE {{ {rest} FILTER(STRSTARTS(STR(?o), 'http://owner1') || STRSTARTS(STR(?o), 'http://owner4')) }}"
    ));
    assert_eq!(own.rows, only);
    let both = ask(
        &format!(
            "FROM <{}> FROM NAMED <{}>",
            network.sources[0].dataset, network.sources[1].dataset
        ),
        "?s :street ?w GRAPH ?d { ?s2 :street ?w }",
    )
    .await
    .unwrap();
    assert!(!both.rows.is_empty());
    for row in &both.rows {
        assert!(row.contains(&network.sources[1].dataset), "{row}");
    }
    let too_many: Vec<String> = (0..5_000)
        .map(|at| format!("FROM <http://graphs.example/{at}>"))
        .collect();
    let refused = ask(&too_many.join(" "), "?s ?p ?o").await.unwrap_err();
    assert!(refused.contains("more than 4096"), "{refused}");
}
