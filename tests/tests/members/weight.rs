//! Documents of members that are made to cost the broker far more than they cost their sender: the others' rows stay exact, and
//! the broker lives (T67, T79, T97).

use broker::exec::manifest::SourceStatus;
use broker::member::MemberKind;
use broker::member::registration::MemberConfig;
use meent_tests::federation::data::{Dealing, dealt, query};
use meent_tests::federation::kinds::{foreign, open_terms, registered};
use meent_tests::federation::site::{Pages, Reply, Site};
use meent_tests::federation::{Kind, Network};

const ROWS: &str = "SELECT ?o ?v WHERE { ?o :value ?v }";

/// A document and a listing that names it, for a pod as well as for a stream.
fn only(document: Reply) -> Pages {
    Box::new(move |path| match path {
        "/" => Reply::turtle("<> <http://www.w3.org/ns/ldp#contains> <one> ."),
        _ => document.clone(),
    })
}

async fn network() -> Network {
    let good = dealt(2, Dealing::ByOwner).into_iter();
    Network::of_kinds(good.map(|own| (Kind::Pod, own)).collect()).await
}

/// T67: names that are written once and stand everywhere, and terms that are explained by each other, are refused before they fill
/// the memory or end the process.
#[tokio::test(flavor = "multi_thread")]
async fn documents_that_grow_when_they_are_read_are_named() {
    let long = "a".repeat(20_000);
    let chain: Vec<String> = (0..5_000).map(|at| format!("\"t{at}\":\"t{}:a\"", at + 1)).collect();
    let terms: Vec<String> = (0..4_000)
        .map(|at| format!("\"t{at}\":\"http://x.example/{at}\""))
        .collect();
    let json = |text: String| Reply::of("application/ld+json", text);
    for (name, document, words) in [
        (
            "one subject of many statements",
            Reply::turtle(format!("<http://x.example/{long}> <urn:p> {}1 .", "1,".repeat(20_000))),
            "far larger",
        ),
        (
            "a long prefix",
            Reply::turtle(format!(
                "@prefix p: <http://x.example/{long}> . <urn:s> <urn:p> {}p:b .",
                "p:a,".repeat(20_000)
            )),
            "far larger",
        ),
        (
            "many prefixes of a long base",
            Reply::turtle(format!(
                "@base <http://x.example/{long}> . {}",
                "@prefix p: <#> . ".repeat(20_000)
            )),
            "far larger",
        ),
        (
            "terms explained by each other",
            json(format!("{{\"@context\":{{{}}},\"t0\":1}}", chain.join(","))),
            "explained by each other",
        ),
        (
            "contexts on contexts",
            json(format!(
                "{{\"@context\":{{{}}},\"t0\":[{}1]}}",
                terms.join(","),
                "{\"@context\":{},\"t1\":1},".repeat(20_000)
            )),
            "on top of each other",
        ),
    ] {
        for kind in [MemberKind::Solid, MemberKind::Ldes] {
            let document = document.clone();
            let site = Site::start(|_| only(document)).await;
            let mut network = network().await;
            let place = if kind == MemberKind::Ldes { "one" } else { "" };
            network
                .sources
                .push(foreign("hostile", kind, &format!("{}{place}", site.root)));
            let answered = network.ask(&query(ROWS)).await.unwrap();
            assert_eq!(answered.rows, network.expected(&query(ROWS)), "{kind:?} {name}");
            let report = &answered.completeness.sources[2];
            // Of a pod a document is missing, of a stream there is nothing else.
            let expected = match kind {
                MemberKind::Ldes => SourceStatus::Failed,
                _ => SourceStatus::Partial,
            };
            assert_eq!(report.status, expected, "{kind:?} {name}: {report:?}");
            assert!(
                report.reasons[0].contains(words),
                "{kind:?} {name}: {:?}",
                report.reasons
            );
        }
    }
}

/// T79: members of a stream that lead to the same long description, or to graphs of each other, are read once.
#[tokio::test(flavor = "multi_thread")]
async fn members_with_much_in_common_are_read_once() {
    const COUNT: usize = 12_000;
    let mut page = String::from("@prefix tree: <https://w3id.org/tree#> . @prefix : <http://vocab.example/> .\n");
    for number in 0..COUNT {
        page.push_str(&format!(
            "<#s> tree:member <#m{number}> . <#m{number}> :value {number} ; :has <#x0> . <#x{number}> :has <#x{}> .\n\
             GRAPH <#m{number}> {{ <#g> :part <#x{number}> }}\n",
            number + 1
        ));
    }
    let site = Site::start(|_| only(Reply::of("application/trig", page))).await;
    let mut network = Network::of_kinds(Vec::new()).await;
    network
        .sources
        .push(foreign("stream", MemberKind::Ldes, &format!("{}one", site.root)));
    for (text, rows) in [
        (ROWS, COUNT),
        ("SELECT ?s ?o WHERE { ?s :has ?o }", 2 * COUNT),
        ("SELECT ?o WHERE { ?s :part ?o }", COUNT),
    ] {
        let answered = network.ask(&query(text)).await.unwrap();
        assert!(answered.completeness.complete, "{:?}", answered.completeness);
        assert_eq!(answered.rows.len(), rows, "{text}");
    }
}

/// T97: a profile with a hundred thousand type indexes elsewhere is no reason for as many notes.
#[tokio::test(flavor = "multi_thread")]
async fn few_words_are_made_about_one_member() {
    let indexes: Vec<String> = (0..100_000).map(|at| format!("<https://e.example/{at}>")).collect();
    let profile = format!(
        "<#me> <http://www.w3.org/ns/solid/terms#publicTypeIndex> {} .",
        indexes.join(",")
    );
    let site = Site::start(|_| {
        Box::new(move |path: &str| match path {
            "/card" => Reply::turtle(profile.clone()),
            "/" => Reply::turtle("<> <http://www.w3.org/ns/ldp#contains> <one> ."),
            _ => Reply::turtle("<#it> <http://vocab.example/value> 1 ."),
        })
    })
    .await;
    let mut network = Network::of_kinds(Vec::new()).await;
    network.sources.push(registered(MemberConfig {
        name: "pod".to_owned(),
        kind: MemberKind::Solid,
        url: Some(site.root.parse().unwrap()),
        web_id: Some(format!("{}card#me", site.root).parse().unwrap()),
        terms: Some(open_terms()),
        ..MemberConfig::default()
    }));
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(answered.rows.len(), 1);
    let notes = &answered.completeness.sources[0].notes;
    assert!(
        notes.len() < 30 && notes[0].contains("lies elsewhere"),
        "{} notes",
        notes.len()
    );
}
