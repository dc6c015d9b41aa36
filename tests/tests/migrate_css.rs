//! Taking over the data folder of a Community Solid Server: one that the real server wrote, and odd ones made by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "migrate_css/odd.rs"]
mod odd;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use meent_tests::conformance::differential::Peer;
use meent_tests::conformance::loudly;
use meent_tests::console::Visitor;
use meent_tests::pod::{Client, PodFolder, PodProcess, Seen, crawl};
use meent_tests::scenario::party::Party;
use pod_server::identity::account;
use pod_server::store::{SqliteStore, Store};
use serde_json::{Value, json};
use server_kit::clock::SystemClock;
use server_kit::egress::{Egress, EgressConfig};

const ALICE: (&str, &str) = ("alice@localhost.example", "the old pass words of Alice");
const BOB: (&str, &str) = ("bob@localhost.example", "the old pass words of Bob");

/// Cheap hashes: what is tested is that they are made.
pub const QUICK: &str = "[identity.password]\nmemory_kibibytes = 64\npasses = 1\n[ldp]\nbody_bytes_max = 400000\n";

/// Someone at the other server.
struct Holder {
    client: Client,
    credentials: (String, String),
}

/// Logs in at the other server and makes client credentials for a WebID.
async fn holder(peer: &Peer, (email, password): (&str, &str), name: &str) -> Holder {
    let client = Client::new(&peer.base);
    let login = json!({ "email": email, "password": password }).to_string();
    let reply = client
        .request("POST", "/.account/login/password/")
        .content("application/json", login);
    let session = reply.header("accept", "application/json").send().await.json();
    let session = format!(
        "CSS-Account-Token {}",
        session["authorization"].as_str().expect("a session")
    );
    let ask = |method: &'static str, path: String, body: Value| {
        let request = client
            .request(method, &path)
            .header("accept", "application/json")
            .header("authorization", session.clone());
        if body.is_null() {
            request
        } else {
            request.content("application/json", body.to_string())
        }
    };
    let controls = ask("GET", "/.account/".to_owned(), Value::Null).send().await.json();
    let made_at = controls["controls"]["account"]["clientCredentials"]
        .as_str()
        .unwrap()
        .to_owned();
    let wanted = json!({ "name": "an app", "webId": format!("{}{name}/profile/card#me", peer.base) });
    let made = ask("POST", made_at, wanted).send().await.json();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    let credentials = (text("id"), text("secret"));
    let basic = STANDARD.encode(format!("{}:{}", credentials.0, credentials.1));
    let token = client
        .request("POST", "/.oidc/token")
        .header("authorization", format!("Basic {basic}"))
        .content(
            "application/x-www-form-urlencoded",
            "grant_type=client_credentials&scope=webid",
        )
        .send()
        .await
        .json();
    Holder {
        client: Client::new(&peer.base).with_bearer(token["access_token"].as_str().expect("a token")),
        credentials,
    }
}

/// Documents of every kind, containers, descriptions and access rules, over HTTP.
async fn fill(owner: &Client, base: &str) {
    let documents: Vec<(&str, &str, Bytes)> = vec![
        ("a.ttl", "text/turtle", "<> <urn:p> <#me> . # a comment".into()),
        ("nick", "text/turtle", "<> <urn:p> <sub/x>.".into()),
        ("plain.txt", "text/plain; charset=utf-8", "hallo".into()),
        ("odd", "application/x-odd", "odd".into()),
        ("odd.txt", "application/x-odd", "odd".into()),
        (
            "a%20b/%C3%A9t%C3%A9.jsonld",
            "application/ld+json",
            "{\"@id\":\"\",\"urn:p\":{\"@id\":\"../a.ttl\"}}".into(),
        ),
        ("pic.PNG", "image/png", vec![0x89, 0x50].into()),
        ("x.js", "application/javascript", "1".into()),
        ("x.ttl.txt", "text/plain", "1".into()),
        ("y.ttl", "text/plain", "not turtle".into()),
        ("big.bin", "application/octet-stream", vec![7; 300_000].into()),
        (
            "linked.ttl",
            "text/turtle",
            format!("<> <urn:p> <{base}alice/a.ttl>, <{base}bob/>, \"{base}\" . # kept").into(),
        ),
        ("private/secret.ttl", "text/turtle", "<> <urn:p> \"secret\" .".into()),
        ("open/note.ttl", "text/turtle", "<> <urn:p> \"open\" .".into()),
        ("open/closed.ttl", "text/turtle", "<> <urn:p> \"closed\" .".into()),
        ("empty/", "text/turtle", "".into()),
    ];
    for (name, media_type, bytes) in documents {
        let reply = owner.put(&format!("/alice/{name}"), media_type, bytes).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{name}: {}", reply.text());
    }
    let said = format!(
        "@prefix solid: <http://www.w3.org/ns/solid/terms#>. <> a solid:InsertDeletePatch; solid:inserts {{ \
         <{base}alice/a.ttl> <http://purl.org/dc/terms/title> \"A\"; <urn:q> <{base}alice/> }}."
    );
    let reply = owner.patch("/alice/a.ttl.meta", said).await;
    assert!(reply.status.is_success(), "{}", reply.text());
    let rights = |resource: &str, below: &str, others: &str| {
        format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. <#o> a \
             acl:Authorization; acl:agent <{base}alice/profile/card#me>; acl:accessTo <{resource}>{below}; acl:mode acl:Read, \
             acl:Write, acl:Control. {others}"
        )
    };
    let bob = format!(
        "<#b> a acl:Authorization; acl:agent <{base}bob/profile/card#me>; acl:accessTo <./a.ttl>; acl:mode acl:Read."
    );
    let all =
        "<#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read.";
    for (name, text) in [
        ("a.ttl.acl", rights("./a.ttl", "", &bob)),
        ("private/.acl", rights("./", "; acl:default <./>", "")),
        ("open/.acl", rights("./", "; acl:default <./>", all)),
        ("open/closed.ttl.acl", rights("./closed.ttl", "", "")),
    ] {
        let reply = owner.put(&format!("/alice/{name}"), "text/turtle", text).await;
        assert!(reply.status.is_success(), "{name}: {} {}", reply.status, reply.text());
    }
}

/// What someone else may read.
async fn readable(client: &Client, root: &str, paths: &BTreeMap<String, Seen>) -> BTreeMap<String, StatusCode> {
    let mut found = BTreeMap::new();
    for path in paths.keys() {
        found.insert(path.clone(), client.get(&format!("{root}{path}")).await.status);
    }
    found
}

fn parsed(bytes: &Bytes, base: &str) -> Vec<String> {
    let parser = oxttl::TurtleParser::new().with_base_iri(base).unwrap();
    let triples = parser.for_slice(bytes).map(|triple| triple.unwrap().to_string());
    let mut lines: Vec<String> = triples.collect();
    lines.sort();
    lines
}

/// What is here must be what was there, at its new place.
fn assert_same(
    before: &BTreeMap<String, Seen>,
    after: &BTreeMap<String, Seen>,
    roots: (&str, &str),
    moved: &dyn Fn(&str) -> String,
) {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, was) in before {
        let is = &after[path];
        assert_eq!(
            (&is.media_type, &is.owner, is.public),
            (&was.media_type, &was.owner, was.public),
            "{path}"
        );
        if !path.is_empty() && !path.ends_with('/') && was.media_type == "text/turtle" {
            let expected: Vec<String> = parsed(&was.body, &format!("{}{path}", roots.0))
                .iter()
                .map(|it| moved(it))
                .collect();
            assert_eq!(parsed(&is.body, &format!("{}{path}", roots.1)), expected, "{path}");
        } else if was.media_type != "text/turtle" {
            assert_eq!(is.body, was.body, "{path}");
        }
        assert_eq!(is.acl.is_some(), was.acl.is_some(), "{path}");
        for (was, is) in was.acl.iter().zip(&is.acl) {
            let expected: Vec<String> = parsed(was, &format!("{}{path}.acl", roots.0))
                .iter()
                .map(|it| moved(it))
                .collect();
            assert_eq!(
                parsed(is, &format!("{}{path}.acl", roots.1)),
                expected,
                "the rules of {path}"
            );
        }
    }
}

/// Requirements solid 17, 20-22, 67-77, 95, 101, 114: storages, documents, descriptions, access rules, accounts, passwords and
/// client credentials of the real Community Solid Server work on after its folder was taken over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_community_solid_server_moves_with_everything() {
    let old = tempfile::tempdir().unwrap();
    let (data, seed) = (old.path().join("data"), old.path().join("accounts.json"));
    let accounts = json!([
        { "email": ALICE.0, "password": ALICE.1, "pods": [{ "name": "alice" }, { "name": "Work_2" }] },
        { "email": BOB.0, "password": BOB.1, "pods": [{ "name": "bob" }] },
    ]);
    std::fs::write(&seed, accounts.to_string()).unwrap();
    let peer = match Peer::start_over(&data, &seed).await.unwrap() {
        Ok(peer) => peer,
        Err(reason) => return loudly(&format!("taking over a folder of Community Solid Server: {reason}")),
    };
    let (alice, bob) = (holder(&peer, ALICE, "alice").await, holder(&peer, BOB, "bob").await);
    fill(&alice.client, &peer.base).await;
    let old_root = format!("{}alice/", peer.base);
    let before = crawl(&alice.client, &Client::new(&peer.base), &old_root).await;
    let read_before = readable(&bob.client, &old_root, &before).await;
    assert!(before.len() > 20 && before["open/note.ttl"].public && !before["open/closed.ttl"].public);
    assert_eq!(read_before["a.ttl"], StatusCode::OK);
    let base = peer.base.clone();
    drop(peer);
    let came = Came {
        data: data.to_str().unwrap(),
        base,
        root: old_root,
        before,
        read_before,
    };
    let (by_origins, by_paths) = (PodFolder::on_subdomains(QUICK), PodFolder::new(QUICK));
    let server = take_over(&by_origins, &came).await;
    settled(&by_origins, server);
    let new = by_paths;
    let server = take_over(&new, &came).await;
    let new_root = new.origins.root("alice");

    let egress = Egress::new(EgressConfig {
        allow: vec!["127.0.0.1:*".to_owned()],
        ..EgressConfig::default()
    })
    .unwrap();
    let webid = format!("{new_root}profile/card#me");
    let party = Party::new(
        &webid,
        &new.console_url,
        alice.credentials,
        &std::sync::Arc::new(egress),
    )
    .unwrap();
    let reply = party
        .send(
            http::Method::GET,
            &format!("{new_root}private/secret.ttl"),
            &[],
            Bytes::new(),
        )
        .await
        .unwrap();
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    settled(&new, server);
}

/// What another server had.
struct Came<'c> {
    /// Its data folder.
    data: &'c str,
    /// Its base URL, and the root of Alice's storage.
    base: String,
    root: String,
    /// What Alice and the public saw in that storage, and what Bob could read.
    before: BTreeMap<String, Seen>,
    read_before: BTreeMap<String, StatusCode>,
}

/// Takes the folder over and looks at it as its people do; the server goes on running.
async fn take_over(new: &PodFolder, came: &Came<'_>) -> PodProcess {
    let looked = new.succeed(&["migrate", "css", came.data, "--dry-run"]);
    assert!(
        looked.contains("2 accounts and 3 storages") && looked.contains("would be taken over"),
        "{looked}"
    );
    assert_eq!(new.succeed(&["storage", "list"]), "");
    let said = new.succeed(&["migrate", "css", came.data, "--report", "report.tsv"]);
    assert!(
        said.contains("2 accounts and 3 storages") && said.contains("are here now"),
        "{said}"
    );
    let report = std::fs::read_to_string(new.path("report.tsv")).unwrap();
    assert!(
        report.contains("work_2/\tits name becomes `work-2`") && report.contains(".internal/idp"),
        "{report}"
    );
    assert!(!report.contains(&came.root), "everything of Alice came along: {report}");
    let again = new.succeed(&["migrate", "css", came.data]);
    assert!(
        again.contains("0 accounts and 0 storages") && again.contains("2 accounts had come before"),
        "{again}"
    );

    let server = new.serve();
    let (owner, other) = (new.agent("alice"), new.agent("bob"));
    let [new_root, bobs] = ["alice", "bob"].map(|name| new.origins.root(name));
    let after = crawl(&owner.client(), &new.client(), &new_root).await;
    let moved = |text: &str| {
        let text = text.replace(&format!("<{}alice/", came.base), &format!("<{new_root}"));
        let text = text.replace(&format!("<{}bob/", came.base), &format!("<{bobs}"));
        text.replace(&format!("<{}>", came.base), &format!("<{}>", new.console_url))
    };
    assert_same(&came.before, &after, (&came.root, &new_root), &moved);
    let described = String::from_utf8(after["a.ttl"].description.clone().unwrap().to_vec()).unwrap();
    assert!(
        described.contains("\"A\"") && described.contains(&format!("<{new_root}>")),
        "{described}"
    );
    assert_eq!(
        after["linked.ttl"].body,
        moved(&String::from_utf8_lossy(&came.before["linked.ttl"].body)).into_bytes()
    );
    assert_eq!(readable(&other.client(), &new_root, &after).await, came.read_before);
    let profile = new.client().get("/alice/profile/card").await.text();
    assert!(profile.contains(&format!("<{}>", new.console_url)), "{profile}");

    for (login, password) in [(ALICE.0, ALICE.1), ("Bob@localhost.example", BOB.1), ("alice", ALICE.1)] {
        let mut visitor = Visitor::at(
            new.console_url
                .trim_end_matches('/')
                .trim_start_matches("http://")
                .parse()
                .unwrap(),
        );
        let wrong = visitor.log_in(login, "another pass word").await.unwrap();
        assert_eq!(wrong.status, StatusCode::FORBIDDEN, "{login}");
        let entered = visitor.log_in(login, password).await.unwrap();
        assert_eq!(entered.status, StatusCode::SEE_OTHER, "{login}: {}", entered.body);
    }
    server
}

/// Ends the server and looks at the accounts.
fn settled(new: &PodFolder, server: PodProcess) {
    assert!(server.stop().success());
    let config = serde_json::from_value(json!({ "directory": new.store(), "reserve_bytes": 0 })).unwrap();
    let store: Box<dyn Store> = Box::new(SqliteStore::open(config, std::sync::Arc::new(SystemClock)).unwrap());
    for (email, webids) in [(ALICE.0, 2), (BOB.0, 1)] {
        let known = account::by_login(&*store, email).unwrap().unwrap();
        assert!(known.password.as_ref().unwrap().starts_with("$argon2id$"), "{known:?}");
        assert_eq!(known.all_webids().count(), webids, "{known:?}");
    }
}
