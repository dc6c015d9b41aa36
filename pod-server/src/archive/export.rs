//! Writing an archive.
//!
//! The store is looked at in short views, a few resources at a time, because whoever receives the archive may be slow and
//! an open view would hold the store's log. Each resource is read together with its access rules. At the end it is checked
//! that no access rule changed meanwhile: else the archive breaks off, rather than showing to some what they never could see.

use std::fs::File;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{
    ABOUT, About, ArchiveError, COMPLETE, Complete, DATA, FORMAT, OWN_STATEMENTS, PAX_MEDIA_TYPE, PAX_SHA256, VERSION,
};
use crate::authz::AuthorizationSystem;
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{
    Body, BodyLocation, Change, ReadPermit, RecordKind, Resource, ResourceKind, Sequence, Snapshot, Store, StoreError,
};

/// Resources that are read in one view.
const PAGE_RESOURCES: usize = 32;

/// Bytes of small bodies after which a view is closed.
const PAGE_BYTES: u64 = 4 << 20;

/// Events looked at in one view.
const PAGE_EVENTS: usize = 4_096;

/// Longest name that fits the header of a tar entry; longer ones stand in a pax header.
const NAME_BYTES_PLAIN: usize = 100;

/// What is exported, from where.
#[derive(Clone, Debug)]
pub struct Source {
    /// The storage's root.
    pub root: ResourceName,
    /// Where the resources of the server are.
    pub origins: Origins,
    /// The server's issuer.
    pub issuer: String,
    /// Now.
    pub now: OffsetDateTime,
}

/// Writes the archive of one storage. `heard` is told how many entries and bytes were written. It blocks: call it on a
/// thread that may.
///
/// # Errors
/// [`ArchiveError::NoStorage`], [`ArchiveError::Changed`], [`ArchiveError::Rotten`], and failures of the store and of `out`.
/// What was written then is no complete archive, and cannot pass for one.
pub fn export<W: Write>(
    store: &dyn Store,
    permit: ReadPermit,
    source: &Source,
    out: W,
    heard: &mut dyn FnMut(u64, u64),
) -> Result<Complete, ArchiveError> {
    let (begun, owner, system) = {
        let view = store.snapshot(permit)?;
        let storage = view.storage(&source.root)?;
        let storage = storage.ok_or_else(|| ArchiveError::NoStorage(source.root.to_string()))?;
        (
            view.sequence()?,
            storage.owner,
            AuthorizationSystem::of(&*view, &source.root)?,
        )
    };
    let mut writing = Writing::new(out, source.root.clone());
    writing.about(source, owner, system)?;
    let (mut after, mut rows, mut auxiliaries) = (None, 0, 0);
    loop {
        let page = Page::read(&*store.snapshot(permit)?, &source.root, after.as_ref())?;
        rows += page.auxiliary_rows;
        for piece in page.pieces {
            auxiliaries += u64::from(piece.resource.name.auxiliary_subject().is_some());
            writing.piece(piece)?;
        }
        heard(writing.entries, writing.bytes);
        match page.last {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    let ended = settled(store, permit, &source.root, begun)?;
    if begun == ended && rows != auxiliaries {
        return Err(StoreError::Damaged(format!("`{}` holds auxiliary resources of nothing", source.root)).into());
    }
    writing.finish([begun.0, ended.0])
}

/// Checks that no access rule and no container below a root changed since a commit; answers the last commit.
fn settled(
    store: &dyn Store,
    permit: ReadPermit,
    root: &ResourceName,
    since: Sequence,
) -> Result<Sequence, ArchiveError> {
    let mut seen = since;
    loop {
        let view = store.snapshot(permit)?;
        let now = view.sequence()?;
        let events = match view.events(seen, PAGE_EVENTS) {
            Err(StoreError::Forgotten { .. }) => return Err(ArchiveError::Changed),
            events => events?,
        };
        let Some(last) = events.last() else { return Ok(now) };
        seen = last.sequence;
        let rules = |name: &ResourceName| {
            name.is_within(root)
                && matches!(name.auxiliary_subject(), Some((_, kind)) if kind != Auxiliary::Description)
        };
        let changed = events.iter().any(|event| match &event.change {
            Change::Created { name, .. } | Change::Updated { name, .. } => rules(name),
            Change::Deleted { name, .. } => rules(name) || (name.is_container() && name.is_within(root)),
            Change::Record { kind, key, .. } => *kind == RecordKind::AuthorizationSystem && key == root.as_str(),
        });
        if changed {
            return Err(ArchiveError::Changed);
        }
    }
}

/// A resource and its bytes, kept beyond the view in which they were read.
struct Piece {
    resource: Resource,
    bytes: Bytes,
}

enum Bytes {
    Memory(bytes::Bytes),
    /// Open, so that the bytes stay even when the blob is given up.
    File(File),
}

/// Some resources in name order, each with its auxiliaries behind it, as they are in one view.
struct Page {
    pieces: Vec<Piece>,
    auxiliary_rows: u64,
    /// Where the next page goes on; none after the last.
    last: Option<ResourceName>,
}

impl Page {
    fn read(view: &dyn Snapshot, root: &ResourceName, after: Option<&ResourceName>) -> Result<Self, StoreError> {
        let mut page = Self {
            pieces: Vec::new(),
            auxiliary_rows: 0,
            last: None,
        };
        let mut bytes = 0;
        if after.is_none()
            && let Some(container) = view.resource(root)?
        {
            bytes += page.with_auxiliaries(view, container)?;
        }
        let rows = view.descendants(root, after, PAGE_RESOURCES)?;
        let full = rows.len() == PAGE_RESOURCES;
        for row in rows {
            let name = row.name.clone();
            if name.auxiliary_subject().is_some() {
                page.auxiliary_rows += 1;
            } else {
                bytes += page.with_auxiliaries(view, row)?;
            }
            page.last = Some(name);
            if bytes >= PAGE_BYTES {
                return Ok(page);
            }
        }
        if !full {
            page.last = None;
        }
        Ok(page)
    }

    /// Adds a resource and what belongs to it; answers the bytes that are now in memory for it.
    fn with_auxiliaries(&mut self, view: &dyn Snapshot, resource: Resource) -> Result<u64, StoreError> {
        let mut bytes = 0;
        let name = resource.name.clone();
        bytes += self.add(view, resource)?;
        for kind in auxiliaries() {
            if let Some(auxiliary) = view.resource(&name.auxiliary(kind))? {
                bytes += self.add(view, auxiliary)?;
            }
        }
        Ok(bytes)
    }

    fn add(&mut self, view: &dyn Snapshot, resource: Resource) -> Result<u64, StoreError> {
        let (bytes, length) = match view.body(&resource)? {
            Body::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (Bytes::Memory(bytes), length)
            }
            Body::File { path, .. } => (Bytes::File(File::open(path)?), 0),
        };
        self.pieces.push(Piece { resource, bytes });
        Ok(length)
    }
}

/// Every kind of auxiliary resource, rules of access first.
const fn auxiliaries() -> [Auxiliary; 2] {
    // A new kind has to be added above as well.
    match Auxiliary::Acl {
        Auxiliary::Acl | Auxiliary::Description => [Auxiliary::Acl, Auxiliary::Description],
    }
}

struct Writing<W: Write> {
    out: GzEncoder<W>,
    root: ResourceName,
    digest: Sha256,
    entries: u64,
    bytes: u64,
}

impl<W: Write> Writing<W> {
    fn new(out: W, root: ResourceName) -> Self {
        Self {
            out: GzEncoder::new(out, Compression::fast()),
            root,
            digest: Sha256::new(),
            entries: 0,
            bytes: 0,
        }
    }

    fn about(
        &mut self,
        source: &Source,
        owner: String,
        authorization: AuthorizationSystem,
    ) -> Result<(), ArchiveError> {
        let about = About {
            format: FORMAT.to_owned(),
            version: VERSION,
            storage: source.root.iri(&source.origins),
            owner,
            issuer: source.issuer.clone(),
            authorization,
            written: source.now.format(&Rfc3339).map_err(io::Error::other)?,
            holds: About::HOLDS.to_owned(),
        };
        self.json(ABOUT, &about, source.now.unix_timestamp())
    }

    fn json(&mut self, name: &str, value: &impl serde::Serialize, modified: i64) -> Result<(), ArchiveError> {
        let mut text = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
        text.push(b'\n');
        let header = header(EntryType::Regular, name, text.len() as u64, modified)?;
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(&text)?;
        self.pad(text.len() as u64)
    }

    fn piece(&mut self, piece: Piece) -> Result<(), ArchiveError> {
        let Piece { resource, bytes } = piece;
        let below = resource
            .name
            .as_str()
            .get(self.root.as_str().len()..)
            .unwrap_or_default();
        let path = format!("{DATA}{below}");
        if resource.kind == ResourceKind::Container {
            self.entry(
                EntryType::Directory,
                &path,
                &resource,
                Bytes::Memory(bytes::Bytes::new()),
            )?;
            if resource.size > 0 {
                self.entry(EntryType::Regular, &format!("{path}{OWN_STATEMENTS}"), &resource, bytes)?;
            }
            return Ok(());
        }
        self.entry(EntryType::Regular, &path, &resource, bytes)
    }

    fn entry(&mut self, kind: EntryType, path: &str, resource: &Resource, bytes: Bytes) -> Result<(), ArchiveError> {
        let size = if kind == EntryType::Directory { 0 } else { resource.size };
        let sha256: [u8; 32] = match (&bytes, &resource.body) {
            (Bytes::Memory(bytes), _) => Sha256::digest(bytes).into(),
            (Bytes::File(_), BodyLocation::Blob(digest)) => *digest,
            (Bytes::File(_), BodyLocation::Inline) => return Err(ArchiveError::Rotten(resource.name.to_string())),
        };
        let sha256 = hex::encode(sha256);
        self.pax(path, kind, &sha256, &resource.media_type)?;
        let name = if path.len() > NAME_BYTES_PLAIN {
            "long-name"
        } else {
            path
        };
        self.out
            .write_all(header(kind, name, size, resource.modified)?.as_bytes())?;
        let rotten = || ArchiveError::Rotten(resource.name.to_string());
        let (written, found) = match bytes {
            Bytes::Memory(bytes) => copy(&mut &*bytes, &mut self.out)?,
            Bytes::File(file) => copy(&mut file.take(size), &mut self.out)?,
        };
        if written != size || found != sha256 {
            return Err(rotten());
        }
        self.pad(size)?;
        self.digest.update(format!("{sha256}  {path}\n"));
        self.entries += 1;
        self.bytes += size;
        Ok(())
    }

    /// The pax header of an entry: what the entry's own header has no place for.
    fn pax(&mut self, path: &str, kind: EntryType, sha256: &str, media_type: &str) -> Result<(), ArchiveError> {
        let mut text = String::new();
        if path.len() > NAME_BYTES_PLAIN {
            text.push_str(&pax_record("path", path));
        }
        if kind == EntryType::Regular {
            text.push_str(&pax_record(PAX_MEDIA_TYPE, media_type));
            text.push_str(&pax_record(PAX_SHA256, sha256));
        }
        if text.is_empty() {
            return Ok(());
        }
        let header = header(EntryType::XHeader, "pax-header", text.len() as u64, 0)?;
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(text.as_bytes())?;
        self.pad(text.len() as u64)
    }

    /// Fills the last block of an entry.
    fn pad(&mut self, size: u64) -> Result<(), ArchiveError> {
        let rest = usize::try_from(size.next_multiple_of(512) - size).unwrap_or_default();
        self.out.write_all([0; 512].get(..rest).unwrap_or_default())?;
        Ok(())
    }

    fn finish(mut self, commits: [u64; 2]) -> Result<Complete, ArchiveError> {
        let complete = Complete {
            entries: self.entries,
            bytes: self.bytes,
            digest: hex::encode(std::mem::take(&mut self.digest).finalize()),
            commits,
        };
        self.json(COMPLETE, &complete, 0)?;
        self.out.write_all(&[0; 1_024])?;
        self.out.finish()?.flush()?;
        Ok(complete)
    }
}

fn header(kind: EntryType, path: &str, size: u64, modified: i64) -> Result<Header, ArchiveError> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_path(path)?;
    header.set_size(size);
    header.set_mtime(u64::try_from(modified).unwrap_or(0));
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

/// A record of a pax header: its own length, key and value (POSIX.1-2001, pax, "Extended Header").
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() != rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

/// Copies all of a reader; answers the length and the SHA-256 of what went by.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<(u64, String), io::Error> {
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let count = from.read(&mut buffer)?;
        let chunk = buffer.get(..count).unwrap_or_default();
        if chunk.is_empty() {
            return Ok((length, hex::encode(hash.finalize())));
        }
        hash.update(chunk);
        to.write_all(chunk)?;
        length += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_count_themselves() {
        for length in 0..2_000 {
            let record = pax_record("path", &"x".repeat(length));
            let told = record.split(' ').next().and_then(|count| count.parse().ok());
            assert_eq!(told, Some(record.len()), "{length}");
        }
    }
}
