//! Views: each shows one moment, however long it lives.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Bounds, Factory, List, Violation, ensure, listing, name, permit, put, record, remove, text, turtle, with_storage,
    write,
};
use crate::store::RecordKind;

pub(super) const CHECKS: List = &[
    ("a view does not change while others write", frozen),
    ("a view never shows half a commit, under concurrent writes", never_torn),
];

fn frozen(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/x", "one")?;
    put(&*store, "/a/z", "")?;
    record(&*store, RecordKind::Server, "r", "one")?;
    let before = store.snapshot(permit())?;
    let sequence = before.sequence()?;
    put(&*store, "/a/x", "two")?;
    put(&*store, "/a/y", "new")?;
    remove(&*store, "/a/z")?;
    record(&*store, RecordKind::Server, "r", "two")?;
    // What another view puts into memory must not leak into the older one.
    let after = store.snapshot(permit())?;
    ensure!(text(&*after, "/a/x")?.as_deref() == Some("two"), "a new view is old");
    ensure!(text(&*after, "/a/z")?.is_none(), "a new view shows what is gone");
    ensure!(
        store.latest(permit(), &name("/a/y")?)?.is_some(),
        "the newest state is missing"
    );
    ensure!(before.sequence()? == sequence, "the number of a view moved");
    ensure!(
        text(&*before, "/a/x")?.as_deref() == Some("one"),
        "an old view shows a new body"
    );
    ensure!(text(&*before, "/a/y")?.is_none(), "an old view shows a new resource");
    ensure!(text(&*before, "/a/z")?.is_some(), "an old view lost a resource");
    ensure!(
        listing(&*before, "/a/")? == ["/a/x", "/a/z"],
        "an old view has a new listing"
    );
    ensure!(
        before.record(RecordKind::Server, "r")?.as_deref() == Some(b"one"),
        "an old view has a new record"
    );
    ensure!(before.events(sequence, 10)?.is_empty(), "an old view has new events");
    Ok(())
}

fn never_torn(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let both = [name("/a/x")?, name("/b-of-a").and_then(|_| name("/a/y"))?];
    let write_both = |round: u32| {
        let both = both.clone();
        write(&*store, move |inside| {
            for path in &both {
                inside.put(path, turtle(&round.to_string()))?;
            }
            Ok(())
        })
    };
    write_both(0)?;
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| -> Result<(), Violation> {
                    let mut last = 0;
                    while !ended.load(Ordering::Relaxed) {
                        let view = store.snapshot(permit())?;
                        let (x, y) = (text(&*view, "/a/x")?, text(&*view, "/a/y")?);
                        ensure!(x == y, "a view shows {x:?} and {y:?}");
                        let round = x.and_then(|x| x.parse().ok()).unwrap_or(0);
                        ensure!(round >= last, "a later view shows an earlier state");
                        last = round;
                        let newest = store.latest(permit(), &name("/a/x")?)?;
                        let newest = newest
                            .map(|newest| super::bytes_of(newest.body))
                            .transpose()?
                            .unwrap_or_default();
                        let newest = String::from_utf8_lossy(&newest).parse().unwrap_or(0);
                        ensure!(newest >= last, "the newest state is older than a view was");
                        last = newest;
                    }
                    Ok(())
                })
            })
            .collect();
        let written = (1..150).try_for_each(|round| write_both(round).map(|_| ()));
        ended.store(true, Ordering::Relaxed);
        written?;
        for reader in readers {
            reader.join().map_err(|_| Violation("a reader panicked".to_owned()))??;
        }
        Ok(())
    })
}
