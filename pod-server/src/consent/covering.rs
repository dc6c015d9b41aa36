//! Who consents to a use, as it was found out: kept until a consent of a kind that covers it changes, begins or ends
//! (CON-13). It must never be used beyond that, or a withdrawal would not count at once.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ledger::Wanted;

/// [`Wanted`], to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WantedUse {
    texts: [String; 3],
    since: i64,
    container: Option<String>,
    properties: Option<Vec<String>>,
}

impl WantedUse {
    pub(super) fn of(wanted: &Wanted<'_>) -> Self {
        Self {
            texts: [wanted.recipient, wanted.purpose, wanted.dataset].map(str::to_owned),
            since: wanted.dataset_since,
            container: wanted.container.map(str::to_owned),
            properties: wanted.properties.map(|properties| properties.iter().cloned().collect()),
        }
    }
}

/// Who consents to a use, as long as nobody changes anything and no consent begins or ends.
pub(super) struct Covering {
    /// Which kinds of consents there were.
    pub(super) epoch: u64,
    /// The kinds that cover the use, and how often each had changed.
    pub(super) kinds: Vec<(u32, u64)>,
    /// When it was found out, in nanoseconds since 1970.
    pub(super) from: i64,
    /// The first instant at which some consent begins or ends.
    pub(super) until: i64,
    /// The storages of those who consent.
    pub(super) storages: Arc<RoaringBitmap>,
}

impl Covering {
    /// Whether it is still so at an instant, with these kinds of consents, each changed so often.
    pub(super) fn holds(&self, epoch: u64, changes: &dyn Fn(u32) -> Option<u64>, now: i64) -> bool {
        let unchanged = |(number, before): &(u32, u64)| changes(*number) == Some(*before);
        epoch == self.epoch && self.from <= now && now < self.until && self.kinds.iter().all(unchanged)
    }
}
