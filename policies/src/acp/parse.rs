//! From an access control resource as a document to a compiled one.
//!
//! Reading is liberal about types and names of nodes and strict about meaning: what would be enforced less than its author
//! may expect is a fault with its place.

use std::collections::{HashMap, HashSet};
use std::fmt;

use oxrdf::{NamedOrBlankNode, Triple};
use vocab::acp;

use super::matcher::{AgentValue, Matcher, Value};
use super::modes::ModeSet;
use super::{AccessControlResource, AcpPolicy};
use crate::statements::{self, Statement, Subjects, Unreadable, has_type, place};

/// Bounds on one access control resource.
#[derive(Clone, Copy, Debug)]
pub struct AcpLimits {
    /// Largest document, in bytes.
    pub bytes_max: usize,
    /// Most triples.
    pub triples_max: usize,
    /// Most policies that are applied.
    pub policies_max: usize,
    /// Most matchers that these use.
    pub matchers_max: usize,
}

impl Default for AcpLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 * 1024,
            triples_max: 10_000,
            policies_max: 500,
            matchers_max: 1_000,
        }
    }
}

/// Why an access control resource cannot be used. On a write this is the caller's fault (400 for syntax, 422 for the
/// rest); on evaluation of a stored document it denies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcpError {
    /// The base is not an absolute IRI.
    #[error("the base `{0}` is not an absolute IRI")]
    Base(String),
    /// Not Turtle.
    #[error("the access control resource is not valid Turtle at line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What the parser says.
        message: String,
    },
    /// A bound is exceeded.
    #[error("the access control resource has more than {allowed} {what} (`{bound}`)")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound's name.
        bound: &'static str,
        /// Its value.
        allowed: usize,
    },
    /// Something that this server does not enforce as it is written.
    #[error("{}the {part} {node} {fault}", place(*line))]
    Unenforceable {
        /// Line of the statement, from 1, where it is known.
        line: Option<u64>,
        /// Kind of node.
        part: Part,
        /// The node, as in N-Triples.
        node: String,
        /// What is wrong with it, and what would be right.
        fault: String,
    },
}

impl AcpError {
    /// Whether the document is malformed (400) rather than well-formed and unusable (422).
    #[must_use]
    pub fn is_syntax(&self) -> bool {
        matches!(self, Self::Syntax { .. } | Self::Base(_))
    }
}

/// The kinds of node in an authorization graph (ACP §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `acp:AccessControlResource`.
    Resource,
    /// `acp:AccessControl`.
    AccessControl,
    /// `acp:Policy`.
    Policy,
    /// `acp:Matcher`.
    Matcher,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resource => "access control resource",
            Self::AccessControl => "access control",
            Self::Policy => "policy",
            Self::Matcher => "matcher",
        })
    }
}

impl Part {
    /// The properties that are enforced.
    const fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Resource => &[acp::RESOURCE, acp::ACCESS_CONTROL_PROPERTY, acp::MEMBER_ACCESS_CONTROL],
            Self::AccessControl => &[acp::APPLY],
            Self::Policy => &[acp::ALLOW, acp::DENY, acp::ALL_OF, acp::ANY_OF, acp::NONE_OF],
            Self::Matcher => &[acp::AGENT, acp::CLIENT, acp::ISSUER, acp::VC],
        }
    }
}

/// Vocabularies of remarks, which restrict nothing.
const REMARKS: [&str; 6] = [
    vocab::rdfs::NS,
    vocab::dcterms::NS,
    vocab::skos::NS,
    vocab::foaf::NS,
    vocab::schema::NS,
    vocab::prov::NS,
];

impl AccessControlResource {
    /// Reads and compiles an access control resource in Turtle with the default limits. `document` is its own IRI and
    /// `resource` that of the resource that it controls.
    ///
    /// # Errors
    /// See [`AcpError`].
    pub fn parse(turtle: &[u8], document: &str, resource: &str) -> Result<Self, AcpError> {
        Self::parse_within(turtle, document, resource, &AcpLimits::default())
    }

    /// As [`AccessControlResource::parse`], with given limits.
    ///
    /// # Errors
    /// See [`AcpError`].
    pub fn parse_within(turtle: &[u8], document: &str, resource: &str, limits: &AcpLimits) -> Result<Self, AcpError> {
        if turtle.len() > limits.bytes_max {
            return Err(too_large("bytes", "bytes_max", limits.bytes_max));
        }
        let statements = statements::read(turtle, document, limits.triples_max).map_err(|fault| match fault {
            Unreadable::Base => AcpError::Base(document.to_owned()),
            Unreadable::TooMany => too_large("triples", "triples_max", limits.triples_max),
            Unreadable::Syntax { line, column, message } => AcpError::Syntax { line, column, message },
        })?;
        compile(&statements, document, resource, limits)
    }

    /// Compiles an access control resource from triples that were read elsewhere.
    ///
    /// # Errors
    /// See [`AcpError`]; never `Syntax`.
    pub fn from_triples(
        triples: &[Triple],
        document: &str,
        resource: &str,
        limits: &AcpLimits,
    ) -> Result<Self, AcpError> {
        if triples.len() > limits.triples_max {
            return Err(too_large("triples", "triples_max", limits.triples_max));
        }
        compile(&statements::unplaced(triples), document, resource, limits)
    }
}

fn too_large(what: &'static str, bound: &'static str, allowed: usize) -> AcpError {
    AcpError::TooLarge { what, bound, allowed }
}

fn compile(
    statements: &[Statement],
    document: &str,
    resource: &str,
    limits: &AcpLimits,
) -> Result<AccessControlResource, AcpError> {
    let mut compiler = Compiler {
        subjects: Subjects::of(statements),
        limits,
        found: AccessControlResource::default(),
        controls: HashSet::new(),
        policies: HashMap::new(),
        matchers: HashMap::new(),
    };
    let linked: HashSet<NamedOrBlankNode> = statements
        .iter()
        .filter(|statement| statement.predicate() == acp::ACCESS_CONTROL_RESOURCE_PROPERTY)
        .filter(|statement| is_named(&statement.triple.subject, resource))
        .filter_map(Statement::node)
        .collect();
    let nodes: Vec<(&NamedOrBlankNode, Vec<&Statement>)> = compiler
        .subjects
        .iter()
        .filter(|(_, about)| is_access_control_resource(about))
        .map(|(node, about)| (node, about.to_vec()))
        .collect();
    if let Some((node, about)) = compiler
        .subjects
        .iter()
        .find(|(_, about)| has_type(about, vocab::acl::AUTHORIZATION))
    {
        let line = about.first().and_then(|first| first.line);
        let fault = "is an acl:Authorization, which counts for nothing in a storage under Access Control Policies";
        return Err(fault_of(Part::Resource, node, line, fault));
    }
    for (node, about) in nodes {
        let controlled = about.iter().filter(|one| one.predicate() == acp::RESOURCE);
        let mut controls = linked.contains(node);
        for statement in controlled {
            if statement.iri() != Some(resource) {
                let fault = format!("controls another resource; this document can only control `{resource}`");
                return Err(fault_of(Part::Resource, node, statement.line, fault));
            }
            controls = true;
        }
        // The link that leads to the document says what it controls.
        if !controls && !is_named(node, document) {
            let line = about.first().and_then(|first| first.line);
            let fault = format!("controls nothing: it needs `acp:resource <{resource}>`");
            return Err(fault_of(Part::Resource, node, line, fault));
        }
        compiler.access_control_resource(node, &about)?;
    }
    Ok(compiler.found)
}

fn is_access_control_resource(about: &[&Statement]) -> bool {
    has_type(about, acp::ACCESS_CONTROL_RESOURCE)
        || about
            .iter()
            .any(|one| Part::Resource.properties().contains(&one.predicate()))
}

fn is_named(node: &NamedOrBlankNode, iri: &str) -> bool {
    matches!(node, NamedOrBlankNode::NamedNode(name) if name.as_str() == iri)
}

fn fault_of(part: Part, node: &NamedOrBlankNode, line: Option<u64>, fault: impl Into<String>) -> AcpError {
    AcpError::Unenforceable {
        line,
        part,
        node: node.to_string(),
        fault: fault.into(),
    }
}

struct Compiler<'s> {
    subjects: Subjects<'s>,
    limits: &'s AcpLimits,
    found: AccessControlResource,
    /// Access controls that were read, for the resource or for its members.
    controls: HashSet<(NamedOrBlankNode, bool)>,
    policies: HashMap<NamedOrBlankNode, usize>,
    matchers: HashMap<NamedOrBlankNode, usize>,
}

impl<'s> Compiler<'s> {
    fn access_control_resource(&mut self, node: &NamedOrBlankNode, about: &[&'s Statement]) -> Result<(), AcpError> {
        self.check_properties(Part::Resource, node, about)?;
        for statement in about {
            let to_members = match statement.predicate() {
                acp::ACCESS_CONTROL_PROPERTY => false,
                acp::MEMBER_ACCESS_CONTROL => true,
                _ => continue,
            };
            if let Some(control) = statement.node()
                && !self.controls.insert((control, to_members))
            {
                continue;
            }
            let (control, described) = self.described(Part::AccessControl, node, statement)?;
            for applied in described.iter().filter(|one| one.predicate() == acp::APPLY) {
                let policy = self.policy(&control, applied)?;
                let applied = if to_members {
                    &mut self.found.member_access_controls
                } else {
                    &mut self.found.access_controls
                };
                if !applied.contains(&policy) {
                    applied.push(policy);
                }
            }
        }
        Ok(())
    }

    /// The node that a statement leads to, with what the document says about it. It must say something: a policy in
    /// another document would not be enforced.
    fn described(
        &self,
        part: Part,
        from: &NamedOrBlankNode,
        statement: &Statement,
    ) -> Result<(NamedOrBlankNode, Vec<&'s Statement>), AcpError> {
        let node = statement.node().ok_or_else(|| {
            let property = vocab::local_name(statement.predicate());
            let fault = format!("has a text as `acp:{property}`, where a node is needed");
            fault_of(before(part), from, statement.line, fault)
        })?;
        let about = self.subjects.about(&node).to_vec();
        if about.is_empty() {
            let fault = "is not described in this document, and others are not looked at";
            return Err(fault_of(part, &node, statement.line, fault));
        }
        self.check_properties(part, &node, &about)?;
        Ok((node, about))
    }

    /// Refuses properties that may restrict something and are not enforced.
    fn check_properties(&self, part: Part, node: &NamedOrBlankNode, about: &[&Statement]) -> Result<(), AcpError> {
        for statement in about {
            let property = statement.predicate();
            let fine = part.properties().contains(&property)
                || property == vocab::rdf::TYPE
                || REMARKS.iter().any(|remarks| property.starts_with(remarks));
            if !fine {
                let known: Vec<String> = part.properties().iter().map(|known| short(known)).collect();
                let fault = format!(
                    "has the property `{property}`, which is not enforced; it can have {}",
                    known.join(", ")
                );
                return Err(fault_of(part, node, statement.line, fault));
            }
        }
        Ok(())
    }

    fn policy(&mut self, control: &NamedOrBlankNode, applied: &Statement) -> Result<usize, AcpError> {
        if let Some(known) = applied.node().and_then(|node| self.policies.get(&node)) {
            return Ok(*known);
        }
        let (node, about) = self.described(Part::Policy, control, applied)?;
        if self.policies.len() >= self.limits.policies_max {
            return Err(too_large("policies", "policies_max", self.limits.policies_max));
        }
        let mut policy = AcpPolicy::default();
        for statement in about {
            match statement.predicate() {
                // A mode that is not known here gives nothing (solid#92).
                acp::ALLOW => policy.allow = policy.allow.with(mode(statement).unwrap_or_default()),
                acp::DENY => {
                    let denied = mode(statement).ok_or_else(|| {
                        let object = &statement.triple.object;
                        let fault = format!("denies {object}, which is no mode that this server knows");
                        fault_of(Part::Policy, &node, statement.line, fault)
                    })?;
                    policy.deny = policy.deny.with(denied);
                }
                acp::ALL_OF => policy.all_of.push(self.matcher(&node, statement)?),
                acp::ANY_OF => policy.any_of.push(self.matcher(&node, statement)?),
                acp::NONE_OF => policy.none_of.push(self.matcher(&node, statement)?),
                _ => {}
            }
        }
        let position = self.found.policies.len();
        self.found.policies.push(policy);
        self.policies.insert(node, position);
        Ok(position)
    }

    fn matcher(&mut self, policy: &NamedOrBlankNode, used: &Statement) -> Result<usize, AcpError> {
        if let Some(known) = used.node().and_then(|node| self.matchers.get(&node)) {
            return Ok(*known);
        }
        let (node, about) = self.described(Part::Matcher, policy, used)?;
        if self.matchers.len() >= self.limits.matchers_max {
            return Err(too_large("matchers", "matchers_max", self.limits.matchers_max));
        }
        let mut matcher = Matcher::default();
        for statement in about {
            let attribute = statement.predicate();
            if !Part::Matcher.properties().contains(&attribute) {
                continue;
            }
            let unusable = || {
                let (name, object) = (short(attribute), &statement.triple.object);
                let fault =
                    format!("has {object} as `{name}`, which matches nobody: an IRI or a name for it is needed");
                fault_of(Part::Matcher, &node, statement.line, fault)
            };
            let iri = statement.iri().ok_or_else(unusable)?;
            match attribute {
                acp::AGENT => matcher.agents.push(agent_value(iri).ok_or_else(unusable)?),
                acp::CLIENT => {
                    let named = [acp::PUBLIC_CLIENT, acp::AUTHENTICATED_CLIENT];
                    matcher.clients.push(value(iri, named).ok_or_else(unusable)?);
                }
                acp::ISSUER => {
                    let named = [acp::PUBLIC_ISSUER, acp::AUTHENTICATED_ISSUER];
                    matcher.issuers.push(value(iri, named).ok_or_else(unusable)?);
                }
                _ => matcher.credentials.push(iri.into()),
            }
        }
        self.found.names_owner |= matcher.agents.contains(&AgentValue::Owner);
        self.found.names_creator |= matcher.agents.contains(&AgentValue::Creator);
        let position = self.found.matchers.len();
        self.found.matchers.push(matcher);
        self.matchers.insert(node, position);
        Ok(position)
    }
}

/// The part that leads to a part.
const fn before(part: Part) -> Part {
    match part {
        Part::Resource | Part::AccessControl => Part::Resource,
        Part::Policy => Part::AccessControl,
        Part::Matcher => Part::Policy,
    }
}

fn short(iri: &str) -> String {
    format!("acp:{}", vocab::local_name(iri))
}

fn mode(statement: &Statement) -> Option<ModeSet> {
    ModeSet::from_iri(statement.iri()?)
}

/// A value of `acp:agent`; none for a name of the vocabulary that is no agent.
fn agent_value(iri: &str) -> Option<AgentValue> {
    Some(match iri {
        acp::PUBLIC_AGENT => AgentValue::Public,
        acp::AUTHENTICATED_AGENT => AgentValue::Authenticated,
        acp::CREATOR_AGENT => AgentValue::Creator,
        acp::OWNER_AGENT => AgentValue::Owner,
        other if other.starts_with(acp::NS) => return None,
        other => AgentValue::Agent(other.into()),
    })
}

/// As [`agent_value`], for clients and issuers with their names for anyone and for whoever is known.
fn value(iri: &str, [public, authenticated]: [&str; 2]) -> Option<Value> {
    Some(if iri == public {
        Value::Public
    } else if iri == authenticated {
        Value::Authenticated
    } else if iri.starts_with(acp::NS) {
        return None;
    } else {
        Value::Iri(iri.into())
    })
}
