//! Resources that an operator's command brings in from an archive or from another server, under the rules of a PUT:
//! names, media types, well-formedness, access rules.

use std::io::Read;

use bytes::Bytes;

use super::access_rules::AccessRules;
use super::container;
use super::document::{self, Bounds, Document};
use super::put::container_state;
use super::target::{Role, Target};
use crate::authz::AuthorizationSystem;
use crate::config::LdpSection;
use crate::error::Error;
use crate::http::media_type::{MediaType, Syntax};
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{NewBody, NewState, ResourceKind, Store, StoreError};

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// The server whose rules count.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where the resources of the server are.
    pub origins: Origins,
    /// Bounds on documents.
    pub bounds: LdpSection,
    /// Authorization system of the storage.
    pub system: AuthorizationSystem,
    /// WebID of the storage's owner.
    pub owner: String,
}

impl Rules {
    /// Most bytes of an RDF document of a name.
    #[must_use]
    pub fn bytes_max(&self, name: &ResourceName) -> u64 {
        if Target::of(name.clone()).is_acl() {
            self.bounds.acl_bytes_max
        } else {
            self.bounds.rdf_bytes_max
        }
    }

    /// What reading a document is bounded by.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        Bounds {
            nesting_max: self.bounds.nesting_max,
        }
    }
}

/// Checks that a resource can have a name.
///
/// # Errors
/// [`Error::BadRequest`] when the server keeps the name for itself.
pub fn check_name(name: &ResourceName) -> Result<(), Error> {
    match Target::of(name.clone()).role {
        Role::ServerRoot | Role::Reserved => Err(Error::BadRequest("the server keeps this name for itself".to_owned())),
        _ => Ok(()),
    }
}

/// The state of a container that says nothing of itself.
#[must_use]
pub fn empty_container() -> NewState {
    NewState {
        kind: ResourceKind::Container,
        media_type: Syntax::Turtle.media_type().to_owned(),
        body: NewBody::Bytes(Bytes::new()),
    }
}

/// The state of a container, document or auxiliary resource from RDF. What a container says about its members is left
/// out: the server says it. Without a store the document is only checked, and the state is not to be kept.
///
/// # Errors
/// As a PUT of the same bytes.
pub fn rdf(
    store: Option<&dyn Store>,
    name: &ResourceName,
    bytes: Bytes,
    media_type: &MediaType,
    rules: &Rules,
) -> Result<NewState, Error> {
    check_name(name)?;
    let target = Target::of(name.clone());
    let (base, bounds) = (name.iri(&rules.origins), rules.bounds());
    let syntax = media_type.syntax().ok_or_else(|| Error::UnsupportedMediaType {
        media_type: media_type.essence().to_owned(),
        accepted: None,
    })?;
    if bytes.len() as u64 > rules.bytes_max(name) {
        return Err(Error::Body(server_kit::body::ReadError::TooLarge {
            bytes_max: rules.bytes_max(name),
        }));
    }
    if target.is_container() {
        let Document { quads, prefixes } = document::parse(&bytes, syntax, &base, bounds)?;
        let quads = quads
            .into_iter()
            .filter(|quad| !container::is_managed(quad, &base))
            .collect();
        return container_state(Document { quads, prefixes });
    }
    document::check(&bytes, syntax, &base, bounds)?;
    if target.is_acl() {
        AccessRules::new(rules.system, &rules.owner, &rules.origins, bounds).check(&bytes, syntax, &target)?;
    }
    let body = match store {
        Some(store) => body(store, bytes)?,
        None => NewBody::Bytes(bytes),
    };
    Ok(NewState {
        kind: ResourceKind::RdfSource,
        media_type: media_type.as_str().to_owned(),
        body,
    })
}

/// The state of a document that is not RDF, of any length.
///
/// # Errors
/// When it cannot be read or kept.
pub fn opaque(store: &dyn Store, media_type: &MediaType, content: &mut dyn Read) -> Result<NewState, StoreError> {
    let mut start = Vec::new();
    let inline = store.inline_bytes_max();
    content.take(inline as u64 + 1).read_to_end(&mut start)?;
    let body = if start.len() <= inline {
        NewBody::Bytes(start.into())
    } else {
        let mut blob = store.blob()?;
        blob.write(&start)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = content.read(&mut chunk)?;
            match chunk.get(..count) {
                Some(read) if !read.is_empty() => blob.write(read)?,
                _ => break blob.finish()?,
            }
        }
    };
    Ok(NewState {
        kind: ResourceKind::NonRdfSource,
        media_type: media_type.as_str().to_owned(),
        body,
    })
}

fn body(store: &dyn Store, bytes: Bytes) -> Result<NewBody, StoreError> {
    if bytes.len() <= store.inline_bytes_max() {
        return Ok(NewBody::Bytes(bytes));
    }
    let mut blob = store.blob()?;
    blob.write(&bytes)?;
    blob.finish()
}
