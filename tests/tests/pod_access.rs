//! Access to resources: what lists may say, and spellings of a URL that must not open anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;

use meent_tests::pod::{PodServer, raw_request};

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"];
const DOCUMENT: &str = "<#it> <urn:p> \"x\" .";

/// An authorization for someone; nothing for no modes.
fn authorization(id: &str, who: &str, modes: &str, scope: &str) -> String {
    let names: Vec<&str> = modes
        .chars()
        .filter_map(|mode| match mode {
            'R' => Some("acl:Read"),
            'A' => Some("acl:Append"),
            'W' => Some("acl:Write"),
            'C' => Some("acl:Control"),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "<#{id}> a acl:Authorization; {who}; {scope}; acl:mode {}.\n",
        names.join(", ")
    )
}

fn acl(owner: &str, parts: &[String]) -> String {
    let mut text = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.\n\
         <#owner> a acl:Authorization; acl:agent <{owner}>; acl:accessTo <./>; acl:default <./>; \
         acl:mode acl:Read, acl:Write, acl:Control.\n"
    );
    for part in parts {
        text.push_str(part);
    }
    text
}

/// Requirement solid 71, T13: `acl:accessTo` is not inherited and `acl:default` does not count directly, at any depth.
#[tokio::test(flavor = "multi_thread")]
async fn access_to_and_default_are_different() {
    let server = PodServer::start().await;
    let owner = server.agent("alice").await;
    let alice = owner.client();
    let public = server.client();
    for (scope, here, below) in [
        ("acl:accessTo <./>", 200, 401),
        ("acl:default <./>", 401, 200),
        ("acl:accessTo <./>; acl:default <./>", 200, 200),
    ] {
        let root = format!("/alice/{here}{below}/");
        for path in ["", "a/", "a/b/", "a/b/c/"] {
            alice.put(&format!("{root}{path}"), "text/turtle", "").await;
            alice.put(&format!("{root}{path}x"), "text/plain", "x").await;
        }
        let rights = acl(
            &owner.web_id,
            &[authorization("all", "acl:agentClass foaf:Agent", "R", scope)],
        );
        assert_eq!(
            alice.put(&format!("{root}.acl"), "text/turtle", rights).await.status,
            201
        );
        assert_eq!(public.get(&root).await.status, here);
        for path in ["x", "a/", "a/x", "a/b/c/", "a/b/c/x"] {
            assert_eq!(public.get(&format!("{root}{path}")).await.status, below, "{root}{path}");
        }
    }
    server.stop().await;
}

/// Requirements solid 70, 81, T17: lists that cannot be enforced, or that would lock everyone out, are refused.
#[tokio::test(flavor = "multi_thread")]
async fn unsound_lists_are_refused() {
    let server = PodServer::start().await;
    let owner = server.agent("alice").await;
    let alice = owner.client();
    alice.put("/alice/x", "text/plain", "x").await;
    let prefix = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. ";
    let condition = format!(
        "{prefix} <#a> a acl:Authorization; acl:agent <urn:x>; acl:accessTo <x>; acl:mode acl:Read; \
         acl:condition [ a <urn:UnknownCondition> ]."
    );
    assert_eq!(alice.put("/alice/x.acl", "text/turtle", condition).await.status, 422);
    assert_eq!(alice.put("/alice/x.acl", "text/turtle", "<a> <b> ").await.status, 400);
    assert_eq!(alice.put("/alice/x.acl", "text/plain", "x").await.status, 415);
    let locked = format!("{prefix} <#a> a acl:Authorization; acl:agent <urn:x>; acl:accessTo <./>; acl:mode acl:Read.");
    assert_eq!(alice.put("/alice/.acl", "text/turtle", locked).await.status, 409);
    assert_eq!(alice.delete("/alice/.acl").await.status, 405);
    assert_eq!(alice.get("/alice/.acl").await.status, 200);
    server.stop().await;
}

/// Invariant 8, T21: an answer under way ends with the right to it, and only then.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_ends_a_download() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // More than sockets and their buffers take in by themselves.
    const BYTES: usize = 40 << 20;
    let server = PodServer::start().await;
    let owner = server.agent("alice").await;
    let alice = owner.client();
    let stored = alice.put("/alice/film", "video/mp4", vec![7_u8; BYTES]).await;
    assert!(stored.status.is_success(), "{}", stored.text());
    let list = |public: &[String]| {
        let list = acl(&owner.web_id, public);
        list.replace("acl:accessTo <./>; acl:default <./>", "acl:accessTo <film>")
    };
    let everyone = |modes| {
        [authorization(
            "all",
            "acl:agentClass foaf:Agent",
            modes,
            "acl:accessTo <film>",
        )]
    };
    for (then, whole) in [(list(&everyone("RA")), true), (list(&[]), false)] {
        let opened = alice.put("/alice/film.acl", "text/turtle", list(&everyone("R"))).await;
        assert!(opened.status.is_success(), "{}", opened.text());
        let authority = server.authority();
        let mut stream = tokio::net::TcpStream::connect(authority).await.unwrap();
        let request = format!("GET /alice/film HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = vec![0; 4_096];
        stream.read_exact(&mut start).await.unwrap();
        assert!(start.starts_with(b"HTTP/1.1 200"));
        let changed = alice.put("/alice/film.acl", "text/turtle", then).await;
        assert!(changed.status.is_success(), "{}", changed.text());
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(start.len() + rest.len() > BYTES, whole, "{} bytes came", rest.len());
    }
    server.stop().await;
}

/// Invariant 8, T21: what was public a moment ago is refused at the next request.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_counts_at_once() {
    let server = PodServer::start().await;
    let owner = server.agent("alice").await;
    let (alice, public) = (owner.client(), server.client());
    alice.put("/alice/x", "text/turtle", DOCUMENT).await;
    let open = acl(
        &owner.web_id,
        &[authorization(
            "all",
            "acl:agentClass foaf:Agent",
            "R",
            "acl:accessTo <x>",
        )],
    );
    let open = open.replace("acl:accessTo <./>; acl:default <./>", "acl:accessTo <x>");
    let closed = acl(&owner.web_id, &[]).replace("acl:accessTo <./>; acl:default <./>", "acl:accessTo <x>");
    for _ in 0..20 {
        assert!(
            alice
                .put("/alice/x.acl", "text/turtle", open.clone())
                .await
                .status
                .is_success()
        );
        for _ in 0..3 {
            assert_eq!(public.get("/alice/x").await.status, 200);
        }
        assert!(
            alice
                .put("/alice/x.acl", "text/turtle", closed.clone())
                .await
                .status
                .is_success()
        );
        assert_eq!(public.get("/alice/x").await.status, 401);
    }
    server.stop().await;
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

/// Other spellings of `/alice/private/secret.txt`.
fn spellings() -> Vec<String> {
    let segments = ["alice", "private", "secret.txt"];
    let separators = [
        "/",
        "//",
        "/./",
        "/x/../",
        "%2F",
        "%2f",
        "%252F",
        "%252f",
        "%5C",
        "%5c",
        "\\",
        "/%2e/",
        "/x/%2e%2e/",
        "/x/..%2f",
        "/%2E%2E/alice/",
        "/;/",
        "/..;/",
        "/.%2e/",
        "%c0%af",
        "%e0%80%af",
        "%EF%BC%8F",
        "/%00/",
        "/%20/",
    ];
    let suffixes = [
        "",
        "/",
        "//",
        "%2F",
        ".",
        "..",
        "%00",
        "%20",
        "%09",
        "?x",
        "?x=.acl",
        "#y",
        ";a=b",
        "%3Fx",
        "%23y",
        "/.",
        "/..",
        "%0d%0a",
        ".acl/..",
        "\u{ff0f}",
        "~",
        "%FF",
        "%ed%a0%80",
    ];
    let mut all = Vec::new();
    for first in separators {
        for second in separators.iter().step_by(3) {
            all.push(format!("/{}{first}{}{second}{}", segments[0], segments[1], segments[2]));
        }
    }
    for suffix in suffixes {
        all.push(format!("/alice/private/secret.txt{suffix}"));
        all.push(format!("/alice/private{suffix}/secret.txt"));
        all.push(format!("/alice{suffix}/private/secret.txt"));
        all.push(format!(
            "/{}/private/{}{suffix}",
            percent("alice"),
            percent("secret.txt")
        ));
        all.push(format!("/alice/{}/secret.txt{suffix}", percent("private")));
        all.push(format!("//alice/private/secret.txt{suffix}"));
        all.push(format!("/bob/../alice/private/secret.txt{suffix}"));
        all.push(format!("/bob/%2e%2e/alice/private/secret.txt{suffix}"));
        all.push(format!("/alice/PRIVATE/Secret.TXT{suffix}"));
        all.push(format!("/alice/private/s%65cret.txt{suffix}"));
        all.push(format!("/alice/private/s%2565cret.txt{suffix}"));
    }
    all.sort();
    all.dedup();
    all
}

/// T1, T2, T3, T4, T8, T9, T59: no spelling of a private resource leaks it or changes it.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_opens_a_private_resource() {
    open_nothing(PodServer::start().await, |authority, path| {
        vec![(authority.to_owned(), path.to_owned())]
    })
    .await;
}

/// T1, T2, T3, T4, T8, T9, T10, T59: nor below the server's own origin, when the storage has one of its own, nor on that one,
/// nor on that of another storage.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_opens_a_private_resource_of_another_origin() {
    let server = PodServer::start_on_subdomains(serde_json::json!({})).await;
    open_nothing(server, |authority, path| {
        let mut targets = vec![(authority.to_owned(), path.to_owned())];
        for storage in ["alice", "bob"] {
            let encoded = percent(storage);
            let inside = [storage, encoded.as_str()]
                .iter()
                .find_map(|name| path.strip_prefix(&format!("/{name}")));
            let inside = inside.unwrap_or(path);
            let slash = if inside.starts_with('/') { "" } else { "/" };
            targets.push((format!("{storage}.{authority}"), format!("{slash}{inside}")));
        }
        targets
    })
    .await;
}

/// Asks for every spelling, at the hosts and by the paths that `targets` makes of it.
async fn open_nothing(server: PodServer, targets: fn(&str, &str) -> Vec<(String, String)>) {
    let alice = server.agent("alice").await.client();
    server.agent("bob").await;
    let canary = "the canary sings";
    assert_eq!(
        alice
            .put("/alice/private/secret.txt", "text/plain", canary)
            .await
            .status,
        201
    );
    let before = (
        alice.get("/alice/private/").await.text(),
        alice.get("/alice/").await.text(),
    );
    let spellings = spellings();
    assert!(spellings.len() >= 400, "{}", spellings.len());
    let authority = server.authority().to_owned();
    let mut tasks = Vec::new();
    for chunk in spellings.chunks(50) {
        let (chunk, base, authority) = (chunk.to_vec(), server.base_url.clone(), authority.clone());
        tasks.push(tokio::spawn(async move {
            for path in chunk {
                for (host, path) in targets(&authority, &path) {
                    for method in METHODS {
                        attempt(&base, method, &host, &path).await;
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(alice.get("/alice/private/secret.txt").await.text(), canary);
    let after = (
        alice.get("/alice/private/").await.text(),
        alice.get("/alice/").await.text(),
    );
    assert_eq!(before, after);
    server.stop().await;
}

/// One request for a spelling, in both forms of its target.
async fn attempt(base: &str, method: &str, host: &str, path: &str) {
    for target in [path.to_owned(), format!("http://{host}{path}")] {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
             Slug: .acl\r\nContent-Length: 1\r\n\r\nx"
        );
        let reply = raw_request(base, request.as_bytes(), false).await.unwrap();
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        assert!(!text.contains("canary"), "{method} {target} leaks: {text}");
        assert!(
            matches!(reply.status, 400 | 401 | 404 | 405 | 409 | 414 | 421),
            "{method} {target}: {text}"
        );
        assert!(
            !text.to_ascii_lowercase().contains("\r\netag:"),
            "{method} {target}: {text}"
        );
    }
}
