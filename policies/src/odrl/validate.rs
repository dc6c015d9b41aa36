//! Is a policy well formed as the information model asks, beyond what reading it already ensures?

use super::model::{Action, Constraint, Duty, Party, Policy, PolicyKind, Target};

/// Something wrong in a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem} ({rule})")]
pub struct ValidationError {
    /// Where: `permission[0] constraint[1]`, or `policy`.
    pub path: String,
    /// What.
    pub problem: &'static str,
    /// The section of the ODRL Information Model 2.2 that asks for it.
    pub rule: &'static str,
}

/// Deepest nesting that is looked into; whatever is deeper is reported as an error.
const DEPTH_MAX: usize = 32;

/// Checks a policy.
///
/// # Errors
/// Everything that is wrong, in document order.
pub fn validate(policy: &Policy) -> Result<(), Vec<ValidationError>> {
    let errors = findings(policy, false);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Everything that is wrong in a policy, in document order. In `general`, rules about everything are let through where
/// they are meant, and agreements about several assets, which the Dataspace Protocol alone forbids.
pub(super) fn findings(policy: &Policy, general: bool) -> Vec<ValidationError> {
    let mut check = Check {
        errors: Vec::new(),
        general,
    };
    check.iri(&policy.id, "policy", "its identifier must be an absolute IRI", POLICY);
    for profile in &policy.profiles {
        check.iri(profile, "policy", "odrl:profile must be an absolute IRI", PROFILE);
    }
    if !policy.inherit_from.is_empty() {
        check.report(
            "policy",
            "odrl:inheritFrom names policies whose rules are not taken over yet",
            INHERITANCE,
        );
    }
    if policy.rules() == 0 {
        check.report("policy", "has no rule", POLICY);
    }
    check.parties(policy);
    let forbidden = |id: &Option<String>| id.is_some() && policy.prohibitions.iter().any(|rule| rule.id == *id);
    if policy.permissions.iter().any(|rule| forbidden(&rule.id)) {
        check.report("policy", "one rule is both a permission and a prohibition", DUTY);
    }
    for (index, rule) in policy.permissions.iter().enumerate() {
        let path = format!("permission[{index}]");
        check.target(&rule.target, &path);
        check.action(&rule.action, &path);
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
        check.action(&rule.action, &path);
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
    check.errors
}

const POLICY: &str = "ODRL 2.2 §2.1";
const OFFER: &str = "ODRL 2.2 §2.1.2";
const AGREEMENT: &str = "ODRL 2.2 §2.1.3";
const DATASPACE: &str = "Dataspace Protocol 2025-1, contract negotiation";
const ASSET: &str = "ODRL 2.2 §2.2";
const PARTY: &str = "ODRL 2.2 §2.3";
const ACTION: &str = "ODRL 2.2 §2.4";
const CONSTRAINT: &str = "ODRL 2.2 §2.5";
const DUTY: &str = "ODRL 2.2 §2.6";
const INHERITANCE: &str = "ODRL 2.2 §2.9";
const PROFILE: &str = "ODRL 2.2 §3";

struct Check {
    errors: Vec<ValidationError>,
    general: bool,
}

impl Check {
    fn report(&mut self, path: &str, problem: &'static str, rule: &'static str) {
        self.errors.push(ValidationError {
            path: path.to_owned(),
            problem,
            rule,
        });
    }

    fn iri(&mut self, iri: &str, path: &str, problem: &'static str, rule: &'static str) {
        if oxrdf::NamedNode::new(iri).is_err() {
            self.report(path, problem, rule);
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
            PolicyKind::Offer if !assigned => self.report("policy", "an offer needs an odrl:assigner", OFFER),
            PolicyKind::Offer => {}
            PolicyKind::Agreement => {
                if !assigned {
                    self.report("policy", "an agreement needs an odrl:assigner", AGREEMENT);
                }
                if !received {
                    self.report("policy", "an agreement needs an odrl:assignee", AGREEMENT);
                }
                if some_rule && !self.general && policy.dataset().is_none() {
                    self.report("policy", "an agreement is about exactly one odrl:target", DATASPACE);
                }
            }
        }
    }

    fn target(&mut self, target: &Target, path: &str) {
        if !(self.general && target.is_anything()) {
            self.iri(&target.source, path, "odrl:target must be an absolute IRI", ASSET);
        }
        self.refined(target.collection, &target.refinements, &format!("{path} target"));
    }

    fn party(&mut self, party: Option<&Party>, path: &str) {
        if let Some(party) = party {
            self.iri(&party.id, path, "a party must be an absolute IRI", PARTY);
            self.refined(party.collection, &party.refinements, &format!("{path} party"));
        }
    }

    fn refined(&mut self, collection: bool, refinements: &[Constraint], path: &str) {
        if !refinements.is_empty() && !collection {
            self.report(path, "only a collection is refined", ASSET);
        }
        self.constraints(refinements, path, 0);
    }

    fn action(&mut self, action: &Action, path: &str) {
        if !(self.general && action.is_any()) {
            self.iri(&action.id, path, "odrl:action must be an absolute IRI", ACTION);
        }
        self.constraints(&action.refinements, &format!("{path} action"), 0);
    }

    fn duty(&mut self, duty: &Duty, path: &str, may_have_consequence: bool) {
        self.action(&duty.action, path);
        self.constraints(&duty.constraints, path, 0);
        for (_, party) in &duty.parties {
            self.party(Some(party), path);
        }
        if let Some(target) = &duty.target {
            self.target(target, path);
        }
        if !duty.consequences.is_empty() && !may_have_consequence {
            self.report(path, "a remedy or consequence has no odrl:consequence", DUTY);
            return;
        }
        for (index, consequence) in duty.consequences.iter().enumerate() {
            self.duty(consequence, &format!("{path} consequence[{index}]"), false);
        }
    }

    fn constraints(&mut self, constraints: &[Constraint], path: &str, depth: usize) {
        if depth > DEPTH_MAX {
            self.report(path, "is nested too deeply", CONSTRAINT);
            return;
        }
        for (index, constraint) in constraints.iter().enumerate() {
            let path = format!("{path} constraint[{index}]");
            match constraint {
                Constraint::Logical(logical) if logical.operands.is_empty() => {
                    self.report(&path, "a logical constraint needs operands", CONSTRAINT);
                }
                Constraint::Logical(logical) => self.constraints(&logical.operands, &path, depth + 1),
                Constraint::Atomic(atomic) => {
                    self.iri(
                        &atomic.left_operand,
                        &path,
                        "odrl:leftOperand must be an absolute IRI",
                        CONSTRAINT,
                    );
                    if atomic.right_operands.is_empty() == atomic.right_operand_reference.is_none() {
                        self.report(
                            &path,
                            "has either odrl:rightOperand or odrl:rightOperandReference",
                            CONSTRAINT,
                        );
                    }
                }
            }
        }
    }
}
