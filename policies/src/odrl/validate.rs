//! Is a policy well formed as the information model asks, beyond what reading it already ensures?

use super::model::{Constraint, Duty, Party, Policy, PolicyKind, Target};

/// Something wrong in a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ValidationError {
    /// Where: `permission[0] constraint[1]`, or `policy`.
    pub path: String,
    /// What.
    pub problem: &'static str,
}

/// Deepest nesting that is looked into; whatever is deeper is reported as an error.
const DEPTH_MAX: usize = 32;

/// Checks a policy.
///
/// # Errors
/// Everything that is wrong, in document order.
pub fn validate(policy: &Policy) -> Result<(), Vec<ValidationError>> {
    let mut check = Check { errors: Vec::new() };
    check.iri(&policy.id, "policy", "its identifier must be an absolute IRI");
    for profile in &policy.profiles {
        check.iri(profile, "policy", "odrl:profile must be an absolute IRI");
    }
    if policy.rules() == 0 {
        check.report("policy", "has no rule");
    }
    check.parties(policy);
    for (index, rule) in policy.permissions.iter().enumerate() {
        let path = format!("permission[{index}]");
        check.target(&rule.target, &path);
        check.action(&rule.action.id, &rule.action.refinements, &path);
        check.party(rule.assigner.as_ref(), &path);
        check.party(rule.assignee.as_ref(), &path);
        check.constraints(&rule.constraints, &path, 0);
        for (index, duty) in rule.duties.iter().enumerate() {
            check.duty(duty, &format!("{path} duty[{index}]"), true);
        }
    }
    for (index, rule) in policy.prohibitions.iter().enumerate() {
        let path = format!("prohibition[{index}]");
        check.target(&rule.target, &path);
        check.action(&rule.action.id, &rule.action.refinements, &path);
        check.party(rule.assigner.as_ref(), &path);
        check.party(rule.assignee.as_ref(), &path);
        check.constraints(&rule.constraints, &path, 0);
        for (index, duty) in rule.remedies.iter().enumerate() {
            check.duty(duty, &format!("{path} remedy[{index}]"), false);
        }
    }
    for (index, duty) in policy.obligations.iter().enumerate() {
        check.duty(duty, &format!("obligation[{index}]"), true);
    }
    if check.errors.is_empty() {
        Ok(())
    } else {
        Err(check.errors)
    }
}

struct Check {
    errors: Vec<ValidationError>,
}

impl Check {
    fn report(&mut self, path: &str, problem: &'static str) {
        self.errors.push(ValidationError {
            path: path.to_owned(),
            problem,
        });
    }

    fn iri(&mut self, iri: &str, path: &str, problem: &'static str) {
        if oxrdf::NamedNode::new(iri).is_err() {
            self.report(path, problem);
        }
    }

    fn parties(&mut self, policy: &Policy) {
        self.party(policy.assigner.as_ref(), "policy");
        self.party(policy.assignee.as_ref(), "policy");
        let rules = || {
            let permissions = policy.permissions.iter().map(|rule| (&rule.assigner, &rule.assignee));
            permissions.chain(policy.prohibitions.iter().map(|rule| (&rule.assigner, &rule.assignee)))
        };
        let some_rule = policy.permissions.len() + policy.prohibitions.len() > 0;
        let assigned = policy.assigner.is_some() || (some_rule && rules().all(|(assigner, _)| assigner.is_some()));
        let received = policy.assignee.is_some() || (some_rule && rules().all(|(_, assignee)| assignee.is_some()));
        match policy.kind {
            PolicyKind::Set => {}
            PolicyKind::Offer if !assigned => self.report("policy", "an offer needs an odrl:assigner"),
            PolicyKind::Offer => {}
            PolicyKind::Agreement => {
                if !assigned {
                    self.report("policy", "an agreement needs an odrl:assigner");
                }
                if !received {
                    self.report("policy", "an agreement needs an odrl:assignee");
                }
                if some_rule && policy.dataset().is_none() {
                    self.report("policy", "an agreement is about exactly one odrl:target");
                }
            }
        }
    }

    fn target(&mut self, target: &Target, path: &str) {
        self.iri(&target.source, path, "odrl:target must be an absolute IRI");
        self.refined(target.collection, &target.refinements, &format!("{path} target"));
    }

    fn party(&mut self, party: Option<&Party>, path: &str) {
        if let Some(party) = party {
            self.iri(&party.id, path, "a party must be an absolute IRI");
            self.refined(party.collection, &party.refinements, &format!("{path} party"));
        }
    }

    fn refined(&mut self, collection: bool, refinements: &[Constraint], path: &str) {
        if !refinements.is_empty() && !collection {
            self.report(path, "only a collection is refined");
        }
        self.constraints(refinements, path, 0);
    }

    fn action(&mut self, action: &str, refinements: &[Constraint], path: &str) {
        self.iri(action, path, "odrl:action must be an absolute IRI");
        self.constraints(refinements, &format!("{path} action"), 0);
    }

    fn duty(&mut self, duty: &Duty, path: &str, may_have_consequence: bool) {
        self.action(&duty.action.id, &duty.action.refinements, path);
        self.constraints(&duty.constraints, path, 0);
        if let Some(target) = &duty.target {
            self.target(target, path);
        }
        if !duty.consequences.is_empty() && !may_have_consequence {
            self.report(path, "a remedy or consequence has no odrl:consequence");
            return;
        }
        for (index, consequence) in duty.consequences.iter().enumerate() {
            self.duty(consequence, &format!("{path} consequence[{index}]"), false);
        }
    }

    fn constraints(&mut self, constraints: &[Constraint], path: &str, depth: usize) {
        if depth > DEPTH_MAX {
            self.report(path, "is nested too deeply");
            return;
        }
        for (index, constraint) in constraints.iter().enumerate() {
            let path = format!("{path} constraint[{index}]");
            match constraint {
                Constraint::Logical(logical) if logical.operands.is_empty() => {
                    self.report(&path, "a logical constraint needs operands");
                }
                Constraint::Logical(logical) => self.constraints(&logical.operands, &path, depth + 1),
                Constraint::Atomic(atomic) => {
                    self.iri(&atomic.left_operand, &path, "odrl:leftOperand must be an absolute IRI");
                    if atomic.right_operands.is_empty() == atomic.right_operand_reference.is_none() {
                        self.report(&path, "has either odrl:rightOperand or odrl:rightOperandReference");
                    }
                }
            }
        }
    }
}
