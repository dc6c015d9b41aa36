//! Which page or endpoint of the console a request is for.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use maud::html;
use serde_json::{Map, Value, json};
use server_kit::network::Network;

use crate::ui::layout::path as page;
use crate::ui::response::respond;
use crate::ui::{Body, Form, FormError, Page, Visit, see_other, style};

use super::discovery::{self, path};
use super::error::IdentityError;
use super::token::{self, json_response};
use super::{Identity, belonging, client, external, flow, pages, revocation, security, uma, userinfo};

/// Largest registration of a client, in bytes.
const REGISTRATION_BYTES_MAX: usize = 64 * 1024;

/// What registrations of clients are counted under.
const REGISTRATION: &str = "registration";

/// Longest time for receiving a form, in seconds.
const FORM_SECONDS_MAX: u64 = 30;

impl Identity {
    /// Answers a request on the console origin. `peer` is the address that the connection comes from, or that a trusted
    /// proxy vouches for.
    ///
    /// # Errors
    /// Only failures on our side; what visitors and clients do wrong is answered here.
    pub async fn handle<B>(&self, request: Request<B>, peer: IpAddr) -> Result<Response<Body>, IdentityError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let network = Network::from(peer);
        match parts.uri.path() {
            path::CONFIGURATION | path::AUTHORIZATION_SERVER => Ok(self.document(&parts, |identity| {
                discovery::configuration(
                    identity.site(),
                    &identity.proofs().algorithms(),
                    identity.config().client_registration_open,
                )
            })),
            path::UMA if self.config().uma => Ok(self.document(&parts, |identity| {
                uma::configuration(identity.site(), &identity.proofs().algorithms())
            })),
            path::JWKS => {
                let keys = self.keys().await?;
                Ok(self.document(&parts, |_| keys))
            }
            path::TOKEN | path::REVOKE | path::INTROSPECT => self.token(&parts, body, network).await,
            path::USERINFO => Ok(self.userinfo(&parts).await),
            path::REGISTER => self.register_client(&parts, body, network).await,
            page::STYLE | crate::ui::security::SCRIPT => Ok(match parts.method {
                Method::GET | Method::HEAD => style::asset(parts.uri.path(), &parts.headers),
                _ => not_allowed("GET, HEAD"),
            }),
            _ => self.page(&parts, body, network).await,
        }
    }

    /// A public JSON document that scripts of any origin may read.
    fn document(&self, parts: &Parts, make: impl FnOnce(&Self) -> Value) -> Response<Body> {
        match parts.method {
            Method::GET | Method::HEAD => {
                let mut response = json_response(StatusCode::OK, &make(self));
                response
                    .headers_mut()
                    .insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
                share(&mut response);
                response
            }
            Method::OPTIONS => preflight("GET, HEAD, OPTIONS"),
            _ => not_allowed("GET, HEAD, OPTIONS"),
        }
    }

    async fn token<B>(&self, parts: &Parts, body: B, network: Network) -> Result<Response<Body>, IdentityError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut response = match parts.method {
            Method::POST => match form(&parts.headers, body).await {
                Ok(form) => match parts.uri.path() {
                    path::REVOKE => revocation::revoke(self, parts, &form, network).await?,
                    path::INTROSPECT => revocation::introspect(self, parts, &form, network).await?,
                    _ => token::token(self, parts, &form, network).await?,
                },
                Err(error) => oauth_error(error.clone().into(), "invalid_request", &error.to_string()),
            },
            Method::OPTIONS => return Ok(preflight("POST, OPTIONS")),
            _ => not_allowed("POST, OPTIONS"),
        };
        share(&mut response);
        Ok(response)
    }

    async fn userinfo(&self, parts: &Parts) -> Response<Body> {
        let mut response = match parts.method {
            Method::GET | Method::POST => userinfo::userinfo(self, parts).await,
            Method::OPTIONS => return preflight("GET, POST, OPTIONS"),
            _ => not_allowed("GET, POST, OPTIONS"),
        };
        share(&mut response);
        response
    }

    /// RFC 7591 §3.
    async fn register_client<B>(
        &self,
        parts: &Parts,
        body: B,
        network: Network,
    ) -> Result<Response<Body>, IdentityError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut response = match parts.method {
            Method::OPTIONS => return Ok(preflight("POST, OPTIONS")),
            Method::POST if self.config().client_registration_open => self.register(body, network).await?,
            Method::POST => oauth_error(
                StatusCode::FORBIDDEN,
                "access_denied",
                "this issuer takes no registrations: use a client identifier document",
            ),
            _ => not_allowed("POST, OPTIONS"),
        };
        share(&mut response);
        Ok(response)
    }

    async fn register<B>(&self, body: B, network: Network) -> Result<Response<Body>, IdentityError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let refuse = |description: &str| oauth_error(StatusCode::BAD_REQUEST, "invalid_client_metadata", description);
        let read = Limited::new(body, REGISTRATION_BYTES_MAX).collect();
        let Ok(Ok(collected)) = tokio::time::timeout(std::time::Duration::from_secs(FORM_SECONDS_MAX), read).await
        else {
            return Ok(refuse("the metadata did not arrive, or are longer than 65536 bytes"));
        };
        let Ok(metadata) = serde_json::from_slice::<Map<String, Value>>(&collected.to_bytes()) else {
            return Ok(refuse("the body must be a JSON object"));
        };
        // Each registration takes room, so that one network can make only so many before it has to wait.
        let now = self.clock().unix();
        if let Err(seconds) = self.registrations.admit(REGISTRATION, network, now) {
            let mut response = oauth_error(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many registrations");
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
            return Ok(response);
        }
        self.registrations.failed(REGISTRATION, network, now);
        let seconds = i64::from(self.config().client_registration_days) * 86_400;
        let (id, secret) = (self.random().token(16), self.random().token(32));
        Ok(
            match client::register(self.store(), &metadata, id, secret, now, seconds).await? {
                Ok(told) => json_response(StatusCode::CREATED, &told),
                Err(fault) => oauth_error(StatusCode::BAD_REQUEST, fault.error, &fault.description),
            },
        )
    }

    async fn page<B>(&self, parts: &Parts, body: B, network: Network) -> Result<Response<Body>, IdentityError>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut visit = self.visit(parts)?;
        let sent = match parts.method {
            Method::GET | Method::HEAD => None,
            Method::POST => match form(&parts.headers, body).await {
                Ok(form) => Some(form),
                Err(error) => {
                    return Ok(problem_page(
                        &visit,
                        error.clone().into(),
                        "form-broken",
                        &error.to_string(),
                    ));
                }
            },
            _ => return Ok(not_allowed("GET, HEAD, POST")),
        };
        let query = match Form::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            Ok(query) => query,
            Err(error) => {
                return Ok(problem_page(
                    &visit,
                    error.clone().into(),
                    "form-broken",
                    &error.to_string(),
                ));
            }
        };
        match (parts.uri.path(), sent) {
            ("/", None) => Ok(see_other(&visit, page::ACCOUNT)),
            // A client may send its request as a form (OpenID Connect Core §3.1.2.1); it carries no form token of ours,
            // and changes nothing until the person answers our own page.
            (path::AUTHORIZE, sent) => flow::authorize(self, &visit, &sent.unwrap_or(query)).await,
            (path::LOGOUT, sent) => flow::ask_logout(self, &visit, &sent.unwrap_or(query)).await,
            (target, None) if target.starts_with(external::PREFIX) => {
                external::show(self, &mut visit, parts, &query, network).await
            }
            (target, None) if belonging::owns(target) => belonging::show(self, &visit, target, &query),
            (target, None) if security::owns(target) => security::show(self, &visit, parts, &query),
            (target, None) => pages::show(self, &visit, target, &query).await,
            (target, Some(form)) => {
                if !visit.sent(&form) {
                    let detail = "the form token is missing or belongs to another visitor";
                    return Ok(problem_page(&visit, StatusCode::FORBIDDEN, "form-foreign", detail));
                }
                match target {
                    path::DECISION => flow::decide(self, &visit, &form).await,
                    external::UNLINK => external::unlink(self, &visit, &form).await,
                    _ if belonging::owns(target) => belonging::submit(self, &mut visit, parts, &form).await,
                    _ if security::owns(target) => security::submit(self, &mut visit, parts, &form, network).await,
                    _ => pages::submit(self, &mut visit, parts, target, &form, network).await,
                }
            }
        }
    }
}

async fn form<B>(headers: &HeaderMap, body: B) -> Result<Form, FormError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let patience = std::time::Duration::from_secs(FORM_SECONDS_MAX);
    tokio::time::timeout(patience, Form::read(headers, body))
        .await
        .unwrap_or(Err(FormError::Broken))
}

/// A page that says what went wrong: `key` names its title and explanation, `detail` is for whoever has to repair it.
pub(super) fn problem_page(visit: &Visit, status: StatusCode, key: &str, detail: &str) -> Response<Body> {
    let content = html! {
        div.card {
            p { (visit.text(&format!("{key}-explanation"))) }
            @if !detail.is_empty() {
                p.quiet { (visit.text("problem-detail")) " " code { (detail) } }
            }
            p { a href="/" { (visit.text("back-to-start")) } }
        }
    };
    Page::new(visit.text(&format!("{key}-title")), content)
        .status(status)
        .respond(visit)
}

fn oauth_error(status: StatusCode, error: &str, description: &str) -> Response<Body> {
    json_response(status, &json!({ "error": error, "error_description": description }))
}

/// Lets scripts of any origin read an answer. No cookie ever counts for these endpoints.
fn share(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("DPoP-Nonce, WWW-Authenticate, Retry-After"),
    );
}

fn preflight(methods: &'static str) -> Response<Body> {
    let mut response = respond(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", "");
    share(&mut response);
    for (name, value) in [
        ("access-control-allow-methods", methods),
        ("access-control-allow-headers", "authorization, content-type, dpop"),
        ("access-control-max-age", "86400"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn not_allowed(methods: &'static str) -> Response<Body> {
    let mut response = respond(
        StatusCode::METHOD_NOT_ALLOWED,
        "text/plain; charset=utf-8",
        "method not allowed\n",
    );
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}
