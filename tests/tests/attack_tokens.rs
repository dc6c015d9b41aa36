//! Tokens and proofs of attackers against a real server, over sockets: what is forged, stolen, replayed, confused or
//! malformed opens nothing, is told as RFC 9449 says, and leaves the server as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "attack/credentials.rs"]
mod credentials;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credentials::{Attempt, Key, PATH, SECRET, Scene, compact, hash};
use josekit::jws;
use meent_tests::pod::{Client, PodServer, Reply};
use pod_server::identity::{AccountKind, FirstLogin, NewAccount, create_account, credential};
use serde_json::{Value, json};
use server_kit::authn::LocalIssuer;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::{Random, SystemRandom};

/// Refused, told so in the right words, and nothing given away.
fn refused(what: &str, reply: &Reply, error: &str) {
    assert_eq!(reply.status, 401, "{what}: {}", reply.text());
    let challenge = reply.header("www-authenticate");
    assert!(
        challenge.starts_with(&format!("DPoP error=\"{error}\"")) && challenge.contains("algs=\"ES256"),
        "{what}: {challenge}"
    );
    assert!(!reply.text().contains(SECRET), "{what}");
    assert!(
        reply.headers.get("etag").is_none() && reply.headers.get("wac-allow").is_none(),
        "{what}"
    );
}

type Change = fn(&mut Attempt, &Scene);

/// What is wrong with a proof (RFC 9449 §4.3).
const PROOFS: &[(&str, Change)] = &[
    ("alg none", |a, _| a.header["alg"] = "none".into()),
    ("alg HS256", |a, _| a.header["alg"] = "HS256".into()),
    ("alg of another key", |a, _| a.header["alg"] = "RS256".into()),
    ("typ of a token", |a, _| a.header["typ"] = "at+jwt".into()),
    ("no typ", |a, _| drop(a.header.as_object_mut().unwrap().remove("typ"))),
    ("no key", |a, _| drop(a.header.as_object_mut().unwrap().remove("jwk"))),
    ("private key", |a, scene| {
        a.header["jwk"] = scene.key.private.clone().into()
    }),
    ("symmetric key", |a, _| {
        a.header["jwk"] = json!({ "kty": "oct", "k": "c2VjcmV0" })
    }),
    ("weak RSA key", |a, _| {
        a.header["jwk"] = json!({ "kty": "RSA", "e": "AQAB", "n": "qqqq" })
    }),
    ("huge RSA key", |a, _| {
        a.header["jwk"] = json!({ "kty": "RSA", "e": "AQAB", "n": "q".repeat(2_800) })
    }),
    ("another's key", |a, scene| {
        a.header["jwk"] = scene.stranger.public.clone().into();
        a.by_stranger = true;
    }),
    ("another's signature", |a, _| a.by_stranger = true),
    ("crit", |a, _| a.header["crit"] = json!(["b64"])),
    ("htm of another method", |a, _| a.claims["htm"] = "PUT".into()),
    ("htm in small letters", |a, _| a.claims["htm"] = "get".into()),
    ("htm missing", |a, _| {
        drop(a.claims.as_object_mut().unwrap().remove("htm"))
    }),
    ("stale", |a, _| a.claims["iat"] = (SystemClock.unix() - 120).into()),
    ("future", |a, _| a.claims["iat"] = (SystemClock.unix() + 120).into()),
    ("iat as text", |a, _| {
        a.claims["iat"] = SystemClock.unix().to_string().into()
    }),
    ("iat missing", |a, _| {
        drop(a.claims.as_object_mut().unwrap().remove("iat"))
    }),
    ("jti missing", |a, _| {
        drop(a.claims.as_object_mut().unwrap().remove("jti"))
    }),
    ("jti empty", |a, _| a.claims["jti"] = "".into()),
    ("jti endless", |a, _| a.claims["jti"] = "x".repeat(4_000).into()),
    ("ath of another token", |a, _| a.claims["ath"] = hash("another").into()),
    ("ath empty", |a, _| a.claims["ath"] = "".into()),
    ("ath null", |a, _| a.claims["ath"] = Value::Null),
    ("ath of another type", |a, _| a.claims["ath"] = json!([hash(&a.token)])),
    ("no proof", |a, _| a.proofs = Some(Vec::new())),
    ("two proofs", |a, scene| {
        let first = scene.proof(a);
        a.claims["jti"] = "second".into();
        a.proofs = Some(vec![first, scene.proof(a)]);
    }),
    ("one proof twice", |a, scene| a.proofs = Some(vec![scene.proof(a); 2])),
    ("two proofs in one field", |a, scene| {
        let proof = scene.proof(a);
        a.proofs = Some(vec![format!("{proof}, {proof}")]);
    }),
    ("the token as proof", |a, _| a.proofs = Some(vec![a.token.clone()])),
    ("nonsense", |a, _| a.proofs = Some(vec!["nonsense".to_owned()])),
    ("nothing", |a, _| a.proofs = Some(vec![String::new()])),
    ("oversized", |a, _| a.claims["more"] = "x".repeat(9_000).into()),
    ("signature cut off", |a, scene| {
        let proof = scene.proof(a);
        a.proofs = Some(vec![proof[..proof.rfind('.').unwrap() + 1].to_owned()]);
    }),
];

/// Requirement solid 95, T28, T29. Each fault of a proof is refused, as are URLs that are not this one.
#[tokio::test]
async fn t29_no_faulty_proof_opens_anything() {
    let scene = Scene::new().await;
    for (what, change) in PROOFS {
        let mut attempt = scene.attempt();
        change(&mut attempt, &scene);
        refused(what, &scene.send(&attempt).await, "invalid_dpop_proof");
    }
    let base = scene.server.base_url.trim_end_matches('/').to_owned();
    let authority = base.trim_start_matches("http://").to_owned();
    let (host, port) = authority.split_once(':').unwrap();
    let others = [
        format!("{base}/Alice/private"),
        format!("{base}/alice/Private"),
        format!("{base}/alice/private/"),
        format!("{base}/alice//private"),
        format!("{base}//alice/private"),
        format!("{base}/alice%2Fprivate"),
        format!("{base}/alice%2fprivate"),
        format!("{base}/alice/%2570rivate"),
        format!("{base}/alice/private/../other"),
        format!("{base}/alice/private/%2e%2e/other"),
        format!("{base}/alice/private%00"),
        format!("{base}/alice/private%20"),
        format!("{base}/alice/private;x"),
        format!("{base}/alice/"),
        format!("{base}/"),
        base.clone(),
        format!("https://{authority}{PATH}"),
        format!("http://{host}{PATH}"),
        format!("http://{host}:{}{PATH}", port.parse::<u16>().unwrap() ^ 1),
        format!("http://{host}.:{port}{PATH}"),
        format!("http://localhost:{port}{PATH}"),
        format!("http://user@{authority}{PATH}"),
        format!("http://{authority}@evil.example{PATH}"),
        format!("http:\\\\{authority}{PATH}"),
        format!("http:/{authority}{PATH}"),
        format!("//{authority}{PATH}"),
        PATH.to_owned(),
        String::new(),
        format!(" {base}{PATH}"),
        format!("{base}{PATH}\u{0}"),
        format!("ftp://{authority}{PATH}"),
        scene.server.console_url.clone(),
    ];
    for htu in others {
        let mut attempt = scene.attempt();
        attempt.claims["htu"] = htu.clone().into();
        refused(&htu, &scene.send(&attempt).await, "invalid_dpop_proof");
    }
    // The same URL in another spelling is the same URL (RFC 3986 §6.2.2, §6.2.3).
    for htu in [
        format!("HTTP://{authority}{PATH}"),
        format!("{base}/%61lice/private"),
        format!("{base}/x/../alice/./private"),
        format!("{base}/alice/%70rivate?query=1#part"),
    ] {
        let mut attempt = scene.attempt();
        attempt.claims["htu"] = htu.clone().into();
        let reply = scene.send(&attempt).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, SECRET), "{htu}");
    }
    scene.server.stop().await;
}

/// Requirement solid 95, T28. A proof counts once: again, by another name, in a hundred hands at one time, after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t28_a_proof_counts_once() {
    let scene = Scene::new().await;
    let attempt = scene.attempt();
    let proof = scene.proof(&attempt);
    let once = Attempt {
        proofs: Some(vec![proof]),
        ..attempt
    };
    let url = scene.url();
    let sent = (0..100).map(|_| scene.send(&once));
    let replies = futures_util::future::join_all(sent).await;
    let opened = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(opened, 1, "of a hundred parallel uses one counts");
    refused("again", &scene.send(&once).await, "invalid_dpop_proof");
    let jti = once.claims["jti"].clone();
    for htu in [
        url.replace("/alice", "/%61lice"),
        url.replace("http", "HTTP"),
        format!("{url}?x"),
    ] {
        let mut renamed = scene.attempt_with(once.token.clone());
        (renamed.claims["jti"], renamed.claims["htu"]) = (jti.clone(), htu.clone().into());
        refused(&htu, &scene.send(&renamed).await, "invalid_dpop_proof");
    }
    // A new process has no memory, so it takes no proof that is older than itself. Clocks tell whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let Scene {
        server,
        owner,
        key,
        stranger,
    } = scene;
    let scene = Scene {
        server: server.restart().await,
        owner,
        key,
        stranger,
    };
    refused("after a restart", &scene.send(&once).await, "invalid_dpop_proof");
    assert_eq!(scene.send(&scene.attempt()).await.text(), SECRET);
    scene.server.stop().await;
}

/// Requirements solid 94, 95 and 97, T27, T30-T32, T40. Tokens that are forged, confused, for others, or of the wrong kind.
#[tokio::test]
async fn t27_no_faulty_token_opens_anything() {
    let scene = Scene::new().await;
    let issuer = &scene.server.app.issuer;
    let (claims, genuine) = (scene.token_claims(), scene.token());
    let kid = issuer.jwks()["keys"][0]["kid"].clone();
    let part = |at: usize| genuine.split('.').nth(at).unwrap().to_owned();
    let directory = tempfile::tempdir().unwrap();
    let other = LocalIssuer::load_or_generate(&*scene.server.console_url, &directory.path().join("k")).unwrap();
    let forged = |header: Value| compact(&header, &claims, &*scene.stranger.signer);
    let secret = serde_json::to_vec(&issuer.jwks()["keys"][0]).unwrap();
    let hmac = jws::HS256.signer_from_bytes(secret).unwrap();
    let mallory = claims.to_string().replace("/alice/", "/mallory/");
    let own = scene.stranger.public.clone();
    let mut tokens = vec![
        (
            "alg none",
            format!(
                "{}.{}.",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#),
                part(1)
            ),
        ),
        (
            "HS256 with the public key",
            compact(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }), &claims, &hmac),
        ),
        (
            "another key under our kid",
            forged(json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid })),
        ),
        (
            "its own key in the header",
            forged(json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": own })),
        ),
        (
            "keys elsewhere",
            forged(json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "jku": "http://127.0.0.1:9/" })),
        ),
        (
            "certificate elsewhere",
            forged(json!({ "alg": "ES256", "typ": "at+jwt", "x5u": "http://127.0.0.1:9/" })),
        ),
        (
            "kid as a path",
            forged(json!({ "alg": "ES256", "typ": "at+jwt", "kid": "../../etc/passwd" })),
        ),
        (
            "kid as SQL",
            forged(json!({ "alg": "ES256", "typ": "at+jwt", "kid": "' OR 1=1 --" })),
        ),
        (
            "kid of the other algorithm",
            forged(json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid })),
        ),
        ("no kid", forged(json!({ "alg": "ES256", "typ": "at+jwt" }))),
        ("an issuer of the same name", other.sign(&claims).unwrap()),
        (
            "claims changed",
            format!("{}.{}.{}", part(0), URL_SAFE_NO_PAD.encode(mallory), part(2)),
        ),
        ("no signature", format!("{}.{}", part(0), part(1))),
        ("one byte more", format!("{genuine}A")),
        ("two tokens", format!("{genuine},{genuine}")),
        ("dots", "..".to_owned()),
        ("an ID token", issuer.sign_typed("JWT", &claims).unwrap()),
        ("a logout token", issuer.sign_typed("logout+jwt", &claims).unwrap()),
        ("a proof", {
            let attempt = scene.attempt();
            scene.proof(&attempt)
        }),
        ("oversized", scene.token_with("more", json!("x".repeat(14_000)))),
    ];
    let now = SystemClock.unix();
    for (what, claim, value) in [
        ("another audience", "aud", json!("https://other.example/")),
        ("our own address as audience", "aud", json!(scene.server.base_url)),
        ("no audience", "aud", json!([])),
        ("another issuer", "iss", json!("http://127.0.0.1:9/")),
        (
            "our issuer misspelt",
            "iss",
            json!(scene.server.console_url.trim_end_matches('/')),
        ),
        ("expired", "exp", json!(now - 60)),
        ("exp as text", "exp", json!("never")),
        ("exp as fraction", "exp", json!(1e300)),
        ("no exp", "exp", Value::Null),
        ("not yet", "nbf", json!(now + 600)),
        ("from the future", "iat", json!(now + 600)),
        ("bound to nothing", "cnf", Value::Null),
        ("bound to a JWK", "cnf", json!({ "jwk": scene.key.public })),
        ("no WebID", "webid", Value::Null),
        ("a WebID that is none", "webid", json!("alice")),
        (
            "a WebID without profile",
            "webid",
            json!(format!("{}nobody/profile/card#me", scene.server.base_url)),
        ),
        (
            "another fragment",
            "webid",
            json!(scene.owner.web_id.replace("#me", "#you")),
        ),
        (
            "for an agreement elsewhere",
            "agreement",
            json!("https://other.example/agreement"),
        ),
        ("a grant that never was", "grant_id", json!("family/nobody/nothing")),
        ("a grant of another type", "grant_id", json!(["family/nobody/nothing"])),
        ("exchanged for another server", "idp", json!("https://other.example/")),
    ] {
        tokens.push((what, scene.token_with(claim, value)));
    }
    for (what, token) in tokens {
        let reply = scene.send(&scene.attempt_with(token)).await;
        refused(what, &reply, "invalid_token");
    }
    // Bound to another key, the proof is what does not fit.
    let stolen = scene.token_with("cnf", json!({ "jkt": scene.stranger.jkt() }));
    refused(
        "stolen",
        &scene.send(&scene.attempt_with(stolen)).await,
        "invalid_dpop_proof",
    );
    // A token that is bound to a key is no bearer token, nor any other kind of password.
    for scheme in ["Bearer", "bearer", "Basic", "Token", "UMA", "DPoPx"] {
        for proofs in [None, Some(Vec::new())] {
            let attempt = Attempt {
                scheme,
                proofs,
                ..scene.attempt()
            };
            refused(scheme, &scene.send(&attempt).await, "invalid_token");
        }
    }
    let client = scene.server.client();
    let attempt = scene.attempt();
    let value = format!("DPoP {}", attempt.token);
    let twice = client.request("GET", PATH).header("authorization", value.clone());
    let twice = twice
        .header("authorization", value)
        .header("dpop", scene.proof(&attempt));
    refused("two tokens", &twice.send().await, "invalid_token");
    let alone = client
        .request("GET", PATH)
        .header("dpop", scene.proof(&attempt))
        .send()
        .await;
    refused("a proof alone", &alone, "invalid_token");
    let query = format!("{PATH}?access_token={}", attempt.token);
    assert_eq!(client.get(&query).await.status, 401, "a token in the URL");
    let reply = scene.send(&scene.attempt()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.text().as_str()),
        (200, SECRET),
        "the server is as it was"
    );
    scene.server.stop().await;
}

/// Requirement solid 99, T28, T29. The token endpoint gives nothing for a faulty or used proof.
#[tokio::test]
async fn t29_the_token_endpoint_binds_to_good_proofs_only() {
    let scene = Scene::new().await;
    let app = &scene.server.app;
    let new = NewAccount {
        name: "gent".to_owned(),
        label: "Gent".to_owned(),
        kind: AccountKind::Organisation,
        first_login: FirstLogin::SetupLink,
    };
    let tools = app.identity.account_tools();
    let account = create_account(app.store.as_ref(), tools, new).await.unwrap().account;
    let (clock, random) = (app.clock.as_ref(), app.random.as_ref());
    let made = credential::create(app.store.as_ref(), &account.id, "x", 1, clock, random);
    let made = made.await.unwrap().unwrap();
    let url = format!("{}.oidc/token", scene.server.console_url);
    let client = Client::new(&scene.server.console_url);
    let attempt = |scene: &Scene| {
        let mut attempt = scene.attempt();
        attempt.claims = json!({ "htm": "POST", "htu": url, "iat": SystemClock.unix(), "jti": SystemRandom.token(12) });
        attempt
    };
    let ask = |proofs: Vec<String>| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "client_credentials"),
            ("client_id", &made.id),
            ("client_secret", &made.secret),
        ]);
        let mut request = client
            .request("POST", "/.oidc/token")
            .content("application/x-www-form-urlencoded", form.finish());
        for proof in proofs {
            request = request.header("dpop", proof);
        }
        request.send()
    };
    let mut asked = 0;
    // Without an access token there is nothing for `ath` to name, so it is not looked at.
    for (what, change) in PROOFS
        .iter()
        .filter(|(what, _)| !what.starts_with("ath") && *what != "another's key")
    {
        let mut attempt = attempt(&scene);
        change(&mut attempt, &scene);
        let reply = ask(attempt.proofs.clone().unwrap_or_else(|| vec![scene.proof(&attempt)])).await;
        let told = reply.json();
        assert_eq!(
            (reply.status.as_u16(), &told["error"]),
            (400, &json!("invalid_dpop_proof")),
            "{what}: {told}"
        );
        assert!(told.get("access_token").is_none(), "{what}");
        asked += 1;
    }
    assert!(asked > 25, "{asked}");
    for htu in [
        scene.url(),
        scene.server.console_url.clone(),
        url.replace("token", "Token"),
        format!("{url}/"),
    ] {
        let mut attempt = attempt(&scene);
        attempt.claims["htu"] = htu.clone().into();
        assert_eq!(ask(vec![scene.proof(&attempt)]).await.status, 400, "{htu}");
    }
    let good = scene.proof(&attempt(&scene));
    assert_eq!(ask(vec![good.clone()]).await.status, 200);
    let again = ask(vec![good.clone()]).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["error"]),
        (400, &json!("invalid_dpop_proof"))
    );
    // Nor does a proof for the token endpoint open a resource.
    let crossed = Attempt {
        proofs: Some(vec![scene.proof(&attempt(&scene))]),
        ..scene.attempt()
    };
    refused("crossed", &scene.send(&crossed).await, "invalid_dpop_proof");
    scene.server.stop().await;
}

/// Requirement solid 97. Some older clients and suites leave `ath` out: accepted or not by configuration; a wrong one never.
#[tokio::test]
async fn an_absent_ath_is_a_matter_of_configuration() {
    for (setting, status) in [("optional", 200), ("required", 401)] {
        let server = PodServer::start_with(json!({ "authn": { "token_hash": setting } })).await;
        let owner = server.agent("alice").await;
        assert_eq!(owner.client().put(PATH, "text/plain", SECRET).await.status, 201);
        let scene = Scene {
            server,
            owner,
            key: Key::new(),
            stranger: Key::new(),
        };
        let mut attempt = scene.attempt();
        attempt.claims.as_object_mut().unwrap().remove("ath");
        assert_eq!(scene.send(&attempt).await.status, status, "{setting}");
        let mut attempt = scene.attempt();
        attempt.claims["ath"] = hash("another").into();
        refused(setting, &scene.send(&attempt).await, "invalid_dpop_proof");
        scene.server.stop().await;
    }
}
