//! Duties to delete that agreements open: a person sees them beside those of consents that ended, where the agreement shows
//! data by the person's consent (ENF-19).

use policies::consent::{ConsentRecord, Recipients};
use server_kit::problem::Problem;

use super::duty::DeleteDuty;
use super::service::Consents;
use super::stored::StoredConsent;
use crate::dataspace::agreement::{self, Agreement, read_json};
use crate::dataspace::{deletion, edge};
use crate::store::{RecordKind, Snapshot, Storage, StoreError};

/// Most agreements that are looked at for one list.
const AGREEMENTS_MAX: usize = 10_000;
/// Agreements read at a time.
const BATCH: usize = 500;

impl Consents {
    /// Open duties under agreements that show, or showed, something of a storage by consent of its owner.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub fn duties_under_agreements(&self, storage: &Storage) -> Result<Vec<DeleteDuty>, Problem> {
        let consents: Vec<StoredConsent> = self.list(storage)?.into_iter().map(|(_, consent)| consent).collect();
        if consents.is_empty() {
            return Ok(Vec::new());
        }
        self.open_duties(storage, &consents)
            .map_err(|error| edge::store_problem(&error))
    }

    fn open_duties(&self, storage: &Storage, consents: &[StoredConsent]) -> Result<Vec<DeleteDuty>, StoreError> {
        let snapshot = self
            .node
            .snapshot()
            .map_err(|problem| StoreError::Damaged(problem.detail))?;
        let (mut found, mut after, mut seen) = (Vec::new(), None::<String>, 0_usize);
        loop {
            let batch = snapshot.records(RecordKind::Agreement, "", after.as_deref(), BATCH)?;
            let last = batch.len() < BATCH;
            seen = seen.saturating_add(batch.len());
            for (key, bytes) in batch {
                if let Some(agreement) = read_json::<Agreement>(Some(bytes), &key)? {
                    found.extend(self.open_duty(&*snapshot, storage, consents, &agreement)?);
                }
                after = Some(key);
            }
            if last || seen >= AGREEMENTS_MAX {
                return Ok(found);
            }
        }
    }

    fn open_duty(
        &self,
        snapshot: &dyn Snapshot,
        storage: &Storage,
        consents: &[StoredConsent],
        agreement: &Agreement,
    ) -> Result<Option<DeleteDuty>, StoreError> {
        let named = consents.iter().find_map(|consent| {
            let given = consent
                .versions
                .iter()
                .find(|record| names(record, &agreement.assignee))?;
            Some((consent, given))
        });
        let Some((consent, given)) = named else { return Ok(None) };
        let Some(dataset) = agreement::load_dataset(snapshot, &self.node.origins, &agreement.dataset)? else {
            return Ok(None);
        };
        let root = storage.root.iri(&self.node.origins);
        let within = |place: &str| {
            let mut containers = given.data.containers.iter();
            containers.any(|container| place.starts_with(container) || container.starts_with(place))
        };
        let reaches = given.data.datasets.contains(&dataset.iri)
            || dataset
                .member_containers
                .iter()
                .any(|path| within(&format!("{root}{path}")))
            || dataset.containers.iter().any(|container| within(container));
        if !reaches {
            return Ok(None);
        }
        let duty = deletion::duty(snapshot, agreement, self.node.clock.now())?;
        Ok(duty.and_then(|duty| {
            Some(DeleteDuty {
                id: format!("{}/deletion", agreement.iri),
                consent: given.id.clone(),
                data_subject: given.data_subject.clone(),
                recipient: agreement.assignee.clone(),
                requested_by: consent.requested_by.clone(),
                opened: duty.held_since?,
                deadline: duty.deadline?,
                notified: None,
                undelivered: None,
                acknowledged: None,
            })
        }))
    }
}

/// Whether a version let somebody see something.
fn names(record: &ConsentRecord, assignee: &str) -> bool {
    let recipient = match &record.recipients {
        Recipients::Any => true,
        Recipients::These(these) => these.iter().any(|web_id| web_id.as_str() == assignee),
    };
    record.status.permits() && recipient
}
