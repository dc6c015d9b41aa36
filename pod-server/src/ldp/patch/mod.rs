//! Patches of RDF documents: N3 Patch (Solid Protocol §5.3.1) and the part of SPARQL Update that Solid clients send.
//!
//! Reading a patch, finding its one solution and applying it are pure functions; the caller commits the result whole.

mod apply;
mod n3;
mod solve;
mod sparql;

pub use apply::{PatchConflict, apply};
pub use n3::parse_n3;
pub use sparql::parse_sparql;

use oxrdf::{BlankNode, Literal, NamedNode, Term, Variable};

/// Which patch formats exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchFormat {
    /// `text/n3`.
    N3,
    /// `application/sparql-update`.
    SparqlUpdate,
}

impl PatchFormat {
    /// The value of `Accept-Patch`.
    pub const ACCEPTED: &'static str = "text/n3, application/sparql-update";

    /// The format of a media type without parameters.
    #[must_use]
    pub fn from_essence(essence: &str) -> Option<Self> {
        match essence {
            "text/n3" => Some(Self::N3),
            "application/sparql-update" => Some(Self::SparqlUpdate),
            _ => None,
        }
    }
}

/// A node of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PatternTerm {
    /// An RDF term that stands for itself.
    Constant(Term),
    /// A variable of the patch.
    Variable(Variable),
    /// A blank node: in conditions it stands for anything, in insertions for a fresh node.
    Blank(BlankNode),
}

/// A triple with variables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TriplePattern {
    /// Subject.
    pub subject: PatternTerm,
    /// Predicate.
    pub predicate: PatternTerm,
    /// Object.
    pub object: PatternTerm,
}

/// How many solutions of the conditions a patch may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solutions {
    /// Exactly one, as N3 Patch demands.
    One,
    /// Any number; the patch is applied for each, as SPARQL Update says.
    All,
}

/// A change of an RDF graph. Several follow each other in one patch document of SPARQL Update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What must match (`solid:where`).
    pub conditions: Vec<TriplePattern>,
    /// What goes (`solid:deletes`).
    pub deletions: Vec<TriplePattern>,
    /// What comes (`solid:inserts`).
    pub insertions: Vec<TriplePattern>,
    /// How many solutions are right.
    pub solutions: Solutions,
    /// Whether every deleted triple must exist, as N3 Patch demands.
    pub deletions_must_exist: bool,
}

/// A whole patch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Patch {
    /// Changes in their order.
    pub changes: Vec<Change>,
}

impl Patch {
    /// Whether it has conditions, which need the right to read (solid#38).
    #[must_use]
    pub fn reads(&self) -> bool {
        self.changes.iter().any(|change| !change.conditions.is_empty())
    }

    /// Whether it adds statements.
    #[must_use]
    pub fn inserts(&self) -> bool {
        self.changes.iter().any(|change| !change.insertions.is_empty())
    }

    /// Whether it removes statements.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.changes.iter().any(|change| !change.deletions.is_empty())
    }
}

impl From<NamedNode> for PatternTerm {
    fn from(node: NamedNode) -> Self {
        Self::Constant(node.into())
    }
}

impl From<Literal> for PatternTerm {
    fn from(literal: Literal) -> Self {
        Self::Constant(literal.into())
    }
}
