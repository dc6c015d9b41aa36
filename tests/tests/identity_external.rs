//! Logging in through another OpenID provider: a second instance of our own issuer, and one that others wrote
//! (T33, T41, T42, T43; solid#94, solid#99).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "external/node.rs"]
mod node;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use http::StatusCode;
use meent_tests::console::{Answer, Visitor, parameter};
use meent_tests::pod::{Client, PodServer};
use pod_server::identity::external_link::{self, ExternalLink, Linked, PersonKey};
use pod_server::identity::{AccountKind, FirstLogin, NewAccount, account, create_account};
use pod_server::store::{RecordKind, Transaction, Warrant, commit};
use serde_json::{Value, json};
use server_kit::random::SystemRandom;
use sha2::{Digest, Sha256};

const PASSWORD: &str = "fietsen langs de leie";

/// A port that was free a moment ago: both sides have to know each other's address before they start.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn quick(more: Value) -> Value {
    let mut identity = json!({ "password": { "memory_kibibytes": 64, "passes": 1 } });
    identity
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "identity": identity })
}

async fn account(server: &PodServer, name: &str) {
    let new = NewAccount {
        name: name.to_owned(),
        label: format!("The {name}"),
        kind: AccountKind::Person,
        first_login: FirstLogin::Password(PASSWORD.to_owned()),
    };
    let tools = server.app.identity.account_tools();
    create_account(server.app.store.as_ref(), tools, new).await.unwrap();
}

fn secret_file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn address(url: &str) -> SocketAddr {
    let url: url::Url = url.parse().unwrap();
    SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()))
}

/// Path and query of a URL, which must be on an origin.
fn path_on(origin: &str, url: &str) -> String {
    let rest = url.strip_prefix(origin.trim_end_matches('/'));
    rest.unwrap_or_else(|| panic!("{url} is not on {origin}")).to_owned()
}

/// A server whose people log in through a provider, and the provider: two instances of our own.
struct Pair {
    provider: PodServer,
    server: PodServer,
    _directory: tempfile::TempDir,
}

impl Pair {
    /// `ways` are (name, first log-in) of entries for the one provider.
    async fn start(ways: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let provider = PodServer::start_with(quick(json!({}))).await;
        let console = format!("http://127.0.0.1:{}/", free_port());
        let mut entries = Vec::new();
        for (number, (name, first)) in ways.iter().enumerate() {
            let method = ["client_secret_basic", "client_secret_post"][number % 2];
            let algorithm = ["ES256", "RS256"][number % 2];
            let metadata = json!({
                "client_name": "The other server",
                "redirect_uris": [format!("{console}external/{name}/callback")],
                "token_endpoint_auth_method": method,
                "id_token_signed_response_alg": algorithm,
            });
            let told = Client::new(&provider.console_url)
                .request("POST", "/.oidc/register")
                .content("application/json", metadata.to_string())
                .send()
                .await
                .json();
            let secret = told["client_secret"].as_str().unwrap();
            entries.push(json!({
                "name": name, "label": "Our <other> house", "issuer": provider.console_url,
                "client_id": told["client_id"], "client_secret_file": secret_file(directory.path(), name, secret),
                "secret_in_body": method == "client_secret_post", "scopes": ["webid"], "subject_claim": "sub",
                "first_login": first,
            }));
        }
        let mut settings = quick(json!({ "external": entries }));
        settings["server"] = json!({ "console_url": console, "console_listen": address(&console) });
        let server = PodServer::start_with(settings).await;
        Self {
            provider,
            server,
            _directory: directory,
        }
    }

    fn visitor(&self) -> Visitor {
        Visitor::at(address(&self.server.console_url))
    }

    async fn at_provider(&self, name: &str) -> Visitor {
        let mut visitor = Visitor::at(address(&self.provider.console_url));
        assert_eq!(
            visitor.log_in(name, PASSWORD).await.unwrap().status,
            StatusCode::SEE_OTHER
        );
        visitor
    }

    /// Goes to the provider from a page of the server, and gives the way back.
    async fn through(&self, visitor: &mut Visitor, there: &mut Visitor, start: &str) -> String {
        let sent = visitor.open(start).await.unwrap();
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        let mut answer = there
            .open(&path_on(&self.provider.console_url, sent.location()))
            .await
            .unwrap();
        if !answer.hidden("return_to").is_empty() {
            let name = if answer.body.contains("value=\"piet\"") {
                "piet"
            } else {
                "jan"
            };
            let return_to = answer.hidden("return_to");
            let fields = [("name", name), ("password", PASSWORD), ("return_to", &return_to)];
            let back = there.submit("/login", &fields).await.unwrap();
            answer = there.open(back.location()).await.unwrap();
        }
        if answer.status == StatusCode::OK {
            let (request, statement) = (answer.hidden("request"), answer.hidden("statement"));
            let fields = [
                ("request", request.as_str()),
                ("statement", &statement),
                ("decision", "allow"),
            ];
            answer = there.submit("/.oidc/decision", &fields).await.unwrap();
        }
        path_on(&self.server.console_url, answer.location())
    }
}

/// The link of a page that begins with some text.
fn link(page: &Answer, start: &str) -> String {
    let (_, rest) = page
        .body
        .split_once(&format!("href=\"{start}"))
        .unwrap_or_else(|| panic!("{}", page.body));
    let target = rest.split('"').next().unwrap().replace("&amp;", "&");
    format!("{start}{target}")
}

/// Every session goes on, and the log-in that it began with was an hour ago.
async fn log_in_long_ago(server: &PodServer) {
    let store = server.app.store.as_ref();
    let warrant = Warrant::without_proof("the test lets time pass");
    let work = |transaction: &mut dyn Transaction| {
        for (key, value) in transaction.records(RecordKind::Session, "", None, 100)? {
            let mut session: Value = serde_json::from_slice(&value).unwrap();
            let before = session["authenticated_at"].as_i64().unwrap();
            session["authenticated_at"] = json!(before - 3_600);
            transaction.record_put(RecordKind::Session, &key, session.to_string().as_bytes())?;
        }
        Ok(())
    };
    commit::<(), std::convert::Infallible>(store, warrant, Box::new(work))
        .await
        .unwrap();
}

/// T43. The digest of a person needs a key that lies beside the store; a link with a digest of the old kind, without one, is
/// found once more and then has the new kind.
#[tokio::test(flavor = "multi_thread")]
async fn people_of_providers_are_known_by_a_digest_with_a_key() {
    let server = PodServer::start_with(quick(json!({}))).await;
    account(&server, "jan").await;
    let store = server.app.store.as_ref();
    let directory = tempfile::tempdir().unwrap();
    let key = PersonKey::load_or_generate(directory.path(), &SystemRandom).unwrap();
    let (issuer, subject) = ("https://idp.example/", "78.01.02-123.45");
    let person = key.person(issuer, subject).unwrap();
    let again = PersonKey::load_or_generate(directory.path(), &SystemRandom).unwrap();
    assert_eq!(again.person(issuer, subject).unwrap(), person);
    assert_ne!(again.person(issuer, "other").unwrap(), person);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = PersonKey::load_or_generate(elsewhere.path(), &SystemRandom).unwrap();
    assert_ne!(other.person(issuer, subject).unwrap(), person);
    secret_file(elsewhere.path(), "external-persons.key", "no key");
    assert!(PersonKey::load_or_generate(elsewhere.path(), &SystemRandom).is_err());

    let old = hex::encode(Sha256::digest(json!([issuer, subject]).to_string()));
    let id = account::by_name(store, "jan").unwrap().unwrap().id;
    let link = ExternalLink {
        account: id.clone(),
        provider: "idp".to_owned(),
        person: old.clone(),
        since: 1,
    };
    assert_eq!(external_link::link(store, link).await.unwrap(), Linked::Done);
    for _ in 0..2 {
        external_link::renew(store, issuer, subject, &person).await.unwrap();
        assert!(external_link::find(store, &old).unwrap().is_none());
        assert_eq!(external_link::find(store, &person).unwrap().unwrap().id, id);
    }
    assert!(external_link::unlink(store, &id, &person).await.unwrap());
    assert!(external_link::find(store, &person).unwrap().is_none());
    server.stop().await;
}

/// T41, T43, solid#99: first nobody is known, then an account holder connects the two, then one click is enough, until
/// the connection is taken away.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_connected_with_another_provider() {
    let pair = Pair::start(&[("house", "link")]).await;
    account(&pair.provider, "jan").await;
    account(&pair.server, "janneke").await;
    let mut there = pair.at_provider("jan").await;
    let mut visitor = pair.visitor();
    let page = visitor.open("/login?return_to=%2Fconsent").await.unwrap();
    assert!(page.body.contains("Our &lt;other&gt; house"));
    let start = link(&page, "/external/house");
    let back = pair.through(&mut visitor, &mut there, &start).await;
    let unknown = visitor.open(&back).await.unwrap();
    assert_eq!(unknown.status, StatusCode::FORBIDDEN, "{}", unknown.body);
    assert!(!visitor.cookies.contains_key("__Host-session"), "nobody is logged in");

    visitor.log_in("janneke", PASSWORD).await.unwrap();
    let page = visitor.open("/account").await.unwrap();
    let connect = link(&page, "/external/house?link=1");
    // Only the account page may begin it: a link that another site knows does nothing.
    let bare = visitor.open("/external/house?link=1").await.unwrap();
    assert_eq!((bare.status, bare.location()), (StatusCode::FORBIDDEN, ""));
    let sent = visitor.clone().open(&connect).await.unwrap();
    assert_eq!(
        parameter(sent.location(), "prompt").as_deref(),
        Some("login"),
        "the person has to log in anew there"
    );
    // Whoever only found an open session connects nothing and disconnects nothing.
    let again = "/login?again=1&return_to=%2Faccount";
    log_in_long_ago(&pair.server).await;
    assert_eq!(visitor.open(&connect).await.unwrap().location(), again);
    let asked = visitor
        .submit("/account/external/unlink", &[("person", "x")])
        .await
        .unwrap();
    assert_eq!(asked.location(), again);
    visitor.log_in("janneke", PASSWORD).await.unwrap();
    let connect = link(&visitor.open("/account").await.unwrap(), "/external/house?link=1");
    let back = pair.through(&mut visitor, &mut there, &connect).await;
    let done = visitor.open(&back).await.unwrap();
    assert_eq!(done.location(), "/account?done=external-linked", "{}", done.body);

    let mut fresh = pair.visitor();
    let back = pair.through(&mut fresh, &mut there, &start).await;
    let arrived = fresh.open(&back).await.unwrap();
    assert_eq!(
        (arrived.status, arrived.location()),
        (StatusCode::SEE_OTHER, "/consent"),
        "{}",
        arrived.body
    );
    let page = fresh.open("/account").await.unwrap();
    assert!(page.body.contains("The janneke"));
    // What the provider calls the person stands nowhere in the store: only a digest.
    let person = page.hidden("person");
    assert!(
        person.len() == 64 && !page.body.contains(&pair.provider.base_url),
        "{person}"
    );

    // Whoever has no password proves anew through the provider who it is.
    log_in_long_ago(&pair.server).await;
    let anew = link(&fresh.open(again).await.unwrap(), "/external/house");
    let sent = fresh.clone().open(&anew).await.unwrap();
    assert_eq!(parameter(sent.location(), "prompt").as_deref(), Some("login"));
    let back = pair.through(&mut fresh, &mut there, &anew).await;
    assert_eq!(fresh.open(&back).await.unwrap().location(), "/account");
    fresh.open("/account").await.unwrap();
    let done = fresh
        .submit("/account/external/unlink", &[("person", &person)])
        .await
        .unwrap();
    assert_eq!(done.location(), "/account?done=external-unlinked");
    let mut stranger = pair.visitor();
    let back = pair.through(&mut stranger, &mut there, &start).await;
    assert_eq!(stranger.open(&back).await.unwrap().status, StatusCode::FORBIDDEN);
    pair.server.stop().await;
    pair.provider.stop().await;
}

/// T43: an account is made for who comes for the first time; its name tells nothing about the person. With the second
/// provider entry the ID token is signed with RS256 and the secret travels in the body.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_at_the_first_log_in() {
    let pair = Pair::start(&[("house", "link"), ("maker", "create")]).await;
    account(&pair.provider, "jan").await;
    account(&pair.provider, "piet").await;
    let mut names = std::collections::BTreeSet::new();
    for (name, times) in [("jan", 2), ("piet", 1)] {
        for _ in 0..times {
            let mut there = pair.at_provider(name).await;
            let mut visitor = pair.visitor();
            let back = pair
                .through(&mut visitor, &mut there, "/external/maker?return_to=%2Faccount")
                .await;
            let arrived = visitor.open(&back).await.unwrap();
            assert_eq!(arrived.location(), "/account", "{}", arrived.body);
            assert_eq!(visitor.open("/account").await.unwrap().status, StatusCode::OK);
        }
        names.extend(
            account::list(pair.server.app.store.as_ref(), None, 10)
                .unwrap()
                .into_iter()
                .map(|a| a.name),
        );
    }
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names.iter().all(|name| name.starts_with("p-") && !name.contains("jan")),
        "{names:?}"
    );
    // Somebody who is known by one entry is known by the other: it is the same provider.
    let mut there = pair.at_provider("jan").await;
    let mut visitor = pair.visitor();
    let back = pair.through(&mut visitor, &mut there, "/external/house").await;
    assert_eq!(visitor.open(&back).await.unwrap().location(), "/account");
    // T42: an application that wants a recent log-in gets one at the provider too.
    let again = "/external/house?return_to=%2F.oidc%2Fauthorize%3Fagain%3D1";
    let sent = pair.visitor().open(again).await.unwrap();
    assert_eq!(parameter(sent.location(), "prompt").as_deref(), Some("login"));
    assert_eq!(parameter(sent.location(), "max_age").as_deref(), Some("0"));
    pair.server.stop().await;
    pair.provider.stop().await;
}

/// T41, T45: an answer counts once, in the browser that asked, for the provider that was asked, and leads nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn t41_answers_of_others_log_nobody_in() {
    let pair = Pair::start(&[("house", "create"), ("maker", "create")]).await;
    account(&pair.provider, "jan").await;
    let mut there = pair.at_provider("jan").await;
    let changed = |back: &str, name: &str, value: Option<&str>| {
        let (path, query) = back.split_once('?').unwrap();
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        fields.extend_pairs(url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != name));
        fields.extend_pairs(value.map(|value| (name, value)));
        format!("{path}?{}", fields.finish())
    };
    type Change<'a> = Box<dyn Fn(&str, &mut Visitor) -> String + 'a>;
    let cases: Vec<(&str, Change<'_>)> = vec![
        (
            "another state",
            Box::new(|back, _| changed(back, "state", Some("other"))),
        ),
        ("no state", Box::new(|back, _| changed(back, "state", None))),
        (
            "another issuer",
            Box::new(|back, _| changed(back, "iss", Some("https://evil.example/"))),
        ),
        ("no issuer", Box::new(|back, _| changed(back, "iss", None))),
        ("another code", Box::new(|back, _| changed(back, "code", Some("other")))),
        ("no code", Box::new(|back, _| changed(back, "code", None))),
        (
            "a refusal",
            Box::new(|back, _| changed(&changed(back, "code", None), "error", Some("access_denied"))),
        ),
        (
            "another provider's address",
            Box::new(|back, _| back.replace("/house/", "/maker/")),
        ),
        (
            "another browser",
            Box::new(|back, visitor| {
                visitor.cookies.remove("__Host-external");
                back.to_owned()
            }),
        ),
        (
            "a cookie that is none",
            Box::new(|back, visitor| {
                visitor.cookies.insert("__Host-external".to_owned(), "e30".to_owned());
                back.to_owned()
            }),
        ),
    ];
    for (what, change) in cases {
        let mut visitor = pair.visitor();
        let back = pair.through(&mut visitor, &mut there, "/external/house").await;
        let changed = change(&back, &mut visitor);
        let answer = visitor.open(&changed).await.unwrap();
        assert!(
            matches!(answer.status.as_u16(), 400 | 403 | 502),
            "{what}: {} {}",
            answer.status,
            answer.body
        );
        assert_eq!(answer.location(), "", "{what}");
        assert!(!visitor.cookies.contains_key("__Host-session"), "{what}");
        assert!(
            !visitor.cookies.contains_key("__Host-external"),
            "{what}: the log-in is over"
        );
    }
    // The same answer twice: the browser has forgotten the log-in, and the code was used.
    let mut visitor = pair.visitor();
    let back = pair
        .through(
            &mut visitor,
            &mut there,
            "/external/house?return_to=https%3A%2F%2Fevil.example%2F",
        )
        .await;
    let mut thief = visitor.clone();
    assert_eq!(
        visitor.open(&back).await.unwrap().location(),
        "/account",
        "no way out of the console"
    );
    assert_eq!(visitor.open(&back).await.unwrap().status, StatusCode::BAD_REQUEST);
    thief.cookies.remove("__Host-session");
    let stolen = thief.open(&back).await.unwrap();
    assert_eq!(stolen.status, StatusCode::FORBIDDEN, "{}", stolen.body);
    assert!(!thief.cookies.contains_key("__Host-session"));
    for unknown in [
        "/external/",
        "/external/other",
        "/external/house/other",
        "/external/other/callback",
    ] {
        assert_eq!(
            pair.visitor().open(unknown).await.unwrap().status,
            StatusCode::NOT_FOUND,
            "{unknown}"
        );
    }
    pair.server.stop().await;
    pair.provider.stop().await;
}

/// A provider that cannot be used is named before the server starts, or shown as a page that tells no secret.
#[tokio::test(flavor = "multi_thread")]
async fn unusable_providers_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let good = secret_file(directory.path(), "good", "secret\n");
    let open = directory.path().join("open");
    std::fs::write(&open, "secret").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let entry = |changes: Value| {
        let mut entry = json!({ "name": "x", "label": "X", "issuer": "http://127.0.0.1:9/", "client_id": "c" });
        entry
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        entry
    };
    for (changes, reason) in [
        (json!({}), "client_secret_file"),
        (
            json!({ "client_secret_file": good, "private_key_file": good }),
            "client_secret_file",
        ),
        (
            json!({ "client_secret_file": directory.path().join("absent") }),
            "missing",
        ),
        (json!({ "client_secret_file": open }), "chmod 600"),
        (json!({ "private_key_file": good }), "client key"),
        (json!({ "client_secret_file": good, "name": "X Y" }), "name"),
    ] {
        let mut settings = quick(json!({ "external": [entry(changes)] }));
        settings["server"] = json!({
            "base_url": "http://127.0.0.1:0/", "console_url": "http://127.0.0.1:0/",
            "content_listen": "127.0.0.1:0", "console_listen": "127.0.0.1:0",
        });
        let store = tempfile::tempdir().unwrap();
        settings["store"] = json!({ "directory": store.path(), "reserve_bytes": 0 });
        let config: pod_server::config::Config = serde_json::from_value(settings).unwrap();
        let error = match pod_server::app::App::build(config) {
            Ok(_) => panic!("accepted: {reason}"),
            Err(error) => error.to_string(),
        };
        assert!(
            error.contains(reason) && error.contains("external"),
            "{reason}: {error}"
        );
    }
    let unreachable = entry(json!({ "client_secret_file": good }));
    let server = PodServer::start_with(quick(json!({ "external": [unreachable] }))).await;
    let mut visitor = Visitor::at(address(&server.console_url));
    for _ in 0..2 {
        let answer = visitor.open("/external/x").await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert!(
            !answer.body.contains("127.0.0.1:9") && !answer.body.contains("secret"),
            "{}",
            answer.body
        );
    }
    server.stop().await;
}
