//! Uses that change nothing but the audit log: recorded if what they rest on still holds in the very moment of the commit.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{
    Bounds, Factory, List, No, Violation, add_storage, ensure, name, permit, put, turtle, warrant, with_storage,
};
use crate::store::{
    AuditEntry, Committed, ErasedUse, ErasedWork, Snapshot, StorageId, StorageSet, Store, StoreError, Transaction,
    Warrant,
};

pub(super) const CHECKS: List = &[
    (
        "a use is recorded only while what it rests on holds, also against a commit of its own group (T21)",
        only_while_it_holds,
    ),
    (
        "uses and writes of one group have leaves without gaps, in their order",
        leaves_without_gaps,
    ),
    (
        "a use whose entry or check is broken fails alone and leaves nothing",
        broken_alone,
    ),
];

/// Longest wait for an outcome: a store that tells none would hang the suite.
const OUTCOME_WAIT: Duration = Duration::from_secs(60);

type Outcomes = Receiver<Result<Committed, StoreError>>;

fn entry(number: u64, storage: StorageId) -> AuditEntry {
    AuditEntry {
        leaf: Sha256::digest(number.to_be_bytes()).into(),
        record: format!("{{\"number\":{number}}}").into_bytes(),
        storages: vec![storage],
        subjects: StorageSet::default().to_bytes(),
    }
}

fn queue_use(
    store: &dyn Store,
    entry: AuditEntry,
    holds: impl FnOnce(&dyn Snapshot) -> Result<bool, StoreError> + Send + 'static,
) -> Outcomes {
    let (sender, outcomes) = channel();
    let done = Box::new(move |outcome| {
        let _ = sender.send(outcome);
    });
    let holds = Box::new(holds);
    store.enqueue_use(Warrant { entry: Some(entry) }, ErasedUse { holds, done });
    outcomes
}

fn queue_write(
    store: &dyn Store,
    entry: Option<AuditEntry>,
    work: impl FnOnce(&mut dyn Transaction) -> Result<bool, StoreError> + Send + 'static,
) -> Outcomes {
    let (sender, outcomes) = channel();
    let run = Box::new(move |transaction: &mut dyn Transaction| work(transaction).unwrap_or(false));
    let done = Box::new(move |outcome| {
        let _ = sender.send(outcome);
    });
    store.enqueue(Warrant { entry }, ErasedWork { run, done });
    outcomes
}

/// Holds a group open until the sender is used, so that what is queued meanwhile comes into the same one.
fn hold_open(store: &dyn Store) -> (Sender<()>, Outcomes) {
    let (open, opened) = channel::<()>();
    let outcomes = queue_write(store, None, move |_| {
        let _ = opened.recv_timeout(OUTCOME_WAIT);
        Ok(true)
    });
    (open, outcomes)
}

fn told(outcomes: &Outcomes) -> Result<Committed, Violation> {
    Ok(outcomes
        .recv_timeout(OUTCOME_WAIT)
        .map_err(|_| Violation("an outcome was never told".to_owned()))??)
}

fn only_while_it_holds(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/x", "<> <> <> .")?;
    put(&*store, "/a/.acl", "# first")?;
    let (root, document) = (name("/a/")?, name("/a/x")?);
    // Asked twice: the store may answer from memory from now on.
    for _ in 0..2 {
        store.latest_acl(permit(), &document)?;
    }
    let found = store.latest_acl(permit(), &document)?.map(|(_, acl)| acl.version);
    ensure!(found.is_some(), "the list is missing");
    let holds = {
        let document = document.clone();
        move |snapshot: &dyn Snapshot| {
            let now = snapshot.effective_acl(&document)?;
            Ok(now.map(|(_, acl)| acl.version) == found)
        }
    };
    let before = queue_use(&*store, entry(0, StorageId(1)), holds.clone());
    ensure!(
        told(&before)?.leaf == Some(0),
        "a use under the present list is not recorded"
    );

    let (open, opened) = hold_open(&*store);
    let same_group = queue_use(&*store, entry(1, StorageId(1)), holds.clone());
    let acl = root.auxiliary(crate::name::Auxiliary::Acl);
    let changed = queue_write(&*store, None, move |inside| {
        inside.put(&acl, turtle("# second")).map(|_| true)
    });
    let after = queue_use(&*store, entry(2, StorageId(1)), holds.clone());
    drop(open);
    told(&opened)?;
    told(&changed)?;
    ensure!(
        told(&same_group)?.leaf == Some(1),
        "a use before the change is not recorded"
    );
    ensure!(
        told(&after)?.leaf.is_none(),
        "a use was recorded under a list that is gone"
    );
    let later = queue_use(&*store, entry(3, StorageId(1)), holds);
    ensure!(
        told(&later)?.leaf.is_none(),
        "a use was recorded under a list that is gone for long"
    );
    let size = store.snapshot(permit())?.audit_size()?;
    ensure!(size == 2, "there are {size} leaves");
    Ok(())
}

fn leaves_without_gaps(factory: Factory<'_>) -> Result<(), Violation> {
    const EACH: u64 = 300;
    let store = factory(Bounds::default())?;
    let storage = add_storage(&*store, "/a/")?.id;
    let mut expected = Vec::new();
    let mut outcomes = Vec::new();
    let (open, _) = hold_open(&*store);
    for number in 0..EACH {
        let entry = entry(number, storage);
        let kept = number % 7 != 3;
        let outcome = if number % 3 == 0 {
            let path = name(&format!("/a/{number}"))?;
            queue_write(&*store, Some(entry.clone()), move |inside| {
                inside.put(&path, turtle(""))?;
                Ok(kept)
            })
        } else {
            queue_use(&*store, entry.clone(), move |_| Ok(kept))
        };
        outcomes.push((kept, outcome));
        expected.extend(kept.then_some(entry));
    }
    drop(open);
    let mut next = 0;
    for (kept, outcome) in &outcomes {
        let leaf = told(outcome)?.leaf;
        ensure!(
            leaf == kept.then_some(next),
            "leaf {leaf:?} instead of {next}, kept: {kept}"
        );
        next += u64::from(*kept);
    }
    let view = store.snapshot(permit())?;
    let leaves: Vec<[u8; 32]> = expected.iter().map(|entry| entry.leaf).collect();
    ensure!(view.audit_leaves(0, EACH)? == leaves, "the leaves are others");
    let found = view.audit_entries(storage, None, 1_000)?;
    ensure!(
        found.iter().rev().map(|stored| &stored.entry).eq(expected.iter()),
        "the entries read back differently"
    );
    Ok(())
}

fn broken_alone(factory: Factory<'_>) -> Result<(), Violation> {
    let store = factory(Bounds::default())?;
    let storage = add_storage(&*store, "/a/")?.id;
    let (open, _) = hold_open(&*store);
    let first = queue_use(&*store, entry(0, storage), |_| Ok(true));
    let no_set = AuditEntry {
        subjects: vec![1, 2, 3],
        ..entry(1, storage)
    };
    let unreadable = queue_use(&*store, no_set, |_| Ok(true));
    let failing = queue_use(&*store, entry(2, storage), |_| Err(StoreError::Misuse("no".to_owned())));
    let panicking = queue_use(&*store, entry(3, storage), |_| std::panic::resume_unwind(Box::new(No)));
    let last = queue_use(&*store, entry(4, storage), |_| Ok(true));
    drop(open);
    ensure!(told(&first)?.leaf == Some(0), "a sound use before them failed");
    for broken in [&unreadable, &failing, &panicking] {
        let outcome = broken.recv_timeout(OUTCOME_WAIT);
        ensure!(matches!(outcome, Ok(Err(_))), "a broken use was told {outcome:?}");
    }
    ensure!(told(&last)?.leaf == Some(1), "a sound use after them failed");
    let again = super::commit_blocking::<(), No>(&*store, warrant(), Box::new(|_| Ok(())));
    ensure!(again.is_ok(), "the store takes nothing more");
    let size = store.snapshot(permit())?.audit_size()?;
    ensure!(size == 2, "there are {size} leaves");
    Ok(())
}
