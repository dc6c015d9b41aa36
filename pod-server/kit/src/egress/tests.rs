//! The guard against addresses that lie, redirects that lead home, and answers without end (T18, T35, T36, T53, T61).
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use tokio::net::TcpListener;

use super::*;
use crate::test_network::{Answer, TestNetwork, answer};

/// A listener on loopback that counts who knocks.
async fn canary() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let knocks = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&knocks);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, knocks)
}

/// A name server of lies.
struct Names(HashMap<&'static str, Vec<&'static str>>);

impl Resolve for Names {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let answer = match self.0.get(host.as_str()) {
            Some(addresses) => Ok(addresses
                .iter()
                .map(|address| SocketAddr::new(address.parse().unwrap(), port))
                .collect()),
            None => host
                .parse()
                .map(|address| vec![SocketAddr::new(address, port)])
                .map_err(io::Error::other),
        };
        Box::pin(async move { answer })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t18_t61_no_spelling_of_a_private_address_is_reached() {
    let network = TestNetwork::new();
    let (canary, knocks) = canary().await;
    let names = Names(HashMap::from([
        ("localhost", vec!["127.0.0.1"]),
        ("localhost.", vec!["127.0.0.1"]),
        ("rebound.example", vec!["127.0.0.1"]),
        ("mixed.example", vec!["93.184.216.34", "127.0.0.1"]),
        ("mapped.example", vec!["::ffff:127.0.0.1"]),
        ("cloud.example", vec!["169.254.169.254"]),
    ]));
    let mut config = network.egress_config(&[]);
    config.connect_seconds_max = 2;
    let egress = Egress::with_resolver(config, Arc::new(names)).unwrap();
    let port = canary.port();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "[::]",
        "0",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "rebound.example",
        "mixed.example",
        "mapped.example",
        "cloud.example",
        "\u{ff11}27.0.0.1",
        "127\u{3002}0.0.1",
    ];
    let mut urls: Vec<String> = Vec::new();
    for host in hosts {
        urls.push(format!("https://{host}:{port}/"));
        urls.push(format!("http://{host}:{port}/"));
    }
    urls.extend([
        format!("https://user@127.0.0.1:{port}/"),
        format!("https://public.example@127.0.0.1:{port}/"),
        format!("https://public.example\\@127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}\t/"),
        format!("gopher://127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "data:text/plain,hello".to_owned(),
        "https://".to_owned(),
        "/relative".to_owned(),
        String::new(),
    ]);
    for url in urls {
        let error = egress.fetch(EgressRequest::get(&url)).await.unwrap_err();
        assert_eq!(error.failure(), EgressFailure::Refused, "{url}");
        assert_eq!(error.to_string(), "the remote resource could not be used", "{url}");
        assert!(egress.stream(EgressRequest::get(&url)).await.is_err(), "{url}");
    }
    assert_eq!(knocks.load(Ordering::SeqCst), 0, "the canary must stay silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn t36_a_closed_port_reads_like_a_refusal() {
    let network = TestNetwork::new();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let egress = network.egress(&[format!("localhost:{}", closed.port())]);
    let error = egress
        .fetch(EgressRequest::get(format!("https://localhost:{}/", closed.port())))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), EgressFailure::Unreachable);
    assert_eq!(error.to_string(), "the remote resource could not be used");
}

fn redirecting(target: Arc<parking_lot::Mutex<String>>) -> Answer {
    Arc::new(move |request| match request.uri().path() {
        "/away" => answer(302, &[("location", &target.lock())], ""),
        "/home" => answer(301, &[("location", "/end")], ""),
        "/loop" => answer(307, &[("location", "/loop")], ""),
        "/end" => answer(200, &[("content-type", "text/plain")], "reached"),
        _ => answer(404, &[], ""),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_checked_anew_and_carry_no_credentials_away() {
    let network = TestNetwork::new();
    let target = Arc::new(parking_lot::Mutex::new(String::new()));
    let (first, second) = (
        network.server(redirecting(target.clone())).await,
        network.server(redirecting(target.clone())).await,
    );
    let (canary, knocks) = canary().await;
    let egress = network.egress(&[first.host(), second.host()]);
    let secret = |request: EgressRequest| request.header(AUTHORIZATION, HeaderValue::from_static("DPoP token"));
    let get = |path: &str, redirects| EgressRequest::get(first.url(path)).redirects(redirects);

    let none = egress.fetch(get("/home", Redirects::None)).await.unwrap();
    assert_eq!(none.status, 301);
    let home = egress
        .fetch(secret(get("/home", Redirects::SameOrigin(1))))
        .await
        .unwrap();
    assert_eq!(
        (home.body.as_ref(), home.url.as_str()),
        (b"reached".as_ref(), first.url("/end").as_str())
    );
    let endless = egress.fetch(get("/loop", Redirects::Any(200))).await.unwrap_err();
    assert_eq!(endless.failure(), EgressFailure::Redirected);

    *target.lock() = second.url("/end");
    let within = egress.fetch(get("/away", Redirects::SameOrigin(3))).await.unwrap_err();
    assert_eq!(within.failure(), EgressFailure::Redirected);
    assert_eq!(
        egress.fetch(get("/away", Redirects::Any(3))).await.unwrap().body,
        "reached"
    );
    let before = second.requests();
    let with_secret = egress.fetch(secret(get("/away", Redirects::Any(3)))).await.unwrap_err();
    assert_eq!(with_secret.failure(), EgressFailure::Redirected);
    assert_eq!(second.requests(), before, "credentials stay at their origin");

    for home in [
        "https://127.0.0.1",
        "http://127.0.0.1",
        "http://2130706433",
        "https://[::ffff:127.0.0.1]",
    ] {
        *target.lock() = format!("{home}:{}/", canary.port());
        let error = egress.fetch(get("/away", Redirects::Any(3))).await.unwrap_err();
        assert_eq!(error.failure(), EgressFailure::Refused, "{home}");
    }
    assert_eq!(knocks.load(Ordering::SeqCst), 0, "the canary must stay silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_bounded_in_bytes_time_and_head() {
    let network = TestNetwork::new();
    let server = network
        .server(Arc::new(|request| match request.uri().path() {
            "/large" => answer(200, &[], vec![b'x'; 300_000]),
            "/packed" => answer(200, &[("content-encoding", "gzip")], vec![0x1f, 0x8b]),
            "/head" => {
                let mut response = answer(200, &[], "");
                for number in 0..200 {
                    let name = http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
                    response
                        .headers_mut()
                        .insert(name, HeaderValue::from_str(&"v".repeat(1_000)).unwrap());
                }
                response
            }
            "/silent" => {
                let (sender, body) = crate::body::channel(1);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    drop(sender);
                });
                http::Response::new(body)
            }
            _ => answer(200, &[], "small"),
        }))
        .await;
    let mut config = network.egress_config(&[server.host()]);
    config.stream_idle_seconds_max = 1;
    let egress = Egress::new(config).unwrap();
    let get = |path: &str| EgressRequest::get(server.url(path));

    let large = egress.fetch(get("/large").bytes_max(299_999)).await.unwrap_err();
    assert_eq!(large.failure(), EgressFailure::TooLarge);
    assert_eq!(
        egress.fetch(get("/large").bytes_max(300_000)).await.unwrap().body.len(),
        300_000
    );
    let (status, _, body) = egress.stream(get("/large").bytes_max(200_000)).await.unwrap();
    assert_eq!(status, 200);
    assert!(body.collect().await.is_err(), "a cut stream must not look complete");
    let (_, _, body) = egress.stream(get("/large")).await.unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 300_000);
    assert_eq!(
        egress.fetch(get("/packed")).await.unwrap_err().failure(),
        EgressFailure::Broken
    );
    assert_eq!(
        egress.fetch(get("/head")).await.unwrap_err().failure(),
        EgressFailure::Broken
    );
    let late = egress
        .fetch(get("/silent").time_max(Duration::from_millis(300)))
        .await
        .unwrap_err();
    assert_eq!(late.failure(), EgressFailure::TimedOut);
    let (_, _, body) = egress.stream(get("/silent")).await.unwrap();
    let silent = tokio::time::timeout(Duration::from_secs(5), body.collect()).await;
    assert!(
        matches!(silent, Ok(Err(_))),
        "a silent stream ends with an error within its idle time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_not_trusted() {
    let (ours, theirs) = (TestNetwork::new(), TestNetwork::new());
    let server = theirs.server(Arc::new(|_| answer(200, &[], "hello"))).await;
    let error = ours
        .egress(&[server.host()])
        .fetch(EgressRequest::get(server.url("/")))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), EgressFailure::Unreachable);
    assert_eq!(server.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_to_one_member_share_a_connection() {
    let network = TestNetwork::new();
    let server = network.server(Arc::new(|_| answer(200, &[], "hello"))).await;
    let egress = network.egress(&[server.host()]);
    egress.fetch(EgressRequest::get(server.url("/"))).await.unwrap();
    let started = std::time::Instant::now();
    let mut sent = 0;
    for _ in 0..20 {
        let requests = (0..100).map(|_| egress.fetch(EgressRequest::get(server.url("/"))));
        let answers = join_all(requests).await;
        sent += answers.len();
        assert!(answers.into_iter().all(|answer| answer.unwrap().body == "hello"));
    }
    let rate = f64::from(u32::try_from(sent).unwrap()) / started.elapsed().as_secs_f64();
    // Loose on purpose: an idle core does twenty times as much.
    assert!(rate > 500.0, "{rate:.0} requests per second");
    assert_eq!((server.requests(), server.connections()), (sent + 1, 1));
}

#[test]
fn entries_of_the_allow_list_are_checked() {
    for bad in [
        "localhost",
        "localhost:99999",
        "a b:443",
        "user@host:443",
        "host/path:443",
        ":443",
    ] {
        let config = EgressConfig {
            allow: vec![bad.to_owned()],
            ..EgressConfig::default()
        };
        let error = Egress::new(config)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(error.contains("egress.allow"), "{bad}: {error}");
    }
    for good in [
        "localhost:7101",
        "LOCALHOST:*",
        "127.0.0.1:80",
        "[::1]:443",
        "pod-gent:7101",
    ] {
        let config = EgressConfig {
            allow: vec![good.to_owned()],
            ..EgressConfig::default()
        };
        assert!(Egress::new(config).is_ok(), "{good}");
    }
}

/// T18: what strangers cause has a share of its own, and leaves room for the server's own business.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_take_every_request() {
    let network = TestNetwork::new();
    let server = network
        .server(Arc::new(|request| {
            if request.uri().path() == "/endless" {
                let (sender, body) = crate::body::channel(1);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    drop(sender);
                });
                return http::Response::new(body);
            }
            answer(200, &[], "hello")
        }))
        .await;
    let config = EgressConfig {
        requests_max: 4,
        requests_for_strangers_max: 2,
        ..network.egress_config(&[server.host()])
    };
    let egress = Egress::new(config).unwrap();
    let endless = || EgressRequest::get(server.url("/endless")).for_stranger();
    let held = join_all((0..2).map(|_| egress.stream(endless()))).await;
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(server.connections(), 2, "strangers share no connection");
    let small = || EgressRequest::get(server.url("/"));
    let late = small().for_stranger().time_max(Duration::from_millis(300));
    assert_eq!(egress.fetch(late).await.unwrap_err().failure(), EgressFailure::TimedOut);
    assert_eq!(egress.fetch(small()).await.unwrap().body, "hello");
    drop(held);
    assert_eq!(egress.fetch(small().for_stranger()).await.unwrap().body, "hello");
}
