//! The way of a request on the content origin: host, preflight, credentials, route, answer, headers for browsers.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use policies::request::Subject;
use server_kit::authn::Credentials;
use server_kit::body::{self, Body};
use server_kit::trace::TRACEPARENT;

use super::{App, host};
use crate::authz::Caller;
use crate::error::Error;
use crate::http::cors;
use crate::ldp::headers;
use crate::routes::Route;

impl App {
    /// Answers a plain request for what anyone may read, if that can be done without waiting. The way of all others needs
    /// memory of its own, which costs more than such an answer.
    pub fn at_once(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        // Whoever traces a request gets an answer that says so.
        if request.headers().contains_key(TRACEPARENT) {
            return None;
        }
        let inside = self.at_the_root(request).ok()?;
        let path = inside.as_ref().unwrap_or(request.uri()).path();
        self.ldp.fast(request.method(), path, request.headers())
    }

    /// Answers a request for pod content.
    pub async fn content(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Body> {
        let origin = cors::origin(request.headers());
        match self.at_the_root(&request) {
            Ok(Some(inside)) => *request.uri_mut() = inside,
            Ok(None) => {}
            Err(error) => return self.finish(origin, Err(error)),
        }
        if cors::is_preflight(request.method(), request.headers()) {
            return self.finish(origin, Ok(cors::preflight(request.headers())));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let allow = Route::of(request.uri().path()).methods();
        let mut answer = self.route(request, origin.as_ref()).await;
        if let Ok(response) = &mut answer {
            self.complete(response, reads, allow);
        }
        self.finish(origin, answer)
    }

    /// Checks the host. Behind this point a path begins at the server's root, whatever origin it was asked on: that of a
    /// request to a storage's own origin is answered with the storage in front. Below the server's own origin such a storage
    /// has nothing, because a resource has one IRI (invariant 6).
    fn at_the_root(&self, request: &Request<Incoming>) -> Result<Option<Uri>, Error> {
        let uri = request.uri();
        match self.hosts.storage(uri, request.headers(), &self.origins)? {
            Some(storage) => host::inside(&storage, uri).map(Some),
            None if self.origins.leads_away(uri.path()) => Err(Error::NotFound),
            None => Ok(None),
        }
    }

    /// What every success says (solid#6, solid#8). An answer that is made for its request is as old as the answer itself.
    fn complete(&self, response: &mut Response<Body>, reads: bool, allow: Option<&'static str>) {
        if !response.status().is_success() {
            return;
        }
        let header_map = response.headers_mut();
        if reads && !header_map.contains_key(header::LAST_MODIFIED) {
            header_map.insert(header::LAST_MODIFIED, headers::http_date(self.clock.unix()));
        }
        if let Some(allow) = allow {
            header_map
                .entry(header::ALLOW)
                .or_insert(HeaderValue::from_static(allow));
        }
    }

    /// Turns an answer or an error into the response that leaves, with the headers that every response has.
    fn finish(&self, origin: Option<HeaderValue>, answer: Result<Response<Body>, Error>) -> Response<Body> {
        let mut response = answer.unwrap_or_else(|error| error.into_response(&self.challenge));
        let refused = response.status() == http::StatusCode::UNAUTHORIZED;
        let header_map = response.headers_mut();
        if let Some(challenge) = refused.then(|| self.identity.uma_challenge()).flatten() {
            header_map.append(header::WWW_AUTHENTICATE, challenge);
        }
        headers::add_safety(header_map);
        if !header_map.contains_key(header::VARY) {
            header_map.insert(header::VARY, HeaderValue::from_static(headers::VARY_ALL));
        }
        if let Some(origin) = origin {
            cors::expose(origin, header_map);
        }
        response
    }

    async fn route(
        self: &Arc<Self>,
        request: Request<Incoming>,
        origin: Option<&HeaderValue>,
    ) -> Result<Response<Body>, Error> {
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            return Err(Error::MethodNotAllowed {
                allow: HeaderValue::from_static(cors::METHODS),
            });
        }
        let credentials = self.credentials(&request).await?;
        let path = request.uri().path().to_owned();
        let route = Route::of(&path);
        match route {
            Route::Server => self.ldp.describe_server(request.method(), request.headers()),
            Route::StorageDescription(storage) => {
                self.ldp.describe_storage(request.method(), request.headers(), storage)
            }
            Route::Constraints => self.ldp.describe_constraints(request.method(), request.headers()),
            Route::Catalog(_) | Route::Dataspace(..) | Route::Consent(..) | Route::StorageLog(_) | Route::Log(_) => {
                self.call(request, credentials).await
            }
            Route::Sparql(storage) => self.sparql(request, credentials, origin, storage).await,
            Route::NotificationSender => self.notify.sender(request.method(), request.headers()),
            Route::Notifications(storage, rest) => {
                let caller = caller(credentials, origin)?;
                self.notify.handle(request, &caller, storage, rest).await
            }
            Route::Resource => {
                let caller = caller(credentials, origin)?;
                self.ldp.handle(request.map(body::received), &caller).await
            }
        }
    }

    /// Verifies the credentials of a request, if it carries any.
    async fn credentials(&self, request: &Request<Incoming>) -> Result<Credentials, Error> {
        let headers = request.headers();
        if !headers.contains_key(header::AUTHORIZATION) && !headers.contains_key("dpop") {
            return Ok(Credentials::public());
        }
        // The URL as the client wrote it, on the origin that the server, or the storage, has by configuration (T10).
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        let url = self.origins.place(target);
        Ok(self.authenticator.authenticate(request.method(), &url, headers).await?)
    }
}

/// Who asks for a resource. A token that is bound to an agreement is for queries under it, and opens no resource.
fn caller(credentials: Credentials, origin: Option<&HeaderValue>) -> Result<Caller, Error> {
    if credentials.grant.is_some() {
        return Err(Error::Forbidden);
    }
    Ok(Caller {
        subject: Subject {
            agent: credentials.agent,
            client: credentials.client,
            issuer: credentials.issuer,
            origin: origin.and_then(|origin| origin.to_str().ok()).map(str::to_owned),
        },
        given_for: credentials.given_for,
        ..Caller::default()
    })
}
