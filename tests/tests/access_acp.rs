//! Access Control Policies over real sockets: discovery, inheritance, denials, named agents, and what is refused on write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use clap::Parser;
use meent_tests::console::{Resident, quick_settings};
use meent_tests::pod::{Agent, Client, PodServer, Reply};
use pod_server::app::App;
use pod_server::authz::AuthorizationSystem::{self, Acp};
use pod_server::authz::to_policies;
use pod_server::cli::Cli;
use pod_server::config::Config;
use pod_server::error::Error;
use pod_server::ldp::document::Bounds;
use pod_server::name::ResourceName;
use pod_server::store::{CommitError, ReadPermit, Transaction, Warrant, commit};
use serde_json::json;

const TURTLE: &str = "text/turtle";
const PREFIXES: &str =
    "@prefix acl: <http://www.w3.org/ns/auth/acl#>.\n@prefix acp: <http://www.w3.org/ns/solid/acp#>.\n";
const PUBLIC: &str = "[ acp:agent acp:PublicAgent ]";

/// A document that controls `resource`: policies for itself and for its members.
fn acr(resource: &str, own: &str, members: &str) -> String {
    let mut text = format!("{PREFIXES}<> a acp:AccessControlResource; acp:resource <{resource}>.\n");
    for (property, policies) in [("accessControl", own), ("memberAccessControl", members)] {
        if !policies.is_empty() {
            text.push_str(&format!("<> acp:{property} [ acp:apply {policies} ].\n"));
        }
    }
    text
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

struct Scene {
    server: PodServer,
    owner: Agent,
    bob: Agent,
}

impl Scene {
    async fn start() -> Self {
        let server = PodServer::start().await;
        let (owner, bob) = (server.agent_under("alice", Acp).await, server.agent("bob").await);
        Self { server, owner, bob }
    }

    fn clients(&self) -> (Client, Client, Client) {
        (self.owner.client(), self.bob.client(), self.server.client())
    }
}

/// Requirements solid 84, 85, 79: the document is found by its link, says what it is, and tells on OPTIONS which modes and
/// attributes count; rights are told as under access control lists.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_found_and_says_what_counts() {
    let scene = Scene::start().await;
    let (alice, b, public) = scene.clients();
    put(&alice, "/alice/x", "").await;
    let link = format!("<{}alice/x.acl>; rel=\"acl\"", scene.server.base_url);
    assert!(links(&alice.get("/alice/x").await).contains(&link));
    assert_eq!(alice.get("/alice/x.acl").await.status, 404);
    put(
        &alice,
        "/alice/x.acl",
        acr("x", &format!("[ acp:allow acl:Read; acp:anyOf {PUBLIC} ]"), ""),
    )
    .await;
    let kind = "<http://www.w3.org/ns/solid/acp#AccessControlResource>; rel=\"type\"";
    for method in ["GET", "HEAD", "OPTIONS"] {
        for path in ["/alice/x.acl", "/alice/.acl"] {
            let reply = alice.request(method, path).send().await;
            assert!(reply.status.is_success());
            let links = links(&reply);
            assert!(links.contains(kind), "{method}: {links}");
            assert!(!links.contains("acl#condition"), "{links}");
            let mut told = Vec::new();
            for mode in ["Read", "Append", "Write", "Control"] {
                told.push(format!(
                    "<http://www.w3.org/ns/auth/acl#{mode}>; rel=\"http://www.w3.org/ns/solid/acp#grant\""
                ));
            }
            for attribute in ["target", "agent", "creator", "owner", "client", "issuer"] {
                told.push(format!(
                    "<http://www.w3.org/ns/solid/acp#{attribute}>; rel=\"http://www.w3.org/ns/solid/acp#attribute\""
                ));
            }
            for one in told {
                assert_eq!(links.contains(&one), method == "OPTIONS", "{method} {one}: {links}");
            }
            assert!(!links.contains("acp#vc"), "none can be presented");
        }
    }
    let everything = "read write append control";
    for (client, user) in [(&alice, everything), (&b, "read"), (&public, "read")] {
        let told = client.get("/alice/x").await.header("wac-allow").to_owned();
        assert_eq!(told, format!("user=\"{user}\",public=\"read\""));
    }
    // The rules are for those in control only, and go with their resource.
    assert_eq!(b.get("/alice/x.acl").await.status, 403);
    assert_eq!(public.get("/alice/x.acl").await.status, 401);
    assert_eq!(alice.delete("/alice/x").await.status, 205);
    put(&alice, "/alice/x", "").await;
    assert_eq!(alice.get("/alice/x.acl").await.status, 404);
    assert_eq!(public.get("/alice/x").await.status, 401);
    scene.server.stop().await;
}

/// Requirements solid 86, 87, 88: member access controls add up over all levels, a denial anywhere counts, an exception from
/// a denial too; every change counts at the next request.
#[tokio::test(flavor = "multi_thread")]
async fn policies_add_up_and_denials_count() {
    let scene = Scene::start().await;
    let (alice, b, public) = scene.clients();
    put(&alice, "/alice/a/b/x", "").await;
    let allow = |modes: &str, who: &str| format!("[ acp:allow {modes}; acp:anyOf {who} ]");
    let deny = |modes: &str, who: &str, but: &str| format!("[ acp:deny {modes}; acp:anyOf {who}{but} ]");
    let bob = format!("[ acp:agent <{}> ]", scene.bob.web_id);
    let status = async |client: &Client| client.get("/alice/a/b/x").await.status.as_u16();
    assert_eq!((status(&b).await, status(&public).await), (403, 401));
    put(&alice, "/alice/a/.acl", acr("./", "", &allow("acl:Read", PUBLIC))).await;
    assert_eq!((status(&b).await, status(&public).await), (200, 200));
    assert_eq!(public.get("/alice/a/").await.status, 401, "only members");
    put(&alice, "/alice/a/b/.acl", acr("./", "", &allow("acl:Write", &bob))).await;
    let rights = b.get("/alice/a/b/x").await.header("wac-allow").to_owned();
    assert_eq!(rights, "user=\"read write append\",public=\"read\"", "of both levels");
    put(&alice, "/alice/a/b/x.acl", acr("x", &deny("acl:Read", &bob, ""), "")).await;
    assert_eq!(
        (status(&b).await, status(&public).await),
        (403, 200),
        "the public right is not Bob's"
    );
    let but = format!("; acp:noneOf {bob}");
    put(
        &alice,
        "/alice/a/b/x.acl",
        acr("x", &deny("acl:Read", PUBLIC, &but), ""),
    )
    .await;
    assert_eq!((status(&b).await, status(&public).await), (200, 401));
    assert_eq!(status(&alice).await, 403, "the owner too");
    assert_eq!(
        alice.get("/alice/a/b/x.acl").await.status,
        200,
        "who is still in control"
    );
    assert_eq!(alice.delete("/alice/a/b/x.acl").await.status, 205);
    put(&alice, "/alice/a/.acl", acr("./", "", "")).await;
    assert_eq!(
        (status(&b).await, status(&public).await),
        (403, 401),
        "Write is not Read"
    );
    let rule = |on: bool| acr("./", "", &if on { allow("acl:Read", PUBLIC) } else { String::new() });
    for round in 0..10 {
        put(&alice, "/alice/a/.acl", rule(round % 2 == 0)).await;
        let expected = if round % 2 == 0 { 200 } else { 401 };
        for _ in 0..2 {
            assert_eq!(status(&public).await, expected, "{round}");
        }
    }
    scene.server.stop().await;
}

/// Requirements solid 89, 90: owner and creator, client and issuer as verified, and a credential that nobody can present.
#[tokio::test(flavor = "multi_thread")]
async fn named_agents_and_attributes() {
    let scene = Scene::start().await;
    let (alice, b, public) = scene.clients();
    let issuer = &scene.server.console_url;
    let cases = [
        ("acp:agent acp:PublicAgent".to_owned(), [200, 200, 200]),
        ("acp:agent acp:AuthenticatedAgent".to_owned(), [200, 200, 401]),
        ("acp:agent acp:OwnerAgent".to_owned(), [200, 403, 401]),
        ("acp:client acp:PublicClient".to_owned(), [200, 200, 200]),
        ("acp:client acp:AuthenticatedClient".to_owned(), [200, 200, 401]),
        ("acp:client <https://client.example/id>".to_owned(), [200, 200, 401]),
        ("acp:client <https://other.example/id>".to_owned(), [403, 403, 401]),
        ("acp:issuer acp:PublicIssuer".to_owned(), [200, 200, 200]),
        ("acp:issuer acp:AuthenticatedIssuer".to_owned(), [200, 200, 401]),
        (format!("acp:issuer <{issuer}>"), [200, 200, 401]),
        ("acp:issuer <https://other.example/>".to_owned(), [403, 403, 401]),
        (
            format!(
                "acp:agent <{}>; acp:issuer <{issuer}>; acp:client <https://client.example/id>",
                scene.bob.web_id
            ),
            [403, 200, 401],
        ),
        (
            "acp:agent acp:PublicAgent; acp:vc <https://vc.example/Member>".to_owned(),
            [403, 403, 401],
        ),
    ];
    for (number, (matcher, expected)) in cases.into_iter().enumerate() {
        // A root whose members nobody may read but by the policy under test.
        let name = format!("s{number}");
        let keeper = scene.server.agent_under(&name, Acp).await;
        let rules = format!("[ acp:allow acl:Read; acp:anyOf [ {matcher} ] ]");
        let keep = format!(
            "[ acp:allow acl:Write, acl:Control; acp:anyOf [ acp:agent <{}> ] ]",
            keeper.web_id
        );
        put(&keeper.client(), &format!("/{name}/x"), "").await;
        put(
            &keeper.client(),
            &format!("/{name}/.acl"),
            acr("./", &keep, &format!("{rules}, {keep}")),
        )
        .await;
        // The keeper stands where the owner stands.
        for (client, status) in [
            (&keeper.client(), expected[0]),
            (&b, expected[1]),
            (&public, expected[2]),
        ] {
            let reply = client.get(&format!("/{name}/x")).await;
            assert_eq!(reply.status, status, "{matcher}");
        }
    }
    assert_eq!(alice.get("/alice/").await.status, 200);
    scene.server.stop().await;
}

/// Requirement solid 90: whoever makes a resource is its creator, by PUT, POST and PATCH and for containers on the way; a
/// new resource of the same name has a new one.
#[tokio::test(flavor = "multi_thread")]
async fn creators_are_remembered() {
    let scene = Scene::start().await;
    let (alice, b, public) = scene.clients();
    let own = "[ acp:allow acl:Append, acl:Write; acp:anyOf [ acp:agent acp:PublicAgent ] ], \
               [ acp:allow acl:Read, acl:Control; acp:anyOf [ acp:agent acp:CreatorAgent ] ]";
    put(&alice, "/alice/shared/", "").await;
    put(&alice, "/alice/shared/.acl", acr("./", own, own)).await;
    let insert = "@prefix solid: <http://www.w3.org/ns/solid/terms#>. _:p a solid:InsertDeletePatch; \
                  solid:inserts { <urn:s> <urn:p> <urn:o> }.";
    put(&b, "/alice/shared/in/put", "").await;
    assert_eq!(b.patch("/alice/shared/patched", insert).await.status, 201);
    let posted = b.request("POST", "/alice/shared/").header("slug", "posted");
    assert_eq!(posted.content("text/plain", "x").send().await.status, 201);
    put(&public, "/alice/shared/nobodys", "").await;
    let carol = scene.server.agent("carol").await.client();
    for path in ["in/put", "in/", "patched", "posted"] {
        let path = format!("/alice/shared/{path}");
        assert_eq!(b.get(&path).await.status, 200, "{path}");
        assert_eq!(carol.get(&path).await.status, 403, "{path}");
        assert_eq!(public.get(&path).await.status, 401, "{path}");
        assert_eq!(b.get(&format!("{path}.acl")).await.status, 404, "{path}");
    }
    assert_eq!(b.get("/alice/shared/nobodys").await.status, 403);
    // A new state is no new resource, and a new resource has a new creator.
    put(&carol, "/alice/shared/in/put", "<urn:s> <urn:p> <urn:o> .").await;
    assert_eq!(
        (
            b.get("/alice/shared/in/put").await.status,
            carol.get("/alice/shared/in/put").await.status
        ),
        (http::StatusCode::OK, http::StatusCode::FORBIDDEN)
    );
    assert_eq!(b.delete("/alice/shared/in/put").await.status, 205);
    put(&carol, "/alice/shared/in/put", "").await;
    assert_eq!(
        (
            b.get("/alice/shared/in/put").await.status,
            carol.get("/alice/shared/in/put").await.status
        ),
        (http::StatusCode::FORBIDDEN, http::StatusCode::OK)
    );
    scene.server.stop().await;
}

/// Requirements solid 84, 91, 92, T17: what cannot be enforced is refused with what and where, and nothing changes; the root
/// keeps its owner in control.
#[tokio::test(flavor = "multi_thread")]
async fn unsound_documents_are_refused() {
    let scene = Scene::start().await;
    let (alice, _, public) = scene.clients();
    put(&alice, "/alice/x", "").await;
    let read = format!("[ acp:allow acl:Read; acp:anyOf {PUBLIC} ]");
    for (body, status, words) in [
        (
            acr(
                "x",
                "\n[ acp:deny acl:Reed; acp:anyOf [ acp:agent acp:PublicAgent ] ]",
                "",
            ),
            422,
            "line 5",
        ),
        (
            acr(
                "x",
                "\n[ acp:allow acl:Read; acp:noneOf [ <https://tags.example/tag> 1 ] ]",
                "",
            ),
            422,
            "line 5",
        ),
        (acr("x", "<https://other.example/policy>", ""), 422, "not described"),
        (acr("y", &read, ""), 422, "another resource"),
        (
            format!("{PREFIXES}<#a> a acl:Authorization; acl:accessTo <x>."),
            422,
            "acl:Authorization",
        ),
        ("<> a ".to_owned(), 400, "line"),
    ] {
        let refused = alice.put("/alice/x.acl", TURTLE, body.clone()).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.text());
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    assert_eq!(alice.get("/alice/x.acl").await.status, 404);
    let patch = "@prefix solid: <http://www.w3.org/ns/solid/terms#>. @prefix acp: <http://www.w3.org/ns/solid/acp#>.
        _:p a solid:InsertDeletePatch; solid:inserts { <> acp:resource <x>; acp:accessControl <#c>. }.";
    assert_eq!(alice.patch("/alice/x.acl", patch).await.status, 422);
    // Another syntax is held to the same.
    let context = json!({ "acp": "http://www.w3.org/ns/solid/acp#" });
    let mut document = json!({ "@context": context, "@id": "", "acp:resource": { "@id": "x" }, "acp:accessControl": {
        "acp:apply": { "acp:allow": { "@id": "http://www.w3.org/ns/auth/acl#Read" },
                       "acp:anyOf": { "acp:agent": { "@id": "http://www.w3.org/ns/solid/acp#PublicAgent" } } } } });
    let made = alice
        .put("/alice/x.acl", "application/ld+json", document.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(public.get("/alice/x").await.status, 200);
    document["acp:accessControl"]["acp:apply"]["acp:until"] = json!("2027");
    let refused = alice
        .put("/alice/x.acl", "application/ld+json", document.to_string())
        .await;
    assert_eq!(refused.status, 422);
    let owner = &scene.owner.web_id;
    for policies in [
        String::new(),
        read.clone(),
        format!(
            "[ acp:allow acl:Control; acp:anyOf [ acp:agent <{}> ] ]",
            scene.bob.web_id
        ),
        format!("[ acp:allow acl:Control; acp:anyOf [ acp:agent <{owner}>; acp:client <https://client.example/id> ] ]"),
        format!("[ acp:allow acl:Control; acp:deny acl:Control; acp:anyOf [ acp:agent <{owner}> ] ]"),
    ] {
        let refused = alice.put("/alice/.acl", TURTLE, acr("./", &policies, "")).await;
        assert_eq!(refused.status, 409, "{policies}: {}", refused.text());
    }
    assert_eq!(alice.delete("/alice/.acl").await.status, 405);
    put(
        &alice,
        "/alice/.acl",
        acr(
            "./",
            "[ acp:allow acl:Control; acp:anyOf [ acp:agent acp:OwnerAgent ] ]",
            "",
        ),
    )
    .await;
    assert_eq!(alice.get("/alice/").await.status, 403);
    assert_eq!(alice.get("/alice/.acl").await.status, 200);
    scene.server.stop().await;
}

/// Requirement solid 86: more documents on the way than the operator allows deny, and those in control above can mend it.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_documents_deny() {
    let server = PodServer::start_with(json!({ "authz": { "access_control_resources_max": 3 } })).await;
    let alice = server.agent_under("alice", Acp).await.client();
    put(&alice, "/alice/a/b/c/x", "").await;
    put(&alice, "/alice/a/.acl", acr("./", "", "")).await;
    put(&alice, "/alice/a/b/.acl", acr("./", "", "")).await;
    assert_eq!(alice.get("/alice/a/b/c/x").await.status, 200);
    put(&alice, "/alice/a/b/c/.acl", acr("./", "", "")).await;
    assert_eq!(alice.get("/alice/a/b/c/x").await.status, 403);
    assert_eq!(alice.delete("/alice/a/.acl").await.status, 205);
    assert_eq!(alice.get("/alice/a/b/c/x").await.status, 200);
    server.stop().await;
}

/// Requirements solid 50, 84, 115: an account under the configured system begins with what it needs and no more, and the
/// page for sharing says that it does not know policies.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_begin_under_the_configured_system() {
    let mut settings = quick_settings();
    settings["authz"] = json!({ "system": "acp" });
    let server = PodServer::start_with(settings).await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let (owner, public) = (gent.agent.client(), server.client());
    for (path, everyone) in [
        ("/gent/", 401),
        ("/gent/profile/card", 200),
        ("/gent/inbox/", 401),
        ("/gent/settings/publicTypeIndex", 200),
        ("/gent/settings/privateTypeIndex", 401),
        ("/gent/settings/preferences", 401),
        ("/gent/.acl", 401),
        ("/gent/profile/card.acl", 401),
    ] {
        assert_eq!(public.get(path).await.status, everyone, "{path}");
        let reply = owner.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let is_rules = links(&reply).contains("acp#AccessControlResource");
        assert_eq!(is_rules, path.ends_with(".acl"), "{path}");
    }
    let message = public.request("POST", "/gent/inbox/").content("text/plain", "hello");
    assert_eq!(message.send().await.status, 201);
    let page = gent
        .visitor
        .open("/data/gent/profile/card?do=share&lang=en")
        .await
        .unwrap();
    assert_eq!(page.status, 409, "{}", page.body);
    assert!(page.body.contains("policies (ACP)"), "{}", page.body);
    server.stop().await;
}

/// Requirement solid 50: the operator chooses the system of a storage when it is made.
#[tokio::test]
async fn the_operator_chooses_the_system_of_a_storage() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("pod.toml");
    let text = format!(
        "[server]\nbase_url = \"http://127.0.0.1:7101/\"\nconsole_url = \"http://127.0.0.1:7102/\"\n\
         content_listen = \"127.0.0.1:7101\"\nconsole_listen = \"127.0.0.1:7102\"\n[store]\n\
         directory = \"{}\"\nreserve_bytes = 0\n",
        directory.path().join("store").display()
    );
    std::fs::write(&config, text).unwrap();
    let owner = "https://owner.example/#me";
    for (name, more) in [("lists", vec![]), ("policies", vec!["--system", "acp"])] {
        let mut words = vec!["pod-server", "storage", "create", name, "--owner", owner, "--config"];
        words.push(config.to_str().unwrap());
        words.extend(more);
        Cli::try_parse_from(words).unwrap().run().await.unwrap();
    }
    let changed = async |name: &str, system: &str| {
        let file = config.to_str().unwrap();
        let words = [
            "pod-server",
            "storage",
            "access",
            name,
            "--system",
            system,
            "--config",
            file,
        ];
        Cli::try_parse_from(words).unwrap().run().await.is_ok()
    };
    assert!(!changed("policies", "wac").await && !changed("nobody", "acp").await);
    assert!(changed("lists", "acp").await && changed("lists", "acp").await);
    let config: Config = server_kit::config::load(Some(&config), "MEENT_TEST_").unwrap();
    let app = App::build(config).unwrap();
    let permit = ReadPermit::without_proof("a test looks inside");
    let snapshot = app.store.snapshot(permit).unwrap();
    for (root, system) in [("/lists/", Acp), ("/policies/", Acp)] {
        let root = ResourceName::parse(root).unwrap();
        assert_eq!(AuthorizationSystem::of(snapshot.as_ref(), &root).unwrap(), system);
    }
}

/// Requirements solid 50, 71, 86: a storage is taken from lists to policies, all of it or none, and everyone keeps the access
/// that they had.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_is_taken_from_lists_to_policies() {
    let server = PodServer::start().await;
    let (owner, bob) = (server.agent("alice").await, server.agent("bob").await);
    let (alice, bob, public) = (owner.client(), bob.client(), server.client());
    let list = |more: &str| {
        format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.
             <#owner> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; acl:default <./>;
                 acl:mode acl:Read, acl:Write, acl:Control. {more}",
            owner.web_id
        )
    };
    let everyone = "<#all> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read.";
    let known =
        "<#known> a acl:Authorization; acl:agentClass acl:AuthenticatedAgent; acl:default <./>; acl:mode acl:Append.";
    for path in [
        "/alice/open/x",
        "/alice/open/in/y",
        "/alice/closed/z",
        "/alice/open/hidden/w",
    ] {
        alice.put(path, "text/plain", "x").await;
    }
    put(&alice, "/alice/open/.acl", list(everyone)).await;
    put(&alice, "/alice/open/in/.acl", list(&format!("{everyone} {known}"))).await;
    put(&alice, "/alice/open/hidden/.acl", list("")).await;
    let change = async || {
        let (root, origins) = (ResourceName::parse("/alice/").unwrap(), server.app.origins.clone());
        let work = move |transaction: &mut dyn Transaction| {
            to_policies(transaction, &root, &origins, Bounds { nesting_max: 64 }).map_err(CommitError::Refused)
        };
        let warrant = Warrant::without_proof("the operator changes the system of a storage");
        commit::<usize, Error>(server.app.store.as_ref(), warrant, Box::new(work)).await
    };
    let rights = async || {
        let mut told = Vec::new();
        for client in [&alice, &bob, &public] {
            for path in [
                "",
                "open/",
                "open/x",
                "open/in/",
                "open/in/y",
                "closed/z",
                "open/hidden/w",
                "profile/card",
            ] {
                let reply = client.get(&format!("/alice/{path}")).await;
                told.push((path, reply.status, reply.header("wac-allow").to_owned()));
            }
        }
        told
    };
    let before = rights().await;
    // What anyone may read above would be read in `hidden` too, so nothing changes at all.
    let Err(CommitError::Refused(refused)) = change().await else {
        panic!("it was changed")
    };
    assert!(refused.to_string().contains("/alice/open/hidden/.acl"), "{refused}");
    assert_eq!(rights().await, before);
    assert_eq!(alice.delete("/alice/open/hidden/w").await.status, 205);
    assert_eq!(alice.delete("/alice/open/hidden/").await.status, 205);
    let before = rights().await;
    let (count, _) = change().await.unwrap_or_else(|_| panic!("it was not changed"));
    assert!(count >= 3, "{count}");
    assert_eq!(rights().await, before);
    let kind = "<http://www.w3.org/ns/solid/acp#AccessControlResource>; rel=\"type\"";
    assert!(links(&alice.get("/alice/open/.acl").await).contains(kind));
    assert!(change().await.is_err(), "it was changed twice");
    server.stop().await;
}
