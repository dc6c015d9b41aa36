//! From RDF to policies, with the path to whatever cannot be read.
//!
//! Compact policies (targets, parties and actions on the policy, several values in a rule) are expanded to atomic rules
//! as the information model says. A term of the ODRL namespace that is not understood here is an error, never left out.

use std::collections::{HashMap, HashSet};

use oxrdf::{NamedOrBlankNode, Quad, Term};
use oxttl::TurtleParser;

use super::json_ld;
use super::model::{
    Action, ConflictStrategy, Constraint, Duty, Party, Permission, Policy, PolicyKind, Prohibition, Target,
};
use crate::nesting::{self, Grammar};

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

type Statements<'q> = Vec<(&'q str, &'q Term)>;

/// Reads every policy in these quads (of any graph), in the order of their IRIs.
///
/// # Errors
/// See [`ParseError`].
pub fn parse(quads: &[Quad], limits: &OdrlLimits) -> Result<Vec<Policy>, ParseError> {
    if quads.len() > limits.quads_max {
        return Err(too_large("quads", "quads_max", limits.quads_max));
    }
    let mut nodes: HashMap<&NamedOrBlankNode, Statements<'_>> = HashMap::new();
    let mut subjects: Vec<&NamedOrBlankNode> = Vec::new();
    let mut seen = HashSet::new();
    // Document order is kept: labels of blank nodes are arbitrary, so nothing may be sorted by them.
    for quad in quads {
        if seen.insert((&quad.subject, &quad.predicate, &quad.object)) {
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
    let mut reader = Reader {
        nodes,
        limits,
        visited: 0,
    };
    if subjects.len() > limits.policies_max {
        return Err(too_large("policies", "policies_max", limits.policies_max));
    }
    let mut policies = Vec::with_capacity(subjects.len());
    for subject in subjects {
        policies.push(reader.policy(subject)?);
    }
    policies.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some(pair) = policies
        .windows(2)
        .find(|pair| pair.first().map(|a| &a.id) == pair.get(1).map(|b| &b.id))
    {
        let id = pair.first().map(|policy| policy.id.clone()).unwrap_or_default();
        return Err(at(&format!("<{id}>"), "is described by two nodes"));
    }
    Ok(policies)
}

/// Reads every policy in a Turtle document.
///
/// # Errors
/// See [`ParseError`].
pub fn parse_turtle(turtle: &[u8], base: &str, limits: &OdrlLimits) -> Result<Vec<Policy>, ParseError> {
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
    let mut quads = Vec::new();
    for triple in parser.for_slice(turtle) {
        let triple = triple.map_err(|e| syntax(Some(e.location().start.line + 1), e.message().to_owned()))?;
        if quads.len() >= limits.quads_max {
            return Err(too_large("quads", "quads_max", limits.quads_max));
        }
        quads.push(triple.in_graph(oxrdf::GraphName::DefaultGraph));
    }
    parse(&quads, limits)
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

/// Parties, targets and actions given for a policy as a whole.
#[derive(Default)]
struct Shared {
    targets: Vec<Target>,
    actions: Vec<Action>,
    assigners: Vec<Party>,
    assignees: Vec<Party>,
}

pub(super) struct Reader<'q> {
    nodes: HashMap<&'q NamedOrBlankNode, Statements<'q>>,
    limits: &'q OdrlLimits,
    visited: usize,
}

/// What a rule holds before it is expanded to atomic ones.
#[derive(Default)]
struct RawRule {
    id: Option<String>,
    shared: Shared,
    constraints: Vec<Constraint>,
    duties: Vec<Duty>,
    remedies: Vec<Duty>,
    consequences: Vec<Duty>,
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
        for (predicate, object) in &statements {
            match *predicate {
                vocab::rdf::TYPE => match kind_of(object) {
                    Some(Some(found)) if kind.is_some_and(|kind| kind != found) => {
                        return Err(at(&path, "is of two kinds of policy at once"));
                    }
                    Some(Some(found)) => kind = Some(found),
                    Some(None) => {}
                    None => policy.annotations.push(((*predicate).to_owned(), (*object).clone())),
                },
                odrl::UID | odrl::PERMISSION | odrl::PROHIBITION | odrl::OBLIGATION => {}
                odrl::PROFILE => policy.profiles.push(iri(object, &path, "odrl:profile")?.to_owned()),
                odrl::CONFLICT => {
                    if policy.conflict.is_some() {
                        return Err(at(&path, "has more than one odrl:conflict"));
                    }
                    policy.conflict = Some(conflict(object, &path)?);
                }
                _ if self.shared(predicate, object, &path, &mut shared)? => {}
                other if other.starts_with(odrl::NS) => return Err(at(&path, format!("`{other}` is not understood"))),
                other => match object {
                    Term::BlankNode(_) => return Err(at(&path, format!("`{other}` must not be a blank node"))),
                    value => policy.annotations.push((other.to_owned(), (*value).clone())),
                },
            }
        }
        policy.kind = kind.unwrap_or(PolicyKind::Set);
        policy.assigner = single(&shared.assigners, &path, "assigner")?;
        policy.assignee = single(&shared.assignees, &path, "assignee")?;
        self.rules(&statements, &path, &shared, &mut policy)?;
        Ok(policy)
    }

    fn rules(
        &mut self,
        statements: &Statements<'q>,
        path: &str,
        shared: &Shared,
        policy: &mut Policy,
    ) -> Result<(), ParseError> {
        use vocab::odrl;
        let (mut permission, mut prohibition, mut obligation) = (0usize, 0usize, 0usize);
        for (predicate, object) in statements {
            match *predicate {
                odrl::PERMISSION => {
                    let path = format!("{path} permission[{permission}]");
                    permission += 1;
                    let rule = self.rule(object, &path, 0)?;
                    if !rule.remedies.is_empty() || !rule.consequences.is_empty() {
                        return Err(at(&path, "a permission has neither odrl:remedy nor odrl:consequence"));
                    }
                    self.expand(&rule, shared, &path, |atomic| {
                        policy.permissions.push(Permission {
                            id: atomic.id,
                            target: atomic.target,
                            assigner: atomic.assigner,
                            assignee: atomic.assignee,
                            action: atomic.action,
                            constraints: rule.constraints.clone(),
                            duties: rule.duties.clone(),
                        });
                        policy.rules()
                    })?;
                }
                odrl::PROHIBITION => {
                    let path = format!("{path} prohibition[{prohibition}]");
                    prohibition += 1;
                    let rule = self.rule(object, &path, 0)?;
                    if !rule.duties.is_empty() || !rule.consequences.is_empty() {
                        return Err(at(&path, "a prohibition has neither odrl:duty nor odrl:consequence"));
                    }
                    self.expand(&rule, shared, &path, |atomic| {
                        policy.prohibitions.push(Prohibition {
                            id: atomic.id,
                            target: atomic.target,
                            assigner: atomic.assigner,
                            assignee: atomic.assignee,
                            action: atomic.action,
                            constraints: rule.constraints.clone(),
                            remedies: rule.remedies.clone(),
                        });
                        policy.rules()
                    })?;
                }
                odrl::OBLIGATION => {
                    let path = format!("{path} obligation[{obligation}]");
                    obligation += 1;
                    let duty = self.duty(object, &path, 0)?;
                    policy.obligations.push(duty);
                    if policy.rules() > self.limits.rules_max {
                        return Err(too_large("rules", "rules_max", self.limits.rules_max));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a statement that may stand on a policy or on a rule; false when it is something else.
    fn shared(&mut self, predicate: &str, object: &Term, path: &str, into: &mut Shared) -> Result<bool, ParseError> {
        use vocab::odrl;
        match predicate {
            odrl::TARGET => {
                let target = self.target(object, path)?;
                into.targets.push(target);
            }
            odrl::ACTION => {
                let action = self.action(object, path)?;
                into.actions.push(action);
            }
            odrl::ASSIGNER => {
                let party = self.party(object, path)?;
                into.assigners.push(party);
            }
            odrl::ASSIGNEE => {
                let party = self.party(object, path)?;
                into.assignees.push(party);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn rule(&mut self, term: &Term, path: &str, depth: usize) -> Result<RawRule, ParseError> {
        use vocab::odrl;
        self.enter(depth)?;
        let mut rule = RawRule::default();
        match term {
            Term::NamedNode(node) => rule.id = Some(node.as_str().to_owned()),
            Term::BlankNode(_) => {}
            other => return Err(at(path, format!("a rule must be a node, not `{other}`"))),
        }
        let statements = self.node_statements(term);
        if statements.is_empty() {
            return Err(at(path, "the rule says nothing"));
        }
        for (predicate, object) in statements {
            match predicate {
                vocab::rdf::TYPE => {}
                odrl::UID => rule.id = Some(iri(object, path, "odrl:uid")?.to_owned()),
                odrl::CONSTRAINT => {
                    let path = format!("{path} constraint[{}]", rule.constraints.len());
                    let constraint = self.constraint(object, &path, depth + 1)?;
                    rule.constraints.push(constraint);
                }
                odrl::DUTY => {
                    let duty = self.duty(object, &format!("{path} duty[{}]", rule.duties.len()), depth + 1)?;
                    rule.duties.push(duty);
                }
                odrl::REMEDY => {
                    let duty = self.duty(object, &format!("{path} remedy[{}]", rule.remedies.len()), depth + 1)?;
                    rule.remedies.push(duty);
                }
                odrl::CONSEQUENCE => {
                    let path = format!("{path} consequence[{}]", rule.consequences.len());
                    let duty = self.duty(object, &path, depth + 1)?;
                    rule.consequences.push(duty);
                }
                other if is_remark(other) => {}
                other => {
                    if !self.shared(other, object, path, &mut rule.shared)? {
                        return Err(at(path, format!("`{other}` is not understood")));
                    }
                }
            }
        }
        Ok(rule)
    }

    fn duty(&mut self, term: &Term, path: &str, depth: usize) -> Result<Duty, ParseError> {
        let rule = self.rule(term, path, depth)?;
        let [action] = rule.shared.actions.as_slice() else {
            return Err(at(path, "a duty has exactly one odrl:action"));
        };
        if !rule.duties.is_empty() || !rule.remedies.is_empty() {
            return Err(at(path, "a duty has neither odrl:duty nor odrl:remedy"));
        }
        if !rule.shared.assigners.is_empty() || !rule.shared.assignees.is_empty() {
            return Err(at(path, "parties of a single duty are not understood"));
        }
        Ok(Duty {
            id: rule.id,
            action: action.clone(),
            constraints: rule.constraints,
            target: single(&rule.shared.targets, path, "target")?,
            consequences: rule.consequences,
        })
    }

    /// Hands out the atomic rules of a rule: every target with every action with every party.
    fn expand(
        &self,
        rule: &RawRule,
        shared: &Shared,
        path: &str,
        mut push: impl FnMut(AtomicRule) -> usize,
    ) -> Result<(), ParseError> {
        let own = &rule.shared;
        let targets = if own.targets.is_empty() {
            &shared.targets
        } else {
            &own.targets
        };
        let actions = if own.actions.is_empty() {
            &shared.actions
        } else {
            &own.actions
        };
        if targets.is_empty() {
            return Err(at(path, "has no odrl:target"));
        }
        if actions.is_empty() {
            return Err(at(path, "has no odrl:action"));
        }
        let assigner = single(&own.assigners, path, "assigner")?;
        let assignees: Vec<Option<Party>> = match own.assignees.as_slice() {
            [] => vec![None],
            several => several.iter().cloned().map(Some).collect(),
        };
        let atomic = targets.len() == 1 && actions.len() == 1 && assignees.len() == 1;
        for target in targets {
            for action in actions {
                for assignee in &assignees {
                    let rules = push(AtomicRule {
                        id: rule.id.clone().filter(|_| atomic),
                        target: target.clone(),
                        action: action.clone(),
                        assigner: assigner.clone(),
                        assignee: assignee.clone(),
                    });
                    if rules > self.limits.rules_max {
                        return Err(too_large("rules", "rules_max", self.limits.rules_max));
                    }
                }
            }
        }
        Ok(())
    }
}

struct AtomicRule {
    id: Option<String>,
    target: Target,
    action: Action,
    assigner: Option<Party>,
    assignee: Option<Party>,
}

fn single<T: Clone>(values: &[T], path: &str, what: &str) -> Result<Option<T>, ParseError> {
    match values {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(at(path, format!("has more than one odrl:{what}"))),
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
