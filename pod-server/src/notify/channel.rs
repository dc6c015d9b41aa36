//! Notification channels: what a subscription has set up, kept as a record until it ends (solid#105, solid#106).

use policies::request::Subject;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::context::Context;
use crate::http::media_type::Syntax;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::Sequence;

/// Channel types that this server offers (solid#108).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChannelType {
    /// The client opens a WebSocket.
    WebSocketChannel2023,
    /// The client reads an HTTP response that does not end.
    StreamingHTTPChannel2023,
    /// The same as server-sent events.
    EventSourceChannel2023,
    /// The server posts to the client's receiver.
    WebhookChannel2023,
}

impl ChannelType {
    /// All of them, the most used first.
    pub const ALL: [Self; 4] = [
        Self::WebSocketChannel2023,
        Self::WebhookChannel2023,
        Self::StreamingHTTPChannel2023,
        Self::EventSourceChannel2023,
    ];

    /// Its name, which is the last part of its IRI and of the URL of its subscription service.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSocketChannel2023 => "WebSocketChannel2023",
            Self::StreamingHTTPChannel2023 => "StreamingHTTPChannel2023",
            Self::EventSourceChannel2023 => "EventSourceChannel2023",
            Self::WebhookChannel2023 => "WebhookChannel2023",
        }
    }

    /// The type with a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its IRI.
    #[must_use]
    pub fn iri(self) -> String {
        format!("{}{}", vocab::notify::NS, self.name())
    }

    /// Whether an IRI means this type. The channel drafts write the namespace in the singular.
    #[must_use]
    pub fn is_meant_by(self, iri: &str) -> bool {
        let name = iri
            .strip_prefix(vocab::notify::NS)
            .or_else(|| iri.strip_prefix("http://www.w3.org/ns/solid/notification#"));
        name == Some(self.name())
    }
}

/// One channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Channel {
    /// Unguessable name inside the storage.
    pub id: String,
    /// Name of the storage, its first path segment.
    pub storage: String,
    /// Channel type.
    pub kind: ChannelType,
    /// The resources that it tells about.
    #[serde(with = "names")]
    pub topics: Vec<ResourceName>,
    /// The context in which its client speaks.
    pub context: Context,
    /// The capability in `receiveFrom`; empty for a webhook.
    pub secret: String,
    /// Receiver of a webhook.
    pub send_to: Option<String>,
    /// Nothing is told before this moment, Unix milliseconds.
    pub start_at: Option<i64>,
    /// The channel ends at this moment, Unix milliseconds.
    pub end_at: i64,
    /// The state that the client knew when it subscribed.
    pub state: Option<String>,
    /// Least time between two notifications, in milliseconds.
    pub rate_milliseconds: Option<u64>,
    /// What the client accepts, as it said it.
    pub accept: Option<String>,
    /// The syntax that follows from it.
    #[serde(with = "syntaxes")]
    pub syntax: Syntax,
    /// Who subscribed: the right to read is asked for this subject at each delivery.
    pub subscriber: Subject,
    /// Commit with which the channel was made.
    pub since: u64,
}

impl Channel {
    /// Commit with which the channel was made: only later changes are told.
    #[must_use]
    pub const fn since(&self) -> Sequence {
        Sequence(self.since)
    }

    /// Whether the channel has ended.
    #[must_use]
    pub fn has_ended(&self, now_milliseconds: i64) -> bool {
        self.end_at <= now_milliseconds
    }

    /// Whether the channel has begun.
    #[must_use]
    pub fn has_begun(&self, now_milliseconds: i64) -> bool {
        self.start_at.is_none_or(|start| start <= now_milliseconds)
    }

    /// Its IRI.
    #[must_use]
    pub fn iri(&self, origins: &Origins) -> String {
        format!("{}.notifications/channels/{}", origins.root(&self.storage), self.id)
    }

    /// The capability URL from which its client receives.
    #[must_use]
    pub fn receive_from(&self, origins: &Origins) -> String {
        let url = format!(
            "{}.notifications/receive/{}/{}",
            origins.root(&self.storage),
            self.id,
            self.secret
        );
        match (self.kind, url.strip_prefix("http")) {
            // `https` becomes `wss`, `http` becomes `ws`.
            (ChannelType::WebSocketChannel2023, Some(rest)) => format!("ws{rest}"),
            _ => url,
        }
    }

    /// Its description in the notification channel data model. `sender` is the WebID that webhooks come from.
    #[must_use]
    pub fn describe(&self, origins: &Origins, sender: &str) -> Map<String, Value> {
        let mut description = Map::new();
        let mut say = |name: &str, value: Value| {
            description.insert(name.to_owned(), value);
        };
        say("@context", json!([self.context.iri()]));
        say("id", self.iri(origins).into());
        say("type", self.kind.iri().into());
        let mut topics: Vec<Value> = self.topics.iter().map(|topic| topic.iri(origins).into()).collect();
        match (topics.len(), topics.pop()) {
            (1, Some(topic)) => say("topic", topic),
            (_, last) => {
                topics.extend(last);
                say("topic", topics.into());
            }
        }
        match &self.send_to {
            Some(send_to) => {
                say("sendTo", send_to.as_str().into());
                say("sender", sender.into());
            }
            None => say("receiveFrom", self.receive_from(origins).into()),
        }
        if let Some(start) = self.start_at {
            say("startAt", timestamp(start).into());
        }
        say("endAt", timestamp(self.end_at).into());
        if let Some(state) = &self.state {
            say("state", state.as_str().into());
        }
        if let Some(rate) = self.rate_milliseconds {
            say("rate", duration(rate).into());
        }
        if let Some(accept) = &self.accept {
            say("accept", accept.as_str().into());
        }
        description
    }
}

/// Unix milliseconds as `xsd:dateTime` in UTC, with three digits of the second as in the protocol's examples.
#[must_use]
pub fn timestamp(milliseconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = moment
        .replace_nanosecond(0)
        .unwrap_or(moment)
        .format(&Rfc3339)
        .unwrap_or_default();
    match text.strip_suffix('Z') {
        Some(seconds) => format!("{seconds}.{:03}Z", moment.millisecond()),
        None => text,
    }
}

/// A moment as Unix milliseconds.
#[must_use]
pub fn milliseconds(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Milliseconds as `xsd:duration`.
fn duration(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
    if rest == 0 {
        return format!("PT{seconds}S");
    }
    format!("PT{seconds}.{rest:03}S")
}

/// Names as canonical text.
mod names {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::name::ResourceName;

    pub(super) fn serialize<S: Serializer>(names: &[ResourceName], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(names.iter().map(ResourceName::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ResourceName>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| ResourceName::parse(text).map_err(serde::de::Error::custom))
            .collect()
    }
}

/// Syntaxes as media types.
mod syntaxes {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::http::media_type::Syntax;

    pub(super) fn serialize<S: Serializer>(syntax: &Syntax, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(syntax.media_type())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Syntax, D::Error> {
        let text = String::deserialize(deserializer)?;
        Syntax::from_essence(&text).ok_or_else(|| serde::de::Error::custom("no syntax of notifications"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_durations_are_spelt_as_in_the_protocol() {
        assert_eq!(timestamp(1_672_556_400_000), "2023-01-01T07:00:00.000Z");
        assert_eq!(timestamp(1_672_556_400_025), "2023-01-01T07:00:00.025Z");
        assert_eq!(duration(300_000), "PT300S");
        assert_eq!(duration(1_500), "PT1.500S");
    }
}
