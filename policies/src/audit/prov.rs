//! An audit record in the terms of PROV-O: an activity, who was responsible and on whose behalf, under which plan, what it
//! used and what came of it (AUD-2).

use oxrdf::{GraphName, Literal, NamedNode, Quad, Term};
use time::format_description::well_known::Rfc3339;
use vocab::{dcterms, dpv, odrl, prov, rdf, rdfs, xsd};

use super::record::{AuditAction, AuditRecord, Outcome};

/// Something in a record is no IRI, so that it cannot be said in RDF.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no IRI")]
pub struct ProvError(pub String);

/// The record in the default graph. Its activity is `urn:uuid:` and the record's identifier.
///
/// # Errors
/// When a part that must be an IRI is none.
pub fn to_prov(record: &AuditRecord) -> Result<Vec<Quad>, ProvError> {
    let mut out = Provenance::default();
    let activity = format!("urn:uuid:{}", record.id);
    out.kind(&activity, prov::ACTIVITY)?;
    let time = record
        .time
        .format(&Rfc3339)
        .map_err(|_| ProvError(record.time.to_string()))?;
    for property in [prov::STARTED_AT_TIME, prov::ENDED_AT_TIME] {
        out.add(
            &activity,
            property,
            Literal::new_typed_literal(&time, vocab::node(xsd::DATE_TIME)),
        )?;
    }
    let action = serde_json::to_value(record.action).unwrap_or_default();
    let outcome = match record.outcome {
        Outcome::Permit => "permit",
        Outcome::Deny => "deny",
    };
    out.text(&activity, dcterms::TYPE, action.as_str().unwrap_or_default())?;
    out.text(&activity, rdfs::COMMENT, outcome)?;
    for reason in &record.reasons {
        let reason = serde_json::to_value(reason).unwrap_or_default();
        out.text(&activity, dcterms::DESCRIPTION, reason.as_str().unwrap_or_default())?;
    }
    if let Some(purpose) = &record.purpose {
        out.iri(&activity, dpv::HAS_PURPOSE, purpose)?;
    }
    out.iri(&activity, prov::AT_LOCATION, &record.node)?;
    responsibility(&mut out, &activity, record)?;
    entities(&mut out, &activity, record)?;
    Ok(out.quads)
}

/// Who acted, through what, for whom, and under which policy.
fn responsibility(out: &mut Provenance, activity: &str, record: &AuditRecord) -> Result<(), ProvError> {
    let association = format!("{activity}#association");
    if let Some(agent) = &record.agent {
        out.kind(agent, prov::AGENT)?;
        out.iri(activity, prov::WAS_ASSOCIATED_WITH, agent)?;
        out.iri(&association, prov::AGENT_PROPERTY, agent)?;
        let through = [&record.client, &record.via].into_iter().flatten();
        for software in through.filter(|software| NamedNode::new(software.as_str()).is_ok()) {
            out.kind(software, prov::SOFTWARE_AGENT)?;
            out.iri(activity, prov::WAS_ASSOCIATED_WITH, software)?;
            out.iri(software, prov::ACTED_ON_BEHALF_OF, agent)?;
        }
    }
    if let Some(plan) = &record.agreement {
        out.kind(&association, prov::ASSOCIATION)?;
        out.iri(activity, prov::QUALIFIED_ASSOCIATION, &association)?;
        out.iri(&association, prov::HAD_PLAN, plan)?;
        for class in [prov::PLAN, odrl::AGREEMENT] {
            out.kind(plan, class)?;
        }
    } else if record.agent.is_some() {
        out.kind(&association, prov::ASSOCIATION)?;
        out.iri(activity, prov::QUALIFIED_ASSOCIATION, &association)?;
    }
    Ok(())
}

/// What was used, and what came of it.
fn entities(out: &mut Provenance, activity: &str, record: &AuditRecord) -> Result<(), ProvError> {
    let result = format!("{activity}#result");
    let permitted = record.outcome == Outcome::Permit;
    let yields = permitted && matches!(record.action, AuditAction::Query | AuditAction::Read);
    let makes = matches!(
        record.action,
        AuditAction::Create | AuditAction::Update | AuditAction::Consent | AuditAction::Agreement
    );
    if yields {
        out.kind(&result, prov::ENTITY)?;
        out.iri(&result, prov::WAS_GENERATED_BY, activity)?;
    }
    if let Some(hash) = &record.query_hash {
        let query = format!("urn:sha-256:{hash}");
        out.kind(&query, prov::PLAN)?;
        out.iri(activity, prov::USED, &query)?;
    }
    for target in record
        .targets
        .iter()
        .filter(|target| NamedNode::new(target.as_str()).is_ok())
    {
        out.kind(target, prov::ENTITY)?;
        match permitted && makes {
            true => out.iri(target, prov::WAS_GENERATED_BY, activity)?,
            false => out.iri(activity, prov::USED, target)?,
        }
        if yields {
            out.iri(&result, prov::WAS_DERIVED_FROM, target)?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Provenance {
    quads: Vec<Quad>,
}

impl Provenance {
    fn add(&mut self, subject: &str, property: &'static str, value: impl Into<Term>) -> Result<(), ProvError> {
        let subject = node(subject)?;
        let quad = Quad::new(
            subject,
            vocab::node(property).into_owned(),
            value.into(),
            GraphName::DefaultGraph,
        );
        if !self.quads.contains(&quad) {
            self.quads.push(quad);
        }
        Ok(())
    }

    fn iri(&mut self, subject: &str, property: &'static str, iri: &str) -> Result<(), ProvError> {
        let value = node(iri)?;
        self.add(subject, property, value)
    }

    fn kind(&mut self, subject: &str, class: &str) -> Result<(), ProvError> {
        self.iri(subject, rdf::TYPE, class)
    }

    fn text(&mut self, subject: &str, property: &'static str, text: &str) -> Result<(), ProvError> {
        self.add(subject, property, Literal::new_simple_literal(text))
    }
}

fn node(iri: &str) -> Result<NamedNode, ProvError> {
    NamedNode::new(iri).map_err(|_| ProvError(iri.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn holds(quads: &[Quad], subject: &str, property: &'static str, object: &str) -> bool {
        quads.iter().any(|quad| {
            quad.subject.to_string() == format!("<{subject}>")
                && quad.predicate.as_str() == property
                && quad.object.to_string() == format!("<{object}>")
        })
    }

    /// Requirements dataspace AUD-2: every activity has its time, place, agent and entities; a query has its plan and a result that
    /// is derived from its sources; a refusal has none.
    #[test]
    fn records_are_activities() {
        let now = datetime!(2026-06-01 12:00 UTC);
        let mut query = AuditRecord::new("r1", now, "https://pod.example/", AuditAction::Query, Outcome::Permit);
        let (agent, broker) = ("https://company.example/#us", "https://broker.example/");
        let (agreement, dataset) = (
            "https://pod.example/gent/.dataspace/agreements/1",
            "https://pod.example/gent/d",
        );
        query.agent = Some(agent.into());
        query.via = Some(broker.into());
        query.agreement = Some(agreement.into());
        query.query_hash = Some("ab".repeat(32));
        query.targets = vec![dataset.into()];
        let (activity, result) = ("urn:uuid:r1", "urn:uuid:r1#result");
        let quads = to_prov(&query).unwrap();
        for (subject, property, object) in [
            (activity, rdf::TYPE, prov::ACTIVITY),
            (activity, prov::WAS_ASSOCIATED_WITH, agent),
            (broker, prov::ACTED_ON_BEHALF_OF, agent),
            ("urn:uuid:r1#association", prov::HAD_PLAN, agreement),
            (activity, prov::USED, dataset),
            (result, prov::WAS_GENERATED_BY, activity),
            (result, prov::WAS_DERIVED_FROM, dataset),
        ] {
            assert!(
                holds(&quads, subject, property, object),
                "{subject} {property} {object}"
            );
        }
        let mut refused = query.clone();
        refused.outcome = Outcome::Deny;
        let quads = to_prov(&refused).unwrap();
        assert!(
            holds(&quads, activity, prov::USED, dataset) && !holds(&quads, result, prov::WAS_GENERATED_BY, activity)
        );
        let mut consent = query;
        consent.action = AuditAction::Consent;
        assert!(holds(
            &to_prov(&consent).unwrap(),
            dataset,
            prov::WAS_GENERATED_BY,
            activity
        ));
    }
}
