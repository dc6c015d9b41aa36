//! The threads on which queries are parsed and evaluated.
//!
//! Evaluation blocks and recurses; it gets a few threads of its own with a large stack, and a bounded queue. A panic in
//! one evaluation ends that evaluation only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;

/// Stack of each thread. Reserved address space; memory is used only as deep as a query needs.
pub const STACK_BYTES: usize = 128 * 1024 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of evaluating threads.
#[derive(Clone, Debug)]
pub struct Pool {
    jobs: SyncSender<Job>,
}

/// All threads are busy and the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many queries are waiting")]
pub struct PoolFull;

impl Pool {
    /// Starts the threads. They end when the last handle is dropped.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let (jobs, receiver) = sync_channel::<Job>(waiting_max);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name("query".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || work(&receiver))?;
        }
        Ok(Self { jobs })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// [`PoolFull`]; the job is dropped.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolFull> {
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(PoolFull),
        }
    }

    /// Runs a job and waits for its value; none if it panicked.
    ///
    /// # Errors
    /// [`PoolFull`].
    pub async fn value<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, PoolFull> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.run(move || {
            // The receiver may have gone away with its request.
            let _ = sender.send(job());
        })?;
        Ok(receiver.await.ok())
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().recv();
        let Ok(job) = job else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("an evaluation panicked; its query failed and the server goes on");
        }
    }
}
