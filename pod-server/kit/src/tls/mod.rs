//! TLS for both servers: one cryptographic provider, certificates that reload without restart, no early data.
//!
//! Nothing else in the workspace builds a rustls configuration. TLS 1.2 and 1.3 only; 0-RTT stays off, because early data can
//! be replayed (T64).

mod certificate;
mod local_authority;
mod roots;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ServerConfig};
use serde::{Deserialize, Serialize};

pub use certificate::ReloadingCertificate;
pub use local_authority::{LocalAuthority, LocalCertificate};
pub use roots::RootsConfig;

/// Where a server's certificate is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate chain, leaf first.
    pub certificate_file: PathBuf,
    /// PEM file with the private key (PKCS#8, PKCS#1 or SEC1), mode 0600.
    pub key_file: PathBuf,
    /// How often the files are checked for a change, seconds.
    #[serde(default = "reload_seconds")]
    pub reload_seconds: u32,
}

fn reload_seconds() -> u32 {
    5
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read or holds something else.
    #[error("PEM file `{path}`: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The private key is readable by others.
    #[error(transparent)]
    Secret(#[from] crate::secret_file::SecretFileError),
    /// The key does not belong to the certificate, or the key type is not supported.
    #[error("certificate `{path}`: {reason}")]
    Certificate {
        /// The certificate file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// rustls refuses the configuration.
    #[error("TLS configuration: {0}")]
    Rustls(#[from] rustls::Error),
    /// A certificate for a local network cannot be made.
    #[error("local certificate: {0}")]
    Generation(#[from] rcgen::Error),
}

/// The one cryptographic provider of the workspace.
pub fn provider() -> Arc<CryptoProvider> {
    use std::sync::OnceLock;
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

/// A server configuration that takes its certificate from `certificate` at every handshake.
///
/// # Errors
/// When the provider does not support the protocol versions.
pub fn server_config(certificate: Arc<ReloadingCertificate>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    Ok(Arc::new(config))
}

/// A client configuration that trusts `roots`. ALPN is left to the connector.
///
/// # Errors
/// When a root file cannot be read or no root is left.
pub fn client_config(roots: &RootsConfig) -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots.load()?)
        .with_no_client_auth())
}
