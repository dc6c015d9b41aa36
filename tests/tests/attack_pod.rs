//! Attacks on a pod server over real sockets. Each test tells what an attacker tries and what must come of it.

#[path = "attack/recording.rs"]
mod recording;

use std::time::Duration;

use http::Method;
use meent_tests::pod::{Client, PodServer, Reply};
use pod_server::authz::{Caller, Requirement, UseKind};
use pod_server::name::ResourceName;
use pod_server::store::{CommitError, ReadPermit, StoreError, Transaction, Warrant, commit};
use policies::request::{Subject, WebId};
use policies::wac::Modes;
use serde_json::{Value, json};
use server_kit::authn::client::DpopKey;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;

const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix meent: <https://w3id.org/meent/ns#> .
@prefix dpv: <https://w3id.org/dpv#> .
";
const MOBILITY: &str = "https://w3id.org/meent/ns#MobilityPlanning";
const EVERYTHING: &str = "SELECT ?s ?p ?o { ?s ?p ?o }";
const SECRET: &str = "GEHEIM";

/// A consumer of data who keeps the key, so that agreement tokens can be used as well.
struct Consumer {
    web_id: String,
    key: DpopKey,
    token: String,
    client: Client,
    base_url: String,
}

impl Consumer {
    async fn new(server: &PodServer, name: &str) -> Self {
        let web_id = server.agent(name).await.web_id;
        let key = DpopKey::generate().unwrap();
        let now = SystemClock.unix();
        let claims = json!({
            "iss": server.app.issuer.issuer(), "aud": "solid", "webid": web_id, "sub": web_id,
            "client_id": "https://client.example/id", "iat": now, "exp": now + 3_600,
            "jti": format!("{web_id}-key-{now}"), "cnf": { "jkt": key.thumbprint() },
        });
        Self {
            token: server.app.issuer.sign(&claims).unwrap(),
            client: server.client(),
            base_url: server.base_url.clone(),
            web_id,
            key,
        }
    }

    async fn send(&self, path: &str, token: &str, media_type: &str, body: String) -> Reply {
        let url = format!("{}{}", self.base_url.trim_end_matches('/'), path);
        let proof = self
            .key
            .proof(&Method::POST, &url, Some(token), SystemClock.unix(), &SystemRandom);
        let request = self.client.request("POST", path).content(media_type, body);
        let request = request.header("authorization", format!("DPoP {token}"));
        request.header("dpop", proof.unwrap()).send().await
    }

    async fn post(&self, path: &str, value: &Value) -> Reply {
        self.send(path, &self.token, "application/json", value.to_string())
            .await
    }

    async fn ask(&self, storage: &str, dataset: &str, pid: Option<&str>) -> Reply {
        let ask = json!({
            "dataset": format!("{}{storage}/.dataspace/datasets/{dataset}", self.base_url),
            "purpose": MOBILITY, "consumerPid": pid,
        });
        self.post(&format!("/{storage}/.dataspace/negotiations"), &ask).await
    }

    /// Concludes an automatic agreement and gives its token.
    async fn agreement_token(&self, storage: &str, dataset: &str) -> String {
        let asked = self.ask(storage, dataset, None).await;
        assert_eq!(asked.status, 201, "{}", asked.text());
        let agreement = asked.json()["agreement"].as_str().unwrap().to_owned();
        let path = format!("/{}/token", agreement.strip_prefix(&self.base_url).unwrap());
        let token = self.post(&path, &json!({})).await;
        assert_eq!(token.status, 200, "{}", token.text());
        token.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn query(&self, storage: &str, token: &str, query: &str) -> Reply {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("query", query), ("purpose", MOBILITY)])
            .finish();
        let form = "application/x-www-form-urlencoded";
        self.send(&format!("/{storage}/sparql"), token, form, body).await
    }
}

/// An access control list of a container: its owner, and others with modes on it and below.
fn acl(owner: &str, others: &[(&str, &str)]) -> String {
    let mut text = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.
         <#owner> a acl:Authorization; acl:agent <{owner}>; acl:accessTo <./>; acl:default <./>; \
         acl:mode acl:Read, acl:Write, acl:Control.\n"
    );
    for (number, (who, modes)) in others.iter().enumerate() {
        text.push_str(&format!(
            "<#o{number}> a acl:Authorization; {who}; acl:accessTo <./>; acl:default <./>; acl:mode {modes}.\n"
        ));
    }
    text
}

fn agent(web_id: &str) -> String {
    format!("acl:agent <{web_id}>")
}

async fn put(client: &Client, path: &str, turtle: impl Into<String>) {
    let reply = client.put(path, "text/turtle", turtle.into()).await;
    assert!(reply.status.is_success(), "{path}: {} {}", reply.status, reply.text());
}

fn document(text: &str) -> String {
    format!("<#it> <urn:x:said> \"{text}\" .")
}

async fn select(client: &Client, path: &str, query: &str) -> Reply {
    let request = client
        .request("POST", path)
        .content("application/sparql-query", query.to_owned());
    request.send().await
}

/// A dataset with an automatic offer for mobility planning; `reach` are its containers.
fn dataset(reach: &str, consent: bool, more: &str) -> String {
    let consent = if consent {
        "[ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ,"
    } else {
        ""
    };
    format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Tellingen\"@nl ; {reach} ; odrl:hasPolicy <#offer> ;
           meent:automaticAgreement true {more} .
         <#offer> a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:permission [ odrl:target <> ;
           odrl:action odrl:use ; odrl:constraint {consent}
           [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand meent:MobilityPlanning ] ] ."
    )
}

fn container(server: &PodServer, path: &str) -> String {
    format!("meent:container <{}{path}>", server.base_url)
}

/// T33: whoever may write a profile, and is not its owner, adds an issuer of their own in order to log in as the owner.
#[tokio::test(flavor = "multi_thread")]
async fn t33_an_issuer_cannot_be_smuggled_into_a_profile() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let mallory = server.agent("mallory").await;
    let (owner, thief) = (alice.client(), mallory.client());
    let rights = acl(
        &alice.web_id,
        &[(&agent(&mallory.web_id), "acl:Read, acl:Append, acl:Write")],
    );
    put(&owner, "/alice/profile/.acl", rights.clone()).await;
    // The list that the test's accounts begin with gives its owner no control; the container's is to count here.
    let own = ResourceName::parse("/alice/profile/card.acl").unwrap();
    let work =
        move |transaction: &mut dyn Transaction| transaction.remove(&own).map(drop).map_err(CommitError::Refused);
    let warrant = Warrant::without_proof("a test arranges the rules");
    commit::<(), StoreError>(server.app.store.as_ref(), warrant, Box::new(work))
        .await
        .unwrap();
    let card = "/alice/profile/card";
    let before = owner.get(card).await.text();
    let insert = |statement: &str| {
        format!(
            "@prefix solid: <http://www.w3.org/ns/solid/terms#>. _:p a solid:InsertDeletePatch; \
             solid:inserts {{ {statement} }} ."
        )
    };
    let issuer = "<#me> <http://www.w3.org/ns/solid/terms#oidcIssuer> <https://evil.example/> .";
    let json_ld =
        json!({ "@id": "#me", "http://www.w3.org/ns/solid/terms#oidcIssuer": { "@id": "https://evil.example/" } });
    let tried = [
        ("a patch", thief.patch(card, insert(issuer)).await),
        (
            "a new state",
            thief.put(card, "text/turtle", format!("{before}\n{issuer}")).await,
        ),
        ("an empty state", thief.put(card, "text/turtle", "").await),
        (
            "another syntax",
            thief.put(card, "application/ld+json", json_ld.to_string()).await,
        ),
        ("a picture", thief.put(card, "image/png", "x").await),
        ("a deletion", thief.delete(card).await),
    ];
    for (what, reply) in tried {
        assert_eq!(reply.status, 409, "{what}: {}", reply.text());
        assert_eq!(owner.get(card).await.text(), before, "{what}");
    }
    // What is not protected stays a matter of rights.
    let nick = insert("<#me> <http://xmlns.com/foaf/0.1/nick> \"al\" .");
    assert_eq!(thief.patch(card, nick).await.status, 204);
    // The owner decides about the owner's issuers.
    let other = insert("<#me> <http://www.w3.org/ns/solid/terms#oidcIssuer> <https://other.example/> .");
    assert_eq!(owner.patch(card, other).await.status, 204);
    // A profile that is gone is nobody's to make anew.
    assert_eq!(owner.delete(card).await.status, 205);
    assert_eq!(thief.put(card, "text/turtle", issuer).await.status, 409);
    let slug = thief
        .request("POST", "/alice/profile/")
        .header("slug", "card")
        .content("text/turtle", issuer);
    assert_eq!(slug.send().await.status, 409);
    let permit = ReadPermit::without_proof("a test looks inside");
    let gone = ResourceName::parse(card).unwrap();
    assert!(
        server
            .app
            .store
            .snapshot(permit)
            .unwrap()
            .resource(&gone)
            .unwrap()
            .is_none()
    );
    server.stop().await;
}

/// The owner of an umbrella storage has an agreement about a container of the city, and then lets the same dataset
/// reach into a citizen's storage.
#[tokio::test(flavor = "multi_thread")]
async fn con_12_a_dataset_cannot_be_stretched_over_people_under_an_older_agreement() {
    let settings = json!({ "dataspace": { "umbrella_storages": ["kortrijk"] } });
    let server = PodServer::start_with(settings).await;
    let city = server.agent("kortrijk").await.client();
    let jan = server.agent("jan").await.client();
    let company = Consumer::new(&server, "company").await;
    put(&jan, "/jan/telraam/d.ttl", document(SECRET)).await;
    put(&city, "/kortrijk/open/d.ttl", "<#it> <urn:x:open> \"open\" .").await;
    let path = "/kortrijk/.dataspace/datasets/d";
    put(&city, path, dataset(&container(&server, "kortrijk/open/"), false, "")).await;
    let token = company.agreement_token("kortrijk", "d").await;
    let seen = company.query("kortrijk", &token, EVERYTHING).await;
    assert!(
        seen.status == 200 && seen.text().contains("open"),
        "{} {}",
        seen.status,
        seen.text()
    );
    let wide = format!(
        "{} , <{}jan/telraam/>",
        container(&server, "kortrijk/open/"),
        server.base_url
    );
    put(&city, path, dataset(&wide, true, "; meent:publishSummary true")).await;
    let seen = company.query("kortrijk", &token, EVERYTHING).await;
    assert!(
        !seen.text().contains(SECRET),
        "no consent was ever given: {}",
        seen.text()
    );
    assert!(
        seen.text().contains("open"),
        "what was agreed stays: {} {}",
        seen.status,
        seen.text()
    );
    // Nor do the statistics of a citizen's container stand in the catalogue.
    let catalog = server.client().get("/catalog").await.text();
    assert!(!catalog.contains("urn:x:said"), "{catalog}");
    server.stop().await;
}

/// People consent to a dataset; then its owner adds a container of which nobody had spoken.
#[tokio::test(flavor = "multi_thread")]
async fn con_12_a_consent_to_a_dataset_covers_what_it_reached_then() {
    let settings = json!({ "dataspace": { "umbrella_storages": ["kortrijk"] } });
    let server = PodServer::start_with(settings).await;
    let city = server.agent("kortrijk").await.client();
    let jan = server.agent("jan").await.client();
    let company = Consumer::new(&server, "company").await;
    put(&jan, "/jan/telraam/d.ttl", document("telling")).await;
    put(&jan, "/jan/dagboek/d.ttl", document(SECRET)).await;
    let path = "/kortrijk/.dataspace/datasets/d";
    put(&city, path, dataset("meent:memberContainer \"telraam/\"", true, "")).await;
    let consent = || async {
        let terms = json!({
            "recipients": [company.web_id], "purposes": [MOBILITY],
            "data": { "datasets": [format!("{}kortrijk/.dataspace/datasets/d", server.base_url)] },
            "notice": { "language": "nl", "text": "Mogen wij uw tellingen gebruiken?" },
        });
        let request = jan
            .request("POST", "/jan/.consent/")
            .content("application/json", terms.to_string());
        let given = request.send().await;
        assert_eq!(given.status, 201, "{}", given.text());
    };
    consent().await;
    let token = company.agreement_token("kortrijk", "d").await;
    let seen = company.query("kortrijk", &token, EVERYTHING).await;
    assert!(seen.text().contains("telling"), "{} {}", seen.status, seen.text());
    // Saying the same again takes nothing from anyone.
    put(&city, path, dataset("meent:memberContainer \"telraam/\"", true, "")).await;
    assert!(
        company
            .query("kortrijk", &token, EVERYTHING)
            .await
            .text()
            .contains("telling")
    );
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    put(
        &city,
        path,
        dataset("meent:memberContainer \"telraam/\" , \"dagboek/\"", true, ""),
    )
    .await;
    let seen = company.query("kortrijk", &token, EVERYTHING).await;
    assert!(!seen.text().contains(SECRET), "{}", seen.text());
    // Nor does making it anew help.
    assert_eq!(city.delete(path).await.status, 204);
    put(
        &city,
        path,
        dataset("meent:memberContainer \"telraam/\" , \"dagboek/\"", true, ""),
    )
    .await;
    let seen = company.query("kortrijk", &token, EVERYTHING).await;
    assert!(!seen.text().contains(SECRET), "{}", seen.text());
    consent().await;
    let seen = company.query("kortrijk", &token, EVERYTHING).await;
    assert!(
        seen.text().contains(SECRET),
        "a consent to the wider dataset counts: {}",
        seen.text()
    );
    server.stop().await;
}

/// T87: a query waits for its turn, the right to the data ends, and only then the query is evaluated.
///
/// Requirements ENF-39.
#[tokio::test(flavor = "multi_thread")]
async fn t87_a_right_that_ends_while_a_query_waits_counts() {
    let settings = json!({ "query": {
        "concurrent_max": 1, "queue_ms_max": 60_000, "time_ms_max": 3_000,
        "scanned_max": 1_000_000_000_000_u64, "copies_max": 1_000_000_000_000_u64,
    } });
    let server = PodServer::start_with(settings).await;
    let (jan, bob) = (server.agent("jan").await, server.agent("bob").await);
    let (owner, reader) = (jan.client(), bob.client());
    put(&owner, "/jan/d.ttl", document(SECRET)).await;
    put(
        &owner,
        "/jan/.acl",
        acl(&jan.web_id, &[(&agent(&bob.web_id), "acl:Read")]),
    )
    .await;
    let many: String = (0..3_000).map(|n| format!("<urn:x:s{n}> <urn:x:p> {n} . ")).collect();
    put(&reader, "/bob/many.ttl", many).await;
    put(
        &reader,
        "/bob/.acl",
        acl(&bob.web_id, &[("acl:agentClass foaf:Agent", "acl:Read")]),
    )
    .await;
    let seen = select(&reader, "/jan/sparql", EVERYTHING).await;
    assert!(seen.text().contains(SECRET), "{} {}", seen.status, seen.text());
    let slow =
        "SELECT (COUNT(*) AS ?n) { ?a <urn:x:p> ?b . ?c <urn:x:p> ?d . ?e <urn:x:p> ?f FILTER(?b + ?d < ?f - 100000) }";
    let anyone = server.client();
    let busy = {
        let anyone = anyone.clone();
        tokio::spawn(async move { select(&anyone, "/bob/sparql", slow).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let victim = tokio::spawn(async move { select(&reader, "/jan/sparql", EVERYTHING).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let others: Vec<_> = (0..3)
        .map(|_| {
            let anyone = anyone.clone();
            tokio::spawn(async move { select(&anyone, "/bob/sparql", slow).await })
        })
        .collect();
    busy.await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    put(&owner, "/jan/.acl", acl(&jan.web_id, &[])).await;
    assert!(
        !victim.is_finished(),
        "the query had to wait for this test to mean anything"
    );
    let seen = victim.await.unwrap();
    assert!(!seen.text().contains(SECRET), "{} {}", seen.status, seen.text());
    for other in others {
        other.await.unwrap();
    }
    server.stop().await;
}

/// T99: the name of a negotiation follows from who asks for what, so whether it exists must not be told to strangers.
#[tokio::test(flavor = "multi_thread")]
async fn t99_a_stranger_cannot_tell_whether_a_negotiation_exists() {
    let server = PodServer::start().await;
    let city = server.agent("gent").await.client();
    let stranger = server.agent("stranger").await.client();
    let company = Consumer::new(&server, "company").await;
    put(
        &city,
        "/gent/.dataspace/datasets/d",
        dataset(&container(&server, "gent/open/"), false, ""),
    )
    .await;
    let asked = company.ask("gent", "d", None).await;
    let existing = asked.header("location").rsplit('/').next().unwrap().to_owned();
    let absent = "0".repeat(existing.len());
    for (method, verb) in [("GET", ""), ("POST", "/agree"), ("POST", "/terminate")] {
        let mut told = Vec::new();
        for id in [&existing, &absent] {
            let path = format!("/gent/.dataspace/negotiations/{id}{verb}");
            let reply = stranger.request(method, &path).send().await;
            told.push((reply.status, reply.text().replace(id.as_str(), "*")));
        }
        assert_eq!(told[0], told[1], "{method} {verb}");
        assert_eq!(told[0].0, 404);
    }
    server.stop().await;
}

/// NEG: the pages of a list tell a party of its own agreements only, and nobody else that there are any.
#[tokio::test(flavor = "multi_thread")]
async fn t99_a_list_of_agreements_counts_the_callers_own_only() {
    let server = PodServer::start_with(json!({ "dataspace": { "page_entries_max": 1 } })).await;
    let city = server.agent("gent").await.client();
    let stranger = server.agent("stranger").await.client();
    let path = "/gent/.dataspace/datasets/d";
    put(&city, path, dataset(&container(&server, "gent/open/"), false, "")).await;
    let (one, other) = (
        Consumer::new(&server, "one").await,
        Consumer::new(&server, "other").await,
    );
    for company in [&one, &other] {
        assert_eq!(company.ask("gent", "d", None).await.status, 201);
    }
    let list = "/gent/.dataspace/agreements";
    let nothing = json!({ "agreements": [], "next": null });
    assert_eq!(stranger.get(list).await.json(), nothing);

    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = city.get(&format!("{list}?after={after}")).await.json();
        seen.extend(
            page["agreements"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["assignee"].clone()),
        );
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    seen.sort_by_key(ToString::to_string);
    assert_eq!(seen, [json!(one.web_id), json!(other.web_id)]);
    server.stop().await;
}

/// T125: anybody may ask, and nobody may fill the owner's storage by asking.
#[tokio::test(flavor = "multi_thread")]
async fn t125_one_consumer_cannot_ask_without_end() {
    let settings = json!({ "dataspace": { "negotiations_max": 3 } });
    let server = PodServer::start_with(settings).await;
    let city = server.agent("gent").await.client();
    let (greedy, modest) = (
        Consumer::new(&server, "greedy").await,
        Consumer::new(&server, "modest").await,
    );
    put(
        &city,
        "/gent/.dataspace/datasets/d",
        dataset(&container(&server, "gent/open/"), false, ""),
    )
    .await;
    for number in 0..5 {
        let asked = greedy.ask("gent", "d", Some(&format!("pid{number}"))).await;
        assert_eq!(
            asked.status,
            if number < 3 { 201 } else { 429 },
            "{number}: {}",
            asked.text()
        );
    }
    assert_eq!(
        greedy.ask("gent", "d", Some("pid1")).await.status,
        200,
        "what was asked stays answered"
    );
    assert_eq!(modest.ask("gent", "d", None).await.status, 201);
    server.stop().await;
}

/// solid#78: an application in a browser sends its origin. It sees by query what it may read by GET.
#[tokio::test(flavor = "multi_thread")]
async fn an_origin_counts_for_queries_as_for_resources() {
    let server = PodServer::start().await;
    let (jan, bob) = (server.agent("jan").await, server.agent("bob").await);
    let (owner, reader) = (jan.client(), bob.client());
    put(&owner, "/jan/d.ttl", document("telling")).await;
    let plain = acl(&jan.web_id, &[(&agent(&bob.web_id), "acl:Read")]);
    let listed = format!("{}; acl:origin <https://known.example>", agent(&bob.web_id));
    let named = acl(&jan.web_id, &[(&listed, "acl:Read")]);
    for (rights, origin, expected) in [
        (&plain, "https://app.example", true),
        (&named, "https://app.example", false),
        (&named, "https://known.example", true),
    ] {
        put(&owner, "/jan/.acl", rights.as_str()).await;
        let got = reader
            .request("GET", "/jan/d.ttl")
            .header("origin", origin)
            .send()
            .await;
        assert_eq!(got.status == 200, expected, "GET {origin}: {}", got.status);
        let query = reader.request("POST", "/jan/sparql").header("origin", origin);
        let found = query.content("application/sparql-query", EVERYTHING).send().await;
        assert_eq!(
            found.text().contains("telling"),
            expected,
            "query {origin}: {}",
            found.text()
        );
    }
    server.stop().await;
}

/// Invariant 8: the owner of a group on another server takes somebody out; queries must notice as reads do.
#[tokio::test(flavor = "multi_thread")]
async fn inv_8_a_member_who_left_a_remote_group_sees_nothing_more() {
    let settings = json!({ "authz": { "group_cache_seconds": 0 } });
    let server = PodServer::start_with(settings).await;
    let elsewhere = PodServer::start().await;
    let (jan, bob) = (server.agent("jan").await, server.agent("bob").await);
    let keeper = elsewhere.agent("keeper").await;
    let (owner, reader, groups) = (jan.client(), bob.client(), keeper.client());
    let members = |web_id: &str| format!("<#g> <http://www.w3.org/2006/vcard/ns#hasMember> <{web_id}> .");
    put(&groups, "/keeper/open/g.ttl", members(&bob.web_id)).await;
    let public = acl(&keeper.web_id, &[("acl:agentClass foaf:Agent", "acl:Read")]);
    put(&groups, "/keeper/open/.acl", public).await;
    put(&owner, "/jan/d.ttl", document(SECRET)).await;
    let group = format!("acl:agentGroup <{}keeper/open/g.ttl#g>", elsewhere.base_url);
    put(&owner, "/jan/.acl", acl(&jan.web_id, &[(&group, "acl:Read")])).await;
    assert_eq!(reader.get("/jan/d.ttl").await.status, 200);
    let seen = select(&reader, "/jan/sparql", EVERYTHING).await;
    assert!(seen.text().contains(SECRET), "{} {}", seen.status, seen.text());
    put(&groups, "/keeper/open/g.ttl", members("https://nobody.example/#me")).await;
    assert_eq!(reader.get("/jan/d.ttl").await.status, 403);
    let seen = select(&reader, "/jan/sparql", EVERYTHING).await;
    assert!(!seen.text().contains(SECRET), "{}", seen.text());
    server.stop().await;
    elsewhere.stop().await;
}

/// A document whose name belongs to the endpoint could be made under another spelling and never be read under its own.
#[tokio::test(flavor = "multi_thread")]
async fn t4_the_name_of_the_endpoint_is_taken() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    for path in [
        "/alice/%73parql",
        "/alice/sparq%6C",
        "/alice/sparql/",
        "/alice/sparql/x",
    ] {
        let made = alice.put(path, "text/turtle", document("x")).await;
        assert_eq!(made.status, 405, "{path}: {}", made.text());
    }
    let request = alice.request("POST", "/alice/").header("slug", "sparql");
    let made = request.content("text/turtle", document("x")).send().await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(
        !made.header("location").ends_with("/sparql"),
        "{}",
        made.header("location")
    );
    server.stop().await;
}
