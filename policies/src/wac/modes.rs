//! The four access modes as a small set.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

use serde::{Deserialize, Serialize};

/// A set of access modes. Write includes Append (solid#73): a set that holds Write also answers yes to Append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Modes(u8);

/// A word that is not a mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an access mode")]
pub struct ModesError(String);

impl Modes {
    /// No mode.
    pub const NONE: Self = Self(0);
    /// `acl:Read`.
    pub const READ: Self = Self(1);
    /// `acl:Append`.
    pub const APPEND: Self = Self(2);
    /// `acl:Write`, which includes Append.
    pub const WRITE: Self = Self(4 | 2);
    /// `acl:Control`: reading and writing the ACL, and nothing else.
    pub const CONTROL: Self = Self(8);
    /// Every mode.
    pub const ALL: Self = Self(15);

    const WRITE_BIT: u8 = 4;

    /// Each mode with its word in `WAC-Allow`, in the order they are written.
    const WORDS: [(Self, &'static str); 4] = [
        (Self::READ, "read"),
        (Self::WRITE, "write"),
        (Self::APPEND, "append"),
        (Self::CONTROL, "control"),
    ];

    /// Whether every mode of `other` is in this set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The mode that an IRI names; `None` for anything but the four modes.
    #[must_use]
    pub fn from_iri(iri: &str) -> Option<Self> {
        match iri {
            vocab::acl::READ => Some(Self::READ),
            vocab::acl::APPEND => Some(Self::APPEND),
            vocab::acl::WRITE => Some(Self::WRITE),
            vocab::acl::CONTROL => Some(Self::CONTROL),
            _ => None,
        }
    }

    /// The IRIs of the modes in the set.
    pub fn iris(self) -> impl Iterator<Item = &'static str> {
        [
            (Self::READ, vocab::acl::READ),
            (Self::WRITE, vocab::acl::WRITE),
            (Self::APPEND, vocab::acl::APPEND),
            (Self::CONTROL, vocab::acl::CONTROL),
        ]
        .into_iter()
        .filter(move |(mode, _)| self.contains(*mode))
        .map(|(_, iri)| iri)
    }

    /// The set as its bits, for a compact cache. [`Modes::from_bits`] reads it back.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown bits are dropped, and Write brings Append along.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        let append = if bits & Self::WRITE_BIT == 0 { 0 } else { Self::APPEND.0 };
        Self((bits & Self::ALL.0) | append)
    }
}

impl BitOr for Modes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Modes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Modes {
    type Output = Self;

    /// The modes in both sets. Write survives only together with Append, so the invariant holds by itself.
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Modes {
    type Output = Self;

    /// The modes that are missing from `other`.
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for Modes {
    /// The words of `WAC-Allow`: `read write append control`, empty for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (mode, word) in Self::WORDS {
            // A difference of sets may hold the bare Write bit; it still reads as write.
            let bit = if mode == Self::WRITE {
                Self(Self::WRITE_BIT)
            } else {
                mode
            };
            if self.contains(bit) {
                if !first {
                    f.write_str(" ")?;
                }
                f.write_str(word)?;
                first = false;
            }
        }
        Ok(())
    }
}

impl From<Modes> for String {
    fn from(modes: Modes) -> Self {
        modes.to_string()
    }
}

impl TryFrom<String> for Modes {
    type Error = ModesError;

    fn try_from(text: String) -> Result<Self, ModesError> {
        let mut modes = Self::NONE;
        for word in text.split_ascii_whitespace() {
            match Self::WORDS.iter().find(|(_, known)| *known == word) {
                Some((mode, _)) => modes |= *mode,
                None => return Err(ModesError(word.to_owned())),
            }
        }
        Ok(modes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirement solid 73: Append is part of Write, Control is alone.
    #[test]
    fn inclusion() {
        let singles = [Modes::READ, Modes::APPEND, Modes::WRITE, Modes::CONTROL];
        for (i, a) in singles.into_iter().enumerate() {
            for (j, b) in singles.into_iter().enumerate() {
                let expected = i == j || (a == Modes::WRITE && b == Modes::APPEND);
                assert_eq!(a.contains(b), expected, "{a} contains {b}");
            }
        }
    }

    /// Requirement solid 79: only the four words, in a fixed order, and the empty string.
    #[test]
    fn words_round_trip() {
        for bits in 0..=15u8 {
            let modes = Modes::from_bits(bits);
            assert_eq!(Modes::try_from(modes.to_string()), Ok(modes));
            let json = serde_json::to_string(&modes).unwrap();
            assert_eq!(serde_json::from_str::<Modes>(&json).unwrap(), modes);
        }
        assert_eq!(Modes::ALL.to_string(), "read write append control");
        assert_eq!(Modes::NONE.to_string(), "");
        assert!(Modes::try_from("read admin".to_owned()).is_err());
        assert_eq!((Modes::WRITE - Modes::APPEND).to_string(), "write");
    }
}
