//! What a write stores: content checked by its media type, and the rules of the resources that it goes to.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use policies::request::Agent;
use server_kit::body::{Body, ReadError};

use crate::error::Error;
use crate::http::media_type::{MediaType, MediaTypeError, Syntax};
use crate::name::ResourceName;
use crate::origins::Origins;
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
    pub(super) fn under(self, name: &ResourceName, origins: &Origins, bounds: Bounds) -> Result<Document, Error> {
        match self.source {
            Some((read_for, bytes, syntax)) if read_for != *name => {
                document::parse(&bytes, syntax, &name.iri(origins), bounds)
            }
            _ => Ok(self.document),
        }
    }
}

/// What the headers of a PUT or POST say of its content.
pub(super) enum Announced {
    /// None, and no type of it.
    Nothing,
    /// A document that is looked at.
    Rdf {
        media_type: MediaType,
        syntax: Syntax,
        bytes_max: u64,
    },
    /// Content that is only kept.
    Opaque { media_type: MediaType, bytes_max: u64 },
}

/// The content of a request on its way: looked at by its headers first, received once, and kept for further attempts.
pub(super) enum Arrival {
    /// Nothing is known of it yet.
    Waiting(Body),
    /// Its headers are in order.
    Announced(Announced, Body),
    /// It is here.
    Received(Content),
    /// It was lost to an error.
    Lost,
}

impl Arrival {
    /// Refuses content that its headers already condemn. That comes before the conditions of the request, which count only
    /// where the request would succeed without them (RFC 9110 §13.2.1). `accepted` is the header that says what would be
    /// right.
    pub(super) fn check(
        self,
        service: &LdpService,
        request: &HeaderMap,
        target: &Target,
        writer: &Agent,
        accepted: HeaderName,
    ) -> Result<Self, Error> {
        match self {
            Self::Waiting(body) => {
                let announced = service.announced(request, &body, target, writer, accepted)?;
                Ok(Self::Announced(announced, body))
            }
            checked => Ok(checked),
        }
    }

    /// The content. The client is asked for it only now: it may be large, and only someone who may write sends any
    /// (solid#64).
    pub(super) async fn content(&mut self, service: &LdpService, target: &Target) -> Result<Content, Error> {
        let content = match std::mem::replace(self, Self::Lost) {
            Self::Announced(announced, body) => service.receive(announced, body, target).await?,
            Self::Received(content) => content,
            Self::Waiting(_) | Self::Lost => {
                return Err(Error::Internal(
                    "content was to be read twice or before it was checked".to_owned(),
                ));
            }
        };
        *self = Self::Received(content.clone());
        Ok(content)
    }
}

impl LdpService {
    /// What the headers say of the content of a PUT or POST for a target, or why it cannot be taken.
    fn announced(
        &self,
        request: &HeaderMap,
        incoming: &Body,
        target: &Target,
        writer: &Agent,
        accepted: HeaderName,
    ) -> Result<Announced, Error> {
        self.check_announced(request)?;
        let media_type = match MediaType::from_headers(request) {
            Ok(media_type) => media_type,
            // A container needs no content, and then no type of it.
            Err(MediaTypeError::Missing) if target.is_container() && has_no_content(request, incoming) => {
                return Ok(Announced::Nothing);
            }
            Err(error) => return Err(error.into()),
        };
        let announced = match media_type.syntax() {
            Some(syntax) => Announced::Rdf {
                media_type,
                syntax,
                bytes_max: if target.is_acl() {
                    self.bounds.acl_bytes_max
                } else {
                    self.bounds.rdf_bytes_max
                },
            },
            None if target.takes_rdf_only() => {
                return Err(Error::UnsupportedMediaType {
                    media_type: media_type.essence().to_owned(),
                    accepted: Some((accepted, headers::accept_put(target))),
                });
            }
            None => Announced::Opaque {
                media_type,
                bytes_max: self.bounds.body_bytes_max,
            },
        };
        if let Announced::Rdf { bytes_max, .. } | Announced::Opaque { bytes_max, .. } = &announced {
            if http_body::Body::size_hint(incoming).lower() > *bytes_max {
                return Err(Error::Body(ReadError::TooLarge { bytes_max: *bytes_max }));
            }
            self.check_room(incoming, target, writer, *bytes_max)?;
        }
        Ok(announced)
    }

    /// Receives content that was announced well.
    async fn receive(&self, announced: Announced, incoming: Body, target: &Target) -> Result<Content, Error> {
        match announced {
            Announced::Nothing => Ok(Content::Container(ContainerContent::default())),
            Announced::Opaque { media_type, bytes_max } => Ok(Content::State(NewState {
                kind: ResourceKind::NonRdfSource,
                media_type: media_type.as_str().to_owned(),
                body: self.receive_opaque(incoming, bytes_max).await?,
            })),
            Announced::Rdf {
                media_type,
                syntax,
                bytes_max,
            } => {
                let bytes = self.receive_whole(incoming, bytes_max).await?;
                self.examine(bytes, syntax, media_type.as_str(), target).await
            }
        }
    }

    /// Checks an RDF document and the rules of the resource that it goes to.
    pub(super) async fn examine(
        &self,
        bytes: Bytes,
        syntax: Syntax,
        media_type: &str,
        target: &Target,
    ) -> Result<Content, Error> {
        let base = target.name.iri(&self.origins);
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
