//! Starts and stops a pod server inside the test process, on ports that the system gives.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pod_server::app::{self, App, Running, StartError};
use pod_server::authz::{AuthorizationSystem, FirstRules};
use pod_server::config::Config;
use pod_server::error::Error;
use pod_server::ldp::provision;
use pod_server::name::{Auxiliary, ResourceName};
use pod_server::store::{CommitError, NewBody, NewState, ResourceKind, StoreError, Warrant, commit};
use server_kit::clock::{Clock, SystemClock};
use server_kit::shutdown::Shutdown;
use server_kit::tls::LocalAuthority;
use tempfile::TempDir;

use super::agent::Agent;
use super::client::Client;

/// Changes to the configuration before the server starts, as a JSON tree of sections.
pub type PodSettings = serde_json::Value;

/// A running pod server over a directory of its own, gone at the end of the test.
pub struct PodServer {
    /// Origin of pod content, with a closing slash.
    pub base_url: String,
    /// Origin of the console and issuer, with a closing slash.
    pub console_url: String,
    /// The parts of the server, for tests that look inside.
    pub app: Arc<App>,
    directory: Arc<TempDir>,
    settings: PodSettings,
    shutdown: Shutdown,
    running: Option<Running>,
}

impl PodServer {
    /// A server with the default configuration.
    pub async fn start() -> Self {
        Self::start_with(serde_json::json!({})).await
    }

    /// A server with changed settings, such as `{"ldp": {"rdf_bytes_max": 1000}}`.
    ///
    /// # Panics
    /// When the server cannot start: then the test has failed.
    pub async fn start_with(settings: PodSettings) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        Self::start_in(directory, settings, "http://127.0.0.1:0/", "http://127.0.0.1:0/").await
    }

    /// A server whose storages each have an origin of their own, with changed settings.
    ///
    /// # Panics
    /// When the server cannot start.
    pub async fn start_on_subdomains(mut settings: PodSettings) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        merge(&mut settings, &serde_json::json!({"server": {"subdomains": true}}));
        Self::start_in(directory, settings, "http://data.localhost:0/", "http://127.0.0.1:0/").await
    }

    /// A server that speaks TLS, with the certificate (PEM) of the authority behind it.
    ///
    /// # Panics
    /// When no certificate can be made.
    pub async fn start_with_tls() -> (Self, String) {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let now = SystemClock.now();
        let authority = LocalAuthority::generate("Meent test authority", now).expect("an authority");
        let certificate = authority
            .certificate(&["127.0.0.1".to_owned()], now)
            .expect("a certificate");
        let (file, key) = (directory.path().join("tls.pem"), directory.path().join("tls.key"));
        certificate.write(&file, &key).expect("files");
        let settings = serde_json::json!({"tls": {"certificate_file": file, "key_file": key}});
        let server = Self::start_in(directory, settings, "https://127.0.0.1:0/", "https://127.0.0.1:0/").await;
        (server, authority.certificate_pem())
    }

    /// Stops the server and starts another over the same data on the same ports.
    ///
    /// # Panics
    /// When the server cannot start again.
    pub async fn restart(self) -> Self {
        self.restart_with(serde_json::json!({})).await
    }

    /// As [`Self::restart`], with some settings changed.
    ///
    /// # Panics
    /// When the server cannot start again.
    pub async fn restart_with(self, changes: PodSettings) -> Self {
        let mut resting = self.rest().await;
        merge(&mut resting.settings, &changes);
        resting.start().await
    }

    /// Stops the server; it may be started again over the same data on the same ports.
    pub async fn rest(mut self) -> Resting {
        let resting = Resting {
            directory: Arc::clone(&self.directory),
            settings: self.settings.clone(),
            base_url: self.base_url.clone(),
            console_url: self.console_url.clone(),
        };
        self.end().await;
        resting
    }

    /// Stops the server and waits until it has let go of its data.
    pub async fn stop(mut self) {
        self.end().await;
    }

    /// Where the data lies.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Host and port of pod content over plain HTTP, as `Host` names them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.base_url.trim_start_matches("http://").trim_end_matches('/')
    }

    /// A client without credentials.
    pub fn client(&self) -> Client {
        Client::of(self.app.origins.clone())
    }

    /// Makes a storage with a WebID profile that names this server's issuer, and an agent that is its owner.
    ///
    /// # Panics
    /// When the storage cannot be made.
    pub async fn agent(&self, name: &str) -> Agent {
        self.agent_under(name, AuthorizationSystem::Wac).await
    }

    /// As [`Self::agent`], with a storage under an authorization system.
    ///
    /// # Panics
    /// When the storage cannot be made.
    pub async fn agent_under(&self, name: &str, system: AuthorizationSystem) -> Agent {
        let web_id = format!("{}profile/card#me", self.app.origins.new_root(name));
        let profile = format!(
            "<#me> <http://www.w3.org/ns/solid/terms#oidcIssuer> <{}>; \
             <http://www.w3.org/ns/pim/space#storage> <../>.",
            self.console_url
        );
        let public = FirstRules {
            owner: &web_id,
            resource: "card",
            members: false,
            public: Some("acl:Read"),
        };
        let public = public.write(system);
        let (origins, storage, owner) = (self.app.origins.clone(), name.to_owned(), web_id.clone());
        let card = ResourceName::parse(&format!("/{name}/profile/card")).expect("a name");
        let work = move |transaction: &mut dyn pod_server::store::Transaction| {
            provision::create_storage(transaction, &origins, &storage, &owner, system).map_err(CommitError::Refused)?;
            transaction.put(&card, turtle(profile))?;
            transaction.put(&card.auxiliary(Auxiliary::Acl), turtle(public))?;
            Ok(())
        };
        let warrant = Warrant::without_proof("a test makes an account");
        commit::<(), Error>(self.app.store.as_ref(), warrant, Box::new(work))
            .await
            .expect("a storage");
        Agent::new(&self.app.issuer, web_id, &self.base_url).at(self.app.origins.clone())
    }

    /// Puts documents and containers into the store, in one commit and without asking for rights: the scene of a test.
    ///
    /// # Panics
    /// When they cannot be stored.
    pub async fn place(&self, documents: Vec<(String, String)>) {
        let work = move |transaction: &mut dyn pod_server::store::Transaction| {
            for (path, text) in documents {
                let name = ResourceName::parse(&path).expect("a name");
                let mut state = turtle(text);
                if name.is_container() {
                    state.kind = ResourceKind::Container;
                }
                transaction.put(&name, state)?;
            }
            Ok(())
        };
        let warrant = Warrant::without_proof("a test sets its scene");
        commit::<(), Error>(self.app.store.as_ref(), warrant, Box::new(work))
            .await
            .expect("documents");
    }

    async fn start_in(directory: Arc<TempDir>, settings: PodSettings, base_url: &str, console_url: &str) -> Self {
        let mut value = serde_json::json!({
            "server": {
                "base_url": base_url,
                "console_url": console_url,
                "content_listen": address_of(base_url),
                "console_listen": address_of(console_url),
            },
            "store": { "directory": directory.path(), "reserve_bytes": 0 },
            "admin": { "listen": null },
            "egress": { "allow": ["127.0.0.1:*"] },
        });
        merge(&mut value, &settings);
        let config: Config = serde_json::from_value(value).expect("a configuration");
        let shutdown = Shutdown::new();
        let running = start_patiently(config, &shutdown).await;
        let app = Arc::clone(&running.app);
        Self {
            base_url: app.config.server.base_url.to_string(),
            console_url: app.config.server.console_url.to_string(),
            app,
            directory,
            settings,
            shutdown,
            running: Some(running),
        }
    }

    async fn end(&mut self) {
        self.shutdown.trigger();
        if let Some(running) = self.running.take() {
            running.finished().await;
        }
    }
}

/// A server that is not running.
pub struct Resting {
    directory: Arc<TempDir>,
    settings: PodSettings,
    base_url: String,
    console_url: String,
}

impl Resting {
    /// Starts it again.
    ///
    /// # Panics
    /// When it cannot start.
    pub async fn start(self) -> PodServer {
        PodServer::start_in(self.directory, self.settings, &self.base_url, &self.console_url).await
    }
}

impl Drop for PodServer {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// The server before may take a moment to let go of the directory: its last connections end by themselves.
async fn start_patiently(config: Config, shutdown: &Shutdown) -> Running {
    for _ in 0..100 {
        match app::start(config.clone(), shutdown.clone()).await {
            Err(StartError::Store(StoreError::Locked { .. })) => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            other => return other.expect("a server"),
        }
    }
    panic!("the directory is still in use after ten seconds");
}

fn turtle(text: String) -> NewState {
    NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body: NewBody::Bytes(text.into()),
    }
}

fn address_of(url: &str) -> SocketAddr {
    let url: url::Url = url.parse().expect("a URL");
    SocketAddr::from(([127, 0, 0, 1], url.port().unwrap_or(0)))
}

/// Puts the members of `changes` into `value`, section by section.
fn merge(value: &mut serde_json::Value, changes: &serde_json::Value) {
    match (value, changes) {
        (serde_json::Value::Object(value), serde_json::Value::Object(changes)) => {
            for (key, change) in changes {
                merge(value.entry(key.clone()).or_insert(serde_json::Value::Null), change);
            }
        }
        (value, change) => *value = change.clone(),
    }
}
