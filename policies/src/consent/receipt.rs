//! What a person keeps of a decision: the receipt of ISO/IEC TS 27560, and the credential that access-grant readers know.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::process::ConsentProfile;
use super::record::{ConsentRecord, Recipients};
use crate::audit::canonical_json;

/// How the digest of a record is written where it stands for the record.
const DIGEST: &str = "urn:sha-256:";

/// A receipt of one version of a record. It follows from the record alone, so that it can be made again at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentReceipt {
    /// To which profile it conforms, as an IRI.
    pub conforms_to: String,
    /// IRI of the receipt.
    pub id: String,
    /// The version that it is about.
    pub record: ConsentRecord,
    /// When it was made: with the version.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
}

impl ConsentReceipt {
    /// The receipt of a version.
    #[must_use]
    pub fn of(record: &ConsentRecord) -> Self {
        let profile = record.process.as_ref().and_then(|process| process.profile);
        Self {
            conforms_to: profile.unwrap_or(ConsentProfile::Iso27560).receipt_iri().to_owned(),
            id: format!("{}/receipts/{}", record.id, record.version),
            created: record.changed_at,
            record: record.clone(),
        }
    }
}

/// The name of a version's exact content: `urn:sha-256:` and the hash of its canonical JSON. The audit log names it too, so
/// that a receipt and its entry in the log belong together.
///
/// # Errors
/// When an instant lies outside the years that RFC 3339 can write.
pub fn digest(record: &ConsentRecord) -> Result<String, serde_json::Error> {
    let json = canonical_json(&serde_json::to_value(record)?);
    let digest = Sha256::digest(json.as_bytes());
    Ok(digest
        .iter()
        .fold(DIGEST.to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

/// Whether an IRI is the [`digest`] of a record.
#[must_use]
pub fn is_digest(iri: &str) -> bool {
    iri.starts_with(DIGEST)
}

/// The claims of a consent as a verifiable credential in a JWT (VC Data Model 1.1 §6.3.1), with the fields that readers of
/// Solid access grants know: mode, data, purpose, status, to whom, until when. None for a consent that permits nothing, or
/// that names no recipient to whom it could be given.
#[must_use]
pub fn credential(record: &ConsentRecord, issuer: &str, now: OffsetDateTime) -> Option<Value> {
    let Recipients::These(recipients) = &record.recipients else {
        return None;
    };
    if !record.in_force(now) {
        return None;
    }
    let given = record.given_at?;
    let one_or_many = |mut values: Vec<&str>| match values.len() {
        1 => Value::from(values.remove(0)),
        _ => Value::from(values),
    };
    let data = record.data.containers.iter().chain(&record.data.datasets);
    let mut consent = json!({
        "mode": ["http://www.w3.org/ns/auth/acl#Read"],
        "hasStatus": "https://w3id.org/GConsent#ConsentStatusExplicitlyGiven",
        "forPersonalData": data.collect::<Vec<_>>(),
        "forPurpose": record.purposes,
        "isProvidedTo": one_or_many(recipients.iter().map(crate::request::WebId::as_str).collect()),
        "inherit": true,
    });
    // Readers that know only resources must not take a part for the whole.
    if let (Some(properties), Some(consent)) = (&record.data.properties, consent.as_object_mut()) {
        consent.insert(vocab::meent::DATA_PROPERTY.to_owned(), json!(properties));
    }
    Some(json!({
        "iss": issuer,
        "sub": record.data_subject,
        "jti": format!("{}/credential/{}", record.id, record.version),
        "nbf": given.unix_timestamp(),
        "iat": given.unix_timestamp(),
        "exp": record.expires_at.unix_timestamp(),
        "vc": {
            "@context": [
                "https://www.w3.org/2018/credentials/v1",
                "https://schema.inrupt.com/credentials/v1.jsonld",
            ],
            "id": format!("{}/credential/{}", record.id, record.version),
            "type": ["VerifiableCredential", "SolidAccessGrant"],
            "issuer": issuer,
            "issuanceDate": given.format(&Rfc3339).ok()?,
            "expirationDate": record.expires_at.format(&Rfc3339).ok()?,
            "credentialSubject": { "id": record.data_subject, "providedConsent": consent },
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::super::{ConsentEvent, Recipients};
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-06-01 00:00 UTC);

    /// Requirements dataspace CON-7: the fields that access-grant readers look for, and nothing for what does not permit.
    #[test]
    fn a_grant_is_what_readers_of_access_grants_know() {
        let claims = credential(&record(), "https://kortrijk.example/", NOW).unwrap();
        let grant = &claims["vc"];
        assert_eq!(grant["type"], json!(["VerifiableCredential", "SolidAccessGrant"]));
        assert_eq!(grant["expirationDate"], "2026-07-01T00:00:00Z");
        let subject = &grant["credentialSubject"];
        assert_eq!(subject["id"], record().data_subject.as_str());
        let consent = &subject["providedConsent"];
        assert_eq!(consent["isProvidedTo"], "https://mobility.example/#us");
        assert_eq!(consent["forPurpose"], json!([vocab::meent::MOBILITY_PLANNING]));
        assert_eq!(consent["forPersonalData"].as_array().unwrap().len(), 2);
        assert_eq!(
            consent["hasStatus"],
            "https://w3id.org/GConsent#ConsentStatusExplicitlyGiven"
        );
        let withdrawn = record().next(ConsentEvent::Withdraw, NOW).unwrap();
        let open = ConsentRecord {
            recipients: Recipients::Any,
            ..record()
        };
        for nothing in [withdrawn, open] {
            assert_eq!(credential(&nothing, "https://kortrijk.example/", NOW), None);
        }
        assert_eq!(
            credential(&record(), "https://kortrijk.example/", datetime!(2026-07-01 00:00 UTC)),
            None
        );
    }

    #[test]
    fn the_digest_follows_the_content() {
        let first = digest(&record()).unwrap();
        assert!(is_digest(&first) && first.len() == DIGEST.len() + 64);
        let mut other = record();
        other.version = 2;
        assert_ne!(digest(&other).unwrap(), first);
    }
}
