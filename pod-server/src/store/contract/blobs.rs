//! Large bodies.

use super::{Bounds, Factory, List, Violation, bytes_of, ensure, name, permit, put, remove, with_storage, write};
use crate::store::{Body, CommitError, NewBody, NewState, Resource, ResourceKind, Store, StoreError};

pub(super) const CHECKS: List = &[
    ("a blob comes back as it was sent, and survives being shared", shared),
    ("a body that is too large for the database must be a blob", too_large),
    ("a blob that was never finished cannot be used", unfinished),
    (
        "a removed blob can still be read by those who learned of it",
        still_readable,
    ),
];

fn sent(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from(index % 251).unwrap_or(0))
        .collect()
}

fn upload(store: &dyn Store, bytes: &[u8]) -> Result<NewBody, Violation> {
    let mut writer = store.blob()?;
    for chunk in bytes.chunks(7_919) {
        writer.write(chunk)?;
    }
    Ok(writer.finish()?)
}

fn put_blob(store: &dyn Store, path: &str, body: NewBody) -> Result<Resource, CommitError<super::No>> {
    let name = name(path).map_err(|error| StoreError::Misuse(error.0))?;
    let state = NewState {
        kind: ResourceKind::NonRdfSource,
        media_type: "application/octet-stream".to_owned(),
        body,
    };
    Ok(write(store, move |inside| Ok(inside.put(&name, state)?))?.0)
}

fn read(store: &dyn Store, path: &str) -> Result<Vec<u8>, Violation> {
    match store.latest(permit(), &name(path)?)? {
        Some(latest) => bytes_of(latest.body),
        None => Err(Violation(format!("`{path}` is missing"))),
    }
}

fn shared(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let bytes = sent(100_000);
    for path in ["/a/one", "/a/two"] {
        let body = upload(&*store, &bytes)?;
        ensure!(
            matches!(body, NewBody::Blob { size: 100_000, .. }),
            "its size is wrong: {body:?}"
        );
        let made = put_blob(&*store, path, body)?;
        ensure!(made.size == 100_000, "the resource has another size");
        ensure!(read(&*store, path)? == bytes, "`{path}` has other bytes");
    }
    remove(&*store, "/a/one")?;
    ensure!(
        read(&*store, "/a/two")? == bytes,
        "the other user of the same bytes lost them"
    );
    put(&*store, "/a/two", "small now")?;
    ensure!(
        read(&*store, "/a/two")? == b"small now",
        "a small body did not replace the blob"
    );
    put_blob(&*store, "/a/two", upload(&*store, &bytes)?)?;
    ensure!(
        read(&*store, "/a/two")? == bytes,
        "a blob did not replace the small body"
    );
    Ok(())
}

fn too_large(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let bytes = sent(store.inline_bytes_max() + 1);
    let refused = put_blob(&*store, "/a/x", NewBody::Bytes(bytes.into()));
    ensure!(
        matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
        "it was accepted"
    );
    put_blob(&*store, "/a/x", NewBody::Bytes(sent(store.inline_bytes_max()).into()))?;
    Ok(())
}

fn unfinished(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let body = upload(&*store, &sent(10_000))?;
    let NewBody::Blob { digest, size } = body else {
        return Err(Violation("a blob is no blob".to_owned()));
    };
    for body in [
        NewBody::Blob { digest: [9; 32], size },
        NewBody::Blob { digest, size: size + 1 },
    ] {
        let refused = put_blob(&*store, "/a/x", body);
        ensure!(
            matches!(refused, Err(CommitError::Store(StoreError::Misuse(_)))),
            "accepted: {refused:?}"
        );
    }
    let mut dropped = store.blob()?;
    dropped.write(b"never finished")?;
    drop(dropped);
    ensure!(
        store.snapshot(permit())?.resource(&name("/a/x")?)?.is_none(),
        "a refused put left a resource"
    );
    Ok(())
}

fn still_readable(factory: Factory<'_>) -> Result<(), Violation> {
    let store = with_storage(factory, Bounds::default())?;
    let bytes = sent(50_000);
    put_blob(&*store, "/a/x", upload(&*store, &bytes)?)?;
    let view = store.snapshot(permit())?;
    let resource = super::known(&*view, "/a/x")?;
    let learned: Body = view.body(&resource)?;
    remove(&*store, "/a/x")?;
    drop(view);
    ensure!(bytes_of(learned)? == bytes, "the bytes are gone");
    Ok(())
}
