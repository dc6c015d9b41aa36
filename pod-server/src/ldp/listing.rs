//! The representation of a container: small listings from memory, large ones written while they are sent.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use server_kit::body;

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::origins::Origins;
use crate::store::{ReadPermit, Resource, Snapshot, Store};

use super::container::Listing;
use super::document::{self, Bounds, Document};
use super::read::{Content, Representation};
use super::representation::{blocking, whole};
use super::service::LdpService;
use super::target::{Role, Target};

/// Pages of a listing that wait for a slow receiver.
const PAGES_WAITING_MAX: usize = 4;

/// The representation, and the state of the container that it shows: a newer one than was looked up, if a member
/// changed in between.
pub(super) async fn represent(
    service: &LdpService,
    request: &HeaderMap,
    target: &Target,
    resource: &Arc<Resource>,
    syntax: Syntax,
    permit: ReadPermit,
) -> Result<(Representation, Arc<Resource>), Error> {
    let minimal = prefers_minimal(request);
    let variant = if minimal {
        syntax.minimal_variant()
    } else {
        syntax.variant()
    };
    let (content, shown) = match service.representations.find(resource, variant) {
        Some(bytes) => (Content::Bytes(bytes), Arc::clone(resource)),
        None => {
            let job = Job {
                store: Arc::clone(&service.store),
                permit,
                origins: service.origins.clone(),
                container: Arc::clone(resource),
                syntax,
                minimal,
                is_storage_root: target.role == Role::StorageRoot,
                page_members: service.bounds.listing_page_members,
                bounds: service.rdf_bounds(),
            };
            let members = service.store.snapshot(permit)?.member_count(&resource.name)?;
            let small =
                usize::try_from(members).is_ok_and(|members| members <= service.bounds.listing_cached_members_max);
            if minimal || small {
                let (bytes, shown) = blocking(move || job.in_memory()).await?;
                service.representations.keep(&shown, variant, &bytes);
                (Content::Bytes(bytes), shown)
            } else {
                let (stream, shown) = job.stream().await?;
                (Content::Stream(stream), shown)
            }
        }
    };
    let representation = Representation {
        variant,
        media_type: syntax.media_type().to_owned(),
        content,
        preference_applied: minimal.then_some("return=representation"),
    };
    Ok((representation, shown))
}

struct Job {
    store: Arc<dyn Store>,
    permit: ReadPermit,
    origins: Origins,
    container: Arc<Resource>,
    syntax: Syntax,
    minimal: bool,
    is_storage_root: bool,
    page_members: usize,
    bounds: Bounds,
}

impl Job {
    fn listing(&self) -> Listing<'_> {
        Listing {
            syntax: self.syntax,
            container: &self.container.name,
            origins: &self.origins,
            is_storage_root: self.is_storage_root,
        }
    }

    /// The whole listing, and the state that it shows.
    fn in_memory(&self) -> Result<(Bytes, Arc<Resource>), Error> {
        let mut all = Vec::new();
        let mut shown = Arc::clone(&self.container);
        self.run(
            |container| shown = Arc::new(container.clone()),
            |page| {
                all.extend_from_slice(&page);
                true
            },
        )?;
        Ok((Bytes::from(all), shown))
    }

    /// A body that a thread of its own fills, and the state that it shows. The thread ends when the receiver goes away.
    async fn stream(self) -> Result<(body::Body, Arc<Resource>), Error> {
        let (mut sender, body) = body::channel(PAGES_WAITING_MAX);
        let (tell, told) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let mut tell = Some(tell);
            let result = self.run(
                |container| {
                    if let Some(tell) = tell.take() {
                        let _ = tell.send(Arc::new(container.clone()));
                    }
                },
                |page| runtime.block_on(sender.send(Bytes::from(page))).is_ok(),
            );
            if let Err(error) = result {
                tracing::error!(%error, "a listing broke off");
                sender.abort(std::io::Error::other("the listing broke off"));
            }
        });
        // The thread gives up before telling only if the container is gone or the store failed.
        let shown = told.await.map_err(|_| Error::NotFound)?;
        Ok((body, shown))
    }

    /// Writes page after page of one consistent view until `send` says that nobody wants more.
    fn run(&self, show: impl FnOnce(&Resource), mut send: impl FnMut(Vec<u8>) -> bool) -> Result<(), Error> {
        let listing = self.listing();
        let mut page = {
            let snapshot = self.store.snapshot(self.permit)?;
            let snapshot: &dyn Snapshot = snapshot.as_ref();
            let container = snapshot.resource(&self.container.name)?.ok_or(Error::NotFound)?;
            show(&container);
            let own = self.own(snapshot, &container)?;
            listing.begin(&container, &own)?
        };
        let mut after = None;
        let mut more = !self.minimal;
        while more {
            // One view for each page: a client that reads slowly must not hold a view of the store.
            let members =
                self.store
                    .snapshot(self.permit)?
                    .members(&self.container.name, after.as_ref(), self.page_members)?;
            listing.members(&members, &mut page);
            if !send(std::mem::take(&mut page)) {
                return Ok(());
            }
            more = members.len() == self.page_members;
            after = members.last().map(|last| last.name.clone());
        }
        listing.end(&mut page);
        send(page);
        Ok(())
    }

    fn own(&self, snapshot: &dyn Snapshot, container: &Resource) -> Result<Document, Error> {
        if container.size == 0 {
            return Ok(Document::default());
        }
        let bytes = whole(snapshot.body(container)?)?;
        document::parse(&bytes, Syntax::Turtle, &container.name.iri(&self.origins), self.bounds)
    }
}

/// `Prefer: return=representation; include="…PreferMinimalContainer"` or an omission of containment (LDP §4.2.2).
fn prefers_minimal(request: &HeaderMap) -> bool {
    request
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            let minimal = value.contains("http://www.w3.org/ns/ldp#PreferMinimalContainer")
                || value.contains("http://www.w3.org/ns/ldp#PreferEmptyContainer");
            let containment = value.contains("http://www.w3.org/ns/ldp#PreferContainment");
            let (include, omit) = (value.contains("include="), value.contains("omit="));
            (minimal && include && !omit) || (containment && omit && !include)
        })
}
