//! Listeners: content, console, the operator's, and the redirect to TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use server_kit::body::{self, Body};
use server_kit::serve::{Handler, ListenConfig, Listener, Peer, serve};
use server_kit::shutdown::Shutdown;
use server_kit::telemetry::{Metrics, Readiness, admin_handler};
use server_kit::trace::Answered;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use super::{App, StartError, host};
use crate::config::Config;
use crate::consent::Courier;
use crate::log::{retention, signals};
use crate::store::ReadPermit;

/// A server that listens.
pub struct Running {
    /// Its parts.
    pub app: Arc<App>,
    /// Where the operator's listener is bound.
    pub admin: Option<SocketAddr>,
    /// Where the listener is bound that sends everyone to `https`.
    pub redirect: Option<SocketAddr>,
    stopped: watch::Receiver<bool>,
    index: std::thread::JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Told,
    /// The store has stopped, because a sync failed: only a new process knows again what the disk holds (invariant 4).
    StoreStopped,
    /// The revocation journal cannot be written: a backup would bring back what is revoked from now on (T115).
    JournalFailed,
}

/// Binds the listeners, builds the server and serves until the shutdown. A port 0 is replaced by the one that the system
/// gives, in the listener and in the URL that names port 0 alike.
///
/// # Errors
/// [`StartError`] names what cannot be used. Then nothing is served.
pub async fn start(mut config: Config, shutdown: Shutdown) -> Result<Running, StartError> {
    config.check()?;
    let content = bind(&config, config.server.content_listen).await?;
    let console = bind(&config, config.server.console_listen).await?;
    name_port(&mut config.server.base_url, &content)?;
    name_port(&mut config.server.console_url, &console)?;
    let admin = match config.admin.listen {
        Some(address) => Some(bind_plain(&config, address).await?),
        None => None,
    };
    let redirect = match config.server.redirect_listen {
        Some(address) => Some(bind_plain(&config, address).await?),
        None => None,
    };
    let app = Arc::new(App::build(config)?);
    let index = follow(&app, &shutdown)?;
    let stopped = end_with_store(&app, &shutdown);
    let limits = app.config.connections.clone();
    let mut tasks = app.notify.start(&shutdown);
    app.dataspace.log.checkpoints.sign().await;
    let every = Duration::from_secs(app.config.dataspace.checkpoint_seconds);
    let witnesses = Arc::clone(&app.dataspace.log.witnesses);
    tasks.push(tokio::spawn(witnesses.keep_up(every, shutdown.clone())));
    let (node, days) = (app.dataspace.log.node.clone(), app.config.dataspace.log_days.clone());
    tasks.push(tokio::spawn(retention::keep_up(node.clone(), days, shutdown.clone())));
    if let Some(observed) = app.audit.observations().taken() {
        let config = app.config.dataspace.signals;
        tasks.push(tokio::spawn(signals::keep_up(node, config, observed, shutdown.clone())));
    }
    let consents = app.dataspace.consents.clone();
    let posted = Arc::clone(&consents.posted);
    let courier = Courier::new(consents, Arc::clone(&app.egress));
    tasks.push(tokio::spawn(courier.keep_up(posted, shutdown.clone())));
    let mut run = |listener, handler: Handler| {
        tasks.push(tokio::spawn(serve(listener, handler, shutdown.clone(), limits.clone())));
    };
    run(content, content_handler(&app));
    run(console, console_handler(&app));
    let redirect_address = match &redirect {
        Some(redirect) => Some(redirect.local_address().map_err(address_failed)?),
        None => None,
    };
    let admin_address = match &admin {
        Some(admin) => Some(admin.local_address().map_err(address_failed)?),
        None => None,
    };
    if let Some(admin) = admin {
        let metrics = Metrics::install()?;
        metrics.keep_up();
        run(admin, admin_handler(metrics, readiness(&app)));
    }
    if let Some(redirect) = redirect {
        run(redirect, redirect_handler(&app));
    }
    tracing::info!(content = %app.origins.base_url(), console = %app.config.server.console_url, "the pod server is ready");
    Ok(Running {
        app,
        admin: admin_address,
        redirect: redirect_address,
        stopped,
        index,
        tasks,
    })
}

impl Running {
    /// Tells when the store has stopped, after which the process has to end.
    #[must_use]
    pub fn store_stopped(&self) -> watch::Receiver<bool> {
        self.stopped.clone()
    }

    /// Waits until every listener has ended, which the shutdown tells them to, and so does a store that has stopped.
    pub async fn finished(self) -> Ended {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a listener broke off");
            }
        }
        if !*self.stopped.borrow() {
            self.app.dataspace.log.checkpoints.sign().await;
        }
        // The index reads the store until the end; whoever opens the store next must find it closed.
        let index = self.index;
        if tokio::task::spawn_blocking(move || index.join().is_err())
            .await
            .unwrap_or(true)
        {
            tracing::error!("the index broke off");
        }
        if *self.stopped.borrow() {
            Ended::StoreStopped
        } else if *self.app.journal.failed().borrow() {
            Ended::JournalFailed
        } else {
            Ended::Told
        }
    }
}

async fn bind(config: &Config, listen: SocketAddr) -> Result<Listener, StartError> {
    let listen = ListenConfig {
        listen,
        tls: config.tls.clone(),
        plain_http: config.server.plain_http_beyond_loopback,
    };
    Ok(Listener::bind(&listen).await?)
}

async fn bind_plain(config: &Config, listen: SocketAddr) -> Result<Listener, StartError> {
    // The redirect listener hands out nothing, so that it may stand anywhere.
    let redirect = config.server.redirect_listen == Some(listen);
    let plain_http = redirect || config.server.plain_http_beyond_loopback;
    Ok(Listener::bind(&ListenConfig {
        listen,
        tls: None,
        plain_http,
    })
    .await?)
}

fn name_port(url: &mut Url, listener: &Listener) -> Result<(), StartError> {
    if url.port() == Some(0) {
        let address = listener.local_address().map_err(address_failed)?;
        // Only URLs without a host refuse a port, and the check of the configuration has refused those.
        let _ = url.set_port(Some(address.port()));
    }
    Ok(())
}

fn address_failed(source: std::io::Error) -> StartError {
    StartError::System {
        what: "the address of a listener cannot be read",
        source,
    }
}

fn content_handler(app: &Arc<App>) -> Handler {
    let app = Arc::clone(app);
    Arc::new(move |request: Request<Incoming>, _: Peer| match app.at_once(&request) {
        Some(response) => Box::pin(std::future::ready(response)),
        None => Box::pin(Answered::begin(&request).within(Arc::clone(&app).content(request))),
    })
}

fn console_handler(app: &Arc<App>) -> Handler {
    let app = Arc::clone(app);
    Arc::new(move |request: Request<Incoming>, peer: Peer| {
        let (app, answered) = (Arc::clone(&app), Answered::begin(&request));
        Box::pin(answered.within(async move { app.console(request, peer).await }))
    })
}

/// Sends every plain request to the same path on the `https` origin (solid#2).
fn redirect_handler(app: &Arc<App>) -> Handler {
    let origins = app.origins.clone();
    Arc::new(move |request: Request<Incoming>, _: Peer| {
        let target = request
            .uri()
            .path_and_query()
            .map(http::uri::PathAndQuery::as_str)
            // `OPTIONS *` names no path; nothing may be glued to the host but one.
            .filter(|target| target.starts_with('/'))
            .unwrap_or("/");
        let mut response: Response<Body> = Response::new(body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let origin = host::secure_origin(request.uri(), request.headers(), &origins);
        if let Ok(location) = HeaderValue::from_str(&format!("{origin}{target}")) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Box::pin(std::future::ready(response))
    })
}

/// Lets the index follow the store until the shutdown.
fn follow(app: &Arc<App>, shutdown: &Shutdown) -> Result<std::thread::JoinHandle<()>, StartError> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let index = app.query.follow(stopped).map_err(|source| StartError::System {
        what: "the index cannot be started",
        source,
    })?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        shutdown.wait().await;
        // Nobody listens any more when the follower has ended by itself.
        let _ = stop.send(true);
    });
    Ok(index)
}

/// Ends the server when the store has stopped, because it could answer nothing truly any more and must not look alive; and
/// when revocations are not kept outside the store any more.
fn end_with_store(app: &App, shutdown: &Shutdown) -> watch::Receiver<bool> {
    let stopped = app.store.stopped();
    for (mut watched, what) in [
        (stopped.clone(), "the store has stopped"),
        (app.journal.failed(), "the revocation journal cannot be written"),
    ] {
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                // An error means that what is watched is gone, and with it the reason to watch.
                ended = watched.wait_for(|ended| *ended) => {
                    if ended.is_ok() {
                        tracing::error!(what, "the server ends, to recover at its next start");
                        shutdown.trigger();
                    }
                }
                () = shutdown.wait() => {}
            }
        });
    }
    stopped
}

/// Ready means: the store answers, and the index shows all of it, if it is to be there already.
fn readiness(app: &Arc<App>) -> Readiness {
    let app = Arc::clone(app);
    Arc::new(move || {
        let app = Arc::clone(&app);
        Box::pin(async move {
            let permit = ReadPermit::without_proof("the operator asks whether the store answers");
            let snapshot = app.store.snapshot(permit).map_err(|error| error.to_string())?;
            snapshot.sequence().map(drop).map_err(|error| error.to_string())?;
            match app.query.index().incomplete() {
                Some(reason) => Err(format!("the index is incomplete: {reason}")),
                None if app.query.index().is_built() || !app.query.index().is_wanted() => Ok(()),
                None => Err("the index is being built".to_owned()),
            }
        })
    })
}
