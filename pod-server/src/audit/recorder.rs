//! The enforcement point's uses as audit entries.

use std::sync::Arc;

use policies::audit::{AuditAction, AuditRecord, Basis, Outcome};
use policies::decision::Decision;

use super::AuditWriter;
use crate::authz::{Recorder, Use, UseKind};
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{AuditEntry, ReadPermit, StorageId, Store};

/// Storages whose identity is kept in memory.
const STORAGES_MAX: usize = 100_000;

/// Records uses of resources for the owner of the storage that they lie in.
pub struct UseRecorder {
    writer: Arc<AuditWriter>,
    store: Arc<dyn Store>,
    origins: Origins,
    storages: quick_cache::sync::Cache<ResourceName, StorageId>,
}

impl UseRecorder {
    /// A recorder for a server on these origins.
    #[must_use]
    pub fn new(writer: Arc<AuditWriter>, store: Arc<dyn Store>, origins: Origins) -> Self {
        Self {
            writer,
            store,
            origins,
            storages: quick_cache::sync::Cache::new(STORAGES_MAX),
        }
    }

    /// The readable record of a use.
    fn record(&self, used: &Use<'_>, decision: &Decision) -> AuditRecord {
        let acl = matches!(used.resource.auxiliary_subject(), Some((_, Auxiliary::Acl)));
        let action = match used.operation {
            UseKind::Read => AuditAction::Read,
            _ if acl => AuditAction::Control,
            UseKind::Create => AuditAction::Create,
            UseKind::Append | UseKind::Update => AuditAction::Update,
            UseKind::Delete => AuditAction::Delete,
        };
        let mut record = self.writer.blank(action, Outcome::Deny).with_decision(decision);
        record.agent = used.subject.agent.web_id().map(|web_id| web_id.as_str().to_owned());
        record.client.clone_from(&used.subject.client);
        record.via = used.via.map(str::to_owned);
        record.agreement = used.agreement.map(str::to_owned);
        record.purpose = used.purpose.map(str::to_owned);
        record.targets = vec![used.resource.iri(&self.origins)];
        record
    }

    fn storage_of(&self, resource: &ResourceName) -> Result<Option<StorageId>, String> {
        let Some(root) = resource.storage_root() else {
            return Ok(None);
        };
        if let Some(known) = self.storages.get(&root) {
            return Ok(Some(known));
        }
        let snapshot = self.snapshot()?;
        let found = snapshot.storage(&root).map_err(|error| error.to_string())?;
        Ok(found.map(|storage| {
            self.storages.insert(root, storage.id);
            storage.id
        }))
    }

    fn snapshot(&self) -> Result<Box<dyn crate::store::Snapshot + Send + '_>, String> {
        self.store
            .snapshot(ReadPermit::without_proof(
                "an audit entry names the storage that it belongs to",
            ))
            .map_err(|error| error.to_string())
    }
}

impl Recorder for UseRecorder {
    fn entry(&self, used: &Use<'_>, decision: &Decision, basis: &Arc<Basis>) -> Result<AuditEntry, String> {
        let owners: Vec<StorageId> = self.storage_of(used.resource)?.into_iter().collect();
        let mut record = self.record(used, decision);
        record.basis = Some(Arc::clone(basis));
        // Whom a single resource is about is the owner of its storage, who sees the record as owner.
        self.writer
            .entry_without_subjects(record, &owners)
            .map_err(|error| error.to_string())
    }
}
