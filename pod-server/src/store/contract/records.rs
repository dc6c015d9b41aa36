//! Server records.

use super::{Bounds, Factory, List, Violation, ensure, permit, record, write};
use crate::store::RecordKind;

pub(super) const CHECKS: List = &[
    (
        "a record is written, replaced and deleted, and kinds do not mix",
        single,
    ),
    ("records are listed by prefix in key order, page by page", prefixes),
];

fn single(factory: Factory<'_>) -> Result<(), Violation> {
    let store = factory(Bounds::default())?;
    record(&*store, RecordKind::Account, "k", "one")?;
    record(&*store, RecordKind::Session, "k", "other")?;
    record(&*store, RecordKind::Account, "k", "two")?;
    let value = |kind| -> Result<Option<Vec<u8>>, Violation> { Ok(store.snapshot(permit())?.record(kind, "k")?) };
    ensure!(
        value(RecordKind::Account)?.as_deref() == Some(b"two"),
        "the value was not replaced"
    );
    ensure!(value(RecordKind::Session)?.as_deref() == Some(b"other"), "kinds mix");
    ensure!(
        value(RecordKind::Login)?.is_none(),
        "a record is there that nobody wrote"
    );
    let delete = || write(&*store, |inside| Ok(inside.record_delete(RecordKind::Account, "k")?));
    ensure!(delete()?.0 && !delete()?.0, "deletion tells the wrong thing");
    ensure!(value(RecordKind::Account)?.is_none(), "a deleted record is there");
    ensure!(
        value(RecordKind::Session)?.is_some(),
        "a record of another kind was deleted"
    );
    Ok(())
}

fn prefixes(factory: Factory<'_>) -> Result<(), Violation> {
    let store = factory(Bounds::default())?;
    let keys = [
        "gent/1",
        "gent/10",
        "gent/2",
        "gen",
        "gent",
        "gent0",
        "gen\u{10FFFF}",
        "\u{10FFFF}",
        "\u{10FFFF}a",
        "%",
        "_",
    ];
    for key in keys {
        record(&*store, RecordKind::Consent, key, key)?;
        record(&*store, RecordKind::Dataset, key, "another kind")?;
    }
    let view = store.snapshot(permit())?;
    for prefix in ["", "gent/", "gen", "gent", "\u{10FFFF}", "%", "none"] {
        let mut expected: Vec<&str> = keys.into_iter().filter(|key| key.starts_with(prefix)).collect();
        expected.sort_unstable();
        for limit in [1, 2, 100] {
            let (mut after, mut found): (Option<String>, Vec<String>) = (None, Vec::new());
            loop {
                let page = view.records(RecordKind::Consent, prefix, after.as_deref(), limit)?;
                ensure!(page.len() <= limit, "a page is longer than {limit}");
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                ensure!(page.iter().all(|(key, value)| key.as_bytes() == value), "a wrong value");
                found.extend(page.into_iter().map(|(key, _)| key));
            }
            ensure!(found == expected, "prefix `{prefix}`, pages of {limit}: {found:?}");
        }
    }
    Ok(())
}
