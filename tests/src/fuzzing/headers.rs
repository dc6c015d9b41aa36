//! Header fields and paths. The bytes are lines `Name: value`, as in a request.

use std::sync::{Arc, OnceLock};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use pod_server::http::conditional::{Preconditions, ReadOutcome};
use pod_server::http::etag::{ETag, Variant};
use pod_server::http::media_type::{MediaType, Syntax};
use pod_server::http::range::{self, Selection};
use pod_server::http::{link, negotiation};
use pod_server::ldp::slug;
use pod_server::name::ResourceName;
use pod_server::store::Sequence;
use server_kit::authn::{Authenticator, AuthnConfig};
use server_kit::clock::SystemClock;
use server_kit::egress::{Egress, EgressConfig};

const SIZE: u64 = 1_000;
const MODIFIED: i64 = 1_700_000_000;
/// More header fields than a request may have; the rest of the bytes is left.
const FIELDS_MAX: usize = 64;

fn fields(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(FIELDS_MAX) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value.trim_ascii()),
        ) else {
            continue;
        };
        headers.append(name, value);
    }
    headers
}

fn current() -> ETag {
    ETag {
        state: Sequence(7),
        variant: Variant::Turtle,
    }
}

/// The path of a request: one canonical name, which is its own canonical name.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(name) = ResourceName::parse(text) else {
        return;
    };
    match ResourceName::parse(name.as_str()) {
        Ok(again) => assert_eq!(
            again.as_str(),
            name.as_str(),
            "a canonical name has another canonical name"
        ),
        Err(error) => panic!("the canonical name `{}` is refused: {error}", name.as_str()),
    }
    assert!(
        !name.as_str().contains("/../") && !name.as_str().contains("//"),
        "{}",
        name.as_str()
    );
    if let Some(parent) = name.parent() {
        assert!(
            parent.is_container() && name.is_within(&parent),
            "{} in {}",
            name.as_str(),
            parent.as_str()
        );
    }
}

/// `Range` and `If-Range`.
pub fn range(bytes: &[u8]) {
    if let Selection::Part { first, last } = range::select(&fields(bytes), SIZE, &current(), MODIFIED) {
        assert!(first <= last && last < SIZE, "{first}-{last} of {SIZE}");
    }
}

/// `Link` and `Slug`.
pub fn link(bytes: &[u8]) {
    let headers = fields(bytes);
    let _ = link::requested_types(&headers);
    let Ok(container) = ResourceName::parse("/gent/") else {
        panic!("the container's name is canonical")
    };
    if let Some(name) = slug::from_headers(&headers, 200).and_then(|segment| slug::member(&container, &segment, false))
    {
        assert_eq!(
            name.parent().map(|parent| parent.as_str().to_owned()),
            Some("/gent/".to_owned()),
            "{}",
            name.as_str()
        );
    }
}

/// `Accept` and `Content-Type`.
pub fn accept(bytes: &[u8]) {
    let headers = fields(bytes);
    for stored in [Syntax::Turtle, Syntax::JsonLd] {
        let _ = negotiation::choose_syntax(&headers, stored);
    }
    let _ = negotiation::accepts(&headers, "image/png");
    if let Ok(media_type) = MediaType::from_headers(&headers) {
        let again = MediaType::parse(media_type.as_str()).map(|again| again.as_str().to_owned());
        assert_eq!(again.as_deref(), Some(media_type.as_str()));
    }
}

/// Conditional requests.
pub fn conditions(bytes: &[u8]) {
    if let Ok(conditions) = Preconditions::from_headers(&fields(bytes)) {
        let read = conditions.evaluate_read(&current(), MODIFIED);
        assert!(
            !conditions.is_empty() || matches!(read, ReadOutcome::Proceed),
            "no condition, so none can fail"
        );
        let _ = conditions.evaluate_write(Some((Sequence(7), MODIFIED)));
        let _ = conditions.evaluate_write(None);
    }
}

/// DPoP proofs and delegations: signed by whom it may be, so there is no good one among arbitrary bytes.
pub fn jwt(bytes: &[u8]) {
    static AUTHENTICATOR: OnceLock<Authenticator> = OnceLock::new();
    let authenticator = AUTHENTICATOR.get_or_init(|| {
        let config = AuthnConfig {
            audience: "https://pod.example/".to_owned(),
            as_uri: "https://issuer.example/".to_owned(),
            ..AuthnConfig::default()
        };
        let egress = Egress::new(EgressConfig::default()).unwrap_or_else(|error| panic!("{error}"));
        Authenticator::new(config, Arc::new(egress), Arc::new(SystemClock), None)
            .unwrap_or_else(|error| panic!("{error}"))
    });
    let headers = fields(bytes);
    let _ = authenticator.verify_proof(&Method::POST, "https://issuer.example/token", &headers);
    for value in headers.get_all("delegation") {
        if let Ok(text) = value.to_str() {
            let _ = authenticator.verify_delegation(text);
        }
    }
}
