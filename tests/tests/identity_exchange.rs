//! Who asks without credentials is told where to get them, and an ID token can be exchanged for an access token
//! (solid#93-97, UMA 2.0 grant).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use http::Method;
use meent_tests::pod::{Agent, Client, PodServer, Reply};
use serde_json::{Value, json};
use server_kit::authn::LocalIssuer;
use server_kit::authn::client::DpopKey;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::{Random, SystemRandom};

const PROFILE: &str = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken";
const SECRET: &str = "the-secret-that-nobody-else-may-see";
const CLIENT: &str = "https://app.example/id";

/// A server with one private document, its owner, and a key that nothing is bound to yet.
struct Scene {
    server: PodServer,
    owner: Agent,
    key: DpopKey,
}

impl Scene {
    async fn new() -> Self {
        let server = PodServer::start().await;
        let owner = server.agent("alice").await;
        let put = owner.client().put("/alice/private", "text/plain", SECRET).await;
        assert_eq!(put.status, 201, "{}", put.text());
        let key = DpopKey::generate().unwrap();
        Self { server, owner, key }
    }

    fn id_claims(&self) -> Value {
        let now = SystemClock.unix();
        json!({
            "iss": self.server.console_url, "sub": self.owner.web_id, "aud": [CLIENT, "solid"], "azp": CLIENT,
            "webid": self.owner.web_id, "iat": now, "exp": now + 600, "cnf": { "jkt": self.key.thumbprint() },
        })
    }

    fn id_token(&self) -> String {
        self.server.app.issuer.sign_typed("JWT", &self.id_claims()).unwrap()
    }

    async fn ticket(&self) -> String {
        challenge(&self.server.client().get("/alice/private").await)["ticket"].clone()
    }

    async fn exchange(&self, fields: &[(&str, &str)]) -> Reply {
        let url = format!("{}.oidc/token", self.server.console_url);
        let proof = self
            .key
            .proof(&Method::POST, &url, None, SystemClock.unix(), &SystemRandom)
            .unwrap();
        post(&self.server.console_url, fields, &proof).await
    }

    /// A good exchange but for some fields.
    async fn exchange_with(&self, token: &str, changes: &[(&str, &str)]) -> Reply {
        let ticket = self.ticket().await;
        let usual = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:uma-ticket"),
            ("ticket", ticket.as_str()),
            ("claim_token", token),
            ("claim_token_format", PROFILE),
        ];
        let mut fields: Vec<(&str, &str)> = usual
            .into_iter()
            .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name))
            .collect();
        fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        self.exchange(&fields).await
    }

    /// Reads the private document with a token.
    async fn read(&self, token: &str) -> Reply {
        read(
            &self.server.client(),
            &format!("{}alice/private", self.server.base_url),
            &self.key,
            token,
        )
        .await
    }
}

async fn post(console_url: &str, fields: &[(&str, &str)], proof: &str) -> Reply {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    Client::new(console_url)
        .request("POST", "/.oidc/token")
        .header("dpop", proof)
        .content("application/x-www-form-urlencoded", form.finish())
        .send()
        .await
}

async fn read(client: &Client, url: &str, key: &DpopKey, token: &str) -> Reply {
    let proof = key
        .proof(&Method::GET, url, Some(token), SystemClock.unix(), &SystemRandom)
        .unwrap();
    client
        .request("GET", url)
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof)
        .send()
        .await
}

/// The parameters of the UMA challenge of a refusal.
fn challenge(reply: &Reply) -> std::collections::BTreeMap<String, String> {
    assert_eq!(reply.status, 401, "{}", reply.text());
    let lines = reply.headers.get_all("www-authenticate");
    let line = lines
        .iter()
        .find_map(|line| line.to_str().unwrap().strip_prefix("UMA "));
    let parameters = line.expect("an UMA challenge").split(", ");
    parameters
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('"').to_owned())
        })
        .collect()
}

/// Requirement solid 93. A refusal names the authorization server, in both ways, on errors of every kind, and scripts may
/// read it.
#[tokio::test]
async fn a_refusal_says_where_credentials_come_from() {
    let scene = Scene::new().await;
    let anyone = scene.server.client();
    let refusals = [
        anyone.get("/alice/private").await,
        anyone.get("/alice/nothing-here").await,
        anyone.put("/alice/new", "text/plain", "x").await,
        scene.read("nonsense").await,
        anyone
            .request("GET", "/alice/private")
            .header("origin", "https://app.example")
            .send()
            .await,
    ];
    let mut tickets = std::collections::BTreeSet::new();
    for reply in &refusals {
        let told = challenge(reply);
        assert_eq!(told["as_uri"], scene.server.console_url);
        assert_eq!(told["realm"], scene.server.base_url);
        assert!(tickets.insert(told["ticket"].clone()), "a ticket was given twice");
        let first = reply.header("www-authenticate");
        assert!(first.starts_with("DPoP ") && first.contains("algs=\""), "{first}");
        assert!(
            first.contains(&format!("as_uri=\"{}\"", scene.server.console_url)),
            "{first}"
        );
    }
    let exposed = refusals[4].header("access-control-expose-headers").to_ascii_lowercase();
    assert!(exposed.contains("www-authenticate"), "{exposed}");
    // The authorization server that is named says what it can do.
    let console = Client::new(&scene.server.console_url);
    let uma = console.get("/.well-known/uma2-configuration").await.json();
    assert_eq!(uma["issuer"], scene.server.console_url.as_str());
    assert_eq!(uma["uma_profiles_supported"], json!([PROFILE]));
    assert_eq!(
        uma["token_endpoint"],
        format!("{}.oidc/token", scene.server.console_url)
    );
    scene.server.stop().await;
}

/// Requirements solid 94, 96 and 97. An access token is had for an ID token, and both ways stand side by side.
#[tokio::test]
async fn an_id_token_is_exchanged_for_an_access_token() {
    let scene = Scene::new().await;
    let id_token = scene.id_token();
    let answer = scene.exchange_with(&id_token, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_eq!(told["token_type"], "DPoP");
    assert!(told["expires_in"].as_i64().unwrap() <= 300);
    let token = told["access_token"].as_str().unwrap();
    let seen = scene.read(token).await;
    assert_eq!((seen.status.as_u16(), seen.text().as_str()), (200, SECRET));
    // The direct way: an access token of the issuer itself.
    let direct = scene.owner.client().get("/alice/private").await;
    assert_eq!(direct.text(), SECRET);
    // The ID token itself opens nothing, nor does the new token with another key.
    assert_eq!(scene.read(&id_token).await.status, 401);
    let thief = DpopKey::generate().unwrap();
    let url = format!("{}alice/private", scene.server.base_url);
    assert_eq!(read(&scene.server.client(), &url, &thief, token).await.status, 401);
    // It may not say yes in the person's name.
    let body = json!({ "recipients": ["https://company.example/#us"], "purposes": [], "data": {} });
    let url = format!("{}alice/.consent/", scene.server.base_url);
    let proof = scene
        .key
        .proof(&Method::POST, &url, Some(token), SystemClock.unix(), &SystemRandom)
        .unwrap();
    let refused = scene
        .server
        .client()
        .request("POST", &url)
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof)
        .content("application/json", body.to_string())
        .send()
        .await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused.header("www-authenticate").contains("insufficient_scope"),
        "{}",
        refused.text()
    );
    scene.server.stop().await;
}

/// Requirement solid 96. A ticket counts once, was made here, and is needed; what is missing is asked for.
#[tokio::test]
async fn tickets_count_once_and_missing_claims_are_asked_for() {
    let scene = Scene::new().await;
    let id_token = scene.id_token();
    let ticket = scene.ticket().await;
    let error = |reply: &Reply| {
        (
            reply.status.as_u16(),
            reply.json()["error"].as_str().unwrap_or("").to_owned(),
        )
    };
    let used = [("ticket", ticket.as_str())];
    assert_eq!(scene.exchange_with(&id_token, &used).await.status, 200);
    assert_eq!(
        error(&scene.exchange_with(&id_token, &used).await),
        (400, "invalid_grant".into())
    );
    for (changes, expected) in [
        ([("ticket", "")], (400, "invalid_request")),
        ([("ticket", "AAAA")], (400, "invalid_grant")),
        ([("claim_token", "")], (403, "need_info")),
        (
            [("claim_token_format", "urn:ietf:params:oauth:token-type:jwt")],
            (403, "need_info"),
        ),
        ([("client_id", "https://other.example/id")], (401, "invalid_client")),
    ] {
        let reply = scene.exchange_with(&id_token, &changes).await;
        assert_eq!(
            error(&reply),
            (expected.0, expected.1.to_owned()),
            "{changes:?}: {}",
            reply.text()
        );
        if expected.1 == "need_info" {
            let told = reply.json();
            assert_eq!(told["required_claims"][0]["claim_token_format"], json!([PROFILE]));
            let next = [("ticket", told["ticket"].as_str().unwrap())];
            assert_eq!(
                scene.exchange_with(&id_token, &next).await.status,
                200,
                "the ticket of the answer counts"
            );
        }
    }
    scene.server.stop().await;
}

/// Requirements solid 94 and 95, T30-T33. Every claim of an ID token is checked before it is worth anything.
#[tokio::test]
async fn every_claim_of_an_id_token_is_checked() {
    let scene = Scene::new().await;
    let server = &scene.server;
    let now = SystemClock.unix();
    let other = format!("{}bob/profile/card#me", server.base_url);
    let cases: Vec<(&str, Value, u16)> = vec![
        ("iss", json!("http://127.0.0.1:9/"), 403),
        ("iss", json!(server.console_url.trim_end_matches('/')), 403),
        ("aud", json!("solid"), 403),
        ("aud", json!([CLIENT]), 403),
        ("aud", json!(["https://other.example/id", "solid"]), 403),
        ("azp", json!("https://other.example/id"), 403),
        ("azp", json!(""), 403),
        ("azp", Value::Null, 403),
        ("webid", json!(other), 403),
        ("webid", json!("mailto:alice@example.org"), 403),
        ("webid", Value::Null, 403),
        ("iat", json!(now + 600), 403),
        ("iat", json!("now"), 403),
        ("exp", json!(now - 600), 403),
        ("exp", Value::Null, 403),
        ("nbf", json!(now + 600), 403),
        ("cnf", json!({ "jkt": DpopKey::generate().unwrap().thumbprint() }), 400),
        ("cnf", Value::Null, 403),
        ("grant_id", json!("family/nobody/nothing"), 403),
    ];
    for (claim, value, status) in cases {
        let mut claims = scene.id_claims();
        match &value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value.clone(),
        }
        let token = server.app.issuer.sign_typed("JWT", &claims).unwrap();
        let reply = scene.exchange_with(&token, &[]).await;
        assert_eq!(reply.status, status, "{claim} = {value}: {}", reply.text());
        assert!(reply.json().get("access_token").is_none());
    }
    let directory = tempfile::tempdir().unwrap();
    let forger = LocalIssuer::load_or_generate(&*server.console_url, &directory.path().join("k")).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", scene.id_token().split('.').nth(1).unwrap());
    for (what, token) in [
        ("another key", forger.sign_typed("JWT", &scene.id_claims()).unwrap()),
        ("no signature", unsigned),
        ("an access token", server.app.issuer.sign(&scene.id_claims()).unwrap()),
        (
            "a proof",
            server.app.issuer.sign_typed("dpop+jwt", &scene.id_claims()).unwrap(),
        ),
        ("nonsense", SystemRandom.token(32)),
    ] {
        let reply = scene.exchange_with(&token, &[]).await;
        assert_eq!(reply.status, 403, "{what}: {}", reply.text());
    }
    assert_eq!(scene.exchange_with(&scene.id_token(), &[]).await.status, 200);
    scene.server.stop().await;
}

/// Requirements solid 94-97. Somebody with a WebID and an issuer elsewhere gets in either way, under the own issuer's name,
/// and only here; when the profile stops naming the issuer, it ends.
#[tokio::test]
async fn people_of_another_issuer_get_in_both_ways() {
    let (here, there) = (PodServer::start().await, PodServer::start().await);
    let alice = here.agent("alice").await;
    let visitor = there.agent("bob").await;
    let (owner, path) = (alice.client(), "/alice/shared");
    assert_eq!(owner.put(path, "text/plain", SECRET).await.status, 201);
    let rights = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#o> a acl:Authorization; acl:agent <{}>; acl:accessTo <shared>; \
         acl:mode acl:Read, acl:Write, acl:Control. <#v> a acl:Authorization; acl:agent <{}>; acl:accessTo <shared>; \
         acl:mode acl:Read.",
        alice.web_id, visitor.web_id
    );
    assert_eq!(owner.put("/alice/shared.acl", "text/turtle", rights).await.status, 201);
    // The direct way: the other issuer's access token.
    let url = format!("{}alice/shared", here.base_url);
    let [(_, authorization), (_, proof)] = visitor.credentials(&Method::GET, &url);
    let client = here.client();
    let direct = client
        .request("GET", &url)
        .header("authorization", authorization)
        .header("dpop", proof);
    assert_eq!(direct.send().await.text(), SECRET);
    // The second way: its ID token, exchanged here.
    let key = DpopKey::generate().unwrap();
    let now = SystemClock.unix();
    let claims = json!({
        "iss": there.console_url, "sub": visitor.web_id, "aud": [CLIENT, "solid"], "azp": CLIENT,
        "webid": visitor.web_id, "iat": now, "exp": now + 600, "cnf": { "jkt": key.thumbprint() },
    });
    let id_token = there.app.issuer.sign_typed("JWT", &claims).unwrap();
    let ticket = challenge(&client.get(path).await)["ticket"].clone();
    let endpoint = format!("{}.oidc/token", here.console_url);
    let proof = key.proof(&Method::POST, &endpoint, None, now, &SystemRandom).unwrap();
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:uma-ticket"),
        ("ticket", ticket.as_str()),
        ("claim_token", &id_token),
        ("claim_token_format", PROFILE),
    ];
    let answer = post(&here.console_url, &fields, &proof).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(read(&client, &url, &key, &token).await.text(), SECRET);
    // It was made for this server: elsewhere it is refused, even where its holder may read.
    let own = format!("{}bob/profile/card", there.base_url);
    assert_eq!(read(&there.client(), &own, &key, &token).await.status, 401);
    here.app.authenticator.forget_webid(&visitor.web_id);
    let emptied = visitor.client().put("/bob/profile/card", "text/turtle", "").await;
    assert!(emptied.status.is_success(), "{}", emptied.text());
    assert_eq!(read(&client, &url, &key, &token).await.status, 401);
    here.stop().await;
    there.stop().await;
}

/// The exchange can be switched off; then nothing speaks of it.
#[tokio::test]
async fn the_exchange_can_be_switched_off() {
    let server = PodServer::start_with(json!({ "identity": { "uma": false } })).await;
    server.agent("alice").await;
    let refused = server.client().get("/alice/").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers.get_all("www-authenticate").iter().count(), 1);
    let console = Client::new(&server.console_url);
    assert_eq!(console.get("/.well-known/uma2-configuration").await.status, 404);
    server.stop().await;
}

/// Requirement solid 103. A profile's `Link` names the issuers that its statements name, whoever reads it and however.
#[tokio::test]
async fn a_profile_links_to_its_issuers() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = server.client();
    let relation = "rel=\"http://www.w3.org/ns/solid/terms#oidcIssuer\"";
    let links = |reply: &Reply| -> Vec<String> {
        let lines = reply
            .headers
            .get_all("link")
            .iter()
            .map(|line| line.to_str().unwrap().to_owned());
        let all: Vec<String> = lines
            .flat_map(|line| line.split(", ").map(str::to_owned).collect::<Vec<_>>())
            .collect();
        all.into_iter().filter(|link| link.ends_with(relation)).collect()
    };
    let own = format!("<{}>; {relation}", server.console_url);
    for _ in 0..3 {
        assert_eq!(
            links(&client.get("/alice/profile/card").await),
            std::slice::from_ref(&own)
        );
    }
    assert_eq!(
        links(&client.request("HEAD", "/alice/profile/card").send().await),
        std::slice::from_ref(&own)
    );
    let json_ld = client
        .request("GET", "/alice/profile/card")
        .header("accept", "application/ld+json");
    assert_eq!(links(&json_ld.send().await), std::slice::from_ref(&own));
    let more = "@prefix solid: <http://www.w3.org/ns/solid/terms#>. _:p a solid:InsertDeletePatch; solid:inserts { \
                <#me> solid:oidcIssuer <https://other.example/>. <#you> solid:oidcIssuer <https://evil.example/>. } .";
    assert_eq!(alice.client().patch("/alice/profile/card", more).await.status, 204);
    let both = [own, format!("<https://other.example/>; {relation}")];
    assert_eq!(links(&client.get("/alice/profile/card").await), both);
    let written = alice.client().put("/alice/note", "text/turtle", "<> a <urn:x>.").await;
    assert_eq!(written.status, 201);
    assert!(links(&alice.client().get("/alice/note").await).is_empty());
    server.stop().await;
}
