//! The keys of any issuer: OpenID Connect Discovery 1.0 §4 and RFC 7517, through the egress guard (T35).
//!
//! One fetch at a time per issuer, however many requests wait for it; failures are remembered for a moment; keys that cannot be
//! refreshed are used a little longer; an unknown key id leads to an early refresh, but not more often than failures do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::config::AuthnConfig;
use super::jose::{Algorithm, JoseFailure, PublicKey, Unverified, Verifiers};
use crate::egress::{Egress, EgressRequest, Redirects};

/// Longest issuer IRI, bytes.
const ISSUER_BYTES_MAX: usize = 1_024;
/// Most keys that are tried when the token names none.
const KEYS_TRIED_MAX: usize = 4;

/// Issuers and their keys.
pub(super) struct Issuers {
    slots: Cache<String, Arc<Slot>>,
    cache_seconds: i64,
    stale_seconds: i64,
    failure_seconds: i64,
    unreachable_seconds: i64,
    keys_max: usize,
    bytes_max: u64,
    time_max: Duration,
}

#[derive(Default)]
struct Slot {
    state: RwLock<State>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<Vec<IssuerKey>>>,
    fetched: i64,
    /// Until when nothing is fetched because of a failure.
    failed_until: Option<i64>,
}

/// Why an issuer's keys cannot be had. For the log: who chose the address is told one text for all of it (T36).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unfetched {
    /// Nobody answered in time, or the issuer says that it cannot answer now.
    #[error("it does not answer: {0}")]
    Unreachable(&'static str),
    /// What it says is not what an issuer says.
    #[error("it answers with what is no use: {0}")]
    Unusable(&'static str),
}

struct IssuerKey {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    key: PublicKey,
}

#[derive(Deserialize)]
struct ProviderMetadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Map<String, Value>>,
}

impl Issuers {
    pub(super) fn new(config: &AuthnConfig) -> Self {
        Self {
            slots: Cache::new(config.issuer_cache_max),
            cache_seconds: i64::from(config.issuer_cache_seconds),
            stale_seconds: i64::from(config.issuer_stale_seconds_max),
            failure_seconds: i64::from(config.failure_cache_seconds).max(1),
            unreachable_seconds: i64::from(config.unreachable_cache_seconds.min(config.failure_cache_seconds)),
            keys_max: config.issuer_keys_max,
            bytes_max: config.document_bytes_max,
            time_max: Duration::from_secs(u64::from(config.document_seconds_max)),
        }
    }

    /// Verifies a token's signature by a key of its issuer.
    pub(super) async fn verify(
        &self,
        issuer: &str,
        jwt: &Unverified<'_>,
        verifiers: &Verifiers,
        egress: &Egress,
        now: i64,
    ) -> Result<(), JoseFailure> {
        if issuer.len() > ISSUER_BYTES_MAX {
            return Err(JoseFailure::Key);
        }
        let slot = self.slot(issuer);
        let keys = self
            .keys(&slot, issuer, egress, now, false)
            .await
            .ok_or(JoseFailure::Key)?;
        match try_keys(&keys, jwt, verifiers) {
            // The issuer may have rotated: an unknown key id is worth one early look.
            Err(JoseFailure::Key) => {
                let keys = self
                    .keys(&slot, issuer, egress, now, true)
                    .await
                    .ok_or(JoseFailure::Key)?;
                try_keys(&keys, jwt, verifiers)
            }
            tried => tried,
        }
    }

    fn slot(&self, issuer: &str) -> Arc<Slot> {
        match self
            .slots
            .get_or_insert_with(issuer, || Ok::<_, std::convert::Infallible>(Arc::default()))
        {
            Ok(slot) => slot,
            Err(never) => match never {},
        }
    }

    async fn keys(
        &self,
        slot: &Slot,
        issuer: &str,
        egress: &Egress,
        now: i64,
        early: bool,
    ) -> Option<Arc<Vec<IssuerKey>>> {
        if let Some(answer) = self.known(slot, now, early) {
            return answer;
        }
        let _one_at_a_time = slot.fetching.lock().await;
        if let Some(answer) = self.known(slot, now, early) {
            return answer;
        }
        let began = Instant::now();
        let fetched = self.fetch(issuer, egress).await;
        let mut state = slot.state.write();
        match fetched {
            Ok(keys) => {
                let keys = Arc::new(keys);
                *state = State {
                    keys: Some(Arc::clone(&keys)),
                    fetched: now,
                    failed_until: None,
                };
                Some(keys)
            }
            Err(reason) => {
                tracing::warn!(%issuer, %reason, "the keys of an issuer cannot be fetched");
                // One slow moment must not shut everybody out for as long as a wrong document does.
                let seconds = match reason {
                    Unfetched::Unreachable(_) => self.unreachable_seconds,
                    Unfetched::Unusable(_) => self.failure_seconds,
                };
                // Whoever waited meanwhile need not wait as long again.
                let waited = i64::try_from(began.elapsed().as_secs()).unwrap_or(0);
                state.failed_until = Some(now + waited + seconds);
                self.usable(&state, now)
            }
        }
    }

    /// What is known without fetching: `None` when a fetch is due.
    fn known(&self, slot: &Slot, now: i64, early: bool) -> Option<Option<Arc<Vec<IssuerKey>>>> {
        let state = slot.state.read();
        let life = if early {
            self.failure_seconds
        } else {
            self.cache_seconds
        };
        let fresh = state.keys.is_some() && now - state.fetched < life;
        let failed_lately = state.failed_until.is_some_and(|until| now < until);
        (fresh || failed_lately).then(|| self.usable(&state, now))
    }

    /// Keys that may still be used, although perhaps stale.
    fn usable(&self, state: &State, now: i64) -> Option<Arc<Vec<IssuerKey>>> {
        let life = self.cache_seconds + self.stale_seconds;
        state
            .keys
            .as_ref()
            .filter(|_| now - state.fetched < life)
            .map(Arc::clone)
    }

    async fn fetch(&self, issuer: &str, egress: &Egress) -> Result<Vec<IssuerKey>, Unfetched> {
        let base = Url::parse(issuer)
            .ok()
            .filter(|url| url.query().is_none() && url.fragment().is_none())
            .ok_or(Unfetched::Unusable("the issuer is no URL"))?;
        let location = format!(
            "{}/.well-known/openid-configuration",
            base.as_str().trim_end_matches('/')
        );
        let metadata: ProviderMetadata = self.document(&location, egress).await?;
        // The document must speak for this very issuer (OpenID Connect Discovery 1.0 §4.3).
        if !same_issuer(&metadata.issuer, issuer) {
            return Err(Unfetched::Unusable("the metadata name another issuer"));
        }
        let set: KeySet = self.document(&metadata.jwks_uri, egress).await?;
        if set.keys.len() > self.keys_max {
            return Err(Unfetched::Unusable("it publishes more keys than are accepted"));
        }
        Ok(set.keys.iter().filter_map(read_key).collect())
    }

    async fn document<T: for<'de> Deserialize<'de>>(&self, url: &str, egress: &Egress) -> Result<T, Unfetched> {
        let request = EgressRequest::get(url)
            .for_stranger()
            .header(http::header::ACCEPT, http::HeaderValue::from_static("application/json"))
            .redirects(Redirects::SameOrigin(2))
            .bytes_max(self.bytes_max)
            .time_max(self.time_max);
        let response = egress
            .fetch(request)
            .await
            .map_err(|error| match error.is_transient() {
                true => Unfetched::Unreachable(error.failure().as_str()),
                false => Unfetched::Unusable(error.failure().as_str()),
            })?;
        match response.status {
            http::StatusCode::OK => {}
            http::StatusCode::TOO_MANY_REQUESTS => return Err(Unfetched::Unreachable("status 429")),
            status if status.is_server_error() => return Err(Unfetched::Unreachable("status 5xx")),
            _ => return Err(Unfetched::Unusable("another status than 200")),
        }
        serde_json::from_slice(&response.body).map_err(|_| Unfetched::Unusable("another document"))
    }
}

/// Equal but for one trailing slash: providers are not of one mind about it (solid#95).
pub(super) fn same_issuer(left: &str, right: &str) -> bool {
    left.strip_suffix('/').unwrap_or(left) == right.strip_suffix('/').unwrap_or(right)
}

/// A key for signatures that Meent can verify; others are passed over.
fn read_key(jwk: &Map<String, Value>) -> Option<IssuerKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let algorithm = match text("alg") {
        Some(name) => Some(Algorithm::parse(name)?),
        None => None,
    };
    let key = PublicKey::parse(jwk).ok()?;
    Some(IssuerKey {
        kid: text("kid").map(str::to_owned),
        algorithm,
        key,
    })
}

/// [`JoseFailure::Key`] means that no key fits; any other failure is final.
fn try_keys(keys: &[IssuerKey], jwt: &Unverified<'_>, verifiers: &Verifiers) -> Result<(), JoseFailure> {
    let wanted = jwt.header.kid.as_deref();
    let fits = |key: &&IssuerKey| {
        key.key.serves(jwt.algorithm)
            && key.algorithm.is_none_or(|algorithm| algorithm == jwt.algorithm)
            && wanted.is_none_or(|wanted| key.kid.as_deref() == Some(wanted))
    };
    let mut outcome = Err(JoseFailure::Key);
    for key in keys.iter().filter(fits).take(KEYS_TRIED_MAX) {
        outcome = jwt.verify(&key.key, verifiers);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}
