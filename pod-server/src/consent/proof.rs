//! What is handed out about a decision: receipts, the bundle with which a controller proves a consent, and the grant as a
//! verifiable credential. All are signed with the key of the audit log and can be checked offline (CON-7, CON-17, CON-18).

use http::StatusCode;
use policies::consent::{ConsentReceipt, ConsentRecord, credential, receipt_to_quads, to_policy};
use serde::{Deserialize, Serialize};
use server_kit::problem::Problem;

use super::service::Consents;
use super::stored::StoredConsent;
use crate::dataspace::edge::{self, Answer};
use crate::dataspace::graph::{self, Syntax};
use crate::log::own::LogExport;
use crate::store::Storage;

/// Type of a signed receipt.
pub const RECEIPT_TYPE: &str = "consent-receipt+jwt";
/// Type of a credential.
pub const CREDENTIAL_TYPE: &str = "JWT";

/// What a signed receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// The server.
    pub iss: String,
    /// When the version was made, in Unix seconds.
    pub iat: i64,
    /// IRI of the receipt.
    pub jti: String,
    /// The receipt.
    pub receipt: ConsentReceipt,
    /// The exact words on which the version rests.
    pub notice_text: String,
}

/// A receipt with everything that proves it: the signature, and the entry of the audit log with its inclusion proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProofBundle {
    /// The signed receipt, [`SignedReceipt`] as compact JWS.
    pub receipt: String,
    /// Public key of log and receipt.
    pub vkey: String,
    /// The entry of the log about the version, with the way to a signed checkpoint; none for versions of earlier releases.
    pub log: Option<LogExport>,
}

impl Consents {
    /// The signed receipt of a version.
    ///
    /// # Errors
    /// 404 if there is no such version.
    pub fn receipt(&self, consent: &StoredConsent, version: Option<u32>) -> Result<String, Problem> {
        let record = version_of(consent, version)?;
        let receipt = ConsentReceipt::of(record);
        let signed = SignedReceipt {
            iss: self.node.origins.base_url().to_owned(),
            iat: record.changed_at.unix_timestamp(),
            jti: receipt.id.clone(),
            notice_text: words(consent, record),
            receipt,
        };
        let payload = serde_json::to_vec(&signed).map_err(|_| Problem::internal())?;
        Ok(self.log.checkpoints.sign_document(RECEIPT_TYPE, &payload))
    }

    /// The proof of a version. Reading it is itself recorded.
    ///
    /// # Errors
    /// 404 if there is no such version; 503 or 500 if the store fails.
    pub async fn proof(
        &self,
        storage: &Storage,
        consent: &StoredConsent,
        version: Option<u32>,
        reader: &str,
    ) -> Result<ProofBundle, Problem> {
        let record = version_of(consent, version)?;
        let log = match consent.leaves.get(&record.version) {
            Some(leaf) => Some(self.log.entry(storage, *leaf, reader, &record.id).await?),
            None => None,
        };
        Ok(ProofBundle {
            receipt: self.receipt(consent, version)?,
            vkey: self.log.checkpoints.verifier().to_string(),
            log,
        })
    }

    /// Answers with the grant as a credential in a JWT.
    ///
    /// # Errors
    /// 409 when nothing is granted that a credential could say.
    pub fn credential(&self, consent: &StoredConsent) -> Answer {
        let record = version_of(consent, None)?;
        let claims = credential(record, self.node.origins.base_url(), self.node.clock.now()).ok_or_else(|| {
            edge::conflict(
                "no-grant",
                "only a consent that permits now, to named recipients, is given out as a credential",
            )
        })?;
        let payload = serde_json::to_vec(&claims).map_err(|_| Problem::internal())?;
        let token = self.log.checkpoints.sign_document(CREDENTIAL_TYPE, &payload);
        edge::respond(StatusCode::OK, "application/vc+jwt", token.into_bytes())
    }
}

/// The receipt of a version as RDF.
///
/// # Errors
/// 404 if there is no such version; 500 if the stored record is damaged.
pub fn receipt_as_rdf(consent: &StoredConsent, version: Option<u32>, syntax: Syntax) -> Result<Vec<u8>, Problem> {
    let broken = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a stored consent cannot be written");
        Problem::internal()
    };
    let receipt = ConsentReceipt::of(version_of(consent, version)?);
    let quads = receipt_to_quads(&receipt).map_err(|error| broken(&error))?;
    let triples: Vec<oxrdf::Triple> = quads.into_iter().map(oxrdf::Triple::from).collect();
    graph::write(&triples, syntax).map_err(|error| broken(&error))
}

/// The present version as an ODRL agreement.
///
/// # Errors
/// 404 if there is no version; 500 if the stored record is damaged.
pub fn policy_as_rdf(consent: &StoredConsent, syntax: Syntax) -> Result<Vec<u8>, Problem> {
    let broken = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a stored consent cannot be written as a policy");
        Problem::internal()
    };
    let quads = to_policy(version_of(consent, None)?).map_err(|error| broken(&error))?;
    let triples: Vec<oxrdf::Triple> = quads.into_iter().map(oxrdf::Triple::from).collect();
    graph::write(&triples, syntax).map_err(|error| broken(&error))
}

fn version_of(consent: &StoredConsent, version: Option<u32>) -> Result<&ConsentRecord, Problem> {
    let found = match version {
        None => consent.current(),
        Some(version) => consent.versions.iter().find(|record| record.version == version),
    };
    found.ok_or_else(|| edge::not_found("receipts"))
}

/// The words on which a version rests.
fn words(consent: &StoredConsent, record: &ConsentRecord) -> String {
    let hash = &record.notice.hash;
    let mut translations = consent.translations.values();
    let translated = translations.find(|text| super::stored::notice_hash(text) == *hash);
    translated.unwrap_or(&consent.notice_text).clone()
}
