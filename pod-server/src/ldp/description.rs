//! The description of a storage (solid#15, solid#16) and of the server. Both are public: they say where things are, not
//! what is in them.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use oxrdf::{GraphName, NamedNode, Quad};
use server_kit::body::{self, Body};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::http::conditional::{Preconditions, ReadOutcome};
use crate::http::etag::ETag;
use crate::http::media_type::Syntax;
use crate::http::negotiation::choose_syntax;
use crate::name::ResourceName;
use crate::notify::discovery;
use crate::store::{ReadPermit, Sequence};

use super::constraints;
use super::document::Document;
use super::headers;
use super::service::LdpService;

const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const PIM_STORAGE: &str = "http://www.w3.org/ns/pim/space#Storage";
const OWNER: &str = "http://www.w3.org/ns/solid/terms#owner";
const SPARQL_ENDPOINT: &str = "http://www.w3.org/ns/solid/sparql#endpoint";
const CATALOG: &str = "http://www.w3.org/ns/dcat#catalog";
const GATEWAY: &str = "http://www.w3.org/ns/solid/terms#notificationGateway";
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
        let iri = root.iri(&self.origins);
        let name = storage;
        let mut document = statements(&[
            (&iri, RDF_TYPE, PIM_STORAGE),
            (&iri, OWNER, &found.owner),
            (&iri, SPARQL_ENDPOINT, &format!("{iri}sparql")),
            (&iri, CATALOG, &format!("{iri}.dataspace/catalog")),
            (&iri, GATEWAY, &discovery::gateway_url(&self.origins, name)),
        ]);
        document.quads.extend(discovery::subscriptions(&self.origins, name));
        let json = serde_json::json!({
            "@context": [discovery::inline_context(), {
                "owner": {"@id": OWNER, "@type": "@id"},
                "sparqlEndpoint": {"@id": SPARQL_ENDPOINT, "@type": "@id"},
                "catalog": {"@id": CATALOG, "@type": "@id"},
                "notificationGateway": {"@id": GATEWAY, "@type": "@id"},
            }],
            "id": iri,
            "type": PIM_STORAGE,
            "owner": found.owner,
            "sparqlEndpoint": format!("{iri}sparql"),
            "catalog": format!("{iri}.dataspace/catalog"),
            "notificationGateway": discovery::gateway_url(&self.origins, name),
            "subscription": discovery::services_json(&self.origins, name),
            "channel": [],
        });
        Described {
            document,
            json: Some(json),
            modified: container.modified.max(self.started),
            link: Some(format!("{iri}.well-known/solid")),
            allow: ALLOW,
            favourite: Syntax::Turtle,
        }
        .answer(method, request)
    }

    /// GET, HEAD or OPTIONS of `/`, which is no storage.
    ///
    /// # Errors
    /// 405 for other methods.
    pub fn describe_server(&self, method: &Method, request: &HeaderMap) -> Result<Response<Body>, Error> {
        check_method(method)?;
        let base = self.origins.base_url();
        let document = statements(&[
            (base, RDF_TYPE, "http://www.w3.org/ns/dcat#DataService"),
            (base, SPARQL_ENDPOINT, &format!("{base}sparql")),
            (base, CATALOG, &format!("{base}catalog")),
        ]);
        Described {
            document,
            json: None,
            modified: self.started,
            link: None,
            allow: ALLOW,
            favourite: Syntax::Turtle,
        }
        .answer(method, request)
    }

    /// GET, HEAD or OPTIONS of the constraints that the server holds writes to.
    ///
    /// # Errors
    /// 405 for other methods.
    pub fn describe_constraints(&self, method: &Method, request: &HeaderMap) -> Result<Response<Body>, Error> {
        check_method(method)?;
        Described {
            document: constraints::document(&self.origins, self.rdf_bounds())?,
            json: None,
            modified: self.started,
            link: None,
            allow: ALLOW,
            favourite: Syntax::Turtle,
        }
        .answer(method, request)
    }
}

/// A description that is made for each answer: what it says, and in which words.
pub(crate) struct Described {
    /// What it says.
    pub(crate) document: Document,
    /// The same as JSON-LD in the shape that its readers expect; without it, the shape that follows from the document.
    pub(crate) json: Option<serde_json::Value>,
    /// Last modification of what is described, Unix seconds.
    pub(crate) modified: i64,
    /// The storage description that goes with it.
    pub(crate) link: Option<String>,
    /// Methods of its resource.
    pub(crate) allow: &'static str,
    /// What is sent to whoever does not say.
    pub(crate) favourite: Syntax,
}

impl Described {
    /// Answers GET, HEAD or OPTIONS.
    ///
    /// # Errors
    /// 406 and 412.
    pub(crate) fn answer(&self, method: &Method, request: &HeaderMap) -> Result<Response<Body>, Error> {
        let syntax = choose_syntax(request, self.favourite).ok_or(Error::NotAcceptable)?;
        let bytes = match &self.json {
            Some(json) if syntax == Syntax::JsonLd => json.to_string().into_bytes(),
            _ => self.document.write(syntax)?,
        };
        let etag = ETag {
            state: digest(&bytes),
            variant: syntax.variant(),
        };
        let mut response = Response::new(body::empty());
        let header_map = response.headers_mut();
        headers::add_validators(header_map, &etag, self.modified);
        headers::add_caching(header_map, true);
        header_map.insert(header::ALLOW, HeaderValue::from_static(self.allow));
        if let Some(link) = &self.link
            && let Ok(link) = HeaderValue::from_str(&format!(
                "<{link}>; rel=\"http://www.w3.org/ns/solid/terms#storageDescription\""
            ))
        {
            header_map.insert(header::LINK, link);
        }
        if *method == Method::OPTIONS {
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        match Preconditions::from_headers(request)?.evaluate_read(&etag, self.modified) {
            ReadOutcome::Failed(condition) => return Err(Error::Precondition(condition)),
            ReadOutcome::NotModified => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok(response);
            }
            ReadOutcome::Proceed => {}
        }
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

/// A state that follows from the bytes: another version of this program may say more.
fn digest(bytes: &[u8]) -> Sequence {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let first = digest.first_chunk::<8>().copied().unwrap_or_default();
    Sequence(u64::from_be_bytes(first))
}

fn check_method(method: &Method) -> Result<(), Error> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    Err(Error::MethodNotAllowed {
        allow: HeaderValue::from_static(ALLOW),
    })
}

pub(crate) fn statements(triples: &[(&str, &str, &str)]) -> Document {
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
