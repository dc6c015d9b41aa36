//! What a writer's storage must hold after a number of steps: plain maps, no store.

use std::collections::{BTreeMap, BTreeSet};

use super::script::{self, Step};

/// The expected state of one writer.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Steps that are done.
    pub number: u64,
    /// Bytes of every document and access control list.
    pub documents: BTreeMap<String, Vec<u8>>,
    /// Every container, the root included.
    pub containers: BTreeSet<String>,
    /// Every record.
    pub records: BTreeMap<String, Vec<u8>>,
}

impl Model {
    /// A writer that has done nothing.
    #[must_use]
    pub fn new(writer: u16) -> Self {
        Self {
            containers: BTreeSet::from([script::root(writer)]),
            ..Self::default()
        }
    }

    /// Does steps until `number` are done.
    pub fn advance(&mut self, seed: u64, writer: u16, number: u64) {
        while self.number < number {
            self.number += 1;
            self.apply(script::step(seed, writer, self.number));
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Put { path, body } | Step::PutBlob { path, body } => {
                let mut end = path.len();
                while let Some(slash) = path
                    .get(..end)
                    .and_then(|head| head.rfind('/'))
                    .filter(|&slash| slash > 0)
                {
                    self.containers.insert(path.get(..=slash).unwrap_or("").to_owned());
                    end = slash;
                }
                self.documents.insert(path, body);
            }
            Step::Append { path, more } => {
                if let Some(body) = self.documents.get_mut(&path) {
                    body.extend(more);
                    body.truncate(script::INLINE_BYTES_MAX);
                }
            }
            Step::PutAcl { path, body } => {
                if self.documents.contains_key(&path) {
                    self.documents.insert(format!("{path}.acl"), body);
                }
            }
            Step::Remove { path } => {
                self.documents.remove(&format!("{path}.acl"));
                self.documents.remove(&path);
            }
            Step::RemoveContainer { path } => {
                let inside = |name: &String| name.len() > path.len() && name.starts_with(&path);
                if !self.documents.keys().any(inside) && !self.containers.iter().any(inside) {
                    self.containers.remove(&path);
                }
            }
            Step::PutRecord { key, value } => {
                self.records.insert(key, value);
            }
            Step::DeleteRecord { key } => {
                self.records.remove(&key);
            }
            Step::Refuse { .. } => {}
        }
    }

    /// Names of everything below the root, in order.
    #[must_use]
    pub fn names(&self, writer: u16) -> Vec<String> {
        let root = script::root(writer);
        let all: BTreeSet<&String> = self.documents.keys().chain(self.containers.iter()).collect();
        all.into_iter().filter(|name| **name != root).cloned().collect()
    }
}
