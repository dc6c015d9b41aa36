//! How far the delivery of a webhook channel is, as it is kept and as its subscriber sees it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::notify::change::Position;
use crate::notify::channel::timestamp;
use crate::notify::notice::Notice;

/// Undelivered notifications that are remembered with their reason; older ones are only counted.
const DEAD_LETTERS_MAX: usize = 20;

/// The state of a webhook channel's delivery. It is kept whenever the channel is behind, and goes on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryState {
    /// Everything up to here is done; none when nothing waits.
    pub behind_after: Option<(u64, u32)>,
    /// The present row of failures.
    pub failing: Option<Failing>,
    /// Notifications that were given up, the newest last.
    pub dead_letters: Vec<DeadLetter>,
    /// How many were given up in all.
    pub dead_letters_total: u64,
    /// When the channel was given up as a whole, Unix milliseconds.
    pub suspended_at: Option<i64>,
}

/// Failures without a success in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// First failure of the row, Unix milliseconds.
    pub since: i64,
    /// Attempts to deliver the notification that is next.
    pub attempts: u32,
    /// What went wrong last.
    pub reason: String,
    /// When it is tried again, Unix milliseconds.
    pub next_attempt_at: i64,
}

/// A notification that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its identifier.
    pub id: String,
    /// Its activity type.
    pub activity: String,
    /// The resource that it was about.
    pub object: String,
    /// Attempts that were made.
    pub attempts: u32,
    /// What went wrong last.
    pub reason: String,
    /// When it was given up, Unix milliseconds.
    pub given_up_at: i64,
}

impl DeliveryState {
    /// Everything up to here is done.
    #[must_use]
    pub fn done(&self) -> Option<Position> {
        self.behind_after.map(|(sequence, ordinal)| Position {
            sequence: crate::store::Sequence(sequence),
            ordinal,
        })
    }

    /// Remembers a notification that was given up.
    pub fn bury(&mut self, notice: &Notice, attempts: u32, reason: &str, now: i64) {
        self.dead_letters_total += 1;
        if self.dead_letters.len() >= DEAD_LETTERS_MAX {
            self.dead_letters.remove(0);
        }
        self.dead_letters.push(DeadLetter {
            id: notice.id(),
            activity: notice.activity.name().to_owned(),
            object: notice.object.clone(),
            attempts,
            reason: reason.to_owned(),
            given_up_at: now,
        });
    }

    /// What the subscriber sees of it. `waiting` is how many notifications wait.
    #[must_use]
    pub fn describe(&self, waiting: usize) -> Value {
        let status = match (&self.suspended_at, &self.failing) {
            (Some(_), _) => "suspended",
            (None, Some(_)) => "failing",
            (None, None) => "working",
        };
        let letters: Vec<Value> = self
            .dead_letters
            .iter()
            .map(|letter| {
                json!({
                    "id": letter.id,
                    "type": letter.activity,
                    "object": letter.object,
                    "attempts": letter.attempts,
                    "reason": letter.reason,
                    "givenUpAt": timestamp(letter.given_up_at),
                })
            })
            .collect();
        let mut described = Map::new();
        described.insert("status".to_owned(), status.into());
        described.insert("waiting".to_owned(), waiting.into());
        described.insert("deadLetters".to_owned(), letters.into());
        described.insert("deadLettersTotal".to_owned(), self.dead_letters_total.into());
        if let Some(failing) = &self.failing {
            described.insert("failingSince".to_owned(), timestamp(failing.since).into());
            described.insert("attempts".to_owned(), failing.attempts.into());
            described.insert("reason".to_owned(), failing.reason.as_str().into());
            described.insert("nextAttemptAt".to_owned(), timestamp(failing.next_attempt_at).into());
        }
        if let Some(suspended) = self.suspended_at {
            described.insert("suspendedAt".to_owned(), timestamp(suspended).into());
        }
        described.into()
    }
}
