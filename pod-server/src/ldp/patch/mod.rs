//! Patches: N3 Patch (Solid Protocol §5.3.1) and the part of SPARQL Update that Solid clients send, for RDF; JSON Merge
//! Patch (RFC 7396), for JSON.
//!
//! Reading a patch, finding its one solution and applying it are pure functions; the caller commits the result whole.

mod apply;
mod merge;
mod n3;
mod solve;
mod sparql;

pub use apply::{PatchConflict, apply};
pub use merge::{MergePatch, parse_merge, read_json};
pub use n3::parse_n3;
pub use sparql::parse_sparql;

use oxrdf::{BlankNode, Literal, NamedNode, Term, Variable};

use crate::error::Error;

/// Which patch formats exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchFormat {
    /// `text/n3`.
    N3,
    /// `application/sparql-update`.
    SparqlUpdate,
    /// `application/merge-patch+json`.
    Merge,
}

impl PatchFormat {
    /// Every format.
    pub const ALL: &'static [Self] = &[Self::N3, Self::SparqlUpdate, Self::Merge];

    /// The format of a media type without parameters.
    #[must_use]
    pub fn from_essence(essence: &str) -> Option<Self> {
        match essence {
            "text/n3" => Some(Self::N3),
            "application/sparql-update" => Some(Self::SparqlUpdate),
            "application/merge-patch+json" => Some(Self::Merge),
            _ => None,
        }
    }

    /// The value of `Accept-Patch` for a target that takes these.
    #[must_use]
    pub fn list(formats: &[Self]) -> &'static str {
        match (formats.contains(&Self::N3), formats.contains(&Self::Merge)) {
            (true, true) => "text/n3, application/sparql-update, application/merge-patch+json",
            (true, false) => "text/n3, application/sparql-update",
            (false, true) => "application/merge-patch+json",
            (false, false) => "",
        }
    }
}

/// What bounds the reading of a patch.
#[derive(Clone, Copy, Debug)]
pub struct PatchBounds {
    /// Brackets open at one time.
    pub nesting_max: u32,
    /// Conditions of one change.
    pub conditions_max: usize,
}

/// A patch document that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum PatchDocument {
    /// A change of an RDF graph.
    Graph(Patch),
    /// A change of a JSON value.
    Merge(MergePatch),
}

impl PatchDocument {
    /// Reads a patch document. Relative IRIs resolve against `base`, the target's IRI.
    ///
    /// # Errors
    /// [`Error::Malformed`] with line and column; [`Error::Unprocessable`] for what breaks a rule of the format.
    pub fn read(format: PatchFormat, bytes: &[u8], base: &str, bounds: PatchBounds) -> Result<Self, Error> {
        let patch = match format {
            PatchFormat::N3 => parse_n3(bytes, base, bounds.nesting_max)?,
            PatchFormat::SparqlUpdate => parse_sparql(bytes, base, bounds.nesting_max)?,
            PatchFormat::Merge => return Ok(Self::Merge(parse_merge(bytes, bounds.nesting_max)?)),
        };
        let conditions = patch.changes.iter().map(|change| change.conditions.len()).max();
        if conditions.is_some_and(|conditions| conditions > bounds.conditions_max) {
            return Err(Error::Unprocessable {
                kind: "invalid-patch",
                detail: format!("a patch may have at most {} conditions", bounds.conditions_max),
            });
        }
        Ok(Self::Graph(patch))
    }

    /// Its format, as far as targets tell formats apart.
    #[must_use]
    pub const fn format(&self) -> PatchFormat {
        match self {
            Self::Graph(_) => PatchFormat::N3,
            Self::Merge(_) => PatchFormat::Merge,
        }
    }

    /// Whether it has conditions, which need the right to read (solid#38). A merge shows what it found by what it leaves.
    #[must_use]
    pub fn reads(&self) -> bool {
        match self {
            Self::Graph(patch) => patch.reads(),
            Self::Merge(_) => true,
        }
    }

    /// Whether it adds anything.
    #[must_use]
    pub fn inserts(&self) -> bool {
        match self {
            Self::Graph(patch) => patch.inserts(),
            Self::Merge(_) => true,
        }
    }

    /// Whether it removes anything.
    #[must_use]
    pub fn deletes(&self) -> bool {
        match self {
            Self::Graph(patch) => patch.deletes(),
            Self::Merge(_) => true,
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
