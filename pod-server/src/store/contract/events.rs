//! The outbox: complete, in order, and cut between commits only.

use super::{Bounds, Factory, List, Violation, ensure, name, permit, put, record, remove, turtle, with_storage, write};
use crate::store::{Change, Event, RecordKind, Sequence};

pub(super) const CHECKS: List = &[
    ("every change has its event, in order", complete),
    ("pages of events never split a commit", pages),
    ("several writes of one resource in a commit make one event", once),
];

/// An event in one word and a name.
fn word(event: &Event) -> String {
    match &event.change {
        Change::Created { name, .. } => format!("+{name}"),
        Change::Updated { name, .. } => format!("~{name}"),
        Change::Deleted { name, .. } => format!("-{name}"),
        Change::Record { key, deleted, .. } => format!("{}{key}", if *deleted { "x" } else { "!" }),
    }
}

fn complete(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let start = store.snapshot(permit())?.sequence()?;
    let numbers = [
        put(&*store, "/a/b/x", "one")?.1.sequence,
        put(&*store, "/a/b/x", "two")?.1.sequence,
        put(&*store, "/a/b/x.acl", "acl")?.1.sequence,
        record(&*store, RecordKind::Consent, "k", "v")?.sequence,
        remove(&*store, "/a/b/x")?.1.sequence,
    ];
    let expected: [&[&str]; 5] = [
        &["+/a/b/", "~/a/", "+/a/b/x"],
        &["~/a/b/x"],
        &["+/a/b/x.acl"],
        &["!k"],
        &["-/a/b/x.acl", "-/a/b/x", "~/a/b/"],
    ];
    let events = store.snapshot(permit())?.events(start, 1_000)?;
    for (number, expected) in numbers.into_iter().zip(expected) {
        let found: Vec<String> = events
            .iter()
            .filter(|event| event.sequence == number)
            .map(word)
            .collect();
        ensure!(
            found == expected,
            "commit {} has the events {found:?}, not {expected:?}",
            number.0
        );
    }
    ensure!(
        events.is_sorted_by_key(|event| event.sequence),
        "events are out of order"
    );
    Ok(())
}

fn pages(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    for commit in 0..5 {
        write(&*store, move |inside| {
            for index in 0..4 {
                inside.record_put(RecordKind::Server, &format!("{commit}/{index}"), b"")?;
            }
            Ok(())
        })?;
    }
    let view = store.snapshot(permit())?;
    let all = view.events(Sequence(0), usize::MAX)?;
    for limit in [1, 3, 4, 5, 100] {
        let (mut after, mut found) = (Sequence(0), Vec::new());
        loop {
            let page = view.events(after, limit)?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            found.extend(page);
        }
        ensure!(found == all, "pages of {limit} lose or repeat events");
    }
    Ok(())
}

fn once(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let (one, other) = (name("/a/x")?, name("/a/y")?);
    let ((), committed) = write(&*store, move |inside| {
        inside.put(&one, turtle("1"))?;
        inside.put(&one, turtle("2"))?;
        inside.put(&other, turtle("3"))?;
        Ok(())
    })?;
    let events = store
        .snapshot(permit())?
        .events(Sequence(committed.sequence.0 - 1), 100)?;
    let found: Vec<String> = events.iter().map(word).collect();
    ensure!(found == ["+/a/x", "~/a/", "+/a/y"], "{found:?}");
    Ok(())
}
