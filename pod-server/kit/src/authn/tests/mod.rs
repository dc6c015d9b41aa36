//! Credentials that must pass, and many that must not (T27 to T33; solid#93 to #95).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod delegated;
mod proofs;
mod relying;
mod remote;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use josekit::jws::JwsSigner;
use serde_json::{Map, Value, json};

use super::client::DELEGATION;
use super::dpop::token_hash;
use super::local_issuer::{compact, generate, public_half, signer};
use super::*;
use crate::clock::{Clock, FixedClock};
use crate::egress::{Egress, EgressConfig};
use crate::random::{Random, SystemRandom};
use crate::tls::RootsConfig;

const ISSUER: &str = "https://pod.example:8443/";
const BASE: &str = "https://pod.example/";
const WEBID: &str = "https://pod.example/jan/profile/card#me";
const URL: &str = "https://pod.example/gent/data";
const NOW: i64 = 1_800_000_000;

/// A key that signs proofs.
struct Key {
    signer: Box<dyn JwsSigner>,
    public: Map<String, Value>,
    private: Map<String, Value>,
}

impl Key {
    fn new() -> Self {
        let private = generate().unwrap();
        Self {
            signer: signer(&private).unwrap(),
            public: public_half(&private),
            private,
        }
    }

    fn jkt(&self) -> String {
        thumbprint(&self.public).unwrap()
    }

    fn proof_parts(&self, token: &str, now: i64) -> (Value, Value) {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.public });
        let claims = json!({
            "htm": "GET", "htu": URL, "iat": now, "jti": SystemRandom.token(12), "ath": token_hash(token),
        });
        (header, claims)
    }

    fn proof(&self, token: &str, now: i64) -> String {
        let (header, claims) = self.proof_parts(token, now);
        compact(&header, &claims, &*self.signer).unwrap()
    }
}

/// The profiles of this server: one, which names one issuer.
struct Profiles;

impl LocalProfiles for Profiles {
    fn profile(&self, document: &str) -> BoxFuture<'_, LocalProfile> {
        let answer = match document {
            "https://pod.example/jan/profile/card" => LocalProfile::Document {
                bytes: format!("<#me> <http://www.w3.org/ns/solid/terms#oidcIssuer> <{ISSUER}> .").into(),
                media_type: "text/turtle".to_owned(),
            },
            local if local.starts_with(BASE) => LocalProfile::Absent,
            _ => LocalProfile::Elsewhere,
        };
        async move { answer }.boxed()
    }
}

/// A server with an issuer of its own.
struct Fixture {
    authenticator: Authenticator,
    issuer: Arc<LocalIssuer>,
    clock: Arc<FixedClock>,
    key: Key,
    _directory: tempfile::TempDir,
}

fn no_network() -> Arc<Egress> {
    let roots = RootsConfig {
        system_ca_file: None,
        extra_ca_file: None,
    };
    Arc::new(
        Egress::new(EgressConfig {
            roots,
            ..EgressConfig::default()
        })
        .unwrap(),
    )
}

impl Fixture {
    fn new() -> Self {
        Self::with(AuthnConfig::default(), no_network())
    }

    fn with(config: AuthnConfig, egress: Arc<Egress>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let issuer = Arc::new(LocalIssuer::load_or_generate(ISSUER, &directory.path().join("issuer.key")).unwrap());
        let clock = Arc::new(FixedClock::at_unix(NOW));
        let config = AuthnConfig {
            audience: BASE.to_owned(),
            as_uri: ISSUER.to_owned(),
            ..config
        };
        let authenticator =
            Authenticator::new(config, egress, Arc::<FixedClock>::clone(&clock), Arc::clone(&issuer)).unwrap();
        let authenticator = authenticator.with_local_profiles(Arc::new(Profiles));
        // The process has been running for a while.
        clock.advance(120);
        Self {
            authenticator,
            issuer,
            clock,
            key: Key::new(),
            _directory: directory,
        }
    }

    fn now(&self) -> i64 {
        self.clock.unix()
    }

    fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": "solid", "webid": WEBID, "sub": WEBID, "client_id": "https://app.example/id",
            "iat": self.now(), "exp": self.now() + 600, "cnf": { "jkt": self.key.jkt() }, "jti": SystemRandom.token(8),
        })
    }

    fn token(&self) -> String {
        self.issuer.sign(&self.claims()).unwrap()
    }

    /// What the server says to a request with these header fields.
    async fn ask(&self, fields: &[(HeaderName, String)]) -> Result<Credentials, AuthnRejection> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        self.authenticator.authenticate(&Method::GET, URL, &headers).await
    }

    async fn present(&self, token: &str, proof: &str) -> Result<Credentials, AuthnRejection> {
        self.ask(&[
            (AUTHORIZATION, format!("DPoP {token}")),
            (client::DPOP, proof.to_owned()),
        ])
        .await
    }

    /// A token with a good proof.
    async fn present_token(&self, token: &str) -> Result<Credentials, AuthnRejection> {
        self.present(token, &self.key.proof(token, self.now())).await
    }
}

/// What a rejection says, with its header field.
fn said(outcome: Result<Credentials, AuthnRejection>) -> String {
    match outcome {
        Ok(credentials) => panic!("accepted: {credentials:?}"),
        Err(rejection) => {
            let response = rejection.to_problem().into_response();
            let challenge = response
                .headers()
                .get("www-authenticate")
                .and_then(|value| value.to_str().ok())
                .unwrap_or("");
            format!("{} {} {challenge}", response.status().as_u16(), rejection.description)
        }
    }
}

#[tokio::test]
async fn a_good_token_with_a_good_proof_gives_credentials() {
    let fixture = Fixture::new();
    let token = fixture.token();
    for _ in 0..2 {
        let credentials = fixture.present_token(&token).await.unwrap();
        assert_eq!(credentials.agent, Agent::Authenticated(WebId::parse(WEBID).unwrap()));
        assert_eq!(credentials.client.as_deref(), Some("https://app.example/id"));
        assert_eq!(credentials.issuer.as_deref(), Some(ISSUER));
        assert_eq!((credentials.jkt, credentials.grant), (Some(fixture.key.jkt()), None));
    }
    assert_eq!(fixture.ask(&[]).await.unwrap(), Credentials::public());
}

#[tokio::test]
async fn solid93_a_refusal_carries_a_challenge() {
    let fixture = Fixture::new();
    let said = said(
        fixture
            .present("nonsense", &fixture.key.proof("nonsense", fixture.now()))
            .await,
    );
    for part in [
        "401",
        "DPoP error=\"invalid_token\"",
        "error_description=\"",
        "algs=\"ES256 ES384",
        "as_uri=\"https://pod.example:8443/\"",
    ] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
    let challenge = fixture.authenticator.challenge();
    assert!(challenge.to_str().unwrap().starts_with("DPoP algs=\""), "{challenge:?}");
}

#[tokio::test]
async fn a_rotated_key_keeps_old_tokens_alive_until_they_expire() {
    let fixture = Fixture::new();
    let old = fixture.token();
    fixture.issuer.rotate(fixture.now(), 3_600).unwrap();
    let new = fixture.token();
    assert!(fixture.present_token(&old).await.is_ok() && fixture.present_token(&new).await.is_ok());
    // The new key, the old one, and one for RS256.
    assert_eq!(fixture.issuer.jwks()["keys"].as_array().unwrap().len(), 3);
    assert!(
        fixture.issuer.jwks()["keys"]
            .as_array()
            .unwrap()
            .iter()
            .all(|key| key.get("d").is_none()),
        "no private part"
    );
    let path: &Path = fixture._directory.path();
    let again = LocalIssuer::load_or_generate(ISSUER, &path.join("issuer.key")).unwrap();
    assert_eq!(again.jwks(), fixture.issuer.jwks(), "the keys are kept");
    fixture.issuer.rotate(fixture.now() + 7_200, 3_600).unwrap();
    assert!(fixture.issuer.verify(&old, "at+jwt").is_err(), "its key is gone");
    assert!(fixture.issuer.verify(&new, "at+jwt").is_ok() && fixture.issuer.verify(&new, "JWT").is_err());
}

#[test]
fn t31_a_configuration_that_turns_checks_off_is_refused() {
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::at_unix(NOW));
    for config in [
        AuthnConfig {
            clock_skew_seconds: 61,
            ..AuthnConfig::default()
        },
        AuthnConfig {
            algorithms: Vec::new(),
            ..AuthnConfig::default()
        },
        AuthnConfig {
            proof_age_seconds_max: 0,
            ..AuthnConfig::default()
        },
        AuthnConfig {
            delegation_seconds_max: 3_600,
            ..AuthnConfig::default()
        },
    ] {
        let refused = Authenticator::new(config, no_network(), Arc::clone(&clock), None).err();
        assert!(refused.is_some_and(|error| error.to_string().contains("authn.")));
    }
}
