//! From RDF to policies, with the path to whatever cannot be read.
//!
//! Compact policies (targets, parties and actions on the policy, several values in a rule) are expanded to atomic rules
//! as the information model says. A term that is not understood here is an error, or kept as a flag on the rule it stands
//! in, which then grants nothing; it is never left out silently.

use std::collections::{HashMap, HashSet};

use oxrdf::{NamedOrBlankNode, Quad, Term};
use oxttl::TurtleParser;

use super::json_ld;
use super::model::{ConflictStrategy, Policy, PolicyKind};
use super::rules::{Shared, single};
use crate::nesting::{self, Grammar};
use crate::written::Written;

/// Bounds on a document with policies.
#[derive(Clone, Copy, Debug)]
pub struct OdrlLimits {
    /// Largest document, in bytes.
    pub bytes_max: usize,
    /// Most quads.
    pub quads_max: usize,
    /// Most policies in one document.
    pub policies_max: usize,
    /// Most atomic rules in one policy, after expansion.
    pub rules_max: usize,
    /// Deepest nesting of constraints and duties.
    pub depth_max: usize,
    /// Most constraints, duties and values read, counted each time they are reached.
    pub nodes_max: usize,
}

impl Default for OdrlLimits {
    fn default() -> Self {
        Self {
            bytes_max: 1024 * 1024,
            quads_max: 20_000,
            policies_max: 100,
            rules_max: 200,
            depth_max: 16,
            nodes_max: 20_000,
        }
    }
}

/// Why a document holds no usable policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not Turtle or not JSON-LD.
    #[error("not valid {format}{}: {message}", line.map(|line| format!(" at line {line}")).unwrap_or_default())]
    Syntax {
        /// The media type that was expected.
        format: &'static str,
        /// Line, from 1, where known.
        line: Option<u64>,
        /// What the parser says.
        message: String,
    },
    /// A bound is exceeded.
    #[error("more than {allowed} {what} (`{bound}`)")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound's name in [`OdrlLimits`].
        bound: &'static str,
        /// Its value.
        allowed: usize,
    },
    /// Something in a policy cannot be read.
    #[error("{path}: {problem}")]
    At {
        /// Where: `<policy> permission[0] constraint[1]`.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

/// How to read what the information model leaves out or does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Flag terms that are not understood on the rule they stand in, instead of refusing the document.
    pub keep_unknown: bool,
    /// Take a rule without target or action as one about every target or action. The information model asks for both;
    /// only suites that mean it so are read like this.
    pub absent_is_any: bool,
}

impl Reading {
    /// Refuse what is not understood or not complete.
    pub const STRICT: Self = Self {
        keep_unknown: false,
        absent_is_any: false,
    };
    /// Keep and flag what is not understood.
    pub const KEEPING: Self = Self {
        keep_unknown: true,
        absent_is_any: false,
    };
}

pub(super) type Statements<'q> = Vec<(&'q str, &'q Term)>;

/// Reads every policy in these quads (of any graph), in the order of their IRIs.
///
/// # Errors
/// See [`ParseError`].
pub fn parse(quads: &[Quad], limits: &OdrlLimits) -> Result<Vec<Policy>, ParseError> {
    parse_as(quads, limits, Reading::STRICT)?.into_iter().collect()
}

/// Reads every policy in these quads as `reading` says, each by itself: one that cannot be read does not hide the others.
///
/// # Errors
/// [`ParseError::TooLarge`] over a bound of the whole document.
pub fn parse_as(
    quads: &[Quad],
    limits: &OdrlLimits,
    reading: Reading,
) -> Result<Vec<Result<Policy, ParseError>>, ParseError> {
    if quads.len() > limits.quads_max {
        return Err(too_large("quads", "quads_max", limits.quads_max));
    }
    let mut nodes: HashMap<&NamedOrBlankNode, Statements<'_>> = HashMap::new();
    let mut subjects: Vec<&NamedOrBlankNode> = Vec::new();
    let mut seen = HashSet::new();
    let mut inverse: HashMap<&Term, Vec<(&str, Term)>> = HashMap::new();
    // Document order is kept: labels of blank nodes are arbitrary, so nothing may be sorted by them.
    for quad in quads {
        if seen.insert((&quad.subject, &quad.predicate, &quad.object)) {
            if [
                vocab::odrl::HAS_POLICY,
                vocab::odrl::ASSIGNER_OF,
                vocab::odrl::ASSIGNEE_OF,
            ]
            .contains(&quad.predicate.as_str())
            {
                let link = (quad.predicate.as_str(), Term::from(quad.subject.clone()));
                inverse.entry(&quad.object).or_default().push(link);
            }
            nodes
                .entry(&quad.subject)
                .or_insert_with(|| {
                    subjects.push(&quad.subject);
                    Vec::new()
                })
                .push((quad.predicate.as_str(), &quad.object));
        }
    }
    subjects.retain(|subject| nodes.get(subject).is_some_and(|statements| is_policy(statements)));
    if subjects.len() > limits.policies_max {
        return Err(too_large("policies", "policies_max", limits.policies_max));
    }
    let mut reader = Reader {
        nodes,
        inverse,
        limits,
        reading,
        visited: 0,
        flagged: Vec::new(),
    };
    let mut policies: Vec<(String, Result<Policy, ParseError>)> = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let policy = reader.policy(subject);
        if let Err(error @ ParseError::TooLarge { .. }) = policy {
            return Err(error);
        }
        let id = policy
            .as_ref()
            .map_or_else(|_| subject.to_string(), |policy| policy.id.clone());
        policies.push((id, policy));
    }
    policies.sort_by(|a, b| a.0.cmp(&b.0));
    let mut told: Vec<Result<Policy, ParseError>> = Vec::with_capacity(policies.len());
    let mut last = None;
    for (id, policy) in policies {
        let twice = policy.is_ok() && last.as_ref() == Some(&id);
        told.push(if twice {
            Err(at(&format!("<{id}>"), "is described by two nodes"))
        } else {
            policy
        });
        last = Some(id);
    }
    Ok(told)
}

/// Reads every policy in a Turtle document.
///
/// # Errors
/// See [`ParseError`].
pub fn parse_turtle(turtle: &[u8], base: &str, limits: &OdrlLimits) -> Result<Vec<Policy>, ParseError> {
    parse(&turtle_quads(turtle, base, limits)?, limits)
}

/// Reads a Turtle document (or N-Triples, which is Turtle) to quads of the default graph.
///
/// # Errors
/// [`ParseError::Syntax`] with the line, [`ParseError::TooLarge`] over a bound.
pub fn turtle_quads(turtle: &[u8], base: &str, limits: &OdrlLimits) -> Result<Vec<Quad>, ParseError> {
    if turtle.len() > limits.bytes_max {
        return Err(too_large("bytes", "bytes_max", limits.bytes_max));
    }
    let syntax = |line, message| ParseError::Syntax {
        format: "text/turtle",
        line,
        message,
    };
    nesting::check(turtle, Grammar::Turtle, nesting::DEPTH_MAX)
        .map_err(|error| syntax(Some(error.line), error.to_string()))?;
    let parser = TurtleParser::new()
        .with_base_iri(base)
        .map_err(|error| syntax(None, format!("the base `{base}` is not an absolute IRI: {error}")))?;
    let (mut quads, mut written) = (Vec::new(), Written::of(turtle.len()));
    for triple in parser.for_slice(turtle) {
        let triple = triple.map_err(|e| syntax(Some(e.location().start.line + 1), e.message().to_owned()))?;
        if quads.len() >= limits.quads_max {
            return Err(too_large("quads", "quads_max", limits.quads_max));
        }
        let quad = triple.in_graph(oxrdf::GraphName::DefaultGraph);
        written
            .takes(quad.as_ref())
            .map_err(|error| syntax(None, error.to_string()))?;
        quads.push(quad);
    }
    Ok(quads)
}

/// Reads every policy in a JSON-LD document. The ODRL context is built in; no context is ever fetched.
///
/// # Errors
/// See [`ParseError`].
pub fn parse_json_ld(json: &[u8], base: &str, limits: &OdrlLimits) -> Result<Vec<Policy>, ParseError> {
    parse(&json_ld::quads(json, base, limits)?, limits)
}

pub(super) fn too_large(what: &'static str, bound: &'static str, allowed: usize) -> ParseError {
    ParseError::TooLarge { what, bound, allowed }
}

fn is_policy(statements: &Statements<'_>) -> bool {
    use vocab::odrl;
    statements.iter().any(|(predicate, object)| match *predicate {
        odrl::PERMISSION | odrl::PROHIBITION | odrl::OBLIGATION => true,
        vocab::rdf::TYPE => kind_of(object).is_some(),
        _ => false,
    })
}

/// `Some(None)` for the general class of policies.
fn kind_of(class: &Term) -> Option<Option<PolicyKind>> {
    let Term::NamedNode(class) = class else { return None };
    match class.as_str() {
        vocab::odrl::SET => Some(Some(PolicyKind::Set)),
        vocab::odrl::OFFER => Some(Some(PolicyKind::Offer)),
        vocab::odrl::AGREEMENT => Some(Some(PolicyKind::Agreement)),
        vocab::odrl::POLICY_CLASS => Some(None),
        _ => None,
    }
}

pub(super) fn at(path: &str, problem: impl Into<String>) -> ParseError {
    ParseError::At {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// Words for people on a node; they carry no rule.
pub(super) fn is_remark(predicate: &str) -> bool {
    [vocab::rdfs::NS, vocab::dcterms::NS, vocab::skos::NS]
        .iter()
        .any(|namespace| predicate.starts_with(namespace))
}

pub(super) fn iri<'t>(term: &'t Term, path: &str, what: &str) -> Result<&'t str, ParseError> {
    match term {
        Term::NamedNode(node) => Ok(node.as_str()),
        other => Err(at(path, format!("{what} must be an IRI, not `{other}`"))),
    }
}

pub(super) struct Reader<'q> {
    nodes: HashMap<&'q NamedOrBlankNode, Statements<'q>>,
    /// Links that point at a policy: from its asset, its assigner, its assignee.
    inverse: HashMap<&'q Term, Vec<(&'q str, Term)>>,
    pub(super) limits: &'q OdrlLimits,
    pub(super) reading: Reading,
    visited: usize,
    /// What was not understood since the rule under way began.
    pub(super) flagged: Vec<String>,
}

impl<'q> Reader<'q> {
    pub(super) fn node_statements(&self, term: &Term) -> Statements<'q> {
        let node = match term {
            Term::NamedNode(node) => NamedOrBlankNode::from(node.clone()),
            Term::BlankNode(node) => NamedOrBlankNode::from(node.clone()),
            _ => return Vec::new(),
        };
        self.nodes.get(&node).cloned().unwrap_or_default()
    }

    /// Flags what is not understood, or refuses it.
    pub(super) fn unknown(&mut self, path: &str, term: &str) -> Result<(), ParseError> {
        if !self.reading.keep_unknown {
            return Err(at(path, format!("`{term}` is not understood")));
        }
        self.flagged.push(term.to_owned());
        Ok(())
    }

    /// Counts one more node, and refuses beyond the bounds; this ends every walk through cyclic or shared nodes.
    pub(super) fn enter(&mut self, depth: usize) -> Result<(), ParseError> {
        self.visited += 1;
        if self.visited > self.limits.nodes_max {
            return Err(too_large(
                "constraints, duties and values",
                "nodes_max",
                self.limits.nodes_max,
            ));
        }
        if depth > self.limits.depth_max {
            return Err(too_large("levels of nesting", "depth_max", self.limits.depth_max));
        }
        Ok(())
    }

    fn policy(&mut self, subject: &NamedOrBlankNode) -> Result<Policy, ParseError> {
        use vocab::odrl;
        let term = Term::from(subject.clone());
        let statements = self.node_statements(&term);
        let uid = statements
            .iter()
            .find(|(predicate, _)| *predicate == odrl::UID)
            .map(|(_, object)| *object);
        let id = match (uid, &term) {
            (Some(uid), _) => iri(uid, &term.to_string(), "odrl:uid")?.to_owned(),
            (None, Term::NamedNode(node)) => node.as_str().to_owned(),
            _ => return Err(at(&term.to_string(), "a policy needs an IRI")),
        };
        let path = format!("<{id}>");
        let mut policy = Policy::new(id, PolicyKind::Set);
        let mut kind = None;
        let mut shared = Shared::default();
        self.flagged.clear();
        for (predicate, object) in &statements {
            match *predicate {
                vocab::rdf::TYPE => match kind_of(object) {
                    Some(Some(found)) if kind.is_some_and(|kind| kind != found) => {
                        return Err(at(&path, "is of two kinds of policy at once"));
                    }
                    Some(Some(found)) => kind = Some(found),
                    Some(None) => {}
                    None => {
                        // A request, a ticket, a privacy policy: kinds whose meaning is not defined well enough to grant.
                        if let Term::NamedNode(class) = object
                            && class.as_str().starts_with(odrl::NS)
                        {
                            self.flagged.push(class.as_str().to_owned());
                        }
                        policy.annotations.push(((*predicate).to_owned(), (*object).clone()));
                    }
                },
                odrl::UID | odrl::PERMISSION | odrl::PROHIBITION | odrl::OBLIGATION => {}
                odrl::INHERIT_FROM => policy
                    .inherit_from
                    .push(iri(object, &path, "odrl:inheritFrom")?.to_owned()),
                odrl::PROFILE => policy.profiles.push(iri(object, &path, "odrl:profile")?.to_owned()),
                odrl::CONFLICT => {
                    if policy.conflict.is_some() {
                        return Err(at(&path, "has more than one odrl:conflict"));
                    }
                    policy.conflict = Some(conflict(object, &path)?);
                }
                _ if self.shared(predicate, object, &path, &mut shared)? => {}
                other if other.starts_with(odrl::NS) => self.unknown(&path, other)?,
                other => match object {
                    Term::BlankNode(_) if self.reading.keep_unknown => {}
                    Term::BlankNode(_) => return Err(at(&path, format!("`{other}` must not be a blank node"))),
                    value => policy.annotations.push((other.to_owned(), (*value).clone())),
                },
            }
        }
        policy.kind = kind.unwrap_or(PolicyKind::Set);
        self.inferred(&term, &path, &mut shared)?;
        policy.unknown = std::mem::take(&mut self.flagged);
        policy.assigner = single(&shared.assigners, &path, "assigner")?;
        policy.assignee = single(&shared.assignees, &path, "assignee")?;
        self.rules(&statements, &path, &shared, &mut policy)?;
        Ok(policy)
    }

    /// `odrl:hasPolicy`, `odrl:assignerOf` and `odrl:assigneeOf` say from the other side what the policy leaves out.
    fn inferred(&mut self, policy: &Term, path: &str, shared: &mut Shared) -> Result<(), ParseError> {
        let links = self.inverse.get(policy).cloned().unwrap_or_default();
        let said = (
            !shared.targets.is_empty(),
            !shared.assigners.is_empty(),
            !shared.assignees.is_empty(),
        );
        for (predicate, subject) in links {
            match (predicate, said) {
                (vocab::odrl::HAS_POLICY, (false, _, _)) => {
                    let target = self.target(&subject, path)?;
                    shared.targets.push(target);
                }
                (vocab::odrl::ASSIGNER_OF, (_, false, _)) => {
                    let party = self.party(&subject, path)?;
                    shared.assigners.push(party);
                }
                (vocab::odrl::ASSIGNEE_OF, (_, _, false)) => {
                    let party = self.party(&subject, path)?;
                    shared.assignees.push(party);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn conflict(object: &Term, path: &str) -> Result<ConflictStrategy, ParseError> {
    match iri(object, path, "odrl:conflict")? {
        vocab::odrl::PERM => Ok(ConflictStrategy::Perm),
        vocab::odrl::PROHIBIT => Ok(ConflictStrategy::Prohibit),
        vocab::odrl::INVALID => Ok(ConflictStrategy::Invalid),
        other => Err(at(path, format!("`{other}` is not a conflict strategy"))),
    }
}
