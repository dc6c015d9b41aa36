//! An application that lets people log in with the code flow, PKCE and DPoP.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;
use server_kit::authn::client::DpopKey;
use server_kit::clock::Clock;
use server_kit::random::{Random, SystemRandom};
use sha2::{Digest, Sha256};

use super::{Answer, Console, Failure, Visitor, send};

/// Where people come back to.
pub const REDIRECT_URI: &str = "https://app.example/callback?from=meent";

/// An application and its proof key.
pub struct Application {
    /// Client id.
    pub id: String,
    /// Secret, when it has one.
    pub secret: Option<String>,
    /// Proof key.
    pub key: DpopKey,
}

/// What a token endpoint gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Access token.
    pub access: String,
    /// ID token.
    pub id: String,
    /// Refresh token; empty when there is none.
    pub refresh: String,
}

impl Tokens {
    /// Reads an answer of the token endpoint.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn read(answer: &Answer) -> Result<Self, Failure> {
        let json = answer.json()?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self {
            access: text("access_token"),
            id: text("id_token"),
            refresh: text("refresh_token"),
        })
    }

    /// The claims of a token, unverified.
    ///
    /// # Errors
    /// When it is no JWT.
    pub fn claims(token: &str) -> Result<Value, Failure> {
        let payload = token.split('.').nth(1).ok_or("no payload")?;
        Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
    }
}

/// A PKCE verifier and its S256 challenge.
#[must_use]
pub fn pkce() -> (String, String) {
    let verifier = SystemRandom.token(32);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    (verifier, challenge)
}

impl Application {
    /// Registers with a console (RFC 7591).
    ///
    /// # Errors
    /// When the console refuses.
    pub async fn register(console: &Console, method: &str) -> Result<Self, Failure> {
        Self::register_with(console, serde_json::json!({ "token_endpoint_auth_method": method })).await
    }

    /// Registers with further or other metadata.
    ///
    /// # Errors
    /// When the console refuses.
    pub async fn register_with(console: &Console, changes: Value) -> Result<Self, Failure> {
        let mut metadata = serde_json::json!({
            "client_name": "Counting <app>",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid webid offline_access",
        });
        if let (Some(metadata), Value::Object(changes)) = (metadata.as_object_mut(), changes) {
            metadata.extend(changes);
        }
        let request = Request::post("/.oidc/register")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(metadata.to_string())))?;
        let answer = send(&console.wire, None, request).await?;
        if answer.status != http::StatusCode::CREATED {
            return Err(format!("registration: {} {}", answer.status, answer.body).into());
        }
        let told = answer.json()?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            id: text("client_id").ok_or("no id")?,
            secret: text("client_secret"),
            key: DpopKey::generate()?,
        })
    }

    /// The authorization request as a path, with changes: an empty value leaves a parameter out.
    #[must_use]
    pub fn authorization(&self, challenge: &str, changes: &[(&str, &str)]) -> String {
        let usual = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("scope", "openid webid offline_access"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("state", "st&te"),
            ("nonce", "n0nce"),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in usual
            .into_iter()
            .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name))
        {
            query.append_pair(name, value);
        }
        query.extend_pairs(changes.iter().filter(|(_, value)| !value.is_empty()));
        format!("/.oidc/authorize?{}", query.finish())
    }

    /// Takes a person who has logged in through the approval screen; gives the code.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn code(&self, visitor: &mut Visitor, challenge: &str) -> Result<String, Failure> {
        self.code_with(visitor, challenge, &[]).await
    }

    /// The same for a request with changes.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn code_with(
        &self,
        visitor: &mut Visitor,
        challenge: &str,
        changes: &[(&str, &str)],
    ) -> Result<String, Failure> {
        let mut answer = visitor.open(&self.authorization(challenge, changes)).await?;
        if answer.status == http::StatusCode::OK {
            let (request, statement) = (answer.hidden("request"), answer.hidden("statement"));
            let fields = [
                ("request", request.as_str()),
                ("statement", &statement),
                ("decision", "allow"),
            ];
            answer = visitor.submit("/.oidc/decision", &fields).await?;
        }
        parameter(answer.location(), "code").ok_or_else(|| format!("no code: {} {}", answer.status, answer.body).into())
    }

    /// Sends fields to the token endpoint, with a fresh proof.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn token(&self, console: &Console, fields: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.token_with(console, &self.key, fields).await
    }

    /// The same with a proof by another key.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn token_with(
        &self,
        console: &Console,
        key: &DpopKey,
        fields: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        let proof = key.proof(
            &Method::POST,
            &console.at(".oidc/token"),
            None,
            console.clock.unix(),
            &SystemRandom,
        )?;
        self.post(console, "/.oidc/token", fields, Some(proof)).await
    }

    /// Sends fields to an endpoint of the issuer, saying who the application is.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn post(
        &self,
        console: &Console,
        path: &str,
        fields: &[(&str, &str)],
        proof: Option<String>,
    ) -> Result<Answer, Failure> {
        let body = encode(fields, self.secret.is_none().then_some(&self.id));
        let mut request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        if let Some(secret) = &self.secret {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{secret}", self.id));
            request = request.header("authorization", format!("Basic {pair}"));
        }
        send(&console.wire, None, request.body(Full::new(Bytes::from(body)))?).await
    }

    /// Redeems a code.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn redeem(&self, console: &Console, code: &str, verifier: &str) -> Result<Answer, Failure> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", verifier),
        ];
        self.token(console, &fields).await
    }

    /// Uses a refresh token.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn refresh(&self, console: &Console, refresh: &str) -> Result<Answer, Failure> {
        self.token(console, &[("grant_type", "refresh_token"), ("refresh_token", refresh)])
            .await
    }
}

/// Fields as a form; a public client says in it who it is.
fn encode(fields: &[(&str, &str)], client_id: Option<&String>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    if let Some(id) = client_id {
        form.append_pair("client_id", id);
    }
    form.finish()
}

/// A parameter of a URL's query.
#[must_use]
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
