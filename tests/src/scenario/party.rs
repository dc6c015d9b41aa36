//! Someone who acts in the network: a WebID with client credentials, a key, and a token that is renewed when it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use serde_json::Value;
use server_kit::authn::client::{DpopKey, client_credentials};
use server_kit::clock::{Clock, SystemClock};
use server_kit::egress::{Egress, EgressRequest};
use server_kit::random::SystemRandom;

use super::ScenarioError;

/// Largest answer that a party reads, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Someone with a WebID.
#[derive(Clone)]
pub struct Party {
    /// WebID.
    pub web_id: String,
    /// Where tokens come from: the console of the party's own pod server.
    issuer: String,
    client: (String, String),
    /// The key that tokens are bound to.
    pub key: Arc<DpopKey>,
    egress: Arc<Egress>,
    token: Arc<Mutex<Option<(String, i64)>>>,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field as text; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The reply, if its status is a success.
    ///
    /// # Errors
    /// What was asked and what was answered.
    pub fn success(self, asked: &str) -> Result<Self, ScenarioError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(ScenarioError(format!("{asked}: {} {}", self.status, self.text())))
    }
}

impl Party {
    /// A party with a fresh key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(
        web_id: &str,
        issuer: &str,
        client: (String, String),
        egress: &Arc<Egress>,
    ) -> Result<Self, ScenarioError> {
        let key = DpopKey::generate().map_err(|error| ScenarioError(error.to_string()))?;
        Ok(Self {
            web_id: web_id.to_owned(),
            issuer: issuer.to_owned(),
            client,
            key: Arc::new(key),
            egress: Arc::clone(egress),
            token: Arc::default(),
        })
    }

    /// An access token of the party's own issuer.
    ///
    /// # Errors
    /// When the issuer refuses.
    pub async fn access_token(&self) -> Result<String, ScenarioError> {
        let now = SystemClock.unix();
        if let Some((token, until)) = self.token.lock().as_ref()
            && *until > now + 30
        {
            return Ok(token.clone());
        }
        let endpoint = format!("{}.oidc/token", self.issuer);
        let client = (self.client.0.as_str(), self.client.1.as_str());
        let response = client_credentials(&self.egress, &endpoint, client, &self.key, &SystemClock, &SystemRandom)
            .await
            .map_err(|error| ScenarioError(format!("a token for {}: {error}", self.web_id)))?;
        let until = now + i64::try_from(response.expires_in).unwrap_or(60);
        *self.token.lock() = Some((response.access_token.clone(), until));
        Ok(response.access_token)
    }

    /// Sends a request with the party's own token and a fresh proof.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, ScenarioError> {
        let token = self.access_token().await?;
        self.send_with(method, url, &token, headers, body).await
    }

    /// Sends a request with a given token, bound to the party's key.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send_with(
        &self,
        method: Method,
        url: &str,
        token: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, ScenarioError> {
        let failed = |error: &dyn std::fmt::Display| ScenarioError(format!("{method} {url}: {error}"));
        let mut request = EgressRequest::new(method.clone(), url)
            .bytes_max(ANSWER_BYTES_MAX)
            .time_max(TIME_MAX);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|error| failed(&error))?;
            request = request.header(HeaderName::from_static(name), value);
        }
        self.key
            .authorize(
                &mut request.headers,
                &method,
                url,
                token,
                SystemClock.unix(),
                &SystemRandom,
            )
            .map_err(|error| failed(&error))?;
        request.body = body.into();
        let response = self.egress.fetch(request).await.map_err(|error| failed(&error))?;
        Ok(Reply {
            status: response.status,
            headers: response.headers,
            body: response.body,
        })
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post_json(&self, url: &str, value: &Value) -> Result<Reply, ScenarioError> {
        self.send(
            Method::POST,
            url,
            &[(header::CONTENT_TYPE.as_str(), "application/json")],
            value.to_string(),
        )
        .await
    }
}

/// Longest wait for one answer.
const TIME_MAX: Duration = Duration::from_secs(60);
