//! Every RDF term once, by number.
//!
//! Reading a term by its number takes no lock: a query does that millions of times. Finding the number of a term takes
//! a short shared lock: a query does that for its constants and for what it computes. One writer adds terms in
//! batches, one batch per group of documents, whose texts lie together in one allocation.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashTable;
use oxrdf::{NamedNode, Term, TermRef};
use parking_lot::RwLock;
use spareval::ExpressionTerm;

use super::append::AppendOnly;
use super::term::{Kind, TermId, Value, decode, encode};

#[derive(Debug)]
struct Entry {
    segment: u32,
    start: u32,
    length: u32,
    kind: Kind,
    value: Value,
}

/// The terms of an index.
#[derive(Debug, Default)]
pub struct Dictionary {
    entries: AppendOnly<Entry>,
    segments: AppendOnly<Box<str>>,
    numbers: RwLock<HashTable<TermId>>,
    hasher: RandomState,
    text_bytes: AtomicUsize,
    triple_terms: AtomicUsize,
}

impl Dictionary {
    fn entry(&self, id: TermId) -> Option<(&Entry, &str)> {
        let entry = self.entries.value(id.position()?)?;
        let segment = self.segments.value(entry.segment)?;
        let start = entry.start as usize;
        Some((entry, segment.get(start..start + entry.length as usize)?))
    }

    /// The term of a number; none if the number is not of this dictionary.
    #[must_use]
    pub fn term(&self, id: TermId) -> Option<Term> {
        let (entry, text) = self.entry(id)?;
        decode(entry.kind, text, |datatype| self.iri(datatype))
    }

    /// The term of a number for an expression; its value was decoded when it was indexed.
    #[must_use]
    pub fn expression_term(&self, id: TermId) -> Option<ExpressionTerm> {
        let entry = self.entries.value(id.position()?)?;
        match entry.value.expression() {
            Some(value) => Some(value),
            None => match self.entry(id)? {
                (_, text) if entry.kind == Kind::String => Some(ExpressionTerm::StringLiteral(text.to_owned())),
                (_, text) if entry.kind == Kind::Iri => Some(NamedNode::new_unchecked(text).into()),
                _ => self.term(id).map(Into::into),
            },
        }
    }

    /// The IRI of a number, if it is one.
    #[must_use]
    pub fn iri(&self, id: TermId) -> Option<NamedNode> {
        self.iri_text(id).map(NamedNode::new_unchecked)
    }

    /// The text of an IRI, if the number is an IRI's.
    #[must_use]
    pub fn iri_text(&self, id: TermId) -> Option<&str> {
        match self.entry(id)? {
            (entry, text) if entry.kind == Kind::Iri => Some(text),
            _ => None,
        }
    }

    /// The number of a literal's datatype; none for plain strings, language strings and other terms.
    #[must_use]
    pub fn datatype(&self, id: TermId) -> Option<TermId> {
        match self.entries.value(id.position()?)?.kind {
            Kind::Typed(datatype) => Some(datatype),
            _ => None,
        }
    }

    /// What sort of node a term is, for statistics.
    #[must_use]
    pub fn sort(&self, id: TermId) -> Option<Sort> {
        Some(match self.entries.value(id.position()?)?.kind {
            Kind::Iri => Sort::Iri,
            Kind::Blank => Sort::Blank,
            Kind::String => Sort::String,
            Kind::Language => Sort::LanguageString,
            Kind::Typed(datatype) => Sort::Typed(datatype),
            Kind::Triple => Sort::Triple,
        })
    }

    /// The number of a term, if the dictionary holds it.
    #[must_use]
    pub fn find(&self, term: TermRef<'_>) -> Option<TermId> {
        let (kind, text) = encode(term, |datatype| self.find(datatype.into()))?;
        self.find_text(kind, &text)
    }

    fn find_text(&self, kind: Kind, text: &str) -> Option<TermId> {
        let hash = self.hasher.hash_one((kind, text));
        self.numbers
            .read()
            .find(hash, |candidate| self.is(*candidate, kind, text))
            .copied()
    }

    fn is(&self, candidate: TermId, kind: Kind, text: &str) -> bool {
        self.entry(candidate)
            .is_some_and(|(entry, known)| entry.kind == kind && known == text)
    }

    /// Number of terms.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.entries.len()
    }

    /// Whether there is no term.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are, or were, terms that are triples.
    #[must_use]
    pub fn has_triple_terms(&self) -> bool {
        self.triple_terms.load(Ordering::Acquire) > 0
    }

    /// Bytes in use, heap included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.slot_bytes()
            + self.segments.slot_bytes()
            + self.text_bytes.load(Ordering::Relaxed)
            + self.numbers.read().allocation_size()
    }

    /// Starts a batch of additions. There may be only one at a time; the index's writer sees to that.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            dictionary: self,
            text: String::new(),
            entries: Vec::new(),
            numbers: HashTable::new(),
            first: self.entries.len(),
        }
    }
}

/// What sort of node a term is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sort {
    /// An IRI.
    Iri,
    /// A blank node.
    Blank,
    /// A plain string.
    String,
    /// A string with a language.
    LanguageString,
    /// A literal of this datatype.
    Typed(TermId),
    /// An RDF 1.2 triple term.
    Triple,
}

/// The dictionary is full: it holds 2³¹ − 2 terms or a batch holds more than 4 GiB of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the dictionary of the index is full")]
pub struct DictionaryFull;

/// Terms on their way into the dictionary; invisible to readers until [`Batch::publish`].
#[derive(Debug)]
pub(super) struct Batch<'d> {
    dictionary: &'d Dictionary,
    text: String,
    entries: Vec<Entry>,
    numbers: HashTable<TermId>,
    first: u32,
}

impl Batch<'_> {
    /// The number of a term, new or known.
    pub(super) fn number(&mut self, term: &Term) -> Result<TermId, DictionaryFull> {
        let mut failed = false;
        let encoded = encode(term.as_ref(), |datatype| {
            let number = self.intern(Kind::Iri, datatype.as_str(), Value::None);
            failed = number.is_err();
            number.ok()
        });
        let (kind, text) = encoded.ok_or(DictionaryFull)?;
        if let Some(known) = self.known(kind, &text) {
            return Ok(known);
        }
        let value = Value::of(term);
        self.intern(kind, &text, value)
    }

    fn known(&self, kind: Kind, text: &str) -> Option<TermId> {
        let hash = self.dictionary.hasher.hash_one((kind, text));
        self.numbers
            .find(hash, |candidate| self.is_pending(*candidate, kind, text))
            .copied()
            .or_else(|| self.dictionary.find_text(kind, text))
    }

    fn is_pending(&self, candidate: TermId, kind: Kind, text: &str) -> bool {
        pending(&self.entries, &self.text, self.first, candidate)
            .is_some_and(|(known_kind, known)| known_kind == kind && known == text)
    }

    fn intern(&mut self, kind: Kind, text: &str, value: Value) -> Result<TermId, DictionaryFull> {
        if let Some(known) = self.known(kind, text) {
            return Ok(known);
        }
        let position = u32::try_from(self.entries.len())
            .ok()
            .and_then(|offset| self.first.checked_add(offset));
        let id = position.and_then(TermId::from_position).ok_or(DictionaryFull)?;
        let start = u32::try_from(self.text.len()).map_err(|_| DictionaryFull)?;
        let length = u32::try_from(text.len()).map_err(|_| DictionaryFull)?;
        self.text.push_str(text);
        self.entries.push(Entry {
            segment: self.dictionary.segments.len(),
            start,
            length,
            kind,
            value,
        });
        let hasher = &self.dictionary.hasher;
        let (entries, texts, first) = (&self.entries, &self.text, self.first);
        self.numbers
            .insert_unique(hasher.hash_one((kind, text)), id, |candidate| {
                pending(entries, texts, first, *candidate).map_or(0, |key| hasher.hash_one(key))
            });
        Ok(id)
    }

    /// Makes the new terms visible.
    pub(super) fn publish(self) -> Result<(), DictionaryFull> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let dictionary = self.dictionary;
        let heap: usize = self.entries.iter().map(|entry| entry.value.heap_bytes()).sum();
        dictionary
            .text_bytes
            .fetch_add(self.text.len() + heap, Ordering::Relaxed);
        let triple_terms = self.entries.iter().filter(|entry| entry.kind == Kind::Triple).count();
        // Before anybody can meet one.
        dictionary.triple_terms.fetch_add(triple_terms, Ordering::Release);
        dictionary
            .segments
            .push(self.text.into_boxed_str())
            .map_err(|_| DictionaryFull)?;
        for entry in self.entries {
            dictionary.entries.push(entry).map_err(|_| DictionaryFull)?;
        }
        let rehash = |id: &TermId| {
            dictionary
                .entry(*id)
                .map_or(0, |(entry, text)| dictionary.hasher.hash_one((entry.kind, text)))
        };
        let mut numbers = dictionary.numbers.write();
        for id in self.numbers {
            numbers.insert_unique(rehash(&id), id, rehash);
        }
        Ok(())
    }
}

fn pending<'a>(entries: &[Entry], texts: &'a str, first: u32, id: TermId) -> Option<(Kind, &'a str)> {
    let entry = entries.get(id.position()?.checked_sub(first)? as usize)?;
    let start = entry.start as usize;
    Some((entry.kind, texts.get(start..start + entry.length as usize)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use oxrdf::vocab::xsd;
    use oxrdf::{BaseDirection, BlankNode, Literal, Triple};

    fn samples() -> Vec<Term> {
        vec![
            NamedNode::new("http://example.org/a").unwrap().into(),
            Literal::new_simple_literal("http://example.org/a").into(),
            BlankNode::new("d1n0").unwrap().into(),
            Literal::new_simple_literal("").into(),
            Literal::new_language_tagged_literal("fiets", "nl").unwrap().into(),
            Literal::new_language_tagged_literal("fiets", "nl-be").unwrap().into(),
            Literal::new_directional_language_tagged_literal("fiets", "nl", BaseDirection::Rtl)
                .unwrap()
                .into(),
            Literal::new_typed_literal("1", xsd::INTEGER).into(),
            Literal::new_typed_literal("01", xsd::INTEGER).into(),
            Literal::new_typed_literal("one", xsd::INTEGER).into(),
            Literal::new_typed_literal("1.50", xsd::DECIMAL).into(),
            Literal::new_typed_literal("2022-03-01T08:00:00+01:00", xsd::DATE_TIME).into(),
            Literal::new_typed_literal("2022-03-01", xsd::DATE).into(),
            Term::Triple(Box::new(Triple::new(
                NamedNode::new("http://example.org/s").unwrap(),
                NamedNode::new("http://example.org/p").unwrap(),
                Literal::new_simple_literal("o"),
            ))),
        ]
    }

    #[test]
    fn every_sort_of_term_comes_back_as_it_went_in() {
        let dictionary = Dictionary::default();
        let mut batch = dictionary.batch();
        let numbers: Vec<_> = samples().iter().map(|term| batch.number(term).unwrap()).collect();
        let again: Vec<_> = samples().iter().map(|term| batch.number(term).unwrap()).collect();
        assert_eq!(numbers, again, "one number per term inside a batch");
        assert_eq!(dictionary.term(numbers[0]), None, "invisible before publication");
        batch.publish().unwrap();
        for (term, number) in samples().iter().zip(&numbers) {
            assert_eq!(dictionary.term(*number).as_ref(), Some(term));
            assert_eq!(dictionary.find(term.as_ref()), Some(*number));
            assert!(
                dictionary.expression_term(*number).unwrap() == ExpressionTerm::from(term.clone()),
                "decoded value of {term}"
            );
        }
        let mut batch = dictionary.batch();
        assert_eq!(
            batch.number(&samples()[4]).unwrap(),
            numbers[4],
            "one number per term over batches"
        );
        let unique: std::collections::HashSet<_> = numbers.into_iter().collect();
        assert_eq!(unique.len(), samples().len());
    }
}
