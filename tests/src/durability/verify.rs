//! After a crash: what the store holds must be what the acknowledged steps made, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use pod_server::name::ResourceName;
use pod_server::store::{Body, ReadPermit, RecordKind, ResourceKind, Snapshot, Store, StoreError};

use super::child;
use super::model::Model;
use super::script::{self, WRITERS};

/// What is known of a store across crashes.
pub struct Oracle {
    seed: u64,
    models: Vec<Model>,
    /// Size and root of the audit log at the last look.
    log: (u64, [u8; 32]),
    /// Commits at the last look.
    sequence: u64,
}

/// What one look cost.
pub struct Look {
    /// Time that opening took, recovery included.
    pub open: Duration,
    /// Commits in the store.
    pub commits: u64,
}

/// Why a store is not what it must be.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be opened or read.
    #[error("the store failed: {0} ({0:?})")]
    Store(#[from] StoreError),
    /// It holds something else.
    #[error("{0}")]
    Broken(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Store(error.into())
    }
}

fn expect(holds: bool, words: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Broken(words())) }
}

impl Oracle {
    /// For a store that does not exist yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            models: (0..WRITERS).map(Model::new).collect(),
            log: (0, [0; 32]),
            sequence: 0,
        }
    }

    /// Opens the store and compares it with what its last process acknowledged.
    ///
    /// # Errors
    /// [`Fault`] for the first difference.
    pub fn look(&mut self, directory: &Path, acknowledged: &BTreeMap<u16, u64>) -> Result<Look, Fault> {
        let began = Instant::now();
        let store = child::open(directory)?;
        let open = began.elapsed();
        let view = store.snapshot(ReadPermit::without_proof("durability harness"))?;
        let (mut steps, mut storages) = (0, 0);
        for writer in 0..WRITERS {
            let number = child::progress(&store, writer)?;
            self.advance(writer, number, acknowledged.get(&writer).copied())?;
            steps += number;
            let root = parse(&script::root(writer))?;
            if view.storage(&root)?.is_some() {
                storages += 1;
                self.compare(&*view, writer)?;
            } else {
                expect(number == 0, || format!("the storage of writer {writer} is lost"))?;
            }
        }
        let commits = view.sequence()?.0;
        expect(commits == steps + storages, || {
            format!("{commits} commits for {storages} storages and {steps} steps: one is half there or was invented")
        })?;
        expect(commits >= self.sequence, || {
            "commits that were seen before are gone".to_owned()
        })?;
        self.sequence = commits;
        self.compare_log(&*view, steps)?;
        drop(view);
        let report = store.check(ReadPermit::without_proof("durability harness"))?;
        expect(report.faults.is_empty(), || {
            format!("the store is inconsistent: {:?}", report.faults)
        })?;
        expect(report.unused_blobs == 0, || {
            format!("{} blobs are left over", report.unused_blobs)
        })?;
        let incoming = std::fs::read_dir(directory.join("incoming"))?.count();
        expect(incoming == 0, || format!("{incoming} temporary files are left over"))?;
        Ok(Look { open, commits })
    }

    /// A writer does one step after the other, so that at most one is unknown.
    fn advance(&mut self, writer: u16, number: u64, acknowledged: Option<u64>) -> Result<(), Fault> {
        let Some(model) = self.models.get_mut(usize::from(writer)) else {
            return Err(Fault::Broken(format!("there is no writer {writer}")));
        };
        let known = acknowledged.unwrap_or(model.number).max(model.number);
        expect(number >= known, || {
            format!("writer {writer}: step {known} was acknowledged, the store has got to {number}: a write is lost")
        })?;
        expect(number <= known + 1, || {
            format!("writer {writer}: step {number} is there, after step {known}")
        })?;
        model.advance(self.seed, writer, number);
        Ok(())
    }

    fn compare(&self, view: &dyn Snapshot, writer: u16) -> Result<(), Fault> {
        let Some(model) = self.models.get(usize::from(writer)) else {
            return Ok(());
        };
        let root = parse(&script::root(writer))?;
        let mut names = Vec::new();
        let mut after = None;
        loop {
            let page = view.descendants(&root, after.as_ref(), 100)?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            for resource in page {
                names.push(resource.name.to_string());
                if resource.kind == ResourceKind::Container {
                    continue;
                }
                let bytes = match view.body(&resource)? {
                    Body::Bytes(bytes) => bytes.to_vec(),
                    Body::File { path, .. } => std::fs::read(path)?,
                };
                expect(model.documents.get(resource.name.as_str()) == Some(&bytes), || {
                    format!("`{}` has other bytes than were written last", resource.name)
                })?;
            }
        }
        let expected = model.names(writer);
        expect(names == expected, || {
            format!("writer {writer} has {names:?}, not {expected:?}")
        })?;
        let records = view.records(RecordKind::Consent, &format!("{writer:02}/"), None, usize::MAX)?;
        let expected: Vec<_> = model.records.clone().into_iter().collect();
        expect(records == expected, || {
            format!("the records of writer {writer} are others")
        })
    }

    /// The log holds one leaf per step, and begins as it did at the last look.
    fn compare_log(&mut self, view: &dyn Snapshot, steps: u64) -> Result<(), Fault> {
        let size = view.audit_size()?;
        expect(size == steps, || format!("{steps} steps left {size} audit leaves"))?;
        let (before, root) = self.log;
        if before > 0 {
            let now = view.audit_root(before)?;
            expect(now == root, || {
                format!("the first {before} leaves of the audit log have changed")
            })?;
        }
        self.log = (size, view.audit_root(size)?);
        Ok(())
    }
}

fn parse(path: &str) -> Result<ResourceName, Fault> {
    ResourceName::parse(path).map_err(|error| Fault::Broken(error.to_string()))
}
