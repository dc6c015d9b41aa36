//! Response headers of resources: links, allowed methods, accepted types, rights, validators, caching and safety.

use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LINK,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use policies::wac::Modes;
use server_kit::body::{self, Body};

use crate::http::cors;
use crate::http::etag::ETag;
use crate::http::link::Links;
use crate::name::Auxiliary;
use crate::origins::Origins;
use crate::store::Resource;

use super::patch::PatchFormat;
use super::target::{Role, Target};

/// `Accept-Patch` (RFC 5789 §3.1).
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// `Accept-Post` (LDP §7.1).
pub const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// `Accept-Put` (Solid Protocol §5.2).
pub const ACCEPT_PUT: HeaderName = HeaderName::from_static("accept-put");
/// `WAC-Allow` (WAC §6.1).
pub const WAC_ALLOW: HeaderName = HeaderName::from_static("wac-allow");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What containers and auxiliary resources take.
const RDF_ONLY: &str = "text/turtle, application/ld+json, application/n-triples";
const ANYTHING: &str = "*/*";

const LDP_RESOURCE: &str = "http://www.w3.org/ns/ldp#Resource";
const LDP_CONTAINER: &str = "http://www.w3.org/ns/ldp#Container";
const LDP_BASIC_CONTAINER: &str = "http://www.w3.org/ns/ldp#BasicContainer";
const STORAGE: &str = "http://www.w3.org/ns/pim/space#Storage";
const IN_STORAGE: &str = "http://www.w3.org/ns/pim/space#storage";
const STORAGE_DESCRIPTION: &str = "http://www.w3.org/ns/solid/terms#storageDescription";
const OWNER: &str = "http://www.w3.org/ns/solid/terms#owner";
const SPARQL_ENDPOINT: &str = "http://www.w3.org/ns/solid/sparql#endpoint";

/// Content of pods is shown by browsers without scripts and without reaching out (T56).
const SANDBOX: &str =
    "sandbox; default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; media-src 'self'";

/// One line for every response of resources (solid#59, T58).
pub const VARY_ALL: &str = "Accept, Authorization, Origin";
/// The same for containers, whose listing a client can ask to be left out (RFC 7240 §2).
pub const VARY_CONTAINER: &str = "Accept, Authorization, Origin, Prefer";

/// Headers that every response of this origin carries, errors included.
pub fn add_safety(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
}

/// What the target offers: `Allow` and the `Accept-*` that go with it (solid#8, solid#9).
pub fn add_methods(headers: &mut HeaderMap, target: &Target, present: Option<&Resource>) {
    let methods = target.methods(present);
    headers.insert(ALLOW, HeaderValue::from_static(methods));
    if methods.contains("PATCH") {
        headers.insert(ACCEPT_PATCH, accept_patch(target, present));
    }
    if methods.contains("POST") {
        headers.insert(ACCEPT_POST, HeaderValue::from_static(ANYTHING));
    }
    if methods.contains("PUT") {
        headers.insert(ACCEPT_PUT, accept_put(target));
    }
}

/// The patch formats that the target takes.
#[must_use]
pub fn accept_patch(target: &Target, present: Option<&Resource>) -> HeaderValue {
    HeaderValue::from_static(PatchFormat::list(target.patch_formats(present)))
}

/// `OPTIONS *` (RFC 9110 §9.3.7): what some resource or other supports.
#[must_use]
pub fn options_of_the_server() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(cors::METHODS));
    response
}

/// What may be put to the target.
#[must_use]
pub fn accept_put(target: &Target) -> HeaderValue {
    HeaderValue::from_static(if target.takes_rdf_only() { RDF_ONLY } else { ANYTHING })
}

/// The links of a resource (solid#14-17, solid#21, solid#22, solid#67). What access rules can say comes after them.
pub fn add_links(headers: &mut HeaderMap, target: &Target, origins: &Origins, owner: Option<&str>) {
    let mut links = Links::default();
    let mut linkset = None;
    if let Role::Auxiliary { kind, subject } = &target.role {
        links.push(&subject.auxiliary(Auxiliary::Acl).iri(origins), "acl");
        if *kind == Auxiliary::Description {
            links.push(&subject.iri(origins), "describes");
        }
        links.push(LDP_RESOURCE, "type");
        if let Some(root) = target.name.storage_root() {
            let root = root.iri(origins);
            links.push(&description_of(&root), STORAGE_DESCRIPTION);
            links.push(&root, IN_STORAGE);
        }
    } else {
        each_link(target, origins, |href, relation| {
            if relation == "linkset" {
                linkset = Some(href.to_owned());
            } else {
                links.push(href, relation);
            }
        });
    }
    if let Some(linkset) = linkset {
        links.push_typed(&linkset, "linkset", super::linkset::MEDIA_TYPE);
    }
    if target.role == Role::StorageRoot {
        links.push(&format!("{}sparql", target.name.iri(origins)), SPARQL_ENDPOINT);
        if let Some(owner) = owner {
            links.push(owner, OWNER);
        }
    }
    // Names are canonical and percent-encoded and a WebID is an IRI, so the line is always a header value.
    if let Ok(value) = HeaderValue::from_str(&links.into_string()) {
        headers.insert(LINK, value);
    }
}

/// Further links of one representation.
pub fn append_links(headers: &mut HeaderMap, links: &[(String, &'static str)]) {
    let mut line = Links::default();
    for (href, relation) in links {
        line.push(href, relation);
    }
    if let Ok(value) = HeaderValue::from_str(&line.into_string()) {
        headers.append(LINK, value);
    }
}

/// The links from a container or document to what belongs to it, as the server keeps them.
pub fn each_link(target: &Target, origins: &Origins, mut push: impl FnMut(&str, &'static str)) {
    if matches!(target.role, Role::StorageRoot | Role::Container | Role::Document) {
        let description = target.name.auxiliary(Auxiliary::Description).iri(origins);
        push(&target.name.auxiliary(Auxiliary::Acl).iri(origins), "acl");
        push(&description, "describedby");
        push(&description, "linkset");
        if target.role != Role::StorageRoot
            && let Some(container) = target.name.parent()
        {
            push(&container.iri(origins), "up");
        }
    }
    push(LDP_RESOURCE, "type");
    if target.is_container() {
        push(LDP_CONTAINER, "type");
        push(LDP_BASIC_CONTAINER, "type");
    }
    if target.role == Role::StorageRoot {
        push(STORAGE, "type");
    }
    if let Some(root) = target.name.storage_root() {
        let root = root.iri(origins);
        push(&description_of(&root), STORAGE_DESCRIPTION);
        // No specification asks for it; `@inrupt/solid-client` finds the description of a storage by it only.
        push(&root, IN_STORAGE);
    }
}

fn description_of(root: &str) -> String {
    format!("{root}.well-known/solid")
}

/// `WAC-Allow` (solid#79). Rights are decided for subjects; on a list of rights they mean everything to whoever may control
/// the subject, and nothing to anyone else.
pub fn add_rights(headers: &mut HeaderMap, target: &Target, user: Modes, public: Modes) {
    let here = |modes: Modes| match modes.contains(Modes::CONTROL) {
        _ if !target.is_acl() => modes,
        true => Modes::ALL,
        false => Modes::NONE,
    };
    let (user, public) = (here(user), here(public));
    if let Ok(value) = HeaderValue::from_str(&format!("user=\"{user}\",public=\"{public}\"")) {
        headers.insert(WAC_ALLOW, value);
    }
}

/// Who may keep the response (solid#65, T58).
pub fn add_caching(headers: &mut HeaderMap, public: bool) {
    headers.insert(VARY, HeaderValue::from_static(VARY_ALL));
    let caching = if public {
        "public, no-cache"
    } else {
        "private, no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
}

/// Validators of a representation (solid#6, solid#29).
pub fn add_validators(headers: &mut HeaderMap, etag: &ETag, modified: i64) {
    if let Ok(value) = HeaderValue::from_str(&etag.to_string()) {
        headers.insert(ETAG, value);
    }
    headers.insert(LAST_MODIFIED, http_date(modified));
}

/// The media type of a representation, and whether parts of it can be asked for.
pub fn add_content(headers: &mut HeaderMap, media_type: &str, ranges: bool) {
    let value = HeaderValue::from_str(media_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, value);
    headers.insert(
        ACCEPT_RANGES,
        HeaderValue::from_static(if ranges { "bytes" } else { "none" }),
    );
}

/// Unix seconds as an HTTP date.
#[must_use]
pub fn http_date(unix_seconds: i64) -> HeaderValue {
    let seconds = u64::try_from(unix_seconds).unwrap_or(0);
    // Beyond the year 9999 an HTTP date has no spelling.
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.min(253_402_300_799));
    HeaderValue::from_str(&httpdate::fmt_http_date(moment))
        .unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}
