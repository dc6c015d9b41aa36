//! Event streams: pages, members, what is older than wanted, and when a copy is looked at again.

use broker::member::MemberKind;
use broker::member::registration::MemberConfig;
use meent_tests::federation::Network;
use meent_tests::federation::data::query;
use meent_tests::federation::kinds::{foreign, open_terms, registered};
use meent_tests::federation::site::{Pages, Reply, Site};
use std::collections::BTreeMap;

const ROWS: &str = "SELECT ?o ?v WHERE { ?o :value ?v }";
const PREFIXES: &str = "@prefix tree: <https://w3id.org/tree#> . @prefix ldes: <https://w3id.org/ldes#> .
@prefix dcterms: <http://purl.org/dc/terms/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix : <http://vocab.example/> .
";

fn pages(all: Vec<(&str, String)>) -> Pages {
    let all: BTreeMap<String, String> = all.into_iter().map(|(path, body)| (path.to_owned(), body)).collect();
    Box::new(move |path| {
        all.get(path)
            .map_or_else(|| Reply::status(404), |body| Reply::turtle(format!("{PREFIXES}{body}")))
    })
}

async fn over(site: &Site, since: Option<&str>) -> Network {
    let mut network = Network::of_kinds(Vec::new()).await;
    network.sources.push(registered(MemberConfig {
        name: "stream".to_owned(),
        kind: MemberKind::Ldes,
        url: Some(format!("{}stream", site.root).parse().unwrap()),
        since: since.map(str::to_owned),
        terms: Some(open_terms()),
        ..MemberConfig::default()
    }));
    network
}

fn member(id: &str, moment: &str, value: i64) -> String {
    format!(
        "</stream#s> tree:member <#{id}> . <#{id}> dcterms:created \"{moment}\"^^xsd:dateTime ; :result [ :of <#{id}> ] ; :value {value} .\n"
    )
}

fn stream() -> Pages {
    pages(vec![
        (
            "/stream",
            "<#s> a ldes:EventStream ; ldes:timestampPath dcterms:created ; tree:view </view> ; ldes:retentionPolicy [ a ldes:LatestVersionSubset ] .".to_owned(),
        ),
        (
            "/view",
            "</stream#s> tree:view </view> . </view> a tree:Node ; tree:relation
               [ a tree:LessThanRelation ; tree:node </old> ; tree:path dcterms:created ; tree:value \"2026-01-01T00:00:00Z\"^^xsd:dateTime ] ,
               [ a tree:GreaterThanOrEqualToRelation ; tree:node </new> ; tree:path dcterms:created ; tree:value \"2026-01-01T00:00:00Z\"^^xsd:dateTime ] ."
                .to_owned(),
        ),
        ("/old", member("a", "2025-05-05T00:00:00Z", 1)),
        (
            "/new",
            format!(
                "{}{}<> tree:relation [ a tree:Relation ; tree:node </view> ], [ a tree:Relation ; tree:node </new> ] . <#loose> :value 99 .",
                member("b", "2026-01-01T00:00:00Z", 2),
                member("c", "2026-06-01T12:00:00+02:00", 3)
            ),
        ),
    ])
}

/// The stream leads to its view, the view to its pages; members are what is queried, with what hangs on them, and nothing else on
/// the pages is. Pages in circles are read once. The retention policy is told.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_followed_to_all_members() {
    let site = Site::start(|_| stream()).await;
    let network = over(&site, None).await;
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(answered.rows.len(), 3, "{:?}", answered.rows);
    assert!(answered.completeness.complete, "{:?}", answered.completeness);
    assert_eq!(site.came().len(), 4);
    let notes = &answered.completeness.sources[0].notes;
    assert!(notes.iter().any(|note| note.contains("retention policy")), "{notes:?}");
    let blank = network
        .ask(&query("SELECT ?o WHERE { ?o :result [ :of ?o ] }"))
        .await
        .unwrap();
    assert_eq!(blank.rows.len(), 3);
    let paging = network
        .ask(&query("SELECT ?p WHERE { ?s ?p ?o FILTER(CONTAINS(STR(?p), 'tree')) }"))
        .await
        .unwrap();
    assert!(paging.rows.is_empty(), "{:?}", paging.rows);
}

/// What is of before the registered moment is not read where the relations tell, and left out where they do not.
#[tokio::test(flavor = "multi_thread")]
async fn older_pages_are_not_read() {
    for (since, rows, old) in [
        ("2026-01-01T00:00:00Z", 2, false),
        ("2025-12-31T23:00:00Z", 2, true),
        ("2026-06-01T10:00:00Z", 1, false),
        ("2026-06-01T10:00:01Z", 0, false),
        ("2025-01-01T00:00:00Z", 3, true),
    ] {
        let site = Site::start(|_| stream()).await;
        let network = over(&site, Some(since)).await;
        let answered = network.ask(&query(ROWS)).await.unwrap();
        assert_eq!(answered.rows.len(), rows, "{since}: {:?}", answered.rows);
        assert!(answered.completeness.complete);
        assert_eq!(site.came().iter().any(|came| came.path == "/old"), old, "{since}");
        let notes = &answered.completeness.sources[0].notes;
        let told = notes.iter().any(|note| note.contains("are left out"));
        assert!(told || rows == 0, "{notes:?}");
    }
}

/// T79: pages without end, pages that lead elsewhere and pages that are not there make the answer incomplete, and it says so.
#[tokio::test(flavor = "multi_thread")]
async fn streams_end_at_their_bounds() {
    let canary = Site::start(|_| stream()).await;
    let elsewhere = canary.root.clone();
    let site = Site::start(move |_| {
        Box::new(move |path: &str| {
            let number: u64 = path.trim_start_matches("/p").parse().unwrap_or(0);
            let next = number + 1;
            Reply::turtle(format!(
                "{PREFIXES}<> tree:relation [ tree:node </p{next}> ] . </stream#s> tree:member <#m> . <#m> :value {number} ."
            ))
        })
    })
    .await;
    let mut network = over(&site, None).await;
    network.limits.documents.documents_max = 20;
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!((answered.rows.len(), site.came().len()), (20, 20));
    let report = &answered.completeness.sources[0];
    assert!(
        !answered.completeness.complete && report.reasons[0].contains("more than 20"),
        "{report:?}"
    );
    for (relation, words) in [
        (format!("<{elsewhere}stream>"), "another place"),
        ("</nowhere>".to_owned(), "404"),
    ] {
        site.answer_with(Box::new(move |path: &str| match path {
            "/stream" => Reply::turtle(format!(
                "{PREFIXES}<> tree:relation [ tree:node {relation} ] . <#s> tree:member <#m> . <#m> :value 1 ."
            )),
            _ => Reply::status(404),
        }));
        let answered = network.ask(&query(ROWS)).await.unwrap();
        let report = &answered.completeness.sources[0];
        assert_eq!(answered.rows.len(), 1);
        assert!(
            !answered.completeness.complete && report.reasons[0].contains(words),
            "{report:?}"
        );
    }
    assert!(canary.came().is_empty());
}

/// A copy is used for a while; then what is new is fetched, what is as it was is not sent again, and pages that never change are not
/// even asked about. What the stream drops is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_looked_at_again_after_a_while() {
    let site = Site::start(|_| stream()).await;
    let mut network = over(&site, None).await;
    network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(site.came().len(), 4);
    network.ask(&query(ROWS)).await.unwrap();
    assert!(site.came().is_empty());
    network.limits.documents.replica_ms = 0;
    network.ask(&query(ROWS)).await.unwrap();
    let came = site.came();
    assert!(came.len() == 4 && came.iter().all(|came| came.status == 304));
    let fixed = |moving: &'static str| -> Pages {
        Box::new(move |path: &str| {
            let member = |id: u8| format!("{PREFIXES}</stream#s> tree:member <#m> . <#m> :value {id} .");
            match path {
                "/stream" => Reply::turtle(format!("{PREFIXES}<> tree:relation [ tree:node </fixed> ] {moving} .")),
                "/fixed" => Reply::turtle(member(1)).with("cache-control", "public, max-age=604800, immutable"),
                _ => Reply::turtle(member(2)),
            }
        })
    };
    site.answer_with(fixed(", [ tree:node </open> ]"));
    assert_eq!(network.ask(&query(ROWS)).await.unwrap().rows.len(), 2);
    site.came();
    assert_eq!(network.ask(&query(ROWS)).await.unwrap().rows.len(), 2);
    assert!(
        site.came()
            .iter()
            .all(|came| came.path != "/fixed" && came.status == 304)
    );
    site.answer_with(fixed(""));
    assert_eq!(network.ask(&query(ROWS)).await.unwrap().rows.len(), 1);
}

/// Without the owner's grant of a copy a stream is not read at all.
#[tokio::test(flavor = "multi_thread")]
async fn streams_need_the_grant_of_a_copy() {
    let site = Site::start(|_| stream()).await;
    let mut network = over(&site, None).await;
    let mut source = foreign("stream", MemberKind::Ldes, &format!("{}stream", site.root));
    let mut config = MemberConfig::clone(&source.foreign.as_ref().unwrap().registration);
    config
        .terms
        .as_mut()
        .unwrap()
        .grants
        .remove(&broker::member::terms::Grant::Replicate);
    source = registered(config);
    network.sources = vec![source];
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert!(answered.rows.is_empty() && !answered.completeness.complete);
    assert!(site.came().is_empty());
}
