//! A full report on a policy: every rule, every premise, every constraint, also those that made no difference.
//!
//! It costs more than a decision and is made for people and for conformance suites. As RDF it uses the compliance report
//! vocabulary (`https://w3id.org/force/compliance-report#`).

use oxrdf::{BlankNode, GraphName, NamedNode, NamedOrBlankNode, Quad, Term};
use serde::Serialize;
use vocab::{force, rdf};

use super::compile::RuleKind;
use super::condition::Condition;
use super::duty::CompiledDuty;
use super::model::{Action, Constraint, Duty, Party, Policy, Target};
use super::truth::{Tally, Tri};
use super::world::{DutyState, Of, World, wider_actions};

/// What a policy says of a request, rule by rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// IRI of the policy.
    pub policy: String,
    /// Permissions, then prohibitions, in the order of the policy.
    pub rules: Vec<RuleReport>,
}

/// What a rule says of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// IRI of the rule, when it has one.
    pub rule: Option<String>,
    /// Whether it permits.
    pub permission: bool,
    /// Whether the rule holds for the request: all premises and, for a permission, all duties.
    pub active: bool,
    /// Whether the party is one of the rule's; `None` when the rule is for everyone.
    pub party: Option<bool>,
    /// Whether the asset is one of the rule's; `None` when the rule is about everything.
    pub target: Option<bool>,
    /// Whether the action is covered; `None` when the rule is about every action.
    pub action: Option<bool>,
    /// The constraints.
    pub constraints: Vec<ConstraintReport>,
    /// Duties of a permission, remedies of a prohibition, with their state.
    pub duties: Vec<(Option<String>, DutyState)>,
}

/// What became of a constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConstraintReport {
    /// IRI of the constraint, when it has one.
    pub constraint: Option<String>,
    /// Whether it holds. What cannot be said does not.
    pub satisfied: bool,
    /// Whether that could be said at all.
    pub known: bool,
    /// For a logical constraint: its operator.
    pub operator: Option<String>,
    /// For a logical constraint: its parts.
    pub parts: Vec<ConstraintReport>,
}

/// Reports on a policy. Terms that are not understood make a rule inactive if it permits and active if it forbids.
#[must_use]
pub fn report(policy: &Policy, world: &World) -> Report {
    let mut rules = Vec::with_capacity(policy.rules());
    for rule in &policy.permissions {
        let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
        let parts = (rule.id.as_ref(), assignee, &rule.target, &rule.action);
        rules.push(one(
            RuleKind::Permission,
            parts,
            &rule.constraints,
            &rule.duties,
            &[policy.unknown.as_slice(), &rule.unknown].concat(),
            world,
        ));
    }
    for rule in &policy.prohibitions {
        let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
        let parts = (rule.id.as_ref(), assignee, &rule.target, &rule.action);
        rules.push(one(
            RuleKind::Prohibition,
            parts,
            &rule.constraints,
            &rule.remedies,
            &rule.unknown,
            world,
        ));
    }
    Report {
        policy: policy.id.clone(),
        rules,
    }
}

type Parts<'p> = (Option<&'p String>, Option<&'p Party>, &'p Target, &'p Action);

fn one(
    kind: RuleKind,
    (id, assignee, target, action): Parts<'_>,
    constraints: &[Constraint],
    duties: &[Duty],
    unknown: &[String],
    world: &World,
) -> RuleReport {
    let permission = kind == RuleKind::Permission;
    let refined = |of, constraints: &[Constraint]| -> Tri {
        let mut tally = Tally::default();
        for constraint in constraints {
            tally.add(truth(of, constraint, world));
        }
        tally.answer(&super::LogicalOperator::And)
    };
    // What cannot be said counts against the one who asks.
    let counts = |truth: Tri| truth == Tri::True || (truth == Tri::Unknown && !permission);
    let among = |names: &[Box<str>], name: &str| names.iter().any(|one| **one == *name);
    let party =
        assignee.map(|party| among(&world.parties, &party.id) && counts(refined(Of::Party, &party.refinements)));
    let target = (!target.is_anything())
        .then(|| among(&world.targets, &target.source) && counts(refined(Of::Target, &target.refinements)));
    let action = (!action.is_any()).then(|| {
        let asked = world.actions.first().map_or("", AsRef::as_ref);
        let part = !permission && among(&wider_actions(&action.id, &world.concepts), asked);
        let covered = among(&world.actions, &action.id) || (!permission && among(&world.implied, &action.id)) || part;
        covered && counts(refined(Of::Request, &action.refinements))
    });
    let constraints: Vec<ConstraintReport> = constraints.iter().map(|one| constraint(one, world)).collect();
    let states: Vec<(Option<String>, DutyState)> = duties
        .iter()
        .map(|duty| {
            let performer = world.parties.first().map(AsRef::as_ref);
            (duty.id.clone(), CompiledDuty::new(duty, 0).state(world, performer))
        })
        .collect();
    let done = states.iter().zip(duties).all(|((_, state), duty)| {
        *state == DutyState::Fulfilled
            || world.executes.contains(&duty.action.id)
            || (world.behaviour.duties_may_follow && *state != DutyState::Violated)
    });
    let premises = [party, target, action]
        .into_iter()
        .all(|premise| premise.unwrap_or(true));
    let met = constraints
        .iter()
        .all(|one| one.satisfied || (!permission && !one.known));
    let understood = unknown.is_empty() || !permission;
    RuleReport {
        rule: id.cloned(),
        permission,
        active: premises && met && understood && (done || !permission),
        party,
        target,
        action,
        constraints,
        duties: states,
    }
}

fn truth(of: Of, constraint: &Constraint, world: &World) -> Tri {
    let now = world.now().unix_timestamp_nanos();
    Condition::of(of, constraint, 0).judge(world, now, &mut None).truth
}

fn constraint(one: &Constraint, world: &World) -> ConstraintReport {
    let truth = truth(Of::Request, one, world);
    let (operator, parts) = match one {
        Constraint::Atomic(_) => (None, Vec::new()),
        Constraint::Logical(logical) => (
            Some(logical.operator.iri().to_owned()),
            logical
                .operands
                .iter()
                .map(|operand| constraint(operand, world))
                .collect(),
        ),
    };
    ConstraintReport {
        constraint: one.id().map(str::to_owned),
        satisfied: truth == Tri::True,
        known: truth != Tri::Unknown,
        operator,
        parts,
    }
}

/// The report as RDF; `request` is the IRI of the request.
#[must_use]
pub fn write_report(report: &Report, request: &str) -> Vec<Quad> {
    let mut writer = Writer {
        quads: Vec::new(),
        nodes: 0,
    };
    let whole = writer.node(force::POLICY_REPORT);
    writer.iri(&whole, force::POLICY, &report.policy);
    writer.iri(&whole, force::POLICY_REQUEST, request);
    for rule in &report.rules {
        let class = if rule.permission {
            force::PERMISSION_REPORT
        } else {
            force::PROHIBITION_REPORT
        };
        let node = writer.node(class);
        writer.link(&whole, force::RULE_REPORT, &node);
        if let Some(id) = &rule.rule {
            writer.iri(&node, force::RULE, id);
        }
        writer.iri(&node, force::ATTEMPT_STATE, force::ATTEMPTED);
        let state = if rule.active { force::ACTIVE } else { force::INACTIVE };
        writer.iri(&node, force::ACTIVATION_STATE, state);
        let premises = [
            (force::PARTY_REPORT, rule.party),
            (force::TARGET_REPORT, rule.target),
            (force::ACTION_REPORT, rule.action),
        ];
        for (class, premise) in premises {
            if let Some(satisfied) = premise {
                let premise = writer.node(class);
                writer.link(&node, force::PREMISE_REPORT, &premise);
                writer.iri(&premise, force::SATISFACTION_STATE, satisfaction(satisfied));
            }
        }
        for one in &rule.constraints {
            let premise = writer.constraint(one);
            writer.link(&node, force::PREMISE_REPORT, &premise);
        }
        for (id, state) in &rule.duties {
            let duty = writer.node(force::DUTY_REPORT);
            writer.link(&node, force::CONDITION_REPORT, &duty);
            if let Some(id) = id {
                writer.iri(&duty, force::RULE, id);
            }
            let state = match state {
                DutyState::Fulfilled => force::FULFILLED,
                DutyState::Violated => force::VIOLATED,
                DutyState::NotSet | DutyState::Pending => force::NON_SET,
            };
            writer.iri(&duty, force::DEONTIC_STATE, state);
        }
    }
    writer.quads
}

fn satisfaction(satisfied: bool) -> &'static str {
    if satisfied {
        force::SATISFIED
    } else {
        force::UNSATISFIED
    }
}

struct Writer {
    quads: Vec<Quad>,
    nodes: usize,
}

impl Writer {
    fn node(&mut self, class: &str) -> NamedOrBlankNode {
        let node = NamedOrBlankNode::from(BlankNode::new_unchecked(format!("r{}", self.nodes)));
        self.nodes += 1;
        self.iri(&node, rdf::TYPE, class);
        node
    }

    fn iri(&mut self, subject: &NamedOrBlankNode, predicate: &str, object: &str) {
        self.add(subject, predicate, NamedNode::new_unchecked(object));
    }

    fn link(&mut self, subject: &NamedOrBlankNode, predicate: &str, object: &NamedOrBlankNode) {
        self.add(subject, predicate, object.clone());
    }

    fn add(&mut self, subject: &NamedOrBlankNode, predicate: &str, object: impl Into<Term>) {
        let predicate = NamedNode::new_unchecked(predicate);
        self.quads
            .push(Quad::new(subject.clone(), predicate, object, GraphName::DefaultGraph));
    }

    fn constraint(&mut self, one: &ConstraintReport) -> NamedOrBlankNode {
        let node = self.node(force::CONSTRAINT_REPORT);
        if let Some(id) = &one.constraint {
            self.iri(&node, force::CONSTRAINT, id);
        }
        if let Some(operator) = &one.operator {
            self.iri(&node, force::CONSTRAINT_LOGICAL_OPERAND, operator);
        }
        self.iri(&node, force::SATISFACTION_STATE, satisfaction(one.satisfied));
        for part in &one.parts {
            let part = self.constraint(part);
            self.link(&node, force::PREMISE_REPORT, &part);
        }
        node
    }
}
