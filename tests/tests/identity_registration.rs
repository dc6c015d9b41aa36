//! Dynamic registration of clients (RFC 7591; solid#102): bounded, ended by time, and worth no more than it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use meent_tests::console::{Answer, Application, Console, REDIRECT_URI, Visitor, pkce, quick, send};
use pod_server::identity::Sweeper;
use pod_server::store::{ReadPermit, RecordKind};
use serde_json::{Value, json};
use server_kit::clock::Clock;

const PASSWORD: &str = "fietsen langs de leie";
const DAY: i64 = 86_400;

async fn register(console: &Console, body: &str) -> Answer {
    let request = Request::post("/.oidc/register")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    send(&console.wire, None, request).await.unwrap()
}

fn metadata(changes: Value) -> String {
    let mut metadata = json!({ "redirect_uris": [REDIRECT_URI] });
    metadata
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    metadata.to_string()
}

/// Requirement solid 102. What was registered is told, and unknown members are let be.
#[tokio::test]
async fn a_registration_is_told_as_it_was_understood() {
    let console = Console::start(quick()).await.unwrap();
    let wish = json!({
        "client_name": "Counting", "scope": "openid webid offline_access consent everything", "logo_uri": "https://x.example/",
        "post_logout_redirect_uris": ["https://app.example/out"], "token_endpoint_auth_method": "client_secret_post",
        "id_token_signed_response_alg": "RS256", "software_id": "x",
    });
    let answer = register(&console, &metadata(wish)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(
        (
            answer.header("cache-control"),
            answer.header("access-control-allow-origin")
        ),
        ("no-store", "*")
    );
    let told = answer.json().unwrap();
    for (member, value) in [
        ("scope", json!("openid webid offline_access consent")),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
        ("response_types", json!(["code"])),
        ("redirect_uris", json!([REDIRECT_URI])),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("id_token_signed_response_alg", json!("RS256")),
        ("client_secret_expires_at", json!(console.clock.unix() + 30 * DAY)),
    ] {
        assert_eq!(told[member], value, "{member}");
    }
    assert!(told["client_secret"].as_str().unwrap().len() >= 43);
    let public = register(&console, &metadata(json!({ "token_endpoint_auth_method": "none" }))).await;
    assert!(public.json().unwrap().get("client_secret").is_none());
}

/// Requirement solid 102. What is malformed or unsafe is refused with the member's name, and stores nothing.
#[tokio::test]
async fn unsafe_registrations_are_refused() {
    let console = Console::start(quick()).await.unwrap();
    let many: Vec<String> = (0..51).map(|n| format!("https://app.example/{n}")).collect();
    let cases = [
        ("no JSON", "not JSON".to_owned(), 400),
        ("no object", "[]".to_owned(), 400),
        ("no URIs", "{}".to_owned(), 400),
        ("empty", metadata(json!({ "redirect_uris": [] })), 400),
        (
            "plain HTTP",
            metadata(json!({ "redirect_uris": ["http://app.example/"] })),
            400,
        ),
        (
            "a script",
            metadata(json!({ "redirect_uris": ["javascript:alert(1)"] })),
            400,
        ),
        (
            "a fragment",
            metadata(json!({ "redirect_uris": ["https://app.example/#x"] })),
            400,
        ),
        (
            "a wildcard's user",
            metadata(json!({ "redirect_uris": ["https://*@app.example/"] })),
            400,
        ),
        ("too many", metadata(json!({ "redirect_uris": many })), 400),
        ("numbers", metadata(json!({ "redirect_uris": [1] })), 400),
        ("implicit", metadata(json!({ "response_types": ["token"] })), 400),
        ("password", metadata(json!({ "grant_types": ["password"] })), 400),
        (
            "no way to prove it",
            metadata(json!({ "token_endpoint_auth_method": "tls_client_auth" })),
            400,
        ),
        (
            "logout anywhere",
            metadata(json!({ "post_logout_redirect_uris": ["http://evil.example/"] })),
            400,
        ),
        ("too large", metadata(json!({ "more": "x".repeat(70_000) })), 400),
    ];
    for (what, body, status) in cases {
        let answer = register(&console, &body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        let told = answer.json().unwrap();
        assert!(
            told["error"].as_str().unwrap().starts_with("invalid_"),
            "{what}: {told}"
        );
    }
    assert_eq!(stored(&console), 0);
}

fn stored(console: &Console) -> usize {
    let snapshot = console
        .store
        .snapshot(ReadPermit::without_proof("a test counts"))
        .unwrap();
    snapshot
        .records(RecordKind::Issuer, "client/", None, 100)
        .unwrap()
        .len()
}

/// Requirement solid 102. One network makes only so many, and each ends by itself and is swept away.
#[tokio::test]
async fn registrations_are_bounded_and_end() {
    let mut config = quick();
    config.client_registrations_per_hour = 3;
    let console = Console::start(config).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let application = Application::register(&console, "none").await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.log_in("gent", PASSWORD).await.unwrap();
    let (_, challenge) = pkce();
    let request = application.authorization(&challenge, &[]);
    assert_eq!(visitor.open(&request).await.unwrap().status, StatusCode::OK);
    for _ in 0..8 {
        register(&console, &metadata(json!({}))).await;
    }
    let refused = register(&console, &metadata(json!({}))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.body);
    assert!(!refused.header("retry-after").is_empty());
    assert!(stored(&console) <= 5, "{}", stored(&console));

    console.clock.advance(30 * DAY + 1);
    visitor.log_in("gent", PASSWORD).await.unwrap();
    let ended = visitor.open(&request).await.unwrap();
    assert_eq!((ended.status, ended.location()), (StatusCode::BAD_REQUEST, ""));
    console.clock.advance(DAY);
    let mut sweeper = Sweeper::default();
    sweeper
        .sweep(console.store.as_ref(), console.clock.unix())
        .await
        .unwrap();
    assert_eq!(stored(&console), 0);
}

/// Requirement solid 102. An issuer that takes no registrations says so, in its metadata and when asked.
#[tokio::test]
async fn registration_can_be_closed() {
    let mut config = quick();
    config.client_registration_open = false;
    let console = Console::start(config).await.unwrap();
    assert_eq!(
        register(&console, &metadata(json!({}))).await.status,
        StatusCode::FORBIDDEN
    );
    let metadata = Visitor::new(&console)
        .open("/.well-known/openid-configuration")
        .await
        .unwrap();
    assert!(metadata.json().unwrap().get("registration_endpoint").is_none());
}
