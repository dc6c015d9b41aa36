//! Listening to members: one event source for each agreement of a standing query, at `{agreement}/changes`, opened with the
//! agreement's token, a proof by the broker's key and the consumer's delegation, as a sub-query is.
//!
//! A channel that breaks off is opened again, with pauses that grow, and tells by `Last-Event-ID` what it knows: a member
//! that has something new since then says so, and the query is evaluated again. Until a broken channel stands again
//! nobody would tell of a withdrawal, so the query is evaluated at once and shows what the member still answers.

use super::event::{Event, Events};
use super::limits::ms;
use super::signals::Signals;
use super::{Delegation, Question};
use crate::fetch::refusal;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use server_kit::authn::client::DELEGATION;
use server_kit::body::Body;
use server_kit::egress::EgressRequest;
use server_kit::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;

/// Name of the header field with which an event source comes back.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Largest event of a member's channel, bytes.
const EVENT_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of one channel; then it is opened again.
const CHANNEL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Being opened for the first time.
    Opening,
    /// The member tells of changes and of withdrawals.
    Notified,
    /// The member tells of withdrawals at most, and is asked from time to time.
    Polled,
    /// It cannot be heard at present.
    Lost,
    /// The member refuses to be listened to.
    Refused,
}

impl State {
    /// The word in a manifest.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Opening | Self::Lost => "lost",
            Self::Notified => "notified",
            Self::Polled => "polled",
            Self::Refused => "refused",
        }
    }
}

/// All channels of one query. Dropping them hangs up everywhere.
pub(super) struct Channels {
    question: Arc<Question>,
    signals: Arc<Signals>,
    room: Arc<Semaphore>,
    open: BTreeMap<String, Channel>,
}

struct Channel {
    state: watch::Receiver<State>,
    task: AbortHandle,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every channel that the broker may have is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker listens on as many channels of members as `standing.channels_max` allows")]
pub(super) struct NoChannelLeft;

impl Channels {
    pub(super) fn new(question: Arc<Question>, signals: Arc<Signals>, room: Arc<Semaphore>) -> Self {
        Self {
            question,
            signals,
            room,
            open: BTreeMap::new(),
        }
    }

    /// Listens under these agreements and no others. `first` says that an evaluation follows anyway.
    ///
    /// # Errors
    /// [`NoChannelLeft`].
    pub(super) fn keep(&mut self, wanted: BTreeSet<String>, first: bool) -> Result<(), NoChannelLeft> {
        self.open.retain(|agreement, _| wanted.contains(agreement));
        for agreement in wanted {
            if self.open.contains_key(&agreement) {
                continue;
            }
            let permit = Arc::clone(&self.room).try_acquire_owned().map_err(|_| NoChannelLeft)?;
            let (told, state) = watch::channel(State::Opening);
            let listener = Listener {
                question: Arc::clone(&self.question),
                signals: Arc::clone(&self.signals),
                delegation: self.question.delegation.clone(),
                agreement: agreement.clone(),
                last: String::new(),
                state: told,
                first,
                _permit: permit,
            };
            let task = tokio::spawn(listener.run()).abort_handle();
            self.open.insert(agreement, Channel { state, task });
        }
        Ok(())
    }

    /// Waits until every channel has been opened or has failed to, within a time.
    pub(super) async fn opened(&mut self, within: Duration) {
        let all = self.open.values_mut().map(|channel| async {
            let opened = channel.state.wait_for(|state| *state != State::Opening).await;
            opened.is_ok()
        });
        // Whoever is not heard of by then counts as lost.
        let _ = tokio::time::timeout(within, futures_util::future::join_all(all)).await;
    }

    /// How changes of a source become known.
    pub(super) fn state(&self, agreement: Option<&str>) -> State {
        let channel = agreement.and_then(|agreement| self.open.get(agreement));
        channel.map_or(State::Polled, |channel| *channel.state.borrow())
    }
}

/// The task of one channel.
struct Listener {
    question: Arc<Question>,
    signals: Arc<Signals>,
    delegation: watch::Receiver<Delegation>,
    agreement: String,
    /// The last event's id.
    last: String,
    state: watch::Sender<State>,
    first: bool,
    _permit: OwnedSemaphorePermit,
}

/// How an attempt at listening ended.
enum Ended {
    /// The member has no such channel.
    Unknown,
    /// The member refuses, or the right ended.
    Refused,
    /// The connection ended, or was never made; whether it stood.
    Lost(bool),
    /// A fresh delegation came: the channel is opened anew with it.
    Renewed,
}

impl Listener {
    async fn run(mut self) {
        let limits = self.question.broker.config.standing.clone();
        let mut pause = limits.reconnect_ms_min;
        let (mut attempts, mut ever) = (0_u32, false);
        loop {
            match self.listen().await {
                Ended::Unknown => {
                    self.state.send_replace(State::Polled);
                    return;
                }
                Ended::Renewed => pause = limits.reconnect_ms_min,
                Ended::Refused => {
                    self.become_deaf(State::Refused);
                    // Asking again under the same word would be refused again, and recorded again.
                    if self.delegation.changed().await.is_err() {
                        return;
                    }
                }
                Ended::Lost(stood) => {
                    self.become_deaf(State::Lost);
                    ever |= stood;
                    attempts = if stood { 0 } else { attempts.saturating_add(1) };
                    if stood {
                        pause = limits.reconnect_ms_min;
                    } else if attempts == 1 && ever {
                        // It may have answered once more while it was going away.
                        self.doubtful();
                    }
                    let waits = ms(self.jittered(pause));
                    tokio::select! {
                        () = tokio::time::sleep(waits) => {}
                        _ = self.delegation.changed() => {}
                    }
                    pause = pause.saturating_mul(2).min(limits.reconnect_ms_max);
                }
            }
        }
    }

    /// A half of a pause and a random part of the other half, so that not everyone comes back at once.
    fn jittered(&self, pause: u64) -> u64 {
        let mut byte = [0_u8; 1];
        self.question.broker.random.fill(&mut byte);
        let [byte] = byte;
        pause / 2 + pause / 2 * u64::from(byte) / 255
    }

    /// Nothing is heard from here on: what the member still answers has to be seen at once.
    fn become_deaf(&self, state: State) {
        let before = self.state.send_replace(state);
        match (before, state) {
            (State::Notified | State::Polled, State::Lost) => self.doubtful(),
            (State::Notified | State::Polled, _) => self.urgent(),
            _ => {}
        }
    }

    /// Whether the member still answers is to be seen, which takes its time if it does not.
    fn doubtful(&self) {
        let config = &self.question.broker.config;
        let within = config
            .standing
            .withdrawal_ms_max
            .saturating_add(config.exec.member_ms_max);
        self.signals.withdrawn(ms(within));
    }

    fn urgent(&self) {
        let within = self.question.broker.config.standing.withdrawal_ms_max;
        self.signals.withdrawn(ms(within));
    }

    async fn listen(&mut self) -> Ended {
        let word = self.delegation.borrow_and_update().clone();
        let limit = ms(self.question.broker.config.standing.open_ms_max);
        let (status, headers, body) = match tokio::time::timeout(limit, self.request(&word)).await {
            Ok(Some(answer)) => answer,
            _ => return Ended::Lost(false),
        };
        let events = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        match status {
            StatusCode::OK if events => self.hear(body).await,
            // A server of another make, or an older one.
            StatusCode::OK
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::NOT_IMPLEMENTED => Ended::Unknown,
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                let reason = refusal(status, body).await;
                tracing::info!(agreement = self.agreement, %reason, "a member does not let listen");
                Ended::Refused
            }
            _ => Ended::Lost(false),
        }
    }

    async fn request(&self, word: &Delegation) -> Option<(StatusCode, HeaderMap, Body)> {
        let broker = &self.question.broker;
        let url = format!("{}/changes", self.agreement);
        let deposits = broker.deposits.of(self.question.asker.web_id.as_str());
        let deposit = deposits.iter().find(|deposit| deposit.agreement == self.agreement)?;
        let mut request = EgressRequest::get(&url)
            .header(ACCEPT, HeaderValue::from_static("text/event-stream"))
            .bytes_max(CHANNEL_BYTES_MAX);
        let (now, random): (_, &dyn Random) = (broker.clock.unix(), &*broker.random);
        broker
            .key
            .authorize(&mut request.headers, &Method::GET, &url, &deposit.token, now, random)
            .ok()?;
        request.headers.insert(DELEGATION, word.header.clone()?);
        if let Ok(last) = HeaderValue::from_str(&self.last)
            && !last.is_empty()
        {
            request.headers.insert(LAST_EVENT_ID, last);
        }
        broker.egress.stream(request).await.ok()
    }

    async fn hear(&mut self, mut body: Body) -> Ended {
        let silence = ms(self.question.broker.config.standing.silence_ms_max);
        let mut events = Events::new(EVENT_BYTES_MAX);
        let mut stood = false;
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(silence, body.frame()) => frame,
                renewed = self.delegation.changed() => match renewed {
                    Ok(()) => return Ended::Renewed,
                    Err(_) => return Ended::Refused,
                },
            };
            let Ok(Some(Ok(frame))) = frame else {
                return Ended::Lost(stood);
            };
            let Ok(piece) = frame.into_data() else { continue };
            let Ok(heard) = events.take(&piece) else {
                return Ended::Lost(stood);
            };
            for event in heard {
                stood |= event.name == "open";
                if let Some(ended) = self.heard(&event) {
                    return ended;
                }
            }
        }
    }

    fn heard(&mut self, event: &Event) -> Option<Ended> {
        match event.name.as_str() {
            "open" => {
                let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
                let says = |name: &str| data.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false);
                let state = if says("tells") { State::Notified } else { State::Polled };
                let before = self.state.send_replace(state);
                // What was missed may be a withdrawal; whoever was lost may have answered nothing meanwhile.
                if says("changed") {
                    self.urgent();
                } else if before == State::Lost || before == State::Refused || (before == State::Opening && !self.first)
                {
                    self.signals.changed();
                }
            }
            "change" => self.signals.changed(),
            "withdrawal" => self.urgent(),
            "end" => {
                tracing::info!(
                    agreement = self.agreement,
                    reason = event.data,
                    "a member ended a channel"
                );
                let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
                let passing = data.get("code").and_then(serde_json::Value::as_str) == Some("grant-expired");
                // A fresh token may have been deposited since.
                return Some(if passing { Ended::Lost(true) } else { Ended::Refused });
            }
            _ => {}
        }
        self.last.clone_from(&event.id);
        None
    }
}
