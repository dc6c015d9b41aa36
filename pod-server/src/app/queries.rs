//! The SPARQL endpoints: their parts, and the way of a query to them.

use std::sync::Arc;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use server_kit::authn::Credentials;
use server_kit::body::Body;
use server_kit::clock::Clock;
use server_kit::random::Random;

use super::{App, StartError};
use crate::audit::AuditWriter;
use crate::authz::Pep;
use crate::authz::scope::{AggregateLimits, Pseudonyms, Scope, ScopeParts};
use crate::config::Config;
use crate::consent::ConsentLedger;
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
            answers: AnswersLimits {
                count_max: config.query.answers_max,
                bytes_max: config.query.answers_bytes_max,
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
