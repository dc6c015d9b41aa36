//! What clients of Linked Web Storage find: pages of listings with exact counts, link sets, merge patches.

use meent_tests::pod::PodServer;
use serde_json::{Value, json};

const LWS: &str = "application/lws+json";
const LINKSET: &str = "application/linkset+json";
const MERGE: &str = "application/merge-patch+json";

fn link(header: &http::HeaderMap, relation: &str) -> Option<String> {
    let wanted = format!("rel=\"{relation}\"");
    header
        .get_all("link")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(", "))
        .find(|link| link.contains(&wanted))
        .and_then(|link| link.split_once('>'))
        .map(|(target, _)| target.trim_start_matches('<').to_owned())
}

/// Row 23 of the gaps: pages of a listing are whole together, count exactly, and shift nothing when members come and go.
#[tokio::test(flavor = "multi_thread")]
async fn listings_come_in_pages() {
    let server = PodServer::start_with(json!({ "ldp": { "lws_page_members": 4 } })).await;
    let alice = server.agent("alice").await.client();
    let mut expected = Vec::new();
    for number in 0..9 {
        let path = format!("/alice/many/{number}.txt");
        alice.put(&path, "text/plain;charset=utf-8", "seven !").await;
        expected.push(path);
    }
    alice.put("/alice/many/sub/", "text/turtle", "").await;
    expected.push("/alice/many/sub/".to_owned());
    let base = server.base_url.trim_end_matches('/');
    let (mut found, mut pages) = (Vec::new(), 0);
    let mut next = Some(format!("{base}/alice/many/"));
    while let Some(url) = next {
        pages += 1;
        let page = alice.request("GET", &url).header("accept", LWS).send().await;
        assert_eq!(
            (page.status.as_u16(), page.header("content-type")),
            (200, LWS),
            "{}",
            page.text()
        );
        let listing = page.json();
        assert_eq!(listing["id"], format!("{base}/alice/many/"));
        assert_eq!(
            (&listing["type"], &listing["totalItems"]),
            (&json!("Container"), &json!(10))
        );
        for item in listing["items"].as_array().unwrap() {
            found.push(item["id"].as_str().unwrap().strip_prefix(base).unwrap().to_owned());
            if item["type"] == "DataResource" {
                assert_eq!(
                    (&item["mediaType"], &item["size"]),
                    (&json!("text/plain;charset=utf-8"), &json!(7))
                );
                assert!(item["modified"].as_str().unwrap().ends_with('Z'));
            }
        }
        assert_eq!(link(&page.headers, "first"), Some(format!("{base}/alice/many/")));
        let head = alice.request("HEAD", &url).header("accept", LWS).send().await;
        assert_eq!(head.header("etag"), page.header("etag"));
        let unchanged = alice
            .request("GET", &url)
            .header("accept", LWS)
            .header("if-none-match", page.header("etag"));
        assert_eq!(unchanged.send().await.status, 304);
        next = link(&page.headers, "next");
    }
    assert_eq!((found, pages), (expected, 3));
    // The page after a member that is gone begins where it stood.
    let first = alice.request("GET", "/alice/many/").header("accept", LWS).send().await;
    let second = link(&first.headers, "next").unwrap();
    alice.delete("/alice/many/3.txt").await;
    alice.put("/alice/many/0a.txt", "text/plain", "x").await;
    let page = alice.request("GET", &second).header("accept", LWS).send().await.json();
    assert!(page["items"][0]["id"].as_str().unwrap().ends_with("/4.txt"), "{page}");
    for (query, status) in [("page=%21", 400), ("page=Li4v", 400), ("other=1", 200)] {
        let reply = alice
            .request("GET", &format!("/alice/many/?{query}"))
            .header("accept", LWS)
            .send()
            .await;
        assert_eq!(reply.status, status, "{query}");
    }
    // Whoever does not name the type gets the whole listing.
    let whole = alice.request("GET", &second).header("accept", "*/*").send().await;
    assert_eq!(whole.header("content-type"), "text/turtle");
    assert_eq!(whole.text().matches("ldp:contains").count(), 10);
    assert_eq!(
        alice
            .request("GET", "/alice/many/1.txt")
            .header("accept", LWS)
            .send()
            .await
            .status,
        406
    );
    assert_eq!(
        server
            .client()
            .request("GET", &second)
            .header("accept", LWS)
            .send()
            .await
            .status,
        401
    );
    server.stop().await;
}

/// A resource's links are one document, whether or not a description was written; what the client may change of it is
/// changed under `If-Match`, and the description says the same.
#[tokio::test(flavor = "multi_thread")]
async fn links_are_read_and_changed_as_a_set() {
    let server = PodServer::start().await;
    let (alice, bob) = (server.agent("alice").await.client(), server.agent("bob").await.client());
    alice.put("/alice/x.png", "image/png", "png").await;
    let base = server.base_url.trim_end_matches('/');
    let resource = alice.request("HEAD", "/alice/x.png").send().await;
    let url = link(&resource.headers, "linkset").unwrap();
    assert_eq!(link(&resource.headers, "up"), Some(format!("{base}/alice/")));
    let read = async || alice.request("GET", &url).header("accept", LINKSET).send().await;
    let before = read().await;
    assert_eq!(
        (before.status.as_u16(), before.header("content-type")),
        (200, LINKSET),
        "{}",
        before.text()
    );
    assert!(!before.header("last-modified").is_empty());
    assert!(before.header("accept-patch").contains(MERGE));
    let set = before.json();
    let about = &set["linkset"][0];
    assert_eq!(about["anchor"], format!("{base}/alice/x.png"));
    assert_eq!(about["acl"][0]["href"], format!("{base}/alice/x.png.acl"));
    assert_eq!(about["up"][0]["href"], format!("{base}/alice/"));
    // The description itself is not there yet.
    assert_eq!(alice.get(&url).await.status, 404);
    let merge = async |set: &Value, tag: &str| {
        let request = alice.request("PATCH", &url).content(MERGE, set.to_string());
        request.header("if-match", tag).send().await
    };
    let mut changed = set.clone();
    changed["linkset"][0]["license"] = json!([{"href": "https://l.example/"}]);
    changed["linkset"][0]["http://purl.org/dc/terms/creator"] = json!([{"href": "/alice/profile/card#me"}]);
    assert_eq!(merge(&changed, "\"1-l\"").await.status, 412);
    let made = merge(&changed, before.header("etag")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let after = read().await;
    assert_eq!(after.json()["linkset"][0]["license"], changed["linkset"][0]["license"]);
    assert_ne!(after.header("etag"), before.header("etag"));
    let turtle = alice.get(&url).await.text();
    assert!(
        turtle.contains("https://l.example/") && turtle.contains("dc/terms/creator"),
        "{turtle}"
    );
    // Statements that are no links outlive changes of the links.
    let title = "@prefix solid: <http://www.w3.org/ns/solid/terms#>. _:p a solid:InsertDeletePatch; \
                 solid:inserts { <x.png> <urn:title> \"X\" . } .";
    assert_eq!(alice.patch(&url, title).await.status, 204);
    let tag = read().await.header("etag").to_owned();
    assert_eq!(merge(&set, &tag).await.status, 204);
    let turtle = alice.get(&url).await.text();
    assert!(
        turtle.contains("urn:title") && !turtle.contains("l.example"),
        "{turtle}"
    );
    let mut taken = set.clone();
    taken["linkset"][0]["acl"] = json!([{"href": "https://evil.example/"}]);
    for (set, status) in [(taken, 409), (json!({"linkset": 1}), 422), (json!([]), 422)] {
        let tag = read().await.header("etag").to_owned();
        assert_eq!(merge(&set, &tag).await.status, status, "{set}");
    }
    for client in [&bob, &server.client()] {
        for (method, content) in [("GET", ""), ("PATCH", "{}")] {
            let request = client
                .request(method, &url)
                .content(MERGE, content)
                .header("accept", LINKSET);
            assert!(matches!(request.send().await.status.as_u16(), 401 | 403), "{method}");
        }
    }
    let ghost = alice
        .request("GET", "/alice/ghost.meta")
        .header("accept", LINKSET)
        .send()
        .await;
    assert_eq!(ghost.status, 404);
    server.stop().await;
}

/// RFC 7396 on JSON documents, JSON-LD among them: merged whole, refused where something would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn json_is_merged() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let merge = async |path: &str, body: &str| {
        let reply = alice
            .request("PATCH", path)
            .content(MERGE, body.to_owned())
            .send()
            .await;
        reply.status.as_u16()
    };
    assert_eq!(merge("/alice/a.json", "{\"a\": {\"b\": 1, \"c\": null}}").await, 201);
    let made = alice.get("/alice/a.json").await;
    assert_eq!(
        (made.header("content-type"), made.json()),
        ("application/json", json!({"a": {"b": 1}}))
    );
    assert_eq!(
        merge("/alice/a.json", "{\"a\": {\"b\": null, \"d\": [1]}, \"e\": \"é\"}").await,
        204
    );
    assert_eq!(
        alice.get("/alice/a.json").await.json(),
        json!({"a": {"d": [1]}, "e": "é"})
    );
    alice
        .put(
            "/alice/b",
            "application/ld+json",
            "{\"@id\": \"\", \"urn:p\": 1, \"urn:q\": 2}",
        )
        .await;
    assert_eq!(merge("/alice/b", "{\"urn:p\": null, \"urn:r\": \"new\"}").await, 204);
    let turtle = alice
        .request("GET", "/alice/b")
        .header("accept", "text/turtle")
        .send()
        .await
        .text();
    assert!(
        turtle.contains("urn:r") && turtle.contains("urn:q") && !turtle.contains("urn:p"),
        "{turtle}"
    );
    assert_eq!(merge("/alice/b", "{\"@id\": 5}").await, 400);
    alice
        .put(
            "/alice/n.json",
            "application/vnd.x+json",
            "{\"n\": 123456789012345678901234567890}",
        )
        .await;
    alice.put("/alice/broken.json", "application/json", "{").await;
    for (path, body, status) in [
        ("/alice/a.json", "{", 400),
        ("/alice/a.json", "{\"n\": 0.123456789012345678901}", 422),
        ("/alice/n.json", "{\"m\": 1}", 409),
        ("/alice/broken.json", "{\"m\": 1}", 409),
        ("/alice/a.json.acl", "{}", 415),
    ] {
        assert_eq!(merge(path, body).await, status, "{path} {body}");
    }
    assert_eq!(
        alice.get("/alice/n.json").await.text(),
        "{\"n\": 123456789012345678901234567890}"
    );
    server.stop().await;
}

/// A merge shows what it finds by what it leaves and may remove anything: it needs the rights to read and to write.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_needs_the_rights_to_read_and_to_write() {
    let server = PodServer::start().await;
    let (owner, other) = (server.agent("alice").await, server.agent("bob").await);
    let (alice, bob) = (owner.client(), other.client());
    for (modes, status) in [
        ("acl:Read", 403),
        ("acl:Append", 403),
        ("acl:Write", 403),
        ("acl:Read, acl:Append", 403),
        ("acl:Control", 403),
        ("acl:Read, acl:Write", 204),
    ] {
        assert!(
            alice
                .put("/alice/a.json", "application/json", "{\"a\": 1}")
                .await
                .status
                .is_success()
        );
        assert!(
            alice
                .put("/alice/a.json.meta", "text/turtle", "")
                .await
                .status
                .is_success()
        );
        let rights = format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#o> a acl:Authorization; acl:agent <{}>; \
             acl:accessTo <a.json>; acl:mode acl:Read, acl:Write, acl:Control. <#b> a acl:Authorization; \
             acl:agent <{}>; acl:accessTo <a.json>; acl:mode {modes}.",
            owner.web_id, other.web_id
        );
        assert!(
            alice
                .put("/alice/a.json.acl", "text/turtle", rights)
                .await
                .status
                .is_success()
        );
        for (path, body) in [("/alice/a.json", "{\"b\": 2}"), ("/alice/a.json.meta", "{}")] {
            let merged = bob.request("PATCH", path).content(MERGE, body).send().await;
            assert_eq!(merged.status, status, "{path} {modes}: {}", merged.text());
        }
        let expected = if status == 204 {
            json!({"a": 1, "b": 2})
        } else {
            json!({"a": 1})
        };
        assert_eq!(alice.get("/alice/a.json").await.json(), expected, "{modes}");
    }
    server.stop().await;
}
