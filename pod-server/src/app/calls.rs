//! The interfaces that take whole calls: dataspace, consent and log.

use std::sync::Arc;

use http::Request;
use http::Response;
use hyper::body::Incoming;
use server_kit::authn::{Credentials, LocalIssuer};
use server_kit::body::{Body, ReadLimits, Reader};

use super::{App, LOG_KEY_FILE, NoSummaries, StartError};
use crate::config::Config;
use crate::consent::Consents;
use crate::dataspace::{Call, Dataspace, Node};
use crate::error::Error;
use crate::log::{Checkpoints, OwnLog};
use crate::routes::Route;

/// The services behind calls.
pub(super) type Services = (Arc<Dataspace>, Arc<Consents>, Arc<OwnLog>);

/// Builds the dataspace, consent and log interfaces.
pub(super) fn services(config: &Config, node: &Node, issuer: &Arc<LocalIssuer>) -> Result<Services, StartError> {
    let bounds = Arc::new(config.dataspace.clone());
    let key_file = bounds
        .log_key_file
        .clone()
        .unwrap_or_else(|| config.store.directory.join(LOG_KEY_FILE));
    let authority = config.server.base_url.authority().to_owned();
    let origin = bounds.log_origin.clone().unwrap_or(authority);
    let checkpoints = Arc::new(Checkpoints::open(node.clone(), &key_file, &origin)?);
    let dataspace = Dataspace {
        node: node.clone(),
        config: Arc::clone(&bounds),
        issuer: Arc::clone(issuer),
        summaries: Arc::new(NoSummaries),
    };
    let consents = Consents {
        node: node.clone(),
        config: Arc::clone(&bounds),
    };
    let log = OwnLog {
        node: node.clone(),
        config: bounds,
        checkpoints,
    };
    Ok((Arc::new(dataspace), Arc::new(consents), Arc::new(log)))
}

impl App {
    /// Answers a call of one of these interfaces.
    pub(super) async fn call(
        &self,
        route: Route<'_>,
        request: Request<Incoming>,
        credentials: Credentials,
    ) -> Result<Response<Body>, Error> {
        let (parts, incoming) = request.into_parts();
        let limits = ReadLimits {
            body_bytes_max: self.config.dataspace.body_bytes_max,
            ..ReadLimits::default()
        };
        let body = Reader::new(incoming, limits)?.all().await?;
        let call = Call {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
            credentials,
        };
        let answer = match route {
            Route::Consent(..) => self.consents.respond(&call).await,
            Route::Log(_) | Route::StorageLog(_) => self.log.respond(&call).await,
            _ => self.dataspace.respond(&call).await,
        };
        Ok(answer.ok_or(Error::NotFound)??)
    }
}
