//! The JSON-LD contexts of notifications. The protocol's text and the channel drafts name two different IRIs for the same
//! terms: both are understood, and each client is answered in the one that it used (solid#110).

use serde::{Deserialize, Serialize};

/// The terms of notifications under either IRI.
const TERMS: &str = include_str!("context.jsonld");

/// Activity Streams, of which subscriptions use nothing but the name.
const ACTIVITY_STREAMS: &str = "https://www.w3.org/ns/activitystreams";

/// Which of the two IRIs a client uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Context {
    /// The one of the protocol's text.
    Protocol,
    /// The one of the channel drafts, which most servers and clients use.
    #[default]
    Channel,
}

impl Context {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Protocol, Self::Channel];

    /// Its IRI.
    #[must_use]
    pub const fn iri(self) -> &'static str {
        match self {
            Self::Protocol => "https://www.w3.org/ns/solid/notifications-context/v1",
            Self::Channel => "https://www.w3.org/ns/solid/notification/v1",
        }
    }

    /// The context behind an IRI.
    #[must_use]
    pub fn of(iri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.iri() == iri)
    }

    /// The one that a JSON-LD document names, if it names one.
    #[must_use]
    pub fn named_in(document: &serde_json::Value) -> Option<Self> {
        match document.get("@context")? {
            serde_json::Value::String(iri) => Self::of(iri),
            serde_json::Value::Array(items) => items.iter().filter_map(|item| item.as_str()).find_map(Self::of),
            _ => None,
        }
    }
}

/// The document behind the IRI of a context that this server knows. It fetches none.
#[must_use]
pub fn embedded(iri: &str) -> Option<&'static str> {
    if Context::of(iri).is_some() {
        return Some(TERMS);
    }
    (iri == ACTIVITY_STREAMS).then_some(r#"{"@context": {"as": "https://www.w3.org/ns/activitystreams#"}}"#)
}

/// The terms themselves, for documents that say them inside, so that no reader has to fetch anything.
#[must_use]
pub fn terms() -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(TERMS)
        .ok()
        .and_then(|mut document| document.get_mut("@context").map(serde_json::Value::take))
        .unwrap_or_default()
}
