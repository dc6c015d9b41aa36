//! From an ACL document to a compiled [`Acl`].

use std::collections::HashMap;

use oxrdf::{NamedOrBlankNode, Term, Triple};
use oxttl::TurtleParser;

use super::{Acl, Authorization, Condition, ConditionKind, Modes};

/// Bounds on one ACL document.
#[derive(Clone, Copy, Debug)]
pub struct AclLimits {
    /// Largest document, in bytes.
    pub bytes_max: usize,
    /// Most triples.
    pub triples_max: usize,
    /// Most authorizations.
    pub authorizations_max: usize,
    /// Most distinct groups: each costs a fact per decision.
    pub groups_max: usize,
}

impl Default for AclLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 * 1024,
            triples_max: 10_000,
            authorizations_max: 1_000,
            groups_max: 64,
        }
    }
}

/// Why an ACL document cannot be used. On a write this is the caller's fault (400 for syntax, 422 for the rest); on
/// evaluation of a stored document it denies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// The base is not an absolute IRI.
    #[error("the base `{0}` is not an absolute IRI")]
    Base(String),
    /// Not Turtle.
    #[error("the ACL is not valid Turtle at line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What the parser says.
        message: String,
    },
    /// A bound is exceeded.
    #[error("the ACL has more than {allowed} {what} (`{bound}`)")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound's name.
        bound: &'static str,
        /// Its value.
        allowed: usize,
    },
    /// A condition of a type that is not enforced here; ignoring it would widen access (solid#81).
    #[error("the authorization {authorization} has a condition of type `{kind}`, which this server does not enforce")]
    UnknownCondition {
        /// The authorization that has it.
        authorization: String,
        /// IRI of its type, or `none`.
        kind: String,
    },
}

impl AclError {
    /// Whether the document is malformed (400) rather than well-formed and unusable (422).
    #[must_use]
    pub fn is_syntax(&self) -> bool {
        matches!(self, Self::Syntax { .. } | Self::Base(_))
    }
}

type Properties<'t> = HashMap<&'t NamedOrBlankNode, Vec<(&'t str, &'t Term)>>;

impl Acl {
    /// Reads and compiles an ACL document in Turtle with the default limits; `base` is the IRI of the ACL itself.
    ///
    /// # Errors
    /// See [`AclError`].
    pub fn parse(turtle: &[u8], base: &str) -> Result<Self, AclError> {
        Self::parse_within(turtle, base, &AclLimits::default())
    }

    /// As [`Acl::parse`], with given limits.
    ///
    /// # Errors
    /// See [`AclError`].
    pub fn parse_within(turtle: &[u8], base: &str, limits: &AclLimits) -> Result<Self, AclError> {
        if turtle.len() > limits.bytes_max {
            return Err(too_large("bytes", "bytes_max", limits.bytes_max));
        }
        let parser = TurtleParser::new()
            .with_base_iri(base)
            .map_err(|_| AclError::Base(base.to_owned()))?;
        let mut triples = Vec::new();
        for triple in parser.for_slice(turtle) {
            let triple = triple.map_err(|error| AclError::Syntax {
                line: error.location().start.line + 1,
                column: error.location().start.column + 1,
                message: error.message().to_owned(),
            })?;
            if triples.len() >= limits.triples_max {
                return Err(too_large("triples", "triples_max", limits.triples_max));
            }
            triples.push(triple);
        }
        Self::from_triples(&triples, limits)
    }

    /// Compiles an ACL from triples that were read elsewhere.
    ///
    /// # Errors
    /// See [`AclError`]; never `Syntax`.
    pub fn from_triples(triples: &[Triple], limits: &AclLimits) -> Result<Self, AclError> {
        if triples.len() > limits.triples_max {
            return Err(too_large("triples", "triples_max", limits.triples_max));
        }
        let mut properties: Properties<'_> = HashMap::new();
        let mut subjects = Vec::new();
        for triple in triples {
            properties
                .entry(&triple.subject)
                .or_insert_with(|| {
                    subjects.push(&triple.subject);
                    Vec::new()
                })
                .push((triple.predicate.as_str(), &triple.object));
        }
        let mut authorizations = Vec::new();
        for subject in subjects {
            let statements = properties.get(subject).map(Vec::as_slice).unwrap_or_default();
            if has_type(statements, vocab::acl::AUTHORIZATION) {
                if authorizations.len() >= limits.authorizations_max {
                    let allowed = limits.authorizations_max;
                    return Err(too_large("authorizations", "authorizations_max", allowed));
                }
                authorizations.push(authorization(subject, statements, &properties)?);
            }
        }
        let mut groups: Vec<&str> = authorizations.iter().flat_map(Authorization::all_groups).collect();
        groups.sort_unstable();
        groups.dedup();
        if groups.len() > limits.groups_max {
            return Err(too_large("groups", "groups_max", limits.groups_max));
        }
        Ok(Self { authorizations })
    }
}

impl Authorization {
    fn all_groups(&self) -> impl Iterator<Item = &str> {
        let conditions = self.conditions.iter().flat_map(|condition| condition.groups.iter());
        self.groups.iter().chain(conditions).map(AsRef::as_ref)
    }
}

fn too_large(what: &'static str, bound: &'static str, allowed: usize) -> AclError {
    AclError::TooLarge { what, bound, allowed }
}

fn has_type(statements: &[(&str, &Term)], class: &str) -> bool {
    statements.iter().any(|(predicate, object)| {
        *predicate == vocab::rdf::TYPE && matches!(object, Term::NamedNode(node) if node.as_str() == class)
    })
}

/// Named objects count; literals and blank nodes name nobody and are left out, which narrows.
fn authorization(
    subject: &NamedOrBlankNode,
    statements: &[(&str, &Term)],
    properties: &Properties<'_>,
) -> Result<Authorization, AclError> {
    use vocab::acl;
    let mut found = Authorization::default();
    for (predicate, object) in statements {
        if *predicate == acl::CONDITION {
            found.conditions.push(condition(subject, object, properties)?);
            continue;
        }
        let iri = match object {
            Term::NamedNode(node) => node.as_str(),
            // An origin is often written as a string.
            Term::Literal(literal) if *predicate == acl::ORIGIN => literal.value(),
            _ => continue,
        };
        match *predicate {
            acl::ACCESS_TO => found.access_to.push(iri.into()),
            acl::DEFAULT => found.default.push(iri.into()),
            acl::MODE => found.modes |= Modes::from_iri(iri).unwrap_or_default(),
            acl::AGENT => found.agents.push(iri.into()),
            acl::AGENT_GROUP => found.groups.push(iri.into()),
            acl::AGENT_CLASS => match iri {
                vocab::foaf::AGENT_CLASS => found.public = true,
                acl::AUTHENTICATED_AGENT => found.authenticated = true,
                _ => {}
            },
            // An origin has no path; a slash at its end is a common slip of the pen.
            acl::ORIGIN => found.origins.push(iri.trim_end_matches('/').into()),
            _ => {}
        }
    }
    Ok(found)
}

fn condition(
    authorization: &NamedOrBlankNode,
    object: &Term,
    properties: &Properties<'_>,
) -> Result<Condition, AclError> {
    use vocab::acl;
    let unknown = |kind: &str| AclError::UnknownCondition {
        authorization: authorization.to_string(),
        kind: kind.to_owned(),
    };
    let node = match object {
        Term::NamedNode(node) => NamedOrBlankNode::from(node.clone()),
        Term::BlankNode(node) => NamedOrBlankNode::from(node.clone()),
        _ => return Err(unknown("none")),
    };
    let statements = properties.get(&node).map(Vec::as_slice).unwrap_or_default();
    let mut kind = None;
    for (predicate, object) in statements {
        if *predicate != vocab::rdf::TYPE {
            continue;
        }
        let Term::NamedNode(class) = object else {
            return Err(unknown("none"));
        };
        let this = match class.as_str() {
            acl::CLIENT_CONDITION => ConditionKind::Client,
            acl::ISSUER_CONDITION => ConditionKind::Issuer,
            other => return Err(unknown(other)),
        };
        if kind.is_some_and(|kind| kind != this) {
            return Err(unknown("acl:ClientCondition and acl:IssuerCondition at once"));
        }
        kind = Some(this);
    }
    let kind = kind.ok_or_else(|| unknown("none"))?;
    let (value, group, class) = match kind {
        ConditionKind::Client => (acl::CLIENT, acl::CLIENT_GROUP, acl::CLIENT_CLASS),
        ConditionKind::Issuer => (acl::ISSUER, acl::ISSUER_GROUP, acl::ISSUER_CLASS),
    };
    let mut found = Condition {
        kind,
        values: Vec::new(),
        groups: Vec::new(),
        anyone: false,
        identified: false,
    };
    for (predicate, object) in statements {
        let Term::NamedNode(node) = object else { continue };
        let iri = node.as_str();
        if *predicate == value {
            found.values.push(iri.into());
        } else if *predicate == group {
            found.groups.push(iri.into());
        } else if *predicate == class {
            match iri {
                vocab::foaf::AGENT_CLASS => found.anyone = true,
                acl::AUTHENTICATED_AGENT => found.identified = true,
                _ => {}
            }
        }
    }
    Ok(found)
}
