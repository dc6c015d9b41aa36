//! Subscription requests in the shapes that clients send.

use serde_json::{Value, json};

use crate::pod::{Client, Reply};

/// The context of the channel drafts.
pub const CHANNEL_CONTEXT: &str = "https://www.w3.org/ns/solid/notification/v1";
/// The context of the protocol's text.
pub const PROTOCOL_CONTEXT: &str = "https://www.w3.org/ns/solid/notifications-context/v1";

/// The request of a channel, with further members.
///
/// # Panics
/// When `more` is no object.
#[must_use]
pub fn subscription(kind: &str, topic: &str, more: &Value) -> Value {
    let mut request = json!({ "@context": [CHANNEL_CONTEXT], "type": kind, "topic": topic });
    let members = request.as_object_mut().expect("an object");
    members.extend(more.as_object().cloned().unwrap_or_default());
    request
}

/// Subscribes at the service of a storage, whose name is the first segment of the topic's path.
///
/// # Panics
/// When the topic is no path.
pub async fn subscribe(client: &Client, base_url: &str, kind: &str, topic: &str, more: &Value) -> Reply {
    let storage = topic.split('/').nth(1).expect("a path");
    let url = format!("{}{topic}", base_url.trim_end_matches('/'));
    client
        .request("POST", &format!("/{storage}/.notifications/{kind}"))
        .content("application/ld+json", subscription(kind, &url, more).to_string())
        .send()
        .await
}
