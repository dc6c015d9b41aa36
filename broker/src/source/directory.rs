//! What all sources of a query say about themselves, turned round: from a property, a class or an authority to the sources that hold it.
//! Built once for each list of descriptions, so that planning looks at the sources that can answer and not at all there are.
//!
//! It answers exactly what asking every description in turn would: a source that publishes nothing stays possible everywhere.

use super::column::Column;
use super::copies::{Copies, Reference};
use super::description::{Ends, Match};
use super::{SourceDescription, SourceId, Token, ValueSet};
use oxrdf::NamedNode;
use oxrdf::vocab::rdf;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern, Variable};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Which sources can answer a pattern, and what their answers can be. The columns may speak of more sources.
#[derive(Debug, Clone)]
pub struct Found {
    /// The sources, each with the estimated number of matching triples.
    pub triples: Arc<BTreeMap<SourceId, f64>>,
    /// Values of the subject position.
    pub subject: Column,
    /// Values of the predicate position.
    pub predicate: Column,
    /// Values of the object position.
    pub object: Column,
}

/// An end of a triple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The subject.
    Subject,
    /// The object.
    Object,
}

/// Which sources hold values of a bucket (see [`Token::bucket`]) at either end.
#[derive(Debug, Default)]
struct Places {
    subjects: HashMap<Box<str>, Vec<SourceId>>,
    objects: HashMap<Box<str>, Vec<SourceId>>,
}

impl Places {
    fn add(&mut self, id: SourceId, subject: &Token, object: &Token) {
        for (places, token) in [(&mut self.subjects, subject), (&mut self.objects, object)] {
            let holders = match places.get_mut(token.bucket()) {
                Some(holders) => holders,
                None => places.entry(token.bucket().into()).or_default(),
            };
            // Sources come in order.
            if holders.last() != Some(&id) {
                holders.push(id);
            }
        }
    }

    fn holders(&self, end: End, token: &Token) -> &[SourceId] {
        let places = match end {
            End::Subject => &self.subjects,
            End::Object => &self.objects,
        };
        places.get(token.bucket()).map_or(&[], Vec::as_slice)
    }
}

/// What is known of one property over all sources.
#[derive(Debug)]
struct Property {
    /// Who can answer when both ends are open.
    open: Found,
    places: Places,
}

/// The directory of a list of sources.
#[derive(Debug)]
pub struct Directory {
    /// What sources publish, turned round.
    published: Arc<Published>,
    /// Who holds whole copies of what they refer to.
    copies: Copies,
    /// What was found out, for one query, about sources that publish nothing.
    learnt: BTreeMap<SourceId, Arc<SourceDescription>>,
}

/// What a list of sources publishes.
#[derive(Debug)]
struct Published {
    descriptions: Vec<Arc<SourceDescription>>,
    /// Sources that publish nothing about themselves.
    silent: Vec<SourceId>,
    properties: HashMap<String, Property>,
    /// Who can answer which resources are of a class.
    classes: HashMap<String, Found>,
    /// Over all properties.
    places: Places,
}

impl Directory {
    /// The directory of these descriptions, each at the place of its source.
    #[must_use]
    pub fn of(descriptions: Vec<Arc<SourceDescription>>) -> Self {
        Self {
            published: Arc::new(Published::of(descriptions)),
            copies: Copies::default(),
            learnt: BTreeMap::new(),
        }
    }

    /// The same, with what is known for one query about sources that publish nothing. What the others publish is not looked at again.
    #[must_use]
    pub fn knowing(&self, learnt: BTreeMap<SourceId, Arc<SourceDescription>>) -> Self {
        Self {
            published: Arc::clone(&self.published),
            copies: Copies::default(),
            learnt,
        }
    }

    /// The sources that hold everything which any source holds of what they refer to, as far as their lists prove it.
    #[must_use]
    pub fn complete_at(&self, reference: Reference) -> Arc<HashSet<SourceId>> {
        let published = &self.published.descriptions;
        if self.learnt.is_empty() {
            return self.copies.complete_at(reference, published);
        }
        let own = |(id, published)| Arc::clone(self.learnt.get(&id).unwrap_or(published));
        let all: Vec<Arc<SourceDescription>> = published.iter().enumerate().map(own).collect();
        self.copies.complete_at(reference, &all)
    }

    /// Whether this is the directory of exactly these descriptions.
    #[must_use]
    pub fn describes<'d>(&self, mut published: impl ExactSizeIterator<Item = &'d Arc<SourceDescription>>) -> bool {
        let own = &self.published.descriptions;
        own.len() == published.len()
            && own
                .iter()
                .all(|own| published.next().is_some_and(|other| Arc::ptr_eq(own, other)))
    }

    /// Which sources can answer a pattern, as far as their descriptions tell.
    #[must_use]
    pub fn find(&self, pattern: &TriplePattern) -> Found {
        let mut found = self.published.find(pattern);
        if self.learnt.is_empty() {
            return found;
        }
        let ends = Ends::of(pattern);
        let learnt = self.learnt.iter();
        let matched: BTreeMap<SourceId, Option<Match>> = learnt
            .map(|(id, description)| (*id, description.matches_at(pattern, &ends)))
            .collect();
        let triples = Arc::make_mut(&mut found.triples);
        for (id, known) in &matched {
            match known {
                None => triples.remove(id),
                Some(known) => triples.insert(*id, known.triples),
            };
        }
        let with = |column: Column, pick: fn(&Match) -> &ValueSet| {
            let said = matched.iter().map(|(id, known)| (*id, known.as_ref().map(pick)));
            column.with(&said.collect())
        };
        Found {
            subject: with(found.subject, |known| &known.subject),
            predicate: with(found.predicate, |known| &known.predicate),
            object: with(found.object, |known| &known.object),
            triples: found.triples,
        }
    }

    /// The sources that can hold one of these kinds of values at an end of a pattern; more than those, never fewer. `None` when that
    /// is not worth looking up.
    #[must_use]
    pub fn near(&self, pattern: &TriplePattern, end: End, values: &[&ValueSet]) -> Option<BTreeSet<SourceId>> {
        self.published.near(pattern, end, values)
    }
}

impl Published {
    fn of(descriptions: Vec<Arc<SourceDescription>>) -> Self {
        let mut holders: BTreeMap<&str, (Places, Vec<SourceId>)> = BTreeMap::new();
        let mut classes: BTreeMap<&str, Vec<SourceId>> = BTreeMap::new();
        let (mut silent, mut places) = (Vec::new(), Places::default());
        for (id, description) in descriptions.iter().enumerate() {
            if !description.is_known() {
                silent.push(id);
            }
            for row in description.rows() {
                let (own, sources) = holders.entry(row.predicate.as_str()).or_default();
                own.add(id, &row.subject, &row.object);
                places.add(id, &row.subject, &row.object);
                if sources.last() != Some(&id) {
                    sources.push(id);
                }
            }
            for class in description.classes().keys() {
                classes.entry(class).or_default().push(id);
            }
        }
        let mut kept = Kept::default();
        let mut gathered = |pattern: &TriplePattern, sources: &[SourceId]| {
            let ids = sources.iter().chain(&silent).copied().collect();
            kept.share(gather(&descriptions, pattern, &ids, None))
        };
        let properties: Vec<(String, Property)> = holders
            .into_iter()
            .map(|(name, (places, sources))| {
                let open = gathered(&open(name, None), &sources);
                (name.to_owned(), Property { open, places })
            })
            .collect();
        let classes: Vec<(String, Found)> = classes
            .into_iter()
            .map(|(class, sources)| {
                let instances = open(rdf::TYPE.as_str(), Some(class));
                (class.to_owned(), gathered(&instances, &sources))
            })
            .collect();
        Self {
            properties: properties.into_iter().collect(),
            classes: classes.into_iter().collect(),
            descriptions,
            silent,
            places,
        }
    }

    fn find(&self, pattern: &TriplePattern) -> Found {
        let fixed = |term: &TermPattern| matches!(term, TermPattern::NamedNode(_) | TermPattern::Literal(_));
        let (subject, object) = (fixed(&pattern.subject), fixed(&pattern.object));
        let property = match &pattern.predicate {
            NamedNodePattern::Variable(_) => {
                let ids = self.possible(pattern, &self.places, || (0..self.descriptions.len()).collect());
                return gather(&self.descriptions, pattern, &ids, None);
            }
            NamedNodePattern::NamedNode(predicate) => self.properties.get(predicate.as_str()),
        };
        let Some(property) = property else {
            return gather(
                &self.descriptions,
                pattern,
                &self.silent.iter().copied().collect(),
                None,
            );
        };
        if !subject && !object {
            return property.open.clone();
        }
        if !subject
            && let (NamedNodePattern::NamedNode(predicate), TermPattern::NamedNode(class)) =
                (&pattern.predicate, &pattern.object)
            && *predicate == rdf::TYPE
            && let Some(known) = self.classes.get(class.as_str())
        {
            return known.clone();
        }
        let ids = self.possible(pattern, &property.places, || {
            property.open.triples.keys().copied().collect()
        });
        gather(&self.descriptions, pattern, &ids, Some(&property.open))
    }

    /// The sources that the fixed ends of a pattern leave possible.
    fn possible(
        &self,
        pattern: &TriplePattern,
        places: &Places,
        all: impl FnOnce() -> BTreeSet<SourceId>,
    ) -> BTreeSet<SourceId> {
        let ends = Ends::of(pattern);
        let holders = |end: End, set: &ValueSet| match set {
            ValueSet::Any => None,
            ValueSet::Tokens(tokens) => tokens.first().map(|token| places.holders(end, token)),
        };
        let shorter = match (holders(End::Subject, &ends.subject), holders(End::Object, &ends.object)) {
            (Some(a), Some(b)) => Some(if a.len() <= b.len() { a } else { b }),
            (one, other) => one.or(other),
        };
        match shorter {
            Some(ids) => ids.iter().chain(&self.silent).copied().collect(),
            None => all(),
        }
    }

    fn near(&self, pattern: &TriplePattern, end: End, values: &[&ValueSet]) -> Option<BTreeSet<SourceId>> {
        let places = match &pattern.predicate {
            NamedNodePattern::NamedNode(predicate) => &self.properties.get(predicate.as_str())?.places,
            NamedNodePattern::Variable(_) => &self.places,
        };
        let mut found: BTreeSet<SourceId> = self.silent.iter().copied().collect();
        for set in values {
            let ValueSet::Tokens(tokens) = set else { return None };
            for token in &**tokens {
                found.extend(places.holders(end, token));
            }
        }
        Some(found)
    }
}

/// A pattern of one property, with an open object or one of a class.
fn open(property: &str, class: Option<&str>) -> TriplePattern {
    TriplePattern {
        subject: Variable::new_unchecked("s").into(),
        predicate: NamedNode::new_unchecked(property).into(),
        object: match class {
            Some(class) => NamedNode::new_unchecked(class).into(),
            None => Variable::new_unchecked("o").into(),
        },
    }
}

/// Asks these descriptions in turn. Columns that say nothing new are those of `like`.
fn gather(
    descriptions: &[Arc<SourceDescription>],
    pattern: &TriplePattern,
    ids: &BTreeSet<SourceId>,
    like: Option<&Found>,
) -> Found {
    let ends = Ends::of(pattern);
    let matched: Vec<(SourceId, Match)> = ids
        .iter()
        .filter_map(|id| Some((*id, descriptions.get(*id)?.matches_at(pattern, &ends)?)))
        .collect();
    let column = |pick: fn(&Match) -> &ValueSet, like: Option<&Column>| {
        let known = like.filter(|like| matched.iter().all(|(id, found)| like.at(*id) == Some(pick(found))));
        known
            .cloned()
            .unwrap_or_else(|| matched.iter().map(|(id, found)| (*id, pick(found).clone())).collect())
    };
    Found {
        subject: column(|found| &found.subject, like.map(|like| &like.subject)),
        predicate: column(|found| &found.predicate, like.map(|like| &like.predicate)),
        object: column(|found| &found.object, like.map(|like| &like.object)),
        triples: Arc::new(matched.iter().map(|(id, found)| (*id, found.triples)).collect()),
    }
}

/// Columns that are the same for several properties are kept once: most subjects of a source have all its properties.
#[derive(Default)]
struct Kept(Vec<Column>);

impl Kept {
    fn share(&mut self, found: Found) -> Found {
        let mut one = |column: Column| {
            if let Some(known) = self.0.iter().find(|known| known.equals(&column)) {
                return known.clone();
            }
            self.0.push(column.clone());
            column
        };
        Found {
            subject: one(found.subject),
            predicate: one(found.predicate),
            object: one(found.object),
            triples: found.triples,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use oxrdf::{BlankNode, Literal, Triple};

    fn node(text: &str) -> NamedNode {
        NamedNode::new_unchecked(text)
    }

    /// Sources that share some properties, authorities and classes, and two that say nothing.
    fn descriptions() -> Vec<Arc<SourceDescription>> {
        let of = |n: usize| {
            let own = |name: &str| node(&format!("https://m{n}.example/{name}"));
            let mut triples = vec![
                Triple::new(
                    own("a"),
                    rdf::TYPE.into_owned(),
                    node(&format!("https://v.example/Class{}", n % 3)),
                ),
                Triple::new(own("a"), node("https://v.example/p"), own("b")),
                Triple::new(
                    own("a"),
                    node("https://v.example/shared"),
                    node("https://shared.example/x"),
                ),
                Triple::new(
                    own("b"),
                    node(&format!("https://v.example/q{}", n % 2)),
                    Literal::from(7),
                ),
            ];
            if n % 4 == 1 {
                triples.push(Triple::new(
                    node("https://shared.example/y"),
                    node("https://v.example/p"),
                    BlankNode::default(),
                ));
                triples.push(Triple::new(
                    own("b"),
                    node("https://v.example/p"),
                    Literal::from("text"),
                ));
            }
            SourceDescription::of_triples(&triples)
        };
        let known = (0..12).map(|n| Arc::new(of(n)));
        let silent = (0..2).map(|_| Arc::new(SourceDescription::unknown()));
        known.chain(silent).chain([Arc::new(of(40))]).collect()
    }

    fn patterns() -> Vec<TriplePattern> {
        let open = |name: &str| TermPattern::from(Variable::new_unchecked(name));
        let named = |text: &str| TermPattern::from(node(text));
        let subjects = [
            open("s"),
            named("https://m3.example/a"),
            named("https://shared.example/y"),
            named("https://none.example/"),
        ];
        let objects = [
            open("o"),
            named("https://v.example/Class1"),
            named("https://m5.example/b"),
            named("https://shared.example/x"),
            named("https://none.example/"),
            TermPattern::from(Literal::from(7)),
            TermPattern::from(Literal::from("text")),
            open("s"),
        ];
        let predicates: [NamedNodePattern; 6] = [
            Variable::new_unchecked("p").into(),
            rdf::TYPE.into_owned().into(),
            node("https://v.example/p").into(),
            node("https://v.example/q1").into(),
            node("https://v.example/shared").into(),
            node("https://v.example/nobody").into(),
        ];
        let mut all = Vec::new();
        for subject in &subjects {
            for predicate in &predicates {
                for object in &objects {
                    all.push(TriplePattern {
                        subject: subject.clone(),
                        predicate: predicate.clone(),
                        object: object.clone(),
                    });
                }
            }
        }
        all
    }

    /// Invariant 9 rests on it: nobody who could answer is overlooked.
    #[test]
    fn the_directory_finds_what_asking_every_source_finds() {
        let descriptions = descriptions();
        finds_the_same(&Directory::of(descriptions.clone()), &descriptions);
    }

    /// The same of what was found out for one query: about one that publishes nothing what it holds, of another what it lacks.
    #[test]
    fn what_was_learnt_counts_as_if_it_had_been_published() {
        let mut descriptions = descriptions();
        let directory = Directory::of(descriptions.clone());
        let lacking = patterns().into_iter().step_by(5).collect();
        let learnt = BTreeMap::from([
            (12, Arc::clone(&descriptions[3])),
            (13, Arc::new(SourceDescription::unknown().lacking(lacking))),
        ]);
        for (id, description) in &learnt {
            descriptions[*id] = Arc::clone(description);
        }
        finds_the_same(&directory.knowing(learnt), &descriptions);
    }

    fn finds_the_same(directory: &Directory, descriptions: &[Arc<SourceDescription>]) {
        let mut answered = 0;
        for pattern in patterns() {
            let found = directory.find(&pattern);
            for (id, description) in descriptions.iter().enumerate() {
                let expected = description.matches(&pattern);
                assert_eq!(
                    found.triples.get(&id).copied(),
                    expected.as_ref().map(|own| own.triples),
                    "{pattern} at {id}"
                );
                if let Some(expected) = expected {
                    answered += 1;
                    assert_eq!(found.subject.at(id), Some(&expected.subject), "{pattern} at {id}");
                    assert_eq!(found.predicate.at(id), Some(&expected.predicate), "{pattern} at {id}");
                    assert_eq!(found.object.at(id), Some(&expected.object), "{pattern} at {id}");
                }
            }
        }
        assert!(answered > 300, "{answered}");
    }

    /// Whoever can hold a value that meets one of these is among the sources near it.
    #[test]
    fn nobody_near_a_value_is_overlooked() {
        let descriptions = descriptions();
        let directory = Directory::of(descriptions.clone());
        let values = [
            "https://m3.example/a",
            "https://shared.example",
            "https://none.example/",
        ];
        for pattern in patterns() {
            for value in values.map(|text| ValueSet::one(Token::Iri(text.into()))) {
                for end in [End::Subject, End::Object] {
                    let Some(near) = directory.near(&pattern, end, &[&value]) else {
                        continue;
                    };
                    for (id, description) in descriptions.iter().enumerate() {
                        let Some(own) = description.matches(&pattern) else {
                            continue;
                        };
                        let at = if end == End::Subject { own.subject } else { own.object };
                        assert!(!at.may_meet(&value) || near.contains(&id), "{pattern} at {id}");
                    }
                }
            }
        }
        assert!(
            directory
                .near(&patterns()[0], End::Subject, &[&ValueSet::Any])
                .is_none()
        );
    }
}
