//! The names of the indexed documents in order, and the access control list that governs each of them.
//!
//! Policy enforcement asks two things of the index: which documents lie below a container, and which documents share
//! one effective access control list, so that a list is evaluated once and not once per document. This module decides
//! nothing about access. A document without any list belongs to no group and is therefore visible to nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roaring::RoaringBitmap;

use super::document::DocumentId;
use super::mentions::Mentions;
use crate::name::{Auxiliary, ResourceName};
use crate::store::{ResourceId, Sequence, StorageId};

/// One state of a list.
pub type ListState = (ResourceId, Sequence);

/// The documents that one access control list governs.
#[derive(Clone, Debug)]
pub struct AclGroup {
    /// The list's resource.
    pub list: ResourceId,
    /// The state of the list.
    pub version: Sequence,
    /// The subject itself and its description: `acl:accessTo` counts.
    pub own: RoaringBitmap,
    /// Documents that inherit the list: `acl:default` counts.
    pub inherited: RoaringBitmap,
    mentions: Mentions,
}

/// Names of current documents and their groups.
#[derive(Debug, Default)]
pub struct Names {
    documents: BTreeMap<ResourceName, DocumentId>,
    versions: HashMap<ResourceId, (DocumentId, Sequence)>,
    groups: BTreeMap<ResourceName, AclGroup>,
    mentioned: HashMap<Box<str>, BTreeSet<ResourceName>>,
    storages: HashMap<StorageId, ResourceName>,
    epoch: u64,
}

impl Names {
    /// The current document of a name.
    #[must_use]
    pub fn document(&self, name: &ResourceName) -> Option<DocumentId> {
        self.documents.get(name).copied()
    }

    /// The current document of a resource and the commit that made it.
    #[must_use]
    pub fn version(&self, resource: ResourceId) -> Option<(DocumentId, Sequence)> {
        self.versions.get(&resource).copied()
    }

    /// The documents at or below a container, in name order.
    pub fn within<'a>(
        &'a self,
        container: &'a ResourceName,
    ) -> impl Iterator<Item = (&'a ResourceName, DocumentId)> + 'a {
        self.documents
            .range(container.clone()..)
            .take_while(move |(name, _)| *name == container || name.is_within(container))
            .map(|(name, document)| (name, *document))
    }

    /// The groups, by the subject of their list.
    pub fn groups(&self) -> impl Iterator<Item = (&ResourceName, &AclGroup)> {
        self.groups.iter()
    }

    /// The groups whose rules mention an agent, an agent class, or [`ANYONE_ELSE`](super::ANYONE_ELSE): in their own list,
    /// or in a cumulative one above it. Rules that mention none of those that apply to a caller cannot give that caller
    /// anything.
    pub fn groups_mentioning<'a>(
        &'a self,
        mention: &str,
    ) -> impl Iterator<Item = (&'a ResourceName, &'a AclGroup)> + use<'a> {
        let subjects = self.mentioned.get(mention).into_iter().flatten();
        subjects.flat_map(|subject| {
            let cumulative = self.groups.get(subject).is_some_and(|group| group.mentions.cumulative);
            self.groups
                .range(subject.clone()..)
                .take_while(move |(name, _)| *name == subject || (cumulative && name.is_within(subject)))
        })
    }

    /// The states of the lists that a group's documents rest on, and whether any of them can take away what others give:
    /// its own, and the cumulative ones above it.
    #[must_use]
    pub fn rules_of(&self, subject: &ResourceName) -> (Box<[ListState]>, bool) {
        let mut states = Vec::new();
        let mut narrowing = false;
        let mut add = |group: &AclGroup| {
            states.push((group.list, group.version));
            narrowing |= group.mentions.narrowing;
        };
        if let Some(own) = self.groups.get(subject) {
            add(own);
        }
        let mut above = subject.parent();
        while let Some(container) = above {
            if let Some(group) = self.groups.get(&container).filter(|group| group.mentions.cumulative) {
                add(group);
            }
            above = container.parent();
        }
        (states.into(), narrowing)
    }

    /// The root of a storage that has indexed documents.
    #[must_use]
    pub fn storage_root(&self, storage: StorageId) -> Option<&ResourceName> {
        self.storages.get(&storage)
    }

    /// Number of access control lists.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Grows with every change of documents, names or lists: the same number means the same visible documents.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Carries the count of changes on when these names replace others.
    pub(super) const fn continue_after(&mut self, epoch: u64) {
        self.epoch += epoch + 1;
    }

    /// A resource has a new document; its earlier one has been forgotten before.
    pub(super) fn put(
        &mut self,
        name: ResourceName,
        (resource, storage): (ResourceId, StorageId),
        document: DocumentId,
        version: Sequence,
    ) {
        self.epoch += 1;
        if let Some(root) = name.storage_root() {
            self.storages.entry(storage).or_insert(root);
        }
        if let Some(bits) = self.governing(&name) {
            bits.insert(document.0);
        }
        self.documents.insert(name, document);
        self.versions.insert(resource, (document, version));
    }

    /// Takes the document of a resource out; `name` is the one that it was put under.
    pub(super) fn forget(&mut self, name: &ResourceName, resource: ResourceId) {
        let Some((document, _)) = self.versions.remove(&resource) else {
            return;
        };
        self.epoch += 1;
        if let Some(bits) = self.governing(name) {
            bits.remove(document.0);
        }
        if self.documents.get(name) == Some(&document) {
            self.documents.remove(name);
        }
    }

    /// The set of documents that share the effective list of a document's name.
    fn governing(&mut self, name: &ResourceName) -> Option<&mut RoaringBitmap> {
        let subject = subject_of(name);
        if self.groups.contains_key(&subject) {
            return self.groups.get_mut(&subject).map(|group| &mut group.own);
        }
        let mut ancestor = subject.parent();
        while let Some(container) = ancestor {
            if self.groups.contains_key(&container) {
                return self.groups.get_mut(&container).map(|group| &mut group.inherited);
            }
            ancestor = container.parent();
        }
        None
    }

    /// A list came or changed.
    pub(super) fn put_list(&mut self, subject: &ResourceName, list: ResourceId, version: Sequence, mentions: Mentions) {
        self.epoch += 1;
        self.forget_mentions(subject);
        for mention in &mentions.agents {
            self.mentioned
                .entry(mention.clone())
                .or_default()
                .insert(subject.clone());
        }
        if let Some(group) = self.groups.get_mut(subject) {
            group.list = list;
            group.version = version;
            group.mentions = mentions;
            return;
        }
        self.regroup(subject, |names| {
            let group = AclGroup {
                list,
                version,
                own: RoaringBitmap::new(),
                inherited: RoaringBitmap::new(),
                mentions,
            };
            names.groups.insert(subject.clone(), group);
        });
    }

    fn forget_mentions(&mut self, subject: &ResourceName) {
        let Some(group) = self.groups.get_mut(subject) else {
            return;
        };
        for mention in std::mem::take(&mut group.mentions).agents {
            if let Some(subjects) = self.mentioned.get_mut(&mention) {
                subjects.remove(subject);
                if subjects.is_empty() {
                    self.mentioned.remove(&mention);
                }
            }
        }
    }

    /// A list is gone.
    pub(super) fn remove_list(&mut self, subject: &ResourceName) {
        if self.groups.contains_key(subject) {
            self.epoch += 1;
            self.forget_mentions(subject);
            self.regroup(subject, |names| {
                names.groups.remove(subject);
            });
        }
    }

    /// Moves the documents that a list governs or governed from their groups before a change to those after it.
    fn regroup(&mut self, subject: &ResourceName, change: impl FnOnce(&mut Self)) {
        let mut affected: Vec<(ResourceName, DocumentId)> = Vec::new();
        for name in [subject.clone(), subject.auxiliary(Auxiliary::Description)] {
            if let Some(document) = self.documents.get(&name) {
                affected.push((name, *document));
            }
        }
        if subject.is_container() {
            let below = self.within(subject).map(|(name, document)| (name.clone(), document));
            affected.extend(below.filter(|(name, _)| subject_of(name) != *subject));
        }
        for (name, document) in &affected {
            if let Some(bits) = self.governing(name) {
                bits.remove(document.0);
            }
        }
        change(self);
        for (name, document) in &affected {
            if let Some(bits) = self.governing(name) {
                bits.insert(document.0);
            }
        }
    }
}

/// The resource whose rights count: a description has those of its subject.
fn subject_of(name: &ResourceName) -> ResourceName {
    match name.auxiliary_subject() {
        Some((subject, _)) => subject,
        None => name.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(path: &str) -> ResourceName {
        ResourceName::parse(path).unwrap()
    }

    fn mentions(agents: &[&str]) -> Mentions {
        Mentions {
            agents: agents.iter().map(|agent| (*agent).into()).collect(),
            ..Mentions::default()
        }
    }

    fn groups(names: &Names) -> Vec<(String, Vec<u32>, Vec<u32>)> {
        names
            .groups()
            .map(|(subject, group)| {
                (
                    subject.to_string(),
                    group.own.iter().collect(),
                    group.inherited.iter().collect(),
                )
            })
            .collect()
    }

    /// solid#67: the effective list is the resource's own or that of the nearest ancestor.
    #[test]
    fn documents_follow_their_nearest_list() {
        let mut names = Names::default();
        for (number, path) in ["/a/", "/a/x", "/a/x.meta", "/a/b/", "/a/b/y", "/c/z"]
            .iter()
            .enumerate()
        {
            let number = u32::try_from(number).unwrap();
            names.put(
                name(path),
                (ResourceId(i64::from(number)), StorageId(1)),
                DocumentId(number),
                Sequence(1),
            );
        }
        assert_eq!(groups(&names), vec![], "no list, no group");
        names.put_list(&name("/a/"), ResourceId(10), Sequence(2), mentions(&["urn:a"]));
        assert_eq!(groups(&names), vec![("/a/".into(), vec![0], vec![1, 2, 3, 4])]);
        names.put_list(&name("/a/x"), ResourceId(11), Sequence(3), mentions(&[]));
        let both = mentions(&["urn:a", "urn:b"]);
        names.put_list(&name("/a/b/"), ResourceId(12), Sequence(4), both);
        let with_all = vec![
            ("/a/".into(), vec![0], vec![]),
            ("/a/b/".into(), vec![3], vec![4]),
            ("/a/x".into(), vec![1, 2], vec![]),
        ];
        assert_eq!(groups(&names), with_all);
        names.put(
            name("/a/b/new"),
            (ResourceId(20), StorageId(1)),
            DocumentId(20),
            Sequence(5),
        );
        assert_eq!(groups(&names)[1], ("/a/b/".into(), vec![3], vec![4, 20]));
        assert_eq!(names.groups_mentioning("urn:a").count(), 2);
        names.put_list(&name("/a/"), ResourceId(10), Sequence(6), mentions(&[]));
        assert_eq!(names.groups_mentioning("urn:a").count(), 1);
        names.remove_list(&name("/a/b/"));
        assert_eq!(names.groups_mentioning("urn:b").count(), 0);
        names.forget(&name("/a/x"), ResourceId(1));
        assert_eq!(
            groups(&names),
            vec![
                ("/a/".into(), vec![0], vec![3, 4, 20]),
                ("/a/x".into(), vec![2], vec![])
            ]
        );
    }

    #[test]
    fn a_container_holds_its_documents_and_no_neighbour() {
        let mut names = Names::default();
        for (number, path) in ["/a/", "/a/b/c", "/a/x", "/ab/x", "/a"].iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            names.put(
                name(path),
                (ResourceId(i64::from(number)), StorageId(1)),
                DocumentId(number),
                Sequence(1),
            );
        }
        let container = name("/a/");
        let found: Vec<_> = names.within(&container).map(|(_, document)| document.0).collect();
        assert_eq!(found, vec![0, 1, 2]);
    }

    /// Requirement solid 86: member access controls reach resources that have rules of their own.
    #[test]
    fn cumulative_rules_reach_the_groups_below() {
        let mut names = Names::default();
        let cumulative = Mentions {
            cumulative: true,
            narrowing: true,
            ..mentions(&["urn:a"])
        };
        names.put_list(&name("/a/"), ResourceId(1), Sequence(1), cumulative);
        names.put_list(&name("/a/b/"), ResourceId(2), Sequence(2), mentions(&["urn:b"]));
        names.put_list(&name("/a/b/c"), ResourceId(3), Sequence(3), mentions(&[]));
        names.put_list(&name("/ab/"), ResourceId(4), Sequence(4), mentions(&[]));
        let found = |mention: &str| -> Vec<String> {
            let groups = names.groups_mentioning(mention);
            groups.map(|(subject, _)| subject.to_string()).collect()
        };
        assert_eq!(found("urn:a"), ["/a/", "/a/b/", "/a/b/c"]);
        assert_eq!(found("urn:b"), ["/a/b/"]);
        let states = |path: &str| {
            let (states, narrowing) = names.rules_of(&name(path));
            (states.iter().map(|(list, _)| list.0).collect::<Vec<_>>(), narrowing)
        };
        assert_eq!(states("/a/b/c"), (vec![3, 1], true));
        assert_eq!(states("/ab/"), (vec![4], false));
    }
}
