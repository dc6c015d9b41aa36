//! The whole configuration of a broker, typed, with every bound named and its unit last. Unknown keys are refused.

use crate::exec::ExecLimits;
use crate::exec::gate::GateLimits;
pub use crate::member::registration::MemberConfig;
use crate::plan::PlanLimits;
use crate::standing::StandingLimits;
use serde::Deserialize;
use server_kit::authn::AuthnConfig;
use server_kit::config::ConfigError;
use server_kit::egress::EgressConfig;
use server_kit::results::GroupLimits;
use server_kit::serve::ServeLimits;
use server_kit::telemetry::TelemetryConfig;
use server_kit::tls::TlsConfig;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use url::Url;

/// Prefix of the environment variables that override the file (`__` between section and key).
pub const ENV_PREFIX: &str = "MEENT_BROKER_";

/// Everything an operator can set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and origin.
    pub server: ServerSection,
    /// Certificate; without it the broker speaks plain HTTP, on loopback only.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Health, readiness and metrics.
    #[serde(default)]
    pub admin: AdminSection,
    /// Where metadata, keys and the log lie.
    pub state: StateSection,
    /// Members of the federation that are known from the start.
    #[serde(default)]
    pub members: Vec<MemberConfig>,
    /// Crawling of members' catalogues.
    #[serde(default)]
    pub catalog: CatalogSection,
    /// Bounds on queries as they come in.
    #[serde(default)]
    pub query: QuerySection,
    /// Bounds of planning.
    #[serde(default)]
    pub plan: PlanLimits,
    /// Bounds of running a query.
    #[serde(default)]
    pub exec: ExecLimits,
    /// Protection of members.
    #[serde(default)]
    pub gate: GateLimits,
    /// Bounds on standing queries.
    #[serde(default)]
    pub standing: StandingLimits,
    /// Verification of tokens and proofs.
    #[serde(default)]
    pub authn: AuthnConfig,
    /// What the broker may ask of others.
    #[serde(default)]
    pub egress: EgressConfig,
    /// Bounds on connections.
    #[serde(default)]
    pub connections: ServeLimits,
    /// Logs.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// Address and origin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// Origin as clients see it, with a closing slash.
    pub base_url: Url,
    /// Address on which the broker is served.
    pub listen: SocketAddr,
    /// Allows plain HTTP on addresses other than loopback, behind a proxy that speaks TLS.
    #[serde(default)]
    pub plain_http_beyond_loopback: bool,
    /// Largest request body, bytes.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: u64,
}

fn body_bytes_max() -> u64 {
    256 * 1024
}

/// The operator's listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSection {
    /// Loopback address of `/health/live`, `/health/ready` and `/metrics`; none turns it off.
    pub listen: Option<SocketAddr>,
}

impl Default for AdminSection {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 7192))),
        }
    }
}

/// Where metadata, keys and the log lie.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSection {
    /// Folder, made on first use. Losing it loses nobody's data.
    pub directory: PathBuf,
    /// File with the operator's token, for `POST /members`. Made on first use when absent: `operator.token` in the folder.
    #[serde(default)]
    pub operator_token_file: Option<PathBuf>,
    /// Most agreements that one consumer may deposit.
    #[serde(default = "agreements_max")]
    pub agreements_per_consumer_max: usize,
}

fn agreements_max() -> usize {
    1_000
}

/// Crawling of members' catalogues.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogSection {
    /// Time between two crawls of a member, seconds.
    pub crawl_seconds: u64,
    /// Largest catalogue, bytes.
    pub catalog_bytes_max: u64,
    /// Longest time to fetch one, seconds.
    pub catalog_seconds_max: u64,
    /// Most members.
    pub members_max: usize,
    /// Most catalogues fetched at a time.
    pub crawls_max: usize,
    /// Most datasets on one page of results.
    pub results_max: usize,
}

impl Default for CatalogSection {
    fn default() -> Self {
        Self {
            crawl_seconds: 10,
            catalog_bytes_max: 32 * 1024 * 1024,
            catalog_seconds_max: 10,
            members_max: 2_000,
            crawls_max: 16,
            results_max: 200,
        }
    }
}

/// Bounds on queries as they come in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuerySection {
    /// Largest query text, bytes.
    pub query_bytes_max: usize,
    /// Deepest nesting of brackets and prefix operators.
    pub nesting_max: usize,
    /// Most operators in one query.
    pub operators_max: usize,
    /// Queries at a time; more are told to come back.
    pub queries_max: usize,
    /// Stack of the threads that parse and evaluate, bytes.
    pub stack_bytes: usize,
    /// Completeness manifests that are remembered.
    pub manifests_max: usize,
    /// Most sources that they speak of together, about 300 bytes each.
    pub manifest_sources_max: usize,
    /// Most delegations in one request.
    pub delegations_max: usize,
    /// Most resources that one `DESCRIBE` describes.
    pub described_max: usize,
    /// Bounds on row groups of Parquet and batches of Arrow.
    pub groups: GroupLimits,
    /// Most rows of JSON results that name their sources, and most sources in all the sets that they name.
    pub traced_rows_max: usize,
}

impl Default for QuerySection {
    fn default() -> Self {
        Self {
            query_bytes_max: 64 * 1024,
            nesting_max: 64,
            operators_max: 4_000,
            queries_max: 64,
            stack_bytes: 64 * 1024 * 1024,
            manifests_max: 10_000,
            manifest_sources_max: 200_000,
            delegations_max: 64,
            described_max: 1_000,
            groups: GroupLimits::default(),
            traced_rows_max: 1_000_000,
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let base = &self.server.base_url;
        if base.path() != "/" || base.query().is_some() || base.fragment().is_some() {
            return Err(ConfigError::invalid(
                "server.base_url",
                "write an origin with a closing slash, without path",
            ));
        }
        if self.members.len() > self.catalog.members_max {
            return Err(ConfigError::invalid("members", "more than `catalog.members_max`"));
        }
        let mut names = BTreeSet::new();
        for member in &self.members {
            member.validate()?;
            if !names.insert(&member.name) {
                return Err(ConfigError::invalid(
                    "members.name",
                    format!("`{}` is there twice", member.name),
                ));
            }
        }
        for (key, value) in [
            ("query.query_bytes_max", self.query.query_bytes_max),
            ("query.nesting_max", self.query.nesting_max),
            ("query.queries_max", self.query.queries_max),
            ("gate.requests_max", self.gate.requests_max),
            ("gate.member_requests_max", self.gate.member_requests_max),
            ("query.groups.group_rows_max", self.query.groups.group_rows_max),
        ] {
            if value == 0 {
                return Err(ConfigError::invalid(key, "zero would refuse everything"));
            }
        }
        self.standing.validate()?;
        if self.query.nesting_max > 500 || self.query.stack_bytes < 16 * 1024 * 1024 {
            return Err(ConfigError::invalid(
                "query.nesting_max",
                "deeper than 500, or `query.stack_bytes` below 16777216: a nested query could end the process",
            ));
        }
        Ok(())
    }
}
