//! The WebIDs of an account beside its first: those of its further storages, and external ones that their holders have
//! proved to be theirs.
//!
//! That a profile names this issuer proves nothing about an account: anyone's profile may. So the holder also puts a
//! statement with a random token into it, `solid:oidcIssuerRegistrationToken`, for as long as the check takes.

use http::{HeaderValue, StatusCode, header};
use oxrdf::{NamedNodeRef, TermRef};
use policies::request::WebId;
use serde::{Deserialize, Serialize};
use server_kit::authn::{LocalProfile, LocalProfiles};
use server_kit::egress::{EgressRequest, Redirects};

use crate::http::media_type::{Syntax, stored_syntax};
use crate::ldp::document::{self, Bounds};
use crate::name::ResourceName;
use crate::store::{RecordKind, Transaction};

use super::account::{self, Account};
use super::error::IdentityError;
use super::profile::document_of;
use super::profiles::StoredProfiles;
use super::session::run;
use super::{Identity, record};

const OIDC_ISSUER: NamedNodeRef<'static> = NamedNodeRef::new_unchecked("http://www.w3.org/ns/solid/terms#oidcIssuer");
const TOKEN: NamedNodeRef<'static> =
    NamedNodeRef::new_unchecked("http://www.w3.org/ns/solid/terms#oidcIssuerRegistrationToken");

/// Which account has a WebID, so that no two have the same.
const PREFIX: &str = "webid/";

/// How long a proof may take, in seconds.
const PROOF_SECONDS: i64 = 3_600;

/// Largest profile that is read, in bytes.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// Redirects that are followed, inside the profile's own origin.
const REDIRECTS_MAX: u8 = 3;

/// Brackets open at one time in a profile.
const NESTING_MAX: u32 = 64;

/// A proof that has begun: this token is to stand in the profile of this WebID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The WebID.
    pub webid: String,
    /// Not a secret: it will stand in a public document.
    pub token: String,
    /// Until when it counts, Unix seconds.
    pub expires: i64,
}

/// Why a WebID does not become one of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebIdFault {
    /// It is no WebID.
    #[error("not an http or https IRI")]
    Malformed,
    /// It is already one of this account, or of another.
    #[error("the WebID belongs to an account already")]
    Taken,
    /// The account has as many as it may.
    #[error("the account has as many WebIDs as it may")]
    Full,
    /// No proof has begun, or it took too long.
    #[error("no proof is under way")]
    Expired,
    /// Its profile cannot be read.
    #[error("the profile cannot be read")]
    Unreadable,
    /// Its profile does not name this issuer.
    #[error("the profile does not name this issuer")]
    NoIssuer,
    /// Its profile does not hold the token.
    #[error("the profile does not hold the token")]
    NoToken,
}

/// Begins to prove that a WebID is the account holder's.
///
/// # Errors
/// The inner error is the person's; the outer is ours.
pub async fn begin(identity: &Identity, id: &str, webid: &str) -> Result<Result<Proof, WebIdFault>, IdentityError> {
    let Ok(webid) = WebId::parse(webid.trim()) else {
        return Ok(Err(WebIdFault::Malformed));
    };
    let proof = Proof {
        webid: webid.as_str().to_owned(),
        token: identity.random().token(24),
        expires: identity.clock().unix() + PROOF_SECONDS,
    };
    let (id, most, begun) = (id.to_owned(), identity.config().webids_max, proof.clone());
    let site = identity.site().clone();
    let fault = run(identity.store(), move |transaction: &mut dyn Transaction| {
        let Some(mut account) = account::load(transaction, &id)? else {
            return Ok(Some(WebIdFault::Expired));
        };
        if let Some(fault) = obstacle(transaction, &site, &account, &begun.webid, most)? {
            return Ok(Some(fault));
        }
        account.proof = Some(begun);
        account::save(transaction, &account)?;
        Ok(None)
    })
    .await?;
    Ok(fault.map_or(Ok(proof), Err))
}

/// Looks at the profile, and adds the WebID if it holds what it should.
///
/// # Errors
/// The inner error is the person's; the outer is ours.
pub async fn finish(identity: &Identity, account: &Account) -> Result<Result<(), WebIdFault>, IdentityError> {
    let now = identity.clock().unix();
    let Some(proof) = account.proof.clone().filter(|proof| proof.expires > now) else {
        return Ok(Err(WebIdFault::Expired));
    };
    if let Err(fault) = check(identity, &proof).await {
        return Ok(Err(fault));
    }
    let (id, most) = (account.id.clone(), identity.config().webids_max);
    let site = identity.site().clone();
    let fault = run(identity.store(), move |transaction: &mut dyn Transaction| {
        // Decided inside the transaction, so that of two accounts that prove the same WebID one has it.
        let Some(mut account) =
            account::load(transaction, &id)?.filter(|account| account.proof.as_ref() == Some(&proof))
        else {
            return Ok(Some(WebIdFault::Expired));
        };
        if let Some(fault) = obstacle(transaction, &site, &account, &proof.webid, most)? {
            return Ok(Some(fault));
        }
        record::write(transaction, RecordKind::Issuer, &key(&proof.webid), &account.id)?;
        account.webids.push(proof.webid);
        account.proof = None;
        account::save(transaction, &account)?;
        Ok(None)
    })
    .await?;
    Ok(fault.map_or(Ok(()), Err))
}

/// Takes a further WebID away from an account, unless a storage of the account belongs to it. What applications hold in
/// its name ends with their next token.
///
/// # Errors
/// When the store fails. False when it is none of these.
pub async fn forget(identity: &Identity, id: &str, webid: &str) -> Result<bool, IdentityError> {
    let (id, webid) = (id.to_owned(), webid.to_owned());
    run(identity.store(), move |transaction: &mut dyn Transaction| {
        let Some(mut account) = account::load(transaction, &id)? else {
            return Ok(false);
        };
        for root in &account.storages {
            let root = ResourceName::parse(root).map_err(|_| crate::store::StoreError::Damaged(root.clone()))?;
            if transaction
                .storage(&root)?
                .is_some_and(|storage| storage.owner == webid)
            {
                return Ok(false);
            }
        }
        let before = account.webids.len();
        account.webids.retain(|known| *known != webid);
        if account.webids.len() == before {
            return Ok(false);
        }
        transaction.record_delete(RecordKind::Issuer, &key(&webid))?;
        account::save(transaction, &account)?;
        Ok(true)
    })
    .await
}

/// Notes that an account has a WebID.
pub(super) fn claim(transaction: &mut dyn Transaction, webid: &str, account: &str) -> Result<(), IdentityError> {
    record::write(transaction, RecordKind::Issuer, &key(webid), &account.to_owned())
}

pub(super) fn key(webid: &str) -> String {
    format!("{PREFIX}{}", record::digest(webid))
}

/// What stands in the way of a WebID becoming one of an account.
fn obstacle(
    transaction: &dyn Transaction,
    site: &super::Site,
    account: &Account,
    webid: &str,
    most: usize,
) -> Result<Option<WebIdFault>, IdentityError> {
    // The first WebID of every account here follows from its login name.
    let card = webid
        .strip_suffix("#me")
        .and_then(|document| ResourceName::from_iri(document, site.origins()));
    let first = card
        .as_ref()
        .and_then(|card| card.as_str().strip_prefix('/')?.strip_suffix("/profile/card"));
    let local = match first {
        Some(name) => transaction.record(RecordKind::Login, name)?.is_some(),
        None => false,
    };
    if local || account.all_webids().any(|known| known == webid) {
        return Ok(Some(WebIdFault::Taken));
    }
    if transaction.record(RecordKind::Issuer, &key(webid))?.is_some() {
        return Ok(Some(WebIdFault::Taken));
    }
    Ok((account.webids.len() >= most).then_some(WebIdFault::Full))
}

async fn check(identity: &Identity, proof: &Proof) -> Result<(), WebIdFault> {
    let document = document_of(&proof.webid);
    let (bytes, media_type, base) = read(identity, document).await.ok_or(WebIdFault::Unreadable)?;
    let syntax = stored_syntax(&media_type).unwrap_or(Syntax::Turtle);
    let bounds = Bounds {
        nesting_max: NESTING_MAX,
    };
    let parsed = document::parse(&bytes, syntax, &base, bounds).map_err(|_| WebIdFault::Unreadable)?;
    let says = |predicate: NamedNodeRef<'_>, value: &str| {
        parsed.quads.iter().any(|quad| {
            let subject =
                matches!(&quad.subject, oxrdf::NamedOrBlankNode::NamedNode(node) if node.as_str() == proof.webid);
            let object = match quad.object.as_ref() {
                TermRef::NamedNode(node) => node.as_str().trim_end_matches('/') == value.trim_end_matches('/'),
                TermRef::Literal(literal) => literal.value() == value,
                _ => false,
            };
            subject && object && quad.predicate.as_ref() == predicate
        })
    };
    if !says(OIDC_ISSUER, identity.site().issuer()) {
        return Err(WebIdFault::NoIssuer);
    }
    if !says(TOKEN, &proof.token) {
        return Err(WebIdFault::NoToken);
    }
    Ok(())
}

/// The profile document: from our own store, or through the guard.
async fn read(identity: &Identity, document: &str) -> Option<(bytes::Bytes, String, String)> {
    let own = StoredProfiles::new(std::sync::Arc::clone(&identity.parts.store), identity.site().origins());
    match own.profile(document).await {
        LocalProfile::Document { bytes, media_type } => return Some((bytes, media_type, document.to_owned())),
        LocalProfile::Absent => return None,
        LocalProfile::Elsewhere => {}
    }
    let request = EgressRequest::get(document)
        .header(
            header::ACCEPT,
            HeaderValue::from_static("text/turtle, application/ld+json;q=0.9"),
        )
        .redirects(Redirects::SameOrigin(REDIRECTS_MAX))
        .bytes_max(PROFILE_BYTES_MAX);
    let response = identity.parts.egress.fetch(request).await.ok()?;
    if response.status != StatusCode::OK {
        return None;
    }
    let media_type = response.media_type().to_string();
    Some((response.body.clone(), media_type, response.url.clone()))
}
