//! `GET {agreement}/changes`: an event source (HTML, server-sent events) on which the holder of an agreement's token, or the
//! broker that acts for it, is told that there is something new in what the agreement shows, and at once when it shows less.
//!
//! It says that something changed, never what: whoever wants to know asks a query, which is decided, counted and recorded
//! as each. Opening it is decided as a query is and recorded; the right is looked at again whenever a policy, a consent, an
//! agreement or a statement changes, and at least every `changes_recheck_ms`. Events:
//!
//! * `open`: the stream stands; `changed` says whether something is new since the event that `Last-Event-ID` names, and
//!   `tells` whether changes are told at all. They are not where values or names leave changed, because the time of a change
//!   would then say more than an answer does: such a view is asked again from time to time.
//! * `change`: something is new.
//! * `withdrawal`: something that is still there is not shown any more. Where only aggregates leave it is not told, as it
//!   would be about a single person.
//! * `end`: the right ended, with the reason; nothing follows.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use policies::request::Subject;
use serde_json::json;
use server_kit::body::Body;
use server_kit::clock::Clock;
use server_kit::problem::Problem;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::limits::QueryLimits;
use super::marks::{Marks, Step};
use crate::authz::scope::{Asked, Scope, ScopedView};
use crate::dataspace::Call;
use crate::dataspace::edge::{self, Answer};
use crate::name::ResourceName;
use crate::store::{Change, CommitListener, Event, Snapshot, Store};

/// Least time between two looks at whether rights ended, milliseconds: a thousand withdrawals at once are one look.
const RIGHTS_INTERVAL_MS: u64 = 50;
/// Longest `Last-Event-ID` that is read, bytes.
const ID_BYTES_MAX: usize = 64;

/// What a [`Feed`] stands on.
pub(super) struct FeedParts<'a> {
    pub scope: Arc<Scope>,
    pub store: &'a dyn Store,
    pub clock: Arc<dyn Clock>,
    pub limits: Arc<QueryLimits>,
    /// Counts commits that may take access away.
    pub revocations: watch::Receiver<u64>,
}

/// Everyone who listens.
pub(super) struct Feed {
    scope: Arc<Scope>,
    clock: Arc<dyn Clock>,
    limits: Arc<QueryLimits>,
    revocations: watch::Receiver<u64>,
    writes: watch::Receiver<u64>,
    room: Arc<Semaphore>,
    places: Arc<Mutex<HashMap<String, usize>>>,
    hasher: RandomState,
    stop: OnceLock<watch::Receiver<bool>>,
}

/// Counts commits that change resources.
struct Writes(watch::Sender<u64>);

impl CommitListener for Writes {
    fn committed(&self, _: &dyn Snapshot, events: &[Event]) {
        let writes = |event: &Event| !matches!(event.change, Change::Record { .. });
        if events.iter().any(writes) {
            self.0.send_modify(|count| *count += 1);
        }
    }
}

impl Feed {
    pub(super) fn new(parts: FeedParts<'_>) -> Self {
        let (sender, writes) = watch::channel(0);
        parts.store.listen(Arc::new(Writes(sender)));
        Self {
            scope: parts.scope,
            clock: parts.clock,
            room: Arc::new(Semaphore::new(parts.limits.changes_streams_max)),
            limits: parts.limits,
            revocations: parts.revocations,
            writes,
            places: Arc::default(),
            hasher: RandomState::new(),
            stop: OnceLock::new(),
        }
    }

    /// How many streams are open.
    pub(super) fn listening(&self) -> usize {
        self.limits
            .changes_streams_max
            .saturating_sub(self.room.available_permits())
    }

    /// All streams end when this becomes true.
    pub(super) fn end_with(&self, stop: watch::Receiver<bool>) {
        // The service follows its store once.
        let _ = self.stop.set(stop);
    }

    pub(super) async fn respond(&self, call: &Call, storage: &str, agreement: String) -> Answer {
        if call.method != Method::GET {
            return Err(edge::method_not_allowed(&call.method, "GET"));
        }
        let root = ResourceName::parse(&format!("/{storage}/")).map_err(|_| edge::not_found(&call.iri))?;
        let credentials = &call.credentials;
        let asked = Asked {
            subject: Subject {
                agent: credentials.agent.clone(),
                client: credentials.client.clone(),
                issuer: credentials.issuer.clone(),
                origin: None,
            },
            grant: credentials.grant.clone(),
            agreement: Some(agreement.clone()),
            purpose: call.parameter("purpose"),
            storage: Some(root),
            query_hash: hex::encode(Sha256::digest(format!("GET {}", call.iri))),
            predicates: Vec::new(),
        };
        // From before the decision on, so that nothing that changes meanwhile goes unnoticed.
        let (mut revocations, mut writes) = (self.revocations.clone(), self.writes.clone());
        revocations.mark_unchanged();
        writes.mark_unchanged();
        let proof = self.scope.listen(&asked).await?;
        let scoped = proof.operation().clone();
        let place = self.place(agreement)?;
        let now = Instant::now();
        let mut stream = Stream {
            ends: now + self.remaining(&asked),
            marks: marks(&scoped).await?,
            tells: Tells::of(&scoped),
            scope: Arc::clone(&self.scope),
            limits: Arc::clone(&self.limits),
            hasher: self.hasher.clone(),
            stop: self.stop.get().cloned(),
            asked,
            revocations,
            writes,
            looked: now,
            look_at: now,
            spoke: now,
            over: false,
            _place: place,
        };
        let first = stream.greeting(&call.headers);
        drop(scoped);
        Ok(respond(first, stream))
    }

    /// How long the token and the delegation last.
    fn remaining(&self, asked: &Asked) -> Duration {
        let until = asked.grant.as_ref().map_or(i64::MIN, |grant| grant.until);
        let seconds = until.saturating_sub(self.clock.unix());
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(86_400))
    }

    fn place(&self, agreement: String) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            let most = self.limits.changes_streams_max;
            Problem::unavailable(
                format!("{most} streams of changes are open, as many as `query.changes_streams_max` allows"),
                10,
            )
        })?;
        let most = self.limits.changes_streams_per_agreement_max;
        let mut places = self.places.lock();
        let taken = places.get(&agreement).copied().unwrap_or(0);
        if taken >= most {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-streams",
                "Too many streams of changes",
            )
            .detail(format!(
                "{most} are open under this agreement, as many as `query.changes_streams_per_agreement_max` allows: close one"
            ))
            .header(http::header::RETRY_AFTER, HeaderValue::from_static("10")));
        }
        places.insert(agreement.clone(), taken + 1);
        drop(places);
        Ok(Place {
            places: Arc::clone(&self.places),
            agreement,
            _permit: permit,
        })
    }
}

/// The place of one stream among all, and among those under its agreement.
struct Place {
    places: Arc<Mutex<HashMap<String, usize>>>,
    agreement: String,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        let left = places.get(&self.agreement).map_or(0, |taken| taken.saturating_sub(1));
        if left == 0 {
            places.remove(&self.agreement);
        } else {
            places.insert(self.agreement.clone(), left);
        }
    }
}

/// What a listener is told besides the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// Changes and withdrawals.
    Changes,
    /// Withdrawals alone: values or names leave changed.
    Withdrawals,
    /// Neither: only aggregates leave.
    Nothing,
}

impl Tells {
    fn of(scoped: &ScopedView) -> Self {
        if scoped.subjects_min().is_some() {
            Self::Nothing
        } else if scoped.view().treated().is_some() {
            Self::Withdrawals
        } else {
            Self::Changes
        }
    }
}

/// The marks of a view, computed where that holds nobody up.
async fn marks(scoped: &ScopedView) -> Result<Arc<Marks>, Problem> {
    let view = Arc::clone(scoped.view());
    tokio::task::spawn_blocking(move || view.marks())
        .await
        .map_err(|_| Problem::internal())
}

/// One listener.
struct Stream {
    scope: Arc<Scope>,
    limits: Arc<QueryLimits>,
    hasher: RandomState,
    stop: Option<watch::Receiver<bool>>,
    asked: Asked,
    revocations: watch::Receiver<u64>,
    writes: watch::Receiver<u64>,
    marks: Arc<Marks>,
    tells: Tells,
    /// The token or the delegation ends.
    ends: Instant,
    /// When it was looked last, and when it is looked next at the latest.
    looked: Instant,
    look_at: Instant,
    spoke: Instant,
    over: bool,
    _place: Place,
}

impl Stream {
    /// The first event.
    fn greeting(&mut self, headers: &HeaderMap) -> Bytes {
        self.rest(Instant::now());
        let id = self.id();
        let known = headers
            .get("last-event-id")
            .and_then(|value| value.to_str().ok())
            .filter(|known| !known.is_empty() && known.len() <= ID_BYTES_MAX);
        let data = json!({
            "agreement": self.asked.agreement,
            "changed": known.is_some_and(|known| known != id),
            "tells": self.tells == Tells::Changes,
        });
        Bytes::from(format!("retry: 2000\n\nevent: open\nid: {id}\ndata: {data}\n\n"))
    }

    /// A name of the state that was told last. It says nothing to whoever does not know this process's secret.
    fn id(&self) -> String {
        let digest = match self.tells {
            Tells::Changes => self.marks.digest(false),
            Tells::Withdrawals => self.marks.digest(true),
            Tells::Nothing => 0,
        };
        format!("{:016x}", self.hasher.hash_one((digest, &self.asked.agreement)))
    }

    fn rest(&mut self, now: Instant) {
        (self.looked, self.spoke) = (now, now);
        self.look_at = now + Duration::from_millis(self.limits.changes_recheck_ms);
    }

    /// What is sent next; none at the end, and an error where nothing can be vouched for.
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        if self.over {
            return None;
        }
        let heartbeat = Duration::from_millis(self.limits.changes_heartbeat_ms);
        let interval = Duration::from_millis(self.limits.changes_interval_ms);
        loop {
            let stop = &mut self.stop;
            let stopped = async move {
                // A sender that is gone stops nothing.
                if let Some(stop) = stop
                    && stop.wait_for(|stop| *stop).await.is_ok()
                {
                    return;
                }
                std::future::pending().await
            };
            tokio::select! {
                biased;
                () = stopped => return None,
                () = tokio::time::sleep_until(self.ends) => {
                    return Some(Ok(self.end("grant-expired", "the token or the delegation has expired: come back with a fresh one")));
                }
                Ok(()) = self.revocations.changed() => {
                    self.look_at = self.look_at.min(self.looked + Duration::from_millis(RIGHTS_INTERVAL_MS));
                }
                Ok(()) = self.writes.changed() => {
                    self.look_at = self.look_at.min(self.looked + interval);
                }
                () = tokio::time::sleep_until(self.look_at) => match self.look().await {
                    Ok(None) => {}
                    Ok(Some(event)) => return Some(Ok(event)),
                    Err(error) => return Some(Err(error)),
                },
                () = tokio::time::sleep_until(self.spoke + heartbeat) => {
                    self.spoke = Instant::now();
                    return Some(Ok(Bytes::from_static(b":\n\n")));
                }
            }
        }
    }

    /// Looks whether the right lasts and whether there is something new.
    async fn look(&mut self) -> std::io::Result<Option<Bytes>> {
        let spoke = self.spoke;
        let looked = async {
            let scoped = self.scope.still_listening(&self.asked).await?;
            let marks = marks(&scoped).await?;
            Ok::<_, Problem>((scoped, marks))
        };
        let (scoped, now) = match looked.await {
            Ok(looked) => looked,
            Err(problem) if problem.status.is_server_error() => {
                self.over = true;
                return Err(std::io::Error::other("the right to listen cannot be looked at now"));
            }
            Err(problem) => return Ok(Some(self.end(problem.kind, &problem.detail))),
        };
        self.rest(Instant::now());
        self.spoke = spoke;
        let tells = Tells::of(&scoped);
        let step = now.since(&self.marks, scoped.view());
        let less = tells != self.tells;
        self.tells = tells;
        self.marks = now;
        let event = match (step, tells) {
            _ if less => "withdrawal",
            (Step::Narrowed, Tells::Changes | Tells::Withdrawals) => "withdrawal",
            (Step::Changed, Tells::Changes) => "change",
            _ => return Ok(None),
        };
        self.spoke = self.looked;
        Ok(Some(Bytes::from(format!(
            "event: {event}\nid: {}\ndata: {{}}\n\n",
            self.id()
        ))))
    }

    fn end(&mut self, code: &str, reason: &str) -> Bytes {
        self.over = true;
        let data = json!({ "code": code, "reason": reason });
        Bytes::from(format!("event: end\ndata: {data}\n\n"))
    }
}

fn respond(first: Bytes, stream: Stream) -> Response<Body> {
    let stream = futures_util::stream::unfold((Some(first), stream), |(first, mut stream)| async move {
        let piece = match first {
            Some(first) => Ok(first),
            None => stream.next().await?,
        };
        Some((piece.map(Frame::data), (None, stream)))
    });
    let mut response = Response::new(StreamBody::new(stream).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Reverse proxies would otherwise keep events back until a buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
