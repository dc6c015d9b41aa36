//! Clients of the issuer: applications that ask a person to log in, and what they registered.
//!
//! A client is known by a URL where its client identifier document lies ([`super::client_document`], solid#98), or it
//! registered itself and got an id (RFC 7591, solid#102). Both are low trust: the person decides on the consent screen.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use server_kit::authn::Algorithm;

use crate::store::{RecordKind, Snapshot, Store, Transaction};
use crate::ui::visit::same;

use super::error::IdentityError;
use super::record;
use super::redirect_uri;
use super::session::run;

/// Redirect URIs that one client may have.
pub const REDIRECT_URIS_MAX: usize = 50;

/// Longest name of a client, in characters.
pub const NAME_CHARACTERS_MAX: usize = 100;

/// Prefix of the keys of registered clients among the issuer's records.
pub(super) const KEY_PREFIX: &str = "client/";

/// How a client proves who it is at the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// Not at all: a public client. Its proof key and PKCE bind what it gets.
    None,
    /// With a secret in the `Authorization` header.
    ClientSecretBasic {
        /// Digest of the secret.
        digest: String,
    },
    /// With a secret in the body.
    ClientSecretPost {
        /// Digest of the secret.
        digest: String,
    },
}

/// What is known of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// What it calls itself.
    pub name: Option<String>,
    /// Where it may send people back to; compared byte for byte.
    pub redirect_uris: Vec<String>,
    /// Where it may send people after logging out.
    pub logout_uris: Vec<String>,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// Whether it asked for refresh tokens.
    pub refreshes: bool,
    /// Whether it asked to give consent in people's names (scope `consent`).
    #[serde(default)]
    pub consents: bool,
    /// What its ID tokens are signed with.
    #[serde(default = "usual_algorithm")]
    pub id_token_algorithm: Algorithm,
    /// Until when a registration counts, Unix seconds; none for a document.
    pub expires: Option<i64>,
}

const fn usual_algorithm() -> Algorithm {
    Algorithm::Es256
}

impl Client {
    /// Digest of what the client says about itself, so far as a person relies on it.
    #[must_use]
    pub fn described(&self) -> String {
        record::digest(&json!([self.name, self.redirect_uris]).to_string())
    }

    /// The scopes that it may be given, separated by spaces.
    #[must_use]
    pub fn scope(&self) -> String {
        let further = [(self.refreshes, "offline_access"), (self.consents, "consent")];
        let further = further.into_iter().filter_map(|(asked, scope)| asked.then_some(scope));
        ["openid", "webid"]
            .into_iter()
            .chain(further)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Whether a secret, if any, proves that a request comes from this client, in the way the client registered.
    #[must_use]
    pub fn proves(&self, basic: Option<&str>, post: Option<&str>) -> bool {
        match (&self.authentication, basic, post) {
            (ClientAuthentication::None, None, None) => true,
            (ClientAuthentication::ClientSecretBasic { digest }, Some(secret), None)
            | (ClientAuthentication::ClientSecretPost { digest }, None, Some(secret)) => {
                same(digest.as_bytes(), record::digest(secret).as_bytes())
            }
            _ => false,
        }
    }

    /// Whether the client has no secret, so that its refresh tokens are bound to its proof key (RFC 9449 §5).
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self.authentication, ClientAuthentication::None)
    }
}

/// Whether a character changes the direction of what stands behind it, so that a name could rewrite the sentence around it
/// (Unicode Annex 9 §2; T84).
pub(crate) const fn turns_text(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why client metadata are refused (RFC 7591 §3.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataFault {
    /// OAuth error code.
    pub error: &'static str,
    /// What is wrong.
    pub description: String,
}

fn fault<T>(description: impl Into<String>) -> Result<T, MetadataFault> {
    Err(MetadataFault {
        error: "invalid_client_metadata",
        description: description.into(),
    })
}

/// Reads client metadata that both registrations and client identifier documents have in common.
///
/// # Errors
/// [`MetadataFault`] names the member that is wrong.
pub fn read_metadata(metadata: &serde_json::Map<String, Value>) -> Result<Client, MetadataFault> {
    let redirect_uris = uris(metadata, "redirect_uris")?;
    if redirect_uris.is_empty() {
        return Err(MetadataFault {
            error: "invalid_redirect_uri",
            description: "`redirect_uris` must hold at least one URI".to_owned(),
        });
    }
    let strings = |member: &str| -> Vec<&str> {
        metadata
            .get(member)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    let responses = strings("response_types");
    if !responses.is_empty() && !responses.contains(&"code") {
        return fault("`response_types` must contain `code`: this issuer has no other flow");
    }
    let grants = strings("grant_types");
    if !grants.is_empty() && !grants.contains(&"authorization_code") {
        return fault("`grant_types` must contain `authorization_code`");
    }
    let id_token_algorithm = match metadata.get("id_token_signed_response_alg").map(Value::as_str) {
        None | Some(Some("ES256")) => Algorithm::Es256,
        Some(Some("RS256")) => Algorithm::Rs256,
        _ => return fault("`id_token_signed_response_alg` must be `ES256` or `RS256`"),
    };
    let name: Option<String> = metadata
        .get("client_name")
        .and_then(Value::as_str)
        .map(|name| {
            name.chars()
                .filter(|c| !c.is_control() && !turns_text(*c))
                .take(NAME_CHARACTERS_MAX)
                .collect::<String>()
        })
        .filter(|name| !name.trim().is_empty());
    let scope = metadata.get("scope").and_then(Value::as_str).unwrap_or_default();
    let asks = |wanted: &str| scope.split(' ').any(|scope| scope == wanted);
    Ok(Client {
        id: String::new(),
        name,
        redirect_uris,
        logout_uris: uris(metadata, "post_logout_redirect_uris")?,
        authentication: ClientAuthentication::None,
        refreshes: grants.contains(&"refresh_token") || asks("offline_access"),
        consents: asks("consent"),
        id_token_algorithm,
        expires: None,
    })
}

fn uris(metadata: &serde_json::Map<String, Value>, member: &str) -> Result<Vec<String>, MetadataFault> {
    let refuse = |description: String| {
        Err(MetadataFault {
            error: "invalid_redirect_uri",
            description,
        })
    };
    let listed = match metadata.get(member) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        // JSON-LD writes a single value without brackets.
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) if many.len() <= REDIRECT_URIS_MAX => {
            let texts: Option<Vec<String>> = many.iter().map(|uri| uri.as_str().map(str::to_owned)).collect();
            match texts {
                Some(texts) => texts,
                None => return refuse(format!("`{member}` must hold strings")),
            }
        }
        _ => {
            return refuse(format!(
                "`{member}` must be an array of at most {REDIRECT_URIS_MAX} URIs"
            ));
        }
    };
    match listed.iter().find(|uri| !redirect_uri::registrable(uri)) {
        Some(bad) => refuse(format!(
            "`{member}`: `{bad}` cannot be used; give an `https` URI, or `http` on loopback, without fragment"
        )),
        None => Ok(listed),
    }
}

/// Registers a client (RFC 7591 §3). Gives what the client is told, its secret included.
///
/// # Errors
/// The inner error tells the client what is wrong with its metadata; the outer is ours.
pub async fn register(
    store: &dyn Store,
    metadata: &serde_json::Map<String, Value>,
    id: String,
    secret: String,
    now: i64,
    seconds: i64,
) -> Result<Result<Value, MetadataFault>, IdentityError> {
    let mut client = match read_metadata(metadata) {
        Ok(client) => client,
        Err(fault) => return Ok(Err(fault)),
    };
    let method = metadata
        .get("token_endpoint_auth_method")
        .map_or(Some("client_secret_basic"), Value::as_str);
    let digest = record::digest(&secret);
    client.authentication = match method {
        Some("none") => ClientAuthentication::None,
        Some("client_secret_basic") => ClientAuthentication::ClientSecretBasic { digest },
        Some("client_secret_post") => ClientAuthentication::ClientSecretPost { digest },
        _ => {
            return Ok(fault(
                "`token_endpoint_auth_method` must be `none`, `client_secret_basic` or `client_secret_post`",
            ));
        }
    };
    let expires = now + seconds;
    client.expires = Some(expires);
    client.id = id;
    let mut told = json!({
        "client_id": client.id,
        "client_id_issued_at": now,
        "client_secret_expires_at": expires,
        "redirect_uris": client.redirect_uris,
        "post_logout_redirect_uris": client.logout_uris,
        "token_endpoint_auth_method": method,
        "grant_types": if client.refreshes { json!(["authorization_code", "refresh_token"]) } else { json!(["authorization_code"]) },
        "response_types": ["code"],
        "id_token_signed_response_alg": client.id_token_algorithm,
        "scope": client.scope(),
    });
    if let (Some(name), Some(told)) = (&client.name, told.as_object_mut()) {
        told.insert("client_name".to_owned(), json!(name));
    }
    if let (false, Some(told)) = (client.is_public(), told.as_object_mut()) {
        told.insert("client_secret".to_owned(), json!(secret));
    }
    run(store, move |transaction: &mut dyn Transaction| {
        record::write(
            transaction,
            RecordKind::Issuer,
            &format!("{KEY_PREFIX}{}", client.id),
            &client,
        )
    })
    .await?;
    Ok(Ok(told))
}

/// A client that registered itself and whose registration still counts.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn registered(snapshot: &(impl Snapshot + ?Sized), id: &str, now: i64) -> Result<Option<Client>, IdentityError> {
    let client: Option<Client> = record::read(snapshot, RecordKind::Issuer, &format!("{KEY_PREFIX}{id}"))?;
    Ok(client.filter(|client| client.expires.is_none_or(|expires| expires > now)))
}
