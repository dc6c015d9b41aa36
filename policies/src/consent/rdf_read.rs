//! A consent record out of RDF, in either of the shapes that are written: with a process of its own, or flat.

use std::collections::{BTreeMap, BTreeSet};

use oxrdf::{NamedOrBlankNode, Quad, Term};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocab::{dcat, dcterms, dpv, meent, prov, rdf, rdfs, skos};

use super::process::{Act, ConsentProfile, Entity, Item, Mandate, Process, StorageCondition};
use super::record::{ConsentRecord, ConsentedData, Notice, Recipients};
use super::status::ConsentStatus;
use crate::request::WebId;

/// Why quads are not a consent record, or a record cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentRdfError {
    /// No node, or more than one, is a `dpv:ConsentRecord`.
    #[error("found {0} consent records where one was expected")]
    Count(usize),
    /// A property is missing.
    #[error("the consent has no `{0}`")]
    Missing(&'static str),
    /// A property has more values than it may.
    #[error("the consent has more than one `{0}`")]
    Several(&'static str),
    /// A value is not of the kind it must be.
    #[error("`{value}` is not a value of `{property}`")]
    Value {
        /// The property.
        property: &'static str,
        /// The value.
        value: String,
    },
}

/// The one record in these quads, whatever their graph.
///
/// # Errors
/// See [`ConsentRdfError`]. The record is not yet validated, see [`ConsentRecord::validate`].
pub fn from_quads(quads: &[Quad]) -> Result<ConsentRecord, ConsentRdfError> {
    let record = Node::of_class(quads, dpv::CONSENT_RECORD)?;
    let NamedOrBlankNode::NamedNode(id) = &record.subject else {
        return Err(ConsentRdfError::Count(0));
    };
    let process = record.part(dpv::HAS_PROCESS)?;
    // What is consented to stands at the process where there is one.
    let what = process.as_ref().unwrap_or(&record);
    let event = record.part(dpv::CONSENT_STATUS)?;
    let event = event.filter(|event| !event.values(rdf::TYPE).is_empty());
    let data_subject = record.required_web_id(dpv::HAS_DATA_SUBJECT)?;
    Ok(ConsentRecord {
        id: id.as_str().to_owned(),
        storage: record.required_iri(meent::STORAGE)?,
        recipients: what.recipients()?,
        purposes: what.iris(dpv::HAS_PURPOSE)?,
        data: what.data()?,
        given_at: record.instant(dpv::IS_INDICATED_AT_TIME)?,
        expires_at: record.required_instant(dcterms::VALID)?,
        changed_at: record.required_instant(dcterms::MODIFIED)?,
        status: status(&record, event.as_ref())?,
        notice: Notice {
            language: record.required_text(meent::NOTICE_LANGUAGE)?,
            hash: record.required_text(meent::NOTICE_HASH)?,
        },
        version: record
            .number(meent::VERSION)?
            .ok_or(ConsentRdfError::Missing(meent::VERSION))?,
        previous: record.number(prov::WAS_REVISION_OF)?,
        process: process
            .as_ref()
            .map(|node| read_process(&record, node))
            .transpose()?
            .map(Box::new),
        act: read_act(event.as_ref().unwrap_or(&record))?.map(Box::new),
        data_subject,
    })
}

fn status(record: &Node<'_>, event: Option<&Node<'_>>) -> Result<ConsentStatus, ConsentRdfError> {
    let Some(event) = event else {
        let iri = record.required_iri(dpv::CONSENT_STATUS)?;
        return ConsentStatus::from_iri(&iri).ok_or(ConsentRdfError::Value {
            property: dpv::CONSENT_STATUS,
            value: iri,
        });
    };
    let kinds = event.iris(rdf::TYPE)?;
    let states: Vec<ConsentStatus> = kinds.iter().filter_map(|iri| ConsentStatus::from_iri(iri)).collect();
    match states.as_slice() {
        [state] => Ok(*state),
        [] => Err(ConsentRdfError::Missing(dpv::CONSENT_STATUS)),
        _ => Err(ConsentRdfError::Several(dpv::CONSENT_STATUS)),
    }
}

fn read_act(event: &Node<'_>) -> Result<Option<Act>, ConsentRdfError> {
    let Some(by) = event.optional_iri(dpv::IS_INDICATED_BY)? else {
        return Ok(None);
    };
    Ok(Some(Act {
        by: web_id(dpv::IS_INDICATED_BY, by)?,
        method: event.text(dpv::HAS_INDICATION_METHOD)?.unwrap_or_default(),
        mandate: event.part(meent::MANDATE)?.as_ref().map(read_mandate).transpose()?,
        explicit: event.iris(rdf::TYPE)?.contains(dpv::EXPLICITLY_EXPRESSED_CONSENT),
    }))
}

fn read_mandate(node: &Node<'_>) -> Result<Mandate, ConsentRdfError> {
    let kind = node.required_text(dcterms::TYPE)?;
    let period = node
        .part(dpv::HAS_DURATION)?
        .ok_or(ConsentRdfError::Missing(dpv::HAS_DURATION))?;
    Ok(Mandate {
        id: node.name(meent::MANDATE)?,
        holder: node.required_web_id(prov::AGENT_PROPERTY)?,
        kind: serde_json::from_value(kind.clone().into()).map_err(|_| ConsentRdfError::Value {
            property: dcterms::TYPE,
            value: kind,
        })?,
        basis: String::new(),
        from: period.required_instant(dcterms::ISSUED)?,
        until: period.required_instant(dcterms::VALID)?,
    })
}

fn read_process(record: &Node<'_>, node: &Node<'_>) -> Result<Process, ConsentRdfError> {
    let profile = match record.optional_iri(dcterms::CONFORMS_TO)? {
        None => None,
        Some(iri) => Some(ConsentProfile::from_iri(&iri).ok_or(ConsentRdfError::Value {
            property: dcterms::CONFORMS_TO,
            value: iri,
        })?),
    };
    let control = match record.part(dpv::HAS_CONSENT_CONTROL)? {
        Some(control) => control.optional_iri(dpv::IS_EXERCISED_AT)?,
        None => None,
    };
    let controller = record.part(dpv::HAS_DATA_CONTROLLER)?;
    let mut items = Vec::new();
    for part in node.parts(dcterms::HAS_PART)? {
        items.push(read_item(&part)?);
    }
    items.sort_by(|left: &Item, right| left.what.cmp(&right.what));
    Ok(Process {
        profile,
        titles: node.tagged(dcterms::TITLE)?,
        controller: controller.as_ref().map(read_entity).transpose()?,
        recipients: node.recipient_entities()?,
        items,
        personal_data: node.iris(dpv::HAS_PERSONAL_DATA)?,
        storage: read_storage(node)?,
        third_countries: node.iris(dpv::HAS_THIRD_COUNTRY)?,
        jurisdiction: record.optional_iri(dpv::HAS_JURISDICTION)?,
        legal_basis: record.optional_iri(dpv::HAS_LEGAL_BASIS)?,
        control,
        rights: record.iris(dpv::HAS_RIGHT)?,
        consequences: node.tagged(dpv::HAS_CONSEQUENCE)?,
        collective_approval: node.optional_iri(meent::COLLECTIVE_APPROVAL)?,
    })
}

fn read_item(part: &Node<'_>) -> Result<Item, ConsentRdfError> {
    Ok(Item {
        what: part.required_iri(dcterms::SOURCE)?,
        personal_data: part.optional_iri(skos::BROADER)?,
        required: part.iris(dpv::HAS_NECESSITY)?.contains(dpv::REQUIRED),
        special: part.iris(rdf::TYPE)?.contains(dpv::SPECIAL_CATEGORY_PERSONAL_DATA),
        labels: part.tagged(rdfs::LABEL)?,
    })
}

fn read_entity(node: &Node<'_>) -> Result<Entity, ConsentRdfError> {
    Ok(Entity {
        id: node.name(dpv::HAS_IDENTIFIER)?,
        name: node.text(dpv::HAS_NAME)?.unwrap_or_default(),
        contact: node.text(dpv::HAS_CONTACT)?.unwrap_or_default(),
        address: node.text(dpv::HAS_ADDRESS)?.unwrap_or_default(),
    })
}

fn read_storage(process: &Node<'_>) -> Result<StorageCondition, ConsentRdfError> {
    let mut storage = StorageCondition::default();
    for condition in process.parts(dpv::HAS_STORAGE_CONDITION)? {
        let kinds = condition.iris(rdf::TYPE)?;
        if kinds.contains(dpv::STORAGE_LOCATION) {
            storage.locations.extend(condition.iris(dpv::HAS_LOCATION)?);
        }
        let periods = [
            (dpv::STORAGE_DURATION, &mut storage.days),
            (dpv::STORAGE_DELETION, &mut storage.deleted_within_days),
        ];
        for (class, days) in periods {
            if kinds.contains(class) {
                *days = condition.days(dpv::HAS_DURATION)?;
            }
        }
    }
    Ok(storage)
}

fn web_id(property: &'static str, iri: String) -> Result<WebId, ConsentRdfError> {
    WebId::parse(iri.clone()).map_err(|_| ConsentRdfError::Value { property, value: iri })
}

/// A node with what is said about it.
pub(super) struct Node<'q> {
    quads: &'q [Quad],
    pub(super) subject: NamedOrBlankNode,
}

impl<'q> Node<'q> {
    /// The only node of a class.
    pub(super) fn of_class(quads: &'q [Quad], class: &str) -> Result<Self, ConsentRdfError> {
        let is_one = |quad: &&Quad| {
            quad.predicate.as_str() == rdf::TYPE
                && matches!(&quad.object, Term::NamedNode(found) if found.as_str() == class)
        };
        let found: BTreeSet<String> = quads
            .iter()
            .filter(is_one)
            .map(|quad| quad.subject.to_string())
            .collect();
        match quads.iter().find(is_one) {
            Some(quad) if found.len() == 1 => Ok(Self {
                quads,
                subject: quad.subject.clone(),
            }),
            _ => Err(ConsentRdfError::Count(found.len())),
        }
    }

    pub(super) fn values(&self, property: &'static str) -> Vec<&'q Term> {
        self.quads
            .iter()
            .filter(|quad| quad.subject == self.subject && quad.predicate.as_str() == property)
            .map(|quad| &quad.object)
            .collect()
    }

    /// The nodes that a property leads to; blank nodes too.
    pub(super) fn parts(&self, property: &'static str) -> Result<Vec<Self>, ConsentRdfError> {
        let node = |value: &Term| match value {
            Term::NamedNode(node) => Ok(NamedOrBlankNode::from(node.clone())),
            Term::BlankNode(node) => Ok(NamedOrBlankNode::from(node.clone())),
            other => Err(invalid(property, other)),
        };
        let mut parts: Vec<NamedOrBlankNode> = Vec::new();
        for value in self.values(property) {
            let part = node(value)?;
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let quads = self.quads;
        Ok(parts.into_iter().map(|subject| Self { quads, subject }).collect())
    }

    fn part(&self, property: &'static str) -> Result<Option<Self>, ConsentRdfError> {
        let mut parts = self.parts(property)?;
        match parts.len() {
            0 | 1 => Ok(parts.pop()),
            _ => Err(ConsentRdfError::Several(property)),
        }
    }

    /// The IRI of the node itself.
    fn name(&self, property: &'static str) -> Result<String, ConsentRdfError> {
        match &self.subject {
            NamedOrBlankNode::NamedNode(node) => Ok(node.as_str().to_owned()),
            NamedOrBlankNode::BlankNode(_) => Err(ConsentRdfError::Missing(property)),
        }
    }

    pub(super) fn iris(&self, property: &'static str) -> Result<BTreeSet<String>, ConsentRdfError> {
        let iri = |value: &Term| match value {
            Term::NamedNode(node) => Ok(node.as_str().to_owned()),
            other => Err(invalid(property, other)),
        };
        self.values(property).into_iter().map(iri).collect()
    }

    fn optional_iri(&self, property: &'static str) -> Result<Option<String>, ConsentRdfError> {
        single(property, self.iris(property)?)
    }

    fn required_iri(&self, property: &'static str) -> Result<String, ConsentRdfError> {
        self.optional_iri(property)?.ok_or(ConsentRdfError::Missing(property))
    }

    fn required_web_id(&self, property: &'static str) -> Result<WebId, ConsentRdfError> {
        web_id(property, self.required_iri(property)?)
    }

    fn text(&self, property: &'static str) -> Result<Option<String>, ConsentRdfError> {
        let text = |value: &Term| match value {
            Term::Literal(literal) => Ok(literal.value().to_owned()),
            other => Err(invalid(property, other)),
        };
        let texts = self.values(property).into_iter().map(text).collect::<Result<_, _>>()?;
        single(property, texts)
    }

    fn required_text(&self, property: &'static str) -> Result<String, ConsentRdfError> {
        self.text(property)?.ok_or(ConsentRdfError::Missing(property))
    }

    fn tagged(&self, property: &'static str) -> Result<BTreeMap<String, String>, ConsentRdfError> {
        let text = |value: &Term| match value {
            Term::Literal(literal) => Ok((
                literal.language().unwrap_or_default().to_owned(),
                literal.value().to_owned(),
            )),
            other => Err(invalid(property, other)),
        };
        self.values(property).into_iter().map(text).collect()
    }

    fn instant(&self, property: &'static str) -> Result<Option<OffsetDateTime>, ConsentRdfError> {
        let read = |text: String| {
            OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| ConsentRdfError::Value { property, value: text })
        };
        self.text(property)?.map(read).transpose()
    }

    fn required_instant(&self, property: &'static str) -> Result<OffsetDateTime, ConsentRdfError> {
        self.instant(property)?.ok_or(ConsentRdfError::Missing(property))
    }

    fn number(&self, property: &'static str) -> Result<Option<u32>, ConsentRdfError> {
        let read = |text: String| {
            text.parse()
                .map_err(|_| ConsentRdfError::Value { property, value: text })
        };
        self.text(property)?.map(read).transpose()
    }

    /// A period of whole days, `P30D`.
    fn days(&self, property: &'static str) -> Result<Option<u32>, ConsentRdfError> {
        let read = |text: String| {
            let days = text.strip_prefix('P').and_then(|rest| rest.strip_suffix('D'));
            let days = days.and_then(|days| days.parse().ok());
            days.ok_or(ConsentRdfError::Value { property, value: text })
        };
        self.text(property)?.map(read).transpose()
    }

    fn recipients(&self) -> Result<Recipients, ConsentRdfError> {
        let recipients = self.iris(dpv::HAS_RECIPIENT)?;
        if recipients.contains(meent::ANY_RECIPIENT) {
            return Ok(Recipients::Any);
        }
        let web_ids = recipients.into_iter().map(|iri| web_id(dpv::HAS_RECIPIENT, iri));
        Ok(Recipients::These(web_ids.collect::<Result<_, _>>()?))
    }

    fn recipient_entities(&self) -> Result<Vec<Entity>, ConsentRdfError> {
        let mut entities = Vec::new();
        for recipient in self.parts(dpv::HAS_RECIPIENT)? {
            if recipient.iris(rdf::TYPE)?.contains(dpv::RECIPIENT) {
                entities.push(read_entity(&recipient)?);
            }
        }
        entities.sort_by(|left: &Entity, right| left.id.cmp(&right.id));
        Ok(entities)
    }

    fn data(&self) -> Result<ConsentedData, ConsentRdfError> {
        let properties = self.iris(meent::DATA_PROPERTY)?;
        Ok(ConsentedData {
            containers: self.iris(meent::CONTAINER)?,
            datasets: self.iris(dcat::DATASET_PROPERTY)?,
            properties: (!properties.is_empty()).then_some(properties),
        })
    }
}

fn invalid(property: &'static str, value: &Term) -> ConsentRdfError {
    ConsentRdfError::Value {
        property,
        value: value.to_string(),
    }
}

fn single(property: &'static str, mut values: BTreeSet<String>) -> Result<Option<String>, ConsentRdfError> {
    match values.len() {
        0 | 1 => Ok(values.pop_first()),
        _ => Err(ConsentRdfError::Several(property)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConsentEvent;
    use super::super::record::tests::record;
    use super::super::to_quads;
    use super::*;

    #[test]
    fn every_record_reads_back_as_it_was() {
        let mut open = record();
        open.recipients = Recipients::Any;
        open.data.properties = None;
        let withdrawn = record().next(ConsentEvent::Withdraw, record().changed_at).unwrap();
        for record in [record(), open, withdrawn] {
            let quads = to_quads(&record).unwrap();
            assert_eq!(from_quads(&quads).unwrap(), record);
        }
    }

    #[test]
    fn whatever_is_missing_is_named() {
        let quads = to_quads(&record()).unwrap();
        let required = [
            dpv::HAS_DATA_SUBJECT,
            meent::STORAGE,
            dcterms::VALID,
            dcterms::MODIFIED,
            dpv::CONSENT_STATUS,
            meent::NOTICE_LANGUAGE,
            meent::NOTICE_HASH,
            meent::VERSION,
        ];
        for property in required {
            let rest: Vec<Quad> = quads
                .iter()
                .filter(|quad| quad.predicate.as_str() != property)
                .cloned()
                .collect();
            assert_eq!(from_quads(&rest), Err(ConsentRdfError::Missing(property)));
        }
        assert_eq!(from_quads(&[]), Err(ConsentRdfError::Count(0)));
        // Dropping the recipients must not turn into "any".
        let rest: Vec<Quad> = quads
            .iter()
            .filter(|quad| quad.predicate.as_str() != dpv::HAS_RECIPIENT)
            .cloned()
            .collect();
        assert!(from_quads(&rest).unwrap().validate(366).is_err());
    }
}
