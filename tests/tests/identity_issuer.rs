//! The built-in Solid-OIDC issuer over real sockets: code flow with PKCE and DPoP, refresh, client credentials, and what
//! must be refused (solid#98-102, T37-T39, T41).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use meent_tests::console::{Application, Console, REDIRECT_URI, Tokens, Visitor, parameter, pkce, quick, send};
use pod_server::identity::credential;
use serde_json::json;
use server_kit::authn::client::DpopKey;
use server_kit::authn::{Agent, WebId};
use server_kit::clock::Clock;
use server_kit::random::SystemRandom;

const PASSWORD: &str = "fietsen langs de leie";

async fn console() -> Console {
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    console
}

async fn logged_in(console: &Console) -> Visitor {
    let mut visitor = Visitor::new(console);
    let answer = visitor.log_in("gent", PASSWORD).await.unwrap();
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/account"),
        "{}",
        answer.body
    );
    visitor
}

async fn open(console: &Console, path: &str) -> meent_tests::console::Answer {
    Visitor::new(console).open(path).await.unwrap()
}

#[tokio::test]
async fn the_metadata_says_what_the_issuer_does() {
    let console = console().await;
    let answer = open(&console, "/.well-known/openid-configuration").await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let metadata = answer.json().unwrap();
    assert_eq!(metadata["issuer"], console.url.as_str());
    assert_eq!(metadata["token_endpoint"], console.at(".oidc/token"));
    for (member, value) in [
        ("scopes_supported", "webid"),
        ("scopes_supported", "offline_access"),
        ("grant_types_supported", "client_credentials"),
        ("grant_types_supported", "refresh_token"),
        ("code_challenge_methods_supported", "S256"),
        ("dpop_signing_alg_values_supported", "ES256"),
        ("dpop_signing_alg_values_supported", "RS256"),
        ("id_token_signing_alg_values_supported", "ES256"),
        ("token_endpoint_auth_methods_supported", "client_secret_basic"),
    ] {
        let members = metadata[member].as_array().unwrap();
        assert!(
            members.iter().any(|one| one == value),
            "{member} lacks {value}: {members:?}"
        );
    }
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    let keys = open(&console, "/.oidc/jwks").await.json().unwrap();
    assert_eq!(keys["keys"][0]["crv"], "P-256");
    assert!(keys["keys"][0].get("d").is_none(), "the private key is published");
}

/// solid#99, solid#100: log in, approve, come back with state and iss, get bound tokens, use them, refresh them.
#[tokio::test]
async fn the_code_flow_gives_bound_tokens() {
    let console = console().await;
    let application = Application::register(&console, "none").await.unwrap();
    let (verifier, challenge) = pkce();
    let mut visitor = Visitor::new(&console);

    let page = visitor.open(&application.authorization(&challenge, &[])).await.unwrap();
    let return_to = page.hidden("return_to");
    assert!(return_to.starts_with("/.oidc/authorize?"), "{}", page.body);
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' https://app.example;")
    );
    let fields = [
        ("name", "gent"),
        ("password", PASSWORD),
        ("return_to", return_to.as_str()),
    ];
    let answer = visitor.submit("/login", &fields).await.unwrap();
    assert_eq!(answer.status, StatusCode::SEE_OTHER);

    let page = visitor.open(answer.location()).await.unwrap();
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("Counting &lt;app&gt;") && page.body.contains("https://app.example"),
        "{}",
        page.body
    );
    let (request, statement) = (page.hidden("request"), page.hidden("statement"));
    let allow = [
        ("request", request.as_str()),
        ("statement", &statement),
        ("decision", "allow"),
    ];
    let answer = visitor.submit("/.oidc/decision", &allow).await.unwrap();
    let back = answer.location();
    assert!(back.starts_with(&format!("{REDIRECT_URI}&")), "{back} {}", answer.body);
    assert_eq!(parameter(back, "state").as_deref(), Some("st&te"));
    assert_eq!(parameter(back, "iss").as_deref(), Some(console.url.as_str()));
    let code = parameter(back, "code").unwrap();

    let answer = application.redeem(&console, &code, &verifier).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json().unwrap()["token_type"], "DPoP");
    let tokens = Tokens::read(&answer).unwrap();
    let webid = "https://pod.example/gent/profile/card#me";
    let id = Tokens::claims(&tokens.id).unwrap();
    assert_eq!(
        (id["webid"].as_str(), id["azp"].as_str()),
        (Some(webid), Some(application.id.as_str()))
    );
    assert_eq!(id["aud"], json!([application.id, "solid"]));
    assert_eq!(
        (id["nonce"].as_str(), id["iss"].as_str()),
        (Some("n0nce"), Some(console.url.as_str()))
    );
    assert_eq!(id["cnf"]["jkt"], application.key.thumbprint());
    let access = Tokens::claims(&tokens.access).unwrap();
    assert_eq!(
        (access["aud"].as_str(), access["webid"].as_str()),
        (Some("solid"), Some(webid))
    );
    assert_eq!(access["cnf"]["jkt"], application.key.thumbprint());

    let credentials = authenticate(&console, &application.key, &tokens.access).await.unwrap();
    assert!(
        matches!(&credentials, Agent::Authenticated(known) if known.as_str() == webid),
        "{credentials:?}"
    );
    let stranger = DpopKey::generate().unwrap();
    assert!(
        authenticate(&console, &stranger, &tokens.access).await.is_err(),
        "a stolen token works with another key"
    );

    let answer = application.refresh(&console, &tokens.refresh).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let next = Tokens::read(&answer).unwrap();
    assert_ne!(next.refresh, tokens.refresh);
    assert!(authenticate(&console, &application.key, &next.access).await.is_ok());

    // The approval is remembered, also without any page.
    let (_, challenge) = pkce();
    let silent = visitor
        .open(&application.authorization(&challenge, &[("prompt", "none")]))
        .await
        .unwrap();
    assert!(
        parameter(silent.location(), "code").is_some(),
        "{} {}",
        silent.status,
        silent.location()
    );
}

async fn authenticate(console: &Console, key: &DpopKey, token: &str) -> Result<Agent, String> {
    let url = "https://pod.example/gent/data";
    let mut headers = HeaderMap::new();
    key.authorize(
        &mut headers,
        &Method::GET,
        url,
        token,
        console.clock.unix(),
        &SystemRandom,
    )
    .unwrap();
    let outcome = console.authenticator.authenticate(&Method::GET, url, &headers).await;
    outcome
        .map(|credentials| credentials.agent)
        .map_err(|rejection| rejection.to_string())
}

/// T37: of fifty parallel redemptions of a code exactly one wins, and the replays revoke what it got.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_counts_once() {
    let console = Arc::new(console().await);
    let application = Arc::new(Application::register(&console, "client_secret_basic").await.unwrap());
    let mut visitor = logged_in(&console).await;
    for _ in 0..4 {
        let (verifier, challenge) = pkce();
        let code = application.code(&mut visitor, &challenge).await.unwrap();
        let attempts: Vec<_> = (0..50)
            .map(|_| {
                let (console, application) = (Arc::clone(&console), Arc::clone(&application));
                let (code, verifier) = (code.clone(), verifier.clone());
                tokio::spawn(async move { application.redeem(&console, &code, &verifier).await.unwrap() })
            })
            .collect();
        let (mut won, mut refused) = (Vec::new(), 0);
        for attempt in attempts {
            let answer = attempt.await.unwrap();
            match answer.status {
                StatusCode::OK => won.push(Tokens::read(&answer).unwrap()),
                StatusCode::BAD_REQUEST => {
                    assert_eq!(answer.json().unwrap()["error"], "invalid_grant");
                    refused += 1;
                }
                other => panic!("{other}: {}", answer.body),
            }
        }
        assert_eq!((won.len(), refused), (1, 49));
        let after = application.refresh(&console, &won[0].refresh).await.unwrap();
        assert_eq!(
            after.status,
            StatusCode::BAD_REQUEST,
            "the family survived the reuse of its code"
        );
    }
}

/// T37: a refresh token counts once; a second use revokes the whole family.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_token_counts_once_and_reuse_revokes_the_family() {
    let console = Arc::new(console().await);
    let application = Arc::new(Application::register(&console, "none").await.unwrap());
    let mut visitor = logged_in(&console).await;
    let (verifier, challenge) = pkce();
    let code = application.code(&mut visitor, &challenge).await.unwrap();
    let first = Tokens::read(&application.redeem(&console, &code, &verifier).await.unwrap()).unwrap();
    // A public client's refresh token is worth nothing with another key, and trying does not burn it.
    let stranger = DpopKey::generate().unwrap();
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.refresh.as_str()),
    ];
    let stolen = application.token_with(&console, &stranger, &fields).await.unwrap();
    assert_eq!(stolen.status, StatusCode::BAD_REQUEST);

    let attempts: Vec<_> = (0..50)
        .map(|_| {
            let (console, application, token) = (Arc::clone(&console), Arc::clone(&application), first.refresh.clone());
            tokio::spawn(async move { application.refresh(&console, &token).await.unwrap() })
        })
        .collect();
    let mut won = Vec::new();
    for attempt in attempts {
        let answer = attempt.await.unwrap();
        if answer.status == StatusCode::OK {
            won.push(Tokens::read(&answer).unwrap());
        }
    }
    assert_eq!(won.len(), 1, "exactly one of fifty refreshes wins");
    let after = application.refresh(&console, &won[0].refresh).await.unwrap();
    assert_eq!(
        after.status,
        StatusCode::BAD_REQUEST,
        "the family survived reuse: {}",
        after.body
    );
}

/// What a code is bound to: client, redirect URI, verifier, announced key, and a short time.
#[tokio::test]
async fn a_code_is_bound() {
    let console = console().await;
    let application = Application::register(&console, "none").await.unwrap();
    let other = Application::register(&console, "none").await.unwrap();
    let mut visitor = logged_in(&console).await;
    let (verifier, challenge) = pkce();
    let code = application.code(&mut visitor, &challenge).await.unwrap();
    let fields = |uri: &'static str| {
        [("grant_type", "authorization_code"), ("redirect_uri", uri)].map(|(name, value)| (name, value.to_owned()))
    };
    let cases = [
        (&application, "https://app.example/callback", verifier.as_str()),
        (
            &application,
            REDIRECT_URI,
            "wrong-verifier-wrong-verifier-wrong-verifier",
        ),
        (&other, REDIRECT_URI, verifier.as_str()),
    ];
    for (client, uri, verifier) in cases {
        let mut sent: Vec<(&str, &str)> = vec![("code", &code), ("code_verifier", verifier)];
        let usual = fields(uri);
        sent.extend(usual.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = client.token(&console, &sent).await.unwrap();
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{uri} {verifier}: {}",
            answer.body
        );
        assert_eq!(answer.json().unwrap()["error"], "invalid_grant");
    }
    // Failed tries by others do not burn it.
    assert_eq!(
        application.redeem(&console, &code, &verifier).await.unwrap().status,
        StatusCode::OK
    );

    let jkt = DpopKey::generate().unwrap().thumbprint().to_owned();
    let (verifier, challenge) = pkce();
    let answer = visitor
        .open(&application.authorization(&challenge, &[("dpop_jkt", &jkt)]))
        .await
        .unwrap();
    let code = parameter(answer.location(), "code").unwrap();
    let refused = application.redeem(&console, &code, &verifier).await.unwrap();
    assert_eq!(
        refused.status,
        StatusCode::BAD_REQUEST,
        "the announced key was not demanded"
    );

    let (verifier, challenge) = pkce();
    let code = application.code(&mut visitor, &challenge).await.unwrap();
    console.clock.advance(61);
    let refused = application.redeem(&console, &code, &verifier).await.unwrap();
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "a code outlived its minute");
}

/// T38 and T39 over the socket: 400, a page, and never a `Location`.
#[tokio::test]
async fn weaker_flows_and_foreign_redirects_are_shown_not_redirected() {
    let console = console().await;
    let application = Application::register(&console, "none").await.unwrap();
    let mut visitor = logged_in(&console).await;
    let (_, challenge) = pkce();
    let cases: [&[(&str, &str)]; 20] = [
        &[("response_type", "token")],
        &[("response_type", "id_token token")],
        &[("response_type", "code token")],
        &[("response_type", "")],
        &[("response_mode", "fragment")],
        &[("response_mode", "form_post")],
        &[("code_challenge", "")],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "")],
        &[("code_challenge", ""), ("code_challenge_method", "")],
        &[("request", "eyJhbGciOiJub25lIn0.e30.")],
        &[("request_uri", "https://app.example/request")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "https://app.example/callback")],
        &[("redirect_uri", "https://app.example/callback?from=meent&x=1")],
        &[("redirect_uri", "https://app.example/callback?from=meent#")],
        &[("redirect_uri", "https://app.example@evil.example/callback?from=meent")],
        &[("redirect_uri", "https://evil.example/")],
        &[("client_id", "unknown")],
        &[("client_id", "")],
    ];
    for changes in cases {
        let answer = visitor
            .open(&application.authorization(&challenge, changes))
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.location()),
            (StatusCode::BAD_REQUEST, ""),
            "{changes:?}"
        );
        assert!(answer.header("content-type").starts_with("text/html"), "{changes:?}");
    }
    let twice = format!("{}&response_type=token", application.authorization(&challenge, &[]));
    assert_eq!(visitor.open(&twice).await.unwrap().status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_login_or_approval_nothing_happens_silently() {
    let console = console().await;
    let application = Application::register(&console, "none").await.unwrap();
    let (_, challenge) = pkce();
    let silent = application.authorization(&challenge, &[("prompt", "none")]);
    let answer = open(&console, &silent).await;
    assert_eq!(parameter(answer.location(), "error").as_deref(), Some("login_required"));
    assert_eq!(
        parameter(answer.location(), "iss").as_deref(),
        Some(console.url.as_str())
    );
    let mut visitor = logged_in(&console).await;
    let answer = visitor.open(&silent).await.unwrap();
    assert_eq!(
        parameter(answer.location(), "error").as_deref(),
        Some("consent_required")
    );

    let page = visitor.open(&application.authorization(&challenge, &[])).await.unwrap();
    let (request, statement) = (page.hidden("request"), page.hidden("statement"));
    // T103: an answer to another question than the one that was shown counts for nothing.
    let other = Application::register(&console, "none").await.unwrap();
    let swapped = request.replace(&application.id, &other.id);
    let answer = visitor
        .submit(
            "/.oidc/decision",
            &[("request", &swapped), ("statement", &statement), ("decision", "allow")],
        )
        .await
        .unwrap();
    assert_eq!((answer.status, answer.location()), (StatusCode::CONFLICT, ""));
    let answer = visitor
        .submit(
            "/.oidc/decision",
            &[("request", &request), ("statement", &statement), ("decision", "deny")],
        )
        .await
        .unwrap();
    assert_eq!(parameter(answer.location(), "error").as_deref(), Some("access_denied"));
    // T45: another site's form carries no form token.
    let forged = [
        ("request", request.as_str()),
        ("statement", &statement),
        ("decision", "allow"),
        ("form_token", ""),
    ];
    assert_eq!(
        visitor.submit("/.oidc/decision", &forged).await.unwrap().status,
        StatusCode::FORBIDDEN
    );
    let silent = visitor.open(&silent).await.unwrap();
    assert_eq!(
        parameter(silent.location(), "error").as_deref(),
        Some("consent_required"),
        "a refusal approved"
    );
    // A recent log-in is asked for, then given.
    console.clock.advance(120);
    let page = visitor
        .open(&application.authorization(&challenge, &[("max_age", "60")]))
        .await
        .unwrap();
    assert!(!page.hidden("return_to").is_empty(), "an old log-in was accepted");
}

/// solid#101, and what the official harness does: Basic authentication, no scope, and the token carries the WebID.
#[tokio::test]
async fn client_credentials_carry_the_webid_without_any_scope() {
    let console = console().await;
    let account = pod_server::identity::account::by_name(console.store.as_ref(), "gent")
        .unwrap()
        .unwrap();
    let made = credential::create(
        console.store.as_ref(),
        &account.id,
        "test",
        3,
        console.clock.as_ref(),
        &SystemRandom,
    );
    let made = made.await.unwrap().unwrap();
    let machine = Application {
        id: made.id.clone(),
        secret: Some(made.secret.clone()),
        key: DpopKey::generate().unwrap(),
    };
    let answer = machine
        .token(&console, &[("grant_type", "client_credentials")])
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let tokens = Tokens::read(&answer).unwrap();
    assert!(tokens.id.is_empty() && tokens.refresh.is_empty());
    assert_eq!(Tokens::claims(&tokens.access).unwrap()["webid"], account.webid.as_str());
    let agent = authenticate(&console, &machine.key, &tokens.access).await.unwrap();
    assert_eq!(agent, Agent::Authenticated(WebId::parse(&account.webid).unwrap()));

    let posted = Application {
        id: made.id.clone(),
        secret: None,
        key: DpopKey::generate().unwrap(),
    };
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_secret", made.secret.as_str()),
        ("scope", "webid"),
    ];
    assert_eq!(posted.token(&console, &fields).await.unwrap().status, StatusCode::OK);

    let wrong = Application {
        id: made.id.clone(),
        secret: Some("wrong".to_owned()),
        key: DpopKey::generate().unwrap(),
    };
    let answer = wrong
        .token(&console, &[("grant_type", "client_credentials")])
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json().unwrap()["error"], "invalid_client");
    assert!(answer.header("www-authenticate").starts_with("Basic"));

    let request = Request::post("/.oidc/token")
        .header("host", "localhost")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            made.id, made.secret
        ))))
        .unwrap();
    let answer = send(&console.wire, None, request).await.unwrap();
    assert_eq!(
        answer.json().unwrap()["error"],
        "invalid_dpop_proof",
        "a token without a proof"
    );
    for grant in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"] {
        let answer = machine.token(&console, &[("grant_type", grant)]).await.unwrap();
        assert_eq!(answer.json().unwrap()["error"], "unsupported_grant_type");
    }
    assert!(
        credential::delete(console.store.as_ref(), &account.id, &made.id)
            .await
            .unwrap()
    );
    let answer = machine
        .token(&console, &[("grant_type", "client_credentials")])
        .await
        .unwrap();
    assert_eq!(
        answer.status,
        StatusCode::UNAUTHORIZED,
        "deleted credentials still work"
    );
}
