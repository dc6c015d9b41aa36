//! A consent record as RDF with DPV's terms, and back.

use std::collections::BTreeSet;

use oxrdf::{GraphName, Literal, NamedNode, NamedOrBlankNode, Quad, Term};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocab::{dcat, dcterms, dpv, meent, prov, rdf, xsd};

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

/// The record in the default graph.
///
/// # Errors
/// When an IRI in it is not one, or an instant lies outside the years that RFC 3339 can write.
pub fn to_quads(record: &ConsentRecord) -> Result<Vec<Quad>, ConsentRdfError> {
    let subject = node("id", &record.id)?;
    let mut quads = Vec::new();
    let mut add = |property: &'static str, value: Term| {
        let predicate = vocab::node(property).into_owned();
        quads.push(Quad::new(subject.clone(), predicate, value, GraphName::DefaultGraph));
    };
    add(rdf::TYPE, vocab::node(dpv::CONSENT_RECORD).into_owned().into());
    add(
        dpv::HAS_DATA_SUBJECT,
        node(dpv::HAS_DATA_SUBJECT, record.data_subject.as_str())?.into(),
    );
    add(meent::STORAGE, node(meent::STORAGE, &record.storage)?.into());
    match &record.recipients {
        Recipients::Any => add(
            dpv::HAS_RECIPIENT,
            vocab::node(meent::ANY_RECIPIENT).into_owned().into(),
        ),
        Recipients::These(these) => {
            for recipient in these {
                add(dpv::HAS_RECIPIENT, node(dpv::HAS_RECIPIENT, recipient.as_str())?.into());
            }
        }
    }
    let sets = [
        (dpv::HAS_PURPOSE, Some(&record.purposes)),
        (meent::CONTAINER, Some(&record.data.containers)),
        (dcat::DATASET_PROPERTY, Some(&record.data.datasets)),
        (meent::DATA_PROPERTY, record.data.properties.as_ref()),
    ];
    for (property, values) in sets {
        for value in values.into_iter().flatten() {
            add(property, node(property, value)?.into());
        }
    }
    if let Some(given) = record.given_at {
        add(dpv::IS_INDICATED_AT_TIME, instant(dpv::IS_INDICATED_AT_TIME, given)?);
    }
    add(dcterms::VALID, instant(dcterms::VALID, record.expires_at)?);
    add(dcterms::MODIFIED, instant(dcterms::MODIFIED, record.changed_at)?);
    add(
        dpv::CONSENT_STATUS,
        vocab::node(record.status.iri()).into_owned().into(),
    );
    add(
        meent::NOTICE_LANGUAGE,
        Literal::new_simple_literal(&record.notice.language).into(),
    );
    add(
        meent::NOTICE_HASH,
        Literal::new_simple_literal(&record.notice.hash).into(),
    );
    let number = |value: u32| Literal::new_typed_literal(value.to_string(), vocab::node(xsd::POSITIVE_INTEGER));
    add(meent::VERSION, number(record.version).into());
    if let Some(previous) = record.previous {
        add(prov::WAS_REVISION_OF, number(previous).into());
    }
    Ok(quads)
}

/// The one record in these quads, whatever their graph.
///
/// # Errors
/// See [`ConsentRdfError`]. The record is not yet validated, see [`ConsentRecord::validate`].
pub fn from_quads(quads: &[Quad]) -> Result<ConsentRecord, ConsentRdfError> {
    let is_record = |quad: &&Quad| {
        quad.predicate.as_str() == rdf::TYPE
            && matches!(&quad.object, Term::NamedNode(class) if class.as_str() == dpv::CONSENT_RECORD)
    };
    let mut records: Vec<&NamedOrBlankNode> = quads.iter().filter(is_record).map(|quad| &quad.subject).collect();
    records.dedup();
    let [NamedOrBlankNode::NamedNode(subject)] = records.as_slice() else {
        return Err(ConsentRdfError::Count(records.len()));
    };
    let node = Node {
        quads,
        subject: subject.as_str(),
    };
    let recipients = node.iris(dpv::HAS_RECIPIENT)?;
    let recipients = if recipients.contains(meent::ANY_RECIPIENT) {
        Recipients::Any
    } else {
        let web_ids = recipients.into_iter().map(|iri| web_id(dpv::HAS_RECIPIENT, iri));
        Recipients::These(web_ids.collect::<Result<_, _>>()?)
    };
    let properties = node.iris(meent::DATA_PROPERTY)?;
    let status = node.required_iri(dpv::CONSENT_STATUS)?;
    Ok(ConsentRecord {
        id: subject.as_str().to_owned(),
        data_subject: web_id(dpv::HAS_DATA_SUBJECT, node.required_iri(dpv::HAS_DATA_SUBJECT)?)?,
        storage: node.required_iri(meent::STORAGE)?,
        recipients,
        purposes: node.iris(dpv::HAS_PURPOSE)?,
        data: ConsentedData {
            containers: node.iris(meent::CONTAINER)?,
            datasets: node.iris(dcat::DATASET_PROPERTY)?,
            properties: (!properties.is_empty()).then_some(properties),
        },
        given_at: node.instant(dpv::IS_INDICATED_AT_TIME)?,
        expires_at: node
            .instant(dcterms::VALID)?
            .ok_or(ConsentRdfError::Missing(dcterms::VALID))?,
        changed_at: node
            .instant(dcterms::MODIFIED)?
            .ok_or(ConsentRdfError::Missing(dcterms::MODIFIED))?,
        status: ConsentStatus::from_iri(&status).ok_or(ConsentRdfError::Value {
            property: dpv::CONSENT_STATUS,
            value: status,
        })?,
        notice: Notice {
            language: node
                .text(meent::NOTICE_LANGUAGE)?
                .ok_or(ConsentRdfError::Missing(meent::NOTICE_LANGUAGE))?,
            hash: node
                .text(meent::NOTICE_HASH)?
                .ok_or(ConsentRdfError::Missing(meent::NOTICE_HASH))?,
        },
        version: node
            .number(meent::VERSION)?
            .ok_or(ConsentRdfError::Missing(meent::VERSION))?,
        previous: node.number(prov::WAS_REVISION_OF)?,
    })
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

fn web_id(property: &'static str, iri: String) -> Result<WebId, ConsentRdfError> {
    WebId::parse(iri.clone()).map_err(|_| ConsentRdfError::Value { property, value: iri })
}

struct Node<'q> {
    quads: &'q [Quad],
    subject: &'q str,
}

impl<'q> Node<'q> {
    fn values(&self, property: &'static str) -> impl Iterator<Item = &'q Term> {
        let subject = self.subject;
        self.quads.iter().filter_map(move |quad| {
            let mine = matches!(&quad.subject, NamedOrBlankNode::NamedNode(node) if node.as_str() == subject);
            (mine && quad.predicate.as_str() == property).then_some(&quad.object)
        })
    }

    fn iris(&self, property: &'static str) -> Result<BTreeSet<String>, ConsentRdfError> {
        self.values(property)
            .map(|value| match value {
                Term::NamedNode(node) => Ok(node.as_str().to_owned()),
                other => Err(ConsentRdfError::Value {
                    property,
                    value: other.to_string(),
                }),
            })
            .collect()
    }

    fn required_iri(&self, property: &'static str) -> Result<String, ConsentRdfError> {
        let mut iris = self.iris(property)?;
        if iris.len() > 1 {
            return Err(ConsentRdfError::Several(property));
        }
        iris.pop_first().ok_or(ConsentRdfError::Missing(property))
    }

    fn text(&self, property: &'static str) -> Result<Option<String>, ConsentRdfError> {
        let values: BTreeSet<String> = self
            .values(property)
            .map(|value| match value {
                Term::Literal(literal) => Ok(literal.value().to_owned()),
                other => Err(ConsentRdfError::Value {
                    property,
                    value: other.to_string(),
                }),
            })
            .collect::<Result<_, _>>()?;
        if values.len() > 1 {
            return Err(ConsentRdfError::Several(property));
        }
        Ok(values.into_iter().next())
    }

    fn instant(&self, property: &'static str) -> Result<Option<OffsetDateTime>, ConsentRdfError> {
        self.text(property)?
            .map(|text| {
                OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| ConsentRdfError::Value { property, value: text })
            })
            .transpose()
    }

    fn number(&self, property: &'static str) -> Result<Option<u32>, ConsentRdfError> {
        self.text(property)?
            .map(|text| {
                text.parse()
                    .map_err(|_| ConsentRdfError::Value { property, value: text })
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConsentEvent;
    use super::super::record::tests::record;
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
