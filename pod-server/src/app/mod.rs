//! The whole server from typed parts, in one constructor, and the way of a request through it.
//!
//! Nothing is looked up by name here and nothing decides: parts are built, handed to each other, and asked in turn.

mod calls;
mod console;
mod content;
mod host;
mod queries;
mod remote_groups;
mod running;

use std::sync::Arc;

use http::HeaderValue;
use server_kit::authn::{Authenticator, LocalGrants, LocalIssuer};
use server_kit::clock::{Clock, SystemClock};
use server_kit::egress::Egress;
use server_kit::random::{Random, SystemRandom};

use crate::audit::{AuditWriter, UseRecorder};
use crate::authz::{Pep, Pip};
use crate::backup::Journal;
use crate::browse::{DataBrowser, DataBrowserParts};
use crate::config::{Config, ConfigFault};
use crate::dataspace::{DataspaceError, DataspaceService, Node};
use crate::identity::profiles::{ProfileWatch, StoredProfiles};
use crate::identity::standing::{GrantEpochs, StandingGrants};
use crate::identity::{Identity, IdentityError, IdentityParts, Site};
use crate::index::Index;
use crate::ldp::template::{TemplateError, Templates};
use crate::ldp::{LdpService, Room};
use crate::notify::{NotifyParts, NotifyService, Sender, WebhookParts};
use crate::origins::Origins;
use crate::query::QueryService;
use crate::query::summaries::IndexSummaries;
use crate::store::{ReadPermit, SqliteStore, Store, StoreError};

pub use running::{Ended, Running, start};

/// Name of the issuer's key file in the store's directory.
const ISSUER_KEY_FILE: &str = "issuer.key";

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value of the configuration breaks a rule.
    #[error("configuration: {0}")]
    Fault(#[from] ConfigFault),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] server_kit::config::ConfigError),
    /// The store cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Serve(#[from] server_kit::serve::ServeError),
    /// Outgoing requests cannot be set up.
    #[error(transparent)]
    Egress(#[from] server_kit::egress::EgressSetupError),
    /// The issuer's key cannot be used.
    #[error(transparent)]
    Issuer(#[from] server_kit::authn::LocalIssuerError),
    /// The key of the sender of notifications cannot be used.
    #[error("notifications: {0}")]
    Sender(#[from] server_kit::authn::client::ClientError),
    /// Identity cannot be set up.
    #[error("accounts cannot be set up: {0}")]
    Identity(#[from] IdentityError),
    /// A template of new storages cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The secret of pseudonyms cannot be used.
    #[error(transparent)]
    Pseudonyms(#[from] crate::authz::scope::pseudonyms::PseudonymsError),
    /// Consents, agreements or the audit log cannot be used.
    #[error(transparent)]
    Dataspace(#[from] DataspaceError),
    /// The revocation journal cannot be used.
    #[error("the revocation journal: {0}")]
    Journal(#[from] crate::backup::BackupError),
    /// Something of the operating system failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The parts of a running server. Commands that work on a stopped server build it too, and serve nothing.
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// What a restored backup must not bring back.
    pub journal: Arc<Journal>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Outgoing requests.
    pub egress: Arc<Egress>,
    /// The built-in issuer's key.
    pub issuer: Arc<LocalIssuer>,
    /// Verifies credentials.
    pub authenticator: Arc<Authenticator>,
    /// Makes audit entries.
    pub audit: Arc<AuditWriter>,
    /// Decides and mints proofs.
    pub pep: Arc<Pep>,
    /// Resources.
    pub ldp: Arc<LdpService>,
    /// Subscriptions and notifications.
    pub notify: Arc<NotifyService>,
    /// Accounts and the built-in issuer.
    pub identity: Arc<Identity>,
    /// Datasets, negotiations, agreements, consents, and the audit log for its readers.
    pub dataspace: Arc<DataspaceService>,
    /// The data browser's pages.
    pub browse: DataBrowser,
    /// The SPARQL endpoints.
    pub query: Arc<QueryService>,
    /// Where pod content is.
    pub origins: Origins,
    challenge: HeaderValue,
    hosts: host::Hosts,
    console_hosts: host::Hosts,
}

impl App {
    /// Builds every part. Opens the store; listens on nothing.
    ///
    /// # Errors
    /// [`StartError`] names what cannot be used, and the key of the configuration where there is one.
    pub fn build(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let hosts = reserved_hosts(&config);
        let origins = Origins::with(config.server.base_url.as_str(), config.server.subdomains, &hosts);
        let base_url = origins.base_url();
        let console_url = config.server.console_url.as_str().to_owned();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(config.store.clone(), Arc::clone(&clock))?);
        let journal = config.backup.journal_path(&config.store.directory);
        let journal = Journal::open(&journal, base_url, &*store)?;
        store.listen(Arc::clone(&journal) as _);
        let permit = ReadPermit::without_proof("where storages lie is asked before anything is read");
        origins.learn(&*store.snapshot(permit)?)?;
        let console = config.server.console_url.host_str().unwrap_or_default();
        if let Some(storage) = origins.storage_of_host(console) {
            return Err(StartError::Fault(ConfigFault::Value {
                key: "server.console_url",
                reason: format!("is the host of the storage `{storage}`: pod content and console share no origin"),
            }));
        }
        let egress = Arc::new(Egress::new(config.egress.clone())?);
        let issuer = LocalIssuer::load_or_generate(&*console_url, &config.store.directory.join(ISSUER_KEY_FILE))?;
        let issuer = Arc::new(issuer);
        let mut authn = config.authn.clone();
        base_url.clone_into(&mut authn.audience);
        authn.as_uri.clone_from(&console_url);
        let epochs = Arc::new(GrantEpochs::default());
        store.listen(Arc::clone(&epochs) as _);
        let grants: Arc<dyn LocalGrants> = Arc::new(StandingGrants::new(Arc::clone(&store), epochs));
        let authenticator = Authenticator::new(authn, Arc::clone(&egress), Arc::clone(&clock), Arc::clone(&issuer))?
            .with_local_profiles(Arc::new(StoredProfiles::new(Arc::clone(&store), &origins)))
            .with_local_grants(Arc::clone(&grants));
        let authenticator = Arc::new(authenticator);
        store.listen(Arc::new(ProfileWatch::new(&authenticator, &origins)));
        let audit = AuditWriter::new(
            origins.clone(),
            Arc::clone(&store),
            Arc::clone(&random),
            Arc::clone(&clock),
        );
        let audit = Arc::new(audit.with_clock_back(config.dataspace.clock_back_seconds_max));
        let pip = Arc::new(Pip::new(
            Arc::clone(&store),
            origins.clone(),
            config.authz.clone(),
            config.ldp.nesting_max,
            Arc::clone(&clock),
            Some(Arc::new(remote_groups::GuardedGroups(Arc::clone(&egress)))),
        ));
        store.listen(Arc::clone(pip.epoch()) as _);
        let recorder = UseRecorder::new(Arc::clone(&audit), Arc::clone(&store), origins.clone());
        let pep = Arc::new(Pep::new(
            pip,
            Arc::clone(&store),
            Arc::new(recorder),
            Arc::clone(&clock),
            origins.clone(),
            config.authz.clone(),
        ));
        let ldp = Arc::new(LdpService::new(
            Arc::clone(&store),
            Arc::clone(&pep),
            config.ldp.clone(),
            Room {
                inline_bytes_max: config.store.inline_bytes_max,
                quota_bytes_max: config.store.quota_bytes_max,
            },
            origins.clone(),
            Arc::clone(&random),
            &*clock,
        ));
        let notify = Arc::new(NotifyService::new(NotifyParts {
            store: Arc::clone(&store),
            pep: Arc::clone(&pep),
            grants,
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            origins: origins.clone(),
            webhooks: WebhookParts {
                egress: Arc::clone(&egress),
                sender: Sender::load_or_generate(
                    &config.store.directory,
                    base_url,
                    Arc::clone(&issuer),
                    Arc::clone(&random),
                )?,
                random: Arc::clone(&random),
            },
            bounds: config.notify.clone(),
        }));
        let inline_bytes_max = config.store.inline_bytes_max;
        let templates = Arc::new(Templates::load(
            &config.templates,
            &origins,
            &config.ldp,
            inline_bytes_max,
        )?);
        let identity = Arc::new(Identity::new(IdentityParts {
            store: Arc::clone(&store),
            site: Site::new(base_url, &console_url)
                .with_origins(origins.clone())
                .with_system(config.authz.system)
                .with_templates(Arc::clone(&templates)),
            config: config.identity.clone(),
            issuer: Arc::clone(&issuer),
            authenticator: Arc::clone(&authenticator),
            egress: Arc::clone(&egress),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            directory: config.store.directory.clone(),
            quota_bytes_max: config.store.quota_bytes_max,
        })?);
        let node = Node {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            audit: Arc::clone(&audit),
            origins: origins.clone(),
        };
        let index = Arc::new(Index::new(config.index.clone()));
        let consents = DataspaceService::ledger(&*store)?;
        let dataspace = Arc::new(DataspaceService::build(
            node,
            config.dataspace.clone(),
            Arc::clone(&issuer),
            Arc::new(IndexSummaries::new(
                Arc::clone(&index),
                origins.clone(),
                Arc::clone(&consents),
                Arc::clone(&clock),
            )),
            consents,
            &config.store.directory,
            Arc::clone(&egress),
        )?);
        let shared = queries::Shared {
            store: &store,
            clock: &clock,
            audit: &audit,
            pep: &pep,
            consents: &dataspace.ledger,
            origins: &origins,
            random: &*random,
        };
        let query = Arc::new(queries::service(&config, &index, &shared)?);
        let browse = DataBrowser::new(DataBrowserParts {
            ldp: Arc::clone(&ldp),
            store: Arc::clone(&store),
            origins: origins.clone(),
            issuer: issuer.issuer().to_owned(),
            clock: Arc::clone(&clock),
            bounds: config.browse.clone(),
            scope: Arc::clone(query.scope()),
        });
        Ok(Self {
            challenge: authenticator.challenge(),
            hosts: host::Hosts::new(&config.server.base_url, &config.server.hosts_additional),
            console_hosts: host::Hosts::new(&config.server.console_url, &config.server.hosts_additional),
            config: Arc::new(config),
            store,
            journal,
            clock,
            random,
            egress,
            issuer,
            authenticator,
            audit,
            pep,
            ldp,
            notify,
            identity,
            dataspace,
            browse,
            query,
            origins,
        })
    }
}

/// Hosts that answer for something else than a storage.
fn reserved_hosts(config: &Config) -> Vec<String> {
    let server = &config.server;
    let host = server.base_url.host_str().unwrap_or_default();
    let names = server.subdomains_reserved.iter().map(|name| format!("{name}.{host}"));
    let console = server.console_url.host_str().map(str::to_owned);
    let further = server.hosts_additional.iter().cloned();
    console.into_iter().chain(further).chain(names).collect()
}
