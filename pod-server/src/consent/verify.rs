//! Offline verification of receipts, proof bundles and credentials: nothing is trusted but the log's public key.

use policies::consent::{digest, missing_of_receipt, receipt_to_quads};
use server_kit::audit_log::{JwsError, VerifierKey};
use sha2::{Digest, Sha256};

use super::proof::{CREDENTIAL_TYPE, ProofBundle, RECEIPT_TYPE, SignedReceipt};
use crate::log::verify::{self, LogFault};

/// What was proved.
#[derive(Clone, Debug)]
pub struct ProvedConsent {
    /// Name of the server's log.
    pub origin: String,
    /// The receipt, or the claims of a credential, as it was signed.
    pub document: serde_json::Value,
    /// Whether the audit log was shown to contain the decision.
    pub logged: bool,
    /// Mandatory fields of ISO/IEC TS 27560 that the record lacks.
    pub missing: Vec<&'static str>,
}

/// Why a document proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConsentFault {
    /// It is not signed by the key, or is something else.
    #[error(transparent)]
    Document(#[from] JwsError),
    /// It is neither a signed document nor a bundle.
    #[error("neither a signed receipt, nor a credential, nor a proof bundle: {0}")]
    Unknown(String),
    /// The words are not those that the record names.
    #[error("the words of the notice are not those whose hash stands in the record")]
    Notice,
    /// The entry of the log is about something else.
    #[error("the entry of the log is not about this version of the consent")]
    Entry,
    /// The log does not contain the entry.
    #[error(transparent)]
    Log(#[from] LogFault),
}

/// Verifies a receipt (compact JWS), a proof bundle (JSON) or a credential (compact JWS) with a public key.
///
/// # Errors
/// [`ConsentFault`] says what does not hold.
pub fn document(text: &str, key: &VerifierKey) -> Result<ProvedConsent, ConsentFault> {
    if text.trim_start().starts_with('{') {
        let bundle: ProofBundle =
            serde_json::from_str(text).map_err(|error| ConsentFault::Unknown(error.to_string()))?;
        return self::bundle(&bundle, key);
    }
    match receipt(text, key) {
        Ok((signed, document)) => Ok(proved(&signed, document, key, false)),
        Err(ConsentFault::Document(JwsError::Header { member: "typ", .. })) => {
            let payload = key.open_document(CREDENTIAL_TYPE, text)?;
            Ok(ProvedConsent {
                origin: key.name().to_owned(),
                document: read(&payload)?,
                logged: false,
                missing: Vec::new(),
            })
        }
        Err(fault) => Err(fault),
    }
}

fn bundle(bundle: &ProofBundle, key: &VerifierKey) -> Result<ProvedConsent, ConsentFault> {
    let (signed, document) = receipt(&bundle.receipt, key)?;
    let Some(log) = &bundle.log else {
        return Ok(proved(&signed, document, key, false));
    };
    let record = &signed.receipt.record;
    let content = digest(record).map_err(|error| ConsentFault::Unknown(error.to_string()))?;
    let [entry] = log.entries.as_slice() else {
        return Err(ConsentFault::Entry);
    };
    let targets = &entry.sealed.record.targets;
    let named = |target: &str| targets.iter().any(|found| found == target);
    if !named(&record.id) || !named(&content) || !named(record.status.iri()) {
        return Err(ConsentFault::Entry);
    }
    verify::export(log, Some(key), None)?;
    Ok(proved(&signed, document, key, true))
}

fn receipt(text: &str, key: &VerifierKey) -> Result<(SignedReceipt, serde_json::Value), ConsentFault> {
    let payload = key.open_document(RECEIPT_TYPE, text)?;
    let signed: SignedReceipt = read(&payload)?;
    let words = hex::encode(Sha256::digest(signed.notice_text.as_bytes()));
    // A record that came in as RDF brings the hash of its words, not the words.
    if !signed.notice_text.is_empty() && words != signed.receipt.record.notice.hash {
        return Err(ConsentFault::Notice);
    }
    Ok((signed, read(&payload)?))
}

fn proved(signed: &SignedReceipt, document: serde_json::Value, key: &VerifierKey, logged: bool) -> ProvedConsent {
    let quads = receipt_to_quads(&signed.receipt).unwrap_or_default();
    let missing = missing_of_receipt(&quads).unwrap_or_default();
    ProvedConsent {
        origin: key.name().to_owned(),
        document,
        logged,
        missing: missing.into_iter().map(|missing| missing.field).collect(),
    }
}

fn read<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, ConsentFault> {
    serde_json::from_slice(payload).map_err(|error| ConsentFault::Unknown(error.to_string()))
}
