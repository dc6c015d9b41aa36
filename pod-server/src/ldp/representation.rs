//! Representations that are ready to be sent: made once per state and syntax, kept within a bound.

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::config::LdpSection;
use crate::error::Error;
use crate::http::etag::Variant;
use crate::http::media_type::Syntax;
use crate::store::{Body, Resource, ResourceId, Sequence};

use super::document;
use super::service::LdpService;

type Key = (ResourceId, Sequence, Variant);

/// Converted documents and listings. A key names one state, so that nothing in here can become wrong.
pub struct RepresentationCache {
    cache: Cache<Key, Bytes, ByBytes>,
    bytes_max: usize,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Bytes> for ByBytes {
    fn weight(&self, _: &Key, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + 64
    }
}

impl RepresentationCache {
    /// A cache with the configured bounds.
    #[must_use]
    pub fn new(bounds: &LdpSection) -> Self {
        let capacity = bounds.representation_cache_bytes_max;
        let entries = usize::try_from(capacity / 4_096)
            .unwrap_or(usize::MAX)
            .clamp(16, 1 << 20);
        Self {
            cache: Cache::with_weighter(entries, capacity, ByBytes),
            bytes_max: usize::try_from(bounds.representation_cached_bytes_max).unwrap_or(usize::MAX),
        }
    }

    /// A representation of a state, if it is at hand.
    pub fn find(&self, resource: &Resource, variant: Variant) -> Option<Bytes> {
        self.cache.get(&(resource.id, resource.version, variant))
    }

    /// Keeps a representation, if it is small enough.
    pub fn keep(&self, resource: &Resource, variant: Variant, bytes: &Bytes) {
        if bytes.len() <= self.bytes_max {
            self.cache
                .insert((resource.id, resource.version, variant), bytes.clone());
        }
    }
}

impl LdpService {
    /// A document in a syntax other than the stored one. Conversions run on threads that may block, a bounded number
    /// at a time.
    pub(super) async fn converted(
        &self,
        resource: &Resource,
        stored: Body,
        from: Syntax,
        to: Syntax,
    ) -> Result<Bytes, Error> {
        if let Some(bytes) = self.representations.find(resource, to.variant()) {
            return Ok(bytes);
        }
        let permit = self.conversions.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Error::Unavailable("the server is stopping".to_owned()))?;
        let base = resource.name.iri(&self.origins);
        let bounds = self.rdf_bounds();
        let work = move || {
            let bytes = whole(stored)?;
            let converted = document::convert(&bytes, from, to, &base, bounds);
            drop(permit);
            converted.map_err(|error| match error {
                Error::Malformed { message, .. } => {
                    Error::Internal(format!("a stored document cannot be read: {message}"))
                }
                other => other,
            })
        };
        let bytes = Bytes::from(blocking(work).await?);
        self.representations.keep(resource, to.variant(), &bytes);
        Ok(bytes)
    }
}

/// All bytes of a body.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn whole(body: Body) -> Result<Bytes, Error> {
    match body {
        Body::Bytes(bytes) => Ok(bytes),
        Body::File { path, .. } => std::fs::read(&path)
            .map(Bytes::from)
            .map_err(|error| crate::store::StoreError::File(error).into()),
    }
}

/// Runs work that takes long or waits for the disk on a thread of its own.
///
/// # Errors
/// The work's own, or a fault of ours when it broke off.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(format!("work on a blocking thread broke off: {error}")))?
}
