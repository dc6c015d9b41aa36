//! Hostile members, each misbehaviour with each kind of member: the others' rows stay exact, and what is missing is named.

use broker::exec::manifest::SourceStatus;
use broker::member::MemberKind;
use broker::source::{Source, SourceDescription};
use futures_util::future::{BoxFuture, FutureExt};
use meent_tests::federation::data::{Dealing, dealt, query};
use meent_tests::federation::kinds::foreign;
use meent_tests::federation::raw::{Raw, Rest};
use meent_tests::federation::{Behaviour, Kind, Network};
use oxrdf::{Literal, NamedNode, Triple};
use server_kit::egress::{Egress, EgressConfig, Resolve};
use std::net::SocketAddr;
use std::sync::Arc;

const ROWS: &str = "SELECT ?o ?v WHERE { ?o :value ?v }";
const KINDS: [MemberKind; 4] = [MemberKind::Pod, MemberKind::Sparql, MemberKind::Solid, MemberKind::Ldes];

/// A head with a type that fits the kind.
fn head(kind: MemberKind, fields: &str) -> String {
    let media_type = match kind {
        MemberKind::Pod | MemberKind::Sparql => "application/sparql-results+json",
        MemberKind::Solid | MemberKind::Ldes => "text/turtle",
    };
    format!("HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\n{fields}\r\n")
}

/// Something that is right as far as it goes.
fn good(kind: MemberKind) -> String {
    match kind {
        MemberKind::Pod | MemberKind::Sparql => "{\"head\":{\"vars\":[]},\"results\":{\"bindings\":[".to_owned(),
        MemberKind::Solid | MemberKind::Ldes => {
            "<http://evil.example/o> <http://vocab.example/value> 1 .\n<http://evil".to_owned()
        }
    }
}

/// A misbehaviour: its name, what is sent, and words of which one must be said about it.
type Case = (&'static str, Vec<u8>, Rest, &'static [&'static str]);

const TIME: &[&str] = &["within"];
const BROKEN: &[&str] = &["broken"];

fn cases(kind: MemberKind) -> Vec<Case> {
    let say = |fields: &str, body: &str| format!("{}{body}", head(kind, fields)).into_bytes();
    let good = good(kind);
    let chunked = "transfer-encoding: chunked\r\n";
    let status = |line: &str| {
        format!("HTTP/1.1 {line}\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nbusy").into_bytes()
    };
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len()).into_bytes();
    vec![
        ("closes without a word", Vec::new(), Rest::Closes, BROKEN),
        ("hangs before the head", Vec::new(), Rest::Silence, TIME),
        (
            "drips its head",
            b"HTTP/1.1 200 OK\r\n".to_vec(),
            Rest::Drips(b"x-a: b\r\n".to_vec()),
            TIME,
        ),
        (
            "has an endless head",
            b"HTTP/1.1 200 OK\r\n".to_vec(),
            Rest::Endless(b"x-a: bbbbbbbbbbbbbbbb\r\n".to_vec()),
            BROKEN,
        ),
        (
            "speaks no HTTP",
            b"\0\x01 220 mail.example ESMTP\r\n\r\n".to_vec(),
            Rest::Closes,
            BROKEN,
        ),
        (
            "hangs after the head",
            say("content-length: 500\r\n", ""),
            Rest::Silence,
            TIME,
        ),
        (
            "hangs midway",
            say("content-length: 500\r\n", &good),
            Rest::Silence,
            TIME,
        ),
        ("drips its body", say(chunked, ""), Rest::Drips(chunk(" ")), TIME),
        (
            "says more than it sends",
            say("content-length: 100000\r\n", &good),
            Rest::Closes,
            BROKEN,
        ),
        (
            "says less than it sends",
            say("content-length: 7\r\n", &good),
            Rest::Closes,
            BROKEN,
        ),
        (
            "breaks its chunks",
            say(chunked, "zz\r\nnot a length\r\n"),
            Rest::Closes,
            BROKEN,
        ),
        (
            "breaks off between chunks",
            [say(chunked, ""), chunk(&good)].concat(),
            Rest::Closes,
            BROKEN,
        ),
        (
            "ends in the middle",
            [say(chunked, ""), chunk(&good), b"0\r\n\r\n".to_vec()].concat(),
            Rest::Closes,
            BROKEN,
        ),
        (
            "sends garbage",
            say("content-length: 8\r\n", "\u{1}{{{\u{2}]>>"),
            Rest::Closes,
            BROKEN,
        ),
        (
            "is no UTF-8",
            [say("content-length: 9\r\n", ""), b"<\xff\xfe>\xc3\x28 {\x80".to_vec()].concat(),
            Rest::Closes,
            BROKEN,
        ),
        (
            "never ends",
            say(chunked, ""),
            Rest::Endless(chunk(&" ".repeat(16_000))),
            &["more than"],
        ),
        (
            "is compressed though not asked to be",
            say(
                "content-encoding: gzip\r\ncontent-length: 20\r\n",
                "\u{1f}xxxxxxxxxxxxxxxxxxx",
            ),
            Rest::Closes,
            BROKEN,
        ),
        (
            "is a web page",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_vec(),
            Rest::Closes,
            &["text/html", "no RDF"],
        ),
        (
            "has no type",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            Rest::Closes,
            &["instead of", "no RDF"],
        ),
        ("fails", status("500 Oops"), Rest::Closes, &["status 500: busy"]),
        ("is too busy", status("429 Slow Down"), Rest::Closes, &["status 429"]),
        ("is away", status("503 Away"), Rest::Closes, &["status 503"]),
        (
            "refuses",
            status("403 No"),
            Rest::Closes,
            &["refused by the owner (403)"],
        ),
        ("is gone", status("410 Gone"), Rest::Closes, &["status 410"]),
    ]
}

/// What the hostile member claims to hold, so that it is asked.
fn claimed() -> SourceDescription {
    let iri = |text: &str| NamedNode::new(text).unwrap();
    let triple = Triple::new(
        iri("http://evil.example/o"),
        iri("http://vocab.example/value"),
        Literal::from(1),
    );
    SourceDescription::of_triples([&triple])
}

fn hostile(kind: MemberKind, url: &str) -> Source {
    let mut source = foreign("hostile", kind, url);
    if kind == MemberKind::Pod {
        source.foreign = None;
        source.description = Arc::new(claimed());
    }
    source
}

async fn network() -> Network {
    let good = dealt(2, Dealing::ByOwner)
        .into_iter()
        .map(|own| (Kind::Pod, own))
        .collect();
    let mut network = Network::of_kinds(good).await;
    network.limits.member_ms_max = 4_000;
    network.limits.member_bytes_max = 1024 * 1024;
    network.limits.documents.document_ms_max = 4_000;
    network.limits.documents.document_bytes_max = 1024 * 1024;
    network
}

/// Asks, and checks that the others' rows are exact and the hostile member is named with one of these words.
async fn left_out(network: &mut Network, source: Source, name: &str, words: &[&str]) {
    let kind = source.kind();
    if words == TIME {
        // Only where waiting is the point is the time short: a busy machine must not make other cases late.
        network.limits.member_ms_max = 2_000;
        network.limits.documents.document_ms_max = 2_000;
    }
    network.sources.push(source);
    let answered = network.ask(&query(ROWS)).await.unwrap();
    assert_eq!(answered.rows, network.expected(&query(ROWS)), "{kind:?} {name}");
    assert!(!answered.completeness.complete, "{kind:?} {name} went unnoticed");
    let sources = &answered.completeness.sources;
    let report = &sources[2];
    assert_eq!(report.status, SourceStatus::Failed, "{kind:?} {name}: {report:?}");
    let said = |word: &&str| report.reasons.iter().any(|reason| reason.contains(*word));
    assert!(words.iter().any(said), "{kind:?} {name}: {:?}", report.reasons);
    for other in &sources[..2] {
        assert_eq!(other.status, SourceStatus::Answered, "{kind:?} {name}");
    }
}

/// T74, T80, T97: every misbehaviour at the level of HTTP and below, for every kind.
#[tokio::test(flavor = "multi_thread")]
async fn each_misbehaviour_of_each_kind_is_named() {
    let mut waits = Vec::new();
    for kind in KINDS {
        for (name, beginning, rest, words) in cases(kind) {
            let one = async move {
                let mut network = network().await;
                let server = Raw::start(beginning, rest).await;
                left_out(&mut network, hostile(kind, &server.root), name, words).await;
            };
            // Those that wait wait together, when nothing else keeps the machine busy.
            if words == TIME {
                waits.push(one);
            } else {
                one.await;
            }
        }
    }
    futures_util::future::join_all(waits).await;
}

/// T77: a redirect to somebody else is followed by no kind, and nobody comes there.
#[tokio::test(flavor = "multi_thread")]
async fn redirects_elsewhere_are_not_followed() {
    for kind in KINDS {
        for status in [
            "301 Moved",
            "302 Found",
            "303 See Other",
            "307 Temporary",
            "308 Permanent",
        ] {
            let canary = Raw::start(head(kind, "").into_bytes(), Rest::Closes).await;
            let head = format!(
                "HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
                canary.root
            );
            let server = Raw::start(head.into_bytes(), Rest::Closes).await;
            let mut network = network().await;
            let words = &["status 30", "redirects"];
            left_out(&mut network, hostile(kind, &server.root), status, words).await;
            assert_eq!(canary.connections(), 0, "{kind:?} {status}");
        }
    }
}

/// A redirect in circles ends.
#[tokio::test(flavor = "multi_thread")]
async fn redirects_in_circles_end() {
    for kind in KINDS {
        let head = b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n".to_vec();
        let server = Raw::start(head, Rest::Closes).await;
        let mut network = network().await;
        left_out(
            &mut network,
            hostile(kind, &server.root),
            "circle",
            &["status 302", "redirects more than"],
        )
        .await;
        assert!(server.connections() < 20, "{kind:?}");
    }
}

/// Names that are not there, and names about which nobody says anything.
struct Partitioned;

impl Resolve for Partitioned {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        async move {
            match host.as_str() {
                "silent.example" => std::future::pending().await,
                "absent.example" => Err(std::io::Error::other("no such name")),
                other => Ok(vec![SocketAddr::new(
                    other.parse().map_err(std::io::Error::other)?,
                    port,
                )]),
            }
        }
        .boxed()
    }
}

/// Partitions: nobody listens, no name, no answer about the name; each kind says that it is not reachable or too slow.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_named() {
    let closed = Raw::start(Vec::new(), Rest::Closes).await.root.clone();
    for kind in KINDS {
        for (name, url, words) in [
            ("refused", closed.as_str(), &["not reachable"][..]),
            ("no name", "https://absent.example/", &["not reachable"]),
            ("black hole", "https://silent.example/", TIME),
        ] {
            let mut network = network().await;
            let config = EgressConfig {
                allow: vec!["127.0.0.1:*".to_owned()],
                ..EgressConfig::default()
            };
            network.through(Egress::with_resolver(config, Arc::new(Partitioned)).unwrap());
            left_out(&mut network, hostile(kind, url), name, words).await;
        }
    }
}

/// Addresses that nobody outside may name are not asked, whatever the registry says (the one egress guard).
#[tokio::test(flavor = "multi_thread")]
async fn inner_addresses_are_not_asked() {
    for kind in KINDS {
        for url in ["https://10.0.0.1/", "https://169.254.169.254/", "http://example.org/"] {
            let mut network = network().await;
            left_out(&mut network, hostile(kind, url), url, &["not reachable"]).await;
        }
    }
}

/// A member that keeps failing rests, of whatever kind: it is not even connected to.
#[tokio::test(flavor = "multi_thread")]
async fn failing_members_of_each_kind_rest() {
    for kind in KINDS {
        let failing = b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec();
        let server = Raw::start(failing, Rest::Closes).await;
        let mut network = network().await;
        network.set_gate(broker::exec::gate::GateLimits {
            failures_max: 2,
            rest_ms: 600_000,
            ..Default::default()
        });
        network.sources.push(hostile(kind, &server.root));
        for _ in 0..3 {
            network.ask(&query(ROWS)).await.unwrap();
        }
        let before = server.connections();
        let answered = network.ask(&query(ROWS)).await.unwrap();
        assert_eq!(server.connections(), before, "{kind:?}");
        let reasons = &answered.completeness.sources[2].reasons;
        assert!(
            reasons.iter().any(|reason| reason.contains("in a row")),
            "{kind:?}: {reasons:?}"
        );
        assert!(!answered.completeness.complete);
    }
}

/// Rows that are about none of the values that were sent along were not asked for: the answer is not used.
#[tokio::test(flavor = "multi_thread")]
async fn rows_about_other_values_are_refused() {
    let network = Network::of_kinds(
        dealt(2, Dealing::ByOwner)
            .into_iter()
            .map(|own| (Kind::Pod, own))
            .collect(),
    )
    .await;
    let text = query("SELECT ?n ?s WHERE { ?w :name ?n FILTER(?n = 'Street 101') . ?s :street ?w . ?s :height ?h }");
    let honest = network.ask(&text).await.unwrap();
    assert!(
        honest.plan.sub_plans.iter().any(|part| part.bind.is_some()),
        "{:#?}",
        honest.plan.evidence
    );
    assert_eq!(honest.rows, network.expected(&text));
    network.members[1].behave(Behaviour::OtherKeys);
    let answered = network.ask(&text).await.unwrap();
    let report = &answered.completeness.sources[1];
    assert_eq!(report.status, SourceStatus::Failed);
    assert!(
        report
            .reasons
            .iter()
            .any(|reason| reason.contains("none of the values")),
        "{report:?}"
    );
    assert!(answered.rows.iter().all(|row| honest.rows.contains(row)));
}

/// XML from an endpoint is read within the same bounds: deep, broken and foreign documents are named.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_xml_is_named() {
    let open = "<sparql xmlns=\"http://www.w3.org/2005/sparql-results#\"><head><variable name=\"k\"/></head><results><result><binding name=\"k\">";
    let part = "<triple><subject><uri>urn:x</uri></subject><predicate><uri>urn:x</uri></predicate><object>";
    for (name, body) in [
        ("cut off", open.to_owned()),
        ("deep", format!("{open}{}", part.repeat(2_000))),
        (
            "an entity",
            format!("<!DOCTYPE a [<!ENTITY x \"{}\">]>{open}&x;", "y".repeat(1000)),
        ),
        ("another document", "<html/>".to_owned()),
        ("nothing", String::new()),
    ] {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/sparql-results+xml\r\n";
        let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let server = Raw::start(text.into_bytes(), Rest::Closes).await;
        let mut network = network().await;
        left_out(&mut network, hostile(MemberKind::Sparql, &server.root), name, BROKEN).await;
    }
}
