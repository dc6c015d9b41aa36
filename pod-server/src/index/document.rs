//! Documents of the index and sets of them.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::term::TermId;
use crate::name::ResourceName;
use crate::store::{ResourceId, Sequence, StorageId};

/// One version of one document. A new version gets a new number, so that a query that runs keeps the versions it
/// began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(pub u32);

/// What the index knows about a document's version.
#[derive(Clone, Debug)]
pub struct Document {
    /// The resource.
    pub resource: ResourceId,
    /// The storage that it lies in; its owner is the data subject.
    pub storage: StorageId,
    /// Its canonical name.
    pub name: ResourceName,
    /// The commit that made this version.
    pub version: Sequence,
    /// Its IRI, which names its graph.
    pub graph: TermId,
    /// Number of its triples.
    pub triples: u32,
}

/// A set of documents that answers membership in one step. Made once per view, asked for every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentSet {
    words: Arc<[u64]>,
    count: u64,
}

impl DocumentSet {
    /// From a bitmap.
    #[must_use]
    pub fn new(bitmap: &RoaringBitmap) -> Self {
        let length = bitmap.max().map_or(0, |last| last as usize / 64 + 1);
        let mut words = vec![0_u64; length];
        for document in bitmap {
            if let Some(word) = words.get_mut(document as usize / 64) {
                *word |= 1 << (document % 64);
            }
        }
        Self {
            words: words.into(),
            count: bitmap.len(),
        }
    }

    /// Whether a document is in the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, document: u32) -> bool {
        self.words
            .get((document / 64) as usize)
            .is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    /// Number of documents.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The documents in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(position, word)| {
            let first = u32::try_from(position * 64).unwrap_or(u32::MAX);
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(first + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_its_bitmap_holds() {
        let bitmap: RoaringBitmap = [0, 1, 63, 64, 127, 128, 5_000, 70_001].into_iter().collect();
        let set = DocumentSet::new(&bitmap);
        assert_eq!(set.len(), 8);
        assert_eq!(set.iter().collect::<RoaringBitmap>(), bitmap);
        for document in 0..80_000 {
            assert_eq!(set.contains(document), bitmap.contains(document), "{document}");
        }
        assert!(!set.contains(u32::MAX));
        assert!(DocumentSet::default().is_empty());
    }
}
