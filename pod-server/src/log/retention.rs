//! How long readable records are kept, by what they are about (AUD-11, GDPR art. 5(1)(e)). Leaves are kept for ever.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use policies::audit::{Apart, AuditAction, Known, Purged};
use serde::Deserialize;
use server_kit::problem::Problem;
use server_kit::shutdown::Shutdown;
use time::{Duration, OffsetDateTime};

use crate::audit::{Purging, Sealed, place};
use crate::dataspace::edge;
use crate::dataspace::node::Node;
use crate::store::{RecordKind, Snapshot, StorageId, StoreError};

/// Records looked at, and deleted at most, at a time.
const RECORDS_AT_ONCE: usize = 1_000;
/// Documents deleted at a time.
const DOCUMENTS_AT_ONCE: usize = 500;
/// How often old records are looked for.
const EVERY: std::time::Duration = std::time::Duration::from_hours(6);

/// Days that readable records are kept, by class; for ever where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogDays {
    /// Reading and queries, refused ones too.
    pub r#use: Option<u32>,
    /// Changes to resources and to who has access.
    pub change: Option<u32>,
    /// Negotiations, agreements and their tokens.
    pub contract: Option<u32>,
    /// Requests for consent, consents and their ends.
    pub consent: Option<u32>,
    /// Reading the log.
    pub oversight: Option<u32>,
}

impl LogDays {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The key that breaks a rule, and the rule.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let all = [self.r#use, self.change, self.contract, self.consent, self.oversight];
        match all.contains(&Some(0)) {
            true => Err(("dataspace.log_days", "must be at least 1 where it is given")),
            false => Ok(()),
        }
    }

    /// The class of an action, and how many days its records are kept; none for what is kept for ever.
    fn of(&self, action: AuditAction) -> (&'static str, Option<u32>) {
        match action {
            AuditAction::Query | AuditAction::Read => ("use", self.r#use),
            AuditAction::Create
            | AuditAction::Update
            | AuditAction::Delete
            | AuditAction::Control
            | AuditAction::Import => ("change", self.change),
            AuditAction::Agreement | AuditAction::Token => ("contract", self.contract),
            AuditAction::Consent => ("consent", self.consent),
            AuditAction::Audit | AuditAction::Signal => ("oversight", self.oversight),
            AuditAction::Purge => ("purge", None),
        }
    }

    fn shortest(&self) -> Option<u32> {
        let all = [self.r#use, self.change, self.contract, self.consent, self.oversight];
        all.into_iter().flatten().min()
    }
}

/// Deletes old readable records now and then, until the shutdown.
pub async fn keep_up(node: Node, days: LogDays, shutdown: Shutdown) {
    if days.shortest().is_none() {
        return;
    }
    loop {
        match purge(&node, &days, node.clock.now()).await {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, "old records of the log were deleted"),
            Err(problem) => tracing::error!(detail = problem.detail, "old records of the log could not be deleted"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.wait() => return,
        }
    }
}

/// Deletes the readable records that are older than their class allows, and the documents that no record rests on any more.
/// Each commit tells in the log what it deleted. Answers the number of records.
///
/// # Errors
/// When the store fails; what was deleted until then is told.
pub async fn purge(node: &Node, days: &LogDays, now: OffsetDateTime) -> Result<u64, Problem> {
    let Some(shortest) = days.shortest() else {
        return Ok(0);
    };
    let youngest = now - Duration::days(i64::from(shortest));
    let (mut from, mut purged) = (0, 0);
    loop {
        let (mut old, mut last) = (BTreeMap::<&str, Old>::new(), None);
        let stored = {
            let snapshot = node.snapshot()?;
            let found = snapshot.audit_details(from, RECORDS_AT_ONCE);
            found.map_err(|error| edge::store_problem(&error))?
        };
        for entry in &stored {
            let sealed = Sealed::from_bytes(&entry.entry.record).map_err(|error| {
                tracing::error!(leaf = entry.leaf_index, %error, "a record of the log cannot be read");
                Problem::internal()
            })?;
            last = Some(sealed.record.time);
            from = entry.leaf_index + 1;
            let (class, days) = days.of(sealed.record.action);
            let Some(before) = days.map(|days| now - Duration::days(i64::from(days))) else {
                continue;
            };
            if sealed.record.time < before {
                let old = old.entry(class).or_insert_with(|| Old::new(before));
                old.leaves.push(entry.leaf_index);
                old.owners.extend(entry.entry.storages.iter().map(|storage| storage.0));
            }
        }
        for (class, old) in old {
            purged += old.leaves.len() as u64;
            old.delete(node, class, now).await?;
        }
        // Records are in the order of time: what follows is younger still.
        if last.is_none_or(|last| last >= youngest) {
            break;
        }
    }
    if purged > 0 {
        documents(node, now).await?;
    }
    Ok(purged)
}

/// Old records of one class.
struct Old {
    before: OffsetDateTime,
    leaves: Vec<u64>,
    owners: BTreeSet<i64>,
}

impl Old {
    const fn new(before: OffsetDateTime) -> Self {
        Self {
            before,
            leaves: Vec::new(),
            owners: BTreeSet::new(),
        }
    }

    async fn delete(self, node: &Node, class: &'static str, now: OffsetDateTime) -> Result<(), Problem> {
        node.commit(move |node, transaction| {
            let purging = Purging {
                origins: &node.origins,
                random: &*node.random,
                now,
            };
            let purged = Purged::of(&self.leaves, class, Some(self.before));
            let owners = self.owners.into_iter().map(StorageId).collect();
            purging
                .purge(transaction, &self.leaves, purged, owners)
                .map_err(|error| edge::store_problem(&error))
        })
        .await
    }
}

/// Deletes documents that no record rests on any more. A document that is used again is kept anew.
async fn documents(node: &Node, now: OffsetDateTime) -> Result<(), Problem> {
    let failed = |error: StoreError| edge::store_problem(&error);
    let (mut used, mut from) = (HashSet::new(), 0);
    loop {
        let more = rested_on(&*node.snapshot()?, from, &mut used).map_err(failed)?;
        let Some(next) = more else { break };
        from = next;
    }
    let mut after: Option<String> = None;
    loop {
        let kept = {
            let snapshot = node.snapshot()?;
            let found = snapshot.records(RecordKind::Evidence, "", after.as_deref(), DOCUMENTS_AT_ONCE);
            found.map_err(failed)?
        };
        let Some((last, _)) = kept.last() else { return Ok(()) };
        after = Some(last.clone());
        let unused: Vec<String> = kept
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| !used.contains(key))
            .collect();
        if unused.is_empty() {
            continue;
        }
        node.commit(move |node, transaction| {
            // Records that came since rest on what they rest on.
            let (mut since, mut from) = (HashSet::new(), from);
            while let Some(next) = rested_on(&*transaction as &dyn Snapshot, from, &mut since).map_err(failed)? {
                from = next;
            }
            let mut purged = Purged::of(&[], "unused", None);
            for key in unused.iter().filter(|key| !since.contains(*key)) {
                transaction.record_delete(RecordKind::Evidence, key).map_err(failed)?;
                purged.documents.push(place(key));
            }
            let purging = Purging {
                origins: &node.origins,
                random: &*node.random,
                now,
            };
            purging.purge(transaction, &[], purged, Vec::new()).map_err(failed)
        })
        .await?;
    }
}

/// Adds the documents that some records from a position on rest on; answers where the next ones begin.
fn rested_on(snapshot: &dyn Snapshot, from: u64, used: &mut HashSet<String>) -> Result<Option<u64>, StoreError> {
    let stored = snapshot.audit_details(from, RECORDS_AT_ONCE)?;
    for entry in &stored {
        let Ok(sealed) = Sealed::from_bytes(&entry.entry.record) else {
            continue;
        };
        let Some(basis) = &sealed.record.basis else { continue };
        let mut facts = basis.facts.clone();
        if let Some(kept) = &basis.kept {
            used.insert(kept.clone());
            let apart = snapshot.record(RecordKind::Evidence, kept)?;
            let apart = apart.and_then(|bytes| serde_json::from_slice::<Apart>(&bytes).ok());
            facts.extend(apart.into_iter().flat_map(|apart| apart.basis.facts));
        }
        for known in &facts {
            match known {
                Known::Rules { documents, .. } => used.extend(documents.iter().map(|one| one.kept.clone())),
                Known::Agreement {
                    policy, circumstances, ..
                } => used.extend([policy, circumstances].into_iter().flatten().cloned()),
                Known::Dataset { covers: kept, .. } => used.extend(kept.clone()),
                Known::Group { .. } | Known::People { .. } => {}
            }
        }
    }
    Ok(stored.last().map(|entry| entry.leaf_index + 1))
}
