//! Containment: intermediate containers, listings, counts, and the versions of listings.

use std::collections::BTreeSet;

use super::{
    Bounds, Factory, List, Violation, add_storage, container, ensure, known, listing, name, permit, put, remove,
    with_storage, write,
};
use crate::store::{CommitError, ResourceKind, StoreError};

pub(super) const CHECKS: List = &[
    ("missing containers are made on the way (solid#24)", intermediate),
    (
        "members are listed in name order, page by page, without auxiliaries (solid#20)",
        paging,
    ),
    ("a listing is another state after every change of a member", versions),
    ("a container with members is not removed", not_empty),
    ("descendants are listed in name order, page by page", descendants),
    (
        "storages are listed in name order and found by root and identity",
        storages,
    ),
    ("a storage is made once, and only at the top", one_storage),
];

fn intermediate(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/b/c/x", "")?;
    let view = store.snapshot(permit())?;
    for (path, member) in [("/a/", "/a/b/"), ("/a/b/", "/a/b/c/"), ("/a/b/c/", "/a/b/c/x")] {
        ensure!(listing(&*view, path)? == [member], "`{path}` does not hold `{member}`");
        ensure!(view.member_count(&name(path)?)? == 1, "`{path}` counts wrongly");
        let made = known(&*view, path)?;
        ensure!(
            made.kind == ResourceKind::Container && made.size == 0,
            "`{path}` is {made:?}"
        );
    }
    Ok(())
}

fn paging(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    // Names whose order differs between bytes, letters and numbers; `-` and `.` sort before the slash.
    let segments = ["b", "a", "a.b", "a-b/", "a0", "B", "%C3%A9", "10", "9", "a.b.c/", "z/"];
    for segment in segments {
        let name = name(&format!("/a/{segment}"))?;
        let state = if name.is_container() {
            container("")
        } else {
            super::turtle("")
        };
        write(&*store, move |inside| Ok(inside.put(&name, state)?))?;
    }
    put(&*store, "/a/b.acl", "")?;
    put(&*store, "/a/.meta", "")?;
    put(&*store, "/a/z/deeper", "")?;
    let view = store.snapshot(permit())?;
    let expected: BTreeSet<String> = segments.iter().map(|segment| format!("/a/{segment}")).collect();
    let expected: Vec<String> = expected.into_iter().collect();
    ensure!(
        view.member_count(&name("/a/")?)? == segments.len() as u64,
        "the count is wrong"
    );
    for limit in [1, 3, 100] {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = view.members(&name("/a/")?, after.as_ref(), limit)?;
            ensure!(page.len() <= limit, "a page is longer than {limit}");
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            found.extend(page.iter().map(|member| member.name.to_string()));
        }
        ensure!(found == expected, "pages of {limit} give {found:?}");
    }
    ensure!(
        listing(&*view, "/a/none/")?.is_empty(),
        "a container that is not there has members"
    );
    Ok(())
}

fn versions(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let version = |path: &str| -> Result<u64, Violation> { Ok(known(&*store.snapshot(permit())?, path)?.version.0) };
    let mut last = version("/a/")?;
    let mut moved = |what: &str, expected: bool| -> Result<(), Violation> {
        let now = version("/a/")?;
        ensure!(
            (now > last) == expected,
            "{what}: the listing's version went from {last} to {now}"
        );
        last = now;
        Ok(())
    };
    put(&*store, "/a/x", "one")?;
    moved("a new member", true)?;
    put(&*store, "/a/x", "two")?;
    moved("a changed member", true)?;
    put(&*store, "/a/x.acl", "")?;
    moved("an auxiliary", false)?;
    put(&*store, "/a/b/y", "")?;
    moved("a new container", true)?;
    put(&*store, "/a/b/y", "changed")?;
    moved("a member further below", false)?;
    remove(&*store, "/a/x")?;
    moved("a removed member", true)
}

fn not_empty(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/b/x", "")?;
    put(&*store, "/a/b/.acl", "")?;
    let full = name("/a/b/")?;
    let refused = write(&*store, move |inside| Ok(inside.remove(&full)?));
    ensure!(
        matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
        "it was removed: {refused:?}"
    );
    remove(&*store, "/a/b/x")?;
    ensure!(remove(&*store, "/a/b/")?.0, "the empty container was not removed");
    let view = store.snapshot(permit())?;
    ensure!(view.resource(&name("/a/b/.acl")?)?.is_none(), "its list is still there");
    ensure!(view.member_count(&name("/a/")?)? == 0, "its parent still counts it");
    Ok(())
}

fn descendants(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    add_storage(&*store, "/a0/")?;
    put(&*store, "/a0/not-below", "")?;
    for path in ["/a/b/c/x", "/a/b/c/x.acl", "/a/b-c", "/a/b0", "/a/d"] {
        let subject = path.trim_end_matches(".acl");
        put(&*store, subject, "")?;
        put(&*store, path, "")?;
    }
    let view = store.snapshot(permit())?;
    let below = |path: &str, limit: usize| -> Result<Vec<String>, Violation> {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = view.descendants(&name(path)?, after.as_ref(), limit)?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.name.clone());
            found.extend(page.iter().map(|resource| resource.name.to_string()));
        }
    };
    for limit in [1, 2, 100] {
        let all = below("/a/", limit)?;
        let expected = [
            "/a/b-c",
            "/a/b/",
            "/a/b/c/",
            "/a/b/c/x",
            "/a/b/c/x.acl",
            "/a/b0",
            "/a/d",
        ];
        ensure!(all == expected, "pages of {limit}: {all:?}");
        let inner = below("/a/b/", limit)?;
        ensure!(
            inner == ["/a/b/c/", "/a/b/c/x", "/a/b/c/x.acl"],
            "pages of {limit}: {inner:?}"
        );
    }
    Ok(())
}

fn storages(factory: Factory<'_>) -> Result<(), Violation> {
    let store = factory(Bounds::default())?;
    let mut made = Vec::new();
    for root in ["/c/", "/a/", "/b-/", "/b/"] {
        made.push(add_storage(&*store, root)?);
    }
    made.sort_by(|one, other| one.root.cmp(&other.root));
    let view = store.snapshot(permit())?;
    ensure!(view.storages(None, 10)? == made, "the order is wrong");
    let (mut after, mut found) = (None, Vec::new());
    while let Some(storage) = view.storages(after.as_ref(), 1)?.pop() {
        ensure!(
            view.storage(&storage.root)?.as_ref() == Some(&storage),
            "not found by root"
        );
        ensure!(
            view.storage_by_id(storage.id)?.as_ref() == Some(&storage),
            "not found by identity"
        );
        let root = known(&*view, storage.root.as_str())?;
        ensure!(
            root.storage == storage.id && root.kind == ResourceKind::Container,
            "its root is {root:?}"
        );
        after = Some(storage.root.clone());
        found.push(storage);
    }
    ensure!(found == made, "pages of one differ");
    Ok(())
}

fn one_storage(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    for root in ["/a/", "/b/c/", "/", "/d"] {
        let root = name(root)?;
        let refused = write(&*store, move |inside| Ok(inside.create_storage(&root, "x")?));
        ensure!(
            matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
            "accepted: {refused:?}"
        );
    }
    ensure!(remove(&*store, "/a/")?.0, "an empty storage was not removed");
    ensure!(
        store.snapshot(permit())?.storages(None, 10)?.is_empty(),
        "the storage is still listed"
    );
    let again = add_storage(&*store, "/a/")?;
    ensure!(again.id.0 > 1, "the identity of a storage was used again");
    Ok(())
}
