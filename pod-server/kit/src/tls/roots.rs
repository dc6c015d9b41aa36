//! The certification authorities that outgoing connections trust.

use std::path::PathBuf;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::TlsError;

/// Which authorities are trusted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RootsConfig {
    /// PEM bundle of the operating system. When the file is absent only `extra_ca_file` counts.
    pub system_ca_file: Option<PathBuf>,
    /// PEM file with further authorities, for instance that of a local network. Must exist when set.
    pub extra_ca_file: Option<PathBuf>,
}

impl Default for RootsConfig {
    fn default() -> Self {
        Self {
            system_ca_file: Some(PathBuf::from("/etc/ssl/certs/ca-certificates.crt")),
            extra_ca_file: None,
        }
    }
}

impl RootsConfig {
    /// Reads the authorities.
    ///
    /// # Errors
    /// When a named file cannot be parsed, or the extra file is missing or empty.
    pub fn load(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        if let Some(path) = self.system_ca_file.as_ref().filter(|path| path.exists()) {
            // System bundles carry certificates that rustls cannot read; the readable ones count.
            store.add_parsable_certificates(read(path)?);
        }
        if let Some(path) = &self.extra_ca_file {
            let certificates = read(path)?;
            if certificates.is_empty() {
                return Err(TlsError::Pem {
                    path: path.clone(),
                    reason: "holds no certificate".to_owned(),
                });
            }
            for certificate in certificates {
                store.add(certificate)?;
            }
        }
        Ok(store)
    }
}

fn read(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error: rustls_pki_types::pem::Error| TlsError::Pem {
        path: path.clone(),
        reason: error.to_string(),
    };
    CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}
