//! An agent with a key of its own and an access token of the server's issuer.

use std::sync::Arc;

use http::Method;
use pod_server::origins::Origins;
use server_kit::authn::LocalIssuer;
use server_kit::authn::client::DpopKey;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;

use super::client::Client;

/// Someone who asks with credentials.
#[derive(Clone)]
pub struct Agent {
    /// WebID.
    pub web_id: String,
    key: Arc<DpopKey>,
    token: Arc<str>,
    origins: Origins,
}

impl Agent {
    /// An agent with a fresh key and a token for an hour.
    ///
    /// # Panics
    /// When no key or token can be made.
    pub fn new(issuer: &LocalIssuer, web_id: String, base_url: &str) -> Self {
        let key = DpopKey::generate().expect("a key");
        let now = SystemClock.unix();
        let claims = serde_json::json!({
            "iss": issuer.issuer(),
            "aud": "solid",
            "webid": web_id,
            "sub": web_id,
            "client_id": "https://client.example/id",
            "scope": "openid webid consent",
            "iat": now,
            "exp": now + 3_600,
            "jti": format!("{web_id}-{now}"),
            "cnf": { "jkt": key.thumbprint() },
        });
        let token = issuer.sign(&claims).expect("a token");
        Self {
            web_id,
            key: Arc::new(key),
            token: token.into(),
            origins: Origins::new(base_url),
        }
    }

    /// The same agent, who finds storages where they are.
    #[must_use]
    pub fn at(self, origins: Origins) -> Self {
        Self { origins, ..self }
    }

    /// The same agent and key with another token, such as one that is bound to an agreement.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.into(),
            ..self.clone()
        }
    }

    /// The access token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A client that sends this agent's credentials with every request.
    pub fn client(&self) -> Client {
        Client::of(self.origins.clone()).with_agent(self.clone())
    }

    /// The key that the agent's tokens are bound to.
    #[must_use]
    pub fn key(&self) -> &DpopKey {
        &self.key
    }

    /// The two header fields that prove who asks, for one request.
    ///
    /// # Panics
    /// When the proof cannot be signed.
    pub fn credentials(&self, method: &Method, url: &str) -> [(&'static str, String); 2] {
        let proof = self
            .key
            .proof(method, url, Some(&self.token), SystemClock.unix(), &SystemRandom)
            .expect("a proof");
        [("authorization", format!("DPoP {}", self.token)), ("dpop", proof)]
    }
}
