//! The interfaces that take whole calls: dataspace, consent and log.

use http::Request;
use http::Response;
use hyper::body::Incoming;
use server_kit::authn::Credentials;
use server_kit::body::{Body, ReadLimits, Reader};

use super::App;
use crate::dataspace::Call;
use crate::error::Error;

/// The storage whose owner asks who could see something, by the path of that question.
fn viewers_of(path: &str) -> Option<&str> {
    let (storage, rest) = path.strip_prefix('/')?.split_once('/')?;
    (rest == ".dataspace/viewers").then_some(storage)
}

/// The storage and the agreement whose changes somebody wants to hear of, by the path of that stream.
fn changes_of(path: &str) -> Option<(&str, &str)> {
    let (storage, rest) = path.strip_prefix('/')?.split_once('/')?;
    let agreement = rest.strip_prefix(".dataspace/agreements/")?.strip_suffix("/changes")?;
    (!agreement.is_empty() && !agreement.contains('/')).then_some((storage, agreement))
}

impl App {
    /// Answers a call of one of these interfaces.
    pub(super) async fn call(
        &self,
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
            iri: self.origins.place(parts.uri.path()),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
            credentials,
        };
        if let Some(storage) = viewers_of(&call.path) {
            return Ok(self.viewers(&call, storage).await?);
        }
        if let Some((storage, agreement)) = changes_of(&call.path) {
            let agreement = self
                .origins
                .place(&format!("/{storage}/.dataspace/agreements/{agreement}"));
            return Ok(self.query.changes(&call, storage, agreement).await?);
        }
        Ok(self.dataspace.respond(&call).await.ok_or(Error::NotFound)??)
    }
}
