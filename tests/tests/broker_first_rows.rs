//! First rows leave before the last source has answered, where the caller asks for that; and what nobody waits for any more is stopped, at
//! the members too. Each step waits for the event before it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::broker_service::harness::{BrokerServer, JSON, PURPOSE, agree, delegation, municipality};
use broker::exec::gate::Passage;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use meent_tests::answers::table_of_json;
use meent_tests::federation::kinds::open_terms;
use meent_tests::pod::{Agent, PodServer};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const ROWS: &str = "SELECT ?o ?n WHERE { ?o <http://vocab.example/bicycles> ?n }";
/// Longest wait for an event; it only ends a test that has failed.
const WAIT: Duration = Duration::from_secs(60);

struct Scene {
    broker: BrokerServer,
    company: Agent,
    agreements: [String; 2],
    gent: PodServer,
    brugge: PodServer,
    _home: PodServer,
    _directory: tempfile::TempDir,
}

async fn scene(settings: Value) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], settings).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let agreements = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    Scene {
        broker,
        company,
        agreements,
        gent,
        brugge,
        _home: home,
        _directory: directory,
    }
}

/// Sends a query whose answer is read piece by piece.
async fn open(
    agent: &Agent,
    broker: &BrokerServer,
    agreements: &[String],
    query: &str,
    complete: &str,
) -> http::Response<Incoming> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", query).append_pair("complete", complete);
    let client = agent.client();
    let mut request = client
        .request("POST", &format!("{}sparql", broker.base_url))
        .header("accept", JSON)
        .header("te", "trailers")
        .content("application/x-www-form-urlencoded", form.finish());
    if !agreements.is_empty() {
        request = request.header("delegation", delegation(agent, broker, agreements, PURPOSE));
    }
    request.opened().await.unwrap()
}

impl Scene {
    async fn open(&self, query: &str) -> http::Response<Incoming> {
        open(&self.company, &self.broker, &self.agreements, query, "later").await
    }

    /// Keeps the broker from asking Brugge until what is returned is dropped.
    async fn without_brugge(&self) -> Vec<Passage> {
        let broker = &self.broker.running.as_ref().unwrap().broker;
        let mut held = Vec::new();
        for _ in 0..broker.config.gate.member_requests_max {
            held.push(broker.gate.pass("brugge").await.unwrap());
        }
        held
    }
}

/// The next bytes or trailers of a body; `None` at its end.
async fn next(body: &mut Incoming) -> Option<Result<Result<Bytes, HeaderMap>, hyper::Error>> {
    let frame = tokio::time::timeout(WAIT, body.frame()).await.expect("a frame")?;
    Some(frame.map(|frame| frame.into_data().map_err(|frame| frame.into_trailers().unwrap())))
}

/// The rows of one member are there while the other has not been asked; then the rest follows, and the trailer says how it ended.
#[tokio::test(flavor = "multi_thread")]
async fn rows_leave_as_members_answer() {
    let scene = scene(json!({})).await;
    let held = scene.without_brugge().await;
    let response = scene.open(ROWS).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["meent-complete"], "later");
    let mut body = response.into_body();
    let mut text = Vec::new();
    while !["10", "11", "12"]
        .iter()
        .all(|n| String::from_utf8_lossy(&text).contains(&format!("\"{n}\"")))
    {
        text.extend_from_slice(&next(&mut body).await.unwrap().unwrap().unwrap());
    }
    assert!(!String::from_utf8_lossy(&text).contains("\"20\""));
    drop(held);
    let mut trailers = HeaderMap::new();
    while let Some(frame) = next(&mut body).await {
        match frame.unwrap() {
            Ok(bytes) => text.extend_from_slice(&bytes),
            Err(fields) => trailers = fields,
        }
    }
    let answer: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(table_of_json(&answer).rows.len(), 6, "{answer}");
    assert_eq!(answer["meent"]["complete"], true, "{answer}");
    assert_eq!(trailers["meent-complete"], "true");
    scene.broker.stop().await;
}

/// A limit that one member's rows fill needs no other member, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_limit_waits_for_nobody() {
    let scene = scene(json!({})).await;
    let held = scene.without_brugge().await;
    let response = scene.open(&format!("{ROWS} LIMIT 2")).await;
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["meent-complete"].to_str().unwrap()
        ),
        (200, "true")
    );
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(table_of_json(&answer).rows.len(), 2);
    let link = answer["head"]["link"][0].as_str().unwrap();
    let manifest = scene.broker.client().get(link).await.json();
    let status: Vec<&str> = manifest["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["status"].as_str().unwrap())
        .collect();
    assert!(
        status.contains(&"answered") && status.contains(&"not-needed"),
        "{manifest}"
    );
    drop(held);
    scene.broker.stop().await;
}

/// What fails before the first row is a problem; what fails after it breaks the answer off, which never ends as if it were whole.
#[tokio::test(flavor = "multi_thread")]
async fn what_began_is_whole_or_broken_off() {
    let scene = scene(json!({ "exec": { "query_ms_max": 2_000 } })).await;
    let held = scene.without_brugge().await;
    let mut body = scene.open(ROWS).await.into_body();
    let mut broken = false;
    while let Some(frame) = next(&mut body).await {
        broken = frame.is_err();
        if broken {
            break;
        }
    }
    assert!(broken, "the answer ended as if it were whole");
    drop(held);
    let Scene {
        broker,
        company,
        agreements,
        gent,
        brugge,
        ..
    } = scene;
    gent.stop().await;
    brugge.stop().await;
    let nobody = open(&company, &broker, &agreements, ROWS, "later").await;
    assert_eq!(nobody.status(), 502);
    broker.stop().await;
}

/// A member that says it holds what it is asked about, and then never answers; it tells when it is asked for rows, and when whoever asked
/// goes away.
async fn silent_member() -> (String, mpsc::UnboundedReceiver<&'static str>) {
    const TRUE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/sparql-results+json\r\ncontent-length: 26\r\n\r\n{\"head\":{},\"boolean\":true}";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/sparql", listener.local_addr().unwrap());
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let (mut received, mut asked) = (Vec::new(), false);
                loop {
                    let read = stream.read_buf(&mut received).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&received);
                    let about = text.contains("hangup.example");
                    if about && text.contains("query=ASK") {
                        received.clear();
                        stream.write_all(TRUE.as_bytes()).await.unwrap();
                    } else if about && !asked {
                        asked = true;
                        tell.send("asked").unwrap();
                    }
                    if read == 0 {
                        if asked {
                            tell.send("gone").unwrap();
                        }
                        return;
                    }
                }
            });
        }
    });
    (endpoint, told)
}

/// Requirement T80: whoever hangs up is worked for no longer, neither at the broker nor at the members.
#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_reaches_the_members() {
    let directory = tempfile::tempdir().unwrap();
    let home = PodServer::start().await;
    let broker = BrokerServer::start(directory.path(), &[], json!({ "exec": { "member_ms_max": 60_000 } })).await;
    let company = home.agent("company").await;
    let (endpoint, mut told) = silent_member().await;
    let token = std::fs::read_to_string(directory.path().join("operator.token")).unwrap();
    let member = json!({ "name": "silent", "sparql": endpoint, "terms": open_terms() }).to_string();
    let added = broker
        .client()
        .request("POST", "/members")
        .header("authorization", format!("Bearer {}", token.trim()))
        .content("application/json", member)
        .send()
        .await;
    assert_eq!(added.status, 204, "{}", added.text());
    let query = "SELECT ?n WHERE { ?s <http://hangup.example/p> ?n }";
    for complete in ["best-effort", "later"] {
        let asking = open(&company, &broker, &[], query, complete);
        tokio::select! {
            response = asking => panic!("nobody can have answered: {response:?}"),
            event = tokio::time::timeout(WAIT, told.recv()) => assert_eq!(event.unwrap(), Some("asked"), "{complete}"),
        }
        // The call is dropped here.
        let event = tokio::time::timeout(WAIT, told.recv()).await;
        assert_eq!(event.expect("the member is let go"), Some("gone"), "{complete}");
    }
    broker.stop().await;
}
