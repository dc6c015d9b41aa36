//! Room for standing queries: how many there are in all and of one consumer, and how many bytes are kept of them.

use super::limits::StandingLimits;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use parking_lot::Mutex;
use server_kit::problem::Problem;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seconds after which it is worth trying again where there was no room.
const RETRY_SECONDS: u32 = 10;

/// What is taken.
pub(super) struct Places {
    taken: Arc<Mutex<HashMap<String, usize>>>,
    bytes: Arc<AtomicUsize>,
    limits: StandingLimits,
}

/// The place of one query.
pub(super) struct Place {
    taken: Arc<Mutex<HashMap<String, usize>>>,
    consumer: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        let left = taken.get(&self.consumer).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.consumer);
        } else {
            taken.insert(std::mem::take(&mut self.consumer), left);
        }
    }
}

/// The bytes that are kept of one query.
#[derive(Debug)]
pub(super) struct Kept {
    own: usize,
    all: Arc<AtomicUsize>,
    own_max: usize,
    all_max: usize,
}

impl Places {
    pub(super) fn new(limits: &StandingLimits) -> Self {
        Self {
            taken: Arc::default(),
            bytes: Arc::default(),
            limits: limits.clone(),
        }
    }

    /// A place for one more query of a consumer.
    ///
    /// # Errors
    /// 429 when the consumer has as many as one may have, 503 when there are as many as there may be, with the bound.
    pub(super) fn take(&self, consumer: &str) -> Result<Place, Problem> {
        let mut taken = self.taken.lock();
        let own = taken.get(consumer).copied().unwrap_or(0);
        let (own_max, all_max) = (self.limits.queries_per_consumer_max, self.limits.queries_max);
        if own >= own_max {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-standing-queries",
                "Too many standing queries",
            )
            .detail(format!(
                "{own_max} of yours stand, as many as `standing.queries_per_consumer_max` allows: hang up on one first"
            ))
            .header(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS)));
        }
        if taken.values().sum::<usize>() >= all_max {
            let words = format!("{all_max} standing queries stand, as many as `standing.queries_max` allows");
            return Err(Problem::unavailable(words, RETRY_SECONDS));
        }
        taken.insert(consumer.to_owned(), own + 1);
        Ok(Place {
            taken: Arc::clone(&self.taken),
            consumer: consumer.to_owned(),
        })
    }

    /// Room for what is kept of a query: none yet.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            own: 0,
            all: Arc::clone(&self.bytes),
            own_max: self.limits.bytes_max,
            all_max: self.limits.bytes_in_all_max,
        }
    }

    /// Whether less is free than one query may take.
    pub(super) fn is_short(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) + self.limits.bytes_max > self.limits.bytes_in_all_max
    }
}

impl Kept {
    /// Keeps so many bytes from now on.
    ///
    /// # Errors
    /// The bound that is in the way.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), String> {
        // What is kept for coming back takes up to as much again as the rows.
        if bytes > self.own_max.saturating_mul(2) {
            return Err(format!("more than {} bytes (`standing.bytes_max`)", self.own_max));
        }
        let all = if bytes >= self.own {
            self.all.fetch_add(bytes - self.own, Ordering::Relaxed) + bytes - self.own
        } else {
            self.all.fetch_sub(self.own - bytes, Ordering::Relaxed) - (self.own - bytes)
        };
        let grown = bytes > self.own;
        self.own = bytes;
        if grown && all > self.all_max {
            return Err(format!(
                "all standing queries together more than {} bytes (`standing.bytes_in_all_max`)",
                self.all_max
            ));
        }
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_and_bytes_are_bounded_and_given_back() {
        let limits = StandingLimits {
            queries_max: 3,
            queries_per_consumer_max: 2,
            bytes_max: 100,
            bytes_in_all_max: 250,
            ..StandingLimits::default()
        };
        let places = Places::new(&limits);
        let (first, _second) = (places.take("a").unwrap(), places.take("a").unwrap());
        let refused = places.take("a").map(drop).unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.detail.contains("standing.queries_per_consumer_max"));
        let _third = places.take("b").unwrap();
        let refused = places.take("c").map(drop).unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.detail.contains("standing.queries_max"));
        drop(first);
        assert!(places.take("c").is_ok());

        let (mut one, mut two) = (places.kept(), places.kept());
        assert_eq!(one.resize(160), Ok(()));
        assert!(places.is_short() && one.resize(201).is_err());
        assert!(two.resize(150).unwrap_err().contains("standing.bytes_in_all_max"));
        assert_eq!(one.resize(50), Ok(()));
        drop(two);
        assert_eq!(places.bytes.load(Ordering::Relaxed), 50);
        drop(one);
        assert_eq!(places.bytes.load(Ordering::Relaxed), 0);
    }
}
