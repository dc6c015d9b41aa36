//! One open stream: what waits for its reader, and the order and pace in which the reader gets it.
//!
//! Deliverers only push into a bounded queue and never wait; the reader's own connection takes from it. A reader that
//! does not keep up is cut off, so that it costs nobody else anything.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::change::Position;
use super::channel::Channel;
use super::notice::Notice;
use super::registry::Registry;
use crate::store::Sequence;

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The channel has reached its `endAt`, or was deleted.
    Over,
    /// The right to read was taken away.
    Revoked,
    /// The reader does not keep up.
    Slow,
    /// The server is stopping; the channel is still there afterwards.
    Stopping,
}

impl Ending {
    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Revoked => "revoked",
            Self::Slow => "slow",
            Self::Stopping => "stopping",
        }
    }
}

/// What a connection has to do next.
#[derive(Debug)]
pub enum Step {
    /// Send a notification.
    Send(Arc<Notice>),
    /// Show a sign of life.
    Ping,
    /// End.
    End(Ending),
}

#[derive(Debug, Default)]
struct Waiting {
    notices: VecDeque<Arc<Notice>>,
    ending: Option<Ending>,
}

/// The side of a stream that deliverers see.
#[derive(Debug)]
pub struct Stream {
    /// Number of the stream, unique while the server runs.
    pub number: u64,
    /// Its channel.
    pub channel: Arc<Channel>,
    /// Commit up to which nothing is told, because it lies before the stream.
    pub joined: Sequence,
    waiting: Mutex<Waiting>,
    wake: Notify,
}

impl Stream {
    pub(super) fn new(number: u64, channel: Arc<Channel>, joined: Sequence) -> Self {
        Self {
            number,
            channel,
            joined,
            waiting: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Hands a notification over; a full queue ends the stream.
    pub fn push(&self, notice: &Arc<Notice>, queue_messages_max: usize) {
        let mut waiting = self.waiting.lock();
        if waiting.ending.is_some() {
            return;
        }
        if waiting.notices.len() >= queue_messages_max {
            waiting.ending = Some(Ending::Slow);
            waiting.notices = VecDeque::new();
        } else {
            waiting.notices.push_back(Arc::clone(notice));
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Ends the stream. What waits is still sent where the reader may have it.
    pub fn end(&self, ending: Ending) {
        let mut waiting = self.waiting.lock();
        if waiting.ending.is_some() {
            return;
        }
        if ending == Ending::Revoked {
            waiting.notices = VecDeque::new();
        }
        waiting.ending = Some(ending);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Takes what comes next; the queue gives its memory back when it runs empty.
    fn take(&self) -> Option<Result<Arc<Notice>, Ending>> {
        let mut waiting = self.waiting.lock();
        let next = waiting.notices.pop_front();
        if waiting.notices.is_empty() {
            waiting.notices = VecDeque::new();
        }
        next.map(Ok).or(waiting.ending.map(Err))
    }
}

/// The side of a stream that its connection owns. Dropping it takes the stream off the registry.
#[derive(Debug)]
pub struct Outlet {
    stream: Arc<Stream>,
    registry: Arc<Registry>,
    /// What is sent before anything that waits: missed notifications, or that the state is another one.
    first: VecDeque<Arc<Notice>>,
    /// Nothing up to here is sent again.
    sent: Option<Position>,
    /// What `rate` holds back; only the latest is kept.
    held: Option<Arc<Notice>>,
    next_send: Option<Instant>,
    next_ping: Instant,
    ends: Instant,
    ping: Duration,
    ending: Option<Ending>,
    _room: OwnedSemaphorePermit,
}

impl Outlet {
    pub(super) fn new(
        stream: Arc<Stream>,
        registry: Arc<Registry>,
        room: OwnedSemaphorePermit,
        lasts: Duration,
        ping: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            registry,
            first: VecDeque::new(),
            sent: None,
            held: None,
            next_send: None,
            next_ping: now + ping,
            ends: now + lasts,
            ping,
            ending: None,
            _room: room,
        }
    }

    /// What is sent before anything that waits.
    pub(super) fn begin_with(&mut self, first: VecDeque<Arc<Notice>>) {
        self.first = first;
    }

    /// Its channel.
    #[must_use]
    pub fn channel(&self) -> &Arc<Channel> {
        &self.stream.channel
    }

    /// Waits for what is to be done next. It may be dropped while it waits, and nothing is lost.
    pub async fn next(&mut self) -> Step {
        loop {
            self.collect();
            let now = Instant::now();
            if let Some(notice) = self.due(now) {
                return Step::Send(notice);
            }
            if let Some(ending) = self.ending {
                return Step::End(ending);
            }
            if now >= self.ends {
                return Step::End(Ending::Over);
            }
            if now >= self.next_ping {
                self.next_ping = now + self.ping;
                return Step::Ping;
            }
            let mut wake = self.ends.min(self.next_ping);
            if let (Some(_), Some(next_send)) = (&self.held, self.next_send) {
                wake = wake.min(next_send);
            }
            tokio::select! {
                () = self.stream.wake.notified() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Moves what may be sent now, or is the latest of what is held back, into `held`.
    fn collect(&mut self) {
        let paced = self.stream.channel.rate_milliseconds.is_some();
        while self.held.is_none() || paced {
            if let Some(notice) = self.first.pop_front() {
                self.sent = self.sent.max(Some(notice.position));
                self.held = Some(notice);
                continue;
            }
            let Some(next) = self.stream.take() else { return };
            match next {
                Ok(notice) if self.sent.is_some_and(|sent| notice.position <= sent) => {}
                Ok(notice) => {
                    self.sent = Some(notice.position);
                    self.held = Some(notice);
                }
                Err(ending) => {
                    if ending == Ending::Revoked {
                        self.held = None;
                    }
                    self.ending = Some(ending);
                    return;
                }
            }
        }
    }

    fn due(&mut self, now: Instant) -> Option<Arc<Notice>> {
        if self.next_send.is_some_and(|next| now < next) {
            return None;
        }
        let notice = self.held.take()?;
        self.next_send = self
            .stream
            .channel
            .rate_milliseconds
            .map(|rate| now + Duration::from_millis(rate));
        self.next_ping = now + self.ping;
        Some(notice)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.registry.leave(&self.stream);
    }
}
