//! Deletion: what goes along, what stands in the way, and what is there afterwards.

use meent_tests::pod::{Client, PodServer};

const TURTLE: &str = "text/turtle";

fn list(owner: &str, target: &str, other: Option<(&str, &str)>) -> String {
    let mut text = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#owner> a acl:Authorization; acl:agent <{owner}>; \
         acl:accessTo <{target}>; acl:default <{target}>; acl:mode acl:Read, acl:Write, acl:Control."
    );
    if let Some((agent, modes)) = other {
        text.push_str(&format!(
            " <#other> a acl:Authorization; acl:agent <{agent}>; acl:accessTo <{target}>; acl:default <{target}>; \
             acl:mode {modes}."
        ));
    }
    text
}

async fn delete_all(client: &Client, path: &str) -> u16 {
    let reply = client.request("DELETE", path).header("depth", "infinity").send().await;
    reply.status.as_u16()
}

/// Requirements solid 12, 42: with a resource go its place in the listing, its access control list and its description; the
/// name is free again, for another resource with other tags.
#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_resource_goes_with_it() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    for path in ["/alice/c/x.ttl", "/alice/d/"] {
        let target = if path.ends_with('/') { "./" } else { "x.ttl" };
        let first = alice.put(path, TURTLE, "").await;
        let rights = list(&agent.web_id, target, None);
        assert_eq!(
            alice.put(&format!("{path}.acl"), TURTLE, rights).await.status,
            201,
            "{path}"
        );
        assert_eq!(
            alice.put(&format!("{path}.meta"), TURTLE, "").await.status,
            201,
            "{path}"
        );
        let gone = alice.delete(path).await;
        assert_eq!(gone.status, 205, "{path}: {}", gone.text());
        assert!(gone.header("allow").contains("PUT"));
        for name in [path.to_owned(), format!("{path}.acl"), format!("{path}.meta")] {
            assert_eq!(alice.get(&name).await.status, 404, "{name}");
            assert_eq!(alice.delete(&name).await.status, 404, "{name}");
        }
        let container = if path.ends_with('/') { "/alice/" } else { "/alice/c/" };
        assert!(!alice.get(container).await.text().contains(path), "{path}");
        let second = alice.put(path, TURTLE, "").await;
        assert_eq!(second.status, 201);
        assert_ne!(first.header("etag"), second.header("etag"));
        assert_eq!(alice.get(&format!("{path}.meta")).await.status, 404, "{path}");
    }
    server.stop().await;
}

/// Requirements solid 41, 43: a storage's root and its list stay; a container that is not empty stays, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deleted() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    for path in ["/alice/", "/alice/.acl"] {
        for depth in ["0", "infinity"] {
            let refused = alice.request("DELETE", path).header("depth", depth).send().await;
            assert_eq!(refused.status, 405, "{path}");
            assert!(!refused.header("allow").contains("DELETE"), "{path}");
        }
        assert!(!alice.get(path).await.header("allow").contains("DELETE"), "{path}");
    }
    alice.put("/alice/c/x", "text/plain", "x").await;
    let refused = alice.delete("/alice/c/").await;
    assert_eq!(refused.status, 409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("not empty"));
    assert_eq!(alice.get("/alice/c/x").await.status, 200);
    server.stop().await;
}

/// Row 22 of the gaps: asked for with `Depth: infinity`, a container goes with everything below it, at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_goes_with_all_it_holds() {
    let server = PodServer::start_with(serde_json::json!({ "ldp": { "delete_resources_max": 12 } })).await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    let paths = [
        "/alice/c/",
        "/alice/c/a/b/x",
        "/alice/c/a/b/y",
        "/alice/c/a-b/z",
        "/alice/c/a/b/",
    ];
    for path in ["/alice/c/a/b/x", "/alice/c/a/b/y", "/alice/c/a-b/z", "/alice/c-other/x"] {
        alice.put(path, "text/plain", "x").await;
    }
    alice
        .put("/alice/c/a/.acl", TURTLE, list(&agent.web_id, "./", None))
        .await;
    alice.put("/alice/c/a/b/x.meta", TURTLE, "").await;
    for depth in ["1", "", "infinity, infinity", "Infinite"] {
        let refused = alice.request("DELETE", "/alice/c/").header("depth", depth).send().await;
        assert_eq!(refused.status, 400, "{depth}");
    }
    assert_eq!(
        alice
            .request("DELETE", "/alice/c/")
            .header("depth", "0")
            .send()
            .await
            .status,
        409
    );
    let stale = alice
        .request("DELETE", "/alice/c/")
        .header("depth", "infinity")
        .header("if-match", "\"1-t\"");
    assert_eq!(stale.send().await.status, 412);
    assert_eq!(delete_all(&alice, "/alice/nothing/").await, 404);
    assert_eq!(delete_all(&alice, "/alice/c/").await, 204);
    for path in paths.iter().copied().chain(["/alice/c/a/.acl", "/alice/c/a/b/x.meta"]) {
        assert_eq!(alice.get(path).await.status, 404, "{path}");
    }
    assert_eq!(alice.get("/alice/c-other/x").await.status, 200);
    // Beyond the bound nothing goes at all.
    for number in 0..13 {
        alice.put(&format!("/alice/many/{number}"), "text/plain", "x").await;
    }
    assert_eq!(delete_all(&alice, "/alice/many/").await, 409);
    assert_eq!(alice.get("/alice/many/0").await.status, 200);
    server.stop().await;
}

/// Requirements solid 76: a recursive deletion needs the right to delete each member.
#[tokio::test(flavor = "multi_thread")]
async fn a_recursive_deletion_needs_rights_on_every_member() {
    let server = PodServer::start().await;
    let owner = server.agent("alice").await;
    let other = server.agent("bob").await;
    let (alice, bob) = (owner.client(), other.client());
    let all = "acl:Read, acl:Write";
    for (root, inner, status) in [
        ("/alice/open/", None, 204),
        ("/alice/same/", Some(all), 204),
        ("/alice/unwritable/", Some("acl:Read, acl:Append"), 403),
        ("/alice/unreadable/", Some("acl:Write"), 403),
    ] {
        alice.put(&format!("{root}a/kept/x"), "text/plain", "x").await;
        alice.put(&format!("{root}free"), "text/plain", "x").await;
        let rights = list(&owner.web_id, "./", Some((&other.web_id, all)));
        assert_eq!(alice.put(&format!("{root}.acl"), TURTLE, rights).await.status, 201);
        if let Some(modes) = inner {
            let rights = list(&owner.web_id, "./", Some((&other.web_id, modes)));
            assert_eq!(
                alice.put(&format!("{root}a/kept/.acl"), TURTLE, rights).await.status,
                201
            );
        }
        // The container above is the owner's: without a right there, nobody else takes anything out of it.
        assert_eq!(delete_all(&bob, root).await, 403, "{root}");
        assert_eq!(delete_all(&bob, &format!("{root}a/")).await, status, "{root}");
        let left = if status == 204 { 404 } else { 200 };
        assert_eq!(alice.get(&format!("{root}a/kept/x")).await.status, left, "{root}");
        assert_eq!(
            server
                .client()
                .request("DELETE", root)
                .header("depth", "infinity")
                .send()
                .await
                .status,
            401
        );
        assert_eq!(alice.get(&format!("{root}free")).await.status, 200, "{root}");
    }
    // A profile is not taken along with the container that it lies in (T33).
    let rights = list(&owner.web_id, "./", Some((&other.web_id, all)));
    assert_eq!(alice.put("/alice/.acl", TURTLE, rights).await.status, 204);
    assert_eq!(alice.delete("/alice/profile/card.acl").await.status, 205);
    assert_eq!(delete_all(&bob, "/alice/profile/").await, 409);
    assert_eq!(alice.get("/alice/profile/card").await.status, 200);
    server.stop().await;
}
