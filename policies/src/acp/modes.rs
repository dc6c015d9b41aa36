//! The modes that a policy allows or denies, each by its own IRI.

use crate::wac::Modes;

/// A set of the four modes. Unlike [`Modes`], Write does not bring Append along: a policy says exactly which modes it is
/// about (ACP §6.3), and only what is left in the end is read with Write including Append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ModeSet(u8);

impl ModeSet {
    const KNOWN: [(&'static str, u8); 4] = [
        (vocab::acl::READ, 1),
        (vocab::acl::APPEND, 2),
        (vocab::acl::WRITE, 4),
        (vocab::acl::CONTROL, 8),
    ];

    /// The set of one mode; `None` for anything but the four modes.
    pub(super) fn from_iri(iri: &str) -> Option<Self> {
        let known = Self::KNOWN.iter().find(|(known, _)| *known == iri);
        known.map(|(_, bit)| Self(*bit))
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What the modes allow in operations.
    pub(super) fn modes(self) -> Modes {
        Modes::from_bits(self.0)
    }
}
