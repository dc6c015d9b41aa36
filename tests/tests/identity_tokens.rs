//! What the issuer's tokens say, who may ask about them, and when they end (solid#99-102, T37, T40, T42).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use meent_tests::console::{Answer, Application, Console, Tokens, Visitor, parameter, pkce, quick, send};
use pod_server::identity::{account, credential};
use pod_server::store::{CommitError, RecordKind, StoreError, Transaction, Warrant, commit};
use serde_json::{Value, json};
use server_kit::authn::client::DpopKey;
use server_kit::clock::Clock;
use server_kit::random::SystemRandom;

const PASSWORD: &str = "fietsen langs de leie";
const WEBID: &str = "https://pod.example/gent/profile/card#me";

async fn console() -> Console {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    console
}

async fn logged_in(console: &Console) -> Visitor {
    let mut visitor = Visitor::new(console);
    visitor.log_in("gent", PASSWORD).await.unwrap();
    visitor
}

async fn tokens(console: &Console, application: &Application, visitor: &mut Visitor) -> Tokens {
    let (verifier, challenge) = pkce();
    let code = application.code(visitor, &challenge).await.unwrap();
    let answer = application.redeem(console, &code, &verifier).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    Tokens::read(&answer).unwrap()
}

/// What a resource server says to a request with a token.
async fn accepted(console: &Console, key: &DpopKey, token: &str) -> bool {
    let (url, mut headers) = ("https://pod.example/gent/data", HeaderMap::new());
    let now = console.clock.unix();
    key.authorize(&mut headers, &Method::GET, url, token, now, &SystemRandom)
        .unwrap();
    console
        .authenticator
        .authenticate(&Method::GET, url, &headers)
        .await
        .is_ok()
}

async fn machine(console: &Console, consents: bool) -> Application {
    let account = account::by_name(console.store.as_ref(), "gent").unwrap().unwrap();
    let (clock, store) = (console.clock.as_ref(), console.store.as_ref());
    let made = if consents {
        credential::create_for_consent(store, &account.id, "test", 3, clock, &SystemRandom).await
    } else {
        credential::create(store, &account.id, "test", 3, clock, &SystemRandom).await
    };
    let made = made.unwrap().unwrap();
    Application {
        id: made.id,
        secret: Some(made.secret),
        key: DpopKey::generate().unwrap(),
    }
}

async fn machine_token(console: &Console, machine: &Application) -> String {
    let answer = machine
        .token(console, &[("grant_type", "client_credentials")])
        .await
        .unwrap();
    Tokens::read(&answer).unwrap().access
}

/// Requirements solid 99, 101. ID tokens in the algorithm that a client asks for, and both are advertised; whoever gets
/// one finds its key published.
#[tokio::test]
async fn id_tokens_are_signed_as_the_client_asks() {
    let console = console().await;
    let mut visitor = logged_in(&console).await;
    let mut open = Visitor::new(&console);
    let metadata = open
        .open("/.well-known/openid-configuration")
        .await
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"],
        json!(["ES256", "RS256"])
    );
    assert!(
        metadata["scopes_supported"]
            .as_array()
            .unwrap()
            .contains(&json!("webid"))
    );
    for (asked, expected) in [
        (Value::Null, "ES256"),
        (json!("ES256"), "ES256"),
        (json!("RS256"), "RS256"),
    ] {
        let changes = match asked {
            Value::Null => json!({ "token_endpoint_auth_method": "none" }),
            asked => json!({ "token_endpoint_auth_method": "none", "id_token_signed_response_alg": asked }),
        };
        let application = Application::register_with(&console, changes).await.unwrap();
        let given = tokens(&console, &application, &mut visitor).await;
        let header = header_of(&given.id);
        assert_eq!(header["alg"], expected);
        let keys = open.open("/.oidc/jwks").await.unwrap().json().unwrap();
        let published = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["kid"] == header["kid"]);
        assert_eq!(published.unwrap()["alg"], expected);
        assert!(keys.to_string().find("\"d\"").is_none(), "a private part is published");
        let claims = Tokens::claims(&given.id).unwrap();
        assert_eq!(
            (&claims["webid"], &claims["azp"]),
            (&json!(WEBID), &json!(application.id))
        );
        assert_eq!(claims["aud"], json!([application.id, "solid"]));
        assert_eq!(claims["cnf"]["jkt"], application.key.thumbprint());
        for time in ["iat", "exp", "auth_time"] {
            assert!(claims[time].is_i64(), "{time}");
        }
        assert!(
            !accepted(&console, &application.key, &given.id).await,
            "an ID token opens resources"
        );
        assert!(accepted(&console, &application.key, &given.access).await);
    }
    for refused in ["none", "HS256", "PS256"] {
        let changes = json!({ "id_token_signed_response_alg": refused });
        assert!(
            Application::register_with(&console, changes).await.is_err(),
            "{refused}"
        );
    }
}

fn header_of(token: &str) -> Value {
    use base64::Engine;
    let header = token.split('.').next().unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// T40 and RFC 7009: whatever ends a grant ends its access tokens at their next use, although they were used before.
#[tokio::test]
async fn t40_a_revocation_counts_from_the_next_request() {
    let console = console().await;
    let store = console.store.as_ref();
    let id = account::by_name(store, "gent").unwrap().unwrap().id;
    for way in [
        "refresh token",
        "access token",
        "approval",
        "code again",
        "password",
        "account",
    ] {
        let application = Application::register(&console, "none").await.unwrap();
        let other = Application::register(&console, "none").await.unwrap();
        let mut visitor = logged_in(&console).await;
        let (verifier, challenge) = pkce();
        let code = application.code(&mut visitor, &challenge).await.unwrap();
        let answer = application.redeem(&console, &code, &verifier).await.unwrap();
        let given = Tokens::read(&answer).unwrap();
        let bystander = tokens(&console, &other, &mut visitor).await;
        for _ in 0..2 {
            assert!(
                accepted(&console, &application.key, &given.access).await,
                "{way}: before"
            );
        }
        let revoke = |token: &str| [("token", token.to_owned())];
        match way {
            "refresh token" | "access token" => {
                let token = if way == "access token" {
                    &given.access
                } else {
                    &given.refresh
                };
                let fields = revoke(token);
                let fields = [(fields[0].0, fields[0].1.as_str())];
                // Another client's word counts for nothing, and it learns nothing.
                for (client, ended) in [(&other, false), (&application, true)] {
                    let answer = client.post(&console, "/.oidc/revoke", &fields, None).await.unwrap();
                    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
                    assert_eq!(
                        accepted(&console, &application.key, &given.access).await,
                        !ended,
                        "{way}"
                    );
                }
            }
            "approval" => {
                visitor.open("/account").await.unwrap();
                let fields = [("client", application.id.as_str())];
                visitor.submit("/account/applications/withdraw", &fields).await.unwrap();
            }
            "code again" => {
                let again = application.redeem(&console, &code, &verifier).await.unwrap();
                assert_eq!(again.status, StatusCode::BAD_REQUEST);
            }
            "password" => {
                let tools = console.identity.account_tools();
                account::set_password(store, tools, "gent", PASSWORD).await.unwrap();
            }
            _ => {
                let id = id.clone();
                let work = move |transaction: &mut dyn Transaction| {
                    transaction
                        .record_delete(RecordKind::Account, &id)
                        .map(drop)
                        .map_err(CommitError::Refused)
                };
                let warrant = Warrant::without_proof("a test deletes an account");
                commit::<(), StoreError>(store, warrant, Box::new(work)).await.unwrap();
            }
        }
        assert!(
            !accepted(&console, &application.key, &given.access).await,
            "{way}: after"
        );
        let refreshed = application.refresh(&console, &given.refresh).await.unwrap();
        assert_eq!(refreshed.status, StatusCode::BAD_REQUEST, "{way}: refresh");
        let shared = matches!(way, "password" | "account");
        assert_eq!(
            accepted(&console, &other.key, &bystander.access).await,
            !shared,
            "{way}: bystander"
        );
    }
}

/// T40: tokens for client credentials end with the credentials, or when one of them is revoked.
#[tokio::test]
async fn tokens_of_programs_end_with_their_credentials() {
    let console = console().await;
    let program = machine(&console, false).await;
    let first = machine_token(&console, &program).await;
    assert!(accepted(&console, &program.key, &first).await);
    let fields = [("token", first.as_str()), ("token_type_hint", "access_token")];
    let wrong = Application {
        secret: Some("wrong".to_owned()),
        id: program.id.clone(),
        key: DpopKey::generate().unwrap(),
    };
    let refused = wrong.post(&console, "/.oidc/revoke", &fields, None).await.unwrap();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(accepted(&console, &program.key, &first).await);
    let answer = program.post(&console, "/.oidc/revoke", &fields, None).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(!accepted(&console, &program.key, &first).await);
    let second = machine_token(&console, &program).await;
    assert!(
        accepted(&console, &program.key, &second).await,
        "the credentials are still good"
    );
    let account = account::by_name(console.store.as_ref(), "gent").unwrap().unwrap();
    assert!(
        credential::delete(console.store.as_ref(), &account.id, &program.id)
            .await
            .unwrap()
    );
    assert!(!accepted(&console, &program.key, &second).await);
    let nothing = program.post(&console, "/.oidc/revoke", &[], None).await.unwrap();
    assert_eq!(nothing.status, StatusCode::UNAUTHORIZED);
}

/// RFC 7662: a client with a secret learns what a token is worth now; others learn nothing.
#[tokio::test]
async fn introspection_says_what_a_token_is_worth_now() {
    let console = console().await;
    let program = machine(&console, false).await;
    let public = Application::register(&console, "none").await.unwrap();
    let mut visitor = logged_in(&console).await;
    let given = tokens(&console, &public, &mut visitor).await;
    let ask = |token: String| {
        let (console, program) = (&console, &program);
        async move {
            let fields = [("token", token.as_str())];
            let answer = program.post(console, "/.oidc/introspect", &fields, None).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            answer.json().unwrap()
        }
    };
    let live = ask(given.access.clone()).await;
    assert_eq!((&live["active"], &live["webid"]), (&json!(true), &json!(WEBID)));
    assert_eq!(
        (&live["client_id"], &live["token_type"]),
        (&json!(public.id), &json!("DPoP"))
    );
    assert!(live.get("grant_id").is_none());
    let inactive = json!({ "active": false });
    for token in [given.id.as_str(), &given.refresh, "x", "a.b.c"] {
        assert_eq!(ask(token.to_owned()).await, inactive, "{token}");
    }
    public
        .post(&console, "/.oidc/revoke", &[("token", &given.refresh)], None)
        .await
        .unwrap();
    assert_eq!(ask(given.access.clone()).await, inactive, "revoked");
    let fields = [("token", given.access.as_str())];
    let refused = public.post(&console, "/.oidc/introspect", &fields, None).await.unwrap();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

/// OpenID Connect Core §5.3: the holder of a token learns who it stands for, with a proof for this very URL.
#[tokio::test]
async fn userinfo_answers_the_holder_of_a_token() {
    let console = console().await;
    let application = Application::register(&console, "none").await.unwrap();
    let mut visitor = logged_in(&console).await;
    let given = tokens(&console, &application, &mut visitor).await;
    let (url, now) = (console.at(".oidc/userinfo"), console.clock.unix());
    for (key, token, status) in [
        (&application.key, given.access.as_str(), StatusCode::OK),
        (&application.key, &given.id, StatusCode::UNAUTHORIZED),
        (&DpopKey::generate().unwrap(), &given.access, StatusCode::UNAUTHORIZED),
    ] {
        let proof = key.proof(&Method::GET, &url, Some(token), now, &SystemRandom).unwrap();
        let fields = [("authorization", format!("DPoP {token}")), ("dpop", proof)];
        let answer = fetch(&console, &fields).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        if status == StatusCode::OK {
            assert_eq!(answer.json().unwrap(), json!({ "sub": WEBID, "webid": WEBID }));
        } else {
            assert!(answer.header("www-authenticate").starts_with("DPoP "));
        }
    }
    assert_eq!(fetch(&console, &[]).await.status, StatusCode::UNAUTHORIZED);
    let bearer = [("authorization", format!("Bearer {}", given.access))];
    assert_eq!(fetch(&console, &bearer).await.status, StatusCode::UNAUTHORIZED);
}

async fn fetch(console: &Console, fields: &[(&'static str, String)]) -> Answer {
    let mut request = Request::get("/.oidc/userinfo").header("host", "localhost");
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    send(&console.wire, None, request.body(Full::new(Bytes::new())).unwrap())
        .await
        .unwrap()
}

/// T42: a token may give consent only if the person was told so when letting the application in, or making the key.
#[tokio::test]
async fn the_scope_for_consent_is_spelled_out_and_asked_for_on_its_own() {
    let console = console().await;
    let plain = Application::register(&console, "none").await.unwrap();
    let scope = "openid webid offline_access consent";
    let metadata = json!({ "token_endpoint_auth_method": "none", "scope": scope });
    let trusted = Application::register_with(&console, metadata).await.unwrap();
    let mut visitor = logged_in(&console).await;
    let scope_of = |answer: &Answer| Tokens::claims(&Tokens::read(answer).unwrap().access).unwrap()["scope"].clone();
    let spelled = "say yes in your name";
    visitor.open("/account?lang=en").await.unwrap();

    // Asked for without having been declared: never given, never shown.
    let (verifier, challenge) = pkce();
    let page = visitor
        .open(&plain.authorization(&challenge, &[("scope", scope)]))
        .await
        .unwrap();
    assert!(!page.body.contains(spelled));
    let code = plain
        .code_with(&mut visitor, &challenge, &[("scope", scope)])
        .await
        .unwrap();
    let answer = plain.redeem(&console, &code, &verifier).await.unwrap();
    assert_eq!(scope_of(&answer), "openid webid offline_access");

    // Declared and not asked for: not given. Approving that does not approve more.
    let (verifier, challenge) = pkce();
    let page = visitor.open(&trusted.authorization(&challenge, &[])).await.unwrap();
    assert!(!page.body.contains(spelled));
    let code = trusted.code(&mut visitor, &challenge).await.unwrap();
    let answer = trusted.redeem(&console, &code, &verifier).await.unwrap();
    assert_eq!(scope_of(&answer), "openid webid offline_access");
    let wider = [("scope", scope), ("prompt", "none")];
    let silent = visitor.open(&trusted.authorization(&challenge, &wider)).await.unwrap();
    assert_eq!(
        parameter(silent.location(), "error").as_deref(),
        Some("consent_required")
    );
    let (verifier, challenge) = pkce();
    let page = visitor
        .open(&trusted.authorization(&challenge, &[("scope", scope)]))
        .await
        .unwrap();
    assert!(page.body.contains(spelled), "{}", page.body);
    let code = trusted
        .code_with(&mut visitor, &challenge, &[("scope", scope)])
        .await
        .unwrap();
    let answer = trusted.redeem(&console, &code, &verifier).await.unwrap();
    assert_eq!(scope_of(&answer), scope);

    for (consents, expected) in [(false, "webid"), (true, "webid consent")] {
        let token = machine_token(&console, &machine(&console, consents).await).await;
        assert_eq!(Tokens::claims(&token).unwrap()["scope"], expected);
    }
}

/// OpenID Connect Core §3.1.2.1: what an application says about the person it expects.
#[tokio::test]
async fn hints_help_and_never_bypass() {
    let console = console().await;
    console.account("brugge", PASSWORD).await.unwrap();
    let application = Application::register(&console, "none").await.unwrap();
    let (_, challenge) = pkce();
    for (hint, shown) in [
        ("gent", true),
        (WEBID, true),
        ("\"><script>", false),
        ("https://evil.example/gent/profile/card#me", false),
    ] {
        let request = application.authorization(&challenge, &[("login_hint", hint)]);
        let page = Visitor::new(&console).open(&request).await.unwrap();
        assert_eq!(page.body.contains("value=\"gent\""), shown, "{hint}");
        assert!(!page.body.contains("<script>"));
    }
    let mut visitor = logged_in(&console).await;
    let given = tokens(&console, &application, &mut visitor).await;
    let silent = |hint: String| application.authorization(&challenge, &[("prompt", "none"), ("id_token_hint", &hint)]);
    let answer = visitor.open(&silent(given.id.clone())).await.unwrap();
    assert!(parameter(answer.location(), "code").is_some());
    // Somebody else is logged in than the application expects.
    let mut other = Visitor::new(&console);
    other.log_in("brugge", PASSWORD).await.unwrap();
    for hint in [given.id, "x".to_owned()] {
        let answer = other.open(&silent(hint)).await.unwrap();
        assert_eq!(parameter(answer.location(), "error").as_deref(), Some("login_required"));
    }
}
