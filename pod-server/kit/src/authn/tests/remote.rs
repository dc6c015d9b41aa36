//! Issuers and profiles elsewhere, over real TLS (T33, T35; solid#94, #95).

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::test_network::{Answer, TestNetwork, TestServer, answer};

/// An issuer and profiles on one server of a test network.
struct Remote {
    fixture: Fixture,
    server: TestServer,
    provider: Arc<Provider>,
    issuer_key: Key,
    _network: TestNetwork,
}

/// What the remote server says now.
struct Provider {
    issuer: Mutex<String>,
    keys: Mutex<Value>,
    profile: Mutex<(u16, Vec<(String, String)>, String)>,
    down: Mutex<bool>,
    key_fetches: AtomicUsize,
    profile_fetches: AtomicUsize,
}

impl Remote {
    async fn new() -> Self {
        let network = TestNetwork::new();
        let provider = Arc::new(Provider {
            issuer: Mutex::default(),
            keys: Mutex::new(json!({ "keys": [] })),
            profile: Mutex::new((404, Vec::new(), String::new())),
            down: Mutex::new(false),
            key_fetches: AtomicUsize::new(0),
            profile_fetches: AtomicUsize::new(0),
        });
        let server = network.server(Self::respond(Arc::clone(&provider))).await;
        *provider.issuer.lock() = server.url("/");
        let fixture = Fixture::with(AuthnConfig::default(), network.egress(&[server.host()]));
        let remote = Self {
            fixture,
            server,
            provider,
            issuer_key: Key::new(),
            _network: network,
        };
        remote.publish(&[("one", &remote.issuer_key)]);
        remote.profile(
            200,
            &[("content-type", "text/turtle")],
            &remote.names(&remote.server.url("/")),
        );
        remote
    }

    fn respond(provider: Arc<Provider>) -> Answer {
        Arc::new(move |request| {
            if *provider.down.lock() {
                return answer(500, &[], "down");
            }
            let issuer = provider.issuer.lock().clone();
            match request.uri().path() {
                "/.well-known/openid-configuration" => {
                    let base = format!(
                        "https://{}",
                        request.uri().authority().map_or("", |authority| authority.as_str())
                    );
                    answer(
                        200,
                        &[],
                        json!({ "issuer": issuer, "jwks_uri": format!("{base}/jwks") }).to_string(),
                    )
                }
                "/jwks" => {
                    provider.key_fetches.fetch_add(1, Ordering::SeqCst);
                    answer(200, &[], provider.keys.lock().to_string())
                }
                "/an/profile" => {
                    provider.profile_fetches.fetch_add(1, Ordering::SeqCst);
                    let (status, headers, body) = provider.profile.lock().clone();
                    let headers: Vec<(&str, &str)> = headers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
                    answer(status, &headers, body)
                }
                "/moved" => answer(
                    200,
                    &[("content-type", "text/turtle")],
                    provider.profile.lock().2.clone(),
                ),
                _ => answer(404, &[], ""),
            }
        })
    }

    fn publish(&self, keys: &[(&str, &Key)]) {
        let keys: Vec<Value> = keys
            .iter()
            .map(|(kid, key)| {
                let mut jwk = key.public.clone();
                jwk.insert("kid".to_owned(), (*kid).into());
                jwk.into()
            })
            .collect();
        *self.provider.keys.lock() = json!({ "keys": keys });
    }

    fn profile(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        *self.provider.profile.lock() = (status, headers, body.to_owned());
    }

    fn webid(&self) -> String {
        self.server.url("/an/profile#me")
    }

    fn names(&self, issuer: &str) -> String {
        format!(
            "<{}> <http://www.w3.org/ns/solid/terms#oidcIssuer> <{issuer}> .",
            self.webid()
        )
    }

    fn token_by(&self, kid: &str, key: &Key) -> String {
        let mut claims = self.fixture.claims();
        (claims["iss"], claims["webid"]) = (self.server.url("/").into(), self.webid().into());
        compact(
            &json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }),
            &claims,
            &*key.signer,
        )
        .unwrap()
    }

    fn token(&self) -> String {
        self.token_by("one", &self.issuer_key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn solid94_solid95_a_token_of_any_issuer_that_the_profile_names() {
    let remote = Remote::new().await;
    let credentials = remote.fixture.present_token(&remote.token()).await.unwrap();
    assert_eq!(
        credentials.agent,
        Agent::Authenticated(WebId::parse(remote.webid()).unwrap())
    );
    assert_eq!(credentials.issuer, Some(remote.server.url("/")));
}

/// T67: a profile is a stranger's document, and its brackets must not end the server.
#[tokio::test(flavor = "multi_thread")]
async fn t67_a_nested_profile_is_no_profile() {
    const LEVELS: usize = 15_000;
    let remote = Remote::new().await;
    let json = format!("{}1{}", "{\"urn:x:p\":".repeat(LEVELS), "}".repeat(LEVELS));
    let turtle = format!(
        "{} <urn:x:s> <urn:x:p> {}<o>{} .",
        remote.names(&remote.server.url("/")),
        "<<(<> <> ".repeat(LEVELS),
        ")>>".repeat(LEVELS)
    );
    for (media_type, text) in [("application/ld+json", json), ("text/turtle", turtle)] {
        remote.profile(200, &[("content-type", media_type)], &text);
        assert!(said(remote.fixture.present_token(&remote.token()).await).contains("does not name"));
        remote.fixture.clock.advance(20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_a_burst_costs_the_issuer_one_fetch_and_rotation_is_followed() {
    let remote = Arc::new(Remote::new().await);
    let burst: Vec<_> = (0..300)
        .map(|_| {
            let remote = Arc::clone(&remote);
            tokio::spawn(async move { remote.fixture.present_token(&remote.token()).await.is_ok() })
        })
        .collect();
    for request in burst {
        assert!(request.await.unwrap());
    }
    let fetches = || remote.provider.key_fetches.load(Ordering::SeqCst);
    assert_eq!(
        (fetches(), remote.provider.profile_fetches.load(Ordering::SeqCst)),
        (1, 1)
    );

    // A key id that is not published is looked for, but not for every request that names it.
    let new = Key::new();
    remote.fixture.clock.advance(20);
    for _ in 0..50 {
        assert!(said(remote.fixture.present_token(&remote.token_by("two", &new)).await).contains("no key"));
    }
    assert!(fetches() <= 2, "{} fetches", fetches());
    remote.publish(&[("two", &new)]);
    remote.fixture.clock.advance(20);
    remote
        .fixture
        .present_token(&remote.token_by("two", &new))
        .await
        .unwrap();
    assert!(
        said(remote.fixture.present_token(&remote.token()).await).contains("no key"),
        "the old key is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_keys_outlive_a_short_failure_but_not_a_long_one() {
    let remote = Remote::new().await;
    remote.fixture.present_token(&remote.token()).await.unwrap();
    *remote.provider.down.lock() = true;
    // Only the keys are of interest: the profile is asked through the memory's own time.
    for (after, accepted) in [(310, true), (280, true), (20, false)] {
        remote.fixture.clock.advance(after);
        let said = match remote.fixture.present_token(&remote.token()).await {
            Ok(_) => "accepted".to_owned(),
            Err(rejection) => rejection.description.to_owned(),
        };
        assert_eq!(!said.contains("no key"), accepted, "after {after} s more: {said}");
    }
}

/// T35: a moment without an answer is forgotten soon, a wrong answer later.
#[tokio::test(flavor = "multi_thread")]
async fn t35_an_issuer_that_was_away_for_a_moment_is_back_soon() {
    let remote = Remote::new().await;
    *remote.provider.down.lock() = true;
    assert!(said(remote.fixture.present_token(&remote.token()).await).contains("cannot be fetched now"));
    *remote.provider.down.lock() = false;
    assert!(
        remote.fixture.present_token(&remote.token()).await.is_err(),
        "it is not asked for every request"
    );
    remote.fixture.clock.advance(2);
    remote.fixture.present_token(&remote.token()).await.unwrap();

    let remote = Remote::new().await;
    let right = remote.provider.keys.lock().clone();
    *remote.provider.keys.lock() = json!("keys");
    assert!(remote.fixture.present_token(&remote.token()).await.is_err());
    *remote.provider.keys.lock() = right;
    remote.fixture.clock.advance(2);
    assert!(
        remote.fixture.present_token(&remote.token()).await.is_err(),
        "what was wrong is remembered longer"
    );
    remote.fixture.clock.advance(10);
    remote.fixture.present_token(&remote.token()).await.unwrap();

    // A profile likewise.
    let remote = Remote::new().await;
    let right = remote.provider.profile.lock().clone();
    remote.profile(503, &[], "");
    assert!(remote.fixture.present_token(&remote.token()).await.is_err());
    *remote.provider.profile.lock() = right;
    remote.fixture.clock.advance(2);
    remote.fixture.present_token(&remote.token()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_an_issuer_that_lies_or_floods_is_refused() {
    type Change = fn(&Remote);
    let changes: [(&str, Change); 5] = [
        ("speaks for another", |remote| {
            *remote.provider.issuer.lock() = "https://other.example/".to_owned()
        }),
        ("key flood", |remote| {
            let many: Vec<Value> = (0..101).map(|_| remote.issuer_key.public.clone().into()).collect();
            *remote.provider.keys.lock() = json!({ "keys": many });
        }),
        ("endless keys", |remote| {
            *remote.provider.keys.lock() = json!({ "keys": [], "filler": "x".repeat(300_000) })
        }),
        ("not keys", |remote| *remote.provider.keys.lock() = json!("keys")),
        ("key for encryption", |remote| {
            remote.provider.keys.lock()["keys"][0]["use"] = "enc".into()
        }),
    ];
    for (name, change) in changes {
        let remote = Remote::new().await;
        change(&remote);
        let said = said(remote.fixture.present_token(&remote.token()).await);
        assert!(
            said.starts_with("401") && said.contains("no key of the token's issuer fits"),
            "{name}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t33_a_profile_must_say_so_itself() {
    let turtle = [("content-type", "text/turtle")];
    type Change = fn(&Remote, &[(&str, &str)]);
    let refused: [(&str, Change); 9] = [
        ("another issuer", |remote, turtle| {
            remote.profile(200, turtle, &remote.names("https://other.example/"))
        }),
        ("nothing", |remote, turtle| remote.profile(200, turtle, "")),
        ("about another", |remote, turtle| {
            remote.profile(
                200,
                turtle,
                &remote.names(&remote.server.url("/")).replace("#me", "#you"),
            );
        }),
        ("not RDF", |remote, _| {
            remote.profile(
                200,
                &[("content-type", "text/html")],
                &remote.names(&remote.server.url("/")),
            )
        }),
        ("no type", |remote, _| {
            remote.profile(200, &[], &remote.names(&remote.server.url("/")))
        }),
        ("broken", |remote, turtle| {
            remote.profile(200, turtle, &format!("{} <", remote.names(&remote.server.url("/"))))
        }),
        ("absent", |remote, turtle| {
            remote.profile(404, turtle, &remote.names(&remote.server.url("/")))
        }),
        ("endless", |remote, turtle| {
            remote.profile(
                200,
                turtle,
                &format!("{}\n#{}", remote.names(&remote.server.url("/")), "x".repeat(300_000)),
            );
        }),
        ("moved to another origin", |remote, _| {
            let target = format!("https://127.0.0.1:{}/moved", remote.server.address.port());
            remote.profile(302, &[("location", &target)], &remote.names(&remote.server.url("/")));
        }),
    ];
    for (name, change) in refused {
        let remote = Remote::new().await;
        change(&remote, &turtle);
        let said = said(remote.fixture.present_token(&remote.token()).await);
        assert!(said.contains("does not name the token's issuer"), "{name}: {said}");
    }
    let accepted: [(&str, Change); 3] = [
        ("moved within its origin", |remote, _| {
            remote.profile(302, &[("location", "/moved")], &remote.names(&remote.server.url("/")));
        }),
        ("without the last slash", |remote, turtle| {
            remote.profile(200, turtle, &remote.names(remote.server.url("/").trim_end_matches('/')));
        }),
        ("JSON-LD", |remote, _| {
            let body = json!({
                "@id": remote.webid(), "http://www.w3.org/ns/solid/terms#oidcIssuer": { "@id": remote.server.url("/") },
            });
            remote.profile(200, &[("content-type", "application/ld+json")], &body.to_string());
        }),
    ];
    for (name, change) in accepted {
        let remote = Remote::new().await;
        change(&remote, &turtle);
        let outcome = remote.fixture.present_token(&remote.token()).await;
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_issuer_stops_counting_within_the_memory_time() {
    let remote = Remote::new().await;
    remote.fixture.present_token(&remote.token()).await.unwrap();
    remote.profile(200, &[("content-type", "text/turtle")], "");
    remote.fixture.clock.advance(121);
    assert!(said(remote.fixture.present_token(&remote.token()).await).contains("does not name"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_client_credentials_is_asked_with_a_proof() {
    let network = TestNetwork::new();
    let server = network
        .server(Arc::new(|request| {
            let basic = request
                .headers()
                .get(AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("");
            let proof = request.headers().contains_key("dpop");
            match (request.uri().path(), basic, proof) {
                ("/token", "Basic aWQlM0EyOnNlY3JldA==", true) => answer(
                    200,
                    &[],
                    r#"{"access_token":"a.b.c","token_type":"DPoP","expires_in":300}"#,
                ),
                ("/bearer", _, true) => answer(200, &[], r#"{"access_token":"a.b.c","token_type":"Bearer"}"#),
                _ => answer(400, &[], r#"{"error":"invalid_client"}"#),
            }
        }))
        .await;
    let egress = network.egress(&[server.host()]);
    let key = client::DpopKey::generate().unwrap();
    let clock = FixedClock::at_unix(NOW);
    let ask = |path: &str, id: &'static str| {
        let (url, egress, key, clock) = (server.url(path), &egress, &key, &clock);
        async move { client::client_credentials(egress, &url, (id, "secret"), key, clock, &SystemRandom).await }
    };
    assert_eq!(ask("/token", "id:2").await.unwrap().access_token, "a.b.c");
    let refused = ask("/token", "other")
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        refused.contains("400") && refused.contains("invalid_client"),
        "{refused}"
    );
    assert!(
        ask("/bearer", "id:2").await.is_err(),
        "a token that is bound to nothing"
    );
}
