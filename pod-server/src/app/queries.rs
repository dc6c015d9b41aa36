//! The SPARQL endpoints: their parts, and the way of a query to them.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use policies::audit::AuditAction;
use server_kit::authn::Credentials;
use server_kit::body::Body;
use server_kit::clock::Clock;
use server_kit::problem::Problem;
use server_kit::random::Random;

use super::{App, StartError};
use crate::audit::AuditWriter;
use crate::authz::Pep;
use crate::authz::scope::{AggregateLimits, Pseudonyms, Scope, ScopeParts};
use crate::config::Config;
use crate::consent::ConsentLedger;
use crate::dataspace::Call;
use crate::dataspace::edge::{self, Answer};
use crate::error::Error;
use crate::index::Index;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::query::answers::AnswersLimits;
use crate::query::{QueryParts, QueryService};
use crate::store::Store;

/// What the endpoints share with the rest of the server.
pub(super) struct Shared<'a> {
    pub store: &'a Arc<dyn Store>,
    pub clock: &'a Arc<dyn Clock>,
    pub audit: &'a Arc<AuditWriter>,
    pub pep: &'a Arc<Pep>,
    pub consents: &'a Arc<ConsentLedger>,
    pub origins: &'a Origins,
    pub random: &'a dyn Random,
}

/// Builds the endpoints over an index.
pub(super) fn service(config: &Config, index: &Arc<Index>, shared: &Shared<'_>) -> Result<QueryService, StartError> {
    let pseudonyms = Pseudonyms::load_or_generate(&config.store.directory, config.query.pseudonym_days, shared.random)?;
    let scope = Scope::new(ScopeParts {
        index: Arc::clone(index),
        store: Arc::clone(shared.store),
        pep: Arc::clone(shared.pep),
        consents: Arc::clone(shared.consents),
        audit: Arc::clone(shared.audit),
        clock: Arc::clone(shared.clock),
        origins: shared.origins.clone(),
        pseudonyms,
        aggregates: AggregateLimits {
            compared: config.query.answers_compared,
            answers: AnswersLimits {
                count_max: config.query.answers_max,
                bytes_max: config.query.answers_bytes_max,
                withheld_max: config.query.answers_withheld_max,
            },
            days: config.query.answers_days,
        },
    });
    QueryService::new(QueryParts {
        index: Arc::clone(index),
        scope: Arc::new(scope),
        store: Arc::clone(shared.store),
        clock: Arc::clone(shared.clock),
        origins: shared.origins.clone(),
        limits: config.query.clone(),
    })
    .map_err(|source| StartError::System {
        what: "the evaluating threads cannot be started",
        source,
    })
}

impl App {
    /// `GET /{storage}/.dataspace/viewers?resource=…&property=…`: who could see statements of a resource, for its owner.
    pub(super) async fn viewers(&self, call: &Call, storage: &str) -> Answer {
        if call.method != Method::GET {
            return Err(edge::method_not_allowed(&call.method, "GET"));
        }
        let dataspace = &self.dataspace.dataspace;
        let storage = {
            let snapshot = dataspace.node.snapshot()?;
            dataspace.node.storage(&*snapshot, storage)?
        };
        dataspace.owner(call, &storage, AuditAction::Audit).await?;
        let wanted = call.parameter("resource").ok_or_else(|| {
            let advice = "name the resource with the parameter `resource`, as an IRI of this storage";
            edge::unprocessable("resource-missing", advice)
        })?;
        let resource = ResourceName::from_iri(&wanted, &self.origins)
            .filter(|name| name.is_within(&storage.root))
            .ok_or_else(|| edge::unprocessable("other-storage", format!("`{wanted}` is not in this storage")))?;
        let property = call.parameter("property");
        if property
            .as_deref()
            .is_some_and(|iri| oxrdf::NamedNode::new(iri).is_err())
        {
            return Err(edge::unprocessable("invalid-property", "`property` is not an IRI"));
        }
        let viewers = self.query.scope().viewers(&resource, property.as_deref()).await?;
        let mut json = serde_json::to_value(viewers).map_err(|_| Problem::internal())?;
        if let Some(object) = json.as_object_mut() {
            object.insert("resource".to_owned(), wanted.into());
            object.insert("property".to_owned(), property.into());
        }
        edge::json(StatusCode::OK, &json)
    }

    /// Answers a query on the endpoint of a storage, or of the server.
    pub(super) async fn sparql(
        &self,
        request: Request<Incoming>,
        credentials: Credentials,
        origin: Option<&HeaderValue>,
        storage: Option<&str>,
    ) -> Result<Response<Body>, Error> {
        let storage = storage
            .map(|name| ResourceName::parse(&format!("/{name}/")))
            .transpose()?;
        let origin = origin.and_then(|origin| origin.to_str().ok()).map(str::to_owned);
        self.query.handle(request, credentials, origin, storage).await
    }
}
