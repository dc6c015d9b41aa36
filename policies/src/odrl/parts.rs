//! Reading the parts of rules: assets, parties, actions and constraints.

use oxrdf::Term;

use super::model::{Action, AtomicConstraint, Constraint, LogicalConstraint, LogicalOperator, Operator, Party, Target};
use super::parse::{ParseError, Reader, at, iri, is_remark};

impl Reader<'_> {
    pub(super) fn target(&mut self, term: &Term, path: &str) -> Result<Target, ParseError> {
        let (source, collection, refinements) = self.asset_or_party(term, &format!("{path} target"))?;
        Ok(Target {
            source,
            collection,
            refinements,
        })
    }

    pub(super) fn party(&mut self, term: &Term, path: &str) -> Result<Party, ParseError> {
        let (id, collection, refinements) = self.asset_or_party(term, &format!("{path} party"))?;
        Ok(Party {
            id,
            collection,
            refinements,
        })
    }

    fn asset_or_party(&mut self, term: &Term, path: &str) -> Result<(String, bool, Vec<Constraint>), ParseError> {
        use vocab::odrl;
        self.enter(0)?;
        let mut id = match term {
            Term::NamedNode(node) => Some(node.as_str().to_owned()),
            Term::BlankNode(_) => None,
            other => return Err(at(path, format!("must be an IRI or a node, not `{other}`"))),
        };
        let named = id.is_some();
        let mut collection = false;
        let mut refinements = Vec::new();
        for (predicate, object) in self.node_statements(term) {
            match predicate {
                vocab::rdf::TYPE => {
                    let class = iri(object, path, "rdf:type")?;
                    collection |= class == odrl::ASSET_COLLECTION || class == odrl::PARTY_COLLECTION;
                }
                odrl::SOURCE | odrl::UID => {
                    collection |= predicate == odrl::SOURCE;
                    id = Some(iri(object, path, "odrl:source")?.to_owned());
                }
                odrl::REFINEMENT => {
                    collection = true;
                    let path = format!("{path} refinement[{}]", refinements.len());
                    refinements.push(self.constraint(object, &path, 1)?);
                }
                // The same link from the other side.
                odrl::HAS_POLICY | odrl::ASSIGNER_OF | odrl::ASSIGNEE_OF => {}
                // Statements about a named thing belong to its own description, not to this rule.
                _ if named => {}
                other if is_remark(other) => {}
                other => self.unknown(path, other)?,
            }
        }
        let id = id.ok_or_else(|| at(path, "has neither an IRI nor odrl:source"))?;
        Ok((id, collection, refinements))
    }

    pub(super) fn action(&mut self, term: &Term, path: &str) -> Result<Action, ParseError> {
        use vocab::odrl;
        let path = format!("{path} action");
        self.enter(0)?;
        let mut id = match term {
            Term::NamedNode(node) => Some(node.as_str().to_owned()),
            _ => None,
        };
        let named = id.is_some();
        let mut refinements = Vec::new();
        for (predicate, object) in self.node_statements(term) {
            match predicate {
                vocab::rdf::TYPE => {}
                vocab::rdf::VALUE => id = Some(iri(object, &path, "rdf:value")?.to_owned()),
                odrl::REFINEMENT => {
                    let path = format!("{path} refinement[{}]", refinements.len());
                    refinements.push(self.constraint(object, &path, 1)?);
                }
                // What else is said of a named action defines it and does not narrow this rule.
                _ if named => {}
                other if is_remark(other) => {}
                other => self.unknown(&path, other)?,
            }
        }
        let id = id.ok_or_else(|| at(&path, "has neither an IRI nor rdf:value"))?;
        Ok(Action { id, refinements })
    }

    pub(super) fn constraint(&mut self, term: &Term, path: &str, depth: usize) -> Result<Constraint, ParseError> {
        self.enter(depth)?;
        let statements = self.node_statements(term);
        let logical: Vec<_> = statements
            .iter()
            .filter_map(|(predicate, object)| Some((LogicalOperator::from_iri(predicate)?, *object)))
            .collect();
        if logical.is_empty() {
            return self.atomic(&statements, named(term), path, depth);
        }
        for (predicate, _) in &statements {
            let known = *predicate == vocab::rdf::TYPE || *predicate == vocab::odrl::UID;
            if !known && LogicalOperator::from_iri(predicate).is_none() && !is_remark(predicate) {
                self.unknown(path, predicate)?;
            }
        }
        let mut operands = Vec::new();
        let mut operator = None;
        for (found, object) in logical {
            if operator.as_ref().is_some_and(|operator| *operator != found) {
                return Err(at(path, "a logical constraint has one operator"));
            }
            operator = Some(found);
            for item in self.items(object, path)? {
                let path = format!("{path} operand[{}]", operands.len());
                let operand = self.constraint(&item, &path, depth + 1)?;
                operands.push(operand);
            }
        }
        match operator {
            Some(operator) if !operands.is_empty() => Ok(Constraint::Logical(LogicalConstraint {
                id: named(term),
                operator,
                operands,
            })),
            _ => Err(at(path, "a logical constraint needs operands")),
        }
    }

    fn atomic(
        &mut self,
        statements: &[(&str, &Term)],
        id: Option<String>,
        path: &str,
        depth: usize,
    ) -> Result<Constraint, ParseError> {
        use vocab::odrl;
        let mut left = None;
        let mut operator = None;
        let mut found = AtomicConstraint {
            id,
            left_operand: String::new(),
            operator: Operator::Eq,
            right_operands: Vec::new(),
            right_operand_reference: None,
            data_type: None,
            unit: None,
            status: None,
        };
        let once = |full: bool, what: &str| {
            if full {
                Err(at(path, format!("has more than one odrl:{what}")))
            } else {
                Ok(())
            }
        };
        for (predicate, object) in statements {
            match *predicate {
                vocab::rdf::TYPE | odrl::UID => {}
                odrl::LEFT_OPERAND => {
                    once(left.is_some(), "leftOperand")?;
                    left = Some(iri(object, path, "odrl:leftOperand")?.to_owned());
                }
                odrl::OPERATOR => {
                    once(operator.is_some(), "operator")?;
                    let name = iri(object, path, "odrl:operator")?;
                    operator = Operator::from_iri(name);
                    if operator.is_none() && self.reading.keep_unknown {
                        // The flag on the rule decides; what stands here is never looked at.
                        self.flagged.push(name.to_owned());
                        operator = Some(Operator::Eq);
                    }
                    if operator.is_none() {
                        return Err(at(path, format!("`{name}` is not an operator")));
                    }
                }
                odrl::RIGHT_OPERAND => {
                    for item in self.items(object, path)? {
                        self.enter(depth)?;
                        if matches!(item, Term::BlankNode(_)) {
                            return Err(at(path, "odrl:rightOperand must be an IRI or a literal"));
                        }
                        found.right_operands.push(item);
                    }
                }
                odrl::RIGHT_OPERAND_REFERENCE => {
                    once(found.right_operand_reference.is_some(), "rightOperandReference")?;
                    let reference = iri(object, path, "odrl:rightOperandReference")?;
                    found.right_operand_reference = Some(reference.to_owned());
                }
                odrl::DATA_TYPE => found.data_type = Some(iri(object, path, "odrl:dataType")?.to_owned()),
                odrl::UNIT => found.unit = Some(iri(object, path, "odrl:unit")?.to_owned()),
                odrl::STATUS => found.status = Some((*object).clone()),
                other if is_remark(other) => {}
                other => self.unknown(path, other)?,
            }
        }
        found.left_operand = left.ok_or_else(|| at(path, "has no odrl:leftOperand"))?;
        found.operator = operator.ok_or_else(|| at(path, "has no odrl:operator"))?;
        if found.right_operands.is_empty() == found.right_operand_reference.is_none() {
            return Err(at(path, "has either odrl:rightOperand or odrl:rightOperandReference"));
        }
        Ok(Constraint::Atomic(found))
    }

    /// The members of an RDF list, or the value itself when it is not one.
    fn items(&mut self, term: &Term, path: &str) -> Result<Vec<Term>, ParseError> {
        let mut items = Vec::new();
        let mut rest = term.clone();
        loop {
            if matches!(&rest, Term::NamedNode(node) if node.as_str() == vocab::rdf::NIL) {
                return Ok(items);
            }
            self.enter(0)?;
            let statements = self.node_statements(&rest);
            let find = |wanted: &str| {
                statements
                    .iter()
                    .find(|(predicate, _)| *predicate == wanted)
                    .map(|(_, o)| *o)
            };
            match (find(vocab::rdf::FIRST), find(vocab::rdf::REST)) {
                (Some(first), Some(next)) => {
                    items.push(first.clone());
                    rest = next.clone();
                }
                (None, None) if items.is_empty() => return Ok(vec![rest]),
                _ => return Err(at(path, "holds a broken list")),
            }
        }
    }
}

/// The IRI of a node, when it has one.
fn named(term: &Term) -> Option<String> {
    match term {
        Term::NamedNode(node) => Some(node.as_str().to_owned()),
        _ => None,
    }
}
