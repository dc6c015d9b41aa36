//! Commits: all or nothing, one winner, an order that nobody shares, and failures that concern one commit only.

use std::sync::Arc;
use std::sync::mpsc::channel;

use parking_lot::Mutex;

use super::{
    Bounds, Factory, List, No, Violation, ensure, name, permit, put, record, text, turtle, warrant, with_storage, write,
};
use crate::name::ResourceName;
use crate::store::quota::RESOURCE_BYTES;
use crate::store::{
    AuditEntry, CommitError, CommitListener, Committed, ErasedWork, Event, RecordKind, Sequence, Snapshot, Store,
    StoreError, Transaction, Warrant,
};

pub(super) const CHECKS: List = &[
    ("a commit is all or nothing", atomic),
    (
        "a commit whose write failed is undone even if its caller looks away",
        broken_is_undone,
    ),
    ("a panic undoes its own commit only", panic_is_contained),
    ("a refusal undoes its own commit only, among many at once", refusals),
    (
        "of ten who create the same resource at once exactly one succeeds (D23)",
        one_creator,
    ),
    (
        "of a hundred conditional writes at once one succeeds per state (D22, D23)",
        one_winner_per_state,
    ),
    (
        "no two commits share a sequence number, and acknowledged order is commit order",
        order,
    ),
    ("a commit that changes nothing takes no number", empty_commit),
    (
        "a transaction sees its own writes, nobody else does before it ends",
        own_writes,
    ),
    (
        "listeners and followers know of a commit before its caller does",
        told_in_order,
    ),
];

/// Queues without waiting; the outcome comes through the channel.
fn queue(
    store: &dyn Store,
    outcomes: &std::sync::mpsc::Sender<(usize, Result<Committed, StoreError>, bool)>,
    index: usize,
    work: impl FnOnce(&mut dyn Transaction) -> Result<bool, StoreError> + Send + 'static,
) {
    let outcomes = outcomes.clone();
    let kept = Arc::new(Mutex::new(false));
    let inside = Arc::clone(&kept);
    let run = Box::new(move |transaction: &mut dyn Transaction| {
        let keep = work(transaction).unwrap_or(false);
        *inside.lock() = keep;
        keep
    });
    let done = Box::new(move |outcome| {
        let _ = outcomes.send((index, outcome, *kept.lock()));
    });
    store.enqueue(warrant(), ErasedWork { run, done });
}

fn atomic(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/old", "old")?;
    let before = store.snapshot(permit())?.sequence()?;
    let (deep, old) = (name("/a/new/deep/x")?, name("/a/old")?);
    let warrant = Warrant {
        entry: Some(AuditEntry {
            leaf: [7; 32],
            record: b"{}".to_vec(),
            storages: Vec::new(),
            subjects: Vec::new(),
        }),
    };
    let refused: Result<((), _), CommitError<No>> = super::commit_blocking(
        &*store,
        warrant,
        Box::new(move |inside| {
            inside.put(&deep, turtle("x"))?;
            inside.remove(&old)?;
            inside.record_put(RecordKind::Consent, "a/1", b"given")?;
            Err(CommitError::Refused(No))
        }),
    );
    ensure!(
        matches!(refused, Err(CommitError::Refused(No))),
        "the refusal was not told: {refused:?}"
    );
    let view = store.snapshot(permit())?;
    ensure!(view.sequence()? == before, "the refused commit has a number");
    ensure!(view.resource(&name("/a/new/")?)?.is_none(), "it left a container");
    ensure!(
        text(&*view, "/a/old")?.as_deref() == Some("old"),
        "it removed a resource"
    );
    ensure!(view.record(RecordKind::Consent, "a/1")?.is_none(), "it left a record");
    ensure!(view.events(before, 10)?.is_empty(), "it left events");
    ensure!(view.audit_size()? == 0, "it left an audit leaf");
    ensure!(view.member_count(&name("/a/")?)? == 1, "it changed a count");
    Ok(())
}

fn broken_is_undone(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(
        factory,
        Bounds {
            quota_bytes_max: 10 + 3 * RESOURCE_BYTES,
            ..Bounds::default()
        },
    )?;
    let path = name("/a/new/x")?;
    let outcome = write(&*store, move |inside| {
        inside.record_put(RecordKind::Server, "seen", b"")?;
        // Too large for the quota.
        let _ = inside.put(&path, turtle("more than ten bytes"));
        Ok(())
    });
    ensure!(outcome.is_err(), "a commit with a failed write was kept");
    let view = store.snapshot(permit())?;
    ensure!(
        view.record(RecordKind::Server, "seen")?.is_none(),
        "half of it was kept"
    );
    ensure!(view.resource(&name("/a/new/")?)?.is_none(), "a container was kept");
    Ok(())
}

fn panic_is_contained(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let (path, other) = (name("/a/half")?, name("/a/whole")?);
    let (sender, outcomes) = channel();
    queue(&*store, &sender, 0, move |inside| {
        inside.put(&path, turtle("half"))?;
        // Unwinds as a bug would, without the noise of the panic hook.
        std::panic::resume_unwind(Box::new("a bug in the caller's work"))
    });
    queue(&*store, &sender, 1, move |inside| {
        inside.put(&other, turtle("whole")).map(|_| true)
    });
    for _ in 0..2 {
        let (index, outcome, _) = outcomes
            .recv()
            .map_err(|_| Violation("an outcome was lost".to_owned()))?;
        ensure!(outcome.is_err() == (index == 0), "commit {index}: {outcome:?}");
    }
    let view = store.snapshot(permit())?;
    ensure!(text(&*view, "/a/half")?.is_none(), "a panic was committed");
    ensure!(
        text(&*view, "/a/whole")?.is_some(),
        "a panic took another commit with it"
    );
    Ok(())
}

fn refusals(factory: Factory<'_>) -> Result<(), Violation> {
    const COMMITS: usize = 200;
    let store = with_storage(factory, Bounds::default())?;
    let (sender, outcomes) = channel();
    for index in 0..COMMITS {
        let path = name(&format!("/a/{index:03}/x"))?;
        queue(&*store, &sender, index, move |inside| {
            inside.put(&path, turtle("x"))?;
            Ok(index % 3 != 0)
        });
    }
    for _ in 0..COMMITS {
        let (index, outcome, kept) = outcomes
            .recv()
            .map_err(|_| Violation("an outcome was lost".to_owned()))?;
        ensure!(
            outcome.is_ok() && kept == (index % 3 != 0),
            "commit {index}: {outcome:?}"
        );
    }
    let view = store.snapshot(permit())?;
    for index in 0..COMMITS {
        let there = view.resource(&name(&format!("/a/{index:03}/x"))?)?.is_some();
        ensure!(
            there == (index % 3 != 0),
            "commit {index} was{} kept",
            if there { "" } else { " not" }
        );
        let container = view.resource(&name(&format!("/a/{index:03}/"))?)?.is_some();
        ensure!(container == there, "commit {index} left a container");
    }
    Ok(())
}

fn one_creator(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    for round in 0..10 {
        let path = name(&format!("/a/{round}"))?;
        let created = at_once(10, |index| {
            let (path, store) = (path.clone(), Arc::clone(&store));
            let body = format!("by {index}");
            write(&*store, move |inside| {
                if inside.resource(&path)?.is_some() {
                    return Err(CommitError::Refused(No));
                }
                Ok(inside.put(&path, turtle(&body))?)
            })
            .map(|_| index)
        });
        let winners: Vec<usize> = created.into_iter().filter_map(Result::ok).collect();
        let [winner] = winners.as_slice() else {
            return Err(Violation(format!(
                "round {round}: {} creators succeeded",
                winners.len()
            )));
        };
        let stored = text(&*store.snapshot(permit())?, path.as_str())?;
        ensure!(
            stored == Some(format!("by {winner}")),
            "round {round}: another one's bytes are stored"
        );
    }
    Ok(())
}

/// Runs the same thing on several threads.
fn at_once<T: Send>(threads: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let run = &run;
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|index| scope.spawn(move || run(index))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn one_winner_per_state(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let path = name("/a/x")?;
    let (mut current, _) = put(&*store, "/a/x", "start")?;
    for round in 0..5 {
        let expected = current.version;
        let outcomes = at_once(100, |index| {
            let path = path.clone();
            write(&*store, move |inside| match inside.resource(&path)? {
                Some(resource) if resource.version == expected => Ok(inside.put(&path, turtle(&index.to_string()))?),
                _ => Err(CommitError::Refused(No)),
            })
        });
        let winners: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        let [(winner, _)] = winners.as_slice() else {
            return Err(Violation(format!(
                "round {round}: {} writers succeeded on one state",
                winners.len()
            )));
        };
        current = winner.clone();
        ensure!(
            current.version > expected,
            "round {round}: the new state has an old version"
        );
    }
    Ok(())
}

fn order(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let mut sequences: Vec<u64> = Vec::new();
    let runs = at_once(8, |thread| -> Result<Vec<u64>, Violation> {
        let mut mine = Vec::new();
        for index in 0..25 {
            let (made, committed) = put(&*store, &format!("/a/{thread}/{index}"), "x")?;
            ensure!(
                made.version == committed.sequence,
                "a version is not its commit's number"
            );
            mine.push(committed.sequence.0);
        }
        ensure!(mine.is_sorted(), "a later commit of one caller has a smaller number");
        Ok(mine)
    });
    for run in runs {
        sequences.extend(run?);
    }
    sequences.sort_unstable();
    let before = sequences.len();
    sequences.dedup();
    ensure!(sequences.len() == before && before == 200, "two commits share a number");
    ensure!(
        store.watch().borrow().0 == *sequences.last().unwrap_or(&0),
        "the watch lags behind"
    );
    Ok(())
}

fn empty_commit(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let before = store.snapshot(permit())?.sequence()?;
    let (seen, committed) = write(&*store, |inside| Ok(inside.next_sequence()))?;
    ensure!(committed.sequence == before, "it took number {}", committed.sequence.0);
    ensure!(seen.0 == before.0 + 1, "the next number was told wrongly");
    Ok(())
}

fn own_writes(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/x", "before")?;
    let path = name("/a/x")?;
    let outside = Arc::clone(&store);
    let (seen, _) = write(&*store, move |inside| {
        inside.put(&path, turtle("inside"))?;
        inside.record_put(RecordKind::Login, "me", b"1")?;
        let own = inside
            .resource(&path)?
            .map(|resource| inside.body(&resource))
            .transpose()?;
        let record = inside.record(RecordKind::Login, "me")?;
        let view = outside.snapshot(permit())?;
        let others = view.resource(&path)?.map(|resource| view.body(&resource)).transpose()?;
        Ok((own, record, others, view.record(RecordKind::Login, "me")?))
    })?;
    let (own, record, others, others_record) = seen;
    let own = own.map(super::bytes_of).transpose()?;
    let others = others.map(super::bytes_of).transpose()?;
    ensure!(
        own.as_deref() == Some(b"inside") && record.as_deref() == Some(b"1"),
        "it does not see its own writes"
    );
    ensure!(
        others.as_deref() == Some(b"before") && others_record.is_none(),
        "others see what is not committed"
    );
    Ok(())
}

/// Notes what a listener is told.
#[derive(Default)]
struct Notes(Mutex<Vec<(Sequence, ResourceName, bool)>>);

impl CommitListener for Notes {
    fn committed(&self, snapshot: &dyn Snapshot, events: &[Event]) {
        for event in events {
            if let crate::store::Change::Created { name, .. } = &event.change {
                let visible = snapshot.resource(name).is_ok_and(|found| found.is_some());
                self.0.lock().push((event.sequence, name.clone(), visible));
            }
        }
    }
}

fn told_in_order(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let notes = Arc::new(Notes::default());
    store.listen(Arc::clone(&notes) as Arc<dyn CommitListener>);
    let watch = store.watch();
    let runs = at_once(8, |thread| -> Result<(), Violation> {
        for index in 0..10 {
            let (made, committed) = put(&*store, &format!("/a/{thread}-{index}"), "x")?;
            let told = notes
                .0
                .lock()
                .iter()
                .any(|(sequence, name, visible)| *sequence == committed.sequence && *name == made.name && *visible);
            ensure!(told, "a caller knew of its commit before the listener did");
            ensure!(
                *watch.borrow() >= committed.sequence,
                "a caller knew of its commit before followers did"
            );
        }
        Ok(())
    });
    runs.into_iter().collect::<Result<Vec<()>, Violation>>()?;
    let notes = notes.0.lock();
    ensure!(notes.len() == 80, "the listener heard of {} creations", notes.len());
    ensure!(
        notes.is_sorted_by_key(|(sequence, ..)| *sequence),
        "the listener heard them out of order"
    );
    record(&*store, RecordKind::Server, "after", "")?;
    Ok(())
}
