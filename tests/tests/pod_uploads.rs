//! Uploads over real sockets: broken ones, large ones, ones that wait to be asked for, and the names that they get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::fmt::Write as _;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use meent_tests::pod::{PodServer, raw_request};
use server_kit::body;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;

fn files_below(directory: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| {
            if entry.path().is_dir() {
                files_below(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

/// Done-when 3: an upload that breaks at any tenth leaves the old bytes, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_upload_leaves_the_old_bytes() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    let authority = server.authority().to_owned();
    for (path, media_type, old, new) in [
        (
            "/alice/x.ttl",
            "text/turtle",
            "<old> <b> <c> .".to_owned(),
            "<new> <b> <c> .\n".repeat(200),
        ),
        (
            "/alice/x.bin",
            "image/png",
            "old".repeat(100_000),
            "new".repeat(100_000),
        ),
    ] {
        alice.put(path, media_type, old.clone()).await;
        let files = files_below(server.directory());
        for tenth in 0..10 {
            let sent = new.len() * tenth / 10;
            let url = format!("{}{path}", server.base_url.trim_end_matches('/'));
            let mut request = format!(
                "PUT {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n",
                new.len()
            );
            for (name, value) in agent.credentials(&Method::PUT, &url) {
                let _ = write!(request, "{name}: {value}\r\n");
            }
            request.push_str("\r\n");
            request.push_str(&new[..sent]);
            let reply = raw_request(&server.base_url, request.as_bytes(), true).await.unwrap();
            assert!(!(200..300).contains(&reply.status), "{tenth}: {}", reply.status);
            assert_eq!(alice.get(path).await.text(), old, "{path} at {tenth}");
        }
        assert_eq!(files_below(server.directory()), files, "{path}");
    }
    server.stop().await;
}

/// Requirements solid 64: the body is asked for only after the request is authorized.
#[tokio::test(flavor = "multi_thread")]
async fn expectations_are_met_after_authorization() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let authority = server.authority().to_owned();
    let url = format!("{}alice/x", server.base_url);
    let head = format!(
        "PUT /alice/x HTTP/1.1\r\nHost: {authority}\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\
         Connection: close\r\n"
    );
    let refused = raw_request(&server.base_url, format!("{head}\r\n").as_bytes(), false)
        .await
        .unwrap();
    assert_eq!(refused.status, 401);
    let mut request = head;
    for (name, value) in agent.credentials(&Method::PUT, &url) {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("\r\nhello");
    let accepted = raw_request(&server.base_url, request.as_bytes(), false).await.unwrap();
    let text = String::from_utf8_lossy(&accepted.bytes).into_owned();
    assert!(text.contains("201 Created"), "{text}");
    server.stop().await;
}

/// Requirements solid 25 (T5, T11): slugs are hints.
#[tokio::test(flavor = "multi_thread")]
async fn slugs_never_escape_their_container() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/in/", "text/turtle", "").await;
    let base = format!("{}alice/in/", server.base_url);
    let mut seen = HashSet::new();
    for slug in [
        "a.txt",
        "a.txt",
        "../../up",
        "x/y",
        "%2e%2e%2fz",
        ".acl",
        "b.acl",
        "c.meta",
        "",
        "%00",
        "d%0d%0aX: y",
        "sub/",
    ] {
        for container in [false, true] {
            let mut request = alice
                .request("POST", "/alice/in/")
                .content("text/turtle", "")
                .header("slug", slug);
            if container {
                request = request.header("link", "<http://www.w3.org/ns/ldp#BasicContainer>; rel=\"type\"");
            }
            let reply = request.send().await;
            assert_eq!(reply.status, 201, "{slug}: {}", reply.text());
            let location = reply.header("location").to_owned();
            let name = location
                .strip_prefix(&base)
                .unwrap_or_else(|| panic!("{slug}: {location}"));
            assert_eq!(name.ends_with('/'), container, "{slug}: {location}");
            let bare = name.trim_end_matches('/');
            assert!(
                !bare.contains('/') && !bare.ends_with(".acl") && !bare.ends_with(".meta"),
                "{slug}: {location}"
            );
            assert!(seen.insert(location.clone()), "{location} twice");
        }
    }
    server.stop().await;
}

/// Requirements solid 62, 64 (T52): a body that is announced too large is refused before a byte of it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_before_they_are_sent() {
    let bounds =
        serde_json::json!({ "ldp": { "rdf_bytes_max": 10_000, "body_bytes_max": 100_000, "acl_bytes_max": 500 } });
    let server = PodServer::start_with(bounds).await;
    let agent = server.agent("alice").await;
    let authority = server.authority().to_owned();
    for (path, media_type, length) in [
        ("/alice/y.ttl", "text/turtle", 10_001_u64),
        ("/alice/y.bin", "image/png", 100_001),
        ("/alice/.acl", "text/turtle", 501),
        ("/alice/y.bin", "image/png", 1 << 40),
    ] {
        let url = format!("{}{path}", server.base_url.trim_end_matches('/'));
        let mut request = format!(
            "PUT {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\nConnection: close\r\n"
        );
        for (name, value) in agent.credentials(&Method::PUT, &url) {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        request.push_str("\r\n");
        let reply = raw_request(&server.base_url, request.as_bytes(), false).await.unwrap();
        assert_eq!(reply.status, 413, "{path}: {}", String::from_utf8_lossy(&reply.bytes));
    }
    assert_eq!(agent.client().get("/alice/y.bin").await.status, 404);
    server.stop().await;
}

/// Bytes of this process in memory.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// An upload and a download of 300 MB pass through memory in pieces, and nothing of them is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_does_not_fill_the_memory() {
    const PIECE_BYTES: usize = 1 << 20;
    const PIECES: u64 = 300;
    const GROWTH_BYTES_MAX: u64 = 96 << 20;
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let authority = server.authority().to_owned();
    let url = format!("{}alice/large.bin", server.base_url);
    let before = resident_bytes();
    let stream = TcpStream::connect(&authority).await.unwrap();
    let (mut connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(driver);
    let (mut sender, streamed) = body::channel(2);
    let request = |method: Method, body: body::Body| {
        let mut request = Request::builder()
            .method(&method)
            .uri("/alice/large.bin")
            .header("host", &authority);
        for (name, value) in agent.credentials(&method, &url) {
            request = request.header(name, value);
        }
        request
            .header("content-type", "application/octet-stream")
            .body(body)
            .unwrap()
    };
    let sending = tokio::spawn(async move {
        let (mut highest, mut digest) = (0, Sha256::new());
        for number in 0..PIECES {
            let piece = Bytes::from(vec![u8::try_from(number % 251).unwrap(); PIECE_BYTES]);
            digest.update(&piece);
            sender.send(piece).await.unwrap();
            highest = highest.max(resident_bytes());
        }
        (highest, digest.finalize())
    });
    let made = connection.send_request(request(Method::PUT, streamed)).await.unwrap();
    assert_eq!(made.status(), 201);
    made.into_body().collect().await.unwrap();
    let (mut highest, sent) = sending.await.unwrap();
    // The connection takes the next request once its driver has seen the end of the answer.
    connection.ready().await.unwrap();
    let mut read = connection
        .send_request(request(Method::GET, body::empty()))
        .await
        .unwrap();
    assert_eq!(
        read.headers()["content-length"],
        (PIECES * PIECE_BYTES as u64).to_string()
    );
    let mut digest = Sha256::new();
    while let Some(frame) = read.frame().await {
        if let Ok(data) = frame.unwrap().into_data() {
            digest.update(&data);
            highest = highest.max(resident_bytes());
        }
    }
    assert_eq!(digest.finalize(), sent);
    let growth = highest.saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more in memory");
    server.stop().await;
}

/// T51: a client that stops in the middle and stays connected is told so and loses nothing but its upload.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_upload_is_cut_off() {
    let settings =
        serde_json::json!({ "ldp": { "upload_grace_seconds": 1, "upload_bytes_per_second_min": 1_000_000 } });
    let server = PodServer::start_with(settings).await;
    let agent = server.agent("alice").await;
    let authority = server.authority().to_owned();
    for (path, media_type) in [("/alice/x.ttl", "text/turtle"), ("/alice/x.bin", "image/png")] {
        let url = format!("{}{path}", server.base_url.trim_end_matches('/'));
        for (length, start) in [
            ("Content-Length: 1000", "<a> <b> "),
            ("Transfer-Encoding: chunked", "8\r\n<a> <b> \r\n"),
        ] {
            let mut request =
                format!("PUT {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {media_type}\r\n{length}\r\n");
            for (name, value) in agent.credentials(&Method::PUT, &url) {
                let _ = write!(request, "{name}: {value}\r\n");
            }
            request.push_str("\r\n");
            request.push_str(start);
            let reply = raw_request(&server.base_url, request.as_bytes(), false).await.unwrap();
            assert_eq!(
                reply.status,
                408,
                "{path} {length}: {}",
                String::from_utf8_lossy(&reply.bytes)
            );
        }
        assert_eq!(agent.client().get(path).await.status, 404, "{path}");
    }
    server.stop().await;
}
