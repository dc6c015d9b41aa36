//! One storage of the data folder as the entries of an archive.
//!
//! It is read twice: first to look whether everything can be taken over, which is noted, then to store what can. Both
//! times the entries come in the same order, and a digest over their names, lengths and times shows whether they are the same.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::fs::{File, Metadata as FileMetadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::report::{Finding, Outcome};
use super::metadata::Metadata;
use crate::archive::{About, ArchiveError, Complete, Entries, Item, Part, Visit, with_iris};
use crate::authz::AuthorizationSystem;
use crate::http::media_type::{MediaType, Syntax};
use crate::ldp::document;
use crate::ldp::file_name::{FileName, OCTETS, segment};
use crate::ldp::intake::Rules;
use crate::ldp::provision::owners_only;
use crate::name::{Auxiliary, ResourceName};
use crate::store::NewBody;

/// Suffix of a description.
const DESCRIPTION: &str = ".meta";

/// Where a storage is and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its folder.
    pub(super) path: PathBuf,
    /// What is said of it: old IRI, old owner, system.
    pub(super) about: About,
    /// Its new root.
    pub(super) root: ResourceName,
    /// The rules here; the owner is the new one.
    pub(super) rules: Rules,
}

impl Source {
    const fn rules_suffix(&self) -> &'static str {
        match self.about.authorization {
            AuthorizationSystem::Wac => ".acl",
            AuthorizationSystem::Acp => ".acr",
        }
    }

    fn old_iri(&self, path: &str) -> String {
        format!("{}{path}", self.about.storage)
    }
}

/// The entries of one storage. What cannot be taken over is remembered while it is looked at, and left out afterwards.
pub(super) struct StorageFolder<'f> {
    source: &'f Source,
    found: Option<&'f mut dyn FnMut(Finding)>,
    /// Paths of entries that stay behind.
    left_out: BTreeSet<String>,
}

/// A file or folder and what lies beside it for it.
#[derive(Default)]
struct Group {
    document: Option<(PathBuf, FileMetadata, Option<String>)>,
    folder: Option<PathBuf>,
    rules: Option<(PathBuf, FileMetadata, Option<String>)>,
    description: Option<(PathBuf, FileMetadata)>,
}

/// A folder that is being read: its path below the storage, and what is left of it.
struct Level {
    path: String,
    groups: btree_map::IntoIter<String, Group>,
}

/// Takes entries, and sums up what they are.
struct Telling<'v> {
    visit: Visit<'v>,
    digest: Sha256,
    entries: u64,
    bytes: u64,
}

impl<'f> StorageFolder<'f> {
    /// `found` hears what cannot be taken over as it is.
    pub(super) fn new(source: &'f Source, found: &'f mut dyn FnMut(Finding)) -> Self {
        Self {
            source,
            found: Some(found),
            left_out: BTreeSet::new(),
        }
    }

    /// From now on nothing is said any more, and what cannot be stored is an error.
    pub(super) fn looked_at(&mut self) {
        self.found = None;
    }

    fn say(&mut self, outcome: Outcome, what: String, reason: impl Into<String>) {
        if let Some(found) = &mut self.found {
            let reason = reason.into();
            found(Finding { outcome, what, reason });
        }
    }

    fn leave_out(&mut self, path: &Path, reason: impl Into<String>) {
        self.say(Outcome::LeftOut, path.display().to_string(), reason);
    }

    /// What lies in a folder, by the name of the resource that it is for; the folder itself has none.
    fn groups(&mut self, folder: &Path) -> Result<BTreeMap<String, Group>, ArchiveError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            names.push(entry?.file_name());
        }
        // Of two files for one name, the same one counts each time.
        names.sort();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for name in names {
            let path = folder.join(&name);
            let Some(name) = name.to_str() else {
                self.leave_out(&path, "the name is not UTF-8");
                continue;
            };
            let about = match std::fs::symlink_metadata(&path) {
                Ok(about) => about,
                Err(error) => {
                    self.leave_out(&path, error.to_string());
                    continue;
                }
            };
            self.sort_in(name, path, about, &mut groups);
        }
        Ok(groups)
    }

    fn sort_in(&mut self, name: &str, path: PathBuf, about: FileMetadata, groups: &mut BTreeMap<String, Group>) {
        if about.is_dir() {
            match segment(name) {
                Ok(name) => groups.entry(name).or_default().folder = Some(path),
                Err(reason) => self.leave_out(&path, format!("{reason}; nothing in it is taken over")),
            }
            return;
        }
        if !about.is_file() {
            let reason = if about.is_symlink() {
                "a symbolic link, which is not followed: put the file itself there"
            } else {
                "neither a file nor a folder"
            };
            return self.leave_out(&path, reason);
        }
        let FileName { segment, media_type } = match FileName::document(name) {
            Ok(read) => read,
            Err(reason) => return self.leave_out(&path, reason),
        };
        let suffix = self.source.rules_suffix();
        let replaced = if let Some(subject) = segment.strip_suffix(DESCRIPTION) {
            // What the other server notes about access rules is of no use here.
            if subject.ends_with(suffix) {
                return;
            }
            let group = groups.entry(subject.to_owned()).or_default();
            group.description.replace((path.clone(), about)).map(|(path, _)| path)
        } else if let Some(subject) = segment.strip_suffix(suffix) {
            let group = groups.entry(subject.to_owned()).or_default();
            let rules = group.rules.replace((path.clone(), about, media_type));
            rules.map(|(path, ..)| path)
        } else if segment.ends_with(Auxiliary::Acl.suffix()) {
            return self.leave_out(&path, "the name is that of access rules here");
        } else {
            let group = groups.entry(segment).or_default();
            let document = group.document.replace((path.clone(), about, media_type));
            document.map(|(path, ..)| path)
        };
        if let Some(replaced) = replaced {
            self.leave_out(&replaced, format!("`{}` has the same name and counts", path.display()));
        }
    }

    /// Tells of a folder itself; answers what lies in it.
    fn enter(&mut self, folder: &Path, path: String, telling: &mut Telling<'_>) -> Result<Option<Level>, ArchiveError> {
        let container = Item {
            part: Part::Container,
            path: path.clone(),
            media_type: String::new(),
            size: 0,
        };
        if !self.tell(&container, &mut std::io::empty(), 0, telling)? {
            return Ok(None);
        }
        let mut groups = match self.groups(folder) {
            Ok(groups) => groups,
            Err(error) => {
                self.leave_out(folder, format!("{error}; nothing in it is taken over"));
                BTreeMap::new()
            }
        };
        let own = groups.remove("").unwrap_or_default();
        self.auxiliaries(&path, own, path.is_empty(), telling)?;
        Ok(Some(Level {
            path,
            groups: groups.into_iter(),
        }))
    }

    /// Tells of a document with what belongs to it.
    fn document(&mut self, path: &str, mut group: Group, telling: &mut Telling<'_>) -> Result<(), ArchiveError> {
        let Some((file, about, media_type)) = group.document.take() else {
            let rules = group.rules.map(|(file, ..)| file);
            for file in rules.into_iter().chain(group.description.map(|(file, _)| file)) {
                self.leave_out(&file, "what it belongs to is not there");
            }
            return Ok(());
        };
        if group.folder.is_some() {
            self.leave_out(
                &file,
                "a folder has the same name, and only one of the two can be there",
            );
            return Ok(());
        }
        let metadata = self.metadata(path, group.description.as_ref());
        let essence = media_type
            .or_else(|| metadata.format.clone())
            .unwrap_or_else(|| OCTETS.to_owned());
        let mut full = metadata.media_type(&essence);
        if MediaType::parse(&full).is_none() {
            let reason = format!("`{full}` is no media type, so that it becomes `{OCTETS}`");
            self.say(Outcome::Changed, self.source.old_iri(path), reason);
            full = OCTETS.to_owned();
        }
        let item = Item {
            part: Part::Document,
            path: path.to_owned(),
            media_type: full,
            size: about.len(),
        };
        let content = File::open(&file);
        let told = match content {
            Ok(mut content) => self.tell(&item, &mut content, modified(&about), telling)?,
            Err(error) => {
                self.leave_out(&file, error.to_string());
                false
            }
        };
        if told {
            self.auxiliaries(path, group, false, telling)?;
        }
        Ok(())
    }

    /// Tells of access rules and description.
    fn auxiliaries(
        &mut self,
        subject: &str,
        group: Group,
        is_root: bool,
        telling: &mut Telling<'_>,
    ) -> Result<(), ArchiveError> {
        let path = format!("{subject}{}", Auxiliary::Acl.suffix());
        if let Some((file, about, media_type)) = group.rules {
            self.access_rules(&path, subject, &file, &about, media_type.as_deref(), telling)?;
        } else if is_root {
            let reason =
                "the storage has no access rules of its own: only the owner may use it until new ones are given";
            self.say(Outcome::OwnerOnly, self.source.old_iri(subject), reason);
            self.closed(&path, subject, telling)?;
        }
        let Some((_, about)) = &group.description else {
            return Ok(());
        };
        let metadata = self.metadata(subject, group.description.as_ref());
        if let Some(text) = metadata.description {
            let item = turtle(Part::Auxiliary(Auxiliary::Description), subject, &text);
            self.tell(&item, &mut text.as_ref(), modified(about), telling)?;
        }
        Ok(())
    }

    /// Tells of access rules; of those for the owner alone where they cannot be used.
    fn access_rules(
        &mut self,
        path: &str,
        subject: &str,
        file: &Path,
        about: &FileMetadata,
        media_type: Option<&str>,
        telling: &mut Telling<'_>,
    ) -> Result<(), ArchiveError> {
        let media_type = media_type.unwrap_or(OCTETS);
        let mut usable = !self.left_out.contains(path);
        if usable {
            let read = read_bounded(file, about, self.source.rules.bounds.acl_bytes_max)
                .and_then(|bytes| self.under_our_name(bytes, subject, media_type));
            let told = match read {
                Ok(bytes) => {
                    let mut item = turtle(Part::Auxiliary(Auxiliary::Acl), subject, &bytes);
                    item.media_type = media_type.to_owned();
                    self.offer(&item, &mut bytes.as_ref(), modified(about), telling)?
                }
                Err(reason) => Err(reason),
            };
            if let Err(reason) = told {
                let reason = format!("{reason}; only the owner may use it until new access rules are given");
                self.say(Outcome::OwnerOnly, self.source.old_iri(subject), reason);
                self.left_out.insert(path.to_owned());
                usable = false;
            }
        }
        if usable {
            Ok(())
        } else {
            self.closed(path, subject, telling)
        }
    }

    /// Tells of access rules that leave a resource to the owner alone.
    fn closed(&mut self, path: &str, subject: &str, telling: &mut Telling<'_>) -> Result<(), ArchiveError> {
        let name = ResourceName::parse(&format!("{}{subject}", self.source.root));
        let name = name.map_err(|error| ArchiveError::Invalid {
            place: path.to_owned(),
            reason: error.to_string(),
        })?;
        let state = owners_only(self.source.about.authorization, &self.source.rules.owner, &name);
        let NewBody::Bytes(text) = state.body else {
            return Ok(());
        };
        let item = turtle(Part::Auxiliary(Auxiliary::Acl), subject, &text);
        (telling.visit)(&self.source.about, &item, &mut text.as_ref())?;
        telling.count(&item, 0);
        Ok(())
    }

    /// Access control resources have another name on the other server; what they say of themselves moves with them.
    fn under_our_name(&self, bytes: Bytes, subject: &str, media_type: &str) -> Result<Bytes, String> {
        if self.source.about.authorization == AuthorizationSystem::Wac {
            return Ok(bytes);
        }
        let syntax = Syntax::from_essence(media_type).ok_or_else(|| format!("`{media_type}` is no RDF"))?;
        let base = self.source.old_iri(&format!("{subject}{}", self.source.rules_suffix()));
        let read =
            document::parse(&bytes, syntax, &base, self.source.rules.bounds()).map_err(|error| error.to_string())?;
        let storage = &self.source.about.storage;
        let renamed = with_iris(&read, &|iri| {
            let (document, fragment) = iri
                .split_once('#')
                .map_or((iri, None), |(left, right)| (left, Some(right)));
            match document.strip_suffix(".acr").filter(|it| it.starts_with(storage)) {
                Some(subject) => match fragment {
                    Some(fragment) => format!("{subject}.acl#{fragment}"),
                    None => format!("{subject}.acl"),
                },
                None => iri.to_owned(),
            }
        });
        let written = renamed.write(syntax).map_err(|error| error.to_string())?;
        Ok(written.into())
    }

    /// The description of a resource; nothing, said once, where it cannot be read.
    fn metadata(&mut self, subject: &str, file: Option<&(PathBuf, FileMetadata)>) -> Metadata {
        let path = format!("{subject}{DESCRIPTION}");
        let Some((file, about)) = file.filter(|_| !self.left_out.contains(&path)) else {
            return Metadata::default();
        };
        let rules = &self.source.rules;
        let read = read_bounded(file, about, rules.bounds.rdf_bytes_max).and_then(|bytes| {
            Metadata::read(&bytes, &self.source.old_iri(subject), rules.bounds()).map_err(|error| error.to_string())
        });
        read.unwrap_or_else(|reason| {
            self.leave_out(file, reason);
            self.left_out.insert(path);
            Metadata::default()
        })
    }

    /// Tells of an entry, unless it stays behind; false then.
    fn tell(
        &mut self,
        item: &Item,
        content: &mut dyn Read,
        modified: i128,
        telling: &mut Telling<'_>,
    ) -> Result<bool, ArchiveError> {
        if self.left_out.contains(&item.path) {
            return Ok(false);
        }
        match self.offer(item, content, modified, telling)? {
            Ok(()) => Ok(true),
            Err(reason) => {
                self.say(Outcome::LeftOut, self.source.old_iri(&item.path), reason);
                self.left_out.insert(item.path.clone());
                Ok(false)
            }
        }
    }

    /// Tells of an entry. The inner error says why it cannot be taken over; afterwards there is none.
    fn offer(
        &mut self,
        item: &Item,
        content: &mut dyn Read,
        modified: i128,
        telling: &mut Telling<'_>,
    ) -> Result<Result<(), String>, ArchiveError> {
        let most = self.source.rules.bounds.body_bytes_max;
        if item.size > most {
            return Ok(Err(format!("longer than {most} bytes (`ldp.body_bytes_max`)")));
        }
        match (telling.visit)(&self.source.about, item, content) {
            Ok(()) => {
                telling.count(item, modified);
                Ok(Ok(()))
            }
            Err(ArchiveError::Refused { reason, .. } | ArchiveError::Invalid { reason, .. })
                if self.found.is_some() =>
            {
                Ok(Err(reason))
            }
            Err(ArchiveError::File(error)) if self.found.is_some() => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

impl Entries for StorageFolder<'_> {
    fn read(&mut self, visit: Visit<'_>) -> Result<(About, Complete), ArchiveError> {
        let mut telling = Telling {
            visit,
            digest: Sha256::new(),
            entries: 0,
            bytes: 0,
        };
        let source = self.source;
        let mut open = Vec::new();
        open.extend(self.enter(&source.path, String::new(), &mut telling)?);
        while let Some(level) = open.last_mut() {
            let Some((name, mut group)) = level.groups.next() else {
                open.pop();
                continue;
            };
            let path = format!("{}{name}", level.path);
            let folder = group.folder.clone();
            if group.document.is_some() || folder.is_none() {
                self.document(&path, std::mem::take(&mut group), &mut telling)?;
            }
            if let Some(folder) = folder {
                open.extend(self.enter(&folder, format!("{path}/"), &mut telling)?);
            }
        }
        let complete = Complete {
            entries: telling.entries,
            bytes: telling.bytes,
            digest: hex::encode(telling.digest.finalize()),
            commits: [0, 0],
        };
        Ok((source.about.clone(), complete))
    }
}

impl Telling<'_> {
    fn count(&mut self, item: &Item, modified: i128) {
        let Item {
            path, media_type, size, ..
        } = item;
        self.digest.update(format!("{size} {modified} {media_type} {path}\n"));
        self.entries += 1;
        self.bytes += size;
    }
}

fn turtle(part: Part, subject: &str, bytes: &Bytes) -> Item {
    let suffix = match part {
        Part::Auxiliary(auxiliary) => auxiliary.suffix(),
        _ => "",
    };
    Item {
        part,
        path: format!("{subject}{suffix}"),
        media_type: Syntax::Turtle.media_type().to_owned(),
        size: bytes.len() as u64,
    }
}

/// When a file was changed, in nanoseconds.
fn modified(about: &FileMetadata) -> i128 {
    i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec())
}

fn read_bounded(file: &Path, about: &FileMetadata, bytes_max: u64) -> Result<Bytes, String> {
    if about.len() > bytes_max {
        return Err(format!("longer than {bytes_max} bytes"));
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|error| error.to_string())?;
    opened
        .take(bytes_max)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes.into())
}
