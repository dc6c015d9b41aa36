//! The description of a storage (solid#15, solid#16) and of the server. Both are public: they say where things are, not
//! what is in them.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use oxrdf::{GraphName, NamedNode, Quad};
use server_kit::body::{self, Body};

use crate::error::Error;
use crate::http::conditional::{Preconditions, ReadOutcome};
use crate::http::etag::ETag;
use crate::http::media_type::Syntax;
use crate::http::negotiation::choose_syntax;
use crate::name::ResourceName;
use crate::store::{ReadPermit, Sequence};

use super::document::Document;
use super::headers;
use super::service::LdpService;

const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const PIM_STORAGE: &str = "http://www.w3.org/ns/pim/space#Storage";
const OWNER: &str = "http://www.w3.org/ns/solid/terms#owner";
const SPARQL_ENDPOINT: &str = "http://www.w3.org/ns/solid/sparql#endpoint";
const CATALOG: &str = "http://www.w3.org/ns/dcat#catalog";
const ALLOW: &str = "GET, HEAD, OPTIONS";
const PUBLISHED: &str = "the description of a storage and of the server is public";

impl LdpService {
    /// GET, HEAD or OPTIONS of `/{storage}/.well-known/solid`.
    ///
    /// # Errors
    /// 404 where there is no such storage, 405 for other methods.
    pub fn describe_storage(
        &self,
        method: &Method,
        request: &HeaderMap,
        storage: &str,
    ) -> Result<Response<Body>, Error> {
        check_method(method)?;
        let root = ResourceName::parse(&format!("/{storage}/"))?;
        let snapshot = self.store.snapshot(ReadPermit::without_proof(PUBLISHED))?;
        let found = snapshot.storage(&root)?.ok_or(Error::NotFound)?;
        let container = snapshot.resource(&root)?.ok_or(Error::NotFound)?;
        let iri = root.iri(&self.base_url);
        let document = statements(&[
            (&iri, RDF_TYPE, PIM_STORAGE),
            (&iri, OWNER, &found.owner),
            (&iri, SPARQL_ENDPOINT, &format!("{iri}sparql")),
            (&iri, CATALOG, &format!("{iri}.dataspace/catalog")),
        ]);
        // What is said never changes after the storage was made; the state of the root is the nearest validator.
        let description = format!("{iri}.well-known/solid");
        self.describe(
            method,
            request,
            &document,
            container.version,
            container.modified,
            Some(&description),
        )
    }

    /// GET, HEAD or OPTIONS of `/`, which is no storage.
    ///
    /// # Errors
    /// 405 for other methods.
    pub fn describe_server(&self, method: &Method, request: &HeaderMap) -> Result<Response<Body>, Error> {
        check_method(method)?;
        let base = &*self.base_url;
        let document = statements(&[
            (base, RDF_TYPE, "http://www.w3.org/ns/dcat#DataService"),
            (base, SPARQL_ENDPOINT, &format!("{base}sparql")),
            (base, CATALOG, &format!("{base}catalog")),
        ]);
        self.describe(method, request, &document, Sequence(1), 0, None)
    }

    fn describe(
        &self,
        method: &Method,
        request: &HeaderMap,
        document: &Document,
        version: Sequence,
        modified: i64,
        description: Option<&str>,
    ) -> Result<Response<Body>, Error> {
        let syntax = choose_syntax(request, Syntax::Turtle).ok_or(Error::NotAcceptable)?;
        let etag = ETag {
            state: version,
            variant: syntax.variant(),
        };
        let mut response = Response::new(body::empty());
        let header_map = response.headers_mut();
        headers::add_validators(header_map, &etag, modified);
        headers::add_caching(header_map, true);
        header_map.insert(header::ALLOW, HeaderValue::from_static(ALLOW));
        if let Some(description) = description
            && let Ok(link) = HeaderValue::from_str(&format!(
                "<{description}>; rel=\"http://www.w3.org/ns/solid/terms#storageDescription\""
            ))
        {
            header_map.insert(header::LINK, link);
        }
        if *method == Method::OPTIONS {
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        match Preconditions::from_headers(request)?.evaluate_read(&etag, modified) {
            ReadOutcome::Failed(condition) => return Err(Error::Precondition(condition)),
            ReadOutcome::NotModified => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok(response);
            }
            ReadOutcome::Proceed => {}
        }
        let bytes = document.write(syntax)?;
        headers::add_content(response.headers_mut(), syntax.media_type(), false);
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        if *method == Method::GET {
            *response.body_mut() = body::full(bytes);
        }
        Ok(response)
    }
}

fn check_method(method: &Method) -> Result<(), Error> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    Err(Error::MethodNotAllowed {
        allow: HeaderValue::from_static(ALLOW),
    })
}

fn statements(triples: &[(&str, &str, &str)]) -> Document {
    let quads = triples
        .iter()
        .map(|(subject, predicate, object)| {
            // Our own IRIs, and a WebID that was checked when the storage was made.
            Quad::new(
                NamedNode::new_unchecked(*subject),
                NamedNode::new_unchecked(*predicate),
                NamedNode::new_unchecked(*object),
                GraphName::DefaultGraph,
            )
        })
        .collect();
    Document {
        quads,
        prefixes: Vec::new(),
    }
}
