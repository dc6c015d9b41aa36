//! Plain Solid pods: what is found and in which order, what is left alone, and that nothing withdrawn is remembered.

use broker::exec::gate::GateLimits;
use broker::exec::manifest::SourceStatus;
use broker::member::MemberKind;
use broker::member::registration::MemberConfig;
use broker::member::terms::Grant;
use meent_tests::federation::Network;
use meent_tests::federation::data::query;
use meent_tests::federation::kinds::{foreign, open_terms, registered};
use meent_tests::federation::site::{Pages, Reply, Site};
use meent_tests::pod::PodServer;
use std::collections::BTreeMap;

const ROWS: &str = "SELECT ?o ?v WHERE { ?o :value ?v }";

fn pages(all: &[(&str, Reply)]) -> Pages {
    let all: BTreeMap<String, Reply> = all
        .iter()
        .map(|(path, reply)| ((*path).to_owned(), reply.clone()))
        .collect();
    Box::new(move |path| all.get(path).cloned().unwrap_or_else(|| Reply::status(404)))
}

fn listing(members: &str) -> Reply {
    Reply::turtle(format!("<> <http://www.w3.org/ns/ldp#contains> {members} ."))
}

fn value(number: i64) -> Reply {
    Reply::turtle(format!("<#it> <http://vocab.example/value> {number} ."))
}

async fn over(site: &Site) -> Network {
    let mut network = Network::of_kinds(Vec::new()).await;
    network.sources.push(foreign("pod", MemberKind::Solid, &site.root));
    network
}

fn paths(site: &Site) -> Vec<String> {
    let mut paths: Vec<String> = site.came().into_iter().map(|came| came.path).collect();
    paths.sort();
    paths
}

/// T79: containers without end, each with more of them: the walk ends at its bounds, and the answer says that it is not whole.
#[tokio::test(flavor = "multi_thread")]
async fn endless_containers_end_at_the_bounds() {
    let site = Site::start(|_| {
        Box::new(|path: &str| {
            if path.ends_with('/') {
                listing("<a/>, <b/>, <c/>, <one>")
            } else {
                value(i64::try_from(path.len()).unwrap())
            }
        })
    })
    .await;
    let mut network = over(&site).await;
    network.limits.documents.depth_max = 3;
    let deep = network.ask(&query(ROWS)).await.unwrap();
    let report = &deep.completeness.sources[0];
    assert_eq!(report.status, SourceStatus::Partial);
    assert!(report.reasons[0].contains("nest deeper than 3"), "{:?}", report.reasons);
    assert_eq!(deep.rows.len(), 1 + 3 + 9 + 27, "what is within the bounds is there");
    site.came();
    network.limits.documents.depth_max = 1_000;
    network.limits.documents.documents_max = 50;
    let many = network.ask(&query(ROWS)).await.unwrap();
    assert!(site.came().len() <= 50);
    let report = &many.completeness.sources[0];
    assert!(
        !many.completeness.complete && report.reasons[0].contains("more than 50 documents"),
        "{report:?}"
    );
    // What was read holds nothing like this, but what was not read may.
    let other = network
        .ask(&query("SELECT ?o WHERE { ?o :elsewhere ?v }"))
        .await
        .unwrap();
    assert_eq!(other.completeness.sources[0].status, SourceStatus::Partial);
    network.limits.documents.documents_max = 60;
    network.set_gate(GateLimits {
        held_triples_max: 30,
        ..GateLimits::default()
    });
    let full = network.ask(&query(ROWS)).await.unwrap();
    let reasons = &full.completeness.sources[0].reasons;
    assert!(reasons.iter().any(|reason| reason.contains("no room")), "{reasons:?}");
    network.set_gate(GateLimits::default());
    network.limits.documents.documents_max = 5_000;
    network.limits.documents.triples_max = 40;
    let large = network.ask(&query(ROWS)).await.unwrap();
    assert!(!large.completeness.complete);
    assert!(large.completeness.sources[0].reasons[0].contains("more than 40 triples"));
}

/// T79: containers in circles, and listings that lead out of the pod.
#[tokio::test(flavor = "multi_thread")]
async fn circles_and_ways_out_are_not_followed() {
    let canary = Site::start(|_| pages(&[])).await;
    let out = canary.root.clone();
    let site = Site::start(move |root| {
        pages(&[
            (
                "/pod/",
                listing(&format!(
                    "<a/>, <../secret>, <{root}pod/%2e%2e/secret>, <{out}x>, <one>"
                )),
            ),
            ("/pod/a/", listing("<../>, <./>, <two>")),
            ("/pod/one", value(1)),
            ("/pod/a/two", value(2)),
            ("/secret", value(3)),
        ])
    })
    .await;
    let mut network = Network::of_kinds(Vec::new()).await;
    network
        .sources
        .push(foreign("pod", MemberKind::Solid, &format!("{}pod/", site.root)));
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(answered.rows.len(), 2, "{:?}", answered.rows);
    assert!(answered.completeness.complete, "{:?}", answered.completeness);
    assert_eq!(paths(&site), ["/pod/", "/pod/a/", "/pod/a/two", "/pod/one"]);
    assert!(canary.came().is_empty());
    let notes = &answered.completeness.sources[0].notes;
    assert!(
        notes.iter().any(|note| note.contains("does not lie in it")),
        "{notes:?}"
    );
}

/// The public type index comes first, so that its documents are read even where the bounds end the walk; it works where containers are
/// not shown to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn the_type_index_comes_first() {
    let solid = "@prefix solid: <http://www.w3.org/ns/solid/terms#> .\n";
    let site = Site::start(|root| {
        pages(&[
            (
                "/profile/card",
                Reply::turtle(format!("{solid}<#me> solid:publicTypeIndex </profile/index> .")),
            ),
            (
                "/profile/index",
                Reply::turtle(format!(
                    "{solid}<#a> a solid:TypeRegistration ; solid:forClass <http://vocab.example/Count> ;
                       solid:instance <{root}pod/hidden/one#it> ; solid:instanceContainer <{root}pod/counts/> .
                     <#b> solid:instance <http://elsewhere.example/x>, <{root}profile/other> ."
                )),
            ),
            ("/pod/", Reply::status(403)),
            ("/pod/counts/", listing("<two>")),
            ("/pod/counts/two", value(2)),
            ("/pod/hidden/one", value(1)),
            ("/profile/other", value(9)),
        ])
    })
    .await;
    let mut network = Network::of_kinds(Vec::new()).await;
    network.sources.push(registered(MemberConfig {
        name: "pod".to_owned(),
        kind: MemberKind::Solid,
        url: Some(format!("{}pod/", site.root).parse().unwrap()),
        web_id: Some(format!("{}profile/card#me", site.root).parse().unwrap()),
        terms: Some(open_terms()),
        ..MemberConfig::default()
    }));
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(answered.rows.len(), 2, "{:?}", answered.rows);
    assert!(answered.completeness.complete, "{:?}", answered.completeness);
    let asked: Vec<String> = site.came().into_iter().map(|came| came.path).collect();
    assert_eq!(asked[..2], ["/profile/card", "/profile/index"]);
    network.limits.documents.documents_max = 3;
    let short = network.ask(&query(ROWS)).await.unwrap();
    assert!(
        !short.completeness.complete && short.rows.len() == 1,
        "{:?}",
        short.rows
    );
}

/// T97: documents that cannot be read are named and cost their own rows alone; what is private or no RDF is not missed, and
/// pictures are not even received.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_document_costs_its_own_rows() {
    let nested = format!("<a> <b> {}", "[ <c> ".repeat(100_000));
    for (bad, words) in [
        (Reply::turtle("<a> <b> "), "broken"),
        (Reply::turtle(nested), "nest deeper"),
        (
            Reply::of(
                "application/ld+json",
                "{\"@context\":\"https://elsewhere.example/c\",\"@id\":\"urn:x\"}",
            ),
            "none is fetched",
        ),
        (Reply::turtle(" ".repeat(2_000_000)), "more than 1000000 bytes"),
        (Reply::status(500), "status 500"),
        (Reply::turtle("").with("location", "http://elsewhere.example/"), ""),
        (
            Reply::status(302).with("location", "http://elsewhere.example/"),
            "another place",
        ),
    ] {
        let site = Site::start(|_| {
            pages(&[
                ("/", listing("<bad>, <good>, <picture>, <private>, <unknown>")),
                ("/bad", bad),
                ("/good", value(1)),
                ("/picture", Reply::of("image/png", "x".repeat(3_000_000))),
                ("/private", Reply::status(401)),
            ])
        })
        .await;
        let mut network = over(&site).await;
        network.limits.documents.document_bytes_max = 1_000_000;
        let answered = network.ask(&query(ROWS)).await.unwrap();
        assert_eq!(answered.rows.len(), 1, "{words}");
        let report = &answered.completeness.sources[0];
        if words.is_empty() {
            assert!(answered.completeness.complete, "{report:?}");
            continue;
        }
        assert_eq!(report.status, SourceStatus::Partial, "{words}: {report:?}");
        let named = format!("<{}bad>", site.root);
        assert!(
            report.reasons.len() == 1 && report.reasons[0].contains(&named) && report.reasons[0].contains(words),
            "{words}: {:?}",
            report.reasons
        );
    }
}

/// Invariant 8: each query asks again, so that what was changed is seen and what was withdrawn is gone, while what is as it was
/// is not sent again. Without a grant to keep a copy nothing is remembered.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_is_asked_about_again() {
    let site = Site::start(|_| pages(&[("/", listing("<one>, <two>")), ("/one", value(1)), ("/two", value(2))])).await;
    let mut network = over(&site).await;
    assert_eq!(network.ask(&query(ROWS)).await.unwrap().rows.len(), 2);
    site.came();
    let again = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(again.rows.len(), 2);
    assert!(site.came().iter().all(|came| came.status == 304));
    let notes = &again.completeness.sources[0].notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("read 2 documents, 3 of them unchanged")),
        "{notes:?}"
    );
    site.answer_with(pages(&[
        ("/", listing("<one>, <two>")),
        ("/one", value(7)),
        ("/two", Reply::status(403)),
    ]));
    let changed = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(changed.rows.len(), 1);
    assert!(changed.rows[0].contains('7'), "{:?}", changed.rows);
    site.came();

    let mut terms = open_terms();
    terms.grants.remove(&Grant::Replicate);
    network.sources = vec![registered(MemberConfig {
        name: "pod".to_owned(),
        kind: MemberKind::Solid,
        url: Some(site.root.parse().unwrap()),
        terms: Some(terms),
        ..MemberConfig::default()
    })];
    for _ in 0..2 {
        network.ask(&query(ROWS)).await.unwrap();
        assert!(
            site.came()
                .iter()
                .all(|came| !came.headers.contains_key("if-none-match"))
        );
    }
}

/// A pod of our own server, asked as a plain Solid pod: its public documents are seen, the others are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_solid_server_is_read_as_everybody_reads_it() {
    let pod = PodServer::start().await;
    let agent = pod.agent("city").await;
    let owner = agent.client();
    for (path, number) in [("open/one", 1), ("open/deep/two", 2), ("closed/three", 3)] {
        let body = format!("<#it> <http://vocab.example/value> {number} .");
        let put = owner.put(&format!("/city/{path}"), "text/turtle", body).await;
        assert!(put.status.is_success(), "{}", put.text());
    }
    let root = pod.app.origins.root("city");
    let me = &agent.web_id;
    let rule = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> .
         <#me> a acl:Authorization ; acl:agent <{me}> ; acl:accessTo <{root}open/> ; acl:default <{root}open/> ; acl:mode acl:Read, acl:Write, acl:Control .
         <#all> a acl:Authorization ; acl:agentClass <http://xmlns.com/foaf/0.1/Agent> ; acl:accessTo <{root}open/> ; acl:default <{root}open/> ; acl:mode acl:Read ."
    );
    let put = owner.put("/city/open/.acl", "text/turtle", rule).await;
    assert!(put.status.is_success(), "{}", put.text());
    let mut network = Network::of_kinds(Vec::new()).await;
    network
        .sources
        .push(foreign("city", MemberKind::Solid, &format!("{root}open/")));
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert!(answered.completeness.complete, "{:?}", answered.completeness);
    assert_eq!(answered.rows.len(), 2, "{:?}", answered.rows);
    network.sources = vec![foreign("city", MemberKind::Solid, &format!("{root}closed/"))];
    let closed = network.ask(&query(ROWS)).await.unwrap();
    let report = &closed.completeness.sources[0];
    assert!(closed.rows.is_empty() && !closed.completeness.complete);
    assert!(report.reasons[0].contains("refused by the owner"), "{report:?}");
}
