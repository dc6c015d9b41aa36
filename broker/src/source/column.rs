//! What one variable can be at each of many sources. Parts of a plan hand columns on unchanged most of the time, so they are shared, and
//! what was found out about one (whether its values tell the sources apart) stays with it.

use super::{SourceId, Token, ValueSet};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

/// The values of one variable, source by source. It may speak of more sources than a part asks.
#[derive(Debug, Clone)]
pub struct Column(Arc<Sets>);

#[derive(Debug)]
struct Sets {
    /// In the order of the sources.
    at: Vec<(SourceId, ValueSet)>,
    may_be_blank: bool,
    has_empty: bool,
    apart: OnceLock<bool>,
}

impl FromIterator<(SourceId, ValueSet)> for Column {
    fn from_iter<I: IntoIterator<Item = (SourceId, ValueSet)>>(sets: I) -> Self {
        let mut at: Vec<(SourceId, ValueSet)> = sets.into_iter().collect();
        at.sort_by_key(|(id, _)| *id);
        at.dedup_by_key(|(id, _)| *id);
        Self(Arc::new(Sets {
            may_be_blank: at.iter().any(|(_, set)| set.may_be_blank()),
            has_empty: at.iter().any(|(_, set)| set.is_empty()),
            apart: OnceLock::new(),
            at,
        }))
    }
}

impl Column {
    /// What the variable can be at a source; `None` where nothing is said.
    #[must_use]
    pub fn at(&self, source: SourceId) -> Option<&ValueSet> {
        let sets = &self.0.at;
        // Most columns speak of every source: then the number of a source is its place.
        if let Some((id, set)) = sets.get(source)
            && *id == source
        {
            return Some(set);
        }
        let place = sets.binary_search_by_key(&source, |(id, _)| *id).ok()?;
        sets.get(place).map(|(_, set)| set)
    }

    /// The same set at each of these sources.
    #[must_use]
    pub fn same_everywhere(sources: &BTreeMap<SourceId, f64>, set: &ValueSet) -> Self {
        sources.keys().map(|id| (*id, set.clone())).collect()
    }

    /// The same, but of these sources what is said here; nothing of those with `None`.
    #[must_use]
    pub fn with(self, said: &BTreeMap<SourceId, Option<&ValueSet>>) -> Self {
        if said.iter().all(|(id, set)| self.at(*id) == *set) {
            return self;
        }
        let kept = self.0.at.iter().filter(|(id, _)| !said.contains_key(id)).cloned();
        let new = said.iter().filter_map(|(id, set)| Some((*id, (*set)?.clone())));
        kept.chain(new).collect()
    }

    /// Whether the values at one source never meet those at another.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        *self.0.apart.get_or_init(|| {
            let all: Vec<(SourceId, &ValueSet)> = self.0.at.iter().map(|(id, set)| (*id, set)).collect();
            apart(&all, &all)
        })
    }

    /// Whether that holds among these sources.
    #[must_use]
    pub fn is_apart_among(&self, sources: &BTreeMap<SourceId, f64>) -> bool {
        if !self.covers(sources) {
            return false;
        }
        if self.is_apart() {
            return true;
        }
        if sources.len() == self.0.at.len() {
            return false;
        }
        let some: Vec<(SourceId, &ValueSet)> = sources.keys().filter_map(|id| Some((*id, self.at(*id)?))).collect();
        apart(&some, &some)
    }

    /// Whether it says something about each of these sources.
    #[must_use]
    pub fn covers(&self, sources: &BTreeMap<SourceId, f64>) -> bool {
        sources.keys().all(|id| self.at(*id).is_some())
    }

    /// Whether both say the same about each of these sources.
    #[must_use]
    pub fn agrees(&self, other: &Self, sources: &BTreeMap<SourceId, f64>) -> bool {
        if Arc::ptr_eq(&self.0, &other.0) {
            return self.covers(sources);
        }
        let mut ids = sources.keys();
        ids.all(|id| matches!((self.at(*id), other.at(*id)), (Some(own), Some(theirs)) if own == theirs))
    }

    /// The tighter bound of two that both hold, at these sources.
    #[must_use]
    pub fn narrow(&self, other: &Self, sources: &BTreeMap<SourceId, f64>) -> Self {
        self.combined(other, sources, |own, theirs| match (own, theirs) {
            (Some(own), Some(theirs)) => own.narrow(theirs),
            (Some(known), None) | (None, Some(known)) => known.clone(),
            (None, None) => ValueSet::Any,
        })
    }

    /// What either allows, at these sources.
    #[must_use]
    pub fn unite(&self, other: &Self, sources: &BTreeMap<SourceId, f64>) -> Self {
        self.combined(other, sources, |own, theirs| match (own, theirs) {
            (Some(own), Some(theirs)) => own.union(theirs),
            _ => ValueSet::Any,
        })
    }

    fn combined(
        &self,
        other: &Self,
        sources: &BTreeMap<SourceId, f64>,
        combine: impl Fn(Option<&ValueSet>, Option<&ValueSet>) -> ValueSet,
    ) -> Self {
        if self.agrees(other, sources) {
            let shorter = if self.0.at.len() <= other.0.at.len() {
                self
            } else {
                other
            };
            return shorter.clone();
        }
        let each = sources.keys().map(|id| (*id, combine(self.at(*id), other.at(*id))));
        each.collect()
    }

    /// Whether both are equal at all sources, and speak of the same ones.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.at == other.0.at
    }

    /// Whether no value at these sources is a blank node.
    #[must_use]
    pub fn never_blank(&self, sources: &BTreeMap<SourceId, f64>) -> bool {
        let mut sets = sources.keys().map(|id| self.at(*id));
        sets.all(|set| set.is_some_and(|set| !self.0.may_be_blank || !set.may_be_blank()))
    }

    /// Whether there is a source at which the variable has no value at all.
    #[must_use]
    pub fn has_empty(&self) -> bool {
        self.0.has_empty
    }
}

/// How many sources of each side are looked at before values are sorted: what does not tell sources apart shows in the first ones.
const SAMPLE: usize = 2;

/// Whether values of one side at one source never meet values of the other side at another source.
#[must_use]
pub fn apart(own: &[(SourceId, &ValueSet)], others: &[(SourceId, &ValueSet)]) -> bool {
    let clash = own.iter().take(SAMPLE).any(|(source, values)| {
        let mut sample = others.iter().rev().take(SAMPLE);
        sample.any(|(other, theirs)| other != source && values.may_meet(theirs))
    });
    if clash {
        return false;
    }
    let mut buckets: HashMap<&str, Vec<(SourceId, &Token)>> = HashMap::with_capacity(others.len());
    let mut anywhere = Vec::new();
    for (source, values) in others {
        match values {
            ValueSet::Any => anywhere.push(*source),
            ValueSet::Tokens(tokens) => {
                for token in &**tokens {
                    buckets.entry(token.bucket()).or_default().push((*source, token));
                }
            }
        }
    }
    own.iter().all(|(source, values)| {
        let elsewhere = |other: &SourceId| other != source;
        let meets = |token: &Token| {
            let list = buckets.get(token.bucket());
            list.is_some_and(|list| list.iter().any(|(at, theirs)| elsewhere(at) && theirs.may_meet(token)))
        };
        !anywhere.iter().any(elsewhere)
            && match values {
                ValueSet::Any => !others.iter().any(|(other, _)| elsewhere(other)),
                ValueSet::Tokens(tokens) => !tokens.iter().any(meets),
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> ValueSet {
        ValueSet::of(texts.iter().map(|text| Token::Iri((*text).into())).collect())
    }

    #[test]
    fn a_column_knows_whether_its_values_tell_sources_apart() {
        let own: Column = [
            (0, set(&["https://a"])),
            (1, set(&["https://b"])),
            (4, set(&["https://c"])),
        ]
        .into_iter()
        .collect();
        let shared: Column = [
            (0, set(&["https://a"])),
            (1, set(&["https://a/x"])),
            (4, set(&["https://c"])),
        ]
        .into_iter()
        .collect();
        let some = |ids: &[SourceId]| ids.iter().map(|id| (*id, 1.0)).collect::<BTreeMap<_, _>>();
        assert!(own.is_apart());
        assert!(!shared.is_apart());
        assert!(shared.is_apart_among(&some(&[1, 4])), "the others are not asked");
        assert!(!shared.is_apart_among(&some(&[0, 1])));
        assert!(
            !own.is_apart_among(&some(&[0, 2])),
            "nothing is said of the third source"
        );
        assert!(own.at(2).is_none() && own.at(4).is_some());
        assert!(own.agrees(&shared, &some(&[0, 4])) && !own.agrees(&shared, &some(&[0, 1])));
        let narrowed = own.narrow(&shared, &some(&[0, 1, 4]));
        assert!(narrowed.has_empty(), "the second source can hold no value of both");
    }

    #[test]
    fn unknown_values_are_never_apart() {
        let own: Column = [(0, ValueSet::Any), (1, set(&["https://b"]))].into_iter().collect();
        assert!(!own.is_apart());
        let alone: Column = [(0, ValueSet::Any)].into_iter().collect();
        assert!(alone.is_apart(), "there is no other source");
        assert!(!alone.never_blank(&BTreeMap::from([(0, 1.0)])));
    }
}
