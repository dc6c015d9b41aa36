//! Requests to the authorization endpoint (OpenID Connect Core §3.1.2, RFC 7636, RFC 9207, RFC 9449 §10).
//!
//! Only the code flow with PKCE S256 exists. A request that asks for anything weaker is shown as an error and never
//! redirected (T38), and so is a redirect URI that was not registered byte for byte (T39). The request is read anew at
//! each step from the same parameters; no step trusts what an earlier one found.

use std::sync::Arc;

use crate::ui::Form;

use super::client::Client;
use super::redirect_uri;

/// Longest `state` and `nonce`, in bytes.
const ECHOED_BYTES_MAX: usize = 2_048;

/// What a client may ask for.
pub const SCOPES: [&str; 4] = ["openid", "webid", "offline_access", CONSENT];

/// The scope under which an application may give consent in the account holder's name. The consent screen spells it out,
/// and it is never given silently together with another.
pub const CONSENT: &str = "consent";

/// A request that may go on.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: Arc<Client>,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// Given back with the answer.
    pub state: Option<String>,
    /// Given back in the ID token.
    pub nonce: Option<String>,
    /// PKCE challenge.
    pub challenge: String,
    /// Granted scopes, separated by spaces.
    pub scope: String,
    /// Thumbprint of the proof key that the client announced.
    pub jkt: Option<String>,
    /// What the client wants the person to see.
    pub prompt: Prompt,
    /// Oldest acceptable log-in, in seconds.
    pub age_seconds_max: Option<i64>,
    /// The WebID that the client expects, from an ID token that it had before (`id_token_hint`).
    pub expected: Option<String>,
}

/// `prompt` of OpenID Connect Core §3.1.2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Show nothing; fail if something would have to be shown.
    pub none: bool,
    /// Ask for the password again.
    pub login: bool,
    /// Ask for approval again.
    pub consent: bool,
}

/// Why a request does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizationFault {
    /// Shown to the person, never redirected: key of the text, and a detail for the application's developer.
    Shown(&'static str, String),
    /// Told to the client by redirect: error code and description.
    Told {
        /// Where to.
        redirect_uri: String,
        /// Given back.
        state: Option<String>,
        /// OAuth error code.
        error: &'static str,
        /// What is wrong.
        description: &'static str,
    },
}

/// The identity of a client as the request names it.
///
/// # Errors
/// [`AuthorizationFault::Shown`] when there is none.
pub fn client_id(form: &Form) -> Result<&str, AuthorizationFault> {
    form.field("client_id")
        .ok_or_else(|| AuthorizationFault::Shown("application-unknown", "`client_id` is missing".to_owned()))
}

/// Checks the parameters of a request by a known client.
///
/// # Errors
/// [`AuthorizationFault`].
pub fn check(client: Arc<Client>, form: &Form) -> Result<AuthorizationRequest, AuthorizationFault> {
    let redirect_uri = form.field("redirect_uri").unwrap_or_default();
    if !redirect_uri::is_registered(redirect_uri, &client.redirect_uris) {
        let detail = if redirect_uri.is_empty() {
            "`redirect_uri` is missing"
        } else {
            "`redirect_uri` is not registered"
        };
        return shown("redirect-unknown", detail);
    }
    if form.field("response_type") != Some("code") {
        return shown("flow-refused", "`response_type` must be `code`");
    }
    if form.field("response_mode").is_some_and(|mode| mode != "query") {
        return shown("flow-refused", "`response_mode` must be `query`");
    }
    let challenge = form.field("code_challenge").unwrap_or_default();
    if form.field("code_challenge_method") != Some("S256") || !is_digest(challenge) {
        return shown(
            "flow-refused",
            "PKCE with `code_challenge` and `code_challenge_method=S256` is required",
        );
    }
    for unsupported in ["request", "request_uri"] {
        if form.field(unsupported).is_some() {
            return shown("flow-refused", "request objects are not supported");
        }
    }
    let state = form.field("state").map(str::to_owned);
    let nonce = form.field("nonce").map(str::to_owned);
    if [&state, &nonce]
        .into_iter()
        .flatten()
        .any(|text| text.len() > ECHOED_BYTES_MAX)
    {
        return shown("flow-refused", "`state` and `nonce` have at most 2048 bytes");
    }
    let told = |error, description| {
        Err(AuthorizationFault::Told {
            redirect_uri: redirect_uri.to_owned(),
            state: state.clone(),
            error,
            description,
        })
    };
    let asked: Vec<&str> = form.field("scope").unwrap_or_default().split(' ').collect();
    if !asked.contains(&"openid") {
        return told("invalid_scope", "the scope must contain openid");
    }
    let jkt = form.field("dpop_jkt").map(str::to_owned);
    if jkt.as_deref().is_some_and(|jkt| !is_digest(jkt)) {
        return told("invalid_request", "dpop_jkt is no thumbprint");
    }
    let prompts: Vec<&str> = form
        .field("prompt")
        .map(|prompt| prompt.split(' ').collect())
        .unwrap_or_default();
    let prompt = Prompt {
        none: prompts.contains(&"none"),
        login: prompts.contains(&"login") || prompts.contains(&"select_account"),
        consent: prompts.contains(&"consent"),
    };
    if prompt.none && prompts.len() > 1 {
        return told("invalid_request", "prompt none stands alone");
    }
    let age_seconds_max = match form.field("max_age").map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(i64::from(seconds)),
        Some(Err(_)) => return told("invalid_request", "max_age must be a number of seconds"),
    };
    // The WebID is what this issuer is for, so its scope is granted whether or not an older client asks for it.
    let further = [(client.refreshes, "offline_access"), (client.consents, CONSENT)];
    let further = further.into_iter().filter(|(may, scope)| *may && asked.contains(scope));
    let scope: Vec<&str> = ["openid", "webid"]
        .into_iter()
        .chain(further.map(|(_, scope)| scope))
        .collect();
    Ok(AuthorizationRequest {
        redirect_uri: redirect_uri.to_owned(),
        challenge: challenge.to_owned(),
        scope: scope.join(" "),
        expected: form
            .field("id_token_hint")
            .map(|token| hinted(token).unwrap_or_default()),
        client,
        state,
        nonce,
        jkt,
        prompt,
        age_seconds_max,
    })
}

/// The WebID that an ID token names. The token is not verified: it can only make the request fail.
fn hinted(token: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1)?)
        .ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    claims.get("webid")?.as_str().map(str::to_owned)
}

fn shown<T>(key: &'static str, detail: &str) -> Result<T, AuthorizationFault> {
    Err(AuthorizationFault::Shown(key, detail.to_owned()))
}

/// Whether a text is a SHA-256 in unpadded base64url.
fn is_digest(text: &str) -> bool {
    text.len() == 43
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The URL that tells a client an error (RFC 6749 §4.1.2.1, RFC 9207 §2).
#[must_use]
pub fn error_url(redirect_uri: &str, state: Option<&str>, issuer: &str, error: &str, description: &str) -> String {
    let mut parameters = vec![("error", error), ("error_description", description), ("iss", issuer)];
    parameters.extend(state.map(|state| ("state", state)));
    redirect_uri::with_parameters(redirect_uri, &parameters)
}

impl AuthorizationRequest {
    /// The URL that hands the client its code (RFC 6749 §4.1.2, RFC 9207 §2).
    #[must_use]
    pub fn code_url(&self, code: &str, issuer: &str) -> String {
        let mut parameters = vec![("code", code), ("iss", issuer)];
        parameters.extend(self.state.as_deref().map(|state| ("state", state)));
        redirect_uri::with_parameters(&self.redirect_uri, &parameters)
    }

    /// The URL that tells the client an error.
    #[must_use]
    pub fn error_url(&self, issuer: &str, error: &str, description: &str) -> String {
        error_url(&self.redirect_uri, self.state.as_deref(), issuer, error, description)
    }

    /// What the person is asked to approve, in a form that can be compared with what was approved (T103).
    #[must_use]
    pub fn statement(&self, webid: &str) -> String {
        let name = self.client.name.as_deref().unwrap_or_default();
        let parts = [
            &self.client.id,
            name,
            self.redirect_uri.as_str(),
            self.scope.as_str(),
            webid,
        ];
        super::record::digest(&serde_json::json!(parts).to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::identity::client::ClientAuthentication;

    const GOOD: [(&str, &str); 7] = [
        ("client_id", "c"),
        ("redirect_uri", "https://app.example/cb"),
        ("response_type", "code"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("scope", "openid webid offline_access"),
        ("state", "s"),
    ];

    fn request(changes: &[(&str, &str)]) -> Result<AuthorizationRequest, AuthorizationFault> {
        let client = Client {
            id: "c".to_owned(),
            name: None,
            redirect_uris: vec!["https://app.example/cb".to_owned()],
            logout_uris: Vec::new(),
            authentication: ClientAuthentication::None,
            refreshes: true,
            consents: true,
            id_token_algorithm: server_kit::authn::Algorithm::Es256,
            expires: None,
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in GOOD
            .iter()
            .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name))
        {
            query.append_pair(name, value);
        }
        query.extend_pairs(changes);
        check(Arc::new(client), &Form::parse(query.finish().as_bytes()).unwrap())
    }

    #[test]
    fn a_good_request_goes_on() {
        let request = request(&[]).unwrap();
        assert_eq!(request.scope, "openid webid offline_access");
        assert_eq!(
            request.code_url("x", "https://i/"),
            "https://app.example/cb?code=x&iss=https%3A%2F%2Fi%2F&state=s"
        );
    }

    /// T38: nothing weaker than code with S256, and never a redirect for it.
    #[test]
    fn weaker_flows_are_shown_and_never_redirected() {
        for changes in [
            [("response_type", "token")],
            [("response_type", "id_token")],
            [("response_type", "code id_token")],
            [("response_type", "")],
            [("response_mode", "fragment")],
            [("response_mode", "form_post")],
            [("code_challenge", "")],
            [("code_challenge", "short")],
            [("code_challenge_method", "plain")],
            [("code_challenge_method", "")],
            [("request", "eyJ")],
            [("request_uri", "urn:x")],
        ] {
            assert!(
                matches!(request(&changes), Err(AuthorizationFault::Shown("flow-refused", _))),
                "{changes:?}"
            );
        }
    }

    /// T39: byte for byte, or no redirect at all.
    #[test]
    fn redirect_uris_are_compared_byte_for_byte() {
        let uris = [
            "",
            "https://app.example/cb/",
            "https://app.example/cb?",
            "https://app.example/cb#",
            "https://app.example/CB",
            "https://APP.example/cb",
            "HTTPS://app.example/cb",
            "http://app.example/cb",
            "https://app.example:443/cb",
            "https://app.example/./cb",
            "https://app.example/x/../cb",
            "https://app.example/cb/..",
            "https://app.example//cb",
            "https://app.example/%63b",
            "https://app.example/cb%00",
            "https://app.example/cb%20",
            "https://app.example/cb ",
            " https://app.example/cb",
            "https://app.example/cb\t",
            "https://app.example/cb\n",
            "https://app.example\\cb",
            "https://app.example/cb\\",
            "https://app.example\\@evil.example/cb",
            "https://app.example@evil.example/cb",
            "https://evil.example@app.example/cb",
            "https://app.example:x@evil.example/cb",
            "https://app.example.evil.example/cb",
            "https://evil.example/https://app.example/cb",
            "https://evil.example/?https://app.example/cb",
            "https://evil.example#https://app.example/cb",
            "https://app.example",
            "https://app.example/",
            "https://app.example/c",
            "https://app.example/cbx",
            "https://app.example/cb/x",
            "https://app.example/cb?x=1",
            "https://app.example/cb&x=1",
            "https://app.example/cb;x",
            "//app.example/cb",
            "/cb",
            "cb",
            "app.example/cb",
            "https:/app.example/cb",
            "https:app.example/cb",
            "https:///app.example/cb",
            "https://app。example/cb",
            "https://аpp.example/cb",
            "https://[::1]/cb",
            "https://127.0.0.1/cb",
            "http://localhost/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "ftp://app.example/cb",
            "blob:https://app.example/cb",
            "com.example:/cb",
            "https://app.example/cb,https://evil.example/",
            "https://app.example/cb https://evil.example/",
            "*",
            "https://*.example/cb",
            "https://app.example/*",
        ];
        assert!(uris.len() >= 60, "{}", uris.len());
        for uri in uris {
            let refused = request(&[("redirect_uri", uri)]);
            assert!(
                matches!(refused, Err(AuthorizationFault::Shown("redirect-unknown", _))),
                "{uri}"
            );
        }
    }

    #[test]
    fn other_faults_are_told_to_the_client() {
        for (changes, code) in [
            ([("scope", "webid")], "invalid_scope"),
            ([("prompt", "none login")], "invalid_request"),
            ([("max_age", "soon")], "invalid_request"),
            ([("dpop_jkt", "x")], "invalid_request"),
        ] {
            match request(&changes) {
                Err(AuthorizationFault::Told { error, state, .. }) => {
                    assert_eq!((error, state.as_deref()), (code, Some("s")), "{changes:?}");
                }
                other => panic!("{changes:?}: {other:?}"),
            }
        }
    }
}
