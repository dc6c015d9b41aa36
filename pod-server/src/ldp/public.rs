//! The short way for what anyone may read: no token, no decision anew, no allocation beyond the response itself.
//!
//! An entry remembers that the public may read a name, under a policy number. The number changes with every policy
//! document, and the state of the resource is asked from the store each time, so nothing old is ever sent.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use quick_cache::sync::Cache;
use server_kit::body::{self, Body};

use crate::authz::Verdict;
use crate::config::LdpSection;
use crate::http::conditional::{Preconditions, ReadOutcome};
use crate::http::etag::ETag;
use crate::http::media_type::{Syntax, stored_syntax};
use crate::http::negotiation::choose_syntax;
use crate::name::ResourceName;
use crate::store::{self, ReadPermit, Resource, ResourceId, ResourceKind, Sequence};

use super::operation::Operation;
use super::service::LdpService;
use super::target::Target;

/// Names of public resources that were read lately.
pub(super) struct PublicReads {
    entries: Cache<Box<str>, Arc<Entry>>,
}

struct Entry {
    epoch: u64,
    name: ResourceName,
    /// One per syntax; for documents that are not RDF only the first.
    ready: [ArcSwapOption<Ready>; 3],
}

/// The heads of the responses for one state in one representation.
struct Ready {
    id: ResourceId,
    version: Sequence,
    variant: crate::http::etag::Variant,
    /// Of 200.
    headers: HeaderMap,
    /// Of 304: the same without what speaks about content.
    headers_not_modified: HeaderMap,
}

/// Headers whose presence sends a request the long way.
const LONG_WAY: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::ORIGIN,
    header::RANGE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("dpop"),
];

impl PublicReads {
    pub(super) fn new(bounds: &LdpSection) -> Self {
        let entries = usize::try_from(bounds.representation_cache_bytes_max / 4_096).unwrap_or(usize::MAX);
        Self {
            entries: Cache::new(entries.clamp(16, 1 << 18)),
        }
    }

    pub(super) fn answer(
        &self,
        service: &LdpService,
        method: &Method,
        path: &str,
        request: &HeaderMap,
    ) -> Option<Response<Body>> {
        if *method != Method::GET || is_special(request) {
            return None;
        }
        let entry = self.entries.get(path)?;
        let proof = service.pep.authorize_public(entry.epoch, Operation::Read)?;
        let latest = service.store.latest(ReadPermit::proven(&proof), &entry.name).ok()??;
        let resource = &latest.resource;
        let slot = slot(request, resource)?;
        let ready = entry.ready.get(slot)?.load();
        let ready = ready.as_ref()?;
        if ready.id != resource.id || ready.version != resource.version {
            return None;
        }
        if let Some(response) = not_modified(request, ready, resource)? {
            return Some(response);
        }
        let stored = crate::ldp::read::stored_etag(resource).variant;
        let bytes = match latest.body {
            store::Body::Bytes(bytes) if resource.kind != ResourceKind::Container && ready.variant == stored => bytes,
            _ => service.representations.find(resource, ready.variant)?,
        };
        let mut response = Response::new(body::full(bytes));
        *response.headers_mut() = ready.headers.clone();
        Some(response)
    }

    /// Remembers an answer that was found the long way.
    pub(super) fn learn(
        &self,
        method: &Method,
        request: &HeaderMap,
        target: &Target,
        resource: &Resource,
        verdict: &Verdict,
        response: &Response<Body>,
    ) {
        let Some(epoch) = verdict.cacheable_under() else { return };
        // Rights shown to this caller must be those of everyone, because the answer goes to everyone.
        if *method != Method::GET
            || response.status() != StatusCode::OK
            || verdict.modes != verdict.public_modes
            || is_special(request)
            || !response.headers().contains_key(header::CONTENT_LENGTH)
        {
            return;
        }
        let Some(slot) = slot(request, resource) else { return };
        let Some(variant) = variant_of(request, resource) else {
            return;
        };
        let mut headers = response.headers().clone();
        super::headers::add_safety(&mut headers);
        let mut headers_not_modified = headers.clone();
        for about_content in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::ACCEPT_RANGES] {
            headers_not_modified.remove(about_content);
        }
        let ready = Ready {
            id: resource.id,
            version: resource.version,
            variant,
            headers,
            headers_not_modified,
        };
        let path = target.name.as_str();
        let entry = match self.entries.get(path).filter(|entry| entry.epoch == epoch) {
            Some(entry) => entry,
            None => {
                let entry = Arc::new(Entry {
                    epoch,
                    name: target.name.clone(),
                    ready: Default::default(),
                });
                self.entries.insert(path.into(), Arc::clone(&entry));
                entry
            }
        };
        if let Some(place) = entry.ready.get(slot) {
            place.store(Some(Arc::new(ready)));
        }
    }
}

/// 304, if the client names the state that it has. The outer none is for conditions that need the long way.
fn not_modified(request: &HeaderMap, ready: &Ready, resource: &Resource) -> Option<Option<Response<Body>>> {
    if !names_this_state(request, ready) {
        if !request.contains_key(header::IF_NONE_MATCH) && !request.contains_key(header::IF_MODIFIED_SINCE) {
            return Some(None);
        }
        let conditions = Preconditions::from_headers(request).ok()?;
        let etag = ETag {
            state: ready.version,
            variant: ready.variant,
        };
        match conditions.evaluate_read(&etag, resource.modified) {
            ReadOutcome::NotModified => {}
            ReadOutcome::Proceed => return Some(None),
            ReadOutcome::Failed(_) => return None,
        }
    }
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().clone_from(&ready.headers_not_modified);
    Some(Some(response))
}

/// Whether the request sends back our own tag and nothing else: what nearly every conditional request does, and then there
/// is nothing to evaluate. A date beside it does not count (RFC 9110 §13.2.2).
fn names_this_state(request: &HeaderMap, ready: &Ready) -> bool {
    let mut sent = request.get_all(header::IF_NONE_MATCH).iter();
    matches!((sent.next(), sent.next()), (Some(one), None) if ready.headers.get(header::ETAG) == Some(one))
}

fn is_special(request: &HeaderMap) -> bool {
    // Requests have few header fields: comparing their names costs less than looking each of these up.
    request.keys().any(|name| LONG_WAY.contains(name))
}

fn syntax_of(request: &HeaderMap, resource: &Resource) -> Option<Option<Syntax>> {
    let stored = match resource.kind {
        ResourceKind::Container => Syntax::Turtle,
        ResourceKind::RdfSource => match stored_syntax(&resource.media_type) {
            Some(stored) => stored,
            None => return Some(None),
        },
        ResourceKind::NonRdfSource => return Some(None),
    };
    match request.get(header::ACCEPT) {
        None => Some(Some(stored)),
        Some(accept) if *accept == HeaderValue::from_static("*/*") => Some(Some(stored)),
        Some(accept) if accept.as_bytes() == stored.media_type().as_bytes() => Some(Some(stored)),
        Some(_) => choose_syntax(request, stored).map(Some),
    }
}

fn slot(request: &HeaderMap, resource: &Resource) -> Option<usize> {
    match syntax_of(request, resource)? {
        Some(syntax) => Syntax::ALL.iter().position(|known| *known == syntax),
        None => {
            let essence = resource.media_type.split(';').next().unwrap_or_default().trim();
            crate::http::negotiation::accepts(request, essence).then_some(0)
        }
    }
}

fn variant_of(request: &HeaderMap, resource: &Resource) -> Option<crate::http::etag::Variant> {
    Some(match syntax_of(request, resource)? {
        Some(syntax) => syntax.variant(),
        None => crate::http::etag::Variant::Bytes,
    })
}
