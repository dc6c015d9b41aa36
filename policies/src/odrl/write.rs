//! From policies to RDF. The same policy gives the same quads, with the same blank node labels.

use std::collections::HashSet;

use oxjsonld::JsonLdSerializer;
use oxrdf::{BlankNode, GraphName, NamedNode, NamedOrBlankNode, Quad, Term, TripleRef};
use oxttl::TurtleSerializer;
use vocab::{odrl, rdf};

use super::model::{Action, AtomicConstraint, Constraint, Duty, LogicalConstraint, LogicalOperator, Party};
use super::model::{Policy, Target};

/// The policy as quads of the default graph. IRIs are taken as they are; see [`super::validate`].
#[must_use]
pub fn write(policy: &Policy) -> Vec<Quad> {
    let mut writer = Writer {
        quads: Vec::new(),
        blank_nodes: 0,
        written: HashSet::new(),
    };
    writer.policy(policy);
    writer.quads
}

/// The policy as Turtle.
///
/// # Errors
/// When the serializer fails, which writing to memory gives no cause for.
pub fn write_turtle(policy: &Policy) -> std::io::Result<Vec<u8>> {
    let mut serializer = PREFIXES
        .iter()
        .try_fold(TurtleSerializer::new(), |serializer, (name, iri)| {
            serializer.with_prefix(*name, *iri)
        })
        .map_err(std::io::Error::other)?
        .for_writer(Vec::new());
    for quad in &write(policy) {
        serializer.serialize_triple(TripleRef::new(&quad.subject, &quad.predicate, &quad.object))?;
    }
    serializer.finish()
}

/// The policy as JSON-LD with prefixes, readable without any remote context.
///
/// # Errors
/// When the serializer fails, which writing to memory gives no cause for.
pub fn write_json_ld(policy: &Policy) -> std::io::Result<Vec<u8>> {
    let mut serializer = PREFIXES
        .iter()
        .try_fold(JsonLdSerializer::new(), |serializer, (name, iri)| {
            serializer.with_prefix(*name, *iri)
        })
        .map_err(std::io::Error::other)?
        .for_writer(Vec::new());
    for quad in &write(policy) {
        serializer.serialize_quad(quad)?;
    }
    serializer.finish()
}

pub(super) const PREFIXES: [(&str, &str); 6] = [
    ("odrl", odrl::NS),
    ("dpv", vocab::dpv::NS),
    ("meent", vocab::meent::NS),
    ("dcterms", vocab::dcterms::NS),
    ("rdf", rdf::NS),
    ("xsd", vocab::xsd::NS),
];

struct Writer {
    quads: Vec<Quad>,
    blank_nodes: usize,
    /// Named nodes that are described already: what stands in several places is written once.
    written: HashSet<String>,
}

impl Writer {
    fn add(&mut self, subject: &NamedOrBlankNode, predicate: &str, object: impl Into<Term>) {
        self.quads.push(Quad::new(
            subject.clone(),
            NamedNode::new_unchecked(predicate),
            object,
            GraphName::DefaultGraph,
        ));
    }

    fn add_iri(&mut self, subject: &NamedOrBlankNode, predicate: &str, iri: &str) {
        self.add(subject, predicate, NamedNode::new_unchecked(iri));
    }

    fn blank(&mut self) -> NamedOrBlankNode {
        let label = format!("b{}", self.blank_nodes);
        self.blank_nodes += 1;
        BlankNode::new_unchecked(label).into()
    }

    /// A node of its own, named if the thing is, and whether it is still to be described.
    fn node(&mut self, id: Option<&String>) -> (NamedOrBlankNode, bool) {
        match id {
            Some(iri) => (NamedNode::new_unchecked(iri).into(), self.written.insert(iri.clone())),
            None => (self.blank(), true),
        }
    }

    fn policy(&mut self, policy: &Policy) {
        let subject = NamedOrBlankNode::from(NamedNode::new_unchecked(&policy.id));
        self.add_iri(&subject, rdf::TYPE, policy.kind.iri());
        for profile in &policy.profiles {
            self.add_iri(&subject, odrl::PROFILE, profile);
        }
        for parent in &policy.inherit_from {
            self.add_iri(&subject, odrl::INHERIT_FROM, parent);
        }
        if let Some(conflict) = policy.conflict {
            self.add_iri(&subject, odrl::CONFLICT, conflict.iri());
        }
        for (predicate, value) in &policy.annotations {
            self.add(&subject, predicate, value.clone());
        }
        self.party(&subject, odrl::ASSIGNER, policy.assigner.as_ref());
        self.party(&subject, odrl::ASSIGNEE, policy.assignee.as_ref());
        for rule in &policy.permissions {
            let (node, new) = self.node(rule.id.as_ref());
            self.add(&subject, odrl::PERMISSION, node.clone());
            if !new {
                continue;
            }
            self.target(&node, &rule.target);
            self.party(&node, odrl::ASSIGNER, rule.assigner.as_ref());
            self.party(&node, odrl::ASSIGNEE, rule.assignee.as_ref());
            self.action(&node, &rule.action);
            self.constraints(&node, odrl::CONSTRAINT, &rule.constraints);
            self.duties(&node, odrl::DUTY, &rule.duties);
        }
        for rule in &policy.prohibitions {
            let (node, new) = self.node(rule.id.as_ref());
            self.add(&subject, odrl::PROHIBITION, node.clone());
            if !new {
                continue;
            }
            self.target(&node, &rule.target);
            self.party(&node, odrl::ASSIGNER, rule.assigner.as_ref());
            self.party(&node, odrl::ASSIGNEE, rule.assignee.as_ref());
            self.action(&node, &rule.action);
            self.constraints(&node, odrl::CONSTRAINT, &rule.constraints);
            self.duties(&node, odrl::REMEDY, &rule.remedies);
        }
        self.duties(&subject, odrl::OBLIGATION, &policy.obligations);
    }

    fn duties(&mut self, subject: &NamedOrBlankNode, predicate: &str, duties: &[Duty]) {
        for duty in duties {
            let (node, new) = self.node(duty.id.as_ref());
            self.add(subject, predicate, node.clone());
            if !new {
                continue;
            }
            for (function, party) in &duty.parties {
                self.party(&node, function, Some(party));
            }
            self.action(&node, &duty.action);
            if let Some(target) = &duty.target {
                self.target(&node, target);
            }
            self.constraints(&node, odrl::CONSTRAINT, &duty.constraints);
            self.duties(&node, odrl::CONSEQUENCE, &duty.consequences);
        }
    }

    fn target(&mut self, subject: &NamedOrBlankNode, target: &Target) {
        if target.is_anything() {
            return;
        }
        if !target.collection {
            return self.add_iri(subject, odrl::TARGET, &target.source);
        }
        let class = odrl::ASSET_COLLECTION;
        self.collection(subject, odrl::TARGET, class, &target.source, &target.refinements);
    }

    fn party(&mut self, subject: &NamedOrBlankNode, predicate: &str, party: Option<&Party>) {
        match party {
            None => {}
            Some(party) if party.collection => {
                let class = odrl::PARTY_COLLECTION;
                self.collection(subject, predicate, class, &party.id, &party.refinements);
            }
            Some(party) => self.add_iri(subject, predicate, &party.id),
        }
    }

    fn collection(
        &mut self,
        subject: &NamedOrBlankNode,
        predicate: &str,
        class: &str,
        source: &str,
        refinements: &[Constraint],
    ) {
        let node = self.blank();
        self.add(subject, predicate, node.clone());
        self.add_iri(&node, rdf::TYPE, class);
        self.add_iri(&node, odrl::SOURCE, source);
        self.constraints(&node, odrl::REFINEMENT, refinements);
    }

    fn action(&mut self, subject: &NamedOrBlankNode, action: &Action) {
        if action.is_any() {
            return;
        }
        if action.refinements.is_empty() {
            return self.add_iri(subject, odrl::ACTION, &action.id);
        }
        let node = self.blank();
        self.add(subject, odrl::ACTION, node.clone());
        self.add_iri(&node, rdf::VALUE, &action.id);
        self.constraints(&node, odrl::REFINEMENT, &action.refinements);
    }

    fn constraints(&mut self, subject: &NamedOrBlankNode, predicate: &str, constraints: &[Constraint]) {
        for constraint in constraints {
            let node = self.constraint(constraint);
            self.add(subject, predicate, node);
        }
    }

    fn constraint(&mut self, constraint: &Constraint) -> NamedOrBlankNode {
        let (node, new) = self.node(constraint.id().map(str::to_owned).as_ref());
        if !new {
            return node;
        }
        match constraint {
            Constraint::Atomic(atomic) => self.atomic(&node, atomic),
            Constraint::Logical(logical) => self.logical(&node, logical),
        }
        node
    }

    fn atomic(&mut self, node: &NamedOrBlankNode, atomic: &AtomicConstraint) {
        self.add_iri(node, odrl::LEFT_OPERAND, &atomic.left_operand);
        self.add_iri(node, odrl::OPERATOR, atomic.operator.iri());
        for value in &atomic.right_operands {
            self.add(node, odrl::RIGHT_OPERAND, value.clone());
        }
        let references = [
            (odrl::RIGHT_OPERAND_REFERENCE, &atomic.right_operand_reference),
            (odrl::DATA_TYPE, &atomic.data_type),
            (odrl::UNIT, &atomic.unit),
        ];
        for (predicate, iri) in references {
            if let Some(iri) = iri {
                self.add_iri(node, predicate, iri);
            }
        }
        if let Some(status) = &atomic.status {
            self.add(node, odrl::STATUS, status.clone());
        }
    }

    /// Only a sequence needs its order kept; the other operators write their operands side by side.
    fn logical(&mut self, node: &NamedOrBlankNode, logical: &LogicalConstraint) {
        let operands: Vec<NamedOrBlankNode> = logical
            .operands
            .iter()
            .map(|operand| self.constraint(operand))
            .collect();
        if logical.operator != LogicalOperator::AndSequence {
            for operand in operands {
                self.add(node, logical.operator.iri(), operand);
            }
            return;
        }
        let mut rest = Term::from(NamedNode::new_unchecked(rdf::NIL));
        for operand in operands.into_iter().rev() {
            let cell = self.blank();
            self.add(&cell, rdf::FIRST, operand);
            self.add(&cell, rdf::REST, rest);
            rest = cell.into();
        }
        self.add(node, logical.operator.iri(), rest);
    }
}
