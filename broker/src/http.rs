//! Requests as handlers see them: read within bounds, authenticated, parameters decoded.

use crate::error::{self, Answer};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use policies::request::Agent;
use server_kit::accept;
use server_kit::authn::Credentials;
use server_kit::body::{self, Body};
use server_kit::problem::Problem;

/// A request, read and authenticated.
#[derive(Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path, as sent.
    pub path: String,
    /// Parameters of the URL, and of the body when it is a form.
    pub parameters: Vec<(String, String)>,
    /// Header fields.
    pub headers: HeaderMap,
    /// Who asks.
    pub credentials: Credentials,
    /// The whole body.
    pub body: Bytes,
}

impl Call {
    /// The first parameter of a name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All parameters of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The caller's WebID and key.
    ///
    /// # Errors
    /// 401 when the caller has not said who they are.
    pub fn consumer(&self) -> Result<(String, String), Problem> {
        match (&self.credentials.agent, &self.credentials.jkt, &self.credentials.grant) {
            (Agent::Authenticated(web_id), Some(jkt), None) => Ok((web_id.as_str().to_owned(), jkt.clone())),
            (_, _, Some(_)) => Err(error::forbidden(
                "agreement-token",
                "an agreement token is for the owner it comes from: use the access token of your own issuer here",
            )),
            _ => Err(
                Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Who are you?")
                    .detail("send a DPoP-bound access token of your Solid-OIDC issuer, with a proof"),
            ),
        }
    }

    /// The media type of the body, without parameters.
    #[must_use]
    pub fn media_type(&self) -> String {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }

    /// The best of the offered media types for the caller (RFC 9110 §12.5.1); the first when nothing is asked for.
    #[must_use]
    pub fn negotiate<'a>(&self, offered: &[&'a str]) -> Option<&'a str> {
        accept::negotiate(&self.headers, offered)
    }
}

/// Decodes parameters of a URL or form.
#[must_use]
pub fn parameters(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// A response with a body.
#[must_use]
pub fn respond(status: StatusCode, media_type: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body::full(content));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A JSON response.
#[must_use]
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    respond(status, "application/json", value.to_string())
}

/// 204.
#[must_use]
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Serialises triples in one of [`RDF`].
///
/// # Errors
/// When serialising fails.
pub fn rdf(triples: &[oxrdf::Triple], media_type: &'static str) -> Answer {
    let format = oxrdfio::RdfFormat::from_media_type(media_type).unwrap_or(oxrdfio::RdfFormat::Turtle);
    let mut writer = oxrdfio::RdfSerializer::from_format(format).for_writer(Vec::new());
    for triple in triples {
        writer
            .serialize_triple(triple)
            .map_err(|error| error::internal(&error))?;
    }
    let bytes = writer.finish().map_err(|error| error::internal(&error))?;
    Ok(respond(StatusCode::OK, media_type, bytes))
}

/// Media types of RDF that are served, best first.
pub const RDF: [&str; 4] = [
    "text/turtle",
    "application/ld+json",
    "application/n-triples",
    "application/rdf+xml",
];
