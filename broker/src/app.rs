//! The whole broker from typed parts, in one constructor, and the way of a request through it.

use crate::agreement::{Deposits, deposit};
use crate::audit::Auditor;
use crate::catalog::{Catalogue, MemberState, crawl};
use crate::config::{Config, MemberConfig};
use crate::error::{self, Answer};
use crate::exec::gate::Gate;
use crate::http::{Call, json, no_content, parameters, respond};
use crate::query::manifests::Manifests;
use crate::source::Directories;
use crate::standing::Standing;
use crate::state::{State, StateError};
use crate::{query, ui};
use futures_util::FutureExt;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use server_kit::audit_log::LogKey;
use server_kit::authn::client::DpopKey;
use server_kit::authn::{Authenticator, Credentials};
use server_kit::body::{Body, ReadError, ReadLimits, Reader};
use server_kit::clock::{Clock, SystemClock};
use server_kit::egress::Egress;
use server_kit::problem::Problem;
use server_kit::random::{Random, SystemRandom};
use server_kit::secret_file;
use server_kit::serve::{Handler, ListenConfig, Listener, ServeError, serve};
use server_kit::shutdown::Shutdown;
use server_kit::telemetry::{Metrics, Readiness, admin_handler};
use server_kit::trace::Answered;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] server_kit::config::ConfigError),
    /// The database cannot be opened.
    #[error(transparent)]
    State(#[from] StateError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Outgoing requests cannot be set up.
    #[error(transparent)]
    Egress(#[from] server_kit::egress::EgressSetupError),
    /// The broker's key cannot be used.
    #[error(transparent)]
    Key(#[from] server_kit::authn::client::ClientError),
    /// The log's key cannot be used.
    #[error(transparent)]
    LogKey(#[from] server_kit::audit_log::CheckpointError),
    /// The operator's token cannot be read or made.
    #[error("operator token: {0}")]
    Operator(#[from] secret_file::SecretFileError),
    /// A member registered earlier can no longer be understood.
    #[error("a registered member cannot be read: {0}")]
    Member(String),
}

/// The parts of a running broker.
pub struct Broker {
    /// The configuration.
    pub config: Config,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Outgoing requests.
    pub egress: Arc<Egress>,
    /// Verifies credentials.
    pub authenticator: Authenticator,
    /// What members offer.
    pub catalogue: Catalogue,
    /// What members say about their content, turned round for planning.
    pub directories: Arc<Directories>,
    /// What consumers deposited.
    pub deposits: Arc<Deposits>,
    /// The log.
    pub auditor: Arc<Auditor>,
    /// The broker's own key, with which it proves itself to members.
    pub key: DpopKey,
    /// Protection of members.
    pub gate: Arc<Gate>,
    /// Manifests of recent queries.
    pub manifests: Manifests,
    /// Turns at querying.
    pub turns: Arc<Semaphore>,
    /// Standing queries.
    pub standing: Standing,
    pub(crate) state: Arc<State>,
    operator_token: String,
}

impl Broker {
    /// Builds every part; listens on nothing.
    ///
    /// # Errors
    /// [`StartError`] names what cannot be used.
    pub fn build(config: Config) -> Result<Arc<Self>, StartError> {
        Self::build_with(config, Arc::new(SystemClock), Arc::new(SystemRandom))
    }

    /// As [`build`](Self::build), with given time and randomness.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with(config: Config, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Arc<Self>, StartError> {
        config.validate()?;
        let directory = config.state.directory.clone();
        let state = Arc::new(State::open(&directory)?);
        let egress = Arc::new(Egress::new(config.egress.clone())?);
        let mut authn = config.authn.clone();
        authn.audience = config.server.base_url.to_string();
        authn.as_uri = config.server.base_url.to_string();
        let authenticator = Authenticator::new(authn, Arc::clone(&egress), Arc::clone(&clock), None)?;
        let mut members = config.members.clone();
        for text in state.members()? {
            let member: MemberConfig = serde_json::from_str(&text).map_err(|e| StartError::Member(e.to_string()))?;
            if members.iter().all(|known| known.name != member.name) {
                members.push(member);
            }
        }
        let origin =
            config
                .server
                .base_url
                .host_str()
                .map_or_else(String::new, |host| match config.server.base_url.port() {
                    Some(port) => format!("{host}:{port}/log"),
                    None => format!("{host}/log"),
                });
        let log_key = LogKey::load_or_generate(&directory.join("log.key"), &origin, &*random)?;
        let token_file = config
            .state
            .operator_token_file
            .clone()
            .unwrap_or_else(|| directory.join("operator.token"));
        let operator_token = match secret_file::read(&token_file)? {
            Some(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
            None => {
                let token = random.token(32);
                secret_file::write(&token_file, token.as_bytes())?;
                token
            }
        };
        Ok(Arc::new(Self {
            deposits: Arc::new(Deposits::load(
                Arc::clone(&state),
                config.state.agreements_per_consumer_max,
            )?),
            auditor: Arc::new(Auditor::new(Arc::clone(&state), log_key, Arc::clone(&random))),
            key: DpopKey::load_or_generate(&directory.join("broker-key.json"))?,
            gate: Gate::new(config.gate.clone()),
            manifests: Manifests::new(config.query.manifests_max, config.query.manifest_sources_max),
            turns: Arc::new(Semaphore::new(config.query.queries_max)),
            standing: Standing::new(&config.standing),
            catalogue: Catalogue::new(members),
            directories: Arc::new(Directories::new(config.plan.directories_max)),
            authenticator,
            clock,
            random,
            egress,
            state,
            operator_token,
            config,
        }))
    }

    /// A turn at what takes time: a query, or a look through the log. It is given back when dropped.
    ///
    /// # Errors
    /// 503 while as many run as may (`query.queries_max`).
    pub fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.turns)
            .try_acquire_owned()
            .map_err(|_| Problem::unavailable("too many queries are running: try again in a moment", 1))
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let outcome = match self.read(request).await {
            Ok(call) => self.route(call).await,
            Err(problem) => Err(problem),
        };
        let mut response = outcome.unwrap_or_else(|mut problem| {
            if problem.status == StatusCode::UNAUTHORIZED && problem.headers.is_empty() {
                problem = problem.header(http::header::WWW_AUTHENTICATE, self.authenticator.challenge());
            }
            problem.into_response()
        });
        metrics::counter!("meent_requests_total", "status" => response.status().as_u16().to_string()).increment(1);
        tracing::debug!(%method, path, status = response.status().as_u16(), "request");
        let nosniff = HeaderName::from_static("x-content-type-options");
        response
            .headers_mut()
            .insert(nosniff, HeaderValue::from_static("nosniff"));
        response
    }

    /// Authenticates first, then reads the body within its bound.
    async fn read(&self, request: Request<Incoming>) -> Result<Call, Problem> {
        let (parts, incoming) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let operator = path == "/members" && parts.method == Method::POST;
        let credentials = if operator {
            Credentials::public()
        } else {
            let url = format!("{}{}", self.config.server.base_url.as_str().trim_end_matches('/'), path);
            self.authenticator
                .authenticate(&parts.method, &url, &parts.headers)
                .await
                .map_err(|r| r.to_problem())?
        };
        let limits = ReadLimits {
            body_bytes_max: self.config.server.body_bytes_max,
            ..ReadLimits::default()
        };
        let body = match Reader::new(incoming, limits) {
            Ok(reader) => reader.all().await,
            Err(error) => Err(error),
        };
        let body = body.map_err(|error| match error {
            ReadError::TooLarge { .. } => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
                    .detail(error.to_string())
            }
            ReadError::TooSlow { .. } => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                "The body arrives too slowly",
            )
            .detail(error.to_string()),
            ReadError::Broken(_) => error::bad_request("broken-body", error.to_string()),
        })?;
        let mut call = Call {
            method: parts.method,
            path,
            parameters: parameters(parts.uri.query().unwrap_or_default().as_bytes()),
            headers: parts.headers,
            credentials,
            body,
        };
        if call.method == Method::POST && call.media_type() == "application/x-www-form-urlencoded" {
            call.parameters.extend(parameters(&call.body));
        }
        Ok(call)
    }

    async fn route(self: &Arc<Self>, call: Call) -> Answer {
        match call.path.as_str() {
            "/sparql" | "/explain" => query::respond(self, call).await,
            "/agreements" => deposit::respond(self, call).await,
            "/catalog" | "/" => ui::catalog(self, &call),
            "/members" => self.members(&call).await,
            "/holdings" => crate::holder::respond(self, &call).await,
            "/.well-known/meent-broker" => self.description(&call),
            ui::STYLE_PATH => ui::style(&call),
            path if crate::standing::is_delegation(path) => crate::standing::renew(self, &call),
            path if path.starts_with("/queries/") => self.manifest(&call),
            path if path.starts_with("/log/") => self.log(&call).await,
            _ => Err(error::not_found(
                "this broker has `/`, `/catalog`, `/sparql`, `/explain`, `/agreements`, `/members`, `/holdings`, `/.well-known/meent-broker`, `/queries/{id}` and `/log/checkpoint`",
            )),
        }
    }

    /// What a consumer must know to delegate.
    fn description(&self, call: &Call) -> Answer {
        reading(call)?;
        let base = &self.config.server.base_url;
        Ok(json(
            StatusCode::OK,
            &serde_json::json!({
                "broker": base, "jkt": self.key.thumbprint(), "sparql": format!("{base}sparql"), "explain": format!("{base}explain"),
                "agreements": format!("{base}agreements"), "catalog": format!("{base}catalog"), "log": format!("{base}log/checkpoint"),
            }),
        ))
    }

    fn manifest(&self, call: &Call) -> Answer {
        reading(call)?;
        let id = call.path.strip_prefix("/queries/").unwrap_or_default();
        let manifest = self
            .manifests
            .find(id)
            .ok_or_else(|| error::not_found("no such query, or it is too long ago"))?;
        let value = serde_json::to_value(&*manifest).map_err(|cause| error::internal(&cause))?;
        let mut response = json(StatusCode::OK, &value);
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    async fn log(self: &Arc<Self>, call: &Call) -> Answer {
        reading(call)?;
        let path = call.path.strip_prefix("/log/").unwrap_or_default().to_owned();
        let auditor = Arc::clone(&self.auditor);
        deposit::blocking(move || match path.as_str() {
            "checkpoint" => auditor
                .checkpoint()
                .map(|note| respond(StatusCode::OK, "text/plain; charset=utf-8", note))
                .map_err(|cause| error::internal(&cause)),
            "vkey" => Ok(respond(
                StatusCode::OK,
                "text/plain; charset=utf-8",
                format!("{}\n", auditor.verifier()),
            )),
            _ => match auditor.tile(&path).map_err(|cause| error::internal(&cause))? {
                Some(bytes) => {
                    let mut response = respond(StatusCode::OK, "application/octet-stream", bytes);
                    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
                    response.headers_mut().insert(CACHE_CONTROL, forever);
                    Ok(response)
                }
                None => Err(error::not_found("no such tile yet")),
            },
        })
        .await?
    }

    /// The registry: everyone may read it, the operator may add to it.
    async fn members(self: &Arc<Self>, call: &Call) -> Answer {
        match call.method {
            Method::GET => {
                let snapshot = self.catalogue.snapshot();
                let moment = |at: Option<time::OffsetDateTime>| {
                    at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
                };
                let list: Vec<serde_json::Value> = snapshot
                    .members
                    .values()
                    .map(|member| {
                        serde_json::json!({
                            "name": member.config.name, "kind": member.config.kind(), "url": member.config.url,
                            "sparql": member.config.sparql, "terms": member.config.terms,
                            "datasets": member.datasets.len(), "confirmed": moment(member.confirmed),
                            "staleSince": moment(member.stale_since), "error": member.error,
                        })
                    })
                    .collect();
                Ok(json(StatusCode::OK, &serde_json::json!({ "members": list })))
            }
            Method::POST => {
                self.operator(call)?;
                let member: MemberConfig = serde_json::from_slice(&call.body)
                    .map_err(|cause| error::bad_request("malformed-json", format!("not a member: {cause}")))?;
                member
                    .validate()
                    .map_err(|cause| error::unprocessable("not-a-member", cause.to_string()))?;
                let known = self.catalogue.snapshot();
                if known.members.len() >= self.config.catalog.members_max && !known.members.contains_key(&member.name) {
                    return Err(error::unprocessable(
                        "too-many-members",
                        "`catalog.members_max` is reached",
                    ));
                }
                let text = serde_json::to_string(&member).map_err(|cause| error::internal(&cause))?;
                let (state, name) = (Arc::clone(&self.state), member.name.clone());
                deposit::blocking(move || state.put_member(&name, &text))
                    .await?
                    .map_err(|cause| error::internal(&cause))?;
                let name = member.name.clone();
                self.catalogue.replace(MemberState::new(member));
                crawl::crawl(&self.catalogue, &self.egress, &self.config.catalog, &*self.clock, &name).await;
                Ok(no_content())
            }
            _ => Err(error::method_not_allowed("GET, POST")),
        }
    }

    fn operator(&self, call: &Call) -> Result<(), Problem> {
        let sent = call
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let sent = sent.strip_prefix("Bearer ").unwrap_or_default();
        // Hashes are compared, so that the time taken says nothing about the token.
        use sha2::{Digest, Sha256};
        if sent.is_empty() || Sha256::digest(sent) != Sha256::digest(&self.operator_token) {
            return Err(
                Problem::new(StatusCode::UNAUTHORIZED, "operator-only", "Only for the operator")
                    .detail("send the operator's token: `Authorization: Bearer …`")
                    .header(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            );
        }
        Ok(())
    }
}

pub(crate) fn reading(call: &Call) -> Result<(), Problem> {
    if matches!(call.method, Method::GET | Method::HEAD) {
        Ok(())
    } else {
        Err(error::method_not_allowed("GET, HEAD"))
    }
}

/// A broker that serves.
pub struct Running {
    /// The broker's parts.
    pub broker: Arc<Broker>,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Waits until it has ended.
    pub async fn finished(self) {
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Starts to serve and to crawl, until the shutdown.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: Config, shutdown: Shutdown) -> Result<Running, StartError> {
    let broker = Broker::build(config)?;
    let config = &broker.config;
    let listen = ListenConfig {
        listen: config.server.listen,
        tls: config.tls.clone(),
        plain_http: config.server.plain_http_beyond_loopback,
    };
    let listener = Listener::bind(&listen).await?;
    let address = listener.local_address().map_err(|source| ServeError::Bind {
        address: config.server.listen,
        source,
    })?;
    let mut tasks = Vec::new();
    let first = Arc::new(std::sync::atomic::AtomicBool::new(false));
    if let Some(admin) = config.admin.listen {
        let metrics = Metrics::install()?;
        metrics.keep_up();
        let listener = Listener::bind(&ListenConfig {
            listen: admin,
            tls: None,
            plain_http: false,
        })
        .await?;
        let crawled = Arc::clone(&first);
        let readiness: Readiness = Arc::new(move || {
            let crawled = crawled.load(std::sync::atomic::Ordering::Relaxed);
            async move {
                if crawled {
                    Ok(())
                } else {
                    Err("the first crawl of the catalogues is still running".to_owned())
                }
            }
            .boxed()
        });
        tasks.push(tokio::spawn(serve(
            listener,
            admin_handler(metrics, readiness),
            shutdown.clone(),
            config.connections.clone(),
        )));
    }
    tasks.push(tokio::spawn(keep_crawling(
        Arc::clone(&broker),
        shutdown.clone(),
        first,
    )));
    let (ending, standing) = (shutdown.clone(), Arc::clone(&broker));
    tasks.push(tokio::spawn(async move {
        ending.wait().await;
        standing.standing.stop();
    }));
    let served = Arc::clone(&broker);
    let handler: Handler = Arc::new(move |request, _peer| {
        let answered = Answered::begin(&request);
        answered.within(Arc::clone(&served).handle(request)).boxed()
    });
    tasks.push(tokio::spawn(serve(
        listener,
        handler,
        shutdown,
        config.connections.clone(),
    )));
    tracing::info!(%address, base_url = %broker.config.server.base_url, "the broker serves");
    Ok(Running { address, tasks, broker })
}

async fn keep_crawling(broker: Arc<Broker>, shutdown: Shutdown, first: Arc<std::sync::atomic::AtomicBool>) {
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = crawl::crawl_all(&broker.catalogue, &broker.egress, &broker.config.catalog, &*broker.clock) => {}
        }
        first.store(true, std::sync::atomic::Ordering::Relaxed);
        // Right after a start members may still be starting too: look again soon until each has answered once.
        let waiting = broker
            .catalogue
            .snapshot()
            .members
            .values()
            .any(|member| member.config.pod_server().is_some() && member.confirmed.is_none());
        let pause = if waiting {
            1
        } else {
            broker.config.catalog.crawl_seconds.max(1)
        };
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(Duration::from_secs(pause)) => {}
        }
    }
}
