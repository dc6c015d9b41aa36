//! How many refusals of anonymous requests enter the audit log per second.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter per second, without a lock. What is over the bound is counted in metrics but not recorded.
#[derive(Debug)]
pub(super) struct DenialRate {
    per_second_max: u32,
    /// Second in the upper half, count in the lower.
    window: AtomicU64,
}

impl DenialRate {
    pub(super) const fn new(per_second_max: u32) -> Self {
        Self {
            per_second_max,
            window: AtomicU64::new(0),
        }
    }

    /// Whether one more may be recorded in this second.
    pub(super) fn admit(&self, unix_seconds: i64) -> bool {
        let second = unix_seconds.cast_unsigned() & 0xFFFF_FFFF;
        let next = |window: u64| {
            let count = if window >> 32 == second {
                window & 0xFFFF_FFFF
            } else {
                0
            };
            (count < u64::from(self.per_second_max)).then_some((second << 32) | (count + 1))
        };
        self.window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_per_second() {
        let rate = DenialRate::new(3);
        assert_eq!((0..10).filter(|_| rate.admit(1_000)).count(), 3);
        assert_eq!((0..10).filter(|_| rate.admit(1_001)).count(), 3);
    }
}
