//! The contract of adapters: one table of tests, walked for each kind of member.

use broker::exec::ExecError;
use broker::exec::gate::GateLimits;
use broker::exec::manifest::SourceStatus;
use meent_tests::federation::data::{Dealing, EX, QUERIES, dealt, query};
use meent_tests::federation::kinds::document_of;
use meent_tests::federation::{Behaviour, Kind, Member, Network};
use oxrdf::{GraphName, Literal, NamedNode, Quad, Triple};
use spargebra::SparqlParser;
use std::time::Duration;

const ROWS: &str = "SELECT ?o ?v WHERE { ?o :value ?v }";

fn fact(subject: &str, property: &str, value: i64) -> Triple {
    let iri = |text: String| NamedNode::new(text).unwrap();
    Triple::new(
        iri(subject.to_owned()),
        iri(format!("{EX}{property}")),
        Literal::from(value),
    )
}

async fn same_as_merged(kinds: &[Kind], dealing: Dealing) {
    let data = dealt(kinds.len(), dealing);
    let network = Network::of_kinds(kinds.iter().copied().zip(data).collect()).await;
    let mut wrong = Vec::new();
    for (name, body) in QUERIES {
        let text = query(body);
        let answered = network.ask(&text).await.unwrap();
        assert!(
            answered.completeness.complete,
            "{name}: {:?}",
            answered.completeness.sources
        );
        let expected = network.expected(&text);
        if answered.rows != expected {
            wrong.push(format!(
                "{name}: expected {} rows {:?}, answered {} rows {:?}; {:#?}",
                expected.len(),
                expected.iter().take(3).collect::<Vec<_>>(),
                answered.rows.len(),
                answered.rows.iter().take(3).collect::<Vec<_>>(),
                answered.plan.evidence
            ));
        }
    }
    let count = wrong.len();
    assert!(
        wrong.is_empty(),
        "{kinds:?} {dealing:?}: {count} differ:\n{}",
        wrong.join("\n")
    );
}

/// Every kind answers the whole table of queries as one store would, beside a pod server and alone.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_answers_as_one_store() {
    for kind in Kind::ALL {
        same_as_merged(&[kind], Dealing::ByOwner).await;
        same_as_merged(&[Kind::Pod, kind], Dealing::ByOwner).await;
    }
}

/// Members of all kinds together give the answer of the merged data, also where they hold the same triples.
#[tokio::test(flavor = "multi_thread")]
async fn mixed_kinds_answer_as_one_store() {
    same_as_merged(&Kind::ALL, Dealing::ByOwner).await;
    same_as_merged(&Kind::ALL, Dealing::SharedAuthority).await;
    same_as_merged(&Kind::ALL, Dealing::Replicated).await;
    same_as_merged(&[Kind::Ldes, Kind::Solid], Dealing::Replicated).await;
}

/// Two members of whatever kinds that hold the very same triples: each counts once.
#[tokio::test(flavor = "multi_thread")]
async fn equal_triples_at_two_members_count_once() {
    let one: Vec<Triple> = dealt(1, Dealing::ByOwner)
        .remove(0)
        .into_iter()
        .filter(|triple| !triple.subject.is_blank_node() && !triple.object.is_blank_node())
        .collect();
    for (first, second) in [
        (Kind::Pod, Kind::Sparql),
        (Kind::Sparql, Kind::SparqlXml),
        (Kind::Solid, Kind::Ldes),
        (Kind::Pod, Kind::Solid),
    ] {
        let network = Network::of_kinds(vec![(first, one.clone()), (second, one.clone())]).await;
        for body in [
            ROWS,
            "SELECT (COUNT(*) AS ?n) (SUM(?v) AS ?t) WHERE { ?o :value ?v }",
            "SELECT ?s ?n WHERE { ?s :street ?w . ?w :name ?n }",
        ] {
            let text = query(body);
            let answered = network.ask(&text).await.unwrap();
            assert_eq!(answered.rows, network.expected(&text), "{first:?} {second:?} {body}");
            assert!(answered.completeness.complete);
        }
    }
}

/// `FROM` and `GRAPH` over members of other kinds: a dataset is the whole of a member, a graph is a document of a Solid pod or a
/// named graph of an endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn graphs_and_datasets_of_other_kinds() {
    let named = NamedNode::new("http://graphs.example/one").unwrap();
    let mut network = Network::of_kinds(vec![
        (
            Kind::Solid,
            (0..4)
                .map(|n| fact(&format!("http://a.example/{n}"), "value", n))
                .collect(),
        ),
        (Kind::Pod, vec![fact("http://b.example/0", "value", 20)]),
    ])
    .await;
    let inside = fact("http://c.example/0", "value", 30);
    let open = fact("http://c.example/1", "value", 31);
    let endpoint = Member::start_with_graphs(
        "graphs",
        vec![
            inside.clone().in_graph(named.clone()),
            open.clone().in_graph(GraphName::DefaultGraph),
        ],
    )
    .await
    .unwrap();
    let source =
        meent_tests::federation::kinds::foreign("graphs", broker::member::MemberKind::Sparql, &endpoint.endpoint);
    network.sources.push(source);
    let mut quads: Vec<Quad> = vec![
        fact("http://b.example/0", "value", 20).in_graph(GraphName::DefaultGraph),
        inside.in_graph(named.clone()),
        open.in_graph(GraphName::DefaultGraph),
    ];
    let root = network.sites[0].root.clone();
    let own: Vec<Triple> = (0..4)
        .map(|n| fact(&format!("http://a.example/{n}"), "value", n))
        .collect();
    let mut first = String::new();
    for (document, triples) in document_of(&own) {
        first = format!("{root}{document}");
        let graph = NamedNode::new(&first).unwrap();
        for triple in triples {
            quads.push(triple.clone().in_graph(GraphName::DefaultGraph));
            quads.push(triple.in_graph(graph.clone()));
        }
    }
    let network = network.expecting(quads);
    let prefix = query("");
    let [pod, _, sparql] = [0, 1, 2].map(|at| network.sources[at].dataset.clone());
    for (clause, rest) in [
        ("".to_owned(), "GRAPH ?g { ?o :value ?v }"),
        (
            String::new(),
            "?o :value ?v FILTER NOT EXISTS { GRAPH <http://graphs.example/one> { ?o :value ?w } }",
        ),
        (format!("FROM <{first}>"), "?o :value ?v"),
        ("FROM <http://graphs.example/one>".to_owned(), "?o :value ?v"),
        (
            format!("FROM NAMED <{first}> FROM NAMED <http://graphs.example/one>"),
            "GRAPH ?g { ?o :value ?v }",
        ),
    ] {
        let text = format!("{prefix} SELECT * {clause} WHERE {{ {rest} }}");
        let parsed = SparqlParser::new().parse_query(&text).unwrap();
        let answered = network.ask_parsed(&parsed).await.unwrap();
        assert_eq!(
            answered.rows,
            network.expected_of(parsed, false).unwrap(),
            "{clause} {rest}"
        );
        assert!(answered.completeness.complete, "{:?}", answered.completeness);
    }
    for (dataset, count) in [(pod, 4), (sparql, 1)] {
        for site in &network.sites {
            site.came();
        }
        let text = format!("{prefix} SELECT * FROM <{dataset}> WHERE {{ ?o :value ?v }}");
        let parsed = SparqlParser::new().parse_query(&text).unwrap();
        let answered = network.ask_parsed(&parsed).await.unwrap();
        assert_eq!(answered.rows.len(), count, "{dataset}");
        let is_pod = dataset == network.sources[0].dataset;
        assert_eq!(network.sites[0].came().is_empty(), !is_pod, "others are not asked");
    }
}

/// A member that holds nothing like a query's patterns is known not to, and spoils no plan: parts that belong to one owner are
/// shipped whole although a member without summary is there.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_keeps_plans_whole() {
    for kind in [Kind::Sparql, Kind::SparqlXml, Kind::Solid, Kind::Ldes] {
        let mut data: Vec<(Kind, Vec<Triple>)> = dealt(2, Dealing::ByOwner)
            .into_iter()
            .map(|own| (Kind::Pod, own))
            .collect();
        data.push((kind, vec![fact("http://else.example/x", "unrelated", 1)]));
        let network = Network::of_kinds(data).await;
        let text = query("SELECT ?o ?v ?t WHERE { ?o a :Observation ; :value ?v ; :time ?t }");
        let answered = network.ask(&text).await.unwrap();
        assert_eq!(answered.rows, network.expected(&text), "{kind:?}");
        assert!(
            answered.plan.materialise.is_empty(),
            "{kind:?}: {:#?}",
            answered.plan.evidence
        );
        assert_eq!(
            answered.completeness.sources[2].status,
            SourceStatus::NotRelevant,
            "{kind:?}"
        );
        assert!(answered.completeness.complete);
    }
}

/// The manifest says what a member is and on what terms it was asked, and its terms go on with the answer.
#[tokio::test(flavor = "multi_thread")]
async fn terms_go_with_the_answer() {
    for kind in Kind::ALL {
        let network = Network::of_kinds(vec![(kind, vec![fact("http://a.example/x", "value", 1)])]).await;
        let answered = network.ask(&query(ROWS)).await.unwrap();
        let report = &answered.completeness.sources[0];
        assert_eq!(report.kind, kind.registered());
        assert_eq!(report.granted.is_some(), kind != Kind::Pod, "{kind:?}");
        let targets: Vec<&str> = report.terms.iter().map(|term| term.href.as_str()).collect();
        if kind != Kind::Pod {
            assert!(targets.contains(&"https://licences.example/open"), "{targets:?}");
            assert!(targets.contains(&"https://owner.example/#us"), "{targets:?}");
        }
        assert!(report.requests > 0 && report.rows == 1, "{report:?}");
    }
}

/// T77: no member that is no pod server sees a header field of ours, nor any credential.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_members_see_nothing_of_ours() {
    for kind in [Kind::Sparql, Kind::Solid, Kind::Ldes] {
        let network = Network::of_kinds(vec![(kind, vec![fact("http://a.example/x", "value", 1)])]).await;
        network.ask(&query(ROWS)).await.unwrap();
        let of_sites = network
            .sites
            .iter()
            .flat_map(|site| site.came())
            .map(|came| came.headers);
        let of_members = network.members.iter().flat_map(Member::take_headers);
        let all: Vec<http::HeaderMap> = of_sites.chain(of_members).collect();
        assert!(!all.is_empty());
        for headers in all {
            for name in [
                "authorization",
                "dpop",
                "delegation",
                "cookie",
                "traceparent",
                "referer",
                "from",
            ] {
                assert!(!headers.contains_key(name), "{kind:?} {name}");
            }
        }
    }
}

/// A budget is an error, never a shorter answer, whatever the kind; a member that is too large is named.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_hold_for_each_kind() {
    let many: Vec<Triple> = (0..200)
        .map(|n| fact(&format!("http://a.example/{n}"), "value", n))
        .collect();
    for kind in Kind::ALL {
        let mut network = Network::of_kinds(vec![(kind, many.clone())]).await;
        network.limits.rows_max = 30;
        let refused = network.ask(&query(ROWS)).await;
        assert!(matches!(refused, Err(ExecError::Budget(_))), "{kind:?}");
        network.limits.rows_max = 1_000_000;
        network.limits.member_rows_max = 30;
        let answered = network.ask(&query(ROWS)).await.unwrap();
        assert!(answered.rows.is_empty() && !answered.completeness.complete, "{kind:?}");
        let reasons = &answered.completeness.sources[0].reasons;
        assert!(reasons[0].contains("more than 30 rows"), "{kind:?}: {reasons:?}");
    }
}

/// T98: never more requests at a time than a member may get, of whatever kind.
#[tokio::test(flavor = "multi_thread")]
async fn members_without_summary_are_not_crowded() {
    let mut network = Network::of_kinds(vec![(Kind::Sparql, dealt(1, Dealing::ByOwner).remove(0))]).await;
    network.set_gate(GateLimits {
        member_requests_max: 2,
        ..GateLimits::default()
    });
    network.limits.evidence_ms = 0;
    network.members[0].delay(Duration::from_millis(2));
    let text = query("SELECT ?o ?v ?t WHERE { ?o a :Observation ; :value ?v ; :time ?t ; :madeBy ?s . ?s :height ?h }");
    let all = futures_util::future::join_all((0..20).map(|_| network.ask(&text))).await;
    assert!(all.into_iter().all(|answered| answered.unwrap().completeness.complete));
    assert!(network.members[0].concurrent_max() <= 2);
}

/// A question about a pattern is asked once in a while, not once in a query.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_remembered_for_a_while() {
    let network = Network::of_kinds(vec![(Kind::Sparql, vec![fact("http://a.example/x", "value", 1)])]).await;
    let asks = |queries: Vec<String>| queries.iter().filter(|query| query.starts_with("ASK")).count();
    network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(asks(network.members[0].take_queries()), 1);
    network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(asks(network.members[0].take_queries()), 0);
}

/// What reads and is counted by nobody is sent again when no answer came at all; what an owner may count is sent once.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_nobody_counts_is_sent_twice() {
    let data = vec![fact("http://a.example/x", "value", 1)];
    for (agreement, times) in [(None, 2), (Some("http://owner.example/agreement".to_owned()), 1)] {
        let mut network = Network::of_kinds(vec![(Kind::Pod, data.clone())]).await;
        network.sources[0].agreement = agreement;
        network.members[0].behave(Behaviour::Closes);
        let answered = network.ask(&query(ROWS)).await.unwrap();
        assert!(!answered.completeness.complete);
        assert_eq!(network.members[0].requests(), times);
    }
}

/// Stopping to wait stops what runs at members without summary too.
#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_ends_the_questions() {
    let network = Network::of_kinds(vec![(Kind::Sparql, vec![fact("http://a.example/x", "value", 1)])]).await;
    network.members[0].behave(Behaviour::Hangs);
    let text = query(ROWS);
    let hung_up = tokio::time::timeout(Duration::from_millis(200), network.ask(&text)).await;
    assert!(hung_up.is_err());
    for _ in 0..200 {
        if network.members[0].running() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the member still works for nobody");
}
