//! Taking an archive in: as a new storage, under the rules of a PUT.
//!
//! The archive is read twice. The first time everything is checked and nothing written; the second time resources are
//! stored in order, some hundred to a commit, and each commit says how far it is: an import that was interrupted goes on
//! there. A resource is stored in one commit with its access rules, and after its container with its own: however far an
//! import has come, nobody sees what they could not see at its end.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::read::{Item, Part, ReadLimits, Visit, read};
use super::{About, ArchiveError, Complete, How, Rebase};
use crate::authz::{AuthorizationSystem, note_creator};
use crate::config::LdpSection;
use crate::error::Error;
use crate::http::media_type::{MediaType, Syntax};
use crate::ldp::intake::{self, Rules};
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{self, NewBody, NewState, ReadPermit, RecordKind, Store, StoreError, Transaction, Warrant};

/// Resources that are stored in one commit, about.
const COMMIT_RESOURCES: usize = 256;

/// Bytes that are stored in one commit, about.
const COMMIT_BYTES: u64 = 8 << 20;

/// Why the operator may write.
const OPERATOR: &str = "the operator takes an archive in on a stopped server";

/// Where an archive goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Root of the new storage.
    pub root: ResourceName,
    /// WebID of the owner; the one in the archive, at its new place, unless given.
    pub owner: Option<String>,
    /// The server's issuer, which takes the place of the old server's in profiles.
    pub issuer: String,
    /// Where the resources of the server are.
    pub origins: Origins,
    /// Bounds on documents.
    pub bounds: LdpSection,
    /// Bounds on the archive.
    pub limits: ReadLimits,
    /// How IRIs move; from the old root and issuer to the new ones unless given.
    pub rebase: Option<Rebase>,
}

/// The entries of a storage in the order of an archive: each container before what is in it, each resource with its
/// auxiliary ones right behind it.
pub trait Entries {
    /// Tells every entry to `visit`, which may leave bytes unread. Every call tells the same, or answers another digest.
    ///
    /// # Errors
    /// What `visit` answers, and when entries cannot be read.
    fn read(&mut self, visit: Visit<'_>) -> Result<(About, Complete), ArchiveError>;
}

struct ArchiveEntries<'i, R> {
    input: &'i mut R,
    limits: ReadLimits,
}

impl<R: Read + Seek> Entries for ArchiveEntries<'_, R> {
    fn read(&mut self, visit: Visit<'_>) -> Result<(About, Complete), ArchiveError> {
        self.input.seek(SeekFrom::Start(0))?;
        read(&mut *self.input, self.limits, visit)
    }
}

/// What was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// IRI that the storage had.
    pub from: String,
    /// WebID of the owner.
    pub owner: String,
    /// Resources stored, access rules and descriptions included.
    pub resources: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// Documents whose IRIs were replaced in their text.
    pub replaced: u64,
    /// Documents that were written anew, because their IRIs could not be replaced in their text.
    pub rewritten: u64,
    /// Resources that an earlier, interrupted run had stored.
    pub stored_before: u64,
    /// Resources that were there already when an interrupted import went on, and were left alone.
    pub kept: u64,
}

/// How far an import is, under the storage's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// Digest of the archive.
    archive: String,
    /// Entries stored.
    done: u64,
}

/// Takes an archive in. `heard` is told how many entries and bytes have been read, first while they are checked, then
/// while they are stored. It blocks: call it on a thread that may.
///
/// # Errors
/// [`ArchiveError`]. Nothing was changed when the archive is invalid, refused, or its storage exists; after a failure of
/// the store, running it again goes on.
pub fn import<R: Read + Seek>(
    store: &Arc<dyn Store>,
    input: &mut R,
    destination: &Destination,
    heard: &mut dyn FnMut(u64, u64),
) -> Result<Imported, ArchiveError> {
    let mut archive = ArchiveEntries {
        input,
        limits: destination.limits,
    };
    let mut check = Check::new(store, destination, heard)?;
    let checked = archive.read(&mut |about, item, content| check.entry(about, item, content))?;
    store_entries(store, &mut archive, destination, &checked, heard)
}

/// Looks at entries one by one without storing anything.
pub struct Check<'t>(Taking<'t>);

impl<'t> Check<'t> {
    /// Looks at entries for a destination. `heard` is told as with [`import`].
    ///
    /// # Errors
    /// When no storage can have the name, or the store fails.
    pub fn new(
        store: &'t Arc<dyn Store>,
        destination: &'t Destination,
        heard: &'t mut dyn FnMut(u64, u64),
    ) -> Result<Self, ArchiveError> {
        find_place(store.as_ref(), destination)?;
        Ok(Self(Taking::new(store, destination, heard)))
    }

    /// Whether an entry could be stored.
    ///
    /// # Errors
    /// [`ArchiveError`] says why not.
    pub fn entry(&mut self, about: &About, item: &Item, content: &mut dyn Read) -> Result<(), ArchiveError> {
        self.0.check(about, item, content)
    }
}

/// Stores entries that were checked; `checked` is what they were then.
///
/// # Errors
/// As [`import`].
pub fn store_entries(
    store: &Arc<dyn Store>,
    entries: &mut dyn Entries,
    destination: &Destination,
    (about, complete): &(About, Complete),
    heard: &mut dyn FnMut(u64, u64),
) -> Result<Imported, ArchiveError> {
    find_place(store.as_ref(), destination)?;
    let owner = rules(about, destination).owner;
    policies::request::WebId::parse(owner.as_str())
        .map_err(|error| ArchiveError::invalid(super::ABOUT, format!("the owner: {error}")))?;
    let mut storing = Taking::new(store, destination, heard);
    storing.done_before = begun(store.as_ref(), destination, complete)?;
    storing.storing = Some(Storing {
        owner: owner.clone(),
        system: about.authorization,
        archive: complete.digest.clone(),
        batch: Batch::default(),
    });
    let (_, again) = entries.read(&mut |about, item, content| storing.store(about, item, content))?;
    storing.flush()?;
    if again != *complete {
        return Err(ArchiveError::invalid(
            super::COMPLETE,
            "the entries changed while they were read",
        ));
    }
    let mut imported = storing.imported;
    (imported.from, imported.owner) = (about.storage.clone(), owner);
    Ok(imported)
}

/// Settles where the new storage will be, before any IRI in it is written.
fn find_place(store: &dyn Store, destination: &Destination) -> Result<(), ArchiveError> {
    let view = store.snapshot(ReadPermit::without_proof("the operator asks whether a storage exists"))?;
    if view.storage(&destination.root)?.is_none() {
        let name = destination.root.as_str().trim_matches('/');
        let refused = |reason: &str| ArchiveError::refused(&destination.root, &Error::BadRequest(reason.to_owned()));
        destination.origins.check(name).map_err(refused)?;
        destination.origins.expect(name);
    }
    Ok(())
}

fn rebase(about: &About, destination: &Destination) -> Rebase {
    if let Some(rebase) = &destination.rebase {
        return rebase.clone();
    }
    let root = destination.root.iri(&destination.origins);
    Rebase::new((&about.storage, &root), (&about.issuer, &destination.issuer))
}

fn rules(about: &About, destination: &Destination) -> Rules {
    let owner = destination.owner.clone();
    Rules {
        origins: destination.origins.clone(),
        bounds: destination.bounds.clone(),
        system: about.authorization,
        owner: owner.unwrap_or_else(|| rebase(about, destination).iri(&about.owner)),
    }
}

/// How many entries of this archive an earlier run has stored.
fn begun(store: &dyn Store, destination: &Destination, complete: &Complete) -> Result<u64, ArchiveError> {
    let view = store.snapshot(ReadPermit::without_proof("the operator asks how far an import came"))?;
    if view.storage(&destination.root)?.is_none() {
        return Ok(0);
    }
    let progress = view.record(RecordKind::Import, &record_key(&destination.root))?;
    let progress: Option<Progress> = progress.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match progress {
        Some(progress) if progress.archive == complete.digest => Ok(progress.done),
        _ => Err(ArchiveError::Exists(destination.root.to_string())),
    }
}

/// Whether a storage came in through [`store_entries`], even if not all of it.
///
/// # Errors
/// When the store fails.
pub fn has_begun(store: &dyn Store, root: &ResourceName) -> Result<bool, StoreError> {
    let view = store.snapshot(ReadPermit::without_proof(
        "the operator asks whether an import has begun",
    ))?;
    Ok(view.record(RecordKind::Import, &record_key(root))?.is_some())
}

fn record_key(root: &ResourceName) -> String {
    format!("archive{root}")
}

struct Storing {
    owner: String,
    system: AuthorizationSystem,
    archive: String,
    batch: Batch,
}

#[derive(Default)]
struct Batch {
    resources: Vec<(ResourceName, NewState)>,
    bytes: u64,
}

/// Reads entries and makes states of them; with `storing`, stores them.
struct Taking<'t> {
    store: &'t Arc<dyn Store>,
    destination: &'t Destination,
    heard: &'t mut dyn FnMut(u64, u64),
    storing: Option<Storing>,
    done_before: u64,
    entries: u64,
    imported: Imported,
}

impl<'t> Taking<'t> {
    fn new(store: &'t Arc<dyn Store>, destination: &'t Destination, heard: &'t mut dyn FnMut(u64, u64)) -> Self {
        Self {
            store,
            destination,
            heard,
            storing: None,
            done_before: 0,
            entries: 0,
            imported: Imported::default(),
        }
    }

    /// Whether an entry could be stored.
    fn check(&mut self, about: &About, item: &Item, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let name = self.name(item)?;
        intake::check_name(&name).map_err(|error| ArchiveError::refused(&name, &error))?;
        self.entries += 1;
        self.imported.bytes += item.size;
        (self.heard)(self.entries, self.imported.bytes);
        if item.part == Part::Container {
            return Ok(());
        }
        let media_type = media_type(&name, item)?;
        match self.syntax(&name, item, &media_type)? {
            Some(syntax) => self
                .document(about, item, &name, &media_type, syntax, content)
                .map(drop),
            None => Ok(()),
        }
    }

    fn store(&mut self, about: &About, item: &Item, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let name = self.name(item)?;
        // What belongs to a resource is stored with it.
        if matches!(item.part, Part::Container | Part::Document) && self.is_full() {
            self.flush()?;
        }
        self.entries += 1;
        if self.entries <= self.done_before {
            self.imported.stored_before += 1;
            return Ok(());
        }
        let state = match item.part {
            Part::Container => intake::empty_container(),
            _ => {
                let media_type = media_type(&name, item)?;
                match self.syntax(&name, item, &media_type)? {
                    Some(syntax) => {
                        let (state, how) = self.document(about, item, &name, &media_type, syntax, content)?;
                        self.imported.replaced += u64::from(how == How::Replaced);
                        self.imported.rewritten += u64::from(how == How::Rewritten);
                        state
                    }
                    None => intake::opaque(self.store.as_ref(), &media_type, content)?,
                }
            }
        };
        self.imported.resources += u64::from(item.part != Part::OwnStatements);
        self.imported.bytes += item.size;
        (self.heard)(self.entries, self.imported.bytes);
        if let Some(storing) = &mut self.storing {
            storing.batch.bytes += item.size;
            storing.batch.resources.push((name, state));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.storing.as_ref().is_some_and(|storing| {
            storing.batch.resources.len() >= COMMIT_RESOURCES || storing.batch.bytes >= COMMIT_BYTES
        })
    }

    /// Commits what is waiting, and how far the import is.
    fn flush(&mut self) -> Result<(), ArchiveError> {
        let Some(storing) = &mut self.storing else {
            return Ok(());
        };
        let batch = std::mem::take(&mut storing.batch);
        if batch.resources.is_empty() {
            return Ok(());
        }
        let progress = Progress {
            archive: storing.archive.clone(),
            done: self.entries,
        };
        let (root, owner, system) = (self.destination.root.clone(), storing.owner.clone(), storing.system);
        let (goes_on, origins) = (self.done_before > 0, self.destination.origins.clone());
        let work = move |transaction: &mut dyn Transaction| -> Result<u64, StoreError> {
            if transaction.storage(&root)?.is_none() {
                origins.assign(transaction, &root)?;
                transaction.create_storage(&root, &owner)?;
                system.assign(transaction, &root)?;
                if system == AuthorizationSystem::Acp {
                    note_creator(transaction, &root, Some(&owner))?;
                }
            }
            let mut kept = 0;
            for (name, state) in batch.resources {
                // Somebody may have used the server between two runs: what they wrote is newer than the archive.
                let own_statements =
                    matches!(&state.body, NewBody::Bytes(bytes) if !bytes.is_empty()) && name.is_container();
                if goes_on && !own_statements && name != root && transaction.resource(&name)?.is_some() {
                    kept += 1;
                    continue;
                }
                transaction.put(&name, state)?;
            }
            let progress = serde_json::to_vec(&progress).map_err(|error| StoreError::Damaged(error.to_string()))?;
            transaction.record_put(RecordKind::Import, &record_key(&root), &progress)?;
            Ok(kept)
        };
        let work = Box::new(move |transaction: &mut dyn Transaction| Ok(work(transaction)?));
        let (kept, _) =
            store::commit_blocking::<u64, ArchiveError>(self.store.as_ref(), Warrant::without_proof(OPERATOR), work)?;
        self.imported.kept += kept;
        Ok(())
    }

    fn name(&self, item: &Item) -> Result<ResourceName, ArchiveError> {
        let path = format!("{}{}", self.destination.root, item.path);
        ResourceName::parse(&path).map_err(|error| ArchiveError::invalid(&item.path, error.to_string()))
    }

    /// The syntax of a document that has to be read; none for others.
    fn syntax(&self, name: &ResourceName, item: &Item, media_type: &MediaType) -> Result<Option<Syntax>, ArchiveError> {
        let syntax = media_type.syntax();
        if syntax.is_none() && item.part != Part::Document {
            return Err(refusal(name, format!("`{}` is no RDF", media_type.as_str())));
        }
        Ok(syntax)
    }

    /// The state of an RDF document at its new place.
    fn document(
        &self,
        about: &About,
        item: &Item,
        name: &ResourceName,
        media_type: &MediaType,
        syntax: Syntax,
        content: &mut dyn Read,
    ) -> Result<(NewState, How), ArchiveError> {
        let rules = rules(about, self.destination);
        let bytes_max = rules.bytes_max(name);
        if item.size > bytes_max {
            return Err(refusal(name, format!("an RDF document of more than {bytes_max} bytes")));
        }
        let mut bytes = Vec::new();
        content.take(bytes_max).read_to_end(&mut bytes)?;
        let old = format!("{}{}", about.storage, item.path);
        let new = name.iri(&rules.origins);
        let refused = |error| ArchiveError::refused(name, &error);
        let (bytes, how) = rebase(about, self.destination)
            .document(bytes.into(), syntax, &old, &new, rules.bounds())
            .map_err(refused)?;
        // While an archive is only checked, nothing is written: not even a large body.
        let store = self.storing.is_some().then_some(self.store.as_ref());
        let state = intake::rdf(store, name, bytes, media_type, &rules).map_err(refused)?;
        Ok((state, how))
    }
}

fn media_type(name: &ResourceName, item: &Item) -> Result<MediaType, ArchiveError> {
    MediaType::parse(&item.media_type).ok_or_else(|| refusal(name, format!("`{}` is no media type", item.media_type)))
}

fn refusal(name: &ResourceName, reason: String) -> ArchiveError {
    ArchiveError::Refused {
        name: name.to_string(),
        reason,
    }
}
