//! The request context of a decision: who, does what, on which resource, for which purpose, when.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::wac::Modes;

/// Longest WebID accepted, in bytes. Longer ones are not real and only cost memory.
pub const WEB_ID_BYTES_MAX: usize = 2048;

/// A WebID: an absolute `http` or `https` IRI that names an agent. Compared as text, never normalised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebId(String);

/// Why a text is not a WebID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebIdError {
    /// Not an absolute IRI.
    #[error("`{0}` is not an absolute IRI")]
    Iri(String),
    /// An IRI of another scheme than `http` or `https`.
    #[error("`{0}` is not an http or https IRI")]
    Scheme(String),
    /// Longer than [`WEB_ID_BYTES_MAX`].
    #[error("a WebID has at most {WEB_ID_BYTES_MAX} bytes, this one has {0}")]
    Length(usize),
}

impl WebId {
    /// Checks that `iri` is an absolute `http` or `https` IRI of a sane length.
    ///
    /// # Errors
    /// [`WebIdError`] says which of these fails.
    pub fn parse(iri: impl Into<String>) -> Result<Self, WebIdError> {
        let iri = iri.into();
        if iri.len() > WEB_ID_BYTES_MAX {
            return Err(WebIdError::Length(iri.len()));
        }
        if oxrdf::NamedNode::new(iri.as_str()).is_err() {
            return Err(WebIdError::Iri(iri));
        }
        if !iri.starts_with("https://") && !iri.starts_with("http://") {
            return Err(WebIdError::Scheme(iri));
        }
        Ok(Self(iri))
    }

    /// The IRI as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebId {
    type Error = WebIdError;

    fn try_from(iri: String) -> Result<Self, WebIdError> {
        Self::parse(iri)
    }
}

impl From<WebId> for String {
    fn from(web_id: WebId) -> Self {
        web_id.0
    }
}

impl AsRef<str> for WebId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who acts: nobody we know, or a verified WebID.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Agent {
    /// No credentials were given.
    #[default]
    Public,
    /// The credentials were verified and name this WebID.
    Authenticated(WebId),
}

impl Agent {
    /// The WebID, if there is one.
    #[must_use]
    pub fn web_id(&self) -> Option<&WebId> {
        match self {
            Self::Public => None,
            Self::Authenticated(web_id) => Some(web_id),
        }
    }
}

/// The requesting side: the agent and the application through which it acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Who acts.
    pub agent: Agent,
    /// Verified client identifier (an IRI), when the credentials carry one.
    pub client: Option<String>,
    /// Issuer of the credentials.
    pub issuer: Option<String>,
    /// The `Origin` header, exactly as sent.
    pub origin: Option<String>,
}

impl Subject {
    /// A subject without credentials.
    #[must_use]
    pub fn public() -> Self {
        Self::default()
    }

    /// A subject with only a WebID.
    #[must_use]
    pub fn authenticated(web_id: WebId) -> Self {
        Self {
            agent: Agent::Authenticated(web_id),
            ..Self::default()
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A Solid operation that needs all these modes on the resource. For an ACL, ask [`Modes::CONTROL`] on its subject.
    Wac(Modes),
    /// A query under an agreement, see [`AccessRequest::agreement`].
    Query,
}

/// Everything that a decision is about. Facts come separately, see [`crate::facts`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Who asks.
    pub subject: Subject,
    /// What they want to do.
    pub action: Action,
    /// IRI of the resource. For a query: the IRI of what the endpoint covers (a storage or the server).
    pub resource: String,
    /// Stated purpose, an IRI.
    pub purpose: Option<String>,
    /// The instant of the decision.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// IRI of the agreement that the caller's token is bound to.
    pub agreement: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_ids_are_checked() {
        let long = format!("https://a.example/{}", "x".repeat(WEB_ID_BYTES_MAX));
        let cases: [(&str, bool); 7] = [
            ("https://a.example/profile/card#me", true),
            ("http://localhost:7100/jan/profile/card#me", true),
            ("did:web:a.example", false),
            ("profile/card#me", false),
            ("https://a.example/with space", false),
            ("", false),
            (&long, false),
        ];
        for (text, valid) in cases {
            assert_eq!(WebId::parse(text).is_ok(), valid, "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str::<WebId>(&json).is_ok(), valid, "{text}");
        }
    }
}
