//! Which shared identifiers a source speaks of: lists of hashed IRIs beside its summary, for the links that leave their subject's
//! authority. They tell, without a request, who has something to say about one product, municipality or licence, and which sources hold
//! copies of the same description. Pure data: they tell more than counts do, so that an owner publishes them only by choice
//! (`meent:publishIdentifiers`).
//!
//! A list is whole or absent: whatever it does not hold, the source does not have. Hashes are the first bytes of SHA-256, so that
//! nobody can make up an IRI or a literal that passes for another; who guesses an IRI can test whether it is there.

use crate::summary::authority;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oxrdf::vocab::rdf;
use oxrdf::{BlankNode, Literal, NamedNode, NamedOrBlankNode, Term, Triple};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

const VOID: &str = "http://rdfs.org/ns/void#";
const MEENT: &str = "https://w3id.org/meent/ns#";
/// Most lists that are read from RDF.
const LISTS_MAX: usize = 10_000;

/// Most IRIs in one list; a property with more of one authority has no list.
const KEYS_MAX: usize = 4_096;

/// An end of a triple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Its subject.
    Subject,
    /// Its object.
    Object,
}

/// A hashed IRI.
pub type Key = u64;

/// What a source holds about one subject by one property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copied {
    /// The subject.
    pub key: Key,
    /// The subject and all its values, hashed; `None` when they cannot be compared with those of another source, because one of them
    /// is a blank node.
    pub content: Option<u128>,
}

/// By property, then by authority of the IRIs listed.
type Lists<T> = BTreeMap<String, BTreeMap<String, Arc<[T]>>>;

/// The lists of one source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keys {
    objects: Lists<Key>,
    subjects: Lists<Copied>,
}

/// The hash of an IRI.
#[must_use]
pub fn key(iri: &str) -> Key {
    let digest = Sha256::digest(iri.as_bytes());
    digest
        .iter()
        .take(size_of::<Key>())
        .fold(0, |key, byte| key << 8 | Key::from(*byte))
}

fn content(subject: &str, values: &BTreeSet<Value>) -> Option<u128> {
    let mut hasher = Sha256::new();
    hasher.update(subject.as_bytes());
    for value in values {
        // A line break ends a value: N-Triples writes those within as `\n`.
        hasher.update(b"\n");
        hasher.update(value.0.as_ref()?.as_bytes());
    }
    let digest = hasher.finalize();
    Some(
        digest
            .iter()
            .take(size_of::<u128>())
            .fold(0, |sum, byte| sum << 8 | u128::from(*byte)),
    )
}

/// A value as text; `None` when it means something only to whoever holds it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Value(Option<String>);

impl Value {
    fn of(term: &Term) -> Self {
        Self(match term {
            Term::NamedNode(_) | Term::Literal(_) => Some(term.to_string()),
            Term::BlankNode(_) | Term::Triple(_) => None,
        })
    }
}

impl Keys {
    /// The lists of a source with these triples: of the objects of every property that links to another authority than the subject's,
    /// and of the subjects of such authorities. Classes are not listed; a summary counts them.
    #[must_use]
    pub fn of_triples<'a>(triples: impl IntoIterator<Item = &'a Triple>) -> Self {
        let mut linked: BTreeMap<(&str, &str), (bool, HashSet<&str>)> = BTreeMap::new();
        let mut foreign: BTreeSet<&str> = BTreeSet::new();
        let mut all: Vec<&Triple> = Vec::new();
        for triple in triples {
            all.push(triple);
            let Term::NamedNode(object) = &triple.object else {
                continue;
            };
            if triple.predicate == rdf::TYPE {
                continue;
            }
            let target = authority(object.as_str());
            // Of names without a host, what comes before the first colons says little.
            if !target.contains("://") {
                continue;
            }
            let leaves = match &triple.subject {
                NamedOrBlankNode::NamedNode(subject) => authority(subject.as_str()) != target,
                NamedOrBlankNode::BlankNode(_) => true,
            };
            let (links, objects) = linked.entry((triple.predicate.as_str(), target)).or_default();
            *links |= leaves;
            objects.insert(object.as_str());
            if leaves {
                foreign.insert(target);
            }
        }
        let mut found = Self::default();
        for ((property, target), (links, objects)) in linked {
            if links && objects.len() <= KEYS_MAX {
                let keys: BTreeSet<Key> = objects.into_iter().map(key).collect();
                put(&mut found.objects, property, target, keys.into_iter().collect());
            }
        }
        found.describe(&all, &foreign);
        found
    }

    /// Lists the subjects of authorities that others' subjects link to.
    fn describe(&mut self, triples: &[&Triple], foreign: &BTreeSet<&str>) {
        let mut described: BTreeMap<(&str, &str), BTreeMap<&str, BTreeSet<Value>>> = BTreeMap::new();
        for triple in triples {
            let NamedOrBlankNode::NamedNode(subject) = &triple.subject else {
                continue;
            };
            let own = authority(subject.as_str());
            if foreign.contains(own) {
                let subjects = described.entry((triple.predicate.as_str(), own)).or_default();
                let values = subjects.entry(subject.as_str()).or_default();
                values.insert(Value::of(&triple.object));
            }
        }
        for ((property, own), subjects) in described {
            if subjects.len() > KEYS_MAX {
                continue;
            }
            let mut list: BTreeMap<Key, Option<u128>> = BTreeMap::new();
            for (subject, values) in &subjects {
                // Two subjects with one hash cannot be told apart: neither can be compared.
                let content = content(subject, values);
                list.entry(key(subject))
                    .and_modify(|known| *known = None)
                    .or_insert(content);
            }
            let list = list.into_iter().map(|(key, content)| Copied { key, content });
            put(&mut self.subjects, property, own, list.collect());
        }
    }

    /// Hashes of all objects of a property that are IRIs of this authority; `None` when that is not listed.
    #[must_use]
    pub fn objects(&self, property: &str, authority: &str) -> Option<&[Key]> {
        self.objects.get(property)?.get(authority).map(|list| &**list)
    }

    /// All subjects of this authority that have the property; `None` when that is not listed.
    #[must_use]
    pub fn subjects(&self, property: &str, authority: &str) -> Option<&[Copied]> {
        self.subjects.get(property)?.get(authority).map(|list| &**list)
    }

    /// Whether the IRI with this hash can stand at that end of a triple with this property.
    #[must_use]
    pub fn may_have(&self, property: &str, end: End, iri: &str, key: Key) -> bool {
        match end {
            End::Object => self
                .objects(property, authority(iri))
                .is_none_or(|list| list.binary_search(&key).is_ok()),
            End::Subject => self
                .subjects(property, authority(iri))
                .is_none_or(|list| holds(list, key)),
        }
    }

    /// How many IRIs of this authority stand at that end of a property.
    #[must_use]
    pub fn listed(&self, property: &str, end: End, authority: &str) -> Option<usize> {
        match end {
            End::Object => self.objects(property, authority).map(<[Key]>::len),
            End::Subject => self.subjects(property, authority).map(<[Copied]>::len),
        }
    }
}

/// Bytes of an entry in a list of objects, and of one in a list of subjects: its key, whether it can be compared, its content.
const KEY_BYTES: usize = size_of::<Key>();
const COPIED_BYTES: usize = KEY_BYTES + 1 + size_of::<u128>();

impl Keys {
    /// Whether there is no list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.subjects.is_empty()
    }

    /// The lists as RDF, beside a summary of `dataset`: `meent:identifierList`, each with `void:property`, with
    /// `meent:objectAuthority` or `meent:subjectAuthority`, and with its entries in base64 as `meent:identifiers`. `part` names the
    /// lists: it gets their number.
    #[must_use]
    pub fn to_triples(&self, dataset: &NamedOrBlankNode, part: impl Fn(usize) -> BlankNode) -> Vec<Triple> {
        let objects = flat(&self.objects).map(|(property, authority, list)| {
            let bytes: Vec<u8> = list.iter().flat_map(|key| key.to_be_bytes()).collect();
            (property, "objectAuthority", authority, bytes)
        });
        let subjects = flat(&self.subjects).map(|(property, authority, list)| {
            let bytes: Vec<u8> = list.iter().flat_map(packed).collect();
            (property, "subjectAuthority", authority, bytes)
        });
        let mut out = Vec::new();
        for (number, (property, end, authority, bytes)) in objects.chain(subjects).enumerate() {
            let node = part(number);
            let iri = |text: &str| NamedNode::new_unchecked(text);
            let meent = |name: &str| NamedNode::new_unchecked(format!("{MEENT}{name}"));
            let void = NamedNode::new_unchecked(format!("{VOID}property"));
            out.push(Triple::new(dataset.clone(), meent("identifierList"), node.clone()));
            out.push(Triple::new(node.clone(), void, iri(property)));
            out.push(Triple::new(node.clone(), meent(end), iri(authority)));
            let text = Literal::new_typed_literal(STANDARD.encode(bytes), oxrdf::vocab::xsd::BASE_64_BINARY);
            out.push(Triple::new(node, meent("identifiers"), text));
        }
        out
    }

    /// Reads the lists of `dataset` from triples, which may hold other things too. A list that cannot be read is left out, which only
    /// means that less is known of the source; how many were is told.
    #[must_use]
    pub fn from_triples<'a>(
        dataset: &NamedOrBlankNode,
        triples: impl IntoIterator<Item = &'a Triple> + Clone,
    ) -> (Self, usize) {
        let list = format!("{MEENT}identifierList");
        let own = triples
            .clone()
            .into_iter()
            .filter(|triple| triple.subject == *dataset && triple.predicate.as_str() == list);
        let all: Vec<NamedOrBlankNode> = own
            .filter_map(|triple| match &triple.object {
                Term::NamedNode(node) => Some(node.clone().into()),
                Term::BlankNode(node) => Some(node.clone().into()),
                _ => None,
            })
            .collect();
        let known = all.iter().take(LISTS_MAX).map(|node| (node, Vec::new()));
        let mut nodes: HashMap<&NamedOrBlankNode, Vec<&Triple>> = known.collect();
        let mut found = Self::default();
        if nodes.is_empty() {
            return (found, 0);
        }
        for triple in triples {
            if let Some(about) = nodes.get_mut(&triple.subject) {
                about.push(triple);
            }
        }
        let unread = nodes.values().filter(|about| found.read(about).is_none()).count();
        (found, unread + all.len().saturating_sub(LISTS_MAX))
    }

    fn read(&mut self, about: &[&Triple]) -> Option<()> {
        let value = |namespace: &str, name: &str| {
            let mut own = about.iter();
            let triple = own.find(|triple| triple.predicate.as_str().strip_prefix(namespace) == Some(name))?;
            match &triple.object {
                Term::NamedNode(node) => Some(node.as_str()),
                Term::Literal(literal) => Some(literal.value()),
                _ => None,
            }
        };
        let property = value(VOID, "property")?;
        let bytes = STANDARD.decode(value(MEENT, "identifiers")?).ok()?;
        if let Some(authority) = value(MEENT, "objectAuthority") {
            let (entries, []) = bytes.as_chunks::<KEY_BYTES>() else {
                return None;
            };
            let keys: Vec<Key> = entries.iter().map(|entry| Key::from_be_bytes(*entry)).collect();
            let whole = keys.len() <= KEYS_MAX && keys.is_sorted_by(|a, b| a < b);
            whole.then(|| put(&mut self.objects, property, authority, keys))
        } else {
            let authority = value(MEENT, "subjectAuthority")?;
            let (entries, []) = bytes.as_chunks::<COPIED_BYTES>() else {
                return None;
            };
            let list: Vec<Copied> = entries.iter().map(unpacked).collect::<Option<_>>()?;
            let whole = list.len() <= KEYS_MAX && list.is_sorted_by(|a, b| a.key < b.key);
            whole.then(|| put(&mut self.subjects, property, authority, list))
        }
    }
}

fn flat<T>(lists: &Lists<T>) -> impl Iterator<Item = (&str, &str, &[T])> {
    lists.iter().flat_map(|(property, own)| {
        own.iter()
            .map(move |(authority, list)| (property.as_str(), authority.as_str(), &**list))
    })
}

fn packed(copied: &Copied) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(COPIED_BYTES);
    bytes.extend(copied.key.to_be_bytes());
    bytes.push(u8::from(copied.content.is_some()));
    bytes.extend(copied.content.unwrap_or_default().to_be_bytes());
    bytes
}

fn unpacked(entry: &[u8; COPIED_BYTES]) -> Option<Copied> {
    let (key, rest) = entry.split_first_chunk::<KEY_BYTES>()?;
    let (compared, content) = rest.split_first()?;
    let content = u128::from_be_bytes(content.try_into().ok()?);
    Some(Copied {
        key: Key::from_be_bytes(*key),
        content: (*compared == 1).then_some(content),
    })
}

/// Whether a list of subjects holds this one.
#[must_use]
pub fn holds(list: &[Copied], key: Key) -> bool {
    list.binary_search_by_key(&key, |copied| copied.key).is_ok()
}

fn put<T>(lists: &mut Lists<T>, property: &str, authority: &str, list: Vec<T>) {
    let own = lists.entry(property.to_owned()).or_default();
    own.insert(authority.to_owned(), list.into());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn iri(text: &str) -> NamedNode {
        NamedNode::new_unchecked(text)
    }

    fn triple(subject: &str, property: &str, object: impl Into<Term>) -> Triple {
        Triple::new(iri(subject), iri(property), object)
    }

    const SAME: &str = "http://v.example/same";
    const NAME: &str = "http://v.example/name";

    #[test]
    fn links_that_leave_the_authority_are_listed_whole() {
        let own = "https://shop.example/1";
        let keys = Keys::of_triples(&[
            triple(own, SAME, iri("https://all.example/1")),
            triple(own, "http://v.example/near", iri("https://shop.example/2")),
            triple(own, NAME, Literal::from("one")),
            triple("https://all.example/1", NAME, Literal::from("One")),
        ]);
        let has = |property, end, text: &str| keys.may_have(property, end, text, key(text));
        for (property, end, text, expected) in [
            (SAME, End::Object, "https://all.example/1", true),
            (SAME, End::Object, "https://all.example/2", false),
            (SAME, End::Object, "https://other.example/2", true),
            ("http://v.example/near", End::Object, "https://shop.example/3", true),
            (NAME, End::Subject, "https://all.example/1", true),
            (NAME, End::Subject, "https://all.example/2", false),
            (NAME, End::Subject, "https://shop.example/9", true),
        ] {
            assert_eq!(has(property, end, text), expected, "{property} {end:?} {text}");
        }
    }

    #[test]
    fn lists_survive_their_rdf_form() {
        let keys = Keys::of_triples(&[
            triple("https://shop.example/1", SAME, iri("https://all.example/1")),
            triple("https://shop.example/1", SAME, iri("https://all.example/2")),
            triple("https://all.example/1", NAME, Literal::from("One")),
            triple("https://all.example/2", NAME, BlankNode::default()),
        ]);
        let dataset = NamedOrBlankNode::from(iri("https://shop.example/catalog#d"));
        let mut triples = keys.to_triples(&dataset, |number| BlankNode::new_unchecked(format!("k{number}")));
        assert_eq!(triples.len(), 8);
        assert_eq!(Keys::from_triples(&dataset, &triples), (keys, 0));
        for triple in &mut triples {
            if triple.predicate.as_str().ends_with("identifiers") {
                triple.object = Literal::from("AAECAw==").into();
            }
        }
        assert_eq!(Keys::from_triples(&dataset, &triples), (Keys::default(), 2));
    }

    #[test]
    fn copies_are_the_same_when_all_their_values_are() {
        let link = triple("https://shop.example/1", SAME, iri("https://all.example/1"));
        let about = |values: Vec<Term>| {
            let mut triples = vec![link.clone()];
            triples.extend(
                values
                    .into_iter()
                    .map(|value| triple("https://all.example/1", NAME, value)),
            );
            Keys::of_triples(&triples)
                .subjects(NAME, "https://all.example")
                .unwrap()[0]
                .content
        };
        let (a, b): (Term, Term) = (Literal::from("a").into(), Literal::from("b").into());
        assert_eq!(about(vec![a.clone(), b.clone()]), about(vec![b.clone(), a.clone()]));
        assert_ne!(about(vec![a.clone()]), about(vec![a.clone(), b]));
        assert_eq!(about(vec![a, BlankNode::default().into()]), None);
        let broken: Term = Literal::from("a\nb").into();
        let two: Vec<Term> = vec![Literal::from("a").into(), Literal::from("b").into()];
        assert_ne!(about(vec![broken]), about(two));
    }
}
