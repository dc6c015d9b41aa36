//! Web Access Control over real sockets: discovery, groups here and elsewhere, origins, conditions, what is told of rights.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::pod::{Agent, Client, PodServer, Reply};
use serde_json::json;

const TURTLE: &str = "text/turtle";
const PREFIXES: &str = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. \
                        @prefix vcard: <http://www.w3.org/2006/vcard/ns#>.\n";

/// A list for `x` that leaves everything to its owner and adds authorizations.
fn list(owner: &Agent, added: &str) -> String {
    format!(
        "{PREFIXES}<#owner> a acl:Authorization; acl:agent <{}>; acl:accessTo <x>; acl:mode acl:Read, acl:Write, \
         acl:Control.\n{added}",
        owner.web_id
    )
}

async fn put(client: &Client, path: &str, body: impl Into<String>) {
    let reply = client.put(path, TURTLE, body.into()).await;
    assert!(reply.status.is_success(), "{path}: {}", reply.text());
}

fn links(reply: &Reply) -> String {
    let values = reply.headers.get_all("link").iter();
    values
        .map(|value| value.to_str().unwrap())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Requirements solid 67, 68, 69, 70, 81: one list each, found by a link, in Turtle whatever it was sent as; none where
/// none was put; the types of condition that are enforced are announced on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_found_by_its_link() {
    let server = PodServer::start().await;
    let owner = server.agent("alice").await;
    let alice = owner.client();
    put(&alice, "/alice/x", "").await;
    for path in ["/alice/", "/alice/x", "/alice/x.meta", "/alice/.acl", "/alice/x.acl"] {
        let reply = alice.request("HEAD", path).send().await;
        let subject = path.trim_end_matches(".meta").trim_end_matches(".acl");
        let link = format!("<{}{}.acl>; rel=\"acl\"", server.base_url, &subject[1..]);
        assert_eq!(
            links(&reply).matches("rel=\"acl\"").count(),
            usize::from(reply.status == 200),
            "{path}"
        );
        assert!(
            reply.status == 404 || links(&reply).contains(&link),
            "{path}: {}",
            links(&reply)
        );
    }
    assert_eq!(alice.get("/alice/x.acl").await.status, 404);
    let json = json!([{
        "@id": "#owner",
        "@type": "http://www.w3.org/ns/auth/acl#Authorization",
        "http://www.w3.org/ns/auth/acl#agent": { "@id": owner.web_id },
        "http://www.w3.org/ns/auth/acl#accessTo": { "@id": "x" },
        "http://www.w3.org/ns/auth/acl#mode": [
            { "@id": "http://www.w3.org/ns/auth/acl#Read" }, { "@id": "http://www.w3.org/ns/auth/acl#Control" },
        ],
    }]);
    let made = alice.put("/alice/x.acl", "application/ld+json", json.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    for method in ["GET", "HEAD", "OPTIONS"] {
        let reply = alice
            .request(method, "/alice/x.acl")
            .header("accept", "text/turtle")
            .send()
            .await;
        assert!(reply.status.is_success(), "{method}: {}", reply.text());
        if method != "OPTIONS" {
            assert_eq!(reply.header("content-type"), "text/turtle");
        }
        for kind in ["ClientCondition", "IssuerCondition"] {
            let link =
                format!("<http://www.w3.org/ns/auth/acl#{kind}>; rel=\"http://www.w3.org/ns/auth/acl#condition\"");
            assert!(links(&reply).contains(&link), "{method}: {}", links(&reply));
        }
    }
    assert_eq!(alice.put("/alice/x", TURTLE, "").await.status, 403, "the list counts");
    let root = alice.get("/alice/.acl").await;
    assert!(root.text().contains("acl:Control"));
    server.stop().await;
}

/// Requirement solid 72: a group of this server counts although nobody else may read its document, and a change of it
/// counts at the next request.
#[tokio::test(flavor = "multi_thread")]
async fn groups_of_this_server_are_read_inside_it() {
    let server = PodServer::start().await;
    let (owner, bob) = (server.agent("alice").await, server.agent("bob").await);
    let (alice, b) = (owner.client(), bob.client());
    let group = |members: &str| format!("{PREFIXES}<#friends> a vcard:Group; vcard:hasMember {members}.");
    put(&alice, "/alice/x", "<#it> <urn:p> 1 .").await;
    put(&alice, "/alice/groups", group("<https://co.example/#me>")).await;
    let added = "<#g> a acl:Authorization; acl:agentGroup <groups#friends>; acl:accessTo <x>; acl:mode acl:Read.";
    put(&alice, "/alice/x.acl", list(&owner, added)).await;
    assert_eq!(b.get("/alice/groups").await.status, 403);
    for round in 0..10 {
        assert_eq!(b.get("/alice/x").await.status, 403, "{round}");
        put(&alice, "/alice/groups", group(&format!("<{}>", bob.web_id))).await;
        assert_eq!(b.get("/alice/x").await.status, 200, "{round}");
        assert_eq!(b.get("/alice/x").await.header("wac-allow"), "user=\"read\",public=\"\"");
        if round % 2 == 0 {
            put(&alice, "/alice/groups", group("<https://co.example/#me>")).await;
        } else {
            assert_eq!(alice.delete("/alice/groups").await.status, 205);
        }
    }
    // Another group of the document, a member by another property, and a name that is only text.
    for broken in [
        format!("{PREFIXES}<#others> vcard:hasMember <{}>.", bob.web_id),
        format!("{PREFIXES}<#friends> foaf:member <{}>.", bob.web_id),
        format!("{PREFIXES}<#friends> vcard:hasMember \"{}\".", bob.web_id),
    ] {
        put(&alice, "/alice/groups", broken).await;
        assert_eq!(b.get("/alice/x").await.status, 403);
    }
    assert_eq!(alice.get("/alice/x").await.status, 200);
    server.stop().await;
}

/// Requirement solid 72, T18: a group of another server is fetched within bounds, once for many requests; what cannot be
/// read has no members and keeps nobody else out.
#[tokio::test(flavor = "multi_thread")]
async fn groups_of_other_servers_are_fetched_within_bounds() {
    let elsewhere = PodServer::start().await;
    let keeper = elsewhere.agent("keeper").await;
    let server = PodServer::start_with(json!({ "authz": { "group_bytes_max": 2_000 } })).await;
    let (owner, bob) = (server.agent("alice").await, server.agent("bob").await);
    let (alice, b, k) = (owner.client(), bob.client(), keeper.client());
    let everyone = |document: &str| {
        format!(
            "{PREFIXES}<#o> a acl:Authorization; acl:agent <{}>; acl:accessTo <{document}>; acl:mode acl:Read, \
             acl:Write, acl:Control. <#all> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <{document}>; \
             acl:mode acl:Read.",
            keeper.web_id
        )
    };
    let member = format!("{PREFIXES}<#g> vcard:hasMember <{}>.", bob.web_id);
    let documents = [
        ("open", TURTLE, member.clone()),
        ("large", TURTLE, format!("{member}#{}", "x".repeat(3_000))),
        ("text", "text/plain", member.clone()),
        ("closed", TURTLE, member.clone()),
    ];
    for (name, media_type, body) in documents {
        let path = format!("/keeper/{name}");
        assert_eq!(k.put(&path, media_type, body).await.status, 201);
        if name != "closed" {
            put(&k, &format!("{path}.acl"), everyone(name)).await;
        }
    }
    for (name, status) in [
        ("open", 200),
        ("large", 403),
        ("text", 403),
        ("closed", 403),
        ("none", 403),
    ] {
        let container = format!("/alice/{name}/");
        put(&alice, &format!("{container}x"), "").await;
        let added = format!(
            "<#g> a acl:Authorization; acl:agentGroup <{}keeper/{name}#g>; acl:accessTo <x>; acl:mode acl:Read.",
            elsewhere.base_url
        );
        put(&alice, &format!("{container}x.acl"), list(&owner, &added)).await;
        let path = format!("{container}x");
        let asked: Vec<_> = (0..8)
            .map(|_| {
                let (b, path) = (b.clone(), path.clone());
                tokio::spawn(async move { b.get(&path).await.status.as_u16() })
            })
            .collect();
        for answer in asked {
            assert_eq!(answer.await.unwrap(), status, "{name}");
        }
        assert_eq!(alice.get(&path).await.status, 200, "{name}");
    }
    elsewhere.stop().await;
    server.stop().await;
}

/// Requirements solid 78, 79: where a list names origins, a request from another one has only what everyone has; where the
/// operator wants it, every request from elsewhere needs one; a trusted origin needs none.
#[tokio::test(flavor = "multi_thread")]
async fn origins_are_asked_for() {
    const APP: &str = "https://app.example";
    const TRUSTED: &str = "https://trusted.example";
    for always in [false, true] {
        let settings = json!({ "authz": { "origins_always": always, "origins_trusted": [TRUSTED] } });
        let server = PodServer::start_with(settings).await;
        let owner = server.agent("alice").await;
        let alice = owner.client();
        for name in ["named", "plain", "public"] {
            put(&alice, &format!("/alice/{name}/x"), "").await;
        }
        let owner_with =
            |more: &str| list(&owner, "").replace("acl:accessTo <x>;", &format!("acl:accessTo <x>; {more}"));
        put(
            &alice,
            "/alice/named/x.acl",
            owner_with(&format!("acl:origin <{APP}>;")),
        )
        .await;
        put(&alice, "/alice/plain/x.acl", owner_with("")).await;
        let all = "<#all> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <x>; acl:mode acl:Read.";
        put(&alice, "/alice/public/x.acl", list(&owner, all)).await;
        for (name, origin, status) in [
            ("named", None, 200),
            ("named", Some(APP), 200),
            ("named", Some("https://evil.example"), 403),
            ("named", Some("null"), 403),
            ("named", Some(TRUSTED), 200),
            ("plain", None, 200),
            ("plain", Some(APP), if always { 403 } else { 200 }),
            ("plain", Some(TRUSTED), 200),
            ("public", Some("https://evil.example"), 200),
        ] {
            let mut request = alice.request("GET", &format!("/alice/{name}/x"));
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let reply = request.send().await;
            assert_eq!(reply.status, status, "{name} from {origin:?}, always {always}");
        }
        // The rights that are told are those that the request had.
        let reply = alice
            .request("GET", "/alice/public/x")
            .header("origin", "https://evil.example");
        let told = reply.send().await.header("wac-allow").to_owned();
        let user = if always { "read" } else { "read write append control" };
        assert_eq!(told, format!("user=\"{user}\",public=\"read\""), "always {always}");
        server.stop().await;
    }
}

/// Requirements solid 80, 82: conditions on the application and on the issuer hold all at once, and modes that are not
/// known give nothing.
#[tokio::test(flavor = "multi_thread")]
async fn conditions_hold_all_at_once() {
    let server = PodServer::start().await;
    let (owner, bob) = (server.agent("alice").await, server.agent("bob").await);
    let (alice, b) = (owner.client(), bob.client());
    put(&alice, "/alice/x", "").await;
    put(
        &alice,
        "/alice/apps",
        format!("{PREFIXES}<#g> vcard:hasMember <https://client.example/id>."),
    )
    .await;
    let issuer = format!("[ a acl:IssuerCondition; acl:issuer <{}> ]", server.console_url);
    let client = "[ a acl:ClientCondition; acl:client <https://client.example/id> ]".to_owned();
    let other = "[ a acl:ClientCondition; acl:client <https://other.example/id> ]".to_owned();
    let group = "[ a acl:ClientCondition, acl:Condition; acl:clientGroup <apps#g> ]".to_owned();
    for (conditions, status) in [
        (vec![], 200),
        (vec![&issuer], 200),
        (vec![&client], 200),
        (vec![&client, &issuer], 200),
        (vec![&group, &issuer], 200),
        (vec![&other], 403),
        (vec![&other, &issuer], 403),
        (vec![&client, &other], 403),
    ] {
        let conditions: String = conditions.iter().map(|one| format!("acl:condition {one}; ")).collect();
        let added = format!(
            "<#b> a acl:Authorization; acl:agent <{}>; acl:accessTo <x>; {conditions}acl:mode acl:Read, acl:Delete.",
            bob.web_id
        );
        put(&alice, "/alice/x.acl", list(&owner, &added)).await;
        let reply = b.get("/alice/x").await;
        assert_eq!(reply.status, status, "{conditions}");
        if status == 200 {
            assert_eq!(reply.header("wac-allow"), "user=\"read\",public=\"\"");
        }
        assert_eq!(b.delete("/alice/x").await.status, 403);
    }
    server.stop().await;
}

/// Requirement solid 81, T17: a condition of another type is refused with what and where, by PUT and by PATCH, and the
/// list stays as it was; so is a document of the other system.
#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_are_not_enforced_are_refused() {
    let server = PodServer::start().await;
    let owner = server.agent("alice").await;
    let alice = owner.client();
    put(&alice, "/alice/x", "").await;
    let time = "<#t> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <x>; acl:mode acl:Read;\n\
                acl:condition [ a <https://time.example/TimeCondition> ].";
    let refused = alice.put("/alice/x.acl", TURTLE, list(&owner, time)).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    for word in ["line 4", "#t", "TimeCondition"] {
        assert!(detail.contains(word), "{detail}");
    }
    assert_eq!(alice.get("/alice/x.acl").await.status, 404);
    put(&alice, "/alice/x.acl", list(&owner, "")).await;
    let patch = "@prefix solid: <http://www.w3.org/ns/solid/terms#>. @prefix acl: <http://www.w3.org/ns/auth/acl#>.
        _:p a solid:InsertDeletePatch; solid:inserts { <#owner> acl:condition <#c>. <#c> a <https://time.example/T>. }.";
    assert_eq!(alice.patch("/alice/x.acl", patch).await.status, 422);
    assert_eq!(alice.get("/alice/x.acl").await.text(), list(&owner, ""));
    let policies = "@prefix acp: <http://www.w3.org/ns/solid/acp#>. <> a acp:AccessControlResource; acp:resource <x>.";
    assert_eq!(alice.put("/alice/x.acl", TURTLE, policies).await.status, 422);
    server.stop().await;
}

/// Requirements solid 79, 83: the rights of the requester and of everyone, on GET and HEAD and nowhere else, where scripts
/// can read them; and the headers of a granted request from another origin.
#[tokio::test(flavor = "multi_thread")]
async fn rights_are_told() {
    let server = PodServer::start().await;
    let (owner, bob) = (server.agent("alice").await, server.agent("bob").await);
    let (alice, b, public) = (owner.client(), bob.client(), server.client());
    put(&alice, "/alice/x", "").await;
    let added = format!(
        "<#b> a acl:Authorization; acl:agent <{}>; acl:accessTo <x>; acl:mode acl:Append. \
         <#all> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <x>; acl:mode acl:Read.",
        bob.web_id
    );
    put(&alice, "/alice/x.acl", list(&owner, &added)).await;
    let everything = "read write append control";
    for method in ["GET", "HEAD"] {
        for (client, path, user, all) in [
            (&alice, "/alice/x", everything, "read"),
            (&b, "/alice/x", "read append", "read"),
            (&public, "/alice/x", "read", "read"),
            (&alice, "/alice/", everything, ""),
        ] {
            let request = client.request(method, path).header("origin", "https://app.example");
            let reply = request.send().await;
            let expected = format!("user=\"{user}\",public=\"{all}\"");
            assert_eq!(reply.header("wac-allow"), expected, "{method} {path}");
            assert!(reply.header("access-control-expose-headers").contains("WAC-Allow"));
            assert_eq!(reply.header("access-control-allow-origin"), "https://app.example");
            assert!(reply.header("access-control-allow-headers").contains("Authorization"));
        }
    }
    let refused = b.get("/alice/").await;
    assert_eq!((refused.status.as_u16(), refused.header("wac-allow")), (403, ""));
    server.stop().await;
}
