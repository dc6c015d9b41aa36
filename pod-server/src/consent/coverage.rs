//! Which storages a kind of consent covers at an instant, answered from bitmaps (CON-13).
//!
//! Intervals are half open: a consent counts from its first instant and no longer at its last one. Most people have one
//! consent of a kind; the few with several are looked at one by one.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;
use time::OffsetDateTime;

/// From when until when one consent counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First instant.
    pub from: OffsetDateTime,
    /// First instant at which it no longer counts.
    pub until: OffsetDateTime,
}

impl Span {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn contains(self, now: OffsetDateTime) -> bool {
        self.from <= now && now < self.until
    }
}

/// All consents of one kind: by storage, with their spans.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    spans: HashMap<u32, Vec<(String, Span)>>,
    single: RoaringBitmap,
    several: RoaringBitmap,
    starts: BTreeMap<OffsetDateTime, RoaringBitmap>,
    ends: BTreeMap<OffsetDateTime, RoaringBitmap>,
}

impl Coverage {
    /// Adds a consent; one with the same key is replaced.
    pub fn insert(&mut self, storage: u32, key: &str, span: Span) {
        self.forget(storage);
        let spans = self.spans.entry(storage).or_default();
        spans.retain(|(known, _)| known != key);
        spans.push((key.to_owned(), span));
        self.note(storage);
    }

    /// Removes a consent.
    pub fn remove(&mut self, storage: u32, key: &str) {
        self.forget(storage);
        if let Some(spans) = self.spans.get_mut(&storage) {
            spans.retain(|(known, _)| known != key);
            if spans.is_empty() {
                self.spans.remove(&storage);
            }
        }
        self.note(storage);
    }

    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The storages with a consent that counts at an instant.
    #[must_use]
    pub fn at(&self, now: OffsetDateTime) -> RoaringBitmap {
        let mut covered = self.single.clone();
        for ended in self.ends.range(..=now).map(|(_, storages)| storages) {
            covered -= ended;
        }
        for pending in self
            .starts
            .range((std::ops::Bound::Excluded(now), std::ops::Bound::Unbounded))
        {
            covered -= pending.1;
        }
        for storage in &self.several {
            let counts = self
                .spans
                .get(&storage)
                .is_some_and(|spans| spans.iter().any(|(_, span)| span.contains(now)));
            if counts {
                covered.insert(storage);
            }
        }
        covered
    }

    /// Those of [`Self::at`] whose consent was not given before an instant in Unix seconds.
    #[must_use]
    pub fn given_since(&self, since: i64, now: OffsetDateTime) -> RoaringBitmap {
        let mut covered = self.at(now);
        for (from, storages) in &self.starts {
            if from.unix_timestamp() >= since {
                break;
            }
            covered -= storages;
        }
        for storage in &self.several {
            let counts = self.spans.get(&storage).is_some_and(|spans| {
                spans
                    .iter()
                    .any(|(_, span)| span.contains(now) && span.from.unix_timestamp() >= since)
            });
            if !counts {
                covered.remove(storage);
            }
        }
        covered
    }

    /// Takes a storage out of the bitmaps.
    fn forget(&mut self, storage: u32) {
        self.several.remove(storage);
        if !self.single.remove(storage) {
            return;
        }
        if let Some([(_, span)]) = self.spans.get(&storage).map(Vec::as_slice) {
            let span = *span;
            take(&mut self.starts, span.from, storage);
            take(&mut self.ends, span.until, storage);
        }
    }

    /// Puts a storage into the bitmaps that fit its spans.
    fn note(&mut self, storage: u32) {
        match self.spans.get(&storage).map(Vec::as_slice) {
            None | Some([]) => {}
            Some([(_, span)]) => {
                let span = *span;
                self.single.insert(storage);
                self.starts.entry(span.from).or_default().insert(storage);
                self.ends.entry(span.until).or_default().insert(storage);
            }
            Some(_) => {
                self.several.insert(storage);
            }
        }
    }
}

fn take(index: &mut BTreeMap<OffsetDateTime, RoaringBitmap>, at: OffsetDateTime, storage: u32) {
    if let Some(storages) = index.get_mut(&at) {
        storages.remove(storage);
        if storages.is_empty() {
            index.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds)
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32, u8, i64, i64),
        Remove(u32, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u32..6, 0_u8..3, 0_i64..20, 0_i64..20).prop_map(|(s, k, a, b)| Step::Insert(s, k, a, b)),
            1 => (0_u32..6, 0_u8..3).prop_map(|(s, k)| Step::Remove(s, k)),
        ]
    }

    proptest! {
        /// CON-13, CON-22: after any history and at any instant, the bitmap holds exactly those whom a plain search finds.
        #[test]
        fn bitmaps_agree_with_a_plain_search(steps in prop::collection::vec(step(), 0..40)) {
            let mut coverage = Coverage::default();
            let mut plain: BTreeMap<(u32, u8), Span> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(storage, key, from, until) => {
                        let span = Span { from: moment(from), until: moment(until) };
                        coverage.insert(storage, &key.to_string(), span);
                        plain.insert((storage, key), span);
                    }
                    Step::Remove(storage, key) => {
                        coverage.remove(storage, &key.to_string());
                        plain.remove(&(storage, key));
                    }
                }
            }
            for second in -1..21 {
                let now = moment(second);
                let expected: RoaringBitmap = plain
                    .iter()
                    .filter(|(_, span)| span.contains(now))
                    .map(|((storage, _), _)| *storage)
                    .collect();
                prop_assert_eq!(coverage.at(now), expected, "at second {}", second);
                for since in [0, 7, 19] {
                    let expected: RoaringBitmap = plain
                        .iter()
                        .filter(|(_, span)| span.contains(now) && span.from >= moment(since))
                        .map(|((storage, _), _)| *storage)
                        .collect();
                    prop_assert_eq!(coverage.given_since(since, now), expected, "since {} at {}", since, second);
                }
            }
            prop_assert_eq!(coverage.is_empty(), plain.is_empty());
        }
    }
}
