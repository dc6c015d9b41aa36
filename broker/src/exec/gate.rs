//! Protection of the sources from the broker: few requests at a time per member and in all, and a rest for members that fail.

use crate::fetch::FetchError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds on asking.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateLimits {
    /// Requests to one member at a time.
    pub member_requests_max: usize,
    /// Requests to all members at a time.
    pub requests_max: usize,
    /// Failures in a row after which a member rests.
    pub failures_max: u32,
    /// How long it rests, in milliseconds.
    pub rest_ms: u64,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            member_requests_max: 4,
            requests_max: 64,
            failures_max: 5,
            rest_ms: 10_000,
        }
    }
}

/// One gate per broker, shared by all queries.
#[derive(Debug)]
pub struct Gate {
    limits: GateLimits,
    all: Arc<Semaphore>,
    members: Mutex<HashMap<String, Arc<Member>>>,
}

#[derive(Debug)]
struct Member {
    permits: Arc<Semaphore>,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

/// The right to send one request; what became of it must be told.
#[derive(Debug)]
pub struct Passage {
    member: Arc<Member>,
    _member: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate with these bounds.
    #[must_use]
    pub fn new(limits: GateLimits) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(limits.requests_max.max(1)));
        Arc::new(Self {
            limits,
            all,
            members: Mutex::new(HashMap::new()),
        })
    }

    fn member(&self, name: &str) -> Arc<Member> {
        let mut members = self.members.lock();
        Arc::clone(members.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Member {
                permits: Arc::new(Semaphore::new(self.limits.member_requests_max.max(1))),
                health: Mutex::new(Health::default()),
            })
        }))
    }

    /// Waits for a turn at a member. Waiting counts against the caller's own deadline.
    ///
    /// # Errors
    /// [`FetchError::CircuitOpen`] while the member rests.
    pub async fn pass(&self, name: &str) -> Result<Passage, FetchError> {
        let member = self.member(name);
        member.awake()?;
        let closed = |_| FetchError::Unreachable;
        let own = Arc::clone(&member.permits).acquire_owned().await.map_err(closed)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(closed)?;
        member.awake()?;
        Ok(Passage {
            member,
            _member: own,
            _all: all,
        })
    }

    /// Tells what became of a request. Refusals are answers: they do not count as failures.
    pub fn told(&self, passage: &Passage, result: Result<(), &FetchError>) {
        let failed = match result {
            Ok(()) | Err(FetchError::Refused { .. } | FetchError::NoToken(_) | FetchError::Budget(_)) => false,
            Err(FetchError::Status { status, .. }) => *status >= 500,
            Err(_) => true,
        };
        let mut health = passage.member.health.lock();
        if failed {
            health.failures = health.failures.saturating_add(1);
            if health.failures >= self.limits.failures_max {
                health.rests_until = Instant::now().checked_add(Duration::from_millis(self.limits.rest_ms));
            }
        } else {
            *health = Health::default();
        }
    }
}

impl Member {
    fn awake(&self) -> Result<(), FetchError> {
        let health = self.health.lock();
        match health.rests_until {
            // After the rest one request at a time finds out: the first failure sends it back to rest.
            Some(until) if Instant::now() < until => Err(FetchError::CircuitOpen(health.failures)),
            _ => Ok(()),
        }
    }
}
