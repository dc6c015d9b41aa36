//! Uploads over real sockets: broken ones, large ones, ones that wait to be asked for, and the names that they get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::fmt::Write as _;

use http::Method;
use meent_tests::pod::{PodServer, raw_request};

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
    let authority = server
        .base_url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
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

/// solid#64: the body is asked for only after the request is authorized.
#[tokio::test(flavor = "multi_thread")]
async fn expectations_are_met_after_authorization() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let authority = server
        .base_url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
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

/// solid#25, T5, T11: slugs are hints.
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

/// T52: a body that is announced too large is refused before a byte of it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_before_they_are_sent() {
    let bounds =
        serde_json::json!({ "ldp": { "rdf_bytes_max": 10_000, "body_bytes_max": 100_000, "acl_bytes_max": 500 } });
    let server = PodServer::start_with(bounds).await;
    let agent = server.agent("alice").await;
    let authority = server
        .base_url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
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
