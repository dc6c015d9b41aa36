//! The heads of answers with which documents were read lately.
//!
//! What a head says follows from one state of a document, its representation and the rights that are shown. All of these
//! are the name under which it is kept, so that none is ever sent for another state or to someone with other rights.

use http::HeaderMap;
use policies::wac::Modes;
use quick_cache::sync::Cache;

use crate::authz::Verdict;
use crate::error::Error;
use crate::http::etag::{ETag, Variant};
use crate::store::{Latest, ResourceId, Sequence};

use super::headers;
use super::service::LdpService;
use super::target::{Role, Target};

/// Heads that are kept; one takes about two kilobytes.
const HEADS_MAX: usize = 4_096;

/// Heads by what they follow from.
pub(super) struct Heads(Cache<HeadOf, HeaderMap>);

/// What a head follows from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct HeadOf {
    id: ResourceId,
    version: Sequence,
    variant: Variant,
    user: Modes,
    everyone: Modes,
    public: bool,
}

impl Default for Heads {
    fn default() -> Self {
        Self(Cache::new(HEADS_MAX))
    }
}

impl Heads {
    /// What an answer says about a state of a resource, before its content: validators, caching, links, methods, rights.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn head(
        &self,
        service: &LdpService,
        target: &Target,
        latest: &Latest,
        verdict: &Verdict,
        etag: &ETag,
    ) -> Result<HeaderMap, Error> {
        // The head of a storage's root names its owner, and that of a list the system that it is written for.
        if target.role != Role::Document {
            return written(service, target, latest, verdict, etag);
        }
        let key = HeadOf {
            id: latest.resource.id,
            version: etag.state,
            variant: etag.variant,
            user: verdict.modes,
            everyone: verdict.public_modes,
            public: verdict.public,
        };
        if let Some(known) = self.0.get(&key) {
            return Ok(known);
        }
        let head = written(service, target, latest, verdict, etag)?;
        self.0.insert(key, head.clone());
        Ok(head)
    }
}

fn written(
    service: &LdpService,
    target: &Target,
    latest: &Latest,
    verdict: &Verdict,
    etag: &ETag,
) -> Result<HeaderMap, Error> {
    let owner = if target.role == Role::StorageRoot {
        service.owner_of(target)?
    } else {
        None
    };
    let resource = &latest.resource;
    // Room for what content adds.
    let mut head = HeaderMap::with_capacity(24);
    headers::add_validators(&mut head, etag, resource.modified);
    headers::add_caching(&mut head, verdict.public);
    headers::add_links(&mut head, target, &service.origins, owner.as_deref());
    service.issuer_links.add(service, target, latest, &mut head)?;
    service.link_access_rules(&mut head, target, false)?;
    headers::add_methods(&mut head, target, Some(resource));
    headers::add_rights(&mut head, target, verdict.modes, verdict.public_modes);
    Ok(head)
}
