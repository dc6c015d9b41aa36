//! The negotiation that came before subscription services, which a widespread client library still begins with: plain
//! JSON to a gateway, plain JSON to the endpoint that it names, and a WebSocket. It ends in an ordinary channel.

use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use super::channel::{Channel, ChannelType};
use super::context::Context;
use super::discovery::service_url;
use super::request::unfit;
use crate::error::Error;
use crate::origins::Origins;

/// Methods of the gateway.
pub const METHODS: &str = "OPTIONS, POST";

/// Features that are carried over to the channel.
const FEATURES: [&str; 3] = ["state", "rate", "accept"];

/// Whether a subscription comes from such a client.
#[must_use]
pub fn is_plain_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Answers which endpoint to subscribe at.
///
/// # Errors
/// 422 when the client speaks none of the server's protocols, or what it sent is no negotiation.
pub fn negotiate(bytes: &[u8], origins: &Origins, storage: &str) -> Result<Value, Error> {
    let asked = object(bytes)?;
    let speaks = |protocol: &str| {
        let protocols = asked.get("protocols").and_then(Value::as_array);
        protocols.is_none_or(|protocols| protocols.iter().any(|one| one.as_str() == Some(protocol)))
    };
    if !speaks("ws") {
        return Err(unfit(
            "the gateway negotiates the protocol `ws`; for others see the storage description",
        ));
    }
    let features: Vec<&Value> = asked
        .get("features")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|feature| feature.as_str().is_some_and(|name| FEATURES.contains(&name)))
        .collect();
    Ok(json!({
        "endpoint": service_url(origins, storage, ChannelType::WebSocketChannel2023),
        "protocol": "ws",
        "features": features,
    }))
}

/// The subscription of such a client as an ordinary one.
///
/// # Errors
/// 400 or 422 when it is none.
pub fn as_json_ld(bytes: &[u8], kind: ChannelType) -> Result<bytes::Bytes, Error> {
    let asked = object(bytes)?;
    let mut whole = Map::new();
    whole.insert("@context".to_owned(), json!([Context::Channel.iri()]));
    whole.insert("type".to_owned(), kind.iri().into());
    for name in FEATURES.into_iter().chain(["topic"]) {
        match asked.get(name) {
            Some(value @ Value::String(_)) => {
                whole.insert(name.to_owned(), value.clone());
            }
            Some(_) => return Err(unfit(format!("`{name}` must be a text"))),
            None => {}
        }
    }
    Ok(Value::Object(whole).to_string().into())
}

/// What such a client connects to.
#[must_use]
pub fn connection(channel: &Channel, origins: &Origins) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("endpoint".to_owned(), channel.receive_from(origins).into());
    answer.insert("protocol".to_owned(), "ws".into());
    answer.insert("subprotocol".to_owned(), "solid-0.2".into());
    answer
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Malformed {
        kind: "malformed-subscription",
        line: error.line() as u64,
        column: error.column() as u64,
        message: error.to_string(),
    })
}
