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
    /// Most triples of members' documents that are in memory for all queries together; about half a gigabyte for a million.
    pub held_triples_max: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            member_requests_max: 4,
            requests_max: 64,
            failures_max: 5,
            rest_ms: 10_000,
            held_triples_max: 2_000_000,
        }
    }
}

/// One gate per broker, shared by all queries.
#[derive(Debug)]
pub struct Gate {
    limits: GateLimits,
    all: Arc<Semaphore>,
    room: Arc<Semaphore>,
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

/// Room for triples: with the document that holds them, and with what is put together from it.
pub(crate) type Room = Arc<OwnedSemaphorePermit>;

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
        let room = Arc::new(Semaphore::new(limits.held_triples_max.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            limits,
            all,
            room,
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

    /// Room in memory for triples, until it is dropped; `None` when there is too little left.
    pub(crate) fn room(&self, triples: usize) -> Option<Room> {
        let permits = u32::try_from(triples).ok()?;
        Arc::clone(&self.room)
            .try_acquire_many_owned(permits)
            .ok()
            .map(Arc::new)
    }

    /// Whether half of all room is free: only then is anything kept in memory that no query needs now.
    pub(crate) fn has_room_to_spare(&self) -> bool {
        self.room.available_permits() >= self.limits.held_triples_max / 2
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

/// Tells the gate what became of a request, also when the request is cut off by its timeout.
pub(crate) struct Told<'a> {
    gate: &'a Gate,
    passage: Option<Passage>,
}

impl<'a> Told<'a> {
    pub(crate) fn new(gate: &'a Gate, passage: Passage) -> Self {
        Self {
            gate,
            passage: Some(passage),
        }
    }

    pub(crate) fn tell(mut self, result: Result<(), &FetchError>) {
        if let Some(passage) = self.passage.take() {
            self.gate.told(&passage, result);
        }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if let Some(passage) = self.passage.take() {
            self.gate.told(&passage, Err(&FetchError::TimedOut(0)));
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
