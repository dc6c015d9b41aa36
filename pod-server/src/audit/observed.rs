//! What is watched for signs of misuse: a few facts of each record, on their way to whoever counts them. Watching never
//! makes anybody wait, and nothing hangs on it: what does not fit is left out.

use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;
use policies::audit::{AuditAction, AuditRecord, Outcome};
use policies::decision::ReasonCode;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::store::StorageId;

/// Records that wait to be counted.
const WAITING_MAX: usize = 8_192;

/// What a record says that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Data was used.
    Used,
    /// A use was refused.
    Refused,
    /// A question over a group was refused because it could tell of single people, such as the difference of two groups.
    Differencing,
}

/// One record as it is counted.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Storages whose owners see the record.
    pub owners: Vec<StorageId>,
    /// Who did it: a number that means nothing outside this process.
    pub who: u64,
    /// What.
    pub sign: Sign,
}

/// Takes observations.
pub struct Observations {
    sender: Sender<Observed>,
    receiver: Mutex<Option<Receiver<Observed>>>,
    numbers: RandomState,
}

impl Default for Observations {
    fn default() -> Self {
        let (sender, receiver) = channel(WAITING_MAX);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            numbers: RandomState::new(),
        }
    }
}

impl Observations {
    /// The other end, once.
    #[must_use]
    pub fn taken(&self) -> Option<Receiver<Observed>> {
        self.receiver.lock().take()
    }

    /// A record is being written.
    pub(super) fn record(&self, record: &AuditRecord, owners: &[StorageId]) {
        let Some(agent) = &record.agent else { return };
        let sign = match (record.action, record.outcome) {
            (AuditAction::Query, Outcome::Deny)
                if record.agreement.is_some()
                    && record.basis.is_none()
                    && record.reasons.iter().any(is_about_groups) =>
            {
                Sign::Differencing
            }
            (AuditAction::Audit | AuditAction::Purge | AuditAction::Signal, _) => return,
            (AuditAction::Query | AuditAction::Read, Outcome::Permit) => Sign::Used,
            (_, Outcome::Deny) => Sign::Refused,
            _ => return,
        };
        self.observe(owners, agent, sign);
    }

    /// Somebody gave a sign. For what is not in a record of its own, such as an answer that was refused after it was worked
    /// out because it tells of too few people.
    pub fn observe(&self, owners: &[StorageId], agent: &str, sign: Sign) {
        if owners.is_empty() {
            return;
        }
        let observed = Observed {
            owners: owners.to_vec(),
            who: self.numbers.hash_one(agent),
            sign,
        };
        if self.sender.try_send(observed).is_err() {
            metrics::counter!("signals_left_out_total").increment(1);
        }
    }
}

/// What a permitted query is refused for all the same: its form, or the group that it asks about.
const fn is_about_groups(reason: &ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::ActionNotPermitted | ReasonCode::ConstraintNotSatisfied
    )
}
