//! What there is to subscribe to: the subscription services of a storage, as its description and as themselves
//! (solid#104, solid#105).

use oxrdf::Quad;
use serde_json::{Value, json};
use vocab::notify;

use super::channel::ChannelType;
use super::context::{self, Context};
use crate::http::media_type::Syntax;
use crate::ldp::description::{Described, statements};
use crate::origins::Origins;

/// Features of every service (solid#106).
const FEATURES: [(&str, &str); 5] = [
    ("startAt", notify::START_AT),
    ("endAt", notify::END_AT),
    ("state", notify::STATE),
    ("rate", notify::RATE),
    ("accept", notify::ACCEPT),
];

/// Methods of a subscription service.
pub const SERVICE_METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// URL of a subscription service.
#[must_use]
pub fn service_url(origins: &Origins, storage: &str, kind: ChannelType) -> String {
    format!("{}.notifications/{}", origins.root(storage), kind.name())
}

/// URL of the older negotiation, which some clients still begin with.
#[must_use]
pub fn gateway_url(origins: &Origins, storage: &str) -> String {
    format!("{}.notifications/gateway", origins.root(storage))
}

/// The terms of notifications, said inside the document, so that no reader has to fetch anything.
#[must_use]
pub fn inline_context() -> Value {
    context::terms()
}

/// The statements that tie a storage to its services.
#[must_use]
pub fn subscriptions(origins: &Origins, storage: &str) -> Vec<Quad> {
    let root = origins.root(storage);
    let mut quads = Vec::new();
    for kind in ChannelType::ALL {
        let service = service_url(origins, storage, kind);
        quads.extend(statements(&[(&root, notify::SUBSCRIPTION, &service)]).quads);
        quads.extend(service_statements(&service, kind));
    }
    quads
}

/// The same services in the description resource data model.
#[must_use]
pub fn services_json(origins: &Origins, storage: &str) -> Value {
    let services = ChannelType::ALL
        .into_iter()
        .map(|kind| service_json(origins, storage, kind));
    Value::Array(services.collect())
}

/// One service by itself.
#[must_use]
pub(crate) fn service(
    origins: &Origins,
    storage: &str,
    kind: ChannelType,
    context: Context,
    modified: i64,
) -> Described {
    let url = service_url(origins, storage, kind);
    let mut json = json!({ "@context": [context.iri()] });
    if let (Some(whole), Value::Object(members)) = (json.as_object_mut(), service_json(origins, storage, kind)) {
        whole.extend(members);
    }
    Described {
        document: crate::ldp::document::Document {
            quads: service_statements(&url, kind),
            prefixes: vec![("notify".to_owned(), notify::NS.to_owned())],
        },
        json: Some(json),
        modified,
        link: None,
        allow: SERVICE_METHODS,
        favourite: Syntax::JsonLd,
    }
}

fn service_json(origins: &Origins, storage: &str, kind: ChannelType) -> Value {
    let features: Vec<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
    json!({
        "id": service_url(origins, storage, kind),
        "channelType": kind.iri(),
        "feature": features,
    })
}

fn service_statements(service: &str, kind: ChannelType) -> Vec<Quad> {
    let mut quads = statements(&[(service, notify::CHANNEL_TYPE, &kind.iri())]).quads;
    for (_, iri) in FEATURES {
        quads.extend(statements(&[(service, notify::FEATURE, iri)]).quads);
    }
    quads
}
