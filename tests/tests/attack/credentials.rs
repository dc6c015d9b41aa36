//! A server with something private on it, and requests with credentials that can be changed in every part.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::{self, JwsSigner};
use meent_tests::pod::{Agent, PodServer, Reply};
use serde_json::{Map, Value, json};
use server_kit::authn::thumbprint;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::{Random, SystemRandom};
use sha2::{Digest, Sha256};

/// What the private document says.
pub const SECRET: &str = "what-only-alice-may-read";
/// Where it is.
pub const PATH: &str = "/alice/private";

/// A key that signs whatever it is told to.
pub struct Key {
    pub signer: Box<dyn JwsSigner>,
    pub public: Map<String, Value>,
    pub private: Map<String, Value>,
}

impl Key {
    pub fn new() -> Self {
        let jwk = Jwk::generate_ec_key(EcCurve::P256).unwrap();
        let private: Map<String, Value> = ["kty", "crv", "x", "y", "d"]
            .iter()
            .map(|name| ((*name).to_owned(), jwk.parameter(name).unwrap().clone()))
            .collect();
        let mut public = private.clone();
        public.remove("d");
        Self {
            signer: Box::new(jws::ES256.signer_from_jwk(&jwk).unwrap()),
            public,
            private,
        }
    }

    pub fn jkt(&self) -> String {
        thumbprint(&self.public).unwrap()
    }
}

pub fn compact(header: &Value, claims: &Value, signer: &dyn JwsSigner) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = signer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A server with one private document, and a key to which a good token of its owner is bound.
pub struct Scene {
    pub server: PodServer,
    pub owner: Agent,
    pub key: Key,
    pub stranger: Key,
}

/// A request with credentials, before something about it is changed.
pub struct Attempt {
    pub scheme: &'static str,
    pub token: String,
    pub header: Value,
    pub claims: Value,
    /// What is sent as `DPoP` in place of the proof that header and claims make.
    pub proofs: Option<Vec<String>>,
    pub by_stranger: bool,
}

impl Scene {
    pub async fn new() -> Self {
        let server = PodServer::start().await;
        let owner = server.agent("alice").await;
        server.agent("mallory").await;
        let put = owner.client().put(PATH, "text/plain", SECRET).await;
        assert_eq!(put.status, 201, "{}", put.text());
        Self {
            server,
            owner,
            key: Key::new(),
            stranger: Key::new(),
        }
    }

    pub fn url(&self) -> String {
        format!("{}{PATH}", self.server.base_url.trim_end_matches('/'))
    }

    pub fn token_claims(&self) -> Value {
        let now = SystemClock.unix();
        json!({
            "iss": self.server.console_url, "aud": "solid", "webid": self.owner.web_id, "sub": self.owner.web_id,
            "client_id": "https://app.example/id", "scope": "openid webid", "iat": now, "exp": now + 600,
            "jti": SystemRandom.token(8), "cnf": { "jkt": self.key.jkt() },
        })
    }

    pub fn token(&self) -> String {
        self.server.app.issuer.sign(&self.token_claims()).unwrap()
    }

    /// A token of this issuer with one claim changed or, with null, removed.
    pub fn token_with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.token_claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value,
        }
        self.server.app.issuer.sign(&claims).unwrap()
    }

    pub fn attempt(&self) -> Attempt {
        self.attempt_with(self.token())
    }

    pub fn attempt_with(&self, token: String) -> Attempt {
        Attempt {
            scheme: "DPoP",
            header: json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.public }),
            claims: json!({
                "htm": "GET", "htu": self.url(), "iat": SystemClock.unix(), "jti": SystemRandom.token(12),
                "ath": hash(&token),
            }),
            token,
            proofs: None,
            by_stranger: false,
        }
    }

    pub fn proof(&self, attempt: &Attempt) -> String {
        let key = if attempt.by_stranger { &self.stranger } else { &self.key };
        compact(&attempt.header, &attempt.claims, &*key.signer)
    }

    pub async fn send(&self, attempt: &Attempt) -> Reply {
        let client = self.server.client();
        let proofs = attempt.proofs.clone().unwrap_or_else(|| vec![self.proof(attempt)]);
        let mut request = client
            .request("GET", PATH)
            .header("authorization", format!("{} {}", attempt.scheme, attempt.token));
        for proof in proofs {
            request = request.header("dpop", proof);
        }
        request.send().await
    }
}

pub fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
