//! `Link rel="solid:oidcIssuer"` on the profile document of a storage's owner, equal to what the document states
//! (solid#103). An application finds out where to send a person to log in without parsing RDF.

use std::collections::BTreeSet;

use http::header::LINK;
use http::{HeaderMap, HeaderValue};
use oxrdf::{NamedOrBlankNode, Term};
use quick_cache::sync::Cache;

use crate::error::Error;
use crate::http::link::Links;
use crate::http::media_type::stored_syntax;
use crate::identity::profile;
use crate::store::{Latest, ReadPermit, ResourceId, ResourceKind, Sequence};

use super::document;
use super::representation::whole;
use super::service::LdpService;
use super::target::{Role, Target};

/// `solid:oidcIssuer`, the relation and the property alike.
const OIDC_ISSUER: &str = "http://www.w3.org/ns/solid/terms#oidcIssuer";

/// Largest document that is looked at, in bytes; a larger one is not read for logging in either.
const BYTES_MAX: u64 = 1 << 20;

/// Most issuers that are linked.
const ISSUERS_MAX: usize = 16;

/// States of resources whose links are remembered.
const REMEMBERED: usize = 20_000;

/// What is known of states of resources: their links, or that they have none.
pub(super) struct IssuerLinks(Cache<(ResourceId, Sequence), Option<HeaderValue>>);

impl Default for IssuerLinks {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl IssuerLinks {
    /// Adds the links to the headers of a response.
    pub(super) fn add(
        &self,
        service: &LdpService,
        target: &Target,
        latest: &Latest,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let resource = &latest.resource;
        if target.role != Role::Document || resource.kind != ResourceKind::RdfSource || resource.size > BYTES_MAX {
            return Ok(());
        }
        let key = (resource.id, resource.version);
        let links = match self.0.get(&key) {
            Some(known) => known,
            None => {
                let links = read(service, target, latest)?;
                self.0.insert(key, links.clone());
                links
            }
        };
        if let Some(links) = links {
            headers.append(LINK, links);
        }
        Ok(())
    }
}

/// The links of a document, if it is the profile of its storage's owner.
fn read(service: &LdpService, target: &Target, latest: &Latest) -> Result<Option<HeaderValue>, Error> {
    let Some(root) = target.name.storage_root() else {
        return Ok(None);
    };
    let permit = ReadPermit::without_proof("whether a document that may be read is its owner's profile");
    let Some(storage) = service.store.snapshot(permit)?.storage(&root)? else {
        return Ok(None);
    };
    let iri = target.name.iri(&service.origins);
    if profile::document_of(&storage.owner) != iri {
        return Ok(None);
    }
    let Some(syntax) = stored_syntax(&latest.resource.media_type) else {
        return Ok(None);
    };
    let bytes = whole(latest.body.clone())?;
    let Ok(read) = document::parse(&bytes, syntax, &iri, service.rdf_bounds()) else {
        return Ok(None);
    };
    let issuers: BTreeSet<String> = read
        .quads
        .into_iter()
        .filter(|quad| {
            quad.predicate.as_str() == OIDC_ISSUER
                && matches!(&quad.subject, NamedOrBlankNode::NamedNode(node) if node.as_str() == storage.owner)
        })
        .filter_map(|quad| match quad.object {
            Term::NamedNode(issuer) => Some(issuer.into_string()),
            _ => None,
        })
        .collect();
    let mut links = Links::default();
    for issuer in issuers.iter().take(ISSUERS_MAX) {
        links.push(issuer, OIDC_ISSUER);
    }
    let text = links.into_string();
    Ok(HeaderValue::from_str(&text).ok().filter(|_| !text.is_empty()))
}
