//! Putting, reading and removing single resources, and the room they take.

use super::{
    Bounds, Factory, List, Violation, add_storage, bytes_of, container, ensure, known, name, permit, put, remove, text,
    turtle, with_storage, write,
};
use crate::store::quota::RESOURCE_BYTES;
use crate::store::{CommitError, ReadPermit, ResourceKind, StoreError};

pub(super) const CHECKS: List = &[
    ("a body comes back as it was sent", same_bytes),
    (
        "an overwritten resource keeps its identity and gets a new version",
        overwrite,
    ),
    (
        "a removed resource is gone, its auxiliaries with it, and its identity is never used again",
        removal,
    ),
    ("a name outside every storage is refused", outside),
    ("a resource with the name of its twin is refused (solid#11)", twins),
    ("a kind that its name contradicts is refused", kinds),
    ("an auxiliary resource needs its subject", lone_auxiliary),
    ("the quota holds, and counts what is removed", quota),
    ("the nearest access control list is found", nearest_acl),
    ("the newest state is never older than what was acknowledged", latest),
];

fn same_bytes(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    for (path, body) in [
        ("/a/empty", ""),
        ("/a/small.ttl", "<a> <b> <c> ."),
        ("/a/%C3%A9.ttl", "\u{e9}\0\u{1F600}"),
    ] {
        let (made, committed) = put(&*store, path, body)?;
        ensure!(
            made.version == committed.sequence,
            "`{path}` has another version than its commit"
        );
        ensure!(made.size == body.len() as u64, "`{path}` has a wrong size");
        let view = store.snapshot(permit())?;
        ensure!(
            view.resource(&made.name)?.as_ref() == Some(&made),
            "`{path}` reads back differently"
        );
        ensure!(
            view.resource_by_id(made.id)? == Some(made.clone()),
            "`{path}` is not found by identity"
        );
        ensure!(
            made.media_type == "text/turtle" && made.kind == ResourceKind::RdfSource,
            "`{path}` changed"
        );
        ensure!(text(&*view, path)?.as_deref() == Some(body), "`{path}` has other bytes");
    }
    Ok(())
}

fn overwrite(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let (first, _) = put(&*store, "/a/x", "one")?;
    let (second, _) = put(&*store, "/a/x", "two, longer")?;
    let (third, _) = put(&*store, "/a/x", "")?;
    ensure!(first.id == second.id && second.id == third.id, "the identity changed");
    ensure!(
        first.version < second.version && second.version < third.version,
        "versions do not grow"
    );
    let view = store.snapshot(permit())?;
    ensure!(
        text(&*view, "/a/x")?.as_deref() == Some(""),
        "the last state is not the last one written"
    );
    Ok(())
}

fn removal(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let (first, _) = put(&*store, "/a/x", "one")?;
    put(&*store, "/a/x.acl", "acl")?;
    put(&*store, "/a/x.meta", "meta")?;
    put(&*store, "/a/x.meta.acl", "acl of meta")?;
    ensure!(remove(&*store, "/a/x")?.0, "nothing was removed");
    ensure!(!remove(&*store, "/a/x")?.0, "it was removed twice");
    let view = store.snapshot(permit())?;
    for path in ["/a/x", "/a/x.acl", "/a/x.meta", "/a/x.meta.acl"] {
        ensure!(view.resource(&name(path)?)?.is_none(), "`{path}` is still there");
    }
    ensure!(
        view.resource_by_id(first.id)?.is_none(),
        "it is still found by identity"
    );
    drop(view);
    let (again, _) = put(&*store, "/a/x", "two")?;
    ensure!(again.id != first.id, "an identity was used again");
    Ok(())
}

fn outside(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    for path in ["/x", "/b/x", "/b/c/d/"] {
        let name = name(path)?;
        let state = if name.is_container() { container("") } else { turtle("") };
        let refused = write(&*store, move |inside| Ok(inside.put(&name, state)?));
        ensure!(
            matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
            "`{path}` was accepted: {refused:?}"
        );
    }
    Ok(())
}

fn twins(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/doc", "")?;
    put(&*store, "/a/box/member", "")?;
    // The last one would need the container `/a/doc/` on its way.
    for path in ["/a/doc/", "/a/box", "/a/doc/deep/x"] {
        let name = name(path)?;
        let state = if name.is_container() { container("") } else { turtle("") };
        let refused = write(&*store, move |inside| Ok(inside.put(&name, state)?));
        ensure!(
            matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
            "`{path}` was accepted beside its twin: {refused:?}"
        );
    }
    let view = store.snapshot(permit())?;
    ensure!(
        view.resource(&name("/a/doc/deep/")?)?.is_none(),
        "a refused put left a container behind"
    );
    Ok(())
}

fn kinds(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    for (path, state) in [("/a/x/", turtle("")), ("/a/x", container(""))] {
        let name = name(path)?;
        let refused = write(&*store, move |inside| Ok(inside.put(&name, state)?));
        ensure!(
            matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
            "`{path}` was accepted"
        );
    }
    Ok(())
}

fn lone_auxiliary(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let acl = name("/a/nothing.acl")?;
    let refused = write(&*store, move |inside| Ok(inside.put(&acl, turtle(""))?));
    ensure!(
        matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
        "it was accepted: {refused:?}"
    );
    put(&*store, "/a/.acl", "the storage's own")?;
    Ok(())
}

fn quota(factory: Factory<'_>) -> Result<(), Violation> {
    let bounds = Bounds {
        quota_bytes_max: 100 + 4 * RESOURCE_BYTES,
        ..Bounds::default()
    };
    let store = with_storage(factory, bounds)?;
    add_storage(&*store, "/b/")?;
    let used = |resources: u64, bodies: u64| -> Result<(), Violation> {
        let storage = store.snapshot(permit())?.storage(&name("/a/")?)?;
        let (bytes, expected) = (
            storage.map(|storage| storage.bytes_used),
            resources * RESOURCE_BYTES + bodies,
        );
        ensure!(bytes == Some(expected), "{bytes:?} bytes are used, not {expected}");
        Ok(())
    };
    let is_refused = |path: &str, body: &str| -> Result<(), Violation> {
        let (path, state) = (name(path)?, turtle(body));
        let refused = write(&*store, move |inside| Ok(inside.put(&path, state)?));
        ensure!(
            matches!(refused, Err(CommitError::Store(StoreError::Full(_)))),
            "the quota did not hold"
        );
        Ok(())
    };
    used(1, 0)?;
    put(&*store, "/a/x", &"x".repeat(60))?;
    put(&*store, "/a/y", &"y".repeat(40))?;
    used(3, 100)?;
    is_refused("/a/z", "z")?;
    put(&*store, "/b/x", &"x".repeat(60))?;
    put(&*store, "/a/x", &"x".repeat(10))?;
    used(3, 50)?;
    put(&*store, "/a/x.acl", &"l".repeat(50))?;
    used(4, 100)?;
    // Empty ones count too, and so do containers on the way.
    is_refused("/a/z", "")?;
    remove(&*store, "/a/x")?;
    used(2, 40)?;
    is_refused("/a/c/d/z", "")?;
    put(&*store, "/a/c/z", "")?;
    used(4, 40)
}

fn nearest_acl(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    put(&*store, "/a/b/c/x", "")?;
    let expect = |path: &str, subject: Option<&str>| -> Result<(), Violation> {
        let subject = subject.map(name).transpose()?;
        let found = store.snapshot(permit())?.effective_acl(&name(path)?)?;
        ensure!(
            found.as_ref().map(|(subject, _)| subject) == subject.as_ref(),
            "`{path}`: {found:?}"
        );
        let latest = store.latest_acl(permit(), &name(path)?)?;
        ensure!(
            latest.map(|(subject, _)| subject) == subject,
            "`{path}`: the newest is another one"
        );
        Ok(())
    };
    expect("/a/b/c/x", None)?;
    put(&*store, "/a/.acl", "")?;
    expect("/a/b/c/x", Some("/a/"))?;
    put(&*store, "/a/b/c/.acl", "")?;
    expect("/a/b/c/x", Some("/a/b/c/"))?;
    expect("/a/b/", Some("/a/"))?;
    put(&*store, "/a/b/c/x.acl", "")?;
    expect("/a/b/c/x", Some("/a/b/c/x"))?;
    remove(&*store, "/a/b/c/x.acl")?;
    remove(&*store, "/a/b/c/.acl")?;
    expect("/a/b/c/x", Some("/a/"))
}

fn latest(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let path = name("/a/x")?;
    ensure!(
        store.latest(permit(), &path)?.is_none(),
        "there is a resource before there is one"
    );
    for round in 0..50 {
        let body = format!("state {round}");
        let (made, _) = put(&*store, "/a/x", &body)?;
        for _ in 0..3 {
            let Some(latest) = store.latest(ReadPermit::without_proof("contract suite"), &path)? else {
                return Err(Violation("the resource was not found".to_owned()));
            };
            ensure!(
                latest.resource.version == made.version,
                "round {round}: an old description"
            );
            ensure!(bytes_of(latest.body)? == body.as_bytes(), "round {round}: old bytes");
        }
        ensure!(
            known(&*store.snapshot(permit())?, "/a/x")? == made,
            "round {round}: an old view"
        );
        if round % 10 == 9 {
            remove(&*store, "/a/x")?;
            ensure!(
                store.latest(permit(), &path)?.is_none(),
                "round {round}: it is still there"
            );
        }
    }
    Ok(())
}
