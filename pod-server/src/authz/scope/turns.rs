//! Queries whose uses are counted go one after the other, agreement by agreement, so that none fails because of another.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::Mutex;

/// Agreements that share a turn by chance wait for each other, which costs time and nothing else.
const TURNS: usize = 64;

/// Turns by agreement.
#[derive(Debug)]
pub(super) struct Turns {
    hasher: RandomState,
    turns: [Mutex<()>; TURNS],
    other: Mutex<()>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            turns: std::array::from_fn(|_| Mutex::new(())),
            other: Mutex::new(()),
        }
    }
}

impl Turns {
    /// The turn of an agreement.
    pub(super) fn of(&self, agreement: &str) -> &Mutex<()> {
        let place = self.hasher.hash_one(agreement) % TURNS as u64;
        let place = usize::try_from(place).unwrap_or(0);
        self.turns.get(place).unwrap_or(&self.other)
    }
}
