//! Standing queries: `/sparql` with `Accept: text/event-stream` answers with an event source that lasts (HTML §9.2).
//!
//! The query is asked as every other: the same agreements, purpose, delegation and proof. It is evaluated again whenever a
//! member tells that there is something new, decided, counted and recorded anew each time, at both sides. Events, whose data
//! are JSON:
//!
//! * `answer`: `{"head", "results", "manifest"}`, the whole answer in SPARQL 1.1 Query Results JSON (an `ASK` has `boolean`
//!   in place of `results`). What the consumer had before is void.
//! * `change`: `{"head", "removed": {"bindings"}, "added": {"bindings"}, "manifest"}`: the exact difference of multisets to
//!   what the event before left, members of `bindings` as in an answer (an `ASK` has `boolean`). Order is not kept.
//! * `end`: `{"code", "reason"}`; nothing follows. Comments are signs of life.
//!
//! `manifest` says as for every answer which sources are in it, and for each how its changes become known: `notified`,
//! `polled` every so many seconds, `lost` or `refused`.
//!
//! When something is withdrawn at a member the consumer has a `change` without it within `withdrawal_ms_max`, or the stream
//! is cut. A delegation lasts five minutes at most: `POST /queries/{id}/delegation` with a fresh one, by the same consumer
//! and key for the same purpose, lets the query go on; otherwise it ends with `delegation-expired`. Whoever comes back with the
//! same query and `Last-Event-ID` within `resume_seconds` gets the difference since that event, and never a past event
//! itself, because what was in it may have been withdrawn.
//!
//! Rows are kept in memory and nowhere else.

mod channel;
mod drive;
mod evaluate;
pub mod event;
mod follow;
mod limits;
mod open;
mod places;
mod rows;
mod signals;

pub use limits::StandingLimits;
pub use open::{is_delegation, open, renew, wanted};

use drive::Parked;
use evaluate::Question;
use http::HeaderValue;
use parking_lot::Mutex;
use places::Places;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, watch};

/// A consumer's word as it counts at a moment.
#[derive(Clone, Debug)]
struct Delegation {
    /// As it was sent; none for queries over open data alone.
    header: Option<HeaderValue>,
    /// The agreements that it names.
    agreements: BTreeSet<String>,
    /// When it ends, Unix seconds; none when there is nothing to end.
    expires: Option<i64>,
}

impl Delegation {
    /// For each agreement that it names, the delegation as it was sent.
    fn proofs(&self) -> BTreeMap<String, HeaderValue> {
        let named = self.agreements.iter();
        let proven = named.filter_map(|agreement| Some((agreement.clone(), self.header.clone()?)));
        proven.collect()
    }
}

/// Why a standing query ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    /// Stable word.
    code: &'static str,
    /// Why, in words.
    reason: String,
}

impl End {
    fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// A query that stands, as others see it.
struct Entry {
    web_id: String,
    jkt: String,
    purpose: Option<String>,
    delegation: watch::Sender<Delegation>,
    /// Its consumer comes back on another connection.
    leave: Notify,
}

/// All standing queries of a broker.
pub struct Standing {
    running: Mutex<HashMap<String, Arc<Entry>>>,
    parked: Mutex<HashMap<String, Parked>>,
    /// A query was left.
    arrived: Notify,
    places: Places,
    channels: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl Standing {
    /// None yet.
    #[must_use]
    pub fn new(limits: &StandingLimits) -> Self {
        Self {
            running: Mutex::default(),
            parked: Mutex::default(),
            arrived: Notify::new(),
            places: Places::new(limits),
            channels: Arc::new(Semaphore::new(limits.channels_max.min(Semaphore::MAX_PERMITS))),
            stop: watch::Sender::new(false),
        }
    }

    /// Ends all of them, because the broker stops.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// How many stand.
    #[must_use]
    pub fn count(&self) -> usize {
        self.running.lock().len()
    }
}
