//! What a source says about its own content: the summary that a pod maintains at commit, one row per
//! (predicate, subject authority, object authority or datatype), with counts, and one count per class.
//!
//! Source selection reads only this. It must never over-promise: whatever a summary does not rule out stays possible.

pub use super::token::authority;
use super::token::{Token, ValueSet};
use oxrdf::{NamedNode, Term, vocab::rdf};
use server_kit::keys::Keys;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};

/// One row of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// The predicate.
    pub predicate: NamedNode,
    /// Kind of the subjects.
    pub subject: Token,
    /// Kind of the objects.
    pub object: Token,
    /// Triples of this shape.
    pub triples: u64,
}

/// What a source holds, as far as the asker may know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceDescription {
    properties: BTreeMap<String, Held>,
    classes: BTreeMap<String, u64>,
    keys: Arc<Keys>,
    known: bool,
    exact: bool,
    /// Patterns of which it holds nothing, by its own word; with variables in all places that they leave open.
    lacking: Vec<TriplePattern>,
    /// The same where values and names leave changed.
    changed: OnceLock<Arc<SourceDescription>>,
}

/// What a source holds of one property.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    rows: Vec<SummaryRow>,
    /// How it answers a pattern that leaves subject and object open, which most do.
    open: Match,
}

/// How a source can answer one triple pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Values of the subject position.
    pub subject: ValueSet,
    /// Values of the predicate position.
    pub predicate: ValueSet,
    /// Values of the object position.
    pub object: ValueSet,
    /// Estimated number of matching triples.
    pub triples: f64,
}

impl SourceDescription {
    /// A source that publishes nothing about itself: it may hold anything.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// The same source, known to hold nothing like these patterns.
    #[must_use]
    pub fn lacking(mut self, patterns: Vec<TriplePattern>) -> Self {
        self.lacking.extend(patterns);
        self
    }

    /// A source with a summary.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = SummaryRow>, classes: BTreeMap<String, u64>) -> Self {
        let mut by_predicate: BTreeMap<String, Vec<SummaryRow>> = BTreeMap::new();
        for row in rows {
            by_predicate
                .entry(row.predicate.as_str().to_owned())
                .or_default()
                .push(row);
        }
        // Most properties of a source are about the same subjects: their sets are kept once, and are then seen to be equal at a glance.
        let mut sets: HashSet<Arc<BTreeSet<Token>>> = HashSet::new();
        let mut share = |set: ValueSet| match set {
            ValueSet::Tokens(tokens) => {
                let known = sets.get(&tokens).map(Arc::clone);
                ValueSet::Tokens(known.unwrap_or_else(|| {
                    sets.insert(Arc::clone(&tokens));
                    tokens
                }))
            }
            ValueSet::Any => ValueSet::Any,
        };
        let mut held = |rows: Vec<SummaryRow>| {
            let open = Match::of(&rows, &Ends::default());
            let open = Match {
                subject: share(open.subject),
                predicate: share(open.predicate),
                object: share(open.object),
                triples: open.triples,
            };
            Held { rows, open }
        };
        Self {
            properties: by_predicate
                .into_iter()
                .map(|(property, rows)| (property, held(rows)))
                .collect(),
            classes,
            keys: Arc::default(),
            known: true,
            exact: false,
            lacking: Vec::new(),
            changed: OnceLock::new(),
        }
    }

    /// The same source under an agreement by which values and names leave changed: summaries tell of them as they are, so that codes
    /// are possible wherever there are names, and any text wherever there are values.
    #[must_use]
    pub fn changed(&self) -> Arc<Self> {
        Arc::clone(self.changed.get_or_init(|| Arc::new(self.with_changes())))
    }

    fn with_changes(&self) -> Self {
        if !self.known {
            return self.clone();
        }
        let any = Token::Literal(None);
        let mut rows = Vec::new();
        for row in self.rows() {
            let (subject, object) = (row.subject.clone(), row.object.clone());
            let subjects = match subject {
                Token::Iri(_) => vec![subject, Token::codes()],
                other => vec![other],
            };
            let objects = match object {
                Token::Iri(_) => vec![object, Token::codes(), any.clone()],
                Token::Literal(_) => vec![any.clone()],
                Token::Blank => vec![object],
            };
            let ends = subjects
                .iter()
                .flat_map(|subject| objects.iter().map(move |object| (subject, object)));
            rows.extend(ends.enumerate().map(|(at, (subject, object))| SummaryRow {
                predicate: row.predicate.clone(),
                subject: subject.clone(),
                object: object.clone(),
                triples: if at == 0 { row.triples } else { 1 },
            }));
        }
        Self::new(rows, self.classes.clone()).with_keys(Keys::clone(&self.keys))
    }

    /// The same description with lists of the shared identifiers that the source speaks of.
    #[must_use]
    pub fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = Arc::new(keys);
        self
    }

    /// The lists of shared identifiers.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether the source can hold a triple with this property whose subject is an IRI of this authority.
    #[must_use]
    pub fn describes(&self, property: &str, authority: &str) -> bool {
        let subjects = Token::Iri(authority.into());
        let held = |held: &Held| held.rows.iter().any(|row| row.subject.may_meet(&subjects));
        !self.known || self.properties.get(property).is_some_and(held)
    }

    /// The description in a summary that a member publishes.
    #[must_use]
    pub fn of_summary(summary: &server_kit::summary::Summary) -> Self {
        use server_kit::summary::Summary;
        let subject = |text: &str| {
            if text == Summary::BLANK {
                Token::Blank
            } else {
                Token::Iri(text.into())
            }
        };
        let mut rows = Vec::with_capacity(summary.properties.len());
        for count in &summary.properties {
            let end = count.object_authority.as_str();
            // An authority has no path; a datatype's IRI has one. Where that does not tell, both are possible.
            let hierarchical = end.contains("://");
            let objects = if end == Summary::BLANK {
                vec![Token::Blank]
            } else if end == Summary::TRIPLE {
                vec![Token::Literal(None)]
            } else if hierarchical && authority(end) != end {
                vec![Token::Literal(Some(end.into()))]
            } else if hierarchical {
                vec![Token::Iri(end.into())]
            } else {
                vec![Token::Iri(end.into()), Token::Literal(Some(end.into()))]
            };
            for object in objects {
                rows.push(SummaryRow {
                    predicate: NamedNode::new_unchecked(&count.property),
                    subject: subject(&count.subject_authority),
                    object,
                    triples: count.triples,
                });
            }
        }
        Self::new(
            rows,
            summary
                .classes
                .iter()
                .map(|count| (count.class.clone(), count.instances))
                .collect(),
        )
    }

    /// The summary of these triples, for sources that are described by whoever serves them.
    pub fn of_triples<'a>(triples: impl IntoIterator<Item = &'a oxrdf::Triple> + Clone) -> Self {
        let keys = Keys::of_triples(triples.clone());
        let mut rows: BTreeMap<(NamedNode, Token, Token), u64> = BTreeMap::new();
        let mut classes = BTreeMap::new();
        for triple in triples {
            let subject = coarse(&Term::from(triple.subject.clone()));
            let object = coarse(&triple.object);
            if triple.predicate == rdf::TYPE
                && let Term::NamedNode(class) = &triple.object
            {
                *classes.entry(class.as_str().to_owned()).or_insert(0) += 1;
            }
            *rows.entry((triple.predicate.clone(), subject, object)).or_insert(0) += 1;
        }
        Self::new(
            rows.into_iter()
                .map(|((predicate, subject, object), triples)| SummaryRow {
                    predicate,
                    subject,
                    object,
                    triples,
                }),
            classes,
        )
        .with_keys(keys)
        .exactly()
    }

    /// The same description, of a source that shows all that is described to everybody who may ask it.
    #[must_use]
    pub fn exactly(mut self) -> Self {
        self.exact = true;
        self
    }

    /// Whether the source shows all that is described. A pod shows what its owner's policies leave of it to whoever asks.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether the source published a summary.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &SummaryRow> {
        self.properties.values().flat_map(|held| &held.rows)
    }

    /// Class counts.
    #[must_use]
    pub fn classes(&self) -> &BTreeMap<String, u64> {
        &self.classes
    }

    /// Whether and how the source can answer a pattern; `None` when its summary rules that out.
    #[must_use]
    pub fn matches(&self, pattern: &TriplePattern) -> Option<Match> {
        self.matches_at(pattern, &Ends::of(pattern))
    }

    /// As [`matches`](Self::matches), with the pattern's ends, which are the same for all sources.
    #[must_use]
    pub fn matches_at(&self, pattern: &TriplePattern, ends: &Ends) -> Option<Match> {
        if !self.known {
            if !self.lacking.is_empty()
                && crate::member::evidence::general(pattern).is_some_and(|pattern| self.lacking.contains(&pattern))
            {
                return None;
            }
            return Some(Match {
                subject: ends.subject.clone(),
                predicate: match &pattern.predicate {
                    NamedNodePattern::NamedNode(node) => ValueSet::one(Token::Iri(node.as_str().into())),
                    NamedNodePattern::Variable(_) => ValueSet::Any,
                },
                object: ends.object.clone(),
                triples: UNKNOWN_TRIPLES,
            });
        }
        let mut found = match &pattern.predicate {
            NamedNodePattern::NamedNode(predicate) => {
                let held = self.properties.get(predicate.as_str())?;
                if held.rows.iter().all(|row| ends.fit(row)) {
                    held.open.clone()
                } else {
                    Match::of(&held.rows, ends).shared_with(&held.open)
                }
            }
            NamedNodePattern::Variable(_) => Match::of(self.rows(), ends),
        };
        if found.subject.is_empty() {
            return None;
        }
        let is_type = matches!(&pattern.predicate, NamedNodePattern::NamedNode(predicate) if *predicate == rdf::TYPE);
        if let TermPattern::NamedNode(class) = &pattern.object
            && is_type
        {
            let instances = *self.classes.get(class.as_str())?;
            found.triples = instances as f64;
        }
        let fixed = |set: &mut ValueSet, known: &ValueSet, triples: &mut f64, share: f64| {
            if let ValueSet::Tokens(_) = known {
                *set = known.clone();
                *triples = (*triples * share).max(1.0);
            }
        };
        fixed(&mut found.subject, &ends.subject, &mut found.triples, 0.001);
        let share = if is_type { 1.0 } else { OBJECT_SHARE };
        fixed(&mut found.object, &ends.object, &mut found.triples, share);
        Some(found)
    }
}

/// The fixed ends of a pattern as sets of one kind; an open end is anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The subject.
    pub subject: ValueSet,
    /// The object.
    pub object: ValueSet,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            subject: ValueSet::Any,
            object: ValueSet::Any,
        }
    }
}

impl Ends {
    /// The ends of a pattern.
    #[must_use]
    pub fn of(pattern: &TriplePattern) -> Self {
        Self {
            subject: constant(&pattern.subject),
            object: constant(&pattern.object),
        }
    }

    /// Whether triples of a row can have these ends.
    fn fit(&self, row: &SummaryRow) -> bool {
        let fits = |token: &Token, end: &ValueSet| match end {
            ValueSet::Any => true,
            ValueSet::Tokens(tokens) => tokens.iter().all(|own| token.may_meet(own)),
        };
        fits(&row.subject, &self.subject) && fits(&row.object, &self.object)
    }
}

/// Assumed part of a property's triples that have one certain object.
pub(crate) const OBJECT_SHARE: f64 = 0.05;

/// Assumed size of a pattern's answer at a source without summary.
const UNKNOWN_TRIPLES: f64 = 100_000.0;

impl Match {
    /// What these rows say about a pattern with such ends; empty when none fits.
    fn of<'a>(rows: impl IntoIterator<Item = &'a SummaryRow>, ends: &Ends) -> Self {
        let (mut subjects, mut predicates, mut objects) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut triples = 0.0;
        for row in rows.into_iter().filter(|row| ends.fit(row)) {
            subjects.insert(row.subject.clone());
            predicates.insert(Token::Iri(row.predicate.as_str().into()));
            objects.insert(row.object.clone());
            triples += row.triples as f64;
        }
        Self {
            subject: ValueSet::of(subjects),
            predicate: ValueSet::of(predicates),
            object: ValueSet::of(objects),
            triples,
        }
    }

    /// The same, with sets that equal another's replaced by those.
    fn shared_with(mut self, other: &Self) -> Self {
        for (own, theirs) in [
            (&mut self.subject, &other.subject),
            (&mut self.predicate, &other.predicate),
            (&mut self.object, &other.object),
        ] {
            if *own == *theirs {
                *own = theirs.clone();
            }
        }
        self
    }
}

/// The kind of a term as a summary records it: the authority, not the whole IRI.
#[must_use]
pub fn coarse(term: &Term) -> Token {
    match term {
        Term::NamedNode(node) => Token::Iri(authority(node.as_str()).into()),
        other => Token::of_term(other),
    }
}

fn constant(term: &TermPattern) -> ValueSet {
    match term {
        TermPattern::NamedNode(node) => ValueSet::one(Token::Iri(node.as_str().into())),
        TermPattern::Literal(literal) => ValueSet::one(Token::of_literal(literal)),
        TermPattern::BlankNode(_) | TermPattern::Variable(_) | TermPattern::Triple(_) => ValueSet::Any,
    }
}
