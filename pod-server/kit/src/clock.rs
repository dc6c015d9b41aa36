//! The time of day as an argument.
//!
//! Rules and protocols that depend on time take a [`Clock`]; nothing else in the servers may ask the system for the time
//! of day, so that every time-dependent rule can be tested at any moment.

use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// The present moment, in UTC.
    fn now(&self) -> OffsetDateTime;

    /// The present moment in whole seconds since 1970-01-01T00:00:00Z.
    fn unix(&self) -> i64 {
        self.now().unix_timestamp()
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows a number of seconds since 1970-01-01T00:00:00Z.
    pub fn at_unix(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds))
    }

    /// Moves the clock to a number of seconds since 1970-01-01T00:00:00Z.
    pub fn set_unix(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    /// Moves the clock by a number of seconds, backwards if negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::SeqCst)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn unix(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::at_unix(1_000);
        assert_eq!((clock.unix(), clock.now().unix_timestamp()), (1_000, 1_000));
        clock.advance(-5);
        assert_eq!(clock.unix(), 995);
    }
}
