//! A provider that misbehaves in every way that logging in through it must survive (T27, T30, T31, T35, T41, T42).

use josekit::jwe::{self, JweHeader};
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::HS256;
use parking_lot::Mutex;

use super::super::encrypted::Decryption;
use super::super::relying_party::{ClientProof, Exchange, Registration, RelyingParty, RelyingPartyError};
use super::*;
use crate::test_network::{TestNetwork, TestServer, answer};

const CLIENT: &str = "our client id";
const SECRET: &str = "the longest word that we keep to ourselves";

/// What the token endpoint answers.
type Reply = Arc<Mutex<(u16, String)>>;

/// A provider, and we towards it.
struct Foreign {
    server: TestServer,
    party: RelyingParty,
    key: Key,
    reply: Reply,
    metadata: Arc<Mutex<Value>>,
    exchange: Exchange,
    _network: TestNetwork,
}

impl Foreign {
    async fn new() -> Self {
        Self::with(Vec::new(), None).await
    }

    async fn with(acr_values: Vec<String>, decryption: Option<Decryption>) -> Self {
        let network = TestNetwork::new();
        let (key, reply): (_, Reply) = (Key::new(), Arc::default());
        let metadata: Arc<Mutex<Value>> = Arc::default();
        let mut jwk = key.public.clone();
        jwk.insert("kid".to_owned(), "one".into());
        let keys = json!({ "keys": [jwk] }).to_string();
        let (answering, told) = (Arc::clone(&reply), Arc::clone(&metadata));
        let server = network
            .server(Arc::new(move |request| match request.uri().path() {
                "/.well-known/openid-configuration" => answer(200, &[], told.lock().to_string()),
                "/jwks" => answer(200, &[], keys.clone()),
                "/token" => {
                    let (status, body) = answering.lock().clone();
                    answer(status, &[("location", "/jwks")], body)
                }
                _ => answer(404, &[], ""),
            }))
            .await;
        *metadata.lock() = json!({
            "issuer": server.url("/"), "jwks_uri": server.url("/jwks"), "token_endpoint": server.url("/token"),
            "authorization_endpoint": server.url("/authorize?kept=1"),
        });
        let registration = Registration {
            issuer: server.url("/"),
            client_id: CLIENT.to_owned(),
            proof: ClientProof::SecretBasic(SECRET.to_owned()),
            scopes: vec!["profile".to_owned(), "openid".to_owned()],
            acr_values,
            redirect_uri: "https://console.example/external/x/callback".to_owned(),
            decryption,
        };
        let clock = Arc::new(FixedClock::at_unix(NOW));
        let egress = network.egress(&[server.host()]);
        Self {
            party: RelyingParty::new(registration, egress, clock, Arc::new(SystemRandom)),
            exchange: Exchange::of(&SystemRandom.token(32)),
            server,
            key,
            reply,
            metadata,
            _network: network,
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.server.url("/"), "sub": "somebody", "aud": CLIENT, "iat": NOW, "exp": NOW + 300,
            "nonce": self.exchange.nonce, "acr": "high", "auth_time": NOW,
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": "one" });
        compact(&header, claims, &*self.key.signer).unwrap()
    }

    /// What we make of an answer of the token endpoint.
    async fn redeem(&self, status: u16, body: String) -> Result<String, RelyingPartyError> {
        *self.reply.lock() = (status, body);
        let person = self.party.redeem("code", &self.exchange, Some(NOW)).await?;
        Ok(person.claim("sub").unwrap_or_default())
    }

    async fn believe(&self, token: &str) -> Result<String, RelyingPartyError> {
        self.redeem(
            200,
            json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" }).to_string(),
        )
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_providers_id_token_is_refused() {
    let foreign = Foreign::with(vec!["high".to_owned()], None).await;
    assert_eq!(
        foreign.believe(&foreign.sign(&foreign.claims())).await.unwrap(),
        "somebody"
    );
    let cases: Vec<(&str, Option<Value>)> = vec![
        ("iss", Some("https://evil.example/".into())),
        ("iss", Some(foreign.server.url("").into())),
        ("iss", None),
        ("aud", Some("another client".into())),
        ("aud", Some(json!([]))),
        ("aud", Some(json!([CLIENT, "another client"]))),
        ("aud", None),
        ("azp", Some("another client".into())),
        ("azp", Some(Value::Null)),
        ("nonce", Some("another".into())),
        ("nonce", None),
        ("exp", Some((NOW - 60).into())),
        ("exp", Some("never".into())),
        ("exp", None),
        ("iat", Some((NOW + 60).into())),
        ("iat", Some((NOW - 3_600).into())),
        ("iat", None),
        ("acr", Some("low".into())),
        ("acr", Some(json!(["high"]))),
        ("acr", None),
        ("auth_time", Some((NOW - 3_600).into())),
        ("auth_time", None),
    ];
    for (claim, value) in cases {
        let mut claims = foreign.claims();
        match &value {
            Some(value) => claims[claim] = value.clone(),
            None => drop(claims.as_object_mut().unwrap().remove(claim)),
        }
        let outcome = foreign.believe(&foreign.sign(&claims)).await;
        assert!(
            matches!(outcome, Err(RelyingPartyError::IdToken(_))),
            "{claim} = {value:?}: {outcome:?}"
        );
    }
    let mut several = foreign.claims();
    (several["aud"], several["azp"]) = (json!([CLIENT, "solid"]), CLIENT.into());
    assert!(foreign.believe(&foreign.sign(&several)).await.is_ok());

    let (claims, stranger) = (foreign.claims(), Key::new());
    let genuine = foreign.sign(&claims);
    let part = |at: usize| genuine.split('.').nth(at).unwrap().to_owned();
    let hmac = HS256.signer_from_bytes(SECRET).unwrap();
    let own = Value::from(stranger.public.clone());
    let by = |header: Value, signer: &dyn JwsSigner| compact(&header, &claims, signer).unwrap();
    for (what, token) in [
        ("alg none", format!("eyJhbGciOiJub25lIn0.{}.", part(1))),
        ("our secret as key", by(json!({ "alg": "HS256" }), &hmac)),
        (
            "another key",
            by(json!({ "alg": "ES256", "kid": "one" }), &*stranger.signer),
        ),
        (
            "its own key",
            by(json!({ "alg": "ES256", "jwk": own }), &*stranger.signer),
        ),
        (
            "an unknown kid",
            by(json!({ "alg": "ES256", "kid": "two" }), &*foreign.key.signer),
        ),
        (
            "another algorithm",
            by(json!({ "alg": "RS256", "kid": "one" }), &*foreign.key.signer),
        ),
        (
            "an access token",
            by(
                json!({ "alg": "ES256", "kid": "one", "typ": "at+jwt" }),
                &*foreign.key.signer,
            ),
        ),
        ("no signature", format!("{}.{}.", part(0), part(1))),
        ("encrypted", "a.b.c.d.e".to_owned()),
        ("nothing", String::new()),
        ("endless", "x".repeat(20_000)),
    ] {
        let outcome = foreign.believe(&token).await;
        assert!(
            matches!(outcome, Err(RelyingPartyError::IdToken(_))),
            "{what}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_named_and_tells_nothing() {
    let foreign = Foreign::new().await;
    let good = json!({ "id_token": foreign.sign(&foreign.claims()) }).to_string();
    for (what, status, body, said) in [
        (
            "a refusal",
            400,
            json!({ "error": "invalid_grant" }).to_string(),
            "invalid_grant",
        ),
        (
            "a strange refusal",
            400,
            json!({ "error": "<script>\n" }).to_string(),
            "no reason given",
        ),
        ("a failure", 500, String::new(), "no reason given"),
        ("a redirect", 302, good.clone(), "no reason given"),
        ("no ID token", 200, "{}".to_owned(), "no ID token"),
        ("no JSON", 200, "<html>".to_owned(), "no ID token"),
        (
            "too much",
            200,
            format!("{good}{}", " ".repeat(300_000)),
            "cannot be reached",
        ),
    ] {
        let error = foreign.redeem(status, body).await.unwrap_err().to_string();
        assert!(error.contains(said), "{what}: {error}");
        assert!(
            !error.contains(SECRET) && !error.contains("localhost"),
            "{what}: {error}"
        );
    }
    assert_eq!(foreign.redeem(200, good).await.unwrap(), "somebody");
    let url = foreign.party.authorization_url(&foreign.exchange, false).await.unwrap();
    assert!(
        url.contains("kept=1") && url.contains("scope=openid+profile") && !url.contains("prompt"),
        "{url}"
    );
    assert!(
        url.contains("code_challenge_method=S256") && !url.contains(&foreign.exchange.verifier),
        "{url}"
    );
    // Nobody but the provider speaks for it, and it need not unless it said that it would.
    let party = &foreign.party;
    assert!(party.check_response_issuer(None).await.is_ok());
    assert!(
        party
            .check_response_issuer(Some(&foreign.server.url("/")))
            .await
            .is_ok()
    );
    assert!(
        party
            .check_response_issuer(Some(&foreign.server.url("")))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_a_provider_that_lies_about_itself_is_asked_once() {
    for (member, value) in [
        ("issuer", json!("https://evil.example/")),
        ("issuer", Value::Null),
        ("token_endpoint", Value::Null),
        ("authorization_endpoint", json!(7)),
    ] {
        let foreign = Foreign::new().await;
        foreign.metadata.lock()[member] = value;
        for _ in 0..20 {
            assert!(
                foreign.party.authorization_url(&foreign.exchange, false).await.is_err(),
                "{member}"
            );
        }
        assert_eq!(foreign.server.requests(), 1, "{member}");
    }
    for endpoint in ["javascript:alert(1)", "data:text/html,x", "no URL"] {
        let foreign = Foreign::new().await;
        foreign.metadata.lock()["authorization_endpoint"] = endpoint.into();
        assert!(
            foreign.party.authorization_url(&foreign.exchange, false).await.is_err(),
            "{endpoint}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_id_tokens_are_opened_and_believed_no_easier() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let rsa = Jwk::generate_rsa_key(2_048).unwrap();
    let ec = Jwk::generate_ec_key(EcCurve::P256).unwrap();
    for (jwk, algorithms) in [(&rsa, &["RSA-OAEP", "RSA-OAEP-256"][..]), (&ec, &["ECDH-ES"][..])] {
        crate::secret_file::write(&path, jwk.to_string().as_bytes()).unwrap();
        let foreign = Foreign::with(Vec::new(), Some(Decryption::from_file(&path).unwrap())).await;
        let published = foreign.party.jwks();
        assert_eq!(published["keys"][0]["use"], "enc");
        assert!(published["keys"][0].get("d").is_none());
        let public = jwk.to_public_key().unwrap();
        let encrypt = |algorithm: &str, zip: bool, content: &str| {
            let mut header = JweHeader::new();
            header.set_token_type("JWT");
            header.set_content_encryption("A128CBC-HS256");
            if zip {
                header.set_compression("DEF");
            }
            let encrypter: Box<dyn jwe::JweEncrypter> = match algorithm {
                "RSA-OAEP" => Box::new(jwe::RSA_OAEP.encrypter_from_jwk(&public).unwrap()),
                "RSA-OAEP-256" => Box::new(jwe::RSA_OAEP_256.encrypter_from_jwk(&public).unwrap()),
                _ => Box::new(jwe::ECDH_ES.encrypter_from_jwk(&public).unwrap()),
            };
            jwe::serialize_compact(content.as_bytes(), &header, &*encrypter).unwrap()
        };
        let good = foreign.sign(&foreign.claims());
        for algorithm in algorithms {
            let sealed = encrypt(algorithm, false, &good);
            assert_eq!(foreign.believe(&sealed).await.unwrap(), "somebody", "{algorithm}");
        }
        let mut other = foreign.claims();
        other["nonce"] = "another".into();
        let stranger = Key::new();
        let forged = compact(
            &json!({ "alg": "ES256", "kid": "one" }),
            &foreign.claims(),
            &*stranger.signer,
        )
        .unwrap();
        let mut cut = encrypt(algorithms[0], false, &good);
        cut.truncate(cut.len() - 4);
        for (what, token) in [
            ("not encrypted", good.clone()),
            ("compressed", encrypt(algorithms[0], true, &good)),
            (
                "not signed",
                encrypt(algorithms[0], false, &foreign.claims().to_string()),
            ),
            ("another nonce", encrypt(algorithms[0], false, &foreign.sign(&other))),
            ("another key", encrypt(algorithms[0], false, &forged)),
            ("cut off", cut),
            ("endless", format!("{}.", "x".repeat(60_000))),
        ] {
            let outcome = foreign.believe(&token).await;
            assert!(
                matches!(outcome, Err(RelyingPartyError::IdToken(_))),
                "{what}: {outcome:?}"
            );
        }
    }
}

#[test]
fn state_nonce_and_verifier_differ_and_follow_from_the_secret() {
    let (one, two) = (Exchange::of("a secret"), Exchange::of("another"));
    assert_eq!(one, Exchange::of("a secret"));
    assert_ne!(one, two);
    assert!(one.state != one.nonce && one.nonce != one.verifier && one.verifier.len() == 43);
}
