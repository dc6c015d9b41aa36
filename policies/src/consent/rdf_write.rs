//! A consent record as RDF: DPV's terms, in the shape of its guide to ISO/IEC TS 27560.
//!
//! Parts have IRIs of their own below the record's (`#process`, `#event`, …), so that equal records give equal triples.

use std::collections::BTreeMap;

use oxrdf::{GraphName, Literal, NamedNode, Quad, Term};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocab::{dcat, dcterms, dpv, meent, odrl, prov, rdf, rdfs, skos, xsd};

use super::policy::policy_iri;
use super::process::{Act, Entity, Mandate, Process};
use super::rdf_read::ConsentRdfError;
use super::receipt::ConsentReceipt;
use super::record::{ConsentRecord, Recipients};

/// The record in the default graph.
///
/// # Errors
/// When an IRI in it is not one, or an instant lies outside the years that RFC 3339 can write.
pub fn to_quads(record: &ConsentRecord) -> Result<Vec<Quad>, ConsentRdfError> {
    let mut out = Writer::default();
    out.record(record)?;
    Ok(out.quads)
}

/// A receipt with its record, in the default graph.
///
/// # Errors
/// As [`to_quads`].
pub fn receipt_to_quads(receipt: &ConsentReceipt) -> Result<Vec<Quad>, ConsentRdfError> {
    let mut out = Writer::default();
    out.kind(&receipt.id, dpv::CONSENT_RECEIPT)?;
    out.iri(&receipt.id, dcterms::CONFORMS_TO, &receipt.conforms_to)?;
    out.text(&receipt.id, dpv::HAS_IDENTIFIER, &receipt.id)?;
    out.instant(&receipt.id, dcterms::CREATED, receipt.created)?;
    out.iri(&receipt.id, dpv::HAS_RECORD_OF_ACTIVITY, &receipt.record.id)?;
    out.record(&receipt.record)?;
    Ok(out.quads)
}

#[derive(Default)]
struct Writer {
    quads: Vec<Quad>,
}

impl Writer {
    fn add(&mut self, subject: &str, property: &'static str, value: impl Into<Term>) -> Result<(), ConsentRdfError> {
        self.quads.push(Quad::new(
            node(property, subject)?,
            vocab::node(property).into_owned(),
            value.into(),
            GraphName::DefaultGraph,
        ));
        Ok(())
    }

    fn iri(&mut self, subject: &str, property: &'static str, iri: &str) -> Result<(), ConsentRdfError> {
        let value = node(property, iri)?;
        self.add(subject, property, value)
    }

    fn iris<'i>(
        &mut self,
        subject: &str,
        property: &'static str,
        iris: impl IntoIterator<Item = &'i String>,
    ) -> Result<(), ConsentRdfError> {
        iris.into_iter().try_for_each(|iri| self.iri(subject, property, iri))
    }

    fn kind(&mut self, subject: &str, class: &str) -> Result<(), ConsentRdfError> {
        self.iri(subject, rdf::TYPE, class)
    }

    fn text(&mut self, subject: &str, property: &'static str, text: &str) -> Result<(), ConsentRdfError> {
        self.add(subject, property, Literal::new_simple_literal(text))
    }

    /// A text that may be missing.
    fn known(&mut self, subject: &str, property: &'static str, text: &str) -> Result<(), ConsentRdfError> {
        if text.is_empty() {
            return Ok(());
        }
        self.text(subject, property, text)
    }

    fn tagged(
        &mut self,
        subject: &str,
        property: &'static str,
        texts: &BTreeMap<String, String>,
    ) -> Result<(), ConsentRdfError> {
        for (tag, text) in texts {
            let literal = Literal::new_language_tagged_literal(text, tag.to_ascii_lowercase()).map_err(|_| {
                ConsentRdfError::Value {
                    property,
                    value: tag.clone(),
                }
            })?;
            self.add(subject, property, literal)?;
        }
        Ok(())
    }

    fn instant(&mut self, subject: &str, property: &'static str, at: OffsetDateTime) -> Result<(), ConsentRdfError> {
        let value = instant(property, at)?;
        self.add(subject, property, value)
    }

    fn record(&mut self, record: &ConsentRecord) -> Result<(), ConsentRdfError> {
        let id = record.id.as_str();
        self.kind(id, dpv::CONSENT_RECORD)?;
        self.iri(id, dpv::HAS_DATA_SUBJECT, record.data_subject.as_str())?;
        self.iri(id, meent::STORAGE, &record.storage)?;
        self.iri(id, odrl::HAS_POLICY, &policy_iri(record))?;
        if let Some(given) = record.given_at {
            self.instant(id, dpv::IS_INDICATED_AT_TIME, given)?;
        }
        self.instant(id, dcterms::VALID, record.expires_at)?;
        self.instant(id, dcterms::MODIFIED, record.changed_at)?;
        self.text(id, meent::NOTICE_LANGUAGE, &record.notice.language)?;
        self.text(id, meent::NOTICE_HASH, &record.notice.hash)?;
        let number = |value: u32| Literal::new_typed_literal(value.to_string(), vocab::node(xsd::POSITIVE_INTEGER));
        self.add(id, meent::VERSION, number(record.version))?;
        if let Some(previous) = record.previous {
            self.add(id, prov::WAS_REVISION_OF, number(previous))?;
        }
        match &record.process {
            // Records of earlier releases have no parts.
            None => {
                self.what(id, record)?;
                self.iri(id, dpv::CONSENT_STATUS, record.status.iri())?;
            }
            Some(process) => {
                self.text(id, dcterms::IDENTIFIER, id)?;
                self.notice(record)?;
                self.event(record)?;
                self.process(record, process)?;
            }
        }
        if let (None, Some(act)) = (&record.process, &record.act) {
            self.act(id, id, record, act)?;
        }
        Ok(())
    }

    /// Recipients, purposes and data.
    fn what(&mut self, subject: &str, record: &ConsentRecord) -> Result<(), ConsentRdfError> {
        match &record.recipients {
            Recipients::Any => self.iri(subject, dpv::HAS_RECIPIENT, meent::ANY_RECIPIENT)?,
            Recipients::These(these) => {
                for recipient in these {
                    self.iri(subject, dpv::HAS_RECIPIENT, recipient.as_str())?;
                }
            }
        }
        self.iris(subject, dpv::HAS_PURPOSE, &record.purposes)?;
        self.iris(subject, meent::CONTAINER, &record.data.containers)?;
        self.iris(subject, dcat::DATASET_PROPERTY, &record.data.datasets)?;
        self.iris(subject, meent::DATA_PROPERTY, record.data.properties.iter().flatten())
    }

    fn notice(&mut self, record: &ConsentRecord) -> Result<(), ConsentRdfError> {
        let notice = format!("{}#notice", record.id);
        self.iri(&record.id, dpv::HAS_NOTICE, &notice)?;
        self.kind(&notice, dpv::CONSENT_NOTICE)?;
        self.text(&notice, dcterms::LANGUAGE, &record.notice.language)?;
        self.text(
            &notice,
            dcterms::IDENTIFIER,
            &format!("urn:sha-256:{}", record.notice.hash),
        )
    }

    fn event(&mut self, record: &ConsentRecord) -> Result<(), ConsentRdfError> {
        let (event, duration) = (format!("{}#event", record.id), format!("{}#duration", record.id));
        self.iri(&record.id, dpv::CONSENT_STATUS, &event)?;
        self.kind(&event, record.status.iri())?;
        self.instant(&event, dpv::IS_INDICATED_AT_TIME, record.changed_at)?;
        self.iri(&event, dpv::HAS_DURATION, &duration)?;
        self.kind(&duration, dpv::UNTIL_TIME_DURATION)?;
        self.instant(&duration, rdf::VALUE, record.expires_at)?;
        match &record.act {
            Some(act) => self.act(&record.id, &event, record, act),
            None => Ok(()),
        }
    }

    fn act(&mut self, id: &str, event: &str, record: &ConsentRecord, act: &Act) -> Result<(), ConsentRdfError> {
        let kind = match act.explicit {
            true => dpv::EXPLICITLY_EXPRESSED_CONSENT,
            false => dpv::EXPRESSED_CONSENT,
        };
        self.kind(event, kind)?;
        self.iri(event, dpv::IS_INDICATED_BY, act.by.as_str())?;
        self.text(event, dpv::HAS_INDICATION_METHOD, &act.method)?;
        match &act.mandate {
            Some(mandate) => self.mandate(id, event, record, mandate),
            None => Ok(()),
        }
    }

    fn mandate(
        &mut self,
        id: &str,
        event: &str,
        record: &ConsentRecord,
        mandate: &Mandate,
    ) -> Result<(), ConsentRdfError> {
        let period = format!("{id}#mandate-period");
        self.iri(event, meent::MANDATE, &mandate.id)?;
        self.iri(&mandate.id, prov::AGENT_PROPERTY, mandate.holder.as_str())?;
        self.iri(
            mandate.holder.as_str(),
            prov::ACTED_ON_BEHALF_OF,
            record.data_subject.as_str(),
        )?;
        let kind = serde_json::to_value(mandate.kind).unwrap_or_default();
        self.text(&mandate.id, dcterms::TYPE, kind.as_str().unwrap_or_default())?;
        self.iri(&mandate.id, dpv::HAS_DURATION, &period)?;
        self.instant(&period, dcterms::ISSUED, mandate.from)?;
        self.instant(&period, dcterms::VALID, mandate.until)
    }

    fn process(&mut self, record: &ConsentRecord, process: &Process) -> Result<(), ConsentRdfError> {
        let id = record.id.as_str();
        let node = format!("{id}#process");
        if let Some(profile) = process.profile {
            self.iri(id, dcterms::CONFORMS_TO, profile.record_iri())?;
        }
        self.iri(id, dpv::HAS_PROCESS, &node)?;
        self.kind(&node, dpv::PROCESS)?;
        self.what(&node, record)?;
        if let Some(controller) = &process.controller {
            self.iri(id, dpv::HAS_DATA_CONTROLLER, &controller.id)?;
            self.entity(controller, dpv::DATA_CONTROLLER)?;
        }
        for recipient in &process.recipients {
            self.entity(recipient, dpv::RECIPIENT)?;
        }
        self.iris(id, dpv::HAS_JURISDICTION, &process.jurisdiction)?;
        self.iris(id, dpv::HAS_LEGAL_BASIS, &process.legal_basis)?;
        self.iris(id, dpv::HAS_RIGHT, &process.rights)?;
        if let Some(page) = &process.control {
            let control = format!("{id}#control");
            self.iri(id, dpv::HAS_CONSENT_CONTROL, &control)?;
            self.kind(&control, dpv::WITHDRAW_CONSENT)?;
            self.iri(&control, dpv::IS_EXERCISED_AT, page)?;
        }
        self.tagged(&node, dcterms::TITLE, &process.titles)?;
        self.tagged(&node, dpv::HAS_CONSEQUENCE, &process.consequences)?;
        self.iris(&node, dpv::HAS_THIRD_COUNTRY, &process.third_countries)?;
        self.iris(&node, meent::COLLECTIVE_APPROVAL, &process.collective_approval)?;
        self.iris(&node, dpv::HAS_PERSONAL_DATA, &process.personal_data)?;
        self.items(id, &node, process)?;
        self.storage(id, &node, process)
    }

    fn entity(&mut self, entity: &Entity, role: &str) -> Result<(), ConsentRdfError> {
        self.kind(&entity.id, role)?;
        self.text(&entity.id, dpv::HAS_IDENTIFIER, &entity.id)?;
        self.known(&entity.id, dpv::HAS_NAME, &entity.name)?;
        self.known(&entity.id, dpv::HAS_CONTACT, &entity.contact)?;
        self.known(&entity.id, dpv::HAS_ADDRESS, &entity.address)
    }

    fn items(&mut self, id: &str, node: &str, process: &Process) -> Result<(), ConsentRdfError> {
        for (at, item) in process.items.iter().enumerate() {
            let part = format!("{id}#item-{at}");
            self.iri(node, dcterms::HAS_PART, &part)?;
            let kind = match item.special {
                true => dpv::SPECIAL_CATEGORY_PERSONAL_DATA,
                false => dpv::PERSONAL_DATA,
            };
            self.kind(&part, kind)?;
            self.iri(&part, dcterms::SOURCE, &item.what)?;
            self.iris(&part, skos::BROADER, &item.personal_data)?;
            let necessity = match item.required {
                true => dpv::REQUIRED,
                false => dpv::OPTIONAL,
            };
            self.iri(&part, dpv::HAS_NECESSITY, necessity)?;
            self.tagged(&part, rdfs::LABEL, &item.labels)?;
        }
        Ok(())
    }

    fn storage(&mut self, id: &str, node: &str, process: &Process) -> Result<(), ConsentRdfError> {
        let storage = &process.storage;
        if !storage.locations.is_empty() {
            let place = format!("{id}#storage-location");
            self.iri(node, dpv::HAS_STORAGE_CONDITION, &place)?;
            self.kind(&place, dpv::STORAGE_LOCATION)?;
            self.iris(&place, dpv::HAS_LOCATION, &storage.locations)?;
        }
        let periods = [
            ("storage-duration", dpv::STORAGE_DURATION, storage.days),
            ("storage-deletion", dpv::STORAGE_DELETION, storage.deleted_within_days),
        ];
        for (name, class, days) in periods {
            if let Some(days) = days {
                let period = format!("{id}#{name}");
                self.iri(node, dpv::HAS_STORAGE_CONDITION, &period)?;
                self.kind(&period, class)?;
                let days = Literal::new_typed_literal(format!("P{days}D"), vocab::node(xsd::DURATION));
                self.add(&period, dpv::HAS_DURATION, days)?;
            }
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

fn instant(property: &'static str, at: OffsetDateTime) -> Result<Term, ConsentRdfError> {
    let text = at.format(&Rfc3339).map_err(|_| ConsentRdfError::Value {
        property,
        value: at.to_string(),
    })?;
    Ok(Literal::new_typed_literal(text, vocab::node(xsd::DATE_TIME)).into())
}
