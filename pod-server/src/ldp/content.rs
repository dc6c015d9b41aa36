//! What a write stores: content checked by its media type, and the rules of the resources that it goes to.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use policies::request::Agent;
use server_kit::body::Body;

use crate::error::Error;
use crate::http::media_type::{MediaType, MediaTypeError, Syntax};
use crate::name::ResourceName;
use crate::store::{NewState, ResourceKind};

use super::document::{self, Bounds, Document};
use super::headers;
use super::representation::blocking;
use super::service::LdpService;
use super::target::Target;

/// Content that was received and found sound.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// To be stored as it came.
    State(NewState),
    /// Statements of a container, from which the server's own have yet to be taken out.
    Container(ContainerContent),
}

/// What a client wrote about a container.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerContent {
    /// Its statements, if the container gets the name for which they were read.
    document: Document,
    /// That name, the bytes and their syntax; none for no content.
    source: Option<(ResourceName, Bytes, Syntax)>,
}

impl ContainerContent {
    /// The statements under the name that the container gets: relative IRIs are meant to be those of that name (solid#66).
    pub(super) fn under(self, name: &ResourceName, base_url: &str, bounds: Bounds) -> Result<Document, Error> {
        match self.source {
            Some((read_for, bytes, syntax)) if read_for != *name => {
                document::parse(&bytes, syntax, &name.iri(base_url), bounds)
            }
            _ => Ok(self.document),
        }
    }
}

impl LdpService {
    /// Receives the content of a PUT or POST for a target. `accepted` is the header that says what would be right.
    pub(super) async fn receive(
        &self,
        request: &HeaderMap,
        incoming: Body,
        target: &Target,
        writer: &Agent,
        accepted: HeaderName,
    ) -> Result<Content, Error> {
        self.check_announced(request)?;
        let media_type = match MediaType::from_headers(request) {
            Ok(media_type) => media_type,
            // A container needs no content, and then no type of it.
            Err(MediaTypeError::Missing) if target.is_container() && has_no_content(request, &incoming) => {
                return Ok(Content::Container(ContainerContent::default()));
            }
            Err(error) => return Err(error.into()),
        };
        let Some(syntax) = media_type.syntax() else {
            if target.takes_rdf_only() {
                return Err(Error::UnsupportedMediaType {
                    media_type: media_type.essence().to_owned(),
                    accepted: Some((accepted, headers::accept_put(target))),
                });
            }
            let bytes_max = self.bounds.body_bytes_max;
            self.check_room(&incoming, target, writer, bytes_max)?;
            let body = self.receive_opaque(incoming, bytes_max).await?;
            return Ok(Content::State(NewState {
                kind: ResourceKind::NonRdfSource,
                media_type: media_type.as_str().to_owned(),
                body,
            }));
        };
        let bytes_max = if target.is_acl() {
            self.bounds.acl_bytes_max
        } else {
            self.bounds.rdf_bytes_max
        };
        self.check_room(&incoming, target, writer, bytes_max)?;
        let bytes = self.receive_whole(incoming, bytes_max).await?;
        self.examine(bytes, syntax, media_type.as_str(), target).await
    }

    /// Checks an RDF document and the rules of the resource that it goes to.
    pub(super) async fn examine(
        &self,
        bytes: Bytes,
        syntax: Syntax,
        media_type: &str,
        target: &Target,
    ) -> Result<Content, Error> {
        let base = target.name.iri(&self.base_url);
        let bounds = self.rdf_bounds();
        let is_container = target.is_container();
        let text = bytes.clone();
        let work = move || {
            if is_container {
                return document::parse(&text, syntax, &base, bounds).map(Some);
            }
            document::check(&text, syntax, &base, bounds)?;
            Ok(None)
        };
        // Parsing a small document is quicker than handing it to another thread.
        let parsed = if bytes.len() <= INLINE_PARSE_BYTES {
            work()
        } else {
            blocking(work).await
        }?;
        if let Some(document) = parsed {
            return Ok(Content::Container(ContainerContent {
                document,
                source: Some((target.name.clone(), bytes, syntax)),
            }));
        }
        if let Some(rules) = self.access_rules(target)? {
            rules.check(&bytes, syntax, target)?;
        }
        let body = self.keep(bytes).await?;
        Ok(Content::State(NewState {
            kind: ResourceKind::RdfSource,
            media_type: media_type.to_owned(),
            body,
        }))
    }
}

/// Documents up to this many bytes are parsed where the request is answered.
const INLINE_PARSE_BYTES: usize = 64 << 10;

/// Whether a request has no content at all.
pub(super) fn has_no_content(request: &HeaderMap, incoming: &Body) -> bool {
    let announced = request.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    !announced && !request.contains_key(header::TRANSFER_ENCODING) && http_body::Body::is_end_stream(incoming)
}
