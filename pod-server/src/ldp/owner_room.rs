//! Keeps a part of each storage's room for its owner, so that what others may add, such as to a public inbox, never takes all
//! of it (T125).

use crate::name::ResourceName;
use crate::store::{Snapshot, StoreError, quota};

use super::profile_guard::Writer;
use super::target::Target;

/// How full a storage was before a write by somebody else than its owner.
pub(super) struct OwnerRoom {
    root: ResourceName,
    used: u64,
    /// Bytes up to which others may fill it.
    most: u64,
}

impl OwnerRoom {
    /// Looks before a write; none if the owner writes.
    pub(super) fn before(
        snapshot: &dyn Snapshot,
        target: &Target,
        writer: &Writer,
    ) -> Result<Option<Self>, StoreError> {
        let storage = target.name.storage_root().map(|root| snapshot.storage(&root));
        let Some(storage) = storage.transpose()?.flatten() else {
            return Ok(None);
        };
        if writer
            .agent
            .web_id()
            .is_some_and(|web_id| web_id.as_str() == storage.owner)
        {
            return Ok(None);
        }
        let all = quota::of(snapshot, &storage.root)?.unwrap_or(writer.quota_bytes_max);
        Ok(Some(Self {
            used: storage.bytes_used,
            most: all - share(all, writer.owner_room_percent),
            root: storage.root,
        }))
    }

    /// Looks again after it.
    ///
    /// # Errors
    /// [`StoreError::Full`] when it took of the owner's part; the transaction must not be committed then.
    pub(super) fn after(&self, snapshot: &dyn Snapshot) -> Result<(), StoreError> {
        let used = snapshot.storage(&self.root)?.map_or(0, |storage| storage.bytes_used);
        if used <= self.used || used <= self.most {
            return Ok(());
        }
        Err(StoreError::Full(format!(
            "others than the owner may fill storage `{}` up to {} bytes, and it would hold {used}",
            self.root, self.most
        )))
    }
}

/// Some percent of a number, at most all of it.
fn share(all: u64, percent: u8) -> u64 {
    let share = u128::from(all) * u128::from(percent.min(100)) / 100;
    u64::try_from(share).unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_more_than_all() {
        for (all, percent, part) in [(0, 20, 0), (99, 20, 19), (1_000, 0, 0), (1_000, 255, 1_000)] {
            assert_eq!(share(all, percent), part, "{percent} % of {all}");
        }
        assert_eq!(share(u64::MAX, 100), u64::MAX);
    }
}
