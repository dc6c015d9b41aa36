//! How much is sent to one host: so many deliveries at a time, and so many in a second (T61).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::WebhookConfig;

/// The bound of one host.
#[derive(Debug)]
pub(super) struct HostBound {
    at_once: Arc<Semaphore>,
    apart: Duration,
    next: Mutex<Option<Instant>>,
}

impl HostBound {
    pub(super) fn new(bounds: &WebhookConfig) -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(bounds.deliveries_per_host_max)),
            apart: Duration::from_secs(1) / bounds.deliveries_per_host_per_second_max.max(1),
            next: Mutex::new(None),
        }
    }

    /// Waits until one more may be sent. The host counts as busy until the permit is dropped.
    pub(super) async fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.at_once).acquire_owned().await.ok();
        let turn = {
            let mut next = self.next.lock();
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + self.apart);
            turn
        };
        tokio::time::sleep_until(turn).await;
        permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T61: however quick the host is, deliveries keep their distance.
    #[tokio::test]
    async fn deliveries_to_a_host_are_kept_apart() {
        let bound = HostBound::new(&WebhookConfig {
            deliveries_per_host_per_second_max: 100,
            ..WebhookConfig::default()
        });
        let started = Instant::now();
        for _ in 0..3 {
            drop(bound.admit().await);
        }
        assert!(started.elapsed() >= Duration::from_millis(20));
    }
}
