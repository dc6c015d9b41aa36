//! When answers of aggregates leave: at few times, whatever their evaluation took (T96).
//!
//! How long an evaluation takes tells what it met. Answers wait for the next step of a geometric series, each step twice
//! the one before, so that all of a range of durations look alike; what is left is one bit per doubling, for queries
//! whose cost lies near a step.

use std::time::Duration;

/// The time after its beginning at which an answer leaves that is ready after `taken`: the next of `first`, twice that,
/// four times that, and so on, and at most `last`. Nothing is waited for when `first` is zero.
pub(super) fn departure(taken: Duration, first: Duration, last: Duration) -> Duration {
    let mut step = first;
    if step.is_zero() {
        return taken;
    }
    while step < taken && step < last {
        step = step.saturating_mul(2);
    }
    step.min(last).max(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirements T96.
    #[test]
    fn answers_leave_at_few_times() {
        let millis = Duration::from_millis;
        for (taken, leaves) in [
            (0, 50),
            (1, 50),
            (50, 50),
            (51, 100),
            (100, 100),
            (399, 400),
            (20_000, 25_600),
            (26_000, 30_000),
            (31_000, 31_000),
        ] {
            assert_eq!(
                departure(millis(taken), millis(50), millis(30_000)),
                millis(leaves),
                "{taken}"
            );
        }
        assert_eq!(departure(millis(3), Duration::ZERO, millis(30_000)), millis(3));
    }
}
