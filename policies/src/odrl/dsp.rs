//! A policy in the short form of the Dataspace Protocol 2025-1, which carries less than ODRL: what it cannot carry is
//! named and nothing is left out.

use oxrdf::Term;
use serde_json::{Map, Value, json};
use vocab::odrl;

use super::model::{AtomicConstraint, Constraint, Duty, LogicalOperator, Party, Policy, PolicyKind, Target};

/// The context that the short names are of.
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// Something that the protocol's form has no place for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the Dataspace Protocol cannot carry {what}")]
pub struct NotCarried {
    /// Where it stands.
    pub path: String,
    /// What it is.
    pub what: &'static str,
}

/// The policy as an object of a message: with its target where it is negotiated, without where it stands in a catalogue.
///
/// # Errors
/// Everything that the protocol cannot carry; such a policy has to be offered by reference or not at all.
pub fn to_dsp(policy: &Policy, in_catalogue: bool) -> Result<Value, Vec<NotCarried>> {
    let mut writer = Writer { lost: Vec::new() };
    let mut object = Map::new();
    object.insert("@id".into(), json!(policy.id));
    object.insert("@type".into(), json!(vocab::local_name(policy.kind.iri())));
    writer.whole(policy);
    match policy.profiles.as_slice() {
        [] => {}
        [one] => _ = object.insert("profile".into(), json!(one)),
        several => _ = object.insert("profile".into(), json!(several)),
    }
    for (name, party) in [("assigner", &policy.assigner), ("assignee", &policy.assignee)] {
        if let Some(party) = party {
            writer.party(party, name);
            object.insert(name.into(), json!(party.id));
        }
    }
    match policy.dataset() {
        Some(target) if !in_catalogue => _ = object.insert("target".into(), json!(target)),
        Some(_) => {}
        None => writer.lose("policy", "rules about several assets"),
    }
    let mut permissions = Vec::new();
    for (index, rule) in policy.permissions.iter().enumerate() {
        let path = format!("permission[{index}]");
        let parts = (&rule.target, rule.assigner.as_ref(), rule.assignee.as_ref());
        let mut written = writer.rule(&path, parts, &rule.action, &rule.constraints, !rule.unknown.is_empty());
        let duties: Vec<Value> = rule
            .duties
            .iter()
            .enumerate()
            .map(|(index, duty)| writer.duty(duty, &format!("{path} duty[{index}]")))
            .collect();
        if !duties.is_empty() {
            written.insert("duty".into(), duties.into());
        }
        permissions.push(Value::from(written));
    }
    let mut prohibitions = Vec::new();
    for (index, rule) in policy.prohibitions.iter().enumerate() {
        let path = format!("prohibition[{index}]");
        if !rule.remedies.is_empty() {
            writer.lose(&path, "a remedy");
        }
        let parts = (&rule.target, rule.assigner.as_ref(), rule.assignee.as_ref());
        let written = writer.rule(&path, parts, &rule.action, &rule.constraints, !rule.unknown.is_empty());
        prohibitions.push(Value::from(written));
    }
    let obligations: Vec<Value> = policy
        .obligations
        .iter()
        .enumerate()
        .map(|(index, duty)| writer.duty(duty, &format!("obligation[{index}]")))
        .collect();
    for (name, rules) in [
        ("permission", permissions),
        ("prohibition", prohibitions),
        ("obligation", obligations),
    ] {
        if !rules.is_empty() {
            object.insert(name.into(), rules.into());
        }
    }
    if writer.lost.is_empty() {
        Ok(object.into())
    } else {
        Err(writer.lost)
    }
}

struct Writer {
    lost: Vec<NotCarried>,
}

type Parts<'p> = (&'p Target, Option<&'p Party>, Option<&'p Party>);

impl Writer {
    fn lose(&mut self, path: &str, what: &'static str) {
        self.lost.push(NotCarried {
            path: path.to_owned(),
            what,
        });
    }

    fn whole(&mut self, policy: &Policy) {
        if !policy.inherit_from.is_empty() {
            self.lose("policy", "inheritance");
        }
        if policy.conflict.is_some() {
            self.lose("policy", "a conflict strategy");
        }
        if !policy.unknown.is_empty() {
            self.lose("policy", "a term that is not understood here");
        }
        if policy.permissions.is_empty() && policy.prohibitions.is_empty() {
            self.lose("policy", "a policy without permission and prohibition");
        }
        if policy.kind == PolicyKind::Agreement && (policy.assigner.is_none() || policy.assignee.is_none()) {
            self.lose("policy", "an agreement whose parties stand in its rules");
        }
    }

    fn party(&mut self, party: &Party, path: &str) {
        if party.collection || !party.refinements.is_empty() {
            self.lose(path, "a collection of parties");
        }
    }

    fn rule(
        &mut self,
        path: &str,
        (target, assigner, assignee): Parts<'_>,
        action: &super::Action,
        constraints: &[Constraint],
        unknown: bool,
    ) -> Map<String, Value> {
        if target.collection || !target.refinements.is_empty() {
            self.lose(path, "a refined asset");
        }
        if assigner.is_some() || assignee.is_some() {
            self.lose(path, "parties of a single rule");
        }
        if unknown {
            self.lose(path, "a term that is not understood here");
        }
        self.action(path, action, constraints)
    }

    fn duty(&mut self, duty: &Duty, path: &str) -> Value {
        if !duty.consequences.is_empty() {
            self.lose(path, "a consequence");
        }
        if duty.target.is_some() || !duty.parties.is_empty() {
            self.lose(path, "an asset or a party of a duty");
        }
        if !duty.unknown.is_empty() {
            self.lose(path, "a term that is not understood here");
        }
        self.action(path, &duty.action, &duty.constraints).into()
    }

    fn action(&mut self, path: &str, action: &super::Action, constraints: &[Constraint]) -> Map<String, Value> {
        if !action.refinements.is_empty() {
            self.lose(path, "a refined action");
        }
        let mut object = Map::new();
        object.insert("action".into(), short(&action.id).into());
        let written: Vec<Value> = constraints
            .iter()
            .enumerate()
            .map(|(index, constraint)| self.constraint(constraint, &format!("{path} constraint[{index}]")))
            .collect();
        if !written.is_empty() {
            object.insert("constraint".into(), written.into());
        }
        object
    }

    fn constraint(&mut self, constraint: &Constraint, path: &str) -> Value {
        match constraint {
            Constraint::Atomic(atomic) => self.atomic(atomic, path),
            Constraint::Logical(logical) => {
                let name = match logical.operator {
                    LogicalOperator::And => "and",
                    LogicalOperator::Or => "or",
                    LogicalOperator::Xone => "xone",
                    LogicalOperator::AndSequence => "andSequence",
                };
                let operands: Vec<Value> = logical
                    .operands
                    .iter()
                    .enumerate()
                    .map(|(index, operand)| self.constraint(operand, &format!("{path} operand[{index}]")))
                    .collect();
                json!({ name: operands })
            }
        }
    }

    fn atomic(&mut self, atomic: &AtomicConstraint, path: &str) -> Value {
        if atomic.right_operand_reference.is_some() {
            self.lose(path, "a reference to a right operand");
        }
        if atomic.unit.is_some() || atomic.data_type.is_some() || atomic.status.is_some() {
            self.lose(path, "a unit, a datatype or a status");
        }
        let values: Vec<Value> = atomic.right_operands.iter().map(right_operand).collect();
        let values = match values.as_slice() {
            [one] => one.clone(),
            _ => values.into(),
        };
        json!({
            "leftOperand": short(&atomic.left_operand),
            "operator": short(atomic.operator.iri()),
            "rightOperand": values,
        })
    }
}

/// Terms of ODRL by their short name, all others in full.
fn short(iri: &str) -> &str {
    iri.strip_prefix(odrl::NS).unwrap_or(iri)
}

fn right_operand(term: &Term) -> Value {
    match term {
        Term::Literal(literal) => match literal.language() {
            Some(language) => json!({ "@value": literal.value(), "@language": language }),
            None if literal.datatype().as_str() == vocab::xsd::STRING => literal.value().into(),
            None => json!({ "@value": literal.value(), "@type": literal.datatype().as_str() }),
        },
        Term::NamedNode(node) => json!({ "@id": node.as_str() }),
        other => other.to_string().into(),
    }
}
