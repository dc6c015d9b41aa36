//! The whole configuration of a pod server, typed, with every bound named and its unit last.
//!
//! Unknown keys are refused, so that a misspelt bound cannot silently keep its default. Values come from a TOML file
//! and from environment variables that begin with `MEENT_POD_` (`__` between section and key).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use server_kit::authn::AuthnConfig;
use server_kit::egress::EgressConfig;
use server_kit::serve::ServeLimits;
use server_kit::telemetry::TelemetryConfig;
use server_kit::tls::TlsConfig;
use url::Url;

use crate::authz::AuthorizationSystem;
use crate::dataspace::DataspaceConfig;
use crate::identity::IdentityConfig;
use crate::index::IndexLimits;
use crate::ldp::template::TemplatesSection;
use crate::notify::NotifyConfig;
use crate::query::QueryLimits;
use crate::store::StoreConfig;

/// Prefix of the environment variables that override the file.
pub const ENV_PREFIX: &str = "MEENT_POD_";

/// Everything an operator can set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Addresses and origins.
    pub server: ServerSection,
    /// Certificates; without it the server speaks plain HTTP, on loopback only.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Health, readiness and metrics.
    #[serde(default)]
    pub admin: AdminSection,
    /// Where the data lies, and the bounds of the store.
    pub store: StoreConfig,
    /// Bounds of the resource interface.
    #[serde(default)]
    pub ldp: LdpSection,
    /// Bounds of access decisions.
    #[serde(default)]
    pub authz: AuthzSection,
    /// Verification of tokens and proofs.
    #[serde(default)]
    pub authn: AuthnConfig,
    /// What the server may ask of others.
    #[serde(default)]
    pub egress: EgressConfig,
    /// Bounds on connections.
    #[serde(default)]
    pub connections: ServeLimits,
    /// Accounts, sessions and the built-in issuer.
    #[serde(default)]
    pub identity: IdentityConfig,
    /// Documents that new storages begin with.
    #[serde(default)]
    pub templates: TemplatesSection,
    /// Datasets, agreements, consents and the public log.
    #[serde(default)]
    pub dataspace: DataspaceConfig,
    /// Bounds of the data browser on the console.
    #[serde(default)]
    pub browse: BrowseSection,
    /// Bounds of notifications.
    #[serde(default)]
    pub notify: NotifyConfig,
    /// Bounds of queries.
    #[serde(default)]
    pub query: QueryLimits,
    /// Bounds of the index behind queries.
    #[serde(default)]
    pub index: IndexLimits,
    /// What outlives the store.
    #[serde(default)]
    pub backup: BackupSection,
    /// Logs.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// Addresses and origins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// Origin of pod content as clients see it, with a closing slash: `https://data.gent.example/`.
    pub base_url: Url,
    /// Origin of accounts, login and consent pages. Never the same origin as `base_url`.
    pub console_url: Url,
    /// Address on which pod content is served.
    pub content_listen: SocketAddr,
    /// Address on which the console is served.
    pub console_listen: SocketAddr,
    /// Address of a plain HTTP listener that sends every request to the `https` origin; none unless given (solid#2).
    #[serde(default)]
    pub redirect_listen: Option<SocketAddr>,
    /// Allows plain HTTP on addresses other than loopback, for a server behind a proxy that speaks TLS.
    #[serde(default)]
    pub plain_http_beyond_loopback: bool,
    /// Further values of `Host` that this server answers to, besides the authority of `base_url`.
    #[serde(default)]
    pub hosts_additional: Vec<String>,
    /// Whether new storages get an origin of their own, such as `https://gent.data.example/`; those that are there keep
    /// the place that they were made with. Name service and certificate must hold `*.` with the host of `base_url`.
    #[serde(default)]
    pub subdomains: bool,
    /// Names below the host of `base_url` that are other servers', such as `www`: no storage gets them as its host.
    #[serde(default)]
    pub subdomains_reserved: Vec<String>,
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
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 7109))),
        }
    }
}

/// What outlives the store.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupSection {
    /// File of the revocation journal, best on another disk than the store; `revocations.journal` in the store's directory
    /// unless given.
    pub revocation_journal: Option<PathBuf>,
}

impl BackupSection {
    /// Where the revocation journal is.
    #[must_use]
    pub fn journal_path(&self, store_directory: &Path) -> PathBuf {
        self.revocation_journal
            .clone()
            .unwrap_or_else(|| store_directory.join(crate::backup::journal::FILE))
    }
}

/// Bounds of the resource interface.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LdpSection {
    /// Largest body of a document that is not RDF, in bytes.
    pub body_bytes_max: u64,
    /// Largest RDF document, in bytes: it is parsed on arrival.
    pub rdf_bytes_max: u64,
    /// Largest access control list, in bytes.
    pub acl_bytes_max: u64,
    /// Largest patch document, in bytes.
    pub patch_bytes_max: u64,
    /// Conditions that a patch may state in its `where`.
    pub patch_conditions_max: usize,
    /// Steps that a patch may take before it is given up: statements that are looked at or made, over all its changes.
    pub patch_steps_max: u64,
    /// How often a write is decided anew when the state it was decided on has changed in between.
    pub attempts_max: u32,
    /// Brackets that may be open at one time in RDF and patch documents.
    pub nesting_max: u32,
    /// Documents that may be open for conversion between RDF syntaxes at one time; more wait.
    pub conversions_max: usize,
    /// Memory for representations that are ready to be sent, in bytes.
    pub representation_cache_bytes_max: u64,
    /// Largest single representation that is kept in memory, in bytes.
    pub representation_cached_bytes_max: u64,
    /// Containers with at most this many members have their listing kept in memory.
    pub listing_cached_members_max: usize,
    /// Members fetched from the store at a time while a listing is sent.
    pub listing_page_members: usize,
    /// Members on one page of a listing in the form of Linked Web Storage.
    pub lws_page_members: usize,
    /// Resources, auxiliary ones included, that one recursive deletion may remove.
    pub delete_resources_max: usize,
    /// Length of the name that a `Slug` may suggest, in bytes.
    pub slug_bytes_max: usize,
    /// Slowest accepted upload, in bytes per second, after [`Self::upload_grace_seconds`].
    pub upload_bytes_per_second_min: u64,
    /// Seconds after which an upload must have reached its lowest rate.
    pub upload_grace_seconds: u64,
    /// Part of each storage's bytes that is left to its owner, in percent: what others may add never takes it.
    pub owner_room_percent: u8,
    /// Whether a write to an existing resource must carry `If-Match` (RFC 6585 §3).
    pub preconditions_required: bool,
}

impl Default for LdpSection {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 30,
            rdf_bytes_max: 16 << 20,
            acl_bytes_max: 256 << 10,
            patch_bytes_max: 1 << 20,
            patch_conditions_max: 256,
            patch_steps_max: 2_000_000,
            attempts_max: 8,
            nesting_max: 64,
            conversions_max: 4,
            representation_cache_bytes_max: 256 << 20,
            representation_cached_bytes_max: 8 << 20,
            listing_cached_members_max: 20_000,
            listing_page_members: 512,
            lws_page_members: 500,
            delete_resources_max: 10_000,
            slug_bytes_max: 200,
            upload_bytes_per_second_min: 1 << 10,
            upload_grace_seconds: 30,
            owner_room_percent: 20,
            preconditions_required: false,
        }
    }
}

/// Bounds of access decisions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthzSection {
    /// Rounds of "which facts are missing" that one decision may take.
    pub fact_rounds_max: u32,
    /// Compiled access control lists that are kept.
    pub acl_cache_entries_max: usize,
    /// Memory for verdicts that were reached lately, in bytes.
    pub verdict_cache_bytes_max: u64,
    /// Group documents that one decision may read.
    pub groups_max: u32,
    /// Largest group document, in bytes.
    pub group_bytes_max: u64,
    /// Time for fetching a remote group document, in milliseconds.
    pub group_fetch_milliseconds_max: u64,
    /// How long a remote group document counts, in seconds.
    pub group_cache_seconds: u64,
    /// Remote group documents that are kept.
    pub group_cache_entries_max: usize,
    /// Whether every cross-origin request with credentials needs an `acl:origin` of its own, even where a list names no
    /// origin at all (solid#78). Tokens are bound to keys here and cookies mean nothing, so lists that name origins are
    /// obeyed and others do not need them.
    pub origins_always: bool,
    /// Origins, such as `https://app.example`, that need no `acl:origin` anywhere (WAC §5.3).
    pub origins_trusted: Vec<String>,
    /// The authorization system that a new storage gets unless another is asked for: `wac` or `acp`.
    pub system: AuthorizationSystem,
    /// Access control resources that may govern one resource, its own and those above it; more deny.
    pub access_control_resources_max: usize,
    /// Refused requests without credentials that enter the audit log per second; the rest is only counted, so that
    /// nobody can fill the log from outside.
    pub anonymous_denials_per_second_max: u32,
}

impl Default for AuthzSection {
    fn default() -> Self {
        Self {
            fact_rounds_max: 8,
            acl_cache_entries_max: 100_000,
            verdict_cache_bytes_max: 16 << 20,
            groups_max: 16,
            group_bytes_max: 256 << 10,
            group_fetch_milliseconds_max: 2_000,
            group_cache_seconds: 60,
            group_cache_entries_max: 10_000,
            origins_always: false,
            origins_trusted: Vec::new(),
            system: AuthorizationSystem::Wac,
            access_control_resources_max: 64,
            anonymous_denials_per_second_max: 100,
        }
    }
}

/// Bounds of the data browser on the console.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrowseSection {
    /// Members of a folder on one page.
    pub page_members: usize,
    /// Bytes of a text that a page shows.
    pub shown_bytes_max: usize,
    /// Files in one upload.
    pub files_max: usize,
    /// Bytes of one upload, all files together.
    pub upload_bytes_max: u64,
    /// Bytes of a refused upload that are taken in and thrown away, so that the browser gets to show why.
    pub drained_bytes_max: u64,
    /// Items that deleting one folder may delete.
    pub delete_items_max: usize,
    /// Storages that may be taken along as archives at one time.
    pub take_outs_max: usize,
}

impl Default for BrowseSection {
    fn default() -> Self {
        Self {
            page_members: 100,
            shown_bytes_max: 64 << 10,
            files_max: 50,
            upload_bytes_max: 4 << 30,
            drained_bytes_max: 64 << 20,
            delete_items_max: 1_000,
            take_outs_max: 4,
        }
    }
}

/// What is wrong with a configuration that could be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// A value breaks a rule.
    #[error("`{key}`: {reason}")]
    Value {
        /// Path of the key, as `section.key`.
        key: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl Config {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first key that breaks a rule, by name.
    pub fn check(&self) -> Result<(), ConfigFault> {
        check_origin("server.base_url", &self.server.base_url)?;
        check_origin("server.console_url", &self.server.console_url)?;
        // Port 0 is replaced by one that the system gives, so that two of them are different origins.
        let same = self.server.base_url.origin() == self.server.console_url.origin();
        if same && self.server.base_url.port() != Some(0) {
            return Err(fault(
                "server.console_url",
                "must not share an origin with `server.base_url`: pod content could act on the console's cookies",
            ));
        }
        if self.server.subdomains && self.server.base_url.domain().is_none() {
            return Err(fault(
                "server.subdomains",
                "needs a host name in `server.base_url`: an address has no names below it",
            ));
        }
        if self.tls.is_none() && !self.server.plain_http_beyond_loopback {
            for (key, address) in [
                ("server.content_listen", self.server.content_listen),
                ("server.console_listen", self.server.console_listen),
            ] {
                if !address.ip().is_loopback() {
                    return Err(fault(
                        key,
                        "plain HTTP is served on loopback only: give a `[tls]` section, or set \
                         `server.plain_http_beyond_loopback` when a proxy in front speaks TLS",
                    ));
                }
            }
        }
        if self.server.redirect_listen.is_some() && self.server.base_url.scheme() != "https" {
            return Err(fault(
                "server.redirect_listen",
                "needs an `https` `server.base_url` to send clients to",
            ));
        }
        if let Some(admin) = self.admin.listen
            && !admin.ip().is_loopback()
            && !self.server.plain_http_beyond_loopback
        {
            return Err(fault(
                "admin.listen",
                "must be a loopback address: metrics are for the operator alone",
            ));
        }
        self.check_bounds()
    }

    fn check_bounds(&self) -> Result<(), ConfigFault> {
        if self.store.inline_bytes_max > 1 << 20 {
            return Err(fault(
                "store.inline_bytes_max",
                "must be at most 1048576: larger bodies belong in files",
            ));
        }
        if self.ldp.attempts_max == 0 {
            return Err(fault("ldp.attempts_max", "must be at least 1"));
        }
        if self.ldp.conversions_max == 0 {
            return Err(fault("ldp.conversions_max", "must be at least 1"));
        }
        if self.ldp.owner_room_percent > 100 {
            return Err(fault("ldp.owner_room_percent", "must be at most 100"));
        }
        if self.ldp.listing_page_members == 0 {
            return Err(fault("ldp.listing_page_members", "must be at least 1"));
        }
        if self.ldp.lws_page_members == 0 {
            return Err(fault("ldp.lws_page_members", "must be at least 1"));
        }
        if self.browse.page_members == 0 {
            return Err(fault("browse.page_members", "must be at least 1"));
        }
        if self.query.groups.group_rows_max == 0 {
            return Err(fault("query.groups.group_rows_max", "must be at least 1"));
        }
        if self.authz.fact_rounds_max == 0 {
            return Err(fault("authz.fact_rounds_max", "must be at least 1"));
        }
        self.notify.check()
    }
}

fn check_origin(key: &'static str, url: &Url) -> Result<(), ConfigFault> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(fault(key, "must be an `https` (or, on loopback, `http`) URL"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(fault(
            key,
            "must be an origin with a closing slash and nothing after it",
        ));
    }
    Ok(())
}

fn fault(key: &'static str, reason: &str) -> ConfigFault {
    ConfigFault::Value {
        key,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(patch: impl FnOnce(&mut serde_json::Value)) -> Result<Config, String> {
        let mut value = serde_json::json!({
            "server": {
                "base_url": "https://pod.example/",
                "console_url": "https://console.example/",
                "content_listen": "127.0.0.1:7101",
                "console_listen": "127.0.0.1:7102",
            },
            "store": { "directory": "/var/lib/pod" },
        });
        patch(&mut value);
        let config: Config = serde_json::from_value(value).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn a_minimal_configuration_is_enough() {
        config(|_| {}).unwrap();
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = config(|value| value["ldp"] = serde_json::json!({ "body_byte_max": 1 })).unwrap_err();
        assert!(error.contains("body_byte_max"), "{error}");
    }

    #[test]
    fn broken_values_name_their_key() {
        type Patch = fn(&mut serde_json::Value);
        let cases: [(Patch, &str); 6] = [
            (
                |value| value["query"] = serde_json::json!({ "groups": { "group_rows_max": 0 } }),
                "query.groups.group_rows_max",
            ),
            (
                |value| value["server"]["console_url"] = "https://pod.example/".into(),
                "server.console_url",
            ),
            (
                |value| value["server"]["base_url"] = "https://pod.example/x/".into(),
                "server.base_url",
            ),
            (
                |value| {
                    value["server"]["base_url"] = "https://192.0.2.1/".into();
                    value["server"]["subdomains"] = true.into();
                },
                "server.subdomains",
            ),
            (
                |value| value["server"]["content_listen"] = "0.0.0.0:80".into(),
                "server.content_listen",
            ),
            (
                |value| value["ldp"] = serde_json::json!({ "attempts_max": 0 }),
                "ldp.attempts_max",
            ),
        ];
        for (patch, key) in cases {
            let error = config(patch).unwrap_err();
            assert!(error.contains(key), "{key}: {error}");
        }
    }
}
