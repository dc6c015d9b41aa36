//! Policies and decisions in plain words, in Dutch, French and English.
//!
//! Each clause says how it is kept: by the node itself, by what the other side declares, or by contract only. Nothing is
//! left out: a clause that is not understood is shown as such.

mod clauses;
mod conditions;
mod purposes;
mod reasons;

use std::fmt;

pub use clauses::{Clause, policy};
pub use purposes::purpose;
pub use reasons::{decision, reason};

/// A language in which explanations exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Dutch, the default.
    #[default]
    Dutch,
    /// French.
    French,
    /// English.
    English,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::Dutch, Self::French, Self::English];

    /// The language of a tag such as `fr` or `fr-BE`; Dutch for anything else.
    #[must_use]
    pub fn from_tag(tag: &str) -> Self {
        match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "fr" => Self::French,
            "en" => Self::English,
            _ => Self::Dutch,
        }
    }

    /// The language tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Dutch => "nl",
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// Picks one of three texts.
    fn pick(self, [dutch, french, english]: Text) -> &'static str {
        match self {
            Self::Dutch => dutch,
            Self::French => french,
            Self::English => english,
        }
    }

    /// Picks a text and puts `value` in the place of `{}`.
    fn fill(self, text: Text, value: impl fmt::Display) -> String {
        self.pick(text).replacen("{}", &value.to_string(), 1)
    }
}

/// The same sentence in Dutch, French and English.
type Text = [&'static str; 3];

/// How a clause is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClauseClass {
    /// This node enforces it on every answer.
    Technical,
    /// The other side declares it, and the declaration is recorded.
    Attested,
    /// It binds by contract after the answer has left.
    Contract,
}

impl ClauseClass {
    /// The class in a few words.
    #[must_use]
    pub fn words(self, language: Language) -> &'static str {
        language.pick(match self {
            Self::Technical => [
                "afgedwongen door het systeem",
                "imposé par le système",
                "enforced by the system",
            ],
            Self::Attested => [
                "verklaard door de aanvrager en opgetekend",
                "déclaré par le demandeur et consigné",
                "declared by the requester and recorded",
            ],
            Self::Contract => [
                "afgesproken in het contract",
                "convenu par contrat",
                "agreed by contract",
            ],
        })
    }
}

/// A name that a person recognises: the last part of an IRI.
fn name(iri: &str) -> &str {
    vocab::local_name(iri)
}
