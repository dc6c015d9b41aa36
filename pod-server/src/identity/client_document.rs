//! Client identifier documents: a client is named by the URL where it describes itself (Solid-OIDC §5, solid#98).
//!
//! The document is fetched through the egress guard, must be about its own URL, and must use the Solid-OIDC JSON-LD
//! context, so that its member names mean what they say. It is kept for a short time, and never longer.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use server_kit::egress::{Egress, EgressRequest, Redirects};
use url::Url;

use super::client::{Client, read_metadata};
use super::redirect_uri::is_loopback;

/// The JSON-LD context of client identifier documents.
const CONTEXT: &str = "https://www.w3.org/ns/solid/oidc-context.jsonld";

/// Longest time for fetching one document.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);

/// How long it counts that a document cannot be used, in seconds.
const FAILURE_SECONDS: i64 = 10;

/// Why a client identifier document does not describe a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFault {
    /// The URL cannot name a client.
    #[error("the client id must be an `https` URL with a host and without fragment, user part or dot segments")]
    Url,
    /// The document cannot be fetched.
    #[error("the client identifier document cannot be fetched: {0}")]
    Fetch(String),
    /// The document is not JSON-LD in the Solid-OIDC context.
    #[error("the client identifier document must be JSON-LD with the context `{CONTEXT}`")]
    Context,
    /// The document is about another client.
    #[error("the client identifier document is about `{0}`, not about its own URL")]
    Other(String),
    /// A member of the document is wrong.
    #[error("the client identifier document cannot be used: {0}")]
    Metadata(String),
}

/// Reads and keeps client identifier documents.
pub struct ClientDocuments {
    egress: Arc<Egress>,
    bytes_max: u64,
    seconds: i64,
    kept: Cache<String, (i64, Result<Arc<Client>, DocumentFault>)>,
}

impl ClientDocuments {
    /// Through this guard, within these bounds.
    #[must_use]
    pub fn new(egress: Arc<Egress>, bytes_max: u64, seconds: u32, documents_max: usize) -> Self {
        Self {
            egress,
            bytes_max,
            seconds: i64::from(seconds),
            kept: Cache::new(documents_max.max(1)),
        }
    }

    /// The client that a URL describes.
    ///
    /// # Errors
    /// [`DocumentFault`].
    pub async fn client(&self, id: &str, now: i64) -> Result<Arc<Client>, DocumentFault> {
        if let Some((until, known)) = self.kept.get(id)
            && until > now
        {
            return known;
        }
        let found = self.fetch(id).await.map(Arc::new);
        // A failure is kept too, for a moment, so that nobody can make this server knock at a door again and again.
        let seconds = if found.is_ok() { self.seconds } else { FAILURE_SECONDS };
        self.kept.insert(id.to_owned(), (now + seconds, found.clone()));
        found
    }

    async fn fetch(&self, id: &str) -> Result<Client, DocumentFault> {
        check_url(id)?;
        let accept = HeaderValue::from_static("application/ld+json, application/json;q=0.5");
        let request = EgressRequest::get(id)
            .for_stranger()
            .header(ACCEPT, accept)
            .redirects(Redirects::SameOrigin(2))
            .bytes_max(self.bytes_max)
            .time_max(FETCH_TIME_MAX);
        let response = self
            .egress
            .fetch(request)
            .await
            .map_err(|error| DocumentFault::Fetch(error.to_string()))?;
        if response.status != StatusCode::OK {
            return Err(DocumentFault::Fetch(format!("the answer is {}", response.status)));
        }
        let media_type = response
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if !matches!(essence.as_str(), "application/ld+json" | "application/json") {
            return Err(DocumentFault::Context);
        }
        understand(id, &response.body)
    }
}

/// Whether a client id names a client identifier document, as opposed to a registration.
#[must_use]
pub fn is_document(id: &str) -> bool {
    id.contains(':')
}

fn check_url(id: &str) -> Result<(), DocumentFault> {
    let url = Url::parse(id).map_err(|_| DocumentFault::Url)?;
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    // The id is compared as text, so it must be in the one spelling that a parser gives it.
    if scheme && plain && url.host_str().is_some() && url.as_str() == id {
        Ok(())
    } else {
        Err(DocumentFault::Url)
    }
}

fn understand(id: &str, bytes: &[u8]) -> Result<Client, DocumentFault> {
    let document: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| DocumentFault::Context)?;
    let context = match document.get("@context") {
        Some(Value::String(one)) => one == CONTEXT,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(CONTEXT)),
        _ => false,
    };
    if !context {
        return Err(DocumentFault::Context);
    }
    match document.get("client_id").and_then(Value::as_str) {
        Some(about) if about == id => {}
        Some(other) => return Err(DocumentFault::Other(other.chars().take(200).collect())),
        None => return Err(DocumentFault::Metadata("`client_id` is missing".to_owned())),
    }
    if document
        .get("token_endpoint_auth_method")
        .is_some_and(|method| method != "none")
    {
        return Err(DocumentFault::Metadata(
            "`token_endpoint_auth_method` must be `none`: the document is public".to_owned(),
        ));
    }
    let mut client = read_metadata(&document).map_err(|fault| DocumentFault::Metadata(fault.description))?;
    client.id = id.to_owned();
    Ok(client)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    const ID: &str = "https://app.example/id";

    fn document(patch: impl FnOnce(&mut Value)) -> Result<Client, DocumentFault> {
        let mut value = json!({
            "@context": ["https://www.w3.org/ns/solid/oidc-context.jsonld"],
            "client_id": ID,
            "client_name": "A\u{202e}pp\u{7}",
            "redirect_uris": ["https://app.example/cb"],
            "scope": "openid webid offline_access",
            "grant_types": ["refresh_token", "authorization_code"],
        });
        patch(&mut value);
        understand(ID, value.to_string().as_bytes())
    }

    /// solid#98
    #[test]
    fn a_document_describes_its_own_url_in_the_right_context() {
        let client = document(|_| {}).unwrap();
        assert_eq!(
            (client.name.as_deref(), client.refreshes, client.is_public()),
            (Some("App"), true, true)
        );
        type Patch = fn(&mut Value);
        let bad: [Patch; 8] = [
            |d| d["@context"] = json!("https://evil.example/context"),
            |d| d["@context"] = json!({ "client_id": "https://evil.example/" }),
            |d| d["client_id"] = json!("https://app.example/other"),
            |d| d["client_id"] = json!(null),
            |d| d["redirect_uris"] = json!([]),
            |d| d["redirect_uris"] = json!(["http://app.example/cb"]),
            |d| d["token_endpoint_auth_method"] = json!("client_secret_basic"),
            |d| d["response_types"] = json!(["token"]),
        ];
        for (number, patch) in bad.into_iter().enumerate() {
            assert!(document(patch).is_err(), "case {number}");
        }
    }

    #[test]
    fn client_ids_are_urls_in_one_spelling() {
        for good in [ID, "http://localhost:3000/id", "https://app.example/"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "http://app.example/id",
            "https://app.example",
            "https://app.example/a/../id",
            "https://app.example/id#x",
            "https://u@app.example/id",
            "HTTPS://app.example/id",
            "ftp://app.example/id",
            "x:y",
        ] {
            assert_eq!(check_url(bad), Err(DocumentFault::Url), "{bad}");
        }
    }
}
