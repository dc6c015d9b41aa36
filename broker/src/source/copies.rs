//! Descriptions that many sources copied: what a shop's products refer to, every shop may describe. Where the lists of all sources
//! show that one of them holds, of everything that it refers to, exactly what anybody holds, it can join the two by itself. Found out
//! once for a list of descriptions.

use super::{SourceDescription, SourceId};
use parking_lot::Mutex;
use server_kit::keys::{End, Key, Keys, holds};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most references that are remembered of one list of sources.
const REFERENCES_MAX: usize = 1_024;

/// A place in a triple: an end of a property.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// The property of the triple.
    pub property: String,
    /// Its end.
    pub end: End,
}

/// What refers to what: the IRIs of an authority at an anchor, and a property that describes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Where the IRIs stand that are referred to.
    pub from: Anchor,
    /// The authority of these IRIs.
    pub authority: String,
    /// The property that describes them.
    pub property: String,
}

/// Which sources hold all that anybody holds of what they refer to.
#[derive(Debug, Default)]
pub struct Copies {
    known: Mutex<HashMap<Reference, Arc<HashSet<SourceId>>>>,
}

/// What is held of one subject.
struct Held {
    content: Option<u128>,
    same: bool,
}

impl Copies {
    /// The sources that hold everything which any source holds of what they refer to, as far as their lists prove it.
    #[must_use]
    pub fn complete_at(&self, reference: Reference, all: &[Arc<SourceDescription>]) -> Arc<HashSet<SourceId>> {
        if let Some(known) = self.known.lock().get(&reference) {
            return Arc::clone(known);
        }
        let found = Arc::new(complete(&reference, all));
        let mut known = self.known.lock();
        if known.len() >= REFERENCES_MAX {
            known.clear();
        }
        known.insert(reference, Arc::clone(&found));
        found
    }
}

fn complete(reference: &Reference, all: &[Arc<SourceDescription>]) -> HashSet<SourceId> {
    let (property, authority) = (reference.property.as_str(), reference.authority.as_str());
    let mut held: HashMap<Key, Held> = HashMap::new();
    let (mut listed, mut unlisted) = (HashSet::new(), HashSet::new());
    for (id, description) in all.iter().enumerate() {
        let Some(list) = description.keys().subjects(property, authority) else {
            if description.describes(property, authority) {
                unlisted.insert(id);
            }
            continue;
        };
        listed.insert(id);
        for copied in list {
            let of_first = Held {
                content: copied.content,
                same: true,
            };
            held.entry(copied.key)
                .and_modify(|known| known.same &= known.content.is_some() && known.content == copied.content)
                .or_insert(of_first);
        }
    }
    let others = |ids: &HashSet<SourceId>, id: SourceId| ids.len() > usize::from(ids.contains(&id));
    let complete = |id: SourceId, keys: &Keys| {
        if others(&unlisted, id) {
            return false;
        }
        if !others(&listed, id) {
            return true;
        }
        let own = keys.subjects(property, authority).unwrap_or_default();
        let has = |key: Key| held.get(&key).is_none_or(|held| held.same && holds(own, key));
        match reference.from.end {
            End::Object => {
                let referred = keys.objects(&reference.from.property, authority);
                referred.is_some_and(|referred| referred.iter().all(|key| has(*key)))
            }
            End::Subject => {
                let referred = keys.subjects(&reference.from.property, authority);
                referred.is_some_and(|referred| referred.iter().all(|copied| has(copied.key)))
            }
        }
    };
    let each = all.iter().enumerate();
    each.filter(|(id, description)| complete(*id, description.keys()))
        .map(|(id, _)| id)
        .collect()
}
