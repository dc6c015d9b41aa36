//! One webhook channel with what waits for its receiver: a bounded window over the store's outbox.
//!
//! When the window is full, later changes are left in the outbox and read from there once there is room, so that a
//! receiver that was away for long costs little memory and misses nothing that is still kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::delivery_state::{DeliveryState, Failing};
use crate::notify::change::{Change, Position};
use crate::notify::channel::Channel;
use crate::notify::notice::Notice;
use crate::store::Sequence;

/// A webhook channel.
#[derive(Debug)]
pub struct Webhook {
    /// Its channel.
    pub channel: Arc<Channel>,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    changes: VecDeque<Change>,
    /// Everything up to here is in the window, or done.
    taken: Position,
    /// Everything up to here is done.
    done: Position,
    /// The newest commit with a change that was left in the outbox.
    left_out: Option<Sequence>,
    /// Somebody works on it.
    working: bool,
    /// The channel was deleted.
    removed: bool,
    state: DeliveryState,
    /// The state has to be kept.
    dirty: bool,
    /// When the last notification was delivered, Unix milliseconds.
    sent_at: Option<i64>,
}

/// What a worker does next.
#[derive(Debug)]
pub enum Next {
    /// Deliver this.
    Deliver(Change),
    /// Read the outbox after this position.
    Read(Position),
    /// Nothing; another worker is started when there is something again.
    Rest,
}

impl Webhook {
    /// A channel whose delivery is done up to a position. Nothing is taken in before [`Self::catch_up`].
    #[must_use]
    pub fn new(channel: Arc<Channel>, state: DeliveryState, done: Position) -> Self {
        Self {
            channel,
            window: Mutex::new(Window {
                changes: VecDeque::new(),
                taken: done,
                done,
                left_out: Some(done.sequence),
                working: false,
                removed: false,
                state,
                dirty: false,
                sent_at: None,
            }),
        }
    }

    /// The channel hears of changes from now on: what lies before, up to `newest`, is read from the outbox.
    pub fn catch_up(&self, newest: Sequence) {
        let mut window = self.window.lock();
        window.left_out = window.left_out.max(Some(newest));
    }

    /// Takes a change in; true if somebody has to begin to work.
    pub fn take_in(&self, change: &Change, changes_max: usize) -> bool {
        let mut window = self.window.lock();
        if window.is_closed() || change.position <= window.taken {
            return false;
        }
        if window.left_out.is_some() || window.changes.len() >= changes_max {
            window.left_out = window.left_out.max(Some(change.position.sequence));
        } else {
            window.taken = change.position;
            window.changes.push_back(change.clone());
        }
        window.dirty = true;
        !std::mem::replace(&mut window.working, true)
    }

    /// Claims the work that there is; false if there is none or somebody is at it.
    pub fn claim(&self) -> bool {
        let mut window = self.window.lock();
        if window.is_closed() || window.working || (window.changes.is_empty() && window.left_out.is_none()) {
            return false;
        }
        window.working = true;
        true
    }

    /// What the worker does next.
    pub fn next(&self) -> Next {
        let mut window = self.window.lock();
        if window.is_closed() {
            window.working = false;
            return Next::Rest;
        }
        match (window.changes.front(), window.left_out) {
            (Some(change), _) => Next::Deliver(change.clone()),
            (None, Some(_)) => Next::Read(window.taken),
            (None, None) => {
                window.working = false;
                Next::Rest
            }
        }
    }

    /// Adds what the outbox holds after what was taken, up to a commit that was read completely.
    pub fn fill(&self, changes: Vec<Change>, read_up_to: Sequence, changes_max: usize) {
        let mut window = self.window.lock();
        for change in changes {
            if change.position <= window.taken {
                continue;
            }
            if window.changes.len() >= changes_max {
                return;
            }
            window.taken = change.position;
            window.changes.push_back(change);
        }
        // Nothing of these commits is left, whatever their last change was.
        let end = Position {
            sequence: read_up_to,
            ordinal: u32::MAX,
        };
        window.taken = window.taken.max(end);
        if window.left_out.is_some_and(|left_out| left_out <= read_up_to) {
            window.left_out = None;
        }
        if window.changes.is_empty() {
            window.done = window.done.max(window.taken);
        }
        window.dirty = true;
    }

    /// The first change is dealt with: delivered, given up, or not to be told.
    pub fn advance(&self) {
        let mut window = self.window.lock();
        window.step();
        window.dirty = true;
    }

    /// As [`Self::advance`] for everything but the last change that waits, which `rate` lets stand for all of them.
    pub fn skip_to_latest(&self) {
        let mut window = self.window.lock();
        while window.changes.len() > 1 {
            window.step();
        }
        window.dirty = true;
    }

    /// The first change was delivered.
    pub fn delivered(&self, now: i64) {
        let mut window = self.window.lock();
        window.step();
        window.sent_at = Some(now);
        window.state.failing = None;
        window.dirty = true;
    }

    /// An attempt failed; returns how many attempts that makes, and since when it fails.
    pub fn failed(&self, reason: &str, now: i64) -> (u32, i64) {
        let mut window = self.window.lock();
        let before = window.state.failing.take();
        let (attempts, since) = before.map_or((0, now), |failing| (failing.attempts, failing.since));
        window.state.failing = Some(Failing {
            since,
            attempts: attempts + 1,
            reason: reason.to_owned(),
            next_attempt_at: now,
        });
        window.dirty = true;
        (attempts + 1, since)
    }

    /// How long `rate` still holds the next notification back.
    #[must_use]
    pub fn pace(&self, now: i64) -> Option<Duration> {
        let rate = i64::try_from(self.channel.rate_milliseconds?).unwrap_or(i64::MAX);
        let next = self.window.lock().sent_at?.saturating_add(rate);
        (next > now).then(|| Duration::from_millis(next.abs_diff(now)))
    }

    /// Nobody works on it any more, although there may be work.
    pub fn rest(&self) {
        self.window.lock().working = false;
    }

    /// When the next attempt is made.
    pub fn retry_at(&self, moment: i64) {
        let mut window = self.window.lock();
        if let Some(failing) = &mut window.state.failing {
            failing.next_attempt_at = moment;
        }
        window.dirty = true;
    }

    /// When the next attempt may be made after a restart, Unix milliseconds.
    #[must_use]
    pub fn not_before(&self) -> Option<i64> {
        let window = self.window.lock();
        window.state.failing.as_ref().map(|failing| failing.next_attempt_at)
    }

    /// Gives the first change up.
    pub fn bury(&self, notice: &Notice, attempts: u32, reason: &str, now: i64) {
        let mut window = self.window.lock();
        window.step();
        window.state.bury(notice, attempts, reason, now);
        if let Some(failing) = &mut window.state.failing {
            failing.attempts = 0;
        }
        window.dirty = true;
    }

    /// Gives the whole channel up: nothing is sent any more.
    pub fn suspend(&self, now: i64) {
        let mut window = self.window.lock();
        window.state.suspended_at = Some(now);
        window.changes = VecDeque::new();
        window.left_out = None;
        window.dirty = true;
    }

    /// The channel is gone.
    pub fn remove(&self) {
        let mut window = self.window.lock();
        window.removed = true;
        window.changes = VecDeque::new();
    }

    /// The state to keep, if it changed since it was asked last.
    #[must_use]
    pub fn to_keep(&self) -> Option<DeliveryState> {
        let mut window = self.window.lock();
        if window.removed || !std::mem::take(&mut window.dirty) {
            return None;
        }
        let mut state = window.state.clone();
        let behind = !window.changes.is_empty() || window.left_out.is_some();
        state.behind_after = behind.then_some((window.done.sequence.0, window.done.ordinal));
        Some(state)
    }

    /// Keeping did not succeed: it is due again.
    pub fn keep_again(&self) {
        self.window.lock().dirty = true;
    }

    /// The state, and how many changes wait in memory.
    #[must_use]
    pub fn state(&self) -> (DeliveryState, usize) {
        let window = self.window.lock();
        (window.state.clone(), window.changes.len())
    }
}

impl Window {
    fn is_closed(&self) -> bool {
        self.removed || self.state.suspended_at.is_some()
    }

    fn step(&mut self) {
        if let Some(change) = self.changes.pop_front() {
            self.done = change.position;
        }
        if self.changes.is_empty() {
            self.changes = VecDeque::new();
            self.done = self.done.max(self.taken);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::name::ResourceName;
    use crate::notify::change::Activity;

    fn change(sequence: u64) -> Change {
        let topic = ResourceName::parse("/a/b").unwrap();
        Change {
            position: Position {
                sequence: Sequence(sequence),
                ordinal: 0,
            },
            object: topic.clone(),
            topic,
            activity: Activity::Update,
        }
    }

    fn hook() -> Webhook {
        let channel: Channel = serde_json::from_value(serde_json::json!({
            "id": "i", "storage": "a", "kind": "WebhookChannel2023", "topics": ["/a/b"], "context": "channel",
            "secret": "", "send_to": "https://receiver.example/", "start_at": null, "end_at": 0, "state": null,
            "rate_milliseconds": null, "accept": null, "syntax": "application/ld+json", "since": 0,
            "subscriber": policies::request::Subject::public(),
        }))
        .unwrap();
        let hook = Webhook::new(Arc::new(channel), DeliveryState::default(), Position::default());
        hook.catch_up(Sequence(0));
        assert!(hook.claim());
        hook.fill(Vec::new(), Sequence(0), 9);
        assert!(matches!(hook.next(), Next::Rest));
        assert!(hook.to_keep().is_some());
        hook
    }

    fn delivered(hook: &Webhook) -> Vec<u64> {
        let mut delivered = Vec::new();
        while let Next::Deliver(change) = hook.next() {
            delivered.push(change.position.sequence.0);
            hook.delivered(0);
        }
        delivered
    }

    /// A full window leaves the rest in the outbox, in order, and says how far everything is done.
    #[test]
    fn a_full_window_reads_on_from_the_outbox() {
        let hook = hook();
        assert!(hook.take_in(&change(1), 2), "the first change starts the work");
        for sequence in 2..=5 {
            assert!(!hook.take_in(&change(sequence), 2));
        }
        assert_eq!(hook.to_keep().unwrap().behind_after, Some((0, u32::MAX)));
        assert!(hook.to_keep().is_none());
        assert_eq!(delivered(&hook), [1, 2]);
        let Next::Read(after) = hook.next() else { unreachable!() };
        assert_eq!(after.sequence, Sequence(2));
        assert_eq!(hook.to_keep().unwrap().behind_after, Some((2, 0)));
        hook.fill(vec![change(2), change(3), change(4), change(5)], Sequence(5), 2);
        assert_eq!(delivered(&hook), [3, 4]);
        hook.fill(vec![change(5)], Sequence(6), 2);
        assert!(!hook.take_in(&change(6), 2), "commit 6 was read completely");
        assert_eq!(delivered(&hook), [5]);
        assert!(matches!(hook.next(), Next::Rest));
        assert_eq!(hook.to_keep().unwrap().behind_after, None);
        assert!(hook.take_in(&change(7), 2), "after a rest somebody has to begin again");
    }

    #[test]
    fn failures_are_counted_and_shown() {
        let hook = hook();
        hook.take_in(&change(1), 9);
        assert_eq!(hook.failed("status 500", 10), (1, 10));
        assert_eq!(hook.failed("status 502", 20), (2, 10));
        let (state, waiting) = hook.state();
        let shown = state.describe(waiting);
        assert_eq!((&shown["status"], &shown["waiting"]), (&"failing".into(), &1.into()));
        let origins = crate::origins::Origins::new("https://pod.example/");
        let notice = Notice::of(&change(1), &origins, None, 0);
        hook.bury(&notice, 2, "status 502", 30);
        let (state, _) = hook.state();
        let shown = state.describe(0);
        assert_eq!(shown["deadLetters"][0]["object"], "https://pod.example/a/b");
        assert_eq!(shown["deadLettersTotal"], 1);
        hook.suspend(40);
        assert!(!hook.take_in(&change(2), 9));
        assert!(!hook.claim());
        assert_eq!(hook.state().0.describe(0)["status"], "suspended");
    }
}
