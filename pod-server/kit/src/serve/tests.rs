//! The server loop against slow, loud and endless peers, and a certificate that changes (T46, T47, T51, T64).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::body;
use crate::test_network::TestNetwork;
use crate::tls::{RootsConfig, client_config};

fn small_limits() -> ServeLimits {
    ServeLimits {
        header_seconds_max: 1,
        idle_seconds_max: 2,
        drain_seconds_max: 3,
        ..ServeLimits::default()
    }
}

fn hello() -> Handler {
    Arc::new(|request: Request<Incoming>, peer: Peer| {
        async move {
            match request.uri().path() {
                "/panic" => panic!("provoked"),
                "/slow" => tokio::time::sleep(Duration::from_millis(700)).await,
                "/echo" => {
                    let bytes = request
                        .into_body()
                        .collect()
                        .await
                        .map(|all| all.to_bytes())
                        .unwrap_or_default();
                    return Response::new(body::full(bytes));
                }
                "/large" => return Response::new(body::full(vec![b'x'; 64 * 1024 * 1024])),
                _ => {}
            }
            Response::new(body::full(format!(
                "hello {}",
                peer.server_name.as_deref().unwrap_or("nobody")
            )))
        }
        .boxed()
    })
}

async fn plain(limits: ServeLimits) -> (SocketAddr, crate::shutdown::Shutdown) {
    TestNetwork::new().start(hello(), None, limits).await
}

/// Sends bytes, and reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_head_that_never_ends_is_cut_and_others_are_served() {
    let (address, _shutdown) = plain(small_limits()).await;
    let started = Instant::now();
    let mut attackers = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        attackers.push(tokio::spawn(async move {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await;
            // One more byte every 100 ms, as slow attackers do.
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if stream.write_all(b"x: y\r\n").await.is_err() {
                    return true;
                }
            }
            false
        }));
    }
    let served = exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
    for attacker in attackers {
        assert!(attacker.await.unwrap(), "the attacker must be cut");
    }
    assert!(started.elapsed() < Duration::from_secs(60));
    // Not one byte, and half an HTTP/2 preface: cut as well.
    for start in ["", "PRI * HT"] {
        let started = Instant::now();
        exchange(address, start.as_bytes()).await;
        assert!(started.elapsed() < Duration::from_secs(60), "`{start}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_its_answer_is_cut() {
    let (address, _shutdown) = plain(small_limits()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut received = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut received))
        .await
        .unwrap();
    assert!(received.len() < 64 * 1024 * 1024, "{} bytes came", received.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn t46_ambiguous_and_oversized_heads_are_refused() {
    let (address, _shutdown) = plain(ServeLimits {
        header_bytes_max: 8_192,
        ..small_limits()
    })
    .await;
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(150));
    let smuggled = "\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        (long, "431"),
        (many, "431"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde".to_owned(),
            "400",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd".to_owned(),
            "400",
        ),
        (
            format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked{smuggled}"),
            "400",
        ),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n".to_owned(), "400"),
    ];
    for (request, status) in cases {
        let answer = exchange(address, request.as_bytes()).await;
        let first = request.get(..60).unwrap_or(&request);
        // What the server left unread resets the connection, which may overtake the answer to an oversized head.
        let cut = answer.is_empty() && request.len() > 8_192;
        assert!(
            cut || answer.starts_with(&format!("HTTP/1.1 {status}")),
            "`{first}`: `{answer}`"
        );
        assert!(
            answer.matches("HTTP/1.1").count() <= 1,
            "one answer and no more: `{answer}`"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_500_and_the_server_lives() {
    let (address, _shutdown) = plain(small_limits()).await;
    let answer = exchange(address, b"GET /panic HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 500") && answer.contains("problem+json"),
        "{answer}"
    );
    assert!(!answer.contains("provoked"), "the cause stays inside");
    let answer = exchange(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn running_requests_end_well_and_new_connections_are_refused() {
    let (address, shutdown) = plain(small_limits()).await;
    let running = tokio::spawn(exchange_owned(address, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    shutdown.trigger();
    let answer = running.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello nobody"),
        "{answer}"
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nothing listens after the shutdown"
    );
}

async fn exchange_owned(address: SocketAddr, text: &'static str) -> String {
    exchange(address, text.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait() {
    let (address, _shutdown) = plain(ServeLimits {
        connections_max: 2,
        ..small_limits()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let third = tokio::spawn(exchange_owned(
        address,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!third.is_finished(), "the third waits for a place");
    drop(held);
    assert!(third.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn plain_http_beyond_loopback_must_be_asked_for() {
    let mut config = ListenConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        tls: None,
        plain_http: false,
    };
    let error = Listener::bind(&config)
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(error.contains("plain HTTP") && error.contains("`tls`"), "{error}");
    config.plain_http = true;
    assert!(Listener::bind(&config).await.is_ok());
}

/// The certificate that a server shows, and what was negotiated.
async fn handshake(network: &TestNetwork, address: SocketAddr) -> (Vec<u8>, Option<Vec<u8>>) {
    let roots = RootsConfig {
        system_ca_file: None,
        extra_ca_file: Some(network.path("ca.pem")),
    };
    let mut config = client_config(&roots).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let session = stream.get_ref().1;
    let certificate = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| leaf.to_vec());
    (certificate.unwrap(), session.alpn_protocol().map(<[u8]>::to_vec))
}

#[tokio::test(flavor = "multi_thread")]
async fn t64_a_certificate_is_replaced_while_the_server_runs() {
    let network = TestNetwork::new();
    let tls = network.certificate("server");
    let (address, _shutdown) = network.start(hello(), Some(tls.clone()), small_limits()).await;
    let (first, alpn) = handshake(&network, address).await;
    assert_eq!(alpn.as_deref(), Some(b"h2".as_ref()));

    std::fs::write(&tls.certificate_file, "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(
        handshake(&network, address).await.0,
        first,
        "a broken file changes nothing"
    );

    network.certificate("server");
    let deadline = Instant::now() + Duration::from_secs(10);
    while handshake(&network, address).await.0 == first {
        assert!(Instant::now() < deadline, "the new certificate must be used");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_a_foreign_or_open_key_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let network = TestNetwork::new();
    let (first, second) = (network.certificate("first"), network.certificate("second"));
    let mixed = TlsConfig {
        key_file: second.key_file.clone(),
        ..first.clone()
    };
    assert!(
        crate::tls::ReloadingCertificate::load(mixed).is_err(),
        "the key of another certificate"
    );
    std::fs::set_permissions(&first.key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = crate::tls::ReloadingCertificate::load(first)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(error.contains("0644"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t64_the_name_of_the_handshake_reaches_the_handler() {
    let network = TestNetwork::new();
    let (address, _shutdown) = network
        .start(hello(), Some(network.certificate("server")), small_limits())
        .await;
    let egress = network.egress(&[format!("localhost:{}", address.port())]);
    let url = format!("https://localhost:{}/", address.port());
    let answer = egress.fetch(crate::egress::EgressRequest::get(url)).await.unwrap();
    assert_eq!(answer.body, "hello localhost");
}

/// T46: one network cannot take every connection; trusted proxies may hold more, and a place comes back.
#[tokio::test(flavor = "multi_thread")]
async fn t46_a_network_has_so_many_connections() {
    let limits = ServeLimits {
        connections_per_network_max: 2,
        ..ServeLimits::default()
    };
    let (address, _shutdown) = plain(limits.clone()).await;
    let mut held = vec![ask(address).await, ask(address).await];
    assert!(held.iter().all(Option::is_some));
    assert!(ask(address).await.is_none(), "a third connection was served");
    held.pop();
    // The server notices the end of a connection a little later.
    let again = tokio::time::timeout(Duration::from_secs(8), async {
        while ask(address).await.is_none() {
            tokio::task::yield_now().await;
        }
    });
    assert!(again.await.is_ok(), "the place did not come back");
    let proxies = vec!["127.0.0.0/8".to_owned()];
    let trusting = ServeLimits {
        trusted_proxies: proxies.try_into().unwrap(),
        ..limits
    };
    let (address, _shutdown) = plain(trusting).await;
    let held = [ask(address).await, ask(address).await, ask(address).await];
    assert!(held.iter().all(Option::is_some));
}

/// Asks once, and keeps the connection; none if it was closed without an answer.
async fn ask(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.ok()?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.ok()?;
    assert_eq!(&first, b"HTTP/1.1 200");
    Some(stream)
}
