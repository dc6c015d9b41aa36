//! Terms as numbers, and the values that expressions need, decoded once.

use std::borrow::Cow;
use std::num::NonZeroU32;

use oxrdf::{BaseDirection, BlankNode, Literal, NamedNode, Term, TermRef};
use oxsdatatypes::{Boolean, DateTime, Decimal, Double, Float, Integer};
use spareval::ExpressionTerm;

/// The number of a term. Two terms have one number exactly when they are the same RDF term.
///
/// Numbers below [`TermId::LOCAL_FIRST`] belong to the dictionary of the index, those from there on to one query,
/// which computed a term that the index does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermId(NonZeroU32);

impl TermId {
    /// First number that means a term of one query.
    pub const LOCAL_FIRST: u32 = 1 << 31;

    /// The term at a position of the dictionary.
    #[must_use]
    pub const fn from_position(position: u32) -> Option<Self> {
        if position >= Self::LOCAL_FIRST - 1 {
            return None;
        }
        match NonZeroU32::new(position + 1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The term at a position among those that a query computed.
    #[must_use]
    pub fn from_local(position: u32) -> Option<Self> {
        Self::LOCAL_FIRST
            .checked_add(position)
            .and_then(NonZeroU32::new)
            .map(Self)
    }

    /// Position in the dictionary; none for a term of one query.
    #[must_use]
    pub const fn position(self) -> Option<u32> {
        if self.0.get() < Self::LOCAL_FIRST {
            Some(self.0.get() - 1)
        } else {
            None
        }
    }

    /// Position among the terms of a query; none for a term of the dictionary.
    #[must_use]
    pub const fn local(self) -> Option<u32> {
        self.0.get().checked_sub(Self::LOCAL_FIRST)
    }

    /// The bare number, as it stands in rows.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// From the bare number of a row.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

/// What sort of term a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Iri,
    Blank,
    String,
    /// The text is the language tag (with `--ltr` or `--rtl` behind it where there is a direction), NUL, the value.
    Language,
    /// The text is the lexical form; the number is the datatype's.
    Typed(TermId),
    /// RDF 1.2 triple term, as N-Triples.
    Triple,
}

/// The value of a literal, decoded when it was indexed, so that filters and aggregates never parse.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// No value beyond the lexical form.
    None,
    Boolean(bool),
    Integer(i64),
    Float(f32),
    Double(f64),
    Wide(Box<Wide>),
}

/// Values that would make every entry larger.
#[derive(Clone, Debug)]
pub(super) enum Wide {
    Decimal(Decimal),
    DateTime(DateTime),
}

impl Value {
    /// Decodes a typed literal in the same way as the evaluator does, so that both agree on what is ill-typed.
    pub(super) fn of(term: &Term) -> Self {
        let Term::Literal(literal) = term else {
            return Self::None;
        };
        if literal.language().is_some() || literal.datatype() == oxrdf::vocab::xsd::STRING {
            return Self::None;
        }
        match ExpressionTerm::from(term.clone()) {
            ExpressionTerm::BooleanLiteral(value) => Self::Boolean(value.into()),
            ExpressionTerm::IntegerLiteral(value) => Self::Integer(value.into()),
            ExpressionTerm::FloatLiteral(value) => Self::Float(value.into()),
            ExpressionTerm::DoubleLiteral(value) => Self::Double(value.into()),
            ExpressionTerm::DecimalLiteral(value) => Self::Wide(Box::new(Wide::Decimal(value))),
            ExpressionTerm::DateTimeLiteral(value) => Self::Wide(Box::new(Wide::DateTime(value))),
            _ => Self::None,
        }
    }

    /// The value as the expression evaluator wants it.
    pub(super) fn expression(&self) -> Option<ExpressionTerm> {
        Some(match self {
            Self::None => return None,
            Self::Boolean(value) => ExpressionTerm::BooleanLiteral(Boolean::from(*value)),
            Self::Integer(value) => ExpressionTerm::IntegerLiteral(Integer::from(*value)),
            Self::Float(value) => ExpressionTerm::FloatLiteral(Float::from(*value)),
            Self::Double(value) => ExpressionTerm::DoubleLiteral(Double::from(*value)),
            Self::Wide(wide) => match &**wide {
                Wide::Decimal(value) => ExpressionTerm::DecimalLiteral(*value),
                Wide::DateTime(value) => ExpressionTerm::DateTimeLiteral(*value),
            },
        })
    }

    /// Bytes on the heap.
    pub(super) const fn heap_bytes(&self) -> usize {
        match self {
            Self::Wide(_) => size_of::<Wide>(),
            _ => 0,
        }
    }
}

/// The kind of a term and the text under which the dictionary keeps it. `datatype` numbers a datatype's IRI.
pub(super) fn encode<'a>(
    term: TermRef<'a>,
    datatype: impl FnOnce(oxrdf::NamedNodeRef<'a>) -> Option<TermId>,
) -> Option<(Kind, Cow<'a, str>)> {
    Some(match term {
        TermRef::NamedNode(node) => (Kind::Iri, Cow::Borrowed(node.as_str())),
        TermRef::BlankNode(node) => (Kind::Blank, Cow::Borrowed(node.as_str())),
        TermRef::Literal(literal) => match literal.language() {
            Some(language) => {
                let direction = match literal.direction() {
                    Some(BaseDirection::Ltr) => "--ltr",
                    Some(BaseDirection::Rtl) => "--rtl",
                    None => "",
                };
                let text = format!("{language}{direction}\0{}", literal.value());
                (Kind::Language, Cow::Owned(text))
            }
            None if literal.datatype() == oxrdf::vocab::xsd::STRING => (Kind::String, Cow::Borrowed(literal.value())),
            None => (
                Kind::Typed(datatype(literal.datatype())?),
                Cow::Borrowed(literal.value()),
            ),
        },
        TermRef::Triple(triple) => (Kind::Triple, Cow::Owned(triple.to_string())),
    })
}

/// The term that a kind and a text stand for. `datatype` names a datatype by its number.
pub(super) fn decode(kind: Kind, text: &str, datatype: impl FnOnce(TermId) -> Option<NamedNode>) -> Option<Term> {
    Some(match kind {
        Kind::Iri => NamedNode::new_unchecked(text).into(),
        Kind::Blank => BlankNode::new_unchecked(text).into(),
        Kind::String => Literal::new_simple_literal(text).into(),
        Kind::Language => {
            let (tag, value) = text.split_once('\0')?;
            match tag.split_once("--") {
                None => Literal::new_language_tagged_literal_unchecked(value, tag),
                Some((language, direction)) => Literal::new_directional_language_tagged_literal_unchecked(
                    value,
                    language,
                    if direction == "rtl" {
                        BaseDirection::Rtl
                    } else {
                        BaseDirection::Ltr
                    },
                ),
            }
            .into()
        }
        Kind::Typed(id) => Literal::new_typed_literal(text, datatype(id)?).into(),
        Kind::Triple => {
            let inner = text.trim().strip_prefix("<<(").and_then(|t| t.strip_suffix(")>>"));
            match inner {
                Some(_) => text.parse().ok()?,
                None => Term::Triple(Box::new(text.parse().ok()?)),
            }
        }
    })
}
