//! The queue in front of the writer.
//!
//! The writer takes everything that waits at once, and is woken only when as many wait as it asked for: waking it for each
//! commit of a group would cost more than most commits do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::group;
use crate::store::{AuditEntry, ErasedDone, ErasedUse, ErasedWork, StoreError};

/// A commit that waits in the queue.
pub(super) struct Queued {
    pub(super) entry: Option<AuditEntry>,
    pub(super) work: Job,
}

/// What a commit does.
pub(super) enum Job {
    /// It may write.
    Write(ErasedWork),
    /// It only appends its entry.
    Use(ErasedUse),
}

impl Queued {
    /// Tells its caller that nothing came of it.
    pub(super) fn refuse(self, error: StoreError) {
        group::tell(self.work.into_done(), Err(error));
    }
}

impl Job {
    fn into_done(self) -> ErasedDone {
        match self {
            Self::Write(work) => work.done,
            Self::Use(used) => used.done,
        }
    }
}

/// Commits on their way to the writer, in order.
pub(super) struct Queue {
    state: Mutex<State>,
    /// As many wait as the writer wants, or the queue was closed.
    enough: Condvar,
    /// There is room again.
    room: Condvar,
    waiting_max: usize,
}

struct State {
    waiting: VecDeque<Queued>,
    /// The number at which the writer wants to be woken; none while it is at work.
    wanted: Option<usize>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                wanted: None,
                closed: false,
            }),
            enough: Condvar::new(),
            room: Condvar::new(),
            waiting_max: waiting_max.max(1),
        }
    }

    /// Adds a commit; waits where the queue is full. Once the queue is closed the commit comes back.
    pub(super) fn push(&self, queued: Queued) -> Result<(), Queued> {
        let mut state = self.state.lock();
        while !state.closed && state.waiting.len() >= self.waiting_max {
            // A full queue is more than enough.
            self.enough.notify_one();
            self.room.wait(&mut state);
        }
        if state.closed {
            return Err(queued);
        }
        state.waiting.push_back(queued);
        let wake = state.wanted.is_some_and(|wanted| state.waiting.len() >= wanted);
        if wake {
            state.wanted = None;
        }
        drop(state);
        if wake {
            self.enough.notify_one();
        }
        Ok(())
    }

    /// Takes nothing more in. What waits can still be taken.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.enough.notify_one();
        self.room.notify_all();
    }

    /// Whether it was closed and everything in it was taken.
    pub(super) fn has_ended(&self) -> bool {
        let state = self.state.lock();
        state.closed && state.waiting.is_empty()
    }

    /// Takes up to `taken_max` commits as soon as `wanted` of them wait, or what is there after `wait_max`.
    pub(super) fn take(&self, wanted: usize, taken_max: usize, wait_max: Duration) -> VecDeque<Queued> {
        let deadline = Instant::now() + wait_max;
        let wanted = wanted.min(self.waiting_max);
        let mut state = self.state.lock();
        while state.waiting.len() < wanted && !state.closed {
            state.wanted = Some(wanted);
            if self.enough.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.wanted = None;
        let was_full = state.waiting.len() >= self.waiting_max;
        let taken = if state.waiting.len() <= taken_max {
            std::mem::take(&mut state.waiting)
        } else {
            state.waiting.drain(..taken_max).collect()
        };
        drop(state);
        if was_full {
            self.room.notify_all();
        }
        taken
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn queued(number: u64) -> Queued {
        let entry = AuditEntry {
            leaf: [0; 32],
            record: number.to_be_bytes().to_vec(),
            storages: Vec::new(),
            subjects: Vec::new(),
        };
        let work = Job::Use(ErasedUse {
            holds: Box::new(|_| Ok(true)),
            done: Box::new(|_| {}),
        });
        Queued {
            entry: Some(entry),
            work,
        }
    }

    fn number(queued: &Queued) -> u64 {
        let record = &queued.entry.as_ref().unwrap().record;
        u64::from_be_bytes(record.as_slice().try_into().unwrap())
    }

    /// From several threads into a queue that is often full: each caller's commits come out once and in order.
    #[test]
    fn nothing_is_lost_or_reordered() {
        const EACH: u64 = 500;
        const THREADS: u64 = 4;
        let queue = Arc::new(Queue::new(7));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || {
                    for count in 0..EACH {
                        assert!(queue.push(queued(thread * EACH + count)).is_ok());
                    }
                })
            })
            .collect();
        let mut out = Vec::new();
        while out.len() < usize::try_from(EACH * THREADS).unwrap() {
            for taken in queue.take(3, 5, Duration::from_millis(20)) {
                out.push(number(&taken));
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
        for thread in 0..THREADS {
            let own: Vec<u64> = out.iter().copied().filter(|number| number / EACH == thread).collect();
            assert_eq!(own, (thread * EACH..(thread + 1) * EACH).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_waits_when_it_closes_is_still_taken_and_nothing_comes_after() {
        let queue = Queue::new(4);
        assert!(queue.push(queued(1)).is_ok());
        queue.close();
        assert!(queue.push(queued(2)).is_err());
        assert!(!queue.has_ended());
        assert_eq!(
            queue.take(9, 9, Duration::from_secs(60)).len(),
            1,
            "it waits for nobody"
        );
        assert!(queue.has_ended());
    }
}
