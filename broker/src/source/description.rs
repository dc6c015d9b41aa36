//! What a source says about its own content: the summary that a pod maintains at commit, one row per
//! (predicate, subject authority, object authority or datatype), with counts, and one count per class.
//!
//! Source selection reads only this. It must never over-promise: whatever a summary does not rule out stays possible.

use oxrdf::{Literal, NamedNode, Term, vocab::rdf};
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The kind of values that can stand in one position: coarse enough for a summary of 2 kB, fine enough to name the owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Token {
    /// IRIs that start with this text, cut at a segment boundary: an authority (`https://host:port`), a longer prefix, or a whole IRI.
    Iri(Arc<str>),
    /// Blank nodes: they never meet a blank node of another source.
    Blank,
    /// Literals of one datatype; `None` is any literal.
    Literal(Option<Arc<str>>),
}

impl Token {
    /// The token of one exact term.
    #[must_use]
    pub fn of_term(term: &Term) -> Self {
        match term {
            Term::NamedNode(node) => Self::Iri(node.as_str().into()),
            Term::BlankNode(_) => Self::Blank,
            Term::Literal(literal) => Self::of_literal(literal),
            Term::Triple(_) => Self::Literal(None),
        }
    }

    /// The token of a literal: its datatype.
    #[must_use]
    pub fn of_literal(literal: &Literal) -> Self {
        Self::Literal(Some(literal.datatype().as_str().into()))
    }

    /// Whether one term can match both tokens, when the two come from **different** sources.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Iri(a), Self::Iri(b)) => iri_covers(a, b) || iri_covers(b, a),
            (Self::Literal(a), Self::Literal(b)) => match (a, b) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            },
            _ => false,
        }
    }

    /// A key that two tokens share whenever they may meet: lets sets be intersected without comparing all pairs.
    #[must_use]
    pub fn bucket(&self) -> &str {
        match self {
            // Prefixes of other schemes may be as short as the scheme itself (`urn` and `urn:isbn` meet).
            Self::Iri(iri) if iri.contains("://") => authority(iri),
            Self::Iri(iri) => iri.split(':').next().unwrap_or_default(),
            Self::Blank => "_:",
            Self::Literal(_) => "\"",
        }
    }
}

/// The authority of an IRI: `scheme://host:port` for hierarchical ones, `scheme:` and the first part for the rest (`urn:nid`).
#[must_use]
pub fn authority(iri: &str) -> &str {
    let Some(colon) = iri.find(':') else { return iri };
    let rest = iri.get(colon + 1..).unwrap_or_default();
    if let Some(after) = rest.strip_prefix("//") {
        let host = after.find(['/', '?', '#']).unwrap_or(after.len());
        return iri.get(..colon + 3 + host).unwrap_or(iri);
    }
    let end = rest.find([':', '/', '?', '#']).unwrap_or(rest.len());
    iri.get(..colon + 1 + end).unwrap_or(iri)
}

/// Whether `prefix` covers `iri`: equal, or a prefix that ends where a segment ends.
fn iri_covers(prefix: &str, iri: &str) -> bool {
    let Some(rest) = iri.strip_prefix(prefix) else {
        return false;
    };
    if rest.is_empty() || prefix.ends_with(['/', '#', ':', '?']) {
        return true;
    }
    rest.starts_with(['/', '#', '?']) || (rest.starts_with(':') && !prefix.contains("://"))
}

/// All values that one variable can take at one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSet {
    /// Nothing is known.
    Any,
    /// One of these kinds. Shared, because planning hands the sets of a summary on many times.
    Tokens(Arc<BTreeSet<Token>>),
}

impl ValueSet {
    /// Exactly one kind.
    #[must_use]
    pub fn one(token: Token) -> Self {
        Self::of(BTreeSet::from([token]))
    }

    /// One of these kinds; none of them when the set is empty.
    #[must_use]
    pub fn of(tokens: BTreeSet<Token>) -> Self {
        Self::Tokens(Arc::new(tokens))
    }

    /// Both sets together (either may hold).
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Tokens(a), Self::Tokens(b)) if Arc::ptr_eq(a, b) => self.clone(),
            (Self::Tokens(a), Self::Tokens(b)) => Self::of(a.union(b).cloned().collect()),
            _ => Self::Any,
        }
    }

    /// The tighter of two bounds that both hold. Not an exact intersection: keeps the smaller set.
    #[must_use]
    pub fn narrow(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Any, known) | (known, Self::Any) => known.clone(),
            (Self::Tokens(a), Self::Tokens(b)) if Arc::ptr_eq(a, b) || a == b => self.clone(),
            (Self::Tokens(a), Self::Tokens(b)) => {
                // A token survives when the other side can hold it as well; of two nested prefixes the longer one is exact.
                let keep = |own: &BTreeSet<Token>, theirs: &BTreeSet<Token>| -> Vec<Token> {
                    own.iter()
                        .filter(|t| {
                            theirs
                                .iter()
                                .any(|u| u == *t || u.may_meet(t) && u.narrower_than(t).is_none_or(|n| !n))
                        })
                        .cloned()
                        .collect()
                };
                Self::of(keep(a, b).into_iter().chain(keep(b, a)).collect())
            }
        }
    }

    /// Whether this term can be among the values.
    #[must_use]
    pub fn may_hold(&self, term: &Term) -> bool {
        match self {
            Self::Any => true,
            Self::Tokens(tokens) => {
                let own = Token::of_term(term);
                tokens.iter().any(|token| *token == own || token.may_meet(&own))
            }
        }
    }

    /// Whether a value can be in both sets, when the two come from **different** sources.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tokens(a), Self::Tokens(b)) => a.iter().any(|own| b.iter().any(|theirs| own.may_meet(theirs))),
            _ => true,
        }
    }

    /// Whether a blank node can be among the values.
    #[must_use]
    pub fn may_be_blank(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Tokens(tokens) => tokens.contains(&Token::Blank),
        }
    }

    /// Whether nothing at all can match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Tokens(tokens) if tokens.is_empty())
    }
}

impl Token {
    /// `Some(true)` when `self` is a strictly longer prefix (covers less) than `other`; `None` when they are not both IRIs.
    fn narrower_than(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Iri(a), Self::Iri(b)) => Some(a.len() > b.len()),
            _ => None,
        }
    }
}

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
    known: bool,
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
        let held = |rows: Vec<SummaryRow>| Held {
            open: Match::of(&rows, &ValueSet::Any, &ValueSet::Any),
            rows,
        };
        Self {
            properties: by_predicate
                .into_iter()
                .map(|(property, rows)| (property, held(rows)))
                .collect(),
            classes,
            known: true,
        }
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
    pub fn of_triples<'a>(triples: impl IntoIterator<Item = &'a oxrdf::Triple>) -> Self {
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
        if !self.known {
            return Some(Match {
                subject: constant(&pattern.subject),
                predicate: match &pattern.predicate {
                    NamedNodePattern::NamedNode(node) => ValueSet::one(Token::Iri(node.as_str().into())),
                    NamedNodePattern::Variable(_) => ValueSet::Any,
                },
                object: constant(&pattern.object),
                triples: UNKNOWN_TRIPLES,
            });
        }
        let (subject, object) = (constant(&pattern.subject), constant(&pattern.object));
        let mut found = match &pattern.predicate {
            NamedNodePattern::NamedNode(predicate) => {
                let held = self.properties.get(predicate.as_str())?;
                if let (ValueSet::Any, ValueSet::Any) = (&subject, &object) {
                    return Some(held.open.clone());
                }
                Match::of(&held.rows, &subject, &object)
            }
            NamedNodePattern::Variable(_) => Match::of(self.rows(), &subject, &object),
        };
        if found.subject.is_empty() {
            return None;
        }
        if let (NamedNodePattern::NamedNode(predicate), TermPattern::NamedNode(class)) =
            (&pattern.predicate, &pattern.object)
            && *predicate == rdf::TYPE
        {
            let instances = *self.classes.get(class.as_str())?;
            found.triples = instances as f64;
        }
        let fixed = |set: &mut ValueSet, known: ValueSet, triples: &mut f64, share: f64| {
            if let ValueSet::Tokens(_) = known {
                *set = known;
                *triples = (*triples * share).max(1.0);
            }
        };
        fixed(&mut found.subject, subject, &mut found.triples, 0.001);
        let share = if matches!(&pattern.predicate, NamedNodePattern::NamedNode(p) if *p == rdf::TYPE) {
            1.0
        } else {
            0.05
        };
        fixed(&mut found.object, object, &mut found.triples, share);
        Some(found)
    }
}

/// Assumed size of a pattern's answer at a source without summary.
const UNKNOWN_TRIPLES: f64 = 100_000.0;

impl Match {
    /// What these rows say about a pattern with such ends; empty when none fits.
    fn of<'a>(rows: impl IntoIterator<Item = &'a SummaryRow>, subject: &ValueSet, object: &ValueSet) -> Self {
        let fits = |token: &Token, end: &ValueSet| match end {
            ValueSet::Any => true,
            ValueSet::Tokens(tokens) => tokens.iter().all(|own| token.may_meet(own)),
        };
        let (mut subjects, mut predicates, mut objects) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut triples = 0.0;
        for row in rows {
            if fits(&row.subject, subject) && fits(&row.object, object) {
                subjects.insert(row.subject.clone());
                predicates.insert(Token::Iri(row.predicate.as_str().into()));
                objects.insert(row.object.clone());
                triples += row.triples as f64;
            }
        }
        Self {
            subject: ValueSet::of(subjects),
            predicate: ValueSet::of(predicates),
            object: ValueSet::of(objects),
            triples,
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_cut_where_the_scheme_says() {
        for (iri, expected) in [
            ("https://gent.example/a/b#c", "https://gent.example"),
            ("https://localhost:7101/x", "https://localhost:7101"),
            ("urn:ngsi-ld:Sensor:1", "urn:ngsi-ld"),
            ("mailto:a@b", "mailto:a@b"),
            ("http://h", "http://h"),
        ] {
            assert_eq!(authority(iri), expected);
        }
    }

    #[test]
    fn prefixes_meet_only_at_segment_boundaries() {
        let token = |s: &str| Token::Iri(s.into());
        for (a, b, meet) in [
            ("https://gent.example", "https://gent.example/x", true),
            ("https://gent.example", "https://gent.example.evil/x", false),
            ("https://localhost:71", "https://localhost:7101/x", false),
            ("https://localhost", "https://localhost:7101", false),
            ("https://h/gent/", "https://h/brugge/", false),
            ("urn:a", "urn:a:b", true),
        ] {
            assert_eq!(token(a).may_meet(&token(b)), meet, "{a} {b}");
            assert_eq!(token(b).may_meet(&token(a)), meet, "{b} {a}");
        }
        assert!(
            !Token::Blank.may_meet(&Token::Blank),
            "blank nodes of two sources never meet"
        );
        assert!(Token::Literal(None).may_meet(&Token::Literal(Some("x".into()))));
    }

    #[test]
    fn narrowing_keeps_what_both_sides_can_hold() {
        let set = |items: &[&str]| ValueSet::of(items.iter().map(|s| Token::Iri((*s).into())).collect());
        assert_eq!(
            set(&["https://a", "https://b"]).narrow(&set(&["https://b", "https://c"])),
            set(&["https://b"])
        );
        assert_eq!(
            set(&["https://a"]).narrow(&set(&["https://a/x"])),
            set(&["https://a/x"])
        );
        assert_eq!(set(&["https://a"]).narrow(&ValueSet::Any), set(&["https://a"]));
    }
}
