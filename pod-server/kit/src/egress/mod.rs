//! The one way out: every outgoing request of a server passes here (ARCHITECTURE invariant 11).
//!
//! Scheme `https` only, unless the host is listed; names are resolved, every address is checked, and the connection goes to a
//! checked address; redirects are followed only as the request allows, each checked anew, never with credentials to another
//! origin; time, bytes and header fields are bounded; compressed answers are refused. No other module may open a connection.

mod address;
mod allow;
mod config;
mod connector;
mod error;
mod request;
mod stream;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

pub use config::EgressConfig;
pub use connector::{Resolve, SystemResolver};
pub use error::{EgressError, EgressFailure};
pub use request::{EgressRequest, EgressResponse, Redirects};

use crate::body::Body;
use crate::config::ConfigError;
use crate::network::NetworkBound;
use crate::tls::{TlsError, client_config};
use connector::{CheckedConnector, ConnectFailed, ConnectRefused};

/// Longest URL that is requested, bytes.
const URL_BYTES_MAX: usize = 8 * 1024;

/// Why the guard cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// A key of the configuration is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trusted authorities cannot be loaded.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

type Connections = Client<HttpsConnector<CheckedConnector>, Full<Bytes>>;

/// The right to have a request under way; one for a stranger takes of the strangers' share too.
type Permit = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// The egress guard with its pool of connections. One per process.
pub struct Egress {
    client: Connections,
    /// Keeps no connections, so that as many are open to a network as requests are under way.
    for_strangers: Connections,
    connector: CheckedConnector,
    rules: Arc<[allow::AllowRule]>,
    permits: Arc<Semaphore>,
    stranger_permits: Arc<Semaphore>,
    user_agent: HeaderValue,
    config: EgressConfig,
}

impl Egress {
    /// Sets the guard up.
    ///
    /// # Errors
    /// When an entry of `egress.allow` or a root file is unusable.
    pub fn new(config: EgressConfig) -> Result<Self, EgressSetupError> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// Sets the guard up with another resolver.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_resolver(config: EgressConfig, resolver: Arc<dyn Resolve>) -> Result<Self, EgressSetupError> {
        let rules: Arc<[allow::AllowRule]> = config.rules()?.into();
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .map_err(|_| ConfigError::invalid("egress.user_agent", "not a header value"))?;
        let connector = CheckedConnector {
            rules: Arc::clone(&rules),
            resolver,
            time_max: seconds(config.connect_seconds_max),
            per_network: None,
        };
        let bounded = CheckedConnector {
            per_network: Some(Arc::new(NetworkBound::new(config.strangers_per_network_max))),
            ..connector.clone()
        };
        let permits = |most: usize| Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self {
            client: connections(&config, connector.clone(), config.pool_idle_per_host_max)?,
            for_strangers: connections(&config, bounded, 0)?,
            connector,
            rules,
            permits: permits(config.requests_max),
            stranger_permits: permits(config.requests_for_strangers_max),
            user_agent,
            config,
        })
    }

    /// Sends a request and receives the whole answer. A status of 4xx or 5xx is an answer, not an error.
    ///
    /// # Errors
    /// [`EgressError`], with one text for all causes.
    pub async fn fetch(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let bytes_max = request.response_bytes_max.unwrap_or(self.config.response_bytes_max);
        let limit = seconds(self.config.request_seconds_max);
        let deadline = Instant::now() + request.time_max.map_or(limit, |asked| asked.min(limit));
        let url = request.url.clone();
        let exchange = async {
            let _permit = self.permit(&request).await?;
            let (response, url) = self.follow(request).await?;
            let (parts, body) = response.into_parts();
            let body = collect(body, bytes_max).await?;
            Ok(EgressResponse {
                status: parts.status,
                headers: parts.headers,
                body,
                url: url.into(),
            })
        };
        let result = match tokio::time::timeout_at(deadline, exchange).await {
            Ok(result) => result,
            Err(_) => Err(EgressError::new(EgressFailure::TimedOut)),
        };
        observe(&url, result)
    }

    /// Sends a request and streams the answer's body, bounded in bytes, total time and silence. A body that breaks a bound ends
    /// with an error, never as if it were complete.
    ///
    /// # Errors
    /// [`EgressError`], when no answer begins within the time of a fetch.
    pub async fn stream(&self, request: EgressRequest) -> Result<(StatusCode, HeaderMap, Body), EgressError> {
        let limits = stream::StreamLimits {
            bytes_max: request.response_bytes_max.unwrap_or(self.config.response_bytes_max),
            idle_max: seconds(self.config.stream_idle_seconds_max),
            deadline: {
                let limit = seconds(self.config.stream_seconds_max);
                Instant::now() + request.time_max.map_or(limit, |asked| asked.min(limit))
            },
        };
        let url = request.url.clone();
        let exchange = async {
            let permit = self.permit(&request).await?;
            let (response, _) = self.follow(request).await?;
            let (parts, body) = response.into_parts();
            Ok((parts.status, parts.headers, stream::bounded(body, limits, permit)))
        };
        let result = match tokio::time::timeout_at(limits.deadline, exchange).await {
            Ok(result) => result,
            Err(_) => Err(EgressError::new(EgressFailure::TimedOut)),
        };
        observe(&url, result)
    }

    /// Checks whether a URL may be asked at all, without asking: its form, its scheme, and the addresses of its host. What
    /// passes here is checked again whenever it is asked.
    ///
    /// # Errors
    /// [`EgressError`], with one text for all causes.
    pub async fn vet(&self, url: &str) -> Result<(), EgressError> {
        let url = self.check(url)?;
        let uri: Uri = url
            .as_str()
            .split('#')
            .next()
            .unwrap_or_default()
            .parse()
            .map_err(|_| EgressError::new(EgressFailure::Refused))?;
        match tokio::time::timeout(self.connector.time_max, self.connector.addresses(&uri)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is::<ConnectRefused>() => Err(EgressError::new(EgressFailure::Refused)),
            _ => Err(EgressError::new(EgressFailure::Unreachable)),
        }
    }

    async fn permit(&self, request: &EgressRequest) -> Result<Permit, EgressError> {
        let refused = |_| EgressError::new(EgressFailure::Refused);
        let share = match request.for_stranger {
            true => Some(
                Arc::clone(&self.stranger_permits)
                    .acquire_owned()
                    .await
                    .map_err(refused)?,
            ),
            false => None,
        };
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(refused)?;
        Ok((permit, share))
    }

    /// Sends, and follows redirects as the request allows.
    async fn follow(&self, mut request: EgressRequest) -> Result<(Response<Incoming>, Url), EgressError> {
        let mut url = self.check(&request.url)?;
        let first = url.origin();
        let (mut left, anywhere) = match request.redirects {
            Redirects::None => (0, false),
            Redirects::SameOrigin(count) => (count.min(self.config.redirects_max), false),
            Redirects::Any(count) => (count.min(self.config.redirects_max), !request.has_credentials()),
        };
        let follows = request.redirects != Redirects::None && matches!(request.method, Method::GET | Method::HEAD);
        request
            .headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request
            .headers
            .entry(USER_AGENT)
            .or_insert_with(|| self.user_agent.clone());
        loop {
            let response = self.send(&request, &url).await?;
            if !follows || !is_redirect(response.status()) {
                return Ok((response, url));
            }
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let target = target.and_then(|target| url.join(target).ok());
            let Some(target) = target.filter(|_| left > 0) else {
                return Err(EgressError::new(EgressFailure::Redirected));
            };
            left -= 1;
            // A proof of possession names its URL, so it can never be followed anywhere.
            if request.headers.contains_key("dpop") || (target.origin() != first && !anywhere) {
                return Err(EgressError::new(EgressFailure::Redirected));
            }
            url = self.check(target.as_str())?;
        }
    }

    async fn send(&self, request: &EgressRequest, url: &Url) -> Result<Response<Incoming>, EgressError> {
        let refused = || EgressError::new(EgressFailure::Refused);
        let uri: Uri = url
            .as_str()
            .split('#')
            .next()
            .unwrap_or_default()
            .parse()
            .map_err(|_| refused())?;
        let mut outgoing = http::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = request.headers.clone();
        let client = if request.for_stranger {
            &self.for_strangers
        } else {
            &self.client
        };
        let response = client.request(outgoing).await.map_err(|error| classify(&error))?;
        match response.headers().get(CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => Err(EgressError::new(EgressFailure::Broken)),
            _ => Ok(response),
        }
    }

    /// Checks everything about a URL that can be checked before its name is resolved.
    fn check(&self, text: &str) -> Result<Url, EgressError> {
        let refused = || EgressError::new(EgressFailure::Refused);
        if text.len() > URL_BYTES_MAX || text.chars().any(|c| c.is_control() || c == '\\' || c == ' ') {
            return Err(refused());
        }
        // The URL standard turns decimal, octal and hexadecimal addresses into dotted ones, so the check sees the address itself.
        let url = Url::parse(text).map_err(|_| refused())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused());
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(refused());
        };
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.rules.iter().any(|rule| rule.covers(host, port)) => Ok(url),
            _ => Err(refused()),
        }
    }
}

/// Makes connections that pass the check, and keeps some for later.
fn connections(
    config: &EgressConfig,
    connector: CheckedConnector,
    idle_per_host_max: usize,
) -> Result<Connections, TlsError> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(client_config(&config.roots)?)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(connector);
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(seconds(config.pool_idle_seconds))
        .pool_max_idle_per_host(idle_per_host_max)
        .http1_max_buf_size((config.header_bytes_max as usize).max(8_192))
        .http1_max_headers(config.headers_max)
        .http2_max_header_list_size(config.header_bytes_max)
        .http2_initial_stream_window_size(2 * 1024 * 1024)
        .http2_initial_connection_window_size(8 * 1024 * 1024)
        .http2_keep_alive_interval(seconds(15))
        .http2_keep_alive_timeout(seconds(10))
        .build(connector))
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Egress")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

async fn collect(body: Incoming, bytes_max: u64) -> Result<Bytes, EgressError> {
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(EgressError::new(EgressFailure::TooLarge)),
        Err(_) => Err(EgressError::new(EgressFailure::Broken)),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn classify(error: &legacy::Error) -> EgressError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.is::<ConnectRefused>() {
            return EgressError::new(EgressFailure::Refused);
        }
        if current.is::<ConnectFailed>() {
            return EgressError::new(EgressFailure::Unreachable);
        }
        cause = current.source();
    }
    let failure = if error.is_connect() {
        EgressFailure::Unreachable
    } else {
        EgressFailure::Broken
    };
    tracing::debug!(%error, source = ?error.source(), "outgoing request failed");
    EgressError::new(failure)
}

fn observe<T>(url: &str, result: Result<T, EgressError>) -> Result<T, EgressError> {
    let outcome = result
        .as_ref()
        .map_or_else(|error| error.failure().as_str(), |_| "answered");
    metrics::counter!("egress_requests_total", "outcome" => outcome).increment(1);
    if result.is_err() {
        // Paths and queries of others may be secrets, such as those of receivers of webhooks.
        let origin = Url::parse(url).map(|url| url.origin().ascii_serialization());
        let origin = origin.unwrap_or_default();
        tracing::info!(origin, outcome, "outgoing request gave nothing");
    }
    result
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

#[cfg(test)]
mod tests;
