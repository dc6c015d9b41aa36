//! Strong validators, one per representation, with a part that names the state (RFC 9110 §8.8.3; solid#29, solid#52,
//! solid#53, T60).
//!
//! A tag reads `"<state>-<variant>"`. The state is the sequence number of the commit that made it, so that no two
//! states share one however fast they follow each other. Reads compare the whole tag; writes compare the state alone,
//! because a client may read Turtle and write JSON-LD.

use std::fmt;

use crate::store::Sequence;

/// The validator of one representation of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag {
    /// The state.
    pub state: Sequence,
    /// The representation.
    pub variant: Variant,
}

/// Which representation of a state a tag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variant {
    /// The bytes as they were sent, of a document that is not RDF.
    Bytes,
    /// Turtle.
    Turtle,
    /// JSON-LD.
    JsonLd,
    /// N-Triples.
    NTriples,
    /// A listing without its members (`Prefer: return=minimal`-like answers), as Turtle.
    MinimalTurtle,
    /// The same as JSON-LD.
    MinimalJsonLd,
    /// The same as N-Triples.
    MinimalNTriples,
    /// A page of a listing as LWS clients read it.
    LwsListing,
    /// The links of a resource as a link set (RFC 9264).
    Linkset,
}

impl Variant {
    /// Every representation there is.
    pub const ALL: [Self; 9] = [
        Self::Bytes,
        Self::Turtle,
        Self::JsonLd,
        Self::NTriples,
        Self::MinimalTurtle,
        Self::MinimalJsonLd,
        Self::MinimalNTriples,
        Self::LwsListing,
        Self::Linkset,
    ];

    /// The part of the tag.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "b",
            Self::Turtle => "t",
            Self::JsonLd => "j",
            Self::NTriples => "n",
            Self::MinimalTurtle => "mt",
            Self::MinimalJsonLd => "mj",
            Self::MinimalNTriples => "mn",
            Self::LwsListing => "w",
            Self::Linkset => "l",
        }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{:x}-{}\"", self.state.0, self.variant.as_str())
    }
}

/// The state that a client's entity tag names, if it is one of ours.
#[must_use]
pub fn state_of(opaque: &str) -> Option<Sequence> {
    let (state, variant) = opaque.split_once('-')?;
    // Our own spelling only: no sign, no upper case, no leading zero, so that one state has one tag.
    if state.is_empty()
        || (state.len() > 1 && state.starts_with('0'))
        || !state
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        || !Variant::ALL.iter().any(|known| known.as_str() == variant)
    {
        return None;
    }
    u64::from_str_radix(state, 16).ok().map(Sequence)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Requirements solid 29, 52, 53.
    #[test]
    fn tags_of_one_state_differ_by_representation_and_share_the_state() {
        let turtle = ETag {
            state: Sequence(27),
            variant: Variant::Turtle,
        };
        let json = ETag {
            variant: Variant::JsonLd,
            ..turtle
        };
        assert_eq!(turtle.to_string(), "\"1b-t\"");
        assert_ne!(turtle.to_string(), json.to_string());
        assert_eq!(state_of("1b-t"), Some(Sequence(27)));
        assert_eq!(state_of("1b-j"), Some(Sequence(27)));
    }

    #[test]
    fn foreign_tags_name_no_state() {
        for foreign in [
            "", "-t", "1B-t", "01b-t", "+1b-t", "1b", "zz-t", "1b-", "1b-x", "1b-t-t",
        ] {
            assert_eq!(state_of(foreign), None, "{foreign}");
        }
    }
}
