//! Whether what a token of this server's own issuer was given for still stands: an approval, a log-in, client credentials.
//!
//! A token names its grant (`grant_id`). The answer is remembered together with the grant's epoch, which changes whenever
//! something about the grant's account changes; so a revocation counts from the next request (T40), and a request costs
//! one comparison of numbers as long as nothing has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Knows the grants that this server has given.
pub trait LocalGrants: Send + Sync {
    /// A number that changes with every change that may end the grant, before the change is acknowledged. Never
    /// `u64::MAX`.
    fn epoch(&self, grant: &str) -> u64;

    /// Whether the grant stands now, as the store says.
    fn stands(&self, grant: &str) -> bool;
}

/// The grant of one token, with the epoch at which it was last seen to stand.
#[derive(Debug)]
pub(super) struct TokenGrant {
    pub(super) name: Arc<str>,
    seen: AtomicU64,
}

impl TokenGrant {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            seen: AtomicU64::new(u64::MAX),
        }
    }

    /// Whether it stands now. The epoch is read before the store, so that a change in between is seen next time.
    pub(super) fn stands(&self, grants: &dyn LocalGrants) -> bool {
        let epoch = grants.epoch(&self.name);
        if self.seen.load(Ordering::Acquire) == epoch {
            return true;
        }
        let stands = grants.stands(&self.name);
        if stands {
            self.seen.store(epoch, Ordering::Release);
        }
        stands
    }
}
