//! Commits: work for the writer, and waiting until it is durable.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Store;
use super::error::StoreError;
use super::permit::Warrant;
use super::resource::Sequence;
use super::snapshot::Snapshot;
use super::transaction::Transaction;

/// The body of a commit. An `Err` rolls this commit back and leaves the others of its group alone.
pub type Work<T, E> = Box<dyn FnOnce(&mut dyn Transaction) -> Result<T, CommitError<E>> + Send>;

/// Why a commit did not happen. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// The caller's own rule refused (a failed precondition, a conflict).
    #[error("the write was refused")]
    Refused(E),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a finished commit tells: its position, and the index of its audit leaf if it had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Position.
    pub sequence: Sequence,
    /// Index of the leaf that its warrant carried.
    pub leaf: Option<u64>,
}

/// The inside of a commit without its types; false rolls it back.
pub type ErasedRun = Box<dyn FnOnce(&mut dyn Transaction) -> bool + Send>;

/// Hears what became of a commit.
pub type ErasedDone = Box<dyn FnOnce(Result<Committed, StoreError>) + Send>;

/// A commit without its types: runs inside the transaction, then `done` hears whether the group became durable.
pub struct ErasedWork {
    /// Runs inside the transaction; false rolls this commit back.
    pub run: ErasedRun,
    /// Called once, after the sync (or after the failure), on the writer's thread. A commit that rolled itself back hears
    /// `Ok` as soon as the state on which it decided is durable.
    pub done: ErasedDone,
}

/// Whether what a use was permitted on still holds, asked inside the transaction. It only reads.
pub type Check = Box<dyn FnOnce(&dyn Snapshot) -> Result<bool, StoreError> + Send>;

/// A use that changes nothing but the audit log: its entry is appended if `holds` says so.
pub struct ErasedUse {
    /// Asked inside the transaction.
    pub holds: Check,
    /// As [`ErasedWork::done`]; without a leaf when it did not hold.
    pub done: ErasedDone,
}

/// Appends the entry of a use if what it rests on still holds, and waits until it is durable, but no longer than
/// [`Store::use_wait_max`]. Cheaper than [`commit`], because nothing has to be undone when it does not. Answers the index of
/// the leaf; none if it did not hold.
///
/// # Errors
/// When the store fails, or does not answer. Then the use must not take place; the entry may become durable all the same.
pub async fn record_use(store: &dyn Store, warrant: Warrant, holds: Check) -> Result<Option<u64>, StoreError> {
    in_time(store, recorded(store, warrant, holds)).await
}

/// Waits for an entry to be durable, but not for ever: a disk that hangs must not hold up everybody (T106).
///
/// # Errors
/// As the entry; [`StoreError::Busy`] when the time is over.
pub async fn in_time<T>(
    store: &dyn Store,
    entry: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let waited = tokio::time::timeout(store.use_wait_max(), entry).await;
    waited.unwrap_or(Err(StoreError::Busy(
        "the audit log cannot be written now; nothing is handed out",
    )))
}

async fn recorded(store: &dyn Store, warrant: Warrant, holds: Check) -> Result<Option<u64>, StoreError> {
    let room = store
        .admission()
        .acquire_owned()
        .await
        .map_err(|_| StoreError::Stopped)?;
    let (sender, receiver) = oneshot::channel();
    let done = Box::new(move |durable| {
        drop(room);
        let _ = sender.send(durable);
    });
    store.enqueue_use(warrant, ErasedUse { holds, done });
    Ok(receiver.await.map_err(|_| StoreError::Stopped)??.leaf)
}

type Outcome<T, E> = Arc<Mutex<Option<Result<T, CommitError<E>>>>>;

/// Carries out one commit and waits until it is durable. Once queued it stands, even if nobody waits any more.
///
/// # Errors
/// [`CommitError::Refused`] with the caller's own error, or [`CommitError::Store`].
pub async fn commit<T, E>(
    store: &dyn Store,
    warrant: Warrant,
    work: Work<T, E>,
) -> Result<(T, Committed), CommitError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let room = store
        .admission()
        .acquire_owned()
        .await
        .map_err(|_| StoreError::Stopped)?;
    let (sender, receiver) = oneshot::channel();
    let (run, outcome) = erase(work);
    let done = Box::new(move |durable| {
        drop(room);
        // The receiver may be gone: its request was cut off. The commit stands all the same.
        let _ = sender.send(durable);
    });
    store.enqueue(warrant, ErasedWork { run, done });
    let durable = receiver.await.map_err(|_| StoreError::Stopped)?;
    conclude(&outcome, durable)
}

/// As [`commit`], for threads that may wait: imports, commands, tests. Never call it on a thread of an async runtime.
///
/// # Errors
/// As [`commit`].
pub fn commit_blocking<T, E>(
    store: &dyn Store,
    warrant: Warrant,
    work: Work<T, E>,
) -> Result<(T, Committed), CommitError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let (run, outcome) = erase(work);
    let done = Box::new(move |durable| {
        let _ = sender.send(durable);
    });
    store.enqueue(warrant, ErasedWork { run, done });
    let durable = receiver.recv().map_err(|_| StoreError::Stopped)?;
    conclude(&outcome, durable)
}

fn erase<T, E>(work: Work<T, E>) -> (ErasedRun, Outcome<T, E>)
where
    T: Send + 'static,
    E: Send + 'static,
{
    let outcome = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&outcome);
    let run = Box::new(move |transaction: &mut dyn Transaction| {
        let result = work(transaction);
        let keep = result.is_ok();
        *inside.lock() = Some(result);
        keep
    });
    (run, outcome)
}

fn conclude<T, E>(
    outcome: &Outcome<T, E>,
    durable: Result<Committed, StoreError>,
) -> Result<(T, Committed), CommitError<E>> {
    let result = outcome.lock().take();
    match (result, durable) {
        // A refusal counts only if the state that it saw became durable; a failure of the store is told as it is.
        (Some(Err(CommitError::Store(error))), _) | (_, Err(error)) => Err(CommitError::Store(error)),
        (Some(Err(refused)), Ok(_)) => Err(refused),
        (Some(Ok(value)), Ok(committed)) => Ok((value, committed)),
        (None, Ok(_)) => Err(CommitError::Store(StoreError::Stopped)),
    }
}
