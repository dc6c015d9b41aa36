//! A certification authority of one's own, for a network on one machine or in one cellar.
//!
//! It is never trusted by anything outside that names its file. Real deployments bring certificates of a public authority.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use super::TlsError;
use crate::secret_file;

/// How long the authority is valid, days.
const AUTHORITY_DAYS: i64 = 3_650;
/// How long a certificate is valid, days. Below 398, the longest that browsers accept.
const LEAF_DAYS: i64 = 390;

/// A certification authority with its private key in memory.
pub struct LocalAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its private key, both PEM.
pub struct LocalCertificate {
    /// Certificate chain, leaf first.
    pub certificate_pem: String,
    /// Private key, PKCS#8.
    pub key_pem: String,
}

impl LocalAuthority {
    /// Makes an authority that is valid from a day before `now`.
    ///
    /// # Errors
    /// When key generation or signing fails.
    pub fn generate(name: &str, now: OffsetDateTime) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(authority_params(name, now)?, key)?,
        })
    }

    /// The authority's certificate, PEM: what others put in `extra_ca_file`.
    pub fn certificate_pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a server certificate for host names and IP addresses.
    ///
    /// # Errors
    /// When a name is not a host name, or signing fails.
    pub fn certificate(&self, names: &[String], now: OffsetDateTime) -> Result<LocalCertificate, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or("localhost", String::as_str));
        params.not_before = now - Duration::days(1);
        params.not_after = now + Duration::days(LEAF_DAYS);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(LocalCertificate {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

impl LocalCertificate {
    /// Writes both files; the key with mode 0600.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, certificate_file: &Path, key_file: &Path) -> Result<(), TlsError> {
        // The key first: a watcher that sees the new certificate then finds its key.
        secret_file::write(key_file, self.key_pem.as_bytes())?;
        std::fs::write(certificate_file, &self.certificate_pem).map_err(|error| TlsError::Pem {
            path: certificate_file.to_owned(),
            reason: error.to_string(),
        })
    }
}

fn authority_params(name: &str, now: OffsetDateTime) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(AUTHORITY_DAYS);
    Ok(params)
}
