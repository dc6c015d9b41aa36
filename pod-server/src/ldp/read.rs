//! GET, HEAD and OPTIONS of resources.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use server_kit::body::{self, Body};

use crate::authz::{Caller, UseKind, Verdict};
use crate::error::Error;
use crate::http::conditional::{Preconditions, ReadOutcome};
use crate::http::etag::{ETag, Variant};
use crate::http::media_type::{Syntax, stored_syntax};
use crate::http::negotiation::{accepts, choose_syntax};
use crate::http::range::{self, Selection};
use crate::store::{self, Latest, ReadPermit, Resource, ResourceKind};

use super::headers;
use super::linkset;
use super::listing;
use super::lws_listing;
use super::operation::Operation;
use super::service::LdpService;
use super::situation::Situation;
use super::target::Target;

/// The bytes of a representation, in whatever way they are at hand.
pub(super) enum Content {
    /// In memory.
    Bytes(bytes::Bytes),
    /// In a file of this length.
    File { path: std::path::PathBuf, size: u64 },
    /// Written while it is sent; its length is unknown.
    Stream(Body),
}

/// One representation, chosen.
pub(super) struct Representation {
    pub(super) variant: Variant,
    pub(super) media_type: String,
    pub(super) content: Content,
    /// Whether `Prefer` was followed (RFC 7240).
    pub(super) preference_applied: Option<&'static str>,
}

/// GET or HEAD.
pub(super) async fn read(
    service: &LdpService,
    parts: &Parts,
    target: &Target,
    caller: &Caller,
) -> Result<Response<Body>, Error> {
    let (method, request) = (&parts.method, &parts.headers);
    let verdict = decide(service, target, caller).await?;
    let used = caller.uses(UseKind::Read, &target.name);
    let proof = service.pep.authorize_read(&verdict, &used, Operation::Read).await?;
    let permit = ReadPermit::proven(&proof);
    if let Some(subject) = linkset::is_wanted(target, request)
        && let Some((shown, representation)) = service.linkset(target, subject, permit).await?
    {
        return respond(service, method, request, target, &shown, &verdict, representation).await;
    }
    let latest = if LdpService::is_resource(target) {
        service.store.latest(permit, &target.name)?
    } else {
        None
    };
    let Some(mut latest) = latest else {
        return match absent(service, target, caller, permit).await {
            Err(Error::NotFound) if LdpService::is_resource(target) => Err(vacant(target, &verdict)),
            other => other,
        };
    };
    if lws_listing::is_wanted(&latest.resource, request) {
        let page = service.lws_page(&latest, parts.uri.query(), permit).await?;
        let mut response = respond(
            service,
            method,
            request,
            target,
            &page.shown,
            &verdict,
            page.representation,
        )
        .await?;
        headers::append_links(response.headers_mut(), &page.links);
        return Ok(service.watched(response, target, caller, &verdict));
    }
    let representation = choose(service, request, target, &mut latest, permit).await?;
    let response = respond(service, method, request, target, &latest, &verdict, representation).await?;
    service
        .public
        .learn(method, request, target, &latest.resource, &verdict, &response);
    Ok(service.watched(response, target, caller, &verdict))
}

/// OPTIONS that is no preflight: what the target offers, for whoever may read it.
pub(super) async fn options(service: &LdpService, target: &Target, caller: &Caller) -> Result<Response<Body>, Error> {
    let verdict = decide(service, target, caller).await?;
    let used = caller.uses(UseKind::Read, &target.name);
    let proof = service.pep.authorize_read(&verdict, &used, Operation::Read).await?;
    let latest = service.store.latest(ReadPermit::proven(&proof), &target.name)?;
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let header_map = response.headers_mut();
    headers::add_links(
        header_map,
        target,
        &service.origins,
        owner(service, target, &proof)?.as_deref(),
    );
    service.link_access_rules(header_map, target, true)?;
    headers::add_methods(header_map, target, latest.as_ref().map(|latest| &*latest.resource));
    headers::add_rights(header_map, target, verdict.modes, verdict.public_modes);
    headers::add_caching(header_map, verdict.public);
    Ok(response)
}

async fn decide(service: &LdpService, target: &Target, caller: &Caller) -> Result<Verdict, Error> {
    let nothing = Situation::unseen();
    service.decide(&Operation::Read, target, &nothing, caller).await
}

/// 404, or 301 to the name with or without the closing slash if the caller may read that one (solid#11).
async fn absent(
    service: &LdpService,
    target: &Target,
    caller: &Caller,
    permit: ReadPermit,
) -> Result<Response<Body>, Error> {
    let Some(twin) = target.name.slash_twin().map(Target::of).filter(LdpService::is_resource) else {
        return Err(Error::NotFound);
    };
    if target.auxiliary().is_some() || service.store.latest(permit, &twin.name)?.is_none() {
        return Err(Error::NotFound);
    }
    let nothing = Situation::unseen();
    let requirements = Operation::Read.requirements(&twin, &nothing);
    if !service.pep.consider(&caller.subject, &requirements).await?.permitted {
        return Err(Error::NotFound);
    }
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(&twin.name.iri(&service.origins)) {
        response.headers_mut().insert(LOCATION, location);
    }
    headers::add_caching(response.headers_mut(), false);
    Ok(response)
}

/// 404 with what the target would take and what the caller may do there: clients decide from it how to create.
fn vacant(target: &Target, verdict: &Verdict) -> Error {
    let mut offers = HeaderMap::new();
    headers::add_methods(&mut offers, target, None);
    headers::add_rights(&mut offers, target, verdict.modes, verdict.public_modes);
    headers::add_caching(&mut offers, verdict.public);
    Error::Vacant {
        offers: Box::new(offers),
    }
}

async fn choose(
    service: &LdpService,
    request: &HeaderMap,
    target: &Target,
    latest: &mut Latest,
    permit: ReadPermit,
) -> Result<Representation, Error> {
    if latest.resource.kind == ResourceKind::Container {
        let syntax = choose_syntax(request, Syntax::Turtle).ok_or(Error::NotAcceptable)?;
        let (representation, shown) =
            listing::represent(service, request, target, &latest.resource, syntax, permit).await?;
        latest.resource = shown;
        return Ok(representation);
    }
    let latest: &Latest = latest;
    let resource = &latest.resource;
    let stored = if resource.kind == ResourceKind::RdfSource {
        stored_syntax(&resource.media_type)
    } else {
        None
    };
    let Some(stored) = stored else {
        let essence = resource.media_type.split(';').next().unwrap_or_default().trim();
        if !accepts(request, essence) {
            return Err(Error::NotAcceptable);
        }
        return Ok(as_stored(latest, Variant::Bytes));
    };
    let wanted = choose_syntax(request, stored).ok_or(Error::NotAcceptable)?;
    if wanted == stored {
        return Ok(as_stored(latest, stored.variant()));
    }
    let bytes = service.converted(resource, latest.body.clone(), stored, wanted).await?;
    Ok(Representation {
        variant: wanted.variant(),
        media_type: wanted.media_type().to_owned(),
        content: Content::Bytes(bytes),
        preference_applied: None,
    })
}

fn as_stored(latest: &Latest, variant: Variant) -> Representation {
    Representation {
        variant,
        media_type: latest.resource.media_type.clone(),
        content: match latest.body.clone() {
            store::Body::Bytes(bytes) => Content::Bytes(bytes),
            store::Body::File { path, size } => Content::File { path, size },
        },
        preference_applied: None,
    }
}

async fn respond(
    service: &LdpService,
    method: &Method,
    request: &HeaderMap,
    target: &Target,
    latest: &Latest,
    verdict: &Verdict,
    representation: Representation,
) -> Result<Response<Body>, Error> {
    let resource = &latest.resource;
    let etag = ETag {
        state: resource.version,
        variant: representation.variant,
    };
    let conditions = Preconditions::from_headers(request)?;
    let outcome = conditions.evaluate_read(&etag, resource.modified);
    if let ReadOutcome::Failed(condition) = outcome {
        return Err(Error::Precondition(condition));
    }
    let mut response = Response::new(body::empty());
    *response.headers_mut() = service.heads.head(service, target, latest, verdict, &etag)?;
    let ranges = !matches!(representation.content, Content::Stream(_));
    let header_map = response.headers_mut();
    if resource.kind == ResourceKind::Container {
        header_map.insert(VARY, HeaderValue::from_static(headers::VARY_CONTAINER));
    }
    if let Some(applied) = representation.preference_applied {
        header_map.insert(
            HeaderName::from_static("preference-applied"),
            HeaderValue::from_static(applied),
        );
    }
    if outcome == ReadOutcome::NotModified {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers::add_content(header_map, &representation.media_type, ranges);
    send(method, request, &etag, resource, representation.content, &mut response).await?;
    Ok(response)
}

/// Puts the bytes, or the part of them that was asked for, into the response.
async fn send(
    method: &Method,
    request: &HeaderMap,
    etag: &ETag,
    resource: &Resource,
    content: Content,
    response: &mut Response<Body>,
) -> Result<(), Error> {
    let size = match &content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::File { size, .. } => *size,
        Content::Stream(_) => {
            if *method == Method::GET
                && let Content::Stream(stream) = content
            {
                *response.body_mut() = stream;
            }
            return Ok(());
        }
    };
    // Ranges are defined for GET alone (RFC 9110 §14.2).
    let selection = if *method == Method::GET {
        range::select(request, size, etag, resource.modified)
    } else {
        Selection::Whole
    };
    let (first, length) = match selection {
        Selection::Unsatisfiable => return Err(Error::RangeNotSatisfiable { size }),
        Selection::Whole => (0, size),
        Selection::Part { first, last } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            if let Ok(value) = HeaderValue::from_str(&format!("bytes {first}-{last}/{size}")) {
                response.headers_mut().insert(CONTENT_RANGE, value);
            }
            (first, last - first + 1)
        }
    };
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    if *method == Method::HEAD {
        return Ok(());
    }
    *response.body_mut() = match content {
        Content::Bytes(bytes) => {
            let start = usize::try_from(first).unwrap_or(usize::MAX).min(bytes.len());
            let end = usize::try_from(first + length).unwrap_or(usize::MAX).min(bytes.len());
            body::full(bytes.slice(start..end))
        }
        Content::File { path, .. } => body::from_file(&path, first, length)
            .await
            .map_err(store::StoreError::File)?,
        Content::Stream(stream) => stream,
    };
    Ok(())
}

/// The tag of a resource in the form in which it is stored.
pub(crate) fn stored_etag(resource: &Resource) -> ETag {
    let variant = match resource.kind {
        ResourceKind::Container => Variant::Turtle,
        ResourceKind::RdfSource => stored_syntax(&resource.media_type).map_or(Variant::Bytes, Syntax::variant),
        ResourceKind::NonRdfSource => Variant::Bytes,
    };
    ETag {
        state: resource.version,
        variant,
    }
}

fn owner(
    service: &LdpService,
    target: &Target,
    _: &crate::authz::Authorized<Operation>,
) -> Result<Option<String>, Error> {
    if target.role == super::target::Role::StorageRoot {
        service.owner_of(target)
    } else {
        Ok(None)
    }
}
