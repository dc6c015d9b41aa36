//! Client identifier documents over real sockets: an application that is named by the URL of its own description
//! (solid#98).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use meent_tests::console::{Application, Console, REDIRECT_URI, Tokens, Visitor, pkce, quick};
use serde_json::{Value, json};
use server_kit::authn::client::DpopKey;
use server_kit::serve::{Handler, ListenConfig, Listener, ServeLimits, serve};
use server_kit::shutdown::Shutdown;

const PASSWORD: &str = "fietsen langs de leie";

/// Serves documents that are made from the server's own origin and a path. Gives the origin, and what ends the server.
async fn describing(document: impl Fn(&str, &str) -> Value + Send + Sync + 'static) -> (String, Shutdown) {
    let listen = serde_json::from_value::<ListenConfig>(json!({ "listen": "127.0.0.1:0" })).unwrap();
    let listener = Listener::bind(&listen).await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_address().unwrap().port());
    let own = origin.clone();
    let handler: Handler = Arc::new(move |request: Request<hyper::body::Incoming>, _| {
        let body = document(&own, request.uri().path()).to_string();
        let body = Full::new(Bytes::from(body))
            .map_err(|never| match never {})
            .boxed_unsync();
        let response = Response::builder().header("content-type", "application/ld+json");
        let response = response.body(body).unwrap();
        Box::pin(async move { response })
    });
    let shutdown = Shutdown::new();
    tokio::spawn(serve(listener, handler, shutdown.clone(), ServeLimits::default()));
    (origin, shutdown)
}

/// solid#98: the client is named by the URL of its own description, which is fetched and believed only about itself.
#[tokio::test]
async fn a_client_identifier_document_names_the_client() {
    let (origin, shutdown) = describing(|origin, path| {
        let id = if path == "/liar" {
            format!("{origin}/app")
        } else {
            format!("{origin}{path}")
        };
        json!({
            "@context": "https://www.w3.org/ns/solid/oidc-context.jsonld",
            "client_id": id,
            "client_name": "Documented",
            "redirect_uris": [REDIRECT_URI],
            "scope": "openid webid offline_access",
            "grant_types": ["authorization_code", "refresh_token"],
        })
    })
    .await;
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.log_in("gent", PASSWORD).await.unwrap();
    let application = Application {
        id: format!("{origin}/app"),
        secret: None,
        key: DpopKey::generate().unwrap(),
    };
    let (verifier, challenge) = pkce();
    let page = visitor.open(&application.authorization(&challenge, &[])).await.unwrap();
    assert!(
        page.body.contains("Documented") && page.body.contains(&application.id),
        "{}",
        page.body
    );
    let code = application.code(&mut visitor, &challenge).await.unwrap();
    let answer = application.redeem(&console, &code, &verifier).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(
        Tokens::claims(&Tokens::read(&answer).unwrap().id).unwrap()["azp"],
        application.id.as_str()
    );

    for id in [
        format!("{origin}/liar"),
        "https://unreachable.invalid/app".to_owned(),
        format!("{origin}/a/../app"),
    ] {
        let answer = visitor
            .open(&application.authorization(&challenge, &[("client_id", &id)]))
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.location()),
            (StatusCode::BAD_REQUEST, ""),
            "{id}"
        );
    }
    shutdown.trigger();
}

/// Requirement solid 98, T34: an approval is for the application that was described then. When the description changes, the
/// person is asked again; when it goes away, nobody is let in any more.
#[tokio::test]
async fn a_changed_description_is_asked_about_again() {
    let document = Arc::new(parking_lot::Mutex::new(json!({
        "@context": "https://www.w3.org/ns/solid/oidc-context.jsonld", "client_name": "Counting",
        "redirect_uris": [REDIRECT_URI], "grant_types": ["authorization_code"],
    })));
    let told = Arc::clone(&document);
    let (origin, shutdown) = describing(move |_, _| told.lock().clone()).await;
    let id = format!("{origin}/app");
    document.lock()["client_id"] = json!(id);
    let console = Console::start(quick()).await.unwrap();
    console.account("gent", PASSWORD).await.unwrap();
    let mut visitor = Visitor::new(&console);
    visitor.log_in("gent", PASSWORD).await.unwrap();
    let application = Application {
        id,
        secret: None,
        key: DpopKey::generate().unwrap(),
    };
    let (_, challenge) = pkce();
    application.code(&mut visitor, &challenge).await.unwrap();
    let request = application.authorization(&challenge, &[]);
    for (member, value) in [
        ("client_name", json!("Gent's own bank")),
        ("redirect_uris", json!([REDIRECT_URI, "https://elsewhere.example/"])),
    ] {
        let known = visitor.open(&request).await.unwrap();
        assert_eq!(known.status, StatusCode::SEE_OTHER, "approved: {}", known.body);
        document.lock()[member] = value;
        console.clock.advance(301);
        let asked = visitor.open(&request).await.unwrap();
        assert_eq!(asked.status, StatusCode::OK, "{member} changed, and nobody was asked");
        application.code(&mut visitor, &challenge).await.unwrap();
    }
    document.lock()["client_id"] = json!("https://elsewhere.example/app");
    console.clock.advance(301);
    let gone = visitor.open(&request).await.unwrap();
    assert_eq!((gone.status, gone.location()), (StatusCode::BAD_REQUEST, ""));
    shutdown.trigger();
}
