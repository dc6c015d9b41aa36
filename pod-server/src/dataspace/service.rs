//! Datasets, consents and the log of one server, composed: what the server's router asks.

use std::path::Path;
use std::sync::Arc;

use server_kit::authn::LocalIssuer;
use server_kit::egress::Egress;
use tokio::sync::Notify;

use super::api::Dataspace;
use super::catalog::Summaries;
use super::config::{DataspaceConfig, WITNESS_KEY_FILE};
use super::edge::{Answer, Call};
use super::node::Node;
use crate::consent::{ConsentLedger, Consents};
use crate::log::checkpoint::OpenError;
use crate::log::{Checkpoints, OwnLog, Witness, Witnesses};
use crate::store::{Store, StoreError};
use crate::ui::layout::path;

/// Why the dataspace side cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DataspaceError {
    /// The configuration breaks a rule.
    #[error("`{key}`: {reason}")]
    Config {
        /// The key.
        key: &'static str,
        /// What would be right.
        reason: &'static str,
    },
    /// The audit log cannot be served.
    #[error("the audit log: {0}")]
    Log(#[from] OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The dataspace, consent and log side of a pod server.
pub struct DataspaceService {
    /// Datasets, negotiations, agreements.
    pub dataspace: Dataspace,
    /// Consents.
    pub consents: Consents,
    /// The audit log for its readers.
    pub log: OwnLog,
    /// Whose consent covers what, for decisions about queries.
    pub ledger: Arc<ConsentLedger>,
}

impl DataspaceService {
    /// Builds every part. The ledger listens to the store from here on.
    ///
    /// # Errors
    /// [`DataspaceError`] names what cannot be used.
    pub fn build(
        node: Node,
        config: DataspaceConfig,
        issuer: Arc<LocalIssuer>,
        summaries: Arc<dyn Summaries>,
        ledger: Arc<ConsentLedger>,
        store_directory: &Path,
        egress: Arc<Egress>,
    ) -> Result<Self, DataspaceError> {
        let refused = |(key, reason)| DataspaceError::Config { key, reason };
        config.check().map_err(refused)?;
        let origin = config.log_origin_of(node.origins.base_url());
        let key_file = config.log_key_path(store_directory);
        let checkpoints = Arc::new(Checkpoints::open(node.clone(), &key_file, &origin)?);
        let peers = config.witness_peers().map_err(refused)?;
        let witnesses = Arc::new(Witnesses::new(node.clone(), egress, Arc::clone(&checkpoints), peers));
        let logs = config.witnessed_keys().map_err(refused)?;
        let witness = match logs.is_empty() {
            true => None,
            false => {
                let key_file = store_directory.join(WITNESS_KEY_FILE);
                let opened = Witness::open(node.clone(), &key_file, &format!("{origin}/witness"), logs);
                Some(Arc::new(opened.map_err(OpenError::from)?))
            }
        };
        let config = Arc::new(config);
        let log = OwnLog {
            node: node.clone(),
            config: Arc::clone(&config),
            checkpoints,
            witnesses,
            witness,
        };
        let control = format!("{}{}", issuer.issuer().trim_end_matches('/'), path::CONSENT);
        Ok(Self {
            consents: Consents {
                node: node.clone(),
                config: Arc::clone(&config),
                log: log.clone(),
                control,
                posted: Arc::new(Notify::new()),
            },
            dataspace: Dataspace {
                duties: Arc::default(),
                node,
                config,
                issuer,
                summaries,
            },
            log,
            ledger,
        })
    }

    /// Answers a call on the content origin, as `crate::routes` sends it here: catalogues, `.dataspace`, `.consent`,
    /// `.log` and `/log/`. None for every other path.
    pub async fn respond(&self, call: &Call) -> Option<Answer> {
        if let Some(answer) = self.dataspace.respond(call).await {
            return Some(answer);
        }
        if let Some(answer) = self.consents.respond(call).await {
            return Some(answer);
        }
        self.log.respond(call).await
    }

    /// Largest body of a call, in bytes.
    #[must_use]
    pub fn body_bytes_max(&self) -> u64 {
        self.dataspace.config.body_bytes_max
    }

    /// The ledger of consents, which follows the store from now on.
    ///
    /// # Errors
    /// When the consents cannot be read.
    pub fn ledger(store: &dyn Store) -> Result<Arc<ConsentLedger>, StoreError> {
        let ledger = Arc::new(ConsentLedger::build(store)?);
        store.listen(Arc::clone(&ledger) as _);
        Ok(ledger)
    }
}
