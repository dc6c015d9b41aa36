//! What was decided on a deposited agreement, remembered for as long as it holds. A deposit never changes and a decision is a pure
//! function of it, of the purpose and of the time: so a permit counts again until the first instant at which its outcome may
//! change, and is forgotten with the deposit. A refusal is decided anew each time. Whether the owner has withdrawn meanwhile is
//! not known here, remembered or not: the owner decides at every request.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use time::OffsetDateTime;

/// Most purposes for which one agreement's permit is remembered; beyond, the oldest goes.
const PURPOSES_MAX: usize = 4;

/// What an agreement lets a query see of its dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// The smallest number of distinct data subjects per group, when only aggregates may be asked.
    pub aggregate_only: Option<u32>,
    /// The only properties that it covers; `None` is all.
    pub properties: Option<BTreeSet<String>>,
    /// Properties that stay hidden whatever else is agreed.
    pub hidden: BTreeSet<String>,
    /// Whether values or names are other ones when they leave.
    pub changes_values: bool,
    /// Whether it forbids to hand data on.
    pub stays: bool,
    /// Whether it lets values reach other members only behind a mask.
    pub masks: bool,
}

/// The permits of one agreement.
#[derive(Debug, Default)]
pub struct Verdicts(Mutex<Vec<Permit>>);

#[derive(Debug)]
struct Permit {
    purpose: Option<String>,
    granted: Arc<Granted>,
    /// When it was decided.
    from: OffsetDateTime,
    /// When it ends by itself.
    until: Option<OffsetDateTime>,
}

impl Verdicts {
    /// What is permitted now for a purpose, as far as that was decided before.
    #[must_use]
    pub fn standing(&self, purpose: Option<&str>, now: OffsetDateTime) -> Option<Arc<Granted>> {
        let permits = self.0.lock();
        let found = permits.iter().find(|permit| permit.purpose.as_deref() == purpose)?;
        // A clock that was put back is no reason to trust what was decided later.
        let stands = found.from <= now && found.until.is_none_or(|until| now < until);
        stands.then(|| Arc::clone(&found.granted))
    }

    /// Remembers a permit that was decided now and may change at `until`.
    pub fn remember(
        &self,
        purpose: Option<&str>,
        granted: &Arc<Granted>,
        (from, until): (OffsetDateTime, Option<OffsetDateTime>),
    ) {
        let mut permits = self.0.lock();
        permits.retain(|permit| permit.purpose.as_deref() != purpose);
        if permits.len() >= PURPOSES_MAX {
            permits.remove(0);
        }
        permits.push(Permit {
            purpose: purpose.map(str::to_owned),
            granted: Arc::clone(granted),
            from,
            until,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    /// ENF-38, ENF-39: a remembered permit ends where the decision does, and counts for its purpose alone.
    #[test]
    fn a_permit_counts_for_its_purpose_until_it_ends() {
        let (verdicts, granted) = (Verdicts::default(), Arc::new(Granted::default()));
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(1);
        let until = now + Duration::seconds(10);
        verdicts.remember(Some("research"), &granted, (now, Some(until)));
        assert!(verdicts.standing(Some("research"), now).is_some());
        assert!(
            verdicts
                .standing(Some("research"), until - Duration::seconds(1))
                .is_some()
        );
        for (purpose, at) in [
            (Some("research"), until),
            (Some("research"), now - Duration::seconds(1)),
            (Some("marketing"), now),
            (None, now),
        ] {
            assert!(verdicts.standing(purpose, at).is_none(), "{purpose:?} at {at}");
        }
        verdicts.remember(Some("research"), &granted, (until, None));
        assert!(
            verdicts
                .standing(Some("research"), until + Duration::days(900))
                .is_some()
        );
        for purpose in ["a", "b", "c", "d"] {
            verdicts.remember(Some(purpose), &granted, (now, None));
        }
        assert!(verdicts.standing(Some("research"), until).is_none());
        assert!(verdicts.standing(Some("d"), now).is_some());
    }
}
