//! A server certificate that is replaced while the server runs.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};

use super::{TlsConfig, TlsError, provider};
use crate::secret_file;
use crate::shutdown::Shutdown;

/// The certificate that new handshakes use. A broken replacement is logged and the old certificate stays.
pub struct ReloadingCertificate {
    config: TlsConfig,
    current: ArcSwap<CertifiedKey>,
}

impl ReloadingCertificate {
    /// Loads the certificate for the first time.
    ///
    /// # Errors
    /// When a file cannot be read, the key is readable by others, or key and certificate do not match.
    pub fn load(config: TlsConfig) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(read(&config)?);
        Ok(Arc::new(Self { config, current }))
    }

    /// Reads the files again and uses them from the next handshake on.
    ///
    /// # Errors
    /// As [`load`](Self::load); the old certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.config)?));
        Ok(())
    }

    /// Reloads when a file changes (checked every few seconds) and on SIGHUP, until the shutdown.
    pub fn watch(self: &Arc<Self>, shutdown: Shutdown) {
        let certificate = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(mut hangup) = signal(SignalKind::hangup()) else {
                tracing::error!("SIGHUP cannot be watched: certificates are not reloaded");
                return;
            };
            let period = Duration::from_secs(u64::from(certificate.config.reload_seconds.max(1)));
            let mut seen = certificate.modified();
            loop {
                let asked = tokio::select! {
                    () = shutdown.wait() => return,
                    _ = hangup.recv() => true,
                    () = tokio::time::sleep(period) => false,
                };
                let modified = certificate.modified();
                if !asked && modified == seen {
                    continue;
                }
                match certificate.reload() {
                    Ok(()) => {
                        seen = modified;
                        tracing::info!(file = %certificate.config.certificate_file.display(), "certificate reloaded");
                    }
                    // `seen` stays: the pair may be half written, the next tick tries again.
                    Err(error) => tracing::error!(%error, "certificate not reloaded: the old one stays in use"),
                }
            }
        });
    }

    fn modified(&self) -> [Option<SystemTime>; 2] {
        let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        [modified(&self.config.certificate_file), modified(&self.config.key_file)]
    }
}

fn read(config: &TlsConfig) -> Result<CertifiedKey, TlsError> {
    let pem = |path: &PathBuf, reason: String| TlsError::Pem {
        path: path.clone(),
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&config.certificate_file)
        .and_then(Iterator::collect)
        .map_err(|error| pem(&config.certificate_file, error.to_string()))?;
    if chain.is_empty() {
        return Err(pem(&config.certificate_file, "holds no certificate".to_owned()));
    }
    let bytes =
        secret_file::read(&config.key_file)?.ok_or_else(|| pem(&config.key_file, "does not exist".to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| pem(&config.key_file, error.to_string()))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| TlsError::Certificate {
        path: config.certificate_file.clone(),
        reason: error.to_string(),
    })
}

impl ResolvesServerCert for ReloadingCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for ReloadingCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReloadingCertificate")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
