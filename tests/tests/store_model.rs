//! Any sequence of operations leaves what a simple map would hold (solid#20, solid#24; ARCHITECTURE invariant 4).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use pod_server::name::ResourceName;
use pod_server::store::quota::RESOURCE_BYTES;
use pod_server::store::{
    Body, CommitError, NewBody, NewState, ReadPermit, RecordKind, ResourceKind, SqliteStore, Store, StoreConfig,
    StoreError, Transaction, Warrant, commit_blocking,
};
use proptest::prelude::*;
use server_kit::clock::SystemClock;

const QUOTA: u64 = 400 + 10 * RESOURCE_BYTES;

#[derive(Clone, Debug)]
enum Operation {
    Put(String, Vec<u8>),
    Remove(String),
    RecordPut(String, Vec<u8>),
    RecordDelete(String),
}

/// What the store must show: bytes per document and list, containers without bytes, records.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    resources: BTreeMap<String, Vec<u8>>,
    records: BTreeMap<String, Vec<u8>>,
}

impl Model {
    fn members(&self, container: &str) -> Vec<String> {
        let inside = |name: &&String| {
            name.strip_prefix(container)
                .is_some_and(|rest| !rest.is_empty() && !rest.trim_end_matches('/').contains('/'))
        };
        let document = |name: &&String| !name.ends_with(".acl");
        self.resources.keys().filter(inside).filter(document).cloned().collect()
    }

    fn bytes(&self) -> u64 {
        let bytes = |bytes: &Vec<u8>| bytes.len() as u64 + RESOURCE_BYTES;
        self.resources.values().map(bytes).sum()
    }

    /// False if the store has to refuse.
    fn apply(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Put(path, bytes) => self.put(path, bytes),
            Operation::Remove(path) => {
                if path.ends_with('/') && !self.members(path).is_empty() {
                    return false;
                }
                self.resources.remove(path);
                self.resources.remove(&format!("{path}.acl"));
                true
            }
            Operation::RecordPut(key, value) => {
                self.records.insert(key.clone(), value.clone());
                true
            }
            Operation::RecordDelete(key) => {
                self.records.remove(key);
                true
            }
        }
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> bool {
        let mut next = self.clone();
        if let Some(subject) = path.strip_suffix(".acl") {
            if !self.resources.contains_key(subject) {
                return false;
            }
        } else {
            let ancestors = path
                .char_indices()
                .skip(1)
                .filter(|(_, c)| *c == '/')
                .map(|(at, _)| &path[..=at]);
            for container in ancestors {
                next.resources.entry(container.to_owned()).or_default();
            }
        }
        next.resources.insert(path.to_owned(), bytes.to_vec());
        let twins = next
            .resources
            .keys()
            .any(|name| next.resources.contains_key(&format!("{name}/")));
        let grows = next.bytes() > self.bytes();
        if twins || (grows && next.bytes() > QUOTA) {
            return false;
        }
        *self = next;
        true
    }
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["x", "y", "z.ttl", "x-", "%C3%A9"]);
    (
        prop::collection::vec(segment, 1..4),
        prop::sample::select(vec!["", "", "", "/", ".acl"]),
    )
        .prop_map(|(segments, end)| format!("/a/{}{end}", segments.join("/")))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..60)
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || prop::sample::select(vec!["k", "k/1", "k/2", "l"]).prop_map(str::to_owned);
    prop_oneof![
        6 => (path(), bytes()).prop_map(|(path, bytes)| Operation::Put(path, bytes)),
        3 => path().prop_map(Operation::Remove),
        1 => (key(), bytes()).prop_map(|(key, bytes)| Operation::RecordPut(key, bytes)),
        1 => key().prop_map(Operation::RecordDelete),
    ]
}

fn permit() -> ReadPermit {
    ReadPermit::without_proof("test")
}

fn carry_out(inside: &mut dyn Transaction, operation: Operation, inline: usize) -> Result<(), StoreError> {
    match operation {
        Operation::Put(path, bytes) => {
            let name = ResourceName::parse(&path).unwrap();
            assert!(bytes.len() <= inline);
            let kind = if name.is_container() {
                ResourceKind::Container
            } else {
                ResourceKind::NonRdfSource
            };
            let state = NewState {
                kind,
                media_type: "application/octet-stream".into(),
                body: NewBody::Bytes(Bytes::from(bytes)),
            };
            inside.put(&name, state)?;
        }
        Operation::Remove(path) => {
            inside.remove(&ResourceName::parse(&path).unwrap())?;
        }
        Operation::RecordPut(key, value) => inside.record_put(RecordKind::Dataset, &key, &value)?,
        Operation::RecordDelete(key) => {
            inside.record_delete(RecordKind::Dataset, &key)?;
        }
    }
    Ok(())
}

fn compare(store: &SqliteStore, model: &Model) {
    let view = store.snapshot(permit()).unwrap();
    let root = ResourceName::parse("/a/").unwrap();
    let mut shown = BTreeMap::new();
    for resource in view.descendants(&root, None, usize::MAX).unwrap() {
        let Body::Bytes(bytes) = view.body(&resource).unwrap() else {
            panic!("a blob")
        };
        assert_eq!(resource.size, bytes.len() as u64);
        shown.insert(resource.name.to_string(), bytes.to_vec());
        let latest = store.latest(permit(), &resource.name).unwrap().expect("there");
        assert_eq!(*latest.resource, resource);
        if resource.kind == ResourceKind::Container {
            let members = view.members(&resource.name, None, usize::MAX).unwrap();
            let names: Vec<String> = members.iter().map(|member| member.name.to_string()).collect();
            assert_eq!(names, model.members(resource.name.as_str()));
            assert_eq!(view.member_count(&resource.name).unwrap(), names.len() as u64);
        }
    }
    let mut expected = model.resources.clone();
    expected.remove("/a/");
    assert_eq!(shown, expected);
    let records: BTreeMap<_, _> = view
        .records(RecordKind::Dataset, "", None, usize::MAX)
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(records, model.records);
    assert_eq!(view.storage(&root).unwrap().unwrap().bytes_used, model.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Several operations per commit: one that is refused takes its whole commit with it.
    #[test]
    fn the_store_holds_what_a_map_would(commits in prop::collection::vec(prop::collection::vec(operation(), 1..4), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let config = || StoreConfig {
            quota_bytes_max: QUOTA,
            reserve_bytes: 0,
            ..StoreConfig::new(directory.path())
        };
        let mut store = SqliteStore::open(config(), Arc::new(SystemClock)).unwrap();
        let root = ResourceName::parse("/a/").unwrap();
        let made: Result<_, CommitError<()>> = commit_blocking(
            &store,
            Warrant::without_proof("test"),
            Box::new(move |inside| Ok(inside.create_storage(&root, "https://owner.example/#me")?)),
        );
        made.unwrap();
        let mut model = Model::default();
        model.resources.insert("/a/".into(), Vec::new());
        for (index, operations) in commits.into_iter().enumerate() {
            let mut next = model.clone();
            let accepted = operations.iter().all(|operation| next.apply(operation));
            let inline = store.inline_bytes_max();
            let outcome: Result<_, CommitError<()>> = commit_blocking(
                &store,
                Warrant::without_proof("test"),
                Box::new(move |inside| {
                    for operation in operations {
                        carry_out(inside, operation, inline)?;
                    }
                    Ok(())
                }),
            );
            prop_assert_eq!(outcome.is_ok(), accepted, "commit {}: {:?}", index, outcome.err());
            if accepted {
                model = next;
            }
            if index % 8 == 7 {
                compare(&store, &model);
            }
        }
        compare(&store, &model);
        prop_assert_eq!(store.check(permit()).unwrap().faults, Vec::<String>::new());
        drop(store);
        store = SqliteStore::open(config(), Arc::new(SystemClock)).unwrap();
        compare(&store, &model);
    }
}
