//! The audit log: committed with what it records, provable, and readable by those whom it concerns.

use policies::audit::merkle;
use sha2::{Digest, Sha256};

use super::{Bounds, Factory, List, No, Violation, add_storage, ensure, name, permit, turtle, with_storage, write};
use crate::store::{AuditEntry, CommitError, Snapshot, StorageId, StorageSet, Warrant, commit_blocking};

pub(super) const CHECKS: List = &[
    (
        "a warrant's entry commits with its write, or not at all",
        with_the_write,
    ),
    ("roots, inclusion and consistency proofs verify (RFC 9162)", proofs),
    (
        "owners and data subjects find their entries, newest first, page by page",
        readers,
    ),
    (
        "entries about a great many data subjects are found by each of them",
        wide,
    ),
];

fn entry(number: u64, storages: &[StorageId], subjects: impl IntoIterator<Item = StorageId>) -> AuditEntry {
    AuditEntry {
        leaf: Sha256::digest(number.to_be_bytes()).into(),
        record: format!("{{\"number\":{number}}}").into_bytes(),
        storages: storages.to_vec(),
        subjects: subjects.into_iter().collect::<StorageSet>().to_bytes(),
    }
}

fn with_the_write(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    for number in 0..4_u64 {
        let path = name(&format!("/a/{number}"))?;
        let warrant = Warrant {
            entry: Some(entry(number, &[], [])),
        };
        let outcome: Result<((), _), CommitError<No>> = commit_blocking(
            &*store,
            warrant,
            Box::new(move |inside| {
                inside.put(&path, turtle(""))?;
                if number % 2 == 1 {
                    Err(CommitError::Refused(No))
                } else {
                    Ok(())
                }
            }),
        );
        match outcome {
            Ok((_, committed)) => ensure!(committed.leaf == Some(number / 2), "leaf {:?}", committed.leaf),
            Err(_) => ensure!(number % 2 == 1, "commit {number} failed"),
        }
    }
    let view = store.snapshot(permit())?;
    ensure!(view.audit_size()? == 2, "there are {} leaves", view.audit_size()?);
    let expected = [entry(0, &[], []).leaf, entry(2, &[], []).leaf];
    ensure!(view.audit_leaves(0, 10)? == expected, "the leaves are others");
    Ok(())
}

fn append(store: &dyn crate::store::Store, entries: Vec<AuditEntry>) -> Result<(), Violation> {
    write(store, move |inside| {
        for entry in &entries {
            inside.audit(entry)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn proofs(factory: Factory<'_>) -> Result<(), Violation> {
    const LEAVES: u64 = 600;
    let store = factory(Bounds::default())?;
    let entries: Vec<AuditEntry> = (0..LEAVES).map(|number| entry(number, &[], [])).collect();
    let leaves: Vec<[u8; 32]> = entries.iter().map(|entry| entry.leaf).collect();
    for part in entries.chunks(97) {
        append(&*store, part.to_vec())?;
    }
    let view = store.snapshot(permit())?;
    ensure!(view.audit_leaves(0, LEAVES)? == leaves, "the leaves are others");
    for size in [1, 2, 3, 255, 256, 257, 511, 512, LEAVES] {
        let head = leaves.get(..usize::try_from(size).unwrap_or(0)).unwrap_or(&[]);
        let root = view.audit_root(size)?;
        ensure!(root == merkle::root(head), "the root of {size} leaves is wrong");
        for index in [0, 1, size / 2, size - 1] {
            let Some(leaf) = head.get(usize::try_from(index).unwrap_or(usize::MAX)) else {
                continue;
            };
            let proof = view.audit_inclusion(index, size)?;
            ensure!(
                merkle::verify_inclusion(leaf, index, size, &proof, &root),
                "leaf {index} of {size} is not proved"
            );
            ensure!(
                !merkle::verify_inclusion(&[0; 32], index, size, &proof, &root),
                "the proof proves anything"
            );
        }
        check_consistency(&*view, size, LEAVES)?;
    }
    ensure!(
        view.audit_root(LEAVES + 1).is_err(),
        "a tree that is not there has a root"
    );
    let tile = view.audit_tile(0, 1, 256)?;
    let expected: Vec<u8> = leaves.iter().skip(256).take(256).flatten().copied().collect();
    ensure!(tile == expected, "the second tile is wrong");
    let above = view.audit_tile(1, 0, 2)?;
    let expected: Vec<u8> = leaves.chunks(256).take(2).flat_map(merkle::root).collect();
    ensure!(above == expected, "the tile above is wrong");
    Ok(())
}

fn check_consistency(view: &dyn Snapshot, from: u64, to: u64) -> Result<(), Violation> {
    let proof = view.audit_consistency(from, to)?;
    let (old, new) = (view.audit_root(from)?, view.audit_root(to)?);
    ensure!(
        merkle::verify_consistency(from, &old, to, &new, &proof),
        "{from} leaves do not begin {to}"
    );
    ensure!(
        !merkle::verify_consistency(from, &[1; 32], to, &new, &proof),
        "a wrong beginning is proved as well"
    );
    Ok(())
}

fn numbers(view: &dyn Snapshot, storage: StorageId, limit: usize) -> Result<Vec<u64>, Violation> {
    let (mut before, mut found) = (None, Vec::new());
    loop {
        let page = view.audit_entries(storage, before, limit)?;
        ensure!(page.len() <= limit, "a page is longer than {limit}");
        let Some(last) = page.last() else { return Ok(found) };
        before = Some(last.leaf_index);
        for stored in page {
            let leaf = view.audit_leaves(stored.leaf_index, 1)?;
            ensure!(
                leaf == [stored.entry.leaf],
                "entry {} has another leaf",
                stored.leaf_index
            );
            found.push(stored.leaf_index);
        }
    }
}

fn readers(factory: Factory<'_>) -> Result<(), Violation> {
    let store = factory(Bounds::default())?;
    let mut ids = Vec::new();
    for root in ["/gent/", "/an/", "/bea/"] {
        ids.push(add_storage(&*store, root)?.id);
    }
    let &[owner, an, bea] = ids.as_slice() else {
        return Err(Violation("three storages were not made".to_owned()));
    };
    let entries: Vec<AuditEntry> = (0..30)
        .map(|number| match number % 5 {
            0 => entry(number, &[owner], [an]),
            1 => entry(number, &[owner], [an, bea]),
            2 => entry(number, &[owner, an], []),
            3 => entry(number, &[an], [an]),
            _ => entry(number, &[], []),
        })
        .collect();
    append(&*store, entries.clone())?;
    let view = store.snapshot(permit())?;
    for (storage, kinds) in [(owner, &[0, 1, 2][..]), (an, &[0, 1, 2, 3]), (bea, &[1])] {
        let expected: Vec<u64> = (0..30).rev().filter(|number| kinds.contains(&(number % 5))).collect();
        for limit in [1, 4, 100] {
            let found = numbers(&*view, storage, limit)?;
            ensure!(found == expected, "storage {}, pages of {limit}: {found:?}", storage.0);
        }
    }
    let newest = view.audit_entries(an, None, 1)?.pop().map(|stored| stored.entry);
    ensure!(newest.as_ref() == entries.get(28), "an entry reads back differently");
    Ok(())
}

fn wide(factory: Factory<'_>) -> Result<(), Violation> {
    let store = factory(Bounds::default())?;
    let everyone = || (1..=100_000).map(StorageId);
    let but_one = || everyone().filter(|id| id.0 != 77);
    append(
        &*store,
        vec![
            entry(0, &[StorageId(1)], everyone()),
            entry(1, &[StorageId(1)], but_one()),
            entry(2, &[StorageId(1)], everyone()),
            entry(3, &[], [StorageId(77)]),
        ],
    )?;
    let view = store.snapshot(permit())?;
    for (storage, expected) in [
        (1, &[2, 1, 0][..]),
        (77, &[3, 2, 0]),
        (99_999, &[2, 1, 0]),
        (100_001, &[]),
    ] {
        for limit in [1, 10] {
            let found = numbers(&*view, StorageId(storage), limit)?;
            ensure!(found == expected, "storage {storage}: {found:?}");
        }
    }
    let stored = view.audit_entries(StorageId(77), Some(1), 1)?.pop();
    let subjects = StorageSet::from_bytes(&stored.map(|stored| stored.entry.subjects).unwrap_or_default())?;
    ensure!(subjects.len() == 100_000, "an entry lost subjects");
    Ok(())
}
