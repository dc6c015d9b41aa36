//! Whether a WebID lets an issuer speak for it (Solid-OIDC §6.1; solid#95, T33, T36).
//!
//! The profile must state `<webid> solid:oidcIssuer <issuer>` about exactly this WebID. Profiles on this server are read through
//! a callback; all others through the egress guard, within their own origin, as Turtle or JSON-LD.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, HeaderValue};
use oxrdf::{NamedNodeRef, TermRef};
use parking_lot::RwLock;
use policies::nesting::{self, Grammar};
use policies::written::Written;
use quick_cache::sync::Cache;

use super::config::AuthnConfig;
use super::discovery::same_issuer;
use crate::egress::{Egress, EgressRequest, Redirects};

/// The predicate of the statement that counts.
const OIDC_ISSUER: NamedNodeRef<'static> = NamedNodeRef::new_unchecked("http://www.w3.org/ns/solid/terms#oidcIssuer");
/// Most issuers of one WebID that are looked at.
const ISSUERS_MAX: usize = 16;
/// Most triples of a profile.
const TRIPLES_MAX: usize = 20_000;

/// A profile document that this server holds itself, or not.
#[derive(Clone, Debug)]
pub enum LocalProfile {
    /// The document is not on this server: ask the network.
    Elsewhere,
    /// It would be on this server, but is not there.
    Absent,
    /// Its stored bytes and their media type.
    Document {
        /// The bytes.
        bytes: Bytes,
        /// `text/turtle` or `application/ld+json`, parameters allowed.
        media_type: String,
    },
}

/// Reads profile documents of this server without network. Authorization does not apply: only issuer statements are read.
pub trait LocalProfiles: Send + Sync {
    /// The profile document of a URL without fragment.
    fn profile(&self, document: &str) -> BoxFuture<'_, LocalProfile>;
}

/// WebIDs and the issuers that their profiles name.
pub(super) struct WebIds {
    slots: Cache<String, Arc<Slot>>,
    local: Option<Arc<dyn LocalProfiles>>,
    cache_seconds: i64,
    failure_seconds: i64,
    unreachable_seconds: i64,
    bytes_max: u64,
    time_max: Duration,
}

#[derive(Default)]
struct Slot {
    state: RwLock<State>,
    fetching: tokio::sync::Mutex<()>,
}

/// Why a profile says nothing: how long that is remembered hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// Nobody answered in time.
    Unreachable,
    /// The answer is no profile.
    Unusable,
}

/// `issuers` is `None` after a failure.
#[derive(Default)]
struct State {
    issuers: Option<Vec<String>>,
    until: i64,
}

impl WebIds {
    pub(super) fn new(config: &AuthnConfig) -> Self {
        Self {
            slots: Cache::new(config.webid_cache_max),
            local: None,
            cache_seconds: i64::from(config.webid_cache_seconds),
            failure_seconds: i64::from(config.failure_cache_seconds),
            unreachable_seconds: i64::from(config.unreachable_cache_seconds.min(config.failure_cache_seconds)),
            bytes_max: config.document_bytes_max,
            time_max: Duration::from_secs(u64::from(config.document_seconds_max)),
        }
    }

    pub(super) fn set_local(&mut self, local: Arc<dyn LocalProfiles>) {
        self.local = Some(local);
    }

    /// Forgets what is known about a WebID, for instance because its profile changed here.
    pub(super) fn forget(&self, webid: &str) {
        self.slots.remove(webid);
    }

    /// Whether the profile of a WebID names the issuer.
    pub(super) async fn names_issuer(&self, webid: &str, issuer: &str, egress: &Egress, now: i64) -> bool {
        let slot = match self
            .slots
            .get_or_insert_with(webid, || Ok::<_, std::convert::Infallible>(Arc::default()))
        {
            Ok(slot) => slot,
            Err(never) => match never {},
        };
        if let Some(answer) = known(&slot, issuer, now) {
            return answer;
        }
        let _one_at_a_time = slot.fetching.lock().await;
        if let Some(answer) = known(&slot, issuer, now) {
            return answer;
        }
        let began = Instant::now();
        let issuers = self.issuers(webid, egress).await;
        // Whoever waited meanwhile need not wait as long again.
        let waited = i64::try_from(began.elapsed().as_secs()).unwrap_or(0);
        let life = match &issuers {
            Ok(_) => self.cache_seconds,
            Err(Unread::Unreachable) => self.unreachable_seconds + waited,
            Err(Unread::Unusable) => self.failure_seconds,
        };
        *slot.state.write() = State {
            issuers: issuers.ok(),
            until: now + life,
        };
        known(&slot, issuer, now).unwrap_or(false)
    }

    async fn issuers(&self, webid: &str, egress: &Egress) -> Result<Vec<String>, Unread> {
        let document = webid.split('#').next().unwrap_or(webid);
        if let Some(local) = &self.local {
            match local.profile(document).await {
                LocalProfile::Elsewhere => {}
                LocalProfile::Absent => return Err(Unread::Unusable),
                LocalProfile::Document { bytes, media_type } => {
                    return issuers_in(&bytes, &media_type, document, webid).ok_or(Unread::Unusable);
                }
            }
        }
        let request = EgressRequest::get(document)
            .for_stranger()
            .header(
                ACCEPT,
                HeaderValue::from_static("text/turtle, application/ld+json;q=0.9"),
            )
            .redirects(Redirects::SameOrigin(3))
            .bytes_max(self.bytes_max)
            .time_max(self.time_max);
        let response = egress
            .fetch(request)
            .await
            .map_err(|error| match error.is_transient() {
                true => Unread::Unreachable,
                false => Unread::Unusable,
            })?;
        match response.status {
            http::StatusCode::OK => {}
            status if status.is_server_error() => return Err(Unread::Unreachable),
            _ => return Err(Unread::Unusable),
        }
        issuers_in(&response.body, &response.media_type(), &response.url, webid).ok_or(Unread::Unusable)
    }
}

fn known(slot: &Slot, issuer: &str, now: i64) -> Option<bool> {
    let state = slot.state.read();
    let names = |issuers: &Vec<String>| issuers.iter().any(|named| same_issuer(named, issuer));
    (now < state.until).then(|| state.issuers.as_ref().is_some_and(names))
}

/// The issuers that a document names for a WebID; `None` when it cannot be parsed whole.
fn issuers_in(bytes: &[u8], media_type: &str, base: &str, webid: &str) -> Option<Vec<String>> {
    let mut issuers = Vec::new();
    let mut look = |subject: oxrdf::NamedOrBlankNodeRef<'_>, predicate: NamedNodeRef<'_>, object: TermRef<'_>| {
        let (oxrdf::NamedOrBlankNodeRef::NamedNode(subject), TermRef::NamedNode(object)) = (subject, object) else {
            return;
        };
        if subject.as_str() == webid && predicate == OIDC_ISSUER && issuers.len() < ISSUERS_MAX {
            issuers.push(object.as_str().to_owned());
        }
    };
    let (mut count, mut written) = (0, Written::of(bytes.len()));
    let fits = |grammar| nesting::check(bytes, grammar, nesting::DEPTH_MAX).is_ok();
    match media_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
        .as_str()
    {
        "text/turtle" if fits(Grammar::Turtle) => {
            for triple in oxttl::TurtleParser::new().with_base_iri(base).ok()?.for_slice(bytes) {
                let triple = triple.ok()?;
                let default = oxrdf::GraphNameRef::DefaultGraph;
                written.takes(triple.as_ref().in_graph(default)).ok()?;
                count += 1;
                look(
                    triple.subject.as_ref(),
                    triple.predicate.as_ref(),
                    triple.object.as_ref(),
                );
            }
        }
        "application/ld+json" if fits(Grammar::Json) => {
            // Without a callback for remote contexts: a document that names one is refused (T65).
            for quad in oxjsonld::JsonLdParser::new().with_base_iri(base).ok()?.for_slice(bytes) {
                let quad = quad.ok()?;
                written.takes(quad.as_ref()).ok()?;
                count += 1;
                if quad.graph_name.is_default_graph() {
                    look(quad.subject.as_ref(), quad.predicate.as_ref(), quad.object.as_ref());
                }
            }
        }
        _ => return None,
    }
    (count <= TRIPLES_MAX).then_some(issuers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t33_only_a_statement_about_exactly_this_webid_counts() {
        let webid = "https://pod.example/jan/profile/card#me";
        let turtle = |text: &str| {
            let text = format!("@prefix solid: <http://www.w3.org/ns/solid/terms#>. {text}");
            issuers_in(
                text.as_bytes(),
                "text/turtle; charset=utf-8",
                "https://pod.example/jan/profile/card",
                webid,
            )
        };
        assert_eq!(
            turtle("<#me> solid:oidcIssuer <https://a.example/>."),
            Some(vec!["https://a.example/".to_owned()])
        );
        assert_eq!(turtle("<#ME> solid:oidcIssuer <https://a.example/>."), Some(vec![]));
        assert_eq!(turtle("<> solid:oidcIssuer <https://a.example/>."), Some(vec![]));
        assert_eq!(turtle("<#me> solid:oidcIssuer \"https://a.example/\"."), Some(vec![]));
        assert_eq!(
            turtle("<#me> solid:oidcIssuer <https://a.example/>. <#me> broken"),
            None
        );
        let json = br##"{"@id":"#me","http://www.w3.org/ns/solid/terms#oidcIssuer":{"@id":"https://b.example"}}"##;
        let base = "https://pod.example/jan/profile/card";
        assert_eq!(
            issuers_in(json, "application/ld+json", base, webid),
            Some(vec!["https://b.example".to_owned()])
        );
        assert_eq!(issuers_in(json, "text/html", base, webid), None);
        let terms: Vec<String> = (0..5_000).map(|at| format!("\"t{at}\":\"t{}:a\"", at + 1)).collect();
        let chain = format!("{{\"@context\":{{{}}},\"t0\":1}}", terms.join(","));
        assert_eq!(
            issuers_in(chain.as_bytes(), "application/ld+json", base, webid),
            None,
            "T67"
        );
        let remote = br##"{"@context":"https://evil.example/c","@id":"#me"}"##;
        assert_eq!(issuers_in(remote, "application/ld+json", base, webid), None);
    }
}
