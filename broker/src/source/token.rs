//! Kinds of values: coarse enough for a summary of 2 kB, fine enough to name the owner; and the sets of them that a variable can take.

use oxrdf::{Literal, Term};
use policies::treatment::PSEUDONYM_IRI;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// The kind of values that can stand in one position.
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

    /// Codes that an owner puts in the place of names.
    #[must_use]
    pub fn codes() -> Self {
        Self::Iri(PSEUDONYM_IRI.into())
    }

    /// Whether one term can match both tokens, when the two come from **different** sources.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            // Codes hold under one agreement: two sources never give out the same.
            (Self::Iri(a), Self::Iri(b)) if a == b && **a == *PSEUDONYM_IRI => false,
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
                    let holds = |t: &Token| {
                        alike(theirs, t).any(|u| u == t || u.may_meet(t) && u.narrower_than(t).is_none_or(|n| !n))
                    };
                    own.iter().filter(|t| holds(t)).cloned().collect()
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
            Self::Tokens(_) => self.may_hold_token(&Token::of_term(term)),
        }
    }

    /// Whether terms of this kind can be among the values.
    #[must_use]
    pub fn may_hold_token(&self, own: &Token) -> bool {
        match self {
            Self::Any => true,
            Self::Tokens(tokens) => alike(tokens, own).any(|token| token == own || token.may_meet(own)),
        }
    }

    /// Whether a value can be in both sets, when the two come from **different** sources.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tokens(a), Self::Tokens(b)) => {
                let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
                few.iter()
                    .any(|own| alike(many, own).any(|theirs| own.may_meet(theirs)))
            }
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

/// The tokens of a set that can equal or meet a token, and some more: those of its bucket stand together in the order of a set.
fn alike<'a>(tokens: &'a BTreeSet<Token>, token: &'a Token) -> impl Iterator<Item = &'a Token> {
    /// Smaller sets are looked through whole.
    const FEW: usize = 8;
    let bucket = token.bucket();
    let first = match token {
        _ if tokens.len() <= FEW => Bound::Unbounded,
        Token::Iri(_) => Bound::Included(Token::Iri(bucket.into())),
        Token::Blank => Bound::Included(Token::Blank),
        Token::Literal(_) => Bound::Included(Token::Literal(None)),
    };
    let all = tokens.len() <= FEW;
    tokens.range((first, Bound::Unbounded)).take_while(move |other| {
        all || match (token, other) {
            (Token::Iri(_), Token::Iri(other)) => other.starts_with(bucket),
            (Token::Literal(_), Token::Literal(_)) | (Token::Blank, Token::Blank) => true,
            _ => false,
        }
    })
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

    #[test]
    fn large_sets_are_compared_as_small_ones_are() {
        let names = [
            "https://h",
            "https://h/a",
            "https://h/a/b",
            "https://h.example",
            "urn",
            "urn:x:y",
            "mailto:a",
        ];
        let all: Vec<Token> = (names.iter().map(|name| Token::Iri((*name).into())))
            .chain((0..9).map(|n| Token::Iri(format!("https://m{n}.example").into())))
            .chain([
                Token::Blank,
                Token::Literal(None),
                Token::Literal(Some("https://d".into())),
            ])
            .collect();
        let large: BTreeSet<Token> = all.iter().cloned().collect();
        let without = |token: &Token| ValueSet::of(large.iter().filter(|t| *t != token).cloned().collect());
        for token in &all {
            let one = ValueSet::one(token.clone());
            let others = without(token);
            let ValueSet::Tokens(tokens) = &others else {
                panic!("they are known")
            };
            let meets = tokens.iter().any(|other| other.may_meet(token));
            assert_eq!(others.may_meet(&one), meets, "{token:?}");
            assert_eq!(one.may_meet(&others), meets, "{token:?}");
            assert_eq!(others.may_hold_token(token), meets, "{token:?}");
            let each = tokens.iter().map(|other| ValueSet::one(other.clone()).narrow(&one));
            let expected: BTreeSet<Token> = each
                .flat_map(|set| match set {
                    ValueSet::Tokens(tokens) => tokens.iter().cloned().collect::<Vec<_>>(),
                    ValueSet::Any => Vec::new(),
                })
                .collect();
            assert_eq!(others.narrow(&one), ValueSet::of(expected), "{token:?}");
        }
    }
}
