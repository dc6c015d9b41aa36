//! From an ACL document to a compiled [`Acl`].

use oxrdf::{NamedOrBlankNode, Term, Triple};

use super::{Acl, Authorization, Condition, ConditionKind, Modes};
use crate::statements::{self, Statement, Subjects, Unreadable, has_type, place};

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
    /// Most values of conditions, counted for each authorization that has the condition.
    pub condition_values_max: usize,
}

impl Default for AclLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 * 1024,
            triples_max: 10_000,
            authorizations_max: 1_000,
            groups_max: 64,
            condition_values_max: 10_000,
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
    #[error(
        "{}the authorization {authorization} has a condition of type `{kind}`, which this server does not enforce; it \
         enforces acl:ClientCondition and acl:IssuerCondition", place(*line)
    )]
    UnknownCondition {
        /// Line of the statement, from 1, where it is known.
        line: Option<u64>,
        /// The authorization that has it.
        authorization: String,
        /// IRI of its type, or `none`.
        kind: String,
    },
    /// Nothing but policies of Access Control Policies, which count for nothing here: they may deny.
    #[error(
        "{}the document holds an acp:AccessControlResource and no acl:Authorization, and this storage is under Web Access \
         Control", place(*line)
    )]
    OtherSystem {
        /// Line of the statement, from 1, where it is known.
        line: Option<u64>,
    },
}

impl AclError {
    /// Whether the document is malformed (400) rather than well-formed and unusable (422).
    #[must_use]
    pub fn is_syntax(&self) -> bool {
        matches!(self, Self::Syntax { .. } | Self::Base(_))
    }
}

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
        let statements = statements::read(turtle, base, limits.triples_max).map_err(|fault| match fault {
            Unreadable::Base => AclError::Base(base.to_owned()),
            Unreadable::TooMany => too_large("triples", "triples_max", limits.triples_max),
            Unreadable::Syntax { line, column, message } => AclError::Syntax { line, column, message },
        })?;
        Self::compile(&statements, limits)
    }

    /// Compiles an ACL from triples that were read elsewhere.
    ///
    /// # Errors
    /// See [`AclError`]; never `Syntax`.
    pub fn from_triples(triples: &[Triple], limits: &AclLimits) -> Result<Self, AclError> {
        if triples.len() > limits.triples_max {
            return Err(too_large("triples", "triples_max", limits.triples_max));
        }
        Self::compile(&statements::unplaced(triples), limits)
    }

    fn compile(statements: &[Statement], limits: &AclLimits) -> Result<Self, AclError> {
        let subjects = Subjects::of(statements);
        let mut authorizations = Vec::new();
        // Many authorizations may share a condition, and each keeps what it says.
        let mut kept = 0;
        for (subject, about) in subjects.iter() {
            if has_type(about, vocab::acl::AUTHORIZATION) {
                if authorizations.len() >= limits.authorizations_max {
                    let allowed = limits.authorizations_max;
                    return Err(too_large("authorizations", "authorizations_max", allowed));
                }
                let compiled = authorization(subject, about, &subjects)?;
                kept += compiled.conditions.iter().map(Condition::len).sum::<usize>();
                if kept > limits.condition_values_max {
                    let what = "values of conditions, counted for each authorization";
                    return Err(too_large(what, "condition_values_max", limits.condition_values_max));
                }
                authorizations.push(compiled);
            }
        }
        let other = subjects
            .iter()
            .find(|(_, about)| has_type(about, vocab::acp::ACCESS_CONTROL_RESOURCE));
        if let Some((_, about)) = other.filter(|_| authorizations.is_empty()) {
            let line = about.first().and_then(|first| first.line);
            return Err(AclError::OtherSystem { line });
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

impl Condition {
    /// How much it keeps.
    fn len(&self) -> usize {
        1 + self.values.len() + self.groups.len()
    }
}

fn too_large(what: &'static str, bound: &'static str, allowed: usize) -> AclError {
    AclError::TooLarge { what, bound, allowed }
}

/// Named objects count; literals and blank nodes name nobody and are left out, which narrows.
fn authorization(
    subject: &NamedOrBlankNode,
    about: &[&Statement],
    subjects: &Subjects<'_>,
) -> Result<Authorization, AclError> {
    use vocab::acl;
    let mut found = Authorization::default();
    for statement in about {
        let predicate = statement.predicate();
        if predicate == acl::CONDITION {
            found.conditions.push(condition(subject, statement, subjects)?);
            continue;
        }
        let iri = match &statement.triple.object {
            Term::NamedNode(node) => node.as_str(),
            // An origin is often written as a string.
            Term::Literal(literal) if predicate == acl::ORIGIN => literal.value(),
            _ => continue,
        };
        match predicate {
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
    signalled: &Statement,
    subjects: &Subjects<'_>,
) -> Result<Condition, AclError> {
    use vocab::acl;
    let unknown = |statement: &Statement, kind: &str| AclError::UnknownCondition {
        line: statement.line,
        authorization: authorization.to_string(),
        kind: kind.to_owned(),
    };
    let node = signalled.node().ok_or_else(|| unknown(signalled, "none"))?;
    let about = subjects.about(&node);
    let mut kind = None;
    for statement in about.iter().filter(|one| one.predicate() == vocab::rdf::TYPE) {
        let this = match statement.iri() {
            // Every condition is one of these.
            Some(acl::CONDITION_CLASS) => continue,
            Some(acl::CLIENT_CONDITION) => ConditionKind::Client,
            Some(acl::ISSUER_CONDITION) => ConditionKind::Issuer,
            other => return Err(unknown(statement, other.unwrap_or("none"))),
        };
        if kind.is_some_and(|kind| kind != this) {
            return Err(unknown(
                statement,
                "acl:ClientCondition and acl:IssuerCondition at once",
            ));
        }
        kind = Some(this);
    }
    let kind = kind.ok_or_else(|| unknown(signalled, "none"))?;
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
    for statement in about {
        let Some(iri) = statement.iri() else { continue };
        let predicate = statement.predicate();
        if predicate == value {
            found.values.push(iri.into());
        } else if predicate == group {
            found.groups.push(iri.into());
        } else if predicate == class {
            match iri {
                vocab::foaf::AGENT_CLASS => found.anyone = true,
                acl::AUTHENTICATED_AGENT => found.identified = true,
                _ => {}
            }
        }
    }
    Ok(found)
}
