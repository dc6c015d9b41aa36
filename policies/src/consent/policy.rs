//! A consent as an ODRL agreement: for programs that read policies and not DPV (CON-6).
//!
//! It follows from the record each time it is asked for, so that there is one truth; record and policy name each other.

use std::collections::BTreeSet;

use oxrdf::{GraphName, Literal, NamedNode, Quad, Term};
use time::format_description::well_known::Rfc3339;
use vocab::{dcterms, meent, odrl, rdf, xsd};

use super::rdf_read::ConsentRdfError;
use super::record::{ConsentRecord, Recipients};

/// IRI of the policy of a record.
#[must_use]
pub fn policy_iri(record: &ConsentRecord) -> String {
    format!("{}/policy", record.id)
}

/// The policy of a record that permits, in the default graph: one permission for each recipient, purpose and piece of data,
/// within the time of the consent. A record that does not permit has a policy without permissions, which permits nothing.
///
/// # Errors
/// When an IRI in the record is not one, or an instant lies outside the years that RFC 3339 can write.
pub fn to_policy(record: &ConsentRecord) -> Result<Vec<Quad>, ConsentRdfError> {
    let mut out = Rules::default();
    let policy = policy_iri(record);
    // An agreement is with somebody, and about one thing; anything else is a set of rules.
    let targets = record.data.containers.len() + record.data.datasets.len();
    let kind = match &record.recipients {
        Recipients::These(_) if targets == 1 => odrl::AGREEMENT,
        Recipients::These(_) | Recipients::Any => odrl::SET,
    };
    out.iri(&policy, rdf::TYPE, kind)?;
    out.iri(&policy, odrl::PROFILE, meent::ODRL_PROFILE)?;
    out.iri(&policy, dcterms::SOURCE, &record.id)?;
    out.iri(&policy, odrl::ASSIGNER, record.data_subject.as_str())?;
    let (Some(given), true) = (record.given_at, record.status.permits()) else {
        return Ok(out.quads);
    };
    let recipients: Vec<Option<&str>> = match &record.recipients {
        Recipients::Any => vec![None],
        Recipients::These(these) => these.iter().map(|web_id| Some(web_id.as_str())).collect(),
    };
    let times = [(odrl::GTEQ, given), (odrl::LT, record.expires_at)];
    let mut number = 0_u32;
    for recipient in recipients {
        for purpose in &record.purposes {
            for target in record.data.containers.iter().chain(&record.data.datasets) {
                number = number.saturating_add(1);
                let rule = format!("{policy}#permission-{number}");
                out.iri(&policy, odrl::PERMISSION, &rule)?;
                out.iri(&rule, odrl::ACTION, odrl::USE)?;
                out.asset(&rule, target, record.data.properties.as_ref())?;
                if let Some(recipient) = recipient {
                    out.iri(&rule, odrl::ASSIGNEE, recipient)?;
                }
                let purpose = node(odrl::RIGHT_OPERAND, purpose)?;
                let name = format!("{rule}-purpose");
                out.iri(&rule, odrl::CONSTRAINT, &name)?;
                out.comparison(&name, odrl::PURPOSE, odrl::IS_A, [purpose.into()])?;
                for (at, (operator, instant)) in times.into_iter().enumerate() {
                    let text = instant.format(&Rfc3339).map_err(|_| ConsentRdfError::Value {
                        property: odrl::DATE_TIME,
                        value: instant.to_string(),
                    })?;
                    let instant = Literal::new_typed_literal(text, vocab::node(xsd::DATE_TIME));
                    let name = format!("{rule}-time-{at}");
                    out.iri(&rule, odrl::CONSTRAINT, &name)?;
                    out.comparison(&name, odrl::DATE_TIME, operator, [instant.into()])?;
                }
            }
        }
    }
    Ok(out.quads)
}

#[derive(Default)]
struct Rules {
    quads: Vec<Quad>,
}

impl Rules {
    fn add(&mut self, subject: &str, property: &'static str, value: impl Into<Term>) -> Result<(), ConsentRdfError> {
        let subject = node(property, subject)?;
        let property = vocab::node(property).into_owned();
        self.quads
            .push(Quad::new(subject, property, value.into(), GraphName::DefaultGraph));
        Ok(())
    }

    fn iri(&mut self, subject: &str, property: &'static str, iri: &str) -> Result<(), ConsentRdfError> {
        let value = node(property, iri)?;
        self.add(subject, property, value)
    }

    /// The asset of a rule: everything below the container or of the dataset, or only these properties of it.
    fn asset(
        &mut self,
        rule: &str,
        target: &str,
        properties: Option<&BTreeSet<String>>,
    ) -> Result<(), ConsentRdfError> {
        let Some(properties) = properties else {
            return self.iri(rule, odrl::TARGET, target);
        };
        let (asset, refinement) = (format!("{rule}-asset"), format!("{rule}-properties"));
        self.iri(rule, odrl::TARGET, &asset)?;
        self.iri(&asset, rdf::TYPE, odrl::ASSET_COLLECTION)?;
        self.iri(&asset, odrl::SOURCE, target)?;
        self.iri(&asset, odrl::REFINEMENT, &refinement)?;
        let shown = properties
            .iter()
            .map(|iri| node(odrl::RIGHT_OPERAND, iri).map(Term::from));
        let shown: Vec<Term> = shown.collect::<Result<_, _>>()?;
        self.comparison(&refinement, meent::PROPERTY, odrl::IS_ANY_OF, shown)
    }

    fn comparison(
        &mut self,
        name: &str,
        left: &'static str,
        operator: &'static str,
        right: impl IntoIterator<Item = Term>,
    ) -> Result<(), ConsentRdfError> {
        self.iri(name, odrl::LEFT_OPERAND, left)?;
        self.iri(name, odrl::OPERATOR, operator)?;
        for value in right {
            self.add(name, odrl::RIGHT_OPERAND, value)?;
        }
        Ok(())
    }
}

fn node(property: &'static str, iri: &str) -> Result<NamedNode, ConsentRdfError> {
    NamedNode::new(iri).map_err(|_| ConsentRdfError::Value {
        property,
        value: iri.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use time::macros::datetime;
    use vocab::dpv;

    use super::super::record::tests::record;
    use super::super::{ConsentEvent, Use};
    use super::*;
    use crate::decision::Effect;
    use crate::odrl::{
        Evaluation, OdrlLimits, Situation, evaluate, parse, parse_json_ld, parse_turtle, validate, write_json_ld,
        write_turtle,
    };
    use crate::purpose::Hierarchy;

    /// Requirements dataspace CON-6: the policy is valid ODRL and decides as the record does, in each way in which they could differ;
    /// a withdrawn consent's permits nothing.
    #[test]
    fn policy_and_record_decide_alike() {
        let now = datetime!(2026-06-01 00:00 UTC);
        let open = ConsentRecord {
            recipients: Recipients::Any,
            ..record()
        };
        let withdrawn = record().next(ConsentEvent::Withdraw, now).unwrap();
        let purposes = Hierarchy::default();
        let mut permitted = 0;
        for record in [record(), open, withdrawn] {
            let policies = parse(&to_policy(&record).unwrap(), &OdrlLimits::default());
            let policies = policies.unwrap();
            assert_eq!(policies.len(), 1);
            if record.status.permits() {
                assert!(validate(&policies[0]).is_ok(), "{:?}", validate(&policies[0]));
            }
            for recipient in ["https://mobility.example/#us", "https://other.example/#us"] {
                for purpose in [meent::MOBILITY_PLANNING, meent::BICYCLE_POLICY, dpv::MARKETING] {
                    for data in [
                        "https://kortrijk.example/city/datasets/telraam",
                        "https://kortrijk.example/x",
                    ] {
                        for now in [now, datetime!(2026-07-01 00:00 UTC), datetime!(2025-12-31 00:00 UTC)] {
                            let used = Use {
                                recipient,
                                purpose,
                                data,
                            };
                            let decided = decide(&policies[0], &used, &purposes, now);
                            let permits = decided.effect == Effect::Permit;
                            assert_eq!(permits, record.covers(&used, &purposes, now), "{used:?} {now}");
                            permitted += u32::from(permits);
                            let shown = decided.grant.map(|grant| grant.properties);
                            assert!(shown.is_none_or(|shown| shown == record.data.properties));
                        }
                    }
                }
            }
        }
        assert_eq!(permitted, 2 + 4);
    }

    /// Requirements dataspace CON-6: written in either syntax it is read back as the same policy, and both name each other.
    #[test]
    fn the_policy_survives_writing_and_names_its_record() {
        let record = record();
        let quads = to_policy(&record).unwrap();
        let policy = parse(&quads, &OdrlLimits::default()).unwrap().remove(0);
        assert_eq!(policy.id, policy_iri(&record));
        let turtle = write_turtle(&policy).unwrap();
        let again = parse_turtle(&turtle, &policy.id, &OdrlLimits::default()).unwrap();
        assert!(again.contains(&policy), "{}", String::from_utf8_lossy(&turtle));
        let json = write_json_ld(&policy).unwrap();
        let again = parse_json_ld(&json, &policy.id, &OdrlLimits::default()).unwrap();
        assert!(again.contains(&policy), "{}", String::from_utf8_lossy(&json));
        let source = policy
            .annotations
            .iter()
            .find(|(property, _)| property == dcterms::SOURCE);
        assert!(source.is_some_and(|(_, record)| record.to_string().contains(".consent/1")));
        let links = super::super::to_quads(&record).unwrap();
        let linked = links
            .iter()
            .any(|quad| quad.predicate.as_str() == odrl::HAS_POLICY && quad.object.to_string().contains("/policy>"));
        assert!(linked, "the record names the policy");
        let read = super::super::from_quads(&links).unwrap();
        assert_eq!(
            to_policy(&read).unwrap(),
            quads,
            "and the policy follows from the record alone"
        );
    }

    fn decide(policy: &crate::odrl::Policy, used: &Use<'_>, purposes: &Hierarchy, now: OffsetDateTime) -> Evaluation {
        let situation = Situation {
            party: Some(used.recipient),
            dataset: used.data,
            part_of: &super::BTreeSet::new(),
            purpose: Some(used.purpose),
            now,
            purposes,
            world: None,
            uses: None,
            circumstances: &crate::odrl::Circumstances::NotKept,
            forbidding: false,
        };
        evaluate(policy, &situation)
    }
}
