//! Other words in a request than its path and its credentials: queries, hosts, slugs; and storages without any rules.

use std::collections::BTreeSet;

use meent_tests::pod::{Client, PodServer};
use pod_server::error::Error;
use pod_server::name::ResourceName;
use pod_server::store::{Transaction, Warrant, commit};

const CANARY: &str = "the canary sings";
const TURTLE: &str = "text/turtle";
const CONTAINER: &str = "<http://www.w3.org/ns/ldp#BasicContainer>; rel=\"type\"";

/// A server with a private document of Alice's.
async fn scene() -> (PodServer, Client, Client) {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let bob = server.agent("bob").await.client();
    let made = alice.put("/alice/private/secret.txt", "text/plain", CANARY).await;
    assert_eq!(made.status, 201, "{}", made.text());
    (server, alice, bob)
}

/// T9: what stands behind the path of a resource changes no decision about it: the same status for everyone and every method,
/// and no word of what is private.
#[tokio::test(flavor = "multi_thread")]
async fn queries_do_not_change_decisions() {
    let (server, alice, bob) = scene().await;
    let nobody = server.client();
    let path = "/alice/private/secret.txt";
    let everyone = [("alice", &alice), ("bob", &bob), ("nobody", &nobody)];
    for (who, client) in everyone {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"] {
            if who == "alice" && method == "DELETE" {
                continue;
            }
            let send = async |path: &str| {
                let request = client.request(method, path).header("if-none-match", "*");
                request.content("text/plain", "changed").send().await
            };
            let plain = send(path).await;
            for query in [
                "?",
                "?x",
                "?x=.acl",
                "?.acl",
                "?ext=acl",
                "?acl=1&acl=0",
                "?/../../bob/",
                "?%2e%2e",
                "?purpose=all",
                "?a=b;c=d",
                "?access_token=x",
                "?%00",
                "?_method=GET",
            ] {
                let reply = send(&format!("{path}{query}")).await;
                assert_eq!(reply.status, plain.status, "{who} {method} {query}: {}", reply.text());
                assert!(
                    who == "alice" || !reply.text().contains(CANARY),
                    "{who} {method} {query}"
                );
            }
            for other in [
                format!("{path};a=b"),
                format!("{path};x=.acl"),
                "/alice/private;v=1/secret.txt".to_owned(),
            ] {
                let reply = send(&other).await;
                assert!(
                    who == "alice" || !reply.status.is_success() || method == "OPTIONS",
                    "{who} {method} {other}"
                );
                assert!(!reply.text().contains(CANARY), "{who} {method} {other}");
            }
        }
    }
    assert_eq!(alice.get(path).await.text(), CANARY, "nothing was changed");
    server.stop().await;
}

/// T10: no header that names another host, scheme or path gets into an answer, and none changes one.
#[tokio::test(flavor = "multi_thread")]
async fn forwarded_names_change_nothing() {
    let (server, alice, _) = scene().await;
    let nobody = server.client();
    let console = format!("{}.well-known/openid-configuration", server.console_url);
    let forged = [
        ("forwarded", "for=1.2.3.4;host=forged-name.example;proto=https"),
        ("x-forwarded-host", "forged-name.example"),
        ("x-forwarded-server", "forged-name.example"),
        ("x-forwarded-port", "666"),
        ("x-forwarded-proto", "forged-name"),
        ("x-forwarded-prefix", "/forged-name"),
        ("x-forwarded-uri", "/alice/private/secret.txt?forged-name"),
        ("x-original-url", "/alice/private/secret.txt?forged-name"),
        ("x-original-host", "forged-name.example"),
        ("x-rewrite-url", "/alice/private/secret.txt?forged-name"),
        ("x-host", "forged-name.example"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
        ("base-url", "https://forged-name.example/"),
        ("origin", "https://app.example"),
        ("x-forwarded-for", "127.0.0.1, 10.0.0.1"),
    ];
    for (client, method, path) in [
        (&alice, "GET", "/alice/"),
        (&alice, "HEAD", "/alice/private/"),
        (&alice, "GET", "/alice/private"),
        (&alice, "POST", "/alice/private/"),
        (&alice, "GET", "/alice/.well-known/solid"),
        (&nobody, "GET", "/alice/profile/card"),
        (&nobody, "GET", "/alice/private/secret.txt"),
        (&nobody, "GET", "/alice/nothing"),
        (&nobody, "GET", "/catalog"),
        (&nobody, "GET", "/.constraints"),
        (&nobody, "GET", console.as_str()),
    ] {
        let usual = client.request(method, path).content(TURTLE, "").send().await;
        let check = |name: &str, status: http::StatusCode, everything: String| {
            assert_eq!(status, usual.status, "{method} {path} with {name}: {everything}");
            let everything = everything.to_lowercase();
            assert!(
                !everything.contains("forged-name"),
                "{method} {path} with {name}: {everything}"
            );
            assert!(
                !everything.contains(":666"),
                "{method} {path} with {name}: {everything}"
            );
        };
        let mut together = client.request(method, path).content(TURTLE, "");
        for (name, value) in forged {
            let reply = client
                .request(method, path)
                .content(TURTLE, "")
                .header(name, value)
                .send()
                .await;
            check(name, reply.status, format!("{:?} {}", reply.headers, reply.text()));
            together = together.header(name, value);
        }
        let reply = together.send().await;
        check(
            "all of them",
            reply.status,
            format!("{:?} {}", reply.headers, reply.text()),
        );
    }
    assert_eq!(alice.get("/alice/private/secret.txt").await.text(), CANARY);
    server.stop().await;
}

/// Hints for names: every piece in every frame.
fn slugs() -> Vec<String> {
    let long = "x".repeat(10_240);
    let pieces = [
        "a",
        "..",
        ".",
        "/",
        "\\",
        ".acl",
        ".meta",
        "%2e%2e",
        "%2F",
        "%5C",
        "%00",
        "%0d%0aX: y",
        "%C0%AF",
        "%E2%80%AE",
        "%",
        "%%",
        "%2",
        "\t",
        " ",
        "~",
        "?x",
        "#y",
        ";z",
        ":",
        "con",
        "\"",
        "<>",
        "{}",
        "|",
        "^",
        "`",
        "é",
        "ﬁ",
        "%F0%9F%9A%B2",
        "-",
        "_",
        "*",
        "a.acl.acl",
        ".well-known",
        ".log",
        ".dataspace",
        "sparql",
        ".consent",
        "profile",
        "private",
        "secret.txt",
        long.as_str(),
    ];
    let mut all = Vec::new();
    for piece in pieces {
        for frame in [
            "{}",
            "x{}",
            "{}y",
            "x{}y",
            "../{}",
            "{}/..",
            "/alice/{}",
            "{}.acl",
            "{}.meta",
            ".{}",
            "{}{}",
            "http://evil.example/{}",
            "{}/",
        ] {
            all.push(frame.replace("{}", piece));
        }
    }
    all
}

/// T11: whatever a client hints at, what is made lies in the container that was posted to, under one safe segment, and governs
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn hints_for_names_stay_hints() {
    let (server, alice, _) = scene().await;
    assert_eq!(alice.put("/alice/in/", TURTLE, "").await.status, 201);
    let before = alice.get("/alice/").await.text();
    let base = format!("{}alice/in/", server.base_url);
    let slugs = slugs();
    assert!(slugs.len() >= 500, "{}", slugs.len());
    let mut made = BTreeSet::new();
    for chunk in slugs.chunks(64) {
        let sent = chunk.iter().enumerate().map(|(number, slug)| {
            let request = alice
                .request("POST", "/alice/in/")
                .content(TURTLE, "")
                .header("slug", slug.as_str());
            match number % 2 {
                0 => request.try_send(),
                _ => request.header("link", CONTAINER).try_send(),
            }
        });
        let replies = futures_util::future::join_all(sent).await;
        for (slug, reply) in chunk.iter().zip(replies) {
            // A head that is far too long may be answered by hanging up.
            let Some(reply) = reply else {
                assert!(slug.len() > 8_000, "{slug:?} has no answer");
                continue;
            };
            let status = reply.status.as_u16();
            if [400, 431].contains(&status) {
                continue;
            }
            assert_eq!(status, 201, "{slug:?}: {}", reply.text());
            let place = reply.header("location");
            let segment = place
                .strip_prefix(&base)
                .unwrap_or_else(|| panic!("{slug:?} made {place}"));
            let segment = segment.strip_suffix('/').unwrap_or(segment);
            let plain = percent_encoding::percent_decode_str(segment).decode_utf8().unwrap();
            let safe = !plain.is_empty()
                && !plain.starts_with('.')
                && !plain.contains(['/', '\\'])
                && !plain.contains(char::is_control)
                && !plain.ends_with(".acl")
                && !plain.ends_with(".meta");
            assert!(safe, "{slug:?} made {place}");
            assert!(
                ResourceName::parse(&format!("/alice/in/{segment}")).is_ok(),
                "{slug:?} made {place}"
            );
            assert!(made.insert(place.to_owned()), "{slug:?} made {place} again");
        }
    }
    assert!(made.len() > 400, "{}", made.len());
    for place in made.iter().step_by(40) {
        assert_eq!(alice.get(place).await.status, 200, "{place}");
    }
    let listing = alice
        .request("GET", "/alice/in/")
        .header("accept", "application/n-triples")
        .send()
        .await
        .text();
    let members = listing.lines().filter(|line| line.contains("ldp#contains")).count();
    assert_eq!(members, made.len());
    assert_eq!(
        alice.get("/alice/").await.text(),
        before,
        "nothing was made beside the container"
    );
    server.stop().await;
}

/// T12: a storage that has lost all its rules is open to nobody, not by any method, not by query, and not for its owner's
/// applications until the owner writes rules again.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_without_rules_is_closed() {
    let (server, alice, bob) = scene().await;
    let lists = [
        "/alice/.acl",
        "/alice/profile/card.acl",
        "/alice/private/.acl",
        "/alice/private/secret.txt.acl",
    ];
    let open = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.
        <#all> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <.>, <secret.txt>; acl:default <.>; acl:mode acl:Read, acl:Write.";
    // The container's last: it leaves nobody who may change rules.
    for list in lists[2..].iter().rev() {
        let put = alice.put(list, TURTLE, open).await;
        assert!(put.status.is_success(), "{}", put.text());
    }
    let nobody = server.client();
    assert_eq!(
        nobody.get("/alice/private/secret.txt").await.text(),
        CANARY,
        "open while the rules say so"
    );
    let work = move |transaction: &mut dyn Transaction| {
        for list in lists {
            transaction.remove(&ResourceName::parse(list).unwrap())?;
        }
        Ok(())
    };
    let warrant = Warrant::without_proof("a test takes all rules away");
    commit::<(), Error>(server.app.store.as_ref(), warrant, Box::new(work))
        .await
        .unwrap();
    for (who, client) in [("nobody", &nobody), ("bob", &bob), ("alice", &alice)] {
        for path in [
            "/alice/",
            "/alice/private/",
            "/alice/private/secret.txt",
            "/alice/profile/card",
            "/alice/new.txt",
        ] {
            for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"] {
                let body = match method {
                    "PATCH" => (
                        "text/n3",
                        "@prefix solid: <http://www.w3.org/ns/solid/terms#>. <> a solid:InsertDeletePatch; solid:inserts { <> <urn:p> 1 }.",
                    ),
                    _ => ("text/plain", "mine now"),
                };
                let reply = client.request(method, path).content(body.0, body.1).send().await;
                let refused = [401, 403].contains(&reply.status.as_u16()) || (who != "alice" && reply.status == 404);
                assert!(refused, "{who} {method} {path}: {} {}", reply.status, reply.text());
                assert!(!reply.text().contains(CANARY), "{who} {method} {path}");
            }
        }
        for endpoint in ["/alice/sparql", "/sparql"] {
            let everything = "SELECT * { GRAPH ?g { ?s ?p ?o } }";
            let reply = client
                .request("POST", endpoint)
                .content("application/sparql-query", everything)
                .send()
                .await;
            assert!(!reply.text().contains("/alice/"), "{who} {endpoint}: {}", reply.text());
        }
        if who != "alice" {
            for list in lists {
                let put = client.put(list, TURTLE, open).await;
                assert!(
                    [401, 403, 404].contains(&put.status.as_u16()),
                    "{who} {list}: {}",
                    put.text()
                );
            }
        }
    }
    assert!(!nobody.get("/alice/.log").await.status.is_success());
    server.stop().await;
}
