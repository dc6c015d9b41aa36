//! What the issuer says about itself (OpenID Connect Discovery §3, RFC 8414, Solid-OIDC §6.1).

use serde_json::{Value, json};

use super::authorize::SCOPES;
use super::site::Site;
use super::uma;

/// Paths of the issuer's endpoints on the console.
pub mod path {
    /// Metadata (OpenID Connect Discovery §4).
    pub const CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// The same metadata (RFC 8414 §3).
    pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
    /// Public keys.
    pub const JWKS: &str = "/.oidc/jwks";
    /// Where people are sent to log in.
    pub const AUTHORIZE: &str = "/.oidc/authorize";
    /// Where the consent screen sends its answer.
    pub const DECISION: &str = "/.oidc/decision";
    /// Where clients get tokens.
    pub const TOKEN: &str = "/.oidc/token";
    /// Who the holder of a token acts for.
    pub const USERINFO: &str = "/.oidc/userinfo";
    /// Where clients take tokens back.
    pub const REVOKE: &str = "/.oidc/revoke";
    /// Where clients with a secret ask what a token is worth.
    pub const INTROSPECT: &str = "/.oidc/introspect";
    /// Metadata of the same token endpoint as an UMA authorization server (UMA 2.0 grant §2).
    pub const UMA: &str = "/.well-known/uma2-configuration";
    /// Where clients register themselves.
    pub const REGISTER: &str = "/.oidc/register";
    /// Where applications send people to log out.
    pub const LOGOUT: &str = "/.oidc/logout";
}

/// The metadata document. `algorithms` are those accepted for proofs.
#[must_use]
pub fn configuration(site: &Site, algorithms: &[&str], registration_open: bool) -> Value {
    let mut document = json!({
        "issuer": site.issuer(),
        "authorization_endpoint": site.console(path::AUTHORIZE),
        "token_endpoint": site.console(path::TOKEN),
        "jwks_uri": site.console(path::JWKS),
        "userinfo_endpoint": site.console(path::USERINFO),
        "revocation_endpoint": site.console(path::REVOKE),
        "introspection_endpoint": site.console(path::INTROSPECT),
        "end_session_endpoint": site.console(path::LOGOUT),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", uma::GRANT_TYPE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "dpop_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "azp", "webid", "cnf", "at_hash"],
        "ui_locales_supported": ["nl", "fr", "en"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
        "solid_oidc_supported": "https://solidproject.org/TR/solid-oidc",
    });
    if let (true, Some(object)) = (registration_open, document.as_object_mut()) {
        object.insert("registration_endpoint".to_owned(), json!(site.console(path::REGISTER)));
    }
    document
}
